/*
 * `vmadm update`: the payload is merged into the VM as it is, the whole is checked
 * again, and only what differs is written.
 *
 * Order: volumes are made first (they can be taken away again), then properties
 * of datasets, then the files, last the zone's XML, which is the decisive write:
 * what stands there is the VM.  A failure, or the next vmadm if this one is killed,
 * puts back what was done: the journal has the VM as it was and as it is to be.
 * Then only forwards: disks that were removed are destroyed, and a running zone is
 * told to apply what it can while it runs.
 */
#include "base/file.h"
#include "vm/vm_job.h"

/* ---- merging ----------------------------------------------------------------- */

/* The object of an array with that key, or NULL; *ret_i is its place. */
static struct json *
find_object(struct json *list, const char *key, const char *value, size_t *ret_i)
{
	char mac[18];

	if (str_eq(key, "mac") && vm_mac_normalise(value, mac) == 0)
		value = mac;
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_get(json_at(list, i), key), NULL), value)) {
			*ret_i = i;
			return json_at(list, i);
		}
	return NULL;
}

static int
remove_objects(struct json *vm, const char *array, const struct json *keys, struct error *err)
{
	const char *key = vm_array_key(array);
	const struct json *k;
	size_t at = 0;

	json_array_each(k, keys) {
		if (!find_object(json_get(vm, array), key, json_str(k, ""), &at))
			return error_set(err, ENOENT, "remove_%s: there is none with %s %s", array,
					 key, json_str(k, ""));
		json_remove_at(json_get(vm, array), at);
	}
	return 0;
}

