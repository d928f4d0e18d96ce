/*
 * svcs -x and -l; see explain.h.
 *
 * A problem is an enabled instance that does not run, or a disabled one that
 * an enabled one needs.  Root causes are those that do not wait for another;
 * the impact of a cause are the enabled instances that depend on it and are
 * down as well.
 */
#include "smf/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "os/cgroup.h"
#include "smf/smf.h"

char *
explain_log(const char *fmri)
{
	cleanup_free char *dashes = smf_fmri_dashes(fmri);
	char *path = str_printf("%s/%s.log", SMF_LOG_DIR, dashes);

	if (!file_exists(path)) {
		cleanup_free char *early = str_printf("%s/%s.log", SMF_VOLATILE_DIR, dashes);

		if (file_exists(early)) {
			free(path);
			return steal_ptr(&early);
		}
	}
	return path;
}

size_t
explain_processes(const struct view_inst *i, pid_t **ret)
{
	cleanup_free char *dashes = smf_fmri_dashes(i->fmri);
	cleanup_free char *path = str_printf("%s/%s", SMF_CGROUP, dashes);
	cleanup_close int fd = -1;
	size_t n;

	*ret = NULL;
	return cgroup_open(path, &fd, NULL) < 0 || cgroup_pids(fd, ret, &n, NULL) < 0 ? 0 : n;
}

uint64_t
explain_process_start_ms(int pid)
{
	cleanup_free char *file = str_printf("/proc/%d/stat", pid);
	cleanup_free char *text = NULL;
	unsigned long long ticks = 0;
	char *p;

	if (file_read(file, 0, &text, NULL, NULL) < 0)
		return 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &ticks) != 1)
		return 0;
	return ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
}

static void
print_time(const char *label, uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char buf[64];

	localtime_r(&t, &tm);
	strftime(buf, sizeof(buf), "%a %b %e %T %Y", &tm);
	printf("%s%s\n", label, buf);
}

/* Auxiliary states in words, with the article that explains each. */
static const struct {
	const char *aux, *text, *code;
} reasons[] = {
	{"fault_threshold_reached", "Start method failed repeatedly", "SMF-8000-KS"},
	{"method_failed", "Start method exited with $SMF_EXIT_ERR_FATAL or could not be run", "SMF-8000-KS"},
	{"stop_method_failed", "Method failed", "SMF-8000-L5"},
	{"restarting_too_quickly", "Restarting too quickly", "SMF-8000-L5"},
	{"administrative_request", "Maintenance requested by an administrator", "SMF-8000-9C"},
	{"dependency_cycle", "Completes a dependency cycle", "SMF-8000-4N"},
	{"invalid_dependency", "Has invalid dependency", "SMF-8000-FP"},
	{"invalid_restarter", "Its restarter is invalid", "SMF-8000-HP"},
};

static const char *
exit_text(const struct view_inst *i, char buf[128])
{
	const char *name = smf_exit_name(i->rec.exit_code);

	if (i->rec.exit_signal)
		snprintf(buf, 128, "; last method died of signal %d (%s)", i->rec.exit_signal,
			 strsignal(i->rec.exit_signal));
	else if (i->rec.exit_code)
		snprintf(buf, 128, "; last method exited with %s%s%d%s", name ?: "status",
			 name ? " (" : " ", i->rec.exit_code, name ? ")" : "");
	else
		buf[0] = '\0';
	return buf;
}

/* The target that keeps d from being satisfied. */
static const struct vertex *
culprit(struct view *v, const struct depgroup *d)
{
	for (size_t t = 0; t < d->n_targets; t++) {
		if (graph_target_status(v->graph, d, d->targets[t]) != DEP_OK)
			return d->targets[t];
	}
	return NULL;
}

static const struct view_inst *
inst_of(const struct vertex *t)
{
	if (t->data || t->n_instances == 0)
		return t->data;
	return t->instances[0]->data;
}

/* The instance at the end of the chain of waiting, at most every instance once. */
static const struct view_inst *
root_cause(struct view *v, const struct view_inst *i)
{
	for (size_t steps = 0; steps <= v->n; steps++) {
		const struct depgroup *d = NULL;
		const struct vertex *t;
		const struct view_inst *next;

		if (i->rec.state != SMF_OFFLINE || i->rec.next != SMF_NONE || !i->v ||
		    graph_status(v->graph, i->v, &d) == DEP_OK || !d)
			return i;
		t = culprit(v, d);
		next = t ? inst_of(t) : NULL;
		if (!next || next == i || d->grouping == SMF_EXCLUDE_ALL)
			return i;
		i = next;
	}
	return i;
}

