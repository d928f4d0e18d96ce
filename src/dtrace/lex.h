/*
 * Words of a D program.
 *
 * D is read in two moods: at the top a word may be a probe description
 * (`syscall::*read*:entry`), inside a clause it is C.  The parser says which
 * by calling lex_next() or lex_probe().
 */
#ifndef DTRACE_LEX_H
#define DTRACE_LEX_H

#include "base/error.h"
#include "dtrace/ast.h"

enum token {
	T_EOF,
	T_INT,	  /* number, is_unsigned, is_long */
	T_STRING, /* text, len */
	T_IDENT,  /* text; also keywords: the parser compares */
	T_AGG,	  /* @text; text "_" for a bare @ */
	T_MACRO,  /* $text */
	T_PRAGMA, /* the line's text behind "#pragma D " */
	T_PUNCT,  /* op below 256: the character; else one of P_* */
};

/* Punctuators of more than one character. */
enum punct {
	P_ARROW = 256, P_INC, P_DEC, P_SHL, P_SHR, P_LE, P_GE, P_EQ, P_NE, P_LAND, P_LOR, P_LXOR,
	P_ADDSET, P_SUBSET, P_MULSET, P_DIVSET, P_MODSET, P_ANDSET, P_ORSET, P_XORSET, P_SHLSET,
	P_SHRSET, P_ELLIPSIS,
};

struct lexer {
	const char *p, *end;
	int line;
	struct arena *arena;
	/* the word just read */
	enum token token;
	int punct;
	int token_line;
	const char *start; /* where it stands in the input */
	char *text;
	size_t len;
	uint64_t number;
	bool is_unsigned, is_long, is_char;
};

void lex_init(struct lexer *l, const char *text, size_t len, struct arena *arena);
/* Reads the next word as C; -EINVAL with a D_SYNTAX message. */
int lex_next(struct lexer *l, struct error *err);
/*
 * Reads the word that starts at l->start again, as a probe description: up to
 * white space, ',', '/', '{' or ';' outside of brackets.  T_IDENT.
 */
int lex_probe(struct lexer *l, struct error *err);
bool lex_is(const struct lexer *l, int punct);
bool lex_is_word(const struct lexer *l, const char *word);
/* The word for messages: "\"foo\"", "end of program". */
char *lex_shown(const struct lexer *l);

/* error_set() with "line N: " and, in err->path, the DTrace tag: "D_SYNTAX". */
int d_error(struct error *err, int line, const char *tag, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
