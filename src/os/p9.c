/*
 * A 9P2000.L server.
 *
 * A fid is a descriptor (O_PATH) of a file below the share, and another one if it was
 * opened.  Every request works on one fid and at most one name in it, which is a single
 * component: the kernel never follows a link or ".." for the guest, so nobody can leave the
 * share, whatever is renamed meanwhile.  Only regular files and directories are opened:
 * what a device or a FIFO of that directory is for, the guest's own kernel decides.
 *
 * Files belong to whoever the monitor runs as; to the guest that is root, and what it may not
 * give away stays so.  A monitor that is root gives files to whom the guest says.
 */
#include "os/p9.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define HEADER 7
#define NAMES_MAX 16 /* of a walk */

enum {
	RLERROR = 7, TSTATFS = 8, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18,
	TRENAME = 20, TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TXATTRWALK = 30,
	TXATTRCREATE = 32, TREADDIR = 40, TFSYNC = 50, TLOCK = 51, TGETLOCK = 54, TLINK = 70,
	TMKDIR = 72, TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100, TAUTH = 102, TATTACH = 104,
	TFLUSH = 108, TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122,
};

struct fid {
	uint32_t id;
	int path; /* O_PATH */
	int file; /* opened, or -1 */
};

struct p9 {
	int root, self; /* the shared directory; /proc/self/fd, to open what a fid is */
	bool ro;
	uint32_t msize;
	uid_t me;
	struct fid *fids; /* in no order; few */
	unsigned n_fids;
	/* The request and its answer: `in` is left of it, `out` is the end. */
	uint8_t *request, *answer;
	const uint8_t *in;
	size_t left, out;
};

static struct fid *get_fid(struct p9 *s);

/* ---- numbers and text ---- */

/* What the request does not have reads as 0 and spoils it (bad()). */
static uint64_t
get(struct p9 *s, unsigned size)
{
	uint64_t v = 0;

	if (s->left < size || !s->in) {
		s->in = NULL;
		return 0;
	}
	memcpy(&v, s->in, size);
	s->in += size;
	s->left -= size;
	return v;
}

static bool
bad(const struct p9 *s)
{
	return !s->in;
}

static void
put(struct p9 *s, unsigned size, uint64_t v)
{
	memcpy(s->answer + s->out, &v, size);
	s->out += size;
}

static const uint8_t *
get_bytes(struct p9 *s, size_t n)
{
	const uint8_t *p = s->in;

	if (bad(s) || s->left < n) {
		s->in = NULL;
		return NULL;
	}
	s->in += n;
	s->left -= n;
	return p;
}

static int
get_text(struct p9 *s, char *ret, size_t max)
{
	size_t n = get(s, 2);
	const uint8_t *p = get_bytes(s, n);

	if (!p || memchr(p, '\0', n))
		return -EINVAL;
	if (n >= max)
		return -ENAMETOOLONG;
	memcpy(ret, p, n);
	ret[n] = '\0';
	return 0;
}

/* One name in a directory. */
static int
get_name(struct p9 *s, char ret[NAME_MAX + 1])
{
	int r = get_text(s, ret, NAME_MAX + 1);

	if (r == 0 && (!*ret || strchr(ret, '/') || str_eq(ret, ".") || str_eq(ret, "..")))
		return -EINVAL;
	return r;
}

/*
 * What a request has behind its fid: 1, 2, 4, 8 a number of so many bytes, n one name in a
 * directory (char[NAME_MAX + 1]), t text (char[PATH_MAX]), f a fid that there is.
 */
static int
args(struct p9 *s, const char *what, ...)
{
	va_list ap;
	int r = 0;

	va_start(ap, what);
	for (; *what && r == 0; what++) {
		void *to = va_arg(ap, void *);
		uint64_t v;

		if (*what == 'n') {
			r = get_name(s, to);
		} else if (*what == 't') {
			r = get_text(s, to, PATH_MAX);
		} else if (*what == 'f') {
			*(struct fid **)to = get_fid(s);
			r = *(struct fid **)to ? 0 : -EBADF;
		} else {
			v = get(s, (unsigned)(*what - '0'));
			memcpy(to, &v, (size_t)(*what - '0'));
		}
		r = bad(s) && r == 0 ? -EINVAL : r;
	}
	va_end(ap);
	return r;
}

