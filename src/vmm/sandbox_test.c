/* The filters: what they hold, and what happens to a thread that asks for more. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/test.h"
#include "os/seccomp.h"
#include "vmm/sandbox.h"
#include "vmm/vm.h"

/* Makes the archive's members that declare something part of this program. */
void *const whole_monitor[] = {vm_new};

static bool
has(enum sandbox_thread kind, const char *call)
{
	cleanup_free const char **calls = NULL;
	size_t n = sandbox_calls(kind, &calls);

	for (size_t i = 0; i < n; i++)
		if (str_eq(calls[i], call))
			return true;
	return false;
}

TEST(vcpu_threads_may_do_little)
{
	cleanup_free const char **calls = NULL;
	size_t n = sandbox_calls(SANDBOX_VCPU, &calls);

	check_int((int)n, <=, 30);
	check(has(SANDBOX_VCPU, "ioctl"));
	check(!has(SANDBOX_VCPU, "openat"));
	check(!has(SANDBOX_VCPU, "socket"));
	check(!has(SANDBOX_VCPU, "clone3"));
	check(!has(SANDBOX_IO, "openat"));
	check(!has(SANDBOX_MAIN, "execve"));
	check(!has(SANDBOX_MAIN, "ptrace"));
	check(!has(SANDBOX_MAIN, "mount"));
}

/* A name that is misspelt would be a call that is not allowed. */
TEST(every_name_is_a_system_call)
{
	cleanup_free const char **calls = NULL;
	size_t n = sandbox_calls(SANDBOX_MAIN, &calls);

	for (size_t i = 0; i < n; i++)
		if (seccomp_number(calls[i], false) < 0)
			test_fail(__FILE__, __LINE__, "%s is no system call", calls[i]);
}

/* The sanitizers make calls of their own: the child leaves before any of them could. */
static int
in_thread(enum sandbox_thread kind, int (*what)(void), char *said, size_t size)
{
	int pipe_fd[2], status;
	ssize_t n;
	pid_t pid;

	require(pipe(pipe_fd) == 0);
	pid = fork();
	require(pid >= 0);
	if (pid == 0) {
		dup2(pipe_fd[1], 2);
		if (sandbox_prepare(NULL) < 0)
			_exit(99);
		sandbox_enter(kind);
		_exit(what());
	}
	close(pipe_fd[1]);
	n = read(pipe_fd[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	close(pipe_fd[0]);
	require(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int
opens_a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? 98 : 97;
}

static int
writes(void)
{
	return write(2, "fine", 4) == 4 ? 0 : 98;
}

TEST(what_is_not_declared_ends_the_monitor)
{
	char said[256];

	check_int(in_thread(SANDBOX_VCPU, opens_a_socket, said, sizeof(said)), ==, VM_END_ERROR);
	check_has(said, "the vcpu thread made system call 41, which no file declares");
	check_int(in_thread(SANDBOX_IO, opens_a_socket, said, sizeof(said)), ==, VM_END_ERROR);
	check_int(in_thread(SANDBOX_MAIN, opens_a_socket, said, sizeof(said)), ==, 97);
}

TEST(what_is_declared_goes_on)
{
	char said[256];

	check_int(in_thread(SANDBOX_VCPU, writes, said, sizeof(said)), ==, 0);
	check_str(said, "fine");
}
