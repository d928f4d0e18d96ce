/* Types, declarations, clauses: everything that is no expression. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "dtrace/parse_impl.h"

void
node_list_init(struct node_list *l)
{
	l->first = NULL;
	l->tail = &l->first;
}

void
node_list_add(struct node_list *l, struct node *n)
{
	*l->tail = n;
	while (n->next)
		n = n->next;
	l->tail = &n->next;
}

int
parse_fail(struct parser *p, const char *wanted, struct error *err)
{
	cleanup_free char *shown = lex_shown(&p->lex);

	return d_error(err, p->lex.token_line,
		       p->lex.token == T_PRAGMA ? "D_PRAGMA_INVAL" : "D_SYNTAX",
		       "syntax error near %s: expected %s", shown, wanted);
}

int
parse_accept(struct parser *p, int punct, bool *ret_there, struct error *err)
{
	*ret_there = lex_is(&p->lex, punct);
	return *ret_there ? lex_next(&p->lex, err) : 0;
}

int
parse_expect(struct parser *p, int punct, const char *shown, struct error *err)
{
	cleanup_free char *wanted = str_printf("\"%s\"", shown);

	if (!lex_is(&p->lex, punct))
		return parse_fail(p, wanted, err);
	return lex_next(&p->lex, err);
}

int
parse_enter(struct parser *p, struct error *err)
{
	if (++p->nesting > MAX_NESTING)
		return d_error(err, p->lex.token_line, "D_SYNTAX",
			       "expression nested more than %d deep", MAX_NESTING);
	return 0;
}

/* --- types */

static const char *const base_words[] = {
	"void",	  "char",    "short",  "int",	 "long",     "signed", "unsigned", "_Bool", "string",
	"struct", "union",   "enum",   "float",	 "double",   "__signed__",
};

/* What changes nothing of a type, but for `const`; some are of C headers. */
static const char *const qualifiers[] = {
	"const", "volatile", "restrict", "userland", "__inline", "__restrict", "__extension__",
};

static bool
word_in(const char *word, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(word, words[i]))
			return true;
	return false;
}

static bool
at_qualifier(struct parser *p)
{
	return p->lex.token == T_IDENT && word_in(p->lex.text, qualifiers, ARRAY_SIZE(qualifiers));
}

static bool
is_typedef(struct parser *p, const char *name)
{
	if (map_has(p->typedefs, name))
		return true;
	return p->opts && p->opts->is_type && p->opts->is_type(name, p->opts->arg);
}

static const char *
skip_white(const char *p, const char *end)
{
	while (p < end && isspace((unsigned char)*p))
		p++;
	return p;
}

/* At the module of module`type? */
static bool
at_scoped_typedef(struct parser *p)
{
	const char *end = p->lex.end, *from = skip_white(p->lex.p, end), *to;
	cleanup_free char *name = NULL;

	if (p->lex.token != T_IDENT || from == end || *from != '`')
		return false;
	to = from = skip_white(from + 1, end);
	while (to < end && (isalnum((unsigned char)*to) || *to == '_'))
		to++;
	name = xstrndup(from, (size_t)(to - from));
	return is_typedef(p, name);
}

bool
parse_at_type(struct parser *p)
{
	if (p->lex.token != T_IDENT)
		return false;
	return word_in(p->lex.text, base_words, ARRAY_SIZE(base_words)) || at_qualifier(p) ||
	       is_typedef(p, p->lex.text) || at_scoped_typedef(p);
}

static int
parse_enumerators(struct parser *p, struct type_body *body, struct error *err)
{
	struct node_list list;
	bool comma = true;
	int r;

	node_list_init(&list);
	while (comma && !lex_is(&p->lex, '}')) {
		struct node *n = node_new(p->lex.arena, N_DECL, p->lex.token_line);
		bool equals;

		if (p->lex.token != T_IDENT || at_qualifier(p) ||
		    word_in(p->lex.text, base_words, ARRAY_SIZE(base_words)))
			return parse_fail(p, "an enumerator", err);
		n->name = p->lex.text;
		if ((r = lex_next(&p->lex, err)) < 0 ||
		    (r = parse_accept(p, '=', &equals, err)) < 0 ||
		    (equals && (r = parse_assignment(p, &n->left, err)) < 0) ||
		    (r = parse_accept(p, ',', &comma, err)) < 0)
			return r;
		node_list_add(&list, n);
	}
	body->members = list.first;
	return 0;
}

