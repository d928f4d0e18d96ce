/*
 * Output is written straight to the descriptor while it takes bytes; what it
 * refuses waits in a buffer that the main thread empties.  A socket nobody is
 * connected to swallows output, as a serial line with no cable does.
 *
 * The guest's threads never touch the event loop: they set flags under the
 * lock and ring `wake`, and the main thread adjusts its sources.
 */
#include "vmm/backend/chardev.h"


#include "base/sock.h"
#include "os/pty.h"
#include "vmm/device.h"

/* The guest's side looks whether the host takes bytes, and takes a stream down with it. */
SANDBOX_NEEDS(SANDBOX_VCPU | SANDBOX_IO, "poll", "epoll_ctl");

#define OUT_MAX 16384

struct chardev {
	struct event_loop *loop;
	struct chardev_user user;
	char *socket_path; /* removed in the end */
	int listen_fd, in_fd, out_fd, wake_fd;
	bool own_fds; /* in_fd and out_fd are ours to close */
	struct event_source *listen_src, *in_src, *out_src, *wake_src;
	struct termios saved; /* of a terminal we made raw */
	bool raw;

	pthread_mutex_t lock;
	bool input_wanted;
	uint8_t out[OUT_MAX];
	size_t out_len;
};

static void
wake(struct chardev *c)
{
	if (c->wake_fd >= 0)
		bell_ring(c->wake_fd);
}

/* What it was before. */
static bool
set_wanted(struct chardev *c, bool wanted)
{
	scoped_lock(&c->lock);

	bool was = c->input_wanted;

	c->input_wanted = wanted;
	return was;
}

static void
close_stream(struct chardev *c)
{
	event_source_free(steal_ptr(&c->in_src));
	event_source_free(steal_ptr(&c->out_src));
	pthread_mutex_lock(&c->lock);
	if (c->own_fds) {
		if (c->out_fd >= 0 && c->out_fd != c->in_fd)
			close(c->out_fd);
		if (c->in_fd >= 0)
			close(c->in_fd);
	}
	c->in_fd = c->out_fd = -1;
	c->out_len = 0;
	pthread_mutex_unlock(&c->lock);
	if (c->user.writable)
		c->user.writable(c->user.arg);
}

/* Standard input has an end before standard output has. */
static void
input_ends(struct chardev *c)
{
	event_source_free(steal_ptr(&c->in_src));
	scoped_lock(&c->lock);
	c->in_fd = -1;
}

static void
on_input(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct chardev *c = arg;
	uint8_t buf[256];
	size_t room = c->user.room ? c->user.room(c->user.arg) : sizeof(buf);
	ssize_t n;

	if (room == 0) {
		event_source_free(steal_ptr(&c->in_src));
		set_wanted(c, false);
		/* Room may have come since we asked. */
		if (c->user.room(c->user.arg) > 0)
			chardev_wants_input(c);
		return;
	}
	n = read(fd, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n > 0 && c->user.receive)
		c->user.receive(c->user.arg, buf, (size_t)n);
	else if (n > 0)
		return; /* nobody reads this line */
	else if (n == 0 && c->in_fd != c->out_fd && !c->raw)
		input_ends(c);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_stream(c);
}

