/* Processes that dtrace starts (-c) or takes hold of (-p). */
#ifndef DTRACE_PROC_H
#define DTRACE_PROC_H

#include <sys/types.h>

#include "dtrace/dt.h"

/* How far a command runs before probes are looked for in it (-x evaltime=). */
enum evaltime {
	EVAL_PREINIT,  /* libraries are loaded, their constructors have not run */
	EVAL_EXEC,     /* nothing but the program and its loader is there */
	EVAL_POSTINIT, /* at the program's entry point */
	EVAL_MAIN,     /* at main() */
};

/* Starts the command and holds it there; $target is its id. */
int dt_proc_create(struct dt *dt, const char *command, struct error *err);
/* Holds all threads of a process; $target is its id. */
int dt_proc_grab(struct dt *dt, pid_t pid, struct error *err);
/* Probes are set: all that are held may go. */
int dt_procs_go(struct dt *dt, struct error *err);
/* Looks what became of them, passes signals on; true once there were some and all are gone. */
bool dt_procs_over(struct dt *dt);
/* Waits until there are records, a process changed, a signal came, or the time is over. */
void dt_procs_wait(struct dt *dt, int timeout_ms);
/* The i-th of them; 0 behind the last. */
pid_t dt_procs_pid(const struct dt *dt, size_t i);
/* Lets go of those grabbed, ends those started.  Done by dt_close() too. */
void dt_procs_release(struct dt *dt);

#endif
