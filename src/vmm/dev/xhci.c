/*
 * xHCI 1.0 controller: two USB 2 and two USB 3 ports, with a tablet on the first.
 *
 * The driver gives rings of 16-byte TRBs: one of commands, one for each
 * endpoint of each device slot, and one on which we report events.  A
 * doorbell says that there is something new on a ring; it is served in the
 * vcpu that rings it, or in the main thread when a device has news, always
 * under the lock.  A ring is served for a bounded number of TRBs at a time, so
 * that one whose links form a loop keeps nobody busy.
 *
 * Contexts are the driver's memory: the slot's and endpoints' state is kept
 * here and only written there for the driver to read.
 */

#include "vmm/device.h"
#include "vmm/regs.h"
#include "vmm/usb/usb.h"
#include "vmm/usb/xhci.h"

#define SLOTS 8
#define PORTS 4
#define USB2_PORTS 2
#define ENDPOINTS 31
#define BUDGET 256 /* TRBs a doorbell */

struct ring {
	uint64_t at;
	bool cycle;
};

struct endpoint {
	enum { EP_DISABLED, EP_RUNNING, EP_HALTED, EP_STOPPED, EP_ERROR } state;
	unsigned type; /* 4: control, 7: interrupt in */
	struct ring ring;
	struct usb_setup setup; /* of a control transfer */
	bool in_transfer;	/* buf[done..len) is what is left to move */
	bool ended;		/* short: the rest of the transfer moves nothing */
	int len;
	uint32_t done, event_len;
	uint8_t buf[USB_CONTROL_MAX];
};

struct slot {
	bool enabled;
	unsigned state, port; /* of the slot context; port 0: none */
	uint64_t context;
	struct endpoint ep[ENDPOINTS + 1];
};

struct xhci {
	struct pci_dev pci;
	pthread_mutex_t lock;
	struct { /* registers */
		uint32_t cmd, sts, config, iman, imod, erstsz;
		uint64_t crcr, dcbaap, erstba, erdp;
	} r;
	struct ring commands;
	struct {
		uint64_t base;
		uint32_t size, at;
		bool cycle;
	} events;
	uint32_t portsc[PORTS];
	struct usb_device *device[PORTS];
	struct slot slot[SLOTS + 1];
};

static const struct mem *
ram(const struct xhci *x)
{
	return &x->pci.vm->mem;
}

/* ---- events ---- */

static void
interrupt(struct xhci *x)
{
	bool on = (x->r.iman & IMAN_ENABLE) && (x->r.cmd & CMD_INTE) && (x->r.iman & IMAN_PENDING);

	if (!pci_msix_enabled(&x->pci)) {
		pci_irq_level(&x->pci, on);
	} else if (on) {
		x->r.iman &= ~IMAN_PENDING; /* a message takes it along */
		pci_msix_notify(&x->pci, 0);
	}
}

static void
announce(struct xhci *x)
{
	x->r.sts |= STS_EINT;
	if (!(x->r.erdp & ERDP_BUSY)) {
		x->r.erdp |= ERDP_BUSY;
		x->r.iman |= IMAN_PENDING;
	}
	interrupt(x);
}

static void
post(struct xhci *x, uint64_t param, uint32_t status, unsigned type, uint32_t flags)
{
	struct trb t = {param, status, type << 10 | flags};
	uint64_t at = x->events.base + x->events.at * sizeof(t);
	uint32_t next = x->events.size ? (x->events.at + 1) % x->events.size : 0;

	/* No ring, or a full one: the driver has lost its way. */
	if (!(x->r.cmd & CMD_RUN) || !x->events.size ||
	    x->events.base + next * sizeof(t) == (x->r.erdp & ~15ULL))
		return;
	t.control |= x->events.cycle;

	uint32_t *to = mem_ptr(ram(x), at, sizeof(t));

	if (!to)
		return;
	memcpy(to, &t, 12);
	__atomic_store_n(to + 3, t.control, __ATOMIC_RELEASE);
	x->events.at = next;
	if (next == 0)
		x->events.cycle = !x->events.cycle;
	announce(x);
}

