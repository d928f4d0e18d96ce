/* What the verbs of imgadm share. */
#ifndef IMG_IMGADM_H
#define IMG_IMGADM_H

#include <stdbool.h>

#include "base/cli.h"
#include "base/error.h"
#include "base/json.h"
#include "img/img.h"
#include "img/stream.h"

/* "imgadm import: error (ImageNotInstalled): ..." (and JSON with -E); the exit status. */
int imgadm_error(const struct error *err);
/* Wrong use of a verb: message and status 2. */
int imgadm_usage(const struct error *err);

/*
 * Parses a verb's options and checks the number of operands.  0: go on;
 * 1: *ret_status is how to leave (help was shown, or wrong use).
 */
int imgadm_parse(int argc, char **argv, const struct cli_opt *opts, int min, int max,
		 int *ret_first, int *ret_status);

/* The pool to use: -P, else the system pool, else "zones". */
char *imgadm_pool(const char *option);

/* A progress bar that is a stream_progress_fn; arg is a struct cli_progress *. */
void imgadm_progress(uint64_t done, void *arg);

/* "UUID (name@version)" */
char *imgadm_title(const struct json *manifest);

/* Verbs in files of their own. */
int imgadm_list(int argc, char **argv);
int imgadm_avail(int argc, char **argv);
int imgadm_ancestry(int argc, char **argv);
int imgadm_sources(int argc, char **argv);
int imgadm_create(int argc, char **argv);
int imgadm_publish(int argc, char **argv);

/* imgadm_prepare.c: a script runs in the (stopped) VM of that dataset; what it did is taken back. */
int imgadm_prepare(const char *vm, const char *dataset, const char *path, struct error *err);
int imgadm_unprepare(const char *dataset, struct error *err);

#endif
