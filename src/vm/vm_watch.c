/* What happens to VMs. */
#include "vm/vm_watch.h"

#include <unistd.h>

#include "base/event.h"
#include "base/map.h"
#include "vm/vm.h"

struct vm_watch {
	int fd;          /* zone events */
	struct map *vms; /* by uuid, owned */
	struct json *queue; /* events not yet taken */
};

/* ---- comparing ------------------------------------------------------------------ */

static void
add_change(struct json *changes, const struct json *path, const char *pretty,
	   const struct json *from, const struct json *to)
{
	struct json *c = json_new_object();

	json_set_str(c, "prettyPath", pretty);
	json_set(c, "path", json_copy(path));
	if (from)
		json_set(c, "from", json_copy(from));
	if (to)
		json_set(c, "to", json_copy(to));
	json_set_str(c, "action", !from ? "added" : !to ? "removed" : "changed");
	json_push(changes, c);
}

static void diff_value(struct json *changes, const struct json *path, const char *pretty,
		       const struct json *from, const struct json *to);

static void
diff_below(struct json *changes, const struct json *path, const char *pretty,
	   struct json *part, const char *name, const struct json *from, const struct json *to)
{
	cleanup_json struct json *longer = json_copy(path);
	cleanup_free char *text = *pretty ? str_printf("%s.%s", pretty, name) : xstrdup(name);

	json_push(longer, part);
	diff_value(changes, longer, text, from, to);
}

static void
diff_objects(struct json *changes, const struct json *path, const char *pretty,
	     const struct json *from, const struct json *to)
{
	const char *key;
	const struct json *v;

	json_object_each(key, v, from)
		if (!json_get(to, key) || !json_equal(v, json_get(to, key)))
			diff_below(changes, path, pretty, json_new_str(key), key, v,
				   json_get(to, key));
	json_object_each(key, v, to)
		if (!json_get(from, key))
			diff_below(changes, path, pretty, json_new_str(key), key, NULL, v);
}

static void
diff_arrays(struct json *changes, const struct json *path, const char *pretty,
	    const struct json *from, const struct json *to)
{
	size_t n = json_len(from) > json_len(to) ? json_len(from) : json_len(to);

	for (size_t i = 0; i < n; i++) {
		const struct json *a = json_at(from, i), *b = json_at(to, i);
		char name[24];

		snprintf(name, sizeof(name), "%zu", i);
		if (!a || !b || !json_equal(a, b))
			diff_below(changes, path, pretty, json_new_int((int64_t)i), name, a, b);
	}
}

static void
diff_value(struct json *changes, const struct json *path, const char *pretty,
	   const struct json *from, const struct json *to)
{
	if (from && to && json_type(from) == JSON_OBJECT && json_type(to) == JSON_OBJECT)
		diff_objects(changes, path, pretty, from, to);
	else if (from && to && json_type(from) == JSON_ARRAY && json_type(to) == JSON_ARRAY)
		diff_arrays(changes, path, pretty, from, to);
	else
		add_change(changes, path, pretty, from, to);
}

struct json *
vm_diff(const struct json *from, const struct json *to)
{
	cleanup_json struct json *path = json_new_array();
	struct json *changes = json_new_array();

	if (!json_equal(from, to))
		diff_value(changes, path, "", from, to);
	return changes;
}

/* ---- events ---------------------------------------------------------------------- */

static struct json *
make_event(const char *type, const struct json *vm)
{
	struct json *e = json_new_object();
	char now[32];

	json_set_str(e, "date", time_iso(time_real_ms(), now));
	json_set_str(e, "type", type);
	if (vm) {
		json_set_str(e, "zonename", json_str(json_get(vm, "zonename"), NULL));
		json_set_str(e, "uuid", json_str(json_get(vm, "uuid"), NULL));
		if (json_get(vm, "alias"))
			json_set(e, "alias", json_copy(json_get(vm, "alias")));
	}
	return e;
}

/* last_modified changes with everything, and alone it says nothing. */
static bool
worth_telling(const struct json *changes)
{
	const struct json *c;

	json_array_each(c, changes)
		if (!str_eq(json_str(json_get(c, "prettyPath"), ""), "last_modified"))
			return true;
	return false;
}

