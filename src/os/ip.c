#include "os/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/str.h"

int
ip_parse(const char *s, struct ip_addr *ret)
{
	struct ip_addr a = {0};
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	int prefix;

	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, len);
	host[len] = '\0';
	a.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, host, a.b) != 1)
		return -EINVAL;
	a.prefix = ip_bits(&a);
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9' || str_to_int(slash + 1, &prefix) < 0 ||
		    prefix < 0 || prefix > ip_bits(&a))
			return -EINVAL;
		a.prefix = (uint8_t)prefix;
	}
	*ret = a;
	return 0;
}

int
ip_parse_netmask(const char *s, uint8_t *ret_prefix)
{
	struct in_addr mask;
	uint64_t v;
	uint32_t m;

	if (strchr(s, '.')) {
		if (inet_pton(AF_INET, s, &mask) != 1)
			return -EINVAL;
		m = ntohl(mask.s_addr);
	} else if (str_after(s, "0x")) {
		if (str_to_u64(s, 16, &v) < 0 || v > UINT32_MAX)
			return -EINVAL;
		m = (uint32_t)v;
	} else {
		if (str_to_u64(s, 10, &v) < 0 || v > 32)
			return -EINVAL;
		*ret_prefix = (uint8_t)v;
		return 0;
	}
	if (~m & (~m + 1))
		return -EINVAL;
	*ret_prefix = (uint8_t)__builtin_popcount(m);
	return 0;
}

const char *
ip_print(const struct ip_addr *a, char *buf)
{
	if (!a->family || !inet_ntop(a->family, a->b, buf, IP_STRLEN))
		memcpy(buf, "-", 2);
	return buf;
}

const char *
ip_print_cidr(const struct ip_addr *a, char *buf)
{
	size_t len;

	ip_print(a, buf);
	if (!a->family)
		return buf;
	len = strlen(buf);
	snprintf(buf + len, IP_STRLEN - len, "/%u", a->prefix);
	return buf;
}

const char *
ip_print_netmask(uint8_t prefix, char *buf)
{
	uint32_t m = prefix ? htonl(~0u << (32 - prefix)) : 0;

	if (!inet_ntop(AF_INET, &m, buf, IP_STRLEN))
		memcpy(buf, "-", 2);
	return buf;
}

bool
ip_same(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_same(a, b) && a->prefix == b->prefix;
}

void
ip_mask(struct ip_addr *a)
{
	for (unsigned i = 0; i < sizeof(a->b); i++) {
		unsigned from = i * 8;

		if (from >= a->prefix)
			a->b[i] = 0;
		else if (from + 8 > a->prefix)
			a->b[i] &= (uint8_t)(0xff << (from + 8 - a->prefix));
	}
}

bool
ip_in(const struct ip_addr *a, const struct ip_addr *net)
{
	struct ip_addr x = *a, n = *net;

	if (a->family != net->family)
		return false;
	x.prefix = n.prefix;
	ip_mask(&x);
	ip_mask(&n);
	return ip_same(&x, &n);
}

bool
ip_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

bool
ip_is_multicast(const struct ip_addr *a)
{
	return a->family == AF_INET ? (a->b[0] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool
ip_is_link_local(const struct ip_addr *a)
{
	if (a->family == AF_INET)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
mac_parse(const char *s, struct mac_addr *ret)
{
	struct mac_addr m;
	char sep = 0;

	for (int i = 0; i < 6; i++) {
		int v = hex_digit(*s), w;

		if (v < 0)
			return -EINVAL;
		s++;
		w = hex_digit(*s);
		if (w >= 0) {
			v = v * 16 + w;
			s++;
		}
		m.b[i] = (uint8_t)v;
		if (i == 5)
			break;
		if ((*s != ':' && *s != '-') || (sep && *s != sep))
			return -EINVAL;
		sep = *s++;
	}
	if (*s)
		return -EINVAL;
	*ret = m;
	return 0;
}

const char *
mac_print(const struct mac_addr *m, char *buf)
{
	snprintf(buf, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2],
		 m->b[3], m->b[4], m->b[5]);
	return buf;
}

const char *
mac_print_short(const struct mac_addr *m, char *buf)
{
	snprintf(buf, MAC_STRLEN, "%x:%x:%x:%x:%x:%x", m->b[0], m->b[1], m->b[2], m->b[3], m->b[4],
		 m->b[5]);
	return buf;
}

bool
mac_equal(const struct mac_addr *a, const struct mac_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
mac_is_zero(const struct mac_addr *m)
{
	static const struct mac_addr zero;

	return mac_equal(m, &zero);
}

void
mac_random(struct mac_addr *ret)
{
	static const uint8_t prefix[3] = {0x02, 0x08, 0x20};
	uint8_t tail[3];

	/* up to 256 bytes never are short, and never fail once the pool is up */
	while (getrandom(tail, sizeof(tail), 0) != sizeof(tail))
		;
	memcpy(ret->b, prefix, 3);
	memcpy(ret->b + 3, tail, 3);
}

void
ip_from_mac(const struct mac_addr *m, struct ip_addr *ret)
{
	struct ip_addr a = {.family = AF_INET6, .prefix = 64};

	a.b[0] = 0xfe;
	a.b[1] = 0x80;
	a.b[8] = m->b[0] ^ 0x02;
	a.b[9] = m->b[1];
	a.b[10] = m->b[2];
	a.b[11] = 0xff;
	a.b[12] = 0xfe;
	a.b[13] = m->b[3];
	a.b[14] = m->b[4];
	a.b[15] = m->b[5];
	*ret = a;
}
