/*
 * What the start and stop methods of the boot services have in common: exit
 * codes that svc.startd knows, and talking to the log and the console.
 */
#ifndef BOOT_METHOD_H
#define BOOT_METHOD_H

#include <stdbool.h>

#include "base/error.h"

enum {
	SMF_EXIT_OK = 0,
	SMF_EXIT_ERR = 1,
	SMF_EXIT_NODAEMON = 94,
	SMF_EXIT_ERR_FATAL = 95,
	SMF_EXIT_ERR_CONFIG = 96,
};

/* Name for messages; opens the console if there is one. */
void method_init(const char *name);
/* Into the service's log, and onto the console: what an operator waits for. */
void method_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Into the service's log only. */
void method_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* method_say() of "cannot ...: message"; returns SMF_EXIT_ERR_FATAL. */
int method_fail(const struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Runs argv to its end; each 10 s it takes, says that it still runs what.
 * After timeout_s it is killed: -ETIMEDOUT.
 */
int method_run(const char *const argv[], const char *what, int timeout_s, struct error *err);
#define METHOD_RUN(what, timeout_s, err, ...) \
	method_run((const char *const[]){__VA_ARGS__, NULL}, (what), (timeout_s), (err))

/*
 * Between these two the console hears "what: still at it" every 10 s, whatever
 * this process is busy with.  Not nested.
 */
void method_begin(const char *what);
void method_end(void);

bool is_mountpoint(const char *path);
/* Mounts unless something is mounted there; makes the directory. */
int mount_if_needed(const char *source, const char *target, const char *type, unsigned long flags,
		    const char *data, struct error *err);

/* "20261121T100000Z": which platform image runs; "unknown" off the platform. */
const char *platform_stamp(void);

#endif
