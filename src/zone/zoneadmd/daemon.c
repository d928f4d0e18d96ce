/*
 * The daemon: requests come in, the zone's state moves, waiters are answered.
 *
 * Going up is done in one go (it takes milliseconds); going down is a chain of
 * events: the kill is sent, the cgroup becomes empty, what the host holds for the
 * zone is taken away, the state becomes installed, and, if that is the goal, the
 * zone is booted again.  What does not go away within its time puts the zone into
 * `down` with the reason; the chain goes on by itself if it goes away later.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "net/vnic.h"
#include "os/pidfd.h"
#include "zone/config.h"
#include "zone/zoneadmd/zoneadmd.h"

#define KILL_TIMEOUT_MS 20000
#define IDLE_MS 1000

/* A request that is answered when the zone has come where it should. */
struct waiter {
	struct waiter *next;
	struct ipc_client *client;
	enum zone_state want;
};

static void begin_stop(struct daemon *d, enum daemon_goal goal);

/* ---- waiters ---- */

static void
wait_for(struct daemon *d, struct ipc_client *c, enum zone_state want)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->client = c;
	w->want = want;
	w->next = d->waiters;
	d->waiters = w;
}

/* All who wait are answered; with err, those who wanted `want` (or anything, if absent) get it. */
static void
answer(struct daemon *d, enum zone_state reached, const struct error *err)
{
	struct waiter **p = &d->waiters, *w;

	while ((w = *p)) {
		if (!err && w->want != reached) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		if (err)
			ipc_reply_error(w->client, err);
		else
			ipc_reply_ok(w->client);
		free(w);
	}
}

static void
on_closed(struct ipc_client *c, void *arg)
{
	struct daemon *d = arg;
	struct waiter **p = &d->waiters, *w;

	while ((w = *p)) {
		if (w->client == c) {
			*p = w->next;
			free(w);
		} else {
			p = &w->next;
		}
	}
	event_timer_reset(d->idle, IDLE_MS);
}

/* ---- going away when there is nothing to do ---- */

static bool
is_up(const struct daemon *d)
{
	return d->rt.state == ZONE_READY || d->rt.state == ZONE_RUNNING ||
	       d->rt.state == ZONE_SHUTTING_DOWN || d->rt.state == ZONE_DOWN;
}

static void
on_idle(struct event_source *s, void *arg)
{
	struct daemon *d = arg;

	if (!is_up(d) && !d->waiters && console_clients(d->console) == 0 &&
	    !ipc_client_next(d->server, NULL))
		event_quit(d->loop, DAEMON_DONE);
	else if (!is_up(d))
		event_timer_reset(d->idle, IDLE_MS);
}

/* ---- down ---- */

static void
forget_process(struct daemon *d)
{
	if (d->proc.pidfd >= 0)
		close(steal_fd(&d->proc.pidfd));
	if (d->proc.ctl >= 0)
		close(steal_fd(&d->proc.ctl));
	d->proc.pid = 0;
	event_source_free(d->child);
	d->child = NULL;
}

/* Everything the host holds for the zone.  May be repeated; nothing there is success. */
static int
zone_unbuild(struct daemon *d, struct error *err)
{
	cleanup_free char *path = zone_cgroup_path(d->name);
	int r;

	if (d->ops && d->ops->stopped)
		d->ops->stopped(d);
	r = zone_net_down(d, err);
	if (r < 0)
		return error_wrap(err, r, "VNICs");
	if (d->cgroup >= 0)
		close(steal_fd(&d->cgroup));
	r = cgroup_remove(path, err);
	if (r < 0)
		return error_wrap(err, r, "cgroup");
	forget_process(d);
	d->rt.init_pid = 0;
	d->rt.init_ino = 0;
	return 0;
}

/* A boot that failed half way: what came to be is killed and waited for. */
static void
abort_build(struct daemon *d, struct error *why)
{
	cleanup_error struct error err = ERROR_INIT;
	char said[1024];
	ssize_t n;

	/* what the first process said before it gave up, if we failed because of that */
	n = d->proc.ctl >= 0 ? recv(d->proc.ctl, said, sizeof(said) - 1, MSG_DONTWAIT) : 0;
	if (n > 0) {
		said[n] = '\0';
		if (!str_eq(said, CHILD_READY))
			error_set(why, EIO, "%s", said);
	}
	if (d->cgroup >= 0)
		cgroup_kill(d->cgroup, NULL);
	if (d->proc.pidfd >= 0) {
		struct pollfd p = {.fd = d->proc.pidfd, .events = POLLIN};

		if (poll(&p, 1, KILL_TIMEOUT_MS) <= 0)
			log_error("process %d does not end", (int)d->proc.pid);
	}
	if (zone_unbuild(d, &err) < 0)
		log_error("after a failed boot: %s", error_message(&err));
	console_rest(d->console);
}

