/*
 * System call filters as a balanced tree of comparisons: the kernel runs the
 * filter once for every call number when it is installed, and a ladder of a few
 * hundred rules costs it a millisecond where a tree costs 60 us.
 *
 * A policy is a table of rows that end with a zero row; what no row names gets
 * the policy's default.
 */
#ifndef OS_SECCOMP_H
#define OS_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SCMP_ALLOW 0
#define SCMP_KILL (-1)
#define SCMP_TRAP (-2) /* SIGSYS; else an errno that the call fails with */

struct seccomp_rule {
	const char *name; /* of the system call: "keyctl" */
	int action;       /* SCMP_ALLOW, SCMP_KILL, SCMP_TRAP, or an errno */
};
struct seccomp_policy {
	const struct seccomp_rule *rules;
	int otherwise;       /* action for all others */
	bool compat;         /* the same rules for the 32-bit calls, else those are ENOSYS */
	bool deny_new_userns; /* clone() and unshare() with CLONE_NEWUSER fail with EPERM, clone3() ENOSYS */
};

/* The program; *ret->filter is the caller's (free).  Names this system does not know are skipped. */
int seccomp_compile(const struct seccomp_policy *p, struct sock_fprog *ret, struct error *err);
/* Installs it for this process and its children.  Needs CAP_SYS_ADMIN here, or no_new_privs. */
int seccomp_install(const struct sock_fprog *prog, struct error *err);
/* Number of a call by name, in this architecture or its 32-bit one; -1 if unknown. */
int seccomp_number(const char *name, bool compat);

#endif
