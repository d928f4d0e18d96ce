/*
 * Running programs: an argument vector, never a shell.
 *
 * run_capture() is for small helpers (`zfs get`, `nft`); run_start() for
 * programs that are fed or read through pipes while they run (`zfs receive`).
 * Every child gets default signal dispositions, an empty signal mask, no
 * descriptors but 0-2, and dies with us if `die_with_parent`.
 */
#ifndef OS_RUN_H
#define OS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

enum run_io { RUN_NULL, RUN_INHERIT, RUN_PIPE };

struct run_opts {
	enum run_io in, out, err;
	const char *dir;        /* working directory, or NULL */
	const char *const *env; /* NULL-terminated, or NULL for ours */
	bool die_with_parent;
	int in_fd, out_fd;      /* if > 0: used as standard input/output instead of in/out */
};

struct run_child {
	pid_t pid;
	int pidfd;   /* the caller's */
	int in;      /* our ends of the pipes asked for, or -1 */
	int out;
	int err;
};

/*
 * A descriptor that every child started from now on keeps open besides 0-2 (-1:
 * none): a lock that is held until the last of them ended, though we be killed.
 */
int run_set_lease(int fd); /* returns the one before */

/* argv[0] is looked up in PATH.  A program that cannot be executed is an error here. */
int run_start(const char *const argv[], const struct run_opts *opts, struct run_child *ret,
	      struct error *err);
/*
 * Waits and reaps; closes what is left open.  *ret_status (may be NULL) is the
 * exit status or 128+signal.
 */
int run_wait(struct run_child *c, int *ret_status, struct error *err);
/* SIGKILL and reap; harmless on a child that ended. */
void run_abort(struct run_child *c);

/*
 * Runs to the end; output (may be NULL) collects stdout, at most 64 MiB.  A
 * non-zero exit is -EIO with the command and the last lines of its stderr in
 * the message; *ret_status (may be NULL) then is the status, and a non-zero
 * exit no error.
 */
int run_capture(const char *const argv[], char **output, int *ret_status, struct error *err);
/* The same with text on standard input. */
int run_feed(const char *const argv[], const char *input, size_t len, char **output,
	     int *ret_status, struct error *err);

/* run_capture() of a literal list: RUN(err, "zfs", "destroy", name) */
#define RUN(err, ...) run_capture((const char *const[]){__VA_ARGS__, NULL}, NULL, NULL, (err))
#define RUN_OUTPUT(out, err, ...) \
	run_capture((const char *const[]){__VA_ARGS__, NULL}, (out), NULL, (err))

#endif