static int boot(struct daemon *d, bool ready_only, struct error *err);

static void
finish_stop(struct daemon *d)
{
	cleanup_error struct error err = ERROR_INIT;
	enum daemon_goal goal = d->goal;

	event_source_free(steal_ptr(&d->deadline));
	cgroup_watch_free(steal_ptr(&d->watch));
	if (zone_unbuild(d, &err) < 0) {
		log_error("%s", error_message(&err));
		free(d->rt.reason);
		d->rt.reason = xstrdup(error_message(&err));
		if (d->rt.state != ZONE_DOWN)
			zone_state_move(d->name, ZONE_DOWN, &d->rt, NULL);
		answer(d, ZONE_DOWN, &err);
		return;
	}
	d->goal = GOAL_NONE;
	free(steal_ptr(&d->rt.goal));
	free(steal_ptr(&d->rt.reason));
	if (zone_state_move(d->name, ZONE_INSTALLED, &d->rt, &err) < 0) {
		log_error("%s", error_message(&err));
		answer(d, ZONE_INSTALLED, &err);
		return;
	}
	log_info("halted");
	console_notice(d->console, goal == GOAL_RUNNING ? "Zone rebooting" : "Zone halted");
	console_rest(d->console);
	answer(d, ZONE_INSTALLED, NULL);
	if (goal == GOAL_RUNNING) {
		if (boot(d, false, &err) < 0) {
			log_error("%s", error_message(&err));
			answer(d, ZONE_RUNNING, &err);
		}
		return;
	}
	if (d->leaving)
		event_quit(d->loop, DAEMON_DONE);
	event_timer_reset(d->idle, d->waiters ? IDLE_MS : 0);
}

static void
on_empty(struct cgroup_watch *w, void *arg)
{
	finish_stop(arg);
}

static void
on_deadline(struct event_source *s, void *arg)
{
	struct daemon *d = arg;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free pid_t *pids = NULL;
	cleanup_free char *comm = NULL;
	size_t n = 0;

	if (cgroup_pids(d->cgroup, &pids, &n, NULL) == 0 && n > 0) {
		cleanup_free char *path = str_printf("/proc/%d/comm", (int)pids[0]);

		file_read_line(path, &comm, NULL);
	}
	error_set(&err, EBUSY, "%zu process%s of the zone do%s not end: %d (%s)", n,
		  n == 1 ? "" : "es", n == 1 ? "es" : "", n ? (int)pids[0] : 0,
		  comm ? comm : "?");
	log_error("%s", err.message);
	free(d->rt.reason);
	d->rt.reason = xstrdup(err.message);
	if (d->rt.state != ZONE_DOWN)
		zone_state_move(d->name, ZONE_DOWN, &d->rt, NULL);
	answer(d, ZONE_INSTALLED, &err); /* the watch stays: it may still end */
}

/* Whatever is left of the zone is killed; on_empty() goes on when it is gone. */
static void
begin_stop(struct daemon *d, enum daemon_goal goal)
{
	cleanup_error struct error err = ERROR_INIT;

	d->goal = goal;
	free(d->rt.goal);
	d->rt.goal = xstrdup(goal == GOAL_RUNNING ? "running" : "installed");
	if (d->rt.state != ZONE_SHUTTING_DOWN &&
	    zone_state_move(d->name, ZONE_SHUTTING_DOWN, &d->rt, &err) < 0)
		log_error("%s", error_message(&err));
	event_source_free(steal_ptr(&d->deadline));
	if (d->cgroup < 0) {
		finish_stop(d);
		return;
	}
	if (cgroup_kill(d->cgroup, &err) < 0)
		log_error("%s", error_message(&err));
	/* NICs first and from our side: a network namespace that lingers must not hold them */
	if (zone_net_down(d, &err) < 0)
		log_error("%s", error_message(&err));
	if (event_add_timer(d->loop, KILL_TIMEOUT_MS, on_deadline, d, &d->deadline, &err) < 0 ||
	    (!d->watch && cgroup_watch(d->loop, d->cgroup, on_empty, d, &d->watch, &err) < 0))
		log_error("%s", error_message(&err));
}

