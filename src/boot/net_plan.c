/* See net_plan.h. */
#include "boot/net_plan.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "boot/boot_params.h"

void
net_plan_done(struct net_plan *p)
{
	for (size_t i = 0; i < p->n_aggrs; i++)
		strv_done(&p->aggrs[i].links);
	strv_done(&p->etherstubs);
	strv_done(&p->resolvers);
	strv_done(&p->problems);
	free(p->search);
	free(p->domain);
}

/* --- the machine's NICs */

static int
by_name(const void *a, const void *b)
{
	return strverscmp(((const struct net_link *)a)->name, ((const struct net_link *)b)->name);
}

int
net_links(struct net_link **ret, size_t *ret_n, struct error *err)
{
	DIR *d = opendir("/sys/class/net");
	struct net_link *links = NULL;
	struct dirent *e;
	size_t n = 0;

	if (!d)
		return error_set_errno(err, errno, "/sys/class/net");
	while ((e = readdir(d)) != NULL) {
		cleanup_free char *dev = str_printf("/sys/class/net/%s/device", e->d_name);
		cleanup_free char *path = str_printf("/sys/class/net/%s/address", e->d_name);
		cleanup_free char *text = NULL;
		struct net_link l = {0};

		if (e->d_name[0] == '.' || !file_exists(dev) ||
		    file_read_line(path, &text, NULL) < 0 || mac_parse(text, &l.mac) < 0)
			continue;
		snprintf(l.name, sizeof(l.name), "%.*s", IFNAMSIZ - 1, e->d_name);
		links = xreallocarray(links, n + 1, sizeof(*links));
		links[n++] = l;
	}
	closedir(d);
	if (n)
		qsort(links, n, sizeof(*links), by_name);
	*ret = links;
	*ret_n = n;
	return 0;
}

/* --- from text to the plan */

struct planner {
	const struct conf *config;
	const struct map *params;
	const struct net_link *links;
	size_t n_links;
	struct net_plan *plan;
};

/* PREFIX_FIELD of the configuration, else of the boot parameters; NULL or not empty. */
static const char *
get(const struct planner *p, const char *prefix, const char *field)
{
	cleanup_free char *key = str_printf("%s%s%s", prefix, *prefix ? "_" : "", field);
	cleanup_free char *boot = str_printf("BOOT_%s", key);
	const char *v = p->config ? conf_get(p->config, key) : NULL;

	if (!v)
		v = boot_param(p->params, boot);
	return str_empty(v) ? NULL : v;
}

static void __attribute__((format(printf, 2, 3)))
problem(struct planner *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(&p->plan->problems, str_vprintf(fmt, ap));
	va_end(ap);
}

static const struct net_link *
link_by_mac(const struct planner *p, const struct mac_addr *mac)
{
	for (size_t i = 0; i < p->n_links; i++)
		if (mac_equal(&p->links[i].mac, mac))
			return &p->links[i];
	return NULL;
}

/* PREFIX_ip and _netmask, or _ip as CIDR; false if the interface must be left out. */
static bool
plan_ip(struct planner *p, const char *prefix, struct net_if *i)
{
	const char *ip = get(p, prefix, "ip");
	const char *mask = get(p, prefix, "netmask");
	uint8_t bits;

	if (!ip || str_eq(ip, "none")) {
		i->mode = NET_IP_NONE;
		return true;
	}
	if (str_eq(ip, "dhcp")) {
		i->mode = NET_IP_DHCP;
		return true;
	}
	if (ip_parse(ip, &i->ip) < 0 || i->ip.family != AF_INET) {
		problem(p, "%s_ip: \"%s\" is no IPv4 address", prefix, ip);
		return false;
	}
	if (mask) {
		if (ip_parse_netmask(mask, &bits) < 0) {
			problem(p, "%s_netmask: \"%s\" is no netmask", prefix, mask);
			return false;
		}
		i->ip.prefix = bits;
	} else if (!strchr(ip, '/')) {
		problem(p, "%s_netmask is missing", prefix);
		return false;
	}
	i->mode = NET_IP_STATIC;
	return true;
}

static void
plan_ip6(struct planner *p, const char *prefix, struct net_if *i)
{
	const char *ip6 = get(p, prefix, "ip6");

	if (!ip6 || str_eq(ip6, "none"))
		return;
	if (str_eq(ip6, "addrconf"))
		i->addrconf = true;
	else if (ip_parse(ip6, &i->ip6) < 0 || i->ip6.family != AF_INET6)
		problem(p, "%s_ip6: \"%s\" is no IPv6 address", prefix, ip6);
	else if (!strchr(ip6, '/'))
		i->ip6.prefix = 64;
}

static void
plan_number(struct planner *p, const char *prefix, const char *field, unsigned min, unsigned max,
	    uint32_t *ret)
{
	const char *text = get(p, prefix, field);
	uint64_t v;

	if (!text)
		return;
	if (str_to_u64(text, 10, &v) < 0 || v < min || v > max)
		problem(p, "%s_%s: \"%s\" is no number from %u to %u", prefix, field, text, min, max);
	else
		*ret = (uint32_t)v;
}

