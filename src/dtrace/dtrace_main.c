/* dtrace(8) in the global zone: root traces here, others ask the broker, as zones do. */
#include "dtrace/dtrace_main.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

/* Making headers and objects, the version and the usage take no privilege. */
static bool
traces(int argc, char **argv)
{
	cleanup_free char **copy = xcalloc((size_t)argc + 1, sizeof(*copy)); /* getopt(3) sorts */
	bool yes = argc > 1;
	int opt;

	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	opterr = 0;
	while ((opt = getopt(argc, copy, DTRACE_LETTERS)) != -1)
		yes &= !strchr("hGV?", opt);
	opterr = 1;
	optind = 0; /* the next begins anew */
	return yes;
}

int
main(int argc, char **argv)
{
	if (geteuid() != 0 && traces(argc, argv))
		return dtrace_client(argc, argv);
	return dtrace_main(argc, argv, NULL, NULL);
}
