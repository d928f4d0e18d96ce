/*
 * What virtio's disks have in common: a thread that serves all queues, and a pool of requests
 * between the rings and the back ends.  A device's own request begins with a struct vdisk_req,
 * its instance with a struct vdisk.
 */
#ifndef VMM_VIRTIO_DISK_H
#define VMM_VIRTIO_DISK_H

#include "vmm/backend/blk_worker.h"
#include "vmm/virtio/virtio.h"

#define VDISK_QUEUE_SIZE 128 /* and so many requests at once */

struct vdisk;

struct vdisk_req {
	struct vdisk *disk;
	struct virtq *queue;
	struct vdisk_req *next_free;
	struct virtq_buf buf;
	struct blk_req io;
};

struct vdisk {
	struct virtio v;
	struct blk_worker worker;
	void (*start)(struct vdisk_req *r); /* a request was taken from its queue */
	struct vdisk_req *free;
	void *pool;
};

/* At the end of init(); request_size: of the device's own.  blk's ring is the thread's. */
int vdisk_start(struct vdisk *d, const struct blk_worker_ops *ops, struct blk *blk,
		size_t request_size, void (*start)(struct vdisk_req *r), struct error *err);
/* In done(), before the back ends are closed; and after it. */
void vdisk_stop(struct vdisk *d);
void vdisk_done(struct vdisk *d);

/* In the thread: takes what a queue has, as long as there are requests for it. */
void vdisk_serve(struct vdisk *d, struct virtq *q);
/* Ends a request: so many bytes were written to the driver. */
void vdisk_end(struct vdisk_req *r, uint32_t written);
/* Ends one that breaks the rules, and with it its queue. */
void vdisk_break(struct vdisk_req *r);

#endif
