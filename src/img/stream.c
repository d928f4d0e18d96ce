#include "img/stream.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

ssize_t
stream_read(struct stream *s, void *buf, size_t len, struct error *err)
{
	return s->ops->read(s, buf, len, err);
}

void
stream_free(struct stream *s)
{
	if (s)
		s->ops->free(s);
}

/* --- files */

struct file_stream {
	struct stream base;
	int fd;
	char *path;
};

static ssize_t
file_stream_read(struct stream *s, void *buf, size_t len, struct error *err)
{
	struct file_stream *f = container_of(s, struct file_stream, base);
	ssize_t n;

	do
		n = read(f->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? error_set_errno(err, errno, "%s", f->path) : n;
}

static void
file_stream_free(struct stream *s)
{
	struct file_stream *f = container_of(s, struct file_stream, base);

	close(f->fd);
	free(f->path);
	free(f);
}

int
stream_open_file(const char *path, struct stream **ret, struct error *err)
{
	static const struct stream_ops ops = {file_stream_read, file_stream_free};
	struct file_stream *f;
	int fd;

	if (str_eq(path, "-"))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	f = xcalloc(1, sizeof(*f));
	*f = (struct file_stream){.base = {&ops}, .fd = fd, .path = xstrdup(path)};
	*ret = &f->base;
	return 0;
}

/* --- size and digest */

struct verify_stream {
	struct stream base;
	struct stream *from;
	EVP_MD_CTX *md;
	char sha1[41];
	uint64_t size, done;
	bool checked;
	stream_progress_fn *progress;
	void *arg;
};

static int
verify_end(struct verify_stream *v, struct error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (v->checked)
		return 0;
	v->checked = true;
	if (v->done != v->size)
		return error_set(err, EBADMSG,
				 "image file ends after %llu bytes, manifest says size %llu",
				 (unsigned long long)v->done, (unsigned long long)v->size);
	EVP_DigestFinal_ex(v->md, digest, &len);
	cleanup_free char *hex = str_hex(digest, len);
	if (!str_eq(hex, v->sha1))
		return error_set(err, EBADMSG, "image file has sha1 %s, manifest says %s", hex,
				 v->sha1);
	return 0;
}

static ssize_t
verify_read(struct stream *s, void *buf, size_t len, struct error *err)
{
	struct verify_stream *v = container_of(s, struct verify_stream, base);
	ssize_t n = stream_read(v->from, buf, len, err);
	int r;

	if (n < 0)
		return n;
	if (n == 0) {
		r = verify_end(v, err);
		return r < 0 ? r : 0;
	}
	v->done += (uint64_t)n;
	if (v->done > v->size)
		return error_set(err, EBADMSG, "image file is larger than the manifest's size %llu",
				 (unsigned long long)v->size);
	EVP_DigestUpdate(v->md, buf, (size_t)n);
	if (v->progress)
		v->progress(v->done, v->arg);
	return n;
}

static void
verify_free(struct stream *s)
{
	struct verify_stream *v = container_of(s, struct verify_stream, base);

	stream_free(v->from);
	EVP_MD_CTX_free(v->md);
	free(v);
}

struct stream *
stream_verify(struct stream *from, const struct manifest_file *file, stream_progress_fn *progress,
	      void *arg)
{
	static const struct stream_ops ops = {verify_read, verify_free};
	struct verify_stream *v = xcalloc(1, sizeof(*v));

	*v = (struct verify_stream){.base = {&ops}, .from = from, .md = EVP_MD_CTX_new(),
				    .size = file->size, .progress = progress, .arg = arg};
	snprintf(v->sha1, sizeof(v->sha1), "%s", file->sha1);
	EVP_DigestInit_ex(v->md, EVP_sha1(), NULL);
	return &v->base;
}

/* --- decompression: libarchive's filters around a "raw" archive of one entry */

struct unpack_stream {
	struct stream base;
	struct stream *from;
	struct archive *a;
	struct error error; /* of `from`, under libarchive's feet */
	enum compression compression;
	bool started, fed;
	char buf[128 * 1024];
};

static la_ssize_t
unpack_feed(struct archive *a, void *arg, const void **ret)
{
	struct unpack_stream *u = arg;
	ssize_t n = stream_read(u->from, u->buf, sizeof(u->buf), &u->error);

	*ret = u->buf;
	if (n < 0)
		archive_set_error(a, EIO, "%s", error_message(&u->error));
	u->fed |= n > 0;
	return n < 0 ? -1 : n;
}

static int
unpack_error(struct unpack_stream *u, struct error *err)
{
	const char *text = archive_error_string(u->a);

	if (u->error.code) {
		int r = -u->error.code;

		error_move(err, &u->error);
		return r;
	}
	return error_set(err, EBADMSG, "image file is not good %s data: %s",
			 compression_name(u->compression), text ? text : "unknown error");
}

static const struct {
	int filter;
	int (*support)(struct archive *);
} filters[] = {
	[COMP_NONE] = {ARCHIVE_FILTER_NONE, archive_read_support_filter_none},
	[COMP_GZIP] = {ARCHIVE_FILTER_GZIP, archive_read_support_filter_gzip},
	[COMP_BZIP2] = {ARCHIVE_FILTER_BZIP2, archive_read_support_filter_bzip2},
	[COMP_XZ] = {ARCHIVE_FILTER_XZ, archive_read_support_filter_xz},
	[COMP_ZSTD] = {ARCHIVE_FILTER_ZSTD, archive_read_support_filter_zstd},
};

/* Reads the first bytes: which filter took them tells what they are. */
static int
unpack_start(struct unpack_stream *u, struct error *err)
{
	struct archive_entry *entry;
	int r = archive_read_open(u->a, u, NULL, unpack_feed, NULL);

	u->started = true;
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(u->a, &entry);
	if (r == ARCHIVE_EOF || (!u->fed && !u->error.code))
		return error_set(err, EBADMSG, "image file is empty");
	if (r < ARCHIVE_WARN)
		return unpack_error(u, err);
	if (archive_filter_code(u->a, 0) != filters[u->compression].filter)
		return error_set(err, EBADMSG, "image file is not %s, as the manifest says",
				 compression_name(u->compression));
	return 0;
}

static ssize_t
unpack_read(struct stream *s, void *buf, size_t len, struct error *err)
{
	struct unpack_stream *u = container_of(s, struct unpack_stream, base);
	la_ssize_t n;
	int r;

	if (!u->started) {
		r = unpack_start(u, err);
		if (r < 0)
			return r;
	}
	n = archive_read_data(u->a, buf, len);
	/*
	 * A filter that looks for another member behind the end takes a failure
	 * there for the end: the failure that we kept counts.
	 */
	if (n < 0 || (n == 0 && u->error.code))
		return unpack_error(u, err);
	if (n > 0)
		return n;
	/* Bytes behind the compressed data count too: size and sha1 are of the whole file. */
	for (;;) {
		ssize_t rest = stream_read(u->from, u->buf, sizeof(u->buf), err);

		if (rest <= 0)
			return rest;
	}
}

static void
unpack_free(struct stream *s)
{
	struct unpack_stream *u = container_of(s, struct unpack_stream, base);

	archive_read_free(u->a);
	stream_free(u->from);
	error_done(&u->error);
	free(u);
}

int
stream_decompress(struct stream *from, enum compression c, struct stream **ret, struct error *err)
{
	static const struct stream_ops ops = {unpack_read, unpack_free};
	struct unpack_stream *u;

	if (c == COMP_NONE) {
		*ret = from;
		return 0;
	}
	u = xcalloc(1, sizeof(*u));
	*u = (struct unpack_stream){.base = {&ops}, .from = from, .compression = c};
	u->a = archive_read_new();
	archive_read_support_format_raw(u->a);
	if (filters[c].support(u->a) != ARCHIVE_OK) {
		/* ARCHIVE_WARN: it would run a program for it, which may not be there. */
		int r = error_set(err, ENOTSUP, "compression %s: %s", compression_name(c),
				  archive_error_string(u->a));

		unpack_free(&u->base);
		return r;
	}
	*ret = &u->base;
	return 0;
}
