/*
 * zoneadmd: two small processes for each zone that is up.
 *
 * The daemon proper listens on /run/zones/NAME/zoneadmd.sock, builds the zone,
 * moves its state, serves its console and takes it down.  It may be killed at
 * any time: the zone does not notice, and a new daemon goes on where the old one
 * was.  For that, nothing that the zone's life hangs on is the daemon's alone:
 *
 *  - The keeper (comm "zsched", after the process that illumos has in every
 *    zone) is the daemon's parent.  It holds the console's terminal, restarts
 *    the daemon when it dies, and is the parent of the zone's init, which the
 *    daemon makes with CLONE_PARENT: so the exit status, which says whether the
 *    zone called reboot() or halt(), is never lost.  It passes exits on through
 *    a socket pair whose both ends it holds, so that they wait for the daemon.
 *  - State, id, init's pid with its pidfd inode, and where a stop is heading are
 *    in /run/zones/NAME/state; the configuration in /etc/zones.
 *  - The processes are in the cgroup zones/NAME, and being empty is an event.
 *  - VNICs are recorded by src/net and found by the zone's name.
 *
 * If the keeper is killed, the daemon notices, forks a new daemon and becomes
 * the keeper itself; only init's exit status is lost then (its parent is PID 1
 * from that moment) and an end of init counts as halt.  If both are killed at
 * once the next zoneadm(8) starts them anew; what was on the console is lost.
 *
 * Both end when the zone is installed again and nobody is connected.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "os/pty.h"
#include "zone/zoneadmd/zoneadmd.h"

/* A daemon that keeps dying is started at longer and longer intervals, 10 s at most. */
static void
back_off(unsigned failures)
{
	unsigned ms = failures < 3 ? 0 : failures > 10 ? 10000 : 10u << failures;

	poll(NULL, 0, (int)ms);
}

static int
keeper_loop(const char *name, struct keeper_fds *k)
{
	unsigned failures = 0;

	for (;;) {
		uint64_t born = time_mono_ms();
		pid_t daemon_pid;
		int r;

		prctl(PR_SET_NAME, "zsched");
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		daemon_pid = fork();
		if (daemon_pid < 0) {
			back_off(++failures);
			continue;
		}
		if (daemon_pid == 0) {
			prctl(PR_SET_NAME, "zoneadmd");
			prctl(PR_SET_CHILD_SUBREAPER, 0);
			r = daemon_run(name, k);
			if (r != DAEMON_KEEPER_LOST)
				_exit(r);
			log_warn("the keeper was killed: taking its place");
			continue;
		}
		if (k->ready >= 0) {
			close(k->ready);
			k->ready = -1;
		}
		for (;;) {
			struct keeper_exit e;
			int status;
			pid_t pid = waitpid(-1, &status, 0);

			if (pid < 0)
				continue;
			if (pid == daemon_pid) {
				if (WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_DONE)
					return 0;
				if (WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_FAILED)
					return 1;
				log_warn("zoneadmd died (%s %d): starting it again",
					 WIFSIGNALED(status) ? "signal" : "status",
					 WIFSIGNALED(status) ? WTERMSIG(status) :
							       WEXITSTATUS(status));
				break;
			}
			e = (struct keeper_exit){.pid = pid, .status = status};
			/* a full socket means that nobody has listened for hundreds of exits */
			if (send(k->exits[0], &e, sizeof(e), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				log_warn("exit of process %d not delivered", (int)pid);
		}
		failures = time_mono_ms() - born > 10000 ? 0 : failures + 1;
		back_off(failures);
	}
}

/* So that neither the end of a login session nor of an SMF service takes us along. */
static void
leave_session_cgroup(void)
{
	struct error err = ERROR_INIT;
	cleanup_close int fd = -1;

	if (cgroup_create("zoneadmd", &fd, &err) < 0 ||
	    cgroup_write(fd, &err, "cgroup.procs", "0") < 0)
		log_warn("%s", error_message(&err));
	error_done(&err);
}

/* 0: ours; 1: another daemon of this zone answers already. */
static int
take_lock(const char *name, int *ret_fd, struct error *err)
{
	cleanup_free char *dir = zone_path_run(name, NULL);
	cleanup_free char *path = zone_path_run(name, "zoneadmd.lock");
	cleanup_free char *sock = zone_path_run(name, "zoneadmd.sock");
	uint64_t end = time_mono_ms() + 10000;
	int r;

	r = file_mkdir_p(dir, 0755, err);
	if (r < 0)
		return r;
	for (;;) {
		cleanup_close int fd = -1;

		r = file_lock(path, false, ret_fd, err);
		if (r != -EWOULDBLOCK)
			return r;
		if (ipc_connect(sock, &fd, NULL) == 0)
			return 1;
		/* starting, or just going: it has no descriptor to wait on */
		if (time_mono_ms() > end)
			return error_set(err, EBUSY, "the zoneadmd of %s does not answer", name);
		poll(NULL, 0, 5);
	}
}

static int
open_log(const char *name)
{
	cleanup_free char *dir = str_printf("%s/var/log/zones", zone_root());
	cleanup_free char *path = str_printf("%s/%s.log", dir, name);
	cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_close int fd = -1;

	if (file_mkdir_p(dir, 0755, NULL) == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (null < 0 || dup2(null, 0) < 0 || dup2(fd >= 0 ? fd : null, 1) < 0 ||
	    dup2(fd >= 0 ? fd : null, 2) < 0)
		return -errno;
	return 0;
}

static int
start(const char *name, int ready)
{
	cleanup_error struct error err = ERROR_INIT;
	struct keeper_fds k = {.lock = -1, .master = -1, .slave = -1, .ready = ready};
	int r;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = take_lock(name, &k.lock, &err);
	if (r > 0) {
		/* it was started twice at once: the other one serves */
		return write(ready, "", 1) == 1 ? 0 : 1;
	}
	if (r == 0)
		r = pty_open(&k.master, &k.slave, &err);
	if (r < 0)
		return cli_error(&err);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k.exits) < 0)
		return cli_fail("socketpair: %s", strerror(errno));
	log_init(name);
	leave_session_cgroup();
	r = open_log(name);
	if (r < 0)
		return cli_fail("log: %s", strerror(-r));
	return keeper_loop(name, &k);
}

int
main(int argc, char **argv)
{
	const char *name = NULL, *root = NULL;
	bool help = false;
	const struct cli_opt opts[] = {
		{'z', NULL, CLI_STR, &name, "ZONE", "the zone to look after"},
		{'R', NULL, CLI_STR, &root, "DIR", "where /etc/zones and /run/zones are"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	int first, ready[2], status = 1;
	char c;
	pid_t pid;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || help || !name ||
	    first != argc) {
		if (err.message)
			cli_error(&err);
		return cli_usage_text(help, "zoneadmd -z ZONE [-R DIR]");
	}
	if (zone_name_check(name, &err) < 0)
		return cli_error(&err);
	zone_set_root(root);
	umask(022);
	close_range(3, ~0U, 0);
	if (chdir("/") < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return cli_fail("%s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return cli_fail("fork: %s", strerror(errno));
	if (pid == 0) {
		close(ready[0]);
		_exit(start(name, ready[1]));
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1)
		return 0;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
