/*
 * `vmadm create`: checks without side effects, then the steps.
 *
 * Everything that can be known to be wrong is found before the first step: the
 * payload, the image, the NIC tags, conflicts with other VMs.  The zone enters
 * the index first, under the lock that also covers the check for conflicts, so
 * that two creates at once cannot both get an address.
 */
#include <sys/stat.h>

#include "base/file.h"
#include "vm/vm_job.h"

/* ---- before the first step -------------------------------------------------- */

static int
check_root_image(struct vm_job *job, struct error *err)
{
	const char *uuid = json_str(json_get(job->vm, "image_uuid"), NULL);
	const char *pool = json_str(json_get(job->vm, "zpool"), "zones");
	int r;

	if (!uuid)
		return 0;
	r = vm_ops->img_hold(uuid, &job->hold, err);
	if (r < 0)
		return r;
	r = vm_ops->img_find(uuid, pool, &job->image, err);
	if (r < 0)
		return r;
	return vm_ops->img_fits(job->image, vm_brand_name(job->brand),
				(uint64_t)json_int(json_get(job->vm, "ram"), 0), NULL, err);
}

/* What the image of a disk says about disks, nics and processor, where the payload does not. */
static void
take_drivers(struct json *vm, const struct image *img)
{
	static const char *const from_image[] = {"disk_driver", "nic_driver", "cpu_type"};

	for (size_t i = 0; i < ARRAY_SIZE(from_image); i++) {
		const char *v = json_str(json_get(img->manifest, from_image[i]), NULL);

		if (v && !json_get(vm, from_image[i]) &&
		    (!str_eq(from_image[i], "cpu_type") ||
		     str_eq(json_str(json_get(vm, "brand"), NULL), "kvm")))
			json_set_str(vm, from_image[i], v);
	}
}

static int
check_disk_image(struct json *vm, struct json *disk, enum vm_brand brand, struct error *err)
{
	const char *uuid = json_str(json_get(disk, "image_uuid"), NULL);
	const char *pool = json_str(json_get(disk, "zpool"),
				    json_str(json_get(vm, "zpool"), "zones"));
	struct image *img = NULL;
	int64_t image_mib, size;
	int r;

	if (!uuid)
		return 0;
	r = vm_ops->img_find(uuid, pool, &img, err);
	if (r < 0)
		return r;
	r = vm_ops->img_fits(img, vm_brand_name(brand), (uint64_t)json_int(json_get(vm, "ram"), 0),
			     json_str(json_get(vm, "bootrom"), "bios"), err);
	image_mib = (int64_t)(img->volsize >> 20);
	size = json_int(json_get(disk, "size"), 0);
	if (r == 0 && size && size < image_mib)
		r = error_set_path(err, EINVAL, "disks.*.size",
				   "Invalid value(s) for: disks.*.size\n    size: %lld is less than "
				   "the %lld MiB of image %s", (long long)size,
				   (long long)image_mib, uuid);
	if (r == 0) {
		take_drivers(vm, img);
		json_set_int(disk, "image_size", image_mib);
		if (!size)
			json_set_int(disk, "size", image_mib);
	}
	vm_ops->img_free(img);
	return r;
}

static int
check_exists(const char *what, const struct json *list, const char *key, struct error *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_at(list, i);
		const char *path = json_str(json_get(o, key), NULL);
		cleanup_free char *real = path ? str_printf("%s%s", zone_root(), path) : NULL;

		if (real && !file_exists(real))
			return error_set_path(err, ENOENT, what,
					      "Invalid value(s) for: %s.*.%s\n    %s[%zu].%s: %s "
					      "does not exist", what, key, what, i, key, path);
	}
	return 0;
}

static int
check_nic_tags(const struct json *vm, struct error *err)
{
	const struct json *nic;
	int r = 0;

	for (size_t i = 0; r == 0 && (nic = json_at(json_get(vm, "nics"), i)) != NULL; i++)
		r = vm_ops->nictag_check(json_str(json_get(nic, "nic_tag"), ""), err);
	return r;
}

/* An image named by its name becomes its UUID. */
static int
resolve_image(struct json *o, const struct json *vm, struct error *err)
{
	const char *ref = json_str(json_get(o, "image_uuid"), NULL);
	cleanup_free char *uuid = NULL;
	int r;

	if (!ref || str_is_uuid(ref))
		return 0;
	r = vm_ops->img_by_name(ref, json_str(json_get(o, "zpool"),
					      json_str(json_get(vm, "zpool"), "zones")),
				&uuid, err);
	if (r == 0)
		json_set_str(o, "image_uuid", uuid);
	return r;
}

