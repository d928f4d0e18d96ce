/*
 * svccfg: imports, exports and edits the configuration of services.
 *
 * Commands come from the arguments, from a file (-f) or from standard input;
 * one table has them all.  They are carried out by svc.configd, or, with
 * SVCCFG_REPOSITORY naming a file, on that file (which is how the image's seed
 * is made).
 */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "smf/bundle.h"
#include "smf/repo.h"
#include "smf/repo_ops.h"
#include "smf/scf.h"

#define EARLY_PATIENCE_MS 15000

static struct repo *offline; /* the repository we work on directly, or NULL */
static char *selected;	     /* svc:/... or NULL */
static bool verbose, quit;

static int
request(const struct json *q, struct json **ret, struct error *err)
{
	cleanup_json struct json *reply = NULL;
	bool publish;
	int r;

	if (!offline)
		return scf_configd(q, ret, err);
	r = repo_op(offline, q, &reply, &publish, err);
	if (r == 0 && ret)
		*ret = steal_ptr(&reply);
	return r;
}

static struct json *
new_request(const char *op, const char *fmri)
{
	struct json *q = json_new_object();

	json_set_str(q, "op", op);
	if (fmri)
		json_set_str(q, "fmri", fmri);
	return q;
}

static int
need_selection(struct error *err)
{
	return selected ? 0 : error_set(err, EINVAL, "An entity must be selected.");
}

/* "svc:/x", "x" and "x:y" to an FMRI; *ret is the caller's. */
static int
full_fmri(const char *text, char **ret, struct error *err)
{
	cleanup_free char *fmri = str_after(text, "svc:/") ? xstrdup(text) : str_printf("svc:/%s", text);
	struct smf_fmri f;
	int r = smf_fmri_parse(fmri, &f, err);

	if (r == 0)
		*ret = steal_ptr(&fmri);
	return r;
}

/* What is selected, as a tree. */
static int
get_entity(const char *fmri, struct json **ret_reply, struct json **ret, struct error *err)
{
	cleanup_json struct json *q = new_request("get", fmri);
	int r = request(q, ret_reply, err);

	if (r == 0)
		*ret = json_get(*ret_reply, "entity");
	return r;
}

/* "pg/prop" in two; -EINVAL if there is no slash. */
static int
split_name(const char *text, char **ret_pg, char **ret_prop, struct error *err)
{
	const char *slash = strchr(text, '/');

	if (!slash || slash == text || !slash[1])
		return error_set(err, EINVAL, "\"%s\": PG/PROPERTY is wanted", text);
	*ret_pg = xstrndup(text, (size_t)(slash - text));
	*ret_prop = xstrdup(slash + 1);
	return 0;
}

/* import */

/* What tells one version of a file from another: 128 bits of FNV-1a, and the length. */
static char *
content_hash(const char *text, size_t len)
{
	uint64_t a = 0xcbf29ce484222325ull, b = 0x84222325cbf29ce4ull;

	for (size_t i = 0; i < len; i++) {
		a = (a ^ (unsigned char)text[i]) * 0x100000001b3ull;
		b = (b + (unsigned char)text[i]) * 0x9e3779b97f4a7c15ull;
		b ^= b >> 29;
	}
	return str_printf("%016llx%016llx-%zu", (unsigned long long)a, (unsigned long long)b, len);
}

