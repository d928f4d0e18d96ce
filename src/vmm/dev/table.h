/* Every PCI device of the machine, one line each; see struct pci_class in vmm/pci.h. */
PCI_CLASS_ROW(hostbridge)
PCI_CLASS_ROW(lpc)
