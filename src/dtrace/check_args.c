/* args[i]: a probe's typed arguments, translated where the provider says so. */
#include "dtrace/check.h"

/* What args[i] of p is: how it is made, and its type as the program sees it. */
static int
arg_of(struct checker *c, const struct probe *p, unsigned i, struct probe_arg *ret,
       const struct ctf_type **native, const struct ctf_type **shown, struct error *err)
{
	struct dt *dt = c->dt;
	int r;

	*ret = (struct probe_arg){.from = i};
	*native = NULL;
	if (p->ops->arg) {
		if (!p->ops->arg(dt, p, i, ret))
			return 0;
		if ((ret->xlate && !str_eq(ret->xlate, "string") && (r = dt_load_library(dt, err)) < 0) ||
		    (r = ctf_parse(dt->types, ret->native, native, err)) < 0)
			return r;
	} else if (p->ops->arg_type) {
		*native = p->ops->arg_type(dt, p, i);
	}
	*shown = *native;
	if (ret->xlate && str_eq(ret->xlate, "string")) {
		*shown = dt->t_string;
		return 0;
	}
	return ret->xlate ? ctf_parse(dt->types, ret->xlate, shown, err) : 0;
}

int
check_args(struct checker *c, struct node *n, struct error *err)
{
	const struct ctf_type *native = NULL, *shown = NULL;
	struct probe_arg arg;
	struct node *own;
	unsigned i;
	int r;

	if (!n->args || n->args->next)
		return d_error(err, n->line, "D_ARGS_IDX", "args[] takes one constant index");
	if ((r = check_expr(c, n->args, err)) < 0)
		return r;
	if (!ctf_is_integral(n->args->type))
		return d_error(err, n->line, "D_PROTO_ARG", "args[] takes an integer");
	if (!n->args->is_const || n->args->value < 0)
		return d_error(err, n->line, "D_ARGS_IDX", "args[] takes one constant index");
	if (!c->n_probes)
		return d_error(err, n->line, "D_ARGS_NONE", "args[] has no meaning here");
	i = n->args->value > 64 ? 64 : (unsigned)n->args->value;
	for (size_t k = 0; k < c->n_probes; k++) {
		const struct probe *p = c->probes[k];
		const struct ctf_type *one_native, *one_shown;
		struct probe_arg one;

		if ((r = arg_of(c, p, i, &one, &one_native, &one_shown, err)) < 0)
			return d_error(err, n->line, "D_TYPE_ERR", "args[%u] of %s:%s:%s:%s: %s", i,
				       p->prov, p->mod, p->func, p->name, error_message(err));
		if (!one_native)
			return d_error(err, n->line, "D_ARGS_IDX",
				       "index %lld is out of range for %s:%s:%s:%s args[]",
				       (long long)n->args->value, p->prov, p->mod, p->func, p->name);
		if (k && (one.from != arg.from || !ctf_same(one_native, native) ||
			  !ctf_same(one_shown, shown)))
			return d_error(err, n->line, "D_ARGS_MULTI",
				       "args[%u] differs between the probes of this clause (%s:%s and %s:%s)",
				       i, c->probes[0]->func, c->probes[0]->name, p->func, p->name);
		arg = one;
		native = one_native;
		shown = one_shown;
	}
	own = node_new(c->ast->arena, N_INDEX, n->line);
	own->ident = (struct ident *)(uintptr_t)ident_lookup("args");
	own->number = arg.from;
	own->type = native;
	own->is_user = arg.is_user;
	own->library = arg.xlate || c->library;
	if (shown == c->dt->t_string) {
		n->kind = N_STRINGOF;
		n->left = own;
		n->args = NULL;
		n->type = shown;
		n->is_user = own->is_user;
		return 0;
	}
	if (arg.xlate)
		return check_translation(c, n, shown, own, err);
	own->next = n->next;
	*n = *own;
	return 0;
}

int
check_uregs(struct checker *c, struct node *n, struct error *err)
{
	int r;

	if (!n->args || n->args->next)
		return d_error(err, n->line, "D_PROTO_LEN", "uregs[] takes one index");
	if ((r = check_expr(c, n->args, err)) < 0)
		return r;
	if (!n->args->is_const || n->args->value < 0 || n->args->value >= DT_UREGS_ALL)
		return d_error(err, n->line, n->args->is_const ? "D_UNKNOWN" : "D_PROTO_ARG",
			       "uregs[] takes a constant from 0 to %d, as R_PC is", DT_UREGS_ALL - 1);
	n->ident = (struct ident *)(uintptr_t)ident_lookup("uregs");
	n->number = (uint64_t)n->args->value;
	n->type = c->dt->t_ulong;
	return 0;
}
