/*
 * virtio from the driver's side, on a machine without processors: the test
 * sets up rings in fake guest memory and touches the registers a driver would.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_input.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_scsi.h>
#include <linux/virtio_vsock.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/str.h"
#include "base/test.h"
#include "os/p9_test.h"
#include "os/tun.h"
#include "vmm/backend/blk.h"
#include "vmm/backend/chardev.h"
#include "vmm/balloon.h"
#include "vmm/display/display.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

#define RAM (16ULL << 20)
#define RING 0x100000 /* queue n's rings are at RING + n * 0x10000 */
#define DATA 0x400000
#define SIZE 16

struct driver {
	struct vm *vm;
	struct config *config;
	struct virtio *v;
	uint64_t bar;
	struct {
		uint16_t avail, used;
	} q[8];
};

static uint64_t
reg_read(struct driver *d, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	require(bus_read(&d->vm->mmio, d->bar + offset, size, &v));
	return v;
}

static void
reg_write(struct driver *d, uint64_t offset, unsigned size, uint64_t value)
{
	require(bus_write(&d->vm->mmio, d->bar + offset, size, value));
}

/* "device=virtio-rnd" and more keys of pci.0.4.0, one a line. */
static struct driver *
attach_on(struct event_loop *l, const char *keys)
{
	struct driver *d = xcalloc(1, sizeof(*d));
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	struct pci_dev *p;

	d->config = config_new();
	strv_words(&lines, keys, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_free char *line = str_printf("pci.0.4.0.%s", lines.v[i]);

		check_ok(config_parse(d->config, line, &err), &err);
	}
	check_ok(vm_new_fake(d->config, RAM, &d->vm, &err), &err);
	require(d->vm);
	d->vm->loop = l;
	check_ok(pci_create_all(d->vm, &err), &err);
	check_ok(pci_assign(d->vm, true, &err), &err);
	p = pci_find(d->vm, 0, 4, 0);
	require(p);
	d->v = (struct virtio *)p;
	d->bar = p->bar[4].addr;
	return d;
}

static struct driver *
attach(const char *keys)
{
	return attach_on(NULL, keys);
}

static void
detach(struct driver *d)
{
	vm_free(d->vm);
	config_free(d->config);
	free(d);
}

static uint64_t
ring(unsigned q)
{
	return RING + q * 0x10000;
}

static void
setup_queue(struct driver *d, unsigned q)
{
	reg_write(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	reg_write(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, SIZE);
	reg_write(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, ring(q));
	reg_write(d, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0);
	reg_write(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, ring(q) + 0x1000);
	reg_write(d, VIRTIO_PCI_COMMON_Q_USEDLO, 4, ring(q) + 0x2000);
	reg_write(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void
start(struct driver *d, uint64_t features, unsigned n_queues)
{
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		reg_write(d, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		reg_write(d, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (32 * i)));
	}
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	check_int(reg_read(d, VIRTIO_PCI_COMMON_STATUS, 1), ==, 11);
	for (unsigned i = 0; i < n_queues; i++) {
		mem_zero(&d->vm->mem, ring(i), 0x3000);
		d->q[i].avail = d->q[i].used = 0;
		setup_queue(d, i);
	}
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void
set_desc(struct driver *d, unsigned q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
	 uint16_t next)
{
	struct vring_desc desc = {addr, len, flags, next};

	require(mem_write(&d->vm->mem, ring(q) + i * sizeof(desc), &desc, sizeof(desc)));
}

static void
kick(struct driver *d, unsigned q, uint16_t head)
{
	uint64_t avail = ring(q) + 0x1000;
	uint16_t idx = (uint16_t)(d->q[q].avail + 1);

	mem_write(&d->vm->mem, avail + 4 + 2 * (d->q[q].avail % SIZE), &head, 2);
	__atomic_store_n((uint16_t *)mem_ptr(&d->vm->mem, avail + 2, 2), idx, __ATOMIC_SEQ_CST);
	d->q[q].avail = idx;
	reg_write(d, 0x3000 + 4 * q, 2, q);
}

/* Waits for the next used element; its length, or -1 after ten seconds or if the device gave up. */
static int64_t
completion(struct driver *d, unsigned q)
{
	volatile uint16_t *idx = mem_ptr(&d->vm->mem, ring(q) + 0x2002, 2);
	struct vring_used_elem e;
	time_t end = time(NULL) + 60;

	while (__atomic_load_n(idx, __ATOMIC_ACQUIRE) == d->q[q].used) {
		if (time(NULL) > end || (reg_read(d, VIRTIO_PCI_COMMON_STATUS, 1) & 0x40))
			return -1;
		sched_yield();
	}
	mem_read(&d->vm->mem, ring(q) + 0x2004 + 8 * (d->q[q].used++ % SIZE), &e, sizeof(e));
	return e.len;
}

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

/* ---- block ---- */

static struct driver *
disk(const char *options, char path[256])
{
	cleanup_free char *slot = NULL;
	static char zeros[65536];
	int fd;

	snprintf(path, 256, "%s/disk", test_tmpdir());
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	require(fd >= 0);
	for (unsigned i = 0; i < 16; i++)
		require(write(fd, zeros, sizeof(zeros)) == sizeof(zeros));
	close(fd);
	slot = str_printf("device=virtio-blk\npath=%s\n%s", path, options);
	return attach(slot);
}

/* header, len bytes at DATA, status; returns the status byte. */
static int
blk_request(struct driver *d, uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr h = {.type = type, .sector = sector};
	bool write = type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
		     type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint8_t status = 0xee;

	mem_write(&d->vm->mem, DATA - 0x1000, &h, sizeof(h));
	mem_write(&d->vm->mem, DATA - 0x800, &status, 1);
	set_desc(d, 0, 0, DATA - 0x1000, sizeof(h), VRING_DESC_F_NEXT, len ? 1 : 2);
	set_desc(d, 0, 1, DATA, len, VRING_DESC_F_NEXT | (write ? 0 : VRING_DESC_F_WRITE), 2);
	set_desc(d, 0, 2, DATA - 0x800, 1, VRING_DESC_F_WRITE, 0);
	kick(d, 0, 0);
	if (completion(d, 0) < 0)
		return -1;
	mem_read(&d->vm->mem, DATA - 0x800, &status, 1);
	return status;
}

TEST(block_writes_and_reads_back)
{
	char path[256], text[512] = "what the guest wrote", got[512] = "";
	struct driver *d = disk("", path);
	cleanup_close int fd = open(path, O_RDONLY);
	uint64_t capacity;

	start(d, VERSION_1, 1);
	capacity = reg_read(d, 0x2000, 8);
	check_int(capacity, ==, 2048);
	mem_write(&d->vm->mem, DATA, text, sizeof(text));
	check_int(blk_request(d, VIRTIO_BLK_T_OUT, 7, 512), ==, VIRTIO_BLK_S_OK);
	check_int(blk_request(d, VIRTIO_BLK_T_FLUSH, 0, 0), ==, VIRTIO_BLK_S_OK);
	check_int(pread(fd, got, 512, 7 * 512), ==, 512);
	check_str(got, text);
	mem_zero(&d->vm->mem, DATA, 512);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 7, 512), ==, VIRTIO_BLK_S_OK);
	mem_read(&d->vm->mem, DATA, got, 512);
	check_str(got, text);
	/* The serial number. */
	check_int(blk_request(d, VIRTIO_BLK_T_GET_ID, 0, 20), ==, VIRTIO_BLK_S_OK);
	mem_read(&d->vm->mem, DATA, got, 20);
	check_has(got, "BHYVE-");
	detach(d);
}

/* Whoever moves a guest from SmartOS here finds its disks under /dev/disk/by-id as before. */
TEST(serial_numbers_are_bhyves)
{
	cleanup_config struct config *c = config_new();
	struct blk *b;

	require(config_set(c, "serpath", "/dev/zvol/rdsk/zones/x/disk0", NULL) == 0);
	require(config_set(c, "path", "/proc/self/exe", NULL) == 0);
	require(config_set(c, "ro", "true", NULL) == 0);
	require(blk_open(c, &b, NULL) == 0);
	check_str(blk_info(b)->serial, "BHYVE-DF6F-E952-088C");
	blk_close(b);
	require(config_set(c, "ser", "mine", NULL) == 0);
	require(blk_open(c, &b, NULL) == 0);
	check_str(blk_info(b)->serial, "mine");
	blk_close(b);
}

TEST(block_refuses_what_lies_outside)
{
	char path[256];
	struct driver *d = disk("", path);

	start(d, VERSION_1, 1);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 2048, 512), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 2047, 1024), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, UINT64_MAX, 512), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, UINT64_MAX / 512, 512), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 0, 100), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, 77, 0, 512), ==, VIRTIO_BLK_S_UNSUPP);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 2047, 512), ==, VIRTIO_BLK_S_OK);
	detach(d);
}

