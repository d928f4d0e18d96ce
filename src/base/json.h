/*
 * JSON values: parse, build, print.  A thin layer over yyjson's mutable
 * documents (https://ibireme.github.io/yyjson/): a `struct json` is a node of
 * a tree that owns its children; roots are freed with json_free().
 *
 * Readers never fail: asking a string of a number gives the fallback, and a
 * NULL node is a JSON null, so chains need no checks:
 *
 *	const char *ip = json_str(json_get(nic, "ip"), NULL);
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct json;

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STR, JSON_ARRAY, JSON_OBJECT };

/*
 * Strict RFC 8259, duplicate keys refused, depth at most 128, size at most
 * 64 MiB.  The message names line and column.  len (size_t)-1 means strlen.
 */
int json_parse(const char *text, size_t len, struct json **ret, struct error *err);
/* path "-" is standard input. */
int json_read_file(const char *path, struct json **ret, struct error *err);
void json_free(struct json *j);
DEFINE_CLEANUP(json_free, struct json *);
#define cleanup_json CLEANUP(json_freep)

/* pretty: two-space indentation and a newline at the end, as SmartOS prints. */
char *json_print(const struct json *j, bool pretty);
int json_write_file(const char *path, const struct json *j, unsigned mode, struct error *err);

enum json_type json_type(const struct json *j); /* NULL is JSON_NULL */
const char *json_type_name(enum json_type t);   /* "string", "object", ... */
bool json_equal(const struct json *a, const struct json *b); /* object order does not matter */
struct json *json_copy(const struct json *j);

/* Reading. */
const char *json_str(const struct json *j, const char *fallback);
int64_t json_int(const struct json *j, int64_t fallback); /* also of a real without fraction */
double json_real(const struct json *j, double fallback);
bool json_bool(const struct json *j, bool fallback);
size_t json_len(const struct json *j); /* of an array or object, else 0 */
struct json *json_at(const struct json *array, size_t i);          /* NULL out of range */
struct json *json_get(const struct json *object, const char *key); /* NULL if absent */
/* "nics[0].ip", "customer_metadata.root_authorized_keys"; NULL if absent. */
struct json *json_lookup(const struct json *j, const char *path);
/* Key of the i-th member of an object, in order; its value by json_value_at(). */
const char *json_key_at(const struct json *object, size_t i);
struct json *json_value_at(const struct json *object, size_t i);

#define json_array_each(pos, array) \
	for (size_t _i = 0; ((pos) = json_at((array), _i)) != NULL; _i++)
#define json_object_each(key, pos, object)                         \
	for (size_t _i = 0; ((key) = json_key_at((object), _i)) != NULL && \
			    ((pos) = json_value_at((object), _i), 1); _i++)

/* Building: constructors return a new root. */
struct json *json_new_null(void);
struct json *json_new_bool(bool b);
struct json *json_new_int(int64_t i);
struct json *json_new_real(double d);
struct json *json_new_str(const char *s); /* copies; NULL gives JSON null */
struct json *json_new_array(void);
struct json *json_new_object(void);

/* Adding takes ownership of value (a root).  Setting a key that exists replaces in place. */
void json_push(struct json *array, struct json *value);
void json_set(struct json *object, const char *key, struct json *value);
void json_set_str(struct json *object, const char *key, const char *value);
void json_set_int(struct json *object, const char *key, int64_t value);
void json_set_bool(struct json *object, const char *key, bool value);
/* Removal frees; false if it was absent. */
bool json_remove(struct json *object, const char *key);
bool json_remove_at(struct json *array, size_t i);
/* Takes the member out; the caller owns it.  NULL if absent. */
struct json *json_steal(struct json *object, const char *key);

#endif
