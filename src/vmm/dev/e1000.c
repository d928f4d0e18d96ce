/*
 * Intel 82545EM gigabit Ethernet ("PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual"): the NIC every older guest has a
 * driver for.  virtio-net is faster; this one causes an exit a packet.
 *
 * A worker owns both rings while transmitter or receiver is on; register
 * accesses and the worker share `lock`, which the worker gives up while it
 * waits.  What the guest put into a descriptor is copied before it is used.
 */
#include <linux/virtio_net.h>

#include "base/sum.h"
#include "vmm/backend/net.h"
#include "vmm/device.h"

#define DEVICE_82545EM 0x100f
#define FRAME_MAX 65536U /* a segmented send may be this long */
#define RX_MAX 16384U
#define EEPROM_WORDS 64
#define BATCH 64

enum {
	CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018,
	MDIC = 0x0020, VET = 0x0038, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0,
	IMC = 0x00d8, RCTL = 0x0100, TCTL = 0x0400, TIPG = 0x0410, PBA = 0x1000, RDBAL = 0x2800,
	RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, TDBAL = 0x3800, TDBAH = 0x3804,
	TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, STATS = 0x4000, STATS_END = 0x4100,
	RXCSUM = 0x5000, MTA = 0x5200, MTA_END = 0x5400, RA = 0x5400, RA_END = 0x5480,
	REGS_END = 0x6000
};

#define CTRL_RESET (1U << 26)
#define CTRL_PHY_RESET (1U << 31)
#define STATUS_LINK 0x80080783U /* full duplex, up, 1 Gb/s */
enum {
	EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_REQUEST = 0x40, EECD_GRANT = 0x80,
	EECD_PRESENT = 0x100
};
enum {
	INT_TXDW = 0x01, INT_TXQE = 0x02, INT_LINK = 0x04, INT_RXDMT = 0x10, INT_RX = 0x80,
	INT_MDIO = 0x200
};
enum {
	RCTL_EN = 0x02, RCTL_PROMISC = 0x08, RCTL_ALL_MULTI = 0x10, RCTL_LONG = 0x20,
	RCTL_BROADCAST = 0x8000, RCTL_STRIP_CRC = 0x4000000
};
#define TCTL_EN 0x02U

struct rx_desc {
	uint64_t addr;
	uint16_t len, csum;
	uint8_t status, errors;
	uint16_t special;
};

struct tx_desc {
	uint64_t addr;
	uint32_t cmd_len;
	uint8_t status, options;
	uint16_t special;
};
_Static_assert(sizeof(struct rx_desc) == 16 && sizeof(struct tx_desc) == 16, "82545 layout");

/* TX_INSERT_CSUM: of a legacy descriptor; TSE in an extended one. */
enum {
	TX_EOP = 1 << 24, CONTEXT_IPV4 = 1 << 25, TX_INSERT_CSUM = 1 << 26, TX_REPORT = 1 << 27,
	TX_EXTENDED = 1 << 29, OPT_IP = 1, OPT_TCP = 2
};
#define TX_TYPE(c) ((c) >> 20 & 15)

struct e1000 {
	struct pci_dev pci;
	struct net net;
	struct worker worker;
	int kick_fd;
	pthread_mutex_t lock; /* everything below */
	uint32_t reg[REGS_END / 4];
	uint16_t phy[32], eeprom[EEPROM_WORDS];
	uint8_t mac[6];
	struct { /* the EEPROM's serial line */
		uint32_t eecd;
		unsigned in, n_in, out;
		bool reading;
	} serial;
	struct { /* what the last context descriptor said */
		uint8_t ip_start, ip_at, tcp_start, tcp_at, hdr_len;
		uint16_t mss;
		bool v4;
	} context;
	uint32_t frame_len;
	bool segment, too_long;
	uint8_t sums;
	uint8_t frame[FRAME_MAX];
	uint8_t rx[RX_MAX + 16];
};

static uint32_t *
reg(struct e1000 *e, unsigned at)
{
	return &e->reg[at / 4];
}

