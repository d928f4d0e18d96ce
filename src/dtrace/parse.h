/*
 * The D grammar: text to tree.
 *
 * C cannot be parsed without knowing which names are types; `is_type` answers
 * for names that the program does not define itself (the kernel's typedefs).
 */
#ifndef DTRACE_PARSE_H
#define DTRACE_PARSE_H

#include "base/error.h"
#include "dtrace/ast.h"

struct parse_opts {
	bool (*is_type)(const char *name, void *arg); /* NULL: none but C's own */
	void *arg;
	const char **ret_region; /* where an error is: "predicate", "action list" ...; or NULL */
};

/*
 * file is for messages only.  A failure's message begins with "line N: " and
 * err->path is DTrace's error tag ("D_SYNTAX").
 */
int parse_program(const char *text, size_t len, const char *file, const struct parse_opts *opts,
		  struct ast **ret, struct error *err);

#endif
