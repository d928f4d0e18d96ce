/*
 * /dev/kvm behind small calls.  One function an ioctl, with a message that
 * says which one failed; no state but file descriptors.
 */
#ifndef OS_KVM_H
#define OS_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Any KVM ioctl: its result, or a negative errno with "NAME: reason" in err. */
int kvm_call(int fd, unsigned long request, const char *name, void *arg, struct error *err);
#define KVM_CALL(fd, req, arg, err) kvm_call((fd), (req), #req, (arg), (err))

/* Opens /dev/kvm and checks the API version and what every guest of ours needs. */
int kvm_open(int *ret_fd, struct error *err);
/* The capability's value; 0 if the kernel does not have it. */
int kvm_cap(int fd, unsigned cap);
int kvm_enable_cap(int fd, unsigned cap, uint64_t arg0, struct error *err);
int kvm_create_vm(int kvm_fd, int *ret_fd, struct error *err);

/* The run page is mapped with kvm_vcpu_map_size() bytes; munmap() it in the end. */
int kvm_create_vcpu(int kvm_fd, int vm_fd, unsigned id, int *ret_fd, struct kvm_run **ret_run,
		    size_t *ret_run_size, struct error *err);

/* size 0 removes the slot.  flags: KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES. */
int kvm_set_memory(int vm_fd, unsigned slot, uint64_t gpa, uint64_t size, void *hva,
		   uint32_t flags, struct error *err);

int kvm_irq_line(int vm_fd, unsigned gsi, bool level);
/* 1 delivered, 0 masked by the guest, or a negative errno. */
int kvm_signal_msi(int vm_fd, uint64_t address, uint32_t data);

struct kvm_doorbell {
	uint64_t address;
	unsigned size; /* 0: any size (MMIO), else 1, 2, 4, 8 */
	bool pio;
	bool match; /* only writes of `value` ring it */
	uint64_t value;
	int fd;
};
int kvm_ioeventfd(int vm_fd, const struct kvm_doorbell *d, bool attach, struct error *err);
int kvm_irqfd(int vm_fd, unsigned gsi, int fd, bool attach, struct error *err);
/* A level: fd pulls the line up, and the kernel writes resample_fd when the guest is done with it. */
int kvm_irqfd_level(int vm_fd, unsigned gsi, int fd, int resample_fd, bool attach,
		    struct error *err);
int kvm_set_routing(int vm_fd, const struct kvm_irq_routing_entry *entries, unsigned n,
		    struct error *err);

/* What the kernel can give a guest; the caller's to free(). */
int kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **ret, struct error *err);
/* The same for the Hyper-V leaves; -ENOTTY where there are none. */
int kvm_supported_hv_cpuid(int kvm_fd, struct kvm_cpuid2 **ret, struct error *err);
int kvm_set_cpuid(int vcpu_fd, const struct kvm_cpuid2 *cpuid, struct error *err);
int kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value, struct error *err);
/* The guest's time stamp counter in kHz; 0 if the kernel cannot say. */
int kvm_tsc_khz(int vcpu_fd);
int kvm_get_msr(int vcpu_fd, uint32_t index, uint64_t *ret, struct error *err);

#endif
