/*
 * Addresses and routes inside a namespace, for zones at boot and for ipadm.
 *
 * netns_fd is the zone's network namespace, -1 the caller's own.  Every call
 * may be repeated: what is there already is success.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "os/ip.h"

/* One interface, as a zone's configuration says. */
struct addr_config {
	const char *ifname;
	const struct ip_addr *ips; /* with their prefix lengths */
	size_t n_ips;
	bool addrconf; /* IPv6 autoconfiguration on; else router advertisements are ignored */
	const struct ip_addr *gateways; /* default routes over this interface, may be none */
	size_t n_gateways;
};

/* Loopback up. */
int addr_loopback(int netns_fd, struct error *err);
/* Interface up, its addresses exactly those, its default routes. */
int addr_apply(int netns_fd, const struct addr_config *c, struct error *err);

int addr_add(int netns_fd, const char *ifname, const struct ip_addr *a, struct error *err);
int addr_del(int netns_fd, const char *ifname, const struct ip_addr *a, struct error *err);
int addr_set_up(int netns_fd, const char *ifname, bool up, struct error *err);
int addr_set_mtu(int netns_fd, const char *ifname, uint32_t mtu, struct error *err);

/* via: a gateway (family 0: on link, then ifname says where). */
int route_add(int netns_fd, const struct ip_addr *dst, const struct ip_addr *via,
	      const char *ifname, struct error *err);
int route_del(int netns_fd, const struct ip_addr *dst, const struct ip_addr *via,
	      struct error *err);
/* Replaces the default route of that family. */
int route_set_default(int netns_fd, const struct ip_addr *gateway, struct error *err);

/*
 * A VM's routes (config/routes.json): {"10.2.0.0/16": "10.0.0.1", "10.3.0.0/16": "nics[1]",
 * "10.4.0.0/16": "macs[02:08:20:..]"}.  nics[i] and macs[..] are resolved by `link`, which
 * returns the interface's name or NULL.
 */
typedef const char *addr_link_fn(const char *target, void *arg);
int route_apply_json(int netns_fd, const struct json *routes, addr_link_fn *link, void *arg,
		     struct error *err);

#endif
