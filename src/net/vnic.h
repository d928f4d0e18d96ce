/*
 * VNICs and etherstubs.
 *
 * A VNIC is a port on a switch (switch.bpf.c): towards a zone a veth whose far
 * end sits in the zone's network namespace, towards a virtual machine a tap
 * device whose descriptor goes to the VMM.  The far end is the guest's and is
 * not trusted: every rule is enforced on the near end, which the guest cannot
 * see.  A switch is a NIC (a nic tag names it), an aggregation, or an etherstub.
 */
#ifndef NET_VNIC_H
#define NET_VNIC_H

#include "net/net.h"
#include "os/ip.h"

enum vnic_kind {
	VNIC_ZONE, /* veth into netns_fd */
	VNIC_TAP,  /* tap for a virtual machine */
};

/* link protection; 0 is what `dladm create-vnic` gives, zones get VNIC_PROTECT_ALL. */
#define VNIC_MAC_NOSPOOF 0x01  /* source MAC, ARP and ND sender */
#define VNIC_IP_NOSPOOF 0x02   /* source IP, ARP sender IP, ND target, router advertisements */
#define VNIC_DHCP_NOSPOOF 0x04 /* DHCP chaddr; no DHCP server behind this VNIC */
#define VNIC_RESTRICTED 0x08   /* IPv4, IPv6 and ARP only */
#define VNIC_PROTECT_ALL 0x0f
#define VNIC_PROMISC 0x10     /* allow_unfiltered_promisc: receives what nobody else takes */
#define VNIC_DHCP_ANSWER 0x20 /* DHCP is answered here (net/dhcpd.h), never forwarded */
#define VNIC_DYNAMIC_IP 0x40  /* also addresses by DHCP or SLAAC: learnt from the server or router \
			       */

struct vnic_spec {
	const char *zone; /* who it belongs to; NET_GLOBAL for the node's own */
	const char *name; /* net0: its name there */
	enum vnic_kind kind;
	/* One of these two: the lower link (NIC, aggregation, etherstub), or a nic tag. */
	const char *over;
	const char *nic_tag;
	struct mac_addr mac;           /* all zero: a random one */
	uint16_t vid;                  /* 0: untagged */
	uint32_t mtu;                  /* 0: that of the lower link */
	uint32_t flags;                /* VNIC_* */
	const struct ip_addr *allowed; /* addresses or prefixes it may send from; with IP_NOSPOOF */
	size_t n_allowed;
	uint64_t maxbw;  /* bits a second each way, 0: no limit */
	int netns_fd;    /* VNIC_ZONE: where its end goes; -1: the global zone */
	unsigned queues; /* VNIC_TAP: 0 means 1 */
};

#define VNIC_MAX_QUEUES 8
#define VNIC_NAME_MAX 16
#define VNIC_ZONE_MAX 64

/*
 * Makes the VNIC, its guest end up (a zone's end has no address yet).  What
 * carries that zone and name already is replaced.  ret_ifindex (may be NULL):
 * of the host-side port.  VNIC_TAP: tap_fds[0..queues-1] are the caller's
 * (IFF_VNET_HDR); the tap vanishes with the last of them, the record with
 * vnic_delete().  -EEXIST: the MAC is taken on that switch and VLAN.
 */
int vnic_create(struct net *n, const struct vnic_spec *spec, int *ret_ifindex, int *tap_fds,
		struct error *err);
/* Absent is success. */
int vnic_delete(struct net *n, const char *zone, const char *name, struct error *err);
/* Every VNIC of a zone, in bulk.  After its namespace died or before: both work. */
int vnic_delete_zone(struct net *n, const char *zone, struct error *err);

/*
 * What may be changed while the guest runs; `set` says which fields count.  With
 * VNIC_SET_MTU spec->netns_fd is the zone's namespace; -1 for a zone's VNIC: its
 * own end keeps its MTU, the switch enforces the new one.
 */
