/* Any bytes are DOF that is read without leaving it, or none. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "dtrace/dof.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	/* a buffer of just that size, so that a byte too far is seen */
	cleanup_free char *copy = xmalloc(size ? size : 1);
	cleanup_dof struct dof *d = NULL;

	memcpy(copy, data, size);
	d = dof_parse(copy, size, 0x1000);
	if (!d)
		return 0;
	for (size_t i = 0; i < d->n_notes; i++)
		if (!d->notes[i].provider || !d->notes[i].name || !d->notes[i].args)
			abort();
	if (!d->definitions || d->definitions[d->definitions_len - 1])
		abort();
	return 0;
}
