/*
 * The configuration of one guest: a tree of named strings, bhyve_config(5).
 *
 * Every option of bhyve(8) only sets keys here ("-c 2" sets cpus=2); devices
 * read keys and nothing else, so that -k files, -o and the short options are
 * one language.  Paths are dotted: pci.0.4.0.path.  A node is a leaf (has a
 * value) or a branch (has children), never both.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;

struct config *config_new(void);
void config_free(struct config *root);
DEFINE_CLEANUP(config_free, struct config *);
#define cleanup_config CLEANUP(config_freep)

/* Sets a leaf; branches on the way are made.  -EINVAL if a leaf stands in the way, or a bad name. */
int config_set(struct config *node, const char *path, const char *value, struct error *err);
int config_setf(struct config *node, const char *path, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "key=value". */
int config_parse(struct config *node, const char *assignment, struct error *err);
/* Lines of key=value; '#' starts a comment line, empty lines are skipped. */
int config_load(struct config *node, const char *path, struct error *err);

/* Takes a branch or leaf away; nothing if there is none. */
void config_remove(struct config *root, const char *path);
/* A branch or leaf, or NULL. */
struct config *config_find(struct config *node, const char *path);
/* The branch, made if absent. */
int config_branch(struct config *node, const char *path, struct config **ret, struct error *err);
const char *config_name(const struct config *node); /* its last component */
char *config_path(const struct config *node);	    /* its full path; the caller's */
/* Children in the order they were made: NULL starts and ends. */
struct config *config_next(struct config *branch, struct config *child);
bool config_is_branch(const struct config *node);

/*
 * Reading a leaf.  Absent gives the fallback.  Values are expanded: %(path)
 * is the value of another key, counted from the root; %% is a percent sign.
 * A malformed value fails, naming the key and what was expected.
 */
const char *config_get(struct config *node, const char *path, const char *fallback);
int config_bool(struct config *node, const char *path, bool fallback, bool *ret,
		struct error *err);
int config_u64(struct config *node, const char *path, uint64_t min, uint64_t max,
	       uint64_t fallback, uint64_t *ret, struct error *err);
/* "512", "4k", "2g": bytes. */
int config_size(struct config *node, const char *path, uint64_t fallback, uint64_t *ret,
		struct error *err);
/* One of the words (NULL-terminated); *ret is its index. */
int config_enum(struct config *node, const char *path, const char *const words[],
		unsigned fallback, unsigned *ret, struct error *err);

/* Checks that every %(key) can be expanded; done once after the options are read. */
int config_check(struct config *root, struct error *err);
/* key=value lines, expanded, in the order the keys were made. */
void config_dump(struct config *root, FILE *out);

#endif
