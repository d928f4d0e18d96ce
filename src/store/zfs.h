/*
 * Datasets, volumes, snapshots and streams: the only door to ZFS.
 *
 * Everything here runs the `zfs` program (OpenZFS 2.3): its libraries are CDDL
 * and their interface is not stable, its command line is both documented and
 * stable.  Names are checked before they reach an argument vector, so that no
 * caller's data can become an option or a second dataset.  What `zfs` prints on
 * failure becomes the message; the errno is told from it:
 *
 *	ENOENT	the dataset, snapshot or pool does not exist
 *	EEXIST	it exists already
 *	EBUSY	mounted and in use, held, or with clones, children or snapshots
 *	ENOSPC	out of space or over quota
 *	EINVAL	a bad name, property or value
 *	EIO	the rest
 *
 * Properties are "name=value" strings in NULL-terminated lists:
 *
 *	zfs_create("zones/cores", ZFS_PROPS("mountpoint=none", "compression=gzip"), 0, err);
 */
#ifndef STORE_ZFS_H
#define STORE_ZFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "os/run.h"

#define ZFS_PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- names */

/* A filesystem or volume ("zones/web/data"), or with '@' a snapshot. */
bool zfs_name_ok(const char *name);
bool zfs_snapshot_name_ok(const char *name);

/* --- looking */

enum zfs_type {
	ZFS_FILESYSTEM = 1,
	ZFS_VOLUME = 2,
	ZFS_SNAPSHOT = 4,
	ZFS_BOOKMARK = 8,
	ZFS_DATASET = ZFS_FILESYSTEM | ZFS_VOLUME,
};

/* 1 if name (dataset or snapshot) exists, 0 if not, or a negative errno. */
int zfs_exists(const char *name, struct error *err);
/* The kind of name, -ENOENT if it is not there. */
int zfs_kind(const char *name, enum zfs_type *ret, struct error *err);

/* One dataset of a listing with the properties that were asked for, in that order. */
struct zfs_ds {
	char *name;
	enum zfs_type type;
	char **values; /* NULL where a property has no value ("-") */
};
struct zfs_list {
	struct zfs_ds *ds;
	size_t n;
	struct strv props;
};

#define ZFS_LIST_INIT {0}
void zfs_list_done(struct zfs_list *l);
#define cleanup_zfs_list CLEANUP(zfs_list_done)

/*
 * Lists root (NULL: all pools) and what is below it, depth levels deep (0: root
 * alone, -1: all), of the kinds in types (a set of enum zfs_type).  props
 * (NULL-terminated, may be NULL) are any property names, user properties too;
 * numbers are exact.  -ENOENT if root is not there.
 */
int zfs_list(const char *root, unsigned types, int depth, const char *const props[],
	     struct zfs_list *ret, struct error *err);
/* A value of a listing; NULL if it has none or was not asked for. */
const char *zfs_list_get(const struct zfs_list *l, size_t i, const char *prop);
/* The row with this name, or NULL. */
const struct zfs_ds *zfs_list_find(const struct zfs_list *l, const char *name);

/* Names of the direct children (filesystems and volumes) of name. */
int zfs_children(const char *name, struct strv *ret, struct error *err);
/* Snapshots of name itself, full names, oldest first. */
int zfs_snapshots(const char *name, struct strv *ret, struct error *err);
/* Everything cloned from name's snapshots; also from those of its descendants if recursive. */
int zfs_clones(const char *name, bool recursive, struct strv *ret, struct error *err);

/*
 * A property: its exact value, the caller's.  *ret is NULL if there is none
 * (`zfs get` shows "-"), which for a user property means it is not set.
 */
int zfs_get(const char *name, const char *prop, char **ret, struct error *err);
int zfs_get_u64(const char *name, const char *prop, uint64_t *ret, struct error *err);
/* The snapshot a clone came from, or NULL. */
int zfs_origin(const char *name, char **ret, struct error *err);
/* Where it is mounted now; -ENOENT if it is not. */
int zfs_mountpoint(const char *name, char **ret, struct error *err);
/* Properties that came with a received stream. */
int zfs_received(const char *name, struct strv *ret_props, struct error *err);
int zfs_set(const char *name, const char *const props[], struct error *err);
/* Back to inherited (zfs inherit); removes a user property. */
int zfs_unset(const char *name, const char *prop, struct error *err);

/* --- making and removing */

