/*
 * C types as data: one graph, whatever they were read from.
 *
 * A `struct ctf` is the types of one module: the kernel's or a kernel module's
 * BTF, a program's DWARF, or types made by hand (a D program's own).  It may
 * have a parent (a kernel module's is vmlinux) whose types it uses.  Types are
 * made the first time somebody asks for them and live as long as their ctf;
 * pointers to them are stable, and two pointers from one ctf are equal if and
 * only if they are the same type of the source.
 *
 * Follows: Documentation/bpf/btf.rst (kernel), DWARF 5.
 */
#ifndef CTF_CTF_H
#define CTF_CTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

enum ctf_kind {
	CTF_VOID,
	CTF_INT, /* also char and _Bool */
	CTF_FLOAT,
	CTF_POINTER,
	CTF_ARRAY,
	CTF_STRUCT,
	CTF_UNION,
	CTF_ENUM,
	CTF_FORWARD, /* struct, union or enum declared, not defined */
	CTF_TYPEDEF,
	CTF_CONST,
	CTF_VOLATILE,
	CTF_RESTRICT,
	CTF_FUNCTION, /* return type and parameters */
};

struct ctf;
struct ctf_type;

/* --- sources */

/* The running kernel's types, read when first asked for. */
int ctf_open_kernel(struct ctf **ret, struct error *err);
/* BTF from a file (raw, or the .BTF section of an ELF file). */
int ctf_open_btf(const char *path, struct ctf **ret, struct error *err);
/* A loaded kernel module's; parent is the kernel's and must outlive it. */
int ctf_open_module(struct ctf *parent, const char *module, struct ctf **ret, struct error *err);
/*
 * A program's or library's DWARF, from path or the separate debug file that
 * its build-id or debug link names.  -ENODATA if it has none.
 */
int ctf_open_dwarf(const char *path, struct ctf **ret, struct error *err);
/* Empty; to be filled with ctf_make_*().  parent may be NULL. */
struct ctf *ctf_new(const char *module, struct ctf *parent);
void ctf_free(struct ctf *c);
/* Gives back memory that c can do without until it is asked again. */
void ctf_rest(struct ctf *c);
DEFINE_CLEANUP(ctf_free, struct ctf *);
#define cleanup_ctf CLEANUP(ctf_freep)

const char *ctf_module(const struct ctf *c); /* "vmlinux", "zfs", "/usr/bin/bash" */
unsigned ctf_pointer_size(const struct ctf *c);

/* --- finding; the parent is asked last; NULL if there is none */

/*
 * By C spelling without declarators: "int", "unsigned long", "size_t",
 * "struct task_struct", "union u", "enum e".  Words of an integer type may
 * stand in any order.  A definition is preferred to a forward declaration.
 */
const struct ctf_type *ctf_find(struct ctf *c, const char *spelling);
/* The same followed by '*', '[N]' and const: "struct file *", "char [16]". */
int ctf_parse(struct ctf *c, const char *text, const struct ctf_type **ret, struct error *err);
/* Kind CTF_FUNCTION. */
const struct ctf_type *ctf_find_function(struct ctf *c, const char *name);
const struct ctf_type *ctf_find_variable(struct ctf *c, const char *name);
/* Value of an enumerator of any enum. */
bool ctf_find_enumerator(struct ctf *c, const char *name, int64_t *ret);

/* Calls fn for every function of c itself; stops when fn returns false. */
typedef bool ctf_function_fn(const char *name, const struct ctf_type *type, void *arg);
void ctf_each_function(struct ctf *c, ctf_function_fn *fn, void *arg);

/*
 * The number by which the kernel knows a function (CTF_FUNCTION), typedef (CTF_TYPEDEF) or structure
 * (CTF_STRUCT, the name alone) of c, which is the kernel's or a module's BTF; 0: it has none of that name.
 */
uint32_t ctf_kernel_id(struct ctf *c, enum ctf_kind kind, const char *name);

/* --- looking at a type */

enum ctf_kind ctf_kind(const struct ctf_type *t);
const char *ctf_tag(const struct ctf_type *t); /* its own name; "" if anonymous */
struct ctf *ctf_owner(const struct ctf_type *t);
uint64_t ctf_size(const struct ctf_type *t); /* bytes; 0 for void, functions, forwards */
unsigned ctf_align(const struct ctf_type *t);
/* What a pointer points to, a typedef or qualifier names, an array holds, a function returns. */
const struct ctf_type *ctf_target(const struct ctf_type *t);
/* Without typedefs and qualifiers. */
const struct ctf_type *ctf_resolve(const struct ctf_type *t);
uint64_t ctf_count(const struct ctf_type *t);   /* elements of an array */
bool ctf_is_signed(const struct ctf_type *t);   /* integer or enum */
bool ctf_is_bool(const struct ctf_type *t);
bool ctf_is_char(const struct ctf_type *t);     /* any of the three char types */
bool ctf_is_integral(const struct ctf_type *t); /* integer or enum, typedefs seen through */
bool ctf_is_pointer(const struct ctf_type *t);  /* or array, typedefs seen through */
bool ctf_is_aggregate(const struct ctf_type *t); /* struct or union, typedefs seen through */
bool ctf_is_string(const struct ctf_type *t);   /* char * or char [] */
/* Same meaning, though from different modules: same kind, tag and size all the way. */
bool ctf_same(const struct ctf_type *a, const struct ctf_type *b);
enum ctf_kind ctf_forward_kind(const struct ctf_type *t); /* of a CTF_FORWARD */

