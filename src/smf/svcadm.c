/*
 * svcadm: what an administrator asks of services.
 *
 * Exit status as on illumos: 0 done, 1 failed, 2 usage; with -s also 3 (the
 * instance itself cannot reach the state) and 4 (a dependency keeps it from it).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/ipc.h"
#include "base/str.h"
#include "smf/scf.h"
#include "smf/view.h"

enum { EXIT_INSTANCE = 3, EXIT_DEPENDENCY = 4 };

#define RECONNECT_MS 250

struct options {
	bool recursive, temporary, synchronous, dump, immediate;
	const char *comment;
};

static struct options opt;
static bool verbose;

typedef int action_fn(const struct view *v, struct view_inst *i, struct error *err);

static int
set_enabled(const struct view *v, struct view_inst *i, bool on, struct error *err)
{
	int r = scf_enable(i->fmri, on, opt.temporary, opt.comment, err);

	if (r == 0 && verbose)
		printf("%s %s%s.\n", i->fmri, opt.temporary ? "temporarily " : "",
		       on ? "enabled" : "disabled");
	return r;
}

static int enable_below(const struct view *v, struct vertex *x, struct error *err);

static int
enable_target(const struct view *v, struct vertex *t, struct error *err)
{
	struct view_inst *i = t->data;
	int r = 0;

	for (size_t k = 0; k < t->n_instances && r == 0; k++)
		r = enable_target(v, t->instances[k], err);
	if (r < 0 || !i || i->enabled)
		return r;
	i->enabled = true;
	r = set_enabled(v, i, true, err);
	return r < 0 ? r : enable_below(v, t, err);
}

/* -r: what x needs.  Of a require_any group nothing, if one of it is enabled already. */
static int
enable_below(const struct view *v, struct vertex *x, struct error *err)
{
	int r = 0;

	for (size_t g = 0; g < x->n_groups && r == 0; g++) {
		const struct depgroup *d = &x->groups[g];
		bool enough = false;

		if (d->grouping != SMF_REQUIRE_ALL && d->grouping != SMF_REQUIRE_ANY)
			continue;
		for (size_t t = 0; t < d->n_targets && d->grouping == SMF_REQUIRE_ANY; t++) {
			const struct view_inst *i = d->targets[t]->data;

			enough = enough || (i && i->enabled);
		}
		for (size_t t = 0; t < d->n_targets && r == 0 && !enough; t++) {
			r = enable_target(v, d->targets[t], err);
			enough = d->grouping == SMF_REQUIRE_ANY;
		}
	}
	return r;
}

static int
do_enable(const struct view *v, struct view_inst *i, struct error *err)
{
	int r = set_enabled(v, i, true, err);

	i->enabled = true;
	return r == 0 && opt.recursive ? enable_below(v, i->v, err) : r;
}

static int
do_disable(const struct view *v, struct view_inst *i, struct error *err)
{
	return set_enabled(v, i, false, err);
}

static int
do_restart(const struct view *v, struct view_inst *i, struct error *err)
{
	cleanup_json struct json *q = json_new_object();

	json_set_str(q, "op", "restart");
	json_set_str(q, "fmri", i->fmri);
	json_set_bool(q, "dump", opt.dump);
	return scf_startd(q, NULL, err);
}

static int
do_refresh(const struct view *v, struct view_inst *i, struct error *err)
{
	return scf_refresh(i->fmri, err);
}

static int
do_clear(const struct view *v, struct view_inst *i, struct error *err)
{
	return scf_clear(i->fmri, err);
}

static enum smf_state mark_to;

static int
do_mark(const struct view *v, struct view_inst *i, struct error *err)
{
	return scf_mark(i->fmri, mark_to, opt.immediate, err);
}

