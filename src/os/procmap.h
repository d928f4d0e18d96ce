/* What another process has mapped, and the very files behind it (proc(5): maps, map_files). */
#ifndef OS_PROCMAP_H
#define OS_PROCMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct procmap {
	uint64_t start, end, offset;
	uint64_t dev, inode; /* 0: no file */
	bool exec, write;
	char *path; /* as the kernel shows it to us; "" if it has none, "[vdso]" */
};

struct procmaps {
	struct procmap *v; /* in order of address */
	size_t n;
};

/* -ESRCH if there is no such process (any more). */
int procmaps_read(pid_t pid, struct procmaps *ret, struct error *err);
void procmaps_done(struct procmaps *m);
#define cleanup_procmaps __attribute__((cleanup(procmaps_done)))
/* The mapping that covers addr, or NULL. */
const struct procmap *procmaps_at(const struct procmaps *m, uint64_t addr);
/*
 * The mapped file itself, for reading, though it be deleted or in another mount
 * namespace; never a FIFO or device.
 */
int procmap_open(pid_t pid, const struct procmap *m, int *ret_fd, struct error *err);
/* The process's root directory as a handle (O_PATH). */
int proc_root_open(pid_t pid, int *ret_fd, struct error *err);
/* Clock ticks since boot at which it started: tells a pid used again; 0 if it is gone. */
uint64_t proc_start_time(pid_t pid);
/* Inside its own pid namespace it has this number; 0 if it is gone. */
pid_t proc_inner_pid(pid_t pid);

#endif
