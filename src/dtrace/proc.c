/*
 * Processes under dtrace's hand.
 *
 * A command is started under ptrace(2) and runs up to a place (evaltime) where
 * its libraries are mapped, so that pid and USDT probes of them can be found; a
 * process that runs already has all its threads stopped.  They go on when the
 * probes are set.  From then on the first thread alone stays traced, for two
 * moments: an execve(), after which the mappings are others, and its exit,
 * at which it is held until they were read (usyms_see()), since records and
 * aggregations are shown after it is gone.  Signals that stop a traced thread are
 * passed on to it.
 *
 * If dtrace is killed, the kernel ends the tracing: a command that it started
 * is killed with it (PTRACE_O_EXITKILL), as DTrace always did, and a process it
 * had grabbed goes on, stopped or not.
 *
 * A process that another debugger holds is traced all the same, but not held.
 */
#include "dtrace/proc.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "ctf/elfsyms.h"
#include "dtrace/priv.h"
#include "dtrace/usyms.h"
#include "os/pidfd.h"
#include "os/procmap.h"

#define AT_NULL 0
#define USER32_CS 0x23 /* the code segment of 32-bit programs */
#define AT_ENTRY 9
#define AT_BASE 7

struct dt_proc {
	pid_t pid, shown; /* ours, and what the user calls it: in a zone another number */
	bool created, traced, held, gone;
	int pidfd; /* of one that is not ours to wait for; readable once it ended, zombie or not */
	int status; /* of wait(2), when it is gone and was ours */
	pid_t *threads; /* held, besides the first */
	size_t n_threads;
	struct dt_proc *next;
};

static int
trace_error(struct error *err, const struct dt_proc *p, const char *what)
{
	return error_set_errno(err, errno, "process %d: %s", (int)p->shown, what);
}

static struct dt_proc *
proc_new(struct dt *dt, pid_t pid, pid_t shown)
{
	struct dt_proc *p = xcalloc(1, sizeof(*p));

	p->pid = pid;
	p->shown = shown;
	p->pidfd = -1;
	p->next = dt->procs;
	dt->procs = p;
	dt->target = shown;
	return p;
}

/* --- a command, up to its place */

static void
run_command(struct dt *dt, int go, int failed, char **argv)
{
	char c;

	for (size_t i = 0; i < dt->opts.env.n; i++) {
		char *name = dt->opts.env.v[i], *value = strchr(name, '=');

		if (value)
			*value++ = '\0';
		if (value ? setenv(name, value, 1) : unsetenv(name))
			_exit(127);
	}
	if (read(go, &c, 1) != 1)
		_exit(127);
	execvp(argv[0], argv);
	c = (char)errno;
	if (write(failed, &c, 1) != 1)
		_exit(126);
	_exit(127);
}

/*
 * Lets the thread run to its next stop that is ours to handle: *ret_event is
 * PTRACE_EVENT_*, or 0 for a breakpoint.  Signals on the way are passed on.
 */
static int
next_stop(struct dt_proc *p, int *ret_event, struct error *err)
{
	int status, sig = 0;

	for (;;) {
		if (ptrace(PTRACE_CONT, p->pid, NULL, (void *)(intptr_t)sig) < 0)
			return trace_error(err, p, "cannot be continued");
		if (waitpid(p->pid, &status, __WALL) < 0)
			return trace_error(err, p, "cannot be waited for");
		if (!WIFSTOPPED(status)) {
			p->gone = true;
			p->status = status;
			return error_set(err, ESRCH, "the command ended before probes were set");
		}
		sig = WSTOPSIG(status);
		*ret_event = status >> 16;
		if (*ret_event == PTRACE_EVENT_EXEC || (!*ret_event && sig == SIGTRAP))
			return 0;
		if (*ret_event) /* its exit, a stop of the group: on */
			sig = 0;
	}
}

/* Registers of a 32-bit program, too, come in the 64-bit form (unlike PTRACE_GETREGSET's). */
static int
read_regs(const struct dt_proc *p, struct user_regs_struct *ret, struct error *err)
{
	if (ptrace(PTRACE_GETREGS, p->pid, NULL, ret) < 0)
		return trace_error(err, p, "cannot read registers");
	return 0;
}

static bool
is_32bit(const struct dt_proc *p)
{
	struct user_regs_struct regs;

	return read_regs(p, &regs, NULL) == 0 && regs.cs == USER32_CS;
}

