#include "boot/boot_params.h"

#include "base/str.h"
#include "base/test.h"

static const struct {
	const char *cmdline, *name, *value;
} cases[] = {
	{"quiet noimport=true", "noimport", "true"},
	{"quiet noimport=true", "quiet", ""},
	{"quiet noimport=true\n", "noimport", "true"},
	{"a=1 a=2", "a", "2"},
	{"root_shadow='$5$a b$c' x=1", "root_shadow", "$5$a b$c"},
	{"root_shadow=\"$5$a\" x=1", "x", "1"},
	{"\"root_shadow=$5$a b\" x=1", "root_shadow", "$5$a b"},
	{"console=tty0 console=ttyS0,115200", "console", "ttyS0,115200"},
	{"-B smartos=true,noimport=true,root_shadow='a,b' quiet", "noimport", "true"},
	{"-B smartos=true,noimport=true,root_shadow='a,b' quiet", "root_shadow", "a,b"},
	{"-B smartos=true,noimport=true,root_shadow='a,b' quiet", "quiet", ""},
	{"-B a=1 zpools=x,y", "zpools", "x,y"},
	{"-B", "-B", NULL},
	{"-B ,,a=1,,", "a", "1"},
	{"=v x", "", NULL},
	{"", "x", NULL},
	{"open='a b", "open", "a b"},
	{"answers=http://h/a.json?x=1&y=2", "answers", "http://h/a.json?x=1&y=2"},
};

TEST(boot_params_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_map struct map *m = boot_params_parse(cases[i].cmdline);

		check_str(boot_param(m, cases[i].name), cases[i].value);
	}
}

TEST(boot_params_true)
{
	cleanup_map struct map *m = boot_params_parse("a b=true c=yes d=1 e=false f=no g=maybe");

	for (const char *s = "abcd"; *s; s++)
		check(boot_param_true(m, (char[]){*s, 0}));
	for (const char *s = "efgh"; *s; s++)
		check(!boot_param_true(m, (char[]){*s, 0}));
}
