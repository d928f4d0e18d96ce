/*
 * bhyvectl(8): asks a running machine over its control socket.  bhyvectl's own
 * spelling (--vm=NAME --force-reset) and verbs (bhyvectl reset NAME) both work.
 */
#include <stdio.h>

#include "base/cli.h"
#include "base/ipc.h"
#include "base/str.h"
#include "vmm/ctl.h"

static const struct verb {
	const char *name, *request;
	const char *flag; /* bhyvectl(8)'s own option for it, or NULL */
	bool show;	  /* prints the answer */
	const char *help;
} verbs[] = {
	{"status", "status", "get-all", true, "what it is and does"},
	{"stop", "stop", NULL, false, "press the power button"},
	{"poweroff", "poweroff", "force-poweroff", false, "switch it off"},
	{"destroy", "poweroff", "destroy", false, "the same"},
	{"reset", "reset", "force-reset", false, "reset it"},
	{"nmi", "nmi", "inject-nmi", false, "send a non-maskable interrupt"},
	{"suspend", "suspend", "suspend", false, "stop its processors"},
	{"resume", "resume", "resume", false, "let them go on"},
	{"stats", "stats", "get-stats", true, "exits of each processor"},
	{"devices", "devices", NULL, true, "its PCI devices"},
};

static void
usage(FILE *out)
{
	fprintf(out, "usage: bhyvectl VERB NAME\n       bhyvectl --vm=NAME --OPTION\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-10s %-20s %s\n", verbs[i].name, verbs[i].flag ? verbs[i].flag : "",
			verbs[i].help);
}

static const struct verb *
find(const char *name, bool flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (str_eq(flag ? verbs[i].flag : verbs[i].name, name))
			return &verbs[i];
	}
	return NULL;
}

static int
call(const struct verb *verb, const char *name, struct error *err)
{
	cleanup_free char *path = *name == '/' ? xstrdup(name) : str_printf("%s/%s.sock", CTL_DIR,
									    name);
	cleanup_ipc_message struct ipc_message answer = IPC_MESSAGE_INIT;
	cleanup_json struct json *request = json_new_object();
	cleanup_close int fd = -1;
	int r;

	json_set_str(request, "request", verb->request);
	r = ipc_connect(path, &fd, err);
	if (r == 0)
		r = ipc_call(fd, request, NULL, 0, &answer, err);
	if (r < 0)
		return error_wrap(err, r, "%s", name);
	if (verb->show) {
		cleanup_free char *text = json_print(answer.body, true);

		fputs(text, stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	const struct verb *verb = NULL;
	const char *name = NULL;

	cli_init(argv[0]);
	for (int i = 1; i < argc; i++) {
		const char *flag = str_after(argv[i], "--"), *vm = flag ? str_after(flag, "vm=") : NULL;

		if (str_eq(argv[i], "-h") || str_eq(flag, "help")) {
			usage(stdout);
			return CLI_OK;
		}
		if (vm) {
			name = vm;
			continue;
		}
		if (!verb) {
			verb = find(flag ? flag : argv[i], flag != NULL);
			if (!verb) {
				cli_fail("no verb or option \"%s\"", argv[i]);
				usage(stderr);
				return CLI_USAGE;
			}
			continue;
		}
		if (name || flag) {
			cli_fail("one machine and one thing to do at a time, not \"%s\" too", argv[i]);
			return CLI_USAGE;
		}
		name = argv[i];
	}
	if (!verb || !name) {
		usage(stderr);
		return CLI_USAGE;
	}
	return call(verb, name, &err) < 0 ? cli_error(&err) : CLI_OK;
}
