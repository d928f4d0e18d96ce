/* Expressions: C's, and what D adds (^^, @aggregations, `kernel names, xlate, stringof). */
#include "base/str.h"
#include "dtrace/parse_impl.h"

static int parse_cast(struct parser *p, struct node **ret, struct error *err);

/* Binary operators by precedence, loosest first. */
static const struct {
	int level, punct;
	enum op op;
} binary[] = {
	{0, P_LOR, OP_LOR},  {1, P_LXOR, OP_LXOR}, {2, P_LAND, OP_LAND}, {3, '|', OP_OR},
	{4, '^', OP_XOR},    {5, '&', OP_AND},	   {6, P_EQ, OP_EQ},	 {6, P_NE, OP_NE},
	{7, '<', OP_LT},     {7, '>', OP_GT},	   {7, P_LE, OP_LE},	 {7, P_GE, OP_GE},
	{8, P_SHL, OP_SHL},  {8, P_SHR, OP_SHR},   {9, '+', OP_ADD},	 {9, '-', OP_SUB},
	{10, '*', OP_MUL},   {10, '/', OP_DIV},	   {10, '%', OP_MOD},
};
#define TIGHTEST 10

static const struct {
	int punct;
	enum op op;
} assignments[] = {
	{'=', OP_NONE},	    {P_ADDSET, OP_ADD}, {P_SUBSET, OP_SUB}, {P_MULSET, OP_MUL},
	{P_DIVSET, OP_DIV}, {P_MODSET, OP_MOD}, {P_ANDSET, OP_AND}, {P_ORSET, OP_OR},
	{P_XORSET, OP_XOR}, {P_SHLSET, OP_SHL}, {P_SHRSET, OP_SHR},
};

static const struct {
	int punct;
	enum op op;
} unaries[] = {
	{'-', OP_NEG},	 {'+', OP_PLUS}, {'!', OP_NOT},	    {'~', OP_BNOT},
	{'*', OP_DEREF}, {'&', OP_ADDR}, {P_INC, OP_PREINC}, {P_DEC, OP_PREDEC},
};

static struct node *
make2(struct parser *p, enum op op, struct node *left, struct node *right)
{
	struct node *n = node_new(p->lex.arena, N_OP2, left->line);

	n->op = op;
	n->left = left;
	n->right = right;
	return n;
}

static struct node *
make1(struct parser *p, enum op op, struct node *left, int line)
{
	struct node *n = node_new(p->lex.arena, N_OP1, line);

	n->op = op;
	n->left = left;
	return n;
}

int
parse_list(struct parser *p, int close, struct node **ret, struct error *err)
{
	struct node_list list;
	bool comma = false;
	int r;

	node_list_init(&list);
	while (!lex_is(&p->lex, close) || comma) {
		struct node *n;

		if ((r = parse_assignment(p, &n, err)) < 0)
			return r;
		node_list_add(&list, n);
		if ((r = parse_accept(p, ',', &comma, err)) < 0)
			return r;
		if (!comma)
			break;
	}
	*ret = list.first;
	return 0;
}

/* The word after a dot, an arrow or a backquote. */
static int
take_name(struct parser *p, char **ret, struct error *err)
{
	if (p->lex.token != T_IDENT)
		return parse_fail(p, "a name", err);
	*ret = p->lex.text;
	return lex_next(&p->lex, err);
}

/* `name, with the word before it as the module ("" if none). */
static int
parse_kernel_name(struct parser *p, char *module, int line, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_IDENT, line);
	int r;

	n->scope = SCOPE_KERNEL;
	n->text = module;
	if ((r = lex_next(&p->lex, err)) < 0)
		return r;
	if (p->lex.token != T_IDENT)
		return d_error(err, p->lex.token_line, "D_IDENT_UNDEF",
			       "\"`\" stands before the name of a symbol");
	if ((r = take_name(p, &n->name, err)) < 0)
		return r;
	/* a`b`c: link map and module; the last two are what counts here. */
	if (lex_is(&p->lex, '`'))
		return parse_kernel_name(p, n->name, line, ret, err);
	*ret = n;
	return 0;
}

/* self->x and this->x. */
static int
parse_scoped(struct parser *p, enum scope scope, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_IDENT, p->lex.token_line);
	int r;

	n->scope = scope;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, P_ARROW, "->", err)) < 0 ||
	    (r = take_name(p, &n->name, err)) < 0)
		return r;
	*ret = n;
	return 0;
}

/* sizeof(type), sizeof expr. */
static int
parse_sizeof(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_SIZEOF, p->lex.token_line);
	struct lexer before;
	bool paren;
	int r;

	if ((r = lex_next(&p->lex, err)) < 0)
		return r;
	before = p->lex;
	if ((r = parse_accept(p, '(', &paren, err)) < 0)
		return r;
	if (paren && parse_at_type(p)) {
		if ((r = parse_type_name(p, &n->type_expr, err)) < 0 ||
		    (r = parse_expect(p, ')', ")", err)) < 0)
			return r;
	} else {
		p->lex = before;
		if ((r = parse_cast(p, &n->left, err)) < 0)
			return r;
	}
	*ret = n;
	return 0;
}

