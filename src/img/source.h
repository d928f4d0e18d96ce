/*
 * Image sources: the list in /var/imgadm/imgadm.conf, and the calls of IMGAPI
 * (https://github.com/TritonDataCenter/sdc-imgapi) that a node makes.
 *
 * A source's URL may carry "?channel=NAME".
 */
#ifndef IMG_SOURCE_H
#define IMG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "img/stream.h"

#define IMG_BOOT_SOURCE "/system/boot/image-source"
#define IMG_DEFAULT_SOURCE "https://images.smartos.org"

struct source {
	char *url;  /* as the user gave it */
	char *type; /* "imgapi"; "docker" and "dsapi" are kept, not asked */
	bool insecure; /* the server's certificate is not checked */
};
struct source_list {
	struct source *sources;
	size_t n;
};

#define SOURCE_LIST_INIT {0}
void source_list_done(struct source_list *l);
#define cleanup_source_list CLEANUP(source_list_done)

/* What the configuration says; without one, IMG_BOOT_SOURCE's URLs, else the default source. */
int source_load(struct source_list *ret, struct error *err);
/* Writes the sources back and keeps what else the configuration holds. */
int source_save(const struct source_list *l, struct error *err);
/* [{url, type, insecure}], as the configuration and imgadm sources -j have them; the caller's. */
struct json *source_list_json(const struct source_list *l);
/* The URL must be http or https, the type a known one. */
int source_add(struct source_list *l, const char *url, const char *type, bool insecure,
	       struct error *err); /* 1: it was there already */
bool source_remove(struct source_list *l, const char *url);

/* Asks GET /ping. */
int source_ping(const struct source *s, struct error *err);
/*
 * GET /images[?query]: manifests that are valid; those that are not are counted
 * in *ret_bad (may be NULL).
 */
int source_images(const struct source *s, const char *channel, struct json **ret, size_t *ret_bad,
		  struct error *err);
/* GET /images/UUID.  -ENOENT if the source has none; the manifest is checked and of this uuid. */
int source_manifest(const struct source *s, const char *uuid, const char *channel,
		    struct json **ret, struct error *err);
/* GET /images/UUID/file. */
int source_file(const struct source *s, const char *uuid, const char *channel, struct stream **ret,
		struct error *err);

/*
 * Publishing: manifest in, then the file, then make it active.  The steps of
 * `imgadm publish`.
 */
int source_publish(const struct source *s, const struct json *manifest, const char *file,
		   stream_progress_fn *progress, void *arg, struct error *err);

/* --- http.c, for source.c and tests */

/* GET url: a JSON answer of at most 64 MiB.  A status other than 200 is -ENOENT (404) or -EPROTO. */
int http_get_json(const char *url, bool insecure, struct json **ret, struct error *err);
int http_post_json(const char *url, bool insecure, const struct json *body, struct json **ret,
		   struct error *err);
int http_put_file(const char *url, bool insecure, const char *path, stream_progress_fn *progress,
		  void *arg, struct error *err);

#endif
