/*
 * The tables: FADT, FACS, DSDT, MADT, MCFG, behind XSDT and RSDP.
 *
 * MCFG names only the buses there are: a guest that is told of 256 buses looks
 * at all of them (16,000 exits).  Nothing is described that the machine does
 * not have, since a guest probes what it is told of.
 */
#include "vmm/acpi/acpi.h"

#include <assert.h>

#include "base/sum.h"
#include "vmm/acpi/asl.h"
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

enum {
	FADT_WBINVD = 1 << 0, FADT_C1 = 1 << 2, FADT_NO_SLEEP_BUTTON = 1 << 5,
	FADT_NO_FIXED_RTC = 1 << 6, FADT_TIMER_32BIT = 1 << 8, FADT_RESET = 1 << 10
};
enum { BOOT_8042 = 1 << 1, BOOT_NO_VGA = 1 << 2 };

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

/* Pin A to D of every slot in use; see pci_add_pin(). */
static void
asl_routing(struct vm *vm, unsigned bus, struct strbuf *b)
{
	struct pci_dev *d;

	strbuf_adds(b, "Name(_PRT, Package() {");
	list_for_each(d, &vm->pci->devs, link) {
		if (d->bus == bus && d->pin.irqs)
			strbuf_addf(b, "Package() { %u, %u, 0, %u }", d->slot << 16 | 0xffffU,
				    d->cfg[0x3d] - 1U, d->pin.gsi);
	}
	strbuf_adds(b, "})");
}

static void
asl_lpc(struct vm *vm, struct strbuf *b)
{
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		if (!str_eq(d->class->name, "lpc"))
			continue;
		strbuf_addf(b, "Device(LPC_) { Name(_ADR, %u)", d->slot << 16 | d->fn);
		isa_asl(vm, b);
		strbuf_adds(b, "}");
	}
}

static void
asl_memory_window(struct strbuf *b, uint64_t min, uint64_t end)
{
	strbuf_addf(b, "%sMemory(ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, "
		    "ReadWrite, 0, %#llx, %#llx, 0, %#llx)", end > 1ULL << 32 ? "QWord" : "DWord",
		    (unsigned long long)min, (unsigned long long)end - 1, (unsigned long long)(end - min));
}

#define ASL_BUS "WordBusNumber(ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, %u, %u, 0, 1)"
#define ASL_PORTS "WordIO(ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, "

/* Bus 0 owns the ports and the windows; further buses are roots of their own beside it. */
static void
asl_bus0(struct vm *vm, struct strbuf *b)
{
	uint64_t low = mem_low_size(&vm->mem);
	uint64_t ecam_end = vm->pci->ecam.base + ((uint64_t)(vm->pci->max_bus + 1) << 20);
	uint64_t top = MEM_HIGH_BASE + mem_high_size(&vm->mem);

	strbuf_addf(b, "Device(PCI0) {"
		    "Name(_HID, EisaId(\"PNP0A08\"))"
		    "Name(_CID, EisaId(\"PNP0A03\"))"
		    "Name(_UID, 0)"
		    "Name(_BBN, 0)"
		    "Name(_CRS, ResourceTemplate() {"
		    ASL_BUS
		    "IO(Decode16, 0xcf8, 0xcf8, 1, 8)"
		    ASL_PORTS "0, 0xcf7, 0, 0xcf8)"
		    ASL_PORTS "0xd00, 0xffff, 0, 0xf300)", 0, 0);
	asl_memory_window(b, 0xa0000, 0xc0000);
	asl_memory_window(b, low > PCI_MEM32_BASE ? low : PCI_MEM32_BASE, PCI_MEM32_END);
	asl_memory_window(b, ecam_end, IOAPIC_ADDRESS);
	asl_memory_window(b, top < (32ULL << 30) ? 32ULL << 30 : top, 1ULL << 39);
	strbuf_adds(b, "})");
	asl_routing(vm, 0, b);
	asl_lpc(vm, b);
	hotplug_asl_slots(vm, b);
	strbuf_adds(b, "}");
}

static void
asl_extra_buses(struct vm *vm, struct strbuf *b)
{
	struct pci_dev *d;

	for (unsigned bus = 1; bus <= vm->pci->max_bus; bus++) {
		bool used = false;

		list_for_each(d, &vm->pci->devs, link) used = used || d->bus == bus;
		if (!used)
			continue;
		strbuf_addf(b, "Device(PC%02X) {"
			    "Name(_HID, EisaId(\"PNP0A03\"))"
			    "Name(_UID, %u)"
			    "Name(_BBN, %u)"
			    "Name(_CRS, ResourceTemplate() {" ASL_BUS "})", bus, bus, bus, bus, bus);
		asl_routing(vm, bus, b);
		strbuf_adds(b, "}");
	}
}

static size_t
build_dsdt(struct vm *vm, struct acpi *acpi)
{
	cleanup_strbuf struct strbuf asl = STRBUF_INIT;
	size_t at = table_begin(acpi, "DSDT", 2);

	strbuf_adds(&asl, "Scope(\\_SB) {");
	for (unsigned i = 0; i < vm->topology.cpus; i++)
		strbuf_addf(&asl, "Device(C%03X) { Name(_HID, \"ACPI0007\") Name(_UID, %u) }", i, i);
	asl_bus0(vm, &asl);
	asl_extra_buses(vm, &asl);
	/* The ECAM area belongs to the board, or Linux does not believe MCFG. */
	strbuf_addf(&asl, "Device(MBRD) {"
		    "Name(_HID, EisaId(\"PNP0C02\"))"
		    "Name(_CRS, ResourceTemplate() {"
		    "Memory32Fixed(ReadOnly, %#x, %#x)"
		    "IO(Decode16, %#x, %#x, 1, 0x80) }) } }",
		    (unsigned)vm->pci->ecam.base, (vm->pci->max_bus + 1) << 20, PM_BASE, PM_BASE);
	hotplug_asl_events(vm, &asl);
	strbuf_addf(&asl, "Name(_S5, Package() { %u, 0, 0, 0 })", PM_SLP_TYP_S5);
	asl_compile(asl.data, &acpi->tables);
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
	uint32_t head[2] = {LAPIC_ADDRESS, !vm->no_pic}; /* bit 0: a PC's two PICs are there too */

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

		t[c->at] = (uint8_t)-sum8(t + c->start, c->len);
	}
	memcpy(a->rsdp + 24, &xsdt, sizeof(xsdt));
	a->rsdp[8] = (uint8_t)-sum8(a->rsdp, 20);
	a->rsdp[32] = (uint8_t)-sum8(a->rsdp, 36);
}
