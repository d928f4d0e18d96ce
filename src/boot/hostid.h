/* The host's id (hostid(1), ZFS): the same at every boot of one machine. */
#ifndef BOOT_HOSTID_H
#define BOOT_HOSTID_H

#include <stdint.h>

#include "base/error.h"

/* Made from a system's UUID in any case of letters; never 0. */
uint32_t hostid_of_text(const char *text);
/* From the firmware's UUID, or the first network card's address where it has none. */
int hostid_of_system(uint32_t *ret, struct error *err);
int hostid_write(const char *path, uint32_t id, struct error *err);

/*
 * The system's UUID in lower case.  Firmware that gives none, or one that many
 * machines share (all 0, all f), counts as having none: -ENOENT.
 */
int system_uuid(char **ret, struct error *err);
/* The same, or one made of the first network card's address: what sysinfo shows. */
int node_uuid(char **ret, struct error *err);

#endif
