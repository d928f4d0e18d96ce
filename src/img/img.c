/*
 * Which datasets are images.  A dataset POOL/UUID is one if it has a snapshot
 * @final of its own (what an import leaves) or a file in the database, and is
 * neither a zone's (its zonepath stands in /etc/zones/index), nor marked
 * imgadm:ignore=true.  A VM's clone has neither snapshot nor file.
 */
#include "img/img.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "img/img_impl.h"
#include "img/manifest.h"
#include "store/pool.h"
#include "store/zfs.h"

static const char *root = "";

void
img_set_root(const char *new_root)
{
	root = new_root;
}

const char *
img_root(void)
{
	return root;
}

const char *
img_conf(void)
{
	static char *path;

	free(path);
	path = str_printf("%s%s", root, IMG_CONF);
	return path;
}

char *
img_db_path(const char *pool, const char *uuid)
{
	return str_printf("%s%s/%s-%s.json", root, IMG_DIR, pool, uuid);
}

int
img_mkdirs(struct error *err)
{
	cleanup_free char *dir = str_printf("%s%s", root, IMG_DIR);

	return file_mkdir_p(dir, 0755, err);
}

int
img_error(struct error *err, int code, const char *name, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	return error_set_path(err, code, name, "%s", text);
}

bool
img_uuid_ok(const char *uuid)
{
	return uuid && str_is_uuid(uuid) && strspn(uuid, "0123456789abcdef-") == UUID_LEN;
}

int
img_need_uuid(const char *uuid, struct error *err)
{
	if (img_uuid_ok(uuid))
		return 0;
	return img_error(err, EINVAL, "InvalidUUID", "invalid uuid: \"%.64s\"", uuid ? uuid : "");
}

int
img_lock(const char *uuid, bool exclusive, bool wait, int *ret_fd, struct error *err)
{
	cleanup_free char *path = str_printf("%s/run/img.%s.import.lock", root, uuid);
	cleanup_close int fd = -1;
	int r;

	r = img_need_uuid(uuid, err);
	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)) < 0) {
		if (errno == EINTR)
			continue;
		return error_set(err, errno, errno == EWOULDBLOCK
					     ? "image %s is in use by another command"
					     : "locking image %s", uuid);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
img_hold(const char *uuid, int *ret_fd, struct error *err)
{
	return img_lock(uuid, false, true, ret_fd, err);
}

void
img_step(const char *name)
{
	const char *kill_at = getenv("IMGADM_TEST_KILL");

	if (kill_at && str_eq(kill_at, name))
		kill(getpid(), SIGKILL);
}

/* --- one image */

void
img_free(struct image *i)
{
	if (!i)
		return;
	free(i->uuid);
	free(i->pool);
	free(i->dataset);
	free(i->snapshot);
	json_free(i->manifest);
	free(i->source);
	free(i);
}

void
img_list_done(struct img_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		img_free(l->images[i]);
	free(l->images);
	*l = (struct img_list)IMG_LIST_INIT;
}

/* What can be said about an image that came without imgadm (zfs receive by hand). */
static struct json *
minimal_manifest(const char *uuid, bool volume)
{
	struct json *m = json_new_object();

	json_set_int(m, "v", 2);
	json_set_str(m, "uuid", uuid);
	if (volume)
		json_set_str(m, "type", "zvol");
	return m;
}

static int
read_db(struct image *i, struct error *err)
{
	cleanup_free char *path = img_db_path(i->pool, i->uuid);
	cleanup_error struct error e = ERROR_INIT;
	cleanup_json struct json *db = NULL;
	struct json *m;
	int r;

	r = json_read_file(path, &db, &e);
	if (r == -ENOENT) {
		i->manifest = minimal_manifest(i->uuid, i->volume);
		return 0;
	}
	if (r < 0) {
		error_move(err, &e);
		return r;
	}
	m = json_get(db, "manifest");
	if (!str_eq(json_str(json_get(m, "uuid"), NULL), i->uuid))
		return error_set_path(err, EBADMSG, path, "%s: not the manifest of image %s", path,
				      i->uuid);
	i->manifest = json_copy(m);
	i->source = xstrdup(json_str(json_get(db, "source"), NULL));
	return 0;
}

/* Paths of all zones on this node, from the index: name:state:zonepath:uuid... */
static int
read_zonepaths(struct strv *ret, struct error *err)
{
	cleanup_free char *path = str_printf("%s/etc/zones/index", root);
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_error struct error e = ERROR_INIT;
	int r;

	r = file_read(path, 0, &text, NULL, &e);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		error_move(err, &e);
		return r;
	}
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;

		if (lines.v[i][0] == '#')
			continue;
		strv_split(&w, lines.v[i], ":");
		if (w.n >= 3)
			strv_add(ret, w.v[2]);
	}
	return 0;
}

