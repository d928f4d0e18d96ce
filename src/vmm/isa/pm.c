/*
 * ACPI power management: the PM1 block, the PM timer, and the SCI.
 *
 * ACPI mode is always on.  The timer is read in loops by firmware: it is
 * served from the clock alone, without a lock.
 */

#include "vmm/device.h"
#include "vmm/isa/isa.h"

enum { PM1_STS = 0, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8, GPE_STS = 0x20, GPE_EN = 0x22,
       SMI_EN = 0x30, PM_SIZE = 0x80 };

enum {
	SMI_APMC = 0x20, STS_PWRBTN = 0x0100, EN_PWRBTN = 0x0100, CNT_SCI_EN = 0x0001, CNT_SLP_EN = 0x2000
};
#define CNT_SLP_TYP(v) ((v) >> 10 & 7)
#define TIMER_HZ 3579545ULL

struct pm {
	struct isa_dev isa; /* its pin: the SCI */
	uint16_t sts, en, cnt, gpe_sts, gpe_en;
	uint64_t timer_base; /* ns: of a machine that ran elsewhere before */
};

static void
sci_update(struct pm *pm)
{
	irq_pin_set(&pm->isa.pin, (pm->sts & pm->en) || (pm->gpe_sts & pm->gpe_en));
}

static uint32_t
timer(const struct pm *pm)
{
	uint64_t ns = time_mono_ns() + pm->timer_base;

	return (uint32_t)(ns / 1000000000 * TIMER_HZ + ns % 1000000000 * TIMER_HZ / 1000000000);
}

static uint64_t
pm_read(void *arg, uint64_t offset, unsigned size)
{
	struct pm *pm = arg;

	if (offset >= PM_TMR && offset < PM_TMR + 4)
		return timer(pm) >> (8 * (offset - PM_TMR));
	scoped_lock(&pm->isa.lock);
	if (offset >= GPE_STS && offset < GPE_STS + PM_GPE0_LEN)
		return (pm->gpe_sts | (uint64_t)pm->gpe_en << 16) >> (8 * (offset - GPE_STS));
	/* "SMM is set up already": there is none, and SeaBIOS need not look for it. */
	if (offset >= PM_TMR)
		return offset == SMI_EN ? SMI_APMC : 0;
	return (pm->sts | (uint64_t)pm->en << 16 | (uint64_t)(pm->cnt | CNT_SCI_EN) << 32) >> (8 * offset);
}

/* Status bits are cleared by writing ones; a register may be written in bytes. */
static void
gpe_write(struct pm *pm, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++, offset++, value >>= 8) {
		uint16_t byte = (uint16_t)((value & 0xff) << (offset & 1 ? 8 : 0));
		uint16_t mask = offset & 1 ? 0xff00 : 0x00ff;

		if (offset >= GPE_STS && offset < GPE_EN)
			pm->gpe_sts &= (uint16_t)~byte;
		else if (offset >= GPE_EN && offset < GPE_EN + 2)
			pm->gpe_en = (uint16_t)((pm->gpe_en & ~mask) | byte);
	}
}

static void
pm_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pm *pm = arg;
	uint16_t sleep = 0;

	pthread_mutex_lock(&pm->isa.lock);
	/* 32-bit writes to the event block are legal and mean both registers. */
	if (offset == PM1_STS) {
		pm->sts &= (uint16_t)~value;
		if (size == 4)
			pm->en = (uint16_t)(value >> 16);
	} else if (offset == PM1_EN) {
		pm->en = (uint16_t)value;
	} else if (offset == PM1_CNT && size >= 2) {
		pm->cnt = (uint16_t)(value & ~CNT_SLP_EN);
		sleep = (uint16_t)(value & CNT_SLP_EN);
	}
	gpe_write(pm, offset, size, value);
	sci_update(pm);
	pthread_mutex_unlock(&pm->isa.lock);
	if (sleep && CNT_SLP_TYP(value) == PM_SLP_TYP_S5)
		vm_end(pm->isa.vm, VM_END_POWEROFF, NULL);
}

void
pm_raise_gpe(struct vm *vm, unsigned gpe)
{
	struct pm *pm = vm_find_part(vm, "pm");

	if (!pm)
		return;
	scoped_lock(&pm->isa.lock);
	pm->gpe_sts |= (uint16_t)(1U << gpe);
	sci_update(pm);
}

bool
pm_power_button(struct vm *vm)
{
	struct pm *pm = vm_find_part(vm, "pm");
	bool listens;

	if (!pm)
		return false;
	scoped_lock(&pm->isa.lock);
	listens = pm->en & EN_PWRBTN;
	pm->sts |= STS_PWRBTN;
	sci_update(pm);
	return listens;
}

static void
pm_state(void *arg, struct state *s)
{
	struct pm *pm = arg;
	uint64_t timer_ns = time_mono_ns() + pm->timer_base;

	STATE(s, pm->sts, pm->en, pm->cnt, pm->gpe_sts, pm->gpe_en, timer_ns);
	if (!state_loading(s))
		return;
	pm->timer_base = timer_ns - time_mono_ns();
	sci_update(pm);
}

static int
pm_create(struct vm *vm, struct error *err)
{
	struct pm *pm = isa_new(vm, "pm", sizeof(*pm), pm_state, NULL);

	pm->isa.pin.gsi = PM_SCI;
	isa_add_range(pm, &vm->pio, PM_BASE, PM_SIZE, pm_read, pm_write);
	return 0;
}

const struct isa_class isa_class_pm = {.name = "pm", .create = pm_create};
