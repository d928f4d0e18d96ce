/*
 * Payloads against the table: checked, brought into one form, completed.
 *
 * The order of a create is check (types, ranges, unknown names), defaults,
 * follow (properties that depend on others), rules (between properties).  An
 * update checks its payload, is merged into the VM by vm_update.c, and then goes
 * through follow and rules as a whole VM, so that no rule is written twice.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/event.h"
#include "vm/vm_check.h"
#include "vm/vm_props.h"

/* ---- report ------------------------------------------------------------- */

void
vm_report_done(struct vm_report *r)
{
	free(r->bad_brand);
	strv_done(&r->bad_values);
	strv_done(&r->bad_properties);
	strv_done(&r->missing_properties);
	strv_done(&r->why);
	*r = (struct vm_report)VM_REPORT_INIT;
}

bool
vm_report_ok(const struct vm_report *r)
{
	return !r->bad_brand && !r->bad_values.n && !r->bad_properties.n &&
	       !r->missing_properties.n;
}

static void
add_once(struct strv *list, const char *path)
{
	if (!strv_has(list, path))
		strv_add(list, path);
}

/* A bad value: `path` goes on the list as SmartOS writes it, the reason is told in full. */
__attribute__((format(printf, 3, 4))) static void
bad_value(struct vm_report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	add_once(&r->bad_values, path);
	va_start(ap, fmt);
	strv_take(&r->why, str_vprintf(fmt, ap));
	va_end(ap);
}

__attribute__((format(printf, 3, 4))) static void
bad_property(struct vm_report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	add_once(&r->bad_properties, path);
	va_start(ap, fmt);
	strv_take(&r->why, str_vprintf(fmt, ap));
	va_end(ap);
}

static struct json *
strv_json(const struct strv *sv)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < sv->n; i++)
		json_push(a, json_new_str(sv->v[i]));
	return a;
}

struct json *
vm_report_json(const struct vm_report *r)
{
	struct json *j = json_new_object();

	if (r->bad_brand)
		json_set_str(j, "bad_brand", r->bad_brand);
	json_set(j, "bad_values", strv_json(&r->bad_values));
	json_set(j, "bad_properties", strv_json(&r->bad_properties));
	json_set(j, "missing_properties", strv_json(&r->missing_properties));
	json_set(j, "messages", strv_json(&r->why));
	return j;
}

int
vm_report_error(const struct vm_report *r, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_free char *text = NULL;
	static const struct {
		const char *title;
		size_t offset;
	} lists[] = {
		{"Invalid value(s) for: ", offsetof(struct vm_report, bad_values)},
		{"Invalid property(s): ", offsetof(struct vm_report, bad_properties)},
		{"Missing required property(s): ", offsetof(struct vm_report, missing_properties)},
	};

	if (r->bad_brand)
		strv_addf(&parts, "Invalid brand: '%s'", r->bad_brand);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct strv *sv =
			(const struct strv *)(const void *)((const char *)r + lists[i].offset);
		cleanup_free char *names = sv->n ? strv_join(sv, ", ") : NULL;

		if (names)
			strv_addf(&parts, "%s%s", lists[i].title, names);
	}
	for (size_t i = 0; i < r->why.n; i++)
		strv_add(&parts, r->why.v[i]);
	text = strv_join(&parts, "\n    ");
	return error_set(err, EINVAL, "%s", text);
}

/* ---- single values ------------------------------------------------------- */

/* A value as it is shown in a message: short. */
static char *
shown(const struct json *v)
{
	char *text = json_print(v, false);

	if (strlen(text) > 60)
		memcpy(text + 57, "...", 4);
	return text;
}

static bool
is_scalar(const struct json *v)
{
	enum json_type t = json_type(v);

	return t == JSON_STR || t == JSON_INT || t == JSON_REAL || t == JSON_BOOL;
}

/* Text that XML and a line-oriented protocol can carry. */
static const char *
check_string(const struct vm_prop *p, const char *s)
{
	const char *why = p->check ? p->check(s) : vm_is_text(s);

	if (!why && p->type != VM_T_LIST && p->max && strlen(s) > (size_t)p->max)
		why = "short enough";
	return why;
}

static bool
choice_ok(const char *choices, const char *s)
{
	cleanup_strv struct strv all = STRV_INIT;

	strv_split(&all, choices, "|");
	return strv_has(&all, s);
}

/* Each of these returns the value in its one form, or NULL with a sentence in *ret_why. */

static struct json *
take_bool(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	const char *s = json_str(v, NULL);
	bool b;

	if (json_type(v) == JSON_BOOL)
		return json_copy(v);
	if (json_type(v) == JSON_INT && (json_int(v, -1) == 0 || json_int(v, -1) == 1))
		return json_new_bool(json_int(v, 0));
	if (s && (str_eq(s, "true") || str_eq(s, "false") || str_eq(s, "1") || str_eq(s, "0"))) {
		str_to_bool(s, &b);
		return json_new_bool(b);
	}
	*ret_why = str_printf("is not true or false");
	return NULL;
}

static struct json *
take_int(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	int64_t n = 0;
	int r = -EINVAL;

	if (json_type(v) == JSON_STR)
		r = str_to_i64(json_str(v, ""), 10, &n);
	else if (json_type(v) == JSON_INT || json_type(v) == JSON_REAL) {
		n = json_int(v, INT64_MIN);
		r = n == INT64_MIN ? -EINVAL : 0;
	}
	if (r == -EINVAL)
		*ret_why = str_printf("is not an integer");
	else if (r < 0 || n < p->min || n > p->max)
		*ret_why = str_printf("is not between %lld and %lld", (long long)p->min,
				      (long long)p->max);
	else if (p->pow2 && (n & (n - 1)))
		*ret_why = str_printf("is not a power of two");
	else
		return json_new_int(n);
	return NULL;
}

