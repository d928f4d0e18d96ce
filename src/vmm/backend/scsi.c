#include "vmm/backend/scsi.h"

#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

enum {
	NO_SENSE = 0, NOT_READY = 2, MEDIUM_ERROR = 3, ILLEGAL_REQUEST = 5, DATA_PROTECT = 7
};
/* Additional sense code and its qualifier. */
enum {
	BAD_OPCODE = 0x2000, LBA_RANGE = 0x2100, BAD_FIELD = 0x2400, BAD_PARAMETER = 0x2600,
	WRITE_PROTECTED = 0x2700, WRITE_FAILED = 0x0c00, READ_FAILED = 0x1100
};

#define CD_SECTOR 2048U
#define LEAD_OUT 0xaa

static void
put_text(uint8_t *p, const char *s, size_t len)
{
	memset(p, ' ', len);
	memcpy(p, s, strlen(s) < len ? strlen(s) : len);
}

static void
set_sense(uint8_t sense[SCSI_SENSE_LEN], unsigned key, unsigned asc)
{
	memset(sense, 0, SCSI_SENSE_LEN);
	sense[0] = 0x70; /* current, fixed format */
	sense[2] = (uint8_t)key;
	sense[7] = SCSI_SENSE_LEN - 8;
	put_be16(sense + 12, asc);
}

static enum scsi_next
fail(struct scsi_lun *l, struct scsi_cmd *c, unsigned key, unsigned asc)
{
	c->status = SCSI_CHECK_CONDITION;
	c->answer_len = 0;
	set_sense(c->sense, key, asc);
	memcpy(l->sense, c->sense, sizeof(l->sense));
	return SCSI_DONE;
}

void
scsi_refuse(struct scsi_lun *l, struct scsi_cmd *c)
{
	fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
}

/* An answer of len bytes, as far as the initiator allocated room for it. */
static enum scsi_next
answer(struct scsi_cmd *c, size_t len, size_t room)
{
	c->answer_len = len < room ? len : room;
	return SCSI_DONE;
}

static uint32_t
sector(const struct scsi_lun *l)
{
	return l->cdrom ? CD_SECTOR : blk_info(l->blk)->sector;
}

static uint64_t
sectors(const struct scsi_lun *l)
{
	return blk_info(l->blk)->size / sector(l);
}

/* ---- who it is ---- */

static enum scsi_next
vital_data(struct scsi_lun *l, struct scsi_cmd *c)
{
	static const uint8_t disk_pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
	const struct blk_info *info = blk_info(l->blk);
	uint8_t *b = c->answer;
	size_t n = strlen(info->serial), len = 0;

	b[0] = l->cdrom ? 5 : 0;
	b[1] = c->cdb[2];
	switch (c->cdb[2]) {
	case 0x00:
		len = l->cdrom ? 3 : sizeof(disk_pages);
		memcpy(b + 4, disk_pages, len);
		break;
	case 0x80: /* serial number */
		memcpy(b + 4, info->serial, len = n);
		break;
	case 0x83: /* names: vendor and serial number */
		b[4] = 2; /* ASCII */
		b[5] = 1; /* of the unit, made of a vendor's name */
		b[7] = (uint8_t)(8 + n);
		put_text(b + 8, "ATOLL", 8);
		memcpy(b + 16, info->serial, n);
		len = 12 + n;
		break;
	case 0xb0: /* limits: one range an UNMAP */
		put_be32(b + 20, info->discard ? 0x400000 : 0);
		put_be32(b + 24, info->discard ? 1 : 0);
		put_be32(b + 28, info->physical / info->sector);
		len = 60;
		break;
	case 0xb1: /* does not rotate */
		put_be16(b + 4, 1);
		len = 60;
		break;
	case 0xb2: /* thin: UNMAP is there, what it frees reads as zero */
		b[5] = info->discard ? 0x84 : 0;
		b[6] = info->discard ? 2 : 0;
		len = 4;
		break;
	default:
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	}
	if (l->cdrom && c->cdb[2] >= 0xb0)
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	put_be16(b + 2, len);
	return answer(c, 4 + len, get_be16(c->cdb + 3));
}

