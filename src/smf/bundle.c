/*
 * Service bundles to configuration trees; see bundle.h.  One handler an
 * element, in a table; printing is in bundle_print.c.
 */
#include "smf/bundle.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "base/xml.h"
#include "smf/smf.h"

/* What the handlers of one service or instance work on. */
struct ctx {
	const char *file;
	struct json *entity; /* SERVICE or INSTANCE */
	struct json *pgs;
	bool instance;
	struct error *err;
};

struct handler {
	const char *element;
	int (*run)(struct ctx *c, struct xml_node *n);
};

static int fail(struct ctx *c, struct xml_node *n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int
fail(struct ctx *c, struct xml_node *n, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	return error_set(c->err, EINVAL, "%s:%d: %s", c->file, xml_line(n), text);
}

/* A required attribute. */
static int
need(struct ctx *c, struct xml_node *n, const char *name, const char **ret)
{
	const char *v = xml_attr(n, name);

	if (!v)
		return fail(c, n, "<%s> needs the attribute \"%s\"", xml_name(n), name);
	*ret = v;
	return 0;
}

static int
need_name(struct ctx *c, struct xml_node *n, bool slashes, const char **ret)
{
	int r = need(c, n, "name", ret);

	if (r == 0 && !smf_name_valid(*ret, slashes))
		r = fail(c, n, "\"%s\" is not a valid name", *ret);
	if (r == 0 && strlen(*ret) > SMF_FMRI_MAX / 2)
		r = fail(c, n, "name \"%.40s...\" is too long", *ret);
	return r;
}

static int
need_bool(struct ctx *c, struct xml_node *n, const char *name, const char **ret)
{
	int r = need(c, n, name, ret);

	if (r == 0 && !str_eq(*ret, "true") && !str_eq(*ret, "false"))
		r = fail(c, n, "%s=\"%s\": true or false is wanted", name, *ret);
	return r;
}

static int
check_type(struct ctx *c, struct xml_node *n, const char *type, const char *value)
{
	cleanup_error struct error why = ERROR_INIT;

	if (smf_value_check(type, value, &why) < 0)
		return fail(c, n, "%s", error_message(&why));
	return 0;
}

static int
on_propval(struct ctx *c, struct xml_node *n, struct json *pg)
{
	const char *name = NULL, *value = NULL, *type = xml_attr(n, "type") ?: "astring";
	int r;

	r = need_name(c, n, false, &name);
	if (r == 0)
		r = need(c, n, "value", &value);
	if (r == 0)
		r = check_type(c, n, type, value);
	if (r == 0)
		bundle_prop(pg, name, type, value);
	return r;
}

static int
on_property(struct ctx *c, struct xml_node *n, struct json *pg)
{
	const char *name = NULL, *type = xml_attr(n, "type"), *value = NULL;
	struct xml_node *list, *v;
	struct json *prop;
	int r;

	r = need_name(c, n, false, &name);
	if (r < 0)
		return r;
	list = xml_child(n, NULL);
	if (!type && list)
		type = smf_type_of_list(xml_name(list));
	if (!type)
		type = "astring";
	if (!smf_type_known(type))
		return fail(c, n, "unknown property type \"%s\"", type);
	prop = bundle_new_prop(pg, name, type);
	for (; list; list = xml_next(list, NULL)) {
		if (!str_eq(smf_type_of_list(xml_name(list)), type))
			return fail(c, list, "<%s> in a property of type %s", xml_name(list), type);
		xml_each(v, list, "value_node") {
			r = need(c, v, "value", &value);
			if (r == 0)
				r = check_type(c, v, type, value);
			if (r < 0)
				return r;
			bundle_add_value(prop, value);
		}
	}
	return 0;
}

/* <propval>, <property> and <stability> inside a group. */
static int
group_children(struct ctx *c, struct xml_node *n, struct json *pg)
{
	struct xml_node *k;
	int r = 0;

	xml_each(k, n, NULL) {
		const char *name = xml_name(k);

		if (str_eq(name, "propval"))
			r = on_propval(c, k, pg);
		else if (str_eq(name, "property"))
			r = on_property(c, k, pg);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
on_property_group(struct ctx *c, struct xml_node *n)
{
	const char *name = NULL, *type = NULL;
	struct json *pg;
	int r;

	r = need_name(c, n, false, &name);
	if (r == 0)
		r = need(c, n, "type", &type);
	if (r < 0)
		return r;
	pg = bundle_pg(c->pgs, name, type);
	if (str_eq(xml_attr(n, "delete"), "true"))
		json_set_bool(pg, "delete", true);
	return group_children(c, n, pg);
}

/* grouping, restart_on and the FMRIs of dependency and dependent. */
static int
dependency_words(struct ctx *c, struct xml_node *n, struct json *pg)
{
	const char *grouping = NULL, *restart_on = NULL;
	enum smf_grouping g;
	enum smf_restart_on ro;
	int r;

	r = need(c, n, "grouping", &grouping);
	if (r == 0)
		r = need(c, n, "restart_on", &restart_on);
	if (r < 0)
		return r;
	if (smf_grouping_parse(grouping, &g) < 0)
		return fail(c, n, "unknown grouping \"%s\"", grouping);
	if (smf_restart_on_parse(restart_on, &ro) < 0)
		return fail(c, n, "unknown restart_on \"%s\"", restart_on);
	bundle_prop(pg, "grouping", "astring", grouping);
	bundle_prop(pg, "restart_on", "astring", restart_on);
	return 0;
}

static int
service_fmris(struct ctx *c, struct xml_node *n, struct json *prop, bool path)
{
	struct xml_node *k;
	struct smf_fmri f;
	const char *value = NULL;
	int r, count = 0;

	xml_each(k, n, "service_fmri") {
		r = need(c, k, "value", &value);
		if (r == 0)
			r = check_type(c, k, "fmri", value);
		if (r < 0)
			return r;
		if (smf_fmri_parse(value, &f, NULL) == 0 && (f.kind == SMF_FMRI_PATH) != path)
			return fail(c, k, "\"%s\" is not a %s", value, path ? "path" : "service");
		bundle_add_value(prop, value);
		count++;
	}
	return count ? 0 : fail(c, n, "<%s> names no service", xml_name(n));
}

static int
on_dependency(struct ctx *c, struct xml_node *n)
{
	const char *name = NULL, *type = NULL;
	struct json *pg;
	bool path;
	int r;

	r = need_name(c, n, false, &name);
	if (r == 0)
		r = need(c, n, "type", &type);
	if (r < 0)
		return r;
	path = str_eq(type, "path");
	if (!path && !str_eq(type, "service"))
		return fail(c, n, "dependency type \"%s\": service or path is wanted", type);
	if (bundle_find(c->pgs, name))
		return fail(c, n, "the property group \"%s\" is there twice", name);
	pg = bundle_pg(c->pgs, name, "dependency");
	if (str_eq(xml_attr(n, "delete"), "true")) {
		json_set_bool(pg, "delete", true);
		return 0;
	}
	r = dependency_words(c, n, pg);
	if (r < 0)
		return r;
	bundle_prop(pg, "type", "astring", type);
	r = service_fmris(c, n, bundle_new_prop(pg, "entities", "fmri"), path);
	return r < 0 ? r : group_children(c, n, pg);
}

static int
on_dependent(struct ctx *c, struct xml_node *n)
{
	const char *name = NULL;
	struct json *pg;
	int r;

	r = need_name(c, n, false, &name);
	if (r < 0)
		return r;
	if (bundle_find(c->pgs, name))
		return fail(c, n, "the property group \"%s\" is there twice", name);
	pg = bundle_pg(c->pgs, name, "dependent");
	if (str_eq(xml_attr(n, "delete"), "true")) {
		json_set_bool(pg, "delete", true);
		return 0;
	}
	r = dependency_words(c, n, pg);
	return r < 0 ? r : service_fmris(c, n, bundle_new_prop(pg, "target", "fmri"), false);
}

/* The properties of a <method_context>, into a method or the method_context group. */
static const char *const context_attrs[] = {"working_directory", "project", "resource_pool",
					    "security_flags"};
static const char *const credential_attrs[] = {"user", "group", "supp_groups", "privileges",
					       "limit_privileges"};

static void
copy_attrs(struct xml_node *n, struct json *pg, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *v = xml_attr(n, names[i]);

		if (v)
			bundle_prop(pg, names[i], "astring", v);
	}
}

static int
environment(struct ctx *c, struct xml_node *n, struct json *pg)
{
	struct json *prop = bundle_new_prop(pg, "environment", "astring");
	struct xml_node *k;

	xml_each(k, n, "envvar") {
		cleanup_free char *text = NULL;
		const char *name = NULL, *value = NULL;
		int r;

		r = need(c, k, "name", &name);
		if (r == 0)
			r = need(c, k, "value", &value);
		if (r < 0)
			return r;
		if (!*name || strchr(name, '='))
			return fail(c, k, "\"%s\" cannot name an environment variable", name);
		text = str_printf("%s=%s", name, value);
		bundle_add_value(prop, text);
	}
	return 0;
}

static int
context_into(struct ctx *c, struct xml_node *n, struct json *pg)
{
	struct xml_node *k;
	int r = 0;

	copy_attrs(n, pg, context_attrs, ARRAY_SIZE(context_attrs));
	xml_each(k, n, NULL) {
		const char *name = xml_name(k), *profile = NULL;

		if (str_eq(name, "method_credential")) {
			copy_attrs(k, pg, credential_attrs, ARRAY_SIZE(credential_attrs));
			bundle_prop(pg, "use_profile", "boolean", "false");
		} else if (str_eq(name, "method_profile")) {
			r = need(c, k, "name", &profile);
			if (r < 0)
				return r;
			bundle_prop(pg, "use_profile", "boolean", "true");
			bundle_prop(pg, "profile", "astring", profile);
		} else if (str_eq(name, "method_environment")) {
			r = environment(c, k, pg);
		} else {
			r = fail(c, k, "<%s> cannot stand in a method_context", name);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int
on_method_context(struct ctx *c, struct xml_node *n)
{
	return context_into(c, n, bundle_pg(c->pgs, "method_context", "framework"));
}

static int
on_exec_method(struct ctx *c, struct xml_node *n)
{
	const char *name = NULL, *type = NULL, *exec = NULL, *timeout = NULL;
	struct xml_node *k;
	struct json *pg;
	int r;

	r = need_name(c, n, false, &name);
	if (r == 0)
		r = need(c, n, "type", &type);
	if (r == 0 && str_eq(xml_attr(n, "delete"), "true")) {
		json_set_bool(bundle_pg(c->pgs, name, "method"), "delete", true);
		return 0;
	}
	if (r == 0)
		r = need(c, n, "exec", &exec);
	if (r == 0)
		r = need(c, n, "timeout_seconds", &timeout);
	if (r < 0)
		return r;
	if (str_eq(timeout, "-1") || str_eq(timeout, "18446744073709551615"))
		timeout = "0"; /* both mean: no limit */
	r = check_type(c, n, "count", timeout);
	if (r < 0)
		return r;
	pg = bundle_pg(c->pgs, name, str_eq(type, "monitor") ? "monitor" : "method");
	bundle_prop(pg, "type", "astring", type);
	bundle_prop(pg, "exec", "astring", exec);
	bundle_prop(pg, "timeout_seconds", "count", timeout);
	xml_each(k, n, "method_context") {
		r = context_into(c, k, pg);
		if (r < 0)
			return r;
	}
	return group_children(c, n, pg);
}

static int
on_single_instance(struct ctx *c, struct xml_node *n)
{
	bundle_prop(bundle_pg(c->pgs, "general", "framework"), "single_instance", "boolean",
		    "true");
	return 0;
}

static int
on_restarter(struct ctx *c, struct xml_node *n)
{
	struct xml_node *f = xml_child(n, "service_fmri");
	const char *value = NULL;
	int r;

	if (!f)
		return fail(c, n, "<restarter> names no service");
	r = need(c, f, "value", &value);
	if (r == 0)
		r = check_type(c, f, "fmri", value);
	if (r == 0)
		bundle_prop(bundle_pg(c->pgs, "general", "framework"), "restarter", "fmri", value);
	return r;
}

static int
on_stability(struct ctx *c, struct xml_node *n)
{
	const char *value = NULL;
	int r = need(c, n, "value", &value);

	if (r == 0)
		bundle_prop(bundle_pg(c->pgs, "general", "framework"), "entity_stability",
			    "astring", value);
	return r;
}

static int
on_default_instance(struct ctx *c, struct xml_node *n)
{
	struct json *inst, *pgs;
	const char *enabled = NULL;
	int r;

	r = need_bool(c, n, "enabled", &enabled);
	if (r < 0)
		return r;
	inst = bundle_find(bundle_list(c->entity, "instances"), "default");
	if (!inst)
		inst = bundle_add(json_get(c->entity, "instances"), "default", NULL);
	pgs = bundle_list(inst, "pgs");
	bundle_prop(bundle_pg(pgs, "general", "framework"), "enabled", "boolean", enabled);
	return 0;
}

static int
on_notification(struct ctx *c, struct xml_node *n)
{
	struct xml_node *k, *type, *param, *v;
	const char *event = NULL, *name = NULL, *value = NULL;
	cleanup_free char *group = NULL;
	struct json *pg;
	int r;

	k = xml_child(n, "event");
	r = k ? need(c, k, "value", &event) : fail(c, n, "no <event> in the notification");
	if (r < 0)
		return r;
	group = str_printf("%s,notify", event);
	pg = bundle_pg(c->pgs, group, "notify_params");
	xml_each(type, n, "type") {
		r = need(c, type, "name", &name);
		if (r < 0)
			return r;
		xml_each(param, type, "parameter") {
			cleanup_free char *key = NULL;
			struct json *prop;

			r = need(c, param, "name", &value);
			if (r < 0)
				return r;
			key = str_printf("%s,%s", name, value);
			prop = bundle_new_prop(pg, key, "astring");
			xml_each(v, param, "value_node") {
				r = need(c, v, "value", &value);
				if (r < 0)
					return r;
				bundle_add_value(prop, value);
			}
		}
		xml_each(param, type, "paramval") {
			cleanup_free char *key = NULL;

			r = need(c, param, "name", &value);
			if (r < 0)
				return r;
			key = str_printf("%s,%s", name, value);
			r = need(c, param, "value", &value);
			if (r < 0)
				return r;
			bundle_prop(pg, key, "astring", value);
		}
	}
	return 0;
}

/* <common_name><loctext xml:lang='C'>text</loctext></common_name> and the like. */
static void
loctexts(struct xml_node *n, struct json *pg, const char *prefix)
{
	struct xml_node *k;

	xml_each(k, n, "loctext") {
		cleanup_free char *text = xml_text(k);
		const char *lang = xml_attr(k, "xml:lang") ?: xml_attr(k, "lang") ?: "C";
		cleanup_free char *prop = str_printf("%s%s", prefix, lang);
		cleanup_strv struct strv words = STRV_INIT;
		cleanup_free char *line = NULL;

		for (char *p = prop; *p; p++) {
			if (*p == '-')
				*p = '_';
		}
		strv_words(&words, text, " \t\r\n");
		line = strv_join(&words, " ");
		bundle_prop(pg, prop, "ustring", line);
	}
}

static int
documentation(struct ctx *c, struct xml_node *n)
{
	struct xml_node *k;
	const char *a = NULL, *b = NULL;
	int r = 0;

	xml_each(k, n, NULL) {
		cleanup_free char *group = NULL;
		struct json *pg;

		if (str_eq(xml_name(k), "manpage")) {
			r = need(c, k, "title", &a);
			if (r == 0)
				r = need(c, k, "section", &b);
			if (r < 0)
				return r;
			group = str_printf("tm_man_%s%s", a, b);
			pg = bundle_pg(c->pgs, group, "template");
			bundle_prop(pg, "title", "astring", a);
			bundle_prop(pg, "section", "astring", b);
			bundle_prop(pg, "manpath", "astring", xml_attr(k, "manpath") ?: ":default");
		} else if (str_eq(xml_name(k), "doc_link")) {
			r = need(c, k, "name", &a);
			if (r == 0)
				r = need(c, k, "uri", &b);
			if (r < 0)
				return r;
			group = str_printf("tm_doc_%s", a);
			for (char *p = group; *p; p++) {
				if (!isalnum((unsigned char)*p))
					*p = '_';
			}
			pg = bundle_pg(c->pgs, group, "template");
			bundle_prop(pg, "name", "astring", a);
			bundle_prop(pg, "uri", "astring", b);
		}
	}
	return 0;
}

/* A pattern's own attributes; names are made as illumos makes them. */
static int
prop_pattern(struct ctx *c, struct xml_node *n, const char *pg_name)
{
	static const char *const kept[] = {"name", "type", "required"};
	cleanup_free char *group = NULL;
	struct xml_node *k;
	struct json *pg;
	const char *name = NULL;
	int r;

	r = need(c, n, "name", &name);
	if (r < 0)
		return r;
	group = str_printf("tm_proppat_nt_%s_%s", pg_name, name);
	pg = bundle_pg(c->pgs, group, "template_prop_pattern");
	copy_attrs(n, pg, kept, ARRAY_SIZE(kept));
	xml_each(k, n, NULL) {
		if (str_eq(xml_name(k), "common_name"))
			loctexts(k, pg, "common_name_");
		else if (str_eq(xml_name(k), "description"))
			loctexts(k, pg, "description_");
		else if (str_eq(xml_name(k), "visibility") && xml_attr(k, "value"))
			bundle_prop(pg, "visibility", "astring", xml_attr(k, "value"));
	}
	return 0;
}

static int
pg_pattern(struct ctx *c, struct xml_node *n)
{
	static const char *const kept[] = {"name", "type", "target", "required"};
	const char *name = xml_attr(n, "name") ?: "";
	cleanup_free char *group = str_printf("tm_pgpat_nt_%s", name);
	struct json *pg = bundle_pg(c->pgs, group, "template_pg_pattern");
	struct xml_node *k;
	int r = 0;

	copy_attrs(n, pg, kept, ARRAY_SIZE(kept));
	xml_each(k, n, NULL) {
		if (str_eq(xml_name(k), "common_name"))
			loctexts(k, pg, "common_name_");
		else if (str_eq(xml_name(k), "description"))
			loctexts(k, pg, "description_");
		else if (str_eq(xml_name(k), "prop_pattern"))
			r = prop_pattern(c, k, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
on_template(struct ctx *c, struct xml_node *n)
{
	struct xml_node *k;
	int r = 0;

	xml_each(k, n, NULL) {
		const char *name = xml_name(k);

		if (str_eq(name, "common_name"))
			loctexts(k, bundle_pg(c->pgs, "tm_common_name", "template"), "");
		else if (str_eq(name, "description"))
			loctexts(k, bundle_pg(c->pgs, "tm_description", "template"), "");
		else if (str_eq(name, "documentation"))
			r = documentation(c, k);
		else if (str_eq(name, "pg_pattern"))
			r = pg_pattern(c, k);
		else
			r = fail(c, k, "<%s> cannot stand in a template", name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_instance(struct ctx *c, struct xml_node *n);

static const struct handler handlers[] = {
	{"create_default_instance", on_default_instance},
	{"single_instance", on_single_instance},
	{"restarter", on_restarter},
	{"dependency", on_dependency},
	{"dependent", on_dependent},
	{"method_context", on_method_context},
	{"exec_method", on_exec_method},
	{"notification_parameters", on_notification},
	{"property_group", on_property_group},
	{"instance", on_instance},
	{"stability", on_stability},
	{"template", on_template},
};

static int
entity_children(struct ctx *c, struct xml_node *n)
{
	struct xml_node *k;
	int r;

	xml_each(k, n, NULL) {
		const struct handler *h = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(handlers) && !h; i++) {
			if (str_eq(xml_name(k), handlers[i].element))
				h = &handlers[i];
		}
		if (!h || (c->instance && (h->run == on_instance || h->run == on_single_instance ||
					   h->run == on_default_instance)))
			return fail(c, k, "<%s> cannot stand in <%s>", xml_name(k), xml_name(n));
		r = h->run(c, k);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
on_instance(struct ctx *c, struct xml_node *n)
{
	struct ctx in = {.file = c->file, .instance = true, .err = c->err};
	struct json *instances = bundle_list(c->entity, "instances");
	const char *name = NULL, *enabled = NULL;
	int r;

	r = need_name(c, n, false, &name);
	if (r < 0)
		return r;
	in.entity = bundle_find(instances, name);
	if (!in.entity)
		in.entity = bundle_add(instances, name, NULL);
	in.pgs = bundle_list(in.entity, "pgs");
	if (xml_attr(n, "enabled")) {
		r = need_bool(c, n, "enabled", &enabled);
		if (r < 0)
			return r;
		bundle_prop(bundle_pg(in.pgs, "general", "framework"), "enabled", "boolean",
			    enabled);
	}
	return entity_children(&in, n);
}

static int
service(struct ctx *c, struct xml_node *n, struct json *services)
{
	const char *name, *type = xml_attr(n, "type");
	int r;

	r = need_name(c, n, true, &name);
	if (r < 0)
		return r;
	if (type && !str_eq(type, "service") && !str_eq(type, "restarter") &&
	    !str_eq(type, "milestone"))
		return fail(c, n, "unknown service type \"%s\"", type);
	if (bundle_find(services, name))
		return fail(c, n, "service \"%s\" is there twice", name);
	c->entity = bundle_add(services, name, type ?: "service");
	c->pgs = bundle_list(c->entity, "pgs");
	bundle_list(c->entity, "instances");
	return entity_children(c, n);
}

static int
whole_bundle(struct ctx *c, struct xml_node *root, struct json *tree)
{
	struct json *services = bundle_list(tree, "services");
	struct xml_node *k;
	const char *type = NULL;
	int r;

	if (!str_eq(xml_name(root), "service_bundle"))
		return fail(c, root, "a service_bundle is wanted, this is <%s>", xml_name(root));
	r = need(c, root, "type", &type);
	if (r < 0)
		return r;
	if (!str_eq(type, "manifest") && !str_eq(type, "profile") && !str_eq(type, "archive"))
		return fail(c, root, "unknown bundle type \"%s\"", type);
	json_set_str(tree, "type", type);
	json_set_str(tree, "name", xml_attr(root, "name") ?: "");
	xml_each(k, root, NULL) {
		if (!str_eq(xml_name(k), "service"))
			return fail(c, k, "<%s> cannot stand in a service_bundle", xml_name(k));
		r = service(c, k, services);
		if (r < 0)
			return r;
	}
	return 0;
}

int
bundle_parse(const char *text, size_t len, const char *name, struct json **ret, struct error *err)
{
	struct ctx c = {.file = name, .err = err};
	cleanup_json struct json *tree = json_new_object();
	cleanup_xml struct xml *x = NULL;
	int r;

	r = xml_parse(text, len, name, &x, err);
	if (r < 0)
		return r;
	json_set_str(tree, "type", "");
	json_set_str(tree, "name", "");
	r = whole_bundle(&c, xml_root(x), tree);
	if (r < 0)
		return r;
	*ret = steal_ptr(&tree);
	return 0;
}

int
bundle_read(const char *path, struct json **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, 4 << 20, &text, &len, err);
	return r < 0 ? r : bundle_parse(text, len, path, ret, err);
}
