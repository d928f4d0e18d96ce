/*
 * The system pool in use: what of it is mounted where, swap, cores.  The same
 * at boot and right after an installation.
 */
#ifndef BOOT_SYSTEM_POOL_H
#define BOOT_SYSTEM_POOL_H

#include <stdbool.h>

#include "base/error.h"

#define USBKEY "/usbkey"
#define USBKEY_CONFIG USBKEY "/config"
/* Holds the name of the system pool while it is mounted. */
#define SYSTEM_POOL_FILE "/run/atoll/system_pool"

/*
 * Mounts POOL/config on /etc/zones, usbkey on /usbkey, opt on /opt and, after
 * filling in what this image brings, var on /var; turns swap on; points core
 * files at POOL/cores/global; notes which image runs.  A dataset that the pool
 * does not have is said and left out, but for usbkey and var.
 */
int system_pool_mount(const char *pool, struct error *err);
/*
 * 1 if POOL/usbkey holds a configuration, and then it is mounted on /usbkey; 0 if it holds none, as
 * after an installation that did not finish, or if the pool has no such dataset: nothing is mounted.
 */
int system_pool_configured(const char *pool, struct error *err);
/* Swap off, the four file systems unmounted (lazily if they are busy). */
int system_pool_unmount(const char *pool, struct error *err);

#endif
