#include "store/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How a layout comes about: disks -> classes (like size and kind) -> roles
 * (storage, cache, logs) -> kind (asked for or chosen) -> vdevs and spares.
 * Within a role disks stand by size, then name; spares are the largest, since
 * a spare must be able to stand in for any of the others.
 */

struct dev {
	char *name;
	char *vid;
	char *pid;
	uint64_t size;
	bool ssd;
};
struct devs {
	struct dev *v;
	size_t n;
};
struct vdev {
	enum layout_kind kind; /* LAYOUT_SINGLE: one device, striped */
	struct devs devs;
};
struct layout {
	struct vdev *vdevs;
	size_t n_vdevs;
	struct devs spares, logs, cache;
	uint64_t capacity;
};

/* --- kinds */

/*
 * Of raidz, widths of a vdev from min to max; if the number of disks is one of
 * narrow_from..narrow_to, one vdev of exactly these is allowed too.  Without a
 * wish, one spare for each `per_spare` disks, at most 2.
 */
static const struct kind {
	const char *name; /* on the command line */
	const char *json; /* in the layout, and for zpool; NULL: the disk stands alone */
	size_t parity;
	size_t min, max;
	size_t narrow_from, narrow_to;
	size_t per_spare;
} kinds[] = {
	[LAYOUT_AUTO] = {"auto", NULL, 0, 0, 0, 0, 0, 0},
	[LAYOUT_SINGLE] = {"single", NULL, 0, 1, 1, 0, 0, 0},
	[LAYOUT_MIRROR] = {"mirror", "mirror", 1, 2, 2, 0, 0, 0},
	[LAYOUT_RAIDZ1] = {"raidz1", "raidz", 1, 3, 6, 0, 0, 7},
	[LAYOUT_RAIDZ2] = {"raidz2", "raidz2", 2, 7, 12, 5, 6, 12},
	[LAYOUT_RAIDZ3] = {"raidz3", "raidz3", 3, 9, 15, 7, 8, 15},
};

int
layout_kind_parse(const char *name, enum layout_kind *ret, struct error *err)
{
	for (size_t i = LAYOUT_SINGLE; i < ARRAY_SIZE(kinds); i++) {
		if (str_eq(name, kinds[i].name) || str_eq(name, kinds[i].json)) {
			*ret = (enum layout_kind)i;
			return 0;
		}
	}
	return error_set(err, EINVAL, "unknown layout %s (known: single mirror raidz1 raidz2 raidz3)",
			 name);
}

const char *
layout_kind_name(enum layout_kind k)
{
	return kinds[k].name;
}

/* --- devices */

static void
devs_done(struct devs *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].name);
		free(d->v[i].vid);
		free(d->v[i].pid);
	}
	free(d->v);
	*d = (struct devs){0};
}

static struct dev *
devs_add(struct devs *d)
{
	d->v = xreallocarray(d->v, d->n + 1, sizeof(*d->v));
	d->v[d->n] = (struct dev){0};
	return &d->v[d->n++];
}

/* Moves n devices, starting at from, to the end of dst. */
static void
devs_move(struct devs *dst, struct devs *src, size_t from, size_t n)
{
	for (size_t i = from; i < from + n; i++)
		*devs_add(dst) = src->v[i];
	memmove(src->v + from, src->v + from + n, (src->n - from - n) * sizeof(*src->v));
	src->n -= n;
}

static int
by_size_and_name(const void *pa, const void *pb)
{
	const struct dev *a = pa, *b = pb;

	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return strverscmp(a->name, b->name);
}

static void
devs_sort(struct devs *d)
{
	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), by_size_and_name);
}

/* --- classes and roles */

struct class
{
	bool ssd;
	struct devs devs;
};
struct classes {
	struct class *v;
	size_t n;
};

/* Disks below this are no use in a pool. */
#define SIZE_MIN (500ULL * 1000 * 1000)

static bool
like_size(uint64_t a, uint64_t b)
{
	uint64_t diff = a > b ? a - b : b - a;

	return diff <= (a > b ? a : b) / 20;
}

/* Every usable disk, sorted: smallest first. */
static void
usable(const struct disk_list *disks, const struct strv *exclude, struct devs *ret)
{
	for (size_t i = 0; i < disks->n; i++) {
		const struct disk *d = &disks->disks[i];
		struct dev *dev;

		if (d->removable || d->read_only || d->boot_medium || d->size < SIZE_MIN ||
		    strv_has(exclude, d->name) || strv_has(exclude, d->path))
			continue;
		dev = devs_add(ret);
		dev->name = xstrdup(d->name);
		dev->vid = xstrdup(d->vendor ? d->vendor : "");
		dev->pid = xstrdup(d->model ? d->model : "");
		dev->size = d->size;
		dev->ssd = d->ssd;
	}
	devs_sort(ret);
}

