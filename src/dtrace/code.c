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

/* --- the variables that a program names, as DTrace's own tables of them look */

static const char *
type_word(const struct ctf_type *t)
{
	static const char *const words[] = {
		[CTF_INT] = "integer", [CTF_FLOAT] = "float",   [CTF_POINTER] = "pointer",
		[CTF_ARRAY] = "array",	   [CTF_STRUCT] = "struct", [CTF_UNION] = "union",
		[CTF_ENUM] = "enum"};
	enum ctf_kind kind = ctf_kind(ctf_resolve(t));

	return kind < ARRAY_SIZE(words) && words[kind] ? words[kind] : "unknown";
}

static void
show_var(struct dt *dt, const struct ident *v, const struct ctf_type *type, size_t id, int offset,
	 unsigned uses, const char *flags)
{
	static const char *const scopes[] = {
		[SCOPE_GLOBAL] = "glb", [SCOPE_SELF] = "tls", [SCOPE_THIS] = "loc"};
	bool text = dt_is_string(dt, type);
	bool by_ref = text || ctf_is_aggregate(type) || ctf_kind(ctf_resolve(type)) == CTF_ARRAY;
	cleanup_free char *at = offset < 0 ? xstrdup("") : str_printf("%d", offset);
	const char *name = strstr(v->name, "->");

	fprintf(stderr, "%-16s %-4zx %-6s %-3s %-3s %-4u %-4s %s (%s)%s (size %llu)\n",
		name ? name + 2 : v->name, id, at, v->kind == ID_ASSOC ? "arr" : "scl", scopes[v->scope],
		uses, flags, text ? "string" : "D type", text ? "unknown" : type_word(type), by_ref ? " by ref" : "",
		text ? dt->opts.strsize : (unsigned long long)ctf_size(type));
}

void
dt_show_vars(struct dt *dt)
{
	struct map_iter it = {0};
	size_t id = 0;

	dt_place_vars(dt);
	fprintf(stderr, "\n%-16s %-4s %-6s %-3s %-3s %-4s %-4s %s\n", "NAME", "ID", "OFFSET", "KND", "SCP",
		"USES", "FLAG", "TYPE");
	while (map_next(dt->vars, &it)) {
		const struct ident *v = it.value;
		int base = v->scope == SCOPE_GLOBAL ? (int)sizeof(struct dt_shared) : 0;

		id++;
		if (v->type && v->reads + v->writes)
			show_var(dt, v, v->type, id, v->offset < 0 ? 0 : v->offset - base,
				 v->reads + v->writes,
				 v->reads && v->writes ? "r/w" : v->writes ? "w" : "r");
	}
	for (size_t i = 0; ident_at(i); i++) {
		const struct ident *v = ident_at(i);
		cleanup_error struct error none = ERROR_INIT;
		const struct ctf_type *type;

		if (v->kind != ID_BUILTIN || !v->type_name || !dt->builtin_reads[v->builtin])
			continue;
		if (str_eq(v->type_name, "string"))
			type = dt->t_string;
		else if (ctf_parse(dt->types, v->type_name, &type, &none) < 0)
			continue;
		show_var(dt, v, type, 0x100 + v->builtin, -1, dt->builtin_reads[v->builtin], "r");
	}
	fputc('\n', stderr);
}
