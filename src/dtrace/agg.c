/*
 * Aggregations read, sorted and printed: the per-CPU parts are put together,
 * keys that show alike (the same function by two probes) are one row.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dtrace/show.h"

struct row {
	char *key;	/* as in the map */
	char *shown;	/* the same, with names for addresses; owns them */
	int64_t *words; /* summed over CPUs */
};

struct rows {
	struct row *v;
	size_t n;
};

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
}

static void
rows_free(const struct agg *a, struct rows *rows)
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
		else if (v.is_signed)
			r = (v.number > w.number) - (v.number < w.number);
		else
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
		row.key = xmemdup(key, a->key_size + 8);
		make_shown(dt, a, &row);
		rows->v = xreallocarray(rows->v, rows->n + 1, sizeof(*rows->v));
		rows->v[rows->n++] = row;
	}
}

/* What rows are sorted by, and what is printed, of a function that gives one number. */
static double
result_of(const struct agg *a, const int64_t *w)
{
	unsigned __int128 squares;
	__int128 mean, left;
	double n = (double)w[0], sum;

	switch (a->func) {
	case AGG_COUNT:
		return n;
	case AGG_AVG:
		return n ? (double)(w[1] / w[0]) : 0;
	case AGG_STDDEV: /* in whole numbers: what is left of two great ones is small */
		if (!w[0])
			return 0;
		squares = ((unsigned __int128)(uint64_t)w[3] << 64 | (uint64_t)w[2]) / (uint64_t)w[0];
		mean = w[1] / w[0];
		left = (__int128)squares - mean * mean;
		return left > 0 ? sqrt((double)left) : 0;
	case AGG_QUANTIZE:
	case AGG_LQUANTIZE:
	case AGG_LLQUANTIZE:
	case AGG_NONE:
		sum = 0;
		for (size_t i = 1; i < a->n_words; i++)
			sum += (double)w[i];
		return sum;
	case AGG_SUM:
	case AGG_MIN:
	case AGG_MAX:
		break;
	}
	return a->is_signed ? (double)w[1] : (double)(uint64_t)w[1];
}

struct order {
	struct dt *dt;
	struct agg *a;
};

static int
by_value(const void *px, const void *py, void *arg)
{
	const struct row *x = px, *y = py;
	struct order *o = arg;
	const struct dt_opts *opts = &o->dt->opts;
	double a = result_of(o->a, x->words), b = result_of(o->a, y->words);
	int r = (a > b) - (a < b);

	if (opts->aggsortkey || !r)
		r = compare_keys(o->dt, o->a, x->shown, y->shown, (size_t)opts->aggsortkeypos);
	return opts->aggsortrev ? -r : r;
}

static int
by_key(const void *px, const void *py, void *arg)
{
	struct order *o = arg;

	return compare_keys(o->dt, o->a, ((const struct row *)px)->shown,
			    ((const struct row *)py)->shown, 0);
}

static int
collect(struct dt *dt, struct agg *a, struct rows *rows, struct error *err)
{
	struct order order = {dt, a};
	size_t to = 0;
	int r = read_rows(dt, a, rows, err);

	if (r < 0 || rows->n < 2)
		return r;
	qsort_r(rows->v, rows->n, sizeof(*rows->v), by_key, &order);
	for (size_t i = 1; i < rows->n; i++) {
		if (compare_keys(dt, a, rows->v[to].shown, rows->v[i].shown, 0) == 0) {
			merge(a, rows->v[to].words, rows->v[i].words);
			row_free(a, &rows->v[i]);
		} else {
			rows->v[++to] = rows->v[i];
		}
	}
	rows->n = to + 1;
	qsort_r(rows->v, rows->n, sizeof(*rows->v), by_value, &order);
	return 0;
}

/* --- histograms */

/* What the bars of a histogram are drawn to. */
struct scale {
	double total;
	bool some_above, some_below; /* zero */
};

