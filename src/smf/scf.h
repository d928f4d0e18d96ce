/*
 * libscf: services as other domains and commands see them.
 *
 * Reading costs no message: states come from the state file, configuration
 * from the plan.  Changing goes to svc.configd (what is configured) or
 * svc.startd (what happens now).
 *
 *	scf_wait("svc:/network/physical:default", SMF_ONLINE, 30000, err);
 *	scf_watch_new(loop, on_change, arg, &watch, err);
 */
#ifndef SMF_SCF_H
#define SMF_SCF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/json.h"
#include "smf/smf.h"

struct scf_status {
	enum smf_state state, next; /* next SMF_NONE: not in transition */
	char aux[64];
	uint64_t since_ms; /* real time */
	uint64_t contract; /* cgroup id */
};

/* fmri: a full instance FMRI.  -ENOENT if startd does not know it. */
int scf_state(const char *fmri, struct scf_status *ret, struct error *err);

/*
 * Waits until the instance is in the state wanted and not in transition, at
 * most timeout_ms (0: for ever); -ETIME with what it is instead.  Blocking: for
 * commands; a daemon uses scf_watch_new().
 */
int scf_wait(const char *fmri, enum smf_state wanted, unsigned timeout_ms, struct error *err);

/* Calls fn for every change of any instance; reconnects when startd was restarted. */
struct scf_watch;
typedef void scf_change_fn(const char *fmri, enum smf_state state, enum smf_state next, void *arg);
int scf_watch_new(struct event_loop *l, scf_change_fn *fn, void *arg, struct scf_watch **ret,
		  struct error *err);
void scf_watch_free(struct scf_watch *w);

/* general/enabled, or with temporary until the next boot; comment may be NULL. */
int scf_enable(const char *fmri, bool enabled, bool temporary, const char *comment,
	       struct error *err);
int scf_restart(const char *fmri, struct error *err);
/* Takes the current configuration into use, and runs the refresh method. */
int scf_refresh(const char *fmri, struct error *err);
int scf_clear(const char *fmri, struct error *err);
/* to: SMF_MAINTENANCE or SMF_DEGRADED. */
int scf_mark(const char *fmri, enum smf_state to, bool immediate, struct error *err);

/* First value of a property of the running configuration; the caller's.  -ENOENT. */
int scf_property(const char *fmri, const char *pg, const char *prop, char **ret,
		 struct error *err);

/* One request to configd (repo_ops.h) or startd; ret may be NULL. */
int scf_configd(const struct json *request, struct json **ret, struct error *err);
int scf_startd(const struct json *request, struct json **ret, struct error *err);

#endif
