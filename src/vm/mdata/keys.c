/*
 * Metadata keys of a guest.
 *
 * sdc:* are properties of the VM, read only.  Keys that end in _pw, and those
 * with a prefix listed in internal_metadata_namespaces, come from the operator's
 * internal_metadata and are read only too.  All others are the guest's and the
 * operator's together: customer_metadata, kept in config/metadata.json.
 */
#include "vm/mdata/keys.h"

#include "base/file.h"
#include "vm/vm.h"
#include "vm/vm_job.h"
#include "zone/zone.h"

/* metadata.json as a whole may not become larger than this by the guest's doing. */
#define METADATA_MAX (8u << 20)

static char *
value_text(const struct json *v)
{
	if (!v || json_type(v) == JSON_NULL)
		return NULL;
	return json_str(v, NULL) ? xstrdup(json_str(v, "")) : json_print(v, false);
}

/* ---- sdc: ------------------------------------------------------------------------ */

/* The guest's name: hostname, else alias, else uuid. */
static char *
hostname(const struct json *vm)
{
	static const char *const names[] = {"hostname", "alias", "uuid"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_get(vm, names[i]))
			return value_text(json_get(vm, names[i]));
	return NULL;
}

/*
 * Routes as a list: {"linklocal", "dst", "gateway"}; nics[N] and macs[MAC] become
 * the address of that nic and are link-local.
 */
static char *
routes(const struct json *vm)
{
	cleanup_json struct json *list = json_new_array();
	const char *dst;
	const struct json *v;

	json_object_each(dst, v, json_get(vm, "routes")) {
		const char *gw = json_str(v, "");
		const char *index = str_after(gw, "nics[");
		const char *mac = str_after(gw, "macs[");
		const struct json *nic = NULL, *each;
		struct json *route = json_new_object();
		char wanted[18];
		int n;

		if (index) {
			cleanup_free char *digits = xstrndup(index, strcspn(index, "]"));

			if (str_to_int(digits, &n) == 0 && n >= 0)
				nic = json_at(json_get(vm, "nics"), (size_t)n);
		} else if (mac) {
			cleanup_free char *text = xstrndup(mac, strcspn(mac, "]"));

			if (vm_mac_normalise(text, wanted) == 0)
				for (size_t i = 0; (each = json_at(json_get(vm, "nics"), i)); i++)
					if (str_eq(json_str(json_get(each, "mac"), NULL), wanted))
						nic = each;
		}
		if (index || mac)
			gw = json_str(json_get(nic, "ip"), "");
		json_set_bool(route, "linklocal", index || mac);
		json_set_str(route, "dst", dst);
		json_set_str(route, "gateway", gw);
		json_push(list, route);
	}
	return json_print(list, false);
}

static char *
operator_script(const struct json *vm)
{
	return value_text(json_get(json_get(vm, "internal_metadata"), "operator-script"));
}

static char *
volumes(const struct json *vm)
{
	return value_text(json_get(json_get(vm, "internal_metadata"), "sdc:volumes"));
}

static const struct {
	const char *key; /* behind "sdc:" */
	char *(*make)(const struct json *vm); /* NULL: the property of that name */
} sdc_keys[] = {
	{"uuid", NULL},
	{"zonename", NULL},
	{"alias", NULL},
	{"hostname", hostname},
	{"dns_domain", NULL},
	{"nics", NULL},
	{"resolvers", NULL},
	{"routes", routes},
	{"operator-script", operator_script},
	{"volumes", volumes},
	{"brand", NULL},
	{"image_uuid", NULL},
	{"owner_uuid", NULL},
	{"billing_id", NULL},
	{"package_name", NULL},
	{"package_version", NULL},
	{"server_uuid", NULL},
	{"datacenter_name", NULL},
	{"create_timestamp", NULL},
	{"kernel_version", NULL},
	{"max_physical_memory", NULL},
	{"max_swap", NULL},
	{"max_lwps", NULL},
	{"ram", NULL},
	{"vcpus", NULL},
	{"cpu_cap", NULL},
	{"cpu_shares", NULL},
	{"quota", NULL},
	{"tmpfs", NULL},
	{"disks", NULL},
	{"tags", NULL},
	{"firewall_enabled", NULL},
	{"maintain_resolvers", NULL},
	{"delegate_dataset", NULL},
	{"datasets", NULL},
	{"autoboot", NULL},
};

static char *
sdc_value(const struct json *vm, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(sdc_keys); i++)
		if (str_eq(key, sdc_keys[i].key))
			return sdc_keys[i].make ? sdc_keys[i].make(vm)
						: value_text(json_get(vm, key));
	return NULL;
}

/* ---- the two objects ------------------------------------------------------------------ */

