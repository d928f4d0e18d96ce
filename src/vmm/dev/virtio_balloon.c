/*
 * virtio memory balloon: pages the guest puts into it, and pages it reports
 * as unused, are given back to the host.  Memory read again is zero.
 *
 * Everything happens under v->lock in the vcpu that rings, but for requests of
 * bhyvectl(8), which come from the main thread.
 */
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "vmm/balloon.h"
#include "vmm/virtio/virtio.h"

extern const struct pci_class pci_class_virtio_balloon;

#define QUEUE_SIZE 128
#define PAGE 4096ULL
#define PFNS_MAX 65536U /* taken of one buffer: a guest does not keep its vcpu here for long */
enum { Q_INFLATE, Q_DEFLATE, Q_STATS };

struct vballoon {
	struct virtio v;
	uint32_t target; /* pages wanted in it */
	bool have_stats; /* a buffer waits in the statistics queue */
	uint16_t stats_head;
	uint64_t stat[VIRTIO_BALLOON_S_NR];
	struct virtq_buf buf;
};

static void
inflate(struct vballoon *b, const struct virtq_buf *buf)
{
	uint32_t pfns[256];
	size_t done = 0, n;

	while (done < PFNS_MAX * 4ULL &&
	       (n = iov_to_buf(buf->iov, buf->n_read, done, pfns, sizeof(pfns)) / 4) > 0) {
		for (size_t i = 0, run; i < n; i += run) {
			/* Neighbours go together, upwards or downwards. */
			for (run = 1; i + run < n && pfns[i + run] == pfns[i] + run; run++)
				;
			if (run == 1) {
				while (i + run < n && pfns[i] >= run && pfns[i + run] == pfns[i] - run)
					run++;
				mem_discard(&b->v.pci.vm->mem, (pfns[i] - run + 1) * PAGE, run * PAGE);
			} else {
				mem_discard(&b->v.pci.vm->mem, pfns[i] * PAGE, run * PAGE);
			}
		}
		done += n * 4;
	}
}

/* Unused memory, as segments the device may write. */
static void
report(struct vballoon *b, const struct virtq_buf *buf)
{
	const struct mem *m = &b->v.pci.vm->mem;

	for (unsigned i = 0; i < buf->n_write; i++) {
		const struct iovec *v = &buf->iov[buf->n_read + i];
		const uint8_t *p = v->iov_base;

		for (unsigned s = 0; s < MEM_RAM_SLOTS; s++) {
			const struct mem_region *r = &m->slot[s];

			if (r->size && p >= r->hva && p < r->hva + r->size)
				mem_discard(m, r->gpa + (uint64_t)(p - r->hva), v->iov_len);
		}
	}
}

static void
take_stats(struct vballoon *b, const struct virtq_buf *buf)
{
	struct virtio_balloon_stat s;

	for (size_t at = 0; at < 64 * sizeof(s) &&
			    iov_to_buf(buf->iov, buf->n_read, at, &s, sizeof(s)) == sizeof(s);
	     at += sizeof(s)) {
		if (s.tag < VIRTIO_BALLOON_S_NR)
			b->stat[s.tag] = s.val;
	}
	/* It is kept; giving it back asks for new ones. */
	b->stats_head = buf->head;
	b->have_stats = true;
}

static void
vballoon_notify(struct virtio *v, unsigned queue)
{
	struct vballoon *b = (struct vballoon *)v;
	struct virtq *q = &v->queue[queue];
	unsigned stats = virtio_has(v, VIRTIO_BALLOON_F_STATS_VQ) ? Q_STATS : UINT32_MAX;

	while (!(queue == stats && b->have_stats) && virtq_pop(q, &b->buf) > 0) {
		if (queue == stats) {
			take_stats(b, &b->buf);
			break;
		}
		if (queue == Q_INFLATE)
			inflate(b, &b->buf);
		else if (queue != Q_DEFLATE)
			report(b, &b->buf);
		virtq_push(q, b->buf.head, 0);
	}
	virtio_flush(v, q);
}

static void
show_target(struct vballoon *b)
{
	memcpy(b->v.cfg, &b->target, sizeof(b->target));
}

