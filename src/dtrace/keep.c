/*
 * Records that are not shown yet: those under speculation, until their clause says
 * what becomes of them, and all of them with bufpolicy fill and ring, until the end.
 */
#include "dtrace/keep.h"

#include <stdlib.h>
#include <string.h>

#include "dtrace/show.h"

struct spec_buf {
	struct strbuf records; /* each behind its size, 8 bytes */
};

void
spec_keep(struct dt *dt, uint32_t id, const void *data, size_t size)
{
	struct spec_buf *s;
	uint64_t n = size;

	if (!dt->specs)
		dt->specs = xcalloc(dt->opts.nspec, sizeof(*dt->specs));
	s = &dt->specs[id - 1];
	strbuf_add(&s->records, &n, sizeof(n));
	strbuf_add(&s->records, data, size);
}

int
spec_end(struct dt *dt, uint64_t id, bool commit, struct error *err)
{
	struct strbuf records = STRBUF_INIT;
	int r = 0;

	if (!id || id > dt->opts.nspec)
		return 0;
	if (dt->specs) {
		records = dt->specs[id - 1].records;
		dt->specs[id - 1].records = (struct strbuf)STRBUF_INIT;
	}
	for (size_t at = 0; commit && r == 0 && at < records.len;) {
		uint64_t n;

		memcpy(&n, records.data + at, sizeof(n));
		r = show_record(dt, records.data + at + 8, err);
		at += 8 + n;
	}
	strbuf_done(&records);
	dt->shared->spec_used[id - 1] = 0;
	dt->shared->spec[id - 1] = SPEC_FREE;
	return r;
}

void
dt_specs_free(struct dt *dt)
{
	for (unsigned i = 0; dt->specs && i < dt->opts.nspec; i++)
		strbuf_done(&dt->specs[i].records);
	free(dt->specs);
}

/* --- bufpolicy: the first bufsize bytes, or the last */

struct kept {
	char *data;
	size_t size;
};

struct kept_list {
	struct kept *v;
	size_t first, n, cap; /* v[first] to v[n - 1] are there */
	uint64_t bytes;
	bool full; /* with BUF_FILL: what is behind that gap is not wanted, but for END's */
};

/* Tracing ends with the first record that has no room, even if a smaller one had. */
void
keep_no_more(struct dt *dt)
{
	if (!dt->kept)
		dt->kept = xcalloc(1, sizeof(*dt->kept));
	dt->kept->full = true;
	dt->exiting = true;
}

void
keep(struct dt *dt, const void *data, size_t size)
{
	struct kept_list *l = dt->kept;

	if (!l)
		l = dt->kept = xcalloc(1, sizeof(*l));
	if (dt->opts.bufpolicy == BUF_FILL && !dt->ending && (l->full || l->bytes + size > dt->opts.bufsize)) {
		keep_no_more(dt);
		return;
	}
	if (l->n == l->cap) {
		if (l->first)
			memmove(l->v, l->v + l->first, (l->n - l->first) * sizeof(*l->v));
		l->n -= l->first;
		l->first = 0;
		if (2 * l->n >= l->cap) {
			l->cap = l->cap ? 2 * l->cap : 256;
			l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
		}
	}
	l->v[l->n++] = (struct kept){xmemdup(data, size), size};
	l->bytes += size;
	while (dt->opts.bufpolicy == BUF_RING && l->bytes > dt->opts.bufsize && l->first < l->n - 1) {
		l->bytes -= l->v[l->first].size;
		free(l->v[l->first++].data);
	}
}

int
dt_flush(struct dt *dt, struct error *err)
{
	struct kept_list *l = dt->kept;
	int r = 0;

	for (; l && l->first < l->n; l->first++) {
		if (r == 0)
			r = show_record(dt, l->v[l->first].data, err);
		free(l->v[l->first].data);
	}
	if (l)
		free(l->v);
	free(l);
	dt->kept = NULL;
	return r;
}
