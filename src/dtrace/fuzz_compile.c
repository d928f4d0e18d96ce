/*
 * Any bytes are a D program that compiles to BPF, or an error with a message and a
 * tag.  The first byte says how the rest is read: as the program itself (from 192),
 * as choices by which the grammar below writes one (below 128), or as such choices
 * whose program is then damaged in a few places: words of it are doubled, lost and
 * put where they do not belong.
 *
 * What compiles is written as BPF, which needs root for its maps.  FUZZ_LOAD=1: and
 * loaded.  FUZZ_ZONE=1: the program is a zone's.  FUZZ_SHOW=1: shows the programs
 * and what became of them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrace/gen.h"
#include "dtrace/ksyms.h"
#include "dtrace/priv.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* --- the grammar: #x is a choice of the rows of x; ## is # */

#define ROWS(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static const struct kind {
	char name;
	const char *const *leaves;
	const char *const *rows;
} kinds[] = {
	{'n', /* numbers */
	 ROWS("0", "1", "-1", "255", "0x7fffffffffffffff", "017", "'a'", "3000000000U", "pid",
	      "tid", "cpu", "timestamp", "arg0", "arg1", "arg3", "arg5", "arg6", "arg7", "arg8", "arg9", "x", "self->y", "this->z", "m[1]",
	      "uid", "gid", "rand()", "sizeof(int)", "sizeof(struct rec)", "$pid", "ustackdepth",
	      "vtimestamp", "errno", "id", "epid", "ppid", "ipl", "walltimestamp", "ucaller",
	      "curcpu->cpu_id", "RED", "GREEN", "r.a", "r.b", "r.c", "this->r.d", "self->r.list[1]",
	      "by[\"k\"].b", "u.half[1]", "numbers[2]", "speculation()", "small", "byte",
	      "curpsinfo->pr_pid", "curlwpsinfo->pr_lwpid", "FACTOR", "offsetof(struct rec, list)",
	      "uregs[0]", "ustack(2).depth", "jstack(1, 9).strsz", "ustack().pid", "#N", "#K"),
	 ROWS("(#n + #n)", "(#n - #n)", "(#n * #n)", "(#n / #n)", "(#n % #n)", "(#n & #n)",
	      "(#n | #n)", "(#n ^ #n)", "(#n << #n)", "(#n >> #n)", "(#n == #n)", "(#n != #n)",
	      "(#n < #n)", "(#n <= #n)", "(#n > #n)", "(#n >= #n)", "(#n && #n)", "(#n || #n)",
	      "(#n ^^ #n)", "(#n ? #n : #n)", "(#n, #n)", "-(#n)", "+(#n)", "!(#n)", "~(#n)",
	      "(#y)(#n)", "(#t == #t)", "(#t != #t)", "(#t < #t)", "(#t >= #t)", "strlen(#t)",
	      "index(#t, #t)", "rindex(#t, #t, #n)", "index(#t, #t, #n)", "strtoll(#t)",
	      "strtoll(#t, 16)", "htons(#n)", "htonl(#n)", "htonll(#n)", "ntohs(#n)", "ntohl(#n)",
	      "ntohll(#n)", "getmajor(#n)", "getminor(#n)", "progenyof(#n)", "m[#n]", "numbers[#n]",
	      "two[#n, #t]", "by[#t].list[#n]", "(#L = #n)", "(#L += #n)", "(#L++)", "(--#L)",
	      "TWICE[#n]", "*(#p)", "(#p)[#n]", "((struct rec *)(#p))->c",
	      "((char *)(#p) - (char *)(#p))", "((#p) == (#p))", "((#p) != NULL)",
	      "xlate <out_t> (#n).o_n", "(xlate <out_t *> (#n))->o_n", "r.name[#n]", "s[#n]",
	      "(int)(#t)[0]", "((int64_t)(#p) & 7)", "sizeof(#n)", "ustack(3).addrs[#n]")},
	{'K', /* numbers of the kernel's */
	 ROWS("curthread->tgid", "stackdepth", "curthread->mm->arg_start", "curthread->__state",
	      "caller", "`jiffies", "mutex_owned(&curthread->mm->exe_file->f_lock)",
	      "mutex_owned((struct mutex *)arg0)", "(int64_t)mutex_owner((struct mutex *)arg0)",
	      "mutex_type_adaptive((struct mutex *)arg0)", "mutex_type_spin((struct mutex *)arg0)",
	      "rw_iswriter(&curthread->mm->mmap_lock)", "rw_read_held(&curthread->mm->mmap_lock)",
	      "stack(3).addrs[1]", "stack().depth", "rw_write_held((struct rw_semaphore *)arg1)", "msgdsize((struct sk_buff *)arg0)", "msgsize((struct sk_buff *)arg1)",
	      "curthread->in_execve", "*(int *)arg0", "curthread->real_parent->tgid"),
	 NULL},
	{'t', /* texts */
	 ROWS("\"a\"", "\"\"", "execname", "probename", "probefunc", "probemod", "probeprov", "s",
	      "self->t", "this->w", "n[\"k\", pid]", "cwd", "root", "zonename", "execargs",
	      "curpsinfo->pr_psargs", "curpsinfo->pr_fname", "copyinstr(arg0)",
	      "copyinstr(arg1, 20)", "NULL", "\"x\\n\\t\\\\\"", "r.name", "(string)this->p",
	      "stringof(this->p)", "fds[arg0].fi_pathname", "LABEL", "#T", "#J"),
	 ROWS("basename(#t)", "dirname(#t)", "cleanpath(#t)", "toupper(#t)", "tolower(#t)",
	      "strjoin(#t, #t)", "strstr(#t, #t)", "strchr(#t, #n)", "strrchr(#t, 'a')",
	      "substr(#t, #n)", "substr(#t, #n, #n)", "json(#t, \"a.b[1]\")", "json(#t, #t)",
	      "strtok(#t, #t)", "strtok(NULL, \", \")", "lltostr(#n)", "lltostr(#n, 16)",
	      "(#n ? #t : #t)", "inet_ntoa((ipaddr_t *)(#p))", "inet_ntoa6((in6_addr_t *)(#p))",
	      "inet_ntop(2, #p)", "inet_ntop(10, #p)", "link_ntop(1, #p)", "n[#t, #n]",
	      "stringof(#p)", "xlate <out_t> (#n).o_t", "(s = #t)", "(self->t = #t)", "JOINED[#t]",
	      "stringof(copyin(#n, 8))")},
	{'J', /* texts of the kernel's */
	 ROWS("stringof(curthread->comm)", "curthread->comm",
	      "d_path(&curthread->mm->exe_file->f_path)", "d_path(&curthread->fs->pwd)",
	      "d_mount(&curthread->fs->pwd)", "ddi_pathname(curthread, 0)",
	      "stringof((char *)arg0)", "curthread->fs->pwd.dentry->d_name.name"),
	 NULL},
	{'p', /* pointers */
	 ROWS("this->p", "&numbers[1]", "(int *)this->p", "(int *)alloca(8)", "(char *)alloca(64)"),
	 ROWS("(#p + #n)", "(char *)(#t)", "(int *)alloca(#n)", "(int *)copyin(#n, 4)", "(int *)copyin(#n, #n)",
	      "(#n ? #p : #p)", "(struct rec *)(#p)", "&(((struct rec *)(#p))->a)",
	      "(short *)(#n)")},
	{'y', /* types */
	 ROWS("char", "unsigned char", "int8_t", "uint16_t", "short", "int", "uint32_t", "int64_t",
	      "uint64_t", "pid_t", "enum color", "number_t", "unsigned long long", "uintptr_t"),
	 NULL},
	{'L', /* what can be assigned numbers */
	 ROWS("x", "self->y", "this->z", "m[1]", "r.a", "r.b", "this->r.c", "self->r.d", "small",
	      "byte"),
	 ROWS("m[#n]", "two[#n, #t]", "numbers[#n]", "by[#t].a", "self->assoc[#n]",
	      "self->r.list[#n]", "u.half[#n]", "((struct rec *)(#p))->a", "*(int *)(#p)",
	      "((int *)this->p)[#n]")},
	{'k', /* keys */
	 ROWS("execname", "pid", "probefunc", "ustack(3)"),
	 ROWS("#n", "#t", "#k, #n", "#k, #t", "#k, #k", "ustack()", "usym(#n)", "umod(#n)",
	      "uaddr(#n)", "ufunc(#n)")},
	{'o', /* operators that assign */
	 ROWS("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="), NULL},
	{'s', /* statements */
	 ROWS("trace(#n); ", "#L = #n; ", "@c = count(); ", "s = #t; "),
	 ROWS("trace(#t); ", "printf(\"%d %s\\n\", #n, #t); ",
	      "printf(\"%5x|%-10s|%c|%o|%u|%lld|%##.8llx|%i|%e|%%\", #n, #t, #n, #n, #n, #n, #n, "
	      "#n, #n); ",
	      "printf(\"%a %A %p %Y %T %k\", #n, #n, #n, #n, #n, ustack(2)); ",
	      "printf(\"%*d %.*s\", #n, #n, #n, #t); ", "#L #o #n; ", "#L++; ", "--#L; ",
	      "self->t = #t; ", "this->w = #t; ", "n[#t, #n] = #t; ", "s = 0; ", "self->y = 0; ",
	      "n[#t, #n] = 0; ", "m[#n] = 0; ", "by[#t] = r; ", "r = by[#t]; ", "this->r = r; ",
	      "self->r = this->r; ", "by[#t] = 0; ", "this->p = (char *)(#p); ", "this->p = #t; ", "if (#n) { #s} ",
	      "if (#n) { #s} else { #s} ", "if (#n) { #s} else if (#n) { #s} ", "#s#s",
	      "@s = sum(#n); ", "@a = avg(#n); ", "@min[#n] = min(#n); ", "@max = max(#n); ",
	      "@d = stddev(#n); ", "@q = quantize(#n); ", "@qi[#t] = quantize(#n, #n); ",
	      "@l = lquantize(#n, 0, 100, 10); ", "@li[#n] = lquantize(#n, -5, 100, 1, #n); ",
	      "@ll = llquantize(#n, 10, 0, 6, 20); ", "@lli = llquantize(#n, 2, 0, 3, 4, #n); ",
	      "@k[execname, pid] = max(#n); ", "@[#n, #t] = count(); ", "@u[ustack(5)] = sum(#n); ",
	      "@[#k] = count(); ", "@[#k] = quantize(#n); ", "clear(@c); ", "trunc(@k, 3); ",
	      "trunc(@k); ", "normalize(@s, 2); ", "normalize(@s, #n); ", "denormalize(@s); ",
	      "printa(@c); ", "printa(\"%s %d %@d\\n\", @k); ", "printa(@s, @a); ", "ustack(); ",
	      "ustack(4); ", "jstack(3, 50); ", "#S", "print(#n); ", "print(#t); ", "print(r); ",
	      "print((struct rec *)(#p)); ", "tracemem(#p, 16); ", "tracemem(#p, 32, #n); ",
	      "print(*curpsinfo); ", "print(curlwpsinfo); ", "print(xlate <timestruc_t> ((uint64_t)#n)); ",
	      "@[usym(#n), umod(#n)] = count(); ",
	      "usym(#n); ", "umod(#n); ", "uaddr(#n); ", "ufunc(#n); ", "bcopy(#p, #p, 8); ",
	      "bcopy(#t, this->p, #n); ", "bcopy(#p, #p, #n); ", "copyinto(#n, 8, #p); ",
	      "copyinto(#n, #n, #p); ", "self->sp = speculation(); ", "discard(self->sp); ",
	      "st = ustack(3); st.depth = #n; printf(\"%k\", st); ", "trace(ustack(2)); ",
	      "this->st = ustack(4); trace(this->st.addrs[#n]); @[this->st] = count(); ",
	      "self->st = ustack(2); trace(self->st); self->st = 0; ", "print(ustack(2)); ",
	      "sts[#t] = ustack(2); self->st = sts[#t]; self->st.depth--; trace(m2[self->st] = #n); ",
	      "exit(#n); ", "setopt(\"quiet\"); ", "setopt(\"switchrate\", #t); ", "ftruncate(); ",
	      "#D")},
	{'S', /* what needs the kernel's addresses */
	 ROWS("stack(); ", "stack(4); ", "@[stack(3)] = count(); ", "printf(\"%k\", stack(2)); ",
	      "st = stack(3); trace(st); ", "sts[#t] = stack(2); ",
	      "print(curthread->se); ", "print(curthread); ", "print(*curthread->mm); ",
	      "trace(curthread->comm); ", "tracemem(curthread, 64); ",
	      "@[stack(), ustack()] = count(); ", "this->task = curthread; ", "sym(#n); ",
	      "mod(#n); ", "func(#n); ", "@[sym(#n)] = count(); ",
	      "@[mod(#n), func(#n)] = count(); "),
	 NULL},
	{'d', /* statements that leave records */
	 ROWS("trace(#n); ", "printf(\"%d %s\\n\", #n, #t); ", "ustack(2); "), NULL},
	{'c', /* clauses */
	 ROWS("#i { #s#s#s}\n"),
	 ROWS("#i { #s}\n", "#i { #s#s#s#s#s#s}\n", "#i { speculate(self->sp); #d#d}\n",
	      "#i { #L = #n; commit(self->sp); }\n", "#i { }\n")},
	{'i', /* when: the predicate */
	 ROWS("", "/#n/", "/!#n/", "/pid == $pid && #n/"), NULL},
};

