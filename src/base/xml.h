/*
 * XML for zone configurations and service bundles: a thin layer over libxml2.
 * Parsing is closed: no network, no external entities, no DTD loading, bounded
 * size (4 MiB) and depth, since zone XML and manifests may come from others.
 */
#ifndef BASE_XML_H
#define BASE_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct xml;      /* a document; owns its nodes */
struct xml_node; /* an element */

int xml_parse(const char *text, size_t len, const char *name_for_errors, struct xml **ret,
	      struct error *err);
int xml_read_file(const char *path, struct xml **ret, struct error *err);
/* New document with an empty root element and, if doctype_system, a DOCTYPE line. */
struct xml *xml_new(const char *root, const char *doctype_public, const char *doctype_system);
void xml_free(struct xml *x);
DEFINE_CLEANUP(xml_free, struct xml *);
#define cleanup_xml CLEANUP(xml_freep)
char *xml_print(const struct xml *x); /* two-space indentation */

struct xml_node *xml_root(const struct xml *x);
const char *xml_name(const struct xml_node *n);
int xml_line(const struct xml_node *n);
/* The attribute's value, owned by the node and valid until it changes; NULL if absent. */
const char *xml_attr(const struct xml_node *n, const char *name);
void xml_set_attr(struct xml_node *n, const char *name, const char *value); /* NULL removes */
/* Concatenated text content; the caller's. */
char *xml_text(const struct xml_node *n);
void xml_set_text(struct xml_node *n, const char *text);

/* First/next child element; name NULL means any. */
struct xml_node *xml_child(const struct xml_node *n, const char *name);
struct xml_node *xml_next(const struct xml_node *n, const char *name);
#define xml_each(pos, parent, name) \
	for ((pos) = xml_child((parent), (name)); (pos); (pos) = xml_next((pos), (name)))
struct xml_node *xml_parent(const struct xml_node *n);

struct xml_node *xml_add(struct xml_node *parent, const char *name);
void xml_remove(struct xml_node *n); /* with its children */

#endif
