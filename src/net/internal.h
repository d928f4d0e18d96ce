/*
 * Inside src/net: what net.c, switch.c, vnic.c and nictag.c share.
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "net/net.h"
#include "net/switch.h"
#include "net/vnic.h"
#include "os/netlink.h"

enum sw_map {
	SW_PORTS,
	SW_SWITCHES,
	SW_FDB,
	SW_GROUPS,
	SW_IPS,
	SW_NETMAP,
	SW_LEASES,
	SW_STATS,
	SW_MAPS
};

enum sw_prog { SW_PROG_PORT, SW_PROG_SHAPED, SW_PROG_IN, SW_PROG_OUT, SW_PROGS };

struct net {
	char *run_dir;
	char *config_path;
	struct nl *nl; /* opened when first needed */
	int lock_fd;   /* held while > -1 */
	bool sw_open;
	int maps[SW_MAPS];
	int progs[SW_PROGS];
};

int net_nl(struct net *n, struct nl **ret, struct error *err);

/* One writer at a time, over all processes. */
int net_lock(struct net *n, struct error *err);
void net_unlockp(struct net **n);
/* Declares the holder: taken here, given back at the end of the scope. */
#define cleanup_unlock CLEANUP(net_unlockp)

/*
 * Records: RUN/link/ZONE/NAME.
 */
enum record_class { RECORD_VNIC, RECORD_ETHERSTUB, RECORD_UPLINK };

struct record {
	enum record_class class;
	struct vnic_info v; /* uplink: name, id, ifindex, mac; etherstub: name, id, mtu */
	uint32_t sw;        /* switch id: for uplinks and etherstubs their own id */
	uint32_t group;     /* link group of the zone's ports */
	bool peer;          /* VNIC: its far end is in another namespace */
};
void record_done(struct record *r);
#define cleanup_record CLEANUP(record_done)

bool net_is_zone_name(const char *s);
/* -ENOENT if there is none. */
int record_read(struct net *n, const char *zone, const char *name, struct record *ret,
		struct error *err);
bool record_exists(struct net *n, const char *zone, const char *name);
int record_write(struct net *n, const struct record *r, struct error *err);
int record_remove(struct net *n, const char *zone, const char *name, struct error *err);
/* zone NULL: all; sorted, global first. */
int record_list(struct net *n, const char *zone, struct record **ret, size_t *ret_n,
		struct error *err);
void record_list_free(struct record *r, size_t n);
/* Numbers never come back until the node reboots. */
int record_next_id(struct net *n, uint32_t *ret, struct error *err);

/*
 * The switch in the kernel; all under net_lock() but sw_stats_get().
 */
int sw_open(struct net *n, struct error *err);
void sw_close(struct net *n);
/* What a device is to the switch. */
enum sw_role { SW_ROLE_PORT, SW_ROLE_SHAPED, SW_ROLE_UPLINK };
int sw_attach(struct net *n, int ifindex, enum sw_role role, struct error *err);
int sw_switch_set(struct net *n, uint32_t id, const struct sw_switch *s, struct error *err);
void sw_switch_del(struct net *n, uint32_t id);
int sw_port_set(struct net *n, uint32_t ifindex, const struct sw_port *p, struct error *err);
int sw_port_get(struct net *n, uint32_t ifindex, struct sw_port *ret);
void sw_port_del(struct net *n, uint32_t ifindex);
/* Positive: the port that has the address; 0: nobody. */
uint32_t sw_fdb_get(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac);
int sw_fdb_set(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac,
	       uint32_t ifindex, struct error *err);
void sw_fdb_del(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac,
		uint32_t ifindex);
int sw_group_add(struct net *n, uint32_t sw, uint16_t vid, uint32_t ifindex, struct error *err);
void sw_group_del(struct net *n, uint32_t sw, uint16_t vid, uint32_t ifindex);
int sw_ip_add(struct net *n, uint32_t ifindex, const struct ip_addr *a, struct error *err);
void sw_ip_del(struct net *n, uint32_t ifindex, const struct ip_addr *a);
int sw_port_prepare(struct net *n, uint32_t ifindex, bool dynamic, struct error *err);
int sw_stats_get(struct net *n, uint32_t ifindex, struct vnic_stats *ret, struct error *err);
/* The address learnt by DHCP; false if none. */
bool sw_lease_get(struct net *n, uint32_t ifindex, struct ip_addr *ret);

#endif
