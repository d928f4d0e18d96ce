/*
 * Platform images on a boot partition.
 *
 * Every disk of a bootable pool has a boot partition (FAT, for UEFI and GRUB),
 * and all are alike:
 *
 *	/EFI/BOOT/BOOTX64.EFI	GRUB for UEFI (the BIOS one is outside of file systems)
 *	/boot/grub/grub.cfg	the menu: a script, the same on every node
 *	/boot/grub/grubenv	which image to boot; 1024 bytes that GRUB can write, too
 *	/images/STAMP/		vmlinuz, microcode.img, boot_archive, and `files`, which
 *				lists their sizes and sha256: an image without it is not whole
 *
 * The environment decides:
 *
 *	active=STAMP	what the menu boots by itself
 *	previous=STAMP	what was active before
 *	tries=N		boots of the active image since it last reached multi-user;
 *			GRUB counts; at the fourth it makes `previous` active
 *	failed=STAMP	the image that was left that way
 *	args=...	kernel parameters of this node (its consoles)
 *	gen=N		grows with each change, so that among disks that are not alike
 *			(a kill between two of them, a disk that was away) the newest wins
 *
 * Order makes each change safe against a power cut: an image is written under
 * a name the menu does not look at and renamed when it is whole; the
 * environment is flipped by one rename, and only to an image that is there.
 *
 * Functions here know a boot partition as a mounted directory, `root`.
 */
#ifndef BOOT_PI_H
#define BOOT_PI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "base/str.h"

#define PI_ENV_SIZE 1024
#define PI_TRIES 3

/* "20261121T100000Z" */
bool pi_is_stamp(const char *s);

/* --- the environment: GRUB's format, kept as a struct conf */

/* -EINVAL: neither that size nor that form. */
int pi_env_parse(const char *text, size_t len, struct conf **ret, struct error *err);
/* -E2BIG if it does not fit.  ret holds PI_ENV_SIZE bytes. */
int pi_env_print(const struct conf *env, char *ret, struct error *err);
/* A partition without one has an empty one; so has one whose file is damaged. */
struct conf *pi_env_read(const char *root);
int pi_env_write(const char *root, const struct conf *env, struct error *err);
uint64_t pi_env_gen(const struct conf *env);

/* --- images */

/* Stamps of the whole images, newest first. */
int pi_list(const char *root, struct strv *ret, struct error *err);
bool pi_has(const char *root, const char *stamp);
/*
 * Copies the image in the directory source (vmlinuz, boot_archive, and
 * microcode.img if it has one).  Its own `files` list is checked if it has one.
 * What is there already and whole is success.
 */
int pi_install(const char *root, const char *source, const char *stamp, struct error *err);
/* Reads every byte of an installed image and compares. */
int pi_verify(const char *root, const char *stamp, struct error *err);
/* -EBUSY for the active image. */
int pi_remove(const char *root, const char *stamp, struct error *err);
/* Removes what a killed installation left. */
int pi_clean(const char *root, struct error *err);
/* args may be NULL: as they were. */
int pi_activate(const char *root, const char *stamp, const char *args, struct error *err);
/*
 * The running image reached multi-user: its counter is cleared.  1 if GRUB had
 * fallen back to it (the failed one is in *ret_failed, the caller's), else 0.
 */
int pi_booted(const char *root, const char *stamp, char **ret_failed, struct error *err);
/* Makes `to` like `from`: images added and removed, environment copied. */
int pi_equalize(const char *from, const char *to, struct error *err);

/* --- boot loader */

#define PI_LOADER_DIR "/usr/lib/atoll/boot"
/* GRUB's UEFI program and its menu. */
int pi_install_loader(const char *root, const char *loader_dir, struct error *err);
/*
 * GRUB for BIOS: boot.img into the first sector of the disk (its partition
 * table and disk identifier stay), core.img to core_lba and on, where the BIOS
 * boot partition of core_sectors is.
 */
int pi_install_bios(const char *disk, const char *loader_dir, uint64_t core_lba,
		    uint64_t core_sectors, struct error *err);

#endif
