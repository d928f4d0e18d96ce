#include "vmm/virtio/disk.h"

static void
release(struct vdisk_req *r)
{
	r->next_free = r->disk->free;
	r->disk->free = r;
}

int
vdisk_start(struct vdisk *d, const struct blk_worker_ops *ops, struct blk *blk, size_t request_size,
	    void (*start)(struct vdisk_req *r), struct error *err)
{
	int kicks[VIRTIO_MAX_QUEUES];

	d->start = start;
	d->pool = xcalloc(VDISK_QUEUE_SIZE, request_size);
	for (unsigned i = 0; i < VDISK_QUEUE_SIZE; i++) {
		struct vdisk_req *r = (struct vdisk_req *)((char *)d->pool + i * request_size);

		r->disk = d;
		release(r);
	}
	for (unsigned i = 0; i < d->v.n_queues; i++)
		kicks[i] = d->v.queue[i].kick_fd;
	d->v.worker = &d->worker.worker;
	return blk_worker_start(&d->worker, ops, d->v.pci.vm, blk, kicks, d->v.n_queues, d, err);
}

void
vdisk_stop(struct vdisk *d)
{
	blk_worker_done(&d->worker);
}

void
vdisk_done(struct vdisk *d)
{
	free(d->pool);
	virtio_done(&d->v);
}

void
vdisk_serve(struct vdisk *d, struct virtq *q)
{
	do {
		virtq_disable_kicks(q);
		while (d->free) {
			struct vdisk_req *r = d->free;

			if (virtq_pop(q, &r->buf) <= 0)
				break;
			d->free = r->next_free;
			r->queue = q;
			d->start(r);
		}
	} while (d->free && virtq_enable_kicks(q));
	virtio_flush(&d->v, q);
}

void
vdisk_end(struct vdisk_req *r, uint32_t written)
{
	virtq_push(r->queue, r->buf.head, written);
	release(r);
}

void
vdisk_break(struct vdisk_req *r)
{
	r->queue->broken = true;
	release(r);
}
