/*
 * What SmartOS does for a VM whose customer_metadata says NOCLOUD_KEY: "nocloud",
 * from the same sources:
 *
 *	meta-data	instance-id (uuid), local-hostname (hostname, alias or uuid),
 *			public-keys (root_authorized_keys)
 *	user-data	cloud-init:user-data, else user-data, as they are
 *	vendor-data	cloud-init:vendor-data of internal_metadata, if there is one
 *	network-config	cloud-init:network-config, else version 2 from the NICs
 *
 * What we say ourselves is said in JSON, which YAML contains: nothing a customer
 * wrote can end a string there.
 */
#include "zone/brand/nocloud.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "zone/config.h"

static int
read_json(const struct zone_config *c, const char *name, struct json **ret, struct error *err)
{
	cleanup_free char *path = str_printf("%s/config/%s", zone_config_get(c, "zonepath"), name);

	if (file_exists(path))
		return json_read_file(path, ret, err);
	*ret = json_new_object();
	return 0;
}

int
nocloud_metadata(const struct zone_config *c, struct json **ret, struct error *err)
{
	return read_json(c, "metadata.json", ret, err);
}

static const char *
value(const struct json *metadata, const char *of, const char *key)
{
	return json_str(json_get(json_get(metadata, of), key), NULL);
}

static const char *
customer(const struct json *metadata, const char *key)
{
	return value(metadata, "customer_metadata", key);
}

bool
nocloud_wanted(const struct json *metadata)
{
	return str_eq(customer(metadata, NOCLOUD_KEY), "nocloud");
}

/* ---- meta-data ---- */

static char *
host_name(const struct zone_config *c)
{
	const char *name = zone_config_attr(c, "hostname");
	const char *alias = zone_config_attr(c, "alias");
	char *plain;
	size_t len;

	if (!str_empty(name))
		return xstrdup(name);
	if (!str_empty(alias) && str_unbase64(alias, &plain, &len) == 0)
		return plain;
	return xstrdup(zone_config_get(c, "zonename"));
}

static char *
meta_data(const struct zone_config *c, const struct json *metadata)
{
	const char *uuid = zone_config_get(c, "uuid");
	const char *keys = customer(metadata, "root_authorized_keys");
	cleanup_json struct json *o = json_new_object();
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *host = host_name(c);

	json_set_str(o, "instance-id", uuid ? uuid : zone_config_get(c, "zonename"));
	json_set_str(o, "local-hostname", host);
	if (keys)
		strv_words(&lines, keys, "\r\n");
	if (lines.n)
		json_set(o, "public-keys", json_new_array());
	for (size_t i = 0; i < lines.n; i++)
		json_push(json_get(o, "public-keys"), json_new_str(lines.v[i]));
	return json_print(o, true);
}

/* ---- network-config ---- */

static struct json *
child(struct json *o, const char *key, struct json *(*make)(void))
{
	if (!json_get(o, key))
		json_set(o, key, make());
	return json_get(o, key);
}

static void
push_words(struct json *o, const char *key, const char *text)
{
	cleanup_strv struct strv words = STRV_INIT;

	if (text)
		strv_words(&words, text, ", ");
	for (size_t i = 0; i < words.n; i++)
		json_push(child(o, key, json_new_array), json_new_str(words.v[i]));
}

static void
add_addresses(const struct zone_res *net, struct json *nic)
{
	const char *ips = zone_res_attr(net, "ips"), *mask = zone_res_attr(net, "netmask");
	cleanup_strv struct strv list = STRV_INIT;

	if (!ips)
		ips = zone_res_attr(net, "ip");
	if (ips)
		strv_words(&list, ips, ", ");
	for (size_t i = 0; i < list.n; i++) {
		const char *s = list.v[i];
		struct in_addr m;

		if (str_eq(s, "dhcp")) {
			json_set_bool(nic, "dhcp4", true);
		} else if (str_eq(s, "addrconf")) {
			json_set_bool(nic, "dhcp6", true); /* brings router advertisements along */
		} else {
			struct json *a = child(nic, "addresses", json_new_array);

			if (!strchr(s, '/') && mask && inet_pton(AF_INET, mask, &m) == 1) {
				cleanup_free char *cidr =
					str_printf("%s/%d", s, __builtin_popcount(m.s_addr));

				json_push(a, json_new_str(cidr));
			} else {
				json_push(a, json_new_str(s));
			}
		}
	}
}

