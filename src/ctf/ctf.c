/* The type graph: following references, finding by name, looking at types. */
#include "ctf/ctf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctf/ctf_impl.h"

struct ctf *
ctf_new(const char *module, struct ctf *parent)
{
	struct ctf *c = xcalloc(1, sizeof(*c));

	c->module = xstrdup(module);
	c->parent = parent;
	c->strings = map_new(NULL);
	c->named = map_new(NULL);
	c->derived = map_new(NULL);
	return c;
}

void
ctf_free(struct ctf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_made; i++) {
		free(c->made[i]->fields);
		free(c->made[i]->values);
		free(c->made[i]);
	}
	free(c->made);
	if (c->ops)
		c->ops->free(c->source);
	map_free(c->strings);
	map_free(c->named);
	map_free(c->derived);
	free(c->module);
	free(c);
}

const char *
ctf_module(const struct ctf *c)
{
	return c->module;
}

unsigned
ctf_pointer_size(const struct ctf *c)
{
	return 8;
}

struct ctf_type *
ctf_type_new(struct ctf *c, enum ctf_kind kind, const char *name)
{
	struct ctf_type *t = xcalloc(1, sizeof(*t));

	t->owner = c;
	t->kind = kind;
	t->name = name ? name : "";
	if (c->n_made == c->cap_made) {
		c->cap_made = c->cap_made ? 2 * c->cap_made : 64;
		c->made = xreallocarray(c->made, c->cap_made, sizeof(*c->made));
	}
	c->made[c->n_made++] = t;
	return t;
}

/* A copy of s that lives as long as c. */
const char *
ctf_intern(struct ctf *c, const char *s)
{
	if (str_empty(s))
		return "";
	if (!map_has(c->strings, s))
		map_set(c->strings, s, NULL);
	return map_key(c->strings, s);
}

static size_t
grown(size_t n)
{
	return n < 4 ? 4 : 2 * n;
}

struct ctf_field *
ctf_field_new(struct ctf_type *t)
{
	if (t->n_fields == 0 || (t->n_fields >= 4 && (t->n_fields & (t->n_fields - 1)) == 0))
		t->fields = xreallocarray(t->fields, grown(t->n_fields), sizeof(*t->fields));
	t->fields[t->n_fields] = (struct ctf_field){.name = ""};
	return &t->fields[t->n_fields++];
}

struct ctf_value *
ctf_value_new(struct ctf_type *t)
{
	if (t->n_values == 0 || (t->n_values >= 4 && (t->n_values & (t->n_values - 1)) == 0))
		t->values = xreallocarray(t->values, grown(t->n_values), sizeof(*t->values));
	return &t->values[t->n_values++];
}

const struct ctf_type *
ctf_follow(const struct ctf_type *t, struct ctf_ref *ref)
{
	if (!ref->type) {
		ref->type = t->owner->ops->type(t->owner, ref->id);
		if (!ref->type)
			ref->type = ctf_void(t->owner);
	}
	return ref->type;
}

/* --- finding */

static const char *const integer_words[] = {"unsigned", "signed", "short", "char", "int", "long"};

char *
ctf_canonical(const char *spelling)
{
	int count[ARRAY_SIZE(integer_words)] = {0};
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	strv_words(&words, spelling, " \t\n");
	for (size_t i = 0; i < words.n; i++) {
		size_t k = 0;

		while (k < ARRAY_SIZE(integer_words) && !str_eq(words.v[i], integer_words[k]))
			k++;
		if (k == ARRAY_SIZE(integer_words))
			return strv_join(&words, " ");
		count[k]++;
	}
	if (!words.n)
		return xstrdup("");
	if (count[3]) { /* char, signed char, unsigned char */
		strbuf_adds(&b, count[0] ? "unsigned char" : count[1] ? "signed char" : "char");
		return strbuf_steal(&b);
	}
	if (count[0])
		strbuf_adds(&b, "unsigned ");
	if (count[2])
		strbuf_adds(&b, "short");
	else if (count[5])
		strbuf_adds(&b, count[5] > 1 ? "long long" : "long");
	else
		strbuf_adds(&b, "int");
	return strbuf_steal(&b);
}

