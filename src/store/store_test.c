#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/test.h"
#include "store/disk.h"
#include "store/layout.h"
#include "store/pool.h"
#include "store/zfs.h"
#include "store/zfs_impl.h"

/* --- a `zfs` of our own: what it is told goes to DIR/log, what it says comes from DIR/out and
 * DIR/err, and DIR/status is how it ends.  The real one is met by tests/ on a node. */

static char *fake_dir;

static void
fake(const char *out, const char *err, int status)
{
	static const char script[] = "#!/bin/sh\n"
				     "d=$(dirname \"$0\")\n"
				     "echo \"$(basename \"$0\") $*\" >> $d/log\n"
				     "[ \"$2\" = receive ] || [ \"$1\" != receive ] || cat > $d/stream\n"
				     "cat $d/out\ncat $d/err >&2\nexit $(cat $d/status)\n";
	cleanup_free char *code = str_printf("%d\n", status);
	static const char *const programs[] = {"zfs", "zpool"};

	if (!fake_dir) {
		cleanup_free char *path = NULL;

		fake_dir = xstrdup(test_tmpdir());
		path = str_printf("%s:%s", fake_dir, getenv("PATH"));
		setenv("PATH", path, 1);
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
			cleanup_free char *p = str_printf("%s/%s", fake_dir, programs[i]);

			require(file_write_atomic(p, script, strlen(script), 0755, NULL) == 0);
		}
	}
	const struct {
		const char *name, *text;
	} files[] = {{"out", out ? out : ""}, {"err", err ? err : ""}, {"status", code},
		     {"log", ""}};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *p = str_printf("%s/%s", fake_dir, files[i].name);

		require(file_write_atomic(p, files[i].text, strlen(files[i].text), 0644, NULL) == 0);
	}
}

static char *
fake_log(const char *name)
{
	cleanup_free char *p = str_printf("%s/%s", fake_dir, name);
	char *text = NULL;

	require(file_read(p, 0, &text, NULL, NULL) == 0);
	return text;
}

#define check_ran(want)                                         \
	do {                                                    \
		cleanup_free char *_log = fake_log("log");      \
		check_str(_log, want "\n");                     \
	} while (0)

TEST(names)
{
	static const struct {
		const char *name;
		bool ok;
	} rows[] = {
		{"zones", true},	{"zones/a b", true},	{"zones/web/data", true},
		{"zones/9-_.:x", true}, {"", false},		{"-r", false},
		{"/zones", false},	{"zones/", false},	{"zones//a", false},
		{"zones/..", false},	{"zones/./a", false},	{"zones/a@b", false},
		{"zones/a\nb", false},	{"zones/a,b", false},	{"zones/a#b", false},
		{"9zones", false},	{"zones/a\tb", false},	{"zones/a*", false},
	};
	char longname[300];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (zfs_name_ok(rows[i].name) != rows[i].ok)
			test_fail(__FILE__, __LINE__, "zfs_name_ok(\"%s\")", rows[i].name);
	}
	memset(longname, 'a', sizeof(longname));
	longname[299] = '\0';
	check(!zfs_name_ok(longname));
	check(!zfs_name_ok(NULL));
	check(zfs_snapshot_name_ok("zones/a@final"));
	check(!zfs_snapshot_name_ok("zones/a"));
	check(!zfs_snapshot_name_ok("zones/a@"));
	check(!zfs_snapshot_name_ok("zones/a@b@c"));
	check(!zfs_snapshot_name_ok("zones/a@b/c"));
	check(!pool_name_ok("mirror-1"));
	check(!pool_name_ok("zones/a"));
	check(pool_name_ok("zones"));
}

TEST(bad_names_never_run)
{
	cleanup_error struct error err = ERROR_INIT;

	fake("", "", 0);
	check_int(zfs_destroy("-r", ZFS_RECURSIVE, &err), ==, -EINVAL);
	check_has(error_message(&err), "\"-r\" is not a dataset name");
	check_int(zfs_clone("zones/a", "zones/b", NULL, 0, &err), ==, -EINVAL);
	check_int(pool_export("a b", false, &err), ==, -EINVAL);
	cleanup_free char *log = fake_log("log");
	check_str(log, "");
}

