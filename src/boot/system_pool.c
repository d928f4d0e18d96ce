/* See system_pool.h. */
#include "boot/system_pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "boot/seed.h"
#include "os/run.h"
#include "store/zfs.h"

static const struct {
	const char *dataset, *target;
	bool required;
	bool seed; /* the image has content there */
} system_mounts[] = {
	{"usbkey", USBKEY, true, false},
	{"var", "/var", true, true},
	{"config", "/etc/zones", false, false},
	{"opt", "/opt", false, true},
};

/*
 * The lines that services wrote to the RAM disk's /var before the pool's was
 * there are added to the node's own logs.
 */
static void
keep_early_logs(int old_var, const char *new_var)
{
	cleanup_free char *logs = str_printf("%s/svc/log", new_var);
	int fd = openat(old_var, "svc/log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d || file_mkdir_p(logs, 0755, NULL) < 0) {
		if (d)
			closedir(d);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		cleanup_free char *text = NULL, *to = str_printf("%s/%s", logs, e->d_name);
		cleanup_close int out = -1;
		size_t len;

		if (!str_ends(e->d_name, ".log") ||
		    file_read_at(dirfd(d), e->d_name, 1 << 20, &text, &len, NULL) < 0 || len == 0)
			continue;
		out = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (out >= 0 && fd_write_all(out, text, len) < 0)
			method_log("%s: early lines are lost", to);
	}
	closedir(d);
}

static int
mount_dataset(const char *name, const char *target, bool seed, struct error *err)
{
	cleanup_free char *staging = NULL;
	cleanup_close int old = -1;
	int r;

	if (is_mountpoint(target))
		return 0;
	r = file_mkdir_p(target, 0755, err);
	if (r < 0)
		return r;
	old = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (seed) {
		/* Filled aside, so that nobody meets it half. */
		staging = xstrdup("/run/atoll/seed");
		r = file_mkdir_p(staging, 0700, err);
		if (r < 0)
			return r;
		if (mount(name, staging, "zfs", MS_NOATIME, NULL) < 0)
			return error_set_errno(err, errno, "mount %s", name);
		if (str_eq(target, "/var") && old >= 0)
			keep_early_logs(old, staging);
		r = seed_tree(target, staging, err);
		if (r == 0 && mount(staging, target, NULL, MS_MOVE, NULL) < 0) {
			/* A shared parent cannot be moved from: mount it a second time. */
			if (umount2(staging, 0) < 0 || mount(name, target, "zfs", MS_NOATIME, NULL) < 0)
				r = error_set_errno(err, errno, "mount %s on %s", name, target);
		}
		if (r < 0)
			umount2(staging, MNT_DETACH);
		return r;
	}
	if (mount(name, target, "zfs", MS_NOATIME, NULL) < 0)
		return error_set_errno(err, errno, "mount %s on %s", name, target);
	return 0;
}

/* Swap has nothing to keep over a reboot: it is formatted anew when its header is not ours. */
static int
swap_on(const char *pool, struct error *err)
{
	cleanup_free char *name = str_printf("%s/swap", pool);
	cleanup_free char *path = zvol_path(name);
	int r = zfs_exists(name, err);

	if (r <= 0)
		return r;
	r = zvol_wait(name, 10000, err);
	if (r < 0)
		return r;
	if (swapon(path, 0) == 0 || errno == EBUSY)
		return 0;
	if (errno != EINVAL)
		return error_set_errno(err, errno, "swapon %s", path);
	r = RUN(err, "mkswap", "-q", path);
	if (r < 0)
		return r;
	if (swapon(path, 0) < 0)
		return error_set_errno(err, errno, "swapon %s", path);
	return 0;
}

static void
point_cores(const char *pool)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dir = str_printf("/%s/global/cores", pool);
	cleanup_free char *pattern = str_printf("%s/core.%%e.%%p\n", dir);

	if (is_mountpoint(dir) && file_write("/proc/sys/kernel/core_pattern", pattern, &err) < 0)
		method_log("core files: %s", error_message(&err));
}

/* /zones/currbooted and /zones/lastbooted, as on SmartOS. */
static void
note_image(const char *pool)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *curr = str_printf("/%s/currbooted", pool);
	cleanup_free char *last = str_printf("/%s/lastbooted", pool);
	cleanup_free char *was = NULL;
	cleanup_free char *line = str_printf("%s\n", platform_stamp());

	if (file_read_line(curr, &was, NULL) == 0) {
		if (str_eq(was, platform_stamp()))
			return;
		if (rename(curr, last) < 0)
			method_log("%s: %s", last, strerror(errno));
	}
	if (file_write_atomic(curr, line, strlen(line), 0644, &err) < 0)
		method_log("%s", error_message(&err));
}

int
system_pool_configured(const char *pool, struct error *err)
{
	cleanup_free char *name = str_printf("%s/usbkey", pool);
	int r = zfs_exists(name, err);

	if (r > 0)
		r = mount_dataset(name, USBKEY, false, err);
	else if (r == 0)
		return 0;
	if (r < 0 || file_exists(USBKEY_CONFIG))
		return r < 0 ? r : 1;
	return umount2(USBKEY, 0) < 0 ? error_set_errno(err, errno, "umount " USBKEY) : 0;
}

int
system_pool_mount(const char *pool, struct error *err)
{
	cleanup_error struct error soft = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(system_mounts); i++) {
		cleanup_free char *name = str_printf("%s/%s", pool, system_mounts[i].dataset);
		int r = zfs_exists(name, err);

		if (r == 0 && !system_mounts[i].required) {
			method_say("pool %s has no %s", pool, name);
			continue;
		}
		if (r == 0)
			r = error_set(err, ENOENT, "pool %s has no %s", pool, name);
		if (r > 0)
			r = mount_dataset(name, system_mounts[i].target, system_mounts[i].seed, err);
		if (r < 0)
			return r;
	}
	if (swap_on(pool, &soft) < 0)
		method_say("no swap: %s", error_message(&soft));
	point_cores(pool);
	note_image(pool);
	return file_write_atomic(SYSTEM_POOL_FILE, pool, strlen(pool), 0644, err);
}

int
system_pool_unmount(const char *pool, struct error *err)
{
	cleanup_free char *name = str_printf("%s/swap", pool);
	cleanup_free char *path = zvol_path(name);

	if (swapoff(path) < 0 && errno != EINVAL && errno != ENOENT)
		method_log("swapoff %s: %s", path, strerror(errno));
	for (size_t i = ARRAY_SIZE(system_mounts); i-- > 0;) {
		const char *t = system_mounts[i].target;

		while (is_mountpoint(t))
			if (umount2(t, 0) < 0 && umount2(t, MNT_DETACH) < 0)
				return error_set_errno(err, errno, "umount %s", t);
	}
	return 0;
}
