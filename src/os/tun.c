#include "os/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

int
tun_open(const char *device, const char *ifname, bool multi_queue, int *ret_fd, struct error *err)
{
	const char *path = device ? device : "/dev/net/tun";
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	if (multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (strlen(ifname) >= sizeof(ifr.ifr_name))
		return error_set(err, EINVAL, "%s: an interface's name has at most %zu characters", ifname,
				 sizeof(ifr.ifr_name) - 1);
	memcpy(ifr.ifr_name, ifname, device ? 0 : strlen(ifname));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return error_set_errno(err, errno, "%s: cannot attach to it", ifname);
	*ret_fd = steal_fd(&fd);
	return 0;
}
