#include "base/png.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/str.h"

static void
add_chunk(struct strbuf *b, const char *type, const void *data, size_t len)
{
	uint8_t n[4];
	size_t at;

	put_be32(n, (uint32_t)len);
	strbuf_add(b, n, 4);
	at = b->len;
	strbuf_add(b, type, 4);
	strbuf_add(b, data, len);
	put_be32(n, (uint32_t)crc32(0, (const uint8_t *)b->data + at, (uInt)(len + 4)));
	strbuf_add(b, n, 4);
}

/* Rows of red, green, blue, each behind its filter's number (0: none). */
static uint8_t *
rgb_rows(const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, size_t *ret_len)
{
	uint8_t *rows = xmalloc((3ULL * width + 1) * height), *to = rows;

	for (uint32_t y = 0; y < height; y++) {
		const uint8_t *from = pixels + y * stride;

		*to++ = 0;
		for (uint32_t x = 0; x < width; x++, from += 4) {
			*to++ = from[2];
			*to++ = from[1];
			*to++ = from[0];
		}
	}
	*ret_len = (size_t)(to - rows);
	return rows;
}

int
png_encode(const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, char **ret,
	   size_t *ret_len, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	uint8_t head[13] = {[8] = 8, [9] = 2}; /* 8 bits a colour, three colours */
	size_t len;
	cleanup_free uint8_t *rows = rgb_rows(pixels, width, height, stride, &len);
	uLongf packed_len = compressBound(len);
	cleanup_free uint8_t *packed = xmalloc(packed_len);

	if (compress2(packed, &packed_len, rows, len, 6) != Z_OK)
		return error_set(err, ENOMEM, "cannot compress the picture");
	put_be32(head, width);
	put_be32(head + 4, height);
	strbuf_add(&b, "\x89PNG\r\n\x1a\n", 8);
	add_chunk(&b, "IHDR", head, sizeof(head));
	add_chunk(&b, "IDAT", packed, packed_len);
	add_chunk(&b, "IEND", "", 0);
	*ret_len = b.len;
	*ret = steal_ptr(&b.data);
	return 0;
}
