/*
 * PCI passthrough: a device of the host's, given to the guest through VFIO.
 *
 * The guest's configuration space is the device's, but for
 *	BARs and ROM	the guest's addresses stand here only; VFIO keeps the device's own
 *	MSI, MSI-X	enabling, addresses and masks are emulated by the core (pci.c), and what
 *			the device sends comes as an eventfd that KVM turns into the guest's message
 *	interrupt line	ours (the core's pin); a level, which KVM hands back when the guest is done
 * Writes to anything else go to VFIO, which knows what of it may reach the device, and reads
 * come from there.  A memory BAR is mapped into the guest, but for the page with the MSI-X
 * table; ports, and what cannot be mapped, go through reads and writes of ours.
 *
 * The device reaches all of the guest's RAM at any time: RAM must be wired (-S), no page is
 * given back, and neither memory nor device can be saved or moved.
 */
#include <linux/pci_regs.h>
#include <sys/stat.h>

#include "base/file.h"
#include "os/kvm.h"
#include "vmm/backend/vfio.h"
#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_VCPU, "pread64", "pwrite64", "ioctl", "eventfd2");

#define PAGE 4096ULL
#define ROM_MAX (16U << 20)
#define MAX_VECTORS 512
#define PARTS 2 /* of a BAR, before and behind the MSI-X table */

struct part {
	uint64_t offset, size;
	void *p; /* the device's registers */
	unsigned slot;
	bool mapped;
};

struct passthru {
	struct pci_dev pci;
	struct vfio_device dev;
	struct part part[PCI_BARS][PARTS];
	uint8_t *rom;
	size_t rom_size;
	uint8_t ours[256]; /* bytes of configuration space that are not the device's */
	int intx_fd, unmask_fd;
	int msi_fd;
	unsigned msi_gsi;
	enum { IRQ_NONE, IRQ_INTX, IRQ_MSI, IRQ_MSIX } irq; /* what the device is told to send */
	bool msi_attached;
};

/* ---- configuration space ---- */

static bool
config_io(struct passthru *p, unsigned at, void *buf, unsigned size, bool write)
{
	off_t off = (off_t)(p->dev.region[VFIO_PCI_CONFIG_REGION_INDEX].offset + at);

	return (write ? pwrite(p->dev.fd, buf, size, off) : pread(p->dev.fd, buf, size, off)) ==
	       (ssize_t)size;
}

static void
keep(struct passthru *p, unsigned at, unsigned size)
{
	memset(p->ours + at, 1, size);
}

/* ---- interrupts ---- */

static int
need_fd(int *fd, struct error *err)
{
	return *fd < 0 ? bell_new(fd, err) : 0;
}

static int
enable_intx(struct passthru *p, struct error *err)
{
	struct pci_dev *d = &p->pci;

	if (!d->cfg[PCI_INTERRUPT_PIN] || !p->dev.n_irqs[VFIO_PCI_INTX_IRQ_INDEX])
		return 0;
	TRY(need_fd(&p->intx_fd, err));
	TRY(need_fd(&p->unmask_fd, err));
	TRY(vfio_set_irqs(&p->dev, VFIO_PCI_INTX_IRQ_INDEX, &p->intx_fd, 1, err));
	TRY(vfio_unmask_by(&p->dev, p->unmask_fd, err));
	return d->vm->fd < 0 ? 0 : kvm_irqfd_level(d->vm->fd, d->pin.gsi, p->intx_fd, p->unmask_fd,
						   true, err);
}

static int
enable_msi(struct passthru *p, struct error *err)
{
	struct irqs *q = &p->pci.vm->irqs;

	if (!p->msi_gsi)
		TRY(irq_route_new(q, &p->msi_gsi, err));
	TRY(need_fd(&p->msi_fd, err));
	TRY(irq_route_set(q, p->msi_gsi, p->pci.msi.address, p->pci.msi.data, err));
	if (!p->msi_attached && p->pci.vm->fd >= 0)
		TRY(kvm_irqfd(p->pci.vm->fd, p->msi_gsi, p->msi_fd, true, err));
	p->msi_attached = true;
	return vfio_set_irqs(&p->dev, VFIO_PCI_MSI_IRQ_INDEX, &p->msi_fd, 1, err);
}

