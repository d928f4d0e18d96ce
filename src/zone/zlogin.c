/*
 * zlogin(1): into a zone.
 *
 * Three ways: a login or a command in a terminal of the zone (interactive), a
 * command with pipes (its exit status becomes ours), or the zone's console, which
 * zoneadmd hands out and which survives the zone's reboots.  The descriptors of our
 * own terminal never get into the zone: whoever held them there could type into the
 * global zone's shell (TIOCSTI).
 */
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "os/pidfd.h"
#include "zone/exec.h"
#include "zone/model.h"
#include "zone/terminal.h"

#define LOGIN "/bin/login"

static struct {
	bool console, interactive, safe, no_escape, no_input, quiet, disconnect;
	const char *user, *escape;
} o;

static void
say(const char *fmt, ...)
{
	va_list ap;

	if (o.quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stdout, fmt, ap);
	va_end(ap);
	fflush(stdout);
}

static char
escape(void)
{
	return o.no_escape ? '\0' : o.escape ? o.escape[0] : '~';
}

/* ---- console ---- */

/* -d: the zone that we look at has halted. */
static bool
halted(int events, void *arg)
{
	const char *name = arg;
	struct zone_event e;
	bool yes = false;

	while (zone_events_read(events, &e, NULL) == 0) {
		yes |= str_eq(e.name, name) && e.to == ZONE_INSTALLED;
		zone_event_done(&e);
	}
	return yes;
}

static int
console(char *name)
{
	struct terminal t = TERMINAL_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	t.escape = escape();
	t.no_input = o.no_input;
	t.over = halted;
	t.arg = name;
	if ((o.disconnect && zone_events_open(&t.watch, &err) < 0) ||
	    zone_console_open(name, &fd, &err) < 0)
		return cli_error(&err);
	say("[Connected to zone '%s' console]\n", name);
	terminal_join(fd, &t);
	if (t.watch >= 0)
		zone_events_close(t.watch);
	say("\n[Connection to zone '%s' console closed]\n", name);
	return CLI_OK;
}

/* ---- in a terminal ---- */

static int
interactive(const char *name, const char *const argv[])
{
	struct zone_exec x = {
		.user = o.user, .argv = argv, .shell = true, .pty = true,
		.login = !o.safe && !(argv && argv[0]), .login_program = LOGIN,
		.size_from = isatty(0) ? 0 : -1, .term = getenv("TERM"),
	};
	cleanup_error struct error err = ERROR_INIT;
	struct terminal t = TERMINAL_INIT;
	struct zone_exec_child c;
	cleanup_close int master = -1;
	int status, r;
	bool escaped = false;

	if (zone_exec_start(name, &x, &c, &err) < 0)
		return cli_error(&err);
	if (zone_exec_terminal(&c, &master, &err) == 0) {
		say("[Connected to zone '%s' pts]\n", name);
		t.escape = escape();
		t.no_input = o.no_input;
		t.size = true;
		t.end = c.pidfd;
		escaped = terminal_join(master, &t);
	}
	if (escaped)
		pidfd_signal(c.pidfd, SIGKILL, NULL);
	if (master >= 0)
		close(steal_fd(&master));
	r = zone_exec_finish(&c, &status, &err);
	if (r < 0)
		return cli_error(&err), status;
	say("\n[Connection to zone '%s' pts closed]\n", name);
	return status;
}

/* ---- with pipes ---- */

struct copy {
	int from, to;
	bool done;
};

/* What was read is written before more is read: the zone's reader sets the pace. */
static void
copy_some(struct copy *c)
{
	char buf[65536];
	ssize_t n = read(c->from, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0 || fd_write_all(c->to, buf, (size_t)n) < 0) {
		c->done = true;
		close(c->to);
	}
}

