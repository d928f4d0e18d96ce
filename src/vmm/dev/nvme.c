/*
 * NVM Express 1.4 controller with one namespace.
 *
 * A doorbell write stores the new index and rings the worker; the worker owns
 * queues and commands while the controller is enabled.  CC.EN going to 0 stops
 * the worker first, so nothing of an old set-up is touched any more.  A host
 * that breaks the queues' rules gets CSTS.CFS and silence until it resets.
 */
#include <stdatomic.h>

#include "base/iov.h"
#include "vmm/backend/blk_worker.h"
#include "vmm/device.h"
#include "vmm/regs.h"

enum {
	REG_CAP = 0x00, REG_VS = 0x08, REG_INTMS = 0x0c, REG_INTMC = 0x10, REG_CC = 0x14,
	REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28, REG_ACQ = 0x30, REG_DOORBELLS = 0x1000
};

#define CC_EN 1U
#define CC_SHN(cc) ((cc) >> 14 & 3)
enum { CSTS_RDY = 1, CSTS_CFS = 2, CSTS_SHST_DONE = 8 };

#define SET_FEATURES 9
enum { MAX_IO_QUEUES = 16, MAX_ENTRIES = 2048 };
#define SLOTS 128
#define PAGE 4096U
#define MDTS 7 /* 2^7 pages: 512 KiB */
#define MAX_PAGES ((1U << MDTS) + 1)
#define MAX_RANGES 256

enum {
	OK = 0, BAD_OPCODE = 1, BAD_FIELD = 2, DATA_ERROR = 4, INTERNAL = 6, ABORTED = 7,
	LATER = 0xffff, BAD_NS = 0xb, LBA_RANGE = 0x80, CAPACITY = 0x81,
	/* Command specific. */
	BAD_CQ = 0x100, BAD_QID = 0x101, BAD_QSIZE = 0x102, BAD_VECTOR = 0x108, BAD_LOG = 0x109,
	TOO_MANY_EVENTS = 0x105, BAD_DELETION = 0x10c, NOT_ABORTED = 0x1, DO_NOT_RETRY = 0x4000
};

struct command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t ns, cdw2, cdw3;
	uint64_t metadata, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, id, status;
};

_Static_assert(sizeof(struct command) == 64 && sizeof(struct completion) == 16, "NVMe layout");

struct queue {
	bool used;
	struct command *sq; /* of a submission queue, or... */
	struct completion *cq;
	uint64_t gpa;
	uint32_t size;
	uint32_t head, tail; /* ours: head of a submission queue, tail of a completion queue */
	uint16_t cq_id, vector;
	bool phase, interrupts, dirty;
};

struct nvme;

struct slot {
	struct nvme *n;
	struct slot *next_free;
	uint16_t id, sq_id;
	struct blk_req io;
	unsigned n_ranges, range; /* of a discard, one after the other */
	struct {
		uint64_t offset, len;
	} *ranges;
	struct iovec iov[MAX_PAGES];
};

struct nvme {
	struct pci_dev pci;
	struct blk *blk;
	struct blk_worker worker;
	pthread_mutex_t lock; /* registers */
	uint32_t cc, csts, aqa, intm;
	uint64_t asq, acq;
	unsigned n_queues; /* with the admin queue */
	atomic_uint doorbell[2 * (MAX_IO_QUEUES + 1)];
	/* The worker's. */
	struct queue sq[MAX_IO_QUEUES + 1], cq[MAX_IO_QUEUES + 1];
	struct slot *slots, *free;
	uint32_t result; /* of the admin command that runs */
	unsigned n_events;
	uint16_t event_id[4];
	bool write_cache;
	char serial[21], eui[9];
};

static const struct mem *
ram(const struct nvme *n)
{
	return &n->pci.vm->mem;
}

static void
fatal(struct nvme *n)
{
	scoped_lock(&n->lock);
	n->csts |= CSTS_CFS;
}

/* ---- completion ---- */

