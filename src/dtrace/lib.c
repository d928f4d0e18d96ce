/*
 * The library: types, translators and inlines in D, read before the program.
 *
 * Files say what they need: "#pragma D depends_on library x.d" has x.d read
 * first, "depends_on module m" leaves the file out where the kernel module m is
 * not loaded ("depends_on provider p" orders nothing: providers are built in).
 */
#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "dtrace/dt.h"

#define MAX_DEPENDS 16

static int load_file(struct dt *dt, const char *dir, const char *name, int depth,
		     struct error *err);

/* 1: leave the file out. */
static int
depends(struct dt *dt, const char *dir, const struct strv *words, int depth, struct error *err)
{
	const char *kind = words->n > 4 ? words->v[3] : "", *name = words->n > 4 ? words->v[4] : "";

	if (str_eq(kind, "library"))
		return load_file(dt, dir, name, depth + 1, err);
	if (str_eq(kind, "module")) {
		cleanup_free char *path = str_printf("/sys/module/%s", name);

		return !file_exists(path);
	}
	return 0;
}

static int
load_file(struct dt *dt, const char *dir, const char *name, int depth, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *path = str_printf("%s/%s", dir, name), *text = NULL;
	size_t len;
	int r;

	if (map_has(dt->loaded, path))
		return 0;
	if (depth > MAX_DEPENDS)
		return error_set(err, ELOOP, "%s: depends on itself", path);
	if ((r = file_read(path, 0, &text, &len, err)) < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv words = STRV_INIT;

		if (!str_after(lines.v[i], "#pragma D depends_on"))
			continue;
		strv_words(&words, lines.v[i], " \t");
		if ((r = depends(dt, dir, &words, depth, err)) != 0)
			return r < 0 ? r : 0;
	}
	map_set(dt->loaded, path, NULL);
	r = dt_compile(dt, text, len, path, err);
	return r < 0 ? error_wrap(err, r, "failed to read the library: %s", path) : 0;
}

static int
load_dir(struct dt *dt, const char *dir, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	struct dirent *e;
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return error_set_errno(err, errno, "cannot read the library %s", dir);
	while ((e = readdir(d)))
		if (str_ends(e->d_name, ".d") && e->d_name[0] != '.')
			strv_add(&names, e->d_name);
	closedir(d);
	strv_sort(&names);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = load_file(dt, dir, names.v[i], 0, err);
	return r;
}

int
dt_load_library(struct dt *dt, struct error *err)
{
	int r = 0;

	if (dt->library || dt->opts.nolibs)
		return 0;
	dt->library = dt->in_library = true;
	r = load_dir(dt, dt->opts.syslibdir, err);
	for (size_t i = 0; i < dt->opts.libdirs.n && r == 0; i++)
		r = load_dir(dt, dt->opts.libdirs.v[i], err);
	dt->in_library = false;
	return r;
}
