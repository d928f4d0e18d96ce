/* Feeds bytes to the parser of KEY=VALUE files; every value must survive being written and read. */
#include <stdint.h>
#include <stdlib.h>

#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_conf struct conf *c = NULL, *copy = conf_new(), *back = NULL;
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_free char *text = NULL;
	struct conf_iter it = {0};

	if (conf_parse((const char *)data, size, "fuzz", &c, &problems, NULL) < 0)
		return 0;
	while (conf_next(c, &it))
		conf_set(copy, it.key, it.value);
	text = conf_print(copy);
	if (conf_parse(text, strlen(text), "copy", &back, NULL, NULL) < 0)
		abort();
	it = (struct conf_iter){0};
	while (conf_next(copy, &it))
		if (!str_eq(conf_get(back, it.key), it.value))
			abort();
	return 0;
}
