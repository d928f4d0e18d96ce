/*
 * -F: what is called stands further right than who called.  Entries move the
 * indentation of their CPU in, returns out; a second clause of the same firing
 * moves nothing.
 */
#include <stdlib.h>

#include "dtrace/show.h"

#define STEP 2
#define MAX_INDENT 256

struct flow {
	int indent;
	uint32_t probe, clause; /* of the record before */
};

static struct flow *
flow_of(struct dt *dt, uint32_t cpu)
{
	cleanup_free char *key = str_printf("%u", cpu);
	struct flow *f;

	if (!dt->flow)
		dt->flow = map_new(free);
	f = map_get(dt->flow, key);
	if (!f) {
		f = xcalloc(1, sizeof(*f));
		map_set(dt->flow, key, f);
	}
	return f;
}

char *
show_flow(struct dt *dt, const struct rec_head *h)
{
	const struct probe *p = dt->probes[h->probe - 1];
	struct flow *f = flow_of(dt, h->cpu);
	bool again = f->probe == h->probe && f->clause < h->clause;
	bool call = str_eq(p->prov, "syscall");
	char *text;

	if (!dt->header_shown)
		fprintf(dt->out, "%3s %-41s\n", "CPU", "FUNCTION");
	dt->header_shown = true;
	if (!again && str_eq(p->name, "entry")) {
		text = str_printf("%*s%s%s", f->indent, "", call ? " => " : " -> ", p->func);
		if (f->indent < MAX_INDENT)
			f->indent += STEP;
	} else if (!again && str_eq(p->name, "return")) {
		f->indent = f->indent > STEP ? f->indent - STEP : 0;
		text = str_printf("%*s%s%s", f->indent, "", call ? " <= " : " <- ", p->func);
	} else {
		text = str_printf("%*s | %s:%s", f->indent, "", p->func, p->name);
	}
	f->probe = h->probe;
	f->clause = h->clause;
	return text;
}
