/*
 * The repository: composition, layers, what an import keeps and what it takes
 * away, the administrator's layer over a new seed, dependents, damage.
 */
#include "smf/repo.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "smf/bundle.h"
#include "smf/plan.h"
#include "smf/repo_ops.h"

#define FMRI "svc:/a:default"

static struct repo *repo;
static const char *dir;

static void
open_repo(const char *name)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = NULL;

	dir = dir ?: test_tmpdir();
	path = str_printf("%s/%s", dir, name);
	check_ok(repo_open(path, true, &repo, &err), &err);
	require(repo);
}

static void
import(const char *body)
{
	cleanup_free char *text = str_printf("<service_bundle type='manifest' name='t'>%s</service_bundle>", body);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *tree = NULL;
	struct json *s;

	check_ok(bundle_parse(text, strlen(text), "t", &tree, &err), &err);
	check_ok(repo_begin(repo, &err), &err);
	json_array_each(s, json_get(tree, "services"))
	{
		check_ok(repo_import(repo, s, REPO_MANIFEST, &err), &err);
	}
	check_ok(repo_end(repo, false, &err), &err);
}

/* A request as JSON text; 0 or a negative errno. */
static int
op(const char *text)
{
	cleanup_json struct json *q = NULL, *reply = NULL;
	cleanup_error struct error err = ERROR_INIT;
	bool publish;

	check_ok(json_parse(text, (size_t)-1, &q, &err), &err);
	return repo_op(repo, q, &reply, &publish, &err);
}

static struct plan *
publish(void)
{
	cleanup_free char *path = str_printf("%s/plan", dir);
	cleanup_error struct error err = ERROR_INIT;
	struct plan *p = NULL;

	check_ok(repo_publish(repo, path, &err), &err);
	check_ok(plan_map(path, &p, &err), &err);
	require(p);
	return p;
}

/* pg/prop of FMRI as the plan has it; the caller's. */
static char *
value(const char *pg, const char *prop)
{
	cleanup_plan struct plan *p = publish();
	const struct plan_inst *i = plan_find(p, FMRI);

	return i ? xstrdup(plan_get(p, i, pg, prop, NULL)) : NULL;
}

#define check_value(pg, prop, want)                          \
	do {                                                 \
		cleanup_free char *_v = value(pg, prop);     \
		check_str(_v, want);                         \
	} while (0)

#define GROUP(inner) "<property_group name='p' type='application'>" inner "</property_group>"
#define PROP(name, v) "<propval name='" name "' type='astring' value='" v "'/>"
#define SERVICE(inner) "<service name='a' type='service' version='1'><create_default_instance enabled='true'/>" inner "</service>"

TEST(instance_over_service)
{
	open_repo("r");
	import("<service name='a' type='service' version='1'>" GROUP(PROP("x", "service") PROP("y", "service"))
	       "<instance name='default' enabled='false'>" GROUP(PROP("x", "instance")) "</instance></service>");
	check_value("p", "x", "instance");
	check_value("p", "y", "service");
	check_value("general", "enabled", "false");
	repo_free(repo);
}

TEST(an_import_keeps_what_an_administrator_set)
{
	open_repo("r");
	import(SERVICE(GROUP(PROP("x", "1") PROP("y", "1") PROP("gone", "1"))));
	check_int(op("{\"op\":\"set\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"x\",\"values\":[\"mine\"]}"), ==, 0);
	check_value("p", "x", "1"); /* not before a refresh */
	check_int(op("{\"op\":\"refresh\",\"fmri\":\"svc:/a\"}"), ==, 0);
	check_value("p", "x", "mine");
	import(SERVICE(GROUP(PROP("x", "2") PROP("y", "2"))));
	check_value("p", "x", "mine");
	check_value("p", "y", "2");
	check_value("p", "gone", NULL);
	check_int(op("{\"op\":\"revert\",\"fmri\":\"svc:/a\"}"), ==, 0);
	check_int(op("{\"op\":\"refresh\",\"fmri\":\"svc:/a\"}"), ==, 0);
	check_value("p", "x", "2");
	repo_free(repo);
}

TEST(a_removed_property_stays_removed)
{
	open_repo("r");
	import(SERVICE(GROUP(PROP("x", "1"))));
	check_int(op("{\"op\":\"delprop\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"x\"}"), ==, 0);
	check_int(op("{\"op\":\"delprop\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"x\"}"), ==, -ENOENT);
	import(SERVICE(GROUP(PROP("x", "2"))));
	check_value("p", "x", NULL);
	repo_free(repo);
}

TEST(temporary_and_lasting_enabling)
{
	open_repo("r");
	import(SERVICE(""));
	check_int(op("{\"op\":\"enable\",\"fmri\":\"" FMRI "\",\"enabled\":false,\"temporary\":true,\"comment\":\"why\"}"), ==, 0);
	check_value("general", "enabled", "true");
	check_value("general_ovr", "enabled", "false");
	check_value("general_ovr", "comment", "why");
	check_int(op("{\"op\":\"enable\",\"fmri\":\"" FMRI "\",\"enabled\":false}"), ==, 0);
	check_value("general", "enabled", "false");
	check_value("general_ovr", "enabled", NULL);
	import(SERVICE(""));
	check_value("general", "enabled", "false");
	check_int(op("{\"op\":\"enable\",\"fmri\":\"svc:/a\",\"enabled\":false}"), ==, -EINVAL);
	check_int(op("{\"op\":\"enable\",\"fmri\":\"svc:/no:default\",\"enabled\":false}"), ==, -ENOENT);
	repo_free(repo);
}

