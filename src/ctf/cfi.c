/*
 * .eh_frame to a table of rules.
 *
 * A CIE says how its functions' frames begin, an FDE runs a small program over one function: each
 * step forward in code ends a row.  All rows of a file are collected and sorted; where no FDE
 * covers the code a row says so (CFI_NONE).  What no rule can say (a CFA in a register other
 * than the three followed, or computed in a way not known here) becomes CFI_NONE too: who walks
 * a stack there goes by the frame pointer, or stops.
 */
#include "ctf/cfi.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "ctf/elf_impl.h"

#define MAX_ROWS (4u << 20)
#define MAX_SECTION (64u << 20) /* all of clang has 6 MiB */
#define MAX_STATES 32 /* remembered */
#define MAX_CIE 512 /* bytes; it is gone through for each FDE, and compilers write 30 */
#define LOST (-1)     /* a register's rule that cannot be told */
#define AT_FP INT64_MAX

/* Bytes that are taken from the front; past the end all are zeros and `bad` is set. */
struct bytes {
	const uint8_t *at, *end;
	uint64_t addr; /* of `at`, as linked */
	bool bad;
};

struct segment {
	uint64_t addr, offset, size;
};

struct reader {
	struct cfi *cfi;
	size_t cap;
	const uint8_t *data;
	size_t size;
	uint64_t addr;
	unsigned word;
	unsigned sp, fp, bx, ra; /* DWARF's numbers of the registers */
	struct segment *segments;
	size_t n_segments;
};

struct cie {
	uint64_t offset; /* it was read from there; UINT64_MAX: none was */
	uint64_t code_align;
	int64_t data_align;
	unsigned ra;
	uint8_t encoding; /* of addresses in its FDEs */
	bool has_length, signal;
	struct bytes program;
};

/* One row under way. */
struct state {
	enum cfi_kind kind; /* CFI_NONE: the CFA cannot be told */
	int64_t offset;     /* bytes */
	int64_t fp, bx;     /* bytes below the CFA; 0: as it was; LOST; AT_FP */
	bool end;           /* the return address is undefined */
};

static uint64_t
take(struct bytes *b, size_t n)
{
	uint64_t v = 0;

	if ((size_t)(b->end - b->at) < n) {
		b->bad = true;
		b->at = b->end;
		return 0;
	}
	memcpy(&v, b->at, n);
	b->at += n;
	b->addr += n;
	return v;
}

static uint64_t
take_uleb(struct bytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t c = take(b, 1);

		v |= (c & 127) << shift;
		if (!(c & 128))
			break;
	}
	return v;
}

static int64_t
take_sleb(struct bytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64;) {
		uint64_t c = take(b, 1);

		v |= (c & 127) << shift;
		shift += 7;
		if (c & 128)
			continue;
		if (c & 64 && shift < 64)
			v |= UINT64_MAX << shift;
		break;
	}
	return (int64_t)v;
}

static struct bytes
take_bytes(struct bytes *b, uint64_t n)
{
	struct bytes part = *b;

	if ((uint64_t)(b->end - b->at) < n) {
		b->bad = true;
		n = (uint64_t)(b->end - b->at);
	}
	part.end = part.at + n;
	b->at += n;
	b->addr += n;
	return part;
}

/* An encoded pointer: its form in the low four bits, what it counts from above. */
static uint64_t
take_pointer(const struct reader *r, struct bytes *b, uint8_t encoding)
{
	uint64_t from = b->addr, v;

	switch (encoding & 15) {
	case 0x0:
		v = take(b, r->word);
		break;
	case 0x1:
		v = take_uleb(b);
		break;
	case 0x2:
		v = take(b, 2);
		break;
	case 0x3:
		v = take(b, 4);
		break;
	case 0x9:
		v = (uint64_t)take_sleb(b);
		break;
	case 0xa:
		v = (uint64_t)(int16_t)take(b, 2);
		break;
	case 0xb:
		v = (uint64_t)(int32_t)take(b, 4);
		break;
	case 0x4:
	case 0xc:
		v = take(b, 8);
		break;
	default:
		b->bad = true;
		return 0;
	}
	if ((encoding & 0x70) == 0x10)
		v += from;
	else if (encoding & 0x70)
		b->bad = true;
	return r->word == 4 ? (uint32_t)v : v;
}

/* --- rows */

