/*
 * Keyboard controller with a PS/2 keyboard and a three-button wheel mouse.
 *
 * Only a machine with a screen (fbuf) has one, or one that asks for it with
 * lpc.ps2: a guest without it does not spend exits on looking for keys.  The
 * keyboard speaks set 2, which the controller translates to set 1 unless the
 * guest turns that off.  Both devices have a queue of bytes; the controller
 * shows the guest one byte at a time.
 */
#include <linux/input-event-codes.h>

#include "vmm/device.h"
#include "vmm/display/display.h"
#include "vmm/isa/isa.h"

enum { STATUS_FULL = 0x01, STATUS_SYSTEM = 0x04, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20 };
enum {
	CONFIG_IRQ1 = 0x01, CONFIG_IRQ12 = 0x02, CONFIG_KBD_OFF = 0x10, CONFIG_AUX_OFF = 0x20,
	CONFIG_TRANSLATE = 0x40
};
enum { ACK = 0xfa, RESEND = 0xfe, SELF_TEST_OK = 0xaa };
#define QUEUE 64

struct ps2 {
	uint8_t queue[QUEUE];
	unsigned head, n;
	uint8_t expect; /* the command whose argument comes next; 0: none */
	bool on;	/* reports what happens */
};

struct i8042 {
	struct isa_dev isa; /* its pin: the keyboard's */
	struct irq_pin aux_pin;
	struct input_sink sink;
	uint8_t config, command; /* command: of the controller, that wants a byte */
	bool full, from_aux;	 /* the output buffer */
	uint8_t out;
	struct ps2 kbd, aux;
	uint8_t leds, set, sample_rate, resolution, rates[3]; /* rates: what unlocks the wheel */
	bool wheel, remote;
	unsigned x, y, buttons;
};

/* ---- queues and the output buffer ---- */

static bool
push(struct ps2 *p, const uint8_t *bytes, unsigned n)
{
	/* All or nothing: half a packet would leave the guest out of step. */
	if (n > QUEUE - p->n)
		return false;
	for (unsigned i = 0; i < n; i++)
		p->queue[(p->head + p->n++) % QUEUE] = bytes[i];
	return true;
}

static void
push1(struct ps2 *p, uint8_t byte)
{
	push(p, &byte, 1);
}

static void
fill_output(struct i8042 *k)
{
	struct ps2 *from = NULL;

	if (!k->full) {
		if (k->kbd.n && !(k->config & CONFIG_KBD_OFF))
			from = &k->kbd;
		else if (k->aux.n && !(k->config & CONFIG_AUX_OFF))
			from = &k->aux;
	}
	if (from) {
		k->out = from->queue[from->head];
		from->head = (from->head + 1) % QUEUE;
		from->n--;
		k->full = true;
		k->from_aux = from == &k->aux;
	}
	irq_pin_set(&k->isa.pin, k->full && !k->from_aux && (k->config & CONFIG_IRQ1));
	irq_pin_set(&k->aux_pin, k->full && k->from_aux && (k->config & CONFIG_IRQ12));
}

/* An answer of the controller itself. */
static void
answer(struct i8042 *k, uint8_t byte)
{
	k->out = byte;
	k->full = true;
	k->from_aux = false;
}

/* ---- keyboard ---- */

static void
keyboard_defaults(struct i8042 *k)
{
	k->set = 2;
	k->leds = 0;
}

static void
keyboard_argument(struct i8042 *k, uint8_t command, uint8_t byte)
{
	push1(&k->kbd, ACK);
	if (command == 0xed)
		k->leds = byte;
	else if (command == 0xf0 && byte == 0)
		push1(&k->kbd, k->config & CONFIG_TRANSLATE && k->set == 2 ? 0x41 : k->set);
	else if (command == 0xf0 && (byte == 1 || byte == 2))
		k->set = byte;
}

