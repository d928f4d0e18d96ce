/*
 * Records as they come: each names its clause, whose actions say how its
 * values are shown.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dtrace/keep.h"
#include "dtrace/priv.h"
#include "dtrace/show.h"
#include "dtrace/unwinder.h"

/* Walks the values of one act. */
struct values {
	struct dt *dt;
	const struct act *act;
	const char *data;
	size_t i;
	char *text; /* of the last one, if it was made */
};

static bool
next_value(void *arg, struct value *ret)
{
	struct values *v = arg;
	const struct rec *rec;

	if (v->i >= v->act->n_recs)
		return false;
	rec = &v->act->recs[v->i++];
	if (show_by_name(rec)) {
		free(v->text);
		v->text = show_key(v->dt, rec, v->data);
		*ret = (struct value){.text = v->text};
	} else {
		*ret = show_value(v->dt, rec, v->data);
	}
	return true;
}

/* Columns for the digits of any value of the size. */
static int
number_width(const struct value *v)
{
	return v->size == 1 ? 3 : v->size == 2 ? 5 : v->size == 4 ? 10 : v->is_signed ? 19 : 20;
}

/* trace(): numbers in columns, text as it is. */
static void
show_trace(struct dt *dt, const struct act *a, const char *data)
{
	const struct rec *rec = &a->recs[0];
	struct value v;

	if (show_by_name(rec)) {
		cleanup_free char *text = show_key(dt, rec, data);

		fputs(text, dt->out);
		return;
	}
	v = show_value(dt, rec, data);
	if (dt->opts.rawbytes && (rec->kind == REC_BYTES || rec->kind == REC_STRING)) {
		show_bytes(dt, (const unsigned char *)data + rec->offset, rec->size);
		return;
	}
	if (rec->kind == REC_BYTES && is_text_bytes((const unsigned char *)data + rec->offset, rec->size)) {
		fprintf(dt->out, dt->opts.quiet ? "%.*s" : "  %-33.*s", (int)rec->size,
			data + rec->offset);
		return;
	}
	if (rec->kind == REC_BYTES) {
		show_bytes(dt, (const unsigned char *)data + rec->offset, rec->size);
		return;
	}
	if (v.text)
		fprintf(dt->out, dt->opts.quiet ? "%s" : "  %-33s", v.text);
	else if (dt->opts.quiet)
		fprintf(dt->out, v.is_signed ? "%lld" : "%llu", (long long)v.number);
	else
		fprintf(dt->out, v.is_signed ? " %*lld" : " %*llu", number_width(&v),
			(long long)v.number);
}

/* The text of a format with its values; the caller's. */
static char *
formatted(struct dt *dt, const struct act *a, const char *data)
{
	struct values v = {dt, a, data, 0};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	format_print(f, dt, a->format, next_value, &v, NULL);
	free(v.text);
	fclose(f);
	return text;
}

/* "error on enabled probe ID 2 (ID 1: dtrace:::BEGIN)"; the caller's. */
static char *
failed_at(struct dt *dt, const struct rec_head *h)
{
	const struct probe *p = dt->probes[h->probe - 1];

	return str_printf("error on enabled probe ID %u (ID %u: %s:%s:%s:%s)",
			  (h->clause & ~DT_FAULT) + 1, p->id, p->prov, p->mod, p->func, p->name);
}

static void
tell_where(struct dt *dt, const struct rec_head *h)
{
	cleanup_free char *who = failed_at(dt, h);

	fflush(dt->out);
	fprintf(stderr, "dtrace: %s: ", who);
}

/* freopen(""): back to where output went at first.  A file that cannot be opened is told of. */
static int
show_freopen(struct dt *dt, const struct act *a, const char *data, struct error *err)
{
	cleanup_free char *path = formatted(dt, a, data);
	FILE *f;

	if (dt->remote)
		return priv_deed(dt, DEED_REOPEN, path, err);
	f = *path ? fopen(path, "ae") : NULL;
	if (*path && !f) {
		tell_where(dt, (const struct rec_head *)(const void *)data);
		fprintf(stderr, "couldn't freopen() \"%s\": %m\n", path);
		return 0;
	}
	fflush(dt->out);
	if (dt->reopened)
		fclose(dt->out);
	else
		dt->first_out = dt->out;
	dt->reopened = f;
	dt->out = f ? f : dt->first_out;
	return 0;
}

