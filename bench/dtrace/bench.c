/* The small programs of bench/dtrace in one: the table at the end says which. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long
by_libc(void)
{
	return syscall(SYS_getppid);
}

/* libc's syscall() keeps no frame pointer: it would hide its caller. */
static inline __attribute__((always_inline)) long
by_itself(void)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(SYS_getppid) : "rcx", "r11", "memory");
	return r;
}

static inline __attribute__((always_inline)) int
least(char **argv, long (*call)(void))
{
	long calls = atol(argv[0]), rounds = atol(argv[1]);
	double best = 0;

	for (long r = 0; r < rounds; r++) {
		double start = now(), each;

		for (long i = 0; i < calls; i++)
			call();
		each = (now() - start) / (double)calls;
		if (!r || each < best)
			best = each;
	}
	printf("%.1f\n", best);
	return 0;
}

static int
load(char **argv)
{
	return least(argv, by_libc);
}

static __attribute__((noinline)) int
bare(char **argv)
{
	return least(argv, by_itself);
}

/* For as many calls on the stack as there are addresses taken, all with frame pointers. */
static __attribute__((noinline)) int
deep_at(int depth, char **argv)
{
	int r = depth > 1 ? deep_at(depth - 1, argv) : bare(argv);

	__asm__ volatile("" ::: "memory"); /* no tail call */
	return r;
}

static int
deep(char **argv)
{
	return deep_at(20, argv);
}

/* Fails if the machine cannot make that many. */
static int
pace(char **argv)
{
	long rate = atol(argv[0]), ms = atol(argv[1]);
	double start = now(), late = 0;
	long done = 0;

	for (long i = 1; i <= ms; i++) {
		double until = start + (double)i * 1e6;
		struct timespec ts = {(time_t)(until / 1e9), (long)(until - 1e9 * (double)(long)(until / 1e9))};

		for (; done < rate * i / 1000; done++)
			syscall(SYS_getppid);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
	late = (now() - start) / 1e6 - (double)ms;
	printf("%ld\n", done);
	return late > (double)ms / 4 ? 1 : 0;
}

/* Does a line of text consist of mark?  (An error message may quote it.) */
static int
said(const char *text, const char *mark)
{
	size_t len = strlen(mark);

	for (const char *at = text; (at = strstr(at, mark)); at++)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return 1;
	return 0;
}

/* Runs a command, its output into the pipe *ret_out. */
static pid_t
start(char **argv, int errors_too, int *ret_out)
{
	int out[2];
	pid_t pid;

	if (pipe(out) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		if (errors_too)
			dup2(out[1], 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

static int
first(char **argv)
{
	const char *mark = *argv++;
	char buf[65536];
	size_t len = 0;
	double begun = now();
	int out, found = 0;
	pid_t pid = start(argv, 1, &out);

	while (!found && len + 1 < sizeof(buf)) {
		ssize_t n = read(out, buf + len, sizeof(buf) - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
		found = said(buf, mark);
	}
	buf[len] = '\0';
	if (found)
		printf("%.1f\n", (now() - begun) / 1e6);
	else
		fprintf(stderr, "bench: %s never said %s: %s\n", argv[0], mark, buf);
	kill(pid, found ? SIGTERM : SIGKILL);
	waitpid(pid, NULL, 0);
	return !found;
}

static int
all(char **argv)
{
	char buf[65536];
	double begun = now();
	long lines = 0;
	int out, status;
	ssize_t n;
	pid_t pid = start(argv, 0, &out);

	while ((n = read(out, buf, sizeof(buf))) > 0)
		for (const char *at = buf; (at = memchr(at, '\n', (size_t)(buf + n - at))); at++)
			lines++;
	waitpid(pid, &status, 0);
	fprintf(stderr, "%ld lines\n", lines);
	if (status || !lines)
		return 1;
	printf("%.1f\n", (now() - begun) / 1e6);
	return 0;
}

struct record {
	unsigned pid, tid;
	char comm[16];
};

static int
show(void *ctx, void *data, size_t size)
{
	const struct record *r = data;

	printf("%u %u %s\n", r->pid, r->tid, r->comm);
	return 0;
}

/* The program's own count of what found no room. */
static unsigned long long
lost(struct bpf_object *obj)
{
	unsigned long long v = 0;
	int fd = bpf_object__find_map_fd_by_name(obj, ".bss"), zero = 0;

	if (fd >= 0)
		bpf_map_lookup_elem(fd, &zero, &v);
	return v;
}

static int
floor_row(char **argv)
{
	const char *row = argv[1];
	struct bpf_object *obj = bpf_object__open(argv[0]);
	struct bpf_program *p, *mine = NULL;
	struct ring_buffer *ring;

	if (!obj)
		return 1;
	bpf_object__for_each_program(p, obj) {
		bpf_program__set_autoload(p, strcmp(bpf_program__name(p), row) == 0);
		if (strcmp(bpf_program__name(p), row) == 0)
			mine = p;
	}
	if (!mine || bpf_object__load(obj) || !bpf_program__attach(mine))
		return 1;
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "ring"), show, NULL, NULL);
	for (unsigned long long told = 0; ring_buffer__poll(ring, 100) >= 0; fflush(stdout)) {
		if (lost(obj) == told)
			continue;
		told = lost(obj);
		printf("lost %llu\n", told);
	}
	return 0;
}

static const struct {
	const char *name, *args, *what;
	int n; /* arguments, or so many at least */
	int (*run)(char **argv);
} jobs[] = {
	{"floor", "OBJECT ROW", "attaches one program of floor.bpf.c until killed", 2, floor_row},
	{"load", "CALLS ROUNDS", "best nanoseconds per getppid()", 2, load},
	{"deep", "CALLS ROUNDS", "the same, twenty calls deep", 2, deep},
	{"pace", "RATE MS", "getppid() at RATE a second, in bursts of a millisecond", 2, pace},
	{"first", "MARK CMD ARG...", "milliseconds from exec to MARK on CMD's output", 2, first},
	{"all", "CMD ARG...", "milliseconds from exec to the end; its lines are counted", 1, all},
};
#define N_JOBS (sizeof(jobs) / sizeof(jobs[0]))

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < N_JOBS; i++)
		if (strcmp(argv[1], jobs[i].name) == 0 && argc - 2 >= jobs[i].n)
			return jobs[i].run(argv + 2);
	for (size_t i = 0; i < N_JOBS; i++)
		fprintf(stderr, "%s bench %-5s %-16s %s\n", i ? "      " : "usage:", jobs[i].name, jobs[i].args,
			jobs[i].what);
	return 2;
}
