/* Expressions: numbers to r0, text to a place. */
#include <stdlib.h>
#include <string.h>

#include "dtrace/gen.h"
#include "dtrace/ksyms.h"
#include "dtrace/priv.h"

int
gen_push(struct gen *g, const struct node *where, struct error *err)
{
	if (g->depth == 24)
		return d_error(err, where->line, "D_UNKNOWN", "expression is too complex");
	g->depth++;
	asm_store(&g->a, 8, R10, -8 * g->depth, R0);
	return 0;
}

void
gen_pop(struct gen *g, int reg)
{
	asm_load(&g->a, 8, reg, R10, -8 * g->depth);
	g->depth--;
}

void
gen_place(struct gen *g, int reg, struct place p)
{
	asm_mov(&g->a, reg, p.reg);
	if (p.off)
		asm_alui(&g->a, BPF_ADD, reg, p.off);
}

#define MAX_SCRATCH 32700

struct place
gen_slot(struct gen *g, size_t size)
{
	struct place p;

	g->slot_next = (g->slot_next + 7) & ~(size_t)7;
	p = (struct place){R7, (int)g->slot_next};
	g->slot_next += size;
	if (g->slot_next > MAX_SCRATCH) { /* an instruction cannot reach it */
		g->crowded = true;
		g->slot_next = g->dt->slots_off;
	}
	if (g->slot_next > g->slot_max)
		g->slot_max = g->slot_next;
	return p;
}

void
gen_zero(struct gen *g, struct place p, size_t size)
{
	for (size_t i = 0; i + 8 <= size; i += 8)
		asm_storei(&g->a, 8, p.reg, p.off + (int)i, 0);
	for (size_t i = size & ~(size_t)7; i < size; i++)
		asm_storei(&g->a, 1, p.reg, p.off + (int)i, 0);
}

void
gen_read(struct gen *g, struct place to, size_t size, bool is_user)
{
	gen_guard(g, R0, size, is_user);
	asm_mov(&g->a, R3, R0);
	gen_note_address(g);
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, (int64_t)size);
	asm_call(&g->a, is_user ? BPF_FUNC_probe_read_user : BPF_FUNC_probe_read_kernel);
	if (is_user || !gen_may_miss(g))
		asm_jcci(&g->a, BPF_JNE, R0, 0, gen_fault(g, FAULT_ADDRESS));
}

/* r0: address; the value there into r0. */
void
gen_load_value(struct gen *g, const struct node *n)
{
	struct place tmp = {R10, STACK_VALUE};
	const struct ctf_type *t = n->type;
	unsigned size = (unsigned)ctf_size(t);

	if (n->bit_size) {
		unsigned first = (unsigned)(n->number % 8);

		asm_storei(&g->a, 8, R10, STACK_VALUE, 0);
		gen_read(g, tmp, (first + n->bit_size + 7) / 8, n->is_user);
		asm_load(&g->a, 8, R0, R10, STACK_VALUE);
		asm_alui(&g->a, BPF_LSH, R0, (int32_t)(64 - first - n->bit_size));
		asm_alui(&g->a, ctf_is_signed(t) ? BPF_ARSH : BPF_RSH, R0,
			 (int32_t)(64 - n->bit_size));
		return;
	}
	if (n->is_user) {
		gen_read(g, tmp, size, true);
		asm_load(&g->a, size, R0, R10, STACK_VALUE);
	} else {
		gen_load_kernel(g, size);
	}
	if (size < 8 && ctf_is_signed(t))
		asm_extend(&g->a, R0, size, true);
}

/* Does a value of this type stand for itself, or for its address? */
static bool
by_address(const struct ctf_type *t)
{
	return ctf_is_aggregate(t) || ctf_kind(ctf_resolve(t)) == CTF_ARRAY ||
	       ctf_kind(ctf_resolve(t)) == CTF_FUNCTION;
}

/* A member, an element, what a pointer points to. */
static int
gen_part(struct gen *g, struct node *n, struct error *err)
{
	int r;

	if (dt_in_variable(n)) {
		if ((r = gen_variable(g, n, false, err)) < 0)
			return r;
		if (by_address(n->type))
			gen_as_number(g);
		else
			gen_load_part(g, n);
		return 0;
	}
	if ((r = gen_addr(g, n, err)) < 0)
		return r;
	if (!by_address(n->type))
		gen_load_value(g, n);
	return 0;
}

