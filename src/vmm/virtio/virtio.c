/*
 * The PCI transport.  BAR 0: legacy ports; BAR 1: MSI-X; BAR 4: the modern
 * register blocks, a page each.
 */
#include "vmm/virtio/virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include "vmm/regs.h"

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4 };
enum { AT_COMMON = 0, AT_ISR = 0x1000, AT_DEVICE = 0x2000, AT_NOTIFY = 0x3000, BLOCK = 0x1000 };
#define NOTIFY_STRIDE 4
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

/* ---- interrupts ---- */

static void
interrupt(struct virtio *v, uint16_t vector, uint8_t isr)
{
	if (pci_msix_enabled(&v->pci)) {
		if (vector != VIRTIO_MSI_NO_VECTOR)
			pci_msix_notify(&v->pci, vector);
		return;
	}
	__atomic_fetch_or(&v->isr, isr, __ATOMIC_SEQ_CST);
	pci_irq_level(&v->pci, true);
}

void
virtio_flush(struct virtio *v, struct virtq *q)
{
	if (q->broken)
		virtio_broken(v);
	else if (virtq_wants_interrupt(q))
		interrupt(v, q->vector, ISR_QUEUE);
}

void
virtio_flush_all(void *arg)
{
	struct virtio *v = arg;

	for (unsigned i = 0; i < v->n_queues; i++)
		virtio_flush(v, &v->queue[i]);
}

void
virtio_cfg_changed(struct virtio *v)
{
	__atomic_fetch_add(&v->generation, 1, __ATOMIC_SEQ_CST);
	if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(v, v->cfg_vector, ISR_CONFIG);
}

