/* See pi.h. */
#include "boot/pi.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "boot/stage1_sha256.h"

#define ENV_HEADER "# GRUB Environment Block\n"
#define ENV_PATH "boot/grub/grubenv"
#define SECTOR 512

/* What an image is made of. */
static const struct {
	const char *name;
	bool required;
} parts[] = {
	{"vmlinuz", true},
	{"boot_archive", true},
	{"microcode.img", false},
};

bool
pi_is_stamp(const char *s)
{
	static const char form[] = "ddddddddTddddddZ";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	return true;
}

/* --- environment */

int
pi_env_parse(const char *text, size_t len, struct conf **ret, struct error *err)
{
	cleanup_conf struct conf *env = conf_new();
	const char *s = text + strlen(ENV_HEADER), *end = text + len;

	if (len != PI_ENV_SIZE || memcmp(text, ENV_HEADER, strlen(ENV_HEADER)) != 0)
		return error_set(err, EINVAL, "this is no GRUB environment block");
	while (s < end && *s != '#') {
		cleanup_strbuf struct strbuf value = STRBUF_INIT;
		cleanup_free char *key = NULL;
		const char *eq;

		eq = memchr(s, '=', (size_t)(end - s));
		if (!eq)
			return error_set(err, EINVAL, "GRUB environment: a line has no value");
		key = xstrndup(s, (size_t)(eq - s));
		for (s = eq + 1; s < end && *s != '\n'; s++) {
			if (*s == '\\' && s + 1 < end)
				s++;
			strbuf_addc(&value, *s);
		}
		if (s++ == end)
			return error_set(err, EINVAL, "GRUB environment: a line does not end");
		if (!conf_is_key(key) || (value.len && memchr(value.data, '\0', value.len)))
			return error_set(err, EINVAL, "GRUB environment: a name or value is broken");
		conf_set(env, key, value.len ? value.data : "");
	}
	*ret = steal_ptr(&env);
	return 0;
}

int
pi_env_print(const struct conf *env, char *ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	struct conf_iter it = {0};

	strbuf_adds(&b, ENV_HEADER);
	while (conf_next(env, &it)) {
		strbuf_addf(&b, "%s=", it.key);
		for (const char *s = it.value; *s; s++) {
			if (*s == '\\' || *s == '\n')
				strbuf_addc(&b, '\\');
			strbuf_addc(&b, *s);
		}
		strbuf_addc(&b, '\n');
	}
	if (b.len > PI_ENV_SIZE)
		return error_set(err, E2BIG, "the boot environment does not fit into %d bytes",
				 PI_ENV_SIZE);
	memcpy(ret, b.data, b.len);
	memset(ret + b.len, '#', PI_ENV_SIZE - b.len);
	return 0;
}

struct conf *
pi_env_read(const char *root)
{
	cleanup_free char *path = str_printf("%s/%s", root, ENV_PATH);
	cleanup_free char *text = NULL;
	struct conf *env = NULL;
	size_t len;

	if (file_read(path, 64 * 1024, &text, &len, NULL) < 0 ||
	    pi_env_parse(text, len, &env, NULL) < 0)
		env = conf_new();
	return env;
}

int
pi_env_write(const char *root, const struct conf *env, struct error *err)
{
	cleanup_free char *path = str_printf("%s/%s", root, ENV_PATH);
	cleanup_free char *dir = str_printf("%s/boot/grub", root);
	char text[PI_ENV_SIZE];
	int r = pi_env_print(env, text, err);

	if (r == 0)
		r = file_mkdir_p(dir, 0755, err);
	return r < 0 ? r : file_write_atomic(path, text, sizeof(text), 0644, err);
}

uint64_t
pi_env_gen(const struct conf *env)
{
	const char *text = conf_get(env, "gen");
	uint64_t gen = 0;

	if (text)
		str_to_u64(text, 10, &gen);
	return gen;
}

static void
bump(struct conf *env)
{
	cleanup_free char *text = str_printf("%llu", (unsigned long long)pi_env_gen(env) + 1);

	conf_set(env, "gen", text);
}

/* --- images */

