/* Operands of SDT notes, as compilers write them, and as nobody should. */
#include "dtrace/usdt_arg.h"

#include <errno.h>

#include "base/str.h"
#include "base/test.h"

/* Offsets in struct pt_regs. */
enum { R12 = 24, RBP = 32, R10 = 56, RAX = 80, RCX = 88, RIP = 128 };

TEST(operands_are_understood)
{
	static const struct {
		const char *text;
		struct usdt_arg want;
	} rows[] = {
		{"8@%rax", {USDT_REG, 8, false, RAX, -1, 0, 0, 0, ""}},
		{"-4@%eax", {USDT_REG, 4, true, RAX, -1, 0, 0, 0, ""}},
		{"1@%ah", {USDT_REG, 1, false, RAX, -1, 8, 0, 0, ""}},
		{"2@%r10w", {USDT_REG, 2, false, R10, -1, 0, 0, 0, ""}},
		{"-4@$-5", {USDT_CONST, 4, true, -1, -1, 0, 0, -5, ""}},
		{"8@$0x10", {USDT_CONST, 8, false, -1, -1, 0, 0, 16, ""}},
		{"8@-8(%rbp)", {USDT_MEMORY, 8, false, RBP, -1, 0, 0, -8, ""}},
		{"8@(%r12)", {USDT_MEMORY, 8, false, R12, -1, 0, 0, 0, ""}},
		{"-4@16(%rax,%rcx,4)", {USDT_MEMORY, 4, true, RAX, RCX, 0, 4, 16, ""}},
		{"8@(%rax,%rcx)", {USDT_MEMORY, 8, false, RAX, RCX, 0, 1, 0, ""}},
		{"8@counter(%rip)", {USDT_MEMORY, 8, false, RIP, -1, 0, 0, 0, "counter"}},
		{"8@counter+16(%rip)", {USDT_MEMORY, 8, false, RIP, -1, 0, 0, 16, "counter"}},
		{"%rcx", {USDT_REG, 8, false, RCX, -1, 0, 0, 0, ""}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct usdt_arg got, want = rows[i].want;

		if (usdt_arg_parse(rows[i].text, 0, &got) != 1 || got.where != want.where ||
		    got.size != want.size || got.is_signed != want.is_signed ||
		    got.reg != want.reg || got.index != want.index || got.shift != want.shift ||
		    got.scale != want.scale || got.value != want.value ||
		    !str_eq(got.symbol, want.symbol))
			test_fail(__FILE__, __LINE__, "%s", rows[i].text);
	}
}

TEST(what_is_no_operand_is_refused)
{
	static const char *const rows[] = {"8@",	 "8@%",	      "8@%xyz",	      "3@%rax",
					   "8f@%xmm0",	 "8@%xmm0",   "8@$",	      "8@$1x",
					   "8@-8(%rbp", "8@x(%rax)", "8@(%rax,%rcx,3)", "8@%fs:16",
					   "8@4096",	 "@@",	      "-@%rax",	      "8@(%rbp)x"};
	struct usdt_arg got;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (usdt_arg_parse(rows[i], 0, &got) != -EINVAL)
			test_fail(__FILE__, __LINE__, "%s", rows[i]);
}

TEST(arguments_are_counted)
{
	struct usdt_arg got;

	check_int(usdt_arg_count(""), ==, 0);
	check_int(usdt_arg_count("8@%rax -4@$5 1@%al"), ==, 3);
	check_int(usdt_arg_parse("8@%rax -4@$5", 1, &got), ==, 1);
	check_int(got.value, ==, 5);
	check_int(usdt_arg_parse("8@%rax -4@$5", 2, &got), ==, 0);
}
