/*
 * Listing many VMs quickly: a list needs a handful of attributes of each zone's
 * XML, and building the document for them costs fifty times what reading the file
 * does.  This walks the tags of the text once and picks them out.
 *
 * It understands what the XML of zones looks like when a program wrote it:
 * elements with attributes in double quotes, comments, a DOCTYPE.  At anything
 * else (an entity, a single quote, a CDATA section) it gives up, and the caller
 * reads that one file the slow way.  So it may be simple without being wrong.
 */
#include "vm/vm_scan.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "zone/zone.h"

struct pair {
	const char *name, *value; /* into the text */
};

enum { PAIRS_MAX = 256, ATTRS_MAX = 24 };

struct scan {
	char *p;
	struct pair zone[ATTRS_MAX], attrs[PAIRS_MAX], rctls[PAIRS_MAX];
	size_t n_zone, n_attrs, n_rctls;
	const char *rctl; /* the <rctl name=> whose value comes next */
};

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == ':' || c == '.';
}

/* Cuts out a name at s->p; NULL if there is none. */
static char *
cut_name(struct scan *s, char *ret_next)
{
	char *start = s->p;

	while (is_name(*s->p))
		s->p++;
	*ret_next = *s->p;
	if (s->p == start)
		return NULL;
	*s->p = '\0';
	return start;
}

/* The attributes of the tag at s->p, up to behind its '>'; false: not understood. */
static bool
take_attributes(struct scan *s, char next, struct pair *ret, size_t *ret_n)
{
	size_t n = 0;

	for (;;) {
		char *name, *value, *end;

		/* `next` is what stood at s->p before it became the end of a name. */
		if (next == '>' || next == '/') {
			s->p++;
			if (next == '/' && *s->p++ != '>')
				return false;
			*ret_n = n;
			return true;
		}
		if (!isspace((unsigned char)next))
			return false;
		for (s->p++; isspace((unsigned char)*s->p); s->p++)
			;
		if (*s->p == '>' || *s->p == '/') {
			next = *s->p;
			continue;
		}
		name = cut_name(s, &next);
		if (!name || next != '=' || s->p[1] != '"' || n == ATTRS_MAX)
			return false;
		value = s->p + 2;
		end = strchr(value, '"');
		if (!end)
			return false;
		*end = '\0';
		if (strchr(value, '&') || strchr(value, '<'))
			return false;
		ret[n++] = (struct pair){name, value};
		s->p = end + 1;
		next = *s->p;
	}
}

