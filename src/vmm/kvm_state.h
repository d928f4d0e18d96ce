/* What KVM keeps of a machine, as sections of its state; see state.h. */
#ifndef VMM_KVM_STATE_H
#define VMM_KVM_STATE_H

#include "vmm/state.h"

/* PICs, I/O APIC and PIT; arg is the struct vm. */
void kvm_state_chips(void *vm, struct state *s);
/* One struct vcpu: registers, MSRs, APIC, pending events. */
void kvm_state_vcpu(void *vcpu, struct state *s);
/* The paravirtual clock; after the vcpus. */
void kvm_state_clock(void *vm, struct state *s);

#endif
