/*
 * disklayout: which pool a set of disks should become.
 *
 * Disks of like size (within 5 %) and kind (spinning or solid state) form a
 * class.  The largest spinning class is storage; without spinning disks the
 * largest solid-state class.  Of the other solid-state classes the smallest
 * with at most 4 disks is for logs, all others are for cache, and so are the
 * smaller spinning ones.
 *
 * Without a wanted kind: 1 disk single, 2 mirror, 3-4 raidz1, 5-6 raidz1 (SSD)
 * or raidz2, and beyond that as SmartOS chooses (see layout_choose()).
 *
 * JSON as SmartOS's disklayout prints it and mkzpool reads it:
 *	{"vdevs":[{"type":"mirror","devices":[{"name","vid","pid","size","solid_state"},..]}],
 *	 "spares":[..], "logs":[..], "cache":[..], "capacity": BYTES}
 * where a single disk stands in vdevs[] itself, and raidz1 is called "raidz".
 */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "store/disk.h"

struct layout;

enum layout_kind { LAYOUT_AUTO, LAYOUT_SINGLE, LAYOUT_MIRROR, LAYOUT_RAIDZ1, LAYOUT_RAIDZ2,
		   LAYOUT_RAIDZ3 };

/* "single" "mirror" "raidz1" ... ("raidz" is raidz1); -EINVAL. */
int layout_kind_parse(const char *name, enum layout_kind *ret, struct error *err);
const char *layout_kind_name(enum layout_kind k);

struct layout_opts {
	enum layout_kind kind;
	int width;             /* disks per vdev, 0: chosen */
	int spares;            /* -1: chosen */
	bool no_cache;         /* neither cache nor log devices */
	struct strv exclude;   /* disk names to leave alone */
};

/* Removable, read-only and boot disks are never used.  -ENODEV: not enough disks, told why. */
int layout_compute(const struct disk_list *disks, const struct layout_opts *opts,
		   struct layout **ret, struct error *err);
/* From JSON; every field checked; a bad one names itself. */
int layout_parse(const struct json *j, struct layout **ret, struct error *err);
struct json *layout_json(const struct layout *l);
void layout_free(struct layout *l);
DEFINE_CLEANUP(layout_free, struct layout *);
#define cleanup_layout CLEANUP(layout_freep)

/* For showing it before it is used: "mirror of sda, sdb; log nvme0n1; 931G". */
char *layout_describe(const struct layout *l);
uint64_t layout_capacity(const struct layout *l);
/* Names of all disks it would use; of those in data vdevs only if data_only. */
void layout_disks(const struct layout *l, bool data_only, struct strv *ret);
/*
 * The vdev words of `zpool create`, each disk as disk_word(name, data) makes it:
 * {"mirror", "/dev/sda3", "/dev/sdb3", "log", ...}.
 */
void layout_vdev_words(const struct layout *l, char *(*disk_word)(const char *name, bool data),
		       struct strv *ret);

#endif
