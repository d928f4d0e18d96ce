/*
 * The tables: FADT, FACS, DSDT, MADT, MCFG, behind XSDT and RSDP.
 *
 * MCFG names only the buses there are: a guest that is told of 256 buses looks
 * at all of them (16,000 exits).  Nothing is described that the machine does
 * not have, since a guest probes what it is told of.
 */
#include "vmm/acpi/acpi.h"

#include <assert.h>

#include "vmm/acpi/aml.h"
#include "vmm/device.h"
#include "vmm/isa/hotplug.h"
#include "vmm/isa/isa.h"

#define IOAPIC_ADDRESS 0xfec00000U
#define LAPIC_ADDRESS 0xfee00000U

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct gas {
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

struct fadt {
	struct sdt head;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_irq;
	uint32_t smi_port;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0,
		gpe1;
	uint8_t pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len, gpe0_len, gpe1_len,
		gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control,
		x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6");

#define FADT_WBINVD (1U << 0)
#define FADT_C1 (1U << 2)
#define FADT_NO_SLEEP_BUTTON (1U << 5)
#define FADT_NO_FIXED_RTC (1U << 6)
#define FADT_TIMER_32BIT (1U << 8)
#define FADT_RESET (1U << 10)
#define BOOT_8042 (1U << 1)
#define BOOT_NO_VGA (1U << 2)

/* ---- pieces ---- */

static size_t
table_begin(struct acpi *a, const char *signature, unsigned revision)
{
	struct sdt h = {.revision = (uint8_t)revision,
			.oem_revision = 1,
			.creator_revision = 1};
	size_t at;

	while (a->tables.len % 16)
		strbuf_addc(&a->tables, 0);
	at = a->tables.len;
	memcpy(h.signature, signature, 4);
	memcpy(h.oem_id, "ATOLL ", 6);
	memcpy(h.oem_table_id, "ATOLLVMM", 8);
	memcpy(h.creator_id, "ATOL", 4);
	strbuf_add(&a->tables, &h, sizeof(h));
	return at;
}

static void
table_end(struct acpi *a, size_t at)
{
	uint32_t len = (uint32_t)(a->tables.len - at);

	assert(a->n_checksums < ARRAY_SIZE(a->checksum));
	memcpy(a->tables.data + at + offsetof(struct sdt, length), &len, sizeof(len));
	a->checksum[a->n_checksums++] =
		(struct acpi_checksum){at + offsetof(struct sdt, checksum), at, len};
}

static void
add_pointer(struct acpi *a, size_t at, unsigned size)
{
	assert(a->n_pointers < ARRAY_SIZE(a->pointer));
	a->pointer[a->n_pointers++] = (struct acpi_pointer){at, size};
}

static struct gas
port(uint16_t address, unsigned bits)
{
	return (struct gas){.space = 1, .width = (uint8_t)bits,
			    .access = bits == 8 ? 1 : bits == 16 ? 2 : 3, .address = address};
}

static size_t
build_facs(struct acpi *a)
{
	uint8_t facs[64] = {'F', 'A', 'C', 'S', 64};
	size_t at;

	while (a->tables.len % 64)
		strbuf_addc(&a->tables, 0);
	at = a->tables.len;
	facs[32] = 2; /* version */
	strbuf_add(&a->tables, facs, sizeof(facs));
	return at;
}

static void
aml_processors(struct vm *vm, struct aml *a)
{
	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		char name[5];

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		aml_device(a, name);
		aml_name_string(a, "_HID", "ACPI0007");
		aml_name_int(a, "_UID", i);
		aml_end(a);
	}
}

/* Pin A to D of every slot in use; see pci_add_pin(). */
static void
aml_routing(struct vm *vm, unsigned bus, struct aml *a)
{
	struct pci_dev *d;
	unsigned n = 0;

	list_for_each(d, &vm->pci->devs, link) n += d->bus == bus && d->pin.irqs != NULL;
	aml_name(a, "_PRT");
	aml_package(a, n);
	list_for_each(d, &vm->pci->devs, link) {
		if (d->bus != bus || !d->pin.irqs)
			continue;
		aml_package(a, 4);
		aml_int(a, (uint32_t)d->slot << 16 | 0xffff);
		aml_int(a, d->cfg[0x3d] - 1U);
		aml_int(a, 0);
		aml_int(a, d->pin.gsi);
		aml_end(a);
	}
	aml_end(a);
}

static void
aml_lpc(struct vm *vm, struct aml *a)
{
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		if (!str_eq(d->class->name, "lpc"))
			continue;
		aml_device(a, "LPC_");
		aml_name_int(a, "_ADR", (uint32_t)d->slot << 16 | d->fn);
		isa_aml(vm, a);
		aml_end(a);
	}
}

