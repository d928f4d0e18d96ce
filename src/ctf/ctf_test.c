/* The type graph, on the running kernel's types, on BTF we make, and on types made by hand. */
#include "ctf/ctf.h"

#include <bpf/btf.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"

/* A little C world: what every test below stands on. */
static struct ctf *
world(void)
{
	struct ctf *c = ctf_new("test", NULL);

	ctf_make_int(c, "char", 1, true);
	ctf_make_int(c, "int", 4, true);
	ctf_make_int(c, "unsigned int", 4, false);
	ctf_make_int(c, "long", 8, true);
	ctf_make_int(c, "unsigned long", 8, false);
	return c;
}

TEST(integers_have_many_spellings)
{
	cleanup_ctf struct ctf *c = world();

	check(ctf_find(c, "unsigned") == ctf_find(c, "unsigned int"));
	check(ctf_find(c, "long unsigned int") == ctf_find(c, "unsigned long"));
	check(ctf_find(c, "long int") == ctf_find(c, "long"));
	check(!ctf_find(c, "short"));
	check_int(ctf_kind(ctf_find(c, "void")), ==, CTF_VOID);
}

TEST(aggregates_are_laid_out_as_the_compiler_does)
{
	cleanup_ctf struct ctf *c = world();
	cleanup_error struct error err = ERROR_INIT;
	struct compiled {
		char a;
		int b : 3, c2 : 7, d : 25;
		long e;
		char f[5];
		struct {
			int g;
		};
	};
	struct ctf_type *inner = ctf_make_aggregate(c, CTF_STRUCT, "");
	struct ctf_type *s = ctf_make_aggregate(c, CTF_STRUCT, "compiled");
	const struct ctf_type *i = ctf_find(c, "int");
	struct ctf_member m;
	cleanup_free char *text = NULL;

	check_ok(ctf_add_member(inner, "g", i, 0, &err), &err);
	check_ok(ctf_add_member(s, "a", ctf_find(c, "char"), 0, &err), &err);
	check_ok(ctf_add_member(s, "b", i, 3, &err), &err);
	check_ok(ctf_add_member(s, "c2", i, 7, &err), &err);
	check_ok(ctf_add_member(s, "d", i, 25, &err), &err);
	check_ok(ctf_add_member(s, "e", ctf_find(c, "long"), 0, &err), &err);
	check_ok(ctf_add_member(s, "f", ctf_make_array(c, ctf_find(c, "char"), 5), 0, &err), &err);
	check_ok(ctf_add_member(s, "", inner, 0, &err), &err);
	check_int(ctf_size(s), ==, sizeof(struct compiled));
	check_int(ctf_align(s), ==, _Alignof(struct compiled));
	require(ctf_find_member(s, "e", &m));
	check_int(m.bit_offset, ==, 8 * offsetof(struct compiled, e));
	require(ctf_find_member(s, "g", &m));
	check_int(m.bit_offset, ==, 8 * offsetof(struct compiled, g));
	require(ctf_find_member(s, "c2", &m));
	check_int(m.bit_offset, ==, 11);
	check_int(m.bit_size, ==, 7);
	require(ctf_find_member(s, "d", &m));
	check_int(m.bit_offset, ==, 32);
	check_int(ctf_add_member(s, "g", i, 0, &err), ==, -EEXIST);
	check_int(ctf_add_member(s, "w", i, 33, &err), ==, -EINVAL);
	text = ctf_define(s);
	check_str(text, "struct compiled {\n    char a;\n    int b : 3;\n    int c2 : 7;\n"
			"    int d : 25;\n    long e;\n    char f[5];\n    struct {\n"
			"        int g;\n    };\n}\n");
}

TEST(declarations_read_as_c)
{
	cleanup_ctf struct ctf *c = world();
	const struct ctf_type *i = ctf_find(c, "int"), *ch = ctf_find(c, "char");
	struct ctf_type *fn = ctf_make_function(c, i, true);
	struct {
		const struct ctf_type *t;
		const char *name, *want;
	} rows[] = {
		{ctf_make_pointer(c, ctf_make_qualified(c, CTF_CONST, ch)), "s", "const char *s"},
		{ctf_make_qualified(c, CTF_CONST, ctf_make_pointer(c, ch)), "s", "char *const s"},
		{ctf_make_array(c, ctf_make_pointer(c, ch), 3), "v", "char *v[3]"},
		{ctf_make_pointer(c, ctf_make_array(c, ch, 3)), "", "char (*)[3]"},
		{ctf_make_pointer(c, fn), "printf", "int (*printf)(char *, ...)"},
		{ctf_make_array(c, ctf_make_array(c, i, 3), 2), "m", "int m[2][3]"},
		{ctf_make_pointer(c, ctf_void(c)), "", "void *"},
	};

	ctf_add_param(fn, "fmt", ctf_make_pointer(c, ch));
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		cleanup_free char *got = ctf_declare(rows[k].t, rows[k].name);

		check_str(got, rows[k].want);
	}
}

TEST(type_names_are_parsed)
{
	cleanup_ctf struct ctf *c = world();
	cleanup_error struct error err = ERROR_INIT;
	const struct ctf_type *t = NULL, *again = NULL;
	cleanup_free char *name = NULL;

	check_ok(ctf_parse(c, "const char * const *[4]", &t, &err), &err);
	name = ctf_name(t);
	check_str(name, "char **[4]");
	check_int(ctf_size(t), ==, 32);
	check_ok(ctf_parse(c, "char **[4]", &again, &err), &err);
	check(t == again);
	check_int(ctf_parse(c, "struct nothing *", &t, &err), ==, -ENOENT);
	check_has(error_message(&err), "struct nothing");
	check_int(ctf_parse(c, "int [x]", &t, &err), ==, -EINVAL);
	check_int(ctf_parse(c, "int )", &t, &err), <, 0);
}

