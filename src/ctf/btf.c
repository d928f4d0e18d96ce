/*
 * BTF as a source: ids are BTF type numbers.  A module's BTF is split: numbers
 * and string offsets below the kernel's count are the kernel's.
 *
 * Tracing one system call must not wait for 150,000 types to be understood: the
 * kernel's data are read when something is asked for, and a name is found by
 * its place in the string section (each string stands there once), by which
 * types are then compared as numbers.  Who wants to know no more than a type's
 * number or two has them from a walk through the types; else one pass notes where
 * each stands, what its name is and of which kind it is.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "ctf/ctf_impl.h"

struct btf_source {
	char *path;  /* the kernel's: to be read from when it is needed; else NULL */
	char *data;  /* NULL: not read */
	size_t size;
	bool mapped; /* data are the kernel's pages, not ours */
	const struct btf_source *base; /* the kernel's, of a module's */
	uint32_t first;	  /* number of the first of its own types */
	const char *entries; /* the types' section ... */
	uint32_t entries_len;
	bool noted;	  /* ... and whether it was gone through: what follows is filled */
	uint32_t n;
	uint32_t *at;	  /* by number - first: place in data, ... */
	uint32_t *names;  /* ... offset of its name */
	uint8_t *kind_of; /* ... and kind */
	const char *strings;
	uint32_t str_len, str_first; /* bytes; offset of the first of its own strings */
	struct ctf_type **types;     /* by number - first; NULL until asked for */
	unsigned walks, lookups;
	uint32_t *hash; /* by name, the first type of it (number - first + 1); made once many are looked up */
	uint32_t *next; /* the next of the same name, likewise */
	uint32_t hash_size; /* a power of two */
};

/* So many walks through the types cost as much as noting where they stand ... */
#define FEW_WALKS 3
/* ... and so many searches through all strings and noted types as a hash of them. */
#define FEW_LOOKUPS 16

static const enum ctf_kind kinds[] = {
	[BTF_KIND_INT] = CTF_INT,	    [BTF_KIND_PTR] = CTF_POINTER,
	[BTF_KIND_ARRAY] = CTF_ARRAY,	    [BTF_KIND_STRUCT] = CTF_STRUCT,
	[BTF_KIND_UNION] = CTF_UNION,	    [BTF_KIND_ENUM] = CTF_ENUM,
	[BTF_KIND_FWD] = CTF_FORWARD,	    [BTF_KIND_TYPEDEF] = CTF_TYPEDEF,
	[BTF_KIND_VOLATILE] = CTF_VOLATILE, [BTF_KIND_CONST] = CTF_CONST,
	[BTF_KIND_RESTRICT] = CTF_RESTRICT, [BTF_KIND_FUNC_PROTO] = CTF_FUNCTION,
	[BTF_KIND_FLOAT] = CTF_FLOAT,	    [BTF_KIND_ENUM64] = CTF_ENUM,
};

/* --- the data */

/* Bytes that a type's entry takes, its own header included. */
static size_t
entry_size(const struct btf_type *t)
{
	static const struct {
		uint8_t fixed, each; /* behind the header, and for each of its parts */
	} sizes[32] = {
		[BTF_KIND_INT] = {4, 0},
		[BTF_KIND_VAR] = {4, 0},
		[BTF_KIND_DECL_TAG] = {4, 0},
		[BTF_KIND_ARRAY] = {sizeof(struct btf_array), 0},
		[BTF_KIND_ENUM] = {0, sizeof(struct btf_enum)},
		[BTF_KIND_ENUM64] = {0, sizeof(struct btf_enum64)},
		[BTF_KIND_STRUCT] = {0, sizeof(struct btf_member)},
		[BTF_KIND_UNION] = {0, sizeof(struct btf_member)},
		[BTF_KIND_FUNC_PROTO] = {0, sizeof(struct btf_param)},
		[BTF_KIND_DATASEC] = {0, sizeof(struct btf_var_secinfo)},
	};
	uint32_t info = t->info; /* kind in five bits from the 24th, number of parts in the low 16 */

	return sizeof(*t) + sizes[info >> 24 & 31].fixed + (size_t)(info & 0xffff) * sizes[info >> 24 & 31].each;
}

/* The entry at off and what it takes; NULL at the end and where the data are malformed. */
static const struct btf_type *
entry_at(const struct btf_source *s, uint32_t off, uint32_t *ret_size)
{
	const struct btf_type *t = (const struct btf_type *)(const void *)(s->entries + off);
	uint32_t left = s->entries_len - off;

	if (left < sizeof(*t) || left < (*ret_size = (uint32_t)entry_size(t)))
		return NULL;
	return t;
}

