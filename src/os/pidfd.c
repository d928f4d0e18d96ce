#include "os/pidfd.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

int
pidfd_open_pid(pid_t pid, int *ret_fd, struct error *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return error_set_errno(err, errno, "process %d", (int)pid);
	*ret_fd = fd;
	return 0;
}

uint64_t
pidfd_inode(int pidfd)
{
	struct stat st;

	/* before pidfs every pidfd had the one inode of anon_inodefs, on its device */
	if (fstat(pidfd, &st) < 0 || st.st_ino < 2)
		return 0;
	return st.st_ino;
}

int
pidfd_open_noted(pid_t pid, uint64_t inode, int *ret_fd, struct error *err)
{
	cleanup_close int fd = -1;
	int r;

	if (pid <= 0)
		return error_set(err, ESRCH, "no process was noted");
	r = pidfd_open_pid(pid, &fd, err);
	if (r < 0)
		return r;
	if (pidfd_inode(fd) != inode)
		return error_set(err, ESRCH, "process %d is another one now", (int)pid);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
pidfd_signal(int pidfd, int signo, struct error *err)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0)
		return error_set_errno(err, errno, "signal %d", signo);
	return 0;
}

int
pidfd_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

int
pidfd_take_fd(int pidfd, int fd, int *ret_fd, struct error *err)
{
	int r = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (r < 0)
		return error_set_errno(err, errno, "descriptor %d of a process", fd);
	*ret_fd = r;
	return 0;
}

pid_t
pidfd_fork(uint64_t flags, int cgroup_fd, int *ret_pidfd, struct error *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		/* with CLONE_PARENT the kernel takes our own exit signal and wants none here */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	pid_t pid;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return error_set_errno(err, errno, "clone");
	if (pid > 0 && !ret_pidfd)
		close(pidfd);
	if (ret_pidfd)
		*ret_pidfd = pid > 0 ? pidfd : -1;
	return pid;
}
