/*
 * bhyvectl(8): asks a running machine over its control socket.  bhyvectl's own
 * spelling (--vm=NAME --force-reset) and verbs (bhyvectl reset NAME) both work.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/ipc.h"
#include "base/str.h"
#include "os/run.h"
#include "vmm/ctl.h"

static const struct verb {
	const char *name, *request;
	const char *flag; /* bhyvectl(8)'s own option for it, or NULL */
	const char *arg;  /* what it takes, or NULL */
	bool show;	  /* prints the answer */
	const char *help;
} verbs[] = {
	{"status", "status", "get-all", NULL, true, "what it is and does"},
	{"stop", "stop", NULL, NULL, false, "press the power button"},
	{"poweroff", "poweroff", "force-poweroff", NULL, false, "switch it off"},
	{"destroy", "poweroff", "destroy", NULL, false, "the same"},
	{"reset", "reset", "force-reset", NULL, false, "reset it"},
	{"nmi", "nmi", "inject-nmi", NULL, false, "send a non-maskable interrupt"},
	{"pause", "suspend", NULL, NULL, false, "stop its processors"},
	{"resume", "resume", "resume", NULL, false, "let them go on"},
	{"snapshot", "snapshot", "checkpoint", "FILE", true, "write it to a file; it goes on"},
	{"suspend", "save", "suspend", "FILE", true, "write it to a file and end it"},
	{"migrate", "migrate", "migrate", "ADDRESS", true, "send it to a waiting bhyve -r ADDRESS"},
	{"migrate-cancel", "migrate-cancel", NULL, NULL, false, "let it stay"},
	{"migrate-status", "migrate-status", NULL, NULL, true, "how far it is"},
	{"device-add", "device-add", NULL, "SLOT,DEVICE", false, "a PCI device, as -s has it"},
	{"device-remove", "device-remove", NULL, "SLOT", false, "ask the guest to let go of it"},
	{"gdb", "gdb", NULL, "ADDR:PORT|unix=PATH", false, "let a debugger connect there"},
	{"stats", "stats", "get-stats", NULL, true, "exits of each processor"},
	{"devices", "devices", NULL, NULL, true, "its PCI devices"},
	{"screenshot", "screenshot", NULL, "FILE", false, "what its screen shows, as a PNG"},
	{"balloon", "balloon", NULL, NULL, true, "memory it makes do with"},
	{"set-balloon", "set-balloon", NULL, "SIZE", false, "ask it to make do with so much"},
	{"refresh", "refresh", NULL, NULL, false, "look how large its disks are now"},
};

static void
usage(FILE *out)
{
	fprintf(out, "usage: bhyvectl VERB NAME [ARGUMENT]\n"
		     "       bhyvectl --vm=NAME --OPTION[=ARGUMENT]\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-14s %-10s %-15s %s\n", verbs[i].name,
			verbs[i].arg ? verbs[i].arg : "", verbs[i].flag ? verbs[i].flag : "",
			verbs[i].help);
	fprintf(out, "migrate takes --downtime=MS: how long the guest may stand still (300); ADDRESS is\n"
		     "unix=PATH, tcp=ADDR:PORT, or \"-- PROGRAM [ARGUMENT]...\", which carries the stream:\n"
		     "  bhyvectl migrate NAME -- ssh -W /tmp/move.sock NODE\n");
}

static const struct verb *
find(const char *name, size_t len, bool flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *is = flag ? verbs[i].flag : verbs[i].name;

		if (is && strlen(is) == len && memcmp(is, name, len) == 0)
			return &verbs[i];
	}
	return NULL;
}

struct call {
	const struct verb *verb;
	const char *name, *arg, *downtime;
	char **program; /* whose standard input and output lead to the other side; NULL: none */
};

/* While one request is being worked on, another connection tells how far it is. */
static void
show_progress(const char *path)
{
	cleanup_ipc_message struct ipc_message answer = IPC_MESSAGE_INIT;
	cleanup_json struct json *request = json_new_object();
	cleanup_close int fd = -1;

	json_set_str(request, "request", "migrate-status");
	/* It may just have ended: then the first connection says so. */
	if (ipc_connect(path, &fd, NULL) < 0 || ipc_call(fd, request, NULL, 0, &answer, NULL) < 0)
		return;
	fprintf(stderr, "round %lld, %lld MiB sent, %lld MiB in the last round\n",
		(long long)json_int(json_get(answer.body, "round"), 0),
		(long long)json_int(json_get(answer.body, "bytes"), 0) >> 20,
		(long long)json_int(json_get(answer.body, "left"), 0) >> 20);
}