static void
load_event_ring(void *dev)
{
	struct xhci *x = dev;
	struct {
		uint64_t base;
		uint32_t size, reserved;
	} segment;

	memset(&x->events, 0, sizeof(x->events));
	if (!mem_read(ram(x), x->r.erstba & ~63ULL, &segment, sizeof(segment)))
		return;
	segment.size &= 0xffff;
	if (segment.base % 64 || segment.size < 16 || segment.size > 4096)
		return;
	x->events.base = segment.base;
	x->events.size = segment.size;
	x->events.cycle = true;
}

/* ---- rings ---- */

/* The next TRB that is ours, links followed; false if there is none. */
static bool
peek(struct xhci *x, struct ring *r, struct trb *t, unsigned *budget)
{
	while (*budget) {
		(*budget)--;
		if (!mem_read(ram(x), r->at, t, sizeof(*t)) || (t->control & TRB_CYCLE) != r->cycle)
			return false;
		if (TRB_TYPE(t->control) != TRB_LINK)
			return true;
		r->at = t->param & ~15ULL;
		if (t->control & TRB_TOGGLE)
			r->cycle = !r->cycle;
	}
	return false;
}

/* ---- contexts ---- */

static void
write_context(struct xhci *x, struct slot *s, unsigned index, unsigned word, uint32_t mask,
	      uint32_t value)
{
	uint64_t at = s->context + 32ULL * index + 4 * word;
	uint32_t v;

	/* A driver that takes the context away harms only itself. */
	if (!mem_read(ram(x), at, &v, 4))
		return;
	v = (v & ~mask) | value;
	mem_write(ram(x), at, &v, 4);
}

static void
set_slot_state(struct xhci *x, unsigned id, unsigned state)
{
	struct slot *s = &x->slot[id];

	s->state = state;
	write_context(x, s, 0, 3, 0xf80000ff, state << 27 | (state >= 2 ? id : 0));
}

static void
set_ep_state(struct xhci *x, struct slot *s, unsigned n, unsigned state)
{
	struct endpoint *e = &s->ep[n];

	e->state = state;
	write_context(x, s, n, 0, 7, state);
	write_context(x, s, n, 2, ~0U, (uint32_t)e->ring.at | e->ring.cycle);
	write_context(x, s, n, 3, ~0U, (uint32_t)(e->ring.at >> 32));
}

/* Takes an endpoint from the input context over and lets it run. */
static bool
start_endpoint(struct xhci *x, struct slot *s, unsigned n, uint64_t input)
{
	struct endpoint *e = &s->ep[n];
	uint32_t c[8];

	if (!mem_read(ram(x), input + 32ULL * (n + 1), c, sizeof(c)))
		return false;
	memset(e, 0, sizeof(*e));
	e->type = c[1] >> 3 & 7;
	e->ring.at = (c[2] | (uint64_t)c[3] << 32) & ~15ULL;
	e->ring.cycle = c[2] & 1;
	mem_write(ram(x), s->context + 32ULL * n, c, sizeof(c));
	set_ep_state(x, s, n, EP_RUNNING);
	return true;
}

static struct usb_device *
device_of(struct xhci *x, const struct slot *s)
{
	return s->port && s->port <= PORTS ? x->device[s->port - 1] : NULL;
}

/* ---- transfers ---- */

static void
transfer_event(struct xhci *x, unsigned id, unsigned n, uint64_t param, unsigned code,
	       uint32_t left, bool event_data)
{
	post(x, param, code << 24 | (left & 0xffffff), TRB_TRANSFER_EVENT,
	     id << 24 | n << 16 | (event_data ? 4 : 0));
}

static void
halt(struct xhci *x, unsigned id, unsigned n, uint64_t trb, unsigned code)
{
	x->slot[id].ep[n].in_transfer = false;
	transfer_event(x, id, n, trb, code, 0, false);
	set_ep_state(x, &x->slot[id], n, EP_HALTED);
}

