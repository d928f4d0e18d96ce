/*
 * A VM from what is on disk.
 *
 * The zone's XML gives most; the files in config/, the datasets and the running zone's
 * state are read only if somebody asks for a property that comes from there, so
 * that a list of many VMs costs one small file each.
 */
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/event.h"
#include "base/file.h"
#include "vm/vm.h"
#include "vm/vm_ops.h"
#include "vm/vm_scan.h"

const struct vm_ops *vm_ops;

/* Where fields that are in no table row come from. */
static const struct {
	const char *name;
	unsigned needs;
} derived[] = {
	{"state", 0},
	{"zone_state", 0},
	{"type", 0},
	{"pid", 0},
	{"zoneid", 0},
	{"zonedid", 0},
	{"zonepath", 0},
	{"boot_timestamp", 0},
	{"exit_status", 0},
	{"exit_timestamp", 0},
	{"init_restarts", 0},
	{"last_modified", 0},
	{"datasets", 0},
	{"zfs_filesystem", 0},
	{"hvm", 0},
	{"transition_to", 0},
	{"transition_expire", 0},
	{"snapshots", VM_LOAD_ZFS},
	{"free_space", VM_LOAD_ZFS},
	{"missing", VM_LOAD_ZFS},
	{"indestructible_zoneroot", VM_LOAD_ZFS},
	{"indestructible_delegated", VM_LOAD_ZFS},
};

unsigned
vm_field_needs(const char *field)
{
	cleanup_free char *first = xstrndup(field, strcspn(field, ".["));
	const struct vm_prop *p;

	for (size_t i = 0; i < ARRAY_SIZE(derived); i++)
		if (str_eq(first, derived[i].name))
			return derived[i].needs;
	p = vm_prop_find(first);
	if (!p)
		return (unsigned)-1;
	switch (p->store) {
	case VM_S_METADATA:
	case VM_S_TAGS:
	case VM_S_ROUTES:
		return VM_LOAD_FILES;
	case VM_S_ZFS:
		return VM_LOAD_ZFS;
	case VM_S_ELEMENT:
		/* sizes of disks are those of their volumes */
		return str_eq(first, "disks") ? VM_LOAD_ZFS : 0;
	case VM_S_NONE:
	case VM_S_ZONE:
	case VM_S_ATTR:
	case VM_S_RCTL:
	case VM_S_NET:
	case VM_S_NETATTR:
	case VM_S_DEV:
	case VM_S_DEVATTR:
	case VM_S_FS:
		break;
	}
	return 0;
}

/* ---- what runs ------------------------------------------------------------ */

static void
set_time(struct json *vm, const char *key, uint64_t ms)
{
	char text[32];

	if (ms)
		json_set_str(vm, key, time_iso(ms, text));
}

/*
 * "provisioning:running:1415000000123" is written while something takes its
 * time; when its hour has passed, it counts no more.
 */
static const char *
transition_state(struct json *vm)
{
	cleanup_strv struct strv parts = STRV_INIT;
	int64_t expire = 0;

	strv_split(&parts, json_str(json_get(vm, "transition"), ""), ":");
	if (parts.n != 3 || str_to_i64(parts.v[2], 10, &expire) < 0)
		return NULL;
	json_set_str(vm, "transition", parts.v[0]);
	json_set_str(vm, "transition_to", parts.v[1]);
	json_set_int(vm, "transition_expire", expire);
	if (expire && (uint64_t)expire < time_real_ms())
		return NULL;
	return json_str(json_get(vm, "transition"), NULL);
}

static void
set_state(struct json *vm, const struct zone_info *zi)
{
	const char *transition = transition_state(vm);
	const char *state = zone_state_name(zi->state);

	json_set_str(vm, "zone_state", state);
	if (json_get(vm, "failed"))
		state = "failed";
	else if (transition)
		state = transition;
	else if (zi->state == ZONE_INSTALLED)
		state = "stopped";
	json_set_str(vm, "state", state);
}

