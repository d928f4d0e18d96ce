/* PCI devices of the host's for a machine, whose RAM is the memory they reach. */
#ifndef VMM_BACKEND_VFIO_H
#define VMM_BACKEND_VFIO_H

#include "os/vfio.h"

struct vm;

/*
 * "0000:01:00.0", bound to vfio-pci.  group: the number of its IOMMU group, -1: as /sys says.
 * All RAM of the machine is mapped for the group's devices, and stays wired; the device is reset.
 */
int vfio_open(struct vm *vm, const char *host, int group, struct vfio_device *ret,
	      struct error *err);

#endif