/* The data of one TRB; returns how much of it was not moved. */
static uint32_t
move_data(struct xhci *x, struct endpoint *e, const struct trb *t, bool in)
{
	uint32_t len = t->status & 0x1ffff, part = len;
	uint32_t limit = !in ? sizeof(e->buf) : e->len > 0 ? (uint32_t)e->len : 0;
	uint32_t room = limit > e->done ? limit - e->done : 0;

	if (e->ended)
		part = 0;
	if (part > room)
		part = room;
	if (!part)
		return len;
	if (in)
		mem_write(ram(x), t->param, e->buf + e->done, part);
	else if (t->control & TRB_IMMEDIATE)
		memcpy(e->buf + e->done, &t->param, part = part < 8 ? part : 8);
	else if (!mem_read(ram(x), t->param, e->buf + e->done, part))
		memset(e->buf + e->done, 0, part);
	e->done += part;
	e->event_len += part;
	return len - part;
}

/* One TRB of a control transfer; false if the endpoint stopped. */
static bool
control_trb(struct xhci *x, unsigned id, struct usb_device *d, const struct trb *t)
{
	struct endpoint *e = &x->slot[id].ep[1];
	uint64_t at = e->ring.at;
	bool in = e->setup.request_type & 0x80;
	uint32_t left = 0;

	switch (TRB_TYPE(t->control)) {
	case TRB_SETUP:
		memcpy(&e->setup, &t->param, sizeof(e->setup));
		e->in_transfer = true;
		e->ended = false;
		e->done = e->event_len = 0;
		e->len = 0;
		if (e->setup.length > sizeof(e->buf))
			e->setup.length = sizeof(e->buf);
		if (e->setup.request_type & 0x80)
			e->len = d->ops->control(d, &e->setup, e->buf);
		break;
	case TRB_NORMAL: /* more data */
	case TRB_DATA:
		if (!e->in_transfer || e->len < 0) {
			halt(x, id, 1, at, STALL);
			return false;
		}
		left = move_data(x, e, t, in);
		if (left && in)
			e->ended = true;
		break;
	case TRB_STATUS:
		if (e->in_transfer && !in) {
			if (e->done < e->setup.length)
				e->setup.length = (uint16_t)e->done;
			e->len = d->ops->control(d, &e->setup, e->buf);
		}
		if (!e->in_transfer || e->len < 0) {
			halt(x, id, 1, at, STALL);
			return false;
		}
		e->in_transfer = false;
		break;
	}
	if ((t->control & TRB_IOC) || (left && in && (t->control & TRB_SHORT)))
		transfer_event(x, id, 1, at, left && in ? SHORT_PACKET : OK, left, false);
	return true;
}

/* One TRB of an interrupt endpoint; false if there is nothing to say, or it stopped. */
static bool
interrupt_trb(struct xhci *x, unsigned id, unsigned n, struct usb_device *d, const struct trb *t)
{
	struct endpoint *e = &x->slot[id].ep[n];
	uint32_t left;

	if (!e->in_transfer) {
		e->len = d->ops->in(d, n / 2, e->buf, sizeof(e->buf));
		if (e->len < 0)
			halt(x, id, n, e->ring.at, STALL);
		if (e->len <= 0)
			return false;
		e->in_transfer = true;
		e->ended = false;
		e->done = e->event_len = 0;
	}
	left = move_data(x, e, t, true);
	if (left)
		e->ended = true;
	if ((t->control & TRB_IOC) || (left && (t->control & TRB_SHORT)))
		transfer_event(x, id, n, e->ring.at, left ? SHORT_PACKET : OK, left, false);
	e->in_transfer = t->control & TRB_CHAIN;
	return true;
}