/* offsetof(type, member) */
static int
parse_offsetof(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_OFFSETOF, p->lex.token_line);
	int r;

	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '(', "(", err)) < 0 ||
	    (r = parse_type_name(p, &n->type_expr, err)) < 0 ||
	    (r = parse_expect(p, ',', ",", err)) < 0 || (r = take_name(p, &n->name, err)) < 0 ||
	    (r = parse_expect(p, ')', ")", err)) < 0)
		return r;
	*ret = n;
	return 0;
}

/* xlate <type> (expr) */
static int
parse_xlate(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_XLATE, p->lex.token_line);
	int r;

	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_expect(p, '<', "<", err)) < 0 ||
	    (r = parse_type_name(p, &n->type_expr, err)) < 0 ||
	    (r = parse_expect(p, '>', ">", err)) < 0 || (r = parse_expect(p, '(', "(", err)) < 0 ||
	    (r = parse_expr(p, &n->left, err)) < 0 || (r = parse_expect(p, ')', ")", err)) < 0)
		return r;
	*ret = n;
	return 0;
}

/* A name: variable, function call, or kernel`name. */
static int
parse_named(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n;
	char *name = p->lex.text;
	int line = p->lex.token_line, r;
	bool paren;

	if ((r = lex_next(&p->lex, err)) < 0)
		return r;
	if (lex_is(&p->lex, '`'))
		return parse_kernel_name(p, name, line, ret, err);
	if ((r = parse_accept(p, '(', &paren, err)) < 0)
		return r;
	n = node_new(p->lex.arena, paren ? N_CALL : N_IDENT, line);
	n->name = name;
	if (paren && ((r = parse_list(p, ')', &n->args, err)) < 0 ||
		      (r = parse_expect(p, ')', ")", err)) < 0))
		return r;
	*ret = n;
	return 0;
}

/* @name and @name[keys] */
static int
parse_aggregation(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_AGG, p->lex.token_line);
	bool bracket;
	int r;

	n->name = p->lex.text;
	if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_accept(p, '[', &bracket, err)) < 0)
		return r;
	if (bracket && ((r = parse_list(p, ']', &n->args, err)) < 0 ||
			(r = parse_expect(p, ']', "]", err)) < 0))
		return r;
	*ret = n;
	return 0;
}

/* Strings side by side are one. */
static int
parse_strings(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n = node_new(p->lex.arena, N_STRING, p->lex.token_line);
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int r;

	while (p->lex.token == T_STRING) {
		strbuf_add(&b, p->lex.text, p->lex.len);
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
	}
	n->text = arena_strndup(p->lex.arena, b.data, b.len);
	n->text_len = b.len;
	*ret = n;
	return 0;
}

static int
parse_primary(struct parser *p, struct node **ret, struct error *err)
{
	static const struct {
		const char *word;
		int (*parse)(struct parser *p, struct node **ret, struct error *err);
	} forms[] = {{"sizeof", parse_sizeof}, {"offsetof", parse_offsetof}, {"xlate", parse_xlate}};
	struct lexer *l = &p->lex;
	struct node *n;
	int r;

	switch (l->token) {
	case T_INT:
		n = node_new(l->arena, N_INT, l->token_line);
		n->number = l->number;
		n->is_unsigned = l->is_unsigned;
		n->is_long = l->is_long;
		*ret = n;
		return lex_next(l, err);
	case T_STRING:
		return parse_strings(p, ret, err);
	case T_MACRO:
		n = node_new(l->arena, N_MACRO, l->token_line);
		n->name = l->text;
		*ret = n;
		return lex_next(l, err);
	case T_AGG:
		return parse_aggregation(p, ret, err);
	case T_IDENT:
		for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
			if (str_eq(l->text, forms[i].word))
				return forms[i].parse(p, ret, err);
		if (str_eq(l->text, "self"))
			return parse_scoped(p, SCOPE_SELF, ret, err);
		if (str_eq(l->text, "this"))
			return parse_scoped(p, SCOPE_THIS, ret, err);
		return parse_named(p, ret, err);
	case T_PUNCT:
		if (l->punct == '`')
			return parse_kernel_name(p, NULL, l->token_line, ret, err);
		if (l->punct != '(')
			break;
		if ((r = lex_next(l, err)) < 0 || (r = parse_expr(p, ret, err)) < 0)
			return r;
		return parse_expect(p, ')', ")", err);
	case T_EOF:
	case T_PRAGMA:
		break;
	}
	return parse_fail(p, "an expression", err);
}

