/*
 * Programs that run: each D program of testdata/run must print what its .ok
 * says.  Needs root and a kernel with BTF.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/run.h"

static char *
run_program(const char *text, size_t len)
{
	cleanup_free char *path = str_printf("%s/test.d", test_tmpdir());
	cleanup_free char *lib = str_printf("-xsyslibdir=%s", test_data("src/dtrace/lib"));
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *out = NULL;
	int status = 0;

	if (file_write_atomic(path, text, len, 0600, &err) < 0 ||
	    run_capture((const char *const[]){test_built("src/dtrace/dtrace"), lib, "-xargref", "-qs", path, "arg1",
					      "42", NULL},
			&out, &status, &err) < 0)
		return str_printf("%s\n", error_message(&err));
	return str_printf("%s-- exit status %d\n", out, status);
}

TEST(programs_print_what_they_should)
{
	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	test_golden("src/dtrace/testdata/run", run_program);
}