/* ---- the end of init ---- */

static void
init_ended(struct daemon *d, int status)
{
	bool reboot = status >= 0 && (WIFSIGNALED(status)
					      ? WTERMSIG(status) == SIGHUP
					      : WEXITSTATUS(status) == d->brand->reboot_status);
	enum daemon_goal goal;

	d->rt.exit_status = status;
	d->rt.exit_ms = time_real_ms();
	if (d->rt.state == ZONE_SHUTTING_DOWN && d->watch)
		return; /* we killed it; the cgroup tells when all is gone */
	if (d->rt.state == ZONE_SHUTTING_DOWN)
		/* asked to shut down: what was asked for counts, not how it ended */
		goal = d->goal;
	else
		goal = reboot ? GOAL_RUNNING : GOAL_INSTALLED;
	if (goal == GOAL_RUNNING)
		d->rt.init_restarts++;
	log_info("init ended (%s %d)%s", status < 0 ? "unknown" : WIFSIGNALED(status) ? "signal" :
		 "status", status < 0 ? 0 : WIFSIGNALED(status) ? WTERMSIG(status) :
		 WEXITSTATUS(status), goal == GOAL_RUNNING ? ": rebooting" : "");
	begin_stop(d, goal);
}

static void
on_exit_record(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct daemon *d = arg;
	struct keeper_exit e;

	while (recv(fd, &e, sizeof(e), MSG_DONTWAIT) == sizeof(e))
		if (e.pid == d->proc.pid && e.pid != 0 && is_up(d) && d->proc.ctl < 0)
			init_ended(d, e.status);
}

/* An init that is not the keeper's child any more: only that it ended can be seen. */
static void
on_orphan_end(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct daemon *d = arg;
	struct keeper_exit e;

	event_source_free(steal_ptr(&d->child));
	/* a record may be there: it knows more */
	while (recv(d->exits_fd, &e, sizeof(e), MSG_DONTWAIT) == sizeof(e))
		if (e.pid == d->proc.pid) {
			init_ended(d, e.status);
			return;
		}
	init_ended(d, -1);
}

/* ---- up ---- */

static const struct brand_ops *
find_ops(const char *brand)
{
	static const struct brand_ops *const all[] = {&lx_ops, &joyent_ops, &kvm_ops, &bhyve_ops};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (str_eq(all[i]->name, brand))
			return all[i];
	return NULL;
}

static int
load(struct daemon *d, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	const char *brand;
	int r;

	r = zone_config_read(d->name, &c, err);
	if (r == 0)
		r = zone_config_verify(c, err);
	if (r < 0)
		return r;
	brand = zone_config_get(c, "brand");
	if (!brand_find(brand) || !find_ops(brand))
		return error_set(err, ENOTSUP, "zone %s: brand %s is not supported on this node",
				 d->name, brand);
	d->brand = brand_find(brand);
	d->ops = find_ops(brand);
	zone_config_free(d->config);
	d->config = steal_ptr(&c);
	return 0;
}

static int
boot(struct daemon *d, bool ready_only, struct error *err)
{
	cleanup_error struct error why = ERROR_INIT;
	int r;

	if (d->rt.state != ZONE_READY) {
		r = load(d, err);
		if (r < 0)
			return r;
		r = zone_build(d, &why);
		if (r < 0)
			goto failed;
	}
	if (ready_only) {
		answer(d, ZONE_READY, NULL);
		return 0;
	}
	console_notice(d->console, "Zone booting up");
	r = zone_start_init(d, &why);
	if (r < 0)
		goto failed;
	log_info("running, zone id %d, init %d", d->rt.id, (int)d->proc.pid);
	answer(d, ZONE_RUNNING, NULL);
	return 0;

failed:
	r = -why.code;
	abort_build(d, &why);
	free(d->rt.reason);
	d->rt.reason = str_printf("boot failed: %s", error_message(&why));
	log_error("%s", d->rt.reason);
	if (is_up(d)) {
		/* it was ready: back through the door */
		zone_state_move(d->name, ZONE_SHUTTING_DOWN, &d->rt, NULL);
		zone_state_move(d->name, ZONE_INSTALLED, &d->rt, NULL);
	} else {
		d->rt.state = ZONE_INSTALLED;
		zone_runtime_write(d->name, &d->rt, NULL);
	}
	error_move(err, &why);
	event_timer_reset(d->idle, IDLE_MS);
	return error_wrap(err, r < 0 ? r : -EIO, "zone %s", d->name);
}

