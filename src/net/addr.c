/*
 * Addresses and routes inside a namespace.
 */
#include "net/addr.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "os/netlink.h"

static int
open_link(int netns_fd, const char *ifname, struct nl **ret, struct nl_link *link,
	  struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	int r = nl_open(netns_fd, &nl, err);

	if (r == 0)
		r = nl_link_get(nl, ifname, link, err);
	if (r == 0)
		*ret = steal_ptr(&nl);
	return r;
}

int
addr_set_up(int netns_fd, const char *ifname, bool up, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_link link;
	int r = open_link(netns_fd, ifname, &nl, &link, err);

	return r < 0 ? r : nl_link_set_up(nl, link.ifindex, up, err);
}

int
addr_loopback(int netns_fd, struct error *err)
{
	return addr_set_up(netns_fd, "lo", true, err);
}

int
addr_set_mtu(int netns_fd, const char *ifname, uint32_t mtu, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_link link;
	int r = open_link(netns_fd, ifname, &nl, &link, err);

	return r < 0 ? r : nl_link_set_mtu(nl, link.ifindex, mtu, err);
}

int
addr_add(int netns_fd, const char *ifname, const struct ip_addr *a, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_link link;
	int r = open_link(netns_fd, ifname, &nl, &link, err);

	return r < 0 ? r : nl_addr_add(nl, link.ifindex, a, err);
}

/* Gone already is gone. */
static int
drop_address(struct nl *nl, int ifindex, const struct ip_addr *a, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r = nl_addr_del(nl, ifindex, a, &e);

	if (r == -EADDRNOTAVAIL)
		return 0;
	if (r < 0)
		error_move(err, &e);
	return r;
}

int
addr_del(int netns_fd, const char *ifname, const struct ip_addr *a, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_link link;
	int r = open_link(netns_fd, ifname, &nl, &link, err);

	return r < 0 ? r : drop_address(nl, link.ifindex, a, err);
}

/*
 * A route to a gateway that none of the link's addresses reaches is on link by
 * decree: clouds hand out /32 addresses with a gateway elsewhere.
 */
static int
add_route_via(struct nl *nl, struct nl_route *r, bool replace, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int s = nl_route_add(nl, r, replace, &e);

	if ((s == -ENETUNREACH || s == -EHOSTUNREACH || s == -EINVAL) && r->ifindex &&
	    r->gateway.family) {
		r->flags |= RTNH_F_ONLINK;
		return nl_route_add(nl, r, replace, err);
	}
	if (s < 0)
		error_move(err, &e);
	return s;
}

int
route_add(int netns_fd, const struct ip_addr *dst, const struct ip_addr *via, const char *ifname,
	  struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	cleanup_error struct error e = ERROR_INIT;
	struct nl_route route = {.dst = *dst};
	struct nl_link link;
	int r;

	ip_mask(&route.dst);
	if (via && via->family)
		route.gateway = *via;
	if (route.gateway.family && route.gateway.family != dst->family)
		return error_set(err, EINVAL, "destination and gateway are of different families");
	r = nl_open(netns_fd, &nl, err);
	if (r == 0 && ifname) {
		r = nl_link_get(nl, ifname, &link, err);
		route.ifindex = link.ifindex;
	}
	if (r < 0)
		return r;
	r = add_route_via(nl, &route, false, &e);
	if (r == -EEXIST)
		return 0;
	if (r < 0)
		error_move(err, &e);
	return r;
}

int
route_del(int netns_fd, const struct ip_addr *dst, const struct ip_addr *via, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_route route = {.dst = *dst};
	int r = nl_open(netns_fd, &nl, err);

	ip_mask(&route.dst);
	if (via && via->family)
		route.gateway = *via;
	return r < 0 ? r : nl_route_del(nl, &route, err);
}

static int
set_default(struct nl *nl, const struct ip_addr *gateway, int ifindex, struct error *err)
{
	struct nl_route route = {
		.dst.family = gateway->family, .gateway = *gateway, .ifindex = ifindex};

	return add_route_via(nl, &route, true, err);
}

