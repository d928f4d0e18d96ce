/*
 * cgroup v2: how Atoll holds the processes of a service or a zone together.
 *
 * A path is relative to the cgroup2 mount ("svc/network-ssh:default"), a fd is
 * the directory descriptor of one cgroup, the caller's.  Processes
 * are born inside (CLONE_INTO_CGROUP), never migrated: migration takes a global
 * lock in the kernel and a process that forks meanwhile escapes it.
 *
 * The end of a cgroup is an event, not a poll: cgroup_watch() fires when the
 * last process left it.  The id (64 bits, never reused while the system runs)
 * is the contract id that svcs(1) prints and the key of every BPF map.
 */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/event.h"

/* Where cgroup2 is mounted: /sys/fs/cgroup, or ./unified on a hybrid host; NULL if nowhere. */
const char *cgroup_root(void);
/* Makes cgroup_root() answer dir (tests, other namespaces); NULL looks again. */
void cgroup_set_root(const char *dir);

/* Makes path and its parents; one that exists is opened.  ret_fd may be NULL. */
int cgroup_create(const char *path, int *ret_fd, struct error *err);
int cgroup_open(const char *path, int *ret_fd, struct error *err);
/*
 * Removes path and the cgroups below it.  -EBUSY if processes are left, absent
 * is success.
 */
int cgroup_remove(const char *path, struct error *err);
bool cgroup_exists(const char *path);

uint64_t cgroup_id(int fd); /* 0 if fd is not a cgroup */

/* A control file of the cgroup: cgroup_write(fd, "memory.max", "%" PRIu64, n). */
int cgroup_write(int fd, struct error *err, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int cgroup_read(int fd, const char *file, char **ret, struct error *err);
/* Value of "key N" in a flat keyed file ("memory.events", "oom_kill"); -ENOENT if absent. */
int cgroup_read_key(int fd, const char *file, const char *key, uint64_t *ret);
/*
 * Turns controllers ("memory pids") on for path, in every parent from the root
 * down.  Only for cgroups with a limit: each controller costs every cgroup
 * below it memory and time.
 */
int cgroup_enable(const char *path, const char *controllers, struct error *err);

int cgroup_populated(int fd); /* 1 if it or a cgroup below holds a process, 0, -errno */
int cgroup_kill(int fd, struct error *err); /* SIGKILL to all, atomically (cgroup.kill) */
/* signo to every process in it and below; returns how many it reached, or -errno. */
int cgroup_signal(int fd, int signo, struct error *err);
int cgroup_freeze(int fd, bool frozen, struct error *err); /* asks; "frozen" in cgroup.events */
/* Process ids in it and below, ascending; *ret is the caller's (free). */
int cgroup_pids(int fd, pid_t **ret, size_t *ret_n, struct error *err);
/* Path of the cgroup a process is in (a zombie too), relative to the root; the caller's. */
int cgroup_of_pid(pid_t pid, char **ret, struct error *err);

/*
 * fork(2) into the cgroup.  flags: CLONE_NEW* and friends.  In the child
 * *ret_pidfd is -1.  ret_pidfd may be NULL.  Returns the pid, 0 in the child,
 * -errno.
 */
pid_t cgroup_fork(int fd, uint64_t flags, int *ret_pidfd, struct error *err);
/*
 * vfork(2) into the cgroup, at half the price: fn(arg) runs on a stack of its
 * own (64 KiB) in the child, which shares our memory, while we wait until it
 * calls execve() or _exit(); fn must end so.  Signal handlers are reset, the
 * signal mask is ours.  fd -1: no cgroup.
 */
pid_t cgroup_vfork(int fd, void (*fn)(void *arg), void *arg, int *ret_pidfd, struct error *err);

/*
 * Calls fn whenever the cgroup became empty (and once soon after the call, if
 * it is empty already).  The watch may be freed inside fn.
 */
struct cgroup_watch;
typedef void cgroup_empty_fn(struct cgroup_watch *w, void *arg);
int cgroup_watch(struct event_loop *l, int fd, cgroup_empty_fn *fn, void *arg,
		 struct cgroup_watch **ret, struct error *err);
void cgroup_watch_free(struct cgroup_watch *w); /* NULL is fine */
DEFINE_CLEANUP(cgroup_watch_free, struct cgroup_watch *);

#endif
