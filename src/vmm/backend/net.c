#include "vmm/backend/net.h"

#include <limits.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "base/file.h"
#include "base/sock.h"
#include "base/sum.h"
#include "os/tun.h"
#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_IO, "writev");
/* A driver chooses its offloads. */
SANDBOX_NEEDS(SANDBOX_VCPU, "ioctl");

static int
parse_mac(const char *s, uint8_t mac[6])
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

/* /sys says what kind of interface a name is. */
static char *
attribute(const char *ifname, const char *name)
{
	cleanup_free char *path = str_printf("/sys/class/net/%s/%s", ifname, name);
	char *value = NULL;

	return file_read_line(path, &value, NULL) < 0 ? NULL : value;
}

static int
open_interface(struct net *n, const char *ifname, struct error *err)
{
	cleanup_free char *macvtap = str_printf("/sys/class/net/%s/macvtap", ifname);
	cleanup_free char *address = attribute(ifname, "address");
	unsigned index = if_nametoindex(ifname);
	cleanup_free char *device =
		file_exists(macvtap) ? str_printf("/dev/tap%u", index) : NULL;

	/* The kernel would make one, to which nothing is connected. */
	if (!index)
		return error_set(err, ENODEV, "there is no interface \"%s\"", ifname);
	n->vnet_hdr = true;
	/* The guest is the other end of a macvtap: its address is the interface's. */
	n->have_mac = device && address && parse_mac(address, n->mac) == 0;
	for (unsigned i = 0; i < n->n_pairs; i++)
		TRY(tun_open(device, ifname, n->n_pairs > 1, &n->fd[i], err));
	return 0;
}

/* A tap that was opened for us, and its vhost: in a jail nobody can open them. */
static int
take_fds(struct net *n, struct config *node, bool *ret_taken, struct error *err)
{
	uint64_t fd, vhost;

	TRY(config_u64(node, "fd", 3, INT_MAX, 0, &fd, err));
	TRY(config_u64(node, "vhostfd", 3, INT_MAX, 0, &vhost, err));
	if (!fd)
		return 0;
	if (n->n_pairs > 1)
		return error_set(err, EINVAL, "a descriptor has one queue pair");
	/* Close-on-exec also says whether they are open; reading must not wait. */
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl((int)fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return error_set_errno(err, errno, "fd %u", (unsigned)fd);
	if (vhost && fcntl((int)vhost, F_SETFD, FD_CLOEXEC) < 0)
		return error_set_errno(err, errno, "vhostfd %u", (unsigned)vhost);
	n->fd[0] = (int)fd;
	n->vhost[0] = vhost ? (int)vhost : -1;
	n->vnet_hdr = true;
	*ret_taken = true;
	return 0;
}

int
net_open(struct event_loop *loop, struct config *node, unsigned n_pairs, struct net *ret, struct error *err)
{
	/* What FreeBSD has: netgraph(4), netmap(4), and a user-mode network. */
	static const char *const elsewhere[] = {"netgraph", "netmap:", "vale", "slirp"};
	const char *backend = config_get(node, "backend", NULL);
	const char *path;
	bool vhost, user, taken = false;
	int r;

	*ret = (struct net){.n_pairs = n_pairs};
	for (unsigned i = 0; i < NET_MAX_PAIRS; i++)
		ret->fd[i] = ret->vhost[i] = -1;
	r = take_fds(ret, node, &taken, err);
	if (r < 0 || taken)
		return r;
	if (!backend)
		return error_set(err, EINVAL, "no backend; expected an interface, unix=PATH or user");
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		if (str_after(backend, elsewhere[i]))
			return error_set(err, ENOTSUP, "%s: %s is not there; expected an interface, "
					 "unix=PATH or user", backend, elsewhere[i]);
	}
	TRY(config_bool(node, "vhost", true, &vhost, err));
	path = str_after(backend, "unix=");
	user = str_eq(backend, "user");
	if ((path || user) && n_pairs > 1)
		return error_set(err, EINVAL, "%s has one queue pair", backend);
	if (user)
		r = net_user_new(loop, &ret->fd[0], &ret->user, err);
	else if (path)
		r = sock_unix_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK, &ret->fd[0], err);
	else
		r = open_interface(ret, backend, err);
	for (unsigned i = 0; r == 0 && !path && !user && vhost && i < n_pairs; i++)
		ret->vhost[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (r < 0)
		net_close(ret);
	return r;
}

