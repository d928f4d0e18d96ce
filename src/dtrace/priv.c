/*
 * What a consumer that works for a zone may see: the zone's processes, and nothing else.
 *
 * The program is the zone's, so hostile.  It is not searched for bad sentences: each wall
 * stands below the compiler's front and is shut unless something opens it.
 *
 * Which events.  Only providers of a table are there.  Every program that they make
 * leaves at once unless the process is in the zone's cgroup *and* its memory belongs to
 * the zone's user namespace (mm->user_ns, which execve sets and nothing else: zlogin's
 * child has the node's memory until it executes a program of the zone; the kernel asks the
 * same before ptrace).  BEGIN, END and tick run wherever they do: in them there is no
 * process (g->nobody), so pid is 0, execname "" and a user address invalid.
 *
 * Kernel memory.  Reading it takes a node that the library wrote (node->library): the
 * checker marks those when it puts an inline or a translator in place of a name.  All
 * other reads are compared with the memory that alloca() and copyin() gave in this firing
 * (gen_guard), and end the clause beyond it.  Only numbers of the program get into the
 * library's expressions, never pointers (priv_check_param), and what the library's words
 * mean cannot be changed (priv_check_name; dt_check() looks at no variable for them): a program
 * that declares anything has the whole library read before it (lib.c).
 *
 * Other processes.  A task that an argument shows (whom sched:::off-cpu makes room for)
 * is 0 if it is not the zone's, and what is read through 0 is 0 or "".
 *
 * Users.  Who is not the zone's root (owner_only) sees what he could ptrace(2): processes whose
 * real, effective and saved ids, of user and group, are all his, with no capability, in the zone's user
 * namespace itself, whose memory is dumpable.  Each firing asks anew, so a process that executes a
 * set-id program is lost at that moment (its credentials change before the program is mapped), and one
 * that came from root by setuid(2) is not seen before it executes: until then the kernel keeps
 * its memory undumpable, and so do we.  Processes that are named, not met (-p, pid probes, names
 * in stacks), are asked the same by /proc/PID/status, and held ones once more when they stand still.
 * The global zone's users are the same case without a cgroup.  dtrace_kernel, which no zone has,
 * takes all this away (dt->confine is NULL), but for destructive actions.
 *
 * Names.  pid, ppid, uid and the members of psinfo_t are the zone's own: priv_view() gives the
 * library their definitions.
 */
#include "dtrace/priv.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define ZONE_LEVEL 2 /* of zones/NAME below the root of cgroups */
#define NS_DEPTH 4   /* user namespaces inside the zone's that are looked through */

#ifndef NS_GET_TGID_FROM_PIDNS /* Linux 6.11; not in Debian 13's headers */
#define NS_GET_TGID_FROM_PIDNS _IOR(NSIO, 0x7, int)
#define NS_GET_TGID_IN_PIDNS _IOR(NSIO, 0x9, int)
#endif

unsigned
priv_parse(const char *text)
{
	static const struct {
		const char *name;
		unsigned priv;
	} rows[] = {{"dtrace_user", PRIV_DTRACE_USER},
		    {"dtrace_proc", PRIV_DTRACE_PROC},
		    {"dtrace_kernel", PRIV_DTRACE_KERNEL},
		    /* of the brands lx and joyent, as on SmartOS */
		    {"default", PRIV_OF_ZONES},
		    {"zone", PRIV_OF_ZONES},
		    {"all", PRIV_OF_ZONES | PRIV_DTRACE_KERNEL}};
	cleanup_strv struct strv words = STRV_INIT;
	unsigned privs = 0;

	strv_words(&words, text ? text : "default", ", ");
	for (size_t i = 0; i < words.n; i++) {
		bool off = words.v[i][0] == '!' || words.v[i][0] == '-';

		for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
			if (!str_eq(words.v[i] + off, rows[k].name))
				continue;
			privs = off ? privs & ~rows[k].priv : privs | rows[k].priv;
		}
	}
	return privs;
}

