/*
 * Local messages between our processes: AF_UNIX SOCK_SEQPACKET, one JSON
 * object a packet (at most 128 KiB), with up to IPC_MAX_FDS descriptors and
 * the sender's credentials (SCM_CREDENTIALS, checked by the kernel).
 *
 * Server: ipc_listen() on an event loop; each request arrives at the handler,
 * which answers with ipc_reply() now or later.  Client: ipc_call() sends and
 * waits.  An answer is an object; {"error":{"code":N,"message":S}} becomes a
 * struct error at the caller.
 */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/event.h"
#include "base/json.h"

#define IPC_MAX_FDS 8
#define IPC_MAX_MESSAGE (128 * 1024)

struct ipc_message {
	struct json *body;   /* owned */
	int fds[IPC_MAX_FDS]; /* owned, close-on-exec */
	size_t n_fds;
	struct ucred cred; /* of the sender; pid 0 if the socket does not pass them */
};

#define IPC_MESSAGE_INIT {0}
void ipc_message_done(struct ipc_message *m);
#define cleanup_ipc_message CLEANUP(ipc_message_done)
int ipc_message_steal_fd(struct ipc_message *m, size_t i);

/* Blocking, on one connected socket. */
int ipc_connect(const char *path, int *ret_fd, struct error *err);
int ipc_send(int fd, const struct json *body, const int *fds, size_t n_fds, struct error *err);
/* 0, or 1 at end of stream (an expected outcome), or a negative errno. */
int ipc_recv(int fd, struct ipc_message *ret, struct error *err);
/* Sends request and waits for the answer; an error answer fails with its code and message. */
int ipc_call(int fd, const struct json *request, const int *fds, size_t n_fds,
	     struct ipc_message *ret, struct error *err);

/* Server side. */
struct ipc_server;
struct ipc_client; /* one connection */
typedef void ipc_request_fn(struct ipc_client *c, struct ipc_message *m, void *arg);
typedef void ipc_closed_fn(struct ipc_client *c, void *arg); /* c dies after this */

/* Binds path (an old socket there is replaced) with mode; closed may be NULL. */
int ipc_listen(struct event_loop *l, const char *path, unsigned mode, ipc_request_fn *request,
	       ipc_closed_fn *closed, void *arg, struct ipc_server **ret, struct error *err);
void ipc_server_stop(struct ipc_server *s); /* takes no more clients; removes the socket */
void ipc_server_free(struct ipc_server *s); /* closes every client; removes the socket */
DEFINE_CLEANUP(ipc_server_free, struct ipc_server *);

/*
 * Answers or pushes; takes body.  Never blocks: a client whose queue is full
 * (1 MiB) is dropped.  fds are duplicated.
 */
int ipc_reply(struct ipc_client *c, struct json *body, const int *fds, size_t n_fds);
int ipc_reply_error(struct ipc_client *c, const struct error *err);
int ipc_reply_ok(struct ipc_client *c); /* {} */
void ipc_client_set_data(struct ipc_client *c, void *data);
void *ipc_client_data(const struct ipc_client *c);
void ipc_client_close(struct ipc_client *c); /* after what is queued was sent */
/* Walks the clients of a server (NULL starts); for pushing events. */
struct ipc_client *ipc_client_next(struct ipc_server *s, struct ipc_client *c);

#endif
