/* The C API: libdtrace.h on what the command is made of. */
#include "dtrace/libdtrace.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "dtrace/dt.h"
#include "dtrace/show.h"
#include "dtrace/usyms.h"

#define PUBLIC __attribute__((visibility("default")))

struct dtrace_prog {
	size_t matches;
	struct dtrace_prog *next;
};

struct dtrace_hdl {
	struct dt *dt;
	struct error err;
	struct dtrace_prog *programs;
	bool going, stopped;
	struct dt_watch watch;
	struct dt_agg_snap *snap;
	/* of the dtrace_work() under way */
	dtrace_consume_probe_f *on_probe;
	dtrace_consume_rec_f *on_rec;
	void *arg;
	bool to_handler; /* what is printed goes into text, and from there to on_text */
	char *text;
	size_t text_len;
	/* the record that is shown */
	dtrace_probedesc_t probe;
	dtrace_eprobedesc_t clause;
	dtrace_probedata_t data;
	dtrace_recdesc_t rec;
	dtrace_handle_buffered_f *on_text;
	dtrace_handle_drop_f *on_drop;
	dtrace_handle_err_f *on_err;
	void *text_arg, *drop_arg, *err_arg;
};

static int
fail(dtrace_hdl_t *dtp)
{
	return dtp->err.code ? -1 : (dtp->err.code = EIO, -1);
}

/* --- records, as they are shown */

static void
describe(const struct probe *p, dtrace_probedesc_t *ret)
{
	*ret = (dtrace_probedesc_t){.dtpd_id = p->id};
	snprintf(ret->dtpd_provider, sizeof(ret->dtpd_provider), "%s", p->prov);
	snprintf(ret->dtpd_mod, sizeof(ret->dtpd_mod), "%s", p->mod);
	snprintf(ret->dtpd_func, sizeof(ret->dtpd_func), "%s", p->func);
	snprintf(ret->dtpd_name, sizeof(ret->dtpd_name), "%s", p->name);
}

static uint64_t
is_string(const struct rec *rec)
{
	return rec->kind == REC_STRING ? DTRACE_ARG_STRING : 0;
}

static dtrace_actkind_t
kind_of(const struct act *a)
{
	static const struct {
		enum action action;
		dtrace_actkind_t kind;
	} rows[] = {{A_TRACE, DTRACEACT_DIFEXPR},    {A_EXIT, DTRACEACT_EXIT},
		    {A_PRINTF, DTRACEACT_PRINTF},    {A_PRINTA, DTRACEACT_PRINTA},
		    {A_TRACEMEM, DTRACEACT_TRACEMEM}, {A_USTACK, DTRACEACT_USTACK},
		    {A_JSTACK, DTRACEACT_JSTACK},    {A_USYM, DTRACEACT_USYM},
		    {A_UFUNC, DTRACEACT_USYM},	     {A_UMOD, DTRACEACT_UMOD},
		    {A_UADDR, DTRACEACT_UADDR},	     {A_SYSTEM, DTRACEACT_SYSTEM},
		    {A_FREOPEN, DTRACEACT_FREOPEN},  {A_STACK, DTRACEACT_STACK},
		    {A_SYM, DTRACEACT_SYM},	     {A_FUNC, DTRACEACT_SYM},
		    {A_MOD, DTRACEACT_MOD},	     {A_COMMIT, DTRACEACT_COMMIT},
		    {A_DISCARD, DTRACEACT_DISCARD}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].action == a->action)
			return rows[i].kind;
	return DTRACEACT_LIBACT;
}

static int
verdict(int said)
{
	return said == DTRACE_CONSUME_THIS ? WATCH_SHOW : said == DTRACE_CONSUME_NEXT ? WATCH_SKIP : -ECANCELED;
}

