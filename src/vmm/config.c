#include "vmm/config.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/list.h"
#include "base/str.h"

struct config {
	struct list_head link; /* in parent->children */
	struct list_head children;
	struct config *parent; /* NULL: the root */
	char *name;
	char *value;	/* as it was set; NULL: a branch */
	char *expanded; /* made by the last config_get() */
};

static struct config *
node_new(struct config *parent, const char *name, size_t len)
{
	struct config *n = xcalloc(1, sizeof(*n));

	list_init(&n->link);
	list_init(&n->children);
	n->parent = parent;
	n->name = xstrndup(name, len);
	if (parent)
		list_add_tail(&parent->children, &n->link);
	return n;
}

struct config *
config_new(void)
{
	return node_new(NULL, "", 0);
}

void
config_free(struct config *n)
{
	struct config *c, *tmp;

	if (!n)
		return;
	list_for_each_safe(c, tmp, &n->children, link) config_free(c);
	list_del(&n->link);
	free(n->name);
	free(n->value);
	free(n->expanded);
	free(n);
}

static struct config *
find_child(struct config *n, const char *name, size_t len)
{
	struct config *c;

	list_for_each(c, &n->children, link) {
		if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
			return c;
	}
	return NULL;
}

static bool
is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("_-+:", s[i]))
			return false;
	}
	return len > 0;
}

/* Walks to path, making what is missing; *ret may be a leaf only as the last component. */
static int
walk(struct config *n, const char *path, struct config **ret, struct error *err)
{
	const char *p = path;

	for (;;) {
		size_t len = strcspn(p, ".");

		if (!is_name(p, len))
			return error_set_path(err, EINVAL, path,
					      "\"%s\" is not a configuration key", path);
		if (n->value)
			return error_set_path(err, EINVAL, path,
					      "%s cannot be set: %.*s is a value, not a group",
					      path, (int)(p - path - 1), path);

		struct config *c = find_child(n, p, len);

		n = c ? c : node_new(n, p, len);
		if (!p[len])
			break;
		p += len + 1;
	}
	*ret = n;
	return 0;
}

int
config_set(struct config *node, const char *path, const char *value, struct error *err)
{
	struct config *n;

	TRY(walk(node, path, &n, err));
	if (!list_empty(&n->children))
		return error_set_path(err, EINVAL, path,
				      "%s cannot be set: it is a group of keys", path);
	free(n->value);
	n->value = xstrdup(value);
	return 0;
}

int
config_setf(struct config *node, const char *path, struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);

	cleanup_free char *value = str_vprintf(fmt, ap);

	va_end(ap);
	return config_set(node, path, value, err);
}

int
config_parse(struct config *node, const char *assignment, struct error *err)
{
	const char *eq = strchr(assignment, '=');

	if (!eq || eq == assignment)
		return error_set(err, EINVAL, "\"%s\": expected key=value", assignment);

	cleanup_free char *key = xstrndup(assignment, (size_t)(eq - assignment));

	return config_set(node, key, eq + 1, err);
}

int
config_load(struct config *node, const char *path, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	TRY(file_read(path, 1 << 20, &text, NULL, err));
	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *line = str_trim(lines.v[i]);

		if (!*line || *line == '#')
			continue;
		r = config_parse(node, line, err);
		if (r < 0)
			return error_wrap(err, r, "%s:%zu", path, i + 1);
	}
	return 0;
}

struct config *
config_find(struct config *n, const char *path)
{
	while (n && *path) {
		size_t len = strcspn(path, ".");

		n = find_child(n, path, len);
		path += len + (path[len] == '.');
	}
	return n;
}

void
config_remove(struct config *root, const char *path)
{
	config_free(config_find(root, path));
}

int
config_branch(struct config *node, const char *path, struct config **ret, struct error *err)
{
	struct config *n;

	TRY(walk(node, path, &n, err));
	if (n->value)
		return error_set_path(err, EINVAL, path, "%s is a value, not a group", path);
	*ret = n;
	return 0;
}

const char *
config_name(const struct config *node)
{
	return node->name;
}

char *
config_path(const struct config *node)
{
	if (!node->parent)
		return xstrdup("");

	cleanup_free char *up = config_path(node->parent);

	return str_printf("%s%s%s", up, *up ? "." : "", node->name);
}

struct config *
config_next(struct config *branch, struct config *child)
{
	struct list_head *next = child ? child->link.next : branch->children.next;

	return next == &branch->children ? NULL : list_entry(next, struct config, link);
}

bool
config_is_branch(const struct config *node)
{
	return !node->value;
}

