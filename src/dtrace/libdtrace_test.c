/* The C API: a program from text to its end, and what is said when it is wrong. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "dtrace/libdtrace.h"
#include "os/run.h"

static dtrace_hdl_t *
open_handle(void)
{
	int error = 0;
	dtrace_hdl_t *dtp;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	dtp = dtrace_open(DTRACE_VERSION, 0, &error);
	require(dtp);
	check_int(dtrace_setopt(dtp, "syslibdir", test_data("src/dtrace/lib")), ==, 0);
	check_int(dtrace_setopt(dtp, "quiet", NULL), ==, 0);
	return dtp;
}

TEST(program_runs)
{
	dtrace_hdl_t *dtp = open_handle();
	char *const argv[] = {(char *)"7"};
	cleanup_free char *text = NULL;
	dtrace_proginfo_t info = {0};
	dtrace_prog_t *p;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	p = dtrace_program_strcompile(dtp,
				      "BEGIN { printf(\"%d\\n\", $1); @a = sum(5); exit(3); } END { printf(\"end\\n\"); }",
				      DTRACE_PROBESPEC_NAME, 0, 1, argv);
	require(p);
	check_int(dtrace_program_exec(dtp, p, &info), ==, 0);
	check_int(info.dpi_matches, ==, 2);
	check_int(dtrace_go(dtp), ==, 0);
	while (dtrace_work(dtp, out, NULL, NULL, NULL) == DTRACE_WORKSTATUS_OKAY)
		dtrace_sleep(dtp);
	check_int(dtrace_stop(dtp), ==, 0);
	check_int(dtrace_work(dtp, out, NULL, NULL, NULL), ==, DTRACE_WORKSTATUS_DONE);
	check_int(dtrace_aggregate_print(dtp, out, NULL), ==, 0);
	check_int(dtrace_exit_status(dtp), ==, 3);
	fclose(out);
	check_has(text, "7\nend\n                5\n");
	dtrace_close(dtp);
}

TEST(errors_are_told)
{
	dtrace_hdl_t *dtp = open_handle();
	int error = 0;

	check(!dtrace_program_strcompile(dtp, "BEGIN {\n nothing(); }", DTRACE_PROBESPEC_NAME, 0, 0,
					 NULL));
	check_has(dtrace_errmsg(dtp, dtrace_errno(dtp)), "line 2: undefined function name: nothing");
	check_int(dtrace_setopt(dtp, "nothing", "1"), <, 0);
	check_has(dtrace_errmsg(dtp, dtrace_errno(dtp)), "invalid option name");
	dtrace_close(dtp);
	check(!dtrace_open(99, 0, &error));
	check_int(error, ==, EINVAL);
}

TEST(flags_say_the_data_model)
{
	static const char not_eight[] = "BEGIN { x = 1 / (sizeof(long) - 8); }";
	static const int flags[] = {DTRACE_O_ILP32, DTRACE_O_LP64, 0};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		dtrace_hdl_t *dtp = dtrace_open(DTRACE_VERSION, flags[i], &error);

		require(dtp);
		check_int(dtrace_setopt(dtp, "syslibdir", test_data("src/dtrace/lib")), ==, 0);
		check(!dtrace_program_strcompile(dtp, not_eight, DTRACE_PROBESPEC_NAME, 0, 0, NULL) == (i > 0));
		dtrace_close(dtp);
	}
	check(!dtrace_open(DTRACE_VERSION, DTRACE_O_ILP32 | DTRACE_O_LP64, &error));
	check_int(error, ==, EINVAL);
}

static int
count(dtrace_hdl_t *dtp, const dtrace_probedesc_t *d, void *arg)
{
	check_str(d->dtpd_provider, "syscall");
	check_str(d->dtpd_func, "read");
	++*(int *)arg;
	return 0;
}

TEST(probes_are_listed)
{
	dtrace_hdl_t *dtp = open_handle();
	dtrace_probedesc_t d = {.dtpd_provider = "syscall", .dtpd_func = "read"};
	int n = 0;

	check_int(dtrace_probe_iter(dtp, &d, count, &n), ==, 0);
	check_int(n, ==, 2);
	dtrace_close(dtp);
}

/* --- records and aggregations one by one */

struct seen {
	char text[1024];
	int probes, ends, rows;
};

static int
on_probe(const dtrace_probedata_t *data, void *arg)
{
	struct seen *s = arg;

	s->probes++;
	check_str(data->dtpda_pdesc->dtpd_provider, "dtrace");
	return DTRACE_CONSUME_THIS;
}

static void
note(struct seen *s, const char *fmt, ...)
{
	size_t len = strlen(s->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->text + len, sizeof(s->text) - len, fmt, ap);
	va_end(ap);
}