/* One line of a file whose fields are between colons, of a user or with a third field of that number. */
static bool
find_line(const char *text, const char *name, uint32_t uid, struct strv *ret)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");
		cleanup_free char *line = xstrndup(text, len);
		cleanup_strv struct strv fields = STRV_INIT;
		uint64_t number;

		text += len + (text[len] == '\n');
		if (line[0] == '#' || line[0] == '\0')
			continue;
		strv_split(&fields, line, ":");
		if (name ? !str_eq(fields.v[0], name)
			 : fields.n < 3 || str_to_u64(fields.v[2], 10, &number) < 0 || number != uid)
			continue;
		*ret = fields;
		fields = (struct strv)STRV_INIT;
		return true;
	}
	return false;
}

unsigned
priv_of_user(const char *user_attr, const char *passwd, uint32_t uid, char **ret_name)
{
	cleanup_strv struct strv user = STRV_INIT, row = STRV_INIT, attrs = STRV_INIT;

	*ret_name = NULL;
	if (!find_line(passwd, NULL, uid, &user))
		return 0;
	*ret_name = xstrdup(user.v[0]);
	if (!find_line(user_attr, user.v[0], 0, &row) || row.n < 5)
		return 0;
	strv_split(&attrs, row.v[4], ";");
	for (size_t i = 0; i < attrs.n; i++) {
		const char *words = str_after(attrs.v[i], "defaultpriv=");

		if (words)
			return priv_parse(words);
	}
	return 0;
}

/* --- names that processes have */

static const char view_global[] =
	"inline int d_nr[struct pid *p] = p == 0 ? 0 : p->numbers[0].nr;\n"
	"inline int d_tgid[struct task_struct *t] = t->tgid;\n"
	"inline int d_lwpid[struct task_struct *t] = t->pid;\n"
	"inline unsigned int d_id[unsigned int id] = id;\n"
	"inline uint64_t d_addr[uint64_t a] = a;\n"
	"inline string d_zone_of[struct task_struct *t] = d_zonename(t);\n"
	"inline string zonename = d_zonename(curthread);\n";

/* Numbers of a zone are those of level 1; ids begin at its base. */
static const char view_confined[] =
	"inline int d_nr[struct pid *p] = p == 0 ? 0 : p->level < %u ? 0 : p->numbers[%u].nr;\n"
	"inline int d_tgid[struct task_struct *t] = d_nr[t->signal->pids[1]];\n"
	"inline int d_lwpid[struct task_struct *t] = d_nr[t->thread_pid];\n"
	"inline unsigned int d_id[unsigned int id] = id - %u < %u ? id - %u : 65534;\n"
	"inline uint64_t d_addr[uint64_t a] = 0;\n"
	"inline string d_zone_of[struct task_struct *t] = t == 0 ? \"\" : \"%s\";\n"
	"inline string zonename = \"%s\";\n"
	"inline pid_t pid = curthread == 0 ? 0 : d_tgid[curthread];\n"
	"inline pid_t ppid = curthread == 0 ? 0 : d_tgid[curthread->real_parent];\n"
	"inline id_t tid = curthread == 0 ? 0 : d_lwpid[curthread];\n"
	"inline uid_t uid = curthread == 0 ? 0 : d_id[curthread->cred->uid.val];\n"
	"inline gid_t gid = curthread == 0 ? 0 : d_id[curthread->cred->gid.val];\n";

char *
priv_view(const struct dt *dt)
{
	const struct confine *z = dt->confine;

	unsigned level = z && z->cgroup ? 1 : 0, ids = level ? 65536 : UINT32_MAX;

	return z ? str_printf(view_confined, level, level, z->uid_base, ids, z->uid_base, z->zone,
			      z->zone)
		 : xstrdup(view_global);
}

static pid_t
translate(const struct confine *z, unsigned long request, pid_t pid)
{
	int r = pid > 0 ? ioctl(z->pid_ns, request, (unsigned long)pid) : -1;

	return r > 0 ? r : 0;
}