static struct config *
root_of(struct config *n)
{
	while (n->parent)
		n = n->parent;
	return n;
}

/* %(a) may name a value with %(b) in it; ten levels are a loop. */
static int
expand(struct config *root, const char *s, unsigned depth, struct strbuf *out, struct error *err)
{
	if (depth > 10)
		return error_set(err, ELOOP, "\"%s\" expands to itself", s);
	while (*s) {
		const char *end;

		if (s[0] != '%') {
			size_t n = strcspn(s, "%");

			strbuf_add(out, s, n);
			s += n;
			continue;
		}
		if (s[1] == '%') {
			strbuf_addc(out, '%');
			s += 2;
			continue;
		}
		end = s[1] == '(' ? strchr(s, ')') : NULL;
		if (!end) {
			strbuf_addc(out, *s++);
			continue;
		}

		cleanup_free char *key = xstrndup(s + 2, (size_t)(end - s - 2));
		struct config *n = config_find(root, key);

		if (!n || !n->value)
			return error_set(err, ENOENT, "%%(%s) names a key that is not set", key);

		TRY(expand(root, n->value, depth + 1, out, err));
		s = end + 1;
	}
	return 0;
}

static int
expand_node(struct config *n, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	TRY(expand(root_of(n), n->value, 0, &b, err));
	free(n->expanded);
	n->expanded = strbuf_steal(&b);
	return 0;
}

const char *
config_get(struct config *node, const char *path, const char *fallback)
{
	struct config *n = config_find(node, path);

	if (!n || !n->value)
		return fallback;
	/* config_check() has refused what cannot be expanded: what is left is set as it was. */
	if (expand_node(n, NULL) < 0)
		return n->value;
	return n->expanded;
}

static int
bad_value(struct config *node, const char *path, const char *value, const char *expected,
	  struct error *err)
{
	cleanup_free char *base = config_path(node);
	cleanup_free char *full = str_printf("%s%s%s", base, *base ? "." : "", path);

	return error_set_path(err, EINVAL, full, "%s: \"%s\" is not %s", full, value, expected);
}

int
config_bool(struct config *node, const char *path, bool fallback, bool *ret, struct error *err)
{
	const char *s = config_get(node, path, NULL);

	if (!s) {
		*ret = fallback;
		return 0;
	}
	if (str_to_bool(s, ret) < 0)
		return bad_value(node, path, s, "true or false", err);
	return 0;
}

int
config_u64(struct config *node, const char *path, uint64_t min, uint64_t max, uint64_t fallback,
	   uint64_t *ret, struct error *err)
{
	const char *s = config_get(node, path, NULL);
	uint64_t v = fallback;

	if (s && (str_to_u64(s, 0, &v) < 0 || v < min || v > max)) {
		cleanup_free char *expected = str_printf("a number from %llu to %llu",
							 (unsigned long long)min,
							 (unsigned long long)max);

		return bad_value(node, path, s, expected, err);
	}
	*ret = v;
	return 0;
}

int
config_size(struct config *node, const char *path, uint64_t fallback, uint64_t *ret,
	    struct error *err)
{
	const char *s = config_get(node, path, NULL);
	uint64_t v = fallback;

	if (s && str_to_size(s, &v) < 0)
		return bad_value(node, path, s, "a size such as 512, 64k or 2G", err);
	*ret = v;
	return 0;
}

int
config_enum(struct config *node, const char *path, const char *const words[], unsigned fallback,
	    unsigned *ret, struct error *err)
{
	const char *s = config_get(node, path, NULL);
	cleanup_strbuf struct strbuf expected = STRBUF_INIT;

	if (!s) {
		*ret = fallback;
		return 0;
	}
	for (unsigned i = 0; words[i]; i++) {
		if (strcmp(words[i], s) == 0) {
			*ret = i;
			return 0;
		}
		strbuf_addf(&expected, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ",
			    words[i]);
	}
	return bad_value(node, path, s, expected.data, err);
}

int
config_check(struct config *n, struct error *err)
{
	struct config *c;

	if (n->value) {
		int r = expand_node(n, err);
		cleanup_free char *path = r < 0 ? config_path(n) : NULL;

		return r < 0 ? error_wrap(err, r, "%s", path) : 0;
	}
	list_for_each(c, &n->children, link) {
		TRY(config_check(c, err));
	}
	return 0;
}

void
config_dump(struct config *n, FILE *out)
{
	struct config *c;

	if (n->value) {
		cleanup_free char *path = config_path(n);

		fprintf(out, "%s=%s\n", path, config_get(n, "", ""));
		return;
	}
	list_for_each(c, &n->children, link) config_dump(c, out);
}
