/*
 * Expressions and their types.
 *
 * Arithmetic is done in 64 bits; a value is cut to its type where it is stored, but in a variable
 * that is an int because that was assigned to it first. Checking a clause also lays it out: which
 * values it records and where.
 */
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"

bool
dt_is_string(struct dt *dt, const struct ctf_type *t)
{
	return t == dt->t_string;
}

/* Text of some kind: D's string, char * or char []. */
static bool
is_text(struct dt *dt, const struct ctf_type *t)
{
	return dt_is_string(dt, t) || ctf_is_string(t);
}

/* NULL and 0: as text they are "". */
static bool
is_null(const struct node *n)
{
	return n->is_const && n->value == 0;
}

bool
dt_is_scalar(struct dt *dt, const struct ctf_type *t)
{
	return !dt_is_string(dt, t) && (ctf_is_integral(t) || ctf_is_pointer(t));
}

/* Structures, unions, arrays: handled by their address. */
bool
dt_is_memory(struct dt *dt, const struct ctf_type *t)
{
	return !dt_is_string(dt, t) &&
	       (ctf_is_aggregate(t) || ctf_kind(ctf_resolve(t)) == CTF_ARRAY);
}

/* What an operator asks of its operands, as the tag of its error says. */
static const char *
operand_tag(const struct node *n)
{
	enum op op = n->op == OP_ASSIGN ? n->op2 : n->op;

	switch (op) {
	case OP_MOD:
	case OP_AND:
	case OP_OR:
	case OP_XOR:
	case OP_SHL:
	case OP_SHR:
	case OP_BNOT:
		return "D_OP_INT";
	case OP_LAND:
	case OP_LOR:
	case OP_LXOR:
	case OP_NOT:
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		return "D_OP_SCALAR";
	case OP_MUL:
	case OP_DIV:
	case OP_NEG:
	case OP_PLUS:
		return "D_OP_ARITH";
	default:
		return "D_OP_INCOMPAT";
	}
}

static int
bad_operand(const struct node *n, struct error *err)
{
	cleanup_free char *l = n->left && n->left->type ? ctf_name(n->left->type) : xstrdup("?");
	cleanup_free char *r = n->right && n->right->type ? ctf_name(n->right->type) : NULL;

	if (!n->right)
		return d_error(err, n->line, operand_tag(n),
			       "operator %s takes no operand of type \"%s\"",
			       n->op == OP_NEG ? "-" : n->op == OP_PLUS ? "+" : op_name(n->op), l);
	return d_error(err, n->line, operand_tag(n),
		       "operands of \"%s\" have incompatible types: \"%s\" and \"%s\"",
		       op_name(n->op), l, r);
}

void
node_set_const(struct node *n, int64_t value)
{
	n->is_const = true;
	n->value = value;
}

static int
check_int(struct checker *c, struct node *n)
{
	struct dt *dt = c->dt;
	bool wide = n->is_long || n->number > (n->is_unsigned ? UINT32_MAX : INT32_MAX);
	bool is_unsigned = n->is_unsigned || n->number > INT64_MAX;

	n->type = wide ? (is_unsigned ? dt->t_ulong : dt->t_long)
		       : (is_unsigned ? dt->t_uint : dt->t_int);
	node_set_const(n, (int64_t)n->number);
	return 0;
}

/*
 * The type of a + b: that of the higher rank, as the DTrace Guide says, so two chars make a char.
 * Ranks go by size; the unsigned one stands above the signed one of its size.
 */
const struct ctf_type *
dt_common_type(struct dt *dt, const struct ctf_type *a, const struct ctf_type *b)
{
	uint64_t sa = ctf_is_pointer(a) ? 8 : ctf_size(a), sb = ctf_is_pointer(b) ? 8 : ctf_size(b);
	uint64_t size = sa > sb ? sa : sb;
	bool is_unsigned = (sa == size && !ctf_is_signed(a)) || (sb == size && !ctf_is_signed(b));

	switch (size) {
	case 8:
		return is_unsigned ? dt->t_ulong : dt->t_long;
	case 2:
		return ctf_find(dt->types, is_unsigned ? "unsigned short" : "short");
	case 1:
		return ctf_find(dt->types, is_unsigned ? "unsigned char" : "signed char");
	default:
		return is_unsigned ? dt->t_uint : dt->t_int;
	}
}

static const struct ctf_type *
common_type(struct dt *dt, const struct node *a, const struct node *b)
{
	return dt_common_type(dt, a->type, b->type);
}

/* What the generated code makes of a constant of 64 bits (cut() and as_common() of gen_expr.c). */
static int64_t as_type(int64_t value, const struct ctf_type *t);

static int64_t
as_computed(int64_t value, const struct ctf_type *t)
{
	return ctf_size(t) == 4 && ctf_is_signed(t) ? value : as_type(value, t);
}

/* The value as an integer type of that size holds it. */
static int64_t
as_type(int64_t value, const struct ctf_type *t)
{
	unsigned shift = 64 - 8 * (unsigned)ctf_size(t);
	uint64_t v = (uint64_t)value << shift;

	return ctf_is_signed(t) ? (int64_t)v >> shift : (int64_t)(v >> shift);
}