static enum scsi_next
inquiry(struct scsi_lun *l, struct scsi_cmd *c)
{
	uint8_t *b = c->answer;

	if (c->cdb[1] & 1)
		return vital_data(l, c);
	if (c->cdb[2])
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	b[0] = l->cdrom ? 5 : 0;
	b[1] = l->cdrom ? 0x80 : 0; /* removable */
	b[2] = l->cdrom ? 5 : 6;    /* SPC-3, SPC-4 */
	b[3] = l->cdrom ? 0x21 : 2;
	b[4] = 36 - 5;
	b[7] = l->cdrom ? 0 : 2; /* command queueing */
	put_text(b + 8, "ATOLL", 8);
	put_text(b + 16, l->model, 16);
	put_text(b + 32, "1.0", 4);
	return answer(c, 36, get_be16(c->cdb + 3));
}

static enum scsi_next
request_sense(struct scsi_lun *l, struct scsi_cmd *c)
{
	memcpy(c->answer, l->sense, SCSI_SENSE_LEN);
	if (!c->answer[0])
		set_sense(c->answer, NO_SENSE, 0);
	memset(l->sense, 0, sizeof(l->sense));
	return answer(c, SCSI_SENSE_LEN, c->cdb[4]);
}

static enum scsi_next
read_capacity(struct scsi_lun *l, struct scsi_cmd *c)
{
	uint64_t last = sectors(l) ? sectors(l) - 1 : 0;

	put_be32(c->answer, last < UINT32_MAX ? last : UINT32_MAX);
	put_be32(c->answer + 4, sector(l));
	return answer(c, 8, 8);
}

static enum scsi_next
service_action_in(struct scsi_lun *l, struct scsi_cmd *c)
{
	const struct blk_info *info = blk_info(l->blk);
	uint64_t last = sectors(l) ? sectors(l) - 1 : 0;

	if (l->cdrom || (c->cdb[1] & 0x1f) != 0x10)
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	put_be32(c->answer, last >> 32);
	put_be32(c->answer + 4, last);
	put_be32(c->answer + 8, info->sector);
	c->answer[13] = (uint8_t)__builtin_ctz(info->physical / info->sector);
	c->answer[14] = info->discard ? 0xc0 : 0;
	return answer(c, 32, get_be32(c->cdb + 10));
}

