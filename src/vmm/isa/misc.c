/*
 * Ports a PC has and guests touch without expecting much: the fast A20 gate
 * and reset (0x92), the POST code (0x80), the APM control port (0xb2), and
 * the debug console of firmware (0x402).
 */
#include <stdlib.h>

#include "vmm/backend/chardev.h"
#include "vmm/isa/isa.h"
#include "vmm/vm.h"

#define PORT92_RESET 1
#define PORT92_A20 2

struct misc {
	struct vm *vm;
	struct bus_range port92, apm, debugcon;
	struct chardev *console;
};

static uint64_t
port92_read(void *arg, uint64_t offset, unsigned size)
{
	return PORT92_A20;
}

static void
port92_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct misc *m = arg;

	if (value & PORT92_RESET)
		vm_end(m->vm, VM_END_REBOOT, NULL);
}

static uint64_t
apm_read(void *arg, uint64_t offset, unsigned size)
{
	return 0;
}

/* 0xe9 says: there is a console here. */
static uint64_t
debugcon_read(void *arg, uint64_t offset, unsigned size)
{
	return 0xe9;
}

static void
debugcon_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct misc *m = arg;
	uint8_t c = (uint8_t)value;

	(void)chardev_write(m->console, &c, 1); /* what a slow reader misses is lost */
}

static void
misc_free(void *arg)
{
	struct misc *m = arg;

	bus_remove(&m->vm->pio, &m->port92);
	bus_remove(&m->vm->pio, &m->apm);
	bus_remove(&m->vm->pio, &m->debugcon);
	chardev_free(m->console);
	free(m);
}

static int
misc_create(struct vm *vm, struct error *err)
{
	struct misc *m = xcalloc(1, sizeof(*m));
	const char *console = config_get(vm->config, "lpc.debugcon.path", NULL);

	m->vm = vm;
	vm_add_part(vm, &(struct vm_part){.name = "misc", .free = misc_free, .arg = m});
	m->port92 = (struct bus_range){.base = 0x92, .size = 1, .read = port92_read,
				       .write = port92_write, .dev = m};
	m->apm = (struct bus_range){.base = 0xb2, .size = 2, .read = apm_read, .dev = m};
	bus_add(&vm->pio, &m->port92);
	bus_add(&vm->pio, &m->apm);
	if (!console)
		return 0;
	m->debugcon = (struct bus_range){.base = 0x402, .size = 1, .read = debugcon_read,
					 .write = debugcon_write, .dev = m};
	bus_add(&vm->pio, &m->debugcon);
	return chardev_open(vm->loop, console, &(struct chardev_user){0}, &m->console, err);
}

const struct isa_class isa_class_misc = {.name = "misc", .create = misc_create};
