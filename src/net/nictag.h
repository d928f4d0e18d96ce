/*
 * NIC tags: names for physical networks, kept in the node configuration.
 *
 * /usbkey/config says TAG_nic=MAC (or an aggregation's name), and
 * etherstub=a,b lists the tags that are etherstubs.  A tag resolves to the
 * link with that MAC, whatever name the kernel gave it.
 */
#ifndef NET_NICTAG_H
#define NET_NICTAG_H

#include "base/conf.h"
#include "net/net.h"
#include "os/ip.h"

enum nictag_type { NICTAG_NORMAL, NICTAG_ETHERSTUB, NICTAG_AGGR };

struct nictag {
	char name[32];
	enum nictag_type type;
	struct mac_addr mac; /* NICTAG_NORMAL */
	char link[16];       /* the link it resolves to; "" if no such NIC is there */
	uint32_t mtu;        /* TAG_mtu, 0 if not given */
};

/* Tags of the configuration (an absent file has none), in its order. */
int nictag_list(struct net *n, struct nictag **ret, size_t *ret_n, struct error *err);
/* -ENOENT: no such tag. */
int nictag_get(struct net *n, const char *name, struct nictag *ret, struct error *err);
/* The link to make VNICs over; an etherstub tag's etherstub.  -ENODEV: its NIC is missing. */
int nictag_link(struct net *n, const char *name, char ret[16], struct error *err);
bool nictag_is_name(const char *s); /* letters, digits, '_', at most 31 */

int nictag_add(struct net *n, const char *name, const char *mac, uint32_t mtu, struct error *err);
int nictag_add_etherstub(struct net *n, const char *name, struct error *err);
int nictag_update(struct net *n, const char *name, const char *mac, uint32_t mtu,
		  struct error *err);
/* -EBUSY while a VNIC uses it, unless force. */
int nictag_delete(struct net *n, const char *name, bool force, struct error *err);

#endif
