/*
 * What happens to one instance.
 *
 * An instance is in a stable state (state, next none), or a method is on its
 * way (phase, next = where it leads), or its contract was killed and is to
 * become empty (killing).  State changes go through set_state(), which knows
 * the table of what is allowed, writes the record, tells subscribers and
 * touches the instances that may care.
 *
 * Coming up: all dependency groups OK, then the start method in the cgroup of
 * the instance, then online.  Which exit statuses are retried is in the table
 * of smf.c; three failures in a row, or a fatal one, end in maintenance.
 *
 * Going down: inst_stop() marks the instance and, by restart_on, those that
 * depend on it.  A marked instance satisfies nobody, and stops when no marked
 * dependent of it still runs: so services stop in reverse order of dependency,
 * whether one is restarted or the machine goes down.  A failed service does
 * not wait: its processes are gone already.
 *
 * The contract (cgroup) of a contract or wait service is empty when the
 * service is offline: what the stop method leaves is killed when its time is
 * up.  A transient service's processes are its own affair.
 */
#include "smf/startd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "smf/smf_probes.h"

#define FAULT_THRESHOLD 3
#define KILL_PATIENCE_MS 10000 /* how long SIGKILL may take before we say so */
#define WAIT_BURST_MS 1000     /* five errors of a wait service within it: one start a second */

static const bool allowed[SMF_N_STATES][SMF_N_STATES] = {
	[SMF_UNINITIALIZED] = {[SMF_OFFLINE] = true, [SMF_DISABLED] = true, [SMF_MAINTENANCE] = true},
	[SMF_OFFLINE] = {[SMF_ONLINE] = true, [SMF_MAINTENANCE] = true, [SMF_DISABLED] = true,
			 [SMF_UNINITIALIZED] = true, [SMF_OFFLINE] = true},
	[SMF_ONLINE] = {[SMF_OFFLINE] = true, [SMF_DEGRADED] = true, [SMF_MAINTENANCE] = true,
			[SMF_DISABLED] = true},
	[SMF_DEGRADED] = {[SMF_OFFLINE] = true, [SMF_ONLINE] = true, [SMF_MAINTENANCE] = true,
			  [SMF_DISABLED] = true},
	[SMF_MAINTENANCE] = {[SMF_UNINITIALIZED] = true, [SMF_OFFLINE] = true, [SMF_DISABLED] = true},
	[SMF_DISABLED] = {[SMF_OFFLINE] = true, [SMF_UNINITIALIZED] = true, [SMF_MAINTENANCE] = true},
};

static void contract_empty(struct cgroup_watch *w, void *arg);

struct inst *
inst_new(struct vertex *v, struct state_rec *rec)
{
	struct inst *i = xcalloc(1, sizeof(*i));
	cleanup_free char *dashes = smf_fmri_dashes(v->name);

	i->v = v;
	i->rec = rec;
	i->log_fd = -1;
	i->cgroup = str_printf("%s/%s", SMF_CGROUP, dashes);
	list_init(&i->link);
	list_init(&i->dirty);
	list_init(&i->flight);
	v->data = i;
	v->state = (enum smf_state)rec->state;
	v->next = (enum smf_state)rec->next;
	v->to_offline = rec->to_offline != STOP_NOT;
	return i;
}

static void
close_log(struct inst *i)
{
	if (i->log_fd >= 0)
		close(i->log_fd);
	i->log_fd = -1;
}

void
inst_free(struct inst *i)
{
	cgroup_watch_free(i->watch);
	close_log(i);
	startd_forget_pid(i, 0);
	list_del(&i->link);
	list_del(&i->dirty);
	list_del(&i->flight);
	i->v->data = NULL;
	i->v->configured = false;
	free(i->cgroup);
	free(i);
}

static bool
running(const struct inst *i)
{
	return smf_state_running((enum smf_state)i->rec->state);
}

static bool
has_contract(const struct inst *i)
{
	return i->duration != DUR_TRANSIENT && !i->rec->nodaemon;
}

/* Whether something of the instance runs, or is about to. */
static bool
up_or_coming(const struct inst *i)
{
	return running(i) || i->rec->next == SMF_ONLINE;
}

static void
touch_vertex(struct vertex *v, const struct depgroup *d, void *arg)
{
	if (v->data)
		startd_touch(v->data);
}

static void
touch_targets(struct inst *i)
{
	for (size_t g = 0; g < i->v->n_groups; g++) {
		const struct depgroup *d = &i->v->groups[g];

		for (size_t t = 0; t < d->n_targets; t++) {
			struct vertex *v = d->targets[t];

			if (v->data)
				startd_touch(v->data);
			for (size_t k = 0; k < v->n_instances; k++) {
				if (v->instances[k]->data)
					startd_touch(v->instances[k]->data);
			}
		}
	}
}

