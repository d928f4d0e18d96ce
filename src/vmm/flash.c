/*
 * The variable store is an Intel-style CFI flash chip, as far as OVMF's driver
 * uses one.  While it shows its array, the guest reads memory (a read-only KVM
 * slot) and only writes come here; the first command takes the slot away, so
 * that reads come here too and see status, and READ ARRAY puts it back.
 */
#include "vmm/flash.h"

#include <sys/stat.h>

#include "os/kvm.h"
#include "vmm/device.h"

#define FLASH_END 0x100000000ULL
#define FLASH_MAX (16ULL << 20)
#define BLOCK 4096U
#define STATUS_READY 0x80
#define ISA_BIOS 0x20000U /* the last 128 KiB are seen below 1 MiB too */

enum mode { ARRAY, STATUS, WRITE_BYTE, ERASE, DEVICE_ID };

struct flash {
	struct vm *vm;
	struct bus_range range;
	uint64_t base, size;
	uint8_t *data;
	bool writable;
	unsigned slot;
	bool mapped; /* the slot exists */
	pthread_mutex_t lock;
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
		f->mapped = mem_map(&f->vm->mem, f->base, f->size, f->data, KVM_MEM_READONLY,
				    &f->slot, NULL) == 0;
	else if (mem_unmap(&f->vm->mem, f->slot, NULL) == 0)
		f->mapped = false;
}

static uint64_t
flash_read(void *arg, uint64_t offset, unsigned size)
{
	struct flash *f = arg;
	uint64_t v = 0;

	scoped_lock(&f->lock);
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
	switch (c) {
	case 0x10:
	case 0x40:
		set_mode(f, WRITE_BYTE);
		return;
	case 0x20:
		set_mode(f, ERASE);
		return;
	case 0x50:
		f->status = 0;
		set_mode(f, ARRAY);
		return;
	case 0x70:
		set_mode(f, STATUS);
		return;
	case 0x90:
		set_mode(f, DEVICE_ID);
		return;
	case 0xff:
		set_mode(f, ARRAY);
		return;
	}
	/* Anything else is no command: as 0xff. */
	set_mode(f, ARRAY);
}

static void
flash_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct flash *f = arg;

	scoped_lock(&f->lock);
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
flash_free(void *arg)
{
	struct flash *f = arg;

	if (f->mapped)
		(void)mem_unmap(&f->vm->mem, f->slot, NULL);
	bus_remove(&f->vm->mmio, &f->range);
	if (f->data)
		munmap(f->data, f->size);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* Puts the file so that it ends at `end`; *ret_base is where it begins. */
static int
add_chip(struct vm *vm, const char *path, uint64_t end, bool writable, uint64_t *ret_base,
	 struct flash **ret, struct error *err)
{
	cleanup_close int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	struct flash *f;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (st.st_size <= 0 || (uint64_t)st.st_size > FLASH_MAX || st.st_size % 4096)
		return error_set(err, EINVAL,
				 "%s: a firmware image is a multiple of 4 KiB, 16 MiB at most",
				 path);
	f = xcalloc(1, sizeof(*f));
	f->vm = vm;
	f->size = (uint64_t)st.st_size;
	f->base = end - f->size;
	f->writable = writable;
	pthread_mutex_init(&f->lock, NULL);
	vm_add_part(vm, &(struct vm_part){.name = "flash", .free = flash_free,
					  .state = flash_state, .arg = f});
	f->data = mmap(NULL, f->size, PROT_READ | (writable ? PROT_WRITE : 0),
		       writable ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (f->data == MAP_FAILED) {
		f->data = NULL;
		return error_set_errno(err, errno, "%s", path);
	}
	f->range = (struct bus_range){.base = f->base, .size = f->size, .read = flash_read,
				      .write = writable ? flash_write : NULL, .dev = f};
	bus_add(&vm->mmio, &f->range);
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
	int r = add_chip(vm, rom, FLASH_END, false, &base, &f, err);

	if (r < 0)
		return r;
	/* Firmware for the BIOS way jumps into its copy below 1 MiB. */
	low = f->size < ISA_BIOS ? (uint32_t)f->size : ISA_BIOS;
	mem_write(&vm->mem, 0x100000 - low, f->data + f->size - low, low);
	return vars ? add_chip(vm, vars, base, true, &base, &f, err) : 0;
}
