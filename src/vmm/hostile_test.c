/*
 * A hostile guest, live: a kernel of a few kilobytes, made anew for every round, that does
 * what a driver does first and nonsense then at ports, registers, configuration space and rings
 * of every device of a real bhyve(8) on the host's /dev/kvm.  The monitor may end the guest in any
 * of its ways; it may not crash, hang, or say anything but why it ended.
 *
 * ROUNDS=1000 in the environment makes it run for longer, SEED=n begins elsewhere.
 */
#include <elf.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/run.h"
#include "vmm/fixture_test.h"

#define ENTRY 0x100000
#define CODE_MAX (512U << 10)
#define RINGS 0x200000
#define DATA 0x500000
#define TPM 0xfed40000U
#define OPS 1500
#define TIMEOUT_MS 120000

/* ---- numbers ---- */

/* Values a device might take for an index, a length, an address in RAM, or nothing it knows. */
static uint32_t
value(void)
{
	switch (test_random() % 6) {
	case 0:
		return test_random() & 0x1f;
	case 1:
		return test_random() & 0xffff;
	case 2:
		return DATA + (test_random() & 0x1ffff0);
	case 3:
		return 1U << (test_random() % 32);
	case 4:
		return UINT32_MAX - (test_random() & 0xff);
	default:
		return test_random();
	}
}

/* ---- the guest's program ---- */

static uint8_t code[CODE_MAX];
static size_t code_len;

static void
emit(const void *p, size_t n)
{
	require(code_len + n <= sizeof(code));
	memcpy(code + code_len, p, n);
	code_len += n;
}

static void
emit32(const char *op, size_t n, uint32_t a)
{
	emit(op, n);
	emit(&a, 4);
}

/* mov edx, port; mov eax, v; out dx, al/ax/eax */
static void
out(uint16_t port, unsigned size, uint32_t v)
{
	emit32("\xba", 1, port);
	emit32("\xb8", 1, v);
	emit(size == 1 ? "\xee" : size == 2 ? "\x66\xef" : "\xef", size == 2 ? 2 : 1);
}

static void
in(uint16_t port, unsigned size)
{
	emit32("\xba", 1, port);
	emit(size == 1 ? "\xec" : size == 2 ? "\x66\xed" : "\xed", size == 2 ? 2 : 1);
}

static void
store(uint32_t at, unsigned size, uint32_t v)
{
	emit32(size == 1 ? "\xc6\x05" : size == 2 ? "\x66\xc7\x05" : "\xc7\x05", size == 2 ? 3 : 2, at);
	emit(&v, size);
}

static void
load(uint32_t at)
{
	emit32("\xa1", 1, at);
}

/* ---- what it does ---- */

static struct {
	bool on;
	uint16_t avail[4];
} driver[32]; /* by slot */

static uint32_t
ring_at(unsigned slot, unsigned q)
{
	return RINGS + slot * 0x20000 + q * 0x8000;
}

/* Rings of every queue, as virtio 1.x has them. */
static void
drive(unsigned slot, uint32_t bar)
{
	store(bar + 20, 1, 0);
	store(bar + 20, 1, 3);
	store(bar + 8, 4, 0);
	store(bar + 12, 4, test_random() % 2 ? UINT32_MAX : test_random());
	store(bar + 8, 4, 1);
	store(bar + 12, 4, 1);
	store(bar + 20, 1, 11);
	for (unsigned q = 0; q < 4; q++) {
		uint32_t at = ring_at(slot, q);

		store(bar + 22, 2, q);
		store(bar + 24, 2, 16);
		store(bar + 32, 4, at);
		store(bar + 40, 4, at + 0x1000);
		store(bar + 48, 4, at + 0x2000);
		store(bar + 28, 2, 1);
		store(at + 0x1000, 4, 0);
		store(at + 0x2000, 4, 0);
		driver[slot].avail[q] = 0;
	}
	store(bar + 20, 1, 15);
	driver[slot].on = true;
}

/* A request of one to three descriptors, now and then with one that makes no sense. */
static void
ring(unsigned slot, uint32_t bar)
{
	unsigned q = test_random() % 4, n = 1 + test_random() % 3, first = test_random() % 16,
		 write = test_random() % (n + 1);
	uint32_t at = ring_at(slot, q);
	uint16_t *idx = &driver[slot].avail[q];

	for (unsigned i = 0; i < n; i++) {
		unsigned d = (first + i) % 16;
		uint32_t flags = (i + 1 < n ? VRING_DESC_F_NEXT : 0) |
				 (i >= write ? VRING_DESC_F_WRITE : 0) | (d + 1) % 16 << 16;

		store(at + 16 * d, 4,
		      test_random() % 32 ? DATA + (test_random() & 0x1fffff) : value());
		store(at + 16 * d + 4, 4, 0);
		store(at + 16 * d + 8, 4, test_random() % 32 ? 1 + test_random() % 8192 : value());
		store(at + 16 * d + 12, 4, test_random() % 32 ? flags : value());
	}
	store(at + 0x1004 + 2 * (*idx % 16), 2, first);
	++*idx;
	store(at + 0x1002, 2, test_random() % 64 ? *idx : test_random());
	store(bar + 0x3000 + 4 * q, 2, q);
}

