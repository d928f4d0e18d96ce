/*
 * The repository: services, instances, property groups and snapshots in one
 * SQLite file.  svc.configd is its only writer while the node runs; svccfg(8)
 * opens it directly when SVCCFG_REPOSITORY names a file, as at image build.
 *
 * Layers.  Each property remembers who set it: a manifest, a profile, or an
 * administrator.  An import replaces what manifests set and leaves what an
 * administrator set; removing an administrator's value (svccfg revert) brings
 * the manifest's back, which the snapshot "last-import" keeps.
 *
 * What lasts.  /etc is in RAM: the repository starts at every boot as a copy
 * of the seed in the image.  The administrator's layer is therefore also
 * written to /var/svc/admin.db, in the same transaction, once /var is there
 * (repo_attach_admin); at the next boot it is laid over the seed of whatever
 * image was booted.  Groups that are not persistent (general_ovr) die with
 * the boot.
 *
 * "running" snapshots are plans of one instance (plan.h).  The published plan
 * is their concatenation with the current groups general and general_ovr and
 * the dependencies that <dependent>s of other services add.
 */
#ifndef SMF_REPO_H
#define SMF_REPO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"

struct repo;

enum repo_layer { REPO_MANIFEST, REPO_PROFILE, REPO_ADMIN };

/* Opens path; make: an absent file is created empty.  A damaged one is -EBADMSG. */
int repo_open(const char *path, bool make, struct repo **ret, struct error *err);
void repo_free(struct repo *r);
DEFINE_CLEANUP(repo_free, struct repo *);
#define cleanup_repo CLEANUP(repo_freep)

/* Transactions; repo_end() with failed set rolls back. Every writer below needs one. */
int repo_begin(struct repo *r, struct error *err);
int repo_end(struct repo *r, bool failed, struct error *err);

/* Forgets the groups that are not persistent, if the file is of an earlier boot. */
int repo_new_boot(struct repo *r, struct error *err);
/* Lays the administrator's layer in file over the repository and keeps it there from now on. */
int repo_attach_admin(struct repo *r, const char *file, struct error *err);

/*
 * Takes a SERVICE of bundle.h in: made or merged, "last-import" and "running"
 * of its instances taken.  layer REPO_ADMIN is for `svccfg apply`.
 */
int repo_import(struct repo *r, const struct json *service, enum repo_layer layer,
		struct error *err);
/* The current SERVICE or INSTANCE tree of fmri; layers are shown as "layer" of each PROP. */
int repo_get(struct repo *r, const char *fmri, struct json **ret, struct error *err);
/* [{"name": "network/ssh", "instances": ["default"]}] */
int repo_list(struct repo *r, struct json **ret, struct error *err);

/* The entity named by fmri (a service or an instance). */
int repo_add(struct repo *r, const char *fmri, struct error *err);
int repo_delete(struct repo *r, const char *fmri, struct error *err);
int repo_add_pg(struct repo *r, const char *fmri, const char *pg, const char *type,
		bool persistent, enum repo_layer layer, struct error *err);
int repo_del_pg(struct repo *r, const char *fmri, const char *pg, enum repo_layer layer,
		struct error *err);
/* type NULL: that of the existing property.  values: a JSON array of strings. */
int repo_set(struct repo *r, const char *fmri, const char *pg, const char *prop,
	     const char *type, const struct json *values, enum repo_layer layer,
	     struct error *err);
int repo_set1(struct repo *r, const char *fmri, const char *pg, const char *prop,
	      const char *type, const char *value, enum repo_layer layer, struct error *err);
int repo_del_prop(struct repo *r, const char *fmri, const char *pg, const char *prop,
		  enum repo_layer layer, struct error *err);
/* Removes the administrator's layer of fmri (pg NULL: of all groups). */
int repo_revert(struct repo *r, const char *fmri, const char *pg, struct error *err);
/* Takes the snapshot "running" of an instance, or of every instance of a service. */
int repo_refresh(struct repo *r, const char *fmri, struct error *err);

/* Hashes of imported files, so that an unchanged one is not imported again. */
bool repo_hash_same(struct repo *r, const char *file, const char *hash);
int repo_hash_set(struct repo *r, const char *file, const char *hash, struct error *err);

/* Writes the plan to path (a new file, then rename). */
int repo_publish(struct repo *r, const char *path, struct error *err);

#endif
