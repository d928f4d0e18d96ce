/*
 * libFuzzer target: a hostile driver against each device, on fake memory.
 *
 * The first byte of the input chooses the device; what follows is a list of
 * operations of 12 bytes on its BARs, its configuration space, the machine's
 * ports, guest memory (rings, commands), or the display's input.  Two know more:
 * one puts bytes of the input into a virtqueue as a driver would, one saves the
 * machine, changes fields of what was saved, and goes on in another machine that
 * loads it.  A device's worker runs beside them.
 *
 * Making a machine costs more than an input does, so there are two of each kind, which go on
 * from one input to the next: the driver's reset, and what was saved of them when they were new,
 * make them new again.  One that ended, and now and then any, is made anew.
 *
 * tools/fuzz builds and runs it.  fuzz_test.c replays testdata/fuzz_device.
 */
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "vmm/display/display.h"
#include "vmm/fwcfg.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* A machine an input: memory that is used again at once is half of the speed. */
const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=6:"
	       "allocator_release_to_os_interval_ms=-1";
}

#define RAM (2ULL << 20)
#define SLOT 2
#define RINGS 0x10000 /* queue q: descriptors, 0x1000 later available, 0x2000 later used */
#define RING_SIZE 16
#define REQUEST 0xa0000
#define ANSWER 0xc0000

struct op {
	uint8_t what, size_log;
	uint16_t where;
	uint32_t offset;
	uint32_t value;
};

/*
 * %s in the keys is a file to use as a disk, %d a directory, %n the machine's number.  New ones
 * come last: the corpus counts on the order.  reset: what a driver writes, {BAR, offset, size, value}.
 */
static const struct {
	const char *name, *keys;
	struct {
		unsigned bar, at, size, value;
	} reset;
	bool large; /* its state is not saved for each input */
} devices[] = {
	{"virtio-blk", "path=%s queues=2"},
	{"virtio-rnd", ""},
	{"virtio-console", "port0=file,/dev/null port1=file,/dev/null"},
	{"virtio-scsi", "target.0.ram=1 target.3.ram=1 target.3.type=cd"},
	{"virtio-balloon", ""},
	{"virtio-input", "kind=tablet"},
	{"virtio-input", "kind=keyboard"},
	{"virtio-net", "backend=user"},
	{"nvme", "ram=1", {0, 0x14, 4, 0}},
	{"e1000", "backend=user", {0, 0, 4, 1 << 26}},
	{"fbuf", "w=640 h=480", {2, 0x508, 2, 0}, true},
	{"xhci", "tablet=true", {0, 0x20, 4, 2}},
	{"ahci", "port.0.ram=1 port.1.ram=1 port.1.type=cd", {5, 4, 4, 1}},
	{"virtio-blk", "ram=1"},
	{"virtio-9p", "sharename=s path=%d/share"},
	{"virtio-vsock", "path=%d/vsock%n"},
	{"", ""}, /* the devices at fixed ports, and fw_cfg */
	{"", "lpc.tpm.type=passthru lpc.tpm.path=%d/tpm"}, /* they, and a TPM */
};

#define TPM_BASE 0xfed40000U

static char place[] = "/tmp/fuzz_device.XXXXXX";

static void
set_keys(struct config *c, unsigned slot, const char *name, const char *keys)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *device = str_printf("pci.0.%u.0.device=%s", slot, name);

	if (config_parse(c, device, NULL) < 0)
		abort();
	strv_words(&words, keys, " ");
	for (size_t i = 0; i < words.n; i++) {
		cleanup_free char *line = str_printf("pci.0.%u.0.%s", slot, words.v[i]);

		if (config_parse(c, line, NULL) < 0)
			abort();
	}
}

static struct event_loop *loop;
static int disk = -1, tpm_fd = -1;