static void
print_reason(struct view *v, const struct view_inst *i)
{
	const struct depgroup *d = NULL;
	const struct vertex *t;
	char buf[128];

	switch ((enum smf_state)i->rec.state) {
	case SMF_MAINTENANCE:
		for (size_t k = 0; k < ARRAY_SIZE(reasons); k++) {
			if (str_eq(reasons[k].aux, i->rec.aux)) {
				printf("Reason: %s%s.\n", reasons[k].text, exit_text(i, buf));
				printf("   See: http://illumos.org/msg/%s\n", reasons[k].code);
				return;
			}
		}
		printf("Reason: %s%s.\n", i->rec.aux, exit_text(i, buf));
		return;
	case SMF_DISABLED:
		printf("Reason: %s by an administrator%s%s.\n",
		       i->temporary ? "Temporarily disabled" : "Disabled", *i->rec.comment ? ": " : "",
		       i->rec.comment);
		printf("   See: http://illumos.org/msg/SMF-8000-05\n");
		return;
	case SMF_OFFLINE:
		if (i->rec.next == SMF_ONLINE) {
			printf("Reason: Start method is running.\n   See: http://illumos.org/msg/SMF-8000-C4\n");
			return;
		}
		if (i->v && graph_status(v->graph, i->v, &d) != DEP_OK && d) {
			t = culprit(v, d);
			if (t && !inst_of(t))
				printf("Reason: Dependency %s is absent.\n"
				       "   See: http://illumos.org/msg/SMF-8000-E2\n", t->name);
			else if (t)
				printf("Reason: Dependency %s (%s) is %s.\n", t->name,
				       smf_grouping_name(d->grouping),
				       smf_state_name((enum smf_state)inst_of(t)->rec.state));
			return;
		}
		printf("Reason: It is about to start%s.\n", exit_text(i, buf));
		return;
	case SMF_UNINITIALIZED:
		printf("Reason: Restarter %s has not looked at it yet.\n",
		       plan_get(v->plan, i->conf, "general", "restarter", SMF_MASTER_RESTARTER));
		return;
	case SMF_NONE:
	case SMF_ONLINE:
	case SMF_DEGRADED:
	case SMF_LEGACY_RUN:
	case SMF_N_STATES:
		printf("Reason: None.\n");
		return;
	}
}

static bool
is_problem(const struct view_inst *i)
{
	return i->enabled && (!smf_state_running((enum smf_state)i->rec.state) ||
			      i->rec.state == SMF_DEGRADED);
}

static void
print_manuals(struct view *v, const struct view_inst *i, bool verbose)
{
	for (size_t n = 0; n < plan_n_pgs(i->conf); n++) {
		const struct plan_pg *g = plan_pg_at(v->plan, i->conf, n);
		const char *name = plan_pg_name(v->plan, g);

		if (str_after(name, "tm_man_"))
			printf("   See: %s%s(%s)\n", verbose ? "man -M /usr/share/man -s " : "",
			       plan_get(v->plan, i->conf, name, "title", ""),
			       plan_get(v->plan, i->conf, name, "section", ""));
	}
}

static void
print_problem(struct view *v, const struct view_inst *i, const bool *affected, bool verbose)
{
	cleanup_free char *log = explain_log(i->fmri);
	const char *desc = plan_get(v->plan, i->conf, "tm_common_name", "C", "?");
	size_t n = 0;

	printf("%s (%s)\n", i->fmri, desc);
	printf(" State: %s%s since ", smf_state_name((enum smf_state)i->rec.state),
	       i->rec.next != SMF_NONE ? "*" : "");
	print_time("", i->rec.stime);
	print_reason(v, i);
	print_manuals(v, i, false);
	printf("   See: %s\n", log);
	for (size_t k = 0; k < v->n; k++)
		n += affected[k];
	if (n == 0) {
		printf("Impact: This service is %s.\n\n",
		       smf_state_running((enum smf_state)i->rec.state) ? "running" : "not running");
		return;
	}
	printf("Impact: %zu dependent service%s %s not running%s\n", n, n == 1 ? "" : "s",
	       n == 1 ? "is" : "are", verbose ? ":" : ".  (Use -v for list.)");
	for (size_t k = 0; verbose && k < v->n; k++) {
		if (affected[k])
			printf("        %s\n", v->insts[k].fmri);
	}
	printf("\n");
}

