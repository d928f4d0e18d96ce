/* Programs, clauses, statements, actions. */
#include "dtrace/gen.h"

#include <stdlib.h>

/* Begin of a record in the scratch area. */
static struct place
record_at(struct gen *g, size_t off)
{
	return (struct place){R7, (int)(g->dt->this_size + off)};
}

int
gen_unsupported(const struct node *n, const char *what, struct error *err)
{
	return d_error(err, n->line, "D_UNKNOWN", "%s is not supported yet on this system", what);
}

void
gen_bump(struct gen *g, size_t off)
{
	asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)off);
	asm_imm(&g->a, R2, 1);
	asm_emit(&g->a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, 0, BPF_ADD);
}

/* One value into the record, as its rec says. */
static int
gen_record(struct gen *g, struct node *n, const struct rec *rec, struct error *err)
{
	struct place to = record_at(g, rec->offset);
	int r;

	switch (rec->kind) {
	case REC_INT:
		if ((r = gen_scalar(g, n, err)) < 0)
			return r;
		asm_store(&g->a, (unsigned)rec->size, to.reg, to.off, R0);
		return 0;
	case REC_STRING:
		return gen_text(g, n, to, rec->size, false, err);
	case REC_BYTES:
		if ((r = gen_addr(g, n, err)) < 0)
			return r;
		gen_read(g, to, rec->size, n->is_user);
		return 0;
	case REC_PROBE:
		asm_store(&g->a, 4, to.reg, to.off, R8);
		return 0;
	case REC_STACK:
	case REC_USTACK:
	case REC_USYM:
		break;
	}
	abort();
}

static void
gen_pid_to(struct gen *g, struct place to)
{
	asm_call(&g->a, BPF_FUNC_get_current_pid_tgid);
	asm_alui(&g->a, BPF_RSH, R0, 32);
	asm_store(&g->a, 8, to.reg, to.off, R0);
}

/* stack(n) and ustack(n): addresses, zeros behind the last. */
static int
gen_stack(struct gen *g, const struct act *a)
{
	const struct rec *rec = &a->recs[0];
	struct place to = record_at(g, rec->offset);
	bool user = a->action != A_STACK;
	size_t size = rec->size;

	gen_zero(g, to, size);
	if (user) {
		gen_pid_to(g, to);
		to.off += 8;
		size -= 8;
	}
	asm_mov(&g->a, R1, R6);
	gen_place(g, R2, to);
	asm_imm(&g->a, R3, (int64_t)size);
	asm_imm(&g->a, R4, user ? BPF_F_USER_STACK : g->hook->aframes);
	asm_call(&g->a, BPF_FUNC_get_stack);
	return 0;
}

static int
gen_tracemem(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	gen_read(g, record_at(g, a->recs[0].offset), a->recs[0].size, n->args->is_user);
	return 0;
}

static int
gen_usym(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	struct place to = record_at(g, a->recs[0].offset);
	int r;

	gen_pid_to(g, to);
	if ((r = gen_scalar(g, n->args, err)) < 0)
		return r;
	asm_store(&g->a, 8, to.reg, to.off + 8, R0);
	return 0;
}

static int
gen_exit(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	int r = gen_record(g, n->args, &a->recs[0], err);

	asm_map_value(&g->a, R1, g->dt->globals_fd, offsetof(struct dt_shared, stopped));
	asm_storei(&g->a, 8, R1, 0, 1);
	return r;
}

/* The act that the checker made for the k-th action of the clause. */
static int
gen_action(struct gen *g, struct node *n, const struct act **next, struct error *err)
{
	const struct act *a = *next;
	size_t i = 0;
	int r;

	*next = a->next;
	switch (a->action) {
	case A_STACK:
	case A_USTACK:
	case A_JSTACK:
		return gen_stack(g, a);
	case A_TRACEMEM:
		return gen_tracemem(g, n, a, err);
	case A_USYM:
	case A_UADDR:
	case A_UMOD:
	case A_UFUNC:
		return gen_usym(g, n, a, err);
	case A_EXIT:
		return gen_exit(g, n, a, err);
	default:
		break;
	}
	for (struct node *arg = n->args; arg; arg = arg->next) {
		if (arg->slot < 0) /* the format, an aggregation */
			continue;
		if ((r = gen_record(g, arg, &a->recs[i++], err)) < 0)
			return r;
	}
	return 0;
}

