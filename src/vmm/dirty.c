#include "vmm/dirty.h"

#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_MAIN, "userfaultfd");

int
dirty_open(struct dirty *d, const struct mem *mem, bool track, struct error *err)
{
	int r;

	d->mem = mem;
	TRY(pagemap_open(&d->pages, track, err));
	r = mem_populate_images(mem, err);
	for (const struct mem_region *s = mem->slot; r == 0 && track && s < mem->slot + MEM_RAM_SLOTS; s++)
		r = s->size ? pagemap_track(&d->pages, s->hva, s->size, err) : 0;
	if (r < 0)
		dirty_close(d);
	return r;
}

void
dirty_close(struct dirty *d)
{
	pagemap_close(&d->pages);
}

/* A walk through one region. */
struct walk {
	const struct mem_region *region;
	dirty_fn *fn;
	void *arg;
};

static int
found(void *arg, const uint8_t *at, uint64_t len, struct error *err)
{
	const struct walk *w = arg;

	return w->fn(w->arg, w->region->gpa + (uint64_t)(at - w->region->hva), at, len, err);
}

int
dirty_walk(struct dirty *d, dirty_fn *fn, void *arg, struct error *err)
{
	for (const struct mem_region *s = d->mem->slot; s < d->mem->slot + MEM_RAM_SLOTS; s++) {
		struct walk w = {s, fn, arg};

		if (s->size)
			TRY(pagemap_walk(&d->pages, s->hva, s->size, found, &w, err));
	}
	return 0;
}
