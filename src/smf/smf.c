/*
 * SMF's vocabulary as tables; FMRI parsing and matching.
 */
#include "smf/smf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static const struct {
	const char *name, *brief;
} states[SMF_N_STATES] = {
	[SMF_NONE] = {"none", "-"},
	[SMF_UNINITIALIZED] = {"uninitialized", "UN"},
	[SMF_OFFLINE] = {"offline", "OFF"},
	[SMF_ONLINE] = {"online", "ON"},
	[SMF_DEGRADED] = {"degraded", "DGD"},
	[SMF_MAINTENANCE] = {"maintenance", "MNT"},
	[SMF_DISABLED] = {"disabled", "DIS"},
	[SMF_LEGACY_RUN] = {"legacy_run", "LRC"},
};

const char *
smf_state_name(enum smf_state s)
{
	return (unsigned)s < SMF_N_STATES ? states[s].name : "?";
}

const char *
smf_state_short(enum smf_state s)
{
	return (unsigned)s < SMF_N_STATES ? states[s].brief : "?";
}

int
smf_state_parse(const char *text, enum smf_state *ret)
{
	for (int i = SMF_NONE; i < SMF_N_STATES; i++) {
		if (str_eq(text, states[i].name)) {
			*ret = (enum smf_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct {
	int status;
	const char *name;
	enum smf_verdict verdict;
} exits[] = {
	{SMF_EXIT_OK, "SMF_EXIT_OK", SMF_V_OK},
	{SMF_EXIT_NODAEMON, "SMF_EXIT_NODAEMON", SMF_V_NODAEMON},
	{SMF_EXIT_ERR_FATAL, "SMF_EXIT_ERR_FATAL", SMF_V_FATAL},
	{SMF_EXIT_ERR_CONFIG, "SMF_EXIT_ERR_CONFIG", SMF_V_FATAL},
	{SMF_EXIT_MON_DEGRADE, "SMF_EXIT_MON_DEGRADE", SMF_V_RETRY},
	{SMF_EXIT_MON_OFFLINE, "SMF_EXIT_MON_OFFLINE", SMF_V_RETRY},
	{SMF_EXIT_ERR_NOSMF, "SMF_EXIT_ERR_NOSMF", SMF_V_FATAL},
	{SMF_EXIT_ERR_PERM, "SMF_EXIT_ERR_PERM", SMF_V_FATAL},
	{SMF_EXIT_TEMP_DISABLE, "SMF_EXIT_TEMP_DISABLE", SMF_V_DISABLE},
};

enum smf_verdict
smf_exit_verdict(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		if (exits[i].status == status)
			return exits[i].verdict;
	}
	return SMF_V_RETRY;
}

const char *
smf_exit_name(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		if (exits[i].status == status)
			return exits[i].name;
	}
	return NULL;
}

static const char *const groupings[] = {"require_all", "require_any", "optional_all",
					"exclude_all"};
static const char *const restart_ons[] = {"none", "error", "restart", "refresh"};

static int
lookup(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(names[i], text))
			return (int)i;
	}
	return -EINVAL;
}

int
smf_grouping_parse(const char *text, enum smf_grouping *ret)
{
	int i = lookup(groupings, ARRAY_SIZE(groupings), text);

	if (i < 0)
		return i;
	*ret = (enum smf_grouping)i;
	return 0;
}

int
smf_restart_on_parse(const char *text, enum smf_restart_on *ret)
{
	int i = lookup(restart_ons, ARRAY_SIZE(restart_ons), text);

	if (i < 0)
		return i;
	*ret = (enum smf_restart_on)i;
	return 0;
}

const char *
smf_grouping_name(enum smf_grouping g)
{
	return groupings[g];
}

const char *
smf_restart_on_name(enum smf_restart_on r)
{
	return restart_ons[r];
}

/* Property types. */

static bool
is_count(const char *s)
{
	uint64_t n;

	return str_to_u64(s, 10, &n) == 0;
}

static bool
is_integer(const char *s)
{
	int64_t n;

	return str_to_i64(s, 10, &n) == 0;
}

