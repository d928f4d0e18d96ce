/*
 * dtrace:::BEGIN and END: fired by the consumer with BPF_PROG_TEST_RUN, before
 * anything else and after everything else.  ERROR has no program: its clauses
 * stand in those of other probes, where a clause fails (gen.c).
 */
#include <bpf/bpf.h>

#include "dtrace/gen.h"

static int
begin_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	dt_probe_add(dt, &provider_dtrace, "dtrace", "", "", "BEGIN", 0);
	dt_probe_add(dt, &provider_dtrace, "dtrace", "", "", "END", 1);
	dt_probe_add(dt, &provider_dtrace, "dtrace", "", "", "ERROR", DT_ERROR_PROBE);
	return 0;
}

static bool
begin_together(const struct probe *a, const struct probe *b)
{
	return false;
}

static const struct ctf_type *
begin_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	return NULL;
}

static int
begin_gen_probe(struct gen *g, const struct hook *h, struct error *err)
{
	asm_imm(&g->a, R0, h->probes[0]->id);
	return 0;
}

static int
begin_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	struct place at = gen_rt_place(g, offsetof(struct rt, error) + 8 * (size_t)i);

	if (h->probes[0]->data == DT_ERROR_PROBE && i >= 1 && i <= 5)
		asm_load(&g->a, 8, R0, at.reg, at.off);
	else
		asm_imm(&g->a, R0, 0);
	return 0;
}

static int
begin_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	if (h->probes[0]->data == DT_ERROR_PROBE)
		return 0;
	return hook_load(dt, h, g, &(struct prog_kind){.type = BPF_PROG_TYPE_RAW_TRACEPOINT}, err);
}

const struct provider provider_dtrace = {
	.name = "dtrace",
	.provide = begin_provide,
	.together = begin_together,
	.arg_type = begin_arg_type,
	.gen_probe = begin_gen_probe,
	.gen_arg = begin_gen_arg,
	.attach = begin_attach,
	.manual = true,
};
