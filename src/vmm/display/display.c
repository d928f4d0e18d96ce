#include "vmm/display/display.h"

#include "base/png.h"
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

int
display_screenshot(struct vm *vm, char **ret, size_t *ret_len, struct error *err)
{
	struct frame f;

	if (!vm->display || !vm->display->frame)
		return error_set(err, ENODEV, "%s has no screen", vm->name);
	if (!vm->display->frame(vm->display->frame_arg, &f))
		return error_set(err, EAGAIN, "%s shows nothing yet", vm->name);
	return png_encode(f.pixels, f.width, f.height, f.stride, ret, ret_len, err);
}