/* In programs that may be destructive, which are loaded only behind a BEGIN that ends them. */
static const char *const destructive[] = {
	"chill(1000); ",
	"chill(#n); ",
	"copyout(#p, #n, 8); ",
	"copyout(#p, #n, #n); ",
	"copyoutstr(#t, #n, 16); ",
	"copyoutstr(#t, #n, #n); ",
	"raise(#n); ",
	"stop(); ",
	"system(\"%d %s\", #n, #t); ",
	"freopen(\"/tmp/%s\", #t); ",
	"panic(); ",
};

/* Where a clause fires and what it has there of its own. */
static const struct site {
	const char *probe, *number, *text;
} sites[] = {
	{"BEGIN", "0", "\"b\""},
	{"END", "1", "\"e\""},
	{"ERROR", "arg4", "\"e\""},
	{"syscall::read:entry", "arg2", "fds[arg0].fi_name"},
	{"syscall::openat:entry", "arg2", "copyinstr(arg1)"},
	{"syscall:::return", "errno", "\"r\""},
	{"syscall:::entry, syscall:::return", "arg1", "probefunc"},
	{"tick-1s", "arg0", "\"t\""},
	{"profile-97", "arg1", "\"p\""},
	{"rawtp:::sched_switch", "args[2]->prio", "stringof(args[1]->comm)"},
	{"sdt:::sched_switch", "args[2]->prio", "stringof(args[1]->comm)"},
	{"proc:::create", "args[0]->pr_pid", "args[0]->pr_fname"},
	{"proc:::exec", "1", "args[0]"},
	{"proc:::signal-send", "args[2]", "args[1]->pr_fname"},
	{"proc:::exec-success, proc:::exit", "arg0", "execname"},
	{"sched:::off-cpu", "args[0]->pr_pri", "args[1]->pr_psargs"},
	{"sched:::on-cpu", "curlwpsinfo->pr_flag", "execname"},
	{"io:::start, io:::done", "args[0]->b_bcount", "args[1]->dev_statname"},
	{"io:::start", "args[0]->b_flags", "args[2]->fi_pathname"},
	{"ip:::send", "args[2]->ip_plength", "args[2]->ip_saddr"},
	{"ip:::receive", "args[4]->ipv4_ttl", "args[3]->if_name"},
	{"tcp:::send", "args[4]->tcp_dport", "args[2]->ip_daddr"},
	{"tcp:::state-change", "args[3]->tcps_lport", "args[3]->tcps_raddr"},
	{"udp:::receive", "args[4]->udp_length", "args[2]->ip_daddr"},
	{"vminfo:::maj_fault", "arg0", "execname"},
	{"sysinfo:::readch", "arg0", "execname"},
	{"lockstat:::adaptive-block", "arg1", "execname"},
	{"fbt::vfs_read:entry", "args[2]", "args[0]->f_path.dentry->d_iname"},
	{"fbt::vfs_read:return", "args[1]", "probefunc"},
	{"fbt::vfs_*:entry", "arg1", "probefunc"},
	{"pid$pid:libc.so.6:getenv:entry", "uregs[1]", "copyinstr(arg0)"},
	{"pid$pid:libc.so.6:getenv:return", "arg1", "probefunc"},
};

