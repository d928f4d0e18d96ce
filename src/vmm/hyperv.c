/*
 * Hyper-V enlightenments, by the Hypervisor Top-Level Functional Specification.
 * KVM implements them; a guest finds them by CPUID leaves:
 *
 *	0x40000000  "Microsoft Hv", the highest leaf
 *	0x40000001  "Hv#1": the interface
 *	0x40000002  version
 *	0x40000003  what a partition may use: clocks, SynIC, timers, frequencies...
 *	0x40000004  what it should use, and how long to spin before telling us
 *	0x40000005  limits
 *	0x40000006  hardware features in use
 *
 * Windows spends a third of an idle processor on timers without these.  KVM's
 * own leaves move to 0x40000100, where Linux looks for them, too.
 */
#include "vmm/hyperv.h"

#include <stdlib.h>
#include <string.h>

#include "os/kvm.h"

enum { HV_FIRST = 0x40000000, HV_LAST = 0x40000006 };
#define KVM_AT 0x40000100U

/* Leaf 3, EAX: registers a partition may touch. */
enum {
	ACCESS_RUNTIME = 1 << 0, ACCESS_REFERENCE_COUNTER = 1 << 1, ACCESS_SYNIC = 1 << 2,
	ACCESS_TIMERS = 1 << 3, ACCESS_APIC = 1 << 4, ACCESS_HYPERCALL = 1 << 5,
	ACCESS_VP_INDEX = 1 << 6, ACCESS_RESET = 1 << 7, ACCESS_REFERENCE_TSC = 1 << 9,
	ACCESS_FREQUENCIES = 1 << 11, ACCESS_REENLIGHTENMENT = 1 << 13
};
/* Leaf 3, EDX. */
enum { FEATURE_FREQUENCIES = 1 << 8, FEATURE_DIRECT_TIMERS = 1 << 19 };
/* Leaf 4, EAX. */
enum {
	USE_REMOTE_TLB_FLUSH = 1 << 2, USE_APIC_MSRS = 1 << 3, USE_RELAXED_TIMING = 1 << 5,
	USE_CLUSTER_IPI = 1 << 10, USE_EX_MASKS = 1 << 11
};

#define SPIN_RETRIES 8191U

/* What is offered of what KVM can do: all but nesting and debugging. */
static const struct {
	uint32_t leaf;
	uint32_t eax, ebx, ecx, edx;
} offered[] = {
	{0x40000003,
	 ACCESS_RUNTIME | ACCESS_REFERENCE_COUNTER | ACCESS_SYNIC | ACCESS_TIMERS | ACCESS_APIC |
		 ACCESS_HYPERCALL | ACCESS_VP_INDEX | ACCESS_RESET | ACCESS_REFERENCE_TSC |
		 ACCESS_FREQUENCIES | ACCESS_REENLIGHTENMENT,
	 0x30, /* post messages, signal events */
	 0, FEATURE_FREQUENCIES | FEATURE_DIRECT_TIMERS},
	{0x40000004,
	 USE_REMOTE_TLB_FLUSH | USE_APIC_MSRS | USE_RELAXED_TIMING | USE_CLUSTER_IPI | USE_EX_MASKS,
	 0, 0, 0},
};

static struct kvm_cpuid_entry2 *
find(struct kvm_cpuid2 *c, uint32_t leaf)
{
	for (unsigned i = 0; i < c->nent; i++) {
		if (c->entries[i].function == leaf)
			return &c->entries[i];
	}
	return NULL;
}

static void
restrict_to_offered(struct kvm_cpuid_entry2 *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
		if (offered[i].leaf != e->function)
			continue;
		e->eax &= offered[i].eax;
		e->ebx &= offered[i].ebx;
		e->ecx &= offered[i].ecx;
		e->edx &= offered[i].edx;
	}
	if (e->function == 0x40000004)
		e->ebx = SPIN_RETRIES;
	if (e->function == HV_FIRST)
		e->eax = HV_LAST;
}

int
hyperv_add(struct vcpu *v, struct kvm_cpuid2 **cpuid, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *hv = NULL;
	struct kvm_cpuid2 *old = *cpuid, *c;
	int r = kvm_supported_hv_cpuid(v->vm->kvm_fd, &hv, err);

	if (r < 0)
		return error_wrap(err, r, "x86.hyperv: this kernel has no Hyper-V interface");
	if (!find(hv, 0x40000003))
		return error_set(err, ENOTSUP, "x86.hyperv: this kernel has no Hyper-V interface");
	if (kvm_cap(v->vm->kvm_fd, KVM_CAP_HYPERV_SYNIC2) &&
	    (r = kvm_enable_cap(v->fd, KVM_CAP_HYPERV_SYNIC2, 0, err)) < 0)
		return r;
	c = xcalloc(1, sizeof(*c) + (old->nent + hv->nent) * sizeof(c->entries[0]));
	for (unsigned i = 0; i < old->nent; i++) {
		struct kvm_cpuid_entry2 e = old->entries[i];

		if (e.function >= HV_FIRST && e.function < KVM_AT) {
			e.function += KVM_AT - HV_FIRST;
			if (e.function == KVM_AT)
				e.eax += KVM_AT - HV_FIRST;
		}
		c->entries[c->nent++] = e;
	}
	for (unsigned i = 0; i < hv->nent; i++) {
		if (hv->entries[i].function > HV_LAST)
			continue;
		restrict_to_offered(&hv->entries[i]);
		c->entries[c->nent++] = hv->entries[i];
	}
	free(old);
	*cpuid = c;
	return 0;
}
