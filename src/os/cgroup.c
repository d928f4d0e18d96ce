/*
 * cgroup v2 by plain file operations; see cgroup.h.
 */
#include "os/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/file.h"
#include "base/str.h"

#define VFORK_STACK (64 * 1024)

static char *root_override;

void
cgroup_set_root(const char *dir)
{
	free(root_override);
	root_override = xstrdup(dir);
}

const char *
cgroup_root(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs st;

	if (root_override)
		return root_override;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (statfs(places[i], &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	}
	return NULL;
}

/* Full path of a cgroup; the caller's. */
static int
full_path(const char *path, char **ret, struct error *err)
{
	const char *root = cgroup_root();

	if (!root)
		return error_set(err, ENOENT, "cgroup v2 is not mounted on /sys/fs/cgroup");
	while (*path == '/')
		path++;
	if (str_eq(path, "..") || str_after(path, "../") || strstr(path, "/../") ||
	    str_ends(path, "/.."))
		return error_set(err, EINVAL, "cgroup %s: '..' is not allowed", path);
	*ret = str_printf("%s/%s", root, path);
	return 0;
}

int
cgroup_open(const char *path, int *ret_fd, struct error *err)
{
	cleanup_free char *full = NULL;
	int r, fd;

	r = full_path(path, &full, err);
	if (r < 0)
		return r;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "cgroup %s", path);
	*ret_fd = fd;
	return 0;
}

int
cgroup_create(const char *path, int *ret_fd, struct error *err)
{
	cleanup_free char *full = NULL;
	int r;

	r = full_path(path, &full, err);
	if (r < 0)
		return r;
	if (mkdir(full, 0755) < 0 && errno == ENOENT) {
		r = file_mkdir_p(full, 0755, err);
		if (r < 0)
			return error_wrap(err, r, "cgroup %s", path);
	} else if (!file_exists(full)) {
		return error_set_errno(err, errno, "cgroup %s", path);
	}
	return ret_fd ? cgroup_open(path, ret_fd, err) : 0;
}

bool
cgroup_exists(const char *path)
{
	cleanup_free char *full = NULL;

	return full_path(path, &full, NULL) == 0 && file_exists(full);
}

/* rmdir from the leaves up; 0 or a negative errno. */
static int
remove_below(int parent, const char *name)
{
	cleanup_close int fd = -1;
	struct dirent *de;
	DIR *d;
	int r = 0;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(dup(fd));
	if (!d)
		return -errno;
	while (r == 0 && (de = readdir(d)) != NULL) {
		if (de->d_type == DT_DIR && de->d_name[0] != '.')
			r = remove_below(fd, de->d_name);
	}
	closedir(d);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int
cgroup_remove(const char *path, struct error *err)
{
	cleanup_free char *full = NULL;
	int r;

	r = full_path(path, &full, err);
	if (r < 0)
		return r;
	r = remove_below(AT_FDCWD, full);
	if (r < 0)
		return error_set_errno(err, -r, "removing cgroup %s", path);
	return 0;
}

uint64_t
cgroup_id(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC || fstat(fd, &st) < 0)
		return 0;
	return st.st_ino; /* a kernfs inode number is its 64-bit id */
}

int
cgroup_write(int fd, struct error *err, const char *file, const char *fmt, ...)
{
	cleanup_close int f = -1;
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vprintf(fmt, ap);
	va_end(ap);
	f = openat(fd, file, O_WRONLY | O_CLOEXEC);
	if (f < 0)
		return error_set_errno(err, errno, "cgroup file %s", file);
	if (write(f, text, strlen(text)) < 0)
		return error_set_errno(err, errno, "writing '%s' to cgroup file %s", text, file);
	return 0;
}

int
cgroup_read(int fd, const char *file, char **ret, struct error *err)
{
	return file_read_at(fd, file, 0, ret, NULL, err);
}

