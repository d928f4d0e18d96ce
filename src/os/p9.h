/*
 * A directory, served by 9P2000.L: messages in, messages out, whatever carries them (a ring of a
 * guest's, a pipe that the kernel's own client has mounted with trans=fd).
 */
#ifndef OS_P9_H
#define OS_P9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { P9_MESSAGE_MAX = 256 << 10, P9_MAX_FIDS = 8192 /* each is one or two descriptors */ };

struct p9;

int p9_open(const char *path, bool ro, struct p9 **ret, struct error *err);
void p9_free(struct p9 *s); /* NULL is fine */
/* As if a client had just connected. */
void p9_reset(struct p9 *s);
/* Where the next request belongs: P9_MESSAGE_MAX bytes. */
uint8_t *p9_request(struct p9 *s);
/* Does the request of len bytes; the length of the answer, at most space, or 0: there is none. */
size_t p9_answer(struct p9 *s, size_t len, size_t space, const uint8_t **ret);

#endif
