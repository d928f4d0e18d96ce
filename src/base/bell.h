/*
 * A bell: a descriptor that one thread rings and another waits for.  Ringing it twice before
 * anybody looked is ringing it once.
 */
#ifndef BASE_BELL_H
#define BASE_BELL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"

static inline int
bell_new(int *ret_fd, struct error *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return error_set_errno(err, errno, "eventfd");
	*ret_fd = fd;
	return 0;
}

/* From any thread, and from signal handlers. */
static inline void
bell_ring(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* full means: rung already */
}

/* Quiets it; true if it had been rung. */
static inline bool
bell_hush(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

#endif
