#include "store/zfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/disk.h"
#include "store/zfs_impl.h"

enum { ZFS_NAME_MAX = 255 };

/* --- running zfs */

/* The first row whose text occurs in the message tells the errno. */
static const struct {
	const char *text;
	int code;
} zfs_errors[] = {
	{"dataset already exists", EEXIST},
	{"' exists", EEXIST},
	{"tag already exists", EEXIST},
	{"pool already exists", EEXIST},
	{"more recent snapshots", EEXIST},
	{"does not exist", ENOENT},
	{"no such pool", ENOENT},
	{"no such dataset", ENOENT},
	{"could not find any snapshots", ENOENT},
	{"no such tag", ENOENT},
	{"no such device", ENOENT},
	{"out of space", ENOSPC},
	{"quota exceeded", ENOSPC},
	{"No space left", ENOSPC},
	{"has dependent clones", EBUSY},
	{"has children", EBUSY},
	{"is busy", EBUSY},
	{"in use", EBUSY},
	{"permission denied", EPERM},
	{"Permission denied", EPERM},
	{"modules cannot be auto-loaded", ENODEV},
	{"/dev/zfs", ENODEV},
	{"invalid ", EINVAL},
	{"bad property", EINVAL},
	{"must be ", EINVAL},
	{"Unsupported", ENOTSUP},
	{"unsupported", ENOTSUP},
};

int
zfs_errno_of(const char *message)
{
	for (size_t i = 0; i < ARRAY_SIZE(zfs_errors); i++) {
		if (strstr(message, zfs_errors[i].text))
			return zfs_errors[i].code;
	}
	return EIO;
}

int
zfs_run(const struct strv *argv, char **output, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r, code;

	r = run_capture((const char *const *)argv->v, output, NULL, &e);
	if (r == 0)
		return 0;
	code = r == -EIO ? zfs_errno_of(error_message(&e)) : -r;
	return error_set(err, code, "%s", error_message(&e));
}

int
zfs_finish(struct run_child *c, const char *what, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int status = 0, r;

	if (c->in >= 0) {
		close(c->in);
		c->in = -1;
	}
	if (c->err >= 0) {
		char buf[4096];
		ssize_t n;

		while ((n = fd_read_all(c->err, buf, sizeof(buf))) > 0) {
			if (text.len < 16 * 1024)
				strbuf_add(&text, buf, (size_t)n);
		}
	}
	r = run_wait(c, &status, err);
	if (r < 0)
		return r;
	if (status == 0)
		return 0;
	if (text.len == 0)
		return error_set(err, EIO, "%s: exit status %d", what, status);
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.data[i] == '\n')
			text.data[i] = ' ';
	}
	return error_set(err, zfs_errno_of(text.data), "%s: %s", what, str_trim(text.data));
}

#define ZFS(output, err, ...)                                           \
	({                                                              \
		cleanup_strv struct strv _argv = STRV_INIT;             \
		strv_addl(&_argv, "zfs", __VA_ARGS__, NULL);            \
		zfs_run(&_argv, (output), (err));                       \
	})

/* --- names */

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-_.: %", c);
}

/* One component between slashes. */
static bool
component_ok(const char *s, size_t len)
{
	if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!s[i] || !name_char(s[i]))
			return false;
	}
	return true;
}