TEST(create_tells_zfs_what_it_was_told)
{
	cleanup_error struct error err = ERROR_INIT;

	fake("", "", 0);
	check_ok(zfs_create("zones/x", ZFS_PROPS("quota=10g", "mountpoint=/a b"),
			    ZFS_PARENTS | ZFS_NO_MOUNT, &err),
		 &err);
	check_ran("zfs create -p -u -o quota=10g -o mountpoint=/a b zones/x");
	fake("", "", 0);
	check_ok(zfs_destroy("zones/x", ZFS_RECURSIVE | ZFS_FORCE, &err), &err);
	check_ran("zfs destroy -r -f zones/x");
}

/* A `zfs destroy` was killed when the dataset was gone, and its mount point not yet. */
TEST(a_killed_destroy_leaves_no_directory)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *empty = str_printf("%s/empty", test_tmpdir());
	cleanup_free char *full = str_printf("%s/full", test_tmpdir());
	cleanup_free char *below = str_printf("%s/below", full);

	check_ok(file_mkdir_p(empty, 0755, &err), &err);
	check_ok(file_mkdir_p(below, 0755, &err), &err);
	fake("", "cannot open 'x': dataset does not exist\n", 1);
	check_int(zfs_destroy(empty + 1, 0, &err), ==, -ENOENT);
	check_int(zfs_destroy(full + 1, 0, &err), ==, -ENOENT);
	check(!file_exists(empty) && file_exists(below));
}

TEST(errors_have_numbers)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"cannot open 'zones/x': dataset does not exist", ENOENT},
		{"cannot open 'tank': no such pool", ENOENT},
		{"cannot create 'zones/x': dataset already exists", EEXIST},
		{"cannot receive new filesystem stream: destination 'zones/x' exists", EEXIST},
		{"cannot destroy 'zones/x': filesystem has dependent clones", EBUSY},
		{"cannot destroy 'zones/x': dataset is busy", EBUSY},
		{"cannot receive: out of space", ENOSPC},
		{"cannot create 'zones/x': bad property list: invalid property 'a'", EINVAL},
		{"something nobody foresaw", EIO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;

		fake("", rows[i].text, 1);
		check_int(zfs_promote("zones/x", &err), ==, -rows[i].code);
		check_has(error_message(&err), rows[i].text);
	}
	fake("", rows[0].text, 1);
	check_int(zfs_exists("zones/x", NULL), ==, 0);
	fake("zones/x\n", "", 0);
	check_int(zfs_exists("zones/x", NULL), ==, 1);
	fake("", "permission denied", 1);
	check_int(zfs_exists("zones/x", NULL), ==, -EPERM);
}

TEST(list_reads_json)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;

	fake("{\"output_version\":{\"command\":\"zfs list\"},\"datasets\":{"
	     "\"zones/a\":{\"name\":\"zones/a\",\"type\":\"FILESYSTEM\",\"pool\":\"zones\","
	     "\"properties\":{\"origin\":{\"value\":\"zones/i@final\"},"
	     "\"imgadm:ignore\":{\"value\":\"-\"}}},"
	     "\"zones/v\":{\"name\":\"zones/v\",\"type\":\"VOLUME\",\"properties\":{"
	     "\"origin\":{\"value\":\"-\"},\"imgadm:ignore\":{\"value\":\"true\"}}}}}",
	     "", 0);
	check_ok(zfs_list("zones", ZFS_DATASET, 1, ZFS_PROPS("origin", "imgadm:ignore"), &l, &err),
		 &err);
	check_ran("zfs list -j -p -t filesystem,volume -o origin,imgadm:ignore -d 1 zones");
	check_int(l.n, ==, 2);
	require(l.n == 2);
	check_str(l.ds[0].name, "zones/a");
	check_int(l.ds[0].type, ==, ZFS_FILESYSTEM);
	check_str(zfs_list_get(&l, 0, "origin"), "zones/i@final");
	check_str(zfs_list_get(&l, 0, "imgadm:ignore"), NULL);
	check_int(l.ds[1].type, ==, ZFS_VOLUME);
	check_str(zfs_list_get(&l, 1, "imgadm:ignore"), "true");
	check_str(zfs_list_get(&l, 1, "used"), NULL);
	check(zfs_list_find(&l, "zones/v") == &l.ds[1]);
}