static void
keyboard_command(struct i8042 *k, uint8_t byte)
{
	struct ps2 *p = &k->kbd;

	switch (byte) {
	case 0xed: /* LEDs */
	case 0xf0: /* scan code set */
	case 0xf3: /* repetition */
		p->expect = byte;
		push1(p, ACK);
		return;
	case 0xee: /* echo */
		push1(p, 0xee);
		return;
	case 0xf2: /* who are you */
		push(p, (const uint8_t[]){ACK, 0xab, k->config & CONFIG_TRANSLATE ? 0x41 : 0x83}, 3);
		return;
	}
	push1(p, RESEND);
}

static void
on_key(void *arg, unsigned key, bool down)
{
	struct i8042 *k = arg;
	unsigned code, n = 0;
	uint8_t bytes[3];

	scoped_lock(&k->isa.lock);
	if (k->set == 1 || (k->config & CONFIG_TRANSLATE)) {
		code = key_to_set1(key);
		if (code & 0x80)
			bytes[n++] = 0xe0;
		bytes[n++] = (uint8_t)((code & 0x7f) | (down ? 0 : 0x80));
	} else {
		code = key_to_set2(key);
		if (code & 0x100)
			bytes[n++] = 0xe0;
		if (!down)
			bytes[n++] = 0xf0;
		bytes[n++] = (uint8_t)code;
	}
	if (code && k->kbd.on)
		push(&k->kbd, bytes, n);
	fill_output(k);
}

/* ---- mouse ---- */

static void
mouse_defaults(struct i8042 *k)
{
	k->aux.on = false;
	k->sample_rate = 100;
	k->resolution = 2;
	k->remote = false;
}

static int
step(int *left)
{
	int v = *left < -255 ? -255 : *left > 255 ? 255 : *left;

	*left -= v;
	return v;
}

/* One movement; long ones take several packets. */
static void
mouse_packets(struct i8042 *k, int dx, int dy, int dz)
{
	do {
		int x = step(&dx), y = step(&dy);
		uint8_t p[4] = {(uint8_t)(8 | (k->buttons & 1) | (k->buttons & 4) >> 1 |
					  (k->buttons & 2) << 1 | (x < 0) << 4 | (y < 0) << 5),
				(uint8_t)x, (uint8_t)y, (uint8_t)dz};

		if (!push(&k->aux, p, k->wheel ? 4 : 3))
			return;
		dz = 0;
	} while (dx || dy);
}

static void
mouse_argument(struct i8042 *k, uint8_t command, uint8_t byte)
{
	if (command == 0xe8)
		k->resolution = byte & 3;
	if (command == 0xf3) {
		k->sample_rate = byte;
		k->rates[0] = k->rates[1];
		k->rates[1] = k->rates[2];
		k->rates[2] = byte;
		if (memcmp(k->rates, (const uint8_t[]){200, 100, 80}, 3) == 0)
			k->wheel = true;
	}
	push1(&k->aux, ACK);
}

static void
mouse_command(struct i8042 *k, uint8_t byte)
{
	struct ps2 *p = &k->aux;

	switch (byte) {
	case 0xe9: /* status */
		push(p, (const uint8_t[]){ACK, (uint8_t)(p->on << 5), k->resolution, k->sample_rate},
		     4);
		return;
	case 0xf2: /* who are you */
		push(p, (const uint8_t[]){ACK, k->wheel ? 3 : 0}, 2);
		return;
	case 0xe8: /* resolution */
	case 0xf3: /* sample rate */
		p->expect = byte;
		break;
	case 0xe6: case 0xe7: /* scaling */
	case 0xeb:	      /* read now */
		break;
	case 0xea: /* stream mode, remote mode */
	case 0xf0:
		k->remote = byte == 0xf0;
		break;
	default:
		push1(p, RESEND);
		return;
	}
	push1(p, ACK);
	if (byte == 0xeb)
		mouse_packets(k, 0, 0, 0);
}

/* A screen's worth of POINTER_MAX is about a thousand steps of a mouse. */
static void
on_pointer(void *arg, unsigned x, unsigned y, unsigned buttons)
{
	struct i8042 *k = arg;
	int dx, dy;

	scoped_lock(&k->isa.lock);
	dx = (int)(x / 32) - (int)k->x;
	dy = (int)k->y - (int)(y / 32); /* up is positive */
	k->x = x / 32;
	k->y = y / 32;
	k->buttons = buttons;
	if (k->aux.on && !k->remote)
		mouse_packets(k, dx, dy, buttons & WHEEL_UP ? -1 : buttons & WHEEL_DOWN ? 1 : 0);
	fill_output(k);
}