/* Bus 0 owns the ports and the windows; further buses are roots of their own beside it. */
static void
aml_bus0(struct vm *vm, struct aml *a)
{
	uint64_t low = mem_low_size(&vm->mem);
	uint64_t ecam_end = vm->pci->ecam.base + ((uint64_t)(vm->pci->max_bus + 1) << 20);
	uint64_t top = MEM_HIGH_BASE + mem_high_size(&vm->mem);

	aml_device(a, "PCI0");
	aml_name_eisaid(a, "_HID", "PNP0A08");
	aml_name_eisaid(a, "_CID", "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_BBN", 0);
	aml_name_resources(a, "_CRS");
	aml_res_bus_window(a, 0, 0);
	aml_res_io(a, 0xcf8, 0xcf8, 8);
	aml_res_io_window(a, 0, 0xcf7);
	aml_res_io_window(a, 0xd00, 0xffff);
	aml_res_memory_window(a, 0xa0000, 0xbffff);
	aml_res_memory_window(a, low > PCI_MEM32_BASE ? low : PCI_MEM32_BASE, PCI_MEM32_END - 1);
	aml_res_memory_window(a, ecam_end, IOAPIC_ADDRESS - 1);
	aml_res_memory_window(a, top < (32ULL << 30) ? 32ULL << 30 : top, (1ULL << 39) - 1);
	aml_end_resources(a);
	aml_routing(vm, 0, a);
	aml_lpc(vm, a);
	hotplug_aml_slots(vm, a);
	aml_end(a);
}

static void
aml_extra_buses(struct vm *vm, struct aml *a)
{
	struct pci_dev *d;

	for (unsigned bus = 1; bus <= vm->pci->max_bus; bus++) {
		char name[5];
		bool used = false;

		list_for_each(d, &vm->pci->devs, link) used = used || d->bus == bus;
		if (!used)
			continue;
		snprintf(name, sizeof(name), "PC%02X", bus);
		aml_device(a, name);
		aml_name_eisaid(a, "_HID", "PNP0A03");
		aml_name_int(a, "_UID", bus);
		aml_name_int(a, "_BBN", bus);
		aml_name_resources(a, "_CRS");
		aml_res_bus_window(a, (uint16_t)bus, (uint16_t)bus);
		aml_end_resources(a);
		aml_routing(vm, bus, a);
		aml_end(a);
	}
}

/* The ECAM area belongs to the board, or Linux does not believe MCFG. */
static void
aml_board(struct vm *vm, struct aml *a)
{
	aml_device(a, "MBRD");
	aml_name_eisaid(a, "_HID", "PNP0C02");
	aml_name_resources(a, "_CRS");
	aml_res_memory32(a, (uint32_t)vm->pci->ecam.base, (vm->pci->max_bus + 1) << 20);
	aml_res_io(a, PM_BASE, PM_BASE, 0x80);
	aml_end_resources(a);
	aml_end(a);
}