static void
complete(struct nvme *n, uint16_t sq_id, uint16_t id, uint16_t status, uint32_t result)
{
	struct queue *sq = &n->sq[sq_id], *cq = &n->cq[sq->cq_id];
	uint32_t head = atomic_load(&n->doorbell[2 * sq->cq_id + 1]);
	uint32_t next = (cq->tail + 1) % (cq->size ? cq->size : 1);
	struct completion c = {.result = result, .sq_head = (uint16_t)sq->head, .sq_id = sq_id,
			       .id = id};

	if (!cq->used || next == head || head >= cq->size) {
		fatal(n);
		return;
	}
	/* Status begins at bit 1; the phase bit says that this entry is new. */
	c.status = (uint16_t)((status ? status | DO_NOT_RETRY : 0) << 1 | cq->phase);
	memcpy(&cq->cq[cq->tail], &c, sizeof(c) - sizeof(c.status));
	__atomic_store_n(&cq->cq[cq->tail].status, c.status, __ATOMIC_RELEASE);
	cq->tail = next;
	if (next == 0)
		cq->phase = !cq->phase;
	cq->dirty = true;
}

static void
interrupts(void *arg)
{
	struct nvme *n = arg;

	for (unsigned i = 0; i < n->n_queues; i++) {
		struct queue *cq = &n->cq[i];

		if (!cq->dirty || !cq->used)
			continue;
		cq->dirty = false;
		if (!cq->interrupts)
			continue;
		if (pci_msix_enabled(&n->pci))
			pci_msix_notify(&n->pci, cq->vector);
		else
			pci_irq_level(&n->pci, true);
	}
}

/* Pins are level: down again once every completion queue has been read. */
static void
line_update(struct nvme *n)
{
	bool pending = false;

	for (unsigned i = 0; i < n->n_queues; i++) {
		const struct queue *cq = &n->cq[i];

		pending = pending || (cq->used && cq->interrupts &&
				      atomic_load(&n->doorbell[2 * i + 1]) != cq->tail);
	}
	if (!pending)
		pci_irq_level(&n->pci, false);
}

/* ---- data ---- */

/* PRPs to host addresses, neighbours joined.  Returns how many, or 0 for a bad list. */
static unsigned
map_prps(struct nvme *n, const struct command *c, uint64_t len, struct iovec *iov)
{
	uint64_t page = c->prp1, list[PAGE / 8];
	unsigned count = 0, at = 0, in_list = 0;
	uint64_t first = PAGE - c->prp1 % PAGE;

	for (uint64_t done = 0; done < len;) {
		uint64_t part = done == 0 ? first : PAGE;
		void *p;

		if (part > len - done)
			part = len - done;
		p = mem_ptr(ram(n), page, part);
		if (!p || (done && page % PAGE) || !iov_add(iov, &count, MAX_PAGES, p, part))
			return 0;
		done += part;
		if (done >= len)
			break;
		/* PRP2 is the second page, or a list of pages. */
		if (len - first <= PAGE) {
			page = c->prp2;
			continue;
		}
		if (in_list == 0 || (at == in_list - 1 && len - done > PAGE)) {
			uint64_t next = in_list == 0 ? c->prp2 : list[at];

			in_list = (unsigned)((PAGE - next % PAGE) / 8);
			if (next % 8 || !mem_read(ram(n), next, list, in_list * 8ULL))
				return 0;
			at = 0;
		}
		page = list[at++];
	}
	return count;
}

/* Copies an answer of at most a page to the host. */
static uint16_t
answer(struct nvme *n, const struct command *c, const void *data, size_t len)
{
	struct iovec iov[MAX_PAGES];
	unsigned count = map_prps(n, c, len, iov);

	if (!count)
		return BAD_FIELD;
	iov_from_buf(iov, count, 0, data, len);
	return OK;
}

/* ---- admin commands ---- */

static void
put_text(uint8_t *p, const char *s, size_t len)
{
	memset(p, ' ', len);
	memcpy(p, s, strlen(s) < len ? strlen(s) : len);
}

