/*
 * All instances at one moment; see view.h.
 */
#include "smf/view.h"

#include <stdlib.h>
#include <string.h>

#include "smf/smf.h"

static void
fill(struct view *v, struct view_inst *x, const struct plan_inst *conf)
{
	x->conf = conf;
	x->fmri = plan_fmri(v->plan, conf);
	x->v = graph_vertex(v->graph, x->fmri);
	x->temporary = plan_get(v->plan, conf, "general_ovr", "enabled", NULL) != NULL;
	x->enabled = plan_get_bool(v->plan, conf, "general_ovr", "enabled",
				   plan_get_bool(v->plan, conf, "general", "enabled", false));
	if (!v->state || !state_read(v->state, x->fmri, &x->rec)) {
		x->rec = (struct state_rec){.state = SMF_UNINITIALIZED};
		strcpy(x->rec.aux, "none");
	}
	if (!x->v)
		return;
	x->v->configured = true;
	x->v->enabled = x->enabled;
	x->v->state = (enum smf_state)x->rec.state;
	x->v->next = (enum smf_state)x->rec.next;
	x->v->data = x;
}

int
view_open(struct view *v, struct error *err)
{
	int r;

	*v = (struct view){0};
	r = plan_map(SMF_PLAN_PATH, &v->plan, err);
	if (r < 0)
		return r;
	if (state_open(SMF_STATE_PATH, &v->state, NULL) < 0)
		v->state = NULL; /* startd did not run yet: everything is uninitialized */
	v->graph = graph_new();
	v->n = plan_size(v->plan);
	v->insts = xcalloc(v->n ? v->n : 1, sizeof(*v->insts));
	for (size_t i = 0; i < v->n; i++)
		fill(v, &v->insts[i], plan_at(v->plan, i));
	for (size_t i = 0; i < v->n; i++) {
		if (v->insts[i].v) /* a cycle: it has none, as startd treats it */
			(void)graph_set_deps(v->graph, v->insts[i].v, v->plan, v->insts[i].conf, NULL);
	}
	graph_changed(v->graph);
	return 0;
}

void
view_close(struct view *v)
{
	free(v->insts);
	graph_free(v->graph);
	state_free(v->state);
	plan_free(v->plan);
	*v = (struct view){0};
}

struct view_inst *
view_find(const struct view *v, const char *fmri)
{
	const struct vertex *x = graph_find(v->graph, fmri);

	return x ? x->data : NULL;
}

int
view_match(const struct view *v, char *const *patterns, size_t n_patterns, bool *hit,
	   struct error *err)
{
	for (size_t k = 0; k < n_patterns; k++) {
		bool any = false;

		for (size_t i = 0; i < v->n; i++) {
			if (!smf_fmri_match(v->insts[i].fmri, patterns[k]))
				continue;
			hit[i] = any = true;
		}
		if (!any)
			return error_set(err, ENOENT, "Pattern '%s' doesn't match any instances",
					 patterns[k]);
	}
	return 0;
}

int
view_one(const struct view *v, const char *pattern, struct view_inst **ret, struct error *err)
{
	struct view_inst *found = NULL;
	cleanup_strbuf struct strbuf names = STRBUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (!smf_fmri_match(v->insts[i].fmri, pattern))
			continue;
		found = &v->insts[i];
		strbuf_addf(&names, "\n\t%s", found->fmri);
		n++;
	}
	if (n == 0)
		return error_set(err, ENOENT, "Pattern '%s' doesn't match any instances", pattern);
	if (n > 1)
		return error_set(err, EINVAL, "Pattern '%s' matches multiple instances:%s", pattern,
				 names.data);
	*ret = found;
	return 0;
}
