/*
 * Link properties: the table, and how each is read and set.
 */
#include "net/linkprop.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "net/internal.h"

#define PHYS (1u << LINK_PHYS)
#define AGGR (1u << LINK_AGGR)
#define VLAN (1u << LINK_VLAN)
#define STUB (1u << LINK_ETHERSTUB)
#define VNIC (1u << LINK_VNIC)

int
linkprop_parse_ips(const char *s, struct ip_addr **ret, size_t *ret_n, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free struct ip_addr *list = NULL;

	strv_words(&words, s, ",");
	list = xcalloc(words.n + 1, sizeof(*list));
	for (size_t i = 0; i < words.n; i++)
		if (ip_parse(words.v[i], &list[i]) < 0)
			return error_set(err, EINVAL, "invalid address '%s'", words.v[i]);
	free(*ret);
	*ret = steal_ptr(&list);
	*ret_n = words.n;
	return 0;
}

int
linkprop_parse_maxbw(const char *s, uint64_t *ret, struct error *err)
{
	size_t len = strlen(s);
	uint64_t unit = 1000000, v;
	cleanup_free char *digits = NULL;

	if (len && strchr("KkMmGg", s[len - 1])) {
		unit = strchr("Kk", s[len - 1])   ? 1000
		       : strchr("Mm", s[len - 1]) ? 1000000
						  : 1000000000;
		len--;
	}
	digits = xstrndup(s, len);
	if (str_to_u64(digits, 10, &v) < 0 || v > UINT64_MAX / 1000000000)
		return error_set(err, EINVAL, "invalid bandwidth '%s'", s);
	*ret = v * unit;
	return 0;
}

static char *
get_speed(struct net *n, const struct link *l)
{
	return str_printf("%d", l->speed);
}

static char *
get_duplex(struct net *n, const struct link *l)
{
	return xstrdup(l->duplex);
}

static char *
get_state(struct net *n, const struct link *l)
{
	return xstrdup(l->state);
}

static char *
get_mtu(struct net *n, const struct link *l)
{
	return str_printf("%u", l->dev.ifindex && l->class != LINK_VNIC ? l->dev.mtu : l->vnic.mtu);
}

static int
set_mtu(struct net *n, const struct link *l, const char *value, struct error *err)
{
	struct vnic_spec spec = {.netns_fd = -1};
	struct nl *nl;
	int mtu, r;

	if (str_to_int(value, &mtu) < 0 || mtu <= 0)
		return error_set(err, EINVAL, "%s: invalid mtu '%s'", l->name, value);
	if (l->class == LINK_VNIC) {
		spec.mtu = (uint32_t)mtu;
		return vnic_update(n, l->zone, l->name, VNIC_SET_MTU, &spec, err);
	}
	if (l->class == LINK_ETHERSTUB)
		return error_set(err, EOPNOTSUPP, "%s: an etherstub's mtu is set when it is made",
				 l->name);
	r = net_nl(n, &nl, err);
	if (r == 0)
		r = nl_link_set_mtu(nl, l->dev.ifindex, (uint32_t)mtu, err);
	/* the switch has its own idea of the NIC: told anew */
	if (r == 0 && record_exists(n, NET_GLOBAL, l->name))
		r = net_attach_uplink(n, l->name, err);
	return r;
}

static char *
get_zone(struct net *n, const struct link *l)
{
	return xstrdup(str_eq(l->zone, NET_GLOBAL) ? "" : l->zone);
}

static char *
get_protection(struct net *n, const struct link *l)
{
	return vnic_print_protection(l->vnic.flags);
}

static int
set_protection(struct net *n, const struct link *l, const char *value, struct error *err)
{
	struct vnic_spec spec = {0};
	uint32_t flags;
	int r = vnic_parse_protection(value, &flags, err);

	if (r < 0)
		return r;
	spec.flags = (l->vnic.flags & ~(uint32_t)VNIC_PROTECT_ALL) | flags;
	return vnic_update(n, l->zone, l->name, VNIC_SET_FLAGS, &spec, err);
}

