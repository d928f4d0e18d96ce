/* The test main: runs each TEST in a child, prints TAP. */
#include "base/test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_SKIPPED = 77 };

static struct test_case *first, **tail = &first;
static int failures;
static char tmpdir[64];

void
test_register(struct test_case *t)
{
	*tail = t;
	tail = &t->next;
}

static void
remove_tmpdir(void)
{
	struct error err = ERROR_INIT;

	if (tmpdir[0] && file_remove_tree(tmpdir, &err) < 0)
		fprintf(stderr, "# %s\n", error_message(&err));
	error_done(&err);
	tmpdir[0] = '\0';
}

void
test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	failures++;
	va_start(ap, fmt);
	printf("# %s:%d: ", file, line);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
}

static uint64_t random_state = 1;

void
test_seed(uint64_t seed)
{
	random_state = seed;
}

uint32_t
test_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

void
test_abort(void)
{
	remove_tmpdir();
	exit(failures ? EXIT_FAILED : EXIT_PASSED);
}

void
test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# skipped: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	remove_tmpdir();
	exit(EXIT_SKIPPED);
}

void
test_check_str(const char *file, int line, const char *expr, const char *got, const char *want)
{
	if (!str_eq(got, want))
		test_fail(file, line, "%s: got \"%s\", want \"%s\"", expr, got ? got : "(null)",
			  want ? want : "(null)");
}

void
test_check_has(const char *file, int line, const char *expr, const char *got, const char *part)
{
	if (!got || !strstr(got, part))
		test_fail(file, line, "%s: \"%s\" does not contain \"%s\"", expr,
			  got ? got : "(null)", part);
}

int
test_check_ok(const char *file, int line, const char *expr, int r, const struct error *err)
{
	if (r < 0)
		test_fail(file, line, "%s: %d: %s", expr, r, err ? error_message(err) : "-");
	return r;
}

const char *
test_data(const char *relative)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", TEST_SOURCE_ROOT, relative);
	return path;
}

const char *
test_built(const char *relative)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", TEST_BUILD_ROOT, relative);
	return path;
}

const char *
test_tmpdir(void)
{
	if (!tmpdir[0]) {
		strcpy(tmpdir, "/tmp/atoll-test-XXXXXX");
		if (!mkdtemp(tmpdir))
			abort();
	}
	return tmpdir;
}

/* The number of the first line that differs; where it begins in both. */
static unsigned
first_difference(const char *got, const char *want, size_t *ret_at)
{
	unsigned line = 1;
	size_t begin = 0;

	for (size_t i = 0; got[i] == want[i] && got[i]; i++)
		if (got[i] == '\n') {
			line++;
			begin = i + 1;
		}
	*ret_at = begin;
	return line;
}

/* The difference last: of a long report only the end may be seen. */
static void
golden_differs(const char *in, const char *got, const char *want)
{
	size_t at;
	unsigned line = first_difference(got, want, &at);

	test_fail(in, 1,
		  "differs from its .ok:\n--- got\n%s\n--- want\n%s\n--- first in line %u\ngot:  "
		  "%.*s\nwant: %.*s",
		  got, want, line, (int)strcspn(got + at, "\n"), got + at,
		  (int)strcspn(want + at, "\n"), want + at);
}

static void
golden_one(const char *in, char *(*fn)(const char *text, size_t len))
{
	cleanup_free char *ok = str_printf("%.*sok", (int)strlen(in) - 2, in);
	cleanup_free char *text = NULL, *want = NULL, *got = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t len;

	if (file_read(in, 0, &text, &len, &err) < 0) {
		test_fail(__FILE__, __LINE__, "%s", error_message(&err));
		return;
	}
	got = fn(text, len);
	if (getenv("TEST_UPDATE")) {
		if (file_write_atomic(ok, got, strlen(got), 0644, &err) < 0)
			test_fail(__FILE__, __LINE__, "%s", error_message(&err));
		return;
	}
	if (file_read(ok, 0, &want, NULL, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", error_message(&err));
	else if (!str_eq(got, want))
		golden_differs(in, got, want);
}

/* The files of a directory whose names end so, in order; none is a failure. */
static void
files_of(const char *dir, const char *suffix, struct strv *ret)
{
	const char *path = test_data(dir);
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && str_ends(e->d_name, suffix))
			strv_addf(ret, "%s/%s", path, e->d_name);
	if (d)
		closedir(d);
	strv_sort(ret);
	if (!ret->n)
		test_fail(__FILE__, __LINE__, "no files of that sort: %s/*%s", path, suffix);
}

void
test_golden(const char *dir, char *(*fn)(const char *text, size_t len))
{
	cleanup_strv struct strv names = STRV_INIT;

	files_of(dir, ".in", &names);
	for (size_t i = 0; i < names.n; i++)
		golden_one(names.v[i], fn);
}

void
test_corpus(const char *dir, test_fuzzer *one)
{
	cleanup_strv struct strv names = STRV_INIT;

	files_of(dir, "", &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *data = NULL;
		size_t len;

		check_ok(file_read(names.v[i], 0, &data, &len, &err), &err);
		if (data)
			one((const uint8_t *)data, len);
	}
}

void
test_mutations(const char *text, size_t len, const char *odd, size_t n_odd, unsigned rounds,
	       test_fuzzer *one)
{
	require(len > 0);
	one((const uint8_t *)text, len);
	test_seed(len);
	for (unsigned round = 0; round < rounds; round++) {
		cleanup_free char *bad = xmemdup(text, len);
		size_t n = round % 7 ? len : test_random() % len;

		for (unsigned k = 0; k < 1 + round % 4; k++)
			bad[test_random() % len] = odd[test_random() % n_odd];
		one((const uint8_t *)bad, n);
	}
}

/* Runs t here and leaves with its verdict. */
static void
run_here(const struct test_case *t)
{
	t->run();
	remove_tmpdir();
	fflush(NULL);
	exit(failures ? EXIT_FAILED : EXIT_PASSED); /* exit: LeakSanitizer has its say */
}

static int
run_forked(const struct test_case *t)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_here(t);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status)) {
		printf("# died of signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
		return EXIT_FAILED;
	}
	return WEXITSTATUS(status);
}

static bool
wanted(const struct test_case *t, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (str_eq(argv[i], t->name))
			return true;
	return argc == 1;
}

int
main(int argc, char **argv)
{
	int n = 0, failed = 0;

	for (struct test_case *t = first; t; t = t->next)
		n += wanted(t, argc, argv);
	printf("1..%d\n", n);
	n = 0;
	for (struct test_case *t = first; t; t = t->next) {
		int verdict;

		if (!wanted(t, argc, argv))
			continue;
		if (getenv("TEST_NO_FORK"))
			run_here(t);
		verdict = run_forked(t);
		failed += verdict != EXIT_PASSED && verdict != EXIT_SKIPPED;
		printf("%sok %d - %s%s\n",
		       verdict == EXIT_PASSED || verdict == EXIT_SKIPPED ? "" : "not ", ++n, t->name,
		       verdict == EXIT_SKIPPED ? " # SKIP" : "");
	}
	return failed ? EXIT_FAILED : EXIT_PASSED;
}
