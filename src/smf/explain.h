/*
 * svcs -x and -l: why something does not run, what that costs, where to look.
 */
#ifndef SMF_EXPLAIN_H
#define SMF_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "smf/view.h"

/* The log of an instance, wherever it is now; the caller's. */
char *explain_log(const char *fmri);
/* The processes of its contract (the caller's array) and how many; none if it does not run. */
size_t explain_processes(const struct view_inst *i, pid_t **ret);
/* When a process started, in ms since boot. */
uint64_t explain_process_start_ms(int pid);

/* named: also those that run well.  Both return an exit status. */
int explain_problems(struct view *v, const bool *shown, bool named, bool verbose);
int explain_long(struct view *v, const bool *shown, bool verbose);

#endif
