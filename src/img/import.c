/*
 * Import: what is on disk at each step, so that dying anywhere leaves nothing
 * that anybody sees, and doing it again succeeds.
 *
 *	lock		/run/img.UUID.import.lock, held until the end (it dies with us)
 *	clean		POOL/UUID-partial of an earlier try is destroyed
 *	receive		the stream goes into POOL/UUID-partial, never mounted
 *	check		digest, kind, one snapshot, origin, no children, no properties
 *	final		the snapshot is renamed @final
 *	database	POOL-UUID.json is written: a file without a dataset is no image (and is swept)
 *	rename		POOL/UUID-partial becomes POOL/UUID: from here on it is installed
 *
 * The stream is hostile until its digest was checked, and its maker may be even
 * then: it must not carry properties (a mountpoint!), children, or a second
 * snapshot, and the dataset stays unmounted and cannot mount itself at boot.
 */
#include "img/import.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "img/img.h"
#include "img/img_impl.h"
#include "img/manifest.h"
#include "store/pool.h"
#include "store/zfs.h"

struct import {
	const struct json *manifest;
	const struct import_opts *o;
	const char *uuid;
	const char *origin; /* or NULL */
	char *partial;
	char *dataset;
	bool volume;
};

/* --- pieces */

int
img_db_write(const char *pool, const struct json *manifest, const char *source, struct error *err)
{
	cleanup_json struct json *db = json_new_object();
	cleanup_free char *path = NULL;
	int r;

	path = img_db_path(pool, json_str(json_get(manifest, "uuid"), ""));
	json_set(db, "manifest", json_copy(manifest));
	json_set_str(db, "zpool", pool);
	if (source)
		json_set_str(db, "source", source);
	r = img_mkdirs(err);
	if (r < 0)
		return r;
	return json_write_file(path, db, 0644, err);
}

/*
 * Destroys a partial dataset.  `zfs receive` of a killed import may be on its
 * way out still (the kernel undoes it): that is busy for a moment.
 */
static int
destroy_partial(const char *name, struct error *err)
{
	uint64_t end = time_mono_ms() + 30 * 1000;

	for (;;) {
		cleanup_error struct error e = ERROR_INIT;
		int r = zfs_destroy(name, ZFS_RECURSIVE, &e);

		if (r == 0 || r == -ENOENT)
			return 0;
		if (r != -EBUSY || time_mono_ms() > end) {
			error_move(err, &e);
			return r;
		}
		poll(NULL, 0, 100);
	}
}

static int
need_pool(const char *pool, struct error *err)
{
	int r = pool_exists(pool, err);

	if (r == 0)
		return img_error(err, ENOENT, "ZpoolNotFound", "no zpool %s", pool);
	return r < 0 ? r : 0;
}

/*
 * Feeds the stream to zfs receive until it ends.  1 if zfs went away before: it
 * saw the end of its stream (padding may follow), or something it did not like.
 */
static int
pump(struct stream *s, int fd, struct error *err)
{
	cleanup_free char *buf = xmalloc(256 * 1024);

	for (;;) {
		ssize_t n = stream_read(s, buf, 256 * 1024, err);

		if (n <= 0)
			return (int)n;
		img_step("receiving");
		if (fd_write_all(fd, buf, (size_t)n) < 0)
			return 1;
	}
}

/* The rest of the file counts for its digest, though zfs has all it wants. */
static int
drain(struct stream *s, struct error *err)
{
	cleanup_free char *buf = xmalloc(256 * 1024);
	ssize_t n;

	do
		n = stream_read(s, buf, 256 * 1024, err);
	while (n > 0);
	return (int)n;
}

static int
step_receive(struct import *im, struct stream *file, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	struct run_child c;
	int r, zr;

	/* A volume's image needs no device nodes, and nobody should look for partitions in it. */
	r = zfs_receive_start(im->partial, im->volume ? ZFS_PROPS("volmode=none") : NULL, 0, -1, &c,
			      err);
	if (r < 0)
		return r;
	r = pump(file, c.in, err);
	if (r < 0) {
		/* Killed at once: it must not take a short stream for a whole one. */
		run_abort(&c);
		return r;
	}
	zr = zfs_receive_finish(&c, im->partial, &e);
	if (zr < 0)
		return img_error(err, -zr, "InvalidImageFile", "image file is no good zfs stream: %s",
				 error_message(&e));
	return r == 1 ? drain(file, err) : 0;
}

