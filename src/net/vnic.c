/*
 * VNICs and etherstubs: from a spec to a device, its rules in the switch, and
 * back.
 *
 * Order of making one, all under the lock: the record (so that what follows
 * can be found and taken back), the device, the record again with its ifindex,
 * the rules, the program, and only then up; the destination tables last, so
 * that nobody sends to a port that is not ready.  Taking away goes backwards.
 * A process killed between leaves a record; making the link again starts by
 * taking away what the record names.
 */
#include "net/vnic.h"

#include <fcntl.h>
#include <linux/if_arp.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "net/internal.h"
#include "net/nictag.h"
#include "os/tun.h"

#define ETHERSTUB_MTU 9000
#define MTU_MIN 576
#define MTU_MAX 65521
#define VID_MAX 4094
#define MAXBW_MIN 1200000 /* bits a second, as on illumos */

/* Flags the owner of a VNIC sets; the rest are the switch's own. */
#define VNIC_FLAGS 0xff

static const struct {
	const char *name;
	uint32_t flag;
} protections[] = {
	{"mac-nospoof", VNIC_MAC_NOSPOOF},
	{"restricted", VNIC_RESTRICTED},
	{"ip-nospoof", VNIC_IP_NOSPOOF},
	{"dhcp-nospoof", VNIC_DHCP_NOSPOOF},
};

int
vnic_parse_protection(const char *s, uint32_t *ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	uint32_t flags = 0;

	strv_words(&words, s, ",");
	for (size_t i = 0; i < words.n; i++) {
		size_t p;

		for (p = 0; p < ARRAY_SIZE(protections); p++)
			if (str_eq(words.v[i], protections[p].name))
				break;
		if (p == ARRAY_SIZE(protections))
			return error_set(err, EINVAL,
					 "protection '%s' is none of mac-nospoof, "
					 "restricted, ip-nospoof, dhcp-nospoof",
					 words.v[i]);
		flags |= protections[p].flag;
	}
	*ret = flags;
	return 0;
}

char *
vnic_print_protection(uint32_t flags)
{
	cleanup_strv struct strv words = STRV_INIT;

	for (size_t p = 0; p < ARRAY_SIZE(protections); p++)
		if (flags & protections[p].flag)
			strv_add(&words, protections[p].name);
	return strv_join(&words, ",");
}

static const char *const drop_names[VNIC_DROP_MAX] = {
	[VNIC_DROP_MAC] = "mac",           [VNIC_DROP_IP] = "ip",
	[VNIC_DROP_ARP] = "arp",           [VNIC_DROP_ND] = "nd",
	[VNIC_DROP_DHCP] = "dhcp",         [VNIC_DROP_TYPE] = "ethertype",
	[VNIC_DROP_VLAN] = "vlan",         [VNIC_DROP_MTU] = "mtu",
	[VNIC_DROP_SHORT] = "short",       [VNIC_DROP_UNKNOWN] = "unknown",
	[VNIC_DROP_FIREWALL] = "firewall", [VNIC_DROP_ERROR] = "error",
};

const char *
vnic_drop_name(enum vnic_drop d)
{
	return drop_names[d];
}

/* The port's device, if it is there. */
static int
find_port(struct net *n, const struct record *r, struct nl_link *ret, struct error *err)
{
	struct nl *nl;
	int s = net_nl(n, &nl, err);

	return s < 0 ? s : nl_link_get(nl, r->v.port, ret, err);
}

/*
 * Uplinks.
 */

static int
uplink_record(struct net *n, const struct nl_link *l, struct record *ret, struct error *err)
{
	struct record r = {0};
	cleanup_error struct error e = ERROR_INIT;
	int s = record_read(n, NET_GLOBAL, l->name, &r, &e);

	if (s == 0 && r.class != RECORD_UPLINK) {
		record_done(&r);
		return error_set(err, EEXIST, "%s is a VNIC or etherstub, not a NIC", l->name);
	}
	if (s == -ENOENT) {
		r = (struct record){.class = RECORD_UPLINK};
		s = record_next_id(n, &r.v.id, err);
		if (s < 0)
			return s;
	} else if (s < 0) {
		error_move(err, &e);
		return s;
	}
	snprintf(r.v.zone, sizeof(r.v.zone), "%s", NET_GLOBAL);
	snprintf(r.v.name, sizeof(r.v.name), "%s", l->name);
	r.sw = r.v.id;
	r.v.ifindex = l->ifindex;
	r.v.mac = l->mac;
	r.v.mtu = l->mtu;
	s = record_write(n, &r, err);
	if (s < 0) {
		record_done(&r);
		return s;
	}
	*ret = r;
	return 0;
}