/* "seconds[.nanoseconds]" */
static bool
is_time(const char *s)
{
	size_t n;

	if (*s == '-')
		s++;
	n = strspn(s, "0123456789");
	if (n == 0)
		return false;
	s += n;
	if (*s == '\0')
		return true;
	n = strspn(s + 1, "0123456789");
	return *s == '.' && n >= 1 && n <= 9 && s[1 + n] == '\0';
}

static bool
is_boolean(const char *s)
{
	return str_eq(s, "true") || str_eq(s, "false") || str_eq(s, "0") || str_eq(s, "1");
}

static bool
is_opaque(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	return s[n] == '\0' && n % 2 == 0;
}

static bool
is_any(const char *s)
{
	return true;
}

static bool
is_fmri(const char *s)
{
	struct smf_fmri f;

	return str_after(s, "lrc:/") || smf_fmri_parse(s, &f, NULL) == 0;
}

static bool
is_hostname(const char *s)
{
	size_t label = 0;

	for (; *s; s++) {
		if (*s == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!isalnum((unsigned char)*s) && *s != '-' && *s != '_') {
			return false;
		} else if (++label > 63) {
			return false;
		}
	}
	return label > 0;
}

static bool
is_address(int family, const char *s)
{
	unsigned char buf[16];
	const char *slash = strchr(s, '/');
	char addr[INET6_ADDRSTRLEN];
	uint64_t bits;

	if (slash) {
		if (str_to_u64(slash + 1, 10, &bits) < 0 || bits > (family == AF_INET ? 32 : 128))
			return false;
	}
	if ((slash ? (size_t)(slash - s) : strlen(s)) >= sizeof(addr))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", slash ? (int)(slash - s) : (int)strlen(s), s);
	return inet_pton(family, addr, buf) == 1;
}

static bool
is_v4(const char *s)
{
	return is_address(AF_INET, s);
}

static bool
is_v6(const char *s)
{
	return is_address(AF_INET6, s);
}

static bool
is_net_address(const char *s)
{
	return is_v4(s) || is_v6(s);
}

static bool
is_host(const char *s)
{
	return is_net_address(s) || is_hostname(s);
}

static bool
is_uri(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return n > 0 && s[n] == ':';
}

static const struct {
	const char *type, *list;
	bool (*valid)(const char *);
} types[] = {
	{"boolean", "boolean_list", is_boolean},
	{"count", "count_list", is_count},
	{"integer", "integer_list", is_integer},
	{"time", "time_list", is_time},
	{"astring", "astring_list", is_any},
	{"ustring", "ustring_list", is_any},
	{"opaque", "opaque_list", is_opaque},
	{"fmri", "fmri_list", is_fmri},
	{"uri", "uri_list", is_uri},
	{"host", "host_list", is_host},
	{"hostname", "hostname_list", is_hostname},
	{"net_address", "net_address_list", is_net_address},
	{"net_address_v4", "net_address_v4_list", is_v4},
	{"net_address_v6", "net_address_v6_list", is_v6},
};

bool
smf_type_known(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (str_eq(type, types[i].type))
			return true;
	}
	return false;
}

const char *
smf_type_of_list(const char *element)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (str_eq(element, types[i].list))
			return types[i].type;
	}
	return NULL;
}

int
smf_value_check(const char *type, const char *text, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!str_eq(type, types[i].type))
			continue;
		if (types[i].valid(text))
			return 0;
		return error_set(err, EINVAL, "\"%s\" is not a value of type %s", text, type);
	}
	return error_set(err, EINVAL, "unknown property type \"%s\"", type);
}

/* FMRIs. */

bool
smf_name_valid(const char *name, bool slashes)
{
	bool start = true;

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '/') {
			if (!slashes || start)
				return false;
			start = true;
		} else if (isalnum(c) || c == '_') {
			start = false;
		} else if (start || !(c == '-' || c == '.' || c == ',')) {
			return false;
		}
	}
	return !start;
}

