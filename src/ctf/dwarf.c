/*
 * DWARF as a source, read by elfutils: an id is the offset of an entry in
 * .debug_info, with ALT set for the shared file that dwz(1) makes (.gnu_debugaltlink).
 * Names are indexed once, at the first question for one.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>

#include "base/str.h"
#include "ctf/ctf_impl.h"

#define ALT (1ull << 63)

struct dwarf_source {
	Dwfl *dwfl;
	Dwarf *dw, *alt;
	struct map *names;	 /* "struct x", "typedef x", "function x", "variable x" -> id */
	struct map *enumerators; /* name -> the enum's id */
	struct map *types;	 /* id in hex -> struct ctf_type */
};

/* Ids as map values: never 0, since offset 0 is a unit header. */
static void *
box(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

static uint64_t
die_id(struct dwarf_source *s, Dwarf_Die *die)
{
	uint64_t off = dwarf_dieoffset(die);

	return s->alt && dwarf_cu_getdwarf(die->cu) == s->alt ? off | ALT : off;
}

static bool
id_die(struct dwarf_source *s, uint64_t id, Dwarf_Die *ret)
{
	return dwarf_offdie(id & ALT ? s->alt : s->dw, id & ~ALT, ret);
}

/* The id an entry's type attribute refers to; 0 is void. */
static uint64_t
type_id(struct dwarf_source *s, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Die target;

	if (!dwarf_attr_integrate(die, DW_AT_type, &attr) || !dwarf_formref_die(&attr, &target))
		return 0;
	return die_id(s, &target);
}

static uint64_t
number(Dwarf_Die *die, unsigned name, uint64_t fallback)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	if (!dwarf_attr_integrate(die, name, &attr) || dwarf_formudata(&attr, &v) != 0)
		return fallback;
	return v;
}

static bool
flag(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	bool v = false;

	return dwarf_attr_integrate(die, name, &attr) && dwarf_formflag(&attr, &v) == 0 && v;
}

static const char *
die_name(Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	return name ? name : "";
}

#define EACH_CHILD(child, die, tag_wanted)                                              \
	for (bool _more = dwarf_child((die), (child)) == 0; _more;                      \
	     _more = dwarf_siblingof((child), (child)) == 0)                            \
		if ((tag_wanted) && dwarf_tag(child) != (tag_wanted))                   \
			continue;                                                       \
		else

static void
fill_members(struct dwarf_source *s, Dwarf_Die *die, struct ctf_type *t)
{
	Dwarf_Die m;

	EACH_CHILD(&m, die, DW_TAG_member) {
		struct ctf_field *f;

		if (flag(&m, DW_AT_external)) /* a C++ static member: no part of the object */
			continue;
		f = ctf_field_new(t);
		f->name = die_name(&m);
		f->ref.id = type_id(s, &m);
		f->bit_offset = 8 * number(&m, DW_AT_data_member_location, 0);
		f->bit_size = (unsigned)number(&m, DW_AT_bit_size, 0);
		f->bit_offset = number(&m, DW_AT_data_bit_offset, f->bit_offset);
	}
}

static void
fill_enum(Dwarf_Die *die, struct ctf_type *t)
{
	Dwarf_Die e;

	EACH_CHILD(&e, die, DW_TAG_enumerator) {
		struct ctf_value *v = ctf_value_new(t);
		Dwarf_Attribute attr;
		Dwarf_Sword value = 0;

		v->name = die_name(&e);
		if (dwarf_attr(&e, DW_AT_const_value, &attr))
			dwarf_formsdata(&attr, &value);
		v->value = value;
		if (value < 0)
			t->is_signed = true;
	}
}

static void
fill_params(struct dwarf_source *s, Dwarf_Die *die, struct ctf_type *t)
{
	Dwarf_Die p;

	EACH_CHILD(&p, die, 0) {
		if (dwarf_tag(&p) == DW_TAG_formal_parameter) {
			struct ctf_field *f = ctf_field_new(t);

			f->name = die_name(&p);
			f->ref.id = type_id(s, &p);
		} else if (dwarf_tag(&p) == DW_TAG_unspecified_parameters) {
			t->variadic = true;
		}
	}
}

/* An entry with several dimensions is an array of arrays: the outermost first. */
static void
fill_array(struct ctf *c, struct dwarf_source *s, Dwarf_Die *die, struct ctf_type *t)
{
	uint64_t counts[8];
	Dwarf_Die range;
	size_t n = 0;

	EACH_CHILD(&range, die, DW_TAG_subrange_type) {
		uint64_t upper = number(&range, DW_AT_upper_bound, UINT64_MAX);

		if (n < ARRAY_SIZE(counts))
			counts[n++] = number(&range, DW_AT_count,
					     upper == UINT64_MAX ? 0 : upper + 1);
	}
	t->count = n ? counts[0] : 0;
	for (size_t i = 1; i < n; i++) {
		struct ctf_type *inner = ctf_type_new(c, CTF_ARRAY, "");

		inner->count = counts[i];
		t->target.type = inner;
		t = inner;
	}
	t->target.id = type_id(s, die);
}

