/*
 * A network for tests that needs no interface and no privilege: one guest at
 * 10.0.2.15 behind a gateway at 10.0.2.2 that answers ARP, DHCP and ping, and
 * carries UDP to and from the host's network.  There is no TCP.
 *
 * The guest's NIC holds one end of a socket pair, as if it were any socket of
 * frames; the other end is served in the main thread.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <netinet/in.h>

#include "base/sum.h"
#include "vmm/backend/net.h"
#include "vmm/device.h"

#define GATEWAY 0x0a000202U
#define GUEST 0x0a00020fU
#define NETMASK 0xffffff00U
#define MAX_FLOWS 32
#define MTU 1500U

struct flow {
	struct net_user *u;
	int fd;
	struct event_source *src;
	uint16_t guest_port, port;
	uint32_t addr;
	uint64_t used;
};

struct net_user {
	struct event_loop *loop;
	int fd;
	struct event_source *src;
	uint8_t mac[6]; /* the guest's, as it was last seen */
	struct flow flow[MAX_FLOWS];
	uint64_t clock;
};

static const uint8_t our_mac[6] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};

struct frame {
	uint8_t eth[14];
	struct iphdr ip;
	uint8_t data[MTU];
} __attribute__((packed));

/* Sends len bytes of f->data as an IPv4 packet to the guest. */
static void
send_ip(struct net_user *u, struct frame *f, uint32_t from, uint32_t to, uint8_t protocol, size_t len)
{
	memcpy(f->eth, u->mac, 6);
	memcpy(f->eth + 6, our_mac, 6);
	f->eth[12] = ETH_P_IP >> 8;
	f->eth[13] = ETH_P_IP & 0xff;
	f->ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol,
			       .tot_len = htons((uint16_t)(sizeof(f->ip) + len)),
			       .saddr = htonl(from), .daddr = htonl(to)};
	f->ip.check = htons((uint16_t)~sum16(&f->ip, sizeof(f->ip), 0));
	(void)!write(u->fd, f, 14 + sizeof(f->ip) + len); /* a full queue drops, as a wire does */
}

static void
send_udp(struct net_user *u, struct frame *f, uint32_t from, uint16_t from_port, uint32_t to,
	 uint16_t to_port, size_t len)
{
	struct udphdr h = {.source = htons(from_port), .dest = htons(to_port),
			   .len = htons((uint16_t)(sizeof(h) + len))};

	memcpy(f->data, &h, sizeof(h)); /* no checksum: IPv4 allows that */
	send_ip(u, f, from, to, IPPROTO_UDP, sizeof(h) + len);
}

/* ---- what is answered here ---- */

