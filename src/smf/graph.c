/*
 * The dependency graph; see graph.h.
 */
#include "smf/graph.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/str.h"

struct graph {
	struct map *vertices;
	unsigned epoch; /* of conclusions: vertex.settled */
	unsigned walk;  /* of marks */
};

static void
vertex_free(void *p)
{
	struct vertex *v = p;

	for (size_t i = 0; i < v->n_groups; i++) {
		free(v->groups[i].name);
		free(v->groups[i].targets);
	}
	free(v->groups);
	free(v->dependents);
	free(v->instances);
	free(v->name);
	free(v);
}

struct graph *
graph_new(void)
{
	struct graph *g = xcalloc(1, sizeof(*g));

	g->vertices = map_new(vertex_free);
	g->epoch = 1;
	return g;
}

void
graph_free(struct graph *g)
{
	if (!g)
		return;
	map_free(g->vertices);
	free(g);
}

static void
push(void *array, size_t *n, const void *item)
{
	void ***a = array;

	*a = xreallocarray(*a, *n + 1, sizeof(void *));
	(*a)[(*n)++] = (void *)(uintptr_t)item;
}

struct vertex *
graph_find(const struct graph *g, const char *fmri)
{
	return map_get(g->vertices, fmri);
}

struct vertex *
graph_vertex(struct graph *g, const char *fmri)
{
	struct vertex *v = map_get(g->vertices, fmri);
	struct smf_fmri f;

	if (v)
		return v;
	if (smf_fmri_parse(fmri, &f, NULL) < 0)
		return NULL;
	v = xcalloc(1, sizeof(*v));
	v->name = xstrdup(fmri);
	v->kind = f.kind;
	v->state = SMF_UNINITIALIZED;
	map_set(g->vertices, fmri, v);
	if (f.kind == SMF_FMRI_INSTANCE) {
		cleanup_free char *service = str_printf("svc:/%s", f.service);

		v->service = graph_vertex(g, service);
		push(&v->service->instances, &v->service->n_instances, v);
	}
	return v;
}

void
graph_changed(struct graph *g)
{
	g->epoch++;
}

void
graph_clear_deps(struct graph *g, struct vertex *v)
{
	for (size_t i = 0; i < v->n_groups; i++) {
		struct depgroup *d = &v->groups[i];

		for (size_t t = 0; t < d->n_targets; t++) {
			struct vertex *to = d->targets[t];

			for (size_t k = 0; k < to->n_dependents; k++) {
				if (to->dependents[k] == d)
					to->dependents[k--] = to->dependents[--to->n_dependents];
			}
		}
		free(d->name);
		free(d->targets);
	}
	free(v->groups);
	v->groups = NULL;
	v->n_groups = 0;
	g->epoch++;
}

/* Does a path lead from v to goal?  The names on it are added to trail, last first. */
static bool
reaches(struct graph *g, struct vertex *v, const struct vertex *goal, struct strv *trail)
{
	if (v == goal) {
		strv_add(trail, v->name);
		return true;
	}
	if (v->mark == g->walk)
		return false;
	v->mark = g->walk;
	for (size_t i = 0; i < v->n_instances; i++) {
		if (reaches(g, v->instances[i], goal, trail)) {
			strv_add(trail, v->name);
			return true;
		}
	}
	for (size_t i = 0; i < v->n_groups; i++) {
		const struct depgroup *d = &v->groups[i];

		if (d->grouping == SMF_EXCLUDE_ALL)
			continue;
		for (size_t t = 0; t < d->n_targets; t++) {
			if (reaches(g, d->targets[t], goal, trail)) {
				strv_add(trail, v->name);
				return true;
			}
		}
	}
	return false;
}

