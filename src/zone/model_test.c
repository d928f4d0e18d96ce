/* The zone model: XML, index, the table of states, events. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "zone/config.h"
#include "zone/model.h"

/* Parsed, verified and printed again; or the message. */
static char *
config_golden(const char *text, size_t len)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_error struct error err = ERROR_INIT;

	if (zone_config_parse(text, len, "input", &c, &err) < 0 ||
	    zone_config_verify(c, &err) < 0)
		return str_printf("error: %s\n", error_message(&err));
	return zone_config_print(c);
}

TEST(config_golden)
{
	test_golden("src/zone/testdata/config", config_golden);
}

static struct zone_config *
sample(const char *name)
{
	cleanup_free char *path = str_printf("/zones/%s", name);
	struct zone_config *c = NULL;

	check_ok(zone_config_new(name, "lx", path, &c, NULL), NULL);
	return c;
}

TEST(config_accessors)
{
	cleanup_zone_config struct zone_config *c = sample("web");
	struct zone_res *net;
	uint64_t n = 0;

	check_str(zone_config_get(c, "zonepath"), "/zones/web");
	check_str(zone_config_get(c, "ip-type"), "exclusive");
	zone_config_set_attr(c, "alias", "string", "eA==");
	zone_config_set_attr(c, "alias", "string", "d2Vi");
	check_str(zone_config_attr(c, "alias"), "d2Vi");
	zone_config_set_attr(c, "alias", NULL, NULL);
	check_str(zone_config_attr(c, "alias"), NULL);

	check(!zone_config_rctl(c, "zone.cpu-cap", &n));
	zone_config_set_rctl(c, "zone.cpu-cap", 250, "deny");
	zone_config_set_rctl(c, "zone.cpu-cap", 300, "deny");
	check(zone_config_rctl(c, "zone.cpu-cap", &n));
	check_int(n, ==, 300);
	zone_config_unset_rctl(c, "zone.cpu-cap");
	check(!zone_config_rctl(c, "zone.cpu-cap", &n));

	net = zone_res_add(c, "net");
	zone_res_set(net, "physical", "eth0");
	zone_res_set_attr(net, "ip", "10.0.0.1");
	zone_res_set_attr(net, "ip", "10.0.0.2");
	check_str(zone_res_attr(net, "ip"), "10.0.0.2");
	check(zone_res_find(c, "net", "physical", "eth0") == net);
	check_str(zone_res_type(net), "net");
	zone_res_remove(c, net);
	check(!zone_res_next(c, "net", NULL));
}

