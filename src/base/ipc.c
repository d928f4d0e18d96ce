/*
 * SEQPACKET messages.  A packet is one JSON text; descriptors and credentials
 * ride in its ancillary data.
 */
#include "base/ipc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/sock.h"
#include "base/str.h"

#define QUEUE_MAX (1024 * 1024)

void
ipc_message_done(struct ipc_message *m)
{
	json_free(m->body);
	for (size_t i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	*m = (struct ipc_message)IPC_MESSAGE_INIT;
}

int
ipc_message_steal_fd(struct ipc_message *m, size_t i)
{
	return i < m->n_fds ? steal_fd(&m->fds[i]) : -1;
}

/* Room for one message, so that none is refused by the default buffer. */
static void
set_buffers(int fd)
{
	int size = 2 * IPC_MAX_MESSAGE;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int
ipc_connect(const char *path, int *ret_fd, struct error *err)
{
	cleanup_close int fd = -1;
	int on = 1;
	int r = sock_unix_connect(path, SOCK_SEQPACKET, &fd, err);

	if (r < 0)
		return error_wrap(err, r, "cannot connect to it");
	set_buffers(fd);
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* One sendmsg(2); -EAGAIN on a full non-blocking socket. */
static int
send_text(int fd, const char *text, size_t len, const int *fds, size_t n_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int
ipc_send(int fd, const struct json *body, const int *fds, size_t n_fds, struct error *err)
{
	cleanup_free char *text = json_print(body, false);
	size_t len = strlen(text);
	int r;

	if (len > IPC_MAX_MESSAGE || n_fds > IPC_MAX_FDS)
		return error_set(err, EMSGSIZE, "message of %zu bytes is too large", len);
	r = send_text(fd, text, len, fds, n_fds);
	return r < 0 ? error_set_errno(err, -r, "cannot send a message") : 0;
}

static void
take_control(struct msghdr *msg, struct ipc_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&m->cred, CMSG_DATA(c), sizeof(m->cred));
		} else if (c->cmsg_type == SCM_RIGHTS) {
			size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < n; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
				if (m->n_fds < IPC_MAX_FDS)
					m->fds[m->n_fds++] = fd;
				else
					close(fd);
			}
		}
	}
}