static int
enable_msix(struct passthru *p, struct error *err)
{
	int fds[MAX_VECTORS], r = 0;

	for (unsigned i = 0; i < p->pci.msix.n && r == 0; i++)
		r = pci_msix_fd(&p->pci, i, &fds[i], err);
	return r < 0 ? r : vfio_set_irqs(&p->dev, VFIO_PCI_MSIX_IRQ_INDEX, fds, p->pci.msix.n, err);
}

static const struct {
	unsigned index;
	int (*enable)(struct passthru *p, struct error *err);
} irq_kinds[] = {
	[IRQ_INTX] = {VFIO_PCI_INTX_IRQ_INDEX, enable_intx},
	[IRQ_MSI] = {VFIO_PCI_MSI_IRQ_INDEX, enable_msi},
	[IRQ_MSIX] = {VFIO_PCI_MSIX_IRQ_INDEX, enable_msix},
};

static void
disable_irqs(struct passthru *p)
{
	if (p->irq != IRQ_NONE)
		(void)vfio_set_irqs(&p->dev, irq_kinds[p->irq].index, NULL, 0, NULL);
	if (p->irq == IRQ_INTX && p->pci.vm->fd >= 0 && p->intx_fd >= 0)
		(void)kvm_irqfd_level(p->pci.vm->fd, p->pci.pin.gsi, p->intx_fd, p->unmask_fd, false,
				      NULL);
	if (p->msi_attached && p->pci.vm->fd >= 0)
		(void)kvm_irqfd(p->pci.vm->fd, p->msi_gsi, p->msi_fd, false, NULL);
	p->msi_attached = false;
	p->irq = IRQ_NONE;
}

/* The guest turned one of them on or off.  A machine whose device fell silent is of no use. */
static void
irqs_changed(struct passthru *p)
{
	cleanup_error struct error err = ERROR_INIT;
	int want = p->pci.msix.enabled ? IRQ_MSIX : p->pci.msi.enabled ? IRQ_MSI : IRQ_INTX;
	char where[16];

	if (want == (int)p->irq && want != IRQ_MSI)
		return;
	if (want != (int)p->irq)
		disable_irqs(p);
	p->irq = want;
	if (irq_kinds[want].enable(p, &err) < 0)
		vm_end(p->pci.vm, VM_END_ERROR, "passthru %s: %s", pci_where(&p->pci, where),
		       error_message(&err));
}

static void
passthru_cfg_read(struct pci_dev *d, unsigned offset, unsigned size)
{
	struct passthru *p = (struct passthru *)d;
	uint8_t now[4];

	if (!config_io(p, offset, now, size, false))
		return;
	for (unsigned i = 0; i < size; i++)
		if (!p->ours[offset + i])
			d->cfg[offset + i] = now[i];
}

static void
passthru_cfg_written(struct pci_dev *d, unsigned offset, unsigned size)
{
	struct passthru *p = (struct passthru *)d;
	bool whole = !memchr(p->ours + offset, 1, size);

	if (whole)
		(void)config_io(p, offset, d->cfg + offset, size, true);
	for (unsigned i = 0; !whole && i < size; i++)
		if (!p->ours[offset + i])
			(void)config_io(p, offset + i, d->cfg + offset + i, 1, true);
	if (offset < PCI_STATUS || offset >= 0x40)
		irqs_changed(p);
}

/* ---- BARs ---- */

static uint64_t
passthru_bar_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	struct passthru *p = (struct passthru *)d;
	uint64_t v = UINT64_MAX;

	if (bar == PCI_BAR_ROM)
		memcpy(&v, p->rom + offset, size);
	else if (pread(p->dev.fd, &v, size, (off_t)(p->dev.region[bar].offset + offset)) < 0)
		return UINT64_MAX; /* as a device that is gone */
	return v;
}

static void
passthru_bar_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct passthru *p = (struct passthru *)d;

	if (bar != PCI_BAR_ROM)
		(void)!pwrite(p->dev.fd, &value, size, (off_t)(p->dev.region[bar].offset + offset));
}

