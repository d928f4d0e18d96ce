/*
 * libscf; see scf.h.
 */
#include "smf/scf.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ipc.h"
#include "base/str.h"
#include "smf/plan.h"
#include "smf/state.h"

#define RECONNECT_MS 250

static int
call(const char *path, const char *who, const struct json *request, struct json **ret,
     struct error *err)
{
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	cleanup_close int fd = -1;
	int r;

	r = ipc_connect(path, &fd, err);
	if (r < 0)
		return error_wrap(err, r, "%s does not answer", who);
	r = ipc_call(fd, request, NULL, 0, &m, err);
	if (r == 0 && ret)
		*ret = steal_ptr(&m.body);
	return r;
}

int
scf_configd(const struct json *request, struct json **ret, struct error *err)
{
	return call(SMF_CONFIGD_SOCKET, "svc.configd", request, ret, err);
}

int
scf_startd(const struct json *request, struct json **ret, struct error *err)
{
	return call(SMF_STARTD_SOCKET, "svc.startd", request, ret, err);
}

static struct json *
make_request(const char *op, const char *fmri)
{
	struct json *q = json_new_object();

	json_set_str(q, "op", op);
	json_set_str(q, "fmri", fmri);
	return q;
}

int
scf_enable(const char *fmri, bool enabled, bool temporary, const char *comment, struct error *err)
{
	cleanup_json struct json *q = make_request("enable", fmri);

	json_set_bool(q, "enabled", enabled);
	json_set_bool(q, "temporary", temporary);
	if (comment)
		json_set_str(q, "comment", comment);
	return scf_configd(q, NULL, err);
}

int
scf_restart(const char *fmri, struct error *err)
{
	cleanup_json struct json *q = make_request("restart", fmri);

	return scf_startd(q, NULL, err);
}

int
scf_refresh(const char *fmri, struct error *err)
{
	cleanup_json struct json *q = make_request("refresh", fmri);
	int r = scf_configd(q, NULL, err);

	return r < 0 ? r : scf_startd(q, NULL, err);
}

int
scf_clear(const char *fmri, struct error *err)
{
	cleanup_json struct json *q = make_request("clear", fmri);

	return scf_startd(q, NULL, err);
}

int
scf_mark(const char *fmri, enum smf_state to, bool immediate, struct error *err)
{
	cleanup_json struct json *q = make_request("mark", fmri);

	json_set_str(q, "state", smf_state_name(to));
	json_set_bool(q, "immediate", immediate);
	return scf_startd(q, NULL, err);
}

int
scf_property(const char *fmri, const char *pg, const char *prop, char **ret, struct error *err)
{
	cleanup_plan struct plan *p = NULL;
	const struct plan_inst *i;
	const char *value;
	int r;

	r = plan_map(SMF_PLAN_PATH, &p, err);
	if (r < 0)
		return r;
	i = plan_find(p, fmri);
	if (!i)
		return error_set(err, ENOENT, "%s is not configured", fmri);
	value = plan_get(p, i, pg, prop, NULL);
	if (!value)
		return error_set(err, ENOENT, "%s has no property %s/%s", fmri, pg, prop);
	*ret = xstrdup(value);
	return 0;
}

int
scf_state(const char *fmri, struct scf_status *ret, struct error *err)
{
	cleanup_state struct state *s = NULL;
	struct state_rec rec;
	int r;

	r = state_open(SMF_STATE_PATH, &s, err);
	if (r < 0)
		return r;
	if (!state_read(s, fmri, &rec))
		return error_set(err, ENOENT, "%s is not known to svc.startd", fmri);
	*ret = (struct scf_status){(enum smf_state)rec.state, (enum smf_state)rec.next, "",
				   rec.stime, rec.contract};
	strncpy(ret->aux, rec.aux, sizeof(ret->aux) - 1);
	return 0;
}

/* A socket on which every change is told, or -1 while startd is being restarted. */
static int
subscribe(void)
{
	cleanup_json struct json *q = make_request("subscribe", "");
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	cleanup_close int fd = -1;

	if (ipc_connect(SMF_STARTD_SOCKET, &fd, NULL) < 0 || ipc_call(fd, q, NULL, 0, &m, NULL) < 0)
		return -1;
	return steal_fd(&fd);
}

int
scf_wait(const char *fmri, enum smf_state wanted, unsigned timeout_ms, struct error *err)
{
	uint64_t deadline = timeout_ms ? time_mono_ms() + timeout_ms : UINT64_MAX;
	cleanup_close int fd = -1;

	for (;;) {
		cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
		struct scf_status s = {SMF_UNINITIALIZED, SMF_NONE, "", 0, 0};
		uint64_t now, left;
		struct pollfd p;

		if (fd < 0)
			fd = subscribe(); /* before the look, so that no change is missed */
		if (scf_state(fmri, &s, NULL) == 0 && s.state == wanted && s.next == SMF_NONE)
			return 0;
		now = time_mono_ms();
		if (now >= deadline)
			return error_set(err, ETIME, "%s is %s%s%s, not %s, after %u ms", fmri,
					 smf_state_name(s.state), *s.aux ? ": " : "", s.aux,
					 smf_state_name(wanted), timeout_ms);
		left = deadline - now;
		if (fd < 0) { /* startd is starting: ask again soon, up to the deadline */
			poll(NULL, 0, left < RECONNECT_MS ? (int)left : RECONNECT_MS);
			continue;
		}
		p = (struct pollfd){fd, POLLIN, 0};
		if (poll(&p, 1, left > INT32_MAX ? -1 : (int)left) > 0 && ipc_recv(fd, &m, NULL) != 0) {
			close(fd);
			fd = -1;
		}
	}
}

struct scf_watch {
	struct event_loop *loop;
	struct event_source *source, *timer;
	scf_change_fn *fn;
	void *arg;
	int fd;
};

static void watch_readable(struct event_source *s, int fd, uint32_t events, void *arg);

static void
watch_connect(struct event_source *s, void *arg)
{
	struct scf_watch *w = arg;

	w->fd = subscribe();
	if (w->fd < 0 || event_add_fd(w->loop, w->fd, EPOLLIN, watch_readable, w, &w->source, NULL) < 0)
		event_timer_reset(w->timer, RECONNECT_MS);
}

static void
watch_readable(struct event_source *s, int fd, uint32_t events, void *arg)
{
	cleanup_ipc_message struct ipc_message m = IPC_MESSAGE_INIT;
	enum smf_state state = SMF_NONE, next = SMF_NONE;
	struct scf_watch *w = arg;

	if (ipc_recv(fd, &m, NULL) != 0) {
		event_source_free(w->source);
		w->source = NULL;
		close(w->fd);
		w->fd = -1;
		event_timer_reset(w->timer, 0);
		return;
	}
	if (smf_state_parse(json_str(json_get(m.body, "state"), ""), &state) == 0 &&
	    smf_state_parse(json_str(json_get(m.body, "next"), ""), &next) == 0)
		w->fn(json_str(json_get(m.body, "fmri"), ""), state, next, w->arg);
}

int
scf_watch_new(struct event_loop *l, scf_change_fn *fn, void *arg, struct scf_watch **ret,
	      struct error *err)
{
	struct scf_watch *w = xcalloc(1, sizeof(*w));
	int r;

	*w = (struct scf_watch){.loop = l, .fn = fn, .arg = arg, .fd = -1};
	r = event_add_timer(l, 0, watch_connect, w, &w->timer, err);
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void
scf_watch_free(struct scf_watch *w)
{
	if (!w)
		return;
	event_source_free(w->source);
	event_source_free(w->timer);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
