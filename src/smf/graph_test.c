/*
 * The graph's answers, as tables: groupings against the states of targets;
 * cycles; who is told of whom.
 */
#include "smf/graph.h"

#include <string.h>

#include "base/str.h"
#include "base/test.h"

/* Edges as text: "a: require_all/restart b c; optional_all/none d | b: ..." make a plan. */
static struct plan *
plan_of(const char *text)
{
	CLEANUP(plan_writer_freep) struct plan_writer *w = plan_writer_new();
	cleanup_strv struct strv insts = STRV_INIT;
	cleanup_free void *data = NULL;
	struct plan *p = NULL;
	size_t size;

	strv_words(&insts, text, "|");
	for (size_t i = 0; i < insts.n; i++) {
		cleanup_strv struct strv groups = STRV_INIT;
		char *colon = strchr(insts.v[i], ':');
		cleanup_free char *fmri = NULL;

		*colon = '\0';
		fmri = str_printf("svc:/%s:default", str_trim(insts.v[i]));
		plan_add_inst(w, fmri);
		strv_words(&groups, colon + 1, ";");
		for (size_t g = 0; g < groups.n; g++) {
			cleanup_strv struct strv words = STRV_INIT;
			cleanup_free char *name = str_printf("dep%zu", g);
			char *slash;

			strv_words(&words, groups.v[g], " ");
			if (words.n == 0)
				continue;
			slash = strchr(words.v[0], '/');
			*slash = '\0';
			plan_add_pg(w, name, "dependency");
			plan_add_prop(w, "grouping", "astring");
			plan_add_value(w, words.v[0]);
			plan_add_prop(w, "restart_on", "astring");
			plan_add_value(w, slash + 1);
			plan_add_prop(w, "entities", "fmri");
			for (size_t k = 1; k < words.n; k++) {
				cleanup_free char *target =
					strchr(words.v[k], ':') ? xstrdup(words.v[k])
								: str_printf("svc:/%s", words.v[k]);
				plan_add_value(w, target);
			}
		}
	}
	plan_finish(w, 1, &data, &size);
	if (plan_copy(data, size, &p, NULL) < 0)
		test_abort();
	return p;
}

static struct vertex *
vertex(struct graph *g, const char *name)
{
	cleanup_free char *fmri = str_printf("svc:/%s:default", name);

	return graph_vertex(g, fmri);
}

/* Loads all of p; returns how many had a cycle. */
static int
load(struct graph *g, const struct plan *p)
{
	int cycles = 0;

	for (size_t i = 0; i < plan_size(p); i++) {
		struct vertex *v = graph_vertex(g, plan_fmri(p, plan_at(p, i)));

		v->configured = v->enabled = true;
		v->state = SMF_OFFLINE;
	}
	for (size_t i = 0; i < plan_size(p); i++)
		cycles += graph_set_deps(g, graph_vertex(g, plan_fmri(p, plan_at(p, i))), p,
					 plan_at(p, i), NULL) == -ELOOP;
	return cycles;
}

/* A target's present in one letter. */
static void
put(struct vertex *v, char c)
{
	v->configured = c != 'a';
	v->enabled = !strchr("da", c);
	v->to_offline = c == 's';
	v->next = c == 'S' ? SMF_ONLINE : SMF_NONE;
	v->state = strchr("os", c) ? SMF_ONLINE
		   : c == 'g'	   ? SMF_DEGRADED
		   : c == 'm'	   ? SMF_MAINTENANCE
		   : c == 'd'	   ? SMF_DISABLED
		   : c == 'u'	   ? SMF_UNINITIALIZED
				   : SMF_OFFLINE;
}

