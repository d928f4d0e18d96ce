/*
 * The switch, at work: zones are network namespaces, the wire is a veth pair
 * whose far end is in one more, and all of it goes with the test's process.
 */
#include "net/vnic.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "net/internal.h"
#include "os/netlink.h"

static struct net *n;
static struct nl *gz;

/* A global zone of our own, with wire0 -- (outside) wire1. */
static int outside = -1;
static struct mac_addr outside_mac;

static void
setup(void)
{
	struct net_opts opts = {0};
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		test_skip("needs root: BPF, network namespaces");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		test_skip("no network namespaces here");
	require(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	require(mount("test", "/mnt", "tmpfs", 0, NULL) == 0); /* gone with the namespace */
	opts.run_dir = "/mnt/net";
	opts.config_path = "/mnt/config";
	require_ok(net_open(&opts, &n, &err), &err);
	require_ok(nl_open(-1, &gz, &err), &err);
	require_ok(nl_link_set_up(gz, 1, true, &err), &err);
}

static int
ifindex_in(int netns, const char *name)
{
	struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	struct nl_link l;

	require_ok(nl_open(netns, &nl, &err), &err);
	require_ok(nl_link_get(nl, name, &l, &err), &err);
	return l.ifindex;
}

static void
add_ip(int netns, const char *link, const char *ip)
{
	struct error err = ERROR_INIT;
	cleanup_nl struct nl *nl = NULL;
	struct ip_addr a;

	require(ip_parse(ip, &a) == 0);
	require_ok(nl_open(netns, &nl, &err), &err);
	require_ok(nl_addr_add(nl, ifindex_in(netns, link), &a, &err), &err);
}

static void
make_wire(uint32_t mtu)
{
	struct error err = ERROR_INIT;
	struct nl_veth v = {.name = "wire0", .peer_name = "wire1", .mtu = mtu};
	cleanup_nl struct nl *nl = NULL;

	require_ok(nl_netns_new(&outside, &err), &err);
	mac_random(&outside_mac);
	v.peer_netns = outside;
	v.peer_mac = outside_mac;
	require_ok(nl_veth_create(gz, &v, &err), &err);
	require_ok(nl_link_set_flags(gz, ifindex_in(-1, "wire0"), IFF_UP, IFF_NOARP, &err), &err);
	require_ok(nl_open(outside, &nl, &err), &err);
	require_ok(nl_link_set_up(nl, ifindex_in(outside, "wire1"), true, &err), &err);
}

struct zone {
	int netns;
	int port;
	struct ip_addr ip;
	struct mac_addr mac;
};

static struct zone
make_zone(const char *name, const char *over, const char *ip, uint16_t vid, uint32_t flags)
{
	struct error err = ERROR_INIT;
	struct zone z = {0};
	struct vnic_spec spec = {
		.zone = name,
		.name = "net0",
		.over = over,
		.vid = vid,
		.flags = flags,
		.allowed = &z.ip,
		.n_allowed = 1,
	};
	cleanup_vnic_info struct vnic_info info = {0};
	cleanup_free char *cidr = str_printf("%s/24", ip);

	require(ip_parse(ip, &z.ip) == 0);
	require_ok(nl_netns_new(&z.netns, &err), &err);
	spec.netns_fd = z.netns;
	require_ok(vnic_create(n, &spec, &z.port, NULL, &err), &err);
	require_ok(vnic_get(n, name, "net0", &info, &err), &err);
	z.mac = info.mac;
	check_int(info.ifindex, ==, z.port);
	add_ip(z.netns, "net0", cidr);
	return z;
}

static struct vnic_stats
stats_of(const struct zone *z)
{
	struct error err = ERROR_INIT;
	struct vnic_stats s;

	require_ok(vnic_stats(n, z->port, &s, &err), &err);
	return s;
}

static int
udp_socket(int netns, const char *ip, uint16_t port)
{
	struct error err = ERROR_INIT;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd, on = 1;

	require_ok(nl_socket_in(netns, AF_INET, SOCK_DGRAM, 0, &fd, &err), &err);
	inet_pton(AF_INET, ip, &a.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	require(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

/* Does what `from` sends to ip:port arrive at `to` within ms? */
static bool
reaches(int from, int to, const char *ip, uint16_t port, int ms)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct pollfd p = {.fd = to, .events = POLLIN};
	static int count;
	char out[32], in[32];
	int len;

	len = snprintf(out, sizeof(out), "packet %d", ++count);
	inet_pton(AF_INET, ip, &a.sin_addr);
	if (sendto(from, out, (size_t)len, 0, (struct sockaddr *)&a, sizeof(a)) != len)
		return false;
	while (poll(&p, 1, ms) == 1) {
		ssize_t got = recv(to, in, sizeof(in), 0);

		if (got == len && memcmp(in, out, (size_t)len) == 0)
			return true;
	}
	return false;
}

/* UDP both ways between two namespaces. */
static bool
talk(int a, const char *ip_a, int b, const char *ip_b)
{
	cleanup_close int sa = udp_socket(a, ip_a, 7), sb = udp_socket(b, ip_b, 7);

	return reaches(sa, sb, ip_b, 7, 20000) && reaches(sb, sa, ip_a, 7, 20000);
}

static bool
no_talk(int a, const char *ip_a, int b, const char *ip_b)
{
	cleanup_close int sa = udp_socket(a, ip_a, 7), sb = udp_socket(b, ip_b, 7);

	return !reaches(sa, sb, ip_b, 7, 150) && !reaches(sb, sa, ip_a, 7, 150);
}

TEST(two_zones_on_an_etherstub_talk)
{
	struct error err = ERROR_INIT;
	struct zone a, b;
	struct vnic_stats s;

	setup();
	require_ok(etherstub_create(n, "stub0", 0, &err), &err);
	a = make_zone("za", "stub0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	b = make_zone("zb", "stub0", "10.9.0.2", 0, VNIC_PROTECT_ALL);
	check(talk(a.netns, "10.9.0.1", b.netns, "10.9.0.2"));
	s = stats_of(&a);
	check_int(s.opackets, >=, 2); /* ARP, a datagram */
	check_int(s.ipackets, >=, 2);
	check_int(s.obytes, >, s.opackets * 40);
	check_int(etherstub_delete(n, "stub0", &err), ==, -EBUSY);
	error_done(&err);
	require_ok(vnic_delete_zone(n, "za", &err), &err);
	require_ok(vnic_delete(n, "zb", "net0", &err), &err);
	require_ok(vnic_delete(n, "zb", "net0", &err), &err);
	require_ok(etherstub_delete(n, "stub0", &err), &err);
	check_int(if_nametoindex("vp2"), ==, 0);
}

/* The wire, the global zone's own address on the NIC, two zones, all with all. */
TEST(zones_wire_and_global_zone)
{
	struct zone a, b;

	setup();
	make_wire(0);
	add_ip(outside, "wire1", "10.9.0.9/24");
	add_ip(-1, "wire0", "10.9.0.8/24");
	check(talk(-1, "10.9.0.8", outside, "10.9.0.9"));
	a = make_zone("za", "wire0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	b = make_zone("zb", "wire0", "10.9.0.2", 0, VNIC_PROTECT_ALL);
	check(talk(a.netns, "10.9.0.1", b.netns, "10.9.0.2"));
	check(talk(a.netns, "10.9.0.1", outside, "10.9.0.9"));
	check(talk(b.netns, "10.9.0.2", -1, "10.9.0.8"));
	check(talk(-1, "10.9.0.8", a.netns, "10.9.0.1"));
	check(talk(-1, "10.9.0.8", outside, "10.9.0.9"));
	check(talk(outside, "10.9.0.9", b.netns, "10.9.0.2"));
}

/* A VNIC of the global zone itself, as external0. */
TEST(global_vnic)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {
		.zone = NET_GLOBAL, .name = "external0", .over = "wire0", .netns_fd = -1};
	struct zone a;

	setup();
	make_wire(0);
	add_ip(outside, "wire1", "10.9.0.9/24");
	require_ok(vnic_create(n, &spec, NULL, NULL, &err), &err);
	add_ip(-1, "external0", "10.9.0.7/24");
	a = make_zone("za", "wire0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	check(talk(-1, "10.9.0.7", outside, "10.9.0.9"));
	check(talk(-1, "10.9.0.7", a.netns, "10.9.0.1"));
	require_ok(vnic_rename(n, NET_GLOBAL, "external0", "ext1", &err), &err);
	check(talk(-1, "10.9.0.7", a.netns, "10.9.0.1"));
	require_ok(vnic_delete(n, NET_GLOBAL, "ext1", &err), &err);
	check_int(if_nametoindex("ext1"), ==, 0);
}

TEST(vlans_are_apart)
{
	struct zone a, b, c, d;

	setup();
	make_wire(0);
	a = make_zone("za", "wire0", "10.9.0.1", 5, VNIC_PROTECT_ALL);
	b = make_zone("zb", "wire0", "10.9.0.2", 5, VNIC_PROTECT_ALL);
	c = make_zone("zc", "wire0", "10.9.0.3", 6, VNIC_PROTECT_ALL);
	d = make_zone("zd", "wire0", "10.9.0.4", 0, VNIC_PROTECT_ALL);
	check(talk(a.netns, "10.9.0.1", b.netns, "10.9.0.2"));
	check(no_talk(a.netns, "10.9.0.1", c.netns, "10.9.0.3"));
	check(no_talk(a.netns, "10.9.0.1", d.netns, "10.9.0.4"));
}

static int
packet_socket(int netns, const char *link)
{
	struct error err = ERROR_INIT;
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd, on = 1;

	require_ok(nl_socket_in(netns, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL), &fd, &err), &err);
	sll.sll_ifindex = ifindex_in(netns, link);
	require(bind(fd, (struct sockaddr *)&sll, sizeof(sll)) == 0);
	require(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) == 0);
	return fd;
}

/* Receives one frame from src within ms; its VLAN in *ret_vid (0 none).  Length or -1. */
static ssize_t
receive_from(int fd, const struct mac_addr *src, void *buf, size_t size, uint16_t *ret_vid, int ms)
{
	uint64_t end = time_mono_ms() + (uint64_t)ms;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = time_mono_ms();
		char control[256];
		struct iovec iov = {buf, size};
		struct msghdr mh = {.msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control)};
		ssize_t got;

		if (now >= end || poll(&p, 1, (int)(end - now)) != 1)
			return -1;
		got = recvmsg(fd, &mh, 0);
		if (got < 14 || memcmp((char *)buf + 6, src->b, 6) != 0)
			continue;
		*ret_vid = 0;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
			if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
				struct tpacket_auxdata aux;

				memcpy(&aux, CMSG_DATA(c), sizeof(aux));
				if (aux.tp_status & TP_STATUS_VLAN_VALID)
					*ret_vid = aux.tp_vlan_tci & 0xfff;
			}
		}
		return got;
	}
}

