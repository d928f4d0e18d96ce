/*
 * A recursive-descent evaluator.  Every function parses its level and, unless
 * `dry` is set, computes it; dry is set for the side of && || ?: that is not
 * taken, and for expr_check().  Values are copies and owned by who holds them;
 * NULL is undefined.
 *
 * A place that can be assigned to is remembered while a chain of members is
 * parsed: the container inside `self` and the last name.
 */
#include "vm/json/expr.h"

#include <ctype.h>
#include <math.h>
#include <regex.h>

#include "base/str.h"

#define DEPTH_MAX 64

struct parser {
	const char *code, *p;
	struct json *self;
	struct error *err;
	int failed; /* negative errno */
	int depth;
	int dry;
};

/* A place: member `name` of `in` (inside self); in NULL: no place. */
struct place {
	struct json *in;
	char *name;
};

static struct json *ternary(struct parser *x);

static void
fail(struct parser *x, const char *what)
{
	if (!x->failed)
		x->failed = error_set(x->err, EINVAL, "%s at \"%.20s\"", what,
				      *x->p ? x->p : "the end");
}

static void
blanks(struct parser *x)
{
	while (isspace((unsigned char)*x->p))
		x->p++;
}

/* The operator op, which is not the beginning of a longer one in `longer`. */
static bool
take(struct parser *x, const char *op, const char *longer)
{
	size_t n = strlen(op);

	blanks(x);
	if (x->failed || strncmp(x->p, op, n) != 0 ||
	    (longer && x->p[n] && strchr(longer, x->p[n])))
		return false;
	x->p += n;
	return true;
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

static bool
take_word(struct parser *x, const char *word)
{
	size_t n = strlen(word);

	blanks(x);
	if (x->failed || strncmp(x->p, word, n) != 0 || is_name(x->p[n]))
		return false;
	x->p += n;
	return true;
}

static char *
name(struct parser *x)
{
	size_t n = 0;

	blanks(x);
	while (is_name(x->p[n]))
		n++;
	if (!n || isdigit((unsigned char)*x->p)) {
		fail(x, "a name is expected");
		return xstrdup("");
	}
	x->p += n;
	return xstrndup(x->p - n, n);
}

/* ---- values ---------------------------------------------------------------------- */

static double
number(const struct json *v)
{
	const char *s = json_str(v, NULL);
	char *end;
	double d;

	if (!v)
		return NAN;
	switch (json_type(v)) {
	case JSON_NULL:
		return 0;
	case JSON_BOOL:
		return json_bool(v, false);
	case JSON_INT:
	case JSON_REAL:
		return json_real(v, 0);
	case JSON_STR:
		if (!*s)
			return 0;
		d = strtod(s, &end);
		while (isspace((unsigned char)*end))
			end++;
		return *end ? NAN : d;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return NAN;
	}
	return NAN;
}

static struct json *
from_number(double d)
{
	if (isfinite(d) && d == floor(d) && fabs(d) < 9e15)
		return json_new_int((int64_t)d);
	return isfinite(d) ? json_new_real(d) : json_new_null();
}

static char *
text(const struct json *v)
{
	if (!v)
		return xstrdup("undefined");
	return json_str(v, NULL) ? xstrdup(json_str(v, "")) : json_print(v, false);
}

bool
expr_true(const struct json *v)
{
	if (!v)
		return false;
	switch (json_type(v)) {
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return json_bool(v, false);
	case JSON_INT:
	case JSON_REAL:
		return json_real(v, 0) != 0;
	case JSON_STR:
		return *json_str(v, "");
	case JSON_ARRAY:
	case JSON_OBJECT:
		return true;
	}
	return false;
}

static const char *
type_name(const struct json *v)
{
	if (!v)
		return "undefined";
	switch (json_type(v)) {
	case JSON_BOOL:
		return "boolean";
	case JSON_INT:
	case JSON_REAL:
		return "number";
	case JSON_STR:
		return "string";
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return "object";
}

static bool
is_null(const struct json *v)
{
	return !v || json_type(v) == JSON_NULL;
}

static bool
same(const struct json *a, const struct json *b, bool strict)
{
	if (strict && strcmp(type_name(a), type_name(b)) != 0)
		return false;
	if (strict && is_null(a) != is_null(b))
		return false;
	if (is_null(a) || is_null(b))
		return is_null(a) && is_null(b);
	if (json_type(a) == JSON_STR && json_type(b) == JSON_STR)
		return str_eq(json_str(a, ""), json_str(b, ""));
	if (json_len(a) || json_len(b) || json_type(a) >= JSON_ARRAY || json_type(b) >= JSON_ARRAY)
		return json_equal(a, b);
	return number(a) == number(b);
}

struct json *
expr_member(const struct json *v, const char *key)
{
	const struct json *member = NULL;
	int i;

	if (json_type(v) == JSON_OBJECT)
		member = json_get(v, key);
	else if (json_type(v) == JSON_ARRAY && str_to_int(key, &i) == 0 && i >= 0)
		member = json_at(v, (size_t)i);
	else if (json_type(v) == JSON_ARRAY && str_eq(key, "length"))
		return json_new_int((int64_t)json_len(v));
	else if (json_type(v) == JSON_STR && str_eq(key, "length"))
		return json_new_int((int64_t)strlen(json_str(v, "")));
	return member ? json_copy(member) : NULL;
}

/* ---- methods ------------------------------------------------------------------------ */

/* Everything a method may need: the value as text, and its arguments. */
struct call {
	struct parser *x;
	const struct json *self;
	const char *s; /* self as text */
	struct json *args;
};

static const char *
arg_text(const struct call *c, size_t i)
{
	return json_str(json_at(c->args, i), "");
}

static struct json *
call_index_of(const struct call *c)
{
	const struct json *item;
	int64_t i = 0;

	if (json_type(c->self) == JSON_ARRAY) {
		json_array_each(item, c->self) {
			if (same(item, json_at(c->args, 0), true))
				return json_new_int(i);
			i++;
		}
		return json_new_int(-1);
	}
	{
		const char *hit = strstr(c->s, arg_text(c, 0));

		return json_new_int(hit ? hit - c->s : -1);
	}
}

static struct json *
call_includes(const struct call *c)
{
	struct json *i = call_index_of(c);
	bool hit = json_int(i, -1) >= 0;

	json_free(i);
	return json_new_bool(hit);
}

static struct json *
call_starts(const struct call *c)
{
	return json_new_bool(str_after(c->s, arg_text(c, 0)) != NULL);
}

static struct json *
call_ends(const struct call *c)
{
	return json_new_bool(str_ends(c->s, arg_text(c, 0)));
}

static struct json *
call_upper(const struct call *c)
{
	cleanup_free char *s = xstrdup(c->s);

	for (char *p = s; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return json_new_str(s);
}

static struct json *
call_lower(const struct call *c)
{
	cleanup_free char *s = xstrdup(c->s);

	return json_new_str(str_lower(s));
}

static struct json *
call_trim(const struct call *c)
{
	cleanup_free char *s = xstrdup(c->s);

	return json_new_str(str_trim(s));
}

static struct json *
call_string(const struct call *c)
{
	return json_new_str(c->s);
}

static struct json *
call_split(const struct call *c)
{
	const char *sep = arg_text(c, 0), *s = c->s, *hit;
	struct json *list = json_new_array();

	while (*sep && (hit = strstr(s, sep)) != NULL) {
		cleanup_free char *part = xstrndup(s, (size_t)(hit - s));

		json_push(list, json_new_str(part));
		s = hit + strlen(sep);
	}
	json_push(list, json_new_str(s));
	return list;
}

static struct json *
call_join(const struct call *c)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	const char *sep = json_len(c->args) ? arg_text(c, 0) : ",";
	const struct json *item;
	bool first = true;

	json_array_each(item, c->self) {
		cleanup_free char *t = is_null(item) ? xstrdup("") : text(item);

		strbuf_addf(&b, "%s%s", first ? "" : sep, t);
		first = false;
	}
	return json_new_str(b.data ? b.data : "");
}

/* slice(from, to) with negatives counted from the end; substr(from, length). */
static struct json *
cut(const struct call *c, bool by_length)
{
	int64_t len = (int64_t)strlen(c->s), from = json_int(json_at(c->args, 0), 0);
	int64_t to = json_at(c->args, 1) ? json_int(json_at(c->args, 1), len) : len;
	cleanup_free char *part = NULL;

	from = from < 0 ? (from + len < 0 ? 0 : from + len) : from > len ? len : from;
	if (by_length && json_at(c->args, 1))
		to = to > len - from ? len : from + to;
	else if (to < 0)
		to += len;
	to = to > len ? len : to < from ? from : to;
	part = xstrndup(c->s + from, (size_t)(to - from));
	return json_new_str(part);
}

static struct json *
call_slice(const struct call *c)
{
	return cut(c, false);
}

static struct json *
call_substr(const struct call *c)
{
	return cut(c, true);
}

/* A pattern in the style of JavaScript as POSIX extended: \d \w \s are the difference. */
static char *
posix_pattern(const char *p)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	static const struct {
		char c;
		const char *set;
	} classes[] = {
		{'d', "[0-9]"}, {'w', "[A-Za-z0-9_]"}, {'s', "[[:space:]]"},
		{'D', "[^0-9]"}, {'W', "[^A-Za-z0-9_]"}, {'S', "[^[:space:]]"},
	};

	for (; *p; p++) {
		bool done = false;

		if (*p == '\\' && p[1]) {
			p++;
			for (size_t i = 0; !done && i < ARRAY_SIZE(classes); i++)
				if (classes[i].c == *p) {
					strbuf_adds(&b, classes[i].set);
					done = true;
				}
			if (!done && *p != '/')
				strbuf_addc(&b, '\\');
		}
		if (!done)
			strbuf_addc(&b, *p);
	}
	return strbuf_steal(&b);
}

/* Does the pattern (as /re/flags is kept: {"re", "flags"}) match? */
static bool
matches(struct parser *x, const struct json *re, const char *s)
{
	cleanup_free char *pattern = posix_pattern(json_str(json_get(re, "re"), ""));
	int flags = REG_EXTENDED | REG_NOSUB;
	regex_t r;
	bool hit;

	if (strchr(json_str(json_get(re, "flags"), ""), 'i'))
		flags |= REG_ICASE;
	if (regcomp(&r, pattern, flags)) {
		fail(x, "the pattern is not understood");
		return false;
	}
	hit = regexec(&r, s, 0, NULL, 0) == 0;
	regfree(&r);
	return hit;
}

static struct json *
call_match(const struct call *c)
{
	return json_new_bool(matches(c->x, json_at(c->args, 0), c->s));
}

static struct json *
call_test(const struct call *c)
{
	return json_new_bool(matches(c->x, c->self, arg_text(c, 0)));
}

static const struct {
	const char *name;
	struct json *(*run)(const struct call *c);
} methods[] = {
	{"indexOf", call_index_of}, {"includes", call_includes}, {"startsWith", call_starts},
	{"endsWith", call_ends},    {"toUpperCase", call_upper}, {"toLowerCase", call_lower},
	{"trim", call_trim},	    {"toString", call_string},	 {"split", call_split},
	{"join", call_join},	    {"slice", call_slice},	 {"substr", call_substr},
	{"match", call_match},	    {"test", call_test},
};

/* The arguments up to ')'. */
static struct json *
arguments(struct parser *x)
{
	struct json *args = json_new_array();

	if (take(x, ")", NULL))
		return args;
	do {
		struct json *v = ternary(x);

		json_push(args, v ? v : json_new_null());
	} while (take(x, ",", NULL));
	if (!take(x, ")", NULL))
		fail(x, "\")\" is expected");
	return args;
}

static struct json *
call_method(struct parser *x, const struct json *self, const char *method)
{
	cleanup_json struct json *args = arguments(x);
	cleanup_free char *s = self ? text(self) : xstrdup("");
	struct call c = {x, self, s, args};

	/* texts of arguments: patterns stay as they are */
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (str_eq(method, methods[i].name))
			return x->dry || x->failed ? NULL : methods[i].run(&c);
	fail(x, "a method that is not known");
	return NULL;
}

/* ---- the grammar, from the inside out ------------------------------------------------------ */

static struct json *
string_literal(struct parser *x)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char quote = *x->p++;

	for (; *x->p && *x->p != quote; x->p++) {
		if (*x->p != '\\') {
			strbuf_addc(&b, *x->p);
			continue;
		}
		x->p++;
		if (!*x->p)
			break;
		strbuf_addc(&b, *x->p == 'n' ? '\n' : *x->p == 't' ? '\t' : *x->p);
	}
	if (*x->p != quote)
		fail(x, "a string that does not end");
	else
		x->p++;
	return json_new_str(b.data ? b.data : "");
}

