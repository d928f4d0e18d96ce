/* The table of probes, and which of them a description means. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/dt.h"

static const struct provider *const providers[] = {&provider_dtrace, &provider_profile,
						   &provider_tick, &provider_syscall,
						   &provider_rawtp};

struct probe *
dt_probe_add(struct dt *dt, const struct provider *ops, const char *prov, const char *mod,
	     const char *func, const char *name, uint64_t data)
{
	cleanup_free char *full = str_printf("%s:%s:%s:%s", prov, mod, func, name);
	struct probe *p = map_get(dt->probe_names, full);

	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->prov = xstrdup(prov);
	p->mod = xstrdup(mod);
	p->func = xstrdup(func);
	p->name = xstrdup(name);
	p->ops = ops;
	p->data = data;
	if (dt->n_probes % 256 == 0)
		dt->probes = xreallocarray(dt->probes, dt->n_probes + 256, sizeof(struct probe *));
	dt->probes[dt->n_probes++] = p;
	p->id = (uint32_t)dt->n_probes;
	map_set(dt->probe_names, full, p);
	return p;
}

const char *
dt_probe_part(const struct probe *p, enum builtin part)
{
	return part == B_PROBEPROV   ? p->prov
	       : part == B_PROBEMOD  ? p->mod
	       : part == B_PROBEFUNC ? p->func
				     : p->name;
}

/* "a:b:c:d", "c:d", "d": parts are filled from the right; fewer colons leave the left open. */
static int
split_spec(const char *spec, struct strv *parts, int line, struct error *err)
{
	char *last;

	strv_split(parts, spec, ":");
	if (parts->n > 4)
		return d_error(err, line, "D_PDESC_INVAL",
			       "invalid probe description \"%s\": overspecified", spec);
	/* "c:d" leaves provider and module open. */
	while (parts->n < 4) {
		strv_take(parts, xstrdup(""));
		last = parts->v[parts->n - 1];
		memmove(&parts->v[1], &parts->v[0], (parts->n - 1) * sizeof(char *));
		parts->v[0] = last;
	}
	return 0;
}

static bool
part_matches(const char *pattern, const char *value)
{
	if (!*pattern)
		return true;
	if (!strpbrk(pattern, "*?["))
		return strcmp(pattern, value) == 0;
	return fnmatch(pattern, value, 0) == 0;
}

static int
provide(struct dt *dt, const char *const part[4], struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers); i++) {
		int r = providers[i]->provide(dt, part, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int
dt_probes_all(struct dt *dt, struct error *err)
{
	static const char *const any[4] = {"", "", "", ""};

	return provide(dt, any, err);
}

int
dt_probes_match(struct dt *dt, const char *spec, int line, struct probe ***ret, size_t *ret_n,
		struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free struct probe **found = NULL;
	const char *part[4];
	uint64_t id;
	size_t n = 0;
	int r;

	if (str_to_u64(spec, 10, &id) == 0) {
		if ((r = dt_probes_all(dt, err)) < 0)
			return r;
		if (!id || id > dt->n_probes)
			return d_error(err, line, "D_PDESC_INVAL", "no probe has the id %s", spec);
		found = xcalloc(1, sizeof(*found));
		found[n++] = dt->probes[id - 1];
	} else {
		if ((r = split_spec(spec, &parts, line, err)) < 0)
			return r;
		for (size_t i = 0; i < 4; i++)
			part[i] = parts.v[i];
		if ((r = provide(dt, part, err)) < 0)
			return r;
		for (size_t i = 0; i < dt->n_probes; i++) {
			struct probe *p = dt->probes[i];

			if (!part_matches(part[0], p->prov) || !part_matches(part[1], p->mod) ||
			    !part_matches(part[2], p->func) || !part_matches(part[3], p->name))
				continue;
			if (n % 64 == 0)
				found = xreallocarray(found, n + 64, sizeof(*found));
			found[n++] = p;
		}
	}
	if (!n) {
		d_error(err, line, "D_PDESC_ZERO", "probe description %s does not match any probes",
			spec);
		return -ESRCH;
	}
	*ret = steal_ptr(&found);
	*ret_n = n;
	return 0;
}
