/* Start, stop, reboot, kill, snapshots. */
#include "base/cleanup.h"
#include "vm/vm_check.h"
#include "vm/vm_job.h"

int
vm_load_locked(const char *uuid, unsigned what, struct json **ret, int *ret_lock,
	       struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_close int lock = -1;
	int r;

	r = vm_load(uuid, 0, &vm, err);
	if (r == 0)
		r = vm_lock(json_str(json_get(vm, "uuid"), uuid), true, &lock, err);
	if (r < 0)
		return r;
	json_free(steal_ptr(&vm));
	r = vm_load(uuid, what, &vm, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&vm);
	*ret_lock = steal_fd(&lock);
	return 0;
}

static const char *
name_of(const struct json *vm)
{
	return json_str(json_get(vm, "zonename"), json_str(json_get(vm, "uuid"), ""));
}

static bool
zone_state_is(const struct json *vm, const char *state)
{
	return str_eq(json_str(json_get(vm, "zone_state"), ""), state);
}

/*
 * What QEMU or the VMM is told for this boot only, as boot arguments of the zone:
 * "order=cd cdrom=/x.iso,ide disk=/dev/...,virtio".
 */
static int
boot_args(const struct vm_start_opts *opts, char **ret, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	const struct {
		const char *name;
		const struct strv *list;
	} media[] = {{"cdrom", &opts->cdroms}, {"disk", &opts->disks}};

	if (opts->boot_order) {
		if (vm_is_boot_order(opts->boot_order))
			return error_set(err, EINVAL, "order=%s is not %s", opts->boot_order,
					 vm_is_boot_order(opts->boot_order));
		strv_addf(&words, "order=%s", opts->boot_order);
	}
	for (size_t i = 0; i < ARRAY_SIZE(media); i++)
		for (size_t k = 0; k < media[i].list->n; k++) {
			const char *s = media[i].list->v[k];
			const char *comma = strrchr(s, ',');

			if (*s != '/' || !comma || strpbrk(s, " \t\n"))
				return error_set(err, EINVAL, "%s=%s is not %s=PATH,MODEL",
						 media[i].name, s, media[i].name);
			strv_addf(&words, "%s=%s", media[i].name, s);
		}
	*ret = words.n ? strv_join(&words, " ") : NULL;
	return 0;
}

int
vm_start(const char *uuid, const struct vm_start_opts *opts, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_close int lock = -1;
	cleanup_free char *args = NULL;
	struct zone_boot_opts boot = {0};
	int r;

	r = vm_load_locked(uuid, 0, &vm, &lock, err);
	if (r < 0)
		return r;
	if (!zone_state_is(vm, "installed"))
		return error_set(err, EALREADY, "VM %s is already '%s'", uuid, vm_state(vm));
	if (opts) {
		r = boot_args(opts, &args, err);
		if (r < 0)
			return r;
		if (args && !json_bool(json_get(vm, "hvm"), false))
			return error_set(err, EINVAL, "order=, cdrom= and disk= are for virtual "
						      "machines only");
	}
	boot.bootargs = args;
	return vm_ops->zone_boot(name_of(vm), args ? &boot : NULL, err);
}

int
vm_stop(const char *uuid, bool force, unsigned timeout_s, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_close int lock = -1;
	int r;

	r = vm_load_locked(uuid, 0, &vm, &lock, err);
	if (r < 0)
		return r;
	if (zone_state_is(vm, "installed") || zone_state_is(vm, "configured") ||
	    zone_state_is(vm, "incomplete"))
		return error_set(err, EALREADY, "VM %s is already '%s'", uuid, vm_state(vm));
	if (force)
		return vm_ops->zone_halt(name_of(vm), err);
	return vm_ops->zone_shutdown(name_of(vm), false, timeout_s, err);
}

int
vm_reboot(const char *uuid, bool force, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	cleanup_close int lock = -1;
	int r;

	r = vm_load_locked(uuid, 0, &vm, &lock, err);
	if (r < 0)
		return r;
	if (!zone_state_is(vm, "running"))
		return error_set(err, ESRCH, "VM %s is not running: it is '%s'", uuid,
				 vm_state(vm));
	if (!force)
		return vm_ops->zone_shutdown(name_of(vm), true, 0, err);
	return vm_ops->zone_reboot(name_of(vm), err); /* its daemon sees it through, though we be killed */
}

int
vm_kill(const char *uuid, int signo, struct error *err)
{
	cleanup_json struct json *vm = NULL;
	int r;

	r = vm_load(uuid, 0, &vm, err);
	if (r < 0)
		return r;
	if (!zone_state_is(vm, "running"))
		return error_set(err, ESRCH, "VM %s is not running: it is '%s'", uuid,
				 vm_state(vm));
	return vm_ops->zone_kill(name_of(vm), signo, err);
}