/* The one door through which an instance changes state. */
static void
set_state(struct inst *i, enum smf_state state, enum smf_state next, const char *aux)
{
	struct state_rec *r = i->rec;
	enum smf_state old = (enum smf_state)r->state;
	bool was_up = up_or_coming(i);

	if (state != old && !allowed[old][state]) {
		log_error("%s: a change from %s to %s is not foreseen", i->v->name,
			  smf_state_name(old), smf_state_name(state));
		return;
	}
	state_begin(r);
	if (state != old)
		r->stime = time_real_ms();
	r->state = state;
	r->next = next;
	if (aux && aux != r->aux) {
		memset(r->aux, 0, sizeof(r->aux));
		strncpy(r->aux, aux, sizeof(r->aux) - 1);
	}
	if (!smf_state_running(state) && next != SMF_ONLINE)
		r->to_offline = STOP_NOT;
	state_end(startd.state, r);
	i->v->state = state;
	i->v->next = next;
	i->v->to_offline = r->to_offline != STOP_NOT;
	graph_changed(startd.graph);
	startd_announce(i);
	startd_touch(i);
	if (was_up && !up_or_coming(i))
		touch_targets(i);
	if (state == old)
		return;
	if (SMF_STATE_CHANGE_ENABLED())
		SMF_STATE_CHANGE(i->v->name, smf_state_name(old), smf_state_name(state), r->aux);
	graph_each_dependent(startd.graph, i->v, touch_vertex, NULL);
	if (state == SMF_MAINTENANCE) {
		log_warn("%s: maintenance (%s)", i->v->name, r->aux);
		svclog_write(i, "Entering maintenance (%s).", r->aux);
	}
}

static void
set_phase(struct inst *i, enum state_phase phase)
{
	state_begin(i->rec);
	i->rec->phase = (uint8_t)phase;
	i->rec->method_pid = 0;
	i->rec->method_since = time_mono_ms();
	state_end(startd.state, i->rec);
}

/* Cgroup of stop and refresh methods, which must survive what they do to the contract. */
static char *
method_cgroup(const struct inst *i)
{
	return str_printf("%s.method", i->cgroup);
}

static bool
contract_populated(const struct inst *i)
{
	cleanup_close int fd = -1;

	return cgroup_open(i->cgroup, &fd, NULL) == 0 && cgroup_populated(fd) == 1;
}

static void
forget_contract(struct inst *i)
{
	cgroup_watch_free(i->watch);
	i->watch = NULL;
	(void)cgroup_remove(i->cgroup, NULL); /* a transient's processes may still be in it */
	if (i->rec->contract && !cgroup_exists(i->cgroup)) {
		state_begin(i->rec);
		i->rec->contract = 0;
		state_end(startd.state, i->rec);
	}
}

static int
watch_contract(struct inst *i)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;
	int r;

	if (i->watch)
		return 0;
	r = cgroup_open(i->cgroup, &fd, &err);
	if (r == 0)
		r = cgroup_watch(startd.loop, fd, contract_empty, i, &i->watch, &err);
	if (r < 0 && r != -ENOENT)
		log_error("%s: %s", i->v->name, error_message(&err));
	return r;
}

/* SIGKILL to all of the contract; the end is an event (contract_empty). */
static void
kill_contract(struct inst *i)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	if (cgroup_open(i->cgroup, &fd, NULL) < 0)
		return;
	if (cgroup_populated(fd) == 1) {
		if (cgroup_kill(fd, &err) < 0)
			log_error("%s: %s", i->v->name, error_message(&err));
		if (watch_contract(i) == 0) {
			i->killing = true;
			startd_set_deadline(i, time_mono_ms() + KILL_PATIENCE_MS);
			return;
		}
	}
	forget_contract(i);
}

static void
signal_contract(struct inst *i, int signo)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	if (cgroup_open(i->cgroup, &fd, NULL) < 0)
		return;
	if (cgroup_signal(fd, signo, &err) < 0)
		log_error("%s: %s", i->v->name, error_message(&err));
}

static void
to_maintenance(struct inst *i, const char *aux)
{
	set_phase(i, PHASE_NONE);
	startd_set_deadline(i, 0);
	i->leaving = false;
	if (has_contract(i) || !running(i))
		kill_contract(i);
	state_begin(i->rec);
	i->rec->main_pid = 0;
	state_end(startd.state, i->rec);
	set_state(i, SMF_MAINTENANCE, SMF_NONE, aux);
}

