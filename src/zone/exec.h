/* zone_exec() in its parts, for zlogin(1), which keeps working while the program runs. */
#ifndef ZONE_EXEC_H
#define ZONE_EXEC_H

#include "zone/zone.h"

struct zone_exec {
	const char *user;         /* NULL: root */
	const char *const *argv;  /* NULL or empty: a login shell */
	bool shell;               /* argv joined by spaces is given to the user's shell */
	bool login;               /* login_program -f USER, if it is there */
	const char *login_program;
	bool pty;                 /* in a terminal of the zone; in, out, err are not used */
	int size_from;            /* whose size the terminal takes first, or -1 */
	int in, out, err;
	const char *term;         /* TERM, or NULL */
};
struct zone_exec_child {
	pid_t pid;
	int pidfd;
	int errors, answer;
};
int zone_exec_start(const char *name, const struct zone_exec *x, struct zone_exec_child *ret,
		    struct error *err);
/* With pty: our end of the terminal. */
int zone_exec_terminal(struct zone_exec_child *c, int *ret_master, struct error *err);
/* Waits for the end; releases c.  -ENOENT with status 127, or -EIO: the program did not start. */
int zone_exec_finish(struct zone_exec_child *c, int *ret_status, struct error *err);

int zone_daemon_ensure(const char *name, struct error *err);

#endif