TEST(get_gives_exact_values)
{
	cleanup_free char *v = NULL;
	uint64_t n = 0;

	fake("a b\n", "", 0);
	check_int(zfs_get("zones", "x:y", &v, NULL), ==, 0);
	check_str(v, "a b");
	fake("-\n", "", 0);
	free(steal_ptr(&v));
	check_int(zfs_get("zones", "x:y", &v, NULL), ==, 0);
	check_str(v, NULL);
	fake("10737418240\n", "", 0);
	check_int(zfs_get_u64("zones", "quota", &n, NULL), ==, 0);
	check_int(n, ==, 10737418240);
	fake("10G\n", "", 0);
	check_int(zfs_get_u64("zones", "quota", &n, NULL), ==, -EINVAL);
}

TEST(streams)
{
	cleanup_error struct error err = ERROR_INIT;
	struct run_child c;
	char buf[64] = "";

	signal(SIGPIPE, SIG_IGN);
	fake("bytes", "", 0);
	check_ok(zfs_send_start("zones/a@final", "zones/o@final", 0, &c, &err), &err);
	check_int(fd_read_all(c.out, buf, sizeof(buf)), ==, 5);
	check_ok(zfs_send_finish(&c, "zones/a@final", &err), &err);
	check_ran("zfs send -i zones/o@final zones/a@final");

	fake("", "", 0);
	check_ok(zfs_receive_start("zones/a-partial", ZFS_PROPS("canmount=off"), 0, -1, &c, &err),
		 &err);
	check_int(fd_write_all(c.in, "hello", 5), ==, 0);
	check_ok(zfs_receive_finish(&c, "zones/a-partial", &err), &err);
	cleanup_free char *got = fake_log("stream");
	check_str(got, "hello");

	fake("", "cannot receive: invalid stream (bad magic number)\n", 1);
	check_ok(zfs_receive_start("zones/a-partial", NULL, 0, -1, &c, &err), &err);
	check_int(zfs_receive_finish(&c, "zones/a-partial", &err), ==, -EINVAL);
	check_has(error_message(&err), "bad magic number");
}

TEST(zvol_paths)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{"/dev/zvol/zones/a-disk0", "zones/a-disk0"},
		{"/dev/zvol/rdsk/zones/a-disk0", "zones/a-disk0"},
		{"/dev/zvol/dsk/zones/a/disk0", "zones/a/disk0"},
		{"/dev/zvol/zones/../../sda", NULL},
		{"/dev/sda", NULL},
		{"/dev/zvol/", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *name = zvol_name_of_path(rows[i].path);

		check_str(name, rows[i].name);
	}
}

/* --- pools */

TEST(pool_search_reads_zpool_import)
{
	struct pool_found_list l = {0};

	pool_search_parse("   pool: zones\n     id: 123456\n  state: ONLINE\n action: The pool can be "
			  "imported.\n config:\n\n\tzones  ONLINE\n\t  vda3  ONLINE\n\n"
			  "   pool: old pool\n     id: 99\n  state: UNAVAIL\nstatus: One or more\n",
			  &l);
	check_int(l.n, ==, 2);
	require(l.n == 2);
	check_str(l.found[0].name, "zones");
	check_str(l.found[0].guid, "123456");
	check_str(l.found[0].state, "ONLINE");
	check_str(l.found[1].name, "old pool");
	check_str(l.found[1].state, "UNAVAIL");
	pool_found_list_done(&l);
}

TEST(pool_devices_are_the_leaves)
{
	cleanup_strv struct strv sv = STRV_INIT;
	cleanup_error struct error err = ERROR_INIT;

	fake("{\"pools\":{\"zones\":{\"name\":\"zones\",\"vdevs\":{\"zones\":{\"vdev_type\":\"root\","
	     "\"vdevs\":{\"mirror-0\":{\"name\":\"mirror-0\",\"vdevs\":{"
	     "\"/dev/vda3\":{\"name\":\"/dev/vda3\"},\"/dev/vdb3\":{\"name\":\"/dev/vdb3\"}}}}}},"
	     "\"logs\":{\"/dev/vdc\":{\"name\":\"/dev/vdc\"}}}}}",
	     "", 0);
	check_ok(pool_devices("zones", &sv, &err), &err);
	check_int(sv.n, ==, 2);
	require(sv.n == 2);
	check_str(sv.v[0], "/dev/vda3");
	check_str(sv.v[1], "/dev/vdb3");
}

