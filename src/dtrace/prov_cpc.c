/*
 * cpc:::EVENT-MODE-COUNT: fires each time a CPU has counted COUNT events (processor
 * or kernel) in MODE all, user or kernel.  A machine without the counter says so
 * when the probe is enabled.
 */
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dtrace/gen.h"

#define HW PERF_TYPE_HARDWARE
#define SW PERF_TYPE_SOFTWARE

static const struct cpc_event {
	const char *name;
	uint32_t type;
	uint64_t config;
} events[] = {
	{"PAPI_br_ins", HW, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
	{"PAPI_br_msp", HW, PERF_COUNT_HW_BRANCH_MISSES},
	{"PAPI_l3_tca", HW, PERF_COUNT_HW_CACHE_REFERENCES},
	{"PAPI_l3_tcm", HW, PERF_COUNT_HW_CACHE_MISSES},
	{"PAPI_tot_cyc", HW, PERF_COUNT_HW_CPU_CYCLES},
	{"PAPI_tot_ins", HW, PERF_COUNT_HW_INSTRUCTIONS},
	{"alignment_faults", SW, PERF_COUNT_SW_ALIGNMENT_FAULTS},
	{"branch_instructions", HW, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
	{"branch_misses", HW, PERF_COUNT_HW_BRANCH_MISSES},
	{"bus_cycles", HW, PERF_COUNT_HW_BUS_CYCLES},
	{"cache_misses", HW, PERF_COUNT_HW_CACHE_MISSES},
	{"cache_references", HW, PERF_COUNT_HW_CACHE_REFERENCES},
	{"context_switches", SW, PERF_COUNT_SW_CONTEXT_SWITCHES},
	{"cpu_clock", SW, PERF_COUNT_SW_CPU_CLOCK},
	{"cpu_cycles", HW, PERF_COUNT_HW_CPU_CYCLES},
	{"cpu_migrations", SW, PERF_COUNT_SW_CPU_MIGRATIONS},
	{"instructions", HW, PERF_COUNT_HW_INSTRUCTIONS},
	{"major_faults", SW, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
	{"minor_faults", SW, PERF_COUNT_SW_PAGE_FAULTS_MIN},
	{"page_faults", SW, PERF_COUNT_SW_PAGE_FAULTS},
	{"ref_cycles", HW, PERF_COUNT_HW_REF_CPU_CYCLES},
	{"stalled_cycles_backend", HW, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
	{"stalled_cycles_frontend", HW, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
	{"task_clock", SW, PERF_COUNT_SW_TASK_CLOCK},
};

static const char *const modes[] = {"all", "kernel", "user"};

/* "cpu_cycles-user-10000" in its parts. */
static bool
parse_name(const char *name, struct perf_event_attr *ret)
{
	cleanup_strv struct strv words = STRV_INIT;
	const struct cpc_event *e = events;
	struct perf_event_attr attr = {.size = sizeof(attr)};
	uint64_t period;
	size_t mode = 0;

	strv_split(&words, name, "-");
	if (words.n != 3 || str_to_u64(words.v[2], 10, &period) < 0 || !period)
		return false;
	while (e < events + ARRAY_SIZE(events) && !str_eq(e->name, words.v[0]))
		e++;
	while (mode < ARRAY_SIZE(modes) && !str_eq(modes[mode], words.v[1]))
		mode++;
	if (e == events + ARRAY_SIZE(events) || mode == ARRAY_SIZE(modes))
		return false;
	attr.type = e->type;
	attr.config = e->config;
	attr.sample_period = period;
	attr.exclude_user = mode == 1;
	attr.exclude_kernel = mode == 2;
	*ret = attr;
	return true;
}

static int
cpc_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	struct perf_event_attr attr;

	if (!dt_part_matches(part[0], "cpc"))
		return 0;
	if (parse_name(part[3], &attr))
		dt_probe_add(dt, &provider_cpc, "cpc", "", "", part[3], 0);
	else if (dt_is_glob(part[3]))
		for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
			cleanup_free char *name = str_printf("%s-all-%d", events[i].name,
							     events[i].type == SW ? 1000 : 1000000);

			if (dt_part_matches(part[3], name))
				dt_probe_add(dt, &provider_cpc, "cpc", "", "", name, 0);
		}
	return 0;
}

static int
cpc_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	const struct probe *p = h->probes[0];
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF), r;
	struct perf_event_attr attr;

	if (!parse_name(p->name, &attr))
		abort();
	r = hook_load(dt, h, g, &(struct prog_kind){.type = BPF_PROG_TYPE_PERF_EVENT}, err);
	for (int cpu = 0; r == 0 && cpu < cpus; cpu++) {
		int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd < 0 && errno == ENODEV)
			continue; /* a CPU that is offline */
		if (fd < 0 && (errno == ENOENT || errno == EOPNOTSUPP))
			return error_set(err, ENOENT, "cpc:::%s: this machine has no such counter",
					 p->name);
		if (fd < 0)
			return error_set_errno(err, errno, "cpc:::%s: cannot open it on CPU %d",
					       p->name, cpu);
		r = hook_attach_sampling(h, fd, err);
	}
	return r;
}

const struct provider provider_cpc = {
	.name = "cpc",
	.provide = cpc_provide,
	.together = hook_alone,
	.arg_type = sample_arg_type,
	.gen_probe = hook_gen_probe,
	.gen_arg = sample_gen_arg,
	.attach = cpc_attach,
};
