/* The installer's dialogue, driven by scripted input; answers.json, table by table. */
#include "boot/install.h"

#include "base/test.h"

/* --- a console that reads lines of a script and keeps what was written */

struct script {
	struct install_term term; /* first */
	struct strv lines;
	size_t next;
	struct strbuf out;
};

static int
script_read(struct install_term *t, bool echo, char **ret, struct error *err)
{
	struct script *s = (struct script *)t;

	if (s->next == s->lines.n)
		return error_set(err, ENODATA, "end of script");
	*ret = xstrdup(s->lines.v[s->next++]);
	if (echo)
		strbuf_addf(&s->out, "%s\n", *ret);
	return 0;
}

static void
script_write(struct install_term *t, const char *text)
{
	strbuf_adds(&((struct script *)t)->out, text);
}

static const struct net_link links[] = {
	{"eth0", {{0x52, 0x54, 0, 0, 0, 1}}},
	{"eth1", {{0x52, 0x54, 0, 0, 0, 2}}},
};
static const bool carrier[] = {false, true};

#define GIB (1ULL << 30)
#define DISK(n, boot)                                                                           \
	{.name = (char *)(uintptr_t)n, .path = (char *)(uintptr_t)("/dev/" n), .type = (char *)(uintptr_t)"VIRTIO", \
	 .vendor = (char *)(uintptr_t)"", .model = (char *)(uintptr_t)"disk",                    \
	 .serial = (char *)(uintptr_t)"", .size = 16 * GIB, .block_size = 512, .boot_medium = boot}

static struct disk four[] = {DISK("vda", false), DISK("vdb", false), DISK("vdc", false),
			     DISK("vdd", false)};
static const struct disk_list disks1 = {four, 1}, disks2 = {four, 2}, disks4 = {four, 4},
			      disks0 = {four, 0};

struct run {
	struct script script;
	struct install_env env;
	struct install in;
	struct error err;
	int r;
};

static void
run_done(struct run *u)
{
	install_done(&u->in);
	strv_done(&u->script.lines);
	strbuf_done(&u->script.out);
	error_done(&u->err);
}

/* input: lines; json may be NULL. */
static void
run(struct run *u, const struct disk_list *disks, const char *json, const char *input)
{
	cleanup_json struct json *j = NULL;

	*u = (struct run){.script.term = {script_read, script_write, true},
			  .env = {.links = links, .carrier = carrier, .n_links = 2, .disks = disks,
				  .medium = true}};
	if (*input)
		strv_split(&u->script.lines, input, "\n");
	install_init(&u->in, &u->env, &u->script.term);
	if (json) {
		require(json_parse(json, strlen(json), &j, NULL) == 0);
		u->r = install_take_json(&u->in, j, &u->err);
		if (u->r < 0)
			return;
	}
	u->r = install_dialogue(&u->in, &u->err);
}

#define COMPLETE                                                                               \
	"\"config_console\":\"ttya\",\"admin_mac\":\"52:54:0:0:0:1\",\"admin_ip\":\"dhcp\","    \
	"\"ntp_host\":\"none\",\"zpool_layout\":\"default\",\"zpool_confirm_layout\":true,"    \
	"\"bootpool\":\"no\",\"root_password\":\"secret1\",\"hostname\":\"web\""

TEST(everything_by_answers_json)
{
	cleanup_conf struct conf *c = NULL;
	cleanup_free char *text = NULL;
	struct run u;

	run(&u, &disks2, "{" COMPLETE ",\"skip_final_confirm\":true}", "");
	check_ok(u.r, &u.err);
	check_str(install_answer(&u.in, "admin_mac"), "52:54:00:00:00:01");
	check_str(install_answer(&u.in, "zpool_layout"), "default");
	check(u.in.layout != NULL);
	check(str_after(install_answer(&u.in, "root_password"), "$6$") != NULL);
	check(strstr(u.script.out.data, "secret1") == NULL);
	c = install_config(&u.in);
	text = conf_print(c);
	check_has(text, "\nadmin_nic=52:54:00:00:00:01\nadmin_ip=dhcp\nhostname=web\n");
	check(strstr(text, "ntp") == NULL);
	run_done(&u);
}

TEST(everything_typed)
{
	cleanup_conf struct conf *c = NULL;
	struct run u;

	run(&u, &disks1, NULL,
	    "eth1\n10.0.0.5\n255.255.255.0\n\n9.9.9.9\nnone\nexample.org\n\n" /* network, ntp */
	    "\nyes\nno\n"						       /* pool */
	    "secret1\nsecret1\nnode7\nyes");
	check_ok(u.r, &u.err);
	check_int(u.script.next, ==, u.script.lines.n);
	check_has(u.script.out.data, "Everything on vda will be lost");
	check(strstr(u.script.out.data, "secret1") == NULL);
	c = install_config(&u.in);
	check_str(conf_get(c, "admin_nic"), "52:54:00:00:00:02");
	check_str(conf_get(c, "admin_ip"), "10.0.0.5");
	check_str(conf_get(c, "admin_netmask"), "255.255.255.0");
	check_str(conf_get(c, "admin_network"), "10.0.0.0");
	check_str(conf_get(c, "headnode_default_gateway"), "10.0.0.1");
	check_str(conf_get(c, "dns_resolvers"), "9.9.9.9");
	check_str(conf_get(c, "dns_search"), "example.org");
	check_str(conf_get(c, "ntp_hosts"), "pool.ntp.org");
	check_str(conf_get(c, "hostname"), "node7");
	check_str(conf_get(c, "root_shadow"), NULL);
	run_done(&u);
}

