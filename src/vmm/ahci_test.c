/* AHCI from the driver's side, on a machine without processors: a disk on port 0, a CD-ROM on port 1. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/slot_test.h"

#define LIST 0x10000 /* command list of port n at LIST + n * 0x1000 */
#define FIS 0x18000
#define TABLE 0x20000 /* command table of slot n at TABLE + n * 0x400 */
#define DATA 0x100000

static char disk[256], cd[256];

static unsigned
px(unsigned port, unsigned reg)
{
	return 0x100 + 0x80 * port + reg;
}

static void
make_file(char path[256], const char *name, size_t size)
{
	int fd;

	snprintf(path, 256, "%s/%s", test_tmpdir(), name);
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	require(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	require(pwrite(fd, "first", 5, 0) == 5 && pwrite(fd, "second", 6, 2048) == 6);
	close(fd);
}

static void
start_port(unsigned port)
{
	set(px(port, 0x00), LIST + port * 0x1000);
	set(px(port, 0x04), 0);
	set(px(port, 0x08), FIS + port * 0x1000);
	set(px(port, 0x0c), 0);
	set(px(port, 0x14), 0xffffffff);
	set(px(port, 0x18), 0x10);
	check(get(px(port, 0x18)) & 0x4000);
	set(px(port, 0x18), 0x11);
	check(get(px(port, 0x18)) & 0x8000);
}

static void
attach(void)
{
	cleanup_free char *slot = NULL;

	make_file(disk, "disk", 1 << 20);
	make_file(cd, "cd", 1 << 18);
	slot = str_printf("4,ahci,hd:%s,ser=SER7,cd:%s", disk, cd);
	attach_slot(slot, 5);
	set(0x04, 0x80000002);
	start_port(0);
	start_port(1);
}

struct ata {
	uint8_t command;
	uint64_t lba;
	uint16_t count, features;
	uint32_t len;	/* of DATA, in two PRDs */
	uint8_t cdb[16];
};

static void
build(unsigned port, unsigned slot, struct ata a)
{
	uint8_t fis[20] = {0x27, 0x80, a.command, (uint8_t)a.features, (uint8_t)a.lba,
			   (uint8_t)(a.lba >> 8), (uint8_t)(a.lba >> 16), 0x40,
			   (uint8_t)(a.lba >> 24), (uint8_t)(a.lba >> 32), (uint8_t)(a.lba >> 40),
			   (uint8_t)(a.features >> 8), (uint8_t)a.count, (uint8_t)(a.count >> 8)};
	uint64_t table = TABLE + slot * 0x400;
	unsigned n = a.len > 512 ? 2 : a.len ? 1 : 0;
	uint32_t header[8] = {5 | n << 16, 0, (uint32_t)table};
	uint32_t prd[8] = {DATA, 0, 0, n == 2 ? 511 : a.len - 1, DATA + 0x10000, 0, 0, a.len - 513};

	mem_write(&vm->mem, LIST + port * 0x1000 + slot * 32, header, sizeof(header));
	mem_write(&vm->mem, table, fis, sizeof(fis));
	mem_write(&vm->mem, table + 0x40, a.cdb, sizeof(a.cdb));
	mem_write(&vm->mem, table + 0x80, prd, sizeof(prd));
}

/* Waits until none of the bits is left in the register, or for an error; PxTFD, or -1. */
static int
wait_for(unsigned port, unsigned reg, uint32_t bits)
{
	time_t end = time(NULL) + 10;

	while (get(px(port, reg)) & bits) {
		if (get(px(port, 0x10)) & 0x40000000)
			break;
		if (time(NULL) > end)
			return -1;
		sched_yield();
	}
	return (int)(get(px(port, 0x20)) & 0xffff);
}

static int
run(unsigned port, struct ata a)
{
	build(port, 0, a);
	set(px(port, 0x10), 0xffffffff);
	set(px(port, 0x38), 1);
	return wait_for(port, 0x38, 1);
}

static void
restart(unsigned port)
{
	set(px(port, 0x18), 0x10);
	check_int(get(px(port, 0x38)), ==, 0);
	set(px(port, 0x10), 0xffffffff);
	set(px(port, 0x18), 0x11);
}

static const char *
text_at(uint64_t gpa, size_t len)
{
	static char text[64];

	memset(text, 0, sizeof(text));
	mem_read(&vm->mem, gpa, text, len);
	return text;
}

TEST(a_disk_and_a_cdrom_introduce_themselves)
{
	uint16_t w[256];
	uint8_t sum = 0;

	attach();
	check_int(get(0x0c), ==, 3);
	check_int(get(px(0, 0x28)), ==, 0x133);
	check_int(get(px(0, 0x24)), ==, 0x101);
	check_int(get(px(1, 0x24)), ==, 0xeb140101U);
	check_int(run(0, (struct ata){.command = 0xec, .len = 512}), ==, 0x50);
	/* A PIO set-up FIS with the ending status, then the device's. */
	check(get(px(0, 0x10)) & 2);
	mem_read(&vm->mem, DATA, w, sizeof(w));
	check_int(w[60] | w[61] << 16, ==, 2048);
	check_int(w[100], ==, 2048);
	check_str(text_at(DATA + 20, 4), "ES7R"); /* two by two, swapped */
	for (unsigned i = 0; i < 512; i++)
		sum += ((uint8_t *)w)[i];
	check_int(sum, ==, 0);
	check_int(run(1, (struct ata){.command = 0xa1, .len = 512}), ==, 0x50);
	mem_read(&vm->mem, DATA, w, sizeof(w));
	check_int(w[0], ==, 0x85c0);
	/* The interrupt line follows the ports. */
	check(get(0x08) & 2);
	check(pci_find(vm, 0, 4, 0)->pin.level);
	set(px(0, 0x10), 0xffffffff);
	set(px(1, 0x10), 0xffffffff);
	set(0x08, 3);
	check(!pci_find(vm, 0, 4, 0)->pin.level);
	/* A packet device refuses IDENTIFY DEVICE and shows what it is. */
	check_int(run(1, (struct ata){.command = 0xec, .len = 512}), ==, 0x0441);
	detach();
}

TEST(sectors_go_out_and_come_back)
{
	char got[1024];
	int fd;

	attach();
	mem_write(&vm->mem, DATA, "written", 7);
	mem_write(&vm->mem, DATA + 0x10000, "behind", 6);
	check_int(run(0, (struct ata){.command = 0x35, .lba = 9, .count = 2, .len = 1024}), ==, 0x50);
	check_int(run(0, (struct ata){.command = 0xea}), ==, 0x50);
	fd = open(disk, O_RDONLY);
	check_int(pread(fd, got, sizeof(got), 9 * 512), ==, 1024);
	close(fd);
	check_str(got, "written");
	check_str(got + 512, "behind");
	mem_zero(&vm->mem, DATA, 512);
	check_int(run(0, (struct ata){.command = 0xc8, .lba = 9, .count = 1, .len = 512}), ==, 0x50);
	check_str(text_at(DATA, 7), "written");
	/* The PRDs hold more than the command moves; the header tells how much it was. */
	check_int(run(0, (struct ata){.command = 0x20, .lba = 0, .count = 1, .len = 1024}), ==, 0x50);
	check_str(text_at(DATA, 5), "first");
	check_int(*(uint32_t *)mem_ptr(&vm->mem, LIST + 4, 4), ==, 512);
	detach();
}

TEST(queued_commands_end_in_any_order)
{
	attach();
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 32; i++)
			build(0, i, (struct ata){.command = 0x60, .lba = i, .features = 1,
						 .count = (uint16_t)(i << 3), .len = 512});
		set(px(0, 0x10), 0xffffffff);
		set(px(0, 0x34), 0xffffffff);
		set(px(0, 0x38), 0xffffffff);
		check_int(wait_for(0, 0x34, 0xffffffff), ==, 0x50);
		check_int(get(px(0, 0x38)), ==, 0);
	}
	/* One that fails stops the port; the log says which; a restart goes on. */
	build(0, 3, (struct ata){.command = 0x60, .lba = 2048, .features = 1, .count = 3 << 3,
				 .len = 512});
	set(px(0, 0x34), 8);
	set(px(0, 0x38), 8);
	check_int(wait_for(0, 0x34, 8), ==, 0x0441);
	restart(0);
	check_int(run(0, (struct ata){.command = 0x2f, .lba = 0x10, .count = 1, .len = 512}), ==, 0x50);
	check_int(run(0, (struct ata){.command = 0xc8, .count = 1, .len = 512}), ==, 0x50);
	detach();
}

