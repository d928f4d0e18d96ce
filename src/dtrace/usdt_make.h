/* What programs with USDT probes are built with: dtrace -h and dtrace -G. */
#ifndef DTRACE_USDT_MAKE_H
#define DTRACE_USDT_MAKE_H

#include "dtrace/dt.h"

/* The header of the providers that the D text defines. */
int dt_usdt_header(struct dt *dt, const char *text, size_t len, const char *file, FILE *out,
		   struct error *err);
/*
 * An object file with what the providers of the text need once in a program.
 * objects: those compiled with the header; -ENOENT if none has a site of a provider.
 */
int dt_usdt_object(struct dt *dt, const char *text, size_t len, const char *file,
		   const struct strv *objects, const char *path, struct error *err);

#endif
