/*
 * zonecfg(8): zone configurations, as a language of commands.
 *
 * Commands come from the argument vector (joined, ';' separates), from a file
 * (-f), or from a terminal.  The configuration is changed in memory and written by
 * commit, which the end of the input implies when everything went well, so a
 * command file that fails half way changes nothing.  There are two scopes: global,
 * and a resource between add or select and end or cancel.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/str.h"
#include "zone/config.h"
#include "zone/model.h"

static struct {
	const char *zone;
	struct zone_config *config; /* NULL: nothing was created yet */
	struct zone_config *saved;  /* as it was when the resource scope was entered */
	struct zone_res *res;       /* resource scope */
	bool adding;
	bool exists;                /* on disk */
	bool changed, stop, interactive;
	struct error err;
} s;

#define fail(...) error_set(&s.err, EINVAL, __VA_ARGS__)

/* ---- words: a b=c "quoted" (n=v,n=v) [a,b] ---- */

static int
next_word(const char **p, struct strbuf *ret)
{
	int depth = 0;
	char quote = '\0';

	while (isspace((unsigned char)**p))
		(*p)++;
	if (!**p)
		return 0;
	for (; **p; (*p)++) {
		char c = **p;

		/* within brackets quotations stay: tuple_get() takes them apart */
		if (quote) {
			if (c != quote || depth > 0)
				strbuf_addc(ret, c);
			if (c == quote)
				quote = '\0';
			continue;
		}
		if (c == '"' || c == '\'') {
			quote = c;
			if (depth > 0)
				strbuf_addc(ret, c);
			else if (!ret->data)
				strbuf_adds(ret, "");
			continue;
		}
		if (c == '(' || c == '[')
			depth++;
		if (c == ')' || c == ']')
			depth--;
		if (isspace((unsigned char)c) && depth <= 0)
			break;
		if (!isspace((unsigned char)c))
			strbuf_addc(ret, c);
	}
	if (quote)
		return fail("a quotation does not end");
	if (depth > 0)
		return fail("a bracket does not end");
	return 1;
}

static int
split_line(const char *line, struct strv *ret)
{
	for (;;) {
		struct strbuf b = STRBUF_INIT;
		int r = next_word(&line, &b);

		if (r <= 0) {
			strbuf_done(&b);
			return r;
		}
		strv_take(ret, strbuf_steal(&b));
	}
}

/* "name=value" or "name" "=" "value" of a set, select or add: joined to one by the caller. */
static int
split_pair(const char *pair, char **ret_name, char **ret_value)
{
	const char *eq = strchr(pair, '=');

	if (!eq || eq == pair)
		return fail("expected name=value, not '%s'", pair);
	*ret_name = xstrndup(pair, (size_t)(eq - pair));
	*ret_value = xstrdup(eq + 1);
	return 0;
}

/* "(priv=privileged,limit=1,action=deny)"; a value may be quoted and then hold commas. */
static int
tuple_get(const char *tuple, const char *name, char **ret)
{
	size_t n = strlen(tuple), len = strlen(name);
	const char *end = tuple + n - 1;

	if (n < 2 || tuple[0] != '(' || *end != ')')
		return fail("expected (name=value,...), not '%s'", tuple);
	for (const char *p = tuple + 1; p < end;) {
		bool match = strncmp(p, name, len) == 0 && p[len] == '=';
		cleanup_strbuf struct strbuf value = STRBUF_INIT;
		char quote = '\0';

		while (p < end && *p != '=')
			p++;
		for (p++; p < end && (quote || *p != ','); p++) {
			if (quote ? *p == quote : *p == '"' || *p == '\'')
				quote = quote ? '\0' : *p;
			else
				strbuf_addc(&value, *p);
		}
		if (match) {
			*ret = strbuf_steal(&value);
			return 0;
		}
		p++;
	}
	return fail("%s is missing in %s", name, tuple);
}

/* ---- zone-wide properties that are stored elsewhere ---- */