/* Anything but what ends a machine at once: resets and switching off are tested elsewhere. */
static uint16_t
a_port(void)
{
	static const uint16_t busy[] = {0x3f8, 0x70, 0x60, 0x510, 0x514, 0x600, 0x620, 0xb2, 0x402, 0xae00,
					0xae08 /* gives a device back */};
	uint16_t port = (uint16_t)(test_random() % 2 ? busy[test_random() % ARRAY_SIZE(busy)] +
							       test_random() % 8
						     : test_random());

	return port == 0x604 || port == 0x605 || port == 0x92 || port == 0x64 ||
	       (port >= 0xcf8 && port <= 0xcff) ? 0x71 : port;
}

static void
configure(const struct pci_dev *d)
{
	out(0xcf8, 4, 1U << 31 | (uint32_t)d->slot << 11 | (test_random() & 0xfc));
	if (test_random() % 2)
		out((uint16_t)(0xcfc + test_random() % 4), 1U << (test_random() % 3), value());
	else
		in(0xcfc, 4);
}

/* Its registers, its buffer, and now and then a command of ten bytes, which is its own answer. */
static void
tpm(void)
{
	uint32_t at = TPM + (test_random() % 2 ? test_random() % 0x80 : test_random() % 0x1000);

	if (test_random() % 3) {
		store(at & ~3U, 4, value());
		load(at & ~3U);
		return;
	}
	store(TPM + 0x08, 4, 1);
	store(TPM + 0x40, 4, 1);
	store(TPM + 0x80, 4, test_random());
	store(TPM + 0x84, 4, test_random() % 4 ? 0x0a000000 : value());
	store(TPM + 0x4c, 4, 1);
}

static void
one(struct vm *vm)
{
	struct pci_dev *d;
	unsigned n = 0, want = 1 + test_random() % 14, bar = test_random() % 6;

	list_for_each(d, &vm->pci->devs, link) {
		if (++n == want)
			break;
	}
	if (&d->link == &vm->pci->devs)
		return;

	while (bar && d->bar[bar].type == PCI_BAR_NONE)
		bar--;

	const struct pci_bar *b = &d->bar[bar];
	uint32_t at = (uint32_t)b->addr + (uint32_t)(test_random() % (b->size ? b->size : 1));
	unsigned size = 1U << (test_random() % 3);

	if (test_random() % 2)
		at &= ~(size - 1);
	switch (test_random() % 9) {
	case 0:
		configure(d);
		break;
	case 8:
		tpm();
		break;
	case 1:
		out(a_port(), 1U << (test_random() % 3), value());
		break;
	case 2:
		in(a_port(), 1U << (test_random() % 3));
		break;
	case 3:
		store(DATA + (test_random() & 0x1ffffc), 4, value());
		break;
	case 4:
	case 5:
		if (d->bar[4].size != 0x4000)
			break;
		if (!driver[d->slot].on || test_random() % 16 == 0)
			drive(d->slot, (uint32_t)d->bar[4].addr);
		ring(d->slot, (uint32_t)d->bar[4].addr);
		break;
	default:
		if (b->type == PCI_BAR_IO)
			test_random() % 3 ? out((uint16_t)at, size, value())
					  : in((uint16_t)at, size);
		else if (b->type != PCI_BAR_NONE)
			test_random() % 3 ? store(at, size, value()) : load(at);
	}
}

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Nhdr note;
	char note_name[4];
	uint32_t note_entry;
	uint8_t pad[4096 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - sizeof(Elf64_Nhdr) - 8];
	uint8_t text[CODE_MAX];
};

static void
write_kernel(const char *path)
{
	static struct image k;

	k = (struct image){
		.eh = {.e_ident = "\177ELF\2\1\1", .e_type = ET_EXEC, .e_machine = EM_X86_64,
		       .e_phoff = sizeof(k.eh), .e_phentsize = sizeof(k.ph[0]), .e_phnum = 2},
		.ph = {{.p_type = PT_LOAD, .p_offset = 4096, .p_paddr = ENTRY, .p_filesz = CODE_MAX,
			.p_memsz = CODE_MAX},
		       {.p_type = PT_NOTE, .p_offset = offsetof(struct image, note),
			.p_filesz = sizeof(k.note) + 8}},
		.note = {.n_namesz = 4, .n_descsz = 4, .n_type = 18},
		.note_name = "Xen",
		.note_entry = ENTRY,
	};
	memcpy(k.text, code, sizeof(code));
	require(file_write_atomic(path, &k, sizeof(k), 0600, NULL) == 0);
}

/* ---- the machine ---- */