/* "prefix:..." where prefix or "prefix:*" is a namespace of the VM. */
static bool
in_namespace(const struct json *vm, const char *key)
{
	const struct json *ns;

	json_array_each(ns, json_get(vm, "internal_metadata_namespaces")) {
		const char *rest = str_after(key, json_str(ns, ""));

		if (rest && *json_str(ns, "") && (*rest == ':' || str_ends(json_str(ns, ""), ":")))
			return true;
	}
	return false;
}

static bool
is_internal(const struct json *vm, const char *key)
{
	return str_ends(key, "_pw") || in_namespace(vm, key);
}

char *
mdata_value(const struct json *vm, const char *key)
{
	const char *sdc = str_after(key, "sdc:");

	if (sdc)
		return sdc_value(vm, sdc);
	return value_text(json_get(json_get(vm, is_internal(vm, key) ? "internal_metadata"
								      : "customer_metadata"),
				   key));
}

char *
mdata_key_list(const struct json *vm)
{
	cleanup_strv struct strv keys = STRV_INIT;
	const struct json *customer = json_get(vm, "customer_metadata");
	const struct json *internal = json_get(vm, "internal_metadata");

	for (size_t i = 0; i < json_len(customer); i++)
		if (!is_internal(vm, json_key_at(customer, i)))
			strv_add(&keys, json_key_at(customer, i));
	for (size_t i = 0; i < json_len(internal); i++)
		if (in_namespace(vm, json_key_at(internal, i)))
			strv_add(&keys, json_key_at(internal, i));
	return strv_join(&keys, "\n");
}

const char *
mdata_read_only(const struct json *vm, const char *key)
{
	if (str_after(key, "sdc:"))
		return "sdc: keys are read only";
	return is_internal(vm, key) ? "the key is the operator's" : NULL;
}

/* ---- requests ---------------------------------------------------------------------------- */

static bool
is_utf8(const char *s, size_t len)
{
	cleanup_free char *quoted = NULL;
	struct json *j = NULL;
	struct json *str = json_new_str(s);

	/* The JSON reader is the judge: what it does not take back must not be stored. */
	quoted = json_print(str, false);
	json_free(str);
	if (strlen(s) != len || !quoted || json_parse(quoted, (size_t)-1, &j, NULL) < 0)
		return false;
	json_free(j);
	return true;
}

static char *
fail(const struct mdata_request *q, const char *why)
{
	return mdata_reply_print(q, MDATA_FAILURE, why, strlen(why));
}

/* PUT and DELETE: read again under the lock, change, write. */
static char *
change(const char *uuid, const struct mdata_request *q)
{
	cleanup_free char *lock_name = str_printf("%s.metadata", uuid);
	cleanup_json struct json *vm = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int lock = -1;
	cleanup_free char *text = NULL;
	const char *why;
	struct json *mine;

	if (vm_lock(lock_name, true, &lock, &err) < 0 ||
	    vm_load(uuid, VM_LOAD_FILES, &vm, &err) < 0)
		return fail(q, "not available");
	why = mdata_read_only(vm, q->key);
	if (why)
		return fail(q, why);
	mine = json_get(vm, "customer_metadata");
	if (q->verb == MDATA_DELETE && !json_get(mine, q->key))
		return mdata_reply_print(q, MDATA_SUCCESS, NULL, 0); /* gone is gone */
	if (q->verb == MDATA_DELETE)
		json_remove(mine, q->key);
	else {
		if (!is_utf8(q->value, q->value_len))
			return fail(q, "the value is not text");
		json_set_str(mine, q->key, q->value);
	}
	text = json_print(mine, false);
	if (strlen(text) > METADATA_MAX)
		return fail(q, "there is too much metadata");
	if (vm_write_files(vm, &err) < 0)
		return fail(q, "cannot be stored");
	zone_event_changed(json_str(json_get(vm, "zonename"), uuid));
	return mdata_reply_print(q, MDATA_SUCCESS, NULL, 0);
}

char *
mdata_answer(const char *uuid, const struct mdata_request *q)
{
	cleanup_json struct json *vm = NULL;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	switch (q->verb) {
	case MDATA_NEGOTIATE:
		return mdata_reply_print(q, str_eq(q->key, "V2") ? MDATA_SUCCESS : MDATA_FAILURE,
					 NULL, 0);
	case MDATA_PUT:
	case MDATA_DELETE:
		return change(uuid, q);
	case MDATA_GET:
	case MDATA_KEYS:
		break;
	}
	if (vm_load(uuid, VM_LOAD_FILES, &vm, &err) < 0)
		return fail(q, "not available");
	text = q->verb == MDATA_KEYS ? mdata_key_list(vm) : mdata_value(vm, q->key);
	if (!text)
		return mdata_reply_print(q, MDATA_NOTFOUND, NULL, 0);
	return mdata_reply_print(q, MDATA_SUCCESS, text, strlen(text));
}
