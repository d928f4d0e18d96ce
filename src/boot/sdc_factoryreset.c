/* sdc-factoryreset(8): forget everything at the next boot. */
#include <stdio.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "boot/system_pool.h"
#include "os/run.h"
#include "store/zfs.h"

int
main(int argc, char **argv)
{
	bool yes = false, undo = false, help = false;
	const struct cli_opt opts[] = {
		{'f', NULL, CLI_FLAG, &yes, NULL, "ask nothing, and reboot"},
		{'u', NULL, CLI_FLAG, &undo, NULL, "take it back, as long as the node was not rebooted"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *pool = NULL, *var = NULL;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || help || first < argc || (yes && undo)) {
		if (err.code)
			cli_error(&err);
		fprintf(help ? stdout : stderr, "usage: sdc-factoryreset [-f | -u]\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (file_read_line(SYSTEM_POOL_FILE, &pool, NULL) < 0)
		return cli_fail("this node has no system pool");
	var = str_printf("%s/var", pool);
	if (undo)
		return zfs_unset(var, "smartdc:factoryreset", &err) < 0 ? cli_error(&err) : CLI_OK;
	if (!yes && !cli_confirm("The next boot destroys pool %s with every zone, machine and image in it.\n"
				 "Reboot now? (y/n) ", pool))
		return CLI_FAILED;
	if (zfs_set(var, ZFS_PROPS("smartdc:factoryreset=yes"), &err) < 0)
		return cli_error(&err);
	if (RUN(&err, "/usr/sbin/reboot") < 0)
		return cli_error(&err);
	return CLI_OK;
}
