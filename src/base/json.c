/*
 * A JSON tree.  Text is read and written by yyjson; the tree is ours, since
 * its nodes must move between documents and be changed in place.
 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/map.h"
#include "base/str.h"

#define JSON_MAX_DEPTH 128
#define JSON_MAX_SIZE (64u << 20)

struct json {
	enum json_type type;
	union {
		bool boolean;
		int64_t integer;
		double real;
		char *string;
		struct {
			struct json **items;
			char **keys; /* objects only; keys[i] names items[i] */
			size_t n, cap;
		};
	};
};

static struct json *
node_new(enum json_type type)
{
	struct json *j = xcalloc(1, sizeof(*j));

	j->type = type;
	return j;
}

void
json_free(struct json *j)
{
	if (!j)
		return;
	if (j->type == JSON_STR)
		free(j->string);
	if (j->type == JSON_ARRAY || j->type == JSON_OBJECT) {
		for (size_t i = 0; i < j->n; i++) {
			json_free(j->items[i]);
			if (j->keys)
				free(j->keys[i]);
		}
		free(j->items);
		free(j->keys);
	}
	free(j);
}

struct json *
json_new_null(void)
{
	return node_new(JSON_NULL);
}

struct json *
json_new_bool(bool b)
{
	struct json *j = node_new(JSON_BOOL);

	j->boolean = b;
	return j;
}

struct json *
json_new_int(int64_t i)
{
	struct json *j = node_new(JSON_INT);

	j->integer = i;
	return j;
}

struct json *
json_new_real(double d)
{
	struct json *j = node_new(JSON_REAL);

	j->real = d;
	return j;
}

struct json *
json_new_str(const char *s)
{
	struct json *j = node_new(s ? JSON_STR : JSON_NULL);

	if (s)
		j->string = xstrdup(s);
	return j;
}

struct json *
json_new_array(void)
{
	return node_new(JSON_ARRAY);
}

struct json *
json_new_object(void)
{
	return node_new(JSON_OBJECT);
}

static void
append(struct json *j, const char *key, struct json *value)
{
	if (j->n == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 4;
		j->items = xreallocarray(j->items, j->cap, sizeof(*j->items));
		if (j->type == JSON_OBJECT)
			j->keys = xreallocarray(j->keys, j->cap, sizeof(*j->keys));
	}
	if (j->type == JSON_OBJECT)
		j->keys[j->n] = xstrdup(key);
	j->items[j->n++] = value;
}

static void
remove_at(struct json *j, size_t i)
{
	size_t rest = j->n - i - 1;

	memmove(&j->items[i], &j->items[i + 1], rest * sizeof(*j->items));
	if (j->keys) {
		free(j->keys[i]);
		memmove(&j->keys[i], &j->keys[i + 1], rest * sizeof(*j->keys));
	}
	j->n--;
}

/* Number of the member, or n if there is none. */
static size_t
member(const struct json *object, const char *key)
{
	size_t i = 0;

	while (i < object->n && strcmp(object->keys[i], key) != 0)
		i++;
	return i;
}

static int convert(yyjson_val *v, int depth, struct json **ret, struct error *err);

static int
convert_array(yyjson_val *v, int depth, struct json **ret, struct error *err)
{
	cleanup_json struct json *j = json_new_array();
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	yyjson_val *item;

	while ((item = yyjson_arr_iter_next(&it))) {
		struct json *child;
		int r = convert(item, depth + 1, &child, err);

		if (r < 0)
			return r;
		json_push(j, child);
	}
	*ret = steal_ptr(&j);
	return 0;
}

static int
convert_object(yyjson_val *v, int depth, struct json **ret, struct error *err)
{
	cleanup_json struct json *j = json_new_object();
	cleanup_map struct map *seen = map_new(NULL);
	yyjson_obj_iter it = yyjson_obj_iter_with(v);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&it))) {
		const char *name = yyjson_get_str(key);
		struct json *child;
		int r;

		if (strlen(name) != yyjson_get_len(key))
			return error_set(err, EINVAL, "a key contains a NUL character");
		if (map_has(seen, name))
			return error_set(err, EINVAL, "key \"%s\" is given twice", name);
		map_set(seen, name, NULL);
		r = convert(yyjson_obj_iter_get_val(key), depth + 1, &child, err);
		if (r < 0)
			return r;
		append(j, name, child);
	}
	*ret = steal_ptr(&j);
	return 0;
}