/* One line of a struct: type a, *b, c : 3; */
static int
parse_member_line(struct parser *p, struct node_list *list, struct error *err)
{
	struct type_expr *base;
	bool more = true;
	int r;

	if (!parse_at_type(p))
		return parse_fail(p, "a member's type", err);
	if ((r = parse_specifiers(p, &base, NULL, err)) < 0)
		return r;
	while (more) {
		struct node *n = node_new(p->lex.arena, N_DECL, p->lex.token_line);
		struct node *width;
		bool colon;

		n->type_expr = arena_alloc(p->lex.arena, sizeof(*base));
		*n->type_expr = *base;
		if (!lex_is(&p->lex, ';') &&
		    (r = parse_declarator(p, n->type_expr, &n->name, err)) < 0)
			return r;
		if ((r = parse_accept(p, ':', &colon, err)) < 0)
			return r;
		if (colon) {
			if ((r = parse_assignment(p, &width, err)) < 0)
				return r;
			if (width->kind != N_INT || (!width->number && n->name))
				return d_error(err, n->line, "D_DECL_BFCONST",
					       "a bit-field's width is a positive constant");
			if (width->number > 64)
				return d_error(err, n->line, "D_DECL_BFSIZE",
					       "a bit-field has 64 bits at most");
			n->bit_size = (unsigned)width->number;
		}
		node_list_add(list, n);
		if ((r = parse_accept(p, ',', &more, err)) < 0)
			return r;
	}
	return parse_expect(p, ';', ";", err);
}

/* struct, union, enum: the word has been read. */
static int
parse_tagged(struct parser *p, enum ctf_kind kind, const char *word, struct type_expr *t,
	     struct error *err)
{
	struct type_body *body;
	char *tag = NULL;
	struct node_list list;
	int r;

	if (p->lex.token == T_IDENT) {
		bool scoped;

		tag = p->lex.text;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_accept(p, '`', &scoped, err)) < 0)
			return r;
		if (scoped) { /* struct module`tag: types are looked for everywhere anyhow */
			if (p->lex.token != T_IDENT)
				return parse_fail(p, "a tag", err);
			tag = p->lex.text;
			if ((r = lex_next(&p->lex, err)) < 0)
				return r;
			if (lex_is(&p->lex, '{'))
				return parse_fail(p, "a declarator: a module's type cannot be defined", err);
		}
	}
	if (tag) {
		cleanup_free char *base = str_printf("%s %s", word, tag);

		t->base = arena_strndup(p->lex.arena, base, strlen(base));
	}
	if (!lex_is(&p->lex, '{'))
		return tag ? 0 : parse_fail(p, "a tag or \"{\"", err);
	if (tag && map_has(p->typedefs, t->base))
		return d_error(err, p->lex.token_line, "D_DECL_TYPERED", "type redeclared: %s",
			       t->base);
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_enter(p, err)) < 0)
		return r;
	if (tag)
		map_set(p->typedefs, t->base, NULL);
	body = arena_alloc(p->lex.arena, sizeof(*body));
	body->kind = kind;
	body->tag = tag;
	t->body = body;
	if (!tag)
		t->base = arena_strndup(p->lex.arena, word, strlen(word));
	if (kind == CTF_ENUM) {
		r = parse_enumerators(p, body, err);
	} else {
		node_list_init(&list);
		while (r == 0 && !lex_is(&p->lex, '}'))
			r = parse_member_line(p, &list, err);
		body->members = list.first;
	}
	p->nesting--;
	return r < 0 ? r : parse_expect(p, '}', "}", err);
}