static int
import_tree(const struct json *tree, const char *layer, struct error *err)
{
	struct json *service;
	int r;

	json_array_each(service, json_get(tree, "services"))
	{
		cleanup_json struct json *q = new_request("import", NULL);

		json_set(q, "service", json_copy(service));
		json_set_str(q, "layer", layer);
		json_set_bool(q, "publish", false);
		r = request(q, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

enum { IMPORTED, UNCHANGED };

static int
import_file(const char *path, bool always, struct error *err)
{
	cleanup_json struct json *tree = NULL, *q = new_request("hash_same", NULL), *reply = NULL;
	cleanup_free char *text = NULL, *hash = NULL;
	const char *type;
	size_t len;
	int r;

	r = file_read(path, 4 << 20, &text, &len, err);
	if (r < 0)
		return r;
	hash = content_hash(text, len);
	json_set_str(q, "file", path);
	json_set_str(q, "hash", hash);
	r = request(q, &reply, err);
	if (r < 0)
		return r;
	if (!always && json_bool(json_get(reply, "same"), false))
		return UNCHANGED;
	r = bundle_parse(text, len, path, &tree, err);
	if (r < 0)
		return r;
	type = json_str(json_get(tree, "type"), "");
	r = import_tree(tree, str_eq(type, "manifest") ? "manifest" : "admin", err);
	if (r < 0)
		return r;
	json_set_str(q, "op", "hash_set");
	json_set_bool(q, "publish", false);
	r = request(q, NULL, err);
	if (r == 0 && verbose)
		printf("svccfg: %s imported\n", path);
	return r < 0 ? r : IMPORTED;
}

struct tally {
	size_t imported, unchanged, failed;
};

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* A file, or a tree's *.xml in order of name.  A bad manifest is told and does not stop the others. */
static void
import_path(const char *path, bool always, struct tally *t)
{
	cleanup_error struct error err = ERROR_INIT;
	struct dirent **names;
	struct stat st;
	int n, r;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		n = scandir(path, &names, NULL, by_name);
		for (int i = 0; i < n; i++) {
			cleanup_free char *sub = str_printf("%s/%s", path, names[i]->d_name);

			if (names[i]->d_name[0] != '.' &&
			    ((stat(sub, &st) == 0 && S_ISDIR(st.st_mode)) || str_ends(sub, ".xml")))
				import_path(sub, always, t);
			free(names[i]);
		}
		if (n >= 0)
			free(names);
		return;
	}
	r = import_file(path, always, &err);
	if (r < 0) {
		cli_warn("%s", error_message(&err));
		t->failed++;
	} else if (r == UNCHANGED) {
		t->unchanged++;
	} else {
		t->imported++;
	}
}

/* At boot: svc.configd may only just be starting. */
static void
await_configd(void)
{
	uint64_t deadline = time_mono_ms() + EARLY_PATIENCE_MS;
	cleanup_json struct json *q = new_request("list", NULL);

	while (!offline && scf_configd(q, NULL, NULL) < 0 && time_mono_ms() < deadline)
		poll(NULL, 0, 20);
}

static int
cmd_import(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = new_request("publish", NULL);
	struct tally t = {0};
	bool early = false;
	int i = 1, r;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (str_eq(argv[i], "--early"))
			early = true;
		else if (!str_eq(argv[i], "-V"))
			return error_set(err, EINVAL, "import: unknown option %s", argv[i]);
	}
	if (i == argc)
		return error_set(err, EINVAL, "import: which file?");
	if (early)
		await_configd();
	for (; i < argc; i++)
		import_path(argv[i], !early, &t);
	r = request(q, NULL, err);
	if (r < 0)
		return r;
	if (early)
		printf("svccfg: %zu manifests imported, %zu unchanged, %zu failed\n", t.imported,
		       t.unchanged, t.failed);
	return t.failed ? error_set(err, EINVAL, "%zu of the bundles could not be imported", t.failed) : 0;
}

static int
cmd_apply(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *tree = NULL, *q = new_request("publish", NULL);
	int r;

	r = bundle_read(argv[argc - 1], &tree, err);
	if (r == 0 && !str_eq(json_str(json_get(tree, "type"), ""), "profile"))
		return error_set(err, EINVAL, "%s is not a profile", argv[argc - 1]);
	if (r == 0 && !(argc == 3 && str_eq(argv[1], "-n"))) {
		r = import_tree(tree, "admin", err);
		if (r == 0)
			r = request(q, NULL, err);
	}
	return r;
}

static int
cmd_validate(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *tree = NULL;

	return argc < 2 ? 0 : bundle_read(argv[1], &tree, err);
}

static int
cmd_inventory(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *tree = NULL;
	struct json *service, *inst;
	int r = bundle_read(argv[1], &tree, err);

	if (r < 0)
		return r;
	json_array_each(service, json_get(tree, "services"))
	{
		const char *name = json_str(json_get(service, "name"), "");

		for (size_t i = 0; (inst = json_at(json_get(service, "instances"), i)) != NULL; i++)
			printf("svc:/%s:%s\n", name, json_str(json_get(inst, "name"), ""));
		printf("svc:/%s\n", name);
	}
	return 0;
}

static int
cmd_export(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *reply = NULL, *tree = json_new_object();
	cleanup_free char *fmri = NULL, *service = NULL, *text = NULL;
	struct json *entity;
	int r, i = 1;

	if (i < argc && str_eq(argv[i], "-a"))
		i++;
	if (i < argc)
		r = full_fmri(argv[i], &fmri, err);
	else
		r = need_selection(err);
	if (r < 0)
		return r;
	service = smf_fmri_service(fmri ?: selected);
	r = get_entity(service, &reply, &entity, err);
	if (r < 0)
		return r;
	json_set_str(tree, "type", "manifest");
	json_set_str(tree, "name", "export");
	json_set(tree, "services", json_new_array());
	json_push(json_get(tree, "services"), json_copy(entity));
	text = bundle_print(tree);
	fputs(text, stdout);
	return 0;
}

/* The image's seed: `svccfg seed DATABASE PLAN DIRECTORY...` */
static int
cmd_seed(int argc, char **argv, struct error *err)
{
	struct tally t = {0};
	int r;

	if (argc < 4)
		return error_set(err, EINVAL, "seed: DATABASE PLAN DIRECTORY... is wanted");
	if (unlink(argv[1]) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", argv[1]);
	repo_free(offline);
	offline = NULL;
	r = repo_open(argv[1], true, &offline, err);
	if (r < 0)
		return r;
	for (int i = 3; i < argc; i++)
		import_path(argv[i], true, &t);
	r = repo_publish(offline, argv[2], err);
	if (r == 0 && t.failed)
		r = error_set(err, EINVAL, "%zu of the manifests are bad", t.failed);
	if (r == 0 && verbose)
		printf("svccfg: %zu manifests\n", t.imported);
	return r;
}

/* Selection and lists. */

static int
cmd_select(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *reply = NULL;
	cleanup_free char *fmri = NULL;
	struct json *entity;
	int r;

	if (selected && !str_after(argv[1], "svc:/") && !strchr(argv[1], '/')) { /* an instance of it */
		cleanup_free char *service = smf_fmri_service(selected);

		fmri = str_printf("%s:%s", service, argv[1]);
		if (get_entity(fmri, &reply, &entity, NULL) == 0) {
			free(selected);
			selected = steal_ptr(&fmri);
			return 0;
		}
		free(fmri);
		fmri = NULL;
	}
	r = full_fmri(argv[1], &fmri, err);
	if (r == 0)
		r = get_entity(fmri, &reply, &entity, err);
	if (r < 0)
		return r;
	free(selected);
	selected = steal_ptr(&fmri);
	return 0;
}

static int
cmd_unselect(int argc, char **argv, struct error *err)
{
	char *service = selected ? smf_fmri_service(selected) : NULL;

	if (!service || str_eq(service, selected)) {
		free(service);
		service = NULL;
	}
	free(selected);
	selected = service;
	return 0;
}

static int
cmd_list(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = new_request("list", NULL), *reply = NULL;
	cleanup_free char *service = selected ? smf_fmri_service(selected) : NULL;
	struct json *s, *i;
	int r = request(q, &reply, err);

	if (r < 0)
		return r;
	json_array_each(s, json_get(reply, "services"))
	{
		const char *name = json_str(json_get(s, "name"), "");

		if (!service) {
			if (argc < 2 || smf_fmri_match(name, argv[1]))
				printf("%s\n", name);
			continue;
		}
		if (!str_eq(service + strlen("svc:/"), name))
			continue;
		printf(":properties\n");
		for (size_t n = 0; (i = json_at(json_get(s, "instances"), n)) != NULL; n++)
			printf("%s\n", json_str(i, ""));
	}
	return 0;
}

static void
print_value(const char *type, const char *value)
{
	bool quote = (str_eq(type, "astring") || str_eq(type, "ustring") || str_eq(type, "opaque")) &&
		     (!*value || value[strcspn(value, " \t\"\\;()")]);

	if (!quote) {
		printf(" %s", value);
		return;
	}
	printf(" \"");
	for (; *value; value++)
		printf("%s%c", strchr("\"\\", *value) ? "\\" : "", *value);
	printf("\"");
}

/* Does NAME, or GROUP/NAME, match the pattern given, or is there none? */
static bool
wanted(int argc, char **argv, const char *pg, const char *prop)
{
	cleanup_free char *name = str_printf("%s%s%s", pg, prop ? "/" : "", prop ?: "");

	if (argc < 2)
		return true;
	return smf_fmri_match(name, argv[1]) ? (str_eq(name, argv[1]) || strpbrk(argv[1], "*?["))
					     : prop && str_eq(pg, argv[1]);
}

static int
cmd_listprop(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *reply = NULL;
	struct json *entity, *pg, *prop, *v;
	int r = need_selection(err);

	if (r == 0)
		r = get_entity(selected, &reply, &entity, err);
	if (r < 0)
		return r;
	json_array_each(pg, json_get(entity, "pgs"))
	{
		const char *name = json_str(json_get(pg, "name"), "");
		const char *type = json_str(json_get(pg, "type"), "");

		if (wanted(argc, argv, name, NULL))
			printf("%-34s %s%s\n", name, type,
			       json_bool(json_get(pg, "persistent"), true) ? "" : "\tNONPERSISTENT");
		if (str_eq(argv[0], "listpg"))
			continue;
		for (size_t i = 0; (prop = json_at(json_get(pg, "props"), i)) != NULL; i++) {
			cleanup_free char *full =
				str_printf("%s/%s", name, json_str(json_get(prop, "name"), ""));

			type = json_str(json_get(prop, "type"), "");
			if (!wanted(argc, argv, name, json_str(json_get(prop, "name"), "")))
				continue;
			printf("%-34s %-8s", full, type);
			for (size_t n = 0; (v = json_at(json_get(prop, "values"), n)) != NULL; n++)
				print_value(type, json_str(v, ""));
			printf("\n");
		}
	}
	return 0;
}

/* Changes. */

static int
cmd_add(int argc, char **argv, struct error *err)
{
	cleanup_free char *fmri = NULL, *service = NULL;
	cleanup_json struct json *q = NULL;
	int r = 0;

	if (selected && !strchr(argv[1], '/')) {
		service = smf_fmri_service(selected);
		fmri = str_printf("%s:%s", service, argv[1]);
	} else {
		r = full_fmri(argv[1], &fmri, err);
	}
	if (r < 0)
		return r;
	q = new_request("add", fmri);
	return request(q, NULL, err);
}

static int
cmd_delete(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = NULL;
	cleanup_free char *fmri = NULL;
	struct scf_status s;
	bool force = argc > 2 && str_eq(argv[1], "-f");
	int r = full_fmri(argv[argc - 1], &fmri, err);

	if (r < 0)
		return r;
	if (!force && !offline && scf_state(fmri, &s, NULL) == 0 && smf_state_running(s.state))
		return error_set(err, EBUSY, "Instance \"%s\" may not be deleted: it is %s.", fmri,
				 smf_state_name(s.state));
	q = new_request("delete", fmri);
	return request(q, NULL, err);
}

static int
cmd_addpg(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = NULL;
	int r = need_selection(err);

	if (r < 0)
		return r;
	q = new_request("addpg", selected);
	json_set_str(q, "pg", argv[1]);
	json_set_str(q, "type", argc > 2 ? argv[2] : "application");
	json_set_bool(q, "persistent", !(argc > 3 && strchr(argv[3], 'P')));
	return request(q, NULL, err);
}

static int
cmd_delpg(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = NULL;
	int r = need_selection(err);

	if (r < 0)
		return r;
	q = new_request("delpg", selected);
	json_set_str(q, "pg", argv[1]);
	return request(q, NULL, err);
}

static int
cmd_delprop(int argc, char **argv, struct error *err)
{
	cleanup_free char *pg = NULL, *prop = NULL;
	cleanup_json struct json *q = NULL;
	int r = need_selection(err);

	if (r < 0)
		return r;
	if (!strchr(argv[1], '/'))
		return cmd_delpg(argc, argv, err);
	r = split_name(argv[1], &pg, &prop, err);
	if (r < 0)
		return r;
	q = new_request("delprop", selected);
	json_set_str(q, "pg", pg);
	json_set_str(q, "prop", prop);
	return request(q, NULL, err);
}

/*
 * setprop PG/PROP = [TYPE:] VALUE | [TYPE:] ( VALUE ... ).  The words may be
 * joined as the shell or the writer likes: "pg/p=count:5", "pg/p = count: 5".
 */
struct assignment {
	char *pg, *prop, *type;
	struct json *values;
};

static void
assignment_done(struct assignment *a)
{
	free(a->pg);
	free(a->prop);
	free(a->type);
	json_free(a->values);
}
#define cleanup_assignment CLEANUP(assignment_done)

static int
parse_assignment(int argc, char **argv, bool need_equals, struct assignment *a, struct error *err)
{
	cleanup_strv struct strv w = STRV_INIT;
	char *eq, *colon;
	size_t i = 0;
	int r;

	for (int k = 1; k < argc; k++)
		strv_add(&w, argv[k]);
	if (w.n == 0)
		return error_set(err, EINVAL, "%s: PG/PROPERTY is wanted", argv[0]);
	eq = strchr(w.v[0], '=');
	if (eq) {
		cleanup_free char *rest = xstrdup(eq + 1);

		*eq = '\0';
		if (*rest) {
			free(w.v[1]);
			if (w.n == 1)
				strv_add(&w, rest);
			else
				w.v[1] = str_printf("%s%s%s", rest, "", "");
		}
		i = 1;
	} else if (w.n > 1 && w.v[1][0] == '=') {
		memmove(w.v[1], w.v[1] + 1, strlen(w.v[1]));
		i = w.v[1][0] ? 1 : 2;
	} else if (need_equals) {
		return error_set(err, EINVAL, "setprop: PG/PROPERTY = [TYPE:] VALUE is wanted");
	} else {
		i = 1;
	}
	r = split_name(w.v[0], &a->pg, &a->prop, err);
	if (r < 0)
		return r;
	a->values = json_new_array();
	if (i < w.n && (colon = strchr(w.v[i], ':')) != NULL) {
		cleanup_free char *type = xstrndup(w.v[i], (size_t)(colon - w.v[i]));

		if (smf_type_known(type)) {
			a->type = steal_ptr(&type);
			memmove(w.v[i], colon + 1, strlen(colon));
			if (!w.v[i][0])
				i++;
		}
	}
	if (i < w.n && w.v[i][0] == '(') {
		size_t last = w.n - 1, len = strlen(w.v[last]);

		memmove(w.v[i], w.v[i] + 1, strlen(w.v[i]));
		len = strlen(w.v[last]);
		if (len == 0 || w.v[last][len - 1] != ')')
			return error_set(err, EINVAL, "the list of values is not closed by )");
		w.v[last][len - 1] = '\0';
		for (; i < w.n; i++) {
			if (*w.v[i])
				json_push(a->values, json_new_str(w.v[i]));
		}
	} else {
		if (i + 1 < w.n)
			return error_set(err, EINVAL, "several values stand in ( )");
		if (i < w.n)
			json_push(a->values, json_new_str(w.v[i]));
	}
	return 0;
}

static int
send_set(const char *pg, const char *prop, const char *type, struct json *values, struct error *err)
{
	cleanup_json struct json *q = new_request("set", selected);

	json_set_str(q, "pg", pg);
	json_set_str(q, "prop", prop);
	if (type)
		json_set_str(q, "type", type);
	json_set(q, "values", values);
	return request(q, NULL, err);
}

static int
cmd_setprop(int argc, char **argv, struct error *err)
{
	cleanup_assignment struct assignment a = {0};
	int r = need_selection(err);

	if (r == 0)
		r = parse_assignment(argc, argv, true, &a, err);
	return r < 0 ? r : send_set(a.pg, a.prop, a.type, steal_ptr(&a.values), err);
}

/* The values a property has; an empty array if it is not there. */
static int
current_values(const char *pg, const char *prop, struct json **ret, struct error *err)
{
	cleanup_json struct json *reply = NULL;
	struct json *entity, *g, *p;
	int r = get_entity(selected, &reply, &entity, err);

	if (r < 0)
		return r;
	g = bundle_find(json_get(entity, "pgs"), pg);
	p = bundle_find(json_get(g, "props"), prop);
	*ret = p ? json_copy(json_get(p, "values")) : json_new_array();
	return 0;
}

static int
change_values(int argc, char **argv, bool add, struct error *err)
{
	cleanup_assignment struct assignment a = {0};
	cleanup_json struct json *values = NULL;
	struct json *v;
	int r = need_selection(err);

	if (r == 0)
		r = parse_assignment(argc, argv, false, &a, err);
	if (r == 0)
		r = current_values(a.pg, a.prop, &values, err);
	if (r < 0)
		return r;
	json_array_each(v, a.values)
	{
		if (add) {
			json_push(values, json_copy(v));
			continue;
		}
		for (size_t i = json_len(values); i-- > 0;) {
			if (json_equal(json_at(values, i), v))
				json_remove_at(values, i);
		}
	}
	return send_set(a.pg, a.prop, a.type, steal_ptr(&values), err);
}

static int
cmd_addpropvalue(int argc, char **argv, struct error *err)
{
	return change_values(argc, argv, true, err);
}

static int
cmd_delpropvalue(int argc, char **argv, struct error *err)
{
	return change_values(argc, argv, false, err);
}

/* setenv and unsetenv: values NAME=VALUE of method_context/environment, or of a method's (-m). */
static int
change_env(int argc, char **argv, bool set, struct error *err)
{
	cleanup_json struct json *q = NULL, *values = NULL;
	const char *pg = "method_context", *name;
	cleanup_free char *prefix = NULL;
	int i = 1, r = need_selection(err);

	for (; r == 0 && i < argc && argv[i][0] == '-'; i++) {
		if (str_eq(argv[i], "-m") && i + 1 < argc)
			pg = argv[++i];
		else if (!str_eq(argv[i], "-i") && !str_eq(argv[i], "-s"))
			return error_set(err, EINVAL, "%s: unknown option %s", argv[0], argv[i]);
	}
	if (r < 0)
		return r;
	if (argc - i != (set ? 2 : 1))
		return error_set(err, EINVAL, "usage: %s [-m METHOD] NAME%s", argv[0], set ? " VALUE" : "");
	name = argv[i];
	prefix = str_printf("%s=", name);
	r = current_values(pg, "environment", &values, err);
	if (r < 0)
		return r;
	for (size_t k = json_len(values); k-- > 0;) {
		if (str_after(json_str(json_at(values, k), ""), prefix))
			json_remove_at(values, k);
	}
	if (set) {
		cleanup_free char *entry = str_printf("%s%s", prefix, argv[i + 1]);

		json_push(values, json_new_str(entry));
	}
	q = new_request("addpg", selected);
	json_set_str(q, "pg", pg);
	json_set_str(q, "type", str_eq(pg, "method_context") ? "framework" : "method");
	r = request(q, NULL, err);
	return r < 0 ? r : send_set(pg, "environment", "astring", steal_ptr(&values), err);
}

static int
cmd_setenv(int argc, char **argv, struct error *err)
{
	return change_env(argc, argv, true, err);
}

static int
cmd_unsetenv(int argc, char **argv, struct error *err)
{
	return change_env(argc, argv, false, err);
}

static int
cmd_refresh(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = NULL;
	struct smf_fmri f;
	int r = need_selection(err);

	if (r < 0)
		return r;
	q = new_request("refresh", selected);
	smf_fmri_parse(selected, &f, NULL);
	if (offline || f.kind == SMF_FMRI_SERVICE)
		return request(q, NULL, err);
	return scf_refresh(selected, err);
}

static int
cmd_revert(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = NULL;
	int r = need_selection(err);

	if (r < 0)
		return r;
	q = new_request("revert", selected);
	if (argc > 1)
		json_set_str(q, "pg", argv[1]);
	return request(q, NULL, err);
}

static int
cmd_listcust(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = new_request("list", NULL), *reply = NULL;
	struct json *s;
	int r = request(q, &reply, err);

	json_array_each(s, json_get(reply, "services"))
	{
		cleanup_free char *fmri = str_printf("svc:/%s", json_str(json_get(s, "name"), ""));
		cleanup_json struct json *one = NULL;
		struct json *entity = NULL, *pg, *prop, *insts, *from;

		r = get_entity(fmri, &one, &entity, err);
		if (r < 0)
			return r;
		insts = json_get(entity, "instances");
		for (size_t i = 0; i <= json_len(insts); i++) {
			from = i ? json_at(insts, i - 1) : entity;
			for (size_t g = 0; (pg = json_at(json_get(from, "pgs"), g)) != NULL; g++) {
				for (size_t p = 0; (prop = json_at(json_get(pg, "props"), p)) != NULL; p++) {
					if (!str_eq(json_str(json_get(prop, "layer"), ""), "admin"))
						continue;
					printf("%s%s%s/:properties/%s/%s\n", fmri, i ? ":" : "",
					       i ? json_str(json_get(from, "name"), "") : "",
					       json_str(json_get(pg, "name"), ""),
					       json_str(json_get(prop, "name"), ""));
				}
			}
		}
	}
	return r;
}

static int
cmd_attach(int argc, char **argv, struct error *err)
{
	cleanup_json struct json *q = new_request("attach", NULL);

	if (argc > 1)
		json_set_str(q, "file", argv[1]);
	return request(q, NULL, err);
}

static int
cmd_end(int argc, char **argv, struct error *err)
{
	quit = true;
	return 0;
}

static int cmd_help(int argc, char **argv, struct error *err);

static const struct command {
	const char *name, *args, *summary;
	int least, most; /* operands; most -1: any number */
	int (*run)(int argc, char **argv, struct error *err);
} commands[] = {
	{"import", "FILE|DIRECTORY...", "take manifests in", 1, -1, cmd_import},
	{"apply", "[-n] FILE", "take a profile in", 1, 2, cmd_apply},
	{"export", "[-a] [FMRI]", "print a service as a manifest", 0, 2, cmd_export},
	{"validate", "FILE", "check a bundle", 0, 1, cmd_validate},
	{"inventory", "FILE", "list the services in a bundle", 1, 1, cmd_inventory},
	{"list", "[PATTERN]", "list services, or what is in the selected one", 0, 1, cmd_list},
	{"select", "FMRI", "choose a service or an instance", 1, 1, cmd_select},
	{"unselect", "", "choose the parent again", 0, 0, cmd_unselect},
	{"add", "NAME", "make a service or an instance", 1, 1, cmd_add},
	{"delete", "[-f] FMRI", "remove a service or an instance", 1, 2, cmd_delete},
	{"listprop", "[PATTERN]", "list properties", 0, 1, cmd_listprop},
	{"listpg", "[PATTERN]", "list property groups", 0, 1, cmd_listprop},
	{"addpg", "NAME [TYPE [FLAGS]]", "make a property group; flag P: not persistent", 1, 3, cmd_addpg},
	{"delpg", "NAME", "remove a property group", 1, 1, cmd_delpg},
	{"setprop", "PG/PROP = [TYPE:] VALUE", "set a property", 1, -1, cmd_setprop},
	{"delprop", "PG[/PROP]", "remove a property", 1, 1, cmd_delprop},
	{"addpropvalue", "PG/PROP [TYPE:] VALUE", "add a value", 2, -1, cmd_addpropvalue},
	{"delpropvalue", "PG/PROP VALUE", "remove a value", 2, 2, cmd_delpropvalue},
	{"setenv", "[-m METHOD] NAME VALUE", "set a variable for methods", 2, -1, cmd_setenv},
	{"unsetenv", "[-m METHOD] NAME", "unset it", 1, -1, cmd_unsetenv},
	{"refresh", "", "take the changes into use", 0, 0, cmd_refresh},
	{"revert", "[PG]", "forget an administrator's changes", 0, 1, cmd_revert},
	{"listcust", "", "list an administrator's changes", 0, 0, cmd_listcust},
	{"seed", "DATABASE PLAN DIRECTORY...", NULL, 3, -1, cmd_seed},
	{"attach", "[FILE]", NULL, 0, 1, cmd_attach},
	{"end|exit|quit", "", "leave", 0, 0, cmd_end},
	{"help", "[COMMAND]", "this", 0, 1, cmd_help},
};

static bool
is_named(const struct command *c, const char *name)
{
	cleanup_strv struct strv names = STRV_INIT;

	strv_words(&names, c->name, "|");
	return strv_has(&names, name);
}

static int
cmd_help(int argc, char **argv, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (c->summary && (argc < 2 || is_named(c, argv[1])))
			printf("%-14s %-28s %s\n", c->name, c->args, c->summary);
	}
	return 0;
}

static int
run_command(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (!is_named(c, argv[0]))
			continue;
		if (argc - 1 < c->least || (c->most >= 0 && argc - 1 > c->most)) {
			fprintf(stderr, "usage: %s %s\n", c->name, c->args);
			return CLI_USAGE;
		}
		return c->run(argc, argv, &err) < 0 ? cli_error(&err) : 0;
	}
	cli_warn("unknown command \"%s\" (help lists them)", argv[0]);
	return CLI_USAGE;
}

