/*
 * virtio network device.
 *
 * With vhost the data queues are the kernel's from DRIVER_OK to reset: our part
 * is handing it ring addresses, doorbells and interrupt eventfds.  Without, one
 * worker thread moves frames.  The control queue is ours in both cases and is
 * served in the vcpu that rings it.
 */
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>

#include "vmm/backend/net.h"
#include "vmm/virtio/virtio.h"

#define QUEUE_SIZE 256
#define FRAME_MAX 65562 /* a 64 KiB segment with its headers */

#define BIT(n) (1ULL << (n))
#define OFFLOADS                                                                                  \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |   \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |                             \
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | \
	 BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))

struct vnet {
	struct virtio v;
	struct net net;
	unsigned n_pairs, used_pairs;
	unsigned hdr_len;
	bool vhost, paused, moved; /* moved: loaded, and not resumed since */
	uint64_t offloads; /* VIRTIO_NET_F_GUEST_*, as the guest asked for last */
	/* Interrupts of vhost when the guest uses no MSI-X. */
	int call_fd[2 * NET_MAX_PAIRS];
	struct event_source *call_src[2 * NET_MAX_PAIRS];
	struct virtq_buf control;
	struct worker worker;
	bool stalled[NET_MAX_PAIRS]; /* the driver has no room: its doorbell is waited for */
	struct virtq_buf buf;
	uint8_t frame[FRAME_MAX];
};

/* ---- vhost ---- */

static int
vhost_memory(struct vnet *n, int fd)
{
	const struct mem *m = &n->v.pci.vm->mem;
	cleanup_free struct vhost_memory *t =
		xcalloc(1, sizeof(*t) + MEM_RAM_SLOTS * sizeof(t->regions[0]));

	for (unsigned i = 0; i < MEM_RAM_SLOTS; i++) {
		const struct mem_region *r = &m->slot[i];

		if (r->size)
			t->regions[t->nregions++] = (struct vhost_memory_region){
				.guest_phys_addr = r->gpa,
				.memory_size = r->size,
				.userspace_addr = (uintptr_t)r->hva};
	}
	return ioctl(fd, VHOST_SET_MEM_TABLE, t);
}

static int
vhost_queue(struct vnet *n, int fd, unsigned index, struct virtq *q)
{
	struct vhost_vring_state num = {index, q->size}, base = {index, q->last_avail};
	struct vhost_vring_addr addr = {.index = index,
					.desc_user_addr = (uintptr_t)q->desc,
					.avail_user_addr = (uintptr_t)q->avail,
					.used_user_addr = (uintptr_t)q->used,
					.log_guest_addr = q->used_gpa};
	struct vhost_vring_file kick = {index, q->kick_fd}, call = {index, n->call_fd[q->index]};

	if (pci_msix_enabled(&n->v.pci) && q->vector != VIRTIO_MSI_NO_VECTOR &&
	    pci_msix_fd(&n->v.pci, q->vector, &call.fd, NULL) < 0)
		return -1;
	if (ioctl(fd, VHOST_SET_VRING_NUM, &num) < 0 || ioctl(fd, VHOST_SET_VRING_BASE, &base) < 0 ||
	    ioctl(fd, VHOST_SET_VRING_ADDR, &addr) < 0 || ioctl(fd, VHOST_SET_VRING_KICK, &kick) < 0)
		return -1;
	return ioctl(fd, VHOST_SET_VRING_CALL, &call);
}

static void
vhost_backend(struct vnet *n, unsigned pair, bool on)
{
	for (unsigned i = 0; i < 2; i++) {
		struct vhost_vring_file f = {i, on ? n->net.fd[pair] : -1};
		struct virtq *q = &n->v.queue[2 * pair + i];
		struct vhost_vring_state base = {i, 0};

		if (!q->desc)
			continue;
		if (ioctl(n->net.vhost[pair], VHOST_NET_SET_BACKEND, &f) < 0 && on)
			virtio_broken(&n->v);
		/* Where it stopped, for a pause that goes on later. */
		if (!on && ioctl(n->net.vhost[pair], VHOST_GET_VRING_BASE, &base) == 0)
			q->last_avail = (uint16_t)base.num;
	}
}

