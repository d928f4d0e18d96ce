/* piadm(8): platform images on the boot partitions of a pool's disks. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/table.h"
#include "boot/boot_params.h"
#include "boot/medium.h"
#include "boot/method.h"
#include "boot/pi.h"
#include "boot/system_pool.h"
#include "os/run.h"
#include "store/disk.h"
#include "store/pool.h"

/* piadm's own exit statuses, as on SmartOS. */
enum { PIADM_OK = 0, PIADM_USER = 1, PIADM_FATAL = 2, PIADM_CORRUPT = 3 };

#define ESP_DIR "/run/atoll/esp"
#define LOCK "/run/atoll/piadm.lock"
#define CONF_PATH "/etc/piadm.conf"
#define MAX_ESPS 64
#define MAX_CHUNK (4u << 30)

static bool verbose;

static void __attribute__((format(printf, 1, 2)))
tell(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int
status_of(const struct error *err)
{
	cli_error(err);
	switch (err->code) {
	case EBADMSG:
		return PIADM_CORRUPT;
	case EINVAL:
	case ENOENT:
	case EBUSY:
	case EEXIST:
	case ENOSPC:
		return PIADM_USER;
	default:
		return PIADM_FATAL;
	}
}

/* --- the boot partitions of a pool */

struct esp {
	char *disk;   /* /dev/vda */
	char *device; /* /dev/vda2 */
	char *root;   /* where it is mounted, NULL while it is not */
};

struct esps {
	char *pool;
	struct esp e[MAX_ESPS];
	size_t n;
	int lock_fd;
};

static void
esps_done(struct esps *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->e[i].root)
			umount2(s->e[i].root, 0);
		free(s->e[i].disk);
		free(s->e[i].device);
		free(s->e[i].root);
	}
	free(s->pool);
	if (s->lock_fd > 0)
		close(s->lock_fd);
}

static char *
blkid_value(const char *device, const char *tag)
{
	cleanup_free char *out = NULL;
	int status;

	if (run_capture((const char *const[]){"blkid", "-p", "-s", tag, "-o", "value", device, NULL},
			&out, &status, NULL) < 0 ||
	    status != 0)
		return xstrdup("");
	str_trim(out);
	return steal_ptr(&out);
}

/* Disks of the pool that have the partitions of mkzpool -B. */
static int
esps_find(struct esps *s, struct error *err)
{
	cleanup_strv struct strv disks = STRV_INIT;
	int r = pool_disks(s->pool, &disks, err);

	for (size_t i = 0; r == 0 && i < disks.n && s->n < MAX_ESPS; i++) {
		cleanup_free char *device = disk_partition_path(disks.v[i], DISK_PART_ESP);
		cleanup_free char *type = blkid_value(device, "PART_ENTRY_TYPE");

		if (!str_eq(type, DISK_GPT_ESP)) {
			tell("%s has no boot partition", disks.v[i]);
			continue;
		}
		s->e[s->n++] = (struct esp){xstrdup(disks.v[i]), steal_ptr(&device), NULL};
	}
	return r;
}

static int
esp_mount(struct esp *e, struct error *err)
{
	cleanup_free char *root = str_printf(ESP_DIR "/%s", e->device + strlen("/dev/"));
	int r = file_mkdir_p(root, 0700, err);

	if (r < 0)
		return r;
	if (!is_mountpoint(root) && mount(e->device, root, "vfat", MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_NOATIME,
					  "umask=0077,errors=remount-ro") < 0)
		return error_set_errno(err, errno, "boot partition %s", e->device);
	e->root = steal_ptr(&root);
	return 0;
}

/* The one whose environment changed last is what the others should be. */
static const struct esp *
newest(const struct esps *s)
{
	const struct esp *best = NULL;
	uint64_t best_gen = 0;

	for (size_t i = 0; i < s->n; i++) {
		cleanup_conf struct conf *env = NULL;
		uint64_t gen;

		if (!s->e[i].root)
			continue;
		env = pi_env_read(s->e[i].root);
		gen = pi_env_gen(env);
		if (!best || gen > best_gen) {
			best = &s->e[i];
			best_gen = gen;
		}
	}
	return best;
}