/* ---- requests ---- */

static int
state_check(struct daemon *d, struct error *err)
{
	enum zone_state s;
	int r = zone_state_now(d->name, &s, err);

	if (r < 0)
		return r;
	if (s < ZONE_INSTALLED)
		return error_set(err, EBUSY, "zone %s is %s: install it first", d->name,
				 zone_state_name(s));
	return 0;
}

static int
do_boot(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	bool ready_only = json_bool(json_get(q, "ready"), false);
	enum zone_state want = ready_only ? ZONE_READY : ZONE_RUNNING;
	int r;

	r = state_check(d, err);
	if (r < 0)
		return r;
	if (d->rt.state == ZONE_RUNNING || d->rt.state == ZONE_SHUTTING_DOWN ||
	    d->rt.state == ZONE_DOWN || (ready_only && d->rt.state == ZONE_READY))
		return error_set(err, EBUSY, "zone %s is %s", d->name,
				 zone_state_name(d->rt.state));
	free(d->bootargs);
	d->bootargs = xstrdup(json_str(json_get(q, "bootargs"), NULL));
	d->rt.init_restarts = 0;
	r = boot(d, ready_only, err);
	if (r < 0)
		return r;
	return d->rt.state == want ? 0 : error_set(err, EIO, "zone %s is %s", d->name,
						   zone_state_name(d->rt.state));
}

static int
not_up(struct daemon *d, struct error *err)
{
	return error_set(err, ESRCH, "zone %s is not running", d->name);
}

/* Returns 1 when the answer comes later. */
static int
do_halt(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	if (!is_up(d))
		return not_up(d, err);
	wait_for(d, c, ZONE_INSTALLED);
	begin_stop(d, GOAL_INSTALLED);
	return 1;
}

/* zone_quiesce(): down, if it is up, and then we go. */
static int
do_quit(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	d->leaving = true;
	if (is_up(d))
		return do_halt(d, c, q, err);
	event_quit(d->loop, DAEMON_DONE);
	return 0;
}

static int
do_reboot(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	if (!is_up(d))
		return not_up(d, err);
	wait_for(d, c, ZONE_RUNNING);
	free(steal_ptr(&d->bootargs)); /* they were for one boot */
	begin_stop(d, GOAL_RUNNING);
	return 1;
}

static void
on_shutdown_deadline(struct event_source *s, void *arg)
{
	struct daemon *d = arg;

	log_warn("the zone did not shut down in time: killing it");
	begin_stop(d, d->goal);
}

static int
do_shutdown(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	bool reboot = json_bool(json_get(q, "reboot"), false);
	int64_t seconds = json_int(json_get(q, "timeout"), 0);
	int r;

	if (!is_up(d))
		return not_up(d, err);
	if (d->rt.state != ZONE_RUNNING || !d->ops->ask) {
		return reboot ? do_reboot(d, c, q, err) : do_halt(d, c, q, err);
	}
	r = d->ops->ask(d, reboot, err);
	if (r < 0)
		return r;
	d->goal = reboot ? GOAL_RUNNING : GOAL_INSTALLED;
	free(d->rt.goal);
	d->rt.goal = xstrdup(reboot ? "running" : "installed");
	r = zone_state_move(d->name, ZONE_SHUTTING_DOWN, &d->rt, err);
	if (r < 0)
		return r;
	event_source_free(steal_ptr(&d->deadline));
	r = event_add_timer(d->loop,
			    (seconds > 0 ? (uint64_t)seconds : d->brand->shutdown_s) * 1000,
			    on_shutdown_deadline, d, &d->deadline, err);
	if (r < 0)
		return r;
	wait_for(d, c, reboot ? ZONE_RUNNING : ZONE_INSTALLED);
	return 1;
}

