/*
 * A consumer for a zone, as the broker forks it, on a zone made of what makes one: a user
 * namespace, a pid namespace in it, a cgroup.  In it root works, and a user, and some that share
 * parts of what the user is.  Needs root.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "dtrace/consumer.h"
#include "dtrace/request.h"
#include "dtrace/unwinder.h"
#include "os/cgroup.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/procmap.h"

#define UID_BASE 700000u
#define BOTH (PRIV_DTRACE_USER | PRIV_DTRACE_PROC)

struct test_zone {
	char *cgroup;
	int cgroup_fd, pidfd;
	pid_t pid; /* its init: starts a program again and again */
	struct confine confine;
};

#define USER_ID 1000

/* A process that runs `program` again and again, with ids of base + uid, base + gid. */
static pid_t
start_user(uid_t uid, gid_t gid, bool capable, const char *program)
{
	cleanup_free char *loop = str_printf("while :; do %s >/dev/null; done", program);
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_KEEPCAPS, capable, 0, 0, 0);
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(1);
	if (capable) { /* to be kept over exec: inheritable, then ambient */
		struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct data[2] = {{.effective = 1, .permitted = 1, .inheritable = 1}};

		if (syscall(SYS_capset, &head, data) < 0 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0)
			_exit(1);
	}
	execl("/bin/sh", "sh", "-c", loop, (char *)NULL);
	_exit(1);
}

#define N_USERS 4

/* The user, and who shares a part of what he is. */
static void
start_users(pid_t *pids)
{
	pids[0] = start_user(USER_ID, USER_ID, false, "/bin/ls /dev/null");
	pids[1] = start_user(USER_ID + 1, USER_ID, false, "/bin/date");
	pids[2] = start_user(USER_ID, 5, false, "/bin/uname");
	pids[3] = start_user(USER_ID, USER_ID, true, "/bin/id");
}

