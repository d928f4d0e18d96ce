/*
 * svc.startd: starts services when what they depend on runs, notices when they
 * fail, restarts them, and stops them in reverse order.
 *
 * It may be killed at any time.  What it must not forget is in the state file
 * (state.h) and in the kernel's cgroups; what the services are comes from the
 * plan (plan.h).  After a restart it adopts what runs: a contract by watching
 * its cgroup, a method by its process id, whose exit status PID 1 passes on,
 * because orphans are PID 1's children then.  No process is started for
 * something that is already running, and none is forgotten.
 *
 * While it lives, startd is the subreaper of all services: orphans of a
 * contract are its children, so it sees how daemons die.
 */
#include "smf/startd.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "os/run.h"
#include "smf/init.h"

/* Whoever mounts /var; the first that is configured counts. */
static const char *const var_services[] = {"svc:/system/filesystem/minimal:default",
					   "svc:/system/filesystem/smartdc:default"};

struct startd startd = {.init_fd = -1, .null_fd = -1, .early = true};

/* The dirty list. */

static void
run_round(struct event_source *s, void *arg)
{
	struct inst *i;

	static bool trimmed;

	startd.round = NULL;
	while ((i = list_first(&startd.dirty, struct inst, dirty)) != NULL) {
		list_del(&i->dirty);
		inst_eval(i);
		if (!i->conf && !smf_state_running((enum smf_state)i->rec->state) && !i->killing &&
		    i->rec->phase == PHASE_NONE) {
			struct state_rec *r = i->rec;

			graph_clear_deps(startd.graph, i->v);
			inst_free(i);
			state_drop(startd.state, r);
		}
	}
	if (!trimmed && startd.plan && plan_size(startd.plan))
		trimmed = malloc_trim(0) >= 0; /* what the first look at the plan took */
	startd_settled();
}

void
startd_touch(struct inst *i)
{
	cleanup_error struct error err = ERROR_INIT;

	if (list_empty(&i->dirty))
		list_add_tail(&startd.dirty, &i->dirty);
	if (!startd.round &&
	    event_defer(startd.loop, run_round, NULL, &startd.round, &err) < 0)
		log_error("%s", error_message(&err));
}

/* Deadlines: one timer for the earliest. */

static void
arm(uint64_t at)
{
	uint64_t now = time_mono_ms();

	startd.timer_at = at;
	event_timer_reset(startd.timer, at > now ? at - now : 0);
}

static void
on_timer(struct event_source *s, void *arg)
{
	struct list_head due = LIST_INIT(due);
	uint64_t now = time_mono_ms(), next = 0;
	struct inst *i, *tmp;

	startd.timer_at = 0;
	list_for_each_safe(i, tmp, &startd.flight, flight) {
		if (i->deadline <= now) {
			list_del(&i->flight);
			list_add_tail(&due, &i->flight);
		} else if (!next || i->deadline < next) {
			next = i->deadline;
		}
	}
	if (next)
		arm(next);
	while ((i = list_first(&due, struct inst, flight)) != NULL) {
		list_del(&i->flight);
		i->deadline = 0;
		inst_deadline(i);
	}
}

void
startd_set_deadline(struct inst *i, uint64_t at)
{
	i->deadline = at;
	list_del(&i->flight);
	if (!at)
		return;
	list_add_tail(&startd.flight, &i->flight);
	if (!startd.timer_at || at < startd.timer_at)
		arm(at);
}

/* Children. */

void
startd_watch_pid(struct inst *i, pid_t pid)
{
	struct pid_node *n = xcalloc(1, sizeof(*n)), **at = &startd.by_pid[pid % PID_BUCKETS];

	*n = (struct pid_node){*at, i, pid};
	*at = n;
}

void
startd_forget_pid(struct inst *i, pid_t pid)
{
	size_t first = pid ? (size_t)pid % PID_BUCKETS : 0, last = pid ? first + 1 : PID_BUCKETS;

	for (size_t b = first; b < last; b++) {
		for (struct pid_node **at = &startd.by_pid[b]; *at;) {
			struct pid_node *n = *at;

			if (n->inst != i || (pid && n->pid != pid)) {
				at = &n->next;
				continue;
			}
			*at = n->next;
			free(n);
		}
	}
}

