/* Installing and removing images. */
#ifndef IMG_IMPORT_H
#define IMG_IMPORT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "img/source.h"
#include "img/stream.h"

struct import_opts {
	const char *pool;
	const char *source; /* URL for the database, or NULL */
	stream_progress_fn *progress;
	void *arg;
};

/*
 * Installs the image that `file` holds (taken over) and `manifest` describes.
 * Its origin must be installed.  1 if it was installed already.
 */
int img_install(const struct json *manifest, struct stream *file, const struct import_opts *o,
		struct error *err);

/*
 * -ENOENT if it is not there, -EBUSY "ImageHasDependentClones" if something
 * was cloned from it or somebody holds it.
 */
int img_delete(const char *uuid, const char *pool, struct error *err);

/* Gives an image that lacks it its @final snapshot, and its database file this manifest. */
int img_repair(const char *uuid, const char *pool, const struct json *manifest, const char *source,
	       struct error *err);

/* Writes POOL-UUID.json. */
int img_db_write(const char *pool, const struct json *manifest, const char *source,
		 struct error *err);

/*
 * Removes what imports and deletes that were cut short left on pool: UUID-partial datasets nobody
 * works on (told in ret_removed), and manifests without an image.
 */
int img_sweep(const char *pool, struct strv *ret_removed, struct error *err);

#endif
