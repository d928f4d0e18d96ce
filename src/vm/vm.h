/*
 * VMs: found, loaded, made, changed, started, stopped, deleted.
 *
 * A VM is a zone with the attributes, files and datasets that vmadm gives it;
 * there is no database and no daemon that has to be asked.  In memory it is one
 * JSON object with the properties of vm_props.c, as `vmadm get` prints it.
 *
 * What is where:
 *	/etc/zones/index, /etc/zones/UUID.xml	existence, state, most properties
 *	/ZPOOL/UUID/config/			metadata.json, tags.json, routes.json
 *	the datasets				quota, compression, sizes, snapshots
 *	/run/zones/UUID				what runs (src/zone)
 *	VM_JOURNAL_DIR/UUID.json		a create or delete under way
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "vm/vm_props.h"
#include "zone/zone.h"

/* ---- loading (vm_load.c) ---------------------------------------------------- */

enum {
	VM_LOAD_FILES = 1, /* metadata, tags, routes */
	VM_LOAD_ZFS = 2,   /* quota, compression, sizes, snapshots, ... */
	VM_LOAD_ALL = 3,
};

/* uuid of a VM; -ENOENT "No such VM: UUID". */
int vm_load(const char *uuid, unsigned what, struct json **ret, struct error *err);
/* All VMs as an array.  One that cannot be read is left out; its error goes to *ret_bad. */
int vm_load_all(unsigned what, struct json **ret, struct strv *ret_bad, struct error *err);
/* The same, where only these fields count (and more may be there): quicker. */
int vm_load_fields(unsigned what, const struct strv *fields, struct json **ret,
		   struct strv *ret_bad, struct error *err);
/* Does printing or matching this field need more than the zone's XML? */
unsigned vm_field_needs(const char *field);
/* "stopped" for installed, "provisioning", "failed", ...: SmartOS's state of a VM. */
const char *vm_state(const struct json *vm);

/* JSON <-> zone configuration (vm_zone.c). */
struct json *vm_from_config(const struct zone_config *c);
/* What differs is written, what is the same keeps its spelling, unknown things stay. */
void vm_to_config(const struct json *vm, enum vm_brand brand, struct zone_config *c);
/* "/zones/UUID" -> what it is below zone_root(). */
char *vm_path(const struct json *vm, const char *below);
/* "zones/UUID" */
char *vm_dataset(const struct json *vm);

/* ---- finding (vm_lookup.c) ---------------------------------------------------- */

struct vm_filter {
	struct strv keys, values; /* value: "x", or "~regex" */
};
void vm_filter_done(struct vm_filter *f);
/* "k=v" or "k=~re"; nested as "nics.*.ip", "nics.0.ip", "tags.role". */
int vm_filter_add(struct vm_filter *f, const char *arg, struct error *err);
unsigned vm_filter_needs(const struct vm_filter *f);
bool vm_filter_match(const struct vm_filter *f, const struct json *vm);
/* The text of a field: scalars as they are, "-" is the caller's; NULL if absent. */
char *vm_field_text(const struct json *vm, const char *field);
/* The value itself. */
const struct json *vm_field(const struct json *vm, const char *field);

/* ---- changing ------------------------------------------------------------------ */

/*
 * payload is used up in part; on success *ret_uuid is the new VM's.  On failure
 * nothing of it is left.
 */
int vm_create(struct json *payload, char **ret_uuid, struct error *err);
int vm_update(const char *uuid, struct json *payload, struct error *err);
int vm_delete(const char *uuid, struct error *err);
int vm_reprovision(const char *uuid, struct json *payload, struct error *err);

struct vm_start_opts {
	const char *boot_order; /* order= */
	struct strv cdroms;     /* "path,model" */
	struct strv disks;
};
int vm_start(const char *uuid, const struct vm_start_opts *opts, struct error *err);
/* force kills at once; timeout_s 0 is the brand's. */
int vm_stop(const char *uuid, bool force, unsigned timeout_s, struct error *err);
int vm_reboot(const char *uuid, bool force, struct error *err);
int vm_kill(const char *uuid, int signo, struct error *err);

int vm_snapshot_create(const char *uuid, const char *name, struct error *err);
int vm_snapshot_delete(const char *uuid, const char *name, struct error *err);
int vm_snapshot_rollback(const char *uuid, const char *name, struct error *err);

/*
 * Undoes creates and finishes deletes that were cut short (vm_journal.c): cheap
 * when there are none.  What was done is told in ret_done (may be NULL).
 */
int vm_recover(struct strv *ret_done, struct error *err);

#endif
