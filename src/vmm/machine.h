/* A whole machine: created from the configuration, run to its end. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "vmm/config.h"
#include "vmm/vm.h"

/* enum vm_end, or a negative errno if it could not be started (or failed: VM_END_ERROR). */
int machine_run(struct config *config, struct error *err);

#endif
