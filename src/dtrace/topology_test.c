/* What D is told of CPUs, of a tree of files as /sys has it. */
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "dtrace/dt.h"

static void
make_cpu(const char *top, int cpu, const char *package, int node)
{
	cleanup_free char *dir = str_printf("%s/cpu%d", top, cpu), *sub = str_printf("%s/topology", dir),
			  *file = str_printf("%s/physical_package_id", sub),
			  *at = str_printf("%s/node%d", dir, node);
	cleanup_error struct error err = ERROR_INIT;

	check(mkdir(dir, 0700) == 0);
	check(mkdir(at, 0700) == 0);
	if (!package)
		return;
	check(mkdir(sub, 0700) == 0);
	check_ok(file_write_atomic(file, package, strlen(package), 0600, &err), &err);
}

TEST(cpus_of_one_package_are_a_range)
{
	cleanup_free char *text = NULL, *one = NULL;
	const char *top = test_tmpdir();

	make_cpu(top, 0, "0\n", 0);
	make_cpu(top, 1, "0\n", 0);
	make_cpu(top, 2, NULL, 0); /* it is offline */
	make_cpu(top, 3, "1\n", 1);
	make_cpu(top, 4, "1\n", 2);
	make_cpu(top, 5, "0\n", 0);
	text = topology_view(top, 6);
	check_str(text, "inline int d_chip_of[int c] = c < 3 ? 0 : c < 5 ? 1 : 0;\n"
			"inline int d_lgrp_of[int c] = c < 3 ? 0 : c < 4 ? 1 : c < 5 ? 2 : 0;\n");
	one = topology_view("/nonexistent", 1);
	check_str(one, "inline int d_chip_of[int c] = 0;\ninline int d_lgrp_of[int c] = 0;\n");
}
