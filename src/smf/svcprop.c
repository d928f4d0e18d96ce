/*
 * svcprop: values of properties, for scripts and people.
 *
 * The running configuration comes from the plan, the dynamic group "restarter"
 * from the state file; -c, and services without an instance, ask svc.configd.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/str.h"
#include "smf/bundle.h"
#include "smf/scf.h"
#include "smf/view.h"

static bool quiet, types, full_names, current, wait_change;
static struct strv wanted = STRV_INIT;

/* One instance or service as a tree of groups. */
static struct json *
tree_of_plan(const struct plan *p, const struct plan_inst *i)
{
	struct json *pgs = json_new_array();

	for (size_t n = 0; n < plan_n_pgs(i); n++) {
		const struct plan_pg *g = plan_pg_at(p, i, n);
		struct json *pg = bundle_pg(pgs, plan_pg_name(p, g), plan_pg_type(p, g));

		for (size_t k = 0; k < plan_n_props(g); k++) {
			const struct plan_prop *x = plan_prop_at(p, g, k);
			struct json *prop = bundle_new_prop(pg, plan_prop_name(p, x), plan_prop_type(p, x));

			for (size_t v = 0; v < plan_n_values(x); v++)
				bundle_add_value(prop, plan_value(p, x, v));
		}
	}
	return pgs;
}

static void
add_restarter(struct json *pgs, const struct view_inst *i)
{
	struct json *pg = bundle_pg(pgs, "restarter", "framework");
	cleanup_free char *stime = str_printf("%llu.%06llu", (unsigned long long)i->rec.stime / 1000,
					      (unsigned long long)i->rec.stime % 1000 * 1000);
	cleanup_free char *contract = str_printf("%llu", (unsigned long long)i->rec.contract);
	cleanup_free char *start = str_printf("%d", i->rec.main_pid);

	bundle_prop(pg, "state", "astring", smf_state_name((enum smf_state)i->rec.state));
	bundle_prop(pg, "next_state", "astring", smf_state_name((enum smf_state)i->rec.next));
	bundle_prop(pg, "state_timestamp", "time", stime);
	bundle_prop(pg, "auxiliary_state", "astring", *i->rec.aux ? i->rec.aux : "none");
	if (i->rec.contract)
		bundle_prop(pg, "contract", "count", contract);
	if (i->rec.main_pid)
		bundle_prop(pg, "start_pid", "count", start);
}

/* Groups of an instance composed over its service's, from configd's answers. */
static int
current_tree(const char *fmri, struct json *pgs, struct error *err)
{
	cleanup_json struct json *q = json_new_object(), *reply = NULL;
	struct json *pg, *prop, *v;
	int r;

	json_set_str(q, "op", "get");
	json_set_str(q, "fmri", fmri);
	r = scf_configd(q, &reply, err);
	if (r < 0)
		return r;
	json_array_each(pg, json_get(json_get(reply, "entity"), "pgs"))
	{
		struct json *to = bundle_pg(pgs, json_str(json_get(pg, "name"), ""),
					    json_str(json_get(pg, "type"), ""));

		for (size_t i = 0; (prop = json_at(json_get(pg, "props"), i)) != NULL; i++) {
			const char *name = json_str(json_get(prop, "name"), "");
			struct json *x;

			if (bundle_find(json_get(to, "props"), name))
				continue; /* the instance's own */
			x = bundle_new_prop(to, name, json_str(json_get(prop, "type"), ""));
			for (size_t n = 0; (v = json_at(json_get(prop, "values"), n)) != NULL; n++)
				bundle_add_value(x, json_str(v, ""));
		}
	}
	return 0;
}

static bool
needs_escape(const char *s)
{
	return !*s || s[strcspn(s, " \t\n|&;<>()$`\\\"'*?[]#~=%")];
}

static void
print_value(const char *s)
{
	if (!*s)
		printf("\"\"");
	for (; *s; s++) {
		char one[2] = {*s, '\0'};

		printf("%s%c", needs_escape(one) ? "\\" : "", *s);
	}
}

static void
print_prop(const char *fmri, const char *pg, const struct json *prop, bool bare)
{
	const struct json *values = json_get(prop, "values");
	struct json *v;

	if (quiet)
		return;
	if (full_names)
		printf("%s/:properties/%s/%s ", fmri, pg, json_str(json_get(prop, "name"), ""));
	else if (!bare)
		printf("%s/%s ", pg, json_str(json_get(prop, "name"), ""));
	if (types || full_names || !bare)
		printf("%s", json_str(json_get(prop, "type"), ""));
	for (size_t i = 0; (v = json_at(values, i)) != NULL; i++) {
		if (i || types || full_names || !bare)
			putchar(' ');
		print_value(json_str(v, ""));
	}
	putchar('\n');
}

