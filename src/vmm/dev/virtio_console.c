/*
 * virtio console: port 0 is the guest's console (hvc0), further ports are
 * named channels (org.qemu.guest_agent.0 and the like), each on a chardev.
 *
 * Queues: 0/1 receive and transmit of port 0, 2/3 control, then two a port.
 * Everything happens under v->lock; input comes from the main thread.
 */
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/chardev.h"
#include "vmm/virtio/virtio.h"

#define MAX_PORTS 16
#define QUEUE_SIZE 64
enum { Q_CONTROL_RX = 2, Q_CONTROL_TX = 3 };

struct port {
	struct vcons *cons;
	unsigned n;
	char *name;
	struct chardev *line;
	bool open;
};

struct vcons {
	struct virtio v;
	struct port port[MAX_PORTS];
	unsigned n_ports;
	struct virtq_buf buf;
};

static unsigned
rx_queue(unsigned port)
{
	return port == 0 ? 0 : 2 + 2 * port;
}

/* Space in the buffer the guest has put up next; 0 if it has none. */
static size_t
rx_room(struct vcons *c, struct virtq *q)
{
	size_t room = 0;

	if (c->v.running && virtq_pop(q, &c->buf) > 0) {
		room = c->buf.write_len;
		virtq_unpop(q);
	}
	return room;
}

static size_t
port_room(void *arg)
{
	struct port *p = arg;
	struct vcons *c = p->cons;

	scoped_lock(&c->v.lock);
	/* What comes to a channel that nobody has open a driver throws away: it waits in the socket. */
	return p->n && !p->open ? 0 : rx_room(c, &c->v.queue[rx_queue(p->n)]);
}

static void
port_receive(void *arg, const uint8_t *data, size_t len)
{
	struct port *p = arg;
	struct vcons *c = p->cons;
	struct virtq *q = &c->v.queue[rx_queue(p->n)];

	scoped_lock(&c->v.lock);
	while (len && c->v.running && virtq_pop(q, &c->buf) > 0) {
		size_t n = virtq_answer(q, &c->buf, data, len);

		if (n == 0)
			break;
		data += n;
		len -= n;
	}
	virtio_flush(&c->v, q);
}

/* Sends all it can; what the line does not take stays in the queue until it is writable. */
static void
transmit(struct vcons *c, struct port *p)
{
	struct virtq *q = &c->v.queue[rx_queue(p->n) + 1];
	uint8_t bytes[1024];

	while (virtq_pop(q, &c->buf) > 0) {
		size_t skip = 0, n;

		while ((n = iov_to_buf(c->buf.iov, c->buf.n_read, skip, bytes, sizeof(bytes))) > 0) {
			size_t took = chardev_write(p->line, bytes, n);

			skip += took;
			if (took < n)
				break;
		}
		/* Nothing went: try this request again later.  A part went: the rest is lost. */
		if (skip == 0 && c->buf.read_len) {
			virtq_unpop(q);
			break;
		}
		virtq_push(q, c->buf.head, 0);
	}
	virtio_flush(&c->v, q);
}

static void
port_writable(void *arg)
{
	struct port *p = arg;

	scoped_lock(&p->cons->v.lock);
	if (p->cons->v.running)
		transmit(p->cons, p);
}

static void
send_control(struct vcons *c, unsigned id, unsigned event, unsigned value, const char *name)
{
	struct virtio_console_control m = {id, (uint16_t)event, (uint16_t)value};
	struct virtq *q = &c->v.queue[Q_CONTROL_RX];
	size_t n;

	if (virtq_pop(q, &c->buf) <= 0)
		return;
	n = iov_from_buf(c->buf.iov + c->buf.n_read, c->buf.n_write, 0, &m, sizeof(m));
	if (name)
		n += iov_from_buf(c->buf.iov + c->buf.n_read, c->buf.n_write, sizeof(m), name,
				  strlen(name));
	virtq_push(q, c->buf.head, (uint32_t)n);
}

