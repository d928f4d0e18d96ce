#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "img/img.h"
#include "img/img_impl.h"
#include "img/import.h"
#include "img/manifest.h"
#include "img/source.h"
#include "img/stream.h"
#include "os/run.h"

#define U1 "11111111-1111-4111-8111-111111111111"
#define U2 "22222222-2222-4222-8222-222222222222"
#define SHA "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define FILES "\"files\":[{\"sha1\":\"" SHA "\",\"size\":10,\"compression\":\"gzip\"}]"
#define HEAD "\"v\":2,\"uuid\":\"" U1 "\",\"name\":\"a\",\"version\":\"1\",\"os\":\"linux\""
#define LX "{" HEAD ",\"type\":\"lx-dataset\"," FILES
#define ZVOL "{" HEAD ",\"type\":\"zvol\"," FILES

/* --- manifests */

TEST(manifests)
{
	static const struct {
		const char *json, *message; /* NULL: good */
	} rows[] = {
		{LX "}", NULL},
		{LX ",\"state\":\"active\",\"public\":\"true\",\"tags\":{\"a\":0,\"b\":true},"
		    "\"requirements\":{\"min_ram\":256,\"min_platform\":{\"7.0\":\"20141030T081701Z\"}},"
		    "\"published_at\":\"2026-11-21T10:00:00.123Z\",\"unheard_of\":1}",
		 NULL},
		{ZVOL ",\"nic_driver\":\"virtio\",\"disk_driver\":\"virtio\",\"cpu_type\":\"host\","
		      "\"image_size\":10240}",
		 NULL},
		{"[]", "must be an object, is array"},
		{"{}", "\"v\" is missing"},
		{"{\"v\":1}", "\"v\" is 1, must be 2"},
		{"{\"v\":\"2\"}", "\"v\" must be integer, is string"},
		{"{\"v\":2}", "\"uuid\" is missing"},
		{"{\"v\":2,\"uuid\":5}", "\"uuid\" must be string"},
		{"{\"v\":2,\"uuid\":\"../../etc/passwd\"}", "must be a lower-case UUID"},
		{"{\"v\":2,\"uuid\":\"11111111-1111-4111-8111-11111111111A\"}", "lower-case UUID"},
		{"{\"v\":2,\"uuid\":\"" U1 "\"}", "\"name\" is missing"},
		{"{\"v\":2,\"uuid\":\"" U1 "\",\"name\":\"a\"}", "\"version\" is missing"},
		{"{\"v\":2,\"uuid\":\"" U1 "\",\"name\":\"a\\nb\"}", "\"name\" is \"a"},
		{"{" HEAD "}", "\"type\" is missing"},
		{"{" HEAD ",\"type\":\"vmdk\"}", "\"type\" is \"vmdk\", must be one of"},
		{"{\"v\":2,\"uuid\":\"" U1 "\",\"name\":\"a\",\"version\":\"1\",\"type\":\"lx-dataset\","
		 "\"os\":\"plan9\"}",
		 "\"os\" is \"plan9\", must be one of"},
		{"{" HEAD ",\"type\":\"lx-dataset\"}", "\"files\" is missing"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":{}}", "\"files\" must be array"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[]}", "\"files\" must have one element"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{},{}]}", "\"files\" has 2 elements"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[7]}", "\"files[0]\" must be object"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{}]}", "\"files[0].sha1\" is missing"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{\"sha1\":\"xyz\"}]}",
		 "\"files[0].sha1\" is \"xyz\", must be 40"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{\"sha1\":\"" SHA "\"}]}",
		 "\"files[0].size\" is missing"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{\"sha1\":\"" SHA "\",\"size\":-1}]}",
		 "\"files[0].size\" must be a positive number"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{\"sha1\":\"" SHA "\",\"size\":1e30}]}",
		 "\"files[0].size\" must be integer"},
		{"{" HEAD ",\"type\":\"lx-dataset\",\"files\":[{\"sha1\":\"" SHA
		 "\",\"size\":1,\"compression\":\"rar\"}]}",
		 "\"files[0].compression\" is \"rar\""},
		{LX ",\"origin\":\"no\"}", "\"origin\" is \"no\""},
		{LX ",\"origin\":\"" U1 "\"}", "\"origin\" is the image itself"},
		{LX ",\"state\":\"disabled\"}", "only an active image can be installed"},
		{LX ",\"state\":\"weird\"}", "\"state\" is \"weird\""},
		{LX ",\"public\":\"maybe\"}", "\"public\" must be boolean"},
		{LX ",\"published_at\":\"yesterday\"}", "\"published_at\" is \"yesterday\""},
		{LX ",\"published_at\":\"2026-11-21T10:00:00\"}", "\"published_at\""},
		{LX ",\"homepage\":\"javascript:alert(1)\"}", "\"homepage\""},
		{LX ",\"owner\":\"me\"}", "\"owner\" is \"me\""},
		{LX ",\"acl\":\"all\"}", "\"acl\" must be array"},
		{LX ",\"acl\":[\"" U2 "\",\"x\"]}", "\"acl[1]\" is \"x\""},
		{LX ",\"requirements\":[]}", "\"requirements\" must be object"},
		{LX ",\"requirements\":{\"min_ram\":\"1\"}}", "\"requirements.min_ram\" must be integer"},
		{LX ",\"requirements\":{\"min_ram\":2,\"max_ram\":1}}",
		 "\"requirements.max_ram\" 1 is less than min_ram 2"},
		{LX ",\"requirements\":{\"moon\":\"full\"}}", "\"requirements.moon\" is a requirement"},
		{LX ",\"requirements\":{\"networks\":[{\"name\":\"net0\"}]}}",
		 "\"requirements.networks[0].description\" is missing"},
		{LX ",\"requirements\":{\"min_platform\":{\"7.0\":7}}}",
		 "\"requirements.min_platform.7.0\" must be string"},
		{LX ",\"users\":[{}]}", "\"users[0].name\" is missing"},
		{LX ",\"users\":[{\"name\":\"a b\"}]}", "\"users[0].name\" is \"a b\""},
		{LX ",\"tags\":{\"a\":{}}}", "\"tags.a\" must be"},
		{LX ",\"nic_driver\":\"virtio\"}", "\"nic_driver\" is only for images of type zvol"},
		{ZVOL "}", "\"nic_driver\" is missing"},
		{ZVOL ",\"nic_driver\":\"virtio\",\"disk_driver\":\"-drive x\"}", "\"disk_driver\" is"},
		{ZVOL ",\"nic_driver\":\"virtio\",\"disk_driver\":\"virtio\",\"cpu_type\":\"host\","
		      "\"image_size\":0}",
		 "\"image_size\" must be a positive number"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_json struct json *m = NULL;
		int r;

		require(json_parse(rows[i].json, (size_t)-1, &m, &err) == 0);
		r = manifest_check(m, MANIFEST_INSTALL, &err);
		if (!rows[i].message) {
			check_ok(r, &err);
			continue;
		}
		if (r != -EINVAL)
			test_fail(__FILE__, __LINE__, "row %zu: %d, wanted \"%s\"", i, r,
				  rows[i].message);
		else
			check_has(error_message(&err), rows[i].message);
	}
}

TEST(manifest_strings_have_limits)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *m = NULL;
	char name[600];

	memset(name, 'a', sizeof(name));
	name[513] = '\0';
	require(json_parse(LX "}", (size_t)-1, &m, NULL) == 0);
	json_set_str(m, "name", name);
	check_int(manifest_check(m, MANIFEST_INSTALL, &err), ==, -EINVAL);
	check_str(err.path, "name");
	name[512] = '\0';
	json_set_str(m, "name", name);
	check_ok(manifest_check(m, MANIFEST_INSTALL, &err), &err);
}

TEST(manifest_set_follows_the_table)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *m = json_new_object();

	check_ok(manifest_set(m, "name", "web", &err), &err);
	check_ok(manifest_set(m, "image_size", "10", &err), &err);
	check_ok(manifest_set(m, "public", "true", &err), &err);
	check_ok(manifest_set(m, "requirements.min_ram", "256", &err), &err);
	check_ok(manifest_set(m, "tags.role", "1", &err), &err);
	check_ok(manifest_set(m, "users", "[{\"name\":\"root\"}]", &err), &err);
	cleanup_free char *text = json_print(m, false);
	check_str(text, "{\"name\":\"web\",\"image_size\":10,\"public\":true,"
			"\"requirements\":{\"min_ram\":256},\"tags\":{\"role\":\"1\"},"
			"\"users\":[{\"name\":\"root\"}]}");
	check_int(manifest_set(m, "nmae", "web", &err), ==, -EINVAL);
	check_has(error_message(&err), "\"nmae\" is not a manifest field");
	check_int(manifest_set(m, "name.x", "web", &err), ==, -EINVAL);
}

