/*
 * ipadm(8): interfaces and addresses of the global zone.
 */
#include <net/if.h>
#include <stdio.h>

#include "base/cli.h"
#include "base/str.h"
#include "base/table.h"
#include "net/addr.h"
#include "net/addrobj.h"
#include "net/link.h"
#include "net/net.h"
#include "net/show.h"

static const struct cli_verb verbs[];

/* "[-p] [-o FIELDS] [NAME]" of both show verbs. */
struct show {
	bool parsable;
	const char *fields;
	const char *name;
};

static int
show_parse(struct show *s, int argc, char **argv)
{
	int first, r;
	const struct cli_opt opts[] = {
		{'p', "parseable", CLI_FLAG, &s->parsable, NULL, "for programs, with -o"},
		{'o', "output", CLI_STR, &s->fields, "FIELD,...", "fields to print"},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 0, 1, &first);
	if (r)
		return r;
	if (s->parsable && !s->fields)
		return cli_fail("-p needs the fields: -o FIELD,...");
	s->name = argc > first ? argv[first] : NULL;
	return CLI_OK;
}

static int
cmd_show_addr(int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"addrobj", "ADDROBJ", 17},       {"type", "TYPE", 8},
		{"state", "STATE", 12},           {"current", "CURRENT", 7},
		{"persistent", "PERSISTENT", 10}, {"addr", "ADDR", 0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_free struct addrobj *list = NULL;
	cleanup_table struct table *t = NULL;
	struct show s = {0};
	size_t count;
	char buf[IP_STRLEN];
	int r = show_parse(&s, argc, argv);

	if (r)
		return r;
	t = net_table(cols, ARRAY_SIZE(cols), s.fields, "addrobj,type,state,addr");
	if (!t)
		return CLI_USAGE;
	if (net_open(NULL, &n, &err) < 0 || addrobj_list(n, NULL, &list, &count, &err) < 0)
		return cli_error(&err);
	for (size_t i = 0; i < count; i++) {
		cleanup_free char *obj = str_printf("%s/%s", list[i].ifname, list[i].name);

		/* an interface's name, "net0/", or an object's */
		if (s.name && !str_eq(s.name, obj) && !str_eq(s.name, list[i].ifname) &&
		    !(str_ends(s.name, "/") && str_after(obj, s.name)))
			continue;
		table_row(t);
		table_set(t, "addrobj", obj);
		table_set(t, "type", addrobj_type_name(list[i].type));
		table_set(t, "state", list[i].state);
		table_set(t, "current", str_eq(list[i].state, "ok") ? "U----" : "-----");
		table_set(t, "persistent", "---");
		if (list[i].addr.family)
			table_set(t, "addr", ip_print_cidr(&list[i].addr, buf));
		else
			table_set(t, "addr", list[i].type == ADDROBJ_DHCP ? "?" : "--");
	}
	if (s.name && table_rows(t) == 0)
		return cli_fail("%s: no such address object", s.name);
	table_print(t, stdout, s.parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}

static void
flags_text(const struct nl_link *l, bool v4, bool v6, char ret[13])
{
	memcpy(ret, "------------", 13);
	if (l->flags & IFF_BROADCAST)
		ret[0] = 'b';
	if (l->flags & IFF_MULTICAST)
		ret[1] = 'm';
	if (l->flags & IFF_POINTOPOINT)
		ret[2] = 'p';
	if (l->flags & IFF_LOOPBACK)
		ret[3] = 'v';
	if (v4)
		ret[10] = '4';
	if (v6)
		ret[11] = '6';
}

static int
cmd_show_if(int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"ifname", "IFNAME", 10},
		{"state", "STATE", 8},
		{"current", "CURRENT", 12},
		{"persistent", "PERSISTENT", 10},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_nl struct nl *nl = NULL;
	cleanup_free struct nl_link *links = NULL;
	cleanup_free struct addrobj *list = NULL;
	cleanup_table struct table *t = NULL;
	struct show s = {0};
	size_t n_links, count;
	int r = show_parse(&s, argc, argv);

	if (r)
		return r;
	t = net_table(cols, ARRAY_SIZE(cols), s.fields, "ifname,state,current,persistent");
	if (!t)
		return CLI_USAGE;
	if (net_open(NULL, &n, &err) < 0 || nl_open(-1, &nl, &err) < 0 ||
	    nl_link_list(nl, &links, &n_links, &err) < 0 ||
	    addrobj_list(n, NULL, &list, &count, &err) < 0)
		return cli_error(&err);
	for (size_t i = 0; i < n_links; i++) {
		const struct nl_link *l = &links[i];
		bool v4 = false, v6 = false;
		char flags[13];

		for (size_t k = 0; k < count; k++) {
			if (!str_eq(list[k].ifname, l->name))
				continue;
			v4 = v4 || list[k].addr.family == AF_INET;
			v6 = v6 || list[k].addr.family == AF_INET6;
		}
		/* an interface is a link that IP uses */
		if (net_is_port_name(l->name) || (!v4 && !v6) ||
		    (s.name && !str_eq(s.name, l->name)))
			continue;
		flags_text(l, v4, v6, flags);
		table_row(t);
		table_set(t, "ifname", l->name);
		table_set(t, "state", !(l->flags & IFF_UP) ? "down" : l->carrier ? "ok" : "failed");
		table_set(t, "current", flags);
		table_set(t, "persistent", "---");
	}
	if (s.name && table_rows(t) == 0)
		return cli_fail("%s: no such interface", s.name);
	table_print(t, stdout, s.parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}

/* "local=10.0.0.1/24,remote=..", "10.0.0.1/24": without a length the class's. */
static int
parse_local(const char *text, struct ip_addr *ret, struct error *err)
{
	const char *local = str_after(text, "local=");
	struct ip_addr a;

	if (!local)
		local = text;
	if (strchr(local, ','))
		return error_set(err, EOPNOTSUPP, "remote= is not supported: use an IP tunnel");
	if (ip_parse(local, &a) < 0)
		return error_set(err, EINVAL, "invalid address '%s'", local);
	if (!strchr(local, '/') && a.family == AF_INET)
		a.prefix = a.b[0] < 128 ? 8 : a.b[0] < 192 ? 16 : 24;
	else if (!strchr(local, '/'))
		a.prefix = 64;
	*ret = a;
	return 0;
}

static int
cmd_create_addr(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	const char *type = "static", *addr = NULL, *wait = NULL, *host = NULL, *id = NULL,
		   *state = NULL;
	bool temporary = false, down = false, primary = false;
	struct ip_addr a;
	int first, r, wait_s = 0;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, "until the next boot (as all)"},
		{'T', "type", CLI_STR, &type, "static|dhcp|addrconf", "how it comes by"},
		{'a', "address", CLI_STR, &addr, "ADDR[/LEN]", "static: the address"},
		{'d', "down", CLI_FLAG, &down, NULL, "static: not yet up"},
		{'w', "wait", CLI_STR, &wait, "SECONDS|forever", "dhcp: fail without a lease"},
		{'1', "primary", CLI_FLAG, &primary, NULL, NULL},
		{'h', "reqhost", CLI_STR, &host, "HOST", NULL},
		{'i', "interface-id", CLI_STR, &id, "ID", NULL},
		{'p', "stateless", CLI_STR, &state, "stateful=..,stateless=..", NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (id || state || host)
		return cli_fail("-i, -p and -h are not supported");
	if (wait && !str_eq(wait, "forever") && (str_to_int(wait, &wait_s) < 0 || wait_s < 0))
		return cli_fail("invalid time '%s'", wait);
	if (net_open(NULL, &n, &err) < 0)
		return cli_error(&err);
	if (str_eq(type, "static")) {
		if (!addr)
			return cli_usage_verb(verbs, argv[0]);
		r = parse_local(addr, &a, &err);
		if (r == 0)
			r = addrobj_add_static(n, argv[first], &a, down, &err);
	} else if (str_eq(type, "dhcp")) {
		r = addrobj_add_dhcp(n, argv[first], wait ? 1 : 0, &err);
	} else if (str_eq(type, "addrconf")) {
		r = addrobj_add_addrconf(n, argv[first], &err);
	} else {
		return cli_fail("invalid address type '%s': static, dhcp or addrconf", type);
	}
	return r < 0 ? cli_error(&err) : CLI_OK;
}

/* "[-t] [-r] NAME" and what to do with the name. */
static int
one_name(int argc, char **argv, int (*fn)(struct net *n, const char *name, struct error *err))
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	bool temporary = false, release = false, inform = false;
	int first, r;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, NULL},
		{'r', "release", CLI_FLAG, &release, NULL, NULL},
		{'i', "inform", CLI_FLAG, &inform, NULL, NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (net_open(NULL, &n, &err) < 0 || fn(n, argv[first], &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

static int
do_up(struct net *n, const char *name, struct error *err)
{
	return addrobj_set_up(n, name, true, err);
}

static int
do_down(struct net *n, const char *name, struct error *err)
{
	return addrobj_set_up(n, name, false, err);
}

static int
do_create_if(struct net *n, const char *name, struct error *err)
{
	return addr_set_up(-1, name, true, err);
}

static bool
carries_vnics(struct net *n, const char *name)
{
	struct vnic_info *v;
	size_t count;
	bool found = false;

	if (vnic_list(n, NULL, &v, &count, NULL) < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		found = found || str_eq(v[i].over, name);
	vnic_list_free(v, count);
	return found;
}

/* Its addresses go; the link goes down only if no zone's traffic runs over it. */
static int
do_delete_if(struct net *n, const char *name, struct error *err)
{
	cleanup_free struct addrobj *list = NULL;
	size_t count;
	int r = addrobj_list(n, name, &list, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		cleanup_free char *obj = str_printf("%s/%s", name, list[i].name);
		cleanup_error struct error e = ERROR_INIT;

		if (!str_eq(list[i].name, "?"))
			r = addrobj_delete(n, obj, &e);
		if (r == -ENOENT) /* two addresses of one object: gone with the first */
			r = 0;
		if (r == 0 && list[i].addr.family)
			r = addr_del(-1, name, &list[i].addr, &e);
		if (r < 0)
			error_move(err, &e);
	}
	if (r < 0 || carries_vnics(n, name))
		return r;
	return addr_set_up(-1, name, false, err);
}

static int
cmd_create_if(int argc, char **argv)
{
	return one_name(argc, argv, do_create_if);
}

static int
cmd_delete_if(int argc, char **argv)
{
	return one_name(argc, argv, do_delete_if);
}

static int
cmd_delete_addr(int argc, char **argv)
{
	return one_name(argc, argv, addrobj_delete);
}

static int
cmd_up_addr(int argc, char **argv)
{
	return one_name(argc, argv, do_up);
}

static int
cmd_down_addr(int argc, char **argv)
{
	return one_name(argc, argv, do_down);
}

static int
cmd_refresh_addr(int argc, char **argv)
{
	return one_name(argc, argv, addrobj_refresh);
}

static const struct cli_verb verbs[] = {
	{"create-if|create-ip", "[-t] IF", "use a link for IP", cmd_create_if},
	{"delete-if|delete-ip", "IF", "take all its addresses away", cmd_delete_if},
	{"show-if", "[-p] [-o FIELD,...] [IF]", "interfaces", cmd_show_if},
	{"create-addr",
	 "[-t] [-T static] [-d] -a ADDR[/LEN] | -T dhcp [-w SECONDS] | -T addrconf IF/NAME",
	 "add an address", cmd_create_addr},
	{"delete-addr", "[-r] IF/NAME", "take an address away", cmd_delete_addr},
	{"show-addr", "[-p] [-o FIELD,...] [IF/NAME]", "addresses", cmd_show_addr},
	{"up-addr|enable-addr", "[-t] IF/NAME", "bring an address back", cmd_up_addr},
	{"down-addr|disable-addr", "[-t] IF/NAME", "take it out of use", cmd_down_addr},
	{"refresh-addr", "[-i] IF/NAME", "ask the DHCP server anew", cmd_refresh_addr},
	{0},
};

int
main(int argc, char **argv)
{
	return cli_main(argc, argv, verbs);
}