void
virtio_broken(struct virtio *v)
{
	if (__atomic_fetch_or(&v->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_SEQ_CST) &
	    VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	interrupt(v, v->cfg_vector, ISR_CONFIG);
}

static uint8_t
read_isr(struct virtio *v)
{
	uint8_t isr = __atomic_exchange_n(&v->isr, 0, __ATOMIC_SEQ_CST);

	pci_irq_level(&v->pci, false);
	return isr;
}

/* ---- life of a driver ---- */

static void
set_running(struct virtio *v, bool run)
{
	void (*hook)(struct virtio *) = run ? v->ops->start : v->ops->stop;

	v->running = run;
	if (hook)
		hook(v);
	if (v->worker)
		(run ? worker_run : worker_stop)(v->worker);
}

static void
reset(struct virtio *v)
{
	if (v->running)
		set_running(v, false);
	for (unsigned i = 0; i < v->n_queues; i++)
		virtq_reset(&v->queue[i]);
	v->driver_features = 0;
	v->features_sel = v->driver_features_sel = 0;
	v->queue_sel = 0;
	v->cfg_vector = VIRTIO_MSI_NO_VECTOR;
	v->status = 0;
	(void)read_isr(v);
}

static void
set_status(struct virtio *v, uint8_t value)
{
	uint8_t news = value & (uint8_t)~v->status;

	if (value == 0) {
		reset(v);
		return;
	}
	/* Features we did not offer: the driver reads back that they were not accepted. */
	if ((news & VIRTIO_CONFIG_S_FEATURES_OK) && (v->driver_features & ~v->features))
		value &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	v->status = value | (v->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	if (!(news & VIRTIO_CONFIG_S_DRIVER_OK) || v->running)
		return;
	v->driver_features &= v->features;
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtq *q = &v->queue[i];

		q->event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
		if (q->enabled && !virtq_start(q))
			virtio_broken(v);
	}
	set_running(v, true);
}

static void
notify(struct virtio *v, unsigned queue)
{
	if (queue >= v->n_queues)
		return;
	/* The kernel rings it as a rule; this is the way round when it could not be attached. */
	if (v->queue[queue].kick_fd >= 0) {
		bell_ring(v->queue[queue].kick_fd);
		return;
	}
	scoped_lock(&v->lock);
	if (v->running)
		v->ops->notify(v, queue);
}

/* ---- registers of virtio 1.x ---- */

static uint16_t
valid_vector(struct virtio *v, uint64_t value)
{
	return value < v->pci.msix.n ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

static uint32_t
get_features(const void *dev)
{
	const struct virtio *v = dev;

	return v->features_sel < 2 ? (uint32_t)(v->features >> (32 * v->features_sel)) : 0;
}

static uint32_t
get_driver_features(const void *dev)
{
	const struct virtio *v = dev;
	unsigned word = v->driver_features_sel;

	return word < 2 ? (uint32_t)(v->driver_features >> (32 * word)) : 0;
}

static void
set_driver_features(void *dev, uint32_t value)
{
	struct virtio *v = dev;

	if (v->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (v->driver_features_sel == 0)
		v->driver_features = with_low(v->driver_features, value);
	else if (v->driver_features_sel == 1)
		v->driver_features = with_high(v->driver_features, value);
}

static void
set_cfg_vector(void *dev, uint32_t value)
{
	struct virtio *v = dev;

	v->cfg_vector = valid_vector(v, value);
}

static void
write_status(void *dev, uint32_t value)
{
	set_status(dev, (uint8_t)value);
}

static const struct reg common[] = {
	REG(struct virtio, VIRTIO_PCI_COMMON_DFSELECT, features_sel, .write = ~0U),
	{.at = VIRTIO_PCI_COMMON_DF, .get = get_features},
	REG(struct virtio, VIRTIO_PCI_COMMON_GFSELECT, driver_features_sel, .write = ~0U),
	{.at = VIRTIO_PCI_COMMON_GF, .get = get_driver_features, .set = set_driver_features},
	REG(struct virtio, VIRTIO_PCI_COMMON_MSIX, cfg_vector, .set = set_cfg_vector),
	REG(struct virtio, VIRTIO_PCI_COMMON_NUMQ, n_queues),
	REG(struct virtio, VIRTIO_PCI_COMMON_STATUS, status, .set = write_status),
	REG(struct virtio, VIRTIO_PCI_COMMON_CFGGENERATION, generation),
	REG(struct virtio, VIRTIO_PCI_COMMON_Q_SELECT, queue_sel, .write = 0xffff),
};

static void
set_queue_size(void *queue, uint32_t value)
{
	struct virtq *q = queue;

	if (value && value <= q->max_size && !(value & (value - 1)))
		q->size = (uint16_t)value;
}

static void
set_queue_enabled(void *queue, uint32_t value)
{
	((struct virtq *)queue)->enabled = value == 1;
}

/* Of the queue that is selected. */
static const struct reg queue_regs[] = {
	REG(struct virtq, VIRTIO_PCI_COMMON_Q_SIZE, size, .set = set_queue_size),
	REG(struct virtq, VIRTIO_PCI_COMMON_Q_MSIX, vector),
	REG(struct virtq, VIRTIO_PCI_COMMON_Q_ENABLE, enabled, .set = set_queue_enabled),
	REG(struct virtq, VIRTIO_PCI_COMMON_Q_NOFF, index),
	REG64(struct virtq, VIRTIO_PCI_COMMON_Q_DESCLO, desc_gpa, ~0U),
	REG64(struct virtq, VIRTIO_PCI_COMMON_Q_AVAILLO, avail_gpa, ~0U),
	REG64(struct virtq, VIRTIO_PCI_COMMON_Q_USEDLO, used_gpa, ~0U),
};

static struct virtq *
selected(struct virtio *v)
{
	return v->queue_sel < v->n_queues ? &v->queue[v->queue_sel] : NULL;
}

static uint64_t
common_read(struct virtio *v, unsigned offset)
{
	struct virtq *q = selected(v);

	if (offset < VIRTIO_PCI_COMMON_Q_SIZE)
		return regs_read(common, ARRAY_SIZE(common), v, offset);
	return q ? regs_read(queue_regs, ARRAY_SIZE(queue_regs), q, offset) : 0;
}

static void
common_write(struct virtio *v, unsigned offset, uint32_t value)
{
	struct virtq *q = selected(v);

	if (offset < VIRTIO_PCI_COMMON_Q_SIZE)
		regs_write(common, ARRAY_SIZE(common), v, offset, value);
	else if (q && offset == VIRTIO_PCI_COMMON_Q_MSIX)
		q->vector = valid_vector(v, value);
	/* The rest is fixed once the queue runs. */
	else if (q && !q->enabled && !v->running)
		regs_write(queue_regs, ARRAY_SIZE(queue_regs), q, offset, value);
}

/* ---- device configuration ---- */

static uint64_t
device_read(struct virtio *v, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset < v->cfg_len) {
		unsigned left = v->cfg_len - (unsigned)offset;

		memcpy(&value, v->cfg + offset, size < left ? size : left);
	}
	return value;
}

static void
device_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset + size > v->cfg_writable)
		return;
	memcpy(v->cfg + offset, &value, size);
	if (v->ops->cfg_written)
		v->ops->cfg_written(v, (unsigned)offset, size);
}