static int
show_ftruncate(struct dt *dt, struct error *err)
{
	struct stat st;

	if (dt->remote)
		return priv_deed(dt, DEED_TRUNCATE, "", err);
	fflush(dt->out);
	/* Pipes and terminals have nothing that could be cut. */
	if (fstat(fileno(dt->out), &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (ftruncate(fileno(dt->out), 0) < 0)
		return error_set_errno(err, errno, "ftruncate()");
	rewind(dt->out);
	return 0;
}

static int
show_setopt(struct dt *dt, const struct act *a, const char *data)
{
	struct value name = show_value(dt, &a->recs[0], data);
	const char *value = a->n_recs > 1 ? show_value(dt, &a->recs[1], data).text : NULL;
	cleanup_free char *assignment =
		value ? str_printf("%s=%s", name.text, value) : xstrdup(name.text);
	cleanup_error struct error why = ERROR_INIT;

	if (dt_set_runtime_option(dt, assignment, &why) < 0) {
		tell_where(dt, (const struct rec_head *)(const void *)data);
		fprintf(stderr, "couldn't set option \"%s\" to \"%s\": %s\n", name.text,
			value ? value : "1", error_message(&why));
	}
	return 0;
}

/* panic(): the kernel stops, as sysrq's crash does. */
static int
show_panic(struct dt *dt, struct error *err)
{
	if (dt->remote) /* the compiler refused it, or -w was */
		abort();
	return file_write("/proc/sysrq-trigger", "c", err);
}

static int
show_system(struct dt *dt, const struct act *a, const char *data, struct error *err)
{
	cleanup_free char *command = formatted(dt, a, data);

	if (dt->remote)
		return priv_deed(dt, DEED_SYSTEM, command, err);
	fflush(dt->out);
	/* What system() runs is the D program's own text: destructive, so -w allowed it. */
	if (system(command) < 0)
		return error_set_errno(err, errno, "system(\"%s\")", command);
	return 0;
}

/* So many bytes of tracemem()'s: its third argument says, if there is one and it is less. */
static size_t
shown_of_memory(struct dt *dt, const struct act *a, const char *data)
{
	struct value v;

	if (a->n_recs < 2)
		return a->recs[0].size;
	v = show_value(dt, &a->recs[1], data);
	return (uint64_t)v.number < a->recs[0].size ? (size_t)v.number : a->recs[0].size;
}

/* The depth of a stack that a program has written is a number like any other. */
static int
check_depths(const struct act *a, const char *data, struct error *err)
{
	for (size_t i = 0; i < a->n_recs; i++) {
		const struct rec *rec = &a->recs[i];
		const struct stack_value *s = (const void *)(data + rec->offset);

		if (rec->kind == REC_FRAMES && s->depth > show_room(rec))
			return error_set(err, EBADMSG, "processing aborted: Data record has incorrect size");
	}
	return 0;
}

int
show_act(struct dt *dt, const struct act *a, const char *data, struct error *err)
{
	struct values v = {dt, a, data, 0};
	const char *at = a->n_recs ? data + a->recs[0].offset : data;
	cleanup_free char *text = NULL;
	uint64_t pid;
	int r = check_depths(a, data, err);

	if (r < 0)
		return r;
	switch (a->action) {
	case A_TRACE:
		show_trace(dt, a, data);
		return 0;
	case A_PRINT:
		show_print(dt, a, data);
		return 0;
	case A_PRINTF:
		format_print(dt->out, dt, a->format, next_value, &v, NULL);
		free(v.text);
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
		show_bytes(dt, (const unsigned char *)at, shown_of_memory(dt, a, data));
		return 0;
	case A_SYM:
	case A_FUNC:
	case A_MOD:
	case A_USYM:
	case A_UADDR:
	case A_UFUNC:
	case A_UMOD:
		text = show_key(dt, &a->recs[0], data);
		fprintf(dt->out, "  %-50s", text);
		return 0;
	case A_SYSTEM:
		return show_system(dt, a, data, err);
	case A_COMMIT:
	case A_DISCARD:
		return spec_end(dt, (uint64_t)show_value(dt, &a->recs[0], data).number,
				a->action == A_COMMIT, err);
	case A_SETOPT:
		return show_setopt(dt, a, data);
	case A_FREOPEN:
		return show_freopen(dt, a, data, err);
	case A_FTRUNCATE:
		return show_ftruncate(dt, err);
	case A_PANIC:
		return show_panic(dt, err);
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
	cleanup_free char *name = NULL;

	if (dt->opts.flowindent) {
		name = show_flow(dt, h);
		fprintf(dt->out, "%3u %-41s ", h->cpu, name);
		return;
	}
	if (dt->opts.quiet)
		return;
	name = str_printf("%s:%s", p->func, p->name);
	if (!dt->header_shown)
		fprintf(dt->out, dt->opts.bare ? "%.0s%.0s%32s\n" : "%3s %6s %32s\n", "CPU", "ID",
			"FUNCTION:NAME");
	dt->header_shown = true;
	if (!dt->opts.bare)
		fprintf(dt->out, "%3u %6u ", h->cpu, h->probe);
	fprintf(dt->out, "%32s ", name);
}

/* The same for who reads along and decides. */
static int
watched_record(struct dt *dt, const struct clause *cl, const char *data, uint64_t done, bool line,
	       struct error *err)
{
	const struct dt_watch *w = dt->watch;
	int r = w->begin(w->arg, data);

	if (r < 0)
		return error_set(err, -r, "the program that reads wants no more");
	if (r == WATCH_SKIP)
		return 0;
	if (line)
		show_head(dt, (const struct rec_head *)(const void *)data);
	for (const struct act *a = cl->acts; a; a = a->next) {
		if (!(done >> (a->bit & 63) & 1))
			continue;
		r = w->act(w->arg, data, a);
		/* What changes the tracing itself is not the reader's to leave out. */
		if (r >= 0 && (r == WATCH_SHOW || !a->n_recs || a->action == A_EXIT))
			r = show_act(dt, a, data, err);
		if (r < 0 || (r = w->shown(w->arg, data, a)) < 0)
			break;
	}
	if (line)
		fputc('\n', dt->out);
	if (r >= 0)
		r = w->shown(w->arg, data, NULL);
	return r < 0 && !err->code ? error_set(err, -r, "the program that reads wants no more") : r < 0 ? r : 0;
}

int
show_record(struct dt *dt, const char *data, struct error *err)
{
	const struct rec_head *h = (const struct rec_head *)(const void *)data;
	const struct clause *cl = dt->clauses[h->clause];
	bool line = cl->shows && (!dt->opts.quiet || dt->opts.flowindent);
	uint64_t done = UINT64_MAX;
	int r = 0;

	if (cl->conditional)
		memcpy(&done, data + sizeof(*h), sizeof(done));
	if (dt->opts.json && cl->shows)
		return show_json_record(dt, data, done, err);
	if (dt->watch)
		return watched_record(dt, cl, data, done, line, err);
	if (line)
		show_head(dt, h);
	for (const struct act *a = cl->acts; a && r == 0; a = a->next)
		if (done >> (a->bit & 63) & 1)
			r = show_act(dt, a, data, err);
	if (line && r == 0)
		fputc('\n', dt->out);
	return r;
}

/* --- what goes wrong */

static void
show_fault(struct dt *dt, const struct fault_rec *f)
{
	static const char *const words[] = {
		[FAULT_ADDRESS] = "invalid address",	  [FAULT_DIVIDE] = "divide-by-zero",
		[FAULT_SCRATCH] = "out of scratch space", [FAULT_ILLEGAL] = "illegal operation",
		[FAULT_KPRIV] = "invalid kernel access",  [FAULT_UPRIV] = "invalid user access"};
	cleanup_free char *where = f->statement ? str_printf("action #%u", f->statement)
						: xstrdup("predicate");
	cleanup_free char *message = NULL, *who = NULL;
	char address[32] = "";

	if (f->kind == FAULT_ADDRESS || f->kind == FAULT_KPRIV || f->kind == FAULT_UPRIV)
		snprintf(address, sizeof(address), " (0x%llx)", (unsigned long long)f->address);
	who = failed_at(dt, &f->head);
	message = str_printf("%s: %s%s in %s", who,
			     f->kind < ARRAY_SIZE(words) && words[f->kind] ? words[f->kind] : "error",
			     address, where);
	if (dt->watch && dt->watch->lost(dt->watch->arg, NULL, 1, f, message))
		return;
	fflush(dt->out);
	fprintf(stderr, "dtrace: %s\n", message);
}

struct pass {
	struct dt *dt;
	struct error *err;
};

/* exit() counts at once, though its record is shown later. */
static void
note_exit(struct dt *dt, const char *data)
{
	const struct rec_head *h = (const struct rec_head *)(const void *)data;

	for (const struct act *a = dt->clauses[h->clause]->acts; a; a = a->next) {
		if (a->action != A_EXIT)
			continue;
		dt->exiting = true;
		dt->exit_status = (int)show_value(dt, &a->recs[0], data).number;
	}
}

static int
on_record(void *ctx, void *data, size_t size)
{
	struct pass *pass = ctx;
	struct dt *dt = pass->dt;
	const struct rec_head *h = data;
	uint32_t clause = h->clause & ~DT_FAULT;
	int r;

	if ((r = dt_check_alive(dt, pass->err)) < 0)
		return r;
	if (size >= sizeof(struct unwind_miss) && h->clause == DT_MISS && dt->unwinder) {
		unwinder_miss(dt, data);
		return 0;
	}
	/* After exit() what was under way elsewhere is not shown any more. */
	if (dt->exiting && !dt->ending)
		return 0;
	if (size < sizeof(*h) || clause >= dt->n_clauses || !h->probe || h->probe > dt->n_probes ||
	    (!(h->clause & DT_FAULT) && size < dt->clauses[clause]->rec_size))
		return error_set(pass->err, EBADMSG, "malformed record of %zu bytes", size);
	if (h->clause & DT_FAULT) {
		show_fault(dt, data);
		return 0;
	}
	if (h->spec && h->spec <= dt->opts.nspec) {
		spec_keep(dt, h->spec, data, size);
		return 0;
	}
	if (dt->opts.bufpolicy != BUF_SWITCH) {
		note_exit(dt, data);
		keep(dt, data, size);
		return 0;
	}
	return show_record(dt, data, pass->err);
}

/* "dtrace: [DTRACEDROP_DYNAMIC] 12 dynamic variable drops": what is new since it was last told. */
static void
tell_drops(struct dt *dt, const char *tag, const char *what, const char *more, uint64_t now, uint64_t *seen)
{
	uint64_t n = now - *seen;

	cleanup_free char *message = NULL;

	*seen = now;
	if (!n)
		return;
	message = str_printf("%llu %s%s%s", (unsigned long long)n, what, n == 1 ? "" : "s", more);
	if (dt->watch && dt->watch->lost(dt->watch->arg, tag, n, NULL, message))
		return;
	fputs("dtrace: ", stderr);
	if (dt->opts.droptags)
		fprintf(stderr, "[DTRACEDROP_%s] ", tag);
	fprintf(stderr, "%s\n", message);
}

/* A buffer that is to be filled loses nothing: its first loss is the trace's end. */
static bool
ends_with_drops(struct dt *dt, const uint64_t *now)
{
	if (dt->opts.bufpolicy != BUF_FILL)
		return false;
	for (unsigned cpu = 0; cpu < DT_DROP_CPUS; cpu++)
		if (now[cpu])
			keep_no_more(dt);
	return true;
}

static void
tell_cpu_drops(struct dt *dt, const char *tag, const char *what, const uint64_t *now, uint64_t *seen)
{
	for (unsigned cpu = 0; cpu < DT_DROP_CPUS; cpu++) {
		char where[24];

		if (now[cpu] == seen[cpu])
			continue;
		snprintf(where, sizeof(where), " on CPU %u", cpu);
		tell_drops(dt, tag, what, where, now[cpu], &seen[cpu]);
	}
}

static void
tell_all_drops(struct dt *dt)
{
	const struct dt_shared *s = dt->shared;
	struct dt_shared *seen = dt->seen;

	if (!ends_with_drops(dt, s->drops))
		tell_cpu_drops(dt, "PRINCIPAL", "drop", s->drops, seen->drops);
	tell_cpu_drops(dt, "AGGREGATION", "aggregation drop", s->agg_drops, seen->agg_drops);
	tell_drops(dt, "DYNAMIC", "dynamic variable drop", "", s->dyn_drops, &seen->dyn_drops);
	tell_drops(dt, "SPEC", "speculative drop", "", s->spec_drops, &seen->spec_drops);
	tell_drops(dt, "SPECUNAVAIL", "failed speculation", " (no speculative buffer available)",
		   s->spec_none, &seen->spec_none);
	tell_drops(dt, "LEVEL", "nested probe drop", "", s->level_drops, &seen->level_drops);
}

#define BATCH 4096 /* records that are taken at a time */

/*
 * Probes that record faster than is shown never leave the ring empty: what else there is to do (drops,
 * ^C, exit()) comes between batches.  Once they are stopped all is taken.
 */
static int
take(struct dt *dt, int timeout_ms)
{
	int n = timeout_ms		      ? ring_buffer__poll(dt->ring, timeout_ms)
		: dt->shared->stopped == 1 ? ring_buffer__consume(dt->ring)
					      : ring_buffer__consume_n(dt->ring, BATCH);

	dt->more = n == BATCH;
	return n;
}

int
dt_consume(struct dt *dt, int timeout_ms, struct error *err)
{
	struct pass pass = {dt, err};
	int r;

	if (!dt->ring) {
		dt->pass = xcalloc(1, sizeof(pass));
		dt->seen = xcalloc(1, sizeof(*dt->seen));
		dt->ring = ring_buffer__new(dt->ring_fd, on_record, dt->pass, NULL);
		if (!dt->ring)
			return error_set_errno(err, errno, "cannot read the ring buffer");
	}
	*(struct pass *)dt->pass = pass;
	if ((r = dt_check_alive(dt, err)) < 0)
		return r;
	r = take(dt, timeout_ms);
	if (r < 0 && r != -EINTR)
		return r;
	tell_all_drops(dt);
	if (fflush(dt->out) != 0 || ferror(dt->out)) /* a full disk, a reader that is gone */
		return error_set_errno(err, errno ? errno : EIO, "cannot write the output");
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
