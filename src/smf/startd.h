/*
 * svc.startd, inside: the pieces its files share.
 *
 *	startd.c     main, plan, children, requests
 *	restarter.c  what happens to one instance: the state machine
 *	svclog.c     log files of instances
 *	graph.c method.c state.c plan.c
 *
 * Everything happens in one thread on one event loop.  An instance whose
 * situation may have changed is put on the dirty list (inst_touch); at the end
 * of the round each of these is looked at once (inst_eval), which may start or
 * stop it, and so touch others.  Nothing waits: a method, a contract that is
 * to become empty and a throttled start are states with a deadline, shown by
 * svcs -x.
 */
#ifndef SMF_STARTD_H
#define SMF_STARTD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "base/event.h"
#include "base/ipc.h"
#include "base/list.h"
#include "base/map.h"
#include "os/cgroup.h"
#include "smf/graph.h"
#include "smf/method.h"
#include "smf/plan.h"
#include "smf/smf.h"
#include "smf/state.h"

enum duration { DUR_CONTRACT, DUR_TRANSIENT, DUR_WAIT };

/* Why an instance is taken down; state_rec.to_offline.  Order is that of restart_on. */
enum stop_reason {
	STOP_NOT,
	STOP_FAULT,      /* it failed */
	STOP_RESTART,    /* an administrator restarts it, or what it depends on stopped */
	STOP_DISABLE,    /* no longer enabled */
	STOP_MAINT,      /* an administrator marks it */
};

struct inst {
	struct vertex *v;
	struct state_rec *rec;
	const struct plan_inst *conf; /* NULL: deleted, goes when it is down */
	uint64_t digest;
	enum duration duration;
	bool deps_bad;   /* its dependencies could not be taken: maintenance */
	bool killing;    /* the contract was killed and is to become empty */
	bool leaving;    /* phase STOP: the method ended, the contract is to become empty */
	enum dep_status last_status;
	char *cgroup;    /* of the contract: "svc/network-ssh:default" */
	struct cgroup_watch *watch;
	int log_fd;      /* while a method runs, else -1 */
	uint64_t deadline; /* CLOCK_MONOTONIC ms; 0: none */
	uint64_t not_before; /* a throttled start */
	struct list_head link, dirty, flight;
};

/* A process whose end an instance waits for: a method, or the process of a wait service. */
struct pid_node {
	struct pid_node *next;
	struct inst *inst;
	pid_t pid;
};

#define PID_BUCKETS 1024

struct startd {
	struct event_loop *loop;
	struct graph *graph;
	struct plan *plan;
	struct state *state;
	struct ipc_server *server;
	struct list_head insts;
	struct list_head dirty;
	struct list_head flight; /* instances with a deadline */
	struct event_source *round; /* deferred look at the dirty list, or NULL */
	struct event_source *timer;
	uint64_t timer_at; /* what the timer is armed for, 0 if not */
	struct pid_node *by_pid[PID_BUCKETS];
	struct vertex *milestone; /* NULL: all */
	bool milestone_none;
	bool shutdown;
	int init_fd; /* to PID 1, or -1 */
	int null_fd;
	struct rlimit nofile;
	bool early; /* logs go to the volatile directory */
};

extern struct startd startd;

/* startd.c */
void startd_touch(struct inst *i);
void startd_set_deadline(struct inst *i, uint64_t at); /* 0 takes it away */
void startd_announce(struct inst *i);                  /* to those who subscribed */
void startd_watch_pid(struct inst *i, pid_t pid);
void startd_forget_pid(struct inst *i, pid_t pid); /* pid 0: all of its */
void startd_settled(void); /* looks whether a shutdown is complete */
void startd_early_logs(void);
int startd_temp_disable(struct inst *i);

/* restarter.c */
struct inst *inst_new(struct vertex *v, struct state_rec *rec);
void inst_free(struct inst *i);
void inst_configure(struct inst *i, const struct plan *p, const struct plan_inst *conf);
void inst_adopt(struct inst *i); /* after a restart of startd */
void inst_eval(struct inst *i);
void inst_child_ended(struct inst *i, pid_t pid, int code, int status);
/* A process of the contract, not a method, was killed by a signal. */
void inst_member_killed(struct inst *i, pid_t pid, int code, int status);
void inst_deadline(struct inst *i);
void inst_stop(struct inst *i, enum stop_reason why);
void inst_refresh(struct inst *i);
/* Administrator's requests; -EINVAL with a message if the state does not allow it. */
int inst_restart(struct inst *i, bool dump, struct error *err);
int inst_clear(struct inst *i, struct error *err);
int inst_mark(struct inst *i, enum smf_state to, bool immediate, struct error *err);
bool inst_method_alive(const struct inst *i);
/* The status of the running method will never be known. */
void inst_method_lost(struct inst *i);

/* svclog.c */
char *svclog_path(const char *fmri, bool early);
int svclog_open(struct inst *i); /* a descriptor to append to; /dev/null if it cannot be had */
void svclog_write(struct inst *i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void svclog_move(void); /* the volatile logs to /var */

#endif