/* "struct x" -> kind and rest; anything else is an ordinary name. */
static enum ctf_kind
name_space(const char *spelling, const char **ret_name)
{
	static const struct {
		const char *word;
		enum ctf_kind kind;
	} tags[] = {{"struct ", CTF_STRUCT}, {"union ", CTF_UNION}, {"enum ", CTF_ENUM}};

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		*ret_name = str_after(spelling, tags[i].word);
		if (*ret_name)
			return tags[i].kind;
	}
	*ret_name = spelling;
	return CTF_TYPEDEF;
}

static const struct ctf_type *
find_canonical(struct ctf *c, const char *canonical)
{
	const struct ctf_type *t, *forward = NULL;
	enum ctf_kind space;
	const char *name;

	space = name_space(canonical, &name);
	for (; c; c = c->parent) {
		t = map_get(c->named, canonical);
		if (!t && c->ops)
			t = c->ops->find(c, space, name);
		if (t && t->kind != CTF_FORWARD)
			return t;
		if (t)
			forward = t;
	}
	return forward;
}

const struct ctf_type *
ctf_find(struct ctf *c, const char *spelling)
{
	cleanup_free char *canonical = ctf_canonical(spelling);

	if (str_eq(canonical, "void"))
		return ctf_void(c);
	return find_canonical(c, canonical);
}

/* Applies the declarators of text ("* const *[3]") to t. */
static int
parse_declarators(struct ctf *c, const char *p, const struct ctf_type **t, struct error *err)
{
	for (;;) {
		const char *rest;

		p += strspn(p, " \t");
		if (!*p)
			return 0;
		if (*p == '*') {
			*t = ctf_make_pointer(c, *t);
			p++;
		} else if (*p == '[') {
			cleanup_free char *digits = xstrndup(p + 1, strcspn(p + 1, "]"));
			uint64_t n = 0;

			p += strlen(digits) + 1;
			if (*p != ']' || (*digits && str_to_u64(str_trim(digits), 0, &n) < 0))
				return error_set(err, EINVAL, "malformed array size \"[%s\"", digits);
			*t = ctf_make_array(c, *t, n);
			p++;
		} else if ((rest = str_after(p, "const")) || (rest = str_after(p, "volatile")) ||
			   (rest = str_after(p, "restrict"))) {
			p = rest; /* of a value nobody writes to through this name */
		} else {
			return error_set(err, EINVAL, "unexpected \"%s\" in a type name", p);
		}
	}
}

int
ctf_parse(struct ctf *c, const char *text, const struct ctf_type **ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *head = xstrndup(text, strcspn(text, "*["));
	cleanup_free char *name = NULL;
	const struct ctf_type *t;
	int r;

	strv_words(&words, head, " \t\n");
	for (size_t i = words.n; i-- > 0;)
		if (str_eq(words.v[i], "const") || str_eq(words.v[i], "volatile"))
			strv_remove(&words, i);
	name = strv_join(&words, " ");
	t = *name ? ctf_find(c, name) : NULL;
	if (!t)
		return error_set(err, ENOENT, "no type \"%s\" in %s", name, c->module);
	r = parse_declarators(c, text + strlen(head), &t, err);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}

const struct ctf_type *
ctf_find_function(struct ctf *c, const char *name)
{
	const struct ctf_type *t = NULL;

	for (; c && !t; c = c->parent)
		if (c->ops && c->ops->find_function)
			t = c->ops->find_function(c, name);
	return t;
}

const struct ctf_type *
ctf_find_variable(struct ctf *c, const char *name)
{
	cleanup_free char *key = str_printf("variable %s", name);
	const struct ctf_type *t = NULL;

	for (; c && !t; c = c->parent) {
		t = map_get(c->named, key);
		if (!t && c->ops && c->ops->find_variable)
			t = c->ops->find_variable(c, name);
	}
	return t;
}

/* Among the enums made by hand. */
bool
ctf_made_enumerator(struct ctf *c, const char *name, int64_t *ret)
{
	for (size_t i = 0; i < c->n_made; i++) {
		const struct ctf_type *t = c->made[i];

		for (size_t k = 0; k < t->n_values; k++) {
			if (str_eq(t->values[k].name, name)) {
				*ret = t->values[k].value;
				return true;
			}
		}
	}
	return false;
}

