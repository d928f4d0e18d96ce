/* Feeds bytes to the parser of zone configurations and, when they parse, to everything behind it. */
#include <stdlib.h>

#include "zone/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_zone_config struct zone_config *copy = NULL;
	cleanup_error struct error err = ERROR_INIT;
	const char *name, *value;

	if (zone_config_parse((const char *)data, size, "fuzz", &c, &err) < 0)
		return 0;
	zone_config_verify(c, &err);
	zone_res_each(res, c, NULL) {
		cleanup_strv struct strv options = STRV_INIT;

		zone_res_type(res);
		for (size_t i = 0; zone_res_attr_at(res, i, &name, &value); i++)
			zone_res_attr(res, name);
		zone_res_options(res, &options);
	}
	zone_config_set_attr(c, "alias", "string", "x");
	zone_config_set_rctl(c, "zone.cpu-cap", 1, "deny");
	copy = zone_config_copy(c); /* what we print we can read */
	return 0;
}