static bool
path_ok(const char *name, size_t len)
{
	const char *end = name + len;

	if (len == 0 || len > ZFS_NAME_MAX)
		return false;
	/* A pool's name starts with a letter: this also keeps options out. */
	if (!((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z'))
		return false;
	for (const char *p = name; p <= end;) {
		const char *slash = memchr(p, '/', (size_t)(end - p));

		if (!slash)
			slash = end;
		if (!component_ok(p, (size_t)(slash - p)))
			return false;
		p = slash + 1;
	}
	return true;
}

bool
zfs_name_ok(const char *name)
{
	return name && path_ok(name, strlen(name));
}

bool
zfs_snapshot_name_ok(const char *name)
{
	const char *at = name ? strchr(name, '@') : NULL;

	return at && strlen(name) <= ZFS_NAME_MAX && path_ok(name, (size_t)(at - name)) &&
	       component_ok(at + 1, strlen(at + 1));
}

static int
need_name(const char *name, struct error *err)
{
	if (zfs_name_ok(name))
		return 0;
	return error_set(err, EINVAL, "\"%s\" is not a dataset name", name ? name : "");
}

static int
need_snapshot(const char *name, struct error *err)
{
	if (zfs_snapshot_name_ok(name))
		return 0;
	return error_set(err, EINVAL, "\"%s\" is not a snapshot name", name ? name : "");
}

static int
need_either(const char *name, struct error *err)
{
	if (name && strchr(name, '@'))
		return need_snapshot(name, err);
	return need_name(name, err);
}

static void
add_props(struct strv *argv, const char *option, const char *const props[])
{
	for (; props && *props; props++)
		strv_addl(argv, option, *props, NULL);
}

/* --- looking */

void
zfs_list_done(struct zfs_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->ds[i].name);
		for (size_t p = 0; p < l->props.n; p++)
			free(l->ds[i].values[p]);
		free(l->ds[i].values);
	}
	free(l->ds);
	strv_done(&l->props);
	*l = (struct zfs_list)ZFS_LIST_INIT;
}

static const struct {
	enum zfs_type type;
	const char *name; /* for -t */
	const char *json; /* in JSON output and the `type` property */
} zfs_types[] = {
	{ZFS_FILESYSTEM, "filesystem", "FILESYSTEM"},
	{ZFS_VOLUME, "volume", "VOLUME"},
	{ZFS_SNAPSHOT, "snapshot", "SNAPSHOT"},
	{ZFS_BOOKMARK, "bookmark", "BOOKMARK"},
};

static enum zfs_type
type_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(zfs_types); i++) {
		if (text && strcasecmp(text, zfs_types[i].json) == 0)
			return zfs_types[i].type;
	}
	return ZFS_FILESYSTEM;
}

static char *
json_value(const struct json *properties, const char *prop)
{
	const struct json *v = json_get(json_get(properties, prop), "value");
	const char *s = json_str(v, NULL);

	if (json_type(v) == JSON_INT)
		return str_printf("%lld", (long long)json_int(v, 0));
	if (str_empty(s) || str_eq(s, "-"))
		return NULL;
	return xstrdup(s);
}

static int
list_parse(const char *text, struct zfs_list *l, struct error *err)
{
	cleanup_json struct json *j = NULL;
	const struct json *sets, *ds;
	const char *key;
	int r;

	r = json_parse(text, (size_t)-1, &j, err);
	if (r < 0)
		return error_wrap(err, r, "zfs list -j");
	sets = json_get(j, "datasets");
	l->ds = xcalloc(json_len(sets) + 1, sizeof(*l->ds));
	json_object_each(key, ds, sets) {
		const struct json *props = json_get(ds, "properties");
		struct zfs_ds *d = &l->ds[l->n++];

		d->name = xstrdup(json_str(json_get(ds, "name"), key));
		d->type = type_of(json_str(json_get(ds, "type"), NULL));
		d->values = xcalloc(l->props.n + 1, sizeof(char *));
		for (size_t p = 0; p < l->props.n; p++)
			d->values[p] = json_value(props, l->props.v[p]);
	}
	return 0;
}

int
zfs_list(const char *root, unsigned types, int depth, const char *const props[],
	 struct zfs_list *ret, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_strv struct strv kinds = STRV_INIT;
	cleanup_free char *text = NULL, *t = NULL, *o = NULL;
	int r;

	if (root) {
		r = need_either(root, err);
		if (r < 0)
			return r;
	}
	for (; props && *props; props++)
		strv_add(&l.props, *props);
	for (size_t i = 0; i < ARRAY_SIZE(zfs_types); i++) {
		if (types & zfs_types[i].type)
			strv_add(&kinds, zfs_types[i].name);
	}
	t = strv_join(&kinds, ",");
	o = l.props.n ? strv_join(&l.props, ",") : xstrdup("name");
	strv_addl(&argv, "zfs", "list", "-j", "-p", "-t", t, "-o", o, NULL);
	if (depth >= 0) {
		strv_add(&argv, "-d");
		strv_addf(&argv, "%d", depth);
	} else if (root) {
		strv_add(&argv, "-r");
	}
	if (root)
		strv_add(&argv, root);
	r = zfs_run(&argv, &text, err);
	if (r < 0)
		return r;
	/* With nothing to list, zfs says so on stderr and prints no JSON. */
	if (!str_empty(str_trim(text))) {
		r = list_parse(text, &l, err);
		if (r < 0)
			return r;
	}
	*ret = l;
	l = (struct zfs_list)ZFS_LIST_INIT;
	return 0;
}

