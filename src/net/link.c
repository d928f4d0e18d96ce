/*
 * The list of all links, and aggregations.
 */
#include "net/link.h"

#include <linux/if_arp.h>
#include <linux/if_bonding.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "net/internal.h"

static const char *const class_names[] = {
	[LINK_PHYS] = "phys",           [LINK_AGGR] = "aggr", [LINK_VLAN] = "vlan",
	[LINK_ETHERSTUB] = "etherstub", [LINK_VNIC] = "vnic", [LINK_OTHER] = "misc",
};

const char *
link_class_name(enum link_class c)
{
	return class_names[c];
}

static void
set_state(struct link *l)
{
	const char *s = !(l->dev.flags & IFF_UP) ? "unknown" : l->dev.carrier ? "up" : "down";

	snprintf(l->state, sizeof(l->state), "%s", s);
}

/* What only sysfs says in words; a driver that does not know has no file or -1. */
static void
set_speed(struct link *l)
{
	cleanup_free char *speed_path = str_printf("/sys/class/net/%s/speed", l->name);
	cleanup_free char *duplex_path = str_printf("/sys/class/net/%s/duplex", l->name);
	cleanup_free char *speed = NULL, *duplex = NULL;
	int v;

	snprintf(l->duplex, sizeof(l->duplex), "unknown");
	if (file_read_line(speed_path, &speed, NULL) == 0 && str_to_int(speed, &v) == 0 && v > 0)
		l->speed = v;
	if (file_read_line(duplex_path, &duplex, NULL) == 0 && *duplex && strlen(duplex) < 8)
		snprintf(l->duplex, sizeof(l->duplex), "%s", duplex);
}

static enum link_class
class_of(const struct nl_link *d)
{
	if (str_eq(d->kind, "bond"))
		return LINK_AGGR;
	if (str_eq(d->kind, "vlan"))
		return LINK_VLAN;
	return d->kind[0] ? LINK_OTHER : LINK_PHYS;
}

static const struct nl_link *
by_index(const struct nl_link *devs, size_t n, int ifindex)
{
	for (size_t i = 0; ifindex && i < n; i++)
		if (devs[i].ifindex == ifindex)
			return &devs[i];
	return NULL;
}

static void
set_over(struct link *l, const struct nl_link *devs, size_t n)
{
	const struct nl_link *d = by_index(devs, n, l->dev.link);
	cleanup_strv struct strv members = STRV_INIT;
	cleanup_free char *joined = NULL;

	if (l->class == LINK_VLAN && d)
		snprintf(l->over, sizeof(l->over), "%s", d->name);
	if (l->class != LINK_AGGR)
		return;
	for (size_t i = 0; i < n; i++)
		if (devs[i].master == l->dev.ifindex)
			strv_add(&members, devs[i].name);
	joined = strv_join(&members, " ");
	snprintf(l->over, sizeof(l->over), "%s", joined);
}

static int
compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int c;

	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	c = strcmp(x->name, y->name);
	return c ? c : strcmp(x->zone, y->zone);
}

/* A VNIC of the global zone is seen once: as itself, not as its two devices. */
static bool
is_vnic_end(const struct nl_link *d, const struct vnic_info *v, size_t n)
{
	if (net_is_port_name(d->name))
		return true;
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].zone, NET_GLOBAL) && str_eq(v[i].name, d->name))
			return true;
	return false;
}

int
link_list(struct net *n, struct link **ret, size_t *ret_n, struct error *err)
{
	cleanup_free struct nl_link *devs = NULL;
	struct vnic_info *vnics;
	struct link *list;
	size_t n_devs, n_vnics, count = 0;
	struct nl *nl;
	int r;

	r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_link_list(nl, &devs, &n_devs, err);
	if (r == 0)
		r = vnic_list(n, NULL, &vnics, &n_vnics, err);
	if (r < 0)
		return r;
	list = xcalloc(n_devs + n_vnics + 1, sizeof(*list));
	for (size_t i = 0; i < n_devs; i++) {
		struct link *l = &list[count];

		if (devs[i].type != ARPHRD_ETHER || is_vnic_end(&devs[i], vnics, n_vnics))
			continue;
		l->dev = devs[i];
		l->class = class_of(&devs[i]);
		snprintf(l->name, sizeof(l->name), "%s", devs[i].name);
		snprintf(l->zone, sizeof(l->zone), "%s", NET_GLOBAL);
		set_over(l, devs, n_devs);
		set_state(l);
		set_speed(l);
		count++;
	}
	for (size_t i = 0; i < n_vnics; i++) {
		struct link *l = &list[count++];
		const struct nl_link *port = by_index(devs, n_devs, vnics[i].ifindex);

		l->vnic = vnics[i];
		l->class = vnics[i].etherstub ? LINK_ETHERSTUB : LINK_VNIC;
		memcpy(l->name, vnics[i].name, sizeof(l->name));
		memcpy(l->zone, vnics[i].zone, sizeof(l->zone));
		memcpy(l->over, vnics[i].over, sizeof(l->over));
		if (port)
			l->dev = *port;
		if (l->class == LINK_ETHERSTUB)
			snprintf(l->state, sizeof(l->state), "unknown");
		else
			set_state(l);
		snprintf(l->duplex, sizeof(l->duplex), "unknown");
	}
	free(vnics); /* what they own went into the links */
	/* a VNIC is as fast as what it is over */
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; list[i].class == LINK_VNIC && k < count; k++)
			if (list[k].class < LINK_ETHERSTUB && str_eq(list[k].name, list[i].over)) {
				list[i].speed = list[k].speed;
				memcpy(list[i].duplex, list[k].duplex, sizeof(list[i].duplex));
			}
	qsort(list, count, sizeof(*list), compare_links);
	*ret = list;
	*ret_n = count;
	return 0;
}

