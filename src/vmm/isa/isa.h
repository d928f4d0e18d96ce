/*
 * Devices at fixed addresses, behind the LPC bridge.  One file a device, one line
 * in isa/table.h.  Its struct begins with a struct isa_dev, which isa_new() makes
 * and which ends with the machine; its ACPI description, if the guest needs one,
 * is what its `asl` writes (acpi/asl.h).
 */
#ifndef VMM_ISA_H
#define VMM_ISA_H

#include "vmm/device.h"

struct strbuf;

#define ISA_RANGES 3

struct isa_dev {
	struct vm *vm;
	pthread_mutex_t lock; /* of its registers, for its own use */
	struct irq_pin pin;
	struct isa_range {
		struct bus *bus;
		struct bus_range range;
	} range[ISA_RANGES];
	unsigned n_ranges;
	void (*done)(void *dev);
};

/*
 * A part of the machine of that name: size zeroed bytes with an isa_dev in front.  state and
 * done (what it holds beyond its memory) get it; both may be NULL.
 */
void *isa_new(struct vm *vm, const char *name, size_t size, state_fn *state,
	      void (*done)(void *dev));
/* It answers here; the handlers get it, too. */
void isa_add_range(void *dev, struct bus *bus, uint64_t base, uint64_t size, bus_read_fn *read,
		   bus_write_fn *write);

struct isa_class {
	const char *name;
	/* Nothing to do (not configured) is success. */
	int (*create)(struct vm *vm, struct error *err);
	void (*asl)(struct vm *vm, struct strbuf *b); /* may be NULL */
};

int isa_create_all(struct vm *vm, struct error *err);
void isa_asl(struct vm *vm, struct strbuf *b);

/* isa/i8042.c: has the machine a keyboard controller? */
bool i8042_present(struct vm *vm);

/* isa/tpm.c: has it a TPM, with its control area here? */
bool tpm_present(struct vm *vm);
#define TPM_CONTROL_AREA 0xfed40040U

/* isa/pm.c */
enum { PM_BASE = 0x600, PM_SCI = 9, PM_SLP_TYP_S5 = 5 };
/* Presses the power button; false if the guest does not listen to it. */
bool pm_power_button(struct vm *vm);
#define PM_GPE0 (PM_BASE + 0x20)
#define PM_GPE0_LEN 4
/* A general-purpose event, 0 to 15. */
void pm_raise_gpe(struct vm *vm, unsigned gpe);

#endif