static int
convert(yyjson_val *v, int depth, struct json **ret, struct error *err)
{
	if (depth > JSON_MAX_DEPTH)
		return error_set(err, EINVAL, "nested more than %d deep", JSON_MAX_DEPTH);
	if (yyjson_is_arr(v))
		return convert_array(v, depth, ret, err);
	if (yyjson_is_obj(v))
		return convert_object(v, depth, ret, err);
	if (yyjson_is_str(v)) {
		if (strlen(yyjson_get_str(v)) != yyjson_get_len(v))
			return error_set(err, EINVAL, "a string contains a NUL character");
		*ret = json_new_str(yyjson_get_str(v));
	} else if (yyjson_is_bool(v)) {
		*ret = json_new_bool(yyjson_get_bool(v));
	} else if (yyjson_is_sint(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX)) {
		*ret = json_new_int(yyjson_get_sint(v));
	} else if (yyjson_is_num(v)) {
		*ret = json_new_real(yyjson_get_num(v));
	} else {
		*ret = json_new_null();
	}
	return 0;
}

/* Brackets outside strings, so that deep nesting is refused before it is built. */
static bool
too_deep(const char *text, size_t len)
{
	int depth = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		if (string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				string = false;
		} else if (text[i] == '"') {
			string = true;
		} else if (text[i] == '[' || text[i] == '{') {
			if (++depth > JSON_MAX_DEPTH)
				return true;
		} else if (text[i] == ']' || text[i] == '}') {
			depth--;
		}
	}
	return false;
}

int
json_parse(const char *text, size_t len, struct json **ret, struct error *err)
{
	yyjson_read_err bad;
	yyjson_doc *doc;
	int r;

	if (len == (size_t)-1)
		len = strlen(text);
	if (len > JSON_MAX_SIZE)
		return error_set(err, EFBIG, "JSON of more than %u bytes", JSON_MAX_SIZE);
	if (too_deep(text, len))
		return error_set(err, EINVAL, "nested more than %d deep", JSON_MAX_DEPTH);
	doc = yyjson_read_opts((char *)(uintptr_t)text, len, 0, NULL, &bad);
	if (!doc) {
		size_t line = 0, col = 0, chr = 0;

		if (!len)
			return error_set(err, EINVAL, "not JSON: the input is empty");
		if (!yyjson_locate_pos(text, len, bad.pos, &line, &col, &chr))
			line = col = 1;
		return error_set(err, EINVAL, "not JSON: line %zu, column %zu: %s", line, col,
				 bad.msg);
	}
	r = convert(yyjson_doc_get_root(doc), 0, ret, err);
	yyjson_doc_free(doc);
	return r;
}

int
json_read_file(const char *path, struct json **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(path, JSON_MAX_SIZE, &text, &len, err);

	if (r < 0)
		return r;
	r = json_parse(text, len, ret, err);
	if (r < 0)
		return error_wrap(err, r, "%s", str_eq(path, "-") ? "standard input" : path);
	return 0;
}

static yyjson_mut_val *
build(yyjson_mut_doc *doc, const struct json *j)
{
	yyjson_mut_val *v;

	switch (json_type(j)) {
	case JSON_NULL:
		return yyjson_mut_null(doc);
	case JSON_BOOL:
		return yyjson_mut_bool(doc, j->boolean);
	case JSON_INT:
		return yyjson_mut_sint(doc, j->integer);
	case JSON_REAL:
		return yyjson_mut_real(doc, j->real);
	case JSON_STR:
		return yyjson_mut_str(doc, j->string);
	case JSON_ARRAY:
		v = yyjson_mut_arr(doc);
		for (size_t i = 0; i < j->n; i++)
			yyjson_mut_arr_append(v, build(doc, j->items[i]));
		return v;
	case JSON_OBJECT:
		v = yyjson_mut_obj(doc);
		for (size_t i = 0; i < j->n; i++)
			yyjson_mut_obj_add(v, yyjson_mut_str(doc, j->keys[i]),
					   build(doc, j->items[i]));
		return v;
	}
	abort();
}

char *
json_print(const struct json *j, bool pretty)
{
	yyjson_write_flag flags = YYJSON_WRITE_ALLOW_INVALID_UNICODE;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	char *text;

	if (pretty)
		flags |= YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END;
	if (!doc)
		abort();
	yyjson_mut_doc_set_root(doc, build(doc, j));
	text = yyjson_mut_write_opts(doc, flags, NULL, NULL, NULL);
	yyjson_mut_doc_free(doc);
	if (!text)
		abort();
	return text;
}

int
json_write_file(const char *path, const struct json *j, unsigned mode, struct error *err)
{
	cleanup_free char *text = json_print(j, true);

	return file_write_atomic(path, text, strlen(text), (mode_t)mode, err);
}

enum json_type
json_type(const struct json *j)
{
	return j ? j->type : JSON_NULL;
}

const char *
json_type_name(enum json_type t)
{
	static const char *const names[] = {"null",   "boolean", "integer", "number",
					    "string", "array",   "object"};

	return names[t];
}

