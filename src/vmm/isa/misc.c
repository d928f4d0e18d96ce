/*
 * Ports a PC has and guests touch without expecting much: the fast A20 gate
 * and reset (0x92), the POST code (0x80), the APM control port (0xb2), and
 * the debug console of firmware (0x402).
 */
#include <stdlib.h>

#include "vmm/backend/chardev.h"
#include "vmm/isa/isa.h"
#include "vmm/vm.h"

enum { PORT92_RESET = 1, PORT92_A20 = 2 };

struct misc {
	struct isa_dev isa;
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
		vm_end(m->isa.vm, VM_END_REBOOT, NULL);
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
misc_done(void *arg)
{
	chardev_free(((struct misc *)arg)->console);
}

static int
misc_create(struct vm *vm, struct error *err)
{
	struct misc *m = isa_new(vm, "misc", sizeof(*m), NULL, misc_done);
	const char *console = config_get(vm->config, "lpc.debugcon.path", NULL);

	isa_add_range(m, &vm->pio, 0x92, 1, port92_read, port92_write);
	isa_add_range(m, &vm->pio, 0xb2, 2, apm_read, NULL);
	if (!console)
		return 0;
	isa_add_range(m, &vm->pio, 0x402, 1, debugcon_read, debugcon_write);
	return chardev_open(vm->loop, console, &(struct chardev_user){0}, &m->console, err);
}

const struct isa_class isa_class_misc = {.name = "misc", .create = misc_create};
