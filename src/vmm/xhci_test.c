/* xHCI and its tablet from the driver's side, on a machine without processors. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/display/display.h"
#include "vmm/slot_test.h"

#define DCBAA 0x10000
#define COMMANDS 0x11000
#define EVENTS 0x12000
#define ERST 0x13000
#define INPUT 0x14000
#define OUTPUT 0x15000
#define EP0 0x16000
#define EP1 0x17000
#define DATA 0x20000
#define EVENT_TRBS 16U

struct trb {
	uint64_t param;
	uint32_t status, control;
};

static unsigned n_commands, n_ep0, n_events;
static bool event_cycle;

static void
put(uint64_t at, uint64_t param, uint32_t status, uint32_t control)
{
	struct trb t = {param, status, control};

	require(mem_write(&vm->mem, at, &t, sizeof(t)));
}

/* The next event, or one of type 0 if there is none. */
static struct trb
event(void)
{
	struct trb t;

	mem_read(&vm->mem, EVENTS + 16 * n_events, &t, sizeof(t));
	if ((t.control & 1) != event_cycle)
		return (struct trb){0};
	if (++n_events == EVENT_TRBS) {
		n_events = 0;
		event_cycle = !event_cycle;
	}
	set_n(0x1038, 8, (EVENTS + 16 * n_events) | 8);
	return t;
}

static unsigned
type(struct trb t)
{
	return t.control >> 10 & 0x3f;
}

static void
attach(void)
{
	struct {
		uint64_t base;
		uint32_t size, reserved;
	} segment = {EVENTS, EVENT_TRBS, 0};

	n_commands = n_ep0 = n_events = 0;
	event_cycle = true;
	attach_slot("4,xhci,tablet", 0);
	check_int(get(0), ==, 0x01000020);
	set_n(0x20, 4, 2);
	check_int(get(0x24) & 1, ==, 1);
	set_n(0x58, 4, 8);
	set_n(0x50, 8, DCBAA);
	set_n(0x38, 8, COMMANDS | 1);
	mem_write(&vm->mem, ERST, &segment, sizeof(segment));
	set_n(0x1028, 4, 1);
	set_n(0x1038, 8, EVENTS | 8);
	set_n(0x1030, 8, ERST);
	set_n(0x1020, 4, 2);
	set_n(0x20, 4, 5);
	check_int(get(0x24) & 1, ==, 0);
	/* The tablet is there. */
	struct trb t = event();
	check_int(type(t), ==, 34);
	check_int(t.param >> 24, ==, 1);
}

/* Completion code; *slot (if not NULL) is the slot it speaks of. */
static unsigned
command(uint64_t param, uint32_t control, unsigned *slot)
{
	struct trb t;

	put(COMMANDS + 16 * n_commands++, param, 0, control | 1);
	set_n(0x2000, 4, 0);
	t = event();
	check_int(type(t), ==, 33);
	check_int(t.param, ==, COMMANDS + 16 * (n_commands - 1));
	if (slot)
		*slot = t.control >> 24;
	return t.status >> 24;
}

/* A control transfer with an IN data stage of len bytes; the event's code. */
static unsigned
control_in(uint64_t setup, unsigned len)
{
	struct trb t;

	put(EP0 + 16 * n_ep0++, setup | (uint64_t)len << 48, 8, 2 << 10 | 0x40 | 1);
	put(EP0 + 16 * n_ep0++, DATA, len, 3 << 10 | 1 << 16 | 1);
	put(EP0 + 16 * n_ep0++, 0, 0, 4 << 10 | 0x20 | 1);
	set_n(0x2004, 4, 1);
	t = event();
	check_int(type(t), ==, 32);
	return t.status >> 24;
}

static void
address(void)
{
	uint32_t flags[2] = {0, 3}, slot[8] = {1 << 27 | 3 << 20, 1 << 16};
	uint32_t ep0[8] = {0, 3 << 1 | 4 << 3 | 64 << 16, EP0 | 1};
	uint64_t output = OUTPUT;
	unsigned id;

	set_n(0x420, 4, 0x210);
	check_int(get(0x420) & 0x200013, ==, 0x200003);
	check_int(type(event()), ==, 34);
	check_int(command(0, 9 << 10, &id), ==, 1);
	check_int(id, ==, 1);
	mem_write(&vm->mem, DCBAA + 8, &output, 8);
	mem_write(&vm->mem, INPUT, flags, sizeof(flags));
	mem_write(&vm->mem, INPUT + 32, slot, sizeof(slot));
	mem_write(&vm->mem, INPUT + 64, ep0, sizeof(ep0));
	check_int(command(INPUT, 11 << 10 | 1 << 24, NULL), ==, 1);
	check_int(*(uint32_t *)mem_ptr(&vm->mem, OUTPUT + 12, 4), ==, 2 << 27 | 1);
}

static void
configure(void)
{
	uint32_t flags[2] = {0, 1 | 1 << 3}, slot[8] = {3U << 27 | 3 << 20, 1 << 16};
	uint32_t ep1[8] = {6 << 16, 3 << 1 | 7 << 3 | 8 << 16, EP1 | 1};

	mem_write(&vm->mem, INPUT, flags, sizeof(flags));
	mem_write(&vm->mem, INPUT + 32, slot, sizeof(slot));
	mem_write(&vm->mem, INPUT + 32 * 4, ep1, sizeof(ep1));
	check_int(command(INPUT, 12 << 10 | 1 << 24, NULL), ==, 1);
	/* SET_CONFIGURATION, without data. */
	put(EP0 + 16 * n_ep0++, 0x00010900, 8, 2 << 10 | 0x40 | 1);
	put(EP0 + 16 * n_ep0++, 0, 0, 4 << 10 | 1 << 16 | 0x20 | 1);
	set_n(0x2004, 4, 1);
	check_int(event().status >> 24, ==, 1);
}