static struct json *
take_string(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	cleanup_free char *number = NULL;
	const char *s = json_str(v, NULL);
	const char *why;

	/* A number where a string is wanted was typed without its quotes. */
	if (json_type(v) == JSON_INT)
		s = number = json_print(v, false);
	if (!s) {
		*ret_why = str_printf("is not a string");
		return NULL;
	}
	if (p->choices && !choice_ok(p->choices, s)) {
		*ret_why = str_printf("is not one of %s", p->choices);
		return NULL;
	}
	why = check_string(p, s);
	if (why) {
		*ret_why = str_printf("is not %s", why);
		return NULL;
	}
	if (p->check == vm_is_mac) {
		char mac[18];

		vm_mac_normalise(s, mac);
		return json_new_str(mac);
	}
	return json_new_str(s);
}

static struct json *
take_uuid(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	const char *s = json_str(v, NULL);
	char lower[UUID_LEN + 1];

	if (s && p->check && !p->check(s) && !str_is_uuid(s))
		return json_new_str(s); /* a name, which vm_create.c looks up */
	if (!s || !str_is_uuid(s)) {
		*ret_why = str_printf("is not a UUID");
		return NULL;
	}
	memcpy(lower, s, sizeof(lower));
	return json_new_str(str_lower(lower));
}

static struct json *
take_list(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	cleanup_json struct json *list = json_new_array();
	cleanup_strv struct strv items = STRV_INIT;
	const struct json *item;

	if (json_type(v) == JSON_STR)
		strv_words(&items, json_str(v, ""), ",");
	else if (json_type(v) != JSON_ARRAY) {
		*ret_why = str_printf("is not a list");
		return NULL;
	} else
		json_array_each(item, v) {
			if (json_type(item) == JSON_STR)
				strv_add(&items, json_str(item, ""));
			else if (json_type(item) == JSON_INT)
				strv_take(&items, json_print(item, false));
			else {
				*ret_why = str_printf("is not a list of strings");
				return NULL;
			}
		}
	if (p->max && items.n > (size_t)p->max) {
		*ret_why = str_printf("has more than %lld items", (long long)p->max);
		return NULL;
	}
	if (!items.n && p->store == VM_S_ZONE) {
		*ret_why = str_printf("is empty");
		return NULL;
	}
	for (size_t i = 0; i < items.n; i++) {
		const char *why = strchr(items.v[i], ',') ? "an item without a comma"
							  : check_string(p, items.v[i]);
		int64_t n;

		if (why) {
			*ret_why = str_printf("holds \"%s\", which is not %s", items.v[i], why);
			return NULL;
		}
		if (p->check == vm_is_port && str_to_i64(items.v[i], 10, &n) == 0)
			json_push(list, json_new_int(n));
		else
			json_push(list, json_new_str(items.v[i]));
	}
	if (p->store == VM_S_ZONE) {
		/* limit_priv and fs_allowed are shown as they are stored. */
		cleanup_free char *joined = strv_join(&items, ",");

		return json_new_str(joined);
	}
	return steal_ptr(&list);
}

static struct json *
take_flat(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	const char *key;
	const struct json *member;

	if (json_type(v) != JSON_OBJECT) {
		*ret_why = str_printf("is not an object");
		return NULL;
	}
	json_object_each(key, member, v) {
		if (!*key || strlen(key) > 1024 || vm_is_text(key)) {
			*ret_why = str_printf("holds a key that is empty, too long or not printable");
			return NULL;
		}
		if (!is_scalar(member)) {
			*ret_why = str_printf("holds \"%s\", which is not a string, number or "
					      "boolean", key);
			return NULL;
		}
	}
	return json_copy(v);
}

static struct json *
take_value(const struct vm_prop *p, const struct json *v, char **ret_why)
{
	switch (p->type) {
	case VM_T_BOOL:
		return take_bool(p, v, ret_why);
	case VM_T_INT:
		return take_int(p, v, ret_why);
	case VM_T_STRING:
		return take_string(p, v, ret_why);
	case VM_T_UUID:
		return take_uuid(p, v, ret_why);
	case VM_T_LIST:
		return take_list(p, v, ret_why);
	case VM_T_FLAT:
		return take_flat(p, v, ret_why);
	case VM_T_OBJECTS:
		break; /* members are checked one by one */
	}
	return NULL;
}

/* ---- objects in arrays ---------------------------------------------------- */

/* One object of an array; `where` is "nics[0]" or "add_nics[0]". */
static struct json *
check_object(const char *array, const char *where, const struct json *in, enum vm_brand brand,
	     enum vm_action action, struct vm_report *r)
{
	struct json *out = json_new_object();
	const char *name;
	const struct json *v;

	json_object_each(name, v, in) {
		const struct vm_prop *p = vm_prop_member(array, name);
		cleanup_free char *path = str_printf("%s.*.%s", array, name);
		cleanup_free char *why = NULL;
		cleanup_free char *text = NULL;
		struct json *value;

		if (!p || !(p->brands & brand)) {
			bad_property(r, path, p ? "%s.%s is not a property of brand %s"
						: "%s.%s: unknown property",
				     where, name, vm_brand_name(brand));
			continue;
		}
		/* What `vmadm get` prints may be given back to `vmadm create`. */
		if (!(p->actions & action) && !(action == VM_ADD && (p->actions & VM_RECEIVE)) &&
		    !str_eq(name, vm_array_key(array))) {
			bad_property(r, path, "%s.%s cannot be changed", where, name);
			continue;
		}
		if (action == VM_CHANGE && (!v || json_type(v) == JSON_NULL ||
					    str_eq(json_str(v, NULL), ""))) {
			json_set(out, name, json_new_null());
			continue;
		}
		value = take_value(p, v, &why);
		if (!value) {
			text = shown(v);
			bad_value(r, path, "%s.%s: %s %s", where, name, text, why);
			continue;
		}
		if (str_eq(name, "primary") && !json_bool(value, true)) {
			bad_value(r, path, "%s.primary: false cannot be given; make another nic "
					   "primary", where);
			json_free(value);
			continue;
		}
		json_set(out, name, value);
	}
	return out;
}

static struct json *
check_objects(const char *array, const char *given_as, const struct json *in,
	      enum vm_brand brand, enum vm_action action, struct vm_report *r)
{
	const struct vm_prop *p = vm_prop_find(array);
	struct json *out = json_new_array();
	const char *key = vm_array_key(array);

