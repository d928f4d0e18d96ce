/*
 * svc.configd: keeps the repository and publishes the plan.
 *
 * It may be killed at any time: the repository is transactional, the plan is
 * replaced by rename, and nobody waits for configd but who wants to change
 * something.  What it does at its start: take the repository in /etc/svc, or a
 * copy of the image's seed if there is none or it is damaged (kept aside as
 * repository.db.damaged and said on the console); forget what belonged to an
 * earlier boot; publish.
 *
 * Authority: whoever is root may change, everybody may read.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/event.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/str.h"
#include "smf/repo.h"
#include "smf/repo_ops.h"
#include "smf/smf.h"

struct configd {
	struct event_loop *loop;
	struct repo *repo;
};

static void
on_request(struct ipc_client *c, struct ipc_message *m, void *arg)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *reply = NULL;
	struct configd *d = arg;
	bool publish = false;
	int r;

	if (repo_op_writes(m->body) && (m->cred.pid == 0 || m->cred.uid != 0))
		r = error_set(&err, EPERM, "Permission denied.");
	else
		r = repo_op(d->repo, m->body, &reply, &publish, &err);
	if (r == 0 && publish)
		r = repo_publish(d->repo, SMF_PLAN_PATH, &err);
	if (r < 0)
		ipc_reply_error(c, &err);
	else
		ipc_reply(c, steal_ptr(&reply), NULL, 0);
}

static int
copy_file(const char *from, const char *to, struct error *err)
{
	cleanup_free char *data = NULL;
	size_t len;
	int r = file_read(from, 0, &data, &len, err);

	return r < 0 ? r : file_write_atomic(to, data, len, 0600, err);
}

/* A repository that can be used, whatever it takes. */
static int
open_repository(struct configd *d, struct error *err)
{
	int r;

	if (file_exists(SMF_REPOSITORY_PATH)) {
		r = repo_open(SMF_REPOSITORY_PATH, false, &d->repo, err);
		if (r == 0)
			return 0;
		log_error("%s; starting from the seed of the image, the old file is kept as %s.damaged",
			  error_message(err), SMF_REPOSITORY_PATH);
		if (rename(SMF_REPOSITORY_PATH, SMF_REPOSITORY_PATH ".damaged") < 0)
			return error_set_errno(err, errno, "%s", SMF_REPOSITORY_PATH);
		error_done(err);
	}
	if (file_exists(SMF_SEED_DB)) {
		r = copy_file(SMF_SEED_DB, SMF_REPOSITORY_PATH, err);
		if (r == 0)
			r = repo_open(SMF_REPOSITORY_PATH, false, &d->repo, err);
		if (r == 0)
			return 0;
		log_error("the seed cannot be used: %s; starting empty", error_message(err));
		unlink(SMF_REPOSITORY_PATH);
		error_done(err);
	}
	return repo_open(SMF_REPOSITORY_PATH, true, &d->repo, err);
}

static int
start(struct configd *d, struct error *err)
{
	struct ipc_server *server;
	int r;

	r = file_mkdir_p(SMF_VOLATILE_DIR, 0755, err);
	if (r == 0)
		r = file_mkdir_p(SMF_RUN_DIR, 0755, err);
	if (r == 0)
		r = open_repository(d, err);
	if (r == 0)
		r = repo_new_boot(d->repo, err);
	if (r == 0)
		r = repo_publish(d->repo, SMF_PLAN_PATH, err);
	if (r == 0)
		r = event_new(&d->loop, err);
	if (r == 0)
		r = ipc_listen(d->loop, SMF_CONFIGD_SOCKET, 0666, on_request, NULL, d, &server, err);
	malloc_trim(0); /* publishing took all snapshots at once; most of the time we only wait */
	return r;
}

int
main(int argc, char **argv)
{
	cleanup_error struct error err = ERROR_INIT;
	struct configd d = {0};
	int lock = -1;

	if (argc > 1)
		return cli_usage_text(cli_asks_help(argc, argv), "svc.configd");
	log_init("svc.configd");
	umask(022);
	if (file_mkdir_p(SMF_VOLATILE_DIR, 0755, &err) < 0 ||
	    file_lock(SMF_VOLATILE_DIR "/configd.lock", false, &lock, &err) < 0) {
		log_error("%s", error_message(&err));
		return 1;
	}
	if (start(&d, &err) < 0) {
		log_error("%s", error_message(&err));
		return 1;
	}
	return event_run(d.loop) < 0;
}
