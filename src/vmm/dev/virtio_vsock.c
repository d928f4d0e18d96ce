/*
 * virtio socket device, served here and not by the kernel's vhost-vsock: a
 * guest's ports are sockets in a directory of its own zone, so guests need no
 * numbers that are unique on the node and no device of the host's.
 *
 *  - A guest that connects to port P of the host (CID 2) reaches PATH_P.
 *  - A program on the host connects to PATH, writes "CONNECT P\n", reads
 *    "OK N\n", and is then connected to port P of the guest.
 *
 * Everything happens in the main thread under v->lock: doorbells are event
 * sources.  Each side says how much it buffers for the other (credit): what
 * the guest sends is kept until its socket takes it, at most WINDOW bytes a
 * connection; what a socket sends is read when the guest has room for it, and
 * not before.  A driver's reset ends all connections.
 */
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <sys/un.h>

#include "base/sock.h"
#include "vmm/virtio/virtio.h"

#define QUEUE_SIZE 128
#define WINDOW 65536U
enum { MAX_CONNS = 256, MAX_RESETS = 64 };
#define FIRST_PORT 0x40000000U
#define HOST_CID 2
enum { Q_RX, Q_TX, Q_EVENT, QUEUES };

/* What a connection has to tell the guest besides data. */
enum { SAY_REQUEST = 1, SAY_RESPONSE = 2, SAY_CREDIT = 4, SAY_SHUTDOWN = 8, SAY_RESET = 16 };

struct vsock;

struct conn {
	struct vsock *s;
	struct list_head link;
	int fd;
	struct event_source *src;
	uint32_t guest_port, host_port;
	bool open, greeting; /* both sides agreed; still reading CONNECT */
	bool readable;	     /* the socket has data or has ended */
	bool guest_done;     /* the guest sends no more */
	unsigned say;
	uint32_t peer_alloc, peer_fwd, sent; /* the guest's room, and what we put into it */
	uint32_t forwarded;		     /* bytes the socket took */
	uint8_t *out;			     /* WINDOW bytes from the guest; NULL: none yet */
	uint32_t out_len;
	char line[32];
	size_t line_len;
};

struct vsock {
	struct virtio v;
	uint64_t cid;
	char *path;
	int listen_fd, reset_fd;
	struct event_source *listen_src, *reset_src, *kick_src[QUEUES];
	struct list_head conns;
	unsigned n_conns;
	uint32_t next_port;
	struct virtio_vsock_hdr resets[MAX_RESETS];
	unsigned n_resets;
	bool tell_reset; /* the guest's connections are gone: restored elsewhere */
	struct virtq_buf buf;
};

static void pump(struct vsock *s);

static void
conn_free(struct conn *c)
{
	list_del(&c->link);
	c->s->n_conns--;
	event_source_free(c->src);
	close(c->fd);
	free(c->out);
	free(c);
}

/* Watches for what can be done now, so that a full guest does not keep us awake. */
static void
watch(struct conn *c)
{
	uint32_t events = (c->readable ? 0 : EPOLLIN) | (c->out_len ? EPOLLOUT : 0);

	if (event_mod_fd(c->src, events) < 0)
		c->say |= SAY_RESET;
}

/* ---- to the guest ---- */

static struct virtio_vsock_hdr
header(const struct conn *c, uint16_t op, uint32_t len)
{
	return (struct virtio_vsock_hdr){
		.src_cid = HOST_CID, .dst_cid = c->s->cid, .src_port = c->host_port,
		.dst_port = c->guest_port, .len = len, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? VIRTIO_VSOCK_SHUTDOWN_RCV |
								  VIRTIO_VSOCK_SHUTDOWN_SEND
							: 0,
		.buf_alloc = WINDOW, .fwd_cnt = c->forwarded};
}

/* A packet without data; false if the guest has no buffer for it. */
static bool
send_header(struct vsock *s, const struct virtio_vsock_hdr *h)
{
	struct virtq *q = &s->v.queue[Q_RX];

	if (virtq_pop(q, &s->buf) <= 0)
		return false;
	virtq_answer(q, &s->buf, h, sizeof(*h));
	return true;
}

