/*
 * Sockets by name: "[ADDRESS:]PORT" (IPv4, or IPv6 in brackets; 127.0.0.1 if no
 * address is named), or the path of a UNIX socket.  All are close-on-exec and
 * blocking, but for what flags (SOCK_NONBLOCK) say.
 */
#ifndef BASE_SOCK_H
#define BASE_SOCK_H

#include <sys/socket.h>

#include "base/error.h"

int sock_tcp_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		     struct error *err);
int sock_tcp_listen(const char *address, int flags, int *ret_fd, struct error *err);
/* Gives up after so many seconds, and so does every later read and write. */
int sock_tcp_connect(const char *address, unsigned seconds, int *ret_fd, struct error *err);
int sock_set_timeout(int fd, unsigned seconds, struct error *err);

/* A stream, in the place of a socket that a process left there which is gone; nothing else is removed. */
int sock_unix_listen(const char *path, int flags, int *ret_fd, struct error *err);
/* With exactly that mode from its first moment (by the process' umask: not beside other threads).
 */
int sock_unix_listen_mode(const char *path, int type, mode_t mode, int *ret_fd, struct error *err);
/* type: SOCK_STREAM or SOCK_SEQPACKET, and flags */
int sock_unix_connect(const char *path, int type, int *ret_fd, struct error *err);

/* All of it; a peer that is gone is an error (-EPIPE), no signal. */
int sock_send_all(int fd, const void *data, size_t len);

#endif
