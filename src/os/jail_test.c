/* pidfds, namespaces, mounts, paths in hostile trees, system call filters, terminals. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "os/caps.h"
#include "os/mount.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/pty.h"
#include "os/seccomp.h"

TEST(pidfd_tells_processes_apart)
{
	cleanup_close int fd = -1, again = -1;
	cleanup_error struct error err = ERROR_INIT;
	uint64_t inode;
	pid_t pid;

	pid = pidfd_fork(0, -1, &fd, &err);
	require(pid >= 0);
	if (pid == 0) {
		for (;;)
			pause();
	}
	inode = pidfd_inode(fd);
	check(inode != 0);
	check_ok(pidfd_open_noted(pid, inode, &again, &err), &err);
	check_int(pidfd_open_noted(pid, inode + 1, &again, &err), ==, -ESRCH);
	check_int(pidfd_open_noted(0, 0, &again, &err), ==, -ESRCH);
	check_int(pidfd_ended(fd), ==, 0);
	check_ok(pidfd_signal(fd, SIGKILL, &err), &err);
	waitpid(pid, NULL, 0);
	check_int(pidfd_ended(fd), ==, 1);
	check_int(pidfd_open_noted(pid, inode, &again, &err), <, 0);
}

TEST(idmapped_tmpfs)
{
	cleanup_close int user = -1, mnt = -1, file = -1;
	cleanup_error struct error err = ERROR_INIT;
	struct stat st;

	if (getuid() != 0)
		test_skip("needs root");
	check_ok(ns_user_new(1048576, 65536, &user, &err), &err);
	check_ok(mnt_new("tmpfs", (const char *const[]){"mode=0755", "size=64k", NULL}, 0, &mnt,
			 &err), &err);
	file = openat(mnt, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	require(file >= 0);
	close(steal_fd(&file));
	check_ok(mnt_idmap(mnt, user, false, &err), &err);
	check_int(fstatat(mnt, "f", &st, 0), ==, 0);
	check_int(st.st_uid, ==, 1048576);
}

static int
tree(void)
{
	int fd;
	const char *d = test_tmpdir();

	check_int(chdir(d), ==, 0);
	mkdir("root", 0755);
	mkdir("outside", 0755);
	check_ok(file_write_atomic("outside/secret", "s", 1, 0644, NULL), NULL);
	check_ok(file_write_atomic("root/plain", "p", 1, 0644, NULL), NULL);
	check_int(symlink("../outside", "root/up"), ==, 0);
	check_int(symlink("../outside/secret", "root/file"), ==, 0);
	check_int(symlink("/etc", "root/abs"), ==, 0);
	check_int(symlink("loop", "root/loop"), ==, 0);
	mkfifo("root/fifo", 0644);
	fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	require(fd >= 0);
	return fd;
}

TEST(paths_stay_in_their_root)
{
	cleanup_close int root = tree();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *text = NULL, *secret = NULL, *where = NULL;
	struct stat st;
	int fd = -1;

	check_int(path_open_in(root, "/up", PATH_DIR, &fd, &err), ==, -ENOENT);
	check_int(path_open_in(root, "/abs", PATH_DIR, &fd, &err), ==, -ENOENT);
	check_int(path_open_in(root, "/up", PATH_DIR | PATH_NO_LINKS, &fd, &err), ==, -ELOOP);
	check_int(path_open_in(root, "/abs/x/y", PATH_DIR | PATH_NO_LINKS | PATH_MKDIR, &fd, &err),
		  ==, -ELOOP);
	check_int(path_read_in(root, "/file", 100, &text, NULL, &err), ==, -ENOENT);
	check_int(path_read_in(root, "/loop", 100, &text, NULL, &err), ==, -ELOOP);
	check_int(path_read_in(root, "/fifo", 100, &text, NULL, &err), ==, -EINVAL);
	check_int(path_read_in(root, "/../../plain", 100, &text, NULL, &err), ==, 0);
	check_str(text, "p");

	/* a link in the way of a file that we write is replaced; what it named is not touched */
	check_ok(path_write_in(root, "/file", "new", 3, 0600, &err), &err);
	check_int(lstat("root/file", &st), ==, 0);
	check(S_ISREG(st.st_mode));
	check_int(st.st_mode & 0777, ==, 0600);
	check_ok(file_read("outside/secret", 0, &secret, NULL, &err), &err);
	check_str(secret, "s");
	check_int(path_write_in(root, "/abs/passwd", "x", 1, 0644, &err), ==, -ENOENT);
	check_int(path_write_in(root, "/a/..", "x", 1, 0644, &err), ==, -EINVAL);

	check_ok(path_open_in(root, "/a/b/c", PATH_DIR | PATH_MKDIR | PATH_NO_LINKS, &fd, &err),
		 &err);
	close(fd);
	check_int(symlink("/a/b", "root/short"), ==, 0);
	check_ok(path_resolve_in(root, "/short/c", &where, &err), &err);
	check_str(where, "/a/b/c");
}

