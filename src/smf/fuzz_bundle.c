/* Feeds bytes to the parser of service bundles; what it takes must survive being printed and read. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "smf/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_json struct json *tree = NULL, *back = NULL;
	cleanup_free char *text = NULL;

	if (bundle_parse((const char *)data, size, "fuzz", &tree, NULL) < 0)
		return 0;
	text = bundle_print(tree);
	if (bundle_parse(text, strlen(text), "printed", &back, NULL) < 0)
		abort();
	return 0;
}