TEST(names)
{
	static const struct {
		const char *name;
		bool ok;
	} t[] = {
		{"web", true},	     {"0web", true},  {"a.b-c_d", true}, {"", false},
		{"-a", false},	     {".a", false},   {"a/b", false},	 {"global", false},
		{"SUNWx", false},    {"a b", false},  {"a:b", false},	 {"a\nb", false},
		{"0123456789012345678901234567890123456789012345678901234567890123", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		check_int(zone_name_check(t[i].name, NULL) == 0, ==, t[i].ok);
}

TEST(index_keeps_what_it_does_not_know)
{
	static const char text[] = "# comment\nglobal:installed:/\n"
				   "a:installed:/zones/a\n"
				   "b:configured:/zones/b:0cd5ad4e-2a2b-4c2f-9d0a-1f0a3d1a6c11:kvm:"
				   "excl:9:future:field\n";
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_free char *out = NULL;

	check_ok(zone_index_parse(text, &ix, NULL), NULL);
	check_int(ix.n, ==, 2);
	check_str(ix.v[1].brand, "kvm");
	check_int(ix.v[1].did, ==, 9);
	out = zone_index_print(&ix);
	check_has(out, "# comment\nglobal:installed:/\na:installed:/zones/a:::");
	check_has(out, ":kvm:excl:9:future:field\n");
}

TEST(index_refuses)
{
	static const char *const bad[] = {
		"a\n", "a:installed\n", "a:running:/zones/a\n", "a:installed:relative\n",
		"../x:installed:/zones/a\n", "a:installed:/a\na:installed:/b\n", ":::\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct zone_index ix = ZONE_INDEX_INIT;

		check_int(zone_index_parse(bad[i], &ix, &err), ==, -EINVAL);
		check_has(err.message, "line ");
	}
}

/* The whole matrix: what the table allows and nothing else. */
TEST(state_table)
{
	static const char *const allowed =
		" absent>configured configured>incomplete configured>installed configured>absent "
		"incomplete>configured incomplete>installed incomplete>absent "
		"installed>configured installed>incomplete installed>ready installed>mounted "
		"mounted>installed ready>running ready>shutting_down running>shutting_down "
		"shutting_down>installed shutting_down>down down>installed down>shutting_down ";

	for (int a = 0; a < ZONE_N_STATES; a++)
		for (int b = 0; b < ZONE_N_STATES; b++) {
			cleanup_free char *arrow = str_printf(" %s>%s ", zone_state_name(a),
							      zone_state_name(b));
			bool want = strstr(allowed, arrow) != NULL;

			if ((zone_state_transition(a, b) != NULL) != want)
				test_fail(__FILE__, __LINE__, "%s", arrow);
		}
}

TEST(life_on_disk)
{
	cleanup_zone_config struct zone_config *web = NULL, *db = NULL, *again = NULL;
	cleanup_zone_list struct zone_list l = {0};
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *found = NULL;
	struct zone_event ev = {0};
	uint32_t base1, base2;
	int fd = -1, id1, id2, changes = 0;

	zone_set_root(test_tmpdir());
	require(zone_events_open(&fd, &err) == 0);
	web = sample("web");
	db = sample("db");
	check_ok(zone_create(web, &err), &err);
	check_ok(zone_create(db, &err), &err);
	check_int(zone_create(db, &err), ==, -EEXIST);
	check_ok(zone_config_uid_base(web, &base1, &err), &err);
	check_ok(zone_config_uid_base(db, &base2, &err), &err);
	check_int(base2 - base1, ==, ZONE_UID_RANGE);

	check_int(zone_state_move("web", ZONE_RUNNING, NULL, &err), ==, -EBUSY);
	check_has(err.message, "zone web is configured: it cannot become running");
	check_ok(zone_set_incomplete("web", &err), &err);
	check_ok(zone_set_installed("web", &err), &err);

	check_ok(zone_id_alloc(&id1, &err), &err);
	rt.id = id1;
	rt.init_pid = 77;
	rt.reason = xstrdup("two\nlines");
	check_ok(zone_state_move("web", ZONE_READY, &rt, &err), &err);
	check_ok(zone_state_move("web", ZONE_RUNNING, &rt, &err), &err);
	check_int(zone_delete("web", &err), ==, -EBUSY);
	check_int(zone_rename("web", "www", &err), ==, -EBUSY);
	check_ok(zone_list_read(&l, &err), &err);
	require(l.n == 2);
	check_int(l.v[0].state, ==, ZONE_RUNNING);
	check_int(l.v[0].id, ==, id1);
	check_int(l.v[0].init_pid, ==, 77);
	check_str(l.v[0].reason, "two lines");
	check_int(l.v[1].state, ==, ZONE_CONFIGURED);
	check_ok(zone_lookup(l.v[0].uuid, &found, &err), &err);
	check_str(found, "web");

	check_ok(zone_state_move("web", ZONE_SHUTTING_DOWN, &rt, &err), &err);
	check_ok(zone_state_move("web", ZONE_INSTALLED, &rt, &err), &err);
	check_ok(zone_id_alloc(&id2, &err), &err);
	check_int(id2, !=, id1);
	check_ok(zone_rename("web", "www", &err), &err);
	check_ok(zone_config_read("www", &again, &err), &err);
	check_int(zone_info_read("web", &l.v[0], &err), ==, -ENOENT);
	check_ok(zone_set_configured("www", &err), &err);
	check_ok(zone_delete("www", &err), &err);
	check_ok(zone_delete("db", &err), &err);

	while (zone_events_read(fd, &ev, &err) == 0) {
		changes++;
		zone_event_done(&ev);
	}
	/* 2 created, 6 moves, rename 2, 1 move, 2 deleted */
	check_int(changes, ==, 13);
	zone_events_close(fd);
}

/* A create or delete that was killed between the file and the index. */
TEST(file_without_a_line_goes)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *xml = NULL;
	cleanup_free char *index = NULL;
	cleanup_free char *run = NULL;

	zone_set_root(test_tmpdir());
	c = sample("half");
	check_ok(zone_create(c, NULL), NULL);
	run = zone_path_run("half", NULL);
	xml = zone_path_xml("half");
	index = zone_path_index();
	require(unlink(index) == 0);
	check_int(zone_delete("half", NULL), ==, -ENOENT);
	check(!file_exists(xml));
	check(!file_exists(run));
}

/* A range is not given out again while the counter remembers it. */
TEST(uid_ranges_are_not_reused)
{
	cleanup_zone_config struct zone_config *a = NULL, *b = NULL;
	uint32_t base1, base2;

	zone_set_root(test_tmpdir());
	a = sample("a");
	check_ok(zone_create(a, NULL), NULL);
	check_ok(zone_config_uid_base(a, &base1, NULL), NULL);
	check_ok(zone_delete("a", NULL), NULL);
	b = sample("b");
	check_ok(zone_create(b, NULL), NULL);
	check_ok(zone_config_uid_base(b, &base2, NULL), NULL);
	check_int(base1, !=, base2);
}

TEST(foreign_configuration_gets_a_range)
{
	static const char xml[] = "<zone name=\"old\" zonepath=\"/zones/old\" brand=\"lx\"/>";
	cleanup_zone_config struct zone_config *c = NULL, *again = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dir = str_printf("%s/etc/zones", test_tmpdir());
	cleanup_free char *file = str_printf("%s/old.xml", dir);
	cleanup_free char *index = str_printf("%s/index", dir);
	uint32_t base = 0, base2 = 0;

	zone_set_root(test_tmpdir());
	check_ok(file_mkdir_p(dir, 0755, &err), &err);
	check_ok(file_write_atomic(file, xml, strlen(xml), 0644, &err), &err);
	check_ok(file_write_atomic(index, "old:installed:/zones/old\n", 25, 0644, &err), &err);
	check_ok(zone_config_read("old", &c, &err), &err);
	check_ok(zone_config_ensure_uid_base(c, &base, &err), &err);
	check_ok(zone_config_read("old", &again, &err), &err);
	check_ok(zone_config_uid_base(again, &base2, &err), &err);
	check_int(base, ==, base2);
}

TEST(runtime_file_refuses_nonsense)
{
	struct zone_runtime rt = ZONE_RUNTIME_INIT;
	char bad1[] = "state flying\n", bad2[] = "id x\n", ok[] = "newer thing\nid 3\nstate down\n";

	check_int(zone_runtime_parse(bad1, &rt), ==, -EINVAL);
	check_int(zone_runtime_parse(bad2, &rt), ==, -EINVAL);
	check_int(zone_runtime_parse(ok, &rt), ==, 0);
	check_int(rt.id, ==, 3);
	check_int(rt.state, ==, ZONE_DOWN);
}

static int
mutated(const uint8_t *data, size_t size)
{
	char any[256];

	for (int i = 0; i < 256; i++)
		any[i] = (char)i;
	test_mutations((const char *)data, size, any, sizeof(any), 200, LLVMFuzzerTestOneInput);
	return 0;
}

/* The fuzzer's corpus, and each of its files with bytes changed and cut. */
TEST(fuzzer_corpus)
{
	static const char index[] = "a:installed:/zones/a:u:lx:excl:1:x\nglobal:installed:/\n";
	static const char state[] = "state running\nid 5\nreason x y\n\n \nid\n";

	test_corpus("src/zone/testdata/config", mutated);
	mutated((const uint8_t *)index, strlen(index));
	mutated((const uint8_t *)state, strlen(state));
}
