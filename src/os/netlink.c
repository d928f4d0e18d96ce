#include "os/netlink.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

#define SEND_MAX 4096
#define RECV_MAX 65536

struct nl {
	struct mnl_socket *sock;
	unsigned portid;
	unsigned seq;
	char out[SEND_MAX];
	char in[RECV_MAX];
};

/*
 * Namespaces.  A socket keeps the namespace it was made in, so we enter it for
 * the length of one socket(2) call only; setns(2) changes the calling thread alone.
 */

static int
netns_enter(int fd, int *ret_back, struct error *err)
{
	cleanup_close int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back < 0)
		return error_set_errno(err, errno, "cannot open our network namespace");
	if (setns(fd, CLONE_NEWNET) < 0)
		return error_set_errno(err, errno, "cannot enter the network namespace");
	*ret_back = steal_fd(&back);
	return 0;
}

/* To be stranded in a zone's namespace is worse than to end. */
static void
netns_leave(int *back)
{
	if (*back < 0)
		return;
	if (setns(*back, CLONE_NEWNET) < 0)
		abort();
	close(*back);
	*back = -1;
}

int
nl_socket_in(int netns_fd, int domain, int type, int protocol, int *ret_fd, struct error *err)
{
	int back = -1, fd, r = 0;

	if (netns_fd >= 0) {
		r = netns_enter(netns_fd, &back, err);
		if (r < 0)
			return r;
	}
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		r = error_set_errno(err, errno, "socket");
	netns_leave(&back);
	if (r < 0)
		return r;
	*ret_fd = fd;
	return 0;
}

int
nl_sysctl(int netns_fd, const char *name, const char *value, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/sys/net/%s", name);
	int back = -1, r;

	if (netns_fd >= 0) {
		r = netns_enter(netns_fd, &back, err);
		if (r < 0)
			return r;
	}
	r = file_write(path, value, err);
	netns_leave(&back);
	return r;
}

int
nl_netns_open(const char *path, int *ret_fd, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "network namespace %s", path);
	*ret_fd = fd;
	return 0;
}

int
nl_netns_of_pid(int pid, int *ret_fd, struct error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return nl_netns_open(path, ret_fd, err);
}

int
nl_netns_new(int *ret_fd, struct error *err)
{
	cleanup_close int fd = -1;
	cleanup_nl struct nl *nl = NULL;
	int back, r;

	back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back < 0)
		return error_set_errno(err, errno, "cannot open our network namespace");
	if (unshare(CLONE_NEWNET) < 0) {
		r = error_set_errno(err, errno, "cannot make a network namespace");
		close(back);
		return r;
	}
	r = nl_netns_open("/proc/thread-self/ns/net", &fd, err);
	netns_leave(&back);
	if (r < 0)
		return r;
	r = nl_open(fd, &nl, err);
	if (r == 0)
		r = nl_link_set_up(nl, 1, true, err);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
nl_open(int netns_fd, struct nl **ret, struct error *err)
{
	cleanup_nl struct nl *nl = NULL;
	int fd = -1, on = 1, r;

	r = nl_socket_in(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &fd, err);
	if (r < 0)
		return r;
	nl = xcalloc(1, sizeof(*nl));
	nl->sock = mnl_socket_fdopen(fd);
	if (!nl->sock) {
		r = error_set_errno(err, errno, "netlink");
		close(fd);
		return r;
	}
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return error_set_errno(err, errno, "netlink");
	/* both only better the answers: words with a refusal, checked dump requests */
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	nl->portid = mnl_socket_get_portid(nl->sock);
	*ret = steal_ptr(&nl);
	return 0;
}

void
nl_close(struct nl *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl);
}

/*
 * Requests.
 */

typedef void answer_fn(const struct nlmsghdr *h, void *arg);

static struct nlmsghdr *
request(struct nl *nl, uint16_t type, uint16_t flags, size_t extra, void *ret_extra)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->out);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	*(void **)ret_extra = mnl_nlmsg_put_extra_header(h, extra);
	return h;
}