/* The VM as it is now (NULL: gone) against what was known of it. */
static void
compare(struct vm_watch *w, const char *uuid, struct json *now)
{
	struct json *was = map_get(w->vms, uuid);
	struct json *e = NULL;

	if (!was && !now)
		return;
	if (!now) {
		e = make_event("delete", was);
		map_remove(w->vms, uuid);
	} else if (!was) {
		e = make_event("create", now);
		json_set(e, "vm", json_copy(now));
		map_set(w->vms, uuid, now);
	} else {
		struct json *changes = vm_diff(was, now);

		if (worth_telling(changes)) {
			e = make_event("modify", now);
			json_set(e, "changes", changes);
			json_set(e, "vm", json_copy(now));
		} else
			json_free(changes);
		map_set(w->vms, uuid, now);
	}
	if (e)
		json_push(w->queue, e);
}

static void
look_again(struct vm_watch *w, const char *name)
{
	struct json *now = NULL;

	if (!str_is_uuid(name))
		return;
	/* What cannot be read is as good as gone, until it can be read again. */
	vm_load(name, VM_LOAD_FILES, &now, NULL);
	compare(w, name, now);
}

static void
free_vm(void *p)
{
	json_free(p);
}

int
vm_watch_rescan(struct vm_watch *w, struct error *err)
{
	cleanup_json struct json *all = NULL;
	cleanup_strv struct strv gone = STRV_INIT;
	cleanup_map struct map *there = map_new(NULL);
	struct map_iter it = {0};
	int r;

	r = vm_load_all(VM_LOAD_FILES, &all, NULL, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *vm = json_at(all, i);
		const char *uuid = json_str(json_get(vm, "uuid"), "");

		map_set(there, uuid, w);
		compare(w, uuid, json_copy(vm));
	}
	while (map_next(w->vms, &it))
		if (!map_has(there, it.key))
			strv_add(&gone, it.key);
	for (size_t i = 0; i < gone.n; i++)
		compare(w, gone.v[i], NULL);
	return 0;
}

int
vm_watch_open(struct vm_watch **ret, struct error *err)
{
	cleanup_vm_watch struct vm_watch *w = xcalloc(1, sizeof(*w));
	int r;

	w->fd = -1;
	w->vms = map_new(free_vm);
	w->queue = json_new_array();
	/* Listening first, so that nothing falls between the list and the events. */
	r = zone_events_open(&w->fd, err);
	if (r == 0)
		r = vm_watch_rescan(w, err);
	if (r < 0)
		return r;
	json_free(w->queue); /* what was there is no news */
	w->queue = json_new_array();
	*ret = steal_ptr(&w);
	return 0;
}

void
vm_watch_close(struct vm_watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		zone_events_close(w->fd);
	map_free(w->vms);
	json_free(w->queue);
	free(w);
}

int
vm_watch_fd(const struct vm_watch *w)
{
	return w->fd;
}

static struct json *
dequeue(struct vm_watch *w)
{
	struct json *e = json_copy(json_at(w->queue, 0));

	json_remove_at(w->queue, 0);
	return e;
}

int
vm_watch_next(struct vm_watch *w, struct json **ret_event, struct error *err)
{
	while (!json_len(w->queue)) {
		struct zone_event ze = {0};
		int r = zone_events_read(w->fd, &ze, err);

		if (r != 0)
			return r;
		look_again(w, ze.name);
		zone_event_done(&ze);
	}
	*ret_event = dequeue(w);
	return 0;
}

struct json *
vm_watch_ready(const struct vm_watch *w)
{
	struct json *e = make_event("ready", NULL);
	struct json *vms = json_new_object();
	struct map_iter it = {0};

	while (map_next(w->vms, &it))
		json_set(vms, it.key, json_copy(it.value));
	json_set(e, "vms", vms);
	return e;
}

struct json *
vm_watch_vms(const struct vm_watch *w)
{
	struct json *list = json_new_array();
	struct map_iter it = {0};

	while (map_next(w->vms, &it))
		json_push(list, json_copy(it.value));
	return list;
}

const struct json *
vm_watch_vm(const struct vm_watch *w, const char *uuid)
{
	return map_get(w->vms, uuid);
}
