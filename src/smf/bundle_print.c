/*
 * Configuration trees back to service bundles; see bundle.h.
 *
 * Groups whose type has an element of its own (dependency, method, template
 * names) are written as that element; all others as property_group.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/xml.h"
#include "smf/bundle.h"
#include "smf/smf.h"

static const char *
word(const struct json *pg, const char *prop)
{
	struct json *p = bundle_find(json_get(pg, "props"), prop);

	return json_str(json_at(json_get(p, "values"), 0), NULL);
}

static void
copy_attr(struct xml_node *n, const struct json *pg, const char *prop)
{
	const char *v = word(pg, prop);

	if (v)
		xml_set_attr(n, prop, v);
}

static void
print_prop(struct xml_node *to, const struct json *prop)
{
	const char *name = json_str(json_get(prop, "name"), "");
	const char *type = json_str(json_get(prop, "type"), "astring");
	const struct json *values = json_get(prop, "values");
	cleanup_free char *list = str_printf("%s_list", type);
	struct xml_node *n, *l;
	struct json *v;

	if (json_len(values) == 1) {
		n = xml_add(to, "propval");
		xml_set_attr(n, "name", name);
		xml_set_attr(n, "type", type);
		xml_set_attr(n, "value", json_str(json_at(values, 0), ""));
		return;
	}
	n = xml_add(to, "property");
	xml_set_attr(n, "name", name);
	xml_set_attr(n, "type", type);
	if (json_len(values) == 0)
		return;
	l = xml_add(n, list);
	json_array_each(v, values)
	{
		xml_set_attr(xml_add(l, "value_node"), "value", json_str(v, ""));
	}
}

/* The properties that no attribute of the element has told. */
static void
other_props(struct xml_node *n, const struct json *pg, const char *const *told, size_t n_told)
{
	struct json *prop;

	json_array_each(prop, json_get(pg, "props"))
	{
		const char *name = json_str(json_get(prop, "name"), "");
		bool known = false;

		for (size_t i = 0; i < n_told && !known; i++)
			known = str_eq(name, told[i]);
		if (!known)
			print_prop(n, prop);
	}
}

static void
fmri_children(struct xml_node *n, const struct json *pg, const char *prop)
{
	struct json *v, *p = bundle_find(json_get(pg, "props"), prop);

	json_array_each(v, json_get(p, "values"))
	{
		xml_set_attr(xml_add(n, "service_fmri"), "value", json_str(v, ""));
	}
}

static void
print_dependency(struct xml_node *to, const struct json *pg)
{
	static const char *const told[] = {"grouping", "restart_on", "type", "entities", "target"};
	bool dependent = str_eq(json_str(json_get(pg, "type"), ""), "dependent");
	struct xml_node *n = xml_add(to, dependent ? "dependent" : "dependency");

	xml_set_attr(n, "name", json_str(json_get(pg, "name"), ""));
	copy_attr(n, pg, "grouping");
	copy_attr(n, pg, "restart_on");
	if (!dependent)
		copy_attr(n, pg, "type");
	fmri_children(n, pg, dependent ? "target" : "entities");
	other_props(n, pg, told, ARRAY_SIZE(told));
}

static const char *const context_words[] = {"working_directory", "project", "resource_pool",
					    "security_flags"};
static const char *const credential_words[] = {"user", "group", "supp_groups", "privileges",
					       "limit_privileges"};

static bool
has_any(const struct json *pg, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (word(pg, names[i]))
			return true;
	}
	return false;
}

static void
print_context(struct xml_node *to, const struct json *pg)
{
	struct json *env = bundle_find(json_get(pg, "props"), "environment"), *v;
	bool credential = has_any(pg, credential_words, ARRAY_SIZE(credential_words));
	struct xml_node *n, *k;

	if (!env && !credential && !word(pg, "profile") &&
	    !has_any(pg, context_words, ARRAY_SIZE(context_words)))
		return;
	n = xml_add(to, "method_context");
	for (size_t i = 0; i < ARRAY_SIZE(context_words); i++)
		copy_attr(n, pg, context_words[i]);
	if (word(pg, "profile")) {
		xml_set_attr(xml_add(n, "method_profile"), "name", word(pg, "profile"));
	} else if (credential) {
		k = xml_add(n, "method_credential");
		for (size_t i = 0; i < ARRAY_SIZE(credential_words); i++)
			copy_attr(k, pg, credential_words[i]);
	}
	if (!env)
		return;
	k = xml_add(n, "method_environment");
	json_array_each(v, json_get(env, "values"))
	{
		const char *text = json_str(v, ""), *eq = strchr(text, '=');
		cleanup_free char *name = xstrndup(text, eq ? (size_t)(eq - text) : strlen(text));
		struct xml_node *e = xml_add(k, "envvar");

		xml_set_attr(e, "name", name);
		xml_set_attr(e, "value", eq ? eq + 1 : "");
	}
}

