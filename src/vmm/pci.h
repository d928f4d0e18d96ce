/*
 * PCI: functions, their configuration space, BARs, MSI-X, and interrupt pins.
 *
 * A device is one file that defines a `struct pci_class` and one line in
 * dev/table.h.  Its instance struct starts with a struct pci_dev; the core
 * keeps configuration space, BAR placement, doorbells and MSI-X, and calls the
 * class for register accesses inside its BARs only.  bar_read and bar_write
 * run in vcpu threads, several at once: the device locks for itself.
 */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/irq.h"

struct vm;
struct pci_dev;
struct state;
struct strbuf;

#define PCI_ECAM_BASE 0xe0000000ULL
#define PCI_MEM32_BASE 0xc0000000ULL /* to the ECAM area */
#define PCI_MEM32_END PCI_ECAM_BASE
#define PCI_PORTS_BASE 0x2000
#define PCI_PORTS_END 0x10000
#define PCI_BARS 7 /* the last one is the expansion ROM */
enum { PCI_BAR_ROM = 6, PCI_CFG_SIZE = 256 };

enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

/* What an option of -s is called, what it takes, and what it is for; ends with a zero row. */
struct pci_opt {
	const char *name;
	const char *arg; /* "PATH", "0|1"; NULL for a flag */
	const char *help;
};

struct pci_class {
	const char *name;    /* what -s and pci.B.S.F.device say */
	const char *summary; /* one line for -s help */
	/* What the first word without '=' sets ("path"); NULL: there is none. */
	const char *main_opt;
	const struct pci_opt *opts;
	size_t size; /* of the instance */
	bool cfg_live;
	bool hotplug; /* may come and go while the guest runs */
	/* Optional: -s text to keys where it is more than main,key=value,flag. */
	int (*parse)(struct config *node, const char *text, struct error *err);
	int (*init)(struct pci_dev *d, struct config *node, struct error *err);
	void (*done)(struct pci_dev *d);
	uint64_t (*bar_read)(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size);
	void (*bar_write)(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size,
			  uint64_t value);
	/* After the core stored what is writable; optional. */
	void (*cfg_written)(struct pci_dev *d, unsigned offset, unsigned size);
	/*
	 * Before the core answers; optional.  It may not be asked until the guest first wrote
	 * behind the header, unless what is read there lives (cfg_live).
	 */
	void (*cfg_read)(struct pci_dev *d, unsigned offset, unsigned size);
	/* What stands behind it may have another size now; main thread, optional. */
	void (*refresh)(struct pci_dev *d);
	/* A BAR appeared or went away; optional. */
	void (*bar_mapped)(struct pci_dev *d, unsigned bar, bool mapped);
	/* Its state beyond the core's (state.h); NULL: it cannot be saved. */
	void (*state)(struct pci_dev *d, struct state *s);
};

struct pci_bar {
	enum pci_bar_type type;
	uint64_t size;
	uint64_t addr; /* what the guest programmed */
	bool mapped;
	struct bus_range range;
	struct pci_dev *dev;
	/* A BAR of memory: its host pages and, while mapped, the KVM slot. */
	void *ram;
	unsigned slot;
};

struct pci_doorbell {
	struct list_head link;
	unsigned bar;
	uint64_t offset;
	unsigned size;
	bool match;
	uint64_t value;
	int fd;
	bool attached;
};

struct pci_msix_vector {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
	bool pending;
	/* For back ends in the kernel: eventfd and route, attached while unmasked. */
	int fd;
	unsigned gsi;
	bool attached;
};

struct pci_dev {
	const struct pci_class *class;
	struct vm *vm;
	struct list_head link;
	uint8_t bus, slot, fn;
	uint8_t *cfg;			/* a page; the first PCI_CFG_SIZE bytes are there */
	uint8_t wmask[PCI_CFG_SIZE];	/* bits the guest may change */
	bool cfg_mapped;		/* the guest reads the page itself, in the ECAM area */
	unsigned cfg_slot;
	unsigned next_cap, last_cap;
	pthread_mutex_t lock; /* configuration space and BAR placement */
	struct pci_bar bar[PCI_BARS];
	struct list_head doorbells;

	pthread_mutex_t irq_lock; /* what follows */
	struct irq_pin pin;
	bool intx_wanted, intx_off; /* level asked for; command register bit 10 */
	struct {
		unsigned n, bar, cap;
		uint64_t table, pba; /* in the BAR */
		bool shared;	     /* what lies around them is the class's */
		bool enabled, masked;
		struct pci_msix_vector *v;
	} msix;
	struct {
		unsigned cap;
		bool enabled, level;
		uint64_t address;
		uint32_t data;
	} msi;
};

struct pci_root {
	struct vm *vm;
	struct list_head devs;
	unsigned max_bus;
	struct bus_range ports, ecam; /* 0xcf8..0xcff; memory-mapped configuration */
	uint32_t address;	      /* 0xcf8 */
	bool no_ports;		      /* ECAM alone: 0xcf8 is not answered */
	pthread_mutex_t lock;
};

