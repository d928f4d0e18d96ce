/*
 * How a stable provider's rows become programs: the condition and the arguments
 * are parsed, checked and generated like any D expression, but on an inner probe,
 * which is the place in the kernel itself.
 */
#include "dtrace/stable.h"

#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/function.h"
#include "dtrace/parse.h"

enum site { AT_TRACEPOINT, AT_ENTRY, AT_RETURN };

/* hook->own of a stable probe, and inner.own points to it, too. */
struct stable_hook {
	struct function_hook fn; /* if it is a function */
	enum site place;
	char name[96], module[64];
	struct probe raw, *raw_list[1];
	struct hook inner; /* of `raw` alone: for the generator */
	struct node *when, *args[ARRAY_SIZE(((struct stable_probe *)0)->args)];
};

static const struct stable_probe *
row_of(const struct probe *p)
{
	return (const struct stable_probe *)(uintptr_t)p->data;
}

/* A tracepoint calls first what was attached first, a function what was attached last. */
int
stable_order(const struct probe *a, const struct probe *b)
{
	const struct stable_probe *first = row_of(a), *second = row_of(b);
	bool point = str_after(first->at, "tp ");

	if (point != (bool)str_after(second->at, "tp "))
		return point ? -1 : 1;
	return point == (first < second) ? -1 : 1;
}

/* "entry zfs`spa_sync" in its parts. */
static enum site
place_of(const char *at, char module[64], char name[96])
{
	static const char *const kinds[] = {"tp ", "entry ", "return "};
	const char *rest = NULL, *tick;
	size_t i = 0;

	while (i < ARRAY_SIZE(kinds) && !(rest = str_after(at, kinds[i])))
		i++;
	if (!rest)
		abort();
	tick = strchr(rest, '`');
	snprintf(module, 64, "%.*s", tick ? (int)(tick - rest) : 7, tick ? rest : "vmlinux");
	snprintf(name, 96, "%s", tick ? tick + 1 : rest);
	return (enum site)i;
}

static void
say_why(struct dt *dt, const char *what, const char *name)
{
	free(dt->why);
	dt->why = str_printf("this kernel has no %s \"%s\"", what, name);
}

/* Is it there, and what is it called here?  NULL if it is not. */
static const char *
find_place(struct dt *dt, enum site place, const char *module, const char *name)
{
	cleanup_free char *type = NULL;
	const struct function *f;
	struct ctf *types;

	if (place == AT_TRACEPOINT) {
		type = str_printf("btf_trace_%s", name);
		if (ctf_kernel_id(dt->kernel, CTF_TYPEDEF, type))
			return name;
		say_why(dt, "tracepoint", name);
		return NULL;
	}
	types = dt_module_types(dt, module);
	if (types && ctf_kernel_id(types, CTF_FUNCTION, name))
		return name;
	f = function_find(dt, name);
	if (f && str_eq(f->module, module))
		return f->name;
	if (str_eq(module, "vmlinux"))
		say_why(dt, "function", name);
	else
		say_why(dt, "module with a traceable function", name);
	return NULL;
}

int
stable_provide(struct dt *dt, const struct provider *ops, const struct stable_probe *rows, size_t n,
	       const char *const part[4], struct error *err)
{
	char module[64], name[96];

	if (!dt_part_matches(part[0], ops->name))
		return 0;
	for (size_t i = 0; i < n; i++) {
		enum site place = place_of(rows[i].at, module, name);
		const char *found;

		if (!dt_part_matches(part[3], rows[i].name))
			continue;
		found = find_place(dt, place, module, name);
		if (found)
			dt_probe_add(dt, ops, ops->name, module, found, rows[i].name,
				     (uintptr_t)&rows[i]);
	}
	return 0;
}

bool
stable_arg(struct dt *dt, const struct probe *p, unsigned i, struct probe_arg *ret)
{
	const struct stable_probe *row = row_of(p);

	if (i >= ARRAY_SIZE(row->args) || !row->args[i].expr)
		return false;
	*ret = (struct probe_arg){.native = row->args[i].native, .xlate = row->args[i].xlate,
				  .from = i, .is_user = row->args[i].is_user};
	return true;
}

const char *
stable_aux(const struct probe *p)
{
	return row_of(p)->aux;
}

/* --- the inner probe */

