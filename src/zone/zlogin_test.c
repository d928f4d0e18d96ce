/* zlogin(1) as it is typed at: a terminal whose other end is the test. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "os/pidfd.h"
#include "os/pty.h"
#include "zone/zone_fixture.h"

struct session {
	int tty; /* where we type and read */
	pid_t pid;
};

static struct session
zlogin(struct home *h, const char *const options[], const char *command)
{
	const char *words[16] = {test_built("src/zone/zlogin"), "-R", test_tmpdir()};
	struct winsize size = {.ws_row = 33, .ws_col = 101};
	struct session s;
	size_t n = 3;
	int slave;

	while (*options)
		words[n++] = *options++;
	words[n++] = h->name;
	words[n] = command;
	require(pty_open(&s.tty, &slave, &h->err) == 0);
	require(ioctl(s.tty, TIOCSWINSZ, &size) == 0);
	s.pid = fork();
	if (s.pid == 0) {
		signal(SIGWINCH, SIG_DFL);
		if (pty_take(slave, NULL) < 0)
			_exit(99);
		execv(words[0], (char **)words);
		_exit(98);
	}
	close(slave);
	return s;
}

static void
type(struct session *s, const char *text)
{
	check_int(fd_write_all(s->tty, text, strlen(text)), ==, 0);
}

/* What it prints is thrown away while it ends: a full terminal would hold it up. */
static int
ends(struct session *s)
{
	cleanup_close int pidfd = -1;
	int status = -1;
	char buf[4096];

	require(pidfd_open_pid(s->pid, &pidfd, NULL) == 0);
	for (;;) {
		struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN},
				      {.fd = s->tty, .events = POLLIN}};

		if (poll(p, 2, 60000) <= 0) {
			kill(s->pid, SIGKILL);
			test_fail(__FILE__, __LINE__, "zlogin does not end");
		}
		if (p[0].revents)
			break;
		if (p[1].revents && read(s->tty, buf, sizeof(buf)) <= 0)
			poll(&p[0], 1, 20000);
	}
	waitpid(s->pid, &status, 0);
	close(s->tty);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

TEST(a_login_is_a_terminal)
{
	cleanup_home struct home h = make_zone("login");
	struct winsize size = {.ws_row = 44, .ws_col = 111};
	struct session s;

	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	s = zlogin(&h, WORDS(), NULL);
	check(console_shows(s.tty, "[Connected to zone '"));
	type(&s, "stty size\r");
	check(console_shows(s.tty, "\n33 101\r"));
	require(ioctl(s.tty, TIOCSWINSZ, &size) == 0);
	type(&s, "stty size\r");
	check(console_shows(s.tty, "\n44 111\r"));
	type(&s, "sh -c 'echo waits; exec sleep 1000'\r");
	check(console_shows(s.tty, "\nwaits"));
	type(&s, "\003"); /* the interrupt is the zone's business */
	type(&s, "\rtty; test -t 0 && exit 5\r");
	check(console_shows(s.tty, "/dev/pts/"));
	check(console_shows(s.tty, "' pts closed]"));
	check_int(ends(&s), ==, 5);
	check_ok(zone_halt(h.name, &h.err), &h.err);
}

TEST(the_escape)
{
	cleanup_home struct home h = make_zone("escape");
	struct session s;

	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	s = zlogin(&h, WORDS("-Q"), NULL);
	type(&s, "echo a~.b\r");
	check(console_shows(s.tty, "\na~.b"));
	type(&s, "~~.\r"); /* one of them, and no command of that name */
	check(console_shows(s.tty, "~.: not found"));
	/* also while the zone floods us */
	type(&s, "while true; do echo yes; done\r");
	check(console_shows(s.tty, "\nyes\r\nyes"));
	type(&s, "\r~.");
	check_int(ends(&s), ==, 128 + SIGKILL);

	s = zlogin(&h, WORDS("-e", "%"), NULL);
	type(&s, "\r~.\r");
	check(console_shows(s.tty, "~.: not found"));
	type(&s, "\r%.");
	check_int(ends(&s), ==, 128 + SIGKILL);

	s = zlogin(&h, WORDS("-E", "-i"), "tty; read x; echo got $x; exit 3");
	check(console_shows(s.tty, "/dev/pts/"));
	type(&s, "~.\r");
	check(console_shows(s.tty, "got ~."));
	check_int(ends(&s), ==, 3);
	check_ok(zone_halt(h.name, &h.err), &h.err);
}

TEST(the_console)
{
	static const char tab[] = "::sysinit:/bin/echo booted\n::respawn:-/bin/sh\n";
	cleanup_home struct home h = make_zone("zlogin-C");
	cleanup_free char *inittab = in_root(&h, "etc/inittab");
	struct session s, watcher;

	check_ok(file_write_atomic(inittab, tab, strlen(tab), 0644, &h.err), &h.err);
	s = zlogin(&h, WORDS("-C"), NULL); /* before it is booted */
	check(console_shows(s.tty, "' console]"));
	check_ok(zone_boot(h.name, NULL, &h.err), &h.err);
	check(console_shows(s.tty, "booted"));
	type(&s, "echo $((6 * 7))\r");
	check(console_shows(s.tty, "\n42"));
	check_ok(zone_reboot(h.name, &h.err), &h.err);
	check(console_shows(s.tty, "[NOTICE: Zone rebooting]"));
	type(&s, "echo $((7 * 8))\r");
	check(console_shows(s.tty, "\n56"));
	type(&s, "\r~.");
	check_int(ends(&s), ==, 0);

	watcher = zlogin(&h, WORDS("-Cd"), NULL);
	check(console_shows(watcher.tty, "' console]"));
	check_ok(zone_halt(h.name, &h.err), &h.err);
	check_int(ends(&watcher), ==, 0);
}
