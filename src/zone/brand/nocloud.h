/*
 * The NoCloud disk: what cloud-init in a virtual machine is to do, on a small file
 * system labelled CIDATA.
 */
#ifndef ZONE_BRAND_NOCLOUD_H
#define ZONE_BRAND_NOCLOUD_H

#include "base/json.h"
#include "zone/zone.h"

/* Of customer_metadata: "nocloud" asks for the disk. */
#define NOCLOUD_KEY "org.smartos:cloudinit_datasource"

/* The VM's metadata.json; an empty object if it has none. */
int nocloud_metadata(const struct zone_config *c, struct json **ret, struct error *err);
bool nocloud_wanted(const struct json *metadata);

#define NOCLOUD_FILES 4
struct nocloud_file {
	const char *name;
	char *text; /* the caller's; NULL: there is none */
};
int nocloud_files(const struct zone_config *c, const struct json *metadata,
		  struct nocloud_file ret[NOCLOUD_FILES], struct error *err);

/* nocloud_image.c: writes them to fd as ISO 9660 with Rock Ridge and Joliet. */
int nocloud_image(const struct nocloud_file files[NOCLOUD_FILES], int fd, struct error *err);

#endif
