/*
 * The dependency graph: who waits for whom, and what that means now.
 *
 * Vertices are instances, services (satisfied by any of their instances) and
 * paths.  An instance owns groups; each group has a grouping, a restart_on
 * class and targets.  A target keeps back references to the groups that name
 * it, so that a change of state reaches exactly those who care.
 *
 * The graph runs nothing and knows no clock: startd tells it states and asks
 * it questions; svcs(1) fills one from the plan and the state file to explain
 * why something does not run.
 *
 * Three answers exist for a group: OK, WAIT (it may yet come) and NEVER (not
 * without an administrator).  The last makes optional_all go on without its
 * target, and svcs -x find root causes.
 *
 * A cycle is refused when the edge that closes it is inserted: the owner of
 * that edge keeps no dependencies and goes to maintenance; the others run.
 * exclude_all orders nothing and cannot close a cycle.
 */
#ifndef SMF_GRAPH_H
#define SMF_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "smf/plan.h"
#include "smf/smf.h"

enum dep_status { DEP_NEVER = -1, DEP_WAIT = 0, DEP_OK = 1 };

struct vertex;

struct depgroup {
	struct vertex *owner;
	char *name; /* of the property group */
	enum smf_grouping grouping;
	enum smf_restart_on restart_on;
	struct vertex **targets;
	size_t n_targets;
};

struct vertex {
	char *name; /* FMRI, or file:... */
	enum smf_fmri_kind kind;
	struct vertex *service;    /* of an instance */
	struct vertex **instances; /* of a service */
	size_t n_instances;
	struct depgroup *groups; /* what it depends on */
	size_t n_groups;
	struct depgroup **dependents; /* groups that name it */
	size_t n_dependents;

	/* An instance's present, set by whoever holds the graph. */
	bool configured; /* it exists: it is in the plan */
	bool enabled;
	bool to_offline; /* it runs, but is to stop: it satisfies nobody any more */
	enum smf_state state, next;
	void *data;

	unsigned mark;    /* of a walk */
	unsigned settled; /* epoch for which hopeless is known */
	bool hopeless;
};

struct graph;
struct graph *graph_new(void);
void graph_free(struct graph *g);
DEFINE_CLEANUP(graph_free, struct graph *);

/* The vertex of an FMRI, made if absent; NULL for what is no FMRI. */
struct vertex *graph_vertex(struct graph *g, const char *fmri);
struct vertex *graph_find(const struct graph *g, const char *fmri);

/*
 * Gives v the dependencies of its instance in the plan, in place of those it
 * had.  -ELOOP with the cycle in the message, -EINVAL for words we do not know:
 * v then has none.
 */
int graph_set_deps(struct graph *g, struct vertex *v, const struct plan *p,
		   const struct plan_inst *i, struct error *err);
void graph_clear_deps(struct graph *g, struct vertex *v);

/* To be called after any change of a vertex's present: forgets what was concluded. */
void graph_changed(struct graph *g);

enum dep_status graph_target_status(struct graph *g, const struct depgroup *d,
				    const struct vertex *target);
enum dep_status graph_group_status(struct graph *g, const struct depgroup *d);
/* All groups of v; *ret_blocking (may be NULL) is the first that is not OK. */
enum dep_status graph_status(struct graph *g, const struct vertex *v,
			     const struct depgroup **ret_blocking);
bool vertex_running(const struct vertex *v); /* a service: one of its instances runs */

/* Calls fn for every instance with a group that names v, or v's service. */
void graph_each_dependent(struct graph *g, struct vertex *v,
			  void (*fn)(struct vertex *dependent, const struct depgroup *d, void *arg),
			  void *arg);
/* True if v is root or root depends on it, directly or not. */
void graph_mark_below(struct graph *g, struct vertex *root); /* sets ->mark of all of these */
bool graph_marked(const struct graph *g, const struct vertex *v);

#endif
