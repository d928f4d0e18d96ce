/*
 * The definitions in a .note.usdt section.
 *
 * The notes of sites are elfsyms.c's.  A note named "prov" describes a provider: its name, padded
 * to a word; five stabilities of four bytes; the number of probes, four bytes; and of each
 * probe, padded to a word: its name, the number of its native arguments (a byte) and their types,
 * the number of those that a program sees and, of each, its type and which native one it is (a
 * byte). All texts end in a NUL.  They may be anything: who parses the outcome keeps definitions
 * only.
 */
#include "dtrace/usdt_note.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct part {
	const char *start, *at, *end;
};

static const char *
take_text(struct part *p)
{
	const char *s = p->at, *nul = memchr(s, 0, (size_t)(p->end - s));

	p->at = nul ? nul + 1 : p->end;
	return nul ? s : NULL;
}

static bool
take_number(struct part *p, size_t size, uint32_t *ret)
{
	if ((size_t)(p->end - p->at) < size)
		return false;
	*ret = 0;
	memcpy(ret, p->at, size);
	p->at += size;
	return true;
}

static void
pad(struct part *p)
{
	size_t n = (size_t)(p->at - p->start) & 3;

	if (n)
		p->at += (size_t)(p->end - p->at) < 4 - n ? (size_t)(p->end - p->at) : 4 - n;
}

void
usdt_define(struct strbuf *out, const char *name, const char *const *native, size_t n_native,
	    const char *const *shown, const uint8_t *from, size_t n_shown)
{
	strbuf_addf(out, "\tprobe %s(", name);
	for (size_t i = 0; n_shown && i < n_native; i++)
		strbuf_addf(out, "%s%s a%zu", i ? ", " : "", native[i], i);
	for (size_t i = 0; i < n_shown; i++)
		strbuf_addf(out, "%s%s a%u", i ? ", " : ") : (", shown[i], from[i]);
	strbuf_adds(out, ");\n");
}

/* Texts, each with the byte behind it if it has one; how many there are comes first. */
static bool
take_types(struct part *p, const char **ret, uint8_t *from, uint32_t *ret_n)
{
	uint32_t n, number;

	if (!take_number(p, 1, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!(ret[i] = take_text(p)) || (from && !take_number(p, 1, &number)))
			return false;
		if (from)
			from[i] = (uint8_t)number;
	}
	*ret_n = n;
	return true;
}

/* One probe; false where the note ends before it does. */
static bool
add_probe(struct part *p, struct strbuf *out)
{
	const char *native[UINT8_MAX], *shown[UINT8_MAX], *name = take_text(p);
	uint8_t from[UINT8_MAX];
	uint32_t n_native, n_shown;

	if (!name || !take_types(p, native, NULL, &n_native) || !take_types(p, shown, from, &n_shown))
		return false;
	usdt_define(out, name, native, n_native, shown, from, n_shown);
	pad(p);
	return true;
}

static void
add_provider(struct part p, struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *name = take_text(&p);
	uint32_t n;

	pad(&p);
	if (!name || p.end - p.at < 20)
		return;
	p.at += 20;
	if (!take_number(&p, 4, &n))
		return;
	strbuf_addf(&text, "provider %s {\n", name);
	for (uint32_t i = 0; i < n; i++)
		if (!add_probe(&p, &text))
			return;
	strbuf_adds(&text, "};\n");
	strbuf_add(out, text.data, text.len + 1);
}

char *
usdt_note_definitions(const char *notes, size_t len, size_t *ret_len)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct part all = {notes, notes, notes + len};
	uint32_t name_size, size, type;

	while (take_number(&all, 4, &name_size) && take_number(&all, 4, &size) &&
	       take_number(&all, 4, &type)) {
		const char *name = all.at;
		uint64_t desc = ((uint64_t)name_size + 3) & ~3ull;

		if ((uint64_t)(all.end - all.at) < desc + size)
			break;
		all.at += desc;
		if (name_size == sizeof("prov") && memcmp(name, "prov", sizeof("prov")) == 0)
			add_provider((struct part){all.at, all.at, all.at + size}, &out);
		all.at += size;
		pad(&all);
	}
	if (!out.len)
		return NULL;
	*ret_len = out.len;
	return strbuf_steal(&out);
}
