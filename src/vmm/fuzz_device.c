/*
 * libFuzzer target: a hostile driver against each device, on fake memory.
 *
 * The first byte of the input chooses the device; what follows is a list of
 * operations of 12 bytes on its BARs, its configuration space, the machine's
 * ports, guest memory (rings, commands), or the display's input.  A device's
 * worker runs beside them; the machine's end waits for it.
 *
 * tools/fuzz builds and runs it.  fuzz_test.c replays testdata/fuzz_device.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "vmm/display/display.h"
#include "vmm/fwcfg.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (4ULL << 20)
#define SLOT 2

struct op {
	uint8_t what, size_log;
	uint16_t where;
	uint32_t offset;
	uint32_t value;
};

/* %s in the keys is a file to use as a disk.  New ones come last: the corpus counts on the order. */
static const struct {
	const char *name, *keys;
} devices[] = {
	{"virtio-blk", "path=%s queues=2"},
	{"virtio-rnd", ""},
	{"virtio-console", "port0=file,/dev/null port1=file,/dev/null"},
	{"virtio-scsi", "target.0.ram=1 target.3.ram=1 target.3.type=cd"},
	{"virtio-balloon", ""},
	{"virtio-input", "kind=tablet"},
	{"virtio-input", "kind=keyboard"},
	{"virtio-net", "backend=user"},
	{"nvme", "ram=1"},
	{"e1000", "backend=user"},
	{"fbuf", "w=640 h=480"},
	{"xhci", "tablet=true"},
	{"ahci", "port.0.ram=1 port.1.ram=1 port.1.type=cd"},
	{"virtio-blk", "ram=1"},
	{"", ""}, /* the devices at fixed ports, and fw_cfg */
};

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

static struct vm *
machine(struct config *c, unsigned which, int disk)
{
	struct vm *vm = NULL;
	cleanup_free char *path = str_printf("/proc/self/fd/%d", disk);
	cleanup_strbuf struct strbuf keys = STRBUF_INIT;

	bool isa = !*devices[which].name;

	strbuf_addf(&keys, "%s", "");
	for (const char *k = devices[which].keys; *k; k++) {
		if (k[0] == '%' && k[1] == 's')
			strbuf_addf(&keys, "%s", path);
		else if (k == devices[which].keys || k[-1] != '%')
			strbuf_addc(&keys, *k);
	}
	if (!isa)
		set_keys(c, SLOT, devices[which].name, keys.data);
	if (config_set(c, "virtio.legacy", "true", NULL) < 0 ||
	    config_set(c, "lpc.ps2", "true", NULL) < 0 ||
	    config_set(c, "lpc.com1.path", "file,/dev/null", NULL) < 0 ||
	    vm_new_fake(c, RAM, &vm, NULL) < 0 || (isa && isa_create_all(vm, NULL) < 0) ||
	    pci_create_all(vm, NULL) < 0 || pci_assign(vm, true, NULL) < 0 ||
	    (isa && fwcfg_describe(fwcfg_new(vm), NULL) < 0))
		abort();
	return vm;
}

static void
run(struct vm *vm, const struct op *o)
{
	struct pci_dev *d = pci_find(vm, 0, SLOT, 0);
	unsigned size = 1U << (o->size_log & 3), bar = o->where >> 8 & 7;
	uint64_t v = o->value, ignored;

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = config_new();
	int disk = memfd_create("disk", MFD_CLOEXEC);
	struct vm *vm;

	if (disk < 0 || ftruncate(disk, 1 << 20) < 0)
		abort();
	vm = machine(c, size ? data[0] % ARRAY_SIZE(devices) : 0, disk);
	for (size_t at = 1; at + sizeof(struct op) <= size && at < 4096 * sizeof(struct op);
	     at += sizeof(struct op)) {
		struct op o;

		memcpy(&o, data + at, sizeof(o));
		run(vm, &o);
	}
	vm_free(vm);
	config_free(c);
	close(disk);
	return 0;
}