/* Makes link an uplink; everything in it may be repeated. */
static int
attach_uplink(struct net *n, const char *name, struct record *ret, struct error *err)
{
	struct sw_switch sw = {0};
	struct sw_port port = {.flags = SW_UPLINK};
	struct record r;
	struct nl_link l;
	struct nl *nl;
	int s;

	s = net_nl(n, &nl, err);
	if (s == 0)
		s = nl_link_get(nl, name, &l, err);
	if (s < 0)
		return s;
	if (l.type != ARPHRD_ETHER)
		return error_set(err, EINVAL, "%s is not an Ethernet link", name);
	if (l.master)
		return error_set(err, EBUSY, "%s belongs to an aggregation", name);
	s = uplink_record(n, &l, &r, err);
	if (s < 0)
		return s;
	sw.uplink = (uint32_t)l.ifindex;
	memcpy(sw.mac, l.mac.b, sizeof(sw.mac));
	port.sw = r.sw;
	port.mtu = l.mtu;
	memcpy(port.mac, l.mac.b, sizeof(port.mac));
	s = sw_switch_set(n, r.sw, &sw, err);
	if (s == 0)
		s = sw_port_set(n, (uint32_t)l.ifindex, &port, err);
	if (s == 0)
		s = sw_attach(n, l.ifindex, SW_ROLE_UPLINK, err);
	/* groups are the guests' to join; the NIC must let all of them in */
	if (s == 0)
		s = nl_link_set_flags(nl, l.ifindex, IFF_UP | IFF_ALLMULTI, 0, err);
	if (s < 0) {
		record_done(&r);
		return error_wrap(err, s, "%s", name);
	}
	*ret = r;
	return 0;
}

int
net_attach_uplink(struct net *n, const char *link, struct error *err)
{
	cleanup_record struct record r = {0};
	cleanup_unlock struct net *locked = n;
	int s = net_lock(n, err);

	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = attach_uplink(n, link, &r, err);
	return s;
}

/*
 * Making a VNIC.
 */

/* What is being made. */
struct making {
	struct net *n;
	const struct vnic_spec *spec;
	struct record r;
	struct record over;
	struct nl *nl;
	bool named;
	struct nl_link port;
	int fds[VNIC_MAX_QUEUES];
	unsigned queues;
};

static int
check_spec(const struct vnic_spec *s, struct error *err)
{
	if (!net_is_zone_name(s->zone))
		return error_set(err, EINVAL, "bad zone name '%s'", s->zone);
	if (!net_is_link_name(s->name))
		return error_set(err, EINVAL,
				 "bad link name '%s': letters, digits, '_' and '.', a letter first "
				 "and a digit last, at most 15",
				 s->name);
	if (!s->over == !s->nic_tag)
		return error_set(err, EINVAL, "needs a link or a nic tag to be over");
	if (mac_is_multicast(&s->mac))
		return error_set(err, EINVAL, "a multicast MAC address");
	if (s->vid > VID_MAX)
		return error_set(err, EINVAL, "VLAN %u is not within 0 and %d", s->vid, VID_MAX);
	if (s->mtu && (s->mtu < MTU_MIN || s->mtu > MTU_MAX))
		return error_set(err, EINVAL, "mtu %u is not within %d and %d", s->mtu, MTU_MIN,
				 MTU_MAX);
	if (s->maxbw && s->maxbw < MAXBW_MIN)
		return error_set(err, EINVAL, "maxbw is at least 1200 Kb/s");
	if (s->queues > VNIC_MAX_QUEUES)
		return error_set(err, EINVAL, "at most %d queues", VNIC_MAX_QUEUES);
	return 0;
}

/* The record of the lower link, which becomes an uplink if it is a NIC. */
static int
resolve_over(struct making *m, struct error *err)
{
	const struct vnic_spec *spec = m->spec;
	char tagged[VNIC_NAME_MAX];
	const char *over = spec->over;
	cleanup_error struct error e = ERROR_INIT;
	int s;

	if (spec->nic_tag) {
		s = nictag_link(m->n, spec->nic_tag, tagged, err);
		if (s < 0)
			return s;
		over = tagged;
	}
	s = record_read(m->n, NET_GLOBAL, over, &m->over, &e);
	if (s < 0 && s != -ENOENT) {
		error_move(err, &e);
		return s;
	}
	if (s == 0 && m->over.class == RECORD_VNIC)
		return error_set(err, EINVAL, "%s is a VNIC: VNICs cannot be stacked", over);
	if (s < 0 || m->over.class == RECORD_UPLINK) {
		record_done(&m->over);
		s = attach_uplink(m->n, over, &m->over, err);
		if (s == -ENODEV)
			return error_set(err, ENODEV, "%s: no such link", over);
		if (s < 0)
			return s;
	}
	return 0;
}