void
net_close(struct net *n)
{
	net_user_free(steal_ptr(&n->user));
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

int
net_use_pairs(struct net *n, unsigned pairs, struct error *err)
{
	for (unsigned i = 1; i < n->n_pairs; i++) {
		bool off = i >= pairs;
		struct ifreq ifr = {.ifr_flags = off ? IFF_DETACH_QUEUE : IFF_ATTACH_QUEUE};

		if (off == n->off[i])
			continue;
		if (ioctl(n->fd[i], TUNSETQUEUE, &ifr) < 0)
			return error_set_errno(err, errno, "cannot change the interface's queues");
		n->off[i] = off;
	}
	return 0;
}

int
net_choose_mac(const struct net *n, struct pci_dev *d, struct config *node, uint8_t mac[6],
	       struct error *err)
{
	const char *given = config_get(node, "mac", NULL);
	uint32_t h = 2166136261U; /* FNV-1a */
	char where[16];

	if (given && (parse_mac(given, mac) < 0 || (mac[0] & 1)))
		return error_set(err, EINVAL, "mac: \"%s\" is not a station's address", given);
	if (!given && n->have_mac)
		memcpy(mac, n->mac, 6);
	if (given || n->have_mac)
		return 0;

	cleanup_free char *name = str_printf("%s-%s", pci_where(d, where), d->vm->name);

	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	put_be32(mac + 2, h);
	memcpy(mac, "\0\xa0\x98", 3);
	return 0;
}

/* ---- checksums and segments, for back ends that do neither ---- */

/* Fills the field the header names with the checksum of what begins at csum_start. */
static bool
finish_checksum(const struct virtio_net_hdr *h, uint8_t *frame, size_t len)
{
	size_t at = (size_t)h->csum_start + h->csum_offset;
	uint16_t sum;

	if (h->csum_start >= len || at + 2 > len)
		return false;
	sum = (uint16_t)~sum16(frame + h->csum_start, len - h->csum_start, 0);
	put_be16(frame + at, sum ? sum : 0xffff);
	return true;
}

static void
write_frame(struct net *n, unsigned pair, const uint8_t *frame, size_t len)
{
	(void)!write(n->fd[pair], frame, len); /* what finds no room is dropped */
}

/* TCP over IPv4 or IPv6, cut into segments of gso_size. */
static void
send_segments(struct net *n, unsigned pair, const struct virtio_net_hdr *h, const uint8_t *frame,
	      size_t len)
{
	bool v4 = (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4;
	size_t tcp = h->csum_start, ip = tcp < (v4 ? 34U : 54U) ? 0 : 14, head, at;
	uint8_t out[2048];

	if (!ip || tcp + 20 > len || h->gso_size == 0)
		return;
	head = tcp + 4U * (frame[tcp + 12] >> 4);
	if (head < tcp + 20 || head > len || head + h->gso_size > sizeof(out))
		return;

	uint32_t seq = get_be32(frame + tcp + 4), id = get_be16(frame + ip + 4);

	for (at = head; at < len; at += h->gso_size) {
		size_t part = len - at < h->gso_size ? len - at : h->gso_size;
		size_t tcp_len = head - tcp + part;
		uint32_t sum;

		memcpy(out, frame, head);
		memcpy(out + head, frame + at, part);
		put_be32(out + tcp + 4, seq);
		seq += (uint32_t)part;
		if (at + part < len)
			out[tcp + 13] &= (uint8_t)~0x09; /* FIN and PSH are the last one's */
		if (at > head)
			out[tcp + 13] &= (uint8_t)~0x80; /* CWR is the first one's */
		if (v4) {
			put_be16(out + ip + 2, (uint32_t)(head - ip + part));
			put_be16(out + ip + 4, id++);
			put_be16(out + ip + 10, 0);
			put_be16(out + ip + 10, ~sum16(out + ip, tcp - ip, 0));
			sum = sum16(out + ip + 12, 8, 6 + (uint32_t)tcp_len);
		} else {
			put_be16(out + ip + 4, (uint32_t)(tcp - ip - 40 + tcp_len));
			sum = sum16(out + ip + 8, 32, 6 + (uint32_t)tcp_len);
		}
		put_be16(out + tcp + 16, sum);
		if (finish_checksum(h, out, head + part))
			write_frame(n, pair, out, head + part);
	}
}

void
net_send(struct net *n, unsigned pair, unsigned hdr_len, const struct virtio_net_hdr *h,
	 uint8_t *frame, size_t len)
{
	uint8_t head[12] = {0};
	struct iovec iov[2] = {{head, hdr_len}, {frame, len}};

	if (len < 14)
		return;
	if (n->vnet_hdr) {
		memcpy(head, h, sizeof(*h));
		(void)!writev(n->fd[pair], iov, 2); /* what finds no room is dropped */
	} else if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		send_segments(n, pair, h, frame, len);
	} else if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || finish_checksum(h, frame, len)) {
		write_frame(n, pair, frame, len);
	}
}