static int
parse_postfix(struct parser *p, struct node **ret, struct error *err)
{
	struct node *n;
	int r = parse_primary(p, &n, err);

	while (r == 0 && p->lex.token == T_PUNCT) {
		int punct = p->lex.punct;

		if (punct == P_INC || punct == P_DEC) {
			n = make1(p, punct == P_INC ? OP_POSTINC : OP_POSTDEC, n, n->line);
			r = lex_next(&p->lex, err);
		} else if (punct == '[') {
			struct node *index = node_new(p->lex.arena, N_INDEX, n->line);

			index->left = n;
			n = index;
			if ((r = lex_next(&p->lex, err)) == 0 &&
			    (r = parse_list(p, ']', &n->args, err)) == 0)
				r = parse_expect(p, ']', "]", err);
		} else if (punct == '.' || punct == P_ARROW) {
			n = make1(p, punct == '.' ? OP_DOT : OP_ARROW, n, n->line);
			if ((r = lex_next(&p->lex, err)) == 0)
				r = take_name(p, &n->name, err);
		} else if (punct == '(') {
			r = d_error(err, p->lex.token_line, "D_FUNC_IDENT",
				    "a function is called by its name");
		} else {
			break;
		}
	}
	if (r == 0)
		*ret = n;
	return r;
}

static int
parse_unary(struct parser *p, struct node **ret, struct error *err)
{
	int line = p->lex.token_line, r;

	if (lex_is_word(&p->lex, "stringof")) {
		struct node *n = node_new(p->lex.arena, N_STRINGOF, line);

		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_cast(p, &n->left, err)) < 0)
			return r;
		*ret = n;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(unaries); i++) {
		struct node *n;

		if (!lex_is(&p->lex, unaries[i].punct))
			continue;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_cast(p, &n, err)) < 0)
			return r;
		*ret = make1(p, unaries[i].op, n, line);
		return 0;
	}
	return parse_postfix(p, ret, err);
}

/* (type) expr, or a unary expression. */
static int
parse_cast(struct parser *p, struct node **ret, struct error *err)
{
	struct lexer before = p->lex;
	struct node *n;
	int r = parse_enter(p, err);

	if (r < 0)
		return r;
	if (lex_is(&p->lex, '(')) {
		if ((r = lex_next(&p->lex, err)) < 0)
			return r;
		if (parse_at_type(p)) {
			n = node_new(p->lex.arena, N_CAST, before.token_line);
			if ((r = parse_type_name(p, &n->type_expr, err)) < 0 ||
			    (r = parse_expect(p, ')', ")", err)) < 0 ||
			    (r = parse_cast(p, &n->left, err)) < 0)
				return r;
			p->nesting--;
			*ret = n;
			return 0;
		}
		p->lex = before;
	}
	r = parse_unary(p, ret, err);
	p->nesting--;
	return r;
}

static int
parse_binary(struct parser *p, int level, struct node **ret, struct error *err)
{
	struct node *left, *right;
	size_t i;
	int r;

	if (level > TIGHTEST)
		return parse_cast(p, ret, err);
	if ((r = parse_binary(p, level + 1, &left, err)) < 0)
		return r;
	for (;;) {
		for (i = 0; i < ARRAY_SIZE(binary); i++)
			if (binary[i].level == level && lex_is(&p->lex, binary[i].punct))
				break;
		if (i == ARRAY_SIZE(binary))
			break;
		if ((r = lex_next(&p->lex, err)) < 0 ||
		    (r = parse_binary(p, level + 1, &right, err)) < 0)
			return r;
		left = make2(p, binary[i].op, left, right);
	}
	*ret = left;
	return 0;
}

static int
parse_conditional(struct parser *p, struct node **ret, struct error *err)
{
	struct node *test, *n;
	bool question;
	int r;

	if ((r = parse_binary(p, 0, &test, err)) < 0 ||
	    (r = parse_accept(p, '?', &question, err)) < 0)
		return r;
	if (!question) {
		*ret = test;
		return 0;
	}
	n = node_new(p->lex.arena, N_COND, test->line);
	n->left = test;
	if ((r = parse_expr(p, &n->right, err)) < 0 || (r = parse_expect(p, ':', ":", err)) < 0 ||
	    (r = parse_enter(p, err)) < 0 || (r = parse_conditional(p, &n->third, err)) < 0)
		return r;
	p->nesting--;
	*ret = n;
	return 0;
}

int
parse_assignment(struct parser *p, struct node **ret, struct error *err)
{
	struct node *left, *right;
	int r = parse_enter(p, err);

	if (r < 0 || (r = parse_conditional(p, &left, err)) < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(assignments); i++) {
		if (!lex_is(&p->lex, assignments[i].punct))
			continue;
		if ((r = lex_next(&p->lex, err)) < 0 || (r = parse_assignment(p, &right, err)) < 0)
			return r;
		left = make2(p, OP_ASSIGN, left, right);
		left->op2 = assignments[i].op;
		break;
	}
	p->nesting--;
	*ret = left;
	return 0;
}

int
parse_expr(struct parser *p, struct node **ret, struct error *err)
{
	struct node *left, *right;
	bool comma;
	int r;

	if ((r = parse_assignment(p, &left, err)) < 0)
		return r;
	while ((r = parse_accept(p, ',', &comma, err)) == 0 && comma) {
		if ((r = parse_assignment(p, &right, err)) < 0)
			return r;
		left = make2(p, OP_COMMA, left, right);
	}
	if (r == 0)
		*ret = left;
	return r;
}
