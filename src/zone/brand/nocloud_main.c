/*
 * /usr/lib/zones/nocloud ZONE: the zone's NoCloud disk on standard output.  A program of its
 * own, so that zoneadmd, of which every zone has one, does not carry libarchive.
 */
#include <stdio.h>

#include "zone/brand/nocloud.h"

int
main(int argc, char **argv)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_json struct json *metadata = NULL;
	cleanup_error struct error err = ERROR_INIT;

	struct nocloud_file files[NOCLOUD_FILES];

	if (argc != 2) {
		fprintf(stderr, "usage: nocloud ZONE >IMAGE\n");
		return 2;
	}
	if (zone_config_read(argv[1], &c, &err) == 0 && nocloud_metadata(c, &metadata, &err) == 0 &&
	    nocloud_files(c, metadata, files, &err) == 0 && nocloud_image(files, 1, &err) == 0)
		return 0;
	fprintf(stderr, "nocloud: %s\n", error_message(&err));
	return 1;
}
