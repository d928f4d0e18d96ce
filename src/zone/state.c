/*
 * States of a zone, and the one door through which they change.
 *
 * configured, incomplete and installed are facts about the disk and live in
 * the index.  ready, running, shutting_down and down are facts about this boot
 * of the node: they live in /run/zones/NAME/state, a few "key value" lines that
 * are replaced atomically, and while that file names one of them the index says
 * installed.  So a power cut leaves every zone installed or below, as it should.
 *
 * The file also carries what a restarted zoneadmd needs to find its zone again:
 * the init process by pid and by the inode of its pidfd, which the kernel never
 * gives out twice.  zone_state_move() is called by zoneadmd for the states of a
 * running zone and by zoneadm, zonecfg and vmadm for the others; a lock per zone
 * makes check and change one step.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "zone/model.h"
#include "zone/zone_probes.h"

/* One row an arrow.  The words are for messages and the manual page. */
static const struct transition {
	enum zone_state from, to;
	const char *why;
} transitions[] = {
	{ZONE_ABSENT, ZONE_CONFIGURED, "create"},
	{ZONE_CONFIGURED, ZONE_ABSENT, "delete"},
	{ZONE_CONFIGURED, ZONE_INCOMPLETE, "install begins"},
	{ZONE_CONFIGURED, ZONE_INSTALLED, "attach"},
	{ZONE_INCOMPLETE, ZONE_INSTALLED, "install ends"},
	{ZONE_INCOMPLETE, ZONE_CONFIGURED, "uninstall"},
	{ZONE_INCOMPLETE, ZONE_ABSENT, "delete"},
	{ZONE_INSTALLED, ZONE_INCOMPLETE, "uninstall begins, or marked"},
	{ZONE_INSTALLED, ZONE_CONFIGURED, "uninstall, or detach"},
	{ZONE_INSTALLED, ZONE_READY, "ready"},
	{ZONE_INSTALLED, ZONE_MOUNTED, "mount"},
	{ZONE_MOUNTED, ZONE_INSTALLED, "unmount"},
	{ZONE_READY, ZONE_RUNNING, "boot"},
	{ZONE_READY, ZONE_SHUTTING_DOWN, "halt"},
	{ZONE_RUNNING, ZONE_SHUTTING_DOWN, "halt, shutdown, or init ended"},
	{ZONE_SHUTTING_DOWN, ZONE_DOWN, "something of it does not go away"},
	{ZONE_SHUTTING_DOWN, ZONE_INSTALLED, "all gone"},
	{ZONE_DOWN, ZONE_INSTALLED, "all gone"},
	{ZONE_DOWN, ZONE_SHUTTING_DOWN, "halt again"},
};

const char *
zone_state_transition(enum zone_state from, enum zone_state to)
{
	for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
		if (transitions[i].from == from && transitions[i].to == to)
			return transitions[i].why;
	return NULL;
}

static bool
is_runtime(enum zone_state s)
{
	switch (s) {
	case ZONE_READY:
	case ZONE_MOUNTED:
	case ZONE_RUNNING:
	case ZONE_SHUTTING_DOWN:
	case ZONE_DOWN:
		return true;
	case ZONE_CONFIGURED:
	case ZONE_INCOMPLETE:
	case ZONE_INSTALLED:
	case ZONE_ABSENT:
		return false;
	}
	return false;
}

/* ---- the runtime file: one row a field ---- */

enum field_type { F_STATE, F_INT, F_U32, F_U64, F_STR };

static const struct field {
	const char *key;
	enum field_type type;
	size_t offset;
} fields[] = {
	{"state", F_STATE, offsetof(struct zone_runtime, state)},
	{"id", F_INT, offsetof(struct zone_runtime, id)},
	{"init-pid", F_INT, offsetof(struct zone_runtime, init_pid)},
	{"init-pidfd-inode", F_U64, offsetof(struct zone_runtime, init_ino)},
	{"boot-ms", F_U64, offsetof(struct zone_runtime, boot_ms)},
	{"exit-status", F_INT, offsetof(struct zone_runtime, exit_status)},
	{"exit-ms", F_U64, offsetof(struct zone_runtime, exit_ms)},
	{"init-restarts", F_INT, offsetof(struct zone_runtime, init_restarts)},
	{"uid-base", F_U32, offsetof(struct zone_runtime, uid_base)},
	{"reason", F_STR, offsetof(struct zone_runtime, reason)},
	{"goal", F_STR, offsetof(struct zone_runtime, goal)},
};

