/* See method.h. */
#include "boot/method.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "os/run.h"

#define REPORT_MS 10000

static int console_fd = -1;
static char *method_name;

void
method_init(const char *name)
{
	free(method_name);
	method_name = xstrdup(name);
	log_init(name);
	if (console_fd < 0)
		console_fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

static void
say(bool console, const char *fmt, va_list ap)
{
	cleanup_free char *text = str_vprintf(fmt, ap);

	log_info("%s", text);
	if (console && console_fd >= 0) {
		cleanup_free char *line = str_printf("%s: %s\r\n", method_name, text);

		/* A console nobody reads may be full: that must not hold up the boot. */
		(void)!write(console_fd, line, strlen(line));
	}
}

void
method_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(true, fmt, ap);
	va_end(ap);
}

void
method_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(false, fmt, ap);
	va_end(ap);
}

int
method_fail(const struct error *err, const char *fmt, ...)
{
	cleanup_free char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = str_vprintf(fmt, ap);
	va_end(ap);
	method_say("%s: %s", what, error_message(err));
	return SMF_EXIT_ERR_FATAL;
}

int
method_run(const char *const argv[], const char *what, int timeout_s, struct error *err)
{
	struct run_opts opts = {.out = RUN_INHERIT, .err = RUN_INHERIT};
	uint64_t start = time_mono_ms(), deadline = start + (uint64_t)timeout_s * 1000;
	struct run_child c;
	int status = 0, r = run_start(argv, &opts, &c, err);

	if (r < 0)
		return r;
	for (;;) {
		struct pollfd p = {.fd = c.pidfd, .events = POLLIN};
		uint64_t now = time_mono_ms();

		if (now >= deadline) {
			run_abort(&c);
			return error_set(err, ETIMEDOUT, "%s took more than %d s", what, timeout_s);
		}
		r = poll(&p, 1, (int)(deadline - now < REPORT_MS ? deadline - now : REPORT_MS));
		if (r > 0)
			break;
		if (r == 0 && time_mono_ms() < deadline)
			method_say("%s: still at it after %llu s", what,
				   (unsigned long long)(time_mono_ms() - start) / 1000);
	}
	r = run_wait(&c, &status, err);
	if (r < 0)
		return r;
	return status ? error_set(err, EIO, "%s: %s exited with status %d", what, argv[0], status) : 0;
}

/* The one who speaks, and the pipe whose end tells it to stop. */
static pid_t speaker;
static int speaker_fd = -1;

void
method_begin(const char *what)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	speaker = fork();
	if (speaker == 0) {
		struct pollfd p = {.fd = fds[0], .events = POLLIN};

		close(fds[1]);
		for (unsigned s = REPORT_MS / 1000; poll(&p, 1, REPORT_MS) == 0; s += REPORT_MS / 1000)
			method_say("%s: still at it after %u s", what, s);
		_exit(0);
	}
	close(fds[0]);
	if (speaker < 0)
		close(fds[1]);
	else
		speaker_fd = fds[1];
}

void
method_end(void)
{
	if (speaker_fd < 0)
		return;
	close(speaker_fd);
	speaker_fd = -1;
	waitpid(speaker, NULL, 0);
}

bool
is_mountpoint(const char *path)
{
	struct statx here;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &here) < 0)
		return false;
	return (here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (here.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int
mount_if_needed(const char *source, const char *target, const char *type, unsigned long flags,
		const char *data, struct error *err)
{
	int r;

	if (is_mountpoint(target))
		return 0;
	r = file_mkdir_p(target, 0755, err);
	if (r < 0)
		return r;
	if (mount(source, target, type, flags, data) < 0)
		return error_set_errno(err, errno, "mount %s on %s", source, target);
	return 0;
}

const char *
platform_stamp(void)
{
	static char *stamp;

	if (!stamp && file_read_line("/etc/platform", &stamp, NULL) < 0)
		stamp = xstrdup("unknown");
	return stamp;
}