static void
add_row(struct reader *r, uint64_t at, uint32_t rule)
{
	struct cfi *c = r->cfi;

	if (at > UINT32_MAX || c->n == MAX_ROWS)
		return;
	if (c->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 1024;
		c->rows = xreallocarray(c->rows, r->cap, sizeof(*c->rows));
	}
	c->rows[c->n++] = (struct cfi_row){(uint32_t)at, rule};
}

/* Bytes to words, if a rule has room for them. */
static bool
saved_words(const struct reader *r, int64_t bytes, uint32_t *ret)
{
	if (bytes == LOST)
		bytes = 0; /* it is not needed as often as it is lost */
	if (bytes < 0 || bytes % r->word || bytes / r->word > CFI_MAX_SAVED)
		return false;
	*ret = (uint32_t)(bytes / r->word);
	return true;
}

static uint32_t
rule_of(const struct reader *r, const struct cie *cie, const struct state *s)
{
	int64_t words = s->kind == CFI_PLT ? s->offset : s->offset / r->word;
	uint32_t fp = CFI_AT_FP, bx;

	if (cie->signal)
		return CFI_RULE(r->word == 8 ? CFI_SIGNAL : CFI_NONE, 0, 0, 0);
	if (s->end)
		return CFI_RULE(CFI_END, 0, 0, 0);
	if (s->kind == CFI_NONE || words > CFI_MAX_OFFSET || words < -CFI_MAX_OFFSET ||
	    (s->kind != CFI_PLT && s->offset % r->word) ||
	    (s->fp != AT_FP && !saved_words(r, s->fp, &fp)) || !saved_words(r, s->bx, &bx))
		return CFI_RULE(CFI_NONE, 0, 0, 0);
	return CFI_RULE(s->kind, fp, bx, (int32_t)words);
}

/* --- programs */

/* The ways in which compilers and linkers compute a CFA; "breg" of the registers followed. */
static void
cfa_expression(const struct reader *r, struct bytes e, struct state *s)
{
	/* place & 15 >= n, as a word: lit15 and litN ge litW shl plus */
	const uint8_t shift = r->word == 8 ? 0x33 : 0x32;
	uint8_t op = (uint8_t)take(&e, 1), n;
	int64_t off = take_sleb(&e);

	s->kind = CFI_NONE;
	if (op == 0x70 + r->fp && e.end - e.at == 1 && *e.at == 0x06) {
		s->kind = CFI_FP_DEREF;
		s->offset = off;
		return;
	}
	if (op != 0x70 + r->sp || off != r->word || e.end - e.at != 9 || e.at[0] != 0x70 + r->ra ||
	    e.at[1] || e.at[2] != 0x3f || e.at[3] != 0x1a || e.at[5] != 0x2a || e.at[6] != shift ||
	    e.at[7] != 0x24 || e.at[8] != 0x22)
		return;
	n = e.at[4];
	if (n >= 0x30 && n <= 0x3f) {
		s->kind = CFI_PLT;
		s->offset = n - 0x30;
	}
}

static void
set_cfa(const struct reader *r, struct state *s, uint64_t reg, int64_t offset)
{
	s->kind = reg == r->sp ? CFI_SP : reg == r->fp ? CFI_FP : reg == r->bx ? CFI_BX : CFI_NONE;
	s->offset = offset;
}

static void
set_saved(const struct reader *r, struct state *s, uint64_t reg, int64_t below)
{
	if (reg == r->fp)
		s->fp = below;
	else if (reg == r->bx)
		s->bx = below;
	else if (reg == r->ra && below != (int64_t)r->word)
		s->kind = CFI_NONE; /* elsewhere than where rules say */
}

/* Saved where an expression says: "where fp points" is known. */
static void
saved_expression(const struct reader *r, struct state *s, uint64_t reg, struct bytes e)
{
	if (reg == r->fp && e.end - e.at == 2 && e.at[0] == 0x70 + r->fp && !e.at[1])
		s->fp = AT_FP;
	else
		set_saved(r, s, reg, LOST);
}

static int64_t
scaled(int64_t v, int64_t by)
{
	int64_t product;

	return __builtin_mul_overflow(v, by, &product) ? LOST : product;
}

/* Operations without an operand in their low bits. */
enum effect {
	NOTHING,
	SAVED,		  /* the register is saved so far below the CFA */
	SAVED_EXPRESSION, /* where an expression says */
	RESTORED,	  /* as the CIE left it */
	SAME,
	UNDEFINED,
	LOSES,		  /* in a way not followed here */
	CFA,
	CFA_REGISTER,
	CFA_OFFSET,
	CFA_EXPRESSION,
};