static void
serve_endpoint(struct xhci *x, unsigned id, unsigned n)
{
	struct slot *s = &x->slot[id];
	struct endpoint *e = &s->ep[n];
	struct usb_device *d = device_of(x, s);
	unsigned budget = BUDGET;
	struct trb t;

	if (!(x->r.cmd & CMD_RUN) || !s->enabled || !d || e->state != EP_RUNNING)
		return;
	while (e->state == EP_RUNNING && peek(x, &e->ring, &t, &budget)) {
		bool go = true;

		switch (TRB_TYPE(t.control)) {
		case TRB_NOOP:
			if (t.control & TRB_IOC)
				transfer_event(x, id, n, e->ring.at, OK, 0, false);
			break;
		case TRB_EVENT_DATA:
			transfer_event(x, id, n, t.param, e->ended ? SHORT_PACKET : OK,
				       e->event_len, true);
			e->event_len = 0;
			if (n != 1)
				e->in_transfer = false;
			break;
		case TRB_NORMAL:
		case TRB_SETUP:
		case TRB_DATA:
		case TRB_STATUS:
			go = n == 1 ? control_trb(x, id, d, &t)
			     : e->type == 7 && TRB_TYPE(t.control) == TRB_NORMAL
				     ? interrupt_trb(x, id, n, d, &t)
				     : (halt(x, id, n, e->ring.at, TRB_ERROR), false);
			break;
		default:
			halt(x, id, n, e->ring.at, TRB_ERROR);
			go = false;
		}
		if (!go)
			return;
		e->ring.at += sizeof(t);
	}
}

/* A device has news: main thread, no lock held. */
static void
on_wake(void *arg)
{
	struct xhci *x = arg;

	scoped_lock(&x->lock);
	for (unsigned i = 0; i < SLOTS * ENDPOINTS; i++)
		serve_endpoint(x, 1 + i / ENDPOINTS, 1 + i % ENDPOINTS);
}

/* ---- commands ---- */

static unsigned
enable_slot(struct xhci *x, unsigned *id)
{
	for (unsigned i = 1; i <= SLOTS && i <= (x->r.config & 0xff); i++) {
		if (x->slot[i].enabled)
			continue;
		memset(&x->slot[i], 0, sizeof(x->slot[i]));
		x->slot[i].enabled = true;
		*id = i;
		return OK;
	}
	return NO_SLOTS;
}

static unsigned
disable_slot(struct xhci *x, unsigned id)
{
	set_slot_state(x, id, 0);
	memset(&x->slot[id], 0, sizeof(x->slot[id]));
	return OK;
}

static unsigned
address_device(struct xhci *x, unsigned id, const struct trb *t)
{
	struct slot *s = &x->slot[id];
	uint64_t input = t->param & ~15ULL;
	uint32_t c[8], flags[2];

	if (!mem_read(ram(x), x->r.dcbaap + 8ULL * id, &s->context, 8) ||
	    !mem_read(ram(x), input, flags, sizeof(flags)) ||
	    !mem_read(ram(x), input + 32, c, sizeof(c)))
		return TRB_ERROR;
	if ((flags[1] & 3) != 3)
		return PARAMETER_ERROR;
	s->context &= ~63ULL;
	s->port = c[1] >> 16 & 0xff;
	if (!device_of(x, s)) {
		s->port = 0;
		return TRANSACTION_ERROR;
	}
	mem_write(ram(x), s->context, c, sizeof(c));
	if (!start_endpoint(x, s, 1, input))
		return TRB_ERROR;
	set_slot_state(x, id, t->control & TRB_FLAG ? 1 : 2);
	return OK;
}

static void
drop_endpoints(struct xhci *x, struct slot *s, uint32_t which)
{
	for (unsigned n = 2; n <= ENDPOINTS; n++) {
		if ((which >> n & 1) && s->ep[n].state != EP_DISABLED)
			set_ep_state(x, s, n, EP_DISABLED);
	}
}

static unsigned
configure(struct xhci *x, unsigned id, const struct trb *t)
{
	struct slot *s = &x->slot[id];
	uint64_t input = t->param & ~15ULL;
	uint32_t flags[2] = {~3U, 0}, c;

	if (s->state < 2)
		return CONTEXT_ERROR;
	if (!(t->control & TRB_FLAG) && !mem_read(ram(x), input, flags, sizeof(flags)))
		return TRB_ERROR;
	drop_endpoints(x, s, flags[0]);
	for (unsigned n = 2; n <= ENDPOINTS; n++) {
		if ((flags[1] >> n & 1) && !start_endpoint(x, s, n, input))
			return TRB_ERROR;
	}
	if (!(t->control & TRB_FLAG) && mem_read(ram(x), input + 32, &c, 4))
		write_context(x, s, 0, 0, 0xf8000000, c & 0xf8000000);
	set_slot_state(x, id, t->control & TRB_FLAG ? 2 : 3);
	return OK;
}

