/* bootparams(8): the boot parameters, one "name=value" a line. */
#include <stdio.h>

#include "base/cli.h"
#include "boot/boot_params.h"

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_map struct map *params = NULL;
	struct map_iter it = {0};
	bool help = false;
	int first;
	const struct cli_opt opts[] = {{0}};

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0) {
		cli_error(&err);
		return CLI_USAGE;
	}
	if (help || first < argc) {
		fprintf(help ? stdout : stderr, "usage: bootparams\n");
		return help ? CLI_OK : CLI_USAGE;
	}
	if (boot_params_read(&params, &err) < 0)
		return cli_error(&err);
	while (map_next(params, &it))
		printf("%s=%s\n", it.key, (const char *)it.value);
	return CLI_OK;
}
