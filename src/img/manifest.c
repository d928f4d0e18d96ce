#include "img/manifest.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* --- kinds of values */

enum {
	T_STR = 1 << JSON_STR,
	T_INT = 1 << JSON_INT,
	T_BOOL = 1 << JSON_BOOL,
	T_OBJ = 1 << JSON_OBJECT,
	T_ARR = 1 << JSON_ARRAY,
};

static bool
uuid_ok(const char *s)
{
	/* Lower case only: the dataset is named so, and names are compared as bytes. */
	return str_is_uuid(s) && strspn(s, "0123456789abcdef-") == UUID_LEN;
}

static bool
sha1_ok(const char *s)
{
	return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

static bool
chars_ok(const char *s, const char *more)
{
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr(more, *s)))
			return false;
	}
	return true;
}

static bool
name_ok(const char *s)
{
	return *s && chars_ok(s, " ._/:@+-");
}

static bool
version_ok(const char *s)
{
	return *s && chars_ok(s, " ._/:@+-");
}

static bool
url_ok(const char *s)
{
	return (str_after(s, "http://") || str_after(s, "https://")) && !strpbrk(s, " \n\t");
}

static bool
word_ok(const char *s)
{
	return *s && *s != '-' && chars_ok(s, "._-");
}

/* 2026-11-21T10:00:00Z, with milliseconds or without. */
static bool
date_ok(const char *s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	const char *f;

	for (f = form; *f; f++, s++) {
		if (*f == 'd' ? !(*s >= '0' && *s <= '9') : *s != *f)
			return false;
	}
	if (*s == '.') {
		size_t n = strspn(s + 1, "0123456789");

		if (n < 1 || n > 6)
			return false;
		s += n + 1;
	}
	return str_eq(s, "Z");
}

/* A platform stamp or date: "20141030T081701Z", "7.0", "2012-12-10". */
static bool
platform_ok(const char *s)
{
	return *s && chars_ok(s, ".-");
}

static const char types[] = "zone-dataset lx-dataset zvol docker lxd other";
static const char oses[] = "smartos linux windows bsd illumos other";
static const char states[] = "active unactivated disabled creating failed";
static const char compressions[] = "none gzip bzip2 xz zstd";

/*
 * One row a field; "[]" stands for each element of an array, ".*" for each
 * member of an object.  flags: ALWAYS must be there, FILE must be there to be
 * installed, VOLUME must be there for type zvol, LIVE only its parent must
 * (a row below an array or object is looked at where that exists).
 */
enum { ALWAYS = 1, FILE_REQ = 2, VOLUME = 4, LIVE = 8 };