TEST(nothing_is_confirmed_but_by_yes)
{
	struct run u;

	run(&u, &disks1, "{" COMPLETE "}", "y\nYES\nsure\n\nyes");
	check_ok(u.r, &u.err);
	check_int(u.script.next, ==, 5);
	run_done(&u);
	run(&u, &disks1, "{" COMPLETE "}", "y\n");
	check_int(u.r, ==, -ENODATA);
	run_done(&u);
	run(&u, &disks1, "{" COMPLETE "}", "reboot");
	check_int(u.r, ==, -ECANCELED);
	run_done(&u);
}

TEST(no_asks_everything_again_with_the_answers_as_defaults)
{
	struct run u;

	run(&u, &disks1, "{" COMPLETE ",\"root_authorized_keys\":[\"ssh-ed25519 AAAA a\"]}",
	    "no\n\n\n\n\nyes\n\nother1\nother1\nnewname\nyes");
	check_ok(u.r, &u.err);
	check_str(install_answer(&u.in, "admin_mac"), "52:54:00:00:00:01");
	check_str(install_answer(&u.in, "admin_ip"), "dhcp");
	check_str(install_answer(&u.in, "hostname"), "newname");
	check_str(install_answer(&u.in, "root_authorized_keys"), "ssh-ed25519 AAAA a\n");
	run_done(&u);
}

TEST(what_is_missing_is_asked_for)
{
	struct run u;

	run(&u, &disks1,
	    "{\"admin_mac\":\"auto\",\"admin_ip\":\"dhcp\",\"ntp_host\":\"none\",\"zpool_layout\":\"single\","
	    "\"zpool_confirm_layout\":\"yes\",\"bootpool\":\"no\",\"root_password\":\"secret1\","
	    "\"skip_final_confirm\":true}",
	    "asked");
	check_ok(u.r, &u.err);
	check_str(install_answer(&u.in, "hostname"), "asked");
	check_str(install_answer(&u.in, "admin_mac"), "52:54:00:00:00:02"); /* the one with a link */
	run_done(&u);
}

TEST(a_layout_that_is_not_liked_is_asked_for_again)
{
	struct run u;

	run(&u, &disks4,
	    "{\"admin_mac\":\"auto\",\"admin_ip\":\"dhcp\",\"ntp_host\":\"none\",\"zpool_layout\":\"default\","
	    "\"zpool_confirm_layout\":false,\"bootpool\":\"no\",\"root_password\":\"secret1\","
	    "\"hostname\":\"h\",\"skip_final_confirm\":true}",
	    "raidz2\nno\nraidz1\nyes");
	check_ok(u.r, &u.err);
	check_str(install_answer(&u.in, "zpool_layout"), "raidz1");
	run_done(&u);
}

TEST(passwords_must_agree)
{
	struct run u;

	run(&u, &disks1, "{\"admin_mac\":\"auto\",\"admin_ip\":\"dhcp\",\"ntp_host\":\"none\","
			 "\"zpool_layout\":\"default\",\"zpool_confirm_layout\":true,\"bootpool\":\"no\","
			 "\"hostname\":\"h\",\"skip_final_confirm\":true}",
	    "secret1\nsecret2\nshort\nshort\n\n\nsecret1\nsecret1");
	check_ok(u.r, &u.err);
	check_int(u.script.next, ==, 8);
	check_has(u.script.out.data, "not the same");
	check_has(u.script.out.data, "at least 6 characters");
	run_done(&u);
}

TEST(no_disk_is_told)
{
	struct run u;

	run(&u, &disks0, "{" COMPLETE "}", "");
	check_int(u.r, ==, -ENODATA);
	check_has(u.script.out.data, "answers.json: zpool_layout: ");
	run_done(&u);
}

