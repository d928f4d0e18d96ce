/* Any bytes are a D program or an error with a message and a tag. */
#include <stdlib.h>

#include "dtrace/parse.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool
is_type(const char *name, void *arg)
{
	return name[0] == 't';
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const struct parse_opts opts = {is_type, NULL};
	struct error err = ERROR_INIT;
	struct ast *ast = NULL;

	if (parse_program((const char *)data, size, "fuzz", &opts, &ast, &err) == 0) {
		free(ast_print(ast));
		ast_free(ast);
	} else if (!err.message || !err.path) {
		abort();
	}
	error_done(&err);
	return 0;
}
