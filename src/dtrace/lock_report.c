/*
 * Tables of locks.
 *
 * dtrace(8) writes rows into a file without a name, a byte 036 before each and 037 between the fields:
 * what one printa() shows cannot be cut after the same number of rows of two aggregations, and the
 * caller of a lock's function is not known before its stack has names.  The program goes there by a
 * file, too, so that an error names a line and not all of it.
 */
#include "dtrace/lock_report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "os/run.h"

struct row {
	uint64_t kind, count, total;
	char *lock, *where;
};

struct rows {
	struct row *v;
	size_t n;
	uint64_t ns; /* that were traced */
};

void
lock_report_end(struct strbuf *end, size_t kind, const char *count, const char *nsec, bool stack)
{
	strbuf_addf(end, "printa(\"\\036%zu\\037%%@d\\037%%@d\\037%%s\\037%s\", @%s, @%s);\n", kind,
		    stack ? "%k" : "%s", count, nsec);
}

/* When tracing began is not when dtrace(8) did. */
char *
lock_report_program(const struct strbuf *clauses, const struct strbuf *end)
{
	return str_printf("int64_t d_begun; BEGIN { d_begun = timestamp; }\n%sEND {\n"
			  "printf(\"\\036%%d\", timestamp - d_begun);\n%s}\n", clauses->data, end->data);
}

/* Is this frame one of those through which every waiting for a lock goes? */
static bool
is_inner(const char *frame)
{
	static const char *const names[] = {
		"mutex_", "__mutex", "rwsem_", "__down", "down_", "__up", "up_", "_raw_", "native_queued_",
		"queued_", "do_raw_", "rt_mutex", "schedule", "__schedule", "trace_contention",
		"bpf_trace", "__bpf_trace", "__traceiter_contention", "osq_", "percpu_", "__percpu", "__pv_",
	};
	const char *name = strchr(frame, '`');

	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		if (str_after(name + 1, names[i]))
			return true;
	return false;
}

/* The caller: of a stack, the first frame that is not the lock's own. */
static char *
caller_of(const char *stack)
{
	cleanup_strv struct strv frames = STRV_INIT;
	size_t i = 0;

	strv_words(&frames, stack, " \n\t");
	while (i + 1 < frames.n && is_inner(frames.v[i]))
		i++;
	return xstrdup(frames.n ? frames.v[i] : "-");
}

static int
by_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int r;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	r = strcmp(x->lock, y->lock);
	return r ? r : strcmp(x->where, y->where);
}

static int
by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return by_place(a, b);
}

static void
rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		free(rows->v[i].lock);
		free(rows->v[i].where);
	}
	free(rows->v);
}

static void
take_row(struct rows *rows, const char *text, bool stacks)
{
	cleanup_strv struct strv field = STRV_INIT;
	struct row row = {0};

	strv_split(&field, text, "\037");
	if (field.n == 1)
		str_to_u64(str_trim(field.v[0]), 10, &rows->ns);
	if (field.n != 5 || str_to_u64(field.v[0], 10, &row.kind) < 0 ||
	    str_to_u64(str_trim(field.v[1]), 10, &row.count) < 0 ||
	    str_to_u64(str_trim(field.v[2]), 10, &row.total) < 0 || !row.count)
		return; /* of one of the two aggregations only: it was being written */
	row.lock = xstrdup(str_trim(field.v[3]));
	row.where = stacks ? xstrdup(str_trim(field.v[4])) : caller_of(field.v[4]);
	rows->v = xreallocarray(rows->v, rows->n + 1, sizeof(*rows->v));
	rows->v[rows->n++] = row;
}

/* Rows of the same lock and caller, which stacks told apart, become one. */
static void
merge(struct rows *rows)
{
	size_t n = 0;

	if (!rows->n)
		return;
	qsort(rows->v, rows->n, sizeof(*rows->v), by_place);
	for (size_t i = 0; i < rows->n; i++) {
		if (n && by_place(&rows->v[n - 1], &rows->v[i]) == 0) {
			rows->v[n - 1].count += rows->v[i].count;
			rows->v[n - 1].total += rows->v[i].total;
			free(rows->v[i].lock);
			free(rows->v[i].where);
		} else {
			rows->v[n++] = rows->v[i];
		}
	}
	rows->n = n;
	qsort(rows->v, n, sizeof(*rows->v), by_time);
}

