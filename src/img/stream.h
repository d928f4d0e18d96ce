/*
 * Bytes of an image on their way in, pulled: from a file or over HTTP, and
 * through a decompressor.  One ops struct, three implementations.
 */
#ifndef IMG_STREAM_H
#define IMG_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "img/manifest.h"

struct stream;
struct stream_ops {
	/* Up to len bytes, 0 at the end, or a negative errno. */
	ssize_t (*read)(struct stream *s, void *buf, size_t len, struct error *err);
	void (*free)(struct stream *s);
};
struct stream {
	const struct stream_ops *ops;
};

ssize_t stream_read(struct stream *s, void *buf, size_t len, struct error *err);
void stream_free(struct stream *s); /* NULL is fine */
DEFINE_CLEANUP(stream_free, struct stream *);
#define cleanup_stream CLEANUP(stream_freep)

/* path "-" is standard input. */
int stream_open_file(const char *path, struct stream **ret, struct error *err);
/* http.c.  The answer must be 200; *ret_length (may be NULL) is 0 if not told. */
int stream_open_url(const char *url, bool insecure, struct stream **ret, uint64_t *ret_length,
		    struct error *err);

/*
 * Counts and digests what passes: expects exactly file->size bytes with
 * file->sha1.  More bytes fail at once, fewer or others at the end of the
 * stream.  progress (may be NULL) is told the count.  Takes over `from`.
 */
typedef void stream_progress_fn(uint64_t done, void *arg);
struct stream *stream_verify(struct stream *from, const struct manifest_file *file,
			     stream_progress_fn *progress, void *arg);

/*
 * Decompresses, checking that the data is what the manifest says: a
 * file of another compression is an error.  Takes over `from`.
 */
int stream_decompress(struct stream *from, enum compression c, struct stream **ret,
		      struct error *err);

#endif
