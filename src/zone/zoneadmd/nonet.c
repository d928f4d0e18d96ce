/* Until src/net is there: zones without NICs only. */
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "zone/config.h"
#include "zone/zoneadmd/zoneadmd.h"

int
zone_net_up(struct daemon *d, int netns_fd, struct error *err)
{
	if (zone_res_next(d->config, "net", NULL))
		return error_set(err, ENOTSUP, "no network yet");
	return 0;
}

int
zone_net_down(struct daemon *d, struct error *err)
{
	return 0;
}
