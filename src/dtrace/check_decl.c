/*
 * Declarations: variables, types, inlines, translators; and what is put in place
 * of an inline's name or a translated member.
 */
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"

/* --- inlines and translators: expressions put in place of a name */

static struct node *
clone_list(struct arena *a, const struct node *n)
{
	struct node *first = NULL, **tail = &first;

	for (; n; n = n->next) {
		*tail = node_clone(a, n);
		tail = &(*tail)->next;
	}
	return first;
}

struct node *
node_clone(struct arena *a, const struct node *n)
{
	struct node *copy = node_new(a, n->kind, n->line);

	*copy = *n;
	copy->next = NULL;
	copy->left = n->left ? node_clone(a, n->left) : NULL;
	copy->right = n->right ? node_clone(a, n->right) : NULL;
	copy->third = n->third ? node_clone(a, n->third) : NULL;
	copy->args = clone_list(a, n->args);
	return copy;
}

/* Checks a copy of expr with params bound, and makes n be it, as `type`. */
static int
substitute(struct checker *c, struct node *n, const struct node *expr, bool library,
	   const struct param *params, size_t n_params, const struct ctf_type *type,
	   struct error *err)
{
	const struct param *outer = c->params;
	size_t n_outer = c->n_params;
	struct node *copy = node_clone(c->ast->arena, expr), *next = n->next;
	bool assigning = c->assigning, was_library = c->library;
	int r;

	for (size_t i = 0; library && i < n_params; i++)
		if ((r = priv_check_param(c->dt, n, params[i].type, params[i].value, err)) < 0)
			return r;
	if (++c->depth > 32)
		return d_error(err, n->line, "D_IDENT_BADREF",
			       "\"%s\" is defined by itself", n->name ? n->name : "translator");
	c->params = params;
	c->n_params = n_params;
	c->assigning = false;
	c->library = library;
	r = check_expr(c, copy, err);
	c->library = was_library;
	c->params = outer;
	c->n_params = n_outer;
	c->assigning = assigning;
	c->depth--;
	if (r < 0)
		return r;
	if (dt_is_string(c->dt, type) != dt_is_string(c->dt, copy->type) &&
	    !(dt_is_string(c->dt, type) && ctf_is_string(copy->type)) &&
	    !(ctf_is_string(type) && dt_is_string(c->dt, copy->type)))
		return d_error(err, n->line, "D_OP_INCOMPAT", "\"%s\" has another type than declared",
			       n->name);
	if (copy->kind == N_XLATE || ctf_is_aggregate(type) ||
	    (type != c->dt->t_string && ctf_kind(ctf_resolve(type)) == CTF_ARRAY)) {
		copy->line = n->line; /* where the program says it */
		copy->next = next;
		*n = *copy;
		return 0;
	}
	*n = (struct node){.kind = N_CAST, .line = n->line, .left = copy, .type = type, .slot = -1,
			   .next = next, .is_user = copy->is_user, .is_const = copy->is_const,
			   .value = copy->value, .library = library};
	check_text_as_pointer(c, n);
	return 0;
}

int
check_inline(struct checker *c, struct node *n, struct ident *v, struct node *args,
	     struct error *err)
{
	const struct type_expr *t = v->inline_node->type_expr;
	struct param params[DT_MAX_KEYS];
	size_t n_params = 0;
	const struct node *decl = NULL;
	int r;

	for (size_t i = 0; i < t->n_parts; i++)
		if (t->parts[i].kind == DECL_ASSOC)
			decl = t->parts[i].keys;
	for (; decl && args && n_params < DT_MAX_KEYS; decl = decl->next, args = args->next) {
		if ((r = check_expr(c, args, err)) < 0)
			return r;
		params[n_params] = (struct param){decl->name ? decl->name : "", args, NULL};
		if ((r = dt_type(c->dt, decl, decl->type_expr, &params[n_params].type, err)) < 0)
			return r;
		n_params++;
	}
	if (decl || args)
		return d_error(err, n->line, "D_PROTO_LEN", "\"%s\" takes another number of keys",
			       v->name);
	return substitute(c, n, v->inline_node->left, v->inline_node->library, params, n_params,
			  v->type, err);
}