/* A child, or PID 1's child of whom it told us, ended. */
static void
child_ended(pid_t pid, int code, int status, const char *cgroup)
{
	struct inst *i;

	for (struct pid_node *n = startd.by_pid[pid % PID_BUCKETS]; n; n = n->next) {
		if (n->pid == pid) {
			inst_child_ended(n->inst, pid, code, status);
			return;
		}
	}
	if (code == CLD_EXITED || !cgroup)
		return;
	list_for_each(i, &startd.insts, link) {
		if (str_ends(cgroup, i->cgroup)) {
			inst_member_killed(i, pid, code, status);
			return;
		}
	}
}

static bool
awaited(pid_t pid)
{
	for (struct pid_node *n = startd.by_pid[pid % PID_BUCKETS]; n; n = n->next) {
		if (n->pid == pid)
			return true;
	}
	return false;
}

static void
on_sigchld(struct event_source *s, int signo, void *arg)
{
	siginfo_t si;

	for (;;) {
		cleanup_free char *cgroup = NULL;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		/* Its cgroup can be asked for until it is reaped. */
		if (si.si_code != CLD_EXITED && !awaited(si.si_pid))
			(void)cgroup_of_pid(si.si_pid, &cgroup, NULL);
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		child_ended(si.si_pid, si.si_code, si.si_status, cgroup);
	}
}

/* What is to run. */

static bool
wanted(const struct inst *i)
{
	const struct plan_inst *c = i->conf;

	if (!c || startd.shutdown)
		return false;
	if (!plan_get_bool(startd.plan, c, "general_ovr", "enabled",
			   plan_get_bool(startd.plan, c, "general", "enabled", false)))
		return false;
	if (startd.milestone_none || startd.milestone)
		return str_eq(i->v->name, SMF_MASTER_RESTARTER) ||
		       (startd.milestone && graph_marked(startd.graph, i->v));
	return true;
}

/* Who restarts it is not us: it stays uninitialized until its restarter speaks for it. */
static bool
delegated(const struct plan_inst *c)
{
	const char *r = plan_get(startd.plan, c, "general", "restarter", NULL);

	return r && !str_eq(r, SMF_MASTER_RESTARTER) && !str_eq(r, "svc:/system/svc/restarter");
}

static void
decide_all(void)
{
	struct inst *i;

	if (startd.milestone)
		graph_mark_below(startd.graph, startd.milestone);
	list_for_each(i, &startd.insts, link)
		i->v->enabled = wanted(i);
	graph_changed(startd.graph);
	/* All that are to stop are marked before the first stops, so that the order is right. */
	list_for_each(i, &startd.insts, link) {
		if (!i->v->enabled)
			inst_stop(i, STOP_DISABLE);
	}
	list_for_each(i, &startd.insts, link) {
		const char *why = i->conf ? plan_get(startd.plan, i->conf, "general_ovr", "comment",
						     plan_get(startd.plan, i->conf, "general",
							      "comment", ""))
					  : "";

		if (strncmp(i->rec->comment, why, sizeof(i->rec->comment) - 1) != 0) {
			state_begin(i->rec);
			memset(i->rec->comment, 0, sizeof(i->rec->comment));
			strncpy(i->rec->comment, why, sizeof(i->rec->comment) - 1);
			state_end(startd.state, i->rec);
		}
		startd_touch(i);
	}
}

/* Somebody must import the manifests of an image that has no seed. */
static void
early_import(void)
{
	const char *const argv[] = {"/usr/sbin/svccfg", "import", "--early", "/lib/svc/manifest",
				    NULL};
	struct run_opts opts = {.in = RUN_NULL, .out = RUN_INHERIT, .err = RUN_INHERIT};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child child;
	static bool done;

	if (done)
		return;
	done = true;
	log_info("the repository is empty: importing /lib/svc/manifest");
	if (run_start(argv, &opts, &child, &err) < 0)
		log_error("%s", error_message(&err));
	else
		close(child.pidfd); /* it is reaped like any child; its work arrives as a plan */
}

