/*
 * fsinfo and vfs: operations on files, whatever the filesystem.  fsinfo follows
 * illumos: args[0] the file, args[1] the bytes or the result.  vfs has the
 * kernel's own functions by short names, with their entry and return.
 * zfs: what OpenZFS does below them.
 */
#include "dtrace/stable.h"

#define FILE_ARG(e) {.expr = e, .native = "struct file *", .xlate = "fileinfo_t *"}
#define DENTRY_ARG(e) {.expr = e, .native = "struct dentry *", .xlate = "fileinfo_t *"}

/* All of fsinfo's have one type, lib/fsinfo.d's d_fs_t, so that a clause may stand for several of
 * them. */
#define FS_ARG(e) {.expr = e, .native = "d_fs_t *", .xlate = "fileinfo_t *"}
#define FS_FILE(e) FS_ARG("(d_fs_t *)" e)
#define FS_DENTRY(e) FS_ARG("(d_fs_t *)((uint64_t)" e " + 1)")

static const struct stable_probe fsinfo_rows[] = {
	{"close", "entry filp_flush", NULL, {FS_FILE("args[0]"), INT("0")}}, /* since 6.6 */
	{"close", "entry filp_close", NULL, {FS_FILE("args[0]"), INT("0")}},
	{"create", "entry vfs_create", NULL, {FS_DENTRY("args[2]"), INT("0")}},
	{"fsync", "entry vfs_fsync_range", NULL, {FS_FILE("args[0]"), INT("0")}},
	{"ioctl", "entry security_file_ioctl", NULL, {FS_FILE("args[0]"), INT("args[1]")}},
	{"link", "entry vfs_link", NULL, {FS_DENTRY("args[0]"), INT("0")}},
	{"mkdir", "entry vfs_mkdir", NULL, {FS_DENTRY("args[2]"), INT("0")}},
	{"mmap", "entry security_mmap_file", "args[0] != 0", {FS_FILE("args[0]"), INT("args[1]")}},
	{"open", "entry security_file_open", NULL, {FS_FILE("args[0]"), INT("0")}},
	{"read", "return vfs_read", NULL, {FS_FILE("args[0]"), LONG("ret")}},
	{"readdir", "entry iterate_dir", NULL, {FS_FILE("args[0]"), INT("0")}},
	{"remove", "entry vfs_unlink", NULL, {FS_DENTRY("args[2]"), INT("0")}},
	{"rmdir", "entry vfs_rmdir", NULL, {FS_DENTRY("args[2]"), INT("0")}},
	{"seek", "entry vfs_llseek", NULL, {FS_FILE("args[0]"), LONG("args[1]")}},
	{"symlink", "entry vfs_symlink", NULL, {FS_DENTRY("args[2]"), INT("0")}},
	{"write", "return vfs_write", NULL, {FS_FILE("args[0]"), LONG("ret")}},
};

static const struct stable_probe vfs_rows[] = {
	{"create", "entry vfs_create", NULL, {DENTRY_ARG("args[2]")}},
	{"fsync", "entry vfs_fsync_range", NULL, {FILE_ARG("args[0]")}},
	{"lookup", "entry filename_lookup", NULL,
	 {{.expr = "args[1]->name", .native = "char *"}}},
	{"mkdir", "entry vfs_mkdir", NULL, {DENTRY_ARG("args[2]")}},
	{"open", "entry vfs_open", NULL,
	 {{.expr = "args[0]->dentry", .native = "struct dentry *", .xlate = "fileinfo_t *"}}},
	{"read", "entry vfs_read", NULL, {FILE_ARG("args[0]"), LONG("args[2]")}},
	{"read-done", "return vfs_read", NULL, {FILE_ARG("args[0]"), LONG("ret")}},
	{"rename", "entry vfs_rename", NULL,
	 {DENTRY_ARG("args[0]->old_dentry"), DENTRY_ARG("args[0]->new_dentry")}},
	{"rmdir", "entry vfs_rmdir", NULL, {DENTRY_ARG("args[2]")}},
	{"stat", "entry vfs_getattr", NULL,
	 {{.expr = "args[0]->dentry", .native = "struct dentry *", .xlate = "fileinfo_t *"}}},
	{"unlink", "entry vfs_unlink", NULL, {DENTRY_ARG("args[2]")}},
	{"write", "entry vfs_write", NULL, {FILE_ARG("args[0]"), LONG("args[2]")}},
	{"write-done", "return vfs_write", NULL, {FILE_ARG("args[0]"), LONG("ret")}},
};

/* The module is built on its own and may have no types: what has them says more (fbt:zfs). */
static const struct stable_probe zfs_rows[] = {
	{"arc-read", "entry zfs`arc_read"},
	{"fsync", "entry zfs`zfs_fsync"},
	{"read", "entry zfs`zfs_read"},
	{"read-done", "return zfs`zfs_read"},
	{"txg-sync-done", "return zfs`spa_sync"},
	{"txg-sync-start", "entry zfs`spa_sync", NULL, {ULONG("arg0"), ULONG("arg1")}},
	{"write", "entry zfs`zfs_write"},
	{"write-done", "return zfs`zfs_write"},
	{"zil-commit", "entry zfs`zil_commit"},
	{"zio-execute", "entry zfs`zio_execute", NULL, {ULONG("arg0")}},
	{"zio-interrupt", "entry zfs`zio_interrupt", NULL, {ULONG("arg0")}},
};

STABLE_PROVIDER(fsinfo, fsinfo_rows);
STABLE_PROVIDER(vfs, vfs_rows);
STABLE_PROVIDER(zfs, zfs_rows);
