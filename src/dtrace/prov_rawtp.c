/*
 * rawtp:GROUP::NAME: every kernel tracepoint, with its arguments as the kernel
 * passes them, typed by BTF (the typedef btf_trace_NAME is its prototype).
 */
#include <bpf/btf.h>
#include <dirent.h>
#include <string.h>

#include "dtrace/gen.h"

static int
tp_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	bool literal = *part[3] && !strpbrk(part[3], "*?[");

	if (*part[0] && !strpbrk(part[0], "*?[") && !str_eq(part[0], "rawtp"))
		return 0;
	if (literal) {
		cleanup_free char *name = str_printf("btf_trace_%s", part[3]);

		if (ctf_find(dt->kernel, name))
			dt_probe_add(dt, &provider_rawtp, "rawtp", "vmlinux", "", part[3], 0);
		return 0;
	}
	return tracepoints_each(dt, err);
}

static bool
tp_together(const struct probe *a, const struct probe *b)
{
	return false;
}

/* The prototype; its first parameter is the tracepoint's own data. */
static const struct ctf_type *
prototype(struct dt *dt, const struct probe *p)
{
	cleanup_free char *name = str_printf("btf_trace_%s", p->name);
	const struct ctf_type *t = ctf_find(dt->kernel, name);

	return t ? ctf_target(ctf_resolve(t)) : NULL;
}

static const struct ctf_type *
tp_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	const struct ctf_type *proto = prototype(dt, p);

	return proto ? ctf_param_at(proto, i + 1, NULL) : NULL;
}

static int
tp_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	asm_imm(&g->a, R0, h->probes[0]->id);
	return 0;
}

static int
tp_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct ctf_type *proto = prototype(g->dt, h->probes[0]);
	size_t n = proto ? ctf_n_params(proto) : 0;

	if (i + 1 >= n)
		asm_imm(&g->a, R0, 0);
	else
		asm_load(&g->a, 8, R0, R6, (int)(8 * i));
	return 0;
}

static int
tp_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	return hook_attach_tracepoint(dt, h, g, h->probes[0]->name, err);
}

const struct provider provider_rawtp = {
	.name = "rawtp",
	.provide = tp_provide,
	.together = tp_together,
	.arg_type = tp_arg_type,
	.gen_probe = tp_gen_probe,
	.gen_arg = tp_gen_arg,
	.attach = tp_attach,
};
