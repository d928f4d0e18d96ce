/*
 * struct net: the lock and the records.  A record is one JSON file, replaced
 * whole; what the kernel has is found again from it by the port's name vp<id>.
 */
#include "net/net.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "net/internal.h"

#define RECORD_MAX (256 * 1024)

int
net_open(const struct net_opts *opts, struct net **ret, struct error *err)
{
	struct net *n = xcalloc(1, sizeof(*n));

	n->run_dir = xstrdup(opts && opts->run_dir ? opts->run_dir : NET_RUN_DIR);
	n->config_path = xstrdup(opts && opts->config_path ? opts->config_path : "/usbkey/config");
	n->lock_fd = -1;
	*ret = n;
	return 0;
}

void
net_close(struct net *n)
{
	if (!n)
		return;
	sw_close(n);
	nl_close(n->nl);
	if (n->lock_fd >= 0)
		close(n->lock_fd);
	free(n->run_dir);
	free(n->config_path);
	free(n);
}

int
net_nl(struct net *n, struct nl **ret, struct error *err)
{
	if (!n->nl) {
		int r = nl_open(-1, &n->nl, err);

		if (r < 0)
			return r;
	}
	*ret = n->nl;
	return 0;
}

int
net_lock(struct net *n, struct error *err)
{
	cleanup_free char *path = str_printf("%s/lock", n->run_dir);
	int r;

	r = file_mkdir_p(n->run_dir, 0755, err);
	if (r < 0)
		return r;
	return file_lock(path, true, &n->lock_fd, err);
}

void
net_unlockp(struct net **np)
{
	struct net *n = *np;

	if (n && n->lock_fd >= 0) {
		close(n->lock_fd);
		n->lock_fd = -1;
	}
}

bool
net_is_port_name(const char *s)
{
	return (str_after(s, "vp") || str_after(s, "sp") || str_after(s, "sq")) &&
	       isdigit((unsigned char)s[2]) && s[2 + strspn(s + 2, "0123456789")] == '\0';
}

bool
net_is_link_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len >= IFNAMSIZ || !isalpha((unsigned char)s[0]) ||
	    !isdigit((unsigned char)s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_' && s[i] != '.')
			return false;
	return true;
}

