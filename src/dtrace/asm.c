/* The assembler. */
#include "dtrace/asm.h"

#include <stdlib.h>

void
asm_done(struct asmb *a)
{
	free(a->insns);
	free(a->labels);
	free(a->jumps);
	*a = (struct asmb){0};
}

int
asm_label(struct asmb *a)
{
	a->labels = xreallocarray(a->labels, a->n_labels + 1, sizeof(*a->labels));
	a->labels[a->n_labels] = -1;
	return (int)a->n_labels++;
}

void
asm_here(struct asmb *a, int label)
{
	a->labels[label] = (int)a->n;
}

bool
asm_names(const struct asmb *a, int reg)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->insns[i].dst_reg == reg || a->insns[i].src_reg == reg)
			return true;
		i += a->insns[i].code == (BPF_LD | BPF_DW | BPF_IMM); /* takes two places */
	}
	return false;
}

int
asm_finish(struct asmb *a, struct error *err)
{
	for (size_t i = 0; i < a->n_jumps; i++) {
		long distance = a->labels[a->jumps[i].label] - (long)a->jumps[i].insn - 1;
		struct bpf_insn *insn = &a->insns[a->jumps[i].insn];

		if (insn->code == (BPF_JMP32 | BPF_JA) || insn->code == (BPF_JMP | BPF_CALL)) {
			insn->imm = (int32_t)distance;
			continue;
		}
		if (distance > INT16_MAX || distance < INT16_MIN)
			return error_set_path(err, E2BIG, "D_UNKNOWN",
					      "a clause is too long to be compiled");
		insn->off = (int16_t)distance;
	}
	return 0;
}

void
asm_emit(struct asmb *a, unsigned code, int dst, int src, int off, int32_t imm)
{
	if (a->n == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 256;
		a->insns = xreallocarray(a->insns, a->cap, sizeof(*a->insns));
	}
	a->insns[a->n++] = (struct bpf_insn){.code = (uint8_t)code,
					     .dst_reg = (uint8_t)(dst & 15),
					     .src_reg = (uint8_t)(src & 15),
					     .off = (int16_t)off,
					     .imm = imm};
}

void
asm_mov(struct asmb *a, int dst, int src)
{
	if (dst != src)
		asm_emit(a, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void
imm64(struct asmb *a, int dst, int src, uint64_t value)
{
	asm_emit(a, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, (int32_t)(uint32_t)value);
	asm_emit(a, 0, 0, 0, 0, (int32_t)(uint32_t)(value >> 32));
}

void
asm_imm(struct asmb *a, int dst, int64_t value)
{
	if (value >= INT32_MIN && value <= INT32_MAX)
		asm_emit(a, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)value);
	else
		imm64(a, dst, 0, (uint64_t)value);
}

void
asm_alu(struct asmb *a, unsigned op, int dst, int src)
{
	asm_emit(a, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

void
asm_alui(struct asmb *a, unsigned op, int dst, int32_t imm)
{
	asm_emit(a, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

static unsigned
width(unsigned size)
{
	return size == 1 ? BPF_B : size == 2 ? BPF_H : size == 4 ? BPF_W : BPF_DW;
}

void
asm_load(struct asmb *a, unsigned size, int dst, int src, int off)
{
	asm_emit(a, BPF_LDX | BPF_MEM | width(size), dst, src, off, 0);
}

void
asm_store(struct asmb *a, unsigned size, int dst, int off, int src)
{
	asm_emit(a, BPF_STX | BPF_MEM | width(size), dst, src, off, 0);
}

void
asm_storei(struct asmb *a, unsigned size, int dst, int off, int32_t imm)
{
	asm_emit(a, BPF_ST | BPF_MEM | width(size), dst, 0, off, imm);
}

static void
jump(struct asmb *a, int label)
{
	a->jumps = xreallocarray(a->jumps, a->n_jumps + 1, sizeof(*a->jumps));
	a->jumps[a->n_jumps].insn = a->n;
	a->jumps[a->n_jumps++].label = label;
}

void
asm_jmp(struct asmb *a, int label)
{
	jump(a, label);
	asm_emit(a, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void
asm_jcc(struct asmb *a, unsigned op, int dst, int src, int label)
{
	jump(a, label);
	asm_emit(a, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

void
asm_jcci(struct asmb *a, unsigned op, int dst, int32_t imm, int label)
{
	jump(a, label);
	asm_emit(a, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
}

void
asm_call(struct asmb *a, int helper)
{
	asm_emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

void
asm_call_local(struct asmb *a, int label)
{
	jump(a, label);
	asm_emit(a, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
}

void
asm_exit(struct asmb *a)
{
	asm_emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void
asm_map(struct asmb *a, int dst, int fd)
{
	imm64(a, dst, BPF_PSEUDO_MAP_FD, (uint32_t)fd);
}

void
asm_map_value(struct asmb *a, int dst, int fd, uint32_t off)
{
	imm64(a, dst, BPF_PSEUDO_MAP_VALUE, (uint64_t)off << 32 | (uint32_t)fd);
}

void
asm_extend(struct asmb *a, int reg, unsigned bytes, bool is_signed)
{
	if (bytes >= 8)
		return;
	if (is_signed)
		asm_emit(a, BPF_ALU64 | BPF_MOV | BPF_X, reg, reg, 8 * (int)bytes, 0);
	else if (bytes == 4)
		asm_emit(a, BPF_ALU | BPF_MOV | BPF_X, reg, reg, 0, 0);
	else
		asm_alui(a, BPF_AND, reg, (1 << 8 * bytes) - 1);
}
