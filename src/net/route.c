/*
 * route(8): look at and change the routing table, in illumos's words.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "base/cli.h"
#include "base/str.h"
#include "os/netlink.h"

/* What the command line says beside the verb. */
struct args {
	bool inet6, host, net, blackhole, reject;
	struct ip_addr netmask; /* prefix of -netmask; family 0 none */
	const char *ifname;
	const char *source;
	int mtu;
	const char *operands[3];
	size_t n;
};

static int
usage(bool asked)
{
	return cli_usage_text(
		asked, "route [-npq] add [-net|-host] [-inet6] DEST[/LEN] [-netmask MASK] GATEWAY "
		       "[-ifp LINK]\n"
		       "       route [-npq] delete [-net|-host] [-inet6] DEST[/LEN] [GATEWAY]\n"
		       "       route [-n] change DEST[/LEN] GATEWAY\n"
		       "       route [-n] get [-inet6] DEST\n"
		       "       route [-n] print | show\n"
		       "       route [-n] flush");
}

static int
parse_args(int argc, char **argv, struct args *a, struct error *err)
{
	for (int i = 0; i < argc; i++) {
		const char *w = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (str_eq(w, "-inet6")) {
			a->inet6 = true;
		} else if (str_eq(w, "-inet") || str_eq(w, "-static") || str_eq(w, "-n") ||
			   str_eq(w, "-p") || str_eq(w, "-q")) {
			continue;
		} else if (str_eq(w, "-net")) {
			a->net = true;
		} else if (str_eq(w, "-host")) {
			a->host = true;
		} else if (str_eq(w, "-blackhole")) {
			a->blackhole = true;
		} else if (str_eq(w, "-reject")) {
			a->reject = true;
		} else if (str_eq(w, "-interface") || str_eq(w, "-iface")) {
			return error_set(err, EOPNOTSUPP, "%s: give the link with -ifp LINK", w);
		} else if (str_eq(w, "-netmask") && value) {
			if (ip_parse_netmask(value, &a->netmask.prefix) < 0)
				return error_set(err, EINVAL, "%s: bad netmask", value);
			a->netmask.family = AF_INET;
			i++;
		} else if (str_eq(w, "-ifp") && value) {
			a->ifname = value;
			i++;
		} else if (str_eq(w, "-setsrc") && value) {
			a->source = value;
			i++;
		} else if (str_eq(w, "-mtu") && value) {
			return error_set(err, EOPNOTSUPP, "-mtu is not supported");
		} else if (w[0] == '-') {
			return error_set(err, EINVAL, "%s: bad option", w);
		} else if (a->n == ARRAY_SIZE(a->operands)) {
			return error_set(err, EINVAL, "%s: too many words", w);
		} else {
			a->operands[a->n++] = w;
		}
	}
	return 0;
}

static int
parse_destination(const struct args *a, const char *text, struct ip_addr *ret, struct error *err)
{
	struct ip_addr d;

	if (str_eq(text, "default")) {
		*ret = (struct ip_addr){.family = a->inet6 ? AF_INET6 : AF_INET};
		return 0;
	}
	if (ip_parse(text, &d) < 0)
		return error_set(err, EINVAL, "%s: bad value", text);
	if (a->netmask.family && d.family == AF_INET)
		d.prefix = a->netmask.prefix;
	if (a->host)
		d.prefix = ip_bits(&d);
	ip_mask(&d);
	*ret = d;
	return 0;
}

static int
open_all(struct nl **nl, struct nl_link **links, size_t *n, struct error *err)
{
	int r = nl_open(-1, nl, err);

	return r < 0 ? r : nl_link_list(*nl, links, n, err);
}

static const char *
link_name(const struct nl_link *links, size_t n, int ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].ifindex == ifindex)
			return links[i].name;
	return "--";
}

static const char *
destination_text(const struct ip_addr *d, char *buf)
{
	if (d->prefix == 0)
		return "default";
	return d->prefix == ip_bits(d) ? ip_print(d, buf) : ip_print_cidr(d, buf);
}