int
gen_addr(struct gen *g, struct node *n, struct error *err)
{
	uint64_t addr;
	int r;

	if (dt_in_variable(n))
		return gen_variable(g, n, false, err);
	switch (n->kind) {
	case N_IDENT:
		if (n->scope != SCOPE_KERNEL)
			break;
		if (!ksyms_find(dt_ksyms(g->dt), n->name, &addr))
			return d_error(err, n->line, "D_SYM_NOTYPES",
				       "the kernel has no symbol \"%s\"", n->name);
		asm_imm(&g->a, R0, (int64_t)addr);
		return 0;
	case N_OP1:
		if (n->op == OP_DEREF)
			return gen_scalar(g, n->left, err);
		if (n->op != OP_ARROW && n->op != OP_DOT)
			break;
		r = n->op == OP_ARROW ? gen_scalar(g, n->left, err) : gen_addr(g, n->left, err);
		if (r == 0 && n->number / 8)
			asm_alui(&g->a, BPF_ADD, R0, (int32_t)(n->number / 8));
		return r;
	case N_INDEX:
		if (n->ident)
			break;
		if ((r = gen_scalar(g, n->args, err)) < 0)
			return r;
		asm_alui(&g->a, BPF_MUL, R0, (int32_t)ctf_size(n->type));
		if ((r = gen_push(g, n, err)) < 0 || (r = gen_scalar(g, n->left, err)) < 0)
			return r;
		gen_pop(g, R1);
		asm_alu(&g->a, BPF_ADD, R0, R1);
		return 0;
	case N_CAST:
	case N_CALL:
	case N_COND:
		return gen_scalar(g, n, err);
	default:
		break;
	}
	return gen_unsupported(n, "the address of this expression", err);
}

/* --- variables */

/* The map's value for a thread-local or associative variable: r0, or 0. */
static int
var_lookup(struct gen *g, struct ident *v, struct node *keys, struct error *err)
{
	struct place key;
	int r = gen_var_key(g, v, keys, &key, err);

	if (r < 0)
		return r;
	asm_map(&g->a, R1, g->dt->var_fds[v->map]);
	gen_place(g, R2, key);
	asm_call(&g->a, BPF_FUNC_map_lookup_elem);
	gen_var_key_done(g, v);
	return 0;
}

int
gen_var_key(struct gen *g, struct ident *v, struct node *keys, struct place *ret,
	    struct error *err)
{
	struct rec recs[DT_MAX_KEYS];
	size_t size = 0, self = v->scope == SCOPE_SELF;
	int r;

	for (size_t i = 0; i < v->n_keys; i++) {
		bool text = dt_is_string(g->dt, v->keys[i]);
		bool bytes = !text && ctf_is_aggregate(v->keys[i]);

		recs[i] = (struct rec){.kind = text ? REC_STRING : bytes ? REC_BYTES : REC_INT,
				       .size = bytes ? ctf_size(v->keys[i]) : dt_key_size(g->dt, v->keys[i])};
		size += dt_key_size(g->dt, v->keys[i]);
	}
	size += 8 * self;
	if (g->n_keys_open == (int)ARRAY_SIZE(g->key_depth))
		return gen_unsupported(keys ? keys : g->clause->node, "so many keys in keys", err);
	if (size <= SMALL_KEY && g->depth + (int)(size / 8) <= 24) {
		g->key_depth[g->n_keys_open++] = (int)(size / 8);
		g->depth += (int)(size / 8);
		*ret = (struct place){R10, -8 * g->depth};
	} else {
		g->key_depth[g->n_keys_open++] = 0;
		*ret = gen_slot(g, size);
	}
	if (v->n_keys) {
		struct place rest = {ret->reg, ret->off + 8 * (int)self};

		if ((r = gen_keys(g, keys, recs, rest, err)) < 0)
			return r;
	}
	if (self) {
		/* Idle threads all have id 0: the CPU tells them apart. */
		int done = asm_label(&g->a);

		gen_thread(g);
		asm_jcci(&g->a, BPF_JNE, R0, 0, done);
		asm_call(&g->a, BPF_FUNC_get_smp_processor_id);
		asm_here(&g->a, done);
		asm_store(&g->a, 8, ret->reg, ret->off, R0);
	}
	return 0;
}

void
gen_var_key_done(struct gen *g, const struct ident *v)
{
	g->depth -= g->key_depth[--g->n_keys_open];
}

static unsigned
var_size(struct gen *g, const struct ident *v)
{
	return dt_is_string(g->dt, v->type) ? g->dt->opts.strsize : (unsigned)ctf_size(v->type);
}

static void
extend_loaded(struct gen *g, const struct ctf_type *t)
{
	if (ctf_size(t) < 8 && ctf_is_signed(t))
		asm_extend(&g->a, R0, (unsigned)ctf_size(t), true);
}

