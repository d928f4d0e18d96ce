/*
 * The first process of a zone, between clone and exec: it lays out the mounts
 * that only the zone's own namespaces can give, leaves the host's tree behind,
 * waits for the word to start, gives up what it does not need and becomes init.
 *
 * It is a fork of zoneadmd, so until exec it must not be of use to anybody: it is
 * not dumpable, no other process exists in its pid namespace, and no file of the
 * zone is executed or parsed here.  What the zone's root holds is hostile: every
 * target of a mount is found with openat2(RESOLVE_IN_ROOT), and but for lofs
 * targets a symbolic link on the way is an error, not a redirection.
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/caps.h"
#include "os/mount.h"
#include "zone/zoneadmd/zoneadmd.h"

static void __attribute__((noreturn))
give_up(int ctl, const struct error *err)
{
	const char *text = error_message(err);

	send(ctl, text, strlen(text), MSG_NOSIGNAL);
	_exit(1);
}

static int
expect(int ctl, const char *word, struct error *err)
{
	char buf[64];
	ssize_t n;

	do
		n = recv(ctl, buf, sizeof(buf) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		_exit(1); /* zoneadmd is gone: so are we */
	buf[n] = '\0';
	if (!str_eq(buf, word))
		return error_set(err, EPROTO, "zoneadmd said '%s' instead of '%s'", buf, word);
	return 0;
}

/* From here on all of our power is inside the zone's user namespace. */
static int
become_zone_root(struct error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_set_errno(err, errno, "becoming root of the zone");
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

/*
 * proc and sysfs may be mounted by a user namespace only where one is fully visible
 * already, so they are made while the host's tree is still there.
 */
static int
make_filesystems(struct zone_plan *p, struct error *err)
{
	for (size_t i = 0; i < p->n_mnt; i++) {
		struct mnt_item *m = &p->mnt[i];
		int r;

		if (m->kind != MNT_FS)
			continue;
		r = mnt_new(m->fstype, (const char *const *)m->opts.v, m->attrs, &m->fd,
			    m->optional ? NULL : err);
		if (r < 0 && !m->optional)
			return error_wrap(err, r, "%s", m->target);
	}
	return 0;
}

static int
enter_root(struct zone_plan *p, struct error *err)
{
	int r;

	r = mnt_make_private("/", err);
	if (r < 0)
		return r;
	/* any directory will do: it is only seen by us, and only until pivot_root */
	r = mnt_attach_path(p->root, "/run", err);
	if (r < 0)
		return r;
	if (fchdir(p->root) < 0)
		return error_set_errno(err, errno, "the zone's root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set_errno(err, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set_errno(err, errno, "leaving the host's tree");
	if (chdir("/") < 0)
		return error_set_errno(err, errno, "chdir");
	return 0;
}

static int
attach(int root, struct mnt_item *m, struct error *err)
{
	unsigned flags = (m->file ? PATH_FILE : PATH_DIR | PATH_MKDIR) |
			 (m->follow ? 0 : PATH_NO_LINKS);
	cleanup_close int target = -1;
	int r;

	if (m->kind == MNT_BIND) {
		r = path_open_in(root, m->target, PATH_NO_LINKS, &target, err);
		if (r < 0)
			return m->optional ? 0 : r;
		r = mnt_clone(target, "", false, &m->fd, err);
		if (r == 0)
			r = m->attrs ? mnt_set(m->fd, m->attrs, false, err) :
				       mnt_clear(m->fd, MOUNT_ATTR_RDONLY, err);
		if (r < 0)
			return r;
	} else {
		if (m->fd < 0)
			return 0;
		/* made only if it is missing: what is there (/proc/kcore) may refuse to be opened */
		r = path_open_in(root, m->target, flags & ~(PATH_FILE | PATH_MKDIR), &target,
				 NULL);
		if (r == -ENOENT)
			r = path_open_in(root, m->target, flags, &target, err);
		else if (r < 0)
			r = path_open_in(root, m->target, flags & ~(PATH_FILE | PATH_MKDIR), &target,
					 err);
		if (r < 0)
			return r;
	}
	return mnt_attach(m->fd, target, err);
}

static int
attach_all(struct zone_plan *p, struct error *err)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root < 0)
		return error_set_errno(err, errno, "/");
	for (size_t i = 0; i < p->n_mnt; i++) {
		r = attach(root, &p->mnt[i], err);
		if (r < 0)
			return error_wrap(err, r, "mounting %s in the zone", p->mnt[i].target);
	}
	return 0;
}

