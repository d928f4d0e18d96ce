/*
 * The switch: every frame of every zone and virtual machine goes through here.
 *
 * THEORY
 *
 * Where it runs.  A VNIC has two ends.  The far one (the zone's net0, or the
 * virtio queue of a machine) is the guest's to do with as it likes.  The near
 * one (vp17: a veth or a tap) stays in the global zone's namespace, and these
 * programs sit on it, where the guest can neither see nor touch them:
 *
 *	sw_port		tcx ingress of each vpN		what a guest sends
 *	sw_shaped	tcx ingress of a sqN		the same, after its bandwidth limit
 *	sw_uplink_in	tcx ingress of a NIC		what comes from the wire
 *	sw_uplink_out	tcx egress of a NIC		what the global zone sends
 *
 * There is no bridge device and no learning: who has which address is known,
 * since we gave it out.  The programs are static; all that varies is data in
 * maps (switch.h), so a change of a rule is one map write and never a reload.
 *
 * The walk of a frame a guest sends (sw_port):
 *	1. port	    ports[ifindex]; no entry: drop (fail closed)
 *	2. form	    own VLAN tags and oversized frames: drop
 *	3. protect  source MAC; ARP, IPv4, IPv6/ND sender; DHCP; ethertypes
 *	4. filter   hook: the global zone's firewall, outbound
 *	5. forward  fdb[switch, vlan, destination]
 *		    - a port of ours: its MTU, its firewall inbound, then over:
 *		      bpf_redirect_peer() straight into a zone's namespace (no
 *		      second queueing), bpf_redirect() to a tap or a VNIC of the
 *		      global zone
 *		    - the NIC's own MAC: the global zone, by redirect to the NIC's
 *		      ingress
 *		    - else the wire, if the switch has one; an etherstub drops
 *		    - broadcast and multicast: a clone to each port of the VLAN,
 *		      one to the global zone, and the frame itself to the wire
 * What comes from the wire or from the global zone is looked up likewise; what
 * the fdb does not know is left alone (TCX_PASS): the NIC works for the global
 * zone as if there were no switch.
 *
 * The mark.  A frame redirected to the NIC meets the NIC's own programs: going
 * out it would be flooded again, coming in (for the global zone) too.  So it
 * carries SW_MARK, and the NIC's programs take the mark off and let it pass.  A
 * guest cannot forge it: crossing namespaces and entering by a tap clear it.
 *
 * VLANs.  Inside the switch a frame has no tag, its VLAN is that of the port.
 * The tag is pushed towards the wire (and the global zone), popped from it.
 *
 * Offloads.  Nothing here looks behind headers or splits: partial checksums and
 * TSO frames go from guest to guest as they are, the NIC or veth finishes them.
 * Headers are read with bpf_skb_load_bytes(), which works on paged frames too.
 *
 * IP protection.  A port sends from addresses in `ips` or prefixes in `nets`
 * only (its IPv6 link-local address is in `ips`).  0.0.0.0 only asks DHCP, ::
 * only does address detection, MLD and router solicitation.  ND is read through
 * extension headers; ND in fragments is dropped, as RFC 6980 has it, as are
 * router advertisements and redirects: who may send those may forward, and then
 * has no IP protection.  With DYNAMIC_IP the switch watches the port's DHCP:
 * an ACK that answers the port's own request (xid and chaddr) makes the address
 * it gives the port's only learnt one.  A router advertisement makes the
 * address of its prefix and the port's MAC (EUI-64) one, at most SW_PREFIXES of
 * them.  A guest cannot play server or router for another, since protection
 * drops such messages.  Client identifiers are not checked: Linux clients
 * choose them freely.
 *
 * Maps and who writes them: switch.c under one lock, in every process that
 * changes links; the programs write `stats`, `leases`, and learnt `ips` only.
 * A `groups` value is replaced whole, so a reader sees the old or the new list.
 *
 * Restart.  Programs and maps are pinned in RUN/bpf; programs stay attached
 * for the life of the device, and go with it.  No process is needed for frames
 * to flow; one that dies half way leaves at worst a port without entry, which
 * passes nothing.  All is rebuilt from records by making the link again.
 *
 * Bandwidth (maxbw) is shaped, never policed: TCP through a policer gets a
 * third of its rate.  Towards the guest, a token bucket is the root queue of
 * vpN, and bpf_redirect() is used, which queues, instead of redirect_peer.
 * From the guest, checked frames take a detour: vpN -> spN, a veth with a token
 * bucket, out of sqN, its other end, where they go on at step 5.  Guests without
 * a limit pay nothing for this.
 *
 * Hook for later: sw_filter() is a global function that another object replaces
 * (freplace) with the firewall.
 */