/* Words of a line; "..." holds blanks, \ the next character, # starts a comment. */
static int
split_line(const char *line, struct strv *words)
{
	const char *p = line;

	for (;;) {
		cleanup_strbuf struct strbuf b = STRBUF_INIT;
		bool quoted = false;

		while (*p == ' ' || *p == '\t' || *p == '\n')
			p++;
		if (!*p || *p == '#')
			return 0;
		for (; *p && (quoted || !strchr(" \t\n", *p)); p++) {
			if (*p == '"') {
				quoted = !quoted;
				strbuf_add(&b, "", 0);
			} else if (*p == '\\' && p[1]) {
				strbuf_addc(&b, *++p);
			} else {
				strbuf_addc(&b, *p);
			}
		}
		if (quoted)
			return -EINVAL;
		strv_take(words, strbuf_steal(&b));
	}
}

static int
run_file(FILE *f)
{
	cleanup_free char *line = NULL;
	bool prompt = isatty(fileno(f));
	size_t cap = 0;
	int status = 0;

	while (!quit) {
		cleanup_strv struct strv words = STRV_INIT;

		if (prompt) {
			printf("%s> ", selected ?: "svc:");
			fflush(stdout);
		}
		if (getline(&line, &cap, f) < 0)
			break;
		if (split_line(line, &words) < 0) {
			cli_warn("a quote is not closed");
			status = CLI_FAILED;
		} else if (words.n > 0) {
			int r = run_command((int)words.n, words.v);

			status = r ? r : status;
		}
	}
	return status;
}

