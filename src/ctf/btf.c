/*
 * BTF as a source, read by libbpf: ids are BTF type numbers.  A module's BTF
 * is split: numbers below the kernel's count are the kernel's.
 */
#include <bpf/btf.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "ctf/ctf_impl.h"

struct btf_source {
	struct btf *btf;
	uint32_t first;          /* of its own types; below it the parent's */
	struct ctf_type **types; /* by number - first; NULL until asked for */
	uint32_t n;
	bool foreign_base; /* btf was given its base by a parent ctf: not ours to read */
};

static const enum ctf_kind kinds[] = {
	[BTF_KIND_INT] = CTF_INT,	    [BTF_KIND_PTR] = CTF_POINTER,
	[BTF_KIND_ARRAY] = CTF_ARRAY,	    [BTF_KIND_STRUCT] = CTF_STRUCT,
	[BTF_KIND_UNION] = CTF_UNION,	    [BTF_KIND_ENUM] = CTF_ENUM,
	[BTF_KIND_FWD] = CTF_FORWARD,	    [BTF_KIND_TYPEDEF] = CTF_TYPEDEF,
	[BTF_KIND_VOLATILE] = CTF_VOLATILE, [BTF_KIND_CONST] = CTF_CONST,
	[BTF_KIND_RESTRICT] = CTF_RESTRICT, [BTF_KIND_FUNC_PROTO] = CTF_FUNCTION,
	[BTF_KIND_FLOAT] = CTF_FLOAT,	    [BTF_KIND_ENUM64] = CTF_ENUM,
};

static const char *
name_at(const struct btf_source *s, uint32_t off)
{
	const char *name = btf__name_by_offset(s->btf, off);

	return name ? name : "";
}

static void
fill_members(struct btf_source *s, const struct btf_type *bt, struct ctf_type *t)
{
	const struct btf_member *m = btf_members(bt);

	for (uint32_t i = 0; i < btf_vlen(bt); i++) {
		struct ctf_field *f = ctf_field_new(t);

		f->name = name_at(s, m[i].name_off);
		f->ref.id = m[i].type;
		f->bit_offset = btf_member_bit_offset(bt, i);
		f->bit_size = btf_member_bitfield_size(bt, i);
	}
}

static void
fill_params(struct btf_source *s, const struct btf_type *bt, struct ctf_type *t)
{
	const struct btf_param *p = btf_params(bt);

	for (uint32_t i = 0; i < btf_vlen(bt); i++) {
		struct ctf_field *f;

		if (!p[i].type && i + 1 == btf_vlen(bt)) { /* "..." */
			t->variadic = true;
			break;
		}
		f = ctf_field_new(t);
		f->name = name_at(s, p[i].name_off);
		f->ref.id = p[i].type;
	}
}

static void
fill_values(struct btf_source *s, const struct btf_type *bt, struct ctf_type *t)
{
	t->is_signed = btf_kflag(bt);
	for (uint32_t i = 0; i < btf_vlen(bt); i++) {
		struct ctf_value *v = ctf_value_new(t);

		if (btf_is_enum64(bt)) {
			const struct btf_enum64 *e = &btf_enum64(bt)[i];

			v->name = name_at(s, e->name_off);
			v->value = (int64_t)btf_enum64_value(e);
		} else {
			const struct btf_enum *e = &btf_enum(bt)[i];

			v->name = name_at(s, e->name_off);
			v->value = t->is_signed ? e->val : (int64_t)(uint32_t)e->val;
		}
	}
}

