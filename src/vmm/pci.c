/*
 * PCI configuration space, BAR placement and interrupts.  Finding devices in
 * the configuration and giving them addresses is pci_config.c.
 *
 * Locks: d->lock for configuration space, then d->irq_lock, then the
 * machine's own.  Class hooks (bar_*) are called without either; cfg_written
 * and bar_mapped with d->lock held.
 */
#include "vmm/boot/boot.h"
#include "vmm/pci.h"

#include <linux/pci_regs.h>

#include "os/kvm.h"
#include "vmm/device.h"

static uint64_t
bar_range_read(void *arg, uint64_t offset, unsigned size);
static void
bar_range_write(void *arg, uint64_t offset, unsigned size, uint64_t value);

/* ---- setting up ---- */

void
pci_set_ids(struct pci_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code,
	    uint8_t revision)
{
	pci_set16(d, PCI_VENDOR_ID, vendor);
	pci_set16(d, PCI_DEVICE_ID, device);
	pci_set32(d, PCI_CLASS_REVISION, class_code << 8 | revision);
}

void
pci_set_subsystem(struct pci_dev *d, uint16_t vendor, uint16_t device)
{
	pci_set16(d, PCI_SUBSYSTEM_VENDOR_ID, vendor);
	pci_set16(d, PCI_SUBSYSTEM_ID, device);
}

