/*
 * AHCI 1.3 controller with SATA disks and CD-ROMs (ATA8-ACS, ATAPI through
 * backend/scsi.c).
 *
 * Each port has a worker that owns the command list while PxCMD.ST is set:
 * writes to PxCI ring it, it takes slots, moves data and writes the received
 * FISes.  Clearing ST stops the worker first, so nothing of an old list is
 * touched afterwards.  After an error a port takes no command until ST was
 * cleared, as the specification has it.
 *
 * Locks: `control` holds vcpus off each other while one starts or stops a
 * worker; `lock` guards the registers, and the workers take only that.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/str.h"
#include "vmm/backend/scsi.h"
#include "vmm/pci_ids.h"
#include "vmm/virtio/virtq.h"
#include "vmm/vm.h"
#include "vmm/worker.h"

#define ICH9_AHCI 0x2922
#define MAX_PORTS 6
#define SLOTS 32
#define MAX_IOV 1024
#define PORT_BASE 0x100U
#define PORT_SIZE 0x80U

enum { HBA_CAP = 0x00, HBA_GHC = 0x04, HBA_IS = 0x08, HBA_PI = 0x0c, HBA_VS = 0x10 };
enum {
	PX_CLB = 0x00, PX_CLBU = 0x04, PX_FB = 0x08, PX_FBU = 0x0c, PX_IS = 0x10, PX_IE = 0x14,
	PX_CMD = 0x18, PX_TFD = 0x20, PX_SIG = 0x24, PX_SSTS = 0x28, PX_SCTL = 0x2c,
	PX_SERR = 0x30, PX_SACT = 0x34, PX_CI = 0x38
};

#define GHC_RESET 1U
#define GHC_IE 2U
#define GHC_AE 0x80000000U
#define CMD_ST 1U
#define CMD_CLO 8U
#define CMD_FRE 0x10U
#define CMD_FR 0x4000U
#define CMD_CR 0x8000U
#define CMD_ATAPI 0x1000000U
#define CMD_WRITABLE 0x0f000017U
#define IS_DHRS 1U
#define IS_PSS 2U
#define IS_SDBS 8U
#define IS_TFES 0x40000000U
#define TFD_READY 0x50U /* DRDY, seek complete */
#define TFD_ERROR 0x41U
#define ABORTED 4U
#define SSTS_UP 0x133U /* present, 6 Gb/s, active */
#define SIG_DISK 0x00000101U
#define SIG_ATAPI 0xeb140101U

enum { FIS_HOST = 0x27, FIS_DEVICE = 0x34, FIS_PIO = 0x5f, FIS_BITS = 0xa1 };
enum { AT_PIO = 0x20, AT_DEVICE = 0x40, AT_BITS = 0x58 };

/* The command header; PRDs follow the table's first 128 bytes. */
struct header {
	uint16_t flags, n_prds;
	uint32_t done;
	uint64_t table;
	uint32_t reserved[4];
};
struct prd {
	uint64_t base;
	uint32_t reserved, count;
};
_Static_assert(sizeof(struct header) == 32 && sizeof(struct prd) == 16, "AHCI layout");
#define HEADER_WRITE 0x40U

struct port;

struct slot {
	struct port *port;
	unsigned n;
	bool queued, pio;
	uint8_t fis[20];
	uint64_t table;
	struct blk_req io;
	struct iovec *iov;
	unsigned n_iov;
	uint64_t room; /* bytes the PRDs hold */
	struct {
		uint64_t offset, len;
	} range[64]; /* of a TRIM, one after the other */
	unsigned n_ranges, at_range;
};

struct port {
	struct ahci *hba;
	unsigned n;
	struct scsi_lun lun;
	struct worker worker;
	int kick_fd;
	/* Registers, under the controller's lock. */
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sctl, serr, sact, ci;
	/* The worker's. */
	struct slot slot[SLOTS];
	uint32_t taken, done_bits; /* done_bits: queued commands to report */
	unsigned n_queued;
	bool alone, halted;	   /* a command that wants the port for itself; after an error */
	uint8_t error_log[512];
	struct scsi_cmd packet;
};

struct ahci {
	struct pci_dev pci;
	pthread_mutex_t control, lock;
	uint32_t ghc, is;
	unsigned n_ports;
	struct port port[MAX_PORTS];
};

static const struct mem *
ram(const struct port *p)
{
	return &p->hba->pci.vm->mem;
}

static const struct blk_info *
info(const struct port *p)
{
	return blk_info(p->lun.blk);
}

/* ---- interrupts and received FISes ---- */

/* Lock held. */
static void
update_irq(struct ahci *a)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		if (a->port[i].is & a->port[i].ie)
			a->is |= 1U << i;
	}
	pci_irq_level(&a->pci, (a->ghc & GHC_IE) && a->is);
}

/* Lock held.  A received FIS goes to memory if the driver wants it. */
static void
receive_fis(struct port *p, unsigned at, const void *fis, size_t len, uint32_t cause)
{
	if (p->cmd & CMD_FRE)
		mem_write(ram(p), p->fb + at, fis, len);
	p->is |= cause;
}

