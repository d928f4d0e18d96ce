/*
 * The plan's format, its checks and its writer; see plan.h.
 */
#include "smf/plan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/str.h"

#define PLAN_MAGIC "SMFPLAN\n"
#define PLAN_VERSION 1
#define PLAN_MAX (256u << 20)

struct plan_header {
	char magic[8];
	uint32_t version;
	uint32_t size; /* of the whole file */
	uint64_t generation;
	uint32_t n_insts, n_pgs, n_props, n_values, strings; /* strings: bytes */
	uint32_t reserved;
};

struct plan_inst {
	uint64_t digest;
	uint32_t fmri, first, n, reserved;
};

struct plan_pg {
	uint32_t name, type, first, n;
};

struct plan_prop {
	uint32_t name, type, first, n;
};

struct plan {
	const struct plan_header *h;
	const struct plan_inst *insts;
	const struct plan_pg *pgs;
	const struct plan_prop *props;
	const uint32_t *values;
	const char *strings;
	bool mapped;
};

/* Every index in range, every string ended, instances in order. */
static int
check(const struct plan *p, struct error *err)
{
	const struct plan_header *h = p->h;
	uint32_t n = h->strings;

	if (n == 0 || p->strings[n - 1] != '\0')
		return error_set(err, EBADMSG, "plan: the string table has no end");
	for (uint32_t i = 0; i < h->n_insts; i++) {
		const struct plan_inst *x = &p->insts[i];

		if (x->fmri >= n || x->first > h->n_pgs || x->n > h->n_pgs - x->first)
			return error_set(err, EBADMSG, "plan: instance %u points outside", i);
		if (i > 0 && strcmp(p->strings + x[-1].fmri, p->strings + x->fmri) >= 0)
			return error_set(err, EBADMSG, "plan: instance %u is out of order", i);
	}
	for (uint32_t i = 0; i < h->n_pgs; i++) {
		const struct plan_pg *x = &p->pgs[i];

		if (x->name >= n || x->type >= n || x->first > h->n_props ||
		    x->n > h->n_props - x->first)
			return error_set(err, EBADMSG, "plan: group %u points outside", i);
	}
	for (uint32_t i = 0; i < h->n_props; i++) {
		const struct plan_prop *x = &p->props[i];

		if (x->name >= n || x->type >= n || x->first > h->n_values ||
		    x->n > h->n_values - x->first)
			return error_set(err, EBADMSG, "plan: property %u points outside", i);
	}
	for (uint32_t i = 0; i < h->n_values; i++) {
		if (p->values[i] >= n)
			return error_set(err, EBADMSG, "plan: value %u points outside", i);
	}
	return 0;
}

static int
attach(struct plan *p, const void *data, size_t size, struct error *err)
{
	const struct plan_header *h = data;
	uint64_t need;

	if (size < sizeof(*h) || memcmp(h->magic, PLAN_MAGIC, sizeof(h->magic)) != 0)
		return error_set(err, EBADMSG, "plan: not a plan file");
	if (h->version != PLAN_VERSION)
		return error_set(err, EBADMSG, "plan: version %u, not %u", h->version,
				 PLAN_VERSION);
	need = sizeof(*h) + (uint64_t)h->n_insts * sizeof(struct plan_inst) +
	       (uint64_t)h->n_pgs * sizeof(struct plan_pg) +
	       (uint64_t)h->n_props * sizeof(struct plan_prop) +
	       (uint64_t)h->n_values * sizeof(uint32_t) + h->strings;
	if (need != size || h->size != size)
		return error_set(err, EBADMSG, "plan: %zu bytes where %llu were written", size,
				 (unsigned long long)need);
	p->h = h;
	p->insts = (const void *)(h + 1);
	p->pgs = (const void *)(p->insts + h->n_insts);
	p->props = (const void *)(p->pgs + h->n_pgs);
	p->values = (const void *)(p->props + h->n_props);
	p->strings = (const void *)(p->values + h->n_values);
	return check(p, err);
}

int
plan_map(const char *path, struct plan **ret, struct error *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_plan struct plan *p = xcalloc(1, sizeof(*p));
	struct stat st;
	void *data;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (st.st_size < (off_t)sizeof(struct plan_header) || st.st_size > PLAN_MAX)
		return error_set(err, EBADMSG, "%s: plan: not a plan file", path);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return error_set_errno(err, errno, "%s", path);
	r = attach(p, data, (size_t)st.st_size, err);
	if (r < 0) {
		munmap(data, (size_t)st.st_size);
		p->h = NULL;
		return error_wrap(err, r, "%s", path);
	}
	p->mapped = true;
	*ret = steal_ptr(&p);
	return 0;
}

int
plan_copy(const void *data, size_t size, struct plan **ret, struct error *err)
{
	cleanup_plan struct plan *p = xcalloc(1, sizeof(*p));
	cleanup_free void *copy = xmemdup(data, size);
	int r;

	r = attach(p, copy, size, err);
	if (r < 0) {
		p->h = NULL;
		return r;
	}
	copy = NULL;
	*ret = steal_ptr(&p);
	return 0;
}

