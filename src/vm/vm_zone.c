/*
 * A VM's JSON object and its zone configuration.
 *
 * Both directions walk the property table.  Writing compares what stands in the
 * configuration, decoded, with the wanted value and leaves it alone if they are
 * equal: a configuration written by SmartOS keeps its bytes (MAC addresses
 * without leading zeros, for one) until a property really changes, and what we
 * know nothing of stays.
 */
#include "base/cleanup.h"
#include "vm/vm.h"
#include "vm/vm_scan.h"

/* ---- one value ------------------------------------------------------------ */

static struct json *
decode_list(const struct vm_prop *p, const char *text)
{
	cleanup_strv struct strv items = STRV_INIT;
	struct json *list = json_new_array();

	strv_words(&items, text, ",");
	for (size_t i = 0; i < items.n; i++) {
		int64_t n;

		if (str_eq(p->path, "nics.*.blocked_outgoing_ports") &&
		    str_to_i64(items.v[i], 10, &n) == 0)
			json_push(list, json_new_int(n));
		else
			json_push(list, json_new_str(items.v[i]));
	}
	return list;
}

/* Text of a configuration as a JSON value; what does not decode stays text. */
struct json *
vm_decode(const struct vm_prop *p, const char *text)
{
	cleanup_free char *plain = NULL;
	char mac[18];
	size_t len;
	int64_t n;
	bool b;

	if (!text)
		return NULL;
	if (p->encoding == VM_E_BASE64 && str_unbase64(text, &plain, &len) == 0)
		text = plain;
	switch (p->type) {
	case VM_T_BOOL:
		return str_to_bool(text, &b) == 0 ? json_new_bool(b) : json_new_str(text);
	case VM_T_INT:
		if (str_to_i64(text, 10, &n) < 0)
			return json_new_str(text);
		return json_new_int(p->encoding == VM_E_BYTES ? n >> 20 : n);
	case VM_T_LIST:
		if (p->encoding == VM_E_COMMA)
			return decode_list(p, text);
		return json_new_str(text);
	case VM_T_STRING:
	case VM_T_UUID:
		if (str_eq(p->key, "mac-addr") && vm_mac_normalise(text, mac) == 0)
			return json_new_str(mac);
		return json_new_str(text);
	case VM_T_FLAT:
	case VM_T_OBJECTS:
		break;
	}
	return NULL;
}

/* The text of a JSON value for a configuration, or NULL for none. */
static char *
encode(const struct vm_prop *p, const struct json *v)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	const struct json *item;

	if (!v)
		return NULL;
	switch (json_type(v)) {
	case JSON_NULL:
		return NULL;
	case JSON_BOOL:
		return xstrdup(json_bool(v, false) ? "true" : "false");
	case JSON_INT:
	case JSON_REAL:
		return str_printf("%lld", (long long)json_int(v, 0) *
						  (p->encoding == VM_E_BYTES ? 1 << 20 : 1));
	case JSON_STR:
		if (p->encoding == VM_E_BASE64)
			return str_base64(json_str(v, ""), strlen(json_str(v, "")));
		return xstrdup(json_str(v, ""));
	case JSON_ARRAY:
		json_array_each(item, v) {
			cleanup_free char *text = json_str(item, NULL)
							  ? xstrdup(json_str(item, ""))
							  : json_print(item, false);

			strbuf_addf(&b, "%s%s", b.len ? "," : "", text);
		}
		return b.len ? strbuf_steal(&b) : NULL;
	case JSON_OBJECT:
		break;
	}
	return NULL;
}

static bool
same_value(const struct vm_prop *p, const char *stored, const struct json *want)
{
	cleanup_json struct json *have = vm_decode(p, stored);

	if (!have || !want)
		return !have && (!want || json_type(want) == JSON_NULL);
	return json_equal(have, want);
}

/* ---- the zone's own properties ------------------------------------------------ */

/* "zone.cpu-cap deny" -> "zone.cpu-cap", "deny" */
static char *
rctl_name(const struct vm_prop *p, const char **ret_action)
{
	const char *space = strchr(p->key, ' ');

	*ret_action = space + 1;
	return xstrndup(p->key, (size_t)(space - p->key));
}

static struct json *
rctl_value(const struct vm_prop *p, const struct zone_config *c)
{
	const char *action;
	cleanup_free char *name = rctl_name(p, &action);
	uint64_t limit;

	if (!zone_config_rctl(c, name, &limit))
		return NULL;
	return json_new_int((int64_t)(p->encoding == VM_E_BYTES ? limit >> 20 : limit));
}

