/* Actions: values into the record, and what is done at once. */
#include <signal.h>
#include <stdlib.h>

#include "dtrace/priv.h"

void
gen_pid_to(struct gen *g, struct place to)
{
	if (g->nobody) {
		asm_storei(&g->a, 8, to.reg, to.off, 0);
		return;
	}
	gen_thread(g);
	asm_alui(&g->a, BPF_RSH, R0, 32);
	asm_store(&g->a, 8, to.reg, to.off, R0);
}

/* sym(), usym() and their like: the address, a process's behind that one's number. */
static int
gen_named_address(struct gen *g, struct node *n, bool user, struct place to, struct error *err)
{
	struct place address = {to.reg, to.off + (user ? 8 : 0)};
	int r;

	if (user)
		gen_pid_to(g, to);
	if ((r = gen_scalar(g, n->args, err)) < 0)
		return r;
	asm_store(&g->a, 8, address.reg, address.off, R0);
	if (user)
		gen_note_mapping(g, address);
	return 0;
}

int
gen_value(struct gen *g, struct node *n, const struct rec *rec, struct place to, bool pad,
	  struct error *err)
{
	int r;

	switch (rec->kind) {
	case REC_INT:
		if ((r = gen_scalar(g, n, err)) < 0)
			return r;
		asm_store(&g->a, (unsigned)rec->size, to.reg, to.off, R0);
		return 0;
	case REC_STRING:
		return gen_real_text(g, n, to, rec->size, pad, err);
	case REC_BYTES:
	case REC_FRAMES:
		return gen_read_node(g, n, to, rec->size, err);
	case REC_PROBE:
		asm_store(&g->a, 4, to.reg, to.off, R8);
		return 0;
	case REC_STACK:
	case REC_USTACK:
		gen_stack(g, to, rec->size, rec->kind == REC_USTACK);
		return 0;
	case REC_USYM:
	case REC_KSYM:
		return gen_named_address(g, n, rec->kind == REC_USYM, to, err);
	}
	abort();
}

/* One value into the record. */
static int
gen_record(struct gen *g, struct node *n, const struct rec *rec, struct error *err)
{
	return gen_value(g, n, rec, gen_record_at(g, rec->offset), g->dt->opts.rawbytes, err);
}

/* Values of the arguments that have a place in the record. */
static int
gen_values(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	size_t i = 0;
	int r;

	for (struct node *arg = n->args; arg; arg = arg->next) {
		if (arg->slot < 0) /* the format, an aggregation */
			continue;
		if ((r = gen_record(g, arg, &a->recs[i++], err)) < 0)
			return r;
	}
	return 0;
}

static int
gen_tracemem(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	struct node *shown = n->args->next->next;
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	gen_read(g, gen_record_at(g, a->recs[0].offset), a->recs[0].size, n->args->is_user);
	return shown ? gen_record(g, shown, &a->recs[1], err) : 0;
}

/* The members of a translation, each as its translator says; a text that is not there is empty. */
static int
gen_translation(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	size_t i = 0;
	int r = 0;

	for (struct node *arg = n->args; arg && r == 0; arg = arg->next, i++) {
		const struct rec *rec = &a->recs[i];
		size_t slots = g->slot_next;

		r = rec->kind == REC_STRING ? gen_text(g, arg, gen_record_at(g, rec->offset),
						       rec->size, g->dt->opts.rawbytes, err)
					    : gen_record(g, arg, rec, err);
		g->slot_next = slots;
	}
	return r;
}