/* Running a method. */

/*
 * Executes m in cgroup.  The process id is in the record before the method
 * runs; what fails here is as if the method had failed.
 */
static int
spawn(struct inst *i, const struct method *m, const char *name, const char *cgroup,
      enum state_phase phase, enum smf_state next)
{
	cleanup_error struct error err = ERROR_INIT;
	struct method_start s = {.m = m, .null_fd = startd.null_fd, .rec = i->rec};
	struct rlimit ours;
	cleanup_close int fd = -1;
	pid_t pid;

	if (i->log_fd < 0)
		i->log_fd = svclog_open(i);
	svclog_write(i, "Executing %s method (\"%s\").", name, m->text);
	if (cgroup_create(cgroup, &fd, &err) < 0) {
		svclog_write(i, "Cannot make a contract: %s.", error_message(&err));
		close_log(i);
		return -EIO;
	}
	set_phase(i, phase);
	if (phase == PHASE_START) {
		state_begin(i->rec);
		i->rec->contract = cgroup_id(fd);
		state_end(startd.state, i->rec);
	}
	set_state(i, (enum smf_state)i->rec->state, next, NULL);
	getrlimit(RLIMIT_NOFILE, &ours);
	s.nofile = ours.rlim_cur != startd.nofile.rlim_cur ? &startd.nofile : NULL;
	s.log_fd = i->log_fd;
	pid = cgroup_vfork(fd, method_child, &s, NULL, &err);
	if (pid < 0) {
		svclog_write(i, "Cannot make a process: %s.", error_message(&err));
		close_log(i);
		set_phase(i, PHASE_NONE);
		return -EIO;
	}
	startd_watch_pid(i, pid);
	if (s.error)
		svclog_write(i, "Method \"%s\" could not be executed: %s: %s.", name, s.step,
			     strerror(s.error));
	startd_set_deadline(i, m->timeout_ms ? time_mono_ms() + m->timeout_ms : 0);
	return 0;
}

/* Coming up. */

static void
record_start(struct inst *i)
{
	struct state_rec *r = i->rec;

	state_begin(r);
	if (r->n_starts == STATE_STARTS)
		memmove(&r->starts[0], &r->starts[1], sizeof(r->starts[0]) * --r->n_starts);
	r->starts[r->n_starts++] = time_mono_ms();
	state_end(startd.state, r);
}

/* More than critical_failure_count starts within critical_failure_period seconds. */
static bool
too_quick(const struct inst *i)
{
	uint64_t period = 600, count = STATE_STARTS;

	if (i->conf) {
		period = plan_get_count(startd.plan, i->conf, "startd", "critical_failure_period", 600);
		count = plan_get_count(startd.plan, i->conf, "startd", "critical_failure_count",
				       STATE_STARTS);
	}
	if (count < 1 || count > STATE_STARTS)
		count = STATE_STARTS;
	return i->rec->n_starts >= count &&
	       time_mono_ms() - i->rec->starts[i->rec->n_starts - count] < period * 1000;
}

static void
conflicts(struct vertex *v, const struct depgroup *d, void *arg)
{
	if (v->data && d->grouping == SMF_EXCLUDE_ALL && d->restart_on != SMF_RO_NONE)
		inst_stop(v->data, STOP_RESTART);
}

static void
go_online(struct inst *i, bool nodaemon)
{
	state_begin(i->rec);
	i->rec->n_failures = 0;
	i->rec->nodaemon = nodaemon;
	i->rec->start_ms = (uint32_t)(time_mono_ms() - i->rec->method_since);
	state_end(startd.state, i->rec);
	set_state(i, SMF_ONLINE, SMF_NONE, "none");
	if (has_contract(i))
		watch_contract(i);
	else
		forget_contract(i);
	graph_each_dependent(startd.graph, i->v, conflicts, NULL);
	startd_early_logs();
}

