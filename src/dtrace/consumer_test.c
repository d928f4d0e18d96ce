/*
 * A consumer for a zone, as the broker forks it, on a zone made of what makes one: a user
 * namespace, a pid namespace in it, a cgroup.  Needs root.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "dtrace/consumer.h"
#include "dtrace/request.h"
#include "os/cgroup.h"
#include "os/ns.h"
#include "os/pidfd.h"

#define UID_BASE 700000u
#define BOTH (PRIV_DTRACE_USER | PRIV_DTRACE_PROC)

struct test_zone {
	char *cgroup;
	int cgroup_fd, pidfd;
	pid_t pid; /* its init: starts a program again and again */
	struct confine confine;
};

static void
be_init(int go)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go, &c, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		_exit(1);
	execl("/bin/sh", "sh", "-c", "while :; do /bin/cat /dev/null; done", (char *)NULL);
	_exit(1);
}

static void
zone_make(struct test_zone *p)
{
	struct error err = ERROR_INIT;
	cleanup_free char *user = NULL;
	struct stat st;
	int go[2];

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	*p = (struct test_zone){.cgroup = str_printf("zones/dtconsumer%d", (int)getpid())};
	if (cgroup_create(p->cgroup, &p->cgroup_fd, &err) < 0)
		test_skip("needs cgroups: %s", error_message(&err));
	check_int(pipe2(go, O_CLOEXEC), ==, 0);
	p->pid = cgroup_fork(p->cgroup_fd, CLONE_NEWUSER | CLONE_NEWPID, &p->pidfd, &err);
	if (p->pid == 0)
		be_init(go[0]);
	require(p->pid > 0);
	check_ok(ns_map_ids(p->pid, UID_BASE, 65536, &err), &err);
	check_int(write(go[1], "x", 1), ==, 1);
	close(go[0]);
	close(go[1]);
	user = str_printf("/proc/%d/ns/user", (int)p->pid);
	check_int(stat(user, &st), ==, 0);
	p->confine = (struct confine){.zone = (char *)(uintptr_t)"web", .privs = BOTH,
				      .cgroup = cgroup_id(p->cgroup_fd),
				      .user_ns = (uint32_t)st.st_ino, .uid_base = UID_BASE};
	check_ok(ns_open(p->pid, "pid", &p->confine.pid_ns, &err), &err);
}

static void
zone_done(struct test_zone *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->pidfd);
	close(p->confine.pid_ns);
	close(p->cgroup_fd);
	cgroup_remove(p->cgroup, NULL);
	free(p->cgroup);
}

static pid_t
start(const struct test_zone *p, int ends[2])
{
	cleanup_free char *lib = xstrdup(test_data("src/dtrace/lib"));
	struct confine z = p->confine;
	pid_t pid;

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	/* As the broker leaves it; and little room, so that output has to wait. */
	setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_usec = 1000},
		   sizeof(struct timeval));
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int){REQUEST_FRAME}, sizeof(int));
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		z.library = lib;
		_exit(consumer_run(ends[1], &z, true));
	}
	close(ends[1]);
	return pid;
}

static void
ask(int sock, const char *const *args)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	request_add(&b, REQUEST_ARG, "dtrace");
	for (; *args; args++)
		request_add(&b, REQUEST_ARG, *args);
	request_add(&b, REQUEST_FILE, "a.d");
	request_add(&b, REQUEST_TEXT, "BEGIN { printf(\"from a file\"); exit(3); }");
	request_add(&b, REQUEST_ID, "pid=42");
	check_int(send(sock, b.data, b.len, 0), ==, (long long)b.len);
}

/* All that is said until the end, deeds as "<S:date>"; the caller's.  *ret: exit status, -1: none. */
static char *
listen_to(int sock, int *ret)
{
	struct strbuf b = STRBUF_INIT;
	char packet[REQUEST_FRAME + 64];
	ssize_t n;

	*ret = -1;
	while ((n = recv(sock, packet, sizeof(packet) - 1, 0)) > 0) {
		packet[n] = '\0';
		if (packet[0] == DEED_EXIT)
			*ret = packet[1];
		else if (packet[0] == DEED_OUT || packet[0] == DEED_ERR)
			strbuf_adds(&b, packet + 1);
		else
			strbuf_addf(&b, "<%c:%s>", packet[0], packet + 1);
	}
	return strbuf_steal(&b);
}