/* Are the first three numbers behind `name` in /proc/PID/status all `want`?  That is real, effective, saved. */
static bool
has_ids(const char *status, const char *name, uint32_t want)
{
	const char *line = strstr(status, name);
	char *end;

	if (!line)
		return false;
	line += strlen(name);
	for (int i = 0; i < 3; i++, line = end)
		if (strtoull(line, &end, 10) != want || end == line)
			return false;
	return true;
}

/* What gen_owner() asks, of a process that is only named; the owner of /proc/PID was looked at. */
static bool
is_of_owner(const struct confine *z, pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d/status", (int)pid), *text = NULL;
	cleanup_free char *ns = str_printf("/proc/%d/ns/user", (int)pid);
	const char *caps;
	struct stat st;

	if (file_read(path, 65536, &text, NULL, NULL) < 0 || stat(ns, &st) < 0)
		return false;
	caps = strstr(text, "\nCapPrm:");
	return st.st_ino == z->user_ns && has_ids(text, "\nUid:", z->owner) &&
	       has_ids(text, "\nGid:", z->group) && caps && !strtoull(caps + 8, NULL, 16);
}

/*
 * The owner of /proc/PID is root of whom the process's memory belongs to, unless it may be
 * looked at: so it is an id of the zone or the process is not the zone's.
 */
static bool
is_of_zone(const struct confine *z, pid_t pid)
{
	cleanup_free char *path = str_printf("/proc/%d", (int)pid);
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	return z->owner_only ? st.st_uid == z->owner && is_of_owner(z, pid)
			     : st.st_uid - z->uid_base < 65536;
}

pid_t
priv_pid_here(const struct dt *dt, pid_t shown)
{
	const struct confine *z = dt->confine;
	pid_t pid = z ? translate(z, NS_GET_TGID_FROM_PIDNS, shown) : shown;

	return !z || (pid && is_of_zone(z, pid)) ? pid : 0;
}

pid_t
priv_pid_shown(const struct dt *dt, pid_t pid)
{
	const struct confine *z = dt->confine;

	if (!z)
		return pid;
	return is_of_zone(z, pid) ? translate(z, NS_GET_TGID_IN_PIDNS, pid) : 0;
}

bool
priv_may_look(void *dt, pid_t pid)
{
	return priv_pid_shown(dt, pid) != 0;
}

/* --- compiling */

static int
refused(struct error *err, int line, const char *fmt, const char *name)
{
	cleanup_free char *what = str_printf(fmt, name);

	return d_error(err, line, "D_PRIV", "%s: DTrace requires additional privileges", what);
}

/* Options of the program's own affair, and how far they go; all others are the node's. */
static const struct {
	const char *name;
	size_t offset; /* of a size or a number in struct dt_opts */
	bool wide;
	uint64_t max, min; /* max 0: as it likes */
} options[] = {
	{"aggrate", offsetof(struct dt_opts, aggrate_ns), true, UINT64_MAX, 1000000},
	{"aggsize", offsetof(struct dt_opts, aggsize), true, 32 << 20, 1},
	{"bufsize", offsetof(struct dt_opts, bufsize), true, 16 << 20, 4096},
	{"dynvarsize", offsetof(struct dt_opts, dynvarsize), true, 32 << 20, 4096},
	{"maxframes", offsetof(struct dt_opts, maxframes), false, DT_MAX_FRAMES, 1},
	{"nspec", offsetof(struct dt_opts, nspec), false, DT_MAX_SPECS, 1},
	{"scratchsize", offsetof(struct dt_opts, scratchsize), false, 8192, 8},
	{"specsize", offsetof(struct dt_opts, specsize), true, 16 << 20, 1},
	{"stackframes", offsetof(struct dt_opts, stackframes), false, 127, 1},
	{"jstackframes", offsetof(struct dt_opts, ustackframes), false, 127, 1},
	{"ustackframes", offsetof(struct dt_opts, ustackframes), false, 127, 1},
	{"strsize", offsetof(struct dt_opts, strmax), false, DT_SCRATCH, 8},
	{"switchrate", offsetof(struct dt_opts, switchrate_ns), true, UINT64_MAX, 1000000},
	{"aggsortkey", 0}, {"aggsortkeypos", 0}, {"aggsortpos", 0}, {"aggsortrev", 0},
	{"aggzoom", 0}, {"argref", 0}, {"bufpolicy", 0}, {"defaultargs", 0}, {"destructive", 0},
	{"errtags", 0}, {"evaltime", 0}, {"flowindent", 0}, {"json", 0}, {"quiet", 0},
	{"rawbytes", 0}, {"stackindent", 0}, {"zdefs", 0}, {"aggpercpu", 0}, {"amin", 0},
	{"bufresize", 0}, {"cleanrate", 0}, {"jstackstrsize", 0}, {"lazyload", 0}, {"stdc", 0},
	{"statusrate", 0}, {"temporal", 0}, {"model", 0}, {"version", 0}, {"linkmode", 0},
	{"ustackunwind", 0},
	{"droptags", 0}, {"empty", 0}, {"agghist", 0}, {"aggpack", 0}, {"noresolve", 0}, {"encoding", 0}, {"printsize", 0}, {"define", 0}, {"undef", 0},
};