static void
on_output(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct chardev *c = arg;
	bool failed = false, empty;
	ssize_t n;

	pthread_mutex_lock(&c->lock);
	n = c->out_len ? write(fd, c->out, c->out_len) : 0;
	if (n > 0) {
		memmove(c->out, c->out + n, c->out_len - (size_t)n);
		c->out_len -= (size_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		failed = true;
	}
	empty = c->out_len == 0;
	pthread_mutex_unlock(&c->lock);
	if (failed) {
		close_stream(c);
		return;
	}
	if (empty)
		event_source_free(steal_ptr(&c->out_src));
	if (c->user.writable)
		c->user.writable(c->user.arg);
}

/* Brings the event sources in line with what the guest side asked for. */
static void
on_wake(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct chardev *c = arg;
	bool want_in, want_out;

	(void)bell_hush(fd);
	pthread_mutex_lock(&c->lock);
	want_in = c->input_wanted && c->in_fd >= 0;
	want_out = c->out_len > 0 && c->out_fd >= 0;
	pthread_mutex_unlock(&c->lock);
	/* A descriptor epoll does not take (a file) is never read. */
	if (want_in && !c->in_src)
		(void)event_add_fd(c->loop, c->in_fd, EPOLLIN, on_input, c, &c->in_src, NULL);
	if (want_out && !c->out_src && c->out_fd != c->in_fd) {
		scoped_lock(&c->lock);
		/* A file that took a part is full. */
		if (event_add_fd(c->loop, c->out_fd, EPOLLOUT, on_output, c, &c->out_src, NULL) < 0)
			c->out_len = 0;
	} else if (want_out && !c->out_src) {
		/* epoll takes a descriptor once: a duplicate carries the other direction. */
		int copy = fcntl(c->out_fd, F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return;
		pthread_mutex_lock(&c->lock);
		c->out_fd = copy;
		pthread_mutex_unlock(&c->lock);
		(void)event_add_fd(c->loop, copy, EPOLLOUT, on_output, c, &c->out_src, NULL);
	}
}

static void
on_connect(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct chardev *c = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0)
		return;
	/* One peer at a time; a new one takes over, so a stale one cannot block the line. */
	close_stream(c);
	pthread_mutex_lock(&c->lock);
	c->in_fd = c->out_fd = client;
	c->input_wanted = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
}

static int
make_raw(struct chardev *c, int fd, struct error *err)
{
	if (!isatty(fd))
		return 0;
	TRY(pty_raw(fd, &c->saved, err));
	c->raw = true;
	return 0;
}

static int
open_stdio(struct chardev *c, const char *rest, struct error *err)
{
	c->in_fd = 0;
	c->out_fd = 1;
	c->own_fds = false;
	return make_raw(c, 0, err);
}

static int
open_tty(struct chardev *c, const char *path, struct error *err)
{
	c->in_fd = c->out_fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (c->in_fd < 0)
		return error_set_errno(err, errno, "%s", path);
	return make_raw(c, c->in_fd, err);
}

static int
open_file(struct chardev *c, const char *path, struct error *err)
{
	c->out_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
	if (c->out_fd < 0)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

/* socket,PATH[,wait] */
static int
open_unix(struct chardev *c, const char *rest, struct error *err)
{
	size_t len = strcspn(rest, ",");
	bool wait = str_eq(rest + len, ",wait");
	int r;

	if ((rest[len] && !wait) || len == 0)
		return error_set(err, EINVAL, "expected socket,PATH[,wait]");
	c->socket_path = xstrndup(rest, len);
	r = sock_unix_listen(c->socket_path, 0, &c->listen_fd, err);
	if (r < 0 || !wait)
		return r;
	c->in_fd = c->out_fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return c->in_fd < 0 ? error_set_errno(err, errno, "%s", c->socket_path) : 0;
}

/* tcp=ADDR:PORT */
static int
open_tcp(struct chardev *c, const char *rest, struct error *err)
{
	return sock_tcp_listen(rest, 0, &c->listen_fd, err);
}

static const struct {
	const char *prefix;
	int (*open)(struct chardev *c, const char *rest, struct error *err);
	bool keep; /* the prefix is part of what is opened */
} kinds[] = {
	{"stdio", open_stdio, false}, {"/dev/", open_tty, true},     {"socket,", open_unix, false},
	{"tcp=", open_tcp, false},    {"file,", open_file, false},
};

static int
open_spec(struct chardev *c, const char *spec, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *rest = str_after(spec, kinds[i].prefix);

		if (rest)
			return kinds[i].open(c, kinds[i].keep ? spec : rest, err);
	}
	return error_set(err, EINVAL,
			 "expected stdio, /dev/TTY, tcp=ADDR:PORT, socket,PATH[,wait] or file,PATH");
}

int
chardev_open(struct event_loop *loop, const char *spec, const struct chardev_user *user,
	     struct chardev **ret, struct error *err)
{
	CLEANUP(chardev_freep) struct chardev *c = xcalloc(1, sizeof(*c));
	int r;

	c->loop = loop;
	c->user = *user;
	c->listen_fd = c->in_fd = c->out_fd = c->wake_fd = -1;
	c->own_fds = true;
	c->input_wanted = true;
	pthread_mutex_init(&c->lock, NULL);
	if ((r = open_spec(c, spec, err)) < 0)
		return error_wrap(err, r, "%s", spec);
	if ((r = bell_new(&c->wake_fd, err)) < 0)
		return r;
	if (loop) {
		r = event_add_fd(loop, c->wake_fd, EPOLLIN, on_wake, c, &c->wake_src, err);
		if (r == 0 && c->listen_fd >= 0)
			r = event_add_fd(loop, c->listen_fd, EPOLLIN, on_connect, c,
					 &c->listen_src, err);
		if (r < 0)
			return r;
	}
	wake(c);
	*ret = steal_ptr(&c);
	return 0;
}

void
chardev_free(struct chardev *c)
{
	if (!c)
		return;
	c->user = (struct chardev_user){0};
	if (c->raw && c->in_fd >= 0)
		(void)pty_restore(c->in_fd, &c->saved);
	close_stream(c);
	event_source_free(c->listen_src);
	event_source_free(c->wake_src);
	if (c->socket_path && c->listen_fd >= 0) /* else it is somebody else's */
		unlink(c->socket_path);
	cleanup_closep(&c->listen_fd);
	cleanup_closep(&c->wake_fd);
	free(c->socket_path);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Writes without waiting; a terminal shares its flags with others, so they stay as they are. */
static ssize_t
try_write(int fd, const void *data, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
		return 0;
	return write(fd, data, len);
}

size_t
chardev_write(struct chardev *c, const void *data, size_t len)
{
	size_t done = 0;

	scoped_lock(&c->lock);
	if (c->out_fd < 0) {
		done = len;
	} else {
		if (c->out_len == 0) {
			ssize_t n = try_write(c->out_fd, data, len);

			done = n > 0 ? (size_t)n : 0;
			/* A full file system or a peer that is gone: the guest does not wait for it. */
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				done = len;
		}

		size_t left = len - done, space = OUT_MAX - c->out_len;

		if (left > space)
			left = space;
		if (left) {
			memcpy(c->out + c->out_len, (const uint8_t *)data + done, left);
			c->out_len += left;
			done += left;
			wake(c);
		}
	}
	return done;
}

void
chardev_wants_input(struct chardev *c)
{
	if (!set_wanted(c, true))
		wake(c);
}
