/*
 * Zones, as other domains see them: configurations, states, and the calls
 * that boot and halt.
 *
 * On disk, as SmartOS has it: /etc/zones/index, one line a zone, and
 * /etc/zones/NAME.xml (zonecfg.dtd.1).  What we do not know in an XML file is
 * kept when it is rewritten.  A running zone has a directory /run/zones/NAME
 * with its state and the socket of its zoneadmd.  There is no database and no
 * central daemon: reading these files is all that a list costs.
 *
 * A configuration is a `struct zone_config`: attributes of the zone itself
 * (brand, autoboot, ...), and resources, named as zonecfg(8) names them (fs,
 * net, device, rctl, attr, dataset, ...), each with properties.
 *
 *	struct zone_config *c;
 *	zone_config_new(name, "lx", "/zones/NAME", &c, err);
 *	zone_config_set(c, "autoboot", "true");
 *	zone_config_set_attr(c, "alias", "string", "d2Vi");
 *	zone_config_set_rctl(c, "zone.cpu-cap", 200, "deny");
 *	struct zone_res *net = zone_res_add(c, "net");
 *	zone_res_set(net, "physical", "eth0");
 *	zone_res_set_attr(net, "ip", "10.0.0.5");
 *	zone_create(c, err);                 // state: configured
 *	zone_set_installed(name, err);       // the dataset is there
 *	zone_boot(name, NULL, err);
 */
#ifndef ZONE_ZONE_H
#define ZONE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#define ZONE_NAME_MAX 63
#define ZONE_UID_RANGE 65536u

/* ZONE_ABSENT is no state of a zone: it stands for "no such zone" in events. */
enum zone_state {
	ZONE_CONFIGURED,
	ZONE_INCOMPLETE,
	ZONE_INSTALLED,
	ZONE_READY,
	ZONE_MOUNTED,
	ZONE_RUNNING,
	ZONE_SHUTTING_DOWN,
	ZONE_DOWN,
	ZONE_ABSENT,
};
#define ZONE_N_STATES (ZONE_ABSENT + 1)

const char *zone_state_name(enum zone_state s); /* "running", "shutting_down" */
int zone_state_parse(const char *s, enum zone_state *ret);
/* Alphanumeric, then [A-Za-z0-9._-]; "global" and "SUNW..." are reserved. */
int zone_name_check(const char *name, struct error *err);

/*
 * Everything below a different root (tests, `zoneadm -R`): /etc/zones and
 * /run/zones are looked for under it.  Default "".
 */
void zone_set_root(const char *root);
const char *zone_root(void);

/* ---- what there is --------------------------------------------------- */

struct zone_info {
	char *name;
	enum zone_state state;
	int id;          /* -1 unless ready or beyond */
	char *path;      /* zonepath */
	char uuid[UUID_LEN + 1]; /* "" if none */
	char *brand;
	char *ip_type;   /* "excl" or "shared" */
	int did;         /* debug id: never reused (SmartOS zonedid) */
	pid_t init_pid;  /* of the zone's init or VMM as the host sees it; 0 if none */
	uint64_t boot_ms; /* CLOCK_REALTIME; 0 if not running */
	char *reason;    /* why it is `down`, or why the last boot failed; NULL */
	int exit_status; /* wait status of the last init, -1 unknown */
	uint64_t exit_ms;
	int init_restarts;
};

void zone_info_done(struct zone_info *zi);
#define cleanup_zone_info CLEANUP(zone_info_done)

struct zone_list {
	struct zone_info *v;
	size_t n;
};
void zone_list_done(struct zone_list *l);
#define cleanup_zone_list CLEANUP(zone_list_done)

/* Every zone of the index (the global zone is not among them), in its order. */
int zone_list_read(struct zone_list *ret, struct error *err);
/* One zone by name; -ENOENT if there is none. */
int zone_info_read(const char *name, struct zone_info *ret, struct error *err);
/* Name by uuid, or by zone id in digits, or by itself. */
int zone_lookup(const char *what, char **ret_name, struct error *err);

