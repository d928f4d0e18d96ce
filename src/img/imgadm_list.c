/* imgadm list, avail and ancestry: the same table of different images. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "img/img_impl.h"
#include "img/imgadm.h"
#include "img/manifest.h"
#include "img/source.h"

#define DEFAULT_FIELDS "uuid,name,version,os,type,pub"
#define DEFAULT_SORT "published_at,name"

/* --- fields of an entry {manifest, zpool, source, clones} */

static char *
published(const struct json *e, size_t len, const char *suffix)
{
	const char *at = json_str(json_lookup(e, "manifest.published_at"), NULL);

	if (!at || strlen(at) < len)
		return NULL;
	return str_printf("%.*s%s", (int)len, at, suffix);
}

static char *
field_published(const struct json *e)
{
	return published(e, strlen("2026-11-21T10:00:00"), "Z");
}

static char *
field_date(const struct json *e)
{
	return published(e, strlen("2026-11-21"), "");
}

static char *
text_of(const struct json *v)
{
	if (!v || json_type(v) == JSON_NULL)
		return NULL;
	if (json_type(v) == JSON_STR)
		return xstrdup(json_str(v, ""));
	return json_print(v, false);
}

static char *
field_size(const struct json *e)
{
	return text_of(json_lookup(e, "manifest.files[0].size"));
}

/* Fields that are not the manifest's. */
static const struct {
	const char *name;
	char *(*get)(const struct json *entry);
	const char *member; /* or a member of the entry */
} computed[] = {
	{"published", field_published, NULL}, {"published_date", field_date, NULL},
	{"pub", field_date, NULL},	       {"size", field_size, NULL},
	{"source", NULL, "source"},	       {"clones", NULL, "clones"},
	{"zpool", NULL, "zpool"},
};

static char *
field_text(const struct json *entry, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(computed); i++) {
		if (!str_eq(name, computed[i].name))
			continue;
		if (computed[i].get)
			return computed[i].get(entry);
		return text_of(json_get(entry, computed[i].member));
	}
	return text_of(json_lookup(json_get(entry, "manifest"), name));
}

/* --- filters: FIELD=VALUE, FIELD=~PART */

static int
check_filters(char **filters, int n, struct error *err)
{
	for (int i = 0; i < n; i++) {
		if (!strchr(filters[i], '=') || filters[i][0] == '=')
			return error_set(err, EINVAL, "invalid filter: \"%s\" (must be \"field=value\")",
					 filters[i]);
	}
	return 0;
}

static bool
passes(const struct json *entry, char **filters, int n)
{
	for (int i = 0; i < n; i++) {
		const char *eq = strchr(filters[i], '=');
		cleanup_free char *name = xstrndup(filters[i], (size_t)(eq - filters[i]));
		cleanup_free char *text = field_text(entry, name);

		if (!text)
			return false;
		if (eq[1] == '~' ? !strstr(text, eq + 2) : !str_eq(text, eq + 1))
			return false;
	}
	return true;
}

/* --- the table */

struct table_opts {
	bool json, no_header;
	const char *fields, *sort;
};