static const struct mem *
ram(const struct e1000 *e)
{
	return &e->pci.vm->mem;
}

static void
update_irq(struct e1000 *e)
{
	pci_irq_level(&e->pci, *reg(e, ICR) & *reg(e, IMS));
}

static void
raise_irq(struct e1000 *e, uint32_t cause)
{
	*reg(e, ICR) |= cause;
	update_irq(e);
}

/* ---- sending ---- */

/* Checks the offsets the context gave; what they leave is described for the back end. */
static bool
describe(struct e1000 *e, struct virtio_net_hdr *h)
{
	uint8_t *f = e->frame;
	uint32_t len = e->frame_len;
	unsigned ip = e->context.ip_start, tcp = e->context.tcp_start;
	bool v4 = e->context.v4;

	*h = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	if (e->segment) {
		/* The driver left lengths out: they differ in each segment. */
		if (ip + 40U > len || tcp < ip + 20U || tcp + 20U > len || !e->context.mss)
			return false;
		put_be16(f + ip + (v4 ? 2 : 4), len - ip - (v4 ? 0 : 40));
		put_be16(f + tcp + 16, sum16(f + ip + (v4 ? 12 : 8), v4 ? 8 : 32, 6 + len - tcp));
		h->gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h->gso_size = e->context.mss;
		h->hdr_len = e->context.hdr_len;
		e->sums |= OPT_TCP;
	}
	if (e->sums & OPT_TCP) {
		if (e->context.tcp_at < tcp || e->context.tcp_at + 2U > len)
			return false;
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)tcp;
		h->csum_offset = (uint16_t)(e->context.tcp_at - tcp);
	}
	return true;
}

/* The IPv4 header's own checksum, which back ends do not know of. */
static void
ip_checksum(struct e1000 *e)
{
	unsigned start = e->context.ip_start, at = e->context.ip_at, len;

	if (start + 20U > e->frame_len || at + 2U > e->frame_len)
		return;
	len = 4U * (e->frame[start] & 15);
	if (len < 20 || start + len > e->frame_len)
		return;
	put_be16(e->frame + at, 0);
	put_be16(e->frame + at, (uint16_t)~sum16(e->frame + start, len, 0));
}

static void
send_frame(struct e1000 *e)
{
	struct virtio_net_hdr h;

	if (!e->too_long && describe(e, &h)) {
		if (e->sums & OPT_IP)
			ip_checksum(e);
		net_send(&e->net, 0, sizeof(h), &h, e->frame, e->frame_len);
	}
	e->frame_len = 0;
	e->segment = e->too_long = false;
	e->sums = 0;
}

static void
take_context(struct e1000 *e, const struct tx_desc *d)
{
	uint64_t a = d->addr;

	e->context.ip_start = (uint8_t)a;
	e->context.ip_at = (uint8_t)(a >> 8);
	e->context.tcp_start = (uint8_t)(a >> 32);
	e->context.tcp_at = (uint8_t)(a >> 40);
	e->context.v4 = d->cmd_len & CONTEXT_IPV4;
	e->context.hdr_len = d->options;
	e->context.mss = d->special;
}

static void
take_data(struct e1000 *e, const struct tx_desc *d)
{
	bool extended = d->cmd_len & TX_EXTENDED;
	uint32_t len = d->cmd_len & (extended ? 0xfffff : 0xffff);

	if (e->frame_len == 0 && extended) {
		e->segment = d->cmd_len & TX_INSERT_CSUM;
		e->sums = d->options;
	}
	if (len > FRAME_MAX - e->frame_len ||
	    (len && !mem_read(ram(e), d->addr, e->frame + e->frame_len, len)))
		e->too_long = true;
	else
		e->frame_len += len;
	if (!(d->cmd_len & TX_EOP))
		return;
	/* A legacy descriptor says itself where a checksum goes, with no pseudo header of ours. */
	if (!extended && (d->cmd_len & TX_INSERT_CSUM)) {
		e->context.tcp_start = d->options;
		e->context.tcp_at = (uint8_t)(d->cmd_len >> 16);
		e->sums = OPT_TCP;
	}
	send_frame(e);
}