/* Called after it was set. */
int
priv_check_option(const struct dt *dt, const char *name, struct error *err)
{
	uint64_t value;

	if (dt->remote && !dt->confine && str_eq(name, "destructive"))
		return error_set(err, EPERM, "destructive actions (-w) on all processes are root's");
	if (!dt->confine)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const char *at = (const char *)&dt->opts + options[i].offset;

		if (!str_eq(options[i].name, name))
			continue;
		if (!options[i].max)
			return 0;
		value = options[i].wide ? *(const uint64_t *)(const void *)at
					: *(const unsigned *)(const void *)at;
		if (value > options[i].max || value < options[i].min)
			return error_set(err, EPERM, "option '%s' is from %llu to %llu here", name,
					 (unsigned long long)options[i].min,
					 (unsigned long long)options[i].max);
		return 0;
	}
	return error_set(err, EPERM,
			 "option '%s' cannot be set in a zone or without the privilege dtrace_kernel", name);
}

int
priv_check_ident(const struct dt *dt, const struct node *n, const struct ident *row,
		 struct error *err)
{
	static const enum builtin builtins[] = {B_CURTHREAD, B_CALLER, B_STACKDEPTH};
	static const enum func funcs[] = {F_D_PAGE_FILE, F_D_FILE_PATH, F_D_FILE_MOUNT, F_D_PATH, F_D_MOUNT,
					  F_D_PSARGS, F_D_ZONENAME, F_DDI_PATHNAME,
					  F_MSGDSIZE, F_MUTEX_OWNED, F_MUTEX_OWNER,
					  F_MUTEX_TYPE_ADAPTIVE, F_MUTEX_TYPE_SPIN, F_RW_ISWRITER,
					  F_RW_READ_HELD, F_RW_WRITE_HELD};
	static const enum action actions[] = {A_STACK, A_SYM, A_FUNC, A_MOD, A_PANIC, A_BREAKPOINT,
					      A_CHILL, A_RETURN};

	if (!dt->confine || n->library)
		return 0;
	if (!row)
		return refused(err, n->line, "the kernel's variable `%s", n->name);
	for (size_t i = 0; row->kind == ID_BUILTIN && i < ARRAY_SIZE(builtins); i++)
		if (builtins[i] == row->builtin)
			return refused(err, n->line, "%s", row->name);
	for (size_t i = 0; row->kind == ID_FUNC && i < ARRAY_SIZE(funcs); i++)
		if (funcs[i] == row->func)
			return refused(err, n->line, "%s( )", row->name);
	for (size_t i = 0; row->kind == ID_ACTION && i < ARRAY_SIZE(actions); i++)
		if (actions[i] == row->action)
			return refused(err, n->line, "%s( )", row->name);
	return 0;
}

int
priv_check_param(const struct dt *dt, const struct node *n, const struct ctf_type *type,
		 const struct node *value, struct error *err)
{
	if (!dt->confine || n->library || value->library || !type || !ctf_is_pointer(type))
		return 0;
	return refused(err, n->line, "%s of an address of the program's own",
		       n->name		       ? n->name
		       : n->left && n->left->name ? n->left->name
						  : "a translation");
}

