/* Programs, clauses, statements, actions. */
#include "dtrace/gen.h"

#include <stdlib.h>

/* In the record: on the stack if it is small and nothing else needs the scratch area. */
struct place
gen_record_at(struct gen *g, size_t off)
{
	if (!g->scratch && g->clause->rec_size <= STACK_RECORD_SIZE)
		return (struct place){R10, STACK_RECORD + (int)off};
	return (struct place){R7, (int)(((g->dt->this_size + 7) & ~(size_t)7) + off)};
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

struct fork
gen_fork(struct gen *g)
{
	struct fork f = {asm_label(&g->a), asm_label(&g->a), g->known};

	asm_jcci(&g->a, BPF_JEQ, R0, 0, f.other);
	return f;
}

void
gen_else(struct gen *g, struct fork *f)
{
	asm_jmp(&g->a, f->done);
	asm_here(&g->a, f->other);
	g->known = f->known;
}

void
gen_join(struct gen *g, struct fork *f)
{
	asm_here(&g->a, f->done);
	g->known = f->known;
}

static int
gen_statements(struct gen *g, struct node *n, const struct act **next, struct error *err)
{
	struct fork fork;
	int r = 0;

	for (; n && r == 0; n = n->next) {
		struct node *e = n->left;

		g->slot_next = g->dt->slots_off;
		g->statement += n->kind == N_EXPR;
		switch (n->kind) {
		case N_BLOCK:
			r = gen_statements(g, n->body, next, err);
			break;
		case N_IF:
			if ((r = gen_scalar(g, n->left, err)) < 0)
				return r;
			fork = gen_fork(g);
			if ((r = gen_statements(g, n->body, next, err)) < 0)
				return r;
			gen_else(g, &fork);
			if (n->third)
				r = gen_statements(g, n->third->body, next, err);
			gen_join(g, &fork);
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

/* One more on this CPU, of the counters at off. */
static void
bump_on_cpu(struct gen *g, size_t off)
{
	struct asmb *a = &g->a;
	int ok = asm_label(a);

	asm_call(a, BPF_FUNC_get_smp_processor_id);
	asm_jcci(a, BPF_JLT, R0, DT_DROP_CPUS, ok);
	asm_imm(a, R0, DT_DROP_CPUS - 1);
	asm_here(a, ok);
	asm_alui(a, BPF_LSH, R0, 3);
	asm_map_value(a, R1, g->dt->globals_fd, (uint32_t)off);
	asm_alu(a, BPF_ADD, R1, R0);
	asm_imm(a, R2, 1);
	asm_emit(a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, 0, BPF_ADD);
}

void
gen_agg_drop(struct gen *g)
{
	bump_on_cpu(g, offsetof(struct dt_shared, agg_drops));
}

/* r0: this CPU's nesting level, and behind it the number of its records. */
static void
gen_level(struct gen *g, int none)
{
	struct asmb *a = &g->a;

	asm_storei(a, 4, R10, STACK_SMALL, 0);
	asm_map(a, R1, g->dt->level_fd);
	asm_mov(a, R2, R10);
	asm_alui(a, BPF_ADD, R2, STACK_SMALL);
	asm_call(a, BPF_FUNC_map_lookup_elem);
	asm_jcci(a, BPF_JEQ, R0, 0, none);
}

static bool
has_exit(const struct clause *cl)
{
	for (const struct act *act = cl->acts; act; act = act->next)
		if (act->action == A_EXIT)
			return true;
	return false;
}

/*
 * The record at `at` goes to the ring.  The consumer looks by itself at switchrate and
 * is not woken for each record (that costs more than the record), but for one of many of
 * a CPU, lest the ring runs full, and when it is wanted at once.
 */
static void
emit(struct gen *g, struct place at, size_t size, bool at_once)
{
	struct asmb *a = &g->a;
	int sent = asm_label(a), wake = asm_label(a), counter = g->scratch ? R9 : R0;

	if (!at_once && !g->scratch)
		gen_level(g, sent); /* which never fails */
	asm_imm(a, R4, BPF_RB_FORCE_WAKEUP);
	if (!at_once) {
		asm_load(a, 4, R1, counter, 4);
		asm_alui(a, BPF_ADD, R1, 1);
		asm_store(a, 4, counter, 4, R1);
		asm_alui(a, BPF_AND, R1, (int32_t)g->dt->wake_every - 1);
		asm_jcci(a, BPF_JEQ, R1, 1, wake);
		asm_imm(a, R4, BPF_RB_NO_WAKEUP);
		asm_here(a, wake);
	}
	asm_map(a, R1, g->dt->ring_fd);
	gen_place(g, R2, at);
	asm_imm(a, R3, (int64_t)((size + 7) & ~(size_t)7));
	asm_call(a, BPF_FUNC_ringbuf_output);
	asm_jcci(a, BPF_JEQ, R0, 0, sent);
	bump_on_cpu(g, offsetof(struct dt_shared, drops));
	asm_here(a, sent);
}

static void
gen_emit(struct gen *g, const struct clause *cl)
{
	struct place mask = gen_record_at(g, sizeof(struct rec_head));
	int none = asm_label(&g->a);

	if (cl->conditional) { /* nothing was done: nothing is told */
		asm_load(&g->a, 8, R0, mask.reg, mask.off);
		asm_jcci(&g->a, BPF_JEQ, R0, 0, none);
	}
	emit(g, gen_record_at(g, 0), cl->rec_size, has_exit(cl));
	asm_here(&g->a, none);
}

/* --- faults: the clause ends, the consumer is told, ERROR's clauses run */

int
gen_fault(struct gen *g, enum fault kind)
{
	size_t i = 0;

	if (g->faults_leave)
		return g->leave;
	while (i < g->n_faults &&
	       (g->faults[i].kind != kind || g->faults[i].statement != g->statement))
		i++;
	if (i == ARRAY_SIZE(g->faults))
		i--;
	if (i == g->n_faults) {
		g->faults[i].kind = kind;
		g->faults[i].statement = g->statement;
		g->faults[i].label = asm_label(&g->a);
		g->n_faults++;
	}
	return g->faults[i].label;
}

void
gen_note_address(struct gen *g)
{
	asm_store(&g->a, 8, R10, STACK_FAULT, R3);
}

static int gen_clause(struct gen *g, const struct clause *cl, struct error *err);

/* What ERROR's arg1 to arg5 are. */
static void
note_error(struct gen *g)
{
	const struct {
		size_t from;
		unsigned size, arg;
	} rows[] = {{offsetof(struct fault_rec, statement), 4, 2},
		    {offsetof(struct fault_rec, kind), 4, 4},
		    {offsetof(struct fault_rec, address), 8, 5}};
	struct place at = gen_rt_place(g, offsetof(struct rt, error));

	asm_store(&g->a, 8, at.reg, at.off, R8);
	asm_storei(&g->a, 8, at.reg, at.off + 8, (int32_t)g->clause->id + 1);
	asm_storei(&g->a, 8, at.reg, at.off + 24, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		asm_load(&g->a, rows[i].size, R0, R10, STACK_KEY + (int)rows[i].from);
		asm_store(&g->a, 8, at.reg, at.off + 8 * (int)rows[i].arg, R0);
	}
}

static int
gen_error_clauses(struct gen *g, struct error *err)
{
	const struct probe *p = g->dt->error;
	const struct hook *hook = g->hook;
	struct place id = gen_rt_place(g, offsetof(struct rt, error));
	int end = g->end, r = 0;

	if (!p || g->in_error || hook->probes[0] == p)
		return 0;
	note_error(g);
	g->in_error = true;
	for (size_t i = 0; i < g->dt->n_hooks; i++)
		if (g->dt->hooks[i]->probes[0] == p)
			g->hook = g->dt->hooks[i];
	asm_imm(&g->a, R8, p->id);
	for (size_t i = 0; r == 0 && i < p->n_clauses; i++)
		r = gen_clause(g, p->clauses[i], err);
	asm_load(&g->a, 8, R8, id.reg, id.off);
	g->hook = hook;
	g->end = end;
	g->in_error = false;
	return r;
}

static int
gen_faults(struct gen *g, const struct clause *cl, struct error *err)
{
	const struct place at = {R10, STACK_KEY};
	struct asmb *a = &g->a;
	int told = asm_label(a);

	if (!g->n_faults) /* the verifier refuses code that nothing reaches */
		return 0;
	asm_jmp(a, g->end);
	for (size_t i = 0; i < g->n_faults; i++) {
		asm_here(a, g->faults[i].label);
		asm_storei(a, 4, R10, STACK_KEY + (int)offsetof(struct fault_rec, kind),
			   g->faults[i].kind);
		asm_storei(a, 4, R10, STACK_KEY + (int)offsetof(struct fault_rec, statement),
			   g->faults[i].statement);
		if (g->faults[i].kind == FAULT_DIVIDE || g->faults[i].kind == FAULT_SCRATCH ||
		    g->faults[i].kind == FAULT_ILLEGAL)
			asm_storei(a, 8, R10, STACK_FAULT, 0);
		asm_jmp(a, told);
	}
	asm_here(a, told);
	asm_load(a, 8, R0, R10, STACK_FAULT);
	asm_store(a, 8, R10, STACK_KEY + (int)offsetof(struct fault_rec, address), R0);
	asm_storei(a, 4, R10, STACK_KEY, (int32_t)(cl->id | DT_FAULT));
	asm_store(a, 4, R10, STACK_KEY + 4, R8);
	asm_call(a, BPF_FUNC_get_smp_processor_id);
	asm_store(a, 4, R10, STACK_KEY + 8, R0);
	asm_storei(a, 4, R10, STACK_KEY + 12, 0);
	emit(g, at, sizeof(struct fault_rec), false);
	return gen_error_clauses(g, err);
}

/* Does a value of the record fill the eight bytes at off, whatever the clause does? */
static bool
is_filled(const struct clause *cl, size_t off)
{
	size_t n = 0;

	for (const struct act *act = cl->conditional ? NULL : cl->acts; act; act = act->next) {
		for (size_t i = 0; i < act->n_recs; i++) {
			const struct rec *r = &act->recs[i];

			if (r->kind == REC_INT && r->offset >= off && r->offset < off + 8)
				n += r->size;
		}
	}
	return n == 8;
}

/* A record on the stack goes out as it stands there: what no value fills must be nobody's. */
static void
gen_blank(struct gen *g, const struct clause *cl)
{
	struct place at = gen_record_at(g, 0);

	for (size_t off = sizeof(struct rec_head); at.reg == R10 && off < cl->rec_size; off += 8)
		if (!is_filled(cl, off))
			asm_storei(&g->a, 8, at.reg, at.off + (int)off, 0);
}

static void
gen_head(struct gen *g, const struct clause *cl)
{
	struct place head = gen_record_at(g, 0);
	struct asmb *a = &g->a;

	gen_blank(g, cl);
	asm_storei(a, 4, head.reg, head.off, (int32_t)cl->id);
	if (g->hook->n == 1)
		asm_storei(a, 4, head.reg, head.off + 4, (int32_t)g->hook->probes[0]->id);
	else
		asm_store(a, 4, head.reg, head.off + 4, R8);
	asm_call(a, BPF_FUNC_get_smp_processor_id);
	asm_store(a, 4, head.reg, head.off + 8, R0);
	asm_storei(a, 4, head.reg, head.off + 12, 0);
	if (cl->conditional)
		asm_storei(a, 8, head.reg, head.off + 16, 0);
}

static void
set_rt(struct gen *g, size_t field, int32_t value)
{
	struct place at = gen_rt_place(g, field);

	asm_storei(&g->a, 8, at.reg, at.off, value);
}

static int
gen_clause(struct gen *g, const struct clause *cl, struct error *err)
{
	struct asmb *a = &g->a;
	const struct act *next = cl->acts;
	unsigned known = g->known & ~KNOWN_TIME;
	int end = asm_label(a), r;

	g->clause = cl;
	g->known = known;
	g->end = end;
	g->n_faults = 0;
	g->statement = 0;
	g->slot_next = g->dt->slots_off;
	if (g->scratch && g->dt->uses_alloca) /* each clause has all of it */
		set_rt(g, offsetof(struct rt, alloca_next), 0);
	if (cl->node->left) {
		if ((r = gen_scalar(g, cl->node->left, err)) < 0)
			return r;
		asm_jcci(a, BPF_JEQ, R0, 0, end);
	}
	if (cl->rec_size)
		gen_head(g, cl);
	if ((r = gen_statements(g, cl->node->body, &next, err)) < 0)
		return r;
	if (cl->rec_size)
		gen_emit(g, cl);
	g->known = known; /* the clause may have been left early */
	if ((r = gen_faults(g, cl, err)) < 0)
		return r;
	asm_here(a, end);
	return 0;
}

/* r7 and r9: an area of our own for this CPU and level. */
static void
gen_prologue_scratch(struct gen *g)
{
	struct asmb *a = &g->a;
	int ok = asm_label(a), got = asm_label(a), drop = asm_label(a);

	gen_level(g, g->leave);
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

void
gen_free(struct gen *g)
{
	if (!g)
		return;
	asm_done(&g->a);
	free(g->rt);
	free(g);
}

/* Behind exit() the probe's other clauses do nothing. */
static void
gen_stop_after_exit(struct gen *g, int over)
{
	asm_map_value(&g->a, R1, g->dt->globals_fd, offsetof(struct dt_shared, stopped));
	asm_load(&g->a, 8, R1, R1, 0);
	asm_jcci(&g->a, BPF_JEQ, R1, 1, over);
}

/* What stands before the clauses: leaves the program unless it is to fire. */
static int
gen_begin(struct gen *g, struct error *err)
{
	const struct probe *p = g->hook->probes[0];
	struct dt *dt = g->dt;
	struct asmb *a = &g->a;
	int r;

	asm_mov(a, R6, R1);
	if ((r = p->ops->gen_probe(g, g->hook, err)) < 0) /* id to r0, or a jump to g->leave */
		return r;
	asm_mov(a, R8, R0);
	/* exit(), not all probes there yet, or the deadman */
	if (!(p->ops->manual && str_eq(p->name, "END"))) {
		asm_map_value(a, R1, dt->globals_fd, offsetof(struct dt_shared, stopped));
		asm_load(a, 8, R1, R1, 0);
		asm_jcci(a, BPF_JNE, R1, 0, g->leave);
	}
	gen_zone(g);
	if (dt->opts.cpu >= 0) {
		asm_call(a, BPF_FUNC_get_smp_processor_id);
		asm_jcci(a, BPF_JNE, R0, dt->opts.cpu, g->leave);
	}
	if (g->scratch)
		gen_prologue_scratch(g);
	if (g->scratch && dt->uses_strtok)
		set_rt(g, offsetof(struct rt, token), RT_NO_TOKEN);
	return 0;
}

static int
gen_program(struct gen *g, struct error *err)
{
	const struct probe *p = g->hook->probes[0];
	struct asmb *a = &g->a;
	int over = asm_label(a), r;

	g->leave = asm_label(a);
	r = gen_begin(g, err);
	for (size_t i = 0; r == 0 && i < p->n_clauses; i++) {
		r = gen_clause(g, p->clauses[i], err);
		if (has_exit(p->clauses[i]) && i + 1 < p->n_clauses && !str_eq(p->name, "END"))
			gen_stop_after_exit(g, over);
	}
	asm_here(a, over);
	if (g->scratch) {
		asm_load(a, 4, R1, R9, 0);
		asm_alui(a, BPF_SUB, R1, 1);
		asm_store(a, 4, R9, 0, R1);
	}
	asm_here(a, g->leave);
	asm_imm(a, R0, 0);
	asm_exit(a);
	return r;
}

static int
try_generate(struct dt *dt, struct hook *h, bool scratch, struct gen **ret, struct error *err)
{
	struct gen *g = xcalloc(1, sizeof(*g));
	int r;

	g->dt = dt;
	g->hook = h;
	g->scratch = scratch;
	if ((r = gen_program(g, err)) == 0 && g->confine_lost)
		r = error_set(err, ENOTSUP, "this kernel's types do not tell whose a process is");
	if (r == 0 && g->crowded)
		r = error_set(err, E2BIG,
			      "the clauses of %s:%s:%s:%s need too much room for text: make them shorter, or strsize less",
			      h->probes[0]->prov, h->probes[0]->mod, h->probes[0]->func,
			      h->probes[0]->name);
	if (r < 0) {
		gen_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

/* Most programs are short and need no scratch area: what is written without one tells. */
int
dt_generate(struct dt *dt, struct hook *h, struct gen **ret, struct error *err)
{
	struct gen *g;
	int r = try_generate(dt, h, false, &g, err);

	if (r == 0 && asm_names(&g->a, R7)) {
		gen_free(g);
		r = try_generate(dt, h, true, &g, err);
	}
	if (r < 0)
		return r;
	asm_tidy(&g->a, (const int[]){g->used & KNOWN_THREAD ? 0 : STACK_THREAD,
				      g->used & KNOWN_TIME ? 0 : STACK_TIME});
	if (g->slot_max > dt->scratch_size)
		dt->scratch_size = g->slot_max;
	if ((r = gen_rt_bodies(g, err)) < 0 || (r = asm_finish(&g->a, err)) < 0) {
		gen_free(g);
		return r;
	}
	*ret = g;
	return 0;
}
