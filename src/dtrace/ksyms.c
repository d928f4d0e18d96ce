/* /proc/kallsyms in one piece of memory, sorted by address. */
#include "dtrace/ksyms.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/sorted.h"
#include "base/str.h"

struct ksym {
	uint64_t addr;
	const char *name, *module;
};

struct ksyms {
	char *text;
	struct ksym *syms;
	size_t n;
};

static int
by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct ksym *)a)->addr, y = ((const struct ksym *)b)->addr;

	return (x > y) - (x < y);
}

/* "ffffffff81000000 T name\t[module]" cut in place. */
static bool
parse_line(char *line, struct ksym *s)
{
	char *end, *name, *module;

	s->addr = strtoull(line, &end, 16);
	if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ')
		return false;
	name = end + 3;
	module = strchr(name, '\t');
	if (module) {
		*module++ = '\0';
		module += *module == '[';
		module[strcspn(module, "]")] = '\0';
	}
	s->name = name;
	s->module = module ? module : "vmlinux";
	return s->addr != 0;
}

int
ksyms_open(struct ksyms **ret, struct error *err)
{
	struct ksyms *k = xcalloc(1, sizeof(*k));
	size_t cap = 0;
	char *next;
	int r = file_read("/proc/kallsyms", 0, &k->text, NULL, err);

	if (r < 0) {
		free(k);
		return r;
	}
	for (char *line = k->text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (k->n == cap) {
			cap = cap ? 2 * cap : 131072;
			k->syms = xreallocarray(k->syms, cap, sizeof(*k->syms));
		}
		k->n += parse_line(line, &k->syms[k->n]);
	}
	if (k->n)
		qsort(k->syms, k->n, sizeof(*k->syms), by_address);
	*ret = k;
	return 0;
}

void
ksyms_free(struct ksyms *k)
{
	if (!k)
		return;
	free(k->text);
	free(k->syms);
	free(k);
}

bool
ksyms_find(const struct ksyms *k, const char *name, uint64_t *ret_addr)
{
	for (size_t i = 0; k && i < k->n; i++) {
		if (str_eq(k->syms[i].name, name)) {
			*ret_addr = k->syms[i].addr;
			return true;
		}
	}
	return false;
}

bool
ksyms_at(const struct ksyms *k, uint64_t addr, const char **ret_name, const char **ret_module,
	 uint64_t *ret_offset)
{
	size_t n = k ? sorted_upto(k->syms, k->n, addr, addr) : 0;

	/* Beyond a mebibyte from any symbol it is nobody's. */
	if (!n || addr - k->syms[n - 1].addr > 1 << 20)
		return false;
	*ret_name = k->syms[n - 1].name;
	*ret_module = k->syms[n - 1].module;
	*ret_offset = addr - k->syms[n - 1].addr;
	return true;
}
