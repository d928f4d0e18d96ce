/* A HID tablet (HID 1.11): what lets a VNC client's pointer and the guest's be the same. */

#include "vmm/device.h"
#include "vmm/display/display.h"
#include "vmm/usb/usb.h"

#define QUEUE 16

struct report {
	uint8_t buttons;
	uint16_t x, y;
	int8_t wheel;
} __attribute__((packed));

struct tablet {
	struct usb_device usb;
	struct input_sink sink;
	pthread_mutex_t lock; /* reports: the controller takes, the main thread puts */
	struct report queue[QUEUE], last;
	unsigned head, n;
	uint8_t configuration, idle, protocol;
};

static const uint8_t device_descriptor[] = {
	18, 1, 0x00, 2, 0, 0, 0, 64, /* USB 2.0, 64 bytes on endpoint 0 */
	0x36, 0x1b, 0x01, 0, 0, 1, 1, 2, 3, 1};

static const uint8_t qualifier[] = {10, 6, 0x00, 2, 0, 0, 0, 64, 1, 0};

static const uint8_t report_descriptor[] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, /* a mouse, of a pointer: */
	0x05, 0x09, 0x19, 0x01, 0x29, 0x03, 0x15, 0x00, 0x25, 0x01, /* three buttons */
	0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01,
	0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, /* X and Y, absolute */
	0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
	0x05, 0x01, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00, /* a wheel */
	0x75, 0x08, 0x95, 0x01, 0x81, 0x06, 0xc0, 0xc0};

static const uint8_t config_descriptor[] = {
	9, 2, 34, 0, 1, 1, 0, 0xa0, 50,			      /* one interface */
	9, 4, 0, 0, 1, 3, 0, 2, 0,			      /* HID, mouse */
	9, 0x21, 0x11, 1, 0, 1, 0x22, sizeof(report_descriptor), 0,
	7, 5, 0x81, 3, 8, 0, 6};			      /* interrupt in, every 4 ms */

static const char *const strings[] = {"", "Atoll", "Tablet", "1"};

static int
give(const struct usb_setup *s, uint8_t *data, const void *from, size_t len)
{
	size_t n = len < s->length ? len : s->length;

	memcpy(data, from, n);
	return (int)n;
}

static int
get_string(const struct usb_setup *s, uint8_t *data, unsigned n)
{
	uint8_t b[64] = {4, 3, 0x09, 0x04}; /* the languages: American English */

	if (n >= ARRAY_SIZE(strings))
		return -1;
	if (n) {
		b[0] = (uint8_t)(2 + 2 * strlen(strings[n]));
		for (size_t i = 0; strings[n][i]; i++) {
			b[2 + 2 * i] = (uint8_t)strings[n][i];
			b[3 + 2 * i] = 0;
		}
	}
	return give(s, data, b, b[0]);
}

static int
get_descriptor(const struct usb_setup *s, uint8_t *data)
{
	switch (s->value >> 8) {
	case 1:
		return give(s, data, device_descriptor, sizeof(device_descriptor));
	case 2:
		return give(s, data, config_descriptor, sizeof(config_descriptor));
	case 3:
		return get_string(s, data, s->value & 0xff);
	case 6:
		return give(s, data, qualifier, sizeof(qualifier));
	case 0x21:
		return give(s, data, config_descriptor + 18, 9);
	case 0x22:
		return give(s, data, report_descriptor, sizeof(report_descriptor));
	}
	return -1;
}

static int
give_report(struct tablet *t, const struct usb_setup *s, uint8_t *data)
{
	scoped_lock(&t->lock);
	return give(s, data, &t->last, sizeof(t->last));
}

#define REQUEST(type, request) ((type) << 8 | (request))