static bool
say(struct conn *c)
{
	static const struct {
		unsigned bit;
		uint16_t op;
	} words[] = {{SAY_REQUEST, VIRTIO_VSOCK_OP_REQUEST}, {SAY_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
		     {SAY_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
		     {SAY_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN}, {SAY_RESET, VIRTIO_VSOCK_OP_RST}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct virtio_vsock_hdr h = header(c, words[i].op, 0);

		if (!(c->say & words[i].bit))
			continue;
		if (!send_header(c->s, &h))
			return false;
		c->say &= ~words[i].bit;
	}
	return true;
}

/* Reads as much as buffer and credit allow, straight into the guest's buffer. */
static bool
send_data(struct conn *c)
{
	struct virtq *q = &c->s->v.queue[Q_RX];
	struct virtq_buf *b = &c->s->buf;
	uint32_t credit = c->peer_alloc - (c->sent - c->peer_fwd);
	struct virtio_vsock_hdr h;
	uint8_t data[4096];
	ssize_t n;

	if (c->sent - c->peer_fwd >= c->peer_alloc || virtq_pop(q, b) <= 0)
		return false;
	if (b->write_len <= sizeof(h)) {
		virtq_push(q, b->head, 0);
		return true;
	}
	if (credit > b->write_len - sizeof(h))
		credit = b->write_len - (uint32_t)sizeof(h);
	n = recv(c->fd, data, credit < sizeof(data) ? credit : sizeof(data), MSG_DONTWAIT);
	if (n <= 0) {
		virtq_unpop(q);
		c->readable = false;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			c->say |= c->guest_done || n < 0 ? SAY_RESET : SAY_SHUTDOWN;
		else
			watch(c);
		return true;
	}
	h = header(c, VIRTIO_VSOCK_OP_RW, (uint32_t)n);
	iov_from_buf(b->iov + b->n_read, b->n_write, 0, &h, sizeof(h));
	iov_from_buf(b->iov + b->n_read, b->n_write, sizeof(h), data, (size_t)n);
	virtq_push(q, b->head, (uint32_t)(sizeof(h) + (size_t)n));
	c->sent += (uint32_t)n;
	return true;
}

/* Gives the guest all there is and it has room for; ends what has said its last word. */
static void
pump(struct vsock *s)
{
	struct conn *c, *tmp;

	if (!s->v.running)
		return;
	while (s->n_resets && send_header(s, &s->resets[s->n_resets - 1]))
		s->n_resets--;
	list_for_each_safe(c, tmp, &s->conns, link) {
		bool last = c->say & SAY_RESET;

		/* A part at a time, so that one connection does not take every buffer. */
		for (unsigned i = 0; i < 16 && c->open && c->readable && !last; i++) {
			if (!send_data(c))
				break;
			last = c->say & SAY_RESET;
		}
		if (say(c) && last)
			conn_free(c);
	}
	if (s->tell_reset && virtq_pop(&s->v.queue[Q_EVENT], &s->buf) > 0) {
		struct virtio_vsock_event e = {VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};

		virtq_answer(&s->v.queue[Q_EVENT], &s->buf, &e, sizeof(e));
		s->tell_reset = false;
		virtio_flush(&s->v, &s->v.queue[Q_EVENT]);
	}
	virtio_flush(&s->v, &s->v.queue[Q_RX]);
}

/* ---- sockets ---- */

static void
flush_out(struct conn *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				c->say |= SAY_RESET;
			break;
		}
		memmove(c->out, c->out + n, c->out_len - (size_t)n);
		c->out_len -= (uint32_t)n;
		c->forwarded += (uint32_t)n;
		c->say |= SAY_CREDIT;
	}
	if (!c->out_len && c->guest_done)
		shutdown(c->fd, SHUT_WR);
	watch(c);
}

/* "CONNECT P\n" of a host program, a byte at a time: what follows is the guest's. */
static void
read_greeting(struct conn *c)
{
	uint64_t port;
	char byte;
	ssize_t n;

	while ((n = recv(c->fd, &byte, 1, MSG_DONTWAIT)) == 1 && byte != '\n') {
		if (c->line_len + 1 == sizeof(c->line))
			break;
		c->line[c->line_len++] = byte;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || byte != '\n' || !str_after(c->line, "CONNECT ") ||
	    str_to_u64(c->line + 8, 10, &port) < 0 || port > UINT32_MAX || !c->s->v.running) {
		conn_free(c);
		return;
	}
	c->guest_port = (uint32_t)port;
	c->host_port = FIRST_PORT | c->s->next_port++;
	c->greeting = false;
	c->say = SAY_REQUEST;
}