/* --- what came must be what the manifest says */

static int
check_no_props(const struct import *im, struct error *err)
{
	static const char *const never[] = {"mountpoint", "canmount", "sharenfs", "sharesmb", "zoned",
					    "exec",	  "setuid",   "devices",  "quota",    NULL};
	cleanup_strv struct strv received = STRV_INIT;
	cleanup_free char *list = NULL;
	int r;

	r = zfs_received(im->partial, &received, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < received.n; i++) {
		for (size_t k = 0; never[k]; k++) {
			if (str_eq(received.v[i], never[k]))
				return img_error(err, EBADMSG, "InvalidImageFile",
						 "image file sets property %s: images carry none",
						 never[k]);
		}
	}
	return 0;
}

static int
check_origin(const struct import *im, struct error *err)
{
	cleanup_free char *origin = NULL, *want = NULL;
	int r;

	r = zfs_origin(im->partial, &origin, err);
	if (r < 0)
		return r;
	if (im->origin)
		want = str_printf("%s/%s@final", im->o->pool, im->origin);
	if (str_eq(origin, want))
		return 0;
	return img_error(err, EBADMSG, "InvalidImageFile",
			 "image file's origin is %s, manifest's is %s", origin ? origin : "none",
			 want ? want : "none");
}

static int
check_volsize(const struct import *im, struct error *err)
{
	uint64_t size, mib = (uint64_t)json_int(json_get(im->manifest, "image_size"), 0);
	int r;

	if (!im->volume)
		return 0;
	r = zfs_get_u64(im->partial, "volsize", &size, err);
	if (r < 0)
		return r;
	if ((size >> 20) <= mib)
		return 0;
	return img_error(err, EBADMSG, "InvalidImageFile",
			 "image file holds a volume of %llu MiB, manifest's image_size is %llu",
			 (unsigned long long)(size >> 20), (unsigned long long)mib);
}

static int
step_check(struct import *im, struct strv *snapshots, struct error *err)
{
	cleanup_strv struct strv children = STRV_INIT;
	cleanup_free char *encryption = NULL;
	enum zfs_type kind;
	int r;

	r = zfs_kind(im->partial, &kind, err);
	if (r < 0)
		return r;
	if ((kind == ZFS_VOLUME) != im->volume)
		return img_error(err, EBADMSG, "InvalidImageFile",
				 "image file holds a %s, manifest's type is %s",
				 kind == ZFS_VOLUME ? "volume" : "filesystem",
				 json_str(json_get(im->manifest, "type"), "?"));
	r = zfs_snapshots(im->partial, snapshots, err);
	if (r == 0)
		r = zfs_children(im->partial, &children, err);
	if (r == 0)
		r = zfs_get(im->partial, "encryption", &encryption, err);
	if (r < 0)
		return r;
	if (snapshots->n != 1)
		return img_error(err, EBADMSG, "InvalidImageFile",
				 "image file holds %zu snapshots, must be exactly one", snapshots->n);
	if (children.n)
		return img_error(err, EBADMSG, "InvalidImageFile",
				 "image file holds %zu more datasets, must be exactly one", children.n);
	if (encryption && !str_eq(encryption, "off"))
		return img_error(err, EBADMSG, "InvalidImageFile", "image file is encrypted");
	r = check_no_props(im, err);
	if (r == 0)
		r = check_origin(im, err);
	if (r == 0)
		r = check_volsize(im, err);
	return r;
}

static int
step_final(struct import *im, const struct strv *snapshots, struct error *err)
{
	cleanup_free char *final = str_printf("%s@final", im->partial);
	int r;

	if (!str_eq(snapshots->v[0], final)) {
		r = zfs_rename(snapshots->v[0], final, 0, err);
		if (r < 0)
			return r;
	}
	if (im->volume)
		return 0;
	/* Nobody looks into an image: VMs are clones.  canmount and devices are not inherited by them. */
	return zfs_set(im->partial, ZFS_PROPS("canmount=noauto", "devices=off"), err);
}

