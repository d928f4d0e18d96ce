/*
 * Aggregations: find the key's value in the per-CPU map, make it if it is new,
 * and add.  Values are 64-bit words, the first of which counts additions.
 */
#include "dtrace/gen.h"

int
gen_keys(struct gen *g, struct node *keys, const struct rec *recs, struct place to,
	 struct error *err)
{
	int r = 0;

	for (size_t i = 0; keys && r == 0; keys = keys->next, i++) {
		switch (recs[i].kind) {
		case REC_INT:
			r = gen_scalar(g, keys, err);
			if (ctf_size(keys->type) < 4) /* keys of bytes and of shorts have no sign */
				asm_extend(&g->a, R0, (unsigned)ctf_size(keys->type), false);
			asm_store(&g->a, 8, to.reg, to.off, R0);
			break;
		case REC_PROBE:
			asm_store(&g->a, 8, to.reg, to.off, R8);
			break;
		case REC_FRAMES:
		case REC_BYTES: /* a structure, of an associative array only */
			gen_zero(g, to, (recs[i].size + 7) & ~(size_t)7);
			r = gen_value(g, keys, &recs[i], to, true, err);
			break;
		case REC_STRING:
		case REC_STACK:
		case REC_USTACK:
		case REC_USYM:
		case REC_KSYM:
			r = gen_value(g, keys, &recs[i], to, true, err);
			break;
		}
		to.off += (int)((recs[i].size + 7) & ~(size_t)7);
	}
	return r;
}

/* words[i] += r1, where r0 points to the words */
static void
add_word(struct gen *g, int i)
{
	asm_load(&g->a, 8, R2, R0, 8 * i);
	asm_alu(&g->a, BPF_ADD, R2, R1);
	asm_store(&g->a, 8, R0, 8 * i, R2);
}

static void
count_one(struct gen *g)
{
	asm_load(&g->a, 8, R2, R0, 0);
	asm_alui(&g->a, BPF_ADD, R2, 1);
	asm_store(&g->a, 8, R0, 0, R2);
}

/* r1 into words[1] if it is less (greater), or the first. */
static void
keep_extreme(struct gen *g, const struct agg *agg)
{
	struct asmb *a = &g->a;
	int take = asm_label(a), done = asm_label(a);
	unsigned op = agg->func == AGG_MIN ? (agg->is_signed ? BPF_JSLT : BPF_JLT)
					   : (agg->is_signed ? BPF_JSGT : BPF_JGT);

	asm_load(a, 8, R2, R0, 0);
	asm_jcci(a, BPF_JEQ, R2, 0, take);
	asm_load(a, 8, R2, R0, 8);
	asm_jcc(a, op, R1, R2, take);
	asm_jmp(a, done);
	asm_here(a, take);
	asm_store(a, 8, R0, 8, R1);
	asm_here(a, done);
	count_one(g);
}

/* words[2..3] += r1 * r1, in 128 bits, by halves: (h*2^32 + l)^2 */
static void
add_square(struct gen *g)
{
	struct asmb *a = &g->a;
	int positive = asm_label(a), carry = asm_label(a);

	asm_jcci(a, BPF_JSGE, R1, 0, positive);
	asm_emit(a, BPF_ALU64 | BPF_NEG, R1, 0, 0, 0);
	asm_here(a, positive);
	asm_mov(a, R2, R1);
	asm_alui(a, BPF_RSH, R2, 32); /* h */
	asm_extend(a, R1, 4, false);  /* l */
	asm_mov(a, R3, R1);
	asm_alu(a, BPF_MUL, R3, R2); /* h*l: counts twice, at 2^32 */
	asm_alu(a, BPF_MUL, R1, R1); /* l*l */
	asm_alu(a, BPF_MUL, R2, R2); /* h*h, at 2^64 */
	asm_mov(a, R4, R3);
	asm_alui(a, BPF_RSH, R4, 31); /* 2*h*l: its part above 2^64 */
	asm_alu(a, BPF_ADD, R2, R4);
	asm_alui(a, BPF_LSH, R3, 33);
	asm_alu(a, BPF_ADD, R1, R3);
	asm_jcc(a, BPF_JGE, R1, R3, carry);
	asm_alui(a, BPF_ADD, R2, 1);
	asm_here(a, carry);
	carry = asm_label(a);
	asm_load(a, 8, R3, R0, 16);
	asm_alu(a, BPF_ADD, R3, R1);
	asm_store(a, 8, R0, 16, R3);
	asm_jcc(a, BPF_JGE, R3, R1, carry);
	asm_alui(a, BPF_ADD, R2, 1);
	asm_here(a, carry);
	asm_load(a, 8, R3, R0, 24);
	asm_alu(a, BPF_ADD, R3, R2);
	asm_store(a, 8, R0, 24, R3);
}

