/*
 * The library: types, translators and inlines in D, read before the program.
 *
 * Files say what they need: "#pragma D depends_on library x.d" has x.d read
 * first, "depends_on module m" leaves the file out where the kernel module m is
 * not loaded ("depends_on provider p" orders nothing: providers are built in).
 *
 * Most programs need none of it, and compiling it takes longer than all the rest
 * of a short program: the files' definitions are noted by name, and they are
 * compiled when a program has a word that is one of them, or uses args[] that
 * are translated.  (With -L everything is compiled, for side effects.)
 *
 * A confined program (priv.h) has its view of processes, pid and the like, before anything else.  The
 * rest comes as for others, unless the program declares something: what it calls its own
 * must not be what the library's sentences, read later, find under a name of theirs
 * (priv_check_name() refuses it, too).
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "dtrace/ident.h"
#include "dtrace/priv.h"

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
list_dir(const char *dir, struct strv *ret, struct error *err)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	if (!d)
		return error_set_errno(err, errno, "cannot read the library %s", dir);
	while ((e = readdir(d)))
		if (str_ends(e->d_name, ".d") && e->d_name[0] != '.')
			strv_add(ret, e->d_name);
	closedir(d);
	strv_sort(ret);
	return 0;
}

static int
load_dir(struct dt *dt, const char *dir, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	int r = list_dir(dir, &names, err);

	for (size_t i = 0; i < names.n && r == 0; i++)
		r = load_file(dt, dir, names.v[i], 0, err);
	return r;
}

/* The next word of text, cut to 63 bytes, or one character of punctuation; NULL at the end. */
static const char *
next_token(const char *at, char word[64])
{
	size_t len = 0;

	for (;;) {
		const char *end;

		at += strspn(at, " \t\n\f\r");
		if (*at == '#')
			at += strcspn(at, "\n");
		else if (at[0] == '/' && at[1] == '*' && (end = strstr(at + 2, "*/")))
			at = end + 2;
		else
			break;
	}
	if (!*at)
		return NULL;
	while (isalnum((unsigned char)at[len]) || at[len] == '_')
		len++;
	len = len ? len : 1;
	memcpy(word, at, len < 63 ? len : 63);
	word[len < 63 ? len : 63] = '\0';
	return at + len;
}

/* Names that stand behind inline, typedef, struct, union and enum outside of braces. */
static void
note_definitions(struct map *names, const char *text)
{
	char word[64] = "", last[64] = "", kind = 0; /* 'i'nline, 't'ypedef, t'a'g follows */
	int depth = 0;

	while ((text = next_token(text, word))) {
		if (str_eq(word, "{") || str_eq(word, "}"))
			depth += word[0] == '{' ? 1 : -1;
		if (depth)
			continue;
		if ((kind == 'i' && (str_eq(word, "=") || str_eq(word, "["))) ||
		    (kind == 't' && str_eq(word, ";"))) {
			map_set(names, last, NULL);
			kind = 0;
		}
		if (str_eq(last, "struct") || str_eq(last, "union") || str_eq(last, "enum"))
			map_set(names, word, NULL);
		if (str_eq(word, "inline") || str_eq(word, "typedef"))
			kind = word[0];
		memcpy(last, word, sizeof(last));
	}
}

static int
note_dir(struct dt *dt, struct error *err)
{
	cleanup_strv struct strv files = STRV_INIT;
	int r = list_dir(dt->opts.syslibdir, &files, err);

	cleanup_free char *view = priv_view(dt);

	dt->library_names = map_new(NULL);
	if (!dt->has_view)
		note_definitions(dt->library_names, view);
	for (size_t i = 0; i < files.n && r == 0; i++) {
		cleanup_free char *path = str_printf("%s/%s", dt->opts.syslibdir, files.v[i]);
		cleanup_free char *text = NULL;

		r = file_read(path, 0, &text, NULL, err);
		if (r == 0)
			note_definitions(dt->library_names, text);
	}
	return r;
}

/*
 * Is this word, which ends where `end` stands, surely not the library's?  Members, variables of some
 * kind, and the parts of a probe's description are not, as is what D was born with.
 */
static bool
is_own(const char *begin, const char *word, const char *end, bool in_description)
{
	static const char *const more[] = {"if", "else", "self", "this", "sizeof", "string", "int"};
	size_t len = strlen(word);
	char before = (size_t)(end - begin) > len ? end[-(ptrdiff_t)len - 1] : ' ';

	if (!isalpha((unsigned char)word[0]) && word[0] != '_')
		return true;
	if (strchr("@$`>", before) || (before == '.' && *end == '.'))
		return true;
	if (in_description && (before == ':' || *end == ':'))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (str_eq(word, more[i]))
			return true;
	return ident_lookup(word);
}