static void
arp(struct net_user *u, const uint8_t *f, size_t len)
{
	uint8_t out[42];
	uint32_t target;

	if (len < 42 || memcmp(f + 14, "\0\1\x08\0\6\4\0\1", 8) != 0)
		return;
	memcpy(&target, f + 38, 4);
	target = ntohl(target);
	if ((target & NETMASK) != (GATEWAY & NETMASK) || target == GUEST)
		return;
	memcpy(out, f + 6, 6);
	memcpy(out + 6, our_mac, 6);
	memcpy(out + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
	memcpy(out + 22, our_mac, 6);
	memcpy(out + 28, f + 38, 4);
	memcpy(out + 32, f + 22, 10);
	(void)!write(u->fd, out, sizeof(out));
}

static uint8_t *
option(uint8_t *p, uint8_t code, const void *data, size_t len)
{
	*p++ = code;
	*p++ = (uint8_t)len;
	memcpy(p, data, len);
	return p + len;
}

/* DHCP (RFC 2131): discover gets an offer, request an acknowledgement, both the same address. */
static void
dhcp(struct net_user *u, const uint8_t *m, size_t len)
{
	struct frame f = {0};
	uint8_t *b = f.data + sizeof(struct udphdr), *p = b + 240, type = 0;
	uint32_t lease = htonl(86400), mask = htonl(NETMASK), gateway = htonl(GATEWAY),
		 guest = htonl(GUEST);

	if (len < 241 || m[0] != 1)
		return;
	for (size_t i = 240; i + 2 < len && m[i] != 255; i += m[i] ? 2U + m[i + 1] : 1) {
		if (m[i] == 53)
			type = m[i + 2];
	}
	if (type != 1 && type != 3)
		return;
	memcpy(b, m, 240);
	b[0] = 2;
	memcpy(b + 16, &guest, 4);
	memcpy(b + 20, &gateway, 4);
	p = option(p, 53, type == 1 ? "\2" : "\5", 1);
	p = option(p, 54, &gateway, 4);
	p = option(p, 51, &lease, 4);
	p = option(p, 1, &mask, 4);
	p = option(p, 3, &gateway, 4);
	*p++ = 255;
	send_udp(u, &f, GATEWAY, 67, 0xffffffff, 68, (size_t)(p - b));
}

static void
ping(struct net_user *u, const struct frame *in, size_t len)
{
	struct frame f;

	if (len < 8 || in->data[0] != 8 || ntohl(in->ip.daddr) != GATEWAY)
		return;
	memcpy(f.data, in->data, len);
	f.data[0] = f.data[2] = f.data[3] = 0;
	put_be16(f.data + 2, (uint16_t)~sum16(f.data, len, 0));
	send_ip(u, &f, GATEWAY, ntohl(in->ip.saddr), IPPROTO_ICMP, len);
}

/* ---- UDP ---- */

static void
flow_end(struct flow *w)
{
	event_source_free(steal_ptr(&w->src));
	if (w->used)
		close(w->fd);
	w->used = 0;
}

static void
on_flow(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct flow *w = arg;
	struct frame f;
	ssize_t n = recv(fd, f.data + sizeof(struct udphdr),
			 sizeof(f.data) - sizeof(struct udphdr) - sizeof(f.ip), MSG_DONTWAIT);

	if (n >= 0)
		send_udp(w->u, &f, w->addr, w->port, GUEST, w->guest_port, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR)
		flow_end(w); /* refused: nobody is there */
}

/* The flow of that guest port and peer: found, or made in the place of the one unused for longest. */
static struct flow *
flow_of(struct net_user *u, uint16_t guest_port, uint32_t addr, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct flow *oldest = u->flow, *w;

	for (w = u->flow; w < u->flow + MAX_FLOWS; w++) {
		if (w->used && w->guest_port == guest_port && w->addr == addr && w->port == port)
			return w;
		if (w->used < oldest->used)
			oldest = w;
	}
	w = oldest;
	flow_end(w);
	/* The gateway is this host. */
	sa.sin_addr.s_addr = htonl(addr == GATEWAY ? INADDR_LOOPBACK : addr);
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return NULL;
	w->u = u;
	w->guest_port = guest_port;
	w->addr = addr;
	w->port = port;
	w->used = 1;
	if (connect(w->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    event_add_fd(u->loop, w->fd, EPOLLIN, on_flow, w, &w->src, NULL) < 0) {
		flow_end(w);
		return NULL;
	}
	return w;
}

static void
udp(struct net_user *u, const struct frame *f, size_t len)
{
	struct udphdr h;
	struct flow *w;

	if (len < sizeof(h))
		return;
	memcpy(&h, f->data, sizeof(h));
	if (ntohs(h.len) < sizeof(h) || ntohs(h.len) > len)
		return;
	len = ntohs(h.len) - sizeof(h);
	if (ntohs(h.dest) == 67) {
		dhcp(u, f->data + sizeof(h), len);
		return;
	}
	w = flow_of(u, ntohs(h.source), ntohl(f->ip.daddr), ntohs(h.dest));
	if (!w)
		return;
	w->used = ++u->clock + 1;
	(void)!send(w->fd, f->data + sizeof(h), len, MSG_NOSIGNAL); /* lost, as datagrams may be */
}

static void
on_frame(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct net_user *u = arg;
	struct frame f;
	ssize_t n = recv(fd, &f, sizeof(f), MSG_DONTWAIT);
	size_t len;

	if (n < 14)
		return;
	memcpy(u->mac, f.eth + 6, 6);
	if (f.eth[12] == 0x08 && f.eth[13] == 0x06) {
		arp(u, (const uint8_t *)&f, (size_t)n);
		return;
	}
	if (f.eth[12] != 0x08 || f.eth[13] != 0x00 || (size_t)n < 14 + sizeof(f.ip) ||
	    f.ip.version != 4 || f.ip.ihl != 5 || (f.ip.frag_off & htons(0x3fff)))
		return;
	len = ntohs(f.ip.tot_len);
	if (len < sizeof(f.ip) || len > (size_t)n - 14)
		return;
	if (f.ip.protocol == IPPROTO_UDP)
		udp(u, &f, len - sizeof(f.ip));
	else if (f.ip.protocol == IPPROTO_ICMP)
		ping(u, &f, len - sizeof(f.ip));
}

int
net_user_new(struct event_loop *loop, int *ret_fd, struct net_user **ret, struct error *err)
{
	struct net_user *u = xcalloc(1, sizeof(*u));
	int pair[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		free(u);
		return error_set_errno(err, errno, "socketpair");
	}
	u->loop = loop;
	u->fd = pair[0];
	/* Without a loop (fuzzers) it is a wire that leads nowhere. */
	if (loop)
		r = event_add_fd(loop, u->fd, EPOLLIN, on_frame, u, &u->src, err);
	if (r < 0) {
		close(pair[1]);
		net_user_free(u);
		return r;
	}
	*ret_fd = pair[1];
	*ret = u;
	return 0;
}

void
net_user_free(struct net_user *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < MAX_FLOWS; i++)
		flow_end(&u->flow[i]);
	event_source_free(u->src);
	close(u->fd);
	free(u);
}
