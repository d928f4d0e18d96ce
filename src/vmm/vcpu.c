/*
 * A virtual processor's thread: enter the guest, see why it came back, do
 * what it asked for, enter again.  One table row per exit reason.
 */
#include <inttypes.h>
#include <signal.h>

#include "os/kvm.h"
#include "vmm/device.h"

SANDBOX_NEEDS(SANDBOX_VCPU, "ioctl");

/* The run page of the thread's own vcpu, for the signal handler. */
static __thread struct kvm_run *volatile this_run;

/* A kick that arrives just before KVM_RUN must not be lost: KVM looks at this byte. */
static void
kicked(int signo)
{
	if (this_run)
		this_run->immediate_exit = 1;
}

void
vcpu_kick(struct vcpu *v)
{
	if (v->started)
		pthread_kill(v->thread, SIGRTMIN);
}

/*
 * String instructions come as an array of count items; each is one access.
 * The data lies in the run page, where the kernel put or expects it.
 */
static void
exit_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned size = run->io.size;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint64_t value = 0;
		bool owned;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, size);
			owned = bus_write(&v->vm->pio, run->io.port, size, value);
		} else {
			owned = bus_read(&v->vm->pio, run->io.port, size, &value);
			memcpy(data, &value, size);
		}
		if (!owned && v->vm->strict_io) {
			vm_end(v->vm, VM_END_ERROR, "vcpu %u: no device at port %#x (x86.strictio)",
			       v->id, run->io.port);
			return;
		}
	}
}

/* Accesses the kernel splits (or that straddle words) may have any length up to 8. */
static void
exit_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t addr = run->mmio.phys_addr, value = 0;
	unsigned len = run->mmio.len;

	if (len != 1 && len != 2 && len != 4 && len != 8) {
		for (unsigned i = 0; i < len; i++) {
			if (run->mmio.is_write) {
				bus_write(&v->vm->mmio, addr + i, 1, run->mmio.data[i]);
			} else {
				bus_read(&v->vm->mmio, addr + i, 1, &value);
				run->mmio.data[i] = (uint8_t)value;
			}
		}
		return;
	}
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, len);
		bus_write(&v->vm->mmio, addr, len, value);
	} else {
		bus_read(&v->vm->mmio, addr, len, &value);
		memcpy(run->mmio.data, &value, len);
	}
}

#define MCG_CTL_P (1ULL << 8)
#define MCG_SER_P (1ULL << 24)

static void
exit_nothing(struct vcpu *v)
{
}

static void
exit_shutdown(struct vcpu *v)
{
	vm_end(v->vm, VM_END_TRIPLE_FAULT, "vcpu %u: triple fault", v->id);
}

static void
exit_hlt(struct vcpu *v)
{
	vm_end(v->vm, VM_END_HALT, NULL);
}

/* Only asked for without x86.strictmsr: reads give 0, writes are dropped. */
static void
exit_rdmsr(struct vcpu *v)
{
	v->run->msr.data = 0;
	v->run->msr.error = 0;
}

static void
exit_wrmsr(struct vcpu *v)
{
	v->run->msr.error = 0;
}

static void
exit_system_event(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_end(v->vm, VM_END_POWEROFF, NULL);
		return;
	case KVM_SYSTEM_EVENT_RESET:
		vm_end(v->vm, VM_END_REBOOT, NULL);
		return;
	case KVM_SYSTEM_EVENT_CRASH:
		vm_end(v->vm, VM_END_ERROR, "the guest reported its own crash");
		return;
	}
	vm_end(v->vm, VM_END_ERROR, "vcpu %u: unknown system event %u", v->id,
	       v->run->system_event.type);
}

static void
describe(struct vcpu *v, char *buf, size_t size)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs) < 0 || ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(buf, size, "registers unknown");
		return;
	}
	snprintf(buf, size,
		 "rip %#" PRIx64 " rsp %#" PRIx64 " cs %#x:%#" PRIx64 " cr0 %#" PRIx64
		 " cr3 %#" PRIx64 " cr4 %#" PRIx64 " efer %#" PRIx64,
		 (uint64_t)regs.rip, (uint64_t)regs.rsp, sregs.cs.selector, (uint64_t)sregs.cs.base,
		 (uint64_t)sregs.cr0, (uint64_t)sregs.cr3, (uint64_t)sregs.cr4,
		 (uint64_t)sregs.efer);
}

static void
exit_fail_entry(struct vcpu *v)
{
	char regs[256];

	describe(v, regs, sizeof(regs));
	vm_end(v->vm, VM_END_ERROR, "vcpu %u cannot enter the guest: reason %#" PRIx64 "; %s", v->id,
	       (uint64_t)v->run->fail_entry.hardware_entry_failure_reason, regs);
}

static void
exit_internal_error(struct vcpu *v)
{
	char regs[256];

	describe(v, regs, sizeof(regs));
	vm_end(v->vm, VM_END_ERROR, "vcpu %u: KVM cannot go on (suberror %u); %s", v->id,
	       v->run->internal.suberror, regs);
}

/* The main thread pauses the others and talks to the debugger (gdb.c). */
static void
exit_debug(struct vcpu *v)
{
	vcpu_stop(v, true);
	bell_ring(v->vm->debug_fd);
}

