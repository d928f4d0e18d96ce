/*
 * Which package and which memory node a CPU belongs to, as two inlines of D: the kernel keeps the
 * former per CPU under names that change, and /sys says both.  CPUs of one package lie together in few
 * ranges of numbers, so the inline is a chain of comparisons: "c < 8 ? 0 : c < 16 ? 1 : 0".
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "dtrace/dt.h"

/* "node3" in a CPU's directory: 3; 0 if there is none. */
static int
node_of(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int node = 0;

	while (d && (e = readdir(d))) {
		const char *digits = str_after(e->d_name, "node");

		if (digits && str_to_int(digits, &node) == 0)
			break;
	}
	if (d)
		closedir(d);
	return node;
}

/* Of a CPU that is offline nothing is known: it has the last one's. */
static int
package_of(const char *dir, int last)
{
	cleanup_free char *path = str_printf("%s/topology/physical_package_id", dir), *line = NULL;
	int package;

	if (file_read_line(path, &line, NULL) < 0 || str_to_int(line, &package) < 0 || package < 0)
		return last;
	return package;
}

static void
add_inline(struct strbuf *text, const char *name, const int *of, int n)
{
	strbuf_addf(text, "inline int %s[int c] = ", name);
	for (int i = 0; i + 1 < n; i++)
		if (of[i] != of[i + 1])
			strbuf_addf(text, "c < %d ? %d : ", i + 1, of[i]);
	strbuf_addf(text, "%d;\n", of[n - 1]);
}

char *
topology_view(const char *cpus, int n)
{
	cleanup_free int *packages = xcalloc((size_t)n, sizeof(int)), *nodes = xcalloc((size_t)n, sizeof(int));
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < n; i++) {
		cleanup_free char *dir = str_printf("%s/cpu%d", cpus, i);

		packages[i] = package_of(dir, i ? packages[i - 1] : 0);
		nodes[i] = node_of(dir);
	}
	add_inline(&text, "d_chip_of", packages, n);
	add_inline(&text, "d_lgrp_of", nodes, n);
	return strbuf_steal(&text);
}
