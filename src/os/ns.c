#include "os/ns.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "os/pidfd.h"

int
ns_map_ids(pid_t pid, uint32_t base, uint32_t count, struct error *err)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	char path[64], map[64];
	int r;

	snprintf(map, sizeof(map), "0 %" PRIu32 " %" PRIu32 "\n", base, count);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		r = file_write(path, map, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
ns_open(pid_t pid, const char *name, int *ret_fd, struct error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

int
ns_user_new(uint32_t base, uint32_t count, int *ret_fd, struct error *err)
{
	cleanup_close int pidfd = -1;
	pid_t pid;
	int r;

	pid = pidfd_fork(CLONE_NEWUSER, -1, &pidfd, err);
	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		for (;;)
			pause();
	}
	r = ns_map_ids(pid, base, count, err);
	if (r == 0)
		r = ns_open(pid, "user", ret_fd, err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

int
ns_enter(int pidfd, int flags, struct error *err)
{
	if (setns(pidfd, flags) < 0)
		return error_set_errno(err, errno, "entering the namespaces");
	return 0;
}

bool
ns_pids_are_first(void)
{
	struct stat st;

	/* include/linux/proc_ns.h: PROC_PID_INIT_INO */
	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == 0xEFFFFFFC;
}
