/* What tests of one device share: it sits in slot 4 of `vm`, and is seen from its driver's side. */
#ifndef VMM_SLOT_TEST_H
#define VMM_SLOT_TEST_H

#include "base/event.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

extern struct vm *vm; /* attach()'s, with 8 MiB and no ISA devices; BARs have their addresses */
extern struct event_loop *loop;
/* slot is bhyve's -s, for slot 4; get() and set() are in this BAR of it. */
void attach_slot(const char *slot, unsigned bar);
void detach(void);
uint64_t get_n(uint64_t at, unsigned size);
void set_n(uint64_t at, unsigned size, uint64_t v);
uint32_t get(uint64_t at);
void set(uint64_t at, uint32_t v);

#endif
