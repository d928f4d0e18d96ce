/*
 * A zone's NICs: from the configuration to VNICs and addresses.
 *
 * Each <network> becomes a VNIC whose far end is born in the zone's network
 * namespace, with the protection SmartOS gives by default: it sends from its own
 * MAC and addresses only, unless a property says otherwise.  Static addresses and
 * routes are set from outside, through the namespace's descriptor, so that they
 * need nothing of what is installed in the zone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "net/addr.h"
#include "net/vnic.h"
#include "zone/config.h"
#include "zone/zoneadmd/net.h"
#include "zone/zoneadmd/zoneadmd.h"

/* net-attrs are written with '_' by vmadm and with '-' by older tools. */
const char *
nic_attr(const struct zone_res *nic, const char *name)
{
	const char *v = zone_res_attr(nic, name);
	cleanup_free char *dashed = NULL;

	if (v)
		return v;
	dashed = xstrdup(name);
	for (char *p = dashed; *p; p++)
		if (*p == '_')
			*p = '-';
	return zone_res_attr(nic, dashed);
}

static bool
nic_flag(const struct zone_res *nic, const char *name)
{
	const char *v = nic_attr(nic, name);
	bool b = false;

	return v && str_to_bool(v, &b) == 0 && b;
}

void
nic_done(struct nic *n)
{
	free(n->ips);
	free(n->allowed);
	free(n->gateways);
	*n = (struct nic){0};
}

static void
add_ip(struct ip_addr **v, size_t *n, const struct ip_addr *a)
{
	*v = xreallocarray(*v, *n + 1, sizeof(**v));
	(*v)[(*n)++] = *a;
}

/* "ips" (CIDR, dhcp, addrconf), or the older "ip" with "netmask". */
static int
parse_ips(const struct zone_res *res, struct nic *n, struct error *err)
{
	const char *ips = nic_attr(res, "ips"), *netmask = nic_attr(res, "netmask");
	cleanup_strv struct strv list = STRV_INIT;
	uint8_t prefix;

	if (!ips)
		ips = nic_attr(res, "ip");
	if (!ips)
		ips = zone_res_get(res, "address");
	if (ips)
		strv_words(&list, ips, ", ");
	for (size_t i = 0; i < list.n; i++) {
		const char *s = list.v[i];
		struct ip_addr a;

		if (str_eq(s, "dhcp")) {
			n->dhcp = true;
			continue;
		}
		if (str_eq(s, "addrconf")) {
			n->addrconf = true;
			continue;
		}
		if (ip_parse(s, &a) < 0)
			return error_set(err, EINVAL, "NIC %s: '%s' is no address", n->name, s);
		if (!strchr(s, '/') && netmask && a.family == AF_INET) {
			if (ip_parse_netmask(netmask, &prefix) < 0)
				return error_set(err, EINVAL, "NIC %s: netmask '%s'", n->name,
						 netmask);
			a.prefix = prefix;
		}
		add_ip(&n->ips, &n->n_ips, &a);
	}
	return 0;
}

static int
parse_list(const struct zone_res *res, const char *attr, struct ip_addr **v, size_t *n,
	   const char *name, struct error *err)
{
	const char *text = nic_attr(res, attr);
	cleanup_strv struct strv list = STRV_INIT;

	if (text)
		strv_words(&list, text, ", ");
	for (size_t i = 0; i < list.n; i++) {
		struct ip_addr a;

		if (ip_parse(list.v[i], &a) < 0)
			return error_set(err, EINVAL, "NIC %s: %s '%s' is no address", name, attr,
					 list.v[i]);
		add_ip(v, n, &a);
	}
	return 0;
}

static int
parse_allowed(const struct zone_res *res, struct nic *n, struct error *err)
{
	struct ip_addr local;

	/* an interface's own addresses are hosts here, not networks */
	for (size_t i = 0; i < n->n_ips; i++) {
		struct ip_addr host = n->ips[i];

		host.prefix = ip_bits(&host);
		add_ip(&n->allowed, &n->n_allowed, &host);
	}
	ip_from_mac(&n->mac, &local);
	local.prefix = 128;
	add_ip(&n->allowed, &n->n_allowed, &local);
	return parse_list(res, "allowed_ips", &n->allowed, &n->n_allowed, n->name, err);
}

static uint32_t
nic_flags(const struct zone_res *res, const struct nic *n)
{
	uint32_t f = VNIC_PROTECT_ALL;

	if (nic_flag(res, "allow_mac_spoofing"))
		f &= ~(uint32_t)VNIC_MAC_NOSPOOF;
	if (nic_flag(res, "allow_ip_spoofing"))
		f &= ~(uint32_t)VNIC_IP_NOSPOOF;
	if (nic_flag(res, "allow_dhcp_spoofing") || nic_flag(res, "dhcp_server"))
		f &= ~(uint32_t)VNIC_DHCP_NOSPOOF;
	if (nic_flag(res, "allow_restricted_traffic"))
		f &= ~(uint32_t)VNIC_RESTRICTED;
	if (nic_flag(res, "allow_unfiltered_promisc"))
		f |= VNIC_PROMISC;
	if (n->dhcp || n->addrconf)
		f |= VNIC_DYNAMIC_IP;
	return f;
}

