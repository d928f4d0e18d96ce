/*
 * Which functions of the kernel can be traced: tracefs lists them, slowly (half
 * a second and more, for it looks each name up).  So the list is kept in /run,
 * under the boot and the set of modules it was made for.
 */
#include "dtrace/function.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "dtrace/ksyms.h"

#define CACHE "/run/dtrace.functions"

/* With the addresses of the places that are patched; Linux 6.5 and later. */
#define PLACES "/sys/kernel/tracing/available_filter_functions_addrs"

static const char *const lists[] = {"/sys/kernel/tracing/available_filter_functions",
				    "/sys/kernel/debug/tracing/available_filter_functions"};

/* Changes when the list may. */
static char *
list_key(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *boot = NULL, *modules = NULL;
	uint64_t h = 0xcbf29ce484222325;

	if (file_read_line("/proc/sys/kernel/random/boot_id", &boot, &err) < 0 ||
	    file_read("/proc/modules", 0, &modules, NULL, &err) < 0)
		return NULL;
	/* Of each line the name: use counts change all the time. */
	for (const char *line = modules; *line; line += strcspn(line, "\n"), line += *line == '\n')
		for (const char *at = line; *at && *at != ' '; at++)
			h = (h ^ (unsigned char)*at) * 0x100000001b3;
	return str_printf("%s %016llx\n", boot, (unsigned long long)h);
}

static bool
read_cache(const char *key, char **ret)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t len;

	if (geteuid() != 0 || !key || file_read(CACHE, 0, &text, &len, &err) < 0 ||
	    !str_after(text, key))
		return false;
	memmove(text, text + strlen(key), len + 1 - strlen(key));
	*ret = steal_ptr(&text);
	return true;
}

static bool
read_list(const char *key, char **ret)
{
	cleanup_error struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (file_read(lists[i], 0, ret, NULL, &err) == 0) {
			cleanup_free char *text = str_printf("%s%s", key ? key : "", *ret);

			/* Without a cache the next one takes longer: no error. */
			if (geteuid() == 0 && key &&
			    file_write_atomic(CACHE, text, strlen(text), 0600, &err) < 0)
				return true;
			return true;
		}
	}
	return false;
}

/* "name [module]" cut in place; false: no function. */
static bool
parse_function(char *line, struct function *f)
{
	char *module = strpbrk(line, " \t");

	if (module) {
		*module++ = '\0';
		module += strspn(module, " \t");
	}
	if (!*line || (*line == '_' && str_after(line, "__ftrace_invalid_address")))
		return false;
	f->name = line;
	f->module = "vmlinux";
	if (module && *module == '[') {
		f->module = module + 1;
		module[strcspn(module, "]")] = '\0';
	}
	return true;
}

/* The line at *text, cut off, and *text behind it; NULL at the end. */
static char *
next_line(char **text)
{
	char *line = *text, *end = strchrnul(line, '\n');

	if (!*line)
		return NULL;
	*text = *end ? end + 1 : end;
	*end = '\0';
	return line;
}

static void
parse_list(struct functions *fs)
{
	char *text = fs->text, *line;
	size_t cap = 0;

	while ((line = next_line(&text))) {
		if (fs->n == cap) {
			cap = cap ? 2 * cap : 65536;
			fs->f = xreallocarray(fs->f, cap, sizeof(*fs->f));
		}
		fs->n += parse_function(line, &fs->f[fs->n]);
	}
}

const struct functions *
dt_functions(struct dt *dt)
{
	cleanup_free char *key = NULL;
	struct functions *fs;

	if (!dt->functions) {
		key = list_key();
		fs = dt->functions = xcalloc(1, sizeof(*fs));
		if (read_cache(key, &fs->text) || read_list(key, &fs->text))
			parse_list(fs);
	}
	if (!dt->functions->n && !dt->why)
		dt->why = xstrdup("this kernel does not list its functions (tracefs, CONFIG_DYNAMIC_FTRACE)");
	return dt->functions->n ? dt->functions : NULL;
}

void
functions_free(struct functions *fs)
{
	if (!fs)
		return;
	free(fs->text);
	free(fs->f);
	free(fs);
}

