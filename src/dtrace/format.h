/* Parsed printf formats, and values to print with them. */
#ifndef DTRACE_FORMAT_H
#define DTRACE_FORMAT_H

#include "dtrace/dt.h"

struct piece {
	char *text; /* plain; then conv is 0 */
	char conv;
	char flags[8];
	size_t n_flags;
	int width, precision; /* -1: not given */
	bool star_width, star_precision, aggregation;
};

struct format {
	struct piece *pieces;
	size_t n;
};

/* A recorded value, ready to be shown. */
struct value {
	int64_t number;
	const char *text; /* NULL for numbers */
	size_t size;
	bool is_signed, is_float;
};

typedef bool value_fn(void *arg, struct value *ret); /* the next one */
typedef void agg_fn(void *arg, const struct piece *piece, int width, int precision);

struct format *format_new(void);
void format_print(FILE *out, struct dt *dt, const struct format *f, value_fn *next, void *arg,
		  agg_fn *aggregation);
void format_value(FILE *out, struct dt *dt, const struct piece *piece, const struct value *v,
		  int width, int precision);

#endif
