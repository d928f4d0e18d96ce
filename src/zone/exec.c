/*
 * Entering a running zone.
 *
 * Three processes.  Ours stays outside and waits.  The middle one is born in the
 * cgroup of the zone's init (so that it counts as the zone's and dies with it),
 * enters all namespaces at once by init's pidfd, and becomes the zone's root.  Its
 * child is the first that is in the pid namespace; it gives up what no process of
 * that brand may have and executes the program, which is always the zone's: no file
 * of the host is ever executed in there (CVE-2019-5736).
 *
 * Between setns and exec these two carry our memory, so they are not dumpable, hold
 * no descriptor but the program's three, and open nothing by a path of the zone but
 * its passwd and group files, which are read as data.
 */
#include "zone/exec.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "os/caps.h"
#include "os/cgroup.h"
#include "os/mount.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/pty.h"
#include "zone/brand/brand.h"
#include "zone/model.h"

#define ALL_NAMESPACES                                                                  \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |     \
	 CLONE_NEWIPC | CLONE_NEWCGROUP)
#define EXEC_FAILED 126 /* what a shell says of a program it cannot execute */

struct entry {
	const struct brand *brand;
	const struct zone_exec *x;
	struct sock_fprog filter;
	int pidfd;
	int errors; /* the message if it goes wrong before exec; close-on-exec */
	int answer; /* the terminal's master goes back here, or -1 */
};

struct zone_user {
	char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	size_t n_groups;
};

static int
parse_id(const char *s, unsigned *ret)
{
	uint64_t u;

	if (str_to_u64(s, 10, &u) < 0 || u >= ZONE_UID_RANGE)
		return -EINVAL;
	*ret = (unsigned)u;
	return 0;
}

/* name:x:uid:gid:gecos:home:shell */
static int
find_passwd(char *text, const char *want, struct zone_user *ret)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		cleanup_strv struct strv f = STRV_INIT;

		strv_split(&f, line, ":");
		if (f.n < 7 || !str_eq(f.v[0], want) || parse_id(f.v[2], &ret->uid) < 0 ||
		    parse_id(f.v[3], &ret->gid) < 0)
			continue;
		ret->name = xstrdup(f.v[0]);
		ret->home = xstrdup(f.v[5][0] == '/' ? f.v[5] : "/");
		ret->shell = xstrdup(f.v[6][0] == '/' ? f.v[6] : "/bin/sh");
		return 0;
	}
	return -ENOENT;
}

static void
find_groups(char *text, struct zone_user *u)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		cleanup_strv struct strv f = STRV_INIT;
		cleanup_strv struct strv members = STRV_INIT;
		gid_t gid;

		strv_split(&f, line, ":");
		if (f.n < 4 || parse_id(f.v[2], &gid) < 0 || u->n_groups == ARRAY_SIZE(u->groups))
			continue;
		strv_words(&members, f.v[3], ",");
		if (strv_has(&members, u->name))
			u->groups[u->n_groups++] = gid;
	}
}

static int
look_up_user(const char *want, struct zone_user *ret, struct error *err)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *passwd = NULL;
	cleanup_free char *group = NULL;

	if (path_read_in(root, "/etc/passwd", 4 * 1024 * 1024, &passwd, NULL, NULL) == 0 &&
	    find_passwd(passwd, want, ret) == 0) {
		if (path_read_in(root, "/etc/group", 4 * 1024 * 1024, &group, NULL, NULL) == 0)
			find_groups(group, ret);
		return 0;
	}
	if (!str_eq(want, "root"))
		return error_set(err, ENOENT, "no user %s in the zone", want);
	/* root is root, whatever the zone did to its files */
	ret->name = xstrdup("root");
	ret->home = xstrdup("/root");
	ret->shell = xstrdup("/bin/sh");
	return 0;
}

