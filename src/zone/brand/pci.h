/*
 * PCI devices of the node that are a guest's own (pci_devices): found by their path, bound to vfio-pci.
 */
#ifndef ZONE_BRAND_PCI_H
#define ZONE_BRAND_PCI_H

#include "base/error.h"

/*
 * The path ends in the device's address as Linux has it, 0000:01:00.0; what is before it (/sys/bus/pci/devices,
 * /devices) does not matter.
 */
int pci_address_of(const char *path, const char **ret, struct error *err);
/* sys: "/sys", or a tree that a test made.  Its driver is vfio-pci then; *ret_group is its IOMMU group. */
int pci_claim(const char *sys, const char *address, int *ret_group, struct error *err);

#endif