static int
load_var(struct gen *g, struct node *n, struct error *err)
{
	struct ident *v = n->ident;
	unsigned size = var_size(g, v);
	int none, r;

	if (by_address(v->type)) {
		if ((r = gen_variable(g, n, false, err)) == 0)
			gen_as_number(g);
		return r;
	}
	if (v->map >= 0) {
		if ((r = var_lookup(g, v, n->kind == N_INDEX ? n->args : NULL, err)) < 0)
			return r;
		none = asm_label(&g->a);
		asm_jcci(&g->a, BPF_JEQ, R0, 0, none);
		asm_load(&g->a, size, R0, R0, 0);
		extend_loaded(g, v->type);
		asm_here(&g->a, none); /* r0 is 0 there: what an unset variable is */
		return 0;
	}
	if (v->scope == SCOPE_THIS)
		asm_mov(&g->a, R1, R7);
	else
		asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)v->offset);
	asm_load(&g->a, size, R0, R1, v->scope == SCOPE_THIS ? v->offset : 0);
	extend_loaded(g, v->type);
	return 0;
}

/* r0 into a scalar variable; r0 is kept. */
static int
store_var(struct gen *g, struct node *n, struct error *err)
{
	struct ident *v = n->ident;
	struct place key;
	int r, clear, done, value;
	unsigned size;

	if (!v)
		return gen_store_part(g, n, err);
	size = var_size(g, v);
	if (v->map < 0) {
		if (v->scope == SCOPE_THIS)
			asm_mov(&g->a, R1, R7);
		else
			asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)v->offset);
		asm_store(&g->a, size, R1, v->scope == SCOPE_THIS ? v->offset : 0, R0);
		return 0;
	}
	if ((r = gen_push(g, n, err)) < 0)
		return r;
	value = g->depth;
	if ((r = gen_var_key(g, v, n->kind == N_INDEX ? n->args : NULL, &key, err)) < 0)
		return r;
	clear = asm_label(&g->a);
	done = asm_label(&g->a);
	asm_load(&g->a, 8, R0, R10, -8 * value);
	asm_map(&g->a, R1, g->dt->var_fds[v->map]);
	gen_place(g, R2, key);
	asm_jcci(&g->a, BPF_JEQ, R0, 0, clear); /* assigning 0 frees a dynamic variable */
	asm_store(&g->a, 8, R10, STACK_VALUE, R0);
	asm_mov(&g->a, R3, R10);
	asm_alui(&g->a, BPF_ADD, R3, STACK_VALUE);
	asm_imm(&g->a, R4, BPF_ANY);
	asm_call(&g->a, BPF_FUNC_map_update_elem);
	asm_jcci(&g->a, BPF_JEQ, R0, 0, done);
	gen_bump(g, offsetof(struct dt_shared, dyn_drops));
	asm_jmp(&g->a, done);
	asm_here(&g->a, clear);
	asm_call(&g->a, BPF_FUNC_map_delete_elem);
	asm_here(&g->a, done);
	gen_var_key_done(g, v);
	gen_pop(g, R0);
	return 0;
}

/* A dynamic variable is given 0: it is no more. */
static int
clear_var(struct gen *g, struct node *n, struct error *err)
{
	struct place key;
	int r = gen_var_key(g, n->ident, n->kind == N_INDEX ? n->args : NULL, &key, err);

	if (r < 0)
		return r;
	asm_map(&g->a, R1, g->dt->var_fds[n->ident->map]);
	gen_place(g, R2, key);
	asm_call(&g->a, BPF_FUNC_map_delete_elem);
	gen_var_key_done(g, n->ident);
	return 0;
}

/* The text at `from` into the variable. */
static int
store_text(struct gen *g, struct node *n, struct place from, struct error *err)
{
	struct ident *v = n->ident;
	size_t size = g->dt->opts.strsize;
	struct place key;
	int r, ok;

	if (v->map < 0) {
		if (v->scope == SCOPE_THIS)
			gen_place(g, R1, (struct place){R7, v->offset});
		else
			asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)v->offset);
		asm_imm(&g->a, R2, (int64_t)size);
		gen_place(g, R3, from);
		asm_call(&g->a, BPF_FUNC_probe_read_kernel_str);
		return 0;
	}
	if ((r = gen_var_key(g, v, n->kind == N_INDEX ? n->args : NULL, &key, err)) < 0)
		return r;
	ok = asm_label(&g->a);
	asm_map(&g->a, R1, g->dt->var_fds[v->map]);
	gen_place(g, R2, key);
	gen_place(g, R3, from);
	asm_imm(&g->a, R4, BPF_ANY);
	asm_call(&g->a, BPF_FUNC_map_update_elem);
	asm_jcci(&g->a, BPF_JEQ, R0, 0, ok);
	gen_bump(g, offsetof(struct dt_shared, dyn_drops));
	asm_here(&g->a, ok);
	gen_var_key_done(g, v);
	return 0;
}