static int
check_cycle(struct graph *g, struct vertex *v, struct error *err)
{
	cleanup_strv struct strv trail = STRV_INIT;

	g->walk++;
	for (size_t i = 0; i < v->n_groups; i++) {
		const struct depgroup *d = &v->groups[i];

		if (d->grouping == SMF_EXCLUDE_ALL)
			continue;
		for (size_t t = 0; t < d->n_targets; t++) {
			cleanup_strbuf struct strbuf text = STRBUF_INIT;

			if (!reaches(g, d->targets[t], v, &trail))
				continue;
			strbuf_adds(&text, v->name);
			for (size_t k = trail.n; k-- > 0;)
				strbuf_addf(&text, " -> %s", trail.v[k]);
			return error_set(err, ELOOP, "dependency cycle: %s", text.data);
		}
	}
	return 0;
}

static int
read_group(struct graph *g, struct vertex *v, struct depgroup *d, const struct plan *p,
	   const struct plan_inst *i, const struct plan_pg *pg, struct error *err)
{
	const struct plan_prop *x = plan_prop(p, pg, "entities");

	d->owner = v;
	d->name = xstrdup(plan_pg_name(p, pg));
	if (smf_grouping_parse(plan_get(p, i, d->name, "grouping", ""), &d->grouping) < 0 ||
	    smf_restart_on_parse(plan_get(p, i, d->name, "restart_on", "none"), &d->restart_on) < 0)
		return error_set(err, EINVAL, "dependency %s: unknown grouping or restart_on",
				 d->name);
	for (size_t n = 0; x && n < plan_n_values(x); n++) {
		struct vertex *to = graph_vertex(g, plan_value(p, x, n));

		if (!to)
			return error_set(err, EINVAL, "dependency %s: \"%s\" is not an FMRI", d->name,
					 plan_value(p, x, n));
		push(&d->targets, &d->n_targets, to);
	}
	return 0;
}

int
graph_set_deps(struct graph *g, struct vertex *v, const struct plan *p, const struct plan_inst *i,
	       struct error *err)
{
	size_t n = 0;
	int r = 0;

	graph_clear_deps(g, v);
	for (size_t k = 0; k < plan_n_pgs(i); k++)
		n += str_eq(plan_pg_type(p, plan_pg_at(p, i, k)), "dependency");
	v->groups = xcalloc(n ? n : 1, sizeof(*v->groups)); /* never moves: targets point at it */
	for (size_t k = 0; k < plan_n_pgs(i) && r == 0; k++) {
		const struct plan_pg *pg = plan_pg_at(p, i, k);

		if (str_eq(plan_pg_type(p, pg), "dependency"))
			r = read_group(g, v, &v->groups[v->n_groups++], p, i, pg, err);
	}
	if (r == 0)
		r = check_cycle(g, v, err);
	for (size_t k = 0; k < v->n_groups; k++) {
		struct depgroup *d = &v->groups[k];

		for (size_t t = 0; t < d->n_targets; t++)
			push(&d->targets[t]->dependents, &d->targets[t]->n_dependents, d);
	}
	if (r < 0)
		graph_clear_deps(g, v);
	return r;
}

/* Cannot come up without an administrator. */
static bool
hopeless(struct graph *g, struct vertex *v)
{
	if (v->settled == g->epoch)
		return v->hopeless;
	v->settled = g->epoch; /* of a cycle through services: not hopeless, while we look */
	v->hopeless = false;
	if (v->kind == SMF_FMRI_PATH) {
		v->hopeless = access(strchr(v->name + strlen("file://"), '/'), F_OK) != 0;
	} else if (v->kind == SMF_FMRI_SERVICE) {
		v->hopeless = true;
		for (size_t i = 0; i < v->n_instances && v->hopeless; i++)
			v->hopeless = hopeless(g, v->instances[i]);
	} else if (!v->configured) {
		v->hopeless = true;
	} else if (v->next != SMF_NONE) {
		v->hopeless = v->next == SMF_MAINTENANCE || v->next == SMF_DISABLED;
	} else if (smf_state_running(v->state)) {
		v->hopeless = v->to_offline && !v->enabled;
	} else if (v->state == SMF_MAINTENANCE || !v->enabled) {
		v->hopeless = true;
	} else {
		v->hopeless = graph_status(g, v, NULL) == DEP_NEVER;
	}
	return v->hopeless;
}

