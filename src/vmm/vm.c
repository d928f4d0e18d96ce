/*
 * The machine, and the walk from a guest's write to a back end and back.
 *
 * THREADS
 *
 *  main      the event loop: signals, bhyvectl, consoles, VNC, timers.  It alone
 *            creates and frees, pauses and resumes.
 *  vcpu N    KVM_RUN in a loop.  Register accesses of its guest are emulated
 *            right there.
 *  I/O       one or more a disk (io_uring) or NIC without vhost; they see guest
 *            memory and their queues, no registers.
 *
 * A device's registers are guarded by the device's own lock, taken in its
 * handlers and released before it calls into the machine (irq_*, bus_*,
 * vm_end), which have locks of their own and call nobody back while they
 * hold them.  So there is one order: device, then machine, and no cycle.
 *
 * A WRITE TO A VIRTIO DISK'S DOORBELL, AND BACK
 *
 *  1. The driver puts a request into the ring and writes the queue's number
 *     to the notify register, an address in BAR 4 of a PCI function.
 *  2. While that BAR is enabled the address is registered with the kernel as a
 *     doorbell (pci.c, ioeventfd): the vcpu goes on at once, an eventfd
 *     becomes readable.  (Any other register is slower: KVM_RUN returns with
 *     KVM_EXIT_MMIO, vcpu.c asks the bus, bus.c finds the range of the BAR,
 *     pci.c calls the device's bar_write, virtio/virtio.c its register.)
 *  3. The disk's thread (dev/virtio_blk.c) wakes in io_uring_enter, since a
 *     read of that eventfd was in its ring.  virtq_pop() copies descriptors
 *     out of guest memory, checks every one against the RAM map, and gives
 *     a list of host addresses; the request becomes SQEs on the zvol.
 *  4. The completion comes out of the same io_uring_enter.  The status byte is
 *     written, virtq_push() advances the used ring, and if the driver asked
 *     for it (EVENT_IDX) pci_msix_notify() sends the vector's message:
 *     KVM_SIGNAL_MSI, into the vcpu's APIC, which runs the driver's handler.
 *  With vhost (dev/virtio_net.c) 2 to 4 are the kernel's alone: the doorbell is
 *  vhost's kick, and its call is an irqfd routed to the vector.
 *
 * RUNNING, PAUSED, ENDED
 *
 * `gate` is raised to stop the vcpus: each finds it before it enters the guest
 * and waits there.  A vcpu inside KVM_RUN is kicked by a signal whose handler
 * sets run->immediate_exit, which closes the gap between looking at the gate
 * and entering.  Parts (I/O threads) are paused after the vcpus, so nothing
 * new arrives, and resumed before them.
 *
 * A machine ends once, with a reason (enum vm_end): whoever calls vm_end()
 * first decides.  A reboot is an end too: this process leaves with status 0
 * and whoever supervises it (zhyve's way in SmartOS) starts it again, so every
 * boot begins with fresh devices and there is no device reset path to get wrong.
 */
#include "vmm/vm.h"

#include <cpuid.h>
#include <sched.h>
#include <signal.h>

#include "os/kvm.h"
#include "vmm/device.h"

/* Three pages just below the flash, out of every window, where Intel's real mode wants its TSS. */
#define TSS_ADDRESS 0xfeffd000
#define IDENTITY_MAP_ADDRESS 0xfeffc000ULL

static int
read_topology(struct config *config, struct vm_topology *t, struct error *err)
{
	uint64_t cpus, sockets, cores, threads;

	TRY(config_u64(config, "cpus", 1, VM_MAX_VCPUS, 0, &cpus, err));
	TRY(config_u64(config, "sockets", 1, VM_MAX_VCPUS, 0, &sockets, err));
	TRY(config_u64(config, "cores", 1, VM_MAX_VCPUS, 0, &cores, err));
	TRY(config_u64(config, "threads", 1, VM_MAX_VCPUS, 0, &threads, err));

	bool shaped = sockets || cores || threads;
	uint64_t product;

	sockets = sockets ? sockets : shaped || !cpus ? 1 : cpus;
	cores = cores ? cores : 1;
	threads = threads ? threads : 1;
	product = sockets * cores * threads;
	if (cpus && cpus != product)
		return error_set_path(err, EINVAL, "cpus",
				      "cpus=%llu is not sockets=%llu times cores=%llu times "
				      "threads=%llu",
				      (unsigned long long)cpus, (unsigned long long)sockets,
				      (unsigned long long)cores, (unsigned long long)threads);
	if (product > VM_MAX_VCPUS)
		return error_set_path(err, EINVAL, "cpus", "more than %d vcpus", VM_MAX_VCPUS);
	*t = (struct vm_topology){(unsigned)product, (unsigned)sockets, (unsigned)cores,
				  (unsigned)threads};
	return 0;
}