	if (json_type(in) != JSON_ARRAY) {
		bad_value(r, given_as, "%s is not an array of objects", given_as);
		return out;
	}
	if (p->max && json_len(in) > (size_t)p->max)
		bad_value(r, given_as, "%s holds more than %lld objects", given_as,
			  (long long)p->max);
	for (size_t i = 0; i < json_len(in); i++) {
		cleanup_free char *where = str_printf("%s[%zu]", given_as, i);
		const struct json *o = json_at(in, i);

		if (json_type(o) != JSON_OBJECT) {
			bad_value(r, given_as, "%s is not an object", where);
			continue;
		}
		if (action == VM_CHANGE && !json_get(o, key)) {
			cleanup_free char *path = str_printf("%s.*.%s", given_as, key);

			add_once(&r->missing_properties, path);
			strv_addf(&r->why, "%s does not say which: %s is missing", where, key);
		}
		json_push(out, check_object(array, where, o, brand, action, r));
	}
	return out;
}

/* remove_nics and the like: a list of keys (objects that hold the key are taken too). */
static struct json *
check_removals(const char *array, const char *given_as, const struct json *in,
	       struct vm_report *r)
{
	const char *key = vm_array_key(array);
	const struct vm_prop *p = key ? vm_prop_member(array, key) : NULL;
	struct json *out = json_new_array();
	const struct json *item;

	if (json_type(in) != JSON_ARRAY) {
		bad_value(r, given_as, "%s is not a list", given_as);
		return out;
	}
	json_array_each(item, in) {
		const struct json *v = key && json_type(item) == JSON_OBJECT ? json_get(item, key)
									     : item;
		cleanup_free char *why = NULL;
		struct json *value = p ? take_string(p, v, &why)
				       : json_new_str(json_str(v, NULL));

		if (!json_str(value, NULL)) {
			cleanup_free char *text = shown(item);

			bad_value(r, given_as, "%s: %s %s", given_as, text,
				  why ? why : "is not a string");
			json_free(value);
			continue;
		}
		json_push(out, value);
	}
	return out;
}

/* add_nics, update_nics, remove_nics, set_tags, remove_tags: true if key is such a thing. */
static bool
check_verb(struct json *out, const char *key, const struct json *v, enum vm_brand brand,
	   struct vm_report *r)
{
	static const struct {
		const char *prefix;
		bool objects, flat; /* what it works on */
	} verbs[] = {
		{"add_", true, false},
		{"update_", true, false},
		{"remove_", true, true},
		{"set_", false, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *name = str_after(key, verbs[i].prefix);
		const struct vm_prop *p = name ? vm_prop_find(name) : NULL;
		cleanup_free char *why = NULL;
		struct json *value;

		if (!p || (p->type == VM_T_OBJECTS ? !verbs[i].objects
						   : p->type != VM_T_FLAT || !verbs[i].flat))
			continue;
		if (!(p->brands & brand)) {
			bad_property(r, key, "%s is not a property of brand %s", key,
				     vm_brand_name(brand));
			return true;
		}
		if (strcmp(verbs[i].prefix, "remove_") == 0)
			value = check_removals(name, key, v, r);
		else if (p->type == VM_T_OBJECTS)
			value = check_objects(name, key, v, brand,
					      *key == 'a' ? VM_ADD : VM_CHANGE, r);
		else
			value = take_value(p, v, &why);
		if (!value)
			bad_value(r, key, "%s %s", key, why);
		else
			json_set(out, key, value);
		return true;
	}
	return false;
}

/* ---- the whole payload ------------------------------------------------------ */

/*
 * What `vmadm get` prints besides the properties of the table: a payload made by
 * editing its output is not wrong for holding them.
 */
static const char *const derived[] = {
	"state", "zone_state", "type", "pid", "zoneid", "zonedid", "zonepath", "boot_timestamp",
	"exit_status", "exit_timestamp", "last_modified", "init_restarts", "missing", "snapshots",
	"datasets", "zfs_filesystem", "server_uuid", "datacenter_name", "platform_buildstamp",
	"headnode_id", "free_space", "transition_to", "transition_expire", "hvm", "vm_autoboot",
};

static bool
is_derived(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(derived); i++)
		if (strcmp(key, derived[i]) == 0)
			return true;
	return false;
}

static void
check_top(struct json *out, const char *key, const struct json *v, enum vm_brand brand,
	  enum vm_action action, struct vm_report *r)
{
	const struct vm_prop *p = vm_prop_find(key);
	cleanup_free char *why = NULL;
	cleanup_free char *text = NULL;
	unsigned wanted = action == VM_RECEIVE ? VM_RECEIVE | VM_CREATE : action;
	struct json *value;

	if (p && p->alias_of)
		p = vm_prop_find(p->alias_of);
	if (!p && action == VM_RECEIVE && is_derived(key))
		return;
	if (!p && is_derived(key)) {
		bad_property(r, key, "%s is read only", key);
		return;
	}
	if (!p || strchr(key, '*')) {
		bad_property(r, key, "%s: unknown property", key);
		return;
	}
	if (!(p->brands & brand)) {
		bad_property(r, key, "%s is not a property of brand %s", key,
			     vm_brand_name(brand));
		return;
	}
	if (!(p->actions & wanted)) {
		bad_property(r, key, p->actions & (VM_CREATE | VM_UPDATE)
					     ? "%s cannot be changed once the VM exists"
					     : "%s is read only",
			     key);
		return;
	}
	if (action == VM_UPDATE && (!v || json_type(v) == JSON_NULL ||
				    str_eq(json_str(v, NULL), ""))) {
		json_set(out, p->path, json_new_null()); /* back to nothing or its default */
		return;
	}
	if (p->type == VM_T_OBJECTS)
		value = check_objects(p->path, key, v, brand, VM_ADD, r);
	else
		value = take_value(p, v, &why);
	if (!value) {
		text = shown(v);
		bad_value(r, key, "%s: %s %s", key, text, why);
		return;
	}
	json_set(out, p->path, value);
}

