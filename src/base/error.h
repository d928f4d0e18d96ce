/*
 * struct error: what went wrong, told where the facts are.
 *
 * Functions that can fail return 0 or a negative errno and take a last
 * `struct error *err`, which may be NULL.  error_set() fills it and returns
 * -code, so that a failure is one line:
 *
 *	return error_set(err, ENOENT, "image %s is not installed", uuid);
 *
 * Callers that know more put it in front: error_wrap(err, r, "zone %s", name)
 * makes "zone web: image ... is not installed" and returns r.
 * Success never touches err; outputs (ret_...) are untouched on failure.
 * A command prints err with error_print() and leaves with its exit status.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

struct error {
	int code;      /* positive errno */
	char *message; /* owned; NULL while nothing failed */
	char *path;    /* owned; the JSON path, file or property concerned, or NULL */
};

#define ERROR_INIT {0}

/* Frees what err holds and makes it reusable. */
void error_done(struct error *err);
#define cleanup_error __attribute__((cleanup(error_done)))

/* Sets code and message, replacing what was there.  Returns -code. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with strerror(code) after "...: ". */
int error_set_errno(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with the path (file, property, JSON path) the message is about. */
int error_set_path(struct error *err, int code, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "prefix: " in front of the message; returns r unchanged. */
int error_wrap(struct error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Moves src into dst (which is released first); src is left empty. */
void error_move(struct error *dst, struct error *src);

/* The message, or strerror(code), or "no error". */
const char *error_message(const struct error *err);

/* Out of memory is fatal everywhere: these never return NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);  /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t size);

/* Goes on if the call succeeded; else its error is the caller's, too. */
#define TRY(call)                   \
	do {                        \
		int try_ = (call);  \
		if (try_ < 0)       \
			return try_; \
	} while (0)

#endif
