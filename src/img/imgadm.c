/* imgadm: images on this node and in image sources. */
#include "img/imgadm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "img/import.h"
#include "img/img_impl.h"
#include "img/manifest.h"
#include "img/source.h"
#include "store/pool.h"
#include "store/zfs.h"

static const char *verb = "";
static bool json_errors;

/* --- errors */

/* Codes with their exit status; others leave with 1. */
static const struct {
	const char *code;
	int status;
} codes[] = {
	{"ImageNotInstalled", 3},	 {"ActiveImageNotFound", 1}, {"InvalidUUID", 1},
	{"ImageHasDependentClones", 1}, {"InvalidImageFile", 1},    {"DatasetExists", 1},
	{"ZpoolNotFound", 1},		 {"SourcePing", 1},	      {"VmNotStopped", 1},
	{"VmNotFound", 1},		 {"PrepareImage", 1},
};

/* What an error without a code of its own is called. */
static const struct {
	int code;
	const char *name;
} names[] = {
	{EBADMSG, "InvalidImageFile"}, {ENOSPC, "NoSpace"},	     {EPROTO, "SourceError"},
	{ECONNABORTED, "SourceError"}, {ETIMEDOUT, "SourceError"},  {EWOULDBLOCK, "ImageInUse"},
	{EBUSY, "Busy"},	       {ENOENT, "NotFound"},
};

static const char *
error_name(const struct error *err, int *ret_status)
{
	*ret_status = CLI_FAILED;
	for (size_t i = 0; err->path && i < ARRAY_SIZE(codes); i++) {
		if (str_eq(err->path, codes[i].code)) {
			*ret_status = codes[i].status;
			return codes[i].code;
		}
	}
	if (err->message && strstr(err->message, "manifest: "))
		return "InvalidManifest";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (err->code == names[i].code)
			return names[i].name;
	}
	return "InternalError";
}

static void
print_error(const char *name, const char *message, int status)
{
	cleanup_json struct json *j = NULL;
	cleanup_free char *text = NULL;

	fprintf(stderr, "imgadm%s%s: error (%s): %s\n", *verb ? " " : "", verb, name, message);
	if (!json_errors)
		return;
	j = json_new_object();
	json_set_str(j, "code", name);
	json_set_str(j, "message", message);
	json_set_int(j, "exitStatus", status);
	text = json_print(j, false);
	fprintf(stderr, "%s\n", text);
}

int
imgadm_error(const struct error *err)
{
	int status;
	const char *name = error_name(err, &status);

	print_error(name, error_message(err), status);
	return status;
}

int
imgadm_usage(const struct error *err)
{
	print_error("Usage", error_message(err), CLI_USAGE);
	return CLI_USAGE;
}

static const struct cli_verb *all_verbs(void);

int
imgadm_parse(int argc, char **argv, const struct cli_opt *opts, int min, int max, int *ret_first,
	     int *ret_status)
{
	cleanup_error struct error err = ERROR_INIT;
	bool help = false;

	verb = argv[0];
	if (cli_parse(argc, argv, opts, ret_first, &help, &err) < 0) {
		*ret_status = imgadm_usage(&err);
		return 1;
	}
	if (help) {
		for (const struct cli_verb *v = all_verbs(); v->name; v++) {
			if (str_eq(v->name, verb))
				printf("usage: imgadm %s %s\n%s\n\n", v->name, v->args, v->summary);
		}
		cli_print_options(stdout, opts);
		*ret_status = CLI_OK;
		return 1;
	}
	if (argc - *ret_first < min || (max >= 0 && argc - *ret_first > max)) {
		error_set(&err, EINVAL, "incorrect number of args (see imgadm %s --help)", verb);
		*ret_status = imgadm_usage(&err);
		return 1;
	}
	return 0;
}

/* --- small things */

char *
imgadm_pool(const char *option)
{
	char *pool = NULL;

	if (option)
		return xstrdup(option);
	if (pool_system(&pool, NULL) == 0)
		return pool;
	return xstrdup("zones");
}

