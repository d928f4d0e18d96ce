/*
 * What the generator writes too much: registers that are set and never read, copies of registers
 * that would do themselves, what is kept on the stack for nobody.  A program that counts calls
 * has some twenty instructions; every one that is left out is seen in its cost.
 *
 * A register is alive before an instruction if some way from there reads it before writing it.
 * That is found backwards, each instruction's from its successors'.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "dtrace/asm.h"

#define BIT(reg) (1u << (reg))
#define ARGUMENTS (BIT(R1) | BIT(R2) | BIT(R3) | BIT(R4) | BIT(R5))

struct effect {
	unsigned reads, writes;
	bool pure; /* it does nothing but write registers */
};

static struct effect
alu_effect(const struct bpf_insn *i)
{
	unsigned op = BPF_OP(i->code);
	struct effect e = {.writes = BIT(i->dst_reg), .pure = true};

	if (op != BPF_MOV)
		e.reads |= BIT(i->dst_reg);
	if ((i->code & BPF_X) && op != BPF_END && op != BPF_NEG)
		e.reads |= BIT(i->src_reg);
	return e;
}

static struct effect
jump_effect(const struct bpf_insn *i)
{
	switch (BPF_OP(i->code)) {
	case BPF_CALL:
		return (struct effect){ARGUMENTS, ARGUMENTS | BIT(R0), false};
	case BPF_EXIT:
		return (struct effect){.reads = BIT(R0)};
	case BPF_JA:
		return (struct effect){0};
	default:
		return (struct effect){.reads = BIT(i->dst_reg) | (i->code & BPF_X ? BIT(i->src_reg) : 0)};
	}
}

static struct effect
effect_of(const struct bpf_insn *i)
{
	bool atomic = BPF_MODE(i->code) == BPF_ATOMIC;

	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		return (struct effect){.writes = BIT(i->dst_reg), .pure = true};
	case BPF_LDX:
		return (struct effect){BIT(i->src_reg), BIT(i->dst_reg), true};
	case BPF_ST:
		return (struct effect){.reads = BIT(i->dst_reg)};
	case BPF_STX: /* atomic ones may give back what was there */
		return (struct effect){BIT(i->dst_reg) | BIT(i->src_reg) | (atomic ? BIT(R0) : 0), 0, false};
	case BPF_ALU:
	case BPF_ALU64:
		return alu_effect(i);
	default:
		return jump_effect(i);
	}
}

static size_t
length(const struct bpf_insn *i)
{
	return i->code == (BPF_LD | BPF_DW | BPF_IMM) ? 2 : 1;
}

/* Where each instruction jumps to, or -1; and where some jump leads. */
struct ways {
	long *to;
	bool *entered;
};

static struct ways
ways_of(const struct asmb *a)
{
	struct ways f = {xcalloc(a->n + 1, sizeof(*f.to)), xcalloc(a->n + 1, sizeof(*f.entered))};

	for (size_t i = 0; i <= a->n; i++)
		f.to[i] = -1;
	for (size_t i = 0; i < a->n_jumps; i++) {
		int at = a->labels[a->jumps[i].label];

		if (at < 0) /* of a function that follows later */
			continue;
		f.to[a->jumps[i].insn] = at;
		f.entered[at] = true;
	}
	return f;
}

static void
ways_done(struct ways *f)
{
	free(f->to);
	free(f->entered);
}

