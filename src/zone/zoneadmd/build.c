/*
 * Building a zone, the host's side: limits, the first process, its namespaces and
 * mounts.  What may fail is undone by zone_unbuild() in daemon.c, which looks at
 * what is there and not at how far we came.
 *
 * Order matters: the filter and all mounts of the host exist before the first
 * process is forked (it inherits their descriptors); the id map is written before
 * it does anything; the network is set up while it mounts; and nothing of the
 * zone's own code runs before all of that is done.
 */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "os/mount.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "zone/config.h"
#include "zone/zoneadmd/zoneadmd.h"

#define CHILD_TIMEOUT_MS 60000

/* ---- plan ---- */

void
zone_plan_done(struct zone_plan *p)
{
	for (size_t i = 0; i < p->n_mnt; i++) {
		free(p->mnt[i].target);
		strv_done(&p->mnt[i].opts);
		if (p->mnt[i].fd >= 0)
			close(p->mnt[i].fd);
	}
	free(p->mnt);
	strv_done(&p->argv);
	strv_done(&p->env);
	free(p->hostname);
	for (size_t i = 0; i < p->n_keep_fds; i++)
		close(p->keep_fds[i]);
	free(p->keep_fds);
	if (p->root >= 0)
		close(p->root);
	if (p->root_path >= 0)
		close(p->root_path);
	if (p->user_ns >= 0)
		close(p->user_ns);
	*p = (struct zone_plan)ZONE_PLAN_INIT;
}

static struct mnt_item *
add(struct zone_plan *p, enum mnt_kind kind, const char *target)
{
	p->mnt = xreallocarray(p->mnt, p->n_mnt + 1, sizeof(*p->mnt));
	p->mnt[p->n_mnt] = (struct mnt_item){.kind = kind, .target = xstrdup(target), .fd = -1};
	return &p->mnt[p->n_mnt++];
}

struct mnt_item *
plan_mount_fd(struct zone_plan *p, const char *target, int fd)
{
	struct mnt_item *m = add(p, MNT_FD, target);

	m->fd = fd;
	return m;
}

struct mnt_item *
plan_mount_fs(struct zone_plan *p, const char *target, const char *fstype, uint64_t attrs, ...)
{
	struct mnt_item *m = add(p, MNT_FS, target);
	const char *opt;
	va_list ap;

	m->fstype = fstype;
	m->attrs = attrs;
	va_start(ap, attrs);
	while ((opt = va_arg(ap, const char *)))
		strv_add(&m->opts, opt);
	va_end(ap);
	return m;
}

struct mnt_item *
plan_bind(struct zone_plan *p, const char *target, uint64_t attrs)
{
	struct mnt_item *m = add(p, MNT_BIND, target);

	m->attrs = attrs;
	m->optional = true;
	return m;
}

/* ---- /dev ---- */

int
plan_device(int dev_fd, const char *path, const char *host_path, mode_t mode, struct error *err)
{
	cleanup_free char *dir = xstrdup(path);
	struct stat st;

	if (stat(host_path, &st) < 0)
		return error_set_errno(err, errno, "%s", host_path);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, EINVAL, "%s is not a device", host_path);
	for (char *p = strchr(dir, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(dev_fd, dir, 0755) < 0 && errno != EEXIST)
			return error_set_errno(err, errno, "/dev/%s", dir);
		*p = '/';
	}
	if (mknodat(dev_fd, path, (st.st_mode & S_IFMT) | mode, st.st_rdev) < 0 ||
	    fchmodat(dev_fd, path, mode, 0) < 0)
		return error_set_errno(err, errno, "/dev/%s", path);
	return 0;
}

/*
 * The nodes are checked to be what their names say: whoever could put something else
 * at the host's /dev/null would have every zone write into it.
 */