TEST(block_discards_and_zeroes)
{
	char path[256], got[4096];
	struct driver *d = disk("", path);
	struct virtio_blk_discard_write_zeroes range = {.sector = 8, .num_sectors = 8};
	cleanup_close int fd = open(path, O_RDWR);
	bool zero = true;

	memset(got, 'x', sizeof(got));
	require(pwrite(fd, got, sizeof(got), 4096) == sizeof(got));
	start(d, VERSION_1, 1);
	mem_write(&d->vm->mem, DATA, &range, sizeof(range));
	check_int(blk_request(d, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range)), ==, VIRTIO_BLK_S_OK);
	check_int(pread(fd, got, sizeof(got), 4096), ==, (ssize_t)sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++)
		zero = zero && got[i] == 0;
	check(zero);
	check_int(blk_request(d, VIRTIO_BLK_T_DISCARD, 0, sizeof(range)), ==, VIRTIO_BLK_S_OK);
	range.sector = 2047;
	mem_write(&d->vm->mem, DATA, &range, sizeof(range));
	check_int(blk_request(d, VIRTIO_BLK_T_DISCARD, 0, sizeof(range)), ==, VIRTIO_BLK_S_IOERR);
	detach(d);
}

TEST(a_read_only_disk_stays_as_it_is)
{
	char path[256];
	struct driver *d = disk("ro=true", path);

	start(d, VERSION_1 | 1ULL << VIRTIO_BLK_F_RO, 1);
	check_int(blk_request(d, VIRTIO_BLK_T_OUT, 0, 512), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 0, 512), ==, VIRTIO_BLK_S_OK);
	detach(d);
}

TEST(reset_and_pause_are_survived)
{
	char path[256];
	struct driver *d = disk("queues=2", path);

	for (unsigned i = 0; i < 20; i++) {
		start(d, VERSION_1, 2);
		check_int(blk_request(d, VIRTIO_BLK_T_IN, i, 512), ==, VIRTIO_BLK_S_OK);
		vm_pause(d->vm);
		vm_resume(d->vm);
		check_int(blk_request(d, VIRTIO_BLK_T_IN, i, 512), ==, VIRTIO_BLK_S_OK);
	}
	detach(d);
}

TEST(a_disk_grows_while_it_is_used)
{
	char path[256];
	struct driver *d = disk("", path);

	start(d, VERSION_1, 1);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 2048, 512), ==, VIRTIO_BLK_S_IOERR);
	require(truncate(path, 2 << 20) == 0);
	d->v->pci.class->refresh(&d->v->pci);
	check_int(reg_read(d, 0x2000, 8), ==, 4096);
	check_int(reg_read(d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), ==, 1);
	check(reg_read(d, 0x1000, 1) & 2);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 2048, 512), ==, VIRTIO_BLK_S_OK);
	detach(d);
}

TEST(a_disk_that_shrinks_gives_errors)
{
	char path[256];
	struct driver *d = disk("", path);

	start(d, VERSION_1, 1);
	require(truncate(path, 4096) == 0);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 7, 512), ==, VIRTIO_BLK_S_OK);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 7, 1024), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 100, 512), ==, VIRTIO_BLK_S_IOERR);
	check_int(blk_request(d, VIRTIO_BLK_T_OUT, 100, 512), ==, VIRTIO_BLK_S_OK);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 100, 512), ==, VIRTIO_BLK_S_OK);
	detach(d);
}

TEST(a_disk_without_room_gives_errors)
{
	cleanup_free char *dir = str_printf("%s/small", test_tmpdir());
	cleanup_free char *path = str_printf("%s/disk", dir);
	cleanup_free char *keys = str_printf("device=virtio-blk\npath=%s", path);
	unsigned n[3] = {0}, i;
	struct driver *d;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(dir, 0700) < 0 || mount("small", dir, "tmpfs", 0, "size=64k") < 0)
		test_skip("no file system of our own here");
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	require(truncate(path, 1 << 20) == 0);
	d = attach(keys);
	start(d, VERSION_1, 1);
	for (i = 0; i < 32; i++) {
		int status = blk_request(d, VIRTIO_BLK_T_OUT, 8ULL * i, 4096);

		require(status >= 0 && status <= 2);
		n[status]++;
	}
	check_int((int)n[VIRTIO_BLK_S_OK], >, 0);
	check_int((int)n[VIRTIO_BLK_S_IOERR], ==, 32 - (int)n[VIRTIO_BLK_S_OK]);
	check_int((int)n[VIRTIO_BLK_S_IOERR], >, 0);
	/* What is written can be read. */
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 0, 4096), ==, VIRTIO_BLK_S_OK);
	detach(d);
	check(umount2(dir, MNT_DETACH) == 0);
}

/* ---- a tap interface, in a network of the test's own ---- */