static const struct {
	const char *word;
	enum storage storage;
} storages[] = {
	{"extern", STORE_EXTERN}, {"static", STORE_STATIC}, {"typedef", STORE_TYPEDEF},
	{"self", STORE_SELF},	  {"this", STORE_THIS},	    {"auto", STORE_NONE},
	{"register", STORE_NONE},
};

static bool
at_storage(struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(storages); i++)
		if (lex_is_word(&p->lex, storages[i].word))
			return true;
	return false;
}

/* Is the word a storage class?  Takes it then. */
static int
take_storage(struct parser *p, enum storage *storage, bool *ret_there, struct error *err)
{
	*ret_there = false;
	for (size_t i = 0; storage && i < ARRAY_SIZE(storages); i++) {
		if (!lex_is_word(&p->lex, storages[i].word))
			continue;
		if (storages[i].storage == STORE_NONE)
			return d_error(err, p->lex.token_line, "D_DECL_BADCLASS",
				       "D has no variables of class %s", storages[i].word);
		if (*storage != STORE_NONE)
			return d_error(err, p->lex.token_line, "D_DECL_CLASS",
				       "only one storage class allowed in a declaration");
		*storage = storages[i].storage;
		*ret_there = true;
		return lex_next(&p->lex, err);
	}
	return 0;
}

/* struct, union or enum */
static bool
parse_at_tag(struct parser *p)
{
	return lex_is_word(&p->lex, "struct") || lex_is_word(&p->lex, "union") ||
	       lex_is_word(&p->lex, "enum");
}

/* A word of C's own types. */
static bool
parse_at_word(struct parser *p)
{
	return p->lex.token == T_IDENT && !lex_is_word(&p->lex, "string") &&
	       word_in(p->lex.text, base_words, ARRAY_SIZE(base_words));
}

int
parse_specifiers(struct parser *p, struct type_expr **ret, enum storage *storage,
		 struct error *err)
{
	static const struct {
		const char *word;
		enum ctf_kind kind;
	} tagged[] = {{"struct", CTF_STRUCT}, {"union", CTF_UNION}, {"enum", CTF_ENUM}};
	struct type_expr *t = arena_alloc(p->lex.arena, sizeof(*t));
	cleanup_strbuf struct strbuf words = STRBUF_INIT;
	bool done = false, took;
	int r;

	while (p->lex.token == T_IDENT) {
		const char *word = p->lex.text;
		size_t i = 0;

		if ((r = take_storage(p, storage, &took, err)) < 0)
			return r;
		if (took)
			continue;
		while (i < ARRAY_SIZE(tagged) && !str_eq(word, tagged[i].word))
			i++;
		if (at_qualifier(p) ||
		    (storage && *storage == STORE_STATIC && str_eq(word, "inline"))) {
			t->is_const |= str_eq(word, "const");
			if ((r = lex_next(&p->lex, err)) < 0)
				return r;
			continue;
		}
		if (i < ARRAY_SIZE(tagged) && !done && !words.len) {
			if ((r = lex_next(&p->lex, err)) < 0 ||
			    (r = parse_tagged(p, tagged[i].kind, word, t, err)) < 0)
				return r;
			done = true;
			continue;
		}
		if (!done && !words.len &&
		    at_scoped_typedef(p)) { /* types are looked for everywhere anyhow */
			if ((r = lex_next(&p->lex, err)) < 0 || (r = lex_next(&p->lex, err)) < 0)
				return r;
			word = p->lex.text;
		}
		if (done || (words.len && parse_at_tag(p)) || (words.len && !word_in(word, base_words, ARRAY_SIZE(base_words))) ||
		    (!words.len && !parse_at_type(p)))
			break;
		if (str_eq(word, "__signed__"))
			word = "signed";
		strbuf_addf(&words, "%s%s", words.len ? " " : "", word);
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
	}
	if ((done && parse_at_word(p)) || (words.len && parse_at_tag(p)))
		return d_error(err, p->lex.token_line,
			       done			       ? "D_DECL_COMBO"
			       : strstr(words.data, "long")    ? "D_DECL_LONGINT"
			       : strstr(words.data, "signed") ? "D_DECL_SIGNINT"
							       : "D_DECL_COMBO",
			       "more than one type in a declaration (is a \";\" missing?)");
	if (words.len)
		t->base = arena_strndup(p->lex.arena, words.data, words.len);
	else if (!done) /* "this x;" and "self x;": their first use gives the type */
		t->base = arena_strndup(p->lex.arena, "", 0);
	*ret = t;
	return 0;
}