/* The translator from type `in` to type `out`, or NULL. */
static struct node *
find_translator(struct dt *dt, const struct ctf_type *out, const struct ctf_type *in)
{
	for (size_t i = dt->n_translators; i-- > 0;) {
		struct node *t = dt->translators[i];
		struct error none = ERROR_INIT;

		if (!ctf_same(t->type, out))
			continue;
		/* A type that this kernel has not: the translator is for another. */
		if (!t->left->type &&
		    dt_type(dt, t->left, t->left->type_expr, &t->left->type, &none) < 0) {
			error_done(&none);
			continue;
		}
		if (ctf_same(t->left->type, in) ||
		    (ctf_is_integral(t->left->type) && ctf_is_integral(in)))
			return t;
	}
	return NULL;
}

int
check_translation(struct checker *c, struct node *n, const struct ctf_type *to, struct node *from,
		  struct error *err)
{
	const struct ctf_type *out = ctf_is_pointer(to) ? ctf_target(ctf_resolve(to)) : to;
	struct node *t = find_translator(c->dt, ctf_resolve(out), from->type);

	if (!t) {
		cleanup_free char *in = ctf_name(from->type), *name = ctf_name(out);

		return d_error(err, n->line, "D_XLATE_NONE",
			       "translator does not exist from %s to %s", in, name);
	}
	*n = (struct node){.kind = N_XLATE, .line = n->line, .next = n->next, .left = from,
			   .right = t, .type = to, .slot = -1, .library = n->library};
	return 0;
}

int
check_xlate(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *to;
	int r;

	if (!n->type_expr) /* done */
		return 0;
	if ((r = dt_type(c->dt, n, n->type_expr, &to, err)) < 0 ||
	    (r = check_expr(c, n->left, err)) < 0)
		return r;
	return check_translation(c, n, to, n->left, err);
}

bool
dt_is_translation(const struct node *n)
{
	if (n->kind == N_OP1 && n->op == OP_DEREF)
		n = n->left;
	return n->kind == N_XLATE;
}

int
check_xlate_member(struct checker *c, struct node *n, struct error *err)
{
	const struct node *x = n->left, *t;
	struct param param;
	struct ctf_member m;
	int r;

	if (!dt_is_translation(x))
		return 0;
	if (x->kind == N_OP1) /* (*x).member */
		x = x->left;
	t = x->right;
	if ((n->op == OP_ARROW) != ctf_is_pointer(n->left->type))
		return d_error(err, n->line, n->op == OP_ARROW ? "D_OP_PTR" : "D_OP_SOU",
			       "\"%s\" does not fit this translation", op_name(n->op));
	if (!ctf_find_member(t->type, n->name, &m)) {
		cleanup_free char *name = ctf_name(t->type);

		return d_error(err, n->line, "D_TYPE_MEMBER", "%s is not a member of %s", n->name,
			       name);
	}
	param = (struct param){t->left->name, x->left, t->left->type};
	for (const struct node *e = t->body; e; e = e->next) {
		if (!str_eq(e->name, n->name))
			continue;
		r = substitute(c, n, e->left, t->library, &param, 1, m.type, err);
		return r < 0 ? r : 1;
	}
	return d_error(err, n->line, "D_XLATE_NOCONV",
		       "translator does not define conversion for member: %s",
		       n->name);
}

/* What member m of translation x is, not checked; NULL for an array or a structure that it leaves
 * as it is. */
static struct node *
translated_member(struct checker *c, struct node *x, const struct ctf_member *m)
{
	struct node *n = node_new(c->ast->arena, N_OP1, x->line);

	n->op = ctf_is_pointer(x->type) ? OP_ARROW : OP_DOT;
	n->left = x;
	n->name = arena_strndup(c->ast->arena, m->name, strlen(m->name));
	for (const struct node *e = x->right->body; e; e = e->next)
		if (str_eq(e->name, m->name))
			return n;
	if (!dt_is_string(c->dt, m->type) && !dt_is_scalar(c->dt, m->type))
		return NULL;
	*n = (struct node){.kind = N_INT, .line = x->line, .slot = -1};
	if (dt_is_string(c->dt, m->type)) {
		n->kind = N_STRING;
		n->text = arena_strndup(c->ast->arena, "", 0);
	}
	return n;
}

int
check_translated(struct checker *c, struct node *n, const struct node *place, struct error *err)
{
	struct arena *arena = c->ast->arena;
	struct node *x = n->right->kind == N_XLATE ? n->right : n->right->left;
	struct node *all = NULL, *next = n->next;
	struct ctf_member m;

	for (size_t i = 0; ctf_member_at(ctf_resolve(n->left->type), i, &m); i++) {
		struct node *value = str_empty(m.name) ? NULL : translated_member(c, x, &m);
		struct node *to = node_new(arena, N_OP1, n->line);

		if (!value)
			continue;
		to->op = OP_DOT;
		to->left = node_clone(arena, place);
		to->name = arena_strndup(arena, m.name, strlen(m.name));
		value = node_op2(arena, OP_ASSIGN, to, value);
		all = all ? node_op2(arena, OP_COMMA, all, value) : value;
	}
	if (!all)
		return d_error(err, n->line, "D_XLATE_NOCONV",
			       "the translator defines no member that can be assigned");
	*n = *all;
	n->next = next;
	return check_expr(c, n, err);
}