static struct nlmsghdr *
link_request(struct nl *nl, uint16_t type, uint16_t flags, int ifindex)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *h = request(nl, type, flags, sizeof(*ifi), &ifi);

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	return h;
}

/* The kernel's words about a refusal, or NULL. */
static const char *
refusal_text(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr;
	unsigned offset = sizeof(*e);

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		offset += e->msg.nlmsg_len - sizeof(struct nlmsghdr);
	if (NLMSG_HDRLEN + NLMSG_ALIGN(offset) > h->nlmsg_len)
		return NULL;
	mnl_attr_for_each(attr, h, NLMSG_ALIGN(offset))
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(attr);
	}
	return NULL;
}

/* One message of an answer; 1: the answer is complete. */
static int
take_answer(const struct nlmsghdr *h, answer_fn *fn, void *arg, const char *what, struct error *err)
{
	const struct nlmsgerr *e;
	const char *text;

	if (h->nlmsg_type == NLMSG_DONE)
		return 1;
	if (h->nlmsg_type != NLMSG_ERROR) {
		if (fn)
			fn(h, arg);
		/* what is neither a dump nor acknowledged is one message long */
		return 0;
	}
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
		return error_set(err, EBADMSG, "%s: short answer from the kernel", what);
	e = mnl_nlmsg_get_payload(h);
	if (e->error == 0)
		return 1;
	text = refusal_text(h);
	if (text)
		return error_set(err, -e->error, "%s: %s", what, text);
	return error_set_errno(err, -e->error, "%s", what);
}

/* Sends h and reads until its answer is complete; fn (may be NULL) sees every message. */
static int
talk(struct nl *nl, struct nlmsghdr *h, answer_fn *fn, void *arg, const char *what,
     struct error *err)
{
	int r;

	/* NLM_F_EXCL and NLM_F_REPLACE are each half of it */
	if ((h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		h->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->sock, h, h->nlmsg_len) < 0)
		return error_set_errno(err, errno, "%s", what);
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(nl->sock, nl->in, sizeof(nl->in));
		struct nlmsghdr *m = (struct nlmsghdr *)nl->in;
		int len;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set_errno(err, errno, "%s", what);
		for (len = (int)got; mnl_nlmsg_ok(m, len); m = mnl_nlmsg_next(m, &len)) {
			if (m->nlmsg_seq != nl->seq) /* the tail of an answer we gave up on */
				continue;
			r = take_answer(m, fn, arg, what, err);
			if (r != 0)
				return r < 0 ? r : 0;
		}
	}
}

/* A list grown by an answer_fn. */
struct collect {
	void *items;
	size_t n, cap, size;
	const void *want; /* for filters */
};

static void *
collect_add(struct collect *c)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 16;
		c->items = xreallocarray(c->items, c->cap, c->size);
	}
	memset((char *)c->items + c->n * c->size, 0, c->size);
	return (char *)c->items + c->n++ * c->size;
}

static int
collect_all(struct nl *nl, struct nlmsghdr *h, answer_fn *fn, size_t size, void *ret, size_t *ret_n,
	    const char *what, struct error *err)
{
	struct collect c = {.size = size};
	int r = talk(nl, h, fn, &c, what, err);

	if (r < 0) {
		free(c.items);
		return r;
	}
	*(void **)ret = c.items;
	*ret_n = c.n;
	return 0;
}

/*
 * Links.
 */

