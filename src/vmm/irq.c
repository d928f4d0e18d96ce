#include "vmm/irq.h"

#include "os/kvm.h"
#include "vmm/device.h"

/* Interrupts are sent from anywhere; a back end in the kernel gets an eventfd for its own. */
SANDBOX_NEEDS(SANDBOX_ALL, "ioctl", "eventfd2");

void
irqs_init(struct irqs *q, int vm_fd)
{
	*q = (struct irqs){.vm_fd = vm_fd};
	pthread_mutex_init(&q->lock, NULL);
}

void
irqs_done(struct irqs *q)
{
	pthread_mutex_destroy(&q->lock);
	free(q->route);
}

#define PIC_DEAF 0xff /* no state of its initialisation that takes a write but the first word's */

int
irqs_without_pic(struct irqs *q, struct error *err)
{
	static const unsigned chips[] = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE};

	for (size_t i = 0; q->vm_fd >= 0 && i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip chip = {.chip_id = chips[i]};

		TRY(KVM_CALL(q->vm_fd, KVM_GET_IRQCHIP, &chip, err));
		chip.chip.pic.init_state = chip.chip.pic.imr = PIC_DEAF;
		TRY(KVM_CALL(q->vm_fd, KVM_SET_IRQCHIP, &chip, err));
	}
	return 0;
}

void
irq_pin_set(struct irq_pin *pin, bool level)
{
	struct irqs *q = pin->irqs;

	scoped_lock(&q->lock);
	if (pin->level != level) {
		unsigned before = q->asserted[pin->gsi];
		unsigned after = level ? before + 1 : before - 1;

		pin->level = level;
		q->asserted[pin->gsi] = after;
		if (q->vm_fd >= 0 && !before != !after)
			(void)kvm_irq_line(q->vm_fd, pin->gsi, after > 0);
	}
}

void
irq_message(struct irqs *q, uint64_t address, uint32_t data)
{
	/* The guest chose address and data: one that reaches no CPU is its own loss. */
	if (q->vm_fd >= 0) {
		(void)kvm_signal_msi(q->vm_fd, address, data);
		return;
	}
	scoped_lock(&q->lock);
	q->n_messages++;
	q->last_address = address;
	q->last_data = data;
}

/*
 * The kernel's whole table: the wires of a PC (ISA lines to the PICs and the
 * I/O APIC, with the timer on pin 2), then the messages.
 */
static int
commit(struct irqs *q, struct error *err)
{
	if (q->vm_fd < 0)
		return 0;

	cleanup_free struct kvm_irq_routing_entry *e =
		xcalloc(16 + IRQ_GSIS + q->n_routes, sizeof(*e));
	unsigned n = 0;

	for (unsigned gsi = 0; gsi < IRQ_GSIS; gsi++) {
		if (gsi < 16 && gsi != 2)
			e[n++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = {gsi < 8 ? KVM_IRQCHIP_PIC_MASTER
						      : KVM_IRQCHIP_PIC_SLAVE,
					      gsi % 8}};
		if (gsi != 2)
			e[n++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = {KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi}};
	}
	for (unsigned i = 0; i < q->n_routes; i++) {
		const struct irq_route *r = &q->route[i];

		if (r->armed)
			e[n++] = (struct kvm_irq_routing_entry){
				.gsi = IRQ_FIRST_ROUTE + i,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = {(uint32_t)r->address, (uint32_t)(r->address >> 32),
					  r->data, {0}}};
	}
	return kvm_set_routing(q->vm_fd, e, n, err);
}

int
irq_route_new(struct irqs *q, unsigned *ret_gsi, struct error *err)
{
	int r = 0;

	scoped_lock(&q->lock);

	unsigned i = 0;

	while (i < q->n_routes && q->route[i].used)
		i++;
	if (i == IRQ_MAX_ROUTES) {
		r = error_set(err, ENOSPC, "more than %d interrupt routes", IRQ_MAX_ROUTES);
	} else {
		if (i == q->n_routes)
			q->route = xreallocarray(q->route, ++q->n_routes, sizeof(*q->route));
		q->route[i] = (struct irq_route){.used = true};
		*ret_gsi = IRQ_FIRST_ROUTE + i;
	}
	return r;
}

void
irq_route_free(struct irqs *q, unsigned gsi)
{
	scoped_lock(&q->lock);
	q->route[gsi - IRQ_FIRST_ROUTE] = (struct irq_route){0};
}

int
irq_route_set(struct irqs *q, unsigned gsi, uint64_t address, uint32_t data, struct error *err)
{
	struct irq_route *route;
	int r = 0;

	scoped_lock(&q->lock);
	route = &q->route[gsi - IRQ_FIRST_ROUTE];
	if (!route->armed || route->address != address || route->data != data) {
		route->armed = true;
		route->address = address;
		route->data = data;
		r = commit(q, err);
	}
	return r;
}