/* Numbers of an answer, as args() reads those of a request; each is given as uint64_t. */
static void
reply(struct p9 *s, const char *what, ...)
{
	va_list ap;

	va_start(ap, what);
	for (; *what; what++)
		put(s, (unsigned)(*what - '0'), va_arg(ap, uint64_t));
	va_end(ap);
}

static void
put_text(struct p9 *s, const char *text)
{
	size_t n = strlen(text);

	put(s, 2, n);
	memcpy(s->answer + s->out, text, n);
	s->out += n;
}

/* ---- fids ---- */

static struct fid *
find_fid(struct p9 *s, uint32_t id)
{
	for (unsigned i = 0; i < s->n_fids; i++)
		if (s->fids[i].id == id)
			return &s->fids[i];
	return NULL;
}

static struct fid *
get_fid(struct p9 *s)
{
	uint32_t id = (uint32_t)get(s, 4);

	return bad(s) ? NULL : find_fid(s, id);
}

/* Takes the descriptor over. */
static int
new_fid(struct p9 *s, uint32_t id, int path)
{
	if (s->n_fids == P9_MAX_FIDS || find_fid(s, id)) {
		close(path);
		return find_fid(s, id) ? -EBADF : -ENFILE;
	}
	s->fids[s->n_fids++] = (struct fid){id, path, -1};
	return 0;
}

static void
drop_fid(struct p9 *s, struct fid *f)
{
	cleanup_closep(&f->path);
	cleanup_closep(&f->file);
	*f = s->fids[--s->n_fids];
}

static void
drop_all(struct p9 *s)
{
	while (s->n_fids)
		drop_fid(s, &s->fids[s->n_fids - 1]);
}

/* ---- files ---- */

