/* proc: processes and threads made, run and ended; signals. */
#include "dtrace/stable.h"

#define EXECVE "(args[1] == 59 || args[1] == 322)" /* execve, execveat */
/* Why a process ended: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
#define REASON "(args[0]->exit_code & 0x7f) == 0 ? 1 : args[0]->exit_code & 0x80 ? 3 : 2"
/* The machine fault behind a signal: FLTILL, FLTBPT, FLTACCESS, FLTIZDIV or FLTFPE, FLTBOUNDS */
#define FAULT "args[0] == 4 ? 1 : args[0] == 5 ? 3 : args[0] == 7 ? 5 : args[0] == 8 ? 8 : 6"

static const struct stable_probe rows[] = {
	{"create", "tp sched_process_fork", "args[1]->pid == args[1]->tgid", {PSINFO("args[1]")}},
	{"exec", "tp sys_enter", EXECVE,
	 {{.expr = "args[1] == 59 ? args[0]->di : args[0]->si", .native = "char *",
	   .xlate = "string", .is_user = true}}},
	{"exec-success", "tp sched_process_exec"},
	{"exec-failure", "tp sys_exit",
	 "(args[0]->orig_ax == 59 || args[0]->orig_ax == 322) && args[1] < 0", {INT("-args[1]")}},
	{"exit", "tp sched_process_exit", "args[0]->signal->live.counter == 0", {INT(REASON)}},
	{"fault", "entry force_sig_fault", NULL, {INT(FAULT), ULONG("args[2]")}},
	{"lwp-create", "tp sched_process_fork", NULL, {LWPSINFO("args[1]"), PSINFO("args[1]")}},
	{"lwp-exit", "tp sched_process_exit"},
	{"lwp-start", "entry schedule_tail"},
	{"start", "entry schedule_tail", "curthread->pid == curthread->tgid"},
	{"signal-clear", "return do_sigtimedwait", "ret > 0", {INT("ret")}},
	{"signal-discard", "tp signal_generate", "args[4] != 0",
	 {LWPSINFO("args[2]"), PSINFO("args[2]"), INT("args[0]")}},
	{"signal-handle", "tp signal_deliver", "(uint64_t)args[2]->sa.sa_handler > 1",
	 {INT("args[0]"), {.expr = "args[1]", .native = "struct kernel_siginfo *"},
	  ULONG("(uint64_t)args[2]->sa.sa_handler")}},
	{"signal-send", "tp signal_generate", "args[4] == 0",
	 {LWPSINFO("args[2]"), PSINFO("args[2]"), INT("args[0]")}},
};

STABLE_PROVIDER(proc, rows);
