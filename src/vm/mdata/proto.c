/* The metadata protocol: lines to structs and back. */
#include "vm/mdata/proto.h"

#include <ctype.h>
#include <stdio.h>

uint32_t
mdata_crc32(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static const struct {
	const char *name;
	enum mdata_verb verb;
	bool takes_key;
} verbs[] = {
	{"GET", MDATA_GET, true},
	{"PUT", MDATA_PUT, true},
	{"DELETE", MDATA_DELETE, true},
	{"KEYS", MDATA_KEYS, false},
	{"NEGOTIATE", MDATA_NEGOTIATE, true},
};

static const struct {
	const char *name;
	enum mdata_status status;
} statuses[] = {
	{"SUCCESS", MDATA_SUCCESS},
	{"NOTFOUND", MDATA_NOTFOUND},
	{"FAILURE", MDATA_FAILURE},
};

void
mdata_request_done(struct mdata_request *q)
{
	free(q->key);
	free(q->value);
	*q = (struct mdata_request){0};
}

/* A key: text without control characters, not empty, not endless. */
static bool
key_ok(const char *key, size_t len)
{
	if (!len || len > MDATA_KEY_MAX || strlen(key) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
			return false;
	return true;
}

/*
 * The frame "V2 LEN CRC BODY"; BODY in *ret, or false.
 */
static bool
unframe(const char *line, size_t len, const char **ret, size_t *ret_len)
{
	const char *p = line + 3, *end = line + len;
	size_t body_len = 0, digits = 0;
	uint32_t crc = 0;

	if (len < 3 || memcmp(line, "V2 ", 3) != 0)
		return false;
	for (; p < end && isdigit((unsigned char)*p) && digits < 8; p++, digits++)
		body_len = body_len * 10 + (size_t)(*p - '0');
	if (!digits || p == end || *p++ != ' ')
		return false;
	for (digits = 0; p < end && isxdigit((unsigned char)*p) && digits < 8; p++, digits++)
		crc = crc << 4 | (uint32_t)(isdigit((unsigned char)*p)
						    ? *p - '0'
						    : tolower((unsigned char)*p) - 'a' + 10);
	if (digits != 8 || p == end || *p++ != ' ')
		return false;
	if ((size_t)(end - p) != body_len || mdata_crc32(p, body_len) != crc)
		return false;
	*ret = p;
	*ret_len = body_len;
	return true;
}

static char *
frame(const char *body)
{
	return str_printf("V2 %zu %08x %s\n", strlen(body), mdata_crc32(body, strlen(body)), body);
}

/* The word up to a blank or the end; what follows the blank in *rest (NULL: nothing). */
static char *
word(const char *p, size_t len, const char **rest, size_t *rest_len)
{
	const char *space = memchr(p, ' ', len);
	size_t n = space ? (size_t)(space - p) : len;

	*rest = space ? space + 1 : NULL;
	*rest_len = space ? len - n - 1 : 0;
	return xstrndup(p, n);
}

static bool
unbase64(const char *p, size_t len, char **ret, size_t *ret_len)
{
	cleanup_free char *text = xstrndup(p, len);

	return strlen(text) == len && str_unbase64(text, ret, ret_len) == 0;
}

/* PUT's argument: base64 of "B64(KEY) B64(VALUE)". */
static bool
parse_put(const char *p, size_t len, struct mdata_request *q)
{
	cleanup_free char *pair = NULL;
	size_t pair_len, key_len;
	const char *space;

	if (!unbase64(p, len, &pair, &pair_len))
		return false;
	space = memchr(pair, ' ', pair_len);
	if (!space || !unbase64(pair, (size_t)(space - pair), &q->key, &key_len) ||
	    !unbase64(space + 1, pair_len - (size_t)(space - pair) - 1, &q->value, &q->value_len))
		return false;
	return key_ok(q->key, key_len);
}

static bool
parse_v2(const char *body, size_t len, struct mdata_request *q)
{
	const char *rest, *arg;
	size_t rest_len, arg_len, key_len;
	cleanup_free char *id = word(body, len, &rest, &rest_len);
	cleanup_free char *name = rest ? word(rest, rest_len, &arg, &arg_len) : NULL;

	if (!name || !*id || strlen(id) >= sizeof(q->id))
		return false;
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p))
			return false;
	memcpy(q->id, id, strlen(id) + 1);
	q->v2 = true;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!str_eq(name, verbs[i].name) || verbs[i].verb == MDATA_NEGOTIATE)
			continue;
		q->verb = verbs[i].verb;
		if (!verbs[i].takes_key)
			return true;
		if (!arg)
			return false;
		if (q->verb == MDATA_PUT)
			return parse_put(arg, arg_len, q);
		return unbase64(arg, arg_len, &q->key, &key_len) && key_ok(q->key, key_len);
	}
	return false;
}