/* Zone names become directory names: nothing that could climb out of one. */
bool
net_is_zone_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > VNIC_ZONE_MAX || !isalnum((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-')
			return false;
	return true;
}

void
vnic_info_done(struct vnic_info *v)
{
	free(v->allowed);
	v->allowed = NULL;
	v->n_allowed = 0;
}

void
record_done(struct record *r)
{
	vnic_info_done(&r->v);
}

static const char *const class_names[] = {
	[RECORD_VNIC] = "vnic",
	[RECORD_ETHERSTUB] = "etherstub",
	[RECORD_UPLINK] = "uplink",
};

static char *
record_path(struct net *n, const char *zone, const char *name)
{
	return str_printf("%s/link/%s/%s", n->run_dir, zone, name);
}

static struct json *
record_to_json(const struct record *r)
{
	struct json *j = json_new_object(), *allowed;
	char mac[MAC_STRLEN], ip[IP_STRLEN];

	json_set_str(j, "class", class_names[r->class]);
	json_set_int(j, "id", r->v.id);
	json_set_int(j, "switch", r->sw);
	json_set_int(j, "ifindex", r->v.ifindex);
	json_set_int(j, "mtu", r->v.mtu);
	if (r->class != RECORD_ETHERSTUB)
		json_set_str(j, "mac", mac_print(&r->v.mac, mac));
	if (r->class != RECORD_VNIC)
		return j;
	json_set_str(j, "kind", r->v.kind == VNIC_TAP ? "tap" : "zone");
	json_set_str(j, "over", r->v.over);
	if (r->v.nic_tag[0])
		json_set_str(j, "nic_tag", r->v.nic_tag);
	json_set_bool(j, "random_mac", r->v.random_mac);
	json_set_int(j, "vid", r->v.vid);
	json_set_int(j, "flags", r->v.flags);
	json_set_int(j, "maxbw", (int64_t)r->v.maxbw);
	json_set_int(j, "group", r->group);
	json_set_bool(j, "peer", r->peer);
	allowed = json_new_array();
	for (size_t i = 0; i < r->v.n_allowed; i++)
		json_push(allowed, json_new_str(ip_print_cidr(&r->v.allowed[i], ip)));
	json_set(j, "allowed", allowed);
	return j;
}

static void
copy_name(char *dst, size_t size, const char *s)
{
	snprintf(dst, size, "%s", s ? s : "");
}

static int
record_from_json(const struct json *j, const char *zone, const char *name, struct record *r,
		 struct error *err)
{
	const char *class = json_str(json_get(j, "class"), "");
	const struct json *allowed = json_get(j, "allowed");
	struct vnic_info *v = &r->v;
	size_t c;

	for (c = 0; c < ARRAY_SIZE(class_names); c++)
		if (str_eq(class, class_names[c]))
			break;
	if (c == ARRAY_SIZE(class_names))
		return error_set(err, EBADMSG, "link %s: unknown class '%s'", name, class);
	r->class = (enum record_class)c;
	r->sw = (uint32_t)json_int(json_get(j, "switch"), 0);
	r->group = (uint32_t)json_int(json_get(j, "group"), 0);
	r->peer = json_bool(json_get(j, "peer"), false);
	copy_name(v->zone, sizeof(v->zone), zone);
	copy_name(v->name, sizeof(v->name), name);
	copy_name(v->over, sizeof(v->over), json_str(json_get(j, "over"), ""));
	copy_name(v->nic_tag, sizeof(v->nic_tag), json_str(json_get(j, "nic_tag"), ""));
	v->id = (uint32_t)json_int(json_get(j, "id"), 0);
	v->ifindex = (int)json_int(json_get(j, "ifindex"), 0);
	v->mtu = (uint32_t)json_int(json_get(j, "mtu"), 0);
	v->vid = (uint16_t)json_int(json_get(j, "vid"), 0);
	v->flags = (uint32_t)json_int(json_get(j, "flags"), 0);
	v->maxbw = (uint64_t)json_int(json_get(j, "maxbw"), 0);
	v->kind = str_eq(json_str(json_get(j, "kind"), ""), "tap") ? VNIC_TAP : VNIC_ZONE;
	v->etherstub = r->class == RECORD_ETHERSTUB;
	v->random_mac = json_bool(json_get(j, "random_mac"), false);
	if (r->class == RECORD_VNIC)
		snprintf(v->port, sizeof(v->port), "vp%u", v->id);
	if (r->class != RECORD_ETHERSTUB &&
	    mac_parse(json_str(json_get(j, "mac"), ""), &v->mac) < 0)
		return error_set(err, EBADMSG, "link %s: bad mac", name);
	v->allowed = xcalloc(json_len(allowed) + 1, sizeof(*v->allowed));
	for (size_t i = 0; i < json_len(allowed); i++) {
		if (ip_parse(json_str(json_at(allowed, i), ""), &v->allowed[i]) < 0)
			return error_set(err, EBADMSG, "link %s: bad allowed address", name);
		v->n_allowed++;
	}
	return 0;
}

int
record_read(struct net *n, const char *zone, const char *name, struct record *ret,
	    struct error *err)
{
	cleanup_free char *path = NULL, *text = NULL;
	cleanup_json struct json *j = NULL;
	struct record r = {0};
	size_t len;
	int s;

	if (!net_is_zone_name(zone) || strlen(name) >= IFNAMSIZ || strchr(name, '/') ||
	    name[0] == '.' || !name[0])
		return error_set(err, ENOENT, "link %s of zone %s: no such link", name, zone);
	path = record_path(n, zone, name);
	s = file_read(path, RECORD_MAX, &text, &len, err);
	if (s == -ENOENT) {
		if (str_eq(zone, NET_GLOBAL))
			return error_set(err, ENOENT, "link %s: no such link", name);
		return error_set(err, ENOENT, "link %s of zone %s: no such link", name, zone);
	}
	if (s < 0)
		return s;
	s = json_parse(text, len, &j, err);
	if (s < 0)
		return error_wrap(err, s, "%s", path);
	s = record_from_json(j, zone, name, &r, err);
	if (s < 0) {
		record_done(&r);
		return s;
	}
	*ret = r;
	return 0;
}

bool
record_exists(struct net *n, const char *zone, const char *name)
{
	cleanup_free char *path = record_path(n, zone, name);

	return file_exists(path);
}

int
record_write(struct net *n, const struct record *r, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/link/%s", n->run_dir, r->v.zone);
	cleanup_free char *path = record_path(n, r->v.zone, r->v.name);
	cleanup_json struct json *j = record_to_json(r);
	int s;

	s = file_mkdir_p(dir, 0755, err);
	if (s < 0)
		return s;
	return json_write_file(path, j, 0644, err);
}

int
record_remove(struct net *n, const char *zone, const char *name, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/link/%s", n->run_dir, zone);
	cleanup_free char *path = record_path(n, zone, name);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	/* empty or not: only tidiness */
	(void)rmdir(dir);
	return 0;
}

static int
compare_records(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	bool gx = str_eq(x->v.zone, NET_GLOBAL), gy = str_eq(y->v.zone, NET_GLOBAL);
	int c;

	if (gx != gy)
		return gx ? -1 : 1;
	c = strcmp(x->v.zone, y->v.zone);
	return c ? c : strcmp(x->v.name, y->v.name);
}

static int
list_dir(const char *path, struct strv *names, struct error *err)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", path);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			strv_add(names, e->d_name);
	closedir(d);
	return 0;
}

