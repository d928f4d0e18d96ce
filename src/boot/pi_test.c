/* Boot partitions as directories and disks as files. */
#include "boot/pi.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"

#define A "20260101T000000Z"
#define B "20260202T000000Z"
#define C "20260303T000000Z"

static void
put(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);

	require(file_mkdir_p(dir, 0755, NULL) == 0);
	require(file_write_atomic(path, text, strlen(text), 0644, NULL) == 0);
}

static char *
get(const char *root, const char *name)
{
	cleanup_free char *path = str_printf("%s/%s", root, name);
	char *text = NULL;

	return file_read(path, 0, &text, NULL, NULL) == 0 ? text : NULL;
}

static char *
source(const char *content)
{
	char *dir = str_printf("%s/source-%s", test_tmpdir(), content);

	put(dir, "vmlinuz", "kernel");
	put(dir, "boot_archive", content);
	return dir;
}

static char *
fresh_root(const char *name)
{
	char *root = str_printf("%s/%s", test_tmpdir(), name);

	require(file_mkdir_p(root, 0755, NULL) == 0);
	return root;
}

static void
check_env(const char *root, const char *key, const char *want)
{
	cleanup_conf struct conf *env = pi_env_read(root);

	check_str(conf_get(env, key), want);
}

static void
install(const char *root, const char *stamp)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dir = source(stamp);

	check_ok(pi_install(root, dir, stamp, &err), &err);
}

static char *
listed(const char *root)
{
	cleanup_strv struct strv l = STRV_INIT;

	require(pi_list(root, &l, NULL) == 0);
	return strv_join(&l, " ");
}

TEST(stamps)
{
	check(pi_is_stamp(A));
	check(!pi_is_stamp(""));
	check(!pi_is_stamp("20260101T000000Zx"));
	check(!pi_is_stamp("20260101T00000Z"));
	check(!pi_is_stamp("../../etc/passwd"));
}

TEST(environment_is_grubs)
{
	cleanup_conf struct conf *env = conf_new(), *back = NULL;
	cleanup_error struct error err = ERROR_INIT;
	char text[PI_ENV_SIZE];

	conf_set(env, "active", A);
	conf_set(env, "args", "console=tty0 a\\b");
	check_ok(pi_env_print(env, text, &err), &err);
	check(memcmp(text, "# GRUB Environment Block\nactive=" A "\nargs=console=tty0 a\\\\b\n###", 70) == 0);
	check(text[PI_ENV_SIZE - 1] == '#');
	check_ok(pi_env_parse(text, sizeof(text), &back, &err), &err);
	check_str(conf_get(back, "args"), "console=tty0 a\\b");
	check_int(pi_env_parse(text, sizeof(text) - 1, &back, NULL), ==, -EINVAL);
	memset(text + 25, 'x', sizeof(text) - 25);
	check_int(pi_env_parse(text, sizeof(text), &back, NULL), ==, -EINVAL);
	text[0] = 'x';
	check_int(pi_env_parse(text, sizeof(text), &back, NULL), ==, -EINVAL);
	for (int i = 0; i < 100; i++) {
		cleanup_free char *key = str_printf("key%d", i);

		conf_set(env, key, "0123456789");
	}
	check_int(pi_env_print(env, text, NULL), ==, -E2BIG);
}

TEST(images_come_and_go)
{
	cleanup_free char *root = fresh_root("esp"), *l1 = NULL, *l2 = NULL, *text = NULL;
	cleanup_error struct error err = ERROR_INIT;

	install(root, A);
	install(root, B);
	install(root, B);
	l1 = listed(root);
	check_str(l1, B " " A);
	text = get(root, "images/" A "/boot_archive");
	check_str(text, A);
	check_ok(pi_verify(root, A, &err), &err);
	check_int(pi_activate(root, C, NULL, &err), ==, -ENOENT);
	check_ok(pi_activate(root, A, "console=ttyS0", &err), &err);
	check_env(root, "active", A);
	check_env(root, "previous", NULL);
	check_env(root, "args", "console=ttyS0");
	check_ok(pi_activate(root, B, NULL, &err), &err);
	check_env(root, "active", B);
	check_env(root, "previous", A);
	check_env(root, "args", "console=ttyS0");
	check_env(root, "gen", "2");
	check_int(pi_remove(root, B, &err), ==, -EBUSY);
	check_int(pi_remove(root, C, &err), ==, -ENOENT);
	check_ok(pi_remove(root, A, &err), &err);
	check_env(root, "previous", NULL);
	l2 = listed(root);
	check_str(l2, B);
}

