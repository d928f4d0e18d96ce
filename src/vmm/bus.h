/*
 * Address dispatch: ports and memory-mapped registers.
 *
 * A bus holds ranges, each owned by a device that answers reads and writes in
 * it.  Guests move PCI ranges while other vcpus use the bus, so the sorted
 * table is read under a shared lock, and the owner is called without it: a
 * handler may add and remove ranges.  Owners live until the machine's vcpus
 * have stopped.
 *
 * Ranges may overlap, because guests may program what they like: fixed ranges
 * come before movable ones, earlier ones before later ones, and the loser is
 * simply not reachable until the winner goes away.
 *
 * A doorbell is a write the kernel turns into an event on a descriptor
 * (ioeventfd), without leaving the guest for us.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* offset is inside the range; size is 1, 2, 4 or 8; offset + size never passes its end. */
typedef uint64_t bus_read_fn(void *dev, uint64_t offset, unsigned size);
typedef void bus_write_fn(void *dev, uint64_t offset, unsigned size, uint64_t value);

struct bus_range {
	uint64_t base, size;
	bus_read_fn *read;   /* NULL reads as all ones */
	bus_write_fn *write; /* NULL ignores */
	void *dev;
	bool movable;
};

struct bus {
	pthread_rwlock_t lock;
	struct bus_range **range; /* all, in order of adding; the owners' structs */
	unsigned n, cap;
	struct bus_range *active; /* sorted, without overlaps: what the guest sees */
	unsigned n_active;
};

void bus_init(struct bus *b);
void bus_done(struct bus *b);

/* The range stays the caller's, unchanged until bus_remove(). */
void bus_add(struct bus *b, struct bus_range *r);
void bus_remove(struct bus *b, struct bus_range *r);

/* False if nobody owns the address (reads then give all ones). */
bool bus_read(struct bus *b, uint64_t addr, unsigned size, uint64_t *ret);
bool bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t value);

/* Mask of a value of so many bytes. */
static inline uint64_t
size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << (size * 8)) - 1;
}

/* A register of 64 bits, of which 32 are written. */
static inline uint64_t
with_low(uint64_t old, uint64_t low)
{
	return (old & ~0xffffffffULL) | (uint32_t)low;
}

static inline uint64_t
with_high(uint64_t old, uint64_t high)
{
	return (uint32_t)old | high << 32;
}

#endif