void
zone_runtime_done(struct zone_runtime *rt)
{
	free(rt->reason);
	free(rt->goal);
	*rt = (struct zone_runtime)ZONE_RUNTIME_INIT;
}

static int
field_parse(const struct field *f, const char *value, struct zone_runtime *rt)
{
	void *p = (char *)rt + f->offset;
	uint64_t u;
	int r;

	switch (f->type) {
	case F_STATE:
		return zone_state_parse(value, p);
	case F_INT:
		return str_to_int(value, p);
	case F_U32:
		r = str_to_u64(value, 10, &u);
		if (r < 0 || u > UINT32_MAX)
			return -EINVAL;
		*(uint32_t *)p = (uint32_t)u;
		return 0;
	case F_U64:
		return str_to_u64(value, 10, p);
	case F_STR:
		free(*(char **)p);
		*(char **)p = xstrdup(value);
		return 0;
	}
	return -EINVAL;
}

/* Unknown keys are another version's and are skipped. */
int
zone_runtime_parse(char *text, struct zone_runtime *ret)
{
	struct zone_runtime rt = ZONE_RUNTIME_INIT;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			if (!str_eq(fields[i].key, line))
				continue;
			if (field_parse(&fields[i], value, &rt) < 0) {
				zone_runtime_done(&rt);
				return -EINVAL;
			}
			break;
		}
	}
	*ret = rt;
	return 0;
}

int
zone_runtime_read(const char *name, struct zone_runtime *ret, struct error *err)
{
	cleanup_free char *path = zone_path_run(name, "state");
	cleanup_free char *text = NULL;
	struct error sub = ERROR_INIT;
	int r;

	r = file_read(path, 65536, &text, NULL, &sub);
	if (r == -ENOENT || r == -ENOTDIR) {
		error_done(&sub);
		*ret = (struct zone_runtime)ZONE_RUNTIME_INIT;
		return 0;
	}
	if (r < 0) {
		error_move(err, &sub);
		return r;
	}
	if (zone_runtime_parse(text, ret) < 0)
		return error_set(err, EINVAL, "%s: not understood", path);
	return 0;
}

static void
field_print(const struct field *f, const struct zone_runtime *rt, struct strbuf *b)
{
	const void *p = (const char *)rt + f->offset;
	const char *s;

	switch (f->type) {
	case F_STATE:
		strbuf_addf(b, "%s %s\n", f->key, zone_state_name(*(const enum zone_state *)p));
		break;
	case F_INT:
		strbuf_addf(b, "%s %d\n", f->key, *(const int *)p);
		break;
	case F_U32:
		strbuf_addf(b, "%s %" PRIu32 "\n", f->key, *(const uint32_t *)p);
		break;
	case F_U64:
		strbuf_addf(b, "%s %" PRIu64 "\n", f->key, *(const uint64_t *)p);
		break;
	case F_STR:
		s = *(char *const *)p;
		if (!s)
			break;
		strbuf_addf(b, "%s ", f->key);
		for (; *s; s++)
			strbuf_addc(b, *s == '\n' ? ' ' : *s);
		strbuf_addc(b, '\n');
		break;
	}
}

int
zone_runtime_write(const char *name, const struct zone_runtime *rt, struct error *err)
{
	cleanup_free char *dir = zone_path_run(name, NULL);
	cleanup_free char *path = zone_path_run(name, "state");
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		field_print(&fields[i], rt, &b);
	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	return file_write_atomic(path, b.data, b.len, 0644, err);
}

/* ---- the door ---- */

static enum zone_state
effective_state(const struct zone_entry *e, const struct zone_runtime *rt)
{
	if (!e)
		return ZONE_ABSENT;
	if (e->state == ZONE_INSTALLED && is_runtime(rt->state))
		return rt->state;
	return e->state;
}

static int
refuse(const char *name, enum zone_state from, enum zone_state to, struct error *err)
{
	if (from == ZONE_ABSENT)
		return error_set(err, ENOENT, "no zone %s", name);
	if (to == ZONE_ABSENT)
		return error_set(err, EBUSY, "zone %s is %s: it cannot be deleted", name,
				 zone_state_name(from));
	return error_set(err, EBUSY, "zone %s is %s: it cannot become %s", name,
			 zone_state_name(from), zone_state_name(to));
}

