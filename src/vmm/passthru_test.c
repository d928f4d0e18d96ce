/* Passthrough with a device made of a file in VFIO's place: the functions of backend/vfio.c are ours here. */
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/backend/vfio.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

#define CONFIG_AT 0x100000
#define PORTS_AT 0x200000
#define BAR0 0x10000
#define TABLE 0x2000
#define VECTORS 4

static int device = -1; /* the file */
static struct {
	unsigned n[VFIO_PCI_NUM_IRQS];
	int fd[VFIO_PCI_NUM_IRQS];
	bool closed;
} seen;

static void
poke(unsigned at, uint64_t v, unsigned size)
{
	require(pwrite(device, &v, size, CONFIG_AT + at) == (ssize_t)size);
}

static uint64_t
peek(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	require(pread(device, &v, size, (off_t)at) == (ssize_t)size);
	return v;
}

int
vfio_open(struct vm *vm, const char *host, int group, struct vfio_device *ret, struct error *err)
{
	check_str(host, "0000:01:02.3");
	memset(&seen, 0, sizeof(seen));
	device = memfd_create("device", MFD_CLOEXEC);
	require(device >= 0 && ftruncate(device, 0x300000) == 0);
	poke(PCI_VENDOR_ID, 0x12345678, 4);
	poke(PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	poke(PCI_BASE_ADDRESS_0, 0xfe00000c, 4); /* 64 bits, prefetchable */
	poke(PCI_BASE_ADDRESS_2, 0xe001, 4);
	poke(PCI_INTERRUPT_PIN, 2, 1);
	poke(PCI_CAPABILITY_LIST, 0x50, 1);
	/* MSI of 32 bits, which the guest is not to see; MSI of 64 bits; MSI-X; one of its own */
	poke(0x50, PCI_CAP_ID_MSI | 0x60 << 8, 4);
	poke(0x60, PCI_CAP_ID_MSI | 0x80 << 8 | (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_QMASK) << 16, 4);
	poke(0x80, PCI_CAP_ID_MSIX | 0xa0 << 8 | (VECTORS - 1) << 16, 4);
	poke(0x84, TABLE, 4);
	poke(0x88, TABLE + 0x800, 4);
	poke(0xa0, PCI_CAP_ID_VNDR, 4);
	poke(0xa4, 0xabcd, 4);
	*ret = (struct vfio_device){.fd = dup(device)};
	ret->region[0] = (struct vfio_region){BAR0, 0, true, 0, BAR0};
	ret->region[2] = (struct vfio_region){.size = 32, .offset = PORTS_AT};
	ret->region[VFIO_PCI_CONFIG_REGION_INDEX] =
		(struct vfio_region){.size = 256, .offset = CONFIG_AT};
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		ret->n_irqs[i] = 1;
	return 0;
}

void
vfio_close(struct vfio_device *d)
{
	seen.closed = true;
	cleanup_closep(&d->fd);
	cleanup_closep(&device);
}

int
vfio_set_irqs(struct vfio_device *d, unsigned index, const int *fds, unsigned n, struct error *err)
{
	seen.n[index] = n;
	seen.fd[index] = n ? fds[n - 1] : -1;
	return 0;
}

int
vfio_unmask_by(struct vfio_device *d, int fd, struct error *err)
{
	return 0;
}

struct machine {
	struct config *config;
	struct vm *vm;
	struct pci_dev *d;
};

static struct machine
machine(const char *option)
{
	struct machine m = {.config = config_new()};
	cleanup_free char *slot = str_printf("4,passthru,1/2/3%s", option);
	cleanup_error struct error err = ERROR_INIT;

	check_ok(config_set(m.config, "memory.wired", "true", &err), &err);
	check_ok(pci_parse_slot(m.config, slot, &err), &err);
	check_ok(vm_new_fake(m.config, 4 << 20, &m.vm, &err), &err);
	check_ok(pci_create_all(m.vm, &err), &err);
	m.d = pci_find(m.vm, 0, 4, 0);
	require(m.d);
	return m;
}

static void
drop(struct machine *m)
{
	vm_free(m->vm);
	config_free(m->config);
	check(seen.closed);
}

TEST(what_the_guest_sees_of_it)
{
	struct machine m = machine("");

	check_int(pci_cfg_read(m.d, PCI_VENDOR_ID, 4), ==, 0x12345678);
	check_int(pci_cfg_read(m.d, PCI_BASE_ADDRESS_0, 4), ==, 0xc);
	check_int(pci_cfg_read(m.d, PCI_INTERRUPT_PIN, 1), ==, 1); /* ours */
	check_int(pci_cfg_read(m.d, PCI_CAPABILITY_LIST, 1), ==, 0x60);
	check_int(pci_cfg_read(m.d, 0x62, 2), ==, PCI_MSI_FLAGS_64BIT);
	check_int(pci_cfg_read(m.d, 0xa4, 4), ==, 0xabcd);
	/* its own registers go through, and are what it says the next time */
	pci_cfg_write(m.d, 0xa4, 4, 0x77);
	check_int(peek(CONFIG_AT + 0xa4, 4), ==, 0x77);
	poke(0xa4, 0x99, 4);
	check_int(pci_cfg_read(m.d, 0xa4, 4), ==, 0x99);
	/* who it is, where it is, and its messages do not */
	pci_cfg_write(m.d, PCI_VENDOR_ID, 4, 0);
	pci_cfg_write(m.d, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	pci_cfg_write(m.d, 0x64, 4, 0xfee00000);
	check_int(peek(CONFIG_AT, 4), ==, 0x12345678);
	check_int(peek(CONFIG_AT + PCI_BASE_ADDRESS_0, 4), ==, 0xfe00000c);
	check_int(peek(CONFIG_AT + 0x64, 4), ==, 0);
	check_int(pci_cfg_read(m.d, PCI_BASE_ADDRESS_0, 4), ==, 0xffff000c);
	drop(&m);
}

/* How many memory slots touch the first BAR between these offsets. */
static unsigned
slots_of(const struct machine *m, uint64_t from, uint64_t to)
{
	uint64_t at = m->d->bar[0].addr;
	unsigned n = 0;

	for (unsigned i = MEM_RAM_SLOTS; i < MEM_SLOTS; i++) {
		const struct mem_region *r = &m->vm->mem.slot[i];

		n += r->size && r->gpa < at + to && r->gpa + r->size > at + from;
	}
	return n;
}

TEST(bars_reach_the_device_but_for_its_table)
{
	struct machine m = machine("");
	uint64_t at, v;

	check(pci_assign(m.vm, true, NULL) == 0);
	check_int(peek(CONFIG_AT + PCI_COMMAND, 2) & 7, ==, 7);
	at = m.d->bar[0].addr;
	bus_write(&m.vm->mmio, at + 0x1008, 4, 0x55aa);
	check_int(peek(0x1008, 4), ==, 0x55aa);
	bus_write(&m.vm->mmio, at + TABLE + 16, 4, 0xfee01000);
	check_int(peek(TABLE + 16, 4), ==, 0);
	bus_read(&m.vm->mmio, at + TABLE + 16, 4, &v);
	check_int(v, ==, 0xfee01000);
	bus_write(&m.vm->pio, m.d->bar[2].addr + 4, 2, 0x1234);
	check_int(peek(PORTS_AT + 4, 2), ==, 0x1234);
	/* in the guest's memory: before and behind the table's page; nothing once it may not answer */
	check_int(slots_of(&m, 0, TABLE), ==, 1);
	check_int(slots_of(&m, TABLE, TABLE + 0x1000), ==, 0);
	check_int(slots_of(&m, TABLE + 0x1000, m.d->bar[0].size), ==, 1);
	pci_cfg_write(m.d, PCI_COMMAND, 2, 0);
	check_int(slots_of(&m, 0, m.d->bar[0].size), ==, 0);
	drop(&m);
}

TEST(interrupts_are_of_the_kind_the_guest_turns_on)
{
	struct machine m = machine("");

	pci_cfg_write(m.d, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	check_int(seen.n[VFIO_PCI_INTX_IRQ_INDEX], ==, 1);
	pci_cfg_write(m.d, 0x82, 2, PCI_MSIX_FLAGS_ENABLE);
	check_int(seen.n[VFIO_PCI_INTX_IRQ_INDEX], ==, 0);
	check_int(seen.n[VFIO_PCI_MSIX_IRQ_INDEX], ==, VECTORS);
	check(seen.fd[VFIO_PCI_MSIX_IRQ_INDEX] == m.d->msix.v[VECTORS - 1].fd);
	check_int(peek(CONFIG_AT + 0x82, 2), ==, VECTORS - 1);
	pci_cfg_write(m.d, 0x82, 2, 0);
	check_int(seen.n[VFIO_PCI_MSIX_IRQ_INDEX], ==, 0);
	check_int(seen.n[VFIO_PCI_INTX_IRQ_INDEX], ==, 1);
	pci_cfg_write(m.d, 0x64, 4, 0xfee00000);
	pci_cfg_write(m.d, 0x6c, 2, 0x31);
	pci_cfg_write(m.d, 0x62, 2, PCI_MSI_FLAGS_ENABLE);
	check_int(seen.n[VFIO_PCI_MSI_IRQ_INDEX], ==, 1);
	check_int(m.vm->irqs.route[0].data | m.vm->irqs.route[1].data |
			  m.vm->irqs.route[2].data | m.vm->irqs.route[3].data |
			  m.vm->irqs.route[4].data, ==, 0x31);
	drop(&m);
	check_int(seen.n[VFIO_PCI_MSI_IRQ_INDEX], ==, 0);
}

TEST(a_rom_is_seen_where_the_guest_turns_it_on)
{
	cleanup_free char *path = str_printf("%s/rom", test_tmpdir());
	cleanup_free char *option = str_printf(",rom=%s", path);
	struct machine m;
	uint64_t v;

	require(file_write_atomic(path, "\x55\xaa\x01rest", 7, 0600, NULL) == 0);
	m = machine(option);
	pci_cfg_write(m.d, PCI_ROM_ADDRESS, 4, 0xffffffff);
	check_int(pci_cfg_read(m.d, PCI_ROM_ADDRESS, 4), ==, 0xfffff801);
	pci_cfg_write(m.d, PCI_ROM_ADDRESS, 4, 0xd0000001);
	check(!bus_read(&m.vm->mmio, 0xd0000000, 4, &v));
	pci_cfg_write(m.d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	check(bus_read(&m.vm->mmio, 0xd0000000, 2, &v));
	check_int(v, ==, 0xaa55);
	pci_cfg_write(m.d, PCI_ROM_ADDRESS, 4, 0xd0000000);
	check(!bus_read(&m.vm->mmio, 0xd0000000, 4, &v));
	drop(&m);
}

TEST(it_cannot_be_saved)
{
	struct machine m = machine("");
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;

	check_int(state_save(m.vm, &state, &err), ==, -ENOTSUP);
	check_has(error_message(&err), "0:4:0 passthru: this device cannot be saved");
	drop(&m);
}

TEST(its_address_in_all_forms)
{
	static const struct {
		const char *text, *host;
	} rows[] = {{"1/31/7", "0000:01:1f.7"}, {"pci2:3:4", "0000:02:03.4"},
		    {"0001:0a:1f.2", "0001:0a:1f.2"}, {"0a:00.0", "0000:0a:00.0"},
		    {"host=3b:00.1", "0000:3b:00.1"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_config struct config *c = config_new();
		cleanup_free char *slot = str_printf("4,passthru,%s,bootindex=1", rows[i].text);

		check(pci_parse_slot(c, slot, NULL) == 0);
		check_str(config_get(c, "pci.0.4.0.host", NULL), rows[i].host);
		check_str(config_get(c, "pci.0.4.0.bootindex", NULL), "1");
	}
}
