/* The PCI numbers the machine's devices say of themselves. */
#ifndef VMM_PCI_IDS_H
#define VMM_PCI_IDS_H

#define PCI_VENDOR_AMD 0x1022
#define PCI_VENDOR_INTEL 0x8086
#define PCI_VENDOR_VIRTIO 0x1af4
#define PCI_VENDOR_REDHAT 0x1b36

/* Base class, subclass, programming interface. */
#define PCI_CLASS_STORAGE_SCSI 0x010000
#define PCI_CLASS_STORAGE_SATA 0x010601
#define PCI_CLASS_STORAGE_NVME 0x010802
#define PCI_CLASS_NETWORK 0x020000
#define PCI_CLASS_DISPLAY 0x038000
#define PCI_CLASS_BRIDGE_HOST 0x060000
#define PCI_CLASS_BRIDGE_ISA 0x060100
#define PCI_CLASS_SERIAL_OTHER 0x078000
#define PCI_CLASS_USB_XHCI 0x0c0330
#define PCI_CLASS_OTHER 0xff0000

#endif