static int
cut_short_everywhere(const uint8_t *data, size_t size)
{
	for (size_t n = 0; n <= size; n++)
		LLVMFuzzerTestOneInput(data, n);
	return 0;
}

/* What the fuzzer was given and found, and each of it cut short at every byte. */
TEST(fuzzer_corpus)
{
	test_corpus("src/img/testdata/fuzz_manifest", cut_short_everywhere);
}

/* --- streams */

static char *
sha1_of(const char *data, size_t len)
{
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)data, len, digest);
	return str_hex(digest, sizeof(digest));
}

static char *
tmp_file(const char *name, const char *data, size_t len)
{
	char *path = str_printf("%s/%s", test_tmpdir(), name);

	require(file_write_atomic(path, data, len, 0644, NULL) == 0);
	return path;
}

/* Opens path as a file of this size, digest and compression and reads it all. */
static int
slurp(const char *path, const char *sha1, uint64_t size, enum compression c,
      struct strbuf *ret, struct error *err)
{
	struct manifest_file f = {.sha1 = sha1, .size = size, .compression = c};
	cleanup_stream struct stream *plain = NULL;
	struct stream *s;
	ssize_t n;
	int r;

	r = stream_open_file(path, &s, err);
	if (r < 0)
		return r;
	r = stream_decompress(stream_verify(s, &f, NULL, NULL), c, &plain, err);
	if (r < 0)
		return r;
	while ((n = stream_read(plain, strbuf_reserve(ret, 1000), 1000, err)) > 0) {
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
	}
	return (int)n;
}

