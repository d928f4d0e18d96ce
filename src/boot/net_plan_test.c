/* usbkey-config(5)'s network rules, and resolv.conf. */
#include "boot/net_plan.h"

#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "boot/boot_params.h"
#include "boot/resolv.h"

static const struct net_link links[] = {
	{"eth0", {{0x52, 0x54, 0, 0, 0, 1}}},
	{"eth1", {{0x52, 0x54, 0, 0, 0, 2}}},
};

#define ADMIN "admin_nic=52:54:0:0:0:1\n"

/*
 * The plan as text: an interface a line "name[:tag][.vid] mac? mtu? mode", then
 * gateways, resolvers, search; "!" in front of a problem.
 */
static char *
describe(const struct net_plan *p)
{
	struct strbuf b = STRBUF_INIT;
	char text[IP_STRLEN];

	for (size_t i = 0; i < p->n_aggrs; i++) {
		cleanup_free char *joined = strv_join(&p->aggrs[i].links, "+");

		strbuf_addf(&b, "%s=%s %s\n", p->aggrs[i].name, joined, p->aggrs[i].lacp);
	}
	for (size_t i = 0; i < p->etherstubs.n; i++)
		strbuf_addf(&b, "stub %s\n", p->etherstubs.v[i]);
	for (size_t i = 0; i < p->n_ifs; i++) {
		const struct net_if *f = &p->ifs[i];

		strbuf_addf(&b, "%s", f->name);
		if (f->tag[0])
			strbuf_addf(&b, ":%s", f->tag);
		if (f->vid)
			strbuf_addf(&b, ".%u", f->vid);
		if (f->mtu)
			strbuf_addf(&b, " mtu %u", f->mtu);
		if (f->mode == NET_IP_STATIC)
			strbuf_addf(&b, " %s", ip_print_cidr(&f->ip, text));
		if (f->mode == NET_IP_DHCP)
			strbuf_adds(&b, " dhcp");
		if (f->ip6.family)
			strbuf_addf(&b, " %s", ip_print_cidr(&f->ip6, text));
		if (f->addrconf)
			strbuf_adds(&b, " addrconf");
		strbuf_addc(&b, '\n');
	}
	if (p->gateway.family)
		strbuf_addf(&b, "gw %s\n", ip_print(&p->gateway, text));
	if (p->gateway6.family)
		strbuf_addf(&b, "gw %s\n", ip_print(&p->gateway6, text));
	for (size_t i = 0; i < p->resolvers.n; i++)
		strbuf_addf(&b, "dns %s\n", p->resolvers.v[i]);
	if (p->search)
		strbuf_addf(&b, "search %s\n", p->search);
	for (size_t i = 0; i < p->problems.n; i++)
		strbuf_addf(&b, "!%s\n", p->problems.v[i]);
	return strbuf_steal(&b);
}