static int
equalize(struct esps *s, struct error *err)
{
	const struct esp *from = newest(s);

	for (size_t i = 0; i < s->n; i++) {
		int r;

		if (!s->e[i].root || &s->e[i] == from)
			continue;
		r = pi_equalize(from->root, s->e[i].root, err);
		if (r < 0)
			return error_wrap(err, r, "%s", s->e[i].device);
	}
	return 0;
}

/* The pool that was named, or the system's, or the only one. */
static int
choose_pool(const char *name, char **ret, struct error *err)
{
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	int r;

	if (name) {
		r = pool_exists(name, err);
		if (r == 0)
			return error_set(err, ENOENT, "there is no pool %s", name);
		if (r > 0)
			*ret = xstrdup(name);
		return r < 0 ? r : 0;
	}
	if (pool_system(ret, NULL) == 0)
		return 0;
	r = pool_list(&pools, err);
	if (r < 0)
		return r;
	if (pools.n != 1)
		return error_set(err, ENOENT, pools.n ? "there are several pools: name one"
						      : "there is no pool");
	*ret = xstrdup(pools.pools[0].name);
	return 0;
}

/* Locks, finds, mounts, and makes all alike.  An unformatted one is left unmounted. */
static int
esps_open(struct esps *s, const char *pool, struct error *err)
{
	size_t mounted = 0;
	int r;

	*s = (struct esps){0};
	r = file_mkdir_p("/run/atoll", 0755, err);
	if (r == 0)
		r = file_lock(LOCK, true, &s->lock_fd, err);
	if (r == 0)
		r = choose_pool(pool, &s->pool, err);
	if (r == 0)
		r = esps_find(s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n; i++) {
		cleanup_free char *type = blkid_value(s->e[i].device, "TYPE");

		if (!str_eq(type, "vfat")) {
			tell("%s is not formatted", s->e[i].device);
			continue;
		}
		r = esp_mount(&s->e[i], err);
		if (r < 0) {
			/* A dying disk must not keep the others from being looked after. */
			cli_warn("%s", error_message(err));
			error_done(err);
			continue;
		}
		mounted++;
	}
	return mounted > 1 ? equalize(s, err) : 0;
}

static int
need_bootable(const struct esps *s, struct error *err)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->e[i].root)
			return 0;
	return error_set(err, ENOENT, "pool %s is not bootable: see piadm bootable -e", s->pool);
}

/* fn on every mounted boot partition, stopping at the first failure. */
#define each_esp(e, s)                                             \
	for (struct esp *e = (s)->e; e < (s)->e + (s)->n; e++)     \
		if (e->root)

/* --- loader and formatting */

static int
bios_partition(const char *disk, uint64_t *ret_lba, uint64_t *ret_sectors, struct error *err)
{
	cleanup_free char *part = disk_partition_path(disk, DISK_PART_BIOS);
	const char *name = strrchr(part, '/') + 1;
	cleanup_free char *start_path = str_printf("/sys/class/block/%s/start", name);
	cleanup_free char *size_path = str_printf("/sys/class/block/%s/size", name);
	cleanup_free char *start = NULL, *size = NULL, *type = blkid_value(part, "PART_ENTRY_TYPE");
	int r = file_read_line(start_path, &start, err);

	if (r == 0)
		r = file_read_line(size_path, &size, err);
	if (r < 0)
		return r;
	if (!str_eq(type, DISK_GPT_BIOS_BOOT) || str_to_u64(start, 10, ret_lba) < 0 ||
	    str_to_u64(size, 10, ret_sectors) < 0)
		return error_set(err, EINVAL, "%s is no BIOS boot partition", part);
	return 0;
}

