/*
 * Inside src/ctf: what a type is made of, and what a source must give.
 *
 * References between types are held as ids of the source until they are
 * followed (`ref`), since following all at once would read the whole kernel.
 * An id means something to the source only: BTF's type number, the offset of a
 * DWARF entry.  A type made by hand has its references resolved from the start.
 */
#ifndef CTF_CTF_IMPL_H
#define CTF_CTF_IMPL_H

#include "base/map.h"
#include "ctf/ctf.h"

struct ctf_ref {
	const struct ctf_type *type; /* NULL until followed */
	uint64_t id;
};

struct ctf_field {
	const char *name;
	struct ctf_ref ref;
	uint64_t bit_offset;
	unsigned bit_size;
};

struct ctf_value {
	const char *name;
	int64_t value;
};

struct ctf_type {
	struct ctf *owner;
	enum ctf_kind kind;
	enum ctf_kind forward_kind;
	const char *name;
	uint64_t size;
	uint64_t count; /* CTF_ARRAY */
	unsigned align; /* known for types made by hand; 0: derived */
	unsigned most_align; /* of members, in types made by hand; 0: as they need */
	bool is_signed, is_bool, is_char, variadic;
	struct ctf_ref target;
	struct ctf_field *fields; /* members, or parameters of a function */
	size_t n_fields;
	struct ctf_value *values; /* of an enum */
	size_t n_values;
	uint64_t bit_end; /* of an aggregate being made: where the next member may start */
};

struct ctf_source_ops {
	/* The type behind id; NULL if the source is broken there (taken as void). */
	const struct ctf_type *(*type)(struct ctf *c, uint64_t id);
	/* kind: CTF_STRUCT, CTF_UNION, CTF_ENUM for tags, CTF_TYPEDEF for ordinary names. */
	const struct ctf_type *(*find)(struct ctf *c, enum ctf_kind kind, const char *name);
	const struct ctf_type *(*find_function)(struct ctf *c, const char *name);
	const struct ctf_type *(*find_variable)(struct ctf *c, const char *name);
	bool (*find_enumerator)(struct ctf *c, const char *name, int64_t *ret);
	void (*each_function)(struct ctf *c, ctf_function_fn *fn, void *arg);
	void (*free)(void *source);
};

struct ctf {
	char *module;
	struct ctf *parent;
	const struct ctf_source_ops *ops; /* NULL: made by hand only */
	void *source;
	struct ctf_type **made; /* every type of this ctf, for freeing */
	size_t n_made, cap_made;
	struct map *strings; /* names copied for types made by hand */
	struct map *named;   /* "struct x", "typedef x", "variable x": types made by hand */
	struct map *derived; /* pointers, arrays, qualified: made once for each target */
};

struct ctf_type *ctf_type_new(struct ctf *c, enum ctf_kind kind, const char *name);
const char *ctf_intern(struct ctf *c, const char *s);
struct ctf_field *ctf_field_new(struct ctf_type *t);
struct ctf_value *ctf_value_new(struct ctf_type *t);
bool ctf_made_enumerator(struct ctf *c, const char *name, int64_t *ret); /* of c itself, made by hand */
const struct ctf_type *ctf_follow(const struct ctf_type *t, struct ctf_ref *ref);
/* Word order of integer types made one: "long unsigned int" -> "unsigned long". */
char *ctf_canonical(const char *spelling);

#endif