static void
vhost_start(struct vnet *n)
{
	for (unsigned p = 0; p < n->n_pairs; p++) {
		int fd = n->net.vhost[p];
		/* The ring's features are vhost's; the NIC's were told to the interface. */
		uint64_t features = n->v.driver_features &
				    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |
				     BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_NET_F_MRG_RXBUF));
		bool ok = n->v.queue[2 * p].desc && n->v.queue[2 * p + 1].desc;

		if (!ok)
			continue;
		ok = ioctl(fd, VHOST_SET_FEATURES, &features) == 0 && vhost_memory(n, fd) == 0 &&
		     vhost_queue(n, fd, 0, &n->v.queue[2 * p]) == 0 &&
		     vhost_queue(n, fd, 1, &n->v.queue[2 * p + 1]) == 0;
		if (ok)
			vhost_backend(n, p, true);
		else
			virtio_broken(&n->v);
	}
}

static void
vhost_stop(struct vnet *n)
{
	for (unsigned p = 0; p < n->n_pairs; p++)
		vhost_backend(n, p, false);
}

/* Main thread: vhost called, and the guest has pins instead of messages. */
static void
on_call(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct vnet *n = arg;

	(void)bell_hush(fd);
	__atomic_fetch_or(&n->v.isr, 1, __ATOMIC_SEQ_CST);
	pci_irq_level(&n->v.pci, true);
}

/* ---- our own data path ---- */

static void
transmit(struct vnet *n, unsigned pair)
{
	struct virtq *q = &n->v.queue[2 * pair + 1];
	size_t skip = n->net.vnet_hdr ? 0 : n->hdr_len;

	do {
		virtq_disable_kicks(q);
		while (virtq_pop(q, &n->buf) > 0) {
			size_t len = iov_to_buf(n->buf.iov, n->buf.n_read, skip, n->frame,
						sizeof(n->frame));

			/* A frame the host cannot take now is dropped, as on a wire. */
			if (len)
				(void)!write(n->net.fd[pair], n->frame, len);
			virtq_push(q, n->buf.head, 0);
		}
	} while (virtq_enable_kicks(q));
	virtio_flush(&n->v, q);
}

/*
 * One frame into as many buffers as it takes (mergeable) or into one.  False
 * if the guest has none now.
 */
static bool
deliver(struct vnet *n, struct virtq *q, const uint8_t *frame, size_t len)
{
	bool merge = virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t *count_at = NULL;
	uint16_t count = 0;
	size_t done = 0;
	struct {
		uint16_t head;
		uint32_t len;
	} used[64];

	while (done < len && count < ARRAY_SIZE(used) && (merge || count == 0)) {
		if (virtq_pop(q, &n->buf) <= 0)
			break;
		/* The header's last field says how many buffers; it lies in the first one. */
		if (count == 0 && n->hdr_len == 12 && n->buf.n_write &&
		    n->buf.iov[n->buf.n_read].iov_len >= 12)
			count_at = (uint8_t *)n->buf.iov[n->buf.n_read].iov_base + 10;

		size_t part = iov_from_buf(n->buf.iov + n->buf.n_read, n->buf.n_write, 0,
					   frame + done, len - done);

		used[count].head = n->buf.head;
		used[count++].len = (uint32_t)part;
		done += part;
		if (part == 0)
			break;
	}
	if (done < len) {
		/* Not enough room: give everything back, drop or keep the frame. */
		for (unsigned i = 0; i < count; i++)
			virtq_unpop(q);
		return merge ? false : count > 0;
	}
	if (count_at)
		memcpy(count_at, &count, sizeof(count));
	for (unsigned i = 0; i < count; i++)
		virtq_push(q, used[i].head, used[i].len);
	return true;
}