static int
refresh_loader(struct esps *s, struct error *err)
{
	each_esp(e, s)
	{
		uint64_t lba, sectors;
		int r = pi_install_loader(e->root, PI_LOADER_DIR, err);

		if (r == 0)
			r = bios_partition(e->disk, &lba, &sectors, err);
		if (r == 0)
			r = pi_install_bios(e->disk, PI_LOADER_DIR, lba, sectors, err);
		if (r < 0)
			return error_wrap(err, r, "%s", e->disk);
	}
	return 0;
}

static int
format_all(struct esps *s, struct error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct esp *e = &s->e[i];
		int r;

		if (e->root)
			continue;
		tell("formatting %s", e->device);
		r = RUN(err, "mkfs.vfat", "-F", "32", "-n", "ATOLLBOOT", e->device);
		if (r == 0)
			r = esp_mount(e, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- sources of images */

struct source {
	char *dir;     /* where vmlinuz and boot_archive are */
	char *stamp;
	char *mounted; /* to be unmounted, or NULL */
	char *work;    /* to be removed, or NULL */
};

static void
source_done(struct source *s)
{
	if (s->mounted)
		umount2(s->mounted, 0);
	if (s->work && file_remove_tree(s->work, NULL) < 0)
		cli_warn("%s is left behind", s->work);
	free(s->dir);
	free(s->stamp);
	free(s->mounted);
	free(s->work);
}

static int
make_work(struct source *s, struct error *err)
{
	char path[] = "/var/tmp/piadm.XXXXXX";

	if (s->work)
		return 0;
	if (!mkdtemp(path))
		return error_set_errno(err, errno, "/var/tmp");
	s->work = xstrdup(path);
	return 0;
}

/* The stamp of the image in dir: its `stamp` file, platform-STAMP in it, or its own name. */
static char *
stamp_of_dir(const char *dir)
{
	cleanup_free char *path = str_printf("%s/stamp", dir);
	cleanup_free char *pattern = str_printf("%s/platform-*", dir);
	cleanup_free char *text = NULL;
	const char *base = strrchr(dir, '/') ? strrchr(dir, '/') + 1 : dir;
	char *found = NULL;
	glob_t g;

	if (file_read_line(path, &text, NULL) == 0 && pi_is_stamp(text))
		return steal_ptr(&text);
	if (glob(pattern, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc && !found; i++) {
			const char *s = strrchr(g.gl_pathv[i], '/') + strlen("/platform-");

			if (pi_is_stamp(s))
				found = xstrdup(s);
		}
		globfree(&g);
	}
	if (!found && str_after(base, "platform-") && pi_is_stamp(base + strlen("platform-")))
		found = xstrdup(base + strlen("platform-"));
	if (!found && pi_is_stamp(base))
		found = xstrdup(base);
	return found;
}

/* The directory at or below top that holds an image. */
static int
source_look(struct source *s, const char *top, struct error *err)
{
	static const char *const places[] = {"", "/boot", "/platform", "/platform-*"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cleanup_free char *pattern = str_printf("%s%s/boot_archive", top, places[i]);
		glob_t g;

		if (glob(pattern, 0, NULL, &g) != 0)
			continue;
		s->dir = xstrdup(g.gl_pathv[0]);
		*strrchr(s->dir, '/') = '\0';
		globfree(&g);
		s->stamp = stamp_of_dir(s->dir);
		return s->stamp ? 0 : error_set(err, EINVAL, "%s: the image there has no stamp", s->dir);
	}
	return error_set(err, EINVAL, "%s holds no platform image", top);
}

static int
source_iso(struct source *s, const char *path, struct error *err)
{
	cleanup_free char *dir = NULL;
	int r = make_work(s, err);

	if (r < 0)
		return r;
	dir = str_printf("%s/iso", s->work);
	r = file_mkdir_p(dir, 0700, err);
	if (r == 0)
		r = RUN(err, "mount", "-o", "loop,ro,nosuid,nodev", "-t", "iso9660", path, dir);
	if (r < 0)
		return r;
	s->mounted = steal_ptr(&dir);
	return source_look(s, s->mounted, err);
}

static int
source_tar(struct source *s, const char *path, struct error *err)
{
	cleanup_free char *dir = NULL;
	int r = make_work(s, err);

	if (r < 0)
		return r;
	dir = str_printf("%s/tar", s->work);
	r = file_mkdir_p(dir, 0700, err);
	if (r == 0)
		r = RUN(err, "tar", "-x", "--auto-compress", "--no-same-owner", "--no-same-permissions",
			"-f", path, "-C", dir);
	return r < 0 ? r : source_look(s, dir, err);
}

static int
source_file(struct source *s, const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return source_look(s, path, err);
	return str_ends(path, ".iso") ? source_iso(s, path, err) : source_tar(s, path, err);
}

static int
fetch(const char *url, const char *to, struct error *err)
{
	fprintf(stderr, "fetching %s\n", url);
	return RUN(err, "curl", "-fSL", "--no-progress-meter", "--proto", "=http,https", "--retry", "3",
		   "--connect-timeout", "20", "-o", to, "--", url);
}

static int
source_url(struct source *s, const char *url, struct error *err)
{
	const char *base = strrchr(url, '/') + 1;
	cleanup_free char *to = NULL;
	int r = make_work(s, err);

	if (r < 0)
		return r;
	to = str_printf("%s/%s", s->work, str_ends(base, ".iso")      ? "image.iso"
					  : str_ends(base, ".tar.zst") ? "image.tar.zst"
								       : "image.tgz");
	r = fetch(url, to, err);
	return r < 0 ? r : source_file(s, to, err);
}

/* Where images are published: the environment, /etc/piadm.conf, /usbkey/config. */
static int
url_prefix(char **ret, struct error *err)
{
	static const char *const files[] = {CONF_PATH, USBKEY_CONFIG};
	const char *v = getenv("PIADM_URL_PREFIX");

	if (getenv("PIADM_CONF")) {
		cleanup_conf struct conf *c = NULL;

		if (!v && conf_read_file(getenv("PIADM_CONF"), &c, NULL, NULL) == 0 &&
		    conf_get(c, "PIADM_URL_PREFIX")) {
			*ret = xstrdup(conf_get(c, "PIADM_URL_PREFIX"));
			return 0;
		}
	}
	for (size_t i = 0; !v && i < ARRAY_SIZE(files); i++) {
		cleanup_conf struct conf *c = NULL;
		cleanup_strv struct strv problems = STRV_INIT;

		if (conf_read_file(files[i], &c, &problems, NULL) == 0 && conf_get(c, "PIADM_URL_PREFIX")) {
			*ret = xstrdup(conf_get(c, "PIADM_URL_PREFIX"));
			return 0;
		}
	}
	if (str_empty(v))
		return error_set(err, ENOENT, "no source of images is known: PIADM_URL_PREFIX is neither in the "
					      "environment nor in " CONF_PATH);
	*ret = xstrdup(v);
	return 0;
}

/* PREFIX/index: a stamp a line.  Newest first. */
static int
published(struct strv *ret, char **ret_prefix, struct error *err)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *url = NULL, *out = NULL;
	int r = url_prefix(ret_prefix, err);

	if (r < 0)
		return r;
	url = str_printf("%s/index", *ret_prefix);
	r = RUN_OUTPUT(&out, err, "curl", "-fsSL", "--proto", "=http,https", "--connect-timeout", "20",
		       "--max-filesize", "1048576", "--", url);
	if (r < 0)
		return r;
	strv_words(&lines, out, "\r\n");
	strv_sort(&lines);
	for (size_t i = lines.n; i-- > 0;)
		if (pi_is_stamp(lines.v[i]))
			strv_add(ret, lines.v[i]);
	return 0;
}

static int
source_published(struct source *s, const char *stamp, struct error *err)
{
	cleanup_strv struct strv stamps = STRV_INIT;
	cleanup_free char *prefix = NULL, *url = NULL;
	int r = published(&stamps, &prefix, err);

	if (r < 0)
		return r;
	if (str_eq(stamp, "latest") && stamps.n == 0)
		return error_set(err, ENOENT, "%s publishes no image", prefix);
	if (str_eq(stamp, "latest"))
		stamp = stamps.v[0];
	else if (!strv_has(&stamps, stamp))
		return error_set(err, ENOENT, "%s has no image %s", prefix, stamp);
	url = str_printf("%s/platform-%s.tar.zst", prefix, stamp);
	r = source_url(s, url, err);
	if (r == 0 && !str_eq(s->stamp, stamp))
		return error_set(err, EBADMSG, "%s holds image %s", url, s->stamp);
	return r;
}

static int
source_open(struct source *s, const char *what, struct error *err)
{
	int r;

	*s = (struct source){0};
	if (str_eq(what, "media")) {
		r = medium_mount(err);
		if (r < 0)
			return r;
		s->mounted = xstrdup(MEDIUM_DIR);
		return source_look(s, MEDIUM_DIR, err);
	}
	if (str_eq(what, "latest") || pi_is_stamp(what))
		return source_published(s, what, err);
	if (strstr(what, "://"))
		return source_url(s, what, err);
	return source_file(s, what, err);
}

/* --- verbs */

/* Options of ours before operands: -v anywhere. */
static int
parse(int argc, char **argv, const struct cli_opt *opts, int min, int max, int *ret_first)
{
	cleanup_error struct error err = ERROR_INIT;
	bool help = false;

	if (cli_parse(argc, argv, opts, ret_first, &help, &err) < 0) {
		cli_error(&err);
		return PIADM_USER;
	}
	if (help || argc - *ret_first < min || argc - *ret_first > max)
		return PIADM_USER;
	return PIADM_OK;
}

static const struct cli_verb verbs[];
static const struct cli_opt common_opts[] = {
	{'v', "verbose", CLI_FLAG, &verbose, NULL, "say what is done"},
	{0},
};

static int
usage(const char *verb)
{
	cli_usage_verb(verbs, verb);
	return PIADM_USER;
}

/* Kernel parameters that describe this machine's consoles go along to the next boot. */
static char *
console_args(void)
{
	cleanup_free char *text = NULL;
	cleanup_strv struct strv words = STRV_INIT, keep = STRV_INIT;

	if (file_read("/proc/cmdline", 64 * 1024, &text, NULL, NULL) < 0)
		return NULL;
	strv_words(&words, text, " \n");
	for (size_t i = 0; i < words.n; i++)
		if (str_after(words.v[i], "console=") || str_after(words.v[i], "earlyprintk=") ||
		    str_after(words.v[i], "mitigations="))
			strv_add(&keep, words.v[i]);
	return strv_join(&keep, " ");
}

/* Copies to every disk, after looking whether there is room. */
static int
install_everywhere(struct esps *s, const struct source *src, struct error *err)
{
	static const char *const names[] = {"vmlinuz", "boot_archive", "microcode.img"};
	uint64_t need = 1 << 20;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *path = str_printf("%s/%s", src->dir, names[i]);
		struct stat st;

		if (stat(path, &st) == 0)
			need += (uint64_t)st.st_size;
	}
	each_esp(e, s)
	{
		struct statvfs v;
		char want[16], have[16];
		int r = pi_clean(e->root, err);

		if (r < 0)
			return r;
		if (statvfs(e->root, &v) < 0)
			return error_set_errno(err, errno, "%s", e->device);
		if (!pi_has(e->root, src->stamp) && need > (uint64_t)v.f_bavail * v.f_frsize)
			return error_set(err, ENOSPC, "%s has %s free, the image needs %s: remove one with "
						      "piadm remove", e->device,
					 str_human_size((uint64_t)v.f_bavail * v.f_frsize, have),
					 str_human_size(need, want));
	}
	each_esp(e, s)
	{
		int r;

		tell("copying %s to %s", src->stamp, e->device);
		r = pi_install(e->root, src->dir, src->stamp, err);
		if (r < 0)
			return error_wrap(err, r, "%s", e->device);
	}
	return 0;
}

