/*
 * Zone configurations: /etc/zones/NAME.xml, in the format of zonecfg.dtd.1.
 *
 * The document itself is the configuration: every accessor reads and changes
 * its nodes, so that elements and attributes we know nothing about (another
 * platform's, a newer version's) survive a rewrite.  Two tables translate
 * between the words of zonecfg(8) and those of the DTD: types[] for resources
 * and their properties, zone_props[] for the properties of the zone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xml.h"
#include "zone/config.h"
#include "zone/model.h"

struct zone_config {
	struct xml *x;
};

static const struct zone_prop_type fs_props[] = {
	{"dir", "directory", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{"special", "special", ZONE_PROP_REQUIRED},
	{"raw", "raw", 0},
	{"type", "type", ZONE_PROP_REQUIRED},
	{0},
};
static const struct zone_prop_type net_props[] = {
	{"address", "address", 0},
	{"allowed-address", "allowed-address", 0},
	{"defrouter", "defrouter", 0},
	{"global-nic", "global-nic", 0},
	{"mac-addr", "mac-addr", 0},
	{"physical", "physical", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{"vlan-id", "vlan-id", ZONE_PROP_UINT},
	{0},
};
static const struct zone_prop_type device_props[] = {
	{"match", "match", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{0},
};
static const struct zone_prop_type rctl_props[] = {
	{"name", "name", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{0},
};
static const struct zone_prop_type attr_props[] = {
	{"name", "name", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{"type", "type", ZONE_PROP_REQUIRED},
	{"value", "value", ZONE_PROP_REQUIRED},
	{0},
};
static const struct zone_prop_type dataset_props[] = {
	{"name", "name", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{0},
};
static const struct zone_prop_type psr_props[] = {
	{"ncpus", "ncpu_max", ZONE_PROP_REQUIRED},
	{"importance", "importance", ZONE_PROP_UINT},
	{0},
};
static const struct zone_prop_type mcap_props[] = {
	{"physical", "physcap", 0},
	{0},
};
static const struct zone_prop_type admin_props[] = {
	{"user", "user", ZONE_PROP_REQUIRED | ZONE_PROP_KEY},
	{"auths", "auths", ZONE_PROP_REQUIRED},
	{0},
};
static const struct zone_prop_type secflags_props[] = {
	{"default", "default", 0},
	{"lower", "lower", 0},
	{"upper", "upper", 0},
	{0},
};

static const struct zone_res_type types[] = {
	{"fs", "filesystem", fs_props, 0},
	{"net", "network", net_props, ZONE_RES_NET_ATTRS},
	{"device", "device", device_props, ZONE_RES_NET_ATTRS},
	{"rctl", "rctl", rctl_props, 0},
	{"attr", "attr", attr_props, 0},
	{"dataset", "dataset", dataset_props, 0},
	{"dedicated-cpu", "pset", psr_props, ZONE_RES_ONE},
	{"capped-memory", "mcap", mcap_props, ZONE_RES_ONE},
	{"admin", "admin", admin_props, 0},
	{"security-flags", "security-flags", secflags_props, ZONE_RES_ONE},
	{0},
};

static const struct {
	const char *prop, *attr;
} zone_props[] = {
	{"zonename", "name"},	 {"zonepath", "zonepath"},   {"brand", "brand"},
	{"autoboot", "autoboot"}, {"bootargs", "bootargs"},   {"pool", "pool"},
	{"limitpriv", "limitpriv"}, {"scheduling-class", "scheduling-class"},
	{"ip-type", "ip-type"},	 {"hostid", "hostid"},	     {"fs-allowed", "fs-allowed"},
	{"uuid", "uuid"},	 {"debugid", "debugid"},
};

const struct zone_res_type *
zone_res_types(void)
{
	return types;
}

const struct zone_res_type *
zone_res_type_find(const char *name)
{
	for (size_t i = 0; types[i].name; i++)
		if (str_eq(types[i].name, name))
			return &types[i];
	return NULL;
}

const char *
zone_prop_at(size_t i)
{
	return i < ARRAY_SIZE(zone_props) ? zone_props[i].prop : NULL;
}

static const struct zone_res_type *
type_of(const struct xml_node *n)
{
	for (size_t i = 0; types[i].name; i++)
		if (str_eq(types[i].element, xml_name(n)))
			return &types[i];
	return NULL;
}

static struct xml_node *
node(const struct zone_res *r)
{
	return (struct xml_node *)r;
}

static struct xml_node *
root(const struct zone_config *c)
{
	return xml_root(c->x);
}

/* ---- documents ---- */