static int
tablet_control(struct usb_device *d, const struct usb_setup *s, uint8_t *data)
{
	struct tablet *t = (struct tablet *)d;

	switch (REQUEST(s->request_type, s->request)) {
	case REQUEST(0x80, 6): /* GET_DESCRIPTOR, of the device and the interface */
	case REQUEST(0x81, 6):
		return get_descriptor(s, data);
	case REQUEST(0x80, 8):
		return give(s, data, &t->configuration, 1);
	case REQUEST(0x00, 9):
		t->configuration = s->value & 0xff;
		return 0;
	case REQUEST(0x80, 0): /* GET_STATUS */
	case REQUEST(0x81, 0):
	case REQUEST(0x82, 0):
		return give(s, data, "\0\0", 2);
	case REQUEST(0x81, 10): /* GET_INTERFACE */
		return give(s, data, "\0", 1);
	case REQUEST(0x00, 1): case REQUEST(0x00, 3): case REQUEST(0x00, 5): /* features, SET_ADDRESS */
	case REQUEST(0x01, 11): case REQUEST(0x02, 1): case REQUEST(0x02, 3): /* SET_INTERFACE */
		return 0;
	case REQUEST(0xa1, 1): /* HID's: GET_REPORT, and idle and protocol both ways */
		return give_report(t, s, data);
	case REQUEST(0xa1, 2):
		return give(s, data, &t->idle, 1);
	case REQUEST(0xa1, 3):
		return give(s, data, &t->protocol, 1);
	case REQUEST(0x21, 10):
		t->idle = (uint8_t)(s->value >> 8);
		return 0;
	case REQUEST(0x21, 11):
		t->protocol = s->value & 1;
		return 0;
	}
	return -1;
}

static int
tablet_in(struct usb_device *d, unsigned endpoint, uint8_t *data, size_t room)
{
	struct tablet *t = (struct tablet *)d;
	int len = 0;

	if (endpoint != 1)
		return -1;
	scoped_lock(&t->lock);
	if (t->n && room >= sizeof(t->last)) {
		memcpy(data, &t->queue[t->head], sizeof(t->last));
		t->head = (t->head + 1) % QUEUE;
		t->n--;
		len = sizeof(t->last);
	}
	return len;
}

static void
tablet_reset(struct usb_device *d)
{
	struct tablet *t = (struct tablet *)d;

	scoped_lock(&t->lock);
	t->n = 0;
	t->configuration = t->idle = 0;
	t->protocol = 1;
}

static bool
tablet_ready(void *arg)
{
	return ((struct tablet *)arg)->configuration != 0;
}

static void
on_pointer(void *arg, unsigned x, unsigned y, unsigned buttons)
{
	struct tablet *t = arg;
	struct report r = {
		.buttons = (uint8_t)((buttons & BUTTON_LEFT) | (buttons & BUTTON_RIGHT) >> 1 |
				     (buttons & BUTTON_MIDDLE) << 1),
		.x = (uint16_t)x,
		.y = (uint16_t)y,
		.wheel = buttons & WHEEL_UP ? 1 : buttons & WHEEL_DOWN ? -1 : 0,
	};
	struct report *newest;

	pthread_mutex_lock(&t->lock);
	newest = &t->queue[(t->head + t->n + QUEUE - 1) % QUEUE];
	/* A movement the guest has not seen is replaced by the next; a click is kept. */
	if (t->n && newest->buttons == r.buttons && !newest->wheel && !r.wheel)
		*newest = r;
	else if (t->n < QUEUE)
		t->queue[(t->head + t->n++) % QUEUE] = r;
	t->last = r;
	pthread_mutex_unlock(&t->lock);
	t->usb.wake(t->usb.host);
}

static void
tablet_state(struct usb_device *d, struct state *s)
{
	struct tablet *t = (struct tablet *)d;

	STATE(s, t->queue, t->head, t->n, t->last, t->configuration, t->idle, t->protocol);
	state_require(s, t->head < QUEUE && t->n <= QUEUE, "the tablet's queue");
}

static void
tablet_free(struct usb_device *d)
{
	struct tablet *t = (struct tablet *)d;

	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct usb_ops ops = {
	.name = "tablet",
	.control = tablet_control,
	.in = tablet_in,
	.reset = tablet_reset,
	.state = tablet_state,
	.free = tablet_free,
};

struct usb_device *
usb_tablet_new(struct vm *vm)
{
	struct tablet *t = xcalloc(1, sizeof(*t));

	t->usb.ops = &ops;
	t->protocol = 1;
	pthread_mutex_init(&t->lock, NULL);
	t->sink = (struct input_sink){.priority = 10, .ready = tablet_ready,
				      .pointer = on_pointer, .arg = t};
	display_add_sink(display_of(vm), &t->sink);
	return &t->usb;
}
