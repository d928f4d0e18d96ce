/*
 * Boot parameters: what the loader put on the kernel's command line.
 *
 *	noimport=true zpools=zones,tank root_shadow='$5$salt$hash' BOOT_admin_ip=dhcp
 *
 * The illumos form is taken as well: -B smartos=true,noimport=true.  A word
 * without '=' is a parameter with an empty value; the last of several wins.
 */
#ifndef BOOT_BOOT_PARAMS_H
#define BOOT_BOOT_PARAMS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/map.h"

/* A map from name to value (char *), in order of appearance. */
struct map *boot_params_parse(const char *cmdline);
/* From /proc/cmdline (or $ATOLL_CMDLINE, for tests). */
int boot_params_read(struct map **ret, struct error *err);
/* NULL if it was not given. */
const char *boot_param(const struct map *params, const char *name);
/* Given as "", true, yes, on or 1. */
bool boot_param_true(const struct map *params, const char *name);

#endif
