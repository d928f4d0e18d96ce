/* Arena, nodes, and the tree in text. */
#include "dtrace/ast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CHUNK 16384

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct arena {
	struct chunk *chunks;
};

struct arena *
arena_new(void)
{
	return xcalloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *a)
{
	struct chunk *c;

	if (!a)
		return;
	while ((c = a->chunks)) {
		a->chunks = c->next;
		free(c);
	}
	free(a);
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = a->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK ? size : CHUNK;

		c = xcalloc(1, sizeof(*c) + room);
		c->size = room;
		c->next = a->chunks;
		a->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	return p;
}

struct node *
node_new(struct arena *a, enum node_kind kind, int line)
{
	struct node *n = arena_alloc(a, sizeof(*n));

	n->kind = kind;
	n->line = line;
	n->slot = -1;
	return n;
}

void
ast_free(struct ast *ast)
{
	if (!ast)
		return;
	arena_free(ast->arena);
	free(ast->file);
	free(ast);
}

const char *
op_name(enum op op)
{
	static const char *const names[] = {
		[OP_NONE] = "",	      [OP_ADD] = "+",	    [OP_SUB] = "-",
		[OP_MUL] = "*",	      [OP_DIV] = "/",	    [OP_MOD] = "%",
		[OP_AND] = "&",	      [OP_OR] = "|",	    [OP_XOR] = "^",
		[OP_SHL] = "<<",      [OP_SHR] = ">>",	    [OP_LAND] = "&&",
		[OP_LOR] = "||",      [OP_LXOR] = "^^",	    [OP_EQ] = "==",
		[OP_NE] = "!=",	      [OP_LT] = "<",	    [OP_LE] = "<=",
		[OP_GT] = ">",	      [OP_GE] = ">=",	    [OP_ASSIGN] = "=",
		[OP_COMMA] = ",",     [OP_DOT] = ".",	    [OP_ARROW] = "->",
		[OP_NEG] = "neg",     [OP_PLUS] = "plus",   [OP_NOT] = "!",
		[OP_BNOT] = "~",      [OP_DEREF] = "deref", [OP_ADDR] = "addr",
		[OP_PREINC] = "++x",  [OP_PREDEC] = "--x",  [OP_POSTINC] = "x++",
		[OP_POSTDEC] = "x--",
	};

	return names[op];
}

/* --- the tree in text */

static void print(struct strbuf *b, const struct node *n);

static void
print_list(struct strbuf *b, const struct node *n)
{
	for (; n; n = n->next) {
		strbuf_addc(b, ' ');
		print(b, n);
	}
}

static void
print_type(struct strbuf *b, const struct type_expr *t)
{
	static const char *const words[] = {"ptr", "array", "assoc", "func"};

	for (size_t i = 0; i < t->n_parts; i++) {
		strbuf_addf(b, "(%s ", words[t->parts[i].kind]);
		if (t->parts[i].kind == DECL_ARRAY)
			strbuf_addf(b, "%llu ", (unsigned long long)t->parts[i].count);
		if (t->parts[i].keys) {
			strbuf_addc(b, '[');
			print_list(b, t->parts[i].keys);
			strbuf_adds(b, " ] ");
		}
	}
	if (t->is_const)
		strbuf_adds(b, "const ");
	strbuf_adds(b, t->base);
	if (t->body) {
		strbuf_addc(b, '{');
		print_list(b, t->body->members);
		strbuf_adds(b, " }");
	}
	for (size_t i = 0; i < t->n_parts; i++)
		strbuf_addc(b, ')');
}

static void
print_string(struct strbuf *b, const char *s, size_t len)
{
	strbuf_addc(b, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c == '"' || c == '\\' || c > 126)
			strbuf_addf(b, "\\%03o", c);
		else
			strbuf_addc(b, (char)c);
	}
	strbuf_addc(b, '"');
}

static void
print_ident(struct strbuf *b, const struct node *n)
{
	static const char *const scopes[] = {"", "self->", "this->", "`"};

	if (n->scope == SCOPE_KERNEL && n->text)
		strbuf_adds(b, n->text);
	strbuf_addf(b, "%s%s", scopes[n->scope], n->name);
}

