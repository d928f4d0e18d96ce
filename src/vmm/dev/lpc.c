/*
 * The LPC bridge: Intel's ICH9, behind which the ISA devices of isa/ live.
 * OVMF programs PMBASE and ACPI_CNTL; power management answers at its usual
 * address from the start, so they only hold what is written.
 */
#include <linux/pci_regs.h>

#include "vmm/device.h"

#define ICH9_LPC 0x2918
/* Registers; PIRQ_A begins two rows of four, at 0x60 and 0x68. */
enum { PMBASE = 0x40, ACPI_CNTL = 0x44, PIRQ_A = 0x60, GEN_PMCON = 0xa0, RCBA = 0xf0 };
#define PIRQ_OFF 0x80

static int
lpc_init(struct pci_dev *d, struct config *node, struct error *err)
{
	pci_set_ids(d, PCI_VENDOR_INTEL, ICH9_LPC, PCI_CLASS_BRIDGE_ISA, 2);
	/* It always decodes.  Firmware that reads otherwise looks for no serial port behind it. */
	pci_set16(d, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	d->wmask[PCI_COMMAND] = d->wmask[PCI_COMMAND + 1] = 0;
	pci_set32(d, PMBASE, 0x601);
	d->wmask[ACPI_CNTL] = 0x87;
	for (unsigned i = 0; i < 4; i++) {
		d->cfg[PIRQ_A + i] = d->cfg[PIRQ_A + 8 + i] = PIRQ_OFF;
		d->wmask[PIRQ_A + i] = d->wmask[PIRQ_A + 8 + i] = 0x8f;
	}
	memset(&d->wmask[GEN_PMCON], 0xff, 4);
	memset(&d->wmask[RCBA], 0xff, 4);
	return 0;
}

static const struct pci_opt opts[] = {{0}};

const struct pci_class pci_class_lpc = {
	.name = "lpc",
	.summary = "ISA bridge (every machine has one, at 0:31:0 unless named)",
	.opts = opts,
	.size = sizeof(struct pci_dev),
	.init = lpc_init,
	.state = state_none,
};
