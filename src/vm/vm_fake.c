/* vm_ops for tests. */
#include "vm/vm_fake.h"

#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "vm/vm_job.h"
#include "zone/model.h"

static char *top;
static int calls, fail_at;

void
vm_fake_init(const char *dir)
{
	static const char *const dirs[] = {"etc/zones", "run", "var", "zones", "ds/zones"};

	top = xstrdup(dir);
	zone_set_root(top);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		cleanup_free char *path = str_printf("%s/%s", top, dirs[i]);

		if (file_mkdir_p(path, 0755, NULL) < 0)
			abort();
	}
	vm_ops = &vm_ops_fake;
}

void
vm_fake_fail_at(int n)
{
	calls = 0;
	fail_at = n;
}

int
vm_fake_calls(void)
{
	return calls;
}

static int
change(struct error *err, const char *what)
{
	if (++calls == fail_at)
		return error_set(err, EIO, "%s: failed as the test asked", what);
	return 0;
}

static char *
ds_path(const char *name, const char *file)
{
	return str_printf("%s/ds/%s%s%s", top, name, file ? "/" : "", file ? file : "");
}

static char *
prop_path(const char *name, const char *prop)
{
	cleanup_free char *file = str_printf("#%s", prop);
	char *path = ds_path(name, file);

	return path;
}

char *
vm_fake_prop(const char *dataset, const char *prop)
{
	cleanup_free char *path = prop_path(dataset, prop);
	char *value = NULL;

	return file_read(path, 0, &value, NULL, NULL) == 0 ? value : NULL;
}

static int
fake_exists(const char *name, struct error *err)
{
	cleanup_free char *path = ds_path(name, NULL);

	return file_exists(path);
}

static int
fake_get(const char *name, const char *prop, char **ret, struct error *err)
{
	if (!fake_exists(name, NULL))
		return error_set(err, ENOENT, "%s: dataset does not exist", name);
	*ret = vm_fake_prop(name, prop);
	return 0;
}

static int
fake_set(const char *name, const char *const props[], struct error *err)
{
	int r = change(err, "zfs set");

	for (size_t i = 0; r == 0 && props && props[i]; i++) {
		cleanup_free char *prop = xstrndup(props[i], strcspn(props[i], "="));
		cleanup_free char *path = prop_path(name, prop);
		const char *value = strchr(props[i], '=') + 1;

		r = file_write_atomic(path, value, strlen(value), 0644, err);
	}
	return r;
}

static int
fake_unset(const char *name, const char *prop, struct error *err)
{
	cleanup_free char *path = prop_path(name, prop);

	unlink(path);
	return change(err, "zfs inherit");
}

/* A dataset appears with its properties, all or nothing. */
static int
make(const char *name, const char *const props[], struct error *err)
{
	cleanup_free char *path = ds_path(name, NULL);
	cleanup_free char *partial = str_printf("%s/ds/partial", top);
	int r;

	if (file_exists(path))
		return error_set(err, EEXIST, "%s: dataset already exists", name);
	file_remove_tree(partial, NULL);
	r = file_mkdir_p(partial, 0755, err);
	for (size_t i = 0; r == 0 && props && props[i]; i++) {
		cleanup_free char *prop = xstrndup(props[i], strcspn(props[i], "="));
		cleanup_free char *file = str_printf("%s/#%s", partial, prop);
		const char *value = strchr(props[i], '=') + 1;

		r = file_write_atomic(file, value, strlen(value), 0644, err);
	}
	if (r == 0 && rename(partial, path) < 0)
		return error_set_errno(err, errno, "%s", path);
	return r;
}

static int
mount_it(const char *name, struct error *err)
{
	cleanup_free char *path = str_printf("%s/%s", top, name);

	return file_mkdir_p(path, 0755, err);
}

static int
fake_create(const char *name, const char *const props[], unsigned flags, struct error *err)
{
	int r = change(err, "zfs create");

	if (r == 0)
		r = make(name, props, err);
	if (r == 0 && !(flags & ZFS_NO_MOUNT))
		r = mount_it(name, err);
	return r;
}

static int
fake_clone(const char *snapshot, const char *name, const char *const props[], unsigned flags,
	   struct error *err)
{
	int r = change(err, "zfs clone");

	if (r == 0)
		r = make(name, props, err);
	if (r == 0 && str_after(snapshot, "zones/" VM_FAKE_IMAGE))
		r = mount_it(name, err);
	return r;
}

static int
fake_volume(const char *name, uint64_t size, uint32_t blocksize, const char *const props[],
	    unsigned flags, struct error *err)
{
	cleanup_free char *volsize = str_printf("volsize=%llu", (unsigned long long)size);
	int r = change(err, "zfs create -V");

	if (r == 0)
		r = make(name, props, err);
	return r < 0 ? r : fake_set(name, ZFS_PROPS(volsize), err);
}