int
cgroup_read_key(int fd, const char *file, const char *key, uint64_t *ret)
{
	cleanup_free char *text = NULL;
	size_t len = strlen(key);
	int r;

	r = cgroup_read(fd, file, &text, NULL);
	if (r < 0)
		return r;
	for (char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			char *end;
			unsigned long long v = strtoull(line + len + 1, &end, 10);

			if (*end && *end != '\n')
				return -EINVAL;
			*ret = v;
			return 0;
		}
	}
	return -ENOENT;
}

int
cgroup_enable(const char *path, const char *controllers, struct error *err)
{
	cleanup_strbuf struct strbuf want = STRBUF_INIT, at = STRBUF_INIT;
	cleanup_strv struct strv names = STRV_INIT, parts = STRV_INIT;
	int r;

	strv_words(&names, controllers, " ,");
	for (size_t i = 0; i < names.n; i++)
		strbuf_addf(&want, "%s+%s", i ? " " : "", names.v[i]);
	strv_words(&parts, path, "/");
	for (size_t i = 0; i < parts.n; i++) {
		cleanup_close int fd = -1;

		r = cgroup_open(at.data ? at.data : "", &fd, err);
		if (r < 0)
			return r;
		r = cgroup_write(fd, err, "cgroup.subtree_control", "%s", want.data);
		if (r < 0)
			return error_wrap(err, r, "controllers of /%s", at.data ? at.data : "");
		strbuf_addf(&at, "%s%s", i ? "/" : "", parts.v[i]);
	}
	return 0;
}

int
cgroup_populated(int fd)
{
	uint64_t n;
	int r;

	r = cgroup_read_key(fd, "cgroup.events", "populated", &n);
	return r < 0 ? r : (int)n;
}

int
cgroup_kill(int fd, struct error *err)
{
	return cgroup_write(fd, err, "cgroup.kill", "1");
}

int
cgroup_freeze(int fd, bool frozen, struct error *err)
{
	return cgroup_write(fd, err, "cgroup.freeze", "%d", frozen);
}

static int
collect_pids(int fd, struct strbuf *out, struct error *err)
{
	cleanup_free char *text = NULL;
	struct dirent *de;
	DIR *d;
	int r;

	r = cgroup_read(fd, "cgroup.procs", &text, err);
	if (r == -EOPNOTSUPP || r == -ENODEV) /* a threaded cgroup; one removed meanwhile */
		return 0;
	if (r < 0)
		return r;
	for (char *p = text; *p;) {
		pid_t pid = (pid_t)strtol(p, &p, 10);

		if (pid > 0)
			strbuf_add(out, &pid, sizeof(pid));
		while (*p == '\n')
			p++;
	}
	d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!d)
		return error_set_errno(err, errno, "reading a cgroup");
	while (r == 0 && (de = readdir(d)) != NULL) {
		cleanup_close int sub = -1;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0)
			r = collect_pids(sub, out, err);
	}
	closedir(d);
	return r;
}

static int
compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

int
cgroup_pids(int fd, pid_t **ret, size_t *ret_n, struct error *err)
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	int r;

	r = collect_pids(fd, &b, err);
	if (r < 0)
		return r;
	*ret_n = b.len / sizeof(pid_t);
	*ret = (pid_t *)(void *)strbuf_steal(&b);
	qsort(*ret, *ret_n, sizeof(pid_t), compare_pids);
	return 0;
}

int
cgroup_signal(int fd, int signo, struct error *err)
{
	cleanup_free pid_t *pids = NULL;
	size_t n;
	int r, reached = 0;

	r = cgroup_pids(fd, &pids, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (kill(pids[i], signo) == 0)
			reached++;
		else if (errno != ESRCH)
			return error_set_errno(err, errno, "signalling process %d", pids[i]);
	}
	return reached;
}

int
cgroup_of_pid(pid_t pid, char **ret, struct error *err)
{
	cleanup_free char *file = str_printf("/proc/%d/cgroup", pid);
	cleanup_free char *text = NULL;
	int r;

	r = file_read(file, 0, &text, NULL, err);
	if (r < 0)
		return r;
	for (char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, "0::/", 4) == 0) {
			size_t len = strcspn(line + 4, "\n");

			*ret = xstrndup(line + 4, len);
			return 0;
		}
	}
	return error_set(err, ENOENT, "process %d is in no v2 cgroup", pid);
}