static void
identify_controller(struct nvme *n, uint8_t *b)
{
	put_le16(b, PCI_VENDOR_REDHAT);
	put_le16(b + 2, PCI_VENDOR_REDHAT);
	put_text(b + 4, n->serial, 20);
	put_text(b + 24, "Atoll NVMe", 40);
	put_text(b + 64, "1.0", 8);
	b[72] = 6; /* arbitration burst */
	b[77] = MDTS;
	put_le32(b + 80, 0x00010400);
	put_le32(b + 92, 1 << 8); /* tells when the namespace changes */
	b[111] = 1; /* an I/O controller */
	b[258] = 3; /* abort limit */
	b[259] = 3; /* event limit */
	b[260] = 3; /* one firmware slot, read only */
	b[262] = 3; /* error log entries */
	b[512] = 0x66;
	b[513] = 0x44;
	put_le32(b + 516, 1);
	put_le16(b + 520, (blk_info(n->blk)->discard ? 1 << 2 : 0) | 1 << 3); /* DSM, write zeroes */
	b[525] = blk_info(n->blk)->write_cache;
	snprintf((char *)b + 768, 256, "nqn.2026-11.atoll:%s", n->serial);
}

static unsigned
lba_shift(const struct nvme *n)
{
	return (unsigned)__builtin_ctz(blk_info(n->blk)->sector);
}

static void
identify_namespace(struct nvme *n, uint8_t *b)
{
	uint64_t blocks = blk_info(n->blk)->size >> lba_shift(n);

	put_le64(b, blocks);
	put_le64(b + 8, blocks);
	put_le64(b + 16, blocks);
	b[24] = blk_info(n->blk)->discard ? 1 : 0;
	b[33] = blk_info(n->blk)->discard ? 1 : 0; /* freed blocks read as zero */
	memcpy(b + 120, n->eui, 8);
	b[128 + 2] = (uint8_t)lba_shift(n);
}

static uint16_t
identify(struct nvme *n, const struct command *c)
{
	uint8_t b[PAGE] = {0};

	switch (c->cdw10 & 0xff) {
	case 0: /* namespace */
		if (c->ns != 1 && c->ns != UINT32_MAX)
			return BAD_NS;
		identify_namespace(n, b);
		break;
	case 1: /* controller */
		identify_controller(n, b);
		break;
	case 2: /* active namespaces behind c->ns */
		if (c->ns >= 0xfffffffe)
			return BAD_NS;
		put_le32(b, c->ns < 1 ? 1 : 0);
		break;
	case 3: /* namespace's names */
		if (c->ns != 1)
			return BAD_NS;
		b[0] = 1;
		b[1] = 8;
		memcpy(b + 4, n->eui, 8);
		break;
	default:
		return BAD_FIELD;
	}
	return answer(n, c, b, sizeof(b));
}

/* A queue of either kind, if the command says what is so; BAD_CQ and BAD_VECTOR are for its caller. */
static uint16_t
create_queue(struct nvme *n, const struct command *c, bool submission, struct queue **ret)
{
	unsigned id = c->cdw10 & 0xffff;
	uint32_t size = (c->cdw10 >> 16) + 1;
	struct queue *q = (submission ? n->sq : n->cq) + (id < n->n_queues ? id : 0);
	void *p = mem_ptr(ram(n), c->prp1, (uint64_t)size * (submission ? sizeof(struct command)
									: sizeof(struct completion)));

	if (id == 0 || id >= n->n_queues || q->used)
		return BAD_QID;
	if (size < 2 || size > MAX_ENTRIES)
		return BAD_QSIZE;
	if (!p || c->prp1 % PAGE || !(c->cdw11 & 1))
		return BAD_FIELD;
	atomic_store(&n->doorbell[2 * id + !submission], 0);
	*q = (struct queue){.used = true, .sq = submission ? p : NULL, .cq = submission ? NULL : p,
			    .gpa = c->prp1, .size = size};
	*ret = q;
	return OK;
}

