/*
 * Text: it never is a value in a register, gen_text() puts it where it is wanted.
 *
 * There is text that is not there: a variable that was never set, what strstr() did not find, NULL.
 * At its place stand a NUL, as if it were empty, and NO_TEXT's byte behind that, where no other
 * text has it: whoever writes text that may_be_missing() sees to the second byte.  It can be assigned and
 * compared; whoever shows it, measures it or uses it as a key takes it with gen_real_text(), which ends
 * the clause like any other read at address 0.
 */
#include <string.h>

#include "dtrace/gen.h"
#include "dtrace/priv.h"

#define NO_TEXT 0xff00 /* the first two bytes */
#define COMM_SIZE 16

bool
gen_may_lack_text(struct gen *g, const struct node *n)
{
	if (!dt_is_string(g->dt, n->type))
		return n->is_const && n->value == 0;
	switch (n->kind) {
	case N_IDENT:
		return n->ident && n->ident->kind == ID_VAR;
	case N_INDEX:
		return n->ident && n->ident->kind == ID_ASSOC;
	case N_CALL:
		return n->ident->func == F_STRTOK || n->ident->func == F_STRSTR ||
		       n->ident->func == F_STRCHR || n->ident->func == F_STRRCHR;
	case N_COND:
		return gen_may_lack_text(g, n->right) || gen_may_lack_text(g, n->third);
	case N_OP2: /* an assignment or a comma */
		return gen_may_lack_text(g, n->right);
	case N_CAST:
	case N_STRINGOF:
		return dt_is_string(g->dt, n->left->type) && gen_may_lack_text(g, n->left);
	default:
		return false;
	}
}

void
gen_if_no_text(struct gen *g, struct place p, int yes)
{
	asm_load(&g->a, 2, R0, p.reg, p.off);
	asm_jcci(&g->a, BPF_JEQ, R0, NO_TEXT, yes);
}

/* Ends the clause if what gen_text() put at `to` is no text. */
static void
need_text(struct gen *g, const struct node *n, struct place to)
{
	if (!gen_may_lack_text(g, n))
		return;
	asm_storei(&g->a, 8, R10, STACK_FAULT, 0);
	gen_if_no_text(g, to, gen_fault(g, FAULT_ADDRESS));
}

int
gen_real_text(struct gen *g, struct node *n, struct place to, size_t size, bool pad,
	      struct error *err)
{
	int r = gen_text(g, n, to, size, pad, err);

	if (r == 0)
		need_text(g, n, to);
	return r;
}

void
gen_copy_text_to_r1(struct gen *g, size_t size, struct place from)
{
	asm_imm(&g->a, R2, (int64_t)size);
	gen_place(g, R3, from);
	asm_call(&g->a, BPF_FUNC_probe_read_kernel_str);
}

void
gen_copy_text(struct gen *g, struct place to, size_t size, struct place from)
{
	gen_place(g, R1, to);
	gen_copy_text_to_r1(g, size, from);
}

void
gen_text_or_none(struct gen *g, struct place to, size_t size, struct place from)
{
	int none = asm_label(&g->a);

	asm_storei(&g->a, 2, to.reg, to.off, NO_TEXT);
	asm_jcci(&g->a, BPF_JNE, R0, 0, none);
	asm_storei(&g->a, 2, to.reg, to.off, 0);
	gen_copy_text(g, to, size, from);
	asm_here(&g->a, none);
}

