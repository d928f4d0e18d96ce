/*
 * svcs: the states of services.
 *
 * Nothing is asked of a daemon: the plan and the state file are read
 * (view.h), so that svcs works whatever is broken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "base/table.h"
#include "smf/explain.h"
#include "smf/scf.h"
#include "smf/view.h"

static struct view view;
static bool *shown;
static bool show_processes, show_next;

static const struct table_col columns[] = {
	{"state", "STATE", 14},	  {"stime", "STIME", 8},   {"fmri", "FMRI", 0},
	{"ctid", "CTID", 6, TABLE_RIGHT, true}, {"desc", "DESC", 0},   {"inst", "INST", 0},
	{"nsta", "NSTA", 4},	  {"nstate", "NSTATE", 14}, {"scope", "SCOPE", 0},
	{"sta", "STA", 4},	  {"svc", "SVC", 0},	   {"zone", "ZONE", 0},
};

/* "10:04:05" within a day, "Nov_21" within a year, else "2026". */
static void
format_stime(uint64_t ms, char buf[16])
{
	time_t t = (time_t)(ms / 1000), now = time(NULL);
	struct tm tm;

	localtime_r(&t, &tm);
	if (ms == 0)
		strcpy(buf, "-");
	else if (now - t < 24 * 3600)
		strftime(buf, 16, "%T", &tm);
	else if (now - t < 365 * 24 * 3600)
		strftime(buf, 16, "%b_%d", &tm);
	else
		strftime(buf, 16, "%Y", &tm);
}

static const char *
zone_name(void)
{
	static char *zone;

	if (!zone && file_read_line("/etc/zonename", &zone, NULL) < 0)
		zone = xstrdup("global");
	return zone;
}

static const char *
description(const struct view_inst *i)
{
	const char *s = plan_get(view.plan, i->conf, "tm_common_name", "C", NULL);

	return s ? s : "-";
}

static void
add_row(struct table *t, const struct view_inst *i)
{
	enum smf_state state = (enum smf_state)i->rec.state, next = (enum smf_state)i->rec.next;
	const char *star = next != SMF_NONE ? "*" : "";
	cleanup_free char *service = smf_fmri_service(i->fmri);
	char when[16];

	format_stime(i->rec.stime, when);
	table_row(t);
	table_setf(t, "state", "%s%s", smf_state_name(state), star);
	table_setf(t, "sta", "%s%s", smf_state_short(state), star);
	table_set(t, "nstate", next == SMF_NONE ? "-" : smf_state_name(next));
	table_set(t, "nsta", next == SMF_NONE ? "-" : smf_state_short(next));
	table_set(t, "stime", when);
	table_set(t, "fmri", i->fmri);
	table_set(t, "svc", service + strlen("svc:/"));
	table_set(t, "inst", strrchr(i->fmri, ':') + 1);
	table_set(t, "scope", "localhost");
	table_set(t, "zone", zone_name());
	table_set(t, "desc", description(i));
	if (i->rec.contract)
		table_setf(t, "ctid", "%llu", (unsigned long long)i->rec.contract);
}

/* -p: "               10:04:05      123 sshd" for every process of the contract. */
static void
print_processes(const struct view_inst *i)
{
	cleanup_free pid_t *pids = NULL;
	size_t n = explain_processes(i, &pids);

	for (size_t k = 0; k < n; k++) {
		cleanup_free char *dir = str_printf("/proc/%d", pids[k]);
		cleanup_free char *file = str_printf("%s/comm", dir);
		cleanup_free char *comm = NULL;
		char when[16];
		struct timespec boot, real;
		uint64_t started = explain_process_start_ms(pids[k]);

		if (file_read_line(file, &comm, NULL) < 0)
			continue; /* it ended meanwhile */
		clock_gettime(CLOCK_BOOTTIME, &boot);
		clock_gettime(CLOCK_REALTIME, &real);
		format_stime((uint64_t)(real.tv_sec - boot.tv_sec) * 1000 + started, when);
		printf("               %-8s %8d %s\n", when, pids[k], comm);
	}
}

/* Order of states in a list, as illumos prints them. */
static int
state_rank(enum smf_state s)
{
	static const int ranks[SMF_N_STATES] = {
		[SMF_LEGACY_RUN] = 0, [SMF_UNINITIALIZED] = 1, [SMF_DISABLED] = 2, [SMF_ONLINE] = 3,
		[SMF_DEGRADED] = 4,   [SMF_OFFLINE] = 5,	  [SMF_MAINTENANCE] = 6};

	return ranks[s];
}

