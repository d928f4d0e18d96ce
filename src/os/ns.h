/* Namespaces: id maps, entering. */
#ifndef OS_NS_H
#define OS_NS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Maps ids 0..count-1 of the user namespace of pid to base.. on the host, users and groups. */
int ns_map_ids(pid_t pid, uint32_t base, uint32_t count, struct error *err);
/* "user", "mnt", "net"... of a process. */
int ns_open(pid_t pid, const char *name, int *ret_fd, struct error *err);
/*
 * A user namespace that maps like ns_map_ids(), without a process in it: for
 * idmapped mounts of zones that are not running.
 */
int ns_user_new(uint32_t base, uint32_t count, int *ret_fd, struct error *err);
/* Enters the namespaces (CLONE_NEW*) of a process, all at once; children are born in its pid one. */
int ns_enter(int pidfd, int flags, struct error *err);

/* Are this process' ids of processes those of the node: is /proc that of the first namespace? */
bool ns_pids_are_first(void);

#endif
