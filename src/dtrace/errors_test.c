/*
 * Programs that must be refused: one in testdata/errors for each tag, and what is
 * said of it.  Its file is named as the tag.
 */
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "dtrace/dt.h"

static char *
compile(const char *text, size_t len)
{
	cleanup_free char *lib = str_printf("syslibdir=%s", test_data("src/dtrace/lib"));
	cleanup_error struct error err = ERROR_INIT;
	struct dt *dt;
	char *said;
	int r;

	if ((r = dt_open(&dt, &err)) < 0)
		return str_printf("%s\n", error_message(&err));
	r = dt_set_option(dt, lib, &err);
	if (r == 0)
		r = dt_compile(dt, text, len, "test.d", &err);
	said = r < 0 ? str_printf("[%s] %s\n", err.path ? err.path : "-", error_message(&err))
		     : xstrdup("it compiles\n");
	dt_close(dt);
	return said;
}

TEST(every_tag_has_its_program)
{
	if (!file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs a kernel with BTF");
	test_golden("src/dtrace/testdata/errors", compile);
}
