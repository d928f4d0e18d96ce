/* Numbers as they lie in packets, commands and tables: at any address, in either byte order. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BYTES_DEFINE(order, bits)                                \
	static inline uint##bits##_t get_##order##bits(const void *p) \
	{                                                        \
		uint##bits##_t v;                                \
                                                                 \
		memcpy(&v, p, sizeof(v));                        \
		return order##bits##toh(v);                      \
	}                                                        \
	/* The value is cut to what fits. */                     \
	static inline void put_##order##bits(void *p, uint64_t value) \
	{                                                        \
		uint##bits##_t v = hto##order##bits((uint##bits##_t)value); \
                                                                 \
		memcpy(p, &v, sizeof(v));                        \
	}

BYTES_DEFINE(be, 16)
BYTES_DEFINE(be, 32)
BYTES_DEFINE(be, 64)
BYTES_DEFINE(le, 16)
BYTES_DEFINE(le, 32)
BYTES_DEFINE(le, 64)

#undef BYTES_DEFINE

/* Nothing but zeroes; len is not 0. */
static inline bool
bytes_zero(const void *p, size_t len)
{
	return *(const char *)p == 0 && memcmp(p, (const char *)p + 1, len - 1) == 0;
}

#endif