/* With its sockets and its share in a directory of its own. */
static char *
all_devices(const char *name)
{
	cleanup_free char *dir = str_printf("%s/%s", test_tmpdir(), name);
	cleanup_free char *share = str_printf("%s/share", dir);

	cleanup_free char *fifo = str_printf("%s/tpm", dir);

	require(mkdir(dir, 0700) == 0 && mkdir(share, 0700) == 0 && mkfifo(fifo, 0600) == 0);
	return str_printf(
		"memory.size=8M\nctl.path=none\nboot.linux64=false\nlpc.ps2=true\nvirtio.legacy=true\n"
		"pci.hotplug=true\nlpc.tpm.type=passthru\nlpc.tpm.path=%s/tpm\n"
		"lpc.com1.path=file,/dev/null\nlpc.com2.path=socket,%s/com2\n"
		"pci.0.1.0.device=virtio-blk\npci.0.1.0.ram=1\npci.0.2.0.device=nvme\npci.0.2.0.ram=1\n"
		"pci.0.3.0.device=ahci\npci.0.3.0.port.0.ram=1\npci.0.3.0.port.1.ram=1\n"
		"pci.0.3.0.port.1.type=cd\npci.0.4.0.device=virtio-scsi\npci.0.4.0.target.0.ram=1\n"
		"pci.0.5.0.device=virtio-net\npci.0.5.0.backend=user\npci.0.6.0.device=e1000\n"
		"pci.0.6.0.backend=user\npci.0.7.0.device=virtio-console\n"
		"pci.0.7.0.port0=file,%s/console\npci.0.8.0.device=virtio-9p\npci.0.8.0.sharename=s\n"
		"pci.0.8.0.path=%s/share\npci.0.9.0.device=virtio-vsock\npci.0.9.0.path=%s/vsock\n"
		"pci.0.10.0.device=virtio-balloon\npci.0.11.0.device=virtio-rnd\n"
		"pci.0.12.0.device=virtio-input\npci.0.12.0.kind=tablet\npci.0.13.0.device=fbuf\n"
		"pci.0.13.0.w=640\npci.0.13.0.h=480\npci.0.13.0.unix=%s/vnc\npci.0.14.0.device=xhci\n"
		"pci.0.14.0.tablet=true\n", dir, dir, dir, dir, dir, dir);
}

/* Its exit status and what it said; -1: it had to be killed. */
static int
run_guest(const char *kernel, const char *keys, char said[4096])
{
	cleanup_free char *program = xstrdup(test_built("src/vmm/bhyve"));
	cleanup_free char *boot = str_printf("kernel,%s", kernel);
	const char *const argv[] = {program, "-k", keys, "-l", boot, "hostile", NULL};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child child;
	struct pollfd p;
	ssize_t n;
	int status;

	check_ok(run_start(argv, &(struct run_opts){.err = RUN_PIPE}, &child, &err), &err);
	p = (struct pollfd){.fd = child.pidfd, .events = POLLIN};
	if (poll(&p, 1, TIMEOUT_MS) == 0) {
		run_abort(&child);
		return -1;
	}
	n = read(child.err, said, 4095);
	said[n > 0 ? n : 0] = '\0';
	check_ok(run_wait(&child, &status, &err), &err);
	return status;
}

TEST(nothing_a_guest_does_breaks_the_monitor)
{
	cleanup_free char *keys = all_devices("real"), *model = all_devices("model");
	cleanup_free char *kernel = str_printf("%s/kernel", test_tmpdir());
	cleanup_free char *config = str_printf("%s/config", test_tmpdir());
	unsigned rounds = getenv("ROUNDS") ? (unsigned)atoi(getenv("ROUNDS")) : 5;
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 1, ends[5] = {0};
	cleanup_free char *console = str_printf("%s/real/console", test_tmpdir());
	static char said[4096];
	struct machine m;
	struct stat st;

	if (access("/dev/kvm", R_OK | W_OK) != 0)
		test_skip("no usable /dev/kvm here");
	/* an ordinary end has a status of its own: sanitizers get another one */
	setenv("ASAN_OPTIONS", "exitcode=99", 1);
	setenv("UBSAN_OPTIONS", "exitcode=99", 1);
	require(file_write_atomic(config, keys, strlen(keys), 0600, NULL) == 0);
	m = machine(model); /* tells where the BARs are */
	require(pci_assign(m.vm, true, NULL) == 0);
	for (unsigned i = 0; i < rounds; i++) {
		int status;
		bool fine;

		test_seed((seed + i) * 0x9e3779b97f4a7c15);
		code_len = 0;
		memset(driver, 0, sizeof(driver));
		for (unsigned n = 0; n < OPS; n++)
			one(m.vm);
		out(0x604, 2, 0x3400); /* off */
		emit("\xeb\xfe", 2);
		write_kernel(kernel);
		status = run_guest(kernel, config, said);
		fine = status >= 0 && status <= 4 && !strstr(said, "anitizer") &&
		       !strstr(said, "runtime error") && !strstr(said, "no file declares");
		if (!fine)
			printf("# SEED=%u: status %d\n# %s\n", seed + i, status, said);
		require(fine);
		ends[status]++;
	}
	/* its rings were found, and what lay in them was taken */
	check(stat(console, &st) == 0 && st.st_size > 0);
	printf("# %u rounds: %u off, %u reset, %u halted, %u triple faults, %u stopped by the monitor\n",
	       rounds, ends[1], ends[0], ends[2], ends[3], ends[4]);
	drop(&m);
}