TEST(rolling_back_swaps_the_two)
{
	cleanup_free char *root = fresh_root("esp");
	cleanup_error struct error err = ERROR_INIT;

	install(root, A);
	install(root, B);
	check_ok(pi_activate(root, A, NULL, &err), &err);
	check_ok(pi_activate(root, B, NULL, &err), &err);
	check_ok(pi_activate(root, A, NULL, &err), &err);
	check_env(root, "active", A);
	check_env(root, "previous", B);
	check_ok(pi_activate(root, A, NULL, &err), &err);
	check_env(root, "previous", B);
}

TEST(damage_is_seen)
{
	cleanup_free char *root = fresh_root("esp"), *dir = source("x"), *l = NULL;
	cleanup_free char *img = str_printf("%s/images/" A, root);
	cleanup_error struct error err = ERROR_INIT;

	install(root, A);
	put(img, "boot_archive", "other");
	check_int(pi_verify(root, A, &err), ==, -EBADMSG);
	check_has(error_message(&err), A);
	/* a source whose own list disagrees */
	put(dir, "files", "00 1 vmlinuz\n");
	check_int(pi_install(root, dir, B, &err), ==, -EBADMSG);
	check_int(pi_install(root, "/nonexistent", B, NULL), ==, -ENOENT);
	check_int(pi_install(root, dir, "../" A, NULL), ==, -EINVAL);
	{
		cleanup_free char *summed = source("summed");

		put(summed, "SHA256SUMS",
		    "9f7a8f1e58a05a0b3bc6d8ef7d1e1d9d5a05f0dc0d8d3b26d3a4c1d5e8cbe0ab  vmlinuz\n");
		check_int(pi_install(root, summed, B, &err), ==, -EBADMSG);
		check_has(error_message(&err), "SHA256SUMS");
	}
	l = listed(root);
	check_str(l, A);
	{
		cleanup_free char *junk = str_printf("%s/images/" B ".new", root);

		check(!file_exists(junk));
	}
}

/* What a kill leaves: an image under its work name, or without its list. */
TEST(half_an_image_is_none)
{
	cleanup_free char *root = fresh_root("esp"), *l = NULL, *l2 = NULL;
	cleanup_free char *work = str_printf("%s/images/" A ".new", root);
	cleanup_free char *bare = str_printf("%s/images/" B, root);

	put(work, "vmlinuz", "k");
	put(work, "files", "x");
	put(bare, "vmlinuz", "k");
	l = listed(root);
	check_str(l, "");
	check_int(pi_activate(root, B, NULL, NULL), ==, -ENOENT);
	install(root, B);
	install(root, A);
	l2 = listed(root);
	check_str(l2, B " " A);
	check(!file_exists(work));
}

TEST(reaching_multi_user_clears_the_counter)
{
	cleanup_free char *root = fresh_root("esp"), *failed = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_conf struct conf *env = NULL, *env2 = NULL;

	install(root, A);
	install(root, B);
	check_ok(pi_activate(root, A, NULL, &err), &err);
	check_ok(pi_activate(root, B, NULL, &err), &err);
	/* as GRUB does it */
	env = pi_env_read(root);
	conf_set(env, "tries", "2");
	check_ok(pi_env_write(root, env, &err), &err);
	check_int(pi_booted(root, A, &failed, &err), ==, 0);
	check_env(root, "tries", "2");
	check_int(pi_booted(root, B, &failed, &err), ==, 0);
	check_env(root, "tries", "0");
	/* fell back to A */
	env2 = pi_env_read(root);
	conf_set(env2, "active", A);
	conf_set(env2, "previous", B);
	conf_set(env2, "failed", B);
	conf_set(env2, "tries", "1");
	check_ok(pi_env_write(root, env2, &err), &err);
	check_int(pi_booted(root, A, &failed, &err), ==, 1);
	check_str(failed, B);
	check_int(pi_booted(root, A, &failed, &err), ==, 0);
	/* asked for again, it has a clean slate */
	check_ok(pi_activate(root, B, NULL, &err), &err);
	check_env(root, "failed", NULL);
}