#include <linux/types.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "net/switch.h"

/* enum vnic_drop */
enum {
	DROP_MAC,
	DROP_IP,
	DROP_ARP,
	DROP_ND,
	DROP_DHCP,
	DROP_TYPE,
	DROP_VLAN,
	DROP_MTU,
	DROP_SHORT,
	DROP_UNKNOWN,
	DROP_FIREWALL,
	DROP_ERROR,
	OK = -1,
	EATEN = -2, /* not passed on, and nobody's fault */
};

#define FILTER_OUT 0
#define FILTER_IN 1

#define FRAG_MASK 0x1fff
#define FRAG_MORE 0x2000

#define NEXT_HOPOPTS 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTH 51
#define NEXT_ICMPV6 58
#define NEXT_NONE 59
#define NEXT_DSTOPTS 60
#define NEXT_MAX 8 /* extension headers we read through */

#define ND_MLD_QUERY 130
#define ND_MLD_REPORT 131
#define ND_MLD_DONE 132
#define ND_RS 133
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_REDIRECT 137
#define ND_MLD2_REPORT 143
#define ND_OPTIONS 8

#define DHCP_OPTIONS 24
#define PACKET_HOST 0

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SW_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct sw_port);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sw_switch);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} switches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * SW_MAX_PORTS);
	__type(key, struct sw_fdb_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fdb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_group_key);
	__type(value, struct sw_group);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16 * SW_MAX_PORTS);
	__type(key, struct sw_ip_key);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16 * SW_MAX_PORTS);
	__type(key, struct sw_net_key);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} nets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SW_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct sw_lease);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} leases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SW_MAX_PORTS);
	__type(key, __u32);
	__type(value, struct sw_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} stats SEC(".maps");

/* The frame at hand. */
struct frame {
	struct __sk_buff *skb;
	__u32 port; /* where it came from */
	__u32 sw;
	__u32 vid;
	__u32 flags; /* of that port */
	__u32 inner; /* length without the Ethernet header */
	__u8 dst[6];
	__u8 src[6];
	__u16 proto; /* network order */
};

struct arp_ip {
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
} __attribute__((packed));

struct ip4 {
	__u8 version_ihl, tos;
	__be16 len, id, frag;
	__u8 ttl, proto;
	__be16 check;
	__u8 src[4], dst[4];
};

struct ip6 {
	__be32 version_flow;
	__be16 len;
	__u8 next, hops;
	__u8 src[16], dst[16];
};

struct udp {
	__be16 sport, dport, len, check;
};

/* BOOTP up to chaddr */
struct bootp {
	__u8 op, htype, hlen, hops;
	__be32 xid;
	__be16 secs, flags;
	__be32 ciaddr, yiaddr, siaddr, giaddr;
	__u8 chaddr[6];
} __attribute__((packed));

#define BOOTP_MAGIC 236 /* offset of the cookie; options follow */

/*
 * The firewall's place.  dir FILTER_OUT: the owner of `ruleset` sends; FILTER_IN:
 * it receives.  Non-zero: drop.
 */
__attribute__((weak)) __attribute__((noinline)) int
sw_filter(struct __sk_buff *skb, __u32 ruleset, __u32 dir)
{
	volatile int verdict = 0;

	return verdict;
}

static __always_inline void
count_drop(__u32 ifindex, int why)
{
	struct sw_stats *s = bpf_map_lookup_elem(&stats, &ifindex);

	if (s && why >= 0 && why < SW_DROPS)
		s->drops[why]++;
}

static __always_inline void
count(struct __sk_buff *skb, __u32 ifindex, int in)
{
	struct sw_stats *s = bpf_map_lookup_elem(&stats, &ifindex);
	__u32 n = skb->gso_segs;

	if (!s)
		return;
	if (!n)
		n = 1;
	if (in) {
		s->ipackets += n;
		s->rbytes += skb->len;
	} else {
		s->opackets += n;
		s->obytes += skb->len;
	}
}

