/*
 * vminfod: the VMs of this node and what happens to them, over HTTP on
 * 127.0.0.1:9090, for the API, the console and scripts.
 *
 *	GET /ping	{"ping":"pong"}
 *	GET /status	{"pid", "uptime", "numVms", "streams", "events"}
 *	GET /vms	every VM; ?filter={"state":"running"} picks
 *	GET /vms/UUID	one
 *	GET /events	one JSON object a line, the first of type "ready", without end
 *
 * It owns nothing: what it tells is read from the zones' files and events
 * (vm_watch.h), so it may die and come back, and vmadm does not need it.  At its
 * start it clears away what an interrupted vmadm left.
 *
 * A client that does not read its events is dropped when OUT_MAX bytes wait for it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/event.h"
#include "base/list.h"
#include "base/log.h"
#include "vm/vm.h"
#include "vm/vm_ops.h"
#include "vm/vm_watch.h"
#include "vm/vminfod.h"

#define IN_MAX 8192
#define OUT_MAX (32u << 20)
#define CLIENTS_MAX 256
#define RESCAN_MS 60000

struct vminfod {
	struct event_loop *loop;
	struct vm_watch *watch;
	struct event_source *watch_source, *listen_source, *rescan;
	int fd;
	struct list_head clients;
	size_t n_clients, n_streams, n_events;
	uint64_t start_ms;
};

struct client {
	struct list_head link;
	struct vminfod *d;
	int fd;
	struct event_source *source;
	struct strbuf in, out;
	size_t sent;
	bool streaming, closing;
};

static void
client_free(struct client *c)
{
	list_del(&c->link);
	c->d->n_clients--;
	if (c->streaming)
		c->d->n_streams--;
	event_source_free(c->source);
	close(c->fd);
	strbuf_done(&c->in);
	strbuf_done(&c->out);
	free(c);
}

/* Sends what waits; false: the connection is over. */
static bool
client_flush(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return false;
		c->sent += (size_t)n;
	}
	if (c->sent == c->out.len) {
		strbuf_reset(&c->out);
		c->sent = 0;
		if (c->closing)
			return false;
	}
	if (c->out.len - c->sent > OUT_MAX)
		return false;
	event_mod_fd(c->source, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/* ---- answers -------------------------------------------------------------------- */

static void
answer(struct client *c, int status, const char *reason, const struct json *body)
{
	cleanup_free char *text = json_print(body, false);

	strbuf_addf(&c->out,
		    "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
		    "%s\n", status, reason, strlen(text) + 1, text);
}

static void
answer_error(struct client *c, int status, const char *reason, const char *message)
{
	cleanup_json struct json *j = json_new_object();

	json_set_str(j, "code", reason);
	json_set_str(j, "message", message);
	answer(c, status, reason, j);
}

/* One event of a stream, as a chunk. */
static void
send_chunk(struct client *c, const struct json *e)
{
	cleanup_free char *text = json_print(e, false);

	strbuf_addf(&c->out, "%zx\r\n%s\n\r\n", strlen(text) + 1, text);
}

static void
get_ping(struct client *c, const char *rest, const char *query)
{
	cleanup_json struct json *j = json_new_object();

	json_set_str(j, "ping", "pong");
	answer(c, 200, "OK", j);
}

static void
get_status(struct client *c, const char *rest, const char *query)
{
	cleanup_json struct json *j = json_new_object();
	cleanup_json struct json *vms = vm_watch_vms(c->d->watch);

	json_set_int(j, "pid", getpid());
	json_set_int(j, "uptime", (int64_t)(time_mono_ms() - c->d->start_ms) / 1000);
	json_set_int(j, "numVms", (int64_t)json_len(vms));
	json_set_int(j, "streams", (int64_t)c->d->n_streams);
	json_set_int(j, "events", (int64_t)c->d->n_events);
	answer(c, 200, "OK", j);
}

/* %XX and + of a query, in place. */
static void
url_decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned char byte;
		char hex[3] = {s[0] == '%' ? s[1] : '\0', s[0] == '%' && s[1] ? s[2] : '\0', '\0'};

		if (*s == '%' && str_unhex(hex, &byte, 1) == 0 && byte) {
			*to++ = (char)byte;
			s += 2;
		} else
			*to++ = *s == '+' ? ' ' : *s;
	}
	*to = '\0';
}

