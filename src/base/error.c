/* Error objects and the allocators that never fail. */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static char *
format(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	return s;
}

void
error_done(struct error *err)
{
	if (!err)
		return;
	free(err->message);
	free(err->path);
	*err = (struct error)ERROR_INIT;
}

/* Takes message and path. */
static int
error_fill(struct error *err, int code, char *message, char *path)
{
	error_done(err);
	err->code = code;
	err->message = message;
	err->path = path;
	return -code;
}

int
error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	char *message;

	if (!err)
		return -code;
	va_start(ap, fmt);
	message = format(fmt, ap);
	va_end(ap);
	return error_fill(err, code, message, NULL);
}

int
error_set_errno(struct error *err, int code, const char *fmt, ...)
{
	cleanup_free char *what = NULL;
	va_list ap;
	char *message;

	if (!err)
		return -code;
	va_start(ap, fmt);
	what = format(fmt, ap);
	va_end(ap);
	if (asprintf(&message, "%s: %s", what, strerror(code)) < 0)
		abort();
	return error_fill(err, code, message, NULL);
}

int
error_set_path(struct error *err, int code, const char *path, const char *fmt, ...)
{
	va_list ap;
	char *message;

	if (!err)
		return -code;
	va_start(ap, fmt);
	message = format(fmt, ap);
	va_end(ap);
	return error_fill(err, code, message, xstrdup(path));
}

int
error_wrap(struct error *err, int r, const char *fmt, ...)
{
	cleanup_free char *prefix = NULL;
	va_list ap;
	char *message;

	if (!err)
		return r;
	va_start(ap, fmt);
	prefix = format(fmt, ap);
	va_end(ap);
	if (asprintf(&message, "%s: %s", prefix, error_message(err)) < 0)
		abort();
	free(err->message);
	err->message = message;
	if (!err->code)
		err->code = r < 0 ? -r : EIO;
	return r;
}

void
error_move(struct error *dst, struct error *src)
{
	if (dst) {
		error_done(dst);
		*dst = *src;
		*src = (struct error)ERROR_INIT;
	} else {
		error_done(src);
	}
}

const char *
error_message(const struct error *err)
{
	if (err->message)
		return err->message;
	return err->code ? strerror(err->code) : "no error";
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *
xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		abort();
	return p;
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		abort();
	return xrealloc(p, bytes);
}

char *
xstrdup(const char *s)
{
	return s ? xmemdup(s, strlen(s) + 1) : NULL;
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void *
xmemdup(const void *p, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, p, size);
	return copy;
}