static const struct field {
	const char *path;
	unsigned types;
	unsigned flags;
	size_t max;          /* characters of a string, elements of an array */
	const char *choices; /* words */
	bool (*check)(const char *s);
	const char *form; /* what check wants, for the message */
} fields[] = {
	{"v", T_INT, ALWAYS},
	{"uuid", T_STR, ALWAYS, 0, NULL, uuid_ok, "a lower-case UUID"},
	{"owner", T_STR, 0, 0, NULL, uuid_ok, "a lower-case UUID"},
	{"name", T_STR, ALWAYS, 512, NULL, name_ok, "letters, digits, space and ._/:@+-"},
	{"version", T_STR, ALWAYS, 128, NULL, version_ok, "letters, digits, space and ._/:@+-"},
	{"type", T_STR, ALWAYS, 0, types},
	{"os", T_STR, ALWAYS, 0, oses},
	{"state", T_STR, 0, 0, states},
	{"disabled", T_BOOL},
	{"activated", T_BOOL},
	{"public", T_BOOL},
	{"icon", T_BOOL},
	{"description", T_STR, 0, 2048},
	{"homepage", T_STR, 0, 255, NULL, url_ok, "an http or https URL"},
	{"eula", T_STR, 0, 255, NULL, url_ok, "an http or https URL"},
	{"published_at", T_STR, 0, 0, NULL, date_ok, "a date YYYY-MM-DDTHH:MM:SS(.SSS)Z"},
	{"expires_at", T_STR, 0, 0, NULL, date_ok, "a date YYYY-MM-DDTHH:MM:SS(.SSS)Z"},
	{"origin", T_STR, 0, 0, NULL, uuid_ok, "a lower-case UUID"},
	{"error", T_OBJ},
	{"files", T_ARR, FILE_REQ, 1},
	{"files[]", T_OBJ},
	{"files[].sha1", T_STR, LIVE, 0, NULL, sha1_ok, "40 lower-case hex digits"},
	{"files[].size", T_INT, LIVE},
	{"files[].compression", T_STR, LIVE, 0, compressions},
	{"files[].dataset_guid", T_STR, 0, 32},
	{"files[].digest", T_STR, 0, 255},
	{"files[].uncompressedDigest", T_STR, 0, 255},
	{"acl", T_ARR},
	{"acl[]", T_STR, 0, 0, NULL, uuid_ok, "a lower-case UUID"},
	{"requirements", T_OBJ},
	{"requirements.networks", T_ARR},
	{"requirements.networks[]", T_OBJ},
	{"requirements.networks[].name", T_STR, LIVE, 255},
	{"requirements.networks[].description", T_STR, LIVE, 255},
	{"requirements.brand", T_STR, 0, 64},
	{"requirements.bootrom", T_STR, 0, 255},
	{"requirements.ssh_key", T_BOOL},
	{"requirements.min_ram", T_INT},
	{"requirements.max_ram", T_INT},
	{"requirements.min_platform", T_OBJ},
	{"requirements.min_platform.*", T_STR, 0, 64, NULL, platform_ok, "a platform version"},
	{"requirements.max_platform", T_OBJ},
	{"requirements.max_platform.*", T_STR, 0, 64, NULL, platform_ok, "a platform version"},
	{"users", T_ARR},
	{"users[]", T_OBJ},
	{"users[].name", T_STR, LIVE, 64, NULL, word_ok, "a user name"},
	{"billing_tags", T_ARR},
	{"billing_tags[]", T_STR, 0, 128},
	{"traits", T_OBJ},
	{"traits.*", T_STR | T_INT | T_BOOL | T_ARR},
	{"tags", T_OBJ},
	{"tags.*", T_STR | T_INT | T_BOOL},
	{"generate_passwords", T_BOOL},
	{"inherited_directories", T_ARR},
	{"inherited_directories[]", T_STR, 0, 1024},
	{"nic_driver", T_STR, VOLUME, 64, NULL, word_ok, "a driver's name"},
	{"disk_driver", T_STR, VOLUME, 64, NULL, word_ok, "a driver's name"},
	{"cpu_type", T_STR, VOLUME, 64, NULL, word_ok, "a CPU type"},
	{"image_size", T_INT, VOLUME},
	{"channels", T_ARR},
	{"channels[]", T_STR, 0, 128},
};

/* --- one value against its row */

static bool
in_words(const char *words, const char *s)
{
	cleanup_strv struct strv sv = STRV_INIT;

	strv_words(&sv, words, " ");
	return strv_has(&sv, s);
}

static char *
type_names(unsigned types_wanted)
{
	cleanup_strv struct strv sv = STRV_INIT;

	for (int t = JSON_NULL; t <= JSON_OBJECT; t++) {
		if (types_wanted & (1U << t))
			strv_add(&sv, json_type_name((enum json_type)t));
	}
	return strv_join(&sv, " or ");
}

static int
check_value(const struct field *f, const char *path, const struct json *v, struct error *err)
{
	const char *s = json_str(v, NULL);
	bool b;

	/* IMGAPI has always taken "true" and "false" for booleans. */
	if (f->types == T_BOOL && s && str_to_bool(s, &b) == 0)
		return 0;
	if (!(f->types & (1U << json_type(v)))) {
		cleanup_free char *want = type_names(f->types);

		return error_set_path(err, EINVAL, path, "manifest: \"%s\" must be %s, is %s", path,
				      want, json_type_name(json_type(v)));
	}
	if (f->types == T_INT && json_int(v, 0) <= 0)
		return error_set_path(err, EINVAL, path,
				      "manifest: \"%s\" must be a positive number, is %lld", path,
				      (long long)json_int(v, 0));
	if (json_type(v) == JSON_ARRAY && f->max && json_len(v) > f->max)
		return error_set_path(err, EINVAL, path, "manifest: \"%s\" has %zu elements, at most %zu",
				      path, json_len(v), f->max);
	if (!s)
		return 0;
	if (f->max && strlen(s) > f->max)
		return error_set_path(err, EINVAL, path,
				      "manifest: \"%s\" is longer than %zu characters", path, f->max);
	if (f->choices && !in_words(f->choices, s))
		return error_set_path(err, EINVAL, path, "manifest: \"%s\" is \"%.64s\", must be one of: %s",
				      path, s, f->choices);
	if (f->check && !f->check(s))
		return error_set_path(err, EINVAL, path, "manifest: \"%s\" is \"%.64s\", must be %s", path,
				      s, f->form);
	return 0;
}

