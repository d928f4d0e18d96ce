/*
 * rtnetlink over libmnl: links, addresses, routes, one network namespace a socket.
 *
 * A socket belongs to the namespace it was opened in for its whole life, so a
 * caller holds one `struct nl` a namespace and never changes its own.  Every
 * call sends one request, waits for the kernel's answer, and turns a refusal
 * into an error with the kernel's own words (extended acknowledgement).
 */
#ifndef OS_NETLINK_H
#define OS_NETLINK_H

#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "os/ip.h"

struct nl;

/* netns_fd -1: the caller's namespace. */
int nl_open(int netns_fd, struct nl **ret, struct error *err);
void nl_close(struct nl *nl);
DEFINE_CLEANUP(nl_close, struct nl *);
#define cleanup_nl CLEANUP(nl_closep)

/* A socket(2) that lives in netns_fd (-1: ours). */
int nl_socket_in(int netns_fd, int domain, int type, int protocol, int *ret_fd, struct error *err);
/* The namespace's fd of a process, or of /run/netns/NAME when given a path. */
int nl_netns_of_pid(int pid, int *ret_fd, struct error *err);
int nl_netns_open(const char *path, int *ret_fd, struct error *err);
/* A new empty namespace with its loopback up; the caller's own is left. */
int nl_netns_new(int *ret_fd, struct error *err);

/* Writes a file below /proc/sys/net as netns_fd (-1: ours) sees it: "ipv6/conf/net0/accept_ra". */
int nl_sysctl(int netns_fd, const char *name, const char *value, struct error *err);

struct nl_link {
	int ifindex;
	char name[IFNAMSIZ];
	char altname[128]; /* the first one, or "" */
	char kind[32];     /* "veth", "tun", "bond", "vlan"; "" for hardware */
	char slave_kind[32];
	uint16_t type;  /* ARPHRD_* */
	uint32_t flags; /* IFF_* */
	uint32_t mtu, min_mtu, max_mtu;
	uint32_t group;
	int master; /* ifindex or 0 */
	int link;   /* of the lower device (vlan) or the veth peer; 0 if none */
	bool carrier;
	uint8_t operstate; /* IF_OPER_* */
	uint16_t vid;      /* kind "vlan" */
	struct mac_addr mac, perm_mac;
	uint32_t promiscuity, allmulti;
	struct rtnl_link_stats64 stats;
	uint8_t bond_mode, bond_lacp_rate, bond_xmit_policy, bond_lacp_active; /* kind "bond" */
};

int nl_link_list(struct nl *nl, struct nl_link **ret, size_t *ret_n, struct error *err);
/* -ENODEV if absent; also takes alternative names. */
int nl_link_get(struct nl *nl, const char *name, struct nl_link *ret, struct error *err);
int nl_link_get_index(struct nl *nl, int ifindex, struct nl_link *ret, struct error *err);

int nl_link_set_up(struct nl *nl, int ifindex, bool up, struct error *err);
/* Sets and clears IFF_* bits. */
int nl_link_set_flags(struct nl *nl, int ifindex, uint32_t set, uint32_t clear, struct error *err);
int nl_link_set_mtu(struct nl *nl, int ifindex, uint32_t mtu, struct error *err);
int nl_link_set_mac(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err);
int nl_link_set_name(struct nl *nl, int ifindex, const char *name, struct error *err);
int nl_link_set_master(struct nl *nl, int ifindex, int master, struct error *err);
int nl_link_set_group(struct nl *nl, int ifindex, uint32_t group, struct error *err);
int nl_link_add_altname(struct nl *nl, int ifindex, const char *name, struct error *err);
int nl_link_del_altname(struct nl *nl, int ifindex, const char *name, struct error *err);
int nl_link_move(struct nl *nl, int ifindex, int netns_fd, const char *name, struct error *err);

/*
 * A veth pair: `name` here, its peer named peer_name in peer_netns (-1: here
 * too), with peer_mac.  Both down.
 */
struct nl_veth {
	const char *name;
	uint32_t mtu;
	const char *peer_name;
	int peer_netns;
	struct mac_addr peer_mac;
};
/* Makes a link that is down a switch port: no ARP, no IPv6 address, that group and mtu. */
int nl_link_make_port(struct nl *nl, int ifindex, uint32_t group, uint32_t mtu, struct error *err);
int nl_veth_create(struct nl *nl, const struct nl_veth *v, struct error *err);
int nl_vlan_create(struct nl *nl, const char *name, int over, uint16_t vid, struct error *err);
struct nl_bond {
	const char *name;
	uint8_t mode;        /* BOND_MODE_* */
	uint8_t xmit_policy; /* BOND_XMIT_POLICY_* */
	uint8_t lacp_rate;
	bool lacp_active;
};
int nl_bond_create(struct nl *nl, const struct nl_bond *b, struct error *err);
int nl_link_delete(struct nl *nl, int ifindex, struct error *err);
/* All links of a group in one message: 40 times cheaper than one by one. No link is success. */
int nl_link_delete_group(struct nl *nl, uint32_t group, struct error *err);

/* The device's own filter of unicast addresses (NTF_SELF); adding twice is success. */
int nl_unicast_add(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err);
int nl_unicast_del(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err);

/*
 * A token bucket as the link's root queue: what is sent by it leaves at that
 * rate (bytes a second), at most 50 ms late.  Replaces what is there.
 */
int nl_tbf_set(struct nl *nl, int ifindex, uint64_t rate, struct error *err);
/* Back to the default queue; none set is success. */
int nl_tbf_clear(struct nl *nl, int ifindex, struct error *err);

struct nl_addr {
	int ifindex;
	struct ip_addr addr; /* with prefix length */
	struct ip_addr peer; /* family 0 if none */
	uint32_t flags;      /* IFA_F_* */
	uint8_t scope;       /* RT_SCOPE_* */
	uint32_t valid, preferred;
};
int nl_addr_list(struct nl *nl, struct nl_addr **ret, size_t *ret_n, struct error *err);
/* Adding an address that is there is success. */
int nl_addr_add(struct nl *nl, int ifindex, const struct ip_addr *a, struct error *err);
int nl_addr_del(struct nl *nl, int ifindex, const struct ip_addr *a, struct error *err);

struct nl_route {
	struct ip_addr dst;     /* prefix 0: default */
	struct ip_addr gateway; /* family 0: on link */
	struct ip_addr source;  /* preferred source, family 0: none */
	int ifindex;            /* 0: the kernel finds it from the gateway */
	uint32_t metric;
	uint32_t table;   /* 0 and RT_TABLE_MAIN: main */
	uint8_t type;     /* RTN_UNICAST if 0; RTN_BLACKHOLE, RTN_UNREACHABLE */
	uint8_t protocol; /* RTPROT_STATIC if 0 */
	uint8_t scope;
	uint32_t flags; /* RTNH_F_ONLINK, RTM_F_CLONED */
	uint32_t mtu;
};
int nl_route_list(struct nl *nl, struct nl_route **ret, size_t *ret_n, struct error *err);
/* -EEXIST if there is one to that destination with that metric, unless replace. */
int nl_route_add(struct nl *nl, const struct nl_route *r, bool replace, struct error *err);
int nl_route_del(struct nl *nl, const struct nl_route *r, struct error *err);
/* The route the kernel would take. */
int nl_route_get(struct nl *nl, const struct ip_addr *dst, struct nl_route *ret, struct error *err);

#endif