int
priv_check_name(const struct dt *dt, const struct node *n, const char *what, const char *name,
		struct error *err)
{
	bool is_tag = str_eq(what, "struct") || str_eq(what, "union");
	cleanup_free char *full = str_printf("%s %s", what, name);
	bool taken;

	if (!dt->confine || dt->in_library)
		return 0;
	if (!dt->library) /* whose names are not known yet */
		return d_error(err, n->line, "D_PRIV", "%s cannot be declared here", full);
	taken = str_eq(what, "inline") ? map_has(dt->inlines, name) || ident_lookup(name)
				       : ctf_find(dt->types, is_tag ? full : name) != NULL;
	if (taken)
		return d_error(err, n->line, "D_PRIV",
			       "%s: that name has a meaning already, which cannot be changed here",
			       full);
	return 0;
}

static const struct {
	const struct provider *ops;
	unsigned needs; /* any of these */
} providers[] = {
	{&provider_dtrace, PRIV_DTRACE_USER | PRIV_DTRACE_PROC},
	{&provider_profile, PRIV_DTRACE_USER},
	{&provider_tick, PRIV_DTRACE_USER | PRIV_DTRACE_PROC},
	{&provider_syscall, PRIV_DTRACE_USER},
	{&provider_proc, PRIV_DTRACE_USER},
	{&provider_sched, PRIV_DTRACE_USER},
	{&provider_vminfo, PRIV_DTRACE_USER},
	{&provider_sysinfo, PRIV_DTRACE_USER},
	{&provider_pid, PRIV_DTRACE_PROC},
	{&provider_usdt, PRIV_DTRACE_PROC},
};

bool
priv_provider(const struct dt *dt, const struct provider *p)
{
	if (!dt->confine)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
		if (providers[i].ops == p)
			return dt->confine->privs & providers[i].needs;
	return false;
}

/* Clocks of a zone are no faster than this. */
#define MIN_PERIOD_NS 200000

bool
priv_probe(const struct dt *dt, const struct probe *p)
{
	if (!dt->confine)
		return true;
	if (p->ops == &provider_profile || p->ops == &provider_tick)
		return p->data >= MIN_PERIOD_NS;
	return priv_provider(dt, p->ops);
}

/* --- generating */

static int
member_offset(struct dt *dt, const char *type, const char *member, const char *inner)
{
	const struct ctf_type *t = ctf_find(dt->kernel, type);
	struct ctf_member m, i = {0};

	if (!t || !ctf_find_member(t, member, &m) ||
	    (inner && !ctf_find_member(m.type, inner, &i)))
		return -1;
	return (int)((m.bit_offset + i.bit_offset) / 8);
}

bool
priv_is_process(enum builtin b)
{
	static const enum builtin rows[] = {B_PID, B_TID, B_UID, B_GID, B_PPID, B_CURTHREAD,
					    B_VTIMESTAMP, B_USTACKDEPTH, B_UCALLER, B_ERRNO};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i] == b)
			return true;
	return false;
}

/*
 * A user's own process (see above), r0 being the task: most events of a node are somebody else's
 * and leave at the first number.
 */