static void
on_conn(struct event_source *src, int fd, uint32_t events, void *arg)
{
	struct conn *c = arg;
	struct vsock *s = c->s;

	scoped_lock(&s->v.lock);
	if (c->greeting) {
		read_greeting(c);
	} else {
		if (events & EPOLLOUT)
			flush_out(c);
		if (events & ~(uint32_t)EPOLLOUT) {
			c->readable = true;
			watch(c);
			/* The other end is gone while the guest makes up its mind. */
			if (!c->open && (events & EPOLLHUP))
				c->say |= SAY_RESET;
		}
	}
	pump(s);
}

static struct conn *
conn_new(struct vsock *s, int fd)
{
	struct conn *c;

	if (s->n_conns == MAX_CONNS) {
		close(fd);
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->s = s;
	c->fd = fd;
	list_add_tail(&s->conns, &c->link);
	s->n_conns++;
	if (event_add_fd(s->v.pci.vm->loop, fd, EPOLLIN, on_conn, c, &c->src, NULL) < 0) {
		conn_free(c);
		return NULL;
	}
	return c;
}

static void
on_listen(struct event_source *src, int fd, uint32_t events, void *arg)
{
	struct vsock *s = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	if (client < 0)
		return;
	scoped_lock(&s->v.lock);
	c = conn_new(s, client);
	if (c)
		c->greeting = true;
}

/* ---- from the guest ---- */

static struct conn *
find(struct vsock *s, const struct virtio_vsock_hdr *h)
{
	struct conn *c;

	list_for_each(c, &s->conns, link) {
		if (!c->greeting && c->guest_port == h->src_port && c->host_port == h->dst_port)
			return c;
	}
	return NULL;
}

static void
refuse(struct vsock *s, const struct virtio_vsock_hdr *h)
{
	/* A guest that asks faster than it listens is not answered. */
	if (s->n_resets == MAX_RESETS)
		return;
	s->resets[s->n_resets++] = (struct virtio_vsock_hdr){
		.src_cid = HOST_CID, .dst_cid = s->cid, .src_port = h->dst_port,
		.dst_port = h->src_port, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = VIRTIO_VSOCK_OP_RST};
}

/* The guest connects to PATH_PORT. */
static void
take_request(struct vsock *s, const struct virtio_vsock_hdr *h)
{
	cleanup_free char *path = str_printf("%s_%u", s->path, h->dst_port);
	struct conn *c;
	int fd;

	if (sock_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &fd, NULL) < 0) {
		refuse(s, h);
		return;
	}
	c = conn_new(s, fd);
	if (!c) {
		refuse(s, h);
		return;
	}
	c->guest_port = h->src_port;
	c->host_port = h->dst_port;
	c->peer_alloc = h->buf_alloc;
	c->open = true;
	c->say = SAY_RESPONSE;
}

static void
take_data(struct conn *c, const struct virtio_vsock_hdr *h, const struct virtq_buf *b)
{
	if (!c->out)
		c->out = xmalloc(WINDOW);
	/* More than it was allowed, or than the packet holds: it breaks the rules. */
	if (h->len > WINDOW - c->out_len ||
	    iov_to_buf(b->iov, b->n_read, sizeof(*h), c->out + c->out_len, h->len) != h->len) {
		c->say |= SAY_RESET;
		return;
	}
	c->out_len += h->len;
	flush_out(c);
}

