/*
 * probe NAME MARK COMMAND...: runs a VMM, waits for MARK in its output, and
 * prints one line: milliseconds from exec to MARK, KVM exits, PIO and MMIO
 * exits, and the memory it has beyond guest RAM (resident, and anonymous).
 * A dot now and then says that the clock goes on; a guest without MARK after
 * $PROBE_LIMIT ms (20000) is killed and called HUNG, and has no numbers.
 *
 * probe --first NAME COMMAND...: milliseconds from execve(2) to the first entry
 * into the guest, by the kernel's tracer; then the VMM is killed.
 *
 * probe --memory NAME PID: the memory alone, of one that runs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long
counter(const char *name)
{
	char path[256];
	long v = -1;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", name);

	FILE *f = fopen(path, "re");

	if (f) {
		if (fscanf(f, "%ld", &v) != 1)
			v = -1;
		fclose(f);
	}
	return v;
}

static void
all_counters(void)
{
	static const char *const names[] = {
		"exits", "io_exits", "mmio_exits", "irq_exits", "halt_exits", "signal_exits",
		"request_irq_exits", "irq_window_exits", "nmi_window_exits", "insn_emulation",
		"host_state_reload", "hypercalls", "pf_taken", "pf_fixed", "pf_emulate",
		"pf_spurious", "pf_fast", "irq_injections", "fpu_reload", "invlpg", "tlb_flush",
		"mmu_cache_miss", "mmu_pte_write"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf("STAT %s %ld\n", names[i], counter(names[i]));
}

/* What its threads ran, and what they waited for the processor, in ms: who else ran is noise. */
static void
schedule(pid_t pid)
{
	unsigned long long run = 0, wait = 0;
	char path[320];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);

	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		unsigned long long r, w;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);

		FILE *f = fopen(path, "re");

		if (f && fscanf(f, "%llu %llu", &r, &w) == 2)
			run += r, wait += w;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	printf("STAT run_ms %.1f\nSTAT wait_ms %.1f\n", (double)run / 1e6, (double)wait / 1e6);
}

/* Adjacent mappings that add up to at least half of guest RAM are guest RAM. */
struct group {
	unsigned long end, size, rss, anon;
};

static unsigned long long guest_kb, total_rss, total_anon, guest_touched;

static void
group_end(struct group *g)
{
	if (g->size >= guest_kb / 2) {
		guest_touched += g->rss;
	} else {
		total_rss += g->rss;
		total_anon += g->anon;
	}
	memset(g, 0, sizeof(*g));
}

static void
memory(pid_t pid)
{
	char path[64], line[512];
	struct group g = {0};

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);

	FILE *f = fopen(path, "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end, v;
		char perms[8];

		if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) == 3) {
			if (start != g.end || perms[1] != 'w')
				group_end(&g);
			g.end = perms[1] == 'w' ? end : 0;
			g.size += (end - start) / 1024;
		} else if (sscanf(line, "Rss: %lu", &v) == 1) {
			g.rss += v;
		} else if (sscanf(line, "Anonymous: %lu", &v) == 1) {
			g.anon += v;
		}
	}
	group_end(&g);
	fclose(f);
}

static void
say_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static pid_t
start(char **argv, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out, 1);
		dup2(out, 2);
		if (out > 2)
			close(out);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	return pid;
}

static double
limit_ms(void)
{
	const char *limit = getenv("PROBE_LIMIT");

	return limit ? atof(limit) : 20000;
}

#define TRACING "/sys/kernel/tracing/"

/* The time stamp of a line of the tracer, if it is of this event and process ("comm-PID"). */
static double
stamp(const char *line, const char *event)
{
	const char *at = strstr(line, event), *p = at;

	if (!at)
		return 0;
	while (p > line && p[-1] != ' ')
		p--;
	while (p > line && p[-1] == ' ')
		p--;
	while (p > line && p[-1] != ' ')
		p--;
	return atof(p) * 1e3;
}

