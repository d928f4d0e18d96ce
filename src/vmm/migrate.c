/*
 * Live migration, sender and receiver.
 *
 *	sender				receiver
 *	HELLO version, memory size  ->
 *	PAGES, ZERO ...		    ->	(the guest runs at the sender)
 *	-- the sender pauses its guest --
 *	PAGES, ZERO ...		    ->
 *	DEVICES			    ->	loads them (state.h)
 *				    <-	READY, or FAIL with a message
 *	GO			    ->	the guest is the receiver's now
 *				    <-	RUNNING
 *
 * Until GO is sent every failure (the peer dies, says FAIL, or is silent for
 * ten seconds; the operator cancels) means: the guest goes on here, the
 * receiver ends.  The receiver starts the guest only after GO.  If RUNNING
 * does not come, nobody can know whether GO arrived: the sender stays paused
 * and says so, because a guest that runs twice destroys its disks.
 *
 * Rounds of PAGES are sent from a thread, with the pages written since the
 * round before (dirty.h), as long as a round is shorter than the one before;
 * when what is left can be sent in the allowed downtime the thread asks the
 * main thread for the rest, since it alone pauses and ends.
 *
 * The stream is neither encrypted nor authenticated, and a machine is all its guest's secrets: so
 * it goes over a UNIX socket, or a descriptor that a program like ssh carries to one (bhyvectl), or
 * TCP on this node.  TCP to other nodes is for who says that their network is nobody else's
 * (migrate.plain).
 */
#include "vmm/migrate.h"

#include <arpa/inet.h>
#include <sys/uio.h>

#include "base/file.h"
#include "base/sock.h"
#include "vmm/device.h"
#include "vmm/dirty.h"

#define MAGIC 0x3147494d4c4f5441ULL /* "ATOLMIG1" */
#define SILENCE_SECONDS 10
#define MAX_ROUNDS 30
#define PAGE 4096U
#define STATE_MAX (512ULL << 20)
#define RUN_MAX (1ULL << 20)

enum type { HELLO = 1, PAGES, ZERO, DEVICES, READY, GO, RUNNING, FAIL };

struct record {
	uint32_t type, reserved;
	uint64_t at, len; /* guest-physical address; bytes */
};

static int
transmit(int fd, enum type type, uint64_t at, const void *data, uint64_t len, uint64_t follows,
	 struct error *err)
{
	struct record h = {.type = type, .at = at, .len = len};
	int r = sock_send_all(fd, &h, sizeof(h));

	if (r == 0 && follows)
		r = sock_send_all(fd, data, follows);
	return r < 0 ? error_set_errno(err, r == -EAGAIN ? ETIMEDOUT : -r, "the peer") : 0;
}

static int
receive(int fd, void *buf, size_t len, struct error *err)
{
	ssize_t n = fd_read_all(fd, buf, len);

	if (n < 0)
		return error_set_errno(err, n == -EAGAIN ? ETIMEDOUT : (int)-n, "the peer");
	return (size_t)n == len ? 0 : error_set(err, EPIPE, "the peer closed the connection");
}

/* ---- sender ---- */

struct migration {
	struct vm *vm;
	int fd, wake_fd; /* wake_fd: the thread is done */
	struct event_source *wake_src;
	pthread_t thread;
	bool joined, was_paused;
	uint64_t max_downtime_us;
	struct dirty dirty;
	migrate_done_fn *done;
	void *done_arg;

	pthread_mutex_t lock; /* what follows */
	struct migrate_status status;
	bool cancelled;
	uint64_t round_bytes;
};

static int
send_run(void *arg, uint64_t gpa, const uint8_t *hva, uint64_t len, struct error *err)
{
	struct migration *m = arg;
	int r = 0;

	/* Short pieces: a cancel is seen soon, and zero pages among others are found. */
	for (uint64_t i = 0, n; r == 0 && i < len; i += n) {
		n = len - i < RUN_MAX ? len - i : RUN_MAX;

		bool zero = bytes_zero(hva + i, n);

		r = transmit(m->fd, zero ? ZERO : PAGES, gpa + i, hva + i, n, zero ? 0 : n, err);
		scoped_lock(&m->lock);
		m->status.bytes += zero ? 0 : n;
		m->round_bytes += zero ? 0 : n;
		if (m->cancelled) /* which closed the connection, too */
			r = error_set(err, ECANCELED, "cancelled");
	}
	return r;
}

