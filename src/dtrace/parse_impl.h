/* Shared by the two halves of the parser: expressions, and everything around them. */
#ifndef DTRACE_PARSE_IMPL_H
#define DTRACE_PARSE_IMPL_H

#include "base/map.h"
#include "dtrace/lex.h"
#include "dtrace/parse.h"

#define MAX_NESTING 200

/* A list being built. */
struct node_list {
	struct node *first, **tail;
};

struct parser {
	struct lexer lex;
	const struct parse_opts *opts;
	struct map *typedefs; /* of the program */
	struct node_list *top; /* what stands outside of clauses, and all pragmas */
	int nesting;
};

void node_list_init(struct node_list *l);
void node_list_add(struct node_list *l, struct node *n);

int parse_fail(struct parser *p, const char *wanted, struct error *err);
int parse_accept(struct parser *p, int punct, bool *ret_there, struct error *err);
int parse_expect(struct parser *p, int punct, const char *shown, struct error *err);
/* Guards against programs that nest to exhaust the stack; pair with p->nesting--. */
int parse_enter(struct parser *p, struct error *err);

/* parse_expr.c */
int parse_expr(struct parser *p, struct node **ret, struct error *err);	      /* with commas */
int parse_assignment(struct parser *p, struct node **ret, struct error *err); /* without */
/* Assignments separated by commas up to (not including) the closing punctuator; may be empty. */
int parse_list(struct parser *p, int close, struct node **ret, struct error *err);

/* parse_decl.c */
bool parse_at_type(struct parser *p); /* does a type name begin here? */
/* "const unsigned long", "struct foo {...}"; storage may be NULL where none is allowed. */
int parse_specifiers(struct parser *p, struct type_expr **ret, enum storage *storage,
		     struct error *err);
/* Declarator around a name; *ret_name NULL if abstract.  Adds to t. */
int parse_declarator(struct parser *p, struct type_expr *t, char **ret_name, struct error *err);
/* A type name, as in casts and sizeof. */
int parse_type_name(struct parser *p, struct type_expr **ret, struct error *err);
int parse_declaration(struct parser *p, struct node_list *list, struct error *err);

#endif
