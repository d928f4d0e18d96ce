#include "zone/watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sock.h"
#include "zone/model.h"
#include "zone/zone.h"

#define RESCAN_MS 60000

struct zone_watch {
	const struct map *known;
	zone_watch_fn *add, *remove;
	void *arg;
	int fd;
	struct event_source *events, *rescan;
};

static int
scan(struct zone_watch *w, struct error *err)
{
	cleanup_zone_list struct zone_list zones = {0};
	cleanup_strv struct strv gone = STRV_INIT, there = STRV_INIT;
	struct map_iter it = {0};
	int r = zone_list_read(&zones, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < zones.n; i++) {
		strv_add(&there, zones.v[i].name);
		w->add(w->arg, zones.v[i].name);
	}
	while (map_next(w->known, &it))
		if (!strv_has(&there, it.key))
			strv_add(&gone, it.key);
	for (size_t i = 0; i < gone.n; i++)
		w->remove(w->arg, gone.v[i]);
	return 0;
}

static void
on_zone_event(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct zone_watch *w = arg;
	struct zone_event e = {0};

	while (zone_events_read(fd, &e, NULL) == 0) {
		(e.to == ZONE_ABSENT ? w->remove : w->add)(w->arg, e.name);
		zone_event_done(&e);
	}
}

static void
on_rescan(struct event_source *s, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;

	if (scan(arg, &err) < 0)
		log_error("%s", error_message(&err));
	event_timer_reset(s, RESCAN_MS);
}

int
zone_watch_start(struct event_loop *l, const struct map *known, zone_watch_fn *add,
		 zone_watch_fn *remove, void *arg, struct zone_watch **ret, struct error *err)
{
	struct zone_watch *w = xcalloc(1, sizeof(*w));
	int r;

	*w = (struct zone_watch){
		.known = known, .add = add, .remove = remove, .arg = arg, .fd = -1};
	if ((r = zone_events_open(&w->fd, err)) < 0 ||
	    (r = event_add_fd(l, w->fd, EPOLLIN, on_zone_event, w, &w->events, err)) < 0 ||
	    (r = event_add_timer(l, RESCAN_MS, on_rescan, w, &w->rescan, err)) < 0 ||
	    (r = scan(w, err)) < 0) {
		zone_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void
zone_watch_free(struct zone_watch *w)
{
	if (!w)
		return;
	event_source_free(w->events);
	event_source_free(w->rescan);
	if (w->fd >= 0)
		zone_events_close(w->fd);
	free(w);
}

int
zone_control_listen(const char *zone, const char *name, int type, mode_t mode, int *ret_fd,
		    struct error *err)
{
	cleanup_free char *dir = zone_path_control(zone);
	cleanup_free char *path = NULL;
	cleanup_close int dirfd = -1;
	int r = file_mkdir_p(dir, 0755, err);

	if (r < 0)
		return r;
	dirfd = open(dir, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return error_set_errno(err, errno, "%s", dir);
	/* Through the descriptor: a socket's path may be at most 107 bytes long. */
	path = str_printf("/proc/self/fd/%d/%s", dirfd, name);
	r = sock_unix_listen_mode(path, type | SOCK_NONBLOCK, mode, ret_fd, NULL);
	return r < 0 ? error_set_errno(err, -r, "%s/%s", dir, name) : 0;
}

void
zone_control_remove(const char *zone, const char *name)
{
	cleanup_free char *dir = zone_path_control(zone);
	cleanup_free char *path = str_printf("%s/%s", dir, name);

	unlink(path);
	rmdir(dir);
}