int
zone_config_new(const char *name, const char *brand, const char *path, struct zone_config **ret,
		struct error *err)
{
	struct zone_config *c;
	int r;

	r = zone_name_check(name, err);
	if (r < 0)
		return r;
	if (path && path[0] != '/')
		return error_set_path(err, EINVAL, "zonepath", "zonepath %s is not absolute",
				      path);
	c = xcalloc(1, sizeof(*c));
	c->x = xml_new("zone", "-//Sun Microsystems Inc//DTD Zones//EN",
		       "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1");
	zone_config_set(c, "zonename", name);
	zone_config_set(c, "zonepath", path);
	zone_config_set(c, "autoboot", "false");
	zone_config_set(c, "brand", brand);
	zone_config_set(c, "ip-type", "exclusive");
	*ret = c;
	return 0;
}

void
zone_config_free(struct zone_config *c)
{
	if (!c)
		return;
	xml_free(c->x);
	free(c);
}

int
zone_config_parse(const char *text, size_t len, const char *what, struct zone_config **ret,
		  struct error *err)
{
	cleanup_xml struct xml *x = NULL;
	const char *name;
	int r;

	r = xml_parse(text, len, what, &x, err);
	if (r < 0)
		return r;
	if (!str_eq(xml_name(xml_root(x)), "zone"))
		return error_set(err, EINVAL, "%s: the root element is <%s>, not <zone>", what,
				 xml_name(xml_root(x)));
	name = xml_attr(xml_root(x), "name");
	r = zone_name_check(name, err);
	if (r < 0)
		return error_wrap(err, r, "%s", what);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->x = steal_ptr(&x);
	return 0;
}

int
zone_config_read(const char *name, struct zone_config **ret, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_free char *path = NULL;
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	r = zone_name_check(name, err);
	if (r < 0)
		return r;
	path = zone_path_xml(name);
	r = file_read(path, 4 * 1024 * 1024, &text, &len, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT, "no zone %s", name);
	if (r < 0)
		return r;
	r = zone_config_parse(text, len, path, &c, err);
	if (r < 0)
		return r;
	if (!str_eq(zone_config_get(c, "zonename"), name))
		return error_set(err, EINVAL, "%s: is about zone %s", path,
				 zone_config_get(c, "zonename"));
	*ret = steal_ptr(&c);
	return 0;
}

char *
zone_config_print(const struct zone_config *c)
{
	return xml_print(c->x);
}

struct zone_config *
zone_config_copy(const struct zone_config *c)
{
	cleanup_free char *text = zone_config_print(c);
	struct zone_config *ret = NULL;

	/* what we printed parses */
	if (zone_config_parse(text, strlen(text), "configuration", &ret, NULL) < 0)
		abort();
	return ret;
}

/* ---- properties of the zone ---- */

static const char *
prop_attr(const char *prop)
{
	for (size_t i = 0; i < ARRAY_SIZE(zone_props); i++)
		if (str_eq(zone_props[i].prop, prop))
			return zone_props[i].attr;
	return prop;
}

const char *
zone_config_get(const struct zone_config *c, const char *prop)
{
	return xml_attr(root(c), prop_attr(prop));
}

void
zone_config_set(struct zone_config *c, const char *prop, const char *value)
{
	xml_set_attr(root(c), prop_attr(prop), value);
}

/* ---- resources ---- */

const char *
zone_res_type(const struct zone_res *res)
{
	const struct zone_res_type *t = type_of(node(res));

	return t ? t->name : xml_name(node(res));
}

static const char *
res_attr_name(const struct zone_res *res, const char *prop)
{
	const struct zone_res_type *t = type_of(node(res));

	for (const struct zone_prop_type *p = t ? t->props : NULL; p && p->name; p++)
		if (str_eq(p->name, prop))
			return p->attr;
	return prop;
}

struct zone_res *
zone_res_next(const struct zone_config *c, const char *type, const struct zone_res *res)
{
	const struct zone_res_type *t = type ? zone_res_type_find(type) : NULL;
	const char *element = t ? t->element : type;

	return (struct zone_res *)(res ? xml_next(node(res), element) :
					 xml_child(root(c), element));
}