/* Folds constants as the generated code would compute them. */
static bool
fold(enum op op, int64_t a, int64_t b, bool is_signed, int64_t *ret)
{
	uint64_t ua = (uint64_t)a, ub = (uint64_t)b;

	switch (op) {
	case OP_ADD: *ret = (int64_t)(ua + ub); return true;
	case OP_SUB: *ret = (int64_t)(ua - ub); return true;
	case OP_MUL: *ret = (int64_t)(ua * ub); return true;
	case OP_DIV:
	case OP_MOD:
		if (!b || (is_signed && a == INT64_MIN && b == -1))
			return false;
		if (op == OP_DIV)
			*ret = is_signed ? a / b : (int64_t)(ua / ub);
		else
			*ret = is_signed ? a % b : (int64_t)(ua % ub);
		return true;
	case OP_AND: *ret = a & b; return true;
	case OP_OR: *ret = a | b; return true;
	case OP_XOR: *ret = a ^ b; return true;
	case OP_SHL: *ret = (int64_t)(ua << (ub & 63)); return true;
	case OP_SHR: *ret = is_signed ? a >> (ub & 63) : (int64_t)(ua >> (ub & 63)); return true;
	case OP_EQ: *ret = a == b; return true;
	case OP_NE: *ret = a != b; return true;
	case OP_LT: *ret = is_signed ? a < b : ua < ub; return true;
	case OP_LE: *ret = is_signed ? a <= b : ua <= ub; return true;
	case OP_GT: *ret = is_signed ? a > b : ua > ub; return true;
	case OP_GE: *ret = is_signed ? a >= b : ua >= ub; return true;
	case OP_LAND: *ret = a && b; return true;
	case OP_LOR: *ret = a || b; return true;
	case OP_LXOR: *ret = !a != !b; return true;
	case OP_NONE:
	case OP_ASSIGN:
	case OP_COMMA:
	case OP_DOT:
	case OP_ARROW:
	case OP_NEG:
	case OP_PLUS:
	case OP_NOT:
	case OP_BNOT:
	case OP_DEREF:
	case OP_ADDR:
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		return false;
	}
	return false;
}

/* $$1 == NULL: that -xdefaultargs put "" for an argument that was not given. */
static bool
asks_if_given(const struct node *a, const struct node *b)
{
	return a->kind == N_STRING && a->name && !a->text_len && is_null(b);
}

static int
check_binary(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	struct node *l = n->left, *r = n->right;
	bool compare = n->op >= OP_EQ && n->op <= OP_GE;
	bool logical = n->op == OP_LAND || n->op == OP_LOR || n->op == OP_LXOR;
	int status;

	if ((status = check_expr(c, l, err)) < 0 || (status = check_expr(c, r, err)) < 0)
		return status;
	if (n->op == OP_COMMA) {
		n->type = r->type;
		n->is_user = r->is_user;
		return 0;
	}
	if (compare && (dt_is_string(dt, l->type) || dt_is_string(dt, r->type))) {
		if ((!is_text(dt, l->type) && !is_null(l)) || (!is_text(dt, r->type) && !is_null(r)))
			return bad_operand(n, err);
		n->type = dt->t_int;
		if (asks_if_given(l, r) || asks_if_given(r, l))
			node_set_const(n, n->op == OP_EQ || n->op == OP_LE || n->op == OP_GE);
		return 0;
	}
	if (!dt_is_scalar(dt, l->type) || !dt_is_scalar(dt, r->type))
		return bad_operand(n, err);
	if (compare || logical) {
		n->type = dt->t_int;
	} else if (ctf_is_pointer(l->type) || ctf_is_pointer(r->type)) {
		bool both = ctf_is_pointer(l->type) && ctf_is_pointer(r->type);

		if ((n->op != OP_ADD && n->op != OP_SUB) || (both && n->op == OP_ADD) ||
		    (n->op == OP_SUB && !both && ctf_is_pointer(r->type)))
			return bad_operand(n, err);
		n->type = both ? dt->t_long
			       : decay(dt, ctf_is_pointer(l->type) ? l->type : r->type);
		if (!both && !ctf_size(ctf_target(n->type)))
			return bad_operand(n, err); /* nobody knows how far */
		n->is_user = l->is_user || r->is_user;
	} else {
		n->type = common_type(dt, l, r);
		if (n->op == OP_SHL || n->op == OP_SHR)
			n->type = common_type(dt, l, l);
	}
	if (l->is_const && r->is_const && !ctf_is_pointer(n->type)) {
		const struct ctf_type *t = common_type(dt, l, r);
		int64_t v;

		if ((n->op == OP_DIV || n->op == OP_MOD) && r->value == 0)
			return d_error(err, n->line, "D_DIV_ZERO",
				       "expression contains division by zero");
		if (fold(n->op, as_computed(l->value, t), as_computed(r->value, t), ctf_is_signed(t), &v))
			node_set_const(n, as_computed(v, n->type));
	}
	return 0;
}