/* Flags as the switch takes them. */
static uint32_t
port_flags(const struct record *r)
{
	const struct vnic_info *v = &r->v;
	uint32_t flags = v->flags & VNIC_FLAGS;

	/* a limited port's frames must meet its queue, which redirect_peer goes past */
	if (r->peer && !v->maxbw)
		flags |= SW_PEER;
	/* nothing configured: what DHCP gives it, as on illumos */
	if ((flags & SW_IP_NOSPOOF) && v->n_allowed == 0)
		flags |= SW_DYNAMIC_IP;
	for (size_t i = 0; i < v->n_allowed; i++)
		if (v->allowed[i].prefix != ip_bits(&v->allowed[i]))
			flags |= SW_NETS;
	return flags;
}

static void
fill_record(struct making *m)
{
	const struct vnic_spec *s = m->spec;
	struct vnic_info *v = &m->r.v;

	m->r.class = RECORD_VNIC;
	m->r.sw = m->over.sw;
	snprintf(v->zone, sizeof(v->zone), "%s", s->zone);
	snprintf(v->name, sizeof(v->name), "%s", s->name);
	snprintf(v->over, sizeof(v->over), "%s", m->over.v.name);
	if (s->nic_tag)
		snprintf(v->nic_tag, sizeof(v->nic_tag), "%s", s->nic_tag);
	v->kind = s->kind;
	v->mac = s->mac;
	v->vid = s->vid;
	v->mtu = s->mtu ? s->mtu : m->over.v.mtu;
	v->flags = s->flags & VNIC_FLAGS;
	v->maxbw = s->maxbw;
	v->allowed = xmemdup(s->allowed, s->n_allowed * sizeof(*s->allowed));
	v->n_allowed = s->n_allowed;
	snprintf(v->port, sizeof(v->port), "vp%u", v->id);
}

/* Somebody alive on that switch and VLAN has that address. */
static bool
mac_taken(struct making *m, const struct mac_addr *mac)
{
	uint32_t ifindex = sw_fdb_get(m->n, m->r.sw, m->spec->vid, mac);
	struct nl_link l;

	if (m->over.class == RECORD_UPLINK && mac_equal(mac, &m->over.v.mac))
		return true;
	return ifindex && nl_link_get_index(m->nl, (int)ifindex, &l, NULL) == 0;
}

static int
choose_mac(struct making *m, struct error *err)
{
	struct vnic_info *v = &m->r.v;
	char text[MAC_STRLEN];

	v->random_mac = mac_is_zero(&v->mac);
	if (v->random_mac) {
		do
			mac_random(&v->mac);
		while (mac_taken(m, &v->mac));
	} else if (mac_taken(m, &v->mac)) {
		return error_set(err, EEXIST, "MAC address %s is in use on %s",
				 mac_print(&v->mac, text), v->over);
	}
	return 0;
}

/* Ports of a zone share a group, so that they can be deleted in one message. */
static int
choose_group(struct making *m, struct error *err)
{
	struct record *list = NULL;
	size_t count = 0;
	int s = record_list(m->n, m->r.v.zone, &list, &count, err);

	if (s < 0)
		return s;
	m->r.group = m->r.v.id;
	for (size_t i = 0; i < count; i++)
		if (list[i].class == RECORD_VNIC && list[i].group)
			m->r.group = list[i].group;
	record_list_free(list, count);
	return 0;
}

static int
is_our_netns(int fd, bool *ret, struct error *err)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0 || stat("/proc/thread-self/ns/net", &b) < 0)
		return error_set_errno(err, errno, "network namespace");
	*ret = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	return 0;
}

static int
make_veth(struct making *m, struct error *err)
{
	const struct vnic_info *v = &m->r.v;
	struct nl_veth veth = {
		.name = v->port,
		.mtu = v->mtu,
		.peer_name = v->name,
		.peer_netns = m->spec->netns_fd,
		.peer_mac = v->mac,
	};
	bool ours = true;
	int s;

	if (m->spec->netns_fd >= 0) {
		s = is_our_netns(m->spec->netns_fd, &ours, err);
		if (s < 0)
			return s;
	}
	m->r.peer = !ours;
	return nl_veth_create(m->nl, &veth, err);
}

static int
make_tap(struct making *m, struct error *err)
{
	unsigned queues = m->spec->queues ? m->spec->queues : 1;

	for (; m->queues < queues; m->queues++)
		TRY(tun_open(NULL, m->r.v.port, queues > 1, &m->fds[m->queues], err));
	return 0;
}

static int
make_device(struct making *m, struct error *err)
{
	struct vnic_info *v = &m->r.v;
	cleanup_free char *alt = str_printf("%s.%s", v->zone, v->name);
	int s;

	s = m->spec->kind == VNIC_TAP ? make_tap(m, err) : make_veth(m, err);
	if (s == 0)
		s = nl_link_get(m->nl, v->port, &m->port, err);
	if (s == 0)
		s = nl_link_make_port(m->nl, m->port.ifindex, m->r.group, v->mtu, err);
	if (s == 0)
		s = nl_link_add_altname(m->nl, m->port.ifindex, alt, err);
	if (s < 0)
		return s;
	v->ifindex = m->port.ifindex;
	return record_write(m->n, &m->r, err);
}

