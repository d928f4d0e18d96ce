/* From characters to words. */
#include "dtrace/lex.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

int
d_error(struct error *err, int line, const char *tag, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	return error_set_path(err, EINVAL, tag, "line %d: %s", line, text);
}

void
lex_init(struct lexer *l, const char *text, size_t len, struct arena *arena)
{
	*l = (struct lexer){.p = text, .end = text + len, .line = 1, .arena = arena};
	/* "#!/usr/sbin/dtrace -s" is the kernel's business. */
	if (len > 2 && text[0] == '#' && text[1] == '!')
		while (l->p < l->end && *l->p != '\n')
			l->p++;
}

static int
peek(const struct lexer *l, size_t ahead)
{
	return (size_t)(l->end - l->p) > ahead ? (unsigned char)l->p[ahead] : -1;
}

static bool
is_word_char(int c)
{
	return c == '_' || (c >= 0 && isalnum(c));
}

/* "# 12 "file"" and "#line 12": the preprocessor telling where it is. */
static int
line_marker(struct lexer *l, struct error *err)
{
	const char *eol = memchr(l->p, '\n', (size_t)(l->end - l->p));
	size_t n = (size_t)((eol ? eol : l->end) - l->p);
	cleanup_free char *text = xstrndup(l->p, n);
	const char *rest = text + 1;
	char *tail;
	long number;

	rest += strspn(rest, " \t");
	if (str_after(rest, "pragma")) {
		rest += 6 + strspn(rest + 6, " \t");
		l->token = T_PRAGMA;
		l->token_line = l->line;
		if (rest[0] == 'D' && (rest[1] == ' ' || rest[1] == '\t'))
			rest += 2;
		l->text = arena_strndup(l->arena, rest, strlen(rest));
		l->p += n;
		return 1;
	}
	if (str_after(rest, "line"))
		rest += 4;
	if (str_after(rest, "ident")) {
		l->p += n;
		return 0;
	}
	number = strtol(rest, &tail, 10);
	if (tail == rest || number < 0 || number > INT32_MAX)
		return d_error(err, l->line, "D_PRAGCTL_INVAL",
			       "invalid control directive \"%s\" (the C preprocessor runs with -C)", text);
	l->p += n;
	l->line = (int)number - 1; /* the newline that follows makes it `number` */
	return 0;
}

/* Skips white space and comments; 1 if a pragma became the token. */
static int
skip_space(struct lexer *l, struct error *err)
{
	while (l->p < l->end) {
		int c = peek(l, 0);

		if (c == '\n') {
			l->line++;
			l->p++;
		} else if (isspace(c)) {
			l->p++;
		} else if (c == '/' && peek(l, 1) == '*') {
			int start = l->line;
			const char *p = l->p + 2;

			while (p + 1 < l->end && !(p[0] == '*' && p[1] == '/'))
				l->line += *p++ == '\n';
			if (p + 1 >= l->end)
				return d_error(err, start, "D_SYNTAX", "comment has no end");
			l->p = p + 2;
		} else if (c == '/' && peek(l, 1) == '/') {
			while (peek(l, 0) >= 0 && *l->p != '\n')
				l->p++;
		} else if (c == '#') {
			int r = line_marker(l, err);

			if (r != 0)
				return r;
		} else {
			break;
		}
	}
	return 0;
}

/* One escape of a string or character behind its backslash. */
static int
escape(struct lexer *l, struct strbuf *b, struct error *err)
{
	static const char from[] = "abfnrtv0\\\"'", to[] = "\a\b\f\n\r\t\v\0\\\"'";
	int c = peek(l, 0);
	const char *p;

	if (c == '\n') { /* a line that goes on */
		l->line++;
		l->p++;
		return 0;
	}
	if (c >= '0' && c <= '7') {
		unsigned v = 0;

		for (int i = 0; i < 3 && peek(l, 0) >= '0' && peek(l, 0) <= '7'; i++)
			v = v * 8 + (unsigned)(*l->p++ - '0');
		strbuf_addc(b, (char)v);
		return 0;
	}
	if (c == 'x' && peek(l, 1) >= 0 && isxdigit(peek(l, 1))) {
		unsigned v = 0;

		l->p++;
		for (int i = 0; i < 2 && peek(l, 0) >= 0 && isxdigit(peek(l, 0)); i++, l->p++)
			v = v * 16 + (unsigned)(isdigit(peek(l, 0)) ? *l->p - '0'
								     : tolower(*l->p) - 'a' + 10);
		strbuf_addc(b, (char)v);
		return 0;
	}
	p = c > 0 ? memchr(from, c, sizeof(from) - 1) : NULL;
	if (!p) { /* no escape: the backslash stands for itself */
		strbuf_addc(b, '\\');
		return 0;
	}
	strbuf_addc(b, to[p - from]);
	l->p++;
	return 0;
}