struct frame {
	uint8_t b[2048];
	size_t len;
};

/*
 * Whether just this frame comes within ms, and its VLAN: the zones' own kernels talk too (IPv6's
 * neighbour and multicast messages), from the same MAC addresses.
 */
static bool
arrives(int fd, const struct frame *f, uint16_t *ret_vid, int ms)
{
	uint64_t end = time_mono_ms() + (uint64_t)ms;
	uint8_t buf[2048];
	struct mac_addr src;
	ssize_t got;

	memcpy(src.b, f->b + 6, 6);
	do {
		uint64_t now = time_mono_ms();

		got = now >= end ? -1 : receive_from(fd, &src, buf, sizeof(buf), ret_vid, (int)(end - now));
	} while (got >= 0 && (got != (ssize_t)f->len || memcmp(buf, f->b, f->len) != 0));
	return got >= 0;
}

static void
put(struct frame *f, const void *p, size_t len)
{
	require(f->len + len <= sizeof(f->b));
	memcpy(f->b + f->len, p, len);
	f->len += len;
}

static void
put16(struct frame *f, unsigned v)
{
	uint16_t be = htons((uint16_t)v);

	put(f, &be, 2);
}

static struct frame
ether(const uint8_t *dst, const struct mac_addr *src, unsigned proto)
{
	struct frame f = {0};

	put(&f, dst, 6);
	put(&f, src->b, 6);
	put16(&f, proto);
	return f;
}