/* Arrays are used as pointers to their first element. */
const struct ctf_type *
decay(struct dt *dt, const struct ctf_type *t)
{
	const struct ctf_type *base = ctf_resolve(t);

	if (t != dt->t_string && ctf_kind(base) == CTF_ARRAY)
		return ctf_make_pointer(dt->types, ctf_target(base));
	return t;
}

bool
dt_may_assign(struct dt *dt, const struct ctf_type *to, const struct node *from)
{
	if (dt_is_string(dt, to))
		return is_text(dt, from->type) || is_null(from);
	if (ctf_is_aggregate(to)) /* 0 frees a dynamic variable */
		return ctf_same(to, from->type) || is_null(from);
	if (ctf_is_pointer(to) != ctf_is_pointer(from->type) && !is_null(from))
		return false;
	return dt_is_scalar(dt, to) && dt_is_scalar(dt, from->type);
}

static bool
is_variable(const struct node *n)
{
	return (n->kind == N_IDENT || n->kind == N_INDEX) && n->ident &&
	       (n->ident->kind == ID_VAR || n->ident->kind == ID_ASSOC);
}

/* Assigning 0 frees it. */
static bool
is_dynamic(const struct node *n)
{
	return is_variable(n) && (n->ident->kind == ID_ASSOC || n->ident->scope == SCOPE_SELF);
}

/* An element of an array whose length is known; D's strings have none. */
static bool
is_sized(const struct node *n)
{
	const struct ctf_type *t = n->ident || !n->left ? NULL : ctf_resolve(n->left->type);

	return t && ctf_kind(t) == CTF_ARRAY && ctf_count(t);
}

bool
dt_in_variable(const struct node *n)
{
	while ((n->kind == N_OP1 && n->op == OP_DOT) || (n->kind == N_INDEX && is_sized(n)))
		n = n->left;
	return is_variable(n) || dt_is_stack_call(n);
}

/*
 * Variables, their parts, and what a pointer of the program's points to: whether that is
 * alloca()'s memory is seen when it is written.
 */
static int
check_writable(struct checker *c, const struct node *n, const struct node *to, struct error *err)
{
	const struct node *root = to;

	/* without a type: made by this assignment */
	if (is_variable(to) && (!to->type || dt_is_string(c->dt, to->type) ||
				dt_is_scalar(c->dt, to->type)))
		return 0;
	if (dt_is_fixed_stack(to))
		return d_error(err, n->line, "D_OP_LVAL",
			       "of a stack only the depth of a variable's can be written");
	c->dt->uses_rt = c->dt->uses_alloca = true;
	if (dt_in_variable(to))
		return 0;
	while (root->left && root->kind != N_CALL)
		root = root->kind == N_COND ? root->right : root->left;
	if (root->scope == SCOPE_KERNEL || (root->ident && root->ident->kind == ID_BUILTIN))
		return d_error(err, n->line, "D_OP_WRITE", "the kernel's memory cannot be written");
	return 0;
}

/* Before it is checked, when it may become something else: is it a name, or a part of what has one?
 */
static bool
has_name(const struct node *n)
{
	while (n->left &&
	       (n->kind == N_INDEX || (n->kind == N_OP1 && (n->op == OP_DOT || n->op == OP_ARROW))))
		n = n->left;
	return n->kind == N_IDENT;
}

void
check_text_as_pointer(struct checker *c, struct node *n)
{
	if (!dt_is_string(c->dt, n->left->type) || dt_is_string(c->dt, n->type))
		return;
	n->is_user = false;
	c->dt->uses_rt = c->dt->uses_alloca = true;
}

/* char *p; p = text: as if there were a cast. */
static void
cast_text(struct checker *c, struct node *n)
{
	struct node *text = n->right;

	if (n->op2 != OP_NONE || !dt_is_string(c->dt, text->type) || dt_is_string(c->dt, n->left->type) ||
	    ctf_kind(ctf_resolve(n->left->type)) != CTF_POINTER || !ctf_is_string(n->left->type))
		return;
	n->right = node_new(c->ast->arena, N_CAST, text->line);
	n->right->left = text;
	n->right->type = n->left->type;
	n->right->library = text->library;
	check_text_as_pointer(c, n->right);
}

/* Is n, as far as can be seen before it is checked, the assignment of a translation, to a place
 * that may stand twice? */
static bool
may_be_translation(const struct node *n)
{
	enum node_kind right = n->right->kind;

	if (n->op2 != OP_NONE || dt_is_translation(n->right))
		return n->op2 == OP_NONE;
	return (right == N_IDENT || right == N_INDEX || right == N_OP1) &&
	       !node_has_effect(n->left);
}

