/*
 * Every link of the node as dladm(8) sees it: NICs, aggregations, VLANs,
 * etherstubs and VNICs, with what the kernel and the records know of each.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "net/net.h"
#include "net/vnic.h"
#include "os/netlink.h"

enum link_class { LINK_PHYS, LINK_AGGR, LINK_VLAN, LINK_ETHERSTUB, LINK_VNIC, LINK_OTHER };
const char *link_class_name(enum link_class c);

struct link {
	enum link_class class;
	char name[16];
	char zone[VNIC_ZONE_MAX + 1];
	char over[16];
	struct nl_link dev;    /* the device: of a VNIC its port; ifindex 0 if there is none */
	struct vnic_info vnic; /* VNIC, etherstub */
	char state[8];         /* "up" "down" "unknown" */
	int speed;             /* Mb/s, 0 unknown */
	char duplex[8];        /* "full" "half" "unknown" */
};

/* In dladm's order: by class, then name. */
int link_list(struct net *n, struct link **ret, size_t *ret_n, struct error *err);
void link_list_free(struct link *l, size_t n);

/* Aggregations: bonds. */
struct aggr_spec {
	const char *name;
	const char *policy; /* "L2" "L3" "L4" "L2,L3" "L3,L4"; NULL: L4 */
	const char *lacp;   /* "off" "active" "passive"; NULL: off */
	const char *timer;  /* "short" "long"; NULL: short */
	const char *const *links;
	size_t n_links;
	uint32_t mtu; /* 0: left alone */
};
int aggr_create(struct net *n, const struct aggr_spec *s, struct error *err);
int aggr_delete(struct net *n, const char *name, struct error *err);
int aggr_add(struct net *n, const char *name, const char *link, struct error *err);
int aggr_remove(struct net *n, const char *name, const char *link, struct error *err);
/* "L4", "active", "short" of an aggregation's device. */
const char *aggr_policy(const struct nl_link *l);
const char *aggr_lacp(const struct nl_link *l);
const char *aggr_timer(const struct nl_link *l);

#endif
