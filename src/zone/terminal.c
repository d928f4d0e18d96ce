#include "zone/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "os/pty.h"

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
enter_raw(void)
{
	struct sigaction sa = {.sa_handler = on_winch};

	if (pty_raw(0, &saved, NULL) == 0) {
		raw = true;
		atexit(leave_raw);
	}
	sigaction(SIGWINCH, &sa, NULL);
}

struct typing {
	const struct terminal *t;
	enum { LINE_START, MIDDLE, ESCAPED } at;
};

/*
 * Copies what was typed without an escape character that begins a line; true if it says to
 * leave.  Twice the escape character sends one.  out has room for twice n.
 */
static bool
filter(struct typing *y, const char *in, size_t n, char *out, size_t *ret_n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = in[i];

		if ((y->at == ESCAPED && c == '.') || (y->t->leave && c == y->t->leave)) {
			*ret_n = k;
			return true;
		}
		if (y->at == LINE_START && y->t->escape && c == y->t->escape) {
			y->at = ESCAPED;
			continue;
		}
		if (y->at == ESCAPED && c != y->t->escape)
			out[k++] = y->t->escape;
		out[k++] = c;
		y->at = c == '\r' || c == '\n' ? LINE_START : MIDDLE;
	}
	*ret_n = k;
	return false;
}

/* From 0 to fd; 1 the operator leaves, -1 nothing comes any more, -2 nobody takes it. */
static int
type(struct typing *y, int fd)
{
	char buf[2048], out[2 * sizeof(buf)];
	ssize_t n = read(0, buf, sizeof(buf));
	size_t k;
	bool leaves;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return -1;
	leaves = filter(y, buf, (size_t)n, out, &k);
	if (k && fd_write_all(fd, out, k) < 0)
		return -2;
	return leaves;
}

static int
show(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return 0;
	return n <= 0 || fd_write_all(1, buf, (size_t)n) < 0 ? -1 : 0;
}

static bool
loop(int fd, const struct terminal *t)
{
	struct typing y = {.t = t};
	bool input = !t->no_input, ended = false;

	for (;;) {
		/* what a process that ended left in the terminal may come a moment later */
		struct pollfd p[4] = {
			{.fd = fd, .events = POLLIN},
			{.fd = input ? 0 : -1, .events = POLLIN},
			{.fd = ended ? -1 : t->end, .events = POLLIN},
			{.fd = t->watch, .events = POLLIN},
		};
		int r = poll(p, 4, ended ? 50 : -1);

		if (resized && t->size) {
			resized = 0;
			pty_copy_size(0, fd);
		}
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		if (p[0].revents && show(fd) < 0)
			return false;
		if (p[1].revents) {
			r = type(&y, fd);
			if (r > 0 || r == -2)
				return r > 0;
			input = r == 0;
		}
		ended |= p[2].revents != 0;
		if (p[3].revents && t->over(t->watch, t->arg))
			return false;
	}
}

bool
terminal_join(int fd, const struct terminal *t)
{
	bool left;

	if (isatty(0) && !t->no_input)
		enter_raw();
	left = loop(fd, t);
	leave_raw();
	return left;
}
