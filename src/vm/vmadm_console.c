/* `vmadm console`: the terminal, raw, joined with the zone's console. */
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "vm/vm.h"
#include "vm/vmadm.h"

#define ESCAPE 0x1d /* ^] */

static struct termios saved;
static bool raw;

static void
terminal_raw(void)
{
	struct termios t;

	if (tcgetattr(0, &saved) < 0)
		return; /* not a terminal: bytes go through as they are */
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(0, TCSANOW, &t) == 0)
		raw = true;
}

static void
terminal_restore(void)
{
	if (raw)
		tcsetattr(0, TCSANOW, &saved);
	raw = false;
}

/* Copies what is there; 1 at the end of either side or at the escape character. */
static int
copy(int from, int to, bool keyboard)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));
	char *escape;
	int r;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : 1;
	if (n == 0)
		return 1;
	escape = keyboard && raw ? memchr(buf, ESCAPE, (size_t)n) : NULL;
	r = fd_write_all(to, buf, escape ? (size_t)(escape - buf) : (size_t)n);
	return r < 0 || escape ? 1 : 0;
}

static void
join(int fd)
{
	struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if ((p[1].revents & (POLLIN | POLLHUP)) && copy(fd, 1, false))
			return;
		if (p[0].revents & (POLLIN | POLLHUP)) {
			int end = copy(0, fd, true);

			if (end && raw)
				return;
			if (end)
				p[0].fd = -1; /* input from a file ended: go on showing */
		}
	}
}

int
vmadm_console(const char *uuid, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_close int fd = -1;
	int r;

	r = vm_load(uuid, 0, &vm, err);
	if (r == 0)
		r = zone_console_open(json_str(json_get(vm, "zonename"), uuid), &fd, err);
	if (r < 0)
		return r;
	terminal_raw();
	if (raw)
		fprintf(stderr, "[Connected to VM %s; ^] leaves]\r\n", uuid);
	join(fd);
	terminal_restore();
	return 0;
}