static const struct {
	const char *config, *params, *want;
} cases[] = {
	{NULL, "", ""},
	{NULL, "BOOT_admin_ip=dhcp", "eth0 dhcp\n"},
	{NULL, "BOOT_admin_ip=10.0.0.9 BOOT_admin_netmask=255.255.255.0 BOOT_admin_gateway=10.0.0.1",
	 "eth0 10.0.0.9/24\ngw 10.0.0.1\n"},
	{ADMIN "admin_ip=dhcp\n", "", "eth0 dhcp\n"},
	{"admin_nic=52:54:00:00:00:02\nadmin_ip=10.0.0.5\nadmin_netmask=255.255.255.128\n"
	 "admin_gateway=10.0.0.1\ndns_resolvers=8.8.8.8,8.8.4.4\ndns_search='a.example b.example'\n",
	 "", "eth1 10.0.0.5/25\ngw 10.0.0.1\ndns 8.8.8.8\ndns 8.8.4.4\nsearch a.example b.example\n"},
	/* the configuration goes before the boot parameters, which fill gaps */
	{ADMIN "admin_ip=10.0.0.5\n", "BOOT_admin_ip=dhcp BOOT_admin_netmask=255.0.0.0",
	 "eth0 10.0.0.5/8\n"},
	{ADMIN "admin_ip=none\n", "", "eth0\n"},
	{ADMIN "admin_ip=10.0.0.5/16\nadmin_mtu=9000\nadmin_ip6=addrconf\n", "",
	 "eth0 mtu 9000 10.0.0.5/16 addrconf\n"},
	{ADMIN "admin_ip=none\nadmin_ip6=fd00::5/48\nadmin_gateway6=fd00::1\n", "",
	 "eth0 fd00::5/48\ngw fd00::1\n"},
	{"admin_nic_autoselect=true\nadmin_ip=dhcp\n", "", "eth0 dhcp\n"},
	{"admin_nic=aggr0\naggr0_aggr=52:54:0:0:0:1,52:54:0:0:0:2\naggr0_lacp_mode=active\nadmin_ip=dhcp\n",
	 "", "aggr0=eth0+eth1 active\naggr0 dhcp\n"},
	{"admin_nic=aggr0\naggr0_aggr=52:54:0:0:0:1,52:54:0:0:0:9\naggr0_lacp_mode=x\nadmin_ip=dhcp\n",
	 "", "aggr0=eth0 off\naggr0 dhcp\n!aggr0_aggr: no NIC has address 52:54:0:0:0:9\n"
	     "!aggr0_lacp_mode: \"x\" is none of off, active, passive\n"},
	{"admin_nic=aggr0\naggr0_aggr=a,b\nadmin_ip=dhcp\n", "",
	 "!aggr0_aggr: no NIC has address a\n!aggr0_aggr: no NIC has address b\n!aggr0 is left out\n"
	 "!admin_nic: there is no aggr0_aggr\n"},
	{"admin_nic=aggr1\nadmin_ip=dhcp\n", "", "!admin_nic: there is no aggr1_aggr\n"},
	/* default routes in their order */
	{ADMIN "admin_ip=10.0.0.5/8\nadmin_gateway=10.0.0.1\nheadnode_default_gateway=10.0.0.2\n", "",
	 "eth0 10.0.0.5/8\ngw 10.0.0.2\n"},
	{ADMIN "admin_ip=10.0.0.5/8\nexternal_nic=52:54:00:00:00:02\nexternal_ip=192.0.2.5\n"
	       "external_netmask=255.255.255.0\nexternal_gateway=192.0.2.1\nexternal_vlan_id=7\n",
	 "", "eth0 10.0.0.5/8\nexternal0:external.7 192.0.2.5/24\ngw 192.0.2.1\n"},
	/* VNICs over tags and etherstubs */
	{ADMIN "admin_ip=dhcp\nstorage_nic=52:54:00:00:00:02\nstorage0_ip=10.1.0.5\n"
	       "storage0_netmask=255.255.0.0\nstorage0_vlan_id=12\nstorage0_mtu=1400\nstorage1_ip=dhcp\n",
	 "", "eth0 dhcp\nstorage0:storage.12 mtu 1400 10.1.0.5/16\nstorage1:storage dhcp\n"},
	{ADMIN "admin_ip=dhcp\netherstub=stub,other\nstub0_ip=10.9.0.1\nstub0_netmask=255.255.255.0\n"
	       "stub0_gateway=10.9.0.254\n",
	 "", "stub stub\nstub other\neth0 dhcp\nstub0:stub 10.9.0.1/24\ngw 10.9.0.254\n"},
	{ADMIN "admin_ip=dhcp\nstorage_nic=52:54:00:00:00:02\nstorage0_ip6=fd01::1\n", "",
	 "eth0 dhcp\nstorage0:storage fd01::1/64\n"},
	/* what is wrong is left out and said */
	{"admin_nic=52:54:00:00:00:99\nadmin_ip=dhcp\n", "",
	 "!admin_nic: no NIC has address 52:54:00:00:00:99\n"},
	{"admin_nic=eth0\nadmin_ip=dhcp\n", "", "!admin_nic: \"eth0\" is no MAC address\n"},
	{ADMIN "admin_ip=10.0.0.300\n", "", "!admin_ip: \"10.0.0.300\" is no IPv4 address\n"},
	{ADMIN "admin_ip=fd00::1\n", "", "!admin_ip: \"fd00::1\" is no IPv4 address\n"},
	{ADMIN "admin_ip=10.0.0.5\n", "", "!admin_netmask is missing\n"},
	{ADMIN "admin_ip=10.0.0.5\nadmin_netmask=255.0.255.0\n", "",
	 "!admin_netmask: \"255.0.255.0\" is no netmask\n"},
	{ADMIN "admin_ip=dhcp\nadmin_gateway=fd00::1\n", "",
	 "eth0 dhcp\n!admin_gateway: \"fd00::1\" is no gateway's address\n"},
	{ADMIN "admin_ip=dhcp\nadmin_mtu=100000\n", "",
	 "eth0 dhcp\n!admin_mtu: \"100000\" is no number from 576 to 9216\n"},
	{ADMIN "admin_ip=dhcp\nfoo0_ip=dhcp\n", "", "eth0 dhcp\n!foo0_ip: there is no foo_nic\n"},
	{ADMIN "admin_ip=dhcp\nx_nic=52:54:00:00:00:02\nx0_ip=dhcp\nx0_vlan_id=4095\n", "",
	 "eth0 dhcp\nx0:x dhcp\n!x0_vlan_id: \"4095\" is no number from 0 to 4094\n"},
	{ADMIN "admin_ip=dhcp\nx_nic=52:54:00:00:00:02\nx0_ip=dhcp\nx0_mac=01:00:5e:00:00:01\n", "",
	 "eth0 dhcp\n!x0_mac: \"01:00:5e:00:00:01\" is no MAC address\n"},
	{ADMIN "admin_ip=dhcp\ndns_resolvers=8.8.8.8,nowhere\ndns_search='a;b'\n", "",
	 "eth0 dhcp\ndns 8.8.8.8\n!dns_resolvers: \"nowhere\" is no address\n"
	 "!dns_search: \"a;b\" is no list of domains\n"},
	{ADMIN "admin_ip=dhcp\nthisisaverylongnictag_nic=52:54:00:00:00:02\n"
	       "thisisaverylongnictag0_ip=dhcp\n",
	 "", "eth0 dhcp\n!thisisaverylongnictag0: the name is too long\n"},
};