static void
copy_text(char *dst, size_t size, const struct nlattr *a)
{
	snprintf(dst, size, "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
}

/* Where a number, or bytes, of an attribute go; its size there is its size in the message. */
struct field {
	uint16_t attr;
	uint16_t offset;
	uint16_t size;
};

#define FIELD(attr_, type_, member_) \
	{(attr_), offsetof(struct type_, member_), sizeof(((struct type_ *)0)->member_)}

/*
 * Of `fields`, the one that a is.  A number or an address of another size is not what we take it
 * for; a structure may be an older kernel's, or have grown.
 */
static void
take_field(const struct field *fields, size_t n, const struct nlattr *a, void *ret)
{
	for (size_t i = 0; i < n; i++)
		if (fields[i].attr == mnl_attr_get_type(a)) {
			size_t size = fields[i].size, have = mnl_attr_get_payload_len(a);

			if (have == size || size > sizeof(uint64_t))
				memcpy((char *)ret + fields[i].offset, mnl_attr_get_payload(a),
				       have < size ? have : size);
		}
}

static const struct field link_fields[] = {
	FIELD(IFLA_ADDRESS, nl_link, mac),
	FIELD(IFLA_PERM_ADDRESS, nl_link, perm_mac),
	FIELD(IFLA_MTU, nl_link, mtu),
	FIELD(IFLA_MIN_MTU, nl_link, min_mtu),
	FIELD(IFLA_MAX_MTU, nl_link, max_mtu),
	FIELD(IFLA_GROUP, nl_link, group),
	FIELD(IFLA_MASTER, nl_link, master),
	FIELD(IFLA_LINK, nl_link, link),
	FIELD(IFLA_CARRIER, nl_link, carrier),
	FIELD(IFLA_OPERSTATE, nl_link, operstate),
	FIELD(IFLA_PROMISCUITY, nl_link, promiscuity),
	FIELD(IFLA_ALLMULTI, nl_link, allmulti),
	FIELD(IFLA_STATS64, nl_link, stats),
};

static const struct field vlan_fields[] = {
	FIELD(IFLA_VLAN_ID, nl_link, vid),
};

static const struct field bond_fields[] = {
	FIELD(IFLA_BOND_MODE, nl_link, bond_mode),
	FIELD(IFLA_BOND_XMIT_HASH_POLICY, nl_link, bond_xmit_policy),
	FIELD(IFLA_BOND_AD_LACP_RATE, nl_link, bond_lacp_rate),
	FIELD(IFLA_BOND_AD_LACP_ACTIVE, nl_link, bond_lacp_active),
};

static void
link_info(struct nl_link *l, const struct nlattr *info)
{
	const struct nlattr *a, *data = NULL;

	mnl_attr_for_each_nested(a, info)
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_INFO_KIND:
			copy_text(l->kind, sizeof(l->kind), a);
			break;
		case IFLA_INFO_SLAVE_KIND:
			copy_text(l->slave_kind, sizeof(l->slave_kind), a);
			break;
		case IFLA_INFO_DATA:
			data = a;
			break;
		}
	}
	if (!data)
		return;
	mnl_attr_for_each_nested(a, data)
	{
		if (str_eq(l->kind, "vlan"))
			take_field(vlan_fields, ARRAY_SIZE(vlan_fields), a, l);
		else if (str_eq(l->kind, "bond"))
			take_field(bond_fields, ARRAY_SIZE(bond_fields), a, l);
	}
}

static void
link_props(struct nl_link *l, const struct nlattr *props)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, props)
	{
		if (mnl_attr_get_type(a) == IFLA_ALT_IFNAME && !l->altname[0])
			copy_text(l->altname, sizeof(l->altname), a);
	}
}

static void
parse_link(const struct nlmsghdr *h, struct nl_link *l)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	l->ifindex = ifi->ifi_index;
	l->type = ifi->ifi_type;
	l->flags = ifi->ifi_flags;
	mnl_attr_for_each(a, h, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			copy_text(l->name, sizeof(l->name), a);
			break;
		case IFLA_LINKINFO:
			link_info(l, a);
			break;
		case IFLA_PROP_LIST:
			link_props(l, a);
			break;
		default:
			take_field(link_fields, ARRAY_SIZE(link_fields), a, l);
		}
	}
}

static void
on_link(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		parse_link(h, collect_add(arg));
}

int
nl_link_list(struct nl *nl, struct nl_link **ret, size_t *ret_n, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_GETLINK, NLM_F_DUMP, 0);

	return collect_all(nl, h, on_link, sizeof(struct nl_link), ret, ret_n, "list of links",
			   err);
}

