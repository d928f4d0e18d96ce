/*
 * dladm(8): data links.  Each verb collects rows from the library and prints
 * them, or calls the library once.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/str.h"
#include "base/table.h"
#include "net/link.h"
#include "net/linkprop.h"
#include "net/net.h"
#include "net/show.h"
#include "net/vnic.h"

static const struct cli_verb verbs[];

/* What every show verb takes. */
struct show {
	bool parsable, stats, persistent;
	const char *fields;
	const char *zone;
	const char *name; /* operand, or NULL */
	const char *over;  /* show-vnic -l */
	struct strv props; /* show-linkprop -p; none: all */
	struct net *net;
	struct link *links;
	size_t n_links;
};

static void
show_done(struct show *s)
{
	strv_done(&s->props);
	link_list_free(s->links, s->n_links);
	net_close(s->net);
}
#define cleanup_show __attribute__((cleanup(show_done)))

/* Asks the system what links there are; CLI_OK, or the exit status. */
static int
show_load(struct show *s)
{
	cleanup_error struct error err = ERROR_INIT;

	if (net_open(NULL, &s->net, &err) < 0 ||
	    link_list(s->net, &s->links, &s->n_links, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

/* Parses the common options and extra ones; CLI_OK, or the exit status. */
static int
show_init(struct show *s, int argc, char **argv, const struct cli_opt *extra)
{
	struct cli_opt opts[16] = {
		{'p', "parseable", CLI_FLAG, &s->parsable, NULL, "for programs, with -o"},
		{'o', "output", CLI_STR, &s->fields, "FIELD,...", "fields to print, or all"},
		{'P', "persistent", CLI_FLAG, &s->persistent, NULL, NULL},
		{'z', "zone", CLI_STR, &s->zone, "ZONE", "links of that zone"},
	};
	size_t n = 4;
	int first, r;

	while (extra && (extra->short_name || extra->long_name))
		opts[n++] = *extra++;
	r = cli_verb_args(argc, argv, verbs, opts, 0, 1, &first);
	if (r)
		return r;
	if (s->parsable && !s->fields)
		return cli_fail("-p needs the fields: -o FIELD,...");
	s->name = argc > first ? argv[first] : NULL;
	return show_load(s);
}

static bool
show_wants(const struct show *s, const struct link *l)
{
	if (s->name && !str_eq(s->name, l->name))
		return false;
	return !s->zone || str_eq(s->zone, l->zone);
}

/*
 * A table of links: its columns, the fields that are printed unless -o names
 * others, which links stand in it, and what is said of one.  fill starts the
 * rows itself: an aggregation has one for each port.
 */
struct view {
	const struct table_col *cols;
	size_t n_cols;
	const char *fields;
	bool (*takes)(const struct show *s, const struct link *l);
	void (*fill)(const struct show *s, struct table *t, const struct link *l);
};
#define VIEW_COLS(cols) cols, ARRAY_SIZE(cols)

static int
show_view(const struct show *s, const struct view *v)
{
	cleanup_table struct table *t = net_table(v->cols, v->n_cols, s->fields, v->fields);
	bool known = !s->name;

	if (!t)
		return CLI_USAGE;
	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];

		known = known || str_eq(s->name, l->name);
		if (show_wants(s, l) && v->takes(s, l))
			v->fill(s, t, l);
	}
	if (!known)
		return cli_fail("invalid link name '%s': no such link", s->name);
	table_print(t, stdout, s->parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return CLI_OK;
}

static bool
any_link(const struct show *s, const struct link *l)
{
	return true;
}

#define DEFINE_CLASS(name, wanted)                                                                 \
	static bool name(const struct show *s, const struct link *l)                               \
	{                                                                                          \
		return l->class == (wanted);                                                       \
	}
DEFINE_CLASS(is_phys, LINK_PHYS)
DEFINE_CLASS(is_vlan, LINK_VLAN)
DEFINE_CLASS(is_aggr, LINK_AGGR)
DEFINE_CLASS(is_etherstub, LINK_ETHERSTUB)

static bool
is_vnic(const struct show *s, const struct link *l)
{
	return l->class == LINK_VNIC && (!s->over || str_eq(s->over, l->over));
}

/* Packets and bytes as the link's owner sees them. */
struct counters {
	uint64_t ipackets, rbytes, ierrors, opackets, obytes, oerrors;
};

static struct counters
link_counters(const struct show *s, const struct link *l)
{
	const struct rtnl_link_stats64 *d = &l->dev.stats;
	struct counters c = {d->rx_packets, d->rx_bytes, d->rx_errors,
			     d->tx_packets, d->tx_bytes, d->tx_errors};
	struct vnic_stats v;

	if (l->class != LINK_VNIC)
		return c;
	memset(&c, 0, sizeof(c));
	if (!l->dev.ifindex || vnic_stats(s->net, l->dev.ifindex, &v, NULL) < 0)
		return c; /* a machine that is off has counted nothing */
	c.ipackets = v.ipackets;
	c.rbytes = v.rbytes;
	c.opackets = v.opackets;
	c.obytes = v.obytes;
	for (int i = 0; i < VNIC_DROP_MAX; i++)
		c.oerrors += v.drops[i];
	return c;
}

static const struct table_col stat_cols[] = {
	{"link", "LINK", 12},      {"ipackets", "IPACKETS", 10}, {"rbytes", "RBYTES", 12},
	{"ierrors", "IERRORS", 8}, {"opackets", "OPACKETS", 10}, {"obytes", "OBYTES", 12},
	{"oerrors", "OERRORS", 8}, {"zone", "ZONE", 8},
};

static void
fill_stats(const struct show *s, struct table *t, const struct link *l)
{
	struct counters c = link_counters(s, l);

	table_row(t);
	table_set(t, "link", l->name);
	table_setf(t, "ipackets", "%llu", (unsigned long long)c.ipackets);
	table_setf(t, "rbytes", "%llu", (unsigned long long)c.rbytes);
	table_setf(t, "ierrors", "%llu", (unsigned long long)c.ierrors);
	table_setf(t, "opackets", "%llu", (unsigned long long)c.opackets);
	table_setf(t, "obytes", "%llu", (unsigned long long)c.obytes);
	table_setf(t, "oerrors", "%llu", (unsigned long long)c.oerrors);
	table_set(t, "zone", l->zone);
}

static int
show_stats(const struct show *s, bool (*takes)(const struct show *s, const struct link *l))
{
	const struct view view = {VIEW_COLS(stat_cols),
				  "link,ipackets,rbytes,ierrors,opackets,obytes,oerrors", takes,
				  fill_stats};

	return show_view(s, &view);
}

static uint32_t
link_mtu(const struct link *l)
{
	return l->class == LINK_VNIC || l->class == LINK_ETHERSTUB ? l->vnic.mtu : l->dev.mtu;
}

static const struct table_col link_cols[] = {
	{"link", "LINK", 12},     {"zone", "ZONE", 10},  {"class", "CLASS", 9}, {"mtu", "MTU", 6},
	{"state", "STATE", 8}, {"bridge", "BRIDGE", 10}, {"over", "OVER", 0},
};

static void
fill_link(const struct show *s, struct table *t, const struct link *l)
{
	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "zone", l->zone);
	table_set(t, "class", link_class_name(l->class));
	table_setf(t, "mtu", "%u", link_mtu(l));
	table_set(t, "state", l->state);
	table_set(t, "over", l->over[0] ? l->over : NULL);
}

static int
cmd_show_link(int argc, char **argv)
{
	struct view view = {VIEW_COLS(link_cols), "link,class,mtu,state,bridge,over", any_link,
			    fill_link};
	cleanup_show struct show s = {0};
	bool zones = false;
	const struct cli_opt extra[] = {
		{'s', "statistics", CLI_FLAG, &s.stats, NULL, "counters"},
		{'Z', NULL, CLI_FLAG, &zones, NULL, "with the zone's name"},
		{0},
	};
	int r = show_init(&s, argc, argv, extra);

	if (r)
		return r;
	if (zones)
		view.fields = "link,zone,class,mtu,state,bridge,over";
	return s.stats ? show_stats(&s, any_link) : show_view(&s, &view);
}

static const struct table_col mac_cols[] = {
	{"link", "LINK", 12},  {"slot", "SLOT", 8},     {"address", "ADDRESS", 18},
	{"inuse", "INUSE", 5}, {"client", "CLIENT", 0},
};

static void
fill_mac(const struct show *s, struct table *t, const struct link *l)
{
	char mac[MAC_STRLEN];

	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "slot", "primary");
	table_set(t, "address", mac_print_short(&l->dev.mac, mac));
	table_set(t, "inuse", l->dev.flags & IFF_UP ? "yes" : "no");
	table_set(t, "client", l->dev.flags & IFF_UP ? l->name : NULL);
}

