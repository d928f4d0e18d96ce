/*
 * Words are the rows of one table: an opcode, how each argument is encoded, and what stands in
 * braces behind them.  Whatever has a length gets it when its end is known.  Commas and round
 * brackets say nothing that the table does not.
 */
#include "vmm/acpi/asl.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* What ends a word; strspn() would make a table like this at each call, half of a compilation's time. */
enum { BLANK = 1, END };
static const uint8_t letter[256] = {
	[' '] = BLANK, ['\t'] = BLANK, ['\n'] = BLANK, [','] = BLANK, ['('] = BLANK, [')'] = BLANK,
	['{'] = END, ['}'] = END, ['"'] = END, [0] = END,
};
enum { OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c, OP_STRING = 0x0d, OP_QWORD = 0x0e };

struct asl {
	const char *p; /* what is left of the text */
	struct strbuf *out;
};

enum body {
	NOTHING = 0,
	TERMS,	   /* a length, arguments, terms */
	ELEMENTS,  /* a length, how many terms there are, terms */
	FIELDS,	   /* a length, arguments, names and their bits */
	RESOURCES, /* a length, the number of bytes, descriptors and an end tag */
};

/*
 * Arguments: t a term, n a name, e an EISA id, b w d q a number of 1, 2, 4, 8 bytes, m one of 16
 * bits, f a flag, F the last flag of a byte.  A digit is no argument but a byte of that value.
 */
static const struct word {
	const char *name;
	uint16_t op;
	uint8_t len; /* of a large resource descriptor */
	const char *args;
	enum body body;
} words[] = {
	{"Scope", 0x10, 0, "n", TERMS},
	{"Device", 0x5b82, 0, "n", TERMS},
	{"Method", 0x14, 0, "nb", TERMS},
	{"If", 0xa0, 0, "t", TERMS},
	{"Package", 0x12, 0, "", ELEMENTS},
	{"Name", 0x08, 0, "nt"},
	{"EisaId", OP_DWORD, 0, "e"},
	{"Store", 0x70, 0, "tt"},
	{"And", 0x7b, 0, "tt0"}, /* stored nowhere */
	{"Notify", 0x86, 0, "tt"},
	{"Local0", 0x60, 0, ""},
	{"OperationRegion", 0x5b80, 0, "nbtt"},
	{"Field", 0x5b81, 0, "nffF", FIELDS},
	{"ResourceTemplate", 0x11, 0, "", RESOURCES},
	{"IO", 0x47, 0, "bwwbb"},
	{"IRQNoFlags", 0x22, 0, "m"},
	{"Memory32Fixed", 0x86, 9, "bdd"},
	{"WordBusNumber", 0x88, 13, "2fffF0wwwww"},
	{"WordIO", 0x88, 13, "1fffFbwwwww"},
	{"DWordMemory", 0x87, 23, "0fffFfFddddd"},
	{"QWordMemory", 0x8a, 43, "0fffFfFqqqqq"},
};

static const struct {
	const char *name;
	uint8_t value;
} flags[] = {
	{"NotSerialized", 0}, {"SystemIO", 1}, {"DWordAcc", 3}, {"NoLock", 0}, {"WriteAsZeros", 2 << 5},
	{"Decode16", 1}, {"ReadOnly", 0}, {"ReadWrite", 1}, {"NonCacheable", 0}, {"EntireRange", 3},
	{"ResourceProducer", 0}, {"PosDecode", 0}, {"MinFixed", 1 << 2}, {"MaxFixed", 1 << 3},
};

static void term(struct asl *a);

static void
put(struct asl *a, uint64_t v, unsigned size)
{
	strbuf_add(a->out, &v, size);
}

static void
skip_blanks(struct asl *a)
{
	while (letter[(uint8_t)*a->p] == BLANK)
		a->p++;
}

/* The next word's length; *ret is where it begins. */
static size_t
next(struct asl *a, const char **ret)
{
	skip_blanks(a);
	*ret = a->p;
	while (!letter[(uint8_t)*a->p])
		a->p++;
	return (size_t)(a->p - *ret);
}

static bool
is(const char *text, size_t len, const char *name)
{
	return *text == *name && strncmp(text, name, len) == 0 && !name[len];
}

static uint64_t
number(struct asl *a)
{
	const char *text;
	size_t len = next(a, &text);

	for (size_t i = 0; !isdigit((unsigned char)*text); i++) {
		assert(i < ARRAY_SIZE(flags));
		if (is(text, len, flags[i].name))
			return flags[i].value;
	}
	return strtoull(text, NULL, 0);
}

static void
integer(struct asl *a, uint64_t v)
{
	unsigned size = v <= 0xff ? 1 : v <= 0xffff ? 2 : v <= 0xffffffff ? 4 : 8;

	if (v > 1)
		put(a, size == 1 ? OP_BYTE : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD, 1);
	put(a, v, size);
}

