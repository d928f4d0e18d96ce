#include "base/conf.h"

#include "base/test.h"

static const struct {
	const char *line, *value; /* value NULL: refused */
} cases[] = {
	{"k=", ""},
	{"k=v", "v"},
	{"  k=v  # note", "v"},
	{"k=a#b", "a#b"},
	{"export k=v", "v"},
	{"k='a b $x'", "a b $x"},
	{"k=\"a b\"", "a b"},
	{"k=\"a \\\"b\\\" \\$c \\n\"", "a \"b\" $c \\n"},
	{"k=a\\ b", "a b"},
	{"k='it'\\''s'", "it's"},
	{"k='$5$salt$hash'", "$5$salt$hash"},
	{"k=\r", ""},
	{"k=$5$salt$hash", NULL},
	{"k=\"$HOME\"", NULL},
	{"k=`id`", NULL},
	{"k=$(id)", NULL},
	{"k=a;reboot", NULL},
	{"k=a b", NULL},
	{"k='open", NULL},
	{"k=\"open", NULL},
	{"k=v\\", NULL},
	{"1k=v", NULL},
	{"k", NULL},
	{"k =v", NULL},
	{"k-x=v", NULL},
	{"source /etc/passwd", NULL},
};

TEST(conf_values)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_conf struct conf *c = NULL;
		cleanup_error struct error err = ERROR_INIT;
		int r = conf_parse(cases[i].line, strlen(cases[i].line), "config", &c, NULL, &err);

		if (cases[i].value) {
			check_ok(r, &err);
			if (r == 0)
				check_str(conf_get(c, "k"), cases[i].value);
		} else {
			if (r != -EINVAL)
				test_fail(__FILE__, __LINE__, "taken: %s", cases[i].line);
			check_has(error_message(&err), "config line 1: ");
		}
	}
}

TEST(conf_bad_lines_are_left_out)
{
	static const char text[] = "a=1\nb=$x\nc=3\n";
	cleanup_conf struct conf *c = NULL;
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *out = NULL;

	require(conf_parse(text, strlen(text), "config", &c, &problems, &err) == 0);
	check_int(problems.n, ==, 1);
	check_has(problems.v[0], "config line 2: ");
	check_str(conf_get(c, "a"), "1");
	check_str(conf_get(c, "b"), NULL);
	check_str(conf_get(c, "c"), "3");
	out = conf_print(c);
	check_str(out, text);
}

TEST(conf_set_keeps_the_rest)
{
	static const char text[] = "# top\nadmin_nic=aa\n\nx=1\nx=2\nlast=z\n";
	cleanup_conf struct conf *c = NULL;
	cleanup_free char *out = NULL;
	struct conf_iter it = {0};

	require(conf_parse(text, strlen(text), "config", &c, NULL, NULL) == 0);
	check_str(conf_get(c, "x"), "2");
	conf_set(c, "admin_nic", "b b'b");
	conf_set(c, "last", NULL);
	conf_set(c, "new", "");
	out = conf_print(c);
	check_str(out, "# top\nadmin_nic='b b'\\''b'\n\nx=1\nx=2\nnew=\n");
	require(conf_next(c, &it));
	check_str(it.key, "admin_nic");
	check_str(it.value, "b b'b");
	require(conf_next(c, &it));
	check_str(it.value, "2");
	require(conf_next(c, &it));
	check_str(it.key, "new");
	check(!conf_next(c, &it));
}

TEST(conf_file_round_trip)
{
	cleanup_conf struct conf *c = conf_new(), *back = NULL;
	cleanup_free char *path = str_printf("%s/config", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;

	conf_add_comment(c, "made by a test");
	conf_set(c, "weird", "a\\b \"c\" `d` $e 'f'");
	check_ok(conf_write_file(path, c, 0600, &err), &err);
	require(conf_read_file(path, &back, NULL, &err) == 0);
	check_str(conf_get(back, "weird"), "a\\b \"c\" `d` $e 'f'");
	check_int(conf_read_file("/nonexistent/config", &back, NULL, NULL), ==, -ENOENT);
}

/* Bytes of a good file, changed here and there: whatever comes of it is parsed or refused. */
TEST(conf_survives_mutation)
{
	static const char seed[] = "# c\na=1\nb=\"q \\\" r\" # c\nexport c='v w'\nd=a\\ b\nadmin_ip=10.0.0.5\n";
	static const char odd[] = "'\"\\#=$`\n\r \t;\0a_9";

	test_mutations(seed, sizeof(seed) - 1, odd, sizeof(odd) - 1, 6000, LLVMFuzzerTestOneInput);
}