static void
on_one_link(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		parse_link(h, arg);
}

static int
link_get(struct nl *nl, struct nlmsghdr *h, const char *what, struct nl_link *ret,
	 struct error *err)
{
	struct nl_link l = {0};
	int r = talk(nl, h, on_one_link, &l, what, err);

	if (r < 0)
		return r;
	*ret = l;
	return 0;
}

int
nl_link_get(struct nl *nl, const char *name, struct nl_link *ret, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_GETLINK, 0, 0);

	if (strlen(name) < IFNAMSIZ)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
	else if (strlen(name) < 128)
		mnl_attr_put_strz(h, IFLA_ALT_IFNAME, name);
	else
		return error_set(err, ENODEV, "link %s: name too long", name);
	return link_get(nl, h, name, ret, err);
}

int
nl_link_get_index(struct nl *nl, int ifindex, struct nl_link *ret, struct error *err)
{
	char what[32];

	snprintf(what, sizeof(what), "link %d", ifindex);
	return link_get(nl, link_request(nl, RTM_GETLINK, 0, ifindex), what, ret, err);
}

int
nl_link_set_flags(struct nl *nl, int ifindex, uint32_t set, uint32_t clear, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);

	ifi->ifi_flags = set;
	ifi->ifi_change = set | clear;
	return talk(nl, h, NULL, NULL, "link flags", err);
}

int
nl_link_set_up(struct nl *nl, int ifindex, bool up, struct error *err)
{
	return nl_link_set_flags(nl, ifindex, up ? IFF_UP : 0, up ? 0 : IFF_UP, err);
}

static int
link_set_u32(struct nl *nl, int ifindex, uint16_t attr, uint32_t v, const char *what,
	     struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_u32(h, attr, v);
	return talk(nl, h, NULL, NULL, what, err);
}

int
nl_link_set_mtu(struct nl *nl, int ifindex, uint32_t mtu, struct error *err)
{
	return link_set_u32(nl, ifindex, IFLA_MTU, mtu, "mtu", err);
}

int
nl_link_set_master(struct nl *nl, int ifindex, int master, struct error *err)
{
	return link_set_u32(nl, ifindex, IFLA_MASTER, (uint32_t)master, "master", err);
}

int
nl_link_set_group(struct nl *nl, int ifindex, uint32_t group, struct error *err)
{
	return link_set_u32(nl, ifindex, IFLA_GROUP, group, "group", err);
}

int
nl_link_set_mac(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put(h, IFLA_ADDRESS, sizeof(mac->b), mac->b);
	return talk(nl, h, NULL, NULL, "MAC address", err);
}

int
nl_link_set_name(struct nl *nl, int ifindex, const char *name, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);

	if (strlen(name) >= IFNAMSIZ)
		return error_set(err, EINVAL, "link name %s is longer than 15", name);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return talk(nl, h, NULL, NULL, name, err);
}

int
nl_link_move(struct nl *nl, int ifindex, int netns_fd, const char *name, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	if (name)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return talk(nl, h, NULL, NULL, "move to a namespace", err);
}

static int
link_altname(struct nl *nl, int ifindex, uint16_t type, uint16_t flags, const char *name,
	     struct error *err)
{
	struct nlmsghdr *h = link_request(nl, type, flags, ifindex);
	struct nlattr *list = mnl_attr_nest_start(h, IFLA_PROP_LIST);

	if (strlen(name) >= 128)
		return error_set(err, EINVAL, "link name %s is longer than 127", name);
	mnl_attr_put_strz(h, IFLA_ALT_IFNAME, name);
	mnl_attr_nest_end(h, list);
	return talk(nl, h, NULL, NULL, name, err);
}

int
nl_link_add_altname(struct nl *nl, int ifindex, const char *name, struct error *err)
{
	return link_altname(nl, ifindex, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND,
			    name, err);
}

int
nl_link_del_altname(struct nl *nl, int ifindex, const char *name, struct error *err)
{
	return link_altname(nl, ifindex, RTM_DELLINKPROP, 0, name, err);
}