/* --- declarations */

/* The parts of a variable's type that only variables have, or have not. */
static int
check_variable_type(const struct node *n, const struct ctf_type *type, enum scope scope, struct error *err)
{
	const struct type_expr *t = n->type_expr;

	while (ctf_kind(ctf_resolve(type)) == CTF_ARRAY)
		type = ctf_target(ctf_resolve(type));
	if (ctf_kind(ctf_resolve(type)) == CTF_VOID)
		return d_error(err, n->line, "D_DECL_VOIDOBJ", "\"%s\" cannot be of type void",
			       n->name);
	if (ctf_kind(ctf_resolve(type)) == CTF_FORWARD) {
		cleanup_free char *name = ctf_name(type);

		return d_error(err, n->line, "D_DECL_INCOMPLETE",
			       "\"%s\" has an incomplete type: no definition of \"%s\" is known", n->name, name);
	}
	for (size_t i = 0; i < t->n_parts; i++) {
		if (t->parts[i].kind == DECL_ASSOC && scope == SCOPE_THIS)
			return d_error(err, n->line, "D_DECL_LOCASSC",
				       "\"%s\": an associative array cannot be clause-local", n->name);
		if (t->parts[i].kind == DECL_ARRAY && !t->parts[i].count && !t->parts[i].size)
			return d_error(err, n->line, "D_DECL_ARRNULL",
				       "\"%s\" needs a size in its brackets", n->name);
	}
	return 0;
}

static int
declare_keys(struct dt *dt, const struct node *n, struct ident *v, struct error *err)
{
	int r;

	for (size_t i = 0; i < n->type_expr->n_parts; i++) {
		if (n->type_expr->parts[i].kind != DECL_ASSOC)
			continue;
		v->kind = ID_ASSOC;
		for (struct node *k = n->type_expr->parts[i].keys; k; k = k->next) {
			const struct ctf_type **key = &v->keys[v->n_keys];

			if (v->n_keys == DT_TUPLE_KEYS)
				return d_error(err, n->line, "D_PROTO_LEN",
					       "an associative array has %d keys at most",
					       DT_TUPLE_KEYS);
			if (!k->type_expr)
				return d_error(err, n->line, "D_DECL_PROTO_VARARGS",
					       "an associative array has a fixed number of keys");
			if ((r = dt_type(dt, k, k->type_expr, key, err)) < 0)
				return r;
			if (!dt_is_string(dt, *key) && !dt_is_scalar(dt, *key) && !ctf_is_aggregate(*key))
				return d_error(err, n->line, "D_DECL_PROTO_TYPE",
					       "a key is a number, an address, text or a structure");
			v->n_keys++;
		}
	}
	return 0;
}

static int
declare_typedef(struct dt *dt, struct node *n, const struct ctf_type *type, struct error *err)
{
	int r = priv_check_name(dt, n, "typedef", n->name, err);
	const struct ctf_type *old;

	if (r < 0)
		return r;
	/* A C header may have its own idea of what the library calls dev_t. */
	old = map_get(dt->typedefs, n->name) ? ctf_find(dt->types, n->name) : NULL;
	if (old && !dt->in_library && !ctf_same(ctf_resolve(old), ctf_resolve(type)))
		return d_error(err, n->line, "D_DECL_IDRED", "\"%s\" is another type already",
			       n->name);
	ctf_make_typedef(dt->types, n->name, type);
	map_set(dt->typedefs, n->name, dt->in_library ? NULL : n);
	return 0;
}

static int
declare(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	const struct ctf_type *type;
	enum scope scope = n->storage == STORE_SELF   ? SCOPE_SELF
			   : n->storage == STORE_THIS ? SCOPE_THIS
						      : SCOPE_GLOBAL;
	struct ident *v;
	int r;

	if ((r = dt_type(dt, n, n->type_expr, &type, err)) < 0) /* "self x;" is an int, as in C */
		return r;
	if (!n->name && n->storage == STORE_EXTERN)
		return d_error(err, n->line, "D_DECL_USELESS", "this declares nothing");
	if (!n->name || n->storage == STORE_EXTERN)
		return 0;
	if (n->storage == STORE_TYPEDEF)
		return declare_typedef(dt, n, type, err);
	if ((scope == SCOPE_GLOBAL && ident_lookup(n->name)) || var_find(dt, scope, n->name))
		return d_error(err, n->line, "D_DECL_IDRED", "\"%s\" is declared already", n->name);
	if ((r = check_variable_type(n, type, scope, err)) < 0)
		return r;
	v = var_make(dt, scope, n->name, ID_VAR);
	v->type = type;
	return declare_keys(dt, n, v, err);
}

