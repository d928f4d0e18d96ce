/*
 * Clauses: statements, actions, aggregations; and the program's declarations.
 *
 * An action's values get their places in the clause's record here, so that the
 * generator knows where to write and the consumer where to read.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"
#include "dtrace/show.h"

const char *
ctf_spelling(struct dt *dt, const struct ctf_type *t)
{
	cleanup_free char *name = ctf_name(t);

	map_set(dt->spellings, name, NULL);
	return map_key(dt->spellings, name);
}

bool
macro_value(const char *name, int64_t *ret)
{
	const struct {
		const char *name;
		int64_t value;
	} rows[] = {{"pid", getpid()},	 {"ppid", getppid()}, {"uid", getuid()},
		    {"euid", geteuid()}, {"gid", getgid()},   {"egid", getegid()},
		    {"pgid", getpgrp()}, {"sid", getsid(0)}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (str_eq(rows[i].name, name)) {
			*ret = rows[i].value;
			return true;
		}
	}
	return false;
}

/* --- inlines and translators: expressions put in place of a name */

static struct node *clone(struct arena *a, const struct node *n);

static struct node *
clone_list(struct arena *a, const struct node *n)
{
	struct node *first = NULL, **tail = &first;

	for (; n; n = n->next) {
		*tail = clone(a, n);
		tail = &(*tail)->next;
	}
	return first;
}

static struct node *
clone(struct arena *a, const struct node *n)
{
	struct node *copy = node_new(a, n->kind, n->line);

	*copy = *n;
	copy->next = NULL;
	copy->left = n->left ? clone(a, n->left) : NULL;
	copy->right = n->right ? clone(a, n->right) : NULL;
	copy->third = n->third ? clone(a, n->third) : NULL;
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
	struct node *copy = clone(c->ast->arena, expr), *next = n->next;
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
		*n = *copy;
		n->next = next;
		return 0;
	}
	*n = (struct node){.kind = N_CAST, .line = n->line, .left = copy, .type = type, .slot = -1,
			   .next = next, .is_user = copy->is_user, .is_const = copy->is_const,
			   .value = copy->value, .library = library};
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

