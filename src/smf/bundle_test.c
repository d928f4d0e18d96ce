/*
 * Service bundles: NAME.in to the tree in NAME.ok; bad ones with the message
 * each must give; printing and reading back; mutated input.
 */
#include "smf/bundle.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"

static char *
to_json(const char *text, size_t len)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *tree = NULL;

	if (bundle_parse(text, len, "in", &tree, &err) < 0)
		return str_printf("%s\n", error_message(&err));
	return json_print(tree, true);
}

TEST(bundles)
{
	test_golden("src/smf/testdata/bundle", to_json);
}

#define SERVICE(x) "<service_bundle type='manifest' name='t'><service name='a' type='service' version='1'>" x "</service></service_bundle>"

TEST(bad_bundles)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "in: line 1"},
		{"<a/>", "a service_bundle is wanted, this is <a>"},
		{"<service_bundle/>", "needs the attribute \"type\""},
		{"<service_bundle type='x'/>", "unknown bundle type \"x\""},
		{"<service_bundle type='manifest'><x/></service_bundle>", "<x> cannot stand in a service_bundle"},
		{"<service_bundle type='manifest'><service/></service_bundle>", "<service> needs the attribute \"name\""},
		{"<service_bundle type='manifest'><service name='../x'/></service_bundle>", "\"../x\" is not a valid name"},
		{"<service_bundle type='manifest'><service name='a' type='x'/></service_bundle>", "unknown service type"},
		{"<service_bundle type='manifest'><service name='a'/><service name='a'/></service_bundle>", "is there twice"},
		{SERVICE("<dependency/>"), "needs the attribute \"name\""},
		{SERVICE("<dependency name='d' type='x'/>"), "service or path is wanted"},
		{SERVICE("<dependency name='d' type='service' grouping='all' restart_on='none'/>"), "unknown grouping \"all\""},
		{SERVICE("<dependency name='d' type='service' grouping='require_all' restart_on='x'/>"), "unknown restart_on"},
		{SERVICE("<dependency name='d' type='service' grouping='require_all' restart_on='none'/>"), "names no service"},
		{SERVICE("<dependency name='d' type='service' grouping='require_all' restart_on='none'><service_fmri value='x'/></dependency>"), "\"x\" is not a value of type fmri"},
		{SERVICE("<dependency name='d' type='path' grouping='require_all' restart_on='none'><service_fmri value='svc:/b'/></dependency>"), "is not a path"},
		{SERVICE("<exec_method type='method' name='start' timeout_seconds='1'/>"), "needs the attribute \"exec\""},
		{SERVICE("<exec_method type='method' name='start' exec=':true'/>"), "needs the attribute \"timeout_seconds\""},
		{SERVICE("<exec_method type='method' name='start' exec=':true' timeout_seconds='soon'/>"), "\"soon\" is not a value of type count"},
		{SERVICE("<create_default_instance/>"), "needs the attribute \"enabled\""},
		{SERVICE("<create_default_instance enabled='yes'/>"), "true or false is wanted"},
		{SERVICE("<instance name='x' enabled='true'><instance name='y' enabled='true'/></instance>"), "<instance> cannot stand in <instance>"},
		{SERVICE("<property_group name='p'/>"), "needs the attribute \"type\""},
		{SERVICE("<property_group name='p' type='t'><propval name='n' type='count' value='-1'/></property_group>"), "is not a value of type count"},
		{SERVICE("<property_group name='p' type='t'><propval name='n' type='float' value='1'/></property_group>"), "unknown property type \"float\""},
		{SERVICE("<property_group name='p' type='t'><property name='n' type='count'><astring_list/></property></property_group>"), "<astring_list> in a property of type count"},
		{SERVICE("<method_context><x/></method_context>"), "<x> cannot stand in a method_context"},
		{SERVICE("<method_context><method_environment><envvar name='A=B' value='x'/></method_environment></method_context>"), "cannot name an environment variable"},
		{SERVICE("<template><x/></template>"), "<x> cannot stand in a template"},
		{SERVICE("<xi/>"), "<xi> cannot stand in <service>"},
		{SERVICE("<restarter/>"), "<restarter> names no service"},
		{SERVICE("<notification_parameters/>"), "no <event>"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct json *tree = NULL;
		int r = bundle_parse(cases[i].text, strlen(cases[i].text), "in", &tree, &err);

		check_int(r, <, 0);
		check(!tree);
		if (r < 0 && !strstr(err.message, cases[i].message))
			test_fail(__FILE__, __LINE__, "%zu: %s", i, err.message);
		if (r == 0)
			json_free(tree);
	}
}

TEST(survives_mutation)
{
	static const char *const corpus[] = {"testdata/bundle/full.in", "manifest/restarter.xml",
					     "manifest/multi-user.xml"};
	static const char odd[] = "<>'\"/= ax0&;\0-";

	for (size_t c = 0; c < ARRAY_SIZE(corpus); c++) {
		cleanup_free char *name = str_printf("src/smf/%s", corpus[c]);
		cleanup_free char *text = NULL;
		size_t len;

		require(file_read(test_data(name), 0, &text, &len, NULL) == 0);
		test_mutations(text, len, odd, sizeof(odd) - 1, 300, LLVMFuzzerTestOneInput);
	}
}

/* Trees equal but for the order of groups, which printing may change. */
TEST(printing_and_reading_back)
{
	cleanup_json struct json *tree = NULL, *back = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct json *a, *b, *pg;

	check_ok(bundle_read(test_data("src/smf/testdata/bundle/full.in"), &tree, &err), &err);
	text = bundle_print(tree);
	check_ok(bundle_parse(text, strlen(text), "printed", &back, &err), &err);
	a = json_at(json_get(tree, "services"), 0);
	b = json_at(json_get(back, "services"), 0);
	json_array_each(pg, json_get(a, "pgs"))
	{
		const char *name = json_str(json_get(pg, "name"), "");
		struct json *other = bundle_find(json_get(b, "pgs"), name);
		struct json *prop;

		if (strstr(json_str(json_get(pg, "type"), ""), "template_") || str_eq(name, "general"))
			continue; /* patterns are not printed; stability is general's */
		for (size_t i = 0; (prop = json_at(json_get(pg, "props"), i)) != NULL; i++) {
			struct json *p = bundle_find(json_get(other, "props"),
						     json_str(json_get(prop, "name"), ""));

			if (!p || !json_equal(p, prop))
				test_fail(__FILE__, __LINE__, "%s/%s is lost", name,
					  json_str(json_get(prop, "name"), ""));
		}
	}
	check_int(json_len(json_get(b, "instances")), ==, json_len(json_get(a, "instances")));
}
