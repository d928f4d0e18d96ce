/* The table of probes, and which of them a description means. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/check.h"
#include "dtrace/priv.h"
#include "dtrace/stable.h"

static const struct provider *const providers[] = {
	&provider_dtrace, &provider_profile, &provider_tick,	&provider_syscall, &provider_rawtp,
	&provider_sdt,	  &provider_proc,    &provider_sched,	&provider_io,	   &provider_ip,
	&provider_tcp,	  &provider_udp,     &provider_vminfo,	&provider_sysinfo, &provider_lockstat,
	&provider_fsinfo, &provider_vfs,     &provider_zfs,	&provider_cpc,	   &provider_fbt,
	&provider_mib,	  &provider_pid,     &provider_usdt};

/*
 * There may be 150,000 probes, and providers are asked again for each
 * description: names are kept once each, probes found by a hash of theirs.
 */
struct chunk {
	struct chunk *next;
	size_t used;
	char data[65536 - 2 * sizeof(void *)];
};

struct probe_table {
	struct chunk *chunks;
	const char **names; /* open hash, a power of two */
	size_t n_names, cap_names;
	struct probe **probes; /* the same, by their names' addresses */
	size_t cap_probes;
};

static void *
take(struct probe_table *t, size_t size, size_t align)
{
	struct chunk *c = t->chunks;
	size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0;

	if (!c || at + size > sizeof(c->data)) {
		c = xmalloc(sizeof(*c));
		c->next = t->chunks;
		t->chunks = c;
		at = 0;
	}
	c->used = at + size;
	return c->data + at;
}

static uint64_t
hash_text(const char *s, size_t *ret_len)
{
	uint64_t h = 0xcbf29ce484222325;
	const char *at = s;

	for (; *at; at++)
		h = (h ^ (unsigned char)*at) * 0x100000001b3;
	*ret_len = (size_t)(at - s);
	return h ^ h >> 29;
}

/* The one copy of a name. */
static const char *
intern(struct probe_table *t, const char *name)
{
	size_t len, i;

	if (2 * t->n_names >= t->cap_names) {
		const char **old = t->names;
		size_t n = t->cap_names;

		t->cap_names = n ? 4 * n : 4096;
		t->names = xcalloc(t->cap_names, sizeof(*t->names));
		for (size_t k = 0; k < n; k++) {
			if (!old[k])
				continue;
			i = hash_text(old[k], &len) & (t->cap_names - 1);
			while (t->names[i])
				i = (i + 1) & (t->cap_names - 1);
			t->names[i] = old[k];
		}
		free(old);
	}
	i = hash_text(name, &len) & (t->cap_names - 1);
	for (; t->names[i]; i = (i + 1) & (t->cap_names - 1))
		if (str_eq(t->names[i], name))
			return t->names[i];
	t->n_names++;
	return t->names[i] = memcpy(take(t, len + 1, 1), name, len + 1);
}

/* Probes made one after the other have names in common: those of the last two are tried first. */
static void
intern_parts(struct dt *dt, struct probe_table *t, const char *const part[4], const char *ret[4])
{
	for (size_t k = 0; k < 4; k++)
		ret[k] = NULL;
	for (size_t back = 1; back <= 2 && back <= dt->n_probes; back++) {
		const struct probe *p = dt->probes[dt->n_probes - back];
		const char *const known[4] = {p->prov, p->mod, p->func, p->name};

		for (size_t k = 0; k < 4; k++)
			if (!ret[k] && part[k][0] == known[k][0] && strcmp(part[k], known[k]) == 0)
				ret[k] = known[k];
	}
	for (size_t k = 0; k < 4; k++)
		if (!ret[k])
			ret[k] = intern(t, part[k]);
}

static size_t
probe_slot(const struct probe_table *t, const char *const part[4])
{
	uint64_t h = 0;
	size_t i;

	for (size_t k = 0; k < 4; k++)
		h = (h ^ (uintptr_t)part[k]) * 0x9e3779b97f4a7c15;
	i = (h >> 20) & (t->cap_probes - 1);
	while (t->probes[i] && (t->probes[i]->func != part[2] || t->probes[i]->name != part[3] ||
				t->probes[i]->mod != part[1] || t->probes[i]->prov != part[0]))
		i = (i + 1) & (t->cap_probes - 1);
	return i;
}

static void
grow_probes(struct dt *dt, struct probe_table *t)
{
	t->cap_probes = t->cap_probes ? 4 * t->cap_probes : 4096;
	free(t->probes);
	t->probes = xcalloc(t->cap_probes, sizeof(struct probe *));
	for (size_t i = 0; i < dt->n_probes; i++) {
		struct probe *p = dt->probes[i];
		const char *const part[4] = {p->prov, p->mod, p->func, p->name};

		t->probes[probe_slot(t, part)] = p;
	}
}