static void
put_no_address(struct nlmsghdr *h)
{
	struct nlattr *af, *inet6;

	if (access("/proc/sys/net/ipv6", F_OK) < 0) /* a kernel booted with ipv6.disable=1 */
		return;
	af = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, af);
}

int
nl_link_make_port(struct nl *nl, int ifindex, uint32_t group, uint32_t mtu, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, 0, ifindex);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);

	ifi->ifi_flags = IFF_NOARP;
	ifi->ifi_change = IFF_NOARP;
	mnl_attr_put_u32(h, IFLA_GROUP, group);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	put_no_address(h);
	return talk(nl, h, NULL, NULL, "switch port", err);
}

int
nl_veth_create(struct nl *nl, const struct nl_veth *v, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *peer;

	if (strlen(v->name) >= IFNAMSIZ || strlen(v->peer_name) >= IFNAMSIZ)
		return error_set(err, EINVAL, "link name %s is longer than 15", v->peer_name);
	mnl_attr_put_strz(h, IFLA_IFNAME, v->name);
	if (v->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	/* the peer stays down here: up in this message costs 16 ms of roll-back */
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, v->peer_name);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof(v->peer_mac.b), v->peer_mac.b);
	if (v->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
	if (v->peer_netns >= 0)
		mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return talk(nl, h, NULL, NULL, v->peer_name, err);
}

int
nl_vlan_create(struct nl *nl, const char *name, int over, uint16_t vid, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data;

	if (strlen(name) >= IFNAMSIZ)
		return error_set(err, EINVAL, "link name %s is longer than 15", name);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_LINK, (uint32_t)over);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "vlan");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	mnl_attr_put_u16(h, IFLA_VLAN_ID, vid);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return talk(nl, h, NULL, NULL, name, err);
}

int
nl_bond_create(struct nl *nl, const struct nl_bond *b, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data;
	bool lacp = b->mode == 4; /* 802.3ad */

	if (strlen(b->name) >= IFNAMSIZ)
		return error_set(err, EINVAL, "link name %s is longer than 15", b->name);
	mnl_attr_put_strz(h, IFLA_IFNAME, b->name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bond");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	mnl_attr_put_u8(h, IFLA_BOND_MODE, b->mode);
	mnl_attr_put_u32(h, IFLA_BOND_MIIMON, 100);
	mnl_attr_put_u8(h, IFLA_BOND_XMIT_HASH_POLICY, b->xmit_policy);
	if (lacp) {
		mnl_attr_put_u8(h, IFLA_BOND_AD_LACP_RATE, b->lacp_rate);
		mnl_attr_put_u8(h, IFLA_BOND_AD_LACP_ACTIVE, b->lacp_active);
	}
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return talk(nl, h, NULL, NULL, b->name, err);
}

int
nl_link_delete(struct nl *nl, int ifindex, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_DELLINK, 0, ifindex);

	return talk(nl, h, NULL, NULL, "delete a link", err);
}

/* What a change made of r and e, where "already" (there, or gone) is as good as done. */
static int
settle(int r, bool already, struct error *e, struct error *err)
{
	if (already) {
		error_done(e);
		return 0;
	}
	if (r < 0)
		error_move(err, e);
	return r;
}

int
nl_link_delete_group(struct nl *nl, uint32_t group, struct error *err)
{
	struct nlmsghdr *h = link_request(nl, RTM_DELLINK, 0, 0);
	struct error e = ERROR_INIT;
	int r;

	mnl_attr_put_u32(h, IFLA_GROUP, group);
	r = talk(nl, h, NULL, NULL, "delete a group of links", &e);
	return settle(r, r == -ENODEV, &e, err);
}

static int
unicast(struct nl *nl, uint16_t type, uint16_t flags, int ifindex, const struct mac_addr *mac,
	struct error *err)
{
	struct ndmsg *nd;
	struct nlmsghdr *h = request(nl, type, flags, sizeof(*nd), &nd);