/* ---- what both understand ---- */

static void
device_write(struct i8042 *k, struct ps2 *p, uint8_t byte)
{
	bool mouse = p == &k->aux, reset = byte == 0xff;
	uint8_t command = p->expect;

	p->expect = 0;
	if (command) {
		(mouse ? mouse_argument : keyboard_argument)(k, command, byte);
		return;
	}
	if (!reset && (byte < 0xf4 || byte > 0xf6)) {
		(mouse ? mouse_command : keyboard_command)(k, byte);
		return;
	}
	if (reset)
		*p = (struct ps2){0};
	if (reset || byte == 0xf6 || (byte == 0xf5 && !mouse))
		(mouse ? mouse_defaults : keyboard_defaults)(k);
	if (byte == 0xf4 || byte == 0xf5)
		p->on = byte == 0xf4;
	push1(p, ACK);
	if (!reset)
		return;
	push(p, (const uint8_t[]){SELF_TEST_OK, 0}, mouse ? 2 : 1);
	p->on = !mouse;
	k->wheel = k->wheel && !mouse;
}

/* ---- the controller ---- */

/* What a command does to the configuration byte, and what it answers. */
static const struct {
	uint8_t command, set, clear;
	int answer; /* -1: nothing */
} controller_commands[] = {
	{0xa7, CONFIG_AUX_OFF, 0, -1}, {0xa8, 0, CONFIG_AUX_OFF, -1},
	{0xad, CONFIG_KBD_OFF, 0, -1}, {0xae, 0, CONFIG_KBD_OFF, -1},
	{0xa9, 0, 0, 0}, {0xab, 0, 0, 0}, /* tests of the ports: fine */
	{0xaa, 0, 0, 0x55},		  /* test of the controller */
	{0xd0, 0, 0, 0x03},		  /* output port: A20 on, not in reset */
};

/* What needs a byte more: configuration, output port, as if from keyboard or mouse, to the mouse. */
static const uint8_t with_argument[] = {0x60, 0xd1, 0xd2, 0xd3, 0xd4};

static void
controller_command(struct i8042 *k, uint8_t byte)
{
	k->command = memchr(with_argument, byte, sizeof(with_argument)) ? byte : 0;
	if (byte == 0x20)
		answer(k, k->config);
	for (size_t i = 0; i < ARRAY_SIZE(controller_commands); i++) {
		if (controller_commands[i].command != byte)
			continue;
		k->config |= controller_commands[i].set;
		k->config &= (uint8_t)~controller_commands[i].clear;
		if (controller_commands[i].answer >= 0)
			answer(k, (uint8_t)controller_commands[i].answer);
	}
	/* 0xf0 to 0xff pulse lines; line 0 is the reset. */
	if (byte >= 0xf0 && !(byte & 1))
		vm_end(k->isa.vm, VM_END_REBOOT, NULL);
}

static void
controller_argument(struct i8042 *k, uint8_t command, uint8_t byte)
{
	switch (command) {
	case 0x60:
		k->config = byte;
		return;
	case 0xd1:
		if (!(byte & 1))
			vm_end(k->isa.vm, VM_END_REBOOT, NULL);
		return;
	case 0xd2:
	case 0xd3:
		answer(k, byte);
		k->from_aux = command == 0xd3;
		return;
	case 0xd4:
		k->config &= (uint8_t)~CONFIG_AUX_OFF;
		device_write(k, &k->aux, byte);
		return;
	}
}

static uint64_t
data_read(void *arg, uint64_t offset, unsigned size)
{
	struct i8042 *k = arg;
	uint8_t v;

	scoped_lock(&k->isa.lock);
	v = k->out;
	k->full = false;
	/* Lines go down between two bytes: these interrupts are edges. */
	irq_pin_set(&k->isa.pin, false);
	irq_pin_set(&k->aux_pin, false);
	fill_output(k);
	return v;
}

