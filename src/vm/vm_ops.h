/*
 * The calls into the domains below that change the node or look at storage, as
 * a table: the steps of vm_create.c and its sisters go through it, so that their
 * order, their undoing and their recovery can be tested without ZFS and without
 * starting zones.  The table that ships is vm_ops_real.c.
 */
#ifndef VM_VM_OPS_H
#define VM_VM_OPS_H

#include "img/img.h"
#include "store/zfs.h"
#include "zone/zone.h"

struct vm_ops {
	int (*img_find)(const char *uuid, const char *pool, struct image **ret, struct error *err);
	/* The UUID of the newest installed image of that name, or name@version; -ENOENT. */
	int (*img_by_name)(const char *name, const char *pool, char **ret, struct error *err);
	int (*img_fits)(const struct image *i, const char *brand, uint64_t ram_mib,
			const char *bootrom, struct error *err);
	int (*img_hold)(const char *uuid, int *ret_fd, struct error *err);
	void (*img_free)(struct image *i);

	int (*zfs_exists)(const char *name, struct error *err);
	int (*zfs_list)(const char *root, unsigned types, int depth, const char *const props[],
			struct zfs_list *ret, struct error *err);
	int (*zfs_get)(const char *name, const char *prop, char **ret, struct error *err);
	int (*zfs_set)(const char *name, const char *const props[], struct error *err);
	int (*zfs_unset)(const char *name, const char *prop, struct error *err);
	int (*zfs_create)(const char *name, const char *const props[], unsigned flags,
			  struct error *err);
	int (*zfs_clone)(const char *snapshot, const char *name, const char *const props[],
			 unsigned flags, struct error *err);
	int (*zvol_create)(const char *name, uint64_t size, uint32_t blocksize,
			   const char *const props[], unsigned flags, struct error *err);
	int (*zvol_resize)(const char *name, uint64_t size, struct error *err);
	int (*zfs_destroy)(const char *name, unsigned flags, struct error *err);
	int (*zfs_snapshot)(const char *name, bool recursive, const char *const props[],
			    struct error *err);
	int (*zfs_rollback)(const char *snapshot, bool destroy_newer, struct error *err);
	int (*zfs_rename)(const char *from, const char *to, unsigned flags, struct error *err);
	int (*zfs_hold)(const char *tag, const char *snapshot, struct error *err);
	int (*zfs_release)(const char *tag, const char *snapshot, struct error *err);

	int (*zone_boot)(const char *name, const struct zone_boot_opts *opts, struct error *err);
	int (*zone_halt)(const char *name, struct error *err);
	int (*zone_quiesce)(const char *name, struct error *err);
	int (*zone_shutdown)(const char *name, bool reboot, unsigned timeout_s, struct error *err);
	int (*zone_reboot)(const char *name, struct error *err);
	int (*zone_apply)(const char *name, struct error *err);
	int (*zone_kill)(const char *name, int signo, struct error *err);
	int (*zone_console_open)(const char *name, int *ret_fd, struct error *err);

	/* 0, or -ENOENT "Invalid nic tag ..." */
	int (*nictag_check)(const char *tag, struct error *err);
};

extern const struct vm_ops *vm_ops;
extern const struct vm_ops vm_ops_real;

#endif