static int
activate_everywhere(struct esps *s, const char *stamp, struct error *err)
{
	cleanup_free char *args = console_args();

	each_esp(e, s)
	{
		int r = pi_verify(e->root, stamp, err);

		if (r < 0)
			return error_wrap(err, r, "%s", e->device);
	}
	each_esp(e, s)
	{
		int r = pi_activate(e->root, stamp, args, err);

		if (r < 0)
			return error_wrap(err, r, "%s", e->device);
	}
	return 0;
}

static int
verb_avail(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv stamps = STRV_INIT;
	cleanup_free char *prefix = NULL;
	int first;

	if (parse(argc, argv, common_opts, 0, 0, &first))
		return usage("avail");
	if (published(&stamps, &prefix, &err) < 0)
		return status_of(&err);
	for (size_t i = 0; i < stamps.n; i++)
		puts(stamps.v[i]);
	return PIADM_OK;
}

static const struct table_col list_cols[] = {
	{"stamp", "PI STAMP", 18},
	{"filesystem", "BOOTABLE FILESYSTEM", 0},
	{"image", "BOOT IMAGE", 0},
	{"now", "NOW", 5},
	{"next", "NEXT", 5},
};

static int
verb_list(int argc, char **argv)
{
	bool no_header = false, parsable = false, json = false;
	const struct cli_opt opts[] = {
		{'v', "verbose", CLI_FLAG, &verbose, NULL, "say what is done"},
		{'H', NULL, CLI_FLAG, &no_header, NULL, "no header"},
		{'p', NULL, CLI_FLAG, &parsable, NULL, "':'-separated"},
		{'j', NULL, CLI_FLAG, &json, NULL, "JSON"},
		{0},
	};
	cleanup_table struct table *t = table_new(list_cols, ARRAY_SIZE(list_cols));
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	int first;

	if (parse(argc, argv, opts, 0, 1, &first))
		return usage("list");
	if (esps_open(&s, argv[first], &err) < 0 || need_bootable(&s, &err) < 0)
		return status_of(&err);
	{
		const struct esp *e = newest(&s);
		cleanup_conf struct conf *env = pi_env_read(e->root);
		cleanup_strv struct strv stamps = STRV_INIT;

		if (pi_list(e->root, &stamps, &err) < 0)
			return status_of(&err);
		for (size_t i = 0; i < stamps.n; i++) {
			const char *v = stamps.v[i];
			bool active = str_eq(conf_get(env, "active"), v);

			table_row(t);
			table_set(t, "stamp", v);
			table_setf(t, "filesystem", "%s/boot", s.pool);
			table_set(t, "image", active				    ? "active"
					      : str_eq(conf_get(env, "failed"), v)   ? "failed"
					      : str_eq(conf_get(env, "previous"), v) ? "previous"
										     : "available");
			table_set(t, "now", str_eq(platform_stamp(), v) ? "yes" : "no");
			table_set(t, "next", active ? "yes" : "no");
		}
	}
	if (no_header || parsable)
		table_no_header(t);
	table_print(t, stdout, json ? TABLE_JSON : parsable ? TABLE_PARSABLE : TABLE_HUMAN);
	return PIADM_OK;
}