/* Does text have a word that may be the library's?  To read that takes longer than all the rest. */
static bool
has_foreign_word(const char *text)
{
	const char *at = text;
	bool conditional = strchr(text, '?'); /* its ':' may be one of a predicate */
	char word[64];
	int depth = 0;

	while ((at = next_token(at, word))) {
		if (word[0] == '"') {
			for (; *at && *at != '"'; at++)
				at += *at == '\\' && at[1];
			at += *at == '"';
			continue;
		}
		depth += word[0] == '{' ? 1 : word[0] == '}' ? -1 : 0;
		if (!is_own(text, word, at, !depth && !conditional))
			return true;
	}
	return false;
}

/*
 * May the text declare a type, an inline or a translator?  There is no other way to spell these words:
 * they are looked for as they stand, be it in a comment.
 */
static bool
may_declare(const char *text)
{
	static const char *const words[] = {"inline", "typedef", "struct", "union", "enum", "translator"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* A part of the library that is made here. */
static int
load_text(struct dt *dt, const char *text, const char *name, struct error *err)
{
	bool was = dt->in_library;
	struct ast *ast;
	int r;

	dt->in_library = true;
	r = dt_parse(dt, text, strlen(text), name, &ast, err);
	if (r == 0)
		r = dt_check(dt, ast, err);
	dt->in_library = was;
	return r;
}

/* What processes are seen through. */
static int
load_view(struct dt *dt, struct error *err)
{
	cleanup_free char *text = priv_view(dt);

	if (dt->has_view)
		return 0;
	dt->has_view = true;
	return load_text(dt, text, "view", err);
}

static int
load_topology(struct dt *dt, struct error *err)
{
	cleanup_free char *text = topology_view("/sys/devices/system/cpu",
						(int)sysconf(_SC_NPROCESSORS_CONF));

	return load_text(dt, text, "topology", err);
}

/* What scripts ask illumos' kernel for by `name, and is the same all the time. */
static int
load_constants(struct dt *dt, struct error *err)
{
	struct timespec tick = {.tv_nsec = 4000000};
	cleanup_free char *text = NULL;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick); /* as long as one */
	text = str_printf("inline int d_illumos_hz = %ld;\n"
			  "inline int d_illumos_ncpus = %ld;\n"
			  "inline int d_illumos_ncpus_online = %ld;\n"
			  "inline uint64_t d_illumos_physmem = %ld;\n"
			  "inline uint64_t d_illumos__pagesize = %ld;\n",
			  1000000000 / (tick.tv_nsec ? tick.tv_nsec : 4000000),
			  sysconf(_SC_NPROCESSORS_CONF), sysconf(_SC_NPROCESSORS_ONLN),
			  sysconf(_SC_PHYS_PAGES), sysconf(_SC_PAGESIZE));
	return load_text(dt, text, "constants", err);
}

int
dt_load_library_for(struct dt *dt, const char *text, struct error *err)
{
	char word[64];
	int r;

	if (dt->library || dt->opts.nolibs)
		return 0;
	if (dt->opts.libdirs.n || (dt->confine && may_declare(text)))
		return dt_load_library(dt, err);
	if (dt->confine && (r = load_view(dt, err)) < 0)
		return r;
	if (!dt->library_names && !has_foreign_word(text))
		return 0;
	if (!dt->library_names && (r = note_dir(dt, err)) < 0)
		return r;
	while ((text = next_token(text, word)))
		if (map_has(dt->library_names, word))
			return dt_load_library(dt, err);
	return 0;
}

int
dt_load_library(struct dt *dt, struct error *err)
{
	int r = 0;

	if (dt->library || dt->opts.nolibs)
		return 0;
	dt->library = dt->in_library = true;
	r = load_view(dt, err);
	if (r == 0)
		r = load_topology(dt, err);
	if (r == 0)
		r = load_constants(dt, err);
	if (r == 0)
		r = load_dir(dt, dt->opts.syslibdir, err);
	for (size_t i = 0; i < dt->opts.libdirs.n && r == 0; i++)
		r = load_dir(dt, dt->opts.libdirs.v[i], err);
	dt->in_library = false;
	return r;
}