struct zone_res *
zone_res_find(const struct zone_config *c, const char *type, const char *prop, const char *value)
{
	zone_res_each(res, c, type)
		if (str_eq(zone_res_get(res, prop), value))
			return res;
	return NULL;
}

struct zone_res *
zone_res_add(struct zone_config *c, const char *type)
{
	const struct zone_res_type *t = zone_res_type_find(type);

	return (struct zone_res *)xml_add(root(c), t ? t->element : type);
}

void
zone_res_remove(struct zone_config *c, struct zone_res *res)
{
	xml_remove(node(res));
}

const char *
zone_res_get(const struct zone_res *res, const char *prop)
{
	return xml_attr(node(res), res_attr_name(res, prop));
}

void
zone_res_set(struct zone_res *res, const char *prop, const char *value)
{
	xml_set_attr(node(res), res_attr_name(res, prop), value);
}

static struct xml_node *
net_attr(const struct zone_res *res, const char *name)
{
	struct xml_node *n;

	xml_each(n, node(res), "net-attr")
		if (str_eq(xml_attr(n, "name"), name))
			return n;
	return NULL;
}

const char *
zone_res_attr(const struct zone_res *res, const char *name)
{
	struct xml_node *n = net_attr(res, name);

	return n ? xml_attr(n, "value") : NULL;
}

void
zone_res_set_attr(struct zone_res *res, const char *name, const char *value)
{
	struct xml_node *n = net_attr(res, name);

	if (!value) {
		if (n)
			xml_remove(n);
		return;
	}
	if (!n) {
		n = xml_add(node(res), "net-attr");
		xml_set_attr(n, "name", name);
	}
	xml_set_attr(n, "value", value);
}

bool
zone_res_attr_at(const struct zone_res *res, size_t i, const char **ret_name,
		 const char **ret_value)
{
	struct xml_node *n;

	xml_each(n, node(res), "net-attr")
		if (i-- == 0) {
			*ret_name = xml_attr(n, "name") ? xml_attr(n, "name") : "";
			*ret_value = xml_attr(n, "value") ? xml_attr(n, "value") : "";
			return true;
		}
	return false;
}

void
zone_res_options(const struct zone_res *res, struct strv *ret)
{
	struct xml_node *n;

	xml_each(n, node(res), "fsoption")
		if (xml_attr(n, "name"))
			strv_add(ret, xml_attr(n, "name"));
}

void
zone_res_set_options(struct zone_res *res, const struct strv *options)
{
	struct xml_node *n;

	while ((n = xml_child(node(res), "fsoption")))
		xml_remove(n);
	for (size_t i = 0; i < options->n; i++)
		xml_set_attr(xml_add(node(res), "fsoption"), "name", options->v[i]);
}

/* ---- attr ---- */

const char *
zone_config_attr(const struct zone_config *c, const char *name)
{
	struct zone_res *res = zone_res_find(c, "attr", "name", name);

	return res ? zone_res_get(res, "value") : NULL;
}

void
zone_config_set_attr(struct zone_config *c, const char *name, const char *type, const char *value)
{
	struct zone_res *res = zone_res_find(c, "attr", "name", name);

	if (!value) {
		if (res)
			zone_res_remove(c, res);
		return;
	}
	if (!res) {
		res = zone_res_add(c, "attr");
		zone_res_set(res, "name", name);
	}
	zone_res_set(res, "type", type);
	zone_res_set(res, "value", value);
}

/* ---- rctl ---- */

static struct xml_node *
rctl_value(const struct zone_res *res)
{
	struct xml_node *n;

	xml_each(n, node(res), "rctl-value")
		if (str_eq(xml_attr(n, "priv"), "privileged"))
			return n;
	return NULL;
}

bool
zone_config_rctl(const struct zone_config *c, const char *name, uint64_t *ret_limit)
{
	struct zone_res *res = zone_res_find(c, "rctl", "name", name);
	struct xml_node *n = res ? rctl_value(res) : NULL;

	if (!n && str_eq(name, "zone.max-physical-memory")) {
		/* zonecfg's other word for it, as in "add capped-memory; set physical=64m" */
		res = zone_res_next(c, "capped-memory", NULL);
		return res && zone_res_get(res, "physical") &&
		       str_to_size(zone_res_get(res, "physical"), ret_limit) == 0;
	}
	return n && xml_attr(n, "limit") && str_to_u64(xml_attr(n, "limit"), 10, ret_limit) == 0;
}