static const struct table_col phys_cols[] = {
	{"link", "LINK", 12},  {"media", "MEDIA", 10},  {"state", "STATE", 10},
	{"speed", "SPEED", 6}, {"duplex", "DUPLEX", 9}, {"device", "DEVICE", 0},
	{"flags", "FLAGS", 6},
};

static void
fill_phys(const struct show *s, struct table *t, const struct link *l)
{
	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "media", "Ethernet");
	table_set(t, "state", l->state);
	table_setf(t, "speed", "%d", l->speed);
	table_set(t, "duplex", l->duplex);
	table_set(t, "device", l->name);
	table_set(t, "flags", "-----");
}

static int
cmd_show_phys(int argc, char **argv)
{
	static const struct view macs_view = {
		VIEW_COLS(mac_cols), "link,slot,address,inuse,client", is_phys, fill_mac};
	static const struct view view = {
		VIEW_COLS(phys_cols), "link,media,state,speed,duplex,device", is_phys, fill_phys};
	cleanup_show struct show s = {0};
	bool macs = false;
	const struct cli_opt extra[] = {
		{'m', "mac-address", CLI_FLAG, &macs, NULL, "MAC addresses"},
		{0},
	};
	int r = show_init(&s, argc, argv, extra);

	return r ? r : show_view(&s, macs ? &macs_view : &view);
}

