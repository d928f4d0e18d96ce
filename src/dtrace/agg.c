/*
 * Aggregations read, put in order, cut and cleared: the per-CPU parts are put together, keys that
 * show alike (the same function by two probes) are one row.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/agg.h"
#include "dtrace/show.h"

static void
row_free(const struct agg *a, struct row *row)
{
	for (size_t i = 0; row->shown && i < a->n_keys; i++) {
		char *text;

		if (!show_by_name(&a->keys[i]))
			continue;
		memcpy(&text, row->shown + a->keys[i].offset, sizeof(text));
		free(text);
	}
	free(row->shown);
	free(row->key);
	free(row->words);
	free(row->parts);
}

void
agg_rows_free(const struct agg *a, struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		row_free(a, &rows->v[i]);
	free(rows->v);
}

static void
make_shown(struct dt *dt, const struct agg *a, struct row *row)
{
	row->shown = xmemdup(row->key, a->key_size + 8);
	for (size_t i = 0; i < a->n_keys; i++) {
		char *text;

		if (!show_by_name(&a->keys[i]))
			continue;
		text = show_key(dt, &a->keys[i], row->key);
		memcpy(row->shown + a->keys[i].offset, &text, sizeof(text));
	}
}

/* to += from, as the function adds. */
static void
merge(const struct agg *a, int64_t *to, const int64_t *from)
{
	if (!from[0])
		return;
	if (a->func == AGG_MIN || a->func == AGG_MAX) {
		bool less = a->is_signed ? from[1] < to[1]
					 : (uint64_t)from[1] < (uint64_t)to[1];

		if (!to[0] || (from[1] != to[1] && less == (a->func == AGG_MIN)))
			to[1] = from[1];
		to[0] += from[0];
		return;
	}
	for (size_t i = 0; i < a->n_words; i++) {
		uint64_t sum = (uint64_t)to[i] + (uint64_t)from[i];

		if (a->func == AGG_STDDEV && i == 2 && sum < (uint64_t)to[i])
			to[3]++; /* carry of the 128-bit sum of squares */
		to[i] = (int64_t)sum;
	}
}

static int
compare_keys(struct dt *dt, const struct agg *a, const char *x, const char *y, size_t from)
{
	for (size_t n = 0; n < a->n_keys; n++) {
		size_t i = (from + n) % a->n_keys;
		struct value v = show_value(dt, &a->keys[i], x), w = show_value(dt, &a->keys[i], y);
		int r;

		if (v.text || w.text)
			r = strcmp(v.text ? v.text : "", w.text ? w.text : "");
		else /* D sorts keys as numbers without a sign, whatever they are */
			r = ((uint64_t)v.number > (uint64_t)w.number) -
			    ((uint64_t)v.number < (uint64_t)w.number);
		if (r)
			return r;
	}
	return 0;
}

static int
read_rows(struct dt *dt, struct agg *a, struct rows *rows, struct error *err)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus(), value = a->n_words;
	cleanup_free int64_t *parts = xcalloc(cpus * value, 8);
	cleanup_free char *key = xcalloc(1, a->key_size + 8), *next = xcalloc(1, a->key_size + 8);
	bool first = true;
	uint32_t zero = 0;

	for (;;) {
		struct row row = {0};

		if (a->n_keys) {
			if (bpf_map_get_next_key(a->fd, first ? NULL : key, next) < 0)
				return 0;
			memcpy(key, next, a->key_size);
		} else if (!first) {
			return 0;
		}
		first = false;
		if (bpf_map_lookup_elem(a->fd, a->n_keys ? (void *)key : (void *)&zero, parts) < 0)
			continue; /* removed meanwhile */
		row.words = xcalloc(value, 8);
		for (size_t c = 0; c < cpus; c++)
			merge(a, row.words, parts + c * value);
		if (!row.words[0] && !a->n_keys && !a->cleared) {
			free(row.words);
			continue;
		}
		if (dt->opts.aggpercpu) {
			row.parts = xmemdup(parts, cpus * value * 8);
			row.n_parts = cpus;
		}
		row.key = xmemdup(key, a->key_size + 8);
		make_shown(dt, a, &row);
		rows->v = xreallocarray(rows->v, rows->n + 1, sizeof(*rows->v));
		rows->v[rows->n++] = row;
	}
}

bool
agg_is_histogram(const struct agg *a)
{
	return a->func == AGG_QUANTIZE || a->func == AGG_LQUANTIZE || a->func == AGG_LLQUANTIZE;
}

static void
order_from(const struct agg *a, int64_t power, size_t first, struct agg_order *ret)
{
	int64_t next = power * a->params[0], steps = a->params[3];
	int64_t width = next < steps ? 1 : next / steps;

	*ret = (struct agg_order){
		power, next, width, first, (size_t)(next / width - power / width),
	};
}

void
agg_order_first(const struct agg *a, struct agg_order *ret)
{
	int64_t power = 1;

	for (int64_t m = 0; m < a->params[1]; m++)
		power *= a->params[0];
	order_from(a, power, 2, ret); /* behind the number of additions and what is below */
}