/* Columns are whatever fields were asked for: made on the spot. */
static void
make_columns(const struct strv *names, struct table_col *cols, struct strv *headers)
{
	for (size_t i = 0; i < names->n; i++) {
		char *header = xstrdup(names->v[i]);

		for (char *p = header; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		strv_take(headers, header);
		cols[i] = (struct table_col){.name = names->v[i], .header = header};
		cols[i].number = str_eq(names->v[i], "size") || str_eq(names->v[i], "clones") ||
				 str_eq(names->v[i], "image_size");
		cols[i].align = cols[i].number ? TABLE_RIGHT : TABLE_LEFT;
	}
}

static int
print_entries(const struct json *entries, const struct table_opts *o, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT, sort = STRV_INIT, headers = STRV_INIT;
	cleanup_free struct table_col *cols = NULL;
	cleanup_table struct table *t = NULL;
	const struct json *e;
	int r;

	strv_words(&names, o->fields, ",");
	strv_words(&sort, o->sort ? o->sort : "", ",");
	for (size_t i = 0; i < sort.n; i++) {
		const char *name = sort.v[i] + (sort.v[i][0] == '-');

		if (!strv_has(&names, name))
			strv_add(&names, name);
	}
	cols = xcalloc(names.n + 1, sizeof(*cols));
	make_columns(&names, cols, &headers);
	t = table_new(cols, names.n);
	r = table_select(t, o->fields, err);
	if (r == 0 && o->sort)
		r = table_sort(t, o->sort, err);
	if (r < 0)
		return r;
	if (o->no_header)
		table_no_header(t);
	json_array_each(e, entries) {
		table_row(t);
		for (size_t i = 0; i < names.n; i++) {
			cleanup_free char *text = field_text(e, names.v[i]);

			table_set(t, names.v[i], text);
		}
	}
	table_print(t, stdout, TABLE_HUMAN);
	return 0;
}

static int
print_all(struct json *entries, const struct table_opts *o, char **filters, int n,
	  struct error *err)
{
	cleanup_json struct json *chosen = json_new_array();
	const struct json *e;

	json_array_each(e, entries) {
		if (passes(e, filters, n))
			json_push(chosen, json_copy(e));
	}
	if (o->json) {
		cleanup_free char *text = json_print(chosen, true);

		fputs(text, stdout);
		return 0;
	}
	return print_entries(chosen, o, err);
}

static struct json *
entry_of(const struct image *i)
{
	struct json *e = json_new_object();

	json_set(e, "manifest", json_copy(i->manifest));
	json_set_str(e, "zpool", i->pool);
	if (i->source)
		json_set_str(e, "source", i->source);
	json_set_int(e, "clones", (int64_t)i->clones);
	return e;
}

/* --- verbs */

int
imgadm_list(int argc, char **argv)
{
	struct table_opts o = {.fields = DEFAULT_FIELDS, .sort = DEFAULT_SORT};
	bool docker = false;
	const struct cli_opt opts[] = {
		{'j', "json", CLI_FLAG, &o.json, NULL, "JSON"},
		{'H', NULL, CLI_FLAG, &o.no_header, NULL, "no header"},
		{'o', NULL, CLI_STR, &o.fields, "FIELD,...", "columns"},
		{'s', NULL, CLI_STR, &o.sort, "FIELD,...", "sort by"},
		{'\0', "docker", CLI_FLAG, &docker, NULL, "only images of type docker"},
		{0},
	};
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	cleanup_json struct json *entries = json_new_array();
	cleanup_error struct error err = ERROR_INIT;
	int first, status;

	if (imgadm_parse(argc, argv, opts, 0, -1, &first, &status))
		return status;
	if (check_filters(argv + first, argc - first, &err) < 0)
		return imgadm_usage(&err);
	if (img_list(NULL, &l, &err) < 0)
		return imgadm_error(&err);
	for (size_t i = 0; i < l.n; i++) {
		if (!docker || str_eq(img_type(l.images[i]), "docker"))
			json_push(entries, entry_of(l.images[i]));
	}
	if (print_all(entries, &o, argv + first, argc - first, &err) < 0)
		return imgadm_usage(&err);
	return CLI_OK;
}

int
imgadm_avail(int argc, char **argv)
{
	struct table_opts o = {.fields = DEFAULT_FIELDS, .sort = DEFAULT_SORT};
	const char *channel = NULL;
	const struct cli_opt opts[] = {
		{'j', "json", CLI_FLAG, &o.json, NULL, "JSON"},
		{'H', NULL, CLI_FLAG, &o.no_header, NULL, "no header"},
		{'o', NULL, CLI_STR, &o.fields, "FIELD,...", "columns"},
		{'s', NULL, CLI_STR, &o.sort, "FIELD,...", "sort by"},
		{'C', NULL, CLI_STR, &channel, "CHANNEL", "of this channel of the sources"},
		{0},
	};
	cleanup_source_list struct source_list sources = SOURCE_LIST_INIT;
	cleanup_json struct json *entries = json_new_array();
	cleanup_strv struct strv seen = STRV_INIT;
	cleanup_error struct error err = ERROR_INIT;
	int first, status, failed = 0;

	if (imgadm_parse(argc, argv, opts, 0, -1, &first, &status))
		return status;
	if (check_filters(argv + first, argc - first, &err) < 0)
		return imgadm_usage(&err);
	if (source_load(&sources, &err) < 0)
		return imgadm_error(&err);
	for (size_t i = 0; i < sources.n; i++) {
		const struct source *s = &sources.sources[i];
		cleanup_json struct json *images = NULL;
		const struct json *m;
		size_t bad = 0;

		if (!str_eq(s->type, "imgapi"))
			continue;
		/* One source that does not answer must not hide the others. */
		if (source_images(s, channel, &images, &bad, &err) < 0) {
			failed = imgadm_error(&err);
			continue;
		}
		if (bad)
			fprintf(stderr, "imgadm: warning: source %s: %zu invalid manifests left out\n",
				s->url, bad);
		json_array_each(m, images) {
			const char *uuid = json_str(json_get(m, "uuid"), "");
			struct json *e;

			if (strv_has(&seen, uuid))
				continue;
			strv_add(&seen, uuid);
			e = json_new_object();
			json_set(e, "manifest", json_copy(m));
			json_set_str(e, "source", s->url);
			json_push(entries, e);
		}
	}
	if (print_all(entries, &o, argv + first, argc - first, &err) < 0)
		return imgadm_usage(&err);
	return failed;
}

int
imgadm_ancestry(int argc, char **argv)
{
	struct table_opts o = {.fields = "uuid,name,version,published"};
	const char *pool = NULL;
	const struct cli_opt opts[] = {
		{'j', "json", CLI_FLAG, &o.json, NULL, "JSON"},
		{'H', NULL, CLI_FLAG, &o.no_header, NULL, "no header"},
		{'o', NULL, CLI_STR, &o.fields, "FIELD,...", "columns"},
		{'P', NULL, CLI_STR, &pool, "POOL", "pool to look in"},
		{0},
	};
	cleanup_json struct json *entries = json_new_array();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *next = NULL;
	int first, status;

	if (imgadm_parse(argc, argv, opts, 1, 1, &first, &status))
		return status;
	next = xstrdup(argv[first]);
	for (int depth = 0; next && depth < 64; depth++) {
		cleanup_image struct image *i = NULL;

		if (img_find(next, pool, &i, &err) < 0)
			return imgadm_error(&err);
		json_push(entries, entry_of(i));
		free(next);
		next = xstrdup(img_origin(i));
	}
	if (print_all(entries, &o, NULL, 0, &err) < 0)
		return imgadm_usage(&err);
	return CLI_OK;
}