static void
pipe_loop(struct copy *in, struct copy out[2], int end)
{
	bool ended = false;

	while (!out[0].done || !out[1].done) {
		struct pollfd p[4] = {
			{.fd = out[0].done ? -1 : out[0].from, .events = POLLIN},
			{.fd = out[1].done ? -1 : out[1].from, .events = POLLIN},
			{.fd = in->done ? -1 : in->from, .events = POLLIN},
			{.fd = ended ? -1 : end, .events = POLLIN},
		};
		int r = poll(p, 4, ended ? 0 : -1);

		if (r < 0)
			continue;
		/* the command ended; what it left running may hold the pipes for ever */
		if (ended && !p[0].revents && !p[1].revents)
			return;
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				copy_some(&out[i]);
		if (p[2].revents)
			copy_some(in);
		if (p[3].revents)
			ended = true;
	}
}

static int
piped(const char *name, const char *const argv[])
{
	int in[2], out[2], errs[2], status = 1, r;
	struct zone_exec x = {.user = o.user, .argv = argv, .shell = true, .size_from = -1};
	cleanup_error struct error err = ERROR_INIT;
	struct zone_exec_child c;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0)
		return cli_fail("pipe: %s", strerror(errno));
	x.in = in[0];
	x.out = out[1];
	x.err = errs[1];
	r = zone_exec_start(name, &x, &c, &err);
	if (r < 0)
		return cli_error(&err);
	close(in[0]);
	close(out[1]);
	close(errs[1]);
	{
		struct copy input = {.from = o.no_input ? -1 : 0, .to = in[1], .done = o.no_input};
		struct copy output[2] = {{.from = out[0], .to = 1}, {.from = errs[0], .to = 2}};

		if (o.no_input)
			close(in[1]);
		pipe_loop(&input, output, c.pidfd);
	}
	r = zone_exec_finish(&c, &status, &err);
	if (r < 0)
		cli_error(&err);
	return status;
}

int
main(int argc, char **argv)
{
	const char *root = NULL;
	const struct cli_opt opts[] = {
		{'C', NULL, CLI_FLAG, &o.console, NULL, "the zone's console"},
		{'d', NULL, CLI_FLAG, &o.disconnect, NULL, "with -C: leave when the zone halts"},
		{'E', NULL, CLI_FLAG, &o.no_escape, NULL, "no escape character"},
		{'e', NULL, CLI_STR, &o.escape, "CHAR", "escape character instead of ~"},
		{'i', NULL, CLI_FLAG, &o.interactive, NULL, "a terminal for a command too"},
		{'l', NULL, CLI_STR, &o.user, "USER", "as this user of the zone"},
		{'n', NULL, CLI_FLAG, &o.no_input, NULL, "without input"},
		{'Q', NULL, CLI_FLAG, &o.quiet, NULL, "no messages"},
		{'q', NULL, CLI_FLAG, &o.quiet, NULL, NULL},
		{'S', NULL, CLI_FLAG, &o.safe, NULL, "a bare shell, when login does not work"},
		{'R', NULL, CLI_STR, &root, "DIR", NULL},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *name = NULL;
	const char *const *command;
	bool help = false;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || help || first == argc ||
	    (o.console && first + 1 != argc)) {
		if (err.message)
			cli_error(&err);
		return cli_usage_text(
			help, "zlogin [-dEinQS] [-e char] [-l user] zone [command [arg...]]\n"
			      "       zlogin -C [-dEQ] [-e char] zone");
	}
	signal(SIGPIPE, SIG_IGN);
	zone_set_root(root);
	if (geteuid() != 0)
		return cli_fail("you are not allowed to enter zones");
	if (zone_lookup(argv[first], &name, &err) < 0)
		return cli_fail("zone '%s' unknown", argv[first]);
	if (o.console)
		return console(name);
	command = (const char *const *)&argv[first + 1];
	if (command[0] && !o.interactive)
		return piped(name, command);
	if (!command[0] && !isatty(0) && !o.interactive) {
		/* a script on standard input, as `ssh host < script` */
		static const char *const shell[] = {"/bin/sh", NULL};

		return piped(name, shell);
	}
	return interactive(name, command);
}