/*
 * The bandwidth limit of what a guest sends: the pair spN - sqN.
 */

static void
shaper_names(const struct record *r, char near[IFNAMSIZ], char far[IFNAMSIZ])
{
	snprintf(near, IFNAMSIZ, "sp%u", r->v.id);
	snprintf(far, IFNAMSIZ, "sq%u", r->v.id);
}

static int
shaper_end(struct net *n, struct nl *nl, const struct record *r, const char *name,
	   enum sw_role role, struct nl_link *ret, struct error *err)
{
	int s = nl_link_get(nl, name, ret, err);

	if (s == 0)
		s = nl_link_make_port(nl, ret->ifindex, r->group, r->v.mtu, err);
	if (s == 0)
		s = sw_attach(n, ret->ifindex, role, err);
	if (s == 0)
		s = nl_link_set_up(nl, ret->ifindex, true, err);
	return s;
}

/*
 * Makes the pair, or finishes what a killed process began; *ret_near is where
 * limited frames are sent to.
 */
static int
make_shaper(struct net *n, struct nl *nl, const struct record *r, int *ret_near, struct error *err)
{
	char near[IFNAMSIZ], far[IFNAMSIZ];
	struct nl_veth veth = {.name = near, .peer_name = far, .peer_netns = -1};
	struct sw_port p = {
		.sw = r->sw, .vid = r->v.vid, .mtu = r->v.mtu, .owner = (uint32_t)r->v.ifindex};
	struct nl_link a, b;
	int s = 0;

	shaper_names(r, near, far);
	mac_random(&veth.peer_mac);
	if (nl_link_get(nl, near, &a, NULL) < 0)
		s = nl_veth_create(nl, &veth, err);
	/* nothing is sent out of sqN, so nothing comes in by spN: a port without entry drops */
	if (s == 0)
		s = shaper_end(n, nl, r, near, SW_ROLE_PORT, &a, err);
	if (s == 0)
		s = shaper_end(n, nl, r, far, SW_ROLE_SHAPED, &b, err);
	if (s == 0)
		s = sw_port_set(n, (uint32_t)b.ifindex, &p, err);
	if (s == 0)
		*ret_near = a.ifindex;
	return s;
}

static void
forget_shaper(struct net *n, struct nl *nl, const struct record *r)
{
	char near[IFNAMSIZ], far[IFNAMSIZ];
	struct nl_link l;

	shaper_names(r, near, far);
	if (nl_link_get(nl, far, &l, NULL) < 0)
		return; /* most ports have none */
	sw_port_del(n, (uint32_t)l.ifindex);
	(void)nl_link_delete(nl, l.ifindex, NULL); /* gone with its zone's group otherwise */
}

/* Both limits as maxbw says, or none; fills the port's entry. */
static int
shape(struct net *n, const struct record *r, struct sw_port *p, struct error *err)
{
	const struct vnic_info *v = &r->v;
	struct nl *nl;
	int near, s = net_nl(n, &nl, err);

	if (s < 0 || !v->maxbw)
		return s;
	s = make_shaper(n, nl, r, &near, err);
	if (s == 0)
		s = nl_tbf_set(nl, near, v->maxbw / 8, err);
	if (s == 0)
		s = nl_tbf_set(nl, v->ifindex, v->maxbw / 8, err);
	if (s == 0)
		p->shaper = (uint32_t)near;
	return s;
}

/* Everything the switch needs to know of the port but where to find it. */
static int
set_rules(struct net *n, const struct record *r, struct error *err)
{
	const struct vnic_info *v = &r->v;
	struct sw_port p = {.sw = r->sw, .mtu = v->mtu, .vid = v->vid, .flags = port_flags(r)};
	struct ip_addr link_local;
	int s;

	memcpy(p.mac, v->mac.b, sizeof(p.mac));
	ip_from_mac(&v->mac, &link_local);
	link_local.prefix = 128;
	s = sw_port_prepare(n, (uint32_t)v->ifindex, p.flags & SW_DYNAMIC_IP, err);
	if (s == 0)
		s = sw_ip_add(n, (uint32_t)v->ifindex, &link_local, err);
	for (size_t i = 0; s == 0 && i < v->n_allowed; i++)
		s = sw_ip_add(n, (uint32_t)v->ifindex, &v->allowed[i], err);
	if (s == 0)
		s = shape(n, r, &p, err);
	if (s == 0)
		s = sw_port_set(n, (uint32_t)v->ifindex, &p, err);
	return s;
}

