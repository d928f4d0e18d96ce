/*
 * The host bridge: Intel's Q35 (82G33 MCH), which stock OVMF and SeaBIOS
 * recognise by its device id.  The registers firmware programs hold what it
 * writes: PAM and SMRAM (the memory below 1 MiB is always RAM here) and the
 * address of the ECAM area, which does not move: it is from the start where the
 * firmware wants it (boot_ecam_base()).
 */
#include "vmm/device.h"

#define MCH_PCIEXBAR 0x60
#define MCH_PAM0 0x90 /* to 0x96 */
#define MCH_SMRAM 0x9d

/*
 * SmartOS passes model=i440fx; stock firmware needs the rest of that chip set
 * then (PIIX4 power management in 0:1.3).  One machine is enough: both names
 * give the Q35 bridge.  amd and netapp are bhyve's two others, for guests
 * booted without firmware.
 */
static const struct model {
	uint16_t vendor, device;
} models[] = {
	{PCI_VENDOR_INTEL, 0x29c0},
	{PCI_VENDOR_INTEL, 0x29c0},
	{PCI_VENDOR_AMD, 0x7432},
	{0x1275, 0x1275},
};

static int
hostbridge_init(struct pci_dev *d, struct config *node, struct error *err)
{
	static const char *const words[] = {"q35", "i440fx", "amd", "netapp", NULL};
	unsigned model;
	uint64_t vendor, device;

	TRY(config_enum(node, "model", words, 0, &model, err));
	TRY(config_u64(node, "vendor", 1, 0xfffe, models[model].vendor, &vendor, err));
	TRY(config_u64(node, "devid", 0, 0xffff, models[model].device, &device, err));
	pci_set_ids(d, (uint16_t)vendor, (uint16_t)device, PCI_CLASS_BRIDGE_HOST, 0);
	pci_set32(d, MCH_PCIEXBAR, (uint32_t)d->vm->pci->ecam.base | 1);
	memset(&d->wmask[MCH_PAM0], 0x33, 7);
	d->wmask[MCH_SMRAM] = 0x7f;
	return 0;
}

static int
amd_init(struct pci_dev *d, struct config *node, struct error *err)
{
	TRY(config_set(node, "model", "amd", err));
	return hostbridge_init(d, node, err);
}

static const struct pci_opt opts[] = {
	{"model", "q35|i440fx|amd|netapp", "which bridge the guest sees"},
	{"vendor", "ID", "PCI vendor id"},
	{"devid", "ID", "PCI device id"},
	{0},
};

const struct pci_class pci_class_hostbridge = {
	.name = "hostbridge",
	.summary = "host bridge (every machine has one, at 0:0:0 unless named)",
	.opts = opts,
	.size = sizeof(struct pci_dev),
	.init = hostbridge_init,
	.state = state_none,
};

const struct pci_class pci_class_amd_hostbridge = {
	.name = "amd_hostbridge",
	.summary = "the same with model=amd",
	.opts = opts,
	.size = sizeof(struct pci_dev),
	.init = amd_init,
	.state = state_none,
};
