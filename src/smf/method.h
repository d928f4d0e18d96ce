/*
 * Methods: from the properties of an instance to what is executed.
 *
 * A method's exec string is a token (":kill", ":true"), or a command whose
 * %-tokens are expanded first.  Without shell metacharacters it is executed
 * directly, else by /bin/sh -c.  Everything that can fail, fails here, before
 * there is a process; method_child() then only makes system calls, for it runs
 * in a vfork child.
 */
#ifndef SMF_METHOD_H
#define SMF_METHOD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"
#include "smf/plan.h"
#include "smf/state.h"

enum method_kind { METHOD_EXEC, METHOD_KILL, METHOD_TRUE };

#define METHOD_MAX_GROUPS 64

struct method {
	enum method_kind kind;
	int signo;           /* METHOD_KILL */
	uint64_t timeout_ms; /* 0: no limit */
	struct strv argv, env;
	char *text; /* the expanded exec string, for the log */
	char *dir;
	bool credential;
	uid_t uid;
	gid_t gid;
	gid_t groups[METHOD_MAX_GROUPS];
	size_t n_groups;
};

void method_done(struct method *m);
#define cleanup_method CLEANUP(method_done)

/*
 * name: "start", "stop", "refresh".  1 if the instance has no such method, a
 * negative errno if it cannot be carried out as configured.
 */
int method_prepare(const struct plan *p, const struct plan_inst *i, const char *name,
		   struct method *ret, struct error *err);
/* %-tokens of text; the caller's. */
int method_expand(const struct plan *p, const struct plan_inst *i, const char *method,
		  const char *text, char **ret, struct error *err);

/* What the child needs, in memory it shares with startd. */
struct method_start {
	const struct method *m;
	int log_fd, null_fd;
	const struct rlimit *nofile; /* to be restored, or NULL */
	struct state_rec *rec;       /* gets the process id before the exec */
	int error;                   /* set by the child if it could not execute */
	const char *step;            /* what it could not do */
};
void method_child(void *start); /* a cgroup_vfork() function */

#endif
