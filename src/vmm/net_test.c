/* e1000 from the driver's side, on a machine without processors, with the network for tests behind it. */
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "vmm/slot_test.h"

#define TX_RING 0x10000
#define RX_RING 0x12000
#define TX_DATA 0x20000
#define RX_DATA 0x40000
#define RX_ENTRIES 64
#define TX_ENTRIES 64

static unsigned tx_tail, rx_head;

static void
attach(const char *backend)
{
	cleanup_free char *slot = str_printf("4,e1000,%s,mac=02:00:00:00:00:09", backend);

	tx_tail = rx_head = 0;
	attach_slot(slot, 0);
	set(0x0000, 1 << 26);
	set(0x3800, TX_RING);
	set(0x3808, TX_ENTRIES * 16);
	set(0x2800, RX_RING);
	set(0x2808, RX_ENTRIES * 16);
	for (unsigned i = 0; i < RX_ENTRIES; i++) {
		uint64_t d[2] = {RX_DATA + 2048 * i, 0};

		mem_write(&vm->mem, RX_RING + 16 * i, d, sizeof(d));
	}
	set(0x2818, RX_ENTRIES - 1);
	set(0x0100, 2 | 0x8000 | 0x4000000);
	set(0x0400, 2);
	set(0x00d0, 0x80);
}

static void
tx(uint64_t addr, uint32_t cmd_len, uint32_t rest)
{
	struct {
		uint64_t addr;
		uint32_t cmd_len, rest;
	} d = {addr, cmd_len, rest};

	mem_write(&vm->mem, TX_RING + 16 * tx_tail, &d, sizeof(d));
	tx_tail = (tx_tail + 1) % TX_ENTRIES;
}

static void
tx_go(void)
{
	unsigned last = (tx_tail + TX_ENTRIES - 1) % TX_ENTRIES;
	time_t end = time(NULL) + 10;
	const volatile uint8_t *status = mem_ptr(&vm->mem, TX_RING + 16 * last + 12, 1);

	set(0x3818, tx_tail);
	while (!(*status & 1) && time(NULL) <= end)
		sched_yield();
	check(*status & 1);
}

static void
transmit(const void *frame, size_t len)
{
	mem_write(&vm->mem, TX_DATA, frame, len);
	tx(TX_DATA, (uint32_t)len | 0x0b000000, 0);
	tx_go();
}

/* The next received frame's length, while the network is served. */
static unsigned
receive(uint8_t *frame)
{
	const volatile uint8_t *status = mem_ptr(&vm->mem, RX_RING + 16 * rx_head + 12, 1);
	uint16_t len;

	for (unsigned i = 0; i < 500 && !(*status & 1); i++)
		event_step(loop, 20);
	if (!(*status & 1))
		return 0;
	mem_read(&vm->mem, RX_RING + 16 * rx_head + 8, &len, 2);
	mem_read(&vm->mem, RX_DATA + 2048 * rx_head, frame, len);
	rx_head = (rx_head + 1) % RX_ENTRIES;
	return len;
}

TEST(its_address_stands_in_the_eeprom)
{
	uint32_t word = 0;

	attach("user");
	set(0x14, 1);
	check_int(get(0x14), ==, 0x00020011 & ~1U);
	/* The same by the serial line, bit by bit: word 0 begins with the address' first two bytes. */
	set(0x10, 2);
	for (unsigned i = 0, bits = 6 << 6; i < 9; i++) {
		unsigned bit = bits >> (8 - i) & 1 ? 4 : 0;

		set(0x10, 2 | bit);
		set(0x10, 2 | bit | 1);
		set(0x10, 2 | bit);
	}
	for (unsigned i = 0; i < 16; i++) {
		word = word << 1 | (get(0x10) >> 3 & 1);
		set(0x10, 3);
		set(0x10, 2);
	}
	check_int(word, ==, 0x0002);
	/* The PHY says that the link is up. */
	set(0x20, 2U << 26 | 1 << 21 | 1 << 16);
	check_int(get(0x20) & 0xffff, ==, 0x796d);
	check_int(get(0x08) & 2, ==, 2);
	detach();
}