/* Lock held.  The register FIS of a device after reset or a command. */
static void
device_fis(struct port *p, const uint8_t *cmd, uint8_t status, uint8_t error, uint32_t cause)
{
	uint8_t f[20] = {FIS_DEVICE, cause ? 0x40 : 0, status, error};

	if (cmd) {
		memcpy(f + 4, cmd + 4, 9);
		f[12] = p->lun.cdrom ? 3 : cmd[12]; /* interrupt reason: status */
	} else {
		f[4] = f[12] = 1;
		f[5] = p->lun.cdrom ? 0x14 : 0;
		f[6] = p->lun.cdrom ? 0xeb : 0;
	}
	p->tfd = status | (uint32_t)error << 8;
	receive_fis(p, AT_DEVICE, f, sizeof(f), cause);
}

/* ---- completion, in the worker ---- */

static void
finish(struct slot *s, uint64_t moved, uint8_t error)
{
	struct port *p = s->port;
	struct ahci *a = p->hba;
	uint32_t bit = 1U << s->n, done = (uint32_t)moved;
	uint8_t status = error ? TFD_ERROR : TFD_READY;

	mem_write(ram(p), p->clb + s->n * sizeof(struct header) + 4, &done, sizeof(done));
	p->taken &= ~bit;
	if (s->queued && !error) {
		p->n_queued--;
		p->done_bits |= bit;
		return;
	}
	pthread_mutex_lock(&a->lock);
	if (s->queued) {
		uint8_t f[8] = {FIS_BITS, 0x40, status, error};

		p->n_queued--;
		p->tfd = status | (uint32_t)error << 8;
		receive_fis(p, AT_BITS, f, sizeof(f), IS_SDBS | IS_TFES);
	} else {
		p->alone = false;
		/* Data in by PIO announces itself, with the status it ends in. */
		if (s->pio && !error) {
			uint8_t f[20] = {FIS_PIO, 0x60, TFD_READY};

			memcpy(f + 4, s->fis + 4, 9);
			f[15] = TFD_READY;
			memcpy(f + 16, &done, 2);
			receive_fis(p, AT_PIO, f, sizeof(f), IS_PSS);
		}
		if (!error)
			p->ci &= ~bit;
		device_fis(p, s->fis, status, error, error ? IS_DHRS | IS_TFES : IS_DHRS);
	}
	p->halted = p->halted || error;
	update_irq(a);
	pthread_mutex_unlock(&a->lock);
}

/* One FIS tells of all queued commands that ended in this turn. */
static void
report_queued(struct port *p)
{
	uint8_t f[8] = {FIS_BITS, 0x40, TFD_READY & 0x70};

	if (!p->done_bits)
		return;
	pthread_mutex_lock(&p->hba->lock);
	memcpy(f + 4, &p->done_bits, 4);
	p->sact &= ~p->done_bits;
	p->done_bits = 0;
	p->tfd = TFD_READY;
	receive_fis(p, AT_BITS, f, sizeof(f), IS_SDBS);
	update_irq(p->hba);
	pthread_mutex_unlock(&p->hba->lock);
}

static void
io_done(struct blk_req *io, void *arg)
{
	struct slot *s = container_of(io, struct slot, io);
	struct port *p = s->port;

	if (io->result == 0 && ++s->at_range < s->n_ranges) {
		io->offset = s->range[s->at_range].offset;
		io->len = s->range[s->at_range].len;
		blk_submit(p->lun.blk, io);
		return;
	}
	if (p->lun.cdrom) {
		scsi_finish(&p->lun, &p->packet, io->result);
		finish(s, io->result ? 0 : io->len,
		       io->result ? (uint8_t)(p->packet.sense[2] << 4) | ABORTED : 0);
		return;
	}
	if (io->result && s->queued) {
		/* What READ LOG tells of the failed one. */
		memset(p->error_log, 0, sizeof(p->error_log));
		p->error_log[0] = (uint8_t)s->n;
		p->error_log[2] = TFD_ERROR;
		p->error_log[3] = 0x40; /* uncorrectable */
		memcpy(p->error_log + 4, s->fis + 4, 9);
		uint8_t sum = 0;
		for (unsigned i = 0; i < 511; i++)
			sum += p->error_log[i];
		p->error_log[511] = (uint8_t)-sum;
	}
	finish(s, io->result || (io->op != BLK_READ && io->op != BLK_WRITE) ? 0 : io->len,
	       io->result ? 0x40 | ABORTED : 0);
}

/* ---- data ---- */

