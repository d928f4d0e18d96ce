/*
 * Names of D: built-in variables, subroutines, actions, aggregating functions,
 * and what a program declares.  One row each (ident.c).
 */
#ifndef DTRACE_IDENT_H
#define DTRACE_IDENT_H

#include "dtrace/ast.h"

enum ident_kind {
	ID_BUILTIN, /* variable of D itself; `builtin` says which */
	ID_VAR,	    /* global, self-> or this-> scalar */
	ID_ASSOC,   /* global or self-> associative array */
	ID_INLINE,
	ID_FUNC,    /* subroutine: a value */
	ID_ACTION,  /* statement */
	ID_AGGFUNC, /* count(), quantize() ... */
};

enum builtin {
	B_ARG0, B_ARG1, B_ARG2, B_ARG3, B_ARG4, B_ARG5, B_ARG6, B_ARG7, B_ARG8, B_ARG9,
	B_ARGS, B_CALLER, B_CPU, B_CURTHREAD, B_EPID, B_ERRNO, B_EXECNAME, B_GID,
	B_ID, B_IPL, B_PID, B_PPID, B_PROBEFUNC, B_PROBEMOD, B_PROBENAME, B_PROBEPROV,
	B_STACKDEPTH, B_TID, B_TIMESTAMP, B_UCALLER, B_UID, B_UREGS, B_USTACKDEPTH,
	B_VTIMESTAMP, B_WALLTIMESTAMP
};

enum aggfunc {
	AGG_COUNT, AGG_SUM, AGG_AVG, AGG_MIN, AGG_MAX, AGG_STDDEV,
	AGG_QUANTIZE, AGG_LQUANTIZE, AGG_LLQUANTIZE, AGG_NONE
};

enum func {
	F_STRLEN, F_STRJOIN, F_STRCHR, F_STRRCHR, F_STRSTR, F_INDEX, F_RINDEX, F_SUBSTR, F_STRTOK,
	F_TOUPPER, F_TOLOWER, F_LLTOSTR, F_STRTOLL, F_BASENAME, F_DIRNAME, F_CLEANPATH,
	F_COPYIN, F_COPYINSTR, F_COPYINTO, F_ALLOCA, F_BCOPY, F_RAND, F_PROGENYOF,
	F_HTONS, F_HTONL, F_HTONLL, F_NTOHS, F_NTOHL, F_NTOHLL, F_INET_NTOA, F_INET_NTOA6,
	F_INET_NTOP, F_LINK_NTOP, F_GETMAJOR, F_GETMINOR, F_SPECULATION, F_JSON, F_MSGDSIZE,
	F_MUTEX_OWNED, F_MUTEX_OWNER, F_MUTEX_TYPE_ADAPTIVE, F_MUTEX_TYPE_SPIN, F_RW_ISWRITER,
	F_RW_READ_HELD, F_RW_WRITE_HELD, F_DDI_PATHNAME,
	F_D_PAGE_FILE, F_D_FILE_PATH, F_D_FILE_MOUNT, F_D_PATH, F_D_MOUNT, F_D_PSARGS, F_D_ZONENAME, /* the library's own */
	F_NFUNCS
};

enum action {
	A_TRACE, A_PRINTF, A_TRACEMEM, A_PRINTA, A_EXIT, A_STACK, A_USTACK, A_JSTACK, A_SYM, A_FUNC,
	A_MOD, A_USYM, A_UFUNC, A_UMOD, A_UADDR, A_CLEAR, A_TRUNC, A_NORMALIZE, A_DENORMALIZE, A_SETOPT,
	A_SYSTEM, A_FREOPEN, A_FTRUNCATE, A_RAISE, A_STOP, A_CHILL, A_COPYOUT, A_COPYOUTSTR,
	A_SPECULATE, A_COMMIT, A_DISCARD, A_PANIC, A_BREAKPOINT, A_PRINT, A_RETURN,
	A_NACTIONS
};

/* Storage class of a variable at run time. */
struct ident {
	const char *name;
	enum ident_kind kind;
	enum scope scope;
	union {
		enum builtin builtin;
		enum func func;
		enum action action;
		enum aggfunc aggfunc;
	};
	const char *type_name;	     /* of a built-in, in C; NULL: see check.c */
	int min_args, max_args;	     /* of functions and actions */
	bool destructive;	     /* needs -w */
	const struct ctf_type *type; /* NULL until the first assignment */
	/* ID_VAR, ID_ASSOC */
	bool is_user;		     /* what it points to is the process's */
	bool is_wide;                /* an int by its first assignment alone: it holds 64 bits */
	unsigned reads, writes;	     /* how often the program names it, as -S tells */
	int offset;		     /* in globals or in the clause-local area */
	int map;		     /* index of its BPF map (self, associative), or -1 */
	const struct ctf_type *keys[8]; /* DT_TUPLE_KEYS */
	size_t n_keys;
	size_t size;
	/* ID_INLINE */
	struct node *inline_node;
};

/* Rows of the language itself: a variable, function or action; NULL if there is none. */
const struct ident *ident_lookup(const char *name);
/* i-th row, NULL past the end. */
const struct ident *ident_at(size_t i);

#endif