/* What could not be put into the guest's memory is reached by reads and writes. */
static void
passthru_bar_mapped(struct pci_dev *d, unsigned bar, bool mapped)
{
	struct passthru *p = (struct passthru *)d;

	for (unsigned i = 0; i < PARTS; i++) {
		struct part *m = &p->part[bar][i];

		if (!m->p)
			continue;
		if (m->mapped)
			(void)mem_unmap(&d->vm->mem, m->slot, NULL);
		m->mapped = mapped && mem_map(&d->vm->mem, d->bar[bar].addr + m->offset, m->size,
					      m->p, 0, &m->slot, NULL) == 0;
	}
}

static int
map_part(struct passthru *p, unsigned bar, unsigned n, uint64_t from, uint64_t to,
	 struct error *err)
{
	const struct vfio_region *r = &p->dev.region[bar];
	struct part *m = &p->part[bar][n];

	from = (from > r->map_from ? from : r->map_from) & ~(PAGE - 1);
	to = to < r->map_to ? to : r->map_to;
	if (!r->mmap || from >= to || to % PAGE)
		return 0;
	m->p = mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_SHARED, p->dev.fd,
		    (off_t)(r->offset + from));
	if (m->p == MAP_FAILED) {
		m->p = NULL;
		return error_set_errno(err, errno, "BAR %u", bar);
	}
	m->offset = from;
	m->size = to - from;
	return 0;
}

static int
add_bars(struct passthru *p, struct error *err)
{
	struct pci_dev *d = &p->pci;

	for (unsigned i = 0; i < PCI_BAR_ROM; i++) {
		uint32_t low = pci_get32(d, PCI_BASE_ADDRESS_0 + 4 * i);
		uint64_t size = p->dev.region[i].size;
		bool io = low & PCI_BASE_ADDRESS_SPACE_IO;
		bool wide = !io && (low & PCI_BASE_ADDRESS_MEM_TYPE_64);
		uint8_t flags = low & (io ? 3 : 15);

		if (!size)
			continue;
		if ((size & (size - 1)) || (wide && i == 5))
			return error_set(err, EINVAL, "BAR %u has %llu bytes", i,
					 (unsigned long long)size);
		pci_set32(d, PCI_BASE_ADDRESS_0 + 4 * i, 0);
		if (wide)
			pci_set32(d, PCI_BASE_ADDRESS_0 + 4 * (i + 1), 0);
		pci_add_bar(d, i, io ? PCI_BAR_IO : wide ? PCI_BAR_MEM64 : PCI_BAR_MEM32,
			    io || size >= PAGE ? size : PAGE);
		d->cfg[PCI_BASE_ADDRESS_0 + 4 * i] = flags;
		i += wide;
	}
	return 0;
}

/* Around the MSI-X table, whose page is not for the guest to write. */
static int
map_bars(struct passthru *p, struct error *err)
{
	struct pci_dev *d = &p->pci;
	int r = 0;

	for (unsigned i = 0; i < PCI_BAR_ROM && r == 0; i++) {
		uint64_t size = p->dev.region[i].size, from = size, to = size;

		if (d->bar[i].type == PCI_BAR_NONE || d->bar[i].type == PCI_BAR_IO || size < PAGE)
			continue;
		if (d->msix.n && d->msix.bar == i) {
			from = d->msix.table & ~(PAGE - 1);
			to = (d->msix.table + 16ULL * d->msix.n + PAGE - 1) & ~(PAGE - 1);
		}
		r = map_part(p, i, 0, 0, from, err);
		if (r == 0 && to < size)
			r = map_part(p, i, 1, to, size, err);
	}
	return r;
}

/* ---- setting up ---- */