/* PRDs to host addresses, neighbours joined.  False if they leave memory or are too many. */
static bool
map_prds(struct slot *s, const struct header *h)
{
	struct port *p = s->port;

	s->n_iov = 0;
	s->room = 0;
	if (!s->iov)
		s->iov = xcalloc(MAX_IOV, sizeof(*s->iov));
	for (unsigned i = 0; i < h->n_prds; i++) {
		struct prd d;
		uint64_t len;
		uint8_t *hva;

		if (!mem_read(ram(p), s->table + 0x80 + i * sizeof(d), &d, sizeof(d)))
			return false;
		len = (d.count & 0x3fffff) + 1;
		hva = mem_ptr(ram(p), d.base, len);
		if (!hva || len % 2 || d.base % 2)
			return false;
		s->room += len;
		if (s->n_iov &&
		    (uint8_t *)s->iov[s->n_iov - 1].iov_base + s->iov[s->n_iov - 1].iov_len == hva) {
			s->iov[s->n_iov - 1].iov_len += len;
			continue;
		}
		if (s->n_iov == MAX_IOV)
			return false;
		s->iov[s->n_iov++] = (struct iovec){hva, len};
	}
	return true;
}

static void
answer(struct slot *s, const void *data, size_t len)
{
	s->pio = true;
	finish(s, iov_from_buf(s->iov, s->n_iov, 0, data, len), 0);
}

/* Cuts the scatter list to len bytes and starts; the PRDs may hold more than the command moves. */
static void
start_io(struct slot *s, enum blk_op op, uint64_t offset, uint64_t len)
{
	uint64_t left = len;
	unsigned n = 0;

	while (left) {
		if (s->iov[n].iov_len > left)
			s->iov[n].iov_len = left;
		left -= s->iov[n++].iov_len;
	}
	s->io = (struct blk_req){.op = op, .offset = offset, .len = len, .iov = s->iov, .n_iov = n,
				 .done = io_done};
	blk_submit(s->port->lun.blk, &s->io);
}

static void
flush(struct slot *s)
{
	s->io = (struct blk_req){.op = BLK_FLUSH, .done = io_done};
	blk_submit(s->port->lun.blk, &s->io);
}

/* ---- ATA ---- */

static uint64_t
lba28(const uint8_t *f)
{
	return (uint64_t)f[4] | (uint64_t)f[5] << 8 | (uint64_t)f[6] << 16 |
	       (uint64_t)(f[7] & 0x0f) << 24;
}

static uint64_t
lba48(const uint8_t *f)
{
	return (uint64_t)f[4] | (uint64_t)f[5] << 8 | (uint64_t)f[6] << 16 |
	       (uint64_t)f[8] << 24 | (uint64_t)f[9] << 32 | (uint64_t)f[10] << 40;
}

static bool
in_disk(const struct port *p, uint64_t lba, uint64_t count)
{
	uint64_t total = info(p)->size / info(p)->sector;

	return lba <= total && count <= total - lba;
}

static void
transfer(struct slot *s, enum blk_op op, uint64_t lba, uint64_t count)
{
	struct port *p = s->port;
	uint64_t len = count * info(p)->sector;

	if (!in_disk(p, lba, count) || len > s->room || (op == BLK_WRITE && info(p)->readonly))
		finish(s, 0, ABORTED);
	else
		start_io(s, op, lba * info(p)->sector, len);
}

static void
put_text(uint16_t *w, const char *text, unsigned words)
{
	size_t len = strlen(text);

	for (unsigned i = 0; i < words; i++) {
		uint8_t a = 2 * i < len ? (uint8_t)text[2 * i] : ' ';
		uint8_t b = 2 * i + 1 < len ? (uint8_t)text[2 * i + 1] : ' ';

		w[i] = (uint16_t)(a << 8 | b);
	}
}

static void
identify_common(struct port *p, uint16_t *w)
{
	put_text(w + 10, info(p)->serial, 10);
	put_text(w + 23, "1.0", 4);
	w[49] = 0x0300; /* LBA, DMA */
	w[53] = 6;	/* words 64 to 70 and 88 are valid */
	w[63] = 7;
	w[64] = 3;
	w[65] = w[66] = w[67] = w[68] = 120;
	w[76] = 0x000e; /* three generations of SATA */
	w[80] = 0x01f0; /* up to ATA8 */
	w[88] = 0x407f; /* UDMA 6 */
	w[222] = 0x1020;
}

static void
identify_disk(struct slot *s)
{
	struct port *p = s->port;
	uint64_t n = info(p)->size / info(p)->sector;
	uint32_t small = n < 0x0fffffff ? (uint32_t)n : 0x0fffffff, log_words = info(p)->sector / 2;
	unsigned exponent = (unsigned)__builtin_ctz(info(p)->physical / info(p)->sector);
	uint16_t w[256] = {0};
	uint8_t *b = (uint8_t *)w, sum = 0;

	identify_common(p, w);
	w[0] = 0x0040;
	w[1] = w[54] = 16383;
	w[3] = w[55] = 16;
	w[6] = w[56] = 63;
	put_text(w + 27, "Atoll SATA disk", 20);
	w[47] = 0x8001;
	w[48] = 0x4000;
	w[50] = 0x4000;
	memcpy(w + 60, &small, 4);
	w[75] = SLOTS - 1;
	w[76] |= 0x0100; /* queueing */
	w[82] = 0x4020;	 /* NOP, write cache */
	w[83] = 0x7400;	 /* flush, flush ext, 48 bits */
	w[84] = 0x4020;	 /* general purpose logging */
	w[85] = info(p)->write_cache ? 0x4020 : 0x4000;
	w[86] = 0x3400;
	w[87] = 0x4020;
	memcpy(w + 100, &n, 8);
	w[106] = (uint16_t)(0x4000 | (exponent ? 0x2000 | exponent : 0) |
			    (log_words > 256 ? 0x1000 : 0));
	memcpy(w + 117, &log_words, 4);
	if (info(p)->discard) {
		w[69] = 0x4020; /* what is trimmed reads as zero */
		w[105] = 1;
		w[169] = 1;
	}
	w[217] = 1; /* does not rotate */
	b[510] = 0xa5;
	for (unsigned i = 0; i < 511; i++)
		sum += b[i];
	b[511] = (uint8_t)-sum;
	answer(s, w, sizeof(w));
}