TEST(streams_decompress)
{
	static const struct {
		const char *program;
		enum compression c;
	} rows[] = {
		{"gzip", COMP_GZIP}, {"bzip2", COMP_BZIP2}, {"xz", COMP_XZ}, {"zstd", COMP_ZSTD},
		{"cat", COMP_NONE},
	};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < 50000; i++)
		strbuf_addf(&text, "line %d\n", i);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_strbuf struct strbuf got = STRBUF_INIT;
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *path = tmp_file("plain", text.data, text.len);
		cleanup_free char *packed = str_printf("%s.packed", path), *data = NULL, *sha1 = NULL;
		cleanup_free char *cmd = str_printf("%s < %s > %s", rows[i].program, path, packed);
		size_t len;

		require(system(cmd) == 0);
		require(file_read(packed, 0, &data, &len, NULL) == 0);
		sha1 = sha1_of(data, len);
		check_ok(slurp(packed, sha1, len, rows[i].c, &got, &err), &err);
		check_int(got.len, ==, text.len);
		check(got.len == text.len && memcmp(got.data, text.data, text.len) == 0);

		/* one byte short of what the manifest says; one more; another digest */
		check_int(slurp(packed, sha1, len + 1, rows[i].c, &got, &err), ==, -EBADMSG);
		check_has(error_message(&err), "image file ends after");
		check_int(slurp(packed, sha1, len - 1, rows[i].c, &got, &err), ==, -EBADMSG);
		check_has(error_message(&err), "larger than the manifest's size");
		check_int(slurp(packed, SHA, len, rows[i].c, &got, &err), ==, -EBADMSG);
		check_has(error_message(&err), "manifest says " SHA);
		if (rows[i].c == COMP_NONE)
			continue;
		/* cut in the middle */
		require(truncate(packed, (off_t)len / 2) == 0);
		check_int(slurp(packed, sha1, len, rows[i].c, &got, &err), ==, -EBADMSG);
		/* not compressed so at all */
		check_int(slurp(path, SHA, text.len, rows[i].c, &got, &err), ==, -EBADMSG);
		check_has(error_message(&err), "as the manifest says");
	}
}

