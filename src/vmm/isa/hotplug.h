/* PCI devices added to and removed from a running machine; main thread. */
#ifndef VMM_ISA_HOTPLUG_H
#define VMM_ISA_HOTPLUG_H

#include "base/error.h"

struct vm;
struct strbuf;

/* arg is as for -s: "5,virtio-blk,/path"; function 0 of bus 0. */
int hotplug_add(struct vm *vm, const char *arg, struct error *err);
/* Asks the guest to let go of the device at "5" or "0:5:0"; it goes when the guest says so. */
int hotplug_remove(struct vm *vm, const char *where, struct error *err);

/* ACPI: registers and slots, inside the device of bus 0; and the method of the event. */
void hotplug_asl_slots(struct vm *vm, struct strbuf *b);
void hotplug_asl_events(struct vm *vm, struct strbuf *b);

#endif
