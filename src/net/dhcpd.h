/*
 * Answers DHCP for one VNIC: a guest without cloud-init gets the address its
 * configuration says.  Runs in the daemon of that guest (zoneadmd) on its
 * event loop, on a packet socket bound to the VNIC's host-side port; the
 * switch keeps such requests from the network (VNIC_DHCP_ANSWER).  Packets
 * come from the guest and are hostile: the parser is dhcpd_answer(), a pure
 * function, fuzzed.
 */
#ifndef NET_DHCPD_H
#define NET_DHCPD_H

#include "base/event.h"
#include "base/str.h"
#include "os/ip.h"

#define DHCPD_MAX_RESOLVERS 4
#define DHCPD_MAX_ROUTES 16

struct dhcpd_config {
	struct mac_addr mac;    /* the guest's; anything else is not answered */
	struct ip_addr ip;      /* IPv4, with its prefix length */
	struct ip_addr gateway; /* family 0: none */
	struct ip_addr resolvers[DHCPD_MAX_RESOLVERS];
	size_t n_resolvers;
	struct {
		struct ip_addr dst, via;
	} routes[DHCPD_MAX_ROUTES]; /* option 121 */
	size_t n_routes;
	char hostname[64]; /* "" if none */
	char domain[128];
	uint32_t lease; /* seconds; 0: a day */
	uint16_t mtu;   /* 0: not told */
};

struct dhcpd;

/* ifindex: the host-side port (vnic_create()).  config is copied. */
int dhcpd_start(struct event_loop *l, int ifindex, const struct dhcpd_config *config,
		struct dhcpd **ret, struct error *err);
void dhcpd_set_config(struct dhcpd *d, const struct dhcpd_config *config);
void dhcpd_stop(struct dhcpd *d); /* NULL is fine */
DEFINE_CLEANUP(dhcpd_stop, struct dhcpd *);

/*
 * The answer to one Ethernet frame: its length in ret (at least
 * DHCPD_FRAME_MAX bytes), or 0 when there is nothing to say.
 */
#define DHCPD_FRAME_MAX 1514
size_t dhcpd_answer(const struct dhcpd_config *config, const void *frame, size_t len, void *ret);

#endif
