/*
 * A device's I/O thread: it runs while the driver has the device running and
 * the machine is not paused, and stands still otherwise.
 *
 * The thread calls worker_obey() each turn, and sleeps on descriptors of which
 * ctl_fd is one.  Others tell it what to do; worker_stop() and worker_pause()
 * return when it has drained what was in flight and touches nothing.
 */
#ifndef VMM_WORKER_H
#define VMM_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "vmm/sandbox.h"

struct vm;

#define WORKER_FDS 24 /* that worker_wait() takes, at the most */

struct worker {
	pthread_t thread;
	bool have_thread;
	int ctl_fd; /* readable when there is a new command */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { WORKER_STOP, WORKER_RUN, WORKER_QUIT } want, is;
	bool paused, running;
	void *(*fn)(void *arg);
	void (*drain)(void *arg); /* in the thread: finish what is in flight; may be NULL */
	void *arg;
	enum sandbox_thread kind; /* SANDBOX_IO, unless it is changed before worker_spawn() */
};

int worker_init(struct worker *w, void (*drain)(void *arg), void *arg, struct error *err);
/* The thread begins stopped; fn(arg) runs in it, with all signals blocked. */
int worker_spawn(struct worker *w, void *(*fn)(void *arg), struct error *err);
/* The same as a part of the machine of that name, that pauses with it. */
int worker_start(struct worker *w, struct vm *vm, const char *name, void *(*fn)(void *arg),
		 struct error *err);
/* Ends and joins the thread, and frees what worker_init() made. */
void worker_done(struct worker *w);

/* In the thread: true to go on; waits here while it must stand still. */
bool worker_obey(struct worker *w);
/*
 * In the thread: sleeps until a descriptor can be read (-1: none), somebody gives a command, or
 * timeout (ms; -1: never).  A bit each that can be; the first n_bells are bells, and hushed.
 */
unsigned worker_wait(struct worker *w, const int *fds, unsigned n, unsigned n_bells, int timeout);

void worker_run(struct worker *w);
void worker_stop(struct worker *w);
/* struct vm_part's hooks. */
void worker_pause(void *w);
void worker_resume(void *w);

#endif
