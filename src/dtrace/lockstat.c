/* lockstat(8): a D program for what was asked, run by dtrace(8). */
#include <stdio.h>
#include <unistd.h>

#include "base/cli.h"
#include "dtrace/lock_report.h"

static const char usage_text[] =
	"usage: lockstat [-ACH] [-D ROWS] [-s DEPTH] COMMAND [ARG...]\n"
	"  -A  as -C -H             -D  the ROWS greatest of each kind\n"
	"  -C  contention (default) -s  stacks of DEPTH frames\n"
	"  -H  how long mutexes are held\n";

struct wish {
	bool contended, held;
	uint64_t depth, rows;
};

static const char *const contention[] = {
	"adaptive-block", "adaptive-spin", "rw-block", "rw-spin", "spin-spin", "thread-spin",
};

/* As contention[], and what is held. */
static const char *const names[] = {
	"Adaptive mutex block", "Adaptive mutex spin", "R/W lock block",      "R/W lock spin",
	"Spin lock spin",	"Thread lock spin",    "Adaptive mutex hold",
};

static void
add_end(struct strbuf *end, size_t i, bool stack)
{
	cleanup_free char *count = str_printf("n%zu", i), *total = str_printf("t%zu", i);

	lock_report_end(end, i, count, total, stack);
}

static char *
program(bool contended, bool held, uint64_t depth)
{
	/* Who waits is found above the lock's own functions, who holds is the caller. */
	cleanup_free char *key = str_printf("sym(arg0), stack(%llu)", (unsigned long long)(depth ? depth : 8));
	cleanup_free char *holder = depth ? xstrdup(key) : xstrdup("sym(arg0), sym(caller)");
	size_t hold = ARRAY_SIZE(contention);
	cleanup_strbuf struct strbuf text = STRBUF_INIT, end = STRBUF_INIT;

	for (size_t i = 0; contended && i < ARRAY_SIZE(contention); i++) {
		strbuf_addf(&text, "lockstat:::%s { @n%zu[%s] = count(); @t%zu[%s] = sum(arg1); }\n",
			    contention[i], i, key, i, key);
		add_end(&end, i, true);
	}
	if (held) {
		strbuf_adds(&text, "lockstat:::adaptive-acquire { self->at[arg0] = timestamp; }\n");
		strbuf_addf(&text,
			    "lockstat:::adaptive-release /self->at[arg0]/ { @n%zu[%s] = count(); "
			    "@t%zu[%s] = sum(timestamp - self->at[arg0]); self->at[arg0] = 0; }\n",
			    hold, holder, hold, holder);
		add_end(&end, hold, depth);
	}
	return lock_report_program(&text, &end);
}

/* A letter of the command line; false: its value is wrong. */
static bool
take(struct wish *w, int letter, const char *value)
{
	w->contended |= letter == 'A' || letter == 'C';
	w->held |= letter == 'A' || letter == 'H';
	if (letter == 'D')
		return str_to_u64(value, 10, &w->rows) == 0 && w->rows > 0;
	if (letter == 's')
		return str_to_u64(value, 10, &w->depth) == 0 && w->depth > 0 && w->depth <= 50;
	return true;
}

int
main(int argc, char **argv)
{
	struct wish w = {0};
	cleanup_free char *text = NULL;
	int opt;

	cli_init(argv[0]);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	while ((opt = getopt(argc, argv, "+ACHD:s:")) != -1) {
		if (opt != '?' && !take(&w, opt, optarg)) {
			fprintf(stderr, "lockstat: -%c %s: not a number (from 1; -s: to 50)\n", opt, optarg);
			return CLI_USAGE;
		}
		if (opt == '?') {
			fputs(usage_text, stderr);
			return CLI_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return CLI_USAGE;
	}
	text = program(w.contended || !w.held, w.held, w.depth);
	return lock_report_run(&(struct lock_report){.kinds = names, .n_kinds = ARRAY_SIZE(names),
						     .rows = w.rows, .stacks = w.depth, .rates = true,
						     .parts = true, .command = argv + optind},
			       text);
}