static int
become(const struct zone_user *u, struct error *err)
{
	if (setgroups(u->n_groups, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return error_set_errno(err, errno, "becoming user %s", u->name);
	return 0;
}

static void __attribute__((noreturn))
fail(const struct entry *e, const struct error *err)
{
	const char *text = error_message(err);

	if (write(e->errors, text, strlen(text)) < 0)
		_exit(EXEC_FAILED);
	_exit(EXEC_FAILED);
}

static int
set_stdio(const struct entry *e, struct error *err)
{
	const struct zone_exec *x = e->x;
	int fds[3] = {x->in, x->out, x->err};
	cleanup_close int master = -1;
	cleanup_close int slave = -1;
	int r;

	if (x->pty) {
		r = pty_open_here(&master, &slave, err);
		if (r == 0 && x->size_from >= 0)
			pty_copy_size(x->size_from, slave);
		if (r == 0)
			r = pty_take(slave, err);
		if (r < 0)
			return r;
		/* the parent's end of the terminal; a single byte goes with it */
		{
			union {
				struct cmsghdr align;
				char buf[CMSG_SPACE(sizeof(int))];
			} control = {0};
			struct iovec iov = {.iov_base = (void *)"", .iov_len = 1};
			struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1,
					   .msg_control = control.buf,
					   .msg_controllen = sizeof(control.buf)};
			struct cmsghdr *c = CMSG_FIRSTHDR(&m);

			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &master, sizeof(int));
			if (sendmsg(e->answer, &m, MSG_NOSIGNAL) < 0)
				return error_set_errno(err, errno, "terminal");
		}
		return 0;
	}
	setsid();
	/* above 2 first: one of them may be another's place */
	for (int i = 0; i < 3; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 10);
		if (fds[i] < 0)
			return error_set_errno(err, errno, "standard descriptors");
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return error_set_errno(err, errno, "standard descriptors");
	return 0;
}

static void
program_args(const struct zone_exec *x, const struct zone_user *u, struct strv *argv,
	     struct strv *env)
{
	const char *base = strrchr(u->shell, '/');

	if (x->login && x->login_program && access(x->login_program, X_OK) == 0) {
		strv_addl(argv, x->login_program, "-f", u->name, NULL);
	} else if (x->shell && x->argv && x->argv[0]) {
		struct strv words = {.v = (char **)x->argv};

		while (x->argv[words.n])
			words.n++;
		strv_addl(argv, u->shell, "-c", NULL);
		strv_take(argv, strv_join(&words, " "));
	} else if (x->argv && x->argv[0]) {
		for (size_t i = 0; x->argv[i]; i++)
			strv_add(argv, x->argv[i]);
	} else {
		/* a login shell's own name starts with '-' */
		strv_add(argv, u->shell);
		strv_addf(argv, "-%s", base ? base + 1 : u->shell);
	}
	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_addf(env, "HOME=%s", u->home);
	strv_addf(env, "USER=%s", u->name);
	strv_addf(env, "LOGNAME=%s", u->name);
	strv_addf(env, "SHELL=%s", u->shell);
	if (x->term)
		strv_addf(env, "TERM=%s", x->term);
}

/* In the zone, all of it.  Never returns. */
static void __attribute__((noreturn))
inner(struct entry *e)
{
	cleanup_error struct error err = ERROR_INIT;
	struct strv argv = STRV_INIT, env = STRV_INIT;
	struct zone_user u = {0};
	char cwd[PATH_MAX];
	bool bare_shell;
	int r;

	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = look_up_user(e->x->user ? e->x->user : "root", &u, &err);
	if (r == 0)
		r = set_stdio(e, &err);
	if (r < 0)
		fail(e, &err);
	program_args(e->x, &u, &argv, &env);
	bare_shell = argv.n == 2 && argv.v[1][0] == '-' && str_eq(argv.v[0], u.shell) &&
		     !(e->x->argv && e->x->argv[0]);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	if (chdir(u.home) < 0 && chdir("/") < 0)
		error_set_errno(&err, errno, "chdir");
	if (!err.message && (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/'))
		error_set(&err, EACCES, "the working directory is not inside the zone");
	if (err.message || caps_drop_bounding(e->brand->drop_caps, &err) < 0 ||
	    seccomp_install(&e->filter, &err) < 0 || become(&u, &err) < 0)
		fail(e, &err);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing ids cleared it */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	umask(022);
	/* execvp()'s search, in the zone's own PATH */
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (bare_shell)
		execvpe(argv.v[0], argv.v + 1, env.v);
	else
		execvpe(argv.v[0], argv.v, env.v);
	error_set_errno(&err, errno, "%s", argv.v[0]);
	if (err.code == ENOENT) {
		if (write(e->errors, err.message, strlen(err.message)) < 0)
			_exit(127);
		_exit(127);
	}
	fail(e, &err);
}

static int
exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Never returns. */
static void __attribute__((noreturn))
middle(struct entry *e)
{
	cleanup_error struct error err = ERROR_INIT;
	int status = 0;
	pid_t pid;

	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ns_enter(e->pidfd, ALL_NAMESPACES, &err) < 0)
		fail(e, &err);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		error_set_errno(&err, errno, "becoming root of the zone");
		fail(e, &err);
	}
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing ids cleared it */
	pid = fork();
	if (pid == 0)
		inner(e);
	if (pid < 0) {
		error_set_errno(&err, errno, "fork");
		fail(e, &err);
	}
	/* the answer's end is the inner one's alone: if it dies, the parent sees it */
	close_range(3, ~0U, 0);
	for (int i = 0; i < 3; i++)
		close(i);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	_exit(exit_code(status));
}