/* One bad value each: told why, asked again, and the good one taken. */
static const struct {
	const char *key, *bad, *why, *good;
} bad_values[] = {
	{"admin_mac", "\"52:54:0:0:0:9\"", "none of this machine's NICs", "eth0"},
	{"admin_mac", "\"eth9\"", "none of this machine's NICs", "eth0"},
	{"admin_mac", "\"\"", "none of this machine's NICs", "eth0"},
	{"admin_ip", "\"10.0.0\"", "no IPv4 address", "dhcp"},
	{"admin_ip", "\"10.0.0.256\"", "no IPv4 address", "dhcp"},
	{"admin_ip", "\"10.0.0.5/24\"", "no IPv4 address", "dhcp"},
	{"admin_ip", "\"fd00::1\"", "no IPv4 address", "dhcp"},
	{"admin_ip", "\"127.0.0.1\"", "no address a host can have", "dhcp"},
	{"admin_ip", "\"0.0.0.0\"", "no address a host can have", "dhcp"},
	{"admin_ip", "\"224.0.0.1\"", "no address a host can have", "dhcp"},
	{"admin_ip", "\"$(reboot)\"", "no IPv4 address", "dhcp"},
	{"ntp_host", "\"a b;c\"", "neither a host nor an address", "none"},
	{"ntp_host", "\"-x\"", "neither a host nor an address", "none"},
	{"zpool_layout", "\"raid5\"", "", "default"},
	{"zpool_layout", "\"raidz3\"", "", "default"},
	{"zpool_confirm_layout", "\"perhaps\"", "neither yes nor no", "yes"},
	{"bootpool", "\"disk\"", "none of media", "no"},
	{"bootpool", "\"ftp://x/y\"", "none of media", "no"},
	{"root_password", "\"short\"", "at least 6 characters", "secret1\nsecret1"},
	{"root_password", "\"\"", "at least 6 characters", "secret1\nsecret1"},
	{"hostname", "\"a_b\"", "no host name", "good"},
	{"hostname", "\"-a\"", "no host name", "good"},
	{"hostname", "\"a-\"", "no host name", "good"},
	{"hostname", "\"a..b\"", "no host name", "good"},
	{"hostname", "\"a b\"", "no host name", "good"},
	{"hostname", "\"10.0.0.1\"", "no host name", "good"},
	{"hostname", "\"\"", "no host name", "good"},
	{"hostname", "7.5", "a string is expected", NULL},
	{"hostname", "null", "a string is expected", NULL},
	{"hostname", "{}", "a string is expected", NULL},
	{"hostname", "[\"a\"]", "a string is expected", NULL},
	{"hostnam", "\"a\"", "no such key", NULL},
};

TEST(answers_json_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		cleanup_json struct json *j = NULL, *value = NULL;
		cleanup_free char *text = NULL;
		struct run u;

		require(json_parse("{" COMPLETE ",\"skip_final_confirm\":true}", (size_t)-1, &j, NULL) == 0);
		/* A bare value is parsed inside of an array. */
		{
			cleanup_free char *array = str_printf("{\"v\":%s}", bad_values[i].bad);

			require(json_parse(array, (size_t)-1, &value, NULL) == 0);
			json_set(j, bad_values[i].key, json_steal(value, "v"));
		}
		text = json_print(j, false);
		run(&u, &disks2, text, bad_values[i].good ? bad_values[i].good : "");
		if (bad_values[i].good) {
			check_ok(u.r, &u.err);
			check_has(u.script.out.data, bad_values[i].key);
			check_has(u.script.out.data, bad_values[i].why);
			check_int(u.script.next, ==, u.script.lines.n);
		} else {
			check_int(u.r, ==, -EINVAL);
			check_has(error_message(&u.err), bad_values[i].why);
		}
		run_done(&u);
	}
}

/* The static network's own questions, as typed. */
TEST(static_network_table)
{
	static const struct {
		const char *input, *why;
	} cases[] = {
		{"300.0.0.1\n10.0.0.5\n24", "no IPv4 address"},
		{"10.0.0.5\n255.0.255.0\n24", "no netmask"},
		{"10.0.0.5\n0.0.0.0\n24", "no netmask"},
		{"10.0.0.0\n255.255.255.0\n255.255.0.0", "is the network itself"},
		{"10.0.0.5\n24\n10.0.1.1\nnone", "is not in the network"},
		{"10.0.0.5\n24\n10.0.0.5\nnone", "is this node itself"},
		{"10.0.0.5\n24\nnone\nnowhere\n8.8.8.8", "no address"},
		{"10.0.0.5\n24\nnone\n8.8.8.8\n224.0.0.1\nnone\n", "no address"},
		{"10.0.0.5\n24\nnone\n8.8.8.8\nnone\na..b\nexample.org", "no domain"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run u;

		run(&u, &disks1, "{\"admin_mac\":\"eth0\"}", cases[i].input);
		check_int(u.r, ==, -ENODATA);
		check_has(u.script.out.data, cases[i].why);
		check_int(u.script.next, ==, u.script.lines.n);
		run_done(&u);
	}
}

TEST(volume_sizes)
{
	uint64_t dump, swap;

	install_volume_sizes(64 * GIB, 1000 * GIB, &dump, &swap);
	check_int(dump, ==, 32 * GIB);
	check_int(swap, ==, 64 * GIB);
	install_volume_sizes(3 * GIB, 14 * GIB, &dump, &swap);
	check_int(dump, ==, 14 * GIB / 16 >> 20 << 20);
	check_int(swap, ==, 14 * GIB / 8 >> 20 << 20);
	install_volume_sizes(3 * GIB, GIB / 2, &dump, &swap);
	check_int(dump, ==, 64 << 20);
	check_int(swap, ==, 64 << 20);
}