/* What each takes: 'r' a register, 'u' a number, 'U' and 's' one in data units, 's' signed; 'b' bytes. */
static const struct extended {
	const char *takes; /* NULL: not known */
	enum effect effect;
} extended[] = {
	[0x00] = {"", NOTHING},	       /* nop */
	[0x05] = {"rU", SAVED},	       /* offset_extended */
	[0x06] = {"r", RESTORED},      /* restore_extended */
	[0x07] = {"r", UNDEFINED},
	[0x08] = {"r", SAME},	       /* same_value */
	[0x09] = {"ru", LOSES},	       /* register */
	[0x0c] = {"ru", CFA},	       /* def_cfa ... */
	[0x0d] = {"r", CFA_REGISTER},
	[0x0e] = {"u", CFA_OFFSET},
	[0x0f] = {"b", CFA_EXPRESSION},
	[0x10] = {"rb", SAVED_EXPRESSION},
	[0x11] = {"rs", SAVED},	       /* offset_extended_sf */
	[0x12] = {"rs", CFA},	       /* def_cfa_sf */
	[0x13] = {"s", CFA_OFFSET},    /* def_cfa_offset_sf */
	[0x14] = {"ru", LOSES},	       /* val_offset */
	[0x15] = {"ru", LOSES},	       /* val_offset_sf */
	[0x16] = {"rb", LOSES},	       /* val_expression */
	[0x2e] = {"u", NOTHING},       /* GNU_args_size */
};

static void
have_effect(const struct reader *r, const struct state *first, enum effect effect, uint64_t reg,
	    int64_t value, struct bytes e, struct state *s)
{
	switch (effect) {
	case NOTHING:
		break;
	case SAVED:
		set_saved(r, s, reg, -value);
		break;
	case SAVED_EXPRESSION:
		saved_expression(r, s, reg, e);
		break;
	case RESTORED:
		if (reg == r->fp || reg == r->bx)
			set_saved(r, s, reg, reg == r->fp ? first->fp : first->bx);
		break;
	case SAME:
		set_saved(r, s, reg, 0);
		break;
	case UNDEFINED:
		s->end |= reg == r->ra;
		if (reg != r->ra)
			set_saved(r, s, reg, LOST);
		break;
	case LOSES:
		set_saved(r, s, reg, LOST);
		break;
	case CFA:
		set_cfa(r, s, reg, value);
		break;
	case CFA_REGISTER:
		set_cfa(r, s, reg, s->offset);
		break;
	case CFA_OFFSET:
		s->offset = value;
		break;
	case CFA_EXPRESSION:
		cfa_expression(r, e, s);
		break;
	}
}

/* One operation; false: it is not known. */
static bool
run_extended(const struct reader *r, const struct cie *cie, const struct state *first, uint8_t op,
	     struct bytes *b, struct state *s)
{
	const struct extended *row = op < ARRAY_SIZE(extended) ? &extended[op] : NULL;
	struct bytes e = {0};
	uint64_t reg = 0;
	int64_t value = 0;

	if (!row || !row->takes)
		return false;
	for (const char *t = row->takes; *t; t++) {
		if (*t == 'r')
			reg = take_uleb(b);
		else if (*t == 'b')
			e = take_bytes(b, take_uleb(b));
		else
			value = *t == 's' ? take_sleb(b) : (int64_t)take_uleb(b);
		if (*t == 's' || *t == 'U')
			value = scaled(value, cie->data_align);
	}
	have_effect(r, first, row->effect, reg, value, e, s);
	return true;
}

/* Steps forward in code; 0 if the operation is none of those. */
static bool
step_of(const struct reader *r, const struct cie *cie, uint8_t op, struct bytes *b, uint64_t *pc)
{
	if (op >> 6 == 1)
		*pc += (op & 63) * cie->code_align;
	else if (op >= 0x02 && op <= 0x04)
		*pc += take(b, op == 0x02 ? 1 : op == 0x03 ? 2 : 4) * cie->code_align;
	else if (op == 0x01)
		*pc = take_pointer(r, b, cie->encoding);
	else
		return false;
	return true;
}

/* Runs a CIE's program (no pc), or an FDE's, whose rows are added; `offset` turns pc into a place.
 */
