/*
 * zoneadmd: the daemon of one zone.  The parts of it; main.c has the theory.
 */
#ifndef ZONE_ZONEADMD_H
#define ZONE_ZONEADMD_H

#include <signal.h>

#include "base/event.h"
#include "base/ipc.h"
#include "zone/brand/brand.h"
#include "os/cgroup.h"
#include "zone/model.h"

struct daemon;

/* ---- plan: what a zone is made of, filled by the daemon, carried out by the zone's first process ---- */

enum mnt_kind {
	MNT_FD,   /* a mount the host made */
	MNT_FS,   /* a filesystem of the zone's own namespaces */
	MNT_BIND, /* what lies at `target` already, again, with other attributes */
};

struct mnt_item {
	enum mnt_kind kind;
	char *target;     /* absolute, in the zone */
	bool file;        /* the target is a file, made if missing */
	bool follow;      /* links in the zone's root may lead to the target (lofs) */
	int fd;           /* MNT_FD */
	const char *fstype; /* MNT_FS */
	struct strv opts;
	uint64_t attrs;
	bool optional;    /* absent target, or no such filesystem: leave it out */
};

struct zone_plan {
	int root;           /* detached mount that becomes / */
	int root_path;      /* the same directory on the host, for writing files into it */
	int user_ns;        /* of the zone */
	struct mnt_item *mnt;
	size_t n_mnt;
	struct strv argv, env;
	char *hostname;
	const char *domain;
	int console;        /* becomes 0-2 */
	int *keep_fds;      /* given to the program as 3, 4, ... */
	size_t n_keep_fds;
	const struct brand *brand;
	uid_t uid;          /* in the zone */
	gid_t gid;
	bool lock_down;     /* no_new_privs and no capability at all */
	uint64_t max_locked; /* RLIMIT_MEMLOCK, UINT64_MAX: not set */
	uint64_t wired;	     /* what it must be able to lock; stronger than the limit */
	uint64_t max_processes;
};

#define ZONE_PLAN_INIT                                                                    \
	{.root = -1, .root_path = -1, .user_ns = -1, .console = -1,                       \
	 .max_locked = UINT64_MAX, .max_processes = UINT64_MAX}
void zone_plan_done(struct zone_plan *p);
#define cleanup_zone_plan CLEANUP(zone_plan_done)
/* These take the target by copy and the fd over. */
struct mnt_item *plan_mount_fd(struct zone_plan *p, const char *target, int fd);
struct mnt_item *plan_mount_fs(struct zone_plan *p, const char *target, const char *fstype,
			       uint64_t attrs, ...) __attribute__((sentinel));
struct mnt_item *plan_bind(struct zone_plan *p, const char *target, uint64_t attrs);
/* A device node with the number of the host's `host_path`, made below the detached /dev. */
int plan_device(int dev_fd, const char *path, const char *host_path, mode_t mode,
		struct error *err);
/* A detached tmpfs for /dev with the nodes every program expects. */
int plan_dev(int *ret_fd, struct error *err);

/* ---- building (build.c: the host's side, child.c: the zone's) ---- */

struct zone_proc {
	pid_t pid;
	int pidfd;
	int ctl; /* to the first process while it waits; -1 after exec */
};

int zone_build(struct daemon *d, struct error *err);   /* -> ready */
int zone_start_init(struct daemon *d, struct error *err); /* ready -> the program runs */
int zone_limits_apply(struct daemon *d, struct error *err); /* rctls of d->config on its cgroup */
/* Never returns. */
void child_main(int ctl, struct zone_plan *p) __attribute__((noreturn));
/* The message a first process sends before it gives up; also "ready". */
#define CHILD_READY "ready"
#define CHILD_GO "go"

/* ---- brand hooks ---- */

struct brand_ops {
	const char *name;
	/* Root, mounts, argv, env: everything of the plan. */
	int (*plan)(struct daemon *d, struct zone_plan *p, struct error *err);
	/* Network, once the namespace is there. */
	int (*network)(struct daemon *d, int netns_fd, struct zone_plan *p, struct error *err);
	/* After exec. */
	int (*started)(struct daemon *d, struct error *err);
	/* Asks the system inside to end; 0 if it was asked. */
	int (*ask)(struct daemon *d, bool reboot, struct error *err);
	/* Takes up a running zone again after the daemon was replaced. */
	int (*resume)(struct daemon *d, struct error *err);
	void (*stopped)(struct daemon *d);
	/* This daemon ends, or becomes the keeper: what it holds for the zone is let go. */
	void (*release)(struct daemon *d);
	/* The configuration changed while it runs; limits are applied already. */
	int (*apply)(struct daemon *d, struct error *err);
};
extern const struct brand_ops lx_ops, joyent_ops, kvm_ops, bhyve_ops;

/* ---- network ---- */
int zone_net_up(struct daemon *d, int netns_fd, struct error *err);
int zone_net_down(struct daemon *d, struct error *err);

/* ---- console ---- */
struct console;
int console_new(struct daemon *d, int master, struct console **ret, struct error *err);
void console_free(struct console *c);
int console_attach(struct console *c, int *ret_fd, struct error *err);
void console_notice(struct console *c, const char *text);
bool console_sync(struct console *c, const char *text);
/* Lets go of the log, which lies on the zone's dataset, until there is something to log. */
void console_rest(struct console *c);
size_t console_clients(const struct console *c);

/* ---- delegated datasets (delegate.c) ---- */
/* Gives the dataset, and its files, to the zone whose first process is there. */
int delegate_attach(struct daemon *d, const char *dataset, struct error *err);

/* ---- the screen of a virtual machine (vnc.c) ---- */
struct vnc;
int vnc_start(struct daemon *d, struct error *err); /* as the configuration says: may be nothing */
void vnc_free(struct vnc *v);
void vnc_stop(struct daemon *d); /* and nobody finds it any more */

/* ---- the daemon ---- */

enum daemon_goal {
	GOAL_NONE,
	GOAL_INSTALLED, /* going down to stay down */
	GOAL_RUNNING,   /* going down to come up again */
};

struct daemon {
	struct event_loop *loop;
	char *name;
	struct zone_config *config; /* as it was when it was booted; NULL before */
	const struct brand *brand;
	const struct brand_ops *ops;
	struct zone_runtime rt;
	struct zone_proc proc;
	int cgroup;
	struct cgroup_watch *watch;
	struct console *console;
	int console_slave;
	struct ipc_server *server;
	struct event_source *exits, *keeper, *deadline, *idle, *child;
	enum daemon_goal goal;
	bool leaving; /* zone_quiesce() waits until we are gone */
	int exits_fd;
	char *bootargs;
	struct waiter *waiters;
	struct vnc *vnc;
	void *brand_data;
};

/* What the keeper holds for the zone's whole life and every daemon inherits. */
struct keeper_fds {
	int lock;
	int master, slave;    /* console */
	int exits[2];         /* struct keeper_exit, from the keeper [0] to the daemon [1] */
	int ready;            /* a byte is written when the daemon listens; -1 later */
};
struct keeper_exit {
	pid_t pid;
	int status; /* as wait(2) gives it */
};
enum { DAEMON_DONE = 0, DAEMON_FAILED = 1, DAEMON_KEEPER_LOST = 2 };
int daemon_run(const char *name, struct keeper_fds *k);

#endif