static int
sync_dir(const char *path, struct error *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* The whole file system: FAT keeps names, tables and data apart. */
	if (fd < 0 || syncfs(fd) < 0)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

bool
pi_has(const char *root, const char *stamp)
{
	cleanup_free char *path = str_printf("%s/images/%s/files", root, stamp);

	return pi_is_stamp(stamp) && file_exists(path);
}

int
pi_list(const char *root, struct strv *ret, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/images", root);
	cleanup_strv struct strv found = STRV_INIT;
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", dir);
	while ((e = readdir(d)) != NULL)
		if (pi_has(root, e->d_name))
			strv_add(&found, e->d_name);
	closedir(d);
	strv_sort(&found);
	for (size_t i = found.n; i-- > 0;)
		strv_add(ret, found.v[i]);
	return 0;
}

/* One line of `files`: "SHA256 SIZE NAME". */
static int
describe_file(const char *path, const char *name, struct strbuf *out, struct error *err)
{
	cleanup_free char *full = str_printf("%s/%s", path, name);
	cleanup_close int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char hex[65];
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", full);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return error_set(err, EINVAL, "%s is empty or no file", full);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return error_set_errno(err, errno, "%s", full);
	sha256_hex(p, (size_t)st.st_size, hex);
	munmap(p, (size_t)st.st_size);
	strbuf_addf(out, "%s %lld %s\n", hex, (long long)st.st_size, name);
	return 0;
}

/* The list of what is in dir now. */
static int
describe(const char *dir, char **ret, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, parts[i].name);
		int r;

		if (!parts[i].required && !file_exists(path))
			continue;
		r = describe_file(dir, parts[i].name, &b, err);
		if (r < 0)
			return r;
	}
	*ret = strbuf_steal(&b);
	return 0;
}

/* Compares dir with a list; a list of fewer files than there are is no match. */
static int
check_files(const char *dir, const char *list, const char *what, struct error *err)
{
	cleanup_free char *now = NULL;
	int r = describe(dir, &now, err);

	if (r < 0)
		return r;
	return strcmp(now, list) == 0 ? 0
				      : error_set(err, EBADMSG, "%s is damaged: its files are not what "
						  "its list says", what);
}

/* A sha256sum(1) list beside the files, as published images have it, must agree with them. */
static int
check_sums(const char *source, const char *list, struct error *err)
{
	cleanup_free char *path = str_printf("%s/SHA256SUMS", source);
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL;
	int r;

	if (!file_exists(path))
		return 0;
	r = file_read(path, 1 << 16, &text, NULL, err);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *at = list;
		cleanup_free char *end = str_printf(" %s\n", parts[i].name);
		cleanup_free char *want = NULL;

		while (*at && !str_after(at + strcspn(at, " ") + 1 + strcspn(at + strcspn(at, " ") + 1, " "),
					 end))
			at += strcspn(at, "\n") + 1;
		if (!*at)
			continue;
		want = str_printf("%.64s  %s", at, parts[i].name);
		if (!strv_has(&lines, want))
			return error_set(err, EBADMSG, "%s: %s is damaged: its sha256 is not the one in SHA256SUMS",
					 source, parts[i].name);
	}
	return 0;
}

static int
copy_part(const char *from_dir, const char *to_dir, const char *name, struct error *err)
{
	cleanup_free char *from = str_printf("%s/%s", from_dir, name);
	cleanup_free char *to = str_printf("%s/%s", to_dir, name);
	cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_close int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	cleanup_free char *buf = xmalloc(1 << 20);
	ssize_t n;

	if (in < 0)
		return error_set_errno(err, errno, "%s", from);
	if (out < 0)
		return error_set_errno(err, errno, "%s", to);
	while ((n = fd_read_all(in, buf, 1 << 20)) > 0) {
		int r = fd_write_all(out, buf, (size_t)n);

		if (r < 0)
			return error_set_errno(err, -r, "%s", to);
	}
	if (n < 0)
		return error_set_errno(err, (int)-n, "%s", from);
	return fsync(out) < 0 ? error_set_errno(err, errno, "%s", to) : 0;
}

int
pi_verify(const char *root, const char *stamp, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/images/%s", root, stamp);
	cleanup_free char *path = str_printf("%s/files", dir);
	cleanup_free char *list = NULL;
	int r = pi_is_stamp(stamp) ? file_read(path, 1 << 16, &list, NULL, err)
				   : error_set(err, EINVAL, "\"%s\" is no stamp of an image", stamp);

	return r < 0 ? r : check_files(dir, list, stamp, err);
}

