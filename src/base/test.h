/*
 * Unit tests in TAP (https://testanything.org): a test file is a list of
 * TEST(name) blocks and links src/base's test main.
 *
 *	TEST(list_keeps_order)
 *	{
 *		...
 *		check_int(n, ==, 3);
 *		check_str(name, "web");
 *		require(ptr);          // a failed require ends this TEST
 *	}
 *
 * Each TEST runs in its own child process (a crash fails it alone) unless
 * TEST_NO_FORK=1; an argument names the tests to run.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

void test_register(struct test_case *t);

#define TEST(id)                                                                \
	static void test_##id(void);                                            \
	static struct test_case test_case_##id = {#id, test_##id, NULL};        \
	__attribute__((constructor)) static void test_register_##id(void)       \
	{                                                                       \
		test_register(&test_case_##id);                                 \
	}                                                                       \
	static void test_##id(void)

void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Ends the test as skipped, with the reason. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void test_abort(void) __attribute__((noreturn));
/* Numbers that are the same in every run (xorshift); the seed is not 0. */
void test_seed(uint64_t seed);
uint32_t test_random(void);
void test_check_str(const char *file, int line, const char *expr, const char *got,
		    const char *want);
void test_check_has(const char *file, int line, const char *expr, const char *got,
		    const char *part);
/* Returns r. */
int test_check_ok(const char *file, int line, const char *expr, int r, const struct error *err);

#define check(cond)                                                     \
	do {                                                            \
		if (!(cond))                                            \
			test_fail(__FILE__, __LINE__, "%s", #cond);     \
	} while (0)
#define require(cond)                                                   \
	do {                                                            \
		if (!(cond)) {                                          \
			test_fail(__FILE__, __LINE__, "%s", #cond);     \
			test_abort();                                   \
		}                                                       \
	} while (0)
#define check_int(a, op, b)                                                             \
	do {                                                                            \
		long long _a = (long long)(a), _b = (long long)(b);                     \
		if (!(_a op _b))                                                        \
			test_fail(__FILE__, __LINE__, "%s %s %s: %lld, %lld", #a, #op,  \
				  #b, _a, _b);                                          \
	} while (0)
/* Equal strings; NULL equals NULL only. */
#define check_str(got, want) test_check_str(__FILE__, __LINE__, #got, (got), (want))
/* got contains part. */
#define check_has(got, part) test_check_has(__FILE__, __LINE__, #got, (got), (part))
/* r is 0; else err's message is shown. */
#define check_ok(r, err) test_check_ok(__FILE__, __LINE__, #r, (r), (err))
/* The same, and the test ends here if it is not. */
#define require_ok(r, err)                                                                         \
	do {                                                                                       \
		if (check_ok(r, err) < 0)                                                          \
			test_abort();                                                              \
	} while (0)

/* Path of a file in the source tree: test_data("src/zone/testdata/lx.xml"). */
const char *test_data(const char *relative);
/* Path in the build tree, for tests that run a program of ours. */
const char *test_built(const char *relative);
/* A fresh directory, removed when the test ends. */
const char *test_tmpdir(void);

/*
 * For every NAME.in below dir (relative to the source root): fn turns its
 * content into text (the caller's), which must equal NAME.ok.  With
 * TEST_UPDATE=1 the .ok files are rewritten instead.
 */
void test_golden(const char *dir, char *(*fn)(const char *text, size_t len));

/* What libFuzzer calls, for tests that link a fuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
typedef int test_fuzzer(const uint8_t *data, size_t size);
/* Every file of a corpus (a directory relative to the source root), of which there is at least one.
 */
void test_corpus(const char *dir, test_fuzzer *one);
/*
 * len bytes of text, as they are and then so many times with one to four of them replaced by others
 * out of odd, every seventh time cut short; the same in every run.
 */
void test_mutations(const char *text, size_t len, const char *odd, size_t n_odd, unsigned rounds,
		    test_fuzzer *one);

#endif