/* Runtime states: the index is only read. */
static int
move_runtime(const char *name, enum zone_state to, struct zone_runtime *rt, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_zone_runtime struct zone_runtime old = ZONE_RUNTIME_INIT;
	cleanup_zone_runtime struct zone_runtime own = ZONE_RUNTIME_INIT;
	enum zone_state from, wanted = to;
	int r, id;

	r = zone_index_read(&ix, false, err);
	if (r < 0)
		return r;
	r = zone_runtime_read(name, &old, err);
	if (r < 0)
		return r;
	from = effective_state(zone_index_find(&ix, name), &old);
	if (!zone_state_transition(from, to))
		return refuse(name, from, to, err);
	if (!rt) {
		r = zone_runtime_read(name, &own, err);
		if (r < 0)
			return r;
		rt = &own;
	}
	rt->state = wanted;
	id = rt->id;
	if (to == ZONE_INSTALLED)
		rt->id = -1;
	r = zone_runtime_write(name, rt, err);
	if (r < 0)
		return r;
	zone_event_send(name, from, to, id);
	return 0;
}

static int
move_index(const char *name, enum zone_state to, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	struct zone_entry *e;
	enum zone_state from;
	int r;

	r = zone_index_read(&ix, true, err);
	if (r < 0)
		return r;
	r = zone_runtime_read(name, &rt, err);
	if (r < 0)
		return r;
	e = zone_index_find(&ix, name);
	from = effective_state(e, &rt);
	if (!e || !zone_state_transition(from, to))
		return refuse(name, from, to, err);
	if (to == ZONE_ABSENT)
		zone_index_remove(&ix, e);
	else
		e->state = to;
	r = zone_index_write(&ix, err);
	if (r < 0)
		return r;
	zone_event_send(name, from, to, -1);
	return 0;
}

int
zone_state_move(const char *name, enum zone_state to, struct zone_runtime *rt, struct error *err)
{
	cleanup_zone_runtime struct zone_runtime now = ZONE_RUNTIME_INIT;
	cleanup_free char *dir = zone_path_run(name, NULL);
	cleanup_free char *lock = zone_path_run(name, "state.lock");
	cleanup_close int fd = -1;
	int r;

	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	r = file_lock(lock, true, &fd, err);
	if (r < 0)
		return r;
	r = zone_runtime_read(name, &now, err);
	if (r < 0)
		return r;
	if (is_runtime(to) || (to == ZONE_INSTALLED && is_runtime(now.state)))
		r = move_runtime(name, to, rt, err);
	else
		r = move_index(name, to, err);
	if (r >= 0 && ZONE_STATE_CHANGE_ENABLED())
		ZONE_STATE_CHANGE(name, zone_state_name(now.state), zone_state_name(to));
	return r;
}

int
zone_state_now(const char *name, enum zone_state *ret, struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	int r = zone_info_read(name, &zi, err);

	if (r < 0)
		return r;
	*ret = zi.state;
	return 0;
}

int
zone_set_incomplete(const char *name, struct error *err)
{
	return zone_state_move(name, ZONE_INCOMPLETE, NULL, err);
}

int
zone_set_installed(const char *name, struct error *err)
{
	return zone_state_move(name, ZONE_INSTALLED, NULL, err);
}

int
zone_set_configured(const char *name, struct error *err)
{
	return zone_state_move(name, ZONE_CONFIGURED, NULL, err);
}

/* ---- looking ---- */

void
zone_info_done(struct zone_info *zi)
{
	free(zi->name);
	free(zi->path);
	free(zi->brand);
	free(zi->ip_type);
	free(zi->reason);
	*zi = (struct zone_info){.id = -1};
}

void
zone_list_done(struct zone_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		zone_info_done(&l->v[i]);
	free(l->v);
	*l = (struct zone_list){0};
}