static void
gen_owner(struct gen *g)
{
	static const char *const ids[] = {"uid", "euid", "suid", "gid", "egid", "sgid"};
	const struct confine *z = g->dt->confine;
	int cred = member_offset(g->dt, "struct task_struct", "cred", NULL);
	int cred_ns = member_offset(g->dt, "struct cred", "user_ns", NULL);
	int number = member_offset(g->dt, "struct user_namespace", "ns", "inum");
	int caps = member_offset(g->dt, "struct cred", "cap_permitted", NULL);
	int mm = member_offset(g->dt, "struct task_struct", "mm", NULL);
	int flags = member_offset(g->dt, "struct mm_struct", "flags", NULL);
	struct asmb *a = &g->a;
	int gone = asm_label(a);

	if (flags < 0 || caps < 0)
		g->confine_lost = true;
	asm_load(a, 8, R1, R0, cred);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		asm_imm(a, R4, (int64_t)(i < 3 ? z->owner : z->group));
		asm_load(a, 4, R2, R1, member_offset(g->dt, "struct cred", ids[i], "val"));
		asm_jcc(a, BPF_JNE, R2, R4, g->leave);
	}
	asm_load(a, 8, R2, R1, caps);
	asm_jcci(a, BPF_JNE, R2, 0, g->leave);
	asm_load(a, 8, R2, R1, cred_ns);
	asm_load(a, 4, R3, R2, number);
	asm_imm(a, R4, (int64_t)z->user_ns);
	asm_jcc(a, BPF_JNE, R3, R4, g->leave);
	asm_load(a, 8, R1, R0, mm);
	asm_jcci(a, BPF_JEQ, R1, 0, gone);
	asm_load(a, 8, R2, R1, flags);
	asm_alui(a, BPF_AND, R2, 3);
	asm_jcci(a, BPF_JNE, R2, 1, g->leave); /* SUID_DUMP_USER */
	asm_here(a, gone);
}

/* A process without memory is on its way out: then its credentials say whose it is. */
void
gen_confine(struct gen *g)
{
	const struct confine *z = g->dt->confine;
	struct dt *dt = g->dt;
	struct asmb *a = &g->a;
	int mm = member_offset(dt, "struct task_struct", "mm", NULL);
	int cred = member_offset(dt, "struct task_struct", "cred", NULL);
	int mm_ns = member_offset(dt, "struct mm_struct", "user_ns", NULL);
	int cred_ns = member_offset(dt, "struct cred", "user_ns", NULL);
	int number = member_offset(dt, "struct user_namespace", "ns", "inum");
	int parent = member_offset(dt, "struct user_namespace", "parent", NULL);
	int gone = asm_label(a), known = asm_label(a), ours = asm_label(a);

	if (mm < 0 || cred < 0 || mm_ns < 0 || cred_ns < 0 || number < 0 || parent < 0)
		g->confine_lost = true; /* dt_generate() refuses */
	if (z->cgroup) {
		asm_imm(a, R1, ZONE_LEVEL);
		asm_call(a, BPF_FUNC_get_current_ancestor_cgroup_id);
		asm_imm(a, R1, (int64_t)z->cgroup);
		asm_jcc(a, BPF_JNE, R0, R1, g->leave);
	}
	asm_call(a, BPF_FUNC_get_current_task_btf);
	if (z->owner_only)
		gen_owner(g);
	asm_load(a, 8, R1, R0, mm);
	asm_jcci(a, BPF_JEQ, R1, 0, gone);
	asm_load(a, 8, R2, R1, mm_ns);
	asm_jmp(a, known);
	asm_here(a, gone);
	asm_load(a, 8, R1, R0, cred);
	asm_load(a, 8, R2, R1, cred_ns);
	asm_here(a, known);
	asm_imm(a, R4, (int64_t)z->user_ns);
	for (int i = 0; i <= NS_DEPTH; i++) {
		asm_load(a, 4, R3, R2, number);
		asm_jcc(a, BPF_JEQ, R3, R4, ours);
		if (i < NS_DEPTH)
			asm_load(a, 8, R2, R2, parent);
	}
	asm_jmp(a, g->leave);
	asm_here(a, ours);
}

bool
gen_trust(struct gen *g, bool library)
{
	bool before = g->library;

	g->library = library;
	return before;
}

bool
gen_may_miss(const struct gen *g)
{
	return g->dt->confine && g->library;
}