/* At most a batch; true if there is more. */
static bool
transmit(struct e1000 *e)
{
	uint64_t base = *reg(e, TDBAL) | (uint64_t)*reg(e, TDBAH) << 32;
	uint32_t n = *reg(e, TDLEN) / sizeof(struct tx_desc), cause = 0;
	unsigned left = BATCH;

	if (!(*reg(e, TCTL) & TCTL_EN) || *reg(e, TDH) >= n || *reg(e, TDT) >= n)
		return false;
	while (*reg(e, TDH) != *reg(e, TDT) && left--) {
		uint64_t at = base + *reg(e, TDH) * sizeof(struct tx_desc);
		struct tx_desc d;

		if (!mem_read(ram(e), at, &d, sizeof(d)))
			break;
		if ((d.cmd_len & TX_EXTENDED) && TX_TYPE(d.cmd_len) == 0)
			take_context(e, &d);
		else
			take_data(e, &d);
		if (d.cmd_len & TX_REPORT) {
			d.status |= 1;
			mem_write(ram(e), at + offsetof(struct tx_desc, status), &d.status, 1);
			cause |= INT_TXDW;
		}
		*reg(e, TDH) = (*reg(e, TDH) + 1) % n;
	}
	if (*reg(e, TDH) == *reg(e, TDT))
		cause |= INT_TXQE;
	if (cause)
		raise_irq(e, cause);
	return left == UINT32_MAX;
}

/* ---- receiving ---- */

static uint32_t
rx_buffer(struct e1000 *e)
{
	uint32_t rctl = *reg(e, RCTL), size = 2048U >> (rctl >> 16 & 3);

	return rctl & (1U << 25) && size < 2048 ? size * 16 : size;
}

static bool
wanted(struct e1000 *e, const uint8_t *f)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t shifts[] = {4, 3, 2, 0};
	uint32_t rctl = *reg(e, RCTL);

	if (memcmp(f, all, 6) == 0)
		return rctl & RCTL_BROADCAST;
	if (rctl & (f[0] & 1 ? RCTL_ALL_MULTI : RCTL_PROMISC))
		return true;
	for (unsigned i = RA; i < RA_END; i += 8) {
		uint32_t low = *reg(e, i), high = *reg(e, i + 4);
		const uint8_t mac[6] = {(uint8_t)low, (uint8_t)(low >> 8), (uint8_t)(low >> 16),
					(uint8_t)(low >> 24), (uint8_t)high, (uint8_t)(high >> 8)};

		if ((high & 0x80000000U) && memcmp(f, mac, 6) == 0)
			return true;
	}
	if (!(f[0] & 1))
		return false;

	unsigned bits = ((f[5] << 8 | f[4]) >> shifts[rctl >> 12 & 3]) & 0xfff;

	return *reg(e, MTA + 4 * (bits >> 5)) >> (bits & 31) & 1;
}

static uint32_t
rx_free(struct e1000 *e)
{
	uint32_t n = *reg(e, RDLEN) / sizeof(struct rx_desc), h = *reg(e, RDH), t = *reg(e, RDT);

	if (!(*reg(e, RCTL) & RCTL_EN) || h >= n || t >= n)
		return 0;
	return t >= h ? t - h : n - h + t;
}

/* Puts a frame into as many descriptors as it takes; there are enough of them. */
static void
deliver(struct e1000 *e, const uint8_t *frame, uint32_t len)
{
	uint64_t base = *reg(e, RDBAL) | (uint64_t)*reg(e, RDBAH) << 32;
	uint32_t n = *reg(e, RDLEN) / sizeof(struct rx_desc), size = rx_buffer(e), done = 0;

	while (done < len) {
		uint64_t at = base + *reg(e, RDH) * sizeof(struct rx_desc);
		uint32_t part = len - done < size ? len - done : size;
		struct rx_desc d;

		if (!mem_read(ram(e), at, &d, sizeof(d)))
			return;
		/* A buffer outside of memory swallows its part. */
		mem_write(ram(e), d.addr, frame + done, part);
		done += part;
		d.len = (uint16_t)part;
		d.csum = 0;
		d.status = (uint8_t)(1 | (done == len) << 1);
		d.errors = 0;
		d.special = 0;
		mem_write(ram(e), at + 8, &d.len, 8);
		*reg(e, RDH) = (*reg(e, RDH) + 1) % n;
	}
}

