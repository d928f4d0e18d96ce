/*
 * Records as they come: each names its clause, whose actions say how its
 * values are shown.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/show.h"

/* Walks the values of one act. */
struct values {
	struct dt *dt;
	const struct act *act;
	const char *data;
	size_t i;
};

static bool
next_value(void *arg, struct value *ret)
{
	struct values *v = arg;

	if (v->i >= v->act->n_recs)
		return false;
	*ret = show_value(v->dt, &v->act->recs[v->i++], v->data);
	return true;
}

/* trace(): numbers in 5 or so columns as DTrace aligns them, text as it is. */
static void
show_trace(struct dt *dt, const struct act *a, const char *data)
{
	const struct rec *rec = &a->recs[0];
	struct value v = show_value(dt, rec, data);

	if (rec->kind == REC_BYTES) {
		show_bytes(dt, (const unsigned char *)data + rec->offset, rec->size);
		return;
	}
	if (v.text)
		fprintf(dt->out, dt->opts.quiet ? "%s" : "  %-33s", v.text);
	else if (dt->opts.quiet)
		fprintf(dt->out, "%lld", (long long)v.number);
	else
		fprintf(dt->out, " %*lld", v.size == 1 ? 3 : v.size == 2 ? 5 : v.size == 4 ? 9 : 18,
			(long long)v.number);
}

static void
show_sym(struct dt *dt, const struct act *a, const char *data)
{
	struct value v = show_value(dt, &a->recs[0], data);
	cleanup_free char *text = show_symbol(dt, (uint64_t)v.number, false);

	if (a->action == A_MOD)
		text[strcspn(text, "`")] = '\0';
	fprintf(dt->out, "  %-50s", text);
}

static int
show_system(struct dt *dt, const struct act *a, const char *data, struct error *err)
{
	cleanup_free char *command = NULL;
	size_t len;
	FILE *f = open_memstream(&command, &len);
	struct values v = {dt, a, data, 0};

	if (!f)
		abort();
	format_print(f, dt, a->format, next_value, &v, NULL);
	fclose(f);
	fflush(dt->out);
	/* What system() runs is the D program's own text: destructive, so -w allowed it. */
	if (system(command) < 0)
		return error_set_errno(err, errno, "system(\"%s\")", command);
	return 0;
}

static int
show_act(struct dt *dt, const struct act *a, const char *data, struct error *err)
{
	struct values v = {dt, a, data, 0};
	const char *at = a->n_recs ? data + a->recs[0].offset : data;
	cleanup_free char *text = NULL;
	uint64_t pid;

	switch (a->action) {
	case A_TRACE:
		show_trace(dt, a, data);
		return 0;
	case A_PRINTF:
		format_print(dt->out, dt, a->format, next_value, &v, NULL);
		return 0;
	case A_EXIT:
		dt->exiting = true;
		dt->exit_status = (int)show_value(dt, &a->recs[0], data).number;
		return 0;
	case A_STACK:
		show_stack(dt, (const uint64_t *)(const void *)at, a->recs[0].size / 8);
		return 0;
	case A_USTACK:
	case A_JSTACK:
		memcpy(&pid, at, sizeof(pid));
		show_ustack(dt, pid, (const uint64_t *)(const void *)(at + 8),
			    a->recs[0].size / 8 - 1);
		return 0;
	case A_TRACEMEM:
		show_bytes(dt, (const unsigned char *)at, a->recs[0].size);
		return 0;
	case A_SYM:
	case A_FUNC:
	case A_MOD:
		show_sym(dt, a, data);
		return 0;
	case A_USYM:
	case A_UADDR:
	case A_UFUNC:
	case A_UMOD:
		text = show_usym(dt, a->action, (const uint64_t *)(const void *)at);
		fprintf(dt->out, "  %-50s", text);
		return 0;
	case A_SYSTEM:
		return show_system(dt, a, data, err);
	case A_PRINTA:
	case A_CLEAR:
	case A_TRUNC:
	case A_NORMALIZE:
	case A_DENORMALIZE: {
		int64_t n = a->has_number ? show_value(dt, &a->recs[0], data).number : 0;

		return dt_agg_act(dt, a, n, err);
	}
	default:
		return 0;
	}
}

