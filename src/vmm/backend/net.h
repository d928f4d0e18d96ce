/*
 * What stands behind a guest's NIC: a tap or macvtap interface (with vhost-net
 * in the kernel if it is there), a UNIX socket of frames, or a network of our
 * own (net_user.c) for tests.
 */
#ifndef VMM_BACKEND_NET_H
#define VMM_BACKEND_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/config.h"

#define NET_MAX_PAIRS 8

struct event_loop;
struct net_user;

struct net {
	unsigned n_pairs;
	int fd[NET_MAX_PAIRS];	  /* frames, with a virtio_net_hdr in front if vnet_hdr */
	int vhost[NET_MAX_PAIRS]; /* /dev/vhost-net, or -1 */
	bool off[NET_MAX_PAIRS];  /* net_use_pairs(): no frames come there */
	bool vnet_hdr;
	uint8_t mac[6];
	bool have_mac; /* the interface's own */
	struct net_user *user;
};

/*
 * Keys: backend ("tap0", "unix=PATH", "user") and vhost; or fd and vhostfd, which are open
 * already.  loop is for "user".
 */
#define NET_PCI_OPTS                                                                              \
	{"backend", "INTERFACE|unix=PATH|user",                                                   \
	 "tap or macvtap interface, a socket of frames, or a network of its own for tests"},      \
	{"fd", "N", "instead: a tap that is open as descriptor N"},                               \
	{"vhostfd", "N", "with it: an open /dev/vhost-net; only virtio-net uses it"},              \
	{"bootindex", "N", "firmware boots from the lowest"},                                     \
	{"mac", "ADDRESS", "the guest's address"}
int net_open(struct event_loop *loop, struct config *node, unsigned n_pairs, struct net *ret,
	     struct error *err);
void net_close(struct net *n);
/* Header length (10 or 12) and the offloads the guest takes: TUN_F_*. */
int net_configure(struct net *n, unsigned hdr_len, unsigned offloads, struct error *err);
/* Frames come to the first so many pairs; at the start to all. */
int net_use_pairs(struct net *n, unsigned pairs, struct error *err);
/* net_user.c: *ret_fd is the NIC's end of the wire, the caller's. */
int net_user_new(struct event_loop *loop, int *ret_fd, struct net_user **ret, struct error *err);
void net_user_free(struct net_user *u);
/*
 * Sends a frame whose checksum and segmentation are described as virtio does; an
 * interface does that by itself, for other back ends it is done here.  A frame
 * that makes no sense or finds no room is dropped, as on a wire.  hdr_len is
 * what net_configure() was told.
 */
struct virtio_net_hdr;
void net_send(struct net *n, unsigned pair, unsigned hdr_len, const struct virtio_net_hdr *h,
	      uint8_t *frame, size_t len);
/* The guest's address: the key mac, the interface's own, or one of bhyve's prefix, the same every time. */
struct pci_dev;
int net_choose_mac(const struct net *n, struct pci_dev *d, struct config *node, uint8_t mac[6],
		   struct error *err);

#endif