static char *
get_allowed(struct net *n, const struct link *l)
{
	cleanup_strv struct strv out = STRV_INIT;
	char buf[IP_STRLEN];

	for (size_t i = 0; i < l->vnic.n_allowed; i++) {
		const struct ip_addr *a = &l->vnic.allowed[i];

		strv_add(&out, a->prefix == ip_bits(a) ? ip_print(a, buf) : ip_print_cidr(a, buf));
	}
	return strv_join(&out, ",");
}

static int
set_allowed(struct net *n, const struct link *l, const char *value, struct error *err)
{
	cleanup_free struct ip_addr *list = NULL;
	struct vnic_spec spec = {0};
	int r = linkprop_parse_ips(value, &list, &spec.n_allowed, err);

	spec.allowed = list;
	return r < 0 ? r : vnic_update(n, l->zone, l->name, VNIC_SET_ALLOWED, &spec, err);
}

static char *
get_dynamic(struct net *n, const struct link *l)
{
	bool on = (l->vnic.flags & VNIC_DYNAMIC_IP) ||
		  ((l->vnic.flags & VNIC_IP_NOSPOOF) && !l->vnic.n_allowed);

	return xstrdup(on ? "dhcpv4,slaac" : "");
}

static int
set_flag(struct net *n, const struct link *l, uint32_t flag, bool on, struct error *err)
{
	struct vnic_spec spec = {.flags = on ? l->vnic.flags | flag : l->vnic.flags & ~flag};

	return vnic_update(n, l->zone, l->name, VNIC_SET_FLAGS, &spec, err);
}

static int
set_dynamic(struct net *n, const struct link *l, const char *value, struct error *err)
{
	if (*value && !str_eq(value, "dhcpv4,slaac"))
		return error_set(err, EOPNOTSUPP,
				 "dynamic-methods are dhcpv4,slaac together, or none");
	return set_flag(n, l, VNIC_DYNAMIC_IP, *value, err);
}

static char *
get_promisc(struct net *n, const struct link *l)
{
	return xstrdup(l->vnic.flags & VNIC_PROMISC ? "off" : "on");
}

static int
set_promisc(struct net *n, const struct link *l, const char *value, struct error *err)
{
	if (!str_eq(value, "on") && !str_eq(value, "off"))
		return error_set(err, EINVAL, "promisc-filtered is on or off, not '%s'", value);
	return set_flag(n, l, VNIC_PROMISC, str_eq(value, "off"), err);
}

static char *
get_maxbw(struct net *n, const struct link *l)
{
	return l->vnic.maxbw ? str_printf("%llu", (unsigned long long)(l->vnic.maxbw / 1000000))
			     : NULL;
}

static int
set_maxbw(struct net *n, const struct link *l, const char *value, struct error *err)
{
	struct vnic_spec spec = {0};
	int r = *value ? linkprop_parse_maxbw(value, &spec.maxbw, err) : 0;

	return r < 0 ? r : vnic_update(n, l->zone, l->name, VNIC_SET_MAXBW, &spec, err);
}

static const struct linkprop props[] = {
	{"speed", PHYS | AGGR | VNIC, "0", NULL, NULL, get_speed, NULL},
	{"duplex", PHYS | AGGR, NULL, "half,full", NULL, get_duplex, NULL},
	{"state", PHYS | AGGR | VLAN | VNIC, "up", "up,down", NULL, get_state, NULL},
	{"mtu", PHYS | AGGR | VLAN | STUB | VNIC, "1500", "576-65521", NULL, get_mtu, set_mtu},
	{"zone", VNIC, NULL, NULL, NULL, get_zone, NULL},
	{"maxbw", VNIC, NULL, NULL, "", get_maxbw, set_maxbw},
	{"protection", VNIC, NULL, "mac-nospoof,restricted,ip-nospoof,dhcp-nospoof", "",
	 get_protection, set_protection},
	{"allowed-ips", VNIC, NULL, NULL, "", get_allowed, set_allowed},
	{"dynamic-methods", VNIC, NULL, "dhcpv4,slaac", "", get_dynamic, set_dynamic},
	{"promisc-filtered", VNIC, "on", "off,on", "on", get_promisc, set_promisc},
};

const struct linkprop *
linkprop_at(size_t i)
{
	return i < ARRAY_SIZE(props) ? &props[i] : NULL;
}

const struct linkprop *
linkprop_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(props); i++)
		if (str_eq(name, props[i].name))
			return &props[i];
	return NULL;
}
