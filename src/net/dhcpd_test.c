/*
 * What the answerer says to requests, good and bad; the fuzzer's corpus; and
 * the whole way through a tap.
 */
#include "net/dhcpd.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "net/vnic.h"


static struct dhcpd_config config;

static void
setup(void)
{
	memset(&config, 0, sizeof(config));
	mac_parse("02:08:20:01:02:03", &config.mac);
	ip_parse("10.0.0.5/24", &config.ip);
	ip_parse("10.0.0.1", &config.gateway);
	ip_parse("8.8.8.8", &config.resolvers[0]);
	ip_parse("8.8.4.4", &config.resolvers[1]);
	config.n_resolvers = 2;
	memcpy(config.hostname, "web", 4);
	memcpy(config.domain, "example.com", 12);
}

/* A request with these options (without the end); its length. */
static size_t
request(uint8_t *f, const uint8_t *opts, size_t n)
{
	static const uint8_t head[] = {0x45, 0, 0, 0, 0,   0,   0,   0,   64,   17,   0,    0,
				       0,    0, 0, 0, 255, 255, 255, 255, 0,    68,   0,    67,
				       0,    0, 0, 0, 1,   1,   6,   0,   0xde, 0xad, 0xbe, 0xef};
	size_t total = 20 + 8 + 240 + n + 1;

	memset(f, 0, 14 + total);
	memset(f, 255, 6);
	memcpy(f + 6, config.mac.b, 6);
	f[12] = 8;
	memcpy(f + 14, head, sizeof(head));
	f[14 + 2] = (uint8_t)(total >> 8);
	f[14 + 3] = (uint8_t)total;
	f[34 + 4] = (uint8_t)((total - 20) >> 8);
	f[34 + 5] = (uint8_t)(total - 20);
	memcpy(f + 42 + 28, config.mac.b, 6);
	memcpy(f + 42 + 236, "\x63\x82\x53\x63", 4);
	memcpy(f + 42 + 240, opts, n);
	f[42 + 240 + n] = 255;
	return 14 + total;
}

/* The option's value in an answer, its length in *len; NULL if it is not there. */
static const uint8_t *
option(const uint8_t *f, size_t n, unsigned code, size_t *len)
{
	size_t at = 42 + 240;

	while (at < n && f[at] != 255) {
		if (f[at] == 0) {
			at++;
			continue;
		}
		*len = f[at + 1];
		if (f[at] == code)
			return f + at + 2;
		at += 2u + f[at + 1];
	}
	return NULL;
}

static void
check_option(int line, const uint8_t *f, size_t n, unsigned code, const void *want, size_t want_len)
{
	size_t len;
	const uint8_t *v = option(f, n, code, &len);

	if (!v || len != want_len || memcmp(v, want, len) != 0)
		test_fail(__FILE__, line, "option %u is not as expected", code);
}
#define OPTION(code, want) check_option(__LINE__, out, n, code, want, sizeof(want) - 1)

static unsigned
checksum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

TEST(discover_is_offered)
{
	uint8_t in[600], out[DHCPD_FRAME_MAX];
	static const uint8_t opts[] = {0, 53, 1, 1, 55, 2, 1, 3};
	size_t len, n;

	setup();
	len = request(in, opts, sizeof(opts));
	n = dhcpd_answer(&config, in, len, out);
	require(n >= 342);
	check_int(memcmp(out, config.mac.b, 6), ==, 0);
	check_int(out[42], ==, 2);
	check_int(memcmp(out + 42 + 4, "\xde\xad\xbe\xef", 4), ==, 0);
	check_int(memcmp(out + 42 + 16, "\x0a\x00\x00\x05", 4), ==, 0);
	OPTION(53, "\x02");
	OPTION(54, "\x0a\x00\x00\x01");
	OPTION(51, "\x00\x01\x51\x80");
	OPTION(1, "\xff\xff\xff\x00");
	OPTION(28, "\x0a\x00\x00\xff");
	OPTION(3, "\x0a\x00\x00\x01");
	OPTION(6, "\x08\x08\x08\x08\x08\x08\x04\x04");
	OPTION(12, "web");
	OPTION(15, "example.com");
	check(!option(out, n, 121, &len));
	/* IP and UDP checksums as a receiver adds them up */
	check_int(checksum(out + 14, 20, 0), ==, 0xffff);
	check_int(checksum(out + 34, n - 34, checksum(out + 26, 8, 17 + (uint32_t)n - 34)), ==,
		  0xffff);
}

