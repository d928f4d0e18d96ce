/*
 * plockstat(8): a D program for what was asked, run by dtrace(8).
 *
 * That a thread blocked is known by its futex(2) calls between entering and
 * leaving a function of the lock; everything else it does there is not waiting.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/str.h"

static const char usage_text[] =
	"usage: plockstat [-ACHV] [-e SECONDS] [-n ROWS] [-s DEPTH] -p PID | COMMAND [ARG...]\n"
	"  -A  as -C -H             -n  the ROWS greatest of each kind\n"
	"  -C  contention (default) -p  a process that runs already\n"
	"  -e  end after SECONDS    -s  stacks of DEPTH frames\n"
	"  -H  how long locks are held\n"
	"  -V  show the D program instead of running it\n";

struct kind {
	const char *name, *lock, *unlock;
};

static const struct kind kinds[] = {
	{"Mutex", "pthread_mutex_lock", "pthread_mutex_unlock"},
	{"R/W reader", "pthread_rwlock_rdlock", "pthread_rwlock_unlock"},
	{"R/W writer", "pthread_rwlock_wrlock", "pthread_rwlock_unlock"},
};

struct wish {
	bool contention, hold, show;
	uint64_t rows, depth, seconds;
};

static void
add_end(struct strbuf *end, const struct wish *w, const char *agg, size_t i, const char *kind,
	const char *what)
{
	strbuf_addf(end,
		    "printf(\"\\n%s %s\\n\\n%%8s %%12s %%-36s %%s\\n\", \"Count\", \"nsec\", \"Lock\", \"%s\");\n",
		    kind, what, w->depth ? "Stack" : "Caller");
	if (w->rows)
		strbuf_addf(end, "trunc(@%sn%zu, %llu); trunc(@%st%zu, %llu);\n", agg, i,
			    (unsigned long long)w->rows, agg, i, (unsigned long long)w->rows);
	/* Two aggregations with the same keys make one row. */
	strbuf_addf(end, "printa(\"%%@8d %%@12d %%-36s %%s\\n\", @%sn%zu, @%st%zu);\n", agg, i, agg, i);
}

/* entry and return of the lock's function; what was waited for in between. */
static void
add_kind(struct strbuf *text, struct strbuf *end, const struct wish *w, size_t i)
{
	const struct kind *k = &kinds[i];
	cleanup_free char *who = w->depth ? str_printf("ustack(%llu)", (unsigned long long)w->depth)
					  : xstrdup("usym(self->from)");
	cleanup_free char *holder = w->depth ? xstrdup(who) : xstrdup("usym(ucaller)");

	strbuf_addf(text,
		    "pid$target:libc:%s:entry { self->lock = arg0; self->from = ucaller; self->waited = 0; }\n",
		    k->lock);
	if (w->contention) {
		strbuf_addf(text,
			    "pid$target:libc:%s:return /self->lock && self->waited/ {"
			    " @bn%zu[uaddr(self->lock), %s] = count();"
			    " @bt%zu[uaddr(self->lock), %s] = avg(self->waited); }\n",
			    k->lock, i, who, i, who);
		add_end(end, w, "b", i, k->name, "block");
	}
	if (w->hold) {
		strbuf_addf(text,
			    "pid$target:libc:%s:return /self->lock && arg1 == 0/ {"
			    " self->held%zu[self->lock] = timestamp; }\n"
			    "pid$target:libc:%s:entry /self->held%zu[arg0]/ {"
			    " @hn%zu[uaddr(arg0), %s] = count();"
			    " @ht%zu[uaddr(arg0), %s] = avg(timestamp - self->held%zu[arg0]);"
			    " self->held%zu[arg0] = 0; }\n",
			    k->lock, i, k->unlock, i, i, holder, i, holder, i, i);
		add_end(end, w, "h", i, k->name, "hold");
	}
	strbuf_addf(text, "pid$target:libc:%s:return { self->lock = 0; self->waited = 0; self->from = 0; }\n",
		    k->lock);
}

static char *
program(const struct wish *w)
{
	struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf end = STRBUF_INIT;

	strbuf_adds(&text, "self uint64_t lock; self uint64_t from;"
			   " self uint64_t waited; self uint64_t since;\n");
	if (w->contention)
		strbuf_adds(&text,
			    "syscall::futex:entry /self->lock/ { self->since = timestamp; }\n"
			    "syscall::futex:return /self->since/ {"
			    " self->waited += timestamp - self->since; self->since = 0; }\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		add_kind(&text, &end, w, i);
	if (w->seconds)
		strbuf_addf(&text, "tick-%llus { exit(0); }\n", (unsigned long long)w->seconds);
	strbuf_addf(&text, "END {\n%s}\n", end.data);
	return strbuf_steal(&text);
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

int
main(int argc, char **argv)
{
	cleanup_free char *text = NULL, *command = NULL;
	cleanup_strv struct strv words = STRV_INIT;
	const char *pid = NULL;
	struct wish w = {0};
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
	for (int i = optind; i < argc; i++)
		strv_add(&words, argv[i]);
	command = strv_join(&words, " ");
	text = program(&w);
	if (w.show) {
		fputs(text, stdout);
		return CLI_OK;
	}
	execl("/usr/sbin/dtrace", "dtrace", "-q", "-x", "aggsortrev", pid ? "-p" : "-c",
	      pid ? pid : command, "-n", text, (char *)NULL);
	fprintf(stderr, "plockstat: cannot run /usr/sbin/dtrace: %s\n", strerror(errno));
	return CLI_FAILED;
}
