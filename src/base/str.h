/*
 * Strings: growing buffers, vectors, numbers, and small encodings.
 * Memory returned is the caller's; it never is NULL (out of memory aborts).
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static inline bool
str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool
str_empty(const char *s)
{
	return !s || !*s;
}

/* The rest of s behind prefix, or NULL. */
const char *str_after(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *str_vprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* A buffer that grows; data is always NUL-terminated once something was added. */
struct strbuf {
	char *data; /* NULL while empty */
	size_t len; /* bytes, without the NUL */
	size_t cap;
};

#define STRBUF_INIT {0}
void strbuf_done(struct strbuf *b);
#define cleanup_strbuf CLEANUP(strbuf_done)
void strbuf_reset(struct strbuf *b); /* empties it, keeps the memory */
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_addv(struct strbuf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
char *strbuf_reserve(struct strbuf *b, size_t n); /* room for n more bytes at data+len */
char *strbuf_steal(struct strbuf *b);             /* never NULL: "" for an empty one */

/* A vector of owned strings, NULL-terminated in v for exec(). */
struct strv {
	char **v; /* NULL while empty */
	size_t n;
	size_t cap;
};

#define STRV_INIT {0}
void strv_done(struct strv *sv);
#define cleanup_strv CLEANUP(strv_done)
void strv_add(struct strv *sv, const char *s); /* copies */
void strv_take(struct strv *sv, char *s);      /* takes ownership */
void strv_addf(struct strv *sv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_addl(struct strv *sv, ...) __attribute__((sentinel)); /* strings, then NULL */
bool strv_has(const struct strv *sv, const char *s);
void strv_remove(struct strv *sv, size_t i);
void strv_sort(struct strv *sv);
char *strv_join(const struct strv *sv, const char *sep);
/* Adds the pieces of s between any of the bytes in seps; empty pieces are kept. */
void strv_split(struct strv *sv, const char *s, const char *seps);
/* The same, leaving out empty pieces (words). */
void strv_words(struct strv *sv, const char *s, const char *seps);

/*
 * Numbers: the whole string must be one, in range; else -EINVAL or -ERANGE
 * and *ret is untouched.  base as strtoll().
 */
int str_to_i64(const char *s, int base, int64_t *ret);
int str_to_u64(const char *s, int base, uint64_t *ret);
int str_to_int(const char *s, int *ret);
/* "10", "10k", "10M", "1.5G", "2T" in powers of 1024; result in bytes. */
int str_to_size(const char *s, uint64_t *ret);
/* "true" "false" "1" "0" "yes" "no" "on" "off". */
int str_to_bool(const char *s, bool *ret);
/* As `zfs list` prints sizes: "1.50G", "512M", "0B"; buf holds at least 16 bytes. */
const char *str_human_size(uint64_t bytes, char *buf);

char *str_trim(char *s);  /* in place: cuts white space at both ends */
char *str_lower(char *s); /* in place, ASCII */

char *str_hex(const void *data, size_t len);
int str_unhex(const char *s, void *ret, size_t len); /* exactly 2*len digits */
char *str_base64(const void *data, size_t len);
/* -EINVAL on a byte outside the alphabet; *ret is NUL-terminated, *ret_len without it. */
int str_unbase64(const char *s, char **ret, size_t *ret_len);

/* For POSIX sh: 'it'\''s'.  Only for showing commands to people and for bash-sourceable files. */
char *str_shell_quote(const char *s);

/* 8-4-4-4-12 lower- or upper-case hex. */
bool str_is_uuid(const char *s);
#define UUID_LEN 36
void uuid_random(char ret[UUID_LEN + 1]); /* version 4 */

#endif