/* One round; how long it took. */
static int
send_round(struct migration *m, uint64_t *ret_us, struct error *err)
{
	uint64_t began = time_mono_ns();
	int r;

	m->round_bytes = 0;
	r = dirty_walk(&m->dirty, send_run, m, err);
	*ret_us = (time_mono_ns() - began) / 1000;
	scoped_lock(&m->lock);
	m->status.round++;
	m->status.left = m->round_bytes;
	return r;
}

static int
copy_rounds(struct migration *m, struct error *err)
{
	uint64_t us = UINT64_MAX;
	int r = transmit(m->fd, HELLO, MAGIC, NULL, m->vm->mem.ram_size, 0, err);

	for (unsigned i = 0; r == 0 && i < MAX_ROUNDS; i++) {
		r = send_round(m, &us, err);
		/* A round as short as this one fits; the first never shows what the guest writes. */
		if (r == 0 && i > 0 && us <= m->max_downtime_us)
			return 0;
	}
	if (r < 0)
		return r;
	return error_set(err, EBUSY,
			 "the guest writes memory faster than it can be sent: the last round took "
			 "%llu ms, the allowed downtime is %llu ms",
			 (unsigned long long)us / 1000, (unsigned long long)m->max_downtime_us / 1000);
}

static void
fail(struct migration *m, const struct error *err)
{
	scoped_lock(&m->lock);
	m->status.state = MIGRATE_FAILED;
	snprintf(m->status.message, sizeof(m->status.message), "%s", error_message(err));
}

static void *
copy_thread(void *arg)
{
	struct migration *m = arg;
	cleanup_error struct error err = ERROR_INIT;

	if (copy_rounds(m, &err) < 0)
		fail(m, &err);
	bell_ring(m->wake_fd);
	return NULL;
}

/* READY or RUNNING; FAIL brings the peer's own words. */
static int
expect(int fd, enum type type, struct error *err)
{
	struct record h;
	char text[256] = "";
	int r;

	TRY(receive(fd, &h, sizeof(h), err));
	if (h.type == FAIL && h.len < sizeof(text)) {
		r = receive(fd, text, h.len, err);
		return r < 0 ? r : error_set(err, EREMOTEIO, "the peer: %s", text);
	}
	return h.type == type ? 0 : error_set(err, EPROTO, "the peer does not speak as it should");
}

/* The guest stands still from here on. */
static int
hand_over(struct migration *m, bool *ret_gone, struct error *err)
{
	cleanup_strbuf struct strbuf state = STRBUF_INIT;
	uint64_t us;

	TRY(send_round(m, &us, err));
	TRY(state_save_moving(m->vm, &state, err));
	TRY(transmit(m->fd, DEVICES, 0, state.data, state.len, state.len, err));
	TRY(expect(m->fd, READY, err));
	/* A GO that is not all sent is none. */
	TRY(transmit(m->fd, GO, 0, NULL, 0, 0, err));
	*ret_gone = true;
	return expect(m->fd, RUNNING, err);
}

static void
copied(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct migration *m = arg;
	cleanup_error struct error err = ERROR_INIT;
	uint64_t began = time_mono_ns();
	bool gone = false;
	int r = -1;

	pthread_join(m->thread, NULL);
	m->joined = true;
	event_source_free(steal_ptr(&m->wake_src));
	m->was_paused = m->vm->paused;
	if (m->status.state == MIGRATE_COPYING) {
		vm_pause(m->vm);
		r = hand_over(m, &gone, &err);
		if (r < 0)
			fail(m, &err);
	}
	dirty_close(&m->dirty);
	cleanup_closep(&m->fd);
	if (r == 0) {
		m->status.downtime_us = (time_mono_ns() - began) / 1000;
		m->status.state = MIGRATE_DONE;
	} else if (gone) {
		snprintf(m->status.message, sizeof(m->status.message),
			 "%s; the guest may run there: it stays suspended here", error_message(&err));
	} else if (!m->was_paused) {
		vm_resume(m->vm);
	}
	if (m->done)
		m->done(m->done_arg, &m->status);
	if (r == 0)
		vm_end(m->vm, VM_END_POWEROFF, NULL);
}

