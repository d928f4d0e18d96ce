/* The screen, VNC from the client's side, and the keyboard controller, on a machine without processors. */
#include <linux/input-event-codes.h>
#define OPENSSL_API_COMPAT 10100
#include <openssl/des.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include "base/event.h"
#include "base/str.h"
#include "base/test.h"
#include "vmm/display/display.h"
#include "vmm/isa/isa.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

static struct config *config;
static struct event_loop *loop;
static struct vm *vm;
static uint64_t regs;
static uint8_t *vram;
static char sock[108];

static void
set_reg(unsigned n, unsigned v)
{
	require(bus_write(&vm->mmio, regs + 0x500 + 2 * n, 2, v));
}

static void
attach(const char *more)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *slot = NULL;
	struct pci_dev *d;

	snprintf(sock, sizeof(sock), "%s/vnc", test_tmpdir());
	slot = str_printf("4,fbuf,unix=%s,w=800,h=600%s", sock, more);
	config = config_new();
	check_ok(pci_parse_slot(config, slot, &err), &err);
	check_ok(event_new(&loop, &err), &err);
	check_ok(vm_new_fake(config, 8 << 20, &vm, &err), &err);
	vm->loop = loop;
	check_ok(isa_create_all(vm, &err), &err);
	check_ok(pci_create_all(vm, &err), &err);
	check_ok(pci_assign(vm, true, &err), &err);
	d = pci_find(vm, 0, 4, 0);
	regs = d->bar[2].addr;
	vram = d->bar[0].ram;
}

static void
detach(void)
{
	vm_free(vm);
	event_free(loop);
	config_free(config);
}

/* What a driver does, and a picture of one red and one blue half. */
static void
draw(unsigned w, unsigned h)
{
	set_reg(4, 0);
	set_reg(1, w);
	set_reg(2, h);
	set_reg(3, 32);
	set_reg(4, 0x41);
	for (unsigned y = 0; y < h; y++)
		for (unsigned x = 0; x < w; x++)
			memcpy(vram + 4ULL * (y * w + x), x < w / 2 ? "\0\0\xff" : "\xff\0\0", 4);
}

TEST(keys_have_many_numbers)
{
	check_int(key_of_keysym('a'), ==, KEY_A);
	check_int(key_of_keysym('A'), ==, KEY_A);
	check_int(key_of_keysym('?'), ==, KEY_SLASH);
	check_int(key_of_keysym(0xff0d), ==, KEY_ENTER);
	check_int(key_of_keysym(0xffc8), ==, KEY_F11);
	check_int(key_of_keysym(0x20ac), ==, 0);
	check_int(key_to_set1(KEY_ENTER), ==, 0x1c);
	check_int(key_to_set1(KEY_UP), ==, 0xc8);
	check_int(key_of_set1(0xc8), ==, KEY_UP);
	check_int(key_to_set2(KEY_ENTER), ==, 0x5a);
	check_int(key_to_set2(KEY_RIGHTCTRL), ==, 0x114);
	check_int(key_to_set2(KEY_F7), ==, 0x83);
	check_int(key_to_set2(KEY_MAX), ==, 0);
}

TEST(a_screenshot_is_a_png)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *png = NULL;
	uint8_t rows[(640 * 3 + 1) * 480];
	uLongf len = sizeof(rows);
	uint64_t id;
	size_t n;

	attach("");
	require(bus_read(&vm->mmio, regs + 0x500, 2, &id));
	check_int(id, ==, 0xb0c5);
	check(display_screenshot(vm, &png, &n, &err) < 0);
	check_has(error_message(&err), "shows nothing yet");
	error_done(&err);
	draw(640, 480);
	check_ok(display_screenshot(vm, &png, &n, &err), &err);
	check(memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0);
	check_int(uncompress(rows, &len, (uint8_t *)png + 41, n - 41 - 16), ==, Z_OK);
	check_int(len, ==, sizeof(rows));
	check(memcmp(rows, "\0\xff\0\0", 4) == 0);
	check(memcmp(rows + sizeof(rows) - 3, "\0\0\xff", 3) == 0);
	/* Sizes that pass the memory's end show nothing. */
	set_reg(6, 65535);
	check(display_screenshot(vm, &png, &n, &err) < 0);
	detach();
}

/* ---- a VNC client ---- */