/* The address, then what stands there. */
static int
gen_print(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	struct place address = gen_record_at(g, a->recs[0].offset);
	int r;

	if (a->parts)
		return gen_translation(g, n, a, err);
	if (a->n_recs == 1)
		return gen_values(g, n, a, err);
	if ((r = gen_scalar(g, n->args, err)) < 0)
		return r;
	asm_store(&g->a, 8, address.reg, address.off, R0);
	gen_read(g, gen_record_at(g, a->recs[1].offset), a->recs[1].size, n->args->is_user);
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

/* --- speculation */

/* r0: a speculation's id.  r1: its state's address; to `bad` if there is no such. */
static void
spec_state(struct gen *g, int bad)
{
	struct asmb *a = &g->a;

	asm_mov(a, R1, R0);
	asm_alui(a, BPF_SUB, R1, 1);
	asm_jcci(a, BPF_JGE, R1, (int32_t)g->dt->opts.nspec, bad);
	asm_alui(a, BPF_LSH, R1, 3);
	asm_map_value(a, R2, g->dt->globals_fd, offsetof(struct dt_shared, spec));
	asm_alu(a, BPF_ADD, R1, R2);
}

/* Without an active speculation, or without room in it, the rest of the clause is not done. */
static int
gen_speculate(struct gen *g, struct node *n, struct error *err)
{
	static const int used = offsetof(struct dt_shared, spec_used) - offsetof(struct dt_shared, spec);
	struct place head = gen_record_at(g, 0);
	int64_t size = (int64_t)((g->clause->rec_size + 7) & ~(size_t)7);
	struct asmb *a = &g->a;
	int fits = asm_label(a), r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	spec_state(g, g->end);
	asm_load(a, 8, R2, R1, 0);
	asm_jcci(a, BPF_JNE, R2, SPEC_ACTIVE, g->end);
	asm_imm(a, R3, (int64_t)g->dt->opts.specsize - size);
	asm_load(a, 8, R2, R1, used);
	asm_jcc(a, BPF_JSLE, R2, R3, fits);
	gen_bump(g, offsetof(struct dt_shared, spec_drops));
	asm_jmp(a, g->end);
	asm_here(a, fits);
	asm_imm(a, R2, size);
	asm_emit(a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, used, BPF_ADD);
	asm_store(a, 4, head.reg, head.off + (int)offsetof(struct rec_head, spec), R0);
	return 0;
}

/* commit() and discard(): the id goes to the consumer, 0 if it is not active. */
static int
gen_end_spec(struct gen *g, struct node *n, const struct act *act, struct error *err)
{
	struct place to = gen_record_at(g, act->recs[0].offset);
	struct asmb *a = &g->a;
	int bad = asm_label(a), r;

	asm_storei(a, 8, to.reg, to.off, 0);
	if ((r = gen_scalar(g, n->args, err)) < 0)
		return r;
	asm_jcci(a, BPF_JGT, R0, (int32_t)g->dt->opts.nspec, gen_fault(g, FAULT_ILLEGAL));
	asm_mov(a, R3, R0);
	spec_state(g, bad);
	asm_imm(a, R0, SPEC_ACTIVE);
	asm_imm(a, R2, SPEC_ENDED);
	asm_emit(a, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R2, 0, BPF_CMPXCHG);
	asm_jcci(a, BPF_JNE, R0, SPEC_ACTIVE, bad);
	asm_store(a, 8, to.reg, to.off, R3);
	asm_here(a, bad);
	return 0;
}

/* --- destructive */

static int
gen_signal(struct gen *g, struct node *n, enum action action, struct error *err)
{
	int r = 0;

	if (action == A_RAISE)
		r = gen_scalar(g, n->args, err);
	else
		asm_imm(&g->a, R0, SIGSTOP);
	asm_mov(&g->a, R1, R0);
	gen_guard(g, R1, 1, true);
	asm_call(&g->a, BPF_FUNC_send_signal);
	return r;
}

/* The function that is entered is not run, its caller gets the value: where the kernel allows that. */
static int
gen_return(struct gen *g, struct node *n, struct error *err)
{
	const struct probe *p = g->hook->probes[0];
	int r;

	if (p->ops != &provider_fbt || !str_eq(p->name, "entry"))
		return d_error(err, n->line, "D_UNKNOWN",
			       "return( ) is for fbt:::entry: %s:%s has nothing to return", p->prov, p->name);
	if ((r = gen_scalar(g, n->args, err)) < 0)
		return r;
	asm_mov(&g->a, R2, R0);
	asm_mov(&g->a, R1, R6);
	asm_call(&g->a, BPF_FUNC_override_return);
	return 0;
}

#define MAX_CHILL_NS 500000000

static int
gen_chill(struct gen *g, struct node *n, struct error *err)
{
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	asm_jcci(&g->a, BPF_JGT, R0, MAX_CHILL_NS, gen_fault(g, FAULT_ILLEGAL));
	asm_mov(&g->a, R2, R0);
	gen_rt(g, "rt_chill");
	return 0;
}

/* r2: bytes at `from`; the address is the value put aside. */
static void
write_user(struct gen *g, struct place from)
{
	int nothing = asm_label(&g->a);

	gen_pop(g, R1);
	gen_guard(g, R1, 1, true);
	asm_jcci(&g->a, BPF_JEQ, R2, 0, nothing); /* the helper takes no 0 */
	asm_mov(&g->a, R3, R2);
	gen_place(g, R2, from);
	asm_store(&g->a, 8, R10, STACK_FAULT, R1);
	asm_call(&g->a, BPF_FUNC_probe_write_user);
	asm_jcci(&g->a, BPF_JNE, R0, 0, gen_fault(g, FAULT_ADDRESS));
	asm_here(&g->a, nothing);
}

/* copyout(from, address, bytes) */
static int
gen_copyout(struct gen *g, struct node *n, struct error *err)
{
	struct node *address = n->args->next, *bytes = address->next;
	size_t max = bytes->is_const ? (size_t)bytes->value : DT_COPYOUT;
	struct place room = gen_slot(g, max), size = gen_slot(g, 8);
	struct asmb *a = &g->a;
	int r;

	if ((r = gen_scalar(g, address, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, n->args, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, bytes, err)) < 0)
		return r;
	asm_jcci(a, BPF_JGT, R0, (int32_t)max, gen_fault(g, FAULT_SCRATCH));
	asm_store(a, 8, size.reg, size.off, R0);
	asm_mov(a, R2, R0);
	gen_pop(g, R3);
	gen_guard(g, R3, max, false);
	gen_note_address(g);
	gen_place(g, R1, room);
	asm_call(a, BPF_FUNC_probe_read_kernel);
	asm_jcci(a, BPF_JNE, R0, 0, gen_fault(g, FAULT_ADDRESS));
	asm_load(a, 8, R2, size.reg, size.off);
	asm_jcci(a, BPF_JGT, R2, (int32_t)max, gen_fault(g, FAULT_SCRATCH));
	write_user(g, room);
	return 0;
}

/* copyoutstr(text, address, max) */
static int
gen_copyoutstr(struct gen *g, struct node *n, struct error *err)
{
	size_t strsize = g->dt->opts.strsize;
	struct node *address = n->args->next, *max = address->next;
	struct place text = gen_slot(g, strsize);
	struct asmb *a = &g->a;
	int fits = asm_label(a), r;

	if ((r = gen_real_text(g, n->args, text, strsize, false, err)) < 0 ||
	    (r = gen_scalar(g, address, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
	    (r = gen_scalar(g, max, err)) < 0 || (r = gen_push(g, n, err)) < 0)
		return r;
	gen_copy_text(g, text, strsize, text);
	gen_pop(g, R1);
	asm_mov(a, R2, R0);
	asm_jcc(a, BPF_JLE, R2, R1, fits);
	asm_mov(a, R2, R1);
	asm_here(a, fits);
	asm_jcci(a, BPF_JGT, R2, (int32_t)strsize, gen_fault(g, FAULT_SCRATCH));
	write_user(g, text);
	return 0;
}

/* --- all of them */

static int
gen_one(struct gen *g, struct node *n, const struct act *a, struct error *err)
{
	switch (a->action) {
	case A_STACK:
	case A_USTACK:
	case A_JSTACK:
	case A_SYM:
	case A_FUNC:
	case A_MOD:
	case A_USYM:
	case A_UADDR:
	case A_UMOD:
	case A_UFUNC:
		return gen_record(g, n, &a->recs[0], err);
	case A_TRACEMEM:
		return gen_tracemem(g, n, a, err);
	case A_PRINT:
		return gen_print(g, n, a, err);
	case A_EXIT:
		return gen_exit(g, n, a, err);
	case A_SPECULATE:
		return gen_speculate(g, n, err);
	case A_COMMIT:
	case A_DISCARD:
		return gen_end_spec(g, n, a, err);
	case A_RAISE:
	case A_STOP:
		return gen_signal(g, n, a->action, err);
	case A_CHILL:
		return gen_chill(g, n, err);
	case A_RETURN:
		return gen_return(g, n, err);
	case A_COPYOUT:
		return gen_copyout(g, n, err);
	case A_COPYOUTSTR:
		return gen_copyoutstr(g, n, err);
	default:
		return gen_values(g, n, a, err);
	}
}

int
gen_action(struct gen *g, struct node *n, const struct act **next, struct error *err)
{
	const struct act *a = *next;
	struct place mask = gen_record_at(g, sizeof(struct rec_head));
	int r = gen_one(g, n, a, err);

	*next = a->next;
	if (r == 0 && g->clause->conditional) {
		asm_load(&g->a, 8, R0, mask.reg, mask.off);
		asm_imm(&g->a, R1, (int64_t)(1ull << a->bit));
		asm_alu(&g->a, BPF_OR, R0, R1);
		asm_store(&g->a, 8, mask.reg, mask.off, R0);
	}
	return r;
}
