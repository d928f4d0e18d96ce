/*
 * Clauses: statements and actions.
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

/* --- records */

static void
begin_record(struct clause *cl)
{
	if (!cl->rec_size)
		cl->rec_size = sizeof(struct rec_head) + (cl->conditional ? 8 : 0);
}

void
act_add_rec(struct clause *cl, struct act *a, struct rec rec)
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
struct rec
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
	} else if (dt_is_stack(n->type)) {
		rec.kind = REC_FRAMES;
		rec.size = ctf_size(n->type);
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
	else if (n->kind == N_STRINGOF && !dt_is_string(dt, n->left->type) &&
		 ctf_kind(ctf_resolve(n->left->type)) == CTF_ARRAY)
		bound = ctf_size(n->left->type) + 1;
	bound = (bound + 7) & ~(size_t)7;
	return bound > dt->opts.strsize ? dt->opts.strsize : bound;
}

/* stack(), sym(), usym() and their like: recorded as the keys of aggregations that they may be. */
static int
check_named(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	struct rec rec;
	int r = action_rec(c, n, n->ident, &rec, err);

	if (r < 0)
		return r;
	act_add_rec(c->clause, a, rec);
	n->slot = (int)a->recs[a->n_recs - 1].offset;
	return 0;
}

int
act_record_value(struct checker *c, struct act *a, struct node *n, struct error *err)
{
	struct rec rec;

	if (n->kind == N_AGG)
		return d_error(err, n->line, "D_TRACE_DYN", "an aggregation cannot be recorded");
	if (dt_is_stack_call(n))
		return check_named(c, n, a, err);
	if (dt_is_translation(n))
		return d_error(err, n->line, "D_TRACE_DYN",
			       "a translated structure cannot be recorded: its members can");
	if (ctf_kind(ctf_resolve(n->type)) == CTF_VOID)
		return d_error(err, n->line, "D_TRACE_VOID", "a void value cannot be recorded");
	rec = value_rec(c->dt, n);
	if (c->dt->opts.rawbytes && (rec.kind == REC_PROBE || dt_is_string(c->dt, n->type)))
		rec = (struct rec){.kind = REC_STRING, .size = c->dt->opts.strmax};
	if (!rec.size || rec.size > 8192)
		return d_error(err, n->line, "D_TRACE_DYN", "a value of %zu bytes cannot be recorded",
			       rec.size);
	act_add_rec(c->clause, a, rec);
	n->slot = (int)a->recs[a->n_recs - 1].offset;
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
	bool wants_text = strchr("sSI", piece->conv) || (piece->conv == 'C' && text);
	cleanup_free char *name = NULL;

	if (strchr("eEfgG", piece->conv) && is_floating(n->type))
		return 0;
	if (dt_is_stack(n->type) ? piece->conv == 'k'
	    : n->kind != N_AGG && wants_text
		    ? text
		    : !text && (dt_is_scalar(dt, n->type) || ctf_is_aggregate(n->type)))
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
check_format_text(struct checker *c, struct node *n, struct act *a, struct node **arg, struct error *err)
{
	struct node *text = *arg;

	if (a->action == A_PRINTA && text->kind == N_AGG)
		return 0;
	if (text->kind != N_STRING && a->action != A_PRINTA && check_expr(c, text, err) < 0)
		return -EINVAL;
	if (text->kind != N_STRING && a->action != A_PRINTA && dt_is_string(c->dt, text->type))
		return d_error(err, n->line, "D_PRINTF_ARG_FMT",
			       "%s( ) argument #1 must be a string constant", n->name);
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
		if (show_by_name(&agg->keys[key]) && strchr("cdiouxXDOpP", piece->conv))
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
	int r = check_format_text(c, n, a, &arg, err);

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
	int r;

	for (struct node *v = arg->next; v; v = v->next)
		if ((r = check_expr(c, v, err)) < 0)
			return r;
	if ((r = check_format_text(c, n, a, &arg, err)) < 0)
		return r;
	if ((r = check_conversions(c, n, arg, a->format, err)) < 0)
		return r;
	for (; arg; arg = arg->next)
		if ((r = act_record_value(c, a, arg, err)) < 0)
			return r;
	return 0;
}

/* D_CLEAR_AGGARG, D_TRUNC_AGGARG ... */
static const char *
agg_tag(char *tag, size_t size, const char *action, const char *what)
{
	const char *name = str_eq(action, "denormalize") ? "normalize" : action;
	size_t n = (size_t)snprintf(tag, size, "D_%s_%s", name, what);

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
	return act_record_value(c, a, arg, err);
}

static int
check_values(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	for (struct node *arg = n->args; arg; arg = arg->next) {
		int r = check_expr(c, arg, err);

		if (r < 0 || (r = act_record_value(c, a, arg, err)) < 0)
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
	act_add_rec(c->clause, a,
		    (struct rec){.kind = REC_BYTES, .size = (size_t)n->args->next->value});
	n->slot = (int)a->recs[0].offset;
	return n->args->next->next ? act_record_value(c, a, n->args->next->next, err) : 0;
}

/* Is anything printed, or done by the consumer, because of it? */
static bool
is_recording(enum action a)
{
	return a != A_SPECULATE && a != A_COMMIT && a != A_DISCARD && a != A_RAISE && a != A_STOP &&
	       a != A_CHILL && a != A_COPYOUT && a != A_COPYOUTSTR && a != A_RETURN;
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
		tag = cl->speculates ? "D_SPEC_SPEC"
		      : cl->commits  ? "D_SPEC_COMM"
		      : cl->records  ? "D_SPEC_DREC"
				     : NULL;
		why = cl->speculates ? "may not be used twice in a clause"
		      : cl->commits  ? "may not follow commit( )"
				     : "may not follow data-recording actions";
		cl->speculates = true;
	} else if (a == A_COMMIT || a == A_DISCARD) {
		if (a == A_COMMIT)
			tag = cl->commits ? "D_COMM_COMM" : cl->records ? "D_COMM_DREC" : NULL;
		why = cl->commits ? "may not follow commit( )"
				  : "may not follow data-recording actions";
		cl->commits |= a == A_COMMIT;
		cl->shows &= !cl->commits; /* what is committed has lines of its own */
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
		if (a->action == A_COPYOUT && i == 1 && dt_is_string(c->dt, arg->type))
			continue; /* where it stands */
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
		act_add_rec(c->clause, a, (struct rec){.kind = REC_INT, .size = 8});
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
	return act_record_value(c, a, n->args, err);
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

/* A char array is shown as text if it is that, else as bytes. */
static int
check_trace(struct checker *c, struct node *n, struct act *a, struct error *err)
{
	int r = check_expr(c, n->args, err);

	if (r < 0)
		return r;
	if (!dt_is_string(c->dt, n->args->type) && ctf_is_string(n->args->type) &&
	    dt_in_variable(n->args) && ctf_kind(ctf_resolve(n->args->type)) == CTF_ARRAY) {
		act_add_rec(c->clause, a,
			    (struct rec){.kind = REC_BYTES, .size = ctf_size(n->args->type)});
		n->args->slot = (int)a->recs[0].offset;
		return 0;
	}
	return act_record_value(c, a, n->args, err);
}

static int
check_action(struct checker *c, struct node *n, const struct ident *row, struct error *err)
{
	static int (*const checks[A_NACTIONS])(struct checker *c, struct node *n, struct act *a,
					       struct error *err) = {
		[A_PRINTF] = check_format,	 [A_PRINTA] = check_printa,
		[A_SYSTEM] = check_format,	 [A_FREOPEN] = check_format,
		[A_TRACE] = check_trace,	 [A_EXIT] = check_exit,
		[A_SYM] = check_named,		 [A_FUNC] = check_named,
		[A_MOD] = check_named,		 [A_FTRUNCATE] = check_plain,
		[A_PANIC] = check_plain,	 [A_CLEAR] = check_agg_action,
		[A_TRUNC] = check_agg_action,	 [A_NORMALIZE] = check_agg_action,
		[A_DENORMALIZE] = check_agg_action, [A_STACK] = check_named,
		[A_USTACK] = check_named,	 [A_JSTACK] = check_named,
		[A_TRACEMEM] = check_tracemem,	 [A_USYM] = check_named,
		[A_UFUNC] = check_named,		 [A_UMOD] = check_named,
		[A_UADDR] = check_named,		 [A_RAISE] = check_immediate,
		[A_STOP] = check_immediate,	 [A_CHILL] = check_immediate,
		[A_COPYOUT] = check_immediate,	 [A_COPYOUTSTR] = check_immediate,
		[A_RETURN] = check_immediate,
		[A_SPECULATE] = check_immediate, [A_COMMIT] = check_immediate,
		[A_DISCARD] = check_immediate,	 [A_SETOPT] = check_setopt,
		[A_BREAKPOINT] = check_breakpoint, [A_PRINT] = check_print,
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
	c->clause->records |= is_recording(row->action);
	if (is_recording(row->action) ||
	    (row->destructive && !c->dt->opts.quiet && !c->clause->commits)) {
		c->clause->shows = true;
		begin_record(c->clause);
	}
	if ((r = checks[row->action](c, n, a, err)) < 0)
		return r;
	if (row->destructive && !c->dt->opts.destructive && !c->dt->compile_only)
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
			if ((r = check_choice(c, e, err)) < 0)
				return r;
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
check_predicate(struct checker *c, struct node *n, struct error *err)
{
	int r;

	c->dt->region = "predicate";
	if (!n->left)
		return 0;
	if ((r = check_expr(c, n->left, err)) < 0)
		return r;
	if (!dt_is_scalar(c->dt, n->left->type) ||
	    ctf_kind(ctf_resolve(n->left->type)) == CTF_ARRAY)
		return d_error(err, n->line, "D_PRED_SCALAR",
			       "predicate result must be of scalar type");
	return 0;
}

static bool
only_speculates(const struct clause *cl)
{
	return cl->acts && cl->acts->action == A_SPECULATE && !cl->acts->next && !cl->node->body->next;
}

static int
check_clause(struct checker *c, struct node *n, struct error *err)
{
	cleanup_error struct error none = ERROR_INIT;
	struct node *pred;
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
	pred = n->left ? node_clone(c->ast->arena, n->left) : NULL;
	c->looks_first = true;
	r = check_predicate(c, n, &none);
	c->looks_first = false;
	if (r == 0) {
		dt->region = "action list";
		r = check_statements(c, n->body, err);
	} else { /* it may use what the actions make */
		dt->region = "action list";
		n->left = pred;
		r = !none.path || !str_eq(none.path, "D_IDENT_UNDEF") ? 0 : check_statements(c, n->body, err);
		if (r == 0)
			r = check_predicate(c, n, err);
	}
	/* The default action: tell that the probe fired; speculate() alone does that later. */
	if (r == 0 && (!n->body || only_speculates(cl))) {
		cl->rec_size = sizeof(struct rec_head);
		cl->shows = true;
	}
	c->clause = NULL;
	return r;
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
		case N_INLINE:
		case N_TRANSLATOR:
			r = check_declaration(&c, n, err);
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