const char *
zfs_list_get(const struct zfs_list *l, size_t i, const char *prop)
{
	for (size_t p = 0; i < l->n && p < l->props.n; p++) {
		if (str_eq(l->props.v[p], prop))
			return l->ds[i].values[p];
	}
	return NULL;
}

const struct zfs_ds *
zfs_list_find(const struct zfs_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->ds[i].name, name))
			return &l->ds[i];
	}
	return NULL;
}

int
zfs_exists(const char *name, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	r = ZFS(NULL, &e, "list", "-H", "-o", "name", "-t", "all", "-d", "0", name);
	if (r == 0)
		return 1;
	if (r == -ENOENT)
		return 0;
	error_move(err, &e);
	return r;
}

int
zfs_kind(const char *name, enum zfs_type *ret, struct error *err)
{
	cleanup_free char *type = NULL;
	int r;

	r = zfs_get(name, "type", &type, err);
	if (r < 0)
		return r;
	*ret = type_of(type);
	return 0;
}

int
zfs_children(const char *name, struct strv *ret, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	int r;

	r = zfs_list(name, ZFS_DATASET, 1, NULL, &l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		if (!str_eq(l.ds[i].name, name))
			strv_add(ret, l.ds[i].name);
	}
	return 0;
}

int
zfs_snapshots(const char *name, struct strv *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	r = ZFS(&text, err, "list", "-H", "-o", "name", "-t", "snapshot", "-d", "1", "-s",
		"createtxg", name);
	if (r < 0)
		return r;
	strv_words(ret, text, "\n");
	return 0;
}

int
zfs_clones(const char *name, bool recursive, struct strv *ret, struct error *err)
{
	cleanup_zfs_list struct zfs_list l = ZFS_LIST_INIT;
	int r;

	r = zfs_list(name, ZFS_SNAPSHOT, recursive ? -1 : 1, ZFS_PROPS("clones"), &l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		const char *clones = zfs_list_get(&l, i, "clones");

		if (clones)
			strv_words(ret, clones, ",");
	}
	return 0;
}

int
zfs_get(const char *name, const char *prop, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	r = ZFS(&text, err, "get", "-H", "-p", "-o", "value", prop, name);
	if (r < 0)
		return r;
	len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	*ret = str_eq(text, "-") || str_empty(text) ? NULL : steal_ptr(&text);
	return 0;
}

int
zfs_get_u64(const char *name, const char *prop, uint64_t *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	int r;

	r = zfs_get(name, prop, &text, err);
	if (r < 0)
		return r;
	r = str_to_u64(text ? text : "", 10, ret);
	if (r < 0)
		return error_set(err, -r, "%s: property %s is \"%s\", not a number", name, prop,
				 text ? text : "-");
	return 0;
}

int
zfs_origin(const char *name, char **ret, struct error *err)
{
	return zfs_get(name, "origin", ret, err);
}

/* Undoes the \ooo escapes of mountinfo, in place. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

int
zfs_mountpoint(const char *name, char **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	r = file_read("/proc/self/mountinfo", 0, &text, NULL, err);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;
		size_t dash = 0;

		/* id parent dev root mountpoint options ... - fstype source superoptions */
		strv_words(&w, lines.v[i], " ");
		while (dash < w.n && !str_eq(w.v[dash], "-"))
			dash++;
		if (dash + 2 >= w.n || !str_eq(w.v[dash + 1], "zfs") || !str_eq(w.v[3], "/"))
			continue;
		unescape(w.v[dash + 2]);
		if (!str_eq(w.v[dash + 2], name))
			continue;
		unescape(w.v[4]);
		*ret = xstrdup(w.v[4]);
		return 0;
	}
	return error_set(err, ENOENT, "%s is not mounted", name);
}

