/*
 * Linux without firmware: the kernel's ELF segments are put where they ask to
 * be, and the processor starts at the PVH entry point in 32-bit mode with
 * the address of a start_info in EBX (Xen's documented boot ABI for HVM direct
 * boot, which every distribution kernel has).
 *
 * Low memory while the kernel starts:
 *
 *	0x06000  start_info, module list, memory map
 *	0x20000  command line
 *	0xe0000  ACPI tables, RSDP last; SMBIOS at 0xf0000 (reserved in the memory map)
 *	...      the kernel at its own addresses
 *	top      initial RAM disk, below the end of low memory
 */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "vmm/acpi/acpi.h"
#include "vmm/boot/boot.h"
#include "vmm/pci.h"
#include "vmm/smbios.h"
#include "vmm/vm.h"

#define START_INFO 0x6000
#define MODULES 0x6100
#define MEMORY_MAP 0x6200
#define COMMAND_LINE 0x20000
#define COMMAND_LINE_MAX 0x10000
#define ACPI_AREA 0xe0000
#define ACPI_AREA_SIZE 0x10000
#define SMBIOS_AREA 0xf0000
#define SMBIOS_AREA_SIZE 0x10000
#define EBDA 0x9fc00
#define PAGE 4096ULL

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t n_memory_map, reserved;
};

struct module {
	uint64_t address, size, cmdline, reserved;
};

struct memory_map {
	uint64_t address, size;
	uint32_t type, reserved;
};

enum { MAP_RAM = 1, MAP_RESERVED = 2 };

#define START_INFO_MAGIC 0x336ec578
#define XEN_ELFNOTE_PHYS32_ENTRY 18

/*
 * Puts len bytes of fd at gpa.  Mapping the file there would save the copy, but
 * keeps huge pages (memory.thp) away from the part of memory the kernel uses most.
 */
static int
load_range(struct vm *vm, int fd, uint64_t offset, uint64_t gpa, uint64_t len, struct error *err)
{
	uint8_t *to = mem_ptr(&vm->mem, gpa, len);
	uint64_t done = 0;

	if (len == 0)
		return 0;
	if (!to)
		return error_set(err, EFBIG, "%llu bytes at %#llx do not fit into the guest's memory",
				 (unsigned long long)len, (unsigned long long)gpa);
	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, EIO, "the kernel's file ends early");
		done += (uint64_t)n;
	}
	return 0;
}

static int
read_exact(int fd, void *buf, size_t len, uint64_t offset, struct error *err)
{
	if (pread(fd, buf, len, (off_t)offset) != (ssize_t)len)
		return error_set(err, EINVAL, "not a complete ELF file");
	return 0;
}

/* Notes: name and descriptor, each padded to four bytes. */
static int
find_entry(int fd, const Elf64_Phdr *ph, uint32_t *ret, struct error *err)
{
	uint8_t notes[8192];
	uint64_t len = ph->p_filesz < sizeof(notes) ? ph->p_filesz : sizeof(notes);
	uint64_t at = 0;
	int r = read_exact(fd, notes, len, ph->p_offset, err);

	if (r < 0)
		return r;
	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name, desc, next;

		memcpy(&n, notes + at, sizeof(n));
		name = at + sizeof(n);
		desc = name + ((n.n_namesz + 3ULL) & ~3ULL);
		next = desc + ((n.n_descsz + 3ULL) & ~3ULL);
		if (next > len)
			break;
		if (n.n_type == XEN_ELFNOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
		    memcmp(notes + name, "Xen", 4) == 0 && n.n_descsz >= 4) {
			memcpy(ret, notes + desc, 4);
			return 0;
		}
		at = next;
	}
	return 0;
}

static int
load_elf(struct vm *vm, int fd, uint32_t *ret_entry, uint64_t *ret_end, struct error *err)
{
	Elf64_Ehdr eh;
	uint32_t entry = 0;
	uint64_t end = 0;
	int r = read_exact(fd, &eh, sizeof(eh), 0, err);

	if (r < 0)
		return r;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum > 64)
		return error_set(err, EINVAL, "not a 64-bit x86 kernel");
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		r = read_exact(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph), err);
		if (r == 0 && ph.p_type == PT_NOTE)
			r = find_entry(fd, &ph, &entry, err);
		if (r == 0 && ph.p_type == PT_LOAD) {
			r = load_range(vm, fd, ph.p_offset, ph.p_paddr, ph.p_filesz, err);
			end = ph.p_paddr + ph.p_memsz > end ? ph.p_paddr + ph.p_memsz : end;
		}
		if (r < 0)
			return r;
	}
	if (!entry)
		return error_set(err, ENOTSUP, "the kernel has no PVH entry point (CONFIG_PVH)");
	*ret_entry = entry;
	*ret_end = end;
	return 0;
}

