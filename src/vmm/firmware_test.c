/* What firmware and kernels are told: ACPI, SMBIOS, fw_cfg, flash, and the small ISA devices. */
#include <endian.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/run.h"
#include "vmm/acpi/acpi.h"
#include "vmm/acpi/asl.h"
#include "vmm/backend/chardev.h"
#include "vmm/boot/boot.h"
#include "vmm/flash.h"
#include "vmm/fwcfg.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/smbios.h"
#include "vmm/vm.h"

static struct config *config;

static struct vm *
machine(const char *keys)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	struct vm *vm = NULL;

	config = config_new();
	strv_words(&lines, keys, "\n");
	for (size_t i = 0; i < lines.n; i++)
		check_ok(config_parse(config, lines.v[i], &err), &err);
	check_ok(vm_new_fake(config, 8 << 20, &vm, &err), &err);
	require(vm);
	check_ok(isa_create_all(vm, &err), &err);
	check_ok(pci_create_all(vm, &err), &err);
	return vm;
}

static void
machine_free(struct vm *vm)
{
	vm_free(vm);
	config_free(config);
}

static unsigned
in(struct vm *vm, unsigned port, unsigned size)
{
	uint64_t v;

	bus_read(&vm->pio, port, size, &v);
	return (unsigned)v;
}

static void
out(struct vm *vm, unsigned port, unsigned size, uint64_t v)
{
	bus_write(&vm->pio, port, size, v);
}

static uint8_t
sum(const void *p, size_t len)
{
	uint8_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += ((const uint8_t *)p)[i];
	return s;
}

/* OVMF asks the bridge what it can decode before it looks for a serial port behind it. */
TEST(the_isa_bridge_always_decodes)
{
	struct vm *vm = machine("");
	struct pci_dev *lpc = pci_find(vm, 0, 31, 0);

	require(lpc);
	for (unsigned command = 0; command < 8; command += 7) {
		pci_cfg_write(lpc, PCI_COMMAND, 2, command);
		check_int(pci_cfg_read(lpc, PCI_COMMAND, 2), ==,
			  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
	machine_free(vm);
}

#define BASE 0xe0000ULL

TEST(acpi_tables_are_linked_and_summed)
{
	struct vm *vm = machine("pci.0.4.0.device=virtio-rnd\nlpc.com1.path=file,/dev/null");
	static const char *const expected[] = {"FACP", "APIC", "MCFG"};
	struct acpi a;
	const char *t;
	uint64_t xsdt, p;
	uint32_t len;

	acpi_build(vm, &a);
	acpi_place(&a, BASE);
	t = a.tables.data;
	check_int(sum(a.rsdp, 20), ==, 0);
	check_int(sum(a.rsdp, 36), ==, 0);
	memcpy(&xsdt, a.rsdp + 24, 8);
	check(memcmp(t + (xsdt - BASE), "XSDT", 4) == 0);
	memcpy(&len, t + (xsdt - BASE) + 4, 4);
	check_int(len, ==, 36 + 8 * 3);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t n;

		memcpy(&p, t + (xsdt - BASE) + 36 + 8 * i, 8);
		require(p >= BASE && p - BASE < a.tables.len);
		check(memcmp(t + (p - BASE), expected[i], 4) == 0);
		memcpy(&n, t + (p - BASE) + 4, 4);
		check_int(sum(t + (p - BASE), n), ==, 0);
	}
	/* MCFG names one bus, for there is one. */
	check_int(t[p - BASE + 36 + 8 + 8 + 2], ==, 0);
	check_int(t[p - BASE + 36 + 8 + 8 + 3], ==, 0);
	acpi_done(&a);
	machine_free(vm);
}

TEST(words_of_acpis_language_become_bytes)
{
	static const struct {
		const char *text, *bytes;
	} rows[] = {
		{"Name(A, 1)", "08415f5f5f01"},
		{"Name(_ADR, 0x12345)", "085f4144520c45230100"},
		{"Name(A.B, 0x100000000)", "082e415f5f5f425f5f5f0e0000000001000000"},
		{"Name(_HID, \"AB\")", "085f4849440d414200"},
		{"Name(_HID, EisaId(\"PNP0A08\"))", "085f4849440c41d00a08"},
		{"Package() { 0, 2, Package() {} }", "12080300" "0a02" "120200"},
		{"If (And(Local0, 4)) { Notify(\\_SB.PCI0, 1) }",
		 "a0127b600a040086" "5c2e5f53425f50434930" "01"},
		{"ResourceTemplate() { IRQNoFlags() {8} IO(Decode16, 0x70, 0x70, 1, 2) }",
		 "11110b0d00" "220001" "4701700070000102" "7900"},
		{"Field(R, DWordAcc, NoLock, WriteAsZeros) { AB, 32 }", "5b810b525f5f5f4341425f5f20"},
	};
	cleanup_strbuf struct strbuf many = STRBUF_INIT, out = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_strbuf struct strbuf b = STRBUF_INIT;

		asl_compile(rows[i].text, &b);

		cleanup_free char *hex = str_hex(b.data, b.len);

		check_str(hex, rows[i].bytes);
	}
	/* A length of two bytes. */
	strbuf_adds(&many, "Package() {");
	for (unsigned i = 0; i < 40; i++)
		strbuf_adds(&many, " 0x12345678");
	strbuf_adds(&many, " }");
	asl_compile(many.data, &out);
	check_int(out.len, ==, 1 + 203);
	check(memcmp(out.data, "\x12\x4b\x0c\x28\x0c\x78", 6) == 0);
}

