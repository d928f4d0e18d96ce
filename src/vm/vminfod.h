/* vminfod as a library, so that its test can run it on another port. */
#ifndef VM_VMINFOD_H
#define VM_VMINFOD_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/event.h"

#define VMINFOD_PORT 9090

struct vminfod;

/* port 0: any, told in ret_port (may be NULL). */
int vminfod_start(struct event_loop *l, uint16_t port, struct vminfod **ret, uint16_t *ret_port,
		  struct error *err);
void vminfod_free(struct vminfod *d);
DEFINE_CLEANUP(vminfod_free, struct vminfod *);

#endif
