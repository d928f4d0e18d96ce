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
#include <termios.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "os/pidfd.h"
#include "os/pty.h"
#include "zone/exec.h"
#include "zone/model.h"

#define LOGIN "/bin/login"

static struct {
	bool console, interactive, safe, no_escape, no_input, quiet, disconnect;
	const char *user, *escape;
} o;

static volatile sig_atomic_t resized;
static struct termios saved;
static bool raw;

static void
on_winch(int signo)
{
	resized = 1;
}

static void
leave_raw(void)
{
	if (raw)
		pty_restore(0, &saved);
	raw = false;
}

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

/* ---- the escape: "~." at the beginning of a line ---- */

struct escape {
	char c;
	enum { LINE_START, MIDDLE, ESCAPED } at;
};

/*
 * Copies in to out without the escape character that begins a line; true if "~." was typed.
 * "~~" sends one.  out has room for n + 1.
 */
static bool
filter(struct escape *e, const char *in, size_t n, char *out, size_t *ret_n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = in[i];

		if (e->at == ESCAPED) {
			if (c == '.') {
				*ret_n = k;
				return true;
			}
			if (c != e->c)
				out[k++] = e->c;
			out[k++] = c;
			e->at = c == '\r' || c == '\n' ? LINE_START : MIDDLE;
			continue;
		}
		if (e->at == LINE_START && e->c && c == e->c) {
			e->at = ESCAPED;
			continue;
		}
		out[k++] = c;
		e->at = c == '\r' || c == '\n' ? LINE_START : MIDDLE;
	}
	*ret_n = k;
	return false;
}

/*
 * Our terminal to fd and back until fd ends or the escape is typed (true).  end, if not
 * -1, is a pidfd: when it ended what is left in fd is drained.
 */
static bool
terminal_loop(int fd, int end, bool resize)
{
	struct escape e = {.c = o.no_escape ? '\0' : o.escape ? o.escape[0] : '~'};
	bool input = !o.no_input, ended = false;
	char buf[4096], out[4097];

	for (;;) {
		struct pollfd p[3] = {
			{.fd = fd, .events = POLLIN},
			{.fd = input ? 0 : -1, .events = POLLIN},
			{.fd = ended ? -1 : end, .events = POLLIN},
		};
		int r = poll(p, 3, ended ? 50 : -1);
		size_t k;
		ssize_t n;

		if (resized && resize) {
			resized = 0;
			pty_copy_size(0, fd);
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false; /* drained */
		if (p[0].revents) {
			n = read(fd, buf, sizeof(buf));
			if (n <= 0)
				return false;
			if (fd_write_all(1, buf, (size_t)n) < 0)
				return false;
			continue;
		}
		if (p[2].revents)
			ended = true;
		if (p[1].revents) {
			n = read(0, buf, sizeof(buf));
			if (n <= 0) {
				input = false;
				continue;
			}
			if (filter(&e, buf, (size_t)n, out, &k)) {
				if (k && fd_write_all(fd, out, k) < 0)
					return false;
				return true;
			}
			if (k && fd_write_all(fd, out, k) < 0)
				return false;
		}
	}
}

static void
enter_raw(void)
{
	struct sigaction sa = {.sa_handler = on_winch};

	if (!isatty(0) || o.no_input)
		return;
	if (pty_raw(0, &saved, NULL) == 0) {
		raw = true;
		atexit(leave_raw);
	}
	sigaction(SIGWINCH, &sa, NULL);
}

/* ---- console ---- */

static int
console(const char *name)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	if (zone_console_open(name, &fd, &err) < 0)
		return cli_error(&err);
	say("[Connected to zone '%s' console]\n", name);
	enter_raw();
	terminal_loop(fd, -1, false);
	leave_raw();
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
	struct zone_exec_child c;
	cleanup_close int master = -1;
	int status, r;
	bool escaped = false;

	if (zone_exec_start(name, &x, &c, &err) < 0)
		return cli_error(&err);
	if (zone_exec_terminal(&c, &master, &err) == 0) {
		say("[Connected to zone '%s' pts]\n", name);
		enter_raw();
		escaped = terminal_loop(master, c.pidfd, true);
		leave_raw();
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
		fprintf(stderr,
			"usage: zlogin [-dEinQS] [-e char] [-l user] zone [command [arg...]]\n"
			"       zlogin -C [-dEQ] [-e char] zone\n");
		return help ? CLI_OK : CLI_USAGE;
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