static void
receive(struct vnet *n, unsigned pair)
{
	struct virtq *q = &n->v.queue[2 * pair];
	size_t skip = n->net.vnet_hdr ? 0 : n->hdr_len;

	for (unsigned i = 0; i < 64; i++) {
		ssize_t len;

		/* Look first: a frame taken off the wire must have somewhere to go. */
		if (virtq_pop(q, &n->buf) <= 0) {
			if (virtq_enable_kicks(q))
				continue;
			n->stalled[pair] = true;
			break;
		}
		virtq_unpop(q);
		len = read(n->net.fd[pair], n->frame + skip, sizeof(n->frame) - skip);
		if (len <= 0)
			break;
		memset(n->frame, 0, skip);
		if (!deliver(n, q, n->frame, skip + (size_t)len)) {
			n->stalled[pair] = true;
			break;
		}
	}
	virtio_flush(&n->v, q);
}

/* One thread for all pairs: vhost-net is there for those who want more. */
static void *
work(void *arg)
{
	struct vnet *n = arg;
	unsigned kicks = 2 * n->n_pairs, ready;
	int fds[3 * NET_MAX_PAIRS];

	while (worker_obey(&n->worker)) {
		for (unsigned i = 0; i < kicks; i++) {
			if (i % 2)
				transmit(n, i / 2);
			if (n->v.queue[i].broken)
				virtio_broken(&n->v);
			fds[i] = n->v.queue[i].kick_fd;
		}
		for (unsigned p = 0; p < n->n_pairs; p++)
			fds[kicks + p] = n->stalled[p] ? -1 : n->net.fd[p];
		ready = worker_wait(&n->worker, fds, kicks + n->n_pairs, kicks, -1);
		for (unsigned p = 0; p < n->n_pairs; p++) {
			n->stalled[p] = n->stalled[p] && !(ready >> (2 * p) & 1);
			if (ready >> (kicks + p) & 1)
				receive(n, p);
		}
	}
	return NULL;
}

/* ---- the control queue ---- */

