/*
 * Images: what is installed on this node, and how it gets there and away.
 *
 * An image is a dataset POOL/UUID with exactly one snapshot @final, and a file
 * /var/imgadm/images/POOL-UUID.json {manifest, zpool, source}.  The dataset is
 * the fact, the file its description: a dataset without a file is listed with a
 * minimal manifest, a file without a dataset is not an image.  Datasets named
 * UUID-partial are imports under way or cut short; nobody else looks at them.
 */
#ifndef IMG_IMG_H
#define IMG_IMG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define IMG_DIR "/var/imgadm/images"
#define IMG_CONF "/var/imgadm/imgadm.conf"

struct image {
	char *uuid;
	char *pool;
	char *dataset;  /* "zones/UUID" */
	char *snapshot; /* "zones/UUID@final": what a VM clones */
	bool volume;    /* a zvol */
	uint64_t volsize; /* of a volume, bytes */
	struct json *manifest; /* v2; validated when it was installed */
	char *source;   /* URL it came from, or NULL */
	size_t clones;  /* filled by img_list() only */
};

void img_free(struct image *i);
DEFINE_CLEANUP(img_free, struct image *);
#define cleanup_image CLEANUP(img_freep)

/*
 * The installed image uuid in pool (NULL: in any pool, the system pool first).
 * -ENOENT "image UUID is not installed"; -EINVAL if uuid is none.
 */
int img_find(const char *uuid, const char *pool, struct image **ret, struct error *err);

struct img_list {
	struct image **images;
	size_t n;
};

#define IMG_LIST_INIT {0}
void img_list_done(struct img_list *l);
#define cleanup_img_list CLEANUP(img_list_done)

/* All installed images of pool (NULL: of all pools), by published_at, then name. */
int img_list(const char *pool, struct img_list *ret, struct error *err);

/* --- manifest fields, never NULL unless said so */
const char *img_name(const struct image *i);
const char *img_version(const struct image *i);
const char *img_type(const struct image *i); /* "lx-dataset" "zvol" "docker" "zone-dataset" ... */
const char *img_os(const struct image *i);
uint64_t img_size_mib(const struct image *i); /* image_size of a zvol image, else 0 */
/* NULL where the manifest does not say. */
const char *img_origin(const struct image *i);
const char *img_nic_driver(const struct image *i);
const char *img_disk_driver(const struct image *i);
const char *img_cpu_type(const struct image *i);
const char *img_tag(const struct image *i, const char *tag);

/*
 * May a VM of this brand be made of it?  Checks type against brand (joyent,
 * joyent-minimal, builder: zone-dataset; lx: lx-dataset or docker; kvm, bhyve:
 * zvol) and requirements.{brand,min_ram,max_ram,bootrom}.  ram_mib 0 and bootrom
 * NULL are not checked.  -EINVAL names the requirement that is not met.
 */
int img_fits(const struct image *i, const char *brand, uint64_t ram_mib, const char *bootrom,
	     struct error *err);

/*
 * Held (shared) while a VM is being made of an image, so that nobody deletes it:
 * *ret_fd is closed to let go.
 */
int img_hold(const char *uuid, int *ret_fd, struct error *err);

#endif