int pci_root_new(struct vm *vm, struct pci_root **ret, struct error *err);
void pci_root_free(struct pci_root *root);

/* Every class there is, from dev/table.h; NULL-terminated. */
extern const struct pci_class *const pci_classes[];

/* "-s [bus:]slot[:fn],class[,options]" into pci.B.S.F.* */
int pci_parse_slot(struct config *config, const char *arg, struct error *err);
/* main,key=value,flag,... into keys of node, as the class's options say; for parse hooks. */
int pci_parse_opts(const struct pci_class *c, struct config *node, const char *text,
		   struct error *err);
void pci_list_classes(FILE *out);
/* Creates every pci.B.S.F of the configuration, and the ones every machine has. */
int pci_create_all(struct vm *vm, struct error *err);
/* One function; node may be an empty branch. */
int pci_create(struct vm *vm, const struct pci_class *class, unsigned bus, unsigned slot,
	       unsigned fn, struct config *node, struct pci_dev **ret, struct error *err);
/* "-s" text, for a running machine that is paused: the guest places its BARs. */
int pci_add(struct vm *vm, const char *arg, struct pci_dev **ret, struct error *err);
/* Main thread: pauses the machine, frees the device and its parts, forgets its keys. */
void pci_remove(struct pci_dev *d);
/* Gives every BAR an address, as firmware would; with enable, also turns decoding on. */
int pci_assign(struct vm *vm, bool enable, struct error *err);
struct pci_dev *pci_find(struct vm *vm, unsigned bus, unsigned slot, unsigned fn);
/* The device at "4", "4:0" or "0:4:0". */
int pci_find_text(struct vm *vm, const char *where, struct pci_dev **ret, struct error *err);
/* "0:4:0", for messages; buf of at least 16 bytes. */
const char *pci_where(const struct pci_dev *d, char *buf);

/* For init functions. */
void pci_set_ids(struct pci_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code,
		 uint8_t revision);
void pci_set_subsystem(struct pci_dev *d, uint16_t vendor, uint16_t device);
void pci_add_bar(struct pci_dev *d, unsigned bar, enum pci_bar_type type, uint64_t size);
/* A BAR of memory (prefetchable); *ret_hva is the device's view of it. */
int pci_add_ram_bar(struct pci_dev *d, unsigned bar, uint64_t size, void **ret_hva,
		    struct error *err);
/* A capability with `len` bytes behind id and next; returns its offset. */
unsigned pci_add_cap(struct pci_dev *d, uint8_t id, unsigned len);
int pci_add_msix(struct pci_dev *d, unsigned bar, unsigned n_vectors, struct error *err);
/* The same of a device that has the capability and the BAR already. */
int pci_set_msix(struct pci_dev *d, unsigned cap, struct error *err);
void pci_add_msi(struct pci_dev *d);
void pci_add_pin(struct pci_dev *d);
/* A write to the register rings fd; the fd stays the caller's. */
void pci_add_doorbell(struct pci_dev *d, unsigned bar, uint64_t offset, unsigned size, bool match,
		      uint64_t value, int fd);

/* Interrupts, from any thread. */
bool pci_msix_enabled(struct pci_dev *d);
void pci_msix_notify(struct pci_dev *d, unsigned vector);
/* An eventfd that makes the kernel send the vector itself; the core's, not to be closed. */
int pci_msix_fd(struct pci_dev *d, unsigned vector, int *ret_fd, struct error *err);
/* For devices with INTx or MSI: the level of the interrupt condition. */
void pci_irq_level(struct pci_dev *d, bool level);

static inline uint16_t
pci_get16(const struct pci_dev *d, unsigned off)
{
	return (uint16_t)(d->cfg[off] | d->cfg[off + 1] << 8);
}

static inline uint32_t
pci_get32(const struct pci_dev *d, unsigned off)
{
	return pci_get16(d, off) | (uint32_t)pci_get16(d, off + 2) << 16;
}

static inline void
pci_set16(struct pci_dev *d, unsigned off, uint16_t v)
{
	d->cfg[off] = (uint8_t)v;
	d->cfg[off + 1] = (uint8_t)(v >> 8);
}

static inline void
pci_set32(struct pci_dev *d, unsigned off, uint32_t v)
{
	pci_set16(d, off, (uint16_t)v);
	pci_set16(d, off + 2, (uint16_t)(v >> 16));
}

/* The core's part of a device's state, and then the class's. */
void pci_state(struct pci_dev *d, struct state *s);

/* Configuration space as the buses see it; for tests and fuzzers too. */
uint32_t pci_cfg_read(struct pci_dev *d, unsigned offset, unsigned size);
void pci_cfg_write(struct pci_dev *d, unsigned offset, unsigned size, uint32_t value);

#endif
