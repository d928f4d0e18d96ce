/*
 * Start method of svc:/system/console-login: a login prompt on every console
 * the kernel was told to use.  A rescue boot (noimport=true) gets a root shell
 * instead: whoever stands at the console owns the machine anyway.
 *
 * The method leaves one keeper behind, which starts agetty on each console and
 * again when it ends.  A console that fails at once (nothing is connected) is
 * tried less and less often, up to once a minute.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "boot/boot_params.h"
#include "boot/method.h"
#include "os/run.h"

#define MAX_CONSOLES 8
#define GOOD_MS 5000	  /* a login that lasted this long was no failure */
#define MAX_DELAY_MS 60000

struct console {
	char *tty;
	bool rescue;
	uint64_t started;
	uint64_t delay;
	struct event_loop *loop;
	struct event_source *timer;
};

static void console_start(struct console *c);

static void
on_timer(struct event_source *s, void *arg)
{
	console_start(arg);
}

static void
retry(struct console *c)
{
	bool good = time_mono_ms() - c->started >= GOOD_MS;
	cleanup_error struct error err = ERROR_INIT;

	c->delay = good ? 0 : c->delay ? c->delay * 2 : 1000;
	if (c->delay > MAX_DELAY_MS)
		c->delay = MAX_DELAY_MS;
	if (c->timer)
		event_timer_reset(c->timer, c->delay);
	else if (event_add_timer(c->loop, c->delay, on_timer, c, &c->timer, &err) < 0)
		log_error("%s: %s", c->tty, error_message(&err));
}

static void
on_exit_of(struct event_source *s, pid_t pid, const siginfo_t *si, void *arg)
{
	retry(arg);
	event_source_free(s);
}

static void
console_start(struct console *c)
{
	const char *login[] = {"/sbin/agetty", "--keep-baud", "115200,57600,38400,9600", c->tty,
			       "linux", NULL};
	const char *serial[] = {"/sbin/agetty", "--keep-baud", "115200,57600,38400,9600", c->tty,
				"vt220", NULL};
	const char *rescue[] = {"/sbin/agetty", "--autologin", "root", "--keep-baud",
				"115200,57600,38400,9600", c->tty, "vt220", NULL};
	const char *const *argv = c->rescue ? rescue : str_after(c->tty, "tty") && c->tty[3] >= '0' &&
							       c->tty[3] <= '9' ? login : serial;
	struct run_opts opts = {0};
	cleanup_error struct error err = ERROR_INIT;
	struct run_child child;
	struct event_source *s;

	c->started = time_mono_ms();
	if (run_start(argv, &opts, &child, &err) < 0) {
		log_error("%s: %s", c->tty, error_message(&err));
		retry(c);
		return;
	}
	if (event_add_child(c->loop, child.pid, child.pidfd, on_exit_of, c, &s, &err) < 0) {
		run_abort(&child);
		log_error("%s: %s", c->tty, error_message(&err));
		retry(c);
	}
}

/* "tty0 ttyS0": tty0 is whichever screen is shown, its login is on tty1. */
static size_t
find_consoles(struct console *ret, bool rescue)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *text = NULL;
	size_t n = 0;

	if (file_read_line("/sys/class/tty/console/active", &text, NULL) == 0)
		strv_words(&words, text, " ");
	if (words.n == 0)
		strv_add(&words, "console");
	for (size_t i = 0; i < words.n && n < MAX_CONSOLES; i++) {
		const char *tty = str_eq(words.v[i], "tty0") ? "tty1" : words.v[i];

		ret[n++] = (struct console){.tty = xstrdup(tty), .rescue = rescue};
	}
	return n;
}

static int
keep(bool rescue)
{
	struct console consoles[MAX_CONSOLES];
	cleanup_event struct event_loop *loop = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t n = find_consoles(consoles, rescue);

	if (event_new(&loop, &err) < 0) {
		log_error("%s", error_message(&err));
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		consoles[i].loop = loop;
		console_start(&consoles[i]);
	}
	return event_run(loop) < 0;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_map struct map *params = NULL;
	bool rescue;
	pid_t pid;

	method_init("console-login");
	if (boot_params_read(&params, &err) < 0)
		return method_fail(&err, "boot parameters");
	rescue = boot_param_true(params, "noimport");
	pid = fork();
	if (pid < 0) {
		error_set_errno(&err, errno, "fork");
		return method_fail(&err, "console login");
	}
	if (pid > 0)
		return SMF_EXIT_OK;
	setsid();
	return keep(rescue);
}
