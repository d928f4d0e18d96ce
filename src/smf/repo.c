/*
 * The repository in SQLite; see repo.h for layers and what lasts.
 *
 * Tables: entity (services have parent 0, instances their service), pg, prop,
 * snapshot, manifest (hashes), meta.  A property's values are one blob of
 * NUL-terminated strings, in order.  A row whose type is NULL is a tombstone:
 * an administrator removed what a manifest declares.
 */
#include "smf/repo.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "base/str.h"
#include "smf/bundle.h"
#include "smf/plan.h"
#include "smf/smf.h"

#define SCHEMA_VERSION "1"
#define N_CACHED 64

struct repo {
	sqlite3 *db;
	struct {
		const char *sql; /* compared by address: statements are literals */
		sqlite3_stmt *stmt;
	} cache[N_CACHED];
	size_t n_cached;
	bool admin; /* /var's database is attached */
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS entity(id INTEGER PRIMARY KEY, parent INTEGER NOT NULL,"
	" name TEXT NOT NULL, type TEXT, UNIQUE(parent, name));"
	"CREATE TABLE IF NOT EXISTS pg(id INTEGER PRIMARY KEY, entity INTEGER NOT NULL"
	" REFERENCES entity(id) ON DELETE CASCADE, name TEXT NOT NULL, type TEXT,"
	" persistent INTEGER NOT NULL, layer INTEGER NOT NULL, UNIQUE(entity, name));"
	"CREATE TABLE IF NOT EXISTS prop(pg INTEGER NOT NULL REFERENCES pg(id) ON DELETE CASCADE,"
	" name TEXT NOT NULL, type TEXT, vals BLOB, layer INTEGER NOT NULL,"
	" PRIMARY KEY(pg, name)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS snapshot(entity INTEGER NOT NULL"
	" REFERENCES entity(id) ON DELETE CASCADE, name TEXT NOT NULL, data BLOB NOT NULL,"
	" PRIMARY KEY(entity, name));"
	"CREATE TABLE IF NOT EXISTS manifest(path TEXT PRIMARY KEY, hash TEXT) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('schema', '" SCHEMA_VERSION "');";

static int
fail(struct repo *r, struct error *err)
{
	int code = sqlite3_errcode(r->db) & 0xff;

	return error_set(err,
			 code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EBADMSG
			 : code == SQLITE_FULL				 ? ENOSPC
									 : EIO,
			 "repository: %s", sqlite3_errmsg(r->db));
}

/*
 * The prepared statement of a literal with its arguments bound: 'i' int64_t,
 * 's' const char * (NULL is NULL), 'b' const void * and size_t.
 */
static sqlite3_stmt *prepare(struct repo *r, struct error *err, const char *sql,
			     const char *types, va_list ap)
{
	sqlite3_stmt *s = NULL;

	for (size_t i = 0; i < r->n_cached && !s; i++) {
		if (r->cache[i].sql == sql)
			s = r->cache[i].stmt;
	}
	if (!s) {
		if (r->n_cached == N_CACHED ||
		    sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) !=
			    SQLITE_OK) {
			fail(r, err);
			return NULL;
		}
		r->cache[r->n_cached].sql = sql;
		r->cache[r->n_cached++].stmt = s;
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	for (int i = 1; *types; types++, i++) {
		if (*types == 'i') {
			sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
		} else if (*types == 's') {
			sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		} else {
			const void *data = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);

			sqlite3_bind_blob(s, i, data, (int)len, SQLITE_TRANSIENT);
		}
	}
	return s;
}

static sqlite3_stmt *
query(struct repo *r, struct error *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s;
	va_list ap;

	va_start(ap, types);
	s = prepare(r, err, sql, types, ap);
	va_end(ap);
	return s;
}

/* 1 a row, 0 no more (the statement is reset), or a negative errno. */
static int
step(struct repo *r, sqlite3_stmt *s, struct error *err)
{
	int rc;

	if (!s)
		return -EIO;
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE) {
		int code = fail(r, err);

		sqlite3_reset(s);
		return code;
	}
	sqlite3_reset(s);
	return 0;
}

/* A statement without rows. */
static int
run(struct repo *r, struct error *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s;
	va_list ap;
	int rc;

	va_start(ap, types);
	s = prepare(r, err, sql, types, ap);
	va_end(ap);
	rc = step(r, s, err);
	return rc < 0 ? rc : 0;
}

/* First column of the only row: 1 and *ret, 0 if there is none, negative errno. */
static int
query_int(struct repo *r, struct error *err, sqlite3_stmt *s, int64_t *ret)
{
	int rc = step(r, s, err);

	if (rc == 1) {
		*ret = sqlite3_column_int64(s, 0);
		sqlite3_reset(s);
	}
	return rc;
}

static const char *
text_of(sqlite3_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s, column);
}

static int
script(struct repo *r, const char *sql, struct error *err)
{
	return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(r, err);
}

static int
check_schema(struct repo *r, const char *path, struct error *err)
{
	sqlite3_stmt *s = query(r, err, "SELECT value FROM meta WHERE key = 'schema'", "");
	int rc = step(r, s, err);
	bool good = rc == 1 && str_eq(text_of(s, 0), SCHEMA_VERSION);

	if (rc < 0)
		return rc;
	sqlite3_reset(s);
	return good ? 0 : error_set(err, EBADMSG, "%s: a repository of another version", path);
}

static int
check_pages(struct repo *r, const char *path, struct error *err)
{
	sqlite3_stmt *s = query(r, err, "PRAGMA quick_check(1)", "");
	int rc = step(r, s, err);

	if (rc == 1 && !str_eq(text_of(s, 0), "ok"))
		rc = error_set(err, EBADMSG, "%s is damaged: %s", path, text_of(s, 0));
	if (s)
		sqlite3_reset(s);
	return rc < 0 ? rc : 0;
}

