/*
 * libxml2 behind a small door.  `struct xml` is an xmlDoc and `struct
 * xml_node` an xmlNode, under names that keep libxml2 out of our headers.
 *
 * xml_attr() must hand out a string that lives as long as the node: an
 * attribute's text node holds it; values split over several text nodes (by
 * entity references) are folded into one first.
 */
#include "base/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlsave.h>

#include "base/file.h"
#include "base/str.h"

#define XML_MAX_SIZE (4u << 20)
#define XML_MAX_NESTING 64

static xmlDoc *
doc_of(const struct xml *x)
{
	return (xmlDoc *)(uintptr_t)x;
}

static xmlNode *
node_of(const struct xml_node *n)
{
	return (xmlNode *)(uintptr_t)n;
}

static struct xml_node *
wrap(xmlNode *n)
{
	return (struct xml_node *)n;
}

/* First reported problem of a parse, for the message. */
struct first_error {
	int line;
	char *message;
};

static void
note_error(void *arg, const xmlError *e)
{
	struct first_error *first = arg;

	if (first->message || !e || e->level < XML_ERR_ERROR)
		return;
	first->line = e->line;
	first->message = xstrdup(e->message ? e->message : "malformed");
	str_trim(first->message);
}

static bool
too_deep(const xmlNode *n, int depth)
{
	if (depth > XML_MAX_NESTING)
		return true;
	for (; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && too_deep(n->children, depth + 1))
			return true;
	return false;
}

int
xml_parse(const char *text, size_t len, const char *name, struct xml **ret, struct error *err)
{
	struct first_error first = {0};
	xmlParserCtxt *ctx;
	xmlDoc *doc;
	int r = 0;

	if (len > XML_MAX_SIZE)
		return error_set(err, EFBIG, "%s: XML of more than %u bytes", name, XML_MAX_SIZE);
	ctx = xmlNewParserCtxt();
	if (!ctx)
		abort();
	/* An entity is never expanded (no XML_PARSE_NOENT) and no DTD is loaded. */
	xmlSetStructuredErrorFunc(&first, (xmlStructuredErrorFunc)note_error);
	doc = xmlCtxtReadMemory(ctx, text, (int)len, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOCDATA |
					XML_PARSE_BIG_LINES);
	xmlSetStructuredErrorFunc(NULL, NULL);
	xmlFreeParserCtxt(ctx);
	if (!doc || !xmlDocGetRootElement(doc))
		r = error_set(err, EINVAL, "%s: line %d: %s", name, first.line ? first.line : 1,
			      first.message ? first.message : "not an XML document");
	else if (too_deep(doc->children, 0))
		r = error_set(err, EINVAL, "%s: elements nested more than %d deep", name,
			      XML_MAX_NESTING);
	free(first.message);
	if (r < 0) {
		xmlFreeDoc(doc);
		return r;
	}
	*ret = (struct xml *)doc;
	return 0;
}

int
xml_read_file(const char *path, struct xml **ret, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_read(path, XML_MAX_SIZE, &text, &len, err);

	if (r < 0)
		return r;
	return xml_parse(text, len, path, ret, err);
}

struct xml *
xml_new(const char *root, const char *doctype_public, const char *doctype_system)
{
	xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");

	if (!doc)
		abort();
	if (doctype_system)
		xmlCreateIntSubset(doc, BAD_CAST root, BAD_CAST doctype_public,
				   BAD_CAST doctype_system);
	xmlDocSetRootElement(doc, xmlNewNode(NULL, BAD_CAST root));
	return (struct xml *)doc;
}

void
xml_free(struct xml *x)
{
	xmlFreeDoc(doc_of(x));
}

char *
xml_print(const struct xml *x)
{
	xmlChar *mem = NULL;
	char *text;
	int len = 0;

	xmlDocDumpFormatMemoryEnc(doc_of(x), &mem, &len, "UTF-8", 1);
	if (!mem)
		abort();
	text = xstrndup((char *)mem, (size_t)len);
	xmlFree(mem);
	return text;
}

struct xml_node *
xml_root(const struct xml *x)
{
	return wrap(xmlDocGetRootElement(doc_of(x)));
}

const char *
xml_name(const struct xml_node *n)
{
	return (const char *)node_of(n)->name;
}

int
xml_line(const struct xml_node *n)
{
	return (int)xmlGetLineNo(node_of(n));
}

const char *
xml_attr(const struct xml_node *n, const char *name)
{
	xmlAttr *a = xmlHasProp(node_of(n), BAD_CAST name);

	/* xmlHasProp may answer with a DTD's default declaration: not ours. */
	if (!a || a->type != XML_ATTRIBUTE_NODE)
		return NULL;
	if (!a->children)
		return "";
	if (a->children->next || a->children->type != XML_TEXT_NODE) {
		xmlChar *whole = xmlNodeListGetString(a->doc, a->children, 1);

		a = xmlSetProp(node_of(n), BAD_CAST name, whole ? whole : BAD_CAST "");
		xmlFree(whole);
		if (!a || !a->children)
			return "";
	}
	return (const char *)a->children->content;
}

void
xml_set_attr(struct xml_node *n, const char *name, const char *value)
{
	if (value)
		xmlSetProp(node_of(n), BAD_CAST name, BAD_CAST value);
	else
		xmlUnsetProp(node_of(n), BAD_CAST name);
}

char *
xml_text(const struct xml_node *n)
{
	xmlChar *text = xmlNodeGetContent(node_of(n));
	char *copy = xstrdup(text ? (char *)text : "");

	xmlFree(text);
	return copy;
}

void
xml_set_text(struct xml_node *n, const char *text)
{
	xmlChar *escaped = xmlEncodeSpecialChars(node_of(n)->doc, BAD_CAST text);

	xmlNodeSetContent(node_of(n), escaped);
	xmlFree(escaped);
}

static struct xml_node *
first_element(xmlNode *n, const char *name)
{
	for (; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && (!name || str_eq((const char *)n->name, name)))
			return wrap(n);
	return NULL;
}

struct xml_node *
xml_child(const struct xml_node *n, const char *name)
{
	return first_element(node_of(n)->children, name);
}

struct xml_node *
xml_next(const struct xml_node *n, const char *name)
{
	return first_element(node_of(n)->next, name);
}

struct xml_node *
xml_parent(const struct xml_node *n)
{
	xmlNode *p = node_of(n)->parent;

	return p && p->type == XML_ELEMENT_NODE ? wrap(p) : NULL;
}

struct xml_node *
xml_add(struct xml_node *parent, const char *name)
{
	xmlNode *n = xmlNewChild(node_of(parent), NULL, BAD_CAST name, NULL);

	if (!n)
		abort();
	return wrap(n);
}

void
xml_remove(struct xml_node *n)
{
	xmlUnlinkNode(node_of(n));
	xmlFreeNode(node_of(n));
}
