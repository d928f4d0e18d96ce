#include "store/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "store/disk.h"
#include "store/layout.h"
#include "store/zfs.h"
#include "store/zfs_impl.h"

#define ZPOOL(output, err, ...)                                         \
	({                                                              \
		cleanup_strv struct strv _argv = STRV_INIT;             \
		strv_addl(&_argv, "zpool", __VA_ARGS__, NULL);          \
		zfs_run(&_argv, (output), (err));                       \
	})

/* Names that mean something else on zpool's command line. */
static const char *const pool_reserved[] = {"mirror", "raidz", "draid", "spare", "log", "cache",
					    "special", "dedup"};

bool
pool_name_ok(const char *name)
{
	if (!zfs_name_ok(name) || strpbrk(name, "/% "))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(pool_reserved); i++) {
		if (str_after(name, pool_reserved[i]))
			return false;
	}
	return true;
}

static int
need_pool(const char *name, struct error *err)
{
	if (pool_name_ok(name))
		return 0;
	return error_set(err, EINVAL, "\"%s\" is not a pool name", name ? name : "");
}

/* --- looking */

void
pool_list_done(struct pool_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->pools[i].name);
		free(l->pools[i].guid);
		free(l->pools[i].health);
	}
	free(l->pools);
	*l = (struct pool_list)POOL_LIST_INIT;
}

int
pool_list(struct pool_list *ret, struct error *err)
{
	cleanup_pool_list struct pool_list l = POOL_LIST_INIT;
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	r = ZPOOL(&text, err, "list", "-H", "-p", "-o", "name,guid,health,size,alloc,free");
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	l.pools = xcalloc(lines.n + 1, sizeof(*l.pools));
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;
		struct pool *p = &l.pools[l.n];

		strv_split(&w, lines.v[i], "\t");
		if (w.n != 6)
			continue; /* "no pools available" */
		l.n++;
		p->name = xstrdup(w.v[0]);
		p->guid = xstrdup(w.v[1]);
		p->health = xstrdup(w.v[2]);
		/* A faulted pool has "-" here: zero then. */
		str_to_u64(w.v[3], 10, &p->size);
		str_to_u64(w.v[4], 10, &p->alloc);
		str_to_u64(w.v[5], 10, &p->free);
	}
	*ret = l;
	l = (struct pool_list)POOL_LIST_INIT;
	return 0;
}

int
pool_exists(const char *name, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	r = ZPOOL(NULL, &e, "list", "-H", "-o", "name", name);
	if (r == 0)
		return 1;
	if (r == -ENOENT)
		return 0;
	error_move(err, &e);
	return r;
}

void
pool_found_list_done(struct pool_found_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->found[i].name);
		free(l->found[i].guid);
		free(l->found[i].state);
	}
	free(l->found);
	*l = (struct pool_found_list){0};
}

/* "   pool: zones", "     id: 123", "  state: ONLINE" of each pool; the rest is for people. */
void
pool_search_parse(const char *text, struct pool_found_list *ret)
{
	cleanup_strv struct strv lines = STRV_INIT;
	struct pool_found *p = NULL;

	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *line = str_trim(lines.v[i]);
		const char *v;

		if ((v = str_after(line, "pool: "))) {
			ret->found = xreallocarray(ret->found, ret->n + 1, sizeof(*ret->found));
			p = &ret->found[ret->n++];
			*p = (struct pool_found){.name = xstrdup(v)};
		} else if (p && !p->guid && (v = str_after(line, "id: "))) {
			p->guid = xstrdup(v);
		} else if (p && !p->state && (v = str_after(line, "state: "))) {
			p->state = xstrdup(v);
		}
	}
}

int
pool_search(struct pool_found_list *ret, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	cleanup_free char *text = NULL;
	int r;

	r = ZPOOL(&text, &e, "import");
	if (r < 0) {
		/* Finding nothing is an exit status of 1 in some releases. */
		if (strstr(error_message(&e), "no pools available"))
			return 0;
		error_move(err, &e);
		return r;
	}
	pool_search_parse(text, ret);
	return 0;
}