static void
classify(struct devs *all, struct classes *ret)
{
	for (size_t i = 0; i < all->n; i++) {
		struct class *c = NULL;

		for (size_t k = 0; k < ret->n && !c; k++) {
			struct class *o = &ret->v[k];

			if (o->ssd == all->v[i].ssd && like_size(o->devs.v[0].size, all->v[i].size))
				c = o;
		}
		if (!c) {
			ret->v = xreallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
			c = &ret->v[ret->n++];
			*c = (struct class){.ssd = all->v[i].ssd};
		}
		*devs_add(&c->devs) = all->v[i];
	}
	free(all->v);
	*all = (struct devs){0};
}

static void
take_class(struct class *c, struct devs *role)
{
	devs_move(role, &c->devs, 0, c->devs.n);
	devs_sort(role);
}

/* Classes are in ascending order of size, since the disks were. */
static void
assign_roles(struct classes *cs, bool no_cache, struct devs *storage, struct layout *l)
{
	struct class *main = NULL;
	bool logs_done = false;

	for (size_t i = 0; i < cs->n; i++) {
		if (!cs->v[i].ssd)
			main = &cs->v[i];
	}
	for (size_t i = 0; i < cs->n; i++) {
		if (!main || (main->ssd && cs->v[i].ssd))
			main = &cs->v[i];
	}
	if (!main)
		return;
	take_class(main, storage);
	for (size_t i = 0; i < cs->n; i++) {
		struct class *c = &cs->v[i];

		if (c == main)
			continue;
		if (c->ssd && !logs_done) {
			logs_done = true;
			if (c->devs.n <= 4) {
				take_class(c, &l->logs);
				continue;
			}
		}
		if (!no_cache)
			take_class(c, &l->cache);
	}
}

static void
classes_done(struct classes *cs)
{
	for (size_t i = 0; i < cs->n; i++)
		devs_done(&cs->v[i].devs);
	free(cs->v);
}

/* --- choosing */

#define BIG_DISK (1500ULL * 1000 * 1000 * 1000)

/*
 * For n disks in vdevs (spares already taken off if they were given).  Big
 * disks resilver for days, so that one parity is not enough for many of them;
 * a fixed number of spares leaves only kinds whose widths divide n.
 */
static enum layout_kind
layout_choose(size_t n, const struct dev *smallest, bool fixed)
{
	if (n == 1)
		return LAYOUT_SINGLE;
	if (n == 2)
		return LAYOUT_MIRROR;
	if (n <= 4)
		return LAYOUT_RAIDZ1;
	if (n <= 6)
		return smallest->ssd || fixed ? LAYOUT_RAIDZ1 : LAYOUT_RAIDZ2;
	if (n > 16 || (n > kinds[LAYOUT_RAIDZ2].min && smallest->size > BIG_DISK)) {
		if (!fixed)
			return LAYOUT_RAIDZ2;
		for (size_t w = kinds[LAYOUT_RAIDZ2].min; w <= kinds[LAYOUT_RAIDZ2].max; w++) {
			if (n % w == 0)
				return LAYOUT_RAIDZ2;
		}
		return n == 13 ? LAYOUT_RAIDZ3 : LAYOUT_RAIDZ1;
	}
	if (n < kinds[LAYOUT_RAIDZ2].max && smallest->ssd)
		return LAYOUT_RAIDZ2;
	if (n % 2 == 0 || !fixed)
		return LAYOUT_MIRROR;
	if (n == 15)
		return LAYOUT_RAIDZ1;
	return n == 13 ? LAYOUT_RAIDZ3 : LAYOUT_RAIDZ2;
}

/* Width and spares for n disks, or -ENODEV. */
static int
fit_mirror(size_t n, const struct layout_opts *opts, size_t *width, size_t *spares,
	   struct error *err)
{
	*width = opts->width ? (size_t)opts->width : 2;
	if (*width < 2)
		return error_set(err, EINVAL, "a mirror is at least 2 disks wide");
	if (n < *width)
		return error_set(err, ENODEV, "at least %zu disks are required for mirroring",
				 *width);
	if (opts->spares >= 0) {
		*spares = (size_t)opts->spares;
	} else if (n == *width || n == 2 * *width) {
		*spares = 0;
	} else {
		*spares = (n + 15) / 16;
		*spares += (n - *spares) % *width;
	}
	if (*spares >= n || (n - *spares) % *width)
		return error_set(err, ENODEV, "%zu disks with %zu spares do not make mirrors of %zu",
				 n, *spares, *width);
	return 0;
}

