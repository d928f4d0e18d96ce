#include "vmm/worker.h"

#include <signal.h>

#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_IO, "poll", "ppoll", "read");

/* Workers keep their requests elsewhere. */
#define STACK_SIZE (128 * 1024)

int
worker_init(struct worker *w, void (*drain)(void *arg), void *arg, struct error *err)
{
	*w = (struct worker){.drain = drain, .arg = arg, .kind = SANDBOX_IO};
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->ctl_fd = -1;
	return bell_new(&w->ctl_fd, err);
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	sandbox_enter(w->kind);
	return w->fn(w->arg);
}

int
worker_spawn(struct worker *w, void *(*fn)(void *arg), struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int code;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_attr_init(&attr);
#ifndef __SANITIZE_ADDRESS__
	pthread_attr_setstacksize(&attr, STACK_SIZE);
#endif
	pthread_sigmask(SIG_SETMASK, &all, &before);
	w->fn = fn;
	code = pthread_create(&w->thread, &attr, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	w->have_thread = code == 0;
	return code ? error_set_errno(err, code, "cannot start a thread") : 0;
}

int
worker_start(struct worker *w, struct vm *vm, const char *name, void *(*fn)(void *arg),
	     struct error *err)
{
	vm_add_part(vm, &(struct vm_part){.name = name, .pause = worker_pause,
					  .resume = worker_resume, .arg = w});
	return worker_spawn(w, fn, err);
}

unsigned
worker_wait(struct worker *w, const int *fds, unsigned n, unsigned n_bells, int timeout)
{
	struct pollfd p[WORKER_FDS + 1] = {{.fd = w->ctl_fd, .events = POLLIN}};
	unsigned ready = 0;

	for (unsigned i = 0; i < n; i++)
		p[i + 1] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (poll(p, n + 1, timeout) < 0)
		return 0; /* interrupted: as if nothing had been there */
	for (unsigned i = 0; i <= n; i++) {
		if (p[i].revents && i <= n_bells)
			(void)bell_hush(p[i].fd);
		if (p[i].revents && i)
			ready |= 1U << (i - 1);
	}
	return ready;
}

bool
worker_obey(struct worker *w)
{
	bool quit;

	pthread_mutex_lock(&w->lock);
	while (w->want == WORKER_STOP) {
		if (w->is == WORKER_STOP) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		if (w->drain)
			w->drain(w->arg);
		pthread_mutex_lock(&w->lock);
		w->is = WORKER_STOP;
		pthread_cond_broadcast(&w->changed);
	}
	quit = w->want == WORKER_QUIT;
	if (!quit)
		w->is = WORKER_RUN;
	pthread_mutex_unlock(&w->lock);
	if (quit && w->drain)
		w->drain(w->arg);
	return !quit;
}

/* Lock held. */
static void
command(struct worker *w, int want)
{
	w->want = want;
	pthread_cond_broadcast(&w->changed);
	bell_ring(w->ctl_fd);
	while (w->have_thread && want == WORKER_STOP && w->is != WORKER_STOP)
		pthread_cond_wait(&w->changed, &w->lock);
}

void
worker_run(struct worker *w)
{
	scoped_lock(&w->lock);
	w->running = true;
	if (!w->paused)
		command(w, WORKER_RUN);
}

void
worker_stop(struct worker *w)
{
	scoped_lock(&w->lock);
	w->running = false;
	command(w, WORKER_STOP);
}

void
worker_pause(void *arg)
{
	struct worker *w = arg;

	scoped_lock(&w->lock);
	w->paused = true;
	command(w, WORKER_STOP);
}

void
worker_resume(void *arg)
{
	struct worker *w = arg;

	scoped_lock(&w->lock);
	w->paused = false;
	if (w->running)
		command(w, WORKER_RUN);
}

void
worker_done(struct worker *w)
{
	if (!w->drain && !w->arg)
		return;
	if (w->have_thread) {
		pthread_mutex_lock(&w->lock);
		command(w, WORKER_QUIT);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	cleanup_closep(&w->ctl_fd);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}