static const struct {
	const char *prop, *rctl;
	const char *action;
	bool size; /* takes K, M, G */
} rctl_aliases[] = {
	{"cpu-shares", "zone.cpu-shares", "none", false},
	{"max-lwps", "zone.max-lwps", "deny", false},
	{"max-processes", "zone.max-processes", "deny", false},
	{"max-msg-ids", "zone.max-msg-ids", "deny", false},
	{"max-sem-ids", "zone.max-sem-ids", "deny", false},
	{"max-shm-ids", "zone.max-shm-ids", "deny", false},
	{"max-shm-memory", "zone.max-shm-memory", "deny", true},
	{"max-physical-memory", "zone.max-physical-memory", "deny", true},
	{"max-locked-memory", "zone.max-locked-memory", "deny", true},
	{"max-swap", "zone.max-swap", "deny", true},
	{"cpu-cap", "zone.cpu-cap", "deny", false},
	{"zfs-io-priority", "zone.zfs-io-priority", "none", false},
};

static int
alias_of(const char *prop)
{
	for (size_t i = 0; i < ARRAY_SIZE(rctl_aliases); i++)
		if (str_eq(rctl_aliases[i].prop, prop))
			return (int)i;
	return -1;
}

static bool
is_zone_prop(const char *prop)
{
	const char *p;

	for (size_t i = 0; (p = zone_prop_at(i)); i++)
		if (str_eq(p, prop))
			return true;
	return false;
}

/* ---- commands ---- */

static int
need_config(void)
{
	if (!s.config)
		return error_set(&s.err, ENOENT, "%s: No such zone configured; use 'create' to "
				 "begin configuring a new zone.", s.zone);
	return 0;
}

static int
need_global(const char *cmd)
{
	int r = need_config();

	if (r < 0)
		return r;
	if (s.res)
		return fail("%s: not in a resource; use 'end' or 'cancel' first", cmd);
	return 0;
}

static int
cmd_create(struct strv *w)
{
	cleanup_free char *path = str_printf("/zones/%s", s.zone);
	bool force = false;
	int r;

	for (size_t i = 1; i < w->n; i++) {
		if (str_eq(w->v[i], "-F"))
			force = true;
		else if (str_eq(w->v[i], "-t") && i + 1 < w->n)
			i++; /* there is one template, the blank one */
		else if (!str_eq(w->v[i], "-b") && !str_eq(w->v[i], "-X"))
			return fail("create [-F] [-b | -t template]");
	}
	if (s.config && !force)
		return error_set(&s.err, EEXIST, "zone %s exists; use 'create -F' to begin anew",
				 s.zone);
	zone_config_free(steal_ptr(&s.config));
	r = zone_config_new(s.zone, "lx", path, &s.config, &s.err);
	s.changed = true;
	return r;
}

static int
remove_props(struct zone_res *res, const struct strv *w, size_t from, bool *ret_match)
{
	*ret_match = true;
	for (size_t i = from; i < w->n; i++) {
		cleanup_free char *name = NULL;
		cleanup_free char *value = NULL;
		int r = split_pair(w->v[i], &name, &value);

		if (r < 0)
			return r;
		if (!str_eq(zone_res_get(res, name), value))
			*ret_match = false;
	}
	return 0;
}

/* The only resource of that type all of whose named properties have those values. */
static int
find_res(const struct strv *w, size_t type_at, struct zone_res **ret)
{
	struct zone_res *found = NULL;

	if (type_at >= w->n || !zone_res_type_find(w->v[type_at]))
		return fail("'%s' is no type of resource", type_at < w->n ? w->v[type_at] : "");
	zone_res_each(res, s.config, w->v[type_at]) {
		bool match;
		int r = remove_props(res, w, type_at + 1, &match);

		if (r < 0)
			return r;
		if (match && found)
			return fail("more than one %s resource matches", w->v[type_at]);
		if (match)
			found = res;
	}
	if (!found)
		return error_set(&s.err, ENOENT, "no such %s resource", w->v[type_at]);
	*ret = found;
	return 0;
}