static void
identify_cdrom(struct slot *s)
{
	uint16_t w[256] = {0};

	identify_common(s->port, w);
	w[0] = 0x85c0; /* packets of 12 bytes, CD-ROM, removable */
	put_text(w + 27, "Atoll CD-ROM", 20);
	w[82] = w[85] = 0x4210; /* NOP, device reset, packets */
	w[83] = w[84] = w[87] = 0x4000;
	answer(s, w, sizeof(w));
}

/* DATA SET MANAGEMENT: 64 ranges of 48 bits of address and 16 of length. */
static void
trim(struct slot *s)
{
	struct port *p = s->port;
	uint64_t entry[64];

	s->n_ranges = s->at_range = 0;
	if (!(s->fis[3] & 1) || s->fis[12] != 1 || s->fis[13] || !info(p)->discard ||
	    iov_to_buf(s->iov, s->n_iov, 0, entry, sizeof(entry)) != sizeof(entry)) {
		finish(s, 0, ABORTED);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
		uint64_t lba = entry[i] & 0xffffffffffffULL, count = entry[i] >> 48;

		if (!in_disk(p, lba, count)) {
			finish(s, 0, ABORTED);
			return;
		}
		if (!count)
			continue;
		s->range[s->n_ranges].offset = lba * info(p)->sector;
		s->range[s->n_ranges++].len = count * info(p)->sector;
	}
	if (!s->n_ranges) {
		finish(s, 0, 0);
		return;
	}
	s->io = (struct blk_req){.op = BLK_DISCARD, .offset = s->range[0].offset,
				 .len = s->range[0].len, .done = io_done};
	blk_submit(p->lun.blk, &s->io);
}

static void
read_log(struct slot *s)
{
	struct port *p = s->port;
	uint8_t log = s->fis[4], page[512] = {0};
	unsigned count = s->fis[12] | s->fis[13] << 8;

	if (count != 1 || s->fis[5] || (log != 0 && log != 0x10)) {
		finish(s, 0, ABORTED);
		return;
	}
	if (log == 0) { /* the directory: itself, and the queued command's error */
		page[0] = 1;
		page[0x20] = 1;
	} else {
		memcpy(page, p->error_log, sizeof(page));
	}
	answer(s, page, sizeof(page));
}

static void
packet(struct slot *s)
{
	struct port *p = s->port;
	struct scsi_cmd *c = &p->packet;

	memset(c->cdb, 0, sizeof(c->cdb));
	c->out_len = 0;
	if (!mem_read(ram(p), s->table + 0x40, c->cdb, 16)) {
		finish(s, 0, ABORTED);
		return;
	}
	if (scsi_start(&p->lun, c) == SCSI_IO) {
		if (c->op != BLK_FLUSH && c->len <= s->room) {
			start_io(s, c->op, c->offset, c->len);
			return;
		}
		scsi_refuse(&p->lun, c);
	}
	/* The error register has the sense key. */
	finish(s, iov_from_buf(s->iov, s->n_iov, 0, c->answer, c->answer_len),
	       c->status ? (uint8_t)(c->sense[2] << 4) | ABORTED : 0);
}

static void
read_native_max(struct slot *s)
{
	uint64_t last = info(s->port)->size / info(s->port)->sector - 1;

	if (s->fis[2] == 0xf8 && last > 0x0fffffff)
		last = 0x0fffffff;
	for (unsigned i = 0; i < 3; i++) {
		s->fis[4 + i] = (uint8_t)(last >> (8 * i));
		s->fis[8 + i] = s->fis[2] == 0x27 ? (uint8_t)(last >> (24 + 8 * i)) : 0;
	}
	if (s->fis[2] == 0xf8)
		s->fis[7] = (uint8_t)(0x40 | last >> 24);
	finish(s, 0, 0);
}

