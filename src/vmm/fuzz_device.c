/*
 * libFuzzer target: a hostile driver against every device, on fake memory.
 *
 * The input is a list of operations of 12 bytes on one of the devices' BARs,
 * on ports, on configuration space, or on guest memory (rings, commands).
 * Devices with workers run them: what they do is awaited by resetting.
 *
 *	clang -g -fsanitize=fuzzer,address,undefined ... && ./fuzz_device corpus/
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "vmm/fwcfg.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (4ULL << 20)

struct op {
	uint8_t what, size_log;
	uint16_t where;
	uint32_t offset;
	uint32_t value;
};

/* %s in the keys is a file to use as a disk.  The first three are driven as virtio by fuzz_test.c. */
static const struct {
	const char *name, *keys;
} devices[] = {
	{"virtio-blk", "path=%s"},
	{"virtio-rnd", ""},
	{"virtio-console", "port0=file,/dev/null"},
	{"virtio-scsi", "target.0.path=%s target.3.path=%s target.3.type=cd num_queues=2"},
	{"virtio-balloon", ""},
	{"virtio-input", "kind=tablet"},
	{"virtio-input", ""},
	{"nvme", "path=%s"},
	{"e1000", "backend=user"},
	{"virtio-net", "backend=user"},
	{"fbuf", "w=640 h=480"},
	{"xhci", "tablet=true"},
	{"ahci", "port.0.path=%s port.1.path=%s port.1.type=cd"},
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
machine(struct config *c, int disk)
{
	struct vm *vm = NULL;
	cleanup_free char *path = str_printf("/proc/self/fd/%d", disk);

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		cleanup_strbuf struct strbuf keys = STRBUF_INIT;

		for (const char *k = devices[i].keys; *k; k++) {
			if (k[0] == '%' && k[1] == 's')
				strbuf_addf(&keys, "%s", path);
			else if (k == devices[i].keys || k[-1] != '%')
				strbuf_addc(&keys, *k);
		}
		set_keys(c, i + 2, devices[i].name, keys.data ? keys.data : "");
	}
	if (config_set(c, "virtio.legacy", "true", NULL) < 0 ||
	    config_set(c, "lpc.com1.path", "file,/dev/null", NULL) < 0 ||
	    vm_new_fake(c, RAM, &vm, NULL) < 0 || isa_create_all(vm, NULL) < 0 ||
	    pci_create_all(vm, NULL) < 0 || pci_assign(vm, true, NULL) < 0 ||
	    fwcfg_describe(fwcfg_new(vm), NULL) < 0)
		abort();
	return vm;
}

static void
run(struct vm *vm, const struct op *o)
{
	struct pci_dev *d = pci_find(vm, 0, 2 + o->where % ARRAY_SIZE(devices), 0);
	unsigned size = 1U << (o->size_log & 3), bar = o->where >> 8 & 7;
	uint64_t v = o->value, ignored;

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
	vm = machine(c, disk);
	for (size_t at = 0; at + sizeof(struct op) <= size && at < 4096 * sizeof(struct op);
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