/* As high as it goes in low memory, out of the growing kernel's way. */
static int
load_initrd(struct vm *vm, const char *path, uint64_t kernel_end, struct module *ret,
	    struct error *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t size, at;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	size = (uint64_t)st.st_size;
	if (size > mem_low_size(&vm->mem) || (mem_low_size(&vm->mem) - size) < kernel_end + PAGE)
		return error_set(err, EFBIG, "%s: %lluM do not fit into the guest's memory", path,
				 (unsigned long long)(size >> 20));
	at = (mem_low_size(&vm->mem) - size) & ~(PAGE - 1);
	*ret = (struct module){.address = at, .size = size};
	return load_range(vm, fd, 0, at, size, err);
}

static unsigned
memory_map(struct vm *vm, struct memory_map *m)
{
	unsigned n = 0;
	uint64_t low = mem_low_size(&vm->mem), high = mem_high_size(&vm->mem);

	m[n++] = (struct memory_map){0, EBDA, MAP_RAM, 0};
	m[n++] = (struct memory_map){EBDA, 0xa0000 - EBDA, MAP_RESERVED, 0};
	m[n++] = (struct memory_map){ACPI_AREA, ACPI_AREA_SIZE + SMBIOS_AREA_SIZE, MAP_RESERVED,
				     0};
	m[n++] = (struct memory_map){0x100000, low - 0x100000, MAP_RAM, 0};
	m[n++] = (struct memory_map){PCI_ECAM_BASE, (vm->pci->max_bus + 1ULL) << 20,
				     MAP_RESERVED, 0};
	if (high)
		m[n++] = (struct memory_map){MEM_HIGH_BASE, high, MAP_RAM, 0};
	return n;
}

static int
place_acpi(struct vm *vm, uint64_t *ret_rsdp, struct error *err)
{
	struct acpi acpi;
	uint64_t rsdp = ACPI_AREA + ACPI_AREA_SIZE - 64;
	int r = 0;

	acpi_build(vm, &acpi);
	acpi_place(&acpi, ACPI_AREA);
	if (acpi.tables.len > ACPI_AREA_SIZE - 64 ||
	    !mem_write(&vm->mem, ACPI_AREA, acpi.tables.data, acpi.tables.len) ||
	    !mem_write(&vm->mem, rsdp, acpi.rsdp, sizeof(acpi.rsdp)))
		r = error_set(err, EFBIG, "the ACPI tables do not fit");
	acpi_done(&acpi);
	*ret_rsdp = rsdp;
	return r;
}

static int
place_smbios(struct vm *vm, struct error *err)
{
	struct smbios s;
	int r = 0;

	smbios_build(vm, &s);
	smbios_place(&s, SMBIOS_AREA + 32);
	if (s.tables.len > SMBIOS_AREA_SIZE - 32 ||
	    !mem_write(&vm->mem, SMBIOS_AREA, s.anchor, sizeof(s.anchor)) ||
	    !mem_write(&vm->mem, SMBIOS_AREA + 32, s.tables.data, s.tables.len))
		r = error_set(err, EFBIG, "the SMBIOS tables do not fit");
	smbios_done(&s);
	return r;
}

int
boot_linux(struct vm *vm, const char *kernel, struct error *err)
{
	const char *cache = config_get(vm->config, "boot.cache", "/var/cache/bhyve");
	const char *cmdline = config_get(vm->config, "boot.cmdline", "console=ttyS0");
	struct start_info si = {.magic = START_INFO_MAGIC, .version = 1, .cmdline = COMMAND_LINE,
				.memory_map = MEMORY_MAP};
	struct memory_map map[8];
	struct module initrd;
	cleanup_close int fd = -1;
	cleanup_free char *initrd_path = xstrdup(config_get(vm->config, "boot.initrd", NULL));
	uint32_t entry = 0;
	uint64_t end = 0;
	int r;

	if ((r = vmlinux_open(kernel, cache, &fd, err)) < 0)
		return r;
	if ((r = load_elf(vm, fd, &entry, &end, err)) < 0)
		return error_wrap(err, r, "%s", kernel);
	if (initrd_path) {
		r = load_initrd(vm, initrd_path, end, &initrd, err);
		if (r < 0)
			return r;
		si.n_modules = 1;
		si.modules = MODULES;
		mem_write(&vm->mem, MODULES, &initrd, sizeof(initrd));
	}
	if (strlen(cmdline) >= COMMAND_LINE_MAX)
		return error_set(err, E2BIG, "boot.cmdline is longer than %d bytes",
				 COMMAND_LINE_MAX - 1);
	if ((r = place_acpi(vm, &si.rsdp, err)) < 0 || (r = place_smbios(vm, err)) < 0)
		return r;
	si.n_memory_map = memory_map(vm, map);
	if (!mem_write(&vm->mem, COMMAND_LINE, cmdline, strlen(cmdline) + 1) ||
	    !mem_write(&vm->mem, MEMORY_MAP, map, si.n_memory_map * sizeof(map[0])) ||
	    !mem_write(&vm->mem, START_INFO, &si, sizeof(si)))
		return error_set(err, EFBIG, "the guest's memory is too small");
	return vcpu_set_entry(&vm->vcpu[0],
			      &(struct vcpu_entry){.mode = ENTRY_FLAT32, .rip = entry,
						   .rbx = START_INFO},
			      err);
}
