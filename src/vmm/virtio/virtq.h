/*
 * Virtqueues (split rings of virtio 1.x and their legacy layout): the door
 * through which every virtio device touches guest memory.
 *
 * Everything in a ring is the guest's and may change while we look.  So each
 * descriptor is copied once, the copy is checked, and what virtq_pop() hands
 * out are host addresses that lie in guest RAM, in the order "device reads,
 * then device writes".  A ring that breaks the rules is marked broken and
 * yields nothing more until the driver resets the device.
 *
 * A queue is used by one thread at a time: its worker while it runs, the
 * vcpu that sets it up while the worker is paused.
 */
#ifndef VMM_VIRTIO_VIRTQ_H
#define VMM_VIRTIO_VIRTQ_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/iov.h"
#include "vmm/mem.h"

enum { VIRTQ_MAX_SIZE = 1024, VIRTQ_MAX_SEGS = 258 };

struct virtq {
	const struct mem *mem;
	unsigned index;
	uint16_t size, max_size;
	bool enabled, broken, event_idx;
	bool kicks_off; /* virtq_disable_kicks() */
	uint64_t desc_gpa, avail_gpa, used_gpa;

	struct vring_desc *desc; /* resolved by virtq_start(); NULL: not running */
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail; /* next to take */
	uint16_t next_used;  /* next to fill */
	uint16_t signalled;  /* next_used when the driver was last looked after */

	uint16_t vector; /* MSI-X, or VIRTIO_MSI_NO_VECTOR */
	int kick_fd;	 /* doorbell, or -1 */
};

/* One request: iov[0..n_read) are for the device to read, the rest for it to write. */
struct virtq_buf {
	uint16_t head;
	unsigned n_read, n_write;
	uint32_t read_len, write_len;
	struct iovec iov[VIRTQ_MAX_SEGS];
};

/* Resolves the addresses the driver gave; false (and broken) if they are not RAM. */
bool virtq_start(struct virtq *q);
/* Forgets everything but max_size, kick_fd and index. */
void virtq_reset(struct virtq *q);

/* 1: *ret is filled; 0: nothing there; -EINVAL: broken. */
int virtq_pop(struct virtq *q, struct virtq_buf *ret);
/* Puts the last popped request back (a receive queue that turned out too small). */
void virtq_unpop(struct virtq *q);
/* Completes a request: `written` bytes of its writable part. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* Completes a request with these bytes, or as many as there is room for; gives how many. */
size_t virtq_answer(struct virtq *q, const struct virtq_buf *b, const void *data, size_t len);
/* True if the driver wants an interrupt for what was pushed since the last call. */
bool virtq_wants_interrupt(struct virtq *q);
/*
 * A queue asks for doorbells unless its user turns them off while it looks
 * anyway.  Asking again: true if requests are there already (look once more).
 */
bool virtq_enable_kicks(struct virtq *q);
void virtq_disable_kicks(struct virtq *q);

#endif