/* --- operators */

/* r0 = r0 op r1 */
static void
gen_op(struct gen *g, enum op op, bool is_signed)
{
	static const struct {
		enum op op;
		unsigned alu;
	} simple[] = {{OP_ADD, BPF_ADD}, {OP_SUB, BPF_SUB}, {OP_MUL, BPF_MUL}, {OP_AND, BPF_AND},
		      {OP_OR, BPF_OR},	 {OP_XOR, BPF_XOR}, {OP_SHL, BPF_LSH}};
	struct asmb *a = &g->a;

	for (size_t i = 0; i < ARRAY_SIZE(simple); i++) {
		if (simple[i].op == op) {
			asm_alu(a, simple[i].alu, R0, R1);
			return;
		}
	}
	if (op == OP_SHR) {
		asm_alu(a, is_signed ? BPF_ARSH : BPF_RSH, R0, R1);
		return;
	}
	/* Division: by zero is a fault; signed division is offset 1 (cpu v4). */
	asm_jcci(a, BPF_JEQ, R1, 0, gen_fault(g, FAULT_DIVIDE));
	asm_emit(a, BPF_ALU64 | (op == OP_DIV ? BPF_DIV : BPF_MOD) | BPF_X, R0, R1, is_signed, 0);
}

static unsigned
jump_of(enum op op, bool is_signed)
{
	switch (op) {
	case OP_EQ:
		return BPF_JEQ;
	case OP_NE:
		return BPF_JNE;
	case OP_LT:
		return is_signed ? BPF_JSLT : BPF_JLT;
	case OP_LE:
		return is_signed ? BPF_JSLE : BPF_JLE;
	case OP_GT:
		return is_signed ? BPF_JSGT : BPF_JGT;
	default:
		return is_signed ? BPF_JSGE : BPF_JGE;
	}
}

void
gen_truth(struct gen *g, int yes)
{
	int done = asm_label(&g->a);

	asm_imm(&g->a, R0, 0);
	asm_jmp(&g->a, done);
	asm_here(&g->a, yes);
	asm_imm(&g->a, R0, 1);
	asm_here(&g->a, done);
}

/* Words of eight bytes, first difference decides; big-endian makes it byte order. */
static int
compare_text(struct gen *g, struct node *n, struct error *err)
{
	size_t l = text_bound(g->dt, n->left), r = text_bound(g->dt, n->right);
	size_t size = l > r ? l : r;
	struct place a = gen_slot(g, size), b = gen_slot(g, size);
	int differ = asm_label(&g->a), yes = asm_label(&g->a), status;

	if ((status = gen_text(g, n->left, a, size, true, err)) < 0 ||
	    (status = gen_text(g, n->right, b, size, true, err)) < 0)
		return status;
	for (size_t i = 0; i < size; i += 8) {
		asm_load(&g->a, 8, R0, a.reg, a.off + (int)i);
		asm_load(&g->a, 8, R1, b.reg, b.off + (int)i);
		asm_jcc(&g->a, BPF_JNE, R0, R1, differ);
	}
	asm_here(&g->a, differ); /* equal to the end falls in, with r0 == r1 */
	if (n->op != OP_EQ && n->op != OP_NE) {
		asm_emit(&g->a, BPF_ALU | BPF_END | BPF_TO_BE, R0, 0, 0, 64);
		asm_emit(&g->a, BPF_ALU | BPF_END | BPF_TO_BE, R1, 0, 0, 64);
	}
	asm_jcc(&g->a, jump_of(n->op, false), R0, R1, yes);
	gen_truth(g, yes);
	return 0;
}

static int
gen_logical(struct gen *g, struct node *n, struct error *err)
{
	struct asmb *a = &g->a;
	int yes = asm_label(a), no = asm_label(a), done = asm_label(a), r;
	bool known;

	if ((r = gen_scalar(g, n->left, err)) < 0)
		return r;
	if (n->op == OP_LXOR) {
		int zero = asm_label(a);

		asm_mov(a, R1, R0);
		asm_imm(a, R0, 0);
		asm_jcci(a, BPF_JEQ, R1, 0, zero);
		asm_imm(a, R0, 1);
		asm_here(a, zero);
		if ((r = gen_push(g, n, err)) < 0 || (r = gen_scalar(g, n->right, err)) < 0)
			return r;
		gen_pop(g, R1);
		asm_jcci(a, BPF_JEQ, R0, 0, no);
		asm_alui(a, BPF_XOR, R1, 1);
		asm_here(a, no);
		asm_mov(a, R0, R1);
		return 0;
	}
	asm_jcci(a, n->op == OP_LAND ? BPF_JEQ : BPF_JNE, R0, 0, n->op == OP_LAND ? no : yes);
	known = g->thread_known;
	if ((r = gen_scalar(g, n->right, err)) < 0)
		return r;
	g->thread_known = known;
	asm_jcci(a, BPF_JEQ, R0, 0, no);
	asm_here(a, yes);
	asm_imm(a, R0, 1);
	asm_jmp(a, done);
	asm_here(a, no);
	asm_imm(a, R0, 0);
	asm_here(a, done);
	return 0;
}