void
agg_order_next(const struct agg *a, struct agg_order *o)
{
	order_from(a, o->next, o->first + o->n, o);
}

/* Lower bound of llquantize()'s bucket; of the last one, where it ends. */
static int64_t
order_value(const struct agg *a, size_t word)
{
	struct agg_order o;
	int64_t at;

	agg_order_first(a, &o);
	while (word > o.first + o.n || (word == o.first + o.n && word + 1 < a->n_words))
		agg_order_next(a, &o);
	if (word == o.first + o.n)
		return o.next;
	at = ((int64_t)(word - o.first) + o.power / o.width) * o.width;
	return at < o.power ? o.power : at;
}

long double
agg_result(const struct agg *a, const int64_t *w)
{
	unsigned __int128 squares;
	__int128 mean, left;

	switch (a->func) {
	case AGG_COUNT:
		return (long double)w[0];
	case AGG_AVG:
		return w[0] ? (long double)(w[1] / w[0]) : 0;
	case AGG_STDDEV: /* in whole numbers: what is left of two great ones is small */
		if (!w[0])
			return 0;
		squares = ((unsigned __int128)(uint64_t)w[3] << 64 | (uint64_t)w[2]) / (uint64_t)w[0];
		mean = w[1] / w[0];
		left = (__int128)squares - mean * mean;
		return left > 0 ? sqrtl((long double)left) : 0;
	case AGG_QUANTIZE:
	case AGG_LQUANTIZE:
	case AGG_LLQUANTIZE:
	case AGG_NONE:
		return 0;
	case AGG_SUM:
	case AGG_MIN:
	case AGG_MAX:
		break;
	}
	return a->is_signed ? (long double)w[1] : (long double)(uint64_t)w[1];
}

int64_t
agg_bucket_value(const struct agg *a, size_t word)
{
	int64_t i = (int64_t)word - 1;

	switch (a->func) {
	case AGG_QUANTIZE:
		return i == 63 ? 0 : i > 63 ? 1ll << (i - 64) : -(1ll << (62 - i));
	case AGG_LQUANTIZE:
		return a->params[0] + (i - 1) * a->params[2];
	default:
		return order_value(a, word);
	}
}

/* What a bucket counts for where distributions are put in order: what is beyond the bounds by one. */
static int64_t
bucket_weight(const struct agg *a, size_t word)
{
	if (a->func == AGG_QUANTIZE)
		return agg_bucket_value(a, word);
	return word == 1		? agg_bucket_value(a, 2) - 1
	       : word + 1 == a->n_words ? agg_bucket_value(a, word) + 1
					: agg_bucket_value(a, word);
}

/* The values in it together, and how many of them are zero. */
static long double
distribution_sum(const struct agg *a, const int64_t *w, int64_t *ret_zeros)
{
	long double sum = 0;

	*ret_zeros = 0;
	for (size_t i = 1; i < a->n_words; i++) {
		int64_t weight = w[i] ? bucket_weight(a, i) : 1;

		sum += (long double)w[i] * (long double)weight;
		if (!weight)
			*ret_zeros += w[i];
	}
	return sum;
}

/*
 * A distribution is as great as the values in it together; of equal ones that with more zeros, as
 * libdtrace of illumos has it (dt_aggregate.c).
 */
static int
compare_distributions(const struct agg *a, const int64_t *x, const int64_t *y)
{
	int64_t zx, zy;
	long double sx = distribution_sum(a, x, &zx), sy = distribution_sum(a, y, &zy);

	return sx != sy ? (sx > sy) - (sx < sy) : (zx > zy) - (zx < zy);
}

/* What trunc() goes by, however rows are shown. */
static int
by_value(const void *px, const void *py, void *arg)
{
	const struct row *x = px, *y = py;
	struct order *o = arg;
	long double a = agg_result(o->a, x->words), b = agg_result(o->a, y->words);
	int r = agg_is_histogram(o->a) ? compare_distributions(o->a, x->words, y->words)
				       : (a > b) - (a < b);

	return r ? r
		 : compare_keys(o->dt, o->a, x->shown, y->shown, (size_t)o->dt->opts.aggsortkeypos);
}

static int
by_option(const void *px, const void *py, void *arg)
{
	const struct row *x = px, *y = py;
	struct order *o = arg;
	const struct dt_opts *opts = &o->dt->opts;
	int r = opts->aggsortkey
			? compare_keys(o->dt, o->a, x->shown, y->shown, (size_t)opts->aggsortkeypos)
			: by_value(px, py, arg);

	return opts->aggsortrev ? -r : r;
}

int
agg_rows_by_key(const void *px, const void *py, void *arg)
{
	struct order *o = arg;

	return compare_keys(o->dt, o->a, ((const struct row *)px)->shown,
			    ((const struct row *)py)->shown, 0);
}