static unsigned
tun_offloads(uint64_t features)
{
	unsigned f = (features & BIT(VIRTIO_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0) |
		     (features & BIT(VIRTIO_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0) |
		     (features & BIT(VIRTIO_NET_F_GUEST_ECN) ? TUN_F_TSO_ECN : 0);

	return features & BIT(VIRTIO_NET_F_GUEST_CSUM) ? TUN_F_CSUM | f : 0;
}

static bool
control(struct vnet *n, const struct virtio_net_ctrl_hdr *h, const uint8_t *data, size_t len)
{
	uint64_t offloads;

	switch (h->class) {
	case VIRTIO_NET_CTRL_RX:
	case VIRTIO_NET_CTRL_VLAN:
		/* Filtering is the interface's business; the guest may ask for what it likes. */
		return true;
	case VIRTIO_NET_CTRL_MAC:
		if (h->cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET && len == 6)
			memcpy(n->v.cfg, data, 6);
		return true;
	case VIRTIO_NET_CTRL_MQ:
		if (h->cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || len != 2 || get_le16(data) < 1 ||
		    get_le16(data) > n->n_pairs)
			return false;
		n->used_pairs = get_le16(data);
		return net_use_pairs(&n->net, n->used_pairs, NULL) == 0;
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		if (h->cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || len != 8)
			return false;
		memcpy(&offloads, data, 8);
		if ((offloads & ~n->v.driver_features) ||
		    net_configure(&n->net, n->hdr_len, tun_offloads(offloads), NULL) < 0)
			return false;
		n->offloads = offloads;
		return true;
	}
	return false;
}

static void
vnet_notify(struct virtio *v, unsigned queue)
{
	struct vnet *n = (struct vnet *)v;
	struct virtq *q = &v->queue[v->n_queues - 1];
	struct virtq_buf *b = &n->control;
	struct virtio_net_ctrl_hdr h;
	uint8_t data[256], ack;

	while (virtq_pop(q, b) > 0) {
		size_t len = 0;

		ack = VIRTIO_NET_ERR;
		if (iov_to_buf(b->iov, b->n_read, 0, &h, sizeof(h)) == sizeof(h)) {
			len = iov_to_buf(b->iov, b->n_read, sizeof(h), data, sizeof(data));
			if (control(n, &h, data, len))
				ack = VIRTIO_NET_OK;
		}
		virtq_answer(q, b, &ack, 1);
	}
	virtio_flush(v, q);
}

/* ---- life ---- */

static void
vnet_start(struct virtio *v)
{
	struct vnet *n = (struct vnet *)v;

	n->hdr_len = virtio_has(v, VIRTIO_NET_F_MRG_RXBUF) || virtio_has(v, VIRTIO_F_VERSION_1)
			     ? 12
			     : 10;
	/* A driver begins with one pair, and says when it looks after more. */
	if (!n->moved) {
		n->offloads = v->driver_features;
		n->used_pairs = 1;
	}
	memset(n->stalled, 0, sizeof(n->stalled));
	if (net_configure(&n->net, n->hdr_len, tun_offloads(n->offloads), NULL) < 0 ||
	    net_use_pairs(&n->net, n->used_pairs, NULL) < 0)
		virtio_broken(v);
	/* A machine that is loaded starts its devices and is paused. */
	if (!n->vhost)
		worker_run(&n->worker);
	else if (!n->paused)
		vhost_start(n);
}

static void
vnet_stop(struct virtio *v)
{
	struct vnet *n = (struct vnet *)v;

	if (n->vhost)
		vhost_stop(n);
	else
		worker_stop(&n->worker);
}

static void
vnet_pause(void *arg)
{
	struct vnet *n = arg;

	n->paused = true;
	if (!n->vhost)
		worker_pause(&n->worker);
	else if (n->v.running)
		vhost_stop(n);
}

static void
vnet_resume(void *arg)
{
	struct vnet *n = arg;

	n->paused = n->moved = false;
	if (!n->vhost)
		worker_resume(&n->worker);
	else if (n->v.running)
		vhost_start(n);
}

static void
vnet_state(struct virtio *v, struct state *s)
{
	struct vnet *n = (struct vnet *)v;
	uint64_t offloads = n->offloads;
	unsigned used_pairs = n->used_pairs;

	STATE(s, offloads, used_pairs);
	if (!state_require(s, !(offloads & ~v->features), "an offload") ||
	    !state_require(s, used_pairs <= n->n_pairs, "the number of queue pairs"))
		return;
	n->offloads = offloads;
	n->used_pairs = used_pairs;
	n->moved = state_loading(s);
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_NET,
	.pci_class = PCI_CLASS_NETWORK,
	.doorbells = true,
	.control_last = true,
	.start = vnet_start,
	.stop = vnet_stop,
	.notify = vnet_notify,
	.state = vnet_state,
};

static int
start_vhost(struct vnet *n, struct error *err)
{
	struct event_loop *loop = n->v.pci.vm->loop;
	int r = 0;

	for (unsigned i = 0; i < n->n_pairs; i++) {
		if (ioctl(n->net.vhost[i], VHOST_SET_OWNER) < 0)
			return error_set_errno(err, errno, "vhost-net");
	}
	for (unsigned i = 0; r == 0 && i < 2 * n->n_pairs; i++) {
		r = bell_new(&n->call_fd[i], err);
		if (r == 0 && loop)
			r = event_add_fd(loop, n->call_fd[i], EPOLLIN, on_call, n, &n->call_src[i],
					 err);
	}
	return r;
}

static int
vnet_init(struct pci_dev *p, struct config *node, struct error *err)
{
	struct vnet *n = (struct vnet *)p;
	struct virtio_net_config cfg = {.status = VIRTIO_NET_S_LINK_UP};
	uint64_t pairs, mtu, qsize;
	uint64_t features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
			    BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) |
			    BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	int r;

	for (unsigned i = 0; i < ARRAY_SIZE(n->call_fd); i++)
		n->call_fd[i] = -1;
	TRY(worker_init(&n->worker, NULL, n, err));
	TRY(config_u64(node, "qpair", 1, NET_MAX_PAIRS, 1, &pairs, err));
	TRY(config_u64(node, "mtu", 68, 65535, 0, &mtu, err));
	TRY(config_u64(node, "vqsize", 32, VIRTQ_MAX_SIZE, QUEUE_SIZE, &qsize, err));
	TRY(net_open(p->vm->loop, node, (unsigned)pairs, &n->net, err));
	TRY(net_choose_mac(&n->net, p, node, cfg.mac, err));
	if (qsize & (qsize - 1))
		return error_set(err, EINVAL, "vqsize: a ring's size is a power of two");
	n->n_pairs = (unsigned)pairs;
	n->vhost = n->net.vhost[n->n_pairs - 1] >= 0;
	features |= n->net.vnet_hdr ? OFFLOADS : 0;
	features |= n->n_pairs > 1 ? BIT(VIRTIO_NET_F_MQ) : 0;
	features |= mtu ? BIT(VIRTIO_NET_F_MTU) : 0;
	cfg.max_virtqueue_pairs = (uint16_t)n->n_pairs;
	cfg.mtu = (uint16_t)mtu;
	r = virtio_init(&n->v, &ops, 2 * n->n_pairs + 1, (unsigned)qsize, features, sizeof(cfg), err);
	if (r == 0 && n->vhost)
		r = start_vhost(n, err);
	if (r < 0)
		return r;
	memcpy(n->v.cfg, &cfg, sizeof(cfg));
	vm_add_part(p->vm, &(struct vm_part){.name = "virtio-net", .pause = vnet_pause,
					     .resume = vnet_resume, .arg = n});
	return n->vhost ? 0 : worker_spawn(&n->worker, work, err);
}

static void
vnet_done(struct pci_dev *p)
{
	struct vnet *n = (struct vnet *)p;

	worker_done(&n->worker);
	for (unsigned i = 0; i < ARRAY_SIZE(n->call_fd); i++) {
		event_source_free(n->call_src[i]);
		cleanup_closep(&n->call_fd[i]);
	}
	net_close(&n->net);
	virtio_done(&n->v);
}

/* Keys of illumos' viona that have no meaning here are taken, so that its command lines work. */
static const struct pci_opt opts[] = {
	NET_PCI_OPTS,
	{"vnic", "INTERFACE", "the same, as viona calls it"},
	{"mtu", "N", "told to the guest"},
	{"qpair", "N", "queue pairs (1), 8 at most"},
	{"vqsize", "N", "ring size (256)"},
	{"vhost", "true|false", "let the kernel move the frames (true)"},
	{"speed", "MBIT", "accepted"},
	{"feature_mask", "BITS", "accepted"},
	{"txvqsize", "N", "accepted"},
	{"rxvqsize", "N", "accepted"},
	{"promiscphys", "BOOL", "accepted"},
	{"promiscsap", "BOOL", "accepted"},
	{"promiscmulti", "BOOL", "accepted"},
	{"promiscrxonly", "BOOL", "accepted"},
	{0},
};

static int
viona_init(struct pci_dev *p, struct config *node, struct error *err)
{
	const char *vnic = config_get(node, "vnic", NULL);
	int r = vnic ? config_set(node, "backend", vnic, err) : 0;

	return r < 0 ? r : vnet_init(p, node, err);
}

const struct pci_class pci_class_virtio_net = {
	.name = "virtio-net",
	.hotplug = true,
	.summary = "network interface on a tap, macvtap or socket",
	.main_opt = "backend",
	.opts = opts,
	.size = sizeof(struct vnet),
	.init = vnet_init,
	.done = vnet_done,
	VIRTIO_PCI_HOOKS,
};

const struct pci_class pci_class_virtio_net_viona = {
	.name = "virtio-net-viona",
	.hotplug = true,
	.summary = "the same under the name illumos' kernel back end has",
	.main_opt = "vnic",
	.opts = opts,
	.size = sizeof(struct vnet),
	.init = viona_init,
	.done = vnet_done,
	VIRTIO_PCI_HOOKS,
};
