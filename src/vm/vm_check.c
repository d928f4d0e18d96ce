/* Checks of single values. */
#include "vm/vm_check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "vm/vm_props.h"

/* XML 1.0 cannot hold other control characters, and nobody wants to see them. */
const char *
vm_is_text(const char *v)
{
	for (const unsigned char *p = (const unsigned char *)v; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return "text without control characters";
		if (*p == 0xef && p[1] == 0xbf && (p[2] == 0xbe || p[2] == 0xbf))
			return "text of characters XML can hold";
	}
	return NULL;
}

/* True if v is 1 or more characters, each alphanumeric or in extra. */
static bool
made_of(const char *v, const char *extra)
{
	if (!*v)
		return false;
	for (; *v; v++)
		if (!isalnum((unsigned char)*v) && !strchr(extra, *v))
			return false;
	return true;
}

const char *
vm_is_word(const char *v)
{
	return made_of(v, "._-:/=@%+*") ? NULL : "a word of letters, digits and . _ - : / = @ % + *";
}

const char *
vm_is_zonename(const char *v)
{
	if (isalnum((unsigned char)*v) && made_of(v, "._-") && strlen(v) <= 63 &&
	    strcmp(v, "global") != 0 && strncmp(v, "SUNW", 4) != 0)
		return NULL;
	return "a zone name";
}

const char *
vm_is_hostname(const char *v)
{
	return isalnum((unsigned char)*v) && made_of(v, ".-_") ? NULL : "a host name";
}

const char *
vm_is_pool(const char *v)
{
	return isalpha((unsigned char)*v) && made_of(v, "._-") ? NULL : "a pool name";
}

const char *
vm_is_dataset(const char *v)
{
	return isalpha((unsigned char)*v) && made_of(v, "._-/:") ? NULL : "a dataset name";
}

