/*
 * Pools: found, imported, made from a layout, exported, looked at.
 *
 * The system pool is the one whose root filesystem holds a file `.system_pool`,
 * as on SmartOS; its name usually is "zones".
 */
#ifndef STORE_POOL_H
#define STORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

struct layout;

bool pool_name_ok(const char *name);

struct pool {
	char *name;
	char *guid;
	char *health; /* ONLINE DEGRADED FAULTED SUSPENDED ... */
	uint64_t size, alloc, free;
};
struct pool_list {
	struct pool *pools;
	size_t n;
};

#define POOL_LIST_INIT {0}
void pool_list_done(struct pool_list *l);
#define cleanup_pool_list CLEANUP(pool_list_done)

/* Imported pools, by name. */
int pool_list(struct pool_list *ret, struct error *err);
/* 1 imported, 0 not, or a negative errno. */
int pool_exists(const char *name, struct error *err);

/* A pool that could be imported: what `zpool import` without a name shows. */
struct pool_found {
	char *name;
	char *guid;
	char *state;
};
struct pool_found_list {
	struct pool_found *found;
	size_t n;
};
void pool_found_list_done(struct pool_found_list *l);
int pool_search(struct pool_found_list *ret, struct error *err);

enum {
	POOL_FORCE = 1,    /* though another host had it last (-f) */
	POOL_NO_MOUNT = 2, /* import only (-N) */
	POOL_READONLY = 4,
};
/* name is a name or a guid.  altroot may be NULL. */
int pool_import(const char *name, const char *altroot, unsigned flags, struct error *err);
/*
 * Imports every pool that can be found; names of what came in are added to
 * ret (may be NULL).  Finding none is no error.  One that fails does not stop
 * the others: the first failure is returned at the end.
 */
int pool_import_all(const char *altroot, unsigned flags, struct strv *ret, struct error *err);
int pool_export(const char *name, bool force, struct error *err);
int pool_destroy(const char *name, bool force, struct error *err);

/* `zpool status -j` of one pool: its object (name, state, vdevs, ...). */
int pool_status(const char *name, struct json **ret, struct error *err);
/* Device nodes of the leaves that hold data, as ZFS knows them: "/dev/vdb3". */
int pool_devices(const char *name, struct strv *ret, struct error *err);
/* The whole disks under those, each once: "/dev/vdb" (what piadm keeps bootable). */
int pool_disks(const char *name, struct strv *ret, struct error *err);

int pool_get(const char *name, const char *prop, char **ret, struct error *err);
int pool_set(const char *name, const char *prop, const char *value, struct error *err);

/* The system pool; -ENOENT if none of the imported ones is one. */
int pool_system(char **ret, struct error *err);
/* Marks name as the system pool. */
int pool_mark_system(const char *name, struct error *err);

enum {
	POOL_CREATE_FORCE = 1, /* -f: disks that look used */
	POOL_BOOTABLE = 2,     /* each data disk gets a BIOS boot and an EFI system partition */
};
/*
 * Makes a pool from a layout (store/layout.h) with the feature set of
 * `compatibility` (may be NULL), ashift 12, atime off, mountpoint /NAME.
 * altroot may be NULL.  On failure nothing is left but wiped labels.
 */
int pool_create(const char *name, const struct layout *layout, const char *altroot,
		unsigned flags, const char *compatibility, struct error *err);

#endif