static int
create_kvm(struct vm *vm, struct error *err)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t identity = IDENTITY_MAP_ADDRESS;

	TRY(kvm_open(&vm->kvm_fd, err));
	TRY(kvm_create_vm(vm->kvm_fd, &vm->fd, err));
	TRY(KVM_CALL(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, err));
	TRY(KVM_CALL(vm->fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)TSS_ADDRESS, err));
	TRY(KVM_CALL(vm->fd, KVM_CREATE_IRQCHIP, NULL, err));
	TRY(KVM_CALL(vm->fd, KVM_CREATE_PIT2, &pit, err));
	/* Unknown MSRs fault in the guest unless it was asked otherwise (-w). */
	if (!vm->strict_msr && kvm_cap(vm->kvm_fd, KVM_CAP_X86_USER_SPACE_MSR))
		return kvm_enable_cap(vm->fd, KVM_CAP_X86_USER_SPACE_MSR,
				      KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL, err);
	return 0;
}

static struct vm *
vm_alloc(struct config *config, struct event_loop *loop)
{
	struct vm *vm = xcalloc(1, sizeof(*vm));

	vm->config = config;
	vm->loop = loop;
	vm->kvm_fd = vm->fd = vm->end_fd = vm->debug_fd = -1;
	vm->mem.vm_fd = -1;
	vm->end = VM_END_NONE;
	list_init(&vm->parts);
	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	pthread_mutex_init(&vm->state_lock, NULL);
	pthread_cond_init(&vm->state_change, NULL);
	vm->name = xstrdup(config_get(config, "name", "guest"));
	return vm;
}

static int
create_common(struct vm *vm, uint64_t ram_size, const struct mem_opts *opts, struct error *err)
{
	irqs_init(&vm->irqs, vm->fd);
	TRY(bell_new(&vm->end_fd, err));
	TRY(mem_init(&vm->mem, vm->fd, ram_size, opts, err));
	return pci_root_new(vm, &vm->pci, err);
}

int
vm_new_fake(struct config *config, uint64_t ram_size, struct vm **ret, struct error *err)
{
	cleanup_vm struct vm *vm = vm_alloc(config, NULL);

	vm->topology = (struct vm_topology){1, 1, 1, 1};
	TRY(create_common(vm, ram_size, &(struct mem_opts){0}, err));
	*ret = steal_ptr(&vm);
	return 0;
}

/*
 * QEMU's emulator, whose nested guests now and then hang with huge pages: an
 * emulated host tells what a hypervisor tells, and this one's name is known.
 */
bool
vm_inside_tcg(void)
{
	unsigned eax, name[3];

	__cpuid(1, eax, name[0], name[1], name[2]);
	if (!(name[1] >> 31)) /* no hypervisor: the leaf below is not one */
		return false;
	__cpuid(0x40000000, eax, name[0], name[1], name[2]);
	return memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0;
}

/* vcpu.N.cpuset of processors that there are not would be passed over. */
static int
check_pins(struct config *config, unsigned cpus, struct error *err)
{
	struct config *branch = config_find(config, "vcpu");
	uint64_t n;

	for (struct config *i = NULL; branch && (i = config_next(branch, i));)
		if (str_to_u64(config_name(i), 10, &n) < 0 || n >= cpus)
			return error_set(err, EINVAL, "vcpu.%s: expected a vcpu from 0 to %u",
					 config_name(i), cpus - 1);
	return 0;
}