/* ---- configurations --------------------------------------------------- */

struct zone_config;
struct zone_res; /* a resource; owned by its configuration */

/* Not on disk until zone_create().  path must be absolute. */
int zone_config_new(const char *name, const char *brand, const char *path,
		    struct zone_config **ret, struct error *err);
int zone_config_read(const char *name, struct zone_config **ret, struct error *err);
int zone_config_parse(const char *text, size_t len, const char *what, struct zone_config **ret,
		      struct error *err);
char *zone_config_print(const struct zone_config *c);
/* Checks required properties, duplicates, and values. */
int zone_config_verify(const struct zone_config *c, struct error *err);
/* Writes the XML of an existing zone atomically (verified first) and updates the index. */
int zone_config_write(struct zone_config *c, struct error *err);
void zone_config_free(struct zone_config *c);
DEFINE_CLEANUP(zone_config_free, struct zone_config *);
#define cleanup_zone_config CLEANUP(zone_config_freep)

/*
 * Properties of the zone: "zonename" "zonepath" "brand" "autoboot" "bootargs"
 * "pool" "limitpriv" "scheduling-class" "ip-type" "hostid" "fs-allowed"
 * "uuid" "debugid".  NULL if not set; setting NULL removes.
 */
const char *zone_config_get(const struct zone_config *c, const char *prop);
void zone_config_set(struct zone_config *c, const char *prop, const char *value);

/* <attr name= type= value=>: what vmadm keeps its own properties in. */
const char *zone_config_attr(const struct zone_config *c, const char *name);
void zone_config_set_attr(struct zone_config *c, const char *name, const char *type,
			  const char *value); /* value NULL removes */

/* Resource controls by name ("zone.cpu-cap"); the first privileged value. */
bool zone_config_rctl(const struct zone_config *c, const char *name, uint64_t *ret_limit);
void zone_config_set_rctl(struct zone_config *c, const char *name, uint64_t limit,
			  const char *action); /* "deny" or "none" */
void zone_config_unset_rctl(struct zone_config *c, const char *name);

/*
 * Resources by zonecfg's name: "fs" (dir special raw type [options]), "net"
 * (physical address allowed-address defrouter global-nic mac-addr vlan-id),
 * "device" (match), "dataset" (name), "attr", "rctl", "admin", "security-flags",
 * "dedicated-cpu", "capped-memory".  Walks in file order; res NULL starts; type NULL walks all.
 */
struct zone_res *zone_res_next(const struct zone_config *c, const char *type,
			       const struct zone_res *res);
/* The first of that type whose property has that value, or NULL. */
struct zone_res *zone_res_find(const struct zone_config *c, const char *type, const char *prop,
			       const char *value);
struct zone_res *zone_res_add(struct zone_config *c, const char *type);
void zone_res_remove(struct zone_config *c, struct zone_res *res);
const char *zone_res_type(const struct zone_res *res);
const char *zone_res_get(const struct zone_res *res, const char *prop);
void zone_res_set(struct zone_res *res, const char *prop, const char *value);
/* <net-attr name= value=> children of net and device; NULL removes. */
const char *zone_res_attr(const struct zone_res *res, const char *name);
void zone_res_set_attr(struct zone_res *res, const char *name, const char *value);
/* The i-th net-attr; false when there are no more. */
bool zone_res_attr_at(const struct zone_res *res, size_t i, const char **ret_name,
		      const char **ret_value);
/* <fsoption name=> children of fs. */
void zone_res_options(const struct zone_res *res, struct strv *ret);
void zone_res_set_options(struct zone_res *res, const struct strv *options);

/* ---- life --------------------------------------------------------------- */

/*
 * Enters a new configuration into the index (state configured): gives it a
 * debug id, a uuid if it has none, and its range of uids.  -EEXIST.
 */