static void
start_command(struct slot *s)
{
	struct port *p = s->port;
	uint8_t *f = s->fis;
	unsigned count28 = f[12] ? f[12] : 256;
	unsigned count48 = f[12] | f[13] << 8, queued = f[3] | f[11] << 8;

	switch (f[2]) {
	case 0xec:
		if (!p->lun.cdrom)
			return identify_disk(s);
		/* What a packet device says to it: its signature. */
		f[4] = f[12] = 1;
		f[5] = 0x14;
		f[6] = 0xeb;
		return finish(s, 0, ABORTED);
	case 0xa1:
		return p->lun.cdrom ? identify_cdrom(s) : finish(s, 0, ABORTED);
	case 0xa0:
		return p->lun.cdrom ? packet(s) : finish(s, 0, ABORTED);
	case 0x08: /* DEVICE RESET */
	case 0x10: /* RECALIBRATE */
	case 0x91: /* INITIALIZE DEVICE PARAMETERS */
	case 0xc6: /* SET MULTIPLE */
	case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6: /* power modes */
	case 0xef: /* SET FEATURES: speeds, caches: all the same here */
		return finish(s, 0, 0);
	case 0x90: /* EXECUTE DEVICE DIAGNOSTIC */
		return finish(s, 0, 0);
	case 0xe5: /* CHECK POWER MODE: active */
		f[12] = 0xff;
		return finish(s, 0, 0);
	}
	if (p->lun.cdrom)
		return finish(s, 0, ABORTED);
	s->pio = f[2] == 0x20 || f[2] == 0x24 || f[2] == 0xc4 || f[2] == 0x29;
	switch (f[2]) {
	case 0x20: case 0x21: case 0xc4: case 0xc8:
		return transfer(s, BLK_READ, lba28(f), count28);
	case 0x30: case 0x31: case 0xc5: case 0xca:
		return transfer(s, BLK_WRITE, lba28(f), count28);
	case 0x24: case 0x25: case 0x29:
		return transfer(s, BLK_READ, lba48(f), count48 ? count48 : 65536);
	case 0x34: case 0x35: case 0x39: case 0x3d:
		return transfer(s, BLK_WRITE, lba48(f), count48 ? count48 : 65536);
	case 0x60:
		return transfer(s, BLK_READ, lba48(f), queued ? queued : 65536);
	case 0x61:
		return transfer(s, BLK_WRITE, lba48(f), queued ? queued : 65536);
	case 0x40: case 0x41:
		return finish(s, 0, in_disk(p, lba28(f), count28) ? 0 : ABORTED);
	case 0x42:
		return finish(s, 0, in_disk(p, lba48(f), count48 ? count48 : 65536) ? 0 : ABORTED);
	case 0xe7: case 0xea:
		return flush(s);
	case 0x06:
		return trim(s);
	case 0x2f: case 0x47:
		return read_log(s);
	case 0x27: case 0xf8:
		return read_native_max(s);
	}
	finish(s, 0, ABORTED);
}

/* ---- the worker ---- */

/* Reads a slot's command; false if it must wait for others to end. */
static bool
take(struct port *p, unsigned n)
{
	struct slot *s = &p->slot[n];
	struct header h;
	bool ok = mem_read(ram(p), p->clb + n * sizeof(h), &h, sizeof(h));

	memset(s->fis, 0, sizeof(s->fis));
	if (ok)
		ok = mem_read(ram(p), h.table, s->fis, sizeof(s->fis));
	s->queued = ok && (s->fis[2] == 0x60 || s->fis[2] == 0x61) && !p->lun.cdrom;
	s->pio = false;
	s->n_ranges = s->at_range = 0;
	if (s->queued ? p->alone : p->alone || p->n_queued)
		return false;
	p->taken |= 1U << n;
	pthread_mutex_lock(&p->hba->lock);
	if (s->queued) {
		p->n_queued++;
		p->ci &= ~(1U << n); /* accepted; PxSACT says when it has ended */
	} else {
		p->alone = true;
		p->tfd |= 0x80;
	}
	pthread_mutex_unlock(&p->hba->lock);
	s->table = h.table;
	if (!ok || s->fis[0] != FIS_HOST || !map_prds(s, &h)) {
		finish(s, 0, ABORTED);
	} else if (!(s->fis[1] & 0x80)) {
		/* Device control (soft reset): the signature follows when SRST goes down. */
		pthread_mutex_lock(&p->hba->lock);
		p->alone = false;
		p->taken &= ~(1U << n);
		p->ci &= ~(1U << n);
		if (!(s->fis[15] & 4))
			device_fis(p, NULL, p->lun.cdrom ? 0 : TFD_READY, 1, 0);
		else
			p->tfd = TFD_READY;
		pthread_mutex_unlock(&p->hba->lock);
	} else {
		start_command(s);
	}
	return true;
}

static void
serve(struct port *p)
{
	uint32_t ci;

	pthread_mutex_lock(&p->hba->lock);
	ci = p->ci & ~p->taken;
	pthread_mutex_unlock(&p->hba->lock);
	for (unsigned n = 0; n < SLOTS && !p->halted; n++) {
		if ((ci >> n & 1) && !take(p, n))
			break;
	}
	report_queued(p);
}

