#include "base/iov.h"

#include <string.h>

static size_t
iov_copy(const struct iovec *iov, unsigned n, size_t skip, uint8_t *buf, size_t len, bool to_iov)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len, take;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		take = part - skip < len - done ? part - skip : len - done;
		if (to_iov)
			memcpy((uint8_t *)iov[i].iov_base + skip, buf + done, take);
		else
			memcpy(buf + done, (uint8_t *)iov[i].iov_base + skip, take);
		done += take;
		skip = 0;
	}
	return done;
}

size_t
iov_to_buf(const struct iovec *iov, unsigned n, size_t skip, void *buf, size_t len)
{
	return iov_copy(iov, n, skip, buf, len, false);
}

size_t
iov_from_buf(const struct iovec *iov, unsigned n, size_t skip, const void *buf, size_t len)
{
	return iov_copy(iov, n, skip, (uint8_t *)(uintptr_t)buf, len, true);
}

struct iovec *
iov_cut(struct iovec *iov, unsigned *n, size_t skip, uint64_t len)
{
	unsigned used = 0;

	while (*n && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		(*n)--;
	}
	if (*n) {
		iov->iov_base = (uint8_t *)iov->iov_base + skip;
		iov->iov_len -= skip;
	}
	while (len && used < *n) {
		struct iovec *v = &iov[used++];

		if (v->iov_len > len)
			v->iov_len = len;
		len -= v->iov_len;
	}
	*n = used;
	return iov;
}

bool
iov_add(struct iovec *iov, unsigned *n, unsigned max, void *p, size_t len)
{
	struct iovec *last = *n ? &iov[*n - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += len;
		return true;
	}
	if (*n == max)
		return false;
	iov[(*n)++] = (struct iovec){p, len};
	return true;
}