TEST(disks_become_alike)
{
	cleanup_free char *one = fresh_root("one"), *two = fresh_root("two"), *l = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *env1 = NULL, *env2 = NULL;

	install(one, B);
	install(one, C);
	check_ok(pi_activate(one, C, "quiet", &err), &err);
	install(two, A);
	check_ok(pi_activate(two, A, NULL, &err), &err);
	check_ok(pi_equalize(one, two, &err), &err);
	l = listed(two);
	check_str(l, C " " B);
	env1 = get(one, "boot/grub/grubenv");
	env2 = get(two, "boot/grub/grubenv");
	check_str(env1, env2);
	check_ok(pi_verify(two, C, &err), &err);
}

static void
loader_dir(char **ret)
{
	cleanup_free char *core = xmalloc(3 * 512 + 100 + 1);

	*ret = str_printf("%s/loader", test_tmpdir());
	put(*ret, "BOOTX64.EFI", "efi");
	put(*ret, "grub.cfg", "menu");
	memset(core, 'c', 3 * 512 + 100);
	core[3 * 512 + 100] = '\0';
	put(*ret, "core.img", core);
	core[512] = '\0';
	memset(core, 'b', 512);
	put(*ret, "boot.img", core);
}

TEST(bios_boot_sector_keeps_the_partition_table)
{
	cleanup_free char *loader = NULL, *disk = str_printf("%s/disk", test_tmpdir());
	cleanup_free char *image = xcalloc(1, 1 << 20), *text = NULL;
	cleanup_error struct error err = ERROR_INIT;
	size_t len;

	loader_dir(&loader);
	memset(image, 'd', 512);
	require(file_write_atomic(disk, image, 1 << 20, 0600, NULL) == 0);
	check_ok(pi_install_bios(disk, loader, 100, 64, &err), &err);
	require(file_read(disk, 0, &text, &len, NULL) == 0);
	check_int(len, ==, 1 << 20);
	check_int(text[0], ==, 'b');
	check_int(text[0x03], ==, 'd');
	check_int(text[0x59], ==, 'd');
	check_int(text[0x5a], ==, 'b');
	check(memcmp(text + 0x5c, "\x64\0\0\0\0\0\0\0", 8) == 0);
	check(memcmp(text + 0x66, "\x90\x90", 2) == 0);
	check_int(text[0x1b7], ==, 'b');
	check_int(text[0x1b8], ==, 'd');
	check_int(text[0x1ff], ==, 'd');
	check(memcmp(text + 100 * 512 + 0x1f4, "\x65\0\0\0\0\0\0\0\3\0", 10) == 0);
	check_int(text[103 * 512 + 99], ==, 'c');
	check_int(text[103 * 512 + 100], ==, 0);
	check_int(pi_install_bios(disk, loader, 100, 3, &err), ==, -ENOSPC);
	check_int(pi_install_bios(disk, test_tmpdir(), 100, 64, &err), ==, -ENOENT);
}

TEST(loader_is_written_once)
{
	cleanup_free char *root = fresh_root("esp"), *loader = NULL, *efi = NULL, *env = NULL;
	cleanup_free char *path = str_printf("%s/EFI/BOOT/BOOTX64.EFI", root);
	cleanup_error struct error err = ERROR_INIT;
	struct stat before, after;

	loader_dir(&loader);
	check_ok(pi_install_loader(root, loader, &err), &err);
	require(stat(path, &before) == 0);
	check_ok(pi_install_loader(root, loader, &err), &err);
	require(stat(path, &after) == 0);
	check_int(before.st_ino, ==, after.st_ino);
	efi = get(root, "EFI/BOOT/BOOTX64.EFI");
	check_str(efi, "efi");
	env = get(root, "boot/grub/grubenv");
	require(env);
	check_int(strlen(env), ==, PI_ENV_SIZE);
}

TEST(environment_survives_mutation)
{
	static const char seed[] = "# GRUB Environment Block\nactive=" A "\nprevious=" B
				   "\ntries=2\nargs=console=ttyS0 a\\\\b\ngen=12\n";
	static const char odd[] = "=\\\n#\0a_ 9";

	test_mutations(seed, sizeof(seed) - 1, odd, sizeof(odd) - 1, 6000, LLVMFuzzerTestOneInput);
}
