/*
 * What the parts of src/zone share about the model: paths, the index, the
 * runtime state.  Other domains use zone/zone.h.
 */
#ifndef ZONE_MODEL_H
#define ZONE_MODEL_H

#include "zone/zone.h"

/* ---- paths; the caller frees ---- */
char *zone_path_index(void);                /* /etc/zones/index */
char *zone_path_xml(const char *name);      /* /etc/zones/NAME.xml */
char *zone_path_run(const char *name, const char *file); /* /run/zones/NAME[/file] */
char *zone_path_control(const char *name);  /* /var/zonecontrol/NAME */
char *zone_cgroup_path(const char *name);   /* zones/NAME, relative to the cgroup root */

/* ---- index ---- */

struct zone_entry {
	char *name;
	enum zone_state state; /* configured, incomplete or installed */
	char *path;
	char *uuid;
	char *brand;
	char *ip_type;
	int did;
	char *extra; /* fields behind those we know, kept; NULL if none */
};

struct zone_index {
	struct zone_entry *v;
	size_t n;
	int lock; /* -1: read only */
	struct strv head; /* comments and the global zone's line, kept */
};

/* With lock, other writers wait until zone_index_done(). */
int zone_index_read(struct zone_index *ret, bool lock, struct error *err);
int zone_index_parse(const char *text, struct zone_index *ret, struct error *err);
char *zone_index_print(const struct zone_index *ix);
int zone_index_write(const struct zone_index *ix, struct error *err);
void zone_index_done(struct zone_index *ix);
#define cleanup_zone_index CLEANUP(zone_index_done)
#define ZONE_INDEX_INIT {.lock = -1}
struct zone_entry *zone_index_find(const struct zone_index *ix, const char *name);
struct zone_entry *zone_index_add(struct zone_index *ix, const char *name);
void zone_index_remove(struct zone_index *ix, struct zone_entry *e);

/* ---- runtime state: /run/zones/NAME/state ---- */

struct zone_runtime {
	enum zone_state state; /* ZONE_INSTALLED and below: see the index */
	int id;
	pid_t init_pid;
	uint64_t init_ino;  /* inode of its pidfd: unique while the system runs */
	uint64_t boot_ms;
	int exit_status;
	uint64_t exit_ms;
	int init_restarts;
	uint32_t uid_base;
	char *reason;
	char *goal;         /* an operation that a killed zoneadmd must finish: "installed" "running" */
};
#define ZONE_RUNTIME_INIT {.state = ZONE_ABSENT, .id = -1, .exit_status = -1}
void zone_runtime_done(struct zone_runtime *rt);
#define cleanup_zone_runtime CLEANUP(zone_runtime_done)
/* 0; absent leaves the initial values and is success. */
int zone_runtime_read(const char *name, struct zone_runtime *ret, struct error *err);
int zone_runtime_parse(char *text, struct zone_runtime *ret);
int zone_runtime_write(const char *name, const struct zone_runtime *rt, struct error *err);

/* ---- states ---- */

/* Why `from` may become `to`, in words, or NULL if it may not. */
const char *zone_state_transition(enum zone_state from, enum zone_state to);
/*
 * The one door through which a zone's state changes.  Checks the table, writes
 * index or runtime state (rt, whose other fields are stored with it; NULL: those
 * on disk), and tells the listeners.
 */
int zone_state_move(const char *name, enum zone_state to, struct zone_runtime *rt,
		    struct error *err);
int zone_state_now(const char *name, enum zone_state *ret, struct error *err);
/* The next zone id: never the one used last. */
int zone_id_alloc(int *ret, struct error *err);

void zone_event_send(const char *name, enum zone_state from, enum zone_state to, int id);

#endif
