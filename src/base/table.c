/* Rows of strings, printed for people, scripts or as JSON. */
#include "base/table.h"

#include <stdlib.h>

#include "base/str.h"

struct table {
	const struct table_col *cols;
	size_t n_cols;
	size_t *shown; /* column numbers in print order */
	size_t n_shown;
	struct {
		size_t col;
		bool down;
	} sort[8];
	size_t n_sort;
	bool no_header;
	char *separator, *delimiter, *missing;
	char ***rows; /* rows[i][col], NULL is missing */
	size_t n_rows, cap_rows;
};

struct table *
table_new(const struct table_col *cols, size_t n)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->cols = cols;
	t->n_cols = n;
	t->shown = xcalloc(n, sizeof(*t->shown));
	for (size_t i = 0; i < n; i++)
		t->shown[t->n_shown++] = i;
	t->separator = xstrdup("  ");
	t->delimiter = xstrdup(":");
	t->missing = xstrdup("-");
	return t;
}

void
table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t c = 0; c < t->n_cols; c++)
			free(t->rows[r][c]);
		free(t->rows[r]);
	}
	free(t->rows);
	free(t->shown);
	free(t->separator);
	free(t->delimiter);
	free(t->missing);
	free(t);
}

static int
find_col(const struct table *t, const char *name, size_t *ret, struct error *err)
{
	cleanup_strv struct strv known = STRV_INIT;
	cleanup_free char *list = NULL;

	for (size_t i = 0; i < t->n_cols; i++) {
		if (str_eq(t->cols[i].name, name)) {
			*ret = i;
			return 0;
		}
		strv_add(&known, t->cols[i].name);
	}
	list = strv_join(&known, ",");
	return error_set(err, EINVAL, "unknown field \"%s\" (there are: %s)", name, list);
}

int
table_select(struct table *t, const char *fields, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_free size_t *shown = NULL;

	if (str_eq(fields, "all"))
		return 0;
	strv_split(&names, fields, ",");
	shown = xcalloc(names.n, sizeof(*shown));
	for (size_t i = 0; i < names.n; i++) {
		int r = find_col(t, str_lower(names.v[i]), &shown[i], err);

		if (r < 0)
			return r;
	}
	free(t->shown);
	t->shown = steal_ptr(&shown);
	t->n_shown = names.n;
	return 0;
}

int
table_sort(struct table *t, const char *fields, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;

	strv_split(&names, fields, ",");
	if (names.n > ARRAY_SIZE(t->sort))
		return error_set(err, EINVAL, "at most %zu fields to sort by", ARRAY_SIZE(t->sort));
	t->n_sort = 0;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i];
		bool down = name[0] == '-';
		size_t col;
		int r;

		r = find_col(t, name + (down || name[0] == '+'), &col, err);
		if (r < 0)
			return r;
		t->sort[t->n_sort].col = col;
		t->sort[t->n_sort++].down = down;
	}
	return 0;
}

void
table_no_header(struct table *t)
{
	t->no_header = true;
}

static void
replace(char **p, const char *s)
{
	free(*p);
	*p = xstrdup(s);
}

void
table_separator(struct table *t, const char *sep)
{
	replace(&t->separator, sep);
}

void
table_delimiter(struct table *t, const char *delim)
{
	replace(&t->delimiter, delim);
}

void
table_missing(struct table *t, const char *text)
{
	replace(&t->missing, text);
}

bool
table_wants(const struct table *t, const char *field)
{
	for (size_t i = 0; i < t->n_shown; i++)
		if (str_eq(t->cols[t->shown[i]].name, field))
			return true;
	for (size_t i = 0; i < t->n_sort; i++)
		if (str_eq(t->cols[t->sort[i].col].name, field))
			return true;
	return false;
}

void
table_row(struct table *t)
{
	if (t->n_rows == t->cap_rows) {
		t->cap_rows = t->cap_rows ? 2 * t->cap_rows : 16;
		t->rows = xreallocarray(t->rows, t->cap_rows, sizeof(*t->rows));
	}
	t->rows[t->n_rows++] = xcalloc(t->n_cols, sizeof(char *));
}

void
table_set(struct table *t, const char *field, const char *value)
{
	size_t col;

	/* Only what the command's own table names: a miss is a bug in the command. */
	if (!t->n_rows || find_col(t, field, &col, NULL) < 0)
		abort();
	replace(&t->rows[t->n_rows - 1][col], value);
}