void
imgadm_progress(uint64_t done, void *arg)
{
	if (arg)
		cli_progress_set(arg, done);
}

char *
imgadm_title(const struct json *m)
{
	return str_printf("%s (%s@%s)", json_str(json_get(m, "uuid"), "?"),
			  json_str(json_get(m, "name"), "-"), json_str(json_get(m, "version"), "-"));
}

static void
print_json(const struct json *j)
{
	cleanup_free char *text = json_print(j, true);

	fputs(text, stdout);
}

/* --- import */

/* An image to fetch, in the order of installation (origins first). */
struct wanted {
	struct json *manifest;
	const struct source *source;
};
struct wanted_list {
	struct wanted *v;
	size_t n;
};

static void
wanted_done(struct wanted_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_free(l->v[i].manifest);
	free(l->v);
}

/* Asks each source; those that cannot be asked are told about, and the rest goes on. */
static int
find_manifest(const struct source_list *sources, const char *uuid, const char *channel,
	      struct wanted *ret, struct error *err)
{
	for (size_t i = 0; i < sources->n; i++) {
		cleanup_error struct error e = ERROR_INIT;
		int r;

		if (!str_eq(sources->sources[i].type, "imgapi"))
			continue;
		r = source_manifest(&sources->sources[i], uuid, channel, &ret->manifest, &e);
		if (r == 0) {
			ret->source = &sources->sources[i];
			return 0;
		}
		if (r == -EINVAL) {
			error_move(err, &e);
			return r;
		}
		if (r != -ENOENT)
			fprintf(stderr, "imgadm: warning: source %s: %s\n", sources->sources[i].url,
				error_message(&e));
	}
	return img_error(err, ENOENT, "ActiveImageNotFound",
			 "an active image with uuid \"%s\" was not found in image sources", uuid);
}

enum { ORIGIN_DEPTH_MAX = 64 };

static int
gather(const struct source_list *sources, const char *uuid, const char *channel, const char *pool,
       struct wanted_list *ret, struct error *err)
{
	cleanup_free char *next = xstrdup(uuid);

	for (int depth = 0; next; depth++) {
		cleanup_image struct image *there = NULL;
		struct wanted w = {0};
		int r;

		if (img_find(next, pool, &there, NULL) == 0)
			return 0;
		if (depth == ORIGIN_DEPTH_MAX)
			return error_set(err, ELOOP, "image %s has more than %d origins", uuid,
					 ORIGIN_DEPTH_MAX);
		r = find_manifest(sources, next, channel, &w, err);
		if (r == 0)
			r = manifest_check(w.manifest, MANIFEST_INSTALL, err);
		if (r < 0) {
			json_free(w.manifest);
			return r;
		}
		ret->v = xreallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
		memmove(ret->v + 1, ret->v, ret->n * sizeof(*ret->v));
		ret->v[0] = w;
		ret->n++;
		for (size_t i = 1; i < ret->n; i++) {
			if (str_eq(json_str(json_get(ret->v[i].manifest, "uuid"), ""), next))
				return error_set(err, ELOOP, "image %s is its own origin", next);
		}
		free(next);
		next = xstrdup(json_str(json_get(w.manifest, "origin"), NULL));
	}
	return 0;
}

static int
fetch(const struct wanted *w, const char *channel, const char *pool, bool quiet, struct error *err)
{
	const char *uuid = json_str(json_get(w->manifest, "uuid"), "");
	cleanup_free char *title = imgadm_title(w->manifest);
	struct cli_progress *bar = NULL;
	struct manifest_file f;
	struct stream *s;
	struct import_opts o = {.pool = pool, .source = w->source->url,
				.progress = imgadm_progress};
	int r;

	manifest_file(w->manifest, &f);
	r = source_file(w->source, uuid, channel, &s, err);
	if (r < 0)
		return r;
	if (!quiet)
		bar = cli_progress_new(json_str(json_get(w->manifest, "name"), uuid), f.size);
	o.arg = bar;
	r = img_install(w->manifest, s, &o, err);
	cli_progress_free(bar);
	if (r == 0)
		printf("Imported image %s.\n", title);
	else if (r > 0)
		printf("Image %s is already installed, skipping\n", title);
	fflush(stdout);
	return r < 0 ? r : 0;
}