static int
on_rec(const dtrace_probedata_t *data, const dtrace_recdesc_t *rec, void *arg)
{
	struct seen *s = arg;
	int64_t number;

	if (!rec) {
		s->ends++;
		return DTRACE_CONSUME_NEXT;
	}
	note(s, "%x/%u", rec->dtrd_action, rec->dtrd_size);
	if (rec->dtrd_action == DTRACEACT_DIFEXPR && rec->dtrd_arg != DTRACE_ARG_STRING) {
		memcpy(&number, data->dtpda_data, sizeof(number));
		note(s, "=%lld", (long long)number);
	} else if (rec->dtrd_action == DTRACEACT_DIFEXPR) {
		note(s, "=%s", data->dtpda_data);
	}
	note(s, " ");
	return rec->dtrd_action == DTRACEACT_PRINTF ? DTRACE_CONSUME_THIS : DTRACE_CONSUME_NEXT;
}

static int
on_text(const dtrace_bufdata_t *data, void *arg)
{
	note(arg, "[%s] ", data->dtbda_buffered);
	check(!data->dtbda_recdesc || data->dtbda_recdesc->dtrd_action == DTRACEACT_PRINTF);
	return DTRACE_HANDLE_OK;
}

static int
on_error(const dtrace_errdata_t *data, void *arg)
{
	note(arg, "fault %d at %llx in %d of %s ", data->dteda_fault, (unsigned long long)data->dteda_addr,
	     data->dteda_action, data->dteda_pdesc->dtpd_name);
	return DTRACE_HANDLE_OK;
}

static void
compile_and_go(dtrace_hdl_t *dtp, const char *text)
{
	dtrace_prog_t *p = dtrace_program_strcompile(dtp, text, DTRACE_PROBESPEC_NAME, 0, 0, NULL);

	if (!p || dtrace_program_exec(dtp, p, NULL) < 0 || dtrace_go(dtp) < 0)
		test_fail(__FILE__, __LINE__, "%s", dtrace_errmsg(dtp, dtrace_errno(dtp)));
}

TEST(records_are_handed_over)
{
	dtrace_hdl_t *dtp = open_handle();
	struct seen s = {0};

	check_int(dtrace_setopt(dtp, "strsize", "16"), ==, 0);
	check_int(dtrace_handle_buffered(dtp, on_text, &s), ==, 0);
	check_int(dtrace_handle_err(dtp, on_error, &s), ==, 0);
	check_int(dtrace_status(dtp), ==, DTRACE_STATUS_NONE);
	compile_and_go(dtp, "BEGIN { trace(7LL); trace(\"word\"); printf(\"%d-%s\", 5, \"x\"); }"
			    "BEGIN { trace(*(int *)16); } BEGIN { exit(3); }");
	check_int(dtrace_work(dtp, NULL, on_probe, on_rec, &s), ==, DTRACE_WORKSTATUS_DONE);
	check_str(s.text, "1/8=7 1/8=word 3/4 [5-x] fault 1 at 10 in 1 of BEGIN 2/4 ");
	check_int(s.probes, ==, 2);
	check_int(s.ends, ==, 2);
	check_int(dtrace_status(dtp), ==, DTRACE_STATUS_EXITED);
	check_int(dtrace_exit_status(dtp), ==, 3);
	check_int(dtrace_stop(dtp), ==, 0);
	check_int(dtrace_status(dtp), ==, DTRACE_STATUS_STOPPED);
	dtrace_close(dtp);
}

static int
stop_reading(const dtrace_probedata_t *data, void *arg)
{
	return DTRACE_CONSUME_ABORT;
}

TEST(reading_can_be_ended)
{
	dtrace_hdl_t *dtp = open_handle();

	compile_and_go(dtp, "BEGIN { trace(1); }");
	check_int(dtrace_work(dtp, NULL, stop_reading, NULL, NULL), ==, DTRACE_WORKSTATUS_ERROR);
	check_int(dtrace_errno(dtp), ==, ECANCELED);
	dtrace_close(dtp);
}

static int64_t
word(const dtrace_aggdata_t *data, const dtrace_recdesc_t *rec, size_t i)
{
	int64_t v;

	memcpy(&v, data->dtada_data + rec->dtrd_offset + 8 * i, sizeof(v));
	return v;
}

/* "a[x]=1 ", with the words that are not 0 for what has many. */
static int
on_agg(const dtrace_aggdata_t *data, void *arg)
{
	const dtrace_aggdesc_t *d = data->dtada_desc;
	const dtrace_recdesc_t *key = &d->dtagd_rec[1], *result = &d->dtagd_rec[d->dtagd_nrecs - 1];
	struct seen *s = arg;

	s->rows++;
	note(s, "%s", d->dtagd_name);
	if (d->dtagd_nrecs > 2)
		note(s, "[%s]", data->dtada_data + key->dtrd_offset);
	note(s, "%x", result->dtrd_action);
	for (size_t i = 0; i < result->dtrd_size / 8; i++)
		if (word(data, result, i))
			note(s, ":%zu=%llx", i, (unsigned long long)word(data, result, i));
	note(s, " ");
	return DTRACE_AGGWALK_NEXT;
}

static int
remove_b(const dtrace_aggdata_t *data, void *arg)
{
	const dtrace_recdesc_t *key = &data->dtada_desc->dtagd_rec[1];

	if (strcmp(data->dtada_data + key->dtrd_offset, "b") == 0)
		return DTRACE_AGGWALK_REMOVE;
	return DTRACE_AGGWALK_CLEAR;
}