TEST(net_plan_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_map struct map *params = boot_params_parse(cases[i].params);
		cleanup_net_plan struct net_plan plan = NET_PLAN_INIT;
		cleanup_conf struct conf *config = NULL;
		cleanup_free char *got = NULL;

		if (cases[i].config)
			require(conf_parse(cases[i].config, strlen(cases[i].config), "config", &config,
					   NULL, NULL) == 0);
		net_plan_make(config, params, links, ARRAY_SIZE(links), &plan);
		got = describe(&plan);
		check_str(got, cases[i].want);
	}
}

TEST(net_plan_without_a_nic)
{
	cleanup_map struct map *params = boot_params_parse("BOOT_admin_ip=dhcp");
	cleanup_net_plan struct net_plan plan = NET_PLAN_INIT;
	cleanup_free char *got = NULL;

	net_plan_make(NULL, params, NULL, 0, &plan);
	got = describe(&plan);
	check_str(got, "!this machine has no NIC\n");
}

static void
put(const char *path, const char *text)
{
	require(file_write_atomic(path, text, strlen(text), 0644, NULL) == 0);
}

TEST(resolv_conf_prefers_the_configuration)
{
	cleanup_free char *fixed = str_printf("%s/static", test_tmpdir());
	cleanup_free char *dir = str_printf("%s/leases", test_tmpdir());
	cleanup_free char *eth0 = str_printf("%s/eth0", dir), *eth1 = str_printf("%s/eth1", dir);
	cleanup_free char *none = NULL, *both = NULL, *leased = NULL;

	require(resolv_make(fixed, dir, &none, NULL) == 0);
	check_str(none, "");
	require(file_mkdir_p(dir, 0755, NULL) == 0);
	put(eth0, "resolvers=10.0.0.2,10.0.0.3\nsearch=lease.example\n");
	put(eth1, "resolvers=10.0.0.2,10.1.0.2,10.1.0.3\n");
	require(resolv_make(fixed, dir, &leased, NULL) == 0);
	check_str(leased, "search lease.example\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
			  "nameserver 10.1.0.2\n");
	put(fixed, "resolvers=8.8.8.8\nsearch=own.example\n");
	require(resolv_make(fixed, dir, &both, NULL) == 0);
	check_str(both, "search own.example\nnameserver 8.8.8.8\nnameserver 10.0.0.2\n"
			"nameserver 10.0.0.3\n");
}