static void
start(struct inst *i)
{
	cleanup_method struct method m = {0};
	cleanup_error struct error err = ERROR_INIT;
	int r;

	r = method_prepare(startd.plan, i->conf, "start", &m, &err);
	if (r < 0) {
		svclog_write(i, "%s.", error_message(&err));
		to_maintenance(i, "method_failed");
		return;
	}
	record_start(i);
	if (r == 1 && i->duration != DUR_TRANSIENT) {
		svclog_write(i, "There is no start method.");
		to_maintenance(i, "method_failed");
		return;
	}
	if (r == 1 || m.kind != METHOD_EXEC) {
		set_phase(i, PHASE_NONE);
		go_online(i, true);
		return;
	}
	if (i->duration == DUR_WAIT)
		m.timeout_ms = 0; /* the process is the service */
	r = spawn(i, &m, "start", i->cgroup, PHASE_START, SMF_ONLINE);
	if (r < 0) {
		to_maintenance(i, "method_failed");
		return;
	}
	if (i->duration == DUR_WAIT) {
		state_begin(i->rec);
		i->rec->main_pid = i->rec->method_pid;
		i->rec->phase = PHASE_NONE;
		state_end(startd.state, i->rec);
		close_log(i);
		go_online(i, false);
	}
}

static void
start_failed(struct inst *i, bool fatal)
{
	state_begin(i->rec);
	i->rec->n_failures++;
	state_end(startd.state, i->rec);
	if (fatal || i->rec->n_failures >= FAULT_THRESHOLD) {
		to_maintenance(i, fatal ? "method_failed" : "fault_threshold_reached");
		return;
	}
	set_phase(i, PHASE_NONE);
	kill_contract(i);
	set_state(i, SMF_OFFLINE, SMF_NONE, "method_failed");
}

static void
start_ended(struct inst *i, bool exited, int status)
{
	enum smf_verdict v = exited ? smf_exit_verdict(status) : SMF_V_RETRY;

	switch (v) {
	case SMF_V_OK:
	case SMF_V_NODAEMON:
		set_phase(i, PHASE_NONE);
		go_online(i, v == SMF_V_NODAEMON);
		break;
	case SMF_V_DISABLE:
		set_phase(i, PHASE_NONE);
		kill_contract(i);
		i->v->enabled = false;
		set_state(i, SMF_DISABLED, SMF_NONE, "method_requested");
		startd_temp_disable(i);
		break;
	case SMF_V_FATAL:
	case SMF_V_RETRY:
		/* 126 and 127: the shell or we could not execute it; trying again is no use */
		start_failed(i, v == SMF_V_FATAL || (exited && (status == 126 || status == 127)));
		break;
	}
}

/* Going down. */

struct stop_class {
	enum smf_restart_on least; /* dependents with this restart_on or a wider one */
};

static void
mark_dependent(struct vertex *v, const struct depgroup *d, void *arg)
{
	const struct stop_class *c = arg;
	struct inst *i = v->data;

	if (i && d->grouping != SMF_EXCLUDE_ALL && d->restart_on >= c->least && up_or_coming(i))
		inst_stop(i, STOP_RESTART);
}

void
inst_stop(struct inst *i, enum stop_reason why)
{
	struct stop_class c = {why == STOP_FAULT ? SMF_RO_ERROR : SMF_RO_RESTART};

	if (!up_or_coming(i) || i->rec->to_offline >= why || i->rec->phase == PHASE_STOP)
		return;
	state_begin(i->rec);
	i->rec->to_offline = (uint8_t)why;
	state_end(startd.state, i->rec);
	i->v->to_offline = true;
	graph_changed(startd.graph);
	startd_touch(i);
	graph_each_dependent(startd.graph, i->v, mark_dependent, &c);
	/* Those with restart_on none keep running, but who waits for us must look again. */
	graph_each_dependent(startd.graph, i->v, touch_vertex, NULL);
}

static void
count_stopping(struct vertex *v, const struct depgroup *d, void *arg)
{
	struct inst *i = v->data;

	if (i && d->grouping != SMF_EXCLUDE_ALL && i->rec->to_offline && up_or_coming(i))
		++*(int *)arg;
}

static void
stop_finished(struct inst *i)
{
	enum smf_state goal = (enum smf_state)i->rec->goal;

	i->leaving = false;
	startd_set_deadline(i, 0);
	close_log(i);
	set_phase(i, PHASE_NONE);
	state_begin(i->rec);
	i->rec->main_pid = 0;
	i->rec->to_offline = STOP_NOT;
	i->rec->nodaemon = 0;
	state_end(startd.state, i->rec);
	forget_contract(i);
	set_state(i, goal, SMF_NONE, goal == SMF_MAINTENANCE ? NULL : "none");
}

/* The stop method has done its part. */
static void
stop_ended(struct inst *i)
{
	if (!has_contract(i) || !contract_populated(i)) {
		stop_finished(i);
		return;
	}
	i->leaving = true;
	if (!i->deadline)
		startd_set_deadline(i, time_mono_ms() + KILL_PATIENCE_MS);
	if (watch_contract(i) < 0)
		stop_finished(i);
}