	nd->ndm_family = AF_BRIDGE;
	nd->ndm_ifindex = ifindex;
	nd->ndm_state = NUD_PERMANENT;
	nd->ndm_flags = NTF_SELF;
	mnl_attr_put(h, NDA_LLADDR, sizeof(mac->b), mac->b);
	return talk(nl, h, NULL, NULL, "unicast filter", err);
}

int
nl_unicast_add(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err)
{
	struct error e = ERROR_INIT;
	int r = unicast(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, ifindex, mac, &e);

	return settle(r, r == -EEXIST, &e, err);
}

int
nl_unicast_del(struct nl *nl, int ifindex, const struct mac_addr *mac, struct error *err)
{
	struct error e = ERROR_INIT;
	int r = unicast(nl, RTM_DELNEIGH, 0, ifindex, mac, &e);

	return settle(r, r == -ENOENT || r == -ENODEV, &e, err);
}

/*
 * Queues.
 */

/* 256 KiB at least: TSO frames are 64 KiB, and timers wake up four times a tick at worst. */
#define TBF_BURST_MIN (256u << 10)
#define TBF_HZ 250
#define TBF_LATE_MS 50

static struct nlmsghdr *
qdisc_request(struct nl *nl, uint16_t type, uint16_t flags, int ifindex)
{
	struct tcmsg *tc;
	struct nlmsghdr *h = request(nl, type, flags, sizeof(*tc), &tc);

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = TC_H_ROOT;
	return h;
}

int
nl_tbf_set(struct nl *nl, int ifindex, uint64_t rate, struct error *err)
{
	struct nlmsghdr *h = qdisc_request(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	struct tc_tbf_qopt q = {0};
	uint64_t burst = rate / TBF_HZ * 4, limit;
	struct nlattr *options;

	if (burst < TBF_BURST_MIN)
		burst = TBF_BURST_MIN;
	if (burst > 64u << 20)
		burst = 64u << 20;
	limit = rate / 1000 * TBF_LATE_MS + burst;
	if (limit > 1u << 30)
		limit = 1u << 30;
	q.rate.linklayer = TC_LINKLAYER_ETHERNET;
	q.rate.rate = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
	q.limit = (uint32_t)limit;
	mnl_attr_put_strz(h, TCA_KIND, "tbf");
	options = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put(h, TCA_TBF_PARMS, sizeof(q), &q);
	mnl_attr_put_u64(h, TCA_TBF_RATE64, rate);
	mnl_attr_put_u32(h, TCA_TBF_BURST, (uint32_t)burst);
	mnl_attr_nest_end(h, options);
	return talk(nl, h, NULL, NULL, "bandwidth limit", err);
}

int
nl_tbf_clear(struct nl *nl, int ifindex, struct error *err)
{
	struct error e = ERROR_INIT;
	int r = talk(nl, qdisc_request(nl, RTM_DELQDISC, 0, ifindex), NULL, NULL, "bandwidth limit",
		     &e);

	return settle(r, r == -ENOENT || r == -EINVAL, &e, err);
}

/*
 * Addresses.
 */

static void
get_ip(struct ip_addr *a, uint8_t family, uint8_t prefix, const struct nlattr *attr)
{
	struct ip_addr x = {.family = family, .prefix = prefix};

	if (mnl_attr_get_payload_len(attr) != ip_len(&x))
		return;
	memcpy(x.b, mnl_attr_get_payload(attr), ip_len(&x));
	*a = x;
}

static void
on_addr(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	struct nl_addr *x;
	struct ip_addr local = {0};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWADDR ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return;
	x = collect_add(arg);
	x->ifindex = (int)ifa->ifa_index;
	x->flags = ifa->ifa_flags;
	x->scope = ifa->ifa_scope;
	x->valid = x->preferred = UINT32_MAX;
	mnl_attr_for_each(a, h, sizeof(*ifa))
	{
		switch (mnl_attr_get_type(a)) {
		case IFA_ADDRESS:
			get_ip(&x->addr, ifa->ifa_family, ifa->ifa_prefixlen, a);
			break;
		case IFA_LOCAL:
			get_ip(&local, ifa->ifa_family, ifa->ifa_prefixlen, a);
			break;
		case IFA_FLAGS:
			x->flags = mnl_attr_get_u32(a);
			break;
		case IFA_CACHEINFO: {
			const struct ifa_cacheinfo *ci = mnl_attr_get_payload(a);

			if (mnl_attr_get_payload_len(a) >= sizeof(*ci)) {
				x->valid = ci->ifa_valid;
				x->preferred = ci->ifa_prefered;
			}
			break;
		}
		}
	}
	if (local.family && !ip_same(&local, &x->addr)) { /* point to point */
		x->peer = x->addr;
		x->addr = local;
	}
}

int
nl_addr_list(struct nl *nl, struct nl_addr **ret, size_t *ret_n, struct error *err)
{
	struct ifaddrmsg *ifa;
	struct nlmsghdr *h = request(nl, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa), &ifa);

	return collect_all(nl, h, on_addr, sizeof(struct nl_addr), ret, ret_n, "list of addresses",
			   err);
}