static enum ctf_kind
kind_of(Dwarf_Die *die)
{
	enum ctf_kind kind;

	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
		return number(die, DW_AT_encoding, 0) == DW_ATE_float ? CTF_FLOAT : CTF_INT;
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return CTF_POINTER;
	case DW_TAG_array_type:
		return CTF_ARRAY;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		kind = CTF_STRUCT;
		break;
	case DW_TAG_union_type:
		kind = CTF_UNION;
		break;
	case DW_TAG_enumeration_type:
		kind = CTF_ENUM;
		break;
	case DW_TAG_typedef:
		return CTF_TYPEDEF;
	case DW_TAG_const_type:
		return CTF_CONST;
	case DW_TAG_volatile_type:
		return CTF_VOLATILE;
	case DW_TAG_restrict_type:
		return CTF_RESTRICT;
	case DW_TAG_subroutine_type:
	case DW_TAG_subprogram:
		return CTF_FUNCTION;
	default:
		return CTF_VOID;
	}
	return flag(die, DW_AT_declaration) ? CTF_FORWARD : kind;
}

static void
fill_base(Dwarf_Die *die, struct ctf_type *t)
{
	uint64_t encoding = number(die, DW_AT_encoding, 0);

	t->is_bool = encoding == DW_ATE_boolean;
	t->is_char = encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char;
	t->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

static const struct ctf_type *
dwarf_type_of(struct ctf *c, uint64_t id)
{
	struct dwarf_source *s = c->source;
	char key[24];
	struct ctf_type *t;
	Dwarf_Die die;

	if (!id)
		return ctf_void(c);
	snprintf(key, sizeof(key), "%llx", (unsigned long long)id);
	t = map_get(s->types, key);
	if (t || !id_die(s, id, &die))
		return t;
	t = ctf_type_new(c, kind_of(&die), die_name(&die));
	map_set(s->types, key, t);
	t->size = number(&die, DW_AT_byte_size, 0);
	switch (t->kind) {
	case CTF_INT:
	case CTF_FLOAT:
		fill_base(&die, t);
		break;
	case CTF_POINTER:
		t->size = ctf_pointer_size(c);
		t->target.id = type_id(s, &die);
		break;
	case CTF_ARRAY:
		fill_array(c, s, &die, t);
		break;
	case CTF_STRUCT:
	case CTF_UNION:
		fill_members(s, &die, t);
		break;
	case CTF_ENUM:
		fill_enum(&die, t);
		break;
	case CTF_FORWARD:
		t->size = 0;
		t->forward_kind = dwarf_tag(&die) == DW_TAG_union_type ? CTF_UNION
				  : dwarf_tag(&die) == DW_TAG_enumeration_type ? CTF_ENUM
									       : CTF_STRUCT;
		break;
	case CTF_FUNCTION:
		t->target.id = type_id(s, &die);
		fill_params(s, &die, t);
		break;
	case CTF_TYPEDEF:
	case CTF_CONST:
	case CTF_VOLATILE:
	case CTF_RESTRICT:
		t->target.id = type_id(s, &die);
		break;
	case CTF_VOID:
		break;
	}
	return t;
}

/* --- names */

static const char *
space_of(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return "struct ";
	case DW_TAG_union_type:
		return "union ";
	case DW_TAG_enumeration_type:
		return "enum ";
	case DW_TAG_typedef:
	case DW_TAG_base_type:
		return "typedef ";
	case DW_TAG_subprogram:
		return "function ";
	case DW_TAG_variable:
		return "variable ";
	default:
		return NULL;
	}
}

static void
index_die(struct dwarf_source *s, Dwarf_Die *die)
{
	const char *space = space_of(die), *name = die_name(die);
	bool declared = flag(die, DW_AT_declaration);
	cleanup_free char *key = NULL, *canonical = NULL;
	Dwarf_Die e;

	if (!space)
		return;
	if (dwarf_tag(die) == DW_TAG_enumeration_type) {
		EACH_CHILD(&e, die, DW_TAG_enumerator)
			map_set(s->enumerators, die_name(&e), box(die_id(s, die)));
	}
	if (!*name)
		return;
	canonical = dwarf_tag(die) == DW_TAG_base_type ? ctf_canonical(name) : xstrdup(name);
	key = str_printf("%s%s", space, canonical);
	if (!declared || !map_has(s->names, key))
		map_set(s->names, key, box(die_id(s, die)));
}

