/*
 * Aggregations: their keys, which also may be stacks and addresses to be shown by
 * name, and the parameters of their functions.
 */
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"
#include "dtrace/show.h"

struct agg *
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
int
stack_rec(struct checker *c, struct node *n, enum action action, struct rec *ret,
	  struct error *err)
{
	struct dt *dt = c->dt;
	unsigned frames = action == A_STACK ? dt->opts.stackframes : dt->opts.ustackframes;

	if (action != A_STACK)
		dt->uses_rt = dt->takes_ustacks = true;
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
int
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
		c->dt->uses_rt = c->dt->takes_usyms = true;
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
	if (!dt_is_scalar(c->dt, n->args->type))
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
	if (k->kind == N_XLATE || (!dt_is_scalar(c->dt, k->type) && !dt_is_string(c->dt, k->type) &&
				   !ctf_is_string(k->type) && !dt_is_stack(k->type)))
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
		if (a->keys[i].kind == REC_INT && rec.kind == REC_INT)
			continue;
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

		if (!ll && i == 2 && params[1] <= params[0])
			break; /* that is what is told */

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

static size_t
llquantize_words(const struct agg *a)
{
	struct agg_order o;

	agg_order_first(a, &o);
	for (int64_t m = a->params[1]; m < a->params[2]; m++)
		agg_order_next(a, &o);
	return o.first + o.n + 1;
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
		return llquantize_words(a);
	case AGG_NONE:
		break;
	}
	return 0;
}

/* @name[keys] = func(args) */
int
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