void
zone_config_set_rctl(struct zone_config *c, const char *name, uint64_t limit, const char *action)
{
	struct zone_res *res = zone_res_find(c, "rctl", "name", name);
	struct xml_node *n;
	char number[24];

	if (!res) {
		res = zone_res_add(c, "rctl");
		zone_res_set(res, "name", name);
	}
	n = rctl_value(res);
	if (!n) {
		n = xml_add(node(res), "rctl-value");
		xml_set_attr(n, "priv", "privileged");
	}
	snprintf(number, sizeof(number), "%" PRIu64, limit);
	xml_set_attr(n, "limit", number);
	xml_set_attr(n, "action", action);
}

void
zone_config_unset_rctl(struct zone_config *c, const char *name)
{
	struct zone_res *res = zone_res_find(c, "rctl", "name", name);

	if (res)
		zone_res_remove(c, res);
}

bool
zone_rctl_value_at(const struct zone_res *res, size_t i, const char **ret_priv,
		   const char **ret_limit, const char **ret_action)
{
	struct xml_node *n;

	xml_each(n, node(res), "rctl-value")
		if (i-- == 0) {
			*ret_priv = xml_attr(n, "priv") ? xml_attr(n, "priv") : "";
			*ret_limit = xml_attr(n, "limit") ? xml_attr(n, "limit") : "";
			*ret_action = xml_attr(n, "action") ? xml_attr(n, "action") : "";
			return true;
		}
	return false;
}

void
zone_rctl_add_value(struct zone_res *res, const char *priv, const char *limit, const char *action)
{
	struct xml_node *n = xml_add(node(res), "rctl-value");

	xml_set_attr(n, "priv", priv);
	xml_set_attr(n, "limit", limit);
	xml_set_attr(n, "action", action);
}

bool
zone_rctl_remove_value(struct zone_res *res, const char *priv, const char *limit,
		       const char *action)
{
	struct xml_node *n;

	xml_each(n, node(res), "rctl-value")
		if (str_eq(xml_attr(n, "priv"), priv) && str_eq(xml_attr(n, "limit"), limit) &&
		    str_eq(xml_attr(n, "action"), action)) {
			xml_remove(n);
			return true;
		}
	return false;
}

/* ---- verify ---- */

static int
verify_attr(const struct zone_res *res, struct error *err)
{
	const char *name = zone_res_get(res, "name");
	const char *type = zone_res_get(res, "type");
	const char *value = zone_res_get(res, "value");
	int64_t i;
	uint64_t u;
	bool ok;

	if (str_eq(type, "string"))
		ok = true;
	else if (str_eq(type, "int"))
		ok = str_to_i64(value, 10, &i) == 0;
	else if (str_eq(type, "uint"))
		ok = str_to_u64(value, 10, &u) == 0;
	else if (str_eq(type, "boolean"))
		ok = str_eq(value, "true") || str_eq(value, "false");
	else
		return error_set_path(err, EINVAL, name, "attr %s: type '%s' is not one of "
				      "string, int, uint, boolean", name, type);
	if (!ok)
		return error_set_path(err, EINVAL, name, "attr %s: '%s' is no %s", name, value,
				      type);
	return 0;
}

static int
verify_rctl(const struct zone_res *res, struct error *err)
{
	const char *name = zone_res_get(res, "name"), *priv, *limit, *action;
	uint64_t u;
	size_t i;

	if (!str_after(name, "zone."))
		return error_set_path(err, EINVAL, name, "rctl %s: not a zone-wide control", name);
	for (i = 0; zone_rctl_value_at(res, i, &priv, &limit, &action); i++) {
		if (str_to_u64(limit, 10, &u) < 0)
			return error_set_path(err, EINVAL, name, "rctl %s: limit '%s' is no number",
					      name, limit);
		if (!str_eq(action, "deny") && !str_eq(action, "none") &&
		    !str_after(action, "signal="))
			return error_set_path(err, EINVAL, name,
					      "rctl %s: action '%s' is not deny or none", name,
					      action);
	}
	if (i == 0)
		return error_set_path(err, EINVAL, name, "rctl %s: no value specified", name);
	return 0;
}