static int
import_uuid(const struct source_list *sources, const char *uuid, const char *channel,
	    const char *pool, bool quiet, struct error *err)
{
	cleanup_image struct image *there = NULL;
	struct wanted_list l = {0};
	int r;

	r = img_need_uuid(uuid, err);
	if (r < 0)
		return r;
	if (img_find(uuid, pool, &there, NULL) == 0) {
		cleanup_free char *title = imgadm_title(there->manifest);

		printf("Image %s is already installed, skipping\n", title);
		return 0;
	}
	r = gather(sources, uuid, channel, pool, &l, err);
	if (r == 0) {
		const struct wanted *last = &l.v[l.n - 1];
		cleanup_free char *title = imgadm_title(last->manifest);
		uint64_t total = 0;
		char size[16];

		for (size_t i = 0; i < l.n; i++) {
			struct manifest_file f;

			manifest_file(l.v[i].manifest, &f);
			total += f.size;
		}
		printf("Importing %s from \"%s\"\n", title, last->source->url);
		printf("Must download and install %zu image%s (%s)\n", l.n, l.n == 1 ? "" : "s",
		       str_human_size(total, size));
		fflush(stdout);
	}
	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = fetch(&l.v[i], channel, pool, quiet, err);
	wanted_done(&l);
	return r;
}

/*
 * An image may be called by its name, or name@version: of all that the sources have the one
 * published last.  A source that cannot be asked is told about.
 */
static int
find_uuid(const struct source_list *sources, const char *what, const char *channel, char **ret,
	  struct error *err)
{
	const char *at = strchr(what, '@');
	cleanup_free char *name = at ? xstrndup(what, (size_t)(at - what)) : xstrdup(what);
	cleanup_free char *uuid = NULL, *when = xstrdup("");

	for (size_t i = 0; i < sources->n; i++) {
		cleanup_json struct json *images = NULL;
		cleanup_error struct error e = ERROR_INIT;
		const struct json *m;

		if (!str_eq(sources->sources[i].type, "imgapi"))
			continue;
		if (source_images(&sources->sources[i], channel, &images, NULL, &e) < 0) {
			fprintf(stderr, "imgadm: warning: source %s: %s\n", sources->sources[i].url,
				error_message(&e));
			continue;
		}
		json_array_each(m, images) {
			const char *published = json_str(json_get(m, "published_at"), "");

			if (!str_eq(json_str(json_get(m, "name"), ""), name) ||
			    (at && !str_eq(json_str(json_get(m, "version"), ""), at + 1)) ||
			    (uuid && strcmp(published, when) <= 0))
				continue;
			free(uuid);
			free(when);
			uuid = xstrdup(json_str(json_get(m, "uuid"), ""));
			when = xstrdup(published);
		}
	}
	if (!uuid)
		return img_error(err, ENOENT, "ActiveImageNotFound",
				 "an active image called \"%s\" was not found in image sources "
				 "(imgadm avail)",
				 what);
	*ret = steal_ptr(&uuid);
	return 0;
}

static int
import_named(const struct source_list *sources, const char *what, const char *channel,
	     const char *pool, bool quiet, struct error *err)
{
	cleanup_free char *uuid = NULL;
	int r;

	/* what looks like a broken uuid is one */
	if (str_is_uuid(what) || strspn(what, "0123456789abcdefABCDEF-") == strlen(what))
		return import_uuid(sources, what, channel, pool, quiet, err);
	r = find_uuid(sources, what, channel, &uuid, err);
	return r < 0 ? r : import_uuid(sources, uuid, channel, pool, quiet, err);
}

