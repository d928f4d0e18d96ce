/* mkzpool: makes a pool from the JSON that disklayout prints. */
#include <stdio.h>

#include "base/cli.h"
#include "base/json.h"
#include "store/layout.h"
#include "store/pool.h"

int
main(int argc, char **argv)
{
	bool bootable = false, force = false, help = false;
	const char *encrypt = NULL, *altroot = NULL, *compatibility = NULL;
	const struct cli_opt opts[] = {
		{'B', NULL, CLI_FLAG, &bootable, NULL, "give each data disk boot partitions (piadm)"},
		{'f', NULL, CLI_FLAG, &force, NULL, "even if the disks look used"},
		{'R', NULL, CLI_STR, &altroot, "DIR", "mount it below DIR"},
		{'C', NULL, CLI_STR, &compatibility, "NAME", "only features of this set"},
		{'e', NULL, CLI_STR, &encrypt, "KEY", NULL},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *j = NULL;
	cleanup_layout struct layout *l = NULL;
	unsigned flags = 0;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (help || argc - first != 2) {
		fprintf(help ? stdout : stderr,
			"usage: mkzpool [-Bf] [-C COMPATIBILITY] [-R ROOT] POOL LAYOUT.json\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (encrypt)
		return cli_fail("-e: encrypted pools are not supported");
	if (json_read_file(argv[first + 1], &j, &err) < 0 || layout_parse(j, &l, &err) < 0) {
		error_wrap(&err, 0, "%s", argv[first + 1]);
		return cli_error(&err);
	}
	flags |= bootable ? POOL_BOOTABLE : 0;
	flags |= force ? POOL_CREATE_FORCE : 0;
	if (pool_create(argv[first], l, altroot, flags, compatibility, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}