TEST(what_breaks_the_rules_is_refused)
{
	uint32_t prd[4] = {0xff000000, 0, 0, 511};

	attach();
	check_int(run(0, (struct ata){.command = 0x25, .lba = 2047, .count = 2, .len = 1024}), ==,
		  0x0441);
	/* Until ST was cleared, nothing more is done. */
	set(px(0, 0x38), 2);
	sched_yield();
	check_int(get(px(0, 0x38)) & 2, ==, 2);
	restart(0);
	check_int(run(0, (struct ata){.command = 0x25, .lba = 0, .count = 2, .len = 512}), ==, 0x0441);
	restart(0);
	check_int(run(0, (struct ata){.command = 0x99}), ==, 0x0441);
	restart(0);
	/* Data outside of memory. */
	build(0, 0, (struct ata){.command = 0xc8, .count = 1, .len = 512});
	mem_write(&vm->mem, TABLE + 0x80, prd, sizeof(prd));
	set(px(0, 0x38), 1);
	check_int(wait_for(0, 0x38, 1), ==, 0x0441);
	restart(0);
	check_int(run(0, (struct ata){.command = 0xc8, .count = 1, .len = 512}), ==, 0x50);
	/* A list outside of memory. */
	set(px(0, 0x18), 0x10);
	set(px(0, 0x00), 0xfffff000);
	set(px(0, 0x10), 0xffffffff);
	set(px(0, 0x18), 0x11);
	set(px(0, 0x38), 1);
	check_int(wait_for(0, 0x38, 1), ==, 0x0441);
	detach();
}