void
vm_payload_check(struct json *payload, enum vm_brand brand, enum vm_action action,
		 struct vm_report *r)
{
	cleanup_json struct json *out = json_new_object();
	const char *key;
	const struct json *v;
	struct json *taken;

	if (json_type(payload) != JSON_OBJECT) {
		bad_value(r, "payload", "the payload is not an object");
		return;
	}
	if (!brand) {
		const char *name = json_str(json_get(payload, "brand"), NULL);

		if (json_get(payload, "brand")) {
			free(r->bad_brand);
			r->bad_brand = xstrdup(name ? name : "?");
			return;
		}
		add_once(&r->missing_properties, "brand");
		return;
	}
	json_object_each(key, v, payload)
		if (action != VM_UPDATE || !check_verb(out, key, v, brand, r))
			check_top(out, key, v, brand, action, r);
	if (action != VM_UPDATE) {
		for (size_t i = 0; i < vm_props_n; i++)
			if (vm_props[i].required && (vm_props[i].brands & brand) &&
			    !strchr(vm_props[i].path, '*') && !json_get(out, vm_props[i].path) &&
			    !strv_has(&r->bad_values, vm_props[i].path))
				add_once(&r->missing_properties, vm_props[i].path);
		if ((brand & VM_OS) && !json_get(out, "image_uuid") &&
		    !strv_has(&r->bad_values, "image_uuid"))
			add_once(&r->missing_properties, "image_uuid");
	}
	/* The payload takes over the checked form. */
	while ((key = json_key_at(payload, 0)) != NULL)
		json_remove(payload, key);
	while ((key = json_key_at(out, 0)) != NULL) {
		cleanup_free char *name = xstrdup(key);

		taken = json_steal(out, name);
		json_set(payload, name, taken);
	}
}

int
vm_payload_set_arg(struct json *payload, const char *arg, struct error *err)
{
	const char *eq = strchr(arg, '=');
	cleanup_free char *key = NULL;
	const struct vm_prop *p;

	if (!eq || eq == arg)
		return error_set(err, EINVAL, "\"%s\" is not of the form property=value", arg);
	key = xstrndup(arg, (size_t)(eq - arg));
	p = vm_prop_find(key);
	if (p && (p->type == VM_T_FLAT || p->type == VM_T_OBJECTS))
		return error_set_path(err, EINVAL, key,
				      "%s cannot be given as property=value: use -f or standard "
				      "input", key);
	json_set_str(payload, key, eq[1] ? eq + 1 : NULL);
	return 0;
}

/* ---- MAC addresses ----------------------------------------------------------- */

int
vm_mac_normalise(const char *mac, char ret[18])
{
	unsigned char b[6];
	size_t n = 0;
	const char *p = mac;

	while (n < 6) {
		unsigned v = 0;
		int digits = 0;

		for (; isxdigit((unsigned char)*p) && digits < 3; p++, digits++)
			v = v * 16 + (unsigned)(isdigit((unsigned char)*p)
							? *p - '0'
							: tolower((unsigned char)*p) - 'a' + 10);
		if (digits < 1 || digits > 2)
			return -EINVAL;
		b[n++] = (unsigned char)v;
		if (n < 6 && *p++ != ':')
			return -EINVAL;
	}
	if (*p || (b[0] & 1) || !(b[0] | b[1] | b[2] | b[3] | b[4] | b[5]))
		return -EINVAL;
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return 0;
}

void
vm_mac_random(char ret[18])
{
	unsigned char b[6];

	while (getrandom(b, sizeof(b), 0) != sizeof(b))
		;
	/* Locally administered, unicast, first digit 1..f: as SmartOS makes them. */
	b[0] = (unsigned char)((b[0] & 0xf0) | 0x02);
	if (b[0] < 0x10)
		b[0] |= 0x90;
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
}

/* ---- defaults ------------------------------------------------------------------ */

static void
set_default(struct json *o, const char *key, struct json *value)
{
	if (json_get(o, key))
		json_free(value);
	else
		json_set(o, key, value);
}

/* ip/netmask and ips, gateway and gateways say the same: ips and gateways win. */
static void
nic_addresses(struct json *nic)
{
	const char *ip = json_str(json_get(nic, "ip"), NULL);
	const char *mask = json_str(json_get(nic, "netmask"), NULL);
	const struct json *item;

	if (!json_get(nic, "ips") && ip) {
		struct json *ips = json_new_array();
		cleanup_free char *cidr =
			str_eq(ip, "dhcp") ? xstrdup(ip)
					   : str_printf("%s/%d", ip,
							mask ? vm_netmask_bits(mask) : 24);

		json_push(ips, json_new_str(cidr));
		json_set(nic, "ips", ips);
	}
	json_remove(nic, "ip");
	json_remove(nic, "netmask");
	json_array_each(item, json_get(nic, "ips")) {
		const char *s = json_str(item, "");
		const char *slash = strchr(s, '/');
		char text[INET_ADDRSTRLEN];
		struct in_addr m;
		int bits;

		if (str_eq(s, "dhcp")) {
			json_set_str(nic, "ip", s);
			break;
		}
		if (!slash || strchr(s, ':') || str_to_int(slash + 1, &bits) < 0)
			continue;
		m.s_addr = htonl(bits ? 0xffffffffu << (32 - bits) : 0);
		inet_ntop(AF_INET, &m, text, sizeof(text));
		json_set_str(nic, "netmask", text);
		{
			cleanup_free char *addr = xstrndup(s, (size_t)(slash - s));

			json_set_str(nic, "ip", addr);
		}
		break;
	}
	if (!json_get(nic, "gateways") && json_get(nic, "gateway")) {
		struct json *gws = json_new_array();

		json_push(gws, json_copy(json_get(nic, "gateway")));
		json_set(nic, "gateways", gws);
	}
	json_remove(nic, "gateway");
	if (json_len(json_get(nic, "gateways")))
		json_set(nic, "gateway", json_copy(json_at(json_get(nic, "gateways"), 0)));
}

