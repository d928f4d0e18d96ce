/*
 * The metadata agent, in the global zone.
 *
 * Every zone has a listening socket /var/zonecontrol/UUID/metadata.sock from when
 * it is made until it is deleted, whether it runs or not: the zone's own view of
 * that directory (/.zonecontrol, or /native/.zonecontrol for brand lx) is a bind
 * mount of it.  So a guest that asks in its first millisecond finds somebody, and
 * this daemon may die and come back: it makes the sockets again.
 *
 * The second serial port of a virtual machine is a socket of its VMM,
 * ZONEPATH/root/tmp/vm.ttyb: while the VM runs, we connect to it, and again when
 * the connection ends (the guest was reset).  That directory belongs to the VMM,
 * which may be in the guest's hands: the socket is opened as an inode, without
 * following links, and that inode is what we connect to.
 *
 * The socket is root's: the zone sees the directory through a mount that maps the
 * node's root to its own, so that its root may connect and nobody else.  Its root
 * may also write there, so nothing in that directory is followed or changed by
 * name.  Which VM asks is known by the socket, never by what is said on it.
 *
 * Guests are hostile: lines are bounded, connections per VM are bounded, answers
 * that are not fetched hold at most one request back, and one guest's request
 * is answered before its next one is read, so that guests take turns.
 */
#include "vm/mdata/agent.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "vm/mdata/keys.h"
#include "vm/vm.h"
#include "zone/watch.h"
#include "zone/zone.h"

#define CLIENTS_MAX 32 /* per VM */
#define RETRY_MS 200    /* until a VMM has made its socket */
#define SOCKET "metadata.sock"

struct guest {
	struct mdata_agent *agent;
	char *uuid;
	int fd; /* where a zone knocks; -1 for a virtual machine */
	struct event_source *source;
	struct list_head clients;
	int n_clients;
	char *serial; /* directory of a VMM's sockets; NULL for a zone */
	struct event_source *retry;
};

struct client {
	struct list_head link;
	struct guest *guest;
	int fd;
	struct event_source *source;
	struct strbuf in;   /* an unfinished line */
	bool skipping;      /* the line is too long: up to its end it is thrown away */
	char *out;          /* an answer under way */
	size_t out_len, out_done;
};

struct mdata_agent {
	struct event_loop *loop;
	struct map *guests; /* by uuid */
	struct zone_watch *watch;
};

static void
client_free(struct client *c)
{
	list_del(&c->link);
	c->guest->n_clients--;
	event_source_free(c->source);
	close(c->fd);
	strbuf_done(&c->in);
	free(c->out);
	if (c->guest->retry)
		event_timer_reset(c->guest->retry, RETRY_MS);
	free(c);
}

/* ---- one connection ------------------------------------------------------------------ */

/* Sends what is left of the answer; false: the connection is over. */
static bool
client_send(struct client *c)
{
	while (c->out && c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return false;
		c->out_done += (size_t)n;
	}
	free(steal_ptr(&c->out));
	return true;
}

static void
client_answer(struct client *c, const char *line, size_t len)
{
	struct mdata_request q = {0};

	if (c->skipping || !mdata_request_parse(line, len, &q))
		c->out = xstrdup("invalid command\n");
	else
		c->out = mdata_answer(c->guest->uuid, &q);
	mdata_request_done(&q);
	c->skipping = false;
	c->out_len = strlen(c->out);
	c->out_done = 0;
}

/* Lines that have arrived, one at a time, each answered before the next. */
static bool
client_lines(struct client *c)
{
	size_t done = 0;
	bool ok = true;

	while (ok && !c->out) {
		char *end = c->in.len > done ? memchr(c->in.data + done, '\n', c->in.len - done)
					     : NULL;

		if (!end)
			break;
		client_answer(c, c->in.data + done, (size_t)(end - c->in.data) - done);
		done = (size_t)(end - c->in.data) + 1;
		ok = client_send(c);
	}
	if (done) {
		memmove(c->in.data, c->in.data + done, c->in.len - done);
		c->in.len -= done;
		c->in.data[c->in.len] = '\0';
	}
	if (c->in.len > MDATA_LINE_MAX && !memchr(c->in.data, '\n', c->in.len)) {
		strbuf_reset(&c->in);
		c->skipping = true;
	}
	return ok;
}

