/*
 * Which pages of this process' own memory hold something, and which were written since the last
 * look: asked of the kernel's page tables, so it does not matter who wrote.
 */
#ifndef OS_PAGEMAP_H
#define OS_PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct pagemap {
	int fd, uffd; /* uffd -1: not tracking */
};

#define PAGEMAP_INIT {-1, -1}

int pagemap_open(struct pagemap *p, bool track, struct error *err);
void pagemap_close(struct pagemap *p);
/* From now on what is written there is known. */
int pagemap_track(struct pagemap *p, void *at, uint64_t len, struct error *err);

/* Whole pages; a negative errno ends the walk. */
typedef int pagemap_fn(void *arg, const uint8_t *at, uint64_t len, struct error *err);
/* The pages that hold something; tracking: those that were written since the walk before. */
int pagemap_walk(struct pagemap *p, const void *at, uint64_t len, pagemap_fn *fn, void *arg,
		 struct error *err);

#endif