static int
fit_raidz(size_t n, const struct kind *k, const struct layout_opts *opts, size_t *width,
	  size_t *spares, struct error *err)
{
	bool fixed = opts->spares >= 0;
	size_t min = k->min, max = k->max, s;

	if (n >= k->narrow_from && n <= k->narrow_to)
		min = max = n;
	if (opts->width) {
		min = max = (size_t)opts->width;
		if (min <= k->parity)
			return error_set(err, EINVAL, "%s is at least %zu disks wide", k->name,
					 k->parity + 1);
	}
	s = fixed ? (size_t)opts->spares : n / k->per_spare;
	if (!fixed && s > 2)
		s = 2;
	for (; s < n && n - s >= min; s++) {
		for (size_t w = min; w <= max; w++) {
			if ((n - s) % w == 0) {
				*width = w;
				*spares = s;
				return 0;
			}
		}
		if (fixed)
			break;
	}
	if (fixed)
		return error_set(err, ENODEV,
				 "no acceptable %s layout is possible with %zu disks and %d %s",
				 k->name, n, opts->spares, opts->spares == 1 ? "spare" : "spares");
	return error_set(err, ENODEV, "no acceptable %s layout is possible with %zu disks", k->name,
			 n);
}

static void
add_vdev(struct layout *l, enum layout_kind kind, struct devs *from, size_t width)
{
	struct vdev *v;
	size_t data = kind == LAYOUT_MIRROR ? 1 : width - kinds[kind].parity;

	l->vdevs = xreallocarray(l->vdevs, l->n_vdevs + 1, sizeof(*l->vdevs));
	v = &l->vdevs[l->n_vdevs++];
	*v = (struct vdev){.kind = kind};
	l->capacity += data * from->v[0].size;
	devs_move(&v->devs, from, 0, width);
}

static int
build(struct layout *l, struct devs *storage, const struct layout_opts *opts, struct error *err)
{
	enum layout_kind kind = opts->kind;
	size_t n = storage->n, width = 1, spares = 0;
	int r = 0;

	if (n == 0)
		return error_set(err, ENODEV, "no primary storage disks available");
	if (opts->spares > 0 && n < (size_t)opts->spares + 2)
		return error_set(err, ENODEV, "too many spares (%d) for this disk configuration",
				 opts->spares);
	if (kind == LAYOUT_AUTO)
		kind = layout_choose(n - (size_t)(opts->spares > 0 ? opts->spares : 0),
				     &storage->v[0], opts->spares >= 0);
	switch (kind) {
	case LAYOUT_AUTO:
	case LAYOUT_SINGLE:
		if (opts->spares > 0)
			return error_set(err, EINVAL, "spares are not allowed for a single disk pool");
		add_vdev(l, LAYOUT_SINGLE, storage, 1);
		return 0;
	case LAYOUT_MIRROR:
		r = fit_mirror(n, opts, &width, &spares, err);
		break;
	case LAYOUT_RAIDZ1:
	case LAYOUT_RAIDZ2:
	case LAYOUT_RAIDZ3:
		r = fit_raidz(n, &kinds[kind], opts, &width, &spares, err);
		break;
	}
	if (r < 0)
		return r;
	if (spares)
		devs_move(&l->spares, storage, n - spares, spares);
	while (storage->n >= width)
		add_vdev(l, kind, storage, width);
	return 0;
}

int
layout_compute(const struct disk_list *disks, const struct layout_opts *opts,
	       struct layout **ret, struct error *err)
{
	cleanup_layout struct layout *l = xcalloc(1, sizeof(*l));
	struct devs all = {0}, storage = {0};
	struct classes cs = {0};
	int r;

	usable(disks, &opts->exclude, &all);
	classify(&all, &cs);
	assign_roles(&cs, opts->no_cache, &storage, l);
	r = build(l, &storage, opts, err);
	classes_done(&cs);
	devs_done(&storage);
	if (r < 0)
		return r;
	*ret = steal_ptr(&l);
	return 0;
}

void
layout_free(struct layout *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_vdevs; i++)
		devs_done(&l->vdevs[i].devs);
	free(l->vdevs);
	devs_done(&l->spares);
	devs_done(&l->logs);
	devs_done(&l->cache);
	free(l);
}