/* ---- snapshots ------------------------------------------------------------------ */

static int
snapshot_name(const struct json *vm, const char *name, char **ret, struct error *err)
{
	cleanup_free char *root = vm_dataset(vm);

	if (vm_is_snapshot(name))
		return error_set(err, EINVAL, "Invalid snapshot name \"%s\": it is not %s", name,
				 vm_is_snapshot(name));
	*ret = str_printf("%s@vmsnap-%s", root, name);
	return 0;
}

static bool
has_snapshot(const struct json *vm, const char *name)
{
	const struct json *s;

	json_array_each(s, json_get(vm, "snapshots"))
		if (str_eq(json_str(json_get(s, "name"), NULL), name))
			return true;
	return false;
}

/* A snapshot of a VM that is held by its lock. */
struct held_snapshot {
	struct json *vm;
	int lock;
	char *name; /* zones/UUID@vmsnap-NAME */
};

static void
held_snapshot_done(struct held_snapshot *s)
{
	json_free(s->vm);
	cleanup_closep(&s->lock);
	free(s->name);
}
#define cleanup_held_snapshot __attribute__((cleanup(held_snapshot_done)))

/* Locks the VM, and sees to it that the snapshot is there (or is not yet). */
static int
hold_snapshot(const char *uuid, const char *name, bool there, struct held_snapshot *s,
	      struct error *err)
{
	int r = vm_load_locked(uuid, VM_LOAD_ZFS, &s->vm, &s->lock, err);

	if (r == 0)
		r = snapshot_name(s->vm, name, &s->name, err);
	if (r < 0 || has_snapshot(s->vm, name) == there)
		return r;
	return there ? error_set(err, ENOENT, "No snapshot named '%s' for %s", name, uuid)
		     : error_set(err, EEXIST, "Snapshot %s already exists", name);
}

int
vm_snapshot_create(const char *uuid, const char *name, struct error *err)
{
	cleanup_held_snapshot struct held_snapshot s = {.lock = -1};
	int r = hold_snapshot(uuid, name, false, &s, err);

	if (r < 0)
		return r;
	if (str_eq(json_str(json_get(s.vm, "brand"), NULL), "kvm"))
		return error_set(err, ENOTSUP, "Snapshots are not supported for VMs of brand kvm: "
					       "their disks are not part of the root");
	if (json_len(json_get(s.vm, "datasets")))
		return error_set(err, ENOTSUP, "Snapshots are not supported for VMs with delegated "
					       "datasets");
	/* The volumes of a bhyve VM are below the root, and belong to its snapshot. */
	return vm_ops->zfs_snapshot(s.name, json_bool(json_get(s.vm, "hvm"), false), NULL, err);
}

int
vm_snapshot_delete(const char *uuid, const char *name, struct error *err)
{
	cleanup_held_snapshot struct held_snapshot s = {.lock = -1};
	int r = hold_snapshot(uuid, name, true, &s, err);

	return r < 0 ? r : vm_ops->zfs_destroy(s.name, ZFS_RECURSIVE, err);
}

/*
 * Back to a snapshot: newer ones go.  A running VM is stopped for it and started
 * again, as on SmartOS.
 */
int
vm_snapshot_rollback(const char *uuid, const char *name, struct error *err)
{
	cleanup_held_snapshot struct held_snapshot s = {.lock = -1};
	const struct json *vm, *d;
	bool running;
	int r = hold_snapshot(uuid, name, true, &s, err);

	if (r < 0)
		return r;
	vm = s.vm;
	running = zone_state_is(vm, "running");
	if (running)
		r = vm_ops->zone_shutdown(name_of(vm), false, 0, err);
	if (r == 0)
		r = vm_ops->zfs_rollback(s.name, true, err);
	for (size_t i = 0; r == 0 && (d = json_at(json_get(vm, "disks"), i)) != NULL; i++) {
		const char *volume = json_str(json_get(d, "zfs_filesystem"), NULL);
		cleanup_free char *root = vm_dataset(vm);
		cleanup_free char *of_disk = NULL;

		if (!volume || !str_after(volume, root) || *str_after(volume, root) != '/')
			continue;
		of_disk = str_printf("%s@vmsnap-%s", volume, name);
		r = vm_ops->zfs_rollback(of_disk, true, err);
	}
	if (r == 0 && running)
		r = vm_ops->zone_boot(name_of(vm), NULL, err);
	return r;
}