static bool
stored_for(const struct vm_prop *p, enum vm_brand brand)
{
	return !p->stored_for || (p->stored_for & brand);
}

static struct json *
top_value(const struct vm_prop *p, const struct zone_config *c, enum vm_brand brand)
{
	/* HVM zones do not boot as zones: the daemon that boots them looks at vm-autoboot. */
	if ((brand & VM_HVM) && str_eq(p->path, "autoboot"))
		return vm_decode(p, zone_config_attr(c, "vm-autoboot"));
	if (!stored_for(p, brand))
		return NULL;
	switch (p->store) {
	case VM_S_ZONE:
		return vm_decode(p, zone_config_get(c, p->key));
	case VM_S_ATTR:
		return vm_decode(p, zone_config_attr(c, p->key));
	case VM_S_RCTL:
		return rctl_value(p, c);
	case VM_S_NONE:
	case VM_S_NET:
	case VM_S_NETATTR:
	case VM_S_DEV:
	case VM_S_DEVATTR:
	case VM_S_FS:
	case VM_S_ELEMENT:
	case VM_S_METADATA:
	case VM_S_TAGS:
	case VM_S_ROUTES:
	case VM_S_ZFS:
		break;
	}
	return NULL;
}

/* ---- resources ------------------------------------------------------------------ */

/* The zonecfg resource that holds the objects of an array. */
static const char *
resource_type(const char *array)
{
	if (str_eq(array, "nics"))
		return "net";
	return str_eq(array, "filesystems") ? "fs" : "device";
}

/* Does this resource belong to that array?  Disks and PCI devices are both devices. */
static bool
belongs(const char *array, const struct zone_res *res)
{
	bool pci;

	if (!str_eq(zone_res_type(res), "device"))
		return true;
	pci = str_eq(zone_res_attr(res, "model"), "passthru");
	return pci == str_eq(array, "pci_devices");
}

static struct json *
fs_options(const struct zone_res *res)
{
	cleanup_strv struct strv options = STRV_INIT;
	struct json *list;

	zone_res_options(res, &options);
	if (!options.n)
		return NULL;
	list = json_new_array();
	for (size_t i = 0; i < options.n; i++)
		json_push(list, json_new_str(options.v[i]));
	return list;
}

static struct json *
member_value(const struct vm_prop *p, const struct zone_res *res)
{
	switch (p->store) {
	case VM_S_NET:
	case VM_S_DEV:
		return vm_decode(p, zone_res_get(res, p->key));
	case VM_S_NETATTR:
	case VM_S_DEVATTR:
		return vm_decode(p, zone_res_attr(res, p->key));
	case VM_S_FS:
		return str_eq(p->key, "fsoption") ? fs_options(res)
						  : vm_decode(p, zone_res_get(res, p->key));
	case VM_S_NONE:
	case VM_S_ZONE:
	case VM_S_ATTR:
	case VM_S_RCTL:
	case VM_S_ELEMENT:
	case VM_S_METADATA:
	case VM_S_TAGS:
	case VM_S_ROUTES:
	case VM_S_ZFS:
		break;
	}
	return NULL;
}

/* The member name behind "nics.*.", or NULL if p is no member of array. */
static const char *
member_of(const struct vm_prop *p, const char *array)
{
	const char *rest = str_after(p->path, array);

	return rest ? str_after(rest, ".*.") : NULL;
}

/* The volume a disk's path names, as SmartOS shows it: zones/UUID-disk0. */
static void
disk_dataset(struct json *disk)
{
	static const char *const prefixes[] = {"/dev/zvol/rdsk/", "/dev/zvol/dsk/", "/dev/zvol/"};
	const char *path = json_str(json_get(disk, "path"), "");

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *name = str_after(path, prefixes[i]);
		const char *slash = name ? strchr(name, '/') : NULL;

		if (!slash)
			continue;
		json_set_str(disk, "zfs_filesystem", name);
		{
			cleanup_free char *pool = xstrndup(name, (size_t)(slash - name));

			json_set_str(disk, "zpool", pool);
		}
		return;
	}
}

static struct json *
objects_from(const char *array, const struct zone_config *c)
{
	struct json *list = json_new_array();
	struct zone_res *res = NULL;

	while ((res = zone_res_next(c, resource_type(array), res)) != NULL) {
		struct json *o;

		if (!belongs(array, res))
			continue;
		o = json_new_object();
		for (size_t i = 0; i < vm_props_n; i++) {
			const char *name = member_of(&vm_props[i], array);
			struct json *v = name ? member_value(&vm_props[i], res) : NULL;

			if (v)
				json_set(o, name, v);
		}
		if (str_eq(array, "disks"))
			disk_dataset(o);
		json_push(list, o);
	}
	return list;
}

