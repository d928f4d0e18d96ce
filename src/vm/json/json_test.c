/* json(1): a row a call, with input and output; and the expressions. */
#include "base/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "vm/json/expr.h"

static char *out;

/* words: separated by '|' where a blank is part of a word. */
static int
json(const char *words, const char *input)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *in_path = str_printf("%s/in", test_tmpdir());
	cleanup_free char *out_path = str_printf("%s/out", test_tmpdir());
	int status;
	pid_t pid;

	strv_add(&argv, test_built("src/vm/json"));
	strv_words(&argv, words, strchr(words, '|') ? "|" : " ");
	file_write_atomic(in_path, input, strlen(input), 0600, NULL);
	pid = fork();
	if (pid == 0) {
		dup2(open(in_path, O_RDONLY), 0);
		dup2(open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		execv(argv.v[0], argv.v);
		_exit(127);
	}
	require(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	free(out);
	out = NULL;
	file_read(out_path, 0, &out, NULL, NULL);
	return WEXITSTATUS(status);
}

#define VM "{\"uuid\":\"u1\",\"ram\":512,\"on\":true,\"nics\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"dhcp\"}]," \
	   "\"tags\":{\"a.b\":\"dot\",\"role\":\"db\"},\"none\":null}"
#define VMS "[{\"uuid\":\"u1\",\"alias\":\"web\",\"ram\":512},{\"uuid\":\"u2\",\"ram\":256}]"

TEST(calls)
{
	static const struct {
		const char *words, *in, *out;
		int status;
	} rows[] = {
		{"uuid", VM, "u1\n", 0},
		{"ram", VM, "512\n", 0},
		{"on", VM, "true\n", 0},
		{"none", VM, "null\n", 0},
		{"nics[0].ip", VM, "10.0.0.1\n", 0},
		{"nics.1.ip", VM, "dhcp\n", 0},
		{"nics.length", VM, "2\n", 0},
		{"tags[\"a.b\"]", VM, "dot\n", 0},
		{"-D / tags/a.b", VM, "dot\n", 0},
		{"absent", VM, "", 0},
		{"nics[9].ip", VM, "", 0},
		{"uuid ram", VM, "u1\n512\n", 0},
		{"nics[0]", VM, "{\n  \"ip\": \"10.0.0.1\"\n}\n", 0},
		{"-0 nics[0]", VM, "{\"ip\":\"10.0.0.1\"}\n", 0},
		{"-4 nics[0]", VM, "{\n    \"ip\": \"10.0.0.1\"\n}\n", 0},
		{"-j uuid", VM, "\"u1\"\n", 0},
		{"-o json-0 uuid ram", VM, "{\"uuid\":\"u1\",\"ram\":512}\n", 0},
		{"-k -0", "{\"a\":1,\"b\":2}", "[\"a\",\"b\"]\n", 0},
		{"-M -0", "{\"a\":1}", "[{\"key\":\"a\",\"value\":1}]\n", 0},
		{"-M -a key value", "{\"a\":1,\"b\":2}", "a 1\nb 2\n", 0},
		{"-a uuid ram", VMS, "u1 512\nu2 256\n", 0},
		{"-a uuid alias ram", VMS, "u1 web 512\nu2  256\n", 0},
		{"-a -d, uuid ram", VMS, "u1,512\nu2,256\n", 0},
		{"-a uuid", VM, "u1\n", 0},
		{"-a -o json-0 uuid", VMS, "[\"u1\",\"u2\"]\n", 0},
		{"-a|-c|this.ram > 300|uuid", VMS, "u1\n", 0},
		{"-a|-c|ram == 256|uuid", VMS, "u2\n", 0},
		{"-a|-c|/^w/.test(this.alias)|uuid", VMS, "u1\n", 0},
		{"-a|-c|!alias|uuid", VMS, "u2\n", 0},
		{"-a|-e|this.mb = ram / 256|uuid|mb", VMS, "u1 2\nu2 1\n", 0},
		{"-0|-e|delete this.a; this.c = b + 1", "{\"a\":1,\"b\":2}", "{\"b\":2,\"c\":3}\n", 0},
		{"-e|this.|a", "{}", "", 1},
		{"-e|foo(|a", "{}", "", 1},
		{"-g -0", "{\"a\":1}{\"a\":2}\n[{\"a\":3}]", "[{\"a\":1},{\"a\":2},{\"a\":3}]\n", 0},
		{"-ga a", "{\"a\":1}\n{\"a\":2}", "1\n2\n", 0},
		{"-H a", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"a\":1}", "1\n", 0},
		{"a", "HTTP/1.1 200 OK\r\n\r\n{\"a\":1}", "HTTP/1.1 200 OK\r\n\r\n1\n", 0},
		{"-n", VM, "", 0},
		{"-n", "{", "", 1},
		{"-nq", "[1,]", "", 1},
		{"a", "", "", 0},
		{"", "\"text\"", "text\n", 0},
		{"length", "[1,2,3]", "3\n", 0},
		{"-A length", "[1,2,3]", "3\n", 0},
		{"-Z", VM, "", 2},
		{"-o xml", VM, "", 1},
		{"-f", VM, "", 2},
		{"-f /nonexistent a", VM, "", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = json(rows[i].words, rows[i].in);

		if (status != rows[i].status || !str_eq(out, rows[i].out))
			test_fail(__FILE__, __LINE__, "json %s: %d \"%s\", not %d \"%s\"",
				  rows[i].words, status, out, rows[i].status, rows[i].out);
	}
}

TEST(expressions)
{
	static const struct {
		const char *code, *want; /* NULL: undefined */
	} rows[] = {
		{"1 + 2 * 3", "7"},
		{"(1 + 2) * 3", "9"},
		{"7 % 4 - 1", "2"},
		{"10 / 4", "2.5"},
		{"-a + 3", "2"},
		{"\"x\" + 1", "\"x1\""},
		{"'it\\'s'", "\"it's\""},
		{"a == '1'", "true"},
		{"a === '1'", "false"},
		{"a != 2 && b.c == 'x'", "true"},
		{"absent == null", "true"},
		{"absent === undefined", "true"},
		{"absent.deeper.still", NULL},
		{"typeof absent", "\"undefined\""},
		{"typeof a", "\"number\""},
		{"absent || 'default'", "\"default\""},
		{"a && s", "\"hello\""},
		{"a > 0 ? 'yes' : 'no'", "\"yes\""},
		{"!a", "false"},
		{"!!s", "true"},
		{"'abc' < 'abd'", "true"},
		{"2 >= 2", "true"},
		{"list[1]", "20"},
		{"list.length", "3"},
		{"s.length", "5"},
		{"s.indexOf('l')", "2"},
		{"list.indexOf(30)", "2"},
		{"list.includes(31)", "false"},
		{"s.startsWith('he') && s.endsWith('lo')", "true"},
		{"s.toUpperCase()", "\"HELLO\""},
		{"s.slice(1, -1)", "\"ell\""},
		{"s.substr(1, 2)", "\"el\""},
		{"'a,b'.split(',').join('-')", "\"a-b\""},
		{"s.match(/^h.l+o$/)", "true"},
		{"/\\d+/.test('a1')", "true"},
		{"/HELLO/i.test(s)", "true"},
		{"b['c']", "\"x\""},
		{"this.b.c", "\"x\""},
		{"this['a']", "1"},
		{"[1, a, 'x'].join('')", "\"11x\""},
		{"n = 5; n + 1", "6"},
		{"b.d = 7; b.d", "7"},
		{"a += 4; a", "5"},
		{"s += '!'; s", "\"hello!\""},
		{"delete b.c; b.c", NULL},
		{"", NULL},
		{";;", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *self = NULL, *v = NULL;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *got = NULL;

		require(json_parse("{\"a\":1,\"s\":\"hello\",\"b\":{\"c\":\"x\"},\"list\":[10,20,30]}",
				   (size_t)-1, &self, NULL) == 0);
		check_ok(expr_run(rows[i].code, self, &v, &err), &err);
		got = v ? json_print(v, false) : NULL;
		if (!str_eq(got, rows[i].want))
			test_fail(__FILE__, __LINE__, "%s: %s, not %s", rows[i].code, got, rows[i].want);
	}
}

TEST(bad_expressions)
{
	static const char *const rows[] = {
		"1 +", "(1", "[1, 2", "'abc", "/abc", "a ? b", "a b", "1 = 2", "this = 3",
		"a.b(", "a.frobnicate()", "a..b", "a[", "*", "&&", "{", "/(/.test(s)",
	};
	cleanup_strbuf struct strbuf deep = STRBUF_INIT;
	cleanup_json struct json *self = json_new_object();
	struct json *v = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;

		v = NULL;
		if (expr_run(rows[i], self, &v, &err) != -EINVAL)
			test_fail(__FILE__, __LINE__, "%s is taken", rows[i]);
		json_free(v);
	}
	for (int i = 0; i < 100000; i++)
		strbuf_addc(&deep, '(');
	check_int(expr_run(deep.data, self, &v, NULL), ==, -EINVAL);
}
