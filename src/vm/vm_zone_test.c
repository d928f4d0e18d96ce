/* Zone configurations as SmartOS writes them, VMs as `vmadm get` prints them, and back. */
#include "base/test.h"

#include "base/file.h"
#include "vm/vm.h"
#include "vm/vm_ops.h"
#include "vm/vm_scan.h"

/*
 * The VM of a zone's XML.  Writing the unchanged VM back must leave the XML as it
 * is, byte for byte.
 */
static char *
vm_of_xml(const char *text, size_t len)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_json struct json *vm = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *before = NULL;
	cleanup_free char *after = NULL;

	if (zone_config_parse(text, len, "test.xml", &c, &err) < 0)
		return str_printf("%s\n", error_message(&err));
	vm = vm_from_config(c);
	before = zone_config_print(c);
	vm_to_config(vm, vm_brand_parse(json_str(json_get(vm, "brand"), "")), c);
	after = zone_config_print(c);
	check_str(after, before);
	return json_print(vm, true);
}

TEST(smartos_xml_becomes_a_vm_and_stays_as_it_is)
{
	test_golden("src/vm/testdata/zone", vm_of_xml);
}

/* The XML of a create payload; and read back it says the same again. */
static char *
xml_of_payload(const char *text, size_t len)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_json struct json *vm = NULL, *again = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm_report struct vm_report r = VM_REPORT_INIT;
	cleanup_free char *path = NULL;
	enum vm_brand brand;

	require(json_parse(text, len, &vm, &err) == 0);
	brand = vm_brand_parse(json_str(json_get(vm, "brand"), ""));
	vm_payload_check(vm, brand, VM_RECEIVE, &r);
	check(vm_report_ok(&r));
	vm_payload_defaults(vm, brand);
	vm_payload_follow(vm, brand, NULL);
	path = vm_path(vm, "");
	check_ok(zone_config_new(json_str(json_get(vm, "uuid"), ""), vm_brand_name(brand), path, &c,
				 &err), &err);
	vm_to_config(vm, brand, c);
	check_ok(zone_config_verify(c, &err), &err);
	again = vm_from_config(c);
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		const struct json *v = json_get(vm, p->path);

		if (strchr(p->path, '*') || !v || p->type == VM_T_OBJECTS ||
		    p->store == VM_S_NONE || p->store >= VM_S_METADATA)
			continue;
		if (!json_equal(v, json_get(again, p->path)))
			test_fail(__FILE__, __LINE__, "%s is not read as it was written", p->path);
	}
	check(json_equal(json_get(vm, "nics"), json_get(again, "nics")));
	return zone_config_print(c);
}

TEST(payload_becomes_xml)
{
	test_golden("src/vm/testdata/newzone", xml_of_payload);
}

TEST(changes_touch_only_what_changed)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_json struct json *vm = NULL;
	cleanup_free char *text = NULL;
	cleanup_free char *xml = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t len;

	check_ok(file_read(test_data("src/vm/testdata/zone/lx.in"), 0, &text, &len, &err), &err);
	require(zone_config_parse(text, len, "lx", &c, &err) == 0);
	vm = vm_from_config(c);
	json_set_int(vm, "cpu_cap", 200);
	json_set_int(vm, "max_physical_memory", 1024);
	json_set_str(vm, "alias", "new name");
	json_set(vm, "resolvers", json_new_array());
	json_set_int(json_at(json_get(vm, "nics"), 0), "vlan_id", 7);
	vm_to_config(vm, VM_LX, c);
	xml = zone_config_print(c);
	check_has(xml, "bmV3IG5hbWU=");             /* alias, base64 */
	check_has(xml, "limit=\"1073741824\"");     /* bytes */
	check_has(xml, "zone.cpu-cap");
	check_has(xml, "vlan-id=\"7\"");
	check_has(xml, "mac-addr=\"2:8:20:a:b:c\""); /* its spelling stays */
	check_has(xml, "<whatever is=\"kept\"");
	check(!strstr(xml, "resolvers"));
	json_set_int(vm, "cpu_cap", 0);
	json_remove_at(json_get(vm, "nics"), 0);
	vm_to_config(vm, VM_LX, c);
	free(xml);
	xml = zone_config_print(c);
	check(!strstr(xml, "zone.cpu-cap"));
	check(!strstr(xml, "2:8:20:a:b:c"));
}