static void
data_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *k = arg;
	uint8_t command;

	scoped_lock(&k->isa.lock);
	command = k->command;
	k->command = 0;
	if (command) {
		controller_argument(k, command, (uint8_t)value);
	} else {
		k->config &= (uint8_t)~CONFIG_KBD_OFF;
		device_write(k, &k->kbd, (uint8_t)value);
	}
	fill_output(k);
}

static uint64_t
command_read(void *arg, uint64_t offset, unsigned size)
{
	struct i8042 *k = arg;

	scoped_lock(&k->isa.lock);
	return STATUS_SYSTEM | STATUS_UNLOCKED | (k->full ? STATUS_FULL : 0) |
	       (k->full && k->from_aux ? STATUS_AUX : 0);
}

static void
command_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *k = arg;

	scoped_lock(&k->isa.lock);
	controller_command(k, (uint8_t)value);
	fill_output(k);
}

/* ---- setting up ---- */

/* pci.B.S.F.device */
static bool
has_screen(struct config *branch, unsigned depth)
{
	if (depth == 3)
		return str_eq(config_get(branch, "device", NULL), "fbuf");
	for (struct config *n = NULL; branch && (n = config_next(branch, n));) {
		if (config_is_branch(n) && has_screen(n, depth + 1))
			return true;
	}
	return false;
}

bool
i8042_present(struct vm *vm)
{
	bool asked = false;

	/* A malformed lpc.ps2 was refused when the device was to be made. */
	(void)config_bool(vm->config, "lpc.ps2", false, &asked, NULL);
	return asked || has_screen(config_find(vm->config, "pci"), 0);
}

static bool
i8042_ready(void *arg)
{
	return true; /* there is nothing below it */
}

static void
i8042_state(void *arg, struct state *s)
{
	struct i8042 *k = arg;

	for (struct ps2 *p = &k->kbd; p; p = p == &k->kbd ? &k->aux : NULL) {
		STATE(s, p->queue, p->head, p->n, p->expect, p->on);
		state_require(s, p->head < QUEUE && p->n <= QUEUE, "a queue");
	}
	STATE(s, k->config, k->command, k->full, k->from_aux, k->out, k->leds, k->set,
	      k->sample_rate, k->resolution, k->rates, k->wheel, k->remote);
	if (state_loading(s))
		fill_output(k);
}

static int
i8042_create(struct vm *vm, struct error *err)
{
	struct i8042 *k;
	bool ignored;
	int r = config_bool(vm->config, "lpc.ps2", false, &ignored, err);

	if (r < 0 || !i8042_present(vm))
		return r;
	k = isa_new(vm, "i8042", sizeof(*k), i8042_state, NULL);
	k->config = CONFIG_TRANSLATE | CONFIG_KBD_OFF | CONFIG_AUX_OFF;
	keyboard_defaults(k);
	mouse_defaults(k);
	k->kbd.on = true;
	k->isa.pin.gsi = 1;
	k->aux_pin = (struct irq_pin){.irqs = &vm->irqs, .gsi = 12};
	isa_add_range(k, &vm->pio, 0x60, 1, data_read, data_write);
	isa_add_range(k, &vm->pio, 0x64, 1, command_read, command_write);
	k->sink = (struct input_sink){.ready = i8042_ready, .key = on_key, .pointer = on_pointer,
				      .arg = k};
	display_add_sink(display_of(vm), &k->sink);
	return 0;
}

static void
i8042_asl(struct vm *vm, struct strbuf *b)
{
	if (i8042_present(vm))
		strbuf_adds(b, "Device(KBD_) { Name(_HID, EisaId(\"PNP0303\"))"
			    "Name(_CRS, ResourceTemplate() { IO(Decode16, 0x60, 0x60, 1, 1)"
			    "IO(Decode16, 0x64, 0x64, 1, 1) IRQNoFlags() {1} }) }"
			    "Device(MOU_) { Name(_HID, EisaId(\"PNP0F13\"))"
			    "Name(_CRS, ResourceTemplate() { IRQNoFlags() {12} }) }");
}

const struct isa_class isa_class_i8042 = {
	.name = "i8042", .create = i8042_create, .asl = i8042_asl};