static int
fake_resize(const char *name, uint64_t size, struct error *err)
{
	cleanup_free char *volsize = str_printf("volsize=%llu", (unsigned long long)size);

	return fake_set(name, ZFS_PROPS(volsize), err);
}

static int
fake_destroy(const char *name, unsigned flags, struct error *err)
{
	cleanup_free char *path = ds_path(name, NULL);
	cleanup_free char *mounted = str_printf("%s/%s", top, name);
	cleanup_free char *busy = vm_fake_prop(name, "busy");
	int r = change(err, "zfs destroy");

	if (r < 0)
		return r;
	if (!file_exists(path))
		return error_set(err, ENOENT, "%s: dataset does not exist", name);
	if (busy)
		return error_set(err, EBUSY, "%s: it has clones", name);
	r = file_remove_tree(mounted, err);
	return r < 0 ? r : file_remove_tree(path, err);
}

static int
fake_snapshot(const char *name, bool recursive, const char *const props[], struct error *err)
{
	int r = change(err, "zfs snapshot");

	return r < 0 ? r : make(name, props, err);
}

static int
fake_rollback(const char *snapshot, bool destroy_newer, struct error *err)
{
	return change(err, "zfs rollback");
}

static int
fake_rename(const char *from, const char *to, unsigned flags, struct error *err)
{
	cleanup_free char *a = ds_path(from, NULL);
	cleanup_free char *b = ds_path(to, NULL);
	cleanup_free char *ma = str_printf("%s/%s", top, from);
	cleanup_free char *mb = str_printf("%s/%s", top, to);
	int r = change(err, "zfs rename");

	if (r < 0)
		return r;
	if (rename(a, b) < 0)
		return error_set_errno(err, errno, "%s", from);
	rename(ma, mb);
	return 0;
}

static int
fake_hold(const char *tag, const char *snapshot, struct error *err)
{
	return change(err, "zfs hold");
}

/* Lists what lies directly in dir and is a dataset of root: itself, children, snapshots. */
static void
list_dir(const char *root, const char *const props[], struct zfs_list *ret)
{
	cleanup_free char *slash = xstrdup(root);
	cleanup_free char *dir = NULL;
	struct dirent *e;
	DIR *d;

	*strrchr(slash, '/') = '\0';
	dir = ds_path(slash, NULL);
	d = opendir(dir);
	while (d && (e = readdir(d)) != NULL) {
		cleanup_free char *name = str_printf("%s/%s", slash, e->d_name);
		const char *rest = str_after(name, root);
		struct zfs_ds *ds;
		size_t n = 0;

		if (!rest || (*rest && *rest != '@'))
			continue;
		while (props[n])
			n++;
		ret->ds = xreallocarray(ret->ds, ret->n + 1, sizeof(*ret->ds));
		ds = &ret->ds[ret->n++];
		ds->name = steal_ptr(&name);
		ds->type = ZFS_FILESYSTEM;
		ds->values = xcalloc(n + 1, sizeof(char *));
		for (size_t i = 0; i < n; i++) {
			ds->values[i] = vm_fake_prop(ds->name, props[i]);
			/* "10G" is printed as bytes */
			if (ds->values[i]) {
				uint64_t bytes;

				if (str_to_size(ds->values[i], &bytes) == 0) {
					free(ds->values[i]);
					ds->values[i] = str_printf("%llu",
								   (unsigned long long)bytes);
				}
			}
		}
	}
	if (d)
		closedir(d);
}

static int
fake_list(const char *root, unsigned types, int depth, const char *const props[],
	  struct zfs_list *ret, struct error *err)
{
	if (!fake_exists(root, NULL))
		return error_set(err, ENOENT, "%s: dataset does not exist", root);
	*ret = (struct zfs_list)ZFS_LIST_INIT;
	for (size_t i = 0; props[i]; i++)
		strv_add(&ret->props, props[i]);
	list_dir(root, props, ret);
	return 0;
}

/* ---- images ---------------------------------------------------------------------- */

static int
fake_img_find(const char *uuid, const char *pool, struct image **ret, struct error *err)
{
	bool volume = str_eq(uuid, VM_FAKE_ZVOL);
	struct image *i;

	if (!volume && !str_eq(uuid, VM_FAKE_IMAGE))
		return error_set(err, ENOENT, "image %s is not installed", uuid);
	i = xcalloc(1, sizeof(*i));
	i->uuid = xstrdup(uuid);
	i->dataset = str_printf("zones/%s", uuid);
	i->snapshot = str_printf("zones/%s@final", uuid);
	i->volume = volume;
	i->volsize = volume ? 64 << 20 : 0;
	i->manifest = json_new_object();
	if (volume) {
		json_set_str(i->manifest, "disk_driver", "virtio");
		json_set_str(i->manifest, "nic_driver", "virtio");
	}
	*ret = i;
	return 0;
}