static unsigned
evaluate(struct xhci *x, unsigned id, const struct trb *t)
{
	uint64_t input = t->param & ~15ULL;
	uint32_t flags[2], c[8];

	if (!mem_read(ram(x), input, flags, sizeof(flags)) ||
	    !mem_read(ram(x), input + 64, c, sizeof(c)))
		return TRB_ERROR;
	if (flags[1] & 2)
		write_context(x, &x->slot[id], 1, 1, 0xffff0000, c[1] & 0xffff0000);
	return OK;
}

static unsigned
endpoint_command(struct xhci *x, unsigned id, const struct trb *t)
{
	struct slot *s = &x->slot[id];
	unsigned n = t->control >> 16 & 0x1f;
	struct endpoint *e = &s->ep[n];

	if (n == 0 || e->state == EP_DISABLED)
		return EP_NOT_ENABLED;
	switch (TRB_TYPE(t->control)) {
	case TRB_RESET_EP:
		if (e->state != EP_HALTED)
			return CONTEXT_ERROR;
		break;
	case TRB_STOP_EP:
		if (e->state != EP_RUNNING)
			return CONTEXT_ERROR;
		break;
	case TRB_SET_DEQUEUE:
		if (e->state != EP_STOPPED && e->state != EP_ERROR)
			return CONTEXT_ERROR;
		e->ring.at = t->param & ~15ULL;
		e->ring.cycle = t->param & 1;
		break;
	}
	e->in_transfer = false;
	set_ep_state(x, s, n, EP_STOPPED);
	return OK;
}

static unsigned
reset_device(struct xhci *x, unsigned id)
{
	struct slot *s = &x->slot[id];

	if (s->state < 2)
		return CONTEXT_ERROR;
	drop_endpoints(x, s, ~3U);
	set_slot_state(x, id, 1);
	return OK;
}

static unsigned
command(struct xhci *x, const struct trb *t, unsigned *id)
{
	unsigned type = TRB_TYPE(t->control);

	if (type == TRB_ENABLE_SLOT)
		return enable_slot(x, id);
	if (type == TRB_NOOP_COMMAND)
		return OK;
	*id = t->control >> 24;
	if (*id == 0 || *id > SLOTS || !x->slot[*id].enabled)
		return SLOT_NOT_ENABLED;
	switch (type) {
	case TRB_DISABLE_SLOT:
		return disable_slot(x, *id);
	case TRB_ADDRESS:
		return address_device(x, *id, t);
	case TRB_CONFIGURE:
		return configure(x, *id, t);
	case TRB_EVALUATE:
		return evaluate(x, *id, t);
	case TRB_RESET_EP:
	case TRB_STOP_EP:
	case TRB_SET_DEQUEUE:
		return endpoint_command(x, *id, t);
	case TRB_RESET_DEVICE:
		return reset_device(x, *id);
	}
	return TRB_ERROR;
}

static void
serve_commands(struct xhci *x)
{
	unsigned budget = BUDGET;
	struct trb t;

	while ((x->r.cmd & CMD_RUN) && peek(x, &x->commands, &t, &budget)) {
		uint64_t at = x->commands.at;
		unsigned id = 0, code = command(x, &t, &id);

		x->commands.at += sizeof(t);
		post(x, at, code << 24, TRB_COMPLETION, id << 24);
	}
}

/* ---- ports ---- */

static void
port_event(struct xhci *x, unsigned n)
{
	x->r.sts |= STS_PORT;
	post(x, (uint64_t)(n + 1) << 24, OK << 24, TRB_PORT_CHANGE, 0);
}