/* Mode pages: the cache's for a disk; error recovery and capabilities for a CD-ROM. */
static enum scsi_next
mode_sense(struct scsi_lun *l, struct scsi_cmd *c)
{
	bool ten = c->cdb[0] == 0x5a;
	unsigned page = c->cdb[2] & 0x3f, control = c->cdb[2] >> 6;
	size_t head = ten ? 8 : 4, room = ten ? get_be16(c->cdb + 7) : c->cdb[4], len = head;
	const struct blk_info *info = blk_info(l->blk);
	uint8_t *b = c->answer;
	bool all = page == 0x3f, found = all;

	if (control == 3) /* saved values: none are */
		return fail(l, c, ILLEGAL_REQUEST, 0x3900);
	if (l->cdrom && (all || page == 0x01)) {
		memcpy(b + len, "\x01\x06\x00\x05", 4);
		len += 8;
		found = true;
	}
	if (!l->cdrom && (all || page == 0x08)) {
		b[len] = 0x08;
		b[len + 1] = 18;
		b[len + 2] = info->write_cache && control == 0 ? 4 : 0;
		len += 20;
		found = true;
	}
	if (l->cdrom && (all || page == 0x2a)) {
		b[len] = 0x2a;
		b[len + 1] = 0x12;
		b[len + 2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
		b[len + 6] = 0x29; /* locks, ejects; a tray */
		put_be16(b + len + 8, 706 * 4);
		len += 20;
		found = true;
	}
	if (!found)
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	if (ten)
		put_be16(b, len - 2);
	else
		b[0] = (uint8_t)(len - 1);
	b[ten ? 3 : 2] = (info->readonly && !l->cdrom ? 0x80 : 0) | (l->cdrom ? 0 : 0x10);
	return answer(c, len, room);
}

static enum scsi_next
report_luns(struct scsi_lun *l, struct scsi_cmd *c)
{
	put_be32(c->answer, 8);
	return answer(c, 16, get_be32(c->cdb + 6));
}

/* ---- only CD-ROMs ---- */

/* A disc's address: block, or minute, second and frame. */
static void
put_address(uint8_t *p, bool msf, uint64_t lba)
{
	if (!msf) {
		put_be32(p, lba);
		return;
	}
	lba += 150;
	p[1] = (uint8_t)(lba / 75 / 60);
	p[2] = (uint8_t)(lba / 75 % 60);
	p[3] = (uint8_t)(lba % 75);
}

/* One session of one data track. */
static enum scsi_next
read_toc(struct scsi_lun *l, struct scsi_cmd *c)
{
	unsigned format = c->cdb[2] & 0x0f, start = c->cdb[6];
	bool msf = c->cdb[1] & 2;
	uint8_t *b = c->answer;
	size_t len = 4;

	if (format == 0 && c->cdb[9] >> 6)
		format = c->cdb[9] >> 6;
	if (format > 1 || (format == 0 && start > 1 && start != LEAD_OUT))
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	b[2] = b[3] = 1;
	if (format == 1 || start <= 1) {
		b[len + 1] = 0x14;
		b[len + 2] = 1;
		put_address(b + len + 4, msf, 0);
		len += 8;
	}
	if (format == 0) {
		b[len + 1] = 0x14;
		b[len + 2] = LEAD_OUT;
		put_address(b + len + 4, msf, sectors(l));
		len += 8;
	}
	put_be16(b, len - 2);
	return answer(c, len, get_be16(c->cdb + 7));
}

static enum scsi_next
get_configuration(struct scsi_lun *l, struct scsi_cmd *c)
{
	/* Profile list, core, removable medium. */
	static const uint8_t features[] = {0, 0, 3, 8, 0, 0x10, 1, 0, 0, 8, 0, 0,
					   0, 1, 3, 4, 0, 0,	0, 2, 0, 3, 3, 4, 0x29, 0, 0, 0};
	uint8_t *b = c->answer;

	/* More than 700 MB is a DVD. */
	put_be16(b + 6, blk_info(l->blk)->size > 700 * 1000 * 1000ULL ? 0x10 : 0x08);
	memcpy(b + 8, features, sizeof(features));
	put_be32(b, 4 + sizeof(features));
	return answer(c, 8 + sizeof(features), get_be16(c->cdb + 7));
}

static enum scsi_next
get_event(struct scsi_lun *l, struct scsi_cmd *c)
{
	uint8_t *b = c->answer;

	if (!(c->cdb[1] & 1)) /* only by asking */
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	b[3] = 0x10; /* there are events about the medium */
	if (!(c->cdb[4] & 0x10)) {
		b[2] = 0x80;
		put_be16(b, 2);
		return answer(c, 4, get_be16(c->cdb + 7));
	}
	b[2] = 4;
	b[5] = 2; /* present, no change */
	put_be16(b, 6);
	return answer(c, 8, get_be16(c->cdb + 7));
}

static enum scsi_next
read_disc_information(struct scsi_lun *l, struct scsi_cmd *c)
{
	uint8_t *b = c->answer;

	put_be16(b, 32);
	b[2] = 0x0e; /* complete, last session complete */
	b[3] = b[4] = b[5] = b[6] = 1;
	memset(b + 16, 0xff, 8);
	return answer(c, 34, get_be16(c->cdb + 7));
}

/* ---- sectors ---- */

static enum scsi_next
transfer(struct scsi_lun *l, struct scsi_cmd *c, enum blk_op op, uint64_t lba, uint64_t count)
{
	const struct blk_info *info = blk_info(l->blk);

	if (lba > sectors(l) || count > sectors(l) - lba)
		return fail(l, c, ILLEGAL_REQUEST, LBA_RANGE);
	if (op != BLK_READ && (info->readonly || l->cdrom))
		return fail(l, c, DATA_PROTECT, WRITE_PROTECTED);
	if (count == 0)
		return SCSI_DONE;
	c->op = op;
	c->offset = lba * sector(l);
	c->len = count * sector(l);
	return SCSI_IO;
}

static enum scsi_next
read_write(struct scsi_lun *l, struct scsi_cmd *c)
{
	const uint8_t *b = c->cdb;
	enum blk_op op = b[0] & 2 ? BLK_WRITE : BLK_READ;

	switch (b[0] >> 5) {
	case 0: /* six bytes: 21 bits, and no blocks means 256 */
		return transfer(l, c, op, get_be32(b) & 0x1fffff, b[4] ? b[4] : 256);
	case 1:
		return transfer(l, c, op, get_be32(b + 2), get_be16(b + 7));
	case 4:
		return transfer(l, c, op, get_be64(b + 2), get_be32(b + 10));
	}
	return transfer(l, c, op, get_be32(b + 2), get_be32(b + 6));
}

static enum scsi_next
verify(struct scsi_lun *l, struct scsi_cmd *c)
{
	uint64_t lba = c->cdb[0] == 0x8f ? get_be64(c->cdb + 2) : get_be32(c->cdb + 2);
	uint64_t count = c->cdb[0] == 0x8f ? get_be32(c->cdb + 10) : get_be16(c->cdb + 7);

	/* Comparing with what the initiator sends is not offered. */
	if (c->cdb[1] & 6)
		return fail(l, c, ILLEGAL_REQUEST, BAD_FIELD);
	if (lba > sectors(l) || count > sectors(l) - lba)
		return fail(l, c, ILLEGAL_REQUEST, LBA_RANGE);
	return SCSI_DONE;
}

static enum scsi_next
synchronize(struct scsi_lun *l, struct scsi_cmd *c)
{
	c->op = BLK_FLUSH;
	c->offset = c->len = 0;
	return blk_info(l->blk)->readonly || l->cdrom ? SCSI_DONE : SCSI_IO;
}

static enum scsi_next
unmap(struct scsi_lun *l, struct scsi_cmd *c)
{
	if (!blk_info(l->blk)->discard)
		return fail(l, c, ILLEGAL_REQUEST, BAD_OPCODE);
	if (get_be16(c->cdb + 7) == 0)
		return SCSI_DONE;
	if (c->out_len < 8 || get_be16(c->out + 2) > 16)
		return fail(l, c, ILLEGAL_REQUEST, BAD_PARAMETER);
	if (get_be16(c->out + 2) < 16)
		return SCSI_DONE;
	if (c->out_len < 24)
		return fail(l, c, ILLEGAL_REQUEST, BAD_PARAMETER);
	return transfer(l, c, BLK_DISCARD, get_be64(c->out + 8), get_be32(c->out + 16));
}

static enum scsi_next
nothing(struct scsi_lun *l, struct scsi_cmd *c)
{
	return SCSI_DONE;
}

enum { DISK = 1, CDROM = 2, BOTH = 3 };

static const struct {
	uint8_t opcode, kinds;
	enum scsi_next (*run)(struct scsi_lun *l, struct scsi_cmd *c);
} commands[] = {
	{0x00, BOTH, nothing},	    /* TEST UNIT READY */
	{0x03, BOTH, request_sense},
	{0x08, DISK, read_write},   /* READ(6) */
	{0x0a, DISK, read_write},   /* WRITE(6) */
	{0x12, BOTH, inquiry},
	{0x1a, BOTH, mode_sense},   /* (6) */
	{0x1b, BOTH, nothing},	    /* START STOP UNIT: the medium stays */
	{0x1e, BOTH, nothing},	    /* PREVENT ALLOW MEDIUM REMOVAL */
	{0x25, BOTH, read_capacity},
	{0x28, BOTH, read_write},   /* READ(10) */
	{0x2a, DISK, read_write},
	{0x2e, DISK, read_write},   /* WRITE AND VERIFY(10) */
	{0x2f, DISK, verify},
	{0x35, BOTH, synchronize},
	{0x42, DISK, unmap},
	{0x43, CDROM, read_toc},
	{0x46, CDROM, get_configuration},
	{0x4a, CDROM, get_event},
	{0x51, CDROM, read_disc_information},
	{0x5a, BOTH, mode_sense},   /* (10) */
	{0x88, DISK, read_write},   /* READ(16) */
	{0x8a, DISK, read_write},
	{0x8f, DISK, verify},
	{0x91, DISK, synchronize},
	{0x9e, DISK, service_action_in},
	{0xa0, BOTH, report_luns},
	{0xa8, BOTH, read_write},   /* READ(12) */
	{0xaa, DISK, read_write},
	{0xbb, CDROM, nothing},	    /* SET CD SPEED */
};

enum scsi_next
scsi_start(struct scsi_lun *l, struct scsi_cmd *c)
{
	c->status = SCSI_GOOD;
	c->answer_len = 0;
	c->len = 0;
	memset(c->answer, 0, sizeof(c->answer));
	memset(c->sense, 0, sizeof(c->sense));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].opcode == c->cdb[0] &&
		    (commands[i].kinds & (l->cdrom ? CDROM : DISK)))
			return commands[i].run(l, c);
	}
	return fail(l, c, ILLEGAL_REQUEST, BAD_OPCODE);
}

void
scsi_finish(struct scsi_lun *l, struct scsi_cmd *c, int result)
{
	if (result == 0)
		return;
	/* No space: what a thinly provisioned disk says. */
	if (result == -ENOSPC)
		fail(l, c, DATA_PROTECT, 0x2707);
	else
		fail(l, c, MEDIUM_ERROR, c->op == BLK_READ ? READ_FAILED : WRITE_FAILED);
}
