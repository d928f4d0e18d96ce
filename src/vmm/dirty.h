/*
 * Which pages of guest RAM hold something, and which were written since the
 * last look.
 *
 * The kernel's page tables of this process know, whoever wrote: a vcpu, an
 * I/O thread of ours, io_uring or vhost.  So one mechanism serves all
 * (userfaultfd's asynchronous write protection, and PAGEMAP_SCAN, which finds
 * written pages and protects them again in one step); KVM's own dirty log would
 * miss what devices write.
 */
#ifndef VMM_DIRTY_H
#define VMM_DIRTY_H

#include <stdbool.h>

#include "os/pagemap.h"
#include "vmm/mem.h"

struct dirty {
	const struct mem *mem;
	struct pagemap pages;
};

#define DIRTY_INIT {.pages = PAGEMAP_INIT}

/* With `track` the first walk gives every page that holds something, later ones what changed. */
int dirty_open(struct dirty *d, const struct mem *mem, bool track, struct error *err);
void dirty_close(struct dirty *d);
#define cleanup_dirty CLEANUP(dirty_close)

/* [gpa, gpa+len) at hva, whole pages inside one RAM region; a negative errno ends the walk. */
typedef int dirty_fn(void *arg, uint64_t gpa, const uint8_t *hva, uint64_t len, struct error *err);
int dirty_walk(struct dirty *d, dirty_fn *fn, void *arg, struct error *err);

#endif
