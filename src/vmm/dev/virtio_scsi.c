/*
 * virtio SCSI host adapter: one worker for all queues and targets.  What a
 * command means is backend/scsi.c's; here requests are taken apart, and data
 * moved between the guest's buffers and the targets' files.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_scsi.h>

#include "vmm/backend/scsi.h"
#include "vmm/virtio/disk.h"

enum { MAX_QUEUES = 16, MAX_TARGETS = 16 };
enum { Q_CONTROL, Q_EVENT, Q_REQUEST };

struct request {
	struct vdisk_req r;
	struct scsi_lun *lun;
	uint32_t out_len, in_len; /* of data, without header and response */
	struct iovec resp[8];	  /* where the response goes */
	struct scsi_cmd cmd;
};

struct vscsi {
	struct vdisk disk;
	struct blk *first; /* whose ring serves all */
	struct scsi_lun target[MAX_TARGETS];
	struct virtq_buf buf; /* of the control and event queues */
	unsigned changed;     /* targets whose size the guest is to be told of: a bit each */
};

/* ---- commands ---- */

static void
finish(struct request *r, uint8_t response, uint64_t moved)
{
	struct virtio_scsi_cmd_resp resp = {.response = response, .status = r->cmd.status};
	bool in = r->in_len > 0;

	if (response == VIRTIO_SCSI_S_OK) {
		uint64_t room = in ? r->in_len : r->out_len;

		resp.resid = (uint32_t)(room > moved ? room - moved : 0);
		if (r->cmd.status == SCSI_CHECK_CONDITION) {
			resp.sense_len = SCSI_SENSE_LEN;
			memcpy(resp.sense, r->cmd.sense, SCSI_SENSE_LEN);
		}
	}
	iov_from_buf(r->resp, ARRAY_SIZE(r->resp), 0, &resp, sizeof(resp));
	vdisk_end(&r->r, (uint32_t)(sizeof(resp) + (in ? moved : 0)));
}

static void
io_done(struct blk_req *io, void *arg)
{
	struct request *r = container_of(io, struct request, r.io);

	scsi_finish(r->lun, &r->cmd, io->result);
	finish(r, VIRTIO_SCSI_S_OK, io->result || !io->n_iov ? 0 : io->len);
}

static void
start_io(struct request *r)
{
	const struct scsi_cmd *c = &r->cmd;
	struct virtq_buf *b = &r->r.buf;
	bool write = c->op == BLK_WRITE;

	r->r.io = (struct blk_req){.op = c->op, .offset = c->offset, .len = c->len, .done = io_done};
	if (write || c->op == BLK_READ) {
		unsigned n = write ? b->n_read : b->n_write;

		if (c->len > (write ? r->out_len : r->in_len)) {
			scsi_refuse(r->lun, &r->cmd);
			finish(r, VIRTIO_SCSI_S_OK, 0);
			return;
		}
		r->r.io.iov = iov_cut(write ? b->iov : b->iov + b->n_read, &n,
				      write ? sizeof(struct virtio_scsi_cmd_req)
					    : sizeof(struct virtio_scsi_cmd_resp),
				      c->len);
		r->r.io.n_iov = n;
	}
	blk_submit(r->lun->blk, &r->r.io);
}

/* Keeps where the response goes: start_io() cuts the segments.  False if it is in too many pieces. */
static bool
keep_response(struct request *r)
{
	const struct iovec *v = r->r.buf.iov + r->r.buf.n_read;
	size_t have = 0;

	memset(r->resp, 0, sizeof(r->resp));
	for (unsigned i = 0; i < ARRAY_SIZE(r->resp) && i < r->r.buf.n_write; i++) {
		r->resp[i] = v[i];
		have += v[i].iov_len;
		if (have >= sizeof(struct virtio_scsi_cmd_resp))
			return true;
	}
	return false;
}

/* lun: 1, target, 0x40 and the unit's number; only unit 0 is there. */
static struct scsi_lun *
find_target(struct vscsi *a, const uint8_t lun[8])
{
	unsigned unit = (lun[2] & 0x3fU) << 8 | lun[3];

	if (lun[0] != 1 || lun[1] >= MAX_TARGETS || unit)
		return NULL;
	return a->target[lun[1]].blk ? &a->target[lun[1]] : NULL;
}