static int
open_in(int dir, const char *name, uint64_t flags, uint64_t mode)
{
	struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW, .mode = mode,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					  RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The name under which /proc has a descriptor of ours. */
static const char *
own_name(int fd, char buf[16])
{
	snprintf(buf, 16, "%d", fd);
	return buf;
}

static int
result(int r)
{
	return r < 0 ? -errno : 0;
}

/* What a fid is, opened: never a device, a FIFO or a link. */
static int
reopen(struct p9 *s, const struct fid *f, int flags)
{
	char name[16];
	struct stat st;
	int fd;

	if (fstat(f->path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EPERM;
	fd = openat(s->self, own_name(f->path, name), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static uint64_t
id_of_file(const struct stat *st)
{
	/* mounts below the share have numbers of their own */
	return st->st_ino ^ (uint64_t)st->st_dev << 44;
}

static void
put_qid(struct p9 *s, const struct stat *st)
{
	put(s, 1, S_ISDIR(st->st_mode) ? 0x80 : S_ISLNK(st->st_mode) ? 0x02 : 0);
	put(s, 4, (uint32_t)st->st_mtim.tv_nsec ^ (uint32_t)st->st_mtim.tv_sec);
	put(s, 8, id_of_file(st));
}

static int
put_qid_of(struct p9 *s, int fd)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	put_qid(s, &st);
	return 0;
}

static uint32_t
guest_id(const struct p9 *s, uint32_t id)
{
	return id == s->me ? 0 : id;
}

/* A file the guest made belongs to whom it says, if that is ours to decide. */
static int
own(struct p9 *s, int dir, const char *name, uint32_t gid)
{
	if (s->me)
		return 0;
	return result(fchownat(dir, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
}

/* The end of everything that makes a name: its owner, and what it is. */
static int
made(struct p9 *s, int r, int dir, const char *name, uint32_t gid)
{
	struct stat st;

	if (r == 0)
		r = own(s, dir, name, gid);
	if (r == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0)
		put_qid(s, &st);
	return r;
}

/* ---- requests: each reads the rest of its own, does it, and writes the answer's ---- */

static int
t_version(struct p9 *s, struct fid *f)
{
	char version[PATH_MAX];
	uint32_t msize;

	if (args(s, "4t", &msize, version) < 0 || msize < 4096)
		return -EINVAL;
	drop_all(s);
	s->msize = msize < P9_MESSAGE_MAX ? msize : P9_MESSAGE_MAX;
	put(s, 4, s->msize);
	put_text(s, str_eq(version, "9P2000.L") ? version : "unknown");
	return 0;
}

static int
t_attach(struct p9 *s, struct fid *f)
{
	uint32_t id;
	int fd, r = args(s, "4", &id);

	if (r < 0)
		return r;
	fd = fcntl(s->root, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = put_qid_of(s, fd);
	if (r == 0)
		return new_fid(s, id, fd);
	close(fd);
	return r;
}

/* Whatever a flush is of has been answered: requests are done in order. */
static int
t_nothing(struct p9 *s, struct fid *f)
{
	return 0;
}

static int
t_walk(struct p9 *s, struct fid *f)
{
	size_t count_at = s->out;
	unsigned done = 0;
	uint32_t to;
	uint16_t n;
	int at = -1, r = args(s, "42", &to, &n);

	if (r < 0 || n > NAMES_MAX)
		return -EINVAL;
	at = fcntl(f->path, F_DUPFD_CLOEXEC, 0);
	if (at < 0)
		return -errno;
	put(s, 2, 0);
	while (done < n && r == 0) {
		char name[NAME_MAX + 1];
		int next;

		r = get_name(s, name);
		next = r == 0 ? open_in(at, name, O_PATH, 0) : r;
		if (next < 0) {
			r = next;
			break;
		}
		close(at);
		at = next;
		r = put_qid_of(s, at);
		done += r == 0;
	}
	s->answer[count_at] = (uint8_t)done;
	if (done < n) {
		close(at);
		return done ? 0 : r; /* the answer says how far it came */
	}
	if (to != f->id)
		return new_fid(s, to, at);
	if (f->file >= 0) {
		close(at);
		return -EBUSY;
	}
	close(f->path);
	f->path = at;
	return 0;
}

static int
t_clunk(struct p9 *s, struct fid *f)
{
	drop_fid(s, f);
	return 0;
}

static int
t_remove(struct p9 *s, struct fid *f)
{
	drop_fid(s, f); /* as the protocol has it, whatever comes of it */
	return -EOPNOTSUPP;
}

static int
t_unsupported(struct p9 *s, struct fid *f)
{
	return -EOPNOTSUPP; /* the driver has another request for it */
}

static int
t_lopen(struct p9 *s, struct fid *f)
{
	uint32_t flags;
	int fd;

	if (args(s, "4", &flags) < 0 || f->file >= 0)
		return -EINVAL;
	flags &= O_ACCMODE | O_TRUNC | O_DIRECTORY | O_DSYNC | O_SYNC;
	if (s->ro && (flags & (O_ACCMODE | O_TRUNC)))
		return -EROFS;
	fd = reopen(s, f, (int)flags);
	if (fd < 0)
		return fd;
	f->file = fd;
	put_qid_of(s, fd);
	put(s, 4, 0); /* as much at a time as fits */
	return 0;
}

static int
t_lcreate(struct p9 *s, struct fid *f)
{
	char name[NAME_MAX + 1];
	uint32_t flags, mode, gid;
	struct stat st;
	int fd, r = args(s, "n444", name, &flags, &mode, &gid);

	if (r < 0 || f->file >= 0)
		return r < 0 ? r : -EINVAL;
	flags &= O_ACCMODE | O_TRUNC | O_EXCL | O_DSYNC | O_SYNC;
	fd = open_in(f->path, name, flags | O_CREAT | O_NONBLOCK | O_NOCTTY, mode & 07777);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = -EPERM;
	if (r == 0)
		r = own(s, fd, "", gid);
	if (r < 0) {
		close(fd);
		return r;
	}
	/* from now on the fid is the file */
	close(f->path);
	f->path = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->path < 0) {
		f->path = fd;
		return -EMFILE;
	}
	f->file = fd;
	put_qid(s, &st);
	put(s, 4, 0);
	return 0;
}

static int
t_symlink(struct p9 *s, struct fid *f)
{
	char name[NAME_MAX + 1], target[PATH_MAX];
	uint32_t gid;

	TRY(args(s, "nt4", name, target, &gid));
	return made(s, result(symlinkat(target, f->path, name)), f->path, name, gid);
}

static int
t_mknod(struct p9 *s, struct fid *f)
{
	char name[NAME_MAX + 1];
	uint32_t mode, gid;
	uint64_t number;

	TRY(args(s, "n484", name, &mode, &number, &gid));
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EPERM; /* a device of the host's, in the guest's hands? */
	return made(s, result(mknodat(f->path, name, mode, 0)), f->path, name, gid);
}

static int
t_mkdir(struct p9 *s, struct fid *f)
{
	char name[NAME_MAX + 1];
	uint32_t mode, gid;

	TRY(args(s, "n44", name, &mode, &gid));
	return made(s, result(mkdirat(f->path, name, mode & 07777)), f->path, name, gid);
}

static int
t_link(struct p9 *s, struct fid *dir)
{
	char name[NAME_MAX + 1], what[16];
	struct fid *f;

	TRY(args(s, "fn", &f, name));
	return result(linkat(s->self, own_name(f->path, what), dir->path, name, AT_SYMLINK_FOLLOW));
}

static int
t_renameat(struct p9 *s, struct fid *from)
{
	char old[NAME_MAX + 1], new[NAME_MAX + 1];
	struct fid *to;

	TRY(args(s, "nfn", old, &to, new));
	return result(renameat2(from->path, old, to->path, new, 0));
}

static int
t_unlinkat(struct p9 *s, struct fid *f)
{
	char name[NAME_MAX + 1];
	uint32_t flags;

	TRY(args(s, "n4", name, &flags));
	return result(unlinkat(f->path, name, (int)flags & AT_REMOVEDIR));
}

static int
t_readlink(struct p9 *s, struct fid *f)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(f->path, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	put_text(s, target);
	return 0;
}

static int
t_statfs(struct p9 *s, struct fid *f)
{
	struct statfs fs;
	uint64_t id;

	if (fstatfs(f->path, &fs) < 0)
		return -errno;
	memcpy(&id, &fs.f_fsid, sizeof(id));
	put(s, 4, 0x01021997);
	reply(s, "4888888", (uint64_t)fs.f_bsize, (uint64_t)fs.f_blocks, (uint64_t)fs.f_bfree,
	      (uint64_t)fs.f_bavail, (uint64_t)fs.f_files, (uint64_t)fs.f_ffree, id);
	put(s, 4, (uint32_t)fs.f_namelen);
	return 0;
}

#define GETATTR_BASIC 0x7ff

static int
t_getattr(struct p9 *s, struct fid *f)
{
	struct stat st;

	/* of an open file that has no name any more, too */
	if (fstatat(f->path, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	put(s, 8, GETATTR_BASIC);
	put_qid(s, &st);
	put(s, 4, st.st_mode);
	put(s, 4, guest_id(s, st.st_uid));
	put(s, 4, guest_id(s, st.st_gid));
	reply(s, "88888", (uint64_t)st.st_nlink, (uint64_t)st.st_rdev, (uint64_t)st.st_size,
	      (uint64_t)st.st_blksize, (uint64_t)st.st_blocks);
	reply(s, "888888", (uint64_t)st.st_atim.tv_sec, (uint64_t)st.st_atim.tv_nsec,
	      (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec,
	      (uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec);
	/* No time of birth, generation or version of the data. */
	reply(s, "8888", (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
	return 0;
}

enum {
	SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 16, SET_MTIME = 32,
	SET_ATIME_TO = 128, SET_MTIME_TO = 256,
};

static int
set_size(struct p9 *s, struct fid *f, uint64_t size)
{
	int fd, r;

	if (f->file >= 0 && ftruncate(f->file, (off_t)size) == 0)
		return 0;
	fd = reopen(s, f, O_WRONLY);
	if (fd < 0)
		return fd;
	r = result(ftruncate(fd, (off_t)size));
	close(fd);
	return r;
}

static int
set_owner(struct p9 *s, struct fid *f, bool user, uint32_t uid, bool group, uint32_t gid)
{
	/* what is ours looks like root's, and stays so */
	if (s->me)
		return (!user || uid == 0) && (!group || gid == 0) ? 0 : -EPERM;
	return result(fchownat(f->path, "", user ? uid : (uid_t)-1, group ? gid : (gid_t)-1,
			       AT_EMPTY_PATH));
}

static int
t_setattr(struct p9 *s, struct fid *f)
{
	uint32_t valid, mode, uid, gid;
	uint64_t size, v[4];
	struct timespec t[2];
	char name[16];
	int r = 0;

	TRY(args(s, "444488888", &valid, &mode, &uid, &gid, &size, &v[0], &v[1], &v[2], &v[3]));
	own_name(f->path, name);
	if (valid & (SET_UID | SET_GID))
		r = set_owner(s, f, valid & SET_UID, uid, valid & SET_GID, gid);
	if (r == 0 && (valid & SET_MODE))
		r = result(fchmodat(s->self, name, mode & 07777, 0));
	if (r == 0 && (valid & SET_SIZE))
		r = set_size(s, f, size);
	if (r < 0 || !(valid & (SET_ATIME | SET_MTIME)))
		return r;
	for (unsigned i = 0; i < 2; i++) {
		t[i].tv_sec = (time_t)v[2 * i];
		t[i].tv_nsec = !(valid & SET_ATIME << i)     ? UTIME_OMIT :
			       !(valid & SET_ATIME_TO << i)  ? UTIME_NOW :
			       v[2 * i + 1] < 1000000000     ? (long)v[2 * i + 1] : -1;
		if (t[i].tv_nsec < 0)
			return -EINVAL;
	}
	return result(utimensat(s->self, name, t, 0));
}

static int
t_fsync(struct p9 *s, struct fid *f)
{
	uint32_t data_only = s->left >= 4 ? (uint32_t)get(s, 4) : 0;

	if (f->file < 0)
		return -EBADF;
	return result(data_only ? fdatasync(f->file) : fsync(f->file));
}

/* How much of an answer is left for data. */
static uint32_t
room(const struct p9 *s, uint64_t wanted)
{
	uint64_t most = s->msize - s->out - 4;

	return (uint32_t)(wanted < most ? wanted : most);
}

static int
t_read(struct p9 *s, struct fid *f)
{
	uint64_t offset;
	uint32_t count;
	ssize_t n;

	if (args(s, "84", &offset, &count) < 0 || f->file < 0)
		return bad(s) ? -EINVAL : -EBADF;
	n = pread(f->file, s->answer + s->out + 4, room(s, count), (off_t)offset);
	if (n < 0)
		return -errno;
	put(s, 4, (uint64_t)n);
	s->out += (size_t)n;
	return 0;
}

static int
t_write(struct p9 *s, struct fid *f)
{
	uint64_t offset = get(s, 8), count = get(s, 4);
	const uint8_t *data = get_bytes(s, count);
	ssize_t n;

	if (!data || f->file < 0)
		return data ? -EBADF : -EINVAL;
	n = pwrite(f->file, data, count, (off_t)offset);
	if (n < 0)
		return -errno;
	put(s, 4, (uint64_t)n);
	return 0;
}

static int
t_readdir(struct p9 *s, struct fid *f)
{
	uint64_t offset;
	uint32_t count;
	size_t count_at = s->out, end;
	char entries[8192] __attribute__((aligned(8)));
	ssize_t n;

	if (args(s, "84", &offset, &count) < 0 || f->file < 0)
		return bad(s) ? -EINVAL : -EBADF;
	end = s->out + 4 + room(s, count);
	if (lseek(f->file, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	put(s, 4, 0);
	while ((n = getdents64(f->file, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(entries + at);
			size_t len = strlen(e->d_name);

			if (s->out + 13 + 8 + 1 + 2 + len > end)
				goto full;
			put(s, 1, e->d_type == DT_DIR ? 0x80 : e->d_type == DT_LNK ? 0x02 : 0);
			put(s, 4, 0);
			put(s, 8, e->d_ino);
			put(s, 8, (uint64_t)e->d_off);
			put(s, 1, e->d_type);
			put_text(s, e->d_name);
			at += e->d_reclen;
		}
	}
	if (n < 0)
		return -errno;
full:
	end = s->out - count_at - 4;
	memcpy(s->answer + count_at, &end, 4);
	return 0;
}

/* Locks are the open file's, so guests of the same directory and the host's programs see them. */
static int
lock(struct p9 *s, struct fid *f, bool set)
{
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	uint8_t type = (uint8_t)get(s, 1);
	struct flock l = {.l_whence = SEEK_SET};

	if (set)
		get(s, 4); /* flags: nobody waits here, the driver asks again */
	l.l_start = (off_t)get(s, 8);
	l.l_len = (off_t)get(s, 8);
	if (bad(s) || type > 2)
		return -EINVAL;
	if (f->file < 0)
		return -EBADF;
	l.l_type = types[type];
	if (set) {
		bool got = fcntl(f->file, F_OFD_SETLK, &l) == 0;

		if (!got && errno != EAGAIN && errno != EACCES)
			return -errno;
		put(s, 1, !got);
		return 0;
	}
	if (fcntl(f->file, F_OFD_GETLK, &l) < 0)
		return -errno;
	put(s, 1, l.l_type == F_RDLCK ? 0 : l.l_type == F_WRLCK ? 1 : 2);
	put(s, 8, (uint64_t)l.l_start);
	put(s, 8, (uint64_t)l.l_len);
	put(s, 4, 0);
	put_text(s, "");
	return 0;
}

static int
t_lock(struct p9 *s, struct fid *f)
{
	return lock(s, f, true);
}

static int
t_getlock(struct p9 *s, struct fid *f)
{
	return lock(s, f, false);
}

/* ---- the table ---- */

enum { NO_FID = 1, WRITES = 2 };

static const struct {
	uint8_t type, flags;
	int (*fn)(struct p9 *s, struct fid *f); /* f: the fid it begins with */
} requests[] = {
	{TVERSION, NO_FID, t_version}, {TATTACH, NO_FID, t_attach}, {TFLUSH, NO_FID, t_nothing},
	{TAUTH, NO_FID, t_unsupported}, {TWALK, 0, t_walk}, {TCLUNK, 0, t_clunk},
	{TREMOVE, 0, t_remove}, {TLOPEN, 0, t_lopen}, {TLCREATE, WRITES, t_lcreate},
	{TSYMLINK, WRITES, t_symlink}, {TMKNOD, WRITES, t_mknod}, {TMKDIR, WRITES, t_mkdir},
	{TLINK, WRITES, t_link}, {TRENAMEAT, WRITES, t_renameat}, {TRENAME, 0, t_unsupported},
	{TUNLINKAT, WRITES, t_unlinkat}, {TREADLINK, 0, t_readlink}, {TSTATFS, 0, t_statfs},
	{TGETATTR, 0, t_getattr}, {TSETATTR, WRITES, t_setattr}, {TFSYNC, 0, t_fsync},
	{TREAD, 0, t_read}, {TWRITE, WRITES, t_write}, {TREADDIR, 0, t_readdir},
	{TLOCK, 0, t_lock}, {TGETLOCK, 0, t_getlock}, {TXATTRWALK, 0, t_unsupported},
	{TXATTRCREATE, 0, t_unsupported},
};

static int
dispatch(struct p9 *s, uint8_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct fid *f = NULL;

		if (requests[i].type != type)
			continue;
		if (type != TVERSION && !s->msize)
			return -EINVAL;
		if (!(requests[i].flags & NO_FID) && !(f = get_fid(s)))
			return bad(s) ? -EINVAL : -EBADF;
		if (s->ro && (requests[i].flags & WRITES))
			return -EROFS;
		return requests[i].fn(s, f);
	}
	return -EOPNOTSUPP;
}

size_t
p9_answer(struct p9 *s, size_t len, size_t space, const uint8_t **ret)
{
	uint32_t size;
	uint8_t type = s->request[4];
	int r;

	memcpy(&size, s->request, 4);
	if (len < HEADER || size < HEADER || size > len)
		return 0;
	s->in = s->request + HEADER;
	s->left = size - HEADER;
	s->out = HEADER;
	r = dispatch(s, type);
	if (r == 0 && s->out > space)
		r = -EMSGSIZE;
	if (r < 0) {
		s->out = HEADER;
		put(s, 4, (uint64_t)-r);
	}
	size = (uint32_t)s->out;
	memcpy(s->answer, &size, 4);
	s->answer[4] = r < 0 ? RLERROR : (uint8_t)(type + 1);
	memcpy(s->answer + 5, s->request + 5, 2);
	*ret = s->answer;
	return s->out <= space ? s->out : 0;
}

/* ---- setting up ---- */

int
p9_open(const char *path, bool ro, struct p9 **ret, struct error *err)
{
	struct p9 *s = xcalloc(1, sizeof(*s));

	s->ro = ro;
	s->me = geteuid();
	s->self = -1;
	s->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root >= 0)
		s->self = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->self < 0) {
		int r = error_set_errno(err, errno, "%s", s->root < 0 ? path : "/proc/self/fd");

		p9_free(s);
		return r;
	}
	s->fids = xcalloc(P9_MAX_FIDS, sizeof(*s->fids));
	s->request = xcalloc(1, P9_MESSAGE_MAX);
	/* the longest answers without a count are shorter than the smallest message size */
	s->answer = xcalloc(1, P9_MESSAGE_MAX + PATH_MAX);
	*ret = s;
	return 0;
}

uint8_t *
p9_request(struct p9 *s)
{
	return s->request;
}

void
p9_reset(struct p9 *s)
{
	drop_all(s);
	s->msize = 0;
}

void
p9_free(struct p9 *s)
{
	if (!s)
		return;
	drop_all(s);
	cleanup_closep(&s->root);
	cleanup_closep(&s->self);
	free(s->fids);
	free(s->request);
	free(s->answer);
	free(s);
}