TEST(the_dsdt_is_good_asl)
{
	struct vm *vm = machine("pci.0.4.0.device=virtio-rnd\npci.0.5.0.device=virtio-rnd\n"
				"lpc.com1.path=file,/dev/null\nlpc.com2.path=file,/dev/null");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dat = str_printf("%s/dsdt.dat", test_tmpdir());
	cleanup_free char *dsl = str_printf("%s/dsdt.dsl", test_tmpdir());
	cleanup_free char *text = NULL, *output = NULL;
	struct acpi a;
	const char *dsdt;
	uint32_t len;

	if (access("/usr/bin/iasl", X_OK) != 0)
		test_skip("no iasl here");
	acpi_build(vm, &a);
	acpi_place(&a, BASE);
	dsdt = memmem(a.tables.data, a.tables.len, "DSDT", 4);
	require(dsdt);
	memcpy(&len, dsdt + 4, 4);
	check_ok(file_write_atomic(dat, dsdt, len, 0600, &err), &err);
	check_ok(RUN_OUTPUT(&output, &err, "iasl", "-d", dat), &err);
	check_ok(file_read(dsl, 0, &text, NULL, &err), &err);
	check_has(text, "PNP0A08");
	check_has(text, "COM2");
	check_has(text, "_PRT");
	check_has(text, "ACPI0007");
	free(steal_ptr(&output));
	/* Compiles again, without an error. */
	check_ok(RUN_OUTPUT(&output, &err, "iasl", "-vs", dsl), &err);
	acpi_done(&a);
	machine_free(vm);
}

TEST(smbios_says_what_smartos_says)
{
	struct vm *vm = machine("uuid=00112233-4455-6677-8899-aabbccddeeff\n"
				"system.serial_number=zone-1");
	static const uint8_t uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	struct smbios s;
	unsigned types[128] = {0};

	smbios_build(vm, &s);
	smbios_place(&s, 0xf0020);
	check_int(sum(s.anchor, sizeof(s.anchor)), ==, 0);
	check(memmem(s.tables.data, s.tables.len, "SmartDC HVM", 11));
	check(memmem(s.tables.data, s.tables.len, "zone-1", 6));
	/* Structures follow one another to the end marker. */
	for (size_t at = 0; at + 4 <= s.tables.len;) {
		const uint8_t *p = (uint8_t *)s.tables.data + at;

		types[p[0]]++;
		if (p[0] == 1)
			check(memcmp(p + 8, uuid, 16) == 0);
		at += p[1];
		while (at + 1 < s.tables.len && (s.tables.data[at] || s.tables.data[at + 1]))
			at++;
		at += 2;
	}
	check_int(types[0], ==, 1);
	check_int(types[1], ==, 1);
	check_int(types[4], ==, 1);
	check_int(types[17], ==, 1);
	check_int(types[127], ==, 1);
	smbios_done(&s);
	machine_free(vm);
}

/* Selects a file of the directory by its name; its size, or -1. */
static int64_t
select_file(struct vm *vm, const char *name)
{
	uint8_t e[64];
	uint32_t n = 0;

	out(vm, 0x510, 2, 0x19);
	for (unsigned i = 0; i < 4; i++)
		n = n << 8 | in(vm, 0x511, 1);
	for (uint32_t i = 0; i < n; i++) {
		for (unsigned b = 0; b < sizeof(e); b++)
			e[b] = (uint8_t)in(vm, 0x511, 1);
		if (strcmp((char *)e + 8, name) == 0) {
			out(vm, 0x510, 2, (uint64_t)e[4] << 8 | e[5]);
			return (int64_t)e[0] << 24 | e[1] << 16 | e[2] << 8 | e[3];
		}
	}
	return -1;
}