static void
receive(struct e1000 *e)
{
	unsigned skip = e->net.vnet_hdr ? sizeof(struct virtio_net_hdr) : 0;
	uint8_t *f = e->rx + skip;
	uint32_t cause = 0, enough = RX_MAX / rx_buffer(e) + 1;

	for (unsigned i = 0; i < BATCH && rx_free(e) >= enough; i++) {
		ssize_t got = read(e->net.fd[0], e->rx, skip + RX_MAX - 4);
		uint32_t len;

		if (got < (ssize_t)skip + 14)
			break;
		len = (uint32_t)got - skip;
		if (!wanted(e, f) || (len > 1522 && !(*reg(e, RCTL) & RCTL_LONG)))
			continue;
		if (len < 60) {
			memset(f + len, 0, 60 - len);
			len = 60;
		}
		if (!(*reg(e, RCTL) & RCTL_STRIP_CRC)) {
			memset(f + len, 0, 4); /* drivers do not look at it */
			len += 4;
		}
		deliver(e, f, len);
		cause = INT_RX;
	}
	if (cause)
		raise_irq(e, cause | (rx_free(e) < enough ? INT_RXDMT : 0));
}

static bool
rx_ready(struct e1000 *e)
{
	return rx_free(e) >= RX_MAX / rx_buffer(e) + 1;
}

static void *
work(void *arg)
{
	struct e1000 *e = arg;

	while (worker_obey(&e->worker)) {
		int fds[2] = {e->kick_fd, -1};
		bool more;

		pthread_mutex_lock(&e->lock);
		more = transmit(e);
		if (rx_ready(e))
			fds[1] = e->net.fd[0];
		pthread_mutex_unlock(&e->lock);
		if (worker_wait(&e->worker, fds, 2, 1, more ? 0 : -1) & 2) {
			pthread_mutex_lock(&e->lock);
			receive(e);
			pthread_mutex_unlock(&e->lock);
		}
	}
	return NULL;
}

/* ---- EEPROM and PHY ---- */

/* Microwire: a start bit, two bits "read", six of address, then sixteen come out. */
static void
serial_write(struct e1000 *e, uint32_t v)
{
	uint32_t old = e->serial.eecd;

	e->serial.eecd = v & (EECD_SK | EECD_CS | EECD_DI | EECD_REQUEST);
	if (!(v & EECD_CS) || !(old & EECD_CS)) {
		e->serial.in = e->serial.n_in = e->serial.out = 0;
		e->serial.reading = false;
	}
	if (!(v & EECD_CS) || !((v ^ old) & EECD_SK))
		return;
	if (!(v & EECD_SK)) {
		if (e->serial.reading)
			e->serial.out++;
		return;
	}
	e->serial.in = e->serial.in << 1 | !!(v & EECD_DI);
	if (++e->serial.n_in == 9 && !e->serial.reading) {
		e->serial.out = ((e->serial.in & 0x3f) << 4) - 1;
		e->serial.reading = (e->serial.in >> 6 & 7) == 6;
	}
}

static uint32_t
serial_read(const struct e1000 *e)
{
	uint32_t v = EECD_PRESENT | EECD_GRANT | e->serial.eecd;
	unsigned word = e->serial.out >> 4 & (EEPROM_WORDS - 1);

	if (!e->serial.reading || (e->eeprom[word] >> (15 - (e->serial.out & 15)) & 1))
		v |= EECD_DO;
	return v;
}