/* --- the whole */

static int
import_steps(struct import *im, struct stream *file, struct error *err)
{
	cleanup_strv struct strv snapshots = STRV_INIT;
	int r;

	r = step_receive(im, file, err);
	if (r < 0)
		return r;
	img_step("received");
	r = step_check(im, &snapshots, err);
	if (r < 0)
		return r;
	img_step("checked");
	r = step_final(im, &snapshots, err);
	if (r < 0)
		return r;
	img_step("final");
	r = img_db_write(im->o->pool, im->manifest, im->o->source, err);
	if (r < 0)
		return r;
	img_step("database");
	r = zfs_rename(im->partial, im->dataset, im->volume ? 0 : ZFS_NO_MOUNT, err);
	if (r == 0)
		img_step("renamed");
	return r;
}

static int
check_room(const struct import *im, struct error *err)
{
	struct image *origin = NULL;
	int r;

	r = need_pool(im->o->pool, err);
	if (r < 0)
		return r;
	if (im->origin) {
		r = img_find(im->origin, im->o->pool, &origin, err);
		img_free(origin);
		if (r < 0)
			return error_wrap(err, r, "origin of image %s", im->uuid);
	}
	/* A dataset of that name which is no image is somebody's: never touched. */
	r = zfs_exists(im->dataset, err);
	if (r > 0)
		return img_error(err, EEXIST, "DatasetExists",
				 "dataset %s exists and is not an image", im->dataset);
	return r;
}

static int
import_locked(struct import *im, struct stream *file, struct error *err)
{
	struct image *there = NULL;
	int r;

	r = img_find(im->uuid, im->o->pool, &there, NULL);
	if (r == 0) {
		img_free(there);
		return 1;
	}
	r = check_room(im, err);
	if (r < 0)
		return r;
	r = destroy_partial(im->partial, err);
	if (r < 0)
		return r;
	img_step("clean");
	r = import_steps(im, file, err);
	if (r < 0) {
		cleanup_error struct error e = ERROR_INIT;
		cleanup_free char *db = img_db_path(im->o->pool, im->uuid);

		unlink(db);
		if (destroy_partial(im->partial, &e) < 0)
			error_wrap(err, r, "(and %s is left behind: %s)", im->partial,
				   error_message(&e));
	}
	return r;
}

int
img_install(const struct json *manifest, struct stream *file, const struct import_opts *o,
	    struct error *err)
{
	struct import im = {.manifest = manifest, .o = o};
	cleanup_close int lock = -1;
	cleanup_stream struct stream *verified = NULL, *plain = NULL;
	struct manifest_file f;
	int r;

	r = manifest_check(manifest, MANIFEST_INSTALL, err);
	if (r < 0) {
		stream_free(file);
		return r;
	}
	manifest_file(manifest, &f);
	verified = stream_verify(file, &f, o->progress, o->arg);
	r = stream_decompress(verified, f.compression, &plain, err);
	steal_ptr(&verified); /* belongs to plain now, or is freed */
	if (r < 0)
		return r;
	im.uuid = json_str(json_get(manifest, "uuid"), NULL);
	im.origin = json_str(json_get(manifest, "origin"), NULL);
	im.volume = manifest_is_volume(manifest);
	im.dataset = str_printf("%s/%s", o->pool, im.uuid);
	im.partial = str_printf("%s-partial", im.dataset);
	r = img_lock(im.uuid, true, true, &lock, err);
	if (r == 0)
		r = import_locked(&im, plain, err);
	free(im.dataset);
	free(im.partial);
	return r;
}

/* --- removing */

