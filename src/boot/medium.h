/*
 * The medium this node was booted from: CD, USB stick or image, found again by
 * its volume label.  It is mounted read-only while it is looked at, and the
 * node never needs it afterwards.
 */
#ifndef BOOT_MEDIUM_H
#define BOOT_MEDIUM_H

#include <stdbool.h>

#include "base/error.h"

#define MEDIUM_DIR "/run/atoll/medium"

bool medium_present(void);
/* Mounts it on MEDIUM_DIR (0, also if it is mounted already); -ENOENT: there is none. */
int medium_mount(struct error *err);
void medium_unmount(void);
/*
 * Copies a file of it to /run/atoll and gives that path; -ENOENT if there is no
 * medium or it has no such file.
 */
int medium_file(const char *name, char **ret, struct error *err);

#endif
