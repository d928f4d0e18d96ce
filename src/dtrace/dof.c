/*
 * DOF, the D object format, as far as it tells of a program's own probes.
 *
 * A header, then a table of sections at the offsets that it says.  A section of type PROVIDER
 * names others by number: strings, probes, the numbers of arguments (PRARGS) and the offsets of
 * sites (PROFFS, and PRENOFFS for those that ask whether the probe is traced).  A probe has the
 * address of its function and a range in each of these; strings are offsets in the table of
 * strings.  Addresses are as the linker left them; those that a relocation of type "relative to
 * the DOF" is for are counted from it.  When programs are linked of several such objects the
 * section has one DOF behind the other.
 *
 * A site was a call of a function that is not there, with the arguments where the System V ABI
 * has them, and became a nop: they are in six registers, and on the stack.
 *
 * All of it may be anything: each range is compared with the file's length before it is read.
 *
 * Follows: illumos' sys/dtrace.h (DOF versions 1 and 2).
 */
#include "dtrace/dof.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "dtrace/usdt_note.h"

#define HEADER 64
#define MAX_SITES 65536
#define MAX_READS (1 << 22)

enum { SECT_RELTAB = 10, SECT_URELHDR = 12, SECT_PROVIDER = 15 };
enum { RELOCATE_DOF = 2 };

struct header {
	uint8_t magic[4], model, encoding, version, dif[3], rest[6];
	uint32_t flags, header_size, section_size, n_sections;
	uint64_t sections, load_size, file_size, pad;
};

struct section {
	uint32_t type, align, flags, entry_size;
	uint64_t offset, size;
};

struct provider_row {
	uint32_t strings, probes, args, offsets, name, attributes[5], asks;
};

struct probe_row {
	uint64_t addr;
	uint32_t func, name, native, shown, args, offsets;
	uint8_t n_native, n_shown;
	uint16_t n_offsets;
	uint32_t asks;
	uint16_t n_asks, pad[3];
};

struct relocation {
	uint32_t name, type;
	uint64_t offset, data;
};

_Static_assert(sizeof(struct header) == HEADER && sizeof(struct section) == 32 &&
		       sizeof(struct probe_row) == 48 && sizeof(struct relocation) == 24,
	       "DOF is laid out without gaps");

/* One DOF. */
struct part {
	const char *data;
	size_t len;
	uint64_t addr;
	struct header head;
	size_t *left; /* reads that all of them may still take: tables may name each other at will */
};

/* A range of the DOF; false if it is not all there. */
static bool
take(const struct part *p, uint64_t offset, void *ret, size_t size)
{
	if (offset > p->len || size > p->len - offset || !*p->left)
		return false;
	--*p->left;
	memcpy(ret, p->data + offset, size);
	return true;
}

static bool
section(const struct part *p, uint32_t i, struct section *ret)
{
	struct section s;

	if (i >= p->head.n_sections ||
	    !take(p, p->head.sections + (uint64_t)i * p->head.section_size, &s, sizeof(s)) ||
	    s.offset > p->len || s.size > p->len - s.offset)
		return false;
	*ret = s;
	return true;
}

/* Entry i of a section; false if there are not so many. */
static bool
entry(const struct part *p, const struct section *s, uint64_t i, void *ret, size_t size)
{
	return i < s->size / size && take(p, s->offset + i * size, ret, size);
}

/* The string at an offset of the table; NULL if it does not end there. */
static const char *
string(const struct part *p, const struct section *s, uint64_t at)
{
	const char *text = p->data + s->offset + at;

	return at < s->size && memchr(text, 0, s->size - at) ? text : NULL;
}

/* Types of arguments, one behind the other. */
static bool
strings(const struct part *p, const struct section *s, uint64_t at, size_t n, const char **ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!(ret[i] = string(p, s, at)))
			return false;
		at += strlen(ret[i]) + 1;
	}
	return true;
}

static const char *
keep_text(struct dof *d, char *text)
{
	d->texts = xreallocarray(d->texts, d->n_texts + 1, sizeof(*d->texts));
	return d->texts[d->n_texts++] = text;
}

/* "box-made" as the notes have it: "box__made", which can be declared, too. */
static char *
declared_name(const char *name)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (; *name; name++) {
		if (*name == '-')
			strbuf_adds(&b, "__");
		else
			strbuf_addc(&b, *name);
	}
	return b.len ? strbuf_steal(&b) : xstrdup("");
}

static char *
operands(size_t n)
{
	static const char *const regs[] = {"%rdi", "%rsi", "%rdx", "%rcx", "%r8", "%r9"};
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		if (i < ARRAY_SIZE(regs))
			strbuf_addf(&b, "%s8@%s", i ? " " : "", regs[i]);
		else
			strbuf_addf(&b, " 8@%zu(%%rsp)", 8 * (i - ARRAY_SIZE(regs)));
	}
	return b.len ? strbuf_steal(&b) : xstrdup("");
}

