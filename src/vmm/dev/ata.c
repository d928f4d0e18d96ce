/*
 * ATA disks and packet devices (ATA8-ACS) behind an AHCI port: each function
 * runs in the port's worker and ends the command, now or in io_done().
 */

#include "base/sum.h"
#include "vmm/dev/ahci.h"
#include "vmm/device.h"

static void
io_done(struct blk_req *io, void *arg)
{
	struct ahci_slot *s = container_of(io, struct ahci_slot, io);
	struct ahci_port *p = s->port;

	if (io->result == 0 && ++s->at_range < s->n_ranges) {
		io->offset = s->range[s->at_range].offset;
		io->len = s->range[s->at_range].len;
		blk_submit(p->lun.blk, io);
		return;
	}
	if (p->lun.cdrom) {
		scsi_finish(&p->lun, &p->packet, io->result);
		ahci_finish(s, io->result ? 0 : io->len,
		       io->result ? (uint8_t)(p->packet.sense[2] << 4) | ATA_ABORTED : 0);
		return;
	}
	if (io->result && s->queued) {
		/* What READ LOG tells of the failed one. */
		memset(p->error_log, 0, sizeof(p->error_log));
		p->error_log[0] = (uint8_t)s->n;
		p->error_log[2] = ATA_ERROR;
		p->error_log[3] = 0x40; /* uncorrectable */
		memcpy(p->error_log + 4, s->fis + 4, 9);
		p->error_log[511] = (uint8_t)-sum8(p->error_log, 511);
	}
	ahci_finish(s, io->result || (io->op != BLK_READ && io->op != BLK_WRITE) ? 0 : io->len,
	       io->result ? 0x40 | ATA_ABORTED : 0);
}

/* ---- data ---- */

static void
answer(struct ahci_slot *s, const void *data, size_t len)
{
	s->pio = true;
	ahci_finish(s, iov_from_buf(s->iov, s->n_iov, 0, data, len), 0);
}

/* Cuts the scatter list to len bytes and starts; the PRDs may hold more than the command moves. */
static void
start_io(struct ahci_slot *s, enum blk_op op, uint64_t offset, uint64_t len)
{
	unsigned n = s->n_iov;

	iov_cut(s->iov, &n, 0, len);
	s->io = (struct blk_req){.op = op, .offset = offset, .len = len, .iov = s->iov, .n_iov = n,
				 .done = io_done};
	blk_submit(s->port->lun.blk, &s->io);
}

static void
flush(struct ahci_slot *s, unsigned how)
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
in_disk(const struct ahci_port *p, uint64_t lba, uint64_t count)
{
	uint64_t total = ahci_disk(p)->size / ahci_disk(p)->sector;

	return lba <= total && count <= total - lba;
}