static __always_inline int
mac_differs(const __u8 *a, const __u8 *b)
{
	return a[0] != b[0] || a[1] != b[1] || a[2] != b[2] || a[3] != b[3] || a[4] != b[4] ||
	       a[5] != b[5];
}

static __always_inline void
map_ip4(__u8 *to, const __u8 *ip)
{
	__builtin_memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, ip, 4);
}

static __noinline int
ip_allowed(__u32 ifindex, __u32 flags, const struct sw_ip_key *key)
{
	struct sw_net_key net = {.prefixlen = 160, .ifindex = ifindex};

	if (!key)
		return 0;
	if (bpf_map_lookup_elem(&ips, key))
		return 1;
	if (!(flags & SW_NETS))
		return 0;
	__builtin_memcpy(net.addr, key->addr, 16);
	return bpf_map_lookup_elem(&nets, &net) != 0;
}

static __always_inline int
ip4_allowed(__u32 ifindex, __u32 flags, const __u8 *ip)
{
	struct sw_ip_key key = {.ifindex = ifindex};

	map_ip4(key.addr, ip);
	return ip_allowed(ifindex, flags, &key);
}

static __always_inline int
ip6_allowed(__u32 ifindex, __u32 flags, const __u8 *ip)
{
	struct sw_ip_key key = {.ifindex = ifindex};

	__builtin_memcpy(key.addr, ip, 16);
	return ip_allowed(ifindex, flags, &key);
}