static void
phy_access(struct e1000 *e, uint32_t v)
{
	unsigned n = v >> 16 & 31, op = v >> 26 & 3;

	if ((v >> 21 & 31) != 1) { /* there is one, at address 1 */
		*reg(e, MDIC) = v | 1U << 30;
	} else if (op == 2) {
		v = (v & ~0xffffU) | e->phy[n];
	} else if (op == 1) {
		if (n == 0 || n == 4 || n == 9 || n == 16 || n == 20)
			e->phy[n] = v & (n == 0 ? 0x7dff : 0xffff); /* resets are done at once */
	}
	*reg(e, MDIC) = (*reg(e, MDIC) & 1U << 30) | v | 1U << 28;
	if (v & 1U << 29)
		raise_irq(e, INT_MDIO);
}

/* ---- registers ---- */

static void
reset(struct e1000 *e)
{
	static const uint16_t phy[32] = {
		[0] = 0x1140,  [1] = 0x796d,  [2] = 0x0141,  [3] = 0x0c20,  [4] = 0x0de1,
		[5] = 0x45e1,  [6] = 0x0001,  [9] = 0x0e00,  [10] = 0x3c00, [15] = 0x3000,
		[16] = 0x0360, [17] = 0xac00, [20] = 0x0d60};

	memset(e->reg, 0, sizeof(e->reg));
	memcpy(e->phy, phy, sizeof(phy));
	*reg(e, CTRL) = 0x00140240; /* 1 Gb/s, link set up */
	*reg(e, PBA) = 0x00100030;
	*reg(e, RA) = (uint32_t)e->mac[0] | (uint32_t)e->mac[1] << 8 | (uint32_t)e->mac[2] << 16 |
		      (uint32_t)e->mac[3] << 24;
	*reg(e, RA + 4) = (uint32_t)e->mac[4] | (uint32_t)e->mac[5] << 8 | 0x80000000U;
	memset(&e->serial, 0, sizeof(e->serial));
	memset(&e->context, 0, sizeof(e->context));
	e->frame_len = 0;
	e->segment = e->too_long = false;
	e->sums = 0;
	update_irq(e);
}

static void
kick(struct e1000 *e)
{
	bell_ring(e->kick_fd);
}

static uint32_t
reg_read(struct e1000 *e, unsigned at)
{
	uint32_t v;

	switch (at) {
	case STATUS:
		return STATUS_LINK;
	case EECD:
		return serial_read(e);
	case ICR:
		v = *reg(e, ICR);
		*reg(e, ICR) = 0;
		update_irq(e);
		return v;
	case ICS:
	case IMC:
		return 0;
	}
	/* Counters nobody counts read as zero. */
	return at < REGS_END && !(at >= STATS && at < STATS_END) ? *reg(e, at) : 0;
}

static void
reg_write(struct e1000 *e, unsigned at, uint32_t v)
{
	switch (at) {
	case CTRL:
		if (v & CTRL_RESET)
			reset(e);
		else
			*reg(e, CTRL) = v & ~CTRL_PHY_RESET;
		return;
	case STATUS:
		return;
	case EECD:
		serial_write(e, v);
		return;
	case EERD: /* start: the word is there at once */
		*reg(e, EERD) = (v & 0xff00) | 0x10 |
				(uint32_t)e->eeprom[v >> 8 & (EEPROM_WORDS - 1)] << 16;
		return;
	case MDIC:
		phy_access(e, v);
		return;
	case ICR:
		*reg(e, ICR) &= ~v;
		update_irq(e);
		return;
	case ICS:
		raise_irq(e, v);
		return;
	case IMS:
		*reg(e, IMS) |= v;
		update_irq(e);
		return;
	case IMC:
		*reg(e, IMS) &= ~v;
		update_irq(e);
		return;
	case RDH: case RDT: case TDH: case TDT:
		v &= 0xffff;
		break;
	case RDLEN: case TDLEN:
		v &= 0xfff80;
		break;
	case RDBAL: case TDBAL:
		v &= ~15U;
		break;
	}
	if (at < REGS_END)
		*reg(e, at) = v;
	if (at == TDT || at == RDT || at == TCTL || at == RCTL)
		kick(e);
}

