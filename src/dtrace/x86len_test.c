/* Lengths by hand, and against objdump over this very program. */
#include "dtrace/x86len.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/test.h"
#include "os/run.h"

TEST(instructions_have_their_lengths)
{
	static const struct {
		const char *hex;
		size_t len;
		bool narrow;
	} rows[] = {
		{"90", 1, false},		     {"c3", 1, false},
		{"f30f1efa", 4, false},		     {"488b442408", 5, false},
		{"488b05aabbccdd", 7, false},	     {"48b80102030405060708", 10, false},
		{"66b80102", 4, false},		     {"b801020304", 5, false},
		{"e801020304", 5, false},	     {"66e801020304", 6, false},
		{"f6c101", 3, false},		     {"f6d1", 2, false},
		{"f7c101020304", 6, false},	     {"66f7c10102", 5, false},
		{"c5f877", 3, false},		     {"c5f96fc1", 4, false},
		{"c4e3790f c108", 6, false},	     {"62f17c48280424", 7, false},
		{"0f05", 2, false},		     {"0f84aabbccdd", 6, false},
		{"660f3a0fc108", 6, false},	     {"a10102030405060708", 9, false},
		{"a101020304", 5, true},	     {"40", 1, true},
		{"c5f877", 3, true},		     {"678b4601", 4, true},
		{"8b042501020304", 7, false},	     {"c8010203", 4, false},
		{"666666662e0f1f840000000000", 13, false},
		{"48", 0, false},		     {"0f", 0, false},
		{"e8010203", 0, false},		     {"", 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *hex = xstrdup(rows[i].hex);
		unsigned char code[16];
		size_t n = 0, got;

		for (const char *p = rows[i].hex; *p; p++)
			if (*p != ' ')
				hex[n++] = *p;
		hex[n] = '\0';
		require(str_unhex(hex, code, n / 2) == 0);
		got = x86_length(code, n / 2, rows[i].narrow);
		if (got != rows[i].len)
			test_fail(__FILE__, __LINE__, "%s: %zu, not %zu", rows[i].hex, got,
				  rows[i].len);
	}
}

/* "  401000:\t48 89 e5 \tmov ..." */
TEST(objdump_agrees)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *out = NULL;
	size_t seen = 0, wrong = 0;

	if (RUN_OUTPUT(&out, &err, "objdump", "-d", "--insn-width=16", "-j", ".text",
		       test_built("src/dtrace/dtrace")) < 0)
		test_skip("objdump does not run here: %s", error_message(&err));
	strv_words(&lines, out, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *tab = strchr(lines.v[i], '\t'), *end = tab ? strchr(tab + 1, '\t') : NULL;
		unsigned char code[24];
		size_t n = 0;

		if (!end || strstr(end, "(bad)"))
			continue;
		*end = '\0';
		for (char *p = tab + 1; *p && n < sizeof(code); n++) {
			code[n] = (unsigned char)strtoul(p, &p, 16);
			p += strspn(p, " ");
		}
		seen++;
		if (x86_length(code, n, false) == n)
			continue;
		if (wrong++ < 10)
			test_fail(__FILE__, __LINE__, "%s is %zu bytes, not %zu", tab + 1, n,
				  x86_length(code, n, false));
	}
	check_int(seen, >, 10000);
	check_int(wrong, ==, 0);
}