static int
begin_record(void *arg, const char *data)
{
	const struct rec_head *h = (const struct rec_head *)(const void *)data;
	dtrace_hdl_t *dtp = arg;
	const struct clause *c = dtp->dt->clauses[h->clause & ~DT_FAULT];

	describe(dtp->dt->probes[h->probe - 1], &dtp->probe);
	dtp->clause = (dtrace_eprobedesc_t){.dtepd_epid = (h->clause & ~DT_FAULT) + 1,
					    .dtepd_probeid = h->probe,
					    .dtepd_size = (uint32_t)c->rec_size,
					    .dtepd_nrecs = (int)c->n_acts};
	dtp->data = (dtrace_probedata_t){.dtpda_handle = dtp, .dtpda_edesc = &dtp->clause,
					 .dtpda_pdesc = &dtp->probe, .dtpda_cpu = (int)h->cpu,
					 .dtpda_data = (char *)(uintptr_t)data,
					 .dtpda_flow = DTRACEFLOW_NONE};
	if (str_eq(dtp->probe.dtpd_name, "entry") || str_eq(dtp->probe.dtpd_name, "return")) {
		bool entry = dtp->probe.dtpd_name[0] == 'e';

		dtp->data.dtpda_flow = entry ? DTRACEFLOW_ENTRY : DTRACEFLOW_RETURN;
		dtp->data.dtpda_prefix = entry ? "->" : "<-";
	}
	return dtp->on_probe ? verdict(dtp->on_probe(&dtp->data, dtp->arg)) : WATCH_SHOW;
}

static int
begin_act(void *arg, const char *data, const struct act *a)
{
	dtrace_hdl_t *dtp = arg;

	dtp->rec = (dtrace_recdesc_t){.dtrd_action = kind_of(a), .dtrd_alignment = 1};
	dtp->data.dtpda_data = (char *)(uintptr_t)data;
	if (a->n_recs) {
		dtp->rec.dtrd_size = (uint32_t)a->recs[0].size;
		dtp->rec.dtrd_offset = (uint32_t)a->recs[0].offset;
		dtp->rec.dtrd_arg = is_string(&a->recs[0]);
		dtp->data.dtpda_data += a->recs[0].offset;
	}
	return dtp->on_rec ? verdict(dtp->on_rec(&dtp->data, &dtp->rec, dtp->arg)) : WATCH_SHOW;
}

/* What was printed since the last time goes to the handler. */
static int
hand_over(dtrace_hdl_t *dtp, bool in_record)
{
	dtrace_bufdata_t b = {.dtbda_handle = dtp, .dtbda_probe = in_record ? &dtp->data : NULL,
			      .dtbda_recdesc = in_record ? &dtp->rec : NULL};
	int r = 0;

	if (!dtp->to_handler)
		return 0;
	fflush(dtp->dt->out);
	b.dtbda_buffered = dtp->text;
	if (dtp->text_len && dtp->on_text)
		r = dtp->on_text(&b, dtp->text_arg) == DTRACE_HANDLE_OK ? 0 : -ECANCELED;
	rewind(dtp->dt->out);
	return r;
}

static int
end_act(void *arg, const char *data, const struct act *a)
{
	dtrace_hdl_t *dtp = arg;
	int r = hand_over(dtp, true);

	if (r < 0 || a)
		return r;
	dtp->data.dtpda_data = (char *)(uintptr_t)data;
	r = dtp->on_rec ? dtp->on_rec(&dtp->data, NULL, dtp->arg) : 0;
	return r == DTRACE_CONSUME_ERROR || r == DTRACE_CONSUME_ABORT ? -ECANCELED : 0;
}

static bool
on_lost(void *arg, const char *tag, uint64_t n, const struct fault_rec *f, const char *message)
{
	static const char *const kinds[] = {"PRINCIPAL", "AGGREGATION", "DYNAMIC",
					    "SPEC",	 "SPECUNAVAIL", "LEVEL"};
	dtrace_hdl_t *dtp = arg;

	if (f && dtp->on_err) {
		dtrace_errdata_t e = {.dteda_handle = dtp, .dteda_edesc = &dtp->clause,
				      .dteda_pdesc = &dtp->probe, .dteda_cpu = (int)f->head.cpu,
				      .dteda_action = (int)f->statement, .dteda_fault = (int)f->kind,
				      .dteda_addr = f->address, .dteda_msg = message};

		describe(dtp->dt->probes[f->head.probe - 1], &dtp->probe);
		dtp->clause = (dtrace_eprobedesc_t){.dtepd_epid = (f->head.clause & ~DT_FAULT) + 1,
						    .dtepd_probeid = f->head.probe};
		return dtp->on_err(&e, dtp->err_arg) == DTRACE_HANDLE_OK;
	}
	if (!f && dtp->on_drop) {
		dtrace_dropdata_t d = {.dtdda_handle = dtp, .dtdda_cpu = -1, .dtdda_drops = n,
				       .dtdda_msg = message};

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (str_eq(kinds[i], tag))
				d.dtdda_kind = (dtrace_dropkind_t)i;
		return dtp->on_drop(&d, dtp->drop_arg) == DTRACE_HANDLE_OK;
	}
	return false;
}

