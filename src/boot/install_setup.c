/*
 * Doing what the dialogue agreed on.  Order is what makes it safe to be cut
 * off: the configuration file is written last, and only a pool that has it
 * counts as set up.  Whatever a killed installation left is a pool without
 * configuration, which the next one destroys after its own "yes".
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/file.h"
#include "boot/install.h"
#include "boot/method.h"
#include "boot/shadow.h"
#include "boot/system_pool.h"
#include "os/run.h"
#include "store/pool.h"
#include "store/zfs.h"

#define MIB (1024ULL * 1024)
#define GIB (1024 * MIB)

static const struct {
	const char *name; /* below the pool */
	const char *props[4];
} datasets[] = {
	{"var", {"mountpoint=legacy", "setuid=off", "devices=off"}},
	{"config", {"mountpoint=legacy", "setuid=off", "devices=off"}},
	{"usbkey", {"mountpoint=legacy", "setuid=off", "devices=off"}},
	{"opt", {"mountpoint=legacy"}},
	{"cores", {"compression=gzip", "mountpoint=none"}},
	{"cores/global", {"quota=10g", "mountpoint=/" INSTALL_POOL "/global/cores"}},
	{"archive", {"compression=gzip", "mountpoint=/" INSTALL_POOL "/archive"}},
};

static uint64_t
clamp(uint64_t v, uint64_t low, uint64_t high)
{
	if (v > high)
		v = high;
	return v < low ? low : v;
}

void
install_volume_sizes(uint64_t memory, uint64_t avail, uint64_t *ret_dump, uint64_t *ret_swap)
{
	/* Swap as large as memory, a dump of half of it; but neither eats a small pool. */
	*ret_dump = clamp(memory / 2, GIB, 64 * GIB);
	*ret_dump = clamp(*ret_dump, 64 * MIB, avail / 16) / MIB * MIB;
	*ret_swap = clamp(memory, 64 * MIB, avail / 8) / MIB * MIB;
}

/* What an earlier, unfinished installation left. */
static int
destroy_old(install_say_fn *say, struct error *err)
{
	int r = pool_exists(INSTALL_POOL, err);

	if (r <= 0)
		return r;
	say("destroying the unfinished pool " INSTALL_POOL);
	r = system_pool_unmount(INSTALL_POOL, err);
	if (r == 0)
		r = pool_destroy(INSTALL_POOL, true, err);
	/* An attempt of this very boot: services write their logs to its /var by now. */
	return r == -EBUSY ? error_wrap(err, r, "restart the node and set it up from the beginning") : r;
}

static int
make_pool(const struct install *in, install_say_fn *say, struct error *err)
{
	int r;

	if (!in->layout) {
		/* Made by hand, in the shell. */
		r = pool_exists(INSTALL_POOL, err);
		return r ? (r < 0 ? r : 0)
			 : error_set(err, ENOENT, "there is no pool " INSTALL_POOL);
	}
	r = destroy_old(say, err);
	if (r < 0)
		return r;
	say("making pool " INSTALL_POOL);
	return pool_create(INSTALL_POOL, in->layout, NULL, POOL_BOOTABLE | POOL_CREATE_FORCE, NULL, err);
}

static int
make_datasets(install_say_fn *say, struct error *err)
{
	say("making datasets");
	for (size_t i = 0; i < ARRAY_SIZE(datasets); i++) {
		cleanup_free char *name = str_printf(INSTALL_POOL "/%s", datasets[i].name);
		int r = zfs_exists(name, err);

		if (r == 0)
			r = zfs_create(name, datasets[i].props, 0, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
make_volumes(install_say_fn *say, struct error *err)
{
	struct sysinfo si;
	uint64_t avail, dump, swap;
	int r = zfs_get_u64(INSTALL_POOL, "available", &avail, err);

	if (r < 0)
		return r;
	if (sysinfo(&si) < 0)
		return error_set_errno(err, errno, "sysinfo");
	install_volume_sizes((uint64_t)si.totalram * si.mem_unit, avail, &dump, &swap);
	say("making dump and swap volumes (%llu and %llu MiB)", (unsigned long long)(dump / MIB),
	    (unsigned long long)(swap / MIB));
	r = zvol_create(INSTALL_POOL "/dump", dump, 0, ZFS_PROPS("compression=lz4", "primarycache=metadata"),
			ZFS_SPARSE, err);
	if (r < 0)
		return r;
	return zvol_create(INSTALL_POOL "/swap", swap, (uint32_t)sysconf(_SC_PAGESIZE),
			   ZFS_PROPS("compression=zle", "primarycache=metadata", "logbias=throughput",
				     "sync=always"),
			   0, err);
}

static int
write_text(const char *path, const char *text, mode_t mode, struct error *err)
{
	return file_write_atomic(path, text, strlen(text), mode, err);
}

/* Everything of /usbkey but the configuration itself. */
static int
write_usbkey(const struct install *in, struct error *err)
{
	const char *hash = install_answer(in, "root_shadow");
	const char *keys = install_answer(in, "root_authorized_keys");
	cleanup_free char *image = NULL, *shadow = NULL;
	int r;

	if (!hash)
		hash = install_answer(in, "root_password");
	r = file_mkdir_p(USBKEY "/config.inc", 0755, err);
	if (r == 0)
		r = file_mkdir_p(USBKEY "/ssh", 0700, err);
	if (r == 0)
		r = file_read("/etc/shadow", 1 << 20, &image, NULL, err);
	if (r < 0)
		return r;
	shadow = shadow_merge(image, NULL, hash);
	r = write_text(USBKEY "/shadow", shadow, 0600, err);
	if (r < 0)
		return r;
	return write_text(USBKEY "/config.inc/authorized_keys", keys ? keys : "", 0600, err);
}

/* Takes the platform image onto the pool's disks; the node is set up without it, too. */
static void
make_bootable(const struct install *in, install_say_fn *say)
{
	cleanup_error struct error err = ERROR_INIT;
	const char *source = install_answer(in, "bootpool");

	if (!in->layout || !source)
		return;
	say("making the pool's disks bootable");
	if (METHOD_RUN("piadm bootable", 600, &err, "/usr/sbin/piadm", "bootable", "-e", INSTALL_POOL) < 0) {
		say("the pool's disks are not bootable: %s", error_message(&err));
		return;
	}
	if (str_eq(source, "no"))
		return;
	say("installing the platform image (%s)", source);
	if (METHOD_RUN("piadm bootable", 3600, &err, "/usr/sbin/piadm", "bootable", "-e", "-i", source,
		       INSTALL_POOL) < 0)
		say("no platform image on the pool's disks: %s", error_message(&err));
}

int
install_setup(const struct install *in, install_say_fn *say, struct error *err)
{
	cleanup_conf struct conf *config = install_config(in);
	int r;

	method_begin("setting the node up");
	r = make_pool(in, say, err);
	if (r == 0)
		r = make_datasets(say, err);
	if (r == 0)
		r = make_volumes(say, err);
	if (r == 0)
		r = system_pool_mount(INSTALL_POOL, err);
	if (r == 0)
		r = write_usbkey(in, err);
	method_end();
	if (r < 0)
		return r;
	make_bootable(in, say);
	say("writing the node's configuration");
	r = pool_mark_system(INSTALL_POOL, err);
	return r < 0 ? r : conf_write_file(USBKEY_CONFIG, config, 0600, err);
}
