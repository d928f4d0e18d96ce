/*
 * The screen of a virtual machine on the node's admin network: a TCP port whose
 * connections are joined with the monitor's socket vm.vnc.  The monitor has no
 * network of its own, so somebody outside must listen; that is the zone's daemon, and
 * when it is replaced the port comes back and viewers connect again.
 *
 * vnc_port: -1 none, 0 any that is free, else that one.  Where it is stands in
 * /run/zones/NAME/vnc ("HOST PORT") for `vmadm info`.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "net/nictag.h"
#include "zone/zoneadmd/zoneadmd.h"

#define LINKS_MAX 16
#define ADMIN_TAG "admin"

struct vnc {
	struct daemon *d;
	int listener;
	struct event_source *source;
	struct list_head links;
	size_t n_links;
};

/* A viewer [0] and the monitor [1]; buf[i] came from i and waits for the other to take it. */
struct vnc_link {
	struct list_head link;
	struct vnc *vnc;
	int fd[2];
	struct event_source *source[2];
	struct {
		size_t at, end;
		char data[32768];
	} buf[2];
};

static void
link_free(struct vnc_link *l)
{
	list_del(&l->link);
	l->vnc->n_links--;
	for (int i = 0; i < 2; i++) {
		event_source_free(l->source[i]);
		close(l->fd[i]);
	}
	free(l);
}

/* What came from side i goes to the other, as far as that takes it. */
static int
push(struct vnc_link *l, int i)
{
	while (l->buf[i].at < l->buf[i].end) {
		ssize_t n = send(l->fd[!i], l->buf[i].data + l->buf[i].at,
				 l->buf[i].end - l->buf[i].at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		l->buf[i].at += (size_t)n;
	}
	l->buf[i].at = l->buf[i].end = 0;
	return 0;
}

static int
pull(struct vnc_link *l, int i)
{
	ssize_t n;

	if (l->buf[i].end)
		return 0; /* the other is slow */
	n = recv(l->fd[i], l->buf[i].data, sizeof(l->buf[i].data), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	l->buf[i].end = (size_t)n;
	return n == 0 ? -EPIPE : 0;
}

static void
on_link(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct vnc_link *l = arg;
	int i = fd == l->fd[1];

	if (push(l, !i) < 0 || (events & ~(uint32_t)EPOLLOUT && pull(l, i) < 0) || push(l, i) < 0) {
		link_free(l);
		return;
	}
	for (i = 0; i < 2; i++)
		event_mod_fd(l->source[i],
			     (l->buf[i].end ? 0 : EPOLLIN) | (l->buf[!i].end ? EPOLLOUT : 0));
}

static void
on_viewer(struct event_source *s, int fd, uint32_t events, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	struct vnc *v = arg;
	cleanup_close int viewer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	cleanup_close int monitor = -1;
	struct vnc_link *l;
	int r = 0;

	if (viewer < 0 || v->n_links == LINKS_MAX)
		return;
	if (zone_vm_connect(v->d->name, "vm.vnc", &monitor, &err) < 0) {
		log_warn("vnc: %s", error_message(&err));
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->vnc = v;
	l->fd[0] = steal_fd(&viewer);
	l->fd[1] = steal_fd(&monitor);
	list_add_tail(&v->links, &l->link);
	v->n_links++;
	for (int i = 0; i < 2 && r == 0; i++)
		r = event_add_fd(v->d->loop, l->fd[i], EPOLLIN, on_link, l, &l->source[i], &err);
	if (r < 0) {
		log_warn("vnc: %s", error_message(&err));
		link_free(l);
	}
}

/* The node's address on the admin network, or, where there is none, its own. */
static struct in_addr
admin_address(void)
{
	struct in_addr found = {.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_net struct net *net = NULL;
	struct ifaddrs *all = NULL;
	char link[IF_NAMESIZE];

	if (net_open(NULL, &net, NULL) < 0 || nictag_link(net, ADMIN_TAG, link, NULL) < 0 ||
	    getifaddrs(&all) < 0)
		return found;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && str_eq(a->ifa_name, link)) {
			found = ((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr;
			break;
		}
	freeifaddrs(all);
	return found;
}

static int
write_address(struct vnc *v, struct error *err)
{
	cleanup_free char *path = zone_path_run(v->d->name, "vnc");
	cleanup_free char *line = NULL;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char host[INET_ADDRSTRLEN];

	if (getsockname(v->listener, (struct sockaddr *)&sa, &len) < 0)
		return error_set_errno(err, errno, "vnc");
	inet_ntop(AF_INET, &sa.sin_addr, host, sizeof(host));
	line = str_printf("%s %d\n", host, ntohs(sa.sin_port));
	return file_write_atomic(path, line, strlen(line), 0644, err);
}

static int
open_port(struct vnc *v, int port, struct error *err)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr = admin_address()};
	int on = 1;

	v->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listener < 0)
		return error_set_errno(err, errno, "vnc");
	setsockopt(v->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(v->listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(v->listener, 8) < 0)
		return error_set_errno(err, errno, "vnc_port %d", port);
	return event_add_fd(v->d->loop, v->listener, EPOLLIN, on_viewer, v, &v->source, err);
}

/* The port of an earlier daemon of this boot: viewers find it where it was. */
static int
last_port(struct daemon *d)
{
	cleanup_free char *host = NULL;
	int port = 0;

	return zone_vnc_address(d->name, &host, &port, NULL) == 0 ? port : 0;
}

int
vnc_start(struct daemon *d, struct error *err)
{
	const char *want = zone_config_attr(d->config, "vnc-port");
	struct vnc *v;
	int port = 0, r;

	vnc_free(steal_ptr(&d->vnc));
	if (want && str_to_int(want, &port) < 0)
		return error_set(err, EINVAL, "vnc-port '%s' is no number", want);
	if (port < 0)
		return 0;
	v = xcalloc(1, sizeof(*v));
	v->d = d;
	list_init(&v->links);
	r = open_port(v, port ? port : last_port(d), err);
	if (r < 0 && port == 0) {
		/* another has taken it meanwhile */
		error_done(err);
		close(v->listener);
		r = open_port(v, 0, err);
	}
	if (r == 0)
		r = write_address(v, err);
	if (r < 0) {
		vnc_free(v);
		return r;
	}
	d->vnc = v;
	return 0;
}

void
vnc_free(struct vnc *v)
{
	struct vnc_link *l, *next;

	if (!v)
		return;
	list_for_each_safe(l, next, &v->links, link)
		link_free(l);
	event_source_free(v->source);
	if (v->listener >= 0)
		close(v->listener);
	free(v);
}

void
vnc_stop(struct daemon *d)
{
	cleanup_free char *path = zone_path_run(d->name, "vnc");

	vnc_free(steal_ptr(&d->vnc));
	unlink(path);
}
