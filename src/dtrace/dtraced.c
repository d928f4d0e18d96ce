/*
 * dtraced(8): the broker.  In the global zone it offers each zone of an operating system a
 * socket in the zone's /.zonecontrol, and users of the global zone another, and for each
 * connection forks a consumer (consumer.c), which it watches and else leaves alone: it reads nothing
 * that a zone sends or keeps.
 *
 * Who asks is what the kernel says of the socket's other end: a process in the zone's cgroup and in
 * its user namespace (not one inside it).  The zone's root with the capability to trace
 * processes there may what the zone may: its limit_priv, read when it asks.  Everybody else may what of
 * that user_attr(5) of the zone gives him, with processes of his own (priv.c): those
 * files the consumer reads, for they may be anything.
 *
 * A consumer ends with its connection and with the broker; all probes are its descriptors,
 * so the kernel takes them out however it ends.  It lives in the cgroup zones/NAME/dtrace:
 * its memory and time are the zone's, and a halted zone has none; those of users of the global zone are
 * together in dtrace-users, with a limit.
 *
 * A zone that connects without end is not listened to for a second.  A user who has many
 * consumers leaves room for those of others.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/sock.h"
#include "dtrace/consumer.h"
#include "dtrace/request.h"
#include "os/caps.h"
#include "os/cgroup.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/procmap.h"
#include "zone/brand/brand.h"
#include "zone/model.h"
#include "zone/watch.h"
#include "zone/zone.h"

#define CONSUMERS_MAX 32 /* of a zone at a time */
#define OF_USER_MAX 8	 /* those that are a user's */
#define CONNECTS_MAX 64	 /* of a zone in a second */
#define GLOBAL "global"
#define USERS_CGROUP "dtrace-users"
#define USERS_MEMORY (UINT64_C(256) << 20)

#define NO_PRIVILEGE "failed to initialize dtrace: DTrace requires additional privileges"

struct broker {
	struct event_loop *loop;
	struct map *zones; /* by name */
	struct zone *global;
	struct zone_watch *watch;
};

struct zone {
	struct broker *broker;
	char *name;
	int fd; /* where it knocks */
	struct event_source *source, *pause;
	unsigned connects; /* since `pause` was set */
	struct list_head consumers;
	size_t n_consumers;
};

struct consumer {
	struct list_head link;
	struct zone *zone;
	uid_t uid; /* who asked */
	int conn, pidfd; /* pidfd: the loop's own */
	struct event_source *end, *hangup;
};

/* --- who asks */

static bool
has_capability(pid_t pid, int cap)
{
	cleanup_free char *path = str_printf("/proc/%d/status", (int)pid), *text = NULL;
	const char *line;
	uint64_t caps;

	if (file_read(path, 65536, &text, NULL, NULL) < 0 || !(line = strstr(text, "\nCapEff:")))
		return false;
	line += strlen("\nCapEff:");
	caps = strtoull(line, NULL, 16);
	return caps & CAP_BIT(cap);
}

static int
namespace_number(pid_t pid, const char *kind, uint32_t *ret, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/%d/ns/%s", (int)pid, kind);
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	*ret = (uint32_t)st.st_ino;
	return 0;
}

static bool
is_in_zone(pid_t pid, const char *zone)
{
	cleanup_free char *path = NULL, *prefix = zone_cgroup_path(zone);
	const char *rest;

	if (cgroup_of_pid(pid, &path, NULL) < 0)
		return false;
	if (str_eq(zone, GLOBAL))
		return !str_after(path[0] == '/' ? path + 1 : path, "zones/");
	rest = str_after(path[0] == '/' ? path + 1 : path, prefix);
	return rest && (!*rest || *rest == '/');
}

/* What holds for consumers of users of the global zone: most of it is ours. */
static int
global_facts(struct confine *ret, struct error *err)
{
	int r;

	ret->privs = PRIV_OF_ZONES | PRIV_DTRACE_KERNEL;
	ret->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->root < 0)
		return error_set_errno(err, errno, "/");
	if ((r = namespace_number(getpid(), "user", &ret->user_ns, err)) < 0)
		return r;
	return ns_open(getpid(), "pid", &ret->pid_ns, err);
}