/* ip and ips, gateway and gateways are two spellings: the one that was given counts. */
static void
forget_other_spelling(struct json *o, const struct json *given)
{
	static const char *const pairs[][2] = {
		{"ip", "ips"}, {"netmask", "ips"}, {"gateway", "gateways"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (json_get(given, pairs[i][0]) && !json_get(given, pairs[i][1]))
			json_remove(o, pairs[i][1]);
}

static int
change_objects(struct json *vm, const char *array, const struct json *changes, struct error *err)
{
	const char *key = vm_array_key(array);
	const struct json *change, *v;
	const char *name;
	size_t at = 0;

	json_array_each(change, changes) {
		const char *which = json_str(json_get(change, key), "");
		struct json *o = find_object(json_get(vm, array), key, which, &at);

		if (!o)
			return error_set(err, ENOENT, "update_%s: there is none with %s %s", array,
					 key, which);
		if (str_eq(array, "nics") && json_bool(json_get(change, "primary"), false))
			for (size_t i = 0; i < json_len(json_get(vm, array)); i++)
				json_remove(json_at(json_get(vm, array), i), "primary");
		if (str_eq(array, "nics"))
			forget_other_spelling(o, change);
		for (size_t i = 0; (name = json_key_at(change, i)) != NULL; i++) {
			v = json_value_at(change, i);
			if (json_type(v) == JSON_NULL)
				json_remove(o, name);
			else
				json_set(o, name, json_copy(v));
		}
	}
	return 0;
}

static void
add_objects(struct json *vm, const char *array, const struct json *more)
{
	const struct json *o;

	if (!json_get(vm, array))
		json_set(vm, array, json_new_array());
	json_array_each(o, more) {
		if (str_eq(array, "nics") && json_bool(json_get(o, "primary"), false))
			for (size_t i = 0; i < json_len(json_get(vm, array)); i++)
				json_remove(json_at(json_get(vm, array), i), "primary");
		json_push(json_get(vm, array), json_copy(o));
	}
}

static void
merge_flat(struct json *vm, const char *name, const struct json *set, const struct json *remove)
{
	struct json *o;
	const struct json *v;
	const char *key;

	if (!json_get(vm, name))
		json_set(vm, name, json_new_object());
	o = json_get(vm, name);
	json_array_each(v, remove)
		json_remove(o, json_str(v, ""));
	json_object_each(key, v, set)
		json_set(o, key, json_copy(v));
}

static const struct json *
verb(const struct json *payload, const char *prefix, const char *name)
{
	cleanup_free char *key = str_printf("%s_%s", prefix, name);

	return json_get(payload, key);
}

static int
merge(struct json *vm, const struct json *payload, struct error *err)
{
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		const struct json *v;
		int r = 0;

		if (strchr(p->path, '*'))
			continue;
		v = json_get(payload, p->path);
		if (v && json_type(v) == JSON_NULL)
			json_remove(vm, p->path);
		else if (v)
			json_set(vm, p->path, json_copy(v));
		if (p->type == VM_T_FLAT)
			merge_flat(vm, p->path, verb(payload, "set", p->path),
				   verb(payload, "remove", p->path));
		if (p->type != VM_T_OBJECTS)
			continue;
		r = remove_objects(vm, p->path, verb(payload, "remove", p->path), err);
		if (r == 0)
			r = change_objects(vm, p->path, verb(payload, "update", p->path), err);
		if (r < 0)
			return r;
		if (verb(payload, "add", p->path))
			add_objects(vm, p->path, verb(payload, "add", p->path));
	}
	return 0;
}

/* ---- datasets ------------------------------------------------------------------ */

/* One property of a dataset that is to change. */
static int
set_zfs(const char *dataset, const char *key, const struct vm_prop *p, const struct json *v,
	struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_free char *prop = NULL;

	if (!v || json_type(v) == JSON_NULL ||
	    (p->type == VM_T_INT && json_int(v, 0) == 0 && !str_eq(key, "refreservation")))
		text = xstrdup(str_eq(key, "quota") || str_eq(key, "refquota") ||
					       str_ends(key, "_limit")
				       ? "none"
				       : "");
	else if (json_str(v, NULL))
		text = xstrdup(json_str(v, ""));
	else
		text = json_print(v, false);
	if (!*text)
		return vm_ops->zfs_unset(dataset, key, err);
	if (str_eq(text, "none"))
		prop = str_printf("%s=none", key);
	else
		prop = str_printf("%s=%s%s", key, text,
				  str_eq(p->unit, "GiB") ? "G" : str_eq(p->unit, "MiB") ? "M" : "");
	return vm_ops->zfs_set(dataset, ZFS_PROPS(prop), err);
}

static bool
differ(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return (a && json_type(a) != JSON_NULL) || (b && json_type(b) != JSON_NULL);
	return !json_equal(a, b);
}

/* Properties of the root and of the delegated dataset: from `a` to `b`. */
static int
change_root(const struct json *a, const struct json *b, enum vm_brand brand, struct error *err)
{
	cleanup_free char *root = vm_dataset(b);
	cleanup_free char *data = str_printf("%s/data", root);

	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		const char *of_data = p->store == VM_S_ZFS ? str_after(p->key, "data:") : NULL;
		const char *key = of_data ? of_data : p->key;
		int r;

		if (p->store != VM_S_ZFS || strchr(p->path, '*') ||
		    !differ(json_get(a, p->path), json_get(b, p->path)))
			continue;
		if (brand == VM_BHYVE && str_eq(key, "quota"))
			key = "refquota";
		r = set_zfs(of_data ? data : root, key, p, json_get(b, p->path), err);
		if (r < 0)
			return error_wrap(err, r, "%s", p->path);
	}
	return 0;
}

/* Done is as good as doing it: this may be an undo of what was not begun. */
static int
unless(int harmless, int r, struct error *own, struct error *err)
{
	if (r == 0 || r == harmless) {
		error_done(own);
		return 0;
	}
	error_move(err, own);
	return r;
}

static int
set_indestructible(const char *snap, struct error *err)
{
	struct error own = ERROR_INIT;
	int r = unless(-EEXIST, vm_ops->zfs_snapshot(snap, false, NULL, &own), &own, err);

	return r < 0 ? r : unless(-EEXIST, vm_ops->zfs_hold("do_not_destroy", snap, &own), &own, err);
}