static int
check_assign(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	bool assigning = c->assigning, named = has_name(n->left);
	const struct node *place = may_be_translation(n) ? n->left : NULL;
	int r;

	if (n->left->kind == N_INDEX && n->left->left->kind == N_AGG)
		return d_error(err, n->line, "D_AGG_MDIM",
			       "keys of an aggregation stand in one pair of brackets: @%s[a, b]",
			       n->left->left->name);
	if ((n->op2 != OP_NONE || dt_is_translation(n->right)) && check_once(c, n))
		return check_expr(c, n, err);
	place = place ? node_clone(c->ast->arena, place) : NULL;
	if (n->left->kind == N_AGG)
		return d_error(err, n->line, "D_AGG_SCOPE",
			       "an aggregation takes an aggregating function: @%s = count()",
			       n->left->name);
	if ((r = check_expr(c, n->right, err)) < 0)
		return r;
	c->assigning = true;
	c->assign_type = dt_is_string(dt, n->right->type) || ctf_is_string(n->right->type)
				 ? (dt_is_string(dt, n->right->type) ? dt->t_string
								     : decay(dt, n->right->type))
				 : decay(dt, n->right->type);
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	if (!n->left->is_lvalue)
		return d_error(err, n->line, named ? "D_OP_WRITE" : "D_OP_LVAL",
			       "operand of \"=\" cannot be assigned to");
	if ((r = check_writable(c, n, n->left, err)) < 0)
		return r;
	if (!n->left->type) { /* the first assignment gives the type */
		if (ctf_kind(ctf_resolve(n->right->type)) == CTF_VOID)
			return d_error(err, n->line, n->op2 == OP_NONE ? "D_OP_VOID" : "D_VAR_UNDEF",
				       "a void value is assigned");
		n->left->type = n->left->ident->type = c->assign_type;
		/* x = 0 in BEGIN makes an int; scripts count nanoseconds in it then. */
		n->left->ident->is_wide = ctf_same(c->assign_type, dt->t_int);
	}
	cast_text(c, n);
	if (n->op2 == OP_NONE && n->left->ident)
		n->left->ident->is_user |= n->right->is_user;
	if (n->op2 != OP_NONE && ctf_is_pointer(n->right->type) && !dt_is_string(dt, n->right->type))
		return d_error(err, n->line, "D_OP_VFPTR", "a pointer cannot be added or taken off");
	if (dt_in_variable(n->left) && !dt_is_string(dt, n->left->type) &&
	    ctf_kind(ctf_resolve(n->left->type)) == CTF_ARRAY)
		return d_error(err, n->line, "D_OP_ARRFUN", "an array is not assigned as a whole");
	if (!dt_may_assign(dt, n->left->type, n->right) ||
	    (ctf_is_aggregate(n->left->type) && is_null(n->right) && !is_dynamic(n->left)) ||
	    (n->op2 != OP_NONE && !dt_is_scalar(dt, n->left->type)))
		return bad_operand(n, err);
	if (place && dt_is_translation(n->right) && ctf_is_aggregate(n->left->type))
		return check_translated(c, n, place, err);
	n->type = n->left->type;
	n->is_user = n->right->is_user;
	return 0;
}

/* Text has its room in the nameless member behind it; in structures of the library it has none. */
static bool
lacks_room(const struct ctf_type *t, const char *name)
{
	struct ctf_member m, room;
	size_t i = 0;

	while (ctf_member_at(ctf_resolve(t), i, &m) && !str_eq(m.name, name))
		i++;
	return i < ctf_n_members(ctf_resolve(t)) &&
	       (!ctf_member_at(ctf_resolve(t), i + 1, &room) || !str_empty(room.name) ||
		ctf_kind(ctf_resolve(room.type)) != CTF_ARRAY);
}

static int
check_member(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *t;
	bool assigning = c->assigning, forward;
	struct ctf_member m;
	int r;

	c->assigning = false; /* what it is a member of must be there */
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0 || (r = check_xlate_member(c, n, err)) != 0)
		return r < 0 ? r : 0;
	t = n->left->type;
	if (n->op == OP_ARROW) {
		if (!ctf_is_pointer(t))
			return d_error(err, n->line, "D_OP_PTR", "\"->\" needs a pointer");
		t = ctf_target(ctf_resolve(t));
	}
	forward = ctf_kind(ctf_resolve(t)) == CTF_FORWARD;
	if (forward)
		t = ctf_find(c->dt->types, ctf_spelling(c->dt, t));
	if (forward && (!t || !ctf_is_aggregate(t))) {
		cleanup_free char *name = ctf_name(n->left->type);

		return d_error(err, n->line, "D_OP_INCOMPLETE",
			       "operator %s cannot be applied to a forward declaration: no definition of \"%s\" is known",
			       op_name(n->op), name);
	}
	if (!t || !ctf_is_aggregate(t)) {
		cleanup_free char *name = ctf_name(n->left->type);

		return d_error(err, n->line, "D_OP_SOU",
			       "\"%s\" needs a struct or union, not \"%s\"", op_name(n->op), name);
	}
	if (!ctf_find_member(t, n->name, &m)) {
		cleanup_free char *name = ctf_name(t);

		return d_error(err, n->line, "D_TYPE_MEMBER", "%s is not a member of %s", n->name,
			       name);
	}
	if (dt_is_string(c->dt, m.type) && lacks_room(t, n->name))
		return d_error(err, n->line, "D_OP_INCOMPAT",
			       "a structure of the library has no room for text: %s", n->name);
	n->type = m.type;
	n->number = m.bit_offset;
	n->bit_size = m.bit_size;
	n->is_lvalue = true;
	n->is_user = n->left->is_user && !dt_in_variable(n);
	return 0;
}