static const struct {
	const char *name;
	unsigned major, minor;
} dev_nodes[] = {
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9},
	{"tty", 5, 0},
};
static const struct {
	const char *name, *to;
} dev_links[] = {
	{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};
static const char *const dev_optional[] = {"net/tun", "fuse"};

int
plan_dev(int *ret_fd, struct error *err)
{
	cleanup_close int fd = -1;
	cleanup_close int console = -1;
	int r;

	r = mnt_new("tmpfs", (const char *const[]){"mode=0755", "size=1m", "nr_inodes=4096", NULL},
		    MOUNT_ATTR_NOEXEC, &fd, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(dev_nodes); i++) {
		dev_t dev = makedev(dev_nodes[i].major, dev_nodes[i].minor);

		if (mknodat(fd, dev_nodes[i].name, S_IFCHR | 0666, dev) < 0 ||
		    fchmodat(fd, dev_nodes[i].name, 0666, 0) < 0)
			return error_set_errno(err, errno, "/dev/%s", dev_nodes[i].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dev_links); i++)
		if (symlinkat(dev_links[i].to, fd, dev_links[i].name) < 0)
			return error_set_errno(err, errno, "/dev/%s", dev_links[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(dev_optional); i++) {
		cleanup_free char *host = str_printf("/dev/%s", dev_optional[i]);

		if (access(host, F_OK) < 0)
			continue;
		r = plan_device(fd, dev_optional[i], host, 0666, err);
		if (r < 0)
			return r;
	}
	if (mkdirat(fd, "pts", 0755) < 0 || mkdirat(fd, "shm", 0755) < 0 ||
	    mkdirat(fd, "mqueue", 0755) < 0)
		return error_set_errno(err, errno, "/dev");
	console = openat(fd, "console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (console < 0)
		return error_set_errno(err, errno, "/dev/console");
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* ---- limits ---- */

static int
limit(struct daemon *d, const char *file, const char *rctl, uint64_t value, struct error *err)
{
	int r = cgroup_write(d->cgroup, err, file, "%" PRIu64, value);

	return r < 0 ? error_wrap(err, r, "%s of zone %s", rctl, d->name) : 0;
}

static int
set_memory(struct daemon *d, struct error *err)
{
	uint64_t physical, swap;
	int r;

	if (!zone_config_rctl(d->config, "zone.max-physical-memory", &physical)) {
		r = cgroup_write(d->cgroup, NULL, "memory.high", "max");
		cgroup_write(d->cgroup, NULL, "memory.max", "max");
		return r < 0 && r != -ENOENT ? r : 0;
	}
	/*
	 * At `high` the zone is made to page out, as on SmartOS; `max`, a little above, is
	 * where it is killed.  A VMM has nothing to page out that would not hurt its guest.
	 */
	if (!d->brand->vm) {
		r = limit(d, "memory.high", "zone.max-physical-memory", physical, err);
		if (r < 0)
			return r;
	}
	r = limit(d, "memory.max", "zone.max-physical-memory",
		  physical + (physical / 16 > (16u << 20) ? physical / 16 : (16u << 20)), err);
	if (r < 0)
		return r;
	if (zone_config_rctl(d->config, "zone.max-swap", &swap)) {
		/* absent when the kernel counts no swap */
		r = cgroup_write(d->cgroup, NULL, "memory.swap.max", "%" PRIu64,
				 swap > physical ? swap - physical : 0);
		if (r < 0 && r != -ENOENT)
			return error_set_errno(err, -r, "zone.max-swap of zone %s", d->name);
	}
	return 0;
}

static int
set_cpu(struct daemon *d, struct error *err)
{
	uint64_t n;
	int r;

	if (zone_config_rctl(d->config, "zone.cpu-cap", &n) && n > 0)
		/* percent of one CPU, of a period of 100 ms */
		r = cgroup_write(d->cgroup, err, "cpu.max", "%" PRIu64 " 100000", n * 1000);
	else
		r = cgroup_write(d->cgroup, NULL, "cpu.max", "max 100000");
	if (r < 0 && r != -ENOENT)
		return error_wrap(err, r, "zone.cpu-cap of zone %s", d->name);
	if (zone_config_rctl(d->config, "zone.cpu-shares", &n))
		return limit(d, "cpu.weight", "zone.cpu-shares", n < 1 ? 1 : n > 10000 ? 10000 : n,
			     err);
	return 0;
}

int
zone_limits_apply(struct daemon *d, struct error *err)
{
	static const struct {
		const char *rctl, *controller;
	} needs[] = {
		{"zone.max-physical-memory", "memory"}, {"zone.max-swap", "memory"},
		{"zone.cpu-cap", "cpu"}, {"zone.cpu-shares", "cpu"}, {"zone.max-lwps", "pids"},
	};
	cleanup_free char *path = zone_cgroup_path(d->name);
	cleanup_strv struct strv controllers = STRV_INIT;
	cleanup_free char *list = NULL;
	uint64_t n;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (zone_config_rctl(d->config, needs[i].rctl, &n) &&
		    !strv_has(&controllers, needs[i].controller))
			strv_add(&controllers, needs[i].controller);
	if (controllers.n) {
		list = strv_join(&controllers, " ");
		r = cgroup_enable(path, list, err);
		if (r < 0)
			return error_wrap(err, r, "limits of zone %s", d->name);
	}
	r = set_memory(d, err);
	if (r == 0)
		r = set_cpu(d, err);
	if (r < 0)
		return r;
	if (zone_config_rctl(d->config, "zone.max-lwps", &n))
		return limit(d, "pids.max", "zone.max-lwps", n, err);
	return 0;
}

/* The zone may make cgroups of its own below; the limits on it stay the host's. */
static int
delegate_cgroup(struct daemon *d, struct error *err)
{
	static const char *const files[] = {"", "cgroup.procs", "cgroup.threads",
					    "cgroup.subtree_control"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (fchownat(d->cgroup, files[i], d->rt.uid_base, d->rt.uid_base, AT_EMPTY_PATH) < 0)
			return error_set_errno(err, errno, "cgroup of zone %s", d->name);
	return 0;
}

static int
make_cgroup(struct daemon *d, struct error *err)
{
	cleanup_free char *path = zone_cgroup_path(d->name);
	int r;

	r = cgroup_create(path, &d->cgroup, err);
	if (r == 0)
		r = zone_limits_apply(d, err);
	if (r == 0 && !d->brand->vm)
		r = delegate_cgroup(d, err);
	return r;
}

/* ---- the first process ---- */

/* What it says; "" when it is gone or, after exec, silent for good. */
static int
hear(int ctl, char *buf, size_t size, struct error *err)
{
	struct pollfd p = {.fd = ctl, .events = POLLIN};
	ssize_t n;
	int r;

	do
		r = poll(&p, 1, CHILD_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(err, ETIMEDOUT, "the zone's first process is stuck");
	n = recv(ctl, buf, size - 1, 0);
	if (n < 0)
		return error_set_errno(err, errno, "the zone's first process");
	buf[n] = '\0';
	return 0;
}

static void
set_soft(int resource, uint64_t value, struct rlimit *old)
{
	struct rlimit rl;

	getrlimit(resource, old);
	if (value == UINT64_MAX)
		return;
	rl = *old;
	if (value < rl.rlim_cur)
		rl.rlim_cur = value;
	setrlimit(resource, &rl);
}

/*
 * The limits of whoever makes a user namespace hold for all of its users together: so
 * locked memory and processes are limited for the zone as a whole.
 */
static pid_t
fork_limited(struct daemon *d, const struct zone_plan *p, uint64_t flags, struct error *err)
{
	struct rlimit locked, nproc;
	pid_t pid;

	set_soft(RLIMIT_MEMLOCK, p->max_locked, &locked);
	if (p->wired) {
		struct rlimit wired = {p->wired, locked.rlim_max > p->wired ? locked.rlim_max : p->wired};

		setrlimit(RLIMIT_MEMLOCK, &wired);
	}
	set_soft(RLIMIT_NPROC, p->max_processes, &nproc);
	pid = pidfd_fork(flags, d->cgroup, &d->proc.pidfd, err);
	if (pid != 0) {
		setrlimit(RLIMIT_MEMLOCK, &locked);
		setrlimit(RLIMIT_NPROC, &nproc);
	}
	return pid;
}

static int
spawn(struct daemon *d, struct zone_plan *p, struct error *err)
{
	const uint64_t flags = CLONE_PARENT | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
			       CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
	cleanup_close int child_end = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "socketpair");
	child_end = pair[1];
	d->proc.ctl = pair[0];
	pid = fork_limited(d, p, flags, err);
	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		close(pair[0]);
		child_main(child_end, p);
	}
	d->proc.pid = pid;
	d->rt.init_pid = pid;
	d->rt.init_ino = pidfd_inode(d->proc.pidfd);
	return 0;
}

static int
tell(struct daemon *d, const char *word, struct error *err)
{
	if (send(d->proc.ctl, word, strlen(word), MSG_NOSIGNAL) < 0)
		return error_set_errno(err, errno, "the zone's first process");
	return 0;
}

static int
wait_ready(struct daemon *d, struct error *err)
{
	char buf[1024];
	int r;

	r = hear(d->proc.ctl, buf, sizeof(buf), err);
	if (r < 0)
		return r;
	if (!buf[0])
		return error_set(err, EIO, "the zone's first process died");
	if (!str_eq(buf, CHILD_READY))
		return error_set(err, EIO, "%s", buf);
	return 0;
}

static int
host_side(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_close int netns = -1;
	int r;

	r = ns_map_ids(d->proc.pid, d->rt.uid_base, ZONE_UID_RANGE, err);
	if (r == 0)
		r = tell(d, "mapped", err);
	if (r == 0)
		r = ns_open(d->proc.pid, "net", &netns, err);
	if (r == 0 && d->ops->network)
		r = d->ops->network(d, netns, p, err);
	return r;
}

int
zone_build(struct daemon *d, struct error *err)
{
	cleanup_zone_plan struct zone_plan p = ZONE_PLAN_INIT;
	uint64_t n;
	int r;

	r = zone_config_ensure_uid_base(d->config, &d->rt.uid_base, err);
	if (r < 0)
		return r;
	r = ns_user_new(d->rt.uid_base, ZONE_UID_RANGE, &p.user_ns, err);
	if (r < 0)
		return r;
	if (fchown(d->console_slave, d->rt.uid_base, d->rt.uid_base) < 0 ||
	    fchmod(d->console_slave, 0600) < 0)
		return error_set_errno(err, errno, "console");
	p.brand = d->brand;
	p.console = d->console_slave;
	if (zone_config_rctl(d->config, "zone.max-locked-memory", &n))
		p.max_locked = n;
	r = make_cgroup(d, err);
	if (r == 0)
		r = d->ops->plan(d, &p, err);
	if (r == 0)
		r = spawn(d, &p, err);
	if (r == 0)
		r = host_side(d, &p, err);
	if (r < 0) {
		/* the child often knows better why: its message, if there is one, comes first */
		return r;
	}
	r = wait_ready(d, err);
	if (r < 0)
		return r;
	r = zone_id_alloc(&d->rt.id, err);
	if (r < 0)
		return r;
	return zone_state_move(d->name, ZONE_READY, &d->rt, err);
}

int
zone_start_init(struct daemon *d, struct error *err)
{
	char buf[1024];
	int r;

	r = tell(d, CHILD_GO, err);
	if (r == 0)
		r = hear(d->proc.ctl, buf, sizeof(buf), err);
	if (r < 0)
		return r;
	if (buf[0])
		return error_set(err, EIO, "%s", buf);
	close(steal_fd(&d->proc.ctl));
	d->rt.boot_ms = time_real_ms();
	free(steal_ptr(&d->rt.reason));
	r = zone_state_move(d->name, ZONE_RUNNING, &d->rt, err);
	if (r < 0)
		return r;
	return d->ops->started ? d->ops->started(d, err) : 0;
}
