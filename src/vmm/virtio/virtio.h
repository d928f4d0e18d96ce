/*
 * A virtio device on PCI: virtio 1.x, legacy, or both (transitional), as
 * virtio.modern and virtio.legacy say.
 *
 * A device's instance struct starts with a struct virtio.  It hands over a
 * table of hooks and keeps its configuration bytes current; registers,
 * queues' set-up, features, doorbells and interrupts are the transport's.
 *
 * Hooks run in a vcpu thread with v->lock held.  A device with `doorbells` has a kick_fd a queue and a worker
 * that waits on them; start() wakes the worker, stop() returns when it no
 * longer touches the queues.  One with v->worker (a disk) needs neither hook.
 */
#ifndef VMM_VIRTIO_VIRTIO_H
#define VMM_VIRTIO_VIRTIO_H

#include "vmm/device.h"
#include "vmm/virtio/virtq.h"

struct virtio;
struct worker;

enum { VIRTIO_MAX_QUEUES = 64, VIRTIO_CFG_MAX = 256 };

struct virtio_ops {
	uint16_t type; /* VIRTIO_ID_* */
	uint32_t pci_class;
	bool doorbells;
	bool control_last; /* but for the last queue, which comes to notify() */
	void (*start)(struct virtio *v); /* may be NULL */
	void (*stop)(struct virtio *v);
	void (*notify)(struct virtio *v, unsigned queue);
	void (*cfg_written)(struct virtio *v, unsigned offset, unsigned size); /* may be NULL */
	/* What it keeps beyond the transport's, queues and configuration bytes; NULL: it cannot be saved. */
	void (*state)(struct virtio *v, struct state *s);
};

struct virtio {
	struct pci_dev pci; /* first: the device is a PCI function */
	const struct virtio_ops *ops;
	pthread_mutex_t lock;
	uint64_t features, driver_features;
	uint32_t features_sel, driver_features_sel;
	uint8_t status, isr, generation;
	uint16_t queue_sel, cfg_vector;
	unsigned n_queues;
	struct virtq *queue;
	struct worker *worker; /* runs while the driver has the device running; may be NULL */
	bool legacy, modern, running;
	unsigned cfg_cap; /* the configuration access capability */
	uint8_t cfg[VIRTIO_CFG_MAX];
	unsigned cfg_len, cfg_writable; /* bytes; the driver may change the first cfg_writable */
};

/* In init(): ids, BARs, queues (all of queue_size), MSI-X.  features without VERSION_1. */
int virtio_init(struct virtio *v, const struct virtio_ops *ops, unsigned n_queues,
		unsigned queue_size, uint64_t features, unsigned cfg_len, struct error *err);
/* In done(), after the worker is gone. */
void virtio_done(struct virtio *v);
/* struct pci_class's done for a device with nothing else to put away. */
void virtio_pci_done(struct pci_dev *d);

static inline bool
virtio_has(const struct virtio *v, unsigned feature)
{
	return v->driver_features >> feature & 1;
}

/* Interrupts if the driver wants one for what was pushed; a broken queue is told of, too. */
void virtio_flush(struct virtio *v, struct virtq *q);
void virtio_flush_all(void *v);
/* The configuration bytes changed. */
void virtio_cfg_changed(struct virtio *v);
/* A queue is broken: tells the driver that the device needs a reset. */
void virtio_broken(struct virtio *v);

/* For every virtio device's struct pci_class. */
#define VIRTIO_PCI_HOOKS                                                  \
	.bar_read = virtio_bar_read, .bar_write = virtio_bar_write,       \
	.cfg_read = virtio_cfg_read, .cfg_written = virtio_cfg_written,   \
	.state = virtio_state
uint64_t virtio_bar_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size);
void virtio_bar_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value);
void virtio_cfg_read(struct pci_dev *d, unsigned offset, unsigned size);
void virtio_cfg_written(struct pci_dev *d, unsigned offset, unsigned size);
void virtio_state(struct pci_dev *d, struct state *s);
/* For devices whose registers and queues are all there is. */
void virtio_state_none(struct virtio *v, struct state *s);

#endif