static struct json *
regex_literal(struct parser *x)
{
	struct json *re = json_new_object();
	const char *start = ++x->p, *flags;
	bool in_set = false;

	for (; *x->p && (*x->p != '/' || in_set); x->p++) {
		if (*x->p == '\\' && x->p[1])
			x->p++;
		else if (*x->p == '[')
			in_set = true;
		else if (*x->p == ']')
			in_set = false;
	}
	if (!*x->p)
		fail(x, "a pattern that does not end");
	else {
		cleanup_free char *pattern = xstrndup(start, (size_t)(x->p - start));

		json_set_str(re, "re", pattern);
		flags = ++x->p;
		while (isalpha((unsigned char)*x->p))
			x->p++;
		{
			cleanup_free char *f = xstrndup(flags, (size_t)(x->p - flags));

			json_set_str(re, "flags", f);
		}
	}
	return re;
}

static struct json *
array_literal(struct parser *x)
{
	struct json *list = json_new_array();

	if (take(x, "]", NULL))
		return list;
	do {
		struct json *v = ternary(x);

		json_push(list, v ? v : json_new_null());
	} while (take(x, ",", NULL));
	if (!take(x, "]", NULL))
		fail(x, "\"]\" is expected");
	return list;
}

static struct json *
primary(struct parser *x, struct place *at)
{
	cleanup_free char *id = NULL;

	blanks(x);
	if (*x->p == '"' || *x->p == '\'')
		return string_literal(x);
	if (*x->p == '/')
		return regex_literal(x);
	if (isdigit((unsigned char)*x->p)) {
		char *end;
		double d = strtod(x->p, &end);

		x->p = end;
		return from_number(d);
	}
	if (take(x, "(", NULL)) {
		struct json *v = ternary(x);

		if (!take(x, ")", NULL))
			fail(x, "\")\" is expected");
		return v;
	}
	if (take(x, "[", NULL))
		return array_literal(x);
	id = name(x);
	if (str_eq(id, "true") || str_eq(id, "false"))
		return json_new_bool(*id == 't');
	if (str_eq(id, "null"))
		return json_new_null();
	if (str_eq(id, "undefined") || x->failed)
		return NULL;
	at->in = x->self;
	if (str_eq(id, "this"))
		return json_copy(x->self);
	at->name = xstrdup(id);
	return expr_member(x->self, id);
}