/* Bytes that adding 1 to a pointer moves it by; 1 for numbers. */
static int64_t
scale_of(const struct ctf_type *t)
{
	int64_t size;

	if (!ctf_is_pointer(t))
		return 1;
	size = (int64_t)ctf_size(ctf_target(ctf_resolve(t)));
	return size ? size : 1;
}

/* A signed operand of an unsigned operation: as many bits as that has. */
static void
as_common(struct gen *g, int reg, const struct ctf_type *t, const struct ctf_type *common)
{
	if (ctf_is_signed(t) && !ctf_is_signed(common) && ctf_size(common) < 8)
		asm_extend(&g->a, reg, (unsigned)ctf_size(common), false);
}

/* r0, a result, to the bits of its type; what an int overflows to is nobody's business. */
static void
cut(struct gen *g, const struct ctf_type *t)
{
	if (ctf_size(t) < 4 || (ctf_size(t) == 4 && !ctf_is_signed(t)))
		asm_extend(&g->a, R0, (unsigned)ctf_size(t), ctf_is_signed(t));
}

static int
gen_binary(struct gen *g, struct node *n, struct error *err)
{
	struct node *l = n->left, *r = n->right;
	const struct ctf_type *common = dt_common_type(g->dt, l->type, r->type);
	bool is_signed = ctf_is_signed(n->op == OP_SHR ? l->type : common);
	bool pointer = ctf_is_pointer(n->type);
	int status, yes;

	if ((status = gen_scalar(g, l, err)) < 0)
		return status;
	as_common(g, R0, l->type, common);
	if (pointer && !ctf_is_pointer(l->type))
		asm_alui(&g->a, BPF_MUL, R0, (int32_t)scale_of(r->type));
	if (r->is_const && r->value >= INT32_MIN && r->value <= INT32_MAX) {
		asm_imm(&g->a, R1, r->value);
	} else {
		if ((status = gen_push(g, n, err)) < 0 || (status = gen_scalar(g, r, err)) < 0)
			return status;
		asm_mov(&g->a, R1, R0);
		gen_pop(g, R0);
	}
	if (n->op != OP_SHL && n->op != OP_SHR)
		as_common(g, R1, r->type, common);
	if (pointer && !ctf_is_pointer(r->type))
		asm_alui(&g->a, BPF_MUL, R1, (int32_t)scale_of(l->type));
	if (n->op >= OP_EQ && n->op <= OP_GE) {
		yes = asm_label(&g->a);
		asm_jcc(&g->a, jump_of(n->op, is_signed), R0, R1, yes);
		gen_truth(g, yes);
		return 0;
	}
	gen_op(g, n->op, is_signed);
	if (n->op == OP_SUB && ctf_is_pointer(l->type) && ctf_is_pointer(r->type)) {
		asm_imm(&g->a, R1, scale_of(l->type));
		asm_emit(&g->a, BPF_ALU64 | BPF_DIV | BPF_X, R0, R1, 1, 0);
	} else {
		cut(g, n->type);
	}
	return 0;
}

static int
gen_assign(struct gen *g, struct node *n, struct error *err)
{
	int r;

	if (dt_is_string(g->dt, n->left->type)) {
		struct place tmp = gen_slot(g, g->dt->opts.strsize);

		if (n->right->is_const && n->left->ident->map >= 0)
			return clear_var(g, n->left, err);
		if ((r = gen_text(g, n->right, tmp, g->dt->opts.strsize, true, err)) < 0)
			return r;
		return store_text(g, n->left, tmp, err);
	}
	if (ctf_is_aggregate(n->left->type))
		return n->right->is_const ? clear_var(g, n->left, err)
					  : gen_copy(g, n->left, n->right, err);
	if (n->op2 != OP_NONE) {
		/* the old value comes first: the right side may change it */
		if ((r = gen_scalar(g, n->left, err)) < 0 || (r = gen_push(g, n, err)) < 0 ||
		    (r = gen_scalar(g, n->right, err)) < 0)
			return r;
		asm_mov(&g->a, R1, R0);
		if (ctf_is_pointer(n->left->type))
			asm_alui(&g->a, BPF_MUL, R1, (int32_t)scale_of(n->left->type));
		gen_pop(g, R0);
		gen_op(g, n->op2, ctf_is_signed(n->left->type));
	} else if ((r = gen_scalar(g, n->right, err)) < 0) {
		return r;
	}
	asm_extend(&g->a, R0, (unsigned)ctf_size(n->left->type), ctf_is_signed(n->left->type));
	return store_var(g, n->left, err);
}

