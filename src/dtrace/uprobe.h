/* Places in programs and libraries where probes are set: shared by pid and USDT. */
#ifndef DTRACE_UPROBE_H
#define DTRACE_UPROBE_H

#include <sys/types.h>

#include "ctf/elfsyms.h"
#include "dtrace/dof.h"
#include "dtrace/gen.h"
#include "os/procmap.h"

/* A file with code, opened once whoever maps it. */
struct ufile {
	int fd;
	struct elfsyms *syms;
	struct dof *dof; /* probes of an older -G (prov_usdt.c); NULL: none, or not read yet */
	bool dof_read;
	struct ast **definitions; /* of USDT providers (prov_usdt.c); dt's */
	size_t n_definitions;
	bool definitions_read;
};

/* A probe's place; a probe may have several (functions of one name, sites of one USDT probe). */
struct usite {
	struct ufile *file;
	uint64_t offset;    /* in the file */
	uint64_t semaphore; /* offset of the counter that says "somebody looks"; 0: none */
	pid_t pid;	    /* traced in this process only; 0: in all */
	bool at_return;
	bool never; /* no code comes by: the probe is there, and may be asked about */
	const char *args; /* of a USDT site: where its arguments are */
	const struct sdt_note *note;
	uint32_t variant; /* of USDT sites: sort of args in its hook */
	struct usite *next;
};

/* The file behind a mapping; NULL if it is no ELF file or the process is gone. */
struct ufile *ufile_of(struct dt *dt, pid_t pid, const struct procmap *m);
/* The same of a path; a file that no process maps stays known too. */
struct ufile *ufile_at(struct dt *dt, const char *path);
/* "libc.so.6" of its path. */
const char *module_of(const struct procmap *m);
/*
 * A probe at a place: made, or found and given one more place.  place->next is not read;
 * its text (args) must live as long as its file.
 */
struct probe *uprobe_add(struct dt *dt, const struct provider *ops, const char *const names[4],
			 const struct usite *place);
struct usite *usite_of(const struct probe *p);
void uprobes_free(struct dt *dt);

/* For providers. */
int uprobe_gen_probe(struct gen *g, const struct hook *h, struct error *err);
int uprobe_attach(struct dt *dt, struct hook *h, struct gen *g, struct error *err);
/* A further program of the hook at one place, which is no probe. */
int uprobe_attach_site(struct dt *dt, struct hook *h, struct gen *g, const struct usite *s,
		       struct error *err);
/* A function's argument i at its first instruction, as the System V ABI passes it. */
void uprobe_gen_arg(struct gen *g, const struct usite *s, unsigned i);
/* A user register (offset in struct pt_regs) into r0, from the context of a uprobe. */
void uprobe_gen_reg(struct gen *g, int offset);
/* r0: address in the process; size bytes there, extended, into r0. */
void uprobe_gen_load(struct gen *g, unsigned size, bool is_signed);

#endif