/* An empty network with a tap in it that stays when nobody has it open. */
static void
make_tap(const char *name, bool pairs)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	if (access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		test_skip("no tun device, or no network namespaces");
	check_ok(tun_open(NULL, name, pairs, &fd, &err), &err);
	require(ioctl(fd, TUNSETPERSIST, 1) == 0);
}

/* Brings the interface up and gives a socket that sees and sends its frames. */
static int
packets_of(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(0x88b5)); /* an experimental protocol: only ours */
	struct ifreq ifr = {0};
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5)};

	require(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	require(ioctl(fd, SIOCGIFFLAGS, &ifr) == 0);
	ifr.ifr_flags |= IFF_UP;
	require(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0);
	require(ioctl(fd, SIOCGIFINDEX, &ifr) == 0);
	ll.sll_ifindex = ifr.ifr_ifindex;
	require(bind(fd, (struct sockaddr *)&ll, sizeof(ll)) == 0);
	return fd;
}

TEST(frames_pass_a_tap_with_offloads)
{
	uint8_t frame[3000] = "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\xb5hello";
	uint8_t got[3000];
	struct virtio_net_hdr_mrg_rxbuf h = {0};
	struct pollfd p = {.events = POLLIN};
	struct driver *d;

	make_tap("vt0", false);
	d = attach("device=virtio-net\nbackend=vt0\nvhost=false\nmac=02:00:00:00:00:01");
	p.fd = packets_of("vt0");
	start(d, VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_CSUM |
			 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
			 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_CTRL_VQ |
			 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	      3);
	/* Out: the kernel takes the header, and the frame behind it. */
	mem_write(&d->vm->mem, DATA, &h, sizeof(h));
	mem_write(&d->vm->mem, DATA + sizeof(h), frame, 100);
	set_desc(d, 1, 0, DATA, sizeof(h) + 100, 0, 0);
	kick(d, 1, 0);
	check_int(completion(d, 1), ==, 0);
	check_int(poll(&p, 1, 60000), ==, 1);
	check_int(recv(p.fd, got, sizeof(got), 0), ==, 100);
	check(memcmp(got + 16, frame + 16, 84) == 0);
	/* In; the kernel has a word of its own for a new interface, which goes by. */
	check_int(send(p.fd, frame, 200, 0), ==, 200);
	for (unsigned i = 0; i < 16; i++) {
		int64_t len;

		set_desc(d, 0, 0, DATA, 2000, VRING_DESC_F_WRITE, 0);
		kick(d, 0, 0);
		len = completion(d, 0);
		mem_read(&d->vm->mem, DATA + sizeof(h), got, 200);
		if (len < 0 || memcmp(got + 12, frame + 12, 2) == 0) {
			check_int(len, ==, sizeof(h) + 200);
			break;
		}
	}
	check(memcmp(got, frame, 200) == 0);
	/* The driver takes offloads back while it runs; it cannot take what it did not negotiate. */
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		uint64_t offloads = wrong ? 1ULL << VIRTIO_NET_F_GUEST_TSO6 : 0;

		mem_write(&d->vm->mem, DATA, "\5\0", 2);
		mem_write(&d->vm->mem, DATA + 2, &offloads, sizeof(offloads));
		set_desc(d, 2, 0, DATA, 10, VRING_DESC_F_NEXT, 1);
		set_desc(d, 2, 1, DATA + 16, 1, VRING_DESC_F_WRITE, 0);
		kick(d, 2, 0);
		check_int(completion(d, 2), ==, 1);
		mem_read(&d->vm->mem, DATA + 16, got, 1);
		check_int(got[0], ==, wrong);
	}
	close(p.fd);
	detach(d);
}

/* ---- SCSI ---- */

#define RESP (DATA - 0x800)

/* A command with len bytes at DATA, in or out; the SCSI status, or -response. */
/* What the driver's control queue q says to a request of class and command 0 with 16 bits. */
static uint8_t
net_control(struct driver *d, unsigned q, uint8_t class, uint16_t value)
{
	uint8_t request[4] = {class, 0, (uint8_t)value, (uint8_t)(value >> 8)}, ack = 0xff;

	mem_write(&d->vm->mem, DATA, request, sizeof(request));
	set_desc(d, q, 0, DATA, sizeof(request), VRING_DESC_F_NEXT, 1);
	set_desc(d, q, 1, DATA + 16, 1, VRING_DESC_F_WRITE, 0);
	kick(d, q, 0);
	check_int(completion(d, q), ==, 1);
	mem_read(&d->vm->mem, DATA + 16, &ack, 1);
	return ack;
}

/* Sends UDP of that source port to the tap; the queue (0 or 2) it comes in by, or -1. */
static int
udp_arrives(struct driver *d, int wire, uint16_t port)
{
	uint8_t f[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17,
			 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, (uint8_t)(port >> 8), (uint8_t)port, 0, 9, 0, 30};
	uint8_t got[12 + 64];
	/* As IP's: the interface chooses a queue by addresses and ports. */
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = (int)if_nametoindex("vt0")};

	check_int(sendto(wire, f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)), ==, sizeof(f));
	for (unsigned turn = 0; turn < 5000; turn++) {
		for (unsigned q = 0; q <= 2; q += 2) {
			uint16_t used;

			mem_read(&d->vm->mem, ring(q) + 0x2002, &used, 2);
			if (used == d->q[q].used)
				continue;
			check(completion(d, q) > 0);
			mem_read(&d->vm->mem, DATA + 0x1000 + q * 0x1000, got, sizeof(got));
			set_desc(d, q, 0, DATA + 0x1000 + q * 0x1000, 2000, VRING_DESC_F_WRITE, 0);
			kick(d, q, 0);
			/* the kernel has a word of its own for a new interface */
			if (memcmp(got + 12, f, sizeof(f)) == 0)
				return (int)q;
		}
		usleep(1000);
	}
	return -1;
}