static const struct table_col vnic_cols[] = {
	{"link", "LINK", 12},
	{"over", "OVER", 12},
	{"speed", "SPEED", 5},
	{"macaddress", "MACADDRESS", 17},
	{"macaddrtype", "MACADDRTYPE", 11},
	{"vid", "VID", 4},
	{"zone", "ZONE", 0},
	{"port", "PORT", 8},
};

static void
fill_vnic(const struct show *s, struct table *t, const struct link *l)
{
	char mac[MAC_STRLEN];

	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "over", l->over);
	table_setf(t, "speed", "%d", l->speed);
	table_set(t, "macaddress", mac_print_short(&l->vnic.mac, mac));
	table_set(t, "macaddrtype", l->vnic.random_mac ? "random" : "fixed");
	table_setf(t, "vid", "%u", l->vnic.vid);
	table_set(t, "zone", str_eq(l->zone, NET_GLOBAL) ? NULL : l->zone);
	table_set(t, "port", l->vnic.port);
}

static int
cmd_show_vnic(int argc, char **argv)
{
	static const struct view view = {VIEW_COLS(vnic_cols),
					 "link,over,speed,macaddress,macaddrtype,vid,zone", is_vnic,
					 fill_vnic};
	cleanup_show struct show s = {0};
	const struct cli_opt extra[] = {
		{'s', "statistics", CLI_FLAG, &s.stats, NULL, "counters"},
		{'l', "link", CLI_STR, &s.over, "LINK", "VNICs over that link"},
		{0},
	};
	int r = show_init(&s, argc, argv, extra);

	if (r)
		return r;
	return s.stats ? show_stats(&s, is_vnic) : show_view(&s, &view);
}

static const struct table_col etherstub_cols[] = {{"link", "LINK", 12}, {"zone", "ZONE", 10}};

static void
fill_etherstub(const struct show *s, struct table *t, const struct link *l)
{
	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "zone", l->zone);
}

static int
cmd_show_etherstub(int argc, char **argv)
{
	static const struct view view = {VIEW_COLS(etherstub_cols), "link", is_etherstub,
					 fill_etherstub};
	cleanup_show struct show s = {0};
	bool temporary = false;
	const struct cli_opt extra[] = {{'t', NULL, CLI_FLAG, &temporary, NULL, NULL}, {0}};
	int r = show_init(&s, argc, argv, extra);

	return r ? r : show_view(&s, &view);
}