static void
plan_add(struct planner *p, const struct net_if *i)
{
	for (size_t k = 0; k < p->plan->n_ifs; k++)
		if (str_eq(p->plan->ifs[k].name, i->name))
			return;
	if (p->plan->n_ifs == NET_PLAN_MAX)
		problem(p, "%s: more than %d interfaces", i->name, NET_PLAN_MAX);
	else
		p->plan->ifs[p->plan->n_ifs++] = *i;
}

/* --- aggregations */

static const char *
lacp_mode(struct planner *p, const char *name)
{
	static const char *const modes[] = {"off", "active", "passive"};
	const char *v = get(p, name, "lacp_mode");

	for (size_t i = 0; v && i < ARRAY_SIZE(modes); i++)
		if (str_eq(v, modes[i]))
			return modes[i];
	if (v)
		problem(p, "%s_lacp_mode: \"%s\" is none of off, active, passive", name, v);
	return modes[0];
}

static void
plan_aggr(struct planner *p, const char *name, const char *macs)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct net_aggr a = {0};

	strv_words(&words, macs, ", ");
	for (size_t i = 0; i < words.n; i++) {
		const struct net_link *l = NULL;
		struct mac_addr mac;

		if (mac_parse(words.v[i], &mac) == 0)
			l = link_by_mac(p, &mac);
		if (l)
			strv_add(&a.links, l->name);
		else
			problem(p, "%s_aggr: no NIC has address %s", name, words.v[i]);
	}
	if (a.links.n == 0 || p->plan->n_aggrs == NET_PLAN_MAX || strlen(name) >= sizeof(a.name)) {
		problem(p, "%s is left out", name);
		strv_done(&a.links);
		return;
	}
	snprintf(a.name, sizeof(a.name), "%s", name);
	a.lacp = lacp_mode(p, name);
	plan_number(p, name, "mtu", 576, 9216, &a.mtu);
	p->plan->aggrs[p->plan->n_aggrs++] = a;
}

static void
plan_aggrs(struct planner *p)
{
	struct conf_iter it = {0};

	while (p->config && conf_next(p->config, &it)) {
		cleanup_free char *name = NULL;

		if (!str_after(it.key, "aggr") || !str_ends(it.key, "_aggr"))
			continue;
		name = xstrndup(it.key, strlen(it.key) - strlen("_aggr"));
		plan_aggr(p, name, it.value);
	}
}

static bool
is_aggr(const struct planner *p, const char *name)
{
	for (size_t i = 0; i < p->plan->n_aggrs; i++)
		if (str_eq(p->plan->aggrs[i].name, name))
			return true;
	return false;
}

/* --- addresses of the node */

/* The link that admin_nic means; NULL if there is none. */
static const char *
admin_link(struct planner *p)
{
	const char *nic = get(p, "admin", "nic");
	const char *autoselect = get(p, "admin", "nic_autoselect");
	bool choose = autoselect && str_eq(autoselect, "true");
	const struct net_link *l;
	struct mac_addr mac;

	/* A boot without configuration that asks for an address means the first NIC. */
	if (!nic && !choose && !get(p, "admin", "ip"))
		return NULL;
	if (!nic || choose) {
		if (p->n_links)
			return p->links[0].name;
		problem(p, "this machine has no NIC");
		return NULL;
	}
	if (str_after(nic, "aggr")) {
		if (!is_aggr(p, nic))
			problem(p, "admin_nic: there is no %s_aggr", nic);
		return is_aggr(p, nic) ? nic : NULL;
	}
	if (mac_parse(nic, &mac) < 0) {
		problem(p, "admin_nic: \"%s\" is no MAC address", nic);
		return NULL;
	}
	l = link_by_mac(p, &mac);
	if (!l)
		problem(p, "admin_nic: no NIC has address %s", nic);
	return l ? l->name : NULL;
}

static void
plan_admin(struct planner *p)
{
	const char *link = admin_link(p);
	struct net_if i = {0};

	if (!link)
		return;
	snprintf(i.name, sizeof(i.name), "%s", link);
	plan_number(p, "admin", "mtu", 576, 9216, &i.mtu);
	plan_ip6(p, "admin", &i);
	if (plan_ip(p, "admin", &i))
		plan_add(p, &i);
}

static bool
has_tag(const struct planner *p, const char *tag)
{
	cleanup_free char *key = str_printf("%s_nic", tag);

	return (p->config && conf_get(p->config, key)) || strv_has(&p->plan->etherstubs, tag);
}