static uint16_t
create_cq(struct nvme *n, const struct command *c)
{
	struct queue *q;
	uint16_t status = c->cdw11 >> 16 < n->pci.msix.n ? create_queue(n, c, false, &q) : BAD_VECTOR;

	if (status == OK) {
		q->phase = true;
		q->interrupts = c->cdw11 & 2;
		q->vector = (uint16_t)(c->cdw11 >> 16);
	}
	return status;
}

static uint16_t
create_sq(struct nvme *n, const struct command *c)
{
	unsigned cq = c->cdw11 >> 16;
	bool found = cq && cq < n->n_queues && n->cq[cq].used;
	struct queue *q;
	uint16_t status = found ? create_queue(n, c, true, &q) : BAD_CQ;

	if (status == OK)
		q->cq_id = (uint16_t)cq;
	return status;
}

static uint16_t
delete_queue(struct nvme *n, const struct command *c, bool submission)
{
	unsigned id = c->cdw10 & 0xffff;
	struct queue *q = submission ? n->sq : n->cq;

	if (id == 0 || id >= n->n_queues || !q[id].used)
		return BAD_QID;
	/* What it started ends before it goes. */
	blk_worker_drain(&n->worker);
	for (unsigned i = 1; !submission && i < n->n_queues; i++) {
		if (n->sq[i].used && n->sq[i].cq_id == id)
			return BAD_DELETION;
	}
	q[id].used = false;
	return OK;
}

static uint16_t
delete_sq(struct nvme *n, const struct command *c)
{
	return delete_queue(n, c, true);
}

static uint16_t
delete_cq(struct nvme *n, const struct command *c)
{
	return delete_queue(n, c, false);
}

/* Both ways; those that are only taken note of read as 0. */
static uint16_t
features(struct nvme *n, const struct command *c)
{
	enum { ARBITRATION = 1, POWER, TEMPERATURE = 4, RECOVERY, CACHE, QUEUES, COALESCING, LAST = 11 };
	unsigned id = c->cdw10 & 0xff;

	if (id < ARBITRATION || id > LAST || id == 3)
		return BAD_FIELD;
	if (id == CACHE && c->opcode == SET_FEATURES)
		n->write_cache = c->cdw11 & 1;
	if (id == CACHE)
		n->result = n->write_cache;
	else if (id == QUEUES)
		n->result = (n->n_queues - 2) << 16 | (n->n_queues - 2);
	return OK;
}

static uint16_t
log_page(struct nvme *n, const struct command *c)
{
	uint8_t b[PAGE] = {0};
	uint64_t len = ((uint64_t)(c->cdw11 & 0xffff) << 16 | c->cdw10 >> 16) * 4 + 4;

	switch (c->cdw10 & 0xff) {
	case 1: /* errors: none */
	case 3: /* firmware */
		break;
	case 2: /* health: a disk of 27 degrees with nothing worn */
		put_le16(b + 1, 300);
		b[3] = 100;
		b[4] = 10;
		break;
	case 4: /* namespaces that changed: ours may have */
		put_le32(b, 1);
		break;
	default:
		return BAD_LOG;
	}
	if (c->cdw12 || c->cdw13 || len > sizeof(b))
		return BAD_FIELD;
	return answer(n, c, b, len);
}

static uint16_t
abort_command(struct nvme *n, const struct command *c)
{
	n->result = NOT_ABORTED; /* it will end by itself */
	return OK;
}

static uint16_t
event_request(struct nvme *n, const struct command *c)
{
	if (n->n_events == ARRAY_SIZE(n->event_id))
		return TOO_MANY_EVENTS;
	n->event_id[n->n_events++] = c->id;
	return LATER; /* there are none yet */
}

static const struct {
	uint8_t opcode;
	uint16_t (*run)(struct nvme *n, const struct command *c);
} admin_commands[] = {
	{0x00, delete_sq}, {0x01, create_sq}, {0x02, log_page}, {0x04, delete_cq}, {0x05, create_cq},
	{0x06, identify}, {0x08, abort_command}, {SET_FEATURES, features}, {0x0a, features},
	{0x0c, event_request},
};

