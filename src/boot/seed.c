/* See seed.h. */
#include "boot/seed.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"

#define MAX_DEPTH 64

static int
copy_file(int from, int to, const char *name, const struct stat *st, struct error *err)
{
	cleanup_close int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_close int out = -1;
	ssize_t n;

	if (in < 0)
		return error_set_errno(err, errno, "%s", name);
	/* Unnamed until it is whole, so that a power cut leaves no half file. */
	out = openat(to, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (out < 0)
		return error_set_errno(err, errno, "%s", name);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	if (n < 0 || fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0)
		return error_set_errno(err, errno, "%s", name);
	{
		char proc[64];

		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", out);
		if (linkat(AT_FDCWD, proc, to, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
			return error_set_errno(err, errno, "%s", name);
	}
	return 0;
}

static int
copy_link(int from, int to, const char *name, struct error *err)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return error_set_errno(err, errno, "%s", name);
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s", name);
	return 0;
}

static int copy_dir(int from, int to, int depth, struct error *err);

static int
copy_entry(int from, int to, const char *name, int depth, struct error *err)
{
	struct stat st, have;
	bool there = fstatat(to, name, &have, AT_SYMLINK_NOFOLLOW) == 0;
	cleanup_close int sub = -1, tosub = -1;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set_errno(err, errno, "%s", name);
	if (S_ISREG(st.st_mode))
		return there ? 0 : copy_file(from, to, name, &st, err);
	if (S_ISLNK(st.st_mode))
		return there ? 0 : copy_link(from, to, name, err);
	if (!S_ISDIR(st.st_mode) || (there && !S_ISDIR(have.st_mode)))
		return 0;
	if (!there && mkdirat(to, name, 0700) < 0)
		return error_set_errno(err, errno, "%s", name);
	sub = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	tosub = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub < 0 || tosub < 0)
		return error_set_errno(err, errno, "%s", name);
	if (!there && (fchown(tosub, st.st_uid, st.st_gid) < 0 ||
		       fchmod(tosub, st.st_mode & 07777) < 0))
		return error_set_errno(err, errno, "%s", name);
	return error_wrap(err, copy_dir(sub, tosub, depth + 1, err), "%s", name);
}

static int
copy_dir(int from, int to, int depth, struct error *err)
{
	int fd = depth < MAX_DEPTH ? openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	int r = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return error_set(err, ELOOP, "directory cannot be read");
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_entry(from, to, e->d_name, depth, err);
	closedir(d);
	return r;
}

int
seed_tree(const char *from, const char *to, struct error *err)
{
	cleanup_close int in = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int out = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (in < 0)
		return error_set_errno(err, errno, "%s", from);
	if (out < 0)
		return error_set_errno(err, errno, "%s", to);
	return error_wrap(err, copy_dir(in, out, 0, err), "%s", to);
}