/* What is malformed has the types that stand before that. */
static int
note_types(struct btf_source *s)
{
	uint32_t cap = s->entries_len / 20 + 16, n = 0, off, size, *at, *names;
	const struct btf_type *t;
	uint8_t *kind_of;

	if (s->noted)
		return 0;
	at = xcalloc(cap, sizeof(*at));
	names = xcalloc(cap, sizeof(*names));
	kind_of = xcalloc(cap, sizeof(*kind_of));
	for (off = 0; (t = entry_at(s, off, &size)); off += size) {
		if (n == cap) {
			cap *= 2;
			at = xreallocarray(at, cap, sizeof(*at));
			names = xreallocarray(names, cap, sizeof(*names));
			kind_of = xreallocarray(kind_of, cap, sizeof(*kind_of));
		}
		at[n] = (uint32_t)(s->entries - s->data) + off;
		names[n] = t->name_off;
		kind_of[n++] = (uint8_t)btf_kind(t);
	}
	s->noted = true;
	s->at = at;
	s->names = names;
	s->kind_of = kind_of;
	s->n = n;
	s->types = xcalloc(n ? n : 1, sizeof(*s->types));
	return off == s->entries_len ? 0 : -EBADMSG;
}

static int
parse(struct btf_source *s)
{
	const struct btf_header *h = (const void *)s->data;
	uint64_t types, strings;

	if (s->size < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len < sizeof(*h))
		return -EBADMSG;
	types = (uint64_t)h->hdr_len + h->type_off;
	strings = (uint64_t)h->hdr_len + h->str_off;
	if (types + h->type_len > s->size || strings + h->str_len > s->size || types % 4 ||
	    !h->str_len || s->data[strings + h->str_len - 1])
		return -EBADMSG;
	s->strings = s->data + strings;
	s->str_len = h->str_len;
	s->str_first = s->base ? s->base->str_first + s->base->str_len : 0;
	s->first = s->base ? s->base->first + s->base->n : 1;
	s->entries = s->data + types;
	s->entries_len = h->type_len;
	return 0;
}

#define HUGE_PAGE (2ul << 20)

/* Room for so many bytes: pages that come at once, as each one's fault costs more than filling it. */
static char *
room_for(size_t size)
{
	size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	char *room;

	if (size < HUGE_PAGE)
		return malloc(size);
	room = aligned_alloc(HUGE_PAGE, whole);
	if (room)
		madvise(room, whole, MADV_HUGEPAGE); /* a wish */
	return room;
}

/*
 * The kernel's types in one call, as the first that it numbers; its file gives them by the page, a
 * thousand calls.  False: not this way (no privilege, or another has that number).
 */
static bool
ask_kernel(char *data, size_t size)
{
	char name[sizeof("vmlinux")] = "";
	struct bpf_btf_info info = {
		.btf = (uintptr_t)data, .btf_size = (uint32_t)size, .name = (uintptr_t)name, .name_len = sizeof(name)};
	uint32_t id = 0, len = sizeof(info);
	cleanup_close int fd = bpf_btf_get_next_id(0, &id) == 0 ? bpf_btf_get_fd_by_id(id) : -1;

	return fd >= 0 && bpf_btf_get_info_by_fd(fd, &info, &len) == 0 && info.kernel_btf &&
	       str_eq(name, "vmlinux") && info.btf_size == size;
}

static bool
read_whole(int fd, char *data, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size && (n = read(fd, data + done, size - done)) > 0)
		done += (size_t)n;
	return done == size;
}

/* The kernel's own pages where it lends them (6.16), else a copy. */
static int
read_data(struct btf_source *s, const char *path, struct error *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t size;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return file_read(path, 0, &s->data, &s->size, err);
	size = (size_t)st.st_size;
	data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	s->mapped = data != MAP_FAILED;
	if (!s->mapped) {
		data = room_for(size);
		if (!data || ((s->base || !ask_kernel(data, size)) && !read_whole(fd, data, size))) {
			free(data);
			return file_read(path, 0, &s->data, &s->size, err);
		}
	}
	s->data = data;
	s->size = size;
	return 0;
}

/* Reads what was put off.  What cannot be read has no types: nothing is found in it. */
static struct btf_source *
unnoted_source(struct ctf *c)
{
	struct btf_source *s = c->source;
	cleanup_error struct error err = ERROR_INIT;

	if (!s->path || s->data)
		return s;
	if (read_data(s, s->path, &err) < 0 || parse(s) < 0) {
		s->entries_len = 0;
		s->str_len = 0;
	}
	return s;
}

static struct btf_source *
source(struct ctf *c)
{
	struct btf_source *s = unnoted_source(c);

	note_types(s);
	return s;
}

static const struct btf_type *
entry(const struct btf_source *s, uint64_t id)
{
	return (const struct btf_type *)(const void *)(s->data + s->at[id - s->first]);
}

