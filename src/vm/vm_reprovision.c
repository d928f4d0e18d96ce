/*
 * `vmadm reprovision`: a new root of another image, everything else as it was.
 *
 * The old root is put aside under the name ROOT-old, the new one is made, the
 * delegated dataset moves over, and the XML names the new image: up to there an
 * interruption is undone.  Then the journal changes its action, and from there on
 * it is finished: the old root is destroyed.
 */
#include "vm/vm_job.h"

static char *
old_root(const struct vm_job *job)
{
	return str_printf("%s-old", job->root);
}

/* Renames a dataset, and what is below, if it is there. */
static int
move(const char *from, const char *to, struct error *err)
{
	int there = vm_ops->zfs_exists(from, err);

	return there <= 0 ? there : vm_ops->zfs_rename(from, to, 0, err);
}

static int
step_aside(struct vm_job *job, struct error *err)
{
	cleanup_free char *old = old_root(job);

	return vm_ops->zfs_rename(job->root, old, 0, err);
}

static int
undo_aside(struct vm_job *job, struct error *err)
{
	cleanup_free char *old = old_root(job);
	cleanup_free char *data = str_printf("%s/data", job->root);
	int there = vm_ops->zfs_exists(old, err), r;

	if (there <= 0)
		return there;
	/* The zone's own data must have gone back before the new root is destroyed. */
	r = vm_ops->zfs_exists(data, err);
	if (r > 0)
		return error_set(err, EBUSY, "%s is still below the new root", data);
	if (r == 0)
		r = vm_destroy_marked(job, job->root, err);
	return r < 0 ? r : vm_ops->zfs_rename(old, job->root, 0, err);
}

static int
step_clone(struct vm_job *job, struct error *err)
{
	cleanup_strv struct strv props = STRV_INIT;

	vm_root_props(job, &props);
	return vm_ops->zfs_clone(job->image->snapshot, job->root, (const char *const *)props.v, 0,
				 err);
}

static int
step_data(struct vm_job *job, struct error *err)
{
	cleanup_free char *old = old_root(job);
	cleanup_free char *from = str_printf("%s/data", old);
	cleanup_free char *to = str_printf("%s/data", job->root);

	return move(from, to, err);
}

static int
undo_data(struct vm_job *job, struct error *err)
{
	cleanup_free char *old = old_root(job);
	cleanup_free char *to = str_printf("%s/data", old);
	cleanup_free char *from = str_printf("%s/data", job->root);
	int there = vm_ops->zfs_exists(old, err);

	return there <= 0 ? there : move(from, to, err);
}

static int
step_files(struct vm_job *job, struct error *err)
{
	return vm_write_files(job->vm, err);
}

static int
set_image(struct vm_job *job, const char *uuid, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	int r = zone_config_read(job->uuid, &c, err);

	if (r < 0)
		return r;
	zone_config_set_attr(c, "dataset-uuid", "string", uuid);
	return zone_config_write(c, err);
}

static int
step_config(struct vm_job *job, struct error *err)
{
	return set_image(job, job->image->uuid, err);
}

/* The journal holds the VM as it was. */
static int
undo_config(struct vm_job *job, struct error *err)
{
	const char *was = json_str(json_get(job->vm, "image_uuid"), NULL);

	return was ? set_image(job, was, err) : 0;
}

const struct vm_step vm_reprovision_steps[] = {
	{"aside", step_aside, undo_aside},
	{"root", step_clone, NULL}, /* goes when the old one comes back */
	{"data", step_data, undo_data},
	{"files", step_files, NULL},
	{"config", step_config, undo_config},
};
const size_t vm_reprovision_steps_n = ARRAY_SIZE(vm_reprovision_steps);

static int
step_destroy_old(struct vm_job *job, struct error *err)
{
	cleanup_free char *old = old_root(job);
	int there = vm_ops->zfs_exists(old, err);

	return there <= 0 ? there : vm_ops->zfs_destroy(old, ZFS_RECURSIVE | ZFS_FORCE, err);
}

const struct vm_step vm_reprovisioned_steps[] = {
	{"destroy old root", step_destroy_old, NULL},
};
const size_t vm_reprovisioned_steps_n = ARRAY_SIZE(vm_reprovisioned_steps);

/* The image of the payload, which may hold nothing else. */
static int
take_image(struct vm_job *job, struct json *payload, struct error *err)
{
	const char *pool = json_str(json_get(job->vm, "zpool"), "zones");
	const char *uuid;
	int r;

	for (size_t i = 0; i < json_len(payload); i++)
		if (!str_eq(json_key_at(payload, i), "image_uuid"))
			return error_set(err, EINVAL, "Invalid property(s): %s\n    only image_uuid "
						      "can be reprovisioned",
					 json_key_at(payload, i));
	if (!json_str(json_get(payload, "image_uuid"), NULL))
		return error_set(err, EINVAL, "Missing required property(s): image_uuid");
	r = vm_resolve_images(payload, "disks", err);
	if (r < 0)
		return r;
	uuid = json_str(json_get(payload, "image_uuid"), "");
	r = vm_ops->img_hold(uuid, &job->hold, err);
	if (r == 0)
		r = vm_ops->img_find(uuid, pool, &job->image, err);
	if (r == 0)
		r = vm_ops->img_fits(job->image, vm_brand_name(job->brand),
				     (uint64_t)json_int(json_get(job->vm, "ram"), 0), NULL, err);
	return r;
}

int
vm_reprovision(const char *uuid, struct json *payload, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_close int lock = -1;
	bool running;
	int r = vm_load_locked(uuid, VM_LOAD_ALL, &vm, &lock, err);

	if (r < 0)
		return r;
	running = str_eq(json_str(json_get(vm, "zone_state"), ""), "running");
	vm_job_init(&job, "reprovision", steal_ptr(&vm));
	job.lock = steal_fd(&lock);
	if (!(job.brand & VM_OS))
		return error_set(err, ENOTSUP, "VM %s is of brand %s: only zones can be "
					       "reprovisioned", uuid, vm_brand_name(job.brand));
	if (json_bool(json_get(job.vm, "indestructible_zoneroot"), false))
		return error_set(err, EPERM, "VM %s has indestructible_zoneroot set", uuid);
	r = take_image(&job, payload, err);
	if (r == 0 && running)
		r = vm_ops->zone_halt(job.uuid, err);
	if (r == 0)
		r = vm_journal_write(&job, err);
	if (r == 0 && vm_step_hook)
		vm_step_hook("reprovision", "journal", "end");
	if (r == 0)
		r = vm_steps_run(&job, vm_reprovision_steps, 0, vm_reprovision_steps_n, err);
	if (r < 0) {
		if (running)
			vm_ops->zone_boot(job.uuid, NULL, NULL); /* as it was */
		return r;
	}
	job.action = "reprovisioned";
	r = vm_journal_write(&job, err);
	if (r == 0 && vm_step_hook)
		vm_step_hook("reprovisioned", "journal", "end");
	if (r == 0)
		r = step_destroy_old(&job, err);
	if (r == 0)
		r = vm_journal_remove(&job, err);
	return r < 0 || !running ? r : vm_ops->zone_boot(job.uuid, NULL, err);
}
