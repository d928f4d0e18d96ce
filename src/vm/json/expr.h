/*
 * The expressions of json -c and -e: a small part of JavaScript, without an
 * engine.  What it takes is what people pipe through json(1):
 *
 *	this.state == "running" && ram > 512
 *	/^web/.test(this.alias) || !this.tags.role
 *	this.mb = ram / 1024; delete this.nics
 *
 * Values: numbers, strings, true, false, null, undefined, [..], this, and names
 * of members of this.  Operators: ?: || && == != === !== < <= > >= + - * / % !
 * unary - typeof, delete, member access, = += -= and ; between statements.
 * Methods: indexOf includes startsWith endsWith match test toUpperCase
 * toLowerCase trim split join slice substr toString; the member length.
 */
#ifndef VM_JSON_EXPR_H
#define VM_JSON_EXPR_H

#include "base/json.h"

/*
 * Runs code on self (changed by assignments and delete).  *ret is the value of
 * the last expression, the caller's; NULL is undefined.
 */
int expr_run(const char *code, struct json *self, struct json **ret, struct error *err);
/* Only the grammar; nothing is run. */
int expr_check(const char *code, struct error *err);
/* JavaScript's idea of true. */
bool expr_true(const struct json *v);

/* A member as JavaScript sees it: of an object, an index, or "length"; a copy, NULL undefined. */
struct json *expr_member(const struct json *v, const char *name);

#endif
