/*
 * Words, FMRIs, exit statuses, property types; the plan and the state file.
 */
#include "smf/smf.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "smf/plan.h"
#include "smf/state.h"

TEST(fmri_matching)
{
	static const char ssh[] = "svc:/network/ssh:default";
	static const struct {
		const char *fmri, *pattern;
		bool match;
	} cases[] = {
		{ssh, "ssh", true},
		{ssh, "ssh:default", true},
		{ssh, "network/ssh", true},
		{ssh, "network/ssh:default", true},
		{ssh, "svc:/network/ssh", true},
		{ssh, "svc:/network/ssh:default", true},
		{ssh, "svc://localhost/network/ssh:default", true},
		{ssh, "svc:/ssh", false},
		{ssh, "sh", false},
		{ssh, "network", false},
		{ssh, "default", false},
		{ssh, "ssh:", false},
		{ssh, "*ssh*", true},
		{ssh, "network/*", true},
		{ssh, "svc:/network/*", true},
		{ssh, "svc:/s*", false},
		{ssh, "s?h", true},
		{ssh, "s?", false},
		{ssh, "", false},
		{"svc:/a/b/c:x", "b/c", true},
		{"svc:/a/b/c:x", "b/c:x", true},
		{"svc:/a/b/c:x", "b/c:y", false},
		{"svc:/a/b/c:x", "a/b", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (smf_fmri_match(cases[i].fmri, cases[i].pattern) != cases[i].match)
			test_fail(__FILE__, __LINE__, "%s %s", cases[i].fmri, cases[i].pattern);
	}
}

TEST(fmri_parsing)
{
	static const struct {
		const char *text;
		int kind; /* -1: refused */
		const char *service, *instance, *pg, *prop;
	} cases[] = {
		{"svc:/network/ssh:default", SMF_FMRI_INSTANCE, "network/ssh", "default", "", ""},
		{"svc:/network/ssh", SMF_FMRI_SERVICE, "network/ssh", "", "", ""},
		{"svc:/a:b/:properties/start/exec", SMF_FMRI_INSTANCE, "a", "b", "start", "exec"},
		{"svc:/a/:properties/start", SMF_FMRI_SERVICE, "a", "", "start", ""},
		{"file:///etc/passwd", SMF_FMRI_PATH, "", "", "", ""},
		{"file://localhost/etc", SMF_FMRI_PATH, "", "", "", ""},
		{"file://elsewhere/etc", -1},
		{"svc:/", -1},
		{"svc:/a//b", -1},
		{"svc:/a/", -1},
		{"svc:/a:", -1},
		{"svc:/a:b:c", -1},
		{"svc:/-a", -1},
		{"svc:/a b", -1},
		{"svc:/../etc", -1},
		{"svc:/a/:properties/", -1},
		{"svc://elsewhere/a", -1},
		{"ssh", -1},
		{"", -1},
	};
	char longest[1024];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_error struct error err = ERROR_INIT;
		struct smf_fmri f;
		int r = smf_fmri_parse(cases[i].text, &f, &err);

		if ((r == 0) != (cases[i].kind >= 0)) {
			test_fail(__FILE__, __LINE__, "\"%s\": %d", cases[i].text, r);
			continue;
		}
		if (r < 0)
			continue;
		check_int(f.kind, ==, cases[i].kind);
		check_str(f.service, cases[i].service);
		check_str(f.instance, cases[i].instance);
		check_str(f.pg, cases[i].pg);
		check_str(f.prop, cases[i].prop);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "svc:/", 5);
	check_int(smf_fmri_parse(longest, &(struct smf_fmri){0}, NULL), ==, -ENAMETOOLONG);
}

