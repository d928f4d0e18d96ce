/*
 * What the switch (switch.bpf.c) and its owner (switch.c) agree on: the maps.
 * Both sides are built from this file; a change of layout changes SW_LAYOUT,
 * so that old pins are not taken for new ones.
 */
#ifndef NET_SWITCH_H
#define NET_SWITCH_H

#include <linux/types.h>

#define SW_LAYOUT "3"

#define SW_MAX_PORTS 16384
#define SW_GROUP_MAX 1000  /* ports on one VLAN of one switch */
#define SW_MARK 0x41544c31 /* skb->mark of a frame that has been through the switch */

/* sw_port.flags: the low byte is VNIC_* of net/vnic.h. */
#define SW_MAC_NOSPOOF 0x01
#define SW_IP_NOSPOOF 0x02
#define SW_DHCP_NOSPOOF 0x04
#define SW_RESTRICTED 0x08
#define SW_PROMISC 0x10
#define SW_DHCP_ANSWER 0x20
#define SW_DYNAMIC_IP 0x40
#define SW_PEER 0x100   /* its far end is in another namespace: bpf_redirect_peer works */
#define SW_UPLINK 0x200 /* a NIC, not a guest */
#define SW_NETS 0x400   /* it has prefixes in `nets` besides addresses in `ips` */

/* ports: ifindex -> */
struct sw_port {
	__u32 sw;
	__u32 flags;
	__u32 mtu;
	__u16 vid;
	__u8 mac[6];
	__u32 filter_out; /* the global zone's firewall: rule set for what it sends, 0 none */
	__u32 filter_in;  /* and for what it receives */
	__u32 shaper;     /* ifindex of the queue its frames go through, 0 none */
	__u32 owner;      /* this is the far end of that queue of port `owner` */
};

/* switches: id -> */
struct sw_switch {
	__u32 uplink; /* ifindex, 0: etherstub */
	__u8 mac[6];  /* the NIC's own: frames to it go to the global zone */
	__u16 pad;
};

/* fdb -> ifindex of the port that has the address */
struct sw_fdb_key {
	__u32 sw;
	__u16 vid;
	__u8 mac[6];
};

/* groups -> who gets a broadcast */
struct sw_group_key {
	__u32 sw;
	__u32 vid;
};
struct sw_group {
	__u32 n;
	__u32 ifindex[SW_GROUP_MAX];
};

/* ips: addresses a port may send from; IPv4 as ::ffff:a.b.c.d */
struct sw_ip_key {
	__u32 ifindex;
	__u8 addr[16];
};
/* nets: prefixes likewise; prefixlen counts the 32 bits of ifindex too */
struct sw_net_key {
	__u32 prefixlen;
	__u32 ifindex;
	__u8 addr[16];
};

#define SW_PREFIXES 4

/* leases: what the switch learnt for a port (SW_DYNAMIC_IP) */
struct sw_lease {
	__u32 xid;     /* of its last DHCP request, network order; 0 none */
	__u32 address; /* what the server gave it, network order; 0 none */
	__u32 n;       /* IPv6 addresses made of routers' prefixes and its MAC address */
	__u32 pad;
	__u8 addr6[SW_PREFIXES][16];
};

#define SW_DROPS 12 /* enum vnic_drop */

/* stats: ifindex -> (per CPU), as the guest sees it */
struct sw_stats {
	__u64 ipackets, rbytes, opackets, obytes;
	__u64 drops[SW_DROPS];
};

#endif
