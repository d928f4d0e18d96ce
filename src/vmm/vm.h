/*
 * The machine: memory, buses, interrupts, processors, and how it ends.
 * vm.c opens with the theory.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/list.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/irq.h"
#include "vmm/mem.h"
#include "vmm/state.h"

struct display;
struct kvm_run;
struct pci_dev;
struct pci_root;
struct vm;

#define VM_MAX_VCPUS 240

/* How a machine ends; the values are bhyve's exit statuses. */
enum vm_end {
	VM_END_REBOOT = 0,
	VM_END_POWEROFF = 1,
	VM_END_HALT = 2,
	VM_END_TRIPLE_FAULT = 3,
	VM_END_ERROR = 4,
	VM_END_NONE = -1,
};

struct vm_topology {
	unsigned cpus, sockets, cores, threads;
};

/* Threads, cores and sockets each take whole bits of an APIC id, as CPUID describes them. */
unsigned vm_apic_id(const struct vm_topology *t, unsigned cpu);

struct vcpu {
	struct vm *vm;
	unsigned id;	  /* 0, 1, 2... */
	unsigned apic_id; /* also KVM's number for it */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool started; /* the thread exists */
	bool parked;  /* under vm->state_lock */
	bool stopped; /* by itself, at a breakpoint; under vm->state_lock */
	uint64_t exits[64];
};

/*
 * A part of the machine that must stop while it is paused and be put away in
 * the end (I/O threads, back ends).  Called in the main thread.
 */
struct vm_part {
	const char *name;
	void (*pause)(void *arg);  /* returns when it no longer touches guest memory; may be NULL */
	void (*resume)(void *arg); /* may be NULL */
	void (*free)(void *arg);   /* may be NULL */
	state_fn *state;	   /* what of it is saved; NULL: nothing (state.h) */
	void *arg;
	struct pci_dev *owner; /* set by vm_add_part(): in whose init() it was added, or NULL */
	struct list_head link;
};

struct vm {
	char *name;
	int kvm_fd, fd; /* -1: a machine without processors, for tests and fuzzers */
	struct config *config;	 /* borrowed */
	struct event_loop *loop; /* borrowed; the main thread's; NULL in some tests */
	struct mem mem;
	struct bus pio, mmio;
	struct irqs irqs;
	struct pci_root *pci;
	struct display *display; /* display_of() makes it */
	struct list_head parts; /* in order of creation; freed backwards */
	struct pci_dev *part_owner; /* whose init() runs */

	struct vm_topology topology;
	struct vcpu *vcpu;
	bool no_pm_timer; /* what boots knows the time without: not told in the FADT */
	bool no_pic;	  /* not told in the MADT */
	bool strict_io, strict_msr;

	/* Running, pausing, ending. */
	pthread_mutex_t state_lock;
	pthread_cond_t state_change;
	atomic_int gate; /* != 0: vcpus must stop at vcpu_gate() */
	bool paused, ended;
	enum vm_end end;
	char *end_message;
	int debug_fd; /* eventfd: a vcpu met a breakpoint; -1: nobody debugs */
	int end_fd; /* eventfd: readable once the machine ended */
};

/*
 * Makes the machine that config describes, without devices: memory.size,
 * cpus...  vm_new_fake() has memory and buses, but no processor and no KVM.
 */
int vm_new(struct config *config, struct event_loop *loop, struct vm **ret, struct error *err);
int vm_new_fake(struct config *config, uint64_t ram_size, struct vm **ret, struct error *err);
void vm_free(struct vm *vm);
DEFINE_CLEANUP(vm_free, struct vm *);
#define cleanup_vm CLEANUP(vm_freep)

/* Defaults differ where nested guests are known to hang: vm.c. */
bool vm_inside_tcg(void);
void vm_add_part(struct vm *vm, const struct vm_part *part);
/* The first one's arg of that name; NULL: there is none. */
void *vm_find_part(struct vm *vm, const char *name);
/* Of one device, or all (NULL), backwards. */
void vm_free_parts(struct vm *vm, const struct pci_dev *owner);

/* Starts every vcpu's thread; application processors wait for INIT and SIPI. */
int vm_start(struct vm *vm, struct error *err);
/* From the main thread; no vcpu runs and no device touches memory once vm_pause() returned. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* Paused to the end of the scope, and then as it was before. */
static inline struct vm *
vm_pause_once(struct vm *vm)
{
	if (vm->paused)
		return NULL;
	vm_pause(vm);
	return vm;
}
DEFINE_CLEANUP(vm_resume, struct vm *);
#define scoped_pause(vm) \
	__attribute__((unused)) CLEANUP(vm_resumep) struct vm *paused_here = vm_pause_once(vm)
/* From any thread: the first one decides.  message (may be NULL) says why, for VM_END_ERROR. */
void vm_end(struct vm *vm, enum vm_end how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool vm_ended(struct vm *vm);
/* Waits for the end (by end_fd, without the loop) and stops the vcpus. */
enum vm_end vm_wait(struct vm *vm);
/* Non-maskable interrupt to every vcpu. */
int vm_nmi(struct vm *vm, struct error *err);

/* Where the first processor begins. */
struct vcpu_entry {
	enum { ENTRY_RESET, ENTRY_REAL, ENTRY_FLAT32, ENTRY_LONG64 } mode;
	uint64_t rip, rsp, rbx, rsi;
	uint64_t cr3; /* ENTRY_LONG64: the guest's page tables */
};
int vcpu_set_entry(struct vcpu *v, const struct vcpu_entry *entry, struct error *err);

/* Within vm.c and vcpu.c. */
int vcpu_init(struct vcpu *v, struct error *err);
void vcpu_done(struct vcpu *v);
void *vcpu_thread(void *vcpu);
void vcpu_kick(struct vcpu *v);
/* Stays at its gate, also while the machine runs, until it is let go. */
void vcpu_stop(struct vcpu *v, bool stop);
/* Waits while the machine is paused; false when the thread must end. */
bool vcpu_gate(struct vcpu *v);
/* The CPUID table and model-specific registers a vcpu starts with (cpuid.c). */
int vcpu_set_cpuid(struct vcpu *v, struct error *err);

#endif