static const char *const options[] = {
	"strsize=16",     "strsize=1024",    "scratchsize=64", "dynvarsize=4k",  "stackframes=3",
	"ustackframes=5", "ustackunwind=fp", "bufsize=64k",    "bufpolicy=fill", "bufpolicy=ring",
	"nspec=4",        "quiet",           "flowindent",     "argref",         "defaultargs",
	"rawbytes",       "aggsize=64k",     "evaltime=exec",  "jstackframes=2", "maxframes=10",
	"stdc=s",         "cpu=0",
};

static const char declarations[] =
	"struct rec { int a; unsigned b : 3; int c : 5; short d; char name[8]; int list[3]; "
	"struct { char in; } nested; };\n"
	"union either { int whole; short half[2]; };\n"
	"enum color { RED, GREEN = 5 };\n"
	"typedef uint16_t number_t;\n"
	"typedef struct out { int o_n; string o_t; } out_t;\n"
	"translator out_t < int V > { o_n = V + 1; o_t = lltostr(V); };\n"
	"struct rec r, by[string];\nunion either u;\nint numbers[4];\nshort small;\nunsigned char "
	"byte;\n"
	"this struct rec r;\nself struct rec r;\nint two[int, string];\nself int assoc[int];\n"
	"inline int FACTOR = 7;\ninline string LABEL = \"label\";\ninline int TWICE[int v] = 2 * "
	"v;\n"
	"inline string JOINED[string v] = strjoin(v, v);\n";
