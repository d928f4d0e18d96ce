/*
 * What stands behind a guest's disk: a zvol, a file, or memory (tests).
 *
 * A backend belongs to one worker thread.  Requests are submitted as lists of
 * host addresses (already checked) and come back through `done`, in any order,
 * from blk_poll().  With io_uring everything a turn of the worker produced goes
 * to the kernel in the same call that waits for the next event; without it
 * (old kernel, sandbox) requests are done one by one.
 */
#ifndef VMM_BACKEND_BLK_H
#define VMM_BACKEND_BLK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/config.h"
#include "vmm/pci.h"

struct blk;

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZEROES };

struct blk_info {
	uint64_t size; /* bytes */
	uint32_t sector, physical;
	bool readonly, discard, write_cache;
	char serial[21];
};

struct blk_req {
	enum blk_op op;
	uint64_t offset, len;
	const struct iovec *iov; /* READ and WRITE; valid until done */
	unsigned n_iov;
	int result; /* 0 or negative errno, at done */
	void (*done)(struct blk_req *req, void *arg);
	struct blk *blk; /* blk_submit() sets it */
};

/* Keys: path or ram, nocache, direct, sync, ro, nodelete, sectorsize, ser, serpath. */
#define BLK_N_PCI_OPTS 11
#define BLK_PCI_OPTS                                                                          \
	{"path", "FILE", "file, zvol or disk; its name may be left out"},                     \
	{"ram", "MIB", "instead: a disk in memory, empty at the start"},                     \
	{"nocache", NULL, "O_DIRECT, as direct"}, {"direct", NULL, "bypass the host's cache"}, \
	{"sync", NULL, "every write reaches the disk"}, {"ro", NULL, "read only"},            \
	{"nodelete", NULL, "no discard"},                                                     \
	{"sectorsize", "LOGICAL[/PHYSICAL]", "what the guest is told"},                       \
	{"ser", "TEXT", "serial number, up to 20 characters"},                                \
	{"shared", NULL, "other nodes see the same disk: the guest may migrate with it"},       \
	{"serpath", "PATH", "the number is made of this path's name instead of path's"}

int blk_open(struct config *node, struct blk **ret, struct error *err);
void blk_close(struct blk *b);
const struct blk_info *blk_info(const struct blk *b);
/* Of a device's state: what was written is on the disk, and is read from there again. */
struct state;
void blk_state(struct blk *b, struct state *s);
/* Asks the file how large it is now; true if that changed. */
bool blk_resize(struct blk *b);

/*
 * The worker's side.  blk_attach() is called once in the worker's thread;
 * events on fds (eventfds) come out of blk_poll() as bits.
 */
#define BLK_MAX_EVENTS 64
int blk_attach(struct blk *b, const int *event_fds, unsigned n, void *arg, struct error *err);
/* A further backend for the same worker: its completions come out of the leader's blk_poll(). */
void blk_follow(struct blk *b, struct blk *leader);
/* Queues a request; it is done at the latest when blk_poll() finds its completion. */
void blk_submit(struct blk *b, struct blk_req *req);
/* Submits, waits until something happened (if wait), reports; events: one bit an fd that was rung. */
int blk_poll(struct blk *b, bool wait, uint64_t *ret_events);
unsigned blk_in_flight(const struct blk *b);

#endif
