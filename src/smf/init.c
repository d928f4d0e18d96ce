/*
 * PID 1: keeps svc.configd and svc.startd running, reaps, and brings the
 * machine down.  Nothing else: no graph, no configuration, no memory that
 * grows, so nothing that could make it fail.
 *
 * Orphans.  While svc.startd lives it is the subreaper of everything it
 * started.  When it dies its children become ours; of each one that ends we
 * tell the next startd (init.h), before reaping it, so that a process that can
 * no longer be seen has been reported.
 *
 * Going down is a ladder of stages, each left by an event or by its deadline:
 *
 *	RUNNING -> SERVICES  startd stops the services in reverse order and exits 0;
 *	                     if it dies instead, it is started again and told again
 *	        -> TERM      SIGTERM to all that is left
 *	        -> KILL      SIGKILL
 *	        -> file systems are unmounted, reboot(2)
 *
 * Requests arrive as datagrams on /run/init.sock from root ("reboot", "halt",
 * "poweroff"; with "now " in front the services are not stopped), or as
 * signals: SIGINT (Ctrl-Alt-Del) reboots, SIGPWR and SIGUSR2 power off,
 * SIGUSR1 halts.
 *
 * It links statically and uses nothing of src/base: 20 KiB of memory of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/swap.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "smf/init.h"

#define VOLATILE "/etc/svc/volatile"
#define SERVICES_MS (10 * 60 * 1000) /* the stop methods' own limits end it long before */
#define TERM_MS 5000
#define KILL_MS 5000
#define LAST_MS 30000
#define QUICK_MS 1000 /* a daemon that lived shorter is started again after a second */
#define QUICK_DEATHS 10 /* after so many in a row the console gets a shell */

enum stage { RUNNING, SERVICES, TERM, KILL, DONE };

static struct daemon {
	const char *path, *log;
	pid_t pid;
	bool link;       /* gets the socket to us */
	bool ends;       /* exit 0 while the services stop means: done */
	uint64_t since;
	uint64_t again;  /* when to start it, 0: not waiting */
	int quick;
} daemons[] = {
	{.path = "/lib/svc/bin/svc.configd", .log = VOLATILE "/svc.configd.log"},
	{.path = "/lib/svc/bin/svc.startd", .log = VOLATILE "/svc.startd.log", .link = true, .ends = true},
};

#define N_DAEMONS (sizeof(daemons) / sizeof(daemons[0]))

static enum stage stage;
static uint64_t stage_deadline;
static int goal = RB_AUTOBOOT;
static int link_fds[2] = {-1, -1}; /* ours, startd's */
static pid_t shell_pid;

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = n < (int)sizeof(text) - 2 ? n : (int)sizeof(text) - 2;
	text[n++] = '\n';
	if (write(fd >= 0 ? fd : 2, text, (size_t)n) < 0)
		return; /* there is nobody to tell */
	if (fd >= 0)
		close(fd);
}