static const char *const list_props[] = {"origin", "volsize", "imgadm:ignore", NULL};

/* 1 and an image if row i of the listing is one, 0 if not. */
static int
image_of_row(const struct zfs_list *l, size_t row, const char *pool,
	     const struct strv *zonepaths, struct image **ret, struct error *err)
{
	const struct zfs_ds *ds = &l->ds[row];
	cleanup_image struct image *i = NULL;
	const char *uuid = strchr(ds->name, '/');
	const char *volsize;
	bool has_final, has_db;
	int r;

	if (!uuid || !img_uuid_ok(uuid + 1) || ds->type == ZFS_SNAPSHOT)
		return 0;
	if (str_eq(zfs_list_get(l, row, "imgadm:ignore"), "true"))
		return 0;
	cleanup_free char *mount = str_printf("/%s", ds->name);
	if (strv_has(zonepaths, mount))
		return 0;
	i = xcalloc(1, sizeof(*i));
	i->uuid = xstrdup(uuid + 1);
	i->pool = xstrdup(pool);
	i->dataset = xstrdup(ds->name);
	i->snapshot = str_printf("%s@final", ds->name);
	i->volume = ds->type == ZFS_VOLUME;
	volsize = zfs_list_get(l, row, "volsize");
	if (volsize)
		str_to_u64(volsize, 10, &i->volsize);
	cleanup_free char *db = img_db_path(pool, i->uuid);
	has_final = zfs_list_find(l, i->snapshot) != NULL;
	has_db = file_exists(db);
	if (!has_final && !has_db)
		return 0;
	r = read_db(i, err);
	if (r < 0)
		return r;
	for (size_t k = 0; k < l->n; k++) {
		const char *origin = zfs_list_get(l, k, "origin");
		const char *snap = origin ? str_after(origin, i->dataset) : NULL;

		if (snap && *snap == '@')
			i->clones++;
	}
	*ret = steal_ptr(&i);
	return 1;
}

static int
by_published(const void *pa, const void *pb)
{
	const struct image *a = *(struct image *const *)pa, *b = *(struct image *const *)pb;
	int c = strcmp(json_str(json_get(a->manifest, "published_at"), ""),
		       json_str(json_get(b->manifest, "published_at"), ""));

	return c ? c : strcmp(img_name(a), img_name(b));
}

static int
list_pool(const char *pool, const struct strv *zonepaths, struct img_list *ret, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	int r;

	r = zfs_list(pool, ZFS_DATASET | ZFS_SNAPSHOT, 2, list_props, &l, err);
	if (r < 0)
		return r;
	for (size_t row = 0; row < l.n; row++) {
		struct image *i = NULL;

		r = image_of_row(&l, row, pool, zonepaths, &i, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		ret->images = xreallocarray(ret->images, ret->n + 1, sizeof(*ret->images));
		ret->images[ret->n++] = i;
	}
	return 0;
}

int
img_list(const char *pool, struct img_list *ret, struct error *err)
{
	cleanup_img_list struct img_list l = IMG_LIST_INIT;
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	cleanup_strv struct strv zonepaths = STRV_INIT;
	int r;

	r = read_zonepaths(&zonepaths, err);
	if (r < 0)
		return r;
	if (pool) {
		r = list_pool(pool, &zonepaths, &l, err);
		if (r < 0)
			return r;
	} else {
		r = pool_list(&pools, err);
		for (size_t i = 0; r == 0 && i < pools.n; i++)
			r = list_pool(pools.pools[i].name, &zonepaths, &l, err);
		if (r < 0)
			return r;
	}
	if (l.n)
		qsort(l.images, l.n, sizeof(*l.images), by_published);
	*ret = l;
	l = (struct img_list)IMG_LIST_INIT;
	return 0;
}

/* 1 found, 0 not in this pool. */
static int
find_in(const char *uuid, const char *pool, struct image **ret, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	cleanup_strv struct strv zonepaths = STRV_INIT;
	cleanup_error struct error e = ERROR_INIT;
	cleanup_free char *name = str_printf("%s/%s", pool, uuid);
	int r;

	r = zfs_list(name, ZFS_DATASET | ZFS_SNAPSHOT, 1, list_props, &l, &e);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		error_move(err, &e);
		return r;
	}
	r = read_zonepaths(&zonepaths, err);
	for (size_t row = 0; r == 0 && row < l.n; row++) {
		if (str_eq(l.ds[row].name, name))
			return image_of_row(&l, row, pool, &zonepaths, ret, err);
	}
	return r;
}

