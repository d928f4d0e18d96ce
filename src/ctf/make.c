/* Types made by hand, laid out by the System V AMD64 ABI (gABI 3.1.2). */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctf/ctf_impl.h"

/* One derived type for each (what, target): pointers stay comparable. */
static struct ctf_type *
derived(struct ctf *c, enum ctf_kind kind, const struct ctf_type *of, uint64_t count, bool *made)
{
	cleanup_free char *key = str_printf("%d %p %llu", kind, (const void *)of,
					    (unsigned long long)count);
	struct ctf_type *t = map_get(c->derived, key);

	*made = !t;
	if (!t) {
		t = ctf_type_new(c, kind, "");
		t->target.type = of;
		map_set(c->derived, key, t);
	}
	return t;
}

const struct ctf_type *
ctf_void(struct ctf *c)
{
	struct ctf_type *t = map_get(c->named, "void");

	if (!t) {
		t = ctf_type_new(c, CTF_VOID, "void");
		map_set(c->named, "void", t);
	}
	return t;
}

const struct ctf_type *
ctf_make_pointer(struct ctf *c, const struct ctf_type *to)
{
	bool made;
	struct ctf_type *t = derived(c, CTF_POINTER, to, 0, &made);

	t->size = ctf_pointer_size(c);
	return t;
}

const struct ctf_type *
ctf_make_narrow_pointer(struct ctf *c, const struct ctf_type *to)
{
	bool made;
	struct ctf_type *t = derived(c, CTF_POINTER, to, 4, &made);

	t->size = 4;
	return t;
}

const struct ctf_type *
ctf_make_array(struct ctf *c, const struct ctf_type *of, uint64_t count)
{
	bool made;
	struct ctf_type *t = derived(c, CTF_ARRAY, of, count, &made);

	t->count = count;
	return t;
}

const struct ctf_type *
ctf_make_qualified(struct ctf *c, enum ctf_kind kind, const struct ctf_type *of)
{
	bool made;

	return derived(c, kind, of, 0, &made);
}

/* Registers t under its spelling, so that ctf_find() sees it. */
static void
name_it(struct ctf *c, struct ctf_type *t, const char *space, const char *name)
{
	cleanup_free char *spelling = str_printf("%s%s", space, name);
	cleanup_free char *canonical = ctf_canonical(spelling);

	t->name = ctf_intern(c, name);
	if (*name)
		map_set(c->named, canonical, t);
}

const struct ctf_type *
ctf_make_int(struct ctf *c, const char *name, unsigned size, bool is_signed)
{
	struct ctf_type *t = ctf_type_new(c, CTF_INT, "");

	t->size = size;
	t->is_signed = is_signed;
	t->is_bool = str_eq(name, "_Bool") || str_eq(name, "bool");
	t->is_char = strstr(name, "char");
	name_it(c, t, "", name);
	return t;
}

const struct ctf_type *
ctf_make_float(struct ctf *c, const char *name, unsigned size)
{
	struct ctf_type *t = ctf_type_new(c, CTF_FLOAT, "");

	t->size = size;
	name_it(c, t, "", name);
	return t;
}

const struct ctf_type *
ctf_make_typedef(struct ctf *c, const char *name, const struct ctf_type *of)
{
	struct ctf_type *t = ctf_type_new(c, CTF_TYPEDEF, "");

	t->target.type = of;
	name_it(c, t, "", name);
	return t;
}

static const char *
space_of(enum ctf_kind kind)
{
	return kind == CTF_STRUCT ? "struct " : kind == CTF_UNION ? "union " : "enum ";
}

const struct ctf_type *
ctf_make_forward(struct ctf *c, enum ctf_kind kind, const char *name)
{
	struct ctf_type *t = ctf_type_new(c, CTF_FORWARD, "");

	t->forward_kind = kind;
	name_it(c, t, space_of(kind), name);
	return t;
}

struct ctf_type *
ctf_make_aggregate(struct ctf *c, enum ctf_kind kind, const char *name)
{
	struct ctf_type *t = ctf_type_new(c, kind, "");

	t->align = 1;
	name_it(c, t, space_of(kind), name);
	return t;
}

void
ctf_limit_align(struct ctf_type *t, unsigned most)
{
	t->most_align = most;
}

static uint64_t
round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

int
ctf_add_member(struct ctf_type *t, const char *name, const struct ctf_type *type,
	       unsigned bit_size, struct error *err)
{
	uint64_t size = ctf_size(type), unit = 8 * size, start;
	unsigned align = ctf_align(type);
	struct ctf_field *f;
	struct ctf_member m;

	if (ctf_find_member(t, name, &m))
		return error_set(err, EEXIST, "member \"%s\" is declared twice", name);
	if (!size && ctf_kind(ctf_resolve(type)) != CTF_ARRAY)
		return error_set(err, EINVAL, "member \"%s\" has an incomplete type", name);
	if (bit_size && (!ctf_is_integral(type) || bit_size > unit))
		return error_set(err, EINVAL, "bit-field \"%s\" is wider than its type", name);

	if (t->most_align && align > t->most_align)
		align = t->most_align;
	start = t->kind == CTF_UNION ? 0 : t->bit_end;
	/* A bit-field may share its unit, but not straddle it. */
	if (!bit_size || start / unit != (start + bit_size - 1) / unit)
		start = round_up(start, 8 * (uint64_t)align);
	f = ctf_field_new(t);
	f->name = ctf_intern(t->owner, name);
	f->ref.type = type;
	f->bit_offset = start;
	f->bit_size = bit_size;

	start += bit_size ? bit_size : unit;
	if (start > t->bit_end)
		t->bit_end = start;
	if (align > t->align)
		t->align = align;
	t->size = round_up((t->bit_end + 7) / 8, t->align);
	return 0;
}

struct ctf_type *
ctf_make_enum(struct ctf *c, const char *name)
{
	struct ctf_type *t = ctf_type_new(c, CTF_ENUM, "");

	t->size = 4;
	name_it(c, t, "enum ", name);
	return t;
}

int
ctf_add_enumerator(struct ctf_type *t, const char *name, int64_t value, struct error *err)
{
	struct ctf_value *v;
	int64_t old;

	if (ctf_made_enumerator(t->owner, name, &old)) /* the parent's may be hidden */
		return error_set(err, EEXIST, "enumerator \"%s\" is declared twice", name);
	v = ctf_value_new(t);
	v->name = ctf_intern(t->owner, name);
	v->value = value;
	if (value < 0)
		t->is_signed = true;
	if (value > UINT32_MAX || value < INT32_MIN)
		t->size = 8;
	return 0;
}

struct ctf_type *
ctf_make_function(struct ctf *c, const struct ctf_type *ret, bool variadic)
{
	struct ctf_type *t = ctf_type_new(c, CTF_FUNCTION, "");

	t->target.type = ret;
	t->variadic = variadic;
	return t;
}

void
ctf_add_param(struct ctf_type *t, const char *name, const struct ctf_type *type)
{
	struct ctf_field *f = ctf_field_new(t);

	f->name = ctf_intern(t->owner, name);
	f->ref.type = type;
}

void
ctf_make_variable(struct ctf *c, const char *name, const struct ctf_type *type)
{
	cleanup_free char *key = str_printf("variable %s", name);

	map_set(c->named, key, (void *)(uintptr_t)type);
}
