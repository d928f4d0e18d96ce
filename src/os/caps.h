/* Capabilities of the calling process. */
#ifndef OS_CAPS_H
#define OS_CAPS_H

#include <linux/capability.h>
#include <stdint.h>

#include "base/error.h"

#define CAP_BIT(cap) (UINT64_C(1) << (cap))

/* Takes `drop` out of the bounding set: no exec gives them back. */
int caps_drop_bounding(uint64_t drop, struct error *err);
/* Effective and permitted become exactly `keep` (of what we have), inheritable and ambient none. */
int caps_limit(uint64_t keep, struct error *err);

#endif