int
img_delete(const char *uuid, const char *pool, struct error *err)
{
	cleanup_close int lock = -1;
	cleanup_image struct image *i = NULL;
	cleanup_strv struct strv clones = STRV_INIT;
	cleanup_free char *db = NULL;
	int r;

	r = img_need_uuid(uuid, err);
	if (r == 0)
		r = img_lock(uuid, true, false, &lock, err);
	if (r == 0)
		r = img_find(uuid, pool, &i, err);
	if (r == 0)
		r = zfs_clones(i->dataset, true, &clones, err);
	if (r < 0)
		return r;
	if (clones.n) {
		cleanup_free char *names = strv_join(&clones, ", ");

		return img_error(err, EBUSY, "ImageHasDependentClones",
				 "image %s has dependent clones: %s", uuid, names);
	}
	r = zfs_destroy(i->dataset, ZFS_RECURSIVE, err);
	if (r < 0)
		return r;
	db = img_db_path(i->pool, uuid);
	if (unlink(db) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", db);
	return 0;
}

/* Manifests in the database for which the pool has no dataset. */
static int
manifests_without_image(const char *pool, const struct strv *datasets, struct strv *ret, struct error *err)
{
	cleanup_free char *last = img_db_path(pool, "");
	cleanup_free char *dir = xstrndup(last, (size_t)(strrchr(last, '/') - last));
	cleanup_free char *prefix = str_printf("%s-", pool);
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", dir);
	while ((e = readdir(d))) {
		const char *rest = str_after(e->d_name, prefix);
		cleanup_free char *uuid = rest ? xstrndup(rest, UUID_LEN) : NULL;
		cleanup_free char *dataset = rest ? str_printf("%s/%s", pool, uuid) : NULL;

		if (rest && img_uuid_ok(uuid) && str_eq(rest + UUID_LEN, ".json") &&
		    !strv_has(datasets, dataset))
			strv_take(ret, steal_ptr(&uuid));
	}
	closedir(d);
	return 0;
}

/* What a delete left that was killed, or an import in its last step. */
static int
sweep_database(const char *pool, const struct strv *datasets, struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = manifests_without_image(pool, datasets, &uuids, err);

	for (size_t i = 0; r == 0 && i < uuids.n; i++) {
		cleanup_free char *dataset = str_printf("%s/%s", pool, uuids.v[i]);
		cleanup_free char *db = img_db_path(pool, uuids.v[i]);
		cleanup_close int lock = -1;

		if (img_lock(uuids.v[i], true, false, &lock, NULL) < 0)
			continue;
		r = zfs_exists(dataset, err); /* it may have come since */
		if (r == 0 && unlink(db) < 0 && errno != ENOENT)
			r = error_set_errno(err, errno, "%s", db);
		r = r > 0 ? 0 : r;
	}
	return r;
}

int
img_sweep(const char *pool, struct strv *ret_removed, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	int r;

	r = need_pool(pool, err);
	if (r == 0)
		r = zfs_children(pool, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const char *base = strrchr(names.v[i], '/') + 1;
		cleanup_free char *uuid = xstrndup(base, UUID_LEN);
		cleanup_close int lock = -1;

		if (!str_ends(base, "-partial") || !img_uuid_ok(uuid) ||
		    strlen(base) != UUID_LEN + strlen("-partial"))
			continue;
		/* Somebody is at work on it: not ours to remove. */
		if (img_lock(uuid, true, false, &lock, NULL) < 0)
			continue;
		r = destroy_partial(names.v[i], err);
		if (r == 0 && ret_removed)
			strv_add(ret_removed, names.v[i]);
	}
	return r < 0 ? r : sweep_database(pool, &names, err);
}

int
img_repair(const char *uuid, const char *pool, const struct json *manifest, const char *source,
	   struct error *err)
{
	cleanup_close int lock = -1;
	cleanup_image struct image *i = NULL;
	cleanup_strv struct strv snapshots = STRV_INIT;
	int r;

	r = img_lock(uuid, true, false, &lock, err);
	if (r == 0)
		r = img_find(uuid, pool, &i, err);
	if (r == 0)
		r = zfs_snapshots(i->dataset, &snapshots, err);
	if (r < 0)
		return r;
	if (!strv_has(&snapshots, i->snapshot)) {
		/* One snapshot is what it was made of; several give no answer. */
		if (snapshots.n > 1)
			return error_set(err, EEXIST, "image %s has %zu snapshots and none is @final",
					 uuid, snapshots.n);
		r = snapshots.n ? zfs_rename(snapshots.v[0], i->snapshot, 0, err)
				: zfs_snapshot(i->snapshot, false, NULL, err);
		if (r < 0)
			return r;
	}
	return img_db_write(i->pool, manifest, source, err);
}
