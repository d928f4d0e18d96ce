/*
 * virtio block device: one worker thread serves all queues of a disk.
 * It owns queues and requests while the driver has the device running.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vmm/backend/blk_worker.h"
#include "vmm/virtio/virtio.h"

#define QUEUE_SIZE 128
#define MAX_QUEUES 16
#define SECTOR 512U
#define SERIAL_LEN 20
#define MAX_DISCARD (1U << 21) /* sectors a segment: 1 GiB */

struct vblk;

struct request {
	struct vblk *disk;
	struct virtq *queue;
	struct request *next_free;
	struct virtq_buf buf;
	struct blk_req io;
	uint8_t *status;
	uint32_t written;
};

struct vblk {
	struct virtio v;
	struct blk *blk;
	struct blk_worker worker;
	struct request *requests, *free;
};

/* ---- requests, in the worker ---- */

static void
finish(struct request *r, uint8_t status)
{
	struct vblk *d = r->disk;

	*r->status = status;
	virtq_push(r->queue, r->buf.head, r->written + 1);
	r->next_free = d->free;
	d->free = r;
}

static void
io_done(struct blk_req *io, void *arg)
{
	struct request *r = container_of(io, struct request, io);

	if (io->op == BLK_READ && io->result == 0)
		r->written = (uint32_t)io->len;
	finish(r, io->result == 0	       ? VIRTIO_BLK_S_OK
		  : io->result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
					      : VIRTIO_BLK_S_IOERR);
}

static void
start_io(struct request *r, enum blk_op op, uint64_t offset, uint64_t len)
{
	r->io = (struct blk_req){.op = op, .offset = offset, .len = len, .done = io_done};
	blk_submit(r->disk->blk, &r->io);
}

static bool
in_disk(const struct vblk *d, uint64_t sector, uint64_t len)
{
	uint64_t size = blk_info(d->blk)->size;

	return sector <= size / SECTOR && len <= size - sector * SECTOR;
}

/* Drops the first `skip` bytes of iov[0..n) in place; returns where it begins now. */
static struct iovec *
skip_bytes(struct iovec *iov, unsigned *n, size_t skip)
{
	while (*n && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		(*n)--;
	}
	if (*n) {
		iov->iov_base = (uint8_t *)iov->iov_base + skip;
		iov->iov_len -= skip;
	}
	return iov;
}

