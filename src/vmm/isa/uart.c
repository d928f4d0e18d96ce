/*
 * COM1 to COM4: National's 16550A, on a chardev.
 *
 * The transmitter has no FIFO of its own: bytes go to the chardev at once, and
 * THRE says whether it takes more.  The receiver's FIFO is filled by the main
 * thread and read by the guest, both under the lock.
 */

#include "vmm/backend/chardev.h"
#include "vmm/device.h"
#include "vmm/isa/isa.h"

enum { THR = 0, RBR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR, MCR, LSR, MSR, SCR };

enum { IER_RX = 1, IER_THRE = 2, IER_LINE = 4 };
enum { IIR_NONE = 1, IIR_THRE = 2, IIR_RX = 4, IIR_LINE = 6, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, LCR_DLAB = 0x80, MCR_LOOP = 0x10 };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MSR_CTS_DSR_DCD = 0xb0, FIFO_SIZE = 16 };

static const struct {
	const char *name;
	uint16_t port;
	uint8_t irq;
} coms[] = {{"com1", 0x3f8, 4}, {"com2", 0x2f8, 3}, {"com3", 0x3e8, 4}, {"com4", 0x2e8, 3}};

struct uart {
	struct isa_dev isa;
	struct chardev *line;
	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	bool thre_pending; /* THRE interrupt not yet acknowledged */
	bool blocked;	   /* the chardev took no more */
	bool overrun;
	uint8_t fifo[FIFO_SIZE];
	unsigned head, count;
};

static uint8_t
interrupt_id(const struct uart *u)
{
	if ((u->ier & IER_LINE) && u->overrun)
		return IIR_LINE;
	if ((u->ier & IER_RX) && u->count)
		return u->count == FIFO_SIZE || !(u->fcr & FCR_ENABLE) ? IIR_RX : IIR_TIMEOUT;
	if ((u->ier & IER_THRE) && u->thre_pending)
		return IIR_THRE;
	return IIR_NONE;
}

/* OUT2 gates the line on a PC's board; Linux sets it, and we do as if it were. */
static void
update(struct uart *u)
{
	irq_pin_set(&u->isa.pin, interrupt_id(u) != IIR_NONE);
}

static void
fifo_put(struct uart *u, uint8_t byte)
{
	unsigned max = u->fcr & FCR_ENABLE ? FIFO_SIZE : 1;

	if (u->count >= max) {
		u->overrun = true;
		return;
	}
	u->fifo[(u->head + u->count++) % FIFO_SIZE] = byte;
}

static uint8_t
fifo_get(struct uart *u)
{
	uint8_t byte = u->fifo[u->head];

	if (u->count == 0)
		return 0;
	u->head = (u->head + 1) % FIFO_SIZE;
	if (--u->count == 0 && u->line)
		chardev_wants_input(u->line);
	return byte;
}

static uint8_t
modem_status(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS_DSR_DCD;
	/* Looped: RTS-CTS, DTR-DSR, OUT1-RI, OUT2-DCD. */
	return (uint8_t)((u->mcr & 2) << 3 | (u->mcr & 1) << 5 | (u->mcr & 4) << 4 |
			 (u->mcr & 8) << 4);
}

static uint8_t
line_status(struct uart *u)
{
	uint8_t v = u->blocked ? 0 : LSR_THRE | LSR_TEMT;

	v |= u->count ? LSR_DR : 0;
	v |= u->overrun ? LSR_OE : 0;
	u->overrun = false;
	return v;
}

