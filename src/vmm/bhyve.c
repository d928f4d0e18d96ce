/* bhyve(8): reads the options, builds the machine, runs it, and says how it ended. */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/event.h"
#include "vmm/machine.h"
#include "vmm/options.h"

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_config struct config *config = config_new();
	bool dump;
	int r;

	cli_init(argv[0]);
	r = options_parse(argc, argv, config, &err);
	if (r == OPTIONS_SHOWN)
		return 0;
	if (r == 0)
		r = config_bool(config, "config.dump", false, &dump, &err);
	if (r < 0) {
		cli_error(&err);
		return VM_END_ERROR;
	}
	if (dump) {
		config_dump(config, stdout);
		return 1; /* as bhyve leaves */
	}
	/* One heap for all threads: their own would cost memory and is not needed. */
	mallopt(M_ARENA_MAX, 1);
	r = machine_run(config, &err);
	if (r < 0) {
		cli_error(&err);
		return VM_END_ERROR;
	}
	return r;
}
