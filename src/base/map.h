/*
 * A hash table from strings to pointers, in insertion order when walked.
 * Keys are copied; values belong to the caller unless free_value was given.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct map;

struct map *map_new(void (*free_value)(void *)); /* free_value may be NULL */
void map_free(struct map *m);
DEFINE_CLEANUP(map_free, struct map *);
#define cleanup_map CLEANUP(map_freep)

void *map_get(const struct map *m, const char *key); /* NULL if absent */
bool map_has(const struct map *m, const char *key);
/* The map's own copy of key, which lives until it is removed; NULL if absent. */
const char *map_key(const struct map *m, const char *key);
/* Sets key; a value that stood there is freed with free_value. */
void map_set(struct map *m, const char *key, void *value);
/* Removes key and frees its value; false if it was absent. */
bool map_remove(struct map *m, const char *key);
/* Removes key and hands its value to the caller; NULL if absent. */
void *map_steal(struct map *m, const char *key);
size_t map_size(const struct map *m);

/*
 * Walks in insertion order; removing the current entry while walking is allowed.
 *	struct map_iter it = {0};
 *	while (map_next(m, &it)) use(it.key, it.value);
 */
struct map_iter {
	const char *key;
	void *value;
	size_t pos;
};
bool map_next(const struct map *m, struct map_iter *it);

#endif
