#include "vmm/display/display.h"

#include <zlib.h>

#include "vmm/device.h"

static void
display_free(void *arg)
{
	struct display *d = arg;

	d->vm->display = NULL;
	free(d);
}

struct display *
display_of(struct vm *vm)
{
	struct display *d = vm->display;

	if (d)
		return d;
	d = vm->display = xcalloc(1, sizeof(*d));
	d->vm = vm;
	list_init(&d->sinks);
	vm_add_part(vm, &(struct vm_part){.name = "display", .free = display_free, .arg = d});
	return d;
}

void
display_add_sink(struct display *d, struct input_sink *s)
{
	list_add_tail(&d->sinks, &s->link);
}

static struct input_sink *
best(struct display *d, bool keyboard)
{
	struct input_sink *s, *found = NULL;

	list_for_each(s, &d->sinks, link) {
		if ((keyboard ? s->key != NULL : s->pointer != NULL) && s->ready(s->arg) &&
		    (!found || s->priority > found->priority))
			found = s;
	}
	return found;
}

void
display_key(struct display *d, unsigned code, bool down)
{
	struct input_sink *s = best(d, true);

	if (s && code)
		s->key(s->arg, code, down);
}

void
display_pointer(struct display *d, unsigned x, unsigned y, unsigned buttons)
{
	struct input_sink *s = best(d, false);

	if (s)
		s->pointer(s->arg, x, y, buttons);
}

/* ---- PNG ---- */

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
rgb_rows(const struct frame *f, size_t *ret_len)
{
	uint8_t *rows = xmalloc((3ULL * f->width + 1) * f->height), *to = rows;

	for (unsigned y = 0; y < f->height; y++) {
		const uint8_t *from = f->pixels + (size_t)y * f->stride;

		*to++ = 0;
		for (unsigned x = 0; x < f->width; x++, from += 4) {
			*to++ = from[2];
			*to++ = from[1];
			*to++ = from[0];
		}
	}
	*ret_len = (size_t)(to - rows);
	return rows;
}

int
display_screenshot(struct vm *vm, char **ret, size_t *ret_len, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	uint8_t head[13] = {[8] = 8, [9] = 2}; /* 8 bits a colour, three colours */
	struct frame f;
	size_t len;

	if (!vm->display || !vm->display->frame)
		return error_set(err, ENODEV, "%s has no screen", vm->name);
	if (!vm->display->frame(vm->display->frame_arg, &f))
		return error_set(err, EAGAIN, "%s shows nothing yet", vm->name);

	cleanup_free uint8_t *rows = rgb_rows(&f, &len);
	uLongf packed_len = compressBound(len);
	cleanup_free uint8_t *packed = xmalloc(packed_len);

	if (compress2(packed, &packed_len, rows, len, 6) != Z_OK)
		return error_set(err, ENOMEM, "cannot compress the picture");
	put_be32(head, f.width);
	put_be32(head + 4, f.height);
	strbuf_add(&b, "\x89PNG\r\n\x1a\n", 8);
	add_chunk(&b, "IHDR", head, sizeof(head));
	add_chunk(&b, "IDAT", packed, packed_len);
	add_chunk(&b, "IEND", "", 0);
	*ret_len = b.len;
	*ret = steal_ptr(&b.data);
	return 0;
}
