/*
 * Processes by descriptor: a pid may be used again, a pidfd never means another
 * process.  What is written down is the pid together with the inode of its
 * pidfd, which the kernel (6.9 and later) gives out once while it runs.
 */
#ifndef OS_PIDFD_H
#define OS_PIDFD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

int pidfd_open_pid(pid_t pid, int *ret_fd, struct error *err);
uint64_t pidfd_inode(int pidfd); /* 0 if the kernel has no unique ones */
/* The process `pid` was when its inode was noted; -ESRCH if it is gone or another. */
int pidfd_open_noted(pid_t pid, uint64_t inode, int *ret_fd, struct error *err);
int pidfd_signal(int pidfd, int signo, struct error *err);
/* 1 if the process ended (reaped or not), 0 if it runs. */
int pidfd_ended(int pidfd);
/* Duplicates descriptor fd of that process. */
int pidfd_take_fd(int pidfd, int fd, int *ret_fd, struct error *err);

/*
 * fork(2) with flags of clone3(2): CLONE_NEW*, CLONE_PARENT.  cgroup_fd -1: stays
 * where we are, else the child is born there.  Returns the pid, 0 in the child
 * (where *ret_pidfd is -1), or a negative errno.
 */
pid_t pidfd_fork(uint64_t flags, int cgroup_fd, int *ret_pidfd, struct error *err);

#endif
