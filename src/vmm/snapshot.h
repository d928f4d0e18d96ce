/*
 * A machine in a file: its configuration, its state, its memory; see
 * snapshot.c for the format.
 */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include "vmm/vm.h"

/*
 * Writes the paused machine to path (by way of a new file, renamed in the end).
 * *ret_bytes is how much memory it holds.
 */
int snapshot_save(struct vm *vm, const char *path, uint64_t *ret_bytes, struct error *err);
/* Keys of the snapshot that config does not set yet. */
int snapshot_config(const char *path, struct config *config, struct error *err);
/*
 * Memory and state of the machine, made of the same configuration and never run.
 * Memory is mapped from the file: it is read when the guest touches it.
 */
int snapshot_load(struct vm *vm, const char *path, struct error *err);

#endif