static void
print_group(const char *fmri, const struct json *pg)
{
	struct json *prop;

	json_array_each(prop, json_get(pg, "props"))
	{
		print_prop(fmri, json_str(json_get(pg, "name"), ""), prop, false);
	}
}

/* What -p asks for, or everything; 1 if one of it is not there. */
static int
print_entity(const char *fmri, const struct json *pgs, bool several)
{
	struct json *pg;
	int status = 0;

	if (wanted.n == 0) {
		json_array_each(pg, pgs)
		{
			print_group(fmri, pg);
		}
	}
	for (size_t i = 0; i < wanted.n; i++) {
		cleanup_free char *name = xstrdup(wanted.v[i]);
		char *slash = strchr(name, '/');
		struct json *prop = NULL;

		if (slash)
			*slash = '\0';
		pg = bundle_find(pgs, name);
		if (slash && pg)
			prop = bundle_find(json_get(pg, "props"), slash + 1);
		if (!pg || (slash && !prop)) {
			if (!quiet)
				cli_warn("Couldn't find property%s `%s' for %s `%s'.",
					 slash ? "" : " group", wanted.v[i],
					 strrchr(fmri, ':') != strchr(fmri, ':') ? "instance" : "service", fmri);
			status = 1;
		} else if (slash) {
			print_prop(fmri, name, prop, !several && wanted.n == 1);
		} else {
			print_group(fmri, pg);
		}
	}
	return status;
}

static int
usage(bool asked)
{
	return cli_usage_text(asked, "svcprop [-cfqtv] [-p PG[/PROP]]... {FMRI|PATTERN}...\n"
				     "       svcprop -w [-fqtv] [-p PG[/PROP]] FMRI");
}

static int
show(const struct view *v, const struct view_inst *i, bool several)
{
	cleanup_json struct json *pgs = NULL;
	cleanup_error struct error err = ERROR_INIT;

	if (current) {
		cleanup_free char *service = smf_fmri_service(i->fmri);

		pgs = json_new_array();
		if (current_tree(i->fmri, pgs, &err) < 0 || current_tree(service, pgs, &err) < 0)
			return cli_error(&err);
	} else {
		pgs = tree_of_plan(v->plan, i->conf);
	}
	add_restarter(pgs, i);
	return print_entity(i->fmri, pgs, several);
}

static int
show_service(const char *fmri)
{
	cleanup_json struct json *pgs = json_new_array();
	cleanup_error struct error err = ERROR_INIT;

	return current_tree(fmri, pgs, &err) < 0 ? cli_error(&err) : print_entity(fmri, pgs, false);
}

/* -w: until a new plan is published or the instance's state changes. */
static int
await_change(void)
{
	int fd = inotify_init1(IN_CLOEXEC);
	char buf[4096] __attribute__((aligned(8)));

	if (fd < 0 || inotify_add_watch(fd, SMF_VOLATILE_DIR, IN_MOVED_TO) < 0)
		return cli_fail("%s: %s", SMF_VOLATILE_DIR, strerror(errno));
	if (read(fd, buf, sizeof(buf)) < 0)
		return cli_fail("inotify: %s", strerror(errno));
	close(fd);
	return 0;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_view struct view v = {0};
	cleanup_free bool *hit = NULL;
	size_t n = 0;
	int c, status = 0;

	cli_init(argv[0]);
	if (cli_asks_help(argc, argv))
		return usage(true);
	while ((c = getopt(argc, argv, "Ccfp:qs:tvw")) != -1) {
		switch (c) {
		case 'C':
		case 'c':
			current = true;
			break;
		case 'f':
			full_names = true;
			break;
		case 'p':
			strv_add(&wanted, optarg);
			break;
		case 'q':
			quiet = true;
			break;
		case 's':
			current = !str_eq(optarg, "running");
			break;
		case 't':
			types = true;
			break;
		case 'v':
			break;
		case 'w':
			wait_change = true;
			break;
		default:
			return usage(false);
		}
	}
	if (optind == argc)
		return usage(false);
	if (wait_change && await_change() != 0)
		return CLI_FAILED;
	if (view_open(&v, &err) < 0)
		return cli_error(&err);
	hit = xcalloc(v.n + 1, sizeof(*hit));
	for (int k = optind; k < argc; k++) {
		struct smf_fmri f;

		if (smf_fmri_parse(argv[k], &f, NULL) == 0 && f.kind == SMF_FMRI_SERVICE) {
			status |= show_service(argv[k]);
		} else if (view_match(&v, &argv[k], 1, hit, &err) < 0) {
			if (!quiet)
				cli_error(&err);
			error_done(&err);
			status = 1;
		}
	}
	for (size_t i = 0; i < v.n; i++)
		n += hit[i];
	for (size_t i = 0; i < v.n; i++) {
		if (hit[i])
			status |= show(&v, &v.insts[i], n > 1);
	}
	strv_done(&wanted);
	return status;
}
