/*
 * A kernel and its RAM disk in the guest's memory without a copy of them.
 *
 * Copying Debian's kernel (39 MB) is most of what a start takes.  Mapped from an ordinary file it
 * would be had in pages of 4 KiB: thousands of faults, each an exit, and the guest writes all over
 * its text while it starts.  So what a file gives to guest memory is laid out once, from its first
 * huge page to its last, in a file of hugetlbfs (the image), and each guest maps that privately:
 * what it only reads is shared by all, what it writes is copied two MiB at a time, when it does.
 *
 * Images are a cache: without hugetlbfs, or when its pool is empty, files are copied as before.
 * One is found by the identity of the file it was made of, and appears under its name when it is
 * complete.  The oldest goes when there are too many; guests that run keep what they have mapped.
 * The pool need not be set aside: with vm.nr_overcommit_hugepages its pages are taken when needed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "vmm/boot/boot.h"
#include "vmm/vm.h"

#define PREFIX "bhyve-"
#define KEPT 8

struct image {
	uint64_t gpa, size; /* whole huge pages */
	int file;
	const struct boot_piece *piece;
	unsigned n;
};

static bool
image_extent(const struct vm *vm, struct image *m)
{
	uint64_t low = mem_low_size(&vm->mem), first = low, end = 0;

	for (unsigned i = 0; i < m->n; i++) {
		const struct boot_piece *p = &m->piece[i];

		if (p->len > low || p->gpa > low - p->len)
			return false;
		first = p->gpa < first ? p->gpa : first;
		end = p->gpa + p->len > end ? p->gpa + p->len : end;
	}
	m->gpa = first & ~(MEM_HUGE_PAGE - 1);
	m->size = ((end + MEM_HUGE_PAGE - 1) & ~(MEM_HUGE_PAGE - 1)) - m->gpa;
	/* The first huge page holds what is not of the file (linux.c). */
	return end && m->gpa >= MEM_HUGE_PAGE;
}

void
cache_forget_oldest(int dir, const char *prefix)
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	cleanup_free char *oldest = NULL;
	struct timespec when = {0};
	struct dirent *e;
	unsigned n = 0;

	if (!d) {
		cleanup_closep(&fd);
		return;
	}
	rewinddir(d);
	while ((e = readdir(d))) {
		struct stat st;

		if (!str_after(e->d_name, prefix) || fstatat(dir, e->d_name, &st, 0) < 0)
			continue;
		n++;
		if (oldest && (st.st_mtim.tv_sec > when.tv_sec ||
			       (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec > when.tv_nsec)))
			continue;
		free(oldest);
		oldest = xstrdup(e->d_name);
		when = st.st_mtim;
	}
	closedir(d);
	if (n >= KEPT)
		unlinkat(dir, oldest, 0);
}

static int
image_fill(int fd, const struct image *m)
{
	uint8_t *at = fallocate(fd, 0, 0, (off_t)m->size) < 0
			      ? MAP_FAILED
			      : mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool whole = at != MAP_FAILED;

	for (unsigned i = 0; whole && i < m->n; i++)
		whole = pread(m->file, at + (m->piece[i].gpa - m->gpa), m->piece[i].len,
			      (off_t)m->piece[i].offset) == (ssize_t)m->piece[i].len;
	if (at != MAP_FAILED)
		munmap(at, m->size);
	return whole ? 0 : -ENOTSUP;
}

static int
image_make(int dir, const char *name, const struct image *m, int *ret_fd)
{
	cleanup_free char *unfinished = str_printf("%s.%d", name, (int)getpid());
	cleanup_close int fd = -1;
	int r;

	cache_forget_oldest(dir, PREFIX);
	fd = openat(dir, unfinished, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -ENOTSUP;
	r = image_fill(fd, m);
	if (r == 0 && renameat(dir, unfinished, dir, name) < 0)
		r = -ENOTSUP;
	if (r < 0)
		unlinkat(dir, unfinished, 0);
	else
		*ret_fd = steal_fd(&fd);
	return r;
}

int
image_map(struct vm *vm, int file, const struct boot_piece *piece, unsigned n, struct error *err)
{
	const char *path = config_get(vm->config, "boot.images", "/dev/hugepages");
	cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image m = {.file = file, .piece = piece, .n = n};
	cleanup_close int fd = -1;
	struct statfs fs;
	struct stat st;
	int r;

	if (dir < 0 || fstatfs(dir, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC ||
	    fs.f_bsize != (long)MEM_HUGE_PAGE || fstat(file, &st) < 0 || !image_extent(vm, &m))
		return error_set(err, ENOTSUP, "no images in %s", path);

	cleanup_free char *name = str_printf(
		PREFIX "%llx-%llx-%llx-%llx.%lx", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino, (unsigned long long)st.st_size,
		(unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec);

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? image_make(dir, name, &m, &fd) : 0;
	if (r < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (uint64_t)st.st_size != m.size)
		return error_set(err, ENOTSUP, "no usable image in %s", path);
	return mem_map_image(&vm->mem, m.gpa, m.size, fd, err);
}
