/* Rows of an aggregation: agg.c reads and orders them, agg_show.c prints them. */
#ifndef DTRACE_AGG_H
#define DTRACE_AGG_H

#include "dtrace/dt.h"

struct row {
	char *key;	/* as in the map */
	char *shown;	/* the same, with names for addresses; owns them */
	int64_t *words; /* summed over CPUs */
	int64_t *parts; /* of each CPU, for aggpercpu; or NULL */
	size_t n_parts;
};

struct rows {
	struct row *v;
	size_t n;
};

/* Reads the rows; keys that show alike are one; in the order of the options. */
int agg_collect(struct dt *dt, struct agg *a, struct rows *rows, struct error *err);
void agg_rows_free(const struct agg *a, struct rows *rows);
bool agg_is_histogram(const struct agg *a);
/* What is printed, and what rows are sorted by, of a function that gives one number; others: 0. */
long double agg_result(const struct agg *a, const int64_t *words);

/* Lower bound of the bucket in that word of a distribution; of llquantize()'s last one, where it ends. */
int64_t agg_bucket_value(const struct agg *a, size_t word);

struct order {
	struct dt *dt;
	struct agg *a;
};

/* For qsort_r(), with a struct order: by the keys as they are shown. */
int agg_rows_by_key(const void *row, const void *other, void *order);

/*
 * trunc(@a, n): the n greatest stay (n < 0: the least); trunc(@a): none.  Of keys that are shown as
 * one (addresses in a function) all go or none.
 */
int agg_truncate(struct dt *dt, struct agg *a, int64_t n, struct error *err);
int agg_clear(struct dt *dt, struct agg *a, struct error *err); /* the keys stay */

#endif