static int
addr_change(struct nl *nl, uint16_t type, uint16_t flags, int ifindex, const struct ip_addr *a,
	    struct error *err)
{
	struct ifaddrmsg *ifa;
	struct nlmsghdr *h = request(nl, type, flags, sizeof(*ifa), &ifa);
	char what[IP_STRLEN];

	ifa->ifa_family = a->family;
	ifa->ifa_prefixlen = a->prefix;
	ifa->ifa_scope = ip_is_link_local(a) && a->family == AF_INET6 ? RT_SCOPE_LINK : 0;
	ifa->ifa_index = (uint32_t)ifindex;
	mnl_attr_put(h, IFA_LOCAL, ip_len(a), a->b);
	mnl_attr_put(h, IFA_ADDRESS, ip_len(a), a->b);
	if (a->family == AF_INET && a->prefix < 31 && type == RTM_NEWADDR) {
		uint8_t broadcast[4];

		for (unsigned i = 0; i < 4; i++)
			broadcast[i] =
				a->b[i] | (uint8_t)(0xffffffffu >> a->prefix >> (24 - 8 * i));
		mnl_attr_put(h, IFA_BROADCAST, 4, broadcast);
	}
	return talk(nl, h, NULL, NULL, ip_print_cidr(a, what), err);
}

int
nl_addr_add(struct nl *nl, int ifindex, const struct ip_addr *a, struct error *err)
{
	struct error e = ERROR_INIT;
	int r = addr_change(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, a, &e);

	return settle(r, r == -EEXIST, &e, err);
}

int
nl_addr_del(struct nl *nl, int ifindex, const struct ip_addr *a, struct error *err)
{
	return addr_change(nl, RTM_DELADDR, 0, ifindex, a, err);
}

/*
 * Routes.
 */

static void
route_metrics(struct nl_route *x, const struct nlattr *metrics)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, metrics)
	{
		if (mnl_attr_get_type(a) == RTAX_MTU)
			x->mtu = mnl_attr_get_u32(a);
	}
}

static const struct field route_fields[] = {
	FIELD(RTA_OIF, nl_route, ifindex),
	FIELD(RTA_PRIORITY, nl_route, metric),
	FIELD(RTA_TABLE, nl_route, table),
};

static void
parse_route(const struct nlmsghdr *h, struct nl_route *x)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	uint8_t whole = rt->rtm_family == AF_INET6 ? 128 : 32;
	const struct nlattr *a;

	x->dst.family = rt->rtm_family;
	x->dst.prefix = rt->rtm_dst_len;
	x->type = rt->rtm_type;
	x->protocol = rt->rtm_protocol;
	x->scope = rt->rtm_scope;
	x->table = rt->rtm_table;
	x->flags = rt->rtm_flags;
	mnl_attr_for_each(a, h, sizeof(*rt))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			get_ip(&x->dst, rt->rtm_family, rt->rtm_dst_len, a);
			break;
		case RTA_GATEWAY:
			get_ip(&x->gateway, rt->rtm_family, whole, a);
			break;
		case RTA_PREFSRC:
			get_ip(&x->source, rt->rtm_family, whole, a);
			break;
		case RTA_METRICS:
			route_metrics(x, a);
			break;
		default:
			take_field(route_fields, ARRAY_SIZE(route_fields), a, x);
		}
	}
}