void
gen_guard(struct gen *g, int reg, size_t size, bool is_user)
{
	struct place self = gen_rt_place(g, offsetof(struct rt, self));
	struct asmb *a = &g->a;

	if (!g->dt->confine || (is_user ? !g->nobody : g->library))
		return;
	asm_store(a, 8, R10, STACK_FAULT, reg);
	if (is_user || size > 2 * (size_t)g->dt->opts.scratchsize || !g->dt->uses_alloca) {
		/* always; said so that the verifier sees a way on */
		asm_jcci(a, BPF_JGE, reg, 0, gen_fault(g, is_user ? FAULT_UPRIV : FAULT_KPRIV));
		return;
	}
	asm_store(a, 8, self.reg, self.off, R7);
	asm_load(a, 8, R4, self.reg, self.off);
	asm_alui(a, BPF_ADD, R4, (int32_t)g->dt->alloca_off);
	asm_mov(a, R5, reg);
	asm_alu(a, BPF_SUB, R5, R4);
	asm_jcci(a, BPF_JGT, R5, (int32_t)(2 * g->dt->opts.scratchsize - size), gen_fault(g, FAULT_KPRIV));
}

/* Is argument i of the hook's probe nothing but a number, or an address of the process? */
static bool
is_plain_arg(struct gen *g, unsigned i)
{
	const struct probe *p = g->hook->probes[0];
	struct probe_arg arg;
	size_t len;

	if (p->ops == &provider_profile)
		return i == 1;
	if (p->ops == &provider_syscall || p->ops == &provider_pid || p->ops == &provider_usdt ||
	    p->ops == &provider_dtrace || p->ops == &provider_tick)
		return true;
	if (!p->ops->arg || !p->ops->arg(g->dt, p, i, &arg))
		return false;
	len = strlen(arg.native);
	return arg.is_user || !len || arg.native[len - 1] != '*';
}

int
gen_arg_view(struct gen *g, const struct node *n, unsigned i, struct error *err)
{
	static const enum rt_offset offsets[] = {
		RT_TASK_CRED,	RT_CRED_USER_NS, RT_USER_NS_INUM,   RT_USER_NS_PARENT,
		/* of a user */
		RT_TASK_MM,	RT_MM_FLAGS,	 RT_CRED_PERMITTED, RT_CRED_UID,
		RT_CRED_EUID,	RT_CRED_SUID,	 RT_CRED_GID,	    RT_CRED_EGID,
		RT_CRED_SGID};
	const struct confine *z = g->dt->confine;
	size_t n_offsets = z && z->owner_only ? ARRAY_SIZE(offsets) : 4;
	const struct provider *ops = g->hook->probes[0]->ops;
	struct asmb *a = &g->a;
	int r;

	/* The kernel's own arguments, on the way to those of a stable probe. */
	if (!z || !ops->provide)
		return 0;
	if (!n->library) {
		if (!is_plain_arg(g, i))
			asm_imm(a, R0, 0);
		return 0;
	}
	if (is_plain_arg(g, i))
		return 0;
	if (!ctf_is_pointer(n->type) ||
	    !ctf_same(ctf_target(ctf_resolve(n->type)),
		      ctf_find(g->dt->kernel, "struct task_struct"))) {
		asm_imm(a, R0, 0);
		return 0;
	}
	if ((r = gen_push(g, n, err)) < 0)
		return r;
	for (size_t k = 0; k < n_offsets; k++)
		if ((r = gen_rt_offset(g, n, offsets[k], err)) < 0)
			return r;
	gen_pop(g, R2);
	asm_imm(a, R3, (int64_t)z->user_ns);
	if (z->owner_only)
		asm_imm(a, R4, (int64_t)(z->owner | (uint64_t)z->group << 32));
	gen_rt(g, z->owner_only ? "rt_owned" : "rt_ours");
	return 0;
}

int
gen_walk_check(struct gen *g, const struct node *n, struct error *err)
{
	return g->dt->confine && !n->library ? refused(err, n->line, "%s( )", n->name) : 0;
}

int
priv_read_file(struct dt *dt, const char *path, char **ret, size_t *ret_len, struct error *err)
{
	const struct remote *m = dt->remote;

	return m ? m->file(m->arg, path, ret, ret_len, err) : file_read(path, 0, ret, ret_len, err);
}

int
priv_deed(struct dt *dt, enum deed deed, const char *text, struct error *err)
{
	fflush(dt->out);
	return dt->remote->deed(dt->remote->arg, deed, text, strlen(text), err);
}
