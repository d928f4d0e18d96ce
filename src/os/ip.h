/*
 * Internet and Ethernet addresses as values: parse, print, compare.
 */
#ifndef OS_IP_H
#define OS_IP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address with its prefix length; a bare address has the whole length (32 or 128). */
struct ip_addr {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t prefix;
	uint8_t b[16]; /* network order; the rest of an IPv4 address is zero */
};

#define IP_STRLEN 50

/* "10.0.0.1", "10.0.0.0/24", "fd00::1", "fd00::/64"; -EINVAL otherwise. */
int ip_parse(const char *s, struct ip_addr *ret);
/* "255.255.255.0" or "0xffffff00" or "24" to 24; -EINVAL if not contiguous. */
int ip_parse_netmask(const char *s, uint8_t *ret_prefix);
/* Both return buf, of IP_STRLEN: without and with "/prefix". */
const char *ip_print(const struct ip_addr *a, char *buf);
const char *ip_print_cidr(const struct ip_addr *a, char *buf);
/* "255.255.255.0" */
const char *ip_print_netmask(uint8_t prefix, char *buf);
static inline uint8_t
ip_bits(const struct ip_addr *a)
{
	return a->family == AF_INET6 ? 128 : 32;
}
static inline uint8_t
ip_len(const struct ip_addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b); /* with prefix */
bool ip_same(const struct ip_addr *a, const struct ip_addr *b);  /* without */
/* a (without its prefix) lies in net/prefix. */
bool ip_in(const struct ip_addr *a, const struct ip_addr *net);
/* Zeroes the host part. */
void ip_mask(struct ip_addr *a);
bool ip_is_any(const struct ip_addr *a); /* 0.0.0.0, :: */
bool ip_is_multicast(const struct ip_addr *a);
bool ip_is_link_local(const struct ip_addr *a);

struct mac_addr {
	uint8_t b[6];
};

#define MAC_STRLEN 18

/* "2:8:20:a:b:c" or "02:08:20:0a:0b:0c", '-' as well; -EINVAL otherwise. */
int mac_parse(const char *s, struct mac_addr *ret);
const char *mac_print(const struct mac_addr *m, char *buf);       /* 02:08:20:0a:0b:0c */
const char *mac_print_short(const struct mac_addr *m, char *buf); /* 2:8:20:a:b:c, as dladm */
bool mac_equal(const struct mac_addr *a, const struct mac_addr *b);
bool mac_is_zero(const struct mac_addr *m);
static inline bool
mac_is_multicast(const struct mac_addr *m)
{
	return m->b[0] & 1;
}
/* Locally administered, prefix 02:08:20, the rest from the kernel's generator. */
void mac_random(struct mac_addr *ret);
/* fe80::/10 with the EUI-64 of m: what a host gives itself. */
void ip_from_mac(const struct mac_addr *m, struct ip_addr *ret);

#endif
