/*
 * print(): a value as its type describes it.  What a pointer points to is shown as the kernel shows
 * structures, members that are zero left out:
 *	0xffff... = *
 *	                                            (struct point) {
 *	                                             .x = (int)3,
 *	                                            }
 * and any other value as illumos does: `struct point {`, then `    int x = 0x3`.  A translated
 * structure comes a member each record and is put together first.
 */
#include <ctype.h>
#include <string.h>

#include "dtrace/show.h"

#define FIRST_COLUMN 44
#define NO_BRACE (-1)

struct printer {
	FILE *out;
	const char *data;  /* of the whole value */
	size_t size;	   /* so much of it was recorded */
	size_t limit;	   /* option printsize: what begins behind it is left out */
	bool cut;	   /* something was */
	int open;	   /* a brace to be closed at this column, or NO_BRACE */
	struct dt *dt;
	/* Of a translated one: what has no room in it, D's strings. */
	const struct act *act;
	const char *record;
};

static bool
is_zero(const struct printer *p, size_t at, size_t size)
{
	for (size_t i = at; i < at + size && i < p->size; i++)
		if (p->data[i])
			return false;
	return true;
}

/* The name of a type; of a structure without one what it is. */
static char *
type_text(const struct ctf_type *t)
{
	enum ctf_kind kind = ctf_kind(t);

	if ((kind == CTF_STRUCT || kind == CTF_UNION) && !*ctf_tag(t))
		return xstrdup(kind == CTF_STRUCT ? "struct" : "union");
	return ctf_name(t);
}

/* What stands `bit` bits into the value. */
static int64_t
number_at(const struct printer *p, size_t bit, unsigned bits, const struct ctf_type *t)
{
	size_t size = bits ? (bit % 8 + bits + 7) / 8 : ctf_size(t);
	uint64_t v = 0;

	memcpy(&v, p->data + bit / 8, bit / 8 + size <= p->size && size <= 8 ? size : 0);
	v >>= bit % 8;
	if (!bits)
		bits = 8 * (unsigned)size;
	if (bits && bits < 64)
		v = ctf_is_signed(t) ? (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits))
				     : v & ((1ull << bits) - 1);
	return (int64_t)v;
}

/* A number, an address, an enumerator. */
static void
print_scalar(struct printer *p, size_t bit, unsigned bits, const struct ctf_type *t, bool hex)
{
	const struct ctf_type *base = ctf_resolve(t);
	int64_t v = number_at(p, bit, bits, t);
	unsigned long long mask = ctf_size(t) < 8 ? (1ull << 8 * ctf_size(t)) - 1 : UINT64_MAX;
	const char *word = ctf_kind(base) == CTF_ENUM ? ctf_enumerator_name(base, v) : NULL;

	if (word)
		fputs(word, p->out);
	else if (ctf_is_pointer(t))
		fprintf(p->out, "0x%llx", (unsigned long long)v);
	else if (ctf_size(t) == 1 && ctf_is_signed(t) && v > 0 && isprint((int)v))
		fprintf(p->out, "'%c'", (char)v);
	else if (hex)
		fprintf(p->out, "0x%llx", (unsigned long long)v & mask);
	else
		fprintf(p->out, ctf_is_signed(t) ? "%lld" : "%llu", (long long)v);
}

static bool
is_array(const struct ctf_type *t)
{
	return ctf_kind(ctf_resolve(t)) == CTF_ARRAY;
}

/* --- behind a pointer */

static void print_at(struct printer *p, const char *name, size_t bit, unsigned bits,
		     const struct ctf_type *t, int column);

static void
close_brace(struct printer *p)
{
	if (p->open != NO_BRACE)
		fprintf(p->out, "%*s},\n", p->open, "");
	p->open = NO_BRACE;
}

static void
print_elements(struct printer *p, size_t bit, const struct ctf_type *array, int column)
{
	const struct ctf_type *t = ctf_target(ctf_resolve(array));
	bool text = ctf_is_string(array);

	for (uint64_t i = 0; i < ctf_count(ctf_resolve(array)) && !p->cut; i++) {
		size_t at = bit + 8 * i * ctf_size(t);

		if (text && is_zero(p, at / 8, 1))
			break;
		print_at(p, NULL, at, 0, t, column);
	}
}

