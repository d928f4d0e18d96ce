/* TCP sockets by "ADDRESS:PORT" (IPv4, or IPv6 in brackets); an empty address is 127.0.0.1. */
#ifndef VMM_BACKEND_TCP_H
#define VMM_BACKEND_TCP_H

#include <sys/socket.h>

#include "base/error.h"

int tcp_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		struct error *err);
/* Close-on-exec, blocking. */
int tcp_listen(const char *address, int *ret_fd, struct error *err);
/* Gives up after so many seconds, and so does every later read and write. */
int tcp_connect(const char *address, unsigned seconds, int *ret_fd, struct error *err);
int tcp_set_timeout(int fd, unsigned seconds, struct error *err);

#endif