/* Where the probe's function is: a relocation may say that the number is counted from the DOF. */
static uint64_t
address_of(const struct part *p, uint32_t probes, uint64_t offset, uint64_t addr)
{
	struct section head, list;

	for (uint32_t i = 0; section(p, i, &head); i++) {
		uint32_t which[3]; /* strings, relocations, what they are for */
		struct relocation r;

		if (head.type != SECT_URELHDR ||
		    !entry(p, &head, 0, which, sizeof(which)) || which[2] != probes ||
		    !section(p, which[1], &list) || list.type != SECT_RELTAB)
			continue;
		for (uint64_t k = 0; entry(p, &list, k, &r, sizeof(r)); k++)
			if (r.type == RELOCATE_DOF && r.offset == offset)
				return addr + p->addr;
	}
	return addr;
}

static void
add_sites(struct dof *d, const struct part *p, const struct section *s, const struct sdt_note *like,
	  uint32_t first, size_t n, uint64_t func)
{
	uint32_t offset;

	for (size_t i = 0; i < n && d->n_notes < MAX_SITES && entry(p, s, (uint64_t)first + i, &offset, 4);
	     i++) {
		if (d->n_notes % 64 == 0)
			d->notes = xreallocarray(d->notes, d->n_notes + 64, sizeof(*d->notes));
		d->notes[d->n_notes] = *like;
		d->notes[d->n_notes++].pc = func + offset;
	}
}

/* One probe: its sites, and its definition. */
static void
add_probe(struct dof *d, const struct part *p, const struct provider_row *prov, uint32_t index,
	  const char *provider, struct strbuf *text)
{
	const char *native[UINT8_MAX], *shown[UINT8_MAX], *name;
	struct section names, probes, args, offsets, asks;
	uint8_t from[UINT8_MAX];
	struct sdt_note note = {.provider = provider};
	struct probe_row row;
	uint64_t func;

	if (!section(p, prov->strings, &names) || !section(p, prov->probes, &probes) ||
	    !section(p, prov->offsets, &offsets) || !entry(p, &probes, index, &row, sizeof(row)) ||
	    !(name = string(p, &names, row.name)) ||
	    !strings(p, &names, row.native, row.n_native, native) ||
	    !strings(p, &names, row.shown, row.n_shown, shown))
		return;
	for (size_t i = 0; i < row.n_shown; i++)
		if (!section(p, prov->args, &args) ||
		    !entry(p, &args, (uint64_t)row.args + i, &from[i], 1) || from[i] >= row.n_native)
			return;
	note.name = keep_text(d, declared_name(name));
	note.args = keep_text(d, operands(row.n_native));
	func = address_of(p, prov->probes, (uint64_t)index * sizeof(row), row.addr);
	add_sites(d, p, &offsets, &note, row.offsets, row.n_offsets, func);
	if (p->head.version >= 2 && row.n_asks && section(p, prov->asks, &asks)) {
		/* They want a register changed, which only the processor's own trap could do. */
		note.asks = true;
		note.args = "";
		add_sites(d, p, &asks, &note, row.asks, row.n_asks, func);
	}
	usdt_define(text, note.name, native, row.n_native, shown, from, row.n_shown);
}

static void
add_provider(struct dof *d, const struct part *p, const struct section *s, struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct provider_row prov = {0};
	struct section names, probes;
	const char *name;

	/* Version 1 has no sites that ask. */
	if (!take(p, s->offset, &prov, s->size < sizeof(prov) ? offsetof(struct provider_row, asks) : sizeof(prov)) ||
	    s->size < offsetof(struct provider_row, asks) || !section(p, prov.strings, &names) ||
	    !section(p, prov.probes, &probes) || !(name = string(p, &names, prov.name)))
		return;
	name = keep_text(d, xstrdup(name));
	strbuf_addf(&text, "provider %s {\n", name);
	for (uint32_t i = 0; i < probes.size / sizeof(struct probe_row) && *p->left; i++)
		add_probe(d, p, &prov, i, name, &text);
	strbuf_adds(&text, "};\n");
	strbuf_add(out, text.data, text.len + 1);
}

/* *p is at a DOF of a program of this machine? */
static bool
is_dof(struct part *p)
{
	enum { LP64 = 2, LITTLE = 1 };

	return take(p, 0, &p->head, HEADER) && memcmp(p->head.magic, "\177DOF", 4) == 0 &&
	       p->head.model == LP64 && p->head.encoding == LITTLE && p->head.version >= 1 &&
	       p->head.section_size >= sizeof(struct section) && p->head.load_size >= HEADER;
}

struct dof *
dof_parse(const void *data, size_t len, uint64_t addr)
{
	cleanup_dof struct dof *d = xcalloc(1, sizeof(*d));
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	size_t left = MAX_READS;
	struct part p = {.data = data, .len = len, .addr = addr, .left = &left};
	struct section s;

	while (is_dof(&p)) {
		uint64_t next = (p.head.load_size + 7) & ~7ull;

		for (uint32_t i = 0; section(&p, i, &s); i++)
			if (s.type == SECT_PROVIDER)
				add_provider(d, &p, &s, &out);
		if (next < HEADER || next >= p.len)
			break;
		p.data += next;
		p.len -= next;
		p.addr += next;
	}
	if (!d->n_notes)
		return NULL;
	d->definitions_len = out.len;
	d->definitions = strbuf_steal(&out);
	return steal_ptr(&d);
}

void
dof_free(struct dof *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_texts; i++)
		free(d->texts[i]);
	free(d->texts);
	free(d->notes);
	free(d->definitions);
	free(d);
}