PUBLIC int
dtrace_handle_buffered(dtrace_hdl_t *dtp, dtrace_handle_buffered_f *fn, void *arg)
{
	dtp->on_text = fn;
	dtp->text_arg = arg;
	return 0;
}

PUBLIC int
dtrace_handle_drop(dtrace_hdl_t *dtp, dtrace_handle_drop_f *fn, void *arg)
{
	dtp->on_drop = fn;
	dtp->drop_arg = arg;
	return 0;
}

PUBLIC int
dtrace_handle_err(dtrace_hdl_t *dtp, dtrace_handle_err_f *fn, void *arg)
{
	dtp->on_err = fn;
	dtp->err_arg = arg;
	return 0;
}

/* Output is to `out`, or NULL to the handler; undone by close_out(). */
static void
open_out(dtrace_hdl_t *dtp, FILE *out)
{
	dtp->to_handler = !out;
	dtp->dt->out = out ? out : open_memstream(&dtp->text, &dtp->text_len);
	if (!dtp->dt->out)
		abort();
}

static void
close_out(dtrace_hdl_t *dtp)
{
	if (dtp->to_handler)
		fclose(dtp->dt->out);
	dtp->to_handler = false;
	free(dtp->text);
	dtp->text = NULL;
	dtp->dt->out = stdout;
}

/* --- opening */

PUBLIC dtrace_hdl_t *
dtrace_open(int version, int flags, int *errp)
{
	dtrace_hdl_t *dtp;
	struct error err = ERROR_INIT;
	struct dt *dt;

	if (version != DTRACE_VERSION || flags & ~(DTRACE_O_LP64 | DTRACE_O_ILP32) ||
	    flags == (DTRACE_O_LP64 | DTRACE_O_ILP32)) {
		*errp = EINVAL;
		return NULL;
	}
	if (dt_open(&dt, &err) < 0) {
		*errp = err.code;
		error_done(&err);
		return NULL;
	}
	if (flags & DTRACE_O_ILP32) {
		dt->opts.model = MODEL_ILP32;
		dt_set_model(dt);
	}
	dtp = xcalloc(1, sizeof(*dtp));
	dtp->dt = dt;
	dtp->watch = (struct dt_watch){dtp, begin_record, begin_act, end_act, on_lost};
	dt->watch = &dtp->watch;
	return dtp;
}

PUBLIC void
dtrace_close(dtrace_hdl_t *dtp)
{
	struct dtrace_prog *next;

	if (!dtp)
		return;
	for (struct dtrace_prog *p = dtp->programs; p; p = next) {
		next = p->next;
		free(p);
	}
	dt_agg_snap_free(dtp->snap);
	dt_close(dtp->dt);
	error_done(&dtp->err);
	free(dtp);
}

PUBLIC int
dtrace_errno(dtrace_hdl_t *dtp)
{
	return dtp->err.code;
}

PUBLIC const char *
dtrace_errmsg(dtrace_hdl_t *dtp, int error)
{
	return dtp && error == dtp->err.code ? error_message(&dtp->err) : strerror(error);
}

PUBLIC int
dtrace_setopt(dtrace_hdl_t *dtp, const char *option, const char *value)
{
	cleanup_free char *assignment =
		value ? str_printf("%s=%s", option, value) : xstrdup(option);
	int r;

	error_done(&dtp->err);
	r = dtp->dt->shared ? dt_set_runtime_option(dtp->dt, assignment, &dtp->err)
			    : dt_set_option(dtp->dt, assignment, &dtp->err);
	return r < 0 ? fail(dtp) : 0;
}