/* o online, g degraded, f offline, S starting, s stopping, m maintenance, d disabled, u uninitialized, a absent */
TEST(groups_by_the_states_of_their_targets)
{
	static const struct {
		const char *grouping, *states;
		enum dep_status status;
	} cases[] = {
		{"require_all", "oo", DEP_OK},	   {"require_all", "og", DEP_OK},
		{"require_all", "of", DEP_WAIT},   {"require_all", "oS", DEP_WAIT},
		{"require_all", "os", DEP_WAIT},   {"require_all", "om", DEP_NEVER},
		{"require_all", "fd", DEP_NEVER},  {"require_all", "oa", DEP_NEVER},
		{"require_all", "ou", DEP_WAIT},   {"require_any", "of", DEP_OK},
		{"require_any", "md", DEP_NEVER},  {"require_any", "mf", DEP_WAIT},
		{"require_any", "ao", DEP_OK},	   {"optional_all", "oo", DEP_OK},
		{"optional_all", "ad", DEP_OK},	   {"optional_all", "mo", DEP_OK},
		{"optional_all", "fo", DEP_WAIT},  {"optional_all", "So", DEP_WAIT},
		{"optional_all", "uo", DEP_WAIT},  {"exclude_all", "dd", DEP_OK},
		{"exclude_all", "ma", DEP_OK},	   {"exclude_all", "od", DEP_NEVER},
		{"exclude_all", "fd", DEP_WAIT},   {"exclude_all", "sd", DEP_WAIT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(graph_freep) struct graph *g = graph_new();
		cleanup_free char *text = str_printf("v: %s/none x y | x: | y:", cases[i].grouping);
		cleanup_plan struct plan *p = plan_of(text);
		enum dep_status s;

		load(g, p);
		put(vertex(g, "x"), cases[i].states[0]);
		put(vertex(g, "y"), cases[i].states[1]);
		graph_changed(g);
		s = graph_status(g, vertex(g, "v"), NULL);
		if (s != cases[i].status)
			test_fail(__FILE__, __LINE__, "%s %s: %d", cases[i].grouping, cases[i].states, s);
	}
}

TEST(hopelessness_travels)
{
	CLEANUP(graph_freep) struct graph *g = graph_new();
	cleanup_plan struct plan *p =
		plan_of("v: optional_all/none x | x: require_all/none y | y: require_all/none z | z:");
	const struct depgroup *d = NULL;

	load(g, p);
	check_int(graph_status(g, vertex(g, "v"), NULL), ==, DEP_WAIT);
	put(vertex(g, "z"), 'm');
	graph_changed(g);
	check_int(graph_status(g, vertex(g, "x"), &d), ==, DEP_NEVER);
	require(d);
	check_str(d->targets[0]->name, "svc:/y");
	check_int(graph_status(g, vertex(g, "v"), NULL), ==, DEP_OK);
}

TEST(the_edge_that_closes_a_cycle_is_refused)
{
	static const struct {
		const char *text;
		int cycles;
	} cases[] = {
		{"a: require_all/none b | b: require_all/none c | c:", 0},
		{"a: require_all/none a", 1},
		{"a: require_all/none b | b: require_all/none a", 1},
		{"a: require_all/none b | b: optional_all/none c | c: require_any/none a", 1},
		{"a: exclude_all/none b | b: require_all/none a", 0},
		{"a: exclude_all/none b | b: exclude_all/none a", 0},
		{"a: require_all/none b c | b: require_all/none d | c: require_all/none d | d:", 0},
		{"a: require_all/none b | b: require_all/none a | c: require_all/none d | d: require_all/none c", 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(graph_freep) struct graph *g = graph_new();
		cleanup_plan struct plan *p = plan_of(cases[i].text);
		int n = load(g, p);

		if (n != cases[i].cycles)
			test_fail(__FILE__, __LINE__, "%s: %d", cases[i].text, n);
	}
}

TEST(a_cycle_is_named_and_can_be_mended)
{
	CLEANUP(graph_freep) struct graph *g = graph_new();
	cleanup_plan struct plan *p = plan_of("a: require_all/none b | b: require_all/none a");
	cleanup_plan struct plan *good = plan_of("a: | b: require_all/none a");
	cleanup_error struct error err = ERROR_INIT;

	load(g, p);
	check_int(graph_set_deps(g, vertex(g, "b"), p, plan_find(p, "svc:/b:default"), &err), ==, -ELOOP);
	check_has(err.message, "svc:/b:default -> svc:/a -> svc:/a:default -> svc:/b");
	check_int(vertex(g, "b")->n_groups, ==, 0);
	check_int(load(g, good), ==, 0);
	check_int(vertex(g, "b")->n_groups, ==, 1);
}

TEST(paths_are_looked_at)
{
	CLEANUP(graph_freep) struct graph *g = graph_new();
	cleanup_plan struct plan *p = plan_of("a: require_all/none file:///proc/self | "
					      "b: require_all/none file://localhost/nonexistent");

	load(g, p);
	check_int(graph_status(g, vertex(g, "a"), NULL), ==, DEP_OK);
	check_int(graph_status(g, vertex(g, "b"), NULL), ==, DEP_NEVER);
}

static void
count(struct vertex *dependent, const struct depgroup *d, void *arg)
{
	strv_add(arg, dependent->name);
}

TEST(dependents_through_the_service_too)
{
	CLEANUP(graph_freep) struct graph *g = graph_new();
	cleanup_plan struct plan *p = plan_of("a: | b: require_all/none a | "
					      "c: require_all/none svc:/a:default | d: require_all/none b");
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_free char *all = NULL;

	load(g, p);
	graph_each_dependent(g, vertex(g, "a"), count, &names);
	strv_sort(&names);
	all = strv_join(&names, " ");
	check_str(all, "svc:/b:default svc:/c:default");
	graph_mark_below(g, vertex(g, "d"));
	check(graph_marked(g, vertex(g, "a")));
	check(!graph_marked(g, vertex(g, "c")));
}
