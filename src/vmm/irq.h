/*
 * Interrupts into the guest.
 *
 * The PIC, I/O APIC and local APICs are the kernel's.  A device has one of
 *  - a line: a level on a GSI that several devices may share (struct irq_pin);
 *  - a message (MSI): one ioctl from any thread;
 *  - a route: an eventfd the kernel turns into a message by itself (irqfd),
 *    for back ends in the kernel such as vhost.
 *
 * A machine without a processor (vm->fd < 0) only counts them, for tests.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define IRQ_GSIS 24		 /* I/O APIC pins */
#define IRQ_FIRST_ROUTE IRQ_GSIS /* GSIs above are messages */
#define IRQ_MAX_ROUTES 1024

struct irqs {
	int vm_fd;
	pthread_mutex_t lock;
	unsigned asserted[IRQ_GSIS]; /* how many pins pull the line up */
	struct irq_route {
		bool used, armed; /* armed: has a message and is in the kernel's table */
		uint64_t address;
		uint32_t data;
	} *route;
	unsigned n_routes;
	/* For tests: what was delivered. */
	uint64_t n_messages;
	uint64_t last_address;
	uint32_t last_data;
};

void irqs_init(struct irqs *q, int vm_fd);
void irqs_done(struct irqs *q);

/*
 * A machine without 8259s, for a guest that needs none.  Linux takes them for missing only when they do
 * not answer; then it neither programs them nor, for their sake, reads and masks all of the I/O APIC
 * (400 exits).  Whoever initialises them all the same has them.
 */
int irqs_without_pic(struct irqs *q, struct error *err);

struct irq_pin {
	struct irqs *irqs;
	unsigned gsi;
	bool level;
};
/* Idempotent: only changes count. */
void irq_pin_set(struct irq_pin *pin, bool level);

void irq_message(struct irqs *q, uint64_t address, uint32_t data);

/* A GSI whose message can be changed; for irqfd. */
int irq_route_new(struct irqs *q, unsigned *ret_gsi, struct error *err);
void irq_route_free(struct irqs *q, unsigned gsi);
int irq_route_set(struct irqs *q, unsigned gsi, uint64_t address, uint32_t data,
		  struct error *err);

#endif