static int
check_present(const struct field *f, const char *path, unsigned required, struct error *err)
{
	if (!(f->flags & required))
		return 0;
	return error_set_path(err, EINVAL, path, "manifest: \"%s\" is missing", path);
}

/*
 * Walks the rest of a row's path below v: "files[].sha1" is files, each
 * element, sha1.  done is the path so far, as messages show it.
 */
static int
check_path(const struct field *f, const char *rest, const char *done, const struct json *v,
	   unsigned required, struct error *err)
{
	size_t len;
	int r = 0;

	if (!*rest) {
		if (v && json_type(v) != JSON_NULL)
			return check_value(f, done, v, err);
		return check_present(f, done, required, err);
	}
	if (str_after(rest, "[]")) {
		for (size_t i = 0; json_type(v) == JSON_ARRAY && i < json_len(v) && r == 0; i++) {
			cleanup_free char *at = str_printf("%s[%zu]", done, i);

			r = check_path(f, rest + 2, at, json_at(v, i), required | LIVE, err);
		}
		return r;
	}
	if (*done && *rest == '.')
		rest++;
	if (str_eq(rest, "*")) {
		for (size_t i = 0; json_type(v) == JSON_OBJECT && i < json_len(v) && r == 0; i++) {
			cleanup_free char *at = str_printf("%s.%.64s", done, json_key_at(v, i));

			r = check_path(f, rest + 1, at, json_value_at(v, i), required, err);
		}
		return r;
	}
	len = strcspn(rest, ".[");
	cleanup_free char *key = xstrndup(rest, len);
	cleanup_free char *at = *done ? str_printf("%s.%s", done, key) : xstrdup(key);

	/* What is below something absent is absent too, and not asked for. */
	if (!json_get(v, key) && rest[len])
		return 0;
	return check_path(f, rest + len, at, json_get(v, key), required, err);
}

/* --- rules between fields */

static int
check_requirements(const struct json *m, struct error *err)
{
	const struct json *req = json_get(m, "requirements");
	int64_t min = json_int(json_get(req, "min_ram"), 0);
	int64_t max = json_int(json_get(req, "max_ram"), INT64_MAX);

	if (min > max)
		return error_set_path(err, EINVAL, "requirements.max_ram",
				      "manifest: \"requirements.max_ram\" %lld is less than min_ram %lld",
				      (long long)max, (long long)min);
	for (size_t k = 0; json_type(req) == JSON_OBJECT && k < json_len(req); k++) {
		cleanup_free char *path = str_printf("requirements.%.64s", json_key_at(req, k));
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(fields) && !known; i++)
			known = str_eq(fields[i].path, path);
		if (!known)
			return error_set_path(err, EINVAL, path,
					      "manifest: \"%s\" is a requirement this node does not know",
					      path);
	}
	return 0;
}

static int
check_volume(const struct json *m, struct error *err)
{
	static const char *const only[] = {"nic_driver", "disk_driver", "cpu_type", "image_size"};

	for (size_t i = 0; !manifest_is_volume(m) && i < ARRAY_SIZE(only); i++) {
		if (json_get(m, only[i]))
			return error_set_path(err, EINVAL, only[i],
					      "manifest: \"%s\" is only for images of type zvol", only[i]);
	}
	return 0;
}

static int
check_install(const struct json *m, struct error *err)
{
	const char *state = json_str(json_get(m, "state"), "active");

	if (json_len(json_get(m, "files")) != 1)
		return error_set_path(err, EINVAL, "files", "manifest: \"files\" must have one element");
	if (!str_eq(state, "active"))
		return error_set_path(err, EINVAL, "state",
				      "manifest: \"state\" is \"%s\": only an active image can be installed",
				      state);
	return 0;
}