/* ---- outside ---- */

static int
open_cgroup_of(pid_t pid, int *ret_fd, struct error *err)
{
	cleanup_free char *path = NULL;
	int r = cgroup_of_pid(pid, &path, err);

	return r < 0 ? r : cgroup_open(path, ret_fd, err);
}

int
zone_exec_start(const char *name, const struct zone_exec *x, struct zone_exec_child *ret,
		struct error *err)
{
	cleanup_zone_info struct zone_info zi = {0};
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	cleanup_close int cgroup = -1;
	cleanup_close int init = -1;
	cleanup_close int filter_fd = -1;
	struct zone_exec_child child = {.pidfd = -1, .errors = -1, .answer = -1};
	struct entry e = {.x = x, .pidfd = -1, .errors = -1, .answer = -1};
	int errors[2], answer[2];
	int r;

	r = zone_info_read(name, &zi, err);
	if (r == 0)
		r = zone_runtime_read(name, &rt, err);
	if (r < 0)
		return r;
	if (zi.state != ZONE_RUNNING && zi.state != ZONE_SHUTTING_DOWN)
		return error_set(err, ESRCH, "zone %s is not running", name);
	e.brand = brand_find(zi.brand);
	if (!e.brand || e.brand->vm)
		return error_set(err, ENOTSUP, "zone %s is a virtual machine: there is no inside "
				 "to run programs in", name);
	r = pidfd_open_noted(rt.init_pid, rt.init_ino, &init, err);
	if (r < 0)
		return error_wrap(err, r, "init of zone %s", name);
	r = open_cgroup_of(rt.init_pid, &cgroup, err);
	if (r == 0)
		r = seccomp_compile(e.brand->seccomp, &e.filter, err);
	if (r < 0)
		return r;
	if (pipe2(errors, O_CLOEXEC) < 0) {
		free(e.filter.filter);
		return error_set_errno(err, errno, "pipe");
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, answer) < 0) {
		r = error_set_errno(err, errno, "socketpair");
		close(errors[0]);
		close(errors[1]);
		free(e.filter.filter);
		return r;
	}
	e.pidfd = init;
	e.errors = errors[1];
	e.answer = answer[1];
	child.pid = pidfd_fork(0, cgroup, &child.pidfd, err);
	if (child.pid == 0)
		middle(&e);
	close(errors[1]);
	close(answer[1]);
	free(e.filter.filter);
	child.errors = errors[0];
	child.answer = answer[0];
	if (child.pid < 0) {
		close(errors[0]);
		close(answer[0]);
		return error_wrap(err, (int)child.pid, "entering zone %s", name);
	}
	*ret = child;
	return 0;
}

int
zone_exec_terminal(struct zone_exec_child *c, int *ret_master, struct error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			   .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *h;
	ssize_t n;

	do
		n = recvmsg(c->answer, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!h || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(int)))
		return error_set(err, EIO, "no terminal in the zone");
	memcpy(ret_master, CMSG_DATA(h), sizeof(int));
	return 0;
}

int
zone_exec_finish(struct zone_exec_child *c, int *ret_status, struct error *err)
{
	char text[1024];
	int status = 0, r = 0;
	ssize_t n;

	/* the write end closes when the program is executed, or with the message */
	n = fd_read_all(c->errors, text, sizeof(text) - 1);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	close(c->pidfd);
	close(c->errors);
	close(c->answer);
	if (n > 0) {
		text[n] = '\0';
		r = error_set(err, exit_code(status) == 127 ? ENOENT : EIO, "%s", text);
	}
	*ret_status = exit_code(status);
	return r;
}

int
zone_exec(const char *name, const char *const argv[], const struct zone_exec_opts *opts,
	  int *ret_status, struct error *err)
{
	struct zone_exec x = {
		.user = opts->user, .argv = argv, .shell = opts->shell, .in = opts->in,
		.out = opts->out, .err = opts->err, .size_from = -1,
	};
	struct zone_exec_child c;
	int r, status;

	r = zone_exec_start(name, &x, &c, err);
	if (r < 0)
		return r;
	r = zone_exec_finish(&c, &status, err);
	if (r < 0)
		return r;
	*ret_status = status;
	return 0;
}