static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

static struct frame
arp(const struct mac_addr *src, const struct mac_addr *sha, const char *spa, const char *tpa)
{
	struct frame f = ether(broadcast, src, ETH_P_ARP);
	struct ip_addr s, t;
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1}, none[6];

	require(ip_parse(spa, &s) == 0 && ip_parse(tpa, &t) == 0);
	put(&f, head, sizeof(head));
	put(&f, sha->b, 6);
	put(&f, s.b, 4);
	put(&f, none, 6);
	put(&f, t.b, 4);
	return f;
}

static struct frame
ipv4_udp(const uint8_t *dst, const struct mac_addr *src, const char *from, const char *to,
	 unsigned sport, unsigned dport, unsigned frag, const void *data, size_t len)
{
	struct frame f = ether(dst, src, ETH_P_IP);
	struct ip_addr s, t;
	uint8_t h[12] = {0x45, 0, 0, 0, 0, 7, 0, 0, 64, 17, 0, 0};

	require(ip_parse(from, &s) == 0 && ip_parse(to, &t) == 0);
	h[2] = (uint8_t)((28 + len) >> 8);
	h[3] = (uint8_t)(28 + len);
	h[6] = (uint8_t)(frag >> 8);
	h[7] = (uint8_t)frag;
	put(&f, h, sizeof(h));
	put(&f, s.b, 4);
	put(&f, t.b, 4);
	put16(&f, sport);
	put16(&f, dport);
	put16(&f, 8 + (unsigned)len);
	put16(&f, 0);
	put(&f, data, len);
	return f;
}

static struct frame
ipv6(const uint8_t *dst, const struct mac_addr *src, const struct ip_addr *from, unsigned next,
     const void *data, size_t len)
{
	struct frame f = ether(dst, src, ETH_P_IPV6);
	uint8_t h[8] = {0x60, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)next, 255};
	struct ip_addr all;

	ip_parse("ff02::1", &all);
	put(&f, h, sizeof(h));
	put(&f, from->b, 16);
	put(&f, all.b, 16);
	put(&f, data, len);
	return f;
}

static const uint8_t all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};

/* The zone's counters, the one of why (-1: none) when it has gone up: the frame is looked at when
 * the kernel likes. */
static struct vnic_stats
stats_after(const struct zone *z, const struct vnic_stats *before, int why)
{
	uint64_t end = time_mono_ms() + 20000;
	struct vnic_stats s = stats_of(z);

	while (why >= 0 && s.drops[why] == before->drops[why] && time_mono_ms() < end) {
		poll(NULL, 0, 1);
		s = stats_of(z);
	}
	return s;
}

/* Sends f out of the zone; why: the counter that must go up by one, -1 if it must pass. */
static void
expect_drop(const char *what, const struct zone *z, const struct zone *to, int from_fd, int to_fd,
	    const struct frame *f, int why)
{
	struct vnic_stats before = stats_of(z), after;
	uint16_t vid;
	bool came;

	require(send(from_fd, f->b, f->len, 0) == (ssize_t)f->len);
	after = stats_after(z, &before, why);
	came = arrives(to_fd, f, &vid, why < 0 ? 20000 : 60);
	if (came != (why < 0))
		test_fail(__FILE__, __LINE__, "%s: %s", what, came ? "arrived" : "did not arrive");
	if (came)
		after = stats_of(z);
	for (int d = 0; d < VNIC_DROP_MAX; d++)
		if (after.drops[d] - before.drops[d] != (d == why))
			test_fail(__FILE__, __LINE__, "%s: %lld drops '%s'", what,
				  (long long)(after.drops[d] - before.drops[d]),
				  vnic_drop_name((enum vnic_drop)d));
}

/* za, which is protected and sends from its card what it may and may not, and zb, which hears it.
 */
static struct zone za, zb;
static int from_za = -1, to_zb = -1;

