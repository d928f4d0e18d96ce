/*
 * What stands behind a guest's NIC: a tap or macvtap interface (with vhost-net
 * in the kernel if it is there), or a UNIX socket of frames for tests.
 */
#ifndef VMM_BACKEND_NET_H
#define VMM_BACKEND_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config.h"

#define NET_MAX_PAIRS 8

struct net {
	unsigned n_pairs;
	int fd[NET_MAX_PAIRS];	  /* frames, with a virtio_net_hdr in front if vnet_hdr */
	int vhost[NET_MAX_PAIRS]; /* /dev/vhost-net, or -1 */
	bool vnet_hdr;
	uint8_t mac[6];
	bool have_mac; /* the interface's own */
};

/* Keys: backend ("tap0", "unix=PATH"), vhost. */
int net_open(struct config *node, unsigned n_pairs, struct net *ret, struct error *err);
void net_close(struct net *n);
/* Header length (10 or 12) and the offloads the guest takes: TUN_F_*. */
int net_configure(struct net *n, unsigned hdr_len, unsigned offloads, struct error *err);
int net_parse_mac(const char *s, uint8_t mac[6]);

#endif