static uint64_t
e1000_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	struct e1000 *e = (struct e1000 *)d;

	if (bar != 0)
		return 0;
	scoped_lock(&e->lock);
	return reg_read(e, (unsigned)offset & ~3U) >> (8 * (offset & 3));
}

static void
e1000_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct e1000 *e = (struct e1000 *)d;

	if (bar != 0 || offset % 4 || size < 4)
		return;
	scoped_lock(&e->lock);
	reg_write(e, (unsigned)offset, (uint32_t)value);
}

/* ---- setting up ---- */

static void
make_eeprom(struct e1000 *e)
{
	uint16_t sum = 0;

	for (unsigned i = 0; i < 3; i++)
		e->eeprom[i] = (uint16_t)(e->mac[2 * i] | e->mac[2 * i + 1] << 8);
	e->eeprom[0x0a] = 0x4408;
	e->eeprom[0x0b] = DEVICE_82545EM;
	e->eeprom[0x0c] = PCI_VENDOR_INTEL;
	e->eeprom[0x0d] = DEVICE_82545EM;
	e->eeprom[0x0e] = PCI_VENDOR_INTEL;
	e->eeprom[0x0f] = 0x3040;
	for (unsigned i = 0; i < EEPROM_WORDS - 1; i++)
		sum = (uint16_t)(sum + e->eeprom[i]);
	e->eeprom[EEPROM_WORDS - 1] = (uint16_t)(0xbaba - sum);
}

static int
e1000_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct e1000 *e = (struct e1000 *)d;

	e->kick_fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	TRY(worker_init(&e->worker, NULL, e, err));
	TRY(config_set(node, "vhost", "false", err));
	TRY(net_open(d->vm->loop, node, 1, &e->net, err));
	TRY(net_configure(&e->net, sizeof(struct virtio_net_hdr), 0, err));
	TRY(net_choose_mac(&e->net, d, node, e->mac, err));
	pci_set_ids(d, PCI_VENDOR_INTEL, DEVICE_82545EM, PCI_CLASS_NETWORK, 3);
	pci_set_subsystem(d, PCI_VENDOR_INTEL, DEVICE_82545EM);
	pci_add_bar(d, 0, PCI_BAR_MEM32, 0x20000);
	pci_add_bar(d, 2, PCI_BAR_IO, 8);
	pci_add_pin(d);
	TRY(bell_new(&e->kick_fd, err));
	make_eeprom(e);
	reset(e);
	TRY(worker_start(&e->worker, d->vm, "e1000", work, err));
	/* The rings are empty until a driver turns them on: it may run from the start. */
	worker_run(&e->worker);
	return 0;
}

static void
e1000_done(struct pci_dev *d)
{
	struct e1000 *e = (struct e1000 *)d;

	worker_done(&e->worker);
	net_close(&e->net);
	cleanup_closep(&e->kick_fd);
	pthread_mutex_destroy(&e->lock);
}

static void
e1000_state(struct pci_dev *d, struct state *s)
{
	struct e1000 *e = (struct e1000 *)d;

	STATE(s, e->reg, e->phy, e->serial.eecd, e->serial.in, e->serial.n_in, e->serial.out,
	      e->serial.reading, e->context.ip_start, e->context.ip_at, e->context.tcp_start,
	      e->context.tcp_at, e->context.hdr_len, e->context.mss, e->context.v4, e->frame_len,
	      e->segment, e->too_long, e->sums, e->frame);
	state_require(s, e->frame_len <= FRAME_MAX, "the frame's length");
	if (state_loading(s)) {
		update_irq(e);
		kick(e);
	}
}

static const struct pci_opt opts[] = {
	NET_PCI_OPTS,
	{"mtu", "N", "accepted: the guest's driver decides"},
	{0},
};

const struct pci_class pci_class_e1000 = {
	.name = "e1000",
	.hotplug = true,
	.summary = "network interface that old guests know (Intel 82545EM)",
	.main_opt = "backend",
	.opts = opts,
	.size = sizeof(struct e1000),
	.init = e1000_init,
	.done = e1000_done,
	.state = e1000_state,
	.bar_read = e1000_read,
	.bar_write = e1000_write,
};