static void
plug(struct xhci *x, unsigned n)
{
	x->portsc[n] = PORT_POWER | (n < USB2_PORTS ? 0 : LINK_DETECT << 5);
	if (x->device[n])
		x->portsc[n] = PORT_POWER | PORT_CONNECTED | PORT_CONNECT_CHANGE |
			       LINK_POLLING << 5 | HIGH_SPEED << 10;
}

static void
port_write(struct xhci *x, unsigned n, uint32_t v)
{
	uint32_t *p = &x->portsc[n];

	*p &= ~(v & PORT_CHANGES);
	if (v & PORT_ENABLED)
		*p &= ~PORT_ENABLED;
	if ((v & (PORT_RESET | PORT_WARM_RESET)) && x->device[n]) {
		x->device[n]->ops->reset(x->device[n]);
		*p &= ~PORT_LINK;
		*p |= PORT_ENABLED | PORT_RESET_CHANGE;
		port_event(x, n);
	} else if (v & PORT_LINK_WRITE) {
		*p = (*p & ~PORT_LINK) | (v & PORT_LINK);
		if (!(v & PORT_LINK) && x->device[n]) {
			*p |= PORT_LINK_CHANGE;
			port_event(x, n);
		}
	}
}

/* ---- registers ---- */

static void
reset(struct xhci *x)
{
	memset(&x->r, 0, sizeof(x->r));
	x->r.sts = STS_HALTED;
	x->r.imod = 4000;
	memset(&x->events, 0, sizeof(x->events));
	memset(&x->commands, 0, sizeof(x->commands));
	memset(x->slot, 0, sizeof(x->slot));
	for (unsigned i = 0; i < PORTS; i++) {
		if (x->device[i])
			x->device[i]->ops->reset(x->device[i]);
		plug(x, i);
	}
	pci_irq_level(&x->pci, false);
}

static void
set_command(void *dev, uint32_t v)
{
	struct xhci *x = dev;
	bool started = !(x->r.cmd & CMD_RUN) && (v & CMD_RUN);

	if (v & CMD_RESET) {
		reset(x);
		return;
	}
	x->r.cmd = v & 0xf0d;
	x->r.sts = v & CMD_RUN ? x->r.sts & ~STS_HALTED : x->r.sts | STS_HALTED;
	for (unsigned i = 0; started && i < PORTS; i++) {
		if (x->portsc[i] & PORT_CHANGES)
			port_event(x, i);
	}
	interrupt(x);
}

static uint32_t
xcap_read(unsigned at)
{
	/* Supported protocols: USB 2.0 on the first ports, USB 3.0 behind them. */
	static const uint32_t caps[] = {2 | 4 << 8 | 0x0200U << 16, 0x20425355,
					1 | USB2_PORTS << 8, 0,
					2 | 0x0300U << 16, 0x20425355,
					(1 + USB2_PORTS) | (PORTS - USB2_PORTS) << 8, 0};

	return at / 4 < ARRAY_SIZE(caps) ? caps[at / 4] : 0;
}

static uint32_t
capability_read(unsigned at)
{
	static const uint32_t caps[] = {
		AT_OPER | 0x0100U << 16, SLOTS | 1U << 8 | (uint32_t)PORTS << 24, 0, 0,
		1 | (AT_XCAPS / 4U) << 16 /* 64 bits */, AT_BELLS, AT_RUNTIME, 0};

	return caps[at / 4];
}

static uint32_t
command_state(const void *dev)
{
	return ((const struct xhci *)dev)->r.cmd & CMD_RUN ? 8 : 0; /* the pointer reads as zero */
}

static void
set_crcr_low(void *dev, uint32_t v)
{
	struct xhci *x = dev;

	if ((v & CRCR_STOP) && (x->r.cmd & CMD_RUN)) {
		post(x, x->commands.at, RING_STOPPED << 24, TRB_COMPLETION, 0);
		return;
	}
	x->r.crcr = with_low(x->r.crcr, v);
	x->commands.at = x->r.crcr & ~63ULL;
	x->commands.cycle = x->r.crcr & 1;
}