/* Flags of the calls below; each takes those that it names. */
enum {
	ZFS_PARENTS = 1 << 0,   /* create missing parents (-p) */
	ZFS_NO_MOUNT = 1 << 1,  /* do not mount it (-u); filesystems only */
	ZFS_SPARSE = 1 << 2,    /* volume without reservation (-s) */
	ZFS_RECURSIVE = 1 << 3, /* children and snapshots too (-r) */
	ZFS_FORCE = 1 << 4,     /* unmount what is mounted, by force (-f); receive: roll back (-F) */
	ZFS_CLONES = 1 << 5,    /* and the clones made of it (-R) */
	ZFS_DEFER = 1 << 6,     /* snapshot: when its last hold or clone goes (-d) */
};

/* flags: ZFS_PARENTS, ZFS_NO_MOUNT */
int zfs_create(const char *name, const char *const props[], unsigned flags, struct error *err);
/*
 * A volume of size bytes; rounded up to its block size.  blocksize 0 is ZFS's
 * default.  The device node is there on return (see zvol_wait()).
 */
int zvol_create(const char *name, uint64_t size, uint32_t blocksize, const char *const props[],
		unsigned flags, struct error *err);
int zvol_resize(const char *name, uint64_t size, struct error *err);

/*
 * Destroys a dataset or a snapshot.  Absent is -ENOENT; its mount point goes if it is empty.
 * flags: ZFS_RECURSIVE, _FORCE, _CLONES, _DEFER
 */
int zfs_destroy(const char *name, unsigned flags, struct error *err);
/* name is "dataset@snap"; recursive also takes it of all descendants, atomically. */
int zfs_snapshot(const char *name, bool recursive, const char *const props[], struct error *err);
int zfs_clone(const char *snapshot, const char *name, const char *const props[], unsigned flags,
	      struct error *err);
/*
 * Datasets, or snapshots of one dataset.  flags: ZFS_NO_MOUNT (nothing is
 * remounted), ZFS_FORCE
 */
int zfs_rename(const char *from, const char *to, unsigned flags, struct error *err);
/* Back to snapshot; newer snapshots are destroyed if destroy_newer, else that is -EEXIST. */
int zfs_rollback(const char *snapshot, bool destroy_newer, struct error *err);
int zfs_promote(const char *name, struct error *err);
int zfs_hold(const char *tag, const char *snapshot, struct error *err);
int zfs_release(const char *tag, const char *snapshot, struct error *err);
int zfs_holds(const char *snapshot, struct strv *ret_tags, struct error *err);

/* Mounted already, or not mounted, is success. */
int zfs_mount(const char *name, struct error *err);
int zfs_unmount(const char *name, bool force, struct error *err);

/* --- volumes as devices */

/* "/dev/zvol/zones/web-disk0"; "/dev/zvol/rdsk/..." of imported configurations maps to it. */
char *zvol_path(const char *name);
/* The volume a device path names ("zones/web-disk0"), or NULL if it is not below /dev/zvol. */
char *zvol_name_of_path(const char *path);
/* Waits for the device node of a volume, woken by udev's events; -ETIMEDOUT after timeout_ms. */
int zvol_wait(const char *name, int timeout_ms, struct error *err);

/* --- streams */

/*
 * Starts `zfs send [-i from] snapshot`: ret->out is the stream.  from may be
 * NULL, a snapshot of the same dataset or the origin of a clone.  When the
 * stream ended, zfs_send_finish() waits and makes the message; run_abort()
 * stops it.  flags: ZFS_SEND_*.
 */
enum { ZFS_SEND_REPLICATE = 1 /* -R */, ZFS_SEND_PROPS = 2 /* -p */, ZFS_SEND_RAW = 4 /* -w */ };
int zfs_send_start(const char *snapshot, const char *from, unsigned flags, struct run_child *ret,
		   struct error *err);
int zfs_send_finish(struct run_child *c, const char *snapshot, struct error *err);
/* Bytes such a stream will have, as ZFS estimates. */
int zfs_send_size(const char *snapshot, const char *from, unsigned flags, uint64_t *ret,
		  struct error *err);
/*
 * Starts `zfs receive -u name` reading fd stream_fd (or, if -1, ret->in).
 * Call zfs_receive_finish() with the child: it waits and makes the message.
 * props override what the stream carries (-o); ZFS_FORCE rolls back (-F).
 */
int zfs_receive_start(const char *name, const char *const props[], unsigned flags, int stream_fd,
		      struct run_child *ret, struct error *err);
int zfs_receive_finish(struct run_child *c, const char *name, struct error *err);

/* --- delegation to a zone: its own datasets, in its own user namespace */

/* Attaches name (and what is below) to the user namespace of pid; sets zoned=on first. */
int zfs_zone_attach(const char *name, pid_t pid, struct error *err);
/* Takes it back; a user namespace that is gone counts as taken back. */
int zfs_zone_detach(const char *name, pid_t pid, struct error *err);

#endif