static const char first_clause[] =
	"BEGIN { x = 1; self->y = 2; this->z = 3; m[1] = 4; s = \"t\"; self->t = \"u\"; this->w = "
	"\"w\"; "
	"n[\"k\", pid] = \"v\"; this->p = (char *)alloca(16); self->sp = speculation(); "
	"@c = count(); @s = sum(1); @a = avg(1); @k[execname, pid] = max(1); }\n";

struct choice {
	const unsigned char *p, *end;
	int depth;
	bool destructive;
	const struct site *site;
	struct strbuf out;
};

static unsigned
choose(struct choice *c, unsigned n)
{
	return c->p < c->end ? *c->p++ % n : 0;
}

static unsigned
count(const char *const *rows)
{
	unsigned n = 0;

	while (rows && rows[n])
		n++;
	return n;
}

static bool
in_zone(void)
{
	return getenv("FUZZ_ZONE") != NULL;
}

/* What stands in for what a zone or a harmless program may not say. */
static char
allowed(const struct choice *c, char name)
{
	if (in_zone() && strchr("KJS", name))
		return name == 'K' ? 'N' : name == 'J' ? 'T' : 'd';
	return name == 'D' && !c->destructive ? 'd' : name;
}

static void expand(struct choice *c, const char *row);

static void
expand_kind(struct choice *c, char name)
{
	const struct kind *k = kinds;
	unsigned leaves, n;

	name = allowed(c, name);
	if (name == 'N' || name == 'T')
		return expand(c, name == 'N' ? c->site->number : c->site->text);
	if (name == 'D')
		return expand(c, destructive[choose(c, ARRAY_SIZE(destructive))]);
	while (k->name != name)
		k++;
	leaves = count(k->leaves);
	/* deep, or with no choices left: nothing that grows */
	if (c->depth > 5 || c->p >= c->end || !k->rows || choose(c, 4) == 0) {
		expand(c, k->leaves[choose(c, leaves)]);
	} else {
		n = choose(c, leaves / 4 + count(k->rows));
		expand(c, n < leaves / 4 ? k->leaves[choose(c, leaves)] : k->rows[n - leaves / 4]);
	}
}