int
vm_resolve_images(struct json *vm, const char *disks, struct error *err)
{
	int r = resolve_image(vm, vm, err);

	for (size_t i = 0; r == 0 && i < json_len(json_get(vm, disks)); i++)
		r = resolve_image(json_at(json_get(vm, disks), i), vm, err);
	return r;
}

/* Payload to complete VM; nothing is changed on the node. */
static int
prepare(struct json *vm, enum vm_brand brand, struct error *err)
{
	cleanup_vm_report struct vm_report report = VM_REPORT_INIT;
	cleanup_json struct json *existing = json_new_array();
	const struct json *disk;
	int r;

	vm_payload_check(vm, brand, VM_CREATE, &report);
	if (!vm_report_ok(&report))
		return vm_report_error(&report, err);
	r = vm_resolve_images(vm, "disks", err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_len(json_get(vm, "disks")); i++) {
		r = check_disk_image(vm, json_at(json_get(vm, "disks"), i), brand, err);
		if (r < 0)
			return r;
	}
	vm_payload_defaults(vm, brand);
	vm_payload_follow(vm, brand, NULL);
	vm_payload_rules(vm, brand, &report);
	if (!vm_report_ok(&report))
		return vm_report_error(&report, err);
	json_array_each(disk, json_get(vm, "disks"))
		if (json_get(disk, "nocreate") || str_eq(json_str(json_get(disk, "media"), NULL),
							 "cdrom"))
			json_push(existing, json_copy(disk));
	r = check_exists("disks", existing, "path", err);
	if (r == 0)
		r = check_exists("filesystems", json_get(vm, "filesystems"), "source", err);
	if (r == 0)
		r = check_nic_tags(vm, err);
	return r;
}

/* A name of ours must be free: an image, a stray dataset or another zone may bear it. */
static int
check_free(const struct vm_job *job, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	const struct json *d;
	int r;

	if (zone_info_read(job->uuid, &zi, NULL) == 0)
		return error_set(err, EEXIST, "VM with uuid %s already exists", job->uuid);
	r = vm_ops->zfs_exists(job->root, err);
	if (r > 0)
		return error_set(err, EEXIST, "dataset %s already exists", job->root);
	for (size_t i = 0; r == 0 && (d = json_at(json_get(job->vm, "disks"), i)) != NULL; i++) {
		const char *name = vm_own_volume(job, d);

		if (!name || json_bool(json_get(d, "nocreate"), false))
			continue;
		r = vm_ops->zfs_exists(name, err);
		if (r > 0)
			return error_set(err, EEXIST, "volume %s already exists", name);
	}
	return r;
}

/* ---- the steps ----------------------------------------------------------------- */

static int
step_zone(struct vm_job *job, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *path = str_printf("/%s", job->root);
	int r;

	r = zone_config_new(job->uuid, vm_brand_name(job->brand), path, &c, err);
	if (r < 0)
		return r;
	zone_config_set(c, "uuid", job->uuid);
	vm_to_config(job->vm, job->brand, c);
	r = zone_create(c, err);
	if (r == 0)
		r = zone_set_incomplete(job->uuid, err);
	return r;
}

void
vm_root_props(const struct vm_job *job, struct strv *ret)
{
	const struct json *vm = job->vm;
	int64_t quota = json_int(json_get(vm, "quota"), 0);

	strv_addf(ret, "%s=%s", VM_MARK, job->mark);
	strv_add(ret, "devices=off");
	if (quota)
		strv_addf(ret, "%s=%lldG", job->brand == VM_BHYVE ? "refquota" : "quota",
			  (long long)quota);
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		const struct json *v = json_get(vm, p->path);
		cleanup_free char *text = NULL;

		if (p->store != VM_S_ZFS || strchr(p->path, '*') || !v ||
		    str_eq(p->path, "quota") || str_after(p->key, "data:"))
			continue;
		text = json_str(v, NULL) ? xstrdup(json_str(v, "")) : json_print(v, false);
		strv_addf(ret, "%s=%s", p->key, text);
	}
}

