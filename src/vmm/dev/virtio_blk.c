/*
 * virtio block device: one worker thread serves all queues of a disk.
 * It owns queues and requests while the driver has the device running.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vmm/virtio/disk.h"

#define MAX_QUEUES 16
#define SECTOR 512U
#define SERIAL_LEN 20
#define MAX_DISCARD (1U << 21) /* sectors a segment: 1 GiB */

struct request {
	struct vdisk_req r;
	uint8_t *status;
	uint32_t written;
};

struct vblk {
	struct vdisk disk;
	struct blk *blk;
};

static struct blk *
disk_of(const struct request *r)
{
	return ((struct vblk *)r->r.disk)->blk;
}

/* ---- requests, in the worker ---- */

static void
finish(struct request *r, uint8_t status)
{
	*r->status = status;
	vdisk_end(&r->r, r->written + 1);
}

static void
io_done(struct blk_req *io, void *arg)
{
	struct request *r = container_of(io, struct request, r.io);

	if (io->op == BLK_READ && io->result == 0)
		r->written = (uint32_t)io->len;
	finish(r, io->result == 0	       ? VIRTIO_BLK_S_OK
		  : io->result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
					      : VIRTIO_BLK_S_IOERR);
}

static void
start_io(struct request *r, enum blk_op op, uint64_t offset, uint64_t len)
{
	r->r.io = (struct blk_req){.op = op, .offset = offset, .len = len, .done = io_done};
	blk_submit(disk_of(r), &r->r.io);
}

static bool
in_disk(const struct request *r, uint64_t sector, uint64_t len)
{
	uint64_t size = blk_info(disk_of(r))->size;

	return sector <= size / SECTOR && len <= size - sector * SECTOR;
}

static void
transfer(struct request *r, const struct virtio_blk_outhdr *h)
{
	const struct blk_info *info = blk_info(disk_of(r));
	struct virtq_buf *b = &r->r.buf;
	bool write = h->type == VIRTIO_BLK_T_OUT;
	/* The header was in front of what is read, the status byte is behind what is written. */
	uint64_t len = write ? b->read_len - sizeof(*h) : b->write_len - 1U;
	unsigned n = write ? b->n_read : b->n_write;
	struct iovec *iov = write ? iov_cut(b->iov, &n, sizeof(*h), UINT64_MAX) : b->iov + b->n_read;

	/* The status byte was cut off the last segment already; it may be empty now. */
	if (!write && n && iov[n - 1].iov_len == 0)
		n--;
	if (len % info->sector || !in_disk(r, h->sector, len) || (write && info->readonly)) {
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (len == 0) {
		finish(r, VIRTIO_BLK_S_OK);
		return;
	}
	r->r.io = (struct blk_req){.op = write ? BLK_WRITE : BLK_READ,
				 .offset = h->sector * SECTOR, .len = len, .iov = iov,
				 .n_iov = n, .done = io_done};
	blk_submit(disk_of(r), &r->r.io);
}

/* One range a request: that is what max_*_seg says. */
static void
deallocate(struct request *r, const struct virtio_blk_outhdr *h)
{
	struct virtio_blk_discard_write_zeroes range;
	bool zeroes = h->type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (r->r.buf.read_len != sizeof(*h) + sizeof(range) || blk_info(disk_of(r))->readonly) {
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_to_buf(r->r.buf.iov, r->r.buf.n_read, sizeof(*h), &range, sizeof(range));
	if (range.num_sectors > MAX_DISCARD ||
	    !in_disk(r, range.sector, (uint64_t)range.num_sectors * SECTOR)) {
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
	const struct virtq_buf *b = &r->r.buf;
	const char *serial = blk_info(disk_of(r))->serial;

	memcpy(id, serial, strlen(serial));
	r->written = (uint32_t)iov_from_buf(b->iov + b->n_read, b->n_write, 0, id, sizeof(id));
	finish(r, VIRTIO_BLK_S_OK);
}

/* Takes the status byte off the end of the writable part. */
static bool
take_status(struct request *r)
{
	struct virtq_buf *b = &r->r.buf;
	struct iovec *last;

	if (b->n_write == 0 || b->read_len < sizeof(struct virtio_blk_outhdr))
		return false;
	last = &b->iov[b->n_read + b->n_write - 1];
	last->iov_len--;
	r->status = (uint8_t *)last->iov_base + last->iov_len;
	return true;
}

static void
start_request(struct vdisk_req *req)
{
	struct request *r = (struct request *)req;
	struct virtio_blk_outhdr h;

	r->written = 0;
	if (!take_status(r)) {
		vdisk_break(req);
		return;
	}
	iov_to_buf(req->buf.iov, req->buf.n_read, 0, &h, sizeof(h));
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

/* Every queue, every time: a completion makes room for one that waits. */
static void
serve_all(void *arg)
{
	struct vdisk *d = arg;

	for (unsigned i = 0; i < d->v.n_queues; i++)
		vdisk_serve(d, &d->v.queue[i]);
}

static const struct blk_worker_ops worker_ops = {"virtio-blk", serve_all, virtio_flush_all};

/* ---- setting up ---- */

static void
describe(struct vblk *d)
{
	const struct blk_info *info = blk_info(d->blk);
	struct virtio_blk_config c = {
		.capacity = info->size / SECTOR,
		.seg_max = VDISK_QUEUE_SIZE - 2,
		.blk_size = info->sector,
		.num_queues = (uint16_t)d->disk.v.n_queues,
		.max_discard_sectors = MAX_DISCARD,
		.max_discard_seg = 1,
		.discard_sector_alignment = info->physical / SECTOR,
		.max_write_zeroes_sectors = MAX_DISCARD,
		.max_write_zeroes_seg = 1,
	};

	for (uint32_t s = info->sector; s < info->physical; s *= 2)
		c.physical_block_exp++;
	memcpy(d->disk.v.cfg, &c, sizeof(c));
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
	TRY(virtio_init(&d->disk.v, &ops, (unsigned)queues, VDISK_QUEUE_SIZE, features,
			sizeof(struct virtio_blk_config), err));
	describe(d);
	return vdisk_start(&d->disk, &worker_ops, d->blk, sizeof(struct request), start_request, err);
}

static void
vblk_done(struct pci_dev *p)
{
	struct vblk *d = (struct vblk *)p;

	vdisk_stop(&d->disk);
	blk_close(d->blk);
	vdisk_done(&d->disk);
}

static void
vblk_refresh(struct pci_dev *p)
{
	struct vblk *d = (struct vblk *)p;

	if (!blk_worker_resize(&d->disk.worker, d->blk))
		return;
	pthread_mutex_lock(&d->disk.v.lock);
	describe(d);
	pthread_mutex_unlock(&d->disk.v.lock);
	virtio_cfg_changed(&d->disk.v);
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