int
manifest_check(const struct json *m, enum manifest_use use, struct error *err)
{
	unsigned required = ALWAYS;
	int r = 0;

	if (json_type(m) != JSON_OBJECT)
		return error_set(err, EINVAL, "manifest: must be an object, is %s",
				 json_type_name(json_type(m)));
	/* The version first: other versions have other fields. */
	if (json_type(json_get(m, "v")) == JSON_INT && json_int(json_get(m, "v"), 0) != 2)
		return error_set_path(err, EINVAL, "v", "manifest: \"v\" is %lld, must be 2",
				      (long long)json_int(json_get(m, "v"), 0));
	if (use == MANIFEST_INSTALL)
		required |= FILE_REQ;
	if (manifest_is_volume(m))
		required |= VOLUME;
	for (size_t i = 0; i < ARRAY_SIZE(fields) && r == 0; i++)
		r = check_path(&fields[i], fields[i].path, "", m, required, err);
	if (r == 0)
		r = check_requirements(m, err);
	if (r == 0)
		r = check_volume(m, err);
	if (r == 0 && str_eq(json_str(json_get(m, "origin"), ""), json_str(json_get(m, "uuid"), "")))
		r = error_set_path(err, EINVAL, "origin", "manifest: \"origin\" is the image itself");
	if (r == 0 && use == MANIFEST_INSTALL)
		r = check_install(m, err);
	return r;
}

/* --- the file */

static const struct {
	const char *name, *suffix;
} comps[] = {
	[COMP_NONE] = {"none", ""}, [COMP_GZIP] = {"gzip", "gz"},  [COMP_BZIP2] = {"bzip2", "bz2"},
	[COMP_XZ] = {"xz", "xz"},   [COMP_ZSTD] = {"zstd", "zst"},
};

int
compression_parse(const char *name, enum compression *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(comps); i++) {
		if (str_eq(name, comps[i].name)) {
			*ret = (enum compression)i;
			return 0;
		}
	}
	return error_set(err, EINVAL, "compression \"%.64s\" is not one of: %s", name, compressions);
}

const char *
compression_name(enum compression c)
{
	return comps[c].name;
}

const char *
compression_suffix(enum compression c)
{
	return comps[c].suffix;
}

void
manifest_file(const struct json *m, struct manifest_file *ret)
{
	const struct json *f = json_at(json_get(m, "files"), 0);

	ret->sha1 = json_str(json_get(f, "sha1"), "");
	ret->size = (uint64_t)json_int(json_get(f, "size"), 0);
	ret->compression = COMP_NONE;
	compression_parse(json_str(json_get(f, "compression"), "none"), &ret->compression, NULL);
}

bool
manifest_is_volume(const struct json *m)
{
	return str_eq(json_str(json_get(m, "type"), NULL), "zvol");
}

/* --- setting, for imgadm create */

static const struct field *
field_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (str_eq(fields[i].path, path))
			return &fields[i];
	}
	return NULL;
}

static struct json *
value_of(const struct field *f, const char *text)
{
	struct json *j = NULL;
	int64_t n;
	bool b;

	if (f && (f->types & (T_OBJ | T_ARR)))
		return json_parse(text, (size_t)-1, &j, NULL) == 0 ? j : json_new_str(text);
	if (f && f->types == T_INT && str_to_i64(text, 10, &n) == 0)
		return json_new_int(n);
	if (f && f->types == T_BOOL && str_to_bool(text, &b) == 0)
		return json_new_bool(b);
	return json_new_str(text);
}

int
manifest_set(struct json *m, const char *field, const char *value, struct error *err)
{
	const char *dot = strchr(field, '.');
	cleanup_free char *parent = NULL;

	if (!dot) {
		if (!field_of(field))
			return error_set_path(err, EINVAL, field, "\"%s\" is not a manifest field", field);
		json_set(m, field, value_of(field_of(field), value));
		return 0;
	}
	parent = xstrndup(field, (size_t)(dot - field));
	if (!field_of(parent) || !(field_of(parent)->types & T_OBJ) || !dot[1])
		return error_set_path(err, EINVAL, field, "\"%s\" is not a manifest field", field);
	if (json_type(json_get(m, parent)) != JSON_OBJECT)
		json_set(m, parent, json_new_object());
	json_set(json_get(m, parent), dot + 1, value_of(field_of(field), value));
	return 0;
}