static void
drain(void *arg)
{
	struct port *p = arg;
	uint64_t events;

	while (blk_in_flight(p->lun.blk) && blk_poll(p->lun.blk, true, &events) == 0)
		;
	report_queued(p);
}

static void *
work(void *arg)
{
	struct port *p = arg;
	int fds[2] = {p->kick_fd, p->worker.ctl_fd};
	uint64_t events;

	if (blk_attach(p->lun.blk, fds, 2, p, NULL) < 0) {
		vm_end(p->hba->pci.vm, VM_END_ERROR, "ahci: cannot start a worker");
		return NULL;
	}
	while (worker_obey(&p->worker)) {
		serve(p);
		if (blk_poll(p->lun.blk, true, &events) < 0) {
			vm_end(p->hba->pci.vm, VM_END_ERROR, "ahci: io_uring failed");
			return NULL;
		}
	}
	return NULL;
}

/* ---- registers, with both locks ---- */

/* The worker may want the registers' lock to end what it does. */
static void
stop_port(struct port *p)
{
	pthread_mutex_unlock(&p->hba->lock);
	worker_stop(&p->worker);
	pthread_mutex_lock(&p->hba->lock);
	p->ci = p->sact = 0;
	p->taken = p->done_bits = 0;
	p->n_queued = 0;
	p->alone = p->halted = false;
	p->tfd &= ~0x88U;
	p->cmd &= ~(CMD_ST | CMD_CR);
}

static void
reset_link(struct port *p)
{
	stop_port(p);
	p->serr = 0;
	/* A packet device shows no status until its first command. */
	device_fis(p, NULL, p->lun.cdrom ? 0x10 : TFD_READY, 1, 0);
}

static void
set_cmd(struct port *p, uint32_t value)
{
	uint32_t was = p->cmd;

	p->cmd = (was & ~CMD_WRITABLE) | (value & CMD_WRITABLE);
	p->cmd = p->cmd & CMD_FRE ? p->cmd | CMD_FR : p->cmd & ~CMD_FR;
	if (value & CMD_CLO)
		p->tfd &= ~0x88U;
	if ((was & CMD_ST) && !(value & CMD_ST)) {
		stop_port(p);
	} else if (!(was & CMD_ST) && (value & CMD_ST)) {
		p->cmd |= CMD_CR;
		worker_run(&p->worker);
	}
}

static uint32_t
port_read(const struct port *p, unsigned at)
{
	switch (at) {
	case PX_CLB:
		return (uint32_t)p->clb;
	case PX_CLBU:
		return (uint32_t)(p->clb >> 32);
	case PX_FB:
		return (uint32_t)p->fb;
	case PX_FBU:
		return (uint32_t)(p->fb >> 32);
	case PX_IS:
		return p->is;
	case PX_IE:
		return p->ie;
	case PX_CMD:
		return p->cmd | (p->lun.cdrom ? CMD_ATAPI : 0);
	case PX_TFD:
		return p->tfd;
	case PX_SIG:
		return p->lun.cdrom ? SIG_ATAPI : SIG_DISK;
	case PX_SSTS:
		return (p->sctl & 0xf) == 0 ? SSTS_UP : 0;
	case PX_SCTL:
		return p->sctl;
	case PX_SERR:
		return p->serr;
	case PX_SACT:
		return p->sact;
	case PX_CI:
		return p->ci;
	}
	return 0;
}

static void
port_write(struct port *p, unsigned at, uint32_t v)
{
	bool started = p->cmd & CMD_ST;
	uint64_t one = 1;

	switch (at) {
	case PX_CLB:
		p->clb = started ? p->clb : (p->clb & ~0xffffffffULL) | (v & ~0x3ffU);
		return;
	case PX_CLBU:
		p->clb = started ? p->clb : (uint32_t)p->clb | (uint64_t)v << 32;
		return;
	case PX_FB:
		p->fb = started ? p->fb : (p->fb & ~0xffffffffULL) | (v & ~0xffU);
		return;
	case PX_FBU:
		p->fb = started ? p->fb : (uint32_t)p->fb | (uint64_t)v << 32;
		return;
	case PX_IS:
		p->is &= ~v;
		update_irq(p->hba);
		return;
	case PX_IE:
		p->ie = v & 0xfdc000ff;
		update_irq(p->hba);
		return;
	case PX_CMD:
		set_cmd(p, v);
		return;
	case PX_SCTL:
		if ((p->sctl & 0xf) == 1 && (v & 0xf) == 0)
			reset_link(p);
		else if ((v & 0xf) == 1)
			stop_port(p);
		p->sctl = v & 0xfff;
		return;
	case PX_SERR:
		p->serr &= ~v;
		return;
	case PX_SACT:
		if (started)
			p->sact |= v;
		return;
	case PX_CI:
		if (!started)
			return;
		p->ci |= v;
		(void)!write(p->kick_fd, &one, sizeof(one)); /* full: rung already */
		return;
	}
}