/* The route that the words of add, change and delete describe. */
static int
parse_route(const struct args *a, struct nl *nl, struct nl_route *ret, struct error *err)
{
	struct nl_route r = {0};
	struct nl_link l;
	int s;

	s = parse_destination(a, a->operands[0], &r.dst, err);
	if (s < 0)
		return s;
	if (a->n > 1 &&
	    (ip_parse(a->operands[1], &r.gateway) < 0 || r.gateway.prefix != ip_bits(&r.gateway)))
		return error_set(err, EINVAL, "%s: bad value", a->operands[1]);
	if (r.gateway.family && r.gateway.family != r.dst.family && r.dst.prefix == 0)
		r.dst.family = r.gateway.family;
	if (r.gateway.family && r.gateway.family != r.dst.family)
		return error_set(err, EINVAL, "%s is not of the family of %s", a->operands[1],
				 a->operands[0]);
	if (a->source && ip_parse(a->source, &r.source) < 0)
		return error_set(err, EINVAL, "%s: bad value", a->source);
	if (a->blackhole)
		r.type = RTN_BLACKHOLE;
	if (a->reject)
		r.type = RTN_UNREACHABLE;
	if (r.type)
		r.gateway.family = 0;
	if (a->ifname) {
		s = nl_link_get(nl, a->ifname, &l, err);
		if (s < 0)
			return s;
		r.ifindex = l.ifindex;
	}
	*ret = r;
	return 0;
}

static void
say_done(const char *verb, const struct nl_route *r)
{
	char dst[IP_STRLEN], gw[IP_STRLEN];
	const char *kind = r->dst.prefix == ip_bits(&r->dst) ? "host" : "net";

	printf("%s %s %s", verb, kind, destination_text(&r->dst, dst));
	if (r->gateway.family)
		printf(": gateway %s", ip_print(&r->gateway, gw));
	printf("\n");
}

static int
change(const char *verb, const struct args *a)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	struct nl_route route;
	bool del = str_eq(verb, "delete");
	int r;

	if (a->n < 1 || a->n > 2 ||
	    (!del && a->n != 2 && !a->ifname && !a->blackhole && !a->reject))
		return usage(false);
	r = nl_open(-1, &nl, &err);
	if (r == 0)
		r = parse_route(a, nl, &route, &err);
	if (r < 0)
		return cli_error(&err);
	r = del ? nl_route_del(nl, &route, &err)
		: nl_route_add(nl, &route, str_eq(verb, "change"), &err);
	if (r == -EEXIST)
		return cli_fail("add %s: entry exists", a->operands[0]);
	if (r == -ESRCH)
		return cli_fail("%s %s: not in table", verb, a->operands[0]);
	if (r < 0)
		return cli_error(&err);
	say_done(verb, &route);
	return CLI_OK;
}

static int
get(const struct args *a)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	cleanup_free struct nl_link *links = NULL;
	cleanup_free struct nl_route *table = NULL;
	struct ip_addr dst;
	struct nl_route found, best = {0};
	size_t n, n_routes;
	char text[IP_STRLEN];
	uint32_t mtu = 0;
	int r;

	if (a->n != 1)
		return usage(false);
	r = open_all(&nl, &links, &n, &err);
	if (r == 0)
		r = parse_destination(a, a->operands[0], &dst, &err);
	if (r == 0)
		r = nl_route_get(nl, &dst, &found, &err);
	if (r == -ENETUNREACH || r == -EHOSTUNREACH)
		return cli_fail("get %s: not in table", a->operands[0]);
	if (r == 0)
		r = nl_route_list(nl, &table, &n_routes, &err);
	if (r < 0)
		return cli_error(&err);
	/* the kernel answers for one address: the entry it came from is the longest that fits */
	best.dst = found.dst;
	best.dst.prefix = 0;
	for (size_t i = 0; i < n_routes; i++)
		if (table[i].dst.family == dst.family && table[i].ifindex == found.ifindex &&
		    ip_in(&dst, &table[i].dst) && table[i].dst.prefix >= best.dst.prefix)
			best = table[i];
	for (size_t i = 0; i < n; i++)
		if (links[i].ifindex == found.ifindex)
			mtu = found.mtu ? found.mtu : links[i].mtu;
	printf("   route to: %s\n", ip_print(&dst, text));
	if (best.dst.prefix == 0)
		printf("destination: default\n       mask: default\n");
	else if (dst.family == AF_INET)
		printf("destination: %s\n", ip_print(&best.dst, text)),
			printf("       mask: %s\n", ip_print_netmask(best.dst.prefix, text));
	else
		printf("destination: %s\n", ip_print_cidr(&best.dst, text));
	if (found.gateway.family)
		printf("    gateway: %s\n", ip_print(&found.gateway, text));
	printf("  interface: %s\n", link_name(links, n, found.ifindex));
	printf("      flags: <UP%s%s,DONE%s>\n", found.gateway.family ? ",GATEWAY" : "",
	       best.dst.prefix == ip_bits(&dst) ? ",HOST" : "",
	       best.protocol == RTPROT_KERNEL ? "" : ",STATIC");
	printf(" recvpipe  sendpipe  ssthresh    rtt,ms rttvar,ms  hopcount      mtu     expire\n");
	printf("%8d  %8d  %8d  %8d  %8d  %8d  %8u  %8d\n", 0, 0, 0, 0, 0, 0, mtu, 0);
	return CLI_OK;
}

