/*
 * Disks, from sysfs: what there is, how big, whether it comes out, and which
 * one we were booted from.  Partitions, loop devices, RAM disks, zvols, optical
 * and network block devices are no disks here.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

struct disk {
	char *name;   /* "sda", "nvme0n1": what commands print and take */
	char *path;   /* "/dev/sda" */
	char *type;   /* "SCSI" "SATA" "NVME" "VIRTIO" "USB" "MMC" */
	char *vendor; /* "" if unknown */
	char *model;
	char *serial;
	uint64_t size; /* bytes */
	uint32_t block_size; /* physical */
	bool removable;
	bool ssd;
	bool read_only;
	bool boot_medium; /* holds our ISO or USB image: not for pools */
};
struct disk_list {
	struct disk *disks;
	size_t n;
};

#define DISK_LIST_INIT {0}
void disk_list_done(struct disk_list *l);
#define cleanup_disk_list CLEANUP(disk_list_done)

/*
 * All disks, by type and then name in natural order (sda, sdb, ... sdaa).
 * Disks of size 0 (empty card readers) are left out.
 */
int disk_list(struct disk_list *ret, struct error *err);
/* The same below another root: sysfs at ROOT/sys, devices at ROOT/dev (tests). */
int disk_list_at(const char *root, struct disk_list *ret, struct error *err);
const struct disk *disk_find(const struct disk_list *l, const char *name_or_path);

/* "/dev/sda3" -> "/dev/sda"; a whole disk gives itself; -ENODEV if it is no block device. */
int disk_of_partition(const char *path, char **ret, struct error *err);
/* "/dev/sda",3 -> "/dev/sda3"; "/dev/nvme0n1",3 -> "/dev/nvme0n1p3". */
char *disk_partition_path(const char *disk, int number);

/* --- waiting for device nodes, woken by udev's events, never by sleeping */

/* Waits for path to be there; timeout_ms -1 is for ever; -ETIMEDOUT. */
int device_wait(const char *path, int timeout_ms, struct error *err);
/*
 * Waits until ready(arg) returns non-zero (its value is returned), asking once at
 * the start and then after each udev event; -ETIMEDOUT.
 */
int device_wait_for(int (*ready)(void *arg), void *arg, int timeout_ms, const char *what,
		    struct error *err);

/* --- partitions */

struct disk_part {
	const char *type;  /* GPT type GUID: DISK_GPT_* */
	const char *label; /* GPT name */
	uint64_t size;     /* bytes, 0: the rest */
};
#define DISK_GPT_BIOS_BOOT "21686148-6449-6e6f-744e-656564454649"
#define DISK_GPT_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define DISK_GPT_ZFS "6a898cc3-1dd2-11b2-99a6-080020736631"

/*
 * Writes a fresh GPT (with protective MBR) to a disk or image file, partitions
 * aligned to 1 MiB, numbered from 1 in order; has the kernel read it and waits
 * for the nodes.  What was there is lost.
 */
int disk_partition(const char *path, const struct disk_part *parts, size_t n, struct error *err);

/*
 * What mkzpool -B gives each data disk: 1 BIOS boot (1 MiB), 2 EFI system
 * (DISK_ESP_SIZE, label "ATOLLBOOT", not formatted), 3 ZFS (the rest).
 */
#define DISK_ESP_SIZE (1024ULL << 20)
enum { DISK_PART_BIOS = 1, DISK_PART_ESP = 2, DISK_PART_ZFS = 3 };
int disk_partition_bootable(const char *path, struct error *err);

#endif