/* The driver says how much is in it; what we want is not its to write. */
static void
vballoon_cfg_written(struct virtio *v, unsigned offset, unsigned size)
{
	show_target((struct vballoon *)v);
}

static void
vballoon_stop(struct virtio *v)
{
	struct vballoon *b = (struct vballoon *)v;

	b->have_stats = false;
	memset(v->cfg + 4, 0, 4);
	memset(b->stat, 0, sizeof(b->stat));
}

static void
vballoon_state(struct virtio *v, struct state *s)
{
	struct vballoon *b = (struct vballoon *)v;

	STATE(s, b->target, b->have_stats, b->stats_head, b->stat);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_BALLOON,
	.pci_class = PCI_CLASS_OTHER,
	.stop = vballoon_stop,
	.notify = vballoon_notify,
	.cfg_written = vballoon_cfg_written,
	.state = vballoon_state,
};

static int
vballoon_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct vballoon *b = (struct vballoon *)d;
	int r = virtio_init(&b->v, &ops, 4, QUEUE_SIZE,
			    1ULL << VIRTIO_BALLOON_F_STATS_VQ |
				    1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
				    1ULL << VIRTIO_BALLOON_F_REPORTING,
			    8, err);

	b->v.cfg_writable = 8;
	return r;
}

/* ---- for bhyvectl ---- */

static struct vballoon *
find(struct vm *vm, struct error *err)
{
	struct pci_dev *d;

	list_for_each(d, &vm->pci->devs, link) {
		if (d->class == &pci_class_virtio_balloon)
			return (struct vballoon *)d;
	}
	error_set(err, ENODEV, "%s has no balloon: -s SLOT,virtio-balloon", vm->name);
	return NULL;
}

int
balloon_set(struct vm *vm, uint64_t bytes, struct error *err)
{
	struct vballoon *b = find(vm, err);

	if (!b)
		return -ENODEV;
	if (bytes > vm->mem.ram_size)
		return error_set(err, EINVAL, "%s has %lluM of memory, not more", vm->name,
				 (unsigned long long)(vm->mem.ram_size >> 20));
	pthread_mutex_lock(&b->v.lock);
	b->target = (uint32_t)((vm->mem.ram_size - bytes) / PAGE);
	show_target(b);
	pthread_mutex_unlock(&b->v.lock);
	virtio_cfg_changed(&b->v);
	return 0;
}

int
balloon_describe(struct vm *vm, struct json *out, struct error *err)
{
	static const char *const names[VIRTIO_BALLOON_S_NR] = {
		[VIRTIO_BALLOON_S_SWAP_IN] = "swapIn", [VIRTIO_BALLOON_S_SWAP_OUT] = "swapOut",
		[VIRTIO_BALLOON_S_MEMFREE] = "free", [VIRTIO_BALLOON_S_MEMTOT] = "total",
		[VIRTIO_BALLOON_S_AVAIL] = "available", [VIRTIO_BALLOON_S_CACHES] = "caches"};
	struct vballoon *b = find(vm, err);
	uint32_t actual;

	if (!b)
		return -ENODEV;
	scoped_lock(&b->v.lock);
	memcpy(&actual, b->v.cfg + 4, sizeof(actual));
	json_set_int(out, "target", (int64_t)(vm->mem.ram_size - b->target * PAGE));
	json_set_int(out, "actual", (int64_t)(vm->mem.ram_size - actual * PAGE));
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i] && b->stat[i])
			json_set_int(out, names[i], (int64_t)b->stat[i]);
	}
	/* The numbers are those of the last request; this one asks for the next. */
	if (b->have_stats) {
		b->have_stats = false;
		virtq_push(&b->v.queue[Q_STATS], b->stats_head, 0);
		virtio_flush(&b->v, &b->v.queue[Q_STATS]);
	}
	return 0;
}

const struct pci_class pci_class_virtio_balloon = {
	.name = "virtio-balloon",
	.summary = "lends memory back to the host (bhyvectl balloon)",
	.size = sizeof(struct vballoon),
	.init = vballoon_init,
	.done = virtio_pci_done,
	VIRTIO_PCI_HOOKS,
};
