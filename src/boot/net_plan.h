/*
 * What the node's own network should look like: worked out from the node
 * configuration, the boot parameters and the NICs there are.  A pure function,
 * so that every rule of usbkey-config(5) is tested without a network; the
 * method of svc:/network/physical carries the plan out.
 *
 * Rules, as on SmartOS: every <tag>_nic=MAC makes a nic tag; admin_* goes
 * straight onto the admin NIC; <tag>N_ip makes the VNIC <tag>N over the tag,
 * and external_* the VNIC external0.  Keys that the configuration leaves out
 * may come as boot parameters with BOOT_ in front.  The default route is
 * headnode_default_gateway, else admin_gateway, else external_gateway, else
 * that of the first other VNIC that has one.
 */
#ifndef BOOT_NET_PLAN_H
#define BOOT_NET_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/map.h"
#include "base/str.h"
#include "os/ip.h"

/* A NIC of the machine. */
struct net_link {
	char name[IFNAMSIZ];
	struct mac_addr mac;
};
/* Those with hardware behind them, by name; the caller frees *ret. */
int net_links(struct net_link **ret, size_t *ret_n, struct error *err);

enum net_ip_mode { NET_IP_NONE, NET_IP_STATIC, NET_IP_DHCP };

struct net_if {
	char name[IFNAMSIZ]; /* what gets the address */
	char tag[32];	     /* VNIC over this nic tag; "" for a NIC itself */
	struct mac_addr mac; /* VNIC: zero for a random one */
	uint16_t vid;
	uint32_t mtu; /* 0: left alone */
	enum net_ip_mode mode;
	struct ip_addr ip;  /* NET_IP_STATIC */
	struct ip_addr ip6; /* family 0: none */
	bool addrconf;
};

/* aggrN_aggr=MAC,MAC: several NICs as one link. */
struct net_aggr {
	char name[IFNAMSIZ];
	struct strv links;
	const char *lacp; /* "off" "active" "passive" */
	uint32_t mtu;	  /* 0: left alone */
};

#define NET_PLAN_MAX 32
struct net_plan {
	struct net_aggr aggrs[NET_PLAN_MAX];
	size_t n_aggrs;
	struct net_if ifs[NET_PLAN_MAX];
	size_t n_ifs;
	struct strv etherstubs;
	struct ip_addr gateway, gateway6; /* family 0: none (or by DHCP) */
	struct strv resolvers;
	char *search;	       /* owned; NULL: none */
	char *domain;	       /* owned; NULL: none */
	struct strv problems;  /* what was left out, and why */
};

#define NET_PLAN_INIT {0}
void net_plan_done(struct net_plan *p);
#define cleanup_net_plan CLEANUP(net_plan_done)

void net_plan_make(const struct conf *config, const struct map *params,
		   const struct net_link *links, size_t n_links, struct net_plan *ret);

#endif
