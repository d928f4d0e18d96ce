/*
 * The event loop: one epoll set.  A source is a file descriptor of some kind
 * (given, timerfd, signalfd, pidfd) and a callback.
 *
 * A source freed inside a round may still stand in the array that epoll_wait
 * returned, so freeing marks it dead and parks it on `graveyard`, which is
 * emptied at the end of the round.
 */
#include "base/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_CHILD, SOURCE_DEFER };

struct event_source {
	struct event_loop *loop;
	struct list_head link; /* in loop->sources, ->deferred or ->graveyard */
	enum source_kind kind;
	int fd; /* owned unless SOURCE_FD; -1 for SOURCE_DEFER */
	bool dead;
	void *arg;
	union {
		event_fd_fn *on_fd;
		event_timer_fn *on_timer;
		event_signal_fn *on_signal;
		struct {
			event_child_fn *on_child;
			pid_t pid;
		};
	};
};

struct event_loop {
	int epoll_fd;
	bool running, quit;
	int status;
	struct list_head sources, deferred, graveyard;
};

int
event_new(struct event_loop **ret, struct error *err)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct event_loop *l;

	if (fd < 0)
		return error_set_errno(err, errno, "epoll_create1");
	l = xcalloc(1, sizeof(*l));
	l->epoll_fd = fd;
	list_init(&l->sources);
	list_init(&l->deferred);
	list_init(&l->graveyard);
	*ret = l;
	return 0;
}

static void
bury(struct event_loop *l)
{
	struct event_source *s, *tmp;

	list_for_each_safe(s, tmp, &l->graveyard, link) {
		list_del(&s->link);
		free(s);
	}
}

void
event_free(struct event_loop *l)
{
	struct event_source *s;

	if (!l)
		return;
	while ((s = list_first(&l->sources, struct event_source, link)) ||
	       (s = list_first(&l->deferred, struct event_source, link)))
		event_source_free(s);
	bury(l);
	close(l->epoll_fd);
	free(l);
}

void
event_source_free(struct event_source *s)
{
	if (!s || s->dead)
		return;
	if (s->fd >= 0)
		epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->kind != SOURCE_FD && s->fd >= 0)
		close(s->fd);
	s->dead = true;
	list_del(&s->link);
	list_add_tail(&s->loop->graveyard, &s->link);
}

static struct event_source *
source_new(struct event_loop *l, enum source_kind kind, int fd, void *arg)
{
	struct event_source *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->kind = kind;
	s->fd = fd;
	s->arg = arg;
	return s;
}

/* Puts s into the epoll set; on failure s and (unless SOURCE_FD) its fd are gone. */
static int
source_watch(struct event_source *s, uint32_t events, struct event_source **ret, struct error *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};
	int r;

	if (epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0) {
		r = error_set_errno(err, errno, "cannot watch descriptor %d", s->fd);
		if (s->kind != SOURCE_FD)
			close(s->fd);
		free(s);
		return r;
	}
	list_add_tail(&s->loop->sources, &s->link);
	if (ret)
		*ret = s;
	return 0;
}

int
event_add_fd(struct event_loop *l, int fd, uint32_t events, event_fd_fn *fn, void *arg,
	     struct event_source **ret, struct error *err)
{
	struct event_source *s = source_new(l, SOURCE_FD, fd, arg);

	s->on_fd = fn;
	return source_watch(s, events, ret, err);
}

int
event_mod_fd(struct event_source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

int
event_add_timer(struct event_loop *l, uint64_t ms, event_timer_fn *fn, void *arg,
		struct event_source **ret, struct error *err)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct event_source *s;

	if (fd < 0)
		return error_set_errno(err, errno, "timerfd_create");
	s = source_new(l, SOURCE_TIMER, fd, arg);
	s->on_timer = fn;
	event_timer_reset(s, ms);
	return source_watch(s, EPOLLIN, ret, err);
}

static void
arm(struct event_source *s, time_t sec, long nsec)
{
	struct itimerspec when = {.it_value = {sec, nsec}};

	/* It cannot fail: the fd is a timer's and the values are in range. */
	timerfd_settime(s->fd, 0, &when, NULL);
}