static void
expand(struct choice *c, const char *row)
{
	c->depth++;
	for (; *row; row++) {
		if (*row != '#')
			strbuf_addc(&c->out, *row);
		else if (*++row == '#')
			strbuf_addc(&c->out, '#');
		else
			expand_kind(c, *row);
	}
	c->depth--;
}

/* FUZZ_ZONE=1: the program is a zone's. */
static bool
macro(void *arg, const char *name, int64_t *ret)
{
	*ret = 1;
	return str_eq(name, "pid");
}

static const struct confine zone = {.zone = (char *)(uintptr_t)"web",
				    .privs = PRIV_DTRACE_USER | PRIV_DTRACE_PROC,
				    .cgroup = 1,
				    .user_ns = 1,
				    .uid_base = 100000,
				    .pid_ns = -1};
static const struct remote client = {.macro = macro};

static int
compile(struct dt **ret, const char *program, struct error *err)
{
	static const char *const library[] = {"syslibdir=src/dtrace/lib",
					      "syslibdir=/usr/lib/dtrace"};
	int r = dt_open(ret, err);

	if (r < 0)
		return r;
	r = dt_set_option(*ret, library[access("src/dtrace/lib", R_OK) != 0], err);
	(*ret)->confine = in_zone() ? &zone : NULL;
	(*ret)->remote = in_zone() ? &client : NULL;
	return r < 0 ? r : dt_compile(*ret, program, strlen(program), "fuzz", err);
}