/* Inside a resource: add value (..), add property (name=..,value=..), add options x. */
static int
add_to_res(struct strv *w)
{
	const char *type = zone_res_type(s.res), *what = w->n == 3 ? w->v[1] : "";

	if (w->n != 3)
		return fail("add property-name value");
	if (str_eq(type, "rctl") && str_eq(what, "value")) {
		cleanup_free char *priv = NULL, *limit = NULL, *action = NULL;

		if (tuple_get(w->v[2], "priv", &priv) < 0 ||
		    tuple_get(w->v[2], "limit", &limit) < 0 ||
		    tuple_get(w->v[2], "action", &action) < 0)
			return -EINVAL;
		zone_rctl_add_value(s.res, priv, limit, action);
		return 0;
	}
	if ((str_eq(type, "net") || str_eq(type, "device")) && str_eq(what, "property")) {
		cleanup_free char *name = NULL, *value = NULL;

		if (tuple_get(w->v[2], "name", &name) < 0 ||
		    tuple_get(w->v[2], "value", &value) < 0)
			return -EINVAL;
		zone_res_set_attr(s.res, name, value);
		return 0;
	}
	if (str_eq(type, "fs") && str_eq(what, "options")) {
		cleanup_strv struct strv options = STRV_INIT;
		cleanup_free char *list = xstrdup(w->v[2]);

		zone_res_options(s.res, &options);
		strv_words(&options, list, "[],");
		zone_res_set_options(s.res, &options);
		return 0;
	}
	return fail("%s has no property %s to add to", type, what);
}

static int
cmd_add(struct strv *w)
{
	int r = need_config();

	if (r < 0)
		return r;
	s.changed = true;
	if (s.res)
		return add_to_res(w);
	if (w->n != 2 || !zone_res_type_find(w->v[1]))
		return fail("add %s: no such type of resource", w->n > 1 ? w->v[1] : "");
	s.saved = zone_config_copy(s.config);
	s.res = zone_res_add(s.config, w->v[1]);
	s.adding = true;
	return 0;
}

static int
cmd_select(struct strv *w)
{
	struct zone_res *res;
	int r = need_global("select");

	if (r == 0)
		r = find_res(w, 1, &res);
	if (r < 0)
		return r;
	s.saved = zone_config_copy(s.config);
	s.res = res;
	s.adding = false;
	return 0;
}

static int
cmd_end(struct strv *w)
{
	const struct zone_res_type *t;

	if (!s.res)
		return fail("end: not in a resource");
	t = zone_res_type_find(zone_res_type(s.res));
	for (const struct zone_prop_type *p = t->props; p->name; p++)
		if ((p->flags & ZONE_PROP_REQUIRED) && !zone_res_get(s.res, p->name))
			return fail("%s: %s not specified", t->name, p->name);
	zone_config_free(steal_ptr(&s.saved));
	s.res = NULL;
	s.changed = true;
	return 0;
}

static int
cmd_cancel(struct strv *w)
{
	if (!s.res)
		return fail("cancel: not in a resource");
	zone_config_free(s.config);
	s.config = steal_ptr(&s.saved);
	s.res = NULL;
	return 0;
}

/* remove [-F] type [name=value]...; in a resource: remove property-name value */
static int
cmd_remove(struct strv *w)
{
	size_t at = w->n > 1 && str_eq(w->v[1], "-F") ? 2 : 1;
	struct zone_res *res;
	int r = need_config();

	if (r < 0)
		return r;
	s.changed = true;
	if (s.res) {
		cleanup_free char *name = NULL;

		if (w->n == 3 && str_eq(w->v[1], "property")) {
			r = tuple_get(w->v[2], "name", &name);
			if (r == 0)
				zone_res_set_attr(s.res, name, NULL);
			return r;
		}
		if (w->n == 3 && str_eq(w->v[1], "value")) {
			cleanup_free char *priv = NULL, *limit = NULL, *action = NULL;

			if (tuple_get(w->v[2], "priv", &priv) < 0 ||
			    tuple_get(w->v[2], "limit", &limit) < 0 ||
			    tuple_get(w->v[2], "action", &action) < 0)
				return -EINVAL;
			return zone_rctl_remove_value(s.res, priv, limit, action) ? 0 :
				fail("no such value");
		}
		return fail("remove property (name=...) or value (...)");
	}
	/* without properties: all of that type */
	if (at + 1 == w->n && zone_res_type_find(w->v[at])) {
		while ((res = zone_res_next(s.config, w->v[at], NULL)))
			zone_res_remove(s.config, res);
		return 0;
	}
	r = find_res(w, at, &res);
	if (r == 0)
		zone_res_remove(s.config, res);
	return r;
}