static int
set_names(const struct zone_plan *p, struct error *err)
{
	if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0)
		return error_set_errno(err, errno, "hostname %s", p->hostname);
	if (p->domain && setdomainname(p->domain, strlen(p->domain)) < 0)
		return error_set_errno(err, errno, "domain %s", p->domain);
	return 0;
}

/* 0-2: the console; 3...: what the program is given; ctl last, and it closes on exec. */
static int
arrange_fds(struct zone_plan *p, int *ctl, struct error *err)
{
	int high[64];

	if (p->n_keep_fds > ARRAY_SIZE(high))
		return error_set(err, E2BIG, "too many descriptors");
	*ctl = fcntl(*ctl, F_DUPFD_CLOEXEC, 200);
	if (*ctl < 0)
		return error_set_errno(err, errno, "descriptors");
	for (size_t i = 0; i < p->n_keep_fds; i++) {
		high[i] = fcntl(p->keep_fds[i], F_DUPFD_CLOEXEC, 100);
		if (high[i] < 0)
			return error_set_errno(err, errno, "descriptors");
	}
	for (int i = 0; i < 3; i++)
		if (dup2(p->console, i) < 0)
			return error_set_errno(err, errno, "console");
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < p->n_keep_fds; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			return error_set_errno(err, errno, "descriptors");
	return 0;
}

static int
give_up_power(struct zone_plan *p, const struct sock_fprog *filter, struct error *err)
{
	char cwd[PATH_MAX];
	int r;

	/* a working directory outside the root would be a way out (CVE-2024-21626) */
	if (chdir("/") < 0 || !getcwd(cwd, sizeof(cwd)) || !str_eq(cwd, "/"))
		return error_set(err, EACCES, "the working directory is not inside the zone");
	r = caps_drop_bounding(p->brand->drop_caps, err);
	if (r < 0)
		return r;
	if (p->uid != 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
	     setresuid(p->uid, p->uid, p->uid) < 0))
		return error_set_errno(err, errno, "changing to uid %u", (unsigned)p->uid);
	if (p->lock_down && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, errno, "no_new_privs");
	if (p->lock_down) {
		r = caps_limit(0, err);
		if (r < 0)
			return r;
	}
	return seccomp_install(filter, err);
}

void
child_main(int ctl, struct zone_plan *p)
{
	cleanup_error struct error err = ERROR_INIT;
	struct sock_fprog filter = {0};
	sigset_t none;
	int r;

	prctl(PR_SET_NAME, "zoneinit");
	prctl(PR_SET_DUMPABLE, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL); /* fails for KILL and STOP, as it must */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);

	r = expect(ctl, "mapped", &err);
	if (r == 0)
		r = become_zone_root(&err);
	if (r == 0)
		r = make_filesystems(p, &err);
	if (r == 0)
		r = enter_root(p, &err);
	if (r == 0)
		r = attach_all(p, &err);
	if (r == 0)
		r = set_names(p, &err);
	if (r == 0)
		r = seccomp_compile(p->brand->seccomp, &filter, &err);
	if (r < 0)
		give_up(ctl, &err);
	if (send(ctl, CHILD_READY, strlen(CHILD_READY), MSG_NOSIGNAL) < 0)
		_exit(1);

	r = expect(ctl, CHILD_GO, &err);
	setsid();
	if (r == 0)
		r = arrange_fds(p, &ctl, &err);
	if (r == 0)
		r = give_up_power(p, &filter, &err);
	if (r < 0)
		give_up(ctl, &err);
	execve(p->argv.v[0], p->argv.v, p->env.v);
	error_set_errno(&err, errno, "executing %s", p->argv.v[0]);
	give_up(ctl, &err);
}
