/* Hyper-V's interface for guests that look for it (Windows); x86.hyperv=true. */
#ifndef VMM_HYPERV_H
#define VMM_HYPERV_H

#include "vmm/vm.h"

struct kvm_cpuid2;

/*
 * Replaces KVM's own hypervisor leaves of host (0x40000000...) by Hyper-V's, with
 * KVM's at 0x40000100, and turns on what they promise.  *cpuid is the caller's.
 */
int hyperv_add(struct vcpu *v, struct kvm_cpuid2 **cpuid, struct error *err);

#endif
