/* Records kept until they may be shown. */
#ifndef DTRACE_KEEP_H
#define DTRACE_KEEP_H

#include "dtrace/dt.h"

void spec_keep(struct dt *dt, uint32_t id, const void *data, size_t size);
/* commit(): they are shown; discard(): they are gone.  id 0 is nobody's. */
int spec_end(struct dt *dt, uint64_t id, bool commit, struct error *err);
void keep(struct dt *dt, const void *data, size_t size);
/* -xbufpolicy=fill: a record was lost for want of room, the trace ends. */
void keep_no_more(struct dt *dt);

#endif