/* "read" as a provider is "read:::"; what has colons or is a program stays. */
static char *
with_spec(const char *text, dtrace_probespec_t spec)
{
	static const char *const before[] = {"", ":", "::", ":::"}, *const behind[] = {":::", "::", ":", ""};
	size_t n = strcspn(text, " \t\n/{");

	if (spec < 0 || spec > DTRACE_PROBESPEC_NAME || memchr(text, ':', n))
		return xstrdup(text);
	return str_printf("%s%.*s%s%s", before[spec], (int)n, text, behind[spec], text + n);
}

static size_t
matches(const struct dt *dt)
{
	size_t n = 0;

	for (size_t i = 0; i < dt->n_clauses; i++)
		n += dt->clauses[i]->n_probes;
	return n;
}

static dtrace_prog_t *
compile(dtrace_hdl_t *dtp, const char *text, unsigned flags, int argc, char *const argv[])
{
	struct dt *dt = dtp->dt;
	size_t before = matches(dt);
	cleanup_free char *preprocessed = NULL;
	dtrace_prog_t *p;

	error_done(&dtp->err);
	if (argc > 0)
		strv_done(&dt->args);
	for (int i = 0; i < argc; i++)
		strv_add(&dt->args, argv[i]);
	dt->opts.zdefs |= (flags & DTRACE_C_ZDEFS) != 0;
	if (flags & DTRACE_C_CPP) {
		if (dt_preprocess_text(dt, text, &preprocessed, &dtp->err) < 0)
			return NULL;
		text = preprocessed;
	}
	if (dt_compile(dt, text, strlen(text), "", &dtp->err) < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->matches = matches(dt) - before;
	p->next = dtp->programs;
	dtp->programs = p;
	return p;
}

PUBLIC dtrace_prog_t *
dtrace_program_strcompile(dtrace_hdl_t *dtp, const char *text, dtrace_probespec_t spec,
			  unsigned flags, int argc, char *const argv[])
{
	cleanup_free char *whole = with_spec(text, spec);

	return compile(dtp, whole, flags, argc, argv);
}

PUBLIC dtrace_prog_t *
dtrace_program_fcompile(dtrace_hdl_t *dtp, FILE *file, unsigned flags, int argc, char *const argv[])
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char buf[4096];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
		strbuf_add(&b, buf, n);
	if (ferror(file)) {
		error_set(&dtp->err, EIO, "cannot read the program");
		return NULL;
	}
	return compile(dtp, b.data ? b.data : "", flags, argc, argv);
}

PUBLIC int
dtrace_program_exec(dtrace_hdl_t *dtp, dtrace_prog_t *program, dtrace_proginfo_t *ret)
{
	(void)dtp;
	if (ret)
		ret->dpi_matches = (unsigned)program->matches;
	return 0;
}

PUBLIC int
dtrace_go(dtrace_hdl_t *dtp)
{
	error_done(&dtp->err);
	if (dt_enable(dtp->dt, &dtp->err) < 0)
		return fail(dtp);
	dtp->going = true;
	return 0;
}

/* What is still in the buffers is for the next dtrace_work(): END comes behind it. */
PUBLIC int
dtrace_stop(dtrace_hdl_t *dtp)
{
	error_done(&dtp->err);
	if (dtp->stopped)
		return 0;
	dt_stop(dtp->dt);
	dtp->stopped = true;
	return dt_fire(dtp->dt, "END", &dtp->err) < 0 ? fail(dtp) : 0;
}

PUBLIC void
dtrace_sleep(dtrace_hdl_t *dtp)
{
	if (dtp->going && dt_deadman_start(dtp->dt, &dtp->err) < 0)
		return; /* dtrace_errno() has it */
	if (dtp->dt->more)
		return;
	poll(NULL, 0, (int)(dtp->dt->opts.switchrate_ns / 1000000));
}

PUBLIC dtrace_workstatus_t
dtrace_work(dtrace_hdl_t *dtp, FILE *out, dtrace_consume_probe_f *pfunc, dtrace_consume_rec_f *rfunc,
	    void *arg)
{
	int r;

	error_done(&dtp->err);
	dtp->on_probe = pfunc;
	dtp->on_rec = rfunc;
	dtp->arg = arg;
	open_out(dtp, out);
	r = dt_consume(dtp->dt, 0, &dtp->err);
	close_out(dtp);
	if (r < 0)
		return (dtrace_workstatus_t)fail(dtp);
	return dtp->dt->exiting || dtp->stopped ? DTRACE_WORKSTATUS_DONE : DTRACE_WORKSTATUS_OKAY;
}