/*
 * !a[k] and !self->x of what nothing was assigned to so far: as if x++ had made it.  In a predicate
 * that waits until the actions were looked at.
 */
static bool
unary_makes(struct checker *c, const struct node *n)
{
	const struct node *name = n->left->kind == N_INDEX ? n->left->left : n->left;
	const struct ident *v;

	if (n->op >= OP_PREINC)
		return true;
	if (c->looks_first || c->n_params || n->op == OP_DEREF || n->op == OP_ADDR ||
	    name->kind != N_IDENT || name->scope == SCOPE_KERNEL)
		return false;
	if (name->scope == SCOPE_GLOBAL &&
	    (name == n->left || ident_lookup(name->name) || map_has(c->dt->inlines, name->name)))
		return false;
	v = var_find(c->dt, name->scope, name->name);
	return !v || !v->type;
}

static int
check_unary(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	bool assigning = c->assigning, named = has_name(n->left);
	int r;

	if (n->op == OP_DOT || n->op == OP_ARROW)
		return check_member(c, n, err);
	if (n->op >= OP_PREINC && check_once(c, n))
		return check_expr(c, n, err);
	c->assigning |= unary_makes(c, n);
	r = check_expr(c, n->left, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	if (!n->left->type)
		n->left->type = n->left->ident->type = dt->t_long;
	n->is_user = n->left->is_user;
	switch (n->op) {
	case OP_DEREF:
		if (!ctf_is_pointer(n->left->type))
			return d_error(err, n->line, "D_DEREF_NONPTR", "\"*\" needs a pointer");
		n->type = ctf_target(ctf_resolve(n->left->type));
		if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
			return d_error(err, n->line, "D_DEREF_VOID",
				       "a void pointer cannot be dereferenced");
		n->is_lvalue = true;
		return 0;
	case OP_ADDR:
		if (n->left->kind == N_AGG || is_variable(n->left))
			return d_error(err, n->line, "D_ADDROF_VAR",
				       "variables of D have no address");
		if (!n->left->is_lvalue || dt_is_fixed_stack(n->left))
			return d_error(err, n->line, "D_ADDROF_LVAL",
				       "\"&\" needs something that stands in memory");
		if (n->left->bit_size)
			return d_error(err, n->line, "D_ADDROF_BITFIELD",
				       "a bit-field has no address");
		n->type = ctf_make_pointer(dt->types, n->left->type);
		return 0;
	case OP_PREINC:
	case OP_PREDEC:
	case OP_POSTINC:
	case OP_POSTDEC:
		if (!n->left->is_lvalue)
			return d_error(err, n->line, named ? "D_OP_WRITE" : "D_OP_LVAL",
				       "operand of \"%s\" must be a variable", op_name(n->op));
		if ((r = check_writable(c, n, n->left, err)) < 0)
			return r;
		if (!dt_is_scalar(dt, n->left->type))
			return bad_operand(n, err);
		n->type = n->left->type;
		return 0;
	default:
		break;
	}
	if (!dt_is_scalar(dt, n->left->type))
		return bad_operand(n, err);
	n->type = n->op == OP_NOT ? dt->t_int : common_type(dt, n->left, n->left);
	if (n->left->is_const) {
		int64_t v = n->left->value;

		v = n->op == OP_NEG	? (int64_t)-(uint64_t)v
		    : n->op == OP_NOT	? !v
		    : n->op == OP_BNOT ? ~v
				       : v;
		node_set_const(n, as_computed(v, n->type)); /* -1u is 0xffffffff */
	}
	return 0;
}

static bool
is_action(const struct node *n)
{
	return n->kind == N_AGG || (n->kind == N_CALL && n->ident && n->ident->kind == ID_ACTION);
}

/*
 * Of a constant, c ? a : b is a or b; nobody looks at the other.  1: n, whose condition is checked
 * then, has become that one, which is not.
 */
static int
choose_branch(struct checker *c, struct node *n, struct error *err)
{
	struct node *next = n->next;
	int r = check_expr(c, n->left, err);

	if (r < 0 || !n->left->is_const)
		return r;
	*n = *(n->left->value ? n->right : n->third);
	n->next = next;
	return 1;
}

/* Is n something that stands as a statement only: an action, an aggregation, a choice of such? */
static bool
holds_action(const struct node *n)
{
	const struct ident *row = n->kind == N_CALL ? ident_lookup(n->name) : NULL;

	if (n->kind == N_COND)
		return holds_action(n->right) || holds_action(n->third);
	return n->kind == N_AGG || (row && row->kind == ID_ACTION) ||
	       (n->kind == N_OP2 && n->op == OP_ASSIGN && n->left->kind == N_AGG);
}

int
check_choice(struct checker *c, struct node *n, struct error *err)
{
	int r = 1;

	while (r == 1 && n->kind == N_COND && holds_action(n))
		if ((r = choose_branch(c, n, err)) == 0)
			return d_error(err, n->line, "D_OP_ACT",
				       "an action is no operand of ?:, unless its condition is a "
				       "constant");
	return r < 0 ? r : 0;
}

static int
check_cond(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	int r = choose_branch(c, n, err);

	if (r != 0)
		return r < 0 ? r : check_expr(c, n, err);
	if ((r = check_expr(c, n->right, err)) < 0 || (r = check_expr(c, n->third, err)) < 0)
		return r;
	if (!dt_is_scalar(dt, n->left->type))
		return d_error(err, n->line, "D_OP_SCALAR", "the condition of ?: must be a scalar");
	if (is_action(n->right) || is_action(n->third))
		return d_error(err, n->line, "D_OP_ACT", "an action is no operand of ?:");
	if (dt_is_string(dt, n->right->type) || dt_is_string(dt, n->third->type)) {
		if (!is_text(dt, n->right->type) || !is_text(dt, n->third->type))
			return bad_operand(n, err);
		n->type = dt->t_string;
	} else if (ctf_is_pointer(n->right->type)) {
		n->type = decay(dt, n->right->type);
	} else if (dt_is_scalar(dt, n->right->type) && dt_is_scalar(dt, n->third->type)) {
		n->type = ctf_is_pointer(n->third->type) ? n->third->type
							 : common_type(dt, n->right, n->third);
	} else {
		return bad_operand(n, err);
	}
	n->is_user = n->right->is_user || n->third->is_user;
	return 0;
}

/* A constant index past the end; an array of no size, as the last of a struct, has none. */
static bool
out_of_bounds(const struct ctf_type *array, const struct node *index)
{
	const struct ctf_type *t = ctf_resolve(array);

	return index->is_const && ctf_kind(t) == CTF_ARRAY && ctf_count(t) &&
	       (uint64_t)index->value >= ctf_count(t);
}

size_t
dt_key_size(struct dt *dt, const struct ctf_type *t)
{
	return dt_is_string(dt, t)    ? dt->opts.strsize
	       : ctf_is_aggregate(t) ? (ctf_size(t) + 7) & ~(size_t)7
				     : 8;
}

/* An element of an associative array: its keys' types are those of the first use. */
static int
check_element(struct checker *c, struct node *n, struct ident *v, struct error *err)
{
	struct node *base = n->left;
	bool assigning = c->assigning;
	size_t i = 0;

	for (struct node *k = n->args; k; k = k->next, i++) {
		const struct ctf_type *t = decay(c->dt, k->type);

		if (i == DT_TUPLE_KEYS)
			return d_error(err, n->line, "D_PROTO_LEN",
				       "an associative array has %d keys at most", DT_TUPLE_KEYS);
		if (v->n_keys && i >= v->n_keys)
			return d_error(err, n->line, "D_PROTO_LEN",
				       "\"%s\" takes another number of keys", base->name);
		if (!v->keys[i])
			v->keys[i] = t;
		c->dt->uses_rt |= ctf_is_aggregate(t);
		if (ctf_is_aggregate(t) ? !ctf_same(v->keys[i], t)
					: dt_is_string(c->dt, v->keys[i]) != dt_is_string(c->dt, t) ||
						  (!dt_is_string(c->dt, t) &&
						   (!dt_is_scalar(c->dt, t) || ctf_is_aggregate(v->keys[i]))))
			return d_error(err, n->line, "D_PROTO_ARG",
				       "key %zu of \"%s\" has another type than before", i + 1,
				       base->name);
	}
	if (!i || (v->n_keys && i != v->n_keys) || (i < DT_TUPLE_KEYS && v->keys[i]))
		return d_error(err, n->line, "D_PROTO_LEN",
			       "\"%s\" takes another number of keys", base->name);
	v->n_keys = i;
	n->ident = base->ident = v;
	n->is_lvalue = true;
	var_note_use(c, v);
	if (!v->type && !assigning)
		return d_error(err, n->line, "D_IDENT_UNDEF",
			       "\"%s\" is used before anything was assigned to it",
			       base->name);
	n->type = v->type;
	n->is_user = v->is_user;
	c->dt->uses_rt |= n->type && dt_is_memory(c->dt, n->type);
	return 0;
}

/* a[keys]: associative, unless it is known to be a C array or pointer. */
static int
check_index(struct checker *c, struct node *n, struct error *err)
{
	struct node *base = n->left;
	struct ident *v = NULL;
	bool assigning = c->assigning;
	int r;

	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL && str_eq(base->name, "args") &&
	    !var_find(c->dt, SCOPE_GLOBAL, "args"))
		return check_args(c, n, err);
	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL && str_eq(base->name, "uregs") &&
	    !var_find(c->dt, SCOPE_GLOBAL, "uregs"))
		return check_uregs(c, n, err);
	if (base->kind == N_IDENT && base->scope == SCOPE_GLOBAL &&
	    (v = map_get(c->dt->inlines, base->name)))
		return check_inline(c, n, v, n->args, err);
	if (base->kind == N_IDENT && base->scope == SCOPE_KERNEL &&
	    str_eq(base->name, "hp_avenrun") &&
	    (r = check_illumos_variable(c, n, base, n->args, err)) <= 0)
		return r;
	c->assigning = false;
	for (struct node *k = n->args; k; k = k->next)
		if ((r = check_expr(c, k, err)) < 0)
			return r;
	c->assigning = assigning;
	if (base->kind == N_IDENT && base->scope != SCOPE_KERNEL)
		v = var_find(c->dt, base->scope, base->name);
	if (!v && base->kind == N_IDENT && base->scope != SCOPE_KERNEL && assigning &&
	    (base->scope != SCOPE_GLOBAL || !ident_lookup(base->name))) {
		if (base->scope == SCOPE_THIS)
			return d_error(err, n->line, "D_ARR_LOCAL",
				       "an associative array cannot be clause-local");
		v = var_make(c->dt, base->scope, base->name, ID_ASSOC);
	}
	if (v && v->kind == ID_ASSOC)
		return check_element(c, n, v, err);
	c->assigning = false;
	r = check_expr(c, base, err);
	c->assigning = assigning;
	if (r < 0)
		return r;
	if (ctf_is_pointer(base->type) && n->args && n->args->next)
		return d_error(err, n->line, "D_ARR_BADREF", "an array takes one index");
	if (!ctf_is_pointer(base->type) || !n->args)
		return d_error(err, n->line, "D_OP_ARRAY",
			       "\"[ ]\" needs an array or pointer and one index");
	if (!dt_is_scalar(c->dt, n->args->type) || ctf_is_pointer(n->args->type))
		return d_error(err, n->line, "D_ARR_BADREF", "an array's index is an integer");
	if (out_of_bounds(base->type, n->args))
		return d_error(err, n->line, "D_ARR_BOUNDS",
			       "index %lld is outside of an array of %llu", (long long)n->args->value,
			       (unsigned long long)ctf_count(ctf_resolve(base->type)));
	n->type = ctf_target(ctf_resolve(base->type));
	n->is_lvalue = true;
	n->is_user = base->is_user && !dt_in_variable(n);
	return 0;
}