int
vm_new(struct config *config, struct event_loop *loop, struct vm **ret, struct error *err)
{
	cleanup_vm struct vm *vm = vm_alloc(config, loop);
	struct mem_opts opts = {0};
	uint64_t ram_size;

	TRY(read_topology(config, &vm->topology, err));
	TRY(check_pins(config, vm->topology.cpus, err));
	TRY(config_size(config, "memory.size", 256ULL << 20, &ram_size, err));
	TRY(config_bool(config, "memory.wired", false, &opts.wired, err));
	TRY(config_bool(config, "memory.guest_in_core", false, &opts.in_core, err));
	TRY(config_bool(config, "memory.hugepages", false, &opts.huge, err));
	TRY(config_bool(config, "memory.thp", !vm_inside_tcg(), &opts.thp, err));
	TRY(config_bool(config, "x86.strictio", false, &vm->strict_io, err));
	TRY(config_bool(config, "x86.strictmsr", true, &vm->strict_msr, err));
	TRY(create_kvm(vm, err));
	TRY(create_common(vm, ram_size, &opts, err));
	vm->vcpu = xcalloc(vm->topology.cpus, sizeof(*vm->vcpu));
	for (unsigned i = 0; i < vm->topology.cpus; i++)
		vm->vcpu[i] = (struct vcpu){.vm = vm, .id = i, .fd = -1};
	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		TRY(vcpu_init(&vm->vcpu[i], err));
	}
	*ret = steal_ptr(&vm);
	return 0;
}

static void
join_vcpus(struct vm *vm)
{
	for (unsigned i = 0; vm->vcpu && i < vm->topology.cpus; i++) {
		if (!vm->vcpu[i].started)
			continue;
		pthread_join(vm->vcpu[i].thread, NULL);
		vm->vcpu[i].started = false;
	}
}

void
vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_end(vm, VM_END_HALT, NULL);
	join_vcpus(vm);
	vm_free_parts(vm, NULL);
	pci_root_free(vm->pci);
	for (unsigned i = 0; vm->vcpu && i < vm->topology.cpus; i++)
		vcpu_done(&vm->vcpu[i]);
	free(vm->vcpu);
	mem_done(&vm->mem);
	irqs_done(&vm->irqs);
	bus_done(&vm->pio);
	bus_done(&vm->mmio);
	cleanup_closep(&vm->end_fd);
	cleanup_closep(&vm->fd);
	cleanup_closep(&vm->kvm_fd);
	pthread_cond_destroy(&vm->state_change);
	pthread_mutex_destroy(&vm->state_lock);
	free(vm->end_message);
	free(vm->name);
	free(vm);
}

void
vm_add_part(struct vm *vm, const struct vm_part *part)
{
	struct vm_part *p = xmemdup(part, sizeof(*part));

	p->owner = vm->part_owner;
	list_add_tail(&vm->parts, &p->link);
}

void *
vm_find_part(struct vm *vm, const char *name)
{
	struct vm_part *p;

	list_for_each(p, &vm->parts, link) {
		if (str_eq(p->name, name))
			return p->arg;
	}
	return NULL;
}

void
vm_free_parts(struct vm *vm, const struct pci_dev *owner)
{
	struct list_head *at = vm->parts.prev;

	while (at != &vm->parts) {
		struct vm_part *part = list_entry(at, struct vm_part, link);

		at = at->prev;
		if (owner && part->owner != owner)
			continue;
		list_del(&part->link);
		if (part->free)
			part->free(part->arg);
		free(part);
	}
}

/* vcpus need little: handlers keep nothing large on the stack. */
#define VCPU_STACK (256 * 1024)

/* vcpu.N.cpuset: the host CPU a vcpu stays on. */
static int
pin(struct vcpu *v, struct error *err)
{
	cleanup_free char *key = str_printf("vcpu.%u.cpuset", v->id);
	uint64_t cpu;
	cpu_set_t set;
	int r = config_u64(v->vm->config, key, 0, CPU_SETSIZE - 1, CPU_SETSIZE, &cpu, err);

	if (r < 0 || cpu == CPU_SETSIZE)
		return r;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	r = pthread_setaffinity_np(v->thread, sizeof(set), &set);
	return r ? error_set_errno(err, r, "%s", key) : 0;
}