static bool
interface_taken(const struct json *nics, const char *name)
{
	const struct json *nic;

	json_array_each(nic, nics)
		if (str_eq(json_str(json_get(nic, "interface"), NULL), name))
			return true;
	return false;
}

static void
nic_defaults(struct json *vm, enum vm_brand brand)
{
	struct json *nics = json_get(vm, "nics");
	const char *prefix = brand == VM_LX ? "eth" : "net";
	bool have_primary = false;
	struct json *nic;
	char mac[18];

	json_array_each(nic, nics) {
		nic_addresses(nic);
		have_primary |= json_bool(json_get(nic, "primary"), false);
	}
	json_array_each(nic, nics) {
		if (!json_get(nic, "mac")) {
			vm_mac_random(mac);
			json_set_str(nic, "mac", mac);
		}
		for (int n = 0; !json_get(nic, "interface"); n++) {
			cleanup_free char *name = str_printf("%s%d", prefix, n);

			if (!interface_taken(nics, name))
				json_set_str(nic, "interface", name);
		}
		if (brand & VM_HVM)
			set_default(nic, "model",
				    json_new_str(json_str(json_get(vm, "nic_driver"), "virtio")));
	}
	if (json_len(nics) && !have_primary)
		json_set_bool(json_at(nics, 0), "primary", true);
}

static bool
slot_taken(const struct json *disks, const char *slot)
{
	const struct json *d;

	json_array_each(d, disks)
		if (str_eq(json_str(json_get(d, "pci_slot"), NULL), slot))
			return true;
	return false;
}

/*
 * Guests have the places of their disks baked in (interface and disk names, boot
 * entries): the boot disk is at 0:4:0, others at 0:4:1 and up, CD-ROMs at 0:3:0
 * and up, as on SmartOS.
 */
static void
disk_slot(struct json *disks, struct json *disk)
{
	bool cd = str_eq(json_str(json_get(disk, "media"), NULL), "cdrom");
	bool boot = json_bool(json_get(disk, "boot"), false);

	for (int fn = cd || boot ? 0 : 1; fn < 8; fn++) {
		cleanup_free char *slot = str_printf("0:%d:%d", cd ? 3 : 4, fn);

		if (slot_taken(disks, slot))
			continue;
		json_set_str(disk, "pci_slot", slot);
		return;
	}
}

static bool
path_taken(const struct json *disks, const char *path)
{
	const struct json *d;

	json_array_each(d, disks)
		if (str_eq(json_str(json_get(d, "path"), NULL), path))
			return true;
	return false;
}

/* The volume of a new disk: a sibling of the root for kvm, a child of it for bhyve. */
static char *
disk_path(const struct json *vm, const struct json *disk, enum vm_brand brand, int n)
{
	return str_printf("/dev/zvol/rdsk/%s/%s%cdisk%d",
			  json_str(json_get(disk, "zpool"),
				   json_str(json_get(vm, "zpool"), "zones")),
			  json_str(json_get(vm, "uuid"), ""), brand == VM_BHYVE ? '/' : '-', n);
}

static void
disk_defaults(struct json *vm, enum vm_brand brand)
{
	struct json *disks = json_get(vm, "disks");
	bool have_boot = false;
	struct json *d;

	json_array_each(d, disks)
		have_boot |= json_bool(json_get(d, "boot"), false);
	json_array_each(d, disks) {
		bool made = !json_get(d, "path");

		set_default(d, "media", json_new_str("disk"));
		if (!have_boot && str_eq(json_str(json_get(d, "media"), NULL), "disk")) {
			json_set_bool(d, "boot", true);
			have_boot = true;
		}
		if (json_get(vm, "disk_driver"))
			set_default(d, "model", json_copy(json_get(vm, "disk_driver")));
		for (int n = 0; made && !json_get(d, "path"); n++) {
			cleanup_free char *path = disk_path(vm, d, brand, n);

			if (!path_taken(disks, path))
				json_set_str(d, "path", path);
		}
		if (made && !json_get(d, "uuid")) {
			char uuid[UUID_LEN + 1];

			uuid_random(uuid);
			json_set_str(d, "uuid", uuid);
		}
	}
	if (brand != VM_BHYVE)
		return;
	/* The boot disk chooses first. */
	for (int pass = 0; pass < 2; pass++)
		json_array_each(d, disks)
			if (!json_get(d, "pci_slot") &&
			    (pass || json_bool(json_get(d, "boot"), false)))
				disk_slot(disks, d);
}

/* HVM guests need memory besides their own: the VMM and its devices. */
static int64_t
memory_overhead(enum vm_brand brand)
{
	return brand == VM_KVM ? 1024 : brand == VM_BHYVE ? 1280 : 0;
}

static void
memory_defaults(struct json *vm, enum vm_brand brand)
{
	int64_t ram = json_int(json_get(vm, "ram"), 0);
	int64_t phys = json_int(json_get(vm, "max_physical_memory"), 0);

	if (brand & VM_HVM) {
		set_default(vm, "ram", json_new_int(256));
		ram = json_int(json_get(vm, "ram"), 256);
		set_default(vm, "max_physical_memory",
			    json_new_int(ram + memory_overhead(brand)));
	} else {
		if (!phys)
			phys = ram ? ram : 256;
		json_set_int(vm, "max_physical_memory", phys);
		json_set_int(vm, "ram", phys);
	}
	phys = json_int(json_get(vm, "max_physical_memory"), 256);
	set_default(vm, "max_swap", json_new_int(phys > 256 ? phys : 256));
}

static void
limit_priv_default(struct json *vm, enum vm_brand brand)
{
	set_default(vm, "limit_priv",
		    json_new_str((brand & VM_HVM) ? "default,-file_link_any,-net_access,-proc_fork,"
						    "-proc_info,-proc_session"
						  : "default"));
}

