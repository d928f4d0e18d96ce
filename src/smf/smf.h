/*
 * SMF's vocabulary: states, dependency words, exit codes, property types,
 * FMRIs and the places where things live.  Shared by every program of src/smf.
 */
#ifndef SMF_SMF_H
#define SMF_SMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SMF_VOLATILE_DIR "/etc/svc/volatile"
#define SMF_PLAN_PATH SMF_VOLATILE_DIR "/plan"   /* what configd publishes: plan.h */
#define SMF_STATE_PATH SMF_VOLATILE_DIR "/state" /* what startd keeps: state.h */
#define SMF_REPOSITORY_PATH "/etc/svc/repository.db"
#define SMF_SEED_DB "/lib/svc/seed/global.db"
#define SMF_SEED_PLAN "/lib/svc/seed/global.plan"
#define SMF_ADMIN_PATH "/var/svc/admin.db" /* the operator's changes, kept over a reboot */
#define SMF_RUN_DIR "/run/svc"
#define SMF_STARTD_SOCKET SMF_RUN_DIR "/startd.sock"
#define SMF_CONFIGD_SOCKET SMF_RUN_DIR "/configd.sock"
#define SMF_LOG_DIR "/var/svc/log"
#define SMF_CGROUP "svc" /* one cgroup an instance below it */

#define SMF_MASTER_RESTARTER "svc:/system/svc/restarter:default"
#define SMF_FMRI_MAX 224

enum smf_state {
	SMF_NONE,          /* only as "next state": not in transition */
	SMF_UNINITIALIZED,
	SMF_OFFLINE,
	SMF_ONLINE,
	SMF_DEGRADED,
	SMF_MAINTENANCE,
	SMF_DISABLED,
	SMF_LEGACY_RUN,
	SMF_N_STATES,
};

const char *smf_state_name(enum smf_state s);  /* "online"; "none" */
const char *smf_state_short(enum smf_state s); /* "ON", "OFF", "MNT": svcs -o sta */
/* -EINVAL if text names no state. */
int smf_state_parse(const char *text, enum smf_state *ret);
static inline bool
smf_state_running(enum smf_state s)
{
	return s == SMF_ONLINE || s == SMF_DEGRADED;
}

/* Exit statuses of methods (smf_method(7)). */
enum smf_exit {
	SMF_EXIT_OK = 0,
	SMF_EXIT_NODAEMON = 94,
	SMF_EXIT_ERR_FATAL = 95,
	SMF_EXIT_ERR_CONFIG = 96,
	SMF_EXIT_MON_DEGRADE = 97,
	SMF_EXIT_MON_OFFLINE = 98,
	SMF_EXIT_ERR_NOSMF = 99,
	SMF_EXIT_ERR_PERM = 100,
	SMF_EXIT_TEMP_DISABLE = 101,
};

/* What startd does about a start method that ended so. */
enum smf_verdict { SMF_V_OK, SMF_V_NODAEMON, SMF_V_RETRY, SMF_V_FATAL, SMF_V_DISABLE };
enum smf_verdict smf_exit_verdict(int status);
const char *smf_exit_name(int status); /* "SMF_EXIT_ERR_CONFIG", or NULL */

enum smf_grouping { SMF_REQUIRE_ALL, SMF_REQUIRE_ANY, SMF_OPTIONAL_ALL, SMF_EXCLUDE_ALL };
enum smf_restart_on { SMF_RO_NONE, SMF_RO_ERROR, SMF_RO_RESTART, SMF_RO_REFRESH };
int smf_grouping_parse(const char *text, enum smf_grouping *ret);
int smf_restart_on_parse(const char *text, enum smf_restart_on *ret);
const char *smf_grouping_name(enum smf_grouping g);
const char *smf_restart_on_name(enum smf_restart_on r);

/* True if type is a property type ("astring"), and text one of its values. */
bool smf_type_known(const char *type);
int smf_value_check(const char *type, const char *text, struct error *err);
/* The manifest's name of a list of type ("astring_list") to the type, or NULL. */
const char *smf_type_of_list(const char *element);

/*
 * FMRIs: svc:/SERVICE, svc:/SERVICE:INSTANCE, both with /:properties/PG[/PROP]
 * behind them, lrc:/..., file:///PATH and file://localhost/PATH.
 */
enum smf_fmri_kind { SMF_FMRI_SERVICE, SMF_FMRI_INSTANCE, SMF_FMRI_PATH };

struct smf_fmri {
	enum smf_fmri_kind kind;
	char service[SMF_FMRI_MAX];  /* "network/ssh" */
	char instance[SMF_FMRI_MAX]; /* "default", "" for a service */
	char pg[SMF_FMRI_MAX];       /* "" if not named */
	char prop[SMF_FMRI_MAX];
	const char *path;            /* of a file:, inside the text parsed */
};

int smf_fmri_parse(const char *text, struct smf_fmri *ret, struct error *err);
/* A service or instance name as the DTD allows it. */
bool smf_name_valid(const char *name, bool slashes);
/*
 * Does the full instance FMRI match what an operator typed?  "svc:/..."
 * exact, any trailing part of the service name ("ssh", "network/ssh"), with
 * or without ":instance", or a glob over any of these.
 */
bool smf_fmri_match(const char *fmri, const char *pattern);
/* "svc:/network/ssh:default" to "network-ssh:default": log and cgroup names. */
char *smf_fmri_dashes(const char *fmri);
/* "svc:/network/ssh:default" to "svc:/network/ssh"; the caller's. */
char *smf_fmri_service(const char *fmri);

#endif