static int
set_in_res(const char *name, const char *value)
{
	const struct zone_res_type *t = zone_res_type_find(zone_res_type(s.res));

	if (str_eq(t->name, "fs") && str_eq(name, "options")) {
		cleanup_strv struct strv options = STRV_INIT;

		strv_words(&options, value, "[],");
		zone_res_set_options(s.res, &options);
		return 0;
	}
	for (const struct zone_prop_type *p = t->props; p->name; p++)
		if (str_eq(p->name, name)) {
			zone_res_set(s.res, name, value);
			return 0;
		}
	return fail("%s has no property %s", t->name, name);
}

static int
set_global(const char *name, const char *value)
{
	int alias = alias_of(name);
	uint64_t n;

	if (alias >= 0) {
		int r = rctl_aliases[alias].size ? str_to_size(value, &n) :
						   str_to_u64(value, 10, &n);

		if (r < 0)
			return fail("%s: '%s' is no number", name, value);
		zone_config_set_rctl(s.config, rctl_aliases[alias].rctl, n,
				     rctl_aliases[alias].action);
		return 0;
	}
	if (!is_zone_prop(name))
		return fail("no property %s", name);
	if (str_eq(name, "zonename")) {
		if (!s.exists)
			return fail("the zone's name is given by -z");
		return zone_rename(s.zone, value, &s.err);
	}
	if (str_eq(name, "zonepath") && value[0] != '/')
		return fail("zonepath %s is not absolute", value);
	zone_config_set(s.config, name, value);
	return 0;
}

static int
cmd_set(struct strv *w)
{
	cleanup_free char *joined = NULL;
	cleanup_free char *name = NULL;
	cleanup_free char *value = NULL;
	struct strv rest = {.v = w->v + 1, .n = w->n - 1};
	int r = need_config();

	if (r < 0)
		return r;
	joined = strv_join(&rest, "");
	r = split_pair(joined, &name, &value);
	if (r < 0)
		return r;
	s.changed = true;
	return s.res ? set_in_res(name, value) : set_global(name, value);
}

static int
cmd_clear(struct strv *w)
{
	int r = need_config(), alias;

	if (r < 0)
		return r;
	if (w->n != 2)
		return fail("clear property-name");
	s.changed = true;
	if (s.res) {
		zone_res_set(s.res, w->v[1], NULL);
		return 0;
	}
	alias = alias_of(w->v[1]);
	if (alias >= 0) {
		zone_config_unset_rctl(s.config, rctl_aliases[alias].rctl);
		return 0;
	}
	if (!is_zone_prop(w->v[1]) || str_eq(w->v[1], "zonename") || str_eq(w->v[1], "zonepath") ||
	    str_eq(w->v[1], "brand"))
		return fail("%s cannot be cleared", w->v[1]);
	zone_config_set(s.config, w->v[1], NULL);
	return 0;
}

static int
cmd_verify(struct strv *w)
{
	int r = need_config();

	return r < 0 ? r : zone_config_verify(s.config, &s.err);
}

static int
commit(void)
{
	int r;

	if (!s.changed || !s.config)
		return 0;
	if (s.res)
		return fail("commit: a resource is not ended");
	r = s.exists ? zone_config_write(s.config, &s.err) : zone_create(s.config, &s.err);
	if (r < 0)
		return r;
	s.exists = true;
	s.changed = false;
	return 0;
}