static void
print_members(struct printer *p, size_t bit, const struct ctf_type *t, int column)
{
	struct ctf_member m;

	for (size_t i = 0; ctf_member_at(ctf_resolve(t), i, &m) && !p->cut; i++)
		print_at(p, m.name, bit + m.bit_offset, m.bit_size, m.type, column);
}

/* One member or element on lines of its own, unless it is zero. */
static void
print_at(struct printer *p, const char *name, size_t bit, unsigned bits, const struct ctf_type *t,
	 int column)
{
	cleanup_free char *type = NULL;

	if (bit / 8 >= p->limit) {
		fprintf(p->out, "%*s...\n", column, "");
		p->cut = true;
		return;
	}
	if (bits ? !number_at(p, bit, bits, t) : is_zero(p, bit / 8, ctf_size(t)))
		return;
	close_brace(p);
	type = type_text(t);
	fprintf(p->out, "%*s", column, "");
	if (name && *name)
		fprintf(p->out, ".%s = ", name);
	if (ctf_is_aggregate(t)) {
		fprintf(p->out, "(%s) {\n", type);
		print_members(p, bit, t, column + 1);
		close_brace(p);
		p->open = column;
	} else if (is_array(t)) {
		fprintf(p->out, "(%s) [\n", type);
		print_elements(p, bit, t, column + 1);
		close_brace(p);
		fprintf(p->out, "%*s],\n", column, "");
	} else {
		fprintf(p->out, "(%s)", type);
		print_scalar(p, bit, bits, t, false);
		fputs(",\n", p->out);
	}
}

static void
print_pointed(struct printer *p, uint64_t address, const struct ctf_type *t)
{
	cleanup_free char *type = type_text(t);

	fprintf(p->out, "0x%llx = *\n%*s(%s)", (unsigned long long)address, FIRST_COLUMN, "", type);
	if (ctf_is_aggregate(t)) {
		fputs(" {\n", p->out);
		print_members(p, 0, t, FIRST_COLUMN + 1);
		close_brace(p);
		fprintf(p->out, "%*s}\n", FIRST_COLUMN, "");
	} else {
		print_scalar(p, 0, 0, t, false);
		fputc('\n', p->out);
	}
}

/* --- a value */

/* A member of D's type string; several may stand at one place. */
static void
print_string(const struct printer *p, const char *name, size_t bit, size_t room)
{
	size_t at = bit / 8 < p->size ? bit / 8 : p->size, left = p->size - at;
	const char *text = p->data + at;

	for (size_t i = 0; p->act && i < p->act->n_recs; i++) {
		if (p->act->parts[i].bit_offset == bit && str_eq(p->act->parts[i].name, name)) {
			text = show_value(p->dt, &p->act->recs[i], p->record).text;
			room = left = strlen(text);
		}
	}
	fprintf(p->out, "\"%.*s\"", (int)(room < left ? room : left), text);
}

/* The room of the text of member i, a string: the array without a name that may follow. */
static size_t
string_room(const struct ctf_type *t, size_t i)
{
	struct ctf_member m;

	return ctf_member_at(ctf_resolve(t), i + 1, &m) && !*m.name && is_array(m.type)
		       ? ctf_size(m.type)
		       : 0;
}

static void print_value(struct printer *p, size_t bit, unsigned bits, const struct ctf_type *t,
			int column);

static void
print_fields(struct printer *p, size_t bit, const struct ctf_type *t, int column)
{
	struct ctf_member m;
	size_t room = 0;

	for (size_t i = 0; ctf_member_at(ctf_resolve(t), i, &m); i++) {
		cleanup_free char *type = NULL;

		if (room) { /* was shown as the string */
			room = 0;
			continue;
		}
		fprintf(p->out, "%*s", column, "");
		if ((bit + m.bit_offset) / 8 >= p->limit) {
			fputs("...\n", p->out);
			break;
		}
		type = type_text(m.type);
		fprintf(p->out, *m.name ? "%s %s = " : "%s%s ", type, m.name);
		if (m.type == p->dt->t_string) {
			room = string_room(t, i);
			print_string(p, m.name, bit + m.bit_offset, room);
		} else {
			print_value(p, bit + m.bit_offset, m.bit_size, m.type, column);
		}
		fputc('\n', p->out);
	}
}

