#include "img/source.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "img/img.h"
#include "img/img_impl.h"

static const char *const source_types[] = {"imgapi", "docker", "dsapi"};

static void
source_done(struct source *s)
{
	free(s->url);
	free(s->type);
}

void
source_list_done(struct source_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		source_done(&l->sources[i]);
	free(l->sources);
	*l = (struct source_list)SOURCE_LIST_INIT;
}

static void
append(struct source_list *l, const char *url, const char *type, bool insecure)
{
	l->sources = xreallocarray(l->sources, l->n + 1, sizeof(*l->sources));
	l->sources[l->n++] = (struct source){xstrdup(url), xstrdup(type), insecure};
}

static int
check(const char *url, const char *type, struct error *err)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(source_types) && !known; i++)
		known = str_eq(type, source_types[i]);
	if (!known)
		return error_set(err, EINVAL, "\"%s\" is not a type of source (imgapi, docker, dsapi)",
				 type);
	if (!url || !(str_after(url, "http://") || str_after(url, "https://")) ||
	    strpbrk(url, " \t\n\r\"\\") || strlen(url) > 2000)
		return error_set(err, EINVAL, "\"%s\" is not a URL (http://... or https://...)",
				 url ? url : "");
	return 0;
}

int
source_add(struct source_list *l, const char *url, const char *type, bool insecure,
	   struct error *err)
{
	int r;

	r = check(url, type, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->sources[i].url, url))
			return 1;
	}
	append(l, url, type, insecure);
	return 0;
}

bool
source_remove(struct source_list *l, const char *url)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!str_eq(l->sources[i].url, url))
			continue;
		source_done(&l->sources[i]);
		memmove(&l->sources[i], &l->sources[i + 1],
			(l->n - i - 1) * sizeof(*l->sources));
		l->n--;
		return true;
	}
	return false;
}

/*
 * Where nothing is configured: what the boot medium or loader handed over in
 * /system/boot/image-source (a URL on a line), else SmartOS's public images.
 */
static int
load_default(struct source_list *ret, struct error *err)
{
	cleanup_free char *path = str_printf("%s%s", img_root(), IMG_BOOT_SOURCE);
	cleanup_error struct error e = ERROR_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL;
	int r;

	r = file_read(path, 64 * 1024, &text, NULL, &e);
	if (r < 0 && r != -ENOENT) {
		error_move(err, &e);
		return r;
	}
	if (text)
		strv_words(&lines, text, " \t\r\n");
	for (size_t i = 0; i < lines.n; i++) {
		r = source_add(ret, lines.v[i], "imgapi", false, err);
		if (r < 0)
			return error_wrap(err, r, "%s", path);
	}
	if (lines.n == 0)
		append(ret, IMG_DEFAULT_SOURCE, "imgapi", false);
	return 0;
}

/* The configuration, an object; NULL: there is none yet. */
static int
read_conf(const char *path, struct json **ret, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r = json_read_file(path, ret, &e);

	if (r == 0 && json_type(*ret) != JSON_OBJECT)
		r = error_set(&e, EINVAL, "%s: expected an object", path);
	if (r < 0 && r != -ENOENT) {
		error_move(err, &e);
		return r;
	}
	return 0;
}

int
source_load(struct source_list *ret, struct error *err)
{
	cleanup_json struct json *conf = NULL;
	const struct json *list, *s;
	const char *path = img_conf();
	int r = read_conf(path, &conf, err);

	if (r < 0)
		return r;
	list = json_get(conf, "sources");
	if (!list)
		return load_default(ret, err);
	json_array_each(s, list) {
		const char *url = json_str(json_get(s, "url"), NULL);
		const char *type = json_str(json_get(s, "type"), "imgapi");

		r = check(url, type, err);
		if (r < 0)
			return error_wrap(err, r, "%s", path);
		append(ret, url, type, json_bool(json_get(s, "insecure"), false));
	}
	return 0;
}

struct json *
source_list_json(const struct source_list *l)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < l->n; i++) {
		struct json *s = json_new_object();

		json_set_str(s, "url", l->sources[i].url);
		json_set_str(s, "type", l->sources[i].type);
		if (l->sources[i].insecure)
			json_set_bool(s, "insecure", true);
		json_push(list, s);
	}
	return list;
}

int
source_save(const struct source_list *l, struct error *err)
{
	cleanup_json struct json *conf = NULL;
	const char *path = img_conf();
	int r = read_conf(path, &conf, err);

	if (r < 0)
		return r;
	if (!conf)
		conf = json_new_object();
	json_set(conf, "sources", source_list_json(l));
	r = img_mkdirs(err);
	if (r < 0)
		return r;
	return json_write_file(path, conf, 0644, err);
}

/* --- IMGAPI */

static char *
escape(const char *s)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (; *s; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr("-_.~", *s))
			strbuf_addc(&b, *s);
		else
			strbuf_addf(&b, "%%%02X", (unsigned char)*s);
	}
	return strbuf_steal(&b);
}