int
zfs_received(const char *name, struct strv *ret_props, struct error *err)
{
	cleanup_free char *text = NULL;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	r = ZFS(&text, err, "get", "-H", "-p", "-o", "property", "-s", "received", "all", name);
	if (r < 0)
		return r;
	strv_words(ret_props, text, "\n");
	return 0;
}

int
zfs_set(const char *name, const char *const props[], struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	if (!props || !*props)
		return 0;
	strv_addl(&argv, "zfs", "set", NULL);
	for (; *props; props++)
		strv_add(&argv, *props);
	strv_add(&argv, name);
	return zfs_run(&argv, NULL, err);
}

int
zfs_unset(const char *name, const char *prop, struct error *err)
{
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	return ZFS(NULL, err, "inherit", prop, name);
}

/* --- making and removing */

int
zfs_create(const char *name, const char *const props[], unsigned flags, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "create", NULL);
	if (flags & ZFS_PARENTS)
		strv_add(&argv, "-p");
	if (flags & ZFS_NO_MOUNT)
		strv_add(&argv, "-u");
	add_props(&argv, "-o", props);
	strv_add(&argv, name);
	return zfs_run(&argv, NULL, err);
}

static uint64_t
round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

int
zvol_create(const char *name, uint64_t size, uint32_t blocksize, const char *const props[],
	    unsigned flags, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	uint32_t unit = blocksize ? blocksize : 128 * 1024;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	if (size == 0 || size > (uint64_t)INT64_MAX - unit)
		return error_set(err, EINVAL, "%s: a volume of %llu bytes", name,
				 (unsigned long long)size);
	strv_addl(&argv, "zfs", "create", NULL);
	if (flags & ZFS_SPARSE)
		strv_add(&argv, "-s");
	if (flags & ZFS_PARENTS)
		strv_add(&argv, "-p");
	if (blocksize) {
		strv_add(&argv, "-b");
		strv_addf(&argv, "%u", blocksize);
	}
	add_props(&argv, "-o", props);
	strv_add(&argv, "-V");
	strv_addf(&argv, "%llu", (unsigned long long)round_up(size, unit));
	strv_add(&argv, name);
	r = zfs_run(&argv, NULL, err);
	if (r < 0)
		return r;
	return zvol_wait(name, DEVICE_TIMEOUT_MS, err);
}

int
zvol_resize(const char *name, uint64_t size, struct error *err)
{
	cleanup_free char *prop = NULL;
	uint64_t unit;
	int r;

	r = zfs_get_u64(name, "volblocksize", &unit, err);
	if (r < 0)
		return r;
	if (unit == 0 || size == 0 || size > (uint64_t)INT64_MAX - unit)
		return error_set(err, EINVAL, "%s: a volume of %llu bytes", name,
				 (unsigned long long)size);
	prop = str_printf("volsize=%llu", (unsigned long long)round_up(size, unit));
	return zfs_set(name, ZFS_PROPS(prop), err);
}

/*
 * zfs removes the mount point after the dataset: killed between, it leaves an empty directory, which
 * the next who wants the dataset gone removes (where it is not the usual one, it stays).
 */
static void
remove_mountpoint(const char *name)
{
	cleanup_free char *path = str_printf("/%s", name);

	rmdir(path);
}

int
zfs_destroy(const char *name, unsigned flags, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "destroy", NULL);
	if (flags & ZFS_CLONES)
		strv_add(&argv, "-R");
	else if (flags & ZFS_RECURSIVE)
		strv_add(&argv, "-r");
	if (flags & ZFS_FORCE)
		strv_add(&argv, "-f");
	if (flags & ZFS_DEFER)
		strv_add(&argv, "-d");
	strv_add(&argv, name);
	r = zfs_run(&argv, NULL, err);
	if (r == -ENOENT && !strchr(name, '@'))
		remove_mountpoint(name);
	return r;
}

