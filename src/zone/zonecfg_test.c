/* zonecfg(8) as scripts use it: what it prints makes the same zone again. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/test.h"
#include "os/run.h"
#include "zone/model.h"

static int
zonecfg(const char *zone, const char *input, char **output, int *status)
{
	const char *argv[] = {test_built("src/zone/zonecfg"), "-R", test_tmpdir(), "-z", zone, "-f",
			      "-", NULL};

	/* *output may still hold what the call before said. */
	free(*output);
	*output = NULL;
	return run_feed(argv, input, strlen(input), output, status, NULL);
}

static char *
xml_of(const char *zone)
{
	cleanup_free char *path = str_printf("%s/etc/zones/%s.xml", test_tmpdir(), zone);
	char *text = NULL;

	if (file_read(path, 0, &text, NULL, NULL) < 0)
		return xstrdup("");
	return text;
}

static const char script[] =
	"create -b\n"
	"set zonepath=/zones/web; set brand=lx; set autoboot=true\n"
	"set max-physical-memory=512m\n"
	"set cpu-cap=250\n"
	"add net\nset physical=eth0\nset global-nic=admin\nset mac-addr=02:08:20:0:0:1\n"
	"add property (name=ips,value=\"10.0.0.5/24,fd00::5/64\")\nend\n"
	"add fs\nset dir=/data\nset special=/zones/data\nset type=lofs\nadd options ro\n"
	"add options nodevices\nend\n"
	"add attr; set name=alias; set type=string; set value=d2Vi; end\n"
	"# a comment\n"
	"add rctl; set name=zone.max-lwps; add value (priv=privileged,limit=2000,action=deny); end\n";

TEST(export_makes_it_again)
{
	cleanup_free char *export = NULL, *again = NULL, *xml = NULL, *out = NULL;
	int status = -1;

	check_int(zonecfg("web", script, &out, &status), ==, 0);
	check_int(status, ==, 0);
	xml = xml_of("web");
	check_has(xml, "limit=\"536870912\"");
	check_has(xml, "<net-attr name=\"ips\" value=\"10.0.0.5/24,fd00::5/64\"/>");
	check_has(xml, "<fsoption name=\"nodevices\"/>");
	check_int(zonecfg("web", "export\n", &export, &status), ==, 0);
	check_has(export, "set zonepath=/zones/web\n");
	{
		cleanup_free char *changed = str_printf("%sset zonepath=/zones/two\n", export);

		check_int(zonecfg("two", changed, &out, &status), ==, 0);
		check_int(status, ==, 0);
	}
	check_int(zonecfg("two", "set zonepath=/zones/web; export; revert\n", &again, &status), ==,
		  0);
	check_str(again, export);
}

TEST(failure_changes_nothing)
{
	static const char *const bad[] = {
		"set autoboot=false\nfrobnicate\n",
		"set cpu-cap=lots\n",
		"add net; set vlan-id=3; end\n",
		"add net; set physical=eth1\n",
		"set zonepath=relative\n",
		"select net physical=nosuch; end\n",
		"add attr; set name=\"x\n",
		"add property (name=x,value=y\n",
		"remove net nonsense\n",
		"clear zonepath\n",
		"create\n",
	};
	cleanup_free char *before = NULL;
	cleanup_free char *out = NULL;
	int status = -1;

	check_int(zonecfg("web", script, &out, &status), ==, 0);
	before = xml_of("web");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_free char *after = NULL;
		cleanup_free char *text = NULL;

		check_int(zonecfg("web", bad[i], &text, &status), ==, 0);
		if (status != 1)
			test_fail(__FILE__, __LINE__, "status %d of: %s", status, bad[i]);
		after = xml_of("web");
		check_str(after, before);
	}
}

TEST(resources_change_and_go)
{
	cleanup_free char *out = NULL, *xml = NULL;
	int status = -1;

	check_int(zonecfg("web", script, &out, &status), ==, 0);
	check_int(zonecfg("web", "select net physical=eth0; set vlan-id=7; end\n"
			  "remove attr name=alias; clear cpu-cap\nremove -F fs\n", &out, &status), ==, 0);
	check_int(status, ==, 0);
	xml = xml_of("web");
	check_has(xml, "vlan-id=\"7\"");
	check(!strstr(xml, "alias"));
	check(!strstr(xml, "cpu-cap"));
	check(!strstr(xml, "filesystem"));
	check_int(zonecfg("web", "delete -F\n", &out, &status), ==, 0);
	check_int(status, ==, 0);
	check_int(zonecfg("web", "info\n", &out, &status), ==, 0);
	check_int(status, ==, 1);
}