static const char *
pair_get(const struct pair *pairs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

static bool
keep(struct pair *list, size_t *n, const char *name, const char *value)
{
	if (!name || !value || *n == PAIRS_MAX)
		return false;
	list[(*n)++] = (struct pair){name, value};
	return true;
}

static bool
take_element(struct scan *s)
{
	struct pair attrs[ATTRS_MAX];
	size_t n = 0;
	char next;
	const char *name = cut_name(s, &next);

	if (!name || !take_attributes(s, next, attrs, &n))
		return false;
	if (strcmp(name, "attr") == 0)
		return keep(s->attrs, &s->n_attrs, pair_get(attrs, n, "name"),
			    pair_get(attrs, n, "value"));
	if (strcmp(name, "rctl") == 0)
		s->rctl = pair_get(attrs, n, "name");
	else if (strcmp(name, "rctl-value") == 0 && s->rctl) {
		const char *limit = pair_get(attrs, n, "limit");

		/* The first privileged value counts, as zone_config_rctl() says. */
		if (strcmp(pair_get(attrs, n, "priv") ? pair_get(attrs, n, "priv") : "",
			   "privileged") != 0)
			return false;
		if (!pair_get(s->rctls, s->n_rctls, s->rctl) &&
		    !keep(s->rctls, &s->n_rctls, s->rctl, limit))
			return false;
	} else if (strcmp(name, "zone") == 0) {
		memcpy(s->zone, attrs, n * sizeof(*attrs));
		s->n_zone = n;
	}
	return true;
}

/* Behind the next occurrence of end. */
static bool
skip_past(struct scan *s, const char *end)
{
	char *hit = strstr(s->p, end);

	if (!hit)
		return false;
	s->p = hit + strlen(end);
	return true;
}

static bool
take_tags(struct scan *s)
{
	while (*s->p) {
		if (isspace((unsigned char)*s->p)) {
			s->p++;
			continue;
		}
		if (*s->p++ != '<')
			return false; /* zones have no text */
		if (strncmp(s->p, "!--", 3) == 0) {
			if (!skip_past(s, "-->"))
				return false;
		} else if (*s->p == '?') {
			if (!skip_past(s, "?>"))
				return false;
		} else if (strncmp(s->p, "!DOCTYPE", 8) == 0) {
			char *end = strchr(s->p, '>');

			if (!end || memchr(s->p, '[', (size_t)(end - s->p)))
				return false;
			s->p = end + 1;
		} else if (*s->p == '/') {
			if (!skip_past(s, ">"))
				return false;
		} else if (*s->p == '!' || !take_element(s))
			return false;
	}
	return s->n_zone > 0;
}

/* ---- the VM ------------------------------------------------------------------------ */

bool
vm_scan_has(const char *field)
{
	static const char *const from_info[] = {"state", "zone_state", "type", "pid", "zoneid",
						"zonedid", "zonepath", "boot_timestamp",
						"exit_status", "exit_timestamp", "init_restarts"};
	const struct vm_prop *p = vm_prop_find(field);

	for (size_t i = 0; i < ARRAY_SIZE(from_info); i++)
		if (str_eq(field, from_info[i]))
			return true;
	return p && !p->alias_of &&
	       (p->store == VM_S_ATTR || p->store == VM_S_RCTL || p->store == VM_S_ZONE);
}

static const char *
stored_text(const struct scan *s, const struct vm_prop *p, enum vm_brand brand)
{
	if ((brand & VM_HVM) && str_eq(p->path, "autoboot"))
		return pair_get(s->attrs, s->n_attrs, "vm-autoboot");
	if (p->stored_for && !(p->stored_for & brand))
		return NULL;
	switch (p->store) {
	case VM_S_ZONE:
		return pair_get(s->zone, s->n_zone, str_eq(p->key, "zonename") ? "name" : p->key);
	case VM_S_ATTR:
		return pair_get(s->attrs, s->n_attrs, p->key);
	case VM_S_RCTL: {
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p->key, " "), p->key);
		return pair_get(s->rctls, s->n_rctls, name);
	}
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

static void
take_prop(struct json *vm, const struct scan *s, const char *path, enum vm_brand brand)
{
	const struct vm_prop *p = vm_prop_find(path);
	struct json *v = p && !json_get(vm, path) ? vm_decode(p, stored_text(s, p, brand)) : NULL;

	if (v)
		json_set(vm, path, v);
}

/* A file that is larger than that is read the slow way. */
static char text[64 << 10];

static bool
read_text(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (n < 0 || n == sizeof(text))
		return false;
	text[n] = '\0';
	return true;
}

bool
vm_scan(const char *path, const struct strv *fields, struct json **ret)
{
	struct scan s = {.p = text};
	struct json *vm;
	enum vm_brand brand;

	if (!read_text(path) || !take_tags(&s))
		return false;
	brand = vm_brand_parse(pair_get(s.zone, s.n_zone, "brand"));
	vm = json_new_object();
	for (size_t i = 0; i < fields->n; i++)
		take_prop(vm, &s, fields->v[i], brand);
	/* What the state and the memory of a zone are made of. */
	take_prop(vm, &s, "transition", brand);
	take_prop(vm, &s, "failed", brand);
	if (brand & VM_OS) {
		take_prop(vm, &s, "max_physical_memory", brand);
		json_set_int(vm, "ram", json_int(json_get(vm, "max_physical_memory"), 0));
	}
	take_prop(vm, &s, "uuid", brand);
	if (!json_get(vm, "uuid"))
		json_set_str(vm, "uuid", pair_get(s.zone, s.n_zone, "name"));
	json_set_str(vm, "type", vm_brand_type(brand));
	if (strv_has(fields, "zonepath"))
		json_set_str(vm, "zonepath", pair_get(s.zone, s.n_zone, "zonepath"));
	*ret = vm;
	return true;
}