/* --- importing and exporting */

int
pool_import(const char *name, const char *altroot, unsigned flags, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	uint64_t guid;

	if (!pool_name_ok(name) && str_to_u64(name ? name : "", 10, &guid) < 0)
		return need_pool(name, err);
	/* The root is in RAM: a cache file would be gone at the next boot. */
	strv_addl(&argv, "zpool", "import", "-o", "cachefile=none", NULL);
	if (flags & POOL_FORCE)
		strv_add(&argv, "-f");
	if (flags & POOL_NO_MOUNT)
		strv_add(&argv, "-N");
	if (flags & POOL_READONLY)
		strv_addl(&argv, "-o", "readonly=on", NULL);
	if (altroot)
		strv_addl(&argv, "-R", altroot, NULL);
	strv_add(&argv, name);
	return zfs_run(&argv, NULL, err);
}

int
pool_import_all(const char *altroot, unsigned flags, struct strv *ret, struct error *err)
{
	struct pool_found_list found = {0};
	cleanup_error struct error first = ERROR_INIT;
	int r, first_r = 0;

	r = pool_search(&found, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < found.n; i++) {
		cleanup_error struct error e = ERROR_INIT;
		const struct pool_found *p = &found.found[i];

		r = pool_import(p->guid ? p->guid : p->name, altroot, flags, &e);
		if (r == 0) {
			if (ret)
				strv_add(ret, p->name);
		} else if (first_r == 0) {
			first_r = error_wrap(&e, r, "pool %s", p->name);
			error_move(&first, &e);
		}
	}
	pool_found_list_done(&found);
	if (first_r < 0)
		error_move(err, &first);
	return first_r;
}

int
pool_export(const char *name, bool force, struct error *err)
{
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	return force ? ZPOOL(NULL, err, "export", "-f", name) : ZPOOL(NULL, err, "export", name);
}

int
pool_destroy(const char *name, bool force, struct error *err)
{
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	return force ? ZPOOL(NULL, err, "destroy", "-f", name) : ZPOOL(NULL, err, "destroy", name);
}

/* --- status and devices */

int
pool_status(const char *name, struct json **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_json struct json *j = NULL;
	struct json *pool;
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	r = ZPOOL(&text, err, "status", "-j", "-p", "-P", "-L", name);
	if (r < 0)
		return r;
	r = json_parse(text, (size_t)-1, &j, err);
	if (r < 0)
		return error_wrap(err, r, "zpool status -j %s", name);
	pool = json_get(json_get(j, "pools"), name);
	if (!pool)
		return error_set(err, EIO, "zpool status -j says nothing about %s", name);
	*ret = json_copy(pool);
	return 0;
}

static void
add_leaves(const struct json *vdevs, struct strv *ret)
{
	const struct json *v;
	const char *key;

	json_object_each(key, v, vdevs) {
		const struct json *below = json_get(v, "vdevs");
		const char *name = json_str(json_get(v, "path"), json_str(json_get(v, "name"), key));

		if (below)
			add_leaves(below, ret);
		else if (name[0] == '/')
			strv_add(ret, name);
	}
}

int
pool_devices(const char *name, struct strv *ret, struct error *err)
{
	cleanup_json struct json *status = NULL;
	int r;

	r = pool_status(name, &status, err);
	if (r < 0)
		return r;
	add_leaves(json_get(status, "vdevs"), ret);
	return 0;
}

int
pool_disks(const char *name, struct strv *ret, struct error *err)
{
	cleanup_strv struct strv devices = STRV_INIT;
	int r;

	r = pool_devices(name, &devices, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < devices.n; i++) {
		cleanup_free char *disk = NULL;

		/* A file, or a disk that is gone, has none: what is left counts. */
		if (disk_of_partition(devices.v[i], &disk, NULL) == 0 && !strv_has(ret, disk))
			strv_take(ret, steal_ptr(&disk));
	}
	return 0;
}