static const struct {
	void (*handle)(struct vcpu *);
} exits[] = {
	[KVM_EXIT_IO] = {exit_io},
	[KVM_EXIT_DEBUG] = {exit_debug},
	[KVM_EXIT_MMIO] = {exit_mmio},
	[KVM_EXIT_INTR] = {exit_nothing},
	[KVM_EXIT_IRQ_WINDOW_OPEN] = {exit_nothing},
	[KVM_EXIT_SHUTDOWN] = {exit_shutdown},
	[KVM_EXIT_HLT] = {exit_hlt},
	[KVM_EXIT_X86_RDMSR] = {exit_rdmsr},
	[KVM_EXIT_X86_WRMSR] = {exit_wrmsr},
	[KVM_EXIT_SYSTEM_EVENT] = {exit_system_event},
	[KVM_EXIT_FAIL_ENTRY] = {exit_fail_entry},
	[KVM_EXIT_INTERNAL_ERROR] = {exit_internal_error},
};

void *
vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	struct kvm_run *run = v->run;
	bool walls = false;

	this_run = run;
	while (vcpu_gate(v)) {
		int code = ioctl(v->fd, KVM_RUN, 0) < 0 ? errno : 0;

		/* Before the first exit a guest has had nothing done by this thread; the walls would delay it. */
		if (!walls)
			sandbox_enter(SANDBOX_VCPU);
		walls = true;
		if (code) {
			run->immediate_exit = 0;
			if (code == EINTR || code == EAGAIN)
				continue;

			char regs[256];

			describe(v, regs, sizeof(regs));
			vm_end(v->vm, VM_END_ERROR, "vcpu %u: KVM_RUN: %s; %s", v->id,
			       strerror(code), regs);
			continue;
		}

		uint32_t why = run->exit_reason;

		if (why < ARRAY_SIZE(v->exits))
			v->exits[why]++;
		if (why < ARRAY_SIZE(exits) && exits[why].handle)
			exits[why].handle(v);
		else
			vm_end(v->vm, VM_END_ERROR, "vcpu %u: unexpected exit %u", v->id, why);
	}
	this_run = NULL;
	return NULL;
}

/*
 * Machine check banks: nothing here reports into them, and a guest touches four
 * registers of each at every start.  KVM's default is 32.
 */
#define MCE_BANKS 2

static int
set_mce(struct vcpu *v, struct error *err)
{
	uint64_t supported, cap = MCG_CTL_P | MCG_SER_P;

	if (!kvm_cap(v->vm->kvm_fd, KVM_CAP_MCE))
		return 0;

	TRY(KVM_CALL(v->vm->kvm_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &supported, err));
	cap = (cap & supported) | MCE_BANKS;
	return KVM_CALL(v->fd, KVM_X86_SETUP_MCE, &cap, err);
}

int
vcpu_init(struct vcpu *v, struct error *err)
{
	struct sigaction sa = {.sa_handler = kicked};
	int r;

	sigaction(SIGRTMIN, &sa, NULL);
	v->apic_id = vm_apic_id(&v->vm->topology, v->id);
	r = kvm_create_vcpu(v->vm->kvm_fd, v->vm->fd, v->apic_id, &v->fd, &v->run, &v->run_size,
			    err);
	if (r < 0)
		return error_wrap(err, r, "vcpu %u", v->id);
	r = vcpu_set_cpuid(v, err);
	return r < 0 ? r : set_mce(v, err);
}

void
vcpu_done(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->run_size);
	cleanup_closep(&v->fd);
}

static struct kvm_segment
segment(uint16_t selector, uint8_t type, bool code64, bool big)
{
	return (struct kvm_segment){
		.base = big ? 0 : (uint64_t)selector << 4,
		.limit = big ? 0xffffffff : 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = big && !code64,
		.s = 1,
		.l = code64,
		.g = big,
	};
}

#define CR0_PG 0x80000000U
enum { CR0_PE = 1, CR0_ET = 0x10, CR4_PAE = 0x20, EFER_LME = 0x100, EFER_LMA = 0x400 };

int
vcpu_set_entry(struct vcpu *v, const struct vcpu_entry *e, struct error *err)
{
	struct kvm_regs regs = {.rip = e->rip, .rsp = e->rsp, .rbx = e->rbx, .rsi = e->rsi,
				.rflags = 2};
	struct kvm_sregs s;
	int r;

	if (e->mode == ENTRY_RESET)
		return 0; /* as KVM makes it: f000:fff0, base 0xffff0000 */
	TRY(KVM_CALL(v->fd, KVM_GET_SREGS, &s, err));
	if (e->mode == ENTRY_REAL) {
		s.cs = segment(0, 0xb, false, false);
		s.ds = s.es = s.fs = s.gs = s.ss = segment(0, 3, false, false);
	} else {
		s.cs = segment(0x10, 0xb, e->mode == ENTRY_LONG64, true);
		s.ds = s.es = s.fs = s.gs = s.ss = segment(0x18, 3, false, true);
		s.cr0 = CR0_PE | CR0_ET;
	}
	if (e->mode == ENTRY_LONG64) {
		s.cr0 |= CR0_PG;
		s.cr3 = e->cr3;
		s.cr4 |= CR4_PAE;
		s.efer |= EFER_LME | EFER_LMA;
	}
	r = KVM_CALL(v->fd, KVM_SET_SREGS, &s, err);
	return r < 0 ? r : KVM_CALL(v->fd, KVM_SET_REGS, &regs, err);
}
