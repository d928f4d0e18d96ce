/*
 * Registers come and go in the order KVM wants them: CPUID is set already
 * (cpuid.c), special registers before the local APIC (APIC base), the APIC and
 * the time stamp counter before the deadline MSR, pending events last.
 */
#include "vmm/kvm_state.h"

#include "os/kvm.h"
#include "vmm/device.h"

enum { MSR_TSC = 0x10, MSR_TSC_DEADLINE = 0x6e0 };
#define MSRS_MAX 1024

static void
call(struct state *s, int fd, unsigned long request, const char *name, void *arg)
{
	if (s->result == 0)
		s->result = kvm_call(fd, request, name, arg, s->err);
}

/* One ioctl each way, around a struct. */
#define EXCHANGE(s, fd, what, get, set)                            \
	do {                                                       \
		if (!(s)->loading)                                 \
			call((s), (fd), (get), #get, &(what));     \
		STATE((s), what);                                  \
		if (state_loading(s))                              \
			call((s), (fd), (set), #set, &(what));     \
	} while (0)

void
kvm_state_chips(void *arg, struct state *s)
{
	struct vm *vm = arg;
	struct kvm_pit_state2 pit = {0};

	for (unsigned i = 0; i < 3; i++) {
		struct kvm_irqchip chip = {.chip_id = i};

		if (!s->loading)
			call(s, vm->fd, KVM_GET_IRQCHIP, "KVM_GET_IRQCHIP", &chip);
		STATE(s, chip);
		chip.chip_id = i;
		if (state_loading(s))
			call(s, vm->fd, KVM_SET_IRQCHIP, "KVM_SET_IRQCHIP", &chip);
	}
	EXCHANGE(s, vm->fd, pit, KVM_GET_PIT2, KVM_SET_PIT2);
}

void
kvm_state_clock(void *arg, struct state *s)
{
	struct vm *vm = arg;
	struct kvm_clock_data clock = {0};

	if (!s->loading)
		call(s, vm->fd, KVM_GET_CLOCK, "KVM_GET_CLOCK", &clock);
	STATE(s, clock);
	/* The guest's time goes on where it stopped: no flags, no real time. */
	clock.flags = 0;
	if (state_loading(s))
		call(s, vm->fd, KVM_SET_CLOCK, "KVM_SET_CLOCK", &clock);
}

/* ---- model-specific registers ---- */

static struct kvm_msr_list *
msr_list(struct vm *vm, struct state *s)
{
	struct kvm_msr_list *list = xcalloc(1, sizeof(*list) + MSRS_MAX * sizeof(uint32_t));

	list->nmsrs = MSRS_MAX;
	call(s, vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST", list);
	return list;
}

/* What this guest's CPU does not have cannot be read; it is left out. */
static size_t
read_msrs(struct vcpu *v, struct state *s, struct kvm_msr_entry *out)
{
	cleanup_free struct kvm_msr_list *list = msr_list(v->vm, s);
	size_t n = 0;

	for (unsigned i = 0; s->result == 0 && i < list->nmsrs; i++) {
		uint64_t value;

		if (kvm_get_msr(v->fd, list->indices[i], &value, NULL) == 0)
			out[n++] = (struct kvm_msr_entry){.index = list->indices[i], .data = value};
	}
	return n;
}

/*
 * The deadline timer counts by the TSC, so that is set first.  A register the
 * other kernel knows and this one does not is only missed if it was not zero.
 */
static void
write_msrs(struct vcpu *v, struct state *s, const struct kvm_msr_entry *e, size_t n)
{
	for (unsigned pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < n && s->result == 0; i++) {
			unsigned want = e[i].index == MSR_TSC ? 0 : e[i].index == MSR_TSC_DEADLINE ? 2 : 1;
			uint64_t have;

			if (want != pass || (kvm_get_msr(v->fd, e[i].index, &have, NULL) == 0 &&
					     have == e[i].data))
				continue;
			if (kvm_set_msr(v->fd, e[i].index, e[i].data, NULL) < 0 && e[i].data)
				state_refuse(s, "this host refuses MSR %#x = %#llx", e[i].index,
					     (unsigned long long)e[i].data);
		}
	}
}

static void
msrs(struct vcpu *v, struct state *s)
{
	size_t size = 0;
	struct kvm_msr_entry *e = NULL;

	if (!s->loading) {
		e = xcalloc(MSRS_MAX, sizeof(*e));
		size = read_msrs(v, s, e) * sizeof(*e);
	}
	state_blob(s, "msrs", (void **)&e, &size, MSRS_MAX * sizeof(*e));
	if (state_loading(s))
		write_msrs(v, s, e, size / sizeof(*e));
	free(e);
}

/* ---- a vcpu ---- */

static void
fpu(struct vcpu *v, struct state *s)
{
	struct kvm_xcrs xcrs = {0};
	struct kvm_xsave xsave = {0};

	if (kvm_cap(v->vm->kvm_fd, KVM_CAP_XCRS))
		EXCHANGE(s, v->fd, xcrs, KVM_GET_XCRS, KVM_SET_XCRS);
	if (kvm_cap(v->vm->kvm_fd, KVM_CAP_XSAVE)) {
		EXCHANGE(s, v->fd, xsave, KVM_GET_XSAVE, KVM_SET_XSAVE);
		return;
	}

	struct kvm_fpu plain = {0};

	EXCHANGE(s, v->fd, plain, KVM_GET_FPU, KVM_SET_FPU);
}

void
kvm_state_vcpu(void *arg, struct state *s)
{
	struct vcpu *v = arg;
	struct kvm_mp_state mp = {0};
	struct kvm_regs regs = {0};
	struct kvm_sregs sregs = {0};
	struct kvm_debugregs debug = {0};
	struct kvm_lapic_state lapic = {0};
	struct kvm_vcpu_events events = {0};

	/* Reading the run state may deliver what is due: it comes first. */
	EXCHANGE(s, v->fd, mp, KVM_GET_MP_STATE, KVM_SET_MP_STATE);
	EXCHANGE(s, v->fd, sregs, KVM_GET_SREGS, KVM_SET_SREGS);
	EXCHANGE(s, v->fd, regs, KVM_GET_REGS, KVM_SET_REGS);
	fpu(v, s);
	EXCHANGE(s, v->fd, debug, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS);
	if (!s->loading)
		call(s, v->fd, KVM_GET_LAPIC, "KVM_GET_LAPIC", &lapic);
	STATE(s, lapic);
	/* A guest that uses the deadline timer wants the APIC's timer mode before the deadline. */
	if (state_loading(s))
		call(s, v->fd, KVM_SET_LAPIC, "KVM_SET_LAPIC", &lapic);
	msrs(v, s);
	EXCHANGE(s, v->fd, events, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS);
}
