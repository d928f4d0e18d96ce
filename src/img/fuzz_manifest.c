/* Any bytes: parse, check both ways, ask what an installer would ask. */
#include <stddef.h>
#include <stdint.h>

#include "img/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_json struct json *m = NULL;
	cleanup_error struct error err = ERROR_INIT;
	struct manifest_file f;

	if (json_parse((const char *)data, size, &m, &err) < 0)
		return 0;
	manifest_check(m, MANIFEST_SHOW, &err);
	if (manifest_check(m, MANIFEST_INSTALL, &err) == 0) {
		manifest_file(m, &f);
		if (f.size == 0)
			__builtin_trap(); /* the table promises a positive size */
	}
	return 0;
}
