/*
 * Aggregations printed: rows, histograms, packed ones, JSON, and several side by side (printa()).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dtrace/agg.h"
#include "dtrace/show.h"

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

/* "< 0", "5", ">= 10"; the caller's. */
static char *
bucket_label(const struct agg *a, size_t word)
{
	bool open = a->func == AGG_LQUANTIZE || a->func == AGG_LLQUANTIZE;

	if (open && word == 1)
		return str_printf("< %lld", (long long)agg_bucket_value(a, 2));
	return str_printf("%s%lld", open && word + 1 == a->n_words ? ">= " : "",
			  (long long)agg_bucket_value(a, word));
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
	while (last > first && !w[last])
		last--;
	if (!w[first]) { /* nothing at all: around zero, or three from the first on */
		first = a->func == AGG_QUANTIZE ? 64 : 1;
		last = a->func == AGG_QUANTIZE ? 64 : 2;
	}
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
		v.number = (int64_t)agg_result(a, w);
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

/* -xaggpercpu: a member "cpus", but of distributions. */
static void
add_json_parts(struct json *j, const struct agg *a, const struct row *row)
{
	struct json *cpus;

	if (!row->parts || agg_is_histogram(a))
		return;
	cpus = json_new_array();
	for (size_t c = 0; c < row->n_parts; c++) {
		const int64_t *w = row->parts + c * a->n_words;
		struct json *one;

		if (!w[0])
			continue;
		one = json_new_object();
		json_set_int(one, "cpu", (int64_t)c);
		json_set_int(one, "value", result_value(a, w).number);
		json_push(cpus, one);
	}
	json_set(j, "cpus", cpus);
}

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
	for (size_t i = 1; agg_is_histogram(a) && i < a->n_words; i++) {
		struct json *one;

		if (!row->words[i])
			continue;
		one = json_new_object();
		json_set_int(one, "from", agg_bucket_value(a, i));
		json_set_int(one, "count", row->words[i] / a->normal);
		json_push(buckets, one);
	}
	add_json_parts(j, a, row);
	if (agg_is_histogram(a)) {
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
print_words(struct dt *dt, const struct agg *a, const int64_t *words)
{
	if (agg_is_histogram(a))
		print_histogram(dt, a, words);
	else
		fprintf(dt->out, " %16lld", (long long)result_value(a, words).number);
}

/* -xaggpercpu: the CPUs that had a part in it. */
static void
print_parts(struct dt *dt, const struct agg *a, const struct row *row)
{
	for (size_t c = 0; c < row->n_parts; c++) {
		const int64_t *words = row->parts + c * a->n_words;

		if (!words[0])
			continue;
		fprintf(dt->out, "    [CPU %2zu]", c);
		print_words(dt, a, words);
		fputc('\n', dt->out);
	}
}

static void
print_keys(struct dt *dt, const struct agg *a, const struct row *row)
{
	for (size_t i = 0; i < a->n_keys; i++) {
		struct value v = show_value(dt, &a->keys[i], row->shown);

		if (a->keys[i].kind == REC_STACK || a->keys[i].kind == REC_USTACK ||
		    a->keys[i].kind == REC_FRAMES)
			fputs(v.text, dt->out);
		else if (v.text)
			fprintf(dt->out, "  %-50s", v.text);
		else
			fprintf(dt->out, " %*lld", key_width(&a->keys[i]), (long long)v.number);
	}
}

static void
print_row(struct dt *dt, const struct agg *a, const struct row *row)
{
	print_keys(dt, a, row);
	print_words(dt, a, row->words);
	fputc('\n', dt->out);
	print_parts(dt, a, row);
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

	if (agg_is_histogram(v->a)) {
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
	bool pack = agg_is_histogram(a);
	struct scale scale = {0};
	int width = 0, widths[2] = {8, 8};
	size_t first = 0, last = 0;

	for (size_t i = 0; i < a->n_keys; i++)
		width += packed_key_width(&a->keys[i]) + 1;
	for (size_t i = 0; i < rows->n && !pack; i++)
		add_to_scale(dt, &scale, (int64_t)agg_result(a, rows->v[i].words));
	if (!pack) {
		fprintf(dt->out, "\n%*s %41s %-9s\n", width ? width : 16, width ? "key" : "value",
			"------------- Distribution -------------", "count");
	} else {
		packed_range(a, rows, &first, &last);
		if (a->func == AGG_QUANTIZE) {
			widths[0] = snprintf(NULL, 0, "%lld", (long long)agg_bucket_value(a, first));
			widths[1] = snprintf(NULL, 0, "%lld", (long long)agg_bucket_value(a, last));
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
			print_bar(dt, (int64_t)agg_result(a, rows->v[i].words), &scale, a->normal);
	}
}

static int
print_agg(struct dt *dt, struct agg *a, const struct format *f, struct error *err)
{
	struct rows rows = {0};
	int r = agg_collect(dt, a, &rows, err);
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
	agg_rows_free(a, &rows);
	return r;
}

/* --- printa("...%@d %@d", @a, @b), printa(@a, @b): a row for each key that any of them has */

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
		int r = agg_rows_by_key(&j->by_key[which][mid], wanted, &order);

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

/* Without a format: the keys once, all results behind them. */
static void
print_results(struct dt *dt, const struct joined *j, const struct row **rows, const struct row *row)
{
	print_keys(dt, j->act->aggs[0], row);
	for (size_t i = 0; i < j->act->n_aggs; i++) {
		const struct agg *a = j->act->aggs[i];
		cleanup_free int64_t *zeros = xcalloc(a->n_words, 8);

		print_words(dt, a, rows[i] ? rows[i]->words : zeros);
	}
	fputc('\n', dt->out);
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
	if (j->act->format)
		format_print(dt->out, dt, j->act->format, next_key, &v, print_next_result);
	else
		print_results(dt, j, rows, row);
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
		r = agg_collect(dt, act->aggs[i], &j.rows[i], err);
		if (r < 0 || !j.rows[i].n)
			continue;
		j.by_key[i] = xmemdup(j.rows[i].v, j.rows[i].n * sizeof(struct row));
		qsort_r(j.by_key[i], j.rows[i].n, sizeof(struct row), agg_rows_by_key, &order);
	}
	for (size_t i = 0; i < act->n_aggs && r == 0; i++)
		for (size_t k = 0; k < j.rows[i].n; k++)
			print_joined_row(dt, &j, &j.rows[i].v[k], i);
	for (size_t i = 0; i < act->n_aggs; i++) {
		agg_rows_free(act->aggs[i], &j.rows[i]);
		free(j.by_key[i]);
	}
	free(j.rows);
	free(j.by_key);
	return r;
}

/* Those that no printa() printed, at the end; -xaggsortrev is for their order, too. */
int
dt_aggs_print(struct dt *dt, struct error *err)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < dt->n_aggs; k++) {
		struct agg *a = dt->agg_list[dt->opts.aggsortrev ? dt->n_aggs - 1 - k : k];

		if (!a->printed)
			r = print_agg(dt, a, NULL, err);
	}
	fflush(dt->out);
	return r;
}

int
dt_agg_act(struct dt *dt, const struct act *act, int64_t n, struct error *err)
{
	int r = 0;

	if (act->action == A_PRINTA && act->n_aggs > 1 && have_same_keys(act) &&
	    (act->format || !dt->opts.json)) {
		if (!act->format)
			fputc('\n', dt->out);
		return print_joined(dt, act, err);
	}
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
			r = agg_clear(dt, a, err);
			break;
		case A_TRUNC:
			r = agg_truncate(dt, a, n, err);
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
