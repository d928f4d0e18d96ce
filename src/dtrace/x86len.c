/*
 * Lengths of instructions: prefixes, opcode, ModRM with what it brings,
 * immediate.  A probe at an offset must not tear an instruction apart.
 *
 * Follows: Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3 (XOP).
 */
#include "dtrace/x86len.h"

#include <stdint.h>
#include <string.h>

/* What follows an opcode. */
enum {
	M = 1,	   /* ModRM */
	I8 = 2,	   /* immediates: 8 bits, 16, 32 (16 with 66), up to 64 */
	I16 = 4,
	IZ = 8,
	IV = 16,
	ADDR = 32, /* an address */
	FAR = 64,  /* 16 bits more than IZ */
	GROUP3 = 128, /* ModRM; an immediate if its reg is 0 or 1 */
};

/* Rows of the opcode map: from, to, what. */
struct row {
	uint8_t from, to, what;
};

static const struct row one_byte[] = {
	{0x62, 0x63, M},       {0x68, 0x68, IZ},      {0x69, 0x69, M | IZ},   {0x6a, 0x6a, I8},
	{0x6b, 0x6b, M | I8},  {0x70, 0x7f, I8},      {0x80, 0x80, M | I8},   {0x81, 0x81, M | IZ},
	{0x82, 0x83, M | I8},  {0x84, 0x8f, M},	      {0x9a, 0x9a, FAR | IZ}, {0xa0, 0xa3, ADDR},
	{0xa8, 0xa8, I8},      {0xa9, 0xa9, IZ},      {0xb0, 0xb7, I8},	      {0xb8, 0xbf, IV},
	{0xc0, 0xc1, M | I8},  {0xc2, 0xc2, I16},     {0xc4, 0xc5, M},	      {0xc6, 0xc6, M | I8},
	{0xc7, 0xc7, M | IZ},  {0xc8, 0xc8, I16 | I8}, {0xca, 0xca, I16},     {0xcd, 0xcd, I8},
	{0xd0, 0xd3, M},       {0xd4, 0xd5, I8},      {0xd8, 0xdf, M},	      {0xe0, 0xe7, I8},
	{0xe8, 0xe9, IZ},      {0xea, 0xea, FAR | IZ}, {0xeb, 0xeb, I8},      {0xf6, 0xf6, GROUP3 | I8},
	{0xf7, 0xf7, GROUP3 | IZ}, {0xfe, 0xff, M},
};

/* Behind 0f: those that have no ModRM, or an immediate; all others have a ModRM. */
static const struct row two_byte[] = {
	{0x05, 0x09, 0},      {0x0b, 0x0b, 0},	    {0x0e, 0x0e, 0},	  {0x0f, 0x0f, M | I8},
	{0x30, 0x37, 0},      {0x70, 0x73, M | I8}, {0x77, 0x77, 0},	  {0x80, 0x8f, IZ},
	{0xa0, 0xa2, 0},      {0xa4, 0xa4, M | I8}, {0xa8, 0xaa, 0},	  {0xac, 0xac, M | I8},
	{0xba, 0xba, M | I8}, {0xc2, 0xc2, M | I8}, {0xc4, 0xc6, M | I8}, {0xc8, 0xcf, 0},
};

struct insn {
	const unsigned char *code;
	size_t size, at;
	bool narrow, data16, addr_other, wide, vex;
};

static int
look_up(const struct row *rows, size_t n, unsigned op, int otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (op >= rows[i].from && op <= rows[i].to)
			return rows[i].what;
	return otherwise;
}

static int
what_one_byte(unsigned op)
{
	/* The eight arithmetic operations have one shape. */
	if (op < 0x40)
		return (op & 7) < 4 ? M : (op & 7) == 4 ? I8 : (op & 7) == 5 ? IZ : 0;
	return look_up(one_byte, sizeof(one_byte) / sizeof(one_byte[0]), op, 0);
}

