/*
 * The table of the repository's operations; see repo_ops.h.
 */
#include "smf/repo_ops.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "smf/smf.h"

/* Fields every operation may use. */
struct req {
	const struct json *body;
	const char *fmri, *pg, *prop, *type;
	enum repo_layer layer;
	struct json *reply; /* an object to fill */
};

static int
op_get(struct repo *r, struct req *q, struct error *err)
{
	struct json *tree;
	int rc = repo_get(r, q->fmri, &tree, err);

	if (rc == 0)
		json_set(q->reply, "entity", tree);
	return rc;
}

static int
op_list(struct repo *r, struct req *q, struct error *err)
{
	struct json *list;
	int rc = repo_list(r, &list, err);

	if (rc == 0)
		json_set(q->reply, "services", list);
	return rc;
}

static int
op_add(struct repo *r, struct req *q, struct error *err)
{
	return repo_add(r, q->fmri, err);
}

static int
op_delete(struct repo *r, struct req *q, struct error *err)
{
	return repo_delete(r, q->fmri, err);
}

static int
op_addpg(struct repo *r, struct req *q, struct error *err)
{
	return repo_add_pg(r, q->fmri, q->pg, q->type,
			   json_bool(json_get(q->body, "persistent"), true), q->layer, err);
}

static int
op_delpg(struct repo *r, struct req *q, struct error *err)
{
	return repo_del_pg(r, q->fmri, q->pg, q->layer, err);
}

static int
op_set(struct repo *r, struct req *q, struct error *err)
{
	return repo_set(r, q->fmri, q->pg, q->prop, *q->type ? q->type : NULL,
			json_get(q->body, "values"), q->layer, err);
}

static int
op_delprop(struct repo *r, struct req *q, struct error *err)
{
	return repo_del_prop(r, q->fmri, q->pg, q->prop, q->layer, err);
}

static int
op_revert(struct repo *r, struct req *q, struct error *err)
{
	return repo_revert(r, q->fmri, *q->pg ? q->pg : NULL, err);
}

static int
op_refresh(struct repo *r, struct req *q, struct error *err)
{
	return repo_refresh(r, q->fmri, err);
}

static int
op_import(struct repo *r, struct req *q, struct error *err)
{
	static const char *const layers[] = {"manifest", "profile", "admin"};
	const char *layer = json_str(json_get(q->body, "layer"), "manifest");

	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		if (str_eq(layer, layers[i]))
			return repo_import(r, json_get(q->body, "service"), (enum repo_layer)i, err);
	}
	return error_set(err, EINVAL, "unknown layer \"%s\"", layer);
}

/*
 * svcadm enable and disable.  Temporary: general_ovr, which dies with the
 * boot.  Otherwise general/enabled, and a temporary choice is forgotten.
 */
static int
op_enable(struct repo *r, struct req *q, struct error *err)
{
	const char *value = json_bool(json_get(q->body, "enabled"), false) ? "true" : "false";
	const char *comment = json_str(json_get(q->body, "comment"), "");
	bool temporary = json_bool(json_get(q->body, "temporary"), false);
	const char *pg = temporary ? "general_ovr" : "general";
	struct smf_fmri f;
	int rc;

	rc = smf_fmri_parse(q->fmri, &f, err);
	if (rc == 0 && f.kind != SMF_FMRI_INSTANCE)
		return error_set(err, EINVAL, "%s is not an instance", q->fmri);
	if (rc == 0 && !temporary) {
		rc = repo_del_pg(r, q->fmri, "general_ovr", REPO_MANIFEST, err);
		if (rc == -ENOENT) {
			error_done(err); /* there was no temporary choice */
			rc = 0;
		}
	}
	if (rc == 0)
		rc = repo_add_pg(r, q->fmri, pg, "framework", !temporary, REPO_MANIFEST, err);
	if (rc == 0)
		rc = repo_set1(r, q->fmri, pg, "enabled", "boolean", value, REPO_ADMIN, err);
	if (rc == 0 && *comment)
		rc = repo_set1(r, q->fmri, pg, "comment", "astring", comment, REPO_ADMIN, err);
	if (rc == 0 && !*comment) {
		rc = repo_del_prop(r, q->fmri, pg, "comment", REPO_MANIFEST, err);
		if (rc == -ENOENT) {
			error_done(err);
			rc = 0;
		}
	}
	return rc;
}

static int
op_hash_same(struct repo *r, struct req *q, struct error *err)
{
	json_set_bool(q->reply, "same",
		      repo_hash_same(r, json_str(json_get(q->body, "file"), ""),
				     json_str(json_get(q->body, "hash"), "")));
	return 0;
}

static int
op_hash_set(struct repo *r, struct req *q, struct error *err)
{
	return repo_hash_set(r, json_str(json_get(q->body, "file"), ""),
			     json_str(json_get(q->body, "hash"), ""), err);
}

