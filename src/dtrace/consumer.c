/*
 * One dtrace of a zone, as a process of the global zone: forked by the broker, charged to
 * the zone's cgroup, and the only one that reads what the zone sent.
 *
 * It is the command dtrace(8) with its files, its output and its deeds exchanged for packets
 * (request.h) and with a struct confine around it (priv.c).  It keeps the capabilities that
 * programs in the kernel and looking at the zone's processes take, as a user that owns no
 * file, and may make no system call that starts a program, makes a socket, mounts or
 * gives it more than it has.  It ends with the broker, and with the zone's command: its
 * connection tells.
 *
 * For a user that is not the zone's root it runs as that user, without what opens files
 * that are not his; in the global zone without what looks at processes that are not his, too,
 * so that there the kernel itself asks its questions.  Whether he may trace is said by the
 * zone's files, which may be anything: they are read here, and not by the broker.
 */
#include "dtrace/consumer.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "dtrace/dtrace_main.h"
#include "dtrace/request.h"
#include "os/caps.h"
#include "os/mount.h"
#include "os/seccomp.h"

#define REQUEST_SECONDS 10
#define NOBODY 65534
#define NO_PRIVILEGE "failed to initialize dtrace: DTrace requires additional privileges"
#define FILES_MAX 16384

struct consumer {
	int sock;
	struct request request;
};

static int control_fd;

/* --- to the zone */

