/* Pictures in files that everybody can open. */
#ifndef BASE_PNG_H
#define BASE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Pixels of four bytes: blue, green, red, and one that does not count; stride bytes a row. */
int png_encode(const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, char **ret,
	       size_t *ret_len, struct error *err);

#endif