TEST(pairs_of_queues_share_the_frames)
{
	const unsigned control = 4;
	uint8_t frame[12 + 100] = {0}, got[2000];
	bool seen[3] = {false};
	struct driver *d;
	struct pollfd p = {.events = POLLIN};

	make_tap("vt0", true);
	d = attach("device=virtio-net\nbackend=vt0\nvhost=false\nqpair=2\nmac=02:00:00:00:00:01");
	p.fd = packets_of("vt0");
	start(d, VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_MQ |
			 1ULL << VIRTIO_NET_F_CTRL_VQ, 5);
	for (unsigned q = 0; q <= 2; q += 2) {
		set_desc(d, q, 0, DATA + 0x1000 + q * 0x1000, 2000, VRING_DESC_F_WRITE, 0);
		kick(d, q, 0);
	}
	/* One pair until the driver says more: nothing is lost in the other one. */
	for (uint16_t port = 1000; port < 1016; port++)
		check_int(udp_arrives(d, p.fd, port), ==, 0);
	check_int(net_control(d, control, VIRTIO_NET_CTRL_MQ, 0), ==, VIRTIO_NET_ERR);
	check_int(net_control(d, control, VIRTIO_NET_CTRL_MQ, 3), ==, VIRTIO_NET_ERR);
	check_int(net_control(d, control, VIRTIO_NET_CTRL_MQ, 2), ==, VIRTIO_NET_OK);
	for (uint16_t port = 1000; port < 1064 && !(seen[0] && seen[2]); port++) {
		int q = udp_arrives(d, p.fd, port);

		require(q >= 0);
		seen[q] = true;
	}
	check(seen[0] && seen[2]);
	/* Out by the second pair. */
	memcpy(frame + 12, "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5 out by the second pair", 38);
	mem_write(&d->vm->mem, DATA, frame, sizeof(frame));
	set_desc(d, 3, 0, DATA, sizeof(frame), 0, 0);
	kick(d, 3, 0);
	check_int(completion(d, 3), ==, 0);
	do
		check_int(poll(&p, 1, 60000), ==, 1);
	while (recv(p.fd, got, sizeof(got), 0) > 0 && memcmp(got, frame + 12, 38) != 0);
	/* And back to one. */
	check_int(net_control(d, control, VIRTIO_NET_CTRL_MQ, 1), ==, VIRTIO_NET_OK);
	for (uint16_t port = 1000; port < 1016; port++)
		check_int(udp_arrives(d, p.fd, port), ==, 0);
	close(p.fd);
	detach(d);
}

static int
scsi(struct driver *d, unsigned target, const char *cdb, size_t cdb_len, uint32_t len, bool out)
{
	struct virtio_scsi_cmd_req req = {.lun = {1, (uint8_t)target, 0x40, 0}};
	struct virtio_scsi_cmd_resp resp;

	memcpy(req.cdb, cdb, cdb_len);
	mem_write(&d->vm->mem, DATA - 0x1000, &req, sizeof(req));
	set_desc(d, 2, 0, DATA - 0x1000, sizeof(req), VRING_DESC_F_NEXT, len && out ? 2 : 1);
	set_desc(d, 2, 2, DATA, len, VRING_DESC_F_NEXT, 1);
	set_desc(d, 2, 1, RESP, sizeof(resp),
		 VRING_DESC_F_WRITE | (len && !out ? VRING_DESC_F_NEXT : 0), 3);
	set_desc(d, 2, 3, DATA, len, VRING_DESC_F_WRITE, 0);
	kick(d, 2, 0);
	if (completion(d, 2) < 0)
		return -1000;
	mem_read(&d->vm->mem, RESP, &resp, sizeof(resp));
	return resp.response ? -resp.response : resp.status;
}
#define SCSI(d, target, cdb, len, out) scsi(d, target, cdb, sizeof(cdb) - 1, len, out)