static int
add_part(struct parser *p, struct type_expr *t, enum declarator kind, uint64_t count,
	 struct node *keys, struct error *err)
{
	if (t->n_parts == ARRAY_SIZE(t->parts))
		return d_error(err, p->lex.token_line, "D_DECL_COMBO", "declarator too complex");
	t->parts[t->n_parts].kind = kind;
	t->parts[t->n_parts].count = count;
	t->parts[t->n_parts++].keys = keys;
	return 0;
}

/* Types between brackets or parentheses: an associative array's keys, parameters. */
static int
parse_params(struct parser *p, int close, struct node **ret, struct error *err)
{
	struct node_list list;
	bool comma = true;
	int r;

	node_list_init(&list);
	while (comma && !lex_is(&p->lex, close)) {
		struct node *n = node_new(p->lex.arena, N_DECL, p->lex.token_line);

		if (lex_is(&p->lex, P_ELLIPSIS)) {
			n->name = arena_strndup(p->lex.arena, "...", 3);
			if ((r = lex_next(&p->lex, err)) < 0)
				return r;
			node_list_add(&list, n);
			break;
		}
		if (at_storage(p))
			return d_error(err, p->lex.token_line, "D_DECL_PARMCLASS",
				       "a parameter has no storage class");
		if (!parse_at_type(p))
			return parse_fail(p, "a type", err);
		if ((r = parse_specifiers(p, &n->type_expr, NULL, err)) < 0 ||
		    (r = parse_declarator(p, n->type_expr, &n->name, err)) < 0 ||
		    (r = parse_accept(p, ',', &comma, err)) < 0)
			return r;
		node_list_add(&list, n);
	}
	*ret = list.first;
	return 0;
}

/* [3], [int, string], [] or (params), behind a name. */
static int
parse_suffix(struct parser *p, struct type_expr *t, struct error *err)
{
	bool bracket = lex_is(&p->lex, '[');
	struct node *n = NULL;
	int r = lex_next(&p->lex, err);

	if (r < 0)
		return r;
	if (!bracket) {
		if ((r = parse_params(p, ')', &n, err)) < 0 ||
		    (r = add_part(p, t, DECL_FUNCTION, 0, n, err)) < 0)
			return r;
		return parse_expect(p, ')', ")", err);
	}
	if (parse_at_type(p) || lex_is(&p->lex, P_ELLIPSIS)) {
		if ((r = parse_params(p, ']', &n, err)) < 0 ||
		    (r = add_part(p, t, DECL_ASSOC, 0, n, err)) < 0)
			return r;
	} else {
		if (!lex_is(&p->lex, ']') && (r = parse_assignment(p, &n, err)) < 0)
			return r;
		if ((r = add_part(p, t, DECL_ARRAY, n && n->kind == N_INT ? n->number : 0, NULL,
				  err)) < 0)
			return r;
		t->parts[t->n_parts - 1].size = n && n->kind != N_INT ? n : NULL;
	}
	return parse_expect(p, ']', "]", err);
}

int
parse_declarator(struct parser *p, struct type_expr *t, char **ret_name, struct error *err)
{
	int stars = 0, r = parse_enter(p, err);
	bool inner = false;

	if (r < 0)
		return r;
	while (lex_is(&p->lex, '*') || at_qualifier(p)) {
		stars += lex_is(&p->lex, '*');
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
	}
	if (lex_is(&p->lex, '(')) { /* (*fn)(int): what is inside stands nearer the name */
		struct lexer before = p->lex;

		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
		inner = lex_is(&p->lex, '*') || lex_is(&p->lex, '(');
		if (inner && ((r = parse_declarator(p, t, ret_name, err)) < 0 ||
			      (r = parse_expect(p, ')', ")", err)) < 0))
			return r;
		if (!inner)
			p->lex = before;
	}
	if (!inner && p->lex.token == T_IDENT) {
		*ret_name = p->lex.text;
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
	}
	if (lex_is(&p->lex, '`'))
		return d_error(err, p->lex.token_line, "D_DECL_SCOPE",
			       "what is declared is the program's own: no \"`\" in its name");
	while (r == 0 && (lex_is(&p->lex, '[') || lex_is(&p->lex, '(')))
		r = parse_suffix(p, t, err);
	while (r == 0 && stars-- > 0)
		r = add_part(p, t, DECL_POINTER, 0, NULL, err);
	p->nesting--;
	return r;
}

