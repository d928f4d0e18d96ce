/* The request of a zone's dtrace: what is one, and what is refused. */
#include "base/test.h"
#include "dtrace/request.h"

static int
parse(const char *data, size_t len, struct request *r)
{
	struct error err = ERROR_INIT;
	int status = request_parse(data, len, r, &err);

	if (status < 0)
		check(err.message != NULL);
	error_done(&err);
	return status;
}

TEST(what_is_written_is_read)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_request struct request r = {0};

	request_add(&b, REQUEST_ARG, "dtrace");
	request_add(&b, REQUEST_ARG, "-s");
	request_add(&b, REQUEST_ARG, "a.d");
	request_add(&b, REQUEST_FILE, "a.d");
	request_add(&b, REQUEST_TEXT, "BEGIN { exit(0); }");
	request_add(&b, REQUEST_FILE, "empty");
	request_add(&b, REQUEST_TEXT, "");
	request_add(&b, REQUEST_PID, "77");
	request_add(&b, REQUEST_ID, "uid=0");
	check_int(parse(b.data, b.len, &r), ==, 0);
	check_int(r.args.n, ==, 3);
	check_str(r.args.v[2], "a.d");
	check_str(request_text(&r, "a.d"), "BEGIN { exit(0); }");
	check_str(request_text(&r, "empty"), "");
	check(!request_text(&r, "b.d"));
	check_int(r.pid, ==, 77);
	check_str(r.ids.v[0], "uid=0");
}

#define HEAD "dtrace 1\0"
#define BYTES(s) s, sizeof(s) - 1

TEST(what_is_refused)
{
	static const struct {
		const char *data;
		size_t len;
	} rows[] = {
		{BYTES("")}, {BYTES("x")}, {BYTES("dtrace 1")}, {BYTES(HEAD)}, {BYTES("dtrace 2\0adtrace\0")},
		{BYTES(HEAD "adtrace")}, {BYTES(HEAD "adtrace\0z\0")}, {BYTES(HEAD "adtrace\0\0")},
		{BYTES(HEAD "adtrace\0ttext\0")}, {BYTES(HEAD "adtrace\0ffile\0")},
		{BYTES(HEAD "adtrace\0fbare\0ffile\0ttext\0")},
		{BYTES(HEAD "adtrace\0ffile\0ta\0tb\0")}, {BYTES(HEAD "adtrace\0p-1\0")},
		{BYTES(HEAD "adtrace\0p99999999999\0")}, {BYTES(HEAD "adtrace\0p\0")},
	};
	cleanup_strbuf struct strbuf many = STRBUF_INIT;
	struct request r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (parse(rows[i].data, rows[i].len, &r) == 0)
			test_fail(__FILE__, __LINE__, "row %zu is taken", i);
		LLVMFuzzerTestOneInput((const unsigned char *)rows[i].data, rows[i].len);
	}
	for (int i = 0; i < 2000; i++)
		request_add(&many, REQUEST_ARG, "x");
	check_int(parse(many.data, many.len, &r), ==, -E2BIG);
}

/* A small share of what the fuzzer does, in every run. */
TEST(any_bytes)
{
	static const char alphabet[] = "aftpi\0dtrace1\0";
	unsigned char data[64];
	uint64_t seed = 7;

	for (int i = 0; i < 20000; i++) {
		size_t n = 10 + (seed >> 33) % 50;

		memcpy(data, REQUEST_VERSION, sizeof(REQUEST_VERSION));
		for (size_t k = sizeof(REQUEST_VERSION); k < n; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			data[k] = (unsigned char)alphabet[(seed >> 40) % sizeof(alphabet)];
		}
		check_int(LLVMFuzzerTestOneInput(data, n), ==, 0);
	}
}

TEST(the_corpus_is_replayed)
{
	test_corpus("src/dtrace/testdata/fuzz_request", LLVMFuzzerTestOneInput);
}