static void
hba_reset(struct ahci *a)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		struct port *p = &a->port[i];

		reset_link(p);
		p->is = p->ie = p->sctl = 0;
		p->cmd = 0;
		p->clb = p->fb = 0;
	}
	a->ghc = GHC_AE;
	a->is = 0;
	update_irq(a);
}

static uint32_t
capabilities(const struct ahci *a)
{
	/* 32 slots, AHCI only, 6 Gb/s, list override, queueing, 64 bits. */
	return (a->n_ports - 1) | (SLOTS - 1) << 8 | 1U << 18 | 3U << 20 | 1U << 24 | 1U << 30 |
	       1U << 31;
}

static uint32_t
hba_read(const struct ahci *a, unsigned at)
{
	switch (at) {
	case HBA_CAP:
		return capabilities(a);
	case HBA_GHC:
		return a->ghc;
	case HBA_IS:
		return a->is;
	case HBA_PI:
		return (1U << a->n_ports) - 1;
	case HBA_VS:
		return 0x00010300;
	}
	return 0;
}

static void
hba_write(struct ahci *a, unsigned at, uint32_t v)
{
	if (at == HBA_GHC) {
		if (v & GHC_RESET)
			hba_reset(a);
		else
			a->ghc = GHC_AE | (v & GHC_IE);
		update_irq(a);
	} else if (at == HBA_IS) {
		a->is &= ~v;
		/* What is still there is said again: a message tells of a change only. */
		pci_irq_level(&a->pci, false);
		update_irq(a);
	}
}

static uint64_t
ahci_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	struct ahci *a = (struct ahci *)d;
	unsigned at = (unsigned)offset & ~3U, n = (at - PORT_BASE) / PORT_SIZE;
	uint64_t v = 0;

	pthread_mutex_lock(&a->lock);
	if (at < PORT_BASE)
		v = hba_read(a, at);
	else if (n < a->n_ports)
		v = port_read(&a->port[n], at % PORT_SIZE);
	pthread_mutex_unlock(&a->lock);
	return v >> (8 * (offset & 3));
}

static void
ahci_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct ahci *a = (struct ahci *)d;
	unsigned at = (unsigned)offset, n = (at - PORT_BASE) / PORT_SIZE;

	if (size < 4 || at % 4)
		return;
	pthread_mutex_lock(&a->control);
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < size; i += 4, at += 4) {
		if (at < PORT_BASE)
			hba_write(a, at, (uint32_t)(value >> (8 * i)));
		else if (n < a->n_ports)
			port_write(&a->port[n], at % PORT_SIZE, (uint32_t)(value >> (8 * i)));
	}
	pthread_mutex_unlock(&a->lock);
	pthread_mutex_unlock(&a->control);
}

/* ---- setting up ---- */

static int
add_port(struct ahci *a, struct config *node, struct error *err)
{
	static const char *const types[] = {"hd", "cd", NULL};
	struct port *p = &a->port[a->n_ports];
	unsigned type;
	int r;

	if (a->n_ports == MAX_PORTS)
		return error_set(err, E2BIG, "more than %d ports", MAX_PORTS);
	if ((r = config_enum(node, "type", types, 0, &type, err)) < 0 ||
	    (type == 1 && (r = config_set(node, "ro", "true", err)) < 0) ||
	    (r = blk_open(node, &p->lun.blk, err)) < 0)
		return r;
	/* From here on ahci_done() looks after it. */
	a->n_ports++;
	p->hba = a;
	p->n = a->n_ports - 1;
	p->lun.cdrom = type == 1;
	p->lun.model = "SATA CD-ROM";
	p->kick_fd = -1;
	for (unsigned i = 0; i < SLOTS; i++) {
		p->slot[i].port = p;
		p->slot[i].n = i;
	}
	if ((r = worker_init(&p->worker, drain, p, err)) < 0)
		return r;
	p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->kick_fd < 0)
		return error_set_errno(err, errno, "eventfd");
	vm_add_part(a->pci.vm, &(struct vm_part){.name = "ahci", .pause = worker_pause,
						 .resume = worker_resume, .arg = &p->worker});
	return worker_spawn(&p->worker, work, err);
}

static int
ahci_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct ahci *a = (struct ahci *)d;
	struct config *ports = config_find(node, "port");
	int r = 0;

	pthread_mutex_init(&a->control, NULL);
	pthread_mutex_init(&a->lock, NULL);
	for (struct config *n = NULL; r == 0 && ports && (n = config_next(ports, n));)
		r = add_port(a, n, err);
	if (r < 0)
		return r;
	if (!a->n_ports)
		return error_set(err, EINVAL, "no disk; expected hd:FILE or cd:FILE");
	pci_set_ids(d, PCI_VENDOR_INTEL, ICH9_AHCI, PCI_CLASS_STORAGE_SATA, 2);
	pci_set_subsystem(d, PCI_VENDOR_INTEL, ICH9_AHCI);
	pci_add_bar(d, 5, PCI_BAR_MEM32, 0x1000);
	pci_add_pin(d);
	pci_add_msi(d);
	pthread_mutex_lock(&a->lock);
	hba_reset(a);
	pthread_mutex_unlock(&a->lock);
	return 0;
}