int
parse_type_name(struct parser *p, struct type_expr **ret, struct error *err)
{
	char *name = NULL;
	int r;

	if (!parse_at_type(p))
		return parse_fail(p, "a type", err);
	if ((r = parse_specifiers(p, ret, NULL, err)) < 0 ||
	    (r = parse_declarator(p, *ret, &name, err)) < 0)
		return r;
	if (name)
		return d_error(err, p->lex.token_line, "D_DECL_IDENT",
			       "a type without a name expected, not \"%s\"", name);
	return 0;
}

/* The body of a function that a C header defines: D has no such functions, and nobody can call it. */
static int
skip_body(struct parser *p, struct error *err)
{
	int depth = 0, r = 0;

	do {
		depth += lex_is(&p->lex, '{') - lex_is(&p->lex, '}');
		r = lex_next(&p->lex, err);
	} while (r == 0 && depth && p->lex.token != T_EOF);
	return r < 0 || !depth ? r : parse_fail(p, "\"}\"", err);
}

int
parse_declaration(struct parser *p, struct node_list *list, struct error *err)
{
	enum storage storage = STORE_NONE;
	struct type_expr *base;
	bool more = true;
	int r;

	if ((r = parse_specifiers(p, &base, &storage, err)) < 0)
		return r;
	while (more) {
		struct node *n = node_new(p->lex.arena, N_DECL, p->lex.token_line);

		n->storage = storage;
		n->type_expr = arena_alloc(p->lex.arena, sizeof(*base));
		*n->type_expr = *base;
		if (!lex_is(&p->lex, ';') &&
		    (r = parse_declarator(p, n->type_expr, &n->name, err)) < 0)
			return r;
		if (storage == STORE_STATIC && lex_is(&p->lex, '{') && n->type_expr->n_parts &&
		    n->type_expr->parts[0].kind == DECL_FUNCTION)
			return skip_body(p, err);
		if (storage == STORE_TYPEDEF && n->name)
			map_set(p->typedefs, n->name, NULL);
		node_list_add(list, n);
		if ((r = parse_accept(p, ',', &more, err)) < 0)
			return r;
	}
	return parse_expect(p, ';', ";", err);
}

/* --- statements and clauses */

static int parse_statement(struct parser *p, struct node_list *list, struct error *err);

/* Of the whole program, wherever it stands. */
static int
parse_pragma(struct parser *p, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_PRAGMA, p->lex.token_line);

	n->text = p->lex.text;
	node_list_add(p->top, n);
	return lex_next(&p->lex, err);
}

static int
parse_block(struct parser *p, struct node **ret, struct error *err)
{
	struct node_list list;
	int r = parse_expect(p, '{', "{", err);

	node_list_init(&list);
	while (r == 0 && !lex_is(&p->lex, '}')) {
		if (p->lex.token == T_EOF)
			return parse_fail(p, "\"}\"", err);
		r = p->lex.token == T_PRAGMA ? parse_pragma(p, err)
					     : parse_statement(p, &list, err);
	}
	if (r < 0)
		return r;
	*ret = list.first;
	return lex_next(&p->lex, err);
}

/* A block, or one statement that stands for it. */
static int
parse_branch(struct parser *p, struct node **ret, struct error *err)
{
	struct node_list list;
	int r;

	if (lex_is(&p->lex, '{'))
		return parse_block(p, ret, err);
	node_list_init(&list);
	if ((r = parse_statement(p, &list, err)) < 0)
		return r;
	*ret = list.first;
	return 0;
}

