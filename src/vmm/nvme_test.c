/* NVMe from the driver's side, on a machine without processors. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/slot_test.h"

#define ASQ 0x10000
#define ACQ 0x11000
#define IOSQ 0x12000
#define IOCQ 0x13000
#define LIST 0x20000
#define DATA 0x100000
#define ENTRIES 16

struct cmd {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t ns, r[2];
	uint64_t metadata, prp1, prp2;
	uint32_t cdw[6];
};

static unsigned tail[2], head[2];
static bool phase[2];
static char path[256];

static void
enable(void)
{
	memset(tail, 0, sizeof(tail));
	memset(head, 0, sizeof(head));
	phase[0] = phase[1] = true;
	mem_zero(&vm->mem, ASQ, 0x10000);
	set_n(0x24, 4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	set_n(0x28, 8, ASQ);
	set_n(0x30, 8, ACQ);
	set_n(0x14, 4, 0x00460001);
	check_int(get_n(0x1c, 4), ==, 1);
}

static void
attach(void)
{
	cleanup_free char *slot = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/disk", test_tmpdir());
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	require(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	close(fd);
	slot = str_printf("4,nvme,%s,ser=SER1", path);
	attach_slot(slot, 0);
}

/* Sends a command; its status, or -1 if the controller says nothing for ten seconds. */
static int
send(unsigned q, struct cmd c)
{
	uint64_t sq = q ? IOSQ : ASQ, cq = q ? IOCQ : ACQ;
	volatile uint16_t *status;
	time_t end = time(NULL) + 10;
	int result;

	c.id = (uint16_t)(100 + tail[q]);
	mem_write(&vm->mem, sq + tail[q] * sizeof(c), &c, sizeof(c));
	tail[q] = (tail[q] + 1) % ENTRIES;
	set_n(0x1000 + 8 * q, 4, tail[q]);
	status = mem_ptr(&vm->mem, cq + head[q] * 16 + 14, 2);
	while ((__atomic_load_n(status, __ATOMIC_ACQUIRE) & 1) != phase[q]) {
		if (time(NULL) > end || (get_n(0x1c, 4) & 2))
			return -1;
		sched_yield();
	}
	result = *status >> 1 & 0x7ff;
	head[q] = (head[q] + 1) % ENTRIES;
	if (head[q] == 0)
		phase[q] = !phase[q];
	set_n(0x1004 + 8 * q, 4, head[q]);
	return result;
}

static void
create_queues(void)
{
	check_int(send(0, (struct cmd){.opcode = 5, .prp1 = IOCQ,
				       .cdw = {(ENTRIES - 1) << 16 | 1, 3 | 1 << 16}}),
		  ==, 0);
	check_int(send(0, (struct cmd){.opcode = 1, .prp1 = IOSQ,
				       .cdw = {(ENTRIES - 1) << 16 | 1, 1 | 1 << 16}}),
		  ==, 0);
}

TEST(a_controller_introduces_itself)
{
	char text[21] = "";
	uint64_t blocks;

	attach();
	check_int(get_n(0x08, 4), ==, 0x10400);
	enable();
	check_int(send(0, (struct cmd){.opcode = 6, .prp1 = DATA, .cdw = {1}}), ==, 0);
	mem_read(&vm->mem, DATA + 4, text, 4);
	check_str(text, "SER1");
	check_int(send(0, (struct cmd){.opcode = 6, .ns = 1, .prp1 = DATA, .cdw = {0}}), ==, 0);
	mem_read(&vm->mem, DATA, &blocks, 8);
	check_int(blocks, ==, 2048);
	check_int(send(0, (struct cmd){.opcode = 6, .ns = 2, .prp1 = DATA, .cdw = {0}}), ==, 0xb);
	check_int(send(0, (struct cmd){.opcode = 6, .prp1 = DATA, .cdw = {99}}), ==, 2);
	check_int(send(0, (struct cmd){.opcode = 0x77}), ==, 1);
	/* An answer may cross a page. */
	check_int(send(0, (struct cmd){.opcode = 6, .prp1 = DATA + 0x800, .prp2 = DATA + 0x3000,
				       .cdw = {1}}),
		  ==, 0);
	mem_read(&vm->mem, DATA + 0x804, text, 4);
	check_str(text, "SER1");
	detach();
}

