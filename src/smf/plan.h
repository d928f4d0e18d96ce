/*
 * The plan: what the repository says about every instance, in one flat file
 * that is mapped and read where it lies.
 *
 * svc.configd writes it (to a new file, then rename) whenever a committed
 * change matters to somebody outside: the running snapshot of each instance,
 * composed over its service's properties, with the current general and
 * general_ovr groups.  svc.startd, svcs(1) and svcprop(1) map it; none of them
 * parses XML or JSON or opens the database, and none of them waits for
 * configd.  The image ships one, made with the seed repository.
 *
 * The file is a header and arrays of fixed records that name each other by
 * index and strings by offset into one table; every string is stored once.
 * Instances are sorted by FMRI.  plan_map() checks every index before it
 * returns, so readers need no checks.  A single instance in the same format
 * is a snapshot in the repository.
 */
#ifndef SMF_PLAN_H
#define SMF_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct plan;
struct plan_inst;
struct plan_pg;
struct plan_prop;

/* Maps the file at path. */
int plan_map(const char *path, struct plan **ret, struct error *err);
/* Takes a copy of size bytes (a snapshot). */
int plan_copy(const void *data, size_t size, struct plan **ret, struct error *err);
void plan_free(struct plan *p);
DEFINE_CLEANUP(plan_free, struct plan *);
#define cleanup_plan CLEANUP(plan_freep)

uint64_t plan_generation(const struct plan *p);
size_t plan_size(const struct plan *p); /* number of instances */
const struct plan_inst *plan_at(const struct plan *p, size_t i);
const struct plan_inst *plan_find(const struct plan *p, const char *fmri); /* NULL if absent */
const char *plan_fmri(const struct plan *p, const struct plan_inst *i);
/* Equal digests mean equal configuration, over plans too. */
uint64_t plan_digest(const struct plan_inst *i);

/* Property groups of an instance, properties of a group, in repository order. */
size_t plan_n_pgs(const struct plan_inst *i);
const struct plan_pg *plan_pg_at(const struct plan *p, const struct plan_inst *i, size_t n);
const struct plan_pg *plan_pg(const struct plan *p, const struct plan_inst *i, const char *name);
const char *plan_pg_name(const struct plan *p, const struct plan_pg *g);
const char *plan_pg_type(const struct plan *p, const struct plan_pg *g);
size_t plan_n_props(const struct plan_pg *g);
const struct plan_prop *plan_prop_at(const struct plan *p, const struct plan_pg *g, size_t n);
const struct plan_prop *plan_prop(const struct plan *p, const struct plan_pg *g,
				  const char *name);
const char *plan_prop_name(const struct plan *p, const struct plan_prop *x);
const char *plan_prop_type(const struct plan *p, const struct plan_prop *x);
size_t plan_n_values(const struct plan_prop *x);
const char *plan_value(const struct plan *p, const struct plan_prop *x, size_t n);

/* First value of pg/prop, or fallback if any of it is absent. */
const char *plan_get(const struct plan *p, const struct plan_inst *i, const char *pg,
		     const char *prop, const char *fallback);
uint64_t plan_get_count(const struct plan *p, const struct plan_inst *i, const char *pg,
			const char *prop, uint64_t fallback);
bool plan_get_bool(const struct plan *p, const struct plan_inst *i, const char *pg,
		   const char *prop, bool fallback);

/*
 * Writing.  Calls nest in order: instance, group, property, value.  Instances
 * may come in any order.
 */
struct plan_writer;
struct plan_writer *plan_writer_new(void);
void plan_writer_free(struct plan_writer *w);
DEFINE_CLEANUP(plan_writer_free, struct plan_writer *);
void plan_add_inst(struct plan_writer *w, const char *fmri);
void plan_add_pg(struct plan_writer *w, const char *name, const char *type);
void plan_add_prop(struct plan_writer *w, const char *name, const char *type);
void plan_add_value(struct plan_writer *w, const char *value);
/* A whole group of another plan. */
void plan_add_pg_of(struct plan_writer *w, const struct plan *p, const struct plan_pg *g);
/* The finished image; the caller's. */
void plan_finish(struct plan_writer *w, uint64_t generation, void **ret, size_t *ret_size);

#endif