int
repo_open(const char *path, bool make, struct repo **ret, struct error *err)
{
	cleanup_repo struct repo *r = xcalloc(1, sizeof(*r));
	int rc;

	if (sqlite3_open_v2(path, &r->db,
			    SQLITE_OPEN_READWRITE | (make ? SQLITE_OPEN_CREATE : 0),
			    NULL) != SQLITE_OK)
		return error_set(err, make || file_exists(path) ? EIO : ENOENT, "%s: %s", path,
				 r->db ? sqlite3_errmsg(r->db) : "out of memory");
	sqlite3_extended_result_codes(r->db, 1);
	sqlite3_busy_timeout(r->db, 5000);
	rc = script(r,
		    "PRAGMA cache_size = -512; PRAGMA foreign_keys = ON;"
		    "PRAGMA temp_store = MEMORY; PRAGMA synchronous = NORMAL;",
		    err);
	if (rc == 0)
		rc = check_pages(r, path, err);
	if (rc == 0)
		rc = script(r, schema, err);
	if (rc == 0)
		rc = check_schema(r, path, err);
	if (rc < 0)
		return error_wrap(err, rc, "%s", path);
	*ret = steal_ptr(&r);
	return 0;
}

void
repo_free(struct repo *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_cached; i++)
		sqlite3_finalize(r->cache[i].stmt);
	sqlite3_close(r->db);
	free(r);
}

int
repo_begin(struct repo *r, struct error *err)
{
	return run(r, err, "BEGIN IMMEDIATE", "");
}