const char *
vm_is_path(const char *v)
{
	const char *text = vm_is_text(v);

	if (text)
		return text;
	if (*v != '/' || strlen(v) > 1023)
		return "an absolute path";
	for (const char *p = v; (p = strstr(p, "/..")) != NULL; p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return "a path without \"..\"";
	return NULL;
}

const char *
vm_is_image(const char *v)
{
	return isalnum((unsigned char)*v) && made_of(v, "._-@") && strlen(v) < 512
		       ? NULL
		       : "the UUID or name of an image";
}

const char *
vm_is_kernel_version(const char *v)
{
	return isdigit((unsigned char)*v) && made_of(v, ".-_+") && strlen(v) < 64
		       ? NULL
		       : "a kernel version such as 4.3.0";
}

const char *
vm_is_priv(const char *v)
{
	if (*v == '-' || *v == '!')
		v++;
	return made_of(v, "_") ? NULL : "a privilege, or -privilege";
}

static bool
ip_parses(const char *v)
{
	struct in6_addr a;

	return inet_pton(AF_INET, v, &a) == 1 || inet_pton(AF_INET6, v, &a) == 1;
}

/* The address in front of the '/', and the number behind it, which must be there. */
static bool
cidr_parses(const char *v)
{
	char addr[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(v, '/');
	struct in6_addr a;
	int bits;

	if (!slash || (size_t)(slash - v) >= sizeof(addr) || str_to_int(slash + 1, &bits) < 0 ||
	    bits < 0)
		return false;
	memcpy(addr, v, (size_t)(slash - v));
	addr[slash - v] = '\0';
	if (inet_pton(AF_INET, addr, &a) == 1)
		return bits <= 32;
	return inet_pton(AF_INET6, addr, &a) == 1 && bits <= 128;
}

const char *
vm_is_ip(const char *v)
{
	return ip_parses(v) ? NULL : "an IP address";
}

const char *
vm_is_ipv4(const char *v)
{
	struct in_addr a;

	return inet_pton(AF_INET, v, &a) == 1 ? NULL : "an IPv4 address";
}

const char *
vm_is_ipv4_or_dhcp(const char *v)
{
	return strcmp(v, "dhcp") == 0 || !vm_is_ipv4(v) ? NULL : "an IPv4 address or dhcp";
}

const char *
vm_is_ip_or_cidr(const char *v)
{
	return ip_parses(v) || cidr_parses(v) ? NULL : "an IP address or subnet";
}

const char *
vm_is_nic_ip(const char *v)
{
	if (strcmp(v, "dhcp") == 0 || strcmp(v, "addrconf") == 0 || cidr_parses(v))
		return NULL;
	return "an address with prefix length (10.0.0.2/24), dhcp or addrconf";
}

int
vm_netmask_bits(const char *mask)
{
	struct in_addr a;
	uint32_t m;
	int bits = 0;

	if (inet_pton(AF_INET, mask, &a) != 1)
		return -1;
	m = ntohl(a.s_addr);
	while (bits < 32 && (m & (1u << (31 - bits))))
		bits++;
	return bits == 32 || (m << bits) == 0 ? bits : -1;
}

const char *
vm_is_netmask(const char *v)
{
	return vm_netmask_bits(v) >= 0 ? NULL : "a netmask such as 255.255.255.0";
}

const char *
vm_is_mac(const char *v)
{
	char mac[18];

	return vm_mac_normalise(v, mac) == 0 ? NULL : "a unicast MAC address";
}

const char *
vm_is_nic_tag(const char *v)
{
	return made_of(v, "_/") ? NULL : "a NIC tag of letters, digits, _ and /";
}

const char *
vm_is_interface(const char *v)
{
	size_t len = strlen(v);

	if (isalpha((unsigned char)*v) && made_of(v, "_") && isdigit((unsigned char)v[len - 1]))
		return NULL;
	return "an interface name such as net0";
}

const char *
vm_is_port(const char *v)
{
	int port;

	return str_to_int(v, &port) == 0 && port >= 0 && port <= 65535 ? NULL : "a port number";
}

const char *
vm_is_boot_order(const char *v)
{
	const char *letters = str_after(v, "order=");
	char seen[128] = {0};

	if (!letters)
		letters = v;
	if (!*letters)
		return "a boot order such as cdn or order=cd";
	for (const char *p = letters; *p; p++) {
		if (*p == ',' && str_after(p, ",once="))
			return strlen(p) == 7 && strchr("cdn", p[6])
				       ? NULL
				       : "a boot order such as order=cd,once=d";
		if (!strchr("cdn", *p) || seen[(unsigned char)*p]++)
			return "a boot order such as cdn or order=cd";
	}
	return NULL;
}

const char *
vm_is_bootrom(const char *v)
{
	if (strcmp(v, "bios") == 0 || strcmp(v, "uefi") == 0 || !vm_is_path(v))
		return NULL;
	return "bios, uefi or the path of a firmware image";
}

const char *
vm_is_com(const char *v)
{
	const char *sock = str_after(v, "socket,");

	return !vm_is_path(sock ? sock : v) ? NULL : "a device path or socket,PATH";
}

const char *
vm_is_pci_slot(const char *v)
{
	struct strv parts CLEANUP(strv_done) = STRV_INIT;
	static const int top[3] = {255, 31, 7};

	strv_split(&parts, v, ":");
	if (parts.n < 2 || parts.n > 3)
		return "a PCI slot such as 0:4:0";
	for (size_t i = 0; i < parts.n; i++) {
		int n, max = top[i + (parts.n == 2)];

		if (str_to_int(parts.v[i], &n) < 0 || n < 0 || n > max)
			return "a PCI slot such as 0:4:0";
	}
	return NULL;
}

const char *
vm_is_guest_block_size(const char *v)
{
	struct strv parts CLEANUP(strv_done) = STRV_INIT;
	int n[2] = {0, 0};

	strv_split(&parts, v, "/");
	if (parts.n < 1 || parts.n > 2)
		return "a block size such as 512 or 512/4096";
	for (size_t i = 0; i < parts.n; i++)
		if (str_to_int(parts.v[i], &n[i]) < 0 || n[i] < 512 || n[i] > 16384 ||
		    (n[i] & (n[i] - 1)))
			return "a block size such as 512 or 512/4096";
	return parts.n == 2 && n[1] < n[0] ? "a physical block size below the logical one" : NULL;
}

const char *
vm_is_snapshot(const char *v)
{
	return made_of(v, "-_.:%") && strlen(v) <= 64
		       ? NULL
		       : "a snapshot name: at most 64 letters, digits and - _ . : %";
}
