/*
 * fw_cfg: QEMU's way of handing numbered and named items to firmware, which
 * stock OVMF and SeaBIOS ask for memory, processors, ACPI and SMBIOS tables
 * and the boot order.
 */
#ifndef VMM_FWCFG_H
#define VMM_FWCFG_H

#include "base/error.h"

struct vm;
struct fwcfg;

/* Registers the ports; its vm_part frees it. */
struct fwcfg *fwcfg_new(struct vm *vm);
/* What every machine tells, and the files of -f.  Call once all devices are there. */
int fwcfg_describe(struct fwcfg *f, struct error *err);

#endif