int
repo_end(struct repo *r, bool failed, struct error *err)
{
	int rc = 0;

	if (!failed)
		rc = run(r, err, "COMMIT", "");
	if (failed || rc < 0) /* a failed commit may leave the transaction open */
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
repo_new_boot(struct repo *r, struct error *err)
{
	cleanup_free char *now = NULL;
	sqlite3_stmt *s;
	bool same;
	int rc;

	rc = file_read_line("/proc/sys/kernel/random/boot_id", &now, err);
	if (rc < 0)
		return rc;
	s = query(r, err, "SELECT value = ? FROM meta WHERE key = 'boot'", "s", now);
	rc = step(r, s, err);
	if (rc < 0)
		return rc;
	same = rc == 1 && sqlite3_column_int(s, 0);
	sqlite3_reset(s);
	if (same)
		return 0;
	rc = run(r, err, "DELETE FROM pg WHERE persistent = 0", "");
	return rc < 0 ? rc : run(r, err, "INSERT OR REPLACE INTO meta VALUES('boot', ?)", "s", now);
}

/* Entities. */

static int
find_entity(struct repo *r, int64_t parent, const char *name, int64_t *ret, struct error *err)
{
	return query_int(r, err,
			 query(r, err, "SELECT id FROM entity WHERE parent = ? AND name = ?", "is",
			       parent, name),
			 ret);
}

/* Both ids of an FMRI; *ret_inst is 0 for a service.  -ENOENT if it is not there. */
static int
resolve(struct repo *r, const char *fmri, int64_t *ret_svc, int64_t *ret_inst, struct error *err)
{
	int64_t svc = 0, inst = 0;
	struct smf_fmri f;
	int rc;

	rc = smf_fmri_parse(fmri, &f, err);
	if (rc < 0)
		return rc;
	if (f.kind == SMF_FMRI_PATH)
		return error_set(err, EINVAL, "%s is not a service", fmri);
	rc = find_entity(r, 0, f.service, &svc, err);
	if (rc == 1 && f.kind == SMF_FMRI_INSTANCE)
		rc = find_entity(r, svc, f.instance, &inst, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return error_set(err, ENOENT, "%s is not in the repository", fmri);
	*ret_svc = svc;
	*ret_inst = inst;
	return 0;
}

static int
entity_of(struct repo *r, const char *fmri, int64_t *ret, struct error *err)
{
	int64_t svc, inst;
	int rc = resolve(r, fmri, &svc, &inst, err);

	if (rc == 0)
		*ret = inst ? inst : svc;
	return rc;
}

static int
make_entity(struct repo *r, int64_t parent, const char *name, const char *type, int64_t *ret,
	    struct error *err)
{
	int rc = find_entity(r, parent, name, ret, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = run(r, err, "INSERT INTO entity(parent, name, type) VALUES(?, ?, ?)", "iss", parent,
		 name, type);
	if (rc == 0)
		*ret = sqlite3_last_insert_rowid(r->db);
	return rc;
}

int
repo_add(struct repo *r, const char *fmri, struct error *err)
{
	struct smf_fmri f;
	int64_t svc, inst;
	int rc;

	rc = smf_fmri_parse(fmri, &f, err);
	if (rc == 0)
		rc = make_entity(r, 0, f.service, "service", &svc, err);
	if (rc == 0 && f.kind == SMF_FMRI_INSTANCE) {
		rc = make_entity(r, svc, f.instance, NULL, &inst, err);
		if (rc == 0)
			rc = repo_refresh(r, fmri, err);
	}
	return rc;
}

int
repo_delete(struct repo *r, const char *fmri, struct error *err)
{
	int64_t svc, inst;
	int rc = resolve(r, fmri, &svc, &inst, err);

	if (rc < 0)
		return rc;
	if (!inst) {
		rc = run(r, err, "DELETE FROM entity WHERE parent = ?", "i", svc);
		inst = svc;
	}
	return rc < 0 ? rc : run(r, err, "DELETE FROM entity WHERE id = ?", "i", inst);
}

/* Property groups and properties. */

static int
find_pg(struct repo *r, int64_t entity, const char *name, int64_t *ret, struct error *err)
{
	return query_int(r, err,
			 query(r, err, "SELECT id FROM pg WHERE entity = ? AND name = ?", "is",
			       entity, name),
			 ret);
}

/* Made if absent; a tombstone or another type is replaced. */
static int
make_pg(struct repo *r, int64_t entity, const char *name, const char *type, bool persistent,
	enum repo_layer layer, int64_t *ret, struct error *err)
{
	int rc = find_pg(r, entity, name, ret, err);

	if (rc < 0)
		return rc;
	if (rc == 1)
		return run(r, err,
			   "UPDATE pg SET type = ?2 WHERE id = ?1 AND (type IS NULL OR type != ?2)"
			   " AND (?3 = 2 OR layer != 2)",
			   "isi", *ret, type, (int64_t)layer);
	rc = run(r, err,
		 "INSERT INTO pg(entity, name, type, persistent, layer) VALUES(?, ?, ?, ?, ?)",
		 "issii", entity, name, type, (int64_t)persistent, (int64_t)layer);
	if (rc == 0)
		*ret = sqlite3_last_insert_rowid(r->db);
	return rc;
}

static void
encode(const struct json *values, struct strbuf *b)
{
	struct json *v;

	json_array_each(v, values)
	{
		const char *s = json_str(v, "");

		strbuf_add(b, s, strlen(s) + 1);
	}
}

/* A value of a higher layer stays. */
static int
put_prop(struct repo *r, int64_t pg, const char *name, const char *type, const void *vals,
	 size_t len, enum repo_layer layer, struct error *err)
{
	return run(r, err,
		   "INSERT INTO prop(pg, name, type, vals, layer) VALUES(?, ?, ?, ?, ?)"
		   " ON CONFLICT(pg, name) DO UPDATE SET type = excluded.type,"
		   " vals = excluded.vals, layer = excluded.layer"
		   " WHERE excluded.layer >= prop.layer",
		   "issbi", pg, name, type, vals, len, (int64_t)layer);
}

/* The administrator's change, also in /var. */
static int
note_admin(struct repo *r, const char *fmri, const char *pg, const char *pg_type,
	   const char *prop, const char *type, const void *vals, size_t len, struct error *err)
{
	if (!r->admin)
		return 0;
	return run(r, err, "INSERT OR REPLACE INTO admin.change VALUES(?, ?, ?, ?, ?, ?)", "sssssb",
		   fmri, pg, pg_type, prop, type, vals, len);
}

/* Type and persistence of an existing group of the entity, or of its service. */
static int
pg_type(struct repo *r, int64_t entity, const char *pg, char **ret, bool *ret_persistent,
	struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT g.type, g.persistent FROM pg g, entity e WHERE e.id = ?"
				" AND g.entity IN (e.id, e.parent) AND g.name = ?"
				" AND g.type IS NOT NULL ORDER BY g.entity = e.id DESC",
				"is", entity, pg);
	int rc = step(r, s, err);

	if (rc == 1) {
		*ret = xstrdup(text_of(s, 0));
		*ret_persistent = sqlite3_column_int(s, 1);
		sqlite3_reset(s);
	}
	return rc;
}

static int
prop_type(struct repo *r, int64_t entity, const char *pg, const char *prop, char **ret,
	  struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT p.type FROM prop p, pg g, entity e WHERE e.id = ?"
				" AND g.entity IN (e.id, e.parent) AND g.name = ?"
				" AND p.pg = g.id AND p.name = ? AND p.type IS NOT NULL"
				" ORDER BY g.entity = e.id DESC",
				"iss", entity, pg, prop);
	int rc = step(r, s, err);

	if (rc == 1) {
		*ret = xstrdup(text_of(s, 0));
		sqlite3_reset(s);
	}
	return rc;
}

int
repo_add_pg(struct repo *r, const char *fmri, const char *pg, const char *type, bool persistent,
	    enum repo_layer layer, struct error *err)
{
	int64_t entity = 0, id = 0;
	int rc;

	if (!smf_name_valid(pg, false) || !smf_name_valid(type, false))
		return error_set(err, EINVAL, "\"%s\" of type \"%s\" cannot name a property group",
				 pg, type);
	rc = entity_of(r, fmri, &entity, err);
	if (rc == 0)
		rc = make_pg(r, entity, pg, type, persistent, layer, &id, err);
	if (rc == 0 && layer == REPO_ADMIN && persistent)
		rc = note_admin(r, fmri, pg, type, "", NULL, NULL, 0, err);
	return rc;
}

int
repo_del_pg(struct repo *r, const char *fmri, const char *pg, enum repo_layer layer,
	    struct error *err)
{
	int64_t entity = 0, id = 0;
	int rc;

	rc = entity_of(r, fmri, &entity, err);
	if (rc == 0)
		rc = find_pg(r, entity, pg, &id, err);
	if (rc == 0)
		return error_set(err, ENOENT, "%s has no property group \"%s\"", fmri, pg);
	if (rc > 0)
		rc = run(r, err, "DELETE FROM prop WHERE pg = ?", "i", id);
	if (rc < 0)
		return rc;
	if (layer != REPO_ADMIN)
		return run(r, err, "DELETE FROM pg WHERE id = ?", "i", id);
	rc = run(r, err, "UPDATE pg SET type = NULL, layer = 2 WHERE id = ? AND persistent", "i", id);
	if (rc == 0)
		rc = run(r, err, "DELETE FROM pg WHERE id = ? AND NOT persistent", "i", id);
	return rc < 0 ? rc : note_admin(r, fmri, pg, NULL, "", NULL, NULL, 0, err);
}

int
repo_set(struct repo *r, const char *fmri, const char *pg, const char *prop, const char *type,
	 const struct json *values, enum repo_layer layer, struct error *err)
{
	cleanup_free char *group_type = NULL, *old_type = NULL;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	bool persistent = true;
	int64_t entity = 0, id = 0;
	struct json *v;
	int rc;

	rc = entity_of(r, fmri, &entity, err);
	if (rc == 0)
		rc = pg_type(r, entity, pg, &group_type, &persistent, err);
	if (rc == 0)
		return error_set(err, ENOENT, "%s has no property group \"%s\"", fmri, pg);
	if (rc > 0)
		rc = prop_type(r, entity, pg, prop, &old_type, err);
	if (rc < 0)
		return rc;
	type = type ?: old_type;
	if (!type)
		return error_set(err, EINVAL, "%s/%s is new: its type is needed", pg, prop);
	if (!smf_name_valid(prop, false))
		return error_set(err, EINVAL, "\"%s\" cannot name a property", prop);
	json_array_each(v, values)
	{
		rc = smf_value_check(type, json_str(v, ""), err);
		if (rc < 0)
			return error_wrap(err, rc, "%s/%s", pg, prop);
	}
	encode(values, &b);
	rc = make_pg(r, entity, pg, group_type, persistent, layer, &id, err);
	if (rc == 0)
		rc = put_prop(r, id, prop, type, b.data, b.len, layer, err);
	if (rc == 0 && layer == REPO_ADMIN && persistent)
		rc = note_admin(r, fmri, pg, group_type, prop, type, b.data, b.len, err);
	return rc;
}

int
repo_set1(struct repo *r, const char *fmri, const char *pg, const char *prop, const char *type,
	  const char *value, enum repo_layer layer, struct error *err)
{
	cleanup_json struct json *values = json_new_array();

	json_push(values, json_new_str(value));
	return repo_set(r, fmri, pg, prop, type, values, layer, err);
}

int
repo_del_prop(struct repo *r, const char *fmri, const char *pg, const char *prop,
	      enum repo_layer layer, struct error *err)
{
	int64_t entity = 0, id = 0, there;
	int rc;

	rc = entity_of(r, fmri, &entity, err);
	if (rc == 0)
		rc = find_pg(r, entity, pg, &id, err);
	if (rc > 0)
		rc = query_int(r, err,
			       query(r, err,
				     "SELECT layer FROM prop WHERE pg = ? AND name = ?"
				     " AND type IS NOT NULL",
				     "is", id, prop),
			       &there);
	if (rc == 0)
		return error_set(err, ENOENT, "%s has no property %s/%s", fmri, pg, prop);
	if (rc < 0)
		return rc;
	if (layer != REPO_ADMIN)
		return run(r, err, "DELETE FROM prop WHERE pg = ? AND name = ?", "is", id, prop);
	rc = run(r, err, "UPDATE prop SET type = NULL, vals = NULL, layer = 2 WHERE pg = ? AND name = ?",
		 "is", id, prop);
	return rc < 0 ? rc : note_admin(r, fmri, pg, "", prop, NULL, NULL, 0, err);
}

/* Reading trees. */

static struct json *
decode(const char *vals, int len)
{
	struct json *values = json_new_array();
	const char *end = vals + len;

	for (const char *p = vals; p && p < end; p += strlen(p) + 1)
		json_push(values, json_new_str(p));
	return values;
}

static const char *const layer_names[] = {"manifest", "profile", "admin"};

static int
read_pgs(struct repo *r, int64_t entity, struct json *pgs, struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT g.name, g.type, g.persistent, p.name, p.type, p.vals, p.layer"
				" FROM pg g LEFT JOIN prop p ON p.pg = g.id AND p.type IS NOT NULL"
				" WHERE g.entity = ? AND g.type IS NOT NULL ORDER BY g.id, p.name",
				"i", entity);
	int rc;

	while ((rc = step(r, s, err)) == 1) {
		struct json *pg = bundle_pg(pgs, text_of(s, 0), text_of(s, 1)), *prop;

		if (!sqlite3_column_int(s, 2))
			json_set_bool(pg, "persistent", false);
		if (!text_of(s, 3))
			continue;
		prop = json_new_object();
		json_set_str(prop, "name", text_of(s, 3));
		json_set_str(prop, "type", text_of(s, 4));
		json_set(prop, "values", decode(sqlite3_column_blob(s, 5), sqlite3_column_bytes(s, 5)));
		json_set_str(prop, "layer", layer_names[sqlite3_column_int(s, 6) % 3]);
		json_push(json_get(pg, "props"), prop);
	}
	return rc;
}