static void
print_value(struct printer *p, size_t bit, unsigned bits, const struct ctf_type *t, int column)
{
	if (ctf_is_string(t) && is_array(t)) {
		size_t size = ctf_size(t), at = bit / 8, room = at < p->size ? p->size - at : 0;

		fprintf(p->out, "[ \"%.*s\" ]", (int)strnlen(p->data + at, size < room ? size : room),
			p->data + at);
	} else if (is_array(t)) {
		const struct ctf_type *of = ctf_target(ctf_resolve(t));

		fputs("[", p->out);
		for (uint64_t i = 0; i < ctf_count(ctf_resolve(t)); i++) {
			fputs(i ? ", " : " ", p->out);
			print_value(p, bit + 8 * i * ctf_size(of), 0, of, column);
		}
		fputs(" ]", p->out);
	} else if (ctf_is_aggregate(t)) {
		fputs("{\n", p->out);
		print_fields(p, bit, t, column + 4);
		fprintf(p->out, "%*s}", column, "");
	} else {
		print_scalar(p, bit, bits, t, true);
	}
}

/* --- a translated structure */

/* A number of so many bits into the image. */
static void
put_bits(char *image, size_t size, const struct part *part, uint64_t v)
{
	for (unsigned i = 0; i < part->bit_size && (part->bit_offset + i) / 8 < size; i++) {
		uint64_t bit = part->bit_offset + i;

		image[bit / 8] =
			(char)((image[bit / 8] & ~(1 << bit % 8)) | (int)(v >> i & 1) << bit % 8);
	}
}

/* The structure as it would stand in memory. */
static char *
put_together(struct dt *dt, const struct act *a, const char *data)
{
	size_t size = ctf_size(a->type);
	char *image = xcalloc(1, size + 1);

	for (size_t i = 0; i < a->n_recs; i++) {
		const struct part *part = &a->parts[i];
		const struct rec *rec = &a->recs[i];
		const char *from = data + rec->offset;
		size_t at = part->bit_offset / 8, n = ctf_size(part->type);
		struct value v;

		if (rec->kind == REC_PROBE) {
			v = show_value(dt, rec, data);
			strncpy(image + at, v.text, n);
		} else if (rec->kind == REC_STRING) {
			strncpy(image + at, from, n < rec->size ? n : rec->size);
		} else if (part->bit_size) {
			put_bits(image, size, part, (uint64_t)show_value(dt, rec, data).number);
		} else {
			memcpy(image + at, from, n < rec->size ? n : rec->size);
		}
	}
	return image;
}

static void
print_translation(struct dt *dt, const struct act *a, const char *data)
{
	cleanup_free char *image = put_together(dt, a, data), *type = type_text(a->type);
	struct printer p = {.out = dt->out,
			    .data = image,
			    .size = ctf_size(a->type),
			    .limit = dt->opts.printsize,
			    .open = NO_BRACE,
			    .dt = dt,
			    .act = a,
			    .record = data};

	fprintf(dt->out, "%s ", type);
	print_value(&p, 0, 0, a->type, 0);
	fputc('\n', dt->out);
}

void
show_print(struct dt *dt, const struct act *a, const char *data)
{
	const struct rec *last = &a->recs[a->n_recs - 1];
	struct printer p = {.out = dt->out,
			    .data = data + last->offset,
			    .size = last->size,
			    .limit = dt->opts.printsize,
			    .open = NO_BRACE,
			    .dt = dt};
	cleanup_free char *type = NULL;
	uint64_t address;

	if (a->parts) {
		print_translation(dt, a, data);
		return;
	}
	if (a->n_recs > 1) {
		memcpy(&address, data + a->recs[0].offset, sizeof(address));
		print_pointed(&p, address, a->type);
		return;
	}
	/* Text, a probe's name; but the kernel's char [] is one. */
	if (last->kind != REC_BYTES && last->kind != REC_INT && (a->type == dt->t_string || !is_array(a->type))) {
		struct value v = show_value(dt, last, data);

		fprintf(dt->out, "string \"%s\"\n", v.text);
		return;
	}
	type = type_text(a->type);
	fprintf(dt->out, "%s ", type);
	print_value(&p, 0, 0, a->type, 0);
	fputc('\n', dt->out);
}