/*
 * quantize: value r1 to bucket r2.  64 is zero's (word 64 of the value, bucket
 * 63 of 127); 2^k's is 64+1+k, -2^k's 64-1-k.  The logarithm by halving.
 */
static void
quantize_bucket(struct gen *g)
{
	struct asmb *a = &g->a;
	int positive = asm_label(a), zero = asm_label(a), least;

	asm_imm(a, R2, 64);
	asm_jcci(a, BPF_JEQ, R1, 0, zero);
	asm_imm(a, R3, 1); /* direction */
	asm_jcci(a, BPF_JSGT, R1, 0, positive);
	asm_imm(a, R3, -1);
	asm_emit(a, BPF_ALU64 | BPF_NEG, R1, 0, 0, 0);
	asm_here(a, positive);
	asm_imm(a, R4, 1);
	for (int bits = 32; bits; bits /= 2) {
		int small = asm_label(a);

		asm_mov(a, R5, R1);
		asm_alui(a, BPF_RSH, R5, bits);
		asm_jcci(a, BPF_JEQ, R5, 0, small);
		asm_mov(a, R1, R5);
		asm_alui(a, BPF_ADD, R4, bits);
		asm_here(a, small);
	}
	least = asm_label(a); /* -2^63 belongs to the last bucket that there is */
	asm_jcci(a, BPF_JLE, R4, 63, least);
	asm_imm(a, R4, 63);
	asm_here(a, least);
	asm_alu(a, BPF_MUL, R4, R3);
	asm_alu(a, BPF_ADD, R2, R4);
	asm_here(a, zero);
}

static void
lquantize_bucket(struct gen *g, const struct agg *agg)
{
	struct asmb *a = &g->a;
	int64_t levels = (agg->params[1] - agg->params[0]) / agg->params[2];
	int done = asm_label(a);

	asm_imm(a, R2, 1); /* word of the underflow bucket */
	asm_imm(a, R3, agg->params[0]);
	asm_jcc(a, BPF_JSLT, R1, R3, done);
	asm_imm(a, R2, levels + 2);
	asm_imm(a, R4, agg->params[0] + levels * agg->params[2]);
	asm_jcc(a, BPF_JSGE, R1, R4, done);
	asm_mov(a, R2, R1);
	asm_alu(a, BPF_SUB, R2, R3);
	asm_imm(a, R3, agg->params[2]);
	asm_alu(a, BPF_DIV, R2, R3);
	asm_alui(a, BPF_ADD, R2, 2);
	asm_here(a, done);
}

static void
llquantize_bucket(struct gen *g, const struct agg *agg)
{
	struct asmb *a = &g->a;
	int done = asm_label(a);
	struct agg_order o;

	agg_order_first(agg, &o);
	asm_imm(a, R2, 1);
	asm_imm(a, R3, o.power);
	asm_jcc(a, BPF_JSLT, R1, R3, done);
	for (int64_t m = agg->params[1]; m <= agg->params[2]; m++) {
		int above = asm_label(a);

		asm_imm(a, R3, o.next);
		asm_jcc(a, BPF_JSGE, R1, R3, above);
		asm_mov(a, R2, R1);
		asm_imm(a, R3, o.width);
		asm_alu(a, BPF_DIV, R2, R3);
		asm_imm(a, R3, (int64_t)o.first - o.power / o.width);
		asm_alu(a, BPF_ADD, R2, R3);
		asm_jmp(a, done);
		asm_here(a, above);
		if (m < agg->params[2])
			agg_order_next(agg, &o);
	}
	asm_imm(a, R2, (int64_t)(o.first + o.n));
	asm_here(a, done);
}

/* words[r2] += r3; r2 is kept in bounds for the verifier. */
static void
add_at(struct gen *g, const struct agg *agg)
{
	struct asmb *a = &g->a;
	int out = asm_label(a);

	asm_jcci(a, BPF_JGE, R2, (int32_t)agg->n_words, out);
	asm_alui(a, BPF_LSH, R2, 3);
	asm_mov(a, R1, R0);
	asm_alu(a, BPF_ADD, R1, R2);
	asm_load(a, 8, R2, R1, 0);
	asm_alu(a, BPF_ADD, R2, R3);
	asm_store(a, 8, R1, 0, R2);
	asm_here(a, out);
}