int
pool_get(const char *name, const char *prop, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	r = ZPOOL(&text, err, "get", "-H", "-p", "-o", "value", prop, name);
	if (r < 0)
		return r;
	str_trim(text);
	*ret = str_eq(text, "-") || str_empty(text) ? NULL : steal_ptr(&text);
	return 0;
}

int
pool_set(const char *name, const char *prop, const char *value, struct error *err)
{
	cleanup_free char *word = str_printf("%s=%s", prop, value);
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	return ZPOOL(NULL, err, "set", word, name);
}

/* --- the system pool */

static char *
marker_of(const char *pool)
{
	cleanup_free char *mountpoint = NULL;

	if (zfs_mountpoint(pool, &mountpoint, NULL) < 0)
		return NULL;
	return str_printf("%s/.system_pool", mountpoint);
}

int
pool_system(char **ret, struct error *err)
{
	cleanup_pool_list struct pool_list l = POOL_LIST_INIT;
	int r;

	r = pool_list(&l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		cleanup_free char *marker = marker_of(l.pools[i].name);

		if (marker && file_exists(marker)) {
			*ret = xstrdup(l.pools[i].name);
			return 0;
		}
	}
	return error_set(err, ENOENT, "no imported pool is the system pool (has a file .system_pool)");
}

int
pool_mark_system(const char *name, struct error *err)
{
	cleanup_free char *marker = marker_of(name);

	if (!marker)
		return error_set(err, ENOENT, "pool %s: its root filesystem is not mounted", name);
	return file_write_atomic(marker, "", 0, 0644, err);
}

/* --- making one */

/* A layout names disks as disklayout does ("sda"), or devices and files by path. */
static char *
disk_path(const char *name)
{
	return name[0] == '/' ? xstrdup(name) : str_printf("/dev/%s", name);
}

static char *
plain_word(const char *name, bool data)
{
	return disk_path(name);
}

static char *
bootable_word(const char *name, bool data)
{
	cleanup_free char *path = disk_path(name);

	return data ? disk_partition_path(path, DISK_PART_ZFS) : steal_ptr(&path);
}

static int
make_bootable(const struct layout *layout, struct error *err)
{
	cleanup_strv struct strv disks = STRV_INIT;
	int r;

	layout_disks(layout, true, &disks);
	for (size_t i = 0; i < disks.n; i++) {
		cleanup_free char *path = disk_path(disks.v[i]);

		r = disk_partition_bootable(path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
pool_create(const char *name, const struct layout *layout, const char *altroot, unsigned flags,
	    const char *compatibility, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_pool(name, err);
	if (r < 0)
		return r;
	r = pool_exists(name, err);
	if (r < 0)
		return r;
	if (r)
		return error_set(err, EEXIST, "pool %s already exists", name);
	if (flags & POOL_BOOTABLE) {
		r = make_bootable(layout, err);
		if (r < 0)
			return r;
	}
	strv_addl(&argv, "zpool", "create", "-o", "ashift=12", "-o", "cachefile=none", NULL);
	if (compatibility) {
		strv_add(&argv, "-o");
		strv_addf(&argv, "compatibility=%s", compatibility);
	}
	if (flags & (POOL_CREATE_FORCE | POOL_BOOTABLE))
		strv_add(&argv, "-f");
	/* LX zones run programs that want POSIX ACLs (systemd-journald); in the inode: fast. */
	strv_addl(&argv, "-O", "atime=off", "-O", "xattr=sa", "-O", "acltype=posixacl", NULL);
	strv_add(&argv, "-m");
	strv_addf(&argv, "/%s", name);
	if (altroot)
		strv_addl(&argv, "-R", altroot, NULL);
	strv_add(&argv, name);
	layout_vdev_words(layout, flags & POOL_BOOTABLE ? bootable_word : plain_word, &argv);
	return zfs_run(&argv, NULL, err);
}
