#include "vmm/backend/blk_worker.h"

#include "vmm/device.h"

void
blk_worker_drain(struct blk_worker *w)
{
	uint64_t events;

	while (blk_in_flight(w->blk) && blk_poll(w->blk, true, &events) == 0)
		;
	/* It may have heard a kick, which counts for its next turn. */
	if (w->kick_fd >= 0)
		bell_ring(w->kick_fd);
}

static void
drain(void *arg)
{
	struct blk_worker *w = arg;

	blk_worker_drain(w);
	w->ops->settle(w->arg);
}

static void *
work(void *arg)
{
	struct blk_worker *w = arg;
	uint64_t events;

	if (blk_attach(w->blk, w->fds, w->n_fds, w->arg, NULL) < 0) {
		vm_end(w->vm, VM_END_ERROR, "%s: cannot start its worker", w->ops->name);
		return NULL;
	}
	while (worker_obey(&w->worker)) {
		w->ops->serve(w->arg);
		if (blk_poll(w->blk, true, &events) < 0) {
			vm_end(w->vm, VM_END_ERROR, "%s: io_uring failed", w->ops->name);
			return NULL;
		}
	}
	return NULL;
}

int
blk_worker_start(struct blk_worker *w, const struct blk_worker_ops *ops, struct vm *vm,
		 struct blk *blk, const int *kick_fds, unsigned n_kicks, void *arg,
		 struct error *err)
{
	w->ops = ops;
	w->vm = vm;
	w->blk = blk;
	w->arg = arg;
	w->kick_fd = -1;
	TRY(worker_init(&w->worker, drain, w, err));
	if (n_kicks) {
		memcpy(w->fds, kick_fds, n_kicks * sizeof(*kick_fds));
		w->n_fds = n_kicks;
	} else {
		TRY(bell_new(&w->kick_fd, err));
		w->fds[w->n_fds++] = w->kick_fd;
	}
	w->fds[w->n_fds++] = w->worker.ctl_fd;
	return worker_start(&w->worker, vm, ops->name, work, err);
}

void
blk_worker_done(struct blk_worker *w)
{
	if (!w->ops)
		return;
	worker_done(&w->worker);
	cleanup_closep(&w->kick_fd);
}

void
blk_worker_kick(struct blk_worker *w)
{
	bell_ring(w->kick_fd);
}

bool
blk_worker_resize(struct blk_worker *w, struct blk *b)
{
	bool changed;

	worker_pause(&w->worker);
	changed = blk_resize(b);
	worker_resume(&w->worker);
	return changed;
}