TEST(an_empty_file_is_said_to_be_empty)
{
	cleanup_strbuf struct strbuf got = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = tmp_file("empty", "", 0);

	check_int(slurp(path, SHA, 0, COMP_GZIP, &got, &err), ==, -EBADMSG);
	check_has(error_message(&err), "image file is empty");
}

/* --- imports, into a fake zfs */

static char *world;

static void
world_new(void)
{
	cleanup_free char *path = str_printf("%s:%s", test_data("src/img/testdata"), getenv("PATH"));
	cleanup_free char *run = NULL, *ds = NULL;

	signal(SIGPIPE, SIG_IGN);
	world = xstrdup(test_tmpdir());
	run = str_printf("%s/run", world);
	ds = str_printf("%s/ds", world);
	require(file_mkdir_p(run, 0755, NULL) == 0);
	require(file_mkdir_p(ds, 0755, NULL) == 0);
	setenv("PATH", path, 1);
	setenv("FAKEZFS", ds, 1);
	img_set_root(world);
	require(system("mkdir $FAKEZFS/zones && cd $FAKEZFS/zones && echo filesystem > type && "
		       ": > snaps && : > origin && : > props") == 0);
}

/* Names of the datasets there are, sorted, without the pool. */
static char *
world_datasets(void)
{
	cleanup_free char *out = NULL;

	require(RUN_OUTPUT(&out, NULL, "sh", "-c",
			   "cd $FAKEZFS && ls -d */ | tr -d / | tr % / | grep -v '^zones$' | "
			   "paste -sd' '") == 0);
	return xstrdup(str_trim(out));
}

static struct json *
world_manifest(const char *uuid, const char *type, const char *file, const char *origin)
{
	struct json *m = NULL;
	cleanup_free char *data = NULL, *sha1 = NULL, *text = NULL;
	size_t len;

	require(file_read(file, 0, &data, &len, NULL) == 0);
	sha1 = sha1_of(data, len);
	text = str_printf("{\"v\":2,\"uuid\":\"%s\",\"name\":\"a\",\"version\":\"1\",\"os\":\"linux\","
			  "\"type\":\"%s\",\"published_at\":\"2026-11-21T10:00:00Z\",\"files\":[{"
			  "\"sha1\":\"%s\",\"size\":%zu,\"compression\":\"none\"}]%s%s%s%s}",
			  uuid, type, sha1, len,
			  str_eq(type, "zvol") ? ",\"nic_driver\":\"virtio\",\"disk_driver\":\"virtio\","
						 "\"cpu_type\":\"host\",\"image_size\":1"
					       : "",
			  origin ? ",\"origin\":\"" : "", origin ? origin : "", origin ? "\"" : "");
	require(json_parse(text, (size_t)-1, &m, NULL) == 0);
	return m;
}

static int
install(const struct json *m, const char *file, struct error *err)
{
	struct import_opts o = {.pool = "zones", .source = "http://x"};
	struct stream *s;

	require(stream_open_file(file, &s, err) == 0);
	return img_install(m, s, &o, err);
}

