#include "net/show.h"

#include "base/cli.h"
#include "base/str.h"

struct table *
net_table(const struct table_col *cols, size_t n, const char *fields, const char *fallback)
{
	cleanup_table struct table *t = table_new(cols, n);
	cleanup_free char *wanted = str_lower(xstrdup(fields ? fields : fallback));
	cleanup_error struct error err = ERROR_INIT;

	table_separator(t, " ");
	table_missing(t, "--");
	if (table_select(t, wanted, &err) < 0) {
		cli_error(&err);
		return NULL;
	}
	return steal_ptr(&t);
}