static void
on_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != RTM_NEWROUTE || (rt->rtm_flags & RTM_F_CLONED) ||
	    (rt->rtm_family != AF_INET && rt->rtm_family != AF_INET6))
		return;
	parse_route(h, collect_add(arg));
}

int
nl_route_list(struct nl *nl, struct nl_route **ret, size_t *ret_n, struct error *err)
{
	struct rtmsg *rt;
	struct nlmsghdr *h = request(nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rt), &rt);

	return collect_all(nl, h, on_route, sizeof(struct nl_route), ret, ret_n, "list of routes",
			   err);
}

static int
route_change(struct nl *nl, uint16_t type, uint16_t flags, const struct nl_route *r,
	     struct error *err)
{
	struct rtmsg *rt;
	struct nlmsghdr *h = request(nl, type, flags, sizeof(*rt), &rt);
	char what[IP_STRLEN];
	uint32_t table = r->table ? r->table : RT_TABLE_MAIN;

	rt->rtm_family = r->dst.family;
	rt->rtm_dst_len = r->dst.prefix;
	rt->rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	if (table >= 256)
		mnl_attr_put_u32(h, RTA_TABLE, table);
	rt->rtm_scope = RT_SCOPE_NOWHERE;
	if (type == RTM_NEWROUTE) {
		rt->rtm_type = r->type ? r->type : RTN_UNICAST;
		rt->rtm_protocol = r->protocol ? r->protocol : RTPROT_STATIC;
		rt->rtm_scope = r->gateway.family || r->dst.family == AF_INET6 ||
						rt->rtm_type != RTN_UNICAST
					? RT_SCOPE_UNIVERSE
					: RT_SCOPE_LINK;
		rt->rtm_flags = r->flags & RTNH_F_ONLINK;
	}
	if (r->dst.prefix)
		mnl_attr_put(h, RTA_DST, ip_len(&r->dst), r->dst.b);
	if (r->gateway.family)
		mnl_attr_put(h, RTA_GATEWAY, ip_len(&r->gateway), r->gateway.b);
	if (r->source.family)
		mnl_attr_put(h, RTA_PREFSRC, ip_len(&r->source), r->source.b);
	if (r->ifindex)
		mnl_attr_put_u32(h, RTA_OIF, (uint32_t)r->ifindex);
	if (r->metric)
		mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	return talk(nl, h, NULL, NULL, ip_print_cidr(&r->dst, what), err);
}

int
nl_route_add(struct nl *nl, const struct nl_route *r, bool replace, struct error *err)
{
	return route_change(nl, RTM_NEWROUTE, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL),
			    r, err);
}

int
nl_route_del(struct nl *nl, const struct nl_route *r, struct error *err)
{
	return route_change(nl, RTM_DELROUTE, 0, r, err);
}

static void
on_one_route(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWROUTE)
		parse_route(h, arg);
}

int
nl_route_get(struct nl *nl, const struct ip_addr *dst, struct nl_route *ret, struct error *err)
{
	struct rtmsg *rt;
	struct nlmsghdr *h = request(nl, RTM_GETROUTE, 0, sizeof(*rt), &rt);
	struct nl_route x = {0};
	char what[IP_STRLEN];
	int r;

	rt->rtm_family = dst->family;
	rt->rtm_dst_len = ip_bits(dst);
	mnl_attr_put(h, RTA_DST, ip_len(dst), dst->b);
	r = talk(nl, h, on_one_route, &x, ip_print(dst, what), err);
	if (r < 0)
		return r;
	*ret = x;
	return 0;
}
