#include "vmm/boot/boot.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "vmm/flash.h"
#include "vmm/fwcfg.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

#define OVMF "/usr/share/OVMF/OVMF_CODE_4M.fd"
#define SEABIOS "/usr/share/seabios/bios-256k.bin"
#define SEABIOS_ECAM_BASE 0xb0000000ULL
#define ROM_MAX 0x40000 /* SeaBIOS is not larger */

/*
 * Names SmartOS uses for its ROMs, and where Debian keeps what does the same.
 * A path is taken as it is.
 */
static const struct {
	const char *name, *rom;
} roms[] = {
	{"uefi", OVMF},
	{"bios", SEABIOS},
	{"/usr/share/bhyve/uefi-rom.bin", OVMF},
	{"/usr/share/bhyve/uefi-csm-rom.bin", SEABIOS},
};

/* An image of that very name comes first. */
static const char *
find_rom(const char *name)
{
	for (size_t i = 0; access(name, R_OK) != 0 && i < ARRAY_SIZE(roms); i++)
		if (str_eq(roms[i].name, name))
			return roms[i].rom;
	return name;
}

/* SeaBIOS and OVMF want the ECAM area in different places, wherever their files come from. */
uint64_t
boot_ecam_base(struct config *config)
{
	const char *name = config ? config_get(config, "lpc.bootrom", NULL) : NULL;
	cleanup_free char *rom = NULL;
	cleanup_close int fd = -1;
	size_t len;

	/* A file that cannot be read is an error of boot_load(). */
	if (!name || file_open(find_rom(name), O_RDONLY, &fd, NULL) < 0 ||
	    file_read(find_rom(name), ROM_MAX, &rom, &len, NULL) < 0)
		return PCI_ECAM_BASE;
	return memmem(rom, len, "SeaBIOS", 7) ? SEABIOS_ECAM_BASE : PCI_ECAM_BASE;
}

static int
boot_firmware(struct vm *vm, const char *name, struct error *err)
{
	const char *vars = config_get(vm->config, "lpc.bootvars", NULL);
	int r = flash_create(vm, find_rom(name), vars, err);

	if (r == 0)
		r = fwcfg_describe(fwcfg_new(vm), err);
	return r < 0 ? r : vcpu_set_entry(&vm->vcpu[0], &(struct vcpu_entry){.mode = ENTRY_RESET},
					  err);
}

int
boot_load(struct vm *vm, struct error *err)
{
	const char *kernel = config_get(vm->config, "boot.kernel", NULL);

	const char *rom = config_get(vm->config, "lpc.bootrom", NULL);

	if (kernel && rom)
		return error_set(err, EINVAL, "boot.kernel and lpc.bootrom are both set");
	/* A machine that ran before brings its memory along. */
	if (kernel && config_get(vm->config, "restore", NULL))
		return 0;
	if (kernel)
		return boot_linux(vm, kernel, err);
	if (rom)
		return boot_firmware(vm, rom, err);
	return error_set(err, EINVAL,
			 "nothing to boot: expected -l kernel,FILE or -l bootrom,ROM[,VARS]");
}