TEST(exit_statuses)
{
	static const struct {
		int status;
		enum smf_verdict verdict;
		const char *name;
	} cases[] = {
		{0, SMF_V_OK, "SMF_EXIT_OK"},
		{1, SMF_V_RETRY, NULL},
		{94, SMF_V_NODAEMON, "SMF_EXIT_NODAEMON"},
		{95, SMF_V_FATAL, "SMF_EXIT_ERR_FATAL"},
		{96, SMF_V_FATAL, "SMF_EXIT_ERR_CONFIG"},
		{97, SMF_V_RETRY, "SMF_EXIT_MON_DEGRADE"},
		{98, SMF_V_RETRY, "SMF_EXIT_MON_OFFLINE"},
		{99, SMF_V_FATAL, "SMF_EXIT_ERR_NOSMF"},
		{100, SMF_V_FATAL, "SMF_EXIT_ERR_PERM"},
		{101, SMF_V_DISABLE, "SMF_EXIT_TEMP_DISABLE"},
		{255, SMF_V_RETRY, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		check_int(smf_exit_verdict(cases[i].status), ==, cases[i].verdict);
		check_str(smf_exit_name(cases[i].status), cases[i].name);
	}
}

TEST(property_types)
{
	static const struct {
		const char *type, *value;
		bool good;
	} cases[] = {
		{"count", "0", true},		 {"count", "-1", false},
		{"count", "18446744073709551615", true}, {"count", "1x", false},
		{"integer", "-5", true},	 {"integer", "", false},
		{"boolean", "true", true},	 {"boolean", "yes", false},
		{"time", "12.5", true},		 {"time", "12.", false},
		{"time", "1.1234567890", false}, {"opaque", "0aFF", true},
		{"opaque", "0", false},		 {"fmri", "svc:/a:b", true},
		{"fmri", "a", false},		 {"hostname", "node-1.example", true},
		{"hostname", "a..b", false},	 {"net_address", "10.0.0.1/24", true},
		{"net_address", "10.0.0.1/33", false}, {"net_address_v6", "fe80::1/64", true},
		{"net_address_v4", "fe80::1", false},  {"uri", "http://x", true},
		{"uri", "x y", false},		 {"astring", "", true},
		{"float", "1", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if ((smf_value_check(cases[i].type, cases[i].value, NULL) == 0) != cases[i].good)
			test_fail(__FILE__, __LINE__, "%s \"%s\"", cases[i].type, cases[i].value);
	}
	check_str(smf_type_of_list("fmri_list"), "fmri");
	check_str(smf_type_of_list("fmri"), NULL);
}

/* A plan of two instances, written out of order. */
static void
make_plan(void **ret, size_t *ret_size)
{
	CLEANUP(plan_writer_freep) struct plan_writer *w = plan_writer_new();
	static const char *const names[] = {"svc:/b:default", "svc:/a:default"};

	for (size_t i = 0; i < 2; i++) {
		plan_add_inst(w, names[i]);
		plan_add_pg(w, "general", "framework");
		plan_add_prop(w, "enabled", "boolean");
		plan_add_value(w, i ? "true" : "false");
		plan_add_pg(w, "x", "application");
		plan_add_prop(w, "none", "astring");
		plan_add_prop(w, "list", "count");
		plan_add_value(w, "1");
		plan_add_value(w, "22");
	}
	plan_finish(w, 7, ret, ret_size);
}

TEST(plan_is_read_as_written)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_plan struct plan *p = NULL;
	cleanup_free void *data = NULL;
	const struct plan_prop *list;
	const struct plan_inst *a;
	size_t size;

	make_plan(&data, &size);
	check_ok(plan_copy(data, size, &p, &err), &err);
	check_int(plan_generation(p), ==, 7);
	check_int(plan_size(p), ==, 2);
	check_str(plan_fmri(p, plan_at(p, 0)), "svc:/a:default");
	a = plan_find(p, "svc:/a:default");
	require(a);
	check(plan_get_bool(p, a, "general", "enabled", false));
	check(!plan_get_bool(p, plan_find(p, "svc:/b:default"), "general", "enabled", true));
	check_str(plan_get(p, a, "x", "none", "nothing"), "nothing");
	check_str(plan_get(p, a, "y", "none", NULL), NULL);
	list = plan_prop(p, plan_pg(p, a, "x"), "list");
	check_int(plan_n_values(list), ==, 2);
	check_str(plan_value(p, list, 1), "22");
	check(!plan_find(p, "svc:/c:default"));
	check_int(plan_digest(a), !=, plan_digest(plan_at(p, 1)));
}

/* Whatever stands in the file: an error, or a plan all of which can be read. */
TEST(a_damaged_plan_is_refused_or_harmless)
{
	cleanup_free char *data = NULL;
	size_t size, seed = 1, refused = 0;

	make_plan((void **)&data, &size);
	for (int round = 0; round < 4000; round++) {
		cleanup_free char *bad = xmemdup(data, size);
		struct plan *p = NULL;
		size_t len = size;

		for (int k = 0; k < 3; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			bad[(seed >> 33) % size] = (char)(seed >> 20);
		}
		if (round % 4 == 0)
			len = (seed >> 13) % size;
		if (plan_copy(bad, len, &p, NULL) < 0) {
			refused++;
			continue;
		}
		for (size_t i = 0; i < plan_size(p); i++) {
			const struct plan_inst *x = plan_at(p, i);

			check_int(strlen(plan_fmri(p, x)), <, size);
			for (size_t g = 0; g < plan_n_pgs(x); g++) {
				const struct plan_pg *pg = plan_pg_at(p, x, g);

				for (size_t n = 0; n < plan_n_props(pg); n++) {
					const struct plan_prop *q = plan_prop_at(p, pg, n);

					for (size_t v = 0; v < plan_n_values(q); v++)
						check_int(strlen(plan_value(p, q, v)), <, size);
				}
			}
		}
		plan_free(p);
	}
	check_int(refused, >, 1000);
}

TEST(state_survives_its_writer)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = str_printf("%s/state", test_tmpdir());
	cleanup_state struct state *reader = NULL, *w = NULL, *next = NULL;
	struct state_rec copy, *r;
	bool old = true;

	check_int(state_open(path, &reader, NULL), ==, -ENOENT);
	check_ok(state_create(path, &w, &old, &err), &err);
	check(!old);
	for (int i = 0; i < 200; i++) { /* the file grows below both */
		cleanup_free char *fmri = str_printf("svc:/s%d:default", i);

		r = state_rec(w, fmri, &err);
		require(r);
		state_begin(r);
		r->state = SMF_ONLINE;
		r->contract = (uint64_t)i;
		state_end(w, r);
		if (i == 0)
			check_ok(state_open(path, &reader, &err), &err);
	}
	check_int(state_size(reader), ==, 200);
	check(state_read(reader, "svc:/s150:default", &copy));
	check_int(copy.contract, ==, 150);
	check(!state_read(reader, "svc:/nobody:default", &copy));
	/* The writer dies within a change; the next one takes the file over. */
	state_begin(state_rec(w, "svc:/s7:default", NULL));
	check_ok(state_create(path, &next, &old, &err), &err);
	check(old);
	check_int(state_size(next), ==, 200);
	check_int(state_rec(next, "svc:/s7:default", NULL)->seq % 2, ==, 0);
	state_drop(next, state_rec(next, "svc:/s7:default", NULL));
	check(!state_read(reader, "svc:/s7:default", &copy));
}

TEST(a_foreign_state_file_is_not_believed)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *path = str_printf("%s/state", test_tmpdir());
	cleanup_free char *junk = xcalloc(1, 5000);
	cleanup_state struct state *s = NULL;
	bool old = true;

	check_ok(file_write_atomic(path, junk, 5000, 0644, &err), &err);
	check_int(state_open(path, &s, NULL), ==, -EBADMSG);
	check_ok(state_create(path, &s, &old, &err), &err);
	check(!old);
	check_int(state_size(s), ==, 0);
}