static struct ctf_type *
make(struct ctf *c, struct btf_source *s, const struct btf_type *bt)
{
	uint32_t kind = btf_kind(bt);
	struct ctf_type *t =
		ctf_type_new(c, kind < ARRAY_SIZE(kinds) ? kinds[kind] : CTF_VOID,
			     name_at(s, bt->name_off));
	unsigned encoding;

	switch (kind) {
	case BTF_KIND_INT:
		encoding = btf_int_encoding(bt);
		t->size = bt->size;
		t->is_signed = encoding & BTF_INT_SIGNED;
		t->is_bool = encoding & BTF_INT_BOOL;
		t->is_char = encoding & BTF_INT_CHAR;
		break;
	case BTF_KIND_FLOAT:
		t->size = bt->size;
		break;
	case BTF_KIND_PTR:
		t->size = 8;
		t->target.id = bt->type;
		break;
	case BTF_KIND_ARRAY:
		t->count = btf_array(bt)->nelems;
		t->target.id = btf_array(bt)->type;
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		t->size = bt->size;
		fill_members(s, bt, t);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		t->size = bt->size;
		fill_values(s, bt, t);
		break;
	case BTF_KIND_FWD:
		t->forward_kind = btf_kflag(bt) ? CTF_UNION : CTF_STRUCT;
		break;
	case BTF_KIND_FUNC_PROTO:
		t->target.id = bt->type;
		fill_params(s, bt, t);
		break;
	default: /* typedef, qualifiers: a name at most, and what it refers to */
		t->target.id = bt->type;
		break;
	}
	return t;
}

static const struct ctf_type *
btf_type_of(struct ctf *c, uint64_t id)
{
	struct btf_source *s = c->source;
	const struct btf_type *bt;

	if (id == 0)
		return ctf_void(c);
	if (id < s->first)
		return c->parent->ops->type(c->parent, id);
	if (id - s->first >= s->n)
		return NULL;
	if (!s->types[id - s->first]) {
		bt = btf__type_by_id(s->btf, (uint32_t)id);
		/* Attributes on types (BTF_KIND_TYPE_TAG) say nothing of their layout. */
		for (int i = 0; i < 8 && btf_is_type_tag(bt); i++) {
			id = bt->type;
			if (id < s->first || id - s->first >= s->n)
				return btf_type_of(c, id);
			bt = btf__type_by_id(s->btf, (uint32_t)id);
		}
		if (!s->types[id - s->first])
			s->types[id - s->first] = make(c, s, bt);
	}
	return s->types[id - s->first];
}

/* The own type with that name and one of the kinds, by number. */
static int32_t
find_kind(struct btf_source *s, const char *name, uint32_t kind)
{
	int32_t id = s->foreign_base ? -1 : btf__find_by_name_kind(s->btf, name, kind);

	if (!s->foreign_base)
		return id;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct btf_type *bt = btf__type_by_id(s->btf, s->first + i);

		if (btf_kind(bt) == kind && str_eq(name_at(s, bt->name_off), name))
			return (int32_t)(s->first + i);
	}
	return -1;
}

/* BTF spells integers as the compiler's DWARF does. */
static const char *
integer_spelling(const char *name)
{
	static const char *const rows[][2] = {
		{"unsigned long", "long unsigned int"},
		{"long", "long int"},
		{"unsigned long long", "long long unsigned int"},
		{"long long", "long long int"},
		{"unsigned int", "unsigned int"},
		{"short", "short int"},
		{"unsigned short", "short unsigned int"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i][0], name))
			return rows[i][1];
	return name;
}

static const struct ctf_type *
btf_find(struct ctf *c, enum ctf_kind space, const char *name)
{
	static const uint32_t of_struct[] = {BTF_KIND_STRUCT, BTF_KIND_FWD, 0};
	static const uint32_t of_union[] = {BTF_KIND_UNION, BTF_KIND_FWD, 0};
	static const uint32_t of_enum[] = {BTF_KIND_ENUM, BTF_KIND_ENUM64, 0};
	static const uint32_t of_name[] = {BTF_KIND_TYPEDEF, BTF_KIND_INT, BTF_KIND_FLOAT, 0};
	const uint32_t *kind = space == CTF_STRUCT  ? of_struct
			       : space == CTF_UNION ? of_union
			       : space == CTF_ENUM  ? of_enum
						    : of_name;

	for (; *kind; kind++) {
		int32_t id = find_kind(c->source,
				       *kind == BTF_KIND_INT ? integer_spelling(name) : name, *kind);

		if (id > 0)
			return btf_type_of(c, (uint64_t)id);
	}
	return NULL;
}

