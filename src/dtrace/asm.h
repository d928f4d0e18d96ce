/*
 * BPF instructions, written down one by one (Documentation/bpf/standardization/
 * instruction-set.rst).  Jumps go to labels; asm_finish() puts the distances in.
 */
#ifndef DTRACE_ASM_H
#define DTRACE_ASM_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

struct asmb {
	struct bpf_insn *insns;
	size_t n, cap;
	int *labels; /* instruction number, or -1 */
	size_t n_labels;
	struct {
		size_t insn;
		int label;
	} *jumps;
	size_t n_jumps;
};

void asm_done(struct asmb *a);
int asm_label(struct asmb *a);		  /* a new one */
void asm_here(struct asmb *a, int label); /* it stands here */
bool asm_names(const struct asmb *a, int reg);	/* does any instruction read or write it? */
int asm_finish(struct asmb *a, struct error *err);
/*
 * tidy.c: takes out what has no effect, of a program that stands there to its end.  unused: two
 * places on the stack that are written and never read, or 0.
 */
void asm_tidy(struct asmb *a, const int unused[2]);

void asm_emit(struct asmb *a, unsigned code, int dst, int src, int off, int32_t imm);
void asm_mov(struct asmb *a, int dst, int src);
void asm_imm(struct asmb *a, int dst, int64_t value);
void asm_alu(struct asmb *a, unsigned op, int dst, int src);	   /* BPF_ADD ... */
void asm_alui(struct asmb *a, unsigned op, int dst, int32_t imm);
/* size: 1, 2, 4, 8 */
void asm_load(struct asmb *a, unsigned size, int dst, int src, int off);
void asm_store(struct asmb *a, unsigned size, int dst, int off, int src);
void asm_storei(struct asmb *a, unsigned size, int dst, int off, int32_t imm);
void asm_jmp(struct asmb *a, int label);
void asm_jcc(struct asmb *a, unsigned op, int dst, int src, int label); /* BPF_JEQ ... */
void asm_jcci(struct asmb *a, unsigned op, int dst, int32_t imm, int label);
void asm_call(struct asmb *a, int helper);
void asm_call_local(struct asmb *a, int label); /* a function of the program */
void asm_exit(struct asmb *a);
void asm_map(struct asmb *a, int dst, int fd);
/* Address of byte off of the first entry of an array. */
void asm_map_value(struct asmb *a, int dst, int fd, uint32_t off);
/* Cuts a register to `bytes` and extends it again. */
void asm_extend(struct asmb *a, int reg, unsigned bytes, bool is_signed);

#endif