static void
client_event(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	bool ok = !(events & EPOLLERR);

	if (ok && (events & EPOLLOUT))
		ok = client_send(c) && client_lines(c);
	if (ok && (events & (EPOLLIN | EPOLLHUP)) && !c->out) {
		char *room = strbuf_reserve(&c->in, 16384);
		ssize_t n = recv(fd, room, 16384, MSG_DONTWAIT);

		if (n > 0) {
			c->in.len += (size_t)n;
			c->in.data[c->in.len] = '\0';
			ok = client_lines(c);
		} else
			ok = n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	if (!ok)
		client_free(c);
	else
		event_mod_fd(s, c->out ? EPOLLOUT : EPOLLIN);
}

/* ---- one VM ----------------------------------------------------------------------------- */

/* Serves a connection; takes fd. */
static void
guest_serve(struct guest *g, int fd)
{
	cleanup_error struct error err = ERROR_INIT;
	struct client *c;

	if (g->n_clients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->guest = g;
	c->fd = fd;
	list_add_tail(&g->clients, &c->link);
	g->n_clients++;
	if (event_add_fd(g->agent->loop, fd, EPOLLIN, client_event, c, &c->source, &err) < 0) {
		log_error("%s: %s", g->uuid, error_message(&err));
		client_free(c);
	}
}

static void
guest_accept(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct guest *g = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn >= 0)
		guest_serve(g, conn);
}

/* Connects to the VMM's end of the serial port; false: it is not there (yet). */
static bool
guest_connect(struct guest *g)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_close int dir = open(g->serial, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH);
	cleanup_close int sock = -1, fd = -1;
	struct stat st;

	if (dir >= 0)
		sock = openat(dir, "vm.ttyb", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (sock < 0 || fstat(sock, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", sock);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return false;
	guest_serve(g, steal_fd(&fd));
	return true;
}

/* While the VM runs and nobody is connected: try, and try again. */
static void
guest_retry(struct event_source *s, void *arg)
{
	struct guest *g = arg;
	cleanup_zone_info struct zone_info zi = {0};

	if (g->n_clients || zone_info_read(g->uuid, &zi, NULL) < 0 || zi.state != ZONE_RUNNING)
		return; /* the event of its next start brings us back */
	if (!guest_connect(g))
		event_timer_reset(s, RETRY_MS);
}

static void
guest_free(void *p)
{
	struct guest *g = p;
	struct client *c, *next;

	event_source_free(steal_ptr(&g->retry));
	list_for_each_safe(c, next, &g->clients, link)
		client_free(c);
	event_source_free(g->source);
	if (g->fd >= 0)
		close(g->fd);
	free(g->serial);
	free(g->uuid);
	free(g);
}

static int
guest_bind(struct guest *g, struct error *err)
{
	int r = zone_control_listen(g->uuid, SOCKET, SOCK_STREAM, 0600, &g->fd, err);

	return r < 0 ? r
		     : event_add_fd(g->agent->loop, g->fd, EPOLLIN, guest_accept, g, &g->source,
				    err);
}

/* What a virtual machine needs: no socket of ours, but one to connect to. */
static int
guest_serial(struct guest *g, const struct zone_config *c, struct error *err)
{
	g->serial = str_printf("%s%s/root/tmp", zone_root(), zone_config_get(c, "zonepath"));
	return event_add_timer(g->agent->loop, 0, guest_retry, g, &g->retry, err);
}

static void
guest_add(void *arg, const char *uuid)
{
	struct mdata_agent *a = arg;
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct guest *g = map_get(a->guests, uuid);
	bool hvm;
	int r;

	if (!str_is_uuid(uuid))
		return;
	if (g) {
		if (g->retry && !g->n_clients)
			event_timer_reset(g->retry, 0);
		return;
	}
	if (zone_config_read(uuid, &c, &err) < 0) {
		log_warn("%s: %s", uuid, error_message(&err));
		return;
	}
	hvm = vm_brand_parse(zone_config_get(c, "brand")) & VM_HVM;
	g = xcalloc(1, sizeof(*g));
	g->agent = a;
	g->uuid = xstrdup(uuid);
	g->fd = -1;
	list_init(&g->clients);
	r = hvm ? guest_serial(g, c, &err) : guest_bind(g, &err);
	if (r < 0) {
		log_error("%s: %s", uuid, error_message(&err));
		guest_free(g);
		return;
	}
	map_set(a->guests, uuid, g);
}

static void
guest_remove(void *arg, const char *uuid)
{
	struct mdata_agent *a = arg;

	if (map_remove(a->guests, uuid))
		zone_control_remove(uuid, SOCKET);
}

/* ---- all VMs -------------------------------------------------------------------------------- */

int
mdata_agent_start(struct event_loop *l, struct mdata_agent **ret, struct error *err)
{
	struct mdata_agent *a = xcalloc(1, sizeof(*a));
	int r;

	a->loop = l;
	a->guests = map_new(guest_free);
	r = zone_watch_start(l, a->guests, guest_add, guest_remove, a, &a->watch, err);
	if (r < 0) {
		mdata_agent_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void
mdata_agent_free(struct mdata_agent *a)
{
	if (!a)
		return;
	map_free(a->guests);
	zone_watch_free(a->watch);
	free(a);
}
