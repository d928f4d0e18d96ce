/* Every PCI device of the machine, one line each; see struct pci_class in vmm/pci.h. */
PCI_CLASS_ROW(hostbridge)
PCI_CLASS_ROW(lpc)
PCI_CLASS_ROW(virtio_blk)
PCI_CLASS_ROW(virtio_console)
PCI_CLASS_ROW(virtio_rnd)
PCI_CLASS_ROW(virtio_net)
PCI_CLASS_ROW(virtio_net_viona)
PCI_CLASS_ROW(nvme)
