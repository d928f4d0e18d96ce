/* The thread of a disk: it serves the driver's queues, and sleeps in its back end's ring. */
#ifndef VMM_BACKEND_BLK_WORKER_H
#define VMM_BACKEND_BLK_WORKER_H

#include "vmm/backend/blk.h"
#include "vmm/worker.h"

struct vm;

struct blk_worker_ops {
	const char *name;
	void (*serve)(void *arg);  /* takes what the driver queued; called when something was rung or ended */
	void (*settle)(void *arg); /* nothing is in flight any more: tells the driver what ended */
};

struct blk_worker {
	struct worker worker;
	const struct blk_worker_ops *ops;
	struct vm *vm;
	struct blk *blk;
	void *arg;
	int kick_fd; /* its own, if there are no others */
	int fds[BLK_MAX_EVENTS];
	unsigned n_fds;
};

/*
 * Starts the thread, which stands still until worker_run().  It wakes by kick_fds; without any
 * (n_kicks 0) it has one of its own, for blk_worker_kick().  blk's requests come back with arg.
 */
int blk_worker_start(struct blk_worker *w, const struct blk_worker_ops *ops, struct vm *vm,
		     struct blk *blk, const int *kick_fds, unsigned n_kicks, void *arg,
		     struct error *err);
/* Ends the thread; nothing happens to one that was never started. */
void blk_worker_done(struct blk_worker *w);
void blk_worker_kick(struct blk_worker *w);
/* In the thread: waits until nothing is in flight. */
void blk_worker_drain(struct blk_worker *w);
/* Asks how large disk b is now, while the thread stands still; true if that changed. */
bool blk_worker_resize(struct blk_worker *w, struct blk *b);

#endif
