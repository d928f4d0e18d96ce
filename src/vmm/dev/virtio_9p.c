/*
 * virtio 9P: a directory of the host's in the guest (Linux: mount -t 9p).  What a request means is
 * os/p9.c's; here it is copied out of the ring, and answered in order by one worker.
 *
 * The guest's fids are descriptors here, which cannot move: a machine with a share refuses
 * snapshots and migration.
 */
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <sys/resource.h>

#include "os/p9.h"
#include "vmm/virtio/virtio.h"

SANDBOX_NEEDS(SANDBOX_FILES, "poll", "read", "ioctl");
/* What serving files takes (os/p9.c). */
SANDBOX_NEEDS(SANDBOX_FILES, "openat2", "openat", "dup", "fcntl", "fstat",
	      "newfstatat", "fstatfs", "lseek", "getdents64", "pread64", "pwrite64", "ftruncate",
	      "fsync", "fdatasync", "fchmodat", "fchownat", "utimensat", "mkdirat", "mknodat",
	      "symlinkat", "linkat", "unlinkat", "renameat", "renameat2", "readlinkat");

#define QUEUE_SIZE 128 /* Linux' driver uses that many at once */
#define TAG_MAX 31

struct share {
	struct virtio v;
	struct worker worker;
	struct p9 *p9;
	struct virtq_buf buf;
};

static void
serve(struct share *s)
{
	struct virtq *q = &s->v.queue[0];

	while (virtq_pop(q, &s->buf) > 0) {
		const uint8_t *answer;
		size_t len = iov_to_buf(s->buf.iov, s->buf.n_read, 0, p9_request(s->p9), P9_MESSAGE_MAX);
		size_t n = p9_answer(s->p9, len, s->buf.write_len, &answer);

		if (n)
			iov_from_buf(s->buf.iov + s->buf.n_read, s->buf.n_write, 0, answer, n);
		virtq_push(q, s->buf.head, (uint32_t)n);
	}
	virtio_flush(&s->v, q);
	if (q->broken)
		virtio_broken(&s->v);
}

static void *
work(void *arg)
{
	struct share *s = arg;

	while (worker_obey(&s->worker)) {
		serve(s);
		worker_wait(&s->worker, &s->v.queue[0].kick_fd, 1, 1, -1);
	}
	return NULL;
}

static void
v9p_start(struct virtio *v)
{
	worker_run(&((struct share *)v)->worker);
}

static void
v9p_stop(struct virtio *v)
{
	struct share *s = (struct share *)v;

	worker_stop(&s->worker);
	p9_reset(s->p9);
}

static void
drain(void *arg)
{
}

static const struct virtio_ops ops = {
	.type = VIRTIO_ID_9P,
	.pci_class = PCI_CLASS_OTHER,
	.doorbells = true,
	.start = v9p_start,
	.stop = v9p_stop,
};

/* A fid is one or two descriptors. */
static void
allow_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < 2 * P9_MAX_FIDS + 256) {
		l.rlim_cur = l.rlim_max < 2 * P9_MAX_FIDS + 256 ? l.rlim_max : 2 * P9_MAX_FIDS + 256;
		setrlimit(RLIMIT_NOFILE, &l); /* with fewer, the guest's ENFILE comes earlier */
	}
}

static int
v9p_init(struct pci_dev *d, struct config *node, struct error *err)
{
	struct share *s = (struct share *)d;
	const char *tag = config_get(node, "sharename", NULL), *path = config_get(node, "path", NULL);
	size_t len = tag ? strlen(tag) : 0;
	bool ro;

	TRY(worker_init(&s->worker, drain, s, err));
	s->worker.kind = SANDBOX_FILES;
	if (!len || len > TAG_MAX || !path)
		return error_set(err, EINVAL, "expected NAME=DIRECTORY, with at most %d characters "
				 "in the name the guest mounts", TAG_MAX);
	TRY(config_bool(node, "ro", false, &ro, err));
	TRY(p9_open(path, ro, &s->p9, err));
	allow_files();
	TRY(virtio_init(&s->v, &ops, 1, QUEUE_SIZE, 1ULL << VIRTIO_9P_MOUNT_TAG, (unsigned)len + 2,
			err));
	s->v.cfg[0] = (uint8_t)len;
	memcpy(s->v.cfg + 2, tag, len);
	return worker_start(&s->worker, d->vm, "virtio-9p", work, err);
}

static void
v9p_done(struct pci_dev *d)
{
	struct share *s = (struct share *)d;

	worker_done(&s->worker);
	p9_free(s->p9);
	virtio_done(&s->v);
}

static const struct pci_opt opts[] = {
	{"sharename", "NAME", "what the guest mounts; usually said as NAME=DIRECTORY"},
	{"path", "DIRECTORY", "what is shared"},
	{"ro", NULL, "read only"},
	{0},
};

/* sharename=/path[,ro]: the first word's key is the name. */
static int
v9p_parse(struct config *node, const char *text, struct error *err)
{
	static const struct pci_class plain = {.name = "virtio-9p", .opts = opts};
	cleanup_free char *first = xstrndup(text, strcspn(text, ","));
	char *path = strchr(first, '=');
	int r = 0;

	if (path && !str_after(first, "sharename=") && !str_after(first, "path=")) {
		*path++ = '\0';
		TRY(config_set(node, "sharename", first, err));
		TRY(config_set(node, "path", path, err));
		text += strcspn(text, ",");
		text += *text == ',';
	}
	return r < 0 || !*text ? r : pci_parse_opts(&plain, node, text, err);
}

const struct pci_class pci_class_virtio_9p = {
	.name = "virtio-9p",
	.hotplug = true,
	.summary = "a directory of the host's (9P2000.L)",
	.opts = opts,
	.parse = v9p_parse,
	.size = sizeof(struct share),
	.init = v9p_init,
	.done = v9p_done,
	VIRTIO_PCI_HOOKS,
};