static void
run(struct reader *r, const struct cie *cie, const struct state *first, struct bytes b,
    struct state *s, uint64_t *pc, uint64_t end, uint64_t offset)
{
	struct state stack[MAX_STATES];
	uint64_t none = 0, from;
	size_t depth = 0;

	while (b.at < b.end && !b.bad) {
		uint8_t op = (uint8_t)take(&b, 1);

		from = pc ? *pc : 0;
		if (step_of(r, cie, op, &b, pc ? pc : &none)) {
			if (!pc || *pc == from)
				continue;
			if (*pc < from || *pc >= end)
				return;
			add_row(r, from + offset, rule_of(r, cie, s));
			continue;
		}
		if (op >> 6 == 2) {
			set_saved(r, s, op & 63, -scaled((int64_t)take_uleb(&b), cie->data_align));
		} else if (op >> 6 == 3) {
			if ((op & 63) == r->fp || (op & 63) == r->bx)
				set_saved(r, s, op & 63,
					  (op & 63) == r->fp ? first->fp : first->bx);
		} else if (op == 0x0a) {
			if (depth == MAX_STATES)
				return;
			stack[depth++] = *s;
		} else if (op == 0x0b) {
			if (!depth)
				return;
			*s = stack[--depth];
		} else if (!run_extended(r, cie, first, op, &b, s)) {
			return;
		}
	}
	if (pc)
		add_row(r, *pc + offset, rule_of(r, cie, s));
}

/* --- entries */

static bool
read_cie(const struct reader *r, struct bytes b, uint64_t offset, struct cie *ret)
{
	struct cie c = {.offset = offset};
	uint8_t version = (uint8_t)take(&b, 1);
	const char *aug = (const char *)b.at;
	size_t len = strnlen(aug, (size_t)(b.end - b.at));
	struct bytes more = {0};

	take_bytes(&b, len + 1);
	if (b.bad || (version != 1 && version != 3))
		return false;
	c.code_align = take_uleb(&b);
	c.data_align = take_sleb(&b);
	c.ra = (unsigned)(version == 1 ? take(&b, 1) : take_uleb(&b));
	if (aug[0] == 'z') {
		c.has_length = true;
		more = take_bytes(&b, take_uleb(&b));
		for (size_t i = 1; i < len && !more.bad; i++) {
			if (aug[i] == 'R')
				c.encoding = (uint8_t)take(&more, 1);
			else if (aug[i] == 'L')
				take(&more, 1);
			else if (aug[i] == 'P')
				take_pointer(r, &more, (uint8_t)take(&more, 1) & 15);
			else if (aug[i] == 'S')
				c.signal = true;
			else
				break;
		}
	} else if (len) {
		return false;
	}
	c.program = b;
	if (b.bad || more.bad || c.ra != r->ra || !c.code_align)
		return false;
	*ret = c;
	return true;
}

static const struct segment *
segment_at(const struct reader *r, uint64_t addr)
{
	for (size_t i = 0; i < r->n_segments; i++)
		if (addr - r->segments[i].addr < r->segments[i].size)
			return &r->segments[i];
	return NULL;
}

static void
read_fde(struct reader *r, const struct cie *cie, struct bytes b)
{
	uint64_t pc = take_pointer(r, &b, cie->encoding), end = pc;
	uint64_t len = take_pointer(r, &b, cie->encoding & 15);
	const struct segment *seg = segment_at(r, pc);
	struct state s = {0}, first;

	if (b.bad || !len || !seg || len > seg->size - (pc - seg->addr))
		return; /* of a function that the linker left out, say */
	end += len;
	if (cie->has_length)
		take_bytes(&b, take_uleb(&b));
	run(r, cie, &s, cie->program, &s, NULL, 0, 0);
	first = s;
	run(r, cie, &first, b, &s, &pc, end, seg->offset - seg->addr);
	/* Where no other function begins at its end, nothing is known. */
	add_row(r, end - seg->addr + seg->offset, CFI_RULE(CFI_NONE, 0, 0, 0));
}

/* The CIE `back` bytes before the place where that was read. */
static bool
cie_of(const struct reader *r, uint64_t place, uint64_t back, struct cie *cie)
{
	uint64_t at = place - back, len;
	struct bytes b;

	if (back > place)
		return false;
	if (cie->offset == at)
		return true;
	b = (struct bytes){r->data + at, r->data + r->size, r->addr + at, false};
	len = take(&b, 4);
	if (len > MAX_CIE)
		return false;
	b = take_bytes(&b, len);
	cie->offset = UINT64_MAX;
	return take(&b, 4) == 0 && !b.bad && read_cie(r, b, at, cie);
}

