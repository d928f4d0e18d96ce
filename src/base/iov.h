/* Scattered memory: copies out of and into it, and pieces of it. */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Copies between segments, from byte skip on, and memory in one piece; returns how much there was. */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t skip, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t skip, const void *buf, size_t len);

/*
 * Cuts segments to [skip, skip + len) in place, len UINT64_MAX: to their end; returns the first,
 * and how many there are.
 */
struct iovec *iov_cut(struct iovec *iov, unsigned *n, size_t skip, uint64_t len);
/* One more behind *n, which is joined with the last if it follows it; false: there are max already. */
bool iov_add(struct iovec *iov, unsigned *n, unsigned max, void *p, size_t len);

#endif
