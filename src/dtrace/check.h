/* Between the parts of the checker. */
#ifndef DTRACE_CHECK_H
#define DTRACE_CHECK_H

#include "dtrace/dt.h"

/* What a name stands for inside an inline or a translator. */
struct param {
	const char *name;
	struct node *value; /* checked */
	const struct ctf_type *type;
};

struct checker {
	struct dt *dt;
	struct ast *ast;
	struct clause *clause;	   /* NULL outside of clauses */
	struct probe **probes; /* that the clause matches, for args[] */
	size_t n_probes;
	bool assigning;		   /* the left side of =: names may be made */
	bool looks_first;          /* at a predicate, before its actions, which may make names */
	const struct ctf_type *assign_type;
	const struct param *params;
	size_t n_params;
	int depth; /* of inlines and translators inside each other */
	bool library; /* what is checked are the library's words, not the program's */
};

/* D_PROTO_LEN */
int prototype_mismatch(const struct node *n, const struct ident *row, int args,
		       struct error *err);
int check_expr(struct checker *c, struct node *n, struct error *err);
/*
 * n is a statement: c ? action : other with a constant c becomes what is done, as scripts choose by
 * their options.
 */
int check_choice(struct checker *c, struct node *n, struct error *err);
void node_set_const(struct node *n, int64_t value);
/* n, a cast: if it is one of text to something else, that is a copy in memory like alloca()'s. */
void check_text_as_pointer(struct checker *c, struct node *n);
/* Structures, unions, arrays: handled by their address. */
bool dt_is_memory(struct dt *dt, const struct ctf_type *t);
const struct ctf_type *decay(struct dt *dt, const struct ctf_type *t);
/* check_name.c */
/* v is read, or (c->assigning) written. */
void var_note_use(const struct checker *c, struct ident *v);
int check_ident(struct checker *c, struct node *n, struct error *err);
/* What the library has for a variable of illumos' kernel; 1: nothing. */
int check_illumos_variable(struct checker *c, struct node *n, const struct node *name,
			   struct node *args, struct error *err);
int check_macro(struct checker *c, struct node *n, struct error *err);
struct ident *var_find(struct dt *dt, enum scope scope, const char *name);
struct ident *var_make(struct dt *dt, enum scope scope, const char *name, enum ident_kind kind);
/* "struct foo" of a forward declaration; owned by dt. */
const char *ctf_spelling(struct dt *dt, const struct ctf_type *t);
bool macro_value(const char *name, int64_t *ret); /* $pid $uid ... */

/* model.c: a type by its name; the type that a value of type t has in the program's memory */
const struct ctf_type *dt_model_find(struct dt *dt, const char *name);
const struct ctf_type *dt_model_in_memory(struct dt *dt, const struct ctf_type *t);
void dt_model_layout(const struct dt *dt, struct ctf_type *t); /* of a structure's members to come */

/* check_decl.c */
int check_declaration(struct checker *c, struct node *n, struct error *err);
struct node *node_clone(struct arena *a, const struct node *n);
struct node *node_op2(struct arena *a, enum op op, struct node *left, struct node *right);
int check_inline(struct checker *c, struct node *n, struct ident *v, struct node *args,
		 struct error *err);
int check_xlate(struct checker *c, struct node *n, struct error *err);
/* Makes n, whose left is checked, a translation of `from` to type `to`. */
int check_translation(struct checker *c, struct node *n, const struct ctf_type *to,
		      struct node *from, struct error *err);
/*
 * n is translation->member, its left checked: becomes the translator's expression.
 * 1 if it was one.
 */
int check_xlate_member(struct checker *c, struct node *n, struct error *err);
/*
 * n, the assignment of a translation to a structure that stands at place, becomes that of each
 * member.  What the translator does not say is 0 or "".
 */
int check_translated(struct checker *c, struct node *n, const struct node *place,
		     struct error *err);
/* A translated structure as a whole: xlate <...> (e), a name for that, or what one points to. */
bool dt_is_translation(const struct node *n);
/* print(e): check_print.c */
int check_print(struct checker *c, struct node *n, struct act *a, struct error *err);
/* check_clause.c: a place in the clause's record for what the action shows: `rec`, or the value of
 * n */
void act_add_rec(struct clause *cl, struct act *a, struct rec rec);
int act_record_value(struct checker *c, struct act *a, struct node *n, struct error *err);
/* How a value is recorded; also a key's place. */
struct rec value_rec(struct dt *dt, const struct node *n);

/* check_agg.c */
struct agg *agg_get(struct dt *dt, const char *name); /* made if there is none */
/* @name[keys] = func(args) */
int check_aggregate(struct checker *c, struct node *n, struct error *err);
/* stack(n), ustack(n): addresses, zeros behind the last; a user's with the process in front. */
int stack_rec(struct checker *c, struct node *n, enum action action, struct rec *ret,
	      struct error *err);
/* An action that stands for a value: a stack, or an address to be shown by name. */
int action_rec(struct checker *c, struct node *n, const struct ident *row, struct rec *ret,
	       struct error *err);
/*
 * check_once.c: n reads and writes n->left.  True: what must not be computed twice was taken out of
 * it, and n, an expression of two parts now, is to be checked anew.
 */
bool check_once(struct checker *c, struct node *n);
bool node_has_effect(const struct node *n); /* an assignment or a call in it */
/* args[i]: check_args.c */
int check_args(struct checker *c, struct node *n, struct error *err);
int check_uregs(struct checker *c, struct node *n, struct error *err); /* uregs[R_PC] */

/* func.c: argument types of subroutines */
int func_check(struct checker *c, struct node *n, enum func f, struct error *err);

#endif
