/*
 * svcs -x and -l: why something does not run, what that costs, where to look.
 */
#ifndef SMF_EXPLAIN_H
#define SMF_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "smf/view.h"

/* The log of an instance, wherever it is now; the caller's. */
char *explain_log(const char *fmri);
/* When a process started, in ms since boot. */
uint64_t explain_process_start_ms(int pid);

/* named: also those that run well.  Both return an exit status. */
int explain_problems(struct view *v, const bool *shown, bool named, bool verbose);
int explain_long(struct view *v, const bool *shown, bool verbose);

#endif