int
gen_text_address(struct gen *g, struct node *n, struct error *err)
{
	size_t size = g->dt->opts.strsize;
	struct place text = gen_slot(g, size);
	int done, r = gen_text(g, n, text, size, false, err);

	if (r < 0)
		return r;
	done = asm_label(&g->a);
	if (gen_may_lack_text(g, n)) {
		asm_load(&g->a, 2, R1, text.reg, text.off);
		asm_imm(&g->a, R0, 0);
		asm_jcci(&g->a, BPF_JEQ, R1, NO_TEXT, done);
	}
	gen_place(g, R0, text);
	gen_as_number(g);
	asm_here(&g->a, done);
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

	if (!v)
		return gen_store_part_text(g, n, from, err);
	if (v->map < 0) {
		if (v->scope == SCOPE_THIS)
			gen_place(g, R1, (struct place){R7, v->offset});
		else
			asm_map_value(&g->a, R1, g->dt->globals_fd, (uint32_t)v->offset);
		asm_load(&g->a, 2, R0, from.reg, from.off);
		asm_store(&g->a, 2, R1, 0, R0);
		gen_copy_text_to_r1(g, size, from);
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

/* n->left = n->right; the value stands at *ret. */
int
gen_assign_text(struct gen *g, struct node *n, struct place *ret, struct error *err)
{
	size_t size = g->dt->opts.strsize;
	int r;

	*ret = gen_slot(g, size);
	if ((r = gen_text(g, n->right, *ret, size, true, err)) < 0)
		return r;
	return n->right->is_const && n->left->ident && n->left->ident->map >= 0 ? gen_clear_var(g, n->left, err)
							      : store_text(g, n->left, *ret, err);
}

/* r0, r1: is there text at a, and at b?  Goes on if one is as good as the other. */
static void
compare_presence(struct gen *g, struct place a, struct place b, int differ)
{
	const struct place at[] = {b, a};

	for (int i = 0; i < 2; i++) {
		int there = asm_label(&g->a);

		if (i)
			asm_mov(&g->a, R1, R0);
		asm_load(&g->a, 2, R2, at[i].reg, at[i].off);
		asm_imm(&g->a, R0, 1);
		asm_jcci(&g->a, BPF_JNE, R2, NO_TEXT, there);
		asm_imm(&g->a, R0, 0);
		asm_here(&g->a, there);
	}
	asm_jcc(&g->a, BPF_JNE, R0, R1, differ);
}

/* Words of eight bytes, first difference decides; big-endian makes it byte order. */
int
gen_compare_text(struct gen *g, struct node *n, struct error *err)
{
	size_t l = text_bound(g->dt, n->left), r = text_bound(g->dt, n->right);
	size_t size = l > r ? l : r;
	struct place a = gen_slot(g, size), b = gen_slot(g, size);
	int differ = asm_label(&g->a), yes = asm_label(&g->a), decided = asm_label(&g->a), status;

	if ((status = gen_text(g, n->left, a, size, true, err)) < 0 ||
	    (status = gen_text(g, n->right, b, size, true, err)) < 0)
		return status;
	if (gen_may_lack_text(g, n->left) || gen_may_lack_text(g, n->right))
		compare_presence(g, a, b, decided);
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
	asm_here(&g->a, decided); /* what is not there comes before all text */
	asm_jcc(&g->a, gen_jump_of(n->op, false), R0, R1, yes);
	gen_truth(g, yes);
	return 0;
}

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

/* A string variable's text; an unset dynamic one has none. */
static int
gen_var_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct ident *v = n->ident;
	int none = asm_label(&g->a), r;
	bool was;

	if (v->map >= 0) {
		asm_storei(&g->a, 2, to.reg, to.off, NO_TEXT);
		if ((r = gen_var_lookup(g, v, n->kind == N_INDEX ? n->args : NULL, err)) < 0)
			return r;
		asm_jcci(&g->a, BPF_JEQ, R0, 0, none);
	} else if (v->scope == SCOPE_THIS) {
		gen_place(g, R0, (struct place){R7, v->offset});
	} else {
		asm_map_value(&g->a, R0, g->dt->globals_fd, (uint32_t)v->offset);
	}
	asm_load(&g->a, 2, R1, R0, 0);
	asm_store(&g->a, 2, to.reg, to.off, R1);
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
text_of_cast(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	int r;

	if (dt_is_string(g->dt, n->left->type))
		return gen_text(g, n->left, to, size, false, err);
	if ((r = gen_scalar(g, n->left, err)) < 0)
		return r;
	gen_read_text(g, to, size, n->left->is_user);
	return 0;
}

static int
text_of_comma(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	int r = gen_scalar(g, n->left, err);

	return r < 0 ? r : gen_text(g, n->right, to, size, false, err);
}

static int
text_of_assignment(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct place value;
	int r = gen_assign_text(g, n, &value, err);

	if (r < 0)
		return r;
	asm_load(&g->a, 2, R0, value.reg, value.off);
	asm_store(&g->a, 2, to.reg, to.off, R0);
	gen_copy_text(g, to, size, value);
	return 0;
}

static int
text_of_choice(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	struct fork fork;
	int r = gen_scalar(g, n->left, err);

	if (r < 0)
		return r;
	if (gen_may_lack_text(g, n)) /* also by way of what never does */
		asm_storei(&g->a, 2, to.reg, to.off, 0);
	fork = gen_fork(g);
	if ((r = gen_text(g, n->right, to, size, false, err)) < 0)
		return r;
	gen_else(g, &fork);
	r = gen_text(g, n->third, to, size, false, err);
	gen_join(g, &fork);
	return r;
}

/* char * and char []: the text it points to; of a string elsewhere, where it stands. */
static int
text_in_memory(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	int r;

	if (dt_in_variable(n) && ctf_kind(ctf_resolve(n->type)) == CTF_ARRAY)
		return gen_array_text(g, n, to, size, err);
	r = dt_is_string(g->dt, n->type) ? gen_addr(g, n, err) : gen_scalar(g, n, err);
	if (r < 0)
		return r;
	gen_read_text(g, to, size, n->is_user);
	return 0;
}

static int
text_of_node(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	bool string = dt_is_string(g->dt, n->type);

	if (n->kind == N_CAST || n->kind == N_STRINGOF)
		return text_of_cast(g, n, to, size, err);
	if (n->kind == N_OP2 && n->op == OP_COMMA)
		return text_of_comma(g, n, to, size, err);
	if (string && n->kind == N_OP2 && n->op == OP_ASSIGN)
		return text_of_assignment(g, n, to, size, err);
	if (string && n->kind == N_COND)
		return text_of_choice(g, n, to, size, err);
	if (string && n->kind == N_IDENT)
		return gen_ident_text(g, n, to, size, err);
	if (string && n->kind == N_INDEX && n->ident)
		return gen_var_text(g, n, to, size, err);
	if (string && n->kind == N_CALL)
		return gen_func_text(g, n, to, size, err);
	return text_in_memory(g, n, to, size, err);
}

static int
text(struct gen *g, struct node *n, struct place to, size_t size, size_t most, bool pad,
     struct error *err)
{
	size_t limit = size < most ? size : most;

	if (n->is_const && n->value == 0 && !dt_is_string(g->dt, n->type)) { /* NULL */
		gen_zero(g, to, pad ? size : 8);
		asm_storei(&g->a, 2, to.reg, to.off, NO_TEXT);
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
	return text_of_node(g, n, to, limit, err);
}

static int
trusted_text(struct gen *g, struct node *n, struct place to, size_t size, size_t most, bool pad,
	     struct error *err)
{
	bool was = gen_trust(g, n->library);
	int r = text(g, n, to, size, most, pad, err);

	gen_trust(g, was);
	return r;
}

int
gen_text(struct gen *g, struct node *n, struct place to, size_t size, bool pad, struct error *err)
{
	return trusted_text(g, n, to, size, g->dt->opts.strmax, pad, err);
}

int
gen_text_to_cut(struct gen *g, struct node *n, struct place *ret, size_t *ret_size,
		struct error *err)
{
	int r;

	*ret_size = g->dt->opts.strsize + 8;
	*ret = gen_slot(g, *ret_size);
	r = trusted_text(g, n, *ret, *ret_size, g->dt->opts.strmax + 1, false, err);
	if (r == 0)
		need_text(g, n, *ret);
	return r;
}