static int
quoted(struct lexer *l, char quote, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int start = l->line, r;

	l->p++;
	for (;;) {
		int c = peek(l, 0);

		if (c < 0 || c == '\n')
			return d_error(err, start, quote == '"' ? "D_STR_NL" : "D_CHR_NL",
				       quote == '"' ? "string has no end on its line"
						    : "character constant has no end on its line");
		l->p++;
		if (c == quote)
			break;
		if (c == '\\') {
			r = escape(l, &b, err);
			if (r < 0)
				return r;
		} else {
			strbuf_addc(&b, (char)c);
		}
	}
	if (quote == '"') {
		l->token = T_STRING;
		l->text = arena_strndup(l->arena, b.data ? b.data : "", b.len);
		l->len = b.len;
		return 0;
	}
	if (!b.len)
		return d_error(err, start, "D_CHR_NULL", "empty character constant");
	if (b.len > 8)
		return d_error(err, start, "D_CHR_OFLOW", "character constant of %zu characters",
			       b.len);
	l->token = T_INT;
	l->is_char = true;
	l->number = 0;
	for (size_t i = 0; i < b.len; i++)
		l->number = l->number << 8 | (unsigned char)b.data[i];
	if (b.len == 1)
		l->number = (uint64_t)(int64_t)(signed char)b.data[0];
	return 0;
}

static int
number(struct lexer *l, struct error *err)
{
	cleanup_free char *digits = NULL;
	const char *start = l->p;
	size_t n;

	while (is_word_char(peek(l, 0)))
		l->p++;
	if (peek(l, 0) == '.' && peek(l, 1) >= 0 && isdigit(peek(l, 1)))
		return d_error(err, l->line, "D_SYNTAX", "D has no floating-point constants");
	n = (size_t)(l->p - start);
	while (n && strchr("uUlL", start[n - 1])) {
		l->is_unsigned |= tolower(start[n - 1]) == 'u';
		l->is_long |= tolower(start[n - 1]) == 'l';
		n--;
	}
	digits = xstrndup(start, n);
	l->token = T_INT;
	if (n > 1 && *start == '0' && isdigit(start[1]) && strspn(digits, "01234567") < n)
		return d_error(err, l->line,
			       strspn(digits, "0123456789") < n ? "D_SYNTAX" : "D_INT_DIGIT",
			       "\"%s\" is no octal constant", digits);
	if (strspn(digits, "0123456789") < n && !(*start == '0' && n > 1 && tolower(start[1]) == 'x'))
		return d_error(err, l->line, "D_SYNTAX", "\"%s\" is neither number nor name", digits);
	if (str_to_u64(digits, 0, &l->number) < 0)
		return d_error(err, l->line, "D_INT_OFLOW",
			       "\"%s\" is no integer constant, or does not fit in 64 bits", digits);
	return 0;
}

static const struct {
	const char *text;
	int punct;
} puncts[] = {
	/* longest first */
	{"<<=", P_SHLSET}, {">>=", P_SHRSET}, {"...", P_ELLIPSIS}, {"->", P_ARROW}, {"++", P_INC},
	{"--", P_DEC},	   {"<<", P_SHL},     {">>", P_SHR},	   {"<=", P_LE},    {">=", P_GE},
	{"==", P_EQ},	   {"!=", P_NE},      {"&&", P_LAND},	   {"||", P_LOR},   {"^^", P_LXOR},
	{"+=", P_ADDSET},  {"-=", P_SUBSET},  {"*=", P_MULSET},	   {"/=", P_DIVSET}, {"%=", P_MODSET},
	{"&=", P_ANDSET},  {"|=", P_ORSET},   {"^=", P_XORSET},
};