static uint8_t
interrupt_read(struct uart *u)
{
	uint8_t id = interrupt_id(u);

	if (id == IIR_THRE)
		u->thre_pending = false;
	return id | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t
read_register(struct uart *u, uint64_t offset)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (offset) {
	case RBR:
		return dlab ? u->dll : fifo_get(u);
	case IER:
		return dlab ? u->dlm : u->ier;
	case IIR:
		return interrupt_read(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return line_status(u);
	case MSR:
		return modem_status(u);
	}
	return u->scr;
}

static uint64_t
uart_read(void *arg, uint64_t offset, unsigned size)
{
	struct uart *u = arg;

	scoped_lock(&u->isa.lock);

	uint8_t v = read_register(u, offset);

	update(u);
	return v;
}

static void
transmit(struct uart *u, uint8_t byte)
{
	if (u->mcr & MCR_LOOP)
		fifo_put(u, byte);
	else if (u->line && chardev_write(u->line, &byte, 1) == 0)
		u->blocked = true;
	u->thre_pending = !u->blocked;
}

static void
set_ier(struct uart *u, uint8_t value)
{
	/* Turning the interrupt on while the transmitter is empty raises it. */
	if ((value & IER_THRE) && !(u->ier & IER_THRE) && !u->blocked)
		u->thre_pending = true;
	u->ier = value & 0x0f;
}

static void
set_fcr(struct uart *u, uint8_t value)
{
	if ((value & FCR_CLEAR_RX) || ((value ^ u->fcr) & FCR_ENABLE)) {
		u->head = u->count = 0;
		if (u->line)
			chardev_wants_input(u->line);
	}
	u->fcr = value & 0xc9;
}

static void
uart_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct uart *u = arg;
	uint8_t v = (uint8_t)value;
	bool dlab;

	scoped_lock(&u->isa.lock);
	dlab = u->lcr & LCR_DLAB;
	switch (offset) {
	case THR:
		if (dlab)
			u->dll = v;
		else
			transmit(u, v);
		break;
	case IER:
		if (dlab)
			u->dlm = v;
		else
			set_ier(u, v);
		break;
	case FCR:
		set_fcr(u, v);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		u->mcr = v & 0x1f;
		break;
	case SCR:
		u->scr = v;
		break;
	}
	update(u);
}

static size_t
uart_room(void *arg)
{
	struct uart *u = arg;
	size_t room;

	scoped_lock(&u->isa.lock);
	room = (u->fcr & FCR_ENABLE ? FIFO_SIZE : 1U);
	room = u->count < room ? room - u->count : 0;
	return room;
}

static void
uart_receive(void *arg, const uint8_t *data, size_t len)
{
	struct uart *u = arg;

	scoped_lock(&u->isa.lock);
	for (size_t i = 0; i < len; i++)
		fifo_put(u, data[i]);
	update(u);
}

static void
uart_writable(void *arg)
{
	struct uart *u = arg;

	scoped_lock(&u->isa.lock);
	if (u->blocked) {
		u->blocked = false;
		u->thre_pending = true;
		update(u);
	}
}

/* What the line had not taken yet is lost, as with a cable that is pulled. */
static void
uart_state(void *arg, struct state *s)
{
	struct uart *u = arg;

	STATE(s, u->ier, u->lcr, u->mcr, u->scr, u->dll, u->dlm, u->fcr, u->thre_pending,
	      u->blocked, u->overrun, u->fifo, u->head, u->count);
	if (!state_loading(s) ||
	    !state_require(s, u->head < FIFO_SIZE && u->count <= FIFO_SIZE, "the FIFO"))
		return;
	u->thre_pending |= u->blocked;
	u->blocked = false;
	update(u);
	if (u->line)
		chardev_wants_input(u->line);
}

static void
uart_done(void *arg)
{
	chardev_free(((struct uart *)arg)->line);
}

static int
uart_add(struct vm *vm, unsigned n, const char *spec, struct error *err)
{
	struct uart *u = isa_new(vm, coms[n].name, sizeof(*u), uart_state, uart_done);
	struct chardev_user user = {uart_room, uart_receive, uart_writable, u};
	int r;

	u->isa.pin.gsi = coms[n].irq;
	isa_add_range(u, &vm->pio, coms[n].port, 8, uart_read, uart_write);
	r = chardev_open(vm->loop, spec, &user, &u->line, err);
	return r < 0 ? error_wrap(err, r, "lpc.%s.path", coms[n].name) : 0;
}

static const char *
com_path(struct vm *vm, unsigned n)
{
	cleanup_free char *key = str_printf("lpc.%s.path", coms[n].name);

	return config_get(vm->config, key, NULL);
}

static int
uart_create(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(coms); i++) {
		const char *spec = com_path(vm, i);
		int r = spec ? uart_add(vm, i, spec, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static void
uart_asl(struct vm *vm, struct strbuf *b)
{
	for (unsigned i = 0; i < ARRAY_SIZE(coms); i++)
		if (com_path(vm, i))
			strbuf_addf(b, "Device(COM%u) { Name(_HID, EisaId(\"PNP0501\")) Name(_UID, %u)"
				    "Name(_CRS, ResourceTemplate() {"
				    "IO(Decode16, %#x, %#x, 1, 8) IRQNoFlags() {%u} }) }",
				    i + 1, i + 1, coms[i].port, coms[i].port, coms[i].irq);
}

const struct isa_class isa_class_uart = {.name = "uart", .create = uart_create, .asl = uart_asl};
