#include "vmm/dirty.h"

#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_MAIN, "userfaultfd");

/* The kernel need not stop for every run of pages; the guest may in between. */
#define RUNS 256
#define BATCH_PAGES 16384

/* USER_MODE_ONLY needs no privilege, and nothing here ever waits for a fault. */
static int
track(struct dirty *d, struct error *err)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC};

	d->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (d->uffd < 0 || ioctl(d->uffd, UFFDIO_API, &api) < 0)
		return error_set_errno(err, errno,
				       "this kernel cannot tell which pages are written (userfaultfd)");
	for (unsigned i = 0; i < MEM_RAM_SLOTS; i++) {
		const struct mem_region *r = &d->mem->slot[i];
		struct uffdio_register reg = {.range = {(uintptr_t)r->hva, r->size},
					      .mode = UFFDIO_REGISTER_MODE_WP};

		if (r->size && ioctl(d->uffd, UFFDIO_REGISTER, &reg) < 0)
			return error_set_errno(err, errno, "cannot track guest memory");
	}
	return 0;
}

int
dirty_open(struct dirty *d, const struct mem *mem, bool tracking, struct error *err)
{
	int r;

	*d = (struct dirty){.mem = mem, .uffd = -1};
	d->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (d->pagemap < 0)
		return error_set_errno(err, errno, "/proc/self/pagemap");
	r = mem_populate_images(mem, err);
	if (r == 0 && tracking)
		r = track(d, err);
	if (r < 0)
		dirty_close(d);
	return r;
}

void
dirty_close(struct dirty *d)
{
	/* Closing it takes the protection away. */
	cleanup_closep(&d->uffd);
	cleanup_closep(&d->pagemap);
}

static int
walk_region(struct dirty *d, const struct mem_region *r, dirty_fn *fn, void *arg,
	    struct error *err)
{
	struct page_region run[RUNS];
	uint64_t end = (uintptr_t)r->hva + r->size;
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = (uintptr_t)r->hva,
		.end = end,
		.vec = (uintptr_t)run,
		.vec_len = RUNS,
		.max_pages = BATCH_PAGES,
		/* Holes count as written otherwise. */
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};

	if (d->uffd >= 0) {
		scan.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC;
		scan.category_mask = PAGE_IS_WRITTEN;
	}
	while (scan.start < end) {
		long n = ioctl(d->pagemap, PAGEMAP_SCAN, &scan);

		if (n < 0)
			return error_set_errno(err, errno, "cannot look through guest memory");
		for (long i = 0; i < n; i++) {
			const uint8_t *hva = (const uint8_t *)(uintptr_t)run[i].start;

			TRY(fn(arg, r->gpa + (uint64_t)(hva - r->hva), hva,
			       run[i].end - run[i].start, err));
		}
		scan.start = scan.walk_end;
	}
	return 0;
}

int
dirty_walk(struct dirty *d, dirty_fn *fn, void *arg, struct error *err)
{
	for (unsigned i = 0; i < MEM_RAM_SLOTS; i++) {
		const struct mem_region *r = &d->mem->slot[i];
		int e = r->size ? walk_region(d, r, fn, arg, err) : 0;

		if (e < 0)
			return e;
	}
	return 0;
}