static void
be_init(int go, bool users, const char *program)
{
	cleanup_free char *loop = str_printf("while :; do %s; done", program);
	pid_t pids[N_USERS];
	char c;

	if (read(go, &c, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of ids takes it back */
	if (users)
		start_users(pids);
	execl("/bin/sh", "sh", "-c", loop, (char *)NULL);
	_exit(1);
}

static void
zone_make(struct test_zone *p, bool users, const char *program)
{
	struct error err = ERROR_INIT;
	cleanup_free char *user = NULL;
	struct stat st;
	int go[2];

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	if (!ns_pids_are_first())
		test_skip("needs the first namespace of process ids");
	*p = (struct test_zone){.cgroup = str_printf("zones/dtconsumer%d", (int)getpid())};
	if (cgroup_create(p->cgroup, &p->cgroup_fd, &err) < 0)
		test_skip("needs cgroups: %s", error_message(&err));
	check_int(pipe2(go, O_CLOEXEC), ==, 0);
	p->pid = cgroup_fork(p->cgroup_fd, CLONE_NEWUSER | CLONE_NEWPID, &p->pidfd, &err);
	if (p->pid == 0)
		be_init(go[0], users, program);
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
	p->confine.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void
zone_done(struct test_zone *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->pidfd);
	close(p->confine.pid_ns);
	close(p->confine.root);
	close(p->cgroup_fd);
	cgroup_remove(p->cgroup, NULL);
	free(p->cgroup);
}

/* The D library where any user may read it, as it is on a node; a checkout may lie below /root. */
static const char *
open_library(void)
{
	cleanup_free char *from = xstrdup(test_data("src/dtrace/lib"));
	const struct dirent *d;
	static char to[4096];
	DIR *dir;

	snprintf(to, sizeof(to), "%s/lib", test_tmpdir());
	chmod(test_tmpdir(), 0755);
	require(file_mkdir_p(to, 0755, NULL) == 0);
	dir = opendir(from);
	require(dir != NULL);
	while ((d = readdir(dir))) {
		cleanup_free char *old = str_printf("%s/%s", from, d->d_name);
		cleanup_free char *new = str_printf("%s/%s", to, d->d_name), *text = NULL;
		size_t len;

		if (!str_ends(d->d_name, ".d"))
			continue;
		require(file_read(old, 0, &text, &len, NULL) == 0);
		require(file_write_atomic(new, text, len, 0644, NULL) == 0);
	}
	closedir(dir);
	return to;
}

static pid_t
start(const struct test_zone *p, int ends[2])
{
	const char *lib = open_library();
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
		_exit(consumer_run(ends[1], &z, lib, true));
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
	/* who is refused is so before he was heard */
	check(send(sock, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len || errno == EPIPE);
}

/* All that is said until the end, deeds as "<S:date>"; the caller's.  *ret: exit status, -1: none. */
static char *
listen_to(int sock, int *ret)
{
	struct strbuf b = STRBUF_INIT;
	char packet[REQUEST_FRAME + 64];
	int resets = 0;
	ssize_t n;

	*ret = -1;
	while ((n = recv(sock, packet, sizeof(packet) - 1, 0)) > 0 ||
	       (n < 0 && errno == ECONNRESET && !resets++)) {
		if (n < 0)
			continue;
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

/* What waits for something to happen has its end, should it never. */
#define OR_NEVER " tick-60s { exit(7); }"

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
		{{"-qn", "syscall::execve:entry { n++; trace(*(int *)(arg0 | 0xffff800000000000)); } tick-1s /n/ { exit(0); }" OR_NEVER},
		 0, "invalid kernel access"},
		{{"-qn", "syscall::execve:entry { printf(\"%s\", stringof(copyin(arg0, 9))); exit(0); }"}, 0, "/bin/cat"},
		{{"-n", "BEGIN { trace(`jiffies); }"}, 1, "DTrace requires additional privileges"},
		{{"-n", "fbt:::entry"}, 1, "does not match any probes"},
		{{"-z", "all", "-n", "BEGIN"}, 1, "-z is for root of the global zone"},
		{{"-a", "-n", "BEGIN"}, 1, "-a is for root of the global zone"},
		{{"-xlibdir=/etc", "-n", "BEGIN"}, 1, "option 'libdir' cannot be set in a zone"},
		{{"-p", "4194303", "-n", "BEGIN"}, 1, "failed to grab process 4194303: No such process"},
		{{"-n", "pid4194303:::entry"}, 1, "no process has the id 4194303"},
		{{"-wqn", "BEGIN { system(\"date %d\", 5); freopen(\"/x\"); exit(0); }"}, 0, "<S:date 5><R:/x>"},
		{{"-o", "/tmp/o", "-qn", "BEGIN { printf(\"in it\"); exit(0); }"}, 0, "<F:/tmp/o>in it"},
		{{"-lP", "profile"}, 0, "tick-1000"},
		{{"-lP", "syscall"}, 0, "writev"},
	};
	struct test_zone p;

	zone_make(&p, false, "/bin/cat /dev/null");
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

	zone_make(&p, false, "/bin/cat /dev/null");
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

/* A folder that says what the user may; its descriptor. */
static int
make_accounts(const char *name, const char *user_attr)
{
	static const char accounts[] = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n";
	cleanup_free char *root = str_printf("%s/%s", test_tmpdir(), name);
	cleanup_free char *etc = str_printf("%s/etc", root), *attr = str_printf("%s/user_attr", etc);
	cleanup_free char *passwd = str_printf("%s/passwd", etc);
	int fd;

	chmod(test_tmpdir(), 0755);
	check_int(file_mkdir_p(etc, 0755, NULL), ==, 0);
	check_int(file_write_atomic(attr, user_attr, strlen(user_attr), 0644, NULL), ==, 0);
	check_int(file_write_atomic(passwd, accounts, strlen(accounts), 0644, NULL), ==, 0);
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	check_int(fd, >=, 0);
	return fd;
}

/* --- stacks without frame pointers */

/* The program that has them, under that name where any user may run it. */
static const char *
stack_victim(const char *name)
{
	cleanup_free char *text = NULL;
	static char path[4096];
	size_t len;

	chmod(test_tmpdir(), 0755);
	snprintf(path, sizeof(path), "%s/%s", test_tmpdir(), name);
	require(file_read(test_built("src/dtrace/dtrace-victim-stack"), 0, &text, &len, NULL) == 0);
	require(file_write_atomic(path, text, len, 0755, NULL) == 0);
	return path;
}

TEST(stacks_of_a_zone_are_whole)
{
	static const char *const programs[] = {
		"syscall::getppid:entry /execname == \"two\" && ustackdepth == 9/ { ustack(); exit(0); }" OR_NEVER,
		/* a key, shown when the process is gone and its number, mayhap, another's */
		"syscall::getppid:entry /execname == \"two\" && ustackdepth == 9/"
		"{ @[ustack()] = count(); raise(9); exit(0); }" OR_NEVER,
		"profile-997 /execname == \"two\" && ustackdepth == 9/ { @[ustack()] = count(); n++; }"
		" profile-997 /n > 20/ { exit(0); }" OR_NEVER, /* one may be of its start */
	};
	static const char *const frames[] = {"two`stack_compare+0x", "libc.so.6`qsort", "two`stack_sort+0x",
					     "two`main+0x", "libc.so.6`__libc_start_main+0x", "two`_start+0x"};
	cleanup_free char *command = str_printf("%s forever", stack_victim("two"));
	struct test_zone p;

	zone_make(&p, false, command);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		int status;
		cleanup_free char *said = run(&p, ARGS("-wqn", programs[i]), &status);

		check_int(status, ==, 0);
		for (size_t k = i == 2 ? 2 : 0; k < ARRAY_SIZE(frames); k++)
			check_has(said, frames[k]);
	}
	zone_done(&p);
}

/* That file's table, which a walk asks for; 0: it was not read. */
static uint32_t
table_of(struct dt *dt, pid_t pid, const struct procmap *map, uint64_t inode, const char *path)
{
	static uint64_t edition;
	struct unwind_miss m = {.key = {(uint64_t)pid, map ? map->start : 0},
				.map = {map ? map->end : 0, 0, {1, inode, ++edition}}};
	int objects = unwinder_map(dt, "unwind_objects");
	struct unwind_object o = {0};

	snprintf(m.path, sizeof(m.path), "%s", path);
	check_int(bpf_map_update_elem(objects, &m.map.file, &o, BPF_ANY), ==, 0);
	unwinder_miss(dt, &m);
	if (bpf_map_lookup_elem(objects, &m.map.file, &o) < 0)
		return 0;
	check_int(o.id, !=, 0);
	return o.id;
}

/* The first code that it has of a file. */
static struct procmap
code_of(const struct procmaps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		if (maps->v[i].exec && maps->v[i].inode)
			return maps->v[i];
	test_fail(__FILE__, __LINE__, "a process without code");
	return (struct procmap){0};
}

TEST(tables_are_read_of_what_may_be_looked_at)
{
	cleanup_procmaps struct procmaps ours = {0}, theirs = {0};
	cleanup_free char *abs = xstrdup(stack_victim("two")), *bad = str_printf("%s/root/bad", test_tmpdir());
	cleanup_free char *out = str_printf("%s/root/out", test_tmpdir()), *up = str_printf("/../../../../..%s", abs);
	cleanup_free char *inside = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct procmap map;
	struct test_zone p;
	struct stat st, outer;
	struct dt *dt;
	int status;

	zone_make(&p, false, "/bin/cat /dev/null");
	/* Its init has become a shell. */
	free(run(&p, ARGS("-qn", "syscall::execve:entry /pid > 1/ { exit(0); }"), &status));
	check_int(status, ==, 0);
	check_ok(procmaps_read(getpid(), &ours, &err), &err);
	check_ok(procmaps_read(p.pid, &theirs, &err), &err);
	close(p.confine.root);
	p.confine.root = make_accounts("root", "");
	inside = xstrdup(stack_victim("root/two"));
	check_int(symlink(abs, out), ==, 0);
	check_int(stat(abs, &outer), ==, 0);
	check_int(stat(inside, &st), ==, 0);
	check_ok(dt_open(&dt, &err), &err);
	dt->confine = &p.confine;
	dt->takes_ustacks = true;
	check_ok(unwinder_open(dt, &err), &err);
	if (!unwinder_works(dt))
		test_skip("this kernel is of another make");

	map = code_of(&theirs);
	check_int(table_of(dt, p.pid, &map, 1, ""), >, 0);
	map = code_of(&ours);
	check_int(table_of(dt, getpid(), &map, 1, ""), ==, 0);
	/* of a process that is gone: below the root, and the very file */
	check_int(table_of(dt, 0, NULL, st.st_ino, "/two"), >, 0);
	check_int(table_of(dt, 0, NULL, st.st_ino + 1, "/two"), ==, 0);
	check_int(table_of(dt, 0, NULL, outer.st_ino, "/out"), ==, 0);
	check_int(table_of(dt, 0, NULL, outer.st_ino, abs), ==, 0);
	check_int(table_of(dt, 0, NULL, outer.st_ino, up), ==, 0);
	/* what is no program is known to have none, and is asked for no more */
	check_int(file_write_atomic(bad, "\177ELF\2\1\1 no more", 15, 0644, NULL), ==, 0);
	check_int(stat(bad, &st), ==, 0);
	check_int(table_of(dt, 0, NULL, st.st_ino, "/bad"), ==, UNWIND_NO_TABLE);
	dt_close(dt);
	zone_done(&p);
}

/* A while of everything, and longer until something of his was there to be seen. */
#define ALL_SYSCALLS \
	"syscall:::entry { @[execname] = count(); } syscall:::entry /execname == \"ls\"/ { n++; }" \
	" tick-1s /n/ { exit(0); }" OR_NEVER
/* whom others make room for */
#define ALL_TASKS \
	"sched:::off-cpu /args[1]->pr_pid > 0/" \
	"{ @[args[1]->pr_fname, args[1]->pr_uid, args[1]->pr_gid] = count(); }" \
	" sched:::off-cpu /args[1]->pr_uid == 1000 && args[1]->pr_fname == \"sh\"/ { n++; }" \
	" tick-3s /n/ { exit(0); }" OR_NEVER
#define ALL_CLOCKS \
	"profile-997 { @[execname] = count(); } profile-997 /execname == \"ls\"/ { n++; }" \
	" tick-2s /n/ { exit(0); }" OR_NEVER

/* What a user sees are plain processes of his: not root's, of another group, with capabilities. */
static void
sees_own(const struct test_zone *p)
{
	static const struct {
		const char *text, *has;
	} programs[] = {{ALL_SYSCALLS, "  ls  "},
			{ALL_CLOCKS, "  ls  "},
			{ALL_TASKS, "  sh                                                     1000     1000 "}};
	static const char *const others[] = {"cat", "date", "uname", "id", "consumer", "1001", "5"};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		int status;
		cleanup_free char *said = run(p, ARGS("-qn", programs[i].text), &status);

		check_int(status, ==, 0);
		check_has(said, programs[i].has);
		for (size_t k = 0; k < ARRAY_SIZE(others); k++) {
			cleanup_free char *name = str_printf("  %s  ", others[k]);

			if (strstr(said, name))
				test_fail(__FILE__, __LINE__, "%s is seen: %s", others[k], said);
		}
	}
}

/* A process of theirs by the number that the zone's (or the node's) processes see. */
static pid_t
a_process(const struct test_zone *p, const char *what, int *status)
{
	cleanup_free char *said = run(p, ARGS("-qn", what), status);

	return (pid_t)atoi(said);
}

TEST(what_a_user_of_a_zone_sees)
{
	struct test_zone p, root;
	int status;
	pid_t pid;

	zone_make(&p, true, "/bin/cat /dev/null");
	root = p;
	p.confine.owner_only = true;
	p.confine.owner = p.confine.group = UID_BASE + USER_ID;
	{
		cleanup_free char *said = NULL;

		close(p.confine.root);
		p.confine.root = make_accounts("none", "root::::defaultpriv=all\n");
		said = run(&p, ARGS("-qn", "BEGIN { exit(0); }"), &status);
		check_has(said, "DTrace requires additional privileges (root gives them to ann with a line in "
				"/etc/user_attr: ann::::type=normal;defaultpriv=basic,dtrace_user,dtrace_proc)");
		check_int(status, ==, 1);
		close(p.confine.root);
	}
	{
		cleanup_free char *said = NULL;

		p.confine.root = make_accounts("proc", "ann::::defaultpriv=basic,dtrace_proc\n");
		said = run(&p, ARGS("-n", "syscall:::entry"), &status);
		check_has(said, "does not match any probes");
		close(p.confine.root);
	}
	p.confine.root = make_accounts("all", "ann::::type=normal;defaultpriv=all\n");
	sees_own(&p);
	{
		cleanup_free char *said = run(&p, ARGS("-n", "fbt:::entry"), &status), *grab = NULL, *text = NULL;

		check_has(said, "does not match any probes"); /* `all' is what the zone has */
		/* its own process may be held, root's not */
		pid = a_process(&root, "syscall:::entry /execname == \"sh\" && pid == 1/ { printf(\"%d\", pid); exit(0); }", &status);
		check_int(pid, ==, 1);
		text = str_printf("%d", (int)pid);
		grab = run(&p, ARGS("-p", text, "-n", "BEGIN { exit(0); }"), &status);
		check_has(grab, "No such process");
		free(text);
		/* the shell that stays, not one that is about to become another program */
		pid = a_process(&p, "syscall:::entry /execname == \"sh\" && ppid == 1/ { printf(\"%d\", pid); exit(0); }", &status);
		check_int(pid, >, 1);
		text = str_printf("%d", (int)pid);
		free(grab);
		grab = run(&p, ARGS("-p", text, "-qn", "BEGIN { printf(\"%d\", $target); exit(0); }"), &status);
		check_has(grab, text);
	}
	{
		cleanup_free char *said = run(&p, ARGS("-qn", "syscall:::entry /execname == \"sh\" && ustackdepth > 6/ { ustack(); exit(0); }" OR_NEVER), &status);

		check_has(said, "libc.so.6`__libc_start_main");
	}
	zone_done(&p);
}

TEST(what_a_user_of_the_global_zone_sees)
{
	pid_t pids[N_USERS];
	struct test_zone p = {0};
	struct stat st;
	int status;

	if (geteuid() != 0 || !file_exists("/sys/kernel/btf/vmlinux"))
		test_skip("needs root and a kernel with BTF");
	if (!ns_pids_are_first())
		test_skip("needs the first namespace of process ids");
	check_int(stat("/proc/self/ns/user", &st), ==, 0);
	p.confine = (struct confine){.zone = (char *)(uintptr_t)"global",
				     .privs = PRIV_OF_ZONES | PRIV_DTRACE_KERNEL,
				     .user_ns = (uint32_t)st.st_ino, .owner_only = true,
				     .owner = USER_ID, .group = USER_ID,
				     .pid_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)};
	p.confine.root = make_accounts("some", "ann::::defaultpriv=basic,dtrace_user,dtrace_proc\n");
	start_users(pids);
	sees_own(&p);
	{
		cleanup_free char *text = str_printf("%d", (int)pids[0]), *said = NULL;
		cleanup_free char *other = str_printf("%d", (int)pids[1]), *grab = NULL;

		said = run(&p, ARGS("-p", text, "-qn", "syscall:::entry /pid == $target/ { printf(\"%d %d %s\", pid, uid, zonename); exit(0); }"), &status);
		check_has(said, text);
		check_has(said, " 1000 global");
		grab = run(&p, ARGS("-p", other, "-n", "BEGIN { exit(0); }"), &status);
		check_has(grab, "No such process");
	}
	close(p.confine.root);
	/* dtrace_kernel: everybody's processes, but nothing is done to them */
	p.confine.root = make_accounts("kernel", "ann::::defaultpriv=basic,dtrace_kernel\n");
	{
		cleanup_free char *said = run(&p, ARGS("-qn", "syscall:::entry /execname == \"date\" && uid == 1001/ { printf(\"%d %d\", uid, curthread->cred->uid.val); exit(0); }"), &status);
		cleanup_free char *refused = NULL;

		check_has(said, "1001 1001");
		refused = run(&p, ARGS("-wqn", "BEGIN { exit(0); }"), &status);
		check_has(refused, "destructive actions (-w) on all processes are root's");
	}
	close(p.confine.root);
	close(p.confine.pid_ns);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* The end of the connection ends the consumer, wherever it is; a packet is SIGINT. */
TEST(it_ends)
{
	struct test_zone p;
	int ends[2], status;
	pid_t pid;

	zone_make(&p, false, "/bin/cat /dev/null");
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
