/*
 * Insertion-ordered hash table: entries stand in an array in the order they
 * came; a table of indices into it is probed linearly.  A removed entry
 * leaves a hole (key NULL) that the next growth squeezes out.
 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"

struct entry {
	char *key; /* NULL: a hole */
	void *value;
	uint64_t hash;
};

struct map {
	struct entry *entries;
	size_t used; /* entries in use, holes included */
	size_t live;
	size_t cap;      /* of entries; the index has twice as many slots */
	uint32_t *index; /* entry number + 1, or 0 */
	void (*free_value)(void *);
};

/* FNV-1a; keys are ours or bounded, so flooding buys an attacker nothing. */
static uint64_t
hash_key(const char *key)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211ULL;
	return h ^ h >> 32;
}

struct map *
map_new(void (*free_value)(void *))
{
	struct map *m = xcalloc(1, sizeof(*m));

	m->free_value = free_value;
	return m;
}

void
map_free(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].key && m->free_value)
			m->free_value(m->entries[i].value);
		free(m->entries[i].key);
	}
	free(m->entries);
	free(m->index);
	free(m);
}

static void
index_insert(struct map *m, size_t pos)
{
	size_t mask = 2 * m->cap - 1, slot = m->entries[pos].hash & mask;

	while (m->index[slot])
		slot = (slot + 1) & mask;
	m->index[slot] = (uint32_t)pos + 1;
}

/* Squeezes out holes and makes room for one more. */
static void
grow(struct map *m)
{
	size_t to = 0;

	for (size_t i = 0; i < m->used; i++)
		if (m->entries[i].key)
			m->entries[to++] = m->entries[i];
	m->used = to;
	if (!m->cap || m->used > m->cap / 2)
		m->cap = m->cap ? 2 * m->cap : 8;
	m->entries = xreallocarray(m->entries, m->cap, sizeof(*m->entries));
	free(m->index);
	m->index = xcalloc(2 * m->cap, sizeof(*m->index));
	for (size_t i = 0; i < m->used; i++)
		index_insert(m, i);
}

static struct entry *
find(const struct map *m, const char *key)
{
	uint64_t hash = hash_key(key);
	size_t mask, slot;

	if (!m->cap)
		return NULL;
	mask = 2 * m->cap - 1;
	for (slot = hash & mask; m->index[slot]; slot = (slot + 1) & mask) {
		struct entry *e = &m->entries[m->index[slot] - 1];

		if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

void *
map_get(const struct map *m, const char *key)
{
	struct entry *e = find(m, key);

	return e ? e->value : NULL;
}

bool
map_has(const struct map *m, const char *key)
{
	return find(m, key);
}

const char *
map_key(const struct map *m, const char *key)
{
	struct entry *e = find(m, key);

	return e ? e->key : NULL;
}

void
map_set(struct map *m, const char *key, void *value)
{
	struct entry *e = find(m, key);

	if (e) {
		if (m->free_value && e->value != value)
			m->free_value(e->value);
		e->value = value;
		return;
	}
	if (m->used == m->cap)
		grow(m);
	m->entries[m->used] = (struct entry){xstrdup(key), value, hash_key(key)};
	index_insert(m, m->used);
	m->used++;
	m->live++;
}

void *
map_steal(struct map *m, const char *key)
{
	struct entry *e = find(m, key);

	if (!e)
		return NULL;
	free(e->key);
	e->key = NULL;
	m->live--;
	return steal_ptr(&e->value);
}

bool
map_remove(struct map *m, const char *key)
{
	bool there = map_has(m, key);
	void *value = map_steal(m, key);

	if (there && m->free_value)
		m->free_value(value);
	return there;
}

size_t
map_size(const struct map *m)
{
	return m->live;
}

bool
map_next(const struct map *m, struct map_iter *it)
{
	while (it->pos < m->used) {
		const struct entry *e = &m->entries[it->pos++];

		if (e->key) {
			it->key = e->key;
			it->value = e->value;
			return true;
		}
	}
	return false;
}