/* Segments of four letters, how many of them in front. */
static void
name(struct asl *a, const char *text, size_t len)
{
	const char *end = text + len;
	unsigned n = 1;

	if (*text == '\\')
		put(a, (uint8_t)*text++, 1);
	for (const char *p = text; p < end; p++)
		n += *p == '.';
	if (n == 2)
		put(a, 0x2e, 1);
	else if (n > 2)
		put(a, 0x2f | n << 8, 2);
	while (text < end) {
		size_t part = 0;

		while (text + part < end && text[part] != '.')
			part++;
		assert(part <= 4);
		strbuf_add(a->out, text, part);
		strbuf_add(a->out, "____", 4 - part);
		text += part + 1;
	}
}

/* Three letters of five bits and four hex digits, big endian. */
static void
eisa_id(struct asl *a)
{
	uint32_t v = 0;

	skip_blanks(a);
	a->p++;
	for (unsigned i = 0; i < 3; i++)
		v = v << 5 | ((uint32_t)a->p[i] - 0x40);
	v = v << 16 | (uint32_t)strtoul(a->p + 3, NULL, 16);
	put(a, __builtin_bswap32(v), 4);
	a->p += 7 + 1;
}

static void
argument(struct asl *a, char kind, uint8_t *flag)
{
	const char *text;
	size_t len;

	switch (kind) {
	case 't':
		term(a);
		return;
	case 'n':
		len = next(a, &text);
		name(a, text, len);
		return;
	case 'e':
		eisa_id(a);
		return;
	case 'm':
		skip_blanks(a);
		a->p++; /* the brace */
		put(a, 1ULL << number(a), 2);
		a->p += strcspn(a->p, "}") + 1;
		return;
	case 'f':
	case 'F':
		*flag |= (uint8_t)number(a);
		if (kind == 'F') {
			put(a, *flag, 1);
			*flag = 0;
		}
		return;
	}
	if (isdigit((unsigned char)kind))
		put(a, (uint64_t)(kind - '0'), 1);
	else
		put(a, number(a), kind == 'b' ? 1 : kind == 'w' ? 2 : kind == 'd' ? 4 : 8);
}

/* ---- what has a length ---- */

static void
insert(struct asl *a, size_t at, uint64_t v, unsigned size)
{
	strbuf_reserve(a->out, size);
	memmove(a->out->data + at + size, a->out->data + at, a->out->len - at);
	memcpy(a->out->data + at, &v, size);
	a->out->len += size;
}

/* The length counts itself: one byte up to 63, else a nibble and one or two bytes. */
static void
insert_length(struct asl *a, size_t at)
{
	size_t len = a->out->len - at + 1;

	unsigned more = len < 64 ? 0 : len + 1 < 1 << 12 ? 1 : 2;

	len += more;
	assert(len < 1 << 20);
	insert(a, at, more ? more << 6 | (len & 15) | len >> 4 << 8 : len, 1 + more);
}

static bool
ends(struct asl *a)
{
	skip_blanks(a);
	assert(*a->p);
	if (*a->p != '}')
		return false;
	a->p++;
	return true;
}

static void
body(struct asl *a, const struct word *w, size_t at)
{
	size_t begin = a->out->len;
	uint64_t n = 0;

	skip_blanks(a);
	assert(*a->p == '{');
	a->p++;
	for (; !ends(a); n++) {
		term(a);
		if (w->body == FIELDS)
			put(a, number(a), 1);
	}
	if (w->body == ELEMENTS)
		insert(a, begin, n, 1);
	if (w->body == RESOURCES) {
		put(a, 0x79, 2);
		insert(a, begin, OP_WORD | (a->out->len - begin) << 8, 3);
	}
	insert_length(a, at);
}

static void
word(struct asl *a, const struct word *w)
{
	uint8_t flag = 0;
	size_t at;

	if (w->op > 0xff)
		put(a, w->op >> 8, 1);
	put(a, w->op & 0xff, 1);
	if (w->len)
		put(a, w->len, 2);
	at = a->out->len;
	for (const char *arg = w->args; *arg; arg++)
		argument(a, *arg, &flag);
	if (w->body)
		body(a, w, at);
}

static void
term(struct asl *a)
{
	const char *text;
	size_t len = next(a, &text);

	if (*text == '"') {
		len = strcspn(text + 1, "\"");
		put(a, OP_STRING, 1);
		strbuf_add(a->out, text + 1, len);
		put(a, 0, 1);
		a->p += len + 2;
		return;
	}
	assert(len);
	if (isdigit((unsigned char)*text)) {
		integer(a, strtoull(text, NULL, 0));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (is(text, len, words[i].name)) {
			word(a, &words[i]);
			return;
		}
	}
	name(a, text, len);
}

void
asl_compile(const char *text, struct strbuf *out)
{
	struct asl a = {text, out};

	for (skip_blanks(&a); *a.p; skip_blanks(&a))
		term(&a);
}