static int
bring_up(struct making *m, struct error *err)
{
	const struct vnic_info *v = &m->r.v;
	struct nl_link far;
	cleanup_nl struct nl *zone = NULL;
	int s;

	s = nl_link_set_up(m->nl, v->ifindex, true, err);
	if (s < 0 || v->kind == VNIC_TAP)
		return s;
	s = nl_open(m->spec->netns_fd, &zone, err);
	if (s == 0)
		s = nl_link_get(zone, v->name, &far, err);
	if (s == 0)
		s = nl_link_set_up(zone, far.ifindex, true, err);
	return s;
}

static int
connect_port(struct making *m, struct error *err)
{
	const struct vnic_info *v = &m->r.v;
	int s;

	s = sw_attach(m->n, v->ifindex, SW_ROLE_PORT, err);
	if (s == 0)
		s = bring_up(m, err);
	if (s == 0 && m->over.class == RECORD_UPLINK)
		s = nl_unicast_add(m->nl, m->over.v.ifindex, &v->mac, err);
	if (s == 0)
		s = sw_group_add(m->n, m->r.sw, v->vid, (uint32_t)v->ifindex, err);
	if (s == 0)
		s = sw_fdb_set(m->n, m->r.sw, v->vid, &v->mac, (uint32_t)v->ifindex, err);
	return s;
}

/*
 * Taking one away.
 */

/* Another VNIC over the same link (on another VLAN) has the same address. */
static bool
mac_shared(struct net *n, const struct record *r)
{
	struct record *list = NULL;
	size_t count = 0;
	bool shared = false;

	if (record_list(n, NULL, &list, &count, NULL) < 0)
		return true; /* one address too many in a filter does no harm */
	for (size_t i = 0; i < count; i++)
		if (list[i].class == RECORD_VNIC && list[i].v.id != r->v.id &&
		    str_eq(list[i].v.over, r->v.over) && mac_equal(&list[i].v.mac, &r->v.mac))
			shared = true;
	record_list_free(list, count);
	return shared;
}

static int
forget_unicast(struct net *n, const struct record *r, struct error *err)
{
	cleanup_record struct record over = {0};
	struct nl_link l;
	struct nl *nl;
	int s = record_read(n, NET_GLOBAL, r->v.over, &over, NULL);

	if (s < 0 || over.class != RECORD_UPLINK || mac_shared(n, r))
		return 0;
	s = net_nl(n, &nl, err);
	if (s < 0)
		return s;
	if (nl_link_get_index(nl, over.v.ifindex, &l, NULL) < 0)
		return 0; /* the NIC is gone, and its filter with it */
	return nl_unicast_del(nl, over.v.ifindex, &r->v.mac, err);
}

/* All the switch knows of the port. */
static void
forget_rules(struct net *n, const struct record *r)
{
	const struct vnic_info *v = &r->v;
	uint32_t ifindex = (uint32_t)v->ifindex;
	struct ip_addr link_local;

	if (!ifindex)
		return;
	sw_fdb_del(n, r->sw, v->vid, &v->mac, ifindex);
	sw_group_del(n, r->sw, v->vid, ifindex);
	sw_port_del(n, ifindex);
	ip_from_mac(&v->mac, &link_local);
	link_local.prefix = 128;
	sw_ip_del(n, ifindex, &link_local);
	for (size_t i = 0; i < v->n_allowed; i++)
		sw_ip_del(n, ifindex, &v->allowed[i]);
}

static int
delete_device(struct net *n, const struct record *r, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	struct nl_link l;
	struct nl *nl;
	int s = net_nl(n, &nl, err);

	if (s < 0)
		return s;
	forget_shaper(n, nl, r);
	s = find_port(n, r, &l, &e);
	if (s == 0)
		s = nl_link_delete(nl, l.ifindex, &e);
	if (s == -ENODEV)
		return 0;
	if (s < 0)
		error_move(err, &e);
	return s;
}

static int
remove_vnic(struct net *n, const struct record *r, bool device, struct error *err)
{
	int s;

	forget_rules(n, r);
	s = forget_unicast(n, r, err);
	if (s == 0 && device)
		s = delete_device(n, r, err);
	if (s == 0)
		s = record_remove(n, r->v.zone, r->v.name, err);
	return s;
}

/* The VNIC of that name goes; absent is success. */
static int
remove_named(struct net *n, const char *zone, const char *name, struct error *err)
{
	cleanup_record struct record r = {0};
	cleanup_error struct error e = ERROR_INIT;
	int s = record_read(n, zone, name, &r, &e);

	if (s == -ENOENT)
		return 0;
	if (s < 0) {
		error_move(err, &e);
		return s;
	}
	if (r.class != RECORD_VNIC)
		return error_set(err, EEXIST, "%s is not a VNIC", name);
	return remove_vnic(n, &r, true, err);
}

