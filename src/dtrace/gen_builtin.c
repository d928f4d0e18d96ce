/* Built-in variables: how each is had, into r0. */
#include "dtrace/priv.h"

/* A member of the current task, read through up to two pointers. */
static int
gen_task(struct gen *g, const struct node *n, const char *first, const char *second,
	 struct error *err)
{
	const struct ctf_type *task = ctf_find(g->dt->kernel, "struct task_struct");
	struct ctf_member m;
	struct node load = {.is_user = false};

	if (!task || !ctf_find_member(task, first, &m))
		return d_error(err, n->line, "D_UNKNOWN", "this kernel's tasks have no \"%s\"",
			       first);
	asm_call(&g->a, BPF_FUNC_get_current_task);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)(m.bit_offset / 8));
	load.type = m.type;
	gen_load_value(g, &load);
	if (!second)
		return 0;
	if (!ctf_find_member(task, second, &m))
		return d_error(err, n->line, "D_UNKNOWN", "this kernel's tasks have no \"%s\"",
			       second);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)(m.bit_offset / 8));
	load.type = m.type;
	gen_load_value(g, &load);
	return 0;
}

/* What struct pt_regs has not: members of the task's struct thread_struct. */
static int
gen_thread_register(struct gen *g, struct node *n, struct error *err)
{
	static const char *const names[] = {"ds", "es", "fsbase", "gsbase", "trap_nr"}; /* from DT_UREGS on */
	const char *name = names[n->number - DT_UREGS];
	const struct ctf_type *task = ctf_find(g->dt->kernel, "struct task_struct");
	struct ctf_member thread, reg;
	struct node load = {0};

	if (!task || !ctf_find_member(task, "thread", &thread) ||
	    !ctf_find_member(thread.type, name, &reg))
		return d_error(err, n->line, "D_UNKNOWN", "this kernel's threads have no \"%s\"", name);
	asm_call(&g->a, BPF_FUNC_get_current_task);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)((thread.bit_offset + reg.bit_offset) / 8));
	load.type = reg.type;
	gen_load_value(g, &load);
	return 0;
}

int
gen_ureg(struct gen *g, struct node *n, struct error *err)
{
	bool was;
	int r = 0;

	if (g->nobody) {
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	was = gen_trust(g, true);
	if (n->number < DT_UREGS) {
		asm_call(&g->a, BPF_FUNC_get_current_task_btf);
		asm_mov(&g->a, R1, R0);
		asm_call(&g->a, BPF_FUNC_task_pt_regs);
		asm_alui(&g->a, BPF_ADD, R0, (int32_t)(8 * n->number));
		gen_load_value(g, n);
	} else {
		r = gen_thread_register(g, n, err);
	}
	gen_trust(g, was);
	return r;
}

static int
gen_vtimestamp(struct gen *g, struct node *n, struct error *err)
{
	const struct ctf_type *task = ctf_find(g->dt->kernel, "struct task_struct");
	struct ctf_member se, sum;
	struct node load = {0};
	bool was;

	if (!task || !ctf_find_member(task, "se", &se) ||
	    !ctf_find_member(se.type, "sum_exec_runtime", &sum))
		return gen_unsupported(n, "vtimestamp", err);
	was = gen_trust(g, true);
	asm_call(&g->a, BPF_FUNC_get_current_task);
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)((se.bit_offset + sum.bit_offset) / 8));
	load.type = sum.type;
	gen_load_value(g, &load);
	gen_trust(g, was);
	return 0;
}

static int
gen_ppid(struct gen *g, struct node *n, struct error *err)
{
	return gen_task(g, n, "real_parent", "tgid", err);
}

static int
gen_walltimestamp(struct gen *g, struct node *n, struct error *err)
{
	struct asmb *a = &g->a;

	asm_call(a, BPF_FUNC_ktime_get_ns);
	asm_map_value(a, R1, g->dt->globals_fd, offsetof(struct dt_shared, wall_offset));
	asm_load(a, 8, R1, R1, 0);
	asm_alu(a, BPF_ADD, R0, R1);
	return 0;
}