/* ---- legacy ports ---- */

static unsigned
legacy_header(struct virtio *v)
{
	return VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(&v->pci));
}

/* The queue's one page number fixes all three parts. */
static void
legacy_set_pfn(struct virtio *v, struct virtq *q, uint32_t pfn)
{
	uint64_t base = (uint64_t)pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT;

	if (v->running)
		return;
	q->desc_gpa = base;
	q->avail_gpa = base + 16ULL * q->size;
	q->used_gpa = (q->avail_gpa + 6 + 2ULL * q->size + VIRTIO_PCI_VRING_ALIGN - 1) &
		      ~(uint64_t)(VIRTIO_PCI_VRING_ALIGN - 1);
	q->enabled = pfn != 0;
}

static uint64_t
legacy_read(struct virtio *v, uint64_t offset, unsigned size)
{
	struct virtq *q = selected(v);
	unsigned header = legacy_header(v);

	if (offset >= header)
		return device_read(v, offset - header, size);
	switch (offset) {
	case VIRTIO_PCI_HOST_FEATURES:
		return (uint32_t)v->features;
	case VIRTIO_PCI_GUEST_FEATURES:
		return (uint32_t)v->driver_features;
	case VIRTIO_PCI_QUEUE_PFN:
		return q && q->enabled ? q->desc_gpa >> VIRTIO_PCI_QUEUE_ADDR_SHIFT : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return q ? q->max_size : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return v->queue_sel;
	case VIRTIO_PCI_STATUS:
		return v->status;
	case VIRTIO_PCI_ISR:
		return read_isr(v);
	case VIRTIO_MSI_CONFIG_VECTOR:
		return v->cfg_vector;
	case VIRTIO_MSI_QUEUE_VECTOR:
		return q ? q->vector : VIRTIO_MSI_NO_VECTOR;
	}
	return 0;
}

static void
legacy_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtq *q = selected(v);
	unsigned header = legacy_header(v);

	if (offset >= header) {
		device_write(v, offset - header, size, value);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_GUEST_FEATURES:
		v->driver_features = (uint32_t)value & v->features;
		return;
	case VIRTIO_PCI_QUEUE_PFN:
		if (q)
			legacy_set_pfn(v, q, (uint32_t)value);
		return;
	case VIRTIO_PCI_QUEUE_SEL:
		v->queue_sel = (uint16_t)value;
		return;
	case VIRTIO_PCI_STATUS:
		set_status(v, (uint8_t)value);
		return;
	case VIRTIO_MSI_CONFIG_VECTOR:
		v->cfg_vector = valid_vector(v, value);
		return;
	case VIRTIO_MSI_QUEUE_VECTOR:
		if (q)
			q->vector = valid_vector(v, value);
		return;
	}
}

/* ---- the BARs ---- */

uint64_t
virtio_bar_read(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size)
{
	struct virtio *v = (struct virtio *)d;
	uint64_t value = 0;

	scoped_lock(&v->lock);
	if (bar == BAR_LEGACY)
		value = legacy_read(v, offset, size);
	else if (offset < AT_ISR)
		value = common_read(v, (unsigned)offset);
	else if (offset < AT_DEVICE)
		value = offset == AT_ISR ? read_isr(v) : 0;
	else if (offset < AT_NOTIFY)
		value = device_read(v, offset - AT_DEVICE, size);
	return value;
}

void
virtio_bar_write(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio *v = (struct virtio *)d;

	if (bar == BAR_LEGACY && offset == VIRTIO_PCI_QUEUE_NOTIFY) {
		notify(v, (unsigned)value & 0xffff);
		return;
	}
	if (bar == BAR_MODERN && offset >= AT_NOTIFY) {
		notify(v, (unsigned)((offset - AT_NOTIFY) / NOTIFY_STRIDE));
		return;
	}
	scoped_lock(&v->lock);
	if (bar == BAR_LEGACY) {
		legacy_write(v, offset, size, value);
	} else if (offset < AT_ISR) {
		common_write(v, (unsigned)offset, (uint32_t)value);
		if (size == 8)
			common_write(v, (unsigned)offset + 4, (uint32_t)(value >> 32));
	} else if (offset >= AT_DEVICE) {
		device_write(v, offset - AT_DEVICE, size, value);
	}
}

/* ---- the configuration access capability: BAR accesses through configuration space ---- */