static int
verify_props(const struct zone_res *res, const struct zone_res_type *t, struct error *err)
{
	uint64_t u;

	for (const struct zone_prop_type *p = t->props; p->name; p++) {
		const char *v = zone_res_get(res, p->name);

		if (!v || (!*v && !str_eq(p->name, "value"))) {
			if (p->flags & ZONE_PROP_REQUIRED)
				return error_set_path(err, EINVAL, p->name, "%s: %s not specified",
						      t->name, p->name);
			continue;
		}
		if ((p->flags & ZONE_PROP_UINT) && str_to_u64(v, 10, &u) < 0)
			return error_set_path(err, EINVAL, p->name, "%s: %s '%s' is no number",
					      t->name, p->name, v);
	}
	return 0;
}

static int
verify_unique(const struct zone_config *c, const struct zone_res *res,
	      const struct zone_res_type *t, struct error *err)
{
	for (const struct zone_res *o = zone_res_next(c, t->name, res); o;
	     o = zone_res_next(c, t->name, o)) {
		if (t->flags & ZONE_RES_ONE)
			return error_set(err, EINVAL, "%s: there is more than one", t->name);
		for (const struct zone_prop_type *p = t->props; p->name; p++)
			if ((p->flags & ZONE_PROP_KEY) &&
			    str_eq(zone_res_get(res, p->name), zone_res_get(o, p->name)))
				return error_set_path(err, EEXIST, p->name,
						      "there are two %s resources with %s %s",
						      t->name, p->name,
						      zone_res_get(res, p->name));
	}
	return 0;
}

static int
path_ok(const char *what, const char *path, struct error *err)
{
	cleanup_strv struct strv parts = STRV_INIT;

	if (path[0] != '/' || strchr(path, '\n') || strchr(path, ':'))
		return error_set_path(err, EINVAL, what, "%s '%s' is no absolute path", what, path);
	strv_words(&parts, path, "/");
	if (strv_has(&parts, "..") || strv_has(&parts, "."))
		return error_set_path(err, EINVAL, what, "%s '%s' must not hold . or ..", what,
				      path);
	return 0;
}