static void
start_request(struct vdisk_req *req)
{
	struct request *r = (struct request *)req;
	const struct virtq_buf *b = &req->buf;
	struct virtio_scsi_cmd_req h;
	struct scsi_cmd *c = &r->cmd;
	size_t moved;

	if (b->read_len < sizeof(h) || b->write_len < sizeof(struct virtio_scsi_cmd_resp) ||
	    !keep_response(r)) {
		vdisk_break(req);
		return;
	}
	iov_to_buf(b->iov, b->n_read, 0, &h, sizeof(h));
	r->out_len = b->read_len - (uint32_t)sizeof(h);
	r->in_len = b->write_len - (uint32_t)sizeof(struct virtio_scsi_cmd_resp);
	c->status = SCSI_GOOD;
	r->lun = find_target((struct vscsi *)req->disk, h.lun);
	if (!r->lun) {
		finish(r, VIRTIO_SCSI_S_BAD_TARGET, 0);
		return;
	}
	memcpy(c->cdb, h.cdb, sizeof(c->cdb));
	c->out_len = iov_to_buf(b->iov, b->n_read, sizeof(h), c->out, sizeof(c->out));
	if (scsi_start(r->lun, c) == SCSI_IO) {
		start_io(r);
		return;
	}
	moved = iov_from_buf(b->iov + b->n_read, b->n_write,
			     sizeof(struct virtio_scsi_cmd_resp), c->answer, c->answer_len);
	finish(r, VIRTIO_SCSI_S_OK, moved);
}

/* ---- the control and event queues ---- */

static void
serve_control(struct vscsi *a)
{
	struct virtq *q = &a->disk.v.queue[Q_CONTROL];
	struct virtq_buf *b = &a->buf;

	do {
		virtq_disable_kicks(q);
		while (virtq_pop(q, b) > 0) {
			struct virtio_scsi_ctrl_tmf_req h = {0};
			struct virtio_scsi_ctrl_an_resp an = {.response = VIRTIO_SCSI_S_OK};
			struct virtio_scsi_ctrl_tmf_resp tmf = {
				.response = VIRTIO_SCSI_S_FUNCTION_SUCCEEDED};
			const void *answer = &tmf;
			size_t len = sizeof(tmf);

			iov_to_buf(b->iov, b->n_read, 0, &h, sizeof(h));
			/* Aborting a command is waiting for its end: its buffers are the guest's again. */
			blk_worker_drain(&a->disk.worker);
			if (h.type == VIRTIO_SCSI_T_TMF && !find_target(a, h.lun)) {
				tmf.response = VIRTIO_SCSI_S_BAD_TARGET;
			} else if (h.type != VIRTIO_SCSI_T_TMF) {
				answer = &an;
				len = sizeof(an);
			}
			virtq_answer(q, b, answer, len);
		}
	} while (virtq_enable_kicks(q));
	virtio_flush(&a->disk.v, q);
}

/* Tells of sizes that changed, as far as the driver gave room for it. */
static void
serve_events(struct vscsi *a)
{
	struct virtq *q = &a->disk.v.queue[Q_EVENT];

	for (unsigned i = 0; i < MAX_TARGETS; i++) {
		/* "Capacity data has changed" */
		struct virtio_scsi_event e = {.event = VIRTIO_SCSI_T_PARAM_CHANGE,
					      .lun = {1, (uint8_t)i, 0x40},
					      .reason = 0x2a | 0x09 << 8};

		if (!(__atomic_load_n(&a->changed, __ATOMIC_ACQUIRE) >> i & 1))
			continue;
		if (virtq_pop(q, &a->buf) <= 0)
			break;
		__atomic_fetch_and(&a->changed, ~(1U << i), __ATOMIC_RELEASE);
		virtq_answer(q, &a->buf, &e, sizeof(e));
	}
	virtio_flush(&a->disk.v, q);
}

/* ---- the worker ---- */

static void
serve_all(void *arg)
{
	struct vscsi *a = arg;

	serve_control(a);
	serve_events(a);
	for (unsigned i = Q_REQUEST; i < a->disk.v.n_queues; i++)
		vdisk_serve(&a->disk, &a->disk.v.queue[i]);
}

static const struct blk_worker_ops worker_ops = {"virtio-scsi", serve_all, virtio_flush_all};

static void
vscsi_refresh(struct pci_dev *d)
{
	struct vscsi *a = (struct vscsi *)d;

	for (unsigned i = 0; i < MAX_TARGETS; i++) {
		if (a->target[i].blk && blk_worker_resize(&a->disk.worker, a->target[i].blk))
			__atomic_fetch_or(&a->changed, 1U << i, __ATOMIC_RELEASE);
	}
}

static void
vscsi_state(struct virtio *v, struct state *s)
{
	struct vscsi *a = (struct vscsi *)v;

	STATE(s, a->changed);
	for (unsigned i = 0; i < MAX_TARGETS; i++) {
		STATE(s, a->target[i].sense);
		if (a->target[i].blk)
			blk_state(a->target[i].blk, s);
	}
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_SCSI,
	.pci_class = PCI_CLASS_STORAGE_SCSI,
	.doorbells = true,
	.state = vscsi_state,
};

