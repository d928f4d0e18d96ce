/* A debugger's end of the machine: GDB's remote protocol on a TCP socket; gdb.c has the theory. */
#ifndef VMM_GDB_H
#define VMM_GDB_H

#include "vmm/vm.h"

/*
 * Listens at ADDRESS:PORT; the first debugger that connects stops the machine.
 * With wait the machine does not start before a debugger lets it.
 */
int gdb_start(struct vm *vm, const char *address, bool wait, struct error *err);
/* gdb.port, gdb.address, gdb.wait; nothing to do without gdb.port. */
int gdb_start_configured(struct vm *vm, struct error *err);

#endif
