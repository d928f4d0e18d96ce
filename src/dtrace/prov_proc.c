/* proc: processes and threads made, run and ended; signals. */
#include "dtrace/stable.h"

#define EXECVE "(args[1] == 59 || args[1] == 322)" /* execve, execveat */
/* Why a process ended: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
#define REASON "(args[0]->exit_code & 0x7f) == 0 ? 1 : args[0]->exit_code & 0x80 ? 3 : 2"
/* A signal that the kernel made of what the thread itself did: SIGILL, TRAP, BUS, FPE, SEGV. */
#define IS_FAULT                                                                            \
	"(uint64_t)args[1] > 1 && args[1]->si_code > 0 && args[2] == curthread && "         \
	"(args[0] == 4 || args[0] == 5 || args[0] == 7 || args[0] == 8 || args[0] == 11)"
/*
 * By a function, or it ends the process: not what by default is ignored or stops (17 to 23, 28).
 * Each thread of a process that ends is sent SIGKILL without a siginfo, whatever the reason: the
 * leader's is shown, with the signal that it was, if it was one.
 */
#define HANDLER "(uint64_t)args[2]->sa.sa_handler"
#define ENDED_BY "(curthread->signal->group_exit_code & 0x7f)"
#define IS_HANDLED                                                                          \
	HANDLER " > 1 || " HANDLER " == 0 && ((uint64_t)args[1] != 0 ? "                     \
	"((uint64_t)1 << args[0] & 0x10fe0000) == 0 : "                                     \
	"curthread->pid == curthread->tgid && " ENDED_BY " != 0)"
/* FLTILL and so on, of lib/signal.d, by signal and code. */
#define FAULT                                                                               \
	"args[0] == 4 ? args[1]->si_code == 5 || args[1]->si_code == 6 ? 2 : 1 : "          \
	"args[0] == 5 ? args[1]->si_code == 2 ? 4 : args[1]->si_code == 4 ? 12 : 3 : "      \
	"args[0] == 7 ? 5 : args[0] == 11 ? 6 : "                                           \
	"args[1]->si_code == 1 ? 8 : args[1]->si_code == 2 ? 7 : 9"
#define SIGINFO(e) {.expr = e, .native = "struct kernel_siginfo *", .xlate = "siginfo_t *"}
#define TARGET LWPSINFO("args[2]"), PSINFO("args[2]"), INT("args[0]")

static const struct stable_probe rows[] = {
	{"create", "tp sched_process_fork", "args[1]->pid == args[1]->tgid", {PSINFO("args[1]")}},
	{"exec", "tp sys_enter", EXECVE,
	 {{.expr = "args[1] == 59 ? args[0]->di : args[0]->si", .native = "char *",
	   .xlate = "string", .is_user = true}}},
	{"exec-success", "tp sched_process_exec"},
	{"exec-failure", "tp sys_exit",
	 "(args[0]->orig_ax == 59 || args[0]->orig_ax == 322) && args[1] < 0", {INT("-args[1]")}},
	{"lwp-exit", "tp sched_process_exit"},
	{"exit", "tp sched_process_exit", "args[0]->signal->live.counter == 0", {INT(REASON)}},
	{"fault", "tp signal_generate", IS_FAULT, {INT(FAULT), SIGINFO("args[1]")}},
	{"lwp-create", "tp sched_process_fork", NULL, {LWPSINFO("args[1]"), PSINFO("args[1]")}},
	{"start", "entry schedule_tail", "curthread->pid == curthread->tgid"},
	{"lwp-start", "entry schedule_tail"},
	{"signal-clear", "tp sys_exit", "args[0]->orig_ax == 128 && args[1] > 0", {INT("args[1]")}},
	{"signal-send", "tp signal_generate", NULL, {TARGET}},
	/* It was ignored, is pending already, or there was no room. */
	{"signal-discard", "tp signal_generate", "args[4] >= 1 && args[4] <= 3", {TARGET}},
	{"signal-handle", "tp signal_deliver", IS_HANDLED,
	 {INT("(uint64_t)args[1] == 0 ? " ENDED_BY " : args[0]"), SIGINFO("args[1]"), ULONG(HANDLER)}},
};

STABLE_PROVIDER(proc, rows);