static int
parse_if(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_IF, p->lex.token_line);
	struct node *other = NULL;
	int r;

	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '(', "(", err)) < 0 ||
	    (r = parse_expr(p, &n->left, err)) < 0 || (r = parse_expect(p, ')', ")", err)) < 0 ||
	    (r = parse_enter(p, err)) < 0 || (r = parse_branch(p, &n->body, err)) < 0)
		return r;
	if (lex_is_word(&p->lex, "else")) {
		n->third = node_new(p->lex.arena, N_BLOCK, p->lex.token_line);
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_branch(p, &other, err)) < 0)
			return r;
		n->third->body = other;
	}
	p->nesting--;
	node_list_add(list, n);
	return 0;
}

static int
parse_statement(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n;
	bool semi;
	int r;

	if ((r = parse_accept(p, ';', &semi, err)) < 0 || semi)
		return r;
	if (lex_is_word(&p->lex, "if"))
		return parse_if(p, list, err);
	n = node_new(p->lex.arena, N_EXPR, p->lex.token_line);
	if (lex_is(&p->lex, '{')) {
		n->kind = N_BLOCK;
		if ((r = parse_enter(p, err)) < 0 || (r = parse_block(p, &n->body, err)) < 0)
			return r;
		p->nesting--;
	} else {
		if ((r = parse_expr(p, &n->left, err)) < 0)
			return r;
		/* The last statement of a block may go without. */
		if (!lex_is(&p->lex, '}') && (r = parse_expect(p, ';', ";", err)) < 0)
			return r;
	}
	node_list_add(list, n);
	return 0;
}

static void
region(struct parser *p, const char *name)
{
	if (p->opts && p->opts->ret_region)
		*p->opts->ret_region = name;
}

static int
parse_probes(struct parser *p, struct node *n, struct error *err)
{
	struct probe_spec **tail = &n->probes;
	bool comma = true;
	int r;

	while (comma) {
		struct probe_spec *spec = arena_alloc(p->lex.arena, sizeof(*spec));

		if (p->lex.token == T_EOF)
			return parse_fail(p, "a probe description", err);
		if ((r = lex_probe(&p->lex, err)) < 0)
			return r;
		spec->text = p->lex.text;
		spec->line = p->lex.token_line;
		*tail = spec;
		tail = &spec->next;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_accept(p, ',', &comma, err)) < 0)
			return r;
	}
	return 0;
}

static bool
at_comment(const char *p, const char *end)
{
	return end - p > 1 && p[0] == '/' && (p[1] == '*' || p[1] == '/');
}

/* What stands behind the comment at p. */
static const char *
skip_comment(const char *p, const char *end)
{
	bool line = p[1] == '/';

	for (p += 2; p < end; p++)
		if (line ? *p == '\n' : p[0] == '*' && p + 1 < end && p[1] == '/')
			return line ? p : p + 2;
	return end;
}

/*
 * A predicate ends at the '/' that is followed by '{', ';' or the end; in "a / b"
 * it is a division.  The parser finds that slash first and reads the
 * expression up to it.
 */
static const char *
predicate_end(const struct lexer *l)
{
	const char *p = l->p;
	int depth = 0;

	for (; p < l->end; p++) {
		if (*p == '"' || *p == '\'') {
			char quote = *p;

			for (p++; p < l->end && *p != quote && *p != '\n'; p++)
				p += *p == '\\';
		} else if (at_comment(p, l->end)) {
			p = skip_comment(p, l->end) - 1;
		} else if (*p == '(' || *p == '[') {
			depth++;
		} else if (*p == ')' || *p == ']') {
			depth--;
		} else if (*p == '/' && depth <= 0) {
			const char *q = p + 1;

			while (q < l->end && (isspace((unsigned char)*q) || at_comment(q, l->end)))
				q = isspace((unsigned char)*q) ? q + 1 : skip_comment(q, l->end);
			if (q == l->end || *q == '{' || *q == ';')
				return p;
		} else if (*p == '{' || *p == ';') {
			break;
		}
	}
	return NULL;
}