static void
add_runtime(struct json *vm, const struct zone_info *zi)
{
	set_state(vm, zi);
	if (zi->id >= 0)
		json_set_int(vm, "zoneid", zi->id);
	if (zi->did > 0)
		json_set_int(vm, "zonedid", zi->did);
	if (zi->init_pid > 0)
		json_set_int(vm, "pid", zi->init_pid);
	set_time(vm, "boot_timestamp", zi->state == ZONE_RUNNING ? zi->boot_ms : 0);
	set_time(vm, "exit_timestamp", zi->exit_ms);
	if (zi->exit_ms)
		json_set_int(vm, "exit_status", zi->exit_status);
	if (zi->init_restarts > 0)
		json_set_int(vm, "init_restarts", zi->init_restarts);
}

const char *
vm_state(const struct json *vm)
{
	return json_str(json_get(vm, "state"), "unknown");
}

/* ---- files ------------------------------------------------------------------- */

static int
read_config_file(const struct json *vm, const char *file, struct json **ret, struct error *err)
{
	cleanup_free char *below = str_printf("config/%s", file);
	cleanup_free char *path = vm_path(vm, below);
	int r;

	if (!file_exists(path)) {
		*ret = json_new_object();
		return 0;
	}
	r = json_read_file(path, ret, err);
	if (r < 0)
		return error_wrap(err, r, "VM %s", json_str(json_get(vm, "uuid"), "?"));
	return 0;
}

static struct json *
object_or_empty(struct json *j)
{
	if (json_type(j) == JSON_OBJECT)
		return j;
	json_free(j);
	return json_new_object();
}

static int
add_files(struct json *vm, struct error *err)
{
	static const char *const parts[] = {"customer_metadata", "internal_metadata"};
	static const char *const files[] = {"tags", "routes"};
	cleanup_json struct json *metadata = NULL;
	int r;

	r = read_config_file(vm, "metadata.json", &metadata, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		json_set(vm, parts[i], object_or_empty(json_steal(metadata, parts[i])));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cleanup_free char *name = str_printf("%s.json", files[i]);
		struct json *j = NULL;

		r = read_config_file(vm, name, &j, err);
		if (r < 0)
			return r;
		json_set(vm, files[i], object_or_empty(j));
	}
	return 0;
}

/* ---- datasets ------------------------------------------------------------------ */

static const char *const zfs_props[] = {
	"quota", "refquota", "compression", "recordsize", "filesystem_limit", "snapshot_limit",
	"creation", "used", "volsize", "volblocksize", "refreservation", "userrefs", NULL,
};

/* A number of a listing; -1 if there is none ("none", "-", or more than counts). */
static int64_t
ds_number(const struct zfs_list *l, size_t i, const char *prop)
{
	const char *s = zfs_list_get(l, i, prop);
	int64_t n;

	return s && str_to_i64(s, 10, &n) == 0 ? n : -1;
}

static void
set_number(struct json *o, const char *key, int64_t n, int shift)
{
	if (n >= 0)
		json_set_int(o, key, n >> shift);
}

static void
root_properties(struct json *vm, const struct zfs_list *l, size_t i, bool data)
{
	const char *compression = zfs_list_get(l, i, "compression");
	int64_t quota = ds_number(l, i, "quota");

	if (compression)
		json_set_str(vm, data ? "zfs_data_compression" : "zfs_root_compression",
			     compression);
	set_number(vm, data ? "zfs_data_recsize" : "zfs_root_recsize",
		   ds_number(l, i, "recordsize"), 0);
	if (data)
		return;
	if (str_eq(json_str(json_get(vm, "brand"), NULL), "bhyve") && quota <= 0)
		quota = ds_number(l, i, "refquota");
	set_number(vm, "quota", quota, 30);
	set_number(vm, "zfs_filesystem_limit", ds_number(l, i, "filesystem_limit"), 0);
	set_number(vm, "zfs_snapshot_limit", ds_number(l, i, "snapshot_limit"), 0);
}