const struct function *
function_find(struct dt *dt, const char *name)
{
	const struct functions *fs = dt_functions(dt);
	const struct function *cut = NULL;

	for (size_t i = 0; fs && i < fs->n; i++) {
		const char *rest;

		if (fs->f[i].name[0] != name[0])
			continue;
		rest = str_after(fs->f[i].name, name);
		if (rest && !*rest)
			return &fs->f[i];
		if (rest && (str_after(rest, ".isra.") || str_after(rest, ".constprop.")) &&
		    !strstr(rest, ".cold"))
			cut = &fs->f[i];
	}
	return cut;
}

bool
function_exists(struct dt *dt, const char *name)
{
	return ctf_kernel_id(dt->kernel, CTF_FUNCTION, name) || function_find(dt, name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct function *const *)a)->name,
		      (*(const struct function *const *)b)->name);
}

/* Pointers to n functions in the order of their names, and NULL; the caller's. */
static const struct function **
sort_by_name(const struct function *f, size_t n)
{
	const struct function **v = xcalloc(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = &f[i];
	qsort(v, n, sizeof(*v), by_name);
	return v;
}

/* The first of those that have that name, in an order of names; NULL: none. */
static const struct function **
find_name(const struct function **v, size_t n, const char *name)
{
	const struct function wanted = {.name = name}, *key = &wanted;
	const struct function **at = bsearch(&key, v, n, sizeof(*v), by_name);

	while (at && at > v && str_eq(at[-1]->name, name))
		at--;
	return at;
}

/* The one of that name and module, in an order of names; NULL: none. */
static const struct function **
find_in_module(const struct function **v, size_t n, const struct function *f)
{
	const struct function **at = find_name(v, n, f->name);

	for (; at && *at && str_eq((*at)->name, f->name); at++)
		if (str_eq((*at)->module, f->module))
			return at;
	return NULL;
}

bool
function_ambiguous(struct dt *dt, const struct function *wanted, size_t n)
{
	cleanup_free const struct function **sorted = NULL;
	const struct functions *fs;
	bool modules = false;

	for (size_t i = 0; i < n; i++)
		modules = modules || !str_eq(wanted[i].module, "vmlinux");
	if (!modules) /* its functions are the first that the kernel finds */
		return false;
	fs = dt_functions(dt);
	sorted = sort_by_name(wanted, n);
	for (size_t i = 0; fs && i < fs->n; i++) {
		const struct function **at = find_name(sorted, n, fs->f[i].name);

		if (at && !str_eq((*at)->module, fs->f[i].module))
			return true;
	}
	return false;
}

/*
 * The function's first instruction, by which kprobe.multi knows it: the place that is patched is
 * that, or behind its endbr64.
 */
static uint64_t
first_instruction(struct dt *dt, uint64_t place)
{
	const char *name, *module;
	uint64_t offset;

	if (!ksyms_at(dt_ksyms(dt), place, &name, &module, &offset))
		return place;
	return offset == 4 ? place - offset : place;
}

int
function_places(struct dt *dt, const struct function *wanted, size_t n, uint64_t **ret_addr,
		size_t **ret_which, size_t *ret_n, struct error *err)
{
	cleanup_free const struct function **sorted = sort_by_name(wanted, n);
	cleanup_free char *text = NULL;
	cleanup_free uint64_t *addr = NULL;
	cleanup_free size_t *which = NULL;
	char *rest, *line, *name;
	size_t found = 0, cap = 0;
	int r = file_read(PLACES, 0, &text, NULL, err);

	if (r < 0)
		return error_wrap(err, r,
				  "modules have functions of one name, and this kernel does not "
				  "tell where each is (name one module)");
	for (rest = text; (line = next_line(&rest));) {
		uint64_t place = strtoull(line, &name, 16);
		const struct function **at;
		struct function f;

		if (*name != ' ' || !parse_function(name + 1, &f))
			continue;
		at = find_in_module(sorted, n, &f);
		if (!at)
			continue;
		if (found == cap) {
			cap = cap ? 2 * cap : n;
			addr = xreallocarray(addr, cap, sizeof(*addr));
			which = xreallocarray(which, cap, sizeof(*which));
		}
		addr[found] = first_instruction(dt, place);
		which[found++] = (size_t)(*at - wanted);
	}
	*ret_addr = steal_ptr(&addr);
	*ret_which = steal_ptr(&which);
	*ret_n = found;
	return 0;
}