struct named_id {
	int64_t id;
	char *name;
};

/* Children of an entity (services for 0), by name; ended by a NULL name. */
static int
children(struct repo *r, int64_t parent, struct named_id **ret, struct error *err)
{
	sqlite3_stmt *s =
		query(r, err, "SELECT id, name FROM entity WHERE parent = ? ORDER BY name", "i", parent);
	struct strbuf b = STRBUF_INIT;
	struct named_id x;
	int rc;

	while ((rc = step(r, s, err)) == 1) {
		x.id = sqlite3_column_int64(s, 0);
		x.name = xstrdup(text_of(s, 1));
		strbuf_add(&b, &x, sizeof(x));
	}
	x.name = NULL;
	strbuf_add(&b, &x, sizeof(x));
	*ret = (struct named_id *)(void *)strbuf_steal(&b);
	return rc;
}

static void
free_named(struct named_id **list)
{
	for (struct named_id *x = *list; x && x->name; x++)
		free(x->name);
	free(*list);
}
#define cleanup_named CLEANUP(free_named)

static struct json *
named_tree(const char *name)
{
	struct json *t = json_new_object();

	json_set_str(t, "name", name);
	json_set(t, "pgs", json_new_array());
	return t;
}

int
repo_get(struct repo *r, const char *fmri, struct json **ret, struct error *err)
{
	cleanup_named struct named_id *insts = NULL;
	cleanup_json struct json *tree = NULL;
	int64_t svc, inst;
	struct smf_fmri f;
	sqlite3_stmt *s;
	int rc;

	rc = resolve(r, fmri, &svc, &inst, err);
	if (rc < 0)
		return rc;
	smf_fmri_parse(fmri, &f, NULL);
	tree = named_tree(inst ? f.instance : f.service);
	rc = read_pgs(r, inst ? inst : svc, json_get(tree, "pgs"), err);
	if (rc == 0 && !inst) {
		s = query(r, err, "SELECT type FROM entity WHERE id = ?", "i", svc);
		if (step(r, s, NULL) == 1) {
			json_set_str(tree, "type", text_of(s, 0) ?: "service");
			sqlite3_reset(s);
		}
		json_set(tree, "instances", json_new_array());
		rc = children(r, svc, &insts, err);
		for (struct named_id *x = insts; rc == 0 && x->name; x++) {
			struct json *t = named_tree(x->name);

			rc = read_pgs(r, x->id, json_get(t, "pgs"), err);
			json_push(json_get(tree, "instances"), t);
		}
	}
	if (rc < 0)
		return rc;
	*ret = steal_ptr(&tree);
	return 0;
}

