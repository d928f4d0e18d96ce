/* sysinfo: where the counters of mpstat(8) and sar(8) are raised.  arg0 is by how much. */
#include "dtrace/stable.h"

#define ONE {INT("1")}

static const struct stable_probe rows[] = {
	{"bawrite", "tp block_bio_queue", "(args[0]->bi_opf & 0x8ff) == 1", ONE}, /* not REQ_SYNC */
	{"bread", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 0", ONE},
	{"bwrite", "tp block_bio_queue", "(args[0]->bi_opf & 0xff) == 1", ONE},
	{"cpu_ticks_idle", "entry account_idle_ticks", NULL, {ULONG("args[0]")}},
	{"cpu_ticks_idle", "entry account_process_tick", "!args[1] && args[0]->pid == 0", ONE},
	{"cpu_ticks_kernel", "entry account_process_tick", "!args[1] && args[0]->pid != 0", ONE},
	{"cpu_ticks_user", "entry account_process_tick", "args[1]", ONE},
	{"cpumigrate", "tp sched_migrate_task", NULL, ONE},
	{"idlethread", "tp cpu_idle", "args[0] != 0xffffffff", ONE},
	{"inv_swtch", "tp sched_switch", "args[1]->pid != 0 && (args[0] || args[3] == 0)", ONE},
	{"modload", "tp module_load", NULL, ONE},
	{"modunload", "tp module_free", NULL, ONE},
	{"msg", "tp sys_enter", "args[1] >= 68 && args[1] <= 71", ONE},
	{"mutex_adenters", "tp contention_begin", "args[1] & 32", ONE},
	{"namei", "entry filename_lookup", NULL, ONE},
	{"nthreads", "tp sched_process_fork", NULL, ONE},
	{"pswitch", "tp sched_switch", NULL, ONE},
	{"readch", "return vfs_read", "ret > 0", {LONG("ret")}},
	{"rw_rdfails", "tp contention_begin", "args[1] & 2 && !(args[1] & 1)", ONE},
	{"rw_wrfails", "tp contention_begin", "args[1] & 4 && !(args[1] & 1)", ONE},
	{"sema", "tp sys_enter", "args[1] >= 64 && args[1] <= 66", ONE},
	{"sysexec", "tp sched_process_exec", NULL, ONE},
	{"sysfork", "tp sched_process_fork",
	 "args[1]->pid == args[1]->tgid && !args[1]->vfork_done", ONE},
	{"sysread", "tp sys_enter", "args[1] == 0 || args[1] == 17 || args[1] == 19 || args[1] == 295", ONE},
	{"sysvfork", "tp sched_process_fork",
	 "args[1]->pid == args[1]->tgid && args[1]->vfork_done", ONE},
	{"syswrite", "tp sys_enter", "args[1] == 1 || args[1] == 18 || args[1] == 20 || args[1] == 296", ONE},
	{"trap", "tp page_fault_user", NULL, ONE},
	{"writech", "return vfs_write", "ret > 0", {LONG("ret")}},
	{"xcalls", "tp ipi_send_cpu", NULL, ONE},
	{"xcalls", "tp ipi_send_cpumask", NULL, ONE},
};

STABLE_PROVIDER(sysinfo, rows);