/* The container inside self that the place names so far. */
static struct json *
descend(const struct place *at)
{
	int i;

	if (!at->in || !at->name)
		return at->in;
	if (json_type(at->in) == JSON_ARRAY)
		return str_to_int(at->name, &i) == 0 && i >= 0 ? json_at(at->in, (size_t)i) : NULL;
	return json_get(at->in, at->name);
}

static struct json *
chain(struct parser *x, struct place *at)
{
	struct json *v;

	if (++x->depth > DEPTH_MAX) {
		fail(x, "too deep");
		x->depth--;
		return NULL;
	}
	v = primary(x, at);
	while (!x->failed) {
		cleanup_free char *key = NULL;
		struct json *next;

		if (take(x, ".", NULL))
			key = name(x);
		else if (take(x, "[", NULL)) {
			cleanup_json struct json *index = ternary(x);

			key = text(index);
			if (!take(x, "]", NULL))
				fail(x, "\"]\" is expected");
		} else
			break;
		if (take(x, "(", NULL)) {
			next = call_method(x, v, key);
			at->in = NULL;
		} else {
			next = expr_member(v, key);
			at->in = descend(at);
		}
		json_free(v);
		v = next;
		free(at->name);
		at->name = steal_ptr(&key);
	}
	x->depth--;
	return v;
}