/* map: 1 is 0f, 2 is 0f38, 3 is 0f3a; 5 and 6 are EVEX's; 8 to 10 XOP's. */
static int
what_in_map(unsigned map, unsigned op, bool vex)
{
	switch (map) {
	case 1:
		if (vex && op != 0x77 && !((op >= 0x70 && op <= 0x73) || op == 0xc2 ||
					   (op >= 0xc4 && op <= 0xc6)))
			return M;
		return look_up(two_byte, sizeof(two_byte) / sizeof(two_byte[0]), op, M);
	case 2:
	case 5:
	case 6:
	case 9:
		return M;
	case 3:
	case 8:
		return M | I8;
	case 10:
		return M | IZ;
	default:
		return -1;
	}
}

/* Prefixes; leaves at at the opcode.  A REX counts only right before it. */
static void
take_prefixes(struct insn *x)
{
	for (; x->at < x->size; x->at++) {
		unsigned c = x->code[x->at];

		if (c == 0x66)
			x->data16 = true;
		else if (c == 0x67)
			x->addr_other = true;
		else if (!memchr("\xf2\xf3\xf0\x2e\x36\x3e\x26\x64\x65", (int)c, 9))
			break;
	}
	if (!x->narrow && x->at < x->size && (x->code[x->at] & 0xf0) == 0x40)
		x->wide = x->code[x->at++] & 8;
}

/* The opcode and what follows it; -1 if there is none. */
static int
take_opcode(struct insn *x)
{
	const unsigned char *c = x->code + x->at;
	size_t left = x->size - x->at;
	unsigned map;

	if (left < 1)
		return -1;
	/* In 32-bit code these are VEX and EVEX only where the old instruction could not be. */
	if (left > (c[0] == 0xc5 ? 2 : 3) && (c[0] == 0xc5 || c[0] == 0xc4 || c[0] == 0x62) &&
	    (!x->narrow || (c[1] & 0xc0) == 0xc0)) {
		map = c[0] == 0xc5 ? 1 : c[1] & (c[0] == 0x62 ? 7u : 31u);
		x->at += c[0] == 0xc5 ? 2 : c[0] == 0xc4 ? 3 : 4;
		x->vex = true;
	} else if (left > 3 && c[0] == 0x8f && (c[1] & 0x1f) >= 8) {
		map = c[1] & 0x1f;
		x->at += 3;
		x->data16 = false;
	} else if (c[0] == 0x0f) {
		map = left > 1 && c[1] == 0x38 ? 2 : left > 1 && c[1] == 0x3a ? 3 : 1;
		x->at += map == 1 ? 1 : 2;
	} else {
		x->at++;
		return what_one_byte(c[0]);
	}
	return x->at < x->size ? what_in_map(map, x->code[x->at++], x->vex) : -1;
}

/* ModRM, SIB and displacement: bytes. */
static size_t
modrm_size(const struct insn *x)
{
	unsigned c = x->code[x->at], mod = c >> 6, rm = c & 7;
	bool sib = rm == 4;

	if (mod == 3)
		return 1;
	if (x->narrow && x->addr_other)
		return mod == 1 ? 2 : mod == 2 || rm == 6 ? 3 : 1;
	if (mod == 0 && sib && x->at + 1 < x->size && (x->code[x->at + 1] & 7) == 5)
		return 6;
	return 1u + sib + (mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0);
}

size_t
x86_length(const unsigned char *code, size_t size, bool narrow)
{
	struct insn x = {.code = code, .size = size < 15 ? size : 15, .narrow = narrow};
	size_t z;
	int what;

	take_prefixes(&x);
	what = take_opcode(&x);
	if (what < 0)
		return 0;
	z = x.data16 && !x.wide ? 2 : 4;
	/* Near branches ignore 66 in 64-bit code. */
	if (!narrow && x.at > 0 && (x.code[x.at - 1] & 0xfe) == 0xe8 && what == IZ)
		z = 4;
	if (what & (M | GROUP3)) {
		if (x.at >= x.size)
			return 0;
		if ((what & GROUP3) && (x.code[x.at] >> 3 & 7) > 1)
			what = M;
		x.at += modrm_size(&x);
	}
	x.at += (what & I8 ? 1 : 0) + (what & I16 ? 2 : 0) + (what & IZ ? z : 0) +
		(what & IV ? x.wide ? 8 : z : 0) + (what & FAR ? 2 : 0);
	if (what & ADDR)
		x.at += narrow ? (x.addr_other ? 2 : 4) : (x.addr_other ? 4 : 8);
	return x.at <= x.size ? x.at : 0;
}