static int
make_dir(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

static int
step_root(struct vm_job *job, struct error *err)
{
	cleanup_strv struct strv props = STRV_INIT;
	cleanup_free char *root_dir = vm_path(job->vm, "root");
	int r;

	if (job->receive)
		return job->receive(job, job->stream, err);
	vm_root_props(job, &props);
	if (job->image)
		return vm_ops->zfs_clone(job->image->snapshot, job->root,
					 (const char *const *)props.v, 0, err);
	r = vm_ops->zfs_create(job->root, (const char *const *)props.v, 0, err);
	if (r < 0)
		return r;
	return make_dir(root_dir, 0755, err);
}

static int
undo_root(struct vm_job *job, struct error *err)
{
	return vm_destroy_marked(job, job->root, err);
}

static int
step_delegated(struct vm_job *job, struct error *err)
{
	cleanup_free char *data = str_printf("%s/data", job->root);
	cleanup_strv struct strv props = STRV_INIT;
	const char *compression = json_str(json_get(job->vm, "zfs_data_compression"), NULL);
	int64_t recsize = json_int(json_get(job->vm, "zfs_data_recsize"), 0);

	if (job->receive || !json_bool(json_get(job->vm, "delegate_dataset"), false))
		return 0;
	strv_add(&props, "zoned=on"); /* its mount is the zone's affair */
	if (compression)
		strv_addf(&props, "compression=%s", compression);
	if (recsize)
		strv_addf(&props, "recordsize=%lld", (long long)recsize);
	return vm_ops->zfs_create(data, (const char *const *)props.v, ZFS_NO_MOUNT, err);
}

static int
make_disk(struct vm_job *job, const struct json *d, struct error *err)
{
	cleanup_strv struct strv props = STRV_INIT;
	const char *name = vm_own_volume(job, d);
	const char *image = json_str(json_get(d, "image_uuid"), NULL);
	const char *compression = json_str(json_get(d, "compression"), NULL);
	int64_t size = json_int(json_get(d, "size"), 0);
	int64_t refres = json_int(json_get(d, "refreservation"), -1);
	struct image *img = NULL;
	cleanup_close int hold = -1;
	int r;

	if (!name || json_bool(json_get(d, "nocreate"), false))
		return 0;
	strv_addf(&props, "%s=%s", VM_MARK, job->mark);
	if (compression)
		strv_addf(&props, "compression=%s", compression);
	if (!image) {
		if (refres >= 0)
			strv_addf(&props, "refreservation=%lldM", (long long)refres);
		return vm_ops->zvol_create(name, (uint64_t)size << 20,
					   (uint32_t)json_int(json_get(d, "block_size"), 0),
					   (const char *const *)props.v,
					   refres >= 0 ? ZFS_SPARSE : 0, err);
	}
	r = vm_ops->img_hold(image, &hold, err);
	if (r == 0)
		r = vm_ops->img_find(image, json_str(json_get(d, "zpool"),
						     json_str(json_get(job->vm, "zpool"), "zones")),
				     &img, err);
	if (r < 0)
		return r;
	if (refres >= 0)
		strv_addf(&props, "refreservation=%lldM", (long long)refres);
	r = vm_ops->zfs_clone(img->snapshot, name, (const char *const *)props.v, 0, err);
	if (r == 0 && (uint64_t)size << 20 > img->volsize)
		r = vm_ops->zvol_resize(name, (uint64_t)size << 20, err);
	vm_ops->img_free(img);
	return r;
}

int
vm_create_disks(struct vm_job *job, struct error *err)
{
	const struct json *disks = json_get(job->vm, "disks");

	for (size_t i = 0; !job->receive && i < json_len(disks); i++) {
		int r = make_disk(job, json_at(disks, i), err);

		if (r < 0)
			return error_wrap(err, r, "disks[%zu]", i);
	}
	return 0;
}

int
vm_destroy_disks(struct vm_job *job, struct error *err)
{
	const struct json *disks = json_get(job->vm, "disks");
	int first = 0;

	for (size_t i = 0; i < json_len(disks); i++) {
		const char *name = vm_own_volume(job, json_at(disks, i));
		int r = name ? vm_destroy_marked(job, name, first ? NULL : err) : 0;

		if (r < 0 && !first)
			first = r;
	}
	return first;
}

static int
step_files(struct vm_job *job, struct error *err)
{
	return vm_write_files(job->vm, err);
}

static int
step_indestructible(struct vm_job *job, struct error *err)
{
	static const char *const which[] = {"indestructible_zoneroot", "indestructible_delegated"};

	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		cleanup_free char *snap = str_printf("%s%s@indestructible", job->root,
						     i ? "/data" : "");
		int r;

		if (!json_bool(json_get(job->vm, which[i]), false))
			continue;
		r = vm_ops->zfs_snapshot(snap, false, NULL, err);
		if (r == 0)
			r = vm_ops->zfs_hold("do_not_destroy", snap, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
undo_indestructible(struct vm_job *job, struct error *err)
{
	static const char *const below[] = {"", "/data"};

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		cleanup_free char *snap = str_printf("%s%s@indestructible", job->root, below[i]);
		cleanup_error struct error own = ERROR_INIT;

		if (vm_ops->zfs_exists(snap, &own) <= 0)
			continue;
		/* The hold may not be there yet; destroying the root says so if it stays. */
		vm_ops->zfs_release("do_not_destroy", snap, &own);
	}
	return 0;
}

static int
step_installed(struct vm_job *job, struct error *err)
{
	return zone_set_installed(job->uuid, err);
}

static int
step_boot(struct vm_job *job, struct error *err)
{
	if (job->receive || !json_bool(json_get(job->vm, "autoboot"), true))
		return 0;
	return vm_ops->zone_boot(job->uuid, NULL, err);
}

static int
undo_boot(struct vm_job *job, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};

	/* also when it is not up: a boot that a killed vmadm asked for may be on its way */
	if (zone_info_read(job->uuid, &zi, NULL) < 0)
		return 0;
	return vm_ops->zone_quiesce(job->uuid, err);
}

const struct vm_step vm_create_steps[] = {
	{"zone", step_zone, vm_remove_zone},
	{"root", step_root, undo_root},
	{"delegated dataset", step_delegated, NULL}, /* goes with the root */
	{"disks", vm_create_disks, vm_destroy_disks},
	{"files", step_files, NULL},
	{"indestructible", step_indestructible, undo_indestructible},
	{"installed", step_installed, NULL},
	{"boot", step_boot, undo_boot},
};
const size_t vm_create_steps_n = ARRAY_SIZE(vm_create_steps);

/* ---- the command's call ----------------------------------------------------------- */

/*
 * The zone step and the check for conflicts are one under the lock; the later
 * steps, which take their time, are not.
 */
static int
run(struct vm_job *job, struct error *err)
{
	cleanup_json struct json *others = NULL;
	cleanup_close int reserve = -1;
	int r;

	r = vm_lock("create", true, &reserve, err);
	if (r == 0)
		r = check_free(job, err);
	if (r == 0)
		r = vm_load_all(0, &others, NULL, err);
	if (r == 0)
		r = vm_check_conflicts(job->vm, others, err);
	if (r == 0)
		r = vm_journal_write(job, err);
	if (r < 0)
		return r;
	if (vm_step_hook)
		vm_step_hook("create", "journal", "end");
	r = vm_steps_run(job, vm_create_steps, 0, 1, err);
	if (r < 0)
		return r;
	close(steal_fd(&reserve));
	r = vm_steps_run(job, vm_create_steps, 1, vm_create_steps_n, err);
	if (r < 0)
		return r;
	return vm_journal_remove(job, err);
}

/* Volumes of disks by name, as loading shows them. */
static void
name_volumes(struct json *vm)
{
	for (size_t i = 0; i < json_len(json_get(vm, "disks")); i++) {
		struct json *d = json_at(json_get(vm, "disks"), i);
		const char *name = str_after(json_str(json_get(d, "path"), ""), "/dev/zvol/rdsk/");

		if (name)
			json_set_str(d, "zfs_filesystem", name);
	}
}

int
vm_create_received(struct json *vm,
		   int (*receive)(struct vm_job *job, int fd, struct error *err), int fd,
		   char **ret_uuid, struct error *err)
{
	cleanup_vm_report struct vm_report report = VM_REPORT_INIT;
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	enum vm_brand brand = vm_brand_parse(json_str(json_get(vm, "brand"), ""));
	bool delegated = json_len(json_get(vm, "datasets"));
	int r = 0;

	vm_payload_check(vm, brand, VM_RECEIVE, &report);
	if (vm_report_ok(&report)) {
		json_set_bool(vm, "delegate_dataset", delegated);
		if (!delegated)
			json_remove(vm, "delegate_dataset");
		vm_payload_defaults(vm, brand);
		vm_payload_rules(vm, brand, &report);
	}
	if (!vm_report_ok(&report))
		r = vm_report_error(&report, err);
	if (r == 0)
		r = check_nic_tags(vm, err);
	if (r < 0) {
		json_free(vm);
		return r;
	}
	vm_job_init(&job, "create", vm);
	name_volumes(vm);
	job.receive = receive;
	job.stream = fd;
	r = vm_lock(job.uuid, true, &job.lock, err);
	if (r == 0)
		r = run(&job, err);
	if (r < 0)
		return r;
	*ret_uuid = xstrdup(job.uuid);
	return 0;
}

int
vm_create(struct json *payload, char **ret_uuid, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	struct json *vm = json_copy(payload);
	enum vm_brand brand = vm_brand_parse(json_str(json_get(vm, "brand"), ""));
	int r;

	r = prepare(vm, brand, err);
	if (r < 0) {
		json_free(vm);
		return r;
	}
	vm_job_init(&job, "create", vm);
	name_volumes(vm);
	r = vm_lock(job.uuid, true, &job.lock, err);
	if (r == 0)
		r = check_root_image(&job, err);
	if (r == 0)
		r = run(&job, err);
	if (r < 0)
		return r;
	*ret_uuid = xstrdup(job.uuid);
	return 0;
}