static int
receive(int fd, int flags, struct ipc_message *ret, struct error *err)
{
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	cleanup_free char *text = xmalloc(IPC_MAX_MESSAGE + 1);
	union {
		char space[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS) +
			   CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = IPC_MAX_MESSAGE + 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;
	int r;

	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set_errno(err, errno, "cannot receive a message");
	take_control(&msg, &m);
	if (n == 0)
		return 1;
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return error_set(err, EMSGSIZE, "a message is larger than %d bytes or carries too many descriptors",
				 IPC_MAX_MESSAGE);
	r = json_parse(text, (size_t)n, &m.body, err);
	if (r < 0)
		return r;
	if (json_type(m.body) != JSON_OBJECT)
		return error_set(err, EBADMSG, "a message is not an object");
	*ret = m;
	m = (struct ipc_message)IPC_MESSAGE_INIT;
	return 0;
}

int
ipc_recv(int fd, struct ipc_message *ret, struct error *err)
{
	return receive(fd, 0, ret, err);
}

int
ipc_call(int fd, const struct json *request, const int *fds, size_t n_fds, struct ipc_message *ret,
	 struct error *err)
{
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	struct json *bad;
	int r = ipc_send(fd, request, fds, n_fds, err);

	if (r < 0)
		return r;
	r = ipc_recv(fd, &m, err);
	if (r < 0)
		return r;
	if (r == 1)
		return error_set(err, EPIPE, "the other side closed the connection");
	bad = json_get(m.body, "error");
	if (bad) {
		int64_t code = json_int(json_get(bad, "code"), EIO);
		const char *message = json_str(json_get(bad, "message"), "unknown error");
		const char *path = json_str(json_get(bad, "path"), NULL);

		if (code <= 0 || code > 4095)
			code = EIO;
		return path ? error_set_path(err, (int)code, path, "%s", message)
			    : error_set(err, (int)code, "%s", message);
	}
	*ret = m;
	m = (struct ipc_message)IPC_MESSAGE_INIT;
	return 0;
}

/* What waits to be sent to one client. */
struct packet {
	struct list_head link;
	char *text;
	size_t len;
	int fds[IPC_MAX_FDS];
	size_t n_fds;
};

struct ipc_client {
	struct list_head link;
	struct ipc_server *server;
	int fd;
	bool closing;
	int busy; /* inside a callback: free later */
	bool dead;
	struct event_source *source;
	struct list_head queue;
	size_t queued;
	void *data;
};

struct ipc_server {
	struct event_loop *loop;
	char *path;
	int fd;
	struct event_source *source;
	struct list_head clients;
	ipc_request_fn *request;
	ipc_closed_fn *closed;
	void *arg;
};

static void
packet_free(struct packet *p)
{
	for (size_t i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	free(p->text);
	free(p);
}

static void
client_drop(struct ipc_client *c)
{
	struct packet *p;

	if (!c->dead) {
		c->dead = true;
		event_source_free(c->source);
		close(c->fd);
		while ((p = list_first(&c->queue, struct packet, link))) {
			list_del(&p->link);
			packet_free(p);
		}
		c->busy++;
		if (c->server->closed)
			c->server->closed(c, c->server->arg);
		c->busy--;
	}
	if (!c->busy) {
		list_del(&c->link);
		free(c);
	}
}

/* Sends what the socket takes.  The client may be gone afterwards. */
static void
client_flush(struct ipc_client *c)
{
	struct packet *p;

	while ((p = list_first(&c->queue, struct packet, link))) {
		int r = send_text(c->fd, p->text, p->len, p->fds, p->n_fds);

		if (r == -EAGAIN) {
			event_mod_fd(c->source, EPOLLIN | EPOLLOUT);
			return;
		}
		if (r < 0) {
			client_drop(c);
			return;
		}
		c->queued -= p->len;
		list_del(&p->link);
		packet_free(p);
	}
	if (c->closing)
		client_drop(c);
	else
		event_mod_fd(c->source, EPOLLIN);
}

int
ipc_reply(struct ipc_client *c, struct json *body, const int *fds, size_t n_fds)
{
	cleanup_json struct json *owned = body;
	struct packet *p;

	if (c->dead || c->closing)
		return -EPIPE;
	p = xcalloc(1, sizeof(*p));
	list_init(&p->link);
	p->text = json_print(owned, false);
	p->len = strlen(p->text);
	for (size_t i = 0; i < n_fds && i < IPC_MAX_FDS; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			packet_free(p);
			return -errno;
		}
		p->fds[p->n_fds++] = fd;
	}
	if (p->len > IPC_MAX_MESSAGE || c->queued + p->len > QUEUE_MAX) {
		packet_free(p);
		client_drop(c);
		return -EMSGSIZE;
	}
	c->queued += p->len;
	list_add_tail(&c->queue, &p->link);
	client_flush(c);
	return 0;
}

int
ipc_reply_error(struct ipc_client *c, const struct error *err)
{
	struct json *body = json_new_object(), *e = json_new_object();

	json_set_int(e, "code", err->code ? err->code : EIO);
	json_set_str(e, "message", error_message(err));
	if (err->path)
		json_set_str(e, "path", err->path);
	json_set(body, "error", e);
	return ipc_reply(c, body, NULL, 0);
}

int
ipc_reply_ok(struct ipc_client *c)
{
	return ipc_reply(c, json_new_object(), NULL, 0);
}

void
ipc_client_set_data(struct ipc_client *c, void *data)
{
	c->data = data;
}

void *
ipc_client_data(const struct ipc_client *c)
{
	return c->data;
}

void
ipc_client_close(struct ipc_client *c)
{
	if (c->dead)
		return;
	c->closing = true;
	client_flush(c);
}

struct ipc_client *
ipc_client_next(struct ipc_server *s, struct ipc_client *c)
{
	struct list_head *next = c ? c->link.next : s->clients.next;

	while (next != &s->clients) {
		struct ipc_client *n = list_entry(next, struct ipc_client, link);

		if (!n->dead)
			return n;
		next = next->next;
	}
	return NULL;
}

static void
client_readable(struct ipc_client *c)
{
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	cleanup_error struct error err = ERROR_INIT;
	int r = receive(c->fd, MSG_DONTWAIT, &m, &err);

	if (r == -EAGAIN)
		return;
	if (r == 0) {
		c->server->request(c, &m, c->server->arg);
	} else if (r == 1) {
		client_drop(c);
	} else {
		/* A malformed packet costs its sender an error answer, not the connection. */
		if (r == -ECONNRESET || ipc_reply_error(c, &err) < 0)
			client_drop(c);
	}
}

static void
on_client(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct ipc_client *c = arg;

	c->busy++;
	if (events & EPOLLOUT)
		client_flush(c);
	if (!c->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		client_readable(c);
	c->busy--;
	if (c->dead)
		client_drop(c);
}

static void
on_listen(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct ipc_server *server = arg;
	struct ipc_client *c;
	int on = 1, conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn < 0)
		return;
	set_buffers(conn);
	setsockopt(conn, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	c = xcalloc(1, sizeof(*c));
	c->server = server;
	c->fd = conn;
	list_init(&c->queue);
	if (event_add_fd(server->loop, conn, EPOLLIN, on_client, c, &c->source, NULL) < 0) {
		close(conn);
		free(c);
		return;
	}
	list_add_tail(&server->clients, &c->link);
}

int
ipc_listen(struct event_loop *l, const char *path, unsigned mode, ipc_request_fn *request,
	   ipc_closed_fn *closed, void *arg, struct ipc_server **ret, struct error *err)
{
	cleanup_close int fd = -1;
	struct ipc_server *s;
	int on = 1;
	int r = sock_unix_listen_mode(path, SOCK_SEQPACKET | SOCK_NONBLOCK, (mode_t)mode, &fd, err);

	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	s = xcalloc(1, sizeof(*s));
	s->loop = l;
	s->request = request;
	s->closed = closed;
	s->arg = arg;
	list_init(&s->clients);
	r = event_add_fd(l, fd, EPOLLIN, on_listen, s, &s->source, err);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fd = steal_fd(&fd);
	s->path = xstrdup(path);
	*ret = s;
	return 0;
}

void
ipc_server_stop(struct ipc_server *s)
{
	if (!s->source)
		return;
	event_source_free(s->source);
	s->source = NULL;
	unlink(s->path);
	close(s->fd);
}

void
ipc_server_free(struct ipc_server *s)
{
	struct ipc_client *c;

	if (!s)
		return;
	while ((c = ipc_client_next(s, NULL)))
		client_drop(c);
	ipc_server_stop(s);
	free(s->path);
	free(s);
}