static int
verb_install(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	CLEANUP(source_done) struct source src = {0};
	int first;

	if (parse(argc, argv, common_opts, 1, 2, &first))
		return usage("install");
	if (esps_open(&s, argc - first > 1 ? argv[first + 1] : NULL, &err) < 0 ||
	    need_bootable(&s, &err) < 0 || source_open(&src, argv[first], &err) < 0 ||
	    install_everywhere(&s, &src, &err) < 0)
		return status_of(&err);
	printf("Platform image %s is installed.\n", src.stamp);
	return PIADM_OK;
}

static int
verb_activate(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	int first;

	if (parse(argc, argv, common_opts, 1, 2, &first))
		return usage("activate");
	if (esps_open(&s, argc - first > 1 ? argv[first + 1] : NULL, &err) < 0 ||
	    need_bootable(&s, &err) < 0 || refresh_loader(&s, &err) < 0 ||
	    activate_everywhere(&s, argv[first], &err) < 0)
		return status_of(&err);
	printf("Platform image %s boots next.\n", argv[first]);
	return PIADM_OK;
}

static int
verb_remove(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	const char *stamp;
	int first;

	if (parse(argc, argv, common_opts, 1, 2, &first))
		return usage("remove");
	stamp = argv[first];
	if (esps_open(&s, argc - first > 1 ? argv[first + 1] : NULL, &err) < 0 ||
	    need_bootable(&s, &err) < 0)
		return status_of(&err);
	each_esp(e, &s)
		if (pi_remove(e->root, stamp, &err) < 0)
			return status_of(&err);
	printf("Platform image %s is removed.\n", stamp);
	return PIADM_OK;
}