TEST(fw_cfg_through_ports_and_dma)
{
	cleanup_free char *disk = str_printf("%s/disk", test_tmpdir());
	cleanup_free char *keys =
		str_printf("pci.0.4.0.device=virtio-rnd\npci.0.4.0.bootindex=1\n"
				"pci.0.5.0.device=ahci\npci.0.5.0.bootindex=0\n"
				"pci.0.5.0.port.1.path=%s\npci.0.5.0.port.1.type=cd\n"
			   "fwcfg.0.name=opt/x\nfwcfg.0.string=hello\nlpc.com1.path=file,/dev/null",
			   disk);
	cleanup_error struct error err = ERROR_INIT;
	struct vm *vm;
	struct {
		uint32_t control, len;
		uint64_t address;
	} dma = {htobe32(0x00000000 | 8 | 2), htobe32(4), htobe64(0x2000)};
	char text[80] = "";
	int64_t size;

	check_ok(file_write_atomic(disk, text, sizeof(text), 0600, &err), &err);
	check(truncate(disk, 4096) == 0);
	vm = machine(keys);
	check_ok(fwcfg_describe(fwcfg_new(vm), &err), &err);
	out(vm, 0x510, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		text[i] = (char)in(vm, 0x511, 1);
	check_str(text, "QEMU");
	check_int(in(vm, 0x511, 1), ==, 0);
	/* Another item of SeaBIOS, not the first again; the bit below means nothing. */
	out(vm, 0x510, 2, 0x8000);
	check_int(in(vm, 0x511, 1), ==, 0);
	out(vm, 0x510, 2, 0x4000);
	check_int(in(vm, 0x511, 1), ==, 'Q');
	check_int(select_file(vm, "opt/x"), ==, 5);
	check_int(in(vm, 0x511, 1), ==, 'h');
	check(select_file(vm, "etc/acpi/tables") > 500);
	check_int(select_file(vm, "etc/acpi/rsdp"), ==, 36);
	check_int(select_file(vm, "etc/table-loader") % 128, ==, 0);
	check_int(select_file(vm, "etc/smbios/smbios-anchor"), ==, 24);
	check_int(select_file(vm, "etc/e820"), ==, 20);
	/* No screen: SeaBIOS may use the serial port. */
	check_int(select_file(vm, "etc/sercon-port"), ==, 2);
	check_int(in(vm, 0x511, 1) | in(vm, 0x511, 1) << 8, ==, 0x3f8);
	size = select_file(vm, "bootorder");
	require(size > 0 && size < (int64_t)sizeof(text));
	for (int64_t i = 0; i < size; i++)
		text[i] = (char)in(vm, 0x511, 1);
	check_str(text, "/pci@i0cf8/pci8086,2922@5/drive@1/disk@0\n/pci@i0cf8/device@4\n");
	/* DMA: selects item 0 and reads it. */
	mem_write(&vm->mem, 0x1000, &dma, sizeof(dma));
	out(vm, 0x518, 4, htobe32(0x1000));
	memset(text, 0, sizeof(text));
	mem_read(&vm->mem, 0x2000, text, 4);
	check_str(text, "QEMU");
	mem_read(&vm->mem, 0x1000, &dma, sizeof(dma));
	check_int(dma.control, ==, 0);
	/* Into nowhere: an error, and nothing else. */
	dma.control = htobe32(8 | 2);
	dma.address = htobe64(0xffffffffffffff00);
	mem_write(&vm->mem, 0x1000, &dma, sizeof(dma));
	out(vm, 0x518, 4, htobe32(0x1000));
	mem_read(&vm->mem, 0x1000, &dma, sizeof(dma));
	check_int(be32toh(dma.control), ==, 1);
	machine_free(vm);
}

TEST(flash_keeps_what_is_written)
{
	struct vm *vm = machine("name=flash");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *rom = str_printf("%s/rom", test_tmpdir());
	cleanup_free char *vars = str_printf("%s/vars", test_tmpdir());
	static uint8_t image[8192];
	uint64_t at = 0x100000000 - 2 * sizeof(image), v;
	int fd;

	memset(image, 0x5a, sizeof(image));
	image[sizeof(image) - 16] = 0xea;
	check_ok(file_write_atomic(rom, image, sizeof(image), 0600, &err), &err);
	check_ok(file_write_atomic(vars, image, sizeof(image), 0600, &err), &err);
	check_ok(flash_create(vm, rom, vars, &err), &err);
	bus_read(&vm->mmio, 0xfffffff0, 1, &v);
	check_int(v, ==, 0xea);
	/* The ROM cannot be written, and is seen below 1 MiB. */
	bus_write(&vm->mmio, 0xfffffff0, 1, 0);
	bus_read(&vm->mmio, 0xfffffff0, 1, &v);
	check_int(v, ==, 0xea);
	check_int(*(uint8_t *)mem_ptr(&vm->mem, 0xffff0, 1), ==, 0xea);
	/* How OVMF finds out that it is flash. */
	bus_write(&vm->mmio, at, 1, 0x50);
	bus_read(&vm->mmio, at, 1, &v);
	check_int(v, ==, 0x5a);
	bus_write(&vm->mmio, at, 1, 0x70);
	bus_read(&vm->mmio, at, 1, &v);
	check_int(v, ==, 0);
	/* Erase a block, program a byte. */
	bus_write(&vm->mmio, at + 4096, 1, 0x20);
	bus_write(&vm->mmio, at + 4096, 1, 0xd0);
	bus_read(&vm->mmio, at, 1, &v);
	check_int(v, ==, 0x80);
	bus_write(&vm->mmio, at + 4100, 1, 0x10);
	bus_write(&vm->mmio, at + 4100, 1, 0x42);
	bus_write(&vm->mmio, at, 1, 0xff);
	bus_read(&vm->mmio, at + 4096, 8, &v);
	check(v == 0xffffff42ffffffff);
	machine_free(vm);
	fd = open(vars, O_RDONLY);
	check_int(pread(fd, &v, 8, 4096), ==, 8);
	check(v == 0xffffff42ffffffff);
	check_int(pread(fd, &v, 1, 4095), ==, 1);
	check_int(v & 0xff, ==, 0x5a);
	close(fd);
}

/* By what is in the file, whatever its name. */
TEST(each_firmware_has_its_ecam)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *rom = str_printf("%s/rom", test_tmpdir());
	cleanup_free char *key = str_printf("lpc.bootrom=%s", rom);
	struct config *c = config_new();

	check(boot_ecam_base(c) == PCI_ECAM_BASE);
	check_ok(config_parse(c, key, &err), &err);
	check_ok(file_write_atomic(rom, "...SeaBIOS (version 1", 21, 0600, &err), &err);
	check(boot_ecam_base(c) == 0xb0000000);
	check_ok(file_write_atomic(rom, "OVMF", 4, 0600, &err), &err);
	check(boot_ecam_base(c) == PCI_ECAM_BASE);
	config_free(c);
}

