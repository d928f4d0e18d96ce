/*
 * Guest memory: RAM the guest and its devices may touch, and nothing else.
 *
 * mem_ptr() is the only way from a guest-physical address to a pointer.  It
 * answers NULL unless the whole range lies in one RAM region, so a device
 * that checks for NULL cannot be made to leave guest memory.  What is read
 * through it may change at any moment under our eyes (another vcpu writes
 * it): copy with mem_read() first, check the copy, use the copy.
 *
 * ROM and device memory (flash, frame buffer) are KVM slots too, but no RAM:
 * no DMA goes there.
 */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* RAM from 0 to at most here; the rest begins at 4 GiB.  Between lie PCI, ECAM, APICs, flash. */
#define MEM_LOW_MAX 0x80000000ULL
#define MEM_HIGH_BASE 0x100000000ULL

struct mem_region {
	uint64_t gpa, size; /* size 0: unused */
	uint8_t *hva;
	uint32_t flags; /* KVM_MEM_* */
};

#define MEM_HUGE_PAGE (2ULL << 20)
enum { MEM_RAM_SLOTS = 2, MEM_SLOTS = 64 };

struct mem {
	int vm_fd; /* -1: no processor (tests, fuzzers) */
	uint64_t ram_size;
	bool by_copy;	/* a file cannot be mapped over it: huge pages, or wired */
	bool wired, in_core;
	struct mem_image {
		uint64_t gpa, size;
	} image[2]; /* what mem_map_image() mapped */
	unsigned n_images;
	uint8_t *space; /* the whole reservation, guards included */
	size_t space_size;
	/* Indexed by KVM slot: RAM below and above 4 GiB, fixed from the start; then what is mapped. */
	struct mem_region slot[MEM_SLOTS];
	pthread_mutex_t lock; /* slots from MEM_RAM_SLOTS on */
};

struct mem_opts {
	bool wired;   /* lock it in RAM */
	bool in_core; /* put it into core dumps */
	bool huge;    /* take it from the huge page pool (hugetlbfs) */
	bool thp;     /* ask for transparent huge pages */
};

int mem_init(struct mem *m, int vm_fd, uint64_t ram_size, const struct mem_opts *opts,
	     struct error *err);
void mem_done(struct mem *m);

/*
 * Fills all RAM from fd at offset: mapped (read when touched, never written
 * back) or, for huge and wired memory, read at once.  Before the guest runs.
 */
int mem_map_file(struct mem *m, int fd, uint64_t offset, struct error *err);

/*
 * Maps the first size bytes of a file of hugetlbfs over RAM at gpa, both whole huge pages: read
 * where it lies, copied a huge page at a time when written, never written back.  Before the
 * guest runs.  -ENOTSUP, and nothing changed, where memory is wired, something is mapped already
 * or the pool cannot promise pages for the copies.
 */
int mem_map_image(struct mem *m, uint64_t gpa, uint64_t size, int fd, struct error *err);
/* Whoever asks the kernel which pages hold something: those of images do, touched or not. */
int mem_populate_images(const struct mem *m, struct error *err);

/*
 * Maps size bytes at hva into the guest at gpa as device memory (flags:
 * KVM_MEM_READONLY or 0).  The slot number is for mem_unmap() and mem_move().
 */
int mem_map(struct mem *m, uint64_t gpa, uint64_t size, void *hva, uint32_t flags,
	    unsigned *ret_slot, struct error *err);
int mem_unmap(struct mem *m, unsigned slot, struct error *err);

/* Host address of [gpa, gpa+len), wholly inside one RAM region; else NULL.  len 0 gives NULL. */
void *mem_ptr(const struct mem *m, uint64_t gpa, uint64_t len);
/* Copies; false (and no byte copied) if the range is not RAM. */
bool mem_read(const struct mem *m, uint64_t gpa, void *dst, size_t len);
bool mem_write(const struct mem *m, uint64_t gpa, const void *src, size_t len);
bool mem_zero(const struct mem *m, uint64_t gpa, uint64_t len);
/*
 * Gives whole pages back to the host: they read as zero from then on.  Others, and those over an
 * image, stay as they are.
 */
void mem_discard(const struct mem *m, uint64_t gpa, uint64_t len);

static inline uint64_t
mem_low_size(const struct mem *m)
{
	return m->ram_size < MEM_LOW_MAX ? m->ram_size : MEM_LOW_MAX;
}

static inline uint64_t
mem_high_size(const struct mem *m)
{
	return m->ram_size - mem_low_size(m);
}

#endif
