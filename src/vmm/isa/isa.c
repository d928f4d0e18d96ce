#include "vmm/isa/isa.h"

#define ISA_CLASS_ROW(id) extern const struct isa_class isa_class_##id;
#include "vmm/isa/table.h"
#undef ISA_CLASS_ROW

#define ISA_CLASS_ROW(id) &isa_class_##id,
static const struct isa_class *const classes[] = {
#include "vmm/isa/table.h"
};
#undef ISA_CLASS_ROW

static void
isa_free(void *arg)
{
	struct isa_dev *d = arg;

	for (unsigned i = 0; i < d->n_ranges; i++)
		bus_remove(d->range[i].bus, &d->range[i].range);
	if (d->done)
		d->done(d);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void *
isa_new(struct vm *vm, const char *name, size_t size, state_fn *state, void (*done)(void *dev))
{
	struct isa_dev *d = xcalloc(1, size);

	d->vm = vm;
	d->pin.irqs = &vm->irqs;
	d->done = done;
	pthread_mutex_init(&d->lock, NULL);
	vm_add_part(vm, &(struct vm_part){.name = name, .free = isa_free, .state = state, .arg = d});
	return d;
}

void
isa_add_range(void *dev, struct bus *bus, uint64_t base, uint64_t size, bus_read_fn *read,
	      bus_write_fn *write)
{
	struct isa_dev *d = dev;
	struct isa_range *r = &d->range[d->n_ranges++];

	r->bus = bus;
	r->range = (struct bus_range){.base = base, .size = size, .read = read, .write = write,
				      .dev = dev};
	bus_add(bus, &r->range);
}

int
isa_create_all(struct vm *vm, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		int r = classes[i]->create(vm, err);

		if (r < 0)
			return error_wrap(err, r, "%s", classes[i]->name);
	}
	return 0;
}

void
isa_asl(struct vm *vm, struct strbuf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (classes[i]->asl)
			classes[i]->asl(vm, b);
	}
}