static int
make(struct making *m, struct error *err)
{
	struct vnic_info *v = &m->r.v;
	int s;

	s = remove_named(m->n, m->spec->zone, m->spec->name, err);
	if (s == 0)
		s = resolve_over(m, err);
	if (s < 0)
		return s;
	s = record_next_id(m->n, &v->id, err);
	if (s < 0)
		return s;
	fill_record(m);
	if (v->mtu > m->over.v.mtu)
		return error_set(err, EINVAL, "mtu %u is more than the %u of %s", v->mtu,
				 m->over.v.mtu, v->over);
	s = choose_mac(m, err);
	if (s == 0)
		s = choose_group(m, err);
	if (s == 0)
		s = record_write(m->n, &m->r, err);
	if (s < 0)
		return s;
	m->named = true;
	s = make_device(m, err);
	if (s == 0)
		s = set_rules(m->n, &m->r, err);
	if (s == 0)
		s = connect_port(m, err);
	return s;
}

int
vnic_create(struct net *n, const struct vnic_spec *spec, int *ret_ifindex, int *tap_fds,
	    struct error *err)
{
	struct making m = {.n = n, .spec = spec};
	cleanup_unlock struct net *locked = n;
	int s;

	s = check_spec(spec, err);
	if (s == 0)
		s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = net_nl(n, &m.nl, err);
	if (s == 0)
		s = make(&m, err);
	if (s < 0) {
		for (unsigned i = 0; i < m.queues; i++)
			close(m.fds[i]);
		if (m.named)
			(void)remove_vnic(n, &m.r, true, NULL); /* the first failure is told */
		error_wrap(err, s, "VNIC %s", spec->name);
	} else {
		for (unsigned i = 0; i < m.queues; i++)
			tap_fds[i] = m.fds[i];
		if (ret_ifindex)
			*ret_ifindex = m.r.v.ifindex;
	}
	record_done(&m.r);
	record_done(&m.over);
	return s;
}

int
vnic_delete(struct net *n, const char *zone, const char *name, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	int s = net_lock(n, err);

	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = remove_named(n, zone, name, err);
	return s;
}

int
vnic_delete_zone(struct net *n, const char *zone, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	struct record *list = NULL;
	size_t count = 0;
	struct nl *nl;
	int s;

	s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = net_nl(n, &nl, err);
	if (s == 0)
		s = record_list(n, zone, &list, &count, err);
	if (s < 0)
		return s;
	for (size_t i = 0; i < count; i++) {
		if (list[i].class != RECORD_VNIC)
			continue;
		forget_rules(n, &list[i]);
		forget_shaper(n, nl, &list[i]);
	}
	if (count > 1 && list[0].group && !str_eq(zone, NET_GLOBAL))
		s = nl_link_delete_group(nl, list[0].group, err);
	for (size_t i = 0; s == 0 && i < count; i++)
		if (list[i].class == RECORD_VNIC)
			s = remove_vnic(n, &list[i], true, err);
	record_list_free(list, count);
	return s;
}

/*
 * Changing one.
 */

static int
update_allowed(struct net *n, struct record *r, const struct vnic_spec *spec, struct error *err)
{
	struct vnic_info *v = &r->v;
	struct ip_addr *old = v->allowed;
	size_t n_old = v->n_allowed;
	uint32_t ifindex = (uint32_t)v->ifindex;
	int s = 0;

	v->allowed = xmemdup(spec->allowed, spec->n_allowed * sizeof(*spec->allowed));
	v->n_allowed = spec->n_allowed;
	for (size_t i = 0; s == 0 && ifindex && i < v->n_allowed; i++)
		s = sw_ip_add(n, ifindex, &v->allowed[i], err);
	for (size_t i = 0; s == 0 && ifindex && i < n_old; i++) {
		bool kept = false;

		for (size_t k = 0; k < v->n_allowed; k++)
			kept = kept || ip_equal(&v->allowed[k], &old[i]);
		if (!kept)
			sw_ip_del(n, ifindex, &old[i]);
	}
	free(old);
	return s;
}

/* Both ends of a veth: each has its own MTU. */
static int
update_mtu(struct net *n, struct record *r, const struct vnic_spec *spec, struct error *err)
{
	cleanup_record struct record over = {0};
	cleanup_nl struct nl *zone = NULL;
	uint32_t mtu = spec->mtu;
	struct nl_link far;
	struct nl *nl;
	int s;

	if (mtu < MTU_MIN || mtu > MTU_MAX)
		return error_set(err, EINVAL, "mtu %u is not within %d and %d", mtu, MTU_MIN,
				 MTU_MAX);
	s = record_read(n, NET_GLOBAL, r->v.over, &over, err);
	if (s < 0)
		return s;
	if (mtu > over.v.mtu)
		return error_set(err, EINVAL, "mtu %u is more than the %u of %s", mtu, over.v.mtu,
				 r->v.over);
	s = net_nl(n, &nl, err);
	if (s == 0 && r->v.ifindex)
		s = nl_link_set_mtu(nl, r->v.ifindex, mtu, err);
	if (s < 0)
		return s;
	r->v.mtu = mtu;
	if (r->v.kind == VNIC_TAP || (spec->netns_fd < 0 && !str_eq(r->v.zone, NET_GLOBAL)))
		return 0;
	s = nl_open(spec->netns_fd, &zone, err);
	if (s == 0)
		s = nl_link_get(zone, r->v.name, &far, err);
	if (s == 0)
		s = nl_link_set_mtu(zone, far.ifindex, mtu, err);
	return s;
}

