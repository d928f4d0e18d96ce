/* lockstat(8): a D program for what was asked, run by dtrace(8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/str.h"

static const char usage_text[] =
	"usage: lockstat [-ACH] [-D ROWS] [-s DEPTH] COMMAND [ARG...]\n"
	"  -A  as -C -H             -D  the ROWS greatest of each kind\n"
	"  -C  contention (default) -s  stacks of DEPTH frames\n"
	"  -H  how long mutexes are held\n";

struct kind {
	const char *probe, *name;
};

static const struct kind contention[] = {
	{"adaptive-block", "Adaptive mutex block"}, {"adaptive-spin", "Adaptive mutex spin"},
	{"rw-block", "R/W lock block"},		    {"rw-spin", "R/W lock spin"},
	{"spin-spin", "Spin lock spin"},	    {"thread-spin", "Thread lock spin"},
};

/* Aggregations @nI and @tI of kind I, and their printing at the end. */
static void
add_end(struct strbuf *end, size_t i, const char *name, const char *where, uint64_t rows)
{
	strbuf_addf(end, "printf(\"\\n%s\\n%%10s %%12s %s\\n\", \"Count\", \"nsec\");\n", name, where);
	if (rows)
		strbuf_addf(end, "trunc(@n%zu, %llu); trunc(@t%zu, %llu);\n", i,
			    (unsigned long long)rows, i, (unsigned long long)rows);
	strbuf_addf(end, "printa(\"%%@10d              %%s\\n\", @n%zu);\n"
			 "printa(\"           %%@12d  %%s\\n\", @t%zu);\n", i, i);
}

static char *
program(bool contended, bool held, uint64_t depth, uint64_t rows)
{
	/* Who waits is found above the lock's own functions, who holds is the caller. */
	cleanup_free char *key = str_printf("stack(%llu)", (unsigned long long)(depth ? depth : 4));
	cleanup_free char *holder = depth ? xstrdup(key) : xstrdup("sym(caller)");
	struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf end = STRBUF_INIT;
	size_t i = 0;

	for (; contended && i < ARRAY_SIZE(contention); i++) {
		strbuf_addf(&text, "lockstat:::%s { @n%zu[%s] = count(); @t%zu[%s] = avg(arg1); }\n",
			    contention[i].probe, i, key, i, key);
		add_end(&end, i, contention[i].name, "Stack", rows);
	}
	if (held) {
		strbuf_adds(&text, "lockstat:::adaptive-acquire { self->at[arg0] = timestamp; }\n");
		strbuf_addf(&text,
			    "lockstat:::adaptive-release /self->at[arg0]/ { @n%zu[%s] = count(); "
			    "@t%zu[%s] = avg(timestamp - self->at[arg0]); self->at[arg0] = 0; }\n",
			    i, holder, i, holder);
		add_end(&end, i, "Adaptive mutex hold", depth ? "Stack" : "Caller", rows);
	}
	strbuf_addf(&text, "END {\n%s}\n", end.data);
	return strbuf_steal(&text);
}

int
main(int argc, char **argv)
{
	bool contended = false, held = false;
	uint64_t depth = 0, rows = 0;
	cleanup_free char *text = NULL, *command = NULL;
	cleanup_strv struct strv words = STRV_INIT;
	int opt;

	cli_init(argv[0]);
	if (argc == 2 && str_eq(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return CLI_OK;
	}
	while ((opt = getopt(argc, argv, "+ACHD:s:")) != -1) {
		if (opt == 'A' || opt == 'C')
			contended = true;
		if (opt == 'A' || opt == 'H')
			held = true;
		if ((opt == 'D' && str_to_u64(optarg, 10, &rows) < 0) ||
		    (opt == 's' && (str_to_u64(optarg, 10, &depth) < 0 || depth < 1 || depth > 50))) {
			fprintf(stderr, "lockstat: -%c %s: not a number (-s: from 1 to 50)\n", opt, optarg);
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
	for (int i = optind; i < argc; i++)
		strv_add(&words, argv[i]);
	command = strv_join(&words, " ");
	text = program(contended || !held, held, depth, rows);
	execl("/usr/sbin/dtrace", "dtrace", "-q", "-x", "aggsortrev", "-c", command, "-n", text,
	      (char *)NULL);
	fprintf(stderr, "lockstat: cannot run /usr/sbin/dtrace: %s\n", strerror(errno));
	return CLI_FAILED;
}