static int
read_auxv(const struct dt_proc *p, uint64_t type, uint64_t *ret, struct error *err)
{
	cleanup_free char *path = str_printf("/proc/%d/auxv", (int)p->pid), *data = NULL;
	size_t len, word = is_32bit(p) ? 4 : 8;
	int r = file_read(path, 65536, &data, &len, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i + 2 * word <= len; i += 2 * word) {
		uint64_t key = 0, value = 0;

		memcpy(&key, data + i, word);
		memcpy(&value, data + i + word, word);
		if (key == type) {
			*ret = value;
			return 0;
		}
		if (key == AT_NULL)
			break;
	}
	*ret = 0;
	return 0;
}

/* Where a function of the file mapped around `inside` is in memory; 0 if it has none of that name. */
static uint64_t
function_in(const struct dt_proc *p, uint64_t inside, const char *name)
{
	cleanup_procmaps struct procmaps maps = {0};
	cleanup_elfsyms struct elfsyms *syms = NULL;
	cleanup_close int fd = -1, root_fd = -1;
	const struct procmap *m;
	const struct elfsym *s;
	uint64_t at;

	if (procmaps_read(p->pid, &maps, NULL) < 0 || !(m = procmaps_at(&maps, inside)) ||
	    proc_root_open(p->pid, &root_fd, NULL) < 0 ||
	    procmap_open(p->pid, m, &fd, NULL) < 0 ||
	    elfsyms_open(fd, root_fd, m->path, &syms, NULL) < 0)
		return 0;
	s = elfsyms_function(syms, name);
	/* What `inside` is called in the file gives the distance. */
	if (!s || !elfsyms_to_addr(syms, inside - m->start + m->offset, &at))
		return 0;
	return s->addr + inside - at;
}

static int
poke(const struct dt_proc *p, uint64_t addr, long word, struct error *err)
{
	if (ptrace(PTRACE_POKETEXT, p->pid, (void *)(uintptr_t)addr, (void *)word) < 0)
		return trace_error(err, p, "cannot set a breakpoint");
	return 0;
}

static int
step_back(const struct dt_proc *p, uint64_t addr, struct error *err)
{
	struct user_regs_struct regs;
	int r = read_regs(p, &regs, err);

	if (r < 0)
		return r;
	regs.rip = addr;
	if (ptrace(PTRACE_SETREGS, p->pid, NULL, &regs) < 0)
		return trace_error(err, p, "cannot write registers");
	return 0;
}

static int
run_to(struct dt_proc *p, uint64_t addr, struct error *err)
{
	int event, r;
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, p->pid, (void *)(uintptr_t)addr, NULL);
	if (errno)
		return trace_error(err, p, "cannot set a breakpoint");
	if ((r = poke(p, addr, (word & ~0xffl) | 0xcc, err)) < 0)
		return r;
	if ((r = next_stop(p, &event, err)) < 0)
		return r;
	if (event == PTRACE_EVENT_EXEC) /* another program: there the breakpoint is not */
		return error_set(err, EAGAIN, "the command executed another program");
	if ((r = poke(p, addr, word, err)) < 0)
		return r;
	return step_back(p, addr, err);
}

/* Beyond `state` of the loader's struct r_debug: 0 once all libraries are mapped. */
static bool
loader_ready(const struct dt_proc *p, uint64_t debug)
{
	long state;

	errno = 0;
	/* Behind a version and two pointers. */
	state = ptrace(PTRACE_PEEKDATA, p->pid, (void *)(uintptr_t)(debug + (is_32bit(p) ? 12 : 24)), NULL);
	return errno || (int)state == 0;
}

/* Address of the object _r_debug in the loader. */
static uint64_t
loader_debug(const struct dt_proc *p, uint64_t base)
{
	cleanup_procmaps struct procmaps maps = {0};
	cleanup_elfsyms struct elfsyms *syms = NULL;
	cleanup_close int fd = -1;
	const struct procmap *m;

	if (procmaps_read(p->pid, &maps, NULL) < 0 || !(m = procmaps_at(&maps, base)) ||
	    procmap_open(p->pid, m, &fd, NULL) < 0 ||
	    elfsyms_open(fd, -1, m->path, &syms, NULL) < 0)
		return 0;
	for (size_t i = 0; i < elfsyms_count(syms); i++)
		if (str_eq(elfsyms_sym(syms, i)->name, "_r_debug"))
			return base + elfsyms_sym(syms, i)->addr;
	return 0;
}

