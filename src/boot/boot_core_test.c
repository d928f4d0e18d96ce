/* hostid, seed, shadow: the small parts of the boot services. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "boot/hostid.h"
#include "boot/method.h"
#include "boot/seed.h"
#include "boot/shadow.h"

TEST(hostid_is_stable_and_never_zero)
{
	check_int(hostid_of_text("4C4C4544-0042-3510-8051-B4C04F4A4E32"), ==,
		  hostid_of_text("4c4c4544-0042-3510-8051-b4c04f4a4e32"));
	check_int(hostid_of_text("a"), !=, hostid_of_text("b"));
	check_int(hostid_of_text(""), !=, 0);
}

TEST(hostid_file_is_little_endian)
{
	cleanup_free char *path = str_printf("%s/hostid", test_tmpdir());
	cleanup_free char *text = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t len;

	check_ok(hostid_write(path, 0x01020304, &err), &err);
	require(file_read(path, 0, &text, &len, NULL) == 0);
	check_int(len, ==, 4);
	check(memcmp(text, "\4\3\2\1", 4) == 0);
}

static void
put(const char *dir, const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);

	require(file_write_atomic(path, text, strlen(text), mode, NULL) == 0);
}

static char *
get(const char *dir, const char *name)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);
	char *text = NULL;

	return file_read(path, 0, &text, NULL, NULL) == 0 ? text : NULL;
}

TEST(seed_adds_what_is_missing_and_keeps_the_rest)
{
	cleanup_free char *from = str_printf("%s/from", test_tmpdir());
	cleanup_free char *to = str_printf("%s/to", test_tmpdir());
	cleanup_free char *sub = str_printf("%s/a/b", from), *own = str_printf("%s/a", to);
	cleanup_free char *link = str_printf("%s/a/link", from), *copied = str_printf("%s/a/link", to);
	cleanup_free char *deep = NULL, *kept = NULL, *conflict = NULL;
	cleanup_free char *file = str_printf("%s/a/b/new", to);
	cleanup_error struct error err = ERROR_INIT;
	char target[16] = "";
	struct stat st;

	require(file_mkdir_p(sub, 0750, NULL) == 0 && file_mkdir_p(own, 0700, NULL) == 0);
	put(sub, "new", "from the image", 0640);
	put(from, "kept", "image", 0644);
	put(from, "odd", "a file here", 0644);
	put(to, "kept", "node", 0644);
	{
		cleanup_free char *dir = str_printf("%s/odd", to);

		require(mkdir(dir, 0755) == 0);
	}
	require(symlink("b/new", link) == 0);
	check_ok(seed_tree(from, to, &err), &err);
	check_ok(seed_tree(from, to, &err), &err);
	deep = get(to, "a/b/new");
	kept = get(to, "kept");
	conflict = get(to, "odd");
	check_str(deep, "from the image");
	check_str(kept, "node");
	check_str(conflict, NULL);
	require(stat(file, &st) == 0);
	check_int(st.st_mode & 07777, ==, 0640);
	check_int(readlink(copied, target, sizeof(target) - 1), ==, 5);
	check_str(target, "b/new");
	check_int(seed_tree("/nonexistent", to, NULL), <, 0);
}

#define IMAGE "root:*:1::::::\nsshd:!:1::::::\n_chrony:*:1::::::\n"

static const struct {
	const char *base, *saved, *hash, *want;
} shadows[] = {
	{IMAGE, NULL, NULL, IMAGE},
	{IMAGE, NULL, "$6$x", "root:$6$x:1::::::\nsshd:!:1::::::\n_chrony:*:1::::::\n"},
	{IMAGE, "root:$5$y:9::::::\ngone:$5$z:9::::::\n", NULL,
	 "root:$5$y:9::::::\nsshd:!:1::::::\n_chrony:*:1::::::\n"},
	{IMAGE, "roots:$5$y:9::::::\n", NULL, IMAGE},
	{IMAGE, "root:$5$y:9::::::", NULL,
	 "root:$5$y:9::::::\nsshd:!:1::::::\n_chrony:*:1::::::\n"},
	{"sshd:!:1::::::\n", "root:$5$y:9::::::\n", NULL, "sshd:!:1::::::\nroot:$5$y:9::::::\n"},
	{"", NULL, "$6$x", "root:$6$x:20000::::::\n"},
	{"broken\nroot:x\n", NULL, "$6$x", "root:x\n"},
};

TEST(shadow_merge_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(shadows); i++) {
		cleanup_free char *got =
			shadow_merge(shadows[i].base, shadows[i].saved, shadows[i].hash);

		check_str(got, shadows[i].want);
	}
}

TEST(shadow_hashes)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *a = NULL, *b = NULL;

	check_ok(shadow_check_hash("$5$salt$hash", &err), &err);
	check_ok(shadow_check_hash("*", &err), &err);
	check_int(shadow_check_hash("plain", &err), ==, -EINVAL);
	check_int(shadow_check_hash("$5$a:b", &err), ==, -EINVAL);
	check_int(shadow_check_hash("$5$a\nroot", &err), ==, -EINVAL);
	require(shadow_hash("secret", &a, &err) == 0 && shadow_hash("secret", &b, &err) == 0);
	check(strcmp(a, b) != 0);
	check(str_after(a, "$6$") != NULL);
	check_ok(shadow_check_hash(a, &err), &err);
}

TEST(method_run_tells_how_it_ended)
{
	cleanup_error struct error err = ERROR_INIT;

	method_init("test");
	check_ok(METHOD_RUN("fine", 10, &err, "true"), &err);
	check_int(METHOD_RUN("failing", 10, &err, "false"), ==, -EIO);
	check_has(error_message(&err), "failing: false exited with status 1");
	check_int(METHOD_RUN("slow", 1, &err, "sleep", "60"), ==, -ETIMEDOUT);
	check_int(METHOD_RUN("gone", 1, &err, "/nonexistent/program"), ==, -ENOENT);
	method_begin("nothing");
	method_end();
	method_end();
}

TEST(mount_points_are_known)
{
	check(is_mountpoint("/proc"));
	check(!is_mountpoint(test_tmpdir()));
	check(!is_mountpoint("/nonexistent"));
}