TEST(a_line_into_a_full_file_holds_nobody_up)
{
	cleanup_error struct error err = ERROR_INIT;
	struct chardev *line = NULL;
	char text[1000] = "";

	check_ok(chardev_open(NULL, "file,/dev/full", &(struct chardev_user){0}, &line, &err), &err);
	for (unsigned i = 0; i < 100; i++)
		check_int((int)chardev_write(line, text, sizeof(text)), ==, sizeof(text));
	chardev_free(line);
}

TEST(variables_have_their_room_from_the_start)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dir = str_printf("%s/small", test_tmpdir());
	cleanup_free char *vars = str_printf("%s/vars", dir), *rom = str_printf("%s/rom", test_tmpdir());
	static const char image[4096];
	struct vm *vm;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(dir, 0700) < 0 || mount("small", dir, "tmpfs", 0, "size=64k") < 0)
		test_skip("no file system of our own here");
	vm = machine("name=flash");
	check_ok(file_write_atomic(rom, image, sizeof(image), 0600, &err), &err);
	check_ok(file_write_atomic(vars, "", 0, 0600, &err), &err);
	check(truncate(vars, 128 << 10) == 0);
	check_int(flash_create(vm, rom, vars, &err), ==, -ENOSPC);
	error_done(&err);
	check(truncate(vars, 32 << 10) == 0);
	check_ok(flash_create(vm, rom, vars, &err), &err);
	machine_free(vm);
	check(umount2(dir, MNT_DETACH) == 0);
}

TEST(firmware_images_of_odd_sizes_are_refused)
{
	struct vm *vm = machine("name=flash");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *rom = str_printf("%s/rom", test_tmpdir());

	check_ok(file_write_atomic(rom, "short", 5, 0600, &err), &err);
	check_int(flash_create(vm, rom, NULL, &err), ==, -EINVAL);
	check_has(error_message(&err), "multiple of 4 KiB");
	error_done(&err);
	check_int(flash_create(vm, test_tmpdir(), NULL, &err), ==, -EINVAL);
	check_has(error_message(&err), "neither a file nor");
	machine_free(vm);
}

