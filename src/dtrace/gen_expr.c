/* Expressions: numbers to r0, text to a place. */
#include <stdlib.h>
#include <string.h>

#include "dtrace/gen.h"
#include "dtrace/ksyms.h"
#include "dtrace/priv.h"

int
gen_push(struct gen *g, const struct node *where, struct error *err)
{
	if (g->depth == MAX_PUSHED)
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

/* By a helper that takes where to, how much and where from; it failed if op is true of its result and 0. */
static void
read_by(struct gen *g, struct place to, size_t size, bool is_user, int helper, unsigned op)
{
	gen_guard(g, R0, size, is_user);
	asm_mov(&g->a, R3, R0);
	gen_note_address(g);
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, (int64_t)size);
	asm_call(&g->a, helper);
	if (is_user || !gen_may_miss(g))
		asm_jcci(&g->a, op, R0, 0, gen_fault(g, FAULT_ADDRESS));
}

void
gen_read(struct gen *g, struct place to, size_t size, bool is_user)
{
	read_by(g, to, size, is_user,
		is_user ? BPF_FUNC_probe_read_user : BPF_FUNC_probe_read_kernel, BPF_JNE);
}

void
gen_read_text(struct gen *g, struct place to, size_t size, bool is_user)
{
	read_by(g, to, size, is_user,
		is_user ? BPF_FUNC_probe_read_user_str : BPF_FUNC_probe_read_kernel_str, BPF_JSLT);
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

int
gen_var_lookup(struct gen *g, struct ident *v, struct node *keys, struct error *err)
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
	struct rec recs[DT_TUPLE_KEYS];
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
	if (size <= SMALL_KEY && g->depth + (int)(size / 8) <= MAX_PUSHED) {
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
	return dt_is_string(g->dt, v->type) ? g->dt->opts.strsize
	       : v->is_wide                 ? 8
					    : (unsigned)ctf_size(v->type);
}

static void
extend_loaded(struct gen *g, const struct ident *v)
{
	if (ctf_size(v->type) < 8 && ctf_is_signed(v->type) && !v->is_wide)
		asm_extend(&g->a, R0, (unsigned)ctf_size(v->type), true);
}

/* r0, which is to be stored in n: as much of it as n holds. */
static void
fit(struct gen *g, const struct node *n)
{
	if (!n->ident || !n->ident->is_wide)
		asm_extend(&g->a, R0, (unsigned)ctf_size(n->type), ctf_is_signed(n->type));
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
		if ((r = gen_var_lookup(g, v, n->kind == N_INDEX ? n->args : NULL, err)) < 0)
			return r;
		none = asm_label(&g->a);
		asm_jcci(&g->a, BPF_JEQ, R0, 0, none);
		asm_load(&g->a, size, R0, R0, 0);
		extend_loaded(g, v);
		asm_here(&g->a, none); /* r0 is 0 there: what an unset variable is */
		return 0;
	}
	if (v->scope == SCOPE_THIS)
		asm_mov(&g->a, R1, R7);
	else
		asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)v->offset);
	asm_load(&g->a, size, R0, R1, v->scope == SCOPE_THIS ? v->offset : 0);
	extend_loaded(g, v);
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

int
gen_clear_var(struct gen *g, struct node *n, struct error *err)
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

unsigned
gen_jump_of(enum op op, bool is_signed)
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

static int
gen_logical(struct gen *g, struct node *n, struct error *err)
{
	struct asmb *a = &g->a;
	int yes = asm_label(a), no = asm_label(a), done = asm_label(a), r;
	unsigned known;

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
	known = g->known;
	if ((r = gen_scalar(g, n->right, err)) < 0)
		return r;
	g->known = known;
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
		asm_jcc(&g->a, gen_jump_of(n->op, is_signed), R0, R1, yes);
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
		struct place value;

		return gen_assign_text(g, n, &value, err);
	}
	if (ctf_is_aggregate(n->left->type))
		return n->right->is_const ? gen_clear_var(g, n->left, err)
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
	fit(g, n->left);
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
	fit(g, n->left);
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
scalar_ident(struct gen *g, struct node *n, struct error *err)
{
	int r;

	if (n->scope == SCOPE_KERNEL) {
		if ((r = gen_addr(g, n, err)) < 0)
			return r;
		if (!by_address(n->type))
			gen_load_value(g, n);
		return 0;
	}
	return n->ident->kind == ID_BUILTIN ? gen_builtin(g, n, err) : load_var(g, n, err);
}

static int
scalar_index(struct gen *g, struct node *n, struct error *err)
{
	unsigned number = (unsigned)n->number;
	int r;

	if (!n->ident)
		return gen_part(g, n, err);
	if (n->ident->kind != ID_BUILTIN)
		return load_var(g, n, err);
	if (n->ident->builtin == B_UREGS)
		return gen_ureg(g, n, err);
	r = g->hook->probes[0]->ops->gen_arg(g, g->hook, number, err); /* args[i] */
	return r < 0 ? r : gen_arg_view(g, n, number, err);
}

static int
scalar_op2(struct gen *g, struct node *n, struct error *err)
{
	int r;

	if (n->op == OP_ASSIGN)
		return gen_assign(g, n, err);
	if (n->op == OP_LAND || n->op == OP_LOR || n->op == OP_LXOR)
		return gen_logical(g, n, err);
	if (n->op == OP_COMMA)
		return (r = gen_scalar(g, n->left, err)) < 0 ? r : gen_scalar(g, n->right, err);
	if (dt_is_string(g->dt, n->left->type) || dt_is_string(g->dt, n->right->type))
		return gen_compare_text(g, n, err);
	return gen_binary(g, n, err);
}

static int
scalar_choice(struct gen *g, struct node *n, struct error *err)
{
	struct fork fork;
	int r = gen_scalar(g, n->left, err);

	if (r < 0)
		return r;
	fork = gen_fork(g);
	if ((r = gen_scalar(g, n->right, err)) < 0)
		return r;
	gen_else(g, &fork);
	r = gen_scalar(g, n->third, err);
	gen_join(g, &fork);
	return r;
}

static int
scalar_cast(struct gen *g, struct node *n, struct error *err)
{
	int r = dt_is_string(g->dt, n->left->type) ? gen_kept_text(g, n->left, err)
						   : gen_scalar(g, n->left, err);

	if (r == 0 && ctf_is_integral(n->type))
		asm_extend(&g->a, R0, (unsigned)ctf_size(n->type), ctf_is_signed(n->type));
	return r;
}

static int
scalar(struct gen *g, struct node *n, struct error *err)
{
	if (n->is_const) {
		asm_imm(&g->a, R0, n->value);
		return 0;
	}
	if (dt_is_string(g->dt, n->type)) /* where the text stands: str[3], bcopy(str, ...) */
		return gen_text_address(g, n, err);
	switch (n->kind) {
	case N_IDENT:
		return scalar_ident(g, n, err);
	case N_INDEX:
		return scalar_index(g, n, err);
	case N_OP1:
		return gen_unary(g, n, err);
	case N_OP2:
		return scalar_op2(g, n, err);
	case N_COND:
		return scalar_choice(g, n, err);
	case N_CALL:
		return dt_is_stack_call(n) ? gen_part(g, n, err) : gen_func(g, n, err);
	case N_CAST:
		return scalar_cast(g, n, err);
	case N_XLATE:
		return d_error(err, n->line, "D_CG_DYN",
			       "a translated structure is no value: its members are");
	default:
		return gen_unsupported(n, "this expression", err);
	}
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