int
zfs_snapshot(const char *name, bool recursive, const char *const props[], struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_snapshot(name, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "snapshot", NULL);
	if (recursive)
		strv_add(&argv, "-r");
	add_props(&argv, "-o", props);
	strv_add(&argv, name);
	return zfs_run(&argv, NULL, err);
}

int
zfs_clone(const char *snapshot, const char *name, const char *const props[], unsigned flags,
	  struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_snapshot(snapshot, err);
	if (r == 0)
		r = need_name(name, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "clone", NULL);
	if (flags & ZFS_PARENTS)
		strv_add(&argv, "-p");
	if (flags & ZFS_NO_MOUNT)
		strv_add(&argv, "-u");
	add_props(&argv, "-o", props);
	strv_addl(&argv, snapshot, name, NULL);
	return zfs_run(&argv, NULL, err);
}

int
zfs_rename(const char *from, const char *to, unsigned flags, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_either(from, err);
	if (r == 0)
		r = need_either(to, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "rename", NULL);
	if (flags & ZFS_NO_MOUNT)
		strv_add(&argv, "-u");
	if (flags & ZFS_FORCE)
		strv_add(&argv, "-f");
	strv_addl(&argv, from, to, NULL);
	return zfs_run(&argv, NULL, err);
}

int
zfs_rollback(const char *snapshot, bool destroy_newer, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	int r;

	r = need_snapshot(snapshot, err);
	if (r < 0)
		return r;
	strv_addl(&argv, "zfs", "rollback", NULL);
	if (destroy_newer)
		strv_add(&argv, "-r");
	strv_add(&argv, snapshot);
	return zfs_run(&argv, NULL, err);
}

int
zfs_promote(const char *name, struct error *err)
{
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	return ZFS(NULL, err, "promote", name);
}

int
zfs_hold(const char *tag, const char *snapshot, struct error *err)
{
	int r;

	r = need_snapshot(snapshot, err);
	if (r < 0)
		return r;
	return ZFS(NULL, err, "hold", tag, snapshot);
}

int
zfs_release(const char *tag, const char *snapshot, struct error *err)
{
	int r;

	r = need_snapshot(snapshot, err);
	if (r < 0)
		return r;
	return ZFS(NULL, err, "release", tag, snapshot);
}

int
zfs_holds(const char *snapshot, struct strv *ret_tags, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_strv struct strv lines = STRV_INIT;
	int r;

	r = need_snapshot(snapshot, err);
	if (r < 0)
		return r;
	r = ZFS(&text, err, "holds", "-H", snapshot);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;

		strv_split(&w, lines.v[i], "\t"); /* name, tag, time */
		if (w.n >= 2)
			strv_add(ret_tags, w.v[1]);
	}
	return 0;
}

int
zfs_mount(const char *name, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	r = ZFS(NULL, &e, "mount", name);
	if (r == 0 || strstr(error_message(&e), "already mounted"))
		return 0;
	error_move(err, &e);
	return r;
}

int
zfs_unmount(const char *name, bool force, struct error *err)
{
	cleanup_error struct error e = ERROR_INIT;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	r = force ? ZFS(NULL, &e, "unmount", "-f", name) : ZFS(NULL, &e, "unmount", name);
	if (r == 0 || strstr(error_message(&e), "not currently mounted"))
		return 0;
	error_move(err, &e);
	return r;
}

/* --- volumes as devices */

char *
zvol_path(const char *name)
{
	return str_printf("/dev/zvol/%s", name);
}

char *
zvol_name_of_path(const char *path)
{
	const char *name = str_after(path, "/dev/zvol/");
	const char *raw;

	if (!name)
		return NULL;
	/* illumos has the volume twice: raw below rdsk/, buffered below dsk/. */
	raw = str_after(name, "rdsk/");
	if (!raw)
		raw = str_after(name, "dsk/");
	if (raw)
		name = raw;
	return zfs_name_ok(name) ? xstrdup(name) : NULL;
}

int
zvol_wait(const char *name, int timeout_ms, struct error *err)
{
	cleanup_free char *path = NULL;
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	path = zvol_path(name);
	return device_wait(path, timeout_ms, err);
}

