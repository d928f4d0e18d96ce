/* Whole-file reading and crash-safe writing. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_MAX (64u << 20)

int
fd_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t
fd_read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
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

/* The directory of path, or ".". */
static char *
parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int
write_and_sync(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	cleanup_close int fd = -1;
	int r;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_set_errno(err, errno, "cannot create %s", path);
	r = fd_write_all(fd, data, len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r < 0)
		return error_set_errno(err, -r, "cannot write %s", path);
	return 0;
}

int
file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
	cleanup_free char *tmp = str_printf("%s.new", path);
	cleanup_free char *dir = parent_of(path);
	cleanup_close int dirfd = -1;
	int r = write_and_sync(tmp, data, len, mode, err);

	if (r == 0 && rename(tmp, path) < 0)
		r = error_set_errno(err, errno, "cannot rename %s to %s", tmp, path);
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || fsync(dirfd) < 0)
		return error_set_errno(err, errno, "cannot sync %s", dir);
	return 0;
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

	if (fd < 0)
		return error_set_errno(err, errno, "cannot open lock %s", path);
	while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return error_set(err, EWOULDBLOCK, "%s is locked by another process", path);
		return error_set_errno(err, errno, "cannot lock %s", path);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}
