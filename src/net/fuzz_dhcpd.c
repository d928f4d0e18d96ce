/*
 * Frames a guest may send to its DHCP answerer.  The Ethernet source and the
 * chaddr of the input are taken for the guest's, so that mutations get past
 * the first checks.
 */
#include <stdlib.h>
#include <string.h>

#include "net/dhcpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct dhcpd_config c;
	uint8_t *in, *out;
	size_t n;

	ip_parse("10.0.0.5/24", &c.ip);
	ip_parse("10.0.0.1", &c.gateway);
	ip_parse("8.8.8.8", &c.resolvers[0]);
	ip_parse("10.1.0.0/16", &c.routes[0].dst);
	ip_parse("10.0.0.2", &c.routes[0].via);
	c.n_resolvers = c.n_routes = 1;
	memcpy(c.hostname, "guest", 6);
	memset(c.domain, 'd', sizeof(c.domain) - 1);
	if (len >= 12)
		memcpy(c.mac.b, data + 6, 6);
	/* exact sizes, so that the sanitizer sees one byte too many */
	in = malloc(len ? len : 1);
	out = malloc(DHCPD_FRAME_MAX);
	if (!in || !out)
		abort();
	if (len)
		memcpy(in, data, len);
	n = dhcpd_answer(&c, in, len, out);
	if (n > DHCPD_FRAME_MAX || (n && n < 14 + 20 + 8 + 300))
		abort();
	free(in);
	free(out);
	return 0;
}
