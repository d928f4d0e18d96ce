/*
 * Method of svc:/system/zones.
 *
 * Start: every VM with autoboot=true that does not run is started, a few at a
 * time.  Stop (at shutdown): every running VM is asked to stop, all at once,
 * and one that does not within STOP_SECONDS is halted.  vmadm does both, so
 * that zones and virtual machines are treated alike.
 *
 * A VM that fails to start is said, and is no failure of the service: the
 * others run.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "base/str.h"
#include "boot/method.h"
#include "os/run.h"

#define VMADM "/usr/sbin/vmadm"
#define STOP_SECONDS "60"
#define REPORT_MS 10000

/* UUIDs of the VMs with these properties. */
static int
lookup(const char *state, const char *more, struct strv *ret, struct error *err)
{
	cleanup_free char *out = NULL;
	int r = run_capture((const char *const[]){VMADM, "lookup", state, more, NULL}, &out, NULL, err);

	if (r < 0)
		return r;
	strv_words(ret, out, "\n");
	for (size_t i = 0; i < ret->n; i++)
		if (!str_is_uuid(ret->v[i]))
			return error_set(err, EINVAL, "vmadm lookup: \"%s\" is no UUID", ret->v[i]);
	return 0;
}

/* --- many children at a time */

struct batch {
	struct run_child *c;
	const char **uuid;
	size_t running, done, failed;
	const char *what;
};

static void
batch_reap(struct batch *b, size_t i)
{
	cleanup_error struct error err = ERROR_INIT;
	int status = 0;

	if (run_wait(&b->c[i], &status, &err) < 0)
		method_say("%s: %s", b->uuid[i], error_message(&err));
	if (status) {
		b->failed++;
		method_say("%s: %s failed (see the log of svc:/system/zones)", b->uuid[i], b->what);
	}
	b->done++;
	b->running--;
	b->c[i] = b->c[b->running];
	b->uuid[i] = b->uuid[b->running];
}

/* Waits until one of them has ended; says so now and then that it still waits. */
static void
batch_wait(struct batch *b, size_t total)
{
	struct pollfd *p = xcalloc(b->running, sizeof(*p));
	int r;

	for (size_t i = 0; i < b->running; i++)
		p[i] = (struct pollfd){.fd = b->c[i].pidfd, .events = POLLIN};
	while ((r = poll(p, b->running, REPORT_MS)) <= 0)
		if (r == 0)
			method_say("%s: %zu of %zu are done, waiting for %s%s", b->what, b->done, total,
				   b->uuid[0], b->running > 1 ? " and others" : "");
	for (size_t i = b->running; i-- > 0;)
		if (p[i].revents)
			batch_reap(b, i);
	free(p);
}

/* vmadm VERB UUID [more] for all of them, at most `width` at a time; how many failed. */
static size_t
for_all(const struct strv *uuids, const char *verb, const char *const more[2], size_t width)
{
	struct batch b = {.what = verb};
	struct run_opts opts = {.out = RUN_INHERIT, .err = RUN_INHERIT};

	b.c = xcalloc(width, sizeof(*b.c));
	b.uuid = xcalloc(width, sizeof(*b.uuid));
	for (size_t i = 0; i < uuids->n; i++) {
		const char *argv[] = {VMADM, verb, uuids->v[i], more[0], more[1], NULL};
		cleanup_error struct error err = ERROR_INIT;

		while (b.running == width)
			batch_wait(&b, uuids->n);
		if (run_start(argv, &opts, &b.c[b.running], &err) < 0) {
			method_say("%s: %s", uuids->v[i], error_message(&err));
			b.failed++;
			continue;
		}
		b.uuid[b.running++] = uuids->v[i];
	}
	while (b.running)
		batch_wait(&b, uuids->n);
	free(b.c);
	free(b.uuid);
	return b.failed;
}

static int
start(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv uuids = STRV_INIT;
	size_t failed;

	if (lookup("state=stopped", "autoboot=true", &uuids, &err) < 0)
		return method_fail(&err, "VMs");
	if (uuids.n == 0)
		return SMF_EXIT_OK;
	method_log("starting %zu VMs", uuids.n);
	failed = for_all(&uuids, "start", (const char *const[]){NULL, NULL}, cpus > 2 ? (size_t)cpus : 2);
	if (failed)
		method_say("%zu of %zu VMs did not start", failed, uuids.n);
	return SMF_EXIT_OK;
}

static int
stop(void)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv uuids = STRV_INIT, left = STRV_INIT;

	if (lookup("state=running", NULL, &uuids, &err) < 0)
		return method_fail(&err, "VMs");
	if (uuids.n)
		method_say("stopping %zu VMs", uuids.n);
	for_all(&uuids, "stop", (const char *const[]){"-t", STOP_SECONDS}, uuids.n ? uuids.n : 1);
	if (lookup("state=running", NULL, &left, &err) < 0)
		return method_fail(&err, "VMs");
	if (left.n)
		method_say("halting %zu VMs that did not stop", left.n);
	return for_all(&left, "stop", (const char *const[]){"-F", NULL}, left.n ? left.n : 1) ? SMF_EXIT_ERR
											      : SMF_EXIT_OK;
}

int
main(int argc, char **argv)
{
	method_init("zones");
	if (!file_exists("/run/atoll/system_pool") || !file_exists(VMADM))
		return SMF_EXIT_OK;
	return argc > 1 && str_eq(argv[1], "stop") ? stop() : start();
}
