/*
 * Linux without firmware: the kernel's ELF segments are put where they ask to
 * be, and the processor starts in one of two ways:
 *
 *  - what came out of a bzImage at its 64-bit entry point, with the address of a
 *    boot_params in RSI and the first GiB mapped (boot.linux64).
 *  - anything else at its PVH entry point in 32-bit mode with the address of a start_info
 *    in EBX (Xen's boot ABI for HVM direct boot, which FreeBSD has, too).  There Linux
 *    looks for Xen in 256 CPUID leaves first, each of which is an exit.
 *
 * Low memory while the kernel starts:
 *
 *	0x06000  start_info, module list, memory map; or boot_params
 *	0x09000  page tables, three pages
 *	0x20000  command line
 *	0xe0000  ACPI tables, RSDP last; SMBIOS at 0xf0000 (reserved in the memory map)
 *	...      the kernel at its own addresses
 *	top      initial RAM disk, below the end of low memory
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "vmm/acpi/acpi.h"
#include "vmm/boot/boot.h"
#include "vmm/pci.h"
#include "vmm/smbios.h"
#include "vmm/vm.h"

enum {
	START_INFO = 0x6000, MODULES = 0x6100, MEMORY_MAP = 0x6200, BOOT_PARAMS = 0x6000,
	PAGE_TABLES = 0x9000, COMMAND_LINE = 0x20000, COMMAND_LINE_MAX = 0x10000, EBDA = 0x9fc00,
	ACPI_AREA = 0xe0000, ACPI_AREA_SIZE = 0x10000, SMBIOS_AREA = 0xf0000, SMBIOS_AREA_SIZE = 0x10000
};
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

static int
copy_piece(struct vm *vm, int fd, const struct boot_piece *p, struct error *err)
{
	uint8_t *to = mem_ptr(&vm->mem, p->gpa, p->len);
	uint64_t skip = p->offset % PAGE;
	struct stat st;
	uint8_t *from;

	if (p->len == 0)
		return 0;
	if (!to)
		return error_set(err, EFBIG, "%llu bytes at %#llx do not fit into the guest's memory",
				 (unsigned long long)p->len, (unsigned long long)p->gpa);
	if (fstat(fd, &st) < 0 || p->offset > (uint64_t)st.st_size ||
	    p->len > (uint64_t)st.st_size - p->offset)
		return error_set(err, EIO, "the kernel's file ends early");
	/* pread(2) would go through the page cache page by page; a mapping takes sixteen a fault. */
	from = mmap(NULL, p->len + skip, PROT_READ, MAP_PRIVATE, fd, (off_t)(p->offset - skip));
	if (from == MAP_FAILED)
		return error_set_errno(err, errno, "cannot map the kernel's file");
	memcpy(to, from + skip, p->len);
	munmap(from, p->len + skip);
	return 0;
}

/* Maps what a file has for guest memory where that can be done (image.c), copies it otherwise. */
static int
load_pieces(struct vm *vm, int fd, const struct boot_piece *piece, unsigned n, struct error *err)
{
	int r = image_map(vm, fd, piece, n, err);

	if (r != -ENOTSUP)
		return r;
	error_done(err);
	r = 0;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = copy_piece(vm, fd, &piece[i], err);
	return r;
}

static int
read_exact(int fd, void *buf, size_t len, uint64_t offset, struct error *err)
{
	if (pread(fd, buf, len, (off_t)offset) != (ssize_t)len)
		return error_set(err, EINVAL, "not a complete ELF file");
	return 0;
}

struct kernel {
	uint64_t entry, end; /* 64-bit entry point; the first byte behind it */
	uint32_t pvh;	     /* 0: it has none */
};