int
nic_parse(const struct zone_res *res, struct nic *ret, struct error *err)
{
	const char *mac = zone_res_get(res, "mac-addr"), *vid = zone_res_get(res, "vlan-id");
	const char *mtu = nic_attr(res, "mtu");
	struct nic n = {.name = zone_res_get(res, "physical"),
			.tag = zone_res_get(res, "global-nic")};
	uint64_t number;
	int r;

	if (!net_is_link_name(n.name))
		return error_set(err, EINVAL, "NIC '%s': not a name of an interface", n.name);
	if (mac && mac_parse(mac, &n.mac) < 0)
		return error_set(err, EINVAL, "NIC %s: '%s' is no MAC address", n.name, mac);
	if (!mac)
		mac_random(&n.mac);
	if (vid) {
		if (str_to_u64(vid, 10, &number) < 0 || number > 4094)
			return error_set(err, EINVAL, "NIC %s: vlan-id '%s'", n.name, vid);
		n.vid = (uint16_t)number;
	}
	if (mtu) {
		if (str_to_u64(mtu, 10, &number) < 0 || number < 576 || number > 9000)
			return error_set(err, EINVAL, "NIC %s: mtu '%s'", n.name, mtu);
		n.mtu = (uint32_t)number;
	}
	r = parse_ips(res, &n, err);
	if (r == 0)
		r = parse_list(res, nic_attr(res, "gateways") ? "gateways" : "gateway",
			       &n.gateways, &n.n_gateways, n.name, err);
	if (r == 0)
		r = parse_allowed(res, &n, err);
	if (r < 0) {
		nic_done(&n);
		return r;
	}
	n.primary = nic_flag(res, "primary");
	n.flags = nic_flags(res, &n);
	*ret = n;
	return 0;
}

void
nic_spec(const struct nic *n, const char *zone, struct vnic_spec *ret)
{
	*ret = (struct vnic_spec){
		.zone = zone,
		.name = n->name,
		.nic_tag = n->tag,
		.mac = n->mac,
		.vid = n->vid,
		.mtu = n->mtu,
		.flags = n->flags,
		.allowed = n->allowed,
		.n_allowed = n->n_allowed,
		.netns_fd = -1,
	};
}

static int
nic_up(struct daemon *d, struct net *net, const struct zone_res *res, int netns_fd,
       struct error *err)
{
	struct addr_config addr = {0};
	struct vnic_spec spec;
	struct nic n;
	int r;

	r = nic_parse(res, &n, err);
	if (r < 0)
		return r;
	nic_spec(&n, d->name, &spec);
	spec.netns_fd = netns_fd;
	r = vnic_create(net, &spec, NULL, NULL, err);
	if (r == 0) {
		addr.ifname = n.name;
		addr.ips = n.ips;
		addr.n_ips = n.n_ips;
		addr.addrconf = n.addrconf;
		addr.gateways = n.gateways;
		/* one default route: the primary NIC's; where none says so, all of them */
		addr.n_gateways =
			n.primary || !zone_res_find_primary(d->config) ? n.n_gateways : 0;
		r = addr_apply(netns_fd, &addr, err);
	}
	r = r < 0 ? error_wrap(err, r, "NIC %s", n.name) : 0;
	nic_done(&n);
	return r;
}

/* The NIC with primary=true, or NULL. */
struct zone_res *
zone_res_find_primary(const struct zone_config *c)
{
	zone_res_each(res, c, "net")
		if (nic_flag(res, "primary"))
			return res;
	return NULL;
}

/* "nics[1]" or "macs[2:8:20:a:b:c]" of routes.json. */
static const char *
route_link(const char *target, void *arg)
{
	struct daemon *d = arg;
	const char *rest;
	struct mac_addr want, have;
	cleanup_free char *text = NULL;
	int i;

	if ((rest = str_after(target, "nics["))) {
		text = xstrndup(rest, strcspn(rest, "]"));
		if (str_to_int(text, &i) < 0)
			return NULL;
		zone_res_each(res, d->config, "net")
			if (i-- == 0)
				return zone_res_get(res, "physical");
		return NULL;
	}
	if (!(rest = str_after(target, "macs[")))
		return NULL;
	text = xstrndup(rest, strcspn(rest, "]"));
	if (mac_parse(text, &want) < 0)
		return NULL;
	zone_res_each(res, d->config, "net")
		if (zone_res_get(res, "mac-addr") &&
		    mac_parse(zone_res_get(res, "mac-addr"), &have) == 0 && mac_equal(&want, &have))
			return zone_res_get(res, "physical");
	return NULL;
}

static int
routes_up(struct daemon *d, int netns_fd, struct error *err)
{
	cleanup_free char *path =
		str_printf("%s/config/routes.json", zone_config_get(d->config, "zonepath"));
	cleanup_json struct json *routes = NULL;
	int r;

	if (!file_exists(path))
		return 0;
	r = json_read_file(path, &routes, err);
	if (r == 0)
		r = route_apply_json(netns_fd, routes, route_link, d, err);
	return r < 0 ? error_wrap(err, r, "routes.json") : 0;
}

int
zone_net_up(struct daemon *d, int netns_fd, struct error *err)
{
	cleanup_net struct net *net = NULL;
	int r;

	r = addr_loopback(netns_fd, err);
	if (r < 0)
		return r;
	if (!zone_res_next(d->config, "net", NULL))
		return 0;
	r = net_open(NULL, &net, err);
	if (r < 0)
		return r;
	zone_res_each(res, d->config, "net") {
		r = nic_up(d, net, res, netns_fd, err);
		if (r < 0)
			return r;
	}
	return routes_up(d, netns_fd, err);
}

int
zone_net_down(struct daemon *d, struct error *err)
{
	cleanup_free char *records = str_printf(NET_RUN_DIR "/link/%s", d->name);
	cleanup_net struct net *net = NULL;
	int r;

	/* what was made counts, not what the configuration says by now */
	if (!file_exists(records))
		return 0;
	r = net_open(NULL, &net, err);
	if (r < 0)
		return r;
	return vnic_delete_zone(net, d->name, err);
}
