/* dtrace(8): options, programs, and the loop until something says stop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "dtrace/dt.h"
#include "dtrace/proc.h"

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	interrupted = 1;
}

static const char usage_text[] =
	"usage: dtrace [-lqvwZ] [-b BUFSZ] [-c CMD] [-o FILE] [-p PID] [-s SCRIPT] [-x OPT[=VAL]]\n"
	"              [-P PROVIDER] [-m MODULE] [-f FUNCTION] [-n NAME [[PRED] ACTION]] [-i ID] [ARG...]\n"
	"  -b  ring buffer size          -l  list matching probes\n"
	"  -c  run CMD, exit with it     -n  probe description and clause\n"
	"  -o  output file               -q  quiet: only what the program prints\n"
	"  -s  D script                  -w  allow destructive actions\n"
	"  -x  set an option             -Z  descriptions may match nothing\n";

/* A -P, -m, -f, -n or -i argument as a clause: "desc [/pred/] [{ ... }]". */
static char *
clause_text(char kind, const char *arg)
{
	static const struct {
		char kind;
		const char *format;
	} rows[] = {{'P', "%.*s:::"}, {'m', ":%.*s::"}, {'f', "::%.*s:"}, {'n', "%.*s"}, {'i', "%.*s"}};
	size_t n = strcspn(arg, " \t\n/{");
	cleanup_free char *desc = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].kind != kind)
			continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		desc = str_printf(rows[i].format, (int)n, arg);
#pragma GCC diagnostic pop
	}
	/* "-n a,b" and whole programs stay as they are. */
	if (kind == 'n')
		return xstrdup(arg);
	return str_printf("%s%s", desc, arg + n);
}

struct job {
	char kind;
	const char *arg;
};

static int
compile_job(struct dt *dt, const struct job *job, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (job->kind == 's') {
		if ((r = file_read(job->arg, 0, &text, &len, err)) < 0)
			return r;
		free(dt->script);
		dt->script = xstrdup(job->arg);
	} else {
		text = clause_text(job->kind, job->arg);
		len = strlen(text);
	}
	r = dt_compile(dt, text, len, job->kind == 's' ? job->arg : "", err);
	if (r < 0) {
		const char *what = job->kind == 's' ? "script" : "probe specifier";

		return error_wrap(err, r, "failed to compile %s %s", what, job->arg);
	}
	return 0;
}

static int
list_probes(struct dt *dt, const struct job *jobs, size_t n, struct error *err)
{
	printf("%5s %10s %17s %33s %s\n", "ID", "PROVIDER", "MODULE", "FUNCTION", "NAME");
	for (size_t j = 0; j < (n ? n : 1); j++) {
		cleanup_free struct probe **found = NULL;
		cleanup_free char *text = n ? clause_text(jobs[j].kind, jobs[j].arg) : xstrdup(":::");
		size_t n_found;
		int r = dt_probes_match(dt, text, 1, &found, &n_found, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < n_found; i++)
			printf("%5u %10s %17s %33s %s\n", found[i]->id, found[i]->prov,
			       found[i]->mod, found[i]->func, found[i]->name);
	}
	return 0;
}

/* -c and -p: all are held until the probes are set. */
static int
hold_targets(struct dt *dt, const struct job *targets, size_t n, struct error *err)
{
	int r = 0, pid;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (targets[i].kind == 'c')
			r = dt_proc_create(dt, targets[i].arg, err);
		else if (str_to_int(targets[i].arg, &pid) < 0)
			r = error_set(err, EINVAL, "-p %s: not a process id", targets[i].arg);
		else
			r = dt_proc_grab(dt, pid, err);
	}
	return r;
}

static int
run(struct dt *dt, struct error *err)
{
	struct sigaction sa = {.sa_handler = on_signal};
	int r;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if ((r = dt_enable(dt, err)) < 0)
		return r;
	if ((r = dt_procs_go(dt, err)) < 0)
		return r;
	for (;;) {
		if ((r = dt_consume(dt, 0, err)) < 0)
			return r;
		if (dt->exiting || interrupted || dt_procs_over(dt))
			break;
		dt_procs_wait(dt, (int)(dt->opts.switchrate_ns / 1000000));
	}
	dt_stop(dt);
	if ((r = dt_consume(dt, 0, err)) < 0 || (r = dt_fire(dt, "END", err)) < 0 ||
	    (r = dt_consume(dt, 0, err)) < 0)
		return r;
	return dt_aggs_print(dt, err);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free struct job *jobs = NULL, *targets = NULL;
	struct dt *dt = NULL;
	bool list = false;
	size_t n_jobs = 0, n_targets = 0;
	int opt, r;

	cli_init(argv[0]);
	if (dt_open(&dt, &err) < 0)
		return cli_error(&err);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	jobs = xcalloc((size_t)argc, sizeof(*jobs));
	targets = xcalloc((size_t)argc, sizeof(*targets));
	while ((opt = getopt(argc, argv, "+b:c:f:i:lm:n:o:P:p:qs:vVwx:Z")) != -1) {
		cleanup_free char *assignment = NULL;

		r = 0;
		switch (opt) {
		case 'P':
		case 'm':
		case 'f':
		case 'n':
		case 'i':
		case 's':
			jobs[n_jobs++] = (struct job){(char)opt, optarg};
			break;
		case 'b':
			assignment = str_printf("bufsize=%s", optarg);
			r = dt_set_option(dt, assignment, &err);
			break;
		case 'c':
		case 'p':
			targets[n_targets++] = (struct job){(char)opt, optarg};
			break;
		case 'l':
			list = true;
			break;
		case 'o':
			dt->out = fopen(optarg, "ae");
			if (!dt->out)
				r = error_set_errno(&err, errno, "cannot open %s", optarg);
			break;
		case 'q':
			dt->opts.quiet = true;
			break;
		case 'w':
			dt->opts.destructive = true;
			break;
		case 'x':
			r = dt_set_option(dt, optarg, &err);
			break;
		case 'Z':
			dt->opts.zdefs = true;
			break;
		case 'V':
			printf("dtrace: Sun D 1.13\n");
			return CLI_OK;
		case 'v':
			break;
		default:
			fputs(usage_text, stderr);
			return CLI_USAGE;
		}
		if (r < 0)
			return cli_error(&err);
	}
	for (int i = optind; i < argc; i++)
		strv_add(&dt->args, argv[i]);
	if (!n_jobs && !list) {
		fputs(usage_text, stderr);
		return CLI_USAGE;
	}
	r = hold_targets(dt, targets, n_targets, &err);
	if (r >= 0 && list) {
		r = list_probes(dt, jobs, n_jobs, &err);
	} else if (r >= 0) {
		for (size_t i = 0; r >= 0 && i < n_jobs; i++)
			r = compile_job(dt, &jobs[i], &err);
		if (r >= 0 && !dt->opts.quiet)
			dt_tell_matches(dt, jobs[0].kind == 's' ? "script" : "description",
					jobs[0].arg);
		if (r >= 0)
			r = run(dt, &err);
	}
	if (r < 0)
		cli_error(&err);
	else
		r = dt->exit_status;
	dt_close(dt);
	return r < 0 ? CLI_FAILED : r;
}
