/* Where the arguments of a USDT site are: the operands of its note. */
#ifndef DTRACE_USDT_ARG_H
#define DTRACE_USDT_ARG_H

#include <stdbool.h>
#include <stdint.h>

struct usdt_arg {
	enum { USDT_CONST, USDT_REG, USDT_MEMORY } where;
	unsigned size; /* 1, 2, 4, 8 */
	bool is_signed;
	int reg, index;	    /* offsets in struct pt_regs; -1: none */
	unsigned shift;	    /* bits: %ah is at 8 of rax */
	unsigned scale;	    /* of index */
	int64_t value;	    /* constant or displacement */
	char symbol[128];   /* "x" of "x+4(%rip)"; "" if none */
};

/* The i-th of "8@%rax -4@$5 4@-8(%rbp,%rcx,4)".  1, 0: there are not so many, -EINVAL: not known. */
int usdt_arg_parse(const char *args, unsigned i, struct usdt_arg *ret);
unsigned usdt_arg_count(const char *args);

#endif