static void
plan_vnic(struct planner *p, const char *prefix, const char *tag, const char *name)
{
	const char *mac = get(p, prefix, "mac");
	struct net_if i = {0};
	uint32_t vid = 0;

	if (strlen(name) >= sizeof(i.name) || strlen(tag) >= sizeof(i.tag)) {
		problem(p, "%s: the name is too long", name);
		return;
	}
	if (!has_tag(p, tag)) {
		problem(p, "%s_ip: there is no %s_nic", prefix, tag);
		return;
	}
	snprintf(i.name, sizeof(i.name), "%s", name);
	snprintf(i.tag, sizeof(i.tag), "%s", tag);
	if (mac && (mac_parse(mac, &i.mac) < 0 || mac_is_multicast(&i.mac))) {
		problem(p, "%s_mac: \"%s\" is no MAC address", prefix, mac);
		return;
	}
	plan_number(p, prefix, "vlan_id", 0, 4094, &vid);
	i.vid = (uint16_t)vid;
	plan_number(p, prefix, "mtu", 576, 9216, &i.mtu);
	plan_ip6(p, prefix, &i);
	if (plan_ip(p, prefix, &i))
		plan_add(p, &i);
}

/* "storage0_ip" -> tag "storage", prefix "storage0"; false for keys of another kind. */
static bool
split_vnic_key(const char *key, char **ret_prefix, char **ret_tag)
{
	const char *end = NULL;
	size_t len, digits = 0;

	if (str_ends(key, "_ip6"))
		end = key + strlen(key) - 4;
	else if (str_ends(key, "_ip"))
		end = key + strlen(key) - 3;
	if (!end)
		return false;
	len = (size_t)(end - key);
	while (digits < len && isdigit((unsigned char)key[len - 1 - digits]))
		digits++;
	if (digits == 0 || digits == len)
		return false;
	*ret_prefix = xstrndup(key, len);
	*ret_tag = xstrndup(key, len - digits);
	return true;
}

static void
plan_vnics(struct planner *p)
{
	struct conf_iter it = {0};

	if (get(p, "external", "ip") || get(p, "external", "ip6"))
		plan_vnic(p, "external", "external", "external0");
	while (p->config && conf_next(p->config, &it)) {
		cleanup_free char *prefix = NULL, *tag = NULL;

		if (split_vnic_key(it.key, &prefix, &tag))
			plan_vnic(p, prefix, tag, prefix);
	}
}

static void
plan_gateway(struct planner *p, const char *prefix, const char *field, struct ip_addr *ret)
{
	const char *text = get(p, prefix, field);
	struct ip_addr gw;

	if (!text || ret->family || str_eq(text, "none"))
		return;
	if (ip_parse(text, &gw) < 0 || strchr(text, '/') || ip_is_any(&gw) || ip_is_multicast(&gw) ||
	    (ret == &p->plan->gateway) != (gw.family == AF_INET))
		problem(p, "%s_%s: \"%s\" is no gateway's address", prefix, field, text);
	else
		*ret = gw;
}

static void
plan_routes(struct planner *p)
{
	struct net_plan *plan = p->plan;

	plan_gateway(p, "headnode", "default_gateway", &plan->gateway);
	plan_gateway(p, "admin", "gateway", &plan->gateway);
	plan_gateway(p, "admin", "gateway6", &plan->gateway6);
	plan_gateway(p, "external", "gateway", &plan->gateway);
	plan_gateway(p, "external", "gateway6", &plan->gateway6);
	for (size_t i = 0; i < plan->n_ifs; i++) {
		if (!plan->ifs[i].tag[0])
			continue;
		plan_gateway(p, plan->ifs[i].name, "gateway", &plan->gateway);
		plan_gateway(p, plan->ifs[i].name, "gateway6", &plan->gateway6);
	}
}

/* A name that resolv.conf may carry. */
static bool
is_domain_list(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ")] ==
	       '\0';
}

static void
plan_names(struct planner *p)
{
	const char *resolvers = get(p, "", "dns_resolvers");
	const char *search = get(p, "", "dns_search");
	const char *domain = get(p, "", "dns_domain");
	cleanup_strv struct strv words = STRV_INIT;

	if (resolvers)
		strv_words(&words, resolvers, ", ");
	for (size_t i = 0; i < words.n; i++) {
		struct ip_addr a;

		if (ip_parse(words.v[i], &a) < 0 || strchr(words.v[i], '/'))
			problem(p, "dns_resolvers: \"%s\" is no address", words.v[i]);
		else
			strv_add(&p->plan->resolvers, words.v[i]);
	}
	if (search && is_domain_list(search))
		p->plan->search = xstrdup(search);
	else if (search)
		problem(p, "dns_search: \"%s\" is no list of domains", search);
	if (domain && is_domain_list(domain))
		p->plan->domain = xstrdup(domain);
	else if (domain)
		problem(p, "dns_domain: \"%s\" is no domain", domain);
}

void
net_plan_make(const struct conf *config, const struct map *params, const struct net_link *links,
	      size_t n_links, struct net_plan *ret)
{
	struct planner p = {config, params, links, n_links, ret};
	const char *stubs = get(&p, "", "etherstub");

	if (stubs)
		strv_words(&ret->etherstubs, stubs, ", ");
	plan_aggrs(&p);
	plan_admin(&p);
	plan_vnics(&p);
	plan_routes(&p);
	plan_names(&p);
}
