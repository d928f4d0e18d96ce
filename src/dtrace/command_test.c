/*
 * The command line: each shell script of testdata/command, where $D is dtrace ($P:
 * without options), must print (on
 * both outputs) what its .ok says.  Needs root and a kernel with BTF.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/run.h"

static char *
run_script(const char *text, size_t len)
{
	cleanup_free char *path = str_printf("%s/test.sh", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	char *out = NULL;
	int status = 0;

	if (file_write_atomic(path, text, len, 0600, &err) < 0 ||
	    run_capture((const char *const[]){"sh", path, NULL}, &out, &status, &err) < 0)
		return str_printf("%s\n", error_message(&err));
	return out;
}

TEST(commands_say_what_they_should)
{
	cleanup_free char *command = str_printf("%s -xsyslibdir=%s", test_built("src/dtrace/dtrace"),
						test_data("src/dtrace/lib"));

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	if (setenv("D", command, 1) < 0 || setenv("P", test_built("src/dtrace/dtrace"), 1) < 0 || setenv("TMP", test_tmpdir(), 1) < 0)
		abort();
	test_golden("src/dtrace/testdata/command", run_script);
}