/* --- streams */

static void
send_argv(struct strv *argv, const char *from, unsigned flags)
{
	strv_addl(argv, "zfs", "send", NULL);
	if (flags & ZFS_SEND_REPLICATE)
		strv_add(argv, "-R");
	if (flags & ZFS_SEND_PROPS)
		strv_add(argv, "-p");
	if (flags & ZFS_SEND_RAW)
		strv_add(argv, "-w");
	if (from)
		strv_addl(argv, "-i", from, NULL);
}

static int
send_check(const char *snapshot, const char *from, struct error *err)
{
	int r;

	r = need_snapshot(snapshot, err);
	if (r == 0 && from)
		r = need_snapshot(from, err);
	return r;
}

int
zfs_send_start(const char *snapshot, const char *from, unsigned flags, struct run_child *ret,
	       struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	struct run_opts opts = {.in = RUN_NULL, .out = RUN_PIPE, .err = RUN_PIPE,
				.die_with_parent = true};
	int r;

	r = send_check(snapshot, from, err);
	if (r < 0)
		return r;
	send_argv(&argv, from, flags);
	strv_add(&argv, snapshot);
	return run_start((const char *const *)argv.v, &opts, ret, err);
}

int
zfs_send_finish(struct run_child *c, const char *snapshot, struct error *err)
{
	cleanup_free char *what = str_printf("zfs send %s", snapshot);

	return zfs_finish(c, what, err);
}

int
zfs_send_size(const char *snapshot, const char *from, unsigned flags, uint64_t *ret,
	      struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT, lines = STRV_INIT;
	cleanup_free char *text = NULL;
	int r;

	r = send_check(snapshot, from, err);
	if (r < 0)
		return r;
	send_argv(&argv, from, flags);
	strv_addl(&argv, "-n", "-P", snapshot, NULL);
	r = zfs_run(&argv, &text, err);
	if (r < 0)
		return r;
	strv_words(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		cleanup_strv struct strv w = STRV_INIT;

		strv_words(&w, lines.v[i], "\t ");
		if (w.n == 2 && str_eq(w.v[0], "size"))
			return str_to_u64(w.v[1], 10, ret);
	}
	return error_set(err, EIO, "zfs send -nP %s: no size in \"%s\"", snapshot, text);
}

int
zfs_receive_start(const char *name, const char *const props[], unsigned flags, int stream_fd,
		  struct run_child *ret, struct error *err)
{
	cleanup_strv struct strv argv = STRV_INIT;
	struct run_opts opts = {.in = RUN_PIPE, .out = RUN_NULL, .err = RUN_PIPE,
				.die_with_parent = true};
	int r;

	r = need_either(name, err);
	if (r < 0)
		return r;
	if (stream_fd >= 0)
		opts.in_fd = stream_fd;
	strv_addl(&argv, "zfs", "receive", "-u", NULL);
	if (flags & ZFS_FORCE)
		strv_add(&argv, "-F");
	add_props(&argv, "-o", props);
	strv_add(&argv, name);
	return run_start((const char *const *)argv.v, &opts, ret, err);
}

int
zfs_receive_finish(struct run_child *c, const char *name, struct error *err)
{
	cleanup_free char *what = str_printf("zfs receive %s", name);

	return zfs_finish(c, what, err);
}

/* --- delegation */

int
zfs_zone_attach(const char *name, pid_t pid, struct error *err)
{
	cleanup_free char *ns = str_printf("/proc/%d/ns/user", (int)pid);
	int r;

	r = zfs_set(name, ZFS_PROPS("zoned=on"), err);
	if (r < 0)
		return r;
	return ZFS(NULL, err, "zone", ns, name);
}

int
zfs_zone_detach(const char *name, pid_t pid, struct error *err)
{
	cleanup_free char *ns = str_printf("/proc/%d/ns/user", (int)pid);
	int r;

	r = need_name(name, err);
	if (r < 0)
		return r;
	if (!file_exists(ns))
		return 0; /* the namespace went with its last process */
	return ZFS(NULL, err, "unzone", ns, name);
}