/* The source's URL with path behind it and its query (or the asked-for channel) at the end. */
static char *
source_url(const struct source *s, const char *path, const char *channel)
{
	const char *q = strchr(s->url, '?');
	size_t len = q ? (size_t)(q - s->url) : strlen(s->url);

	while (len && s->url[len - 1] == '/')
		len--;
	if (channel) {
		cleanup_free char *name = escape(channel);

		return str_printf("%.*s%s?channel=%s", (int)len, s->url, path, name);
	}
	return str_printf("%.*s%s%s", (int)len, s->url, path, q ? q : "");
}

static int
only_imgapi(const struct source *s, struct error *err)
{
	if (str_eq(s->type, "imgapi"))
		return 0;
	return error_set(err, ENOTSUP, "source %s: type %s is not supported", s->url, s->type);
}

int
source_ping(const struct source *s, struct error *err)
{
	cleanup_free char *url = source_url(s, "/ping", NULL);
	cleanup_json struct json *j = NULL;
	int r;

	r = only_imgapi(s, err);
	if (r == 0)
		r = http_get_json(url, s->insecure, &j, err);
	if (r < 0)
		return r;
	if (!str_eq(json_str(json_get(j, "ping"), NULL), "pong"))
		return error_set(err, EPROTO, "%s: this is not an image server", url);
	return 0;
}

int
source_images(const struct source *s, const char *channel, struct json **ret, size_t *ret_bad,
	      struct error *err)
{
	cleanup_free char *url = source_url(s, "/images", channel);
	cleanup_json struct json *j = NULL;
	struct json *good = json_new_array(), *m;
	size_t bad = 0;
	int r;

	r = only_imgapi(s, err);
	if (r == 0)
		r = http_get_json(url, s->insecure, &j, err);
	if (r == 0 && json_type(j) != JSON_ARRAY)
		r = error_set(err, EPROTO, "%s: the answer is not a list of images", url);
	if (r < 0) {
		json_free(good);
		return r;
	}
	json_array_each(m, j) {
		if (manifest_check(m, MANIFEST_SHOW, NULL) == 0)
			json_push(good, json_copy(m));
		else
			bad++;
	}
	if (ret_bad)
		*ret_bad = bad;
	*ret = good;
	return 0;
}

int
source_manifest(const struct source *s, const char *uuid, const char *channel, struct json **ret,
		struct error *err)
{
	cleanup_free char *path = str_printf("/images/%s", uuid);
	cleanup_free char *url = source_url(s, path, channel);
	cleanup_json struct json *j = NULL;
	int r;

	r = only_imgapi(s, err);
	if (r == 0)
		r = http_get_json(url, s->insecure, &j, err);
	if (r == 0)
		r = manifest_check(j, MANIFEST_SHOW, err);
	if (r < 0)
		return r;
	if (!str_eq(json_str(json_get(j, "uuid"), NULL), uuid))
		return error_set_path(err, EPROTO, "uuid",
				      "%s: the manifest is of another image: \"uuid\" is %s", url,
				      json_str(json_get(j, "uuid"), "?"));
	*ret = steal_ptr(&j);
	return 0;
}

int
source_file(const struct source *s, const char *uuid, const char *channel, struct stream **ret,
	    struct error *err)
{
	cleanup_free char *path = str_printf("/images/%s/file", uuid);
	cleanup_free char *url = source_url(s, path, channel);
	int r;

	r = only_imgapi(s, err);
	if (r < 0)
		return r;
	return stream_open_url(url, s->insecure, ret, NULL, err);
}

int
source_publish(const struct source *s, const struct json *manifest, const char *file,
	       stream_progress_fn *progress, void *arg, struct error *err)
{
	const char *uuid = json_str(json_get(manifest, "uuid"), "");
	struct manifest_file f;
	cleanup_free char *create = NULL, *put = NULL, *activate = NULL;
	cleanup_json struct json *nothing = json_new_object();
	int r;

	r = manifest_check(manifest, MANIFEST_INSTALL, err);
	if (r < 0)
		return r;
	manifest_file(manifest, &f);
	create = str_printf("/images/%s?action=import", uuid);
	put = str_printf("/images/%s/file?compression=%s&sha1=%s", uuid,
			 compression_name(f.compression), f.sha1);
	activate = str_printf("/images/%s?action=activate", uuid);
	cleanup_free char *create_url = source_url(s, create, NULL);
	cleanup_free char *put_url = source_url(s, put, NULL);
	cleanup_free char *activate_url = source_url(s, activate, NULL);

	r = http_post_json(create_url, s->insecure, manifest, NULL, err);
	if (r < 0)
		return error_wrap(err, r, "sending the manifest");
	r = http_put_file(put_url, s->insecure, file, progress, arg, err);
	if (r < 0)
		return error_wrap(err, r, "sending the file");
	r = http_post_json(activate_url, s->insecure, nothing, NULL, err);
	return r < 0 ? error_wrap(err, r, "activating the image") : 0;
}