static const struct ctf_type *
raw_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	const struct stable_hook *sh = (const struct stable_hook *)(uintptr_t)p->data;
	cleanup_free char *name = NULL;
	const struct ctf_type *t;

	if (sh->place != AT_TRACEPOINT) {
		if (sh->fn.proto && i < ctf_n_params(sh->fn.proto))
			return ctf_param_at(sh->fn.proto, i, NULL);
		return i < 6 ? dt->t_ulong : NULL;
	}
	name = str_printf("btf_trace_%s", p->name);
	t = ctf_find(dt->kernel, name);
	return t ? ctf_param_at(ctf_target(ctf_resolve(t)), i + 1, NULL) : NULL;
}

static int
raw_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct stable_hook *sh = h->own;

	if (sh->place != AT_TRACEPOINT)
		return function_gen_arg(g, &sh->fn, i, err);
	asm_load(&g->a, 8, R0, R6, (int)(8 * i));
	return 0;
}

static const struct provider provider_raw = {
	.name = "raw",
	.arg_type = raw_arg_type,
	.gen_arg = raw_gen_arg,
};

/* A D expression as a checked tree, which dt keeps.  The library's own names begin with "d_". */
static int
compile(struct dt *dt, struct stable_hook *sh, const char *expr, struct node **ret,
	struct error *err)
{
	cleanup_free char *text = str_printf("a:b:c:d\n/%s/ { }", expr);
	struct probe *probes[] = {&sh->raw};
	struct ast *ast;
	struct param param = {.name = "ret"};
	struct checker c = {.dt = dt, .probes = probes, .n_probes = 1, .params = &param,
			    .library = true};
	int r;

	if ((strstr(expr, "d_") && (r = dt_load_library_for(dt, expr, err)) < 0) ||
	    (r = dt_parse(dt, text, strlen(text), "", &ast, err)) < 0)
		return r;
	c.ast = ast;
	if (sh->place == AT_RETURN) {
		param.value = node_new(ast->arena, N_INDEX, 1);
		param.value->ident = (struct ident *)(uintptr_t)ident_lookup("args");
		param.value->number = FN_RESULT;
		param.type = sh->fn.proto ? ctf_target(sh->fn.proto) : dt->t_long;
		param.value->type = param.type;
		c.n_params = 1;
	}
	*ret = ast->top->left;
	return check_expr(&c, *ret, err);
}

int
stable_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	const struct stable_probe *row = row_of(h->probes[0]);
	struct stable_hook *sh = xcalloc(1, sizeof(*sh));
	int r = 0;

	h->own = sh;
	sh->place = place_of(row->at, sh->module, sh->name);
	snprintf(sh->name, sizeof(sh->name), "%s", h->probes[0]->func);
	sh->raw = (struct probe){.prov = row->name, .mod = "", .func = sh->name, .name = sh->name,
				 .ops = &provider_raw, .data = (uintptr_t)sh};
	sh->raw_list[0] = &sh->raw;
	sh->inner = (struct hook){.probes = sh->raw_list, .n = 1, .own = sh};
	if (sh->place != AT_TRACEPOINT)
		function_choose(dt, &sh->fn, sh->name, sh->module, sh->place == AT_RETURN, 1);
	h->aframes = sh->place == AT_TRACEPOINT ? TRACEPOINT_FRAMES : function_frames(&sh->fn);
	if (row->when)
		r = compile(dt, sh, row->when, &sh->when, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(row->args); i++)
		if (row->args[i].expr)
			r = compile(dt, sh, row->args[i].expr, &sh->args[i], err);
	if (r < 0)
		return error_wrap(err, r, "%s:%s does not fit this kernel", h->probes[0]->prov,
				  row->name);
	return 0;
}

int
stable_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	const struct stable_hook *sh = h->own;
	int r;

	if (sh->when) {
		g->hook = &sh->inner;
		g->faults_leave = true;
		r = gen_scalar(g, sh->when, err);
		g->faults_leave = false;
		g->hook = h;
		if (r < 0)
			return r;
		asm_jcci(&g->a, BPF_JEQ, R0, 0, g->leave);
	}
	asm_imm(&g->a, R0, h->probes[0]->id);
	return 0;
}

int
stable_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct stable_hook *sh = h->own;
	int r;

	if (i >= ARRAY_SIZE(sh->args) || !sh->args[i]) {
		asm_imm(&g->a, R0, 0);
		return 0;
	}
	g->hook = &sh->inner;
	r = gen_scalar(g, sh->args[i], err);
	g->hook = h;
	return r;
}

int
stable_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	struct stable_hook *sh = h->own;

	if (sh->place == AT_TRACEPOINT)
		return hook_attach_raw_tracepoint(dt, h, g, sh->name, err);
	return function_attach(dt, h, g, &sh->fn, &(struct function){sh->fn.name, sh->fn.module},
			       NULL, 1, err);
}
