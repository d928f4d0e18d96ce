/*
 * Fuzzer of the metadata protocol's two parsers.  What parses as a request must
 * print and parse to the same; an answer made for it must be readable by a client.
 */
#include <stdlib.h>

#include "vm/mdata/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(const struct mdata_request *q)
{
	cleanup_free char *text = mdata_request_print(q);
	struct mdata_request r;

	if (!mdata_request_parse(text, strlen(text) - 1, &r) || r.verb != q->verb ||
	    !str_eq(r.key, q->key) || r.value_len != q->value_len ||
	    (q->value && memcmp(r.value, q->value, q->value_len) != 0))
		abort();
	mdata_request_done(&r);
}

static void
answer(const struct mdata_request *q, const uint8_t *data, size_t size)
{
	cleanup_free char *text = mdata_reply_print(q, MDATA_SUCCESS, data, size);
	cleanup_free char *back = NULL;
	enum mdata_status status;
	size_t len;

	if (!q->v2)
		return;
	if (!mdata_reply_parse(text, strlen(text) - 1, q->id, &status, &back, &len) ||
	    status != MDATA_SUCCESS || len != size || (size && memcmp(back, data, size) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup("", 0);
	cleanup_free char *reply = NULL;
	struct mdata_request q;
	enum mdata_status status;
	size_t len;

	text = xrealloc(text, size + 1);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (mdata_request_parse(text, size, &q)) {
		if (q.v2)
			again(&q);
		answer(&q, data, size);
		mdata_request_done(&q);
	}
	mdata_reply_parse(text, size, "dc4fae17", &status, &reply, &len);
	return 0;
}