static int
do_apply(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	cleanup_zone_config struct zone_config *fresh = NULL;
	int r;

	if (!is_up(d))
		return not_up(d, err);
	r = zone_config_read(d->name, &fresh, err);
	if (r < 0)
		return r;
	zone_config_free(d->config);
	d->config = steal_ptr(&fresh);
	r = zone_limits_apply(d, err);
	if (r == 0 && d->ops->apply && d->rt.state == ZONE_RUNNING)
		r = d->ops->apply(d, err);
	return r;
}

static int
do_kill(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	int64_t signo = json_int(json_get(q, "signo"), 0);

	if (d->rt.state != ZONE_RUNNING && d->rt.state != ZONE_SHUTTING_DOWN)
		return not_up(d, err);
	if (signo < 1 || signo > 64)
		return error_set(err, EINVAL, "%d is no signal", (int)signo);
	return pidfd_signal(d->proc.pidfd, (int)signo, err);
}

static int
do_console(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	cleanup_close int fd = -1;
	int r;

	r = console_attach(d->console, &fd, err);
	if (r < 0)
		return r;
	ipc_reply(c, json_new_object(), &fd, 1);
	return 1;
}

static int
do_ping(struct daemon *d, struct ipc_client *c, const struct json *q, struct error *err)
{
	return 0;
}

static const struct {
	const char *op;
	int (*run)(struct daemon *d, struct ipc_client *c, const struct json *q,
		   struct error *err);
} ops[] = {
	{"boot", do_boot},   {"halt", do_halt}, {"reboot", do_reboot}, {"shutdown", do_shutdown},
	{"apply", do_apply}, {"kill", do_kill}, {"console", do_console}, {"ping", do_ping},
	{"quit", do_quit},
};

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *op = json_str(json_get(m->body, "op"), "");
	struct daemon *d = arg;
	int r;

	if (m->cred.pid != 0 && m->cred.uid != 0) {
		error_set(&err, EPERM, "only root may do that");
		ipc_reply_error(c, &err);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!str_eq(ops[i].op, op))
			continue;
		r = ops[i].run(d, c, m->body, &err);
		if (r < 0)
			ipc_reply_error(c, &err);
		else if (r == 0)
			ipc_reply_ok(c);
		return;
	}
	error_set(&err, EINVAL, "no operation '%s'", op);
	ipc_reply_error(c, &err);
}

/* ---- taking up what an earlier daemon left ---- */

/* A zone that says installed, but something of it is there: a boot that was cut short. */
static void
clean_leftovers(struct daemon *d)
{
	cleanup_free char *path = zone_cgroup_path(d->name);
	cleanup_error struct error err = ERROR_INIT;

	if (!cgroup_exists(path))
		return;
	log_warn("removing what an interrupted boot left");
	if (cgroup_open(path, &d->cgroup, &err) < 0) {
		log_error("%s", error_message(&err));
		return;
	}
	d->rt.state = ZONE_SHUTTING_DOWN; /* in memory only: nothing but us depends on it */
	if (zone_runtime_write(d->name, &d->rt, &err) < 0)
		log_error("%s", error_message(&err));
	begin_stop(d, GOAL_INSTALLED);
}

static pid_t
parent_of(pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/stat", (int)pid);
	cleanup_free char *stat = NULL;
	const char *p;
	int parent;

	if (file_read(path, 4096, &stat, NULL, NULL) < 0)
		return 0;
	p = strrchr(stat, ')'); /* the name may hold anything */
	return p && sscanf(p, ") %*c %d", &parent) == 1 ? parent : 0;
}