struct json *
vm_from_config(const struct zone_config *c)
{
	enum vm_brand brand = vm_brand_parse(zone_config_get(c, "brand"));
	const char *zonepath = zone_config_get(c, "zonepath");
	struct json *vm = json_new_object();
	struct zone_res *res = NULL;

	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		struct json *v;

		if (strchr(p->path, '*') || p->alias_of)
			continue;
		if (p->store == VM_S_ELEMENT)
			v = (p->brands & brand) ? objects_from(p->path, c) : NULL;
		else
			v = top_value(p, c, brand);
		if (v && p->store == VM_S_ELEMENT && !json_len(v) && !str_eq(p->path, "nics") &&
		    !str_eq(p->path, "disks")) {
			json_free(v);
			continue;
		}
		if (v)
			json_set(vm, p->path, v);
	}
	if (!json_get(vm, "uuid"))
		json_set_str(vm, "uuid", zone_config_get(c, "zonename"));
	if (brand & VM_OS)
		json_set_int(vm, "ram", json_int(json_get(vm, "max_physical_memory"), 0));
	if (zonepath) {
		const char *slash = *zonepath == '/' ? strchr(zonepath + 1, '/') : NULL;

		json_set_str(vm, "zonepath", zonepath);
		if (slash) {
			cleanup_free char *pool =
				xstrndup(zonepath + 1, (size_t)(slash - zonepath - 1));

			json_set_str(vm, "zpool", pool);
			json_set_str(vm, "zfs_filesystem", zonepath + 1);
		}
	}
	while ((res = zone_res_next(c, "dataset", res)) != NULL) {
		if (!json_get(vm, "datasets"))
			json_set(vm, "datasets", json_new_array());
		json_push(json_get(vm, "datasets"), json_new_str(zone_res_get(res, "name")));
	}
	json_set_str(vm, "type", vm_brand_type(brand));
	json_set_bool(vm, "hvm", brand & VM_HVM);
	return vm;
}

/* ---- writing ------------------------------------------------------------------------ */

static void
set_attr(struct zone_config *c, const char *name, const struct vm_prop *p, const struct json *v)
{
	cleanup_free char *text = NULL;

	if (same_value(p, zone_config_attr(c, name), v))
		return;
	text = encode(p, v);
	zone_config_set_attr(c, name, "string", text);
}

static void
set_rctl(struct zone_config *c, const struct vm_prop *p, const struct json *v)
{
	const char *action;
	cleanup_free char *name = rctl_name(p, &action);
	cleanup_json struct json *have = rctl_value(p, c);
	int64_t n = json_int(v, -1);

	/* 0 is "no cap", not a cap of nothing. */
	if (n < 0 || (n == 0 && str_eq(p->path, "cpu_cap")))
		zone_config_unset_rctl(c, name);
	else if (json_int(have, -1) != n)
		zone_config_set_rctl(c, name,
				     (uint64_t)n << (p->encoding == VM_E_BYTES ? 20 : 0), action);
}

static void
set_top(struct zone_config *c, const struct vm_prop *p, enum vm_brand brand, const struct json *v)
{
	cleanup_free char *text = NULL;

	if ((brand & VM_HVM) && str_eq(p->path, "autoboot")) {
		zone_config_set(c, "autoboot", "false");
		set_attr(c, "vm-autoboot", p, v);
		return;
	}
	if (!stored_for(p, brand))
		return;
	switch (p->store) {
	case VM_S_ZONE:
		if (str_eq(p->key, "zonename") || str_eq(p->key, "brand") ||
		    same_value(p, zone_config_get(c, p->key), v))
			return; /* these two are given when the configuration is made */
		if (str_eq(p->key, "uuid") && str_eq(json_str(v, NULL), zone_config_get(c, "zonename")))
			return; /* the index has it; SmartOS's XML does not */
		text = encode(p, v);
		zone_config_set(c, p->key, text);
		return;
	case VM_S_ATTR:
		set_attr(c, p->key, p, v);
		return;
	case VM_S_RCTL:
		set_rctl(c, p, v);
		return;
	case VM_S_NONE:
	case VM_S_NET:
	case VM_S_NETATTR:
	case VM_S_DEV:
	case VM_S_DEVATTR:
	case VM_S_FS:
	case VM_S_ELEMENT:
	case VM_S_METADATA:
	case VM_S_TAGS:
	case VM_S_ROUTES:
	case VM_S_ZFS:
		return;
	}
}