static int
fill(const struct zone_entry *e, bool was_up, struct zone_info *zi, struct error *err)
{
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	int r;

	r = was_up ? zone_runtime_read(e->name, &rt, err) : 0;
	if (r < 0)
		return r;
	*zi = (struct zone_info){
		.name = xstrdup(e->name),
		.state = effective_state(e, &rt),
		.id = -1,
		.path = xstrdup(e->path ? e->path : ""),
		.brand = xstrdup(e->brand ? e->brand : ""),
		.ip_type = xstrdup(e->ip_type ? e->ip_type : "excl"),
		.did = e->did,
		.exit_status = rt.exit_status,
		.exit_ms = rt.exit_ms,
		.init_restarts = rt.init_restarts,
		.reason = steal_ptr(&rt.reason),
	};
	if (e->uuid && strlen(e->uuid) == UUID_LEN)
		memcpy(zi->uuid, e->uuid, UUID_LEN + 1);
	if (is_runtime(zi->state)) {
		zi->id = rt.id;
		zi->init_pid = rt.init_pid;
		zi->boot_ms = rt.boot_ms;
	}
	return 0;
}

/*
 * Zones that were up since the node booted have a directory in /run/zones; one look at it
 * spares the others, most of a long list, an open that fails.
 */
static bool
read_run_names(struct strv *ret)
{
	cleanup_free char *dir = str_printf("%s/run/zones", zone_root());
	struct dirent *e;
	DIR *d = opendir(dir);

	if (!d)
		return errno == ENOENT;
	while ((e = readdir(d)))
		strv_add(ret, e->d_name);
	closedir(d);
	strv_sort(ret);
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
zone_list_read(struct zone_list *ret, struct error *err)
{
	cleanup_strv struct strv up = STRV_INIT;
	bool known;
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	cleanup_zone_list struct zone_list l = {0};
	int r;

	r = zone_index_read(&ix, false, err);
	if (r < 0)
		return r;
	known = read_run_names(&up); /* after the index: what appears in between is read */
	l.v = xcalloc(ix.n ? ix.n : 1, sizeof(*l.v));
	for (size_t i = 0; i < ix.n; i++) {
		bool was_up = !known || (up.n && bsearch(&ix.v[i].name, up.v, up.n,
							 sizeof(*up.v), compare_names));

		r = fill(&ix.v[i], was_up, &l.v[l.n], err);
		if (r < 0)
			return r;
		l.n++;
	}
	*ret = l;
	l = (struct zone_list){0};
	return 0;
}

int
zone_info_read(const char *name, struct zone_info *ret, struct error *err)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT;
	struct zone_entry *e;
	int r;

	r = zone_index_read(&ix, false, err);
	if (r < 0)
		return r;
	e = zone_index_find(&ix, name);
	if (!e)
		return error_set(err, ENOENT, "no zone %s", name);
	return fill(e, true, ret, err);
}

int
zone_lookup(const char *what, char **ret_name, struct error *err)
{
	cleanup_zone_list struct zone_list l = {0};
	int r, id = -1;

	r = zone_list_read(&l, err);
	if (r < 0)
		return r;
	if (str_to_int(what, &id) < 0)
		id = -1;
	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < l.n; i++)
			if ((pass == 0 && str_eq(l.v[i].name, what)) ||
			    (pass == 1 && *what && strcasecmp(l.v[i].uuid, what) == 0) ||
			    (pass == 2 && id > 0 && l.v[i].id == id)) {
				*ret_name = xstrdup(l.v[i].name);
				return 0;
			}
	return error_set(err, ENOENT, "no zone %s", what);
}

int
zone_id_alloc(int *ret, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/run/zones", zone_root());
	cleanup_free char *path = str_printf("%s/last-id", dir);
	cleanup_free char *lock = str_printf("%s/last-id.lock", dir);
	cleanup_free char *text = NULL;
	cleanup_zone_list struct zone_list l = {0};
	cleanup_close int fd = -1;
	char buf[16];
	int r, id = 0;

	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	r = file_lock(lock, true, &fd, err);
	if (r < 0)
		return r;
	r = zone_list_read(&l, err);
	if (r < 0)
		return r;
	if (file_exists(path)) {
		r = file_read_line(path, &text, err);
		if (r < 0)
			return r;
		if (str_to_int(text, &id) < 0)
			id = 0;
	}
	/* MAX_ZONEID of illumos is 9999; ids of zones that run are skipped */
	for (bool taken = true; taken;) {
		id = id >= 9999 ? 1 : id + 1;
		taken = false;
		for (size_t i = 0; i < l.n; i++)
			taken |= l.v[i].id == id;
	}
	snprintf(buf, sizeof(buf), "%d\n", id);
	r = file_write_atomic(path, buf, strlen(buf), 0644, err);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}