/* --- JSON */

static struct json *
dev_json(const struct dev *d)
{
	struct json *j = json_new_object();

	json_set_str(j, "name", d->name);
	json_set_str(j, "vid", d->vid);
	json_set_str(j, "pid", d->pid);
	json_set_int(j, "size", (int64_t)d->size);
	json_set_bool(j, "solid_state", d->ssd);
	return j;
}

static struct json *
devs_json(const struct devs *d)
{
	struct json *j = json_new_array();

	for (size_t i = 0; i < d->n; i++)
		json_push(j, dev_json(&d->v[i]));
	return j;
}

/* The lists besides vdevs, in the order in which they are printed and given to zpool. */
static const struct {
	const char *json;
	const char *word; /* of zpool create */
	size_t offset;
} lists[] = {
	{"spares", "spare", offsetof(struct layout, spares)},
	{"logs", "log", offsetof(struct layout, logs)},
	{"cache", "cache", offsetof(struct layout, cache)},
};

static struct devs *
list_of(const struct layout *l, size_t i)
{
	return (struct devs *)((char *)l + lists[i].offset);
}

struct json *
layout_json(const struct layout *l)
{
	struct json *j = json_new_object(), *vdevs = json_new_array();

	for (size_t i = 0; i < l->n_vdevs; i++) {
		const struct vdev *v = &l->vdevs[i];
		struct json *o;

		if (v->kind == LAYOUT_SINGLE) {
			json_push(vdevs, dev_json(&v->devs.v[0]));
			continue;
		}
		o = json_new_object();
		json_set_str(o, "type", kinds[v->kind].json);
		json_set(o, "devices", devs_json(&v->devs));
		json_push(vdevs, o);
	}
	if (l->spares.n)
		json_set(j, "spares", devs_json(&l->spares));
	json_set(j, "vdevs", vdevs);
	json_set_int(j, "capacity", (int64_t)l->capacity);
	if (l->logs.n)
		json_set(j, "logs", devs_json(&l->logs));
	if (l->cache.n)
		json_set(j, "cache", devs_json(&l->cache));
	return j;
}

/* "sda", or an absolute path without "..": never a word zpool would take for something else. */
static bool
dev_name_ok(const char *s)
{
	if (str_empty(s) || strlen(s) > 255 || strstr(s, ".."))
		return false;
	for (const char *p = s; *p; p++) {
		if (*p == '/' && s[0] != '/')
			return false;
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr("/-_.:+", *p)))
			return false;
	}
	return s[0] != '-' && s[0] != '.';
}

static int
parse_dev(const struct json *j, const char *path, struct devs *d, struct strv *seen,
	  struct error *err)
{
	const char *name = json_str(json_get(j, "name"), NULL);
	struct dev *dev;

	if (json_type(j) != JSON_OBJECT)
		return error_set_path(err, EINVAL, path, "%s must be an object with a disk's name",
				      path);
	if (!dev_name_ok(name))
		return error_set_path(err, EINVAL, path, "%s.name is not a disk's name", path);
	if (strv_has(seen, name))
		return error_set_path(err, EINVAL, path, "%s.name: disk %s is named twice", path,
				      name);
	strv_add(seen, name);
	dev = devs_add(d);
	dev->name = xstrdup(name);
	dev->vid = xstrdup(json_str(json_get(j, "vid"), ""));
	dev->pid = xstrdup(json_str(json_get(j, "pid"), ""));
	dev->size = (uint64_t)json_int(json_get(j, "size"), 0);
	dev->ssd = json_bool(json_get(j, "solid_state"), false);
	return 0;
}

static int
parse_devs(const struct json *j, const char *path, struct devs *d, struct strv *seen,
	   struct error *err)
{
	int r;

