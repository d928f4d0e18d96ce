/*
 * Feeds bytes to the parsers of zone configurations, of the index and of the runtime state, and
 * when they parse, to everything behind.  With clang:
 *	clang -fsanitize=fuzzer,address ... fuzz_config.c; ./a.out src/zone/testdata/config
 * model_test.c replays that directory and mutations of it.
 */
#include <stdlib.h>
#include <string.h>

#include "zone/config.h"
#include "zone/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
text_files(const uint8_t *data, size_t size)
{
	cleanup_zone_index struct zone_index ix = ZONE_INDEX_INIT, again = ZONE_INDEX_INIT;
	cleanup_zone_runtime struct zone_runtime rt = ZONE_RUNTIME_INIT;
	cleanup_free char *text = xstrndup((const char *)data, size);
	cleanup_free char *printed = NULL;

	if (zone_index_parse(text, &ix, NULL) == 0) {
		printed = zone_index_print(&ix);
		if (zone_index_parse(printed, &again, NULL) < 0)
			abort(); /* what we print we can read */
	}
	zone_runtime_parse(text, &rt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_zone_config struct zone_config *c = NULL;
	cleanup_zone_config struct zone_config *copy = NULL;
	cleanup_error struct error err = ERROR_INIT;
	const char *name, *value;

	text_files(data, size);
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