TEST(the_administrators_layer_over_a_new_seed)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *admin = NULL;

	open_repo("first");
	admin = str_printf("%s/admin.db", dir);
	import(SERVICE(GROUP(PROP("x", "1") PROP("y", "1"))));
	/* before /var is there, and after */
	check_int(op("{\"op\":\"enable\",\"fmri\":\"" FMRI "\",\"enabled\":false}"), ==, 0);
	check_ok(repo_attach_admin(repo, admin, &err), &err);
	check_int(op("{\"op\":\"set\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"x\",\"values\":[\"mine\"]}"), ==, 0);
	check_int(op("{\"op\":\"delprop\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"y\"}"), ==, 0);
	repo_free(repo);
	/* the next boot: another image, whose service changed */
	open_repo("second");
	import(SERVICE(GROUP(PROP("x", "2") PROP("y", "2") PROP("z", "2"))));
	check_value("p", "x", "2");
	check_ok(repo_attach_admin(repo, admin, &err), &err);
	check_value("p", "x", "mine");
	check_value("p", "y", NULL);
	check_value("p", "z", "2");
	check_value("general", "enabled", "false");
	repo_free(repo);
}

TEST(a_dependent_is_given_to_its_target)
{
	cleanup_plan struct plan *p = NULL;
	const struct plan_inst *i;

	open_repo("r");
	import("<service name='b' type='service' version='1'><create_default_instance enabled='true'/>"
	       "<dependent name='b_a' grouping='require_all' restart_on='error'><service_fmri value='svc:/a'/></dependent></service>");
	import(SERVICE(""));
	p = publish();
	i = plan_find(p, FMRI);
	require(i && plan_pg(p, i, "b_a"));
	check_str(plan_pg_type(p, plan_pg(p, i, "b_a")), "dependency");
	check_str(plan_get(p, i, "b_a", "entities", NULL), "svc:/b:default");
	check_str(plan_get(p, i, "b_a", "restart_on", NULL), "error");
	repo_free(repo);
}

TEST(a_failed_batch_changes_nothing)
{
	open_repo("r");
	import(SERVICE(GROUP(PROP("x", "1"))));
	check_int(op("{\"op\":\"batch\",\"ops\":["
		     "{\"op\":\"set\",\"fmri\":\"" FMRI "\",\"pg\":\"p\",\"prop\":\"x\",\"values\":[\"2\"]},"
		     "{\"op\":\"set\",\"fmri\":\"" FMRI "\",\"pg\":\"p\",\"prop\":\"n\",\"type\":\"count\",\"values\":[\"-2\"]}]}"),
		  ==, -EINVAL);
	check_int(op("{\"op\":\"refresh\",\"fmri\":\"" FMRI "\"}"), ==, 0);
	check_value("p", "x", "1");
	repo_free(repo);
}

TEST(bad_requests)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{"{}", -EINVAL},
		{"{\"op\":\"x\"}", -EINVAL},
		{"{\"op\":\"get\"}", -EINVAL},
		{"{\"op\":\"get\",\"fmri\":\"x\"}", -EINVAL},
		{"{\"op\":\"get\",\"fmri\":\"svc:/none\"}", -ENOENT},
		{"{\"op\":\"get\",\"fmri\":\"file:///x\"}", -EINVAL},
		{"{\"op\":\"set\",\"fmri\":\"svc:/a\"}", -EINVAL},
		{"{\"op\":\"set\",\"fmri\":\"svc:/a\",\"pg\":\"none\",\"prop\":\"x\",\"values\":[]}", -ENOENT},
		{"{\"op\":\"set\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"new\",\"values\":[\"1\"]}", -EINVAL},
		{"{\"op\":\"set\",\"fmri\":\"svc:/a\",\"pg\":\"p\",\"prop\":\"a b\",\"type\":\"count\",\"values\":[]}", -EINVAL},
		{"{\"op\":\"addpg\",\"fmri\":\"svc:/a\",\"pg\":\"a b\",\"type\":\"x\"}", -EINVAL},
		{"{\"op\":\"delpg\",\"fmri\":\"svc:/a\",\"pg\":\"none\"}", -ENOENT},
		{"{\"op\":\"import\"}", -EINVAL},
		{"{\"op\":\"import\",\"service\":{\"name\":\"a\"},\"layer\":\"x\"}", -EINVAL},
		{"{\"op\":\"batch\",\"ops\":[{\"op\":\"attach\"}]}", -EINVAL},
		{"{\"op\":\"batch\",\"ops\":[{\"op\":\"batch\"}]}", -EINVAL},
	};

	open_repo("r");
	import(SERVICE(GROUP(PROP("x", "1"))));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = op(cases[i].text);

		if (r != cases[i].r)
			test_fail(__FILE__, __LINE__, "%s: %d", cases[i].text, r);
	}
	check_value("p", "x", "1");
	repo_free(repo);
}

TEST(a_damaged_repository_is_refused)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = NULL, *text = NULL;
	struct repo *bad = NULL;
	size_t len;

	open_repo("r");
	import(SERVICE(GROUP(PROP("x", "1"))));
	repo_free(repo);
	path = str_printf("%s/r", dir);
	require(file_read(path, 0, &text, &len, NULL) == 0);
	memset(text + 100, 0x5a, len - 100);
	check_ok(file_write_atomic(path, text, len, 0600, &err), &err);
	check_int(repo_open(path, false, &bad, &err), ==, -EBADMSG);
	check(!bad);
	check_ok(file_write_atomic(path, "nonsense, and rather more of it than a header needs", 50, 0600, &err), &err);
	check_int(repo_open(path, false, &bad, &err), ==, -EBADMSG);
	unlink(path);
	check_int(repo_open(path, false, &bad, &err), ==, -ENOENT);
}