static __always_inline int
is_zero(const __u8 *p, int n)
{
	__u8 any = 0;

	for (int i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

static __noinline int
check_arp(struct frame *f)
{
	struct arp_ip a;

	if (!f)
		return DROP_ERROR;
	if (bpf_skb_load_bytes(f->skb, ETH_HLEN, &a, sizeof(a)) < 0)
		return DROP_SHORT;
	if (a.htype != bpf_htons(1) || a.ptype != bpf_htons(ETH_P_IP) || a.hlen != 6 || a.plen != 4)
		return DROP_ARP;
	if ((f->flags & SW_MAC_NOSPOOF) && mac_differs(a.sha, f->src))
		return DROP_ARP;
	/* a probe (RFC 5227) has no sender yet */
	if ((f->flags & SW_IP_NOSPOOF) && !is_zero(a.spa, 4) &&
	    !ip4_allowed(f->port, f->flags, a.spa))
		return DROP_ARP;
	return OK;
}

/* What a DHCP client sends: remembers the request, checks whose it is. */
static __noinline int
check_dhcp_request(struct frame *f, __u32 off)
{
	struct bootp b;
	struct sw_lease *l;

	if (!f)
		return DROP_ERROR;
	if (f->flags & SW_DHCP_ANSWER)
		return EATEN;
	if (!(f->flags & (SW_DHCP_NOSPOOF | SW_DYNAMIC_IP)))
		return OK;
	if (bpf_skb_load_bytes(f->skb, off + sizeof(struct udp), &b, sizeof(b)) < 0)
		return DROP_SHORT;
	if (f->flags & SW_DHCP_NOSPOOF) {
		if (b.op != 1 || b.htype != 1 || b.hlen != 6 || mac_differs(b.chaddr, f->src))
			return DROP_DHCP;
	}
	if (f->flags & SW_DYNAMIC_IP) {
		l = bpf_map_lookup_elem(&leases, &f->port);
		if (l)
			l->xid = b.xid;
	}
	return OK;
}

static __noinline int
check_ip4(struct frame *f)
{
	struct ip4 ip;
	struct udp u = {};
	__u32 hlen, frag;
	int unspecified, dhcp = 0;

	if (!f)
		return DROP_ERROR;
	if (bpf_skb_load_bytes(f->skb, ETH_HLEN, &ip, sizeof(ip)) < 0)
		return DROP_SHORT;
	hlen = (ip.version_ihl & 0xf) * 4;
	if (ip.version_ihl >> 4 != 4 || hlen < sizeof(ip))
		return DROP_SHORT;
	frag = bpf_ntohs(ip.frag);
	unspecified = is_zero(ip.src, 4);
	if (ip.proto == IPPROTO_UDP && !(frag & FRAG_MASK)) {
		if (bpf_skb_load_bytes(f->skb, ETH_HLEN + hlen, &u, sizeof(u)) < 0)
			return DROP_SHORT;
		dhcp = u.dport == bpf_htons(67);
		if ((f->flags & SW_DHCP_NOSPOOF) && u.sport == bpf_htons(67))
			return DROP_DHCP;
		/* DHCP in pieces would hide its chaddr from us */
		if (dhcp && (frag & FRAG_MORE) && (f->flags & (SW_DHCP_NOSPOOF | SW_DYNAMIC_IP)))
			return DROP_DHCP;
	}
	if ((f->flags & SW_IP_NOSPOOF) && !(unspecified && dhcp) &&
	    (unspecified || !ip4_allowed(f->port, f->flags, ip.src)))
		return DROP_IP;
	if (dhcp)
		return check_dhcp_request(f, ETH_HLEN + hlen);
	return OK;
}

/* Link-layer address options (source 1, target 2) must be the sender's own. */
static __noinline int
check_nd_options(struct frame *f, __u32 off, __u32 end)
{
	if (!f)
		return DROP_ERROR;
	for (int i = 0; i < ND_OPTIONS; i++) {
		struct {
			__u8 type, len, mac[6];
		} o;

		if (off >= end)
			return OK;
		if (bpf_skb_load_bytes(f->skb, off, &o, sizeof(o)) < 0)
			return DROP_SHORT;
		if (o.len == 0)
			return DROP_ND;
		if ((o.type == 1 || o.type == 2) && (o.len != 1 || mac_differs(o.mac, f->src)))
			return DROP_ND;
		off += o.len * 8;
	}
	return off >= end ? OK : DROP_ND;
}

/* unspecified: the source is ::. */
static __noinline int
check_icmp6(struct frame *f, __u32 off, __u32 unspecified, __u32 fragmented)
{
	struct {
		__u8 type, code;
		__be16 check;
		__be32 reserved;
		__u8 target[16];
	} nd;
	__u32 end;
	__u8 type;

	if (!f)
		return DROP_ERROR;
	end = f->inner + ETH_HLEN;
	if (bpf_skb_load_bytes(f->skb, off, &type, 1) < 0)
		return DROP_SHORT;
	if (type < ND_RS || type > ND_REDIRECT) {
		if (unspecified && type != ND_MLD_REPORT && type != ND_MLD_DONE &&
		    type != ND_MLD2_REPORT && (f->flags & SW_IP_NOSPOOF))
			return DROP_IP;
		return OK;
	}
	if (fragmented)
		return DROP_ND;
	if (type == ND_RA || type == ND_REDIRECT)
		return f->flags & SW_IP_NOSPOOF ? DROP_ND : OK;
	if (type == ND_RS)
		return f->flags & SW_MAC_NOSPOOF ? check_nd_options(f, off + 8, end) : OK;
	if (bpf_skb_load_bytes(f->skb, off, &nd, sizeof(nd)) < 0)
		return DROP_SHORT;
	/* who advertises, or claims by detection, an address must have it */
	if ((type == ND_NA || unspecified) && (f->flags & SW_IP_NOSPOOF) &&
	    !ip6_allowed(f->port, f->flags, nd.target))
		return DROP_ND;
	return f->flags & SW_MAC_NOSPOOF ? check_nd_options(f, off + sizeof(nd), end) : OK;
}

static __noinline int
check_ip6(struct frame *f)
{
	struct ip6 ip;
	__u32 off = ETH_HLEN + sizeof(ip), unspecified, fragmented = 0;
	__u8 next;

	if (!f)
		return DROP_ERROR;
	if (bpf_skb_load_bytes(f->skb, ETH_HLEN, &ip, sizeof(ip)) < 0)
		return DROP_SHORT;
	if ((bpf_ntohl(ip.version_flow) >> 28) != 6)
		return DROP_SHORT;
	unspecified = is_zero(ip.src, 16);
	if ((f->flags & SW_IP_NOSPOOF) && !unspecified && !ip6_allowed(f->port, f->flags, ip.src))
		return DROP_IP;
	next = ip.next;
	for (int i = 0; i < NEXT_MAX; i++) {
		struct {
			__u8 next, len;
			__be16 frag;
			__be32 id;
		} h;
		struct udp u;

		if (next == NEXT_ICMPV6)
			return check_icmp6(f, off, unspecified, fragmented);
		if (next == IPPROTO_UDP) {
			if (bpf_skb_load_bytes(f->skb, off, &u, sizeof(u)) < 0)
				return DROP_SHORT;
			if ((f->flags & SW_DHCP_NOSPOOF) &&
			    (u.sport == bpf_htons(547) || u.dport == bpf_htons(546)))
				return DROP_DHCP;
			break;
		}
		if (next != NEXT_HOPOPTS && next != NEXT_ROUTING && next != NEXT_DSTOPTS &&
		    next != NEXT_FRAGMENT && next != NEXT_AUTH)
			break;
		if (bpf_skb_load_bytes(f->skb, off, &h, sizeof(h)) < 0)
			return DROP_SHORT;
		if (next == NEXT_FRAGMENT) {
			fragmented = 1;
			if (bpf_ntohs(h.frag) >> 3) /* not the first: no headers in it */
				break;
			off += 8;
		} else if (next == NEXT_AUTH) {
			off += (h.len + 2) * 4;
		} else {
			off += (h.len + 1) * 8;
		}
		next = h.next;
		if (i == NEXT_MAX - 1)
			return DROP_SHORT;
	}
	return (f->flags & SW_IP_NOSPOOF) && unspecified ? DROP_IP : OK;
}

static __always_inline int
protect(struct frame *f, const __u8 *mac)
{
	if (f->src[0] & 1)
		return DROP_MAC;
	if ((f->flags & SW_MAC_NOSPOOF) && mac_differs(f->src, mac))
		return DROP_MAC;
	if (f->proto == bpf_htons(ETH_P_8021Q) || f->proto == bpf_htons(ETH_P_8021AD))
		return DROP_VLAN;
	if (f->proto == bpf_htons(ETH_P_ARP))
		return f->flags & (SW_MAC_NOSPOOF | SW_IP_NOSPOOF) ? check_arp(f) : OK;
	if (f->proto == bpf_htons(ETH_P_IP))
		return f->flags & (SW_IP_NOSPOOF | SW_DHCP_NOSPOOF | SW_DHCP_ANSWER | SW_DYNAMIC_IP)
			       ? check_ip4(f)
			       : OK;
	if (f->proto == bpf_htons(ETH_P_IPV6))
		return f->flags & (SW_MAC_NOSPOOF | SW_IP_NOSPOOF | SW_DHCP_NOSPOOF) ? check_ip6(f)
										     : OK;
	return f->flags & SW_RESTRICTED ? DROP_TYPE : OK;
}

/* A single frame longer than mtu?  TSO frames are cut to gso_size later. */
static __always_inline int
too_long(struct __sk_buff *skb, __u32 inner, __u32 mtu)
{
	return skb->gso_size ? skb->gso_size > mtu : inner > mtu;
}

/*
 * The DHCP answer a port with a dynamic address waits for.  off: the UDP header.
 */
static __noinline int
learn_lease(struct frame *f, __u32 to, __u32 off)
{
	struct sw_lease *l = bpf_map_lookup_elem(&leases, &to);
	struct sw_port *p = bpf_map_lookup_elem(&ports, &to);
	struct sw_ip_key key = {.ifindex = to};
	struct bootp b;
	__be32 magic;
	__u8 one = 1, ack = 0;

	if (!f || !l || !p || !l->xid)
		return 0;
	off += sizeof(struct udp);
	if (bpf_skb_load_bytes(f->skb, off, &b, sizeof(b)) < 0)
		return 0;
	if (b.op != 2 || b.xid != l->xid || mac_differs(b.chaddr, p->mac) || !b.yiaddr)
		return 0;
	if (bpf_skb_load_bytes(f->skb, off + BOOTP_MAGIC, &magic, 4) < 0 ||
	    magic != bpf_htonl(0x63825363))
		return 0;
	off += BOOTP_MAGIC + 4;
	for (int i = 0; i < DHCP_OPTIONS; i++) {
		__u8 o[3];

		if (bpf_skb_load_bytes(f->skb, off, o, 3) < 0)
			return 0;
		if (o[0] == 53) {
			ack = o[2] == 5;
			break;
		}
		if (o[0] == 255)
			return 0;
		off += o[0] ? 2 + o[1] : 1;
	}
	if (!ack || b.yiaddr == l->address)
		return 0;
	if (l->address) {
		map_ip4(key.addr, (__u8 *)&l->address);
		bpf_map_delete_elem(&ips, &key);
	}
	map_ip4(key.addr, (__u8 *)&b.yiaddr);
	bpf_map_update_elem(&ips, &key, &one, BPF_ANY);
	l->address = b.yiaddr;
	return 0;
}

/* The option of a router advertisement that says which prefix to make addresses of. */
struct nd_prefix {
	__u8 type, len, plen, flags;
	__be32 valid, preferred, reserved;
	__u8 prefix[16];
};

static __noinline int
learn_prefix(__u32 to, const struct nd_prefix *o)
{
	struct sw_lease *l = bpf_map_lookup_elem(&leases, &to);
	struct sw_port *p = bpf_map_lookup_elem(&ports, &to);
	struct sw_ip_key key = {.ifindex = to};
	__u8 one = 1;
	__u32 n;

	if (!l || !p || !o || o->plen != 64 || !(o->flags & 0x40) || o->prefix[0] >= 0xfe)
		return 0;
	__builtin_memcpy(key.addr, o->prefix, 8);
	key.addr[8] = p->mac[0] ^ 2;
	key.addr[9] = p->mac[1];
	key.addr[10] = p->mac[2];
	key.addr[11] = 0xff;
	key.addr[12] = 0xfe;
	key.addr[13] = p->mac[3];
	key.addr[14] = p->mac[4];
	key.addr[15] = p->mac[5];
	if (bpf_map_lookup_elem(&ips, &key))
		return 0;
	n = l->n;
	if (n >= SW_PREFIXES)
		return 0;
	__builtin_memcpy(l->addr6[n], key.addr, 16);
	l->n = n + 1;
	bpf_map_update_elem(&ips, &key, &one, BPF_ANY);
	return 0;
}

static __noinline int
watch_ra(struct frame *f, __u32 to)
{
	struct ip6 ip;
	__u32 off = ETH_HLEN + sizeof(ip), end;
	__u8 type;

	if (!f)
		return 0;
	end = f->inner + ETH_HLEN;
	/* a router's hop limit proves that it is a neighbour */
	if (bpf_skb_load_bytes(f->skb, ETH_HLEN, &ip, sizeof(ip)) < 0 || ip.next != NEXT_ICMPV6 ||
	    ip.hops != 255)
		return 0;
	if (bpf_skb_load_bytes(f->skb, off, &type, 1) < 0 || type != ND_RA)
		return 0;
	off += 16;
	for (int i = 0; i < ND_OPTIONS; i++) {
		struct nd_prefix o;

		if (off + 8 > end || bpf_skb_load_bytes(f->skb, off, &o, 2) < 0 || o.len == 0)
			break;
		if (o.type == 3 && o.len == 4 &&
		    bpf_skb_load_bytes(f->skb, off, &o, sizeof(o)) == 0)
			learn_prefix(to, &o);
		off += o.len * 8;
	}
	return 0;
}

static __noinline int
watch_dhcp(struct frame *f, __u32 to)
{
	struct ip4 ip;
	struct udp u;
	__u32 off;

	if (!f || f->proto != bpf_htons(ETH_P_IP))
		return 0;
	if (bpf_skb_load_bytes(f->skb, ETH_HLEN, &ip, sizeof(ip)) < 0 || ip.proto != IPPROTO_UDP ||
	    (bpf_ntohs(ip.frag) & FRAG_MASK))
		return 0;
	off = ETH_HLEN + (ip.version_ihl & 0xf) * 4;
	if (bpf_skb_load_bytes(f->skb, off, &u, sizeof(u)) < 0 || u.sport != bpf_htons(67) ||
	    u.dport != bpf_htons(68))
		return 0;
	return learn_lease(f, to, off);
}

/* May the frame go to port `to`?  Counts it there. */
static __always_inline int
admit(struct frame *f, __u32 to, struct sw_port *p)
{
	if (too_long(f->skb, f->inner, p->mtu)) {
		count_drop(to, DROP_MTU);
		return 0;
	}
	if (p->filter_in && sw_filter(f->skb, p->filter_in, FILTER_IN)) {
		count_drop(to, DROP_FIREWALL);
		return 0;
	}
	if (p->flags & SW_DYNAMIC_IP) {
		watch_dhcp(f, to);
		if (f->proto == bpf_htons(ETH_P_IPV6))
			watch_ra(f, to);
	}
	count(f->skb, to, 1);
	return 1;
}

struct flood_ctx {
	struct frame *f;
	struct sw_group *g;
	__u32 only; /* 0, or SW_PROMISC: ports with that flag alone */
};

static long
flood_one(__u32 i, struct flood_ctx *c)
{
	struct frame *f = c->f;
	struct sw_port *p;
	__u32 to;

	if (i >= SW_GROUP_MAX || i >= c->g->n)
		return 1;
	to = c->g->ifindex[i];
	if (to == f->port)
		return 0;
	p = bpf_map_lookup_elem(&ports, &to);
	if (!p || (c->only && !(p->flags & c->only)))
		return 0;
	if (admit(f, to, p) && bpf_clone_redirect(f->skb, to, 0) < 0)
		count_drop(to, DROP_ERROR);
	return 0;
}

/* Clones to the ports of the frame's VLAN. */
static __noinline int
flood(struct frame *f, __u32 only)
{
	struct flood_ctx c = {.f = f, .only = only};
	struct sw_group_key key;

	if (!f)
		return 0;
	key.sw = f->sw;
	key.vid = f->vid;
	c.g = bpf_map_lookup_elem(&groups, &key);
	if (!c.g)
		return 0;
	bpf_loop(SW_GROUP_MAX, flood_one, &c, 0);
	return 0;
}

static __always_inline __u32 *
lookup(struct frame *f)
{
	struct sw_fdb_key key = {.sw = f->sw, .vid = f->vid};

	__builtin_memcpy(key.mac, f->dst, 6);
	return bpf_map_lookup_elem(&fdb, &key);
}

static __always_inline int
load_frame(struct __sk_buff *skb, struct frame *f)
{
	struct ethhdr e;

	if (bpf_skb_load_bytes(skb, 0, &e, sizeof(e)) < 0)
		return -1;
	__builtin_memcpy(f->dst, e.h_dest, 6);
	__builtin_memcpy(f->src, e.h_source, 6);
	f->proto = e.h_proto;
	f->skb = skb;
	f->inner = skb->len - ETH_HLEN;
	return 0;
}

/* Over to a port; peer: we are on an ingress, where bpf_redirect_peer() may be used. */
static __always_inline int
deliver(struct frame *f, __u32 to, int peer)
{
	struct sw_port *p = bpf_map_lookup_elem(&ports, &to);

	if (!p || !admit(f, to, p))
		return TCX_DROP;
	if (peer && (p->flags & SW_PEER)) {
		/* it was "for another host" at the port it came in by */
		if (f->skb->pkt_type != PACKET_HOST)
			bpf_skb_change_type(f->skb, PACKET_HOST);
		return bpf_redirect_peer(to, 0);
	}
	return bpf_redirect(to, 0);
}

/* The tag for the wire, and the mark that says "has been through the switch". */
static __always_inline int
towards_nic(struct frame *f)
{
	if (f->vid && bpf_skb_vlan_push(f->skb, bpf_htons(ETH_P_8021Q), f->vid) < 0)
		return -1;
	f->skb->mark = SW_MARK;
	return 0;
}

static __always_inline int
forward(struct frame *f)
{
	struct sw_switch *s;
	__u32 *to, uplink;

	if (!(f->dst[0] & 1)) {
		to = lookup(f);
		if (to)
			return *to == f->port ? TCX_DROP : deliver(f, *to, 1);
	}
	s = bpf_map_lookup_elem(&switches, &f->sw);
	uplink = s ? s->uplink : 0;
	if (uplink && !mac_differs(f->dst, s->mac)) {
		if (towards_nic(f) < 0)
			return TCX_DROP;
		return bpf_redirect(uplink, BPF_F_INGRESS);
	}
	flood(f, f->dst[0] & 1 ? 0 : SW_PROMISC);
	if (!uplink) {
		if (!(f->dst[0] & 1))
			count_drop(f->port, DROP_UNKNOWN);
		return TCX_DROP;
	}
	if (towards_nic(f) < 0)
		return TCX_DROP;
	if ((f->dst[0] & 1) && bpf_clone_redirect(f->skb, uplink, BPF_F_INGRESS) < 0)
		count_drop(f->port, DROP_ERROR);
	return bpf_redirect(uplink, 0);
}

SEC("tcx/ingress")
int
sw_port(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sw_port *p = bpf_map_lookup_elem(&ports, &ifindex);
	struct frame f = {.port = ifindex};
	int why;

	if (!p)
		return TCX_DROP;
	f.sw = p->sw;
	f.vid = p->vid;
	f.flags = p->flags;
	if (load_frame(skb, &f) < 0) {
		count_drop(ifindex, DROP_SHORT);
		return TCX_DROP;
	}
	if (skb->vlan_present) {
		/* a tag without VLAN is only a priority: taken off */
		if ((skb->vlan_tci & 0xfff) || bpf_skb_vlan_pop(skb) < 0) {
			count_drop(ifindex, DROP_VLAN);
			return TCX_DROP;
		}
	}
	if (too_long(skb, f.inner, p->mtu)) {
		count_drop(ifindex, DROP_MTU);
		return TCX_DROP;
	}
	why = protect(&f, p->mac);
	if (why == OK && p->filter_out && sw_filter(skb, p->filter_out, FILTER_OUT))
		why = DROP_FIREWALL;
	if (why != OK) {
		count_drop(ifindex, why);
		return TCX_DROP;
	}
	count(skb, ifindex, 0);
	if (p->shaper)
		return bpf_redirect(p->shaper, 0);
	return forward(&f);
}

/* Out of a bandwidth limit: all that is left to do is to forward. */
SEC("tcx/ingress")
int
sw_shaped(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct sw_port *p = bpf_map_lookup_elem(&ports, &ifindex);
	struct frame f = {};

	if (!p || !p->owner || load_frame(skb, &f) < 0)
		return TCX_DROP;
	f.port = p->owner;
	f.sw = p->sw;
	f.vid = p->vid;
	return forward(&f);
}

/* The VLAN of a frame at a NIC, its tag taken off; -1: not ours to understand. */
static __always_inline int
take_tag(struct __sk_buff *skb, struct frame *f, __u16 *tci)
{
	*tci = 0;
	if (skb->vlan_present) {
		*tci = skb->vlan_tci;
	} else if (f->proto == bpf_htons(ETH_P_8021Q)) {
		__be16 tag;

		if (bpf_skb_load_bytes(skb, ETH_HLEN, &tag, 2) < 0)
			return -1;
		*tci = bpf_ntohs(tag);
	} else {
		return 0;
	}
	f->vid = *tci & 0xfff;
	if (bpf_skb_vlan_pop(skb) < 0)
		return -1;
	return load_frame(skb, f);
}

/*
 * Both directions of a NIC: what the fdb knows goes to its port, what it does
 * not know goes on as it was.
 */
static __always_inline int
at_uplink(struct __sk_buff *skb, int ingress)
{
	__u32 ifindex = skb->ifindex, tagged, *to;
	struct sw_port *p;
	struct frame f = {.port = ifindex};
	__be16 tag_proto = 0;
	__u16 tci;

	if (skb->mark == SW_MARK) {
		skb->mark = 0;
		return TCX_PASS;
	}
	p = bpf_map_lookup_elem(&ports, &ifindex);
	if (!p || load_frame(skb, &f) < 0)
		return TCX_PASS;
	f.sw = p->sw;
	tagged = skb->vlan_present || f.proto == bpf_htons(ETH_P_8021Q);
	if (tagged)
		tag_proto = skb->vlan_present ? skb->vlan_proto : bpf_htons(ETH_P_8021Q);
	if (tagged && tag_proto != bpf_htons(ETH_P_8021Q))
		return TCX_PASS;
	if (take_tag(skb, &f, &tci) < 0)
		return TCX_PASS;
	if (!(f.dst[0] & 1)) {
		to = lookup(&f);
		if (to)
			return deliver(&f, *to, ingress);
	}
	flood(&f, f.dst[0] & 1 ? 0 : SW_PROMISC);
	if (tagged && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), tci) < 0)
		return TCX_DROP;
	return TCX_PASS;
}

SEC("tcx/ingress")
int
sw_uplink_in(struct __sk_buff *skb)
{
	return at_uplink(skb, 1);
}

SEC("tcx/egress")
int
sw_uplink_out(struct __sk_buff *skb)
{
	return at_uplink(skb, 0);
}

char LICENSE[] SEC("license") = "Dual MPL/GPL";
