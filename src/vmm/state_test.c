/* What a machine is made of goes into a buffer and comes out of it as it was. */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

static struct vm *
machine(const char *const *keys)
{
	struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	struct vm *vm = NULL;

	for (; *keys; keys++)
		check_ok(config_parse(c, *keys, &err), &err);
	check_ok(vm_new_fake(c, 4 << 20, &vm, &err), &err);
	check_ok(isa_create_all(vm, &err), &err);
	check_ok(pci_create_all(vm, &err), &err);
	check_ok(pci_assign(vm, true, &err), &err);
	return vm;
}

static void
drop(struct vm *vm)
{
	struct config *c = vm->config;

	vm_free(vm);
	config_free(c);
}

static const char *const plain[] = {"pci.0.4.0.device=virtio-rnd", "lpc.com1.path=file,/dev/null",
				    NULL};

static uint64_t
in(struct vm *vm, uint16_t port)
{
	uint64_t v;

	bus_read(&vm->pio, port, 1, &v);
	return v;
}

static void
cmos_write(struct vm *vm, uint8_t index, uint8_t value)
{
	bus_write(&vm->pio, 0x70, 1, index);
	bus_write(&vm->pio, 0x71, 1, value);
}

TEST(registers_come_back)
{
	struct vm *a = machine(plain), *b = machine(plain);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	struct pci_dev *rnd = pci_find(a, 0, 4, 0);
	uint64_t v, common;

	cmos_write(a, 0x40, 0x5a);
	bus_write(&a->pio, 0x3f8 + 7, 1, 0x77);
	pci_cfg_write(rnd, PCI_BASE_ADDRESS_4, 4, 0xd1230000);
	common = 0xd1230000;
	bus_write(&a->mmio, common + VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	bus_write(&a->mmio, common + VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x10000);
	check_ok(state_save(a, &state, &err), &err);
	check_ok(state_load(b, state.data, state.len, &err), &err);
	check_int(in(b, 0x71), ==, 0x5a);
	check_int(in(b, 0x3f8 + 7), ==, 0x77);
	check(bus_read(&b->mmio, common + VIRTIO_PCI_COMMON_Q_SIZE, 2, &v));
	check_int(v, ==, 16);
	bus_read(&b->mmio, common + VIRTIO_PCI_COMMON_Q_DESCLO, 4, &v);
	check_int(v, ==, 0x10000);
	drop(a);
	drop(b);
}

TEST(messages_that_wait_come_back)
{
	struct vm *a = machine(plain), *b = machine(plain);
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	struct pci_dev *da = pci_find(a, 0, 4, 0), *db = pci_find(b, 0, 4, 0);
	uint64_t table = pci_cfg_read(da, PCI_BASE_ADDRESS_1, 4) & ~15U;

	bus_write(&a->mmio, table, 4, 0xfee01000);
	bus_write(&a->mmio, table + 8, 4, 0x41);
	pci_cfg_write(da, da->msix.cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	pci_msix_notify(da, 0);
	check_int(a->irqs.n_messages, ==, 0);
	check(state_save(a, &state, NULL) == 0);
	check(state_load(b, state.data, state.len, NULL) == 0);
	check_int(b->irqs.n_messages, ==, 0);
	bus_write(&b->mmio, table + 12, 4, 0);
	check_int(b->irqs.n_messages, ==, 1);
	check_int(b->irqs.last_data, ==, 0x41);
	check(db->msix.enabled);
	drop(a);
	drop(b);
}

static int
load(const char *const *keys, const struct strbuf *state, struct error *err)
{
	struct vm *vm = machine(keys);
	int r = state_load(vm, state->data, state->len, err);

	drop(vm);
	return r;
}

TEST(another_machine_is_refused)
{
	static const char *const other_slot[] = {"pci.0.5.0.device=virtio-rnd",
						 "lpc.com1.path=file,/dev/null", NULL};
	static const char *const no_com[] = {"pci.0.4.0.device=virtio-rnd", NULL};
	static const char *const legacy[] = {"pci.0.4.0.device=virtio-rnd", "virtio.legacy=true",
					     "lpc.com1.path=file,/dev/null", NULL};
	struct vm *a = machine(plain);
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	static const struct {
		const char *const *keys;
		const char *message;
	} rows[] = {
		{other_slot, "0:5:0 virtio-rnd: the state has \"0:4:0 virtio-rnd\" in its place"},
		{no_com, "the state has \"com1\" in its place"},
		{legacy, "0:4:0 virtio-rnd: configuration space differs from this machine's"},
	};

	check(state_save(a, &state, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;

		check_int(load(rows[i].keys, &state, &err), ==, -EINVAL);
		check_has(error_message(&err), rows[i].message);
	}
	drop(a);
}

/* Whatever is cut off or changed: an answer, never a crash (ASan watches). */
TEST(damaged_state_is_refused_or_harmless)
{
	struct vm *a = machine(plain);
	cleanup_strbuf struct strbuf state = STRBUF_INIT;

	check(state_save(a, &state, NULL) == 0);
	for (size_t len = 0; len < state.len; len += 97) {
		struct vm *b = machine(plain);

		check(state_load(b, state.data, len, NULL) < 0);
		drop(b);
	}
	for (size_t at = 0; at < state.len; at += 61) {
		struct vm *b = machine(plain);

		state.data[at] ^= 0xff;
		(void)state_load(b, state.data, state.len, NULL);
		state.data[at] ^= 0xff;
		drop(b);
	}
	drop(a);
}

static struct vm *
guest(void)
{
	struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	struct vm *vm = NULL;

	if (access("/dev/kvm", R_OK | W_OK) != 0)
		test_skip("no usable /dev/kvm here");
	check_ok(config_parse(c, "memory.size=2M", &err), &err);
	check_ok(vm_new(c, NULL, &vm, &err), &err);
	require(vm);
	return vm;
}

TEST(a_guest_goes_on_in_another_machine)
{
	/* l: inc ebx; mov [0x3000],ebx; jmp l */
	static const uint8_t code[] = {0x43, 0x89, 0x1d, 0, 0x30, 0, 0, 0xeb, 0xf7};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	struct vm *a = guest(), *b = guest();
	volatile uint32_t *counter = mem_ptr(&a->mem, 0x3000, 4);
	uint32_t at;

	require(mem_write(&a->mem, 0x1000, code, sizeof(code)));
	check_ok(vcpu_set_entry(&a->vcpu[0],
				&(struct vcpu_entry){.mode = ENTRY_FLAT32, .rip = 0x1000,
						     .rbx = 7000},
				&err),
		 &err);
	check_ok(vm_start(a, &err), &err);
	while (*counter < 7010)
		sched_yield();
	vm_pause(a);
	check_ok(state_save(a, &state, &err), &err);
	at = *counter;
	memcpy(mem_ptr(&b->mem, 0, 2 << 20), mem_ptr(&a->mem, 0, 2 << 20), 2 << 20);
	drop(a);

	counter = mem_ptr(&b->mem, 0x3000, 4);
	vm_pause(b);
	check_ok(state_load(b, state.data, state.len, &err), &err);
	check_ok(vm_start(b, &err), &err);
	usleep(1000);
	check_int(*counter, ==, at);
	vm_resume(b);
	while (*counter < at + 10 && !vm_ended(b))
		sched_yield();
	check(!vm_ended(b));
	check(*counter - at < 1000000000);
	vm_end(b, VM_END_POWEROFF, NULL);
	vm_wait(b);
	drop(b);
}

/* Every disk, NIC and console: what a driver set up is there again. */
TEST(devices_go_along)
{
	cleanup_free char *disk = str_printf("%s/disk", test_tmpdir());
	cleanup_free char *blk = str_printf("pci.0.4.0.path=%s", disk);
	cleanup_free char *nvme = str_printf("pci.0.5.0.path=%s", disk);
	const char *const keys[] = {"pci.0.4.0.device=virtio-blk",   blk,
				    "pci.0.5.0.device=nvme",	     nvme,
				    "pci.0.6.0.device=virtio-console",
				    "pci.0.6.0.port0=file,/dev/null", NULL};
	cleanup_strbuf struct strbuf state = STRBUF_INIT, again = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;
	static char zero[1 << 20];
	struct vm *a, *b;
	uint64_t regs, v;

	check_ok(file_write_atomic(disk, zero, sizeof(zero), 0600, &err), &err);
	a = machine(keys);
	b = machine(keys);
	/* The NVMe controller is enabled with its admin queues. */
	regs = pci_cfg_read(pci_find(a, 0, 5, 0), PCI_BASE_ADDRESS_0, 4) & ~15U;
	bus_write(&a->mmio, regs + 0x24, 4, 0x000f000f);
	bus_write(&a->mmio, regs + 0x28, 8, 0x10000);
	bus_write(&a->mmio, regs + 0x30, 8, 0x11000);
	bus_write(&a->mmio, regs + 0x14, 4, 0x00460001);
	bus_read(&a->mmio, regs + 0x1c, 4, &v);
	check_int(v, ==, 1);
	vm_pause(a);
	vm_pause(b);
	check_ok(state_save(a, &state, &err), &err);
	check_ok(state_load(b, state.data, state.len, &err), &err);
	bus_read(&b->mmio, regs + 0x1c, 4, &v);
	check_int(v, ==, 1);
	check_ok(state_save(b, &again, &err), &err);
	check_int(again.len, ==, state.len);
	vm_resume(b);
	drop(a);
	drop(b);
}