static struct driver *
scsi_adapter(char path[256])
{
	cleanup_free char *keys = NULL;
	int fd;

	snprintf(path, 256, "%s/scsi", test_tmpdir());
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	require(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	close(fd);
	keys = str_printf("device=virtio-scsi\ntarget.0.path=%s\ntarget.3.path=%s\n"
			  "target.3.type=cd", path, path);
	return attach(keys);
}

TEST(scsi_disks_answer_and_move_sectors)
{
	char path[256], text[512] = "what the guest wrote", got[512];
	struct driver *d = scsi_adapter(path);
	uint8_t b[64];
	int fd;

	start(d, VERSION_1, 3);
	check_int(SCSI(d, 0, "\x12\0\0\0\x24\0", 36, false), ==, 0);
	mem_read(&d->vm->mem, DATA, b, 36);
	check(memcmp(b + 16, "VIRTIO DISK", 11) == 0);
	check_int(SCSI(d, 3, "\x12\0\0\0\x24\0", 36, false), ==, 0);
	mem_read(&d->vm->mem, DATA, b, 36);
	check_int(b[0], ==, 5);
	check_int(SCSI(d, 0, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20", 32, false), ==, 0);
	mem_read(&d->vm->mem, DATA, b, 32);
	check_int(b[6] << 8 | b[7], ==, 2047);
	mem_write(&d->vm->mem, DATA, text, sizeof(text));
	check_int(SCSI(d, 0, "\x2a\0\0\0\0\4\0\0\1\0", 512, true), ==, 0);
	check_int(SCSI(d, 0, "\x35\0\0\0\0\0\0\0\0\0", 0, false), ==, 0);
	fd = open(path, O_RDONLY);
	check_int(pread(fd, got, 512, 4 * 512), ==, 512);
	close(fd);
	check_str(got, text);
	mem_zero(&d->vm->mem, DATA, 512);
	check_int(SCSI(d, 0, "\x88\0\0\0\0\0\0\0\0\4\0\0\0\1\0\0", 512, false), ==, 0);
	mem_read(&d->vm->mem, DATA, got, 512);
	check_str(got, text);
	/* One sector of the CD-ROM is four of the disk: the text stands at its second one. */
	check_int(SCSI(d, 3, "\x28\0\0\0\0\1\0\0\1\0", 2048, false), ==, 0);
	mem_read(&d->vm->mem, DATA, got, 512);
	check_str(got, text);
	/* Freed, it is zero. */
	mem_write(&d->vm->mem, DATA, "\0\x16\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0", 24);
	check_int(SCSI(d, 0, "\x42\0\0\0\0\0\0\0\x18\0", 24, true), ==, 0);
	detach(d);
}

TEST(scsi_refuses_what_is_not_there)
{
	char path[256];
	struct driver *d = scsi_adapter(path);
	struct virtio_scsi_cmd_resp resp;

	start(d, VERSION_1, 3);
	check_int(SCSI(d, 1, "\0\0\0\0\0\0", 0, false), ==, -VIRTIO_SCSI_S_BAD_TARGET);
	check_int(SCSI(d, 200, "\0\0\0\0\0\0", 0, false), ==, -VIRTIO_SCSI_S_BAD_TARGET);
	check_int(SCSI(d, 0, "\xfe\0\0\0\0\0", 0, false), ==, 2);
	check_int(SCSI(d, 0, "\x28\0\0\0\x07\xff\0\0\2\0", 1024, false), ==, 2);
	mem_read(&d->vm->mem, RESP, &resp, sizeof(resp));
	check_int(resp.sense_len, ==, 18);
	check_int(resp.sense[12], ==, 0x21);
	/* More sectors than the buffer holds; writing to a CD-ROM. */
	check_int(SCSI(d, 0, "\x28\0\0\0\0\0\0\0\2\0", 512, false), ==, 2);
	check_int(SCSI(d, 3, "\x2a\0\0\0\0\0\0\0\1\0", 2048, true), ==, 2);
	/* The guest is told of a size that changed. */
	set_desc(d, 1, 0, DATA, 16, VRING_DESC_F_WRITE, 0);
	kick(d, 1, 0);
	require(truncate(path, 2 << 20) == 0);
	d->v->pci.class->refresh(&d->v->pci);
	check_int(completion(d, 1), ==, sizeof(struct virtio_scsi_event));
	/* A response too small for what it must hold breaks the queue. */
	set_desc(d, 2, 0, DATA, 51, VRING_DESC_F_NEXT, 1);
	set_desc(d, 2, 1, RESP, 20, VRING_DESC_F_WRITE, 0);
	kick(d, 2, 0);
	check_int(completion(d, 2), ==, -1);
	detach(d);
}

/* ---- balloon and input ---- */

TEST(the_balloon_gives_memory_back)
{
	struct driver *d = attach("device=virtio-balloon");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *out = json_new_object();
	uint32_t pfns[3] = {DATA / 4096 + 16, DATA / 4096 + 17, 0xffffffff};
	struct virtio_balloon_stat s = {VIRTIO_BALLOON_S_MEMFREE, 12345};

	start(d, VERSION_1 | 1 << VIRTIO_BALLOON_F_STATS_VQ | 1 << VIRTIO_BALLOON_F_REPORTING, 4);
	check_ok(balloon_set(d->vm, RAM - 8192, &err), &err);
	check_int(reg_read(d, 0x2000, 4), ==, 2);
	mem_write(&d->vm->mem, DATA + 0x10000, "gone", 4);
	mem_write(&d->vm->mem, DATA + 0x20000, "reported", 8);
	mem_write(&d->vm->mem, DATA, pfns, sizeof(pfns));
	set_desc(d, 0, 0, DATA, sizeof(pfns), 0, 0);
	kick(d, 0, 0);
	check_int(completion(d, 0), ==, 0);
	check_int(*(char *)mem_ptr(&d->vm->mem, DATA + 0x10000, 1), ==, 0);
	reg_write(d, 0x2004, 4, 2);
	/* What we want is not the guest's to write. */
	reg_write(d, 0x2000, 4, 99);
	check_int(reg_read(d, 0x2000, 4), ==, 2);
	set_desc(d, 3, 0, DATA + 0x20000, 4096, VRING_DESC_F_WRITE, 0);
	kick(d, 3, 0);
	check_int(completion(d, 3), ==, 0);
	check_int(*(char *)mem_ptr(&d->vm->mem, DATA + 0x20000, 1), ==, 0);
	mem_write(&d->vm->mem, DATA, &s, sizeof(s));
	set_desc(d, 2, 0, DATA, sizeof(s), 0, 0);
	kick(d, 2, 0);
	check_ok(balloon_describe(d->vm, out, &err), &err);
	check_int(json_int(json_get(out, "free"), 0), ==, 12345);
	check_int(json_int(json_get(out, "actual"), 0), ==, RAM - 8192);
	/* Asking gives the buffer back, for new numbers. */
	check_int(completion(d, 2), ==, 0);
	check(balloon_set(d->vm, RAM * 2, &err) < 0);
	check_has(error_message(&err), "not more");
	detach(d);
}

TEST(keys_and_movements_are_events)
{
	struct driver *d = attach("device=virtio-input\nkind=tablet");
	struct virtio_input_event e[8];

	reg_write(d, 0x2000, 1, VIRTIO_INPUT_CFG_ABS_INFO);
	reg_write(d, 0x2001, 1, 0);
	check_int(reg_read(d, 0x2002, 1), ==, 20);
	check_int(reg_read(d, 0x200c, 4), ==, 0x7fff);
	reg_write(d, 0x2000, 1, VIRTIO_INPUT_CFG_EV_BITS);
	reg_write(d, 0x2001, 1, 77);
	check_int(reg_read(d, 0x2002, 1), ==, 0);
	start(d, VERSION_1, 2);
	for (unsigned i = 0; i < 8; i++) {
		set_desc(d, 0, i, DATA + 8 * i, 8, VRING_DESC_F_WRITE, 0);
		kick(d, 0, (uint16_t)i);
	}
	display_pointer(d->vm->display, 100, 200, BUTTON_RIGHT);
	for (unsigned i = 0; i < 4; i++)
		check_int(completion(d, 0), ==, 8);
	mem_read(&d->vm->mem, DATA, e, sizeof(e));
	check_int(e[1].value, ==, 200);
	check_int(e[2].code, ==, BTN_RIGHT);
	check_int(e[3].type, ==, EV_SYN);
	detach(d);
}

/* ---- sockets ---- */

static struct event_loop *loop;

/* A packet from the guest on queue 1, with text behind the header. */
static void
say(struct driver *d, uint16_t op, uint32_t guest_port, uint32_t host_port, const char *text)
{
	struct virtio_vsock_hdr h = {.src_cid = 3, .dst_cid = 2, .src_port = guest_port,
				     .dst_port = host_port, .len = (uint32_t)strlen(text), .type = 1,
				     .op = op, .buf_alloc = 4096};

	mem_write(&d->vm->mem, DATA, &h, sizeof(h));
	if (*text)
		mem_write(&d->vm->mem, DATA + sizeof(h), text, strlen(text));
	set_desc(d, 1, 0, DATA, (uint32_t)(sizeof(h) + strlen(text)), 0, 0);
	kick(d, 1, 0);
	for (unsigned i = 0; i < 5; i++)
		event_step(loop, 10);
	check_int(completion(d, 1), ==, 0);
}

/* The next packet to the guest: its operation, or -1; its data in text. */
static int
hear(struct driver *d, struct virtio_vsock_hdr *h, char text[64])
{
	uint64_t at = DATA + 0x10000;
	volatile uint16_t *idx = mem_ptr(&d->vm->mem, ring(0) + 0x2002, 2);

	set_desc(d, 0, 0, at, 200, VRING_DESC_F_WRITE, 0);
	kick(d, 0, 0);
	for (unsigned i = 0; i < 200 && *idx == d->q[0].used; i++)
		event_step(loop, 20);
	if (completion(d, 0) < 0)
		return -1;
	mem_read(&d->vm->mem, at, h, sizeof(*h));
	memset(text, 0, 64);
	mem_read(&d->vm->mem, at + sizeof(*h), text, h->len < 63 ? h->len : 63);
	return h->op;
}

static int
unix_socket(const char *path, bool server)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (server)
		require(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 1) == 0);
	else
		require(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

TEST(sockets_connect_both_ways)
{
	cleanup_free char *path = str_printf("%s/vsock", test_tmpdir());
	cleanup_free char *port = str_printf("%s_1234", path);
	cleanup_free char *keys = str_printf("device=virtio-vsock\npath=%s", path);
	cleanup_error struct error err = ERROR_INIT;
	int listener = unix_socket(port, true), peer, client;
	struct virtio_vsock_hdr h;
	char text[64], line[64] = "";
	struct driver *d;

	check_ok(event_new(&loop, &err), &err);
	d = attach_on(loop, keys);
	start(d, VERSION_1, 3);
	/* Nobody is at port 99. */
	say(d, VIRTIO_VSOCK_OP_REQUEST, 5000, 99, "");
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_RST);
	check_int(h.dst_port, ==, 5000);
	/* From the guest. */
	say(d, VIRTIO_VSOCK_OP_REQUEST, 5000, 1234, "");
	peer = accept(listener, NULL, NULL);
	require(peer >= 0);
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_RESPONSE);
	check_int(h.buf_alloc, ==, 65536);
	say(d, VIRTIO_VSOCK_OP_RW, 5000, 1234, "hello, host");
	check_int(read(peer, line, sizeof(line)), ==, 11);
	check_str(line, "hello, host");
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	check_int(h.fwd_cnt, ==, 11);
	require(write(peer, "hello, guest", 12) == 12);
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_RW);
	check_str(text, "hello, guest");
	close(peer);
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_SHUTDOWN);
	say(d, VIRTIO_VSOCK_OP_RST, 5000, 1234, "");
	/* From the host. */
	client = unix_socket(path, false);
	require(write(client, "CONNECT 77\nearly", 16) == 16);
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_REQUEST);
	check_int(h.dst_port, ==, 77);
	say(d, VIRTIO_VSOCK_OP_RESPONSE, 77, h.src_port, "");
	memset(line, 0, sizeof(line));
	check(read(client, line, sizeof(line)) > 3);
	check_has(line, "OK 107");
	check_int(hear(d, &h, text), ==, VIRTIO_VSOCK_OP_RW);
	check_str(text, "early");
	/* The guest's driver starts anew: the connection is gone. */
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		event_step(loop, 10);
	check_int(read(client, line, 1), ==, 0);
	close(client);
	close(listener);
	detach(d);
	event_free(loop);
}