static const char *
name_at(const struct btf_source *s, uint32_t off)
{
	if (off < s->str_first)
		return name_at(s->base, off);
	return off - s->str_first < s->str_len ? s->strings + (off - s->str_first) : "";
}

static uint32_t
hash_of(const char *name)
{
	uint32_t h = 0x811c9dc5;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193;
	return h ^ h >> 15;
}

/* The slot where types of that name are, or would be. */
static uint32_t *
hash_slot(const struct btf_source *s, const char *name)
{
	uint32_t i = hash_of(name) & (s->hash_size - 1);

	while (s->hash[i] && !str_eq(name_at(s, s->names[s->hash[i] - 1]), name))
		i = (i + 1) & (s->hash_size - 1);
	return &s->hash[i];
}

static void
make_hash(struct btf_source *s)
{
	s->hash_size = 1024;
	while (s->hash_size < 2 * s->n)
		s->hash_size *= 2;
	s->hash = xcalloc(s->hash_size, sizeof(*s->hash));
	s->next = xcalloc(s->n ? s->n : 1, sizeof(*s->next));
	for (uint32_t i = s->n; i-- > 0;) {
		uint32_t *slot;

		if (!s->names[i])
			continue;
		slot = hash_slot(s, name_at(s, s->names[i]));
		s->next[i] = *slot;
		*slot = i + 1;
	}
}

/* Where the string stands, or 0 (which is where "" does). */
static uint32_t
search_string(const struct btf_source *s, const char *name)
{
	size_t len = strlen(name) + 1;
	const char *at = s->strings, *end = s->strings + s->str_len, *hit;

	while (at < end && (hit = memmem(at, (size_t)(end - at), name, len))) {
		if (hit > s->strings && !hit[-1])
			return s->str_first + (uint32_t)(hit - s->strings);
		at = hit + 1;
	}
	return 0;
}

/* --- types from it */

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
	struct btf_source *s = source(c);
	const struct btf_type *bt;

	if (id == 0)
		return ctf_void(c);
	if (id < s->first)
		return c->parent ? c->parent->ops->type(c->parent, id) : NULL;
	if (id - s->first >= s->n)
		return NULL;
	if (!s->types[id - s->first]) {
		bt = entry(s, id);
		/* Attributes on types (BTF_KIND_TYPE_TAG) say nothing of their layout. */
		for (int i = 0; i < 8 && btf_is_type_tag(bt); i++) {
			id = bt->type;
			if (id < s->first || id - s->first >= s->n)
				return btf_type_of(c, id);
			bt = entry(s, id);
		}
		if (!s->types[id - s->first])
			s->types[id - s->first] = make(c, s, bt);
	}
	return s->types[id - s->first];
}

/* The kernel's type with that name and kind, by number; 0: none. */
static uint32_t
walk_to(const struct btf_source *s, const char *name, uint32_t kind)
{
	uint32_t wanted = search_string(s, name), id = s->first, size;
	const struct btf_type *t;

	for (uint32_t off = 0; wanted && (t = entry_at(s, off, &size)); off += size, id++)
		if (t->name_off == wanted && btf_kind(t) == kind)
			return id;
	return 0;
}

/* The own type with that name and kind, by number; 0: none. */
static uint32_t
find_kind(struct btf_source *s, const char *name, uint32_t kind)
{
	uint32_t own, shared;

	if (!s->hash && s->lookups++ == FEW_LOOKUPS)
		make_hash(s);
	if (s->hash) {
		for (uint32_t i = *hash_slot(s, name); i; i = s->next[i - 1])
			if (s->kind_of[i - 1] == kind)
				return s->first + i - 1;
		return 0;
	}
	own = s->n ? search_string(s, name) : 0;
	shared = s->base && s->n ? search_string(s->base, name) : 0;
	for (uint32_t i = 0; (own || shared) && i < s->n; i++)
		if (s->kind_of[i] == kind && s->names[i] &&
		    (s->names[i] == own || s->names[i] == shared))
			return s->first + i;
	return 0;
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
		uint32_t id = find_kind(source(c),
					*kind == BTF_KIND_INT ? integer_spelling(name) : name, *kind);

		if (id)
			return btf_type_of(c, id);
	}
	return NULL;
}

static const struct ctf_type *
btf_find_function(struct ctf *c, const char *name)
{
	struct btf_source *s = source(c);
	uint32_t id = find_kind(s, name, BTF_KIND_FUNC);

	return id ? btf_type_of(c, entry(s, id)->type) : NULL;
}

static const struct ctf_type *
btf_find_variable(struct ctf *c, const char *name)
{
	struct btf_source *s = source(c);
	uint32_t id = find_kind(s, name, BTF_KIND_VAR);

	return id ? btf_type_of(c, entry(s, id)->type) : NULL;
}