void
event_timer_reset(struct event_source *s, uint64_t ms)
{
	/* A zero it_value would disarm: "now" is one nanosecond away. */
	arm(s, (time_t)(ms / 1000), ms ? (long)(ms % 1000) * 1000000 : 1);
}

void
event_timer_stop(struct event_source *s)
{
	arm(s, 0, 0);
}

int
event_add_signal(struct event_loop *l, int signo, event_signal_fn *fn, void *arg,
		 struct event_source **ret, struct error *err)
{
	struct event_source *s;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, signo);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_set_errno(err, errno, "signalfd %d", signo);
	s = source_new(l, SOURCE_SIGNAL, fd, arg);
	s->on_signal = fn;
	return source_watch(s, EPOLLIN, ret, err);
}

int
event_add_child(struct event_loop *l, pid_t pid, int pidfd, event_child_fn *fn, void *arg,
		struct event_source **ret, struct error *err)
{
	struct event_source *s = source_new(l, SOURCE_CHILD, pidfd, arg);

	s->on_child = fn;
	s->pid = pid;
	return source_watch(s, EPOLLIN, ret, err);
}

int
event_defer(struct event_loop *l, event_timer_fn *fn, void *arg, struct event_source **ret,
	    struct error *err)
{
	struct event_source *s = source_new(l, SOURCE_DEFER, -1, arg);

	s->on_timer = fn;
	list_add_tail(&l->deferred, &s->link);
	if (ret)
		*ret = s;
	return 0;
}

static void
dispatch_child(struct event_source *s)
{
	siginfo_t si = {0};

	if (waitid(P_PIDFD, (id_t)s->fd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
		return;
	s->on_child(s, s->pid, &si, s->arg);
	event_source_free(s); /* harmless if the callback did */
}

static void
dispatch(struct event_source *s, uint32_t events)
{
	struct signalfd_siginfo sig;
	uint64_t ticks;

	switch (s->kind) {
	case SOURCE_FD:
		s->on_fd(s, s->fd, events, s->arg);
		break;
	case SOURCE_TIMER:
		if (read(s->fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			s->on_timer(s, s->arg);
		break;
	case SOURCE_SIGNAL:
		if (read(s->fd, &sig, sizeof(sig)) == sizeof(sig))
			s->on_signal(s, (int)sig.ssi_signo, s->arg);
		break;
	case SOURCE_CHILD:
		dispatch_child(s);
		break;
	case SOURCE_DEFER:
		s->on_timer(s, s->arg);
		event_source_free(s);
		break;
	}
}

int
event_step(struct event_loop *l, int timeout_ms)
{
	struct epoll_event events[32];
	int n;

	if (!list_empty(&l->deferred))
		timeout_ms = 0;
	n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct event_source *s = events[i].data.ptr;

		if (!s->dead)
			dispatch(s, events[i].events);
	}
	/* Only what was deferred before this point: a callback may defer again. */
	for (struct event_source *last = list_empty(&l->deferred) ? NULL :
		     list_entry(l->deferred.prev, struct event_source, link), *s; last;) {
		s = list_first(&l->deferred, struct event_source, link);
		if (!s)
			break;
		dispatch(s, 0);
		if (s == last)
			break;
	}
	bury(l);
	return 0;
}

int
event_run(struct event_loop *l)
{
	l->quit = false;
	while (!l->quit) {
		int r = event_step(l, -1);

		if (r < 0)
			return r;
	}
	return l->status;
}

void
event_quit(struct event_loop *l, int status)
{
	l->quit = true;
	l->status = status;
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
time_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
time_mono_ms(void)
{
	return time_mono_ns() / 1000000;
}

uint64_t
time_real_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

const char *
time_iso(uint64_t real_ms, char *buf)
{
	time_t sec = (time_t)(real_ms / 1000);
	struct tm tm;

	gmtime_r(&sec, &tm);
	snprintf(buf, 25, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
		 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)(real_ms % 1000));
	return buf;
}