TEST(the_uart_talks)
{
	cleanup_free char *path = str_printf("%s/com1", test_tmpdir());
	cleanup_free char *keys = str_printf("lpc.com1.path=file,%s", path);
	struct vm *vm = machine(keys);
	char text[16] = "";
	int fd;

	/* Scratch and divisor, as drivers probe. */
	out(vm, 0x3ff, 1, 0xa5);
	check_int(in(vm, 0x3ff, 1), ==, 0xa5);
	out(vm, 0x3fb, 1, 0x80);
	out(vm, 0x3f8, 1, 1);
	check_int(in(vm, 0x3f8, 1), ==, 1);
	out(vm, 0x3fb, 1, 3);
	out(vm, 0x3fa, 1, 1);
	check_int(in(vm, 0x3fa, 1), ==, 0xc1);
	check_int(in(vm, 0x3fd, 1), ==, 0x60);
	/* THRE raises the line, reading IIR takes it away. */
	out(vm, 0x3f9, 1, 2);
	check_int(vm->irqs.asserted[4], ==, 1);
	check_int(in(vm, 0x3fa, 1), ==, 0xc2);
	check_int(vm->irqs.asserted[4], ==, 0);
	out(vm, 0x3f8, 1, 'o');
	out(vm, 0x3f8, 1, 'k');
	fd = open(path, O_RDONLY);
	check_int(read(fd, text, sizeof(text)), ==, 2);
	check_str(text, "ok");
	close(fd);
	/* The loop: what is sent comes back, modem lines too. */
	out(vm, 0x3fc, 1, 0x1b);
	check_int(in(vm, 0x3fe, 1) & 0xf0, ==, 0xb0);
	out(vm, 0x3f8, 1, 'x');
	check_int(in(vm, 0x3fd, 1) & 1, ==, 1);
	check_int(in(vm, 0x3f8, 1), ==, 'x');
	/* COM2 is not there. */
	check_int(in(vm, 0x2fd, 1), ==, 0xff);
	machine_free(vm);
}

static unsigned
cmos(struct vm *vm, unsigned index)
{
	out(vm, 0x70, 1, index);
	return in(vm, 0x71, 1);
}

TEST(the_clock_runs_and_is_set)
{
	struct vm *vm = machine("rtc.use_localtime=false");
	time_t t = time(NULL);
	struct tm tm;

	gmtime_r(&t, &tm);
	check_int(cmos(vm, 0x0d), ==, 0x80);
	check_int(cmos(vm, 0x0a) & 0x80, ==, 0);
	check_int(cmos(vm, 0x32), ==, 0x20);
	/* Binary, and a time of the guest's own. */
	out(vm, 0x70, 1, 0x0b);
	out(vm, 0x71, 1, 0x86);
	out(vm, 0x70, 1, 9);
	out(vm, 0x71, 1, 30);
	out(vm, 0x70, 1, 8);
	out(vm, 0x71, 1, 2);
	out(vm, 0x70, 1, 7);
	out(vm, 0x71, 1, 3);
	out(vm, 0x70, 1, 4);
	out(vm, 0x71, 1, 12);
	out(vm, 0x70, 1, 0x0b);
	out(vm, 0x71, 1, 0x06);
	check_int(cmos(vm, 9), ==, 30);
	check_int(cmos(vm, 8), ==, 2);
	check_int(cmos(vm, 7), ==, 3);
	check_int(cmos(vm, 4), ==, 12);
	/* Memory above 16 MiB in 64 KiB: none of 8. */
	check_int(cmos(vm, 0x34), ==, 0);
	machine_free(vm);
}

TEST(power_button_and_power_off)
{
	struct vm *vm = machine("name=pm");

	/* Nobody listens. */
	check(!pm_power_button(vm));
	out(vm, 0x600, 2, 0x100);
	out(vm, 0x602, 2, 0x100);
	check(pm_power_button(vm));
	check_int(vm->irqs.asserted[9], ==, 1);
	check_int(in(vm, 0x600, 2), ==, 0x100);
	out(vm, 0x600, 2, 0x100);
	check_int(vm->irqs.asserted[9], ==, 0);
	check_int(in(vm, 0x604, 2) & 1, ==, 1);
	check(!vm_ended(vm));
	out(vm, 0x604, 2, 0x2000 | PM_SLP_TYP_S5 << 10);
	check(vm_ended(vm));
	check_int(vm->end, ==, VM_END_POWEROFF);
	machine_free(vm);
}