/* filter={"k":"v"} of a query as a filter; false: it is none. */
static bool
query_filter(const char *query, struct vm_filter *f)
{
	const char *given = query ? str_after(query, "filter=") : NULL;
	cleanup_free char *text = given ? xstrdup(given) : NULL;
	cleanup_json struct json *j = NULL;
	const char *key;
	const struct json *v;

	if (!query || !*query)
		return true;
	if (!given)
		return false;
	url_decode(text);
	if (json_parse(text, (size_t)-1, &j, NULL) < 0 || json_type(j) != JSON_OBJECT)
		return false;
	json_object_each(key, v, j) {
		cleanup_free char *value = json_str(v, NULL) ? xstrdup(json_str(v, ""))
							     : json_print(v, false);
		cleanup_free char *arg = str_printf("%s=%s", key, value);

		if (vm_filter_add(f, arg, NULL) < 0)
			return false;
	}
	return true;
}

static void
get_vms(struct client *c, const char *rest, const char *query)
{
	cleanup_json struct json *vms = vm_watch_vms(c->d->watch);
	cleanup_json struct json *out = json_new_array();
	struct vm_filter f CLEANUP(vm_filter_done) = {0};
	const struct json *vm;

	if (!query_filter(query, &f)) {
		answer_error(c, 400, "BadRequest", "filter must be a JSON object of properties");
		return;
	}
	json_array_each(vm, vms)
		if (vm_filter_match(&f, vm))
			json_push(out, json_copy(vm));
	answer(c, 200, "OK", out);
}

static void
get_vm(struct client *c, const char *rest, const char *query)
{
	const struct json *vm = vm_watch_vm(c->d->watch, rest);

	if (vm)
		answer(c, 200, "OK", vm);
	else
		answer_error(c, 404, "NotFound", "there is no such VM");
}

static void
get_events(struct client *c, const char *rest, const char *query)
{
	cleanup_json struct json *ready = vm_watch_ready(c->d->watch);

	strbuf_adds(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n");
	c->streaming = true;
	c->d->n_streams++;
	send_chunk(c, ready);
}

static const struct route {
	const char *path; /* with a '/' at its end: and something behind it */
	void (*get)(struct client *c, const char *rest, const char *query);
} routes[] = {
	{"/ping", get_ping},
	{"/status", get_status},
	{"/vms/", get_vm},
	{"/vms", get_vms},
	{"/events", get_events},
};

/* One request: its first line counts, its headers do not. */
static void
request(struct client *c, char *line)
{
	char *save = NULL;
	const char *method = strtok_r(line, " ", &save);
	char *path = strtok_r(NULL, " ", &save);
	const char *version = strtok_r(NULL, " ", &save);
	char *query;

	if (!method || !path || !version || !str_after(version, "HTTP/1.")) {
		answer_error(c, 400, "BadRequest", "not a request");
		c->closing = true;
		return;
	}
	c->closing = str_eq(version, "HTTP/1.0");
	if (!str_eq(method, "GET")) {
		answer_error(c, 405, "MethodNotAllowed", "vminfod only tells; use vmadm");
		c->closing = true;
		return;
	}
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const char *rest = str_after(path, routes[i].path);

		if (!rest || (!str_ends(routes[i].path, "/") && *rest) ||
		    (str_ends(routes[i].path, "/") && !*rest))
			continue;
		routes[i].get(c, rest, query);
		return;
	}
	answer_error(c, 404, "NotFound", "there is no such path");
}

/* ---- connections -------------------------------------------------------------------- */

static bool
client_requests(struct client *c)
{
	char *end;

	while (!c->streaming && !c->closing && c->in.len &&
	       (end = strstr(c->in.data, "\r\n\r\n")) != NULL) {
		size_t used = (size_t)(end - c->in.data) + 4;
		char *eol = strstr(c->in.data, "\r\n");

		*eol = '\0';
		request(c, c->in.data);
		memmove(c->in.data, c->in.data + used, c->in.len - used);
		c->in.len -= used;
		c->in.data[c->in.len] = '\0';
	}
	if (c->streaming)
		strbuf_reset(&c->in);
	return c->in.len < IN_MAX && client_flush(c);
}