int
prototype_mismatch(const struct node *n, const struct ident *row, int args, struct error *err)
{
	return d_error(err, n->line, "D_PROTO_LEN",
		       "%s( ) prototype mismatch: %d arg%s passed, %s%d expected", n->name, args,
		       args == 1 ? "" : "s",
		       row->min_args == row->max_args ? ""
		       : args < row->min_args	      ? "at least "
						      : "at most ",
		       args < row->min_args ? row->min_args : row->max_args);
}

static int
check_call(struct checker *c, struct node *n, struct error *err)
{
	const struct ident *row = ident_lookup(n->name);
	struct rec unused;
	int args = 0, r;

	if (!row || row->kind == ID_BUILTIN)
		return d_error(err, n->line, "D_FUNC_UNDEF", "undefined function name: %s",
			       n->name);
	if (row->kind == ID_AGGFUNC)
		return d_error(err, n->line, "D_CG_EXPR", "%s( ) must be assigned to an aggregation",
			       n->name);
	for (struct node *a = n->args; a; a = a->next, args++)
		if ((r = check_expr(c, a, err)) < 0)
			return r;
	if (args < row->min_args || args > row->max_args)
		return prototype_mismatch(n, row, args, err);
	if ((r = priv_check_ident(c->dt, n, row, err)) < 0)
		return r;
	n->ident = (struct ident *)(uintptr_t)row;
	if (dt_is_stack_call(n)) {
		if ((r = stack_rec(c, n, row->action, &unused, err)) < 0)
			return r;
		c->dt->uses_rt = true;
		n->type = dt_stack_type(c->dt, (unsigned)n->number);
		return 0;
	}
	if (row->kind == ID_ACTION) { /* whoever wants a value says what is wrong */
		n->type = ctf_void(c->dt->types);
		return 0;
	}
	if (str_eq(row->type_name, "string"))
		n->type = c->dt->t_string;
	else if (ctf_parse(c->dt->types, row->type_name, &n->type, err) < 0)
		return d_error(err, n->line, "D_TYPE_ERR", "%s", error_message(err));
	return func_check(c, n, row->func, err);
}