/* ---- hostile rings ---- */

static void
expect_broken(struct driver *d)
{
	check_int(completion(d, 0), ==, -1);
	check(reg_read(d, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* A reset makes it whole. */
	start(d, VERSION_1, 1);
	check_int(blk_request(d, VIRTIO_BLK_T_IN, 0, 512), ==, VIRTIO_BLK_S_OK);
}

TEST(rings_that_break_the_rules_break_only_the_device)
{
	char path[256];
	struct driver *d = disk("", path);
	struct vring_desc inner = {ring(0), 16, VRING_DESC_F_INDIRECT, 0};

	start(d, VERSION_1, 1);
	/* A loop. */
	set_desc(d, 0, 0, DATA, 16, VRING_DESC_F_NEXT, 1);
	set_desc(d, 0, 1, DATA, 16, VRING_DESC_F_NEXT, 0);
	kick(d, 0, 0);
	expect_broken(d);
	/* Memory that is not there; memory across the end; no length. */
	set_desc(d, 0, 0, RAM, 16, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	set_desc(d, 0, 0, RAM - 8, 16, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	set_desc(d, 0, 0, DATA, 0, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	set_desc(d, 0, 0, UINT64_MAX - 4, 16, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	/* To be read after what is to be written. */
	set_desc(d, 0, 0, DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set_desc(d, 0, 1, DATA, 16, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	/* Heads and next fields out of range. */
	kick(d, 0, SIZE);
	expect_broken(d);
	set_desc(d, 0, 0, DATA, 16, VRING_DESC_F_NEXT, SIZE);
	kick(d, 0, 0);
	expect_broken(d);
	/* Indirect tables in indirect tables, of odd sizes, outside of memory. */
	mem_write(&d->vm->mem, DATA, &inner, sizeof(inner));
	set_desc(d, 0, 0, DATA, 16, VRING_DESC_F_INDIRECT, 0);
	kick(d, 0, 0);
	expect_broken(d);
	set_desc(d, 0, 0, DATA, 17, VRING_DESC_F_INDIRECT, 0);
	kick(d, 0, 0);
	expect_broken(d);
	set_desc(d, 0, 0, RAM, 16, VRING_DESC_F_INDIRECT, 0);
	kick(d, 0, 0);
	expect_broken(d);
	/* No status byte. */
	set_desc(d, 0, 0, DATA, 16, 0, 0);
	kick(d, 0, 0);
	expect_broken(d);
	/* More requests than the ring holds. */
	d->q[0].avail = 100;
	kick(d, 0, 0);
	expect_broken(d);
	detach(d);
}

TEST(rings_outside_of_memory_are_refused)
{
	char path[256];
	struct driver *d = disk("", path);

	start(d, VERSION_1, 0);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	setup_queue(d, 0);
	/* What is enabled cannot be moved. */
	reg_write(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x1234);
	check_int(reg_read(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4), ==, RING);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	reg_write(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, RAM - 16);
	reg_write(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	check(reg_read(d, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	detach(d);
}

TEST(features_not_offered_are_not_accepted)
{
	char path[256];
	struct driver *d = disk("", path);

	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	reg_write(d, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	reg_write(d, VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	reg_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	check_int(reg_read(d, VIRTIO_PCI_COMMON_STATUS, 1), ==, 3);
	detach(d);
}

/* ---- the others ---- */

TEST(random_numbers_fill_the_buffer)
{
	struct driver *d = attach("device=virtio-rnd");
	uint8_t bytes[64] = {0};
	unsigned zeros = 0;

	start(d, VERSION_1, 1);
	set_desc(d, 0, 0, DATA, sizeof(bytes), VRING_DESC_F_WRITE, 0);
	kick(d, 0, 0);
	check_int(completion(d, 0), ==, sizeof(bytes));
	mem_read(&d->vm->mem, DATA, bytes, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	check(zeros < 16);
	detach(d);
}

/* A driver with event indexes rings only when it was asked to: every device asks, each time. */
TEST(doorbells_are_asked_for_again)
{
	struct driver *d = attach("device=virtio-rnd");

	start(d, VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX, 1);
	for (uint16_t i = 1; i < 5; i++) {
		set_desc(d, 0, 0, DATA, 64, VRING_DESC_F_WRITE, 0);
		kick(d, 0, 0);
		check_int(completion(d, 0), ==, 64);
		check_int(*(uint16_t *)mem_ptr(&d->vm->mem, ring(0) + 0x2004 + 8 * SIZE, 2), ==, i);
	}
	detach(d);
}

TEST(console_output_reaches_the_file)
{
	cleanup_free char *path = str_printf("%s/console", test_tmpdir());
	cleanup_free char *keys = str_printf("device=virtio-console\nport0=file,%s", path);
	struct driver *d = attach(keys);
	char got[32] = "";
	int fd;

	start(d, VERSION_1, 2);
	mem_write(&d->vm->mem, DATA, "hello, host", 11);
	set_desc(d, 1, 0, DATA, 11, 0, 0);
	kick(d, 1, 0);
	check_int(completion(d, 1), ==, 0);
	fd = open(path, O_RDONLY);
	check_int(read(fd, got, sizeof(got)), ==, 11);
	check_str(got, "hello, host");
	close(fd);
	detach(d);
}

TEST(frames_go_out_and_come_in)
{
	cleanup_free char *path = str_printf("%s/net", test_tmpdir());
	cleanup_free char *keys = str_printf("device=virtio-net\nbackend=unix=%s\n"
					     "mac=02:00:00:00:00:05", path);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), wire;
	uint8_t frame[100], got[200] = {0};
	struct pollfd p;
	struct driver *d;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	require(bind(listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	require(listen(listener, 1) == 0);
	d = attach(keys);
	wire = accept(listener, NULL, NULL);
	require(wire >= 0);
	check_int(reg_read(d, 0x2005, 1), ==, 5);
	start(d, VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF, 2);
	memset(frame, 0xab, sizeof(frame));
	mem_zero(&d->vm->mem, DATA, 12);
	mem_write(&d->vm->mem, DATA + 12, frame, sizeof(frame));
	set_desc(d, 1, 0, DATA, 12 + sizeof(frame), 0, 0);
	kick(d, 1, 0);
	check_int(completion(d, 1), ==, 0);
	p = (struct pollfd){.fd = wire, .events = POLLIN};
	check_int(poll(&p, 1, 60000), ==, 1);
	check_int(read(wire, got, sizeof(got)), ==, sizeof(frame));
	check(memcmp(got, frame, sizeof(frame)) == 0);
	/* In: two small buffers are merged. */
	set_desc(d, 0, 0, DATA, 64, VRING_DESC_F_WRITE, 0);
	set_desc(d, 0, 1, DATA + 0x1000, 64, VRING_DESC_F_WRITE, 0);
	kick(d, 0, 0);
	kick(d, 0, 1);
	check_int(write(wire, frame, 100), ==, 100);
	check_int(completion(d, 0), ==, 64);
	check_int(completion(d, 0), ==, 48);
	mem_read(&d->vm->mem, DATA, got, 64);
	check_int(got[10], ==, 2);
	check(memcmp(got + 12, frame, 52) == 0);
	detach(d);
	close(wire);
	close(listener);
}

/* ---- 9P ---- */

/* A client: requests as in the protocol, one at a time. */
struct client {
	struct driver *d;
	char dir[200];
	uint8_t out[8192], in[8192];
	struct p9_message m; /* in out */
	size_t n_in, at;
};

static uint64_t
p9_get(struct client *c, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, c->in + c->at, size);
	c->at += size;
	return v;
}

/* 0, the errno of the answer, or -1 if there is none. */
static int
p9_call(struct client *c)
{
	struct mem *m = &c->d->vm->mem;
	uint8_t type = c->out[4];
	int64_t n;

	memcpy(c->out, &c->m.len, 4);
	mem_write(m, DATA, c->out, c->m.len);
	set_desc(c->d, 0, 0, DATA, (uint32_t)c->m.len, VRING_DESC_F_NEXT, 1);
	set_desc(c->d, 0, 1, DATA + 0x4000, sizeof(c->in), VRING_DESC_F_WRITE, 0);
	kick(c->d, 0, 0);
	n = completion(c->d, 0);
	if (n < 7)
		return -1;
	mem_read(m, DATA + 0x4000, c->in, sizeof(c->in));
	c->n_in = (size_t)n;
	c->at = 0;
	check_int(p9_get(c, 4), ==, n);
	c->at = 5;
	check_int(p9_get(c, 2), ==, P9_TAG);
	if (c->in[4] == 7)
		return (int)p9_get(c, 4);
	check_int(c->in[4], ==, type + 1);
	return 0;
}

/* Walks from fid 0 to a name, which becomes fid `to`. */
static int
p9_walk(struct client *c, uint32_t to, const char *name)
{
	p9_begin(&c->m, 110);
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, to);
	p9_put(&c->m, 2, 1);
	p9_text(&c->m, name);
	return p9_call(c);
}

static int
p9_clunk(struct client *c, uint32_t fid)
{
	p9_begin(&c->m, 120);
	p9_put(&c->m, 4, fid);
	return p9_call(c);
}

static int
p9_open(struct client *c, uint32_t fid, uint32_t flags)
{
	p9_begin(&c->m, 12);
	p9_put(&c->m, 4, fid);
	p9_put(&c->m, 4, flags);
	return p9_call(c);
}

static int
p9_create(struct client *c, uint32_t fid, const char *name)
{
	p9_begin(&c->m, 14);
	p9_put(&c->m, 4, fid);
	p9_text(&c->m, name);
	p9_put(&c->m, 4, O_RDWR | O_CREAT);
	p9_put(&c->m, 4, 0640);
	p9_put(&c->m, 4, 0);
	return p9_call(c);
}

/* A share of a new directory with "file" and a link out of it, and fid 0 for it. */
static struct client *
p9_share(const char *options)
{
	struct client *c = xcalloc(1, sizeof(*c));
	cleanup_free char *keys = NULL, *link = NULL, *file = NULL;
	char buf[256];

	c->m.data = c->out;
	snprintf(c->dir, sizeof(c->dir), "%s/share", test_tmpdir());
	require(mkdir(c->dir, 0755) == 0);
	link = str_printf("%s/out", c->dir);
	file = str_printf("%s/file", c->dir);
	require(symlink("/etc", link) == 0);
	require(close(open(file, O_CREAT | O_WRONLY, 0644)) == 0);
	keys = str_printf("device=virtio-9p\nsharename=host\npath=%s\n%s", c->dir, options);
	c->d = attach(keys);
	check_int(reg_read(c->d, 0x2000, 2), ==, 4);
	check_int(reg_read(c->d, 0x2002, 1), ==, 'h');
	start(c->d, VERSION_1 | 1, 1);
	p9_begin(&c->m, 100);
	p9_put(&c->m, 4, 8192);
	p9_text(&c->m, "9P2000.L");
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 4), ==, 8192);
	snprintf(buf, sizeof(buf), "%.8s", (char *)c->in + c->at + 2);
	check_str(buf, "9P2000.L");
	p9_begin(&c->m, 104);
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, ~0U);
	p9_text(&c->m, "root");
	p9_text(&c->m, "");
	p9_put(&c->m, 4, 0);
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 1), ==, 0x80);
	return c;
}

static void
p9_end(struct client *c)
{
	detach(c->d);
	free(c);
}

TEST(p9_files_are_made_written_and_read)
{
	struct client *c = p9_share("");
	cleanup_free char *host = str_printf("%s/new", c->dir);
	char text[16] = "";
	struct stat st;
	int fd;

	p9_begin(&c->m, 110); /* a copy of the root's fid becomes the file */
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 2, 0);
	check_int(p9_call(c), ==, 0);
	check_int(p9_create(c, 1, "new"), ==, 0);
	p9_begin(&c->m, 118);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 8, 3);
	p9_put(&c->m, 4, 5);
	memcpy(c->out + c->m.len, "hello", 5);
	c->m.len += 5;
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 4), ==, 5);
	fd = open(host, O_RDONLY);
	check_int(pread(fd, text, sizeof(text), 3), ==, 5);
	check_str(text, "hello");
	close(fd);
	check(stat(host, &st) == 0 && (st.st_mode & 0777) == 0640);
	p9_begin(&c->m, 116);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 8, 4);
	p9_put(&c->m, 4, 100);
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 4), ==, 4);
	check(memcmp(c->in + c->at, "ello", 4) == 0);
	/* size, mode and times in one request */
	p9_begin(&c->m, 26);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 4, 1 | 8 | 32 | 256);
	p9_put(&c->m, 4, 0600);
	p9_put(&c->m, 8, 0);
	p9_put(&c->m, 8, 6);
	p9_put(&c->m, 8, 0);
	p9_put(&c->m, 8, 0);
	p9_put(&c->m, 8, 1000000000);
	p9_put(&c->m, 8, 7);
	check_int(p9_call(c), ==, 0);
	check(stat(host, &st) == 0 && st.st_size == 6 && (st.st_mode & 0777) == 0600 &&
	      st.st_mtim.tv_sec == 1000000000 && st.st_mtim.tv_nsec == 7);
	p9_begin(&c->m, 24);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 8, 0x7ff);
	check_int(p9_call(c), ==, 0);
	c->at += 8 + 13;
	check_int(p9_get(c, 4), ==, S_IFREG | 0600);
	check_int(p9_get(c, 4), ==, 0); /* ours is root's */
	check_int(p9_clunk(c, 1), ==, 0);
	check_int(p9_clunk(c, 1), ==, EBADF);
	p9_end(c);
}

