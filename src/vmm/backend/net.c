#include "vmm/backend/net.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/str.h"

int
net_parse_mac(const char *s, uint8_t mac[6])
{
	unsigned v[6];
	char rest;

	if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%c", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		   &rest) != 6)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)v[i];
	return 0;
}

static int
open_unix(struct net *n, const char *path, struct error *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	n->fd[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd[0] < 0 || connect(n->fd[0], (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

/* /sys says what kind of interface a name is. */
static char *
attribute(const char *ifname, const char *name)
{
	cleanup_free char *path = str_printf("/sys/class/net/%s/%s", ifname, name);
	char *value = NULL;

	return file_read_line(path, &value, NULL) < 0 ? NULL : value;
}

static int
open_macvtap(struct net *n, const char *ifname, struct error *err)
{
	cleanup_free char *index = attribute(ifname, "ifindex");
	cleanup_free char *dev = str_printf("/dev/tap%s", index ? index : "");
	int on = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (n->n_pairs > 1 ? IFF_MULTI_QUEUE : 0);

	for (unsigned i = 0; i < n->n_pairs; i++) {
		struct ifreq ifr = {.ifr_flags = (short)on};

		n->fd[i] = open(dev, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (n->fd[i] < 0 || ioctl(n->fd[i], TUNSETIFF, &ifr) < 0)
			return error_set_errno(err, errno, "%s (%s)", ifname, dev);
	}
	return 0;
}

static int
open_tap(struct net *n, const char *ifname, struct error *err)
{
	int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (n->n_pairs > 1 ? IFF_MULTI_QUEUE : 0);

	for (unsigned i = 0; i < n->n_pairs; i++) {
		struct ifreq ifr = {.ifr_flags = (short)flags};

		memcpy(ifr.ifr_name, ifname, strlen(ifname));
		n->fd[i] = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (n->fd[i] < 0)
			return error_set_errno(err, errno, "/dev/net/tun");
		if (ioctl(n->fd[i], TUNSETIFF, &ifr) < 0)
			return error_set_errno(err, errno, "%s: cannot attach to it", ifname);
	}
	return 0;
}

static int
open_interface(struct net *n, const char *ifname, struct error *err)
{
	cleanup_free char *macvtap = str_printf("/sys/class/net/%s/macvtap", ifname);
	cleanup_free char *address = attribute(ifname, "address");

	if (strlen(ifname) >= IFNAMSIZ)
		return error_set(err, EINVAL, "%s: an interface's name has at most %d characters",
				 ifname, IFNAMSIZ - 1);
	n->vnet_hdr = true;
	if (!file_exists(macvtap))
		return open_tap(n, ifname, err);
	/* The guest is the other end of a macvtap: its address is the interface's. */
	n->have_mac = address && net_parse_mac(address, n->mac) == 0;
	return open_macvtap(n, ifname, err);
}

int
net_open(struct config *node, unsigned n_pairs, struct net *ret, struct error *err)
{
	const char *backend = config_get(node, "backend", NULL);
	const char *path;
	bool vhost;
	int r;

	*ret = (struct net){.n_pairs = n_pairs};
	for (unsigned i = 0; i < NET_MAX_PAIRS; i++)
		ret->fd[i] = ret->vhost[i] = -1;
	if (!backend)
		return error_set(err, EINVAL, "no backend; expected an interface or unix=PATH");
	r = config_bool(node, "vhost", true, &vhost, err);
	if (r < 0)
		return r;
	path = str_after(backend, "unix=");
	if (path && n_pairs > 1)
		return error_set(err, EINVAL, "a socket has one queue pair");
	r = path ? open_unix(ret, path, err) : open_interface(ret, backend, err);
	for (unsigned i = 0; r == 0 && !path && vhost && i < n_pairs; i++)
		ret->vhost[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (r < 0)
		net_close(ret);
	return r;
}

void
net_close(struct net *n)
{
	for (unsigned i = 0; i < n->n_pairs; i++) {
		cleanup_closep(&n->vhost[i]);
		cleanup_closep(&n->fd[i]);
		n->vhost[i] = n->fd[i] = -1;
	}
}

int
net_configure(struct net *n, unsigned hdr_len, unsigned offloads, struct error *err)
{
	int len = (int)hdr_len;

	for (unsigned i = 0; n->vnet_hdr && i < n->n_pairs; i++) {
		if (ioctl(n->fd[i], TUNSETVNETHDRSZ, &len) < 0 ||
		    ioctl(n->fd[i], TUNSETOFFLOAD, (unsigned long)offloads) < 0)
			return error_set_errno(err, errno, "cannot set the interface's offloads");
	}
	return 0;
}