/* Where -s waits for: 0 reached, a positive exit status, -1 not yet. */
static int
reached(const char *fmri, bool down)
{
	cleanup_view struct view v = {0};
	const struct view_inst *i;

	if (view_open(&v, NULL) < 0)
		return -1;
	i = view_find(&v, fmri);
	if (!i || i->rec.next != SMF_NONE || i->rec.to_offline)
		return -1;
	switch ((enum smf_state)i->rec.state) {
	case SMF_ONLINE:
	case SMF_DEGRADED:
		return down ? -1 : 0;
	case SMF_DISABLED:
		return down ? 0 : i->enabled ? -1 : EXIT_INSTANCE;
	case SMF_MAINTENANCE:
		return EXIT_INSTANCE;
	case SMF_OFFLINE:
		return !down && graph_status(v.graph, i->v, NULL) == DEP_NEVER ? EXIT_DEPENDENCY : -1;
	case SMF_NONE:
	case SMF_UNINITIALIZED:
	case SMF_LEGACY_RUN:
	case SMF_N_STATES:
		return -1;
	}
	return -1;
}

/* An answer's end is the end of a look: subscribe first, then look, then sleep until a change. */
static int
wait_for(const char *fmri, bool down)
{
	static const char subscribe[] = "subscribe";
	cleanup_json struct json *q = json_new_object();
	cleanup_close int fd = -1;

	json_set_str(q, "op", subscribe);
	for (;;) {
		cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
		int r;

		if (fd < 0 && ipc_connect(SMF_STARTD_SOCKET, &fd, NULL) == 0 &&
		    ipc_call(fd, q, NULL, 0, &m, NULL) < 0) {
			close(fd);
			fd = -1;
		}
		r = reached(fmri, down);
		if (r >= 0) {
			if (r == EXIT_INSTANCE)
				cli_warn("Instance \"%s\" has entered maintenance or is disabled.", fmri);
			else if (r == EXIT_DEPENDENCY)
				cli_warn("Instance \"%s\" has unsatisfied dependencies.", fmri);
			return r;
		}
		ipc_message_done(&m);
		if (fd < 0) {
			poll(NULL, 0, RECONNECT_MS); /* startd is being restarted */
		} else if (ipc_recv(fd, &m, NULL) != 0) {
			close(fd);
			fd = -1;
		}
	}
}

static int
for_each(int argc, char **argv, action_fn *fn, bool down)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_view struct view v = {0};
	cleanup_free bool *hit = NULL;
	int status = 0;

	if (view_open(&v, &err) < 0)
		return cli_error(&err);
	hit = xcalloc(v.n ? v.n : 1, sizeof(*hit));
	for (int k = 0; k < argc; k++) {
		if (view_match(&v, &argv[k], 1, hit, &err) < 0) {
			status = cli_error(&err);
			error_done(&err);
		}
	}
	for (size_t i = 0; i < v.n; i++) {
		if (hit[i] && fn(&v, &v.insts[i], &err) < 0) {
			status = cli_error(&err);
			error_done(&err);
			hit[i] = false;
		}
	}
	for (size_t i = 0; opt.synchronous && i < v.n; i++) {
		int r = hit[i] ? wait_for(v.insts[i].fmri, down) : 0;

		status = r > status ? r : status;
	}
	return status;
}

static int verb_enable(int argc, char **argv);
static int verb_disable(int argc, char **argv);
static int verb_restart(int argc, char **argv);
static int verb_refresh(int argc, char **argv);
static int verb_clear(int argc, char **argv);
static int verb_mark(int argc, char **argv);
static int verb_milestone(int argc, char **argv);

static const struct verb {
	const char *name, *args, *summary, *letters;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"enable", "[-rst] [-c COMMENT] FMRI...", "enable services", "rstc:", verb_enable},
	{"disable", "[-st] [-c COMMENT] FMRI...", "disable services", "stc:", verb_disable},
	{"restart", "[-ds] FMRI...", "restart services", "ds", verb_restart},
	{"refresh", "[-s] FMRI...", "let services reread their configuration", "s", verb_refresh},
	{"mark", "[-Ist] degraded|maintenance FMRI...", "set a state", "Ist", verb_mark},
	{"clear", "[-s] FMRI...", "leave maintenance or degraded", "s", verb_clear},
	{"milestone", "[-d] FMRI|all|none", "go to a milestone", "d", verb_milestone},
};

static int
usage(const char *name, bool asked)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!name || str_eq(name, verbs[i].name))
			strbuf_addf(&text, "%ssvcadm [-v] %s %s", i == 0 || name ? "" : "\n       ",
				    verbs[i].name, verbs[i].args);
	}
	return cli_usage_text(asked, "%s", text.data);
}

