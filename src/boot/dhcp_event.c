/*
 * What udhcpc runs when a lease comes, is renewed or goes: dhcp-event EVENT,
 * with the lease in the environment.  Everything in there was sent by whoever
 * answered first on the wire: it is parsed as addresses and names, and what is
 * neither is left out.  No shell sees it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/log.h"
#include "boot/resolv.h"
#include "os/ip.h"
#include "os/run.h"

#define DEFAULT_METRIC "100"

static bool
is_ifname(const char *s)
{
	return s && *s && strlen(s) < IFNAMSIZ && *s != '.' && *s != '-' &&
	       s[strcspn(s, "/ \t\n:")] == '\0';
}

/* The words of a variable that are IPv4 addresses. */
static void
addresses(const char *name, struct strv *ret)
{
	cleanup_strv struct strv words = STRV_INIT;
	const char *v = getenv(name);

	if (v)
		strv_words(&words, v, " ");
	for (size_t i = 0; i < words.n; i++) {
		struct ip_addr a;

		if (ip_parse(words.v[i], &a) == 0 && a.family == AF_INET && !strchr(words.v[i], '/') &&
		    !ip_is_any(&a))
			strv_add(ret, words.v[i]);
	}
}

static int
write_lease(const char *ifname, struct error *err)
{
	static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ";
	cleanup_free char *path = str_printf("%s/%s", NET_LEASE_DIR, ifname);
	cleanup_strv struct strv resolvers = STRV_INIT;
	cleanup_conf struct conf *lease = conf_new();
	cleanup_free char *joined = NULL;
	static const struct {
		const char *env, *key;
	} texts[] = {{"domain", "search"}, {"search", "search"}, {"hostname", "hostname"}};
	int r = file_mkdir_p(NET_LEASE_DIR, 0755, err);

	if (r < 0)
		return r;
	addresses("dns", &resolvers);
	joined = strv_join(&resolvers, ",");
	conf_set(lease, "resolvers", joined);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *v = getenv(texts[i].env);

		if (v && *v && v[strspn(v, names)] == '\0')
			conf_set(lease, texts[i].key, v);
	}
	return conf_write_file(path, lease, 0644, err);
}

/* bound and renew */
static int
use_lease(const char *ifname, struct error *err)
{
	const char *ip = getenv("ip"), *subnet = getenv("subnet");
	cleanup_strv struct strv routers = STRV_INIT;
	struct ip_addr a;
	char cidr[IP_STRLEN];
	int r;

	if (!ip || ip_parse(ip, &a) < 0 || a.family != AF_INET || ip_is_any(&a) || strchr(ip, '/'))
		return error_set(err, EINVAL, "the lease has no address");
	if (!subnet || ip_parse_netmask(subnet, &a.prefix) < 0)
		a.prefix = 24;
	r = RUN(err, "ip", "address", "replace", ip_print_cidr(&a, cidr), "dev", ifname);
	if (r < 0)
		return r;
	addresses("router", &routers);
	/* A route of the configuration has no metric and wins. */
	if (routers.n) {
		r = RUN(err, "ip", "route", "replace", "default", "via", routers.v[0], "dev", ifname,
			"metric", DEFAULT_METRIC);
		if (r < 0)
			return r;
	}
	r = write_lease(ifname, err);
	return r < 0 ? r : resolv_update(err);
}

static int
drop_lease(const char *ifname, struct error *err)
{
	cleanup_free char *path = str_printf("%s/%s", NET_LEASE_DIR, ifname);
	int r = RUN(err, "ip", "-4", "address", "flush", "dev", ifname);

	if (r < 0)
		return r;
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	return resolv_update(err);
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *event = argc > 1 ? argv[1] : "", *ifname = getenv("interface");
	int r = 0;

	log_init("dhcp");
	if (!is_ifname(ifname)) {
		log_error("no interface");
		return 2;
	}
	/* "leasefail" and "nak" change nothing: a lease we hold is good until udhcpc gives it up. */
	if (str_eq(event, "bound") || str_eq(event, "renew"))
		r = use_lease(ifname, &err);
	else if (str_eq(event, "deconfig"))
		r = RUN(&err, "ip", "link", "set", "dev", ifname, "up");
	else if (str_eq(event, "release"))
		r = drop_lease(ifname, &err);
	if (r < 0) {
		log_error("%s on %s: %s", event, ifname, error_message(&err));
		return 1;
	}
	log_info("%s on %s%s%s", event, ifname, getenv("ip") ? ": " : "",
		 getenv("ip") ? getenv("ip") : "");
	return 0;
}
