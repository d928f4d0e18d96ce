#include "vmm/slot_test.h"

#include "base/test.h"

struct vm *vm;
struct event_loop *loop;
static struct config *config;
static uint64_t base;

void
attach_slot(const char *slot, unsigned bar)
{
	cleanup_error struct error err = ERROR_INIT;

	config = config_new();
	check_ok(pci_parse_slot(config, slot, &err), &err);
	check_ok(event_new(&loop, &err), &err);
	check_ok(vm_new_fake(config, 8 << 20, &vm, &err), &err);
	require(vm);
	vm->loop = loop;
	check_ok(pci_create_all(vm, &err), &err);
	check_ok(pci_assign(vm, true, &err), &err);
	base = pci_find(vm, 0, 4, 0)->bar[bar].addr;
}

void
detach(void)
{
	vm_free(vm);
	event_free(loop);
	config_free(config);
}

uint64_t
get_n(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	require(bus_read(&vm->mmio, base + at, size, &v));
	return v;
}

void
set_n(uint64_t at, unsigned size, uint64_t v)
{
	require(bus_write(&vm->mmio, base + at, size, v));
}

uint32_t
get(uint64_t at)
{
	return (uint32_t)get_n(at, 4);
}

void
set(uint64_t at, uint32_t v)
{
	set_n(at, 4, v);
}
