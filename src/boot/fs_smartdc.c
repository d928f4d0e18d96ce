/*
 * Start and stop method of svc:/system/filesystem/smartdc: the node's pools.
 *
 * At the start every pool that can be seen is imported (`zpools=` names fewer),
 * the system pool's file systems are mounted, and a factory reset that was
 * asked for is carried out.  Disks that come late are waited for by their
 * events: as long as a pool that `zpools=` names is missing, or while there is
 * no disk at all.  A node without a system pool is no failure: the installer
 * comes next.
 *
 * The stop method runs at shutdown after zones and every other service that
 * uses the pools: it unmounts and exports them.  The log it writes to is on the
 * system pool, which therefore may stay busy; init runs "final" when nothing is
 * left alive, and that exports it.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/map.h"
#include "base/str.h"
#include "boot/boot_params.h"
#include "boot/hostid.h"
#include "boot/method.h"
#include "boot/system_pool.h"
#include "os/run.h"
#include "store/disk.h"
#include "store/pool.h"
#include "store/zfs.h"

#define WAIT_NAMED_S 120 /* for pools the operator named */
#define WAIT_DISKS_S 30	 /* for a first disk */
#define REPORT_S 10

/* --- waiting for what shows up by itself */

/* device_wait_for() in pieces, with a word on the console between them. */
static int
wait_for(int (*ready)(void *), void *arg, int seconds, const char *what)
{
	uint64_t end = time_mono_ms() + (uint64_t)seconds * 1000;

	for (;;) {
		cleanup_error struct error err = ERROR_INIT;
		uint64_t now = time_mono_ms();
		int left = now < end ? (int)(end - now) : 0;
		int r = device_wait_for(ready, arg, left < REPORT_S * 1000 ? left : REPORT_S * 1000,
					what, &err);

		if (r != -ETIMEDOUT)
			return r;
		if (time_mono_ms() >= end)
			return -ETIMEDOUT;
		method_say("waiting for %s (%d s more at most)", what,
			   (int)((end - time_mono_ms()) / 1000));
	}
}

static int
disks_ready(void *arg)
{
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;

	return disk_list(&l, NULL) < 0 ? 0 : l.n > 0;
}

static bool
is_imported(const char *name)
{
	return pool_exists(name, NULL) > 0;
}

/* Imports those of the wanted pools that are there; 1 when all are. */
static int
named_ready(void *arg)
{
	const struct strv *wanted = arg;
	bool all = true;

	for (size_t i = 0; i < wanted->n; i++)
		if (!is_imported(wanted->v[i]) &&
		    pool_import(wanted->v[i], NULL, POOL_FORCE, NULL) < 0)
			all = false;
	return all;
}

/* --- importing */

static int
import_pools(const struct map *params, struct error *err)
{
	const char *names = boot_param(params, "zpools");
	cleanup_strv struct strv wanted = STRV_INIT;
	int r;

	if (wait_for(disks_ready, NULL, WAIT_DISKS_S, "a disk") < 0)
		method_say("this machine shows no disk");
	if (str_empty(names)) {
		method_begin("importing pools");
		r = pool_import_all(NULL, POOL_FORCE, NULL, err);
		method_end();
		if (r < 0) {
			/* The others are in; a broken second pool must not stop the node. */
			method_say("a pool was left out: %s", error_message(err));
			error_done(err);
		}
		return 0;
	}
	strv_words(&wanted, names, ",");
	for (size_t i = 0; i < wanted.n; i++)
		if (!pool_name_ok(wanted.v[i]))
			return error_set(err, EINVAL, "zpools=%s: \"%s\" is no pool's name", names,
					 wanted.v[i]);
	if (wait_for(named_ready, &wanted, WAIT_NAMED_S, "the pools named in zpools=") > 0)
		return 0;
	for (size_t i = 0; i < wanted.n; i++)
		if (!is_imported(wanted.v[i]))
			method_say("pool %s is not there", wanted.v[i]);
	return 0;
}

/* destroy_zpools=yes: the operator gives up what the disks hold. */
static int
destroy_pools(struct error *err)
{
	struct pool_found_list found = {0};
	int r = pool_search(&found, err);

	for (size_t i = 0; r == 0 && i < found.n; i++) {
		const struct pool_found *f = &found.found[i];

		method_say("destroy_zpools=yes: destroying pool %s (%s)", f->name, f->guid);
		r = pool_import(f->guid, "/run/atoll/doomed", POOL_FORCE | POOL_NO_MOUNT, err);
		if (r == 0)
			r = pool_destroy(f->name, true, err);
	}
	pool_found_list_done(&found);
	return r;
}

