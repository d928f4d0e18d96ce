/*
 * Service bundles: the XML of service_bundle.dtd.1 to the configuration tree
 * and back.
 *
 * The tree is JSON, the form in which svccfg and configd speak of services:
 *
 *	{"type": "manifest", "name": "...", "services": [SERVICE, ...]}
 *	SERVICE  {"name": "network/ssh", "type": "service", "pgs": [PG], "instances": [INSTANCE]}
 *	INSTANCE {"name": "default", "pgs": [PG]}
 *	PG       {"name": "start", "type": "method", "props": [PROP]}
 *	PROP     {"name": "exec", "type": "astring", "values": ["/lib/svc/method/sshd start"]}
 *
 * Every element of the DTD becomes property groups as in illumos: exec_method
 * a group of type method, dependency one of type dependency, create_default_instance
 * an instance with general/enabled.  A <dependent> stays with the service that
 * declares it, as a group of type "dependent"; configd gives it to the target
 * when it makes the plan, so the order of imports does not matter.
 */
#ifndef SMF_BUNDLE_H
#define SMF_BUNDLE_H

#include <stddef.h>

#include "base/error.h"
#include "base/json.h"

/* name stands in messages: "NAME:LINE: ...". */
int bundle_parse(const char *text, size_t len, const char *name, struct json **ret,
		 struct error *err);
int bundle_read(const char *path, struct json **ret, struct error *err);
/* The XML of a tree ("manifest", "profile" or "archive"); the caller's. */
char *bundle_print(const struct json *tree);

/* The tree: look up, or add at the end. */
struct json *bundle_find(const struct json *list, const char *name); /* NULL if absent */
struct json *bundle_pg(struct json *pgs, const char *name, const char *type);
/* A new named member of list, the list at key (made if absent), an empty property, a value. */
struct json *bundle_add(struct json *list, const char *name, const char *type);
struct json *bundle_list(struct json *object, const char *key);
struct json *bundle_new_prop(struct json *pg, const char *name, const char *type);
void bundle_add_value(struct json *prop, const char *value);
void bundle_prop(struct json *pg, const char *name, const char *type, const char *value);
/* First value of pg/prop in a list of groups, or NULL. */
const char *bundle_value(const struct json *pgs, const char *pg, const char *prop);

#endif
