/*
 * A stream of bytes between a guest's serial device and the host: the
 * terminal, a tty, a socket, a file.
 *
 * The host side lives in the main thread's event loop.  The guest side
 * (chardev_write, chardev_wants_input) may be called from any thread, with the
 * device's lock held.  Callbacks come from the main thread with no lock held.
 */
#ifndef VMM_CHARDEV_H
#define VMM_CHARDEV_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/event.h"

struct chardev;

struct chardev_user {
	/* How many bytes the guest can take now; 0 stops reading until chardev_wants_input(). */
	size_t (*room)(void *arg);
	void (*receive)(void *arg, const uint8_t *data, size_t len);
	/* There is space for output again; may be NULL. */
	void (*writable)(void *arg);
	void *arg;
};

/*
 * spec: "stdio", "/dev/...", "tcp=ADDR:PORT", "socket,PATH[,wait]",
 * "file,PATH".  loop may be NULL (tests): then there is output only.
 */
int chardev_open(struct event_loop *loop, const char *spec, const struct chardev_user *user,
		 struct chardev **ret, struct error *err);
void chardev_free(struct chardev *c);
DEFINE_CLEANUP(chardev_free, struct chardev *);

/* Takes up to len bytes; fewer when the host is slow (writable() follows). */
size_t chardev_write(struct chardev *c, const void *data, size_t len);
/* The guest has room again. */
void chardev_wants_input(struct chardev *c);

#endif
