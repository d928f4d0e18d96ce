/* NICs of a configuration, read once for lx (veth) and kvm (tap). */
#ifndef ZONE_ZONEADMD_NET_H
#define ZONE_ZONEADMD_NET_H

#include "net/vnic.h"
#include "zone/zone.h"

struct nic {
	const char *name, *tag; /* the configuration's */
	struct mac_addr mac;
	uint16_t vid;
	uint32_t mtu;
	uint32_t flags;
	struct ip_addr *ips;
	size_t n_ips;
	struct ip_addr *allowed;
	size_t n_allowed;
	struct ip_addr *gateways;
	size_t n_gateways;
	bool dhcp, addrconf, primary;
};
void nic_done(struct nic *n);
int nic_parse(const struct zone_res *res, struct nic *ret, struct error *err);
void nic_spec(const struct nic *n, const char *zone, struct vnic_spec *ret);
const char *nic_attr(const struct zone_res *nic, const char *name);
struct zone_res *zone_res_find_primary(const struct zone_config *c);

#endif