/* --- bootable */

static int
show_bootable(const struct esps *s)
{
	for (size_t i = 0; i < s->n; i++)
		printf("%-20s ==> %s: %s\n", s->pool, s->e[i].disk,
		       s->e[i].root ? "BIOS and UEFI" : "not bootable");
	if (s->n == 0)
		printf("%-20s ==> not bootable: its disks have no boot partition (mkzpool -B)\n", s->pool);
	return PIADM_OK;
}

/* Takes the loader away: neither firmware finds anything to start. */
static int
disable(struct esps *s, struct error *err)
{
	char zero[440] = {0};

	for (size_t i = 0; i < s->n; i++) {
		struct esp *e = &s->e[i];
		cleanup_close int fd = open(e->disk, O_RDWR | O_CLOEXEC);
		int r;

		if (e->root) {
			umount2(e->root, 0);
			free(steal_ptr(&e->root));
		}
		if (fd < 0 || pwrite(fd, zero, sizeof(zero), 0) != (ssize_t)sizeof(zero) || fsync(fd) < 0)
			return error_set_errno(err, errno, "%s", e->disk);
		r = RUN(err, "wipefs", "-q", "-a", e->device);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
enable(struct esps *s, const char *from, struct error *err)
{
	CLEANUP(source_done) struct source src = {0};
	int r;

	if (s->n == 0)
		return error_set(err, EINVAL, "the disks of pool %s have no boot partition: a bootable pool is "
					      "made by mkzpool -B", s->pool);
	r = format_all(s, err);
	if (r == 0)
		r = refresh_loader(s, err);
	if (r == 0 && from)
		r = source_open(&src, from, err);
	if (r == 0 && from)
		r = install_everywhere(s, &src, err);
	if (r == 0 && from)
		r = activate_everywhere(s, src.stamp, err);
	return r;
}

static int
verb_bootable(int argc, char **argv)
{
	bool off = false, on = false, refresh = false;
	const char *from = NULL;
	const struct cli_opt opts[] = {
		{'v', "verbose", CLI_FLAG, &verbose, NULL, "say what is done"},
		{'d', NULL, CLI_FLAG, &off, NULL, "make it not bootable"},
		{'e', NULL, CLI_FLAG, &on, NULL, "make it bootable"},
		{'i', NULL, CLI_STR, &from, "SOURCE", "with -e: install and activate this image"},
		{'r', NULL, CLI_FLAG, &refresh, NULL, "write the boot loader again, on disks that came anew, too"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	int first, r = 0;

	if (parse(argc, argv, opts, 0, 1, &first) || off + on + refresh > 1 || (from && !on))
		return usage("bootable");
	if (esps_open(&s, argv[first], &err) < 0)
		return status_of(&err);
	if (off)
		r = disable(&s, &err);
	else if (on)
		r = enable(&s, from, &err);
	else if (refresh)
		r = need_bootable(&s, &err) < 0	 ? -1
		    : format_all(&s, &err) < 0	 ? -1
		    : equalize(&s, &err) < 0	 ? -1
						 : refresh_loader(&s, &err);
	if (r < 0)
		return status_of(&err);
	return show_bootable(&s);
}

static int
verb_update(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	CLEANUP(source_done) struct source src = {0};
	int first;

	if (parse(argc, argv, common_opts, 0, 1, &first))
		return usage("update");
	if (esps_open(&s, argv[first], &err) < 0 || need_bootable(&s, &err) < 0 ||
	    source_open(&src, "latest", &err) < 0 || install_everywhere(&s, &src, &err) < 0 ||
	    refresh_loader(&s, &err) < 0 || activate_everywhere(&s, src.stamp, &err) < 0)
		return status_of(&err);
	printf("Platform image %s boots next.\n", src.stamp);
	return PIADM_OK;
}

/* svc:/system/boot-success: the image that runs is a good one. */
static int
verb_booted(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	CLEANUP(esps_done) struct esps s = {0};
	cleanup_free char *system = NULL, *line = NULL;
	cleanup_map struct map *params = NULL;

	/* For whoever reads the kernel's log: that much later than its first line. */
	line = str_printf("<6>piadm: platform image %s reached multi-user\n", platform_stamp());
	if (file_write("/dev/kmsg", line, &err) < 0)
		cli_warn("%s", error_message(&err));
	/* Only the loader on the pool's own disks counts. */
	if (boot_params_read(&params, &err) < 0)
		return status_of(&err);
	if (!str_eq(boot_param(params, "boot"), "disk") ||
	    file_read_line(SYSTEM_POOL_FILE, &system, NULL) < 0)
		return PIADM_OK;
	/* GRUB counted on the disk it was read from: every disk is asked before they are made alike. */
	s = (struct esps){.pool = xstrdup(system)};
	if (file_lock(LOCK, true, &s.lock_fd, &err) < 0 || esps_find(&s, &err) < 0)
		return status_of(&err);
	for (size_t i = 0; i < s.n; i++) {
		cleanup_free char *type = blkid_value(s.e[i].device, "TYPE");
		cleanup_free char *failed = NULL;
		int r = str_eq(type, "vfat") ? esp_mount(&s.e[i], &err) : 0;

		if (r == 0 && s.e[i].root)
			r = pi_booted(s.e[i].root, platform_stamp(), &failed, &err);
		if (r < 0) {
			cli_warn("%s", error_message(&err));
			error_done(&err);
		}
		if (r > 0)
			cli_warn("image %s did not come up in %d tries; this is %s again", failed, PI_TRIES,
				 platform_stamp());
	}
	if (newest(&s) && equalize(&s, &err) < 0)
		return status_of(&err);
	return PIADM_OK;
}

static const struct cli_verb verbs[] = {
	{"activate|assign", "[-v] STAMP [POOL]", "boot this image from now on", verb_activate},
	{"avail", "[-v]", "images that are published", verb_avail},
	{"bootable", "[-v] [-d | -e [-i SOURCE] | -r] [POOL]", "is the pool bootable; make it so",
	 verb_bootable},
	{"install", "[-v] STAMP|latest|media|ISO|TAR|URL [POOL]", "add an image", verb_install},
	{"list", "[-vHpj] [POOL]", "images on the pool's disks", verb_list},
	{"remove|destroy", "[-v] STAMP [POOL]", "remove an image", verb_remove},
	{"update", "[-v] [POOL]", "install and activate the latest image", verb_update},
	{"booted", "", NULL, verb_booted},
	{0},
};

int
main(int argc, char **argv)
{
	int status;

	/* -v before the verb, as on SmartOS. */
	if (argc > 1 && str_eq(argv[1], "-v")) {
		verbose = true;
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	status = cli_main(argc, argv, verbs);
	return status == CLI_USAGE && argc < 2 ? PIADM_USER : status;
}
