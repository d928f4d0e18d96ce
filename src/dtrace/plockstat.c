/*
 * plockstat(8): a D program for what was asked, run by dtrace(8).
 *
 * That a thread blocked is known by its futex(2) calls between entering and
 * leaving a function of the lock; everything else it does there is not waiting.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "dtrace/lock_report.h"

static const char usage_text[] =
	"usage: plockstat [-ACHV] [-e SECONDS] [-n ROWS] [-s DEPTH] -p PID | COMMAND [ARG...]\n"
	"  -A  as -C -H             -n  the ROWS greatest of each kind\n"
	"  -C  contention (default) -p  a process that runs already\n"
	"  -e  end after SECONDS    -s  stacks of DEPTH frames\n"
	"  -H  how long locks are held\n"
	"  -V  show the D program instead of running it\n";

struct kind {
	const char *lock, *unlock;
};

static const struct kind kinds[] = {
	{"pthread_mutex_lock", "pthread_mutex_unlock"},
	{"pthread_rwlock_rdlock", "pthread_rwlock_unlock"},
	{"pthread_rwlock_wrlock", "pthread_rwlock_unlock"},
};

struct wish {
	bool contention, hold, show;
	uint64_t rows, depth, seconds;
	const char *object; /* where the functions are */
};

/* The tables of contention, then those of holding. */
static const char *const names[] = {
	"Mutex block", "R/W reader block", "R/W writer block",
	"Mutex hold",  "R/W reader hold",  "R/W writer hold",
};

/* Who called, where a function begins: a walk of the stack would take longer to load than all the rest. */
#define CALLER "*(uint64_t *)copyin(uregs[R_RSP], 8)"

static void
add_end(struct strbuf *end, const struct wish *w, const char *agg, size_t i)
{
	cleanup_free char *count = str_printf("%sn%zu", agg, i), *total = str_printf("%st%zu", agg, i);

	lock_report_end(end, *agg == 'b' ? i : i + ARRAY_SIZE(kinds), count, total, w->depth);
}

/* entry and return of the lock's function; what was waited for in between. */
static void
add_kind(struct strbuf *text, struct strbuf *end, const struct wish *w, size_t i)
{
	const struct kind *k = &kinds[i];
	cleanup_free char *who = w->depth ? str_printf("ustack(%llu)", (unsigned long long)w->depth)
					  : xstrdup("usym(self->from)");
	cleanup_free char *holder = w->depth ? xstrdup(who) : xstrdup("usym(" CALLER ")");

	strbuf_addf(text,
		    "pid$target:%s:%s:entry { self->lock = arg0; self->from = " CALLER "; self->waited = 0; }\n",
		    w->object, k->lock);
	if (w->contention) {
		strbuf_addf(text,
			    "pid$target:%s:%s:return /self->lock && self->waited/ {"
			    " @bn%zu[uaddr(self->lock), %s] = count();"
			    " @bt%zu[uaddr(self->lock), %s] = sum(self->waited); }\n",
			    w->object, k->lock, i, who, i, who);
		add_end(end, w, "b", i);
	}
	if (w->hold) {
		strbuf_addf(text,
			    "pid$target:%s:%s:return /self->lock && arg1 == 0/ {"
			    " self->held%zu[self->lock] = timestamp; }\n"
			    "pid$target:%s:%s:entry /self->held%zu[arg0]/ {"
			    " @hn%zu[uaddr(arg0), %s] = count();"
			    " @ht%zu[uaddr(arg0), %s] = sum(timestamp - self->held%zu[arg0]);"
			    " self->held%zu[arg0] = 0; }\n",
			    w->object, k->lock, i, w->object, k->unlock, i, i, holder, i, holder, i, i);
		add_end(end, w, "h", i);
	}
	strbuf_addf(text, "pid$target:%s:%s:return { self->lock = 0; self->waited = 0; self->from = 0; }\n",
		    w->object, k->lock);
}

static char *
program(const struct wish *w)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT, end = STRBUF_INIT;

	strbuf_adds(&text, "self uint64_t lock; self uint64_t from;"
			   " self uint64_t waited; self uint64_t since;\n");
	if (w->contention)
		strbuf_adds(&text,
			    "syscall::futex:entry /self->lock/ { self->since = timestamp; }\n"
			    "syscall::futex:return /self->since/ {"
			    " self->waited += timestamp - self->since; self->since = 0; }\n");
	/* A program that is linked statically seldom has all of them. */
	for (size_t i = 0; i < (str_eq(w->object, "a.out") ? 1 : ARRAY_SIZE(kinds)); i++)
		add_kind(&text, &end, w, i);
	if (w->seconds)
		strbuf_addf(&text, "tick-%llus { exit(0); }\n", (unsigned long long)w->seconds);
	return lock_report_program(&text, &end);
}

/* A letter of the command line; false: wrong usage. */
static bool
take(struct wish *w, int letter, const char *value)
{
	switch (letter) {
	case 'A':
		w->contention = w->hold = true;
		return true;
	case 'C':
		return w->contention = true;
	case 'H':
		return w->hold = true;
	case 'V':
		return w->show = true;
	case 'e':
		return str_to_u64(value, 10, &w->seconds) == 0 && w->seconds > 0;
	case 'n':
		return str_to_u64(value, 10, &w->rows) == 0 && w->rows > 0;
	case 's':
		return str_to_u64(value, 10, &w->depth) == 0 && w->depth > 0 && w->depth <= 50;
	default:
		return false;
	}
}

/* Has the process no C library of its own file?  One that cannot be looked at is dtrace's to complain of. */
static bool
is_static(const char *pid)
{
	cleanup_free char *path = str_printf("/proc/%s/maps", pid), *maps = NULL;

	return file_read(path, 0, &maps, NULL, NULL) == 0 && !strstr(maps, "/libc.") &&
	       !strstr(maps, "/libc-") && !strstr(maps, "/ld-musl-");
}

int
main(int argc, char **argv)
{
	cleanup_free char *text = NULL;
	const char *pid = NULL;
	struct wish w = {.object = "libc"};
	int opt;

	cli_init(argv[0]);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	while ((opt = getopt(argc, argv, "+ACHVe:n:p:s:")) != -1) {
		if (opt == 'p') {
			pid = optarg;
		} else if (!take(&w, opt, optarg)) {
			if (opt != '?')
				fprintf(stderr, "plockstat: -%c %s: not a number it can be\n", opt, optarg);
			fputs(usage_text, stderr);
			return CLI_USAGE;
		}
	}
	if ((optind == argc) == !pid) { /* one of the two, not both */
		fputs(usage_text, stderr);
		return CLI_USAGE;
	}
	w.contention |= !w.hold;
	if (pid && is_static(pid))
		w.object = "a.out";
	text = program(&w);
	if (w.show) {
		fputs(text, stdout);
		return CLI_OK;
	}
	return lock_report_run(&(struct lock_report){.kinds = names, .n_kinds = ARRAY_SIZE(names),
						     .rows = w.rows, .stacks = w.depth, .pid = pid,
						     .command = pid ? NULL : argv + optind},
			       text);
}
