/*
 * The configuration tree of bundle.h, without XML.
 */
#include "base/str.h"
#include "smf/bundle.h"

struct json *
bundle_find(const struct json *list, const char *name)
{
	struct json *x;

	json_array_each(x, list)
	{
		if (str_eq(json_str(json_get(x, "name"), NULL), name))
			return x;
	}
	return NULL;
}

/* A new named member of list; its address inside the list. */
struct json *
bundle_add(struct json *list, const char *name, const char *type)
{
	struct json *x = json_new_object();

	json_set_str(x, "name", name);
	if (type)
		json_set_str(x, "type", type);
	json_push(list, x);
	return json_at(list, json_len(list) - 1);
}

struct json *
bundle_list(struct json *object, const char *key)
{
	if (!json_get(object, key))
		json_set(object, key, json_new_array());
	return json_get(object, key);
}

struct json *
bundle_pg(struct json *pgs, const char *name, const char *type)
{
	struct json *pg = bundle_find(pgs, name);

	if (!pg) {
		pg = bundle_add(pgs, name, type);
		json_set(pg, "props", json_new_array());
	}
	return pg;
}

struct json *
bundle_new_prop(struct json *pg, const char *name, const char *type)
{
	struct json *props = bundle_list(pg, "props"), *prop = bundle_find(props, name);

	if (!prop)
		prop = bundle_add(props, name, type);
	json_set_str(prop, "type", type);
	json_set(prop, "values", json_new_array());
	return prop;
}

void
bundle_add_value(struct json *prop, const char *value)
{
	json_push(bundle_list(prop, "values"), json_new_str(value));
}

void
bundle_prop(struct json *pg, const char *name, const char *type, const char *value)
{
	bundle_add_value(bundle_new_prop(pg, name, type), value);
}

const char *
bundle_value(const struct json *pgs, const char *pg, const char *prop)
{
	struct json *g = bundle_find(pgs, pg), *p = bundle_find(json_get(g, "props"), prop);

	return json_str(json_at(json_get(p, "values"), 0), NULL);
}