void
plan_free(struct plan *p)
{
	if (!p)
		return;
	if (p->mapped)
		munmap((void *)(uintptr_t)p->h, p->h->size);
	else
		free((void *)(uintptr_t)p->h);
	free(p);
}

uint64_t
plan_generation(const struct plan *p)
{
	return p->h->generation;
}

size_t
plan_size(const struct plan *p)
{
	return p->h->n_insts;
}

const struct plan_inst *
plan_at(const struct plan *p, size_t i)
{
	return &p->insts[i];
}

const struct plan_inst *
plan_find(const struct plan *p, const char *fmri)
{
	size_t lo = 0, hi = p->h->n_insts;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(fmri, p->strings + p->insts[mid].fmri);

		if (c == 0)
			return &p->insts[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const char *
plan_fmri(const struct plan *p, const struct plan_inst *i)
{
	return p->strings + i->fmri;
}

uint64_t
plan_digest(const struct plan_inst *i)
{
	return i->digest;
}

size_t
plan_n_pgs(const struct plan_inst *i)
{
	return i->n;
}

const struct plan_pg *
plan_pg_at(const struct plan *p, const struct plan_inst *i, size_t n)
{
	return &p->pgs[i->first + n];
}

const struct plan_pg *
plan_pg(const struct plan *p, const struct plan_inst *i, const char *name)
{
	for (uint32_t n = 0; n < i->n; n++) {
		const struct plan_pg *g = &p->pgs[i->first + n];

		if (strcmp(p->strings + g->name, name) == 0)
			return g;
	}
	return NULL;
}

const char *
plan_pg_name(const struct plan *p, const struct plan_pg *g)
{
	return p->strings + g->name;
}

const char *
plan_pg_type(const struct plan *p, const struct plan_pg *g)
{
	return p->strings + g->type;
}

size_t
plan_n_props(const struct plan_pg *g)
{
	return g->n;
}

const struct plan_prop *
plan_prop_at(const struct plan *p, const struct plan_pg *g, size_t n)
{
	return &p->props[g->first + n];
}

const struct plan_prop *
plan_prop(const struct plan *p, const struct plan_pg *g, const char *name)
{
	for (uint32_t n = 0; n < g->n; n++) {
		const struct plan_prop *x = &p->props[g->first + n];

		if (strcmp(p->strings + x->name, name) == 0)
			return x;
	}
	return NULL;
}

const char *
plan_prop_name(const struct plan *p, const struct plan_prop *x)
{
	return p->strings + x->name;
}

const char *
plan_prop_type(const struct plan *p, const struct plan_prop *x)
{
	return p->strings + x->type;
}

size_t
plan_n_values(const struct plan_prop *x)
{
	return x->n;
}

const char *
plan_value(const struct plan *p, const struct plan_prop *x, size_t n)
{
	return p->strings + p->values[x->first + n];
}

const char *
plan_get(const struct plan *p, const struct plan_inst *i, const char *pg, const char *prop,
	 const char *fallback)
{
	const struct plan_pg *g = plan_pg(p, i, pg);
	const struct plan_prop *x = g ? plan_prop(p, g, prop) : NULL;

	return x && x->n ? plan_value(p, x, 0) : fallback;
}

uint64_t
plan_get_count(const struct plan *p, const struct plan_inst *i, const char *pg,
	       const char *prop, uint64_t fallback)
{
	const char *s = plan_get(p, i, pg, prop, NULL);

	if (s)
		(void)str_to_u64(s, 10, &fallback); /* not a number: the fallback stays */
	return fallback;
}

bool
plan_get_bool(const struct plan *p, const struct plan_inst *i, const char *pg, const char *prop,
	      bool fallback)
{
	const char *s = plan_get(p, i, pg, prop, NULL);

	if (s)
		(void)str_to_bool(s, &fallback);
	return fallback;
}

/* Writing. */

struct plan_writer {
	struct strbuf insts, pgs, props, values, strings;
	struct map *index; /* string to its offset + 1 */
};

struct plan_writer *
plan_writer_new(void)
{
	struct plan_writer *w = xcalloc(1, sizeof(*w));

	w->index = map_new(NULL);
	strbuf_addc(&w->strings, '\0'); /* offset 0 is "" */
	return w;
}

void
plan_writer_free(struct plan_writer *w)
{
	if (!w)
		return;
	strbuf_done(&w->insts);
	strbuf_done(&w->pgs);
	strbuf_done(&w->props);
	strbuf_done(&w->values);
	strbuf_done(&w->strings);
	map_free(w->index);
	free(w);
}

static uint32_t
intern(struct plan_writer *w, const char *s)
{
	uintptr_t at;

	if (!*s)
		return 0;
	at = (uintptr_t)map_get(w->index, s);
	if (at)
		return (uint32_t)(at - 1);
	at = w->strings.len;
	strbuf_add(&w->strings, s, strlen(s) + 1);
	map_set(w->index, s, (void *)(at + 1));
	return (uint32_t)at;
}

#define COUNT(buf, type) ((uint32_t)((buf).len / sizeof(type)))
#define LAST(buf, type) ((type *)(void *)((buf).data + (buf).len - sizeof(type)))

void
plan_add_inst(struct plan_writer *w, const char *fmri)
{
	struct plan_inst x = {.fmri = intern(w, fmri), .first = COUNT(w->pgs, struct plan_pg)};

	strbuf_add(&w->insts, &x, sizeof(x));
}

void
plan_add_pg(struct plan_writer *w, const char *name, const char *type)
{
	struct plan_pg x = {intern(w, name), intern(w, type), COUNT(w->props, struct plan_prop), 0};

	strbuf_add(&w->pgs, &x, sizeof(x));
	LAST(w->insts, struct plan_inst)->n++;
}

void
plan_add_prop(struct plan_writer *w, const char *name, const char *type)
{
	struct plan_prop x = {intern(w, name), intern(w, type), COUNT(w->values, uint32_t), 0};

	strbuf_add(&w->props, &x, sizeof(x));
	LAST(w->pgs, struct plan_pg)->n++;
}

void
plan_add_value(struct plan_writer *w, const char *value)
{
	uint32_t at = intern(w, value);

	strbuf_add(&w->values, &at, sizeof(at));
	LAST(w->props, struct plan_prop)->n++;
}

void
plan_add_pg_of(struct plan_writer *w, const struct plan *p, const struct plan_pg *g)
{
	plan_add_pg(w, plan_pg_name(p, g), plan_pg_type(p, g));
	for (size_t i = 0; i < plan_n_props(g); i++) {
		const struct plan_prop *x = plan_prop_at(p, g, i);

		plan_add_prop(w, plan_prop_name(p, x), plan_prop_type(p, x));
		for (size_t j = 0; j < plan_n_values(x); j++)
			plan_add_value(w, plan_value(p, x, j));
	}
}

/* FNV-1a over s and its NUL. */
static uint64_t
hash(uint64_t h, const char *s)
{
	do {
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	} while (*s++);
	return h;
}

static uint64_t
digest(const struct plan_writer *w, const struct plan_inst *inst)
{
	const struct plan_pg *pgs = (const void *)w->pgs.data;
	const struct plan_prop *props = (const void *)w->props.data;
	const uint32_t *values = (const void *)w->values.data;
	const char *s = w->strings.data;
	uint64_t h = 0xcbf29ce484222325ull;

	for (uint32_t i = inst->first; i < inst->first + inst->n; i++) {
		h = hash(hash(h, s + pgs[i].name), s + pgs[i].type);
		for (uint32_t j = pgs[i].first; j < pgs[i].first + pgs[i].n; j++) {
			h = hash(hash(h, s + props[j].name), s + props[j].type);
			for (uint32_t k = props[j].first; k < props[j].first + props[j].n; k++)
				h = hash(h, s + values[k]);
		}
		h = hash(h, "\n");
	}
	return h;
}

static int
compare_insts(const void *a, const void *b, void *strings)
{
	const struct plan_inst *x = a, *y = b;
	const char *s = strings;

	return strcmp(s + x->fmri, s + y->fmri);
}

void
plan_finish(struct plan_writer *w, uint64_t generation, void **ret, size_t *ret_size)
{
	struct plan_inst *insts = (void *)w->insts.data;
	struct plan_header h = {
		.version = PLAN_VERSION,
		.generation = generation,
		.n_insts = COUNT(w->insts, struct plan_inst),
		.n_pgs = COUNT(w->pgs, struct plan_pg),
		.n_props = COUNT(w->props, struct plan_prop),
		.n_values = COUNT(w->values, uint32_t),
	};
	struct strbuf out = STRBUF_INIT;

	for (uint32_t i = 0; i < h.n_insts; i++)
		insts[i].digest = digest(w, &insts[i]);
	if (h.n_insts)
		qsort_r(insts, h.n_insts, sizeof(*insts), compare_insts, w->strings.data);
	while (w->strings.len % 4) /* so that snapshots can lie behind each other */
		strbuf_addc(&w->strings, '\0');
	h.strings = (uint32_t)w->strings.len;
	memcpy(h.magic, PLAN_MAGIC, sizeof(h.magic));
	h.size = (uint32_t)(sizeof(h) + w->insts.len + w->pgs.len + w->props.len + w->values.len +
			    w->strings.len);
	strbuf_add(&out, &h, sizeof(h));
	strbuf_add(&out, w->insts.data, w->insts.len);
	strbuf_add(&out, w->pgs.data, w->pgs.len);
	strbuf_add(&out, w->props.data, w->props.len);
	strbuf_add(&out, w->values.data, w->values.len);
	strbuf_add(&out, w->strings.data, w->strings.len);
	*ret_size = out.len;
	*ret = strbuf_steal(&out);
}