struct probe *
dt_probe_add(struct dt *dt, const struct provider *ops, const char *prov, const char *mod,
	     const char *func, const char *name, uint64_t data)
{
	const char *const given[4] = {prov, mod, func, name};
	struct probe_table *t = dt->table;
	const char *part[4];
	struct probe *p;
	size_t slot;

	if (!t)
		t = dt->table = xcalloc(1, sizeof(*t));
	if (2 * dt->n_probes >= t->cap_probes)
		grow_probes(dt, t);
	intern_parts(dt, t, given, part);
	slot = probe_slot(t, part);
	if (t->probes[slot])
		return t->probes[slot];
	p = take(t, sizeof(*p), _Alignof(struct probe));
	*p = (struct probe){.prov = part[0], .mod = part[1], .func = part[2], .name = part[3],
			    .ops = ops, .data = data};
	if (dt->n_probes % 4096 == 0)
		dt->probes = xreallocarray(dt->probes, dt->n_probes + 4096, sizeof(struct probe *));
	dt->probes[dt->n_probes++] = p;
	p->id = (uint32_t)dt->n_probes;
	t->probes[slot] = p;
	return p;
}

void
dt_probes_free(struct dt *dt)
{
	struct probe_table *t = dt->table;

	for (size_t i = 0; i < dt->n_probes; i++)
		free(dt->probes[i]->clauses);
	free(dt->probes);
	if (!t)
		return;
	while (t->chunks) {
		struct chunk *next = t->chunks->next;

		free(t->chunks);
		t->chunks = next;
	}
	free(t->names);
	free(t->probes);
	free(t);
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

bool
dt_is_glob(const char *part)
{
	return !*part || strpbrk(part, "*?[");
}

bool
dt_part_matches(const char *pattern, const char *value)
{
	if (!*pattern)
		return true;
	if (!strpbrk(pattern, "*?["))
		return strcmp(pattern, value) == 0;
	return fnmatch(pattern, value, 0) == 0;
}

static bool
mod_matches(const struct probe *p, const char *pattern)
{
	/* Scripts say io:genunix::start: there is one kernel proper here. */
	if (p->ops->arg == stable_arg && str_eq(p->mod, "vmlinux") &&
	    (str_eq(pattern, "genunix") || str_eq(pattern, "unix")))
		return true;
	return dt_part_matches(pattern, p->mod) ||
	       (p->ops->mod_matches && p->ops->mod_matches(p, pattern));
}

/* What providers have for a description; once there are `enough` probes no more of them are asked. */
static int
provide(struct dt *dt, const char *const part[4], uint64_t enough, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(providers) && dt->n_probes < enough; i++) {
		int r = priv_provider(dt, providers[i]) ? providers[i]->provide(dt, part, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* A description's $1, $target and the like put in; the caller's. */
static int
expand(struct dt *dt, const char *spec, int line, char **ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	while (*spec) {
		size_t n = strcspn(spec, "$"), len;
		cleanup_free char *name = NULL;
		const char *text;
		int64_t number;
		int r;

		strbuf_add(&b, spec, n);
		spec += n;
		if (!*spec)
			break;
		spec += 1 + (spec[1] == '$');
		len = strspn(spec, "abcdefghijklmnopqrstuvwxyz0123456789_");
		name = xstrndup(spec, len);
		if ((r = dt_macro(dt, name, line, &text, &number, err)) < 0)
			return r;
		if (text)
			strbuf_adds(&b, text);
		else
			strbuf_addf(&b, "%lld", (long long)number);
		spec += len;
	}
	*ret = strbuf_steal(&b);
	return 0;
}

int
dt_probes_match(struct dt *dt, const char *text, int line, struct probe ***ret, size_t *ret_n,
		struct error *err)
{
	static const char *const any[4] = {"", "", "", ""};
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free struct probe **found = NULL;
	cleanup_free char *spec = NULL;
	const char *part[4];
	uint64_t id;
	size_t n = 0;
	int r;

	if ((r = expand(dt, text, line, &spec, err)) < 0)
		return r;
	if (str_to_u64(spec, 10, &id) == 0) {
		if ((r = provide(dt, any, id, err)) < 0)
			return r;
		if (!id || id > dt->n_probes || !priv_probe(dt, dt->probes[id - 1]))
			return d_error(err, line, "D_PDESC_INVAL", "no probe has the id %s", spec);
		found = xcalloc(1, sizeof(*found));
		found[n++] = dt->probes[id - 1];
	} else {
		if ((r = split_spec(spec, &parts, line, err)) < 0)
			return r;
		for (size_t i = 0; i < 4; i++)
			part[i] = parts.v[i];
		free(steal_ptr(&dt->why));
		dt->why_tag = NULL;
		if ((r = provide(dt, part, UINT64_MAX, err)) < 0)
			return r;
		for (size_t i = 0; i < dt->n_probes; i++) {
			struct probe *p = dt->probes[i];

			if (!dt_part_matches(part[0], p->prov) || !mod_matches(p, part[1]) ||
			    !dt_part_matches(part[2], p->func) || !dt_part_matches(part[3], p->name) ||
			    !priv_probe(dt, p))
				continue;
			if (n % 64 == 0)
				found = xreallocarray(found, n + 64, sizeof(*found));
			found[n++] = p;
		}
	}
	if (!n) {
		d_error(err, line, dt->why_tag ? dt->why_tag : "D_PDESC_ZERO", "probe description %s does not match any probes%s%s",
			spec, dt->why ? ": " : "", dt->why ? dt->why : "");
		return -ESRCH;
	}
	*ret = steal_ptr(&found);
	*ret_n = n;
	return 0;
}
