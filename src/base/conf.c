/* KEY=VALUE files in shell syntax, without a shell.  See conf.h. */
#include "base/conf.h"

#include <ctype.h>

#include "base/file.h"

struct conf_line {
	char *text;  /* as it stands in the file, without the newline */
	char *key;   /* NULL: not an assignment */
	char *value;
};

struct conf {
	struct conf_line *lines;
	size_t n, cap;
};

static void
line_done(struct conf_line *l)
{
	free(l->text);
	free(l->key);
	free(l->value);
}

struct conf *
conf_new(void)
{
	return xcalloc(1, sizeof(struct conf));
}

void
conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		line_done(&c->lines[i]);
	free(c->lines);
	free(c);
}

static struct conf_line *
conf_add(struct conf *c)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 16;
		c->lines = xreallocarray(c->lines, c->cap, sizeof(*c->lines));
	}
	c->lines[c->n] = (struct conf_line){0};
	return &c->lines[c->n++];
}

static bool
is_key_char(char ch, bool first)
{
	return ch == '_' || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (!first && ch >= '0' && ch <= '9');
}

bool
conf_is_key(const char *s)
{
	if (!s || !is_key_char(*s, true))
		return false;
	while (is_key_char(*s, false))
		s++;
	return *s == '\0';
}

/* Why a value cannot be taken; NULL is success, and *p stands behind the value. */
static const char *
read_value(const char **p, struct strbuf *out)
{
	const char *s = *p;

	for (;;) {
		if (*s == '\'') {
			const char *end = strchr(++s, '\'');

			if (!end)
				return "a single quote is not closed";
			strbuf_add(out, s, (size_t)(end - s));
			s = end + 1;
		} else if (*s == '"') {
			for (s++; *s != '"'; s++) {
				if (*s == '\0')
					return "a double quote is not closed";
				if (*s == '$' || *s == '`')
					return "a shell would expand this value: put it in single quotes";
				if (*s == '\\' && s[1] && strchr("\"\\$`", s[1]))
					s++;
				strbuf_addc(out, *s);
			}
			s++;
		} else if (*s == '\\') {
			if (s[1] == '\0')
				return "a line cannot be continued on the next one";
			strbuf_addc(out, s[1]);
			s += 2;
		} else if (*s == '\0' || *s == ' ' || *s == '\t') {
			*p = s;
			return NULL;
		} else if (strchr("$`;&|<>()", *s)) {
			return "a shell would not take this value as it stands: put it in single quotes";
		} else {
			strbuf_addc(out, *s++);
		}
	}
}

/* Splits one line; NULL is success, else what is wrong with it. */
static const char *
read_line(const char *text, char **ret_key, char **ret_value)
{
	cleanup_strbuf struct strbuf value = STRBUF_INIT;
	const char *s = text + strspn(text, " \t");
	const char *key, *why, *after;
	size_t len;

	if (*s == '\0' || *s == '#')
		return NULL;
	after = str_after(s, "export ");
	if (after)
		s = after + strspn(after, " \t");
	key = s;
	if (!is_key_char(*s, true))
		return "expected KEY=VALUE";
	while (is_key_char(*s, false))
		s++;
	len = (size_t)(s - key);
	if (*s++ != '=')
		return "expected KEY=VALUE";
	why = read_value(&s, &value);
	if (why)
		return why;
	s += strspn(s, " \t");
	if (*s && *s != '#')
		return "there is more than one word: put the value in single quotes";
	*ret_key = xstrndup(key, len);
	*ret_value = strbuf_steal(&value);
	return NULL;
}

int
conf_parse(const char *text, size_t len, const char *name, struct conf **ret,
	   struct strv *problems, struct error *err)
{
	cleanup_conf struct conf *c = conf_new();
	const char *s = text, *end = text + len;
	unsigned number = 0;

	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((nl ? nl : end) - s);
		struct conf_line *l = conf_add(c);
		const char *why = NULL;

		number++;
		if (memchr(s, '\0', n))
			why = "there is a NUL byte in it";
		l->text = xstrndup(s, n);
		n = strlen(l->text);
		if (n && l->text[n - 1] == '\r')
			l->text[n - 1] = '\0';
		if (!why)
			why = read_line(l->text, &l->key, &l->value);
		if (why && !problems)
			return error_set_path(err, EINVAL, name, "%s line %u: %s", name, number, why);
		if (why)
			strv_addf(problems, "%s line %u: %s", name, number, why);
		s = nl ? nl + 1 : end;
	}
	*ret = steal_ptr(&c);
	return 0;
}

int
conf_read_file(const char *path, struct conf **ret, struct strv *problems, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(path, 1 << 20, &text, &len, err);

	return r < 0 ? r : conf_parse(text, len, path, ret, problems, err);
}

/* The line whose assignment of key counts. */
static struct conf_line *
find(const struct conf *c, const char *key)
{
	for (size_t i = c->n; i-- > 0;)
		if (str_eq(c->lines[i].key, key))
			return &c->lines[i];
	return NULL;
}

const char *
conf_get(const struct conf *c, const char *key)
{
	struct conf_line *l = find(c, key);

	return l ? l->value : NULL;
}

bool
conf_next(const struct conf *c, struct conf_iter *it)
{
	while (it->pos < c->n) {
		const struct conf_line *l = &c->lines[it->pos++];

		if (l->key && find(c, l->key) == l) {
			it->key = l->key;
			it->value = l->value;
			return true;
		}
	}
	return false;
}

/* Bare when every byte is harmless to a shell. */
static char *
print_assignment(const char *key, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+.,:/@%=";
	cleanup_free char *quoted = NULL;

	if (value[strspn(value, plain)] == '\0')
		return str_printf("%s=%s", key, value);
	quoted = str_shell_quote(value);
	return str_printf("%s=%s", key, quoted);
}

void
conf_set(struct conf *c, const char *key, const char *value)
{
	struct conf_line *l = find(c, key);

	if (!value) {
		size_t to = 0;

		for (size_t i = 0; i < c->n; i++) {
			if (str_eq(c->lines[i].key, key))
				line_done(&c->lines[i]);
			else
				c->lines[to++] = c->lines[i];
		}
		c->n = to;
		return;
	}
	if (l)
		line_done(l);
	else
		l = conf_add(c);
	l->text = print_assignment(key, value);
	l->key = xstrdup(key);
	l->value = xstrdup(value);
}

void
conf_add_comment(struct conf *c, const char *text)
{
	conf_add(c)->text = text ? str_printf("# %s", text) : xstrdup("");
}

char *
conf_print(const struct conf *c)
{
	struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < c->n; i++) {
		strbuf_adds(&b, c->lines[i].text);
		strbuf_addc(&b, '\n');
	}
	return strbuf_steal(&b);
}

int
conf_write_file(const char *path, const struct conf *c, unsigned mode, struct error *err)
{
	cleanup_free char *text = conf_print(c);

	return file_write_atomic(path, text, strlen(text), mode, err);
}