static void
control(struct vcons *c, const struct virtio_console_control *m)
{
	struct port *p = m->id < c->n_ports ? &c->port[m->id] : NULL;

	switch (m->event) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		for (unsigned i = 0; m->value && i < c->n_ports; i++)
			send_control(c, i, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
		return;
	case VIRTIO_CONSOLE_PORT_READY:
		if (!p || !m->value)
			return;
		if (p->n == 0)
			send_control(c, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
		if (p->name)
			send_control(c, p->n, VIRTIO_CONSOLE_PORT_NAME, 1, p->name);
		send_control(c, p->n, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
		return;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (p) {
			p->open = m->value;
			chardev_wants_input(p->line);
		}
		return;
	}
}

static void
control_queue(struct vcons *c)
{
	struct virtq *q = &c->v.queue[Q_CONTROL_TX];
	struct virtio_console_control m;

	while (virtq_pop(q, &c->buf) > 0) {
		uint16_t head = c->buf.head;
		bool whole = iov_to_buf(c->buf.iov, c->buf.n_read, 0, &m, sizeof(m)) == sizeof(m);

		/* control() uses c->buf for its answers. */
		if (whole)
			control(c, &m);
		virtq_push(q, head, 0);
	}
	virtio_flush(&c->v, q);
	virtio_flush(&c->v, &c->v.queue[Q_CONTROL_RX]);
}

static void
vcons_notify(struct virtio *v, unsigned queue)
{
	struct vcons *c = (struct vcons *)v;
	unsigned n = queue < 2 ? 0 : queue / 2 - 1;

	if (queue == Q_CONTROL_TX)
		control_queue(c);
	else if (queue == Q_CONTROL_RX)
		;
	else if (n < c->n_ports && queue % 2)
		transmit(c, &c->port[n]);
	else if (n < c->n_ports)
		chardev_wants_input(c->port[n].line);
}

static void
vcons_start(struct virtio *v)
{
	struct vcons *c = (struct vcons *)v;

	for (unsigned i = 0; i < c->n_ports; i++)
		chardev_wants_input(c->port[i].line);
}

static void
vcons_state(struct virtio *v, struct state *s)
{
	struct vcons *c = (struct vcons *)v;

	for (unsigned i = 0; i < c->n_ports; i++)
		STATE(s, c->port[i].open);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_CONSOLE,
	.pci_class = PCI_CLASS_SERIAL_OTHER,
	.start = vcons_start,
	.notify = vcons_notify,
	.state = vcons_state,
};

/*
 * "port1=/sock" as bhyve has it, "port1=NAME=BACKEND" for a named channel, and
 * a first word alone is port 0's backend.
 */
static int
add_port(struct vcons *c, const char *key, const char *value, struct error *err)
{
	struct port *p = &c->port[c->n_ports];
	struct chardev_user user = {port_room, port_receive, port_writable, p};
	const char *eq = strchr(value, '=');
	cleanup_free char *spec = NULL;
	int r;

	if (c->n_ports == MAX_PORTS)
		return error_set(err, E2BIG, "more than %d ports", MAX_PORTS);
	p->cons = c;
	p->n = c->n_ports;
	if (eq && !str_after(value, "tcp=")) {
		p->name = xstrndup(value, (size_t)(eq - value));
		value = eq + 1;
	} else if (p->n) {
		p->name = xstrdup(key);
	}
	/* A bare path is a socket's, as in bhyve. */
	spec = *value == '/' && !str_after(value, "/dev/") ? str_printf("socket,%s", value)
							   : xstrdup(value);
	r = chardev_open(c->v.pci.vm->loop, spec, &user, &p->line, err);
	if (r < 0)
		return error_wrap(err, r, "%s", key);
	c->n_ports++;
	return 0;
}

/* port.N.name and port.N.path, as bhyve_config(5) has them. */
static int
add_numbered(struct vcons *c, struct config *ports, struct error *err)
{
	for (struct config *n = NULL; (n = config_next(ports, n));) {
		cleanup_free char *key = str_printf("port.%s", config_name(n));
		cleanup_free char *value = str_printf("%s=%s", config_get(n, "name", config_name(n)),
						      config_get(n, "path", ""));

		TRY(add_port(c, key, value, err));
	}
	return 0;
}

static int
vcons_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct vcons *c = (struct vcons *)d;
	struct virtio_console_config cfg = {.max_nr_ports = MAX_PORTS};
	int r = 0;

	for (struct config *n = NULL; r == 0 && (n = config_next(node, n));) {
		if (config_is_branch(n) && str_eq(config_name(n), "port"))
			r = add_numbered(c, n, err);
		else if (str_after(config_name(n), "port"))
			r = add_port(c, config_name(n), config_get(n, "", ""), err);
	}
	if (r < 0)
		return r;
	if (c->n_ports == 0)
		return error_set(err, EINVAL, "no port; expected port0=stdio or the like");
	/* One port needs no control queues, and no word about them. */
	r = virtio_init(&c->v, &ops, c->n_ports == 1 ? 2 : 2 * c->n_ports + 2, QUEUE_SIZE,
			c->n_ports > 1 ? 1ULL << VIRTIO_CONSOLE_F_MULTIPORT : 0, sizeof(cfg), err);
	cfg.max_nr_ports = c->n_ports;
	memcpy(c->v.cfg, &cfg, sizeof(cfg));
	return r;
}

static void
vcons_done(struct pci_dev *d)
{
	struct vcons *c = (struct vcons *)d;

	for (unsigned i = 0; i < MAX_PORTS; i++) {
		chardev_free(c->port[i].line);
		free(c->port[i].name);
	}
	virtio_done(&c->v);
}

static const struct pci_opt opts[] = {
	{"port*", "[NAME=]BACKEND", "port0 is the console; a path is a socket"},
	{0},
};

const struct pci_class pci_class_virtio_console = {
	.name = "virtio-console",
	.summary = "console and channels",
	.main_opt = "port0",
	.opts = opts,
	.size = sizeof(struct vcons),
	.init = vcons_init,
	.done = vcons_done,
	VIRTIO_PCI_HOOKS,
};