static void
migration_free(void *arg)
{
	struct migration *m = arg;

	if (!m->joined) {
		pthread_mutex_lock(&m->lock);
		m->cancelled = true;
		pthread_mutex_unlock(&m->lock);
		(void)shutdown(m->fd, SHUT_RDWR);
		pthread_join(m->thread, NULL);
	}
	event_source_free(m->wake_src);
	dirty_close(&m->dirty);
	cleanup_closep(&m->fd);
	cleanup_closep(&m->wake_fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* The latest one; those before it are history. */
static struct migration *
find(struct vm *vm)
{
	struct vm_part *part;
	struct migration *m = NULL;

	list_for_each(part, &vm->parts, link) {
		if (part->free == migration_free)
			m = part->arg;
	}
	return m;
}

/* TCP leaves the node only if the operator says that its network may see everything. */
static int
check_plain(struct vm *vm, const char *address, struct error *err)
{
	struct sockaddr_storage sa;
	const struct sockaddr_in *v4 = (const void *)&sa;
	const struct sockaddr_in6 *v6 = (const void *)&sa;
	socklen_t len;
	bool plain;

	TRY(sock_tcp_address(address, &sa, &len, err));
	TRY(config_bool(vm->config, "migrate.plain", false, &plain, err));
	if (plain || (sa.ss_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127) ||
	    (sa.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)))
		return 0;
	return error_set(err, EPERM, "%s: whoever hears the stream has the guest's memory: send it "
			 "through ssh (bhyvectl(8)), or set migrate.plain", address);
}

static int
connect_to(struct vm *vm, const char *address, int *ret_fd, struct error *err)
{
	const char *path = str_after(address, "unix="), *tcp = str_after(address, "tcp=");
	int r;

	if (path)
		return sock_unix_connect(path, SOCK_STREAM, ret_fd, err);
	r = check_plain(vm, tcp ? tcp : address, err);
	return r < 0 ? r : sock_tcp_connect(tcp ? tcp : address, SILENCE_SECONDS, ret_fd, err);
}

/* What cannot leave the node says so before anything is sent. */
static int
may_move(struct vm *vm, struct error *err)
{
	cleanup_strbuf struct strbuf state = STRBUF_INIT;

	scoped_pause(vm);
	return state_save_moving(vm, &state, err);
}

static int
prepare(struct migration *m, const char *address, struct error *err)
{
	int r;

	if (m->fd < 0 && (r = connect_to(m->vm, address, &m->fd, err)) < 0)
		return r;
	TRY(sock_set_timeout(m->fd, SILENCE_SECONDS, err));
	TRY(may_move(m->vm, err));
	TRY(dirty_open(&m->dirty, &m->vm->mem, true, err));
	TRY(bell_new(&m->wake_fd, err));
	TRY(event_add_fd(m->vm->loop, m->wake_fd, EPOLLIN, copied, m, &m->wake_src, err));
	r = pthread_create(&m->thread, NULL, copy_thread, m);
	return r ? error_set_errno(err, r, "cannot start a thread") : 0;
}

static bool
busy(struct migration *m)
{
	return m && !m->joined;
}

/* fd is taken over, also on failure; -1: address. */
static int
begin(struct vm *vm, const char *address, int fd, unsigned max_downtime_ms, migrate_done_fn *done,
      void *arg, struct error *err)
{
	struct migration *m = find(vm);
	int r;

	if (busy(m)) {
		cleanup_closep(&fd);
		return error_set(err, EBUSY, "%s is being migrated already", vm->name);
	}
	m = xcalloc(1, sizeof(*m));
	*m = (struct migration){.vm = vm, .fd = fd, .wake_fd = -1, .joined = true,
				.dirty = DIRTY_INIT, .done = done, .done_arg = arg,
				.max_downtime_us = max_downtime_ms * 1000ULL};
	pthread_mutex_init(&m->lock, NULL);
	r = prepare(m, address, err);
	if (r < 0) {
		migration_free(m);
		return r;
	}
	m->joined = false;
	vm_add_part(vm, &(struct vm_part){.name = "migration", .free = migration_free, .arg = m});
	return 0;
}

int
migrate_start(struct vm *vm, const char *address, unsigned max_downtime_ms, migrate_done_fn *done,
	      void *arg, struct error *err)
{
	return begin(vm, address, -1, max_downtime_ms, done, arg, err);
}

int
migrate_start_fd(struct vm *vm, int fd, unsigned max_downtime_ms, migrate_done_fn *done, void *arg,
		 struct error *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? error_set_errno(err, errno, "the stream") :
			 begin(vm, NULL, own, max_downtime_ms, done, arg, err);
}

int
migrate_status(struct vm *vm, struct migrate_status *ret, struct error *err)
{
	struct migration *m = find(vm);

	if (!m)
		return error_set(err, ENOENT, "%s was not asked to migrate", vm->name);
	scoped_lock(&m->lock);
	*ret = m->status;
	return 0;
}

int
migrate_cancel(struct vm *vm, struct error *err)
{
	struct migration *m = find(vm);

	if (!busy(m))
		return error_set(err, ENOENT, "%s is not being migrated", vm->name);
	pthread_mutex_lock(&m->lock);
	m->cancelled = true;
	pthread_mutex_unlock(&m->lock);
	(void)shutdown(m->fd, SHUT_RDWR); /* a thread that waits for the peer wakes up */
	return 0;
}

/* ---- receiver ---- */

static int
take_pages(struct vm *vm, int fd, const struct record *h, struct error *err)
{
	void *to = h->len <= RUN_MAX ? mem_ptr(&vm->mem, h->at, h->len) : NULL;

	if (!to)
		return error_set(err, EPROTO, "pages outside of this machine's memory");
	if (h->type == PAGES)
		return receive(fd, to, h->len, err);
	/* A page that was never touched need not be for this. */
	if (h->len && !bytes_zero(to, h->len))
		memset(to, 0, h->len);
	return 0;
}

static int
take_state(struct vm *vm, int fd, uint64_t len, struct error *err)
{
	if (len > STATE_MAX)
		return error_set(err, EPROTO, "a state of %llu bytes", (unsigned long long)len);

	cleanup_free void *state = xmalloc(len);
	int r = receive(fd, state, len, err);

	return r < 0 ? r : state_load(vm, state, len, err);
}

static int
take_machine(struct vm *vm, int fd, struct error *err)
{
	struct record h;

	TRY(receive(fd, &h, sizeof(h), err));
	if (h.type != HELLO || h.at != MAGIC)
		return error_set(err, EPROTO, "the peer sends no machine");
	if (h.len != vm->mem.ram_size)
		return error_set(err, EINVAL, "a machine of %lluM; this one has %lluM",
				 (unsigned long long)(h.len >> 20),
				 (unsigned long long)(vm->mem.ram_size >> 20));
	for (;;) {
		TRY(receive(fd, &h, sizeof(h), err));
		if (h.type == DEVICES)
			return take_state(vm, fd, h.len, err);
		if (h.type != PAGES && h.type != ZERO)
			return error_set(err, EPROTO, "the peer does not speak as it should");
		TRY(take_pages(vm, fd, &h, err));
	}
}

int
migrate_receive(struct vm *vm, const char *address, struct error *err)
{
	const char *path = str_after(address, "unix="), *tcp = str_after(address, "tcp=");
	cleanup_close int listening = -1;
	int r = path ? sock_unix_listen(path, 0, &listening, err) :
		       check_plain(vm, tcp ? tcp : address, err);

	if (r == 0 && !path)
		r = sock_tcp_listen(tcp ? tcp : address, 0, &listening, err);
	if (r < 0)
		return r;

	cleanup_close int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	if (path)
		unlink(path); /* for one machine */
	if (fd < 0)
		return error_set_errno(err, errno, "%s", address);
	cleanup_error struct error why = ERROR_INIT;

	r = sock_set_timeout(fd, SILENCE_SECONDS, &why);
	if (r == 0)
		r = take_machine(vm, fd, &why);
	if (r < 0) {
		const char *text = error_message(&why);
		size_t len = strlen(text) < 255 ? strlen(text) : 255;

		/* The peer may be gone; our own message is the caller's. */
		(void)transmit(fd, FAIL, 0, text, len, len, NULL);
		error_move(err, &why);
		return error_wrap(err, r, "%s", address);
	}
	if ((r = transmit(fd, READY, 0, NULL, 0, 0, err)) < 0 || (r = expect(fd, GO, err)) < 0)
		return error_wrap(err, r, "%s", address);
	/* The guest is ours now, whether the peer hears of it or not. */
	(void)transmit(fd, RUNNING, 0, NULL, 0, 0, NULL);
	return 0;
}