PUBLIC int
dtrace_status(dtrace_hdl_t *dtp)
{
	return dtp->stopped	   ? DTRACE_STATUS_STOPPED
	       : dtp->dt->exiting ? DTRACE_STATUS_EXITED
	       : dtp->going	   ? DTRACE_STATUS_OKAY
				   : DTRACE_STATUS_NONE;
}

PUBLIC int
dtrace_exit_status(dtrace_hdl_t *dtp)
{
	return dtp->dt->exit_status;
}

/* --- aggregations */

PUBLIC int
dtrace_aggregate_snap(dtrace_hdl_t *dtp)
{
	struct dt_agg_snap *snap;

	error_done(&dtp->err);
	if (dt_agg_snap(dtp->dt, &snap, &dtp->err) < 0)
		return fail(dtp);
	dt_agg_snap_free(dtp->snap);
	dtp->snap = snap;
	return 0;
}

static dtrace_actkind_t
key_kind(const struct rec *rec)
{
	switch (rec->kind) {
	case REC_STACK:
		return DTRACEACT_STACK;
	case REC_USTACK:
		return DTRACEACT_USTACK;
	case REC_USYM:
	case REC_KSYM:
		return kind_of(&(struct act){.action = rec->action});
	case REC_INT:
	case REC_STRING:
	case REC_BYTES:
	case REC_PROBE:
	case REC_FRAMES:
		break;
	}
	return DTRACEACT_DIFEXPR;
}

/* How an aggregation's values are laid out for a program: which words of ours, behind what. */
struct layout {
	dtrace_actkind_t kind;
	size_t first, n; /* words */
	bool has_params;
};

static struct layout
layout_of(const struct agg *a)
{
	switch (a->func) {
	case AGG_COUNT:
		return (struct layout){DTRACEAGG_COUNT, 0, 1, false};
	case AGG_MIN:
		return (struct layout){DTRACEAGG_MIN, 1, 1, false};
	case AGG_MAX:
		return (struct layout){DTRACEAGG_MAX, 1, 1, false};
	case AGG_SUM:
		return (struct layout){DTRACEAGG_SUM, 1, 1, false};
	case AGG_AVG:
		return (struct layout){DTRACEAGG_AVG, 0, 2, false};
	case AGG_STDDEV:
		return (struct layout){DTRACEAGG_STDDEV, 0, 4, false};
	case AGG_QUANTIZE:
		return (struct layout){DTRACEAGG_QUANTIZE, 1, DTRACE_QUANTIZE_NBUCKETS, false};
	case AGG_LQUANTIZE:
		return (struct layout){DTRACEAGG_LQUANTIZE, 1, a->n_words - 1, true};
	case AGG_LLQUANTIZE:
		return (struct layout){DTRACEAGG_LLQUANTIZE, 1, a->n_words - 1, true};
	case AGG_NONE:
		break;
	}
	return (struct layout){DTRACEACT_NONE, 0, 0, false};
}

static uint64_t
params_of(const struct agg *a)
{
	const int64_t *p = a->params;

	if (a->func == AGG_LQUANTIZE)
		return (uint64_t)p[2] << 48 | ((uint64_t)(a->n_words - 3) & 0xffff) << 32 | (uint32_t)p[0];
	return (uint64_t)p[0] << 48 | ((uint64_t)p[1] & 0xffff) << 32 | ((uint64_t)p[2] & 0xffff) << 16 |
	       ((uint64_t)p[3] & 0xffff);
}