TEST(request_is_acknowledged_or_refused)
{
	uint8_t in[600], out[DHCPD_FRAME_MAX];
	uint8_t opts[] = {53, 1, 3, 54, 4, 10, 0, 0, 1, 50, 4, 10, 0, 0, 5};
	size_t len, n;

	setup();
	config.lease = 600;
	len = request(in, opts, sizeof(opts));
	n = dhcpd_answer(&config, in, len, out);
	require(n);
	OPTION(53, "\x05");
	OPTION(51, "\x00\x00\x02\x58");
	OPTION(58, "\x00\x00\x01\x2c");
	opts[14] = 6; /* another address */
	len = request(in, opts, sizeof(opts));
	n = dhcpd_answer(&config, in, len, out);
	require(n);
	OPTION(53, "\x06");
	check(!option(out, n, 51, &len));
	check_int(memcmp(out + 14 + 16, "\xff\xff\xff\xff", 4), ==, 0);
	opts[8] = 9; /* another server's offer was taken */
	len = request(in, opts, sizeof(opts));
	check_int(dhcpd_answer(&config, in, len, out), ==, 0);
	/* renewal: the address is in ciaddr */
	len = request(in, opts, 3);
	memcpy(in + 42 + 12, config.ip.b, 4);
	n = dhcpd_answer(&config, in, len, out);
	require(n);
	OPTION(53, "\x05");
	check_int(memcmp(out + 14 + 16, config.ip.b, 4), ==, 0);
	/* release and decline are taken note of in silence */
	opts[2] = 7;
	len = request(in, opts, 3);
	check_int(dhcpd_answer(&config, in, len, out), ==, 0);
	opts[2] = 4;
	len = request(in, opts, 3);
	check_int(dhcpd_answer(&config, in, len, out), ==, 0);
	/* inform: settings without an address */
	opts[2] = 8;
	len = request(in, opts, 3);
	n = dhcpd_answer(&config, in, len, out);
	require(n);
	OPTION(53, "\x05");
	check(!option(out, n, 51, &len));
	check_int(memcmp(out + 42 + 16, "\0\0\0\0", 4), ==, 0);
}

TEST(routes_and_size)
{
	uint8_t in[600], out[DHCPD_FRAME_MAX];
	static const uint8_t opts[] = {53, 1, 1};
	static const uint8_t large[] = {53, 1, 1, 57, 2, 5, 0xdc};
	size_t len, n;

	setup();
	ip_parse("10.2.0.0/15", &config.routes[0].dst);
	ip_parse("10.0.0.2", &config.routes[0].via);
	config.n_routes = 1;
	n = dhcpd_answer(&config, in, request(in, opts, sizeof(opts)), out);
	require(n);
	OPTION(121, "\x0f\x0a\x02\x0a\x00\x00\x02\x00\x0a\x00\x00\x01");
	/* what does not fit in 576 bytes is left out, unless the client takes more */
	config.n_routes = DHCPD_MAX_ROUTES;
	for (size_t i = 0; i < config.n_routes; i++) {
		ip_parse("10.2.0.0/24", &config.routes[i].dst);
		ip_parse("10.0.0.2", &config.routes[i].via);
	}
	memset(config.domain, 'd', sizeof(config.domain) - 1);
	n = dhcpd_answer(&config, in, request(in, opts, sizeof(opts)), out);
	check(n && n <= 14 + 576);
	check(!option(out, n, 15, &len));
	n = dhcpd_answer(&config, in, request(in, large, sizeof(large)), out);
	check(option(out, n, 15, &len));
}

