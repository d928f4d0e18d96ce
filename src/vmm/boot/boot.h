/*
 * How the first processor finds something to run: a Linux kernel placed in
 * memory (boot.kernel), or firmware (lpc.bootrom).
 */
#ifndef VMM_BOOT_BOOT_H
#define VMM_BOOT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct vm;
struct config;

/* Loads what the configuration names and points vcpu 0 at it. */
int boot_load(struct vm *vm, struct error *err);

/* Where the machine has its ECAM area: firmware programs the host bridge for one place. */
uint64_t boot_ecam_base(struct config *config);

/* linux.c: boot.kernel, boot.initrd, boot.cmdline. */
int boot_linux(struct vm *vm, const char *kernel, struct error *err);

/*
 * vmlinux.c: the ELF image inside a bzImage, decompressed once into
 * cache_dir and found there the next time.  *ret_fd is open for reading.
 * An ELF file is returned as it is, and *ret_linux says that it is Linux for
 * sure (it came out of a bzImage).  -ENOTSUP: neither, or compressed in a way
 * this program does not read.
 */
int vmlinux_open(const char *kernel, const char *cache_dir, int *ret_fd, bool *ret_linux,
		 struct error *err);

/*
 * The same for a RAM disk, as long as no more than max bytes come out; otherwise, and where it
 * cannot be done, *ret_fd is the file as it is.
 */
int initrd_open(const char *path, const char *cache_dir, uint64_t max, int *ret_fd,
		struct error *err);

/* len bytes at offset of a file belong at gpa. */
struct boot_piece {
	uint64_t offset, gpa, len;
};

/* image.c: pieces of a file by mapping (boot.images).  -ENOTSUP: nothing was done, so copy them. */
int image_map(struct vm *vm, int file, const struct boot_piece *piece, unsigned n,
	      struct error *err);

/* image.c: removes the oldest of a cache's files of this prefix where there are many. */
void cache_forget_oldest(int dir, const char *prefix);

#endif