static bool
window(struct virtio *v, unsigned *bar, uint32_t *offset, uint32_t *len)
{
	const struct pci_dev *d = &v->pci;
	unsigned cap = v->cfg_cap;

	*bar = d->cfg[cap + 4];
	*offset = pci_get32(d, cap + 8);
	*len = pci_get32(d, cap + 12);
	return *bar == BAR_MODERN && (*len == 1 || *len == 2 || *len == 4) &&
	       *offset <= d->bar[BAR_MODERN].size - 4;
}

void
virtio_cfg_read(struct pci_dev *d, unsigned offset, unsigned size)
{
	struct virtio *v = (struct virtio *)d;
	unsigned bar;
	uint32_t at, len;

	if (v->cfg_cap && offset == v->cfg_cap + 16 && window(v, &bar, &at, &len))
		pci_set32(d, offset, (uint32_t)virtio_bar_read(d, bar, at, len));
}

void
virtio_cfg_written(struct pci_dev *d, unsigned offset, unsigned size)
{
	struct virtio *v = (struct virtio *)d;
	unsigned bar;
	uint32_t at, len;

	if (v->cfg_cap && offset == v->cfg_cap + 16 && window(v, &bar, &at, &len))
		virtio_bar_write(d, bar, at, len, pci_get32(d, offset));
}

/* ---- state ---- */

static void
queue_state(struct virtio *v, struct virtq *q, struct state *s)
{
	STATE(s, q->size, q->enabled, q->broken, q->desc_gpa, q->avail_gpa, q->used_gpa,
	      q->last_avail, q->next_used, q->signalled, q->vector);
	if (!state_loading(s))
		return;
	state_require(s, q->size && q->size <= q->max_size && !(q->size & (q->size - 1)),
		      "a queue's size");
	q->vector = valid_vector(v, q->vector);
	q->event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
}

/*
 * The driver that ran here runs there again.  Its doorbells may have rung while
 * nobody listened: each is rung once more, which a driver's device expects anyway.
 */
static void
start_again(struct virtio *v)
{
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtq *q = &v->queue[i];

		if (q->enabled && !q->broken && !virtq_start(q))
			virtio_broken(v);
		if (q->kick_fd >= 0)
			bell_ring(q->kick_fd);
	}
	set_running(v, true);
}

void
virtio_state(struct pci_dev *d, struct state *s)
{
	struct virtio *v = (struct virtio *)d;

	if (!v->ops->state) {
		state_refuse(s, "this device cannot be saved");
		return;
	}
	STATE(s, v->driver_features, v->features_sel, v->driver_features_sel, v->status, v->isr,
	      v->generation, v->queue_sel, v->cfg_vector, v->running);
	state_field(s, "cfg", v->cfg, v->cfg_len);
	state_require(s, !(v->driver_features & ~v->features) || !v->running, "a feature of the driver");
	v->cfg_vector = valid_vector(v, v->cfg_vector);
	for (unsigned i = 0; i < v->n_queues; i++)
		queue_state(v, &v->queue[i], s);
	v->ops->state(v, s);
	if (state_loading(s) && v->running)
		start_again(v);
}

void
virtio_state_none(struct virtio *v, struct state *s)
{
}

static void
add_block(struct virtio *v, uint8_t type, uint32_t offset, uint32_t len)
{
	struct pci_dev *d = &v->pci;
	bool notify_cap = type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	bool access = type == VIRTIO_PCI_CAP_PCI_CFG;
	unsigned body = notify_cap || access ? 18 : 14;
	unsigned cap = pci_add_cap(d, PCI_CAP_ID_VNDR, body);

	d->cfg[cap + 2] = (uint8_t)(body + 2);
	d->cfg[cap + 3] = type;
	d->cfg[cap + 4] = BAR_MODERN;
	pci_set32(d, cap + 8, offset);
	pci_set32(d, cap + 12, len);
	if (notify_cap)
		pci_set32(d, cap + 16, NOTIFY_STRIDE);
	if (access) {
		v->cfg_cap = cap;
		d->wmask[cap + 4] = 0xff;
		memset(&d->wmask[cap + 8], 0xff, 12);
	}
}