/* Options of a verb; index of the first operand, or -1. */
static int
options(int argc, char **argv)
{
	const char *letters = "";
	int c;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (str_eq(argv[0], verbs[i].name))
			letters = verbs[i].letters;
	}
	optind = 1;
	while ((c = getopt(argc, argv, letters)) != -1) {
		switch (c) {
		case 'r':
			opt.recursive = true;
			break;
		case 's':
			opt.synchronous = true;
			break;
		case 't':
			opt.temporary = true;
			break;
		case 'd':
			opt.dump = true;
			break;
		case 'I':
			opt.immediate = true;
			break;
		case 'c':
			opt.comment = optarg;
			break;
		default:
			return -1;
		}
	}
	return optind < argc ? optind : -1;
}

static int
simple(int argc, char **argv, action_fn *fn, bool down)
{
	int first = options(argc, argv);

	return first < 0 ? usage(argv[0], false) : for_each(argc - first, argv + first, fn, down);
}

static int
verb_enable(int argc, char **argv)
{
	return simple(argc, argv, do_enable, false);
}

static int
verb_disable(int argc, char **argv)
{
	return simple(argc, argv, do_disable, true);
}

static int
verb_restart(int argc, char **argv)
{
	return simple(argc, argv, do_restart, false);
}

static int
verb_refresh(int argc, char **argv)
{
	return simple(argc, argv, do_refresh, false);
}

static int
verb_clear(int argc, char **argv)
{
	return simple(argc, argv, do_clear, false);
}

static int
verb_mark(int argc, char **argv)
{
	int first = options(argc, argv);

	if (first < 0 || first + 1 >= argc || smf_state_parse(argv[first], &mark_to) < 0 ||
	    (mark_to != SMF_MAINTENANCE && mark_to != SMF_DEGRADED))
		return usage("mark", false);
	opt.synchronous = false; /* the answer says that it is done or begun */
	return for_each(argc - first - 1, argv + first + 1, do_mark, false);
}

static int
verb_milestone(int argc, char **argv)
{
	cleanup_json struct json *q = json_new_object();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_view struct view v = {0};
	struct view_inst *i = NULL;
	int first = options(argc, argv);
	const char *name;

	if (first < 0 || first + 1 != argc)
		return usage("milestone", false);
	name = argv[first];
	if (!str_eq(name, "all") && !str_eq(name, "none")) {
		if (view_open(&v, &err) < 0 || view_one(&v, name, &i, &err) < 0)
			return cli_error(&err);
		name = i->fmri;
	}
	if (opt.dump) { /* -d: also at every boot */
		json_set_str(q, "op", "batch");
		json_set(q, "ops", json_new_array());
		for (int k = 0; k < 2; k++) {
			struct json *o = json_new_object();

			json_set_str(o, "op", k ? "set" : "addpg");
			json_set_str(o, "fmri", SMF_MASTER_RESTARTER);
			json_set_str(o, "pg", "options");
			json_set_str(o, "type", k ? "astring" : "application");
			json_set_str(o, "prop", "milestone");
			json_set(o, "values", json_new_array());
			json_push(json_get(o, "values"), json_new_str(name));
			json_push(json_get(q, "ops"), o);
		}
		if (scf_configd(q, NULL, &err) < 0)
			return cli_error(&err);
	}
	json_set_str(q, "op", "milestone");
	json_set_str(q, "fmri", name);
	return scf_startd(q, NULL, &err) < 0 ? cli_error(&err) : 0;
}

int
main(int argc, char **argv)
{
	int c;

	cli_init(argv[0]);
	if (cli_asks_help(argc, argv))
		return usage(NULL, true);
	while ((c = getopt(argc, argv, "+v")) != -1) {
		if (c != 'v')
			return usage(NULL, false);
		verbose = true;
	}
	argc -= optind;
	argv += optind;
	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(verbs); i++) {
		if (str_eq(argv[0], verbs[i].name))
			return verbs[i].run(argc, argv);
	}
	return usage(NULL, false);
}
