/*
 * `vmadm delete`: steps that may run again, so that one cut short is finished by
 * the next vmadm (vm_job.h).  The root goes before the zone's entry: a VM whose
 * datasets cannot be destroyed stays in the list.
 */
#include "base/file.h"
#include "vm/vm_job.h"

static int
step_halt(struct vm_job *job, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	int r;

	if (zone_info_read(job->uuid, &zi, NULL) < 0)
		return 0;
	if (zi.state == ZONE_CONFIGURED || zi.state == ZONE_INCOMPLETE)
		return 0;
	r = vm_ops->zone_quiesce(job->uuid, err);
	if (r < 0)
		return r;
	return zone_set_incomplete(job->uuid, err);
}

static int
undo_halt(struct vm_job *job, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};

	if (zone_info_read(job->uuid, &zi, NULL) < 0 || zi.state != ZONE_INCOMPLETE)
		return 0;
	return zone_set_installed(job->uuid, err);
}

static int
destroy(const char *dataset, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	int r = vm_ops->zfs_destroy(dataset, ZFS_RECURSIVE | ZFS_FORCE, &own);

	if (r == 0 || r == -ENOENT)
		return 0;
	error_move(err, &own);
	return r;
}

/* What is not there (any more) need not be kept. */
static int
keep_file(const char *from, const char *to, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	cleanup_free char *data = NULL;
	size_t len;
	int r = file_read(from, 0, &data, &len, &own);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0) {
		error_move(err, &own);
		return r;
	}
	return file_write_atomic(to, data, len, 0600, err);
}

/* archive_on_delete: what is worth keeping of a VM that goes, in POOL/archive/UUID. */
static int
step_archive(struct vm_job *job, struct error *err)
{
	static const char *const files[] = {"config/metadata.json", "config/tags.json",
					    "config/routes.json", "logs/console.log"};
	const char *pool = json_str(json_get(job->vm, "zpool"), "zones");
	cleanup_free char *dir = str_printf("%s/%s/archive/%s", zone_root(), pool, job->uuid);
	cleanup_free char *xml = str_printf("%s/etc/zones/%s.xml", zone_root(), job->uuid);
	cleanup_free char *kept = str_printf("%s/%s.xml", dir, job->uuid);
	int r;

	if (!json_bool(json_get(job->vm, "archive_on_delete"), false))
		return 0;
	r = file_mkdir_p(dir, 0700, err);
	if (r == 0)
		r = keep_file(xml, kept, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		cleanup_free char *from = vm_path(job->vm, files[i]);
		cleanup_free char *to = str_printf("%s/%s", dir, strchr(files[i], '/') + 1);

		r = keep_file(from, to, err);
	}
	return r;
}

static int
step_root(struct vm_job *job, struct error *err)
{
	return destroy(job->root, err);
}

static int
step_disks(struct vm_job *job, struct error *err)
{
	const struct json *d;
	int r = 0;

	for (size_t i = 0; r == 0 && (d = json_at(json_get(job->vm, "disks"), i)) != NULL; i++)
		if (vm_own_volume(job, d))
			r = destroy(vm_own_volume(job, d), err);
	return r;
}

static int
step_firewall(struct vm_job *job, struct error *err)
{
	cleanup_free char *path = str_printf("%s/var/fw/vms/%s.json", zone_root(), job->uuid);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

static int
step_zone(struct vm_job *job, struct error *err)
{
	return vm_remove_zone(job, err);
}

const struct vm_step vm_delete_steps[] = {
	{"halt", step_halt, undo_halt},
	{"archive", step_archive, NULL},
	{"root", step_root, NULL},
	{"disks", step_disks, NULL},
	{"firewall", step_firewall, NULL},
	{"zone", step_zone, NULL},
};
const size_t vm_delete_steps_n = ARRAY_SIZE(vm_delete_steps);

static int
check_destructible(const struct json *vm, struct error *err)
{
	static const char *const which[] = {"indestructible_zoneroot", "indestructible_delegated"};

	for (size_t i = 0; i < ARRAY_SIZE(which); i++)
		if (json_bool(json_get(vm, which[i]), false))
			return error_set(err, EPERM, "VM %s has %s set: it cannot be deleted until "
						     "that is false",
					 json_str(json_get(vm, "uuid"), ""), which[i]);
	return 0;
}

int
vm_delete(const char *uuid, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	struct json *vm = NULL;
	int r;

	r = vm_load(uuid, VM_LOAD_ZFS, &vm, err);
	if (r < 0)
		return r;
	vm_job_init(&job, "delete", vm);
	r = check_destructible(vm, err);
	if (r == 0)
		r = vm_lock(job.uuid, true, &job.lock, err);
	if (r == 0)
		r = vm_journal_write(&job, err);
	if (r == 0 && vm_step_hook)
		vm_step_hook("delete", "journal", "end");
	/*
	 * Up to the destruction of the root there is a way back (a clone made of the
	 * VM may hold it); behind it only forwards.
	 */
	if (r == 0)
		r = vm_steps_run(&job, vm_delete_steps, 0, 3, err);
	for (size_t i = 3; r == 0 && i < vm_delete_steps_n; i++) {
		if (vm_step_hook)
			vm_step_hook("delete", vm_delete_steps[i].name, "begin");
		r = vm_delete_steps[i].run(&job, err);
	}
	if (r < 0)
		return r;
	return vm_journal_remove(&job, err);
}