static struct inst *
inst_of(const char *fmri)
{
	cleanup_error struct error err = ERROR_INIT;
	struct vertex *v = graph_vertex(startd.graph, fmri);
	struct state_rec *rec;
	struct inst *i;

	if (!v || v->data)
		return v ? v->data : NULL;
	rec = state_rec(startd.state, fmri, &err);
	if (!rec) {
		log_error("%s", error_message(&err));
		return NULL;
	}
	i = inst_new(v, rec);
	list_add_tail(&startd.insts, &i->link);
	return i;
}

/* options/milestone of the master restarter (svcadm milestone -d): where the boot is to end. */
static void
boot_milestone(void)
{
	const struct plan_inst *c = plan_find(startd.plan, SMF_MASTER_RESTARTER);
	const char *name = c ? plan_get(startd.plan, c, "options", "milestone", "all") : "all";
	struct vertex *v = graph_find(startd.graph, name);

	if (str_eq(name, "none"))
		startd.milestone_none = true;
	else if (v && v->configured)
		startd.milestone = v;
	else if (!str_eq(name, "all"))
		log_warn("milestone %s does not exist: going to all", name);
}

static void
take_plan(struct plan *p, bool adopt)
{
	struct plan *old = startd.plan;
	struct inst *i;

	startd.plan = p;
	list_for_each(i, &startd.insts, link) {
		i->conf = NULL;
		i->v->configured = false;
	}
	/* Twice: a dependency is judged when all that exists is known. */
	for (size_t n = 0; n < plan_size(p); n++) {
		i = delegated(plan_at(p, n)) ? NULL : inst_of(plan_fmri(p, plan_at(p, n)));
		if (i)
			i->v->configured = true;
	}
	for (size_t n = 0; n < plan_size(p); n++) {
		struct vertex *v = graph_find(startd.graph, plan_fmri(p, plan_at(p, n)));

		if (v && v->data && v->configured)
			inst_configure(v->data, p, plan_at(p, n));
	}
	if (!old)
		boot_milestone();
	plan_free(old);
	if (adopt) {
		list_for_each(i, &startd.insts, link) {
			i->v->enabled = wanted(i);
			inst_adopt(i);
		}
	}
	decide_all();
	startd_early_logs();
	if (plan_size(p) == 0)
		early_import();
}

static void
load_plan(bool adopt)
{
	cleanup_error struct error err = ERROR_INIT;
	struct plan *p;

	if (plan_map(SMF_PLAN_PATH, &p, &err) < 0)
		log_error("%s; going on with what is known", error_message(&err));
	else
		take_plan(p, adopt);
}

static void
on_inotify(struct event_source *s, int fd, uint32_t events, void *arg)
{
	char buf[4096] __attribute__((aligned(8)));
	bool plan = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (void *)p;

			if (e->len && str_eq(e->name, "plan"))
				plan = true;
			p += sizeof(*e) + e->len;
		}
	}
	if (plan)
		load_plan(false);
}

/* Logs. */

void
startd_early_logs(void)
{
	const struct vertex *v;

	if (!startd.early || !startd.plan || plan_size(startd.plan) == 0)
		return;
	for (size_t n = 0; n < ARRAY_SIZE(var_services); n++) {
		v = graph_find(startd.graph, var_services[n]);
		if (!v || !v->configured || !v->enabled)
			continue;
		if (!vertex_running(v))
			return;
		break;
	}
	startd.early = false;
	svclog_move();
}

/* Going down. */

void
startd_settled(void)
{
	struct inst *i;

	if (!startd.shutdown)
		return;
	list_for_each(i, &startd.insts, link) {
		if (smf_state_running((enum smf_state)i->rec->state) || i->killing ||
		    i->rec->phase != PHASE_NONE)
			return;
	}
	log_info("all services are stopped");
	event_quit(startd.loop, 0);
}

static void
begin_shutdown(void)
{
	if (startd.shutdown)
		return;
	log_info("stopping all services");
	startd.shutdown = true;
	decide_all();
	startd_settled();
}

static void
on_init(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct init_msg m;
	ssize_t n;

	while ((n = recv(fd, &m, sizeof(m), MSG_DONTWAIT)) == sizeof(m)) {
		m.cgroup[sizeof(m.cgroup) - 1] = '\0';
		if (m.type == INIT_SHUTDOWN)
			begin_shutdown();
		else if (m.type == INIT_REAPED)
			child_ended(m.pid, m.code, m.status, m.cgroup);
	}
	if (n == 0) { /* PID 1 does not die; in a test its stand-in may */
		event_source_free(s);
		startd.init_fd = -1;
	}
}