static void
print_method(struct xml_node *to, const struct json *pg)
{
	static const char *const told[] = {
		"type", "exec", "timeout_seconds", "working_directory", "project",
		"resource_pool", "security_flags", "user", "group", "supp_groups",
		"privileges", "limit_privileges", "environment", "use_profile", "profile"};
	struct xml_node *n = xml_add(to, "exec_method");

	xml_set_attr(n, "name", json_str(json_get(pg, "name"), ""));
	copy_attr(n, pg, "type");
	copy_attr(n, pg, "exec");
	copy_attr(n, pg, "timeout_seconds");
	print_context(n, pg);
	other_props(n, pg, told, ARRAY_SIZE(told));
}

static void
print_group(struct xml_node *to, const struct json *pg)
{
	struct xml_node *n = xml_add(to, "property_group");

	xml_set_attr(n, "name", json_str(json_get(pg, "name"), ""));
	xml_set_attr(n, "type", json_str(json_get(pg, "type"), ""));
	other_props(n, pg, NULL, 0);
}

static void
loctexts(struct xml_node *to, const char *element, const struct json *pg)
{
	struct xml_node *n = xml_add(to, element), *k;
	struct json *prop;

	json_array_each(prop, json_get(pg, "props"))
	{
		k = xml_add(n, "loctext");
		xml_set_attr(k, "xml:lang", json_str(json_get(prop, "name"), "C"));
		xml_set_text(k, json_str(json_at(json_get(prop, "values"), 0), ""));
	}
}

/* The template comes last in an entity: common_name, description, documentation. */
static void
print_template(struct xml_node *to, const struct json *pgs)
{
	struct json *name = bundle_find(pgs, "tm_common_name"), *pg;
	struct json *text = bundle_find(pgs, "tm_description");
	struct xml_node *n = NULL, *doc = NULL;

	if (!name && !text)
		return;
	n = xml_add(to, "template");
	if (name)
		loctexts(n, "common_name", name);
	if (text)
		loctexts(n, "description", text);
	json_array_each(pg, pgs)
	{
		const char *what = json_str(json_get(pg, "name"), "");
		bool man = str_after(what, "tm_man_") != NULL;
		struct xml_node *k;

		if (!man && !str_after(what, "tm_doc_"))
			continue;
		if (!doc)
			doc = xml_add(n, "documentation");
		k = xml_add(doc, man ? "manpage" : "doc_link");
		copy_attr(k, pg, man ? "title" : "name");
		copy_attr(k, pg, man ? "section" : "uri");
		if (man)
			copy_attr(k, pg, "manpath");
	}
}

static bool
is_template(const struct json *pg)
{
	return str_after(json_str(json_get(pg, "type"), ""), "template") != NULL;
}

static void
print_pgs(struct xml_node *to, const struct json *pgs)
{
	struct json *pg, *general = bundle_find(pgs, "general");
	struct xml_node *n;

	if (general && word(general, "single_instance"))
		xml_add(to, "single_instance");
	if (general && word(general, "restarter")) {
		n = xml_add(to, "restarter");
		xml_set_attr(xml_add(n, "service_fmri"), "value", word(general, "restarter"));
	}
	json_array_each(pg, pgs)
	{
		const char *type = json_str(json_get(pg, "type"), "");
		const char *name = json_str(json_get(pg, "name"), "");

		if (!json_bool(json_get(pg, "persistent"), true) || is_template(pg))
			continue;
		if (str_eq(type, "dependency") || str_eq(type, "dependent"))
			print_dependency(to, pg);
		else if (str_eq(type, "method") && word(pg, "exec"))
			print_method(to, pg);
		else if (str_eq(name, "method_context"))
			print_context(to, pg);
		else if (!str_eq(name, "general"))
			print_group(to, pg);
	}
}

static void
print_instance(struct xml_node *to, const struct json *inst)
{
	const char *enabled = bundle_value(json_get(inst, "pgs"), "general", "enabled");
	struct xml_node *n = xml_add(to, "instance");

	xml_set_attr(n, "name", json_str(json_get(inst, "name"), ""));
	xml_set_attr(n, "enabled", enabled ?: "false");
	print_pgs(n, json_get(inst, "pgs"));
	print_template(n, json_get(inst, "pgs"));
}

char *
bundle_print(const struct json *tree)
{
	cleanup_xml struct xml *x = xml_new("service_bundle", NULL,
					    "/usr/share/lib/xml/dtd/service_bundle.dtd.1");
	struct xml_node *root = xml_root(x), *n;
	struct json *service, *inst;

	xml_set_attr(root, "type", json_str(json_get(tree, "type"), "manifest"));
	xml_set_attr(root, "name", json_str(json_get(tree, "name"), "export"));
	json_array_each(service, json_get(tree, "services"))
	{
		n = xml_add(root, "service");
		xml_set_attr(n, "name", json_str(json_get(service, "name"), ""));
		xml_set_attr(n, "type", json_str(json_get(service, "type"), "service"));
		xml_set_attr(n, "version", "1");
		print_pgs(n, json_get(service, "pgs"));
		for (size_t i = 0; (inst = json_at(json_get(service, "instances"), i)) != NULL; i++)
			print_instance(n, inst);
		print_template(n, json_get(service, "pgs"));
	}
	return xml_print(x);
}