TEST(install_list_delete)
{
	world_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *f1 = tmp_file("f1", "FAKE filesystem snap\nEND\n", 25);
	cleanup_free char *f2 = tmp_file("f2", "FAKE filesystem s origin=zones/" U1 "@final\nEND\n", 78);
	cleanup_json struct json *m1 = world_manifest(U1, "lx-dataset", f1, NULL);
	cleanup_json struct json *m2 = world_manifest(U2, "lx-dataset", f2, U1);
	cleanup_image struct image *i = NULL;
	cleanup_img_list struct img_list l = IMG_LIST_INIT;

	check_int(install(m2, f2, &err), ==, -ENOENT);
	check_has(error_message(&err), "origin of image " U2 ": image " U1 " is not installed");
	check_ok(install(m1, f1, &err), &err);
	check_int(install(m1, f1, &err), ==, 1);
	check_ok(install(m2, f2, &err), &err);

	check_ok(img_find(U1, NULL, &i, &err), &err);
	require(i);
	check_str(i->snapshot, "zones/" U1 "@final");
	check_str(img_type(i), "lx-dataset");
	check_str(i->source, "http://x");
	check_ok(img_fits(i, "lx", 256, NULL, &err), &err);
	check_int(img_fits(i, "kvm", 256, NULL, &err), ==, -EINVAL);
	check_has(error_message(&err), "is of type lx-dataset, brand kvm needs zvol");

	check_ok(img_list(NULL, &l, &err), &err);
	check_int(l.n, ==, 2);
	check_int(l.images[0]->clones + l.images[1]->clones, ==, 1);

	check_int(img_delete(U1, NULL, &err), ==, -EBUSY);
	check_has(error_message(&err), "has dependent clones: zones/" U2);
	check_str(err.path, "ImageHasDependentClones");
	check_ok(img_delete(U2, NULL, &err), &err);
	int hold;
	check_ok(img_hold(U1, &hold, &err), &err);
	check_int(img_delete(U1, NULL, &err), ==, -EWOULDBLOCK);
	check_has(error_message(&err), "in use by another command");
	close(hold);
	check_ok(img_delete(U1, NULL, &err), &err);
	check_int(img_find(U1, NULL, &i, &err), ==, -ENOENT);
	cleanup_free char *left = world_datasets();
	check_str(left, "");
}

TEST(zones_are_no_images)
{
	world_new();
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *etc = str_printf("%s/etc/zones", world);
	cleanup_free char *index = str_printf("%s/index", etc);
	static const char line[] = U1 ":installed:/zones/" U1 ":" U1 "\n";

	/* U1 is a zone that somebody gave a snapshot @final, U2 a fresh clone. */
	require(system("cd $FAKEZFS && cp -r zones zones%" U1 " && echo final > zones%" U1 "/snaps && "
		       "cp -r zones zones%" U2 " && echo zones/x@final > zones%" U2 "/origin") == 0);
	require(file_mkdir_p(etc, 0755, NULL) == 0);
	require(file_write_atomic(index, line, strlen(line), 0644, NULL) == 0);
	check_ok(img_list(NULL, &l, &err), &err);
	check_int(l.n, ==, 0);
}

TEST(bad_images_leave_nothing)
{
	static const struct {
		const char *stream, *type, *origin, *message;
	} rows[] = {
		{"not a stream at all\n", "lx-dataset", NULL, "image file is no good zfs stream"},
		{"FAKE filesystem a\n", "lx-dataset", NULL, "incomplete stream"},
		{"FAKE filesystem a\nEDN\n", "lx-dataset", NULL, "checksum mismatch"},
		{"FAKE filesystem a,b\nEND\n", "lx-dataset", NULL, "holds 2 snapshots, must be exactly"},
		{"FAKE volume a\nEND\n", "lx-dataset", NULL, "holds a volume, manifest's type is lx"},
		{"FAKE filesystem a\nEND\n", "zvol", NULL, "holds a filesystem, manifest's type is zvol"},
		{"FAKE filesystem a prop=mountpoint\nEND\n", "lx-dataset", NULL, "sets property mountpoint"},
		{"FAKE filesystem a origin=zones/x@y\nEND\n", "lx-dataset", NULL, "origin is zones/x@y"},
	};

	world_new();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_free char *f = tmp_file("f", rows[i].stream, strlen(rows[i].stream));
		cleanup_json struct json *m = world_manifest(U1, rows[i].type, f, rows[i].origin);
		cleanup_free char *db = img_db_path("zones", U1);

		check_int(install(m, f, &err), <, 0);
		check_has(error_message(&err), rows[i].message);
		cleanup_free char *left = world_datasets();
		check_str(left, "");
		check(!file_exists(db));
	}
}

TEST(a_dataset_of_that_name_is_not_touched)
{
	world_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *f = tmp_file("f", "FAKE filesystem a\nEND\n", 22);
	cleanup_json struct json *m = world_manifest(U1, "lx-dataset", f, NULL);

	require(system("cd $FAKEZFS && cp -r zones zones%" U1) == 0);
	check_int(install(m, f, &err), ==, -EEXIST);
	check_has(error_message(&err), "exists and is not an image");
	cleanup_free char *left = world_datasets();
	check_str(left, "zones/" U1);
}