static int
dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", sock);
	require(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

/* Reads exactly len bytes while the server runs; false at the end of the stream. */
static bool
get(int fd, void *buf, size_t len)
{
	size_t have = 0;

	for (unsigned round = 0; have < len && round < 10000; round++) {
		ssize_t n = recv(fd, (uint8_t *)buf + have, len - have, 0);

		if (n == 0)
			return false;
		if (n > 0)
			have += (size_t)n;
		else
			event_step(loop, 100);
	}
	return have == len;
}

static void
put(int fd, const void *buf, size_t len)
{
	require(send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static int
login(void)
{
	uint8_t b[64];
	int fd = dial();

	require(get(fd, b, 12));
	check(memcmp(b, "RFB 003.008\n", 12) == 0);
	put(fd, "RFB 003.008\n", 12);
	require(get(fd, b, 2));
	check_int(b[1], ==, 1);
	put(fd, "\1", 1);
	require(get(fd, b, 4));
	check_int(b[3], ==, 0);
	put(fd, "\1", 1);
	require(get(fd, b, 24));
	check_int(b[4], ==, 32);
	require(get(fd, b + 24, b[23]));
	return fd;
}

static unsigned
u16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

/* One update by raw pixels into a picture of 640 by 480; how many rectangles. */
static unsigned
raw_update(int fd, uint32_t *picture)
{
	uint8_t h[12];
	unsigned n;

	require(get(fd, h, 4));
	check_int(h[0], ==, 0);
	n = u16(h + 2);
	for (unsigned i = 0; i < n; i++) {
		require(get(fd, h, 12));
		check_int(h[11], ==, 0);
		for (unsigned y = 0; y < u16(h + 6); y++)
			require(get(fd, picture + (u16(h + 2) + y) * 640 + u16(h), 4 * u16(h + 4)));
	}
	return n;
}

TEST(vnc_sends_what_changed)
{
	static uint32_t picture[640 * 480];
	int fd;

	attach("");
	draw(640, 480);
	fd = login();
	put(fd, "\2\0\0\1\0\0\0\0", 8);
	put(fd, "\3\0\0\0\0\0\2\x80\1\xe0", 10);
	check_int(raw_update(fd, picture), ==, 8);
	check_int(picture[0], ==, 0xff0000);
	check_int(picture[640 * 480 - 1], ==, 0x0000ff);
	/* One dot: one tile. */
	memcpy(vram + 4 * (100 * 640 + 200), "\x11\x22\x33", 4);
	put(fd, "\3\1\0\0\0\0\2\x80\1\xe0", 10);
	check_int(raw_update(fd, picture), ==, 1);
	check_int(picture[100 * 640 + 200], ==, 0x332211);
	close(fd);
	/* Sixteen bits a pixel. */
	fd = login();
	put(fd, "\0\0\0\0\x10\x10\0\1\0\x1f\0\x3f\0\x1f\x0b\5\0\0\0\0", 20);
	put(fd, "\3\0\0\0\0\0\2\x80\1\xe0", 10);

	uint8_t h[18];

	require(get(fd, h, 18));
	check_int(h[16] | h[17] << 8, ==, 0xf800);
	close(fd);
	detach();
}

TEST(vnc_compresses_tiles)
{
	static uint8_t packed[1 << 20], plain[1 << 21];
	z_stream z = {0};
	uint8_t h[16];
	unsigned len;
	int fd;

	attach("");
	draw(640, 480);
	fd = login();
	put(fd, "\2\0\0\2\0\0\0\x10\xff\xff\xff\x21", 12);
	put(fd, "\3\0\0\0\0\0\2\x80\1\xe0", 10);
	require(get(fd, h, 4));
	check_int(u16(h + 2), ==, 8);
	require(inflateInit(&z) == Z_OK);
	for (unsigned i = 0; i < 8; i++) {
		require(get(fd, h, 16));
		check_int(h[11], ==, 16);
		len = u16(h + 12) << 16 | u16(h + 14);
		require(len <= sizeof(packed) && get(fd, packed, len));
		z.next_in = packed;
		z.avail_in = len;
		z.next_out = plain;
		z.avail_out = sizeof(plain);
		require(inflate(&z, Z_SYNC_FLUSH) == Z_OK);
		/* Ten tiles of one colour in three bytes each. */
		check_int(sizeof(plain) - z.avail_out, ==, 10 * 4);
		check(memcmp(plain, "\1\0\0\xff", 4) == 0);
		check(memcmp(plain + 36, "\1\xff\0\0", 4) == 0);
	}
	/* The guest takes another size: the client is told, then gets all of it. */
	draw(800, 600);
	put(fd, "\3\1\0\0\0\0\2\x80\1\xe0", 10);
	require(get(fd, h, 16));
	check_int(u16(h + 8), ==, 800);
	check_int(h[14] << 8 | h[15], ==, 0xff21);
	inflateEnd(&z);
	close(fd);
	detach();
}

TEST(vnc_asks_for_the_password)
{
	uint8_t b[64], key[8] = {0}, answer[16];
	DES_key_schedule keys;

	attach(",password=secret");
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		int fd = dial();

		require(get(fd, b, 12));
		put(fd, "RFB 003.008\n", 12);
		require(get(fd, b, 2));
		check_int(b[1], ==, 2);
		put(fd, "\2", 1);
		require(get(fd, b, 16));
		for (unsigned i = 0; i < 6; i++)
			for (unsigned n = 0; n < 8; n++)
				key[i] |= (uint8_t)(("secret"[i] >> n & 1) << (7 - n));
		DES_set_key_unchecked(&key, &keys);
		DES_ecb_encrypt((DES_cblock *)b, (DES_cblock *)answer, &keys, DES_ENCRYPT);
		DES_ecb_encrypt((DES_cblock *)(b + 8), (DES_cblock *)(answer + 8), &keys, DES_ENCRYPT);
		answer[3] ^= (uint8_t)wrong;
		put(fd, answer, 16);
		require(get(fd, b, 4));
		check_int(b[3], ==, wrong);
		if (wrong) {
			require(get(fd, b, 4 + 14));
			check(memcmp(b + 4, "wrong password", 14) == 0);
			check(!get(fd, b, 1));
		}
		close(fd);
	}
	/* Nobody gets round it by asking for none. */
	int fd = dial();

	require(get(fd, b, 12));
	put(fd, "RFB 003.008\n\1", 13);
	require(get(fd, b, 6));
	check_int(b[5], ==, 1);
	close(fd);
	detach();
}

TEST(vnc_drops_who_talks_nonsense)
{
	static const char *const words[] = {
		"GET / HTTP/1.1\r\n\r\n", "RFB 003.008\n\1\1\x77", "RFB 003.008\n\1\1\2\0\xff\xff",
		"RFB 003.008\n\1\1\0aaa\x20\x18\0\1\xff\xff\xff\xff\xff\xff\x40\x40\x40\0\0\0"};
	static const size_t len[] = {18, 15, 18, 34};
	uint8_t b[512];

	attach("");
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		int fd = dial();
		unsigned n = 0;

		put(fd, words[i], len[i]);
		while (n < sizeof(b) && get(fd, b, 1))
			n++;
		check_int(n, <, sizeof(b));
		close(fd);
	}
	detach();
}

/* ---- the keyboard controller ---- */

static unsigned
in(unsigned port)
{
	uint64_t v = 0;

	require(bus_read(&vm->pio, port, 1, &v));
	return (unsigned)v;
}

static void
out(unsigned port, unsigned v)
{
	require(bus_write(&vm->pio, port, 1, v));
}

TEST(keys_and_movements_reach_the_controller)
{
	int fd;

	attach("");
	out(0x64, 0xaa);
	check_int(in(0x60), ==, 0x55);
	out(0x64, 0x60);
	out(0x60, 0x43);
	out(0x60, 0xff);
	check_int(in(0x60), ==, 0xfa);
	check_int(in(0x60), ==, 0xaa);
	fd = login();
	put(fd, "\4\1\0\0\0\0\0a\4\0\0\0\0\0\0a", 16);
	put(fd, "\4\1\0\0\0\0\xff\x52", 8);
	for (unsigned i = 0; i < 5; i++)
		event_step(loop, 20);
	check_int(in(0x64) & 0x21, ==, 1);
	check_int(vm->irqs.asserted[1], ==, 1);
	check_int(in(0x60), ==, 0x1e);
	check_int(in(0x60), ==, 0x9e);
	check_int(in(0x60), ==, 0xe0);
	check_int(in(0x60), ==, 0x48);
	check_int(in(0x64) & 1, ==, 0);
	check_int(vm->irqs.asserted[1], ==, 0);
	/* Scan codes, set 2 when the guest wants no translation. */
	out(0x64, 0x60);
	out(0x60, 0x03);
	put(fd, "\xff\0\0\0\0\0\0\0\0\0\0\x1c", 12);
	for (unsigned i = 0; i < 5; i++)
		event_step(loop, 20);
	check_int(in(0x60), ==, 0xf0);
	check_int(in(0x60), ==, 0x5a);
	/* The mouse: on, then down and to the right with the left button. */
	out(0x64, 0xd4);
	out(0x60, 0xf4);
	check_int(in(0x64) & 0x20, ==, 0x20);
	check_int(in(0x60), ==, 0xfa);
	put(fd, "\5\1\0\x20\0\x10", 6);
	for (unsigned i = 0; i < 5; i++)
		event_step(loop, 20);
	check_int(vm->irqs.asserted[12], ==, 1);
	check_int(in(0x60), ==, 0x29);
	check_int(in(0x60), ==, 32 * POINTER_MAX / 799 / 32);
	check_int((int8_t)in(0x60), ==, -(16 * POINTER_MAX / 599 / 32));
	/* The wheel is there for those who know the knock. */
	for (unsigned i = 0; i < 3; i++) {
		out(0x64, 0xd4);
		out(0x60, 0xf3);
		out(0x64, 0xd4);
		out(0x60, (unsigned[]){200, 100, 80}[i]);
	}
	while (in(0x64) & 1)
		(void)in(0x60);
	out(0x64, 0xd4);
	out(0x60, 0xf2);
	check_int(in(0x60), ==, 0xfa);
	check_int(in(0x60), ==, 3);
	close(fd);
	/* Reset by the pulse. */
	out(0x64, 0xfe);
	check_int(vm->end, ==, VM_END_REBOOT);
	detach();
}