static int
update_port(struct net *n, const struct record *r, struct error *err)
{
	uint32_t ifindex = (uint32_t)r->v.ifindex, flags = port_flags(r);
	struct sw_port p;
	struct nl *nl;
	int s = net_nl(n, &nl, err);

	if (s < 0)
		return s;
	if (!ifindex || sw_port_get(n, ifindex, &p) < 0)
		return 0; /* a machine that is off: the rules come with its next tap */
	if ((flags & SW_DYNAMIC_IP) && !(p.flags & SW_DYNAMIC_IP))
		s = sw_port_prepare(n, ifindex, true, err);
	p.flags = flags;
	p.mtu = r->v.mtu;
	p.shaper = 0;
	if (s == 0)
		s = shape(n, r, &p, err);
	if (s == 0)
		s = sw_port_set(n, ifindex, &p, err);
	if (s < 0 || r->v.maxbw)
		return s;
	forget_shaper(n, nl, r);
	return nl_tbf_clear(nl, (int)ifindex, err);
}

int
vnic_update(struct net *n, const char *zone, const char *name, unsigned set,
	    const struct vnic_spec *spec, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_record struct record r = {0};
	int s;

	s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = record_read(n, zone, name, &r, err);
	if (s < 0)
		return s;
	if (r.class != RECORD_VNIC)
		return error_set(err, EINVAL, "%s is not a VNIC", name);
	if ((set & VNIC_SET_MAXBW) && spec->maxbw && spec->maxbw < MAXBW_MIN)
		return error_set(err, EINVAL, "%s: maxbw is at least 1200 Kb/s", name);
	if (set & VNIC_SET_MTU)
		s = update_mtu(n, &r, spec, err);
	if (s == 0 && (set & VNIC_SET_ALLOWED))
		s = update_allowed(n, &r, spec, err);
	if (s < 0)
		return error_wrap(err, s, "%s", name);
	if (set & VNIC_SET_FLAGS)
		r.v.flags = spec->flags & VNIC_FLAGS;
	if (set & VNIC_SET_MAXBW)
		r.v.maxbw = spec->maxbw;
	s = record_write(n, &r, err);
	if (s == 0)
		s = update_port(n, &r, err);
	return s;
}

int
vnic_rename(struct net *n, const char *zone, const char *from, const char *to, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_record struct record r = {0};
	cleanup_record struct record taken = {0};
	struct nl_link l;
	struct nl *nl;
	int s;

	if (!net_is_link_name(to))
		return error_set(err, EINVAL, "bad link name '%s'", to);
	if (!str_eq(zone, NET_GLOBAL))
		return error_set(err, ENOTSUP, "only links of the global zone can be renamed");
	s = net_lock(n, err);
	if (s == 0)
		s = record_read(n, zone, from, &r, err);
	if (s < 0)
		return s;
	if (r.class != RECORD_VNIC)
		return error_set(err, ENOTSUP, "%s is not a VNIC", from);
	if (record_read(n, zone, to, &taken, NULL) == 0)
		return error_set(err, EEXIST, "link %s exists", to);
	s = net_nl(n, &nl, err);
	if (s == 0)
		s = nl_link_get(nl, from, &l, err);
	if (s == 0)
		s = nl_link_set_name(nl, l.ifindex, to, err);
	if (s < 0)
		return s;
	snprintf(r.v.name, sizeof(r.v.name), "%s", to);
	s = record_write(n, &r, err);
	if (s == 0)
		s = record_remove(n, zone, from, err);
	return s;
}

/*
 * Etherstubs: a switch id without uplink, and a record.
 */

int
etherstub_create(struct net *n, const char *name, uint32_t mtu, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	struct record r = {.class = RECORD_ETHERSTUB};
	cleanup_record struct record taken = {0};
	struct sw_switch sw = {0};
	struct nl_link l;
	struct nl *nl;
	int s;

	if (!net_is_link_name(name))
		return error_set(err, EINVAL, "bad link name '%s'", name);
	s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = net_nl(n, &nl, err);
	if (s < 0)
		return s;
	if (record_read(n, NET_GLOBAL, name, &taken, NULL) == 0 ||
	    nl_link_get(nl, name, &l, NULL) == 0)
		return error_set(err, EEXIST, "link %s exists", name);
	s = record_next_id(n, &r.v.id, err);
	if (s < 0)
		return s;
	snprintf(r.v.zone, sizeof(r.v.zone), "%s", NET_GLOBAL);
	snprintf(r.v.name, sizeof(r.v.name), "%s", name);
	r.sw = r.v.id;
	r.v.mtu = mtu ? mtu : ETHERSTUB_MTU;
	s = sw_switch_set(n, r.sw, &sw, err);
	return s < 0 ? s : record_write(n, &r, err);
}

