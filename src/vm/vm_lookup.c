/*
 * Filters of `vmadm list` and `vmadm lookup`, and the fields they look at.
 *
 * A field is a path of names and numbers: "alias", "nics.0.ip", "tags.role";
 * a '*' stands for every element, and a filter matches if one of them does.
 */
#include <regex.h>

#include "base/cleanup.h"
#include "vm/vm.h"

void
vm_filter_done(struct vm_filter *f)
{
	strv_done(&f->keys);
	strv_done(&f->values);
}

int
vm_filter_add(struct vm_filter *f, const char *arg, struct error *err)
{
	const char *eq = strchr(arg, '=');
	cleanup_free char *key = NULL;
	cleanup_free char *first = NULL;
	regex_t re;

	if (!eq || eq == arg)
		return error_set(err, EINVAL, "Invalid filter \"%s\": it must be property=value",
				 arg);
	key = xstrndup(arg, (size_t)(eq - arg));
	first = xstrndup(key, strcspn(key, "."));
	if (!vm_prop_find(first) && vm_field_needs(first) == (unsigned)-1)
		return error_set(err, EINVAL, "Invalid lookup key: \"%s\"", key);
	if (eq[1] == '~') {
		int r = regcomp(&re, eq + 2, REG_EXTENDED | REG_NOSUB);
		char why[128];

		if (r) {
			regerror(r, &re, why, sizeof(why));
			return error_set(err, EINVAL, "Invalid pattern \"%s\": %s", eq + 2, why);
		}
		regfree(&re);
	}
	strv_add(&f->keys, key);
	strv_add(&f->values, eq + 1);
	return 0;
}

unsigned
vm_filter_needs(const struct vm_filter *f)
{
	unsigned needs = 0;

	for (size_t i = 0; i < f->keys.n; i++)
		needs |= vm_field_needs(f->keys.v[i]);
	return needs;
}

/* One name or number of a path; returns what is left behind its dot. */
static const char *
path_part(const char *path, char *ret, size_t size)
{
	size_t len = strcspn(path, ".[");
	const char *rest = path + len;

	snprintf(ret, size, "%.*s", (int)len, path);
	if (*rest == '[') {
		/* nics[0].ip is nics.0.ip */
		return rest + 1;
	}
	return *rest ? rest + 1 : NULL;
}

static const struct json *
step(const struct json *v, const char *part)
{
	char index[32];
	int n;

	if (json_type(v) != JSON_ARRAY)
		return json_get(v, part);
	snprintf(index, sizeof(index), "%.*s", (int)strcspn(part, "]"), part);
	return str_to_int(index, &n) == 0 && n >= 0 ? json_at(v, (size_t)n) : NULL;
}

typedef bool found_fn(const struct json *v, void *arg);

/* Calls fn for every value the path names, until one says true. */
static bool
each_at(const struct json *v, const char *path, found_fn *fn, void *arg)
{
	char part[256];
	const struct json *whole;
	const char *rest;

	if (!path)
		return v && fn(v, arg);
	/* Metadata keys may hold dots themselves: the whole rest is tried first. */
	whole = json_type(v) == JSON_OBJECT ? json_get(v, path) : NULL;
	if (whole && fn(whole, arg))
		return true;
	rest = path_part(path, part, sizeof(part));
	if (str_eq(part, "*")) {
		const struct json *item;

		if (json_type(v) == JSON_ARRAY) {
			json_array_each(item, v)
				if (each_at(item, rest, fn, arg))
					return true;
		} else
			for (size_t i = 0; i < json_len(v); i++)
				if (each_at(json_value_at(v, i), rest, fn, arg))
					return true;
		return false;
	}
	v = step(v, part);
	return v && v != whole && each_at(v, rest, fn, arg);
}

static char *
value_text(const struct json *v)
{
	if (json_type(v) == JSON_STR)
		return xstrdup(json_str(v, ""));
	if (json_type(v) == JSON_NULL)
		return NULL;
	return json_print(v, false);
}

static bool
take_first(const struct json *v, void *arg)
{
	const struct json **ret = arg;

	*ret = v;
	return true;
}

const struct json *
vm_field(const struct json *vm, const char *field)
{
	const struct json *v = NULL;

	each_at(vm, field, take_first, &v);
	return v;
}

char *
vm_field_text(const struct json *vm, const char *field)
{
	const struct json *v = vm_field(vm, field);

	return v ? value_text(v) : NULL;
}

struct match {
	const char *want;
	regex_t *re;
};

static bool
value_matches(const struct json *v, void *arg)
{
	const struct match *m = arg;
	cleanup_free char *text = value_text(v);

	if (!text)
		return false;
	return m->re ? regexec(m->re, text, 0, NULL, 0) == 0 : strcmp(text, m->want) == 0;
}

static bool
one_matches(const struct json *vm, const char *key, const char *value)
{
	struct match m = {value, NULL};
	regex_t re;
	bool hit;

	if (*value == '~') {
		if (regcomp(&re, value + 1, REG_EXTENDED | REG_NOSUB))
			return false; /* vm_filter_add() refused it */
		m.re = &re;
	}
	hit = each_at(vm, key, value_matches, &m);
	if (m.re)
		regfree(m.re);
	/* "alias=-" and "alias=" find the VMs that have none, as list prints them. */
	if (!hit && !m.re && (str_eq(value, "-") || str_eq(value, "")))
		hit = !vm_field(vm, key);
	return hit;
}

bool
vm_filter_match(const struct vm_filter *f, const struct json *vm)
{
	for (size_t i = 0; i < f->keys.n; i++)
		if (!one_matches(vm, f->keys.v[i], f->values.v[i]))
			return false;
	return true;
}
