/*
 * Children by fork and exec, with their failure to exec reported through a
 * close-on-exec pipe: the parent reads nothing (it worked) or an errno.
 */
#include "os/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define OUTPUT_MAX (64u << 20)
#define STDERR_KEEP 4096

static int
open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* One of the three descriptors: what the child gets and what we keep. */
struct plumbing {
	int child, ours;
};

static int
plumb(enum run_io io, int fixed, bool child_reads, struct plumbing *p)
{
	int fds[2];

	*p = (struct plumbing){-1, -1};
	if (fixed > 0) {
		p->child = fcntl(fixed, F_DUPFD_CLOEXEC, 3);
		return p->child < 0 ? -errno : 0;
	}
	switch (io) {
	case RUN_INHERIT:
		return 0;
	case RUN_NULL:
		p->child = open("/dev/null", O_RDWR | O_CLOEXEC);
		return p->child < 0 ? -errno : 0;
	case RUN_PIPE:
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		p->child = child_reads ? fds[0] : fds[1];
		p->ours = child_reads ? fds[1] : fds[0];
		return 0;
	}
	abort();
}

static void
unplumb(struct plumbing *p)
{
	if (p->child >= 0)
		close(p->child);
	if (p->ours >= 0)
		close(p->ours);
}

/* dup2() that also works when fd already is the target (it clears close-on-exec). */
static int
place(int fd, int target)
{
	if (fd < 0)
		return 0;
	if (fd == target)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, target);
}

static int lease = -1;

int
run_set_lease(int fd)
{
	int was = lease;

	lease = fd;
	return was;
}

static void __attribute__((noreturn))
child_exec(const char *const argv[], const struct run_opts *opts, const struct plumbing p[3],
	   int report, pid_t parent)
{
	sigset_t none;
	int e;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (opts->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(127);
	for (int i = 0; i < 3; i++)
		if (place(p[i].child, i) < 0)
			goto fail;
	/* Everything above 2 closes at exec, whoever opened it; `report` with it. */
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (lease >= 3)
		fcntl(lease, F_SETFD, 0);
	if (opts->dir && chdir(opts->dir) < 0)
		goto fail;
	if (opts->env)
		execvpe(argv[0], (char *const *)(uintptr_t)argv,
			(char *const *)(uintptr_t)opts->env);
	else
		execvp(argv[0], (char *const *)(uintptr_t)argv);
fail:
	e = errno;
	(void)!write(report, &e, sizeof(e));
	_exit(127);
}

int
run_start(const char *const argv[], const struct run_opts *opts, struct run_child *ret,
	  struct error *err)
{
	struct plumbing p[3] = {{-1, -1}, {-1, -1}, {-1, -1}};
	int report[2] = {-1, -1}, e = 0, r;
	pid_t pid, self = getpid();

	if ((r = plumb(opts->in, opts->in_fd, true, &p[0])) < 0 ||
	    (r = plumb(opts->out, opts->out_fd, false, &p[1])) < 0 ||
	    (r = plumb(opts->err, 0, false, &p[2])) < 0 ||
	    (r = pipe2(report, O_CLOEXEC) < 0 ? -errno : 0) < 0)
		goto fail;
	pid = fork();
	if (pid == 0)
		child_exec(argv, opts, p, report[1], self);
	r = pid < 0 ? -errno : 0;
	close(steal_fd(&report[1]));
	if (r == 0 && fd_read_all(report[0], &e, sizeof(e)) == sizeof(e)) {
		waitpid(pid, NULL, 0);
		r = -e;
	}
	if (r < 0)
		goto fail;
	close(report[0]);
	ret->pid = pid;
	ret->pidfd = open_pidfd(pid); /* the child is ours and unreaped: it exists */
	ret->in = steal_fd(&p[0].ours);
	ret->out = steal_fd(&p[1].ours);
	ret->err = steal_fd(&p[2].ours);
	for (int i = 0; i < 3; i++)
		unplumb(&p[i]);
	return 0;
fail:
	for (int i = 0; i < 3; i++)
		unplumb(&p[i]);
	for (int i = 0; i < 2; i++)
		if (report[i] >= 0)
			close(report[i]);
	return error_set_errno(err, -r, "cannot run %s", argv[0]);
}

static void
close_all(struct run_child *c)
{
	int *fds[] = {&c->pidfd, &c->in, &c->out, &c->err};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(steal_fd(fds[i]));
}

int
run_wait(struct run_child *c, int *ret_status, struct error *err)
{
	int status;

	if (c->in >= 0)
		close(steal_fd(&c->in));
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set_errno(err, errno, "cannot wait for process %d", c->pid);
	close_all(c);
	c->pid = -1;
	if (ret_status)
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

void
run_abort(struct run_child *c)
{
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		run_wait(c, NULL, NULL);
	}
}

/* Copies between the child and our buffers until both its outputs end. */
static int
exchange(struct run_child *c, const char *input, size_t len, struct strbuf *out,
	 struct strbuf *errout)
{
	struct pollfd fds[3] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->in, POLLOUT, 0}};
	struct strbuf *bufs[2] = {out, errout};

	if (c->in >= 0)
		fcntl(c->in, F_SETFL, O_NONBLOCK);
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			n = read(fds[i].fd, strbuf_reserve(bufs[i], 65536), 65536);
			if (n <= 0) {
				fds[i].fd = -1;
				continue;
			}
			bufs[i]->len += (size_t)n;
			bufs[i]->data[bufs[i]->len] = '\0';
			if (bufs[i]->len > OUTPUT_MAX)
				return -EFBIG;
		}
		if (fds[2].fd >= 0 && fds[2].revents) {
			ssize_t n = len ? write(fds[2].fd, input, len) : 0;

			if (n > 0) {
				input += n;
				len -= (size_t)n;
			}
			if (!len || (n < 0 && errno != EAGAIN)) {
				close(steal_fd(&c->in)); /* EPIPE: its exit status tells */
				fds[2].fd = -1;
			}
		}
	}
	return 0;
}

