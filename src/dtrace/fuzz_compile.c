/*
 * Any bytes are a D program that compiles to BPF, or an error with a message and a
 * tag.  The input is either the program itself or, after a first byte below 128,
 * choices by which a grammar writes one: such programs mostly compile.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrace/gen.h"
#include "dtrace/ksyms.h"
#include "dtrace/priv.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct choice {
	const unsigned char *p, *end;
	int depth;
	struct strbuf out;
};

static unsigned
choose(struct choice *c, unsigned n)
{
	return c->p < c->end ? *c->p++ % n : 0;
}

static void text(struct choice *c);

/* What a zone may not say is another word there, so that its programs compile as often. */
static void
word(struct choice *c, const char *w)
{
	static const struct {
		const char *word, *instead;
	} rows[] = {{"curthread->tgid", "pid"},		    {"caller", "ucaller"},
		    {"stackdepth", "ustackdepth"},	    {"stringof(curthread->comm)", "cwd"},
		    {"stack(4); ", "ustack(4); "},	    {"rawtp:::sched_switch", "syscall:::entry"}};

	for (size_t i = 0; getenv("FUZZ_ZONE") && i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].word, w))
			w = rows[i].instead;
	strbuf_adds(&c->out, w);
}

static void
number(struct choice *c)
{
	static const char *const leaves[] = {
		"0", "1", "-1", "255", "0x7fffffffffffffff", "pid", "tid", "cpu", "timestamp",
		"arg0", "arg1", "x", "self->y", "this->z", "m[1]", "curthread->tgid", "uid",
		"curpsinfo->pr_pid", "strlen(execname)", "rand()", "sizeof(int)", "$pid", "stackdepth",
		"vtimestamp", "errno", "id", "epid", "ppid", "walltimestamp", "caller", "ucaller",
	};
	static const char *const ops[] = {" + ", " - ", " * ", " / ", " % ", " & ", " | ", " ^ ",
					  " << ", " >> ", " == ", " < ", " >= ", " && ", " || ",
					  " ^^ "};
	static const char *const unary[] = {"-", "!", "~", "(char)", "(uint32_t)", "(int64_t)"};

	if (++c->depth > 6 || choose(c, 3) == 0) {
		word(c, leaves[choose(c, ARRAY_SIZE(leaves))]);
	} else {
		strbuf_addc(&c->out, '(');
		switch (choose(c, 6)) {
		case 0:
			strbuf_adds(&c->out, unary[choose(c, ARRAY_SIZE(unary))]);
			number(c);
			break;
		case 1:
			number(c);
			strbuf_adds(&c->out, " ? ");
			number(c);
			strbuf_adds(&c->out, " : ");
			number(c);
			break;
		case 2:
			text(c);
			strbuf_adds(&c->out, choose(c, 2) ? " == " : " < ");
			text(c);
			break;
		case 3:
			strbuf_adds(&c->out, choose(c, 2) ? "index(" : "rindex(");
			text(c);
			strbuf_adds(&c->out, ", ");
			text(c);
			strbuf_adds(&c->out, ")");
			break;
		default:
			number(c);
			strbuf_adds(&c->out, ops[choose(c, ARRAY_SIZE(ops))]);
			number(c);
			break;
		}
		strbuf_addc(&c->out, ')');
	}
	c->depth--;
}

static void
text(struct choice *c)
{
	static const char *const leaves[] = {"\"a\"", "execname", "probename", "s", "self->t",
					     "n[\"k\", pid]", "cwd", "zonename", "curpsinfo->pr_psargs",
					     "copyinstr(arg0)", "stringof(curthread->comm)", "\"\""};
	static const char *const one[] = {"basename", "dirname", "cleanpath", "toupper", "tolower"};

	if (++c->depth > 5 || choose(c, 2) == 0) {
		word(c, leaves[choose(c, ARRAY_SIZE(leaves))]);
	} else if (choose(c, 3) == 0) {
		strbuf_adds(&c->out, choose(c, 2) ? "strjoin(" : "strstr(");
		text(c);
		strbuf_adds(&c->out, ", ");
		text(c);
		strbuf_addc(&c->out, ')');
	} else if (choose(c, 3) == 0) {
		strbuf_adds(&c->out, "substr(");
		text(c);
		strbuf_adds(&c->out, ", ");
		number(c);
		strbuf_addc(&c->out, ')');
	} else if (choose(c, 3) == 0) {
		strbuf_adds(&c->out, choose(c, 2) ? "json(" : "strtok(");
		text(c);
		strbuf_adds(&c->out, ", \"a.b[1]\")");
	} else if (choose(c, 2)) {
		strbuf_adds(&c->out, "lltostr(");
		number(c);
		strbuf_addc(&c->out, ')');
	} else {
		strbuf_addf(&c->out, "%s(", one[choose(c, ARRAY_SIZE(one))]);
		text(c);
		strbuf_addc(&c->out, ')');
	}
	c->depth--;
}

