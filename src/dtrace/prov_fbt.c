/*
 * fbt:MODULE:FUNCTION:entry and return: every function of the kernel and its
 * modules that can be traced.  entry's arguments are the function's; return's
 * arg0 is 0 (illumos has the offset of the return instruction there), arg1 the
 * result.  A few functions get a trampoline each, many share a program (attach.c).
 */
#include <stdlib.h>
#include <string.h>

#include "dtrace/function.h"

#define ENTRY 0
#define RETURN 1

static void
add(struct dt *dt, const char *const part[4], const char *module, const char *name)
{
	if (dt_part_matches(part[3], "entry"))
		dt_probe_add(dt, &provider_fbt, "fbt", module, name, "entry", ENTRY);
	if (dt_part_matches(part[3], "return"))
		dt_probe_add(dt, &provider_fbt, "fbt", module, name, "return", RETURN);
}

static int
fbt_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	const struct functions *fs;
	struct ctf *types;

	if (!dt_part_matches(part[0], "fbt") ||
	    (!dt_part_matches(part[3], "entry") && !dt_part_matches(part[3], "return")))
		return 0;
	/* A name the types know needs no list: whether it can be traced is seen at once. */
	if (!dt_is_glob(part[2]) && !strpbrk(part[1], "*?[")) {
		const char *module = *part[1] ? part[1] : "vmlinux";

		types = dt_module_types(dt, module);
		if (types && ctf_kernel_id(types, CTF_FUNCTION, part[2])) {
			add(dt, part, module, part[2]);
			return 0;
		}
	}
	fs = dt_functions(dt);
	for (size_t i = 0; fs && i < fs->n; i++)
		if (dt_part_matches(part[2], fs->f[i].name) &&
		    dt_part_matches(part[1], fs->f[i].module))
			add(dt, part, fs->f[i].module, fs->f[i].name);
	return 0;
}

static bool
fbt_together(const struct probe *a, const struct probe *b)
{
	return a->data == b->data;
}

static const struct ctf_type *
fbt_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	struct ctf *types = dt_module_types(dt, p->mod);
	const struct ctf_type *proto = types ? ctf_find_function(types, p->func) : NULL;

	if (p->data == RETURN && i == 0)
		return dt->t_int;
	if (!proto)
		return NULL;
	if (p->data == RETURN)
		return i == 1 && ctf_size(ctf_target(proto)) ? ctf_target(proto) : NULL;
	return i < ctf_n_params(proto) ? ctf_param_at(proto, i, NULL) : NULL;
}

static int
fbt_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	const struct probe *p = h->probes[0];
	struct function_hook *fh = xcalloc(1, sizeof(*fh));

	function_choose(dt, fh, p->func, p->mod, p->data == RETURN, h->n);
	h->own = fh;
	h->aframes = function_frames(fh);
	return 0;
}

static int
fbt_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	if (h->n == 1) {
		asm_imm(&g->a, R0, h->probes[0]->id);
		return 0;
	}
	asm_mov(&g->a, R1, R6);
	asm_call(&g->a, BPF_FUNC_get_attach_cookie);
	return 0;
}

static int
fbt_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	if (h->probes[0]->data == ENTRY)
		return function_gen_arg(g, h->own, i, err);
	if (i == 1)
		return function_gen_arg(g, h->own, FN_RESULT, err);
	asm_imm(&g->a, R0, 0);
	return 0;
}

static int
fbt_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	cleanup_free struct function *f = xcalloc(h->n, sizeof(*f));
	cleanup_free uint64_t *cookies = xcalloc(h->n, sizeof(*cookies));

	for (size_t i = 0; i < h->n; i++) {
		f[i] = (struct function){h->probes[i]->func, h->probes[i]->mod};
		cookies[i] = h->probes[i]->id;
	}
	if (h->n == 1)
		f[0].name = ((struct function_hook *)h->own)->name;
	return function_attach(dt, h, g, h->own, f, cookies, h->n, err);
}

const struct provider provider_fbt = {
	.name = "fbt",
	.provide = fbt_provide,
	.together = fbt_together,
	.arg_type = fbt_arg_type,
	.prepare = fbt_prepare,
	.gen_probe = fbt_gen_probe,
	.gen_arg = fbt_gen_arg,
	.attach = fbt_attach,
	.alone = FN_FEW,
};
