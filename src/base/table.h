/*
 * The one table printer.  A command declares its columns once; the user picks
 * fields (-o), sorts (-s), drops the header (-H), asks for parsable output
 * (-p, ':'-separated, '\' escapes) or JSON (-j).
 *
 *	static const struct table_col cols[] = {
 *		{"uuid", "UUID", 36}, {"ram", "RAM", 7, TABLE_RIGHT}, ...
 *	};
 *	struct table *t = table_new(cols, ARRAY_SIZE(cols));
 *	table_select(t, "uuid,ram", &err);
 *	table_row(t); table_set(t, "uuid", uuid); ...
 *	table_print(t, stdout, TABLE_HUMAN);
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_col {
	const char *name;   /* what -o takes, lower case */
	const char *header; /* what is printed above it */
	int width;          /* at least; 0 means as wide as its content */
	enum table_align align;
	bool number;        /* sorts as a number, printed bare in JSON */
};

enum table_style { TABLE_HUMAN, TABLE_PARSABLE, TABLE_JSON };

struct table;

struct table *table_new(const struct table_col *cols, size_t n); /* cols must outlive it */
void table_free(struct table *t);
DEFINE_CLEANUP(table_free, struct table *);
#define cleanup_table CLEANUP(table_freep)

/* "a,b,c" or "all"; -EINVAL names the unknown field and lists the known ones. */
int table_select(struct table *t, const char *fields, struct error *err);
/* "a,-b": by a, then b downwards. */
int table_sort(struct table *t, const char *fields, struct error *err);
void table_no_header(struct table *t);
/* Between columns of the human form (default "  ") and of the parsable one (default ":"). */
void table_separator(struct table *t, const char *sep);
void table_delimiter(struct table *t, const char *delim);
/* What stands for a missing value in the human form (default "-"). */
void table_missing(struct table *t, const char *text);
bool table_wants(const struct table *t, const char *field); /* selected or sorted by */

void table_row(struct table *t); /* starts a row */
void table_set(struct table *t, const char *field, const char *value); /* NULL: missing */
void table_setf(struct table *t, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t table_rows(const struct table *t);

void table_print(struct table *t, FILE *out, enum table_style style);

#endif