static const struct table_col vlan_cols[] = {
	{"link", "LINK", 12}, {"vid", "VID", 6}, {"over", "OVER", 12}, {"flags", "FLAGS", 6}};

static void
fill_vlan(const struct show *s, struct table *t, const struct link *l)
{
	table_row(t);
	table_set(t, "link", l->name);
	table_setf(t, "vid", "%u", l->dev.vid);
	table_set(t, "over", l->over);
	table_set(t, "flags", "-----");
}

static int
cmd_show_vlan(int argc, char **argv)
{
	static const struct view view = {VIEW_COLS(vlan_cols), "link,vid,over,flags", is_vlan,
					 fill_vlan};
	cleanup_show struct show s = {0};
	int r = show_init(&s, argc, argv, NULL);

	return r ? r : show_view(&s, &view);
}

static const struct table_col port_cols[] = {
	{"link", "LINK", 12},          {"port", "PORT", 14},  {"speed", "SPEED", 6},
	{"duplex", "DUPLEX", 9},       {"state", "STATE", 9}, {"address", "ADDRESS", 18},
	{"portstate", "PORTSTATE", 0},
};

static void
fill_ports(const struct show *s, struct table *t, const struct link *aggr)
{
	char mac[MAC_STRLEN];

	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *l = &s->links[i];
		const struct mac_addr *own =
			mac_is_zero(&l->dev.perm_mac) ? &l->dev.mac : &l->dev.perm_mac;

		if (l->dev.master != aggr->dev.ifindex)
			continue;
		table_row(t);
		table_set(t, "link", aggr->name);
		table_set(t, "port", l->name);
		table_setf(t, "speed", "%dMb", l->speed);
		table_set(t, "duplex", l->duplex);
		table_set(t, "state", l->state);
		table_set(t, "address", mac_print_short(own, mac));
		table_set(t, "portstate", l->dev.carrier ? "attached" : "standby");
	}
}

static const struct table_col aggr_cols[] = {
	{"link", "LINK", 12},
	{"policy", "POLICY", 8},
	{"addrpolicy", "ADDRPOLICY", 20},
	{"lacpactivity", "LACPACTIVITY", 12},
	{"lacptimer", "LACPTIMER", 9},
	{"flags", "FLAGS", 6},
};

static void
fill_aggr(const struct show *s, struct table *t, const struct link *l)
{
	table_row(t);
	table_set(t, "link", l->name);
	table_set(t, "policy", aggr_policy(&l->dev));
	table_set(t, "addrpolicy", "auto");
	table_set(t, "lacpactivity", aggr_lacp(&l->dev));
	table_set(t, "lacptimer", aggr_timer(&l->dev));
	table_set(t, "flags", "-----");
}

static int
cmd_show_aggr(int argc, char **argv)
{
	static const struct view ports_view = {VIEW_COLS(port_cols),
					       "link,port,speed,duplex,state,address,portstate",
					       is_aggr, fill_ports};
	static const struct view view = {VIEW_COLS(aggr_cols),
					 "link,policy,addrpolicy,lacpactivity,lacptimer,flags",
					 is_aggr, fill_aggr};
	cleanup_show struct show s = {0};
	bool extended = false;
	const struct cli_opt extra[] = {
		{'x', "extended", CLI_FLAG, &extended, NULL, "the ports of each"},
		{0},
	};
	int r = show_init(&s, argc, argv, extra);

	return r ? r : show_view(&s, extended ? &ports_view : &view);
}

/*
 * Properties.
 */

static const struct table_col prop_cols[] = {
	{"link", "LINK", 12},
	{"property", "PROPERTY", 15},
	{"perm", "PERM", 4},
	{"value", "VALUE", 14},
	{"effective", "EFFECTIVE", 14},
	{"default", "DEFAULT", 14},
	{"possible", "POSSIBLE", 0},
};