/* --- disklayout */

/* "4x1000" is four spinning disks of 1000 GB, "s" marks solid state, "r" removable. */
static void
disks_of(const char *text, struct disk_list *l)
{
	cleanup_strv struct strv words = STRV_INIT;

	strv_words(&words, text, " ");
	for (size_t i = 0; i < words.n; i++) {
		unsigned n, gb;
		char flag = 0;

		require(sscanf(words.v[i], "%ux%u%c", &n, &gb, &flag) >= 2);
		while (n--) {
			struct disk *d;

			l->disks = xreallocarray(l->disks, l->n + 1, sizeof(*l->disks));
			d = &l->disks[l->n];
			*d = (struct disk){.name = str_printf("d%zu", l->n),
					   .path = str_printf("/dev/d%zu", l->n),
					   .size = gb * 1000000000ULL,
					   .ssd = flag == 's',
					   .removable = flag == 'r'};
			l->n++;
		}
	}
}

static char *
word_of(const char *name, bool data)
{
	return xstrdup(name);
}

/* The layout in zpool's words, without the disks' names: "raidz 3 raidz 3 spare 1 cache 2". */
static char *
shape(const struct layout *l)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int run = 0;

	layout_vdev_words(l, word_of, &words);
	for (size_t i = 0; i <= words.n; i++) {
		if (i < words.n && words.v[i][0] == 'd' && words.v[i][1] <= '9') {
			run++;
			continue;
		}
		if (run)
			strbuf_addf(&b, "%s%d", b.len ? " " : "", run);
		run = 0;
		if (i < words.n)
			strbuf_addf(&b, "%s%s", b.len ? " " : "", words.v[i]);
	}
	return strbuf_steal(&b);
}