static int
cmd_commit(struct strv *w)
{
	int r = need_global("commit");

	return r < 0 ? r : commit();
}

static int
cmd_delete(struct strv *w)
{
	bool force = w->n > 1 && str_eq(w->v[1], "-F");
	int r;

	if (!s.exists)
		return error_set(&s.err, ENOENT, "%s: No such zone configured", s.zone);
	if (!force && !cli_confirm("Are you sure you want to delete zone %s (y/[n])? ", s.zone))
		return fail("not deleted");
	r = zone_delete(s.zone, &s.err);
	if (r < 0)
		return r;
	zone_config_free(steal_ptr(&s.config));
	s.exists = s.changed = false;
	return 0;
}

static int
cmd_revert(struct strv *w)
{
	int r;

	zone_config_free(steal_ptr(&s.saved));
	zone_config_free(steal_ptr(&s.config));
	s.res = NULL;
	s.changed = false;
	r = zone_config_read(s.zone, &s.config, &s.err);
	return r == -ENOENT ? need_config() : r;
}

/* ---- showing ---- */

static void
quote(FILE *f, const char *v)
{
	if (*v && !strpbrk(v, " \t;\"'()[],="))
		fputs(v, f);
	else if (strchr(v, '"'))
		fprintf(f, "'%s'", v);
	else
		fprintf(f, "\"%s\"", v);
}

static void
export_res(FILE *f, struct zone_res *res)
{
	const struct zone_res_type *t = zone_res_type_find(zone_res_type(res));
	const char *name, *value, *priv, *limit, *action;
	cleanup_strv struct strv options = STRV_INIT;

	if (!t)
		return;
	fprintf(f, "add %s\n", t->name);
	for (const struct zone_prop_type *p = t->props; p->name; p++) {
		if (!(value = zone_res_get(res, p->name)))
			continue;
		fprintf(f, "set %s=", p->name);
		quote(f, value);
		fputc('\n', f);
	}
	for (size_t i = 0; zone_res_attr_at(res, i, &name, &value); i++)
		fprintf(f, "add property (name=%s,value=\"%s\")\n", name, value);
	if (str_eq(t->name, "rctl"))
		for (size_t i = 0; zone_rctl_value_at(res, i, &priv, &limit, &action); i++)
			fprintf(f, "add value (priv=%s,limit=%s,action=%s)\n", priv, limit, action);
	zone_res_options(res, &options);
	for (size_t i = 0; i < options.n; i++)
		fprintf(f, "add options %s\n", options.v[i]);
	fputs("end\n", f);
}

static int
cmd_export(struct strv *w)
{
	const char *file = w->n == 3 && str_eq(w->v[1], "-f") ? w->v[2] : NULL, *p, *v;
	FILE *f = stdout;
	int r = need_config();

	if (r < 0)
		return r;
	if (w->n != 1 && !file)
		return fail("export [-f file]");
	if (file && !(f = fopen(file, "we")))
		return error_set_errno(&s.err, errno, "%s", file);
	fputs("create -b\n", f);
	for (size_t i = 0; (p = zone_prop_at(i)); i++) {
		if (str_eq(p, "zonename") || str_eq(p, "debugid") ||
		    !(v = zone_config_get(s.config, p)))
			continue;
		fprintf(f, "set %s=", p);
		quote(f, v);
		fputc('\n', f);
	}
	zone_res_each(res, s.config, NULL)
		/* the range of uids is this node's business */
		if (!(str_eq(zone_res_type(res), "attr") &&
		      str_eq(zone_res_get(res, "name"), "uid-base")))
			export_res(f, res);
	if (file && fclose(f) != 0)
		return error_set_errno(&s.err, errno, "%s", file);
	return 0;
}

