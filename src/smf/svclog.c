/*
 * Log files of instances: /var/svc/log/network-ssh:default.log, and in the
 * volatile directory until /var is there.  Lines of startd's own are bracketed
 * and dated as in illumos: "[ Nov 21 10:00:00 Enabled. ]".
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "smf/startd.h"

char *
svclog_path(const char *fmri, bool early)
{
	cleanup_free char *dashes = smf_fmri_dashes(fmri);

	return str_printf("%s/%s.log", early ? SMF_VOLATILE_DIR : SMF_LOG_DIR, dashes);
}

int
svclog_open(struct inst *i)
{
	cleanup_free char *path = svclog_path(i->v->name, startd.early);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0) {
		log_warn("%s: %s; output of %s is lost", path, strerror(errno), i->v->name);
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	return fd;
}

void
svclog_write(struct inst *i, const char *fmt, ...)
{
	int fd = i->log_fd >= 0 ? i->log_fd : svclog_open(i);
	cleanup_free char *text = NULL;
	time_t now = time(NULL);
	struct tm tm;
	char when[32];
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %T", &tm);
	dprintf(fd, "[ %s %s ]\n", when, text);
	if (fd != i->log_fd)
		close(fd);
}

static void
move_one(const char *name)
{
	cleanup_free char *from = str_printf("%s/%s", SMF_VOLATILE_DIR, name);
	cleanup_free char *to = str_printf("%s/%s", SMF_LOG_DIR, name);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	cleanup_close int fd = -1;
	size_t len;

	if (file_read(from, 0, &text, &len, &err) < 0) {
		log_warn("%s", error_message(&err));
		return;
	}
	fd = open(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_all(fd, text, len) < 0) {
		log_warn("%s: %s", to, strerror(errno));
		return;
	}
	unlink(from);
}

void
svclog_move(void)
{
	cleanup_error struct error err = ERROR_INIT;
	struct dirent *de;
	DIR *d;

	if (file_mkdir_p(SMF_LOG_DIR, 0755, &err) < 0) {
		log_warn("%s", error_message(&err));
		return;
	}
	d = opendir(SMF_VOLATILE_DIR);
	while (d && (de = readdir(d)) != NULL) {
		if (str_ends(de->d_name, ".log") && strchr(de->d_name, ':')) /* of instances */
			move_one(de->d_name);
	}
	if (d)
		closedir(d);
}