static void
transfer(struct ahci_slot *s, enum blk_op op, uint64_t lba, uint64_t count)
{
	struct ahci_port *p = s->port;
	uint64_t len = count * ahci_disk(p)->sector;

	if (!in_disk(p, lba, count) || len > s->room || (op == BLK_WRITE && ahci_disk(p)->readonly))
		ahci_finish(s, 0, ATA_ABORTED);
	else
		start_io(s, op, lba * ahci_disk(p)->sector, len);
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
identify_common(struct ahci_port *p, uint16_t *w)
{
	put_text(w + 10, ahci_disk(p)->serial, 10);
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
identify_disk(struct ahci_slot *s)
{
	struct ahci_port *p = s->port;
	uint64_t n = ahci_disk(p)->size / ahci_disk(p)->sector;
	uint32_t small = n < 0x0fffffff ? (uint32_t)n : 0x0fffffff, log_words = ahci_disk(p)->sector / 2;
	unsigned exponent = (unsigned)__builtin_ctz(ahci_disk(p)->physical / ahci_disk(p)->sector);
	uint16_t w[256] = {0};
	uint8_t *b = (uint8_t *)w;

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
	w[75] = AHCI_SLOTS - 1;
	w[76] |= 0x0100; /* queueing */
	w[82] = 0x4020;	 /* NOP, write cache */
	w[83] = 0x7400;	 /* flush, flush ext, 48 bits */
	w[84] = 0x4020;	 /* general purpose logging */
	w[85] = ahci_disk(p)->write_cache ? 0x4020 : 0x4000;
	w[86] = 0x3400;
	w[87] = 0x4020;
	memcpy(w + 100, &n, 8);
	w[106] = (uint16_t)(0x4000 | (exponent ? 0x2000 | exponent : 0) |
			    (log_words > 256 ? 0x1000 : 0));
	memcpy(w + 117, &log_words, 4);
	if (ahci_disk(p)->discard) {
		w[69] = 0x4020; /* what is trimmed reads as zero */
		w[105] = 1;
		w[169] = 1;
	}
	w[217] = 1; /* does not rotate */
	b[510] = 0xa5;
	b[511] = (uint8_t)-sum8(b, 511);
	answer(s, w, sizeof(w));
}

static void
identify_cdrom(struct ahci_slot *s, unsigned how)
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
trim(struct ahci_slot *s, unsigned how)
{
	struct ahci_port *p = s->port;
	uint64_t entry[64];

	s->n_ranges = s->at_range = 0;
	if (!(s->fis[3] & 1) || s->fis[12] != 1 || s->fis[13] || !ahci_disk(p)->discard ||
	    iov_to_buf(s->iov, s->n_iov, 0, entry, sizeof(entry)) != sizeof(entry)) {
		ahci_finish(s, 0, ATA_ABORTED);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
		uint64_t lba = entry[i] & 0xffffffffffffULL, count = entry[i] >> 48;

		if (!in_disk(p, lba, count)) {
			ahci_finish(s, 0, ATA_ABORTED);
			return;
		}
		if (!count)
			continue;
		s->range[s->n_ranges].offset = lba * ahci_disk(p)->sector;
		s->range[s->n_ranges++].len = count * ahci_disk(p)->sector;
	}
	if (!s->n_ranges) {
		ahci_finish(s, 0, 0);
		return;
	}
	s->io = (struct blk_req){.op = BLK_DISCARD, .offset = s->range[0].offset,
				 .len = s->range[0].len, .done = io_done};
	blk_submit(p->lun.blk, &s->io);
}

static void
read_log(struct ahci_slot *s, unsigned how)
{
	struct ahci_port *p = s->port;
	uint8_t log = s->fis[4], page[512] = {0};
	unsigned count = s->fis[12] | s->fis[13] << 8;

	if (count != 1 || s->fis[5] || (log != 0 && log != 0x10)) {
		ahci_finish(s, 0, ATA_ABORTED);
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
packet(struct ahci_slot *s, unsigned how)
{
	struct ahci_port *p = s->port;
	struct scsi_cmd *c = &p->packet;

	memset(c->cdb, 0, sizeof(c->cdb));
	c->out_len = 0;
	if (!mem_read(&p->hba->pci.vm->mem, s->table + 0x40, c->cdb, 16)) {
		ahci_finish(s, 0, ATA_ABORTED);
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
	ahci_finish(s, iov_from_buf(s->iov, s->n_iov, 0, c->answer, c->answer_len),
	       c->status ? (uint8_t)(c->sense[2] << 4) | ATA_ABORTED : 0);
}

static void
read_native_max(struct ahci_slot *s, unsigned how)
{
	uint64_t last = ahci_disk(s->port)->size / ahci_disk(s->port)->sector - 1;

	if (s->fis[2] == 0xf8 && last > 0x0fffffff)
		last = 0x0fffffff;
	for (unsigned i = 0; i < 3; i++) {
		s->fis[4 + i] = (uint8_t)(last >> (8 * i));
		s->fis[8 + i] = s->fis[2] == 0x27 ? (uint8_t)(last >> (24 + 8 * i)) : 0;
	}
	if (s->fis[2] == 0xf8)
		s->fis[7] = (uint8_t)(0x40 | last >> 24);
	ahci_finish(s, 0, 0);
}

/* What a command does, and how: of which kind of device, with which addresses, which way. */
enum { DISK = 1, CDROM = 2, BOTH = DISK | CDROM, EXT = 4, QUEUED = 8, WRITE = 16, PIO = 32, VERIFY = 64 };

static void
read_write(struct ahci_slot *s, unsigned how)
{
	const uint8_t *f = s->fis;
	unsigned count = how & QUEUED ? f[3] | f[11] << 8 : how & EXT ? f[12] | f[13] << 8 : f[12];
	uint64_t lba = how & (EXT | QUEUED) ? lba48(f) : lba28(f);

	if (!count)
		count = how & (EXT | QUEUED) ? 65536 : 256;
	s->pio = how & PIO;
	if (how & VERIFY)
		ahci_finish(s, 0, in_disk(s->port, lba, count) ? 0 : ATA_ABORTED);
	else
		transfer(s, how & WRITE ? BLK_WRITE : BLK_READ, lba, count);
}

static void
nothing(struct ahci_slot *s, unsigned how)
{
	ahci_finish(s, 0, 0);
}

static void
power_mode(struct ahci_slot *s, unsigned how)
{
	s->fis[12] = 0xff; /* active */
	ahci_finish(s, 0, 0);
}

static void
identify(struct ahci_slot *s, unsigned how)
{
	if (!s->port->lun.cdrom) {
		identify_disk(s);
		return;
	}
	/* What a packet device says to it: its signature. */
	s->fis[4] = s->fis[12] = 1;
	s->fis[5] = 0x14;
	s->fis[6] = 0xeb;
	ahci_finish(s, 0, ATA_ABORTED);
}

static const struct {
	uint8_t code, how;
	void (*run)(struct ahci_slot *s, unsigned how);
} commands[] = {
	{0xec, BOTH, identify}, {0xa1, CDROM, identify_cdrom}, {0xa0, CDROM, packet},
	/* Device reset, diagnostic, parameters, multiple, power modes, features: all the same here. */
	{0x08, BOTH, nothing}, {0x10, BOTH, nothing}, {0x90, BOTH, nothing}, {0x91, BOTH, nothing},
	{0xc6, BOTH, nothing}, {0xe0, BOTH, nothing}, {0xe1, BOTH, nothing}, {0xe2, BOTH, nothing},
	{0xe3, BOTH, nothing}, {0xe6, BOTH, nothing}, {0xef, BOTH, nothing}, {0xe5, BOTH, power_mode},
	{0x20, DISK | PIO, read_write}, {0x21, DISK, read_write},
	{0xc4, DISK | PIO, read_write}, {0xc8, DISK, read_write},
	{0x24, DISK | EXT | PIO, read_write}, {0x25, DISK | EXT, read_write},
	{0x29, DISK | EXT | PIO, read_write}, {0x60, DISK | QUEUED, read_write},
	{0x30, DISK | WRITE, read_write}, {0x31, DISK | WRITE, read_write},
	{0xc5, DISK | WRITE, read_write}, {0xca, DISK | WRITE, read_write},
	{0x34, DISK | EXT | WRITE, read_write}, {0x35, DISK | EXT | WRITE, read_write},
	{0x39, DISK | EXT | WRITE, read_write}, {0x3d, DISK | EXT | WRITE, read_write},
	{0x61, DISK | QUEUED | WRITE, read_write},
	{0x40, DISK | VERIFY, read_write}, {0x41, DISK | VERIFY, read_write},
	{0x42, DISK | EXT | VERIFY, read_write},
	{0xe7, DISK, flush}, {0xea, DISK, flush}, {0x06, DISK, trim},
	{0x2f, DISK, read_log}, {0x47, DISK, read_log},
	{0x27, DISK, read_native_max}, {0xf8, DISK, read_native_max},
};

void
ata_start(struct ahci_slot *s)
{
	unsigned kind = s->port->lun.cdrom ? CDROM : DISK;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].code == s->fis[2] && (commands[i].how & kind)) {
			commands[i].run(s, commands[i].how);
			return;
		}
	}
	ahci_finish(s, 0, ATA_ABORTED);
}
