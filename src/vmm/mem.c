#include "vmm/mem.h"

#include "base/file.h"
#include "os/kvm.h"
#include "vmm/device.h"

#define MEM_MIN (2ULL << 20)
#define MEM_MAX (4ULL << 40)

/*
 * RAM is private and anonymous: the kernel image may be mapped over it
 * (linux.c), and vhost reaches it through this process.  Inaccessible pages
 * on both sides turn an overrun of ours into a crash instead of a leak.
 */
static int
ram_alloc(struct mem *m, const struct mem_opts *opts, uint8_t **ret, struct error *err)
{
	size_t size = m->ram_size;

	m->space_size = size + 3 * MEM_HUGE_PAGE;

	void *space = mmap(NULL, m->space_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (space == MAP_FAILED)
		return error_set_errno(err, errno, "no address space for guest memory");
	m->space = space;

	/* Aligned, so that huge pages of host and guest coincide. */
	uintptr_t aligned = ((uintptr_t)space + 2 * MEM_HUGE_PAGE - 1) &
			    ~(uintptr_t)(MEM_HUGE_PAGE - 1);
	uint8_t *hva = (uint8_t *)aligned;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		    (opts->huge ? MAP_HUGETLB : MAP_NORESERVE);

	if (mmap(hva, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		return error_set_errno(err, errno, "no %zuM of %s for guest memory", size >> 20,
				       opts->huge ? "huge pages" : "memory");
	if (!opts->in_core && madvise(hva, size, MADV_DONTDUMP) < 0)
		return error_set_errno(err, errno, "cannot keep guest memory out of core dumps");
	/* Without transparent huge pages in the kernel there is nothing to ask for. */
	(void)madvise(hva, size, opts->thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* What is written there before the guest starts is little: clearing the rest would be half a millisecond. */
	(void)madvise(hva, MEM_HUGE_PAGE, MADV_NOHUGEPAGE);
	if (opts->wired && mlock(hva, size) < 0)
		return error_set_errno(err, errno, "cannot wire guest memory");
	*ret = hva;
	return 0;
}

static int
slot_set(struct mem *m, unsigned slot, const struct mem_region *r, struct error *err)
{
	if (m->vm_fd >= 0) {
		int e = kvm_set_memory(m->vm_fd, slot, r->size ? r->gpa : m->slot[slot].gpa,
				       r->size, r->hva, r->flags, err);

		if (e < 0)
			return e;
	}
	m->slot[slot] = *r;
	return 0;
}

int
mem_init(struct mem *m, int vm_fd, uint64_t ram_size, const struct mem_opts *opts,
	 struct error *err)
{
	uint8_t *hva = NULL;
	int r;

	*m = (struct mem){.vm_fd = vm_fd, .ram_size = ram_size,
			  .by_copy = opts->huge || opts->wired,
			  .wired = opts->wired,
			  .in_core = opts->in_core};
	pthread_mutex_init(&m->lock, NULL);
	if (ram_size < MEM_MIN || ram_size > MEM_MAX || ram_size % MEM_HUGE_PAGE)
		return error_set_path(
			err, EINVAL, "memory.size",
			"memory.size: a guest has from 2M to 4T of memory, in steps of 2M");
	r = ram_alloc(m, opts, &hva, err);
	if (r == 0)
		r = slot_set(m, 0, &(struct mem_region){0, mem_low_size(m), hva, 0}, err);
	if (r == 0 && mem_high_size(m) > 0)
		r = slot_set(m, 1,
			     &(struct mem_region){MEM_HIGH_BASE, mem_high_size(m),
						  hva + MEM_LOW_MAX, 0},
			     err);
	if (r < 0)
		mem_done(m);
	return r;
}

void
mem_done(struct mem *m)
{
	if (m->space)
		munmap(m->space, m->space_size);
	pthread_mutex_destroy(&m->lock);
	*m = (struct mem){.vm_fd = -1};
}

int
mem_map_file(struct mem *m, int fd, uint64_t offset, struct error *err)
{
	uint8_t *hva = m->slot[0].hva;
	ssize_t n;

	if (!m->by_copy) {
		if (mmap(hva, m->ram_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)offset) == MAP_FAILED)
			return error_set_errno(err, errno, "cannot map guest memory");
		/* What nobody touched is in the file, like an image's, not in the page tables. */
		m->image[0] = (struct mem_image){0, mem_low_size(m)};
		m->image[1] = (struct mem_image){MEM_HIGH_BASE, mem_high_size(m)};
		m->n_images = mem_high_size(m) ? 2 : 1;
		return 0;
	}
	n = fd_pread_all(fd, hva, m->ram_size, (off_t)offset);
	return n == (ssize_t)m->ram_size
		       ? 0
		       : error_set_errno(err, n < 0 ? (int)-n : EIO, "cannot read guest memory");
}

static bool
image_at(const struct mem *m, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < m->n_images; i++) {
		if (gpa < m->image[i].gpa + m->image[i].size && gpa + len > m->image[i].gpa)
			return true;
	}
	return false;
}

/* Elsewhere first, then moved: a fixed mapping for which there are no pages would leave a hole. */
static int
put_over_ram(struct mem *m, void *at, uint8_t *hva, uint64_t size, struct error *err)
{
	if ((m->in_core || madvise(at, size, MADV_DONTDUMP) == 0) &&
	    mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, hva) != MAP_FAILED)
		return 0;

	int code = errno;

	munmap(at, size);
	return error_set_errno(err, code, "cannot map huge pages into guest memory");
}

int
mem_map_image(struct mem *m, uint64_t gpa, uint64_t size, int fd, struct error *err)
{
	uint8_t *hva = mem_ptr(m, gpa, size);

	if (!hva || m->wired || m->n_images == ARRAY_SIZE(m->image) || image_at(m, gpa, size))
		return error_set(err, ENOTSUP, "no image can be mapped there");

	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED)
		return error_set(err, ENOTSUP, "no huge pages for an image");

	int r = put_over_ram(m, at, hva, size, err);

	if (r == 0)
		m->image[m->n_images++] = (struct mem_image){gpa, size};
	return r;
}

