/*
 * PCI devices of the host's in the hands of a program (VFIO): a container has an IOMMU's page
 * table, groups of devices join it, and a device is registers as places in one descriptor and
 * interrupts as eventfds.
 */
#ifndef OS_VFIO_H
#define OS_VFIO_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

int vfio_container_open(int *ret_fd, struct error *err);
/* Of the device at "0000:01:00.0", as /sys says. */
int vfio_group_of(const char *host, int *ret, struct error *err);
/* Joins the container; after the first one has, memory can be mapped. */
int vfio_group_open(int container, int group, bool first, int *ret_fd, struct error *err);
/* The devices of all groups find size bytes at p under the address `at`. */
int vfio_map(int container, uint64_t at, void *p, uint64_t size, struct error *err);

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

/* "0000:01:00.0", bound to vfio-pci, of a group that has joined; it is reset. */
int vfio_device_open(int group_fd, const char *host, struct vfio_device *ret, struct error *err);
void vfio_close(struct vfio_device *d);
/* Eventfds for n interrupts of an index (VFIO_PCI_*_IRQ_INDEX); n 0: none any more. */
int vfio_set_irqs(struct vfio_device *d, unsigned index, const int *fds, unsigned n,
		  struct error *err);
/* The device's line goes on when fd is written (INTx). */
int vfio_unmask_by(struct vfio_device *d, int fd, struct error *err);

#endif
