/* Devices come and go; the guest's side are the three registers and the event. */
#include <stdio.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/fixture_test.h"
#include "vmm/isa/hotplug.h"
#include "vmm/isa/isa.h"

#define UP 0xae00
#define DOWN 0xae04
#define EJECT 0xae08
#define SLOT5 (1U << 5)

static uint64_t
in(struct vm *vm, uint16_t port)
{
	uint64_t v;

	bus_read(&vm->pio, port, 4, &v);
	return v;
}

TEST(a_device_comes_and_goes)
{
	struct machine m = machine("pci.hotplug=true");
	cleanup_error struct error err = ERROR_INIT;

	for (int i = 0; i < 3; i++) {
		bus_write(&m.vm->pio, PM_GPE0 + 2, 2, 2);
		check_ok(hotplug_add(m.vm, "5,virtio-rnd", &err), &err);
		check(pci_find(m.vm, 0, 5, 0));
		/* The event, until it is acknowledged; the bit, until it is read. */
		check_int(m.vm->irqs.asserted[PM_SCI], ==, 1);
		check_int(in(m.vm, PM_GPE0) & 0xffff, ==, 2);
		bus_write(&m.vm->pio, PM_GPE0, 2, 2);
		check_int(m.vm->irqs.asserted[PM_SCI], ==, 0);
		check_int(in(m.vm, UP), ==, SLOT5);
		check_int(in(m.vm, UP), ==, 0);
		check_ok(hotplug_remove(m.vm, "0:5:0", &err), &err);
		/* It stays until the guest lets go. */
		check(pci_find(m.vm, 0, 5, 0));
		check_int(in(m.vm, DOWN), ==, SLOT5);
		bus_write(&m.vm->pio, EJECT, 4, SLOT5);
		check(event_step(m.loop, 1000) >= 0);
		check(!pci_find(m.vm, 0, 5, 0));
		check(!config_find(m.config, "pci.0.5.0"));
	}
	drop(&m);
}

TEST(what_cannot_come_or_go_says_why)
{
	struct machine m = machine("pci.hotplug=true"), without = machine("pci.hotplug=false");
	static const struct {
		const char *add, *remove, *message;
	} rows[] = {
		{"5", NULL, "-s 5: expected"},
		{"0,virtio-rnd", NULL, "expected SLOT,device"},
		{"31,virtio-rnd", NULL, "expected SLOT,device"},
		{"1:5,virtio-rnd", NULL, "expected SLOT,device"},
		{"5:1,virtio-rnd", NULL, "expected SLOT,device"},
		{"5,nosuch", NULL, "nosuch"},
		{"5,lpc", NULL, "lpc cannot be added"},
		{"5,virtio-blk,/nowhere/disk", NULL, "/nowhere/disk"},
		{NULL, "5", "no device at 5"},
		{NULL, "x", "expected [bus:]slot"},
		{NULL, "31", "lpc 31 cannot be removed"},
		{NULL, "0", "hostbridge 0 cannot be removed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		int r = rows[i].add ? hotplug_add(m.vm, rows[i].add, &err)
				    : hotplug_remove(m.vm, rows[i].remove, &err);

		check(r < 0);
		check_has(error_message(&err), rows[i].message);
		check(!pci_find(m.vm, 0, 5, 0));
		check(!config_find(m.config, "pci.0.5.0"));
	}

	cleanup_error struct error err = ERROR_INIT;

	check_int(hotplug_add(without.vm, "5,virtio-rnd", &err), ==, -ENOTSUP);
	check_has(error_message(&err), "pci.hotplug is not set");
	drop(&m);
	drop(&without);
}

/* A guest that ejects what it was not asked for takes away its own disk, and nothing else. */
TEST(a_guest_ejects_what_it_likes)
{
	struct machine m = machine("pci.hotplug=true");

	check(hotplug_add(m.vm, "5,virtio-rnd", NULL) == 0);
	bus_write(&m.vm->pio, EJECT, 4, 0xffffffff);
	check(event_step(m.loop, 1000) >= 0);
	check(!pci_find(m.vm, 0, 5, 0));
	check(pci_find(m.vm, 0, 0, 0));
	check(pci_find(m.vm, 0, 31, 0));
	drop(&m);
}