struct sort_key {
	char name[16];
	bool down;
};

static struct sort_key keys[16];
static size_t n_keys;

static int
compare_by(const char *key, const struct view_inst *a, const struct view_inst *b)
{
	if (str_eq(key, "state") || str_eq(key, "sta"))
		return state_rank((enum smf_state)a->rec.state) - state_rank((enum smf_state)b->rec.state);
	if (str_eq(key, "nstate") || str_eq(key, "nsta"))
		return (int)a->rec.next - (int)b->rec.next;
	if (str_eq(key, "stime"))
		return a->rec.stime < b->rec.stime ? -1 : a->rec.stime > b->rec.stime;
	if (str_eq(key, "ctid"))
		return a->rec.contract < b->rec.contract ? -1 : a->rec.contract > b->rec.contract;
	if (str_eq(key, "inst"))
		return strcmp(strrchr(a->fmri, ':'), strrchr(b->fmri, ':'));
	if (str_eq(key, "desc"))
		return strcmp(description(a), description(b));
	return strcmp(a->fmri, b->fmri);
}

static int
compare(const void *pa, const void *pb)
{
	const struct view_inst *a = *(const struct view_inst *const *)pa;
	const struct view_inst *b = *(const struct view_inst *const *)pb;

	for (size_t k = 0; k < n_keys; k++) {
		int c = compare_by(keys[k].name, a, b);

		if (c)
			return keys[k].down ? -c : c;
	}
	return strcmp(a->fmri, b->fmri);
}

static int
add_keys(const char *list, bool down)
{
	cleanup_strv struct strv names = STRV_INIT;

	strv_words(&names, list, ",");
	for (size_t i = 0; i < names.n; i++) {
		bool known = false;

		for (size_t c = 0; c < ARRAY_SIZE(columns) && !known; c++)
			known = strcasecmp(columns[c].name, names.v[i]) == 0;
		if (!known || n_keys == ARRAY_SIZE(keys)) {
			cli_warn("Unknown column \"%s\".", names.v[i]);
			return CLI_USAGE;
		}
		snprintf(keys[n_keys].name, sizeof(keys[0].name), "%s", str_lower(names.v[i]));
		keys[n_keys++].down = down;
	}
	return 0;
}

static int
print_list(const char *fields, bool header, bool json)
{
	cleanup_table struct table *t = table_new(columns, ARRAY_SIZE(columns));
	cleanup_free struct view_inst **order = xcalloc(view.n + 1, sizeof(*order));
	const char *usual = show_next ? "state,nstate,stime,ctid,fmri" : "state,stime,fmri";
	cleanup_free char *lower = xstrdup(fields ? fields : usual);
	cleanup_error struct error err = ERROR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < view.n; i++) {
		if (shown[i])
			order[n++] = &view.insts[i];
	}
	if (n_keys == 0) {
		add_keys("state", false);
		add_keys("stime", false);
	}
	qsort(order, n, sizeof(*order), compare);
	if (table_select(t, str_lower(lower), &err) < 0)
		return cli_error(&err), CLI_USAGE;
	table_separator(t, " ");
	if (!header)
		table_no_header(t);
	if (!show_processes) {
		for (size_t i = 0; i < n; i++)
			add_row(t, order[i]);
		table_print(t, stdout, json ? TABLE_JSON : TABLE_HUMAN);
		return 0;
	}
	/* Processes stand between the rows: each is a table of one row below the first heading. */
	for (size_t i = 0; i < n; i++) {
		cleanup_table struct table *one = table_new(columns, ARRAY_SIZE(columns));

		if (table_select(one, lower, &err) < 0)
			return cli_error(&err), CLI_USAGE;
		table_separator(one, " ");
		if (i || !header)
			table_no_header(one);
		add_row(one, order[i]);
		table_print(one, stdout, TABLE_HUMAN);
		print_processes(order[i]);
	}
	return 0;
}

/* -d and -D: what the chosen instances depend on, or who depends on them. */
static void
show_dependents(struct vertex *dependent, const struct depgroup *d, void *arg)
{
	const struct view_inst *i = dependent->data;

	if (i)
		((bool *)arg)[i - view.insts] = true;
}

static void
show_target(const struct vertex *t, bool *out)
{
	const struct view_inst *i = t->data;

	if (i)
		out[i - view.insts] = true;
	for (size_t k = 0; k < t->n_instances; k++)
		show_target(t->instances[k], out);
}

