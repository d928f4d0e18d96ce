/*
 * Addresses and routes in a namespace of the test's own.
 */
#include "net/addr.h"

#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "os/netlink.h"

static int ns = -1;
static struct nl *nl;

static void
setup(void)
{
	struct error err = ERROR_INIT;
	struct nl_veth v = {.name = "b0", .peer_name = "net0"};

	if (geteuid() != 0)
		test_skip("needs root: network namespaces");
	if (unshare(CLONE_NEWNET) < 0)
		test_skip("no network namespaces here");
	require_ok(nl_netns_new(&ns, &err), &err);
	require_ok(nl_open(ns, &nl, &err), &err);
	v.peer_netns = -1;
	mac_random(&v.peer_mac);
	require_ok(nl_veth_create(nl, &v, &err), &err);
	require_ok(addr_set_up(ns, "b0", true, &err), &err);
}

static char *
addresses(void)
{
	cleanup_strv struct strv out = STRV_INIT;
	cleanup_free struct nl_addr *a = NULL;
	struct error err = ERROR_INIT;
	struct nl_link l;
	char buf[IP_STRLEN];
	size_t n;

	require_ok(nl_link_get(nl, "net0", &l, &err), &err);
	require_ok(nl_addr_list(nl, &a, &n, &err), &err);
	for (size_t i = 0; i < n; i++)
		if (a[i].ifindex == l.ifindex && !ip_is_link_local(&a[i].addr))
			strv_add(&out, ip_print_cidr(&a[i].addr, buf));
	return strv_join(&out, " ");
}

static char *
route_to(const char *dst)
{
	struct error err = ERROR_INIT;
	struct ip_addr a;
	struct nl_route r;
	char buf[IP_STRLEN];

	require(ip_parse(dst, &a) == 0);
	if (nl_route_get(nl, &a, &r, &err) < 0) {
		error_done(&err);
		return xstrdup("none");
	}
	return xstrdup(r.gateway.family ? ip_print(&r.gateway, buf) : "link");
}

#define CHECK_STEAL(expr, want)                                                                    \
	do {                                                                                       \
		cleanup_free char *_got = (expr);                                                  \
		check_str(_got, want);                                                             \
	} while (0)

TEST(apply_twice_and_change)
{
	struct error err = ERROR_INIT;
	struct ip_addr ips[2], gw;
	struct addr_config c = {
		.ifname = "net0", .ips = ips, .n_ips = 2, .gateways = &gw, .n_gateways = 1};

	setup();
	ip_parse("10.0.0.5/24", &ips[0]);
	ip_parse("fd00::5/64", &ips[1]);
	ip_parse("10.0.0.1", &gw);
	require_ok(addr_apply(ns, &c, &err), &err);
	require_ok(addr_apply(ns, &c, &err), &err);
	CHECK_STEAL(addresses(), "10.0.0.5/24 fd00::5/64");
	CHECK_STEAL(route_to("8.8.8.8"), "10.0.0.1");
	CHECK_STEAL(route_to("10.0.0.9"), "link");
	ip_parse("10.0.0.6/24", &ips[0]);
	c.n_ips = 1;
	ip_parse("10.0.0.2", &gw);
	require_ok(addr_apply(ns, &c, &err), &err);
	CHECK_STEAL(addresses(), "10.0.0.6/24");
	CHECK_STEAL(route_to("8.8.8.8"), "10.0.0.2");
}

TEST(gateway_outside_of_the_network)
{
	struct error err = ERROR_INIT;
	struct ip_addr ip, gw;
	struct addr_config c = {
		.ifname = "net0", .ips = &ip, .n_ips = 1, .gateways = &gw, .n_gateways = 1};

	setup();
	ip_parse("192.0.2.5/32", &ip);
	ip_parse("198.51.100.1", &gw);
	require_ok(addr_apply(ns, &c, &err), &err);
	CHECK_STEAL(route_to("8.8.8.8"), "198.51.100.1");
}

static const char *
nic(const char *target, void *arg)
{
	return str_eq(target, "nics[0]") ? "net0" : NULL;
}

TEST(routes_json)
{
	struct error err = ERROR_INIT;
	struct ip_addr ip;
	struct addr_config c = {.ifname = "net0", .ips = &ip, .n_ips = 1};
	cleanup_json struct json *good = NULL, *bad = NULL;

	setup();
	ip_parse("10.0.0.5/24", &ip);
	require_ok(addr_apply(ns, &c, &err), &err);
	require_ok(json_parse("{\"10.2.0.0/16\": \"10.0.0.2\", \"10.3.0.7\": \"nics[0]\"}",
			      (size_t)-1, &good, &err),
		   &err);
	require_ok(route_apply_json(ns, good, nic, NULL, &err), &err);
	require_ok(route_apply_json(ns, good, nic, NULL, &err), &err);
	CHECK_STEAL(route_to("10.2.3.4"), "10.0.0.2");
	CHECK_STEAL(route_to("10.3.0.7"), "link");
	CHECK_STEAL(route_to("10.3.0.8"), "none");
	require_ok(json_parse("{\"10.4.0.0/16\": \"nics[7]\"}", (size_t)-1, &bad, &err), &err);
	check_int(route_apply_json(ns, bad, nic, NULL, &err), ==, -ENOENT);
	check_str(err.message, "route 10.4.0.0/16: nics[7]: no such NIC");
	error_done(&err);
	{
		struct ip_addr dst, via = {0};

		ip_parse("10.2.0.0/16", &dst);
		require_ok(route_del(ns, &dst, &via, &err), &err);
		CHECK_STEAL(route_to("10.2.3.4"), "none");
	}
}

TEST(missing_interface)
{
	struct error err = ERROR_INIT;
	struct addr_config c = {.ifname = "net9"};

	setup();
	check_int(addr_apply(ns, &c, &err), ==, -ENODEV);
	check_has(err.message, "net9");
	error_done(&err);
}
