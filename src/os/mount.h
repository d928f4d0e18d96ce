/*
 * Mounts by descriptor (open_tree, fsopen, mount_setattr, move_mount): a mount
 * is made detached, given its attributes, and put in its place last, so that
 * nobody ever sees it half done and no path is walked twice.
 */
#ifndef OS_MOUNT_H
#define OS_MOUNT_H

#include <linux/mount.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * A new filesystem, detached.  opts: "key=value" or "flag", NULL-terminated, may be
 * NULL.  attrs: MOUNT_ATTR_*.
 */
int mnt_new(const char *fstype, const char *const opts[], uint64_t attrs, int *ret_fd,
	    struct error *err);
/* A detached copy (bind) of the mount at path below dirfd; path "": of dirfd itself. */
int mnt_clone(int dirfd, const char *path, bool recursive, int *ret_fd, struct error *err);
/* Sets MOUNT_ATTR_* on a mount and, if recursive, those below. */
int mnt_set(int fd, uint64_t attrs, bool recursive, struct error *err);
int mnt_clear(int fd, uint64_t attrs, struct error *err);
/* Files show their owners as userns maps them.  Only before it is attached. */
int mnt_idmap(int fd, int userns_fd, bool recursive, struct error *err);
/* At the directory or file that target_fd is. */
int mnt_attach(int fd, int target_fd, struct error *err);
/* The same at a path of the calling process's root (follows no link in its last part). */
int mnt_attach_path(int fd, const char *path, struct error *err);
/* No mount or unmount of the host reaches this mount namespace any more, nor the other way. */
int mnt_make_private(const char *path, struct error *err);

enum {
	PATH_DIR = 1,       /* must be a directory */
	PATH_NO_LINKS = 2,  /* -ELOOP if any part is a symbolic link */
	PATH_MKDIR = 4,     /* missing directories are made, 0755 */
	PATH_FILE = 8,      /* a regular file; made empty if it is missing */
};
/*
 * Opens path below root_fd (O_PATH) as a process chrooted there would see it:
 * links never lead out of it, magic links are refused.
 */
int path_open_in(int root_fd, const char *path, unsigned flags, int *ret_fd, struct error *err);
/*
 * Replaces (rename) or makes the file at path below root_fd.  Its directory is found
 * as above; if the file itself is a link, the link is replaced, not followed.
 */
int path_write_in(int root_fd, const char *path, const void *data, size_t len, mode_t mode,
		  struct error *err);
/* At most max bytes of the file; -ENOENT if absent, -EINVAL if it is not a regular file. */
int path_read_in(int root_fd, const char *path, size_t max, char **ret, size_t *ret_len,
		 struct error *err);
/*
 * Where path leads in the end, as a path inside root_fd ("/usr/lib/systemd/systemd"); the caller's.
 */
int path_resolve_in(int root_fd, const char *path, char **ret, struct error *err);

#endif
