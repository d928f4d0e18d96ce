/* What tests of the VMM share: machines that are dropped at the end. */
#ifndef VMM_FIXTURE_TEST_H
#define VMM_FIXTURE_TEST_H

#include "base/event.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

struct machine {
	struct config *config;
	struct event_loop *loop;
	struct vm *vm;
};

/* Keys as lines "key=value".  Without processors, but with its ISA and PCI devices... */
struct machine machine(const char *keys);
/* ...and on the host's /dev/kvm, without devices; the test is skipped where there is none. */
struct machine machine_kvm(const char *keys);
void drop(struct machine *m);

/* An address of this host that nobody listens at, as text. */
char *free_address(void);

#endif
