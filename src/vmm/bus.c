#include "vmm/bus.h"

#include <stdlib.h>
#include <string.h>

void
bus_init(struct bus *b)
{
	*b = (struct bus){0};
	pthread_rwlock_init(&b->lock, NULL);
}

void
bus_done(struct bus *b)
{
	pthread_rwlock_destroy(&b->lock);
	free(b->range);
	free(b->active);
}

static bool
overlaps(const struct bus *b, const struct bus_range *r)
{
	for (unsigned i = 0; i < b->n_active; i++) {
		const struct bus_range *a = &b->active[i];

		if (r->base <= a->base + (a->size - 1) && a->base <= r->base + (r->size - 1))
			return true;
	}
	return false;
}

static int
by_base(const void *x, const void *y)
{
	const struct bus_range *a = x, *b = y;

	return a->base < b->base ? -1 : a->base > b->base;
}

/* Called with the lock held for writing.  A machine has some dozens of ranges and moves few. */
static void
rebuild(struct bus *b)
{
	b->active = xreallocarray(b->active, b->n + 1, sizeof(*b->active));
	b->n_active = 0;
	for (int movable = 0; movable < 2; movable++) {
		for (unsigned i = 0; i < b->n; i++) {
			const struct bus_range *r = b->range[i];

			if (r->movable == movable && r->size && r->base + (r->size - 1) >= r->base &&
			    !overlaps(b, r))
				b->active[b->n_active++] = *r;
		}
	}
	qsort(b->active, b->n_active, sizeof(*b->active), by_base);
}

void
bus_add(struct bus *b, struct bus_range *r)
{
	pthread_rwlock_wrlock(&b->lock);
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 32;
		b->range = xreallocarray(b->range, b->cap, sizeof(*b->range));
	}
	b->range[b->n++] = r;
	rebuild(b);
	pthread_rwlock_unlock(&b->lock);
}

void
bus_remove(struct bus *b, struct bus_range *r)
{
	pthread_rwlock_wrlock(&b->lock);
	for (unsigned i = 0; i < b->n; i++) {
		if (b->range[i] != r)
			continue;
		memmove(&b->range[i], &b->range[i + 1], (b->n - i - 1) * sizeof(*b->range));
		b->n--;
		rebuild(b);
		break;
	}
	pthread_rwlock_unlock(&b->lock);
}

/* The range that holds all of [addr, addr+size), copied out from under the lock. */
static bool
lookup(struct bus *b, uint64_t addr, unsigned size, struct bus_range *ret)
{
	bool found = false;

	pthread_rwlock_rdlock(&b->lock);

	unsigned lo = 0, hi = b->n_active;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct bus_range *r = &b->active[mid];

		if (addr < r->base) {
			hi = mid;
		} else if (addr - r->base >= r->size) {
			lo = mid + 1;
		} else {
			found = r->size - (addr - r->base) >= size;
			*ret = *r;
			break;
		}
	}
	pthread_rwlock_unlock(&b->lock);
	return found;
}

bool
bus_read(struct bus *b, uint64_t addr, unsigned size, uint64_t *ret)
{
	struct bus_range r;

	*ret = size_mask(size);
	if (!lookup(b, addr, size, &r))
		return false;
	if (r.read)
		*ret = r.read(r.dev, addr - r.base, size) & size_mask(size);
	return true;
}

bool
bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t value)
{
	struct bus_range r;

	if (!lookup(b, addr, size, &r))
		return false;
	if (r.write)
		r.write(r.dev, addr - r.base, size, value & size_mask(size));
	return true;
}