static int
copy_part(char *to, const char *from, size_t len, const char *text, struct error *err)
{
	if (len >= SMF_FMRI_MAX)
		return error_set(err, ENAMETOOLONG, "\"%.40s...\": FMRI too long", text);
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

static int
parse_properties(const char *p, const char *text, struct smf_fmri *f, struct error *err)
{
	const char *slash = strchr(p, '/');
	int r;

	r = copy_part(f->pg, p, slash ? (size_t)(slash - p) : strlen(p), text, err);
	if (r < 0)
		return r;
	if (slash)
		r = copy_part(f->prop, slash + 1, strlen(slash + 1), text, err);
	if (r == 0 && (!smf_name_valid(f->pg, false) ||
		       (slash && !smf_name_valid(f->prop, false))))
		r = error_set(err, EINVAL, "\"%s\": bad property name", text);
	return r;
}

int
smf_fmri_parse(const char *text, struct smf_fmri *ret, struct error *err)
{
	struct smf_fmri f = {.kind = SMF_FMRI_SERVICE};
	const char *p, *props, *colon;
	size_t len;
	int r;

	if ((p = str_after(text, "file://")) != NULL) {
		p = str_after(p, "localhost") ?: p;
		if (*p != '/')
			return error_set(err, EINVAL, "\"%s\": a path must start with /", text);
		f.kind = SMF_FMRI_PATH;
		f.path = p;
		*ret = f;
		return 0;
	}
	p = str_after(text, "svc:/");
	if (!p)
		return error_set(err, EINVAL, "\"%s\" is not an FMRI", text);
	if (*p == '/') { /* svc://localhost/... */
		p = str_after(p, "/localhost/");
		if (!p)
			return error_set(err, EINVAL, "\"%s\": only scope localhost is known", text);
	}
	props = strstr(p, "/:properties/");
	len = props ? (size_t)(props - p) : strlen(p);
	if (props) {
		r = parse_properties(props + strlen("/:properties/"), text, &f, err);
		if (r < 0)
			return r;
	}
	colon = memchr(p, ':', len);
	r = copy_part(f.service, p, colon ? (size_t)(colon - p) : len, text, err);
	if (r < 0)
		return r;
	if (colon) {
		f.kind = SMF_FMRI_INSTANCE;
		r = copy_part(f.instance, colon + 1, len - (size_t)(colon + 1 - p), text, err);
		if (r < 0)
			return r;
	}
	if (!smf_name_valid(f.service, true) || (colon && !smf_name_valid(f.instance, false)))
		return error_set(err, EINVAL, "\"%s\": bad service or instance name", text);
	if (len + strlen("svc:/") >= SMF_FMRI_MAX)
		return error_set(err, ENAMETOOLONG, "\"%.40s...\": FMRI too long", text);
	*ret = f;
	return 0;
}

/*
 * One form of the instance's name against the pattern: all of it, or any
 * trailing part that starts behind a '/'.
 */
static bool
match_tail(const char *name, const char *pattern, bool glob)
{
	for (const char *p = name;; p++) {
		if (glob ? fnmatch(pattern, p, 0) == 0 : strcmp(pattern, p) == 0)
			return true;
		p = strchr(p, '/');
		if (!p)
			return false;
	}
}

bool
smf_fmri_match(const char *fmri, const char *pattern)
{
	bool glob = strpbrk(pattern, "*?[") != NULL;
	const char *rest = str_after(fmri, "svc:/") ?: fmri;
	const char *abs = str_after(pattern, "svc:/");
	cleanup_free char *service = xstrdup(rest);
	char *colon = strrchr(service, ':');

	if (colon)
		*colon = '\0';
	if (abs) { /* absolute: the whole instance or the whole service */
		if (*abs == '/')
			abs = str_after(abs, "/localhost/") ?: abs;
		if (glob)
			return fnmatch(abs, rest, 0) == 0 || fnmatch(abs, service, 0) == 0;
		return str_eq(abs, rest) || str_eq(abs, service);
	}
	if (glob && fnmatch(pattern, fmri, 0) == 0)
		return true;
	return match_tail(rest, pattern, glob) || match_tail(service, pattern, glob);
}

char *
smf_fmri_dashes(const char *fmri)
{
	char *s = xstrdup(str_after(fmri, "svc:/") ?: fmri);

	for (char *p = s; *p; p++) {
		if (*p == '/')
			*p = '-';
	}
	return s;
}

char *
smf_fmri_service(const char *fmri)
{
	const char *colon = strrchr(fmri, ':');

	if (!colon || colon == strchr(fmri, ':'))
		return xstrdup(fmri);
	return xstrndup(fmri, (size_t)(colon - fmri));
}