TEST(arp_dhcp_and_ping_are_answered)
{
	uint8_t f[2048] = {0};
	uint8_t arp[60] = "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\x09\x08\x06\0\1\x08\0\6\4\0\1\2\0\0\0\0\x09"
			  "\x0a\0\2\x0f\0\0\0\0\0\0\x0a\0\2\2";
	uint8_t icmp[60] = "\x52\x55\x0a\0\2\2\2\0\0\0\0\x09\x08\0\x45\0\0\x2e\0\1\0\0\x40\1\0\0"
			   "\x0a\0\2\x0f\x0a\0\2\2\x08\0\0\0\x12\x34\0\1";
	uint8_t dhcp[300] = "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\x09\x08\0\x45\0\1\x1e\0\1\0\0\x40\x11\0\0"
			    "\0\0\0\0\xff\xff\xff\xff\0\x44\0\x43\1\x0a\0\0\1\1\6\0abcd";

	attach("user");
	transmit(arp, sizeof(arp));
	check_int(receive(f), ==, 60);
	check(memcmp(f + 20, "\0\2\x52\x55", 4) == 0);
	check(memcmp(f + 28, "\x0a\0\2\2", 4) == 0);
	check_int(get(0xc0) & 0x80, ==, 0x80);
	transmit(icmp, sizeof(icmp));
	check_int(receive(f), ==, 60);
	check_int(f[34], ==, 0);
	check_int(f[38], ==, 0x12);
	memcpy(dhcp + 42 + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	transmit(dhcp, sizeof(dhcp));
	check_int(receive(f), >, 290);
	check(memcmp(f + 42 + 16, "\x0a\0\2\x0f", 4) == 0);
	check_int(f[42 + 240 + 2], ==, 2);
	detach();
}

TEST(udp_goes_to_the_host_and_back)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	uint8_t f[2048], got[64] = "";
	uint8_t udp[60] = "\x52\x55\x0a\0\2\2\2\0\0\0\0\x09\x08\0\x45\0\0\x20\0\1\0\0\x40\x11\0\0"
			  "\x0a\0\2\x0f\x0a\0\2\2\x30\x39\0\0\0\x0c\0\0ding";
	int server = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = {.fd = server, .events = POLLIN};

	require(bind(server, (struct sockaddr *)&sa, len) == 0);
	require(getsockname(server, (struct sockaddr *)&sa, &len) == 0);
	memcpy(udp + 36, &sa.sin_port, 2);
	attach("user");
	transmit(udp, sizeof(udp));
	for (unsigned i = 0; i < 100 && poll(&p, 1, 0) == 0; i++)
		event_step(loop, 20);
	check_int(recvfrom(server, got, sizeof(got), 0, (struct sockaddr *)&sa, &len), ==, 4);
	check(memcmp(got, "ding", 4) == 0);
	require(sendto(server, "dong", 4, 0, (struct sockaddr *)&sa, len) == 4);
	check_int(receive(f), ==, 60);
	check(memcmp(f + 42, "dong", 4) == 0);
	close(server);
	detach();
}

static uint32_t
sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* A send of 4000 bytes in segments of 1000: cut, numbered and summed by us. */
TEST(segments_are_cut_and_summed)
{
	cleanup_free char *path = str_printf("%s/wire", test_tmpdir());
	cleanup_free char *backend = str_printf("backend=unix=%s", path);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), wire;
	uint8_t head[54] = "\2\2\2\2\2\2\2\0\0\0\0\x09\x08\0\x45\0\0\0\0\7\0\0\x40\6\0\0"
			   "\x0a\0\2\x0f\x0a\0\2\2\x30\x39\0\x50\0\0\x10\0\0\0\0\0\x50\x19";
	uint8_t f[2048];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	require(bind(listener, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(listener, 1) == 0);
	attach(backend);
	wire = accept(listener, NULL, NULL);
	require(wire >= 0);
	mem_write(&vm->mem, TX_DATA, head, sizeof(head));
	for (unsigned i = 0; i < 4000; i++)
		mem_write(&vm->mem, TX_DATA + 54 + i, &(uint8_t){(uint8_t)(i / 7)}, 1);
	/* Context: IP at 14 with its sum at 24, TCP at 34 with its sum at 50; 1000 bytes each. */
	tx(14 | 24 << 8 | 33 << 16 | 34ULL << 32 | 50ULL << 40, 0x20000000 | 0x07000000 | 4000,
	   54 << 8 | 1000U << 16);
	tx(TX_DATA, 0x20000000 | 1 << 20 | 0x0d000000 | 4054, 0x0300);
	tx(0, 0x08000000, 0);
	tx_go();
	for (unsigned i = 0; i < 4; i++) {
		require(recv(wire, f, sizeof(f), 0) == 1054);
		check_int(f[16] << 8 | f[17], ==, 1040);
		check_int(f[19], ==, 7 + i);
		check_int(sum(f + 14, 20, 0), ==, 0xffff);
		check_int(sum(f + 34, 1020, sum(f + 26, 8, 6 + 1020)), ==, 0xffff);
		check_int((uint32_t)(f[38] << 24 | f[39] << 16 | f[40] << 8 | f[41]), ==,
			  0x1000 + 1000 * i);
		check_int(f[47] & 9, ==, i == 3 ? 9 : 0);
		check_int(f[54], ==, (uint8_t)(1000 * i / 7));
	}
	/* What is not for us stays outside; what is for us, and for all, comes in. */
	memset(f, 0, 100);
	memcpy(f, "\2\0\0\0\0\x08", 6);
	check_int(write(wire, f, 100), ==, 100);
	f[5] = 9;
	check_int(write(wire, f, 101), ==, 101);
	check_int(receive(f), ==, 101);
	close(wire);
	close(listener);
	detach();
}

TEST(nonsense_is_dropped)
{
	attach("user");
	/* Data outside of memory, endless frames, sums outside of the frame. */
	for (unsigned i = 0; i < 40; i++)
		tx(1ULL << 50, 0x2000000 | 0x20000000 | 1 << 20 | 0xfffff, 0);
	tx(TX_DATA, 0x20000000 | 1 << 20 | 0x0d000000 | 60, 0x0300);
	tx(TX_DATA, 0x0d000000 | 60, 0xff00);
	tx(0, 0x09000000, 0);
	tx_go();
	/* Rings outside of memory. */
	set(0x3804, 0xffff);
	set(0x2804, 0xffff);
	set(0x3818, 3);
	set(0x2818, 5);
	/* A tail past the ring's end. */
	set(0x3804, 0);
	set(0x3808, 128);
	set(0x3818, 60000);
	vm_pause(vm);
	vm_resume(vm);
	detach();
}
