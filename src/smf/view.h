/*
 * All instances at one moment, for commands: the plan, the state file, and a
 * graph filled from both.
 */
#ifndef SMF_VIEW_H
#define SMF_VIEW_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "smf/graph.h"
#include "smf/plan.h"
#include "smf/state.h"

struct view_inst {
	const char *fmri;
	const struct plan_inst *conf;
	struct state_rec rec;
	struct vertex *v;
	bool enabled, temporary; /* temporary: general_ovr decides */
};

struct view {
	struct plan *plan;
	struct state *state; /* NULL if startd never ran */
	struct graph *graph;
	struct view_inst *insts; /* by FMRI */
	size_t n;
};

int view_open(struct view *v, struct error *err);
void view_close(struct view *v);
#define cleanup_view CLEANUP(view_close)

struct view_inst *view_find(const struct view *v, const char *fmri);
/* Instances that one of the patterns matches, marked in hit[n]; -ENOENT names the first that none does. */
int view_match(const struct view *v, char *const *patterns, size_t n_patterns, bool *hit,
	       struct error *err);
/* Exactly one; -EINVAL if several match. */
int view_one(const struct view *v, const char *pattern, struct view_inst **ret, struct error *err);

#endif