/* Requests. */

void
startd_announce(struct inst *i)
{
	struct ipc_client *c = NULL;

	if (!startd.server)
		return;
	while ((c = ipc_client_next(startd.server, c)) != NULL) {
		struct json *e;

		if (!ipc_client_data(c))
			continue;
		e = json_new_object();
		json_set_str(e, "event", "state");
		json_set_str(e, "fmri", i->v->name);
		json_set_str(e, "state", smf_state_name((enum smf_state)i->rec->state));
		json_set_str(e, "next", smf_state_name((enum smf_state)i->rec->next));
		json_set_str(e, "aux", i->rec->aux);
		if (ipc_reply(c, e, NULL, 0) < 0)
			c = NULL; /* it was dropped for not reading: look from the start */
	}
}

static int
req_restart(struct inst *i, const struct json *q, struct error *err)
{
	return inst_restart(i, json_bool(json_get(q, "dump"), false), err);
}

static int
req_refresh(struct inst *i, const struct json *q, struct error *err)
{
	inst_refresh(i);
	return 0;
}

static int
req_clear(struct inst *i, const struct json *q, struct error *err)
{
	return inst_clear(i, err);
}

static int
req_mark(struct inst *i, const struct json *q, struct error *err)
{
	enum smf_state to;

	if (smf_state_parse(json_str(json_get(q, "state"), ""), &to) < 0 ||
	    (to != SMF_MAINTENANCE && to != SMF_DEGRADED))
		return error_set(err, EINVAL, "an instance is marked maintenance or degraded");
	return inst_mark(i, to, json_bool(json_get(q, "immediate"), false), err);
}

static const struct {
	const char *name;
	int (*run)(struct inst *i, const struct json *q, struct error *err);
} requests[] = {
	{"restart", req_restart}, {"refresh", req_refresh}, {"clear", req_clear}, {"mark", req_mark},
};

static int
set_milestone(const char *name, struct error *err)
{
	struct vertex *v = NULL;

	if (!str_eq(name, "all") && !str_eq(name, "none")) {
		v = graph_find(startd.graph, name);
		if (!v || !v->configured)
			return error_set(err, ENOENT, "%s is not a milestone", name);
	}
	startd.milestone = v;
	startd.milestone_none = str_eq(name, "none");
	log_info("milestone %s", name);
	decide_all();
	return 0;
}

static int
request(const struct json *q, struct error *err)
{
	const char *op = json_str(json_get(q, "op"), ""), *fmri = json_str(json_get(q, "fmri"), "");
	struct vertex *v;

	if (str_eq(op, "milestone"))
		return set_milestone(fmri, err);
	v = graph_find(startd.graph, fmri);
	if (!v || !v->data)
		return error_set(err, ENOENT, "%s is not an instance svc.startd manages", fmri);
	for (size_t n = 0; n < ARRAY_SIZE(requests); n++) {
		if (str_eq(op, requests[n].name))
			return requests[n].run(v->data, q, err);
	}
	return error_set(err, EINVAL, "unknown operation \"%s\"", op);
}

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	int r = 0;

	if (str_eq(json_str(json_get(m->body, "op"), ""), "subscribe"))
		ipc_client_set_data(c, &startd);
	else if (m->cred.pid == 0 || m->cred.uid != 0)
		r = error_set(&err, EPERM, "Permission denied.");
	else
		r = request(m->body, &err);
	if (r < 0)
		ipc_reply_error(c, &err);
	else
		ipc_reply_ok(c);
}

/* A service asked to be disabled (exit 101): configd is told, nobody waits for its answer. */
int
startd_temp_disable(struct inst *i)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *q = json_new_object();
	cleanup_close int fd = -1;
	int r;

	json_set_str(q, "op", "enable");
	json_set_str(q, "fmri", i->v->name);
	json_set_bool(q, "enabled", false);
	json_set_bool(q, "temporary", true);
	json_set_str(q, "comment", "disabled by its start method");
	r = ipc_connect(SMF_CONFIGD_SOCKET, &fd, &err);
	if (r == 0)
		r = ipc_send(fd, q, NULL, 0, &err);
	if (r < 0)
		log_error("%s: %s", i->v->name, error_message(&err));
	return r;
}