static void
admin(struct nvme *n, const struct command *c)
{
	uint16_t status = BAD_OPCODE;

	n->result = 0;
	for (size_t i = 0; i < ARRAY_SIZE(admin_commands); i++)
		if (admin_commands[i].opcode == c->opcode)
			status = admin_commands[i].run(n, c);
	if (status != LATER)
		complete(n, 0, c->id, status, n->result);
}

/* ---- I/O commands ---- */

static void
slot_free(struct slot *s)
{
	free(s->ranges);
	s->ranges = NULL;
	s->next_free = s->n->free;
	s->n->free = s;
}

static void
io_done(struct blk_req *io, void *arg)
{
	struct slot *s = container_of(io, struct slot, io);
	struct nvme *n = s->n;

	if (io->result == 0 && ++s->range < s->n_ranges) {
		s->io.offset = s->ranges[s->range].offset;
		s->io.len = s->ranges[s->range].len;
		blk_submit(n->blk, &s->io);
		return;
	}
	complete(n, s->sq_id, s->id, io->result == 0 ? OK : io->result == -ENOSPC ? CAPACITY : INTERNAL,
		 0);
	slot_free(s);
}

static bool
in_disk(const struct nvme *n, uint64_t lba, uint64_t count)
{
	uint64_t blocks = blk_info(n->blk)->size >> lba_shift(n);

	return lba <= blocks && count <= blocks - lba;
}

static uint16_t
transfer(struct nvme *n, struct slot *s, const struct command *c)
{
	uint64_t lba = c->cdw10 | (uint64_t)c->cdw11 << 32;
	uint64_t count = (c->cdw12 & 0xffff) + 1, len = count << lba_shift(n);
	enum blk_op op = c->opcode == 2 ? BLK_READ : c->opcode == 1 ? BLK_WRITE : BLK_ZEROES;
	unsigned n_iov = 0;

	if (!in_disk(n, lba, count))
		return LBA_RANGE;
	if (op != BLK_ZEROES) {
		if (len > (uint64_t)PAGE << MDTS)
			return BAD_FIELD;
		n_iov = map_prps(n, c, len, s->iov);
		if (!n_iov)
			return BAD_FIELD;
	}
	if (op != BLK_READ && blk_info(n->blk)->readonly)
		return DATA_ERROR;
	s->io = (struct blk_req){.op = op, .offset = lba << lba_shift(n), .len = len, .iov = s->iov,
				 .n_iov = n_iov, .done = io_done};
	blk_submit(n->blk, &s->io);
	return OK;
}

/* Dataset management: only deallocation means something. */
static uint16_t
deallocate(struct nvme *n, struct slot *s, const struct command *c)
{
	struct {
		uint32_t attributes, blocks;
		uint64_t lba;
	} r[MAX_RANGES];
	unsigned count = (c->cdw10 & 0xff) + 1;
	struct iovec iov[MAX_PAGES];
	unsigned n_iov = map_prps(n, c, count * sizeof(r[0]), iov);

	if (!n_iov)
		return BAD_FIELD;
	iov_to_buf(iov, n_iov, 0, r, sizeof(r));
	for (unsigned i = 0; i < count; i++) {
		if (!in_disk(n, r[i].lba, r[i].blocks))
			return LBA_RANGE;
	}
	if (!(c->cdw11 & 4) || !blk_info(n->blk)->discard) {
		complete(n, s->sq_id, s->id, OK, 0);
		slot_free(s);
		return OK;
	}
	s->ranges = xcalloc(count, sizeof(*s->ranges));
	for (unsigned i = 0; i < count; i++) {
		s->ranges[i].offset = r[i].lba << lba_shift(n);
		s->ranges[i].len = (uint64_t)r[i].blocks << lba_shift(n);
	}
	s->n_ranges = count;
	s->io = (struct blk_req){.op = BLK_DISCARD, .offset = s->ranges[0].offset,
				 .len = s->ranges[0].len, .done = io_done};
	blk_submit(n->blk, &s->io);
	return OK;
}