static const struct ctf_type *
btf_find_function(struct ctf *c, const char *name)
{
	struct btf_source *s = c->source;
	int32_t id = find_kind(s, name, BTF_KIND_FUNC);

	return id > 0 ? btf_type_of(c, btf__type_by_id(s->btf, (uint32_t)id)->type) : NULL;
}

static const struct ctf_type *
btf_find_variable(struct ctf *c, const char *name)
{
	struct btf_source *s = c->source;
	int32_t id = find_kind(s, name, BTF_KIND_VAR);

	return id > 0 ? btf_type_of(c, btf__type_by_id(s->btf, (uint32_t)id)->type) : NULL;
}

static bool
btf_find_enumerator(struct ctf *c, const char *name, int64_t *ret)
{
	struct btf_source *s = c->source;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct btf_type *bt = btf__type_by_id(s->btf, s->first + i);

		if (!btf_is_any_enum(bt))
			continue;
		for (uint32_t k = 0; k < btf_vlen(bt); k++) {
			uint32_t off = btf_is_enum64(bt) ? btf_enum64(bt)[k].name_off
							 : btf_enum(bt)[k].name_off;

			if (str_eq(name_at(s, off), name)) {
				const struct ctf_type *t = btf_type_of(c, s->first + i);

				*ret = t->values[k].value;
				return true;
			}
		}
	}
	return false;
}

static void
btf_each_function(struct ctf *c, ctf_function_fn *fn, void *arg)
{
	struct btf_source *s = c->source;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct btf_type *bt = btf__type_by_id(s->btf, s->first + i);
		const struct ctf_type *proto;

		if (!btf_is_func(bt))
			continue;
		proto = btf_type_of(c, bt->type);
		if (proto && !fn(name_at(s, bt->name_off), proto, arg))
			return;
	}
}

static void
btf_source_free(void *source)
{
	struct btf_source *s = source;

	btf__free(s->btf);
	free(s->types);
	free(s);
}

static const struct ctf_source_ops btf_ops = {
	.type = btf_type_of,
	.find = btf_find,
	.find_function = btf_find_function,
	.find_variable = btf_find_variable,
	.find_enumerator = btf_find_enumerator,
	.each_function = btf_each_function,
	.free = btf_source_free,
};

static struct ctf *
wrap(struct btf *btf, const char *module, struct ctf *parent)
{
	struct btf_source *s = xcalloc(1, sizeof(*s));
	struct ctf *c = ctf_new(module, parent);

	s->btf = btf;
	s->foreign_base = parent;
	s->first = parent ? btf__type_cnt(btf__base_btf(btf)) : 1;
	s->n = btf__type_cnt(btf) - s->first;
	s->types = xcalloc(s->n, sizeof(*s->types));
	c->ops = &btf_ops;
	c->source = s;
	return c;
}

int
ctf_open_kernel(struct ctf **ret, struct error *err)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return error_set_errno(err, errno,
				       "cannot read the kernel's types (/sys/kernel/btf/vmlinux)");
	*ret = wrap(btf, "vmlinux", NULL);
	return 0;
}

int
ctf_open_btf(const char *path, struct ctf **ret, struct error *err)
{
	struct btf *btf = btf__parse(path, NULL);

	if (!btf)
		return error_set_errno(err, errno, "cannot read BTF from %s", path);
	*ret = wrap(btf, path, NULL);
	return 0;
}

int
ctf_open_module(struct ctf *parent, const char *module, struct ctf **ret, struct error *err)
{
	struct btf_source *base = parent->source;
	struct btf *btf;

	if (parent->ops != &btf_ops || strchr(module, '/'))
		return error_set(err, EINVAL, "\"%s\" is no kernel module", module);
	btf = btf__load_module_btf(module, base->btf);
	if (!btf)
		return error_set_errno(err, errno, "cannot read the types of module %s", module);
	*ret = wrap(btf, module, parent);
	return 0;
}