static int
gen_id(struct gen *g, struct node *n, struct error *err)
{
	asm_mov(&g->a, R0, R8);
	return 0;
}

static int
gen_epid(struct gen *g, struct node *n, struct error *err)
{
	asm_imm(&g->a, R0, g->clause->id + 1);
	return 0;
}

static int
gen_ipl(struct gen *g, struct node *n, struct error *err)
{
	asm_imm(&g->a, R0, 0);
	return 0;
}

#define MAX_DEPTH 127 /* frames that are counted */

static int
gen_depth(struct gen *g, struct node *n, struct error *err)
{
	unsigned max = g->dt->opts.maxframes < MAX_DEPTH ? g->dt->opts.maxframes : MAX_DEPTH;
	struct place frames = gen_slot(g, 8 * MAX_DEPTH);
	bool user = n->ident->builtin == B_USTACKDEPTH;
	struct asmb *a = &g->a;
	int some = asm_label(a);

	if (user && unwinder_works(g->dt)) {
		gen_unwind(g, frames, 8 * max);
		return 0;
	}
	asm_mov(a, R1, R6);
	gen_place(g, R2, frames);
	asm_imm(a, R3, 8 * max);
	asm_imm(a, R4, user ? BPF_F_USER_STACK : g->hook->aframes);
	asm_call(a, BPF_FUNC_get_stack);
	asm_jcci(a, BPF_JSGE, R0, 0, some);
	asm_imm(a, R0, 0);
	asm_here(a, some);
	asm_alui(a, BPF_RSH, R0, 3);
	return 0;
}

/* Elsewhere than at a system call's end there is none. */
static int
gen_errno(struct gen *g, struct node *n, struct error *err)
{
	const struct provider *ops = g->hook->probes[0]->ops;
	struct asmb *a = &g->a;
	int ok, done, r;

	if (ops != &provider_syscall || !str_eq(g->hook->probes[0]->name, "return")) {
		asm_imm(a, R0, 0);
		return 0;
	}
	if ((r = ops->gen_arg(g, g->hook, 0, err)) < 0)
		return r;
	ok = asm_label(a);
	done = asm_label(a);
	asm_jcci(a, BPF_JSGE, R0, 0, ok);
	asm_jcci(a, BPF_JSLT, R0, -4095, ok);
	asm_emit(a, BPF_ALU64 | BPF_NEG, R0, 0, 0, 0);
	asm_jmp(a, done);
	asm_here(a, ok);
	asm_imm(a, R0, 0);
	asm_here(a, done);
	return 0;
}

/* Frame 1; frame 0 where ours and the probed function's are left out. */
static int
gen_caller(struct gen *g, struct node *n, struct error *err)
{
	bool user = n->ident->builtin == B_UCALLER;
	int at = user || !g->hook->aframes ? 8 : 0;
	struct asmb *a = &g->a;
	int none, done;

	if (user && unwinder_works(g->dt)) {
		struct place frames = gen_slot(g, 16);

		gen_zero(g, frames, 16);
		gen_unwind(g, frames, 16);
		asm_load(a, 8, R0, frames.reg, frames.off + 8);
		return 0;
	}
	if (user && g->hook->at_entry) {
		gen_return_address(g, (struct place){R10, STACK_VALUE});
		asm_load(a, 8, R0, R10, STACK_VALUE);
		return 0;
	}
	none = asm_label(a);
	done = asm_label(a);
	asm_mov(a, R1, R6);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, STACK_VALUE);
	asm_imm(a, R3, 8 + at);
	asm_imm(a, R4, user ? BPF_F_USER_STACK : g->hook->aframes);
	asm_storei(a, 8, R10, STACK_VALUE, 0);
	asm_storei(a, 8, R10, STACK_VALUE + 8, 0);
	asm_call(a, BPF_FUNC_get_stack);
	asm_jcci(a, BPF_JSLT, R0, 8 + at, none);
	asm_load(a, 8, R0, R10, STACK_VALUE + at);
	asm_jmp(a, done);
	asm_here(a, none);
	asm_imm(a, R0, 0);
	asm_here(a, done);
	return 0;
}