static int
gen_step(struct gen *g, struct node *n, struct error *err)
{
	bool up = n->op == OP_PREINC || n->op == OP_POSTINC;
	bool post = n->op == OP_POSTINC || n->op == OP_POSTDEC;
	int32_t by = (int32_t)scale_of(n->type);
	int r = gen_scalar(g, n->left, err);

	if (r < 0 || (post && (r = gen_push(g, n, err)) < 0))
		return r;
	asm_alui(&g->a, up ? BPF_ADD : BPF_SUB, R0, by);
	asm_extend(&g->a, R0, (unsigned)ctf_size(n->type), ctf_is_signed(n->type));
	if ((r = store_var(g, n->left, err)) < 0)
		return r;
	if (post)
		gen_pop(g, R0);
	return 0;
}

static int
gen_unary(struct gen *g, struct node *n, struct error *err)
{
	int r, yes;

	switch (n->op) {
	case OP_ADDR:
		if ((r = gen_addr(g, n->left, err)) == 0 && dt_in_variable(n->left))
			gen_as_number(g);
		return r;
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		return gen_step(g, n, err);
	case OP_DEREF:
	case OP_DOT:
	case OP_ARROW:
		return gen_part(g, n, err);
	default:
		break;
	}
	if ((r = gen_scalar(g, n->left, err)) < 0)
		return r;
	if (n->op == OP_NEG) {
		asm_emit(&g->a, BPF_ALU64 | BPF_NEG, R0, 0, 0, 0);
	} else if (n->op == OP_BNOT) {
		asm_alui(&g->a, BPF_XOR, R0, -1);
	} else if (n->op == OP_NOT) {
		yes = asm_label(&g->a);
		asm_jcci(&g->a, BPF_JEQ, R0, 0, yes);
		gen_truth(g, yes);
		return 0;
	}
	cut(g, n->type);
	return 0;
}

static int
scalar(struct gen *g, struct node *n, struct error *err)
{
	struct fork fork;
	int r;

	if (n->is_const) {
		asm_imm(&g->a, R0, n->value);
		return 0;
	}
	if (dt_is_string(g->dt, n->type)) { /* where the text stands: str[3], bcopy(str, ...) */
		struct place text = gen_slot(g, g->dt->opts.strsize);

		if ((r = gen_text(g, n, text, g->dt->opts.strsize, false, err)) < 0)
			return r;
		gen_place(g, R0, text);
		gen_as_number(g);
		return 0;
	}
	switch (n->kind) {
	case N_IDENT:
		if (n->scope == SCOPE_KERNEL) {
			if ((r = gen_addr(g, n, err)) < 0)
				return r;
			if (!by_address(n->type))
				gen_load_value(g, n);
			return 0;
		}
		if (n->ident->kind == ID_BUILTIN)
			return gen_builtin(g, n, err);
		return load_var(g, n, err);
	case N_INDEX:
		if (n->ident && n->ident->kind == ID_BUILTIN && n->ident->builtin == B_UREGS) {
			bool was;

			if (g->nobody) {
				asm_imm(&g->a, R0, 0);
				return 0;
			}
			was = gen_trust(g, true);
			asm_call(&g->a, BPF_FUNC_get_current_task_btf);
			asm_mov(&g->a, R1, R0);
			asm_call(&g->a, BPF_FUNC_task_pt_regs);
			asm_alui(&g->a, BPF_ADD, R0, (int32_t)(8 * n->number));
			gen_load_value(g, n);
			gen_trust(g, was);
			return 0;
		}
		if (n->ident && n->ident->kind == ID_BUILTIN) /* args[i] */
			return (r = g->hook->probes[0]->ops->gen_arg(g, g->hook, (unsigned)n->number,
								     err)) < 0
				       ? r
				       : gen_arg_view(g, n, (unsigned)n->number, err);
		if (n->ident)
			return load_var(g, n, err);
		return gen_part(g, n, err);
	case N_OP1:
		return gen_unary(g, n, err);
	case N_OP2:
		if (n->op == OP_ASSIGN)
			return gen_assign(g, n, err);
		if (n->op == OP_LAND || n->op == OP_LOR || n->op == OP_LXOR)
			return gen_logical(g, n, err);
		if (n->op == OP_COMMA) {
			if ((r = gen_scalar(g, n->left, err)) < 0)
				return r;
			return gen_scalar(g, n->right, err);
		}
		if (dt_is_string(g->dt, n->left->type) || dt_is_string(g->dt, n->right->type))
			return compare_text(g, n, err);
		return gen_binary(g, n, err);
	case N_COND:
		if ((r = gen_scalar(g, n->left, err)) < 0)
			return r;
		fork = gen_fork(g);
		if ((r = gen_scalar(g, n->right, err)) < 0)
			return r;
		gen_else(g, &fork);
		r = gen_scalar(g, n->third, err);
		gen_join(g, &fork);
		return r;
	case N_CALL:
		return gen_func(g, n, err);
	case N_CAST:
		if ((r = gen_scalar(g, n->left, err)) < 0)
			return r;
		if (ctf_is_integral(n->type))
			asm_extend(&g->a, R0, (unsigned)ctf_size(n->type), ctf_is_signed(n->type));
		return 0;
	default:
		break;
	}
	return gen_unsupported(n, "this expression", err);
}