int
explain_problems(struct view *v, const bool *shown, bool named, bool verbose)
{
	cleanup_free bool *affected = xcalloc(v->n + 1, sizeof(*affected));
	cleanup_free bool *causes = xcalloc(v->n + 1, sizeof(*causes));

	for (size_t i = 0; i < v->n; i++) {
		if (shown[i] && named)
			causes[i] = true;
		else if (shown[i] && is_problem(&v->insts[i]))
			causes[root_cause(v, &v->insts[i]) - v->insts] = true;
	}
	for (size_t i = 0; i < v->n; i++) {
		if (!causes[i])
			continue;
		for (size_t k = 0; k < v->n; k++)
			affected[k] = k != i && is_problem(&v->insts[k]) &&
				      root_cause(v, &v->insts[k]) == &v->insts[i];
		print_problem(v, &v->insts[i], affected, verbose);
	}
	return 0;
}

/* -l */

static void
print_pids(const struct view_inst *i)
{
	cleanup_free pid_t *pids = NULL;
	size_t n = explain_processes(i, &pids);

	for (size_t k = 0; k < n; k++) {
		cleanup_free char *file = str_printf("/proc/%d/cmdline", pids[k]);
		cleanup_free char *text = NULL;
		size_t len = 0;

		if (file_read(file, 0, &text, &len, NULL) < 0)
			continue;
		for (size_t b = 0; b + 1 < len; b++) {
			if (!text[b])
				text[b] = ' ';
		}
		printf("process      %d %s\n", pids[k], text);
	}
}

static void
print_dependencies(struct view *v, const struct view_inst *i)
{
	for (size_t g = 0; i->v && g < i->v->n_groups; g++) {
		const struct depgroup *d = &i->v->groups[g];

		printf("dependency   %s/%s", smf_grouping_name(d->grouping),
		       smf_restart_on_name(d->restart_on));
		for (size_t t = 0; t < d->n_targets; t++) {
			const struct view_inst *x = inst_of(d->targets[t]);

			printf(" %s (%s)", d->targets[t]->name,
			       x ? smf_state_name((enum smf_state)x->rec.state)
			       : vertex_running(d->targets[t]) ? "online" : "absent");
		}
		printf("\n");
	}
}

int
explain_long(struct view *v, const bool *shown, bool verbose)
{
	bool first = true;

	for (size_t k = 0; k < v->n; k++) {
		const struct view_inst *i = &v->insts[k];
		cleanup_free char *log = NULL;

		if (!shown[k])
			continue;
		log = explain_log(i->fmri);
		if (!first)
			printf("\n");
		first = false;
		printf("fmri         %s\n", i->fmri);
		printf("name         %s\n", plan_get(v->plan, i->conf, "tm_common_name", "C", "-"));
		printf("enabled      %s%s\n", i->enabled ? "true" : "false",
		       i->temporary ? " (temporary)" : "");
		if (*i->rec.comment)
			printf("comment      %s\n", i->rec.comment);
		printf("state        %s\n", smf_state_name((enum smf_state)i->rec.state));
		printf("next_state   %s\n", smf_state_name((enum smf_state)i->rec.next));
		if (*i->rec.aux && !str_eq(i->rec.aux, "none"))
			printf("auxiliary_state %s\n", i->rec.aux);
		if (i->rec.stime)
			print_time("state_time   ", i->rec.stime);
		printf("logfile      %s\n", log);
		printf("restarter    %s\n",
		       plan_get(v->plan, i->conf, "general", "restarter", SMF_MASTER_RESTARTER));
		if (i->rec.contract)
			printf("contract_id  %llu\n", (unsigned long long)i->rec.contract);
		if (verbose && i->rec.start_ms)
			printf("start_time   %u ms\n", i->rec.start_ms);
		if (verbose && i->rec.restarts)
			printf("failures     %u\n", i->rec.restarts);
		print_dependencies(v, i);
		print_pids(i);
	}
	return 0;
}