static void
print_family(int family, const struct nl_route *table, size_t n_routes, const struct nl_link *links,
	     size_t n)
{
	bool v6 = family == AF_INET6;
	int width = v6 ? 32 : 20;

	printf("%sRouting Table: %s\n", v6 ? "\n" : "", v6 ? "IPv6" : "IPv4");
	printf("  %-*s %-*s Flags Interface\n", width, "Destination", width, "Gateway");
	printf("  %.*s %.*s ----- ---------\n", width, "--------------------------------", width,
	       "--------------------------------");
	for (size_t i = 0; i < n_routes; i++) {
		const struct nl_route *r = &table[i];
		char dst[IP_STRLEN], gw[IP_STRLEN], flags[8] = "U";

		if (r->dst.family != family || r->table != RT_TABLE_MAIN)
			continue;
		if (r->gateway.family)
			strcat(flags, "G");
		if (r->dst.prefix == ip_bits(&r->dst))
			strcat(flags, "H");
		if (r->type == RTN_BLACKHOLE)
			strcat(flags, "B");
		if (r->type == RTN_UNREACHABLE)
			strcat(flags, "R");
		printf("  %-*s %-*s %-5s %s\n", width, destination_text(&r->dst, dst), width,
		       r->gateway.family  ? ip_print(&r->gateway, gw)
		       : r->source.family ? ip_print(&r->source, gw)
					  : "--",
		       flags, link_name(links, n, r->ifindex));
	}
}

static int
print(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	cleanup_free struct nl_link *links = NULL;
	cleanup_free struct nl_route *table = NULL;
	size_t n, n_routes;

	if (open_all(&nl, &links, &n, &err) < 0 || nl_route_list(nl, &table, &n_routes, &err) < 0)
		return cli_error(&err);
	print_family(AF_INET, table, n_routes, links, n);
	print_family(AF_INET6, table, n_routes, links, n);
	return CLI_OK;
}

/* Routes over gateways; what belongs to the links' own addresses stays. */
static int
flush(const struct args *a)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	cleanup_free struct nl_route *table = NULL;
	size_t n;

	if (nl_open(-1, &nl, &err) < 0 || nl_route_list(nl, &table, &n, &err) < 0)
		return cli_error(&err);
	for (size_t i = 0; i < n; i++) {
		if (table[i].table != RT_TABLE_MAIN || !table[i].gateway.family ||
		    (a->inet6 && table[i].dst.family != AF_INET6))
			continue;
		if (nl_route_del(nl, &table[i], &err) < 0)
			return cli_error(&err);
		say_done("delete", &table[i]);
	}
	return CLI_OK;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct args a = {0};
	const char *verb;
	int i = 1;

	cli_init(argv[0]);
	while (i < argc && argv[i][0] == '-') {
		if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
			return usage(true);
		if (argv[i][strspn(argv[i], "-nvqp")] != '\0')
			return usage(false);
		i++;
	}
	if (i == argc)
		return usage(false);
	verb = argv[i++];
	if (parse_args(argc - i, argv + i, &a, &err) < 0)
		return cli_error(&err), CLI_USAGE;
	if (str_eq(verb, "add") || str_eq(verb, "change") || str_eq(verb, "delete"))
		return change(verb, &a);
	if (str_eq(verb, "get"))
		return get(&a);
	if (str_eq(verb, "print") || str_eq(verb, "show"))
		return print();
	if (str_eq(verb, "flush"))
		return flush(&a);
	if (str_eq(verb, "monitor"))
		return cli_fail("monitor is not supported: ip monitor route");
	return usage(false);
}