/* The quick way says what the slow way says, for every file it takes. */
TEST(scan_agrees_with_the_document)
{
	static const char *const files[] = {
		"zone/lx.in", "zone/kvm.in", "zone/bhyve.in", "newzone/lx.ok", "newzone/kvm.ok",
		"newzone/bhyve.ok",
	};
	cleanup_strv struct strv fields = STRV_INIT;

	for (size_t i = 0; i < vm_props_n; i++)
		if (!strchr(vm_props[i].path, '*') && vm_scan_has(vm_props[i].path))
			strv_add(&fields, vm_props[i].path);
	check_int(fields.n, >, 40);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *rel = str_printf("src/vm/testdata/%s", files[i]);
		cleanup_zone_config struct zone_config *c = NULL;
		cleanup_json struct json *slow = NULL, *quick = NULL;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *text = NULL;
		size_t len;

		check_ok(file_read(test_data(rel), 0, &text, &len, &err), &err);
		require(zone_config_parse(text, len, rel, &c, &err) == 0);
		slow = vm_from_config(c);
		require(vm_scan(test_data(rel), &fields, &quick));
		for (size_t k = 0; k < fields.n; k++)
			if (!json_equal(json_get(slow, fields.v[k]), json_get(quick, fields.v[k])))
				test_fail(__FILE__, __LINE__, "%s: %s differs", rel, fields.v[k]);
	}
}

TEST(scan_gives_up_on_what_it_does_not_know)
{
	static const char *const rows[] = {
		"", "x", "<", "<zone", "<zone name=\"a\"", "<zone name='a'/>", "<a/>",
		"<zone name=\"a&amp;b\"/>", "<zone name=\"a\">text</zone>",
		"<zone name=\"a\"><![CDATA[x]]></zone>", "<zone name=\"a\"><!-- x",
		"<zone name=\"a\"><attr name=\"x\"/></zone>", "<!DOCTYPE z [<!ENTITY a \"b\">]><zone/>",
		"<zone name =\"a\"/>", "<zone name=\"a\"/ >",
	};
	cleanup_free char *path = str_printf("%s/x.xml", test_tmpdir());
	cleanup_strv struct strv fields = STRV_INIT;

	strv_add(&fields, "alias");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *vm = NULL;

		require(file_write_atomic(path, rows[i], strlen(rows[i]), 0644, NULL) == 0);
		if (vm_scan(path, &fields, &vm))
			test_fail(__FILE__, __LINE__, "taken: %s", rows[i]);
		json_free(vm);
	}
}

TEST(fields_and_filters)
{
	static const char text[] =
		"{\"alias\":\"web1\",\"ram\":512,\"autoboot\":true,\"tags\":{\"role\":\"db\","
		"\"a.b\":\"dot\"},\"nics\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]}";
	static const struct {
		const char *filter;
		bool hit;
	} rows[] = {
		{"alias=web1", true},	 {"alias=web2", false},	  {"alias=~^web", true},
		{"alias=~b$", false},	 {"ram=512", true},	  {"ram=~^5", true},
		{"autoboot=true", true}, {"autoboot=1", false},	  {"tags.role=db", true},
		{"tags.a.b=dot", true},	 {"nics.0.ip=10.0.0.1", true}, {"nics.*.ip=10.0.0.2", true},
		{"nics[1].ip=10.0.0.2", true}, {"nics.*.ip=10.0.0.3", false}, {"hostname=-", true},
		{"alias=-", false},	 {"tags.*=db", true},
	};
	cleanup_json struct json *vm = NULL;
	struct vm_filter bad = {0};
	cleanup_error struct error err = ERROR_INIT;

	require(json_parse(text, (size_t)-1, &vm, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_filter f = {0};

		check_ok(vm_filter_add(&f, rows[i].filter, &err), &err);
		if (vm_filter_match(&f, vm) != rows[i].hit)
			test_fail(__FILE__, __LINE__, "%s: not %d", rows[i].filter, rows[i].hit);
		vm_filter_done(&f);
	}
	check_int(vm_filter_add(&bad, "colour=red", &err), ==, -EINVAL);
	check_has(error_message(&err), "Invalid lookup key: \"colour\"");
	check_int(vm_filter_add(&bad, "alias", &err), ==, -EINVAL);
	check_int(vm_filter_add(&bad, "alias=~(", &err), ==, -EINVAL);
	check_has(error_message(&err), "Invalid pattern");
	vm_filter_done(&bad);
}