static int
gen_statements(struct gen *g, struct node *n, const struct act **next, struct error *err)
{
	int r = 0, other, done;

	for (; n && r == 0; n = n->next) {
		struct node *e = n->left;

		g->slot_next = g->dt->slots_off;
		switch (n->kind) {
		case N_BLOCK:
			r = gen_statements(g, n->body, next, err);
			break;
		case N_IF:
			other = asm_label(&g->a);
			done = asm_label(&g->a);
			if ((r = gen_scalar(g, n->left, err)) < 0)
				return r;
			asm_jcci(&g->a, BPF_JEQ, R0, 0, other);
			if ((r = gen_statements(g, n->body, next, err)) < 0)
				return r;
			asm_jmp(&g->a, done);
			asm_here(&g->a, other);
			if (n->third)
				r = gen_statements(g, n->third->body, next, err);
			asm_here(&g->a, done);
			break;
		default:
			if (e->kind == N_OP2 && e->op == OP_ASSIGN && e->left->kind == N_AGG)
				r = gen_aggregate(g, e, err);
			else if (e->kind == N_CALL && e->ident && e->ident->kind == ID_ACTION)
				r = gen_action(g, e, next, err);
			else if (dt_is_string(g->dt, e->type))
				r = gen_text(g, e, gen_slot(g, g->dt->opts.strsize),
					     g->dt->opts.strsize, false, err);
			else
				r = gen_scalar(g, e, err);
			break;
		}
	}
	return r;
}

/* Hands the finished record to the ring. */
static void
gen_emit(struct gen *g, const struct clause *cl)
{
	struct asmb *a = &g->a;
	int sent = asm_label(a);
	struct place at = record_at(g, 0);

	asm_map(a, R1, g->dt->ring_fd);
	gen_place(g, R2, at);
	asm_imm(a, R3, (int64_t)((cl->rec_size + 7) & ~(size_t)7));
	asm_imm(a, R4, 0);
	asm_call(a, BPF_FUNC_ringbuf_output);
	asm_jcci(a, BPF_JEQ, R0, 0, sent);
	gen_bump(g, offsetof(struct dt_shared, drops));
	asm_here(a, sent);
}

static int
gen_clause(struct gen *g, const struct clause *cl, struct error *err)
{
	struct asmb *a = &g->a;
	int end = asm_label(a), r;
	const struct act *next = cl->acts;
	struct place head = record_at(g, 0);

	g->clause = cl;
	g->fault = asm_label(a);
	g->slot_next = g->dt->slots_off;
	if (cl->node->left) {
		if ((r = gen_scalar(g, cl->node->left, err)) < 0)
			return r;
		asm_jcci(a, BPF_JEQ, R0, 0, end);
	}
	if (cl->rec_size) {
		asm_storei(a, 4, head.reg, head.off, (int32_t)cl->id);
		asm_store(a, 4, head.reg, head.off + 4, R8);
		asm_call(a, BPF_FUNC_get_smp_processor_id);
		asm_store(a, 4, head.reg, head.off + 8, R0);
		asm_storei(a, 4, head.reg, head.off + 12, 0);
	}
	if ((r = gen_statements(g, cl->node->body, &next, err)) < 0)
		return r;
	if (cl->rec_size)
		gen_emit(g, cl);
	/* The verifier refuses code that nothing reaches. */
	if (asm_used(a, g->fault)) {
		asm_jmp(a, end);
		asm_here(a, g->fault);
		gen_bump(g, offsetof(struct dt_shared, faults));
	}
	asm_here(a, end);
	return 0;
}

/* r7 and r9: an area of our own for this CPU and level. */
static void
gen_prologue_scratch(struct gen *g)
{
	struct asmb *a = &g->a;
	int ok = asm_label(a), got = asm_label(a), drop = asm_label(a);

	asm_storei(a, 4, R10, STACK_SMALL, 0);
	asm_map(a, R1, g->dt->level_fd);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, STACK_SMALL);
	asm_call(a, BPF_FUNC_map_lookup_elem);
	asm_jcci(a, BPF_JEQ, R0, 0, g->leave);
	asm_mov(a, R9, R0);
	asm_load(a, 4, R7, R9, 0);
	asm_jcci(a, BPF_JLT, R7, DT_LEVELS, ok);
	asm_here(a, drop);
	gen_bump(g, offsetof(struct dt_shared, level_drops));
	asm_jmp(a, g->leave);
	asm_here(a, ok);
	asm_call(a, BPF_FUNC_get_smp_processor_id);
	asm_alui(a, BPF_MUL, R0, DT_LEVELS);
	asm_alu(a, BPF_ADD, R0, R7);
	asm_store(a, 4, R10, STACK_SMALL, R0);
	asm_map(a, R1, g->dt->scratch_fd);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, STACK_SMALL);
	asm_call(a, BPF_FUNC_map_lookup_elem);
	asm_jcci(a, BPF_JNE, R0, 0, got);
	asm_jmp(a, drop);
	asm_here(a, got);
	asm_alui(a, BPF_ADD, R7, 1);
	asm_store(a, 4, R9, 0, R7);
	asm_mov(a, R7, R0);
}