static void
neighbours(bool up)
{
	bool *out = xcalloc(view.n + 1, sizeof(*out));

	for (size_t i = 0; i < view.n; i++) {
		struct vertex *v = view.insts[i].v;

		if (!shown[i] || !v)
			continue;
		if (up) {
			graph_each_dependent(view.graph, v, show_dependents, out);
			continue;
		}
		for (size_t g = 0; g < v->n_groups; g++) {
			for (size_t t = 0; t < v->groups[g].n_targets; t++)
				show_target(v->groups[g].targets[t], out);
		}
	}
	free(shown);
	shown = out;
}

static int
usage(bool asked)
{
	return cli_usage_text(
		asked,
		"svcs [-aHjpv] [-o COLUMN[,COLUMN...]] [-R RESTARTER] [-s|-S COLUMN[,...]] "
		"[PATTERN...]\n"
		"       svcs -d|-D [-Hpv] [-o COLUMN[,...]] [-s|-S COLUMN[,...]] PATTERN...\n"
		"       svcs -l|-L [-v] PATTERN...\n"
		"       svcs -x [-v] [PATTERN...]\n"
		"Columns: ctid desc fmri inst nsta nstate scope sta state stime svc zone");
}

static int
logs(void)
{
	for (size_t i = 0; i < view.n; i++) {
		if (shown[i]) {
			cleanup_free char *path = explain_log(view.insts[i].fmri);

			printf("%s\n", path);
		}
	}
	return 0;
}

static bool
restarter_is(const struct view_inst *i, const char *fmri)
{
	const char *r = plan_get(view.plan, i->conf, "general", "restarter", SMF_MASTER_RESTARTER);

	return smf_fmri_match(r, fmri) || str_eq(r, fmri);
}

struct options {
	bool all, header, json;
	const char *fields, *restarter;
	int mode; /* the letter of -d -D -l -L -x, or 0 */
};

static int
parse_options(int argc, char **argv, struct options *o)
{
	int c, r;

	while ((c = getopt(argc, argv, "aHjpvxdDlLo:s:S:R:?")) != -1) {
		switch (c) {
		case 'a':
			o->all = true;
			break;
		case 'H':
			o->header = false;
			break;
		case 'j':
			o->json = true;
			break;
		case 'p':
			show_processes = true;
			break;
		case 'v':
			show_next = true;
			break;
		case 'd':
		case 'D':
		case 'l':
		case 'L':
		case 'x':
			if (o->mode && o->mode != c)
				return usage(false);
			o->mode = c;
			break;
		case 'o':
			o->fields = optarg;
			break;
		case 'R':
			o->restarter = optarg;
			break;
		case 's':
		case 'S':
			r = add_keys(optarg, c == 'S');
			if (r)
				return r;
			break;
		default:
			return usage(false);
		}
	}
	return o->mode && o->mode != 'x' && optind == argc ? usage(false) : CLI_OK;
}

/* Fills shown[]: what the patterns match; without one, what is enabled or runs, or all. */
static int
choose(const struct options *o, char *const *patterns, size_t n)
{
	cleanup_error struct error err = ERROR_INIT;
	int status = CLI_OK;

	shown = xcalloc(view.n + 1, sizeof(*shown));
	for (size_t k = 0; k < n; k++) {
		if (view_match(&view, &patterns[k], 1, shown, &err) < 0) {
			status = cli_error(&err);
			error_done(&err);
		}
	}
	for (size_t i = 0; i < view.n; i++) {
		const struct view_inst *x = &view.insts[i];

		if (n == 0)
			shown[i] = o->all || o->mode == 'x' || o->restarter ||
				   x->rec.state != SMF_DISABLED || x->enabled;
		if (o->restarter && !restarter_is(x, o->restarter))
			shown[i] = false;
	}
	return status;
}

static bool
any_shown(void)
{
	for (size_t i = 0; i < view.n; i++)
		if (shown[i])
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct options o = {.header = true};
	bool named, listed;
	int status;

	cli_init(argv[0]);
	if (cli_asks_help(argc, argv))
		return usage(true);
	status = parse_options(argc, argv, &o);
	if (status)
		return status;
	named = optind < argc;
	if (view_open(&view, &err) < 0)
		return cli_error(&err);
	status = choose(&o, argv + optind, (size_t)(argc - optind));
	listed = !named || any_shown();
	switch (o.mode) {
	case 'x':
		return explain_problems(&view, shown, named, show_next) | status;
	case 'l':
		return explain_long(&view, shown, show_next) | status;
	case 'L':
		return logs() | status;
	case 'd':
	case 'D':
		neighbours(o.mode == 'D');
		break;
	default:
		break;
	}
	return listed ? print_list(o.fields, o.header, o.json) | status : status;
}
