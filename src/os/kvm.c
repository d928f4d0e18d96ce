#include "os/kvm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/cleanup.h"

int
kvm_call(int fd, unsigned long request, const char *name, void *arg, struct error *err)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_set_errno(err, errno, "%s", name);
	return r;
}

int
kvm_cap(int fd, unsigned cap)
{
	int r = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

int
kvm_enable_cap(int fd, unsigned cap, uint64_t arg0, struct error *err)
{
	struct kvm_enable_cap c = {.cap = cap, .args = {arg0}};

	return KVM_CALL(fd, KVM_ENABLE_CAP, &c, err);
}

int
kvm_open(int *ret_fd, struct error *err)
{
	static const struct {
		unsigned cap;
		const char *name;
	} needed[] = {
		{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
		{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
		{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
		{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
		{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
		{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
		{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
		{KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
		{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
	};
	cleanup_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "/dev/kvm");
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return error_set(err, ENOTSUP, "/dev/kvm: not API version %d", KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!kvm_cap(fd, needed[i].cap))
			return error_set(err, ENOTSUP, "/dev/kvm: this kernel lacks %s",
					 needed[i].name);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
kvm_create_vm(int kvm_fd, int *ret_fd, struct error *err)
{
	int r = KVM_CALL(kvm_fd, KVM_CREATE_VM, NULL, err);

	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

int
kvm_create_vcpu(int kvm_fd, int vm_fd, unsigned id, int *ret_fd, struct kvm_run **ret_run,
		size_t *ret_run_size, struct error *err)
{
	int size = KVM_CALL(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL, err);

	if (size < 0)
		return size;

	cleanup_close int fd = KVM_CALL(vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)id, err);

	if (fd < 0)
		return fd;

	void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (run == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map the run page of vcpu %u", id);
	*ret_run = run;
	*ret_run_size = (size_t)size;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
kvm_set_memory(int vm_fd, unsigned slot, uint64_t gpa, uint64_t size, void *hva, uint32_t flags,
	       struct error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return KVM_CALL(vm_fd, KVM_SET_USER_MEMORY_REGION, &region, err);
}

int
kvm_irq_line(int vm_fd, unsigned gsi, bool level)
{
	struct kvm_irq_level l = {.irq = gsi, .level = level};

	return ioctl(vm_fd, KVM_IRQ_LINE, &l) < 0 ? -errno : 0;
}

int
kvm_signal_msi(int vm_fd, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};
	int r = ioctl(vm_fd, KVM_SIGNAL_MSI, &msi);

	return r < 0 ? -errno : r > 0;
}

int
kvm_ioeventfd(int vm_fd, const struct kvm_doorbell *d, bool attach, struct error *err)
{
	struct kvm_ioeventfd io = {
		.datamatch = d->value,
		.addr = d->address,
		.len = d->size,
		.fd = d->fd,
		.flags = (d->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0U) |
			 (d->pio ? KVM_IOEVENTFD_FLAG_PIO : 0U) |
			 (attach ? 0U : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return KVM_CALL(vm_fd, KVM_IOEVENTFD, &io, err);
}

int
kvm_irqfd(int vm_fd, unsigned gsi, int fd, bool attach, struct error *err)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = attach ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return KVM_CALL(vm_fd, KVM_IRQFD, &irqfd, err);
}

int
kvm_irqfd_level(int vm_fd, unsigned gsi, int fd, int resample_fd, bool attach, struct error *err)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = attach ? KVM_IRQFD_FLAG_RESAMPLE : KVM_IRQFD_FLAG_DEASSIGN,
		.resamplefd = (uint32_t)resample_fd,
	};

	return KVM_CALL(vm_fd, KVM_IRQFD, &irqfd, err);
}

int
kvm_set_routing(int vm_fd, const struct kvm_irq_routing_entry *entries, unsigned n,
		struct error *err)
{
	cleanup_free struct kvm_irq_routing *r = xcalloc(1, sizeof(*r) + n * sizeof(*entries));

	r->nr = n;
	if (n)
		memcpy(r->entries, entries, n * sizeof(*entries));
	return KVM_CALL(vm_fd, KVM_SET_GSI_ROUTING, r, err);
}

/* The kernel says -E2BIG while the array is too small; it never needs more than a few hundred. */
static int
read_cpuid(int fd, unsigned long request, const char *name, struct kvm_cpuid2 **ret,
	   struct error *err)
{
	for (unsigned n = 128; n <= 4096; n *= 2) {
		cleanup_free struct kvm_cpuid2 *c =
			xcalloc(1, sizeof(*c) + n * sizeof(c->entries[0]));

		c->nent = n;
		if (ioctl(fd, request, c) == 0) {
			*ret = steal_ptr(&c);
			return 0;
		}
		if (errno != E2BIG)
			return error_set_errno(err, errno, "%s", name);
	}
	return error_set(err, E2BIG, "%s: more than 4096 leaves", name);
}

int
kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **ret, struct error *err)
{
	return read_cpuid(kvm_fd, KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID", ret, err);
}

int
kvm_supported_hv_cpuid(int kvm_fd, struct kvm_cpuid2 **ret, struct error *err)
{
	return read_cpuid(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, "KVM_GET_SUPPORTED_HV_CPUID", ret,
			  err);
}

int
kvm_set_cpuid(int vcpu_fd, const struct kvm_cpuid2 *cpuid, struct error *err)
{
	return KVM_CALL(vcpu_fd, KVM_SET_CPUID2, (void *)(uintptr_t)cpuid, err);
}

int
kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value, struct error *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = {.head = {.nmsrs = 1}, .entry = {.index = index, .data = value}};
	int r = KVM_CALL(vcpu_fd, KVM_SET_MSRS, &m, err);

	if (r == 0)
		return error_set(err, EINVAL, "KVM_SET_MSRS: MSR %#x refused", index);
	return r < 0 ? r : 0;
}

int
kvm_get_msr(int vcpu_fd, uint32_t index, uint64_t *ret, struct error *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = {.head = {.nmsrs = 1}, .entry = {.index = index}};
	int r = KVM_CALL(vcpu_fd, KVM_GET_MSRS, &m, err);

	if (r == 0)
		return error_set(err, EINVAL, "KVM_GET_MSRS: MSR %#x refused", index);
	if (r < 0)
		return r;
	*ret = m.entry.data;
	return 0;
}

int
kvm_tsc_khz(int vcpu_fd)
{
	int r = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	return r < 0 ? 0 : r;
}
