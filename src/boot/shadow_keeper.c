/*
 * Start method of svc:/system/smartdc/shadow: passwords that are changed stay
 * changed.
 *
 * /etc/shadow is a file in memory, which passwd(1) and chpasswd(8) replace by
 * renaming.  The method leaves a keeper behind that is told of each new
 * /etc/shadow and writes it to /usbkey/shadow, from where the next boot takes
 * it.  A file without root is half written or a mistake, and is not kept.
 */
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "boot/method.h"
#include "boot/system_pool.h"

#define SHADOW "/etc/shadow"
#define KEPT USBKEY "/shadow"

static int
keep(struct error *err)
{
	cleanup_free char *now = NULL, *kept = NULL;
	int r = file_read(SHADOW, 1 << 20, &now, NULL, err);

	if (r < 0)
		return r;
	if (!str_after(now, "root:") && !strstr(now, "\nroot:"))
		return error_set(err, EINVAL, SHADOW " has no root: it is not kept");
	if (file_read(KEPT, 1 << 20, &kept, NULL, NULL) == 0 && str_eq(now, kept))
		return 0;
	r = file_write_atomic(KEPT, now, strlen(now), 0600, err);
	if (r == 0)
		log_info("passwords are kept");
	return r;
}

/* One wake-up for every name in /etc that is closed after writing or renamed to. */
static int
watch(int fd)
{
	char buf[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
		bool ours = false;

		for (char *p = buf; n > 0 && p < buf + n;
		     p += sizeof(struct inotify_event) + ((struct inotify_event *)(void *)p)->len) {
			const struct inotify_event *e = (struct inotify_event *)(void *)p;

			ours = ours || (e->mask & IN_Q_OVERFLOW) || (e->len && str_eq(e->name, "shadow"));
		}
		if (ours) {
			cleanup_error struct error err = ERROR_INIT;

			if (keep(&err) < 0)
				log_error("%s", error_message(&err));
		}
	}
	return 1;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	int fd;
	pid_t pid;

	method_init("smartdc/shadow");
	if (!is_mountpoint(USBKEY))
		return SMF_EXIT_NODAEMON;
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, "/etc", IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		error_set_errno(&err, errno, "/etc");
		return method_fail(&err, "watching");
	}
	if (keep(&err) < 0)
		method_log("%s", error_message(&err));
	pid = fork();
	if (pid < 0) {
		error_set_errno(&err, errno, "fork");
		return method_fail(&err, "shadow");
	}
	if (pid > 0)
		return SMF_EXIT_OK;
	setsid();
	return watch(fd);
}