static int
resume(struct daemon *d, struct error *err)
{
	cleanup_free char *path = zone_cgroup_path(d->name);
	int r;

	r = load(d, err);
	if (r < 0)
		return r;
	r = cgroup_open(path, &d->cgroup, err);
	if (r < 0 && r != -ENOENT)
		return r;
	d->proc.pid = d->rt.init_pid;
	log_info("taking up the zone again (%s)", zone_state_name(d->rt.state));
	if (pidfd_open_noted(d->rt.init_pid, d->rt.init_ino, &d->proc.pidfd, NULL) == 0 &&
	    parent_of(d->rt.init_pid) != getppid()) {
		/* the keeper that made it is gone, nobody will tell us how it ends */
		r = event_add_fd(d->loop, d->proc.pidfd, EPOLLIN, on_orphan_end, d, &d->child,
				 err);
		if (r < 0)
			return r;
	}
	d->goal = str_eq(d->rt.goal, "running") ? GOAL_RUNNING :
		  d->rt.goal ? GOAL_INSTALLED : GOAL_NONE;
	switch (d->rt.state) {
	case ZONE_RUNNING:
		if (d->proc.pidfd < 0)
			return 0; /* the exit record or, without one, daemon_run() goes on */
		return d->ops->resume ? d->ops->resume(d, err) : 0;
	case ZONE_READY: /* its first process left with the daemon that made it */
	case ZONE_SHUTTING_DOWN:
	case ZONE_DOWN:
		begin_stop(d, d->goal == GOAL_RUNNING ? GOAL_RUNNING : GOAL_INSTALLED);
		return 0;
	case ZONE_CONFIGURED:
	case ZONE_INCOMPLETE:
	case ZONE_INSTALLED:
	case ZONE_MOUNTED:
	case ZONE_ABSENT:
		return 0;
	}
	return 0;
}

static void
on_keeper(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct daemon *d = arg;

	event_quit(d->loop, DAEMON_KEEPER_LOST);
}

static int
set_up(struct daemon *d, struct keeper_fds *k, int keeper_pidfd, struct error *err)
{
	cleanup_free char *sock = zone_path_run(d->name, "zoneadmd.sock");
	int r;

	d->console_slave = k->slave;
	d->exits_fd = k->exits[1];
	r = event_new(&d->loop, err);
	if (r == 0)
		r = zone_runtime_read(d->name, &d->rt, err);
	if (r == 0)
		r = event_add_timer(d->loop, IDLE_MS, on_idle, d, &d->idle, err);
	if (r == 0)
		r = console_new(d, k->master, &d->console, err);
	if (r == 0)
		r = event_add_fd(d->loop, keeper_pidfd, EPOLLIN, on_keeper, d, &d->keeper, err);
	if (r == 0)
		r = ipc_listen(d->loop, sock, 0600, on_request, on_closed, d, &d->server, err);
	return r;
}

static void
tear_down(struct daemon *d)
{
	while (d->waiters) {
		struct waiter *w = d->waiters;

		d->waiters = w->next;
		free(w);
	}
	if (d->server)
		ipc_server_free(d->server);
	if (d->ops && d->ops->release)
		d->ops->release(d);
	vnc_free(d->vnc);
	console_free(d->console);
	cgroup_watch_free(d->watch);
	event_source_free(d->deadline);
	forget_process(d);
	if (d->loop)
		event_free(d->loop);
	if (d->cgroup >= 0)
		close(d->cgroup);
	zone_config_free(d->config);
	zone_runtime_done(&d->rt);
	free(d->bootargs);
	free(d->name);
}

int
daemon_run(const char *name, struct keeper_fds *k)
{
	cleanup_error struct error err = ERROR_INIT;
	struct daemon d = {
		.name = xstrdup(name),
		.rt = ZONE_RUNTIME_INIT,
		.proc = {.pidfd = -1, .ctl = -1},
		.cgroup = -1,
	};
	cleanup_close int keeper = -1;
	int r;

	r = pidfd_open_pid(getppid(), &keeper, &err);
	if (r == 0)
		r = set_up(&d, k, keeper, &err);
	if (r == 0 && is_up(&d))
		r = resume(&d, &err);
	else if (r == 0)
		clean_leftovers(&d);
	if (r == 0)
		r = event_add_fd(d.loop, k->exits[1], EPOLLIN, on_exit_record, &d, &d.exits, &err);
	if (r < 0) {
		log_error("%s", error_message(&err));
		tear_down(&d);
		return DAEMON_FAILED;
	}
	if (k->ready >= 0) {
		if (write(k->ready, "", 1) < 0)
			log_warn("nobody waited for us");
		close(k->ready);
		k->ready = -1;
	}
	if (d.rt.state == ZONE_RUNNING && d.proc.pidfd < 0) {
		/* it ended while nobody looked */
		on_exit_record(NULL, k->exits[1], 0, &d);
		if (d.rt.state == ZONE_RUNNING)
			init_ended(&d, -1);
	}
	r = event_run(d.loop);
	tear_down(&d);
	return r == DAEMON_DONE || r == DAEMON_KEEPER_LOST ? r : DAEMON_FAILED;
}
