/* Whole-file reading and crash-safe writing. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_MAX (64u << 20)

/* As much as there is; at -1: where the descriptor stands. */
static ssize_t
transfer_all(int fd, void *buf, size_t len, off_t at, bool write_it)
{
	size_t done = 0;

	while (done < len) {
		char *p = (char *)buf + done;
		size_t left = len - done;
		ssize_t n = at < 0 ? (write_it ? write(fd, p, left) : read(fd, p, left))
				   : (write_it ? pwrite(fd, p, left, at + (off_t)done)
					       : pread(fd, p, left, at + (off_t)done));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

/* A write of nothing at all is no success. */
static int
write_all(int fd, const void *buf, size_t len, off_t at)
{
	ssize_t n = transfer_all(fd, (void *)(uintptr_t)buf, len, at, true);

	return n < 0 ? (int)n : (size_t)n == len ? 0 : -EIO;
}

int
fd_write_all(int fd, const void *buf, size_t len)
{
	return write_all(fd, buf, len, -1);
}

int
fd_pwrite_all(int fd, const void *buf, size_t len, off_t at)
{
	return write_all(fd, buf, len, at);
}

int
file_open(const char *path, int flags, int *ret_fd, struct error *err)
{
	cleanup_close int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || fcntl(fd, F_SETFL, flags) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, EINVAL, "%s is neither a file nor a block device", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

ssize_t
fd_read_all(int fd, void *buf, size_t len)
{
	return transfer_all(fd, buf, len, -1, false);
}

ssize_t
fd_pread_all(int fd, void *buf, size_t len, off_t at)
{
	return transfer_all(fd, buf, len, at, false);
}

/* Reads fd to its end. */
static int
slurp(int fd, const char *path, size_t max, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	if (!max)
		max = FILE_READ_MAX;
	for (;;) {
		size_t room = 16384;
		ssize_t n = fd_read_all(fd, strbuf_reserve(&b, room), room);

		if (n < 0)
			return error_set_errno(err, (int)-n, "cannot read %s", path);
		b.len += (size_t)n;
		if (b.len > max)
			return error_set(err, EFBIG, "%s is larger than %zu bytes", path, max);
		if ((size_t)n < room)
			break;
	}
	if (ret_len)
		*ret_len = b.len;
	*ret = strbuf_steal(&b);
	return 0;
}

int
file_read_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	     struct error *err)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open %s", path);
	return slurp(fd, path, max, ret, ret_len, err);
}

int
file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct error *err)
{
	if (str_eq(path, "-"))
		return slurp(STDIN_FILENO, "standard input", max, ret, ret_len, err);
	return file_read_at(AT_FDCWD, path, max, ret, ret_len, err);
}

int
file_read_line(const char *path, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	int r = file_read(path, 0, &text, NULL, err);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	*ret = steal_ptr(&text);
	return 0;
}