int
repo_list(struct repo *r, struct json **ret, struct error *err)
{
	cleanup_json struct json *list = json_new_array();
	struct json *insts = NULL;
	sqlite3_stmt *s;
	int rc;

	s = query(r, err,
		  "SELECT s.name, i.name FROM entity s LEFT JOIN entity i ON i.parent = s.id"
		  " WHERE s.parent = 0 ORDER BY s.name, i.name",
		  "");
	while ((rc = step(r, s, err)) == 1) {
		const char *last = json_str(json_get(json_at(list, json_len(list) - 1), "name"), NULL);

		if (!str_eq(last, text_of(s, 0))) {
			struct json *svc = json_new_object();

			json_set_str(svc, "name", text_of(s, 0));
			json_set(svc, "instances", json_new_array());
			json_push(list, svc);
			insts = json_get(svc, "instances");
		}
		if (text_of(s, 1))
			json_push(insts, json_new_str(text_of(s, 1)));
	}
	if (rc < 0)
		return rc;
	*ret = steal_ptr(&list);
	return 0;
}

/* Snapshots. */

static int
put_snapshot(struct repo *r, int64_t entity, const char *name, const void *data, size_t len,
	     struct error *err)
{
	return run(r, err, "INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?)", "isb", entity, name, data,
		   len);
}

/* Groups that the plan takes from the current configuration, not from "running". */
static bool
is_current(const char *pg)
{
	return str_eq(pg, "general") || str_eq(pg, "general_ovr");
}

/*
 * The groups of an instance over those of its service, property by property.
 * which: is_current() groups or the others.
 */
static int
compose(struct repo *r, int64_t svc, int64_t inst, bool current, struct plan_writer *w,
	struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT g.name, g.type, p.name, p.type, p.vals, g.entity = ?1"
				" FROM pg g LEFT JOIN prop p ON p.pg = g.id AND p.type IS NOT NULL"
				" WHERE g.entity IN (?1, ?2) AND g.type IS NOT NULL"
				" ORDER BY g.name, p.name, g.entity = ?1 DESC",
				"ii", inst, svc);
	cleanup_free char *pg = NULL, *prop = NULL;
	int rc;

	while ((rc = step(r, s, err)) == 1) {
		const char *vals = sqlite3_column_blob(s, 4);
		int len = sqlite3_column_bytes(s, 4);

		if (is_current(text_of(s, 0)) != current)
			continue;
		if (!str_eq(pg, text_of(s, 0))) {
			free(pg);
			pg = xstrdup(text_of(s, 0));
			free(prop);
			prop = NULL;
			plan_add_pg(w, pg, text_of(s, 1));
		}
		if (!text_of(s, 2) || str_eq(prop, text_of(s, 2)))
			continue; /* no property, or the service's one below the instance's */
		free(prop);
		prop = xstrdup(text_of(s, 2));
		plan_add_prop(w, prop, text_of(s, 3));
		for (const char *p = vals; p && p < vals + len; p += strlen(p) + 1)
			plan_add_value(w, p);
	}
	return rc;
}

static int
take_running(struct repo *r, int64_t svc, int64_t inst, struct error *err)
{
	CLEANUP(plan_writer_freep) struct plan_writer *w = plan_writer_new();
	cleanup_free void *data = NULL;
	size_t size;
	int rc;

	plan_add_inst(w, "");
	rc = compose(r, svc, inst, false, w, err);
	if (rc < 0)
		return rc;
	plan_finish(w, 0, &data, &size);
	return put_snapshot(r, inst, "running", data, size, err);
}