/* r0: the words; r1: the value; r3: quantize's increment, put aside by the caller. */
static void
gen_add(struct gen *g, const struct agg *agg, bool has_increment)
{
	struct asmb *a = &g->a;

	switch (agg->func) {
	case AGG_COUNT:
	case AGG_NONE:
		count_one(g);
		return;
	case AGG_SUM:
	case AGG_AVG:
		count_one(g);
		add_word(g, 1);
		return;
	case AGG_MIN:
	case AGG_MAX:
		keep_extreme(g, agg);
		return;
	case AGG_STDDEV:
		count_one(g);
		add_word(g, 1);
		add_square(g);
		return;
	case AGG_QUANTIZE:
		count_one(g);
		quantize_bucket(g);
		break;
	case AGG_LQUANTIZE:
		count_one(g);
		lquantize_bucket(g, agg);
		break;
	case AGG_LLQUANTIZE:
		count_one(g);
		llquantize_bucket(g, agg);
		break;
	}
	if (has_increment)
		asm_load(a, 8, R3, R10, STACK_VALUE);
	else
		asm_imm(a, R3, 1);
	add_at(g, agg);
}

/* r0: the value's words for the key at `key`, made if it is new; to `none` if there is no room. */
static void
gen_find(struct gen *g, const struct agg *agg, struct place key, int none)
{
	struct asmb *a = &g->a;
	int found = asm_label(a);

	asm_map(a, R1, agg->fd);
	gen_place(g, R2, key);
	asm_call(a, BPF_FUNC_map_lookup_elem);
	asm_jcci(a, BPF_JNE, R0, 0, found);
	if (agg->n_keys) {
		asm_map(a, R1, agg->fd);
		gen_place(g, R2, key);
		asm_map_value(a, R3, g->dt->zeros_fd, 0);
		asm_imm(a, R4, BPF_NOEXIST);
		asm_call(a, BPF_FUNC_map_update_elem);
		asm_map(a, R1, agg->fd);
		gen_place(g, R2, key);
		asm_call(a, BPF_FUNC_map_lookup_elem);
		asm_jcci(a, BPF_JNE, R0, 0, found);
	}
	gen_agg_drop(g);
	asm_jmp(a, none);
	asm_here(a, found);
}

/* The argument of quantize() and the like that says how much to add. */
static struct node *
increment_of(const struct agg *agg, struct node *call)
{
	size_t at = agg->func == AGG_QUANTIZE ? 1 : agg->func == AGG_LQUANTIZE ? 4 : 5;
	struct node *arg = call->args;

	if (agg->func != AGG_QUANTIZE && agg->func != AGG_LQUANTIZE && agg->func != AGG_LLQUANTIZE)
		return NULL;
	for (size_t i = 0; arg && i < at; i++)
		arg = arg->next;
	return arg;
}

int
gen_aggregate(struct gen *g, struct node *n, struct error *err)
{
	struct node *call = n->right, *more;
	const struct agg *agg = map_get(g->dt->aggs, n->left->name);
	struct place key = {R10, STACK_SMALL};
	int none = asm_label(&g->a), r;

	if (agg->n_keys) {
		key = agg->key_size <= STACK_KEY_SIZE ? (struct place){R10, STACK_KEY}
						      : gen_slot(g, agg->key_size);
		if ((r = gen_keys(g, n->left->args, agg->keys, key, err)) < 0)
			return r;
	}
	more = increment_of(agg, call);
	if (call->args) {
		if ((r = gen_scalar(g, call->args, err)) < 0 || (r = gen_push(g, n, err)) < 0)
			return r;
	}
	if (more) {
		if ((r = gen_scalar(g, more, err)) < 0 || (r = gen_push(g, n, err)) < 0)
			return r;
	}
	/* Evaluation may have used the key's small place. */
	if (!agg->n_keys)
		asm_storei(&g->a, 4, R10, STACK_SMALL, 0);
	gen_find(g, agg, key, none);
	if (more) {
		gen_pop(g, R3);
		asm_store(&g->a, 8, R10, STACK_VALUE, R3);
	}
	if (call->args)
		gen_pop(g, R1);
	gen_add(g, agg, more);
	asm_here(&g->a, none);
	return 0;
}