int
mem_populate_images(const struct mem *m, struct error *err)
{
	for (unsigned i = 0; i < m->n_images; i++) {
		const struct mem_image *image = &m->image[i];

		if (madvise(mem_ptr(m, image->gpa, image->size), image->size, MADV_POPULATE_READ) < 0)
			return error_set_errno(err, errno, "cannot look at guest memory");
	}
	return 0;
}

int
mem_map(struct mem *m, uint64_t gpa, uint64_t size, void *hva, uint32_t flags,
	unsigned *ret_slot, struct error *err)
{
	unsigned slot = MEM_RAM_SLOTS;
	int r;

	pthread_mutex_lock(&m->lock);
	while (slot < MEM_SLOTS && m->slot[slot].size)
		slot++;
	if (slot == MEM_SLOTS)
		r = error_set(err, ENOSPC, "more than %d memory slots", MEM_SLOTS);
	else
		r = slot_set(m, slot, &(struct mem_region){gpa, size, hva, flags}, err);
	pthread_mutex_unlock(&m->lock);
	if (r == 0)
		*ret_slot = slot;
	return r;
}

int
mem_unmap(struct mem *m, unsigned slot, struct error *err)
{
	int r = 0;

	scoped_lock(&m->lock);
	if (slot >= MEM_RAM_SLOTS && slot < MEM_SLOTS && m->slot[slot].size)
		r = slot_set(m, slot, &(struct mem_region){0}, err);
	return r;
}

void *
mem_ptr(const struct mem *m, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < MEM_RAM_SLOTS; i++) {
		const struct mem_region *r = &m->slot[i];

		if (gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		if (len == 0 || len > r->size - (gpa - r->gpa))
			return NULL;
		return r->hva + (gpa - r->gpa);
	}
	return NULL;
}

bool
mem_read(const struct mem *m, uint64_t gpa, void *dst, size_t len)
{
	const void *p = mem_ptr(m, gpa, len);

	if (!p)
		return false;
	memcpy(dst, p, len);
	return true;
}

bool
mem_write(const struct mem *m, uint64_t gpa, const void *src, size_t len)
{
	void *p = mem_ptr(m, gpa, len);

	if (!p)
		return false;
	memcpy(p, src, len);
	return true;
}

bool
mem_zero(const struct mem *m, uint64_t gpa, uint64_t len)
{
	void *p = mem_ptr(m, gpa, len);

	if (!p)
		return false;
	memset(p, 0, len);
	return true;
}

void
mem_discard(const struct mem *m, uint64_t gpa, uint64_t len)
{
	void *p = (gpa | len) % 4096 ? NULL : mem_ptr(m, gpa, len);

	/*
	 * Locked memory and huge pages refuse: then nothing is saved, and nothing lost.  Behind
	 * a private mapping it is not zeroes that would come out, but the file.
	 */
	if (p && !image_at(m, gpa, len))
		(void)madvise(p, len, MADV_DONTNEED);
}
