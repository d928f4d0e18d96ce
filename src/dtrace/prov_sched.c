/*
 * sched: who runs, who waits, and for which CPU.  off-cpu, sleep and preempt fire
 * in the thread that leaves, on-cpu in the one that comes.  Linux stops and starts
 * all of a group's threads on a CPU at once when its share of time is used up:
 * cpucaps-* show the thread that ran.
 */
#include "dtrace/stable.h"

#define QUEUED LWPSINFO("args[1]"), PSINFO("args[1]"), CPUINFO("args[0]->cpu")
#define CURRENT {LWPSINFO("curthread"), PSINFO("curthread")}

static const struct stable_probe rows[] = {
	{"change-pri", "entry set_user_nice", NULL,
	 {LWPSINFO("args[0]"), PSINFO("args[0]"), INT("19 - args[1]")}},
	{"cpucaps-sleep", "entry throttle_cfs_rq", NULL, CURRENT},
	{"cpucaps-wakeup", "entry unthrottle_cfs_rq", NULL, CURRENT},
	{"dequeue", "entry dequeue_task_fair", NULL, {QUEUED}},
	{"dequeue", "entry dequeue_task_rt", NULL, {QUEUED}},
	{"dequeue", "entry dequeue_task_dl", NULL, {QUEUED}},
	{"enqueue", "entry enqueue_task_fair", NULL, {QUEUED, INT("0")}},
	{"enqueue", "entry enqueue_task_rt", NULL, {QUEUED, INT("0")}},
	{"enqueue", "entry enqueue_task_dl", NULL, {QUEUED, INT("0")}},
	{"preempt", "tp sched_switch", "args[1]->pid != 0 && (args[0] || args[3] == 0)"},
	{"sleep", "tp sched_switch", "args[1]->pid != 0 && !args[0] && args[3] != 0"},
	{"off-cpu", "tp sched_switch", NULL, {LWPSINFO("args[2]"), PSINFO("args[2]")}},
	{"on-cpu", "entry finish_task_switch"},
	{"remain-cpu", "return pick_next_task_fair", "ret == args[1]"},
	{"schedctl-yield", "entry do_sched_yield", NULL, CURRENT},
	{"surrender", "entry resched_curr", "args[0]->cpu != cpu",
	 {LWPSINFO("args[0]->curr"), PSINFO("args[0]->curr")}},
	{"tick", "entry sched_tick", NULL, CURRENT},	  /* since 6.10 */
	{"tick", "entry scheduler_tick", NULL, CURRENT}, /* before */
	{"wakeup", "tp sched_waking", NULL, {LWPSINFO("args[0]"), PSINFO("args[0]")}},
};

STABLE_PROVIDER(sched, rows);
