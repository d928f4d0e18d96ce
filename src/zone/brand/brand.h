/*
 * Brands: what kind of system lives in a zone.  A declaration here, which every
 * program of the domain may read, and hooks (struct brand_ops in
 * zoneadmd/zoneadmd.h) that only the zone's daemon calls.
 */
#ifndef ZONE_BRAND_BRAND_H
#define ZONE_BRAND_BRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "os/seccomp.h"

struct brand {
	const char *name;
	const char *type;  /* as `vmadm list` says: "LX" */
	bool vm;           /* a virtual machine monitor instead of an init */
	const char *init;  /* unless the attr init-name names another */
	const char *zonecontrol; /* where the metadata socket's directory appears */
	const struct seccomp_policy *seccomp;
	uint64_t drop_caps; /* capabilities no process of the zone ever has */
	unsigned shutdown_s;
	int reboot_status; /* exit status of a monitor whose guest reset itself; -1: none */
	const char *summary;
};

const struct brand *brand_find(const char *name); /* NULL if unknown */
const struct brand *brand_at(size_t i);           /* NULL at the end */

#endif
