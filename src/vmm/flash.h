/* Firmware ROM and its variable store, below 4 GiB. */
#ifndef VMM_FLASH_H
#define VMM_FLASH_H

#include "base/error.h"

struct vm;

/*
 * Maps the ROM so that it ends at 4 GiB and, if vars is not NULL, the file of
 * variables right below it, as a flash chip the guest can write; what it
 * writes is in the file at once.
 */
int flash_create(struct vm *vm, const char *rom, const char *vars, struct error *err);

#endif
