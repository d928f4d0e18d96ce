/* What dladm(8) and ipadm(8) print: illumos' tables. */
#ifndef NET_SHOW_H
#define NET_SHOW_H

#include <stddef.h>

#include "base/table.h"

/*
 * A table of the fields that -o named (NULL: those of fallback), columns one
 * blank apart, "--" where nothing is known; cols must outlive it.  NULL after
 * saying on stderr which field is unknown.
 */
struct table *net_table(const struct table_col *cols, size_t n, const char *fields,
			const char *fallback);

#endif