static void
statement(struct choice *c)
{
	static const char *const targets[] = {"x = ", "self->y = ", "this->z = ", "m[1] = ", "x += ",
					      "self->y -= "};
	static const char *const aggs[] = {"@c = count()", "@s = sum(", "@a = avg(", "@q = quantize(",
					   "@l = lquantize(", "@d = stddev(", "@k[execname, pid] = max("};
	unsigned which;

	switch (choose(c, 8)) {
	case 0:
		strbuf_adds(&c->out, "trace(");
		choose(c, 2) ? number(c) : text(c);
		strbuf_adds(&c->out, "); ");
		break;
	case 1:
		strbuf_adds(&c->out, "printf(\"%d %s\\n\", ");
		number(c);
		strbuf_adds(&c->out, ", ");
		text(c);
		strbuf_adds(&c->out, "); ");
		break;
	case 2:
		strbuf_adds(&c->out, choose(c, 2) ? "s = " : "self->t = ");
		text(c);
		strbuf_adds(&c->out, "; ");
		break;
	case 3:
		which = choose(c, ARRAY_SIZE(aggs));
		strbuf_adds(&c->out, aggs[which]);
		if (which)
			number(c);
		strbuf_adds(&c->out, which == 4 ? ", 0, 100, 10); " : which ? "); " : "; ");
		break;
	case 4:
		strbuf_adds(&c->out, "if (");
		number(c);
		strbuf_adds(&c->out, ") { ");
		if (++c->depth < 5)
			statement(c);
		strbuf_adds(&c->out, "} else { ");
		if (c->depth < 5)
			statement(c);
		c->depth--;
		strbuf_adds(&c->out, "} ");
		break;
	case 5:
		word(c, choose(c, 2) ? "stack(4); " : "n[\"k\", pid] = execname; ");
		break;
	default:
		strbuf_adds(&c->out, targets[choose(c, ARRAY_SIZE(targets))]);
		number(c);
		strbuf_adds(&c->out, "; ");
		break;
	}
}

/* The program that the choices write; the caller's. */
static char *
write_program(const unsigned char *data, size_t size)
{
	static const char *const probes[] = {"BEGIN", "syscall::read:entry", "syscall:::return",
					     "tick-1s", "profile-97", "rawtp:::sched_switch", "ERROR"};
	struct choice c = {data, data + size, 0, STRBUF_INIT};

	strbuf_adds(&c.out, "BEGIN { x = 1; self->y = 2; this->z = 3; m[1] = 4; s = \"t\"; "
			    "self->t = \"u\"; n[\"k\", pid] = \"v\"; }\n");
	for (int i = 0; i < 3; i++) {
		word(&c, probes[choose(&c, ARRAY_SIZE(probes))]);
		if (choose(&c, 2)) {
			strbuf_adds(&c.out, " /");
			number(&c);
			strbuf_addc(&c.out, '/');
		}
		strbuf_adds(&c.out, " { ");
		for (unsigned k = choose(&c, 5) + 1; k; k--)
			statement(&c);
		strbuf_adds(&c.out, "}\n");
	}
	return strbuf_steal(&c.out);
}

/* FUZZ_ZONE=1: the program is a zone's. */
static bool
no_macro(void *arg, const char *name, int64_t *ret)
{
	*ret = 1;
	return str_eq(name, "pid");
}

static const struct confine zone = {
	.zone = (char *)(uintptr_t)"web", .privs = PRIV_DTRACE_USER | PRIV_DTRACE_PROC, .cgroup = 1,
	.user_ns = 1, .uid_base = 100000, .pid_ns = -1};
static const struct remote client = {.macro = no_macro};

/* FUZZ_LOAD=1: what compiles must pass the verifier, or be refused in words about D. */
static int
enable(struct dt *dt, struct error *err)
{
	int r = getenv("FUZZ_LOAD") ? dt_enable(dt, err) : 0;

	if (r < 0 && strstr(error_message(err), "the kernel refuses")) {
		fprintf(stderr, "%s\n", error_message(err));
		abort();
	}
	return r;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const char *const library[] = {"syslibdir=src/dtrace/lib", "syslibdir=/usr/lib/dtrace"};
	cleanup_free char *program = NULL;
	struct error err = ERROR_INIT;
	struct dt *dt;
	int r;

	if (!size || dt_open(&dt, &err) < 0)
		return 0;
	r = dt_set_option(dt, library[access("src/dtrace/lib", R_OK) != 0], &err);
	dt->confine = getenv("FUZZ_ZONE") ? &zone : NULL;
	dt->remote = dt->confine ? &client : NULL;
	program = data[0] < 128 ? write_program(data + 1, size - 1)
				: xstrndup((const char *)data + 1, size - 1);
	if (getenv("FUZZ_SHOW"))
		fprintf(stderr, "%s\n", program);
	if (r == 0)
		r = dt_compile(dt, program, strlen(program), "fuzz", &err);
	if (r == 0)
		r = enable(dt, &err);
	if (getenv("FUZZ_SHOW"))
		fprintf(stderr, "%s\n", r < 0 ? error_message(&err) : "loads");
	if (r < 0 && !err.message)
		abort();
	error_done(&err);
	dt_close(dt);
	return 0;
}
