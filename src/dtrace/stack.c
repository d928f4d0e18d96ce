/*
 * stack() and ustack(): frames taken as a probe fires.
 *
 * As an action, a key of an aggregation or for printf()'s %k the frames go where they are wanted and are
 * nothing else.  As a value (s = stack(5), ustack().depth) they are a structure of D, struct
 * stack_value, of as many addresses as were asked for: there is a type for each number of frames, whose
 * name no program can write.  Variables of such types are like those of any structure.  Only the depth can
 * be written: what the rest says is shown by name, and a zone's program may not make up whose it is.
 */
#include <sys/user.h>

#include "dtrace/gen.h"

/* --- types */

static const char tag_start[] = "stack(";

const struct ctf_type *
dt_stack_type(struct dt *dt, unsigned frames)
{
	static const char *const numbers[] = {"depth", "is_user", "pid", "strsz"};
	const struct ctf_type *number = ctf_find(dt->types, "uint32_t"),
			      *address = ctf_find(dt->types, "uint64_t");
	cleanup_error struct error none = ERROR_INIT; /* of types that are complete */
	cleanup_free char *tag = NULL;
	struct ctf_type *made;

	if (dt->stack_types[frames])
		return dt->stack_types[frames];
	tag = str_printf("%s%u)", tag_start, frames);
	made = ctf_make_aggregate(dt->types, CTF_STRUCT, tag);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		ctf_add_member(made, numbers[i], number, 0, &none);
	ctf_add_member(made, "addrs", ctf_make_array(dt->types, address, frames), 0, &none);
	return dt->stack_types[frames] = made;
}

bool
dt_is_stack(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return ctf_kind(t) == CTF_STRUCT && str_after(ctf_tag(t), tag_start);
}

bool
dt_is_stack_call(const struct node *n)
{
	return n->kind == N_CALL && n->ident && n->ident->kind == ID_ACTION &&
	       (n->ident->action == A_STACK || n->ident->action == A_USTACK || n->ident->action == A_JSTACK);
}

bool
dt_is_fixed_stack(const struct node *n)
{
	for (; n->left && (n->kind == N_OP1 || n->kind == N_INDEX); n = n->left)
		if (n->kind == N_OP1 && n->op == OP_DOT && dt_is_stack(n->left->type))
			return !str_eq(n->name, "depth") || dt_is_stack_call(n->left);
	return dt_is_stack_call(n);
}

/* --- code */

void
gen_return_address(struct gen *g, struct place to)
{
	asm_storei(&g->a, 8, to.reg, to.off, 0);
	asm_load(&g->a, 8, R3, R6, (int)offsetof(struct user_regs_struct, rsp));
	gen_place(g, R1, to);
	asm_imm(&g->a, R2, 8);
	asm_call(&g->a, BPF_FUNC_probe_read_user);
}

/* r0: what get_stack() said, bytes or an error: as a number of frames. */
static void
count_frames(struct gen *g)
{
	int ok = asm_label(&g->a);

	asm_jcci(&g->a, BPF_JSGE, R0, 0, ok);
	asm_imm(&g->a, R0, 0);
	asm_here(&g->a, ok);
	asm_alui(&g->a, BPF_RSH, R0, 3);
}

/* Frames to `to`, where zeros stand; if `count`, their number to r0. */
static void
gen_frames(struct gen *g, struct place to, size_t size, bool user, bool count)
{
	bool caller;

	if (g->nobody || (!user && g->hook->probes[0]->ops->manual)) { /* BEGIN: the stack would be ours */
		if (count)
			asm_imm(&g->a, R0, 0);
		return;
	}
	if (user && unwinder_works(g->dt)) {
		gen_unwind(g, to, size);
		return;
	}
	/* The frame pointer still is the caller's there: its frame is put in by hand. */
	caller = user && g->hook->at_entry && size >= 16;
	if (caller) {
		to.off += 8;
		size -= 8;
	}
	asm_mov(&g->a, R1, R6);
	gen_place(g, R2, to);
	asm_imm(&g->a, R3, (int64_t)size);
	asm_imm(&g->a, R4, user ? BPF_F_USER_STACK : g->hook->aframes);
	asm_call(&g->a, BPF_FUNC_get_stack);
	if (count)
		count_frames(g);
	if (!caller)
		return;
	if (count)
		asm_store(&g->a, 8, R10, STACK_VALUE, R0);
	asm_load(&g->a, 8, R0, to.reg, to.off);
	asm_store(&g->a, 8, to.reg, to.off - 8, R0);
	gen_return_address(g, to);
	if (count) {
		asm_load(&g->a, 8, R0, R10, STACK_VALUE);
		asm_alui(&g->a, BPF_ADD, R0, 1);
	}
}

void
gen_stack(struct gen *g, struct place to, size_t size, bool user)
{
	gen_zero(g, to, size);
	if (user) {
		gen_pid_to(g, to);
		to.off += 8;
		size -= 8;
	}
	gen_frames(g, to, size, user, false);
}

void
gen_stack_value(struct gen *g, const struct node *n, struct place to)
{
	struct place addrs = {to.reg, to.off + (int)offsetof(struct stack_value, addrs)};
	bool user = n->ident->action != A_STACK;
	size_t size = 8 * (size_t)n->number;

	gen_zero(g, to, sizeof(struct stack_value) + size);
	if (user) {
		/* eight bytes, of which the next member gets zeros */
		gen_pid_to(g, (struct place){to.reg, to.off + (int)offsetof(struct stack_value, pid)});
		asm_storei(&g->a, 4, to.reg, to.off + (int)offsetof(struct stack_value, is_user), 1);
	}
	if (n->args && n->args->next)
		asm_storei(&g->a, 4, to.reg, to.off + (int)offsetof(struct stack_value, strsz),
			   (int32_t)n->args->next->value);
	gen_frames(g, addrs, size, user, true);
	asm_store(&g->a, 4, to.reg, to.off + (int)offsetof(struct stack_value, depth), R0);
}
