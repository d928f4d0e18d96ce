/*
 * State changes as messages.  A listener binds a datagram socket in
 * /run/zones/events.d; whoever moves a state sends one line to each socket
 * there.  Nobody in between: no daemon to be down, and a listener that is slow
 * or dead costs the sender one failed sendto() (its socket is then removed).
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "zone/model.h"

static char *
events_dir(void)
{
	return str_printf("%s/run/zones/events.d", zone_root());
}

void
zone_event_send(const char *name, enum zone_state from, enum zone_state to, int id)
{
	cleanup_free char *dir = events_dir();
	cleanup_close int fd = -1;
	char line[256];
	struct dirent *de;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return; /* nobody listens */
	snprintf(line, sizeof(line), "%s %s %s %d %" PRIu64, name, zone_state_name(from),
		 zone_state_name(to), id, time_real_ms());
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	while (fd >= 0 && (de = readdir(d))) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};

		if (de->d_name[0] == '.')
			continue;
		if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", dir, de->d_name) >=
		    (int)sizeof(sa.sun_path))
			continue;
		if (sendto(fd, line, strlen(line), 0, (struct sockaddr *)&sa, sizeof(sa)) < 0 &&
		    errno == ECONNREFUSED)
			unlink(sa.sun_path);
	}
	closedir(d);
}

int
zone_events_open(int *ret_fd, struct error *err)
{
	cleanup_free char *dir = events_dir();
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	cleanup_close int fd = -1;
	char id[UUID_LEN + 1];
	int r, size = 1024 * 1024;

	r = file_mkdir_p(dir, 0700, err);
	if (r < 0)
		return r;
	uuid_random(id);
	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%.13s", dir, id) >=
	    (int)sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s is too long for a socket", dir);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set_errno(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_set_errno(err, errno, "%s", sa.sun_path);
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
	char buf[512], name[ZONE_NAME_MAX + 1], from[32], to[32];
	struct zone_event e = {0};
	ssize_t n;

	for (;;) {
		n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
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
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);

	if (fd < 0)
		return;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && len > sizeof(sa.sun_family))
		unlink(sa.sun_path);
	close(fd);
}
