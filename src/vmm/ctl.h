/*
 * The control socket, /var/run/bhyve/NAME.sock (ctl.path): what bhyvectl(8)
 * asks a running machine.
 */
#ifndef VMM_CTL_H
#define VMM_CTL_H

#include "vmm/vm.h"

#define CTL_DIR "/var/run/bhyve"

int ctl_start(struct vm *vm, struct error *err);

#endif