int
route_set_default(int netns_fd, const struct ip_addr *gateway, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	int r = nl_open(netns_fd, &nl, err);

	return r < 0 ? r : set_default(nl, gateway, 0, err);
}

static bool
wanted(const struct addr_config *c, const struct nl_addr *a)
{
	if (a->addr.family == AF_INET6 && ip_is_link_local(&a->addr))
		return true;
	if (c->addrconf && a->addr.family == AF_INET6 && !(a->flags & IFA_F_PERMANENT))
		return true;
	for (size_t i = 0; i < c->n_ips; i++)
		if (ip_equal(&c->ips[i], &a->addr))
			return true;
	return false;
}

static int
set_addresses(struct nl *nl, int ifindex, const struct addr_config *c, struct error *err)
{
	cleanup_free struct nl_addr *have = NULL;
	size_t n;
	int r = nl_addr_list(nl, &have, &n, err);

	/* first away: the kernel takes an IPv4 network's later addresses along with its first */
	for (size_t i = 0; r == 0 && i < n; i++)
		if (have[i].ifindex == ifindex && !wanted(c, &have[i]))
			r = drop_address(nl, ifindex, &have[i].addr, err);
	for (size_t i = 0; r == 0 && i < c->n_ips; i++)
		r = nl_addr_add(nl, ifindex, &c->ips[i], err);
	return r;
}

static int
set_addrconf(int netns_fd, const struct addr_config *c, struct error *err)
{
	static const char *const names[] = {"accept_ra", "autoconf"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		cleanup_free char *name = str_printf("ipv6/conf/%s/%s", c->ifname, names[i]);
		cleanup_error struct error e = ERROR_INIT;

		r = nl_sysctl(netns_fd, name, c->addrconf ? "1" : "0", &e);
		if (r == -ENOENT) /* no IPv6 in this kernel: nothing to keep out */
			r = 0;
		if (r < 0)
			error_move(err, &e);
	}
	return r;
}

int
addr_apply(int netns_fd, const struct addr_config *c, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	struct nl_link link;
	int r;

	r = open_link(netns_fd, c->ifname, &nl, &link, err);
	if (r == 0)
		r = set_addrconf(netns_fd, c, err);
	if (r == 0)
		r = nl_link_set_up(nl, link.ifindex, true, err);
	if (r == 0)
		r = set_addresses(nl, link.ifindex, c, err);
	for (size_t i = 0; r == 0 && i < c->n_gateways; i++)
		r = set_default(nl, &c->gateways[i], link.ifindex, err);
	return r < 0 ? error_wrap(err, r, "%s", c->ifname) : 0;
}

static int
apply_route(int netns_fd, const char *dst_text, const char *target, addr_link_fn *link, void *arg,
	    struct error *err)
{
	struct ip_addr dst, via = {0};
	const char *ifname = NULL;

	if (ip_parse(dst_text, &dst) < 0)
		return error_set(err, EINVAL, "not an address or network");
	if (str_after(target, "nics[") || str_after(target, "macs[")) {
		ifname = link ? link(target, arg) : NULL;
		if (!ifname)
			return error_set(err, ENOENT, "%s: no such NIC", target);
	} else if (ip_parse(target, &via) < 0 || via.prefix != ip_bits(&via)) {
		return error_set(err, EINVAL, "gateway '%s' is not an address", target);
	}
	return route_add(netns_fd, &dst, &via, ifname, err);
}

int
route_apply_json(int netns_fd, const struct json *routes, addr_link_fn *link, void *arg,
		 struct error *err)
{
	const char *dst;
	struct json *target;

	json_object_each (dst, target, routes) {
		int r = apply_route(netns_fd, dst, json_str(target, ""), link, arg, err);

		if (r < 0)
			return error_wrap(err, r, "route %s", dst);
	}
	return 0;
}