/* Has its own transaction, since ATTACH cannot stand in one. */
static int
op_attach(struct repo *r, struct req *q, struct error *err)
{
	return repo_attach_admin(r, json_str(json_get(q->body, "file"), SMF_ADMIN_PATH), err);
}

static int
op_publish(struct repo *r, struct req *q, struct error *err)
{
	return 0; /* the caller does it, as after every write */
}

enum { READ = 0, WRITE = 1, OWN_TRANSACTION = 2, NEEDS_FMRI = 4, NEEDS_PG = 8 };

static const struct op {
	const char *name;
	int flags;
	int (*run)(struct repo *r, struct req *q, struct error *err);
} ops[] = {
	{"get", READ | NEEDS_FMRI, op_get},
	{"list", READ, op_list},
	{"hash_same", READ, op_hash_same},
	{"add", WRITE | NEEDS_FMRI, op_add},
	{"delete", WRITE | NEEDS_FMRI, op_delete},
	{"addpg", WRITE | NEEDS_FMRI | NEEDS_PG, op_addpg},
	{"delpg", WRITE | NEEDS_FMRI | NEEDS_PG, op_delpg},
	{"set", WRITE | NEEDS_FMRI | NEEDS_PG, op_set},
	{"delprop", WRITE | NEEDS_FMRI | NEEDS_PG, op_delprop},
	{"revert", WRITE | NEEDS_FMRI, op_revert},
	{"refresh", WRITE | NEEDS_FMRI, op_refresh},
	{"import", WRITE, op_import},
	{"enable", WRITE | NEEDS_FMRI, op_enable},
	{"hash_set", WRITE, op_hash_set},
	{"attach", WRITE | OWN_TRANSACTION, op_attach},
	{"publish", WRITE | OWN_TRANSACTION, op_publish},
};

static const struct op *
find_op(const struct json *request)
{
	const char *name = json_str(json_get(request, "op"), "");

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (str_eq(name, ops[i].name))
			return &ops[i];
	}
	return NULL;
}

bool
repo_op_writes(const struct json *request)
{
	const struct op *op = find_op(request);

	return !op || (op->flags & WRITE); /* a batch, or what will be refused anyway */
}

static int
run_one(struct repo *r, const struct op *op, const struct json *request, struct json *reply,
	struct error *err)
{
	struct req q = {
		.body = request,
		.fmri = json_str(json_get(request, "fmri"), NULL),
		.pg = json_str(json_get(request, "pg"), ""),
		.prop = json_str(json_get(request, "prop"), ""),
		.type = json_str(json_get(request, "type"), ""),
		.layer = json_bool(json_get(request, "manifest"), false) ? REPO_MANIFEST
									  : REPO_ADMIN,
		.reply = reply,
	};

	if ((op->flags & NEEDS_FMRI) && !q.fmri)
		return error_set(err, EINVAL, "%s: \"fmri\" is missing", op->name);
	if ((op->flags & NEEDS_PG) && !*q.pg)
		return error_set(err, EINVAL, "%s: \"pg\" is missing", op->name);
	return op->run(r, &q, err);
}

static int
run_batch(struct repo *r, const struct json *list, struct json *reply, struct error *err)
{
	struct json *request;
	int rc;

	json_array_each(request, list)
	{
		const struct op *op = find_op(request);

		if (!op || (op->flags & OWN_TRANSACTION))
			return error_set(err, EINVAL, "\"%s\" cannot be part of a batch",
					 json_str(json_get(request, "op"), ""));
		rc = run_one(r, op, request, reply, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
repo_op(struct repo *r, const struct json *request, struct json **ret, bool *ret_publish,
	struct error *err)
{
	cleanup_json struct json *reply = json_new_object();
	const struct json *batch = json_get(request, "ops");
	const struct op *op = find_op(request);
	bool transaction;
	int rc;

	if (!op && !str_eq(json_str(json_get(request, "op"), ""), "batch"))
		return error_set(err, EINVAL, "unknown operation \"%s\"",
				 json_str(json_get(request, "op"), ""));
	transaction = !op || (op->flags & (WRITE | OWN_TRANSACTION)) == WRITE;
	rc = transaction ? repo_begin(r, err) : 0;
	if (rc < 0)
		return rc;
	rc = op ? run_one(r, op, request, reply, err) : run_batch(r, batch, reply, err);
	if (transaction && rc < 0)
		repo_end(r, true, NULL);
	else if (transaction)
		rc = repo_end(r, false, err);
	if (rc < 0)
		return rc;
	*ret_publish = repo_op_writes(request) && json_bool(json_get(request, "publish"), true);
	*ret = steal_ptr(&reply);
	return 0;
}
