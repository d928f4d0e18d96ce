/*
 * virtio input: a keyboard or a tablet for the display's events, which have
 * evdev's codes already.  Queue 0 takes events to the guest, queue 1 brings
 * back LEDs, which nobody looks at.
 */
#include <linux/input-event-codes.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>

#include "vmm/display/display.h"
#include "vmm/virtio/virtio.h"

#define QUEUE_SIZE 64
#define PCI_CLASS_INPUT 0x090000
enum { Q_EVENT, Q_STATUS };

struct vinput {
	struct virtio v;
	struct input_sink sink;
	bool tablet;
	unsigned buttons;
	struct virtq_buf buf;
};

static const struct {
	unsigned mask;
	uint16_t code;
} buttons[] = {{BUTTON_LEFT, BTN_LEFT}, {BUTTON_MIDDLE, BTN_MIDDLE}, {BUTTON_RIGHT, BTN_RIGHT}};

/* ---- what it is ---- */

static unsigned
set_bit(uint8_t *map, unsigned n)
{
	map[n / 8] |= (uint8_t)(1 << n % 8);
	return n / 8 + 1;
}

/* Bytes of the map of codes of one kind of event; 0: it has none. */
static unsigned
event_bits(const struct vinput *in, unsigned kind, uint8_t map[128])
{
	unsigned size = 0;

	if (kind == EV_KEY && in->tablet) {
		for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
			size = set_bit(map, buttons[i].code);
		size = set_bit(map, BTN_MIDDLE);
	} else if (kind == EV_KEY) {
		for (unsigned n = 1; n < 256; n++)
			size = key_to_set1(n) ? set_bit(map, n) : size;
	} else if (kind == EV_ABS && in->tablet) {
		set_bit(map, ABS_X);
		size = set_bit(map, ABS_Y);
	} else if (kind == EV_REL && in->tablet) {
		size = set_bit(map, REL_WHEEL);
	} else if (kind == EV_REP && !in->tablet) {
		size = set_bit(map, REP_DELAY);
	}
	return size;
}

/* The driver chose what to look at: the answer stands behind the choice. */
static void
vinput_cfg_written(struct virtio *v, unsigned offset, unsigned size)
{
	struct vinput *in = (struct vinput *)v;
	struct virtio_input_config c = {.select = v->cfg[0], .subsel = v->cfg[1]};
	const char *name = in->tablet ? "Atoll tablet" : "Atoll keyboard";

	switch (c.select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
		c.size = (uint8_t)strlen(name);
		memcpy(c.u.string, name, c.size);
		break;
	case VIRTIO_INPUT_CFG_ID_DEVIDS:
		c.size = sizeof(c.u.ids);
		c.u.ids = (struct virtio_input_devids){.bustype = 6, .vendor = PCI_VENDOR_REDHAT,
						       .product = in->tablet ? 2 : 1, .version = 1};
		break;
	case VIRTIO_INPUT_CFG_EV_BITS:
		c.size = (uint8_t)event_bits(in, c.subsel, c.u.bitmap);
		break;
	case VIRTIO_INPUT_CFG_ABS_INFO:
		if (in->tablet && (c.subsel == ABS_X || c.subsel == ABS_Y)) {
			c.size = sizeof(c.u.abs);
			c.u.abs.max = POINTER_MAX;
		}
		break;
	}
	memcpy(v->cfg, &c, sizeof(c));
}

/* ---- events ---- */

struct batch {
	struct virtio_input_event e[8];
	unsigned n;
};

static void
add(struct batch *b, uint16_t type, uint16_t code, uint32_t value)
{
	b->e[b->n++] = (struct virtio_input_event){type, code, value};
}

/* All or none: a guest that does not make room misses whole movements. */
static void
send_batch(struct vinput *in, struct batch *b)
{
	struct virtq *q = &in->v.queue[Q_EVENT];

	add(b, EV_SYN, SYN_REPORT, 0);
	scoped_lock(&in->v.lock);
	for (unsigned i = 0; in->v.running && i < b->n; i++) {
		if (virtq_pop(q, &in->buf) <= 0)
			break;
		virtq_answer(q, &in->buf, &b->e[i], sizeof(b->e[i]));
	}
	virtio_flush(&in->v, q);
}

static void
on_key(void *arg, unsigned code, bool down)
{
	struct batch b = {0};

	add(&b, EV_KEY, (uint16_t)code, down);
	send_batch(arg, &b);
}

static void
on_pointer(void *arg, unsigned x, unsigned y, unsigned now)
{
	struct vinput *in = arg;
	struct batch b = {0};

	add(&b, EV_ABS, ABS_X, x);
	add(&b, EV_ABS, ABS_Y, y);
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++) {
		if ((now ^ in->buttons) & buttons[i].mask)
			add(&b, EV_KEY, buttons[i].code, !!(now & buttons[i].mask));
	}
	if (now & (WHEEL_UP | WHEEL_DOWN))
		add(&b, EV_REL, REL_WHEEL, now & WHEEL_UP ? 1 : (uint32_t)-1);
	in->buttons = now;
	send_batch(in, &b);
}

static bool
vinput_ready(void *arg)
{
	return ((struct vinput *)arg)->v.running;
}

static void
vinput_notify(struct virtio *v, unsigned queue)
{
	struct vinput *in = (struct vinput *)v;
	struct virtq *q = &v->queue[Q_STATUS];

	if (queue != Q_STATUS)
		return;
	while (virtq_pop(q, &in->buf) > 0)
		virtq_push(q, in->buf.head, 0);
	virtio_flush(v, q);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_INPUT,
	.pci_class = PCI_CLASS_INPUT,
	.notify = vinput_notify,
	.cfg_written = vinput_cfg_written,
	.state = virtio_state_none,
};

static int
vinput_init(struct pci_dev *d, struct config *node, struct error *err)
{
	static const char *const kinds[] = {"keyboard", "tablet", NULL};
	struct vinput *in = (struct vinput *)d;
	unsigned kind;

	TRY(config_enum(node, "kind", kinds, 0, &kind, err));
	in->tablet = kind == 1;
	in->sink = (struct input_sink){.priority = 20, .ready = vinput_ready,
				       .key = in->tablet ? NULL : on_key,
				       .pointer = in->tablet ? on_pointer : NULL, .arg = in};
	TRY(virtio_init(&in->v, &ops, 2, QUEUE_SIZE, 0, sizeof(struct virtio_input_config), err));
	in->v.cfg_writable = 2;
	display_add_sink(display_of(d->vm), &in->sink);
	return 0;
}

static const struct pci_opt opts[] = {
	{"kind", "keyboard|tablet", "which of the two it is (keyboard)"},
	{0},
};

const struct pci_class pci_class_virtio_input = {
	.name = "virtio-input",
	.summary = "keyboard or tablet, for VNC",
	.main_opt = "kind",
	.opts = opts,
	.size = sizeof(struct vinput),
	.init = vinput_init,
	.done = virtio_pci_done,
	VIRTIO_PCI_HOOKS,
};