TEST(trim_makes_holes)
{
	uint64_t range[64] = {4ULL | 4ULL << 48, 0};
	char got[512];
	int fd;

	attach();
	mem_write(&vm->mem, DATA, range, sizeof(range));
	check_int(run(0, (struct ata){.command = 0x06, .features = 1, .count = 1, .len = 512}), ==,
		  0x50);
	fd = open(disk, O_RDONLY);
	check_int(pread(fd, got, sizeof(got), 2048), ==, 512);
	close(fd);
	check_str(got, "");
	range[0] = 2048ULL | 1ULL << 48;
	mem_write(&vm->mem, DATA, range, sizeof(range));
	check_int(run(0, (struct ata){.command = 0x06, .features = 1, .count = 1, .len = 512}), ==,
		  0x0441);
	detach();
}

TEST(a_cdrom_answers_packets)
{
	uint8_t b[64];

	attach();
	check_int(run(1, (struct ata){.command = 0xa0, .len = 64, .cdb = {0x12, 0, 0, 0, 36}}), ==,
		  0x50);
	check_str(text_at(DATA + 8, 5), "ATOLL");
	check_int(run(1, (struct ata){.command = 0xa0, .len = 8, .cdb = {0x25}}), ==, 0x50);
	mem_read(&vm->mem, DATA, b, 8);
	check_int(b[3], ==, 127);
	check_int(b[6], ==, 8);
	check_int(run(1, (struct ata){.command = 0xa0, .len = 2048,
				      .cdb = {0x28, 0, 0, 0, 0, 1, 0, 0, 1}}),
		  ==, 0x50);
	check_str(text_at(DATA, 6), "second");
	check_int(run(1, (struct ata){.command = 0xa0, .len = 20, .cdb = {0x43, 0, 0, 0, 0, 0, 0, 0, 20}}),
		  ==, 0x50);
	mem_read(&vm->mem, DATA, b, 20);
	check_int(b[1], ==, 18);
	check_int(b[14], ==, 0xaa);
	check_int(b[19], ==, 128);
	/* Outside of the medium; then the sense tells why. */
	check_int(run(1, (struct ata){.command = 0xa0, .len = 2048,
				      .cdb = {0x28, 0, 0, 0, 0, 128, 0, 0, 1}}),
		  ==, 0x5441);
	restart(1);
	check_int(run(1, (struct ata){.command = 0xa0, .len = 18, .cdb = {0x03, 0, 0, 0, 18}}), ==,
		  0x50);
	mem_read(&vm->mem, DATA, b, 18);
	check_int(b[2], ==, 5);
	check_int(b[12], ==, 0x21);
	/* Nobody writes to it. */
	check_int(run(1, (struct ata){.command = 0xa0, .len = 2048, .cdb = {0x2a, 0, 0, 0, 0, 1, 0, 0, 1}}),
		  ==, 0x5441);
	detach();
}

TEST(resets_and_pauses_are_survived)
{
	attach();
	for (unsigned i = 0; i < 20; i++) {
		build(0, 0, (struct ata){.command = 0xc8, .count = 1, .len = 512});
		set(px(0, 0x38), 1);
		if (i % 3 == 0) {
			set(px(0, 0x2c), 1);
			check_int(get(px(0, 0x28)), ==, 0);
			set(px(0, 0x2c), 0);
			check_int(get(px(0, 0x38)), ==, 0);
			set(px(0, 0x18), 0x11);
		}
		vm_pause(vm);
		vm_resume(vm);
		check_int(run(0, (struct ata){.command = 0xc8, .count = 1, .len = 512}), ==, 0x50);
	}
	set(0x04, 1);
	check_int(get(0x04), ==, 0x80000000U);
	check_int(get(px(0, 0x18)) & 0xc011, ==, 0);
	detach();
}

TEST(options_name_what_is_wrong)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_config struct config *c = config_new();

	check(pci_parse_slot(c, "4,ahci,disk", &err) < 0);
	check_has(error_message(&err), "expected hd:FILE or cd:FILE");
	error_done(&err);
	check(pci_parse_slot(c, "5,ahci-hd,/x,colour=red", &err) < 0);
	check_has(error_message(&err), "no option \"colour\"");
}