static int
wait_for(int fd, const char *path, struct ipc_message *answer, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct json *e;
	int r;

	while ((r = poll(&p, 1, 1000)) <= 0) {
		if (r < 0 && errno != EINTR)
			return error_set_errno(err, errno, "poll");
		show_progress(path);
	}
	r = ipc_recv(fd, answer, err);
	if (r != 0)
		return r < 0 ? r : error_set(err, EPIPE, "it ended");
	e = json_get(answer->body, "error");
	if (!e)
		return 0;
	return error_set(err, (int)json_int(json_get(e, "code"), EIO), "%s",
			 json_str(json_get(e, "message"), "it failed"));
}

/* *ret_fd: our end of its standard input and output. */
static int
start_program(char **argv, struct run_child *child, int *ret_fd, struct error *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "socketpair");
	r = run_start((const char *const *)argv,
		      &(struct run_opts){.in_fd = pair[1], .out_fd = pair[1], .err = RUN_INHERIT,
					 .die_with_parent = true}, child, err);
	close(pair[1]);
	if (r < 0)
		close(pair[0]);
	else
		*ret_fd = pair[0];
	return r;
}

static int
call(const struct call *c, struct error *err)
{
	cleanup_free char *path = *c->name == '/' ? xstrdup(c->name)
						  : str_printf("%s/%s.sock", CTL_DIR, c->name);
	cleanup_ipc_message struct ipc_message answer = IPC_MESSAGE_INIT;
	cleanup_json struct json *request = json_new_object();
	struct run_child child = {.pid = -1};
	cleanup_close int stream = -1;
	cleanup_close int fd = -1;
	uint64_t downtime;
	int r;

	json_set_str(request, "request", c->verb->request);
	if (c->arg)
		json_set_str(request, "arg", c->arg);
	if (c->downtime) {
		if (str_to_u64(c->downtime, 10, &downtime) < 0)
			return error_set(err, EINVAL, "--downtime: expected milliseconds");
		json_set_int(request, "downtime", (int64_t)downtime);
	}
	r = ipc_connect(path, &fd, err);
	if (r == 0 && c->program)
		r = start_program(c->program, &child, &stream, err);
	if (r == 0)
		r = ipc_send(fd, request, &stream, stream >= 0, err);
	cleanup_closep(&stream); /* the machine's from now on: its end is the program's end */
	if (r == 0)
		r = wait_for(fd, path, &answer, err);
	if (child.pid >= 0)
		run_abort(&child);
	if (r < 0)
		return error_wrap(err, r, "%s", c->name);
	if (c->verb->show) {
		cleanup_free char *text = json_print(answer.body, true);

		fputs(text, stdout);
	}
	return 0;
}

/* One word of the command line; false: it does not fit. */
static bool
take_word(struct call *c, char *word)
{
	const char *flag = str_after(word, "--");
	const char *vm = flag ? str_after(flag, "vm=") : NULL;
	const char *downtime = flag ? str_after(flag, "downtime=") : NULL;
	size_t len = flag ? strcspn(flag, "=") : strlen(word);

	if (vm) {
		c->name = vm;
	} else if (downtime) {
		c->downtime = downtime;
	} else if (!c->verb) {
		c->verb = find(flag ? flag : word, len, flag != NULL);
		if (c->verb && flag && flag[len])
			c->arg = flag + len + 1;
		return c->verb != NULL;
	} else if (flag || (c->name && c->arg)) {
		return false;
	} else if (!c->name) {
		c->name = word;
	} else {
		c->arg = word;
	}
	return true;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct call c = {0};

	cli_init(argv[0]);
	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "-h") || str_eq(argv[i], "--help")) {
			usage(stdout);
			return CLI_OK;
		}
		if (str_eq(argv[i], "--") && argv[i + 1] && c.verb && str_eq(c.verb->name, "migrate")) {
			c.program = argv + i + 1;
			break;
		}
		if (!take_word(&c, argv[i])) {
			if (c.verb)
				return cli_fail("one machine and one thing to do at a time, not "
						"\"%s\" too", argv[i]), CLI_USAGE;
			cli_fail("no verb or option \"%s\"", argv[i]);
			usage(stderr);
			return CLI_USAGE;
		}
	}
	if (!c.verb || !c.name) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (c.arg && !c.verb->arg)
		return cli_fail("%s takes no argument", c.verb->name), CLI_USAGE;
	if (!c.arg && c.verb->arg && !c.program)
		return cli_fail("%s: expected %s", c.verb->name, c.verb->arg), CLI_USAGE;
	return call(&c, &err) < 0 ? cli_error(&err) : CLI_OK;
}