static struct vm *
machine(struct config *c, unsigned which, unsigned number)
{
	struct vm *vm = NULL;
	cleanup_strbuf struct strbuf keys = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;
	bool isa = !*devices[which].name;

	strbuf_adds(&keys, "");
	for (const char *k = devices[which].keys; *k; k++) {
		if (k[0] == '%' && k[1] == 's')
			strbuf_addf(&keys, "/proc/self/fd/%d", disk);
		else if (k[0] == '%' && k[1] == 'd')
			strbuf_adds(&keys, place);
		else if (k[0] == '%' && k[1] == 'n')
			strbuf_addf(&keys, "%u", number);
		else if (k == devices[which].keys || k[-1] != '%')
			strbuf_addc(&keys, *k);
	}
	if (!isa) {
		set_keys(c, SLOT, devices[which].name, keys.data);
	} else {
		cleanup_strv struct strv words = STRV_INIT;

		strv_words(&words, keys.data, " ");
		for (size_t i = 0; i < words.n; i++)
			if (config_parse(c, words.v[i], NULL) < 0)
				abort();
	}
	if (config_set(c, "virtio.legacy", "true", NULL) < 0 ||
	    config_set(c, "lpc.ps2", "true", NULL) < 0 ||
	    config_set(c, "lpc.com1.path", "file,/dev/null", NULL) < 0 ||
	    vm_new_fake(c, RAM, &vm, NULL) < 0)
		abort();
	vm->loop = loop;
	if ((isa && isa_create_all(vm, &err) < 0) || pci_create_all(vm, &err) < 0 ||
	    pci_assign(vm, true, &err) < 0 || (isa && fwcfg_describe(fwcfg_new(vm), &err) < 0)) {
		fprintf(stderr, "%s\n", error_message(&err));
		abort();
	}
	return vm;
}

/* ---- machines that last ---- */

#define USES 1000       /* of one that can be made new again */
#define USES_UNSAVED 32 /* of one that cannot */

struct machine {
	struct config *config;
	struct vm *vm;
	struct strbuf new; /* what it was when it was made */
	unsigned uses;
};

static struct machine machines[ARRAY_SIZE(devices)][2];

static void
machine_free(struct machine *m)
{
	vm_free(m->vm);
	config_free(m->config);
	strbuf_done(&m->new);
	*m = (struct machine){0};
}

static void
leave(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		machine_free(&machines[i][0]);
		machine_free(&machines[i][1]);
	}
	event_free(loop);
	file_remove_tree(place, NULL);
}

/* Only what was written: faulting all of it in, for each input, would be most of its time. */
static bool
ram_written(struct vm *vm, unsigned char there[RAM / 4096])
{
	return mincore(mem_ptr(&vm->mem, 0, RAM), RAM, there) == 0;
}

static void
machine_make(struct machine *m, unsigned which, unsigned number)
{
	m->config = config_new();
	m->vm = machine(m->config, which, number);
	vm_pause(m->vm);
	if (devices[which].large || state_save(m->vm, &m->new, NULL) < 0)
		strbuf_reset(&m->new);
	vm_resume(m->vm);
}

/* What a driver does that begins anew; then every field as it was, and memory. */
static bool
machine_renew(struct machine *m, unsigned which)
{
	struct pci_dev *d = pci_find(m->vm, 0, SLOT, 0);
	unsigned char there[RAM / 4096];
	bool is_virtio = !devices[which].reset.size, ok = true;

	if (d && is_virtio)
		d->class->bar_write(d, 4, 20, 1, 0);
	else if (d)
		d->class->bar_write(d, devices[which].reset.bar, devices[which].reset.at,
				    devices[which].reset.size, devices[which].reset.value);
	event_step(loop, 0);
	vm_pause(m->vm);
	if (m->new.len)
		ok = state_load(m->vm, m->new.data, m->new.len, NULL) == 0;
	else
		ok = pci_assign(m->vm, true, NULL) == 0;
	ok = ok && ram_written(m->vm, there);
	for (size_t i = 0; ok && i < sizeof(there); i++)
		if (there[i] & 1)
			mem_zero(&m->vm->mem, i * 4096, 4096);
	vm_resume(m->vm);
	return ok;
}