static void
transfer(struct request *r, const struct virtio_blk_outhdr *h)
{
	struct vblk *d = r->disk;
	const struct blk_info *info = blk_info(d->blk);
	bool write = h->type == VIRTIO_BLK_T_OUT;
	/* The header was in front of what is read, the status byte is behind what is written. */
	uint64_t len = write ? r->buf.read_len - sizeof(*h) : r->buf.write_len - 1U;
	unsigned n = write ? r->buf.n_read : r->buf.n_write;
	struct iovec *iov = write ? skip_bytes(r->buf.iov, &n, sizeof(*h))
				  : r->buf.iov + r->buf.n_read;

	/* The status byte was cut off the last segment already; it may be empty now. */
	if (!write && n && iov[n - 1].iov_len == 0)
		n--;
	if (len % info->sector || !in_disk(d, h->sector, len) || (write && info->readonly)) {
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (len == 0) {
		finish(r, VIRTIO_BLK_S_OK);
		return;
	}
	r->io = (struct blk_req){.op = write ? BLK_WRITE : BLK_READ,
				 .offset = h->sector * SECTOR, .len = len, .iov = iov,
				 .n_iov = n, .done = io_done};
	blk_submit(d->blk, &r->io);
}

/* One range a request: that is what max_*_seg says. */
static void
deallocate(struct request *r, const struct virtio_blk_outhdr *h)
{
	struct vblk *d = r->disk;
	struct virtio_blk_discard_write_zeroes range;
	bool zeroes = h->type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (r->buf.read_len != sizeof(*h) + sizeof(range) || blk_info(d->blk)->readonly) {
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_to_buf(r->buf.iov, r->buf.n_read, sizeof(*h), &range, sizeof(range));
	if (range.num_sectors > MAX_DISCARD ||
	    !in_disk(d, range.sector, (uint64_t)range.num_sectors * SECTOR)) {
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	start_io(r, zeroes ? BLK_ZEROES : BLK_DISCARD, range.sector * SECTOR,
		 (uint64_t)range.num_sectors * SECTOR);
}

static void
get_id(struct request *r)
{
	char id[SERIAL_LEN] = "";
	unsigned n = r->buf.n_write;

	memcpy(id, blk_info(r->disk->blk)->serial, strlen(blk_info(r->disk->blk)->serial));
	r->written = (uint32_t)iov_from_buf(r->buf.iov + r->buf.n_read, n, 0, id, sizeof(id));
	finish(r, VIRTIO_BLK_S_OK);
}

/* Takes the status byte off the end of the writable part. */
static bool
take_status(struct request *r)
{
	struct virtq_buf *b = &r->buf;
	struct iovec *last;

	if (b->n_write == 0 || b->read_len < sizeof(struct virtio_blk_outhdr))
		return false;
	last = &b->iov[b->n_read + b->n_write - 1];
	last->iov_len--;
	r->status = (uint8_t *)last->iov_base + last->iov_len;
	return true;
}

static void
start_request(struct request *r)
{
	struct virtio_blk_outhdr h;

	r->written = 0;
	if (!take_status(r)) {
		r->queue->broken = true;
		r->next_free = r->disk->free;
		r->disk->free = r;
		return;
	}
	iov_to_buf(r->buf.iov, r->buf.n_read, 0, &h, sizeof(h));
	switch (h.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfer(r, &h);
		return;
	case VIRTIO_BLK_T_FLUSH:
		start_io(r, BLK_FLUSH, 0, 0);
		return;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		deallocate(r, &h);
		return;
	case VIRTIO_BLK_T_GET_ID:
		get_id(r);
		return;
	}
	finish(r, VIRTIO_BLK_S_UNSUPP);
}

static void
serve(struct vblk *d, struct virtq *q)
{
	do {
		virtq_disable_kicks(q);
		while (d->free) {
			struct request *r = d->free;
			int got = virtq_pop(q, &r->buf);

			if (got <= 0)
				break;
			d->free = r->next_free;
			r->queue = q;
			start_request(r);
		}
	} while (d->free && virtq_enable_kicks(q));
	virtio_flush(&d->v, q);
}

/* Every queue, every time: a completion makes room for one that waits. */
static void
serve_all(void *arg)
{
	struct vblk *d = arg;

	for (unsigned i = 0; i < d->v.n_queues; i++)
		serve(d, &d->v.queue[i]);
}

static const struct blk_worker_ops worker_ops = {"virtio-blk", serve_all, virtio_flush_all};

/* ---- setting up ---- */

static void
describe(struct vblk *d)
{
	const struct blk_info *info = blk_info(d->blk);
	struct virtio_blk_config c = {
		.capacity = info->size / SECTOR,
		.seg_max = QUEUE_SIZE - 2,
		.blk_size = info->sector,
		.num_queues = (uint16_t)d->v.n_queues,
		.max_discard_sectors = MAX_DISCARD,
		.max_discard_seg = 1,
		.discard_sector_alignment = info->physical / SECTOR,
		.max_write_zeroes_sectors = MAX_DISCARD,
		.max_write_zeroes_seg = 1,
	};

	for (uint32_t s = info->sector; s < info->physical; s *= 2)
		c.physical_block_exp++;
	memcpy(d->v.cfg, &c, sizeof(c));
}

/* A paused worker has nothing in flight. */
static void
vblk_state(struct virtio *v, struct state *s)
{
	blk_state(((struct vblk *)v)->blk, s);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_BLOCK,
	.pci_class = PCI_CLASS_STORAGE_SCSI,
	.doorbells = true,
	.state = vblk_state,
};

static int
vblk_init(struct pci_dev *p, struct config *node, struct error *err)
{
	struct vblk *d = (struct vblk *)p;
	uint64_t queues, features;

	TRY(config_u64(node, "queues", 1, MAX_QUEUES, 1, &queues, err));
	TRY(blk_open(node, &d->blk, err));
	features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
		   1ULL << VIRTIO_BLK_F_TOPOLOGY;
	if (blk_info(d->blk)->readonly)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	if (blk_info(d->blk)->write_cache)
		features |= 1ULL << VIRTIO_BLK_F_FLUSH;
	if (blk_info(d->blk)->discard)
		features |= 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	if (queues > 1)
		features |= 1ULL << VIRTIO_BLK_F_MQ;
	TRY(virtio_init(&d->v, &ops, (unsigned)queues, QUEUE_SIZE, features,
			sizeof(struct virtio_blk_config), err));
	describe(d);
	d->requests = xcalloc(QUEUE_SIZE, sizeof(*d->requests));
	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		d->requests[i].disk = d;
		d->requests[i].next_free = d->free;
		d->free = &d->requests[i];
	}
	return virtio_start_disk(&d->v, &d->worker, &worker_ops, d->blk, err);
}

static void
vblk_done(struct pci_dev *p)
{
	struct vblk *d = (struct vblk *)p;

	blk_worker_done(&d->worker);
	blk_close(d->blk);
	free(d->requests);
	virtio_done(&d->v);
}

static void
vblk_refresh(struct pci_dev *p)
{
	struct vblk *d = (struct vblk *)p;

	if (!blk_worker_resize(&d->worker, d->blk))
		return;
	pthread_mutex_lock(&d->v.lock);
	describe(d);
	pthread_mutex_unlock(&d->v.lock);
	virtio_cfg_changed(&d->v);
}

static const struct pci_opt opts[] = {
	BLK_PCI_OPTS,
	{"queues", "N", "request queues (1)"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{0},
};

const struct pci_class pci_class_virtio_blk = {
	.name = "virtio-blk",
	.hotplug = true,
	.summary = "disk",
	.main_opt = "path",
	.opts = opts,
	.size = sizeof(struct vblk),
	.init = vblk_init,
	.done = vblk_done,
	.refresh = vblk_refresh,
	VIRTIO_PCI_HOOKS,
};