static void
stop_failed(struct inst *i)
{
	cleanup_close int fd = -1;

	state_begin(i->rec);
	if (!startd.shutdown) {
		i->rec->goal = SMF_MAINTENANCE;
		strcpy(i->rec->aux, "stop_method_failed");
	}
	state_end(startd.state, i->rec);
	if (has_contract(i) && cgroup_open(i->cgroup, &fd, NULL) == 0)
		(void)cgroup_kill(fd, NULL); /* what is left is seen, and told, at the deadline */
	stop_ended(i);
}

static void
begin_stop(struct inst *i)
{
	static const enum smf_state goals[] = {
		[STOP_NOT] = SMF_OFFLINE,     [STOP_FAULT] = SMF_OFFLINE, [STOP_RESTART] = SMF_OFFLINE,
		[STOP_DISABLE] = SMF_DISABLED, [STOP_MAINT] = SMF_MAINTENANCE,
	};
	cleanup_method struct method m = {0};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *cgroup = method_cgroup(i);
	enum smf_state goal = goals[i->rec->to_offline];
	int r = 1;

	if (goal == SMF_OFFLINE && !i->v->enabled)
		goal = SMF_DISABLED;
	if (i->rec->to_offline == STOP_FAULT && goal == SMF_OFFLINE && too_quick(i)) {
		goal = SMF_MAINTENANCE;
		state_begin(i->rec);
		strcpy(i->rec->aux, "restarting_too_quickly");
		state_end(startd.state, i->rec);
	}
	state_begin(i->rec);
	i->rec->goal = (uint8_t)goal;
	state_end(startd.state, i->rec);
	set_phase(i, PHASE_STOP);
	set_state(i, (enum smf_state)i->rec->state, goal, NULL);
	if (i->conf)
		r = method_prepare(startd.plan, i->conf, "stop", &m, &err);
	if (r < 0) {
		svclog_write(i, "%s.", error_message(&err));
		stop_failed(i);
	} else if (r == 0 && m.kind == METHOD_EXEC) {
		if (spawn(i, &m, "stop", cgroup, PHASE_STOP, goal) < 0)
			stop_failed(i);
	} else {
		if (has_contract(i) && (r == 1 || m.kind == METHOD_KILL)) {
			svclog_write(i, "Stopping because service %s.",
				     goal == SMF_DISABLED ? "disabled" : "restarting");
			signal_contract(i, r == 1 ? SIGTERM : m.signo);
		}
		startd_set_deadline(i, m.timeout_ms ? time_mono_ms() + m.timeout_ms : 0);
		stop_ended(i);
	}
}

/* The service failed while it was online. */
static void
fault(struct inst *i, const char *aux)
{
	if (!running(i) || i->rec->phase == PHASE_STOP || i->rec->to_offline == STOP_FAULT)
		return;
	state_begin(i->rec);
	i->rec->restarts++;
	memset(i->rec->aux, 0, sizeof(i->rec->aux));
	strncpy(i->rec->aux, aux, sizeof(i->rec->aux) - 1);
	i->rec->to_offline = STOP_NOT; /* a fault overrides an orderly stop: there is nothing to wait for */
	if (i->rec->phase == PHASE_REFRESH)
		i->rec->phase = PHASE_NONE;
	state_end(startd.state, i->rec);
	inst_stop(i, STOP_FAULT);
}

static void
contract_empty(struct cgroup_watch *w, void *arg)
{
	struct inst *i = arg;

	if (i->killing) {
		i->killing = false;
		startd_set_deadline(i, 0);
		forget_contract(i);
		startd_touch(i);
		startd_settled();
	} else if (i->leaving) {
		stop_finished(i);
	} else if (running(i) && i->rec->phase != PHASE_STOP && has_contract(i) &&
		   i->duration == DUR_CONTRACT) {
		svclog_write(i, "Stopping because all processes in service exited.");
		fault(i, "ct_ev_exit");
	}
}

/* Events. */

static void
wait_main_ended(struct inst *i, int code, int status)
{
	bool error = code != CLD_EXITED || status != 0;

	state_begin(i->rec);
	i->rec->main_pid = 0;
	i->rec->exit_code = code == CLD_EXITED ? (uint8_t)status : 0;
	i->rec->exit_signal = code == CLD_EXITED ? 0 : (uint8_t)status;
	state_end(startd.state, i->rec);
	if (i->rec->phase == PHASE_STOP || !running(i))
		return; /* expected: contract_empty() goes on */
	if (code == CLD_EXITED)
		svclog_write(i, "Stopping because process exited with status %d.", status);
	else
		svclog_write(i, "Stopping because process was killed by signal %d.", status);
	if (error && i->rec->n_starts >= 5 &&
	    time_mono_ms() - i->rec->starts[i->rec->n_starts - 5] < WAIT_BURST_MS)
		i->not_before = time_mono_ms() + 1000;
	fault(i, code == CLD_EXITED ? "ct_ev_exit" : code == CLD_DUMPED ? "ct_ev_core" : "ct_ev_signal");
}