TEST(p9_directories_are_listed_and_changed)
{
	struct client *c = p9_share("");
	cleanup_free char *moved = str_printf("%s/sub/moved", c->dir);
	unsigned seen = 0;

	p9_begin(&c->m, 72);
	p9_put(&c->m, 4, 0);
	p9_text(&c->m, "sub");
	p9_put(&c->m, 4, 0755);
	p9_put(&c->m, 4, 0);
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 1), ==, 0x80);
	check_int(p9_walk(c, 1, "sub"), ==, 0);
	p9_begin(&c->m, 74);
	p9_put(&c->m, 4, 0);
	p9_text(&c->m, "file");
	p9_put(&c->m, 4, 1);
	p9_text(&c->m, "moved");
	check_int(p9_call(c), ==, 0);
	check_int(access(moved, F_OK), ==, 0);
	check_int(p9_open(c, 1, O_RDONLY), ==, 0);
	for (uint64_t offset = 0, n = 1; n;) {
		p9_begin(&c->m, 40);
		p9_put(&c->m, 4, 1);
		p9_put(&c->m, 8, offset);
		p9_put(&c->m, 4, 40); /* room for one entry */
		check_int(p9_call(c), ==, 0);
		n = p9_get(c, 4);
		if (!n)
			break;
		c->at += 13;
		offset = p9_get(c, 8);
		seen++;
	}
	check_int(seen, ==, 3); /* ".", "..", "moved" */
	p9_begin(&c->m, 76);
	p9_put(&c->m, 4, 0);
	p9_text(&c->m, "sub");
	p9_put(&c->m, 4, 0x200);
	check_int(p9_call(c), ==, ENOTEMPTY);
	p9_end(c);
}

