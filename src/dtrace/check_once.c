/*
 * a[i++] += 1 computes i++ once.
 *
 * A place that is read and then written (compound assignment, ++, --) stands twice in the generated
 * code.  What is more than a name in it - a key, an index, a pointer that is an assignment or a call -
 * is computed before, into a clause-local variable that only the compiler knows: the expression becomes
 * (this->KEY = i++, a[this->KEY] += 1).
 */
#include "dtrace/check.h"

bool
node_has_effect(const struct node *n)
{
	if (!n)
		return false;
	if (n->kind == N_CALL || (n->kind == N_OP2 && n->op == OP_ASSIGN) ||
	    (n->kind == N_OP1 && n->op >= OP_PREINC))
		return true;
	for (const struct node *arg = n->args; arg; arg = arg->next)
		if (node_has_effect(arg))
			return true;
	return node_has_effect(n->left) || node_has_effect(n->right) || node_has_effect(n->third);
}

struct node *
node_op2(struct arena *a, enum op op, struct node *left, struct node *right)
{
	struct node *n = node_new(a, N_OP2, right->line);

	n->op = op;
	n->left = left;
	n->right = right;
	return n;
}

/* Puts a variable in *at's place, and its assignment behind those in *before. */
static void
take_out(struct checker *c, struct node **at, struct node **before)
{
	struct node *value = *at, *name, *set;
	cleanup_free char *text = NULL;

	if (!node_has_effect(value))
		return;
	text = str_printf(" once%u", c->dt->n_once++); /* no program has a name with a space */
	name = node_new(c->ast->arena, N_IDENT, value->line);
	name->scope = SCOPE_THIS;
	name->name = arena_strndup(c->ast->arena, text, strlen(text));
	set = node_op2(c->ast->arena, OP_ASSIGN, node_clone(c->ast->arena, name), value);
	name->next = value->next;
	value->next = NULL;
	*at = name;
	*before = *before ? node_op2(c->ast->arena, OP_COMMA, *before, set) : set;
}

bool
check_once(struct checker *c, struct node *n)
{
	struct node *before = NULL, *next = n->next, *rest;

	for (struct node *place = n->left; place; place = place->left) {
		for (struct node **key = &place->args; place->kind == N_INDEX && *key; key = &(*key)->next)
			take_out(c, key, &before);
		if (place->kind == N_OP1 && (place->op == OP_DEREF || place->op == OP_ARROW))
			take_out(c, &place->left, &before);
		if (place->kind != N_INDEX && (place->kind != N_OP1 || place->op != OP_DOT))
			break;
	}
	if (!before)
		return false;
	rest = node_new(c->ast->arena, n->kind, n->line);
	*rest = *n;
	rest->next = NULL;
	*n = *node_op2(c->ast->arena, OP_COMMA, before, rest);
	n->next = next;
	return true;
}