int
repo_refresh(struct repo *r, const char *fmri, struct error *err)
{
	cleanup_named struct named_id *insts = NULL;
	int64_t svc, inst;
	int rc;

	rc = resolve(r, fmri, &svc, &inst, err);
	if (rc < 0)
		return rc;
	if (inst)
		return take_running(r, svc, inst, err);
	rc = children(r, svc, &insts, err);
	for (struct named_id *x = insts; rc == 0 && x->name; x++)
		rc = take_running(r, svc, x->id, err);
	return rc;
}

/* Import. */

static int
import_pgs(struct repo *r, int64_t entity, const struct json *pgs, enum repo_layer layer,
	   struct error *err)
{
	struct json *pg, *prop;
	int64_t id;
	int rc = 0;

	json_array_each(pg, pgs)
	{
		const char *name = json_str(json_get(pg, "name"), "");

		if (json_bool(json_get(pg, "delete"), false)) {
			rc = run(r, err, "DELETE FROM pg WHERE entity = ? AND name = ? AND layer <= ?",
				 "isi", entity, name, (int64_t)layer);
			if (rc < 0)
				return rc;
			continue;
		}
		rc = make_pg(r, entity, name, json_str(json_get(pg, "type"), "application"), true,
			     layer, &id, err);
		if (rc < 0)
			return rc;
		for (size_t k = 0; (prop = json_at(json_get(pg, "props"), k)) != NULL; k++) {
			cleanup_strbuf struct strbuf b = STRBUF_INIT;

			encode(json_get(prop, "values"), &b);
			rc = put_prop(r, id, json_str(json_get(prop, "name"), ""),
				      json_str(json_get(prop, "type"), "astring"), b.data, b.len,
				      layer, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* What the last import declared and this one does not, unless somebody changed it. */
static int
drop_gone(struct repo *r, int64_t entity, const struct json *old_pgs, const struct json *new_pgs,
	  struct error *err)
{
	struct json *pg, *prop;
	int rc;

	json_array_each(pg, old_pgs)
	{
		const char *name = json_str(json_get(pg, "name"), "");
		struct json *now = bundle_find(new_pgs, name);
		int64_t id = 0;

		rc = find_pg(r, entity, name, &id, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		for (size_t k = 0; (prop = json_at(json_get(pg, "props"), k)) != NULL; k++) {
			const char *p = json_str(json_get(prop, "name"), "");

			if (bundle_find(json_get(now, "props"), p))
				continue;
			rc = run(r, err, "DELETE FROM prop WHERE pg = ? AND name = ? AND layer = 0",
				 "is", id, p);
			if (rc < 0)
				return rc;
		}
		if (now)
			continue;
		rc = run(r, err,
			 "DELETE FROM pg WHERE id = ? AND layer = 0"
			 " AND NOT EXISTS (SELECT 1 FROM prop WHERE pg = pg.id)",
			 "i", id);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
last_import(struct repo *r, int64_t svc, struct json **ret, struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT data FROM snapshot WHERE entity = ? AND name = 'last-import'",
				"i", svc);
	int rc = step(r, s, err);

	if (rc == 1) {
		rc = json_parse(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0), ret,
				err);
		sqlite3_reset(s);
	}
	return rc;
}

static int
import_instances(struct repo *r, int64_t svc, const struct json *service, const struct json *old,
		 enum repo_layer layer, struct error *err)
{
	struct json *inst;
	int64_t id;
	int rc;

	json_array_each(inst, json_get(service, "instances"))
	{
		const char *name = json_str(json_get(inst, "name"), "");

		rc = make_entity(r, svc, name, NULL, &id, err);
		if (rc == 0 && layer == REPO_MANIFEST)
			rc = drop_gone(r, id,
				       json_get(bundle_find(json_get(old, "instances"), name), "pgs"),
				       json_get(inst, "pgs"), err);
		if (rc == 0)
			rc = import_pgs(r, id, json_get(inst, "pgs"), layer, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
repo_import(struct repo *r, const struct json *service, enum repo_layer layer, struct error *err)
{
	const char *name = json_str(json_get(service, "name"), "");
	cleanup_free char *fmri = str_printf("svc:/%s", name);
	cleanup_json struct json *old = NULL;
	cleanup_free char *text = NULL;
	struct smf_fmri f;
	int64_t svc;
	int rc;

	rc = smf_fmri_parse(fmri, &f, err);
	if (rc == 0)
		rc = make_entity(r, 0, name, json_str(json_get(service, "type"), "service"), &svc, err);
	if (rc == 0 && layer == REPO_MANIFEST)
		rc = last_import(r, svc, &old, err);
	if (rc == 0 && old)
		rc = drop_gone(r, svc, json_get(old, "pgs"), json_get(service, "pgs"), err);
	if (rc == 0)
		rc = import_pgs(r, svc, json_get(service, "pgs"), layer, err);
	if (rc == 0)
		rc = import_instances(r, svc, service, old, layer, err);
	if (rc == 0 && layer == REPO_MANIFEST) {
		text = json_print(service, false);
		rc = put_snapshot(r, svc, "last-import", text, strlen(text), err);
	}
	return rc < 0 ? error_wrap(err, rc, "svc:/%s", name) : repo_refresh(r, fmri, err);
}

int
repo_revert(struct repo *r, const char *fmri, const char *pg, struct error *err)
{
	cleanup_json struct json *old = NULL;
	int64_t svc, inst, entity = 0;
	struct json *pgs;
	struct smf_fmri f;
	int rc;

	rc = resolve(r, fmri, &svc, &inst, err);
	if (rc < 0)
		return rc;
	entity = inst ? inst : svc;
	rc = run(r, err,
		 "DELETE FROM prop WHERE layer = 2 AND pg IN (SELECT id FROM pg WHERE entity = ?1"
		 " AND persistent AND (?2 IS NULL OR name = ?2))",
		 "is", entity, pg);
	if (rc == 0)
		rc = run(r, err,
			 "DELETE FROM pg WHERE entity = ?1 AND layer = 2 AND persistent"
			 " AND (?2 IS NULL OR name = ?2)",
			 "is", entity, pg);
	if (rc == 0 && r->admin)
		rc = run(r, err, "DELETE FROM admin.change WHERE fmri = ?1 AND (?2 IS NULL OR pg = ?2)",
			 "ss", fmri, pg);
	if (rc == 0)
		rc = last_import(r, svc, &old, err);
	if (rc < 0 || !old)
		return rc;
	smf_fmri_parse(fmri, &f, NULL);
	pgs = inst ? json_get(bundle_find(json_get(old, "instances"), f.instance), "pgs")
		   : json_get(old, "pgs");
	return import_pgs(r, entity, pgs, REPO_MANIFEST, err);
}

/* The administrator's layer in /var. */

/* One saved change over the repository; what it is about may be gone with an old image. */
static int
apply_change(struct repo *r, sqlite3_stmt *s, struct error *err)
{
	const char *fmri = text_of(s, 0), *pg = text_of(s, 1), *type = text_of(s, 2);
	const char *prop = text_of(s, 3), *prop_type_ = text_of(s, 4);
	int64_t entity = 0, id = 0;
	int rc;

	rc = entity_of(r, fmri, &entity, NULL);
	if (rc == -ENOENT || rc == -EINVAL)
		return 0;
	if (rc < 0)
		return rc;
	if (!*prop) { /* a whole group: added, or removed */
		if (type)
			return make_pg(r, entity, pg, type, true, REPO_ADMIN, &id, err);
		rc = run(r, err, "DELETE FROM prop WHERE pg IN"
			 " (SELECT id FROM pg WHERE entity = ? AND name = ?)", "is", entity, pg);
		return rc < 0 ? rc
			      : run(r, err,
				    "UPDATE pg SET type = NULL, layer = 2 WHERE entity = ? AND name = ?",
				    "is", entity, pg);
	}
	if (!prop_type_) {
		rc = find_pg(r, entity, pg, &id, err);
		return rc <= 0 ? rc : put_prop(r, id, prop, NULL, NULL, 0, REPO_ADMIN, err);
	}
	rc = make_pg(r, entity, pg, type, true, REPO_MANIFEST, &id, err);
	return rc < 0 ? rc
		      : put_prop(r, id, prop, prop_type_, sqlite3_column_blob(s, 5),
				 (size_t)sqlite3_column_bytes(s, 5), REPO_ADMIN, err);
}

/* Changes made this boot before /var was there go into the file. */
static int
save_early_changes(struct repo *r, struct error *err)
{
	return run(r, err,
		   "INSERT OR REPLACE INTO admin.change"
		   " SELECT 'svc:/' || CASE e.parent WHEN 0 THEN e.name ELSE s.name || ':' || e.name END,"
		   " g.name, g.type, p.name, p.type, p.vals"
		   " FROM prop p JOIN pg g ON p.pg = g.id JOIN entity e ON g.entity = e.id"
		   " LEFT JOIN entity s ON s.id = e.parent WHERE p.layer = 2 AND g.persistent",
		   "");
}

int
repo_attach_admin(struct repo *r, const char *file, struct error *err)
{
	cleanup_named struct named_id *svcs = NULL;
	sqlite3_stmt *s;
	int rc;

	if (r->admin)
		return 0;
	rc = run(r, err, "ATTACH ? AS admin", "s", file);
	if (rc == 0)
		rc = script(r,
			    "CREATE TABLE IF NOT EXISTS admin.change(fmri TEXT, pg TEXT, pgtype TEXT,"
			    " prop TEXT, type TEXT, vals BLOB, PRIMARY KEY(fmri, pg, prop))",
			    err);
	if (rc < 0)
		return error_wrap(err, rc, "%s", file);
	rc = repo_begin(r, err);
	if (rc < 0)
		return rc;
	rc = save_early_changes(r, err);
	s = query(r, err, "SELECT fmri, pg, pgtype, prop, type, vals FROM admin.change", "");
	while (rc == 0 && (rc = step(r, s, err)) == 1)
		rc = apply_change(r, s, err);
	if (s)
		sqlite3_reset(s);
	if (rc == 0)
		rc = children(r, 0, &svcs, err);
	for (struct named_id *x = svcs; rc == 0 && x->name; x++) {
		cleanup_free char *fmri = str_printf("svc:/%s", x->name);

		rc = repo_refresh(r, fmri, err);
	}
	if (rc == 0)
		r->admin = true;
	if (rc < 0)
		repo_end(r, true, NULL);
	else
		rc = repo_end(r, false, err);
	return rc;
}

/* Hashes. */

bool
repo_hash_same(struct repo *r, const char *file, const char *hash)
{
	sqlite3_stmt *s = query(r, NULL, "SELECT 1 FROM manifest WHERE path = ? AND hash = ?", "ss",
				file, hash);
	bool same = step(r, s, NULL) == 1;

	if (s)
		sqlite3_reset(s);
	return same;
}

int
repo_hash_set(struct repo *r, const char *file, const char *hash, struct error *err)
{
	return run(r, err, "INSERT OR REPLACE INTO manifest VALUES(?, ?)", "ss", file, hash);
}

/* The plan. */

/* A <dependent>: the group that its target gets. */
struct extra {
	char *target; /* service or instance FMRI */
	char *name, *grouping, *restart_on;
	char *entity; /* who declared it */
};

static void
free_extras(struct strbuf *b)
{
	struct extra *x = (void *)b->data;

	for (size_t i = 0; i < b->len / sizeof(*x); i++) {
		free(x[i].target);
		free(x[i].name);
		free(x[i].grouping);
		free(x[i].restart_on);
		free(x[i].entity);
	}
	strbuf_done(b);
}
#define cleanup_extras CLEANUP(free_extras)

/* One instance with its snapshot, as publishing needs it. */
struct source {
	int64_t svc, id;
	char *fmri;
	struct plan *running;
};

static void
free_sources(struct strbuf *b)
{
	struct source *x = (void *)b->data;

	for (size_t i = 0; i < b->len / sizeof(*x); i++) {
		free(x[i].fmri);
		plan_free(x[i].running);
	}
	strbuf_done(b);
}
#define cleanup_sources CLEANUP(free_sources)

static int
read_sources(struct repo *r, struct strbuf *out, struct error *err)
{
	sqlite3_stmt *s = query(r, err,
				"SELECT s.id, i.id, s.name, i.name, n.data FROM entity i"
				" JOIN entity s ON s.id = i.parent"
				" LEFT JOIN snapshot n ON n.entity = i.id AND n.name = 'running'",
				"");
	int rc;

	while ((rc = step(r, s, err)) == 1) {
		struct source x = {sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), NULL,
				   NULL};

		if (sqlite3_column_bytes(s, 4) &&
		    plan_copy(sqlite3_column_blob(s, 4), (size_t)sqlite3_column_bytes(s, 4),
			      &x.running, err) < 0) {
			sqlite3_reset(s);
			return -EBADMSG;
		}
		x.fmri = str_printf("svc:/%s:%s", text_of(s, 2), text_of(s, 3));
		strbuf_add(out, &x, sizeof(x));
	}
	return rc;
}

static void
collect_extras(const struct source *src, struct strbuf *out)
{
	const struct plan *p = src->running;
	const struct plan_inst *i = plan_at(p, 0);

	for (size_t n = 0; n < plan_n_pgs(i); n++) {
		const struct plan_pg *g = plan_pg_at(p, i, n);
		const struct plan_prop *targets = plan_prop(p, g, "target");
		const char *name = plan_pg_name(p, g);

		if (!targets || !str_eq(plan_pg_type(p, g), "dependent"))
			continue;
		for (size_t v = 0; v < plan_n_values(targets); v++) {
			struct extra x = {
				.target = xstrdup(plan_value(p, targets, v)),
				.name = xstrdup(name),
				.grouping = xstrdup(plan_get(p, i, name, "grouping", "require_all")),
				.restart_on = xstrdup(plan_get(p, i, name, "restart_on", "none")),
				.entity = xstrdup(src->fmri),
			};

			strbuf_add(out, &x, sizeof(x));
		}
	}
}

/* The dependencies that others declared for src, unless it has a group of the name itself. */
static void
add_extras(const struct source *src, const struct strbuf *extras, struct plan_writer *w)
{
	cleanup_free char *service = smf_fmri_service(src->fmri);
	const struct extra *x = (const void *)extras->data;

	for (size_t i = 0; i < extras->len / sizeof(*x); i++) {
		if (!str_eq(x[i].target, service) && !str_eq(x[i].target, src->fmri))
			continue;
		if (plan_pg(src->running, plan_at(src->running, 0), x[i].name))
			continue;
		plan_add_pg(w, x[i].name, "dependency");
		plan_add_prop(w, "entities", "fmri");
		plan_add_value(w, x[i].entity);
		plan_add_prop(w, "grouping", "astring");
		plan_add_value(w, x[i].grouping);
		plan_add_prop(w, "restart_on", "astring");
		plan_add_value(w, x[i].restart_on);
		plan_add_prop(w, "type", "astring");
		plan_add_value(w, "service");
	}
}

static int
next_generation(struct repo *r, uint64_t *ret, struct error *err)
{
	int64_t n = 0;
	int rc;

	rc = query_int(r, err, query(r, err, "SELECT value FROM meta WHERE key = 'generation'", ""),
		       &n);
	if (rc >= 0)
		rc = run(r, err, "INSERT OR REPLACE INTO meta VALUES('generation', ?)", "i", ++n);
	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int
repo_publish(struct repo *r, const char *path, struct error *err)
{
	CLEANUP(plan_writer_freep) struct plan_writer *w = plan_writer_new();
	cleanup_sources struct strbuf sources = STRBUF_INIT;
	cleanup_extras struct strbuf extras = STRBUF_INIT;
	cleanup_free void *data = NULL;
	uint64_t generation;
	struct source *x;
	size_t size, n;
	int rc;

	rc = next_generation(r, &generation, err);
	if (rc == 0)
		rc = read_sources(r, &sources, err);
	if (rc < 0)
		return rc;
	x = (void *)sources.data;
	n = sources.len / sizeof(*x);
	for (size_t i = 0; i < n; i++) {
		if (x[i].running)
			collect_extras(&x[i], &extras);
	}
	for (size_t i = 0; i < n; i++) {
		plan_add_inst(w, x[i].fmri);
		rc = compose(r, x[i].svc, x[i].id, true, w, err);
		if (rc < 0)
			return rc;
		if (!x[i].running)
			continue;
		for (size_t g = 0; g < plan_n_pgs(plan_at(x[i].running, 0)); g++)
			plan_add_pg_of(w, x[i].running,
				       plan_pg_at(x[i].running, plan_at(x[i].running, 0), g));
		add_extras(&x[i], &extras, w);
	}
	plan_finish(w, generation, &data, &size);
	return file_write_atomic(path, data, size, 0644, err);
}