static int
verb_import(int argc, char **argv)
{
	const char *pool_opt = NULL, *url = NULL, *channel = NULL;
	bool quiet = false, zstream = false;
	const struct cli_opt opts[] = {
		{'P', NULL, CLI_STR, &pool_opt, "POOL", "pool to install into"},
		{'S', NULL, CLI_STR, &url, "URL", "ask this source only"},
		{'C', NULL, CLI_STR, &channel, "CHANNEL", "of this channel of the sources"},
		{'q', "quiet", CLI_FLAG, &quiet, NULL, "no progress bar"},
		{'\0', "zstream", CLI_FLAG, &zstream, NULL, NULL},
		{0},
	};
	cleanup_source_list struct source_list sources = SOURCE_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *pool = NULL;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 1, -1, &first, &status))
		return status;
	pool = imgadm_pool(pool_opt);
	r = url ? source_add(&sources, url, "imgapi", false, &err) : source_load(&sources, &err);
	if (r == 0)
		r = img_sweep(pool, NULL, &err);
	for (; r == 0 && first < argc; first++)
		r = import_named(&sources, argv[first], channel, pool, quiet, &err);
	return r < 0 ? imgadm_error(&err) : CLI_OK;
}

/* --- install */

static int
verb_install(int argc, char **argv)
{
	const char *pool_opt = NULL, *manifest_path = NULL, *file = NULL;
	bool quiet = false;
	const struct cli_opt opts[] = {
		{'m', NULL, CLI_STR, &manifest_path, "MANIFEST", "the image's manifest"},
		{'f', NULL, CLI_STR, &file, "FILE", "the image's file"},
		{'P', NULL, CLI_STR, &pool_opt, "POOL", "pool to install into"},
		{'q', "quiet", CLI_FLAG, &quiet, NULL, "no progress bar"},
		{0},
	};
	cleanup_json struct json *m = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *pool = NULL, *title = NULL;
	struct import_opts o = {.progress = imgadm_progress};
	struct cli_progress *bar = NULL;
	struct stream *s;
	struct manifest_file f;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 0, 0, &first, &status))
		return status;
	if (!manifest_path || !file) {
		error_set(&err, EINVAL, "-m MANIFEST and -f FILE are both needed");
		return imgadm_usage(&err);
	}
	pool = imgadm_pool(pool_opt);
	r = json_read_file(manifest_path, &m, &err);
	if (r == 0)
		r = manifest_check(m, MANIFEST_INSTALL, &err);
	if (r == 0)
		r = img_sweep(pool, NULL, &err);
	if (r == 0)
		r = stream_open_file(file, &s, &err);
	if (r < 0)
		return imgadm_error(&err);
	manifest_file(m, &f);
	title = imgadm_title(m);
	if (!quiet)
		bar = cli_progress_new(json_str(json_get(m, "name"), "image"), f.size);
	o.pool = pool;
	o.arg = bar;
	r = img_install(m, s, &o, &err);
	cli_progress_free(bar);
	if (r < 0)
		return imgadm_error(&err);
	if (r > 0)
		printf("Image %s is already installed, skipping\n", title);
	else
		printf("Installed image %s to zpool \"%s\".\n", title, pool);
	return CLI_OK;
}

/* --- show, get */

static int
verb_show(int argc, char **argv)
{
	const char *channel = NULL;
	const struct cli_opt opts[] = {
		{'C', NULL, CLI_STR, &channel, "CHANNEL", "of this channel of the sources"},
		{0},
	};
	cleanup_source_list struct source_list sources = SOURCE_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	struct wanted w = {0};
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 1, 1, &first, &status))
		return status;
	r = img_need_uuid(argv[first], &err);
	if (r == 0)
		r = source_load(&sources, &err);
	if (r == 0)
		r = find_manifest(&sources, argv[first], channel, &w, &err);
	if (r < 0)
		return imgadm_error(&err);
	print_json(w.manifest);
	json_free(w.manifest);
	return CLI_OK;
}

static struct json *
names_json(const struct strv *sv)
{
	struct json *j = json_new_array();

	for (size_t i = 0; i < sv->n; i++)
		json_push(j, json_new_str(sv->v[i]));
	return j;
}

