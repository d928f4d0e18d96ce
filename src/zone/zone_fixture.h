/* For tests: a zone with a root of busybox in a directory of its own, and what it prints. */
#ifndef ZONE_ZONE_FIXTURE_H
#define ZONE_ZONE_FIXTURE_H

#include <stdbool.h>

#include "base/error.h"
#include "zone/zone.h"

struct home {
	char *name;
	char *path; /* zonepath */
	struct error err;
};

/* Installed, brand lx; skips the test where there can be none. */
struct home make_zone(const char *word);
void home_done(struct home *h);
#define cleanup_home CLEANUP(home_done)
char *in_root(const struct home *h, const char *file);
/* Reads fd until the text was seen; what came behind it is there for the next call. */
bool console_shows(int fd, const char *text);

#endif