static int
parse_predicate(struct parser *p, struct node *clause, struct error *err)
{
	const char *close = predicate_end(&p->lex), *end = p->lex.end;
	int r;

	if (!close)
		return d_error(err, p->lex.token_line, "D_SYNTAX", "predicate has no closing \"/\"");
	p->lex.end = close;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expr(p, &clause->left, err)) < 0)
		return r;
	if (p->lex.token != T_EOF)
		return parse_fail(p, "\"/\" at the predicate's end", err);
	p->lex.end = end;
	p->lex.p = close + 1;
	return lex_next(&p->lex, err);
}

static int
parse_clause(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_CLAUSE, p->lex.token_line);
	bool semi;
	int r;

	region(p, "probe description");
	if ((r = parse_probes(p, n, err)) < 0)
		return r;
	region(p, lex_is(&p->lex, '/') ? "predicate" : "action list");
	if (lex_is(&p->lex, '/') && (r = parse_predicate(p, n, err)) < 0)
		return r;
	region(p, "action list");
	if (lex_is(&p->lex, '{')) {
		n->has_body = true;
		r = parse_block(p, &n->body, err);
	} else if (p->lex.token != T_EOF) {
		r = parse_accept(p, ';', &semi, err);
		if (r == 0 && !semi)
			r = parse_fail(p, "\"{\" or \"/\"", err);
	}
	if (r == 0)
		node_list_add(list, n);
	return r;
}

/* inline type name = expr;  and  inline type name[type key, ...] = expr; */
static int
parse_inline(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_INLINE, p->lex.token_line);
	int r;

	if ((r = lex_next(&p->lex, err)) < 0 ||
	    (r = parse_specifiers(p, &n->type_expr, NULL, err)) < 0 ||
	    (r = parse_declarator(p, n->type_expr, &n->name, err)) < 0)
		return r;
	if (!n->name)
		return parse_fail(p, "the inline's name", err);
	if ((r = parse_expect(p, '=', "=", err)) < 0 || (r = parse_expr(p, &n->left, err)) < 0 ||
	    (r = parse_expect(p, ';', ";", err)) < 0)
		return r;
	node_list_add(list, n);
	return 0;
}

/* translator out < in *name > { member = expr; ... }; */
static int
parse_translator(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_TRANSLATOR, p->lex.token_line);
	struct node *in = node_new(p->lex.arena, N_DECL, p->lex.token_line);
	struct node_list members;
	int r;

	node_list_init(&members);
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_type_name(p, &n->type_expr, err)) < 0 ||
	    (r = parse_expect(p, '<', "<", err)) < 0 ||
	    (r = parse_specifiers(p, &in->type_expr, NULL, err)) < 0 ||
	    (r = parse_declarator(p, in->type_expr, &in->name, err)) < 0 ||
	    (r = parse_expect(p, '>', ">", err)) < 0 || (r = parse_expect(p, '{', "{", err)) < 0)
		return r;
	n->left = in;
	while (!lex_is(&p->lex, '}')) {
		struct node *m = node_new(p->lex.arena, N_DECL, p->lex.token_line);

		if (p->lex.token != T_IDENT)
			return parse_fail(p, "a member's name", err);
		m->name = p->lex.text;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '=', "=", err)) < 0 ||
		    (r = parse_assignment(p, &m->left, err)) < 0 ||
		    (r = parse_expect(p, ';', ";", err)) < 0)
			return r;
		node_list_add(&members, m);
	}
	n->body = members.first;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, ';', ";", err)) < 0)
		return r;
	node_list_add(list, n);
	return 0;
}

/* What a probe's arguments become is said by the names that they have: (int a) : (long a). */
static int
parse_outputs(struct parser *p, struct node *probe, struct error *err)
{
	int r = parse_expect(p, '(', "(", err), i = 1;

	if (r < 0 || (r = parse_params(p, ')', &probe->body, err)) < 0)
		return r;
	for (const struct node *out = probe->body; out; out = out->next, i++)
		if (!out->name)
			return d_error(err, out->line, "D_DECL_PROTO_NAME",
				       "parameter declaration requires a name: parameter #%d", i);
	return parse_expect(p, ')', ")", err);
}