/* What the table says: literals, and copies of other properties. */
static void
table_defaults(struct json *vm, enum vm_brand brand)
{
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];
		struct json *value = NULL;

		if (!p->initial || !(p->brands & brand) || json_get(vm, p->path))
			continue;
		if (*p->initial == '=')
			value = json_copy(json_get(vm, p->initial + 1));
		else
			json_parse(p->initial, (size_t)-1, &value, NULL);
		if (value)
			json_set(vm, p->path, value);
	}
}

void
vm_payload_defaults(struct json *vm, enum vm_brand brand)
{
	char uuid[UUID_LEN + 1], now[32];

	if (!json_get(vm, "uuid")) {
		uuid_random(uuid);
		json_set_str(vm, "uuid", uuid);
	}
	set_default(vm, "zonename", json_copy(json_get(vm, "uuid")));
	memory_defaults(vm, brand);
	set_default(vm, "quota", json_new_int(brand == VM_BHYVE ? 1 : 10));
	if (!json_get(vm, "create_timestamp"))
		json_set_str(vm, "create_timestamp", time_iso(time_real_ms(), now));
	limit_priv_default(vm, brand);
	set_default(vm, "nics", json_new_array());
	if (brand & VM_HVM)
		set_default(vm, "disks", json_new_array());
	table_defaults(vm, brand);
	nic_defaults(vm, brand);
	disk_defaults(vm, brand);
}

/* ---- properties that follow others ------------------------------------------------ */

/*
 * When memory grows or shrinks, what was derived from the old value is derived
 * again from the new one; what somebody had set differently stays.
 */
static void
follow_memory(struct json *vm, const struct json *old, const char *prop, int64_t old_phys,
	      int64_t phys)
{
	int64_t had = json_int(json_get(old, prop), -1);
	int64_t has = json_int(json_get(vm, prop), -1);

	if (had == has && had == old_phys && phys != old_phys)
		json_set_int(vm, prop, phys);
}

void
vm_payload_follow(struct json *vm, enum vm_brand brand, const struct json *old)
{
	int64_t phys = json_int(json_get(vm, "max_physical_memory"), 0);
	int64_t ram = json_int(json_get(vm, "ram"), 0);
	int64_t old_phys = json_int(json_get(old, "max_physical_memory"), 0);
	int64_t old_ram = json_int(json_get(old, "ram"), 0);
	int64_t locked;

	if (old && (brand & VM_OS)) {
		if (ram != old_ram && phys == old_phys)
			phys = ram;
		json_set_int(vm, "max_physical_memory", phys);
		json_set_int(vm, "ram", phys);
	} else if (old && ram != old_ram && phys == old_phys) {
		phys = old_phys + (ram - old_ram);
		json_set_int(vm, "max_physical_memory", phys);
	}
	if (old) {
		static const char *const followers[] = {"max_locked_memory", "max_shm_memory",
							"tmpfs"};

		for (size_t i = 0; i < ARRAY_SIZE(followers); i++)
			follow_memory(vm, old, followers[i], old_phys, phys);
		if (json_int(json_get(vm, "max_swap"), 0) ==
			    json_int(json_get(old, "max_swap"), 0) &&
		    json_int(json_get(old, "max_swap"), 0) == (old_phys > 256 ? old_phys : 256))
			json_set_int(vm, "max_swap", phys > 256 ? phys : 256);
	}
	locked = json_int(json_get(vm, "max_locked_memory"), 0);
	if (locked > phys)
		json_set_int(vm, "max_locked_memory", phys);
	nic_defaults(vm, brand);
	disk_defaults(vm, brand);
}

/* ---- rules between properties -------------------------------------------------------- */

static void
rules_memory(const struct json *vm, enum vm_brand brand, struct vm_report *r)
{
	int64_t ram = json_int(json_get(vm, "ram"), 0);
	int64_t phys = json_int(json_get(vm, "max_physical_memory"), 0);
	int64_t swap = json_int(json_get(vm, "max_swap"), 0);

	if ((brand & VM_HVM) && phys < ram + 256)
		bad_value(r, "max_physical_memory",
			  "max_physical_memory: %lld is less than ram (%lld) and 256 for the VMM",
			  (long long)phys, (long long)ram);
	if (swap && swap < phys)
		bad_value(r, "max_swap", "max_swap: %lld is less than max_physical_memory (%lld)",
			  (long long)swap, (long long)phys);
}

/* Two objects of an array that must differ in a property. */
static void
rules_unique(const struct json *vm, const char *array, const char *prop, struct vm_report *r)
{
	const struct json *list = json_get(vm, array);

	for (size_t i = 0; i < json_len(list); i++)
		for (size_t k = i + 1; k < json_len(list); k++) {
			const struct json *a = json_get(json_at(list, i), prop);
			const struct json *b = json_get(json_at(list, k), prop);
			cleanup_free char *path = NULL;

			if (!a || !b || !json_equal(a, b))
				continue;
			path = str_printf("%s.*.%s", array, prop);
			bad_value(r, path, "%s[%zu].%s: %s is that of %s[%zu] too", array, k, prop,
				  json_str(b, "it"), array, i);
		}
}

static void
rules_nic(const struct json *nic, size_t i, enum vm_brand brand, struct vm_report *r)
{
	const struct json *ips = json_get(nic, "ips");
	const struct json *item;
	bool dynamic = false;

	if (!json_get(nic, "nic_tag")) {
		add_once(&r->missing_properties, "nics.*.nic_tag");
		strv_addf(&r->why, "nics[%zu] has no nic_tag", i);
	}
	if (json_len(ips) + json_len(json_get(nic, "allowed_ips")) > 32)
		bad_value(r, "nics.*.allowed_ips",
			  "nics[%zu]: ips and allowed_ips are more than 32 together", i);
	json_array_each(item, ips)
		dynamic |= str_eq(json_str(item, ""), "dhcp") ||
			   str_eq(json_str(item, ""), "addrconf");
	if (brand == VM_BHYVE && str_eq(json_str(json_get(nic, "model"), NULL), "rtl8139"))
		bad_value(r, "nics.*.model", "nics[%zu].model: rtl8139 is not one of brand bhyve", i);
	if (json_get(nic, "vrrp_vrid") && !json_get(nic, "vrrp_primary_ip"))
		add_once(&r->missing_properties, "nics.*.vrrp_primary_ip");
	if (json_get(nic, "vrrp_vrid") && dynamic)
		bad_value(r, "nics.*.ips", "nics[%zu]: a VRRP nic cannot have dynamic addresses", i);
}