/* V1 knows GET, KEYS and NEGOTIATE. */
static bool
parse_v1(const char *line, size_t len, struct mdata_request *q)
{
	const char *rest;
	size_t rest_len;
	cleanup_free char *name = word(line, len, &rest, &rest_len);

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!str_eq(name, verbs[i].name))
			continue;
		q->verb = verbs[i].verb;
		if (q->verb == MDATA_KEYS)
			return true;
		if (!rest || q->verb == MDATA_PUT || q->verb == MDATA_DELETE)
			return false;
		q->key = xstrndup(rest, rest_len);
		return key_ok(q->key, rest_len);
	}
	return false;
}

bool
mdata_request_parse(const char *line, size_t len, struct mdata_request *ret)
{
	struct mdata_request q = {0};
	const char *body;
	size_t body_len;
	bool ok;

	if (len && line[len - 1] == '\r')
		len--;
	if (len > MDATA_LINE_MAX || memchr(line, '\0', len))
		return false;
	if (unframe(line, len, &body, &body_len))
		ok = parse_v2(body, body_len, &q);
	else
		ok = parse_v1(line, len, &q);
	if (!ok) {
		mdata_request_done(&q);
		return false;
	}
	*ret = q;
	return true;
}

char *
mdata_request_print(const struct mdata_request *q)
{
	cleanup_free char *key = q->key ? str_base64(q->key, strlen(q->key)) : NULL;
	cleanup_free char *body = NULL;
	const char *name = "";

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verbs[i].verb == q->verb)
			name = verbs[i].name;
	if (q->verb == MDATA_NEGOTIATE)
		return str_printf("NEGOTIATE %s\n", q->key);
	if (q->verb == MDATA_PUT) {
		cleanup_free char *value = str_base64(q->value, q->value_len);
		cleanup_free char *pair = str_printf("%s %s", key, value);
		cleanup_free char *arg = str_base64(pair, strlen(pair));

		body = str_printf("%s %s %s", q->id, name, arg);
	} else
		body = str_printf("%s %s%s%s", q->id, name, key ? " " : "", key ? key : "");
	return frame(body);
}

/* V1's data: lines, those that begin with a dot get another, and a dot ends. */
static char *
v1_data(const char *data, size_t len)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	bool at_start = true;

	strbuf_adds(&b, "SUCCESS\n");
	for (size_t i = 0; i < len; i++) {
		if (at_start && data[i] == '.')
			strbuf_addc(&b, '.');
		strbuf_addc(&b, data[i]);
		at_start = data[i] == '\n';
	}
	strbuf_adds(&b, "\n.\n");
	return strbuf_steal(&b);
}

char *
mdata_reply_print(const struct mdata_request *q, enum mdata_status status, const void *data,
		  size_t len)
{
	cleanup_free char *text = NULL;
	cleanup_free char *body = NULL;
	const char *name = statuses[status].name;

	if (q->verb == MDATA_NEGOTIATE)
		return xstrdup(status == MDATA_SUCCESS ? "V2_OK\n" : "FAILURE\n");
	if (!q->v2)
		return status == MDATA_SUCCESS ? v1_data(data ? data : "", len)
					       : str_printf("%s\n", name);
	if (data)
		text = str_base64(data, len);
	body = str_printf("%s %s%s%s", q->id, name, text && *text ? " " : "", text ? text : "");
	return frame(body);
}

bool
mdata_reply_parse(const char *line, size_t len, const char *id, enum mdata_status *ret,
		  char **ret_data, size_t *ret_len)
{
	const char *body, *rest, *arg = NULL;
	size_t body_len, rest_len, arg_len = 0;
	cleanup_free char *got = NULL;
	cleanup_free char *name = NULL;

	if (len && line[len - 1] == '\r')
		len--;
	if (memchr(line, '\0', len) || !unframe(line, len, &body, &body_len))
		return false;
	got = word(body, body_len, &rest, &rest_len);
	name = rest ? word(rest, rest_len, &arg, &arg_len) : NULL;
	if (!name || !str_eq(got, id))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (!str_eq(name, statuses[i].name))
			continue;
		*ret_data = NULL;
		*ret_len = 0;
		if (arg && !unbase64(arg, arg_len, ret_data, ret_len))
			return false;
		if (!*ret_data)
			*ret_data = xstrdup("");
		*ret = statuses[i].status;
		return true;
	}
	return false;
}