TEST(a_tablet_is_found_and_speaks)
{
	uint8_t b[64];
	struct trb t;

	attach();
	address();
	check_int(control_in(0x01000680, 18), ==, 1);
	mem_read(&vm->mem, DATA, b, 18);
	check_int(b[0], ==, 18);
	check_int(b[7], ==, 64);
	check_int(control_in(0x02000680, 64), ==, 1);
	mem_read(&vm->mem, DATA, b, 34);
	check_int(b[2], ==, 34);
	configure();
	/* Two transfers wait; each movement fills one. */
	put(EP1, DATA, 8, 1 << 10 | 0x20 | 4 | 1);
	put(EP1 + 16, DATA + 64, 8, 1 << 10 | 0x20 | 4 | 1);
	set_n(0x2004, 4, 3);
	check_int(type(event()), ==, 0);
	display_pointer(vm->display, 0x1234, 0x4321, BUTTON_LEFT | WHEEL_DOWN);
	t = event();
	check_int(type(t), ==, 32);
	check_int(t.status, ==, 13U << 24 | 2);
	check_int(t.control >> 16, ==, 1 << 8 | 3);
	mem_read(&vm->mem, DATA, b, 6);
	check(memcmp(b, "\x01\x34\x12\x21\x43\xff", 6) == 0);
	/* With nobody waiting the last movement is kept, and every click. */
	display_pointer(vm->display, 1, 1, 0);
	check_int(type(event()), ==, 32);
	display_pointer(vm->display, 2, 2, 0);
	display_pointer(vm->display, 3, 3, 0);
	put(EP1 + 32, DATA, 8, 1 << 10 | 0x20 | 1);
	set_n(0x2004, 4, 3);
	check_int(type(event()), ==, 32);
	mem_read(&vm->mem, DATA, b, 6);
	check_int(b[1], ==, 3);
	check_int(type(event()), ==, 0);
	detach();
}

TEST(a_stall_halts_until_reset)
{
	attach();
	address();
	check_int(control_in(0x77000680, 8), ==, 6);
	check_int(*(uint32_t *)mem_ptr(&vm->mem, OUTPUT + 32, 4) & 7, ==, 2);
	/* Nothing goes before the endpoint was reset and its ring moved on. */
	set_n(0x2004, 4, 1);
	check_int(type(event()), ==, 0);
	check_int(command(0, 14 << 10 | 1 << 24 | 1 << 16, NULL), ==, 1);
	check_int(command((EP0 + 16 * n_ep0) | 1, 16 << 10 | 1 << 24 | 1 << 16, NULL), ==, 1);
	check_int(control_in(0x01000680, 8), ==, 1);
	/* Commands in the wrong state, on slots and endpoints there are none of. */
	check_int(command(0, 14 << 10 | 1 << 24 | 1 << 16, NULL), ==, 19);
	check_int(command(0, 15 << 10 | 1 << 24 | 9 << 16, NULL), ==, 12);
	check_int(command(0, 10 << 10 | 5 << 24, NULL), ==, 11);
	check_int(command(0, 10 << 10 | 99U << 24, NULL), ==, 11);
	check_int(command(0, 60 << 10 | 1 << 24, NULL), ==, 5);
	check_int(command(0, 10 << 10 | 1 << 24, NULL), ==, 1);
	detach();
}

TEST(rings_that_go_round_keep_nobody_busy)
{
	attach();
	address();
	/* A command ring that is one link to itself; an endpoint's likewise; both outside of memory. */
	put(COMMANDS + 16 * n_commands, COMMANDS + 16 * n_commands, 0, 6 << 10 | 1);
	set_n(0x2000, 4, 0);
	put(EP0 + 16 * n_ep0, EP0 + 16 * n_ep0, 0, 6 << 10 | 1);
	set_n(0x2004, 4, 1);
	check_int(type(event()), ==, 0);
	put(EP0 + 16 * n_ep0, 1ULL << 60, 0, 6 << 10 | 1);
	set_n(0x2004, 4, 1);
	check_int(type(event()), ==, 0);
	/* No-ops without end fill the event ring and stop there. */
	set_n(0x420, 4, 0xfe0200);
	put(COMMANDS, 0, 0, 23 << 10 | 1);
	put(COMMANDS + 16, COMMANDS, 0, 6 << 10 | 1);
	set_n(0x20, 4, 0);
	set_n(0x38, 8, COMMANDS | 1);
	set_n(0x20, 4, 5);
	set_n(0x2000, 4, 0);
	for (unsigned i = 0; i < EVENT_TRBS - 1; i++)
		check_int(type(event()), ==, 33);
	detach();
}

TEST(interrupts_follow_the_events)
{
	struct pci_dev *d;

	attach();
	d = pci_find(vm, 0, 4, 0);
	set_n(0x1020, 4, 3);
	set_n(0x24, 4, 8);
	check(!d->pin.level);
	set_n(0x420, 4, 0x210);
	check(d->pin.level);
	check_int(get(0x24) & 8, ==, 8);
	set_n(0x1020, 4, 3);
	check(!d->pin.level);
	detach();
}
