/*
 * Types in C's own notation.  C writes a type around the declared name, so a
 * declaration grows from the name outwards: pointers to its left, arrays and
 * parameters to its right, and parentheses where a pointer meets either.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctf/ctf_impl.h"

#define MAX_DEPTH 32

static char *declare(const struct ctf_type *t, char *inner, int depth);

/* "struct foo", "unsigned long", "enum { ... }" for anonymous ones. */
static char *
base_name(const struct ctf_type *t)
{
	enum ctf_kind kind = t->kind == CTF_FORWARD ? t->forward_kind : t->kind;
	const char *word = "";

	if (kind == CTF_STRUCT)
		word = "struct ";
	else if (kind == CTF_UNION)
		word = "union ";
	else if (kind == CTF_ENUM)
		word = "enum ";
	if (t->kind == CTF_INT) {
		cleanup_free char *name = ctf_canonical(t->name);

		return steal_ptr(&name);
	}
	return str_printf("%s%s", word, *t->name ? t->name : "{ ... }");
}

static char *
params(const struct ctf_type *t, int depth)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < t->n_fields; i++) {
		cleanup_free char *p = declare(ctf_follow(t, &t->fields[i].ref), xstrdup(""),
					       depth + 1);

		strbuf_addf(&b, "%s%s", i ? ", " : "", p);
	}
	if (t->variadic)
		strbuf_adds(&b, t->n_fields ? ", ..." : "...");
	else if (!t->n_fields)
		strbuf_adds(&b, "void");
	return strbuf_steal(&b);
}

/* "const " in front of what is not a pointer; behind the star of one. */
static char *
qualify(const struct ctf_type *t, char *inner, int depth)
{
	static const char *const words[] = {
		[CTF_CONST] = "const", [CTF_VOLATILE] = "volatile", [CTF_RESTRICT] = "restrict"};
	cleanup_free char *owned = inner;
	const struct ctf_type *target = ctf_target(t);
	const char *word = words[t->kind];

	if (target->kind == CTF_POINTER)
		return declare(target, str_printf("%s%s%s", word, *inner ? " " : "", inner),
			       depth + 1);
	else {
		cleanup_free char *rest = declare(target, steal_ptr(&owned), depth + 1);

		return str_printf("%s %s", word, rest);
	}
}

/* Takes inner. */
static char *
declare(const struct ctf_type *t, char *inner, int depth)
{
	cleanup_free char *owned = inner, *base = NULL, *list = NULL;
	const struct ctf_type *target;
	bool wrapped;

	if (depth > MAX_DEPTH)
		return str_printf("...%s%s", *inner ? " " : "", inner);
	switch (t->kind) {
	case CTF_POINTER:
		target = ctf_target(t);
		wrapped = target->kind == CTF_ARRAY || target->kind == CTF_FUNCTION;
		return declare(target, str_printf(wrapped ? "(*%s)" : "*%s", inner), depth + 1);
	case CTF_ARRAY:
		return declare(ctf_target(t),
			       t->count ? str_printf("%s[%llu]", inner, (unsigned long long)t->count)
					: str_printf("%s[]", inner),
			       depth + 1);
	case CTF_FUNCTION:
		list = params(t, depth);
		return declare(ctf_target(t), str_printf("%s(%s)", inner, list), depth + 1);
	case CTF_CONST:
	case CTF_VOLATILE:
	case CTF_RESTRICT:
		return qualify(t, steal_ptr(&owned), depth);
	case CTF_VOID:
	case CTF_INT:
	case CTF_FLOAT:
	case CTF_STRUCT:
	case CTF_UNION:
	case CTF_ENUM:
	case CTF_FORWARD:
	case CTF_TYPEDEF:
		break;
	}
	base = base_name(t);
	return str_printf("%s%s%s", base, *inner ? " " : "", inner);
}

char *
ctf_declare(const struct ctf_type *t, const char *name)
{
	return declare(t, xstrdup(name), 0);
}

char *
ctf_name(const struct ctf_type *t)
{
	return ctf_declare(t, "");
}

static void
define(const struct ctf_type *t, int indent, struct strbuf *b)
{
	cleanup_free char *head = base_name(t);

	if (!*t->name)
		head[strcspn(head, " ")] = '\0'; /* "struct", without "{ ... }" */
	strbuf_addf(b, "%s {\n", head);
	for (size_t i = 0; i < t->n_values; i++)
		strbuf_addf(b, "%*s%s = %lld,\n", indent + 4, "", t->values[i].name,
			    (long long)t->values[i].value);
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ctf_field *f = &t->fields[i];
		const struct ctf_type *type = ctf_follow(t, &t->fields[i].ref);
		cleanup_free char *text = NULL;

		strbuf_addf(b, "%*s", indent + 4, "");
		if (ctf_is_aggregate(type) && type == ctf_resolve(type) && !*type->name &&
		    indent < 4 * MAX_DEPTH) {
			define(type, indent + 4, b);
			strbuf_addf(b, "%s%s;\n", *f->name ? " " : "", f->name);
			continue;
		}
		text = ctf_declare(type, f->name);
		strbuf_adds(b, text);
		if (f->bit_size)
			strbuf_addf(b, " : %u", f->bit_size);
		strbuf_adds(b, ";\n");
	}
	strbuf_addf(b, "%*s}", indent, "");
}

char *
ctf_define(const struct ctf_type *t)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	define(ctf_resolve(t), 0, &b);
	strbuf_addc(&b, '\n');
	return strbuf_steal(&b);
}
