/*
 * PCI devices that come and go while the guest runs (pci.hotplug=true): the
 * ACPI way, which Windows, Linux and the BSDs know without a driver.
 *
 * Three registers of a bit a slot of bus 0 (never slot 0 and the LPC bridge's):
 *
 *	UP	slots with a new device; reading clears
 *	DOWN	slots whose device is wanted back; reading clears
 *	EJECT	written: the guest has let go of these slots
 *
 * Setting a bit raises GPE 1, whose method (_E01) reads the registers and
 * notifies the devices of these slots; to give one back, the guest runs the
 * slot's _EJ0, which writes EJECT.  That happens in a vcpu, and only the main
 * thread removes devices: eject_fd tells it.
 */
#include "vmm/isa/hotplug.h"

#include "vmm/device.h"
#include "vmm/isa/isa.h"

#define PORT 0xae00
#define GPE 1
enum { UP = 0, DOWN = 4, EJECT = 8, SIZE = 12 };

struct hotplug {
	struct isa_dev isa;
	uint32_t up, down, ejected;
	int eject_fd;
	struct event_source *eject_src;
};

static uint64_t
hotplug_read(void *arg, uint64_t offset, unsigned size)
{
	struct hotplug *h = arg;
	uint64_t value = 0;

	scoped_lock(&h->isa.lock);
	if (offset == UP && size == 4) {
		value = h->up;
		h->up = 0;
	} else if (offset == DOWN && size == 4) {
		value = h->down;
		h->down = 0;
	}
	return value;
}

static void
hotplug_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct hotplug *h = arg;

	if (offset != EJECT || size != 4)
		return;
	pthread_mutex_lock(&h->isa.lock);
	h->ejected |= (uint32_t)value;
	pthread_mutex_unlock(&h->isa.lock);
	bell_ring(h->eject_fd);
}

/* Only what nobody else leans on can go. */
static bool
removable(const struct pci_dev *d)
{
	return d->bus == 0 && d->class->hotplug;
}

static void
on_eject(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct hotplug *h = arg;
	struct pci_dev *d;
	uint32_t slots;

	if (!bell_hush(fd))
		return;
	pthread_mutex_lock(&h->isa.lock);
	slots = h->ejected;
	h->ejected = 0;
	pthread_mutex_unlock(&h->isa.lock);
	for (unsigned slot = 1; slot < 31; slot++) {
		d = slots >> slot & 1 ? pci_find(h->isa.vm, 0, slot, 0) : NULL;
		if (d && removable(d))
			pci_remove(d);
	}
}

static int
need(struct vm *vm, struct hotplug **ret, struct error *err)
{
	*ret = vm_find_part(vm, "hotplug");
	return *ret ? 0 : error_set(err, ENOTSUP, "%s was not made for this: pci.hotplug is not set",
				    vm->name);
}

static void
raise_slot(struct hotplug *h, uint32_t *reg, unsigned slot)
{
	pthread_mutex_lock(&h->isa.lock);
	*reg |= 1U << slot;
	pthread_mutex_unlock(&h->isa.lock);
	pm_raise_gpe(h->isa.vm, GPE);
}

int
hotplug_add(struct vm *vm, const char *arg, struct error *err)
{
	struct hotplug *h;
	struct pci_dev *d;

	TRY(need(vm, &h, err));
	scoped_pause(vm);
	TRY(pci_add(vm, arg, &d, err));
	raise_slot(h, &h->up, d->slot);
	return 0;
}

int
hotplug_remove(struct vm *vm, const char *where, struct error *err)
{
	struct hotplug *h;
	struct pci_dev *d;

	TRY(need(vm, &h, err));
	TRY(pci_find_text(vm, where, &d, err));
	if (!removable(d))
		return error_set(err, ENOTSUP, "%s %s cannot be removed from a running machine",
				 d->class->name, where);
	raise_slot(h, &h->down, d->slot);
	return 0;
}

static void
hotplug_state(void *arg, struct state *s)
{
	struct hotplug *h = arg;

	STATE(s, h->up, h->down);
}

static void
hotplug_done(void *arg)
{
	struct hotplug *h = arg;

	event_source_free(h->eject_src);
	cleanup_closep(&h->eject_fd);
}

static int
hotplug_create(struct vm *vm, struct error *err)
{
	struct hotplug *h;
	bool wanted;
	int r = config_bool(vm->config, "pci.hotplug", false, &wanted, err);

	if (r < 0 || !wanted)
		return r;
	h = isa_new(vm, "hotplug", sizeof(*h), hotplug_state, hotplug_done);
	h->eject_fd = -1;
	isa_add_range(h, &vm->pio, PORT, SIZE, hotplug_read, hotplug_write);
	TRY(bell_new(&h->eject_fd, err));
	return vm->loop ? event_add_fd(vm->loop, h->eject_fd, EPOLLIN, on_eject, h, &h->eject_src,
				       err)
			: 0;
}

const struct isa_class isa_class_hotplug = {.name = "hotplug", .create = hotplug_create};

/* ---- what the guest is told ---- */

enum { NOTIFY_CHECK = 1, NOTIFY_EJECT = 3 };

static bool
slot_may_change(struct vm *vm, unsigned slot)
{
	struct pci_dev *d = pci_find(vm, 0, slot, 0);

	return !d || removable(d);
}

void
hotplug_asl_slots(struct vm *vm, struct strbuf *b)
{
	if (!vm_find_part(vm, "hotplug"))
		return;
	strbuf_addf(b, "OperationRegion(HPRG, SystemIO, %#x, %u)"
		    "Field(HPRG, DWordAcc, NoLock, WriteAsZeros) { HPUP, 32, HPDN, 32, HPEJ, 32 }",
		    PORT, SIZE);
	for (unsigned slot = 1; slot < 31; slot++)
		if (slot_may_change(vm, slot))
			strbuf_addf(b, "Device(S%03X) { Name(_ADR, %u) Name(_SUN, %u)"
				    "Method(_EJ0, 1) { Store(%u, HPEJ) } }", slot, slot << 16, slot,
				    1U << slot);
}

static void
asl_notify_each(struct vm *vm, struct strbuf *b, const char *field, unsigned what)
{
	strbuf_addf(b, "Store(\\_SB.PCI0.%s, Local0)", field);
	for (unsigned slot = 1; slot < 31; slot++)
		if (slot_may_change(vm, slot))
			strbuf_addf(b, "If (And(Local0, %u)) { Notify(\\_SB.PCI0.S%03X, %u) }",
				    1U << slot, slot, what);
}

void
hotplug_asl_events(struct vm *vm, struct strbuf *b)
{
	if (!vm_find_part(vm, "hotplug"))
		return;
	strbuf_adds(b, "Scope(\\_GPE) { Method(_E01, 0) {");
	asl_notify_each(vm, b, "HPUP", NOTIFY_CHECK);
	asl_notify_each(vm, b, "HPDN", NOTIFY_EJECT);
	strbuf_adds(b, "} }");
}
