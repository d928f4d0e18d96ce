#define OPENSSL_SUPPRESS_DEPRECATED /* MD5_Init(): EVP would link all of the library */
#include "vmm/backend/blk.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <openssl/md5.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/iov.h"
#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_MAIN, "fadvise64");
SANDBOX_NEEDS(SANDBOX_IO, "io_uring_setup", "io_uring_enter", "io_uring_register", "preadv",
	      "pwritev", "fdatasync", "fallocate", "ioctl", "fcntl", "fstat", "newfstatat");

#define RING_SIZE 256

/* user_data: a request, or an event's number with the lowest bit set. */
#define EVENT_TAG(n) ((uint64_t)(n) << 1 | 1)

struct blk {
	struct blk *leader; /* whose ring it uses; itself, unless it follows another */
	int fd;
	uint8_t *memory; /* instead of a file */
	bool is_device, shared;
	struct blk_info info;
	void *arg;
	struct io_uring ring;
	bool have_ring;
	int event_fd[BLK_MAX_EVENTS];
	uint64_t event_buf[BLK_MAX_EVENTS];
	unsigned n_events;
	unsigned in_flight;
};

/* ---- opening ---- */

static int
read_geometry(struct blk *b, const char *path, struct error *err)
{
	struct stat st;
	unsigned sector = 512, physical = 4096;

	if (fstat(b->fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	b->is_device = S_ISBLK(st.st_mode);
	b->info.size = (uint64_t)st.st_size;
	if (b->is_device) {
		int n;

		if (ioctl(b->fd, BLKGETSIZE64, &b->info.size) < 0)
			return error_set_errno(err, errno, "%s: size", path);
		if (ioctl(b->fd, BLKSSZGET, &n) == 0 && n > 0)
			sector = (unsigned)n;
		if (ioctl(b->fd, BLKPBSZGET, &physical) < 0)
			physical = sector;
	}
	b->info.sector = sector;
	b->info.physical = physical;
	return 0;
}

/* sectorsize=L[/P] */
static int
read_sectorsize(struct blk *b, struct config *node, struct error *err)
{
	const char *s = config_get(node, "sectorsize", NULL);
	cleanup_strv struct strv parts = STRV_INIT;
	uint64_t v[2] = {0, 0};

	if (!s || str_eq(s, "0"))
		return 0;
	strv_split(&parts, s, "/");
	for (size_t i = 0; i < parts.n; i++) {
		if (parts.n > 2 || str_to_u64(parts.v[i], 10, &v[i]) < 0 || v[i] < 512 ||
		    v[i] > 65536 || (v[i] & (v[i] - 1)))
			return error_set(err, EINVAL,
					 "sectorsize: \"%s\" is not LOGICAL[/PHYSICAL], powers of "
					 "two from 512",
					 s);
	}
	b->info.sector = (uint32_t)v[0];
	b->info.physical = (uint32_t)(v[1] ? v[1] : v[0]);
	if (b->info.physical < b->info.sector)
		return error_set(err, EINVAL, "sectorsize: the physical size is the smaller one");
	return 0;
}

static int
open_ram(struct config *node, struct blk **ret, struct error *err)
{
	struct blk *b;
	uint64_t mib;
	void *p;
	int r;

	TRY(config_u64(node, "ram", 1, 1 << 20, 1, &mib, err));
	p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return error_set_errno(err, errno, "ram: %llu MiB", (unsigned long long)mib);
	b = xcalloc(1, sizeof(*b));
	b->leader = b;
	b->fd = -1;
	b->memory = p;
	b->info = (struct blk_info){.size = mib << 20, .sector = 512, .physical = 512, .write_cache = true};
	if ((r = config_bool(node, "ro", false, &b->info.readonly, err)) < 0 ||
	    (r = read_sectorsize(b, node, err)) < 0) {
		blk_close(b);
		return r;
	}
	b->info.discard = !b->info.readonly;
	snprintf(b->info.serial, sizeof(b->info.serial), "%s", config_get(node, "ser", "MEMORY"));
	*ret = b;
	return 0;
}

/* bhyve's: the beginning of the path's MD5 sum, so that a guest that comes from there knows it. */
static void
set_serial(struct blk *b, struct config *node, const char *path)
{
	const char *given = config_get(node, "ser", NULL);
	const char *of = config_get(node, "serpath", path);
	uint8_t h[MD5_DIGEST_LENGTH];
	MD5_CTX md5;

	if (given) {
		snprintf(b->info.serial, sizeof(b->info.serial), "%s", given);
		return;
	}
	MD5_Init(&md5);
	MD5_Update(&md5, of, strlen(of));
	MD5_Final(h, &md5);
	snprintf(b->info.serial, sizeof(b->info.serial), "BHYVE-%02X%02X-%02X%02X-%02X%02X", h[0],
		 h[1], h[2], h[3], h[4], h[5]);
}

int
blk_open(struct config *node, struct blk **ret, struct error *err)
{
	const char *path = config_get(node, "path", NULL);
	struct blk *b;
	bool nocache, direct, sync, ro, nodelete, shared;
	int r, flags;

	if (config_get(node, "ram", NULL))
		return open_ram(node, ret, err);
	if (!path)
		return error_set(err, EINVAL, "no path");
	TRY(config_bool(node, "nocache", false, &nocache, err));
	TRY(config_bool(node, "direct", false, &direct, err));
	TRY(config_bool(node, "sync", false, &sync, err));
	TRY(config_bool(node, "ro", false, &ro, err));
	TRY(config_bool(node, "shared", false, &shared, err));
	TRY(config_bool(node, "nodelete", false, &nodelete, err));
	flags = (ro ? O_RDONLY : O_RDWR) | (nocache || direct ? O_DIRECT : 0) |
		 (sync ? O_DSYNC : 0);
	b = xcalloc(1, sizeof(*b));
	b->leader = b;
	b->fd = -1;
	r = file_open(path, flags, &b->fd, err);
	if (r == 0)
		r = read_geometry(b, path, err);
	if (r == 0)
		r = read_sectorsize(b, node, err);
	if (r < 0) {
		blk_close(b);
		return r;
	}
	b->info.readonly = ro;
	b->shared = shared;
	b->info.discard = !ro && !nodelete;
	b->info.write_cache = !sync;
	set_serial(b, node, path);
	*ret = b;
	return 0;
}

/*
 * Another node reads the disk itself: what the host kept of it in memory is written out here and
 * forgotten there.  A disk in memory goes along.
 */
void
blk_state(struct blk *b, struct state *s)
{
	if (b->memory && b->info.size <= 32 << 20)
		state_field(s, "disk", b->memory, b->info.size);
	else if (b->memory)
		state_refuse(s, "a disk in memory of more than 32M");
	else if (b->fd >= 0 && s->moving && !b->shared && !b->info.readonly)
		state_refuse(s, "its disk is this node's own (shared says that the other has it too)");
	else if (b->fd >= 0 && !s->loading && !b->info.readonly && fdatasync(b->fd) < 0)
		state_refuse(s, "its disk cannot be written: %m");
	else if (b->fd >= 0 && s->loading)
		(void)posix_fadvise(b->fd, 0, 0, POSIX_FADV_DONTNEED); /* advice */
}

void
blk_close(struct blk *b)
{
	if (!b)
		return;
	if (b->have_ring)
		io_uring_queue_exit(&b->ring);
	if (b->memory)
		munmap(b->memory, b->info.size);
	cleanup_closep(&b->fd);
	free(b);
}

const struct blk_info *
blk_info(const struct blk *b)
{
	return &b->info;
}

bool
blk_resize(struct blk *b)
{
	uint64_t old = b->info.size;
	struct stat st;

	if (b->memory)
		return false;
	if (b->is_device ? ioctl(b->fd, BLKGETSIZE64, &b->info.size) < 0 : fstat(b->fd, &st) < 0)
		return false;
	if (!b->is_device)
		b->info.size = (uint64_t)st.st_size;
	return b->info.size != old;
}

/* ---- one request at a time ---- */

static int
memory_io(struct blk *b, const struct blk_req *req)
{
	uint8_t *at = b->memory + req->offset;

	if (req->op == BLK_DISCARD || req->op == BLK_ZEROES)
		memset(at, 0, req->len);
	else if (req->op == BLK_READ)
		iov_from_buf(req->iov, req->n_iov, 0, at, req->len);
	else if (req->op == BLK_WRITE)
		iov_to_buf(req->iov, req->n_iov, 0, at, req->len);
	return 0;
}

static int
deallocate(struct blk *b, const struct blk_req *req)
{
	uint64_t range[2] = {req->offset, req->len};
	int mode = req->op == BLK_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	int r;

	if (b->is_device)
		r = ioctl(b->fd, req->op == BLK_DISCARD ? BLKDISCARD : BLKZEROOUT, range);
	else
		r = fallocate(b->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)req->offset,
			      (off_t)req->len);
	/* A discard is advice: a host that cannot follow it loses nothing. */
	if (r < 0 && req->op == BLK_DISCARD && (errno == EOPNOTSUPP || errno == ENOTTY))
		return 0;
	return r < 0 ? -errno : 0;
}

static int
now(struct blk *b, const struct blk_req *req)
{
	ssize_t n = -1;

	if (b->memory)
		return memory_io(b, req);
	switch (req->op) {
	case BLK_READ:
		n = preadv(b->fd, req->iov, (int)req->n_iov, (off_t)req->offset);
		break;
	case BLK_WRITE:
		n = pwritev(b->fd, req->iov, (int)req->n_iov, (off_t)req->offset);
		break;
	case BLK_FLUSH:
		return fdatasync(b->fd) < 0 ? -errno : 0;
	case BLK_DISCARD:
	case BLK_ZEROES:
		return deallocate(b, req);
	}
	return n < 0 ? -errno : (uint64_t)n == req->len ? 0 : -EIO;
}

/* ---- the ring ---- */

static struct io_uring_sqe *
get_sqe(struct blk *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	while (!sqe) {
		io_uring_submit(&b->ring);
		sqe = io_uring_get_sqe(&b->ring);
	}
	return sqe;
}

static void
watch(struct blk *b, unsigned n)
{
	struct io_uring_sqe *sqe = get_sqe(b);

	io_uring_prep_read(sqe, b->event_fd[n], &b->event_buf[n], sizeof(b->event_buf[n]), 0);
	sqe->user_data = EVENT_TAG(n);
}

int
blk_attach(struct blk *b, const int *event_fds, unsigned n, void *arg, struct error *err)
{
	b->arg = arg;
	b->n_events = n;
	memcpy(b->event_fd, event_fds, n * sizeof(*event_fds));
	if (b->memory || io_uring_queue_init(RING_SIZE, &b->ring, IORING_SETUP_CLAMP) < 0)
		return 0; /* without a ring: poll(2), and requests one by one */
	b->have_ring = true;
	for (unsigned i = 0; i < n; i++) {
		int flags = fcntl(event_fds[i], F_GETFL);

		/* A read in the ring waits only where the descriptor would block. */
		if (flags < 0 || fcntl(event_fds[i], F_SETFL, flags & ~O_NONBLOCK) < 0)
			return error_set_errno(err, errno, "eventfd");
		watch(b, i);
	}
	return 0;
}

void
blk_follow(struct blk *b, struct blk *leader)
{
	b->leader = leader;
}

void
blk_submit(struct blk *b, struct blk_req *req)
{
	struct blk *leader = b->leader;
	struct io_uring_sqe *sqe;

	req->blk = b;
	if (!leader->have_ring || b->memory || req->op == BLK_ZEROES || (req->op == BLK_DISCARD && b->is_device)) {
		req->result = now(b, req);
		req->done(req, leader->arg);
		return;
	}
	sqe = get_sqe(leader);
	switch (req->op) {
	case BLK_READ:
		io_uring_prep_readv(sqe, b->fd, req->iov, req->n_iov, req->offset);
		break;
	case BLK_WRITE:
		io_uring_prep_writev(sqe, b->fd, req->iov, req->n_iov, req->offset);
		break;
	case BLK_FLUSH:
		io_uring_prep_fsync(sqe, b->fd, IORING_FSYNC_DATASYNC);
		break;
	case BLK_DISCARD:
	case BLK_ZEROES:
		io_uring_prep_fallocate(sqe, b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					req->offset, req->len);
		break;
	}
	io_uring_sqe_set_data(sqe, req);
	leader->in_flight++;
}

static void
complete(struct blk *b, const struct io_uring_cqe *cqe, uint64_t *events)
{
	struct blk_req *req;

	if (cqe->user_data & 1) {
		unsigned n = (unsigned)(cqe->user_data >> 1);

		*events |= 1ULL << n;
		watch(b, n);
		return;
	}
	req = (struct blk_req *)(uintptr_t)cqe->user_data;
	b->in_flight--;
	req->result = cqe->res < 0 ? cqe->res : 0;
	/* A short transfer is rare (a file's end, a signal): finish it the slow way. */
	if (cqe->res >= 0 && (req->op == BLK_READ || req->op == BLK_WRITE) &&
	    (uint64_t)cqe->res != req->len)
		req->result = now(req->blk, req);
	if (req->op == BLK_DISCARD && cqe->res == -EOPNOTSUPP)
		req->result = 0;
	req->done(req, b->arg);
}

static int
poll_events(struct blk *b, bool wait, uint64_t *ret_events)
{
	struct pollfd p[BLK_MAX_EVENTS];
	uint64_t events = 0;

	for (unsigned i = 0; i < b->n_events; i++)
		p[i] = (struct pollfd){.fd = b->event_fd[i], .events = POLLIN};
	if (poll(p, b->n_events, wait ? -1 : 0) < 0 && errno != EINTR)
		return -errno;
	for (unsigned i = 0; i < b->n_events; i++) {
		if ((p[i].revents & POLLIN) &&
		    read(b->event_fd[i], &b->event_buf[i], 8) == 8)
			events |= 1ULL << i;
	}
	*ret_events = events;
	return 0;
}

int
blk_poll(struct blk *b, bool wait, uint64_t *ret_events)
{
	struct io_uring_cqe *cqe;
	uint64_t events = 0;
	unsigned head, n = 0;
	int r;

	if (!b->have_ring)
		return poll_events(b, wait, ret_events);
	r = io_uring_submit_and_wait(&b->ring, wait ? 1 : 0);
	if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
		return r;
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		complete(b, cqe, &events);
		n++;
	}
	io_uring_cq_advance(&b->ring, n);
	*ret_events = events;
	return 0;
}

unsigned
blk_in_flight(const struct blk *b)
{
	return b->in_flight;
}