	if (json_type(j) != JSON_ARRAY)
		return error_set_path(err, EINVAL, path, "%s must be an array of disks", path);
	for (size_t i = 0; i < json_len(j); i++) {
		cleanup_free char *at = str_printf("%s[%zu]", path, i);

		r = parse_dev(json_at(j, i), at, d, seen, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
parse_vdev(const struct json *j, const char *path, struct vdev *v, struct strv *seen,
	   struct error *err)
{
	const struct json *type = json_get(j, "type");
	cleanup_free char *devices = str_printf("%s.devices", path);
	int r;

	v->kind = LAYOUT_SINGLE;
	if (!type || str_eq(json_str(type, NULL), "disk"))
		return parse_dev(j, path, &v->devs, seen, err);
	r = layout_kind_parse(json_str(type, "(not a string)"), &v->kind, err);
	if (r < 0)
		return error_wrap(err, r, "%s.type", path);
	r = parse_devs(json_get(j, "devices"), devices, &v->devs, seen, err);
	if (r < 0)
		return r;
	if (v->devs.n <= kinds[v->kind].parity)
		return error_set_path(err, EINVAL, path, "%s: a %s of %zu disks", path,
				      kinds[v->kind].name, v->devs.n);
	return 0;
}

int
layout_parse(const struct json *j, struct layout **ret, struct error *err)
{
	cleanup_layout struct layout *l = xcalloc(1, sizeof(*l));
	cleanup_strv struct strv seen = STRV_INIT;
	const struct json *vdevs = json_get(j, "vdevs");
	int r;

	if (json_type(j) != JSON_OBJECT)
		return error_set(err, EINVAL, "a layout is a JSON object");
	if (json_type(vdevs) != JSON_ARRAY || json_len(vdevs) == 0)
		return error_set_path(err, EINVAL, "vdevs", "vdevs must be an array of at least one vdev");
	for (size_t i = 0; i < json_len(vdevs); i++) {
		cleanup_free char *at = str_printf("vdevs[%zu]", i);

		l->vdevs = xreallocarray(l->vdevs, l->n_vdevs + 1, sizeof(*l->vdevs));
		l->vdevs[l->n_vdevs] = (struct vdev){0};
		r = parse_vdev(json_at(vdevs, i), at, &l->vdevs[l->n_vdevs++], &seen, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct json *list = json_get(j, lists[i].json);

		if (!list || json_type(list) == JSON_NULL)
			continue;
		r = parse_devs(list, lists[i].json, list_of(l, i), &seen, err);
		if (r < 0)
			return r;
	}
	l->capacity = (uint64_t)json_int(json_get(j, "capacity"), 0);
	*ret = steal_ptr(&l);
	return 0;
}

/* --- using */

uint64_t
layout_capacity(const struct layout *l)
{
	return l->capacity;
}

static void
describe_devs(struct strbuf *b, const char *what, const struct devs *d)
{
	if (d->n == 0)
		return;
	strbuf_addf(b, "%s%s ", b->len ? "; " : "", what);
	for (size_t i = 0; i < d->n; i++)
		strbuf_addf(b, "%s%s", i ? ", " : "", d->v[i].name);
}

char *
layout_describe(const struct layout *l)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char size[16];

	for (size_t i = 0; i < l->n_vdevs; i++) {
		const struct vdev *v = &l->vdevs[i];
		cleanup_free char *what = v->kind == LAYOUT_SINGLE
						  ? xstrdup("single disk")
						  : str_printf("%s of", kinds[v->kind].name);

		describe_devs(&b, what, &v->devs);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		describe_devs(&b, lists[i].word, list_of(l, i));
	strbuf_addf(&b, "; %s", str_human_size(l->capacity, size));
	return strbuf_steal(&b);
}

void
layout_disks(const struct layout *l, bool data_only, struct strv *ret)
{
	for (size_t i = 0; i < l->n_vdevs; i++) {
		for (size_t k = 0; k < l->vdevs[i].devs.n; k++)
			strv_add(ret, l->vdevs[i].devs.v[k].name);
	}
	for (size_t i = 0; !data_only && i < ARRAY_SIZE(lists); i++) {
		for (size_t k = 0; k < list_of(l, i)->n; k++)
			strv_add(ret, list_of(l, i)->v[k].name);
	}
}

void
layout_vdev_words(const struct layout *l, char *(*disk_word)(const char *name, bool data),
		  struct strv *ret)
{
	for (size_t i = 0; i < l->n_vdevs; i++) {
		const struct vdev *v = &l->vdevs[i];

		if (v->kind != LAYOUT_SINGLE)
			strv_add(ret, kinds[v->kind].json);
		for (size_t k = 0; k < v->devs.n; k++)
			strv_take(ret, disk_word(v->devs.v[k].name, true));
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct devs *d = list_of(l, i);

		if (d->n == 0)
			continue;
		strv_add(ret, lists[i].word);
		/* Two or four logs are mirrored: losing one must not lose the last writes. */
		for (size_t k = 0; k < d->n; k++) {
			if (i == 1 && d->n % 2 == 0 && k % 2 == 0)
				strv_add(ret, "mirror");
			strv_take(ret, disk_word(d->v[k].name, false));
		}
	}
}