static int
unset_indestructible(const char *snap, struct error *err)
{
	struct error own = ERROR_INIT;
	int r = unless(-ENOENT, vm_ops->zfs_release("do_not_destroy", snap, &own), &own, err);

	return r < 0 ? r : unless(-ENOENT, vm_ops->zfs_destroy(snap, 0, &own), &own, err);
}

static int
change_indestructible(const struct json *a, const struct json *b, struct error *err)
{
	static const char *const which[] = {"indestructible_zoneroot", "indestructible_delegated"};
	cleanup_free char *root = vm_dataset(b);

	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		cleanup_free char *snap = str_printf("%s%s@indestructible", root, i ? "/data" : "");
		bool had = json_bool(json_get(a, which[i]), false);
		bool has = json_bool(json_get(b, which[i]), false);
		int r = 0;

		if (had == has)
			continue;
		r = has ? set_indestructible(snap, err) : unset_indestructible(snap, err);
		if (r < 0)
			return error_wrap(err, r, "%s", which[i]);
	}
	return 0;
}

/* ---- disks ------------------------------------------------------------------------ */

static const struct json *
same_disk(const struct json *vm, const struct json *disk)
{
	const struct json *d;

	json_array_each(d, json_get(vm, "disks"))
		if (str_eq(json_str(json_get(d, "path"), NULL),
			   json_str(json_get(disk, "path"), NULL)))
			return d;
	return NULL;
}

static int
change_disk(const struct json *was, const struct json *is, bool back, struct error *err)
{
	static const char *const props[] = {"compression", "refreservation"};
	const char *volume = json_str(json_get(was, "zfs_filesystem"), NULL);
	int64_t from = json_int(json_get(was, "size"), 0), to = json_int(json_get(is, "size"), 0);
	int r = 0;

	if (!volume)
		return 0;
	if (to < from && !back && !json_bool(json_get(is, "dangerous_allow_shrink"), false))
		return error_set_path(err, EINVAL, "disks.*.size",
				      "Invalid value(s) for: disks.*.size\n    %s: %lld MiB is less "
				      "than its %lld; dangerous_allow_shrink would cut it off",
				      volume, (long long)to, (long long)from);
	if (to != from)
		r = vm_ops->zvol_resize(volume, (uint64_t)to << 20, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(props); i++)
		if (differ(json_get(was, props[i]), json_get(is, props[i])))
			r = set_zfs(volume, props[i], vm_prop_member("disks", props[i]),
				    json_get(is, props[i]), err);
	return r;
}

/* back: to the size that it had a moment ago, while the machine was off. */
static int
change_disks(const struct json *old, const struct json *vm, bool back, struct error *err)
{
	const struct json *d;
	int r = 0;

	for (size_t i = 0; r == 0 && (d = json_at(json_get(vm, "disks"), i)) != NULL; i++)
		if (same_disk(old, d))
			r = change_disk(same_disk(old, d), d, back, err);
	return r;
}

/* A job with the disks of vm that `without` does not have. */
static void
disk_job(struct vm_job *job, const struct json *vm, const struct json *without)
{
	struct json *copy = json_copy(vm);
	struct json *disks = json_new_array();
	const struct json *d;

	json_array_each(d, json_get(vm, "disks"))
		if (!same_disk(without, d))
			json_push(disks, json_copy(d));
	json_set(copy, "disks", disks);
	vm_job_init(job, "update", copy);
}

static int
destroy_removed(const struct json *old, const struct json *vm, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	const struct json *d;
	int first = 0;

	disk_job(&job, old, vm);
	json_array_each(d, json_get(job.vm, "disks")) {
		const char *name = vm_own_volume(&job, d);
		int r = name ? vm_ops->zfs_destroy(name, ZFS_RECURSIVE | ZFS_FORCE, err) : 0;

		if (r < 0 && r != -ENOENT && !first)
			first = r;
	}
	return first;
}

/* ---- the whole --------------------------------------------------------------------- */