static bool
btf_find_enumerator(struct ctf *c, const char *name, int64_t *ret)
{
	struct btf_source *s = source(c);
	uint32_t own = s->n ? search_string(s, name) : 0;
	uint32_t shared = s->base && s->n ? search_string(s->base, name) : 0;

	for (uint32_t i = 0; (own || shared) && i < s->n; i++) {
		const struct btf_type *bt;

		if (s->kind_of[i] != BTF_KIND_ENUM && s->kind_of[i] != BTF_KIND_ENUM64)
			continue;
		bt = entry(s, s->first + i);
		for (uint32_t k = 0; k < btf_vlen(bt); k++) {
			uint32_t off = btf_is_enum64(bt) ? btf_enum64(bt)[k].name_off
							 : btf_enum(bt)[k].name_off;

			if (off && (off == own || off == shared)) {
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
	struct btf_source *s = source(c);

	for (uint32_t i = 0; i < s->n; i++) {
		const struct btf_type *bt;
		const struct ctf_type *proto;

		if (s->kind_of[i] != BTF_KIND_FUNC)
			continue;
		bt = entry(s, s->first + i);
		proto = btf_type_of(c, bt->type);
		if (proto && !fn(name_at(s, bt->name_off), proto, arg))
			return;
	}
}

static void
drop_data(struct btf_source *s)
{
	if (s->mapped)
		munmap(s->data, s->size);
	else
		free(s->data);
	s->data = NULL;
	s->size = 0;
	s->mapped = false;
}

static void
btf_source_free(void *arg)
{
	struct btf_source *s = arg;

	drop_data(s);
	free(s->path);
	free(s->at);
	free(s->names);
	free(s->kind_of);
	free(s->hash);
	free(s->next);
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

/* After walks nothing points into the data; types, once made, have their names there. */
void
ctf_rest(struct ctf *c)
{
	struct btf_source *s = c->source;

	if (c->ops == &btf_ops && s->path && s->data && !s->noted)
		drop_data(s);
}

static struct ctf *
wrap(struct btf_source *s, const char *module, struct ctf *parent)
{
	struct ctf *c = ctf_new(module, parent);

	s->base = parent ? source(parent) : NULL;
	c->ops = &btf_ops;
	c->source = s;
	return c;
}

int
ctf_open_kernel(struct ctf **ret, struct error *err)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";
	struct btf_source *s;

	if (access(path, R_OK) < 0)
		return error_set_errno(err, errno, "cannot read the kernel's types (%s)", path);
	s = xcalloc(1, sizeof(*s));
	s->path = xstrdup(path);
	*ret = wrap(s, "vmlinux", NULL);
	return 0;
}

int
ctf_open_btf(const char *path, struct ctf **ret, struct error *err)
{
	struct btf *btf = btf__parse(path, NULL);
	struct btf_source *s;
	struct ctf *c;
	const void *raw;
	uint32_t size;

	if (!btf)
		return error_set_errno(err, errno, "cannot read BTF from %s", path);
	raw = btf__raw_data(btf, &size);
	if (!raw)
		abort();
	s = xcalloc(1, sizeof(*s));
	s->data = xmalloc(size);
	s->size = size;
	memcpy(s->data, raw, size);
	btf__free(btf);
	c = wrap(s, path, NULL);
	if (parse(s) < 0 || note_types(s) < 0) {
		ctf_free(c);
		return error_set(err, EBADMSG, "malformed BTF in %s", path);
	}
	*ret = c;
	return 0;
}

int
ctf_open_module(struct ctf *parent, const char *module, struct ctf **ret, struct error *err)
{
	cleanup_free char *path = str_printf("/sys/kernel/btf/%s", module);
	struct btf_source *s;
	struct ctf *c;
	int r;

	if (parent->ops != &btf_ops || strchr(module, '/'))
		return error_set(err, EINVAL, "\"%s\" is no kernel module", module);
	s = xcalloc(1, sizeof(*s));
	c = wrap(s, module, parent);
	if ((r = read_data(s, path, err)) < 0 || (r = parse(s)) < 0 || (r = note_types(s)) < 0) {
		ctf_free(c);
		return error_wrap(err, r, "cannot read the types of module %s", module);
	}
	*ret = c;
	return 0;
}

uint32_t
ctf_kernel_id(struct ctf *c, enum ctf_kind kind, const char *name)
{
	static const uint32_t kind_in_btf[] = {[CTF_FUNCTION] = BTF_KIND_FUNC,
					       [CTF_TYPEDEF] = BTF_KIND_TYPEDEF,
					       [CTF_STRUCT] = BTF_KIND_STRUCT};
	uint32_t of = kind_in_btf[kind];
	struct btf_source *s = unnoted_source(c);

	if (!s->base && !s->noted && s->walks++ < FEW_WALKS)
		return walk_to(s, name, of);
	return find_kind(source(c), name, of);
}