static int
usage(bool asked)
{
	return cli_usage_text(asked, "svccfg [-v] [-s FMRI] [-f FILE | COMMAND [ARGUMENT...]]\n"
				     "       svccfg help lists the commands");
}

int
main(int argc, char **argv)
{
	const char *file = NULL, *fmri = NULL, *repository = getenv("SVCCFG_REPOSITORY");
	cleanup_error struct error err = ERROR_INIT;
	int c, status;

	cli_init(argv[0]);
	if (cli_asks_help(argc, argv))
		return usage(true);
	while ((c = getopt(argc, argv, "+vs:f:")) != -1) {
		switch (c) {
		case 'v':
			verbose = true;
			break;
		case 's':
			fmri = optarg;
			break;
		case 'f':
			file = optarg;
			break;
		default:
			return usage(false);
		}
	}
	if (repository && repo_open(repository, true, &offline, &err) < 0)
		return cli_error(&err);
	if (fmri && cmd_select(2, (char *[]){(char *)(uintptr_t) "select", (char *)(uintptr_t)fmri}, &err) < 0)
		return cli_error(&err);
	if (file) {
		cleanup_fclose FILE *f = str_eq(file, "-") ? fdopen(dup(0), "r") : fopen(file, "re");

		if (!f)
			return cli_fail("%s: %s", file, strerror(errno));
		status = run_file(f);
	} else if (optind < argc) {
		status = run_command(argc - optind, argv + optind);
	} else {
		status = run_file(stdin);
	}
	repo_free(offline);
	free(selected);
	return status;
}
