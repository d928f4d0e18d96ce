/* Steps, journal, locks, recovery.  The theory stands in vm_job.h. */
#include "vm/vm_job.h"

#include <dirent.h>
#include <signal.h>

#include "base/file.h"
#include "os/run.h"
#include "vm/vm_probes.h"

void (*vm_step_hook)(const char *action, const char *step, const char *when);

void
vm_job_init(struct vm_job *job, const char *action, struct json *vm)
{
	*job = (struct vm_job)VM_JOB_INIT;
	job->action = action;
	job->vm = vm;
	job->brand = vm_brand_parse(json_str(json_get(vm, "brand"), ""));
	job->uuid = xstrdup(json_str(json_get(vm, "uuid"), ""));
	job->root = vm_dataset(vm);
	uuid_random(job->mark);
}

void
vm_job_done(struct vm_job *job)
{
	if (job->image)
		vm_ops->img_free(job->image);
	if (job->hold >= 0)
		close(job->hold);
	if (job->lock >= 0)
		close(job->lock);
	if (job->metadata >= 0)
		close(job->metadata);
	json_free(job->vm);
	json_free(job->old);
	free(job->uuid);
	free(job->root);
	*job = (struct vm_job)VM_JOB_INIT;
}

/* ---- locks ------------------------------------------------------------------- */

int
vm_lock(const char *what, bool wait, int *ret_fd, struct error *err)
{
	cleanup_free char *dir = str_printf("%s%s", zone_root(), VM_LOCK_DIR);
	cleanup_free char *path = str_printf("%s/%s.lock", dir, what);
	int r;

	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	return file_lock(path, wait, ret_fd, err);
}

int
vm_lock_metadata(const char *uuid, int *ret_fd, struct error *err)
{
	cleanup_free char *what = str_printf("%s.metadata", uuid);

	return vm_lock(what, true, ret_fd, err);
}

/* ---- journal ------------------------------------------------------------------ */

static char *
journal_path(const char *uuid)
{
	return str_printf("%s%s/%s.json", zone_root(), VM_JOURNAL_DIR, uuid);
}

/*
 * What a journal may say was under way, and what is then done about it: undone, or
 * run (again) to its end.
 */
static const struct action {
	const char *name;
	bool undo;
	const struct vm_step *steps;
	const size_t *n;
	const char *done[2]; /* the UUID stands between */
} actions[] = {
	{"create", true, vm_create_steps, &vm_create_steps_n,
	 {"removed VM ", ", whose creation was interrupted"}},
	{"delete", false, vm_delete_steps, &vm_delete_steps_n,
	 {"removed VM ", ", whose deletion was interrupted"}},
	{"update", true, vm_update_steps, &vm_update_steps_n,
	 {"put back VM ", ", whose update was interrupted"}},
	{"updated", false, vm_updated_steps, &vm_updated_steps_n,
	 {"finished the update of VM ", ""}},
	{"reprovision", true, vm_reprovision_steps, &vm_reprovision_steps_n,
	 {"put back VM ", ", whose reprovisioning was interrupted"}},
	{"reprovisioned", false, vm_reprovisioned_steps, &vm_reprovisioned_steps_n,
	 {"removed the old root of VM ", ", which was reprovisioned"}},
};

static const struct action *
action_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (str_eq(name, actions[i].name))
			return &actions[i];
	return NULL;
}

/* What undoing needs, and no more: no metadata, no passwords.  (An update's needs all.) */
static struct json *
journal_vm(const struct json *vm)
{
	static const char *const kept[] = {"uuid", "zonename", "brand", "zpool", "zonepath",
					   "image_uuid", "archive_on_delete"};
	struct json *out = json_new_object();
	struct json *disks = json_new_array();
	const struct json *d;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (json_get(vm, kept[i]))
			json_set(out, kept[i], json_copy(json_get(vm, kept[i])));
	json_array_each(d, json_get(vm, "disks")) {
		struct json *copy = json_new_object();

		json_set_str(copy, "path", json_str(json_get(d, "path"), NULL));
		if (json_get(d, "zfs_filesystem"))
			json_set(copy, "zfs_filesystem", json_copy(json_get(d, "zfs_filesystem")));
		json_push(disks, copy);
	}
	json_set(out, "disks", disks);
	return out;
}