/* Reads of `from` become reads of `to`, where an instruction leaves the choice. */
static void
rename_reads(struct bpf_insn *i, unsigned from, unsigned to)
{
	unsigned class = BPF_CLASS(i->code), op = BPF_OP(i->code);
	bool jump = (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT && op != BPF_JA;
	bool x = class == BPF_LDX || class == BPF_STX || ((i->code & BPF_X) && jump) ||
		 ((class == BPF_ALU || class == BPF_ALU64) && (i->code & BPF_X) && op != BPF_END);

	if (class == BPF_STX && BPF_MODE(i->code) == BPF_ATOMIC)
		return;
	if (x && i->src_reg == from)
		i->src_reg = (uint8_t)(to & 15);
	if ((class == BPF_ST || class == BPF_STX || jump) && i->dst_reg == from)
		i->dst_reg = (uint8_t)(to & 15);
}

/* Behind "dst = src", up to where ways meet, src is read in dst's place. */
static void
spread_copies(struct asmb *a, const struct ways *f)
{
	for (size_t i = 0; i < a->n; i += length(&a->insns[i])) {
		const struct bpf_insn *copy = &a->insns[i];

		if (copy->code != (BPF_ALU64 | BPF_MOV | BPF_X) || copy->off)
			continue;
		for (size_t k = i + 1; k < a->n && !f->entered[k]; k += length(&a->insns[k])) {
			rename_reads(&a->insns[k], copy->dst_reg, copy->src_reg);
			if (effect_of(&a->insns[k]).writes & (BIT(copy->dst_reg) | BIT(copy->src_reg)))
				break;
		}
	}
}

/* What is alive behind each instruction. */
static unsigned *
alive_behind(const struct asmb *a, const struct ways *f)
{
	unsigned *before = xcalloc(a->n + 2, sizeof(*before)), *behind = xcalloc(a->n + 1, sizeof(*behind));

	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = a->n; i-- > 0;) { /* of a constant of two places both count as one that does nothing */
			struct effect e = effect_of(&a->insns[i]);
			bool second = i && length(&a->insns[i - 1]) == 2 && !a->insns[i].code;
			unsigned op = BPF_OP(a->insns[i].code), class = BPF_CLASS(a->insns[i].code), alive = 0;
			bool ends = class == BPF_JMP && (op == BPF_EXIT || op == BPF_JA);

			if (second)
				e = (struct effect){0};
			if (!ends || second)
				alive |= before[i + 1];
			if (f->to[i] >= 0 && !second && op != BPF_CALL)
				alive |= before[f->to[i]];
			behind[i] = alive;
			alive = (alive & ~e.writes) | e.reads;
			changed |= alive != before[i];
			before[i] = alive;
		}
	}
	free(before);
	return behind;
}

static bool
is_vain(const struct bpf_insn *i, unsigned behind, const int unused[2])
{
	struct effect e = effect_of(i);

	if (BPF_CLASS(i->code) == BPF_STX && i->dst_reg == R10 && i->off &&
	    (i->off == unused[0] || i->off == unused[1]))
		return true;
	if (i->code == (BPF_ALU64 | BPF_MOV | BPF_X) && !i->off && i->dst_reg == i->src_reg)
		return true;
	return e.pure && !(e.writes & behind);
}

/* Instructions move up; jumps and labels go with them. */
static void
take_out(struct asmb *a, const bool *out)
{
	size_t *place = xcalloc(a->n + 1, sizeof(*place)), n = 0, jumps = 0;

	for (size_t i = 0; i < a->n; i++) {
		place[i] = n;
		if (!out[i])
			a->insns[n++] = a->insns[i];
	}
	place[a->n] = n;
	for (size_t i = 0; i < a->n_labels; i++)
		if (a->labels[i] >= 0)
			a->labels[i] = (int)place[a->labels[i]];
	for (size_t i = 0; i < a->n_jumps; i++) {
		if (out[a->jumps[i].insn])
			continue;
		a->jumps[jumps] = a->jumps[i];
		a->jumps[jumps++].insn = place[a->jumps[i].insn];
	}
	a->n_jumps = jumps;
	a->n = n;
	free(place);
}

static bool
tidy_once(struct asmb *a, const int unused[2])
{
	struct ways f = ways_of(a);
	bool *out = xcalloc(a->n + 1, sizeof(*out)), some = false;
	unsigned *behind;

	spread_copies(a, &f);
	behind = alive_behind(a, &f);
	for (size_t i = 0; i < a->n; i += length(&a->insns[i])) {
		bool nowhere = a->insns[i].code == (BPF_JMP | BPF_JA) && f.to[i] == (long)i + 1;

		if (!nowhere && !is_vain(&a->insns[i], behind[i], unused))
			continue;
		some = out[i] = true;
		if (length(&a->insns[i]) == 2)
			out[i + 1] = true;
	}
	if (some)
		take_out(a, out);
	ways_done(&f);
	free(out);
	free(behind);
	return some;
}

void
asm_tidy(struct asmb *a, const int unused[2])
{
	while (tidy_once(a, unused))
		;
}
