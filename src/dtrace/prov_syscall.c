/*
 * syscall::NAME:entry and return, on the raw tracepoints sys_enter and
 * sys_exit.  Those that read registers are BTF-typed: no helper is needed for
 * that; others do without, and so without the kernel's types, reading which is
 * most of what it takes to start.  Probes with the same clauses share one
 * program, which finds its probe by the call's number in a small table; a
 * program for one call compares and leaves.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/user.h>

#include "dtrace/gen.h"
#include "dtrace/syscalls.h"

#define ENTRY 0
#define RETURN (1ull << 32)

static int
sys_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	if (*part[0] && !strpbrk(part[0], "*?[") && !str_eq(part[0], "syscall"))
		return 0;
	for (size_t i = 0; i < n_syscall_names; i++) {
		if (!syscall_names[i])
			continue;
		if (*part[2] && !strpbrk(part[2], "*?[") && !str_eq(part[2], syscall_names[i]))
			continue;
		dt_probe_add(dt, &provider_syscall, "syscall", "vmlinux", syscall_names[i], "entry",
			     ENTRY | i);
		dt_probe_add(dt, &provider_syscall, "syscall", "vmlinux", syscall_names[i],
			     "return", RETURN | i);
	}
	return 0;
}

static bool
sys_together(const struct probe *a, const struct probe *b)
{
	return (a->data & RETURN) == (b->data & RETURN);
}

/* Argument types: those of the kernel function behind the call. */
static const struct ctf_type *
sys_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	if (p->data & RETURN)
		return i < 2 ? dt->t_long : NULL;
	return i < 6 ? dt->t_long : NULL;
}

/*
 * ctx[0] is struct pt_regs *, ctx[1] the call's number (entry) or its result (return).  pt_regs
 * begins as user_regs_struct does: to ask the kernel's types would be most of what it takes to
 * start.
 */
#define REG(name) ((int)offsetof(struct user_regs_struct, name))

/* A register as the call found it, into reg. */
static void
load_register(struct gen *g, int reg, int off)
{
	g->reads_registers = true;
	asm_load(&g->a, 8, reg, R6, 0);
	asm_load(&g->a, 8, reg, reg, off);
}

static int
sys_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	struct asmb *a = &g->a;

	if (h->probes[0]->data & RETURN) {
		load_register(g, R1, REG(orig_rax));
	} else {
		asm_load(a, 8, R1, R6, 8);
	}
	if (h->n == 1) {
		asm_jcci(a, BPF_JNE, R1, (int32_t)(uint32_t)h->probes[0]->data, g->leave);
		asm_imm(a, R0, h->probes[0]->id);
		return 0;
	}
	asm_jcci(a, BPF_JGE, R1, SYSCALL_TABLE, g->leave);
	asm_map_value(a, R2, h->table_fd, 0);
	asm_alui(a, BPF_LSH, R1, 2);
	asm_alu(a, BPF_ADD, R2, R1);
	asm_load(a, 4, R0, R2, 0);
	asm_jcci(a, BPF_JEQ, R0, 0, g->leave);
	return 0;
}

static int
sys_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	static const int regs[] = {REG(rdi), REG(rsi), REG(rdx), REG(r10), REG(r8), REG(r9)};

	if (h->probes[0]->data & RETURN) {
		if (i < 2)
			asm_load(&g->a, 8, R0, R6, 8);
		else
			asm_imm(&g->a, R0, 0);
		return 0;
	}
	if (i >= ARRAY_SIZE(regs)) {
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	load_register(g, R0, regs[i]);
	return 0;
}

static int
sys_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	uint32_t ids[SYSCALL_TABLE] = {0};

	h->aframes = TRACEPOINT_FRAMES;
	if (h->n == 1)
		return 0;
	for (size_t i = 0; i < h->n; i++)
		ids[(uint32_t)h->probes[i]->data] = h->probes[i]->id;
	return hook_table(h, ids, sizeof(ids), err);
}

static int
sys_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	const char *name = h->probes[0]->data & RETURN ? "sys_exit" : "sys_enter";

	return g->reads_registers ? hook_attach_tracepoint(dt, h, g, name, err)
				  : hook_attach_raw_tracepoint(dt, h, g, name, err);
}

const struct provider provider_syscall = {
	.name = "syscall",
	.provide = sys_provide,
	.together = sys_together,
	.arg_type = sys_arg_type,
	.prepare = sys_prepare,
	.gen_probe = sys_gen_probe,
	.gen_arg = sys_gen_arg,
	.attach = sys_attach,
};