/* What compiles must pass the verifier, or be refused in words about D. */
static int
enable(struct dt *dt, struct error *err)
{
	int r = getenv("FUZZ_LOAD") ? dt_enable(dt, err) : dt_write_programs(dt, err);

	if (r < 0 && strstr(error_message(err), "DTRACE_VERIFIER_LOG")) {
		fprintf(stderr, "%s\n", error_message(err));
		abort();
	}
	return r;
}

/* A clause there compiles and loads. */
static bool
works_at(const struct site *site)
{
	cleanup_free char *program =
		str_printf("%s\n{ trace(%s); trace(%s); }", site->probe, site->number, site->text);
	struct error err = ERROR_INIT;
	struct dt *dt = NULL;
	bool yes;

	if (in_zone() && str_after(site->probe, "pid"))
		return false; /* nobody is there to say what its processes have mapped */
	yes = compile(&dt, program, &err) == 0 && enable(dt, &err) == 0;
	if (getenv("FUZZ_SHOW") && !yes)
		fprintf(stderr, "without %s: %s\n", site->probe, error_message(&err));
	error_done(&err);
	dt_close(dt);
	return yes;
}

/* Of the sites those that this kernel has, and that a zone may name. */
static const struct site *
choose_site(struct choice *c)
{
	static const struct site *there[ARRAY_SIZE(sites)];
	static unsigned n;
	static bool known;

	for (size_t i = 0; !known && i < ARRAY_SIZE(sites); i++)
		if (works_at(&sites[i]))
			there[n++] = &sites[i];
	known = true;
	return n ? there[choose(c, n)] : &sites[0];
}

/* The program that the choices write; the caller's. */
static char *
write_program(const unsigned char *data, size_t size)
{
	struct choice c = {.p = data, .end = data + size, .out = STRBUF_INIT};
	unsigned flags = choose(&c, 256);

	/* Nothing fires after exit(): what a program would do to this machine it only might. */
	c.destructive = flags % 8 == 0;
	if (c.destructive)
		strbuf_adds(&c.out, "#pragma D option destructive\nBEGIN { exit(0); }\n");
	if (flags & 64)
		strbuf_addf(&c.out, "#pragma D option %s\n",
			    options[choose(&c, ARRAY_SIZE(options))]);
	strbuf_addf(&c.out, "%s%s", declarations, first_clause);
	for (unsigned n = flags / 8 % 4 + 1; n; n--) {
		c.site = choose_site(&c);
		strbuf_addf(&c.out, "%s\n", c.site->probe);
		expand_kind(&c, 'c');
	}
	return strbuf_steal(&c.out);
}

/* Where the word at p ends: a name, a number or one character. */
static size_t
word_length(const char *p)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return n ? n : *p != 0;
}

/* A word that the choice picks. */
static const char *
choose_word(struct choice *c, const char *program)
{
	unsigned at = choose(c, 256) * 256 + choose(c, 256);
	const char *p = program + at % (strlen(program) + 1);

	while (p > program && word_length(p - 1) > 1)
		p--;
	return p;
}

/* The program with some words lost, doubled or in another's place. */
static char *
damage(char *program, const unsigned char *data, size_t size)
{
	struct choice c = {.p = data, .end = data + size};

	for (unsigned n = choose(&c, 3) + 1; n; n--) {
		const char *from = choose_word(&c, program), *to = choose_word(&c, program);
		unsigned how = choose(&c, 3);
		size_t lost = how < 2 ? word_length(to) : 0, put = how ? word_length(from) : 0;
		char *next = str_printf("%.*s%.*s %s", (int)(to - program), program, (int)put, from,
					to + lost);

		free(program);
		program = next;
	}
	return program;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	cleanup_free char *program = NULL;
	struct error err = ERROR_INIT;
	struct dt *dt = NULL;
	int r;

	if (!size)
		return 0;
	if (data[0] >= 192)
		program = xstrndup((const char *)data + 1, size - 1);
	else
		program = write_program(data + 1, size - 1);
	if (data[0] >= 128 && data[0] < 192)
		program = damage(program, data + size / 2, size - size / 2);
	if (getenv("FUZZ_SHOW"))
		fprintf(stderr, "%s\n", program);
	r = compile(&dt, program, &err);
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