static size_t
build_dsdt(struct vm *vm, struct acpi *acpi)
{
	struct aml a = AML_INIT;
	size_t at = table_begin(acpi, "DSDT", 2);

	aml_scope(&a, "\\_SB_");
	aml_processors(vm, &a);
	aml_bus0(vm, &a);
	aml_extra_buses(vm, &a);
	aml_board(vm, &a);
	aml_end(&a);
	hotplug_aml_events(vm, &a);
	aml_name(&a, "_S5_");
	aml_package(&a, 4);
	aml_int(&a, PM_SLP_TYP_S5);
	aml_int(&a, 0);
	aml_int(&a, 0);
	aml_int(&a, 0);
	aml_end(&a);
	strbuf_add(&acpi->tables, a.out.data, a.out.len);
	aml_done(&a);
	table_end(acpi, at);
	return at;
}

static size_t
build_fadt(struct vm *vm, struct acpi *a, size_t facs, size_t dsdt)
{
	struct fadt f = {
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.profile = 4, /* enterprise server */
		.sci_irq = PM_SCI,
		.pm1a_event = PM_BASE,
		.pm1a_control = PM_BASE + 4,
		.pm_timer = PM_BASE + 8,
		.gpe0 = PM_GPE0,
		.gpe0_len = PM_GPE0_LEN,
		.pm1_event_len = 4,
		.pm1_control_len = 2,
		.pm_timer_len = 4,
		.c2_latency = 0xfff,
		.c3_latency = 0xfff,
		.century = 0x32,
		.boot_arch = BOOT_NO_VGA | (i8042_present(vm) ? BOOT_8042 : 0),
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC |
			 FADT_TIMER_32BIT | FADT_RESET,
		.reset = port(0xcf9, 8),
		.reset_value = 6,
		.minor = 3,
		.x_facs = facs,
		.x_dsdt = dsdt,
		.x_pm1a_event = port(PM_BASE, 32),
		.x_pm1a_control = port(PM_BASE + 4, 16),
		.x_pm_timer = port(PM_BASE + 8, 32),
		.x_gpe0 = port(PM_GPE0, 8 * PM_GPE0_LEN),
		.hypervisor = 0,
	};
	/* Linux would try it for 4.5 ms at each start, and never use it beside its paravirtual clock. */
	if (vm->no_pm_timer) {
		f.pm_timer = f.pm_timer_len = 0;
		f.x_pm_timer = (struct gas){0};
		f.flags &= ~FADT_TIMER_32BIT;
	}

	size_t at = table_begin(a, "FACP", 6);

	strbuf_add(&a->tables, (char *)&f + sizeof(f.head), sizeof(f) - sizeof(f.head));
	add_pointer(a, at + offsetof(struct fadt, facs), 4);
	add_pointer(a, at + offsetof(struct fadt, dsdt), 4);
	add_pointer(a, at + offsetof(struct fadt, x_facs), 8);
	add_pointer(a, at + offsetof(struct fadt, x_dsdt), 8);
	table_end(a, at);
	return at;
}

#define POLARITY_HIGH 1
#define TRIGGER_LEVEL (3 << 2)

static size_t
build_madt(struct vm *vm, struct acpi *a)
{
	size_t at = table_begin(a, "APIC", 4);
	uint32_t head[2] = {LAPIC_ADDRESS, 1}; /* a PC's two PICs are there too */

	strbuf_add(&a->tables, head, sizeof(head));
	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		unsigned id = vm->vcpu ? vm->vcpu[i].apic_id : i;

		if (id < 255) {
			struct {
				uint8_t type, len, uid, id;
				uint32_t flags;
			} __attribute__((packed)) lapic = {0, 8, (uint8_t)i, (uint8_t)id, 1};

			strbuf_add(&a->tables, &lapic, sizeof(lapic));
		} else {
			struct {
				uint8_t type, len;
				uint16_t reserved;
				uint32_t id, flags, uid;
			} __attribute__((packed)) x2apic = {9, 16, 0, id, 1, i};

			strbuf_add(&a->tables, &x2apic, sizeof(x2apic));
		}
	}

	struct {
		uint8_t type, len, id, reserved;
		uint32_t address, gsi;
	} __attribute__((packed)) ioapic = {1, 12, 0, 0, IOAPIC_ADDRESS, 0};
	struct override {
		uint8_t type, len, bus, source;
		uint32_t gsi;
		uint16_t flags;
	} __attribute__((packed)) overrides[] = {
		{2, 10, 0, 0, 2, 0},
		{2, 10, 0, PM_SCI, PM_SCI, POLARITY_HIGH | TRIGGER_LEVEL},
	};
	struct {
		uint8_t type, len, uid;
		uint16_t flags;
		uint8_t lint;
	} __attribute__((packed)) nmi = {4, 6, 0xff, 0, 1};

	strbuf_add(&a->tables, &ioapic, sizeof(ioapic));
	strbuf_add(&a->tables, overrides, sizeof(overrides));
	strbuf_add(&a->tables, &nmi, sizeof(nmi));
	table_end(a, at);
	return at;
}