/* The core has one message, of 64 bits, without a mask: so that is what the guest sees. */
static void
take_msi(struct passthru *p, unsigned cap)
{
	struct pci_dev *d = &p->pci;

	d->cfg[cap + PCI_MSI_FLAGS] &= (uint8_t)~(PCI_MSI_FLAGS_QMASK | PCI_MSI_FLAGS_QSIZE);
	d->cfg[cap + PCI_MSI_FLAGS + 1] &= (uint8_t)~(PCI_MSI_FLAGS_MASKBIT >> 8);
	memset(d->wmask + cap, 0, 14);
	d->msi.cap = cap;
	d->wmask[cap + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE;
	memset(&d->wmask[cap + PCI_MSI_ADDRESS_LO], 0xff, 10);
	d->wmask[cap + PCI_MSI_ADDRESS_LO] = 0xfc;
	keep(p, cap, 14);
}

/* A device with a loop in its list is refused; MSI of 32 bits is left out, INTx does its work. */
static int
take_caps(struct passthru *p, struct error *err)
{
	struct pci_dev *d = &p->pci;
	unsigned from = PCI_CAPABILITY_LIST, n = 0;
	int r = 0;

	if (!(pci_get16(d, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned at = d->cfg[from] & ~3U; at >= 0x40 && r == 0; at = d->cfg[from] & ~3U) {
		uint8_t id = d->cfg[at];
		bool hide = id == PCI_CAP_ID_MSI && !(pci_get16(d, at + PCI_MSI_FLAGS) &
						      PCI_MSI_FLAGS_64BIT);

		if (++n > 48 || at > 256 - 16)
			return error_set(err, EINVAL, "its list of capabilities has no end");
		if (hide) {
			d->cfg[from] = d->cfg[at + 1];
			keep(p, from, 1);
			continue;
		}
		if (id == PCI_CAP_ID_MSI) {
			take_msi(p, at);
		} else if (id == PCI_CAP_ID_MSIX) {
			keep(p, at, 12);
			memset(d->wmask + at, 0, 12);
			r = pci_set_msix(d, at, err);
			if (r == 0 && d->msix.n > MAX_VECTORS)
				r = error_set(err, ENOTSUP, "it has %u interrupts, more than %d",
					      d->msix.n, MAX_VECTORS);
		}
		from = at + 1;
	}
	return r;
}

static int
take_config(struct passthru *p, struct error *err)
{
	struct pci_dev *d = &p->pci;

	for (unsigned i = 0; i < PCI_CFG_SIZE; i += 4)
		if (!config_io(p, i, d->cfg + i, 4, false))
			return error_set_errno(err, errno, "configuration space");
	if ((d->cfg[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		return error_set(err, ENOTSUP, "it is a bridge");
	memset(d->wmask, 0xff, sizeof(d->wmask));
	memset(d->wmask, 0, 4); /* who it is */
	memset(d->wmask + PCI_BASE_ADDRESS_0, 0, PCI_CAPABILITY_LIST - PCI_BASE_ADDRESS_0);
	keep(p, PCI_BASE_ADDRESS_0, 24);
	keep(p, PCI_ROM_ADDRESS, 4);
	keep(p, PCI_INTERRUPT_LINE, 2);
	keep(p, PCI_HEADER_TYPE, 1); /* whether the slot has more functions is the guest's bus's matter */
	d->wmask[PCI_HEADER_TYPE] = d->wmask[PCI_INTERRUPT_PIN] = 0;
	d->cfg[PCI_HEADER_TYPE] &= 0x7f;
	pci_set32(d, PCI_ROM_ADDRESS, 0);
	TRY(add_bars(p, err));
	TRY(take_caps(p, err));
	TRY(map_bars(p, err));
	if (d->cfg[PCI_INTERRUPT_PIN])
		pci_add_pin(d);
	return 0;
}

static int
take_rom(struct passthru *p, const char *path, struct error *err)
{
	cleanup_free char *data = NULL;
	size_t len, size = 2048;

	TRY(file_read(path, ROM_MAX, &data, &len, err));
	if (len < 2 || memcmp(data, "\x55\xaa", 2) != 0)
		return error_set(err, EINVAL, "%s is no option ROM", path);
	while (size < len)
		size *= 2;
	p->rom = xcalloc(1, size);
	memcpy(p->rom, data, len);
	pci_add_bar(&p->pci, PCI_BAR_ROM, PCI_BAR_MEM32, size);
	return 0;
}

static int
passthru_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct passthru *p = (struct passthru *)d;
	const char *host = config_get(node, "host", NULL), *rom = config_get(node, "rom", NULL);
	uint64_t group, at[3];
	bool wired;

	p->dev.fd = p->intx_fd = p->unmask_fd = p->msi_fd = -1;
	if (config_get(node, "pptdev", NULL))
		return error_set(err, ENOTSUP, "pptdev: expected host, the device's PCI address");
	if (!host && config_get(node, "bus", NULL)) { /* as bhyve_config(5) has it */
		TRY(config_u64(node, "bus", 0, 255, 0, &at[0], err));
		TRY(config_u64(node, "slot", 0, 31, 0, &at[1], err));
		TRY(config_u64(node, "func", 0, 7, 0, &at[2], err));
		TRY(config_setf(node, "host", err, "0000:%02x:%02x.%u", (unsigned)at[0],
				(unsigned)at[1], (unsigned)at[2]));
		host = config_get(node, "host", NULL);
	}
	if (!host)
		return error_set(err, EINVAL, "expected the address of a PCI device of the host's: "
				 "BUS/SLOT/FUNCTION, or [DOMAIN:]BUS:SLOT.FUNCTION in hexadecimal");
	TRY(config_bool(d->vm->config, "memory.wired", false, &wired, err));
	TRY(config_u64(node, "group", 0, INT32_MAX, INT32_MAX, &group, err));
	if (!wired)
		return error_set(err, EINVAL, "a passed-through device needs the guest's memory wired: -S");
	TRY(vfio_open(d->vm, host, group == INT32_MAX ? -1 : (int)group, &p->dev, err));
	TRY(take_config(p, err));
	return rom ? take_rom(p, rom, err) : 0;
}

static void
passthru_done(struct pci_dev *d)
{
	struct passthru *p = (struct passthru *)d;

	disable_irqs(p);
	for (unsigned i = 0; i < PCI_BARS; i++)
		for (unsigned n = 0; n < PARTS; n++)
			if (p->part[i][n].p)
				munmap(p->part[i][n].p, p->part[i][n].size);
	if (p->msi_gsi)
		irq_route_free(&d->vm->irqs, p->msi_gsi);
	cleanup_closep(&p->intx_fd);
	cleanup_closep(&p->unmask_fd);
	cleanup_closep(&p->msi_fd);
	free(p->rom);
	vfio_close(&p->dev);
}

static const struct pci_opt opts[] = {
	{"host", "ADDRESS", "the device: BUS/SLOT/FUNCTION or [DOMAIN:]BUS:SLOT.FUNCTION"},
	{"group", "N", "its IOMMU group, where there is no /sys to ask"},
	{"rom", "FILE", "an option ROM the guest sees"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{0},
};

/* bhyve's 1/0/0 and pci1:0:0 in decimal, Linux' 0000:01:00.0 and 01:00.0 in hexadecimal. */
static int
passthru_parse(struct config *node, const char *text, struct error *err)
{
	static const struct pci_class plain = {.name = "passthru", .main_opt = "host", .opts = opts};
	cleanup_free char *first = xstrndup(text, strcspn(text, ","));
	unsigned v[4] = {0};
	char rest;
	cleanup_free char *host = NULL;
	const char *word = str_after(first, "host=") ? str_after(first, "host=") : first;

	if (str_after(word, "ppt") || str_after(word, "/dev/ppt"))
		return error_set(err, EINVAL, "passthru: %s is illumos' name; expected the device's PCI "
				 "address", word);
	if (sscanf(word, "%u/%u/%u%c", &v[1], &v[2], &v[3], &rest) != 3 &&
	    sscanf(word, "pci%u:%u:%u%c", &v[1], &v[2], &v[3], &rest) != 3 &&
	    sscanf(word, "%x:%x:%x.%u%c", &v[0], &v[1], &v[2], &v[3], &rest) != 4) {
		v[0] = 0;
		if (sscanf(word, "%x:%x.%u%c", &v[1], &v[2], &v[3], &rest) != 3)
			return pci_parse_opts(&plain, node, text, err);
	}
	if (v[0] > 0xffff || v[1] > 255 || v[2] > 31 || v[3] > 7)
		return error_set(err, EINVAL, "passthru: \"%s\" is no PCI address", word);
	host = str_printf("%04x:%02x:%02x.%u%s", v[0], v[1], v[2], v[3], text + strlen(first));
	return pci_parse_opts(&plain, node, host, err);
}

const struct pci_class pci_class_passthru = {
	.name = "passthru",
	.summary = "a PCI device of the host's, through VFIO",
	.main_opt = "host",
	.opts = opts,
	.parse = passthru_parse,
	.size = sizeof(struct passthru),
	.init = passthru_init,
	.done = passthru_done,
	.bar_read = passthru_bar_read,
	.bar_write = passthru_bar_write,
	.bar_mapped = passthru_bar_mapped,
	.cfg_live = true,
	.cfg_read = passthru_cfg_read,
	.cfg_written = passthru_cfg_written,
};