/* One of a kind's two machines, as if it had just been made. */
static struct machine *
machine_get(unsigned which, unsigned number)
{
	struct machine *m = &machines[which][number];
	unsigned most = m->new.len ? USES : USES_UNSAVED;

	if (m->vm && (++m->uses >= most || vm_ended(m->vm) || !machine_renew(m, which)))
		machine_free(m);
	if (!m->vm)
		machine_make(m, which, number);
	return m;
}

static void
run(struct vm *vm, const struct op *o)
{
	struct pci_dev *d = pci_find(vm, 0, SLOT, 0);
	unsigned size = 1U << (o->size_log & 3), bar = o->where >> 8 & 7;
	uint64_t v = o->value, ignored;

	if (!d && o->what % 8 < 2) { /* the TPM's registers and buffer, if there is one */
		if (o->what % 2)
			bus_write(&vm->mmio, TPM_BASE + o->offset % 0x1000 / size * size, size, v);
		else
			bus_read(&vm->mmio, TPM_BASE + o->offset % 0x1000 / size * size, size, &ignored);
		return;
	}
	if (!d && (o->what % 8 < 4))
		return;
	switch (o->what % 8) {
	case 0:
	case 1: /* a register */
		if (bar >= PCI_BARS || !d->bar[bar].size)
			return;
		struct bus *b = d->bar[bar].type == PCI_BAR_IO ? &vm->pio : &vm->mmio;
		uint64_t at = d->bar[bar].addr + o->offset % d->bar[bar].size;

		if (o->what % 8)
			bus_write(b, at, size, v);
		else
			bus_read(b, at, size, &ignored);
		return;
	case 2: /* configuration space */
		pci_cfg_write(d, o->offset & 0xff, size & 7, o->value);
		return;
	case 3:
		(void)pci_cfg_read(d, o->offset & 0xff, size & 7);
		return;
	case 4: /* ports */
		bus_write(&vm->pio, o->offset & 0xffff, size & 7 ? size & 7 : 1, v);
		return;
	case 5:
		bus_read(&vm->pio, o->offset & 0xffff, size & 7 ? size & 7 : 1, &ignored);
		return;
	case 7: /* what a person does */
		if (vm->display) {
			display_key(vm->display, o->offset & 0xff, o->size_log & 1);
			display_pointer(vm->display, o->offset & 0x7fff, v & 0x7fff, o->where & 31);
		}
		return;
	default: /* memory, in units of its own size */
		mem_write(&vm->mem, (o->offset % RAM) & ~(uint64_t)(size - 1), &v, size);
		return;
	}
}

/* ---- a driver ---- */

struct fuzz {
	struct vm *vm;
	unsigned which, number;
	bool driven; /* the queues are set up */
	unsigned moves;
	uint16_t avail[8];
	const uint8_t *in;
	size_t left;
};

static void
reg(struct vm *vm, unsigned at, unsigned size, uint64_t v)
{
	struct pci_dev *d = pci_find(vm, 0, SLOT, 0);

	bus_write(&vm->mmio, d->bar[4].addr + at, size, v);
}

static void
drive(struct fuzz *f, uint32_t features)
{
	reg(f->vm, 20, 1, 0);
	reg(f->vm, 20, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		reg(f->vm, 8, 4, i);
		reg(f->vm, 12, 4, i ? 1 : features);
	}
	reg(f->vm, 20, 1, 11);
	for (unsigned q = 0; q < 8; q++) {
		uint64_t at = RINGS + q * 0x10000;

		reg(f->vm, 22, 2, q);
		reg(f->vm, 24, 2, RING_SIZE);
		reg(f->vm, 32, 4, at);
		reg(f->vm, 40, 4, at + 0x1000);
		reg(f->vm, 48, 4, at + 0x2000);
		reg(f->vm, 28, 2, 1);
		mem_zero(&f->vm->mem, at, 0x3000);
		f->avail[q] = 0;
	}
	reg(f->vm, 20, 1, 15);
	f->driven = true;
}