/* Killed anywhere, nothing is listed, and the next try succeeds. */
TEST(killed_at_each_step)
{
	static const struct {
		const char *step;
		size_t listed;
	} rows[] = {
		{"clean", 0}, {"receiving", 0}, {"received", 0}, {"checked", 0},
		{"final", 0}, {"database", 0},	{"renamed", 1},
	};

	world_new();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_error struct error err = ERROR_INIT;
		cleanup_img_list struct img_list l = IMG_LIST_INIT;
		cleanup_free char *f = tmp_file("f", "FAKE filesystem a\nEND\n", 22);
		cleanup_json struct json *m = world_manifest(U1, "lx-dataset", f, NULL);
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			setenv("IMGADM_TEST_KILL", rows[i].step, 1);
			install(m, f, NULL);
			_exit(0);
		}
		require(waitpid(pid, &status, 0) == pid);
		if (!WIFSIGNALED(status))
			test_fail(__FILE__, __LINE__, "step %s was not reached", rows[i].step);
		check_ok(img_list(NULL, &l, &err), &err);
		check_int(l.n, ==, rows[i].listed);
		check_int(install(m, f, &err), ==, (int)rows[i].listed);
		check_ok(img_delete(U1, NULL, &err), &err);
		cleanup_free char *left = world_datasets();
		check_str(left, "");
	}
}

TEST(sweep_removes_what_was_left)
{
	world_new();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv removed = STRV_INIT;

	require(system("cd $FAKEZFS && cp -r zones zones%" U1 "-partial && cp -r zones zones%my-partial && "
		       "cp -r zones zones%" U2 "-partial") == 0);
	int lock;
	require(img_lock(U2, true, true, &lock, NULL) == 0);
	/* manifests of a delete that was killed, of an import under way, of another pool */
	cleanup_free char *orphan = img_db_path("zones", U1), *under_way = img_db_path("zones", U2);
	cleanup_free char *other = img_db_path("tank", U1);
	check_ok(img_mkdirs(&err), &err);
	const char *const files[] = {orphan, under_way, other};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		check_ok(file_write_atomic(files[i], "{}", 2, 0644, &err), &err);
	check_ok(img_sweep("zones", &removed, &err), &err);
	check(!file_exists(orphan) && file_exists(under_way) && file_exists(other));
	check_int(removed.n, ==, 1);
	cleanup_free char *left = world_datasets();
	check_str(left, "zones/" U2 "-partial zones/my-partial");
}

/* --- sources, against a server of our own */

static const struct page {
	const char *path;
	int status;
	const char *body;
} *pages;
static size_t n_pages;

static void
serve(int fd)
{
	for (;;) {
		int c = accept(fd, NULL, NULL);
		char request[4096] = "", path[256] = "";
		const struct page *p = NULL;

		if (c < 0 || read(c, request, sizeof(request) - 1) <= 0)
			_exit(1);
		sscanf(request, "%*s %255s", path);
		for (size_t i = 0; i < n_pages && !p; i++)
			p = str_eq(pages[i].path, path) ? &pages[i] : NULL;
		dprintf(c, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			p ? p->status : 404, p ? strlen(p->body) : 0, p ? p->body : "");
		close(c);
	}
}

static char *
server(const struct page *list, size_t n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	pages = list;
	n_pages = n;
	require(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 5) == 0);
	require(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
	}
	close(fd);
	return str_printf("http://127.0.0.1:%d", ntohs(a.sin_port));
}