int
vm_journal_write(const struct vm_job *job, struct error *err)
{
	cleanup_free char *dir = str_printf("%s%s", zone_root(), VM_JOURNAL_DIR);
	cleanup_free char *path = journal_path(job->uuid);
	cleanup_json struct json *j = json_new_object();
	int r;

	json_set_str(j, "action", job->action);
	json_set_str(j, "mark", job->mark);
	json_set_int(j, "pid", getpid());
	json_set(j, "vm", job->old ? json_copy(job->vm) : journal_vm(job->vm));
	if (job->old)
		json_set(j, "old", json_copy(job->old));
	r = file_mkdir_p(dir, 0700, err);
	if (r < 0)
		return r;
	return json_write_file(path, j, 0600, err);
}

int
vm_journal_remove(const struct vm_job *job, struct error *err)
{
	cleanup_free char *path = journal_path(job->uuid);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	return 0;
}

static int
journal_read(const char *uuid, struct vm_job *job, struct error *err)
{
	cleanup_free char *path = journal_path(uuid);
	cleanup_json struct json *j = NULL;
	const struct action *action;
	const char *mark;
	int r;

	r = json_read_file(path, &j, err);
	if (r < 0)
		return r;
	action = action_find(json_str(json_get(j, "action"), ""));
	mark = json_str(json_get(j, "mark"), "");
	if (!action || !str_is_uuid(mark) ||
	    (action->steps == vm_update_steps && !json_get(j, "old")) ||
	    !str_eq(json_str(json_lookup(j, "vm.uuid"), NULL), uuid))
		return error_set(err, EINVAL, "%s: not a journal of vmadm", path);
	vm_job_init(job, action->name, json_steal(j, "vm"));
	job->old = json_steal(j, "old");
	memcpy(job->mark, mark, sizeof(job->mark));
	return 0;
}

/* ---- steps ----------------------------------------------------------------------- */

static void
hook(const struct vm_job *job, const char *step, const char *when)
{
	if (vm_step_hook)
		vm_step_hook(job->action, step, when);
	if (str_eq(when, "begin"))
		VM_STEP_START(job->uuid, job->action, step);
	else
		VM_STEP_DONE(job->uuid, job->action, step);
}

int
vm_steps_undo(struct vm_job *job, const struct vm_step *steps, size_t n, struct error *err)
{
	int first = 0;

	while (n-- > 0) {
		cleanup_error struct error own = ERROR_INIT;
		int r = steps[n].undo ? steps[n].undo(job, &own) : 0;

		if (r < 0 && !first) {
			first = r;
			error_wrap(&own, r, "undoing \"%s\"", steps[n].name);
			error_move(err, &own);
		}
	}
	return first;
}

int
vm_steps_run(struct vm_job *job, const struct vm_step *steps, size_t from, size_t to,
	     struct error *err)
{
	for (size_t i = from; i < to; i++) {
		int r;

		hook(job, steps[i].name, "begin");
		/* What a step starts holds our lock on: killed, it is waited for (recover_one()). */
		run_set_lease(job->lock);
		r = steps[i].run(job, err);
		run_set_lease(-1);
		if (r < 0) {
			cleanup_error struct error undo = ERROR_INIT;

			if (vm_steps_undo(job, steps, i + 1, &undo) < 0) {
				/* The journal stays, and the next run tries again. */
				cleanup_free char *both =
					str_printf("%s; then %s", error_message(err),
						   error_message(&undo));

				error_set(err, -r, "%s", both);
				return r;
			}
			vm_journal_remove(job, &undo);
			return r;
		}
		hook(job, steps[i].name, "end");
	}
	return 0;
}

/* ---- what several steps need ---------------------------------------------------------- */

/*
 * ZFS makes a dataset in one transaction and sets its properties in the next: when the
 * power goes between them, ours stands there without its mark.  Nothing was written to it.
 */
static int
made_by(const struct vm_job *job, const char *dataset, bool *ret_ours, struct error *err)
{
	cleanup_free char *mark = NULL, *written = NULL;
	uint64_t bytes = 1;
	int r = vm_ops->zfs_get(dataset, VM_MARK, &mark, err);

	if (r == 0 && !mark)
		r = vm_ops->zfs_get(dataset, "written", &written, err);
	if (r == 0 && written && str_to_u64(written, 10, &bytes) < 0)
		r = error_set(err, EBADMSG, "%s: written=%s is no number", dataset, written);
	if (r == 0)
		*ret_ours = mark ? str_eq(mark, job->mark) : bytes == 0;
	return r;
}