/* value & 0xfff bytes of the input are the request, offset is how much may be answered. */
static void
request(struct fuzz *f, const struct op *o)
{
	struct pci_dev *d = pci_find(f->vm, 0, SLOT, 0);
	unsigned q = o->where & 7;
	uint64_t ring = RINGS + q * 0x10000;
	size_t len = o->value & 0xfff;
	struct vring_desc desc[2];
	uint16_t used;

	if (!d || d->bar[4].size != 0x4000)
		return;
	if (!f->driven || (o->where & 0x800))
		drive(f, f->which < 8 ? ~0U : o->offset);
	len = len < f->left ? len : f->left;
	mem_write(&f->vm->mem, REQUEST, f->in, len);
	f->in += len;
	f->left -= len;
	desc[0] = (struct vring_desc){REQUEST, (uint32_t)len, len ? VRING_DESC_F_NEXT : 0, 1};
	desc[1] = (struct vring_desc){ANSWER, o->offset & 0x1ffff, VRING_DESC_F_WRITE, 0};
	if (!(o->offset & 0x1ffff))
		desc[0].flags = 0;
	mem_write(&f->vm->mem, ring, desc, sizeof(desc));
	used = len ? 0 : 1;
	mem_write(&f->vm->mem, ring + 0x1004 + 2 * (f->avail[q]++ % RING_SIZE), &used, 2);
	mem_write(&f->vm->mem, ring + 0x1002, &f->avail[q], 2);
	reg(f->vm, 0x3000 + 4 * q, 2, q);
	event_step(loop, 0);
	/* a while for the worker: what it did is there for the next request */
	for (unsigned i = 0; (o->where & 0x100) && i < 200; i++) {
		mem_read(&f->vm->mem, ring + 0x2002, &used, 2);
		if (used == f->avail[q])
			break;
		sched_yield();
	}
}

/* ---- another machine ---- */

/* The n-th byte of what is between heads of sections and fields; NULL: there are not so many. */
static uint8_t *
nth_byte(uint8_t *p, size_t len, uint32_t n)
{
	const uint8_t *end = p + len;

	while (p < end) {
		uint32_t name, size;
		const uint8_t *section;

		memcpy(&name, p, 4);
		p += 4 + name;
		memcpy(&size, p, 4);
		p += 4;
		for (section = p + size; p < section; p += size) {
			p += 1 + *p;
			memcpy(&size, p, 4);
			p += 4;
			if (n < size && size < 65536)
				return p + n;
			if (size < 65536)
				n -= size;
		}
	}
	return NULL;
}

static void
copy_ram(struct vm *to, struct vm *from)
{
	uint8_t *p = mem_ptr(&from->mem, 0, RAM), *q = mem_ptr(&to->mem, 0, RAM);
	unsigned char there[RAM / 4096];

	if (!ram_written(from, there))
		abort();
	for (size_t i = 0; i < sizeof(there); i++)
		if (there[i] & 1)
			memcpy(q + i * 4096, p + i * 4096, 4096);
}