/* Notes: name and descriptor, each padded to four bytes. */
static int
find_entry(int fd, const Elf64_Phdr *ph, uint32_t *ret, struct error *err)
{
	uint8_t notes[8192];
	uint64_t len = ph->p_filesz < sizeof(notes) ? ph->p_filesz : sizeof(notes);
	uint64_t at = 0;

	TRY(read_exact(fd, notes, len, ph->p_offset, err));
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

#define MAX_SEGMENTS 64

static int
load_elf(struct vm *vm, int fd, struct kernel *ret, struct error *err)
{
	struct boot_piece load[MAX_SEGMENTS];
	struct kernel k = {0};
	unsigned n = 0;
	Elf64_Ehdr eh;
	int r;

	TRY(read_exact(fd, &eh, sizeof(eh), 0, err));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum > MAX_SEGMENTS)
		return error_set(err, EINVAL, "not a 64-bit x86 kernel");
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		r = read_exact(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph), err);
		if (r == 0 && ph.p_type == PT_NOTE)
			r = find_entry(fd, &ph, &k.pvh, err);
		if (r < 0)
			return r;
		if (ph.p_type != PT_LOAD)
			continue;
		load[n++] = (struct boot_piece){ph.p_offset, ph.p_paddr, ph.p_filesz};
		k.end = ph.p_paddr + ph.p_memsz > k.end ? ph.p_paddr + ph.p_memsz : k.end;
	}
	k.entry = eh.e_entry;
	*ret = k;
	return load_pieces(vm, fd, load, n, err);
}

/* As high as it goes in low memory, out of the growing kernel's way. */
static int
load_initrd(struct vm *vm, const char *path, const char *cache, uint64_t kernel_end,
	    struct module *ret, struct error *err)
{
	cleanup_close int fd = -1;
	struct stat st;
	uint64_t size, at;