static void
client_event(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	bool ok = true;

	if (events & EPOLLOUT)
		ok = client_flush(c);
	if (ok && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		ssize_t n = recv(fd, strbuf_reserve(&c->in, 4096), 4096, MSG_DONTWAIT);

		if (n > 0) {
			c->in.len += (size_t)n;
			c->in.data[c->in.len] = '\0';
			ok = client_requests(c);
		} else
			ok = n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	if (!ok)
		client_free(c);
}

static void
on_connect(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct vminfod *d = arg;
	cleanup_error struct error err = ERROR_INIT;
	struct client *c;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn < 0)
		return;
	if (d->n_clients >= CLIENTS_MAX) {
		close(conn);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->d = d;
	c->fd = conn;
	list_add_tail(&d->clients, &c->link);
	d->n_clients++;
	if (event_add_fd(d->loop, conn, EPOLLIN, client_event, c, &c->source, &err) < 0) {
		log_error("%s", error_message(&err));
		client_free(c);
	}
}

/* ---- events ------------------------------------------------------------------------- */

static void
publish(struct vminfod *d, const struct json *e)
{
	struct client *c, *next;

	d->n_events++;
	list_for_each_safe(c, next, &d->clients, link) {
		if (!c->streaming)
			continue;
		send_chunk(c, e);
		if (!client_flush(c))
			client_free(c);
	}
}

static void
drain(struct vminfod *d)
{
	cleanup_error struct error err = ERROR_INIT;

	for (;;) {
		cleanup_json struct json *e = NULL;
		int r = vm_watch_next(d->watch, &e, &err);

		if (r < 0)
			log_error("%s", error_message(&err));
		if (r != 0)
			return;
		publish(d, e);
	}
}

static void
on_watch(struct event_source *s, int fd, uint32_t events, void *arg)
{
	drain(arg);
}

static void
on_rescan(struct event_source *s, void *arg)
{
	struct vminfod *d = arg;
	cleanup_error struct error err = ERROR_INIT;

	if (vm_watch_rescan(d->watch, &err) < 0)
		log_error("%s", error_message(&err));
	drain(d);
	event_timer_reset(s, RESCAN_MS);
}

static int
listen_on(uint16_t port, int *ret, struct error *err)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return error_set_errno(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0)
		return error_set_errno(err, errno, "127.0.0.1:%u", port);
	*ret = steal_fd(&fd);
	return 0;
}

int
vminfod_start(struct event_loop *l, uint16_t port, struct vminfod **ret, uint16_t *ret_port,
	      struct error *err)
{
	struct vminfod *d = xcalloc(1, sizeof(*d));
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int r;

	d->loop = l;
	d->fd = -1;
	d->start_ms = time_mono_ms();
	list_init(&d->clients);
	r = listen_on(port, &d->fd, err);
	if (r == 0)
		r = vm_watch_open(&d->watch, err);
	if (r == 0)
		r = event_add_fd(l, vm_watch_fd(d->watch), EPOLLIN, on_watch, d, &d->watch_source,
				 err);
	if (r == 0)
		r = event_add_fd(l, d->fd, EPOLLIN, on_connect, d, &d->listen_source, err);
	if (r == 0)
		r = event_add_timer(l, RESCAN_MS, on_rescan, d, &d->rescan, err);
	if (r < 0) {
		vminfod_free(d);
		return r;
	}
	if (ret_port && getsockname(d->fd, (struct sockaddr *)&addr, &len) == 0)
		*ret_port = ntohs(addr.sin_port);
	*ret = d;
	return 0;
}

void
vminfod_free(struct vminfod *d)
{
	struct client *c, *next;

	if (!d)
		return;
	list_for_each_safe(c, next, &d->clients, link)
		client_free(c);
	event_source_free(d->watch_source);
	event_source_free(d->listen_source);
	event_source_free(d->rescan);
	if (d->watch)
		vm_watch_close(d->watch);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
