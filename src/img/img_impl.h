/* What the files of src/img share. */
#ifndef IMG_IMG_IMPL_H
#define IMG_IMG_IMPL_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

/* Tests live below another root than "". */
void img_set_root(const char *root);
const char *img_root(void);
const char *img_conf(void);
/* The database file of an image; the caller's. */
char *img_db_path(const char *pool, const char *uuid);
int img_mkdirs(struct error *err);

/*
 * Errors with the code that SmartOS's imgadm prints ("ImageNotInstalled"): it
 * stands in err->path, where imgadm looks for it.
 */
int img_error(struct error *err, int code, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Lower-case UUIDs only. */
bool img_uuid_ok(const char *uuid);
int img_need_uuid(const char *uuid, struct error *err);

/* Exclusive (import, delete) or shared (in use) lock on an image; -EWOULDBLOCK unless wait. */
int img_lock(const char *uuid, bool exclusive, bool wait, int *ret_fd, struct error *err);

/* Tests cut imports short: dies by SIGKILL if $IMGADM_TEST_KILL names this step. */
void img_step(const char *name);

#endif