bool
ctf_find_enumerator(struct ctf *c, const char *name, int64_t *ret)
{
	for (; c; c = c->parent) {
		if (ctf_made_enumerator(c, name, ret))
			return true;
		if (c->ops && c->ops->find_enumerator && c->ops->find_enumerator(c, name, ret))
			return true;
	}
	return false;
}

void
ctf_each_function(struct ctf *c, ctf_function_fn *fn, void *arg)
{
	if (c->ops && c->ops->each_function)
		c->ops->each_function(c, fn, arg);
}

/* --- looking */

enum ctf_kind
ctf_kind(const struct ctf_type *t)
{
	return t->kind;
}

const char *
ctf_tag(const struct ctf_type *t)
{
	return t->name;
}

struct ctf *
ctf_owner(const struct ctf_type *t)
{
	return t->owner;
}

const struct ctf_type *
ctf_target(const struct ctf_type *t)
{
	/* Following fills a cache inside a type that is constant to everybody else. */
	return ctf_follow(t, (struct ctf_ref *)(uintptr_t)&t->target);
}

/* A loop of typedefs cannot be written in C, but a broken file can hold one. */
#define MAX_CHAIN 64

const struct ctf_type *
ctf_resolve(const struct ctf_type *t)
{
	for (int i = 0; i < MAX_CHAIN; i++) {
		if (t->kind != CTF_TYPEDEF && t->kind != CTF_CONST && t->kind != CTF_VOLATILE &&
		    t->kind != CTF_RESTRICT)
			return t;
		t = ctf_target(t);
	}
	return ctf_void(t->owner);
}

static uint64_t
size_of(const struct ctf_type *t, int depth)
{
	uint64_t size;

	t = ctf_resolve(t);
	if (t->kind != CTF_ARRAY)
		return t->size;
	if (depth > MAX_CHAIN ||
	    __builtin_mul_overflow(size_of(ctf_target(t), depth + 1), t->count, &size))
		return 0;
	return size;
}

uint64_t
ctf_size(const struct ctf_type *t)
{
	return size_of(t, 0);
}

static unsigned
align_of(const struct ctf_type *t, int depth)
{
	unsigned align = 1;

	t = ctf_resolve(t);
	if (t->align)
		return t->align;
	if (depth > MAX_CHAIN)
		return 1;
	if (t->kind == CTF_ARRAY)
		return align_of(ctf_target(t), depth + 1);
	if (t->kind != CTF_STRUCT && t->kind != CTF_UNION)
		return t->size && t->size < 16 ? (unsigned)t->size : t->size ? 16 : 1;
	for (size_t i = 0; i < t->n_fields; i++) {
		unsigned a = align_of(ctf_follow(t, &t->fields[i].ref), depth + 1);

		/* A packed struct's members lie where their type would not. */
		if (a > align && t->fields[i].bit_offset % (8 * a) == 0 && t->size % a == 0)
			align = a;
	}
	return align;
}

unsigned
ctf_align(const struct ctf_type *t)
{
	return align_of(t, 0);
}

uint64_t
ctf_count(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_ARRAY ? t->count : 0;
}

bool
ctf_is_signed(const struct ctf_type *t)
{
	return ctf_resolve(t)->is_signed;
}

bool
ctf_is_bool(const struct ctf_type *t)
{
	return ctf_resolve(t)->is_bool;
}

bool
ctf_is_char(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_INT && t->size == 1 && !t->is_bool;
}

bool
ctf_is_integral(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_INT || t->kind == CTF_ENUM;
}

bool
ctf_is_pointer(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_POINTER || t->kind == CTF_ARRAY;
}

bool
ctf_is_aggregate(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_STRUCT || t->kind == CTF_UNION;
}

bool
ctf_is_string(const struct ctf_type *t)
{
	return ctf_is_pointer(t) && ctf_is_char(ctf_target(ctf_resolve(t)));
}

enum ctf_kind
ctf_forward_kind(const struct ctf_type *t)
{
	return t->forward_kind;
}