/* Negative counts grow to the left of the line, which stands in the middle if there are both. */
static void
print_bar(struct dt *dt, int64_t n, const struct scale *s, int64_t normal)
{
	int left = !s->some_below ? 0 : s->some_above ? 20 : 40, right = 40 - left;
	int room = n < 0 ? left : right;
	int len = s->total > 0 ? (int)(room * fabs((double)n) / s->total + 0.5) : 0;
	char bar[43];

	if (len > room)
		len = room;
	memset(bar, ' ', sizeof(bar));
	bar[left] = '|';
	memset(n < 0 ? bar + left - len : bar + left + 1, '@', (size_t)len);
	fprintf(dt->out, "%.41s %-9lld\n", bar, (long long)(n / normal));
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

/* Lower bound of a bucket, for its label. */
static int64_t
bucket_value(const struct agg *a, size_t word)
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

/* "< 0", "5", ">= 10"; the caller's. */
static char *
bucket_label(const struct agg *a, size_t word)
{
	bool open = a->func == AGG_LQUANTIZE || a->func == AGG_LLQUANTIZE;

	if (open && word == 1)
		return str_printf("< %lld", (long long)bucket_value(a, 2));
	return str_printf("%s%lld", open && word + 1 == a->n_words ? ">= " : "",
			  (long long)bucket_value(a, word));
}

static void
print_label(struct dt *dt, const struct agg *a, size_t word)
{
	cleanup_free char *text = bucket_label(a, word);

	fprintf(dt->out, "%16s ", text);
}

/* What a full bar stands for: all, or with -xaggzoom the longest. */
static void
add_to_scale(const struct dt *dt, struct scale *s, int64_t n)
{
	double size = fabs((double)n);

	s->some_above |= n > 0;
	s->some_below |= n < 0;
	if (!dt->opts.aggzoom)
		s->total += size;
	else if (size > s->total)
		s->total = size;
}

static void
print_histogram(struct dt *dt, const struct agg *a, const int64_t *w)
{
	size_t first = 1, last = a->n_words - 1;
	struct scale scale = {0};

	while (first < last && !w[first])
		first++;
	if (!w[first]) { /* nothing at all: where zero would be */
		first = a->func == AGG_QUANTIZE ? 64 : 1;
		last = first;
	}
	while (last > first && !w[last])
		last--;
	for (size_t i = first; i <= last; i++)
		add_to_scale(dt, &scale, w[i]);
	/* One empty bucket at each side frames the rest. */
	if (first > 1)
		first--;
	if (last + 1 < a->n_words)
		last++;
	fprintf(dt->out, "\n%16s %41s %-9s\n", "value", "------------- Distribution -------------",
		"count");
	for (size_t i = first; i <= last; i++) {
		print_label(dt, a, i);
		print_bar(dt, w[i], &scale, a->normal);
	}
}

static bool
is_histogram(const struct agg *a)
{
	return a->func == AGG_QUANTIZE || a->func == AGG_LQUANTIZE || a->func == AGG_LLQUANTIZE;
}

static struct value
result_value(const struct agg *a, const int64_t *w)
{
	struct value v = {.size = 8, .is_signed = a->is_signed};

	switch (a->func) {
	case AGG_COUNT:
		v.number = w[0];
		break;
	case AGG_AVG:
		v.number = w[0] ? w[1] / w[0] : 0;
		break;
	case AGG_STDDEV:
		v.number = (int64_t)result_of(a, w);
		break;
	default:
		v.number = w[1];
		break;
	}
	if (a->normal != 1)
		v.number /= a->normal;
	return v;
}

/* --- printing */

/* -j: {"aggregation":"a","function":"count","key":["x"],"value":1} */
static void
print_json_row(struct dt *dt, const struct agg *a, const struct row *row)
{
	cleanup_json struct json *j = json_new_object();
	struct json *key = json_new_array(), *buckets = json_new_array();
	const struct ident *id;
	cleanup_free char *text = NULL;

	json_set_str(j, "aggregation", a->name);
	for (size_t i = 0; (id = ident_at(i)); i++)
		if (id->kind == ID_AGGFUNC && id->aggfunc == a->func)
			json_set_str(j, "function", id->name);
	for (size_t i = 0; i < a->n_keys; i++) {
		struct value v = show_value(dt, &a->keys[i], row->shown);

		json_push(key, show_json_value(&v));
	}
	json_set(j, "key", key);
	for (size_t i = 1; is_histogram(a) && i < a->n_words; i++) {
		struct json *one;

		if (!row->words[i])
			continue;
		one = json_new_object();
		json_set_int(one, "from", bucket_value(a, i));
		json_set_int(one, "count", row->words[i] / a->normal);
		json_push(buckets, one);
	}
	if (is_histogram(a)) {
		json_set(j, "buckets", buckets);
	} else {
		json_set_int(j, "value", result_value(a, row->words).number);
		json_free(buckets);
	}
	text = json_print(j, false);
	fprintf(dt->out, "%s\n", text);
}

/* A number's column, by the size of its type. */
static int
key_width(const struct rec *key)
{
	size_t size = key->shown_size ? key->shown_size : key->size;

	return size == 1 ? 3 : size == 2 ? 5 : size == 4 ? 8 : 16;
}

static void
print_row(struct dt *dt, const struct agg *a, const struct row *row)
{
	for (size_t i = 0; i < a->n_keys; i++) {
		struct value v = show_value(dt, &a->keys[i], row->shown);

		if (a->keys[i].kind == REC_STACK || a->keys[i].kind == REC_USTACK)
			fputs(v.text, dt->out);
		else if (v.text)
			fprintf(dt->out, "  %-*s", a->n_keys == 1 ? 50 : 27, v.text);
		else
			fprintf(dt->out, " %*lld", key_width(&a->keys[i]), (long long)v.number);
	}
	if (is_histogram(a))
		print_histogram(dt, a, row->words);
	else
		fprintf(dt->out, " %16lld", (long long)result_value(a, row->words).number);
	fputc('\n', dt->out);
}

/* Walks the keys of a row for printa() with a format. */
struct row_values {
	struct dt *dt;
	const struct agg *a;
	const struct row *row;
	size_t i;
};

static bool
next_key(void *arg, struct value *ret)
{
	struct row_values *v = arg;

	if (v->i >= v->a->n_keys)
		return false;
	*ret = show_value(v->dt, &v->a->keys[v->i++], v->row->shown);
	return true;
}

static void
print_result(void *arg, const struct piece *piece, int width, int precision)
{
	struct row_values *v = arg;
	struct value result;

	if (is_histogram(v->a)) {
		print_histogram(v->dt, v->a, v->row->words);
		return;
	}
	result = result_value(v->a, v->row->words);
	format_value(v->dt->out, v->dt, piece, &result, width, precision);
}

/* --- -xagghist and -xaggpack: a row of an aggregation on one line, as a bar or as a row of blocks */

static bool
is_packed(const struct dt *dt, const struct agg *a)
{
	return (dt->opts.agghist && (a->func == AGG_COUNT || a->func == AGG_SUM)) ||
	       (dt->opts.aggpack && (a->func == AGG_QUANTIZE || a->func == AGG_LQUANTIZE));
}

static int
packed_key_width(const struct rec *key)
{
	return key->kind == REC_INT ? key_width(key) : 16;
}

static void
print_packed_keys(struct dt *dt, const struct agg *a, const struct row *row)
{
	for (size_t i = 0; i < a->n_keys; i++) {
		struct value v = show_value(dt, &a->keys[i], row->shown);
		int width = packed_key_width(&a->keys[i]);

		if (v.text)
			fprintf(dt->out, " %*s", width, v.text);
		else
			fprintf(dt->out, " %*lld", width, (long long)v.number);
	}
	fputc(' ', dt->out);
}

/* Can the output be expected to show U+2581 to U+2588?  -xencoding says so, else the terminal. */
static bool
shows_blocks(const struct dt *dt)
{
	const char *term = getenv("TERM");

	if (dt->opts.encoding)
		return dt->opts.encoding == ENCODING_UTF8;
	return !term || (!str_eq(term, "dumb") && !str_eq(term, "sun") && !str_eq(term, "sun-color"));
}

static void
print_block(struct dt *dt, int64_t n, double total)
{
	static const char plain[] = "__xxxxXX", below[] = "vvvvVV";
	double part = total > 0 ? fabs((double)n) / total : 0;

	if (!n)
		fputc(' ', dt->out);
	else if (n < 0)
		fputc(below[(size_t)(part * (sizeof(below) - 2) + 0.5)], dt->out);
	else if (shows_blocks(dt))
		fprintf(dt->out, "\xe2\x96%c", 0x81 + (int)(part * 7 + 0.5));
	else
		fputc(plain[(size_t)(part * (sizeof(plain) - 2) + 0.5)], dt->out);
}

/* Which buckets rows are shown from and to: quantize()'s that any row has, and one more at each side. */
static void
packed_range(const struct agg *a, const struct rows *rows, size_t *first, size_t *last)
{
	*first = 1;
	*last = a->n_words - 1;
	if (a->func == AGG_LQUANTIZE)
		return;
	*first = a->n_words;
	*last = 0;
	for (size_t i = 0; i < rows->n; i++) {
		for (size_t w = 1; w < a->n_words; w++) {
			if (!rows->v[i].words[w])
				continue;
			*first = w < *first ? w : *first;
			*last = w > *last ? w : *last;
		}
	}
	if (!*last) /* nothing: around zero */
		*first = *last = 64;
	*first -= *first > 1 && *first != 64;
	*last += *last + 1 < a->n_words;
}

static void
print_packed_blocks(struct dt *dt, const struct agg *a, const int64_t *words, size_t first,
		    size_t last, const int *widths)
{
	cleanup_free char *from = bucket_label(a, first), *to = bucket_label(a, last);
	struct scale scale = {0};
	long long count = 0;

	for (size_t w = first; w <= last; w++) {
		add_to_scale(dt, &scale, words[w]);
		count += words[w];
	}
	fprintf(dt->out, "%*s :", widths[0], from);
	for (size_t w = first; w <= last; w++)
		print_block(dt, words[w], scale.total);
	fprintf(dt->out, ": %-*s | %lld\n", widths[1], to, count);
}

static void
print_packed_rows(struct dt *dt, const struct agg *a, const struct rows *rows)
{
	bool pack = is_histogram(a);
	struct scale scale = {0};
	int width = 0, widths[2] = {8, 8};
	size_t first = 0, last = 0;

	for (size_t i = 0; i < a->n_keys; i++)
		width += packed_key_width(&a->keys[i]) + 1;
	for (size_t i = 0; i < rows->n && !pack; i++)
		add_to_scale(dt, &scale, (int64_t)result_of(a, rows->v[i].words));
	if (!pack) {
		fprintf(dt->out, "\n%*s %41s %-9s\n", width ? width : 16, width ? "key" : "value",
			"------------- Distribution -------------", "count");
	} else {
		packed_range(a, rows, &first, &last);
		if (a->func == AGG_QUANTIZE) {
			widths[0] = snprintf(NULL, 0, "%lld", (long long)bucket_value(a, first));
			widths[1] = snprintf(NULL, 0, "%lld", (long long)bucket_value(a, last));
		}
		fprintf(dt->out, "\n%*s %*s .", width, width ? "key" : "", widths[0], "min");
		for (size_t w = first; w <= last; w++)
			fputc('-', dt->out);
		fprintf(dt->out, ". %-*s | count\n", widths[1], "max");
	}
	for (size_t i = 0; i < rows->n; i++) {
		print_packed_keys(dt, a, &rows->v[i]);
		if (pack)
			print_packed_blocks(dt, a, rows->v[i].words, first, last, widths);
		else
			print_bar(dt, (int64_t)result_of(a, rows->v[i].words), &scale, a->normal);
	}
}

static int
print_agg(struct dt *dt, struct agg *a, const struct format *f, struct error *err)
{
	struct rows rows = {0};
	int r = collect(dt, a, &rows, err);
	bool packed = !f && !dt->opts.json && is_packed(dt, a);

	if (r == 0 && rows.n && packed)
		print_packed_rows(dt, a, &rows);
	for (size_t i = 0; r == 0 && i < rows.n && !packed; i++) {
		struct row_values v = {dt, a, &rows.v[i], 0};

		if (dt->opts.json && !f)
			print_json_row(dt, a, &rows.v[i]);
		else if (f)
			format_print(dt->out, dt, f, next_key, &v, print_result);
		else
			print_row(dt, a, &rows.v[i]);
	}
	rows_free(a, &rows);
	return r;
}

/* --- printa("...%@d %@d", @a, @b): a row for each key that any of them has */

struct joined {
	const struct act *act;
	struct rows *rows;   /* of each aggregation, as it is to be printed */
	struct row **by_key; /* the same, in order of key */
};

/* Results of one row, taken by the format's %@ one after the other. */
struct joined_values {
	struct row_values first; /* the keys */
	const struct joined *j;
	const struct row **rows;
	size_t next;
};

/* Keys that are laid out alike can be compared. */
static bool
have_same_keys(const struct act *act)
{
	const struct agg *first = act->aggs[0];

	for (size_t i = 1; i < act->n_aggs; i++) {
		const struct agg *a = act->aggs[i];

		if (a->n_keys != first->n_keys || a->key_size != first->key_size)
			return false;
		for (size_t k = 0; k < a->n_keys; k++)
			if (a->keys[k].kind != first->keys[k].kind ||
			    a->keys[k].size != first->keys[k].size ||
			    a->keys[k].offset != first->keys[k].offset)
				return false;
	}
	return true;
}

static const struct row *
find_row(struct dt *dt, const struct joined *j, size_t which, const struct row *wanted)
{
	struct order order = {dt, j->act->aggs[0]};
	size_t lo = 0, hi = j->rows[which].n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = by_key(&j->by_key[which][mid], wanted, &order);

		if (r == 0)
			return &j->by_key[which][mid];
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void
print_next_result(void *arg, const struct piece *piece, int width, int precision)
{
	struct joined_values *v = arg;
	size_t i = v->next < v->j->act->n_aggs ? v->next++ : v->j->act->n_aggs - 1;
	const struct agg *a = v->j->act->aggs[i];
	cleanup_free int64_t *zeros = xcalloc(a->n_words, 8);
	struct row nothing = {.key = v->first.row->key, .shown = v->first.row->shown, .words = zeros};
	struct row_values one = {v->first.dt, a, v->rows[i] ? v->rows[i] : &nothing, 0};

	print_result(&one, piece, width, precision);
}

/* The row's key with the results of all; those before `from` were printed by a row of theirs. */
static void
print_joined_row(struct dt *dt, const struct joined *j, const struct row *row, size_t from)
{
	cleanup_free const struct row **rows = xcalloc(j->act->n_aggs, sizeof(*rows));
	struct joined_values v = {{dt, j->act->aggs[0], row, 0}, j, rows, 0};

	for (size_t i = 0; i < j->act->n_aggs; i++) {
		rows[i] = find_row(dt, j, i, row);
		if (rows[i] && i < from)
			return;
	}
	format_print(dt->out, dt, j->act->format, next_key, &v, print_next_result);
}

static int
print_joined(struct dt *dt, const struct act *act, struct error *err)
{
	struct joined j = {act, xcalloc(act->n_aggs, sizeof(*j.rows)),
			   xcalloc(act->n_aggs, sizeof(*j.by_key))};
	struct order order = {dt, act->aggs[0]};
	int r = 0;

	for (size_t i = 0; i < act->n_aggs && r == 0; i++) {
		act->aggs[i]->printed = true;
		r = collect(dt, act->aggs[i], &j.rows[i], err);
		if (r < 0 || !j.rows[i].n)
			continue;
		j.by_key[i] = xmemdup(j.rows[i].v, j.rows[i].n * sizeof(struct row));
		qsort_r(j.by_key[i], j.rows[i].n, sizeof(struct row), by_key, &order);
	}
	for (size_t i = 0; i < act->n_aggs && r == 0; i++)
		for (size_t k = 0; k < j.rows[i].n; k++)
			print_joined_row(dt, &j, &j.rows[i].v[k], i);
	for (size_t i = 0; i < act->n_aggs; i++) {
		rows_free(act->aggs[i], &j.rows[i]);
		free(j.by_key[i]);
	}
	free(j.rows);
	free(j.by_key);
	return r;
}

/* Those that no printa() printed, at the end. */
int
dt_aggs_print(struct dt *dt, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < dt->n_aggs; i++)
		if (!dt->agg_list[i]->printed)
			r = print_agg(dt, dt->agg_list[i], NULL, err);
	fflush(dt->out);
	return r;
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

/* trunc(@a, n): the n greatest stay (n < 0: the least); trunc(@a): none. */
static int
truncate_agg(struct dt *dt, struct agg *a, int64_t n, struct error *err)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus(), keep = (size_t)(n < 0 ? -n : n);
	struct rows rows = {0};
	int r = collect(dt, a, &rows, err);

	for (size_t i = 0; r == 0 && i < rows.n; i++)
		if (n < 0 ? i >= keep : i + keep < rows.n)
			remove_row(a, &rows.v[i], cpus);
	rows_free(a, &rows);
	return r;
}

static int
clear_agg(struct dt *dt, struct agg *a, struct error *err)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct rows rows = {0};
	int r = collect(dt, a, &rows, err);

	a->cleared |= rows.n > 0; /* what was there is shown as 0 from now on */
	for (size_t i = 0; r == 0 && i < rows.n; i++)
		zero_row(a, &rows.v[i], cpus);
	rows_free(a, &rows);
	return r;
}

