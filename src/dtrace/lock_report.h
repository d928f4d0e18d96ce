/* What lockstat(8) and plockstat(8) have in common: dtrace(8) is run, what it counted becomes tables. */
#ifndef DTRACE_LOCK_REPORT_H
#define DTRACE_LOCK_REPORT_H

#include "base/str.h"

struct lock_report {
	const char *const *kinds; /* names of what is counted, n_kinds of them */
	size_t n_kinds;
	uint64_t rows;	 /* of each kind at most; 0: all */
	bool stacks;	 /* shown, not only their first frame that is no lock's own */
	bool rates, parts; /* events per second; columns of lockstat(8) */
	const char *pid; /* whom dtrace(8) watches, or NULL */
	char *const *command; /* or this, a vector */
};

/* The sentence of END that tells the rows of a kind: their keys are the lock and a place. */
void lock_report_end(struct strbuf *end, size_t kind, const char *count, const char *nsec, bool stack);
/* The whole program, the caller's. */
char *lock_report_program(const struct strbuf *clauses, const struct strbuf *end);
/* Runs the program and prints; the exit status. */
int lock_report_run(const struct lock_report *report, const char *program);

#endif
