/*
 * The variable store is an Intel-style CFI flash chip, as far as OVMF's driver
 * uses one.  While it shows its array, the guest reads memory (a read-only KVM
 * slot) and only writes come here; the first command takes the slot away, so
 * that reads come here too and see status, and READ ARRAY puts it back.
 */
#include "vmm/flash.h"

#include <sys/stat.h>

#include "base/file.h"
#include "os/kvm.h"
#include "vmm/isa/isa.h"

#define FLASH_END 0x100000000ULL
#define FLASH_MAX (16ULL << 20)
#define BLOCK 4096U
#define STATUS_READY 0x80
#define ISA_BIOS 0x20000U /* the last 128 KiB are seen below 1 MiB too */

enum mode { ARRAY, STATUS, WRITE_BYTE, ERASE, DEVICE_ID };

struct flash {
	struct isa_dev isa;
	uint64_t base, size;
	uint8_t *data;
	bool writable;
	unsigned slot;
	bool mapped; /* the slot exists */
	enum mode mode;
	uint8_t status;
};

static void
set_mode(struct flash *f, enum mode mode)
{
	f->mode = mode;
	if ((mode == ARRAY) == f->mapped)
		return;
	/* Without the slot reads are slower and no less right. */
	if (mode == ARRAY)
		f->mapped = mem_map(&f->isa.vm->mem, f->base, f->size, f->data, KVM_MEM_READONLY,
				    &f->slot, NULL) == 0;
	else if (mem_unmap(&f->isa.vm->mem, f->slot, NULL) == 0)
		f->mapped = false;
}

static uint64_t
flash_read(void *arg, uint64_t offset, unsigned size)
{
	struct flash *f = arg;
	uint64_t v = 0;

	scoped_lock(&f->isa.lock);
	switch (f->mode) {
	case ARRAY:
		memcpy(&v, f->data + offset, size);
		break;
	case DEVICE_ID:
		v = offset == 0 ? 0x89 : offset == 1 ? 0x18 : 0;
		break;
	case STATUS:
	case WRITE_BYTE:
	case ERASE:
		v = f->status;
		break;
	}
	return v;
}

static void
command(struct flash *f, uint8_t c)
{
	/* Of each command; anything else is none: as 0xff. */
	static const uint8_t modes[256] = {
		[0x10] = WRITE_BYTE, [0x40] = WRITE_BYTE, [0x20] = ERASE, [0x70] = STATUS,
		[0x90] = DEVICE_ID};

	if (c == 0x50)
		f->status = 0;
	set_mode(f, modes[c]);
}

static void
flash_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct flash *f = arg;

	scoped_lock(&f->isa.lock);
	if (f->mode == WRITE_BYTE) {
		/* A chip can only clear bits; OVMF erases before it sets them. */
		memcpy(f->data + offset, &value, size);
		f->status |= STATUS_READY;
		set_mode(f, STATUS);
	} else if (f->mode == ERASE) {
		if ((value & 0xff) == 0xd0) {
			uint64_t block = offset & ~(uint64_t)(BLOCK - 1);
			uint64_t left = f->size - block;

			memset(f->data + block, 0xff, left < BLOCK ? left : BLOCK);
		}
		f->status |= STATUS_READY;
		set_mode(f, STATUS);
	} else {
		command(f, (uint8_t)value);
	}
}

/* The ROM is the same file there; variables go along, so that a snapshot has its own. */
static void
flash_state(void *arg, struct state *s)
{
	struct flash *f = arg;
	int mode = (int)f->mode;

	STATE(s, mode, f->status);
	if (f->writable)
		state_field(s, "data", f->data, f->size);
	if (state_loading(s) && state_require(s, mode >= ARRAY && mode <= DEVICE_ID, "the mode"))
		set_mode(f, (enum mode)mode);
}

static void
flash_done(void *arg)
{
	struct flash *f = arg;

	if (f->mapped)
		(void)mem_unmap(&f->isa.vm->mem, f->slot, NULL);
	if (f->data)
		munmap(f->data, f->size);
}

/* Puts the file so that it ends at `end`; *ret_base is where it begins. */
static int
add_chip(struct vm *vm, const char *path, uint64_t end, bool writable, uint64_t *ret_base,
	 struct flash **ret, struct error *err)
{
	cleanup_close int fd = -1;
	struct flash *f;
	struct stat st;

	TRY(file_open(path, writable ? O_RDWR : O_RDONLY, &fd, err));
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > FLASH_MAX ||
	    st.st_size % 4096)
		return error_set(err, EINVAL,
				 "%s: a firmware image is a multiple of 4 KiB, 16 MiB at most",
				 path);
	/* A hole is filled when the guest writes there, and then it is late for an error. */
	if (writable && fallocate(fd, 0, 0, st.st_size) < 0 && errno == ENOSPC)
		return error_set_errno(err, errno, "%s", path);
	f = isa_new(vm, "flash", sizeof(*f), flash_state, flash_done);
	f->size = (uint64_t)st.st_size;
	f->base = end - f->size;
	f->writable = writable;
	f->data = mmap(NULL, f->size, PROT_READ | (writable ? PROT_WRITE : 0),
		       writable ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (f->data == MAP_FAILED) {
		f->data = NULL;
		return error_set_errno(err, errno, "%s", path);
	}
	isa_add_range(f, &vm->mmio, f->base, f->size, flash_read, writable ? flash_write : NULL);
	set_mode(f, ARRAY);
	*ret_base = f->base;
	*ret = f;
	return 0;
}

int
flash_create(struct vm *vm, const char *rom, const char *vars, struct error *err)
{
	struct flash *f;
	uint64_t base;
	uint32_t low;

	TRY(add_chip(vm, rom, FLASH_END, false, &base, &f, err));
	/* Firmware for the BIOS way jumps into its copy below 1 MiB. */
	low = f->size < ISA_BIOS ? (uint32_t)f->size : ISA_BIOS;
	mem_write(&vm->mem, 0x100000 - low, f->data + f->size - low, low);
	return vars ? add_chip(vm, vars, base, true, &base, &f, err) : 0;
}