static void
fill_props(const struct show *s, struct table *t, const struct link *l)
{
	const struct linkprop *p;

	for (size_t i = 0; (p = linkprop_at(i)); i++) {
		cleanup_free char *value = NULL;

		if ((s->props.n && !strv_has(&s->props, p->name)) || !(p->classes & (1u << l->class)))
			continue;
		value = p->get(s->net, l);
		table_row(t);
		table_set(t, "link", l->name);
		table_set(t, "property", p->name);
		table_set(t, "perm", p->set ? "rw" : "r-");
		table_set(t, "value", str_empty(value) ? NULL : value);
		table_set(t, "effective", str_empty(value) ? NULL : value);
		table_set(t, "default", p->fallback);
		table_set(t, "possible", p->possible);
	}
}

/* "a,b": names of properties; CLI_OK, or the exit status. */
static int
parse_prop_names(const char *text, struct strv *ret)
{
	strv_words(ret, text ? text : "", ",");
	for (size_t i = 0; i < ret->n; i++)
		if (!linkprop_find(ret->v[i]))
			return cli_fail("invalid property '%s'", ret->v[i]);
	return CLI_OK;
}

static int
cmd_show_linkprop(int argc, char **argv)
{
	static const struct view view = {VIEW_COLS(prop_cols),
					 "link,property,perm,value,default,possible", any_link,
					 fill_props};
	cleanup_show struct show s = {0};
	bool short_form = false;
	const char *props = NULL;
	int first, r;
	/* -p is the properties here, -c the parsable form */
	const struct cli_opt opts[] = {
		{'p', "prop", CLI_STR, &props, "PROP,...", "these alone"},
		{'c', "parseable", CLI_FLAG, &s.parsable, NULL, "for programs, with -o"},
		{'o', "output", CLI_STR, &s.fields, "FIELD,...", "fields to print"},
		{'P', "persistent", CLI_FLAG, &s.persistent, NULL, NULL},
		{'t', "temporary", CLI_FLAG, &short_form, NULL, NULL},
		{'z', "zone", CLI_STR, &s.zone, "ZONE", "links of that zone"},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 0, 1, &first);
	if (r)
		return r;
	if (s.parsable && !s.fields)
		return cli_fail("-c needs the fields: -o FIELD,...");
	s.name = argc > first ? argv[first] : NULL;
	r = parse_prop_names(props, &s.props);
	if (r == CLI_OK)
		r = show_load(&s);
	return r ? r : show_view(&s, &view);
}

static const struct link *
find_link(const struct show *s, const char *name, const char *zone)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (str_eq(s->links[i].name, name) &&
		    str_eq(s->links[i].zone, zone ? zone : NET_GLOBAL))
			return &s->links[i];
	return NULL;
}

