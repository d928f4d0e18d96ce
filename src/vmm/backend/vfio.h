/*
 * A PCI device of the host's through VFIO: its registers as places in one descriptor, its
 * interrupts as eventfds, and the guest's RAM as the memory it reaches.
 */
#ifndef VMM_BACKEND_VFIO_H
#define VMM_BACKEND_VFIO_H

#include <linux/vfio.h>

#include "vmm/pci.h"
#include "vmm/vm.h"

struct vfio_region {
	uint64_t size, offset; /* of read() and write() on fd; size 0: not there */
	bool mmap;
	/* The part that may be mapped; the rest must be trapped. */
	uint64_t map_from, map_to;
};

struct vfio_device {
	int fd;
	struct vfio_region region[VFIO_PCI_NUM_REGIONS];
	unsigned n_irqs[VFIO_PCI_NUM_IRQS];
};

/*
 * "0000:01:00.0", bound to vfio-pci.  group: the number of its IOMMU group, -1: as /sys says.
 * All RAM of the machine is mapped for the group's devices, and stays wired; the device is reset.
 */
int vfio_open(struct vm *vm, const char *host, int group, struct vfio_device *ret,
	      struct error *err);
void vfio_close(struct vfio_device *d);
/* Eventfds for n interrupts of an index (VFIO_PCI_*_IRQ_INDEX); n 0: none any more. */
int vfio_set_irqs(struct vfio_device *d, unsigned index, const int *fds, unsigned n,
		  struct error *err);
/* The device's line goes on when fd is written (INTx). */
int vfio_unmask_by(struct vfio_device *d, int fd, struct error *err);

#endif
