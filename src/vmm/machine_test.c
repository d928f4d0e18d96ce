/*
 * The machine's core: memory, buses, PCI configuration, and tiny guests on
 * the host's own /dev/kvm (skipped with a word where there is none).
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/str.h"
#include "base/test.h"
#include "os/kvm.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

TEST(only_ram_has_pointers)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm struct vm *vm = NULL;

	check_ok(vm_new_fake(c, 0x80000000ULL + (4 << 20), &vm, &err), &err);
	check(mem_ptr(&vm->mem, 0, 1));
	check(mem_ptr(&vm->mem, 0, 0x80000000));
	check(!mem_ptr(&vm->mem, 0, 0));
	check(!mem_ptr(&vm->mem, 0, 0x80000001));
	check(!mem_ptr(&vm->mem, 0x7fffffff, 2));
	check(!mem_ptr(&vm->mem, 0x80000000, 1));
	check(!mem_ptr(&vm->mem, PCI_ECAM_BASE, 1));
	check(mem_ptr(&vm->mem, 0x100000000, 4 << 20));
	check(!mem_ptr(&vm->mem, 0x100000000, (4 << 20) + 1));
	check(!mem_ptr(&vm->mem, UINT64_MAX, 1));
	check(!mem_ptr(&vm->mem, UINT64_MAX - 3, 8));
	check(!mem_ptr(&vm->mem, 1, UINT64_MAX));
}

TEST(memory_size_is_checked)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm struct vm *vm = NULL;

	check_int(vm_new_fake(c, 1 << 20, &vm, &err), ==, -EINVAL);
	check_has(error_message(&err), "from 2M to 4T");
}

static uint64_t
give_tag(void *dev, uint64_t offset, unsigned size)
{
	return (uintptr_t)dev + offset;
}

TEST(bus_finds_the_owner)
{
	struct bus b;
	struct bus_range low = {.base = 0x100, .size = 0x10, .read = give_tag, .dev = (void *)1000};
	struct bus_range high = {.base = 0x200, .size = 8, .read = give_tag, .dev = (void *)2000};
	struct bus_range over = {.base = 0x108, .size = 0x100, .read = give_tag,
				 .dev = (void *)3000, .movable = true};
	struct bus_range top = {.base = UINT64_MAX - 7, .size = 8, .read = give_tag,
				.dev = (void *)4000};
	uint64_t v;

	bus_init(&b);
	bus_add(&b, &over);
	check(bus_read(&b, 0x108, 4, &v));
	check_int(v, ==, 3000);
	/* Fixed ranges hide movable ones, whenever they came. */
	bus_add(&b, &high);
	bus_add(&b, &low);
	bus_add(&b, &top);
	check(bus_read(&b, 0x108, 4, &v));
	check_int(v, ==, 1008);
	check(!bus_read(&b, 0x110, 4, &v));
	check_int(v, ==, 0xffffffff);
	check(bus_read(&b, 0x204, 4, &v));
	check_int(v, ==, 2004);
	/* Past the end of a range is nobody's. */
	check(!bus_read(&b, 0x206, 4, &v));
	check(bus_read(&b, UINT64_MAX, 1, &v));
	check(!bus_read(&b, UINT64_MAX, 2, &v));
	bus_remove(&b, &low);
	bus_remove(&b, &high);
	check(bus_read(&b, 0x108, 1, &v));
	check_int(v, ==, (3000 & 0xff));
	bus_remove(&b, &over);
	bus_remove(&b, &over);
	check(!bus_read(&b, 0x108, 1, &v));
	bus_done(&b);
}

/* A device with a port BAR, a register BAR and MSI-X, as simple as it gets. */
static uint64_t last_offset, last_value;

static uint64_t
toy_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	return bar * 0x1000 + offset;
}

static void
toy_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	last_offset = offset;
	last_value = value;
}

static int
toy_init(struct pci_dev *d, struct config *node, struct error *err)
{
	pci_set_ids(d, 0x1234, 0x5678, 0x010203, 4);
	pci_add_bar(d, 0, PCI_BAR_IO, 32);
	pci_add_bar(d, 2, PCI_BAR_MEM64, 0x4000);
	pci_add_pin(d);
	return pci_add_msix(d, 1, 3, err);
}

static const struct pci_class toy_class = {
	.name = "toy", .size = sizeof(struct pci_dev), .init = toy_init,
	.bar_read = toy_read, .bar_write = toy_write,
};