TEST(nvme_writes_and_reads_through_lists)
{
	static uint8_t image[65536], got[65536];
	uint64_t list[16];
	int fd;

	attach();
	enable();
	create_queues();
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 7 + i / 4096);
	/* 16 pages in reverse order behind a page list. */
	for (unsigned i = 0; i < 16; i++) {
		uint64_t page = DATA + (15 - i) * 0x1000ULL;

		mem_write(&vm->mem, page, image + i * 4096, 4096);
		if (i)
			list[i - 1] = page;
	}
	mem_write(&vm->mem, LIST, list, sizeof(list));
	check_int(send(1, (struct cmd){.opcode = 1, .ns = 1, .prp1 = DATA + 15 * 0x1000,
				       .prp2 = LIST, .cdw = {8, 0, 127}}),
		  ==, 0);
	check_int(send(1, (struct cmd){.opcode = 0, .ns = 1}), ==, 0);
	fd = open(path, O_RDONLY);
	check_int(pread(fd, got, sizeof(got), 4096), ==, (ssize_t)sizeof(got));
	check(memcmp(got, image, sizeof(got)) == 0);
	close(fd);
	/* Two pages without a list. */
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA + 0x80000,
				       .prp2 = DATA + 0x90000, .cdw = {8, 0, 15}}),
		  ==, 0);
	check(memcmp(mem_ptr(&vm->mem, DATA + 0x90000, 4096), image + 4096, 4096) == 0);
	/* More than a hundred commands go round the rings. */
	for (unsigned i = 0; i < 100; i++)
		require(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA, .cdw = {i, 0, 0}}) ==
			0);
	detach();
}

TEST(a_disk_that_grows_is_told_of)
{
	uint64_t blocks;
	uint32_t list;

	attach();
	enable();
	/* An event asked for comes when the size changed, and not before. */
	struct cmd c = {.opcode = 0x0c, .id = 77};
	mem_write(&vm->mem, ASQ, &c, sizeof(c));
	tail[0] = 1;
	set_n(0x1000, 4, 1);
	check_int(send(0, (struct cmd){.opcode = 6, .ns = 1, .prp1 = DATA}), ==, 0);
	require(truncate(path, 2 << 20) == 0);
	struct pci_dev *d = pci_find(vm, 0, 4, 0);
	d->class->refresh(d);
	check_int(*(uint16_t *)mem_ptr(&vm->mem, ACQ + 16 * head[0] + 12, 2), ==, 77);
	check_int(*(uint32_t *)mem_ptr(&vm->mem, ACQ + 16 * head[0], 4), ==, 0x40002);
	head[0]++;
	check_int(send(0, (struct cmd){.opcode = 2, .ns = UINT32_MAX, .prp1 = DATA,
				       .cdw = {4 | 1023 << 16}}),
		  ==, 0);
	mem_read(&vm->mem, DATA, &list, 4);
	check_int(list, ==, 1);
	check_int(send(0, (struct cmd){.opcode = 6, .ns = 1, .prp1 = DATA}), ==, 0);
	mem_read(&vm->mem, DATA, &blocks, 8);
	check_int(blocks, ==, 4096);
	detach();
}

TEST(nvme_refuses_what_breaks_the_rules)
{
	uint64_t bad[2] = {1ULL << 40, 0};

	attach();
	enable();
	create_queues();
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA, .cdw = {2048, 0, 0}}), ==,
		  0x80);
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA,
				       .cdw = {0xffffffff, 0xffffffff, 0}}),
		  ==, 0x80);
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = 8 << 20, .cdw = {0, 0, 0}}), ==,
		  2);
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 7, .prp1 = DATA, .cdw = {0, 0, 0}}), ==,
		  0xb);
	mem_write(&vm->mem, LIST, bad, sizeof(bad));
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA, .prp2 = LIST,
				       .cdw = {0, 0, 127}}),
		  ==, 2);
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA, .prp2 = 1ULL << 40,
				       .cdw = {0, 0, 127}}),
		  ==, 2);
	/* Queues: the admin one, twice the same, on no completion queue, outside of memory. */
	check_int(send(0, (struct cmd){.opcode = 5, .prp1 = IOCQ, .cdw = {0xf0000, 3}}), ==, 0x101);
	check_int(send(0, (struct cmd){.opcode = 5, .prp1 = IOCQ, .cdw = {0xf0001, 3}}), ==, 0x101);
	check_int(send(0, (struct cmd){.opcode = 1, .prp1 = IOSQ, .cdw = {0xf0002, 1 | 9 << 16}}), ==,
		  0x100);
	check_int(send(0, (struct cmd){.opcode = 5, .prp1 = 1ULL << 40, .cdw = {0xf0002, 3}}), ==, 2);
	check_int(send(0, (struct cmd){.opcode = 4, .cdw = {1}}), ==, 0x10c);
	/* A doorbell past the ring's end is fatal, until the controller is reset. */
	set_n(0x1008, 4, 5000);
	for (unsigned i = 0; i < 1000000 && !(get_n(0x1c, 4) & 2); i++)
		sched_yield();
	check(get_n(0x1c, 4) & 2);
	set_n(0x14, 4, 0);
	check_int(get_n(0x1c, 4), ==, 0);
	enable();
	create_queues();
	check_int(send(1, (struct cmd){.opcode = 2, .ns = 1, .prp1 = DATA, .cdw = {0, 0, 0}}), ==, 0);
	detach();
}
