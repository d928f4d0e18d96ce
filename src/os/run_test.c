#include "os/run.h"

#include <unistd.h>

#include "base/test.h"

TEST(output_and_status)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *out = NULL;
	int status = 0;

	check_ok(RUN_OUTPUT(&out, &err, "echo", "a  b"), &err);
	check_str(out, "a  b\n");
	check_int(RUN(&err, "sh", "-c", "echo sorry >&2; exit 3"), ==, -EIO);
	check_str(error_message(&err), "sh -c echo sorry >&2; exit 3: exit status 3: sorry");
	check_ok(run_capture((const char *const[]){"sh", "-c", "kill -9 $$", NULL}, NULL, &status,
			     &err), &err);
	check_int(status, ==, 128 + 9);
	check_int(RUN(&err, "/no/such/program"), ==, -ENOENT);
	check_has(error_message(&err), "/no/such/program");
}

TEST(large_input_through_a_filter)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = xmalloc(3000001), *out = NULL;

	memset(text, 'x', 3000000);
	text[3000000] = '\0';
	check_ok(run_feed((const char *const[]){"cat", NULL}, text, 3000000, &out, NULL, &err), &err);
	check_str(out, text);
	/* A child that reads nothing is no trap. */
	check_ok(run_feed((const char *const[]){"true", NULL}, text, 3000000, NULL, NULL, &err), &err);
}

TEST(children_inherit_no_descriptors)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *out = NULL;
	int fd = dup(0);

	check_ok(RUN_OUTPUT(&out, &err, "sh", "-c", "ls /proc/self/fd | wc -l"), &err);
	check_str(out, "4\n"); /* 0 1 2 and ls's own directory */
	close(fd);
}