static int
add_target(struct vscsi *a, struct config *node, struct error *err)
{
	static const char *const types[] = {"hd", "cd", NULL};
	struct scsi_lun *l;
	unsigned type;
	int id;

	if (str_to_int(config_name(node), &id) < 0 || id < 0 || id >= MAX_TARGETS)
		return error_set(err, EINVAL, "target \"%s\": expected 0 to %d", config_name(node),
				 MAX_TARGETS - 1);
	l = &a->target[id];
	TRY(config_enum(node, "type", types, 0, &type, err));
	if (type == 1)
		TRY(config_set(node, "ro", "true", err));
	TRY(blk_open(node, &l->blk, err));
	l->cdrom = type == 1;
	l->model = l->cdrom ? "VIRTIO CD-ROM" : "VIRTIO DISK";
	if (a->first)
		blk_follow(l->blk, a->first);
	else
		a->first = l->blk;
	return 0;
}

static int
vscsi_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct vscsi *a = (struct vscsi *)d;
	struct config *targets = config_find(node, "target");
	struct virtio_scsi_config cfg = {
		.seg_max = VDISK_QUEUE_SIZE - 2, .max_sectors = 0xffff, .cmd_per_lun = VDISK_QUEUE_SIZE,
		.event_info_size = sizeof(struct virtio_scsi_event),
		.sense_size = VIRTIO_SCSI_SENSE_DEFAULT_SIZE, .cdb_size = VIRTIO_SCSI_CDB_DEFAULT_SIZE,
		.max_target = MAX_TARGETS - 1, .max_lun = 0};
	uint64_t queues;

	TRY(config_u64(node, "num_queues", 1, MAX_QUEUES, 1, &queues, err));
	for (struct config *n = NULL; targets && (n = config_next(targets, n));)
		TRY(add_target(a, n, err));
	if (!a->first)
		return error_set(err, EINVAL, "no target; expected target=[ID:]FILE");
	cfg.num_queues = (uint32_t)queues;
	TRY(virtio_init(&a->disk.v, &ops, (unsigned)queues + Q_REQUEST, VDISK_QUEUE_SIZE,
			1ULL << VIRTIO_SCSI_F_CHANGE, sizeof(cfg), err));
	memcpy(a->disk.v.cfg, &cfg, sizeof(cfg));
	return vdisk_start(&a->disk, &worker_ops, a->first, sizeof(struct request), start_request, err);
}

static void
vscsi_done(struct pci_dev *d)
{
	struct vscsi *a = (struct vscsi *)d;

	vdisk_stop(&a->disk);
	for (unsigned i = 0; i < MAX_TARGETS; i++)
		blk_close(a->target[i].blk);
	vdisk_done(&a->disk);
}

static const struct pci_opt opts[] = {
	BLK_PCI_OPTS,
	{"target", "[ID:]FILE", "a disk; its options follow it"},
	{"cd", "[ID:]FILE", "a CD-ROM"},
	{"num_queues", "N", "request queues (1), 16 at most"},
	{"bootindex", "N", "firmware boots from the lowest"},
	{"seg_max", "N", "accepted"}, {"thr_per_q", "N", "accepted"},
	{"ctl_ringsz", "N", "accepted"}, {"evt_ringsz", "N", "accepted"},
	{"req_ringsz", "N", "accepted"},
	{0},
};

/* An option of a disk belongs to the target before it; the others are the adapter's. */
static int
vscsi_parse(struct config *node, const char *text, struct error *err)
{
	static const struct pci_class adapter = {.name = "virtio-scsi", .opts = opts + BLK_N_PCI_OPTS};
	static const struct pci_class disk = {.name = "virtio-scsi", .opts = opts};
	cleanup_strv struct strv words = STRV_INIT;
	struct config *target = NULL;
	unsigned next = 0;
	int r = 0;

	strv_words(&words, text, ",");
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		const char *hd = str_after(words.v[i], "target="), *cd = str_after(words.v[i], "cd=");
		const char *file = hd ? hd : cd;
		int id = (int)next;

		if (!file) {
			bool own = false;

			for (const struct pci_opt *o = adapter.opts; o->name; o++)
				own = own || (strncmp(words.v[i], o->name, strlen(o->name)) == 0 &&
					      words.v[i][strlen(o->name)] == '=');
			r = pci_parse_opts(own || !target ? &adapter : &disk,
					   own || !target ? node : target, words.v[i], err);
			continue;
		}

		cleanup_free char *number = xstrndup(file, strcspn(file, ":"));

		if (file[strlen(number)] == ':' && str_to_int(number, &id) == 0)
			file += strlen(number) + 1;

		cleanup_free char *path = str_printf("target.%d", id);

		next = (unsigned)id + 1;
		if ((r = config_branch(node, path, &target, err)) == 0 &&
		    (r = config_set(target, "type", cd ? "cd" : "hd", err)) == 0)
			r = config_set(target, "path", file, err);
	}
	return r;
}

const struct pci_class pci_class_virtio_scsi = {
	.name = "virtio-scsi",
	.hotplug = true,
	.summary = "SCSI adapter with up to 16 disks and CD-ROMs",
	.opts = opts,
	.parse = vscsi_parse,
	.size = sizeof(struct vscsi),
	.init = vscsi_init,
	.done = vscsi_done,
	.refresh = vscsi_refresh,
	VIRTIO_PCI_HOOKS,
};