static void
io(struct nvme *n, unsigned sq_id, const struct command *c)
{
	struct slot *s = n->free;
	uint16_t status;

	n->free = s->next_free;
	s->id = c->id;
	s->sq_id = (uint16_t)sq_id;
	s->n_ranges = s->range = 0;
	if (c->ns != 1 && !(c->opcode == 0 && c->ns == UINT32_MAX)) {
		status = BAD_NS;
	} else if (c->opcode == 0) {
		s->io = (struct blk_req){.op = BLK_FLUSH, .done = io_done};
		blk_submit(n->blk, &s->io);
		status = OK;
	} else if (c->opcode == 1 || c->opcode == 2 || c->opcode == 8) {
		status = transfer(n, s, c);
	} else if (c->opcode == 9) {
		status = deallocate(n, s, c);
	} else {
		status = BAD_OPCODE;
	}
	if (status) {
		complete(n, sq_id, c->id, status, 0);
		slot_free(s);
	}
}

/* ---- the worker ---- */

static void
serve(struct nvme *n, unsigned id)
{
	struct queue *q = &n->sq[id];
	uint32_t tail = atomic_load(&n->doorbell[2 * id]);

	if (tail >= q->size) {
		fatal(n);
		return;
	}
	while (q->used && q->head != tail && n->free) {
		struct command c;

		memcpy(&c, &q->sq[q->head], sizeof(c));
		q->head = (q->head + 1) % q->size;
		if (id == 0)
			admin(n, &c);
		else
			io(n, id, &c);
	}
}

static void
serve_all(void *arg)
{
	struct nvme *n = arg;

	for (unsigned i = 0; i < n->n_queues; i++) {
		if (n->sq[i].used)
			serve(n, i);
	}
	interrupts(n);
}

static const struct blk_worker_ops worker_ops = {"nvme", serve_all, interrupts};

/* ---- registers, under n->lock ---- */

static void
enable(struct nvme *n)
{
	uint32_t sq_size = (n->aqa & 0xfff) + 1, cq_size = (n->aqa >> 16 & 0xfff) + 1;
	void *sq = mem_ptr(ram(n), n->asq, (uint64_t)sq_size * sizeof(struct command));
	void *cq = mem_ptr(ram(n), n->acq, (uint64_t)cq_size * sizeof(struct completion));

	memset(n->sq, 0, sizeof(n->sq));
	memset(n->cq, 0, sizeof(n->cq));
	for (unsigned i = 0; i < ARRAY_SIZE(n->doorbell); i++)
		atomic_store(&n->doorbell[i], 0);
	n->n_events = 0;
	/* Pages of 4 KiB, entries of 64 and 16 bytes: what CAP says, or nothing. */
	if (!sq || !cq || n->asq % PAGE || n->acq % PAGE || sq_size < 2 || cq_size < 2 ||
	    (n->cc >> 7 & 15) != 0) {
		n->csts |= CSTS_CFS;
		return;
	}
	n->sq[0] = (struct queue){.used = true, .sq = sq, .gpa = n->asq, .size = sq_size};
	n->cq[0] = (struct queue){.used = true, .cq = cq, .gpa = n->acq, .size = cq_size,
				  .phase = true, .interrupts = true};
	n->csts = CSTS_RDY;
	worker_run(&n->worker.worker);
}

static void
set_cc(void *dev, uint32_t value)
{
	struct nvme *n = dev;
	bool was = n->cc & CC_EN, is = value & CC_EN;

	n->cc = value;
	if (is && !was) {
		enable(n);
	} else if (was && !is) {
		/* The worker may want the lock to say that something is fatal. */
		pthread_mutex_unlock(&n->lock);
		worker_stop(&n->worker.worker);
		pci_irq_level(&n->pci, false);
		pthread_mutex_lock(&n->lock);
		n->csts = 0;
	}
	if (CC_SHN(value))
		n->csts |= CSTS_SHST_DONE;
	else
		n->csts &= ~(uint32_t)CSTS_SHST_DONE;
}

