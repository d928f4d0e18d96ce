/* String buffers, vectors, numbers and encodings. */
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

const char *
str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool
str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

char *
str_vprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	return s;
}

char *
str_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = str_vprintf(fmt, ap);
	va_end(ap);
	return s;
}

void
strbuf_done(struct strbuf *b)
{
	free(b->data);
	*b = (struct strbuf)STRBUF_INIT;
}

void
strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *
strbuf_reserve(struct strbuf *b, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(b->len, n + 1, &need) || need < n)
		abort();
	if (need > b->cap) {
		b->cap = need > 2 * b->cap ? need : 2 * b->cap;
		if (b->cap < 64)
			b->cap = 64;
		b->data = xrealloc(b->data, b->cap);
	}
	return b->data + b->len;
}

void
strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	strbuf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
strbuf_adds(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void
strbuf_addc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void
strbuf_addv(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		abort();
	strbuf_reserve(b, (size_t)n);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void
strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_addv(b, fmt, ap);
	va_end(ap);
}

char *
strbuf_steal(struct strbuf *b)
{
	char *s;

	strbuf_reserve(b, 0);
	b->data[b->len] = '\0';
	s = b->data;
	*b = (struct strbuf)STRBUF_INIT;
	return s;
}

void
strv_done(struct strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct strv)STRV_INIT;
}

void
strv_take(struct strv *sv, char *s)
{
	if (sv->n + 2 > sv->cap) {
		sv->cap = sv->cap ? 2 * sv->cap : 8;
		sv->v = xreallocarray(sv->v, sv->cap, sizeof(*sv->v));
	}
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
}

void
strv_add(struct strv *sv, const char *s)
{
	strv_take(sv, xstrdup(s));
}

void
strv_addf(struct strv *sv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(sv, str_vprintf(fmt, ap));
	va_end(ap);
}

void
strv_addl(struct strv *sv, ...)
{
	const char *s;
	va_list ap;

	va_start(ap, sv);
	while ((s = va_arg(ap, const char *)))
		strv_add(sv, s);
	va_end(ap);
}

bool
strv_has(const struct strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (strcmp(sv->v[i], s) == 0)
			return true;
	return false;
}

void
strv_remove(struct strv *sv, size_t i)
{
	free(sv->v[i]);
	memmove(&sv->v[i], &sv->v[i + 1], (sv->n - i) * sizeof(*sv->v));
	sv->n--;
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
strv_sort(struct strv *sv)
{
	if (sv->n)
		qsort(sv->v, sv->n, sizeof(*sv->v), compare_strings);
}

char *
strv_join(const struct strv *sv, const char *sep)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < sv->n; i++) {
		if (i)
			strbuf_adds(&b, sep);
		strbuf_adds(&b, sv->v[i]);
	}
	return strbuf_steal(&b);
}

void
strv_split(struct strv *sv, const char *s, const char *seps)
{
	for (;;) {
		size_t n = strcspn(s, seps);

		strv_take(sv, xstrndup(s, n));
		if (!s[n])
			return;
		s += n + 1;
	}
}

void
strv_words(struct strv *sv, const char *s, const char *seps)
{
	while (*(s += strspn(s, seps))) {
		size_t n = strcspn(s, seps);

		strv_take(sv, xstrndup(s, n));
		s += n;
	}
}

int
str_to_i64(const char *s, int base, int64_t *ret)
{
	long long v;
	char *end;

	if (str_empty(s) || isspace((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoll(s, &end, base);
	if (errno == ERANGE)
		return -ERANGE;
	if (*end || end == s)
		return -EINVAL;
	*ret = v;
	return 0;
}

int
str_to_u64(const char *s, int base, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	if (str_empty(s) || isspace((unsigned char)*s) || *s == '-')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, base);
	if (errno == ERANGE)
		return -ERANGE;
	if (*end || end == s)
		return -EINVAL;
	*ret = v;
	return 0;
}

int
str_to_int(const char *s, int *ret)
{
	int64_t v;
	int r = str_to_i64(s, 10, &v);

	if (r < 0)
		return r;
	if (v < INT32_MIN || v > INT32_MAX)
		return -ERANGE;
	*ret = (int)v;
	return 0;
}

static const char size_units[] = "BKMGTPE";

int
str_to_size(const char *s, uint64_t *ret)
{
	const char *unit;
	double bytes;
	char *end;

	if (str_empty(s) || !isdigit((unsigned char)*s))
		return -EINVAL;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		return -EINVAL;
	if (strspn(s, "0123456789") == strlen(s)) /* exact, beyond a double's 53 bits */
		return str_to_u64(s, 10, ret);
	bytes = strtod(s, &end);
	if (*end) {
		unit = strchr(size_units, toupper((unsigned char)*end));
		if (!unit || (end[1] && !(toupper((unsigned char)end[1]) == 'B' && !end[2])))
			return -EINVAL;
		for (; unit > size_units; unit--)
			bytes *= 1024;
	}
	if (bytes >= 18446744073709551615.0)
		return -ERANGE;
	*ret = (uint64_t)bytes;
	return 0;
}

int
str_to_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"true", "1", "yes", "on"};
	static const char *const no[] = {"false", "0", "no", "off"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (str_eq(s, yes[i]) || str_eq(s, no[i])) {
			*ret = str_eq(s, yes[i]);
			return 0;
		}
	}
	return -EINVAL;
}

