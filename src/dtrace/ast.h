/*
 * A D program as a tree.
 *
 * The parser makes it (parse.c), the checker gives every expression its type
 * and binds every name (check.c), the generator turns clauses into BPF
 * (gen.c).  Nodes live in an arena and go with it.
 */
#ifndef DTRACE_AST_H
#define DTRACE_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctf/ctf.h"

struct ident; /* ident.h */

enum node_kind {
	/* expressions */
	N_INT,	    /* number */
	N_STRING,   /* text */
	N_IDENT,    /* name, with module in text for mod`name; scope says whose */
	N_AGG,	    /* @name[args] */
	N_OP1,	    /* op left */
	N_OP2,	    /* left op right; also = += , -> . */
	N_COND,	    /* left ? right : third */
	N_INDEX,    /* left[args] */
	N_CALL,	    /* name(args) */
	N_CAST,	    /* (decl) left */
	N_SIZEOF,   /* sizeof (decl) or sizeof left */
	N_OFFSETOF, /* offsetof(decl, name) */
	N_STRINGOF, /* stringof left */
	N_XLATE,    /* xlate <decl> (left) */
	N_MACRO,    /* $1 $$1 $pid ...: name */
	/* statements */
	N_EXPR, /* left ; */
	N_IF,	/* if (left) body right else third */
	N_BLOCK,
	/* at the top */
	N_CLAUSE,     /* probes /left/ { body } */
	N_DECL,	      /* a variable's or type's declaration */
	N_INLINE,     /* inline decl name = left */
	N_TRANSLATOR, /* translator out < in name > { members } */
	N_PROVIDER,   /* provider name { probes }; for -h and -G */
	N_PRAGMA,
};

/* Operators, named by what the source says. */
enum op {
	OP_NONE,
	OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD,
	OP_AND, OP_OR, OP_XOR, OP_SHL, OP_SHR,
	OP_LAND, OP_LOR, OP_LXOR,
	OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
	OP_ASSIGN, /* with `op2` the compound ones */
	OP_COMMA, OP_DOT, OP_ARROW,
	/* unary */
	OP_NEG, OP_PLUS, OP_NOT, OP_BNOT, OP_DEREF, OP_ADDR,
	OP_PREINC, OP_PREDEC, OP_POSTINC, OP_POSTDEC,
};
const char *op_name(enum op op);

enum scope { SCOPE_GLOBAL, SCOPE_SELF, SCOPE_THIS, SCOPE_KERNEL /* `name */ };

/* A type as written, before types are known: base, then what stands around the name. */
enum declarator { DECL_POINTER, DECL_ARRAY, DECL_ASSOC, DECL_FUNCTION };

struct type_expr {
	char *base;	       /* "unsigned int", "struct foo", "size_t", "string"; "" for a body */
	struct type_body *body; /* of a struct, union or enum that is defined here */
	bool is_const;
	struct {
		enum declarator kind;
		uint64_t count;	       /* DECL_ARRAY; 0: [] */
		struct node *size;     /* DECL_ARRAY written as an expression, or NULL */
		struct node *keys;     /* DECL_ASSOC, DECL_FUNCTION: list of N_DECL */
	} parts[16]; /* outermost (nearest the name) first */
	size_t n_parts;
};

/* struct tag { members } or enum tag { values } */
struct type_body {
	enum ctf_kind kind;
	char *tag;
	struct node *members; /* list of N_DECL; for enums N_DECL with left = value or NULL */
};

enum storage { STORE_NONE, STORE_EXTERN, STORE_STATIC, STORE_TYPEDEF, STORE_SELF, STORE_THIS };

struct probe_spec {
	char *text; /* as written; parts are split by the probe matcher */
	int line;
	struct probe_spec *next;
};

struct node {
	enum node_kind kind;
	int line;
	struct node *next; /* in a list */

	/* from the parser */
	enum op op, op2;
	enum scope scope;
	struct node *left, *right, *third;
	struct node *args; /* list */
	struct node *body; /* list of statements or members */
	char *name;
	char *text;
	size_t text_len; /* of an N_STRING, which may hold NULs */
	uint64_t number;
	bool is_unsigned, is_long; /* suffixes of a number */
	struct type_expr *type_expr;
	enum storage storage;
	unsigned bit_size;
	struct probe_spec *probes; /* N_CLAUSE */
	bool has_body;		   /* N_CLAUSE: false for "probe;" or the default action; a probe's: has ":" */

	/* from the checker */
	const struct ctf_type *type;
	struct ident *ident;
	int slot; /* generator's: scratch offset of a string or structure value; -1 none */
	bool is_lvalue;
	bool is_user; /* an address in the traced process, not in the kernel */
	int64_t value; /* of a constant */
	bool is_const;
	bool library; /* the library's own sentence: it may read the kernel's memory (priv.c) */
};

struct ast {
	struct node *top; /* list */
	struct arena *arena;
	char *file; /* for messages */
};

struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* zeroed */
char *arena_strndup(struct arena *a, const char *s, size_t n);

struct node *node_new(struct arena *a, enum node_kind kind, int line);
/* As S-expressions, one top-level form a line; for tests and -S. */
char *ast_print(const struct ast *ast);
void ast_free(struct ast *ast);
DEFINE_CLEANUP(ast_free, struct ast *);
#define cleanup_ast CLEANUP(ast_freep)

#endif
