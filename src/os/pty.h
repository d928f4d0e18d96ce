/* Pseudo terminals. */
#ifndef OS_PTY_H
#define OS_PTY_H

#include <termios.h>

#include "base/error.h"

/* A pair of the host's devpts; both close-on-exec. */
int pty_open(int *ret_master, int *ret_slave, struct error *err);
/*
 * A pair of the devpts mounted at /dev/pts of the calling process (a zone's): -EINVAL if
 * something else lies there.
 */
int pty_open_here(int *ret_master, int *ret_slave, struct error *err);
/* No echo, no lines, no signals; *old (may be NULL) is what to go back to. */
int pty_raw(int fd, struct termios *old, struct error *err);
int pty_restore(int fd, const struct termios *old);
/* Copies the window size of one terminal to another; not a terminal is no error. */
void pty_copy_size(int from, int to);
/* The calling process starts a session with fd as its controlling terminal and standard 0-2. */
int pty_take(int fd, struct error *err);

#endif
