/*
 * profile:::profile-N on every CPU and profile:::tick-N on one: perf clock
 * events.  N counts a second, or has a unit: 10ms, 1s, 5sec, 2m.
 */
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dtrace/gen.h"

#define SHORTEST 200000 /* nanoseconds */

static int
clock_provide(struct dt *dt, const struct provider *ops, const char *prefix, const char *const part[4],
	      const char *const *usual)
{
	const char *rate = str_after(part[3], prefix);
	uint64_t period = rate ? dt_period(rate) : 0;

	if (period && period < SHORTEST) {
		free(dt->why);
		dt->why = str_printf("more often than every %d microseconds is too often", SHORTEST / 1000);
		return 0;
	}

	if (*part[0] && !str_eq(part[0], "profile") && !strpbrk(part[0], "*?["))
		return 0;
	if (period)
		dt_probe_add(dt, ops, "profile", "", "", part[3], period);
	else if (!*part[3] || strpbrk(part[3], "*?["))
		for (; *usual; usual++)
			dt_probe_add(dt, ops, "profile", "", "", *usual,
				     dt_period(str_after(*usual, prefix)));
	return 0;
}

static int
profile_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	static const char *const usual[] = {"profile-97",  "profile-199",  "profile-499",
					    "profile-997", "profile-1999", "profile-4001",
					    "profile-4999", NULL};

	return clock_provide(dt, &provider_profile, "profile-", part, usual);
}

static int
tick_provide(struct dt *dt, const char *const part[4], struct error *err)
{
	static const char *const usual[] = {"tick-1",	"tick-10",   "tick-100", "tick-500",
					    "tick-1000", "tick-5000", NULL};

	return clock_provide(dt, &provider_tick, "tick-", part, usual);
}

const struct ctf_type *
sample_arg_type(struct dt *dt, const struct probe *p, unsigned i)
{
	return i < 2 ? dt->t_ulong : NULL;
}

/* arg0: kernel address, 0 in user mode; arg1: user address, 0 in the kernel. */
int
sample_gen_arg(struct gen *g, const struct hook *h, unsigned i, struct error *err)
{
	struct asmb *a = &g->a;
	int done = asm_label(a);

	if (i > 1) {
		asm_imm(a, R0, 0);
		return 0;
	}
	/* struct bpf_perf_event_data begins with the registers: rip is the 17th. */
	asm_load(a, 8, R0, R6, 16 * 8);
	asm_jcci(a, i == 0 ? BPF_JSLT : BPF_JSGE, R0, 0, done); /* kernel addresses are negative */
	asm_imm(a, R0, 0);
	asm_here(a, done);
	return 0;
}

int
hook_attach_sampling(struct hook *h, int fd, struct error *err)
{
	hook_add_fd(h, fd);
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, h->prog_fd) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return error_set_errno(err, errno, "cannot attach to a perf event");
	return 0;
}

static int
open_clock(const struct probe *p, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = p->data,
	};

	return (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int
clock_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err)
{
	bool one = h->probes[0]->ops == &provider_tick || dt->opts.cpu >= 0;
	int first = dt->opts.cpu >= 0 ? dt->opts.cpu : 0;
	int end = one ? first + 1 : (int)sysconf(_SC_NPROCESSORS_CONF);
	int r = hook_load(dt, h, g, &(struct prog_kind){.type = BPF_PROG_TYPE_PERF_EVENT}, err);

	for (int cpu = first; r == 0 && cpu < end; cpu++) {
		int fd = open_clock(h->probes[0], cpu);

		if (fd < 0 && errno == ENODEV)
			continue; /* a CPU that is offline */
		if (fd < 0)
			return error_set_errno(err, errno, "cannot open a clock event on CPU %d",
					       cpu);
		r = hook_attach_sampling(h, fd, err);
	}
	return r;
}

const struct provider provider_profile = {
	.name = "profile",
	.provide = profile_provide,
	.together = hook_alone,
	.arg_type = sample_arg_type,
	.gen_probe = hook_gen_probe,
	.gen_arg = sample_gen_arg,
	.attach = clock_attach,
};

const struct provider provider_tick = {
	.name = "profile",
	.provide = tick_provide,
	.together = hook_alone,
	.arg_type = sample_arg_type,
	.gen_probe = hook_gen_probe,
	.gen_arg = sample_gen_arg,
	.attach = clock_attach,
};