static dtrace_aggdesc_t *
aggdesc_new(const struct agg *a, const struct layout *l)
{
	size_t n = a->n_keys + 2, keys = sizeof(dtrace_aggvarid_t), at = keys + ((a->key_size + 7) & ~(size_t)7);
	dtrace_aggdesc_t *d = xcalloc(1, sizeof(*d) + n * sizeof(d->dtagd_rec[0]));

	d->dtagd_name = a->name;
	d->dtagd_varid = a->id;
	d->dtagd_id = a->id + 1;
	d->dtagd_nrecs = (int)n;
	d->dtagd_rec[0] = (dtrace_recdesc_t){.dtrd_action = DTRACEACT_DIFEXPR, .dtrd_size = (uint32_t)keys,
					     .dtrd_alignment = 8};
	for (size_t i = 0; i < a->n_keys; i++)
		d->dtagd_rec[i + 1] = (dtrace_recdesc_t){.dtrd_action = key_kind(&a->keys[i]),
							 .dtrd_size = (uint32_t)a->keys[i].size,
							 .dtrd_offset = (uint32_t)(keys + a->keys[i].offset),
							 .dtrd_alignment = 1,
							 .dtrd_arg = is_string(&a->keys[i])};
	d->dtagd_rec[n - 1] = (dtrace_recdesc_t){.dtrd_action = l->kind,
						 .dtrd_size = (uint32_t)(8 * (l->n + l->has_params)),
						 .dtrd_offset = (uint32_t)at, .dtrd_alignment = 8};
	d->dtagd_size = (uint32_t)at + d->dtagd_rec[n - 1].dtrd_size;
	return d;
}

struct walk {
	dtrace_hdl_t *dtp;
	dtrace_aggregate_f *fn;
	void *arg;
};

static int
on_row(void *arg, struct agg *a, const struct dt_agg_row *row)
{
	static const int next[] = {[DTRACE_AGGWALK_NEXT] = AGG_NEXT,	 [DTRACE_AGGWALK_ABORT] = AGG_STOP,
				   [DTRACE_AGGWALK_CLEAR] = AGG_CLEAR,	 [DTRACE_AGGWALK_NORMALIZE] = AGG_NEXT,
				   [DTRACE_AGGWALK_DENORMALIZE] = AGG_NEXT, [DTRACE_AGGWALK_REMOVE] = AGG_REMOVE};
	struct walk *w = arg;
	struct layout l = layout_of(a);
	cleanup_free dtrace_aggdesc_t *desc = aggdesc_new(a, &l);
	cleanup_free char *data = xcalloc(1, desc->dtagd_size);
	const dtrace_recdesc_t *result = &desc->dtagd_rec[desc->dtagd_nrecs - 1];
	dtrace_aggdata_t d = {.dtada_handle = w->dtp, .dtada_desc = desc, .dtada_data = data,
			      .dtada_normal = (uint64_t)a->normal, .dtada_size = desc->dtagd_size};
	uint64_t params = params_of(a);
	int said;

	memcpy(data, &desc->dtagd_varid, sizeof(desc->dtagd_varid));
	memcpy(data + sizeof(desc->dtagd_varid), row->key, a->key_size);
	if (l.has_params)
		memcpy(data + result->dtrd_offset, &params, 8);
	memcpy(data + result->dtrd_offset + 8 * l.has_params, row->words + l.first, 8 * l.n);
	said = w->fn(&d, w->arg);
	if (said < 0 || said >= (int)ARRAY_SIZE(next))
		return -ECANCELED;
	if (said == DTRACE_AGGWALK_NORMALIZE)
		a->normal = d.dtada_normal ? (int64_t)d.dtada_normal : 1;
	if (said == DTRACE_AGGWALK_DENORMALIZE)
		a->normal = 1;
	return next[said];
}

/* In the order that the two options would give; -1: as they are. */
static int
walk(dtrace_hdl_t *dtp, dtrace_aggregate_f *fn, void *arg, int by_key, int down)
{
	struct dt_opts *o = &dtp->dt->opts, before = *o;
	struct walk w = {dtp, fn, arg};
	int r;

	error_done(&dtp->err);
	if (!dtp->snap && dtrace_aggregate_snap(dtp) < 0)
		return -1;
	if (by_key >= 0) {
		o->aggsortkey = by_key;
		o->aggsortrev = down;
	}
	r = dt_agg_snap_walk(dtp->dt, dtp->snap, on_row, &w);
	o->aggsortkey = before.aggsortkey;
	o->aggsortrev = before.aggsortrev;
	return r < 0 ? (error_set(&dtp->err, -r, "the program that reads wants no more"), -1) : 0;
}