/* The first router of each kind. */
static void
add_gateways(const struct zone_res *net, struct json *nic)
{
	const char *list = zone_res_attr(net, "gateways");
	cleanup_strv struct strv words = STRV_INIT;

	if (!list)
		list = zone_res_attr(net, "gateway");
	if (list)
		strv_words(&words, list, ", ");
	for (size_t i = 0; i < words.n; i++) {
		const char *key = strchr(words.v[i], ':') ? "gateway6" : "gateway4";

		if (!json_get(nic, key))
			json_set_str(nic, key, words.v[i]);
	}
}

/* Only those through a router: nics[N] is a matter of the link. */
static void
add_routes(const struct json *routes, struct json *nic)
{
	const struct json *via;
	const char *to;

	json_object_each(to, via, routes) {
		struct json *route;

		if (!json_str(via, NULL) || strchr(json_str(via, ""), '['))
			continue;
		route = json_new_object();
		json_set_str(route, "to", to);
		json_set_str(route, "via", json_str(via, ""));
		json_push(child(nic, "routes", json_new_array), route);
	}
}

static void
add_nic(const struct zone_config *c, const struct zone_res *net, bool primary,
	const struct json *routes, struct json *nics)
{
	const char *name = zone_res_get(net, "physical"), *mtu = zone_res_attr(net, "mtu");
	const char *mac = zone_res_get(net, "mac-addr");
	struct json *nic = json_new_object();
	unsigned m[6];
	int64_t n;

	/* SmartOS writes them without leading zeros */
	if (mac && sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) == 6) {
		cleanup_free char *full = str_printf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
						     m[2], m[3], m[4], m[5]);

		json_set_str(child(nic, "match", json_new_object), "macaddress", full);
		json_set_str(nic, "set-name", name);
	}
	add_addresses(net, nic);
	if (mtu && str_to_i64(mtu, 10, &n) == 0)
		json_set_int(nic, "mtu", n);
	if (primary) {
		struct json *dns = json_new_object();

		add_gateways(net, nic);
		add_routes(routes, nic);
		push_words(dns, "addresses", zone_config_attr(c, "resolvers"));
		push_words(dns, "search", zone_config_attr(c, "dns-domain"));
		if (json_len(dns))
			json_set(nic, "nameservers", dns);
		else
			json_free(dns);
	}
	json_set(nics, name, nic);
}

/* NULL if there is no NIC. */
static char *
network_config(const struct zone_config *c, const struct json *metadata, const struct json *routes)
{
	const char *own = customer(metadata, "cloud-init:network-config");
	cleanup_json struct json *o = json_new_object();
	const struct zone_res *primary = NULL;

	if (own)
		return xstrdup(own);
	zone_res_each(net, c, "net")
		if (!primary || (str_eq(zone_res_attr(net, "primary"), "true") &&
				 !str_eq(zone_res_attr(primary, "primary"), "true")))
			primary = net;
	if (!primary)
		return NULL;
	json_set_int(o, "version", 2);
	zone_res_each(net, c, "net")
		add_nic(c, net, net == primary, routes, child(o, "ethernets", json_new_object));
	return json_print(o, true);
}

/* ---- all of them ---- */

int
nocloud_files(const struct zone_config *c, const struct json *metadata,
	      struct nocloud_file ret[NOCLOUD_FILES], struct error *err)
{
	const char *user = customer(metadata, "cloud-init:user-data");
	const char *vendor = value(metadata, "internal_metadata", "cloud-init:vendor-data");
	cleanup_json struct json *routes = NULL;
	int r = read_json(c, "routes.json", &routes, err);

	if (r < 0)
		return r;
	if (!user)
		user = customer(metadata, "user-data");
	ret[0] = (struct nocloud_file){"meta-data", meta_data(c, metadata)};
	ret[1] = (struct nocloud_file){"user-data", xstrdup(user ? user : "#cloud-config\n{}\n")};
	ret[2] = (struct nocloud_file){"vendor-data", vendor ? xstrdup(vendor) : NULL};
	ret[3] = (struct nocloud_file){"network-config", network_config(c, metadata, routes)};
	return 0;
}
