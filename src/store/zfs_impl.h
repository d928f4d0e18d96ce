/* What the files of src/store share: running `zfs` and `zpool`, and telling errno from their words. */
#ifndef STORE_ZFS_IMPL_H
#define STORE_ZFS_IMPL_H

#include "base/error.h"
#include "base/str.h"
#include "os/run.h"

/* Runs argv (a `zfs` or `zpool` command); output may be NULL. */
int zfs_run(const struct strv *argv, char **output, struct error *err);
/* The errno that a message of zfs or zpool stands for. */
int zfs_errno_of(const char *message);
/* run_wait() for a child whose stderr is piped to us: its words become the message. */
int zfs_finish(struct run_child *c, const char *what, struct error *err);

struct pool_found_list;
/* What `zpool import` printed (pool.c). */
void pool_search_parse(const char *text, struct pool_found_list *ret);

/* How long a device node may take after ZFS made the device. */
enum { DEVICE_TIMEOUT_MS = 60 * 1000 };

#endif
