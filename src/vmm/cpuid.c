/*
 * What a processor says it is: the host's CPU as KVM offers it, with the
 * guest's topology, the local APIC's number, and the paravirtual clocks.
 */

#include "os/kvm.h"
#include "vmm/device.h"
#include "vmm/hyperv.h"

static unsigned
bits_for(unsigned n)
{
	unsigned b = 0;

	while ((1U << b) < n)
		b++;
	return b;
}

unsigned
vm_apic_id(const struct vm_topology *t, unsigned cpu)
{
	unsigned thread = cpu % t->threads;
	unsigned core = cpu / t->threads % t->cores;
	unsigned socket = cpu / (t->threads * t->cores);

	return ((socket << bits_for(t->cores)) | core) << bits_for(t->threads) | thread;
}

#define X2APIC (1U << 21)
#define TSC_DEADLINE (1U << 24)
#define HYPERVISOR (1U << 31)
#define HTT (1U << 28)

static void
leaf_1(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	const struct vm_topology *t = &v->vm->topology;
	unsigned logical = 1U << (bits_for(t->cores) + bits_for(t->threads));

	e->ebx = (e->ebx & 0x0000ffff) | (logical & 0xff) << 16 | v->apic_id << 24;
	e->ecx |= HYPERVISOR;
	if (kvm_cap(v->vm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER))
		e->ecx |= TSC_DEADLINE;
	/* One processor sends no interrupts to others, and saves what Linux does to switch over. */
	bool x2apic = t->cpus > 1;

	/* config.c has checked the word when the options were read. */
	(void)config_bool(v->vm->config, "x86.x2apic", x2apic, &x2apic, NULL);
	e->ecx = x2apic ? e->ecx | X2APIC : e->ecx & ~X2APIC;
	e->edx = logical > 1 ? e->edx | HTT : e->edx & ~HTT;
}

/* Deterministic cache parameters: who shares which cache, and cores in the package. */
static void
leaf_4(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	const struct vm_topology *t = &v->vm->topology;
	unsigned level = (e->eax >> 5) & 7;
	unsigned shared = bits_for(t->threads) + (level >= 3 ? bits_for(t->cores) : 0);

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax = (e->eax & 0x00003fff) | ((1U << shared) - 1) << 14 |
		 ((1U << bits_for(t->cores)) - 1) << 26;
}

static void
leaf_b(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	const struct vm_topology *t = &v->vm->topology;
	unsigned thread_bits = bits_for(t->threads);

	e->edx = v->apic_id;
	e->eax = e->ebx = 0;
	e->ecx = e->index;
	if (e->index == 0) {
		e->eax = thread_bits;
		e->ebx = t->threads;
		e->ecx |= 1 << 8;
	} else if (e->index == 1) {
		e->eax = thread_bits + bits_for(t->cores);
		e->ebx = t->threads * t->cores;
		e->ecx |= 2 << 8;
	}
}

static void
leaf_80000008(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	const struct vm_topology *t = &v->vm->topology;
	unsigned bits = bits_for(t->threads) + bits_for(t->cores);

	e->ecx = bits ? bits << 12 | (t->threads * t->cores - 1) : 0;
}

static void
leaf_8000001e(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	const struct vm_topology *t = &v->vm->topology;

	e->eax = v->apic_id;
	e->ebx = (t->threads - 1) << 8 | (v->apic_id >> bits_for(t->threads) & 0xff);
	e->ecx = 0;
}

static void
leaf_zero(const struct vcpu *v, struct kvm_cpuid_entry2 *e)
{
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

static const struct {
	uint32_t leaf;
	void (*fix)(const struct vcpu *, struct kvm_cpuid_entry2 *);
} fixes[] = {
	{0x1, leaf_1},
	{0x4, leaf_4},
	{0xa, leaf_zero}, /* no performance counters: nothing to migrate, nothing to leak */
	{0xb, leaf_b},
	{0x1f, leaf_b},
	{0x80000008, leaf_80000008},
	{0x8000001d, leaf_4},
	{0x8000001e, leaf_8000001e},
};

/* Frequencies in kHz where hypervisors put them, so that no guest has to measure. */
static void
add_timing(struct vcpu *v, struct kvm_cpuid2 *c)
{
	int khz = kvm_tsc_khz(v->fd);
	struct kvm_cpuid_entry2 *base = NULL;

	for (unsigned i = 0; i < c->nent; i++) {
		if (c->entries[i].function == 0x40000000)
			base = &c->entries[i];
	}
	if (!base || khz <= 0)
		return;
	base->eax = 0x40000010;
	c->entries[c->nent++] = (struct kvm_cpuid_entry2){
		.function = 0x40000010, .eax = (uint32_t)khz, .ebx = 1000000};
}

int
vcpu_set_cpuid(struct vcpu *v, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *host = NULL;
	int r;

	TRY(kvm_supported_cpuid(v->vm->kvm_fd, &host, err));

	/* One more for the leaf that add_timing() makes. */
	cleanup_free struct kvm_cpuid2 *c =
		xcalloc(1, sizeof(*c) + (host->nent + 1) * sizeof(c->entries[0]));

	memcpy(c, host, sizeof(*c) + host->nent * sizeof(c->entries[0]));
	for (unsigned i = 0; i < c->nent; i++) {
		for (size_t f = 0; f < ARRAY_SIZE(fixes); f++) {
			if (c->entries[i].function == fixes[f].leaf)
				fixes[f].fix(v, &c->entries[i]);
		}
	}
	add_timing(v, c);

	bool hyperv;

	r = config_bool(v->vm->config, "x86.hyperv", false, &hyperv, err);
	if (r == 0 && hyperv)
		r = hyperv_add(v, &c, err);
	if (r < 0)
		return r;
	return kvm_set_cpuid(v->fd, c, err);
}