static void
print_row(const struct lock_report *r, const struct row *row, uint64_t events, uint64_t *cumulated)
{
	cleanup_strv struct strv frames = STRV_INIT;

	*cumulated += row->count;
	strv_words(&frames, row->where, " \n\t");
	printf("%8llu ", (unsigned long long)row->count);
	if (r->parts)
		printf("%3.0f%% %3.0f%% %4.2f ", 100.0 * (double)row->count / (double)events,
		       100.0 * (double)*cumulated / (double)events, 0.0);
	printf("%12llu %-28s %s\n", (unsigned long long)(row->total / row->count), row->lock,
	       frames.n ? frames.v[0] : "-");
	for (size_t i = 1; i < frames.n; i++)
		printf("%*s%s\n", r->parts ? 66 : 51, "", frames.v[i]);
}

/* The rows of one kind: the first n of `row`. */
static void
print_kind(const struct lock_report *r, const struct row *row, size_t n, double seconds)
{
	uint64_t events = 0, cumulated = 0;

	for (size_t i = 0; i < n; i++)
		events += row[i].count;
	printf("\n%s", r->kinds[row->kind]);
	if (r->rates)
		printf(": %llu events in %.3f seconds (%.0f events/sec)", (unsigned long long)events,
		       seconds, (double)events / seconds);
	printf("\n\n%8s %s%12s %-28s %s\n", "Count", r->parts ? "indv cuml rcnt " : "", "nsec", "Lock",
	       r->stacks ? "Stack" : "Caller");
	printf("-------------------------------------------------------------------------------\n");
	for (size_t i = 0; i < n && (!r->rows || i < r->rows); i++)
		print_row(r, &row[i], events, &cumulated);
}

static void
print_report(const struct lock_report *r, char *text)
{
	CLEANUP(rows_done) struct rows rows = {0};
	char *save = NULL;

	for (char *row = strtok_r(text, "\036", &save); row; row = strtok_r(NULL, "\036", &save))
		take_row(&rows, row, r->stacks);
	merge(&rows);
	for (size_t i = 0, n; i < rows.n; i += n) {
		for (n = 1; i + n < rows.n && rows.v[i + n].kind == rows.v[i].kind;)
			n++;
		if (rows.v[i].kind < r->n_kinds)
			print_kind(r, &rows.v[i], n, (double)rows.ns / 1e9);
	}
}

static pid_t watched;

static void
pass_on(int sig)
{
	kill(watched, sig);
}

/* dtrace(8) with its program and for its output: its exit status. */
static int
run_dtrace(const struct lock_report *r, int program, int output, struct error *err)
{
	cleanup_free char *from = str_printf("/proc/%d/fd/%d", (int)getpid(), program);
	cleanup_free char *to = str_printf("/proc/%d/fd/%d", (int)getpid(), output);
	cleanup_free char *command = NULL;
	cleanup_strv struct strv words = STRV_INIT;
	struct run_opts opts = {.in = RUN_INHERIT, .out = RUN_INHERIT, .err = RUN_INHERIT,
				.die_with_parent = true};
	struct run_child child;
	int status, rc;

	for (char *const *w = r->command; w && *w; w++)
		strv_add(&words, *w);
	command = strv_join(&words, " ");
	rc = run_start((const char *const[]){"/usr/sbin/dtrace", "-q", "-s", from, "-o", to,
					     r->pid ? "-p" : "-c", r->pid ? r->pid : command, NULL},
		       &opts, &child, err);
	if (rc < 0)
		return rc;
	watched = child.pid;
	signal(SIGINT, SIG_IGN); /* the terminal tells dtrace, too */
	signal(SIGTERM, pass_on);
	rc = run_wait(&child, &status, err);
	return rc < 0 ? rc : status;
}

int
lock_report_run(const struct lock_report *report, const char *program)
{
	cleanup_close int text = memfd_create("program", MFD_CLOEXEC), out = memfd_create("rows", MFD_CLOEXEC);
	cleanup_free char *path = str_printf("/proc/self/fd/%d", out), *rows = NULL;
	cleanup_error struct error err = ERROR_INIT;
	int r;

	if (text < 0 || out < 0 || fd_write_all(text, program, strlen(program)) < 0) {
		fprintf(stderr, "%s: no memory for the program: %s\n", cli_name(), strerror(errno));
		return CLI_FAILED;
	}
	r = run_dtrace(report, text, out, &err);
	if (r >= 0 && r <= 1) /* what it had when it failed is shown, too */
		r = file_read(path, 0, &rows, NULL, &err) < 0 ? -1 : r;
	if (r < 0)
		fprintf(stderr, "%s: %s\n", cli_name(), error_message(&err));
	if (rows)
		print_report(report, rows);
	return r ? CLI_FAILED : CLI_OK;
}
