/*
 * The state file: what startd knows about every instance at this moment, in a
 * file of fixed records that startd maps shared and everybody else read-only.
 *
 * It is both the answer to svcs(1), which so costs no message, and startd's
 * own memory: after kill -9 the next startd maps the same file and goes on
 * with the methods that run and the counts of failures.  Therefore every
 * field is in the file before the action that it describes (the process id of
 * a method is written by the new process itself, before it executes the
 * method).
 *
 * A record is never moved or reused for another FMRI while the system runs.
 * Writers make seq odd, change the record, make it even; readers copy and look
 * again.  `generation` of the header grows with every change.
 */
#ifndef SMF_STATE_H
#define SMF_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "smf/smf.h"

#define STATE_STARTS 10 /* start times remembered, for "restarting too quickly" */
#define STATE_AUX 40

enum state_phase { PHASE_NONE, PHASE_START, PHASE_STOP, PHASE_REFRESH };

struct state_rec {
	uint32_t seq;
	uint8_t used;
	uint8_t state, next;   /* enum smf_state */
	uint8_t phase;         /* enum state_phase: which method runs */
	char fmri[SMF_FMRI_MAX];
	char aux[STATE_AUX];   /* auxiliary_state */
	uint64_t stime;        /* when state was entered, real time in ms */
	uint64_t contract;     /* id of the cgroup, 0 if none */
	int32_t method_pid;    /* process of the running method, 0 before it exists */
	int32_t main_pid;      /* of the wait model */
	uint64_t method_since; /* CLOCK_MONOTONIC ms */
	uint8_t to_offline;    /* it is to stop, though it runs (enum state_reason) */
	uint8_t n_starts;      /* of starts[], a ring */
	uint8_t n_failures;    /* start methods that failed in a row */
	uint8_t nodaemon;      /* the start method said so: behaves as transient */
	uint8_t goal;          /* PHASE_STOP: the state it leads to */
	uint8_t target_maint;  /* an administrator asked for maintenance */
	uint8_t exit_code;     /* how the last method ended ... */
	uint8_t exit_signal;   /* ... or by which signal */
	uint32_t restarts;
	uint32_t start_ms;     /* what the last start took: svcs -x, blame */
	uint64_t starts[STATE_STARTS];
	char comment[64];      /* why it is disabled */
};

struct state;

/* startd: makes or takes over the file.  *ret_old tells that it was there, of this boot. */
int state_create(const char *path, struct state **ret, bool *ret_old, struct error *err);
/* Everybody else. */
int state_open(const char *path, struct state **ret, struct error *err);
void state_free(struct state *s);
DEFINE_CLEANUP(state_free, struct state *);
#define cleanup_state CLEANUP(state_freep)

uint64_t state_generation(const struct state *s);
pid_t state_startd(const struct state *s); /* process that wrote last */
size_t state_size(struct state *s); /* number of records; sees those made since the opening */

/* startd: the record of fmri, made if absent. */
struct state_rec *state_rec(struct state *s, const char *fmri, struct error *err);
struct state_rec *state_rec_at(struct state *s, size_t i);
void state_drop(struct state *s, struct state_rec *r); /* its instance was deleted */
/* Around every change. */
void state_begin(struct state_rec *r);
void state_end(struct state *s, struct state_rec *r);

/* Readers: a consistent copy; false if the slot is unused. */
bool state_read_at(struct state *s, size_t i, struct state_rec *ret);
bool state_read(struct state *s, const char *fmri, struct state_rec *ret);

#endif
