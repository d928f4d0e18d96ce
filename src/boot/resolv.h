/*
 * /etc/resolv.conf of the node, from what the configuration says and what DHCP
 * leases brought.  The configuration's resolvers come first; at most three in
 * all are written, as the C library reads no more.
 */
#ifndef BOOT_RESOLV_H
#define BOOT_RESOLV_H

#include "base/error.h"
#include "base/str.h"

#define NET_LEASE_DIR "/run/atoll/dhcp" /* IFNAME: a KEY=VALUE file per lease */
#define NET_STATIC_RESOLV "/run/atoll/resolv.static" /* what the configuration says, likewise */

/* The text; leases are those of dir, by name. */
int resolv_make(const char *static_path, const char *lease_dir, char **ret, struct error *err);
/* Makes and writes /etc/resolv.conf. */
int resolv_update(struct error *err);

#endif