/* Nothing is in flight: what a port keeps is in its registers, and commands not taken yet in PxCI. */
static void
ahci_state(struct pci_dev *d, struct state *s)
{
	struct ahci *a = (struct ahci *)d;

	STATE(s, a->ghc);
	STATE(s, a->is);
	for (unsigned i = 0; i < a->n_ports; i++) {
		struct port *p = &a->port[i];

		STATE(s, p->clb);
		STATE(s, p->fb);
		STATE(s, p->is);
		STATE(s, p->ie);
		STATE(s, p->cmd);
		STATE(s, p->tfd);
		STATE(s, p->sctl);
		STATE(s, p->serr);
		STATE(s, p->sact);
		STATE(s, p->ci);
		STATE(s, p->halted);
		STATE(s, p->error_log);
		STATE(s, p->lun.sense);
		if (state_loading(s) && (p->cmd & CMD_ST))
			worker_run(&p->worker);
	}
	if (state_loading(s))
		update_irq(a);
}

/* SATA has no word for it: the guest sees the new size when it looks again. */
static void
ahci_refresh(struct pci_dev *d)
{
	struct ahci *a = (struct ahci *)d;

	for (unsigned i = 0; i < a->n_ports; i++) {
		worker_pause(&a->port[i].worker);
		(void)blk_resize(a->port[i].lun.blk);
		worker_resume(&a->port[i].worker);
	}
}

static void
ahci_done(struct pci_dev *d)
{
	struct ahci *a = (struct ahci *)d;

	for (unsigned i = 0; i < a->n_ports; i++) {
		struct port *p = &a->port[i];

		worker_done(&p->worker);
		blk_close(p->lun.blk);
		cleanup_closep(&p->kick_fd);
		for (unsigned n = 0; n < SLOTS; n++)
			free(p->slot[n].iov);
	}
	pthread_mutex_destroy(&a->control);
	pthread_mutex_destroy(&a->lock);
}

static const struct pci_opt opts[] = {
	BLK_PCI_OPTS,
	{"nmrr", "N", "accepted"}, {"rev", "TEXT", "accepted"}, {"model", "TEXT", "accepted"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{0},
};

static const struct pci_class one_port = {.name = "ahci", .main_opt = "path", .opts = opts};

static int
parse_port(struct config *node, unsigned n, const char *type, const char *text, struct error *err)
{
	cleanup_free char *path = str_printf("port.%u", n);
	struct config *port;
	const char *index;
	int r;

	if ((r = config_branch(node, path, &port, err)) < 0 ||
	    (r = config_set(port, "type", type, err)) < 0 ||
	    (r = pci_parse_opts(&one_port, port, text, err)) < 0)
		return r;
	/* The order of booting is between devices. */
	index = config_get(port, "bootindex", NULL);
	return index ? config_set(node, "bootindex", index, err) : 0;
}

static int
parse_hd(struct config *node, const char *text, struct error *err)
{
	return parse_port(node, 0, "hd", text, err);
}

static int
parse_cd(struct config *node, const char *text, struct error *err)
{
	return parse_port(node, 0, "cd", text, err);
}

/* hd:FILE,option,cd:FILE...: each hd: or cd: begins a port, an option belongs to the last one. */
static int
parse_many(struct config *node, const char *text, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	size_t i = 0;
	int r = 0;

	strv_words(&words, text, ",");
	for (unsigned port = 0; r == 0 && i < words.n; port++) {
		cleanup_strbuf struct strbuf b = STRBUF_INIT;
		bool cd = str_after(words.v[i], "cd:") != NULL;

		if (!cd && !str_after(words.v[i], "hd:"))
			return error_set(err, EINVAL, "\"%s\": expected hd:FILE or cd:FILE",
					 words.v[i]);
		strbuf_addf(&b, "%s", words.v[i] + 3);
		while (++i < words.n && !str_after(words.v[i], "hd:") &&
		       !str_after(words.v[i], "cd:"))
			strbuf_addf(&b, ",%s", words.v[i]);
		r = parse_port(node, port, cd ? "cd" : "hd", b.data, err);
	}
	return r;
}

#define AHCI_CLASS(id, name_, summary_, parse_)                                          \
	const struct pci_class pci_class_##id = {                                        \
		.name = name_, .summary = summary_, .main_opt = "path", .opts = opts,    \
		.parse = parse_, .size = sizeof(struct ahci), .init = ahci_init,         \
		.done = ahci_done, .refresh = ahci_refresh, .state = ahci_state, .bar_read = ahci_read, .bar_write = ahci_write,       \
	}
AHCI_CLASS(ahci, "ahci", "SATA controller: hd:FILE,OPTIONS,cd:FILE...", parse_many);
AHCI_CLASS(ahci_hd, "ahci-hd", "SATA disk", parse_hd);
AHCI_CLASS(ahci_cd, "ahci-cd", "SATA CD-ROM", parse_cd);