/* The loader tells debuggers twice: before it maps libraries, and when all are there. */
static int
run_to_preinit(struct dt_proc *p, struct error *err)
{
	uint64_t base, entry, stop, debug;
	int r;

	if ((r = read_auxv(p, AT_BASE, &base, err)) < 0 ||
	    (r = read_auxv(p, AT_ENTRY, &entry, err)) < 0)
		return r;
	stop = base ? function_in(p, base, "_dl_debug_state") : 0;
	debug = stop ? loader_debug(p, base) : 0;
	if (!stop || !debug) /* a static program, or a loader of another kind */
		return run_to(p, entry, err);
	for (int i = 0; i < 8; i++) {
		int event;

		if ((r = run_to(p, stop, err)) < 0)
			return r;
		if (loader_ready(p, debug))
			return 0;
		/* Past the breakpoint before it is set again. */
		if (ptrace(PTRACE_SINGLESTEP, p->pid, NULL, NULL) < 0 ||
		    waitpid(p->pid, &event, __WALL) < 0 || !WIFSTOPPED(event))
			return trace_error(err, p, "cannot be stepped");
	}
	return 0;
}

/* A program without symbols: the C library's start is given main() as its first argument. */
static int
run_to_stripped_main(struct dt_proc *p, uint64_t entry, struct error *err)
{
	cleanup_procmaps struct procmaps maps = {0};
	struct user_regs_struct regs;
	uint64_t start = 0, place;
	int r;

	if ((r = run_to(p, entry, err)) < 0 || (r = procmaps_read(p->pid, &maps, err)) < 0)
		return r;
	for (size_t i = 0; i < maps.n && !start; i++)
		if (maps.v[i].exec && maps.v[i].inode)
			start = function_in(p, maps.v[i].start, "__libc_start_main");
	if (!start)
		return error_set(err, ENOENT, "the command has no symbol \"main\": use -x evaltime=postinit");
	if ((r = run_to(p, start, err)) < 0)
		return r;
	if ((r = read_regs(p, &regs, err)) < 0)
		return r;
	place = regs.rdi;
	if (regs.cs == USER32_CS) /* on the stack, above where it returns to */
		place = (uint32_t)ptrace(PTRACE_PEEKDATA, p->pid, (void *)(uintptr_t)(regs.rsp + 4), NULL);
	return run_to(p, place, err);
}

static int
run_to_place(struct dt *dt, struct dt_proc *p, struct error *err)
{
	uint64_t entry, place;
	int r;

	switch ((enum evaltime)dt->opts.evaltime) {
	case EVAL_EXEC:
		return 0;
	case EVAL_PREINIT:
		return run_to_preinit(p, err);
	case EVAL_POSTINIT:
	case EVAL_MAIN:
		break;
	}
	if ((r = read_auxv(p, AT_ENTRY, &entry, err)) < 0)
		return r;
	place = dt->opts.evaltime == EVAL_MAIN ? function_in(p, entry, "main") : entry;
	return place ? run_to(p, place, err) : run_to_stripped_main(p, entry, err);
}

/* From the pipe at which it waits to the stop behind its execve(). */
static int
start_traced(struct dt_proc *p, const char *name, int go, int failed, struct error *err)
{
	long options = PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
	unsigned long message;
	int status;
	char code;

	if (ptrace(PTRACE_SEIZE, p->pid, NULL, (void *)options) < 0)
		return trace_error(err, p, "cannot be traced");
	p->traced = true;
	if (write(go, "x", 1) != 1)
		return error_set_errno(err, errno, "cannot start %s", name);
	for (;;) {
		if (waitpid(p->pid, &status, __WALL) < 0)
			return trace_error(err, p, "cannot be waited for");
		if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXIT)
			break;
		if (status >> 16 == PTRACE_EVENT_EXEC) {
			p->held = true;
			return 0;
		}
		if (ptrace(PTRACE_CONT, p->pid, NULL, (void *)(intptr_t)WSTOPSIG(status)) < 0)
			return trace_error(err, p, "cannot be continued");
	}
	/* In a zone it is not our child: it exits with the reason. */
	if (failed < 0 && WIFSTOPPED(status) &&
	    ptrace(PTRACE_GETEVENTMSG, p->pid, NULL, &message) == 0 && message >> 8 & 0xff)
		return error_set(err, (int)(message >> 8 & 0xff), "failed to execute %s: %s", name,
				 strerror((int)(message >> 8 & 0xff)));
	if (read(failed, &code, 1) == 1)
		return error_set(err, (unsigned char)code, "failed to execute %s: %s", name,
				 strerror((unsigned char)code));
	return error_set(err, ECHILD, "failed to execute %s", name);
}