bool
json_equal(const struct json *a, const struct json *b)
{
	if (json_type(a) != json_type(b))
		return false;
	switch (json_type(a)) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_INT:
		return a->integer == b->integer;
	case JSON_REAL:
		return a->real == b->real;
	case JSON_STR:
		return strcmp(a->string, b->string) == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		size_t k = a->type == JSON_OBJECT ? member(b, a->keys[i]) : i;

		if (k == b->n || !json_equal(a->items[i], b->items[k]))
			return false;
	}
	return true;
}

struct json *
json_copy(const struct json *j)
{
	struct json *copy;

	if (!j)
		return json_new_null();
	if (j->type == JSON_STR)
		return json_new_str(j->string);
	copy = node_new(j->type);
	if (j->type == JSON_ARRAY || j->type == JSON_OBJECT) {
		for (size_t i = 0; i < j->n; i++)
			append(copy, j->keys ? j->keys[i] : NULL, json_copy(j->items[i]));
	} else {
		*copy = *j;
	}
	return copy;
}

const char *
json_str(const struct json *j, const char *fallback)
{
	return json_type(j) == JSON_STR ? j->string : fallback;
}

int64_t
json_int(const struct json *j, int64_t fallback)
{
	if (json_type(j) == JSON_INT)
		return j->integer;
	if (json_type(j) == JSON_REAL && j->real == floor(j->real) && fabs(j->real) < 9e15)
		return (int64_t)j->real;
	return fallback;
}

double
json_real(const struct json *j, double fallback)
{
	if (json_type(j) == JSON_INT)
		return (double)j->integer;
	return json_type(j) == JSON_REAL ? j->real : fallback;
}

bool
json_bool(const struct json *j, bool fallback)
{
	return json_type(j) == JSON_BOOL ? j->boolean : fallback;
}

size_t
json_len(const struct json *j)
{
	return json_type(j) == JSON_ARRAY || json_type(j) == JSON_OBJECT ? j->n : 0;
}

struct json *
json_at(const struct json *array, size_t i)
{
	return json_type(array) == JSON_ARRAY && i < array->n ? array->items[i] : NULL;
}

struct json *
json_get(const struct json *object, const char *key)
{
	size_t i;

	if (json_type(object) != JSON_OBJECT)
		return NULL;
	i = member(object, key);
	return i < object->n ? object->items[i] : NULL;
}

/* Takes one step of a path: "name" or "[3]"; *p moves behind it and its dot. */
static struct json *
lookup_step(const struct json *j, const char **p)
{
	cleanup_free char *key = NULL;
	size_t n = strcspn(*p, ".[");

	if (**p == '[') {
		char *end;
		unsigned long i = strtoul(*p + 1, &end, 10);

		if (*end != ']' || end == *p + 1)
			return NULL;
		*p = end + 1;
		if (**p == '.')
			(*p)++;
		return json_at(j, i);
	}
	key = xstrndup(*p, n);
	*p += n;
	if (**p == '.')
		(*p)++;
	return json_get(j, key);
}

struct json *
json_lookup(const struct json *j, const char *path)
{
	while (j && *path)
		j = lookup_step(j, &path);
	return (struct json *)(uintptr_t)j;
}

const char *
json_key_at(const struct json *object, size_t i)
{
	return json_type(object) == JSON_OBJECT && i < object->n ? object->keys[i] : NULL;
}

struct json *
json_value_at(const struct json *object, size_t i)
{
	return json_type(object) == JSON_OBJECT && i < object->n ? object->items[i] : NULL;
}

void
json_push(struct json *array, struct json *value)
{
	if (array->type != JSON_ARRAY)
		abort();
	append(array, NULL, value);
}

void
json_set(struct json *object, const char *key, struct json *value)
{
	size_t i;

	if (object->type != JSON_OBJECT)
		abort();
	i = member(object, key);
	if (i == object->n) {
		append(object, key, value);
	} else {
		json_free(object->items[i]);
		object->items[i] = value;
	}
}

void
json_set_str(struct json *object, const char *key, const char *value)
{
	json_set(object, key, json_new_str(value));
}

void
json_set_int(struct json *object, const char *key, int64_t value)
{
	json_set(object, key, json_new_int(value));
}

void
json_set_bool(struct json *object, const char *key, bool value)
{
	json_set(object, key, json_new_bool(value));
}

struct json *
json_steal(struct json *object, const char *key)
{
	struct json *value;
	size_t i;

	if (json_type(object) != JSON_OBJECT)
		return NULL;
	i = member(object, key);
	if (i == object->n)
		return NULL;
	value = object->items[i];
	remove_at(object, i);
	return value;
}

bool
json_remove(struct json *object, const char *key)
{
	struct json *value = json_steal(object, key);

	json_free(value);
	return value;
}

bool
json_remove_at(struct json *array, size_t i)
{
	if (json_type(array) != JSON_ARRAY || i >= array->n)
		return false;
	json_free(array->items[i]);
	remove_at(array, i);
	return true;
}