int
img_find(const char *uuid, const char *pool, struct image **ret, struct error *err)
{
	cleanup_pool_list struct pool_list pools = POOL_LIST_INIT;
	cleanup_free char *first = NULL;
	int r;

	r = img_need_uuid(uuid, err);
	if (r < 0)
		return r;
	if (pool) {
		r = find_in(uuid, pool, ret, err);
	} else {
		r = pool_list(&pools, err);
		/* Without a system pool the order is the pools'. */
		if (r == 0 && pool_system(&first, NULL) == 0)
			r = find_in(uuid, first, ret, err);
		for (size_t i = 0; r == 0 && i < pools.n; i++) {
			if (!str_eq(pools.pools[i].name, first))
				r = find_in(uuid, pools.pools[i].name, ret, err);
		}
	}
	if (r < 0)
		return r;
	if (r == 0)
		return img_error(err, ENOENT, "ImageNotInstalled", "image %s is not installed%s%s",
				 uuid, pool ? " on zpool " : "", pool ? pool : "");
	return 0;
}

/* --- fields */

static const char *
field(const struct image *i, const char *name, const char *fallback)
{
	return json_str(json_get(i->manifest, name), fallback);
}

const char *
img_name(const struct image *i)
{
	return field(i, "name", "-");
}

const char *
img_version(const struct image *i)
{
	return field(i, "version", "-");
}

const char *
img_type(const struct image *i)
{
	return field(i, "type", i->volume ? "zvol" : "other");
}

const char *
img_os(const struct image *i)
{
	return field(i, "os", "other");
}

uint64_t
img_size_mib(const struct image *i)
{
	int64_t n = json_int(json_get(i->manifest, "image_size"), 0);

	if (n > 0)
		return (uint64_t)n;
	return i->volsize >> 20;
}

const char *
img_origin(const struct image *i)
{
	return field(i, "origin", NULL);
}

const char *
img_nic_driver(const struct image *i)
{
	return field(i, "nic_driver", NULL);
}

const char *
img_disk_driver(const struct image *i)
{
	return field(i, "disk_driver", NULL);
}

const char *
img_cpu_type(const struct image *i)
{
	return field(i, "cpu_type", NULL);
}

const char *
img_tag(const struct image *i, const char *tag)
{
	return json_str(json_get(json_get(i->manifest, "tags"), tag), NULL);
}

/* --- may a VM be made of it? */

static const struct {
	const char *brand;
	const char *types; /* that it takes */
} brand_types[] = {
	{"joyent", "zone-dataset"},	    {"joyent-minimal", "zone-dataset"},
	{"builder", "zone-dataset"},	    {"lx", "lx-dataset docker"},
	{"kvm", "zvol"},		    {"bhyve", "zvol"},
};

static int
fits_type(const struct image *i, const char *brand, struct error *err)
{
	for (size_t k = 0; k < ARRAY_SIZE(brand_types); k++) {
		cleanup_strv struct strv types = STRV_INIT;

		if (!str_eq(brand, brand_types[k].brand))
			continue;
		strv_words(&types, brand_types[k].types, " ");
		if (strv_has(&types, img_type(i)))
			return 0;
		return error_set_path(err, EINVAL, "image_uuid",
				      "image %s is of type %s, brand %s needs %s", i->uuid,
				      img_type(i), brand, brand_types[k].types);
	}
	return error_set_path(err, EINVAL, "brand", "no image fits brand \"%s\"", brand);
}

int
img_fits(const struct image *i, const char *brand, uint64_t ram_mib, const char *bootrom,
	 struct error *err)
{
	const struct json *req = json_get(i->manifest, "requirements");
	const char *want_brand = json_str(json_get(req, "brand"), "");
	const char *want_rom = json_str(json_get(req, "bootrom"), "");
	int64_t min = json_int(json_get(req, "min_ram"), 0);
	int64_t max = json_int(json_get(req, "max_ram"), 0);
	int r;

	r = fits_type(i, brand, err);
	if (r < 0)
		return r;
	if (*want_brand && !str_eq(want_brand, brand))
		return error_set_path(err, EINVAL, "brand", "image %s requires brand %s, not %s",
				      i->uuid, want_brand, brand);
	if (ram_mib && min > 0 && ram_mib < (uint64_t)min)
		return error_set_path(err, EINVAL, "ram",
				      "image %s requires at least %lld MiB of memory, not %llu",
				      i->uuid, (long long)min, (unsigned long long)ram_mib);
	if (ram_mib && max > 0 && ram_mib > (uint64_t)max)
		return error_set_path(err, EINVAL, "ram",
				      "image %s requires at most %lld MiB of memory, not %llu", i->uuid,
				      (long long)max, (unsigned long long)ram_mib);
	if (bootrom && *want_rom && !str_eq(want_rom, bootrom))
		return error_set_path(err, EINVAL, "bootrom", "image %s requires bootrom %s, not %s",
				      i->uuid, want_rom, bootrom);
	return 0;
}
