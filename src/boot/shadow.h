/*
 * The password file: the image's own accounts, with the node's passwords.
 */
#ifndef BOOT_SHADOW_H
#define BOOT_SHADOW_H

#include "base/error.h"

/*
 * Lines of base, each replaced by the line saved (may be NULL) has for the same
 * account; root's password field becomes root_hash if that is not NULL.  An
 * account that only saved knows is left out: this image does not have it.
 */
char *shadow_merge(const char *base, const char *saved, const char *root_hash);
/* A hash that can stand in the file: crypt(3) of any kind, "*", "!..." or "". */
int shadow_check_hash(const char *hash, struct error *err);
/* crypt(3) with a fresh SHA-512 salt; the caller's. */
int shadow_hash(const char *password, char **ret, struct error *err);

#endif