pid_t
cgroup_fork(int fd, uint64_t flags, int *ret_pidfd, struct error *err)
{
	int pidfd = -1;
	struct clone_args a = {
		.flags = flags | CLONE_INTO_CGROUP | (ret_pidfd ? CLONE_PIDFD : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)fd,
	};
	long pid;

	pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid < 0)
		return error_set_errno(err, errno, "clone3");
	if (ret_pidfd)
		*ret_pidfd = pid ? pidfd : -1;
	return (pid_t)pid;
}

/*
 * clone3() with a stack of its own: the child must not touch the frame the
 * parent returns through, so it calls fn from within the assembly.
 */
static long
clone3_call(struct clone_args *a, void (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
	long ret;
	register void (*r12)(void *) __asm__("r12") = fn;
	register void *r13 __asm__("r13") = arg;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone3), "D"(a), "S"(sizeof(*a)), "r"(r12), "r"(r13)
			 : "rcx", "r11", "rdx", "r8", "r9", "r10", "memory", "cc");
	return ret;
#else
#error "clone3_call: not written for this processor"
#endif
}

pid_t
cgroup_vfork(int fd, void (*fn)(void *arg), void *arg, int *ret_pidfd, struct error *err)
{
	static void *stack;
	int pidfd = -1;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND |
			 (fd >= 0 ? CLONE_INTO_CGROUP : 0) | (ret_pidfd ? CLONE_PIDFD : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.stack_size = VFORK_STACK,
		.cgroup = fd >= 0 ? (uint64_t)fd : 0,
	};
	long pid;

	if (!stack) { /* one is enough: the parent waits while the child uses it */
		stack = mmap(NULL, VFORK_STACK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (stack == MAP_FAILED) {
			stack = NULL;
			return error_set_errno(err, errno, "a stack for clone3");
		}
	}
	a.stack = (uint64_t)(uintptr_t)stack;
	pid = clone3_call(&a, fn, arg);
	if (pid < 0)
		return error_set_errno(err, (int)-pid, "clone3");
	if (ret_pidfd)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

struct cgroup_watch {
	struct event_source *source;
	struct event_source *first; /* the look right after the start, or NULL */
	cgroup_empty_fn *fn;
	void *arg;
	int fd; /* of cgroup.events, ours */
};

static bool
events_empty(int fd)
{
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return errno == ENODEV; /* the cgroup was removed */
	buf[n] = '\0';
	return strstr(buf, "populated 0") != NULL;
}

static void
watch_event(struct event_source *s, int fd, uint32_t events, void *arg)
{
	struct cgroup_watch *w = arg;

	if (events_empty(fd))
		w->fn(w, w->arg);
}

static void
watch_first(struct event_source *s, void *arg)
{
	struct cgroup_watch *w = arg;

	w->first = NULL;
	event_source_free(s);
	if (events_empty(w->fd))
		w->fn(w, w->arg);
}

int
cgroup_watch(struct event_loop *l, int fd, cgroup_empty_fn *fn, void *arg,
	     struct cgroup_watch **ret, struct error *err)
{
	CLEANUP(cgroup_watch_freep) struct cgroup_watch *w = xcalloc(1, sizeof(*w));
	int r;

	w->fn = fn;
	w->arg = arg;
	w->fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (w->fd < 0)
		return error_set_errno(err, errno, "cgroup.events");
	r = event_add_fd(l, w->fd, EPOLLPRI, watch_event, w, &w->source, err);
	if (r < 0)
		return r;
	if (events_empty(w->fd)) {
		r = event_defer(l, watch_first, w, &w->first, err);
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(&w);
	return 0;
}

void
cgroup_watch_free(struct cgroup_watch *w)
{
	if (!w)
		return;
	event_source_free(w->first);
	event_source_free(w->source);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
