#include "os/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The kernel need not stop for every run of pages; other threads may in between. */
#define RUNS 256
#define BATCH_PAGES 16384

int
pagemap_open(struct pagemap *p, bool track, struct error *err)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC};

	p->uffd = -1;
	p->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (p->fd < 0)
		return error_set_errno(err, errno, "/proc/self/pagemap");
	if (!track)
		return 0;
	/* USER_MODE_ONLY needs no privilege, and nothing here ever waits for a fault. */
	p->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (p->uffd >= 0 && ioctl(p->uffd, UFFDIO_API, &api) == 0)
		return 0;

	int r = error_set_errno(err, errno,
				"this kernel cannot tell which pages are written (userfaultfd)");

	pagemap_close(p);
	return r;
}

void
pagemap_close(struct pagemap *p)
{
	/* Closing it takes the protection away. */
	cleanup_closep(&p->uffd);
	cleanup_closep(&p->fd);
	p->uffd = p->fd = -1;
}

int
pagemap_track(struct pagemap *p, void *at, uint64_t len, struct error *err)
{
	struct uffdio_register reg = {.range = {(uintptr_t)at, len}, .mode = UFFDIO_REGISTER_MODE_WP};

	return ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0
		       ? error_set_errno(err, errno, "cannot track memory")
		       : 0;
}

int
pagemap_walk(struct pagemap *p, const void *at, uint64_t len, pagemap_fn *fn, void *arg,
	     struct error *err)
{
	struct page_region run[RUNS];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = (uintptr_t)at,
		.end = (uintptr_t)at + len,
		.vec = (uintptr_t)run,
		.vec_len = RUNS,
		.max_pages = BATCH_PAGES,
		/* Holes count as written otherwise. */
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};

	if (p->uffd >= 0) {
		scan.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC;
		scan.category_mask = PAGE_IS_WRITTEN;
	}
	for (; scan.start < scan.end; scan.start = scan.walk_end) {
		long n = ioctl(p->fd, PAGEMAP_SCAN, &scan);

		if (n < 0)
			return error_set_errno(err, errno, "cannot look through memory");
		for (long i = 0; i < n; i++)
			TRY(fn(arg, (const uint8_t *)(uintptr_t)run[i].start,
			       run[i].end - run[i].start, err));
	}
	return 0;
}
