/*
 * DHCP for one guest (RFC 2131, 2132, 3442): one client, one address, so the
 * whole server is a function from a frame to a frame and keeps no state.
 *
 * The socket takes all of ETH_P_ALL because only such sockets see a frame
 * before the switch, which eats DHCP requests of a VNIC_DHCP_ANSWER port.  The
 * UDP checksum of a request is not looked at: guests leave it to their NIC.
 */
#include "base/bytes.h"
#include "base/sum.h"
#include "net/dhcpd.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
	DISCOVER = 1,
	OFFER,
	REQUEST,
	DECLINE,
	ACK,
	NAK,
	RELEASE,
	INFORM,
};

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOSTNAME = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_BROADCAST = 28,
	OPT_REQUESTED_IP = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_MAX_SIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_ROUTES = 121,
	OPT_END = 255,
};

#define IP_HLEN 20
#define UDP_HLEN 8
#define BOOTP_LEN 236
#define OPTIONS (BOOTP_LEN + 4)
#define MESSAGE_MIN 300 /* BOOTP's smallest, which some clients insist on */
#define SIZE_MIN 576    /* what every client takes, as an IP packet */
#define DAY 86400

static const uint8_t cookie[4] = {0x63, 0x82, 0x53, 0x63};
static const uint8_t server_mac[6] = {0x02, 0x08, 0x20, 0xff, 0xff, 0xfe};

/* What a request says. */
struct request {
	const uint8_t *bootp;
	uint8_t type;
	bool has_ip, has_server;
	uint8_t ip[4], server[4];
	unsigned max_size;
};

static void
take_option(struct request *q, unsigned code, const uint8_t *v, unsigned len)
{
	switch (code) {
	case OPT_TYPE:
		if (len == 1)
			q->type = v[0];
		break;
	case OPT_REQUESTED_IP:
		if (len == 4) {
			memcpy(q->ip, v, 4);
			q->has_ip = true;
		}
		break;
	case OPT_SERVER:
		if (len == 4) {
			memcpy(q->server, v, 4);
			q->has_server = true;
		}
		break;
	case OPT_MAX_SIZE:
		if (len == 2)
			q->max_size = get_be16(v);
		break;
	}
}

static bool
parse_options(struct request *q, const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len && p[at] != OPT_END) {
		unsigned n;

		if (p[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (at + 2 > len)
			return false;
		n = p[at + 1];
		if (at + 2 + n > len)
			return false;
		take_option(q, p[at], p + at + 2, n);
		at += 2 + n;
	}
	return true;
}

/* A DHCP request of that MAC address? */
static bool
parse_request(const struct mac_addr *mac, const uint8_t *f, size_t len, struct request *q)
{
	size_t hlen, total, udp_len;
	const uint8_t *ip = f + ETH_HLEN, *udp;

	if (len < ETH_HLEN + IP_HLEN || get_be16(f + 12) != ETH_P_IP || memcmp(f + 6, mac->b, 6) != 0)
		return false;
	hlen = (size_t)(ip[0] & 0xf) * 4;
	total = get_be16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < IP_HLEN || total > len - ETH_HLEN ||
	    total < hlen + UDP_HLEN + OPTIONS)
		return false;
	if (ip[9] != IPPROTO_UDP || (get_be16(ip + 6) & 0x3fff))
		return false;
	udp = ip + hlen;
	udp_len = get_be16(udp + 4);
	if (get_be16(udp + 2) != 67 || udp_len > total - hlen || udp_len < UDP_HLEN + OPTIONS)
		return false;
	q->bootp = udp + UDP_HLEN;
	if (q->bootp[0] != 1 || q->bootp[1] != 1 || q->bootp[2] != 6 ||
	    memcmp(q->bootp + 28, mac->b, 6) != 0 || memcmp(q->bootp + BOOTP_LEN, cookie, 4) != 0)
		return false;
	q->max_size = SIZE_MIN;
	return parse_options(q, q->bootp + OPTIONS, udp_len - UDP_HLEN - OPTIONS);
}

/*
 * Who we say we are: the gateway, since the guest will ask it for renewal and
 * we see that on its port; without one, the network's first other address.
 */
static void
server_address(const struct dhcpd_config *c, uint8_t ret[4])
{
	struct ip_addr first = c->ip;

	if (c->gateway.family == AF_INET) {
		memcpy(ret, c->gateway.b, 4);
		return;
	}
	ip_mask(&first);
	first.b[3] |= 1;
	if (ip_same(&first, &c->ip))
		first.b[3] ^= 3;
	memcpy(ret, first.b, 4);
}

/* The answer as it grows; an option that does not fit is left out. */
struct answer {
	uint8_t *p;
	size_t len, limit;
};