/* Start. */

static void
on_terminate(struct event_source *s, int signo, void *arg)
{
	event_quit(startd.loop, 0); /* PID 1 starts another, which goes on */
}

static int
listen_all(struct error *err)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), r;

	if (fd < 0 || inotify_add_watch(fd, SMF_VOLATILE_DIR, IN_MOVED_TO) < 0)
		return error_set_errno(err, errno, "watching %s", SMF_VOLATILE_DIR);
	r = event_add_fd(startd.loop, fd, EPOLLIN, on_inotify, NULL, NULL, err);
	if (r == 0)
		r = event_add_signal(startd.loop, SIGCHLD, on_sigchld, NULL, NULL, err);
	if (r == 0)
		r = event_add_signal(startd.loop, SIGTERM, on_terminate, NULL, NULL, err);
	if (r == 0)
		r = event_add_timer(startd.loop, 0, on_timer, NULL, &startd.timer, err);
	if (r == 0 && startd.init_fd >= 0)
		r = event_add_fd(startd.loop, startd.init_fd, EPOLLIN, on_init, NULL, NULL, err);
	if (r == 0)
		r = ipc_listen(startd.loop, SMF_STARTD_SOCKET, 0666, on_request, NULL, NULL,
			       &startd.server, err);
	return r;
}

static void
open_environment(void)
{
	const char *fd = getenv(INIT_FD_ENV);
	struct rlimit all;
	int n;

	if (fd && str_to_int(fd, &n) == 0 && fcntl(n, F_SETFD, FD_CLOEXEC) == 0)
		startd.init_fd = n;
	unsetenv(INIT_FD_ENV);
	getrlimit(RLIMIT_NOFILE, &startd.nofile);
	all = startd.nofile;
	all.rlim_cur = all.rlim_max;
	setrlimit(RLIMIT_NOFILE, &all); /* a descriptor a service; methods get the old limit back */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	umask(022);
}

/* Methods that ended while nobody was startd, and of whose end PID 1 does not know. */
static void
settle_lost(void)
{
	struct inst *i;

	if (startd.init_fd >= 0)
		on_init(NULL, startd.init_fd, EPOLLIN, NULL);
	list_for_each(i, &startd.insts, link) {
		bool waits = i->rec->phase != PHASE_NONE ? i->rec->method_pid > 0 && !i->leaving
							 : i->rec->main_pid > 0;

		if (waits && !inst_method_alive(i))
			inst_method_lost(i);
	}
}

static int
start(struct error *err)
{
	bool old;
	int r;

	open_environment();
	startd.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (startd.null_fd < 0)
		return error_set_errno(err, errno, "/dev/null");
	list_init(&startd.insts);
	list_init(&startd.dirty);
	list_init(&startd.flight);
	startd.graph = graph_new();
	r = file_mkdir_p(SMF_VOLATILE_DIR, 0755, err);
	if (r == 0)
		r = file_mkdir_p(SMF_RUN_DIR, 0755, err);
	if (r == 0)
		r = state_create(SMF_STATE_PATH, &startd.state, &old, err);
	if (r == 0)
		r = event_new(&startd.loop, err);
	if (r == 0)
		r = listen_all(err);
	if (r < 0)
		return r;
	if (file_exists(SMF_PLAN_PATH)) {
		load_plan(old);
		if (old)
			settle_lost();
	}
	log_info("%s, %zu instances", old ? "restarted" : "started", state_size(startd.state));
	return 0;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	int lock = -1;

	if (argc > 1)
		return cli_usage_text(cli_asks_help(argc, argv), "svc.startd");
	log_init("svc.startd");
	if (file_mkdir_p(SMF_VOLATILE_DIR, 0755, &err) < 0 ||
	    file_lock(SMF_VOLATILE_DIR "/startd.lock", false, &lock, &err) < 0 || start(&err) < 0) {
		log_error("%s", error_message(&err));
		return 1;
	}
	return event_run(startd.loop) == 0 ? (startd.shutdown ? 0 : 2) : 1;
}