static void
info_res(struct zone_res *res)
{
	const struct zone_res_type *t = zone_res_type_find(zone_res_type(res));
	const char *name, *value, *priv, *limit, *action;
	cleanup_strv struct strv options = STRV_INIT;

	if (!t)
		return;
	printf("%s:\n", t->name);
	for (const struct zone_prop_type *p = t->props; p->name; p++) {
		value = zone_res_get(res, p->name);
		if (value)
			printf("\t%s: %s\n", p->name, value);
		else
			printf("\t%s not specified\n", p->name);
	}
	for (size_t i = 0; zone_res_attr_at(res, i, &name, &value); i++)
		printf("\tproperty: (name=%s,value=\"%s\")\n", name, value);
	if (str_eq(t->name, "rctl"))
		for (size_t i = 0; zone_rctl_value_at(res, i, &priv, &limit, &action); i++)
			printf("\tvalue: (priv=%s,limit=%s,action=%s)\n", priv, limit, action);
	if (str_eq(t->name, "fs")) {
		cleanup_free char *list = NULL;

		zone_res_options(res, &options);
		list = strv_join(&options, ",");
		printf("\toptions: [%s]\n", options.n ? list : "");
	}
}

static int
cmd_info(struct strv *w)
{
	const char *only = w->n > 1 ? w->v[1] : NULL, *p, *v;
	uint64_t n;
	int r = need_config();

	if (r < 0)
		return r;
	if (s.res) {
		info_res(s.res);
		return 0;
	}
	if (only && !is_zone_prop(only) && alias_of(only) < 0 && !zone_res_type_find(only))
		return fail("no property or type of resource %s", only);
	for (size_t i = 0; (p = zone_prop_at(i)); i++) {
		v = zone_config_get(s.config, p);
		if (only ? str_eq(only, p) : v || !str_eq(p, "uuid"))
			printf("%s: %s\n", p, v ? v : "");
	}
	for (size_t i = 0; i < ARRAY_SIZE(rctl_aliases); i++)
		if ((!only || str_eq(only, rctl_aliases[i].prop)) &&
		    zone_config_rctl(s.config, rctl_aliases[i].rctl, &n))
			printf("[%s: %" PRIu64 "]\n", rctl_aliases[i].prop, n);
	zone_res_each(res, s.config, NULL)
		if (!only || str_eq(only, zone_res_type(res)))
			info_res(res);
	return 0;
}

static int
cmd_exit(struct strv *w)
{
	if (s.res && !(w->n > 1 && str_eq(w->v[1], "-F")))
		return fail("exit: a resource is not ended; use 'end', 'cancel' or 'exit -F'");
	s.stop = true;
	return 0;
}

static int cmd_help(struct strv *w);

static const struct command {
	const char *name, *args, *summary;
	int (*run)(struct strv *w);
} commands[] = {
	{"add", "type | property-name value", "begin a resource, or add to its lists", cmd_add},
	{"cancel", "", "forget the resource's changes", cmd_cancel},
	{"clear", "property-name", "remove the value of a property", cmd_clear},
	{"commit", "", "write the configuration", cmd_commit},
	{"create", "[-F] [-b | -t template]", "begin a new configuration", cmd_create},
	{"delete", "[-F]", "remove the zone's configuration", cmd_delete},
	{"end", "", "finish the resource", cmd_end},
	{"exit", "[-F]", "commit and leave", cmd_exit},
	{"export", "[-f file]", "print commands that make this configuration", cmd_export},
	{"help", "", "this text", cmd_help},
	{"info", "[property | type]", "show the configuration", cmd_info},
	{"remove", "[-F] type [name=value...]", "remove resources", cmd_remove},
	{"revert", "[-F]", "back to what is on disk", cmd_revert},
	{"select", "type name=value...", "work on a resource", cmd_select},
	{"set", "name=value", "set a property", cmd_set},
	{"verify", "", "check the configuration", cmd_verify},
};

