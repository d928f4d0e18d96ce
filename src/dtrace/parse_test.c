/* The grammar, by example: testdata/parse, and programs that must be refused. */
#include "dtrace/parse.h"

#include <string.h>

#include "base/str.h"
#include "base/test.h"

static bool
is_type(const char *name, void *arg)
{
	size_t n = strlen(name);

	return n > 2 && strcmp(name + n - 2, "_t") == 0;
}

static const struct parse_opts opts = {is_type, NULL};

static char *
parse_and_print(const char *text, size_t len)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_ast struct ast *ast = NULL;

	if (parse_program(text, len, "test.d", &opts, &ast, &err) < 0)
		return str_printf("[%s] %s\n", err.path ? err.path : "-", error_message(&err));
	return ast_print(ast);
}

TEST(programs)
{
	test_golden("src/dtrace/testdata/parse", parse_and_print);
}

TEST(refusals)
{
	static const char *const rows[][3] = {
		{"BEGIN { a = }", "D_SYNTAX", "line 1: syntax error near \"}\""},
		{"BEGIN\n{ a = 1", "D_SYNTAX", "line 2: syntax error near end of program"},
		{"BEGIN /x { }", "D_SYNTAX", "predicate has no closing"},
		{"BEGIN { \"abc\n\" }", "D_STR_NL", "string has no end"},
		{"BEGIN { x = '' }", "D_CHR_NULL", "empty"},
		{"BEGIN { x = 18446744073709551616 }", "D_INT_OFLOW", "64 bits"},
		{"BEGIN { x = 1.5 }", "D_SYNTAX", "floating-point"},
		{"BEGIN { /* }", "D_SYNTAX", "comment has no end"},
		{"BEGIN { # }", "D_PRAGCTL_INVAL", "directive"},
		{"static self int x;", "D_DECL_CLASS", "storage class"},
		{"struct s { int a : 65; };", "D_DECL_BFSIZE", "bit-field"},
		{"BEGIN { x = (int y)z; }", "D_DECL_IDENT", "without a name"},
		{"provider p { entry(); };", "D_SYNTAX", "\"probe\""},
		{"BEGIN { $ }", "D_SYNTAX", "\"$\" without a name"},
		{"BEGIN { a ? b; }", "D_SYNTAX", "\":\""},
		{"BEGIN { f(1,); }", "D_SYNTAX", "expression"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct ast *ast = NULL;

		check_int(parse_program(rows[i][0], strlen(rows[i][0]), "t", &opts, &ast, &err), <,
			  0);
		check_str(err.path, rows[i][1]);
		check_has(error_message(&err), rows[i][2]);
	}
}

TEST(nesting_is_bounded)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;
	struct ast *ast = NULL;

	strbuf_adds(&b, "BEGIN { x = ");
	for (int i = 0; i < 100000; i++)
		strbuf_addc(&b, '(');
	check_int(parse_program(b.data, b.len, "t", NULL, &ast, &err), <, 0);
	check_has(error_message(&err), "nested");
}
