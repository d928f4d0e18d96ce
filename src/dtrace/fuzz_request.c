/* Any bytes are a request of a zone's dtrace, or an error with a message. */
#include <stdlib.h>

#include "dtrace/request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	/* a buffer of just that size, so that a byte too far is seen */
	cleanup_free char *copy = xmalloc(size ? size : 1);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_request struct request r = {0};
	cleanup_strbuf struct strbuf again = STRBUF_INIT;

	memcpy(copy, data, size);
	if (request_parse(copy, size, &r, &err) < 0) {
		if (!err.message)
			abort();
		return 0;
	}
	/* What was read can be written, and means the same. */
	for (size_t i = 0; i < r.args.n; i++)
		request_add(&again, REQUEST_ARG, r.args.v[i]);
	for (size_t i = 0; i < r.n_files; i++) {
		request_add(&again, REQUEST_FILE, r.files[i].path);
		request_add(&again, REQUEST_TEXT, r.files[i].text);
		if (!request_text(&r, r.files[i].path))
			abort();
	}
	request_done(&r);
	if (request_parse(again.data, again.len, &r, &err) < 0)
		abort();
	return 0;
}
