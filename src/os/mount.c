#include "os/mount.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

int
mnt_new(const char *fstype, const char *const opts[], uint64_t attrs, int *ret_fd,
	struct error *err)
{
	cleanup_close int ctx = -1;
	int fd;

	ctx = (int)syscall(SYS_fsopen, fstype, FSOPEN_CLOEXEC);
	if (ctx < 0)
		return error_set_errno(err, errno, "filesystem %s", fstype);
	for (size_t i = 0; opts && opts[i]; i++) {
		cleanup_free char *key = xstrdup(opts[i]);
		char *value = strchr(key, '=');
		long r;

		if (value)
			*value++ = '\0';
		r = syscall(SYS_fsconfig, ctx, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key,
			    value, 0);
		if (r < 0)
			return error_set_errno(err, errno, "filesystem %s: option %s", fstype,
					       opts[i]);
	}
	if (syscall(SYS_fsconfig, ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set_errno(err, errno, "filesystem %s", fstype);
	fd = (int)syscall(SYS_fsmount, ctx, FSMOUNT_CLOEXEC, (unsigned)attrs);
	if (fd < 0)
		return error_set_errno(err, errno, "mounting %s", fstype);
	*ret_fd = fd;
	return 0;
}

int
mnt_clone(int dirfd, const char *path, bool recursive, int *ret_fd, struct error *err)
{
	int fd = (int)syscall(SYS_open_tree, dirfd, path,
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW |
				      (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH));

	if (fd < 0)
		return error_set_errno(err, errno, "binding %s", *path ? path : "a descriptor");
	*ret_fd = fd;
	return 0;
}

static int
set_attr(int fd, struct mount_attr *attr, bool recursive, const char *what, struct error *err)
{
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), attr,
		    sizeof(*attr)) < 0)
		return error_set_errno(err, errno, "%s", what);
	return 0;
}

int
mnt_set(int fd, uint64_t attrs, bool recursive, struct error *err)
{
	struct mount_attr attr = {.attr_set = attrs};

	return set_attr(fd, &attr, recursive, "mount attributes", err);
}

int
mnt_clear(int fd, uint64_t attrs, struct error *err)
{
	struct mount_attr attr = {.attr_clr = attrs};

	return set_attr(fd, &attr, false, "mount attributes", err);
}

int
mnt_idmap(int fd, int userns_fd, bool recursive, struct error *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd};

	return set_attr(fd, &attr, recursive, "idmapped mount", err);
}

int
mnt_attach(int fd, int target_fd, struct error *err)
{
	if (syscall(SYS_move_mount, fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, "attaching a mount");
	return 0;
}

int
mnt_attach_path(int fd, const char *path, struct error *err)
{
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, "mounting at %s", path);
	return 0;
}

int
mnt_make_private(const char *path, struct error *err)
{
	if (mount(NULL, path, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set_errno(err, errno, "making %s private", path);
	return 0;
}

/* ---- paths of others ---- */

static int
open_how(int root_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	int fd;

	/* EAGAIN: somebody renamed while it walked "..": safe to try again */
	do
		fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

/* Every directory on the way, made if it is missing. */
static int
make_dirs(int root_fd, const char *path, uint64_t resolve, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	strv_words(&parts, path, "/");
	for (size_t i = 0; i < parts.n; i++) {
		cleanup_close int parent = -1;
		cleanup_close int fd = -1;

		parent = open_how(root_fd, b.len ? b.data : "/", O_PATH | O_DIRECTORY, 0, resolve);
		if (parent < 0)
			return error_set_errno(err, errno, "%s", b.len ? b.data : "/");
		if (mkdirat(parent, parts.v[i], 0755) < 0 && errno != EEXIST)
			return error_set_errno(err, errno, "%s", path);
		strbuf_addf(&b, "/%s", parts.v[i]);
	}
	return 0;
}

int
path_open_in(int root_fd, const char *path, unsigned flags, int *ret_fd, struct error *err)
{
	uint64_t resolve = flags & PATH_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0;
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	if (flags & PATH_MKDIR) {
		r = make_dirs(root_fd, path, resolve, err);
		if (r < 0)
			return r;
	}
	if (flags & PATH_FILE) {
		fd = open_how(root_fd, path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0644,
			      resolve);
		if (fd < 0)
			return error_set_errno(err, errno, "%s", path);
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return error_set(err, EINVAL, "%s is not a regular file", path);
		close(steal_fd(&fd));
	}
	fd = open_how(root_fd, path, O_PATH | (flags & PATH_DIR ? O_DIRECTORY : 0), 0, resolve);
	if (fd < 0 && errno == ELOOP && (flags & PATH_NO_LINKS))
		return error_set(err, ELOOP, "%s is, or lies behind, a symbolic link", path);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int
split(const char *path, char **ret_dir, const char **ret_base, struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (!*base || str_eq(base, ".") || str_eq(base, ".."))
		return error_set(err, EINVAL, "'%s' is no name of a file", path);
	*ret_dir = slash && slash != path ? xstrndup(path, (size_t)(slash - path)) : xstrdup("/");
	*ret_base = base;
	return 0;
}

int
path_write_in(int root_fd, const char *path, const void *data, size_t len, mode_t mode,
	      struct error *err)
{
	cleanup_free char *dir = NULL;
	cleanup_free char *tmp = NULL;
	cleanup_close int dfd = -1;
	cleanup_close int fd = -1;
	const char *base = NULL;
	int r;

	r = split(path, &dir, &base, err);
	if (r < 0)
		return r;
	r = path_open_in(root_fd, dir, PATH_DIR, &dfd, err);
	if (r < 0)
		return r;
	tmp = str_printf(".%s.new", base);
	unlinkat(dfd, tmp, 0);
	fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	r = fd_write_all(fd, data, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && renameat(dfd, tmp, dfd, base) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dfd, tmp, 0);
		return error_set_errno(err, -r, "%s", path);
	}
	return 0;
}

int
path_read_in(int root_fd, const char *path, size_t max, char **ret, size_t *ret_len,
	     struct error *err)
{
	cleanup_close int fd = -1;
	cleanup_free char *buf = NULL;
	struct stat st;
	ssize_t n;

	fd = open_how(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, 0);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s is not a regular file", path);
	buf = xmalloc(max + 1);
	n = fd_read_all(fd, buf, max);
	if (n < 0)
		return error_set_errno(err, (int)-n, "%s", path);
	buf[n] = '\0';
	*ret = steal_ptr(&buf);
	if (ret_len)
		*ret_len = (size_t)n;
	return 0;
}

int
path_resolve_in(int root_fd, const char *path, char **ret, struct error *err)
{
	cleanup_close int fd = -1;
	char link[64], root[PATH_MAX], full[PATH_MAX];
	const char *rest;
	ssize_t n;

	fd = open_how(root_fd, path, O_PATH, 0, 0);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", root_fd);
	n = readlink(link, root, sizeof(root) - 1);
	if (n < 0)
		return error_set_errno(err, errno, "%s", link);
	root[n] = '\0';
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return error_set_errno(err, errno, "%s", link);
	full[n] = '\0';
	if (str_eq(root, "/"))
		root[0] = '\0';
	rest = str_after(full, root);
	if (!rest)
		return error_set(err, EINVAL, "%s leads out of its root", path);
	*ret = xstrdup(*rest ? rest : "/");
	return 0;
}