static int
cmd_help(struct strv *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("%-8s %-28s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	return 0;
}

static int
run_command(const char *line)
{
	cleanup_strv struct strv w = STRV_INIT;
	int r = split_line(line, &w);

	if (r < 0 || w.n == 0 || w.v[0][0] == '#')
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (str_eq(commands[i].name, w.v[0]))
			return commands[i].run(&w);
	return fail("no command '%s'; try 'help'", w.v[0]);
}

/* ';' separates outside of quotations and brackets. */
static int
run_line(const char *line)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char quoted = '\0';
	int depth = 0, r;

	for (const char *p = line;; p++) {
		bool end = !*p || (*p == ';' && !quoted && depth <= 0);

		if (quoted && *p == quoted)
			quoted = '\0';
		else if (!quoted && (*p == '"' || *p == '\''))
			quoted = *p;
		else if (!quoted && (*p == '(' || *p == '['))
			depth++;
		else if (!quoted && (*p == ')' || *p == ']'))
			depth--;
		if (!end) {
			strbuf_addc(&b, *p);
			continue;
		}
		r = b.len ? run_command(b.data) : 0;
		if (r < 0 || s.stop || !*p)
			return r;
		strbuf_reset(&b);
	}
}

static int
run_file(FILE *f, const char *name)
{
	cleanup_free char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t n;
	int r;

	while (!s.stop) {
		if (s.interactive) {
			if (s.res)
				printf("zonecfg:%s:%s> ", s.zone, zone_res_type(s.res));
			else
				printf("zonecfg:%s> ", s.zone);
			fflush(stdout);
		}
		n = getline(&line, &size, f);
		if (n < 0)
			return 0;
		number++;
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		r = run_line(line);
		if (r < 0 && !s.interactive)
			return error_wrap(&s.err, r, "%s:%zu", name, number);
		if (r < 0) {
			cli_error(&s.err);
			error_done(&s.err);
		}
	}
	return 0;
}

static int
open_zone(void)
{
	int r = zone_name_check(s.zone, &s.err);

	if (r < 0)
		return r;
	r = zone_config_read(s.zone, &s.config, &s.err);
	if (r == -ENOENT) {
		error_done(&s.err);
		return 0;
	}
	s.exists = r == 0;
	return r;
}

int
main(int argc, char **argv)
{
	const char *file = NULL, *root = NULL, *uuid = NULL;
	const struct cli_opt opts[] = {
		{'z', NULL, CLI_STR, &s.zone, "ZONE", NULL},
		{'u', NULL, CLI_STR, &uuid, "UUID", NULL},
		{'f', NULL, CLI_STR, &file, "FILE", NULL},
		{'R', NULL, CLI_STR, &root, "DIR", NULL},
		{0},
	};
	cleanup_free char *found = NULL;
	bool help = false;
	int first, r;

	cli_init(argv[0]);
	r = cli_parse(argc, argv, opts, &first, &help, &s.err);
	zone_set_root(root);
	if (r == 0 && uuid && zone_lookup(uuid, &found, &s.err) == 0)
		s.zone = found;
	if (r < 0 || help || !s.zone) {
		if (s.err.message)
			cli_error(&s.err);
		r = cli_usage_text(help, "zonecfg {-z zone | -u uuid} [-f file | command...]");
		if (help)
			cmd_help(NULL);
		return r;
	}
	r = open_zone();
	if (r == 0 && file) {
		FILE *f = str_eq(file, "-") ? stdin : fopen(file, "re");

		r = f ? run_file(f, file) : error_set_errno(&s.err, errno, "%s", file);
	} else if (r == 0 && first < argc) {
		struct strv words = {.v = argv + first, .n = (size_t)(argc - first)};
		cleanup_free char *line = strv_join(&words, " ");

		r = run_line(line);
	} else if (r == 0) {
		s.interactive = isatty(0);
		r = run_file(stdin, "standard input");
	}
	if (r == 0)
		r = commit();
	if (r < 0)
		cli_error(&s.err);
	error_done(&s.err);
	zone_config_free(s.config);
	zone_config_free(s.saved);
	return r < 0 ? CLI_FAILED : CLI_OK;
}