static void
snapshot_properties(struct json *vm, const struct zfs_list *l, size_t i, const char *snap,
		    bool data)
{
	const char *name = str_after(snap, "vmsnap-");
	int64_t created = ds_number(l, i, "creation");
	struct json *s;

	if (str_eq(snap, "indestructible") && ds_number(l, i, "userrefs") > 0)
		json_set_bool(vm, data ? "indestructible_delegated" : "indestructible_zoneroot",
			      true);
	if (!name || data)
		return;
	s = json_new_object();
	json_set_str(s, "name", name);
	set_time(s, "created_at", created > 0 ? (uint64_t)created * 1000 : 0);
	set_number(s, "size", ds_number(l, i, "used"), 0);
	json_push(json_get(vm, "snapshots"), s);
}

/* A row of the listing of the root and what is below it. */
static void
take_row(struct json *vm, const char *root, const struct zfs_list *l, size_t i)
{
	const char *rest = str_after(l->ds[i].name, root);

	if (!rest)
		return;
	if (*rest == '\0')
		root_properties(vm, l, i, false);
	else if (*rest == '@')
		snapshot_properties(vm, l, i, rest + 1, false);
	else if (str_eq(rest, "/data"))
		root_properties(vm, l, i, true);
	else if (str_after(rest, "/data@"))
		snapshot_properties(vm, l, i, rest + 6, true);
}

static void
disk_properties(struct json *disk, const struct zfs_list *l)
{
	const char *name = json_str(json_get(disk, "zfs_filesystem"), NULL);
	const char *compression;

	for (size_t i = 0; name && i < l->n; i++) {
		if (!str_eq(l->ds[i].name, name))
			continue;
		set_number(disk, "size", ds_number(l, i, "volsize"), 20);
		set_number(disk, "block_size", ds_number(l, i, "volblocksize"), 0);
		set_number(disk, "refreservation", ds_number(l, i, "refreservation"), 20);
		compression = zfs_list_get(l, i, "compression");
		if (compression)
			json_set_str(disk, "compression", compression);
		return;
	}
}

static void
add_free_space(struct json *vm)
{
	int64_t total = json_int(json_get(vm, "flexible_disk_size"), 0);
	const struct json *d;

	if (!total)
		return;
	json_array_each(d, json_get(vm, "disks"))
		total -= json_int(json_get(d, "size"), 0);
	json_set_int(vm, "free_space", total > 0 ? total : 0);
}

/*
 * kvm's disks are siblings of the root, so the listing is of the root, or of the
 * siblings one by one when there are some.
 */