static struct json *
unary(struct parser *x)
{
	struct place at = {0};
	struct json *v;

	if (++x->depth > DEPTH_MAX) {
		fail(x, "too deep");
		x->depth--;
		return NULL;
	}
	if (take(x, "!", "=")) {
		v = unary(x);
		struct json *b = json_new_bool(!expr_true(v));

		json_free(v);
		v = b;
	} else if (take(x, "-", "=")) {
		v = unary(x);
		struct json *n = from_number(-number(v));

		json_free(v);
		v = n;
	} else if (take_word(x, "typeof")) {
		v = unary(x);
		struct json *t = json_new_str(type_name(v));

		json_free(v);
		v = t;
	} else if (take_word(x, "delete")) {
		json_free(chain(x, &at));
		if (!x->dry && !x->failed && at.in && at.name && json_type(at.in) == JSON_OBJECT)
			json_remove(at.in, at.name);
		v = json_new_bool(true);
	} else
		v = chain(x, &at);
	free(at.name);
	x->depth--;
	return v;
}

static struct json *
product(struct parser *x)
{
	struct json *a = unary(x);

	for (;;) {
		char op = take(x, "*", "=") ? '*' : take(x, "/", "=") ? '/' : take(x, "%", "=") ? '%'
												: 0;
		struct json *b;
		double p, q;

		if (!op)
			return a;
		b = unary(x);
		p = number(a);
		q = number(b);
		json_free(a);
		json_free(b);
		a = from_number(op == '*' ? p * q : op == '/' ? p / q : fmod(p, q));
	}
}

