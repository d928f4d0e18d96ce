/*
 * ACPI machine language, written out in order.  Whatever has a length (scopes,
 * devices, methods, packages, resource templates) is opened and closed; the
 * lengths are put in when it is closed.
 *
 *	aml_device(a, "RTC_");
 *	aml_name_eisaid(a, "_HID", "PNP0B00");
 *	aml_end(a);
 */
#ifndef VMM_ACPI_AML_H
#define VMM_ACPI_AML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define AML_DEPTH 16

struct aml {
	struct strbuf out;
	struct {
		size_t at;
		enum { AML_PACKAGE, AML_BUFFER } kind;
	} open[AML_DEPTH];
	unsigned depth;
};

#define AML_INIT {0}
void aml_done(struct aml *a);

void aml_scope(struct aml *a, const char *path); /* "\\_SB_" */
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned n_args);
void aml_package(struct aml *a, unsigned n_elements);
void aml_if(struct aml *a); /* the condition, then the statements */
void aml_end(struct aml *a);

/* Ports, and names (NULL-terminated) of the 32-bit registers they hold, one after the other. */
void aml_io_region(struct aml *a, const char *name, uint16_t port, uint8_t len);
void aml_dword_fields(struct aml *a, const char *region, const char *const names[]);

void aml_path(struct aml *a, const char *path); /* "\\_SB_.PCI0", "_ADR" */
void aml_int(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A08" */
void aml_op(struct aml *a, unsigned op);	/* one opcode byte, or two (0x5b..) */

void aml_name(struct aml *a, const char *name); /* its value follows */
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_string(struct aml *a, const char *name, const char *s);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* Name(name, ResourceTemplate() { ... }) */
void aml_name_resources(struct aml *a, const char *name);
void aml_res_io(struct aml *a, uint16_t min, uint16_t max, uint8_t len);
void aml_res_irq(struct aml *a, unsigned irq);
void aml_res_memory32(struct aml *a, uint32_t base, uint32_t len);
void aml_res_bus_window(struct aml *a, uint16_t min, uint16_t max);
void aml_res_io_window(struct aml *a, uint16_t min, uint16_t max);
void aml_res_memory_window(struct aml *a, uint64_t min, uint64_t max);
void aml_end_resources(struct aml *a);

#endif