int
dt_agg_act(struct dt *dt, const struct act *act, int64_t n, struct error *err)
{
	int r = 0;

	if (act->action == A_PRINTA && act->format && act->n_aggs > 1 && have_same_keys(act))
		return print_joined(dt, act, err);
	for (size_t i = 0; r == 0 && i < act->n_aggs; i++) {
		struct agg *a = act->aggs[i];

		switch (act->action) {
		case A_PRINTA:
			a->printed = true;
			if (!act->format)
				fputc('\n', dt->out);
			r = print_agg(dt, a, act->format, err);
			break;
		case A_CLEAR:
			r = clear_agg(dt, a, err);
			break;
		case A_TRUNC:
			r = truncate_agg(dt, a, n, err);
			break;
		case A_NORMALIZE:
			a->normal = n ? n : 1;
			break;
		case A_DENORMALIZE:
			a->normal = 1;
			break;
		default:
			break;
		}
	}
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
		rows_free(s->v[i].agg, &s->v[i].rows);
	free(s);
}

int
dt_agg_snap(struct dt *dt, struct dt_agg_snap **ret, struct error *err)
{
	struct dt_agg_snap *s = xcalloc(1, sizeof(*s) + dt->n_aggs * sizeof(s->v[0]));
	int r = 0;

	for (; s->n < dt->n_aggs && r == 0; s->n++) {
		s->v[s->n].agg = dt->agg_list[s->n];
		r = collect(dt, s->v[s->n].agg, &s->v[s->n].rows, err);
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
		struct agg *a = s->v[i].agg;
		struct rows *rows = &s->v[i].rows;
		struct order order = {dt, a};

		if (rows->n > 1)
			qsort_r(rows->v, rows->n, sizeof(*rows->v), by_value, &order);
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