/* What holds for the zone's consumers, from its init and its configuration. */
static int
zone_facts(const struct zone *z, struct confine *ret, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_zone_config struct zone_config *config = NULL;
	cleanup_free char *path = zone_cgroup_path(z->name);
	cleanup_close int cgroup = -1;
	int r;

	if ((r = zone_info_read(z->name, &zi, err)) < 0 ||
	    (r = zone_config_read(z->name, &config, err)) < 0 ||
	    (r = zone_config_uid_base(config, &ret->uid_base, err)) < 0 ||
	    (r = cgroup_open(path, &cgroup, err)) < 0)
		return r;
	if (!zi.init_pid || !is_in_zone(zi.init_pid, z->name))
		return error_set(err, ESRCH, "zone %s has no init", z->name);
	ret->cgroup = cgroup_id(cgroup);
	ret->privs = priv_parse(zone_config_get(config, "limitpriv")) & PRIV_OF_ZONES;
	if ((r = proc_root_open(zi.init_pid, &ret->root, err)) < 0 ||
	    (r = namespace_number(zi.init_pid, "user", &ret->user_ns, err)) < 0)
		return r;
	return ns_open(zi.init_pid, "pid", &ret->pid_ns, err);
}

/* 0; or why the peer may not trace, in err. */
static int
check_peer(const struct zone *z, int conn, struct confine *ret, struct error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	cleanup_close int pidfd = -1;
	uint32_t user_ns;
	int r;

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return error_set_errno(err, errno, "who connects");
	len = sizeof(pidfd);
	if (getsockopt(conn, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		return error_set_errno(err, errno, "who connects");
	if ((r = z == z->broker->global ? global_facts(ret, err) : zone_facts(z, ret, err)) < 0)
		return r;
	ret->owner = cred.uid;
	ret->group = cred.gid;
	ret->owner_only = !ret->cgroup || cred.uid != ret->uid_base ||
			  !has_capability(cred.pid, CAP_SYS_PTRACE);
	if (cred.pid <= 0 || !is_in_zone(cred.pid, z->name) ||
	    namespace_number(cred.pid, "user", &user_ns, err) < 0 || user_ns != ret->user_ns ||
	    (ret->cgroup && cred.uid - ret->uid_base >= 65536) ||
	    pidfd_ended(pidfd) != 0 /* all that was of this process, not of one with its number */)
		return error_set(err, EPERM,
				 NO_PRIVILEGE " (a container in a zone has none: trace it from the zone)");
	return ret->privs ? 0
			  : error_set(err, EPERM,
				      NO_PRIVILEGE
				      " (the zone's limit_priv has neither dtrace_user nor dtrace_proc)");
}

/* --- consumers */

static void
consumer_free(struct consumer *c)
{
	list_del(&c->link);
	c->zone->n_consumers--;
	event_source_free(c->end);
	event_source_free(c->hangup);
	close(c->conn);
	free(c);
}

static void
on_end(struct event_source *s, pid_t pid, const siginfo_t *si, void *arg)
{
	struct consumer *c = arg;

	if (si->si_code != CLD_EXITED && si->si_status != SIGKILL)
		log_warn("zone %s: consumer %d ended by signal %d", c->zone->name, (int)pid,
			 si->si_status);
	c->end = NULL; /* the loop frees it behind us */
	consumer_free(c);
}

/* The zone's dtrace is gone. */
static void
on_hangup(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct consumer *c = arg;

	if (!(events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		return;
	pidfd_signal(c->pidfd, SIGKILL, NULL);
	event_mod_fd(s, 0);
	event_source_free(steal_ptr(&c->hangup));
}

static void
run_consumer(int conn, struct confine *z)
{
	/* What is kept: the connection as 3, the zone's processes as 4, its files as 5. */
	int pid_ns = fcntl(z->pid_ns, F_DUPFD, 6), sock = fcntl(conn, F_DUPFD, 6);
	int root = fcntl(z->root, F_DUPFD, 6);
	sigset_t none;

	if (pid_ns < 0 || sock < 0 || root < 0 || dup2(sock, 3) < 0 || dup2(pid_ns, 4) < 0 ||
	    dup2(root, 5) < 0)
		_exit(CLI_FAILED);
	close_range(6, ~0U, 0);
	z->pid_ns = 4;
	z->root = 5;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(consumer_run(3, z, NULL, true));
}

/* Its cgroup; where the zone's own arrangement allows none inside, none. */
static int
open_cgroup(const struct zone *z, int *ret, struct error *err)
{
	cleanup_free char *zone = zone_cgroup_path(z->name), *path = str_printf("%s/dtrace", zone);
	int r;

	if (z != z->broker->global)
		return cgroup_create(path, ret, err);
	if ((r = cgroup_create(USERS_CGROUP, ret, err)) < 0 ||
	    (r = cgroup_enable(USERS_CGROUP, "memory", err)) < 0)
		return r;
	return cgroup_write(*ret, err, "memory.max", "%" PRIu64, USERS_MEMORY);
}

static int
start_consumer(struct zone *z, int conn, struct confine *confine, struct error *err)
{
	cleanup_close int cgroup = -1;
	struct consumer *c;
	int pidfd = -1, r = open_cgroup(z, &cgroup, err);
	pid_t pid;

	if (r < 0)
		return r;
	pid = cgroup_fork(cgroup, 0, &pidfd, err);
	if (pid == 0)
		run_consumer(conn, confine);
	if (pid < 0)
		return (int)pid;
	c = xcalloc(1, sizeof(*c));
	c->zone = z;
	c->uid = confine->owner;
	c->conn = fcntl(conn, F_DUPFD_CLOEXEC, 3);
	c->pidfd = pidfd;
	list_add_tail(&z->consumers, &c->link);
	z->n_consumers++;
	r = event_add_child(z->broker->loop, pid, pidfd, on_end, c, &c->end, err);
	if (r == 0)
		r = event_add_fd(z->broker->loop, c->conn, EPOLLRDHUP, on_hangup, c, &c->hangup, err);
	if (r < 0) {
		kill(pid, SIGKILL);
		consumer_free(c);
	}
	return r;
}

/* The zone's root may have all, though users have theirs. */
static int
check_room(const struct zone *z, const struct confine *confine, struct error *err)
{
	const struct consumer *c;
	size_t n = 0;

	list_for_each(c, &z->consumers, link)
		n += c->uid == confine->owner;
	if (confine->owner_only && n >= OF_USER_MAX)
		return error_set(err, EAGAIN, "%d of this user are tracing already: no more may",
				 OF_USER_MAX);
	if (z->n_consumers >= (confine->owner_only ? CONSUMERS_MAX / 2 : CONSUMERS_MAX))
		return error_set(err, EAGAIN, "%zu are tracing in this zone already: no more may",
				 z->n_consumers);
	return 0;
}

static int
serve(struct zone *z, int conn, struct error *err)
{
	struct confine confine = {.zone = z->name, .pid_ns = -1, .root = -1};
	int r = check_peer(z, conn, &confine, err);

	if (r == 0)
		r = check_room(z, &confine, err);
	if (r == 0)
		r = start_consumer(z, conn, &confine, err);
	if (confine.pid_ns >= 0)
		close(confine.pid_ns);
	if (confine.root >= 0)
		close(confine.root);
	return r;
}

/* --- zones */

static void
on_pause(struct event_source *s, void *arg)
{
	struct zone *z = arg;

	z->connects = 0;
	event_mod_fd(z->source, EPOLLIN);
}

static void
on_connect(struct event_source *s, int fd, uint32_t events, void *arg)
{
	cleanup_close int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	cleanup_error struct error err = ERROR_INIT;
	struct timeval no_patience = {.tv_usec = 1000};
	struct zone *z = arg;

	if (conn < 0)
		return;
	if (!z->connects++)
		event_timer_reset(z->pause, 1000);
	if (z->connects >= CONNECTS_MAX)
		event_mod_fd(s, 0);
	/* A new connection has room for what we say; only its consumer ever waits for it. */
	setsockopt(conn, SOL_SOCKET, SO_SNDTIMEO, &no_patience, sizeof(no_patience));
	if (serve(z, conn, &err) < 0)
		consumer_refuse(conn, error_message(&err));
}

static void
zone_free(void *p)
{
	struct zone *z = p;
	struct consumer *c, *next;

	if (!z)
		return;
	list_for_each_safe(c, next, &z->consumers, link) {
		pidfd_signal(c->pidfd, SIGKILL, NULL);
		consumer_free(c);
	}
	event_source_free(z->source);
	event_source_free(z->pause);
	if (z->fd >= 0)
		close(z->fd);
	free(z->name);
	free(z);
}

static struct zone *
zone_new(struct broker *b, const char *name)
{
	struct zone *z = xcalloc(1, sizeof(*z));

	z->broker = b;
	z->name = xstrdup(name);
	z->fd = -1;
	list_init(&z->consumers);
	return z;
}

static int
zone_listen(struct zone *z, struct error *err)
{
	int r = z == z->broker->global /* for users of the global zone */
			? sock_unix_listen_mode(REQUEST_GLOBAL, SOCK_SEQPACKET | SOCK_NONBLOCK,
						0666, &z->fd, err)
			: zone_control_listen(z->name, REQUEST_SOCKET, SOCK_SEQPACKET, 0666, &z->fd,
					      err);

	if (r < 0 || (r = event_add_timer(z->broker->loop, 1000, on_pause, z, &z->pause, err)) < 0)
		return r;
	return event_add_fd(z->broker->loop, z->fd, EPOLLIN, on_connect, z, &z->source, err);
}

static void
zone_add(void *arg, const char *name)
{
	struct broker *b = arg;
	cleanup_zone_config struct zone_config *config = NULL;
	cleanup_error struct error err = ERROR_INIT;
	const struct brand *brand;
	struct zone *z;

	if (map_has(b->zones, name))
		return;
	if (zone_config_read(name, &config, &err) < 0) {
		log_warn("%s: %s", name, error_message(&err));
		return;
	}
	brand = brand_find(zone_config_get(config, "brand"));
	if (!brand || brand->vm)
		return;
	z = zone_new(b, name);
	if (zone_listen(z, &err) < 0) {
		log_error("%s: %s", name, error_message(&err));
		zone_free(z);
		return;
	}
	map_set(b->zones, name, z);
}

static void
zone_remove(void *arg, const char *name)
{
	struct broker *b = arg;

	if (map_remove(b->zones, name))
		zone_control_remove(name, REQUEST_SOCKET);
}

static void
on_signal(struct event_source *s, int signo, void *arg)
{
	event_quit(arg, 0);
}

static int
start(struct broker *b, struct error *err)
{
	struct event_source *term, *intr;
	int r;

	b->zones = map_new(zone_free);
	if ((r = event_new(&b->loop, err)) < 0 ||
	    (r = event_add_signal(b->loop, SIGTERM, on_signal, b->loop, &term, err)) < 0 ||
	    (r = event_add_signal(b->loop, SIGINT, on_signal, b->loop, &intr, err)) < 0)
		return r;
	b->global = zone_new(b, GLOBAL);
	if ((r = zone_listen(b->global, err)) < 0)
		return r;
	return zone_watch_start(b->loop, b->zones, zone_add, zone_remove, b, &b->watch, err);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct broker b = {0};
	int r;

	cli_init(argv[0]);
	log_init("dtraced");
	if (argc > 1)
		return cli_usage_text(cli_asks_help(argc, argv), "dtraced");
	if (start(&b, &err) < 0)
		return cli_error(&err);
	log_info("serving");
	r = event_run(b.loop);
	map_free(b.zones);
	zone_free(b.global);
	unlink(REQUEST_GLOBAL);
	zone_watch_free(b.watch);
	event_free(b.loop);
	return r < 0 ? CLI_FAILED : CLI_OK;
}