void
table_setf(struct table *t, const char *field, const char *fmt, ...)
{
	cleanup_free char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = str_vprintf(fmt, ap);
	va_end(ap);
	table_set(t, field, s);
}

size_t
table_rows(const struct table *t)
{
	return t->n_rows;
}

static int
compare_cells(const struct table_col *col, const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	if (col->number) {
		double x = strtod(a, NULL), y = strtod(b, NULL);

		return (x > y) - (x < y);
	}
	return strcmp(a, b);
}

static int
compare_rows(const void *pa, const void *pb, void *arg)
{
	char **a = *(char ***)pa, **b = *(char ***)pb;
	const struct table *t = arg;

	for (size_t i = 0; i < t->n_sort; i++) {
		size_t c = t->sort[i].col;
		int r = compare_cells(&t->cols[c], a[c], b[c]);

		if (r)
			return t->sort[i].down ? -r : r;
	}
	return 0;
}

/* Columns a terminal needs for UTF-8 text, counting one for every code point. */
static int
display_width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const struct table *t, FILE *out, size_t i, int width, const char *text)
{
	int pad = width - display_width(text);
	bool right = t->cols[t->shown[i]].align == TABLE_RIGHT;
	bool last = i + 1 == t->n_shown;

	if (i)
		fputs(t->separator, out);
	if (right)
		fprintf(out, "%*s", pad > 0 ? pad : 0, "");
	fputs(text, out);
	if (!right && !last)
		fprintf(out, "%*s", pad > 0 ? pad : 0, "");
}

static void
print_human(struct table *t, FILE *out)
{
	cleanup_free int *width = xcalloc(t->n_shown, sizeof(*width));

	for (size_t i = 0; i < t->n_shown; i++) {
		const struct table_col *col = &t->cols[t->shown[i]];

		width[i] = col->width;
		if (!t->no_header && display_width(col->header) > width[i])
			width[i] = display_width(col->header);
		for (size_t r = 0; !col->width && r < t->n_rows; r++) {
			const char *cell = t->rows[r][t->shown[i]];
			int w = display_width(cell ? cell : t->missing);

			if (w > width[i])
				width[i] = w;
		}
	}
	for (size_t i = 0; !t->no_header && i < t->n_shown; i++)
		print_cell(t, out, i, width[i], t->cols[t->shown[i]].header);
	if (!t->no_header && t->n_shown)
		fputc('\n', out);
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t i = 0; i < t->n_shown; i++) {
			const char *cell = t->rows[r][t->shown[i]];

			print_cell(t, out, i, width[i], cell ? cell : t->missing);
		}
		fputc('\n', out);
	}
}

static void
print_parsable(struct table *t, FILE *out)
{
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t i = 0; i < t->n_shown; i++) {
			const char *p = t->rows[r][t->shown[i]];

			if (i)
				fputs(t->delimiter, out);
			for (; p && *p; p++) {
				/* One field needs no escapes: nothing delimits it. */
				if (t->n_shown > 1 && (*p == t->delimiter[0] || *p == '\\'))
					fputc('\\', out);
				fputc(*p, out);
			}
		}
		fputc('\n', out);
	}
}

static void
print_json(struct table *t, FILE *out)
{
	cleanup_json struct json *all = json_new_array();
	cleanup_free char *text = NULL;

	for (size_t r = 0; r < t->n_rows; r++) {
		struct json *row = json_new_object();

		for (size_t i = 0; i < t->n_shown; i++) {
			const struct table_col *col = &t->cols[t->shown[i]];
			const char *cell = t->rows[r][t->shown[i]];
			int64_t n;

			if (cell && col->number && str_to_i64(cell, 10, &n) == 0)
				json_set_int(row, col->name, n);
			else if (cell)
				json_set_str(row, col->name, cell);
		}
		json_push(all, row);
	}
	text = json_print(all, true);
	fputs(text, out);
}

void
table_print(struct table *t, FILE *out, enum table_style style)
{
	if (t->n_sort && t->n_rows)
		qsort_r(t->rows, t->n_rows, sizeof(*t->rows), compare_rows, t);
	switch (style) {
	case TABLE_HUMAN:
		print_human(t, out);
		break;
	case TABLE_PARSABLE:
		print_parsable(t, out);
		break;
	case TABLE_JSON:
		print_json(t, out);
		break;
	}
}
