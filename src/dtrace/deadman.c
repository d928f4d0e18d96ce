/*
 * The deadman: probes stop when nobody has looked after them for too long.
 *
 * A consumer that the system gives no time any more (what is traced costs all of it), that is stopped
 * (SIGSTOP, ^Z), or that waits without end for who reads its output, can do nothing about its
 * probes: so the kernel does.  The consumer notes the time whenever it takes records; a clock in
 * the kernel, once a second, compares, and sets the word that every program looks at before it does
 * anything (dt_shared.stopped).  The consumer finds the word there when it wakes up, and ends.
 *
 * The clock starts before the first record is taken, as its reader may already keep us waiting; what
 * ended in BEGIN does not pay for it.  Anonymous tracing has none, as nobody looks after it before it
 * is claimed.
 */
#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/event.h"
#include "dtrace/asm.h"
#include "dtrace/dt.h"

#define LOOK_NS 1000000000

static int
load_clock(struct dt *dt, struct error *err)
{
	struct asmb a = {0};
	int out = asm_label(&a), fd = -1, r;

	asm_call(&a, BPF_FUNC_ktime_get_ns);
	asm_map_value(&a, R1, dt->globals_fd, 0);
	asm_load(&a, 8, R2, R1, offsetof(struct dt_shared, alive));
	asm_alu(&a, BPF_SUB, R0, R2);
	asm_imm(&a, R2, (int64_t)dt->opts.deadman_ns);
	asm_jcc(&a, BPF_JSLT, R0, R2, out);
	asm_load(&a, 8, R2, R1, offsetof(struct dt_shared, stopped));
	asm_jcci(&a, BPF_JNE, R2, 0, out);
	asm_storei(&a, 8, R1, offsetof(struct dt_shared, stopped), DT_DEAD);
	asm_here(&a, out);
	asm_imm(&a, R0, 0);
	asm_exit(&a);
	r = asm_finish(&a, err);
	if (r == 0) {
		fd = bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, "dtrace_deadman", "GPL", a.insns, a.n, NULL);
		r = fd < 0 ? error_set_errno(err, -fd, "the kernel refuses the deadman's clock") : 0;
	}
	asm_done(&a);
	dt->deadman_fds[0] = fd;
	return r;
}

/* Some CPU that runs: which one does not matter. */
static int
open_clock(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = LOOK_NS,
	};
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF), fd = -1;

	for (int cpu = 0; cpu < cpus && fd < 0; cpu++)
		fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd;
}

int
dt_deadman_start(struct dt *dt, struct error *err)
{
	int r;

	if (dt->deadman_fds[0] >= 0 || dt->shared->stopped)
		return 0;
	dt->shared->alive = time_mono_ns();
	if ((r = load_clock(dt, err)) < 0)
		return r;
	dt->deadman_fds[1] = open_clock();
	if (dt->deadman_fds[1] < 0 ||
	    ioctl(dt->deadman_fds[1], PERF_EVENT_IOC_SET_BPF, dt->deadman_fds[0]) < 0 ||
	    ioctl(dt->deadman_fds[1], PERF_EVENT_IOC_ENABLE, 0) < 0)
		return error_set_errno(err, errno, "cannot start the deadman's clock");
	return 0;
}

void
dt_deadman_stop(struct dt *dt)
{
	for (size_t i = 0; i < ARRAY_SIZE(dt->deadman_fds); i++) {
		if (dt->deadman_fds[i] >= 0)
			close(dt->deadman_fds[i]);
		dt->deadman_fds[i] = -1;
	}
}

int
dt_check_alive(struct dt *dt, struct error *err)
{
	if (dt->shared->stopped == DT_DEAD)
		return error_set(err, ETIMEDOUT,
				 "processing aborted: Abort due to systemic unresponsiveness");
	if (dt->deadman_fds[0] >= 0)
		dt->shared->alive = time_mono_ns();
	return 0;
}
