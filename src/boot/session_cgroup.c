/*
 * Run by pam_exec(8) when a session begins: takes it out of the contract of
 * the service that made it (ssh, console-login) into a cgroup of sessions.
 * Restarting the service then leaves those who are logged in alone, and a
 * program they kill is no failure of the service.
 */
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "os/cgroup.h"

#define SESSIONS "session"

int
main(void)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *type = getenv("PAM_TYPE");
	cleanup_close int fd = -1;

	if (type && !str_eq(type, "open_session"))
		return 0;
	log_init("session-cgroup");
	if (cgroup_create(SESSIONS, &fd, &err) < 0 ||
	    cgroup_write(fd, &err, "cgroup.procs", "%d", (int)getppid()) < 0) {
		log_error("%s", error_message(&err));
		return 1;
	}
	return 0;
}
