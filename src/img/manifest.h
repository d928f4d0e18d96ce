/*
 * Image manifests, version 2 of IMGAPI: checked by one table (manifest.c), of
 * which every row is a field with its type and limits.  A bad field names
 * itself in the message and in err->path.
 */
#ifndef IMG_MANIFEST_H
#define IMG_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

/* What a manifest must have beyond valid fields. */
enum manifest_use {
	MANIFEST_SHOW,    /* of an image somewhere: files[] may be missing */
	MANIFEST_INSTALL, /* to be installed: active, with exactly one file */
};

int manifest_check(const struct json *m, enum manifest_use use, struct error *err);

/* The one file of a manifest that passed MANIFEST_INSTALL. */
enum compression { COMP_NONE, COMP_GZIP, COMP_BZIP2, COMP_XZ, COMP_ZSTD };
struct manifest_file {
	const char *sha1; /* 40 lower-case hex digits */
	uint64_t size;
	enum compression compression;
};
void manifest_file(const struct json *m, struct manifest_file *ret);
int compression_parse(const char *name, enum compression *ret, struct error *err);
const char *compression_name(enum compression c);
const char *compression_suffix(enum compression c); /* "", "gz", ... */

/* Sets field "a.b" to value, whose type the field decides ("true", "12", text, JSON). */
int manifest_set(struct json *m, const char *field, const char *value, struct error *err);

/* Images made of whole volumes. */
bool manifest_is_volume(const struct json *m);

#endif