static unsigned
bar_offset(unsigned bar)
{
	return bar == PCI_BAR_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

static uint32_t
bar_flags(const struct pci_bar *b)
{
	switch (b->type) {
	case PCI_BAR_NONE:
		return 0;
	case PCI_BAR_IO:
		return PCI_BASE_ADDRESS_SPACE_IO;
	case PCI_BAR_MEM32:
		return b->ram ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;
	case PCI_BAR_MEM64:
		return PCI_BASE_ADDRESS_MEM_TYPE_64 | (b->ram ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0U);
	}
	return 0;
}

/*
 * size is a power of two: at least 4 for ports, 16 for memory.  A BAR of ports has all 32 bits,
 * as SeaBIOS expects when it works out their size.
 */
void
pci_add_bar(struct pci_dev *d, unsigned bar, enum pci_bar_type type, uint64_t size)
{
	struct pci_bar *b = &d->bar[bar];
	unsigned off = bar_offset(bar);
	uint64_t mask = ~(size - 1);

	b->type = type;
	b->size = size;
	b->dev = d;
	b->range = (struct bus_range){.size = size, .read = bar_range_read,
				      .write = bar_range_write, .dev = b, .movable = true};
	pci_set32(d, off, bar_flags(b));
	for (unsigned i = 0; i < 4; i++)
		d->wmask[off + i] = (uint8_t)(mask >> (8 * i));
	if (type == PCI_BAR_MEM64) {
		for (unsigned i = 4; i < 8; i++)
			d->wmask[off + i] = (uint8_t)(mask >> (8 * i));
	}
	if (bar == PCI_BAR_ROM)
		d->wmask[off] |= PCI_ROM_ADDRESS_ENABLE;
	d->cfg[PCI_COMMAND] = 0;
	d->wmask[PCI_COMMAND] |= type == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

int
pci_add_ram_bar(struct pci_dev *d, unsigned bar, uint64_t size, void **ret_hva, struct error *err)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return error_set_errno(err, errno, "no memory for a BAR of %lluM",
				       (unsigned long long)(size >> 20));
	d->bar[bar].ram = p;
	pci_add_bar(d, bar, PCI_BAR_MEM32, size);
	*ret_hva = p;
	return 0;
}

unsigned
pci_add_cap(struct pci_dev *d, uint8_t id, unsigned len)
{
	unsigned off = d->next_cap;

	d->cfg[off] = id;
	d->cfg[off + 1] = 0;
	if (d->last_cap)
		d->cfg[d->last_cap + 1] = (uint8_t)off;
	else
		d->cfg[PCI_CAPABILITY_LIST] = (uint8_t)off;
	d->last_cap = off;
	d->next_cap = (off + 2 + len + 3) & ~3U;
	pci_set16(d, PCI_STATUS, pci_get16(d, PCI_STATUS) | PCI_STATUS_CAP_LIST);
	return off;
}

static int
set_msix(struct pci_dev *d, unsigned cap, struct error *err)
{
	unsigned n = (pci_get16(d, cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1U;
	uint32_t table = pci_get32(d, cap + PCI_MSIX_TABLE), pba = pci_get32(d, cap + PCI_MSIX_PBA);

	d->msix.cap = cap;
	d->msix.n = n;
	d->msix.bar = table & PCI_MSIX_TABLE_BIR;
	d->msix.table = table & PCI_MSIX_TABLE_OFFSET;
	d->msix.pba = (pba & PCI_MSIX_PBA_BIR) == d->msix.bar ? pba & PCI_MSIX_PBA_OFFSET : UINT64_MAX;
	if (d->msix.bar >= PCI_BAR_ROM || d->bar[d->msix.bar].size < d->msix.table + 16ULL * n)
		return error_set(err, EINVAL, "its MSI-X table is in no BAR");
	d->msix.v = xcalloc(n, sizeof(*d->msix.v));
	for (unsigned i = 0; i < n; i++) {
		d->msix.v[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		d->msix.v[i].fd = -1;
	}
	d->wmask[cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	return 0;
}

/* A BAR of its own, with the pending bits in the upper half. */
int
pci_add_msix(struct pci_dev *d, unsigned bar, unsigned n, struct error *err)
{
	uint64_t size = 4096;
	unsigned cap;

	if (n == 0 || n > 2048)
		return error_set(err, EINVAL, "a device has from 1 to 2048 MSI-X vectors");
	while (size / 2 < n * 16)
		size *= 2;
	pci_add_bar(d, bar, PCI_BAR_MEM32, size);
	cap = pci_add_cap(d, PCI_CAP_ID_MSIX, 10);
	pci_set16(d, cap + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
	pci_set32(d, cap + PCI_MSIX_TABLE, bar);
	pci_set32(d, cap + PCI_MSIX_PBA, (uint32_t)(size / 2) | bar);
	return set_msix(d, cap, err);
}

int
pci_set_msix(struct pci_dev *d, unsigned cap, struct error *err)
{
	d->msix.shared = true;
	return set_msix(d, cap, err);
}

void
pci_add_msi(struct pci_dev *d)
{
	unsigned cap = d->msi.cap = pci_add_cap(d, PCI_CAP_ID_MSI, 12);

	pci_set16(d, cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT);
	d->wmask[cap + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE;
	memset(&d->wmask[cap + PCI_MSI_ADDRESS_LO], 0xff, 8);
	d->wmask[cap + PCI_MSI_ADDRESS_LO] = 0xfc;
	memset(&d->wmask[cap + PCI_MSI_DATA_64], 0xff, 2);
}

/* Pin A of every function; slots are spread over the eight lines (see _PRT in acpi.c). */
void
pci_add_pin(struct pci_dev *d)
{
	unsigned pin = d->fn % 4;

	d->cfg[PCI_INTERRUPT_PIN] = (uint8_t)(pin + 1);
	d->wmask[PCI_INTERRUPT_LINE] = 0xff;
	d->pin = (struct irq_pin){.irqs = &d->vm->irqs, .gsi = 16 + (d->slot + pin) % 8};
	d->cfg[PCI_INTERRUPT_LINE] = (uint8_t)d->pin.gsi;
	d->wmask[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_DISABLE >> 8;
}

void
pci_add_doorbell(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, bool match,
		 uint64_t value, int fd)
{
	struct pci_doorbell *b = xcalloc(1, sizeof(*b));

	*b = (struct pci_doorbell){.bar = bar, .offset = offset, .size = size, .match = match,
				   .value = value, .fd = fd};
	list_add_tail(&d->doorbells, &b->link);
}

/* ---- BAR placement ---- */

static void
doorbells_set(struct pci_dev *d, unsigned bar, bool attach)
{
	struct pci_doorbell *b;

	list_for_each(b, &d->doorbells, link) {
		if (b->bar != bar || b->attached == attach || d->vm->fd < 0)
			continue;

		struct kvm_doorbell k = {
			.address = d->bar[bar].range.base + b->offset,
			.size = b->size,
			.pio = d->bar[bar].type == PCI_BAR_IO,
			.match = b->match,
			.value = b->value,
			.fd = b->fd,
		};

		/* Taken by another BAR the guest laid over this one: the register still works, slowly. */
		if (kvm_ioeventfd(d->vm->fd, &k, attach, NULL) == 0 || !attach)
			b->attached = attach;
	}
}

static void
bar_map(struct pci_dev *d, unsigned n)
{
	struct pci_bar *b = &d->bar[n];

	b->range.base = b->addr;
	if (b->ram) {
		/* Where RAM is already, the kernel refuses; the BAR stays off. */
		if (mem_map(&d->vm->mem, b->addr, b->size, b->ram, 0, &b->slot, NULL) < 0)
			return;
	} else {
		bus_add(b->type == PCI_BAR_IO ? &d->vm->pio : &d->vm->mmio, &b->range);
		doorbells_set(d, n, true);
	}
	b->mapped = true;
	if (d->class->bar_mapped)
		d->class->bar_mapped(d, n, true);
}

static void
bar_unmap(struct pci_dev *d, unsigned n)
{
	struct pci_bar *b = &d->bar[n];

	if (b->ram) {
		(void)mem_unmap(&d->vm->mem, b->slot, NULL);
	} else {
		doorbells_set(d, n, false);
		bus_remove(b->type == PCI_BAR_IO ? &d->vm->pio : &d->vm->mmio, &b->range);
	}
	b->mapped = false;
	if (d->class->bar_mapped)
		d->class->bar_mapped(d, n, false);
}

/* Brings what is mapped in line with the command register and the BAR registers. */
static void
bars_update(struct pci_dev *d)
{
	uint16_t command = pci_get16(d, PCI_COMMAND);

	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *b = &d->bar[i];
		uint64_t addr = pci_get32(d, bar_offset(i));
		bool on;

		if (b->type == PCI_BAR_NONE)
			continue;
		if (b->type == PCI_BAR_MEM64)
			addr |= (uint64_t)pci_get32(d, bar_offset(i + 1)) << 32;
		addr &= ~(b->size - 1);
		on = command & (b->type == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
		/* An address of zero means "not placed yet". */
		on = on && addr != 0;
		if (i == PCI_BAR_ROM)
			on = on && (d->cfg[PCI_ROM_ADDRESS] & PCI_ROM_ADDRESS_ENABLE);
		if (b->mapped && (!on || b->addr != addr))
			bar_unmap(d, i);
		b->addr = addr;
		if (on && !b->mapped)
			bar_map(d, i);
	}
}

/* ---- interrupts ---- */

static void
msix_attach(struct pci_dev *d, struct pci_msix_vector *v)
{
	bool want = v->fd >= 0 && d->msix.enabled && !d->msix.masked &&
		    !(v->control & PCI_MSIX_ENTRY_CTRL_MASKBIT);

	if (v->fd < 0 || d->vm->fd < 0)
		return;
	/* A guest's nonsense address is refused by the kernel: then nothing is delivered. */
	if (want && irq_route_set(&d->vm->irqs, v->gsi, v->address, v->data, NULL) < 0)
		want = false;
	if (want != v->attached && kvm_irqfd(d->vm->fd, v->gsi, v->fd, want, NULL) == 0)
		v->attached = want;
}

/* irq_lock held.  Sends what became possible. */
static void
msix_update(struct pci_dev *d, struct pci_msix_vector *v)
{
	msix_attach(d, v);
	if (v->pending && d->msix.enabled && !d->msix.masked &&
	    !(v->control & PCI_MSIX_ENTRY_CTRL_MASKBIT)) {
		v->pending = false;
		irq_message(&d->vm->irqs, v->address, v->data);
	}
}

bool
pci_msix_enabled(struct pci_dev *d)
{
	scoped_lock(&d->irq_lock);
	return d->msix.enabled;
}

void
pci_msix_notify(struct pci_dev *d, unsigned vector)
{
	scoped_lock(&d->irq_lock);
	if (vector < d->msix.n && d->msix.enabled) {
		d->msix.v[vector].pending = true;
		msix_update(d, &d->msix.v[vector]);
	}
}

int
pci_msix_fd(struct pci_dev *d, unsigned vector, int *ret_fd, struct error *err)
{
	struct pci_msix_vector *v;
	int r = 0;

	if (vector >= d->msix.n)
		return error_set(err, EINVAL, "no vector %u", vector);
	scoped_lock(&d->irq_lock);
	v = &d->msix.v[vector];
	if (v->fd < 0) {
		r = irq_route_new(&d->vm->irqs, &v->gsi, err);
		if (r == 0 && (r = bell_new(&v->fd, err)) < 0)
			irq_route_free(&d->vm->irqs, v->gsi);
		if (r == 0)
			msix_update(d, v);
	}
	if (r == 0)
		*ret_fd = v->fd;
	return r;
}

/* irq_lock held. */
static void
intx_update(struct pci_dev *d)
{
	if (!d->cfg[PCI_INTERRUPT_PIN])
		return;
	irq_pin_set(&d->pin, d->intx_wanted && !d->intx_off && !d->msi.enabled &&
				     !d->msix.enabled);
}

void
pci_irq_level(struct pci_dev *d, bool level)
{
	scoped_lock(&d->irq_lock);
	if (d->msi.enabled && level && !d->intx_wanted)
		irq_message(&d->vm->irqs, d->msi.address, d->msi.data);
	d->intx_wanted = level;
	intx_update(d);
}

/* The guest changed the command register, the MSI or the MSI-X capability. */
static void
irqs_update(struct pci_dev *d)
{
	unsigned msix = d->msix.cap, msi = d->msi.cap;

	scoped_lock(&d->irq_lock);
	d->intx_off = pci_get16(d, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
	if (msi) {
		d->msi.enabled = pci_get16(d, msi + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE;
		d->msi.address = pci_get32(d, msi + PCI_MSI_ADDRESS_LO) |
				 (uint64_t)pci_get32(d, msi + PCI_MSI_ADDRESS_HI) << 32;
		d->msi.data = pci_get16(d, msi + PCI_MSI_DATA_64);
	}
	if (msix) {
		uint16_t flags = pci_get16(d, msix + PCI_MSIX_FLAGS);
		bool enabled = flags & PCI_MSIX_FLAGS_ENABLE;
		bool masked = flags & PCI_MSIX_FLAGS_MASKALL;

		if (enabled != d->msix.enabled || masked != d->msix.masked) {
			d->msix.enabled = enabled;
			d->msix.masked = masked;
			for (unsigned i = 0; i < d->msix.n; i++)
				msix_update(d, &d->msix.v[i]);
		}
	}
	intx_update(d);
}

/* Whether offset is in the table or among the pending bits, or in the BAR that is kept for them. */
static bool
is_msix(const struct pci_dev *d, unsigned bar, uint64_t offset)
{
	if (!d->msix.n || bar != d->msix.bar)
		return false;
	return !d->msix.shared || (offset >= d->msix.table && offset - d->msix.table < 16ULL * d->msix.n) ||
	       (offset >= d->msix.pba && offset - d->msix.pba < (d->msix.n + 63ULL) / 64 * 8);
}

static uint64_t
msix_read(struct pci_dev *d, uint64_t offset, unsigned size)
{
	uint64_t value = 0, in_table = offset - d->msix.table;

	scoped_lock(&d->irq_lock);
	if (in_table < 16ULL * d->msix.n) {
		const struct pci_msix_vector *v = &d->msix.v[in_table / 16];
		const uint32_t words[6] = {(uint32_t)v->address, (uint32_t)(v->address >> 32),
					   v->data, v->control, 0, 0};

		memcpy(&value, (const uint8_t *)words + in_table % 16, size);
	} else {
		for (unsigned i = 0; i < size * 8; i++) {
			uint64_t n = (offset - d->msix.pba) * 8 + i;

			if (n < d->msix.n && d->msix.v[n].pending)
				value |= 1ULL << i;
		}
	}
	return value;
}

static void
msix_write(struct pci_dev *d, uint64_t offset, unsigned size, uint64_t value)
{
	offset -= d->msix.table;
	if (offset / 16 >= d->msix.n || offset % 16 + size > 16)
		return;
	scoped_lock(&d->irq_lock);

	struct pci_msix_vector *v = &d->msix.v[offset / 16];
	uint32_t words[4] = {(uint32_t)v->address, (uint32_t)(v->address >> 32), v->data,
			     v->control};

	memcpy((uint8_t *)words + offset % 16, &value, size);
	v->address = words[0] | (uint64_t)words[1] << 32;
	v->data = words[2];
	v->control = words[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	msix_update(d, v);
}

/* ---- accesses ---- */

static uint64_t
bar_range_read(void *arg, uint64_t offset, unsigned size)
{
	struct pci_bar *b = arg;
	struct pci_dev *d = b->dev;
	unsigned n = (unsigned)(b - d->bar);

	if (is_msix(d, n, offset))
		return msix_read(d, offset, size);
	return d->class->bar_read ? d->class->bar_read(d, n, offset, size) : UINT64_MAX;
}

static void
bar_range_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_bar *b = arg;
	struct pci_dev *d = b->dev;
	unsigned n = (unsigned)(b - d->bar);

	if (is_msix(d, n, offset))
		msix_write(d, offset, size, value);
	else if (d->class->bar_write)
		d->class->bar_write(d, n, offset, size, value);
}

/*
 * Reading configuration space has no effect, so the guest may do it without us: its page lies in
 * the ECAM area, read only.  Looking for devices is most of what a booting guest does with PCI.
 * Where there is no room for it, or reads do have an effect, they come here.
 */
#define CFG_PAGE 4096

static void
cfg_map(struct pci_dev *d)
{
	uint64_t at = (uint64_t)(d->bus << 8 | d->slot << 3 | d->fn) * CFG_PAGE;

	d->cfg_mapped = mem_map(&d->vm->mem, d->vm->pci->ecam.base + at, CFG_PAGE, d->cfg,
				KVM_MEM_READONLY, &d->cfg_slot, NULL) == 0;
}

static void
cfg_unmap(struct pci_dev *d)
{
	if (d->cfg_mapped)
		(void)mem_unmap(&d->vm->mem, d->cfg_slot, NULL);
	d->cfg_mapped = false;
}

uint32_t
pci_cfg_read(struct pci_dev *d, unsigned offset, unsigned size)
{
	uint32_t value = 0;

	if (offset + size > PCI_CFG_SIZE)
		return (uint32_t)size_mask(size);
	scoped_lock(&d->lock);
	if (d->class->cfg_read)
		d->class->cfg_read(d, offset, size);
	memcpy(&value, &d->cfg[offset], size);
	return value;
}

void
pci_cfg_write(struct pci_dev *d, unsigned offset, unsigned size, uint32_t value)
{
	if (offset + size > PCI_CFG_SIZE)
		return;
	scoped_lock(&d->lock);
	if (d->class->cfg_read && offset >= PCI_STD_HEADER_SIZEOF)
		cfg_unmap(d);
	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = d->wmask[offset + i];
		uint8_t byte = (uint8_t)(value >> (8 * i));

		d->cfg[offset + i] = (uint8_t)((d->cfg[offset + i] & ~mask) | (byte & mask));
	}
	if (offset < PCI_ROM_ADDRESS + 4)
		bars_update(d);
	if (offset < PCI_STATUS || offset >= 0x40)
		irqs_update(d);
	if (d->class->cfg_written)
		d->class->cfg_written(d, offset, size);
}

/* ---- state ---- */

/*
 * Identity, capabilities and everything else a guest cannot change must be
 * what this machine has; the rest is taken over, and what follows from it
 * (mappings, routes, lines) is made again.
 */
static void
load_cfg(struct pci_dev *d, struct state *s, const uint8_t *cfg)
{
	for (unsigned i = 0; i < PCI_CFG_SIZE; i++) {
		bool live = d->class->cfg_read != NULL && i >= 0x40;

		if (!live && i != PCI_STATUS && ((cfg[i] ^ d->cfg[i]) & ~d->wmask[i])) {
			state_require(s, false, "configuration space differs from this machine's: it");
			return;
		}
	}
	memcpy(d->cfg, cfg, PCI_CFG_SIZE);
	if (d->class->cfg_read)
		cfg_unmap(d);
	bars_update(d);
	irqs_update(d);
}

static void
msix_state(struct pci_dev *d, struct state *s)
{
	for (unsigned i = 0; i < d->msix.n; i++) {
		struct pci_msix_vector *v = &d->msix.v[i];

		STATE(s, v->address, v->data, v->control, v->pending);
		v->control &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

static void
ram_bars_state(struct pci_dev *d, struct state *s)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (d->bar[i].ram)
			state_field(s, "ram", d->bar[i].ram, d->bar[i].size);
	}
}

void
pci_state(struct pci_dev *d, struct state *s)
{
	uint8_t cfg[PCI_CFG_SIZE];
	bool wanted;

	if (!d->class->state) {
		state_refuse(s, "this device cannot be saved");
		return;
	}
	memcpy(cfg, d->cfg, sizeof(cfg));
	wanted = d->intx_wanted;
	STATE(s, cfg, wanted);
	msix_state(d, s);
	ram_bars_state(d, s);
	if (state_loading(s)) {
		scoped_lock(&d->lock);
		load_cfg(d, s, cfg);
	}
	d->class->state(d, s);
	/* The chips know the line's level; this counts our share in it. */
	if (state_loading(s)) {
		scoped_lock(&d->irq_lock);
		d->intx_wanted = wanted;
		for (unsigned i = 0; i < d->msix.n; i++)
			msix_update(d, &d->msix.v[i]);
		intx_update(d);
	}
}

struct pci_dev *
pci_find(struct vm *vm, unsigned bus, unsigned slot, unsigned fn)
{
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		if (d->bus == bus && d->slot == slot && d->fn == fn)
			return d;
	}
	return NULL;
}

static struct pci_dev *
find_devfn(struct pci_root *root, unsigned bdf)
{
	return pci_find(root->vm, bdf >> 8 & 0xff, bdf >> 3 & 0x1f, bdf & 7);
}

#define ADDRESS_ENABLE 0x80000000U
#define PORT_RESET 1 /* 0xcf9 inside the address register: reset control */
#define RESET_CPU 0x04

static uint64_t
ports_read(void *arg, uint64_t offset, unsigned size)
{
	struct pci_root *root = arg;
	struct pci_dev *d;
	uint32_t address;

	pthread_mutex_lock(&root->lock);
	address = root->address;
	pthread_mutex_unlock(&root->lock);
	if (root->no_ports)
		return UINT64_MAX;
	if (offset < 4)
		return size == 4 ? address : offset == PORT_RESET ? 0 : UINT64_MAX;
	if (!(address & ADDRESS_ENABLE))
		return UINT64_MAX;
	d = find_devfn(root, address >> 8 & 0xffff);
	return d ? pci_cfg_read(d, (address & 0xfc) + (unsigned)offset - 4, size) : UINT64_MAX;
}

static void
ports_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_root *root = arg;
	struct pci_dev *d;
	uint32_t address;

	pthread_mutex_lock(&root->lock);
	if (offset == 0 && size == 4)
		root->address = (uint32_t)value;
	address = root->address;
	pthread_mutex_unlock(&root->lock);
	if (offset == PORT_RESET && size == 1 && (value & RESET_CPU))
		vm_end(root->vm, VM_END_REBOOT, NULL);
	if (root->no_ports || offset < 4 || !(address & ADDRESS_ENABLE))
		return;
	d = find_devfn(root, address >> 8 & 0xffff);
	if (d)
		pci_cfg_write(d, (address & 0xfc) + (unsigned)offset - 4, size, (uint32_t)value);
}

static uint64_t
ecam_read(void *arg, uint64_t offset, unsigned size)
{
	struct pci_dev *d = find_devfn(arg, (unsigned)(offset >> 12));

	if (!d || size > 4)
		return UINT64_MAX;
	return pci_cfg_read(d, offset & 0xfff, size);
}

static void
ecam_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_dev *d = find_devfn(arg, (unsigned)(offset >> 12));

	if (d && size <= 4)
		pci_cfg_write(d, offset & 0xfff, size, (uint32_t)value);
}

int
pci_root_new(struct vm *vm, struct pci_root **ret, struct error *err)
{
	struct pci_root *root = xcalloc(1, sizeof(*root));

	root->vm = vm;
	list_init(&root->devs);
	pthread_mutex_init(&root->lock, NULL);
	root->ports = (struct bus_range){.base = 0xcf8, .size = 8, .read = ports_read,
					 .write = ports_write, .dev = root};
	root->ecam = (struct bus_range){.base = boot_ecam_base(vm->config), .size = 1 << 20,
					.read = ecam_read, .write = ecam_write, .dev = root};
	bus_add(&vm->pio, &root->ports);
	bus_add(&vm->mmio, &root->ecam);
	*ret = root;
	return 0;
}

static void
dev_free(struct pci_dev *d)
{
	struct pci_doorbell *b, *tmp;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (d->bar[i].mapped)
			bar_unmap(d, i);
	}
	if (d->class->done)
		d->class->done(d);
	for (unsigned i = 0; i < d->msix.n; i++) {
		struct pci_msix_vector *v = &d->msix.v[i];

		if (v->attached)
			(void)kvm_irqfd(d->vm->fd, v->gsi, v->fd, false, NULL);
		if (v->fd >= 0)
			irq_route_free(&d->vm->irqs, v->gsi);
		cleanup_closep(&v->fd);
	}
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (d->bar[i].ram)
			munmap(d->bar[i].ram, d->bar[i].size);
	}
	list_for_each_safe(b, tmp, &d->doorbells, link) {
		list_del(&b->link);
		free(b);
	}
	list_del(&d->link);
	cfg_unmap(d);
	munmap(d->cfg, CFG_PAGE);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->irq_lock);
	free(d->msix.v);
	free(d);
}

void
pci_remove(struct pci_dev *d)
{
	struct vm *vm = d->vm;
	cleanup_free char *path = str_printf("pci.%u.%u.%u", d->bus, d->slot, d->fn);

	scoped_pause(vm);
	vm_free_parts(vm, d);
	dev_free(d);
	config_remove(vm->config, path);
}

void
pci_root_free(struct pci_root *root)
{
	if (!root)
		return;
	while (!list_empty(&root->devs))
		dev_free(list_entry(root->devs.prev, struct pci_dev, link));
	bus_remove(&root->vm->pio, &root->ports);
	bus_remove(&root->vm->mmio, &root->ecam);
	pthread_mutex_destroy(&root->lock);
	free(root);
}

int
pci_create(struct vm *vm, const struct pci_class *class, unsigned bus, unsigned slot, unsigned fn,
	   struct config *node, struct pci_dev **ret, struct error *err)
{
	void *cfg = mmap(NULL, CFG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pci_dev *d;
	char where[16];
	int r;

	if (cfg == MAP_FAILED)
		return error_set_errno(err, errno, "no memory for configuration space");
	d = xcalloc(1, class->size);
	d->cfg = cfg;
	memset(d->cfg + PCI_CFG_SIZE, 0xff, CFG_PAGE - PCI_CFG_SIZE);
	d->class = class;
	d->vm = vm;
	d->bus = (uint8_t)bus;
	d->slot = (uint8_t)slot;
	d->fn = (uint8_t)fn;
	d->next_cap = 0x40;
	list_init(&d->doorbells);
	list_init(&d->link);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->irq_lock, NULL);
	d->wmask[PCI_COMMAND] = PCI_COMMAND_MASTER;
	d->wmask[PCI_COMMAND + 1] = PCI_COMMAND_SERR >> 8;
	vm->part_owner = d;
	r = class->init(d, node, err);
	vm->part_owner = NULL;
	if (r < 0) {
		r = error_wrap(err, r, "pci %s %s", pci_where(d, where), class->name);
		vm_free_parts(vm, d);
		dev_free(d);
		return r;
	}
	/* Functions 1..7 are only looked for behind a multi-function device. */
	list_add_tail(&vm->pci->devs, &d->link);
	if (bus > vm->pci->max_bus) {
		bus_remove(&vm->mmio, &vm->pci->ecam);
		vm->pci->max_bus = bus;
		vm->pci->ecam.size = (uint64_t)(bus + 1) << 20;
		bus_add(&vm->mmio, &vm->pci->ecam);
	}
	if (!class->cfg_live)
		cfg_map(d);
	if (ret)
		*ret = d;
	return 0;
}

const char *
pci_where(const struct pci_dev *d, char *buf)
{
	snprintf(buf, 16, "%u:%u:%u", d->bus, d->slot, d->fn);
	return buf;
}