static void
remove_method_cgroup(struct inst *i)
{
	cleanup_free char *cgroup = method_cgroup(i);
	cleanup_close int fd = -1;

	if (cgroup_open(cgroup, &fd, NULL) < 0)
		return;
	if (cgroup_populated(fd) == 1)
		(void)cgroup_kill(fd, NULL); /* helpers a stop method left behind */
	(void)cgroup_remove(cgroup, NULL);   /* else the next method's end removes it */
}

void
inst_child_ended(struct inst *i, pid_t pid, int code, int status)
{
	static const char *const names[] = {"?", "start", "stop", "refresh"};
	enum state_phase phase = (enum state_phase)i->rec->phase;
	bool exited = code == CLD_EXITED;
	const char *word = exited ? smf_exit_name(status) : NULL;

	startd_forget_pid(i, pid);
	if (pid == i->rec->main_pid) {
		wait_main_ended(i, code, status);
		return;
	}
	if (exited)
		svclog_write(i, "Method \"%s\" exited with status %d%s%s%s.", names[phase], status,
			     word && status ? " (" : "", word && status ? word : "",
			     word && status ? ")" : "");
	else
		svclog_write(i, "Method \"%s\" failed due to signal %d.", names[phase], status);
	close_log(i);
	state_begin(i->rec);
	i->rec->exit_code = exited ? (uint8_t)status : 0;
	i->rec->exit_signal = exited ? 0 : (uint8_t)status;
	i->rec->method_pid = 0;
	state_end(startd.state, i->rec);
	if (phase != PHASE_START)
		remove_method_cgroup(i);
	switch (phase) {
	case PHASE_START:
		startd_set_deadline(i, 0);
		start_ended(i, exited, status);
		break;
	case PHASE_STOP:
		if (exited && status == 0)
			stop_ended(i);
		else
			stop_failed(i);
		break;
	case PHASE_REFRESH:
		startd_set_deadline(i, 0);
		set_phase(i, PHASE_NONE);
		set_state(i, (enum smf_state)i->rec->state, SMF_NONE, NULL);
		break;
	case PHASE_NONE:
		break;
	}
}

void
inst_member_killed(struct inst *i, pid_t pid, int code, int status)
{
	const char *ignore = i->conf ? plan_get(startd.plan, i->conf, "startd", "ignore_error", "") : "";
	bool core = code == CLD_DUMPED;

	if (!running(i) || !has_contract(i) || i->duration != DUR_CONTRACT ||
	    i->rec->phase == PHASE_STOP || i->rec->to_offline || strstr(ignore, core ? "core" : "signal"))
		return;
	svclog_write(i, "Stopping because process %d %s %d.", pid,
		     core ? "dumped core on signal" : "received fatal signal", status);
	fault(i, core ? "ct_ev_core" : "ct_ev_signal");
}

void
inst_deadline(struct inst *i)
{
	cleanup_free char *cgroup = i->rec->phase == PHASE_START ? xstrdup(i->cgroup)
								 : method_cgroup(i);
	cleanup_close int fd = -1;

	startd_set_deadline(i, time_mono_ms() + KILL_PATIENCE_MS);
	if (i->killing) {
		svclog_write(i, "Processes of contract %llu survive SIGKILL (blocked in the kernel?); waiting.",
			     (unsigned long long)i->rec->contract);
		log_warn("%s: waits for killed processes that do not end", i->v->name);
	} else if (i->leaving) {
		svclog_write(i, "Method or service exit timed out.  Killing contract %llu.",
			     (unsigned long long)i->rec->contract);
		if (cgroup_open(i->cgroup, &fd, NULL) == 0)
			(void)cgroup_kill(fd, NULL); /* said again at the next deadline */
	} else if (i->rec->phase != PHASE_NONE) {
		svclog_write(i, "Method or service exit timed out.  Killing contract %llu.",
			     (unsigned long long)i->rec->contract);
		if (cgroup_open(cgroup, &fd, NULL) == 0)
			(void)cgroup_kill(fd, NULL); /* its end arrives as that of a child */
	} else {
		startd_set_deadline(i, 0);
		startd_touch(i); /* a throttled start */
	}
}