static void
read_entries(struct reader *r)
{
	struct bytes all = {r->data, r->data + r->size, r->addr, false};
	struct cie cie = {.offset = UINT64_MAX};

	while (all.end - all.at >= 8) {
		uint64_t len = take(&all, 4), place, back;
		struct bytes b;

		if (!len) /* a terminator, of one of the files it was linked from */
			continue;
		if (len == UINT32_MAX) /* 64-bit DWARF, which nobody writes here */
			return;
		b = take_bytes(&all, len);
		place = (uint64_t)(b.at - r->data);
		back = take(&b, 4);
		if (back && !b.bad && cie_of(r, place, back, &cie))
			read_fde(r, &cie, b);
	}
}

/* --- the file */

/* By place; a function's first row before the end of the one that stands in front of it. */
static int
by_place(const void *a, const void *b)
{
	const struct cfi_row *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (CFI_KIND(x->rule) == CFI_NONE) - (CFI_KIND(y->rule) == CFI_NONE);
}

static void
sort_rows(struct cfi *c)
{
	size_t n = 0;

	if (!c->n)
		return;
	qsort(c->rows, c->n, sizeof(*c->rows), by_place);
	for (size_t i = 0; i < c->n; i++) {
		if (n &&
		    (c->rows[n - 1].at == c->rows[i].at || c->rows[n - 1].rule == c->rows[i].rule))
			continue;
		c->rows[n++] = c->rows[i];
	}
	c->n = n;
}

static void
read_code_segments(struct reader *r, Elf *elf)
{
	size_t n;
	GElf_Phdr ph;

	if (elf_getphdrnum(elf, &n) != 0 || n > 65536)
		return;
	r->segments = xcalloc(n ? n : 1, sizeof(*r->segments));
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD && ph.p_flags & PF_X)
			r->segments[r->n_segments++] =
				(struct segment){ph.p_vaddr, ph.p_offset, ph.p_filesz};
}

static int
read_elf(Elf *elf, const char *path, struct cfi *cfi, struct error *err)
{
	struct reader r = {.cfi = cfi};
	GElf_Ehdr head;
	GElf_Shdr sh;
	Elf_Scn *scn;
	Elf_Data *data;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &head))
		return error_set(err, ENOEXEC, "%s: not an ELF file", path);
	if (head.e_machine == EM_X86_64)
		r = (struct reader){.cfi = cfi, .word = 8, .sp = 7, .fp = 6, .bx = 3, .ra = 16};
	else if (head.e_machine == EM_386)
		r = (struct reader){.cfi = cfi, .word = 4, .sp = 4, .fp = 5, .bx = 3, .ra = 8};
	else
		return error_set(err, ENOTSUP, "%s: not a program for this machine", path);
	cfi->is_32bit = r.word == 4;
	scn = elf_section_named(elf, ".eh_frame", &sh);
	data = scn && sh.sh_size <= MAX_SECTION ? elf_section_data(scn) : NULL;
	if (!data || !data->d_buf)
		return 0;
	r.data = data->d_buf;
	r.size = data->d_size;
	r.addr = sh.sh_addr;
	read_code_segments(&r, elf);
	read_entries(&r);
	free(r.segments);
	sort_rows(cfi);
	return 0;
}

int
cfi_read(int fd, const char *path, struct cfi *ret, struct error *err)
{
	cleanup_cfi struct cfi cfi = {0};
	Elf *elf;
	int r;

	if (elf_version(EV_CURRENT) == EV_NONE)
		abort();
	elf = elf_begin(fd, ELF_C_READ, NULL);
	r = read_elf(elf, path, &cfi, err);
	elf_end(elf);
	if (r < 0)
		return r;
	*ret = cfi;
	cfi = (struct cfi){0};
	return 0;
}

void
cfi_done(struct cfi *c)
{
	free(c->rows);
	*c = (struct cfi){0};
}

uint32_t
cfi_at(const struct cfi *c, uint64_t offset)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->rows[mid].at <= offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? c->rows[lo - 1].rule : CFI_RULE(CFI_NONE, 0, 0, 0);
}
