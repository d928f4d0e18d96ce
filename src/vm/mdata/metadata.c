/* metadata: the daemon that answers guests' metadata requests. */
#include <signal.h>

#include "base/cli.h"
#include "base/log.h"
#include "vm/mdata/agent.h"

static void
on_signal(struct event_source *s, int signo, void *arg)
{
	event_quit(arg, 0);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_event struct event_loop *loop = NULL;
	struct mdata_agent *agent CLEANUP(mdata_agent_freep) = NULL;
	struct event_source *term = NULL, *intr = NULL;

	cli_init(argv[0]);
	log_init("metadata");
	if (argc > 1)
		return cli_usage_text(cli_asks_help(argc, argv), "metadata");
	if (event_new(&loop, &err) < 0 ||
	    event_add_signal(loop, SIGTERM, on_signal, loop, &term, &err) < 0 ||
	    event_add_signal(loop, SIGINT, on_signal, loop, &intr, &err) < 0 ||
	    mdata_agent_start(loop, &agent, &err) < 0)
		return cli_error(&err);
	log_info("serving");
	return event_run(loop) < 0 ? CLI_FAILED : CLI_OK;
}