/* Starts it if its dependencies allow; tells those who wait when that becomes hopeless. */
static void
eval_offline(struct inst *i)
{
	enum dep_status s = graph_status(startd.graph, i->v, NULL);

	if (s != i->last_status) {
		i->last_status = s;
		graph_each_dependent(startd.graph, i->v, touch_vertex, NULL);
	}
	if (s != DEP_OK)
		return;
	if (i->not_before > time_mono_ms()) {
		startd_set_deadline(i, i->not_before);
	} else {
		i->not_before = 0;
		start(i);
	}
}

void
inst_eval(struct inst *i)
{
	int stopping = 0;

	if (i->killing || (i->rec->phase != PHASE_NONE && i->rec->phase != PHASE_REFRESH))
		return;
	switch ((enum smf_state)i->rec->state) {
	case SMF_UNINITIALIZED:
		if (i->conf && i->deps_bad && i->v->enabled)
			set_state(i, SMF_MAINTENANCE, SMF_NONE, i->rec->aux);
		else if (i->conf)
			set_state(i, i->v->enabled ? SMF_OFFLINE : SMF_DISABLED, SMF_NONE, "none");
		break;
	case SMF_DISABLED:
		if (i->v->enabled)
			set_state(i, SMF_OFFLINE, SMF_NONE, "none");
		break;
	case SMF_MAINTENANCE:
		if (!i->v->enabled)
			set_state(i, SMF_DISABLED, SMF_NONE, "none");
		break;
	case SMF_OFFLINE:
		if (!i->v->enabled)
			set_state(i, SMF_DISABLED, SMF_NONE, "none");
		else if (i->deps_bad)
			set_state(i, SMF_MAINTENANCE, SMF_NONE, i->rec->aux);
		else
			eval_offline(i);
		break;
	case SMF_ONLINE:
	case SMF_DEGRADED:
		if (!i->v->enabled)
			inst_stop(i, STOP_DISABLE);
		if (i->rec->to_offline == STOP_NOT || i->rec->phase != PHASE_NONE)
			break;
		if (i->rec->to_offline != STOP_FAULT)
			graph_each_dependent(startd.graph, i->v, count_stopping, &stopping);
		if (!stopping)
			begin_stop(i);
		break;
	case SMF_NONE:
	case SMF_LEGACY_RUN:
	case SMF_N_STATES:
		break;
	}
}

/* Configuration. */

void
inst_configure(struct inst *i, const struct plan *p, const struct plan_inst *conf)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *duration = plan_get(p, conf, "startd", "duration", "contract");
	int r;

	i->conf = conf;
	i->v->configured = true;
	if (i->digest == plan_digest(conf) && !i->deps_bad)
		return;
	i->digest = plan_digest(conf);
	i->duration = str_eq(duration, "transient")				? DUR_TRANSIENT
		      : str_eq(duration, "wait") || str_eq(duration, "child") ? DUR_WAIT
										: DUR_CONTRACT;
	r = graph_set_deps(startd.graph, i->v, p, conf, &err);
	i->deps_bad = r < 0;
	if (r < 0) {
		state_begin(i->rec);
		strcpy(i->rec->aux, r == -ELOOP ? "dependency_cycle" : "invalid_dependency");
		state_end(startd.state, i->rec);
		log_warn("%s: %s", i->v->name, error_message(&err));
		svclog_write(i, "%s.", error_message(&err));
	}
	startd_touch(i);
	graph_changed(startd.graph);
}

/* After a restart of startd. */

bool
inst_method_alive(const struct inst *i)
{
	int pid = i->rec->phase == PHASE_NONE ? i->rec->main_pid : i->rec->method_pid;
	cleanup_free char *at = NULL;

	/* A process that ended stays there until PID 1 has told us how. */
	return pid > 0 && cgroup_of_pid(pid, &at, NULL) == 0 && strstr(at, i->cgroup) != NULL;
}

void
inst_method_lost(struct inst *i)
{
	enum state_phase phase = (enum state_phase)i->rec->phase;

	svclog_write(i, "svc.startd was restarted and missed the end of a method.");
	startd_forget_pid(i, 0);
	if (phase == PHASE_NONE) {
		wait_main_ended(i, CLD_EXITED, 1);
		return;
	}
	if (phase != PHASE_START)
		remove_method_cgroup(i);
	set_phase(i, PHASE_NONE);
	if (phase == PHASE_START) {
		kill_contract(i);
		set_state(i, (enum smf_state)i->rec->state, SMF_NONE, NULL);
	} else if (phase == PHASE_STOP) {
		begin_stop(i);
	} else {
		set_state(i, (enum smf_state)i->rec->state, SMF_NONE, NULL);
	}
}

