/*
 * Arrays sorted by a number of 64 bits, most often the address where something begins.
 *
 *	size_t n = sorted_upto(syms, n_syms, addr, pc);
 *	syms[0 .. n - 1] have an addr of at most pc; if n is not 0, syms[n - 1] is the nearest below.
 */
#ifndef BASE_SORTED_H
#define BASE_SORTED_H

#include <stddef.h>
#include <stdint.h>

/* How many elements have, at `offset` in each, a number of at most `key`. */
static inline size_t
sorted_upto_at(const void *base, size_t n, size_t size, size_t offset, uint64_t key)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const void *at = (const char *)base + mid * size + offset;

		if (*(const uint64_t *)at <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

#define sorted_upto(v, n, member, key)								\
	sorted_upto_at((v), (n), sizeof(*(v)),							\
		       offsetof(__typeof__(*(v)), member) +					\
			       0 * sizeof(char[_Generic((v)->member, uint64_t: 1)]),		\
		       (key))

#endif
