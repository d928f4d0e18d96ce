/* Unwinding user stacks without frame pointers; unwind.c. */
#ifndef DTRACE_UNWINDER_H
#define DTRACE_UNWINDER_H

#include "dtrace/gen.h"
#include "dtrace/unwind.h"

/* Makes the maps, if the program takes user stacks and this kernel has what it takes. */
int unwinder_open(struct dt *dt, struct error *err);
void unwinder_close(struct dt *dt);
/* The kernel refused a program: is its walk to blame?  It may be then written without. */
bool unwinder_give_up(struct dt *dt, const struct gen *g);
/* Its maps by the names that unwind.bpf.c has for them. */
int unwinder_map(const struct dt *dt, const char *name);
/* Tables of what is mapped now: by the processes at hand, else by all, for a while. */
void unwinder_preload(struct dt *dt);
/* A table that a walk did not find. */
void unwinder_miss(struct dt *dt, const struct unwind_miss *m);

#endif