int zone_create(struct zone_config *c, struct error *err);
/* configured -> incomplete (its dataset is being made) -> installed; and back. */
int zone_set_incomplete(const char *name, struct error *err);
int zone_set_installed(const char *name, struct error *err);
int zone_set_configured(const char *name, struct error *err);
/* Removes XML and index line (a left-over XML without a line, too).  Only when configured or incomplete; the dataset is the caller's. */
int zone_delete(const char *name, struct error *err);
int zone_rename(const char *name, const char *new_name, struct error *err);
/* First uid of the zone's range on the host. */
int zone_config_uid_base(const struct zone_config *c, uint32_t *ret, struct error *err);

struct zone_boot_opts {
	const char *bootargs;  /* instead of the configured ones */
	bool ready_only;       /* stop before init runs */
};
/*
 * These return when it is done: boot when init was executed, halt and
 * shutdown when nothing of the zone is left (state installed).
 * shutdown asks politely (brand's way) and, after timeout_s (0: brand's
 * default), kills; zone_halt() kills at once.
 */
int zone_boot(const char *name, const struct zone_boot_opts *opts, struct error *err);
int zone_halt(const char *name, struct error *err);
/*
 * Whatever of the zone is up or on its way up is taken down, and its daemon leaves: when this
 * returns nothing of the node holds the zone's dataset.  Of a zone that is down: success.
 */
int zone_quiesce(const char *name, struct error *err);
int zone_shutdown(const char *name, bool reboot, unsigned timeout_s, struct error *err);
int zone_reboot(const char *name, struct error *err); /* halt and boot */
/* Applies changed limits, NIC and metadata settings of the XML to a running zone. */
int zone_apply(const char *name, struct error *err);
int zone_kill(const char *name, int signo, struct error *err); /* to the zone's init or VMM */

/* ---- events -------------------------------------------------------------- */

struct zone_event {
	char *name;
	enum zone_state from, to; /* ZONE_ABSENT: was created or deleted; equal: changed */
	int id;
	uint64_t when_ms;
};
void zone_event_done(struct zone_event *e);

/* A descriptor that becomes readable with every state change on this node. */
int zone_events_open(int *ret_fd, struct error *err);
/* 0 one event, 1 nothing there now, or negative. */
int zone_events_read(int fd, struct zone_event *ret, struct error *err);
void zone_events_close(int fd); /* and takes it out of the file system */
/* Something of the zone changed that is not in its XML (metadata, tags): listeners look again. */
void zone_event_changed(const char *name);

/* ---- inside ---------------------------------------------------------------- */

/*
 * Connects to the console: *ret_fd carries raw bytes both ways, across reboots.  Of a virtual
 * machine: its first serial port, while it runs.
 */
int zone_console_open(const char *name, int *ret_fd, struct error *err);

/*
 * Connects to a socket of a virtual machine ("vm.console", "vm.ttyb", "vm.vnc"; "vm.qmp" of
 * brand kvm, "vm.ctl" of brand bhyve) in ZONEPATH/root/tmp.  The monitor, which the guest may have taken over, makes those files: no
 * link is followed.
 */
int zone_vm_connect(const char *name, const char *socket, int *ret_fd, struct error *err);

/* Where the screen of a running virtual machine is served; -ENOENT if nowhere. */
int zone_vnc_address(const char *name, char **ret_host, int *ret_port, struct error *err);

/* Runs argv in the running zone as a user of the zone; see zlogin(1). */
struct zone_exec_opts {
	const char *user;      /* NULL: root */
	bool shell;            /* argv joined by spaces is given to the user's shell */
	int in, out, err;      /* the program's descriptors */
};
/* *ret_status: exit status, or 128 + signal. */
int zone_exec(const char *name, const char *const argv[], const struct zone_exec_opts *opts,
	      int *ret_status, struct error *err);

#endif