int
vm_start(struct vm *vm, struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int code = 0;

	/* Signals are the main thread's, but for the kick and a thread's own fault. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGRTMIN);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < vm->topology.cpus && code == 0; i++) {
		struct vcpu *v = &vm->vcpu[i];

		code = pthread_create(&v->thread, &attr, vcpu_thread, v);
		v->started = code == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (code) {
		vm_end(vm, VM_END_ERROR, "cannot start the vcpus");
		return error_set_errno(err, code, "cannot start a vcpu's thread");
	}
	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		TRY(pin(&vm->vcpu[i], err));
	}
	return 0;
}

static void
kick_all(struct vm *vm)
{
	for (unsigned i = 0; vm->vcpu && i < vm->topology.cpus; i++)
		vcpu_kick(&vm->vcpu[i]);
}

static bool
all_parked(struct vm *vm)
{
	for (unsigned i = 0; i < vm->topology.cpus; i++) {
		if (vm->vcpu && vm->vcpu[i].started && !vm->vcpu[i].parked)
			return false;
	}
	return true;
}

void
vm_pause(struct vm *vm)
{
	struct vm_part *part;

	pthread_mutex_lock(&vm->state_lock);
	if (vm->paused) {
		pthread_mutex_unlock(&vm->state_lock);
		return;
	}
	vm->paused = true;
	atomic_store(&vm->gate, 1);
	kick_all(vm);
	while (!all_parked(vm))
		pthread_cond_wait(&vm->state_change, &vm->state_lock);
	pthread_mutex_unlock(&vm->state_lock);
	list_for_each(part, &vm->parts, link) {
		if (part->pause)
			part->pause(part->arg);
	}
}

void
vm_resume(struct vm *vm)
{
	struct vm_part *part;

	if (!vm->paused)
		return;
	list_for_each(part, &vm->parts, link) {
		if (part->resume)
			part->resume(part->arg);
	}
	/* The guest's watchdogs learn that the time it stood still was not its own. */
	for (unsigned i = 0; vm->vcpu && i < vm->topology.cpus; i++)
		(void)ioctl(vm->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0); /* fails without kvmclock: no need */
	scoped_lock(&vm->state_lock);
	vm->paused = false;
	atomic_store(&vm->gate, vm->ended);
	pthread_cond_broadcast(&vm->state_change);
}

void
vm_end(struct vm *vm, enum vm_end how, const char *fmt, ...)
{
	va_list ap;

	scoped_lock(&vm->state_lock);
	if (!vm->ended) {
		vm->ended = true;
		vm->end = how;
		if (fmt) {
			va_start(ap, fmt);
			vm->end_message = str_vprintf(fmt, ap);
			va_end(ap);
		}
		atomic_store(&vm->gate, 1);
		pthread_cond_broadcast(&vm->state_change);
		kick_all(vm);
		if (vm->end_fd >= 0)
			bell_ring(vm->end_fd);
	}
}

bool
vm_ended(struct vm *vm)
{
	scoped_lock(&vm->state_lock);
	return vm->ended;
}

enum vm_end
vm_wait(struct vm *vm)
{
	struct pollfd p = {.fd = vm->end_fd, .events = POLLIN};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	join_vcpus(vm);
	return vm->end;
}

void
vcpu_stop(struct vcpu *v, bool stop)
{
	struct vm *vm = v->vm;

	scoped_lock(&vm->state_lock);
	v->stopped = stop;
	if (stop)
		atomic_store(&vm->gate, 1);
}

bool
vcpu_gate(struct vcpu *v)
{
	struct vm *vm = v->vm;
	bool go;

	if (!atomic_load_explicit(&vm->gate, memory_order_acquire))
		return true;
	scoped_lock(&vm->state_lock);
	v->parked = true;
	pthread_cond_broadcast(&vm->state_change);
	while ((vm->paused || v->stopped) && !vm->ended)
		pthread_cond_wait(&vm->state_change, &vm->state_lock);
	v->parked = false;
	go = !vm->ended;
	/* A thread that ends stays parked for a vm_pause() that waits. */
	if (!go)
		v->parked = true;
	return go;
}

int
vm_nmi(struct vm *vm, struct error *err)
{
	/* A vcpu that runs, or sleeps in the kernel, holds its lock: the call would wait for it. */
	scoped_pause(vm);
	for (unsigned i = 0; i < vm->topology.cpus; i++)
		TRY(KVM_CALL(vm->vcpu[i].fd, KVM_NMI, NULL, err));
	return 0;
}
