/*
 * What can be written besides whole variables of numbers and text: structures,
 * unions and arrays that a program declares, their parts, and what alloca()
 * gave.
 *
 * A variable's memory is a map's: the verifier wants to know that an address
 * stays inside, so it is worked out here as a pointer with constant offsets and
 * indices that are compared with the array's length first.  To the rest of a
 * program the address of such a variable is a number like any other; who writes
 * to such a number has it compared with where the variables and scratch memory are.
 */
#include "dtrace/priv.h"

/*
 * Where is r0 for what reads a variable's memory: the pointer is known to be good, so nobody has
 * to look whether it may be read (gen_guard()).
 */
static void
gen_read_known(struct gen *g, struct place to, size_t size, int helper)
{
	asm_mov(&g->a, R3, R0);
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, (int64_t)size);
	asm_call(&g->a, helper);
}

/* So many zeros: what an unset variable is. */
static void
gen_zeros(struct gen *g, size_t size)
{
	struct place zeros = gen_slot(g, size);

	gen_zero(g, zeros, (size + 7) & ~(size_t)7);
	gen_place(g, R0, zeros);
}

/* The element of a dynamic variable: r0.  `create`: it is made if there is none. */
static int
gen_element(struct gen *g, struct node *n, bool create, struct error *err)
{
	struct ident *v = n->ident;
	struct asmb *a = &g->a;
	size_t size = ((size_t)ctf_size(v->type) + 7) & ~(size_t)7;
	int there = asm_label(a), r;
	struct place key;

	r = gen_var_key(g, v, n->kind == N_INDEX ? n->args : NULL, &key, err);
	if (r < 0)
		return r;
	for (int turn = 0; turn < 1 + create; turn++) {
		asm_map(a, R1, g->dt->var_fds[v->map]);
		gen_place(g, R2, key);
		asm_call(a, BPF_FUNC_map_lookup_elem);
		asm_jcci(a, BPF_JNE, R0, 0, there);
		gen_zeros(g, size);
		if (!create)
			break;
		if (turn) { /* no room: what is written goes nowhere */
			gen_bump(g, offsetof(struct dt_shared, dyn_drops));
			gen_zeros(g, size);
			break;
		}
		asm_mov(a, R3, R0);
		asm_map(a, R1, g->dt->var_fds[v->map]);
		gen_place(g, R2, key);
		asm_imm(a, R4, BPF_NOEXIST);
		asm_call(a, BPF_FUNC_map_update_elem);
	}
	asm_here(a, there);
	gen_var_key_done(g, v);
	return 0;
}

/* Bytes from the start of the structure; a bit-field's whole unit. */
static int32_t
member_offset(const struct node *n)
{
	uint64_t size = n->bit_size ? ctf_size(n->type) : 1;

	return (int32_t)(n->number / 8 / size * size);
}

/* An index into a variable's array: below its length, or the clause ends. */
static int
gen_array_part(struct gen *g, struct node *n, bool create, struct error *err)
{
	uint64_t count = ctf_count(ctf_resolve(n->left->type));
	int r = gen_scalar(g, n->args, err);

	if (r < 0)
		return r;
	asm_mov(&g->a, R3, R0);
	gen_note_address(g);
	asm_jcci(&g->a, BPF_JGE, R0, (int32_t)count, gen_fault(g, FAULT_ADDRESS));
	asm_alui(&g->a, BPF_MUL, R0, (int32_t)ctf_size(n->type));
	if ((r = gen_push(g, n, err)) < 0 || (r = gen_variable(g, n->left, create, err)) < 0)
		return r;
	gen_pop(g, R1);
	asm_alu(&g->a, BPF_ADD, R0, R1);
	return 0;
}