static void
print_clause(struct strbuf *b, const struct node *n)
{
	strbuf_adds(b, "(clause");
	for (const struct probe_spec *p = n->probes; p; p = p->next)
		strbuf_addf(b, " %s", p->text);
	if (n->left) {
		strbuf_adds(b, " /");
		print(b, n->left);
		strbuf_adds(b, "/");
	}
	if (n->has_body) {
		strbuf_adds(b, " {");
		print_list(b, n->body);
		strbuf_adds(b, " }");
	}
	strbuf_addc(b, ')');
}

static void
print_decl(struct strbuf *b, const struct node *n)
{
	static const char *const words[] = {"", "extern ", "static ", "typedef ", "self ", "this "};

	strbuf_addf(b, "(decl %s%s", words[n->storage], n->name ? n->name : "");
	if (n->type_expr) {
		strbuf_addc(b, ' ');
		print_type(b, n->type_expr);
	}
	if (n->bit_size)
		strbuf_addf(b, " : %u", n->bit_size);
	if (n->left) {
		strbuf_adds(b, " = ");
		print(b, n->left);
	}
	strbuf_addc(b, ')');
}

/* (word child...) for what has children only. */
static void
print_form(struct strbuf *b, const char *word, const struct node *n)
{
	const struct node *kids[] = {n->left, n->right, n->third};

	strbuf_addf(b, "(%s", word);
	if (n->type_expr) {
		strbuf_addc(b, ' ');
		print_type(b, n->type_expr);
	}
	if (n->name)
		strbuf_addf(b, " %s", n->name);
	for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
		if (kids[i]) {
			strbuf_addc(b, ' ');
			print(b, kids[i]);
		}
	}
	print_list(b, n->args);
	print_list(b, n->body);
	strbuf_addc(b, ')');
}

static void
print(struct strbuf *b, const struct node *n)
{
	static const char *const words[] = {
		[N_COND] = "?:",	 [N_INDEX] = "index",	    [N_CALL] = "call",
		[N_CAST] = "cast",	 [N_SIZEOF] = "sizeof",	    [N_OFFSETOF] = "offsetof",
		[N_STRINGOF] = "stringof", [N_XLATE] = "xlate",	    [N_EXPR] = "expr",
		[N_IF] = "if",		 [N_BLOCK] = "block",	    [N_INLINE] = "inline",
		[N_TRANSLATOR] = "translator", [N_PROVIDER] = "provider",
	};
	cleanup_free char *compound = NULL;

	switch (n->kind) {
	case N_INT:
		strbuf_addf(b, "%llu%s%s", (unsigned long long)n->number,
			    n->is_unsigned ? "u" : "", n->is_long ? "l" : "");
		return;
	case N_STRING:
		print_string(b, n->text, n->text_len);
		return;
	case N_IDENT:
		print_ident(b, n);
		return;
	case N_MACRO:
		strbuf_addf(b, "$%s", n->name);
		return;
	case N_AGG:
		strbuf_addf(b, "(@ %s", n->name);
		print_list(b, n->args);
		strbuf_addc(b, ')');
		return;
	case N_OP1:
	case N_OP2:
		compound = str_printf("%s%s", op_name(n->op2), op_name(n->op));
		print_form(b, compound, n);
		return;
	case N_PRAGMA:
		strbuf_addf(b, "(pragma %s)", n->text);
		return;
	case N_CLAUSE:
		print_clause(b, n);
		return;
	case N_DECL:
		print_decl(b, n);
		return;
	case N_COND:
	case N_INDEX:
	case N_CALL:
	case N_CAST:
	case N_SIZEOF:
	case N_OFFSETOF:
	case N_STRINGOF:
	case N_XLATE:
	case N_EXPR:
	case N_IF:
	case N_BLOCK:
	case N_INLINE:
	case N_TRANSLATOR:
	case N_PROVIDER:
		print_form(b, words[n->kind], n);
		return;
	}
}

char *
ast_print(const struct ast *ast)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (const struct node *n = ast->top; n; n = n->next) {
		print(&b, n);
		strbuf_addc(&b, '\n');
	}
	return strbuf_steal(&b);
}