static void
set_crcr_high(void *dev, uint32_t v)
{
	struct xhci *x = dev;

	x->r.crcr = with_high(x->r.crcr, v);
	x->commands.at = x->r.crcr & ~63ULL;
}

static uint32_t
microframe(const void *dev)
{
	return (uint32_t)(time_mono_ns() / 125000) & 0x3fff;
}

static void
set_iman(void *dev, uint32_t v)
{
	struct xhci *x = dev;

	x->r.iman = ((x->r.iman & ~v) & IMAN_PENDING) | (v & IMAN_ENABLE);
	interrupt(x);
}

static void
set_erdp(void *dev, uint32_t v)
{
	struct xhci *x = dev;
	uint64_t next = x->events.base + x->events.at * sizeof(struct trb);

	x->r.erdp = with_low(x->r.erdp, (v & ~15U) | ((uint32_t)x->r.erdp & ~v & ERDP_BUSY));
	/* What came while the driver was busy is told when it is done. */
	if ((v & ERDP_BUSY) && x->events.size && (x->r.erdp & ~15ULL) != next)
		announce(x);
}

static const struct reg regs[] = {
	REG(struct xhci, AT_OPER + OP_CMD, r.cmd, .set = set_command),
	REG(struct xhci, AT_OPER + OP_STS, r.sts, .clears = STS_EINT | STS_PORT),
	{.at = AT_OPER + OP_PAGE, .value = 1},
	{.at = AT_OPER + OP_CRCR, .get = command_state, .set = set_crcr_low},
	{.at = AT_OPER + OP_CRCR + 4, .set = set_crcr_high},
	REG64(struct xhci, AT_OPER + OP_DCBAAP, r.dcbaap, ~63U),
	REG(struct xhci, AT_OPER + OP_CONFIG, r.config, .write = 0xff),
	{.at = AT_RUNTIME, .get = microframe},
	REG(struct xhci, AT_RUNTIME + RT_IMAN, r.iman, .set = set_iman),
	REG(struct xhci, AT_RUNTIME + RT_IMOD, r.imod, .write = ~0U),
	REG(struct xhci, AT_RUNTIME + RT_ERSTSZ, r.erstsz, .write = 0xffff),
	REG64(struct xhci, AT_RUNTIME + RT_ERSTBA, r.erstba, ~63U, .then = load_event_ring),
	/* The lower half asks for events; the upper one is stored. */
	{.at = AT_RUNTIME + RT_ERDP, .field = offsetof(struct xhci, r.erdp), .size = 4, .set = set_erdp},
	{.at = AT_RUNTIME + RT_ERDP + 4, .field = offsetof(struct xhci, r.erdp) + 4, .size = 4,
	 .write = ~0U},
};

static uint32_t
reg_read(void *dev, unsigned at)
{
	struct xhci *x = dev;

	if (at < AT_OPER)
		return capability_read(at);
	if (at >= AT_PORTS && at < AT_PORTS + 16 * PORTS)
		return at % 16 ? 0 : x->portsc[(at - AT_PORTS) / 16];
	if (at >= AT_XCAPS && at < AT_RUNTIME)
		return xcap_read(at - AT_XCAPS);
	return regs_read(regs, ARRAY_SIZE(regs), x, at);
}

static void
ring_bell(struct xhci *x, unsigned slot, unsigned n)
{
	if (slot == 0 && n == 0) {
		serve_commands(x);
	} else if (slot && slot <= SLOTS && n && n <= ENDPOINTS) {
		if (x->slot[slot].ep[n].state == EP_STOPPED)
			set_ep_state(x, &x->slot[slot], n, EP_RUNNING);
		serve_endpoint(x, slot, n);
	}
}

static void
reg_write(void *dev, unsigned at, uint32_t v)
{
	struct xhci *x = dev;

	if (at >= AT_BELLS)
		ring_bell(x, (at - AT_BELLS) / 4, v & 0xff);
	else if (at >= AT_PORTS && at < AT_PORTS + 16 * PORTS && at % 16 == 0)
		port_write(x, (at - AT_PORTS) / 16, v);
	else
		regs_write(regs, ARRAY_SIZE(regs), x, at, v);
}