void
inst_adopt(struct inst *i)
{
	struct state_rec *r = i->rec;
	uint64_t timeout;

	if (r->phase != PHASE_NONE && r->method_pid > 0) {
		static const char *const names[] = {"", "start", "stop", "refresh"};

		startd_watch_pid(i, r->method_pid);
		if (i->duration == DUR_WAIT && r->main_pid > 0)
			startd_watch_pid(i, r->main_pid);
		timeout = i->conf ? plan_get_count(startd.plan, i->conf, names[r->phase],
						   "timeout_seconds", 0)
				  : 0;
		startd_set_deadline(i, timeout ? r->method_since + timeout * 1000 : 0);
	} else if (r->phase == PHASE_START || r->phase == PHASE_REFRESH) {
		inst_method_lost(i);
	} else if (r->phase == PHASE_STOP) {
		begin_stop(i);
	} else if (running(i) && has_contract(i)) {
		if (i->duration == DUR_WAIT && r->main_pid > 0)
			startd_watch_pid(i, r->main_pid);
		if (watch_contract(i) < 0 && i->duration == DUR_CONTRACT)
			fault(i, "ct_ev_exit");
	} else if (!running(i) && i->duration != DUR_TRANSIENT && contract_populated(i)) {
		kill_contract(i); /* we were killed between its failure and its end */
	}
	startd_touch(i);
}

/* Requests. */

void
inst_refresh(struct inst *i)
{
	cleanup_method struct method m = {0};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *cgroup = method_cgroup(i);
	struct stop_class c = {SMF_RO_REFRESH};
	int r;

	if (!running(i) || i->rec->phase != PHASE_NONE || i->rec->to_offline)
		return;
	graph_each_dependent(startd.graph, i->v, mark_dependent, &c);
	r = method_prepare(startd.plan, i->conf, "refresh", &m, &err);
	if (r < 0)
		svclog_write(i, "%s.", error_message(&err));
	else if (r == 0 && m.kind == METHOD_KILL)
		signal_contract(i, m.signo);
	else if (r == 0 && m.kind == METHOD_EXEC &&
		 spawn(i, &m, "refresh", cgroup, PHASE_REFRESH, (enum smf_state)i->rec->state) < 0)
		set_state(i, (enum smf_state)i->rec->state, SMF_NONE, NULL);
}

int
inst_restart(struct inst *i, bool dump, struct error *err)
{
	if (i->rec->state == SMF_UNINITIALIZED)
		return error_set(err, EAGAIN, "%s is uninitialized", i->v->name);
	if (!running(i))
		return 0; /* as illumos: it starts when it can */
	if (dump)
		signal_contract(i, SIGABRT);
	inst_stop(i, STOP_RESTART);
	return 0;
}

int
inst_clear(struct inst *i, struct error *err)
{
	if (i->rec->state == SMF_DEGRADED) {
		set_state(i, SMF_ONLINE, SMF_NONE, "none");
		return 0;
	}
	if (i->rec->state != SMF_MAINTENANCE)
		return error_set(err, EINVAL,
				 "Instance \"%s\" is not in a maintenance or degraded state.",
				 i->v->name);
	state_begin(i->rec);
	i->rec->n_failures = i->rec->n_starts = 0;
	state_end(startd.state, i->rec);
	if (i->deps_bad)
		inst_configure(i, startd.plan, i->conf);
	set_state(i, SMF_UNINITIALIZED, SMF_NONE, i->deps_bad ? NULL : "none");
	return 0;
}

int
inst_mark(struct inst *i, enum smf_state to, bool immediate, struct error *err)
{
	if (to == SMF_DEGRADED) {
		if (i->rec->state != SMF_ONLINE)
			return error_set(err, EINVAL, "Instance \"%s\" is not online.", i->v->name);
		set_state(i, SMF_DEGRADED, SMF_NONE, "administrative_request");
		return 0;
	}
	state_begin(i->rec);
	memset(i->rec->aux, 0, sizeof(i->rec->aux));
	strcpy(i->rec->aux, "administrative_request");
	state_end(startd.state, i->rec);
	if (!running(i) || (immediate && i->rec->phase == PHASE_NONE)) {
		startd_forget_pid(i, 0);
		to_maintenance(i, "administrative_request");
	} else {
		inst_stop(i, STOP_MAINT);
	}
	return 0;
}