static int
verb_get(int argc, char **argv)
{
	const char *pool_opt = NULL;
	bool recursive = false;
	const struct cli_opt opts[] = {
		{'r', NULL, CLI_FLAG, &recursive, NULL, "with clones and snapshots"},
		{'P', NULL, CLI_STR, &pool_opt, "POOL", "pool to look in"},
		{0},
	};
	cleanup_strv struct strv clones = STRV_INIT, snapshots = STRV_INIT;
	cleanup_image struct image *i = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *j = NULL;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 1, 1, &first, &status))
		return status;
	r = img_find(argv[first], pool_opt, &i, &err);
	if (r == 0 && recursive)
		r = zfs_clones(i->dataset, true, &clones, &err);
	if (r == 0 && recursive)
		r = zfs_snapshots(i->dataset, &snapshots, &err);
	if (r < 0)
		return imgadm_error(&err);
	j = json_new_object();
	json_set(j, "manifest", json_copy(i->manifest));
	json_set_str(j, "zpool", i->pool);
	if (i->source)
		json_set_str(j, "source", i->source);
	if (recursive) {
		struct json *children = json_new_object();

		json_set(children, "clones", names_json(&clones));
		json_set(children, "snapshots", names_json(&snapshots));
		json_set(j, "children", children);
	}
	print_json(j);
	return CLI_OK;
}

/* --- delete, vacuum, update */