static void
set_options(struct zone_res *res, const struct json *v)
{
	cleanup_strv struct strv options = STRV_INIT;
	cleanup_json struct json *have = fs_options(res);
	const struct json *item;

	if (have && v && json_equal(have, v))
		return;
	json_array_each(item, v)
		strv_add(&options, json_str(item, ""));
	zone_res_set_options(res, &options);
}

static void
set_member(struct zone_res *res, const struct vm_prop *p, const struct json *v)
{
	bool attr = p->store == VM_S_NETATTR || p->store == VM_S_DEVATTR;
	cleanup_free char *text = NULL;

	if (p->store == VM_S_NONE || p->store == VM_S_ZFS)
		return;
	if (str_eq(p->key, "fsoption")) {
		set_options(res, v);
		return;
	}
	if (same_value(p, attr ? zone_res_attr(res, p->key) : zone_res_get(res, p->key), v))
		return;
	text = encode(p, v);
	if (attr)
		zone_res_set_attr(res, p->key, text);
	else
		zone_res_set(res, p->key, text);
}

/* The resource that is this object: by the key member, compared decoded. */
static struct zone_res *
find_res(const char *array, const struct zone_config *c, const struct json *o)
{
	const char *key = vm_array_key(array);
	const struct vm_prop *p = vm_prop_member(array, key);
	struct zone_res *res = NULL;

	while ((res = zone_res_next(c, resource_type(array), res)) != NULL) {
		cleanup_json struct json *v = NULL;

		if (!belongs(array, res))
			continue;
		v = member_value(p, res);
		if (v && json_equal(v, json_get(o, key)))
			return res;
	}
	return NULL;
}

static bool
wanted(const char *array, const struct json *list, const struct zone_res *res)
{
	const char *key = vm_array_key(array);
	cleanup_json struct json *v = member_value(vm_prop_member(array, key), res);
	const struct json *o;

	json_array_each(o, list)
		if (v && json_equal(v, json_get(o, key)))
			return true;
	return false;
}

static void
set_objects(struct zone_config *c, const char *array, const struct json *list)
{
	struct zone_res *res = zone_res_next(c, resource_type(array), NULL);
	const struct json *o;

	while (res) {
		struct zone_res *next = zone_res_next(c, resource_type(array), res);

		if (belongs(array, res) && !wanted(array, list, res))
			zone_res_remove(c, res);
		res = next;
	}
	json_array_each(o, list) {
		res = find_res(array, c, o);
		if (!res) {
			res = zone_res_add(c, resource_type(array));
			if (str_eq(array, "pci_devices"))
				zone_res_set_attr(res, "model", "passthru");
		}
		for (size_t i = 0; i < vm_props_n; i++) {
			const char *name = member_of(&vm_props[i], array);

			if (name && !(str_eq(array, "pci_devices") && str_eq(name, "model")))
				set_member(res, &vm_props[i], json_get(o, name));
		}
	}
}

static void
set_datasets(struct zone_config *c, const struct json *vm)
{
	cleanup_free char *root = vm_dataset(vm);
	cleanup_free char *data = str_printf("%s/data", root);

	if (json_bool(json_get(vm, "delegate_dataset"), false) &&
	    !zone_res_find(c, "dataset", "name", data))
		zone_res_set(zone_res_add(c, "dataset"), "name", data);
}

void
vm_to_config(const struct json *vm, enum vm_brand brand, struct zone_config *c)
{
	if (!zone_config_get(c, "ip-type"))
		zone_config_set(c, "ip-type", "exclusive");
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];

		if (strchr(p->path, '*') || p->alias_of || !(p->brands & brand))
			continue;
		if (p->store == VM_S_ELEMENT)
			set_objects(c, p->path, json_get(vm, p->path));
		else
			set_top(c, p, brand, json_get(vm, p->path));
	}
	set_datasets(c, vm);
}

/* ---- where things are ------------------------------------------------------------------ */

char *
vm_dataset(const struct json *vm)
{
	return str_printf("%s/%s", json_str(json_get(vm, "zpool"), "zones"),
			  json_str(json_get(vm, "uuid"), ""));
}

char *
vm_path(const struct json *vm, const char *below)
{
	const char *zonepath = json_str(json_get(vm, "zonepath"), NULL);
	cleanup_free char *made =
		zonepath ? xstrdup(zonepath)
			 : str_printf("/%s/%s", json_str(json_get(vm, "zpool"), "zones"),
				      json_str(json_get(vm, "uuid"), ""));

	return str_printf("%s%s%s%s", zone_root(), made, *below ? "/" : "", below);
}