static int
list_zone(struct net *n, const char *zone, struct record **list, size_t *count, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/link/%s", n->run_dir, zone);
	cleanup_strv struct strv names = STRV_INIT;
	int s;

	s = list_dir(dir, &names, err);
	if (s < 0)
		return s;
	for (size_t i = 0; i < names.n; i++) {
		cleanup_error struct error e = ERROR_INIT;
		struct record r;

		s = record_read(n, zone, names.v[i], &r, &e);
		if (s == -ENOENT) /* removed while we walk */
			continue;
		if (s < 0) {
			error_move(err, &e);
			return s;
		}
		*list = xreallocarray(*list, *count + 1, sizeof(**list));
		(*list)[(*count)++] = r;
	}
	return 0;
}

int
record_list(struct net *n, const char *zone, struct record **ret, size_t *ret_n, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/link", n->run_dir);
	cleanup_strv struct strv zones = STRV_INIT;
	struct record *list = NULL;
	size_t count = 0;
	int s = 0;

	if (zone && !net_is_zone_name(zone))
		return error_set(err, EINVAL, "bad zone name '%s'", zone);
	if (zone)
		strv_add(&zones, zone);
	else
		s = list_dir(dir, &zones, err);
	for (size_t i = 0; s == 0 && i < zones.n; i++)
		s = list_zone(n, zones.v[i], &list, &count, err);
	if (s < 0) {
		record_list_free(list, count);
		return s;
	}
	if (count)
		qsort(list, count, sizeof(*list), compare_records);
	*ret = list;
	*ret_n = count;
	return 0;
}

void
record_list_free(struct record *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		record_done(&r[i]);
	free(r);
}

int
record_next_id(struct net *n, uint32_t *ret, struct error *err)
{
	cleanup_free char *path = str_printf("%s/next_id", n->run_dir);
	cleanup_free char *text = NULL;
	char out[16];
	uint64_t id = 1;
	int s;

	if (file_exists(path)) {
		s = file_read_line(path, &text, err);
		if (s < 0)
			return s;
		if (str_to_u64(text, 10, &id) < 0 || id == 0 || id >= UINT32_MAX)
			return error_set(err, EBADMSG, "%s: not a number", path);
	}
	snprintf(out, sizeof(out), "%u\n", (unsigned)id + 1);
	s = file_write_atomic(path, out, strlen(out), 0644, err);
	if (s < 0)
		return s;
	*ret = (uint32_t)id;
	return 0;
}