int
zone_config_verify(const struct zone_config *c, struct error *err)
{
	const char *path = zone_config_get(c, "zonepath"), *v;
	bool b;
	int r;

	r = zone_name_check(zone_config_get(c, "zonename"), err);
	if (r < 0)
		return r;
	if (str_empty(path))
		return error_set_path(err, EINVAL, "zonepath", "zonepath not specified");
	r = path_ok("zonepath", path, err);
	if (r < 0)
		return r;
	if (str_empty(zone_config_get(c, "brand")))
		return error_set_path(err, EINVAL, "brand", "brand not specified");
	v = zone_config_get(c, "autoboot");
	if (v && str_to_bool(v, &b) < 0)
		return error_set_path(err, EINVAL, "autoboot", "autoboot '%s' is not true or false",
				      v);
	v = zone_config_get(c, "ip-type");
	if (v && !str_eq(v, "exclusive") && !str_eq(v, "shared"))
		return error_set_path(err, EINVAL, "ip-type",
				      "ip-type '%s' is not exclusive or shared", v);
	zone_res_each(res, c, NULL) {
		const struct zone_res_type *t = type_of(node(res));

		if (!t)
			continue;
		r = verify_props(res, t, err);
		if (r == 0)
			r = verify_unique(c, res, t, err);
		if (r == 0 && str_eq(t->name, "attr"))
			r = verify_attr(res, err);
		if (r == 0 && str_eq(t->name, "rctl"))
			r = verify_rctl(res, err);
		if (r == 0 && str_eq(t->name, "fs"))
			r = path_ok("fs dir", zone_res_get(res, "dir"), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- index and file together ---- */

static void
entry_from_config(struct zone_entry *e, const struct zone_config *c)
{
	const char *uuid = zone_config_get(c, "uuid");

	free(e->path);
	e->path = xstrdup(zone_config_get(c, "zonepath"));
	free(e->brand);
	e->brand = xstrdup(zone_config_get(c, "brand"));
	free(e->ip_type);
	e->ip_type = xstrdup(str_eq(zone_config_get(c, "ip-type"), "shared") ? "shared" : "excl");
	if (uuid) {
		free(e->uuid);
		e->uuid = xstrdup(uuid);
	}
}

static int
write_xml(const struct zone_config *c, struct error *err)
{
	cleanup_free char *path = zone_path_xml(zone_config_get(c, "zonename"));
	cleanup_free char *text = zone_config_print(c);

	return file_write_atomic(path, text, strlen(text), 0644, err);
}

int
zone_config_write(struct zone_config *c, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	const char *name = zone_config_get(c, "zonename");
	struct zone_entry *e;
	cleanup_free char *before = NULL;
	cleanup_free char *after = NULL;
	int r;

	r = zone_config_verify(c, err);
	if (r < 0)
		return r;
	r = zone_index_read(&ix, true, err);
	if (r < 0)
		return r;
	e = zone_index_find(&ix, name);
	if (!e)
		return error_set(err, ENOENT, "no zone %s", name);
	before = zone_index_print(&ix);
	r = write_xml(c, err);
	if (r < 0)
		return r;
	entry_from_config(e, c);
	after = zone_index_print(&ix);
	if (!str_eq(before, after)) {
		r = zone_index_write(&ix, err);
		if (r < 0)
			return r;
	}
	zone_event_send(name, e->state, e->state, -1);
	return 0;
}

int
zone_config_uid_base(const struct zone_config *c, uint32_t *ret, struct error *err)
{
	const char *v = zone_config_attr(c, "uid-base");
	uint64_t u;

	if (!v)
		return error_set(err, ENOENT, "zone %s has no range of uids",
				 zone_config_get(c, "zonename"));
	if (str_to_u64(v, 10, &u) < 0 || u < 16 * ZONE_UID_RANGE || u % ZONE_UID_RANGE != 0 ||
	    u > UINT32_C(0x7fff0000))
		return error_set_path(err, EINVAL, "uid-base",
				      "zone %s: uid-base '%s' is no start of a range",
				      zone_config_get(c, "zonename"), v);
	*ret = (uint32_t)u;
	return 0;
}

/*
 * Ranges 16..32767 (uids from 1048576 up to 2^31).  The one after the highest that
 * any configuration on this node carries or ever carried: a counter in
 * /etc/zones/uid-base, so that a range is not used again while something on disk may
 * belong to it.  After 32,000 zones it starts again with the lowest that is free.
 */
static int
alloc_uid_base(const struct zone_index *ix, uint32_t *ret, struct error *err)
{
	cleanup_free char *path = str_printf("%s/etc/zones/uid-base", zone_root());
	cleanup_free bool *used = xcalloc(32768, sizeof(*used));
	cleanup_free char *text = NULL;
	uint64_t last = 15;
	char number[16];
	uint32_t n;
	int r;

	for (size_t i = 0; i < ix->n; i++) {
		cleanup_zone_config struct zone_config *c = NULL;
		uint32_t base;

		if (zone_config_read(ix->v[i].name, &c, NULL) == 0 &&
		    zone_config_uid_base(c, &base, NULL) == 0)
			used[base / ZONE_UID_RANGE] = true;
	}
	if (file_exists(path)) {
		r = file_read_line(path, &text, err);
		if (r < 0)
			return r;
		if (str_to_u64(text, 10, &last) < 0 || last < 15 || last > 32767)
			last = 15;
	}
	n = (uint32_t)last;
	for (int tries = 0; tries < 32768; tries++) {
		n = n >= 32767 ? 16 : n + 1;
		if (!used[n])
			break;
	}
	if (used[n])
		return error_set(err, ENOSPC, "all ranges of uids are taken");
	snprintf(number, sizeof(number), "%" PRIu32 "\n", n);
	r = file_write_atomic(path, number, strlen(number), 0644, err);
	if (r < 0)
		return r;
	*ret = n * ZONE_UID_RANGE;
	return 0;
}

/* A configuration that was not made by us (a SmartOS pool's) gets its range when it is needed. */
int
zone_config_ensure_uid_base(struct zone_config *c, uint32_t *ret, struct error *err)
{
	char number[16];
	uint32_t base;
	int r;

	if (zone_config_attr(c, "uid-base"))
		return zone_config_uid_base(c, ret, err);
	{
		cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;

		r = zone_index_read(&ix, true, err);
		if (r == 0)
			r = alloc_uid_base(&ix, &base, err);
		if (r < 0)
			return r;
	}
	snprintf(number, sizeof(number), "%" PRIu32, base);
	zone_config_set_attr(c, "uid-base", "uint", number);
	r = zone_config_write(c, err);
	if (r < 0)
		return r;
	*ret = base;
	return 0;
}

static int
next_did(const struct zone_index *ix, const struct zone_config *c)
{
	const char *v = zone_config_get(c, "debugid");
	int did = 0;

	if (v && str_to_int(v, &did) == 0 && did > 0) {
		bool taken = false;

		for (size_t i = 0; i < ix->n; i++)
			taken |= ix->v[i].did == did;
		if (!taken)
			return did;
	}
	did = 0;
	for (size_t i = 0; i < ix->n; i++)
		if (ix->v[i].did > did)
			did = ix->v[i].did;
	return did + 1;
}

int
zone_create(struct zone_config *c, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	const char *name = zone_config_get(c, "zonename");
	cleanup_free char *dir = str_printf("%s/etc/zones", zone_root());
	char number[16], uuid[UUID_LEN + 1];
	struct zone_entry *e;
	uint32_t base;
	int r;

	r = zone_config_verify(c, err);
	if (r < 0)
		return r;
	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	r = zone_index_read(&ix, true, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ix.n; i++) {
		if (str_eq(ix.v[i].name, name))
			return error_set(err, EEXIST, "zone %s exists", name);
		if (str_eq(ix.v[i].path, zone_config_get(c, "zonepath")))
			return error_set_path(err, EEXIST, "zonepath",
					      "zonepath %s belongs to zone %s", ix.v[i].path,
					      ix.v[i].name);
	}
	if (!zone_config_attr(c, "uid-base")) {
		r = alloc_uid_base(&ix, &base, err);
		if (r < 0)
			return r;
		snprintf(number, sizeof(number), "%" PRIu32, base);
		zone_config_set_attr(c, "uid-base", "uint", number);
	}
	r = zone_config_uid_base(c, &base, err);
	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%d", next_did(&ix, c));
	zone_config_set(c, "debugid", number);

	/* the XML first: a line of the index always has its file */
	r = write_xml(c, err);
	if (r < 0)
		return r;
	e = zone_index_add(&ix, name);
	entry_from_config(e, c);
	e->did = next_did(&ix, c);
	if (!e->uuid) {
		uuid_random(uuid);
		e->uuid = xstrdup(str_is_uuid(name) ? name : uuid);
	}
	r = zone_index_write(&ix, err);
	if (r < 0) {
		cleanup_free char *xml = zone_path_xml(name);

		unlink(xml);
		return r;
	}
	zone_event_send(name, ZONE_ABSENT, ZONE_CONFIGURED, -1);
	return 0;
}

/* Files without a line are what a killed create or delete left: they go, if nobody creates just now. */
static int
remove_files(const char *name, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_free char *xml = zone_path_xml(name), *run = zone_path_run(name, NULL);
	int r = zone_index_read(&ix, true, err);

	if (r < 0 || zone_index_find(&ix, name))
		return r;
	if (unlink(xml) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", xml);
	return file_remove_tree(run, err);
}

int
zone_delete(const char *name, struct error *err)
{
	int r;

	r = zone_name_check(name, err);
	if (r < 0)
		return r;
	r = zone_state_move(name, ZONE_ABSENT, NULL, err);
	if (r == -ENOENT)
		remove_files(name, NULL);
	return r < 0 ? r : remove_files(name, err);
}

int
zone_rename(const char *name, const char *new_name, struct error *err)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_free char *old_xml = NULL;
	struct zone_entry *e;
	enum zone_state state;
	int r;

	r = zone_name_check(new_name, err);
	if (r == 0)
		r = zone_state_now(name, &state, err);
	if (r == 0)
		r = zone_config_read(name, &c, err);
	if (r < 0)
		return r;
	if (state > ZONE_INSTALLED)
		return error_set(err, EBUSY, "zone %s is %s: it cannot be renamed", name,
				 zone_state_name(state));
	r = zone_index_read(&ix, true, err);
	if (r < 0)
		return r;
	if (zone_index_find(&ix, new_name))
		return error_set(err, EEXIST, "zone %s exists", new_name);
	e = zone_index_find(&ix, name);
	if (!e)
		return error_set(err, ENOENT, "no zone %s", name);
	zone_config_set(c, "zonename", new_name);
	r = write_xml(c, err);
	if (r < 0)
		return r;
	free(e->name);
	e->name = xstrdup(new_name);
	r = zone_index_write(&ix, err);
	if (r < 0)
		return r;
	old_xml = zone_path_xml(name);
	unlink(old_xml);
	zone_event_send(name, state, ZONE_ABSENT, -1);
	zone_event_send(new_name, ZONE_ABSENT, state, -1);
	return 0;
}