static void
take_response(struct conn *c)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	c->open = true;
	if (send(c->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		c->say |= SAY_RESET;
}

static void
take_packet(struct vsock *s, const struct virtio_vsock_hdr *h, const struct virtq_buf *b)
{
	struct conn *c = find(s, h);

	if (h->dst_cid != HOST_CID || h->src_cid != s->cid || h->type != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse(s, h);
		return;
	}
	if (!c && h->op == VIRTIO_VSOCK_OP_REQUEST) {
		take_request(s, h);
		return;
	}
	if (!c) {
		if (h->op != VIRTIO_VSOCK_OP_RST)
			refuse(s, h);
		return;
	}
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		if (!c->open)
			take_response(c);
		return;
	case VIRTIO_VSOCK_OP_RW:
		if (c->open && !c->guest_done)
			take_data(c, h, b);
		return;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->say |= SAY_CREDIT;
		return;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		if (h->flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
			c->guest_done = true;
		flush_out(c);
		/* Nobody wants anything any more: it ends here, when all is written. */
		if (!c->out_len && h->flags == (VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV))
			c->say |= SAY_RESET;
		return;
	case VIRTIO_VSOCK_OP_RST:
		conn_free(c);
		return;
	}
	c->say |= SAY_RESET;
}

static void
on_kick(struct event_source *src, int fd, uint32_t events, void *arg)
{
	struct vsock *s = arg;
	struct virtq *q = &s->v.queue[Q_TX];

	(void)bell_hush(fd);
	scoped_lock(&s->v.lock);
	do {
		virtq_disable_kicks(q);
		while (s->v.running && virtq_pop(q, &s->buf) > 0) {
			uint16_t head = s->buf.head;
			struct virtio_vsock_hdr h;

			if (iov_to_buf(s->buf.iov, s->buf.n_read, 0, &h, sizeof(h)) == sizeof(h))
				take_packet(s, &h, &s->buf);
			virtq_push(q, head, 0);
		}
	} while (s->v.running && virtq_enable_kicks(q));
	virtio_flush(&s->v, q);
	pump(s);
}

static void
on_reset(struct event_source *src, int fd, uint32_t events, void *arg)
{
	struct vsock *s = arg;
	struct conn *c, *tmp;

	(void)bell_hush(fd);
	scoped_lock(&s->v.lock);
	list_for_each_safe(c, tmp, &s->conns, link) conn_free(c);
	s->n_resets = 0;
}

/* ---- life ---- */

/* In a vcpu's thread: the main thread puts connections away. */
static void
vsock_stop(struct virtio *v)
{
	bell_ring(((struct vsock *)v)->reset_fd);
}

/* Connections do not move with a machine; the guest is told that they are gone. */
static void
vsock_state(struct virtio *v, struct state *s)
{
	if (state_loading(s))
		((struct vsock *)v)->tell_reset = v->running;
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_VSOCK,
	.pci_class = PCI_CLASS_OTHER,
	.doorbells = true,
	.stop = vsock_stop,
	.state = vsock_state,
};

static int
vsock_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct vsock *s = (struct vsock *)d;
	const char *path = config_get(node, "path", NULL);
	struct event_loop *loop = d->vm->loop;

	list_init(&s->conns);
	s->listen_fd = s->reset_fd = -1;
	if (!path)
		return error_set(err, EINVAL, "no path; expected the path of a socket");
	s->path = xstrdup(path);
	/* Room for the port of PATH_PORT too. */
	if (strlen(path) + 11 >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	TRY(config_u64(node, "cid", 3, UINT32_MAX - 1, 3, &s->cid, err));
	TRY(virtio_init(&s->v, &ops, QUEUES, QUEUE_SIZE, 0, sizeof(s->cid), err));
	TRY(sock_unix_listen(s->path, SOCK_NONBLOCK, &s->listen_fd, err));
	TRY(bell_new(&s->reset_fd, err));
	memcpy(s->v.cfg, &s->cid, sizeof(s->cid));
	if (!loop)
		return 0;
	TRY(event_add_fd(loop, s->listen_fd, EPOLLIN, on_listen, s, &s->listen_src, err));
	TRY(event_add_fd(loop, s->reset_fd, EPOLLIN, on_reset, s, &s->reset_src, err));
	for (unsigned i = 0; i < QUEUES; i++)
		TRY(event_add_fd(loop, s->v.queue[i].kick_fd, EPOLLIN, on_kick, s, &s->kick_src[i],
				 err));
	return 0;
}

static void
vsock_done(struct pci_dev *d)
{
	struct vsock *s = (struct vsock *)d;
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &s->conns, link) conn_free(c);
	for (unsigned i = 0; i < QUEUES; i++)
		event_source_free(s->kick_src[i]);
	event_source_free(s->listen_src);
	event_source_free(s->reset_src);
	if (s->listen_fd >= 0)
		unlink(s->path);
	cleanup_closep(&s->listen_fd);
	cleanup_closep(&s->reset_fd);
	free(s->path);
	virtio_done(&s->v);
}

static const struct pci_opt opts[] = {
	{"path", "SOCKET", "for the host's programs; a guest's connection to port P goes to SOCKET_P"},
	{"cid", "N", "the guest's number (3)"},
	{0},
};

const struct pci_class pci_class_virtio_vsock = {
	.name = "virtio-vsock",
	.summary = "sockets between guest and host",
	.main_opt = "path",
	.opts = opts,
	.size = sizeof(struct vsock),
	.init = vsock_init,
	.done = vsock_done,
	VIRTIO_PCI_HOOKS,
};