/* The command that the zone's dtrace holds at a pipe: it waits for our word there. */
static int
take_held(struct dt *dt, const char *name, struct error *err)
{
	const struct remote *remote = dt->remote;
	pid_t pid = priv_pid_here(dt, (pid_t)remote->target);
	struct dt_proc *p;
	int r;

	if (!pid)
		return error_set(err, ESRCH, "failed to execute %s: its process is gone", name);
	p = proc_new(dt, pid, (pid_t)remote->target);
	p->created = true;
	if ((r = start_traced(p, name, remote->go, -1, err)) < 0)
		return r;
	return run_to_place(dt, p, err);
}

int
dt_proc_create(struct dt *dt, const char *command, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	int go[2], failed[2], r;
	struct dt_proc *p;
	pid_t pid;

	strv_words(&words, command, " \t");
	if (!words.n)
		return error_set(err, EINVAL, "-c needs a command");
	if (dt->remote)
		return take_held(dt, words.v[0], err);
	if (pipe2(go, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "pipe");
	if (pipe2(failed, O_CLOEXEC | O_NONBLOCK) < 0) {
		close(go[0]);
		close(go[1]);
		return error_set_errno(err, errno, "pipe");
	}
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		run_command(dt, go[0], failed[1], words.v);
	}
	close(go[0]);
	close(failed[1]);
	if (pid < 0) {
		r = error_set_errno(err, errno, "fork");
	} else {
		p = proc_new(dt, pid, pid);
		p->created = true;
		r = start_traced(p, words.v[0], go[1], failed[0], err);
		if (r == 0)
			r = run_to_place(dt, p, err);
	}
	close(go[1]);
	close(failed[0]);
	return r;
}

/* --- a process that runs already */

/* Stops a thread; false if it cannot be had (it ended, another debugger has it). */
static bool
stop_thread(pid_t tid, long options)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) < 0)
		return false;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return false;
	return waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status);
}

static void
stop_threads(struct dt_proc *p)
{
	cleanup_free char *path = str_printf("/proc/%d/task", (int)p->pid);
	DIR *d = opendir(path);
	struct dirent *e;
	int tid;

	while (d && (e = readdir(d))) {
		if (str_to_int(e->d_name, &tid) < 0 || tid == p->pid || !stop_thread(tid, 0))
			continue;
		p->threads = xreallocarray(p->threads, p->n_threads + 1, sizeof(pid_t));
		p->threads[p->n_threads++] = tid;
	}
	if (d)
		closedir(d);
}

int
dt_proc_grab(struct dt *dt, pid_t shown, struct error *err)
{
	pid_t pid = priv_pid_here(dt, shown);
	cleanup_close int fd = -1;
	struct dt_proc *p;
	int r;

	if (pid == getpid())
		return error_set(err, EINVAL, "failed to grab process %d: dtrace cannot hold itself",
				 (int)shown);
	if (shown <= 0)
		return error_set(err, ESRCH, "failed to grab process %d: not a process id",
				 (int)shown);
	if ((r = pid ? pidfd_open_pid(pid, &fd, NULL) : -ESRCH) < 0)
		return error_set(err, -r, "failed to grab process %d: %s", (int)shown,
				 strerror(-r));
	if (pidfd_ended(fd))
		return error_set(err, ESRCH, "failed to grab process %d: it is a zombie",
				 (int)shown);
	p = proc_new(dt, pid, shown);
	p->pidfd = steal_fd(&fd);
	if (stop_thread(pid, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)) {
		p->traced = p->held = true;
		/* What it was asked about it may have changed before it stood still. */
		if (priv_pid_here(dt, shown) != pid)
			return error_set(err, ESRCH, "failed to grab process %d: %s", (int)shown,
					 strerror(ESRCH));
		stop_threads(p);
	}
	return 0;
}

int
dt_procs_go(struct dt *dt, struct error *err)
{
	for (struct dt_proc *p = dt->procs; p; p = p->next) {
		usyms_see(dt->usyms, p->pid);
		for (size_t i = 0; i < p->n_threads; i++)
			ptrace(PTRACE_DETACH, p->threads[i], NULL, NULL);
		p->n_threads = 0;
		if (p->held && ptrace(PTRACE_CONT, p->pid, NULL, NULL) < 0 && errno != ESRCH)
			return trace_error(err, p, "cannot be continued");
		p->held = false;
	}
	return 0;
}

/* --- while they run */