/* Does the name stand in the expression? */
static bool
names(const struct node *n, const char *name)
{
	if (!n)
		return false;
	if (n->kind == N_IDENT && n->scope == SCOPE_GLOBAL && str_eq(n->name, name))
		return true;
	for (const struct node *arg = n->args; arg; arg = arg->next)
		if (names(arg, name))
			return true;
	return names(n->left, name) || names(n->right, name) || names(n->third, name);
}

static int
declare_inline(struct checker *c, struct node *n, struct error *err)
{
	struct ident *v;
	int r = priv_check_name(c->dt, n, "inline", n->name, err);

	if (r < 0)
		return r;
	n->library = c->dt->in_library;
	if (!n->library && (ident_lookup(n->name) || map_has(c->dt->inlines, n->name) ||
			    var_find(c->dt, SCOPE_GLOBAL, n->name)))
		return d_error(err, n->line, "D_DECL_IDRED", "\"%s\" is declared already", n->name);
	if (names(n->left, n->name))
		return d_error(err, n->line, "D_IDENT_UNDEF", "\"%s\" is used in its own definition",
			       n->name);
	v = xcalloc(1, sizeof(*v));
	v->kind = ID_INLINE;
	v->inline_node = n;
	map_set(c->dt->inlines, n->name, v);
	v->name = map_key(c->dt->inlines, n->name);
	if ((r = dt_type(c->dt, n, n->type_expr, &v->type, err)) < 0)
		return r;
	if (n->left->kind == N_STRING && !dt_is_string(c->dt, v->type) && !ctf_is_string(v->type))
		return d_error(err, n->line, "D_OP_INCOMPAT", "\"%s\" has another type than declared",
			       n->name);
	return 0;
}

/* What a program's own translator makes of its members; the library's are looked at when used. */
static int
check_members(struct checker *c, struct node *t, struct error *err)
{
	struct node in = {.kind = N_IDENT, .line = t->line, .type = t->left->type, .slot = -1};
	const struct param param = {t->left->name, &in, t->left->type};
	struct ctf_member m;
	int r;

	for (const struct node *e = t->body; e; e = e->next) {
		struct node *copy = node_clone(c->ast->arena, e->left);

		if (!ctf_find_member(t->type, e->name, &m))
			return d_error(err, e->line, "D_XLATE_MEMB",
				       "the output type has no member \"%s\"", e->name);
		c->params = &param;
		c->n_params = 1;
		r = check_expr(c, copy, err);
		c->params = NULL;
		c->n_params = 0;
		if (r < 0)
			return r;
		if (!dt_may_assign(c->dt, m.type, copy))
			return d_error(err, e->line, "D_XLATE_INCOMPAT",
				       "the expression for \"%s\" does not fit its type", e->name);
	}
	return 0;
}


static int
declare_translator(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	int r;

	if ((r = dt_type(dt, n, n->type_expr, &n->type, err)) < 0)
		return r;
	n->library = dt->in_library;
	n->type = ctf_resolve(n->type);
	if (!ctf_is_aggregate(n->type))
		return d_error(err, n->line, "D_XLATE_SOU",
			       "a translator's output must be a struct or union");
	if (!dt->in_library) {
		if ((r = dt_type(dt, n, n->left->type_expr, &n->left->type, err)) < 0)
			return r;
		if (find_translator(dt, n->type, n->left->type))
			return d_error(err, n->line, "D_XLATE_REDECL",
				       "this translator has been declared already");
		if ((r = check_members(c, n, err)) < 0)
			return r;
	}
	dt->translators =
		xreallocarray(dt->translators, dt->n_translators + 1, sizeof(*dt->translators));
	dt->translators[dt->n_translators++] = n;
	return 0;
}

int
check_declaration(struct checker *c, struct node *n, struct error *err)
{
	switch (n->kind) {
	case N_INLINE:
		return declare_inline(c, n, err);
	case N_TRANSLATOR:
		return declare_translator(c, n, err);
	default:
		return declare(c, n, err);
	}
}