static struct json *
sum(struct parser *x)
{
	struct json *a = product(x);

	for (;;) {
		char op = take(x, "+", "=") ? '+' : take(x, "-", "=") ? '-' : 0;
		struct json *b, *c;

		if (!op)
			return a;
		b = product(x);
		if (op == '+' && (json_type(a) == JSON_STR || json_type(b) == JSON_STR)) {
			cleanup_free char *s = text(a);
			cleanup_free char *t = text(b);
			cleanup_free char *both = str_printf("%s%s", s, t);

			c = json_new_str(both);
		} else
			c = from_number(op == '+' ? number(a) + number(b) : number(a) - number(b));
		json_free(a);
		json_free(b);
		a = c;
	}
}

static struct json *
relation(struct parser *x)
{
	static const char *const ops[] = {"<=", ">=", "<", ">"};
	struct json *a = sum(x);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct json *b;
		double p, q;
		bool is;

		if (!take(x, ops[i], NULL))
			continue;
		b = sum(x);
		if (json_type(a) == JSON_STR && json_type(b) == JSON_STR) {
			p = strcmp(json_str(a, ""), json_str(b, ""));
			q = 0;
		} else {
			p = number(a);
			q = number(b);
		}
		is = ops[i][0] == '<' ? (ops[i][1] ? p <= q : p < q) : (ops[i][1] ? p >= q : p > q);
		json_free(a);
		json_free(b);
		return json_new_bool(is);
	}
	return a;
}

static struct json *
equality(struct parser *x)
{
	static const char *const ops[] = {"===", "!==", "==", "!="};
	struct json *a = relation(x);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct json *b;
		bool is;

		if (!take(x, ops[i], NULL))
			continue;
		b = relation(x);
		is = same(a, b, ops[i][2] == '=') == (ops[i][0] == '=');
		json_free(a);
		json_free(b);
		a = json_new_bool(is);
		i = (size_t)-1; /* a == b == c */
	}
	return a;
}

