/* The C API: a program from text to its end, and what is said when it is wrong. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "dtrace/libdtrace.h"

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
	while (dtrace_work(dtp, out) == DTRACE_WORKSTATUS_OKAY)
		dtrace_sleep(dtp);
	check_int(dtrace_stop(dtp), ==, 0);
	check_int(dtrace_work(dtp, out), ==, DTRACE_WORKSTATUS_DONE);
	check_int(dtrace_aggregate_print(dtp, out), ==, 0);
	check_int(dtrace_status(dtp), ==, 3);
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
