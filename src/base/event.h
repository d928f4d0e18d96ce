/*
 * The event loop of every daemon: one thread, epoll.  File descriptors,
 * timers on CLOCK_MONOTONIC, signals (signalfd), and children (pidfd).
 *
 * A source is freed by event_source_free(), also from inside its own callback.
 * Callbacks return nothing: a failure is dealt with where it happens.
 * event_free() frees the sources that are left.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/error.h"

struct event_loop;
struct event_source;

typedef void event_fd_fn(struct event_source *s, int fd, uint32_t events, void *arg);
typedef void event_timer_fn(struct event_source *s, void *arg);
typedef void event_signal_fn(struct event_source *s, int signo, void *arg);
/* si as waitid(2) filled it; the child is reaped. */
typedef void event_child_fn(struct event_source *s, pid_t pid, const siginfo_t *si, void *arg);

int event_new(struct event_loop **ret, struct error *err);
void event_free(struct event_loop *l);
DEFINE_CLEANUP(event_free, struct event_loop *);
#define cleanup_event CLEANUP(event_freep)

/* Runs until event_quit(); returns the status given to it, or a negative errno. */
int event_run(struct event_loop *l);
/* One round: waits at most timeout_ms (-1 for ever) and dispatches what is ready. */
int event_step(struct event_loop *l, int timeout_ms);
void event_quit(struct event_loop *l, int status);

/* events: EPOLLIN etc.  The fd stays the caller's. */
int event_add_fd(struct event_loop *l, int fd, uint32_t events, event_fd_fn *fn, void *arg,
		 struct event_source **ret, struct error *err);
int event_mod_fd(struct event_source *s, uint32_t events);
/* Fires once, ms from now; event_timer_reset() arms it again. */
int event_add_timer(struct event_loop *l, uint64_t ms, event_timer_fn *fn, void *arg,
		    struct event_source **ret, struct error *err);
void event_timer_reset(struct event_source *s, uint64_t ms);
void event_timer_stop(struct event_source *s);
/* Blocks signo in the process and delivers it here. */
int event_add_signal(struct event_loop *l, int signo, event_signal_fn *fn, void *arg,
		     struct event_source **ret, struct error *err);
/* pidfd is taken over and closed; the child is reaped with waitid(P_PIDFD). */
int event_add_child(struct event_loop *l, pid_t pid, int pidfd, event_child_fn *fn, void *arg,
		    struct event_source **ret, struct error *err);
/* Runs fn once at the end of the current round. */
int event_defer(struct event_loop *l, event_timer_fn *fn, void *arg, struct event_source **ret,
		struct error *err);
void event_source_free(struct event_source *s); /* NULL is fine */
DEFINE_CLEANUP(event_source_free, struct event_source *);

uint64_t time_mono_ms(void); /* CLOCK_MONOTONIC */
uint64_t time_mono_ns(void);
uint64_t time_real_ms(void); /* since 1970 */
/* "2026-11-21T10:00:00.123Z"; buf of at least 25 bytes. */
const char *time_iso(uint64_t real_ms, char *buf);

#endif
