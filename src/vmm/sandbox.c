/*
 * The declarations are pointers in a linker section of their own, which the linker frames with
 * two symbols.  A call that no declaration has gives SIGSYS, and the handler says which; when a
 * guest has made us do it, that ends the machine as well as anything.
 */
#include "vmm/sandbox.h"

#include <signal.h>
#include <sys/prctl.h>

#include "os/seccomp.h"
#include "vmm/device.h"

extern const struct sandbox_needs *const __start_vmm_sandbox[], *const __stop_vmm_sandbox[];

/* libc: memory, locks, the end of a thread, abort(), the clock where it is not in the vDSO. */
SANDBOX_NEEDS(SANDBOX_ALL, "mmap", "munmap", "mprotect", "madvise", "brk", "futex",
	      "rt_sigprocmask", "rt_sigreturn", "exit", "exit_group", "gettid", "getpid", "tgkill",
	      "clock_gettime", "restart_syscall", "write", "close");
#ifdef __SANITIZE_ADDRESS__
SANDBOX_NEEDS(SANDBOX_ALL, "sigaltstack"); /* as it leaves */
#endif
/* src/base: the event loop, messages, files; and making threads. */
SANDBOX_NEEDS(SANDBOX_MAIN, "epoll_wait", "epoll_pwait", "epoll_ctl", "epoll_create1", "read",
	      "readv", "writev", "eventfd2", "timerfd_create", "timerfd_settime", "signalfd4",
	      "rt_sigaction", "socket", "socketpair", "bind", "listen", "accept4", "connect",
	      "recvmsg", "sendmsg", "recvfrom", "sendto", "setsockopt", "getsockopt",
	      "getsockname", "shutdown", "ioctl", "fcntl", "dup", "dup3", "poll", "ppoll");
SANDBOX_NEEDS(SANDBOX_MAIN, "openat", "newfstatat", "fstat", "statx", "lseek", "pread64",
	      "pwrite64", "ftruncate", "fallocate", "fsync", "fdatasync", "flock", "rename", "renameat",
	      "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "faccessat", "faccessat2",
	      "access", "readlink", "readlinkat", "getdents64", "fchmod", "umask", "memfd_create",
	      "mremap", "getrandom", "uname", "sysinfo", "clock_nanosleep");
SANDBOX_NEEDS(SANDBOX_MAIN, "clone", "clone3", "set_robust_list", "rseq", "sched_getaffinity",
	      "sched_setaffinity", "prlimit64", "getuid", "geteuid", "prctl", "seccomp");

static const struct {
	enum sandbox_thread kind;
	const char *name;
} kinds[] = {{SANDBOX_VCPU, "vcpu"}, {SANDBOX_IO, "I/O"}, {SANDBOX_FILES, "files"}, {SANDBOX_MAIN, "main"}};

/* Each made when the first thread of its kind enters: what is not needed yet would delay the guest. */
static struct sock_fprog filters[ARRAY_SIZE(kinds)];
static pthread_mutex_t filters_lock = PTHREAD_MUTEX_INITIALIZER;
static bool prepared;
static _Thread_local const char *thread_name = "";

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t
sandbox_calls(enum sandbox_thread kind, const char ***ret)
{
	unsigned who = kind == SANDBOX_MAIN ? SANDBOX_ALL : kind;
	const char **v = NULL;
	size_t n = 0, kept = 0;

	for (const struct sandbox_needs *const *p = __start_vmm_sandbox; p < __stop_vmm_sandbox; p++)
		for (size_t i = 0; ((*p)->threads & who) && i < ARRAY_SIZE((*p)->calls); i++) {
			if (!(*p)->calls[i])
				break;
			v = xreallocarray(v, n + 1, sizeof(*v));
			v[n++] = (*p)->calls[i];
		}
	qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !str_eq(v[kept - 1], v[i]))
			v[kept++] = v[i];
	*ret = v;
	return kept;
}

static int
generate(enum sandbox_thread kind, struct sock_fprog *ret, struct error *err)
{
	cleanup_free const char **calls = NULL;
	size_t n = sandbox_calls(kind, &calls);
	cleanup_free struct seccomp_rule *rules = xcalloc(n + 1, sizeof(*rules));
	struct seccomp_policy policy = {.rules = rules, .otherwise = SCMP_TRAP};

	for (size_t i = 0; i < n; i++)
		rules[i] = (struct seccomp_rule){calls[i], SCMP_ALLOW};
	return seccomp_compile(&policy, ret, err);
}

static void
on_violation(int signo, siginfo_t *info, void *context)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
			 "bhyve: the %s thread made system call %d, which no file declares "
			 "(vmm/sandbox.h)\n", thread_name, info->si_syscall);

	(void)!write(2, text, (size_t)n);
	_exit(VM_END_ERROR);
}

int
sandbox_prepare(struct error *err)
{
	struct sigaction sa = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSYS, &sa, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, errno, "sandbox");
	prepared = true;
	return 0;
}

void
sandbox_enter(enum sandbox_thread kind)
{
	sigset_t sys;
	int r = 0;

	for (size_t i = 0; prepared && i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].kind != kind)
			continue;
		pthread_mutex_lock(&filters_lock);
		if (!filters[i].len)
			r = generate(kind, &filters[i], NULL);
		pthread_mutex_unlock(&filters_lock);
		/* a blocked SIGSYS would kill without a word */
		sigemptyset(&sys);
		sigaddset(&sys, SIGSYS);
		pthread_sigmask(SIG_UNBLOCK, &sys, NULL);
		thread_name = kinds[i].name;
		/* The filter is sound and we may: what fails here leaves a thread without walls. */
		if (r < 0 || seccomp_install(&filters[i], NULL) < 0)
			abort();
	}
}