static void
index_units(struct dwarf_source *s, Dwarf *dw)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, die;

	while (dwarf_get_units(dw, cu, &cu, NULL, NULL, &unit, NULL) == 0)
		EACH_CHILD(&die, &unit, 0)
			index_die(s, &die);
}

static const struct ctf_type *
look_up(struct ctf *c, const char *space, const char *name)
{
	struct dwarf_source *s = c->source;
	cleanup_free char *key = str_printf("%s%s", space, name);
	void *id;

	if (!s->names) {
		s->names = map_new(NULL);
		s->enumerators = map_new(NULL);
		index_units(s, s->dw);
		if (s->alt)
			index_units(s, s->alt);
	}
	id = map_get(s->names, key);
	return id ? dwarf_type_of(c, (uint64_t)(uintptr_t)id) : NULL;
}

static const struct ctf_type *
dwarf_find(struct ctf *c, enum ctf_kind space, const char *name)
{
	return look_up(c,
		       space == CTF_STRUCT  ? "struct "
		       : space == CTF_UNION ? "union "
		       : space == CTF_ENUM  ? "enum "
					    : "typedef ",
		       name);
}

static const struct ctf_type *
dwarf_find_function(struct ctf *c, const char *name)
{
	return look_up(c, "function ", name);
}

static const struct ctf_type *
dwarf_find_variable(struct ctf *c, const char *name)
{
	struct dwarf_source *s = c->source;
	cleanup_free char *key = str_printf("variable %s", name);
	Dwarf_Die die;
	void *id;

	look_up(c, "", ""); /* the index is there after this */
	id = map_get(s->names, key);
	if (!id || !id_die(s, (uint64_t)(uintptr_t)id, &die))
		return NULL;
	return dwarf_type_of(c, type_id(s, &die));
}

static bool
dwarf_find_enumerator(struct ctf *c, const char *name, int64_t *ret)
{
	struct dwarf_source *s = c->source;
	const struct ctf_type *t;
	void *id;

	look_up(c, "", "");
	id = map_get(s->enumerators, name);
	t = id ? dwarf_type_of(c, (uint64_t)(uintptr_t)id) : NULL;
	for (size_t i = 0; t && i < t->n_values; i++) {
		if (str_eq(t->values[i].name, name)) {
			*ret = t->values[i].value;
			return true;
		}
	}
	return false;
}

static void
dwarf_each_function(struct ctf *c, ctf_function_fn *fn, void *arg)
{
	struct dwarf_source *s = c->source;
	struct map_iter it = {0};

	look_up(c, "", "");
	while (map_next(s->names, &it)) {
		const char *name = str_after(it.key, "function ");
		const struct ctf_type *t;

		if (!name)
			continue;
		t = dwarf_type_of(c, (uint64_t)(uintptr_t)it.value);
		if (t && !fn(name, t, arg))
			return;
	}
}

static void
dwarf_source_free(void *source)
{
	struct dwarf_source *s = source;

	map_free(s->names);
	map_free(s->enumerators);
	map_free(s->types);
	dwfl_end(s->dwfl);
	free(s);
}

static const struct ctf_source_ops dwarf_ops = {
	.type = dwarf_type_of,
	.find = dwarf_find,
	.find_function = dwarf_find_function,
	.find_variable = dwarf_find_variable,
	.find_enumerator = dwarf_find_enumerator,
	.each_function = dwarf_each_function,
	.free = dwarf_source_free,
};

int
ctf_open_dwarf(const char *path, struct ctf **ret, struct error *err)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	struct dwarf_source *s;
	Dwfl_Module *mod;
	Dwarf_Addr bias;
	Dwarf *dw = NULL;
	Dwfl *dwfl = dwfl_begin(&callbacks);
	struct ctf *c;

	if (!dwfl)
		abort();
	dwfl_report_begin(dwfl);
	mod = dwfl_report_offline(dwfl, path, path, -1);
	dwfl_report_end(dwfl, NULL, NULL);
	if (mod)
		dw = dwfl_module_getdwarf(mod, &bias);
	if (!dw) {
		int r = error_set(err, mod ? ENODATA : ENOENT, "no debug information for %s: %s",
				  path, dwfl_errmsg(-1));

		dwfl_end(dwfl);
		return r;
	}
	s = xcalloc(1, sizeof(*s));
	s->dwfl = dwfl;
	s->dw = dw;
	s->alt = dwarf_getalt(dw);
	s->types = map_new(NULL);
	c = ctf_new(path, NULL);
	c->ops = &dwarf_ops;
	c->source = s;
	*ret = c;
	return 0;
}
