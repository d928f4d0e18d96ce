/* zonename(1): the name of the zone this is run in; in the global zone, "global". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/str.h"

/* Written by zoneadmd at every boot, in lx zones and in native ones. */
int
main(int argc, char **argv)
{
	static const char *const files[] = {"/native/.zonecontrol/zonename",
					    "/.zonecontrol/zonename"};
	cleanup_free char *name = NULL;

	cli_init(argv[0]);
	if (argc != 1 && !(argc == 2 && str_eq(argv[1], "-t")))
		return cli_usage_text(cli_asks_help(argc, argv), "zonename [-t]");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (file_exists(files[i]) && file_read_line(files[i], &name, NULL) == 0)
			break;
	if (argc == 2)
		puts(name ? "exclusive" : "global");
	else
		puts(name ? name : "global");
	return CLI_OK;
}