static const struct reg regs[] = {
	/* Queue entries, contiguous, 20 s to get ready; NVM command set. */
	{.at = REG_CAP, .value = (MAX_ENTRIES - 1) | 1U << 16 | 40U << 24},
	{.at = REG_CAP + 4, .value = 1U << 5},
	{.at = REG_VS, .value = 0x00010400},
	REG(struct nvme, REG_INTMS, intm, .sets = ~0U),
	REG(struct nvme, REG_INTMC, intm, .clears = ~0U),
	REG(struct nvme, REG_CC, cc, .set = set_cc),
	REG(struct nvme, REG_CSTS, csts),
	REG(struct nvme, REG_AQA, aqa, .write = ~0U),
	REG64(struct nvme, REG_ASQ, asq, ~0U),
	REG64(struct nvme, REG_ACQ, acq, ~0U),
};

static uint32_t
reg_read(void *n, unsigned at)
{
	return regs_read(regs, ARRAY_SIZE(regs), n, at);
}

/* The admin queue stays what it was when the controller was enabled. */
static void
reg_write(void *dev, unsigned at, uint32_t v)
{
	struct nvme *n = dev;

	if (at < REG_AQA || !(n->cc & CC_EN))
		regs_write(regs, ARRAY_SIZE(regs), n, at, v);
}

static uint64_t
nvme_read(struct pci_dev *p, unsigned bar, uint64_t offset, unsigned size)
{
	scoped_lock(&((struct nvme *)p)->lock);
	return regs_split_read(reg_read, p, offset, size);
}

static void
nvme_write(struct pci_dev *p, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct nvme *n = (struct nvme *)p;
	uint64_t bell = (offset - REG_DOORBELLS) / 4;

	if (offset >= REG_DOORBELLS) {
		if (bell >= 2 * n->n_queues)
			return;
		atomic_store(&n->doorbell[bell], (unsigned)value & 0xffff);
		if (bell % 2)
			line_update(n);
		else
			blk_worker_kick(&n->worker);
		return;
	}
	scoped_lock(&n->lock);
	regs_split_write(reg_write, n, offset, size, value);
}

static int
nvme_init(struct pci_dev *p, struct config *node, struct error *err)
{
	struct nvme *n = (struct nvme *)p;
	enum { DSM_AUTO, DSM_ENABLE, DSM_DISABLE };
	static const char *const dsm_words[] = {"auto", "enable", "disable", NULL};
	const char *sector = config_get(node, "sectsz", NULL);
	uint64_t queues, eui;
	unsigned dsm;

	pthread_mutex_init(&n->lock, NULL);
	TRY(config_u64(node, "maxq", 1, MAX_IO_QUEUES, MAX_IO_QUEUES, &queues, err));
	TRY(config_u64(node, "eui64", 0, UINT64_MAX, 0, &eui, err));
	TRY(config_enum(node, "dsm", dsm_words, DSM_AUTO, &dsm, err));
	if (sector)
		TRY(config_set(node, "sectorsize", sector, err));
	if (dsm == DSM_DISABLE)
		TRY(config_set(node, "nodelete", "true", err));
	TRY(blk_open(node, &n->blk, err));
	if (dsm == DSM_ENABLE && !blk_info(n->blk)->discard)
		return error_set(err, ENOTSUP, "dsm=enable: this disk cannot discard");
	n->n_queues = (unsigned)queues + 1;
	n->write_cache = blk_info(n->blk)->write_cache;
	snprintf(n->serial, sizeof(n->serial), "%s", blk_info(n->blk)->serial);
	if (!config_get(node, "ser", NULL))
		snprintf(n->serial, sizeof(n->serial), "NVME-%u-%u", p->slot, p->fn);
	memcpy(n->eui, "\0\xa0\x98", 3);
	for (const char *s = n->serial; *s; s++)
		n->eui[3 + (s - n->serial) % 5] ^= *s;
	if (eui) {
		put_be32((uint8_t *)n->eui, (uint32_t)(eui >> 32));
		put_be32((uint8_t *)n->eui + 4, (uint32_t)eui);
	}
	pci_set_ids(p, PCI_VENDOR_REDHAT, 0x0010, PCI_CLASS_STORAGE_NVME, 2);
	pci_set_subsystem(p, PCI_VENDOR_REDHAT, 0x1100);
	pci_add_bar(p, 0, PCI_BAR_MEM64, 0x4000);
	pci_add_pin(p);
	TRY(pci_add_msix(p, 4, n->n_queues, err));
	n->slots = xcalloc(SLOTS, sizeof(*n->slots));
	for (unsigned i = 0; i < SLOTS; i++) {
		n->slots[i].n = n;
		slot_free(&n->slots[i]);
	}
	return blk_worker_start(&n->worker, &worker_ops, p->vm, n->blk, NULL, 0, n, err);
}

