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

#define CACHE "/run/dtrace.functions"

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

/* "name [module]\n" cut in place. */
static void
parse_list(struct functions *fs)
{
	size_t cap = 0;

	for (char *line = fs->text, *next; *line; line = next) {
		char *end = strchrnul(line, '\n'), *module;

		next = *end ? end + 1 : end;
		*end = '\0';
		module = strpbrk(line, " \t");
		if (module) {
			*module++ = '\0';
			module += strspn(module, " \t");
		}
		if (!*line || (*line == '_' && str_after(line, "__ftrace_invalid_address")))
			continue;
		if (fs->n == cap) {
			cap = cap ? 2 * cap : 65536;
			fs->f = xreallocarray(fs->f, cap, sizeof(*fs->f));
		}
		fs->f[fs->n].name = line;
		fs->f[fs->n].module = "vmlinux";
		if (module && *module == '[') {
			fs->f[fs->n].module = module + 1;
			module[strcspn(module, "]")] = '\0';
		}
		fs->n++;
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
