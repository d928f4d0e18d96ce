/*
 * Trees of the RAM image that live on in the pool (/var): what is missing
 * there is copied; what is there is the node's own and stays.
 */
#ifndef BOOT_SEED_H
#define BOOT_SEED_H

#include "base/error.h"

/* Copies directories, files and links of from that to does not have, with owner and mode. */
int seed_tree(const char *from, const char *to, struct error *err);

#endif