static void
put_option(struct answer *a, unsigned code, const void *v, size_t len)
{
	if (len == 0 || len > 255 || a->len + 2 + len + 1 > a->limit)
		return;
	a->p[a->len++] = (uint8_t)code;
	a->p[a->len++] = (uint8_t)len;
	memcpy(a->p + a->len, v, len);
	a->len += len;
}

static void
put_option32(struct answer *a, unsigned code, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	put_option(a, code, b, 4);
}

static size_t
put_route(uint8_t *p, const struct ip_addr *dst, const struct ip_addr *via)
{
	size_t n = (size_t)(dst->prefix + 7) / 8;

	p[0] = dst->prefix;
	memcpy(p + 1, dst->b, n);
	if (via->family == AF_INET)
		memcpy(p + 1 + n, via->b, 4);
	else
		memset(p + 1 + n, 0, 4); /* on link */
	return 1 + n + 4;
}

/* Clients that take option 121 leave 3 alone: the default route is in it too. */
static void
put_routes(struct answer *a, const struct dhcpd_config *c)
{
	uint8_t v[(DHCPD_MAX_ROUTES + 1) * 9];
	static const struct ip_addr any = {.family = AF_INET};
	size_t len = 0;

	for (size_t i = 0; i < c->n_routes && i < DHCPD_MAX_ROUTES; i++)
		if (c->routes[i].dst.family == AF_INET)
			len += put_route(v + len, &c->routes[i].dst, &c->routes[i].via);
	if (len && c->gateway.family == AF_INET)
		len += put_route(v + len, &any, &c->gateway);
	if (len)
		put_option(a, OPT_ROUTES, v, len);
}

static void
put_settings(struct answer *a, const struct dhcpd_config *c)
{
	uint32_t mask = c->ip.prefix ? ~0u << (32 - c->ip.prefix) : 0, ip;
	uint8_t dns[4 * DHCPD_MAX_RESOLVERS], mtu[2];
	size_t n = 0;

	memcpy(&ip, c->ip.b, 4);
	put_option32(a, OPT_MASK, mask);
	if (c->ip.prefix < 31)
		put_option32(a, OPT_BROADCAST, ntohl(ip) | ~mask);
	if (c->gateway.family == AF_INET)
		put_option(a, OPT_ROUTER, c->gateway.b, 4);
	for (size_t i = 0; i < c->n_resolvers && i < DHCPD_MAX_RESOLVERS; i++) {
		if (c->resolvers[i].family != AF_INET)
			continue;
		memcpy(dns + n, c->resolvers[i].b, 4);
		n += 4;
	}
	put_option(a, OPT_DNS, dns, n);
	if (c->mtu) {
		put_be16(mtu, c->mtu);
		put_option(a, OPT_MTU, mtu, 2);
	}
	put_option(a, OPT_HOSTNAME, c->hostname, strnlen(c->hostname, sizeof(c->hostname)));
	put_routes(a, c);
	put_option(a, OPT_DOMAIN, c->domain, strnlen(c->domain, sizeof(c->domain)));
}

/* Ethernet, IP and UDP around a message of len bytes. */
static size_t
wrap(uint8_t *f, size_t len, const uint8_t mac[6], const uint8_t from[4], const uint8_t to[4])
{
	uint8_t *ip = f + ETH_HLEN, *udp = ip + IP_HLEN;
	uint32_t sum;

	memcpy(f, mac, 6);
	memcpy(f + 6, server_mac, 6);
	put_be16(f + 12, ETH_P_IP);
	memset(ip, 0, IP_HLEN + UDP_HLEN);
	ip[0] = 0x45;
	put_be16(ip + 2, (unsigned)(IP_HLEN + UDP_HLEN + len));
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	put_be16(ip + 10, ~sum16(ip, IP_HLEN, 0) & 0xffff);
	put_be16(udp, 67);
	put_be16(udp + 2, 68);
	put_be16(udp + 4, (unsigned)(UDP_HLEN + len));
	sum = IPPROTO_UDP + UDP_HLEN + (uint32_t)len;
	sum = ~sum16(udp, UDP_HLEN + len, sum16(ip + 12, 8, sum)) & 0xffff;
	put_be16(udp + 6, sum ? sum : 0xffff);
	return ETH_HLEN + IP_HLEN + UDP_HLEN + len;
}

/* What to say: OFFER, ACK, NAK, or 0. */
static uint8_t
decide(const struct dhcpd_config *c, const struct request *q, const uint8_t server[4])
{
	const uint8_t *ciaddr = q->bootp + 12;
	static const uint8_t none[4];

	switch (q->type) {
	case DISCOVER:
		return OFFER;
	case INFORM:
		return ACK;
	case REQUEST:
		if (q->has_server && memcmp(q->server, server, 4) != 0)
			return 0; /* it took another's offer */
		if (q->has_ip)
			return memcmp(q->ip, c->ip.b, 4) == 0 ? ACK : NAK;
		if (memcmp(ciaddr, none, 4) != 0)
			return memcmp(ciaddr, c->ip.b, 4) == 0 ? ACK : NAK;
		return 0;
	default: /* DECLINE, RELEASE: nothing to forget */
		return 0;
	}
}

