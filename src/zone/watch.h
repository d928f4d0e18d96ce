/*
 * For daemons of the global zone that offer every zone something: which zones there are, and a
 * socket in the directory that a zone sees as its .zonecontrol.
 */
#ifndef ZONE_WATCH_H
#define ZONE_WATCH_H

#include "base/event.h"
#include "base/map.h"

struct zone_watch;
typedef void zone_watch_fn(void *arg, const char *zone);

/*
 * Calls add for every zone at once, whenever one changes, and every minute (events may be lost
 * when there are very many): it is called again for zones it knows.  Calls remove for zones that
 * are gone, also for those it never took; `known` is the map, by name, of those it did.
 */
int zone_watch_start(struct event_loop *l, const struct map *known, zone_watch_fn *add,
		     zone_watch_fn *remove, void *arg, struct zone_watch **ret, struct error *err);
void zone_watch_free(struct zone_watch *w);

/*
 * A listening, non-blocking socket `name` (type: SOCK_STREAM, SOCK_SEQPACKET) in the place of
 * whatever lay there; mode: 0600, or 0666 if users of the zone may connect.  The zone may write in that
 * directory: nothing there is followed.
 */
int zone_control_listen(const char *zone, const char *name, int type, mode_t mode, int *ret_fd,
			struct error *err);
/* Takes its name away, and the directory if nothing else is in it. */
void zone_control_remove(const char *zone, const char *name);

#endif
