/*
 * Operands as GCC and clang write them in AT&T syntax.  Follows: SystemTap's
 * UserSpaceProbeImplementation (note format 3), GNU as (x86 operands).
 */
#include "dtrace/usdt_arg.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/user.h>

#include "base/str.h"

#define REG(r) ((int)offsetof(struct user_regs_struct, r))

/* Names of a register by width; "" if it has none. */
static const struct {
	const char *names[5]; /* 64, 32, 16, 8 bits, and bits 8 to 15 */
	int offset;
} regs[] = {
	{{"rax", "eax", "ax", "al", "ah"}, REG(rax)}, {{"rbx", "ebx", "bx", "bl", "bh"}, REG(rbx)},
	{{"rcx", "ecx", "cx", "cl", "ch"}, REG(rcx)}, {{"rdx", "edx", "dx", "dl", "dh"}, REG(rdx)},
	{{"rsi", "esi", "si", "sil", ""}, REG(rsi)},  {{"rdi", "edi", "di", "dil", ""}, REG(rdi)},
	{{"rbp", "ebp", "bp", "bpl", ""}, REG(rbp)},  {{"rsp", "esp", "sp", "spl", ""}, REG(rsp)},
	{{"r8", "r8d", "r8w", "r8b", ""}, REG(r8)},   {{"r9", "r9d", "r9w", "r9b", ""}, REG(r9)},
	{{"r10", "r10d", "r10w", "r10b", ""}, REG(r10)}, {{"r11", "r11d", "r11w", "r11b", ""}, REG(r11)},
	{{"r12", "r12d", "r12w", "r12b", ""}, REG(r12)}, {{"r13", "r13d", "r13w", "r13b", ""}, REG(r13)},
	{{"r14", "r14d", "r14w", "r14b", ""}, REG(r14)}, {{"r15", "r15d", "r15w", "r15b", ""}, REG(r15)},
	{{"rip", "eip", "", "", ""}, REG(rip)},
};

/* "%rax": moves behind it. */
static int
take_reg(const char **at, int *ret, unsigned *ret_shift)
{
	const char *p = *at;
	size_t len;

	if (*p++ != '%')
		return -EINVAL;
	len = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789");
	for (size_t i = 0; len && i < ARRAY_SIZE(regs); i++) {
		for (size_t w = 0; w < 5; w++) {
			if (strlen(regs[i].names[w]) != len || strncmp(regs[i].names[w], p, len) != 0)
				continue;
			*ret = regs[i].offset;
			*ret_shift = w == 4 ? 8 : 0;
			*at = p + len;
			return 0;
		}
	}
	return -EINVAL;
}

/* "-8", "sym", "sym+4": what stands before the parenthesis. */
static int
take_displacement(const char **at, struct usdt_arg *a)
{
	const char *p = *at;
	size_t len = strcspn(p, "(+-");
	char *end;

	if ((*p >= '0' && *p <= '9') || *p == '-' || *p == '+')
		len = 0;
	if (len >= sizeof(a->symbol))
		return -EINVAL;
	memcpy(a->symbol, p, len);
	a->symbol[len] = '\0';
	p += len;
	if (*p && *p != '(') {
		a->value = strtoll(p, &end, 0);
		if (end == p)
			return -EINVAL;
		p = end;
	}
	*at = p;
	return 0;
}

static int
take_memory(const char *p, struct usdt_arg *a)
{
	unsigned shift;
	char *end;
	int r = take_displacement(&p, a);

	if (r < 0)
		return r;
	if (*p++ != '(')
		return -EINVAL; /* an absolute address, a segment: nobody writes them */
	if (*p == '%' && (r = take_reg(&p, &a->reg, &shift)) < 0)
		return r;
	if (*p == ',') {
		p++;
		if ((r = take_reg(&p, &a->index, &shift)) < 0)
			return r;
		a->scale = 1;
		if (*p == ',') {
			a->scale = (unsigned)strtoul(p + 1, &end, 10);
			if (a->scale != 1 && a->scale != 2 && a->scale != 4 && a->scale != 8)
				return -EINVAL;
			p = end;
		}
	}
	/* A symbol is known by its distance from the instruction only. */
	if (*a->symbol && a->reg != REG(rip))
		return -EINVAL;
	return *p == ')' && !p[1] ? 0 : -EINVAL;
}

/* One operand; a size that is not given is the register's, 8. */
static int
parse_one(const char *text, struct usdt_arg *a)
{
	const char *at = strchr(text, '@');
	long size = 8;
	char *end;

	*a = (struct usdt_arg){.reg = -1, .index = -1};
	if (at) {
		size = strtol(text, &end, 10);
		if (end != at)
			return -EINVAL; /* "8f@": floating point */
		text = at + 1;
	}
	a->is_signed = size < 0;
	a->size = (unsigned)(size < 0 ? -size : size);
	if (a->size != 1 && a->size != 2 && a->size != 4 && a->size != 8)
		return -EINVAL;
	if (*text == '$') {
		a->where = USDT_CONST;
		a->value = strtoll(text + 1, &end, 0);
		return end == text + 1 || *end ? -EINVAL : 0;
	}
	if (*text == '%') {
		a->where = USDT_REG;
		return take_reg(&text, &a->reg, &a->shift) < 0 || *text ? -EINVAL : 0;
	}
	a->where = USDT_MEMORY;
	return take_memory(text, a);
}

int
usdt_arg_parse(const char *args, unsigned i, struct usdt_arg *ret)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct usdt_arg a;
	int r;

	strv_words(&words, args, " ");
	if (i >= words.n)
		return 0;
	if ((r = parse_one(words.v[i], &a)) < 0)
		return r;
	*ret = a;
	return 1;
}

unsigned
usdt_arg_count(const char *args)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, args, " ");
	return (unsigned)words.n;
}