const char *
str_human_size(uint64_t bytes, char *buf)
{
	double v = (double)bytes;
	int unit = 0;

	while (v >= 1024 && unit < 6) {
		v /= 1024;
		unit++;
	}
	if (unit == 0 || v == (double)(uint64_t)v)
		snprintf(buf, 16, "%.0f%c", v, size_units[unit]);
	else
		snprintf(buf, 16, "%.*f%c", v < 10 ? 2 : v < 100 ? 1 : 0, v, size_units[unit]);
	return buf;
}

char *
str_trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

char *
str_lower(char *s)
{
	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return s;
}

static const char hex_digits[] = "0123456789abcdef";

char *
str_hex(const void *data, size_t len)
{
	const unsigned char *p = data;
	char *s = xmalloc(2 * len + 1);

	for (size_t i = 0; i < len; i++) {
		s[2 * i] = hex_digits[p[i] >> 4];
		s[2 * i + 1] = hex_digits[p[i] & 15];
	}
	s[2 * len] = '\0';
	return s;
}

static int
hex_value(char c)
{
	const char *p = c ? strchr(hex_digits, tolower((unsigned char)c)) : NULL;

	return p ? (int)(p - hex_digits) : -1;
}

int
str_unhex(const char *s, void *ret, size_t len)
{
	unsigned char *p = ret;

	if (strlen(s) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < 2 * len; i++)
		if (hex_value(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
	return 0;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
str_base64(const void *data, size_t len)
{
	const unsigned char *p = data;
	char *s = xmalloc((len + 2) / 3 * 4 + 1), *out = s;

	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)p[i] << 16;

		if (i + 1 < len)
			v |= (unsigned)p[i + 1] << 8;
		if (i + 2 < len)
			v |= p[i + 2];
		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = i + 1 < len ? base64_digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < len ? base64_digits[v & 63] : '=';
	}
	*out = '\0';
	return s;
}

int
str_unbase64(const char *s, char **ret, size_t *ret_len)
{
	cleanup_free char *out = xmalloc(strlen(s) / 4 * 3 + 4);
	size_t n = 0, digits = 0, padding = 0;
	unsigned v = 0;

	for (; *s; s++) {
		const char *p;

		if (isspace((unsigned char)*s))
			continue;
		if (*s == '=') {
			if (++padding > 2)
				return -EINVAL;
			continue;
		}
		p = strchr(base64_digits, *s);
		if (!p || padding)
			return -EINVAL;
		v = (v << 6 | (unsigned)(p - base64_digits)) & 0xffffff;
		if (++digits % 4 == 0) {
			out[n++] = (char)(v >> 16);
			out[n++] = (char)(v >> 8);
			out[n++] = (char)v;
		}
	}
	if (digits % 4 == 1 || (padding && (digits + padding) % 4))
		return -EINVAL;
	if (digits % 4 == 2) {
		out[n++] = (char)(v >> 4);
	} else if (digits % 4 == 3) {
		out[n++] = (char)(v >> 10);
		out[n++] = (char)(v >> 2);
	}
	out[n] = '\0';
	*ret = steal_ptr(&out);
	*ret_len = n;
	return 0;
}

char *
str_shell_quote(const char *s)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	strbuf_addc(&b, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			strbuf_adds(&b, "'\\''");
		else
			strbuf_addc(&b, *s);
	}
	strbuf_addc(&b, '\'');
	return strbuf_steal(&b);
}

bool
str_is_uuid(const char *s)
{
	if (!s || strlen(s) != UUID_LEN)
		return false;
	for (int i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

void
uuid_random(char ret[UUID_LEN + 1])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret, UUID_LEN + 1,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}