static int
add_zfs(struct json *vm, struct error *err)
{
	cleanup_free char *root = vm_dataset(vm);
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	struct json *d;
	int r;

	json_set(vm, "snapshots", json_new_array());
	r = vm_ops->zfs_list(root, ZFS_DATASET | ZFS_SNAPSHOT, -1, zfs_props, &l, err);
	if (r == -ENOENT) {
		/* A VM half made, or one whose pool is not here: the rest is still worth showing. */
		struct json *missing = json_new_object();
		struct json *datasets = json_new_array();

		json_push(datasets, json_new_str(root));
		json_set(missing, "datasets", datasets);
		json_set(vm, "missing", missing);
		error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		take_row(vm, root, &l, i);
	json_array_each(d, json_get(vm, "disks")) {
		const char *name = json_str(json_get(d, "zfs_filesystem"), NULL);
		cleanup_zfs_list struct zfs_list own = ZFS_LIST_INIT;

		if (!name)
			continue;
		if (str_after(name, root) && *str_after(name, root) == '/')
			disk_properties(d, &l);
		else if (vm_ops->zfs_list(name, ZFS_DATASET, 0, zfs_props, &own, err) == 0)
			disk_properties(d, &own);
		else
			error_done(err);
	}
	add_free_space(vm);
	return 0;
}

/* ---- the door -------------------------------------------------------------------- */

static void
add_modified(struct json *vm, const char *name)
{
	cleanup_free char *path = str_printf("%s/etc/zones/%s.xml", zone_root(), name);
	struct stat st;

	if (stat(path, &st) == 0)
		set_time(vm, "last_modified",
			 (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000);
}

static int
load_zone(const struct zone_info *zi, unsigned what, struct json **ret, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_json struct json *vm = NULL;
	struct error own = ERROR_INIT;
	int r;

	r = zone_config_read(zi->name, &c, err);
	if (r < 0)
		return r;
	vm = vm_from_config(c);
	add_runtime(vm, zi);
	if (what & VM_LOAD_FILES) {
		r = add_files(vm, err);
		if (r < 0)
			return r;
	}
	if (what & VM_LOAD_ZFS) {
		r = add_zfs(vm, &own);
		if (r < 0) {
			error_move(err, &own);
			return r;
		}
		error_done(&own);
	}
	add_modified(vm, zi->name);
	*ret = steal_ptr(&vm);
	return 0;
}

static int
no_such(const char *uuid, struct error *err)
{
	return error_set(err, ENOENT, "No such zone configured: %s", uuid);
}

int
vm_load(const char *uuid, unsigned what, struct json **ret, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_free char *name = NULL;
	char lower[UUID_LEN + 1];
	int r;

	if (!str_is_uuid(uuid))
		return error_set(err, EINVAL, "Invalid or missing UUID: \"%s\"", uuid);
	memcpy(lower, uuid, sizeof(lower));
	str_lower(lower);
	r = zone_info_read(lower, &zi, err);
	if (r == -ENOENT && zone_lookup(lower, &name, NULL) == 0)
		r = zone_info_read(name, &zi, err);
	if (r == -ENOENT)
		return no_such(uuid, err);
	if (r < 0)
		return r;
	return load_zone(&zi, what, ret, err);
}

/* Only these fields, the quick way if that knows them all. */
static int
load_fields(const struct zone_info *zi, unsigned what, const struct strv *fields, bool quick,
	    struct json **ret, struct error *err)
{
	char path[4096];

	if (quick) {
		snprintf(path, sizeof(path), "%s/etc/zones/%s.xml", zone_root(), zi->name);
		if (vm_scan(path, fields, ret)) {
			add_runtime(*ret, zi);
			return 0;
		}
	}
	return load_zone(zi, what, ret, err);
}

int
vm_load_fields(unsigned what, const struct strv *fields, struct json **ret, struct strv *ret_bad,
	       struct error *err)
{
	cleanup_zone_list struct zone_list zones = {0};
	cleanup_json struct json *list = json_new_array();
	bool quick = fields && !what;
	int r;

	for (size_t i = 0; quick && i < fields->n; i++)
		quick = vm_scan_has(fields->v[i]);
	r = zone_list_read(&zones, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < zones.n; i++) {
		cleanup_error struct error own = ERROR_INIT;
		struct json *vm = NULL;

		if (!str_is_uuid(zones.v[i].name) && !*zones.v[i].uuid)
			continue; /* a zone of zonecfg's making, not ours to list */
		r = load_fields(&zones.v[i], what, fields, quick, &vm, &own);
		if (r < 0) {
			/* It went away while we looked, or is broken: the others count. */
			if (ret_bad && r != -ENOENT)
				strv_addf(ret_bad, "%s: %s", zones.v[i].name, error_message(&own));
			continue;
		}
		json_push(list, vm);
	}
	*ret = steal_ptr(&list);
	return 0;
}

int
vm_load_all(unsigned what, struct json **ret, struct strv *ret_bad, struct error *err)
{
	return vm_load_fields(what, NULL, ret, ret_bad, err);
}