/* Exit status of a child that runs fn under the policy. */
static int
under(const struct seccomp_policy *p, int (*fn)(void))
{
	struct sock_fprog prog = {0};
	cleanup_error struct error err = ERROR_INIT;
	int status = 0;
	pid_t pid;

	check_ok(seccomp_compile(p, &prog, &err), &err);
	pid = fork();
	if (pid == 0)
		_exit(seccomp_install(&prog, NULL) < 0 ? 99 : fn());
	waitpid(pid, &status, 0);
	free(prog.filter);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* 1: the call gave the errno it should; neighbours in the table of calls are as before */
static int
probe_deny(void)
{
	errno = 0;
	if (syscall(SYS_keyctl, 0, 0, 0) >= 0 || errno != EPERM)
		return 1;
	errno = 0;
	if (syscall(SYS_io_uring_setup, 0, NULL) >= 0 || errno != ENOSYS)
		return 2;
	errno = 0;
	if (syscall(SYS_getppid) <= 0 || syscall(SYS_request_key, 0, 0, 0, 0) >= 0 ||
	    errno == EPERM)
		return 3;
	if (syscall(0x40000000 | SYS_getpid) >= 0 || errno != ENOSYS)
		return 4;
	return 0;
}

TEST(seccomp_denies_what_it_names)
{
	static const struct seccomp_rule rules[] = {
		{"keyctl", EPERM}, {"io_uring_setup", ENOSYS}, {"no_such_call", EPERM}, {0},
	};
	struct seccomp_policy p = {.rules = rules, .otherwise = SCMP_ALLOW, .compat = true};

	if (getuid() != 0)
		test_skip("needs root");
	check_int(under(&p, probe_deny), ==, 0);
}

/* Bare: a sanitizer's runtime makes calls of its own around ours. */
static long
bare(long number, long arg)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(number), "D"(arg) : "rcx", "r11", "memory");
	return r;
}

static int
probe_allow(void)
{
	int r = 0;

	if (bare(SYS_getpid, 0) != -ENOTTY)
		r = 1;
	else if (bare(SYS_getppid, 0) <= 0)
		r = 2;
	bare(SYS_exit_group, r);
	return 3;
}

TEST(seccomp_allows_only_what_it_names)
{
	static const struct seccomp_rule rules[] = {
		{"exit_group", SCMP_ALLOW}, {"exit", SCMP_ALLOW}, {"getppid", SCMP_ALLOW}, {0},
	};
	struct seccomp_policy p = {.rules = rules, .otherwise = ENOTTY};

	if (getuid() != 0)
		test_skip("needs root");
	check_int(under(&p, probe_allow), ==, 0);
}

static int
probe_userns(void)
{
	pid_t pid;

	errno = 0;
	if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
		return 1;
	if (unshare(CLONE_NEWNS) != 0)
		return 2;
	pid = fork(); /* clone without the flag works */
	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : 3;
}

TEST(seccomp_denies_user_namespaces)
{
	static const struct seccomp_rule rules[] = {{0}};
	struct seccomp_policy p = {
		.rules = rules, .otherwise = SCMP_ALLOW, .deny_new_userns = true};

	if (getuid() != 0)
		test_skip("needs root");
	check_int(under(&p, probe_userns), ==, 0);
}

TEST(pty_pair_carries_bytes)
{
	cleanup_close int master = -1, slave = -1;
	cleanup_error struct error err = ERROR_INIT;
	struct termios old;
	char c = 0;

	check_ok(pty_open(&master, &slave, &err), &err);
	check_ok(pty_raw(slave, &old, &err), &err);
	check_int(write(master, "x", 1), ==, 1);
	check_int(read(slave, &c, 1), ==, 1);
	check_int(c, ==, 'x');
	check_int(pty_restore(slave, &old), ==, 0);
}

TEST(caps_are_gone_for_good)
{
	cleanup_error struct error err = ERROR_INIT;

	if (getuid() != 0)
		test_skip("needs root");
	check_ok(caps_drop_bounding(CAP_BIT(CAP_SYS_MODULE), &err), &err);
	check_ok(caps_limit(CAP_BIT(CAP_CHOWN), &err), &err);
	check_int(sethostname("x", 1), ==, -1);
	check_int(caps_drop_bounding(CAP_BIT(CAP_SYS_ADMIN), &err), ==, -EPERM);
}