int
pi_clean(const char *root, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/images", root);
	cleanup_strv struct strv junk = STRV_INIT;
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", dir);
	while ((e = readdir(d)) != NULL)
		if (str_ends(e->d_name, ".new") || str_ends(e->d_name, ".old"))
			strv_addf(&junk, "%s/%s", dir, e->d_name);
	closedir(d);
	for (size_t i = 0; i < junk.n; i++) {
		int r = file_remove_tree(junk.v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int
pi_install(const char *root, const char *source, const char *stamp, struct error *err)
{
	cleanup_free char *final = str_printf("%s/images/%s", root, stamp);
	cleanup_free char *work = str_printf("%s/images/%s.new", root, stamp);
	cleanup_free char *files = str_printf("%s/files", work);
	cleanup_free char *source_files = str_printf("%s/files", source);
	cleanup_free char *list = NULL;
	int r;

	if (!pi_is_stamp(stamp))
		return error_set(err, EINVAL, "\"%s\" is no stamp of an image", stamp);
	if (pi_has(root, stamp))
		return 0;
	r = pi_clean(root, err);
	if (r == 0)
		r = file_exists(source_files) ? file_read(source_files, 1 << 16, &list, NULL, err)
					      : describe(source, &list, err);
	if (r == 0)
		r = check_sums(source, list, err);
	if (r == 0)
		r = file_remove_tree(final, err);
	if (r == 0)
		r = file_mkdir_p(work, 0755, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++) {
		cleanup_free char *path = str_printf("%s/%s", source, parts[i].name);

		if (parts[i].required || file_exists(path))
			r = copy_part(source, work, parts[i].name, err);
	}
	/* Compared with the source's own list: a copy gone wrong shows here. */
	if (r == 0)
		r = check_files(work, list, stamp, err);
	if (r == 0)
		r = file_write_atomic(files, list, strlen(list), 0644, err);
	if (r == 0)
		r = sync_dir(work, err);
	if (r == 0 && rename(work, final) < 0)
		r = error_set_errno(err, errno, "%s", final);
	if (r < 0) {
		file_remove_tree(work, NULL);
		return r;
	}
	return sync_dir(root, err);
}

int
pi_remove(const char *root, const char *stamp, struct error *err)
{
	cleanup_conf struct conf *env = pi_env_read(root);
	cleanup_free char *dir = str_printf("%s/images/%s", root, stamp);
	cleanup_free char *old = str_printf("%s.old", dir);
	int r;

	if (!pi_has(root, stamp))
		return error_set(err, ENOENT, "image %s is not installed", stamp);
	if (str_eq(conf_get(env, "active"), stamp))
		return error_set(err, EBUSY, "image %s is the active one", stamp);
	if (str_eq(conf_get(env, "previous"), stamp)) {
		conf_set(env, "previous", NULL);
		bump(env);
		r = pi_env_write(root, env, err);
		if (r < 0)
			return r;
	}
	if (rename(dir, old) < 0)
		return error_set_errno(err, errno, "%s", dir);
	r = file_remove_tree(old, err);
	return r < 0 ? r : sync_dir(root, err);
}

int
pi_activate(const char *root, const char *stamp, const char *args, struct error *err)
{
	cleanup_conf struct conf *env = pi_env_read(root);
	const char *active = conf_get(env, "active");
	int r;

	if (!pi_has(root, stamp))
		return error_set(err, ENOENT, "image %s is not installed", stamp);
	if (active && !str_eq(active, stamp) && pi_has(root, active))
		conf_set(env, "previous", active);
	if (str_eq(conf_get(env, "previous"), stamp))
		conf_set(env, "previous", NULL);
	conf_set(env, "active", stamp);
	conf_set(env, "tries", "0");
	if (str_eq(conf_get(env, "failed"), stamp))
		conf_set(env, "failed", NULL);
	if (args)
		conf_set(env, "args", args);
	bump(env);
	r = pi_env_write(root, env, err);
	return r < 0 ? r : sync_dir(root, err);
}

int
pi_booted(const char *root, const char *stamp, char **ret_failed, struct error *err)
{
	cleanup_conf struct conf *env = pi_env_read(root);
	const char *failed = conf_get(env, "failed");
	cleanup_free char *was = failed && *failed ? xstrdup(failed) : NULL;
	int r;

	/* Another image was chosen by hand: that says nothing about the active one. */
	if (!str_eq(conf_get(env, "active"), stamp) || str_eq(conf_get(env, "tries"), "0"))
		return 0;
	conf_set(env, "tries", "0");
	bump(env);
	r = pi_env_write(root, env, err);
	if (r < 0)
		return r;
	if (!was)
		return 0;
	*ret_failed = steal_ptr(&was);
	return 1;
}

int
pi_equalize(const char *from, const char *to, struct error *err)
{
	cleanup_conf struct conf *env = pi_env_read(from), *old = pi_env_read(to);
	cleanup_strv struct strv want = STRV_INIT, have = STRV_INIT;
	char a[PI_ENV_SIZE], b[PI_ENV_SIZE];
	int r = pi_clean(to, err);

	if (r == 0)
		r = pi_list(from, &want, err);
	if (r == 0)
		r = pi_list(to, &have, err);
	for (size_t i = 0; r == 0 && i < want.n; i++) {
		cleanup_free char *source = str_printf("%s/images/%s", from, want.v[i]);

		r = pi_install(to, source, want.v[i], err);
	}
	if (r < 0)
		return r;
	if (pi_env_print(env, a, NULL) == 0 && pi_env_print(old, b, NULL) == 0 &&
	    memcmp(a, b, sizeof(a)) != 0) {
		r = pi_env_write(to, env, err);
		if (r < 0)
			return r;
	}
	/* After the switch, so that nothing that may be booted goes first. */
	for (size_t i = 0; i < have.n; i++)
		if (!strv_has(&want, have.v[i])) {
			r = pi_remove(to, have.v[i], err);
			if (r < 0)
				return r;
		}
	return sync_dir(to, err);
}

/* --- boot loader */

static int
copy_if_other(const char *from, const char *root, const char *name, struct error *err)
{
	cleanup_free char *to = str_printf("%s/%s", root, name);
	cleanup_free char *want = NULL, *have = NULL;
	size_t n_want, n_have;
	int r = file_read(from, 16 << 20, &want, &n_want, err);

	if (r < 0)
		return r;
	if (file_read(to, 16 << 20, &have, &n_have, NULL) == 0 && n_have == n_want &&
	    memcmp(want, have, n_want) == 0)
		return 0;
	*strrchr(to, '/') = '\0';
	r = file_mkdir_p(to, 0755, err);
	to[strlen(to)] = '/';
	return r < 0 ? r : file_write_atomic(to, want, n_want, 0644, err);
}

int
pi_install_loader(const char *root, const char *loader_dir, struct error *err)
{
	cleanup_free char *efi = str_printf("%s/BOOTX64.EFI", loader_dir);
	cleanup_free char *menu = str_printf("%s/grub.cfg", loader_dir);
	cleanup_free char *env = str_printf("%s/%s", root, ENV_PATH);
	int r = copy_if_other(efi, root, "EFI/BOOT/BOOTX64.EFI", err);

	if (r == 0)
		r = copy_if_other(menu, root, "boot/grub/grub.cfg", err);
	if (r == 0 && !file_exists(env)) {
		cleanup_conf struct conf *empty = conf_new();

		r = pi_env_write(root, empty, err);
	}
	return r < 0 ? r : sync_dir(root, err);
}

/* Places in GRUB's boot.img and in the first sector of its core.img (GRUB manual, "Images"). */
enum {
	BOOT_BPB_START = 0x03,
	BOOT_BPB_END = 0x5a,
	BOOT_KERNEL_SECTOR = 0x5c,
	BOOT_DRIVE_CHECK = 0x66,
	BOOT_DISK_ID = 0x1b8, /* from here on the sector is the disk's own */
	CORE_LIST_START = 0x1f4,
	CORE_LIST_LEN = 0x1fc,
};

int
pi_install_bios(const char *disk, const char *loader_dir, uint64_t core_lba, uint64_t core_sectors,
		struct error *err)
{
	cleanup_free char *boot_path = str_printf("%s/boot.img", loader_dir);
	cleanup_free char *core_path = str_printf("%s/core.img", loader_dir);
	cleanup_free char *boot = NULL, *core = NULL;
	cleanup_close int fd = -1;
	char sector[SECTOR];
	size_t n_boot, n_core, padded;
	int r = file_read(boot_path, SECTOR, &boot, &n_boot, err);

	if (r == 0)
		r = file_read(core_path, 16 << 20, &core, &n_core, err);
	if (r < 0)
		return r;
	padded = (n_core + SECTOR - 1) / SECTOR * SECTOR;
	if (n_boot != SECTOR || n_core < 2 * SECTOR || padded / SECTOR - 1 > UINT16_MAX)
		return error_set(err, EINVAL, "%s holds no GRUB for BIOS", loader_dir);
	if (padded / SECTOR > core_sectors)
		return error_set(err, ENOSPC, "%s: GRUB does not fit into the BIOS boot partition", disk);
	core = xrealloc(core, padded);
	memset(core + n_core, 0, padded - n_core);
	put_le64(core + CORE_LIST_START, core_lba + 1);
	put_le16(core + CORE_LIST_LEN, padded / SECTOR - 1);
	fd = open(disk, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, sector, SECTOR, 0) != SECTOR)
		return error_set_errno(err, errno, "%s", disk);
	memcpy(boot + BOOT_BPB_START, sector + BOOT_BPB_START, BOOT_BPB_END - BOOT_BPB_START);
	memcpy(boot + BOOT_DISK_ID, sector + BOOT_DISK_ID, SECTOR - BOOT_DISK_ID);
	put_le64(boot + BOOT_KERNEL_SECTOR, core_lba);
	/* Some firmware passes a wrong drive number: this skips the check for floppies. */
	memset(boot + BOOT_DRIVE_CHECK, 0x90, 2);
	/* The core first: the old boot sector goes on working with it or fails like before. */
	if (pwrite(fd, core, padded, (off_t)(core_lba * SECTOR)) != (ssize_t)padded || fsync(fd) < 0 ||
	    (memcmp(boot, sector, SECTOR) != 0 && pwrite(fd, boot, SECTOR, 0) != SECTOR) ||
	    fsync(fd) < 0)
		return error_set_errno(err, errno, "%s", disk);
	return 0;
}