static char *
walked(dtrace_hdl_t *dtp, dtrace_aggregate_walk_f *walk, struct seen *s)
{
	*s = (struct seen){0};
	check_int(dtrace_aggregate_snap(dtp), ==, 0);
	check_int(walk(dtp, on_agg, s), ==, 0);
	return s->text;
}

TEST(aggregations_are_walked)
{
	dtrace_hdl_t *dtp = open_handle();
	struct seen s;

	check_int(dtrace_setopt(dtp, "strsize", "16"), ==, 0);
	compile_and_go(dtp, "BEGIN { @n[\"a\"] = sum(3); @n[\"b\"] = sum(1); @n[\"c\"] = sum(2); }");
	check_str(walked(dtp, dtrace_aggregate_walk, &s), "n[b]705:0=1 n[c]705:0=2 n[a]705:0=3 ");
	check_str(walked(dtp, dtrace_aggregate_walk_keysorted, &s), "n[a]705:0=3 n[b]705:0=1 n[c]705:0=2 ");
	check_str(walked(dtp, dtrace_aggregate_walk_valrevsorted, &s), "n[a]705:0=3 n[c]705:0=2 n[b]705:0=1 ");
	check_str(walked(dtp, dtrace_aggregate_walk_keyvarrevsorted, &s), "n[c]705:0=2 n[b]705:0=1 n[a]705:0=3 ");
	/* The snapshot is what is changed, and the aggregation. */
	check_int(dtrace_aggregate_walk(dtp, remove_b, NULL), ==, 0);
	s = (struct seen){0};
	check_int(dtrace_aggregate_walk_keysorted(dtp, on_agg, &s), ==, 0);
	check_str(s.text, "n[a]705 n[c]705 ");
	check_str(walked(dtp, dtrace_aggregate_walk_keysorted, &s), "n[a]705 n[c]705 ");
	dtrace_aggregate_clear(dtp);
	dtrace_close(dtp);
}

TEST(functions_of_aggregations)
{
	dtrace_hdl_t *dtp = open_handle();
	struct seen s;

	compile_and_go(dtp, "BEGIN { @a = count(); @b = min(-4); @c = max(9); @d = avg(5); @d = avg(7); @e = stddev(3);"
			    "@f = quantize(-1); @f = quantize(8); @g = lquantize(25, 10, 40, 10); @g = lquantize(5, 10, 40, 10);"
			    "normalize(@c, 3); }");
	dtrace_work(dtp, NULL, NULL, NULL, NULL);
	check_str(walked(dtp, dtrace_aggregate_walk, &s),
		  "a701:0=1 b702:0=fffffffffffffffc c703:0=9 d704:0=2:1=c e706:0=1:1=3:2=9 "
		  "f707:62=1:67=1 g708:0=a00030000000a:1=1:3=1 ");
	check_int(DTRACE_QUANTIZE_BUCKETVAL(67), ==, 8);
	check_int(DTRACE_QUANTIZE_BUCKETVAL(62), ==, -1);
	check_int(DTRACE_QUANTIZE_BUCKETVAL(63), ==, 0);
	check_int(DTRACE_LQUANTIZE_BASE(0xa00030000000aull), ==, 10);
	check_int(DTRACE_LQUANTIZE_LEVELS(0xa00030000000aull), ==, 3);
	check_int(DTRACE_LQUANTIZE_STEP(0xa00030000000aull), ==, 10);
	dtrace_close(dtp);
}

TEST(aggregations_are_printed_to_the_handler)
{
	dtrace_hdl_t *dtp = open_handle();
	struct seen s = {0};
	char name[64];

	check_int(dtrace_handle_buffered(dtp, on_text, &s), ==, 0);
	compile_and_go(dtp, "BEGIN { @[\"x\"] = sum(1); @[\"y\"] = sum(2); }");
	check_int(dtrace_aggregate_print(dtp, NULL, dtrace_aggregate_walk_keyrevsorted), ==, 0);
	check(strstr(s.text, "  y ") && strstr(s.text, "  y ") < strstr(s.text, "  x "));
	check_int(dtrace_uaddr2str(dtp, getpid(), (uint64_t)(uintptr_t)&open_handle, name, sizeof(name)), >, 0);
	check_has(name, "open_handle");
	check_int(dtrace_addr2str(dtp, 1, name, 4), ==, 3);
	check_str(name, "0x1");
	dtrace_close(dtp);
}

/* The manual's example, as another program is built: with the header and the shared object alone. */
TEST(example_runs)
{
	cleanup_free char *dir = xstrdup(test_data("src/dtrace/lib")), *out = NULL;
	cleanup_free char *example = xstrdup(test_built("src/dtrace/dtrace-example"));
	cleanup_error struct error err = ERROR_INIT;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	setenv("DTRACE_LIBRARY", dir, 1);
	check_ok(run_capture((const char *const[]){example, "2", NULL}, &out, NULL, &err), &err);
	check_has(out, "--- second 1\n");
	check_has(out, "--- second 2\n");
	check_has(out, "dtrace-example ");
}