int
agg_collect(struct dt *dt, struct agg *a, struct rows *rows, struct error *err)
{
	struct order order = {dt, a};
	size_t to = 0;
	int r = read_rows(dt, a, rows, err);

	if (r < 0 || rows->n < 2)
		return r;
	qsort_r(rows->v, rows->n, sizeof(*rows->v), agg_rows_by_key, &order);
	for (size_t i = 1; i < rows->n; i++) {
		if (compare_keys(dt, a, rows->v[to].shown, rows->v[i].shown, 0) == 0) {
			merge(a, rows->v[to].words, rows->v[i].words);
			row_free(a, &rows->v[i]);
		} else {
			rows->v[++to] = rows->v[i];
		}
	}
	rows->n = to + 1;
	qsort_r(rows->v, rows->n, sizeof(*rows->v), by_option, &order);
	return 0;
}

static void
zero_row(const struct agg *a, const struct row *row, size_t cpus)
{
	cleanup_free int64_t *zeros = xcalloc(cpus * a->n_words, 8);
	uint32_t zero = 0;

	bpf_map_update_elem(a->fd, a->n_keys ? (void *)row->key : (void *)&zero, zeros, BPF_ANY);
}

static void
remove_row(const struct agg *a, const struct row *row, size_t cpus)
{
	if (a->n_keys)
		bpf_map_delete_elem(a->fd, row->key);
	else
		zero_row(a, row, cpus);
}

int
agg_truncate(struct dt *dt, struct agg *a, int64_t n, struct error *err)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus(), keep = (size_t)(n < 0 ? -n : n), k = 0;
	struct order order = {dt, a};
	struct rows shown = {0}, all = {0};
	struct row *kept;
	int r = agg_collect(dt, a, &shown, err);

	if (r == 0)
		r = read_rows(dt, a, &all, err);
	if (shown.n)
		qsort_r(shown.v, shown.n, sizeof(*shown.v), by_value, &order);
	keep = keep < shown.n ? keep : shown.n;
	kept = shown.v + (n < 0 ? 0 : shown.n - keep);
	/* Both in the order of keys: one walk finds whose key is among those that are kept. */
	if (keep)
		qsort_r(kept, keep, sizeof(*kept), agg_rows_by_key, &order);
	if (all.n)
		qsort_r(all.v, all.n, sizeof(*all.v), agg_rows_by_key, &order);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		while (k < keep && agg_rows_by_key(&kept[k], &all.v[i], &order) < 0)
			k++;
		if (k == keep || agg_rows_by_key(&kept[k], &all.v[i], &order) != 0)
			remove_row(a, &all.v[i], cpus);
	}
	agg_rows_free(a, &shown);
	agg_rows_free(a, &all);
	return r;
}

int
agg_clear(struct dt *dt, struct agg *a, struct error *err)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct rows rows = {0};
	int r = read_rows(dt, a, &rows, err); /* each key, also those that are shown as one */

	a->cleared |= rows.n > 0; /* what was there is shown as 0 from now on */
	for (size_t i = 0; r == 0 && i < rows.n; i++)
		zero_row(a, &rows.v[i], cpus);
	agg_rows_free(a, &rows);
	return r;
}

/* --- for other programs */

struct dt_agg_snap {
	size_t n;
	struct {
		struct agg *agg;
		struct rows rows;
	} v[];
};

void
dt_agg_snap_free(struct dt_agg_snap *s)
{
	for (size_t i = 0; s && i < s->n; i++)
		agg_rows_free(s->v[i].agg, &s->v[i].rows);
	free(s);
}

int
dt_agg_snap(struct dt *dt, struct dt_agg_snap **ret, struct error *err)
{
	struct dt_agg_snap *s = xcalloc(1, sizeof(*s) + dt->n_aggs * sizeof(s->v[0]));
	int r = 0;

	for (; s->n < dt->n_aggs && r == 0; s->n++) {
		s->v[s->n].agg = dt->agg_list[s->n];
		r = agg_collect(dt, s->v[s->n].agg, &s->v[s->n].rows, err);
	}
	if (r < 0) {
		dt_agg_snap_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* What was read is kept; in which order it comes is asked anew. */
int
dt_agg_snap_walk(struct dt *dt, struct dt_agg_snap *s,
		 int (*fn)(void *arg, struct agg *a, const struct dt_agg_row *row), void *arg)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	int r = AGG_NEXT;

	for (size_t i = 0; i < s->n; i++) {
		size_t at = dt->opts.aggsortrev ? s->n - 1 - i : i;
		struct agg *a = s->v[at].agg;
		struct rows *rows = &s->v[at].rows;
		struct order order = {dt, a};

		if (rows->n > 1)
			qsort_r(rows->v, rows->n, sizeof(*rows->v), by_option, &order);
		for (size_t k = 0; k < rows->n; k++) {
			struct row *row = &rows->v[k];

			r = fn(arg, a, &(struct dt_agg_row){row->key, row->words});
			if (r < 0 || r == AGG_STOP)
				return r < 0 ? r : 0;
			if (r == AGG_CLEAR) {
				a->cleared = true;
				zero_row(a, row, cpus);
				memset(row->words, 0, a->n_words * sizeof(*row->words));
			} else if (r == AGG_REMOVE) {
				remove_row(a, row, cpus);
				row_free(a, row);
				memmove(row, row + 1, (--rows->n - k) * sizeof(*row));
				k--;
			}
		}
	}
	return 0;
}