static struct json *
logical_and(struct parser *x)
{
	struct json *a = equality(x);

	while (take(x, "&&", NULL)) {
		bool skip = !expr_true(a);
		struct json *b;

		x->dry += skip;
		b = equality(x);
		x->dry -= skip;
		json_free(skip ? b : a);
		a = skip ? a : b;
	}
	return a;
}

static struct json *
logical_or(struct parser *x)
{
	struct json *a = logical_and(x);

	while (take(x, "||", NULL)) {
		bool skip = expr_true(a);
		struct json *b;

		x->dry += skip;
		b = logical_and(x);
		x->dry -= skip;
		json_free(skip ? b : a);
		a = skip ? a : b;
	}
	return a;
}

static struct json *
ternary(struct parser *x)
{
	struct json *a, *b;
	bool first;

	if (++x->depth > DEPTH_MAX) {
		fail(x, "too deep");
		x->depth--;
		return NULL;
	}
	a = logical_or(x);
	if (take(x, "?", NULL)) {
		first = expr_true(a);
		json_free(a);
		x->dry += !first;
		a = ternary(x);
		x->dry -= !first;
		if (!take(x, ":", NULL))
			fail(x, "\":\" is expected");
		x->dry += first;
		b = ternary(x);
		x->dry -= first;
		json_free(first ? b : a);
		a = first ? a : b;
	}
	x->depth--;
	return a;
}

static void
assign(struct place *at, struct json *v)
{
	if (json_type(at->in) == JSON_OBJECT)
		json_set(at->in, at->name, v ? v : json_new_null());
	else
		json_free(v);
}

/* Assignment if a place and = follow; else the statement is an expression. */
static struct json *
statement(struct parser *x)
{
	const char *start;
	struct place at = {0};
	struct json *v, *old;
	char op;

	blanks(x);
	start = x->p;
	if (isalpha((unsigned char)*x->p) || *x->p == '_' || *x->p == '$') {
		if (take_word(x, "delete") || take_word(x, "typeof"))
			goto expression;
		x->dry++; /* a call here would run twice */
		old = chain(x, &at);
		x->dry--;
		op = take(x, "=", "=") ? '=' : take(x, "+=", NULL) ? '+' : take(x, "-=", NULL) ? '-'
											      : 0;
		if (op && !x->failed) {
			if (!at.in || !at.name)
				fail(x, "this cannot be assigned to");
			v = ternary(x);
			if (op == '+' && (json_type(old) == JSON_STR || json_type(v) == JSON_STR)) {
				cleanup_free char *s = text(old);
				cleanup_free char *t = text(v);
				cleanup_free char *both = str_printf("%s%s", s, t);

				json_free(v);
				v = json_new_str(both);
			} else if (op != '=') {
				double d = number(v);

				json_free(v);
				v = from_number(op == '+' ? number(old) + d : number(old) - d);
			}
			if (!x->failed && !x->dry)
				assign(&at, v ? json_copy(v) : NULL);
			json_free(old);
			free(at.name);
			return v;
		}
		json_free(old);
		free(at.name);
		if (x->failed)
			return NULL;
	}
expression:
	x->p = start;
	return ternary(x);
}

static int
run(struct parser *x, struct json **ret)
{
	struct json *v = NULL;

	for (;;) {
		while (take(x, ";", NULL))
			;
		blanks(x);
		if (!*x->p || x->failed)
			break;
		json_free(v);
		v = statement(x);
		blanks(x);
		if (*x->p && *x->p != ';')
			fail(x, "this is not understood");
	}
	if (x->failed) {
		json_free(v);
		return x->failed;
	}
	*ret = v;
	return 0;
}

int
expr_run(const char *code, struct json *self, struct json **ret, struct error *err)
{
	struct parser x = {.code = code, .p = code, .self = self, .err = err};

	return run(&x, ret);
}

int
expr_check(const char *code, struct error *err)
{
	cleanup_json struct json *self = json_new_object();
	struct parser x = {.code = code, .p = code, .self = self, .err = err, .dry = 1};
	struct json *v = NULL;
	int r = run(&x, &v);

	json_free(v);
	return r;
}