static size_t
build_mcfg(struct vm *vm, struct acpi *a)
{
	struct {
		uint64_t reserved0, base;
		uint16_t segment;
		uint8_t first, last;
		uint32_t reserved1;
	} __attribute__((packed)) m = {.base = vm->pci->ecam.base, .last = (uint8_t)vm->pci->max_bus};
	size_t at = table_begin(a, "MCFG", 1);

	strbuf_add(&a->tables, &m, sizeof(m));
	table_end(a, at);
	return at;
}

static size_t
build_tpm2(struct acpi *a)
{
	struct {
		uint16_t class, reserved;
		uint64_t control;
		uint32_t method; /* 7: by the control area */
		uint8_t parameters[12];
	} __attribute__((packed)) t = {.control = TPM_CONTROL_AREA, .method = 7};
	size_t at = table_begin(a, "TPM2", 4);

	strbuf_add(&a->tables, &t, sizeof(t));
	table_end(a, at);
	return at;
}

void
acpi_build(struct vm *vm, struct acpi *ret)
{
	struct acpi a = {0};
	size_t facs = build_facs(&a);
	size_t dsdt = build_dsdt(vm, &a);
	uint64_t tables[4] = {build_fadt(vm, &a, facs, dsdt), build_madt(vm, &a), build_mcfg(vm, &a)};
	unsigned n = 3;

	if (tpm_present(vm))
		tables[n++] = build_tpm2(&a);
	a.xsdt = table_begin(&a, "XSDT", 1);
	for (unsigned i = 0; i < n; i++) {
		add_pointer(&a, a.tables.len, 8);
		strbuf_add(&a.tables, &tables[i], sizeof(tables[i]));
	}
	table_end(&a, a.xsdt);

	uint32_t len = sizeof(a.rsdp);
	uint64_t xsdt = a.xsdt;

	memcpy(a.rsdp, "RSD PTR ", 8);
	memcpy(a.rsdp + 9, "ATOLL ", 6);
	a.rsdp[15] = 2;
	memcpy(a.rsdp + 20, &len, sizeof(len));
	memcpy(a.rsdp + 24, &xsdt, sizeof(xsdt));
	*ret = a;
}

void
acpi_done(struct acpi *a)
{
	strbuf_done(&a->tables);
}

static uint8_t
checksum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += b[i];
	return (uint8_t)-sum;
}

void
acpi_place(struct acpi *a, uint64_t base)
{
	uint8_t *t = (uint8_t *)a->tables.data;
	uint64_t xsdt = base + a->xsdt;

	for (unsigned i = 0; i < a->n_pointers; i++) {
		uint64_t v = 0;

		memcpy(&v, t + a->pointer[i].at, a->pointer[i].size);
		v += base;
		memcpy(t + a->pointer[i].at, &v, a->pointer[i].size);
	}
	for (unsigned i = 0; i < a->n_checksums; i++) {
		const struct acpi_checksum *c = &a->checksum[i];

		t[c->at] = checksum(t + c->start, c->len);
	}
	memcpy(a->rsdp + 24, &xsdt, sizeof(xsdt));
	a->rsdp[8] = checksum(a->rsdp, 20);
	a->rsdp[32] = checksum(a->rsdp, 36);
}