/* Operations of this kind that follow change a byte each. */
static void
move(struct fuzz *f)
{
	static struct strbuf state; /* memory that is used again at once */
	static unsigned n_large;
	struct vm *from = f->vm, *to;
	struct op o;

	/* a frame buffer is large: one or two say it all, and not each time */
	if (f->moves++ >= 2 || (!machines[f->which][0].new.len && ++n_large % 16))
		return;
	strbuf_reset(&state);
	vm_pause(from);
	if (state_save(from, &state, NULL) < 0) {
		vm_resume(from);
		return;
	}
	for (; f->left >= sizeof(o); f->in += sizeof(o), f->left -= sizeof(o)) {
		uint8_t *p;

		memcpy(&o, f->in, sizeof(o));
		if (o.what % 8 != 3 || (o.where & 0xc000) != 0xc000)
			break;
		p = nth_byte((uint8_t *)state.data, state.len, o.offset & 0xffff);
		if (p)
			*p = (uint8_t)o.value;
	}
	to = machine_get(f->which, !f->number)->vm;
	copy_ram(to, from);
	vm_pause(to);
	if (state_load(to, state.data, state.len, NULL) == 0) {
		f->vm = to;
		f->number = !f->number;
	}
	vm_resume(from);
	vm_resume(to);
}

/* A directory with a file, a directory and a link in it. */
static void
make_share(void)
{
	cleanup_free char *share = str_printf("%s/share", place), *dir = str_printf("%s/d", share);
	cleanup_free char *link = str_printf("%s/l", share), *file = str_printf("%s/f", share);

	file_remove_tree(share, NULL);
	if (mkdir(share, 0755) < 0 || mkdir(dir, 0755) < 0 || symlink("d", link) < 0 ||
	    close(open(file, O_CREAT | O_WRONLY, 0644)) < 0)
		abort();
}

/*
 * The TPM is a FIFO: what is in it is the answer, whatever the command was, and then the
 * command itself.  It begins with bytes of the input.
 */
static void
fill_tpm(const struct fuzz *f)
{
	uint8_t old[4096];

	if (tpm_fd < 0) {
		cleanup_free char *path = str_printf("%s/tpm", place);

		if (mkfifo(path, 0600) < 0 || (tpm_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)
			abort();
	}
	while (read(tpm_fd, old, sizeof(old)) > 0)
		;
	(void)!write(tpm_fd, f->in, f->left < 64 ? f->left : 64);
}

/* Nothing but zeroes is no answer, which ends a thread that waits for more of one. */
static void
settle_tpm(struct vm *vm)
{
	static const uint8_t nothing[8192];
	uint64_t busy = 1;

	while (bus_read(&vm->mmio, TPM_BASE + 0x4c, 4, &busy) && busy) {
		(void)!write(tpm_fd, nothing, sizeof(nothing));
		sched_yield();
	}
	bus_write(&vm->mmio, TPM_BASE + 0x40, 4, 2);
	bus_write(&vm->mmio, TPM_BASE + 0x08, 4, 2);
}

/* Once: what all machines share. */
static void
settle(void)
{
	disk = memfd_create("disk", MFD_CLOEXEC);
	if (disk < 0 || event_new(&loop, NULL) < 0 || !mkdtemp(place))
		abort();
	atexit(leave);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = {.which = size ? data[0] % ARRAY_SIZE(devices) : 0,
			 .in = size ? data + 1 : data, .left = size ? size - 1 : 0};
	bool has_tpm = !*devices[f.which].name && *devices[f.which].keys;

	if (disk < 0)
		settle();
	if (ftruncate(disk, 0) < 0 || ftruncate(disk, 1 << 20) < 0)
		abort();
	if (str_eq(devices[f.which].name, "virtio-9p") && !machines[f.which][0].vm)
		make_share();
	if (has_tpm)
		fill_tpm(&f);
	f.vm = machine_get(f.which, 0)->vm;
	for (unsigned n = 0; f.left >= sizeof(struct op) && n < 4096; n++) {
		struct op o;

		memcpy(&o, f.in, sizeof(o));
		f.in += sizeof(o);
		f.left -= sizeof(o);
		if (o.what % 8 == 3 && (o.where & 0xc000) == 0x8000)
			request(&f, &o);
		else if (o.what % 8 == 3 && (o.where & 0xc000) == 0x4000)
			move(&f);
		else
			run(f.vm, &o);
	}
	event_step(loop, 0);
	if (has_tpm)
		settle_tpm(f.vm);
	return 0;
}
