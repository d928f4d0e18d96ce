/* The daemon: recovery first, then VMs that start with the node, then HTTP. */
#include <signal.h>

#include "base/cli.h"
#include "base/log.h"
#include "vm/vm.h"
#include "vm/vm_ops.h"
#include "vm/vminfod.h"

static void
on_signal(struct event_source *s, int signo, void *arg)
{
	event_quit(arg, 0);
}

static void
recover(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv done = STRV_INIT;

	if (vm_recover(&done, &err) < 0)
		log_error("%s", error_message(&err));
	for (size_t i = 0; i < done.n; i++)
		log_info("%s", done.v[i]);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_event struct event_loop *loop = NULL;
	struct vminfod *d CLEANUP(vminfod_freep) = NULL;
	struct event_source *term = NULL, *intr = NULL;

	cli_init(argv[0]);
	log_init("vminfod");
	if (argc > 1)
		return cli_usage_text(cli_asks_help(argc, argv), "vminfod");
	vm_ops = &vm_ops_real;
	recover();
	if (event_new(&loop, &err) < 0 ||
	    event_add_signal(loop, SIGTERM, on_signal, loop, &term, &err) < 0 ||
	    event_add_signal(loop, SIGINT, on_signal, loop, &intr, &err) < 0 ||
	    vminfod_start(loop, VMINFOD_PORT, &d, NULL, &err) < 0)
		return cli_error(&err);
	log_info("serving 127.0.0.1:%d", VMINFOD_PORT);
	return event_run(loop) < 0 ? CLI_FAILED : CLI_OK;
}