int
check_xlate_member(struct checker *c, struct node *n, struct error *err)
{
	const struct node *x = n->left, *t;
	struct param param;
	struct ctf_member m;
	int r;

	if (x->kind == N_OP1 && x->op == OP_DEREF) /* (*x).member */
		x = x->left;
	if (x->kind != N_XLATE)
		return 0;
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

/* --- records */

static void
begin_record(struct clause *cl)
{
	if (!cl->rec_size)
		cl->rec_size = sizeof(struct rec_head) + (cl->conditional ? 8 : 0);
}

static void
add_rec(struct clause *cl, struct act *a, struct rec rec)
{
	size_t align = rec.kind == REC_INT ? rec.size : 8;

	begin_record(cl);
	cl->rec_size = (cl->rec_size + align - 1) / align * align;
	rec.offset = cl->rec_size;
	cl->rec_size += rec.size;
	a->recs = xreallocarray(a->recs, a->n_recs + 1, sizeof(*a->recs));
	a->recs[a->n_recs++] = rec;
}

/* Is it one of probeprov, probemod, probefunc, probename? */
static bool
probe_part(const struct node *n, enum builtin *ret)
{
	if (n->kind != N_IDENT || !n->ident || n->ident->kind != ID_BUILTIN)
		return false;
	*ret = n->ident->builtin;
	return *ret == B_PROBEFUNC || *ret == B_PROBEMOD || *ret == B_PROBENAME ||
	       *ret == B_PROBEPROV;
}

static bool
is_floating(const struct ctf_type *t)
{
	return ctf_kind(ctf_resolve(t)) == CTF_FLOAT;
}

/* How a value is recorded; also a key's place. */
static struct rec
value_rec(struct dt *dt, const struct node *n)
{
	struct rec rec = {.kind = REC_INT};
	enum builtin part;

	if (probe_part(n, &part)) {
		rec.kind = REC_PROBE;
		rec.part = part;
		rec.size = 4;
	} else if (dt_is_string(dt, n->type)) {
		rec.kind = REC_STRING;
		rec.size = text_bound(dt, n);
	} else if (ctf_is_aggregate(n->type) ||
		   (ctf_kind(ctf_resolve(n->type)) == CTF_ARRAY && n->is_lvalue)) {
		rec.kind = ctf_is_string(n->type) ? REC_STRING : REC_BYTES;
		rec.size = ctf_size(n->type);
	} else {
		rec.size = ctf_size(n->type);
		rec.is_signed = ctf_is_signed(n->type);
		rec.is_float = is_floating(n->type);
	}
	return rec;
}

size_t
text_bound(struct dt *dt, const struct node *n)
{
	size_t bound = dt->opts.strsize;

	if (n->kind == N_STRING)
		bound = n->text_len + 1;
	else if (n->is_const)
		bound = 8; /* NULL */
	else if (n->kind == N_IDENT && n->ident && n->ident->kind == ID_BUILTIN &&
		 n->ident->builtin == B_EXECNAME)
		bound = 16;
	else if (n->kind == N_STRINGOF && ctf_kind(ctf_resolve(n->left->type)) == CTF_ARRAY)
		bound = ctf_size(n->left->type) + 1;
	bound = (bound + 7) & ~(size_t)7;
	return bound > dt->opts.strsize ? dt->opts.strsize : bound;
}

static int
record_value(struct checker *c, struct act *a, struct node *n, struct error *err)
{
	struct rec rec;

	if (n->kind == N_AGG)
		return d_error(err, n->line, "D_TRACE_DYN", "an aggregation cannot be recorded");
	if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
		return d_error(err, n->line, "D_TRACE_VOID", "a void value cannot be recorded");
	rec = value_rec(c->dt, n);
	if (!rec.size || rec.size > 8192)
		return d_error(err, n->line, "D_TRACE_DYN", "a value of %zu bytes cannot be recorded",
			       rec.size);
	add_rec(c->clause, a, rec);
	n->slot = (int)a->recs[a->n_recs - 1].offset;
	return 0;
}

/* --- aggregations */

static struct agg *
agg_get(struct dt *dt, const char *name)
{
	struct agg *a = map_get(dt->aggs, name);

	if (a)
		return a;
	a = xcalloc(1, sizeof(*a));
	a->name = xstrdup(name);
	a->func = AGG_NONE;
	a->fd = -1;
	a->normal = 1;
	a->id = (uint32_t)dt->n_aggs;
	map_set(dt->aggs, name, a);
	dt->agg_list = xreallocarray(dt->agg_list, dt->n_aggs + 1, sizeof(*dt->agg_list));
	dt->agg_list[dt->n_aggs++] = a;
	return a;
}

/* A size that stack() or ustack() is given. */
static int
stack_arg(struct checker *c, struct node *n, struct node *arg, int64_t least, const char *tag,
	  struct error *err)
{
	int64_t most = least ? DT_MAX_FRAMES : INT32_MAX;
	int r = check_expr(c, arg, err);

	if (r < 0)
		return r;
	if (!arg->is_const)
		return d_error(err, n->line, dt_is_string(c->dt, arg->type) ? "D_PROTO_ARG" : tag,
			       "%s( ) size must be an integer constant", n->name);
	if (arg->value < least || arg->value > most)
		return d_error(err, n->line, tag, "%s( ) size must be from %d to %d", n->name,
			       (int)least, (int)most);
	return 0;
}

/* stack(n), ustack(n): addresses, zeros behind the last; a user's with the process in front. */
static int
stack_rec(struct checker *c, struct node *n, enum action action, struct rec *ret,
	  struct error *err)
{
	struct dt *dt = c->dt;
	unsigned frames = action == A_STACK ? dt->opts.stackframes : dt->opts.ustackframes;
	int r;

	if (n->args) {
		if ((r = stack_arg(c, n, n->args, 1, action == A_STACK ? "D_STACK_SIZE" : "D_USTACK_FRAMES",
				   err)) < 0)
			return r;
		frames = (unsigned)n->args->value;
		/* Room for strings, of stacks of Java and the like: all are read from the process. */
		if (n->args->next &&
		    (r = stack_arg(c, n, n->args->next, 0, "D_USTACK_STRSIZE", err)) < 0)
			return r;
	}
	if (frames > dt->opts.maxframes)
		frames = dt->opts.maxframes;
	*ret = (struct rec){.kind = action == A_STACK ? REC_STACK : REC_USTACK,
			    .size = 8 * (size_t)(frames + (action != A_STACK)),
			    .action = action};
	n->number = frames;
	return 0;
}

/* A key that is an action: a stack, or an address to be shown by name. */
static int
action_rec(struct checker *c, struct node *n, const struct ident *row, struct rec *ret,
	   struct error *err)
{
	int r;

	n->library = c->library;
	if ((r = priv_check_ident(c->dt, n, row, err)) < 0)
		return r;
	n->ident = (struct ident *)(uintptr_t)row;
	n->type = c->dt->t_int;
	switch (row->action) {
	case A_STACK:
	case A_USTACK:
	case A_JSTACK:
		return stack_rec(c, n, row->action, ret, err);
	case A_SYM:
	case A_FUNC:
	case A_MOD:
		*ret = (struct rec){.kind = REC_KSYM, .size = 8, .action = row->action};
		break;
	case A_USYM:
	case A_UFUNC:
	case A_UMOD:
	case A_UADDR:
		*ret = (struct rec){.kind = REC_USYM, .size = 16, .action = row->action};
		break;
	default:
		return d_error(err, n->line, "D_KEY_TYPE", "%s( ) is an action and has no value",
			       n->name);
	}
	if (!n->args || n->args->next)
		return d_error(err, n->line, "D_PROTO_LEN", "%s( ) takes one argument", n->name);
	if ((r = check_expr(c, n->args, err)) < 0)
		return r;
	if (!ctf_is_integral(n->args->type) && !ctf_is_pointer(n->args->type))
		return d_error(err, n->line, "D_PROTO_ARG", "%s( ) takes an address", n->name);
	return 0;
}

static int
key_rec(struct checker *c, struct node *k, struct rec *ret, struct error *err)
{
	const struct ident *row = k->kind == N_CALL ? ident_lookup(k->name) : NULL;
	int r;

	if (row && row->kind == ID_ACTION)
		return action_rec(c, k, row, ret, err);
	if ((r = check_expr(c, k, err)) < 0)
		return r;
	if (!dt_is_scalar(c->dt, k->type) && !dt_is_string(c->dt, k->type) && !ctf_is_string(k->type))
		return d_error(err, k->line, "D_KEY_TYPE",
			       "a key is a number, an address or text");
	*ret = value_rec(c->dt, k);
	return 0;
}

static int
agg_keys(struct checker *c, struct node *n, struct agg *a, bool first, struct error *err)
{
	size_t i = 0;
	int r;

	for (struct node *k = n->args; k; k = k->next, i++) {
		struct rec rec;

		if ((r = key_rec(c, k, &rec, err)) < 0)
			return r;
		if (i == DT_MAX_KEYS || (!first && i >= a->n_keys))
			return d_error(err, n->line, "D_PROTO_LEN",
				       "@%s[ ] has more keys than before", n->name);
		if (rec.kind == REC_INT) { /* one size, so that int and long keys meet */
			rec.shown_size = rec.size;
			rec.size = 8;
		}
		if (first) {
			a->keys[i] = rec;
			continue;
		}
		if (a->keys[i].kind == REC_INT && rec.kind == REC_INT) {
			if (rec.shown_size > a->keys[i].shown_size)
				a->keys[i].shown_size = rec.shown_size;
			continue;
		}
		if (show_by_name(&rec) && rec.kind == a->keys[i].kind &&
		    rec.size == a->keys[i].size && rec.action == a->keys[i].action)
			continue;
		if (a->keys[i].kind == REC_INT || rec.kind == REC_INT || show_by_name(&rec) ||
		    show_by_name(&a->keys[i]))
			return d_error(err, n->line, "D_PROTO_ARG",
				       "key %zu of @%s has another type than before", i + 1, n->name);
		/* Texts of two sorts meet as strings, of the longer bound. */
		if (a->keys[i].kind != rec.kind || a->keys[i].part != rec.part) {
			a->keys[i].kind = REC_STRING;
			a->keys[i].size = c->dt->opts.strsize;
		} else if (rec.size > a->keys[i].size) {
			a->keys[i].size = rec.size;
		}
	}
	if (!first && i != a->n_keys)
		return d_error(err, n->line, "D_PROTO_LEN", "@%s[ ] has fewer keys than before",
			       n->name);
	a->n_keys = i;
	return 0;
}

/* lquantize's and llquantize's parameters, in order: what the tags call them, and their range. */
static const struct agg_param {
	const char *name;
	int64_t min, max, type_min; /* below type_min it is not even of the type */
} lquant_params[] = {
	{"BASE", INT32_MIN, INT32_MAX, INT64_MIN},
	{"LIM", INT32_MIN, INT32_MAX, INT64_MIN},
	{"STEP", 1, UINT16_MAX, 1},
}, llquant_params[] = {
	{"FACTOR", 2, UINT16_MAX, 0},
	{"LMAG", 0, UINT16_MAX, INT64_MIN},
	{"HMAG", 0, UINT16_MAX, INT64_MIN},
	{"STEP", 1, UINT16_MAX, 1},
};

/* D_LQUANT_BASETYPE, D_LLQUANT_MATCHHMAG ... */
static int
param_error(const struct node *call, bool ll, const char *before, const char *name,
	    const char *after, const char *why, struct error *err)
{
	char tag[48];

	snprintf(tag, sizeof(tag), "D_%s_%s%s%s", ll ? "LLQUANT" : "LQUANT", before,
		 *before && str_eq(name, "STEP") && ll ? "STEPS" : name, after);
	return d_error(err, call->line, tag, "%s( ) %s", call->name, why);
}

static int
take_params(struct node *call, bool ll, int64_t *params, struct error *err)
{
	const struct agg_param *rows = ll ? llquant_params : lquant_params;
	size_t n = ll ? ARRAY_SIZE(llquant_params) : ARRAY_SIZE(lquant_params), i = 0;

	for (struct node *arg = call->args->next; arg && i < n; arg = arg->next, i++) {
		const struct agg_param *row = &rows[i];
		char why[64];

		snprintf(why, sizeof(why), "argument #%zu must be an integer constant%s", i + 2,
			 row->type_min == 1 ? " above zero" : "");
		if (!arg->is_const || !ctf_is_integral(arg->type) || arg->value < row->type_min)
			return param_error(call, ll, "", row->name, "TYPE", why, err);
		snprintf(why, sizeof(why), "argument #%zu is out of range", i + 2);
		if (arg->value < row->min || arg->value > row->max)
			return param_error(call, ll, "", row->name, "VAL", why, err);
		params[i] = arg->value;
	}
	return 0;
}

/* base, limit, step */
static int
check_lquantize(const struct node *call, const int64_t *params, struct error *err)
{
	int64_t range = params[1] - params[0];

	if (range <= 0)
		return d_error(err, call->line, "D_LQUANT_MISMATCH",
			       "lquantize( ) base must be less than limit");
	if (params[2] > range)
		return d_error(err, call->line, "D_LQUANT_STEPLARGE",
			       "lquantize( ) step is larger than the range");
	if (range / params[2] > 4096)
		return d_error(err, call->line, "D_LQUANT_STEPSMALL",
			       "lquantize( ) has too many levels: 4096 at most");
	return 0;
}

/* factor, low, high, steps: each power of the factor is cut into equal steps of whole numbers */
static int
check_llquantize(const struct node *call, const int64_t *params, struct error *err)
{
	int64_t power = 1, factor = params[0], steps = params[3], above = factor;

	if (params[2] < params[1])
		return d_error(err, call->line, "D_LLQUANT_HMAGVAL",
			       "llquantize( ) high magnitude is below the low one");
	for (int64_t i = 0; i <= params[2]; i++)
		if (__builtin_mul_overflow(power, factor, &power))
			return d_error(err, call->line, "D_LLQUANT_HMAGVAL",
				       "llquantize( ) %lld to the power of %lld does not fit",
				       (long long)factor, (long long)params[2] + 1);
	while (above < steps)
		above *= factor;
	if (above % steps || (steps > factor && steps % factor))
		return d_error(err, call->line, "D_LLQUANT_STEPVAL",
			       "llquantize( ) %lld steps do not divide powers of %lld evenly",
			       (long long)steps, (long long)factor);
	return 0;
}

static int
agg_params(struct node *call, struct agg *a, bool first, struct error *err)
{
	int64_t params[5] = {0, 0, 1, 0, 0};
	bool ll = a->func == AGG_LLQUANTIZE;
	const struct agg_param *rows = ll ? llquant_params : lquant_params;
	int r;

	if (a->func != AGG_LQUANTIZE && a->func != AGG_LLQUANTIZE)
		return 0;
	if ((r = take_params(call, ll, params, err)) < 0 ||
	    (r = ll ? check_llquantize(call, params, err) : check_lquantize(call, params, err)) < 0)
		return r;
	for (size_t i = 0; !first && i < ARRAY_SIZE(params); i++)
		if (params[i] != a->params[i])
			return param_error(call, ll, "MATCH", rows[i].name, "",
					   "has other parameters than before", err);
	memcpy(a->params, params, sizeof(params));
	return 0;
}

/* 64-bit words of a value: number of additions, then the function's own. */
static size_t
agg_words(const struct agg *a)
{
	switch (a->func) {
	case AGG_COUNT:
		return 1;
	case AGG_SUM:
	case AGG_AVG:
	case AGG_MIN:
	case AGG_MAX:
		return 2;
	case AGG_STDDEV:
		return 4; /* sum, then the sum of squares in 128 bits */
	case AGG_QUANTIZE:
		return 1 + 127;
	case AGG_LQUANTIZE:
		return 1 + (size_t)((a->params[1] - a->params[0]) / a->params[2]) + 2;
	case AGG_LLQUANTIZE:
		return 1 + (size_t)((a->params[2] - a->params[1] + 1) * a->params[3]) + 2;
	case AGG_NONE:
		break;
	}
	return 0;
}

/* @name[keys] = func(args) */
static int
check_aggregate(struct checker *c, struct node *n, struct error *err)
{
	struct node *agg = n->left, *call = n->right;
	const struct ident *row = call->kind == N_CALL ? ident_lookup(call->name) : NULL;
	struct agg *a;
	int args = 0, r;
	bool first;

	if (c->clause->speculates || c->clause->commits)
		return d_error(err, n->line, c->clause->commits ? "D_AGG_COMM" : "D_AGG_SPEC",
			       "an aggregation may not follow %s( )",
			       c->clause->commits ? "commit" : "speculate");
	if (call->kind == N_CALL && !row)
		return d_error(err, n->line, "D_FUNC_UNDEF", "undefined function name: %s",
			       call->name);
	if (n->op2 != OP_NONE || !row || row->kind != ID_AGGFUNC)
		return d_error(err, n->line, "D_AGG_FUNC",
			       "@%s must be assigned an aggregating function such as count()",
			       agg->name);
	for (struct node *arg = call->args; arg; arg = arg->next, args++) {
		if ((r = check_expr(c, arg, err)) < 0)
			return r;
		if (!dt_is_scalar(c->dt, arg->type))
			return d_error(err, n->line, args ? "D_PROTO_ARG" : "D_AGG_SCALAR",
				       "%s( ) aggregates numbers", call->name);
	}
	if (args < row->min_args || args > row->max_args)
		return prototype_mismatch(call, row, args, err);
	a = agg_get(c->dt, agg->name);
	first = a->func == AGG_NONE;
	if (!first && a->func != row->aggfunc)
		return d_error(err, n->line, "D_AGG_REDEF", "@%s was another function before",
			       agg->name);
	a->func = row->aggfunc;
	if (call->args)
		a->is_signed |= ctf_is_signed(call->args->type);
	if ((r = agg_keys(c, agg, a, first, err)) < 0 || (r = agg_params(call, a, first, err)) < 0)
		return r;
	a->n_words = agg_words(a);
	call->ident = (struct ident *)(uintptr_t)row;
	n->type = c->dt->t_int;
	return 0;
}

/* --- actions */

static struct act *
act_new(struct clause *cl, enum action action)
{
	struct act *a = xcalloc(1, sizeof(*a));

	a->action = action;
	a->bit = cl->n_acts++;
	*cl->acts_tail = a;
	cl->acts_tail = &a->next;
	return a;
}

static void
act_agg(struct act *a, struct agg *agg)
{
	a->aggs = xreallocarray(a->aggs, a->n_aggs + 1, sizeof(struct agg *));
	a->aggs[a->n_aggs++] = agg;
}

/* Does a value of n's type fit the conversion? */
static int
check_conversion(struct checker *c, const struct node *call, const struct node *n, size_t i,
		 const struct piece *piece, struct error *err)
{
	struct dt *dt = c->dt;
	bool text = dt_is_string(dt, n->type) ||
		    (ctf_is_string(n->type) && ctf_kind(ctf_resolve(n->type)) == CTF_ARRAY);
	bool wants_text = strchr("sSC", piece->conv);
	cleanup_free char *name = NULL;

	if (strchr("eEfgG", piece->conv) && is_floating(n->type))
		return 0;
	if (n->kind != N_AGG && wants_text ? text : !text && (dt_is_scalar(dt, n->type) || ctf_is_aggregate(n->type)))
		return 0;
	name = ctf_name(n->type);
	return d_error(err, call->line, "D_PRINTF_ARG_TYPE",
		       "%s( ) argument #%zu is incompatible with conversion #%zu: conversion: %%%c, prototype: %s, argument: %s",
		       call->name, i + 1, i, piece->conv,
		       wants_text ? "char [] or string (or use stringof)" : "an integer or address",
		       name);
}

/* A '*' takes the next value: an integer. */
static int
check_star(const struct node *call, const struct node **values, bool star, size_t i,
	   const char *what, struct error *err)
{
	if (!star)
		return 0;
	if (!*values)
		return d_error(err, call->line, "D_PRINTF_DYN_PROTO",
			       "%s( ) conversion #%zu is missing its %s", call->name, i, what);
	if (!ctf_is_integral((*values)->type))
		return d_error(err, call->line, "D_PRINTF_DYN_TYPE",
			       "%s( ) %s of conversion #%zu must be an integer", call->name, what, i);
	*values = (*values)->next;
	return 0;
}

/* Values against the format's conversions, in order. */
static int
check_conversions(struct checker *c, const struct node *call, const struct node *values,
		  const struct format *f, struct error *err)
{
	size_t i = 0;
	int r;

	for (size_t k = 0; k < f->n; k++) {
		const struct piece *piece = &f->pieces[k];

		if (!piece->conv || piece->conv == '%')
			continue;
		i++;
		if (piece->aggregation)
			return d_error(err, call->line, "D_PRINTF_AGG_CONV",
				       "%s( ) cannot print an aggregation (%%@%c): printa( ) does",
				       call->name, piece->conv);
		if ((r = check_star(call, &values, piece->star_width, i, "width", err)) < 0 ||
		    (r = check_star(call, &values, piece->star_precision, i, "precision", err)) < 0)
			return r;
		if (!values)
			return d_error(err, call->line, "D_PRINTF_ARG_PROTO",
				       "%s( ) conversion #%zu (%%%c) is missing its value", call->name, i,
				       piece->conv);
		if ((r = check_conversion(c, call, values, i, piece, err)) < 0)
			return r;
		values = values->next;
	}
	if (values)
		return d_error(err, call->line, "D_PRINTF_ARG_EXTRA",
			       "%s( ) has more values than its format has conversions (%zu)",
			       call->name, i);
	return 0;
}

/* The format, if there is one: it is taken from *arg on. */
static int
check_format_text(struct node *n, struct act *a, struct node **arg, struct error *err)
{
	struct node *text = *arg;

	if (a->action == A_PRINTA && text->kind == N_AGG)
		return 0;
	if (text->kind != N_STRING)
		return d_error(err, n->line, a->action == A_PRINTA ? "D_PRINTA_AGGARG" : "D_PROTO_ARG",
			       "%s( ) argument #1 must be a format string%s", n->name,
			       a->action == A_PRINTA ? " or an aggregation" : "");
	if (!text->text_len && (a->action == A_PRINTF || a->action == A_PRINTA))
		return d_error(err, n->line, "D_PRINTF_FMT_EMPTY", "%s( ) has an empty format",
			       n->name);
	if (a->action == A_FREOPEN && str_eq(text->text, "."))
		return d_error(err, n->line, "D_FREOPEN_INVALID", "\".\" is no file to write to");
	*arg = text->next;
	return format_parse(text->text, text->text_len, n->line, &a->format, err);
}

/* Aggregations that are printed side by side have keys of one sort. */
static int
check_alike(const struct node *n, const struct agg *first, const struct agg *a, struct error *err)
{
	if (a->n_keys != first->n_keys)
		return d_error(err, n->line, "D_PRINTA_AGGKEY",
			       "printa( ): @%s has %zu keys, but @%s has %zu", a->name, a->n_keys,
			       first->name, first->n_keys);
	for (size_t i = 0; i < a->n_keys; i++)
		if ((a->keys[i].kind == REC_INT) != (first->keys[i].kind == REC_INT) ||
		    show_by_name(&a->keys[i]) != show_by_name(&first->keys[i]))
			return d_error(err, n->line, "D_PRINTA_AGGPROTO",
				       "printa( ): key %zu of @%s and of @%s are of different types",
				       i + 1, a->name, first->name);
	return 0;
}

/* A conversion that is not the aggregation's shows the next key. */
static int
check_key_conversions(const struct node *n, const struct act *a, struct error *err)
{
	const struct agg *agg = a->aggs[0];
	size_t key = 0;

	for (size_t i = 0; a->format && i < a->format->n; i++) {
		const struct piece *piece = &a->format->pieces[i];

		if (!piece->conv || piece->conv == '%' || piece->aggregation)
			continue;
		key += piece->star_width + (size_t)piece->star_precision;
		if (key >= agg->n_keys)
			return d_error(err, n->line, "D_PRINTF_ARG_PROTO",
				       "printa( ): there is no key for %%%c: @%s has %zu", piece->conv,
				       agg->name, agg->n_keys);
		if (show_by_name(&agg->keys[key]) && strchr("cdiouxXDOp", piece->conv))
			return d_error(err, n->line, "D_PRINTF_ARG_TYPE",
				       "printa( ): key %zu of @%s does not fit %%%c", key + 1, agg->name,
				       piece->conv);
		key++;
	}
	return 0;
}

static int
check_printa(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct node *arg = n->args;
	int r = check_format_text(n, a, &arg, err);

	if (r < 0)
		return r;
	if (!arg)
		return d_error(err, n->line, "D_PRINTA_PROTO", "printa( ) needs an aggregation");
	for (; arg; arg = arg->next) {
		if (arg->kind != N_AGG)
			return d_error(err, n->line, "D_PRINTA_AGGARG",
				       "printa( ) prints aggregations only");
		if (!map_has(c->dt->aggs, arg->name))
			return d_error(err, n->line, "D_PRINTA_AGGBAD", "undefined aggregation: @%s",
				       arg->name);
		act_agg(a, agg_get(c->dt, arg->name));
		if ((r = check_alike(n, a->aggs[0], a->aggs[a->n_aggs - 1], err)) < 0)
			return r;
	}
	return check_key_conversions(n, a, err);
}

/* printf, system, freopen: a format, then values. */
static int
check_format(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct node *arg = n->args;
	int r = check_format_text(n, a, &arg, err);

	if (r < 0)
		return r;
	for (struct node *v = arg; v; v = v->next)
		if ((r = check_expr(c, v, err)) < 0)
			return r;
	if ((r = check_conversions(c, n, arg, a->format, err)) < 0)
		return r;
	for (; arg; arg = arg->next)
		if ((r = record_value(c, a, arg, err)) < 0)
			return r;
	return 0;
}

/* D_CLEAR_AGGARG, D_TRUNC_AGGARG ... */
static const char *
agg_tag(char *tag, size_t size, const char *action, const char *what)
{
	if (str_eq(action, "denormalize"))
		action = "normalize";
	size_t n = (size_t)snprintf(tag, size, "D_%s_%s", action, what);

	for (size_t i = 0; i < n && i < size; i++)
		tag[i] = (char)toupper((unsigned char)tag[i]);
	return tag;
}

/* clear(@a), trunc(@a, 5), normalize(@a, 10), denormalize(@a) */
static int
check_agg_action(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct node *arg = n->args;
	char tag[48];
	int r;

	if (arg->kind != N_AGG || arg->args)
		return d_error(err, n->line, agg_tag(tag, sizeof(tag), n->name, "AGGARG"),
			       "%s( ) argument #1 must be an aggregation without keys", n->name);
	if (!map_has(c->dt->aggs, arg->name))
		return d_error(err, n->line, agg_tag(tag, sizeof(tag), n->name, "AGGBAD"),
			       "undefined aggregation: @%s", arg->name);
	act_agg(a, agg_get(c->dt, arg->name));
	arg = arg->next;
	if (!arg)
		return 0;
	if ((r = check_expr(c, arg, err)) < 0)
		return r;
	if (!ctf_is_integral(arg->type))
		return d_error(err, n->line, "D_PROTO_ARG", "%s( ) argument #2 must be an integer",
			       n->name);
	a->has_number = true;
	return record_value(c, a, arg, err);
}

static int
check_stack(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct rec rec;
	int r = stack_rec(c, n, a->action, &rec, err);

	if (r < 0)
		return r;
	add_rec(c->clause, a, rec);
	n->slot = (int)a->recs[a->n_recs - 1].offset;
	return 0;
}

static int
check_values(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	for (struct node *arg = n->args; arg; arg = arg->next) {
		int r = check_expr(c, arg, err);

		if (r < 0 || (r = record_value(c, a, arg, err)) < 0)
			return r;
	}
	return 0;
}

static int
check_tracemem(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int r;

	for (struct node *arg = n->args; arg; arg = arg->next)
		if ((r = check_expr(c, arg, err)) < 0)
			return r;
	if (!dt_is_scalar(c->dt, n->args->type) && !dt_is_string(c->dt, n->args->type))
		return d_error(err, n->line, "D_TRACEMEM_ADDR", "tracemem( ) takes an address");
	for (struct node *arg = n->args->next; arg; arg = arg->next)
		if (!ctf_is_integral(arg->type))
			return d_error(err, n->line, "D_PROTO_ARG", "tracemem( ) sizes are integers");
	if (!n->args->next->is_const || n->args->next->value < 1 || n->args->next->value > 8192)
		return d_error(err, n->line, "D_TRACEMEM_SIZE",
			       "tracemem( ) argument #2 must be a constant from 1 to 8192");
	add_rec(c->clause, a,
		(struct rec){.kind = REC_BYTES, .size = (size_t)n->args->next->value});
	n->slot = (int)a->recs[0].offset;
	return 0;
}

/* usym, uaddr, ufunc, umod: the process and the address. */
static int
check_usym(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int r = check_expr(c, n->args, err);

	if (r < 0)
		return r;
	add_rec(c->clause, a, (struct rec){.kind = REC_USYM, .size = 16});
	n->slot = (int)a->recs[0].offset;
	return 0;
}

/* Is anything printed, or done by the consumer, because of it? */
static bool
is_recording(enum action a)
{
	return a != A_SPECULATE && a != A_COMMIT && a != A_DISCARD && a != A_RAISE && a != A_STOP &&
	       a != A_CHILL && a != A_COPYOUT && a != A_COPYOUTSTR;
}

/* speculate() comes before what is recorded, commit() stands alone. */
static int
check_speculation(struct checker *c, const struct node *n, const struct ident *row,
		  struct error *err)
{
	struct clause *cl = c->clause;
	enum action a = row->action;
	const char *tag = NULL, *why = NULL;

	if (a == A_SPECULATE) {
		tag = cl->speculates ? "D_SPEC_SPEC" : cl->commits ? "D_SPEC_COMM"
					       : cl->shows     ? "D_SPEC_DREC"
							       : NULL;
		why = cl->speculates ? "may not be used twice in a clause"
		      : cl->commits  ? "may not follow commit( )"
				     : "may not follow data-recording actions";
		cl->speculates = true;
	} else if (a == A_COMMIT || a == A_DISCARD) {
		tag = cl->commits ? "D_COMM_COMM" : cl->shows && a == A_COMMIT ? "D_COMM_DREC" : NULL;
		why = cl->commits ? "may not follow commit( )"
				  : "may not follow data-recording actions";
		cl->commits |= a == A_COMMIT;
	} else if (cl->commits && is_recording(a)) {
		tag = "D_DREC_COMM";
		why = "records data and may not follow commit( )";
	} else if (cl->speculates && a == A_EXIT) {
		tag = "D_EXIT_SPEC";
		why = "may not be speculative";
	} else if (cl->speculates && row->destructive) {
		tag = "D_ACT_SPEC";
		why = "is destructive and may not be speculative";
	}
	return tag ? d_error(err, n->line, tag, "%s( ) %s", n->name, why) : 0;
}

/* speculate(id), raise(signal), chill(ns), copyout(from, address, bytes): done at once. */
static int
check_immediate(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int i = 1, r;

	for (struct node *arg = n->args; arg; arg = arg->next, i++) {
		bool text = a->action == A_COPYOUTSTR && i == 1;

		if ((r = check_expr(c, arg, err)) < 0)
			return r;
		if (text ? !dt_is_string(c->dt, arg->type) && !ctf_is_string(arg->type)
			 : dt_is_string(c->dt, arg->type) ||
				   (!ctf_is_integral(arg->type) && !ctf_is_pointer(arg->type)))
			return d_error(err, n->line, "D_PROTO_ARG",
				       "%s( ) argument #%d is incompatible with prototype", n->name,
				       i);
	}
	if (a->action == A_CHILL)
		c->dt->uses_rt = true;
	if (a->action == A_COPYOUT && n->args->next->next->is_const &&
	    (uint64_t)n->args->next->next->value > DT_COPYOUT)
		return d_error(err, n->line, "D_COPYOUT_SIZE",
			       "copyout( ) copies %d bytes at most", DT_COPYOUT);
	if (a->action == A_COMMIT || a->action == A_DISCARD)
		add_rec(c->clause, a, (struct rec){.kind = REC_INT, .size = 8});
	return 0;
}

static int
check_exit(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int r = check_expr(c, n->args, err);

	if (r < 0)
		return r;
	if (!ctf_is_integral(n->args->type))
		return d_error(err, n->line, "D_PROTO_ARG", "exit( ) takes an integer");
	return record_value(c, a, n->args, err);
}

/* setopt("name"[, "value"]) */
static int
check_setopt(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int r = check_values(c, n, a, err);

	for (struct node *arg = n->args; r == 0 && arg; arg = arg->next)
		if (!dt_is_string(c->dt, arg->type))
			return d_error(err, n->line, "D_PROTO_ARG", "setopt( ) takes strings");
	return r;
}

/* ftruncate(), panic() have no values, but the consumer must hear of them. */
static int
check_plain(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	begin_record(c->clause);
	return 0;
}

static int
check_breakpoint(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	return d_error(err, n->line, "D_UNKNOWN",
		       "breakpoint( ) cannot exist here: no debugger is built into this kernel");
}

static int
check_trace(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	return check_values(c, n, a, err);
}

static int
check_action(struct checker *c, struct node *n, const struct ident *row, struct error *err)
{
	static int (*const checks[A_NACTIONS])(struct checker *c, struct node *n, struct act *a,
					       struct error *err) = {
		[A_PRINTF] = check_format,	 [A_PRINTA] = check_printa,
		[A_SYSTEM] = check_format,	 [A_FREOPEN] = check_format,
		[A_TRACE] = check_trace,	 [A_EXIT] = check_exit,
		[A_SYM] = check_values,		 [A_FUNC] = check_values,
		[A_MOD] = check_values,		 [A_FTRUNCATE] = check_plain,
		[A_PANIC] = check_plain,	 [A_CLEAR] = check_agg_action,
		[A_TRUNC] = check_agg_action,	 [A_NORMALIZE] = check_agg_action,
		[A_DENORMALIZE] = check_agg_action, [A_STACK] = check_stack,
		[A_USTACK] = check_stack,	 [A_JSTACK] = check_stack,
		[A_TRACEMEM] = check_tracemem,	 [A_USYM] = check_usym,
		[A_UFUNC] = check_usym,		 [A_UMOD] = check_usym,
		[A_UADDR] = check_usym,		 [A_RAISE] = check_immediate,
		[A_STOP] = check_immediate,	 [A_CHILL] = check_immediate,
		[A_COPYOUT] = check_immediate,	 [A_COPYOUTSTR] = check_immediate,
		[A_SPECULATE] = check_immediate, [A_COMMIT] = check_immediate,
		[A_DISCARD] = check_immediate,	 [A_SETOPT] = check_setopt,
		[A_BREAKPOINT] = check_breakpoint,
	};
	struct act *a;
	int args = 0, r;

	for (struct node *arg = n->args; arg; arg = arg->next)
		args++;
	if (args < row->min_args || args > row->max_args)
		return prototype_mismatch(n, row, args, err);
	n->library = c->library;
	if ((r = priv_check_ident(c->dt, n, row, err)) < 0)
		return r;
	n->ident = (struct ident *)(uintptr_t)row;
	n->type = c->dt->t_int;
	if ((r = check_speculation(c, n, row, err)) < 0)
		return r;
	a = act_new(c->clause, row->action);
	if (c->clause->conditional && a->bit >= 64)
		return d_error(err, n->line, "D_UNKNOWN",
			       "a clause with if may have 64 actions at most");
	if (is_recording(row->action)) {
		c->clause->shows = true;
		begin_record(c->clause);
	}
	if ((r = checks[row->action](c, n, a, err)) < 0)
		return r;
	if (row->destructive && !c->dt->opts.destructive)
		return d_error(err, n->line, "D_ACT_DESTRUCT",
			       "%s( ) is destructive: it needs -w or #pragma D option destructive",
			       n->name);
	return 0;
}

/* --- statements */

static int
check_statements(struct checker *c, struct node *n, struct error *err)
{
	int r = 0;

	for (; n && r == 0; n = n->next) {
		struct node *e = n->left;
		const struct ident *row;

		switch (n->kind) {
		case N_BLOCK:
			r = check_statements(c, n->body, err);
			break;
		case N_IF:
			if ((r = check_expr(c, n->left, err)) < 0)
				return r;
			if (!dt_is_scalar(c->dt, n->left->type))
				return d_error(err, n->line, "D_OP_SCALAR",
					       "the condition of if must be a scalar");
			if ((r = check_statements(c, n->body, err)) == 0 && n->third)
				r = check_statements(c, n->third->body, err);
			break;
		default:
			row = e->kind == N_CALL ? ident_lookup(e->name) : NULL;
			if (e->kind == N_OP2 && e->op == OP_ASSIGN && e->left->kind == N_AGG)
				r = check_aggregate(c, e, err);
			else if (row && row->kind == ID_ACTION)
				r = check_action(c, e, row, err);
			else
				r = check_expr(c, e, err);
			if (r == 0 && e->kind == N_AGG)
				r = d_error(err, e->line, "D_AGG_NULL",
					    "an aggregation alone does nothing: @%s = count()", e->name);
			break;
		}
	}
	return r;
}

static bool
has_if(const struct node *n)
{
	for (; n; n = n->next)
		if (n->kind == N_IF || (n->kind == N_BLOCK && has_if(n->body)))
			return true;
	return false;
}

static int
check_clause(struct checker *c, struct node *n, struct error *err)
{
	struct dt *dt = c->dt;
	struct clause *cl = xcalloc(1, sizeof(*cl));
	int r = 0;

	cl->node = n;
	cl->id = (uint32_t)dt->n_clauses;
	cl->acts_tail = &cl->acts;
	cl->conditional = has_if(n->body);
	dt->clauses = xreallocarray(dt->clauses, dt->n_clauses + 1, sizeof(struct clause *));
	dt->clauses[dt->n_clauses++] = cl;
	c->clause = cl;
	c->n_probes = 0;
	dt->region = NULL;
	for (struct probe_spec *s = n->probes; s; s = s->next) {
		cleanup_free struct probe **matched = NULL;
		size_t n_matched;

		r = dt_probes_match(dt, s->text, s->line, &matched, &n_matched, err);
		if (r == -ESRCH && dt->opts.zdefs) {
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		c->probes = xreallocarray(c->probes, c->n_probes + n_matched, sizeof(*c->probes));
		memcpy(c->probes + c->n_probes, matched, n_matched * sizeof(*matched));
		c->n_probes += n_matched;
		for (size_t i = 0; i < n_matched; i++) {
			struct probe *p = matched[i];

			if (p->n_clauses && p->clauses[p->n_clauses - 1] == cl)
				continue;
			if (p->ops == &provider_dtrace && p->data == DT_ERROR_PROBE) {
				dt->error = p;
				dt->uses_rt = true;
			}
			p->clauses = xreallocarray(p->clauses, p->n_clauses + 1,
						   sizeof(struct clause *));
			p->clauses[p->n_clauses++] = cl;
			cl->n_probes++;
		}
	}
	dt->region = "predicate";
	if (n->left) {
		if ((r = check_expr(c, n->left, err)) < 0)
			return r;
		if (!dt_is_scalar(dt, n->left->type))
			return d_error(err, n->line, "D_PRED_SCALAR",
				       "predicate result must be of scalar type");
	}
	dt->region = "action list";
	r = check_statements(c, n->body, err);
	/* The default action: tell that the probe fired. */
	if (r == 0 && !n->body) {
		cl->rec_size = sizeof(struct rec_head);
		cl->shows = true;
	}
	c->clause = NULL;
	return r;
}

/* --- declarations */

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

	if (!*n->type_expr->base && n->storage != STORE_TYPEDEF)
		return 0; /* "self x;": nothing is said */
	if ((r = dt_type(dt, n, n->type_expr, &type, err)) < 0)
		return r;
	if (!n->name || n->storage == STORE_EXTERN)
		return 0;
	if (n->storage == STORE_TYPEDEF) {
		if ((r = priv_check_name(dt, n, "typedef", n->name, err)) < 0)
			return r;
		ctf_make_typedef(dt->types, n->name, type);
		map_set(dt->typedefs, n->name, NULL);
		return 0;
	}
	if (ident_lookup(n->name) || var_find(dt, scope, n->name))
		return d_error(err, n->line, "D_DECL_IDRED", "\"%s\" is declared already", n->name);
	v = var_make(dt, scope, n->name, ID_VAR);
	v->type = type;
	for (size_t i = 0; i < n->type_expr->n_parts; i++) {
		if (n->type_expr->parts[i].kind != DECL_ASSOC)
			continue;
		v->kind = ID_ASSOC;
		for (struct node *k = n->type_expr->parts[i].keys; k; k = k->next) {
			if (v->n_keys == DT_MAX_KEYS)
				return d_error(err, n->line, "D_PROTO_LEN", "too many keys");
			if ((r = dt_type(dt, k, k->type_expr, &v->keys[v->n_keys++], err)) < 0)
				return r;
		}
	}
	return 0;
}

static int
declare_inline(struct checker *c, struct node *n, struct error *err)
{
	struct ident *v;
	int r = priv_check_name(c->dt, n, "inline", n->name, err);

	if (r < 0)
		return r;
	n->library = c->dt->in_library;
	v = xcalloc(1, sizeof(*v));
	v->kind = ID_INLINE;
	v->inline_node = n;
	map_set(c->dt->inlines, n->name, v);
	v->name = map_key(c->dt->inlines, n->name);
	r = dt_type(c->dt, n, n->type_expr, &v->type, err);
	return r;
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
	}
	dt->translators =
		xreallocarray(dt->translators, dt->n_translators + 1, sizeof(*dt->translators));
	dt->translators[dt->n_translators++] = n;
	return 0;
}

int
dt_check(struct dt *dt, struct ast *ast, struct error *err)
{
	struct checker c = {.dt = dt, .ast = ast};
	int r = 0;

	for (struct node *n = ast->top; n && r == 0; n = n->next) {
		switch (n->kind) {
		case N_CLAUSE:
			r = check_clause(&c, n, err);
			break;
		case N_DECL:
			r = declare(&c, n, err);
			break;
		case N_INLINE:
			r = declare_inline(&c, n, err);
			break;
		case N_TRANSLATOR:
			r = declare_translator(&c, n, err);
			break;
		case N_PRAGMA:
			r = dt_pragma(dt, n, err);
			break;
		default: /* N_PROVIDER: for -h and -G only */
			break;
		}
	}
	free(c.probes);
	return r;
}