static struct vm *
toy_machine(struct pci_dev **ret)
{
	static struct config *c;
	struct vm *vm;

	c = config_new();
	require(vm_new_fake(c, 4 << 20, &vm, NULL) == 0);
	require(pci_create(vm, &toy_class, 0, 3, 0, c, ret, NULL) == 0);
	return vm;
}

static uint32_t
cf8_read(struct vm *vm, unsigned slot, unsigned reg)
{
	uint64_t v;

	bus_write(&vm->pio, 0xcf8, 4, 0x80000000U | slot << 11 | reg);
	bus_read(&vm->pio, 0xcfc, 4, &v);
	return (uint32_t)v;
}

TEST(pci_configuration_through_both_doors)
{
	struct pci_dev *d;
	struct vm *vm = toy_machine(&d);
	uint64_t v;

	check_int(cf8_read(vm, 3, 0), ==, 0x56781234);
	check_int(cf8_read(vm, 3, 8), ==, 0x01020304);
	check_int(cf8_read(vm, 4, 0), ==, 0xffffffff);
	bus_read(&vm->mmio, PCI_ECAM_BASE + (3 << 15) + 2, 2, &v);
	check_int(v, ==, 0x5678);
	bus_read(&vm->mmio, PCI_ECAM_BASE + (3 << 15) + 0x100, 4, &v);
	check_int(v, ==, 0xffffffff);
	/* One door closed: what probes it finds nothing there. */
	vm->pci->no_ports = true;
	check_int(cf8_read(vm, 3, 0), ==, 0xffffffff);
	check(bus_read(&vm->pio, 0xcf8, 4, &v) && v == 0xffffffff);
	bus_write(&vm->pio, 0xcfc, 4, 0xffffffff);
	bus_read(&vm->mmio, PCI_ECAM_BASE + (3 << 15), 4, &v);
	check_int(v, ==, 0x56781234);
	/* Sizing: all ones come back as the size's mask. */
	pci_cfg_write(d, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	check_int(pci_cfg_read(d, PCI_BASE_ADDRESS_0, 4), ==, 0xffffffe1);
	pci_cfg_write(d, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	pci_cfg_write(d, PCI_BASE_ADDRESS_3, 4, 0xffffffff);
	check_int(pci_cfg_read(d, PCI_BASE_ADDRESS_2, 4), ==, 0xffffc004);
	check_int(pci_cfg_read(d, PCI_BASE_ADDRESS_3, 4), ==, 0xffffffff);
	/* Ids cannot be written. */
	pci_cfg_write(d, 0, 4, 0);
	check_int(pci_cfg_read(d, 0, 4), ==, 0x56781234);
	vm_free(vm);
}

TEST(pci_bars_move)
{
	struct pci_dev *d;
	struct vm *vm = toy_machine(&d);
	uint64_t v;

	check(pci_assign(vm, true, NULL) == 0);

	uint32_t io = pci_cfg_read(d, PCI_BASE_ADDRESS_0, 4) & ~3U;
	uint32_t mem = pci_cfg_read(d, PCI_BASE_ADDRESS_2, 4) & ~15U;

	check_int(io, ==, PCI_PORTS_BASE);
	check(mem >= PCI_MEM32_BASE && mem < PCI_MEM32_END);
	check(bus_read(&vm->pio, io + 4, 1, &v));
	check_int(v, ==, 4);
	check(bus_read(&vm->mmio, mem + 0x10, 4, &v));
	check_int(v, ==, 0x2010);
	pci_cfg_write(d, PCI_BASE_ADDRESS_2, 4, 0xd0000000);
	check(!bus_read(&vm->mmio, mem + 0x10, 4, &v));
	check(bus_write(&vm->mmio, 0xd0000020, 2, 0x12345));
	check_int(last_offset, ==, 0x20);
	check_int(last_value, ==, 0x2345);
	pci_cfg_write(d, PCI_COMMAND, 2, 0);
	check(!bus_read(&vm->mmio, 0xd0000020, 2, &v));
	vm_free(vm);
}

TEST(msix_masks_and_remembers)
{
	struct pci_dev *d;
	struct vm *vm = toy_machine(&d);
	unsigned cap = d->msix.cap;
	uint64_t v;

	check(pci_assign(vm, true, NULL) == 0);

	uint64_t table = pci_cfg_read(d, PCI_BASE_ADDRESS_1, 4) & ~15U;

	check_int(pci_cfg_read(d, cap, 1), ==, PCI_CAP_ID_MSIX);
	check_int(pci_cfg_read(d, cap + PCI_MSIX_FLAGS, 2), ==, 2);
	bus_write(&vm->mmio, table + 16, 4, 0xfee01000);
	bus_write(&vm->mmio, table + 24, 4, 0x41);
	/* Off: nothing is sent or kept. */
	pci_msix_notify(d, 1);
	check_int(vm->irqs.n_messages, ==, 0);
	pci_cfg_write(d, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	/* Masked: kept, and shown in the pending bits. */
	pci_msix_notify(d, 1);
	check_int(vm->irqs.n_messages, ==, 0);
	bus_read(&vm->mmio, table + 2048, 8, &v);
	check_int(v, ==, 2);
	bus_write(&vm->mmio, table + 28, 4, 0);
	check_int(vm->irqs.n_messages, ==, 1);
	check_int(vm->irqs.last_address, ==, 0xfee01000);
	check_int(vm->irqs.last_data, ==, 0x41);
	bus_read(&vm->mmio, table + 2048, 8, &v);
	check_int(v, ==, 0);
	pci_msix_notify(d, 1);
	check_int(vm->irqs.n_messages, ==, 2);
	/* The function mask covers all. */
	pci_cfg_write(d, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_msix_notify(d, 1);
	check_int(vm->irqs.n_messages, ==, 2);
	pci_cfg_write(d, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	check_int(vm->irqs.n_messages, ==, 3);
	/* A vector that is not there. */
	pci_msix_notify(d, 3);
	check_int(vm->irqs.n_messages, ==, 3);
	bus_write(&vm->mmio, table + 3 * 16, 4, 1);
	bus_read(&vm->mmio, table + 3 * 16, 4, &v);
	check_int(v, ==, 0);
	vm_free(vm);
}

TEST(shared_lines_are_counted)
{
	struct irqs q;

	irqs_init(&q, -1);

	struct irq_pin a = {.irqs = &q, .gsi = 17}, b = {.irqs = &q, .gsi = 17};

	irq_pin_set(&a, true);
	irq_pin_set(&a, true);
	irq_pin_set(&b, true);
	check_int(q.asserted[17], ==, 2);
	irq_pin_set(&a, false);
	check_int(q.asserted[17], ==, 1);
	irq_pin_set(&b, false);
	check_int(q.asserted[17], ==, 0);
	irqs_done(&q);
}

TEST(apic_ids_follow_the_topology)
{
	struct vm_topology flat = {4, 4, 1, 1}, three = {6, 2, 3, 1}, ht = {8, 2, 2, 2};

	check_int(vm_apic_id(&flat, 3), ==, 3);
	/* Three cores take two bits. */
	check_int(vm_apic_id(&three, 2), ==, 2);
	check_int(vm_apic_id(&three, 3), ==, 4);
	check_int(vm_apic_id(&ht, 7), ==, 7);
}

/* ---- guests ---- */

#define TEST_PORT 0xe0

struct seen {
	struct bus_range ports, regs;
	struct vm *vm;
	unsigned n;
	uint64_t sum, last;
};

/* Port 0xe0 takes numbers; port 0xe1 ends the machine. */
static void
seen_port(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct seen *s = arg;

	if (offset == 1) {
		vm_end(s->vm, VM_END_POWEROFF, NULL);
		return;
	}
	s->n++;
	s->sum += value;
	s->last = value;
}

static uint64_t
seen_reg(void *arg, uint64_t offset, unsigned size)
{
	return 0x1122334455667788 + offset;
}

static struct vm *
guest_machine(const char *keys, struct seen *s)
{
	static struct config *c;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	struct vm *vm = NULL;

	if (access("/dev/kvm", R_OK | W_OK) != 0)
		test_skip("no usable /dev/kvm here");
	c = config_new();
	strv_words(&words, keys, " ");
	for (size_t i = 0; i < words.n; i++)
		require(config_parse(c, words.v[i], &err) == 0);
	check_ok(vm_new(c, NULL, &vm, &err), &err);
	require(vm);
	*s = (struct seen){.vm = vm};
	s->ports = (struct bus_range){.base = TEST_PORT, .size = 2, .write = seen_port, .dev = s};
	s->regs = (struct bus_range){.base = 0xd0000000, .size = 0x1000, .read = seen_reg,
				     .write = seen_port, .dev = s};
	bus_add(&vm->pio, &s->ports);
	bus_add(&vm->mmio, &s->regs);
	return vm;
}

static enum vm_end
run(struct vm *vm, const void *code, size_t len, const struct vcpu_entry *entry)
{
	cleanup_error struct error err = ERROR_INIT;
	enum vm_end how;

	require(mem_write(&vm->mem, entry->rip, code, len));
	check_ok(vcpu_set_entry(&vm->vcpu[0], entry, &err), &err);
	check_ok(vm_start(vm, &err), &err);
	how = vm_wait(vm);
	if (how == VM_END_ERROR)
		test_fail(__FILE__, __LINE__, "%s", vm->end_message);
	return how;
}

TEST(real_mode_guest_writes_ports)
{
	/* mov cx,10; l: mov ax,cx; out 0xe0,al; loop l; out 0xe1,al; hlt */
	static const uint8_t code[] = {0xb9, 10,   0,	 0x89, 0xc8, 0xe6, 0xe0,
				       0xe2, 0xfa, 0xe6, 0xe1, 0xf4};
	struct seen s;
	struct vm *vm = guest_machine("memory.size=2M", &s);

	check_int(run(vm, code, sizeof(code), &(struct vcpu_entry){ENTRY_REAL, .rip = 0x1000}), ==,
		  VM_END_POWEROFF);
	check_int(s.n, ==, 10);
	check_int(s.sum, ==, 55);
	check(vm->vcpu[0].exits[KVM_EXIT_IO] >= 11);
	vm_free(vm);
}

TEST(flat_guest_reads_registers)
{
	/* mov ebx,0xd0000000; mov eax,[ebx+4]; mov [ebx+8],eax; out 0xe1,al; hlt */
	static const uint8_t code[] = {0xbb, 0,	   0,	 0,    0xd0, 0x8b, 0x43, 0x04,
				       0x89, 0x43, 0x08, 0xe6, 0xe1, 0xf4};
	struct seen s;
	struct vm *vm = guest_machine("memory.size=2M", &s);

	check_int(run(vm, code, sizeof(code),
		      &(struct vcpu_entry){ENTRY_FLAT32, .rip = 0x1000, .rsp = 0x8000}),
		  ==, VM_END_POWEROFF);
	check_int(s.n, ==, 1);
	check_int(s.last, ==, 0x5566778c);
	vm_free(vm);
}

/* One page table of 2M pages over the first GiB, and the one that holds 0xd0000000. */
static void
identity_map(struct vm *vm, uint64_t at)
{
	uint64_t pml4[1] = {(at + 0x1000) | 3};
	uint64_t pdpt[4] = {(at + 0x2000) | 3, 0, 0, (at + 0x3000) | 3};
	uint64_t pd[512];

	require(mem_write(&vm->mem, at, pml4, sizeof(pml4)));
	require(mem_write(&vm->mem, at + 0x1000, pdpt, sizeof(pdpt)));
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83;
	require(mem_write(&vm->mem, at + 0x2000, pd, sizeof(pd)));
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (3ULL << 30) | i << 21 | 0x83;
	require(mem_write(&vm->mem, at + 0x3000, pd, sizeof(pd)));
}

TEST(long_mode_guest_rings_a_doorbell)
{
	/*
	 * mov ebx,0xd0000000; mov rax,[rbx]; mov [rbx+16],rax;
	 * mov ecx,100; l: mov dword [rbx+0x800],ecx; loop l; out 0xe1,al; hlt
	 */
	static const uint8_t code[] = {0xbb, 0, 0, 0, 0xd0, 0x48, 0x8b, 0x03, 0x48, 0x89, 0x43,
				       0x10, 0xb9, 100, 0, 0, 0, 0x89, 0x8b, 0, 8, 0, 0, 0xe2,
				       0xf8, 0xe6, 0xe1, 0xf4};
	struct seen s;
	struct vm *vm = guest_machine("memory.size=4M", &s);
	cleanup_close int fd = eventfd(0, EFD_CLOEXEC);
	struct kvm_doorbell bell = {.address = 0xd0000800, .size = 4, .fd = fd};
	cleanup_error struct error err = ERROR_INIT;
	uint64_t rung = 0;

	check_ok(kvm_ioeventfd(vm->fd, &bell, true, &err), &err);
	identity_map(vm, 0x10000);
	check_int(run(vm, code, sizeof(code),
		      &(struct vcpu_entry){ENTRY_LONG64, .rip = 0x1000, .rsp = 0x8000,
					   .cr3 = 0x10000}),
		  ==, VM_END_POWEROFF);
	check_int(s.n, ==, 1);
	check_int(s.last, ==, 0x1122334455667788);
	check_int(read(fd, &rung, sizeof(rung)), ==, sizeof(rung));
	check_int(rung, ==, 100);
	vm_free(vm);
}

TEST(pause_stops_the_guest_and_resume_goes_on)
{
	/* l: inc dword [0x3000]; jmp l */
	static const uint8_t code[] = {0xff, 0x05, 0, 0x30, 0, 0, 0xeb, 0xf8};
	cleanup_error struct error err = ERROR_INIT;
	struct seen s;
	struct vm *vm = guest_machine("memory.size=2M", &s);
	volatile uint32_t *counter = mem_ptr(&vm->mem, 0x3000, 4);
	uint32_t at;

	require(mem_write(&vm->mem, 0x1000, code, sizeof(code)));
	check_ok(vcpu_set_entry(&vm->vcpu[0], &(struct vcpu_entry){ENTRY_FLAT32, .rip = 0x1000},
				&err),
		 &err);
	check_ok(vm_start(vm, &err), &err);
	while (*counter < 10)
		sched_yield();
	vm_pause(vm);
	at = *counter;
	usleep(2000);
	check_int(*counter, ==, at);
	vm_resume(vm);
	while (*counter == at)
		sched_yield();
	vm_end(vm, VM_END_REBOOT, NULL);
	vm_end(vm, VM_END_ERROR, "too late");
	check_int(vm_wait(vm), ==, VM_END_REBOOT);
	vm_free(vm);
}

/*
 * The first processor wakes the others with INIT and SIPI; each counts itself in
 * and halts; when all are there the machine is switched off.
 */
static void
wake_all(const char *keys, uint8_t others)
{
	/*
	 * mov esi,0xfee00300; mov dword [esi],0xc4500; mov dword [esi],0xc4608;
	 * l: mov eax,[0x3000]; cmp eax,OTHERS; jne l; out 0xe1,al; hlt
	 */
	uint8_t code[] = {0xbe, 0, 3, 0xe0, 0xfe, 0xc7, 6, 0, 0x45, 0x0c, 0, 0xc7, 6, 8, 0x46, 0x0c,
			  0, 0xa1, 0, 0x30, 0, 0, 0x83, 0xf8, others, 0x75, 0xf6, 0xe6, 0xe1, 0xf4};
	/* 16 bits: lock inc dword [0x3000]; cli; l: hlt; jmp l */
	static const uint8_t other[] = {0xf0, 0x66, 0xff, 6, 0, 0x30, 0xfa, 0xf4, 0xeb, 0xfd};
	struct seen s;
	struct vm *vm = guest_machine(keys, &s);
	uint32_t n = 0;

	require(mem_write(&vm->mem, 0x8000, other, sizeof(other)));
	check_int(run(vm, code, sizeof(code), &(struct vcpu_entry){ENTRY_FLAT32, .rip = 0x1000}),
		  ==, VM_END_POWEROFF);
	check(mem_read(&vm->mem, 0x3000, &n, sizeof(n)) && n == others);
	vm_free(vm);
}

TEST(two_processors)
{
	wake_all("memory.size=2M cpus=2", 1);
}

TEST(four_processors_of_two_sockets)
{
	wake_all("memory.size=2M cpus=4 sockets=2 cores=2", 3);
}

TEST(the_reset_port_ends_the_machine)
{
	/* mov dx,0xcf9; mov al,6; out dx,al; l: jmp l */
	static const uint8_t code[] = {0xba, 0xf9, 0x0c, 0xb0, 6, 0xee, 0xeb, 0xfe};
	struct seen s;
	struct vm *vm = guest_machine("memory.size=2M", &s);

	check_int(run(vm, code, sizeof(code), &(struct vcpu_entry){ENTRY_REAL, .rip = 0x1000}), ==,
		  VM_END_REBOOT);
	vm_free(vm);
}
