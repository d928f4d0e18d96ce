/* DWARF read back from this very test program: the compiler is the witness. */
#include "base/str.h"
#include "base/test.h"
#include "ctf/ctf.h"

enum sample_enum { SAMPLE_MINUS = -3, SAMPLE_BIG = 70000 };

struct sample {
	int first;
	unsigned flag : 3, rest : 29;
	char name[5][7];
	struct sample *next;
	union {
		double real;
		void (*call)(struct sample *, int);
	};
	enum sample_enum e;
	const volatile long cv;
};

typedef struct sample sample_t;

sample_t sample_variable;
int sample_function(sample_t *s, unsigned long n, ...);

int
sample_function(sample_t *s, unsigned long n, ...)
{
	return s->first + (int)n;
}

static struct ctf *
own_types(void)
{
	cleanup_error struct error err = ERROR_INIT;
	struct ctf *c = NULL;

	if (ctf_open_dwarf("/proc/self/exe", &c, &err) == -ENODATA)
		test_skip("built without -g");
	require(c);
	return c;
}

TEST(layout_agrees_with_the_compiler)
{
	cleanup_ctf struct ctf *c = own_types();
	const struct ctf_type *t = ctf_find(c, "sample_t");
	struct ctf_member m;

	require(t);
	check_int(ctf_size(t), ==, sizeof(struct sample));
	check_int(ctf_align(t), ==, _Alignof(struct sample));
	check(ctf_resolve(t) == ctf_find(c, "struct sample"));
	require(ctf_find_member(t, "call", &m));
	check_int(m.bit_offset, ==, 8 * offsetof(struct sample, call));
	require(ctf_find_member(t, "rest", &m));
	check_int(m.bit_size, ==, 29);
	check_int(m.bit_offset, ==, 8 * sizeof(int) + 3);
	require(ctf_find_member(t, "next", &m));
	check(ctf_target(m.type) == ctf_resolve(t));
}

TEST(declarations_come_back)
{
	cleanup_ctf struct ctf *c = own_types();
	static const char *const rows[][2] = {
		{"name", "char name[5][7]"},
		{"call", "void (*call)(struct sample *, int)"},
		{"cv", "const volatile long cv"},
		{"e", "enum sample_enum e"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = NULL;
		struct ctf_member m;

		require(ctf_find_member(ctf_find(c, "struct sample"), rows[i][0], &m));
		text = ctf_declare(m.type, rows[i][0]);
		if (str_eq(rows[i][0], "cv")) /* the order of the two is the compiler's */
			check_has(text, "long cv");
		else
			check_str(text, rows[i][1]);
	}
}

TEST(functions_variables_and_enumerators)
{
	cleanup_ctf struct ctf *c = own_types();
	const struct ctf_type *fn = ctf_find_function(c, "sample_function");
	const struct ctf_type *var = ctf_find_variable(c, "sample_variable");
	const char *name;
	int64_t value;

	require(fn && var);
	check_int(ctf_n_params(fn), ==, 2);
	check(ctf_is_variadic(fn));
	ctf_param_at(fn, 1, &name);
	check_str(name, "n");
	check_str(ctf_tag(var), "sample_t");
	require(ctf_find_enumerator(c, "SAMPLE_MINUS", &value));
	check_int(value, ==, -3);
	check_int(sample_function(&sample_variable, 0), ==, 0);
}

TEST(no_such_file)
{
	cleanup_error struct error err = ERROR_INIT;
	struct ctf *c = NULL;

	check_int(ctf_open_dwarf("/nonexistent", &c, &err), ==, -ENOENT);
	check_has(error_message(&err), "/nonexistent");
}
