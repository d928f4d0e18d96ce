/* -S: what the generator made, an instruction a line. */
#include "dtrace/gen.h"

static const char *
alu_name(unsigned code)
{
	static const char *const names[] = {"add", "sub", "mul", "div", "or",  "and", "lsh", "rsh",
					    "neg", "mod", "xor", "mov", "arsh", "end"};

	return code >> 4 < ARRAY_SIZE(names) ? names[code >> 4] : "?";
}

static const char *
jump_name(unsigned code)
{
	static const char *const names[] = {"ja",   "jeq",  "jgt", "jge",  "jset", "jne",  "jsgt",
					    "jsge", "call", "exit", "jlt", "jle",  "jslt", "jsle",
					    "may_goto"};

	return code >> 4 < ARRAY_SIZE(names) ? names[code >> 4] : "?";
}

static void
show_operand(FILE *out, const struct bpf_insn *i)
{
	if (i->code & BPF_X)
		fprintf(out, ", r%d", i->src_reg);
	else
		fprintf(out, ", %d", i->imm);
}

static void
show_one(FILE *out, const struct bpf_insn *i, size_t at)
{
	static const unsigned sizes[] = {4, 2, 1, 8}; /* by BPF_SIZE() >> 3 */
	unsigned bytes = sizes[BPF_SIZE(i->code) >> 3];

	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		fprintf(out, "ld   r%d, %s%#llx", i->dst_reg,
			i->src_reg == BPF_PSEUDO_MAP_FD	     ? "map "
			: i->src_reg == BPF_PSEUDO_MAP_VALUE ? "value "
							     : "",
			(unsigned long long)(uint32_t)i->imm |
				(unsigned long long)(uint32_t)i[1].imm << 32);
		break;
	case BPF_LDX:
		fprintf(out, "ldx%u r%d, [r%d%+d]", bytes, i->dst_reg, i->src_reg, i->off);
		break;
	case BPF_ST:
		fprintf(out, "st%u  [r%d%+d], %d", bytes, i->dst_reg, i->off, i->imm);
		break;
	case BPF_STX:
		fprintf(out, "%s%u [r%d%+d], r%d", BPF_MODE(i->code) == BPF_ATOMIC ? "atomic" : "stx",
			bytes, i->dst_reg, i->off, i->src_reg);
		break;
	case BPF_ALU:
	case BPF_ALU64:
		fprintf(out, "%-4s %c%d", alu_name(i->code), BPF_CLASS(i->code) == BPF_ALU ? 'w' : 'r',
			i->dst_reg);
		show_operand(out, i);
		break;
	default:
		fprintf(out, "%s", jump_name(i->code));
		if ((i->code & 0xf0) == BPF_CALL) {
			fprintf(out, " %d", i->imm);
			break;
		}
		if ((i->code & 0xf0) == BPF_EXIT)
			break;
		if ((i->code & 0xf0) != BPF_JA) {
			fprintf(out, " r%d", i->dst_reg);
			show_operand(out, i);
			fputc(',', out);
		}
		fprintf(out, " %zd", (ssize_t)at + 1 + i->off);
		break;
	}
	fputc('\n', out);
}

void
dt_show_code(const struct hook *h, const struct gen *g)
{
	const struct probe *p = h->probes[0];

	fprintf(stderr, "\nBPF of %s:%s:%s:%s%s\n", p->prov, p->mod, p->func, p->name,
		h->n > 1 ? " and others" : "");
	for (size_t i = 0; i < g->a.n; i++) {
		fprintf(stderr, "%5zu: ", i);
		show_one(stderr, &g->a.insns[i], i);
		i += BPF_CLASS(g->a.insns[i].code) == BPF_LD; /* takes two places */
	}
}
