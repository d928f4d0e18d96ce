#include "vmm/virtio/virtq.h"

#include <errno.h>
#include <string.h>

/* Fields that the guest writes at will are read once, with the order the ring needs. */
#define GUEST_LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define GUEST_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

void
virtq_reset(struct virtq *q)
{
	*q = (struct virtq){.mem = q->mem, .index = q->index, .max_size = q->max_size,
			    .size = q->max_size, .kick_fd = q->kick_fd, .vector = 0xffff};
}

bool
virtq_start(struct virtq *q)
{
	uint64_t n = q->size;
	bool aligned = q->desc_gpa % 16 == 0 && q->avail_gpa % 2 == 0 && q->used_gpa % 4 == 0;

	q->desc = mem_ptr(q->mem, q->desc_gpa, n * sizeof(struct vring_desc));
	/* Two bytes more: the event index behind the entries. */
	q->avail = mem_ptr(q->mem, q->avail_gpa, sizeof(*q->avail) + n * 2 + 2);
	q->used = mem_ptr(q->mem, q->used_gpa,
			  sizeof(*q->used) + n * sizeof(struct vring_used_elem) + 2);
	if (!q->desc || !q->avail || !q->used || !aligned || n == 0 || (n & (n - 1))) {
		q->desc = NULL;
		q->broken = true;
		return false;
	}
	return true;
}

static uint16_t *
used_event(struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t *
avail_event(struct virtq *q)
{
	return (uint16_t *)(void *)&q->used->ring[q->size];
}

static int
broken(struct virtq *q)
{
	q->broken = true;
	return -EINVAL;
}

/* One checked segment more; writable ones only after all readable ones. */
static int
add_segment(struct virtq *q, const struct vring_desc *d, struct virtq_buf *b)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	unsigned n = b->n_read + b->n_write;
	uint32_t *total = write ? &b->write_len : &b->read_len;
	void *p = mem_ptr(q->mem, d->addr, d->len);

	if (!p || n == VIRTQ_MAX_SEGS || (!write && b->n_write) || *total + d->len < d->len)
		return broken(q);
	*total += d->len;
	b->iov[n] = (struct iovec){p, d->len};
	if (write)
		b->n_write++;
	else
		b->n_read++;
	return 0;
}

/* Follows a chain through table[0..size); count bounds loops. */
static int
walk_chain(struct virtq *q, const struct vring_desc *table, uint32_t size, uint32_t first,
	   bool indirect, struct virtq_buf *b)
{
	uint32_t i = first;

	for (uint32_t count = 0;; count++) {
		struct vring_desc d;
		int r;

		if (i >= size || count >= size)
			return broken(q);
		memcpy(&d, (const void *)&table[i], sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			const struct vring_desc *inner = mem_ptr(q->mem, d.addr, d.len);
			uint32_t n = d.len / (uint32_t)sizeof(d);

			/* Not inside another one, and as the end of a chain. */
			if (indirect || (d.flags & VRING_DESC_F_NEXT) || !inner ||
			    d.len % sizeof(d) || n > VIRTQ_MAX_SIZE)
				return broken(q);
			return walk_chain(q, inner, n, 0, true, b);
		}
		r = add_segment(q, &d, b);
		if (r < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return r;
		i = d.next;
	}
}

int
virtq_pop(struct virtq *q, struct virtq_buf *ret)
{
	uint16_t available, head;

	if (!q->desc || q->broken)
		return q->broken ? -EINVAL : 0;
	available = (uint16_t)(GUEST_LOAD(&q->avail->idx) - q->last_avail);
	if (available == 0)
		return 0;
	if (available > q->size)
		return broken(q);
	head = GUEST_LOAD(&q->avail->ring[q->last_avail % q->size]);
	ret->head = head;
	ret->n_read = ret->n_write = 0;
	ret->read_len = ret->write_len = 0;
	TRY(walk_chain(q, q->desc, q->size, head, false, ret));
	q->last_avail++;
	if (q->event_idx && !q->kicks_off) {
		/* The driver rings for the next one.  The caller looks again after this. */
		GUEST_STORE(avail_event(q), q->last_avail);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return 1;
}

void
virtq_unpop(struct virtq *q)
{
	q->last_avail--;
}

void
virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem e = {head, written};

	if (!q->desc || q->broken)
		return;
	memcpy((void *)&q->used->ring[q->next_used % q->size], &e, sizeof(e));
	GUEST_STORE(&q->used->idx, ++q->next_used);
}

bool
virtq_wants_interrupt(struct virtq *q)
{
	uint16_t old = q->signalled, now = q->next_used, event;

	if (!q->desc || q->broken || old == now)
		return false;
	/* The used index must be seen before we look at what the driver wants. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->signalled = now;
	if (!q->event_idx)
		return !(GUEST_LOAD(&q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	event = GUEST_LOAD(used_event(q));
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

bool
virtq_enable_kicks(struct virtq *q)
{
	q->kicks_off = false;
	if (!q->desc || q->broken)
		return false;
	if (q->event_idx)
		GUEST_STORE(avail_event(q), q->last_avail);
	else
		GUEST_STORE(&q->used->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return GUEST_LOAD(&q->avail->idx) != q->last_avail;
}

void
virtq_disable_kicks(struct virtq *q)
{
	q->kicks_off = true;
	/* With event indexes, not moving ours on is enough. */
	if (q->desc && !q->broken && !q->event_idx)
		GUEST_STORE(&q->used->flags, VRING_USED_F_NO_NOTIFY);
}

size_t
virtq_answer(struct virtq *q, const struct virtq_buf *b, const void *data, size_t len)
{
	size_t n = iov_from_buf(b->iov + b->n_read, b->n_write, 0, data, len);

	virtq_push(q, b->head, (uint32_t)n);
	return n;
}