TEST(p9_nobody_leaves_the_share)
{
	static const char *const names[] = {"..", ".", "", "a/b", "/etc", "../share", "out/passwd"};
	struct client *c = p9_share("");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		check_int(p9_walk(c, 1, names[i]), ==, EINVAL);
		check_int(p9_create(c, 0, names[i]), ==, EINVAL);
	}
	/* the link is there, and nothing behind it */
	p9_begin(&c->m, 110);
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, 1);
	p9_put(&c->m, 2, 2);
	p9_text(&c->m, "out");
	p9_text(&c->m, "passwd");
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 2), ==, 1);
	check_int(p9_clunk(c, 1), ==, EBADF);
	check_int(p9_walk(c, 1, "out"), ==, 0);
	check_int(p9_open(c, 1, O_RDONLY), ==, EPERM);
	p9_begin(&c->m, 22);
	p9_put(&c->m, 4, 1);
	check_int(p9_call(c), ==, 0);
	check_int(p9_get(c, 2), ==, 4);
	check(memcmp(c->in + c->at, "/etc", 4) == 0);
	check_int(p9_create(c, 1, "x"), ==, ENOTDIR);
	p9_begin(&c->m, 18); /* a disk of the host's */
	p9_put(&c->m, 4, 0);
	p9_text(&c->m, "sda");
	p9_put(&c->m, 4, S_IFBLK | 0666);
	p9_put(&c->m, 4, 8);
	p9_put(&c->m, 4, 0);
	p9_put(&c->m, 4, 0);
	check_int(p9_call(c), ==, EPERM);
	p9_end(c);
}

TEST(p9_read_only_is)
{
	struct client *c = p9_share("ro=true");

	check_int(p9_create(c, 0, "x"), ==, EROFS);
	check_int(p9_walk(c, 1, "file"), ==, 0);
	check_int(p9_open(c, 1, O_RDWR), ==, EROFS);
	check_int(p9_open(c, 1, O_RDONLY | O_TRUNC), ==, EROFS);
	check_int(p9_open(c, 1, O_RDONLY), ==, 0);
	p9_begin(&c->m, 76);
	p9_put(&c->m, 4, 0);
	p9_text(&c->m, "file");
	p9_put(&c->m, 4, 0);
	check_int(p9_call(c), ==, EROFS);
	p9_end(c);
}

TEST(p9_bad_requests_are_answered)
{
	struct client *c = p9_share("");

	for (unsigned type = 0; type < 256; type++) {
		/* nothing behind the header, and a length in the middle of nowhere */
		p9_begin(&c->m, (uint8_t)type);
		check(p9_call(c) != -1);
		p9_begin(&c->m, (uint8_t)type);
		p9_put(&c->m, 4, 0);
		p9_put(&c->m, 4, ~0U);
		p9_put(&c->m, 2, 0xffff);
		check(p9_call(c) != -1);
	}
	p9_end(c);
}

TEST(p9_command_line)
{
	cleanup_config struct config *c = config_new();
	cleanup_error struct error err = ERROR_INIT;

	check_ok(pci_parse_slot(c, "5,virtio-9p,data=/srv/x,ro", &err), &err);
	check_str(config_get(c, "pci.0.5.0.sharename", NULL), "data");
	check_str(config_get(c, "pci.0.5.0.path", NULL), "/srv/x");
	check_str(config_get(c, "pci.0.5.0.ro", NULL), "true");
	check(pci_parse_slot(c, "6,virtio-9p,data=/srv/x,rw", &err) < 0);
	check_has(error_message(&err), "rw");
}