static void
rules_nics(const struct json *vm, enum vm_brand brand, struct vm_report *r)
{
	const struct json *nics = json_get(vm, "nics");
	int primaries = 0;

	for (size_t i = 0; i < json_len(nics); i++) {
		rules_nic(json_at(nics, i), i, brand, r);
		primaries += json_bool(json_get(json_at(nics, i), "primary"), false);
	}
	if (primaries > 1)
		bad_value(r, "nics.*.primary", "more than one nic is primary");
	if (brand == VM_BHYVE && json_len(nics) > 8)
		bad_value(r, "nics", "%zu nics are more than the 8 functions of PCI slot 0:6",
			  json_len(nics));
	rules_unique(vm, "nics", "mac", r);
	rules_unique(vm, "nics", "interface", r);
}

static bool
model_fits(const char *model, enum vm_brand brand)
{
	return choice_ok(brand == VM_KVM ? "virtio|scsi|ide" : "virtio|ahci|nvme", model);
}

/* What stands at an address of the guest's PCI bus where no disk can be. */
static const char *
slot_owner(const char *slot)
{
	static const struct {
		int device;
		const char *what;
	} reserved[] = {{0, "the host bridge"}, {6, "the nics"}, {30, "the screen"},
			{31, "the LPC bridge"}};
	int bus = 0, device, fn;

	if (!slot || (sscanf(slot, "%d:%d:%d", &bus, &device, &fn) != 3 &&
		      (bus = 0, sscanf(slot, "%d:%d", &device, &fn) != 2)) || bus != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (reserved[i].device == device)
			return reserved[i].what;
	return NULL;
}

static void
rules_disk_bhyve(const struct json *d, size_t i, bool cd, struct vm_report *r)
{
	const char *slot = json_str(json_get(d, "pci_slot"), NULL);

	if (slot_owner(slot))
		bad_value(r, "disks.*.pci_slot", "disks[%zu].pci_slot: %s is where %s %s", i, slot,
			  slot_owner(slot), str_ends(slot_owner(slot), "nics") ? "are" : "is");
	if (cd && str_eq(json_str(json_get(d, "model"), NULL), "nvme"))
		bad_value(r, "disks.*.model", "disks[%zu].model: a cdrom is ahci or virtio, not "
			  "nvme", i);
}

static void
rules_disk(const struct json *d, size_t i, enum vm_brand brand, struct vm_report *r)
{
	bool cd = str_eq(json_str(json_get(d, "media"), NULL), "cdrom");
	bool nocreate = json_bool(json_get(d, "nocreate"), false) || cd;
	const char *model = json_str(json_get(d, "model"), NULL);

	if (!model) {
		add_once(&r->missing_properties, "disks.*.model");
		strv_addf(&r->why, "disks[%zu] has no model, nor is there a disk_driver", i);
	} else if (!model_fits(model, brand))
		bad_value(r, "disks.*.model", "disks[%zu].model: %s is not one of brand %s", i,
			  model, vm_brand_name(brand));
	if (brand == VM_BHYVE)
		rules_disk_bhyve(d, i, cd, r);
	if (!nocreate && !json_get(d, "size") && !json_get(d, "image_uuid")) {
		add_once(&r->missing_properties, "disks.*.size");
		strv_addf(&r->why, "disks[%zu] has neither size nor image_uuid", i);
	}
	/* A disk that is there already was asked what its block size is. */
	if (json_get(d, "image_uuid") && json_get(d, "block_size") &&
	    !json_get(d, "zfs_filesystem"))
		bad_value(r, "disks.*.block_size",
			  "disks[%zu].block_size: is that of its image and cannot be given", i);
	if (cd && json_bool(json_get(d, "boot"), false) && json_get(d, "image_uuid"))
		bad_value(r, "disks.*.image_uuid", "disks[%zu]: a cdrom is not made of an image",
			  i);
}

static void
rules_disks(const struct json *vm, enum vm_brand brand, struct vm_report *r)
{
	const struct json *disks = json_get(vm, "disks");
	int boots = 0;

	for (size_t i = 0; i < json_len(disks); i++) {
		rules_disk(json_at(disks, i), i, brand, r);
		boots += json_bool(json_get(json_at(disks, i), "boot"), false);
	}
	if (boots > 1)
		bad_value(r, "disks.*.boot", "more than one disk is the boot disk");
	rules_unique(vm, "disks", "path", r);
	rules_unique(vm, "disks", "pci_slot", r);
}

static void
rules_filesystems(const struct json *vm, struct vm_report *r)
{
	static const char *const needed[] = {"type", "source", "target"};
	const struct json *list = json_get(vm, "filesystems");

	for (size_t i = 0; i < json_len(list); i++)
		for (size_t k = 0; k < ARRAY_SIZE(needed); k++) {
			cleanup_free char *path = str_printf("filesystems.*.%s", needed[k]);

			if (json_get(json_at(list, i), needed[k]))
				continue;
			add_once(&r->missing_properties, path);
			strv_addf(&r->why, "filesystems[%zu] has no %s", i, needed[k]);
		}
	rules_unique(vm, "filesystems", "target", r);
}

/* The nic a route names as nics[N] or macs[MAC], or NULL. */
static const struct json *
route_nic(const struct json *vm, const char *gw)
{
	const struct json *nics = json_get(vm, "nics"), *nic;
	const char *arg = str_after(gw, "nics[");
	cleanup_free char *inner = NULL;
	char mac[18];
	int n;

	if (arg && str_ends(arg, "]")) {
		inner = xstrndup(arg, strlen(arg) - 1);
		return str_to_int(inner, &n) == 0 && n >= 0 ? json_at(nics, (size_t)n) : NULL;
	}
	arg = str_after(gw, "macs[");
	if (!arg || !str_ends(arg, "]"))
		return NULL;
	inner = xstrndup(arg, strlen(arg) - 1);
	if (vm_mac_normalise(inner, mac) < 0)
		return NULL;
	json_array_each(nic, nics)
		if (str_eq(json_str(json_get(nic, "mac"), NULL), mac))
			return nic;
	return NULL;
}

static void
rules_routes(const struct json *vm, struct vm_report *r)
{
	const char *dst;
	const struct json *v;

	json_object_each(dst, v, json_get(vm, "routes")) {
		const char *gw = json_str(v, "");
		const struct json *nic;

		if (vm_is_ip_or_cidr(dst))
			bad_value(r, "routes", "Invalid route destination: \"%s\" "
					       "(must be IP address or CIDR)", dst);
		else if (strncmp(gw, "nics[", 5) && strncmp(gw, "macs[", 5)) {
			if (vm_is_ip(gw))
				bad_value(r, "routes", "Invalid route gateway: \"%s\" "
						       "(must be IP address or nic)", gw);
		} else {
			nic = route_nic(vm, gw);
			if (!nic || !json_get(nic, "ip") ||
			    str_eq(json_str(json_get(nic, "ip"), NULL), "dhcp"))
				bad_value(r, "routes", "Route gateway: \"%s\" refers to "
						       "non-existent or DHCP nic", gw);
		}
	}
}

/* Only at create and when it is set: a machine that came with one starts without. */
static void
rules_spice(const struct json *vm, struct vm_report *r)
{
	if (json_int(json_get(vm, "spice_port"), -1) >= 0)
		bad_value(r, "spice_port", "spice_port: this platform's QEMU has no SPICE; "
					   "vnc_port gives the screen (see vmadm info)");
}

void
vm_payload_rules(const struct json *vm, enum vm_brand brand, struct vm_report *r)
{
	if (!str_eq(json_str(json_get(vm, "zonename"), NULL),
		    json_str(json_get(vm, "uuid"), NULL)))
		bad_value(r, "zonename", "zonename: must be the uuid");
	rules_memory(vm, brand, r);
	rules_nics(vm, brand, r);
	rules_disks(vm, brand, r);
	rules_filesystems(vm, r);
	rules_routes(vm, r);
	rules_spice(vm, r);
}

/* ---- against the other VMs -------------------------------------------------------- */

static bool
same_segment(const struct json *a, const struct json *b)
{
	return str_eq(json_str(json_get(a, "nic_tag"), ""), json_str(json_get(b, "nic_tag"), "")) &&
	       json_int(json_get(a, "vlan_id"), 0) == json_int(json_get(b, "vlan_id"), 0);
}

/* An address without its prefix length; both families compare as text after inet_pton. */
static bool
same_address(const char *a, const char *b)
{
	size_t la = strcspn(a, "/"), lb = strcspn(b, "/");
	struct in6_addr x = {0}, y = {0};
	char ta[64], tb[64];

	if (la >= sizeof(ta) || lb >= sizeof(tb))
		return false;
	snprintf(ta, sizeof(ta), "%.*s", (int)la, a);
	snprintf(tb, sizeof(tb), "%.*s", (int)lb, b);
	if (inet_pton(AF_INET, ta, &x) == 1 && inet_pton(AF_INET, tb, &y) == 1)
		return memcmp(&x, &y, 4) == 0;
	if (inet_pton(AF_INET6, ta, &x) == 1 && inet_pton(AF_INET6, tb, &y) == 1)
		return memcmp(&x, &y, 16) == 0;
	return false;
}

static int
nic_conflict(const struct json *nic, const struct json *other, const char *other_uuid,
	     struct error *err)
{
	const struct json *a, *b;

	if (str_eq(json_str(json_get(nic, "mac"), NULL), json_str(json_get(other, "mac"), "")))
		return error_set_path(err, EEXIST, "nics.*.mac",
				      "Invalid value(s) for: nics.*.mac\n    MAC address %s is "
				      "already in use by VM %s",
				      json_str(json_get(nic, "mac"), ""), other_uuid);
	if (!same_segment(nic, other))
		return 0;
	for (size_t i = 0; (a = json_at(json_get(nic, "ips"), i)) != NULL; i++)
		for (size_t k = 0; (b = json_at(json_get(other, "ips"), k)) != NULL; k++)
			if (same_address(json_str(a, ""), json_str(b, "")) &&
			    !json_get(nic, "vrrp_vrid"))
				return error_set_path(err, EEXIST, "nics.*.ips",
						      "Invalid value(s) for: nics.*.ips\n    IP "
						      "address %s is already in use by VM %s on "
						      "nic tag %s", json_str(a, ""), other_uuid,
						      json_str(json_get(nic, "nic_tag"), ""));
	return 0;
}

static int
vm_conflict(const struct json *vm, const struct json *other, struct error *err)
{
	const char *uuid = json_str(json_get(other, "uuid"), "?");
	int64_t port = json_int(json_get(vm, "vnc_port"), 0);
	const struct json *nic, *onic;
	int r;

	if (port > 0 && port == json_int(json_get(other, "vnc_port"), 0))
		return error_set_path(err, EEXIST, "vnc_port",
				      "Invalid value(s) for: vnc_port\n    port %lld is already in "
				      "use by VM %s", (long long)port, uuid);
	for (size_t i = 0; (nic = json_at(json_get(vm, "nics"), i)) != NULL; i++)
		for (size_t k = 0; (onic = json_at(json_get(other, "nics"), k)) != NULL; k++) {
			r = nic_conflict(nic, onic, uuid, err);
			if (r < 0)
				return r;
		}
	return 0;
}

int
vm_check_conflicts(const struct json *vm, const struct json *others, struct error *err)
{
	const char *uuid = json_str(json_get(vm, "uuid"), "");
	const struct json *other;
	int r;

	json_array_each(other, others) {
		if (str_eq(json_str(json_get(other, "uuid"), NULL), uuid))
			continue;
		r = vm_conflict(vm, other, err);
		if (r < 0)
			return r;
	}
	return 0;
}