static void
setup_spoofing(void)
{
	struct error err = ERROR_INIT;

	setup();
	require_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	za = make_zone("za", "stub0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	zb = make_zone("zb", "stub0", "10.9.0.2", 0, 0);
	from_za = packet_socket(za.netns, "net0");
	to_zb = packet_socket(zb.netns, "net0");
}

/* why: the counter that tells of the frame's end; -1: it arrives. */
static void
expect(const struct frame *f, const char *what, int why)
{
	expect_drop(what, &za, &zb, from_za, to_zb, f, why);
}

static const uint8_t payload[64];
static const struct mac_addr other = {{2, 8, 0x20, 9, 9, 9}};

TEST(spoofed_frames_are_dropped_and_counted)
{
	struct frame f;

	setup_spoofing();
	/* MAC */
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.1", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "own frame", -1);
	f = ipv4_udp(zb.mac.b, &other, "10.9.0.1", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "other MAC", VNIC_DROP_MAC);
	/* IPv4 */
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.3", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "other IP", VNIC_DROP_IP);
	f = ipv4_udp(zb.mac.b, &za.mac, "0.0.0.0", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "no IP", VNIC_DROP_IP);
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.3", "10.9.0.2", 9, 9, 0x0003, payload, 64);
	expect(&f, "other IP in a fragment", VNIC_DROP_IP);
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.1", "10.9.0.2", 9, 9, 0, payload, 64);
	f.b[14] = 0x44;
	expect(&f, "short IPv4 header", VNIC_DROP_SHORT);
	/* ethertypes, tags */
	f = ether(broadcast, &za.mac, 0x88cc);
	put(&f, payload, 64);
	expect(&f, "LLDP", VNIC_DROP_TYPE);
	f = ether(broadcast, &za.mac, ETH_P_8021Q);
	put16(&f, 7);
	put16(&f, ETH_P_IP);
	put(&f, payload, 64);
	expect(&f, "own tag", VNIC_DROP_VLAN);
	/* to nobody */
	f = ipv4_udp(other.b, &za.mac, "10.9.0.1", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "unknown destination", VNIC_DROP_UNKNOWN);
}

TEST(spoofed_arp_and_dhcp)
{
	uint8_t bootp[240] = {1, 1, 6, 0, 1, 2, 3, 4};
	struct frame f;

	setup_spoofing();
	/* ARP */
	f = arp(&za.mac, &za.mac, "10.9.0.1", "10.9.0.2");
	expect(&f, "own ARP", -1);
	f = arp(&za.mac, &za.mac, "0.0.0.0", "10.9.0.2");
	expect(&f, "ARP probe", -1);
	f = arp(&za.mac, &za.mac, "10.9.0.2", "10.9.0.2");
	expect(&f, "ARP for another's address", VNIC_DROP_ARP);
	f = arp(&za.mac, &other, "10.9.0.1", "10.9.0.2");
	expect(&f, "ARP with another sender", VNIC_DROP_ARP);
	/* DHCP */
	memcpy(bootp + 28, za.mac.b, 6);
	f = ipv4_udp(broadcast, &za.mac, "0.0.0.0", "255.255.255.255", 68, 67, 0, bootp, 240);
	expect(&f, "own DHCP request", -1);
	bootp[28] ^= 1;
	f = ipv4_udp(broadcast, &za.mac, "0.0.0.0", "255.255.255.255", 68, 67, 0, bootp, 240);
	expect(&f, "DHCP request for another", VNIC_DROP_DHCP);
	bootp[28] ^= 1;
	f = ipv4_udp(broadcast, &za.mac, "0.0.0.0", "255.255.255.255", 68, 67, 0x2000, bootp, 240);
	expect(&f, "DHCP request in fragments", VNIC_DROP_DHCP);
	bootp[0] = 2;
	f = ipv4_udp(broadcast, &za.mac, "10.9.0.1", "255.255.255.255", 67, 68, 0, bootp, 240);
	expect(&f, "DHCP server", VNIC_DROP_DHCP);
}

TEST(spoofed_ipv6)
{
	struct ip_addr ll, any6 = {.family = AF_INET6}, other6;
	struct frame f;

	setup_spoofing();
	ip_from_mac(&za.mac, &ll);
	ip_parse("fe80::1", &other6);
	f = ipv6(all_nodes, &za.mac, &ll, 59, payload, 8);
	expect(&f, "own link-local", -1);
	f = ipv6(all_nodes, &za.mac, &other6, 59, payload, 8);
	expect(&f, "other link-local", VNIC_DROP_IP);
	f = ipv6(all_nodes, &za.mac, &any6, 59, payload, 8);
	expect(&f, "unspecified", VNIC_DROP_IP);
}

TEST(spoofed_neighbours)
{
	uint8_t na[32] = {136}, ra[16] = {134}, ns[24] = {135}, ext[40] = {58, 0},
		frag[40] = {58, 0, 0, 1};
	struct ip_addr ll, any6 = {.family = AF_INET6};
	struct frame f;

	setup_spoofing();
	ip_from_mac(&za.mac, &ll);
	memcpy(na + 8, ll.b, 16);
	na[24] = 2;
	na[25] = 1;
	memcpy(na + 26, za.mac.b, 6);
	f = ipv6(all_nodes, &za.mac, &ll, 58, na, sizeof(na));
	expect(&f, "own advertisement", -1);
	memcpy(ext + 8, na, 32);
	f = ipv6(all_nodes, &za.mac, &ll, 0, ext, sizeof(ext));
	expect(&f, "own advertisement behind hop-by-hop", -1);
	memcpy(frag + 8, na, 32);
	f = ipv6(all_nodes, &za.mac, &ll, 44, frag, sizeof(frag));
	expect(&f, "advertisement in a fragment", VNIC_DROP_ND);
	na[26] ^= 4;
	f = ipv6(all_nodes, &za.mac, &ll, 58, na, sizeof(na));
	expect(&f, "advertisement of another MAC", VNIC_DROP_ND);
	memcpy(ext + 8, na, 32);
	f = ipv6(all_nodes, &za.mac, &ll, 0, ext, sizeof(ext));
	expect(&f, "the same behind hop-by-hop", VNIC_DROP_ND);
	na[26] ^= 4;
	na[8 + 15] ^= 1;
	f = ipv6(all_nodes, &za.mac, &ll, 58, na, sizeof(na));
	expect(&f, "advertisement of another address", VNIC_DROP_ND);
	f = ipv6(all_nodes, &za.mac, &ll, 58, ra, sizeof(ra));
	expect(&f, "router advertisement", VNIC_DROP_ND);
	memcpy(ns + 8, ll.b, 16);
	f = ipv6(all_nodes, &za.mac, &any6, 58, ns, sizeof(ns));
	expect(&f, "own address detection", -1);
	ns[8 + 15] ^= 1;
	f = ipv6(all_nodes, &za.mac, &any6, 58, ns, sizeof(ns));
	expect(&f, "address detection for another's", VNIC_DROP_ND);
	na[25] = 0;
	f = ipv6(all_nodes, &za.mac, &ll, 58, na, 26);
	na[8 + 15] ^= 1;
	f = ipv6(all_nodes, &za.mac, &ll, 58, na, 26);
	expect(&f, "truncated option", VNIC_DROP_SHORT);
}

TEST(a_prefix_instead_of_an_address_live)
{
	struct error err = ERROR_INIT;
	struct ip_addr prefix;
	struct vnic_spec spec = {.allowed = &prefix, .n_allowed = 1};
	struct frame f;

	setup_spoofing();
	ip_parse("10.9.0.0/28", &prefix);
	require_ok(vnic_update(n, "za", "net0", VNIC_SET_ALLOWED, &spec, &err), &err);
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.3", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "address in the prefix", -1);
	f = ipv4_udp(zb.mac.b, &za.mac, "10.9.0.16", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "address beyond the prefix", VNIC_DROP_IP);
	spec.flags = 0;
	require_ok(vnic_update(n, "za", "net0", VNIC_SET_FLAGS, &spec, &err), &err);
	expect(&f, "protection off", -1);
	f = ipv4_udp(zb.mac.b, &other, "10.9.0.3", "10.9.0.2", 9, 9, 0, payload, 64);
	expect(&f, "other MAC, protection off", -1);
}

/* The tag is on the wire, and only there; broadcast gets it too. */
TEST(tags_on_the_wire)
{
	static const uint8_t payload[64];
	struct zone a, b;
	cleanup_close int wire = -1, out = -1, in = -1;
	struct frame f, bare;
	uint16_t vid;

	setup();
	make_wire(0);
	a = make_zone("za", "wire0", "10.9.0.1", 5, VNIC_PROTECT_ALL);
	b = make_zone("zb", "wire0", "10.9.0.2", 5, VNIC_PROTECT_ALL);
	wire = packet_socket(outside, "wire1");
	out = packet_socket(a.netns, "net0");
	in = packet_socket(b.netns, "net0");
	f = ipv4_udp(outside_mac.b, &a.mac, "10.9.0.1", "10.9.0.9", 9, 9, 0, payload, 64);
	require(send(out, f.b, f.len, 0) == (ssize_t)f.len);
	check(arrives(wire, &f, &vid, 20000));
	check_int(vid, ==, 5);
	f = arp(&a.mac, &a.mac, "10.9.0.1", "10.9.0.2");
	require(send(out, f.b, f.len, 0) == (ssize_t)f.len);
	check(arrives(wire, &f, &vid, 20000));
	check_int(vid, ==, 5);
	check(arrives(in, &f, &vid, 20000));
	check_int(vid, ==, 0);
	/* from the wire: tagged 5 comes in without its tag, untagged and 6 do not */
	bare = ether(a.mac.b, &outside_mac, ETH_P_IP);
	put(&bare, payload, 64);
	f = ether(a.mac.b, &outside_mac, ETH_P_8021Q);
	put16(&f, 5);
	put16(&f, ETH_P_IP);
	put(&f, payload, 64);
	require(send(wire, f.b, f.len, 0) == (ssize_t)f.len);
	check(arrives(out, &bare, &vid, 20000));
	check_int(vid, ==, 0);
	f.b[15] = 6;
	require(send(wire, f.b, f.len, 0) == (ssize_t)f.len);
	check(!arrives(out, &bare, &vid, 60));
	require(send(wire, bare.b, bare.len, 0) == (ssize_t)bare.len);
	check(!arrives(out, &bare, &vid, 60));
}

TEST(broadcast_reaches_all_but_the_sender)
{
	struct zone a, b, c;
	cleanup_close int sa = -1, sb = -1, sc = -1, sg = -1, so = -1;

	setup();
	make_wire(0);
	add_ip(outside, "wire1", "10.9.0.9/24");
	add_ip(-1, "wire0", "10.9.0.8/24");
	a = make_zone("za", "wire0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	b = make_zone("zb", "wire0", "10.9.0.2", 0, VNIC_PROTECT_ALL);
	c = make_zone("zc", "wire0", "10.9.0.3", 0, VNIC_PROTECT_ALL);
	sa = udp_socket(a.netns, "0.0.0.0", 9);
	sb = udp_socket(b.netns, "0.0.0.0", 9);
	sc = udp_socket(c.netns, "0.0.0.0", 9);
	sg = udp_socket(-1, "0.0.0.0", 9);
	so = udp_socket(outside, "0.0.0.0", 9);
	check(reaches(sa, sb, "10.9.0.255", 9, 20000));
	check(reaches(sa, sc, "10.9.0.255", 9, 20000));
	check(reaches(sa, sg, "10.9.0.255", 9, 20000));
	check(reaches(sa, so, "10.9.0.255", 9, 20000));
	check(reaches(sg, sb, "10.9.0.255", 9, 20000));
	check(reaches(sg, so, "10.9.0.255", 9, 20000));
	check(reaches(so, sa, "10.9.0.255", 9, 20000));
	check(reaches(so, sg, "10.9.0.255", 9, 20000));
	/* each came once */
	{
		struct pollfd p = {.fd = sb, .events = POLLIN};
		char buf[32];
		int count = 0;

		while (poll(&p, 1, count < 3 ? 20000 : 100) == 1 &&
		       recv(sb, buf, sizeof(buf), 0) > 0)
			count++;
		check_int(count, ==, 3); /* one of g, two of outside; all before were read above */
	}
}

TEST(jumbo_and_mtu)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {.zone = "zx", .name = "net0", .over = "wire0", .mtu = 9500};
	struct vnic_spec small = {.mtu = 1500};
	static uint8_t big[8000];
	struct zone a, b;
	cleanup_close int sa = -1, sb = -1;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct pollfd p = {.events = POLLIN};

	setup();
	make_wire(9000);
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -EINVAL);
	check_has(err.message, "9500 is more than the 9000 of wire0");
	error_done(&err);
	a = make_zone("za", "wire0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	b = make_zone("zb", "wire0", "10.9.0.2", 0, VNIC_PROTECT_ALL);
	sa = udp_socket(a.netns, "10.9.0.1", 9);
	sb = udp_socket(b.netns, "10.9.0.2", 9);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	p.fd = sb;
	require(sendto(sa, big, sizeof(big), 0, (void *)&to, sizeof(to)) == sizeof(big));
	check_int(poll(&p, 1, 20000), ==, 1);
	check_int(recv(sb, big, sizeof(big), 0), ==, sizeof(big));
	/* the port's MTU holds, whatever the zone thinks of its own end */
	small.netns_fd = -1;
	require_ok(vnic_update(n, "za", "net0", VNIC_SET_MTU, &small, &err), &err);
	require(sendto(sa, big, sizeof(big), 0, (void *)&to, sizeof(to)) == sizeof(big));
	check_int(poll(&p, 1, 100), ==, 0);
}

TEST(tap_port)
{
	struct error err = ERROR_INIT;
	struct ip_addr ip;
	struct vnic_spec spec = {.zone = "vm1",
				 .name = "net0",
				 .kind = VNIC_TAP,
				 .over = "stub0",
				 .flags = VNIC_PROTECT_ALL,
				 .allowed = &ip,
				 .n_allowed = 1};
	struct vnic_info info = {0};
	uint8_t buf[2048] = {0};
	struct zone a;
	cleanup_close int in = -1;
	struct frame f;
	int fds[VNIC_MAX_QUEUES], port;
	uint16_t vid;
	bool answered = false;

	setup();
	require_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	ip_parse("10.9.0.5", &ip);
	require(mac_parse("02:08:20:01:02:03", &spec.mac) == 0);
	require_ok(vnic_create(n, &spec, &port, fds, &err), &err);
	a = make_zone("za", "stub0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	in = packet_socket(a.netns, "net0");
	/* 12 bytes of virtio_net_hdr? the kernel's default is 10 */
	f = (struct frame){.len = 10};
	{
		struct frame ask = arp(&spec.mac, &spec.mac, "10.9.0.5", "10.9.0.1");

		put(&f, ask.b, ask.len);
	}
	require(write(fds[0], f.b, f.len) == (ssize_t)f.len);
	check_int(receive_from(in, &spec.mac, buf, sizeof(buf), &vid, 20000), >=, 42);
	/* the zone answers; its answer comes out of the tap */
	for (int i = 0; i < 20 && !answered; i++) {
		struct pollfd p = {.fd = fds[0], .events = POLLIN};

		if (poll(&p, 1, 20000) != 1)
			break;
		if (read(fds[0], buf, sizeof(buf)) >= 52 && buf[10 + 12] == 8 &&
		    buf[10 + 13] == 6 && memcmp(buf + 10, spec.mac.b, 6) == 0)
			answered = true;
	}
	check(answered);
	/* more than the MTU */
	{
		static uint8_t big[10 + 14 + 1501];
		struct zone vm = {.port = port};

		f.len = 10 + 14;
		memcpy(big, f.b, f.len);
		big[10 + 12] = 8;
		big[10 + 13] = 0;
		require(write(fds[0], big, sizeof(big)) == sizeof(big));
		check_int(stats_of(&vm).drops[VNIC_DROP_MTU], ==, 1);
		f.len = 10;
	}
	/* the machine ends: its tap goes, the record stays, and starting it again works */
	close(fds[0]);
	require_ok(vnic_get(n, "vm1", "net0", &info, &err), &err);
	check_int(info.ifindex, ==, 0);
	vnic_info_done(&info);
	spec.queues = 2;
	require_ok(vnic_create(n, &spec, NULL, fds, &err), &err);
	f.len = 10;
	{
		struct frame ask = arp(&spec.mac, &spec.mac, "10.9.0.5", "10.9.0.1");

		put(&f, ask.b, ask.len);
	}
	require(write(fds[1], f.b, f.len) == (ssize_t)f.len);
	check_int(receive_from(in, &spec.mac, buf, sizeof(buf), &vid, 20000), >=, 42);
	require_ok(vnic_delete_zone(n, "vm1", &err), &err);
	check_int(vnic_get(n, "vm1", "net0", &info, NULL), ==, -ENOENT);
}

TEST(a_dhcp_lease_is_learnt)
{
	struct error err = ERROR_INIT;
	static const uint8_t payload[64];
	uint8_t bootp[264] = {1, 1, 6, 0, 1, 2, 3, 4};
	struct zone server, client = {0};
	struct vnic_spec spec = {
		.zone = "zc", .name = "net0", .over = "stub0", .flags = VNIC_PROTECT_ALL};
	struct vnic_info info = {0};
	struct ip_addr yi, learnt;
	cleanup_close int in = -1, out = -1;
	struct frame f;

	setup();
	require_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	server = make_zone("zs", "stub0", "10.9.0.1", 0, 0);
	require_ok(nl_netns_new(&client.netns, &err), &err);
	spec.netns_fd = client.netns;
	require_ok(vnic_create(n, &spec, &client.port, NULL, &err), &err);
	require_ok(vnic_get(n, "zc", "net0", &info, &err), &err);
	client.mac = info.mac;
	out = packet_socket(client.netns, "net0");
	in = packet_socket(server.netns, "net0");
	f = ipv4_udp(server.mac.b, &client.mac, "10.9.0.5", "10.9.0.1", 9, 9, 0, payload, 64);
	expect_drop("no address yet", &client, &server, out, in, &f, VNIC_DROP_IP);
	memcpy(bootp + 28, client.mac.b, 6);
	{
		static const uint8_t opts[] = {0x63, 0x82, 0x53, 0x63, 0, 12, 2,
					       'a',  'b',  53,   1,    5, 255};

		memcpy(bootp + 236, opts, sizeof(opts));
	}
	f = ipv4_udp(broadcast, &client.mac, "0.0.0.0", "255.255.255.255", 68, 67, 0, bootp, 264);
	expect_drop("request", &client, &server, out, in, &f, -1);
	ip_parse("10.9.0.5", &yi);
	memcpy(bootp + 16, yi.b, 4);
	bootp[0] = 2;
	bootp[4] ^= 1; /* the answer to another's request */
	f = ipv4_udp(client.mac.b, &server.mac, "10.9.0.1", "10.9.0.5", 67, 68, 0, bootp, 264);
	expect_drop("wrong xid", &server, &client, in, out, &f, -1);
	check(!sw_lease_get(n, (uint32_t)client.port, &learnt));
	bootp[4] ^= 1;
	f = ipv4_udp(client.mac.b, &server.mac, "10.9.0.1", "10.9.0.5", 67, 68, 0, bootp, 264);
	expect_drop("answer", &server, &client, in, out, &f, -1);
	require(sw_lease_get(n, (uint32_t)client.port, &learnt));
	check(ip_same(&learnt, &yi));
	f = ipv4_udp(server.mac.b, &client.mac, "10.9.0.5", "10.9.0.1", 9, 9, 0, payload, 64);
	expect_drop("learnt", &client, &server, out, in, &f, -1);
	/* the next lease takes the place of the first */
	ip_parse("10.9.0.6", &yi);
	memcpy(bootp + 16, yi.b, 4);
	f = ipv4_udp(client.mac.b, &server.mac, "10.9.0.1", "10.9.0.6", 67, 68, 0, bootp, 264);
	expect_drop("second answer", &server, &client, in, out, &f, -1);
	f = ipv4_udp(server.mac.b, &client.mac, "10.9.0.5", "10.9.0.1", 9, 9, 0, payload, 64);
	expect_drop("old address", &client, &server, out, in, &f, VNIC_DROP_IP);
	vnic_info_done(&info);
}

/* The address of an advertised prefix and the own MAC, not the neighbour's, not another prefix. */
TEST(a_router_prefix_is_learnt)
{
	struct error err = ERROR_INIT;
	uint8_t ra[16 + 8 + 32] = {134, 0, 0, 0, 64};
	struct zone router, client = {0};
	struct vnic_spec spec = {
		.zone = "zc", .name = "net0", .over = "stub0", .flags = VNIC_PROTECT_ALL};
	struct vnic_info info = {0};
	struct ip_addr ll, own, other, prefix;
	static const uint8_t payload[8];
	cleanup_close int in = -1, out = -1;
	struct frame f;

	setup();
	require_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	router = make_zone("zs", "stub0", "10.9.0.1", 0, 0);
	require_ok(nl_netns_new(&spec.netns_fd, &err), &err);
	require_ok(nl_sysctl(spec.netns_fd, "ipv6/conf/default/accept_ra", "0", &err), &err);
	require_ok(vnic_create(n, &spec, &client.port, NULL, &err), &err);
	require_ok(vnic_get(n, "zc", "net0", &info, &err), &err);
	client.mac = info.mac;
	out = packet_socket(spec.netns_fd, "net0");
	in = packet_socket(router.netns, "net0");
	ip_from_mac(&client.mac, &own);
	ip_parse("2001:db8::", &prefix);
	memcpy(own.b, prefix.b, 8);
	other = own;
	other.b[15] ^= 1;
	f = ipv6(all_nodes, &client.mac, &own, 59, payload, 8);
	expect_drop("before", &client, &router, out, in, &f, VNIC_DROP_IP);
	ip_from_mac(&router.mac, &ll);
	ra[16] = 1; /* source link-layer address, then the prefix */
	ra[17] = 1;
	ra[24] = 3;
	ra[25] = 4;
	ra[26] = 64;
	ra[27] = 0xc0;
	memcpy(ra + 24 + 16, prefix.b, 16);
	f = ipv6(all_nodes, &router.mac, &ll, 58, ra, sizeof(ra));
	f.b[14 + 7] = 64; /* came over a router: not a neighbour's */
	expect_drop("far advertisement", &router, &client, in, out, &f, -1);
	f = ipv6(all_nodes, &client.mac, &own, 59, payload, 8);
	expect_drop("after a far one", &client, &router, out, in, &f, VNIC_DROP_IP);
	f = ipv6(all_nodes, &router.mac, &ll, 58, ra, sizeof(ra));
	expect_drop("advertisement", &router, &client, in, out, &f, -1);
	f = ipv6(all_nodes, &client.mac, &own, 59, payload, 8);
	expect_drop("own address", &client, &router, out, in, &f, -1);
	f = ipv6(all_nodes, &client.mac, &other, 59, payload, 8);
	expect_drop("a neighbour's address", &client, &router, out, in, &f, VNIC_DROP_IP);
	/* prefixes beyond the fourth are not believed */
	for (int i = 1; i < 6; i++) {
		ra[24 + 16 + 7] = (uint8_t)i;
		f = ipv6(all_nodes, &router.mac, &ll, 58, ra, sizeof(ra));
		expect_drop("one more", &router, &client, in, out, &f, -1);
		own.b[7] = (uint8_t)i;
		f = ipv6(all_nodes, &client.mac, &own, 59, payload, 8);
		expect_drop("its address", &client, &router, out, in, &f,
			    i < 4 ? -1 : VNIC_DROP_IP);
	}
	vnic_info_done(&info);
}

/* Megabits a second that arrive when `from` sends all it can for half a second; not what an earlier
 * one left. */
static int
blast(int from, int to, const char *ip)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	static char out[1400];
	uint64_t start = time_mono_ms(), bytes = 0, last = start;
	int size = 8 << 20;

	out[0]++;
	setsockopt(to, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	inet_pton(AF_INET, ip, &a.sin_addr);
	while (time_mono_ms() - start < 500)
		for (int i = 0; i < 64; i++)
			(void)sendto(from, out, sizeof(out), MSG_DONTWAIT, (struct sockaddr *)&a,
				     sizeof(a));
	for (;;) {
		struct pollfd p = {.fd = to, .events = POLLIN};
		char in[1500];
		ssize_t got;

		if (poll(&p, 1, 100) != 1)
			break;
		while ((got = recv(to, in, sizeof(in), MSG_DONTWAIT)) > 0)
			bytes += in[0] == out[0] ? (uint64_t)got : 0;
		last = time_mono_ms();
	}
	return (int)(bytes * 8 / 1000 / (last - start + 1));
}

/* What gets through, at least: one that others kept from its processor for a while is asked again. */
static int
blast_over(int least, int from, int to, const char *ip)
{
	int mbit = 0;

	for (int i = 0; i < 20 && mbit <= least; i++)
		mbit = blast(from, to, ip);
	return mbit;
}

TEST(bandwidth_is_limited_both_ways)
{
	struct error err = ERROR_INIT;
	struct vnic_spec set = {.maxbw = 40000000};
	struct zone a, b;
	cleanup_close int sa = -1, sb = -1;
	cleanup_free struct nl_link *links = NULL;
	size_t n_links;
	int mbit;

	setup();
	require_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	a = make_zone("za", "stub0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	b = make_zone("zb", "stub0", "10.9.0.2", 0, VNIC_PROTECT_ALL);
	sa = udp_socket(a.netns, "10.9.0.1", 9);
	sb = udp_socket(b.netns, "10.9.0.2", 9);
	check(reaches(sa, sb, "10.9.0.2", 9, 20000));
	mbit = blast(sa, sb, "10.9.0.2");
	if (mbit < 60)
		test_skip("this machine is too slow for a limit to be seen: %d Mb/s", mbit);
	require_ok(vnic_update(n, "za", "net0", VNIC_SET_MAXBW, &set, &err), &err);
	/* 40 Mb/s for half a second is 2.5 MB; bucket and queue let 0.5 MB more through */
	mbit = blast_over(15, sa, sb, "10.9.0.2");
	check_int(mbit, >, 15);
	check_int(mbit, <, 52);
	mbit = blast_over(15, sb, sa, "10.9.0.1");
	check_int(mbit, >, 15);
	check_int(mbit, <, 52);
	check(talk(a.netns, "10.9.0.1", b.netns, "10.9.0.2"));
	set.maxbw = 100000;
	check_int(vnic_update(n, "za", "net0", VNIC_SET_MAXBW, &set, &err), ==, -EINVAL);
	error_done(&err);
	set.maxbw = 0;
	require_ok(vnic_update(n, "za", "net0", VNIC_SET_MAXBW, &set, &err), &err);
	mbit = blast_over(52, sa, sb, "10.9.0.2");
	check_int(mbit, >, 52);
	/* nothing of it is left */
	set.maxbw = 40000000;
	require_ok(vnic_update(n, "zb", "net0", VNIC_SET_MAXBW, &set, &err), &err);
	require_ok(vnic_delete_zone(n, "za", &err), &err);
	require_ok(vnic_delete_zone(n, "zb", &err), &err);
	require_ok(nl_link_list(gz, &links, &n_links, &err), &err);
	check_int(n_links, ==, 1);
}

/* Killed at any point, creation can be repeated; nothing of the first try is left. */
TEST(killed_while_creating)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {
		.zone = "za", .name = "net0", .over = "stub0", .flags = VNIC_PROTECT_ALL};
	cleanup_free struct nl_link *links = NULL;
	size_t n_links, ports = 0;
	struct zone b;
	uint32_t seed = 1;

	setup();
	require_ok(etherstub_create(n, "stub0", 0, &err), &err);
	require_ok(nl_netns_new(&spec.netns_fd, &err), &err);
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();
		int status;

		require(pid >= 0);
		if (pid == 0) {
			struct itimerval t = {0};

			seed = seed * 1103515245u + 12345u + (uint32_t)i * 7919u;
			t.it_value.tv_usec = 1 + (seed >> 8) % 2500;
			struct net_opts own = {.run_dir = "/mnt/net", .config_path = "/mnt/c"};

			if (net_open(&own, &n, &err) < 0)
				_exit(8);
			signal(SIGALRM, SIG_DFL);
			setitimer(ITIMER_REAL, &t, NULL);
			for (;;)
				if (vnic_create(n, &spec, NULL, NULL, &err) < 0) {
					printf("# %s\n", err.message);
					fflush(stdout);
					_exit(9);
				}
		}
		require(waitpid(pid, &status, 0) == pid);
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	}
	require_ok(vnic_create(n, &spec, NULL, NULL, &err), &err);
	add_ip(spec.netns_fd, "net0", "10.9.0.1/24");
	b = make_zone("zb", "stub0", "10.9.0.2", 0, 0);
	{
		struct ip_addr ip;
		struct vnic_spec set = {.allowed = &ip, .n_allowed = 1};

		ip_parse("10.9.0.1", &ip);
		require_ok(vnic_update(n, "za", "net0", VNIC_SET_ALLOWED, &set, &err), &err);
	}
	check(talk(spec.netns_fd, "10.9.0.1", b.netns, "10.9.0.2"));
	require_ok(nl_link_list(gz, &links, &n_links, &err), &err);
	for (size_t i = 0; i < n_links; i++)
		ports += str_after(links[i].name, "vp") != NULL;
	check_int(ports, ==, 2);
}

TEST(no_second_switch)
{
	struct error err = ERROR_INIT;
	struct net_opts opts = {.run_dir = "/mnt/net", .config_path = "/mnt/config"};
	cleanup_net struct net *other = NULL;

	setup();
	require_ok(etherstub_create(n, "stub0", 0, &err), &err);
	require(umount("/mnt/net/bpf") == 0);
	require_ok(net_open(&opts, &other, &err), &err);
	check_int(etherstub_create(other, "stub1", 0, &err), ==, -ENOENT);
	check_has(err.message, "another mount namespace");
	error_done(&err);
}

TEST(conflicts_are_refused)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {.zone = "zb", .name = "net0", .over = "stub0", .netns_fd = -1};
	struct zone a;

	setup();
	require_ok(etherstub_create(n, "stub0", 0, &err), &err);
	check_int(etherstub_create(n, "stub0", 0, &err), ==, -EEXIST);
	error_done(&err);
	a = make_zone("za", "stub0", "10.9.0.1", 0, VNIC_PROTECT_ALL);
	spec.mac = a.mac;
	require_ok(nl_netns_new(&spec.netns_fd, &err), &err);
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -EEXIST);
	check_has(err.message, "is in use on stub0");
	error_done(&err);
	spec.vid = 7; /* another VLAN: another network */
	require_ok(vnic_create(n, &spec, NULL, NULL, &err), &err);
	spec.name = "net0x";
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -EINVAL);
	error_done(&err);
	spec.name = "net1";
	spec.zone = "../zb";
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -EINVAL);
	error_done(&err);
	spec.zone = "zb";
	spec.over = "nic9";
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -ENODEV);
	check_has(err.message, "nic9: no such link");
	error_done(&err);
	spec.over = NULL;
	spec.nic_tag = "dmz";
	check_int(vnic_create(n, &spec, NULL, NULL, &err), ==, -ENOENT);
	check_has(err.message, "nic tag \"dmz\" does not exist");
	error_done(&err);
}