int
gen_scalar(struct gen *g, struct node *n, struct error *err)
{
	bool was = gen_trust(g, n->library);
	size_t slots = g->slot_next;
	int r = scalar(g, n, err);

	gen_trust(g, was);
	if (ctf_is_integral(n->type)) /* the value is in r0; an address may be one of scratch */
		g->slot_next = slots;
	return r;
}

/* --- text */

static void
gen_literal(struct gen *g, const struct node *n, struct place to, size_t size, size_t limit, bool pad)
{
	size_t len = n->text_len < limit ? n->text_len : limit - 1;
	size_t end = pad ? size : ((len + 8) & ~(size_t)7);
	char buf[8];

	if (end > size)
		end = size;
	for (size_t i = 0; i < end; i += 8) {
		int64_t v;

		memset(buf, 0, sizeof(buf));
		if (i < len)
			memcpy(buf, n->text + i, len - i < 8 ? len - i : 8);
		memcpy(&v, buf, 8);
		if (v >= INT32_MIN && v <= INT32_MAX) {
			asm_storei(&g->a, 8, to.reg, to.off + (int)i, (int32_t)v);
		} else {
			asm_imm(&g->a, R1, v);
			asm_store(&g->a, 8, to.reg, to.off + (int)i, R1);
		}
	}
}

/* r0: address of a C string. */
static void
gen_read_text(struct gen *g, struct place to, size_t size, bool is_user)
{
	gen_guard(g, R0, size, is_user);
	asm_mov(&g->a, R3, R0);
	gen_note_address(g);
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, (int64_t)size);
	asm_call(&g->a, is_user ? BPF_FUNC_probe_read_user_str : BPF_FUNC_probe_read_kernel_str);
	if (is_user || !gen_may_miss(g))
		asm_jcci(&g->a, BPF_JSLT, R0, 0, gen_fault(g, FAULT_ADDRESS));
}

/* A string variable's text; an unset dynamic one is empty. */
static int
gen_var_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct ident *v = n->ident;
	int none = asm_label(&g->a), r;
	bool was;

	asm_storei(&g->a, 1, to.reg, to.off, 0);
	if (v->map >= 0) {
		if ((r = var_lookup(g, v, n->kind == N_INDEX ? n->args : NULL, err)) < 0)
			return r;
		asm_jcci(&g->a, BPF_JEQ, R0, 0, none);
	} else if (v->scope == SCOPE_THIS) {
		gen_place(g, R0, (struct place){R7, v->offset});
	} else {
		asm_map_value(&g->a, R0, g->dt->globals_fd, (uint32_t)v->offset);
	}
	was = gen_trust(g, true); /* our own memory */
	gen_read_text(g, to, size, false);
	gen_trust(g, was);
	asm_here(&g->a, none);
	return 0;
}

/* A probe's name, from the table the consumer filled. */
static int
gen_probe_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	unsigned part = n->ident->builtin == B_PROBEPROV   ? 0
			: n->ident->builtin == B_PROBEMOD  ? 1
			: n->ident->builtin == B_PROBEFUNC ? 2
							   : 3;
	int r = dt_names(g->dt, err);
	bool was;

	if (r < 0)
		return r;
	asm_store(&g->a, 4, R10, STACK_SMALL, R8);
	asm_map(&g->a, R1, g->dt->names_fd);
	asm_mov(&g->a, R2, R10);
	asm_alui(&g->a, BPF_ADD, R2, STACK_SMALL);
	asm_call(&g->a, BPF_FUNC_map_lookup_elem);
	asm_jcci(&g->a, BPF_JEQ, R0, 0, gen_fault(g, FAULT_ADDRESS));
	asm_alui(&g->a, BPF_ADD, R0, (int32_t)(part * DT_NAME_SIZE));
	was = gen_trust(g, true);
	gen_read_text(g, to, size, false);
	gen_trust(g, was);
	return 0;
}