/* A switch that has VNICs is in use. */
static int
check_unused(struct net *n, const char *name, const char *what, struct error *err)
{
	struct record *list = NULL;
	size_t count = 0;
	bool used = false;
	int s = record_list(n, NULL, &list, &count, err);

	if (s < 0)
		return s;
	for (size_t i = 0; i < count; i++)
		used = used || (list[i].class == RECORD_VNIC && str_eq(list[i].v.over, name));
	record_list_free(list, count);
	return used ? error_set(err, EBUSY, "%s %s has VNICs", what, name) : 0;
}

int
etherstub_delete(struct net *n, const char *name, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_record struct record r = {0};
	int s;

	s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s == 0)
		s = record_read(n, NET_GLOBAL, name, &r, err);
	if (s < 0)
		return s;
	if (r.class != RECORD_ETHERSTUB)
		return error_set(err, EINVAL, "%s is not an etherstub", name);
	s = check_unused(n, name, "etherstub", err);
	if (s < 0)
		return s;
	sw_switch_del(n, r.sw);
	return record_remove(n, NET_GLOBAL, name, err);
}

int
net_detach_uplink(struct net *n, const char *link, struct error *err)
{
	cleanup_unlock struct net *locked = n;
	cleanup_record struct record r = {0};
	cleanup_error struct error e = ERROR_INIT;
	int s;

	s = net_lock(n, err);
	if (s == 0)
		s = sw_open(n, err);
	if (s < 0)
		return s;
	s = record_read(n, NET_GLOBAL, link, &r, &e);
	if (s == -ENOENT)
		return 0;
	if (s < 0) {
		error_move(err, &e);
		return s;
	}
	if (r.class != RECORD_UPLINK)
		return error_set(err, EINVAL, "%s is not a NIC or aggregation", link);
	s = check_unused(n, link, "link", err);
	if (s < 0)
		return s;
	/* without its port entry the program passes everything on */
	sw_port_del(n, (uint32_t)r.v.ifindex);
	sw_switch_del(n, r.sw);
	return record_remove(n, NET_GLOBAL, link, err);
}

/*
 * Asking.
 */

int
vnic_get(struct net *n, const char *zone, const char *name, struct vnic_info *ret,
	 struct error *err)
{
	struct record r = {0};
	struct nl_link l;
	int s = record_read(n, zone, name, &r, err);

	if (s < 0)
		return s;
	if (r.class == RECORD_UPLINK) {
		record_done(&r);
		return error_set(err, ENOENT, "%s is not a VNIC", name);
	}
	r.v.ifindex = r.class == RECORD_VNIC && find_port(n, &r, &l, NULL) == 0 ? l.ifindex : 0;
	*ret = r.v;
	return 0;
}

int
vnic_list(struct net *n, const char *zone, struct vnic_info **ret, size_t *ret_n, struct error *err)
{
	struct record *list = NULL;
	struct vnic_info *infos;
	struct nl_link *links;
	size_t count = 0, n_links, out = 0;
	struct nl *nl;
	int s;

	s = net_nl(n, &nl, err);
	if (s == 0)
		s = nl_link_list(nl, &links, &n_links, err);
	if (s < 0)
		return s;
	s = record_list(n, zone, &list, &count, err);
	if (s < 0) {
		free(links);
		return s;
	}
	infos = xcalloc(count + 1, sizeof(*infos));
	for (size_t i = 0; i < count; i++) {
		struct record *r = &list[i];

		if (r->class == RECORD_UPLINK)
			continue;
		r->v.ifindex = 0;
		for (size_t k = 0; k < n_links; k++)
			if (r->class == RECORD_VNIC && str_eq(links[k].name, r->v.port))
				r->v.ifindex = links[k].ifindex;
		infos[out++] = r->v;
		memset(&r->v, 0, sizeof(r->v)); /* handed over */
	}
	free(links);
	record_list_free(list, count);
	*ret = infos;
	*ret_n = out;
	return 0;
}

void
vnic_list_free(struct vnic_info *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vnic_info_done(&v[i]);
	free(v);
}

int
vnic_stats(struct net *n, int ifindex, struct vnic_stats *ret, struct error *err)
{
	int s = sw_open(n, err);

	return s < 0 ? s : sw_stats_get(n, (uint32_t)ifindex, ret, err);
}