static uint64_t
xhci_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	scoped_lock(&((struct xhci *)d)->lock);
	return regs_split_read(reg_read, d, offset, size);
}

static void
xhci_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	scoped_lock(&((struct xhci *)d)->lock);
	regs_split_write(reg_write, d, offset, size, value);
}

/* ---- setting up ---- */

static int
xhci_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct xhci *x = (struct xhci *)d;
	struct config *slots = config_find(node, "slot");
	bool tablet;
	int r;

	pthread_mutex_init(&x->lock, NULL);
	TRY(config_bool(node, "tablet", false, &tablet, err));
	/* slot.N.device, as bhyve_config(5) has it */
	for (struct config *n = NULL; slots && (n = config_next(slots, n));) {
		if (tablet || !str_eq(config_get(n, "device", ""), "tablet"))
			return error_set(err, EINVAL, "slot.%s.device: expected one tablet",
					 config_name(n));
		tablet = true;
	}
	pci_set_ids(d, PCI_VENDOR_REDHAT, 0x000d, PCI_CLASS_USB_XHCI, 1);
	pci_set_subsystem(d, PCI_VENDOR_REDHAT, 0x1100);
	d->cfg[0x60] = 0x30; /* USB 3.0 */
	/* The capabilities begin behind that register. */
	d->next_cap = 0x68;
	pci_add_bar(d, 0, PCI_BAR_MEM64, 0x4000);
	pci_add_pin(d);
	r = pci_add_msix(d, 4, 1, err);
	if (tablet) {
		x->device[0] = usb_tablet_new(d->vm);
		x->device[0]->wake = on_wake;
		x->device[0]->host = x;
	}
	reset(x);
	return r;
}

static void
xhci_done(struct pci_dev *d)
{
	struct xhci *x = (struct xhci *)d;

	for (unsigned i = 0; i < PORTS; i++) {
		if (x->device[i])
			x->device[i]->ops->free(x->device[i]);
	}
	pthread_mutex_destroy(&x->lock);
}

static void
endpoint_state(struct endpoint *e, struct state *s)
{
	uint8_t state = e->state;

	STATE(s, state, e->type, e->ring.at, e->ring.cycle, e->setup, e->in_transfer, e->ended,
	      e->len, e->done, e->event_len, e->buf);
	if (state_require(s, state <= EP_ERROR && e->len >= -USB_CONTROL_MAX &&
				     e->len <= USB_CONTROL_MAX && e->done <= USB_CONTROL_MAX,
			  "an endpoint"))
		e->state = state;
}

static void
xhci_state(struct pci_dev *d, struct state *s)
{
	struct xhci *x = (struct xhci *)d;

	STATE(s, x->r, x->portsc, x->commands.at, x->commands.cycle, x->events.base, x->events.size,
	      x->events.at, x->events.cycle);
	state_require(s, x->events.at < (x->events.size ? x->events.size : 1), "the event ring");
	for (unsigned i = 1; i <= SLOTS; i++) {
		struct slot *slot = &x->slot[i];

		STATE(s, slot->enabled, slot->state, slot->port, slot->context);
		state_require(s, slot->port <= PORTS, "a slot's port");
		for (unsigned n = 0; n <= ENDPOINTS; n++)
			endpoint_state(&slot->ep[n], s);
	}
	for (unsigned i = 0; i < PORTS; i++) {
		if (x->device[i])
			x->device[i]->ops->state(x->device[i], s);
	}
}

static const struct pci_opt opts[] = {
	{"tablet", NULL, "a pointing device with absolute coordinates, for VNC"},
	{0},
};

const struct pci_class pci_class_xhci = {
	.name = "xhci",
	.summary = "USB controller",
	.opts = opts,
	.size = sizeof(struct xhci),
	.init = xhci_init,
	.done = xhci_done,
	.state = xhci_state,
	.bar_read = xhci_read,
	.bar_write = xhci_write,
};
