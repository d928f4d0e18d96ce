/* Carrying a network plan out.  Every step may be repeated. */
#ifndef BOOT_NET_APPLY_H
#define BOOT_NET_APPLY_H

#include "base/error.h"
#include "boot/net_plan.h"

int net_loopback_up(struct error *err);
/*
 * Interfaces, addresses, routes, resolvers.  One interface that fails does not
 * stop the others; what failed is said through say().
 */
void net_apply(const struct net_plan *plan, const char *hostname,
	       void (*say)(const char *fmt, ...) __attribute__((format(printf, 1, 2))));
/*
 * DHCP on an interface: waits up to 15 s for a lease (1 if there is one), then
 * goes on in the background (0).
 */
int net_dhcp(const char *ifname, const char *hostname, struct error *err);
/* Ends our DHCP clients. */
void net_dhcp_stop(void);

#endif