/* "  0  12345    read:entry", and the header above the first. */
static void
show_head(struct dt *dt, const struct rec_head *h)
{
	const struct probe *p = dt->probes[h->probe - 1];
	cleanup_free char *name = str_printf("%s:%s", p->func, p->name);

	if (!dt->header_shown)
		fprintf(dt->out, "%3s %6s %32s\n", "CPU", "ID", "FUNCTION:NAME");
	dt->header_shown = true;
	fprintf(dt->out, "%3u %6u %32s ", h->cpu, h->probe, name);
}

static int
show_record(struct dt *dt, const char *data, size_t size, struct error *err)
{
	const struct rec_head *h = (const struct rec_head *)(const void *)data;
	const struct clause *cl;
	int r = 0;

	if (size < sizeof(*h) || h->clause >= dt->n_clauses || !h->probe ||
	    h->probe > dt->n_probes || size < dt->clauses[h->clause]->rec_size)
		return error_set(err, EBADMSG, "malformed record of %zu bytes", size);
	cl = dt->clauses[h->clause];
	if (!dt->opts.quiet)
		show_head(dt, h);
	for (const struct act *a = cl->acts; a && r == 0; a = a->next)
		r = show_act(dt, a, data, err);
	if (!dt->opts.quiet)
		fputc('\n', dt->out);
	return r;
}

struct pass {
	struct dt *dt;
	struct error *err;
};

static int
on_record(void *ctx, void *data, size_t size)
{
	struct pass *pass = ctx;

	/* After exit() what was under way elsewhere is not shown any more. */
	if (pass->dt->exiting && !pass->dt->ending)
		return 0;
	return show_record(pass->dt, data, size, pass->err);
}

static void
tell_drops(struct dt *dt)
{
	const struct dt_shared *s = dt->globals;

	if (s->drops != dt->seen_drops)
		fprintf(stderr, "dtrace: %llu drops: increase bufsize or reduce the rate\n",
			(unsigned long long)(s->drops - dt->seen_drops));
	if (s->agg_drops != dt->seen_agg_drops)
		fprintf(stderr, "dtrace: %llu aggregation drops: increase aggsize\n",
			(unsigned long long)(s->agg_drops - dt->seen_agg_drops));
	if (s->dyn_drops != dt->seen_dyn_drops)
		fprintf(stderr, "dtrace: %llu dynamic variable drops: increase dynvarsize\n",
			(unsigned long long)(s->dyn_drops - dt->seen_dyn_drops));
	if (s->faults != dt->seen_faults)
		fprintf(stderr, "dtrace: error: %llu clause(s) ended by an invalid address or division by zero\n",
			(unsigned long long)(s->faults - dt->seen_faults));
	dt->seen_drops = s->drops;
	dt->seen_agg_drops = s->agg_drops;
	dt->seen_dyn_drops = s->dyn_drops;
	dt->seen_faults = s->faults;
}

int
dt_consume(struct dt *dt, int timeout_ms, struct error *err)
{
	struct pass pass = {dt, err};
	int r;

	if (!dt->ring) {
		dt->pass = xcalloc(1, sizeof(pass));
		dt->ring = ring_buffer__new(dt->ring_fd, on_record, dt->pass, NULL);
		if (!dt->ring)
			return error_set_errno(err, errno, "cannot read the ring buffer");
	}
	*(struct pass *)dt->pass = pass;
	r = timeout_ms ? ring_buffer__poll(dt->ring, timeout_ms) : ring_buffer__consume(dt->ring);
	if (r < 0 && r != -EINTR)
		return r;
	tell_drops(dt);
	fflush(dt->out);
	return 0;
}

int
dt_fire(struct dt *dt, const char *name, struct error *err)
{
	for (size_t i = 0; i < dt->n_hooks; i++) {
		struct hook *h = dt->hooks[i];
		uint64_t ctx[12] = {0};
		LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = sizeof(ctx));
		int r;

		if (!h->probes[0]->ops->manual || !str_eq(h->probes[0]->name, name))
			continue;
		r = bpf_prog_test_run_opts(h->prog_fd, &opts);
		if (r < 0)
			return error_set_errno(err, -r, "cannot fire %s", name);
	}
	dt->ending = str_eq(name, "END");
	return 0;
}
