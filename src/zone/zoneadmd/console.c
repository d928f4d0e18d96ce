/*
 * The zone's console.  The keeper's terminal is read all the time, or a zone
 * that prints much would stop; what comes goes to everybody who is connected
 * and to ZONEPATH/logs/console.log, which is started anew at 1 MiB (the last one is
 * kept as console.log.0).  A client that does not read loses bytes, not the others.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "zone/zoneadmd/zoneadmd.h"

#define LOG_MAX (1024 * 1024)
#define SYNC_TIMEOUT_MS 2000

struct console {
	struct daemon *d;
	int master;
	struct event_source *source;
	struct list_head clients;
	size_t n_clients;
	char *log_path;
	int log;
	size_t log_size;
};

struct console_client {
	struct list_head link;
	struct console *c;
	int fd;
	struct event_source *source;
};

static void
client_free(struct console_client *cl)
{
	list_del(&cl->link);
	cl->c->n_clients--;
	event_source_free(cl->source);
	close(cl->fd);
	free(cl);
}

/* ZONEPATH is the host's; what is below root/ is the zone's, logs/ is beside it. */
static void
open_log(struct console *c)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_free char *dir = NULL;
	struct stat st;

	if (zone_info_read(c->d->name, &zi, NULL) < 0 || !file_exists(zi.path))
		return;
	dir = str_printf("%s/logs", zi.path);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return;
	free(c->log_path);
	c->log_path = str_printf("%s/console.log", dir);
	c->log = open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->log >= 0 && fstat(c->log, &st) == 0)
		c->log_size = (size_t)st.st_size;
}

static void
log_bytes(struct console *c, const char *buf, size_t n)
{
	if (c->log < 0)
		open_log(c);
	if (c->log >= 0 && c->log_size > LOG_MAX) {
		cleanup_free char *old = str_printf("%s.0", c->log_path);

		close(c->log);
		c->log = -1;
		if (rename(c->log_path, old) == 0)
			c->log = open(c->log_path,
				      O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC |
					      O_NOFOLLOW, 0600);
		c->log_size = 0;
	}
	if (c->log >= 0 && fd_write_all(c->log, buf, n) == 0)
		c->log_size += n;
}

static void
spread(struct console *c, const char *buf, size_t n)
{
	struct console_client *cl, *next;

	log_bytes(c, buf, n);
	list_for_each_safe(cl, next, &c->clients, link)
		if (send(cl->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			client_free(cl);
}

static void
on_master(struct event_source *s, int fd, uint32_t events, void *arg)
{
	char buf[8192];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		spread(arg, buf, (size_t)n);
}

static void
on_client(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct console_client *cl = arg;
	char buf[1024];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(cl);
		return;
	}
	/* the terminal's input queue is 4 KiB; when the zone does not read it, typing is lost */
	if (write(cl->c->master, buf, (size_t)n) < 0 && errno != EAGAIN)
		log_warn("console: %s", strerror(errno));
}

int
console_new(struct daemon *d, int master, struct console **ret, struct error *err)
{
	struct console *c = xcalloc(1, sizeof(*c));
	int r;

	c->d = d;
	c->master = master;
	c->log = -1;
	list_init(&c->clients);
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	r = event_add_fd(d->loop, master, EPOLLIN, on_master, c, &c->source, err);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void
console_free(struct console *c)
{
	struct console_client *cl, *next;

	if (!c)
		return;
	list_for_each_safe(cl, next, &c->clients, link)
		client_free(cl);
	event_source_free(c->source);
	if (c->log >= 0)
		close(c->log);
	free(c->log_path);
	free(c);
}

int
console_attach(struct console *c, int *ret_fd, struct error *err)
{
	struct console_client *cl = xcalloc(1, sizeof(*cl));
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(cl);
		return error_set_errno(err, errno, "socketpair");
	}
	cl->c = c;
	cl->fd = pair[0];
	r = event_add_fd(c->d->loop, cl->fd, EPOLLIN, on_client, cl, &cl->source, err);
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		free(cl);
		return r;
	}
	list_add_tail(&c->clients, &cl->link);
	c->n_clients++;
	*ret_fd = pair[1];
	return 0;
}

/* As illumos tells those who watch: "[NOTICE: Zone halted]". */
void
console_notice(struct console *c, const char *text)
{
	cleanup_free char *line = str_printf("\r\n[NOTICE: %s]\r\n", text);

	spread(c, line, strlen(line));
}

/*
 * All that the zone printed until now is on its way through the terminal, which the kernel
 * empties when it likes.  A notice written behind it on the zone's side comes out behind it.
 */
bool
console_sync(struct console *c, const char *text)
{
	cleanup_free char *line = str_printf("\r\n[NOTICE: %s]\r\n", text);
	uint64_t end = time_mono_ms() + SYNC_TIMEOUT_MS;
	struct pollfd p = {.fd = c->d->console_slave, .events = POLLOUT};
	cleanup_strbuf struct strbuf seen = STRBUF_INIT;

	if (poll(&p, 1, 0) != 1 || fd_write_all(p.fd, line, strlen(line)) < 0)
		return false;
	p = (struct pollfd){.fd = c->master, .events = POLLIN};
	while (!seen.len || !memmem(seen.data, seen.len, text, strlen(text))) {
		uint64_t now = time_mono_ms();
		char buf[8192];
		ssize_t n;

		if (now >= end || poll(&p, 1, (int)(end - now)) < 0)
			return false;
		n = read(c->master, buf, sizeof(buf));
		if (n <= 0)
			continue;
		spread(c, buf, (size_t)n);
		strbuf_add(&seen, buf, (size_t)n);
	}
	return true;
}

void
console_rest(struct console *c)
{
	if (c->log >= 0)
		close(steal_fd(&c->log));
}

size_t
console_clients(const struct console *c)
{
	return c->n_clients;
}