TEST(sources_are_asked)
{
	static const struct page list[] = {
		{"/ping", 200, "{\"ping\":\"pong\",\"imgapi\":true}"},
		{"/images?channel=dev", 200, "[" LX "},{\"v\":2}]"},
		{"/images/" U1, 200, LX "}"},
		{"/images/" U2, 200, LX "}"},
		{"/images/" U1 "/file", 200, "0123456789"},
		{"/bad/images/" U1, 500, "{\"code\":\"InternalError\",\"message\":\"out of tea\"}"},
		{"/bad/ping", 200, "<html>"},
	};
	cleanup_free char *url = server(list, ARRAY_SIZE(list));
	cleanup_free char *bad_url = str_printf("%s/bad", url);
	struct source s = {.url = url, .type = (char *)"imgapi"};
	struct source bad = {.url = bad_url, .type = (char *)"imgapi"};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *images = NULL, *m = NULL, *none = NULL;
	cleanup_stream struct stream *file = NULL;
	char buf[64];
	size_t n_bad = 0;

	check_ok(source_ping(&s, &err), &err);
	check_ok(source_images(&s, "dev", &images, &n_bad, &err), &err);
	check_int(json_len(images), ==, 1);
	check_int(n_bad, ==, 1);
	check_ok(source_manifest(&s, U1, NULL, &m, &err), &err);
	check_ok(source_file(&s, U1, NULL, &file, &err), &err);
	check_int(stream_read(file, buf, sizeof(buf), &err), ==, 10);
	check_int(stream_read(file, buf, sizeof(buf), &err), ==, 0);

	check_int(source_manifest(&s, U2, NULL, &none, &err), ==, -EPROTO);
	check_has(error_message(&err), "the manifest is of another image");
	check_int(source_manifest(&s, "33333333-3333-4333-8333-333333333333", NULL, &none, &err), ==,
		  -ENOENT);
	check_int(source_manifest(&bad, U1, NULL, &none, &err), ==, -EPROTO);
	check_has(error_message(&err), "server answered 500: out of tea");
	check_int(source_ping(&bad, &err), ==, -EINVAL);
	check_has(error_message(&err), "not a JSON answer");
	bad.url = (char *)"http://127.0.0.1:1";
	check_int(source_ping(&bad, &err), ==, -ECONNABORTED);
}

TEST(sources_are_kept)
{
	cleanup_source_list struct source_list l = SOURCE_LIST_INIT, again = SOURCE_LIST_INIT;
	cleanup_error struct error err = ERROR_INIT;

	img_set_root(test_tmpdir());
	check_ok(source_load(&l, &err), &err);
	check_int(l.n, ==, 1);
	check_str(l.sources[0].url, IMG_DEFAULT_SOURCE);
	source_list_done(&l);
	cleanup_free char *boot = str_printf("%s/system/boot", img_root());
	cleanup_free char *boot_file = str_printf("%s/image-source", boot);
	require(file_mkdir_p(boot, 0755, NULL) == 0);
	require(file_write_atomic(boot_file, "http://10.0.2.2:8000\n", 21, 0644, NULL) == 0);
	check_ok(source_load(&l, &err), &err);
	check_int(l.n, ==, 1);
	check_str(l.sources[0].url, "http://10.0.2.2:8000");
	require(file_write_atomic(boot_file, "ftp://x\n", 8, 0644, NULL) == 0);
	check_int(source_load(&again, &err), ==, -EINVAL);
	check_has(error_message(&err), "image-source: \"ftp://x\" is not a URL");
	source_list_done(&again);

	check_ok(source_add(&l, "https://x/?channel=dev", "imgapi", true, &err), &err);
	check_int(source_add(&l, "https://x/?channel=dev", "imgapi", true, &err), ==, 1);
	check_int(source_add(&l, "file:///etc/passwd", "imgapi", false, &err), ==, -EINVAL);
	check_int(source_add(&l, "http://x", "ftp", false, &err), ==, -EINVAL);
	check(source_remove(&l, "http://10.0.2.2:8000"));
	check(!source_remove(&l, "http://10.0.2.2:8000"));
	check_ok(source_save(&l, &err), &err);
	check_ok(source_load(&again, &err), &err);
	check_int(again.n, ==, 1);
	require(again.n == 1);
	check_str(again.sources[0].url, "https://x/?channel=dev");
	check(again.sources[0].insecure);

	/* What cannot be read is not written over. */
	cleanup_free char *conf = str_printf("%s/var/imgadm/imgadm.conf", img_root());
	require(file_write_atomic(conf, "{\"sources\": [", 13, 0644, NULL) == 0);
	check_int(source_save(&l, &err), ==, -EINVAL);
	check_has(error_message(&err), "imgadm.conf");
	require(file_write_atomic(conf, "[]", 2, 0644, NULL) == 0);
	check_int(source_save(&l, &err), ==, -EINVAL);
	check_has(error_message(&err), "expected an object");
}