/* provider name { probe entry(int, char *) : (int a); ... }; */
static int
parse_provider(struct parser *p, struct node_list *list, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_PROVIDER, p->lex.token_line);
	struct node_list probes;
	bool semi, colon;
	int r;

	node_list_init(&probes);
	if ((r = lex_next(&p->lex, err)) < 0)
		return r;
	if (p->lex.token != T_IDENT)
		return parse_fail(p, "the provider's name", err);
	n->name = p->lex.text;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '{', "{", err)) < 0)
		return r;
	while (!lex_is(&p->lex, '}')) {
		struct node *probe = node_new(p->lex.arena, N_DECL, p->lex.token_line);

		if (!lex_is_word(&p->lex, "probe"))
			return parse_fail(p, "\"probe\"", err);
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
		if (p->lex.token != T_IDENT)
			return parse_fail(p, "the probe's name", err);
		probe->name = p->lex.text;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '(', "(", err)) < 0 ||
		    (r = parse_params(p, ')', &probe->args, err)) < 0 ||
		    (r = parse_expect(p, ')', ")", err)) < 0 ||
		    (r = parse_accept(p, ':', &colon, err)) < 0)
			return r;
		probe->has_body = colon;
		if (colon && (r = parse_outputs(p, probe, err)) < 0)
			return r;
		if ((r = parse_expect(p, ';', ";", err)) < 0)
			return r;
		node_list_add(&probes, probe);
	}
	n->body = probes.first;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_accept(p, ';', &semi, err)) < 0)
		return r;
	node_list_add(list, n);
	return 0;
}

/* Does a declaration begin here, rather than a probe description? */
static bool
at_declaration(struct parser *p)
{
	struct lexer *l = &p->lex;
	const char *next;

	if (l->token != T_IDENT)
		return false;
	/* "int:::entry" could be a probe: what follows decides. */
	if (l->p < l->end && strchr(":*?[-", *l->p) && *l->p)
		return false;
	/* Behind a type there is a name: "BEGIN {" is none, whatever types there are. */
	next = l->p;
	while (next < l->end && isspace((unsigned char)*next))
		next++;
	if (next < l->end && *next == '{' &&
	    (lex_is_word(l, "struct") || lex_is_word(l, "union") || lex_is_word(l, "enum")))
		return true;
	if (next == l->end || strchr("{,", *next) || (*next == '/' && next + 1 < l->end && next[1] != '*'))
		return false;
	return at_storage(p) || parse_at_type(p);
}

static int
parse_top(struct parser *p, struct node_list *list, struct error *err)
{
	static const struct {
		const char *word;
		int (*parse)(struct parser *p, struct node_list *list, struct error *err);
	} forms[] = {{"inline", parse_inline},
		     {"translator", parse_translator},
		     {"provider", parse_provider}};

	if (p->lex.token == T_PRAGMA)
		return parse_pragma(p, err);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (lex_is_word(&p->lex, forms[i].word))
			return forms[i].parse(p, list, err);
	if (at_declaration(p))
		return parse_declaration(p, list, err);
	return parse_clause(p, list, err);
}

int
parse_program(const char *text, size_t len, const char *file, const struct parse_opts *opts,
	      struct ast **ret, struct error *err)
{
	cleanup_ast struct ast *ast = xcalloc(1, sizeof(*ast));
	cleanup_map struct map *typedefs = map_new(NULL);
	struct node_list list;
	struct parser p = {.opts = opts, .typedefs = typedefs, .top = &list};
	int r;

	ast->arena = arena_new();
	ast->file = xstrdup(file);
	lex_init(&p.lex, text, len, ast->arena);
	node_list_init(&list);
	r = lex_next(&p.lex, err);
	while (r == 0 && p.lex.token != T_EOF) {
		p.nesting = 0;
		r = parse_top(&p, &list, err);
	}
	if (r < 0)
		return r;
	ast->top = list.first;
	*ret = steal_ptr(&ast);
	return 0;
}
