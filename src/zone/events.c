/*
 * State changes as messages.  A listener makes a FIFO in /run/zones/events.d;
 * whoever moves a state writes one record of fixed size to each FIFO there.
 * Nobody in between: no daemon to be down.  A dead listener's FIFO has no reader
 * and is removed; one that sleeps through its buffer (about 4000 records) loses
 * the newest, so a listener reads the list again when it has fallen behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "zone/model.h"

/* A divisor of PIPE_BUF: a write is atomic and a read returns whole records. */
#define RECORD 256

static char *
events_dir(void)
{
	return str_printf("%s/run/zones/events.d", zone_root());
}

void
zone_event_send(const char *name, enum zone_state from, enum zone_state to, int id)
{
	cleanup_free char *dir = events_dir();
	char record[RECORD] = {0};
	struct dirent *de;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return; /* nobody listens */
	snprintf(record, sizeof(record), "%s %s %s %d %" PRIu64, name, zone_state_name(from),
		 zone_state_name(to), id, time_real_ms());
	while ((de = readdir(d))) {
		cleanup_close int fd = -1;
		struct stat st;

		if (de->d_name[0] == '.')
			continue;
		fd = openat(dirfd(d), de->d_name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENXIO)
			unlinkat(dirfd(d), de->d_name, 0);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
			continue;
		/* full: the listener is told nothing, see above */
		if (write(fd, record, sizeof(record)) < 0)
			continue;
	}
	closedir(d);
}

void
zone_event_changed(const char *name)
{
	cleanup_zone_info struct zone_info zi = {0};

	if (zone_info_read(name, &zi, NULL) == 0)
		zone_event_send(name, zi.state, zi.state, zi.id);
}

int
zone_events_open(int *ret_fd, struct error *err)
{
	cleanup_free char *dir = events_dir();
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;
	char id[UUID_LEN + 1];
	int r;

	r = file_mkdir_p(dir, 0700, err);
	if (r < 0)
		return r;
	uuid_random(id);
	path = str_printf("%s/%s", dir, id);
	if (mkfifo(path, 0600) < 0)
		return error_set_errno(err, errno, "%s", path);
	/* for writing too: so it never is at end of file */
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		r = error_set_errno(err, errno, "%s", path);
		unlink(path);
		return r;
	}
	fcntl(fd, F_SETPIPE_SZ, 1024 * 1024); /* a smaller one works too */
	*ret_fd = steal_fd(&fd);
	return 0;
}

void
zone_event_done(struct zone_event *e)
{
	free(e->name);
	*e = (struct zone_event){0};
}

int
zone_events_read(int fd, struct zone_event *ret, struct error *err)
{
	char buf[RECORD + 1], name[ZONE_NAME_MAX + 1], from[32], to[32];
	struct zone_event e = {0};
	ssize_t n;

	for (;;) {
		n = read(fd, buf, RECORD);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0)
			return error_set_errno(err, errno, "zone events");
		buf[n] = '\0';
		if (sscanf(buf, "%63s %31s %31s %d %" SCNu64, name, from, to, &e.id, &e.when_ms) ==
			    5 &&
		    zone_state_parse(from, &e.from) == 0 && zone_state_parse(to, &e.to) == 0)
			break; /* anything else is not ours */
	}
	e.name = xstrdup(name);
	*ret = e;
	return 0;
}

void
zone_events_close(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		unlink(path);
	}
	close(fd);
}