/* "mtu=9000,allowed-ips=10.0.0.1,10.0.0.2": a piece without '=' belongs to the one before. */
static int
split_props(const char *text, struct strv *ret)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, text, ",");
	for (size_t i = 0; i < words.n; i++) {
		if (strchr(words.v[i], '=')) {
			strv_add(ret, words.v[i]);
		} else if (ret->n) {
			char *joined = str_printf("%s,%s", ret->v[ret->n - 1], words.v[i]);

			strv_remove(ret, ret->n - 1);
			strv_take(ret, joined);
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static int
set_props(struct show *s, const struct link *l, const struct strv *props)
{
	cleanup_error struct error err = ERROR_INIT;

	for (size_t i = 0; i < props->n; i++) {
		char *eq = strchr(props->v[i], '=');
		const struct linkprop *p;

		*eq = '\0';
		p = linkprop_find(props->v[i]);
		if (!p || !(p->classes & (1u << l->class)))
			return cli_fail("invalid property '%s' for link %s", props->v[i], l->name);
		if (!p->set)
			return cli_fail("property '%s' is read-only", props->v[i]);
		if (p->set(s->net, l, eq + 1, &err) < 0)
			return cli_error(&err);
	}
	return CLI_OK;
}

/* What set-linkprop and reset-linkprop share; the caller's show has the links. */
static int
change_init(struct show *s, int argc, char **argv, const char *arg, const char **text,
	    const char **name)
{
	bool temporary = false;
	int first, r;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, NULL},
		{'p', "prop", CLI_STR, text, arg, NULL},
		{'z', "zone", CLI_STR, &s->zone, "ZONE", NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	*name = argv[first];
	return CLI_OK;
}

/* The link that is to change, with s loaded; CLI_OK, or the exit status. */
static int
change_link(struct show *s, const char *name, const struct link **ret)
{
	int r = show_load(s);

	if (r)
		return r;
	*ret = find_link(s, name, s->zone);
	return *ret ? CLI_OK : cli_fail("invalid link name '%s': no such link", name);
}

static int
cmd_set_linkprop(int argc, char **argv)
{
	cleanup_show struct show s = {0};
	cleanup_strv struct strv props = STRV_INIT;
	const char *text = NULL, *name = NULL;
	const struct link *l;
	int r = change_init(&s, argc, argv, "PROP=VALUE,...", &text, &name);

	if (r)
		return r;
	if (!text)
		return cli_usage_verb(verbs, argv[0]);
	if (split_props(text, &props) < 0)
		return cli_fail("invalid property list '%s'", text);
	r = change_link(&s, name, &l);
	return r ? r : set_props(&s, l, &props);
}

/* Those that were named; else all that have a default and that this class of link has. */
static int
cmd_reset_linkprop(int argc, char **argv)
{
	cleanup_show struct show s = {0};
	cleanup_strv struct strv props = STRV_INIT;
	const char *text = NULL, *name = NULL;
	const struct linkprop *p;
	const struct link *l;
	int r = change_init(&s, argc, argv, "PROP,...", &text, &name);

	if (r == CLI_OK)
		r = parse_prop_names(text, &s.props);
	if (r == CLI_OK)
		r = change_link(&s, name, &l);
	if (r)
		return r;
	for (size_t i = 0; (p = linkprop_at(i)); i++) {
		bool wanted = s.props.n ? strv_has(&s.props, p->name)
					: p->reset && (p->classes & (1u << l->class));

		if (p->set && wanted)
			strv_addf(&props, "%s=%s", p->name, p->reset ? p->reset : "");
	}
	return set_props(&s, l, &props);
}

/*
 * Making and deleting.
 */

static int
parse_vnic_props(const char *text, struct vnic_spec *spec, struct ip_addr **allowed,
		 struct error *err)
{
	cleanup_strv struct strv props = STRV_INIT;

	if (split_props(text, &props) < 0)
		return error_set(err, EINVAL, "invalid property list '%s'", text);
	for (size_t i = 0; i < props.n; i++) {
		const char *v;
		int n, r = 0;

		if ((v = str_after(props.v[i], "mtu="))) {
			if (str_to_int(v, &n) < 0 || n <= 0)
				return error_set(err, EINVAL, "invalid mtu '%s'", v);
			spec->mtu = (uint32_t)n;
		} else if ((v = str_after(props.v[i], "protection="))) {
			r = vnic_parse_protection(v, &spec->flags, err);
		} else if ((v = str_after(props.v[i], "allowed-ips="))) {
			r = linkprop_parse_ips(v, allowed, &spec->n_allowed, err);
			spec->allowed = *allowed;
		} else if ((v = str_after(props.v[i], "maxbw="))) {
			r = linkprop_parse_maxbw(v, &spec->maxbw, err);
		} else {
			return error_set(err, EINVAL, "invalid property '%s'", props.v[i]);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int
cmd_create_vnic(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_free struct ip_addr *allowed = NULL;
	struct vnic_spec spec = {.zone = NET_GLOBAL, .netns_fd = -1};
	bool temporary = false, force = false;
	const char *mac = "auto", *root = NULL, *props = NULL, *prefix = NULL;
	int vid = 0, first, r;
	struct vnic_info old = {0};
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL,
		 "until the next boot (as all links)"},
		{'R', "root-dir", CLI_STR, &root, "DIR", NULL},
		{'l', "link", CLI_STR, &spec.over, "LINK", "the link below"},
		{'m', "mac-address", CLI_STR, &mac, "MAC|auto|random", "its MAC address"},
		{'r', "mac-prefix", CLI_STR, &prefix, "PREFIX", NULL},
		{'v', "vlan", CLI_INT, &vid, "VID", "its VLAN"},
		{'p', "prop", CLI_STR, &props, "PROP=VALUE,...", "mtu, protection, allowed-ips"},
		{'f', "force", CLI_FLAG, &force, NULL, NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (!spec.over)
		return cli_usage_verb(verbs, argv[0]);
	if (str_eq(mac, "factory"))
		return cli_fail("factory MAC addresses are not supported: give one, or auto");
	if (!str_eq(mac, "auto") && !str_eq(mac, "random") && mac_parse(mac, &spec.mac) < 0)
		return cli_fail("invalid MAC address '%s'", mac);
	if (vid < 0 || vid > 4094)
		return cli_fail("invalid VLAN identifier '%d'", vid);
	spec.vid = (uint16_t)vid;
	spec.name = argv[first];
	if (parse_vnic_props(props ? props : "", &spec, &allowed, &err) < 0 ||
	    net_open(NULL, &n, &err) < 0)
		return cli_error(&err);
	if (vnic_get(n, NET_GLOBAL, spec.name, &old, NULL) == 0) {
		vnic_info_done(&old);
		return cli_fail("vnic creation over %s failed: object already exists", spec.over);
	}
	if (vnic_create(n, &spec, NULL, NULL, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

/* "[-t] [-z ZONE] NAME", and what to do with the name. */
static int
one_name(int argc, char **argv,
	 int (*fn)(struct net *n, const char *zone, const char *name, struct error *err))
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	bool temporary = false;
	const char *zone = NET_GLOBAL, *root = NULL;
	int first, r;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, NULL},
		{'R', "root-dir", CLI_STR, &root, "DIR", NULL},
		{'z', "zone", CLI_STR, &zone, "ZONE", NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (net_open(NULL, &n, &err) < 0 || fn(n, zone, argv[first], &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

static int
do_delete_vnic(struct net *n, const char *zone, const char *name, struct error *err)
{
	struct vnic_info v = {0};
	int r = vnic_get(n, zone, name, &v, err);

	vnic_info_done(&v);
	return r < 0 ? r : vnic_delete(n, zone, name, err);
}

static int
do_create_etherstub(struct net *n, const char *zone, const char *name, struct error *err)
{
	return etherstub_create(n, name, 0, err);
}

static int
do_delete_etherstub(struct net *n, const char *zone, const char *name, struct error *err)
{
	return etherstub_delete(n, name, err);
}

static int
do_delete_aggr(struct net *n, const char *zone, const char *name, struct error *err)
{
	return aggr_delete(n, name, err);
}

static int
cmd_delete_vnic(int argc, char **argv)
{
	return one_name(argc, argv, do_delete_vnic);
}

static int
cmd_create_etherstub(int argc, char **argv)
{
	return one_name(argc, argv, do_create_etherstub);
}

static int
cmd_delete_etherstub(int argc, char **argv)
{
	return one_name(argc, argv, do_delete_etherstub);
}

static int
cmd_delete_aggr(int argc, char **argv)
{
	return one_name(argc, argv, do_delete_aggr);
}

static int
cmd_rename_link(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;

	if (argc != 3 || argv[1][0] == '-')
		return cli_usage_verb(verbs, argv[0]);
	if (net_open(NULL, &n, &err) < 0 || vnic_rename(n, NET_GLOBAL, argv[1], argv[2], &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

static int
cmd_create_aggr(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_strv struct strv links = STRV_INIT;
	struct aggr_spec spec = {0};
	bool temporary = false, force = false;
	const char *root = NULL, *unicast = NULL;
	int first, r;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, NULL},
		{'f', "force", CLI_FLAG, &force, NULL, NULL},
		{'R', "root-dir", CLI_STR, &root, "DIR", NULL},
		{'P', "policy", CLI_STR, &spec.policy, "L2|L3|L4", "what picks the port"},
		{'L', "lacp-mode", CLI_STR, &spec.lacp, "off|active|passive", NULL},
		{'T', "lacp-timer", CLI_STR, &spec.timer, "short|long", NULL},
		{'u', "unicast", CLI_STR, &unicast, "MAC", NULL},
		{'l', "link", CLI_LIST, &links, "LINK", "a port; may be repeated"},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (links.n == 0)
		return cli_usage_verb(verbs, argv[0]);
	if (unicast && !str_eq(unicast, "auto"))
		return cli_fail("-u %s is not supported: the MAC address is that of a port",
				unicast);
	spec.name = argv[first];
	spec.links = (const char *const *)links.v;
	spec.n_links = links.n;
	if (net_open(NULL, &n, &err) < 0 || aggr_create(n, &spec, &err) < 0)
		return cli_error(&err);
	return CLI_OK;
}

static int
change_aggr(int argc, char **argv,
	    int (*fn)(struct net *n, const char *name, const char *link, struct error *err))
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *n = NULL;
	cleanup_strv struct strv links = STRV_INIT;
	bool temporary = false, force = false;
	int first, r;
	const struct cli_opt opts[] = {
		{'t', "temporary", CLI_FLAG, &temporary, NULL, NULL},
		{'f', "force", CLI_FLAG, &force, NULL, NULL},
		{'l', "link", CLI_LIST, &links, "LINK", NULL},
		{0},
	};

	r = cli_verb_args(argc, argv, verbs, opts, 1, 1, &first);
	if (r)
		return r;
	if (links.n == 0)
		return cli_usage_verb(verbs, argv[0]);
	if (net_open(NULL, &n, &err) < 0)
		return cli_error(&err);
	for (size_t i = 0; i < links.n; i++)
		if (fn(n, argv[first], links.v[i], &err) < 0)
			return cli_error(&err);
	return CLI_OK;
}

static int
cmd_add_aggr(int argc, char **argv)
{
	return change_aggr(argc, argv, aggr_add);
}

static int
cmd_remove_aggr(int argc, char **argv)
{
	return change_aggr(argc, argv, aggr_remove);
}

#define SHOW "[-p] [-o FIELD,...] "

static const struct cli_verb verbs[] = {
	{"show-link", SHOW "[-s] [-Z] [-z ZONE] [LINK]", "all links", cmd_show_link},
	{"show-phys", SHOW "[-m] [LINK]", "NICs", cmd_show_phys},
	{"create-vnic", "[-t] -l LINK [-m MAC] [-v VID] [-p PROP=VALUE,...] NAME", "make a VNIC",
	 cmd_create_vnic},
	{"delete-vnic", "[-t] [-z ZONE] NAME", "delete a VNIC", cmd_delete_vnic},
	{"show-vnic", SHOW "[-s] [-l LINK] [-z ZONE] [VNIC]", "VNICs", cmd_show_vnic},
	{"create-etherstub", "[-t] NAME", "make a switch without a NIC", cmd_create_etherstub},
	{"delete-etherstub", "[-t] NAME", "delete one", cmd_delete_etherstub},
	{"show-etherstub", SHOW "[NAME]", "etherstubs", cmd_show_etherstub},
	{"create-aggr", "[-t] [-P POLICY] [-L MODE] [-T TIMER] -l LINK [-l LINK]... NAME",
	 "make one link of several NICs", cmd_create_aggr},
	{"delete-aggr", "[-t] NAME", "delete an aggregation", cmd_delete_aggr},
	{"add-aggr", "[-t] -l LINK [-l LINK]... NAME", "add ports to one", cmd_add_aggr},
	{"remove-aggr", "[-t] -l LINK [-l LINK]... NAME", "take ports from one", cmd_remove_aggr},
	{"show-aggr", SHOW "[-x] [NAME]", "aggregations", cmd_show_aggr},
	{"show-vlan", SHOW "[LINK]", "VLAN links of the global zone", cmd_show_vlan},
	{"show-linkprop", "[-c] [-o FIELD,...] [-p PROP,...] [-z ZONE] [LINK]", "properties",
	 cmd_show_linkprop},
	{"set-linkprop", "[-t] [-z ZONE] -p PROP=VALUE,... LINK", "set properties",
	 cmd_set_linkprop},
	{"reset-linkprop", "[-t] [-z ZONE] [-p PROP,...] LINK", "back to defaults",
	 cmd_reset_linkprop},
	{"rename-link", "LINK NAME", "give a VNIC another name", cmd_rename_link},
	{0},
};

int
main(int argc, char **argv)
{
	/* dladm alone is dladm show-link, as on illumos */
	static char verb[] = "show-link";
	char *show[] = {argv[0], verb, NULL};

	return argc == 1 ? cli_main(2, show, verbs) : cli_main(argc, argv, verbs);
}
