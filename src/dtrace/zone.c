/*
 * -z ZONE: only what that zone's processes do.
 *
 * Every process of a zone is in or below its cgroup (zones/NAME), whose id is
 * never used again: each program compares it before it does anything else, so
 * what other zones do costs one call.  BEGIN, END and tick fire as always.
 */
#include <bpf/bpf.h>

#include "dtrace/priv.h"
#include "os/cgroup.h"

#define ZONE_LEVEL 2 /* below the root: zones, NAME */

/* A name, and no way out of zones/. */
static bool
is_zone_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 64;
}

int
dt_find_zone(struct dt *dt, struct error *err)
{
	const char *name = dt->opts.zone;
	cleanup_free char *path = name ? str_printf("zones/%s", name) : NULL;
	cleanup_close int fd = -1;
	int r;

	if (!name || str_eq(name, "all"))
		return 0;
	if (!is_zone_name(name))
		return error_set(err, EINVAL, "-z %s: not a zone's name", name);
	if (str_eq(name, "global"))
		return error_set(err, ENOTSUP,
				 "-z global: the global zone is traced with a predicate: /zonename == \"global\"/");
	if ((r = cgroup_open(path, &fd, err)) < 0)
		return error_set(err, -r, "-z %s: no such zone is running", name);
	dt->zone_id = cgroup_id(fd);
	return dt->zone_id ? 0 : error_set(err, EIO, "-z %s: the zone's cgroup has no id", name);
}

void
gen_zone(struct gen *g)
{
	const struct provider *ops = g->hook->probes[0]->ops;
	struct asmb *a = &g->a;

	g->nobody = g->dt->confine && (ops->manual || ops == &provider_tick);
	if (ops->manual || ops == &provider_tick)
		return;
	if (g->dt->confine)
		gen_confine(g);
	if (!g->dt->zone_id)
		return;
	asm_imm(a, R1, ZONE_LEVEL);
	asm_call(a, BPF_FUNC_get_current_ancestor_cgroup_id);
	asm_imm(a, R1, (int64_t)g->dt->zone_id);
	asm_jcc(a, BPF_JNE, R0, R1, g->leave);
}
