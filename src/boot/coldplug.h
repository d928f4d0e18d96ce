/*
 * Devices the kernel found before udevd ran are announced again, so that
 * drivers are loaded and links made: in two parts, since this is the longest
 * part of a boot.
 */
#ifndef BOOT_COLDPLUG_H
#define BOOT_COLDPLUG_H

#include <stdbool.h>

#include "base/error.h"

/* What may lead to a disk, a NIC or a console; with late, the rest. */
int coldplug_announce(bool late, struct error *err);

#endif