static int
punctuator(struct lexer *l, struct error *err)
{
	size_t left = (size_t)(l->end - l->p);
	int c = peek(l, 0);

	l->token = T_PUNCT;
	for (size_t i = 0; i < ARRAY_SIZE(puncts); i++) {
		size_t n = strlen(puncts[i].text);

		if (n <= left && memcmp(l->p, puncts[i].text, n) == 0) {
			l->punct = puncts[i].punct;
			l->p += n;
			return 0;
		}
	}
	if (!strchr("+-*/%&|^~!<>=?:;,.()[]{}`", c))
		return d_error(err, l->line, "D_SYNTAX",
			       isprint(c) ? "unexpected character '%c'"
					  : "unexpected character \\%03o",
			       c);
	l->punct = c;
	l->p++;
	return 0;
}

/* A word of letters behind a sigil of `skip` characters. */
static void
word(struct lexer *l, enum token token, size_t skip)
{
	const char *start = l->p + skip;

	l->p = start;
	while (is_word_char(peek(l, 0)))
		l->p++;
	l->token = token;
	l->len = (size_t)(l->p - start);
	l->text = arena_strndup(l->arena, start, l->len);
}

int
lex_next(struct lexer *l, struct error *err)
{
	int r = skip_space(l, err), c;

	if (r != 0)
		return r < 0 ? r : 0;
	l->start = l->p;
	l->token_line = l->line;
	l->text = NULL;
	l->is_unsigned = l->is_long = l->is_char = false;
	c = peek(l, 0);
	if (c < 0) {
		l->token = T_EOF;
		return 0;
	}
	if (c == '"' || c == '\'')
		return quoted(l, (char)c, err);
	if (isdigit(c))
		return number(l, err);
	if (c == '@') {
		word(l, T_AGG, 1);
		if (!l->len)
			l->text = arena_strndup(l->arena, "_", 1);
		return 0;
	}
	if (c == '$') {
		word(l, T_MACRO, peek(l, 1) == '$' ? 2 : 1);
		if (!l->len)
			return d_error(err, l->line, "D_SYNTAX", "\"$\" without a name");
		if (l->start[1] == '$')
			l->text = arena_strndup(l->arena, l->start + 1, l->len + 1);
		return 0;
	}
	if (is_word_char(c)) {
		word(l, T_IDENT, 0);
		return 0;
	}
	if (c == 0)
		return d_error(err, l->line, "D_SYNTAX", "a NUL character in the program");
	return punctuator(l, err);
}

int
lex_probe(struct lexer *l, struct error *err)
{
	int brackets = 0;

	l->p = l->start;
	for (; l->p < l->end; l->p++) {
		int c = (unsigned char)*l->p;

		if (c == '[')
			brackets++;
		else if (c == ']' && brackets)
			brackets--;
		else if (isspace(c) || (!brackets && strchr(",/{;", c)))
			break;
		if (!c)
			return d_error(err, l->line, "D_SYNTAX", "a NUL character in the program");
	}
	l->token = T_IDENT;
	l->len = (size_t)(l->p - l->start);
	if (!l->len || strchr("})", *l->start))
		return d_error(err, l->line, "D_SYNTAX", "expected a probe description");
	l->text = arena_strndup(l->arena, l->start, l->len);
	return 0;
}

bool
lex_is(const struct lexer *l, int punct)
{
	return l->token == T_PUNCT && l->punct == punct;
}

bool
lex_is_word(const struct lexer *l, const char *w)
{
	return l->token == T_IDENT && strcmp(l->text, w) == 0;
}

char *
lex_shown(const struct lexer *l)
{
	if (l->token == T_EOF)
		return xstrdup("end of program");
	if (l->token == T_PRAGMA)
		return xstrdup("#pragma");
	return str_printf("\"%.*s\"", (int)(l->p - l->start), l->start);
}
