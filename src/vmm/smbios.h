/* SMBIOS 3 tables: what the machine says of itself, from bios.*, system.*, board.*, chassis.* */
#ifndef VMM_SMBIOS_H
#define VMM_SMBIOS_H

#include <stdint.h>

#include "base/str.h"

struct vm;

struct smbios {
	struct strbuf tables;
	uint8_t anchor[24]; /* address of the tables at 16, 0 until smbios_place() */
};

void smbios_build(struct vm *vm, struct smbios *ret);
void smbios_place(struct smbios *s, uint64_t tables);
void smbios_done(struct smbios *s);

#endif