static int
verb_delete(int argc, char **argv)
{
	const char *pool_opt = NULL;
	const struct cli_opt opts[] = {
		{'P', NULL, CLI_STR, &pool_opt, "POOL", "pool to delete it from"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	int first, status;

	if (imgadm_parse(argc, argv, opts, 1, -1, &first, &status))
		return status;
	for (; first < argc; first++) {
		if (img_delete(argv[first], pool_opt, &err) < 0)
			return imgadm_error(&err);
		printf("Deleted image %s\n", argv[first]);
	}
	return CLI_OK;
}

/* Deletes what nothing was cloned from; origins become free when their clones went. */
static int
vacuum_round(bool dry_run, size_t *ret_deleted, struct error *err)
{
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	int r;

	*ret_deleted = 0;
	r = img_list(NULL, &l, err);
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		cleanup_free char *title = imgadm_title(l.images[i]->manifest);

		if (l.images[i]->clones)
			continue;
		if (!dry_run)
			r = img_delete(l.images[i]->uuid, l.images[i]->pool, err);
		if (r == 0)
			printf("%s image %s\n", dry_run ? "Would delete" : "Deleted", title);
		(*ret_deleted)++;
	}
	return r;
}

static int
verb_vacuum(int argc, char **argv)
{
	bool dry_run = false, force = false;
	const struct cli_opt opts[] = {
		{'n', "dry-run", CLI_FLAG, &dry_run, NULL, "say what would be deleted"},
		{'f', "force", CLI_FLAG, &force, NULL, "do not ask"},
		{0},
	};
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	int first, status, r;
	size_t n;

	if (imgadm_parse(argc, argv, opts, 0, 0, &first, &status))
		return status;
	if (!dry_run && !force) {
		r = vacuum_round(true, &n, &err);
		if (r < 0)
			return imgadm_error(&err);
		if (n == 0)
			return CLI_OK;
		if (!cli_confirm("Delete %zu image%s?", n, n == 1 ? "" : "s"))
			return CLI_FAILED;
	}
	r = pool_list(&pools, &err);
	for (size_t i = 0; r == 0 && !dry_run && i < pools.n; i++)
		r = img_sweep(pools.pools[i].name, NULL, &err);
	do {
		if (r == 0)
			r = vacuum_round(dry_run, &n, &err);
	} while (r == 0 && n && !dry_run);
	return r < 0 ? imgadm_error(&err) : CLI_OK;
}

static int
update_one(const struct source_list *sources, const struct image *i, bool dry_run,
	   struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	struct wanted w = {0};
	bool has_final;
	int r;

	r = zfs_exists(i->snapshot, err);
	if (r < 0)
		return r;
	has_final = r;
	r = find_manifest(sources, i->uuid, NULL, &w, &e);
	if (r < 0) {
		printf("Image %s was not found in image sources, skipping\n", i->uuid);
		return 0;
	}
	if (has_final && json_equal(w.manifest, i->manifest)) {
		json_free(w.manifest);
		return 0;
	}
	cleanup_free char *title = imgadm_title(w.manifest);

	if (!dry_run)
		r = img_repair(i->uuid, i->pool, w.manifest, w.source->url, err);
	if (r == 0)
		printf("%s image %s\n", dry_run ? "Would update" : "Updated", title);
	json_free(w.manifest);
	return r;
}

static int
verb_update(int argc, char **argv)
{
	bool dry_run = false;
	const struct cli_opt opts[] = {
		{'n', "dry-run", CLI_FLAG, &dry_run, NULL, "say what would be done"},
		{0},
	};
	cleanup_source_list struct source_list sources = SOURCE_LIST_INIT;
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	int first, status, r;

	if (imgadm_parse(argc, argv, opts, 0, -1, &first, &status))
		return status;
	r = source_load(&sources, &err);
	if (r == 0 && first == argc)
		r = img_list(NULL, &l, &err);
	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = update_one(&sources, l.images[i], dry_run, &err);
	for (; r == 0 && first < argc; first++) {
		cleanup_image struct image *i = NULL;

		r = img_find(argv[first], NULL, &i, &err);
		if (r == 0)
			r = update_one(&sources, i, dry_run, &err);
	}
	return r < 0 ? imgadm_error(&err) : CLI_OK;
}

/* --- front */

static const struct cli_verb verbs[] = {
	{"sources", "[-v] [-j] [-a URL [-t TYPE] [-k] [-f]] [-d URL] [-e] [-c]",
	 "list and edit image sources", imgadm_sources},
	{"avail", "[-jH] [-C CHANNEL] [-o FIELD,...] [-s FIELD,...] [FIELD=VALUE ...]",
	 "list available images", imgadm_avail},
	{"show", "[-C CHANNEL] UUID", "show the manifest of an available image", verb_show},
	{"import", "[-q] [-P POOL] [-S URL] [-C CHANNEL] UUID|NAME[@VERSION] ...", "import an image from a source",
	 verb_import},
	{"install", "[-q] [-P POOL] -m MANIFEST -f FILE", "install an image from local files",
	 verb_install},
	{"list", "[-jH] [-o FIELD,...] [-s FIELD,...] [FIELD=VALUE ...]", "list installed images",
	 imgadm_list},
	{"get", "[-r] [-P POOL] UUID", "information about an installed image", verb_get},
	{"update", "[-n] [UUID ...]", "update the manifests of installed images", verb_update},
	{"delete", "[-P POOL] UUID ...", "remove an installed image", verb_delete},
	{"ancestry", "[-jH] [-o FIELD,...] [-P POOL] UUID", "an installed image and its origins",
	 imgadm_ancestry},
	{"vacuum", "[-n] [-f]", "delete unused images", verb_vacuum},
	{"create", "[-q] [-m MANIFEST] [-o PATH] [-c COMPRESSION] [-i] [-s SCRIPT] [-p URL] VM-UUID "
		   "[FIELD=VALUE ...]",
	 "create an image from a VM", imgadm_create},
	{"publish", "[-q] -m MANIFEST -f FILE URL", "publish an image to an image server",
	 imgadm_publish},
	{0},
};

static const struct cli_verb *
all_verbs(void)
{
	return verbs;
}

int
main(int argc, char **argv)
{
	/* zfs receive may end before its input does. */
	signal(SIGPIPE, SIG_IGN);
	while (argc > 1 && (str_eq(argv[1], "-E") || str_eq(argv[1], "-v"))) {
		json_errors |= str_eq(argv[1], "-E");
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	return cli_main(argc, argv, verbs);
}