static void
nvme_done(struct pci_dev *p)
{
	struct nvme *n = (struct nvme *)p;

	blk_worker_done(&n->worker);
	blk_close(n->blk);
	free(n->slots);
	pthread_mutex_destroy(&n->lock);
}

/* The worker stands still while the size changes; then the driver is told, if it asked to be. */
static void
nvme_refresh(struct pci_dev *p)
{
	struct nvme *n = (struct nvme *)p;

	worker_pause(&n->worker.worker);
	if (blk_resize(n->blk) && (n->csts & CSTS_RDY) && n->n_events) {
		complete(n, 0, n->event_id[--n->n_events], OK, 2 | 4 << 16);
		interrupts(n);
	}
	worker_resume(&n->worker.worker);
}

/* A paused worker has nothing in flight: queues are numbers and addresses. */
static void
queue_state(struct nvme *n, struct queue *q, bool submission, struct state *s)
{
	void *p;

	STATE(s, q->used, q->gpa, q->size, q->head, q->tail, q->cq_id, q->vector, q->phase,
	      q->interrupts);
	if (!state_loading(s) || !q->used)
		return;
	p = mem_ptr(ram(n), q->gpa, (uint64_t)q->size * (submission ? sizeof(*q->sq) : sizeof(*q->cq)));
	q->used = state_require(s, p && q->gpa % PAGE == 0 && q->size >= 2 &&
				   q->size <= MAX_ENTRIES && q->head < q->size &&
				   q->tail < q->size && q->cq_id <= MAX_IO_QUEUES, "a queue");
	q->sq = submission ? p : NULL;
	q->cq = submission ? NULL : p;
}

static void
nvme_state(struct pci_dev *d, struct state *s)
{
	struct nvme *n = (struct nvme *)d;

	blk_state(n->blk, s);
	STATE(s, n->cc, n->csts, n->aqa, n->intm, n->asq, n->acq, n->doorbell, n->n_events,
	      n->event_id, n->write_cache);
	state_require(s, n->n_events <= ARRAY_SIZE(n->event_id), "the number of events");
	for (unsigned i = 0; i <= MAX_IO_QUEUES; i++) {
		queue_state(n, &n->sq[i], true, s);
		queue_state(n, &n->cq[i], false, s);
	}
	if (!state_loading(s) || !(n->csts & CSTS_RDY))
		return;
	worker_run(&n->worker.worker);
	blk_worker_kick(&n->worker);
}

static const struct pci_opt opts[] = {
	BLK_PCI_OPTS,
	{"maxq", "N", "I/O queues, 16 at most"},
	{"sectsz", "N", "sectorsize, as other bhyves call it here"},
	{"eui64", "N", "the namespace's identifier; made of the serial number if it is not given"},
	{"dsm", "auto|enable|disable", "whether the guest may discard blocks (auto: if the disk can)"},
	{"qsz", "N", "accepted: a queue has up to 2048 entries"},
	{"ioslots", "N", "accepted: 128 commands are done at a time"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{0},
};

const struct pci_class pci_class_nvme = {
	.name = "nvme",
	.hotplug = true,
	.summary = "NVMe disk",
	.main_opt = "path",
	.opts = opts,
	.size = sizeof(struct nvme),
	.init = nvme_init,
	.done = nvme_done,
	.refresh = nvme_refresh,
	.state = nvme_state,
	.bar_read = nvme_read,
	.bar_write = nvme_write,
};