size_t
dhcpd_answer(const struct dhcpd_config *c, const void *frame, size_t len, void *ret)
{
	static const uint8_t everybody[4] = {255, 255, 255, 255};
	uint8_t *f = ret, *m = f + ETH_HLEN + IP_HLEN + UDP_HLEN, server[4], type;
	uint32_t lease = c->lease ? c->lease : DAY;
	struct request q = {0};
	struct answer a = {.p = m, .len = OPTIONS};
	const uint8_t *to;

	if (c->ip.family != AF_INET || !parse_request(&c->mac, frame, len, &q))
		return 0;
	server_address(c, server);
	type = decide(c, &q, server);
	if (!type)
		return 0;
	if (q.max_size < SIZE_MIN)
		q.max_size = SIZE_MIN;
	if (q.max_size > DHCPD_FRAME_MAX - ETH_HLEN)
		q.max_size = DHCPD_FRAME_MAX - ETH_HLEN;
	a.limit = q.max_size - IP_HLEN - UDP_HLEN;
	memset(m, 0, OPTIONS);
	m[0] = 2;
	m[1] = 1;
	m[2] = 6;
	memcpy(m + 4, q.bootp + 4, 4);    /* xid */
	memcpy(m + 10, q.bootp + 10, 2);  /* flags */
	memcpy(m + 24, q.bootp + 24, 4);  /* giaddr */
	memcpy(m + 28, q.bootp + 28, 16); /* chaddr */
	memcpy(m + BOOTP_LEN, cookie, 4);
	put_option(&a, OPT_TYPE, &type, 1);
	put_option(&a, OPT_SERVER, server, 4);
	if (type != NAK) {
		if (q.type == INFORM) {
			memcpy(m + 12, q.bootp + 12, 4);
		} else {
			memcpy(m + 16, c->ip.b, 4);
			if (type == ACK)
				memcpy(m + 12, q.bootp + 12, 4);
			put_option32(&a, OPT_LEASE, lease);
			put_option32(&a, OPT_T1, lease / 2);
			put_option32(&a, OPT_T2, lease - lease / 8);
		}
		put_settings(&a, c);
	}
	m[a.len++] = OPT_END;
	while (a.len < MESSAGE_MIN)
		m[a.len++] = OPT_PAD;
	/* a client without address may not take a unicast packet; a renewing one must get it */
	to = type == NAK || (q.bootp[10] & 0x80) ? everybody : c->ip.b;
	return wrap(f, a.len, c->mac.b, server, to);
}

/*
 * The socket.
 */

struct dhcpd {
	struct dhcpd_config config;
	struct event_source *source;
	int fd;
};

static void
on_frame(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct dhcpd *d = arg;
	uint8_t in[2048], out[DHCPD_FRAME_MAX];

	/* a few at a time: a guest that floods shall not starve the daemon */
	for (int i = 0; i < 16; i++) {
		ssize_t got = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		size_t len;

		if (got <= 0)
			return;
		len = dhcpd_answer(&d->config, in, (size_t)got, out);
		/* lost answers are asked for again: that is DHCP's own business */
		if (len)
			(void)send(fd, out, len, MSG_DONTWAIT);
	}
}

/* IPv4, UDP, first fragment, to port 67. */
static const struct sock_filter only_dhcp[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 8),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, ETH_HLEN + 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 67, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 65535),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int
open_socket(int ifindex, int *ret, struct error *err)
{
	/* protocol 0: nothing arrives before the filter is in place */
	cleanup_close int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sock_fprog prog = {ARRAY_SIZE(only_dhcp), (struct sock_filter *)only_dhcp};
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex};
	int on = 1;

	if (fd < 0)
		return error_set_errno(err, errno, "packet socket");
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		return error_set_errno(err, errno, "filter of the packet socket");
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0)
		return error_set_errno(err, errno, "packet socket on link %d", ifindex);
	*ret = steal_fd(&fd);
	return 0;
}

int
dhcpd_start(struct event_loop *l, int ifindex, const struct dhcpd_config *config,
	    struct dhcpd **ret, struct error *err)
{
	struct dhcpd *d = xcalloc(1, sizeof(*d));
	int r;

	d->config = *config;
	d->fd = -1;
	r = open_socket(ifindex, &d->fd, err);
	if (r == 0)
		r = event_add_fd(l, d->fd, EPOLLIN, on_frame, d, &d->source, err);
	if (r < 0) {
		dhcpd_stop(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
dhcpd_set_config(struct dhcpd *d, const struct dhcpd_config *config)
{
	d->config = *config;
}

void
dhcpd_stop(struct dhcpd *d)
{
	if (!d)
		return;
	event_source_free(d->source);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