int
gen_variable(struct gen *g, struct node *n, bool create, struct error *err)
{
	struct ident *v = n->ident;
	int r;

	if (dt_is_stack_call(n)) {
		struct place to = gen_slot(g, ctf_size(n->type));

		gen_stack_value(g, n, to);
		gen_place(g, R0, to);
		return 0;
	}
	if (n->kind == N_OP1) {
		if ((r = gen_variable(g, n->left, create, err)) == 0)
			asm_alui(&g->a, BPF_ADD, R0, member_offset(n));
		return r;
	}
	if (!v)
		return gen_array_part(g, n, create, err);
	if (v->map >= 0)
		return gen_element(g, n, create, err);
	if (v->scope == SCOPE_THIS)
		gen_place(g, R0, (struct place){R7, v->offset});
	else
		asm_map_value(&g->a, R0, g->dt->globals_fd, (uint32_t)v->offset);
	return 0;
}

void
gen_as_number(struct gen *g)
{
	struct place self = gen_rt_place(g, offsetof(struct rt, self));

	asm_store(&g->a, 8, self.reg, self.off, R0);
	asm_load(&g->a, 8, R0, self.reg, self.off);
}

/* r3: an address in the program's global variables?  The same as a pointer into r1, or the clause
 * ends. */
static void
gen_room_in_globals(struct gen *g, size_t size)
{
	const size_t first = sizeof(struct dt_shared), end = g->dt->globals_size;
	struct asmb *a = &g->a;

	if (first + size > end) {
		asm_jmp(a, gen_fault(g, FAULT_ADDRESS));
		return;
	}
	asm_map_value(a, R0, g->dt->globals_fd, (uint32_t)first);
	gen_as_number(g);
	asm_alu(a, BPF_SUB, R3, R0);
	asm_jcci(a, BPF_JGT, R3, (int32_t)(end - first - size), gen_fault(g, FAULT_ADDRESS));
	asm_map_value(a, R1, g->dt->globals_fd, (uint32_t)first);
	asm_alu(a, BPF_ADD, R1, R3);
}

/*
 * r0: a number that should be an address of alloca()'s or of a global variable's with `size` bytes
 * behind it: the same as a pointer into r1, or the clause ends.
 */
static void
gen_room(struct gen *g, size_t size)
{
	struct place next = gen_rt_place(g, offsetof(struct rt, alloca_next));
	struct asmb *a = &g->a;
	int elsewhere = asm_label(a), found = asm_label(a);

	asm_mov(a, R3, R0);
	gen_note_address(g);
	if (size <= g->dt->opts.scratchsize) {
		gen_place(g, R0, (struct place){R7, (int)g->dt->alloca_off});
		gen_as_number(g);
		asm_mov(a, R2, R3);
		asm_alu(a, BPF_SUB, R2, R0);
		asm_load(a, 8, R1, next.reg, next.off);
		asm_jcci(a, BPF_JLT, R1, (int32_t)size, elsewhere);
		asm_alui(a, BPF_SUB, R1, (int32_t)size);
		asm_jcc(a, BPF_JGT, R2, R1, elsewhere);
		asm_jcci(a, BPF_JGT, R2, (int32_t)(g->dt->opts.scratchsize - size), elsewhere);
		gen_place(g, R1, (struct place){R7, (int)g->dt->alloca_off});
		asm_alu(a, BPF_ADD, R1, R2);
		asm_jmp(a, found);
	}
	asm_here(a, elsewhere);
	gen_room_in_globals(g, size);
	asm_here(a, found);
}

/* Where n is to be stored, of that size: a pointer into r1. */
static int
gen_target(struct gen *g, struct node *n, size_t size, struct error *err)
{
	int r;

	if (dt_in_variable(n)) {
		r = gen_variable(g, n, true, err);
		asm_mov(&g->a, R1, R0);
		return r;
	}
	if ((r = gen_addr(g, n, err)) < 0)
		return r;
	if (n->bit_size)
		asm_alui(&g->a, BPF_SUB, R0, (int32_t)(n->number / 8) - member_offset(n));
	gen_room(g, size);
	return 0;
}