static void
tell_end(struct dt *dt, const struct dt_proc *p)
{
	if (dt->opts.quiet)
		return;
	if (p->created && WIFSIGNALED(p->status))
		fprintf(stderr, "dtrace: pid %d terminated by SIG%s\n", (int)p->shown,
			sigabbrev_np(WTERMSIG(p->status)));
	else if (p->created && WEXITSTATUS(p->status))
		fprintf(stderr, "dtrace: pid %d exited with status %d\n", (int)p->shown,
			WEXITSTATUS(p->status));
	else
		fprintf(stderr, "dtrace: pid %d has exited\n", (int)p->shown);
}

/* One stop of a traced thread: what it means, and on. */
static void
pass_on(struct dt *dt, struct dt_proc *p, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status);

	if (event == PTRACE_EVENT_EXIT || event == PTRACE_EVENT_EXEC) {
		usyms_see(dt->usyms, p->pid);
		sig = 0;
	} else if (event == PTRACE_EVENT_STOP) {
		/* SIGSTOP and its like stop the group until SIGCONT: it stays so, as without us. */
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
			ptrace(PTRACE_LISTEN, p->pid, NULL, NULL);
			return;
		}
		sig = 0;
	}
	ptrace(PTRACE_CONT, p->pid, NULL, (void *)(intptr_t)sig);
}

static void
look_after(struct dt *dt, struct dt_proc *p)
{
	int status;
	pid_t pid;

	while (p->traced && !p->gone && (pid = waitpid(p->pid, &status, __WALL | WNOHANG)) != 0) {
		if (pid < 0) {
			p->traced = false;
			p->gone = p->created;
		} else if (WIFSTOPPED(status)) {
			pass_on(dt, p, status);
		} else {
			p->gone = true;
			p->status = status;
		}
	}
	if (!p->gone && !p->traced && pidfd_ended(p->pidfd))
		p->gone = true;
	if (p->gone)
		tell_end(dt, p);
}

static void
on_child(int sig)
{
}

/* SIGCHLD is let in only while we wait, so that none is missed between looking and waiting. */
void
dt_procs_wait(struct dt *dt, int timeout_ms)
{
	struct timespec ts = {timeout_ms / 1000, timeout_ms % 1000 * 1000000l};
	struct pollfd ring = {.fd = dt->ring ? ring_buffer__epoll_fd(dt->ring) : -1,
			      .events = POLLIN};
	struct sigaction sa = {.sa_handler = on_child};
	sigset_t child, before, open;

	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	open = before;
	sigdelset(&open, SIGCHLD);
	if (!dt_procs_over(dt))
		ppoll(&ring, 1, &ts, &open);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

pid_t
dt_procs_pid(const struct dt *dt, size_t i)
{
	const struct dt_proc *p = dt->procs;

	while (p && i--)
		p = p->next;
	return p ? p->pid : 0;
}

bool
dt_procs_over(struct dt *dt)
{
	bool alive = false;

	for (struct dt_proc *p = dt->procs; p; p = p->next) {
		if (!p->gone)
			look_after(dt, p);
		alive |= !p->gone;
	}
	return dt->procs && !alive;
}

void
dt_procs_release(struct dt *dt)
{
	struct dt_proc *next;

	for (struct dt_proc *p = dt->procs; p; p = next) {
		int status;

		next = p->next;
		for (size_t i = 0; i < p->n_threads; i++)
			ptrace(PTRACE_DETACH, p->threads[i], NULL, NULL);
		if (p->created && !p->gone) {
			kill(p->pid, SIGKILL);
			/* It may stand at its exit, or stop there once more. */
			ptrace(PTRACE_CONT, p->pid, NULL, NULL);
			while (waitpid(p->pid, &status, __WALL) == p->pid && WIFSTOPPED(status))
				ptrace(PTRACE_CONT, p->pid, NULL, NULL);
		} else if (p->traced && !p->gone && ptrace(PTRACE_DETACH, p->pid, NULL, NULL) < 0) {
			/* It runs: a thread is let go while it is stopped. */
			if (ptrace(PTRACE_INTERRUPT, p->pid, NULL, NULL) == 0 &&
			    waitpid(p->pid, &status, __WALL) == p->pid && WIFSTOPPED(status))
				ptrace(PTRACE_DETACH, p->pid, NULL,
				       (void *)(intptr_t)(status >> 16 ? 0 : WSTOPSIG(status)));
		}
		free(p->threads);
		if (p->pidfd >= 0)
			close(p->pidfd);
		free(p);
	}
	dt->procs = NULL;
}