int
vm_destroy_marked(struct vm_job *job, const char *dataset, struct error *err)
{
	cleanup_error struct error own = ERROR_INIT;
	bool ours = false;
	int r;

	r = made_by(job, dataset, &ours, &own);
	if (r == -ENOENT || (r == 0 && !ours))
		return 0;
	if (r == 0)
		r = vm_ops->zfs_destroy(dataset, ZFS_RECURSIVE | ZFS_FORCE, &own);
	if (r < 0 && r != -ENOENT) {
		error_move(err, &own);
		return r;
	}
	return 0;
}

int
vm_remove_zone(struct vm_job *job, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_error struct error own = ERROR_INIT;
	const char *name = json_str(json_get(job->vm, "zonename"), job->uuid);
	int r;

	r = zone_info_read(name, &zi, &own);
	if (r == -ENOENT) {
		/* killed before its line was in the index, or after: its file may be there */
		zone_delete(name, NULL);
		return 0;
	}
	if (r == 0)
		r = vm_ops->zone_quiesce(name, &own);
	zone_info_done(&zi);
	if (r == 0)
		r = zone_info_read(name, &zi, &own);
	if (r == 0 && zi.state != ZONE_CONFIGURED && zi.state != ZONE_INCOMPLETE)
		r = zone_set_configured(name, &own);
	if (r == 0)
		r = zone_delete(name, &own);
	if (r < 0)
		error_move(err, &own);
	return r;
}

const char *
vm_own_volume(const struct vm_job *job, const struct json *disk)
{
	const char *name = json_str(json_get(disk, "zfs_filesystem"), NULL);
	const char *slash = name ? strchr(name, '/') : NULL;
	const char *rest = slash ? str_after(slash + 1, job->uuid) : NULL;

	if (!rest || (!str_after(rest, "-disk") && !str_after(rest, "/disk")))
		return NULL;
	return name;
}

/* ---- recovery ---------------------------------------------------------------------------- */

/* Is the process that wrote this journal still there? */
static bool
writer_lives(const char *path)
{
	cleanup_json struct json *j = NULL;
	int64_t pid;

	if (json_read_file(path, &j, NULL) < 0)
		return true;
	pid = json_int(json_get(j, "pid"), 0);
	return pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static int
recover_one(const char *uuid, struct strv *ret_done, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	cleanup_close int lock = -1;
	cleanup_free char *path = journal_path(uuid);
	const struct action *action;
	int r;

	r = vm_lock(uuid, false, &lock, err);
	if (r == -EWOULDBLOCK || r == -EAGAIN) {
		error_done(err);
		if (writer_lives(path))
			return 0; /* somebody is at it */
		/* It was killed, and a program it started (zfs) has not ended yet. */
		r = vm_lock(uuid, true, &lock, err);
	}
	if (r < 0)
		return r;
	if (!file_exists(path))
		return 0; /* finished while we looked */
	r = journal_read(uuid, &job, err);
	if (r < 0)
		return r;
	action = action_find(job.action);
	if (action->undo)
		r = vm_steps_undo(&job, action->steps, *action->n, err);
	else
		for (size_t i = 0; r == 0 && i < *action->n; i++)
			r = action->steps[i].run(&job, err);
	if (r < 0)
		return error_wrap(err, r, "VM %s, whose %s was interrupted", uuid, job.action);
	r = vm_journal_remove(&job, err);
	if (r == 0 && ret_done)
		strv_addf(ret_done, "%s%s%s", action->done[0], uuid, action->done[1]);
	return r;
}

int
vm_recover(struct strv *ret_done, struct error *err)
{
	cleanup_free char *dir = str_printf("%s%s", zone_root(), VM_JOURNAL_DIR);
	cleanup_strv struct strv uuids = STRV_INIT;
	struct dirent *e;
	int first = 0;
	DIR *d = opendir(dir);

	if (!d)
		return 0;
	while ((e = readdir(d)) != NULL) {
		cleanup_free char *uuid = NULL;

		if (!str_ends(e->d_name, ".json"))
			continue;
		uuid = xstrndup(e->d_name, strlen(e->d_name) - 5);
		if (str_is_uuid(uuid))
			strv_take(&uuids, steal_ptr(&uuid));
	}
	closedir(d);
	for (size_t i = 0; i < uuids.n; i++) {
		struct error own = ERROR_INIT;
		int r = recover_one(uuids.v[i], ret_done, &own);

		if (r < 0 && !first) {
			first = r;
			error_move(err, &own);
		}
		error_done(&own);
	}
	return first;
}
