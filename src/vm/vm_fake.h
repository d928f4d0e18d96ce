/*
 * vm_ops for tests: datasets are directories below ROOT/ds, their properties
 * files in them, mounted filesystems directories below ROOT; zones change state
 * but run nothing.  All of it is on disk, so that it outlives a killed process
 * as the real things do.
 */
#ifndef VM_VM_FAKE_H
#define VM_VM_FAKE_H

#include "vm/vm_ops.h"

extern const struct vm_ops vm_ops_fake;
/* Makes the root (zone_set_root() too), with these images as the only ones. */
void vm_fake_init(const char *dir);
#define VM_FAKE_IMAGE "11111111-2222-3333-4444-555555555555"   /* lx-dataset */
#define VM_FAKE_ZVOL "11111111-2222-3333-4444-666666666666"    /* zvol, 64 MiB */
/* The n-th call from now that changes something fails with EIO; 0: none does. */
void vm_fake_fail_at(int n);
/* How many such calls there were. */
int vm_fake_calls(void);
/* A text with everything there is: index, XML files, datasets, journals; the caller's. */
char *vm_fake_state(void);
/* A property a dataset has, or NULL; the caller's. */
char *vm_fake_prop(const char *dataset, const char *prop);

#endif
