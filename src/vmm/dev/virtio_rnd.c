/* virtio entropy device: fills what the guest offers from the host's generator. */
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "vmm/virtio/virtio.h"

#define QUEUE_SIZE 64

SANDBOX_NEEDS(SANDBOX_VCPU, "getrandom");
/* A request for more gets this much: a guest cannot keep a vcpu of its busy for long in one exit. */
#define CHUNK 4096U

struct vrnd {
	struct virtio v;
	struct virtq_buf buf;
};

static void
vrnd_notify(struct virtio *v, unsigned queue)
{
	struct vrnd *r = (struct vrnd *)v;
	struct virtq *q = &v->queue[0];
	uint8_t bytes[256];

	while (virtq_pop(q, &r->buf) > 0) {
		uint32_t want = r->buf.write_len < CHUNK ? r->buf.write_len : CHUNK, done = 0;

		while (done < want) {
			size_t n = want - done < sizeof(bytes) ? want - done : sizeof(bytes);

			/* At most 256 bytes: never short, never interrupted. */
			if (getrandom(bytes, n, 0) != (ssize_t)n)
				break;
			iov_from_buf(r->buf.iov + r->buf.n_read, r->buf.n_write, done, bytes, n);
			done += (uint32_t)n;
		}
		virtq_push(q, r->buf.head, done);
	}
	virtio_flush(v, q);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_RNG,
	.pci_class = PCI_CLASS_OTHER,
	.notify = vrnd_notify,
	.state = virtio_state_none,
};

static int
vrnd_init(struct pci_dev *p, struct config *node, struct error *err)
{
	return virtio_init((struct virtio *)p, &ops, 1, QUEUE_SIZE, 0, 0, err);
}

const struct pci_class pci_class_virtio_rnd = {
	.name = "virtio-rnd",
	.hotplug = true,
	.summary = "random numbers",
	.size = sizeof(struct vrnd),
	.init = vrnd_init,
	.done = virtio_pci_done,
	VIRTIO_PCI_HOOKS,
};