static bool
text_in(const struct dt *dt, const struct node *n)
{
	if (!n)
		return false;
	if (n->kind == N_STRING || n->kind == N_STRINGOF || n->type == dt->t_string ||
	    n->scope == SCOPE_THIS || (n->kind == N_CALL && n->ident && n->ident->kind == ID_FUNC))
		return true;
	for (const struct node *arg = n->args; arg; arg = arg->next)
		if (text_in(dt, arg))
			return true;
	for (const struct node *s = n->body; s; s = s->next)
		if (text_in(dt, s))
			return true;
	return text_in(dt, n->left) || text_in(dt, n->right) || text_in(dt, n->third);
}

/* Does any clause record, use text, or clause-local variables, or large keys? */
static bool
needs_scratch(const struct dt *dt, const struct hook *h)
{
	const struct probe *p = h->probes[0];

	for (size_t i = 0; i < p->n_clauses; i++) {
		const struct node *n = p->clauses[i]->node;

		if (p->clauses[i]->rec_size || text_in(dt, n->left))
			return true;
		for (const struct node *s = n->body; s; s = s->next) {
			const struct node *e = s->left;
			size_t size = 0;

			/* @a[execname] = count(): such a key fits the stack. */
			if (s->kind == N_EXPR && e->kind == N_OP2 && e->op == OP_ASSIGN &&
			    e->left->kind == N_AGG && !text_in(dt, e->right)) {
				const struct agg *agg = map_get(dt->aggs, e->left->name);
				bool plain = true;

				for (const struct node *k = e->left->args; k; k = k->next)
					plain &= !text_in(dt, k) ||
						 (k->kind == N_IDENT && k->scope == SCOPE_GLOBAL);
				for (size_t i2 = 0; i2 < agg->n_keys; i2++)
					size += (agg->keys[i2].size + 7) & ~(size_t)7;
				if (plain && size <= STACK_KEY_SIZE)
					continue;
			}
			if (text_in(dt, s) || size > STACK_KEY_SIZE)
				return true;
		}
	}
	return false;
}

void
gen_free(struct gen *g)
{
	if (!g)
		return;
	asm_done(&g->a);
	free(g->rt);
	free(g);
}

int
dt_generate(struct dt *dt, struct hook *h, struct gen **ret, struct error *err)
{
	struct gen *g = xcalloc(1, sizeof(*g));
	const struct probe *p = h->probes[0];
	struct asmb *a = &g->a;
	int r = 0, out = asm_label(a);

	g->dt = dt;
	g->hook = h;
	g->leave = out;
	g->scratch = needs_scratch(dt, h);
	asm_mov(a, R6, R1);
	if (!(p->ops->manual && str_eq(p->name, "END"))) {
		asm_map_value(a, R1, dt->globals_fd, offsetof(struct dt_shared, stopped));
		asm_load(a, 8, R1, R1, 0);
		asm_jcci(a, BPF_JNE, R1, 0, out);
	}
	r = p->ops->gen_probe(g, h, err); /* id to r0, or a jump to g->leave */
	if (r == 0) {
		asm_mov(a, R8, R0);
		if (g->scratch)
			gen_prologue_scratch(g);
		if (g->scratch && dt->uses_alloca) {
			struct place next = gen_rt_place(g, offsetof(struct rt, alloca_next));

			asm_storei(a, 8, next.reg, next.off, 0);
		}
	}
	for (size_t i = 0; r == 0 && i < p->n_clauses; i++)
		r = gen_clause(g, p->clauses[i], err);
	if (g->scratch) {
		asm_load(a, 4, R1, R9, 0);
		asm_alui(a, BPF_SUB, R1, 1);
		asm_store(a, 4, R9, 0, R1);
	}
	asm_here(a, out);
	asm_imm(a, R0, 0);
	asm_exit(a);
	gen_rt_bodies(g);
	if (r == 0)
		r = asm_finish(a, err);
	if (g->slot_max > dt->scratch_size)
		dt->scratch_size = g->slot_max;
	if (r < 0) {
		gen_free(g);
		return r;
	}
	*ret = g;
	return 0;
}