TEST(bad_requests_get_no_answer)
{
	uint8_t in[600], out[DHCPD_FRAME_MAX];
	static const uint8_t opts[] = {53, 1, 1, 12, 4, 'a', 'b', 'c', 'd'};
	static const struct {
		const char *what;
		unsigned at;
		uint8_t value;
	} bad[] = {
		{"not IPv4", 12, 0x86},
		{"another's MAC", 6, 4},
		{"IP version", 14, 0x55},
		{"short header", 14, 0x44},
		{"long header", 14, 0x4f},
		{"length", 16, 9},
		{"short length", 17, 40},
		{"fragment", 20, 0x20},
		{"fragment offset", 21, 1},
		{"not UDP", 23, 6},
		{"port", 37, 68},
		{"UDP length", 38, 9},
		{"answer, not request", 42, 2},
		{"hardware type", 43, 6},
		{"address length", 44, 7},
		{"another's chaddr", 70, 4},
		{"cookie", 42 + 236, 0},
		{"option length", 42 + 240 + 4, 200},
		{"type length", 42 + 241, 0},
		{"type", 42 + 242, 9},
	};
	size_t len;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		len = request(in, opts, sizeof(opts));
		require(dhcpd_answer(&config, in, len, out) > 0);
		in[bad[i].at] = bad[i].value;
		if (dhcpd_answer(&config, in, len, out))
			test_fail(__FILE__, __LINE__, "%s: answered", bad[i].what);
	}
	len = request(in, opts, sizeof(opts));
	for (size_t cut = 0; cut < len; cut++)
		check_int(dhcpd_answer(&config, in, cut, out), ==, 0);
}

TEST(fuzzer_corpus)
{
	test_corpus("src/net/testdata/fuzz_dhcpd", LLVMFuzzerTestOneInput);
}

/* Through a tap: the guest asks, the answerer answers, the network hears nothing of it. */
TEST(through_a_tap)
{
	struct error err = ERROR_INIT;
	struct net_opts opts = {.run_dir = "/mnt/net", .config_path = "/mnt/config"};
	struct vnic_spec spec = {.zone = "vm1",
				 .name = "net0",
				 .kind = VNIC_TAP,
				 .over = "stub0",
				 .flags = VNIC_PROTECT_ALL | VNIC_DHCP_ANSWER,
				 .allowed = &config.ip,
				 .n_allowed = 1};
	static const uint8_t discover[] = {53, 1, 1};
	cleanup_net struct net *n = NULL;
	cleanup_event struct event_loop *l = NULL;
	struct dhcpd *d = NULL;
	uint8_t in[700] = {0}, out[2048];
	struct vnic_stats s;
	int fd, other_fd, port, other;
	size_t len;

	if (geteuid() != 0)
		test_skip("needs root: BPF, network namespaces");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		test_skip("no network namespaces here");
	require(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	require(mount("test", "/mnt", "tmpfs", 0, NULL) == 0);
	setup();
	check_ok(net_open(&opts, &n, &err), &err);
	check_ok(etherstub_create(n, "stub0", 1500, &err), &err);
	spec.mac = config.mac;
	check_ok(vnic_create(n, &spec, &port, &fd, &err), &err);
	spec.zone = "vm2";
	memset(&spec.mac, 0, sizeof(spec.mac));
	check_ok(vnic_create(n, &spec, &other, &other_fd, &err), &err);
	check_ok(event_new(&l, &err), &err);
	check_ok(dhcpd_start(l, port, &config, &d, &err), &err);
	len = request(in + 10, discover, sizeof(discover));
	require(write(fd, in, 10 + len) == (ssize_t)(10 + len));
	require(event_step(l, 20000) >= 0);
	{
		struct pollfd p = {.fd = fd, .events = POLLIN};

		require(poll(&p, 1, 20000) == 1);
		require(read(fd, out, sizeof(out)) > 10 + 342);
		check_int(out[10 + 42], ==, 2);
		check_int(memcmp(out + 10 + 42 + 16, config.ip.b, 4), ==, 0);
		p.fd = other_fd;
		check_int(poll(&p, 1, 60), ==, 0);
	}
	check_ok(vnic_stats(n, port, &s, &err), &err);
	for (int i = 0; i < VNIC_DROP_MAX; i++)
		check_int(s.drops[i], ==, 0);
	dhcpd_stop(d);
	close(fd);
	close(other_fd);
}