bool
vertex_running(const struct vertex *v)
{
	if (v->kind == SMF_FMRI_PATH)
		return access(strchr(v->name + strlen("file://"), '/'), F_OK) == 0;
	if (v->kind == SMF_FMRI_INSTANCE)
		return smf_state_running(v->state) && !v->to_offline;
	for (size_t i = 0; i < v->n_instances; i++) {
		if (vertex_running(v->instances[i]))
			return true;
	}
	return false;
}

/* Neither running nor on its way. */
static bool
is_down(const struct vertex *v)
{
	if (v->kind == SMF_FMRI_PATH)
		return !vertex_running(v);
	if (v->kind == SMF_FMRI_INSTANCE)
		return !v->configured || (v->next == SMF_NONE && (v->state == SMF_DISABLED ||
								 v->state == SMF_MAINTENANCE));
	for (size_t i = 0; i < v->n_instances; i++) {
		if (!is_down(v->instances[i]))
			return false;
	}
	return true;
}

enum dep_status
graph_target_status(struct graph *g, const struct depgroup *d, const struct vertex *target)
{
	struct vertex *t = (struct vertex *)(uintptr_t)target;

	switch (d->grouping) {
	case SMF_EXCLUDE_ALL:
		return is_down(t) ? DEP_OK : vertex_running(t) ? DEP_NEVER : DEP_WAIT;
	case SMF_OPTIONAL_ALL:
		return vertex_running(t) || hopeless(g, t) ? DEP_OK : DEP_WAIT;
	case SMF_REQUIRE_ALL:
	case SMF_REQUIRE_ANY:
		return vertex_running(t) ? DEP_OK : hopeless(g, t) ? DEP_NEVER : DEP_WAIT;
	}
	return DEP_NEVER;
}

enum dep_status
graph_group_status(struct graph *g, const struct depgroup *d)
{
	enum dep_status worst = DEP_OK, best = DEP_NEVER;

	for (size_t i = 0; i < d->n_targets; i++) {
		enum dep_status s = graph_target_status(g, d, d->targets[i]);

		worst = s < worst ? s : worst;
		best = s > best ? s : best;
	}
	if (d->n_targets == 0)
		return DEP_OK;
	return d->grouping == SMF_REQUIRE_ANY ? best : worst;
}

enum dep_status
graph_status(struct graph *g, const struct vertex *v, const struct depgroup **ret_blocking)
{
	enum dep_status worst = DEP_OK;

	for (size_t i = 0; i < v->n_groups; i++) {
		enum dep_status s = graph_group_status(g, &v->groups[i]);

		if (s < worst) {
			worst = s;
			if (ret_blocking)
				*ret_blocking = &v->groups[i];
		}
	}
	return worst;
}

void
graph_each_dependent(struct graph *g, struct vertex *v,
		     void (*fn)(struct vertex *dependent, const struct depgroup *d, void *arg),
		     void *arg)
{
	struct vertex *named[2] = {v, v->service};

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; named[k] && i < named[k]->n_dependents; i++)
			fn(named[k]->dependents[i]->owner, named[k]->dependents[i], arg);
	}
}

static void
mark_below(struct graph *g, struct vertex *v)
{
	if (v->mark == g->walk)
		return;
	v->mark = g->walk;
	for (size_t i = 0; i < v->n_instances; i++)
		mark_below(g, v->instances[i]);
	for (size_t i = 0; i < v->n_groups; i++) {
		if (v->groups[i].grouping == SMF_EXCLUDE_ALL)
			continue;
		for (size_t t = 0; t < v->groups[i].n_targets; t++)
			mark_below(g, v->groups[i].targets[t]);
	}
}

void
graph_mark_below(struct graph *g, struct vertex *root)
{
	g->walk++;
	mark_below(g, root);
}

bool
graph_marked(const struct graph *g, const struct vertex *v)
{
	return v->mark == g->walk;
}