#define VNIC_SET_FLAGS 0x01
#define VNIC_SET_ALLOWED 0x02
#define VNIC_SET_MTU 0x04
#define VNIC_SET_MAXBW 0x08
int vnic_update(struct net *n, const char *zone, const char *name, unsigned set,
		const struct vnic_spec *spec, struct error *err);

struct vnic_info {
	char zone[VNIC_ZONE_MAX + 1];
	char name[VNIC_NAME_MAX];
	char over[VNIC_NAME_MAX];
	char nic_tag[32]; /* "" if made over a link */
	enum vnic_kind kind;
	bool etherstub; /* a switch without uplink: only name and mtu count */
	bool random_mac;
	struct mac_addr mac;
	uint16_t vid;
	uint32_t mtu;
	uint32_t flags;
	uint64_t maxbw;
	struct ip_addr *allowed; /* owned */
	size_t n_allowed;
	uint32_t id;
	int ifindex; /* host-side port; 0 if it is not there (a stopped machine's tap) */
	char port[VNIC_NAME_MAX]; /* its kernel name */
};
void vnic_info_done(struct vnic_info *v);
#define cleanup_vnic_info CLEANUP(vnic_info_done)

/* -ENOENT if there is none. */
int vnic_get(struct net *n, const char *zone, const char *name, struct vnic_info *ret,
	     struct error *err);
/* zone NULL: all.  Etherstubs are in the list.  Sorted by zone (global first), then name. */
int vnic_list(struct net *n, const char *zone, struct vnic_info **ret, size_t *ret_n,
	      struct error *err);
void vnic_list_free(struct vnic_info *v, size_t n);
/* An existing VNIC of the global zone gets another name (dladm rename-link). */
int vnic_rename(struct net *n, const char *zone, const char *from, const char *to,
		struct error *err);

int etherstub_create(struct net *n, const char *name, uint32_t mtu, struct error *err);
/* -EBUSY while VNICs are over it; absent is -ENOENT. */
int etherstub_delete(struct net *n, const char *name, struct error *err);

/* Why a frame from (or to) a VNIC was dropped; names by vnic_drop_name(). */
enum vnic_drop {
	VNIC_DROP_MAC,      /* source MAC not its own */
	VNIC_DROP_IP,       /* source IP not allowed */
	VNIC_DROP_ARP,      /* ARP sender not its own */
	VNIC_DROP_ND,       /* neighbour discovery: not its own; router advertisement */
	VNIC_DROP_DHCP,     /* DHCP: not its own hardware address, or an answer */
	VNIC_DROP_TYPE,     /* restricted: neither IPv4, IPv6 nor ARP */
	VNIC_DROP_VLAN,     /* it tagged frames itself */
	VNIC_DROP_MTU,      /* longer than the port's or the receiver's MTU */
	VNIC_DROP_SHORT,    /* truncated headers */
	VNIC_DROP_UNKNOWN,  /* etherstub: nobody has that destination */
	VNIC_DROP_FIREWALL, /* the global zone's firewall */
	VNIC_DROP_ERROR,    /* the kernel refused to deliver */
	VNIC_DROP_MAX
};
const char *vnic_drop_name(enum vnic_drop d);

/* As the guest sees it: ipackets came to it, opackets it sent. */
struct vnic_stats {
	uint64_t ipackets, rbytes, opackets, obytes;
	uint64_t drops[VNIC_DROP_MAX];
};
int vnic_stats(struct net *n, int ifindex, struct vnic_stats *ret, struct error *err);

/*
 * Makes a NIC or aggregation the uplink of a switch, as the first VNIC over it
 * does; for a node that wants the cost at boot.  Idempotent.
 */
int net_attach_uplink(struct net *n, const char *link, struct error *err);

/* Forgets that link was an uplink (it is about to go); -EBUSY while VNICs are over it. */
int net_detach_uplink(struct net *n, const char *link, struct error *err);

/* "mac-nospoof,ip-nospoof" to flags and back. */
int vnic_parse_protection(const char *s, uint32_t *ret, struct error *err);
char *vnic_print_protection(uint32_t flags);

#endif