static int
first(const char *name, char **argv)
{
	static char lines[65536];
	double begin = 0, entry = 0, t0 = now_ms();
	size_t len = 0;
	int trace, status;
	pid_t pid;

	say_to(TRACING "tracing_on", "0");
	say_to(TRACING "trace_clock", "mono");
	say_to(TRACING "trace", "");
	say_to(TRACING "events/syscalls/sys_enter_execve/enable", "1");
	say_to(TRACING "events/kvm/kvm_entry/enable", "1");
	/* the event stays, but costs next to nothing after the first time */
	say_to(TRACING "events/kvm/kvm_entry/trigger", "traceoff:1");
	say_to(TRACING "tracing_on", "1");
	trace = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	pid = start(argv, open("/dev/null", O_WRONLY));
	while (entry == 0 && now_ms() - t0 < limit_ms()) {
		ssize_t n = read(trace, lines + len, sizeof(lines) - len - 1);

		if (n <= 0) {
			poll(NULL, 0, 20);
			continue;
		}
		len += (size_t)n;
		lines[len] = 0;
		for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			begin = begin == 0 ? stamp(line, "sys_execve(") : begin;
			entry = entry == 0 ? stamp(line, "kvm_entry:") : entry;
			*end = '\n';
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	say_to(TRACING "events/kvm/kvm_entry/trigger", "!traceoff:1");
	say_to(TRACING "events/kvm/kvm_entry/enable", "0");
	say_to(TRACING "events/syscalls/sys_enter_execve/enable", "0");
	close(trace);
	if (begin == 0 || entry == 0) {
		printf("HUNG %s\n%s", name, lines);
		return 1;
	}
	printf("FIRST %s ms=%.2f\n", name, entry - begin);
	return 0;
}

int
main(int argc, char **argv)
{
	static char out[1 << 20];
	size_t len = 0;
	int p[2], status = 0, seen = 0;
	const char *guest = getenv("GUEST_MB");

	if (argc < 4)
		return 2;
	guest_kb = (guest ? strtoull(guest, NULL, 10) : 256) * 1024;
	if (strcmp(argv[1], "--memory") == 0) {
		memory(atoi(argv[3]));
		printf("MEMORY %s rss_kb=%llu anon_kb=%llu\n", argv[2], total_rss, total_anon);
		return 0;
	}
	if (strcmp(argv[1], "--first") == 0)
		return first(argv[2], argv + 3);
	if (pipe2(p, O_CLOEXEC) < 0)
		return 1;

	double t0 = now_ms(), t1 = 0;
	pid_t pid = start(argv + 3, p[1]);

	close(p[1]);
	for (;;) {
		struct pollfd pfd = {.fd = p[0], .events = POLLIN};

		if (now_ms() - t0 > limit_ms()) {
			kill(pid, SIGKILL);
			printf("%s %s\n", seen ? "LINGERED" : "HUNG", argv[1]);
			break;
		}
		if (poll(&pfd, 1, 500) <= 0) {
			(void)!write(1, ".\n", 2);
			continue;
		}

		ssize_t n = read(p[0], out + len, sizeof(out) - len - 1);

		if (n <= 0)
			break;
		len += (size_t)n;
		out[len] = 0;
		if (!seen && strstr(out, argv[2])) {
			t1 = now_ms();
			seen = 1;

			long exits = counter("exits"), io = counter("io_exits");
			long mmio = counter("mmio_exits"), npf = counter("pf_taken");

			memory(pid);
			printf("RESULT %s ms=%.1f exits=%ld io=%ld mmio=%ld pf=%ld rss_kb=%llu "
			       "anon_kb=%llu guest_kb=%llu\n",
			       argv[1], t1 - t0, exits, io, mmio, npf, total_rss, total_anon,
			       guest_touched);
			if (getenv("PROBE_STATS"))
				all_counters(), schedule(pid);
			fflush(stdout);
		}
	}
	waitpid(pid, &status, 0);
	printf("END %s status=%d\n", argv[1], WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	if (!seen || getenv("PROBE_VERBOSE"))
		printf("--- output of %s\n%s\n---\n", argv[1], out);
	return seen ? 0 : 1;
}