/* "zfs destroy zones/x: exit status 1: cannot open 'zones/x': dataset does not exist" */
static int
exit_error(const char *const argv[], int status, struct strbuf *errout, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *command = NULL;
	char *said = errout->data ? str_trim(errout->data) : NULL;

	for (size_t i = 0; argv[i]; i++)
		strv_add(&words, argv[i]);
	command = strv_join(&words, " ");
	if (said && strlen(said) > STDERR_KEEP)
		said += strlen(said) - STDERR_KEEP;
	return error_set(err, EIO, "%s: %s %d%s%s", command,
			 status > 128 ? "killed by signal" : "exit status",
			 status > 128 ? status - 128 : status, str_empty(said) ? "" : ": ",
			 str_empty(said) ? "" : said);
}

int
run_feed(const char *const argv[], const char *input, size_t len, char **output, int *ret_status,
	 struct error *err)
{
	struct run_opts opts = {.in = input ? RUN_PIPE : RUN_NULL, .out = RUN_PIPE,
				.err = RUN_PIPE, .die_with_parent = true};
	cleanup_strbuf struct strbuf out = STRBUF_INIT, errout = STRBUF_INIT;
	void (*old_pipe)(int) = NULL;
	struct run_child c;
	int status, r;

	r = run_start(argv, &opts, &c, err);
	if (r < 0)
		return r;
	if (input)
		old_pipe = signal(SIGPIPE, SIG_IGN);
	r = exchange(&c, input, len, &out, &errout);
	if (input)
		signal(SIGPIPE, old_pipe);
	if (r < 0) {
		run_abort(&c);
		return error_set_errno(err, -r, "%s: cannot read its output", argv[0]);
	}
	r = run_wait(&c, &status, err);
	if (r < 0)
		return r;
	if (status && !ret_status)
		return exit_error(argv, status, &errout, err);
	if (ret_status)
		*ret_status = status;
	if (output)
		*output = strbuf_steal(&out);
	return 0;
}

int
run_capture(const char *const argv[], char **output, int *ret_status, struct error *err)
{
	return run_feed(argv, NULL, 0, output, ret_status, err);
}
