/* Network interfaces whose other end is a program: tap and macvtap. */
#ifndef OS_TUN_H
#define OS_TUN_H

#include <stdbool.h>

#include "base/error.h"

/*
 * One queue of an interface, with frames behind a struct virtio_net_hdr; close-on-exec, and
 * reading does not wait.  Makes a tap of that name if there is none (device NULL); device
 * /dev/tapN: a macvtap's.
 */
int tun_open(const char *device, const char *ifname, bool multi_queue, int *ret_fd,
	     struct error *err);

#endif
