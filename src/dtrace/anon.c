/* Anonymous tracing: the file, and the two ends of the socket. */
#include "dtrace/anon.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/str.h"

char *
anon_file(const char *dir)
{
	return str_printf("%s/anon.json", dir ? dir : ANON_DIR);
}

static char *
socket_path(const char *dir)
{
	return dir ? str_printf("%s/socket", dir) : xstrdup(ANON_SOCKET);
}

int
anon_load(const char *dir, struct json **ret, struct error *err)
{
	cleanup_free char *path = anon_file(dir);

	*ret = NULL;
	return file_exists(path) ? json_read_file(path, ret, err) : 0;
}

int
anon_store(const char *dir, const struct json *enabling, struct error *err)
{
	cleanup_free char *path = anon_file(dir);
	int r = file_mkdir_p(dir ? dir : ANON_DIR, 0755, err);

	return r < 0 ? r : json_write_file(path, enabling, 0600, err);
}

int
anon_remove(const char *dir, struct error *err)
{
	cleanup_free char *path = anon_file(dir);

	if (unlink(path) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "cannot remove %s", path);
	return 0;
}

/* --- who has the enabling */

struct anon {
	struct event_loop *loop;
	struct ipc_server *server;
	struct ipc_client *client; /* who claimed it, NULL again when that went away */
	struct ipc_message claim;
	bool claimed;
	int interrupts;
};

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	struct anon *a = arg;

	if (c == a->client) {
		a->interrupts++;
		return;
	}
	/* The socket is root's alone; the kernel tells who it is. */
	if (m->cred.uid != 0)
		error_set(&err, EPERM, "not the superuser");
	else if (a->claimed)
		error_set(&err, EBUSY, "the anonymous enabling is claimed by another already");
	else if (m->n_fds != 2)
		error_set(&err, EPROTO, "a claim without outputs");
	if (err.code) {
		ipc_reply_error(c, &err);
		return;
	}
	a->claimed = true;
	a->client = c;
	a->claim = *m;
	*m = (struct ipc_message)IPC_MESSAGE_INIT;
}

static void
on_closed(struct ipc_client *c, void *arg)
{
	struct anon *a = arg;

	if (c != a->client)
		return;
	a->client = NULL;
	a->interrupts += 2;
}

static void
anon_free(struct anon *a)
{
	ipc_message_done(&a->claim);
	ipc_server_free(a->server);
	event_free(a->loop);
	free(a);
}

int
anon_listen(const char *dir, struct anon **ret, struct error *err)
{
	cleanup_free char *path = socket_path(dir);
	cleanup_close int fd = -1;
	struct anon *a;
	int r;

	if (ipc_connect(path, &fd, NULL) == 0)
		return error_set(err, EBUSY, "there is an anonymous enabling already: dtrace -a claims it");
	a = xcalloc(1, sizeof(*a));
	if ((r = event_new(&a->loop, err)) < 0 ||
	    (r = ipc_listen(a->loop, path, 0600, on_request, on_closed, a, &a->server, err)) < 0) {
		anon_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int
anon_wait(struct anon *a, const struct json **ret_settings, int ret_outputs[2], struct error *err)
{
	while (!a->claimed) {
		int r = event_step(a->loop, -1);

		if (r < 0)
			return error_set_errno(err, -r, "cannot wait for a claim");
	}
	*ret_settings = a->claim.body;
	ret_outputs[0] = ipc_message_steal_fd(&a->claim, 0);
	ret_outputs[1] = ipc_message_steal_fd(&a->claim, 1);
	return 0;
}

int
anon_interrupts(struct anon *a)
{
	event_step(a->loop, 0);
	return a->interrupts;
}

void
anon_finish(struct anon *a, int status, const struct error *err)
{
	struct json *answer;

	/* Who has the answer may start the next one, which listens in the same place. */
	ipc_server_stop(a->server);
	if (a->client && err && err->code) {
		ipc_reply_error(a->client, err);
	} else if (a->client) {
		answer = json_new_object();
		json_set_int(answer, "status", status);
		ipc_reply(a->client, answer, NULL, 0);
	}
	/* What is queued goes out before the connection is closed. */
	if (a->client)
		ipc_client_close(a->client);
	for (int tries = 0; a->client && tries < 50; tries++)
		event_step(a->loop, 100);
	anon_free(a);
}

/* --- who wants it */

static int
tell_interrupt(int fd, struct error *err)
{
	cleanup_json struct json *word = json_new_object();

	json_set_bool(word, "interrupt", true);
	return ipc_send(fd, word, NULL, 0, err);
}

int
anon_claim(const char *dir, const struct json *settings, const volatile sig_atomic_t *interrupts,
	   int *ret_status, struct error *err)
{
	cleanup_free char *path = socket_path(dir);
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	cleanup_close int fd = -1;
	const struct json *failure;
	int r, told = 0;

	if (ipc_connect(path, &fd, NULL) < 0)
		return error_set(err, ENOENT, "could not enable tracing: No anonymous tracing state");
	if ((r = ipc_send(fd, settings, (const int[]){STDOUT_FILENO, STDERR_FILENO}, 2, err)) < 0)
		return r;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 100) > 0)
			break;
		for (; told < *interrupts; told++)
			if ((r = tell_interrupt(fd, err)) < 0)
				return r;
	}
	r = ipc_recv(fd, &m, err);
	if (r != 0)
		return r < 0 ? r : error_set(err, EPIPE, "the anonymous enabling has gone");
	failure = json_get(m.body, "error");
	if (failure)
		return error_set(err, (int)json_int(json_get(failure, "code"), EIO), "%s",
				 json_str(json_get(failure, "message"), "failed"));
	*ret_status = (int)json_int(json_get(m.body, "status"), 0);
	return 0;
}