TEST(enums)
{
	cleanup_ctf struct ctf *c = world();
	cleanup_error struct error err = ERROR_INIT;
	struct ctf_type *e = ctf_make_enum(c, "colour");
	int64_t v = 0;

	check_ok(ctf_add_enumerator(e, "RED", 1, &err), &err);
	check_ok(ctf_add_enumerator(e, "NONE", -1, &err), &err);
	check_int(ctf_add_enumerator(e, "RED", 2, &err), ==, -EEXIST);
	check(ctf_find_enumerator(c, "NONE", &v));
	check_int(v, ==, -1);
	check_str(ctf_enumerator_name(e, 1), "RED");
	check(!ctf_enumerator_name(e, 7));
	check(ctf_is_signed(e));
}

/* BTF of our own making, written to a file: kinds the kernel of the day may not use. */
TEST(btf_of_every_kind)
{
	cleanup_free char *path = str_printf("%s/types.btf", test_tmpdir());
	cleanup_error struct error err = ERROR_INIT;
	cleanup_ctf struct ctf *c = NULL;
	struct btf *b = btf__new_empty();
	int i, p, s, e, tag, proto;
	const struct ctf_type *t;
	struct ctf_member m;
	const void *raw;
	const char *name;
	uint32_t size;
	int64_t value = 0;

	i = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	s = btf__add_struct(b, "node", 16);
	btf__add_field(b, "bits", i, 3, 5);
	btf__add_field(b, "next", 3, 64, 0);
	tag = btf__add_ptr(b, 4);
	check_int(tag, ==, 3);
	p = btf__add_type_tag(b, "rcu", s);
	check_int(p, ==, 4);
	e = btf__add_enum64(b, "big", 8, false);
	btf__add_enum64_value(b, "HUGE", 1ull << 40);
	proto = btf__add_func_proto(b, i);
	btf__add_func_param(b, "n", 3);
	btf__add_func(b, "walk", BTF_FUNC_GLOBAL, proto);
	raw = btf__raw_data(b, &size);
	check_ok(file_write_atomic(path, raw, size, 0600, &err), &err);
	btf__free(b);

	require(ctf_open_btf(path, &c, &err) == 0);
	t = ctf_find(c, "struct node");
	require(t);
	require(ctf_find_member(t, "next", &m));
	check(ctf_target(m.type) == t); /* the type tag is seen through */
	require(ctf_find_member(t, "bits", &m));
	check_int(m.bit_size, ==, 5);
	check(ctf_find_enumerator(c, "HUGE", &value));
	check_int(value, ==, 1ll << 40);
	t = ctf_find_function(c, "walk");
	require(t);
	check_int(ctf_n_params(t), ==, 1);
	ctf_param_at(t, 0, &name);
	check_str(name, "n");
	check(e > 0);
}

TEST(the_running_kernel)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_ctf struct ctf *c = NULL;
	const struct ctf_type *task, *fn;
	struct ctf_member m;
	cleanup_free char *name = NULL;

	if (!file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("this kernel has no BTF");
	require(ctf_open_kernel(&c, &err) == 0);
	task = ctf_find(c, "struct task_struct");
	require(task);
	require(ctf_find_member(task, "comm", &m));
	check_int(ctf_size(m.type), ==, 16);
	check(ctf_is_string(m.type));
	require(ctf_find_member(task, "parent", &m));
	check(ctf_target(m.type) == task);
	name = ctf_declare(m.type, "parent");
	check_str(name, "struct task_struct *parent");
	check_int(ctf_size(ctf_find(c, "unsigned long")), ==, 8);
	check_int(ctf_size(ctf_find(c, "size_t")), ==, 8);
	fn = ctf_find_function(c, "vfs_read");
	require(fn);
	check_int(ctf_n_params(fn), ==, 4);
	check(!ctf_find(c, "struct no_such_struct_there"));
}

/* The first few names are searched for, those after are looked up in a table: both find the same. */
TEST(names_by_search_and_by_table)
{
	static const char *const names[] = {"struct task_struct", "struct file", "union bpf_attr",
					    "enum pid_type", "size_t", "int", "unsigned long",
					    "struct nothing_of_the_kind", "no_such_t", ""};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_ctf struct ctf *few = NULL, *many = NULL;

	if (!file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("this kernel has no BTF");
	require(ctf_open_kernel(&many, &err) == 0);
	for (int i = 0; i < 50; i++)
		check(!ctf_find_function(many, "no_such_function_there"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct ctf_type *a, *b;

		require(ctf_open_kernel(&few, &err) == 0);
		a = ctf_find(few, names[i]);
		b = ctf_find(many, names[i]);
		check_int(!a, ==, !b);
		if (a && b)
			check(ctf_kind(a) == ctf_kind(b) && ctf_size(a) == ctf_size(b));
		ctf_free(steal_ptr(&few));
	}
	require(ctf_open_kernel(&few, &err) == 0);
	check_int(ctf_kernel_id(few, CTF_FUNCTION, "vfs_read"), ==,
		  ctf_kernel_id(many, CTF_FUNCTION, "vfs_read"));
	check_int(ctf_kernel_id(few, CTF_FUNCTION, "vfs_read"), !=, 0);
}

TEST(same_types_of_two_modules)
{
	cleanup_ctf struct ctf *a = world(), *b = world();

	check(ctf_same(ctf_make_pointer(a, ctf_find(a, "int")),
		       ctf_make_pointer(b, ctf_find(b, "int"))));
	check(!ctf_same(ctf_find(a, "int"), ctf_find(b, "unsigned")));
	check(!ctf_same(ctf_find(a, "int"), ctf_find(b, "long")));
}
