/*
 * print(e): the value; of a pointer to something known, the address and what stands there; of a
 * translation all that its translator says, each member recorded as a value of its own.
 */
#include <string.h>

#include "dtrace/check.h"

#define PRINT_MAX 4096      /* bytes of a structure that print() records */
#define TRANSLATED_MAX 8192 /* of a translated one, as print.c puts it together */
#define NESTED_MAX 8

/* What is recorded of a member for which the translator has this expression. */
static struct node *
member_value(struct checker *c, struct node *n, const struct ctf_type *type)
{
	bool is_array = ctf_kind(ctf_resolve(type)) == CTF_ARRAY && !dt_is_string(c->dt, type);
	struct node *whole;

	if (!is_array || ctf_kind(ctf_resolve(n->type)) != CTF_POINTER)
		return n;
	/* An array that a pointer leads to. */
	whole = node_new(c->ast->arena, ctf_is_string(type) ? N_STRINGOF : N_OP1, n->line);
	whole->op = OP_DEREF;
	whole->left = n;
	whole->type = ctf_is_string(type) ? c->dt->t_string : type;
	whole->is_lvalue = true;
	whole->is_user = n->is_user;
	whole->library = n->library;
	return whole;
}

/* The members of translation x, `bit` bits into the whole, behind those in *tail. */
static int
check_parts(struct checker *c, struct act *a, struct node *x, uint64_t bit, int depth,
	    struct node ***tail, struct error *err)
{
	const struct node *t = x->right;
	struct ctf_member m;
	int r;

	if (depth == NESTED_MAX)
		return d_error(err, x->line, "D_PRINT_DYN",
			       "print( ) of translations in each other, more than %d deep",
			       NESTED_MAX);
	for (const struct node *e = t->body; e; e = e->next) {
		struct node *n = node_new(c->ast->arena, N_OP1, x->line);

		n->op = ctf_is_pointer(x->type) ? OP_ARROW : OP_DOT;
		n->left = x;
		n->name = e->name;
		if ((r = check_expr(c, n, err)) < 0)
			return r;
		ctf_find_member(t->type, e->name, &m);
		if (n->kind == N_XLATE && ctf_is_pointer(n->type))
			return d_error(
				err, x->line, "D_PRINT_DYN",
				"print( ) cannot show member \"%s\": it is a translated pointer",
				e->name);
		if (n->kind == N_XLATE) {
			r = check_parts(c, a, n, bit + m.bit_offset, depth + 1, tail, err);
			if (r < 0)
				return r;
			continue;
		}
		n = member_value(c, n, m.type);
		if ((r = act_record_value(c, a, n, err)) < 0)
			return r;
		a->parts = xreallocarray(a->parts, a->n_recs, sizeof(*a->parts));
		a->parts[a->n_recs - 1] =
			(struct part){e->name, m.type, bit + m.bit_offset, m.bit_size};
		**tail = n;
		*tail = &n->next;
	}
	return 0;
}

/* The action's argument becomes the list of its members' values. */
static int
check_whole(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct node *x = n->args->kind == N_XLATE ? n->args : n->args->left, **tail = &n->args;
	int r;

	a->type = ctf_is_pointer(x->type) ? ctf_target(ctf_resolve(x->type)) : x->type;
	n->args = NULL;
	if (ctf_size(a->type) > TRANSLATED_MAX)
		return d_error(err, n->line, "D_PRINT_SIZE",
			       "print( ) cannot show a translation of %llu bytes",
			       (unsigned long long)ctf_size(a->type));
	r = check_parts(c, a, x, 0, 0, &tail, err);
	if (r == 0 && !a->parts)
		r = d_error(err, n->line, "D_PRINT_SIZE",
			    "print( ) cannot show a translation without members");
	return r;
}

int
check_print(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	const struct ctf_type *to;
	uint64_t size;
	int r = n->args->kind == N_AGG ? 0 : check_expr(c, n->args, err);

	if (r < 0)
		return r;
	if (n->args->kind == N_AGG)
		return d_error(err, n->line, "D_PRINT_DYN", "print( ) shows values with a type");
	if (dt_is_translation(n->args))
		return check_whole(c, n, a, err);
	a->type = n->args->type;
	if (ctf_kind(ctf_resolve(a->type)) == CTF_VOID)
		return d_error(err, n->line, "D_PRINT_VOID", "print( ) of a void value");
	if (dt_is_stack(a->type)) { /* its members, not its text */
		act_add_rec(c->clause, a,
			    (struct rec){.kind = REC_BYTES, .size = ctf_size(a->type)});
		n->args->slot = (int)a->recs[0].offset;
		return 0;
	}
	to = ctf_kind(ctf_resolve(a->type)) == CTF_POINTER ? ctf_target(ctf_resolve(a->type))
							   : NULL;
	if (!to || ctf_kind(ctf_resolve(to)) == CTF_VOID)
		return act_record_value(c, a, n->args, err);
	size = ctf_size(to);
	if (!size)
		return d_error(
			err, n->line, "D_PRINT_SIZE",
			"print( ) cannot show what argument #1 points to: its size is not known");
	a->type = to;
	act_add_rec(c->clause, a, (struct rec){.kind = REC_INT, .size = 8});
	act_add_rec(c->clause, a,
		    (struct rec){.kind = REC_BYTES, .size = size < PRINT_MAX ? size : PRINT_MAX});
	n->slot = (int)a->recs[0].offset;
	return 0;
}
