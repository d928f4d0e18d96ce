/*
 * Stable providers: probes whose names and arguments do not follow the kernel's.
 *
 * Such a probe is one row: where in this kernel it fires, under which condition,
 * and what its arguments are, written as D expressions on what the kernel passes
 * there.  prov_proc.c, prov_sched.c, ... are tables of them; the library
 * (lib/NAME.d) translates the arguments.
 */
#ifndef DTRACE_STABLE_H
#define DTRACE_STABLE_H

#include "dtrace/dt.h"

struct stable_arg {
	const char *expr;   /* D, on args[i] and ret; NULL past the last */
	const char *native; /* its type */
	const char *xlate;  /* the type a program sees, if it is another */
	bool is_user;
};

struct stable_probe {
	const char *name;
	/*
	 * "tp NAME": a tracepoint; args[i] are its arguments.
	 * "entry [MODULE`]FUNCTION", "return ...": args[i] are its parameters, at its return
	 * `ret` is the result.
	 */
	const char *at;
	const char *when; /* D: fires if it is true; NULL: always */
	/* Up to six, and the last, which is not listed: arg7, for the library (MORE). */
	struct stable_arg args[8];
	/* D clauses that must run besides for the arguments' sake; NULL: none. */
	const char *aux;
};

int stable_provide(struct dt *dt, const struct provider *ops, const struct stable_probe *rows,
		   size_t n, const char *const part[4], struct error *err);
bool stable_arg(struct dt *dt, const struct probe *p, unsigned i, struct probe_arg *ret);
const char *stable_aux(const struct probe *p);
int stable_prepare(struct dt *dt, struct hook *h, struct error *err);
int stable_gen_probe(struct gen *g, const struct hook *h, struct error *err);
int stable_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err);
int stable_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err);
int stable_order(const struct probe *a, const struct probe *b);

/* A provider of these rows.  Those that share a place in the kernel fire in the order of the table. */
#define STABLE_PROVIDER(id, rows)                                                               \
	static int id##_provide(struct dt *dt, const char *const part[4], struct error *err)    \
	{                                                                                       \
		return stable_provide(dt, &provider_##id, rows, ARRAY_SIZE(rows), part, err);   \
	}                                                                                       \
	const struct provider provider_##id = {                                                 \
		.name = #id,                                                                    \
		.provide = id##_provide,                                                        \
		.together = hook_alone,                                                         \
		.arg = stable_arg,                                                              \
		.aux = stable_aux,                                                              \
		.prepare = stable_prepare,                                                      \
		.gen_probe = stable_gen_probe,                                                  \
		.gen_arg = stable_gen_arg,                                                      \
		.attach = stable_attach,                                                        \
		.order = stable_order,                                                          \
	}

/* Arguments that many have. */
#define LWPSINFO(e) {.expr = e, .native = "struct task_struct *", .xlate = "lwpsinfo_t *"}
#define PSINFO(e) {.expr = e, .native = "struct task_struct *", .xlate = "psinfo_t *"}
#define CPUINFO(e) {.expr = e, .native = "int", .xlate = "cpuinfo_t *"}
#define INT(e) {.expr = e, .native = "int"}
#define LONG(e) {.expr = e, .native = "int64_t"}
#define MORE(e) [7] = INT(e)
#define ULONG(e) {.expr = e, .native = "uint64_t"}

#endif
