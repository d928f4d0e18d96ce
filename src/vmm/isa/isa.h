/*
 * Devices at fixed ports, behind the LPC bridge.  One file a device, one line
 * in isa/table.h.  A device registers its ranges itself and adds a vm_part
 * that frees it; its ACPI description, if the guest needs one, is its `aml`.
 */
#ifndef VMM_ISA_H
#define VMM_ISA_H

#include <stdbool.h>

#include "base/error.h"

struct vm;
struct aml;

struct isa_class {
	const char *name;
	/* Nothing to do (not configured) is success. */
	int (*create)(struct vm *vm, struct error *err);
	void (*aml)(struct vm *vm, struct aml *a); /* may be NULL */
};

int isa_create_all(struct vm *vm, struct error *err);
void isa_aml(struct vm *vm, struct aml *a);

/* isa/i8042.c: has the machine a keyboard controller? */
bool i8042_present(struct vm *vm);

/* isa/tpm.c: has it a TPM, with its control area here? */
bool tpm_present(struct vm *vm);
#define TPM_CONTROL_AREA 0xfed40040U

/* isa/pm.c */
#define PM_BASE 0x600
#define PM_SCI 9
#define PM_SLP_TYP_S5 5
/* Presses the power button; false if the guest does not listen to it. */
bool pm_power_button(struct vm *vm);
#define PM_GPE0 (PM_BASE + 0x20)
#define PM_GPE0_LEN 4
/* A general-purpose event, 0 to 15. */
void pm_raise_gpe(struct vm *vm, unsigned gpe);

#endif
