/*
 * A program with probes as an older `dtrace -G` left them: nops where calls were, and DOF that
 * says where.  It was written by hand: provider "olden", probes step(int, char *, and five more),
 * swapped(int, char *) : (char *, int), and asked, which is guarded.
 */
#include <stdio.h>

__attribute__((noipa)) int olden_step(int number, const char *text);
int olden_swapped(int number, const char *text);
int olden_asked(void);

/* In each the site is a known number of bytes behind the beginning. */
__asm__(".text\n"
	".globl olden_step\n.type olden_step, @function\n"
	"olden_step:\n"
	"	pushq %rbx\n	movq %rsi, %rbx\n	subq $16, %rsp\n" /* 1 + 3 + 4 */
	"	movl $3, %edx\n	movl $4, %ecx\n	movl $5, %r8d\n	movl $6, %r9d\n" /* 5 + 5 + 6 + 6 */
	"	movq $7, (%rsp)\n"						 /* 8 */
	"	nop\n	nop\n	nop\n	nop\n	nop\n" /* at 38 */
	"	addq $16, %rsp\n	popq %rbx\n	movl %edi, %eax\n	ret\n"
	".size olden_step, . - olden_step\n"
	".globl olden_swapped\n.type olden_swapped, @function\n"
	"olden_swapped:\n"
	"	nop\n	nop\n	nop\n	nop\n	nop\n" /* at 0 */
	"	nop\n	nop\n	nop\n	nop\n	nop\n" /* at 5 */
	"	xorl %eax, %eax\n	ret\n"
	".size olden_swapped, . - olden_swapped\n"
	".globl olden_asked\n.type olden_asked, @function\n"
	"olden_asked:\n"
	"	xorl %eax, %eax\n	nop\n	nop\n	nop\n" /* asks at 0 */
	"	testl %eax, %eax\n	je 1f\n"		/* 5 + 2 + 2 */
	"	nop\n	nop\n	nop\n	nop\n	nop\n"	/* at 9 */
	"1:	ret\n"
	".size olden_asked, . - olden_asked\n"
	/* sections: 0 strings, 1 probes, 2 arguments, 3 sites, 4 asking sites, 5 the provider */
	".section .SUNW_dof,\"aw\",@progbits\n.balign 8\n"
	"0:	.byte 0x7f, 0x44, 0x4f, 0x46, 2, 1, 2, 2, 8, 8, 0, 0, 0, 0, 0, 0\n"
	"	.long 0, 64, 32, 6\n	.quad 64, 9f - 0b, 9f - 0b, 0\n"
	"	.long 8, 1, 1, 0\n	.quad 1f - 0b, 2f - 1f\n"
	"	.long 16, 8, 1, 48\n	.quad 2f - 0b, 3f - 2f\n"
	"	.long 17, 1, 1, 1\n	.quad 3f - 0b, 4f - 3f\n"
	"	.long 18, 4, 1, 4\n	.quad 4f - 0b, 5f - 4f\n"
	"	.long 26, 4, 1, 4\n	.quad 5f - 0b, 6f - 5f\n"
	"	.long 15, 4, 1, 0\n	.quad 6f - 0b, 7f - 6f\n"
	"1:	.byte 0\n"
	"10:	.asciz \"olden\"\n11:	.asciz \"step\"\n12:	.asciz \"swapped\"\n13:	.asciz \"is-asked\"\n"
	"14:	.asciz \"int\", \"char *\", \"int\", \"int\", \"int\", \"int\", \"int\"\n"
	"15:	.asciz \"char *\", \"int\"\n"
	"16:	.asciz \"olden_step\"\n"
	"	.balign 8\n"
	"2:	.quad olden_step\n	.long 16b - 1b, 11b - 1b, 14b - 1b, 14b - 1b, 0, 0\n"
	"	.byte 7, 7\n	.short 1\n	.long 0\n	.short 0, 0\n	.long 0\n"
	"	.quad olden_swapped\n	.long 16b - 1b, 12b - 1b, 14b - 1b, 15b - 1b, 7, 1\n"
	"	.byte 2, 2\n	.short 2\n	.long 0\n	.short 0, 0\n	.long 0\n"
	"	.quad olden_asked\n	.long 16b - 1b, 13b - 1b, 0, 0, 0, 3\n"
	"	.byte 0, 0\n	.short 1\n	.long 0\n	.short 1, 0\n	.long 0\n"
	"3:	.byte 0, 1, 2, 3, 4, 5, 6, 1, 0\n	.balign 4\n"
	"4:	.long 38, 0, 5, 9\n"
	"5:	.long 0\n"
	"6:	.long 0, 1, 2, 3, 10b - 1b, 0, 0, 0, 0, 0, 4\n"
	"7:	.balign 8\n"
	"9:\n"
	".previous\n");

int
main(int argc, char **argv)
{
	for (int i = 0; i < 3; i++) {
		olden_step(i, argv[0]);
		olden_swapped(10 * i, argv[0]);
		olden_asked();
	}
	puts("done");
	return argc - 1;
}