/* The file systems nothing can run without; stage 1 may have mounted them. */
static void
mount_basics(void)
{
	static const struct {
		const char *type, *dir, *options;
		unsigned long flags;
	} basics[] = {
		{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
		{"devpts", "/dev/pts", "mode=0620,gid=5,ptmxmode=0666", MS_NOSUID | MS_NOEXEC},
		{"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
		{"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
		{"cgroup2", "/sys/fs/cgroup", "nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	};

	for (size_t i = 0; i < sizeof(basics) / sizeof(basics[0]); i++) {
		char parent[64];
		struct stat a, b;

		mkdir(basics[i].dir, 0755); /* it may be there, or its parent be read-only */
		snprintf(parent, sizeof(parent), "%s/..", basics[i].dir);
		if (stat(basics[i].dir, &a) == 0 && stat(parent, &b) == 0 && a.st_dev != b.st_dev)
			continue; /* mounted already */
		if (mount(basics[i].type, basics[i].dir, basics[i].type, basics[i].flags,
			  basics[i].options) < 0)
			say("init: mounting %s: %s", basics[i].dir, strerror(errno));
	}
}

static void
make_dirs(void)
{
	static const char *const dirs[] = {"/etc/svc", VOLATILE, "/run/svc"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (mkdir(dirs[i], 0755) < 0 && errno != EEXIST)
			say("init: %s: %s", dirs[i], strerror(errno));
	}
}

static void
exec_daemon(struct daemon *d)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = {path, NULL, NULL};
	char link_env[32];
	int fd;

	fd = open(d->log, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0644);
	if (fd < 0)
		fd = open("/dev/console", O_WRONLY | O_NOCTTY);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
	}
	fd = open("/dev/null", O_RDONLY);
	if (fd > 0) {
		dup2(fd, 0);
		close(fd);
	}
	if (d->link) {
		int mine = dup(link_fds[1]); /* without close-on-exec */

		snprintf(link_env, sizeof(link_env), INIT_FD_ENV "=%d", mine);
		env[1] = link_env;
	}
	setsid();
	execve(d->path, (char *const[]){(char *)(uintptr_t)d->path, NULL}, env);
	say("init: %s: %s", d->path, strerror(errno));
	_exit(127);
}

static pid_t
fork_clean(void)
{
	pid_t pid = fork();
	sigset_t none;

	if (pid == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
	}
	return pid;
}

static void
start_daemon(struct daemon *d)
{
	struct init_msg m = {.type = INIT_SHUTDOWN};

	d->again = 0;
	d->since = now_ms();
	d->pid = fork_clean();
	if (d->pid == 0)
		exec_daemon(d);
	if (d->pid < 0) {
		d->pid = 0;
		d->again = d->since + 1000;
		return;
	}
	if (d->link && stage == SERVICES)
		send(link_fds[0], &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* svc.startd does not stay up: somebody must be able to look. */
static void
rescue_shell(void)
{
	int fd;

	if (shell_pid > 0)
		return;
	say("init: the services cannot be started (see %s/svc.startd.log); a shell for repair:", VOLATILE);
	shell_pid = fork_clean();
	if (shell_pid != 0)
		return;
	setsid();
	fd = open("/dev/console", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	execl("/sbin/sulogin", "sulogin", (char *)NULL);
	execl("/bin/sh", "-sh", (char *)NULL);
	_exit(127);
}

static void set_stage(enum stage s);

static void
daemon_ended(struct daemon *d, int code, int status)
{
	uint64_t now = now_ms();

	d->pid = 0;
	if (stage >= TERM)
		return;
	if (stage == SERVICES && d->ends && code == CLD_EXITED && status == 0) {
		set_stage(TERM);
		return;
	}
	d->quick = now - d->since < QUICK_MS ? d->quick + 1 : 0;
	say("init: %s %s %d; starting it again", d->path,
	    code == CLD_EXITED ? "exited with status" : "was killed by signal", status);
	if (d->quick == QUICK_DEATHS)
		rescue_shell();
	if (d->quick > 2)
		d->again = now + 1000;
	else
		start_daemon(d);
}

static void
read_cgroup(pid_t pid, char *buf, size_t size)
{
	char path[64], text[1024];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "0::/");
	at = at ? at + 4 : "";
	snprintf(buf, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static void
reap(void)
{
	siginfo_t si;

	for (;;) {
		struct daemon *d = NULL;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		for (size_t i = 0; i < N_DAEMONS; i++) {
			if (daemons[i].pid == si.si_pid)
				d = &daemons[i];
		}
		if (!d && si.si_pid != shell_pid) {
			struct init_msg m = {INIT_REAPED, si.si_pid, si.si_code, si.si_status, ""};

			read_cgroup(si.si_pid, m.cgroup, sizeof(m.cgroup));
			/* Full: startd treats the method as lost and runs it again. */
			send(link_fds[0], &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		if (si.si_pid == shell_pid)
			shell_pid = 0;
		if (d)
			daemon_ended(d, si.si_code, si.si_status);
	}
}

/* Going down. */

/* Is there a process besides us and the kernel's? */
static bool
anybody_left(void)
{
	struct dirent *de;
	bool found = false;
	DIR *d = opendir("/proc");

	while (d && !found && (de = readdir(d)) != NULL) {
		char path[288], text[512], *p;
		unsigned long flags = 0;
		ssize_t n;
		int fd;

		if (de->d_name[0] < '1' || de->d_name[0] > '9' || strcmp(de->d_name, "1") == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", de->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		p = strrchr(text, ')');
		if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1)
			continue;
		found = !(flags & 0x200000) && p[2] != 'Z'; /* PF_KTHREAD */
	}
	if (d)
		closedir(d);
	return found;
}

static void
set_stage(enum stage s)
{
	static const unsigned limits[] = {[SERVICES] = SERVICES_MS, [TERM] = TERM_MS, [KILL] = KILL_MS};
	struct init_msg m = {.type = INIT_SHUTDOWN};

	stage = s;
	if (s < DONE)
		stage_deadline = now_ms() + limits[s];
	if (s == SERVICES) {
		say("The system is coming down.  Please wait.");
		send(link_fds[0], &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	} else if (s == TERM || s == KILL) {
		kill(-1, s == TERM ? SIGTERM : SIGKILL);
		kill(-1, SIGCONT);
	}
}

/* Looks whether a stage is over; called after every event. */
static void
advance(void)
{
	if ((stage == TERM || stage == KILL) && !anybody_left())
		stage = DONE;
	if (stage == RUNNING || stage == DONE || now_ms() < stage_deadline)
		return;
	if (stage == SERVICES)
		say("init: services did not stop within %d minutes", SERVICES_MS / 60000);
	set_stage(stage + 1);
}

static void
request(int how, bool now)
{
	goal = how;
	if (now && stage < TERM)
		set_stage(TERM);
	else if (stage == RUNNING)
		set_stage(SERVICES);
}


static char *
read_all(const char *path)
{
	size_t cap = 64 * 1024, len = 0;
	char *text = malloc(cap);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (text && fd >= 0 && (n = read(fd, text + len, cap - len - 1)) > 0) {
		len += (size_t)n;
		if (len + 1 == cap) {
			char *more = realloc(text, cap *= 2);

			if (!more)
				break;
			text = more;
		}
	}
	if (fd >= 0)
		close(fd);
	if (text)
		text[len] = '\0';
	return text;
}

static void
unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool
kept(const char *dir)
{
	static const char *const keep[] = {"/proc", "/sys", "/dev", "/run"};

	if (strcmp(dir, "/") == 0)
		return true;
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		size_t n = strlen(keep[i]);

		if (strncmp(dir, keep[i], n) == 0 && (dir[n] == '/' || dir[n] == '\0'))
			return true;
	}
	return false;
}

/* The last mounted first; those of the kernel stay.  What is busy is detached. */
static void
unmount_all(void)
{
	char *text = read_all("/proc/self/mountinfo"), *line, *save;
	char *dirs[4096];
	size_t n = 0;

	if (!text)
		return;
	for (line = strtok_r(text, "\n", &save); line && n < 4096; line = strtok_r(NULL, "\n", &save)) {
		char *field = line, *end;

		for (int i = 0; i < 4 && field; i++) {
			field = strchr(field, ' ');
			field = field ? field + 1 : NULL;
		}
		end = field ? strchr(field, ' ') : NULL;
		if (!end)
			continue;
		*end = '\0';
		unescape(field);
		if (!kept(field))
			dirs[n++] = field;
	}
	while (n-- > 0) {
		if (umount2(dirs[n], 0) < 0 && errno != EINVAL &&
		    umount2(dirs[n], MNT_DETACH) < 0)
			say("init: unmounting %s: %s", dirs[n], strerror(errno));
	}
	free(text);
}

static void
swap_off(void)
{
	char *text = read_all("/proc/swaps"), *line, *save;

	line = text ? strtok_r(text, "\n", &save) : NULL; /* the heading */
	while (line && (line = strtok_r(NULL, "\n", &save)) != NULL) {
		line[strcspn(line, " \t")] = '\0';
		unescape(line);
		if (swapoff(line) < 0)
			say("init: swapoff %s: %s", line, strerror(errno));
	}
	free(text);
}

/*
 * The last program: everything else is dead and unmounted, so that pools which
 * a log file of the way down kept busy can be exported now.
 */
static void
run_last(void)
{
	static const char *const argv[] = {"/lib/svc/method/fs-smartdc", "final", NULL};
	struct timespec left = {.tv_sec = LAST_MS / 1000};
	sigset_t child;
	pid_t pid;

	if (access(argv[0], X_OK) < 0)
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pid = fork();
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	/* Each child that ends wakes this; the limit is started anew by others at most a few times. */
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0)
		if (sigtimedwait(&child, NULL, &left) < 0 && errno == EAGAIN) {
			say("init: %s %s takes too long", argv[0], argv[1]);
			kill(pid, SIGKILL);
			break;
		}
}

static void
finish(void)
{
	say("syncing file systems...");
	sync();
	swap_off();
	unmount_all();
	run_last();
	sync();
	say("%s", goal == RB_AUTOBOOT ? "rebooting..." : goal == (int)RB_HALT_SYSTEM ? "halted." : "powering off...");
	reboot(goal);
	/* In a container without the right the end of PID 1 is the end. */
	say("init: reboot: %s", strerror(errno));
	exit(goal == RB_AUTOBOOT ? 6 : 0);
}

/* Requests. */

static int
open_socket(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = INIT_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	unlink(INIT_SOCKET);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(INIT_SOCKET, 0600) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		say("init: %s: %s", INIT_SOCKET, strerror(errno));
	return fd;
}

static const struct {
	const char *word;
	int how, signo;
} requests[] = {
	{"reboot", RB_AUTOBOOT, SIGINT},
	{"halt", RB_HALT_SYSTEM, SIGUSR1},
	{"poweroff", RB_POWER_OFF, SIGUSR2},
	{"poweroff", RB_POWER_OFF, SIGPWR},
};

#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void
receive(int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char text[64];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	for (;;) {
		const char *word = text;
		struct ucred cred = {.uid = (uid_t)-1};
		bool now = false;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		text[n] = '\0';
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
				memcpy(&cred, CMSG_DATA(c), sizeof(cred));
		}
		if (cred.uid != 0)
			continue;
		if (strncmp(word, "now ", 4) == 0) {
			now = true;
			word += 4;
		}
		for (size_t i = 0; i < N_REQUESTS; i++) {
			if (strcmp(word, requests[i].word) == 0) {
				request(requests[i].how, now);
				break;
			}
		}
	}
}

static void
on_signals(int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == sizeof(si)) {
		for (size_t i = 0; i < N_REQUESTS; i++) {
			if (si.ssi_signo == (uint32_t)requests[i].signo)
				request(requests[i].how, false);
		}
	}
	reap();
}

/* How long poll may wait. */
static int
patience(void)
{
	uint64_t now = now_ms(), next = stage == RUNNING ? UINT64_MAX : stage_deadline;

	for (size_t i = 0; i < N_DAEMONS; i++) {
		if (daemons[i].again && daemons[i].again < next)
			next = daemons[i].again;
	}
	if (next == UINT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static void
run(void)
{
	struct pollfd fds[2];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del then is a SIGINT to us */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link_fds) < 0)
		say("init: socketpair: %s", strerror(errno));
	fds[0] = (struct pollfd){signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0};
	fds[1] = (struct pollfd){open_socket(), POLLIN, 0};
	for (size_t i = 0; i < N_DAEMONS; i++)
		start_daemon(&daemons[i]);
	while (stage != DONE) {
		poll(fds, 2, patience());
		on_signals(fds[0].fd);
		receive(fds[1].fd);
		for (size_t i = 0; i < N_DAEMONS; i++) {
			if (daemons[i].again && daemons[i].again <= now_ms() && stage < TERM)
				start_daemon(&daemons[i]);
			else if (stage >= TERM)
				daemons[i].again = 0;
		}
		advance();
	}
}

/* `init 6` of a shell: the message that reboot(8) sends. */
static int
telinit(int argc, char **argv)
{
	static const struct {
		const char *level, *word;
	} levels[] = {{"0", "halt"}, {"5", "poweroff"}, {"6", "reboot"}};
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = INIT_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool asked;

	for (size_t i = 0; argc == 2 && i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(argv[1], levels[i].level) != 0)
			continue;
		if (fd < 0 || sendto(fd, levels[i].word, strlen(levels[i].word), 0,
				     (struct sockaddr *)&sa, sizeof(sa)) < 0) {
			fprintf(stderr, "init: %s: %s\n", INIT_SOCKET, strerror(errno));
			return 1;
		}
		return 0;
	}
	asked = argc == 2 && strcmp(argv[1], "--help") == 0;
	fputs("usage: init 0|5|6\n"
	      "  0 halt, 5 power off, 6 reboot; other levels: svcadm milestone\n",
	      asked ? stdout : stderr);
	return asked ? 0 : 2;
}

int
main(int argc, char **argv)
{
	if (getpid() != 1)
		return telinit(argc, argv);
	umask(022);
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	mount_basics();
	make_dirs();
	run();
	finish();
	return 1;
}
