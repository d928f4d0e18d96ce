/*
 * probe NAME MARK COMMAND...: runs a VMM, waits for MARK in its output, and
 * prints one line: milliseconds from exec to MARK, KVM exits, PIO and MMIO
 * exits, and the memory it has beyond guest RAM (resident, and anonymous).
 *
 * probe --memory NAME PID: the memory alone, of one that runs.
 */
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
	if (pipe(p) < 0)
		return 1;

	double t0 = now_ms(), t1 = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		execv(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	close(p[1]);
	for (;;) {
		struct pollfd pfd = {.fd = p[0], .events = POLLIN};

		if (poll(&pfd, 1, 120000) <= 0) {
			kill(pid, SIGKILL);
			break;
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
				all_counters();
			fflush(stdout);
		}
	}
	waitpid(pid, &status, 0);
	printf("END %s status=%d\n", argv[1], WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	if (!seen || getenv("PROBE_VERBOSE"))
		printf("--- output of %s\n%s\n---\n", argv[1], out);
	return seen ? 0 : 1;
}