static bool
touches_disks(const struct json *payload)
{
	return json_get(payload, "add_disks") || json_get(payload, "remove_disks") ||
	       json_get(payload, "update_disks") || json_get(payload, "add_pci_devices") ||
	       json_get(payload, "remove_pci_devices");
}

static bool
has_files(const struct json *payload)
{
	static const char *const names[] = {"customer_metadata", "internal_metadata", "tags",
					    "routes"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (verb(payload, "set", names[i]) || verb(payload, "remove", names[i]))
			return true;
	return false;
}

static int
check_update(struct json *payload, const struct json *old, struct json *vm, enum vm_brand brand,
	     struct error *err)
{
	cleanup_vm_report struct vm_report report = VM_REPORT_INIT;
	cleanup_json struct json *others = NULL;
	const char *state = json_str(json_get(old, "zone_state"), "");
	const struct json *nic;
	int r;

	vm_payload_check(payload, brand, VM_UPDATE, &report);
	if (!vm_report_ok(&report))
		return vm_report_error(&report, err);
	if (touches_disks(payload) && !str_eq(state, "installed"))
		return error_set(err, EBUSY, "Cannot change disks of VM %s while it is '%s'",
				 json_str(json_get(old, "uuid"), ""), vm_state(old));
	r = vm_resolve_images(payload, "add_disks", err);
	if (r == 0)
		r = merge(vm, payload, err);
	if (r < 0)
		return r;
	vm_payload_follow(vm, brand, old);
	vm_payload_rules(vm, brand, &report);
	if (!vm_report_ok(&report))
		return vm_report_error(&report, err);
	for (size_t i = 0; (nic = json_at(json_get(payload, "add_nics"), i)) != NULL; i++) {
		r = vm_ops->nictag_check(json_str(json_get(nic, "nic_tag"), ""), err);
		if (r < 0)
			return r;
	}
	r = vm_load_all(0, &others, NULL, err);
	return r < 0 ? r : vm_check_conflicts(vm, others, err);
}

static void
name_volumes(struct json *vm)
{
	for (size_t i = 0; i < json_len(json_get(vm, "disks")); i++) {
		struct json *d = json_at(json_get(vm, "disks"), i);
		const char *name = str_after(json_str(json_get(d, "path"), ""), "/dev/zvol/rdsk/");

		if (name && !json_get(d, "zfs_filesystem"))
			json_set_str(d, "zfs_filesystem", name);
	}
}

static int
write_config(const struct json *vm, enum vm_brand brand, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	int r;

	r = zone_config_read(json_str(json_get(vm, "zonename"), ""), &c, err);
	if (r < 0)
		return r;
	vm_to_config(vm, brand, c);
	return zone_config_write(c, err);
}

/* ---- the steps ------------------------------------------------------------------------ */

static bool
files_differ(const struct vm_job *job)
{
	static const char *const names[] = {"customer_metadata", "internal_metadata", "tags", "routes"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (differ(json_get(job->old, names[i]), json_get(job->vm, names[i])))
			return true;
	return false;
}

static int
with_new_disks(const struct vm_job *job, int (*act)(struct vm_job *more, struct error *err), struct error *err)
{
	cleanup_vm_job struct vm_job more = VM_JOB_INIT;

	disk_job(&more, job->vm, job->old);
	memcpy(more.mark, job->mark, sizeof(more.mark));
	return act(&more, err);
}

static int
step_disks(struct vm_job *job, struct error *err)
{
	return with_new_disks(job, vm_create_disks, err);
}

static int
undo_disks(struct vm_job *job, struct error *err)
{
	return with_new_disks(job, vm_destroy_disks, err);
}

static int
step_root(struct vm_job *job, struct error *err)
{
	return change_root(job->old, job->vm, job->brand, err);
}

static int
undo_root(struct vm_job *job, struct error *err)
{
	return change_root(job->vm, job->old, job->brand, err);
}

static int
step_indestructible(struct vm_job *job, struct error *err)
{
	return change_indestructible(job->old, job->vm, err);
}

static int
undo_indestructible(struct vm_job *job, struct error *err)
{
	return change_indestructible(job->vm, job->old, err);
}

static int
step_volumes(struct vm_job *job, struct error *err)
{
	return change_disks(job->old, job->vm, false, err);
}

static int
undo_volumes(struct vm_job *job, struct error *err)
{
	return change_disks(job->vm, job->old, true, err);
}

static int
step_files(struct vm_job *job, struct error *err)
{
	return files_differ(job) ? vm_write_files(job->vm, err) : 0;
}

static int
undo_files(struct vm_job *job, struct error *err)
{
	int r = 0;

	if (!files_differ(job))
		return 0;
	if (job->metadata < 0)
		r = vm_lock_metadata(job->uuid, &job->metadata, err);
	return r < 0 ? r : vm_write_files(job->old, err);
}

static int
step_config(struct vm_job *job, struct error *err)
{
	return write_config(job->vm, job->brand, err);
}

static int
undo_config(struct vm_job *job, struct error *err)
{
	return write_config(job->old, job->brand, err);
}

const struct vm_step vm_update_steps[] = {
	{"disks", step_disks, undo_disks},
	{"root", step_root, undo_root},
	{"indestructible", step_indestructible, undo_indestructible},
	{"volumes", step_volumes, undo_volumes},
	{"files", step_files, undo_files},
	{"config", step_config, undo_config},
};
const size_t vm_update_steps_n = ARRAY_SIZE(vm_update_steps);

static int
step_removed(struct vm_job *job, struct error *err)
{
	return destroy_removed(job->old, job->vm, err);
}

static int
step_apply(struct vm_job *job, struct error *err)
{
	const char *name = json_str(json_get(job->vm, "zonename"), job->uuid);
	cleanup_zone_info struct zone_info zi = {0};
	int r = zone_info_read(name, &zi, err);

	if (r < 0 || zi.state != ZONE_RUNNING)
		return r;
	r = vm_ops->zone_apply(name, err);
	return r < 0 ? error_wrap(err, r, "VM %s is changed, but the running zone is not", job->uuid) : 0;
}

const struct vm_step vm_updated_steps[] = {
	{"removed disks", step_removed, NULL},
	{"apply", step_apply, NULL},
};
const size_t vm_updated_steps_n = ARRAY_SIZE(vm_updated_steps);

int
vm_update(const char *uuid, struct json *payload, struct error *err)
{
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	cleanup_json struct json *old = NULL, *vm = NULL;
	cleanup_close int lock = -1, reserve = -1, metadata = -1;
	int r = vm_load_locked(uuid, 0, &old, &lock, err);

	if (r == 0)
		r = vm_lock("create", true, &reserve, err);
	/* The guest may change its metadata too (mdata-put): not between our reading and writing. */
	if (r == 0 && has_files(payload))
		r = vm_lock_metadata(json_str(json_get(old, "uuid"), uuid), &metadata, err);
	if (r < 0)
		return r;
	json_free(steal_ptr(&old));
	r = vm_load(uuid, VM_LOAD_ALL, &old, err);
	if (r < 0)
		return r;
	vm = json_copy(old);
	r = check_update(payload, old, vm, vm_brand_parse(json_str(json_get(old, "brand"), "")), err);
	if (r < 0)
		return r;
	name_volumes(vm);
	vm_job_init(&job, "update", steal_ptr(&vm));
	job.old = steal_ptr(&old);
	job.lock = steal_fd(&lock);
	job.metadata = steal_fd(&metadata);
	r = vm_journal_write(&job, err);
	if (r == 0)
		r = vm_steps_run(&job, vm_update_steps, 0, vm_update_steps_n, err);
	if (r < 0)
		return r;
	job.action = "updated";
	r = vm_journal_write(&job, err);
	if (r < 0)
		return r;
	close(steal_fd(&reserve));
	r = vm_steps_run(&job, vm_updated_steps, 0, vm_updated_steps_n, err);
	return r < 0 ? r : vm_journal_remove(&job, err);
}
