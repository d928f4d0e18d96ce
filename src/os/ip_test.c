#include "base/test.h"
#include "os/ip.h"

TEST(ip_round_trip)
{
	static const char *const good[] = {
		"10.0.0.1/32", "10.1.2.0/24", "0.0.0.0/0", "fe80::1/64", "::/0", "::1/128",
		"2001:db8::ff/127", "255.255.255.255/32",
	};
	char buf[IP_STRLEN];

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct ip_addr a;

		require(ip_parse(good[i], &a) == 0);
		check_str(ip_print_cidr(&a, buf), good[i]);
	}
}

TEST(ip_bad)
{
	static const char *const bad[] = {
		"", "/", "10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/",
		"10.0.0.1/1x", "fe80::1/129", "fe80::g", " 10.0.0.1", "10.0.0.1 ", "01.2.3.4.5",
		"1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "10.0.0.1/+8",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ip_addr a = {0};

		if (ip_parse(bad[i], &a) != -EINVAL)
			test_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
		check_int(a.family, ==, 0);
	}
}

TEST(netmask)
{
	char buf[IP_STRLEN];
	uint8_t p = 99;

	check_int(ip_parse_netmask("255.255.255.0", &p), ==, 0);
	check_int(p, ==, 24);
	check_int(ip_parse_netmask("0xffff0000", &p), ==, 0);
	check_int(p, ==, 16);
	check_int(ip_parse_netmask("0.0.0.0", &p), ==, 0);
	check_int(p, ==, 0);
	check_int(ip_parse_netmask("255.0.255.0", &p), ==, -EINVAL);
	check_int(ip_parse_netmask("33", &p), ==, -EINVAL);
	check_str(ip_print_netmask(20, buf), "255.255.240.0");
	check_str(ip_print_netmask(0, buf), "0.0.0.0");
}

TEST(ip_in_net)
{
	struct ip_addr a, n;

	ip_parse("10.9.8.7", &a);
	ip_parse("10.9.0.0/17", &n);
	check(ip_in(&a, &n));
	ip_parse("10.9.128.0/17", &n);
	check(!ip_in(&a, &n));
	ip_parse("::/0", &n);
	check(!ip_in(&a, &n));
	ip_parse("10.9.8.7/21", &a);
	ip_mask(&a);
	char buf[IP_STRLEN];
	check_str(ip_print_cidr(&a, buf), "10.9.8.0/21");
}

TEST(mac)
{
	struct mac_addr m, r;
	struct ip_addr ll;
	char buf[IP_STRLEN];

	require(mac_parse("2:8:20:a:B:ff", &m) == 0);
	check_str(mac_print(&m, buf), "02:08:20:0a:0b:ff");
	check_str(mac_print_short(&m, buf), "2:8:20:a:b:ff");
	check_int(mac_parse("02-08-20-0a-0b-ff", &m), ==, 0);
	check_int(mac_parse("02-08:20-0a-0b-ff", &m), ==, -EINVAL);
	check_int(mac_parse("02:08:20:0a:0b", &m), ==, -EINVAL);
	check_int(mac_parse("02:08:20:0a:0b:ff:", &m), ==, -EINVAL);
	check_int(mac_parse("002:08:20:0a:0b:ff", &m), ==, -EINVAL);
	check_int(mac_parse("aggr0", &m), ==, -EINVAL);
	ip_from_mac(&m, &ll);
	check_str(ip_print(&ll, buf), "fe80::8:20ff:fe0a:bff");
	mac_random(&m);
	mac_random(&r);
	check(!mac_equal(&m, &r));
	check(!mac_is_multicast(&m));
}