static int
check_sizeof(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *t = NULL;
	struct ctf_member m;
	int r;

	if (n->type_expr)
		r = dt_type(c->dt, n, n->type_expr, &t, err);
	else if ((r = check_expr(c, n->left, err)) == 0)
		t = n->left->type;
	if (r < 0)
		return r;
	n->type = c->dt->t_ulong;
	if (n->kind == N_OFFSETOF) {
		if (!ctf_is_aggregate(t))
			return d_error(err, n->line, "D_OFFSETOF_TYPE",
				       "offsetof takes a struct or union that is known");
		if (!ctf_find_member(t, n->name, &m))
			return d_error(err, n->line, "D_UNKNOWN", "no member \"%s\"", n->name);
		if (m.bit_size)
			return d_error(err, n->line, "D_OFFSETOF_BITFIELD",
				       "\"%s\" is a bit-field", n->name);
		node_set_const(n, (int64_t)m.bit_offset / 8);
		return 0;
	}
	if (!n->type_expr && n->left->bit_size)
		return d_error(err, n->line, "D_SIZEOF_BITFIELD", "sizeof of a bit-field");
	if (dt_is_string(c->dt, t)) {
		bool literal = !n->type_expr && n->left->kind == N_STRING;

		node_set_const(n, literal ? (int64_t)n->left->text_len + 1 : c->dt->opts.strmax);
		return 0;
	}
	if (!ctf_size(t))
		return d_error(err, n->line, "D_SIZEOF_TYPE", "sizeof of an incomplete type");
	if (n->type_expr)
		t = dt_model_in_memory(c->dt, t);
	node_set_const(n, (int64_t)ctf_size(t));
	return 0;
}