static int
send_deed(int sock, enum deed deed, const char *text, size_t len)
{
	char kind = (char)deed;
	struct iovec iov[2] = {{&kind, 1}, {(void *)(uintptr_t)text, len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int
do_deed(void *arg, enum deed deed, const char *text, size_t len, struct error *err)
{
	const struct consumer *c = arg;
	int r;

	if (len > REQUEST_FRAME)
		return error_set(err, E2BIG, "a command or path is too long for a zone");
	r = send_deed(c->sock, deed, text, len);
	return r < 0 ? error_set_errno(err, -r, "the zone's dtrace") : 0;
}

static ssize_t
write_frames(const struct consumer *c, enum deed deed, const char *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = len - at < REQUEST_FRAME ? len - at : REQUEST_FRAME;

		if (send_deed(c->sock, deed, data + at, n) < 0)
			_exit(CLI_FAILED); /* nobody listens any more */
		at += n;
	}
	return (ssize_t)len;
}

static ssize_t
write_out(void *arg, const char *data, size_t len)
{
	return write_frames(arg, DEED_OUT, data, len);
}

static ssize_t
write_err(void *arg, const char *data, size_t len)
{
	return write_frames(arg, DEED_ERR, data, len);
}

/* What the command prints goes into packets, in the order in which it is printed. */
static void
redirect(struct consumer *c)
{
	stdout = fopencookie(c, "w", (cookie_io_functions_t){.write = write_out});
	stderr = fopencookie(c, "w", (cookie_io_functions_t){.write = write_err});
	if (!stdout || !stderr)
		_exit(CLI_FAILED);
	setvbuf(stderr, NULL, _IOLBF, 4096);
}

void
consumer_refuse(int sock, const char *message)
{
	cleanup_free char *line = str_printf("dtrace: %s\n", message);
	const char status = CLI_FAILED;

	if (send_deed(sock, DEED_ERR, line, strlen(line)) == 0)
		send_deed(sock, DEED_EXIT, &status, 1);
}

/* --- from the zone */

static int
read_request(struct consumer *c, struct error *err)
{
	cleanup_free char *data = xmalloc(REQUEST_MAX + 1);
	struct timeval patience = {.tv_sec = REQUEST_SECONDS}, for_ever = {0};
	ssize_t n;

	/* Output waits for its reader; the broker's own word did not. */
	setsockopt(c->sock, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof(for_ever));
	setsockopt(c->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	do
		n = recv(c->sock, data, REQUEST_MAX + 1, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	setsockopt(c->sock, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
	if (n < 0)
		return error_set_errno(err, errno == EAGAIN ? ETIMEDOUT : errno, "no request");
	if (n > REQUEST_MAX)
		return error_set(err, E2BIG, "a zone's programs may have %d KiB", REQUEST_MAX / 1024);
	return request_parse(data, (size_t)n, &c->request, err);
}

static int
sent_file(void *arg, const char *path, char **ret, size_t *ret_len, struct error *err)
{
	const struct consumer *c = arg;
	const char *text = request_text(&c->request, path);

	if (!text)
		return error_set(err, ENOENT, "%s was not sent", path);
	*ret = xstrdup(text);
	*ret_len = strlen(text);
	return 0;
}

static bool
sent_macro(void *arg, const char *name, int64_t *ret)
{
	const struct consumer *c = arg;

	for (size_t i = 0; i < c->request.ids.n; i++) {
		const char *value = str_after(c->request.ids.v[i], name);

		if (value && *value == '=')
			return str_to_i64(value + 1, 10, ret) == 0;
	}
	return false;
}

/* Another packet: stop.  The end of the connection: the zone's command is gone. */
static void
on_control(int sig)
{
	char c;
	int saved = errno;
	ssize_t n = recv(control_fd, &c, 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		_exit(CLI_FAILED);
	if (n > 0)
		raise(SIGINT);
	errno = saved;
}

static int
watch_control(int sock, struct error *err)
{
	struct sigaction sa = {.sa_handler = on_control, .sa_flags = SA_RESTART};
	struct f_owner_ex owner = {F_OWNER_PID, getpid()};
	int flags = fcntl(sock, F_GETFL);

	control_fd = sock;
	sigaction(SIGIO, &sa, NULL);
	if (fcntl(sock, F_SETOWN_EX, &owner) < 0 || fcntl(sock, F_SETFL, flags | O_ASYNC) < 0)
		return error_set_errno(err, errno, "watching the connection");
	on_control(SIGIO); /* what came before */
	return 0;
}

/* --- what it needs, and no more */

#define KEEP_CAPS                                                                             \
	(CAP_BIT(CAP_BPF) | CAP_BIT(CAP_PERFMON) | CAP_BIT(CAP_SYS_PTRACE) |                 \
	 CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_KILL) |                                   \
	 /* types of modules are listed, and copyout() is loaded, with this one only */        \
	 CAP_BIT(CAP_SYS_ADMIN))

static const struct seccomp_rule allowed[] = {
	/* itself */
	{"exit", 0}, {"exit_group", 0}, {"rt_sigreturn", 0}, {"restart_syscall", 0},
	{"rt_sigaction", 0}, {"rt_sigprocmask", 0}, {"sigaltstack", 0}, {"gettid", 0},
	{"getpid", 0}, {"getppid", 0}, {"getuid", 0}, {"geteuid", 0}, {"getgid", 0}, {"getegid", 0},
	{"futex", 0}, {"sched_yield", 0}, {"sched_getaffinity", 0}, {"getrandom", 0}, {"uname", 0},
	{"sysinfo", 0}, {"prlimit64", 0}, {"getrlimit", 0}, {"getrusage", 0}, {"rseq", 0},
	{"set_robust_list", 0}, {"getcpu", 0}, {"clock_gettime", 0}, {"clock_getres", 0},
	{"gettimeofday", 0}, {"clock_nanosleep", 0}, {"nanosleep", 0}, {"tgkill", 0}, {"getpgrp", 0},
	{"getsid", 0},
	/* memory */
	{"brk", 0}, {"mmap", 0}, {"munmap", 0}, {"mremap", 0}, {"mprotect", 0}, {"madvise", 0},
	/* files, to read */
	{"open", 0}, {"openat", 0}, {"openat2", 0}, {"close", 0}, {"read", 0}, {"readv", 0},
	{"pread64", 0}, {"write", 0}, {"writev", 0}, {"lseek", 0}, {"fstat", 0}, {"stat", 0},
	{"lstat", 0}, {"newfstatat", 0}, {"statx", 0}, {"statfs", 0}, {"fstatfs", 0}, {"access", 0},
	{"faccessat", 0}, {"faccessat2", 0}, {"readlink", 0}, {"readlinkat", 0}, {"getdents64", 0},
	{"fcntl", 0}, {"dup", 0}, {"dup2", 0}, {"dup3", 0}, {"ioctl", 0}, {"getcwd", 0}, {"pipe2", 0},
	{"fadvise64", 0},
	/* files without a name, to write */
	{"memfd_create", 0}, {"pwrite64", 0}, {"ftruncate", 0}, {"fchmod", 0},
	/* waiting, and the connection */
	{"poll", 0}, {"ppoll", 0}, {"select", 0}, {"pselect6", 0}, {"epoll_create1", 0},
	{"epoll_ctl", 0}, {"epoll_wait", 0}, {"epoll_pwait", 0}, {"epoll_pwait2", 0}, {"sendmsg", 0},
	{"sendto", 0}, {"recvmsg", 0}, {"recvfrom", 0}, {"setsockopt", 0},
	/* its trade */
	{"bpf", 0}, {"perf_event_open", 0}, {"ptrace", 0}, {"wait4", 0}, {"waitid", 0}, {"kill", 0},
	{"pidfd_open", 0}, {"pidfd_send_signal", 0}, {"process_vm_readv", 0},
	{0},
};

/* Of users; those of the second row for as long as we do not know what the user has, or with dtrace_kernel. */
#define USER_CAPS (CAP_BIT(CAP_BPF) | CAP_BIT(CAP_PERFMON) | CAP_BIT(CAP_SYS_ADMIN))
#define KERNEL_CAPS (USER_CAPS | CAP_BIT(CAP_SYS_PTRACE) | CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_SYSLOG))

static uint64_t
caps_for(const struct confine *z)
{
	if (!z->owner_only)
		return KEEP_CAPS;
	/* The user namespace of a zone is another than ours, so the kernel wants this one in any case. */
	return z->cgroup ? USER_CAPS | CAP_BIT(CAP_SYS_PTRACE) : KERNEL_CAPS;
}

static int
drop_privileges(const struct confine *z, pid_t broker, struct error *err)
{
	struct rlimit files = {FILES_MAX, FILES_MAX}, none = {0, 0};
	uid_t uid = z->owner_only ? z->owner : NOBODY;
	gid_t gid = z->owner_only ? z->group : NOBODY;
	int r;

	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &none);
	if ((r = caps_drop_bounding(~caps_for(z), err)) < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return error_set_errno(err, errno, "giving up root");
	if ((r = caps_limit(caps_for(z), err)) < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, errno, "no_new_privs");
	/* Behind the change of ids, which clears it; and the broker may be gone before we ask. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != broker)
		return error_set(err, ECHILD, "the broker is gone");
	return 0;
}

static int
limit_calls(struct error *err)
{
	static const struct seccomp_policy policy = {.rules = allowed, .otherwise = EPERM};
	struct sock_fprog filter;
	int r;

	if ((r = seccomp_compile(&policy, &filter, err)) < 0)
		return r;
	r = seccomp_install(&filter, err);
	free(filter.filter);
	return r;
}

/* --- what a user may */

#define ACCOUNTS_MAX (1 << 20) /* bytes of passwd(5) or user_attr(5) */

/* A file of that root that may be anything; "" if there is none that can be read.  The caller's. */
static char *
read_in_root(int root, const char *path)
{
	cleanup_free char *opened = NULL;
	cleanup_close int fd = -1;
	struct stat st;
	char *text;

	if (path_open_in(root, path, 0, &fd, NULL) < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return xstrdup("");
	opened = str_printf("/proc/self/fd/%d", fd);
	return file_read(opened, ACCOUNTS_MAX, &text, NULL, NULL) < 0 ? xstrdup("") : text;
}

/* What of z->privs the user has; z->privs becomes that. */
static int
take_grant(struct confine *z, bool sandbox, struct error *err)
{
	cleanup_free char *attr = NULL, *passwd = NULL, *name = NULL;

	if (!z->owner_only)
		return 0;
	attr = read_in_root(z->root, "/etc/user_attr");
	passwd = read_in_root(z->root, "/etc/passwd");
	z->privs &= priv_of_user(attr, passwd, z->owner - z->uid_base, &name);
	if (!name)
		name = str_printf("%u", z->owner - z->uid_base);
	if (!z->privs)
		return error_set(err, EPERM,
				 NO_PRIVILEGE " (root gives them to %s with a line in /etc/user_attr: "
					      "%s::::type=normal;defaultpriv=basic,dtrace_user,dtrace_proc)",
				 name, name);
	return sandbox && !z->cgroup && !(z->privs & PRIV_DTRACE_KERNEL) ? caps_limit(USER_CAPS, err) : 0;
}

static int
prepare(struct consumer *c, struct confine *z, bool sandbox, struct error *err)
{
	int r = sandbox ? drop_privileges(z, getppid(), err) : 0;

	if (r < 0 || (r = take_grant(z, sandbox, err)) < 0 ||
	    (sandbox && (r = limit_calls(err)) < 0) || (r = read_request(c, err)) < 0)
		return r;
	return watch_control(c->sock, err);
}

int
consumer_run(int sock, struct confine *z, const char *library, bool sandbox)
{
	cleanup_error struct error err = ERROR_INIT;
	struct consumer c = {.sock = sock};
	struct remote remote = {.go = sock, .library = library, .arg = &c, .file = sent_file,
				.deed = do_deed, .macro = sent_macro};
	cleanup_free char **argv = NULL;
	char status = CLI_FAILED;

	if (prepare(&c, z, sandbox, &err) < 0) {
		consumer_refuse(sock, error_message(&err));
		return CLI_FAILED;
	}
	remote.target = c.request.pid;
	redirect(&c);
	argv = xcalloc(c.request.args.n + 1, sizeof(*argv));
	memcpy(argv, c.request.args.v, c.request.args.n * sizeof(*argv));
	status = (char)dtrace_main((int)c.request.args.n, argv, &remote,
				   z->privs & PRIV_DTRACE_KERNEL ? NULL : z);
	fflush(stdout);
	fflush(stderr);
	send_deed(sock, DEED_EXIT, &status, 1);
	request_done(&c.request);
	return (unsigned char)status;
}