/* By its marker; a SmartOS pool from before that had it is told by its name. */
static int
find_system_pool(char **ret, struct error *err)
{
	int r = pool_system(ret, err);

	if (r != -ENOENT)
		return r;
	r = zfs_exists("zones/usbkey", NULL);
	if (r <= 0)
		return -ENOENT;
	*ret = xstrdup("zones");
	return 0;
}

/* 1 if the pool was to be wiped, and is. */
static int
factory_reset(const char *pool, struct error *err)
{
	cleanup_free char *var = str_printf("%s/var", pool);
	cleanup_free char *asked = NULL;
	int r = zfs_get(var, "smartdc:factoryreset", &asked, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || !str_eq(asked, "yes"))
		return r;
	method_say("factory reset: destroying pool %s", pool);
	r = pool_destroy(pool, true, err);
	return r < 0 ? r : 1;
}

/* Before the module is loaded: it reads the file once. */
static void
set_hostid(void)
{
	cleanup_error struct error err = ERROR_INIT;
	uint32_t id;

	if (hostid_of_system(&id, &err) < 0 || hostid_write("/etc/hostid", id, &err) < 0)
		method_say("no hostid: %s", error_message(&err));
	else
		method_log("hostid is %08x", id);
}

static int
start(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_map struct map *params = NULL;
	cleanup_free char *pool = NULL;
	int r;

	if (boot_params_read(&params, &err) < 0)
		return method_fail(&err, "boot parameters");
	set_hostid();
	if (METHOD_RUN("loading ZFS", 120, &err, "modprobe", "zfs") < 0)
		return method_fail(&err, "the ZFS module cannot be loaded");
	if (boot_param_true(params, "noimport")) {
		method_say("noimport=true: no pool is imported");
		return SMF_EXIT_OK;
	}
	if (str_eq(boot_param(params, "destroy_zpools"), "yes") && destroy_pools(&err) < 0)
		return method_fail(&err, "destroy_zpools");
	if (import_pools(params, &err) < 0)
		return method_fail(&err, "pools");
	r = find_system_pool(&pool, &err);
	if (r == -ENOENT) {
		method_say("no system pool: this node is not set up yet");
		return SMF_EXIT_OK;
	}
	if (r < 0)
		return method_fail(&err, "looking for the system pool");
	method_begin("factory reset");
	r = factory_reset(pool, &err);
	method_end();
	if (r < 0)
		return method_fail(&err, "factory reset");
	if (r > 0)
		return SMF_EXIT_OK;
	/* What services keep open on its /var would hinder the next installation from destroying it. */
	r = system_pool_configured(pool, &err);
	if (r < 0)
		return method_fail(&err, "the configuration on pool %s", pool);
	if (r == 0) {
		method_say("pool %s holds no configuration: this node is not set up yet", pool);
		return SMF_EXIT_OK;
	}
	method_begin("mounting the system pool");
	r = system_pool_mount(pool, &err);
	method_end();
	if (r < 0)
		return method_fail(&err, "system pool %s", pool);
	method_log("system pool is %s", pool);
	return SMF_EXIT_OK;
}

/* Tries them all; the last failure is returned. */
static int
export_all(bool force, struct error *err)
{
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	int r = pool_list(&pools, err), failed = r;

	for (size_t i = 0; r == 0 && i < pools.n; i++)
		if (pool_export(pools.pools[i].name, force, err) < 0)
			failed = -EBUSY;
	return failed;
}

static int
final(void)
{
	cleanup_error struct error err = ERROR_INIT;
	int r;

	if (!file_exists("/sys/module/zfs"))
		return SMF_EXIT_OK;
	method_begin("exporting pools");
	r = export_all(true, &err);
	method_end();
	if (r < 0)
		return method_fail(&err, "a pool stays imported");
	return SMF_EXIT_OK;
}

static int
stop(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *system = NULL;
	int status = SMF_EXIT_OK, r;

	if (!file_exists("/sys/module/zfs"))
		return SMF_EXIT_OK;
	/* Our own log is on it. */
	if (chdir("/") < 0 || !freopen("/dev/null", "a", stdout) || !freopen("/dev/null", "a", stderr))
		return SMF_EXIT_ERR;
	if (file_read_line(SYSTEM_POOL_FILE, &system, NULL) == 0 &&
	    system_pool_unmount(system, &err) < 0)
		method_say("%s", error_message(&err));
	method_begin("exporting pools");
	r = export_all(false, &err);
	method_end();
	if (r < 0)
		method_log("%s", error_message(&err));
	if (unlink(SYSTEM_POOL_FILE) < 0 && errno != ENOENT)
		status = SMF_EXIT_ERR;
	return status;
}

int
main(int argc, char **argv)
{
	method_init("filesystem/smartdc");
	if (argc == 2 && str_eq(argv[1], "stop"))
		return stop();
	if (argc == 2 && str_eq(argv[1], "final"))
		return final();
	return start();
}