/* name, what it sorts by, how: one row a function */
#define WALKS(X)                                                                                   \
	X(dtrace_aggregate_walk, -1, -1)                                                           \
	X(dtrace_aggregate_walk_sorted, -1, -1)                                                    \
	X(dtrace_aggregate_walk_keysorted, true, false)                                            \
	X(dtrace_aggregate_walk_valsorted, false, false)                                           \
	X(dtrace_aggregate_walk_keyrevsorted, true, true)                                          \
	X(dtrace_aggregate_walk_valrevsorted, false, true)                                         \
	X(dtrace_aggregate_walk_keyvarsorted, true, false)                                         \
	X(dtrace_aggregate_walk_valvarsorted, false, false)                                        \
	X(dtrace_aggregate_walk_keyvarrevsorted, true, true)                                       \
	X(dtrace_aggregate_walk_valvarrevsorted, false, true)

#define WALK(name, by_key, down)                                                                   \
	PUBLIC int name(dtrace_hdl_t *dtp, dtrace_aggregate_f *fn, void *arg)                      \
	{                                                                                          \
		return walk(dtp, fn, arg, by_key, down);                                           \
	}
WALKS(WALK)

static int
clear_row(const dtrace_aggdata_t *data, void *arg)
{
	return DTRACE_AGGWALK_CLEAR;
}

PUBLIC void
dtrace_aggregate_clear(dtrace_hdl_t *dtp)
{
	if (dtrace_aggregate_snap(dtp) == 0)
		walk(dtp, clear_row, NULL, -1, -1);
}

PUBLIC int
dtrace_aggregate_print(dtrace_hdl_t *dtp, FILE *out, dtrace_aggregate_walk_f *how)
{
#define ROW(name, by_key, down) {name, by_key, down},
	static const struct {
		dtrace_aggregate_walk_f *walk;
		int by_key, down;
	} rows[] = {WALKS(ROW)};
	struct dt_opts *o = &dtp->dt->opts, before = *o;
	int r;

	error_done(&dtp->err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].walk != how || rows[i].by_key < 0)
			continue;
		o->aggsortkey = rows[i].by_key;
		o->aggsortrev = rows[i].down;
	}
	open_out(dtp, out);
	r = dt_aggs_print(dtp->dt, &dtp->err);
	if (r == 0 && (r = hand_over(dtp, false)) < 0)
		error_set(&dtp->err, -r, "the program that reads wants no more");
	close_out(dtp);
	o->aggsortkey = before.aggsortkey;
	o->aggsortrev = before.aggsortrev;
	return r < 0 ? fail(dtp) : 0;
}

/* --- names */

static int
put_text(const char *text, char *buf, int size)
{
	return snprintf(buf, size > 0 ? (size_t)size : 0, "%s", text);
}

PUBLIC int
dtrace_addr2str(dtrace_hdl_t *dtp, uint64_t addr, char *buf, int size)
{
	cleanup_free char *text = show_symbol(dtp->dt, addr, true);

	return put_text(text, buf, size);
}

PUBLIC int
dtrace_uaddr2str(dtrace_hdl_t *dtp, int pid, uint64_t addr, char *buf, int size)
{
	cleanup_free char *text = usyms_show(dtp->dt->usyms, pid, addr, false, USYM_FRAME);

	return put_text(text, buf, size);
}

PUBLIC int
dtrace_probe_iter(dtrace_hdl_t *dtp, const dtrace_probedesc_t *desc, dtrace_probe_f *fn, void *arg)
{
	cleanup_free char *text =
		desc ? str_printf("%s:%s:%s:%s", desc->dtpd_provider, desc->dtpd_mod,
				  desc->dtpd_func, desc->dtpd_name)
		     : xstrdup(":::");
	cleanup_free struct probe **found = NULL;
	size_t n = 0;
	int r = 0;

	error_done(&dtp->err);
	if (dt_probes_match(dtp->dt, text, 1, &found, &n, &dtp->err) < 0)
		return fail(dtp);
	for (size_t i = 0; i < n && r == 0; i++) {
		dtrace_probedesc_t d;

		describe(found[i], &d);
		if (desc && desc->dtpd_id && desc->dtpd_id != found[i]->id)
			continue;
		r = fn(dtp, &d, arg);
	}
	return r;
}