	/* While the guest copies it, it is there twice. */
	TRY(initrd_open(path, cache, mem_low_size(&vm->mem) / 4, &fd, err));
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	size = (uint64_t)st.st_size;
	if (size > mem_low_size(&vm->mem) || (mem_low_size(&vm->mem) - size) < kernel_end + PAGE)
		return error_set(err, EFBIG, "%s: %lluM do not fit into the guest's memory", path,
				 (unsigned long long)(size >> 20));
	at = (mem_low_size(&vm->mem) - size) & ~(PAGE - 1);
	*ret = (struct module){.address = at, .size = size};
	return load_pieces(vm, fd, &(struct boot_piece){0, at, size}, 1, err);
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

/* What both ways to start are told. */
struct loaded {
	struct kernel kernel;
	struct module initrd; /* size 0: none */
	struct memory_map map[8];
	unsigned n_map;
	uint64_t rsdp;
	const char *cmdline;
};

static int
start_pvh(struct vm *vm, const struct loaded *l, struct error *err)
{
	struct start_info si = {.magic = START_INFO_MAGIC, .version = 1, .cmdline = COMMAND_LINE,
				.memory_map = MEMORY_MAP, .n_memory_map = l->n_map,
				.modules = l->initrd.size ? MODULES : 0,
				.n_modules = l->initrd.size ? 1 : 0, .rsdp = l->rsdp};

	if (!l->kernel.pvh)
		return error_set(err, ENOTSUP, "the kernel has no PVH entry point (CONFIG_PVH)");
	if (!mem_write(&vm->mem, MODULES, &l->initrd, sizeof(l->initrd)) ||
	    !mem_write(&vm->mem, MEMORY_MAP, l->map, l->n_map * sizeof(l->map[0])) ||
	    !mem_write(&vm->mem, START_INFO, &si, sizeof(si)))
		return error_set(err, EFBIG, "the guest's memory is too small");
	return vcpu_set_entry(&vm->vcpu[0],
			      &(struct vcpu_entry){.mode = ENTRY_FLAT32, .rip = l->kernel.pvh,
						   .rbx = START_INFO},
			      err);
}

/* The first GiB where it is, in pages of 2 MiB. */
static bool
map_first_gib(struct vm *vm)
{
	uint64_t pml4 = (PAGE_TABLES + PAGE) | 3, pdpt = (PAGE_TABLES + 2 * PAGE) | 3;
	uint64_t pd[512];

	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83;
	return mem_write(&vm->mem, PAGE_TABLES, &pml4, sizeof(pml4)) &&
	       mem_write(&vm->mem, PAGE_TABLES + PAGE, &pdpt, sizeof(pdpt)) &&
	       mem_write(&vm->mem, PAGE_TABLES + 2 * PAGE, pd, sizeof(pd));
}

static int
start_linux64(struct vm *vm, const struct loaded *l, struct error *err)
{
	struct boot_params bp = {
		.acpi_rsdp_addr = l->rsdp,
		.e820_entries = (uint8_t)l->n_map,
		.hdr = {
			.boot_flag = 0xaa55,
			.header = 0x53726448, /* "HdrS" */
			.version = 0x20f,
			.type_of_loader = 0xff,
			.loadflags = LOADED_HIGH,
			.cmd_line_ptr = COMMAND_LINE,
			.cmdline_size = COMMAND_LINE_MAX - 1,
			.ramdisk_image = (uint32_t)l->initrd.address,
			.ramdisk_size = (uint32_t)l->initrd.size,
			.kernel_alignment = 0x200000,
		},
	};

	for (unsigned i = 0; i < l->n_map; i++)
		bp.e820_table[i] = (struct boot_e820_entry){l->map[i].address, l->map[i].size,
							    l->map[i].type};
	if (!mem_write(&vm->mem, BOOT_PARAMS, &bp, sizeof(bp)) || !map_first_gib(vm))
		return error_set(err, EFBIG, "the guest's memory is too small");
	return vcpu_set_entry(&vm->vcpu[0],
			      &(struct vcpu_entry){.mode = ENTRY_LONG64, .rip = l->kernel.entry,
						   .rsi = BOOT_PARAMS, .cr3 = PAGE_TABLES},
			      err);
}

int
boot_linux(struct vm *vm, const char *kernel, struct error *err)
{
	const char *cache = config_get(vm->config, "boot.cache", "/var/cache/bhyve");
	const char *initrd = config_get(vm->config, "boot.initrd", NULL);
	struct loaded l = {.cmdline = config_get(vm->config, "boot.cmdline", "console=ttyS0")};
	cleanup_close int fd = -1;
	bool linux_surely, wanted, ports, pic;
	int r;

	if ((r = config_bool(vm->config, "boot.linux64", !vm_inside_tcg(), &wanted, err)) < 0 ||
	    (r = vmlinux_open(kernel, cache, &fd, &linux_surely, err)) < 0)
		return r;
	/* Linux finds the memory-mapped way by itself, where each access is one exit, not two. */
	if ((r = config_bool(vm->config, "pci.ports", !linux_surely, &ports, err)) < 0 ||
	    (r = config_bool(vm->config, "x86.pic", !linux_surely, &pic, err)) < 0 ||
	    (r = pic ? 0 : irqs_without_pic(&vm->irqs, err)) < 0)
		return r;
	vm->pci->no_ports = !ports;
	vm->no_pic = !pic;
	vm->no_pm_timer = linux_surely;
	if ((r = load_elf(vm, fd, &l.kernel, err)) < 0)
		return error_wrap(err, r, "%s", kernel);
	if (initrd && (r = load_initrd(vm, initrd, cache, l.kernel.end, &l.initrd, err)) < 0)
		return r;
	if (strlen(l.cmdline) >= COMMAND_LINE_MAX)
		return error_set(err, E2BIG, "boot.cmdline is longer than %d bytes",
				 COMMAND_LINE_MAX - 1);
	if ((r = place_acpi(vm, &l.rsdp, err)) < 0 || (r = place_smbios(vm, err)) < 0)
		return r;
	l.n_map = memory_map(vm, l.map);
	if (!mem_write(&vm->mem, COMMAND_LINE, l.cmdline, strlen(l.cmdline) + 1))
		return error_set(err, EFBIG, "the guest's memory is too small");
	/* Kernels mapped to their end below 1 GiB, as every Linux is; the rest by the other door. */
	r = wanted && linux_surely && l.kernel.end <= (1ULL << 30) ? start_linux64(vm, &l, err)
							 : start_pvh(vm, &l, err);
	return r < 0 ? error_wrap(err, r, "%s", kernel) : 0;
}