void
gen_load_part(struct gen *g, const struct node *n)
{
	unsigned size = (unsigned)ctf_size(n->type), shift;

	asm_load(&g->a, size, R0, R0, 0);
	if (n->bit_size) {
		shift = (unsigned)(n->number % (8 * size));
		asm_alui(&g->a, BPF_LSH, R0, (int32_t)(64 - shift - n->bit_size));
		asm_alui(&g->a, ctf_is_signed(n->type) ? BPF_ARSH : BPF_RSH, R0,
			 (int32_t)(64 - n->bit_size));
	} else if (size < 8 && ctf_is_signed(n->type)) {
		asm_extend(&g->a, R0, size, true);
	}
}

int
gen_read_node(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	bool was;
	int r;

	if (dt_is_stack_call(n)) {
		gen_stack_value(g, n, to);
		return 0;
	}
	if (dt_in_variable(n)) {
		if ((r = gen_variable(g, n, false, err)) == 0)
			gen_read_known(g, to, size, BPF_FUNC_probe_read_kernel);
		return r;
	}
	was = gen_trust(g, n->library);
	if ((r = gen_addr(g, n, err)) == 0)
		gen_read(g, to, size, n->is_user);
	gen_trust(g, was);
	return r;
}

int
gen_array_text(struct gen *g, struct node *n, struct place to, size_t size, struct error *err)
{
	/* A char [] may be filled and have no NUL. */
	size_t own = dt_is_string(g->dt, n->type) ? g->dt->opts.strsize : ctf_size(n->type) + 1;
	int r = gen_variable(g, n, false, err);

	if (r == 0)
		gen_read_known(g, to, size < own ? size : own, BPF_FUNC_probe_read_kernel_str);
	return r;
}

/* r0: value, r1: address of the unit that the bit-field stands in.  Keeps r0. */
static void
store_bits(struct gen *g, const struct node *n)
{
	unsigned size = (unsigned)ctf_size(n->type), shift = (unsigned)(n->number % (8 * size));
	uint64_t mask = n->bit_size == 64 ? UINT64_MAX : (1ull << n->bit_size) - 1;
	struct asmb *a = &g->a;

	asm_imm(a, R3, (int64_t)mask);
	asm_mov(a, R2, R0);
	asm_alu(a, BPF_AND, R2, R3);
	asm_alui(a, BPF_LSH, R2, (int32_t)shift);
	asm_imm(a, R3, (int64_t)~(mask << shift));
	asm_load(a, size, R4, R1, 0);
	asm_alu(a, BPF_AND, R4, R3);
	asm_alu(a, BPF_OR, R4, R2);
	asm_store(a, size, R1, 0, R4);
	/* the value is what can be read back */
	asm_alui(a, BPF_LSH, R0, (int32_t)(64 - n->bit_size));
	asm_alui(a, ctf_is_signed(n->type) ? BPF_ARSH : BPF_RSH, R0, (int32_t)(64 - n->bit_size));
}

int
gen_store_part(struct gen *g, struct node *n, struct error *err)
{
	int r;

	if ((r = gen_push(g, n, err)) < 0 || (r = gen_target(g, n, ctf_size(n->type), err)) < 0)
		return r;
	gen_pop(g, R0);
	if (n->bit_size)
		store_bits(g, n);
	else
		asm_store(&g->a, (unsigned)ctf_size(n->type), R1, 0, R0);
	return 0;
}

int
gen_store_part_text(struct gen *g, struct node *n, struct place from, struct error *err)
{
	size_t size = g->dt->opts.strsize;
	int r = gen_target(g, n, size, err);

	if (r < 0)
		return r;
	gen_copy_text_to_r1(g, size, from);
	return 0;
}

int
gen_copy(struct gen *g, struct node *to, struct node *from, struct error *err)
{
	size_t size = ctf_size(to->type);
	struct place bytes = gen_slot(g, size);
	int r = gen_read_node(g, from, bytes, size, err);

	if (r < 0)
		return r;
	if ((r = gen_target(g, to, size, err)) < 0)
		return r;
	asm_imm(&g->a, R2, (int64_t)size);
	gen_place(g, R3, bytes);
	asm_call(&g->a, BPF_FUNC_probe_read_kernel);
	return 0;
}