/* Asked for once: the value is kept on the stack for what follows. */
static void
call_once(struct gen *g, int helper, enum known what, int at)
{
	if (g->known & what) {
		asm_load(&g->a, 8, R0, R10, at);
		g->used |= what;
		return;
	}
	asm_call(&g->a, helper);
	asm_store(&g->a, 8, R10, at, R0);
	g->known |= what;
}

void
gen_thread(struct gen *g)
{
	call_once(g, BPF_FUNC_get_current_pid_tgid, KNOWN_THREAD, STACK_THREAD);
}

/* A clause has one time from its predicate to its end. */
static int
gen_timestamp(struct gen *g, struct node *n, struct error *err)
{
	call_once(g, BPF_FUNC_ktime_get_ns, KNOWN_TIME, STACK_TIME);
	return 0;
}

static int
gen_pid(struct gen *g, struct node *n, struct error *err)
{
	gen_thread(g);
	asm_alui(&g->a, BPF_RSH, R0, 32);
	return 0;
}

static int
gen_tid(struct gen *g, struct node *n, struct error *err)
{
	gen_thread(g);
	asm_extend(&g->a, R0, 4, false);
	return 0;
}

/* A helper's value, or half of it; else a function that makes it. */
static const struct {
	int helper;
	enum { WHOLE, LOW, HIGH } part;
	int (*make)(struct gen *g, struct node *n, struct error *err);
} builtins[] = {
	[B_PID] = {.make = gen_pid},
	[B_TID] = {.make = gen_tid},
	[B_UID] = {BPF_FUNC_get_current_uid_gid, LOW},
	[B_GID] = {BPF_FUNC_get_current_uid_gid, HIGH},
	[B_CPU] = {BPF_FUNC_get_smp_processor_id},
	[B_CURTHREAD] = {BPF_FUNC_get_current_task},
	[B_TIMESTAMP] = {.make = gen_timestamp},
	[B_PPID] = {.make = gen_ppid},
	[B_VTIMESTAMP] = {.make = gen_vtimestamp},
	[B_WALLTIMESTAMP] = {.make = gen_walltimestamp},
	[B_ID] = {.make = gen_id},
	[B_EPID] = {.make = gen_epid},
	[B_IPL] = {.make = gen_ipl},
	[B_STACKDEPTH] = {.make = gen_depth},
	[B_USTACKDEPTH] = {.make = gen_depth},
	[B_ERRNO] = {.make = gen_errno},
	[B_CALLER] = {.make = gen_caller},
	[B_UCALLER] = {.make = gen_caller},
};

/* argN is what args[N] was before it was translated: their order may be another than the probe's. */
static int
gen_raw_arg(struct gen *g, const struct node *n, unsigned i, struct error *err)
{
	const struct probe *p = g->hook->probes[0];
	struct probe_arg arg = {.from = i};
	int r;

	if (p->ops->arg && !p->ops->arg(g->dt, p, i, &arg)) {
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	r = p->ops->gen_arg(g, g->hook, arg.from, err);
	return r < 0 ? r : gen_arg_view(g, n, arg.from, err);
}

int
gen_builtin(struct gen *g, struct node *n, struct error *err)
{
	const struct provider *ops = g->hook->probes[0]->ops;
	enum builtin b = n->ident->builtin;

	if (b <= B_ARG9)
		return gen_raw_arg(g, n, (unsigned)b, err);
	if ((g->nobody && priv_is_process(b)) ||
	    (ops->manual && (b == B_STACKDEPTH || b == B_CALLER))) { /* BEGIN: only we are there */
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	if ((size_t)b >= ARRAY_SIZE(builtins) || (!builtins[b].helper && !builtins[b].make))
		return gen_unsupported(n, n->name, err);
	if (builtins[b].make)
		return builtins[b].make(g, n, err);
	asm_call(&g->a, builtins[b].helper);
	if (builtins[b].part == LOW)
		asm_extend(&g->a, R0, 4, false);
	else if (builtins[b].part == HIGH)
		asm_alui(&g->a, BPF_RSH, R0, 32);
	return 0;
}