#define COMM_SIZE 16

static bool
is_execname(const struct node *n)
{
	return n->kind == N_IDENT && n->ident && n->ident->kind == ID_BUILTIN &&
	       n->ident->builtin == B_EXECNAME;
}

static int
gen_ident_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	if (n->ident->kind != ID_BUILTIN)
		return gen_var_text(g, n, to, size, err);
	switch (n->ident->builtin) {
	case B_EXECNAME:
		if (g->nobody) {
			gen_zero(g, to, size < COMM_SIZE ? size : COMM_SIZE);
			return 0;
		}
		gen_place(g, R1, to);
		asm_imm(&g->a, R2, size < COMM_SIZE ? (int64_t)size : COMM_SIZE);
		asm_call(&g->a, BPF_FUNC_get_current_comm);
		return 0;
	case B_PROBEPROV:
	case B_PROBEMOD:
	case B_PROBEFUNC:
	case B_PROBENAME:
		return gen_probe_text(g, n, to, size, err);
	default:
		return gen_unsupported(n, n->name, err);
	}
}

static int
text(struct gen *g, struct node *n, struct place to, size_t size, bool pad, struct error *err)
{
	size_t limit = size < g->dt->opts.strmax ? size : g->dt->opts.strmax;
	struct fork fork;
	int r;

	if (n->is_const && n->value == 0 && !dt_is_string(g->dt, n->type)) { /* NULL */
		gen_zero(g, to, pad ? size : 8);
		return 0;
	}
	if (n->kind == N_STRING) {
		gen_literal(g, n, to, size, limit, pad);
		return 0;
	}
	if (pad && is_execname(n) && limit >= COMM_SIZE) /* the kernel fills COMM_SIZE bytes to the end */
		gen_zero(g, (struct place){to.reg, to.off + COMM_SIZE}, size > COMM_SIZE ? size - COMM_SIZE : 0);
	else if (pad)
		gen_zero(g, to, size);
	size = limit;
	switch (n->kind) {
	case N_IDENT:
		if (dt_is_string(g->dt, n->type))
			return gen_ident_text(g, n, to, size, err);
		break;
	case N_INDEX:
		if (dt_is_string(g->dt, n->type) && n->ident)
			return gen_var_text(g, n, to, size, err);
		break;
	case N_CAST:
	case N_STRINGOF:
		if (dt_is_string(g->dt, n->left->type))
			return gen_text(g, n->left, to, size, false, err);
		if ((r = gen_scalar(g, n->left, err)) < 0)
			return r;
		gen_read_text(g, to, size, n->left->is_user);
		return 0;
	case N_OP2:
		if (n->op == OP_COMMA) {
			if ((r = gen_scalar(g, n->left, err)) < 0)
				return r;
			return gen_text(g, n->right, to, size, false, err);
		}
		if (n->op == OP_ASSIGN && dt_is_string(g->dt, n->type)) {
			if ((r = gen_assign(g, n, err)) < 0)
				return r;
			return gen_var_text(g, n->left, to, size, err);
		}
		break;
	case N_COND:
		if (!dt_is_string(g->dt, n->type))
			break;
		if ((r = gen_scalar(g, n->left, err)) < 0)
			return r;
		fork = gen_fork(g);
		if ((r = gen_text(g, n->right, to, size, false, err)) < 0)
			return r;
		gen_else(g, &fork);
		r = gen_text(g, n->third, to, size, false, err);
		gen_join(g, &fork);
		return r;
	case N_CALL:
		if (dt_is_string(g->dt, n->type))
			return gen_func_text(g, n, to, size, err);
		break;
	default:
		break;
	}
	if (dt_in_variable(n) && ctf_kind(ctf_resolve(n->type)) == CTF_ARRAY)
		return gen_array_text(g, n, to, size, err);
	/* char * and char []: the text it points to. */
	if ((r = gen_scalar(g, n, err)) < 0)
		return r;
	gen_read_text(g, to, size, n->is_user);
	return 0;
}

int
gen_text(struct gen *g, struct node *n, struct place to, size_t size, bool pad, struct error *err)
{
	bool was = gen_trust(g, n->library);
	int r = text(g, n, to, size, pad, err);

	gen_trust(g, was);
	return r;
}