TEST(layouts)
{
	static const struct {
		const char *disks;
		enum layout_kind kind;
		int spares, width;
		const char *want; /* or a part of the message */
	} rows[] = {
		/* chosen */
		{"1x1000", LAYOUT_AUTO, -1, 0, "1"},
		{"2x1000", LAYOUT_AUTO, -1, 0, "mirror 2"},
		{"3x1000", LAYOUT_AUTO, -1, 0, "raidz 3"},
		{"4x1000", LAYOUT_AUTO, -1, 0, "raidz 4"},
		{"5x1000", LAYOUT_AUTO, -1, 0, "raidz2 5"},
		{"5x1000s", LAYOUT_AUTO, -1, 0, "raidz 5"},
		{"6x1000", LAYOUT_AUTO, -1, 0, "raidz2 6"},
		{"6x1000", LAYOUT_AUTO, 0, 0, "raidz 3 raidz 3"},
		{"7x1000", LAYOUT_AUTO, -1, 0, "mirror 2 mirror 2 mirror 2 spare 1"},
		{"8x1000", LAYOUT_AUTO, -1, 0, "mirror 2 mirror 2 mirror 2 spare 2"},
		{"8x1000s", LAYOUT_AUTO, -1, 0, "raidz2 8"},
		{"8x4000", LAYOUT_AUTO, -1, 0, "raidz2 8"},
		{"12x4000", LAYOUT_AUTO, -1, 0, "raidz2 11 spare 1"},
		{"13x4000", LAYOUT_AUTO, 0, 0, "raidz3 13"},
		{"24x1000", LAYOUT_AUTO, -1, 0, "raidz2 11 raidz2 11 spare 2"},
		{"16x1000", LAYOUT_AUTO, 0, 0,
		 "mirror 2 mirror 2 mirror 2 mirror 2 mirror 2 mirror 2 mirror 2 mirror 2"},
		{"36x1000", LAYOUT_AUTO, 1, 0, "raidz2 7 raidz2 7 raidz2 7 raidz2 7 raidz2 7 spare 1"},
		/* asked for */
		{"3x1000", LAYOUT_SINGLE, -1, 0, "1"},
		{"3x1000", LAYOUT_MIRROR, -1, 0, "mirror 2 spare 1"},
		{"4x1000", LAYOUT_MIRROR, -1, 0, "mirror 2 mirror 2"},
		{"3x1000", LAYOUT_MIRROR, -1, 3, "mirror 3"},
		{"6x1000", LAYOUT_MIRROR, -1, 3, "mirror 3 mirror 3"},
		{"6x1000", LAYOUT_RAIDZ1, -1, 3, "raidz 3 raidz 3"},
		{"7x1000", LAYOUT_RAIDZ1, -1, 0, "raidz 3 raidz 3 spare 1"},
		{"4x1000", LAYOUT_RAIDZ2, -1, 4, "raidz2 4"},
		{"9x1000", LAYOUT_RAIDZ3, -1, 0, "raidz3 9"},
		{"8x1000", LAYOUT_RAIDZ3, -1, 0, "raidz3 8"},
		{"10x1000", LAYOUT_RAIDZ2, 1, 0, "raidz2 9 spare 1"},
		/* roles */
		{"4x1000 1x100s", LAYOUT_AUTO, -1, 0, "raidz 4 log 1"},
		{"4x1000 2x100s", LAYOUT_AUTO, -1, 0, "raidz 4 log mirror 2"},
		{"4x1000 2x100s 2x400s", LAYOUT_AUTO, -1, 0, "raidz 4 log mirror 2 cache 2"},
		{"4x1000 5x100s", LAYOUT_AUTO, -1, 0, "raidz 4 cache 5"},
		{"2x400s 2x1000s", LAYOUT_AUTO, -1, 0, "mirror 2 log mirror 2"},
		{"2x300 2x1000", LAYOUT_AUTO, -1, 0, "mirror 2 cache 2"},
		{"1x1000 1x1020", LAYOUT_AUTO, -1, 0, "mirror 2"},
		{"1x16r 1x1000", LAYOUT_AUTO, -1, 0, "1"},
		/* not possible */
		{"", LAYOUT_AUTO, -1, 0, "no primary storage disks available"},
		{"2x16r", LAYOUT_AUTO, -1, 0, "no primary storage disks available"},
		{"1x1000", LAYOUT_MIRROR, -1, 0, "at least 2 disks are required"},
		{"2x1000", LAYOUT_RAIDZ1, -1, 0, "no acceptable raidz1 layout is possible with 2"},
		{"4x1000", LAYOUT_RAIDZ2, -1, 0, "no acceptable raidz2 layout is possible with 4"},
		{"2x1000", LAYOUT_AUTO, 1, 0, "too many spares (1)"},
		{"3x1000", LAYOUT_SINGLE, 1, 0, "spares are not allowed for a single disk pool"},
		{"3x1000", LAYOUT_MIRROR, 0, 0, "do not make mirrors of 2"},
		{"11x1000", LAYOUT_RAIDZ1, 0, 0, "possible with 11 disks and 0 spares"},
		{"3x1000", LAYOUT_RAIDZ2, -1, 2, "at least 3 disks wide"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_disk_list struct disk_list disks = DISK_LIST_INIT;
		cleanup_layout struct layout *l = NULL, *again = NULL;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_json struct json *j = NULL;
		cleanup_free char *got = NULL, *round = NULL;
		struct layout_opts o = {.kind = rows[i].kind, .spares = rows[i].spares,
					.width = rows[i].width};

		disks_of(rows[i].disks, &disks);
		if (layout_compute(&disks, &o, &l, &err) < 0) {
			check_has(error_message(&err), rows[i].want);
			continue;
		}
		got = shape(l);
		if (!str_eq(got, rows[i].want))
			test_fail(__FILE__, __LINE__, "%s: \"%s\", wanted \"%s\"", rows[i].disks, got,
				  rows[i].want);
		/* What is printed is what is read. */
		j = layout_json(l);
		check_ok(layout_parse(j, &again, &err), &err);
		round = shape(again);
		check_str(round, got);
	}
}

TEST(layout_capacity_counts_data_disks)
{
	cleanup_disk_list struct disk_list disks = DISK_LIST_INIT;
	cleanup_layout struct layout *l = NULL;
	cleanup_free char *text = NULL;
	struct layout_opts o = {.kind = LAYOUT_RAIDZ2, .spares = -1};

	disks_of("5x1000", &disks);
	require(layout_compute(&disks, &o, &l, NULL) == 0);
	check_int(layout_capacity(l), ==, 3000000000000);
	text = layout_describe(l);
	check_has(text, "raidz2 of d0, d1, d2, d3, d4;");
}

TEST(bad_layouts_name_the_field)
{
	static const struct {
		const char *json, *message;
	} rows[] = {
		{"[]", "a layout is a JSON object"},
		{"{}", "vdevs must be an array"},
		{"{\"vdevs\":[]}", "vdevs must be an array of at least one"},
		{"{\"vdevs\":[5]}", "vdevs[0] must be an object"},
		{"{\"vdevs\":[{}]}", "vdevs[0].name is not a disk's name"},
		{"{\"vdevs\":[{\"name\":\"-f\"}]}", "vdevs[0].name is not"},
		{"{\"vdevs\":[{\"name\":\"a b\"}]}", "vdevs[0].name is not"},
		{"{\"vdevs\":[{\"name\":\"/dev/../x\"}]}", "vdevs[0].name is not"},
		{"{\"vdevs\":[{\"type\":\"stripe\",\"devices\":[]}]}", "vdevs[0].type: unknown layout"},
		{"{\"vdevs\":[{\"type\":\"mirror\"}]}", "vdevs[0].devices must be an array"},
		{"{\"vdevs\":[{\"type\":\"mirror\",\"devices\":[{\"name\":\"a\"}]}]}",
		 "vdevs[0]: a mirror of 1"},
		{"{\"vdevs\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "disk a is named twice"},
		{"{\"vdevs\":[{\"name\":\"a\"}],\"logs\":{}}", "logs must be an array"},
		{"{\"vdevs\":[{\"name\":\"a\"}],\"cache\":[{\"name\":\"a\"}]}",
		 "cache[0].name: disk a is named twice"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_layout struct layout *l = NULL;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_json struct json *j = NULL;

		require(json_parse(rows[i].json, (size_t)-1, &j, &err) == 0);
		check_int(layout_parse(j, &l, &err), ==, -EINVAL);
		check_has(error_message(&err), rows[i].message);
	}
}

TEST(pool_create_runs_zpool)
{
	cleanup_json struct json *j = NULL;
	cleanup_layout struct layout *l = NULL;
	cleanup_error struct error err = ERROR_INIT;

	require(json_parse("{\"vdevs\":[{\"type\":\"mirror\",\"devices\":[{\"name\":\"sda\"},"
			   "{\"name\":\"/tmp/f\"}]}],\"spares\":[{\"name\":\"sdc\"}]}",
			   (size_t)-1, &j, NULL) == 0);
	require(layout_parse(j, &l, NULL) == 0);
	/* The fake says "pool is there" to pool_exists() and we stop. */
	fake("", "", 0);
	check_int(pool_create("zones", l, NULL, 0, NULL, &err), ==, -EEXIST);
	check_has(error_message(&err), "pool zones already exists");
}

/* --- disks */

static void
put(const char *root, const char *path, const char *text)
{
	cleanup_free char *p = str_printf("%s/%s", root, path);
	cleanup_free char *dir = xstrdup(p);

	*strrchr(dir, '/') = '\0';
	require(file_mkdir_p(dir, 0755, NULL) == 0);
	require(file_write_atomic(p, text, strlen(text), 0644, NULL) == 0);
}

TEST(disks_from_sysfs)
{
	const char *root = test_tmpdir();
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	static const struct {
		const char *path, *text;
	} files[] = {
		{"sys/block/sdb/size", "1953525168\n"},
		{"sys/block/sdb/removable", "0\n"},
		{"sys/block/sdb/queue/rotational", "1\n"},
		{"sys/block/sdb/device/vendor", "ATA     \n"},
		{"sys/block/sdb/device/model", "WDC WD10EZEX \n"},
		{"sys/block/sdb/device/type", "0\n"},
		{"sys/block/sdb/device/vpd_pg80", "\x01\x80\x01\x08  WD-1234"},
		{"sys/block/sdaa/size", "2048\n"},
		{"sys/block/sdaa/device/type", "0\n"},
		{"sys/block/sdaa/queue/rotational", "0\n"},
		{"sys/block/sdaa/removable", "1\n"},
		{"sys/block/sr0/size", "2048\n"},
		{"sys/block/sr0/device/type", "5\n"},
		{"sys/block/loop0/size", "2048\n"},
		{"sys/block/zd0/size", "2048\n"},
		{"sys/block/sdc/size", "0\n"},
		{"sys/block/sdc/device/type", "0\n"},
		{"sys/block/vda/size", "4096\n"},
		{"sys/block/vda/device/vendor", "0x1af4\n"},
		{"sys/block/vda/serial", "disk-0\n"},
		{"sys/block/mmcblk0boot0/size", "4096\n"},
		{"sys/block/mmcblk0boot0/device/type", "MMC\n"},
		{"sys/block/sdb/sdb1/uevent", "PARTN=1\nPARTNAME=ATOLLUSB\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(root, files[i].path, files[i].text);
	check_ok(disk_list_at(root, &l, &err), &err);
	check_int(l.n, ==, 3);
	require(l.n == 3);
	check_str(l.disks[0].name, "sdb");
	check_str(l.disks[1].name, "sdaa");
	const struct disk *sdb = disk_find(&l, "sdb"), *vda = disk_find(&l, "vda");
	require(sdb && vda);
	check_int(sdb->size, ==, 1000204886016);
	check(!sdb->ssd && !sdb->removable && sdb->boot_medium);
	check_str(sdb->vendor, "ATA");
	check_str(sdb->model, "WDC WD10EZEX");
	check(disk_find(&l, "sdaa")->ssd && disk_find(&l, "sdaa")->removable);
	check_str(vda->serial, "disk-0");
	check(!vda->boot_medium);
	check(disk_find(&l, "sr0") == NULL);
}

TEST(our_iso_is_the_boot_medium)
{
	const char *root = test_tmpdir();
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;
	cleanup_free char *image = xcalloc(1, 17 * 2048), *path = str_printf("%s/dev/sda", root);

	put(root, "sys/block/sda/size", "34\n");
	put(root, "sys/block/sda/device/type", "0\n");
	put(root, "dev/x", "");
	memcpy(image + 16 * 2048, "\1CD001\1", 7);
	memcpy(image + 16 * 2048 + 40, "ATOLL_20261121", 14);
	require(file_write_atomic(path, image, 17 * 2048, 0644, NULL) == 0);
	require(disk_list_at(root, &l, NULL) == 0 && l.n == 1);
	check(l.disks[0].boot_medium);
}

TEST(partition_names)
{
	cleanup_free char *a = disk_partition_path("/dev/sda", 3);
	cleanup_free char *b = disk_partition_path("/dev/nvme0n1", 3);

	check_str(a, "/dev/sda3");
	check_str(b, "/dev/nvme0n1p3");
}

TEST(partition_table_is_one_that_others_read)
{
	cleanup_free char *image = str_printf("%s/disk.img", test_tmpdir());
	cleanup_free char *out = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	static const struct disk_part parts[] = {
		{DISK_GPT_BIOS_BOOT, "BIOS boot", 1 << 20},
		{DISK_GPT_ESP, "ATOLLBOOT", 10 << 20},
		{DISK_GPT_ZFS, "zfs", 0},
	};

	require(fd >= 0 && ftruncate(fd, 64 << 20) == 0);
	check_ok(disk_partition(image, parts, ARRAY_SIZE(parts), &err), &err);
	if (RUN_OUTPUT(&out, &err, "sgdisk", "-v", "-p", image) < 0 && err.code == ENOENT)
		test_skip("no sgdisk here");
	check_has(out, "No problems found");
	check_has(out, "EF02  BIOS boot");
	check_has(out, "EF00  ATOLLBOOT");
	check_has(out, "BF01  zfs");
	/* Too small a disk is refused before anything is written. */
	require(ftruncate(fd, 8 << 20) == 0);
	check_int(disk_partition(image, parts, ARRAY_SIZE(parts), &err), ==, -ENOSPC);
	check_has(error_message(&err), "no room for partition 2 (ATOLLBOOT)");
}

static int
never(void *arg)
{
	return 0;
}

TEST(waiting_ends)
{
	cleanup_error struct error err = ERROR_INIT;

	check_int(device_wait("/dev/null", 0, &err), ==, 0);
	check_int(device_wait_for(never, NULL, 50, "a miracle", &err), ==, -ETIMEDOUT);
	check_has(error_message(&err), "a miracle did not appear");
}