static int
fake_img_by_name(const char *name, const char *pool, char **ret, struct error *err)
{
	if (!str_eq(name, "fake-lx"))
		return error_set(err, ENOENT, "image %s is not installed", name);
	*ret = xstrdup(VM_FAKE_IMAGE);
	return 0;
}

static int
fake_img_fits(const struct image *i, const char *brand, uint64_t ram_mib, const char *bootrom,
	      struct error *err)
{
	if (i->volume != (str_eq(brand, "kvm") || str_eq(brand, "bhyve")))
		return error_set(err, EINVAL, "image %s is not for brand %s", i->uuid, brand);
	return 0;
}

static int
fake_img_hold(const char *uuid, int *ret_fd, struct error *err)
{
	int fd = dup(0);

	if (fd < 0)
		return error_set_errno(err, errno, "dup");
	*ret_fd = fd;
	return 0;
}

static void
fake_img_free(struct image *i)
{
	free(i->uuid);
	free(i->dataset);
	free(i->snapshot);
	json_free(i->manifest);
	free(i);
}

/* ---- zones ------------------------------------------------------------------------- */

static int
fake_boot(const char *name, const struct zone_boot_opts *opts, struct error *err)
{
	int r = change(err, "boot");

	if (r == 0)
		r = zone_state_move(name, ZONE_READY, NULL, err);
	return r < 0 ? r : zone_state_move(name, ZONE_RUNNING, NULL, err);
}

static int
fake_halt(const char *name, struct error *err)
{
	int r = change(err, "halt");

	if (r == 0)
		r = zone_state_move(name, ZONE_SHUTTING_DOWN, NULL, err);
	return r < 0 ? r : zone_state_move(name, ZONE_INSTALLED, NULL, err);
}

static int
fake_quiesce(const char *name, struct error *err)
{
	enum zone_state s;
	int r = zone_state_now(name, &s, err);

	return r < 0 || s < ZONE_READY ? r : fake_halt(name, err);
}

static int
fake_shutdown(const char *name, bool reboot, unsigned timeout_s, struct error *err)
{
	int r = fake_halt(name, err);

	return r < 0 || !reboot ? r : fake_boot(name, NULL, err);
}

/* One request: what it says is done by the zone's daemon, to its end. */
static int
fake_reboot(const char *name, struct error *err)
{
	return change(err, "reboot");
}

static int
fake_apply(const char *name, struct error *err)
{
	return change(err, "apply");
}

static int
fake_kill(const char *name, int signo, struct error *err)
{
	return change(err, "kill");
}

static int
fake_console(const char *name, int *ret_fd, struct error *err)
{
	return error_set(err, ENOTSUP, "zone %s has no console", name);
}

static int
fake_nictag(const char *tag, struct error *err)
{
	if (str_eq(tag, "admin") || str_eq(tag, "external"))
		return 0;
	return error_set(err, ENOENT, "Invalid nic tag \"%s\"", tag);
}

const struct vm_ops vm_ops_fake = {
	.img_find = fake_img_find,
	.img_by_name = fake_img_by_name,
	.img_fits = fake_img_fits,
	.img_hold = fake_img_hold,
	.img_free = fake_img_free,
	.zfs_exists = fake_exists,
	.zfs_list = fake_list,
	.zfs_get = fake_get,
	.zfs_set = fake_set,
	.zfs_unset = fake_unset,
	.zfs_create = fake_create,
	.zfs_clone = fake_clone,
	.zvol_create = fake_volume,
	.zvol_resize = fake_resize,
	.zfs_destroy = fake_destroy,
	.zfs_snapshot = fake_snapshot,
	.zfs_rollback = fake_rollback,
	.zfs_rename = fake_rename,
	.zfs_hold = fake_hold,
	.zfs_release = fake_hold,
	.zone_boot = fake_boot,
	.zone_halt = fake_halt,
	.zone_quiesce = fake_quiesce,
	.zone_shutdown = fake_shutdown,
	.zone_reboot = fake_reboot,
	.zone_apply = fake_apply,
	.zone_kill = fake_kill,
	.zone_console_open = fake_console,
	.nictag_check = fake_nictag,
};

/* ---- everything there is --------------------------------------------------------------- */

static struct strv all;

static int
note(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *rel = path + strlen(top);

	/* Locks, and /run: gone with the node. */
	if (!str_after(rel, "/run") && !str_ends(rel, ".lock") && !strstr(rel, "/ds/partial"))
		strv_add(&all, *rel ? rel : "/");
	return 0;
}

char *
vm_fake_state(void)
{
	cleanup_free char *index_path = str_printf("%s/etc/zones/index", top);
	cleanup_free char *index = NULL;
	cleanup_free char *names = NULL;

	strv_done(&all);
	nftw(top, note, 16, FTW_PHYS);
	strv_sort(&all);
	names = strv_join(&all, "\n");
	strv_done(&all);
	file_read(index_path, 0, &index, NULL, NULL);
	return str_printf("%s\n--\n%s", names, index ? index : "");
}