static bool
same(const struct ctf_type *a, const struct ctf_type *b, int depth)
{
	a = ctf_resolve(a);
	b = ctf_resolve(b);
	if (a == b || depth > 8)
		return true;
	if (a->kind != b->kind || a->size != b->size || a->count != b->count)
		return false;
	switch (a->kind) {
	case CTF_VOID:
		return true;
	case CTF_INT:
	case CTF_FLOAT:
		return a->is_signed == b->is_signed && a->is_bool == b->is_bool;
	case CTF_POINTER:
	case CTF_ARRAY:
		return same(ctf_target(a), ctf_target(b), depth + 1);
	case CTF_FUNCTION:
		if (a->n_fields != b->n_fields || a->variadic != b->variadic ||
		    !same(ctf_target(a), ctf_target(b), depth + 1))
			return false;
		break;
	case CTF_STRUCT:
	case CTF_UNION:
		if (!str_eq(a->name, b->name) || a->n_fields != b->n_fields)
			return false;
		break;
	case CTF_ENUM:
	case CTF_FORWARD:
		return str_eq(a->name, b->name);
	case CTF_TYPEDEF:
	case CTF_CONST:
	case CTF_VOLATILE:
	case CTF_RESTRICT:
		return false; /* ctf_resolve() leaves none */
	}
	for (size_t i = 0; i < a->n_fields; i++)
		if (a->fields[i].bit_offset != b->fields[i].bit_offset ||
		    !same(ctf_follow(a, &a->fields[i].ref), ctf_follow(b, &b->fields[i].ref),
			  depth + 1))
			return false;
	return true;
}

bool
ctf_same(const struct ctf_type *a, const struct ctf_type *b)
{
	return same(a, b, 0);
}

size_t
ctf_n_members(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_STRUCT || t->kind == CTF_UNION ? t->n_fields : 0;
}

bool
ctf_member_at(const struct ctf_type *t, size_t i, struct ctf_member *ret)
{
	struct ctf_field *f;

	t = ctf_resolve(t);
	if (i >= ctf_n_members(t))
		return false;
	f = &t->fields[i];
	*ret = (struct ctf_member){f->name, ctf_follow(t, &f->ref), f->bit_offset, f->bit_size};
	return true;
}

static bool
find_member(const struct ctf_type *t, const char *name, int depth, struct ctf_member *ret)
{
	struct ctf_member m, inner;

	for (size_t i = 0; ctf_member_at(t, i, &m); i++) {
		if (str_eq(m.name, name)) {
			*ret = m;
			return true;
		}
		if (!*m.name && depth < MAX_CHAIN && find_member(m.type, name, depth + 1, &inner)) {
			inner.bit_offset += m.bit_offset;
			*ret = inner;
			return true;
		}
	}
	return false;
}

bool
ctf_find_member(const struct ctf_type *t, const char *name, struct ctf_member *ret)
{
	return *name && find_member(t, name, 0, ret);
}

size_t
ctf_n_enumerators(const struct ctf_type *t)
{
	return ctf_resolve(t)->n_values;
}

bool
ctf_enumerator_at(const struct ctf_type *t, size_t i, const char **ret_name, int64_t *ret_value)
{
	t = ctf_resolve(t);
	if (i >= t->n_values)
		return false;
	*ret_name = t->values[i].name;
	*ret_value = t->values[i].value;
	return true;
}

const char *
ctf_enumerator_name(const struct ctf_type *t, int64_t value)
{
	t = ctf_resolve(t);
	for (size_t i = 0; i < t->n_values; i++)
		if (t->values[i].value == value)
			return t->values[i].name;
	return NULL;
}

size_t
ctf_n_params(const struct ctf_type *t)
{
	t = ctf_resolve(t);
	return t->kind == CTF_FUNCTION ? t->n_fields : 0;
}

const struct ctf_type *
ctf_param_at(const struct ctf_type *t, size_t i, const char **ret_name)
{
	t = ctf_resolve(t);
	if (i >= ctf_n_params(t))
		return NULL;
	if (ret_name)
		*ret_name = t->fields[i].name;
	return ctf_follow(t, &t->fields[i].ref);
}

bool
ctf_is_variadic(const struct ctf_type *t)
{
	return ctf_resolve(t)->variadic;
}