static char *
run(const struct test_zone *p, const char *const *args, int *ret)
{
	int ends[2];
	pid_t pid = start(p, ends);
	char *said;

	ask(ends[0], args);
	said = listen_to(ends[0], ret);
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return said;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(what_a_zone_sees)
{
	static const struct {
		const char *args[8];
		int status;
		const char *says;
	} rows[] = {
		{{"-qn", "syscall::execve:entry { printf(\"%d %d %s %d %s %s\", pid > 1, ppid, execname, uid, zonename, curpsinfo->pr_psargs); exit(0); }"},
		 0, "1 1 sh 0 web sh -c while"},
		{{"-qn", "proc:::exec-success { printf(\"%s %d %d\", execname, curpsinfo->pr_pid == pid, curpsinfo->pr_uid); exit(0); }"},
		 0, "cat 1 0"},
		{{"-qn", "proc:::create { printf(\"%d\", args[0]->pr_pid > 1 && args[0]->pr_pid < 1000000); exit(0); }"},
		 0, "1"},
		{{"-qn", "proc:::exit /execname == \"cat\"/ { printf(\"gone %d\", pid > 1); exit(0); }"}, 0, "gone 1"},
		{{"-qs", "a.d"}, 3, "from a file"},
		{{"-qs", "b.d"}, 1, "b.d was not sent"},
		{{"-qn", "BEGIN { printf(\"%d %d %s|%d\", $pid, pid, execname, uid); exit(0); }"}, 0, "42 0 |0"},
		{{"-qn", "tick-10ms { printf(\"%d|%s|%s|%d\", pid, execname, curpsinfo->pr_psargs, curpsinfo->pr_pid); exit(0); }"},
		 0, "0|||0"},
		{{"-qn", "BEGIN { trace(*(int *)0xffffffff81000000); } ERROR { exit(4); }"}, 4, ""},
		{{"-qn", "BEGIN { trace(copyinstr(0x400000)); } tick-1s { exit(0); }"}, 0, "invalid user access (0x400000)"},
		{{"-qn", "syscall::execve:entry { trace(*(int *)(arg0 | 0xffff800000000000)); } tick-1s { exit(0); }"},
		 0, "invalid kernel access"},
		{{"-qn", "syscall::execve:entry { printf(\"%s\", stringof(copyin(arg0, 9))); exit(0); }"}, 0, "/bin/cat"},
		{{"-n", "BEGIN { trace(`jiffies); }"}, 1, "DTrace requires additional privileges"},
		{{"-n", "fbt:::entry"}, 1, "does not match any probes"},
		{{"-z", "all", "-n", "BEGIN"}, 1, "-z works in the global zone alone"},
		{{"-a", "-n", "BEGIN"}, 1, "-a works in the global zone alone"},
		{{"-xlibdir=/etc", "-n", "BEGIN"}, 1, "option 'libdir' cannot be set in a zone"},
		{{"-p", "4194303", "-n", "BEGIN"}, 1, "failed to grab process 4194303: No such process"},
		{{"-n", "pid4194303:::entry"}, 1, "no process has the id 4194303"},
		{{"-wqn", "BEGIN { system(\"date %d\", 5); freopen(\"/x\"); exit(0); }"}, 0, "<S:date 5><R:/x>"},
		{{"-o", "/tmp/o", "-qn", "BEGIN { printf(\"in it\"); exit(0); }"}, 0, "<F:/tmp/o>in it"},
		{{"-lP", "profile"}, 0, "tick-1000"},
		{{"-lP", "syscall"}, 0, "writev"},
	};
	struct test_zone p;

	zone_make(&p);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status;
		cleanup_free char *said = run(&p, rows[i].args, &status);

		if (status != rows[i].status || !strstr(said, rows[i].says))
			test_fail(__FILE__, __LINE__, "%s %s: %d \"%s\"", rows[i].args[0],
				  rows[i].args[1], status, said);
	}
	zone_done(&p);
}

/* What happens outside is not seen: neither ours nor another zone's. */
TEST(what_a_zone_does_not_see)
{
	struct test_zone p, other;
	cleanup_free char *said = NULL, *grab = NULL;
	int status;

	zone_make(&p);
	other = p;
	other.cgroup = str_printf("zones/dtother%d", (int)getpid());
	check_int(cgroup_create(other.cgroup, &other.cgroup_fd, NULL), ==, 0);
	/* A process in the right cgroup whose memory is the node's: as zlogin's before it executes. */
	other.confine.user_ns = 1;
	said = run(&other, ARGS("-qn", "syscall:::entry { @[execname] = count(); } tick-1s { exit(0); }"),
		   &status);
	check_str(said, "\n");
	check_int(status, ==, 0);
	other.confine.user_ns = p.confine.user_ns;
	other.confine.cgroup = cgroup_id(other.cgroup_fd);
	free(said);
	said = run(&other, ARGS("-qn", "syscall:::entry { @[execname] = count(); } tick-1s { exit(0); }"),
		   &status);
	check_str(said, "\n");
	/* Its number is one of the zone's, its owner is not. */
	other.confine.uid_base = 1;
	grab = run(&other, ARGS("-p", "1", "-n", "BEGIN"), &status);
	check_has(grab, "failed to grab process 1: No such process");
	cgroup_remove(other.cgroup, NULL);
	free(other.cgroup);
	close(other.cgroup_fd);
	zone_done(&p);
}

/* The end of the connection ends the consumer, wherever it is; a packet is SIGINT. */
TEST(it_ends)
{
	struct test_zone p;
	int ends[2], status;
	pid_t pid;

	zone_make(&p);
	for (int i = 0; i < 3; i++) {
		char byte[256];

		pid = start(&p, ends);
		if (i)
			ask(ends[0], ARGS("-n", "BEGIN { trace(1); } tick-1s { }"));
		if (i == 2) /* it traces */
			check_int(recv(ends[0], byte, sizeof(byte), 0), >, 0);
		close(ends[0]);
		check_int(waitpid(pid, &status, 0), ==, pid);
		check(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	}
	pid = start(&p, ends);
	ask(ends[0], ARGS("-qn", "BEGIN { printf(\"begun\"); } END { printf(\" ended\"); }"));
	{
		char text[64] = "";
		cleanup_free char *said = NULL;

		check_int(recv(ends[0], text, sizeof(text) - 1, 0), >, 0);
		check_str(text, "Obegun");
		check_int(send(ends[0], "i", 1, 0), ==, 1);
		said = listen_to(ends[0], &status);
		check_has(said, "ended");
		check_int(status, ==, 0);
	}
	close(ends[0]);
	waitpid(pid, NULL, 0);
	zone_done(&p);
}
