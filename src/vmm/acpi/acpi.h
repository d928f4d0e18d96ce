/*
 * ACPI tables: one image of all tables, with a list of the pointers and
 * checksums in it, so that it can be placed by us (direct boot) or by
 * firmware (fw_cfg's table loader).
 */
#ifndef VMM_ACPI_ACPI_H
#define VMM_ACPI_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct vm;

struct acpi_pointer {
	size_t at;     /* where in the tables the address stands; it holds the target's offset */
	unsigned size; /* 4 or 8 */
};

struct acpi_checksum {
	size_t at, start, len;
};

struct acpi {
	struct strbuf tables;
	struct acpi_pointer pointer[64];
	struct acpi_checksum checksum[32];
	unsigned n_pointers, n_checksums;
	size_t xsdt;	  /* its offset */
	uint8_t rsdp[36]; /* address of the XSDT at 24, as offset; checksums at 8 and 32 unset */
};

void acpi_build(struct vm *vm, struct acpi *ret);
void acpi_done(struct acpi *a);

/* Resolves the image for an address, and the RSDP with it. */
void acpi_place(struct acpi *a, uint64_t base);

#endif
