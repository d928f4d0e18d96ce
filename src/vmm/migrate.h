/* A running guest moves to another process, over a stream; migrate.c opens with the theory. */
#ifndef VMM_MIGRATE_H
#define VMM_MIGRATE_H

#include "vmm/vm.h"

struct migration;

enum migrate_state { MIGRATE_COPYING, MIGRATE_DONE, MIGRATE_FAILED };

struct migrate_status {
	enum migrate_state state;
	unsigned round;
	uint64_t bytes;	     /* sent so far */
	uint64_t left;	     /* written by the guest during the last round */
	uint64_t downtime_us; /* MIGRATE_DONE */
	char message[256];   /* MIGRATE_FAILED */
};

/* Main thread: how it ended.  Once, and not if the machine ends before. */
typedef void migrate_done_fn(void *arg, const struct migrate_status *status);

/*
 * Main thread.  Starts to send the machine to address ("tcp=ADDRESS:PORT", "unix=PATH"); it runs on until what is
 * left takes less than max_downtime_ms.  One at a time.
 */
int migrate_start_fd(struct vm *vm, int fd, unsigned max_downtime_ms, migrate_done_fn *done,
		     void *arg, struct error *err); /* a connected socket, which stays the caller's */
int migrate_start(struct vm *vm, const char *address, unsigned max_downtime_ms,
		  migrate_done_fn *done, void *arg, struct error *err);
/* -ENOENT: none was started. */
int migrate_status(struct vm *vm, struct migrate_status *ret, struct error *err);
/* Stops it; the guest runs on here. */
int migrate_cancel(struct vm *vm, struct error *err);

/*
 * The other end: waits at address ("tcp=ADDRESS:PORT", "unix=PATH") for one machine, and takes it into this one,
 * which is paused and never ran.  When it returns 0 the guest is ours.
 */
int migrate_receive(struct vm *vm, const char *address, struct error *err);

#endif