struct ctf_member {
	const char *name; /* "" if anonymous */
	const struct ctf_type *type;
	uint64_t bit_offset; /* from the start of the outermost type asked */
	unsigned bit_size;   /* of a bit-field; 0 otherwise */
};
size_t ctf_n_members(const struct ctf_type *t); /* of a struct or union, else 0 */
bool ctf_member_at(const struct ctf_type *t, size_t i, struct ctf_member *ret);
/* By name, also inside anonymous members; t may be a typedef. */
bool ctf_find_member(const struct ctf_type *t, const char *name, struct ctf_member *ret);

size_t ctf_n_enumerators(const struct ctf_type *t);
bool ctf_enumerator_at(const struct ctf_type *t, size_t i, const char **ret_name,
		       int64_t *ret_value);
/* The name of value in that enum, or NULL. */
const char *ctf_enumerator_name(const struct ctf_type *t, int64_t value);

size_t ctf_n_params(const struct ctf_type *t);
/* *ret_name (may be NULL) is "" where the source has no names. */
const struct ctf_type *ctf_param_at(const struct ctf_type *t, size_t i, const char **ret_name);
bool ctf_is_variadic(const struct ctf_type *t);

/* As C writes it: "struct task_struct *", "int (*)(void *, int)"; the caller's. */
char *ctf_name(const struct ctf_type *t);
/* A declaration of name: "char comm[16]", "void (*fn)(int)"; the caller's. */
char *ctf_declare(const struct ctf_type *t, const char *name);
/* The definition of a struct, union or enum, as ::print and D's headers show it. */
char *ctf_define(const struct ctf_type *t);

/* --- making types (they belong to c); names are copied, "" is anonymous */

const struct ctf_type *ctf_void(struct ctf *c);
const struct ctf_type *ctf_make_int(struct ctf *c, const char *name, unsigned size, bool is_signed);
const struct ctf_type *ctf_make_float(struct ctf *c, const char *name, unsigned size);
/* The same of four bytes, as 32-bit programs have it. */
const struct ctf_type *ctf_make_narrow_pointer(struct ctf *c, const struct ctf_type *to);
const struct ctf_type *ctf_make_pointer(struct ctf *c, const struct ctf_type *to);
const struct ctf_type *ctf_make_array(struct ctf *c, const struct ctf_type *of, uint64_t count);
/* kind: CTF_CONST, CTF_VOLATILE or CTF_RESTRICT. */
const struct ctf_type *ctf_make_qualified(struct ctf *c, enum ctf_kind kind,
					  const struct ctf_type *t);
const struct ctf_type *ctf_make_typedef(struct ctf *c, const char *name, const struct ctf_type *t);
/* kind: CTF_STRUCT, CTF_UNION or CTF_ENUM. */
const struct ctf_type *ctf_make_forward(struct ctf *c, enum ctf_kind kind, const char *name);
/*
 * An empty struct or union to which members are added one by one, laid out as
 * the System V ABI does; bit_size 0 is no bit-field.  -EEXIST for a name that
 * is taken, -EINVAL for a member of incomplete type or a bit-field too wide.
 */
struct ctf_type *ctf_make_aggregate(struct ctf *c, enum ctf_kind kind, const char *name);
/* Members to come are aligned to that much at most, as in 32-bit programs. */
void ctf_limit_align(struct ctf_type *t, unsigned most);
int ctf_add_member(struct ctf_type *t, const char *name, const struct ctf_type *type,
		   unsigned bit_size, struct error *err);
struct ctf_type *ctf_make_enum(struct ctf *c, const char *name);
int ctf_add_enumerator(struct ctf_type *t, const char *name, int64_t value, struct error *err);
struct ctf_type *ctf_make_function(struct ctf *c, const struct ctf_type *ret, bool variadic);
void ctf_add_param(struct ctf_type *t, const char *name, const struct ctf_type *type);
void ctf_make_variable(struct ctf *c, const char *name, const struct ctf_type *type);

#endif
