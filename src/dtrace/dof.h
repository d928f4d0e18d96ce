/* USDT probes in a program's DOF (section .SUNW_dof), which older `dtrace -G` left there. */
#ifndef DTRACE_DOF_H
#define DTRACE_DOF_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ctf/elfsyms.h"

/*
 * What a section says: the sites, as notes would, and the definitions as D, one after the other,
 * each with its NUL (NULL if there is none).
 */
struct dof {
	struct sdt_note *notes;
	size_t n_notes;
	char *definitions;
	size_t definitions_len;
	char **texts; /* that notes point to */
	size_t n_texts;
};

/* `addr` is where the section is as the program was linked.  NULL if it holds no probes. */
struct dof *dof_parse(const void *data, size_t len, uint64_t addr);
void dof_free(struct dof *d);
DEFINE_CLEANUP(dof_free, struct dof *);
#define cleanup_dof CLEANUP(dof_freep)

#endif