static int
check_cast(struct checker *c, struct node *n, struct error *err)
{
	int r;

	if (!n->type_expr) /* an inline's parameter, typed by its declaration */
		return 0;
	if ((r = dt_type(c->dt, n, n->type_expr, &n->type, err)) < 0 ||
	    (r = check_expr(c, n->left, err)) < 0)
		return r;
	n->is_user = n->left->is_user;
	if (dt_is_string(c->dt, n->type))
		return is_text(c->dt, n->left->type) || dt_is_scalar(c->dt, n->left->type)
			       ? 0
			       : bad_operand(n, err);
	if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
		return 0;
	if (ctf_is_aggregate(n->type) && ctf_same(n->type, n->left->type)) {
		struct node *next = n->next;

		*n = *n->left;
		n->next = next;
		return 0;
	}
	if (dt_is_string(c->dt, n->left->type) && ctf_is_pointer(n->type)) {
		check_text_as_pointer(c, n);
		return 0;
	}
	if (n->left->kind == N_XLATE || !dt_is_scalar(c->dt, n->type) ||
	    !dt_is_scalar(c->dt, n->left->type))
		return d_error(err, n->line, "D_CAST_INVAL",
			       "only numbers and pointers can be cast");
	if (n->left->is_const && ctf_is_integral(n->type))
		node_set_const(n, as_type(n->left->value, n->type));
	return 0;
}

static int
check_node(struct checker *c, struct node *n, struct error *err)
{
	int r;

	n->library = c->library;
	switch (n->kind) {
	case N_INT:
		return n->type ? 0 : check_int(c, n);
	case N_STRING:
		n->type = c->dt->t_string;
		return 0;
	case N_IDENT:
		return check_ident(c, n, err);
	case N_MACRO:
		return check_macro(c, n, err);
	case N_OP1:
		return check_unary(c, n, err);
	case N_OP2:
		return n->op == OP_ASSIGN ? check_assign(c, n, err) : check_binary(c, n, err);
	case N_COND:
		return check_cond(c, n, err);
	case N_INDEX:
		return check_index(c, n, err);
	case N_CALL:
		return check_call(c, n, err);
	case N_CAST:
		return check_cast(c, n, err);
	case N_SIZEOF:
	case N_OFFSETOF:
		return check_sizeof(c, n, err);
	case N_STRINGOF:
		if ((r = check_expr(c, n->left, err)) < 0)
			return r;
		if (!is_text(c->dt, n->left->type) && !dt_is_scalar(c->dt, n->left->type))
			return d_error(err, n->line, "D_STRINGOF_TYPE",
				       "stringof needs an address or text");
		n->type = c->dt->t_string;
		n->is_user = n->left->is_user;
		return 0;
	case N_XLATE:
		return check_xlate(c, n, err);
	case N_AGG:
		if (!n->args && !map_has(c->dt->aggs, n->name))
			return d_error(err, n->line, "D_IDENT_UNDEF", "undefined aggregation: @%s",
				       n->name);
		n->type = ctf_void(c->dt->types);
		return 0;
	case N_EXPR:
	case N_IF:
	case N_BLOCK:
	case N_CLAUSE:
	case N_DECL:
	case N_INLINE:
	case N_TRANSLATOR:
	case N_PROVIDER:
	case N_PRAGMA:
		break;
	}
	abort();
}

int
check_expr(struct checker *c, struct node *n, struct error *err)
{
	bool assigning = c->assigning;
	int r;

	/* An assignment makes the name on its left, not those of an expression there: p - a = 1. */
	c->assigning &= n->kind == N_IDENT || n->kind == N_INDEX;
	r = check_node(c, n, err);
	c->assigning = assigning;
	return r;
}
