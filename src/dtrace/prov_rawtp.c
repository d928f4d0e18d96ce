/*
 * rawtp:GROUP::NAME and sdt:GROUP::NAME: every kernel tracepoint, with its arguments
 * as the kernel passes them, typed by BTF (the typedef btf_trace_NAME is its
 * prototype; that of a module's tracepoint is in the module's types).
 */
#include <dirent.h>
#include <string.h>

#include "dtrace/gen.h"

static const char *const roots[] = {"/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"};

/* Its prototype; the first parameter is the tracepoint's own data.  NULL: not traceable. */
static const struct ctf_type *
prototype(struct dt *dt, const char *group, const char *name)
{
	cleanup_free char *type = str_printf("btf_trace_%s", name);
	const struct ctf_type *t = ctf_find(dt->kernel, type);
	struct ctf *types;

	/* A module's tracepoints are in groups named after it: kvm, xfs, nfs. */
	if (!t && (types = dt_module_types(dt, group)))
		t = ctf_find(types, type);
	return t ? ctf_target(ctf_resolve(t)) : NULL;
}

static void
each_name(struct dt *dt, const struct provider *ops, const char *root, const char *group,
	  const char *pattern)
{
	cleanup_free char *path = str_printf("%s/%s", root, group);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
		    dt_part_matches(pattern, e->d_name) && prototype(dt, group, e->d_name))
			dt_probe_add(dt, ops, ops->name, group, "", e->d_name, 0);
	if (d)
		closedir(d);
}

/* BEGIN, tick-1s: nothing has to be read to know that it is no tracepoint. */
static bool
is_others(const char *name)
{
	return str_eq(name, "BEGIN") || str_eq(name, "END") || str_eq(name, "ERROR") ||
	       (!dt_is_glob(name) && strchr(name, '-'));
}

static int
tp_provide_as(struct dt *dt, const struct provider *ops, const char *const part[4])
{
	struct dirent *e;
	DIR *d = NULL;

	if (!dt_part_matches(part[0], ops->name) || !dt_part_matches(part[2], "") ||
	    is_others(part[3]))
		return 0;
	/* Without tracefs, or faster than with it: a name is all that is needed. */
	if (!dt_is_glob(part[3]) && (!*part[1] || str_eq(part[1], "vmlinux")) &&
	    prototype(dt, "", part[3])) {
		dt_probe_add(dt, ops, ops->name, "vmlinux", "", part[3], 0);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(roots) && !d; i++) {
		d = opendir(roots[i]);
		while (d && (e = readdir(d)))
			if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
			    dt_part_matches(part[1], e->d_name))
				each_name(dt, ops, roots[i], e->d_name, part[3]);
	}
	if (d)
		closedir(d);
	else if (!dt->why)
		dt->why = xstrdup("tracefs is not mounted: tracepoints cannot be listed");
	return 0;
}

static int
rawtp_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	return tp_provide_as(dt, &provider_rawtp, part);
}

static int
sdt_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	return tp_provide_as(dt, &provider_sdt, part);
}

static const struct ctf_type *
tp_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	const struct ctf_type *proto = prototype(dt, p->mod, p->name);

	return proto ? ctf_param_at(proto, i + 1, NULL) : NULL;
}

static int
tp_prepare(struct dt *dt, struct hook *h, struct error *err)
{
	h->aframes = TRACEPOINT_FRAMES;
	return 0;
}

static int
tp_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	const struct ctf_type *proto = prototype(g->dt, h->probes[0]->mod, h->probes[0]->name);
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
	return hook_attach_raw_tracepoint(dt, h, g, h->probes[0]->name, err);
}

const struct provider provider_rawtp = {
	.name = "rawtp",
	.provide = rawtp_provide,
	.together = hook_alone,
	.arg_type = tp_arg_type,
	.prepare = tp_prepare,
	.gen_probe = hook_gen_probe,
	.gen_arg = tp_gen_arg,
	.attach = tp_attach,
};

const struct provider provider_sdt = {
	.name = "sdt",
	.provide = sdt_provide,
	.together = hook_alone,
	.arg_type = tp_arg_type,
	.prepare = tp_prepare,
	.gen_probe = hook_gen_probe,
	.gen_arg = tp_gen_arg,
	.attach = tp_attach,
};