void
link_list_free(struct link *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vnic_info_done(&l[i].vnic);
	free(l);
}

/*
 * Aggregations.  Without LACP the two ends agree by configuration alone
 * (balance-xor); with it, 802.3ad.
 */

#define MODE_XOR BOND_MODE_XOR
#define MODE_LACP BOND_MODE_8023AD

static const struct {
	const char *name;
	uint8_t policy;
} policies[] = {
	{"L4", BOND_XMIT_POLICY_LAYER34}, {"L3,L4", BOND_XMIT_POLICY_LAYER34},
	{"L3", BOND_XMIT_POLICY_LAYER23}, {"L2,L3", BOND_XMIT_POLICY_LAYER23},
	{"L2", BOND_XMIT_POLICY_LAYER2},
};

const char *
aggr_policy(const struct nl_link *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (policies[i].policy == l->bond_xmit_policy)
			return policies[i].name;
	return "L2";
}

const char *
aggr_lacp(const struct nl_link *l)
{
	if (l->bond_mode != MODE_LACP)
		return "off";
	return l->bond_lacp_active ? "active" : "passive";
}

const char *
aggr_timer(const struct nl_link *l)
{
	return l->bond_lacp_rate || l->bond_mode != MODE_LACP ? "short" : "long";
}

static int
aggr_params(const struct aggr_spec *s, struct nl_bond *b, struct error *err)
{
	const char *policy = s->policy ? s->policy : "L4", *lacp = s->lacp ? s->lacp : "off",
		   *timer = s->timer ? s->timer : "short";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policies); i++)
		if (str_eq(policy, policies[i].name))
			break;
	if (i == ARRAY_SIZE(policies))
		return error_set(err, EINVAL, "invalid policy '%s': L2, L3 or L4", policy);
	if (!str_eq(lacp, "off") && !str_eq(lacp, "active") && !str_eq(lacp, "passive"))
		return error_set(err, EINVAL, "invalid LACP mode '%s': off, active or passive",
				 lacp);
	if (!str_eq(timer, "short") && !str_eq(timer, "long"))
		return error_set(err, EINVAL, "invalid LACP timer '%s': short or long", timer);
	b->name = s->name;
	b->mode = str_eq(lacp, "off") ? MODE_XOR : MODE_LACP;
	b->xmit_policy = policies[i].policy;
	b->lacp_rate = str_eq(timer, "short");
	b->lacp_active = str_eq(lacp, "active");
	return 0;
}

static int
find_aggr(struct net *n, const char *name, struct nl **nl, struct nl_link *ret, struct error *err)
{
	int r = net_nl(n, nl, err);

	if (r == 0)
		r = nl_link_get(*nl, name, ret, err);
	if (r == 0 && !str_eq(ret->kind, "bond"))
		return error_set(err, EINVAL, "%s is not an aggregation", name);
	return r;
}

static int
enslave(struct nl *nl, const char *link, int bond, struct error *err)
{
	struct nl_link l;
	int r = nl_link_get(nl, link, &l, err);

	if (r < 0)
		return r;
	if (l.master == bond)
		return 0;
	if (l.master)
		return error_set(err, EBUSY, "%s is in another aggregation", link);
	r = nl_link_set_up(nl, l.ifindex, false, err);
	if (r == 0)
		r = nl_link_set_master(nl, l.ifindex, bond, err);
	if (r == 0)
		r = nl_link_set_up(nl, l.ifindex, true, err);
	return r < 0 ? error_wrap(err, r, "%s", link) : 0;
}

int
aggr_create(struct net *n, const struct aggr_spec *s, struct error *err)
{
	struct nl_bond b = {0};
	struct nl_link bond;
	struct nl *nl;
	int r;

	if (!net_is_link_name(s->name))
		return error_set(err, EINVAL, "bad link name '%s'", s->name);
	r = aggr_params(s, &b, err);
	if (r == 0)
		r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_bond_create(nl, &b, err);
	if (r == -EOPNOTSUPP || r == -ENODEV)
		return error_set(err, EOPNOTSUPP, "%s: the kernel has no bonding driver", s->name);
	if (r == 0)
		r = nl_link_get(nl, s->name, &bond, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < s->n_links; i++)
		r = enslave(nl, s->links[i], bond.ifindex, err);
	if (r == 0 && s->mtu)
		r = nl_link_set_mtu(nl, bond.ifindex, s->mtu, err);
	if (r == 0)
		r = nl_link_set_up(nl, bond.ifindex, true, err);
	if (r < 0)
		(void)nl_link_delete(nl, bond.ifindex, NULL); /* the first failure is told */
	return r;
}

int
aggr_delete(struct net *n, const char *name, struct error *err)
{
	struct nl_link bond;
	struct nl *nl;
	int r = find_aggr(n, name, &nl, &bond, err);

	if (r == 0)
		r = net_detach_uplink(n, name, err);
	return r < 0 ? r : nl_link_delete(nl, bond.ifindex, err);
}

int
aggr_add(struct net *n, const char *name, const char *link, struct error *err)
{
	struct nl_link bond;
	struct nl *nl;
	int r = find_aggr(n, name, &nl, &bond, err);

	return r < 0 ? r : enslave(nl, link, bond.ifindex, err);
}

int
aggr_remove(struct net *n, const char *name, const char *link, struct error *err)
{
	struct nl_link bond, l;
	struct nl *nl;
	int r = find_aggr(n, name, &nl, &bond, err);

	if (r == 0)
		r = nl_link_get(nl, link, &l, err);
	if (r < 0)
		return r;
	if (l.master != bond.ifindex)
		return error_set(err, EINVAL, "%s is not in %s", link, name);
	return nl_link_set_master(nl, l.ifindex, 0, err);
}