/* Waits for the lock, or not; -EWOULDBLOCK. */
static int
lock_fd(int fd, bool wait)
{
	while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The directory of path, or "."; where its name begins. */
static char *
split(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/*
 * What is not whole yet has one name in a directory (a writer's user in it), and its writer holds
 * its lock.  So no reader of directories takes it for one of theirs, two who write the same file do
 * not meet, and what a killed writer left is used by the next, whatever he writes there.  Nobody
 * but its user may open it while it is written, so nobody else can keep the lock; what another user
 * laid there (the directory may be a zone's, or /tmp) goes.
 */
#define UNFINISHED ".unfinished.%u"
#define STRANGERS_MAX 100

/* 1: its lock is held, and the name is still its own; 0: it became a file; -ESTALE: a stranger's, gone. */
static int
take_unfinished(int dir, const char *name, int fd)
{
	struct stat own, now;
	int r;

	if (fstat(fd, &own) < 0)
		return -errno;
	if (!S_ISREG(own.st_mode) || own.st_uid != geteuid())
		return unlinkat(dir, name, 0) < 0 ? -errno : -ESTALE;
	r = lock_fd(fd, true);
	if (r < 0)
		return r;
	if (fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return now.st_ino == own.st_ino && now.st_dev == own.st_dev;
}

/* Ours, empty or not, locked. */
static int
open_unfinished(int dir, const char *name, int *ret_fd)
{
	for (int strangers = 0; strangers < STRANGERS_MAX;) {
		int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
		cleanup_close int fd = openat(dir, name, flags, 0600);
		int r;

		if (fd >= 0)
			r = take_unfinished(dir, name, fd);
		else if (errno == ELOOP || errno == EACCES) /* a link, or (in /tmp) another user's */
			r = unlinkat(dir, name, 0) < 0 ? -EACCES : -ESTALE;
		else
			return -errno;
		if (r == 1) {
			*ret_fd = steal_fd(&fd);
			return 0;
		}
		if (r < 0 && r != -ESTALE)
			return r;
		strangers += r == -ESTALE;
	}
	return -ELOOP;
}

static int
write_unfinished(int fd, const void *data, size_t len, mode_t mode)
{
	int r = ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0 ? -errno : fd_write_all(fd, data, len);

	return r < 0 ? r : fsync(fd) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

int
file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	const char *name;
	cleanup_free char *parent = split(path, &name);
	cleanup_free char *unfinished = str_printf(UNFINISHED, geteuid());
	cleanup_close int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = -1;
	int r = dir < 0 ? -errno : open_unfinished(dir, unfinished, &fd);

	if (r < 0)
		return error_set_errno(err, -r, "cannot write %s", path);
	r = write_unfinished(fd, data, len, mode);
	if (r == 0 && renameat(dir, unfinished, dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, unfinished, 0);
		return error_set_errno(err, -r, "cannot write %s", path);
	}
	return fsync(dir) < 0 ? error_set_errno(err, errno, "cannot sync %s", parent) : 0;
}

int
file_write(const char *path, const char *text, struct error *err)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open %s", path);
	if (write(fd, text, len) != (ssize_t)len)
		return error_set_errno(err, errno, "cannot write \"%s\" to %s", text, path);
	return 0;
}

int
file_mkdir_p(const char *path, mode_t mode, struct error *err)
{
	cleanup_free char *p = xstrdup(path);
	size_t len = strlen(p);

	for (size_t i = 1; i <= len; i++) {
		if (p[i] != '/' && p[i] != '\0')
			continue;
		p[i] = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return error_set_errno(err, errno, "cannot make directory %s", p);
		if (i < len)
			p[i] = '/';
	}
	return 0;
}

bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Removes what is in the directory fd (which is taken) on device dev. */
static int
remove_children(int fd, dev_t dev, const char *path, struct error *err)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = error_set_errno(err, errno, "cannot read %s", path);
		close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d))) {
		cleanup_free char *child = NULL;
		struct stat st;
		int sub;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		child = str_printf("%s/%s", path, e->d_name);
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = error_set_errno(err, errno, "cannot stat %s", child);
			break;
		}
		if (st.st_dev != dev) {
			r = error_set(err, EXDEV, "%s is a mount point", child);
			break;
		}
		if (S_ISDIR(st.st_mode)) {
			sub = openat(dirfd(d), e->d_name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub < 0)
				r = error_set_errno(err, errno, "cannot open %s", child);
			else
				r = remove_children(sub, dev, child, err);
		}
		if (r == 0 &&
		    unlinkat(dirfd(d), e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
			r = error_set_errno(err, errno, "cannot remove %s", child);
	}
	closedir(d);
	return r;
}

int
file_remove_tree(const char *path, struct error *err)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "cannot stat %s", path);
	if (!S_ISDIR(st.st_mode)) {
		if (unlink(path) < 0)
			return error_set_errno(err, errno, "cannot remove %s", path);
		return 0;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "cannot open %s", path);
	r = remove_children(fd, st.st_dev, path, err);
	if (r == 0 && rmdir(path) < 0)
		r = error_set_errno(err, errno, "cannot remove %s", path);
	return r;
}

int
file_lock(const char *path, bool wait, int *ret_fd, struct error *err)
{
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	int r;

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open lock %s", path);
	r = lock_fd(fd, wait);
	if (r == -EWOULDBLOCK)
		return error_set(err, EWOULDBLOCK, "%s is locked by another process", path);
	if (r < 0)
		return error_set_errno(err, -r, "cannot lock %s", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}