static void
add_modern(struct virtio *v)
{
	pci_add_bar(&v->pci, BAR_MODERN, PCI_BAR_MEM32, 4 * BLOCK);
	add_block(v, VIRTIO_PCI_CAP_COMMON_CFG, AT_COMMON, 56);
	add_block(v, VIRTIO_PCI_CAP_ISR_CFG, AT_ISR, 1);
	add_block(v, VIRTIO_PCI_CAP_DEVICE_CFG, AT_DEVICE, BLOCK);
	add_block(v, VIRTIO_PCI_CAP_NOTIFY_CFG, AT_NOTIFY, NOTIFY_STRIDE * v->n_queues);
	add_block(v, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	v->features |= 1ULL << VIRTIO_F_VERSION_1;
}

static void
add_legacy(struct virtio *v)
{
	uint64_t size = 32;

	while (size < VIRTIO_PCI_CONFIG_OFF(1) + v->cfg_len)
		size *= 2;
	pci_add_bar(&v->pci, BAR_LEGACY, PCI_BAR_IO, size);
}

static int
add_queues(struct virtio *v, unsigned size, struct error *err)
{
	v->queue = xcalloc(v->n_queues, sizeof(*v->queue));
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtq *q = &v->queue[i];

		q->mem = &v->pci.vm->mem;
		q->index = i;
		q->max_size = (uint16_t)size;
		q->kick_fd = -1;
		virtq_reset(q);
	}
	for (unsigned i = 0; v->ops->doorbells && i < v->n_queues - v->ops->control_last; i++) {
		int fd;

		TRY(bell_new(&v->queue[i].kick_fd, err));
		fd = v->queue[i].kick_fd;
		if (v->modern)
			pci_add_doorbell(&v->pci, BAR_MODERN, AT_NOTIFY + NOTIFY_STRIDE * i, 0,
					 false, 0, fd);
		if (v->legacy)
			pci_add_doorbell(&v->pci, BAR_LEGACY, VIRTIO_PCI_QUEUE_NOTIFY, 2, true, i,
					 fd);
	}
	return 0;
}

/* Ids below 0x1040 were given out one by one before virtio 1.0. */
static uint16_t
device_id(const struct virtio *v)
{
	static const uint16_t old[] = {
		[VIRTIO_ID_NET] = 0x1000,     [VIRTIO_ID_BLOCK] = 0x1001,
		[VIRTIO_ID_BALLOON] = 0x1002, [VIRTIO_ID_CONSOLE] = 0x1003,
		[VIRTIO_ID_SCSI] = 0x1004,    [VIRTIO_ID_RNG] = 0x1005,
		[VIRTIO_ID_9P] = 0x1009,
	};

	if (v->legacy && v->ops->type < ARRAY_SIZE(old) && old[v->ops->type])
		return old[v->ops->type];
	return 0x1040 + v->ops->type;
}

int
virtio_init(struct virtio *v, const struct virtio_ops *ops, unsigned n_queues, unsigned queue_size,
	    uint64_t features, unsigned cfg_len, struct error *err)
{
	struct config *config = v->pci.vm->config;
	bool msix;

	v->ops = ops;
	v->n_queues = n_queues;
	v->cfg_len = cfg_len;
	v->features = features | 1ULL << VIRTIO_RING_F_EVENT_IDX |
		      1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	v->cfg_vector = VIRTIO_MSI_NO_VECTOR;
	pthread_mutex_init(&v->lock, NULL);
	TRY(config_bool(config, "virtio.legacy", false, &v->legacy, err));
	TRY(config_bool(config, "virtio.modern", true, &v->modern, err));
	TRY(config_bool(config, "virtio_msix", true, &msix, err));
	if (!v->legacy && !v->modern)
		return error_set(err, EINVAL, "virtio.legacy and virtio.modern are both off");
	pci_set_ids(&v->pci, PCI_VENDOR_VIRTIO, device_id(v), ops->pci_class, v->legacy ? 0 : 1);
	pci_set_subsystem(&v->pci, PCI_VENDOR_VIRTIO, v->legacy ? ops->type : 0x1100);
	pci_add_pin(&v->pci);
	if (msix)
		TRY(pci_add_msix(&v->pci, BAR_MSIX, n_queues + 1, err));
	if (v->modern)
		add_modern(v);
	if (v->legacy)
		add_legacy(v);
	return add_queues(v, queue_size, err);
}

void
virtio_done(struct virtio *v)
{
	for (unsigned i = 0; v->queue && i < v->n_queues; i++)
		cleanup_closep(&v->queue[i].kick_fd);
	free(v->queue);
	if (v->ops)
		pthread_mutex_destroy(&v->lock);
}

void
virtio_pci_done(struct pci_dev *d)
{
	virtio_done((struct virtio *)d);
}
