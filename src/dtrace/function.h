/*
 * Kernel functions as places to attach to: the list of those that can be traced
 * (function.c), and BPF programs at their entry and return (attach.c).
 */
#ifndef DTRACE_FUNCTION_H
#define DTRACE_FUNCTION_H

#include "dtrace/gen.h"

/* --- the list */

struct function {
	const char *name, *module; /* "vmlinux" or a module's name */
};

struct functions {
	char *text;
	struct function *f;
	size_t n;
};

/* Read when first asked for; NULL, with dt->why said, where the kernel does not tell. */
const struct functions *dt_functions(struct dt *dt);
void functions_free(struct functions *f);
/* The module of a function that can be traced, or NULL; suffixes of GCC ("f.isra.0") count. */
const struct function *function_find(struct dt *dt, const char *name);
/* Does the kernel have it?  Cheap: by its types, and by the list only if those know nothing. */
bool function_exists(struct dt *dt, const char *name);

/*
 * Where functions are, for where names do not tell them apart: the places, with which[i] the
 * function of `wanted` that is at ret_addr[i] (several may be: static ones of one module).  Both
 * are the caller's.
 */
int function_places(struct dt *dt, const struct function *wanted, size_t n, uint64_t **ret_addr,
		    size_t **ret_which, size_t *ret_n, struct error *err);
/* Does another module have a function of the name of one of them? */
bool function_ambiguous(struct dt *dt, const struct function *wanted, size_t n);

/* --- attaching */

enum function_mode {
	FN_TRAMPOLINE, /* fentry and fexit: one program each, arguments by type */
	FN_MULTI,      /* kprobe.multi: any number with one program, arguments by register */
};

struct function_hook {
	enum function_mode mode;
	bool at_return;
	const char *name, *module;     /* FN_TRAMPOLINE: of its one function */
	const struct ctf_type *proto; /* or NULL */
	uint32_t btf_id;
};

/* Beyond this many functions one kprobe.multi is attached sooner (bench/dtrace). */
#define FN_FEW 8

/* How probes at these functions are attached best. */
void function_choose(struct dt *dt, struct function_hook *fh, const char *name, const char *module,
		     bool at_return, size_t n);
unsigned function_frames(const struct function_hook *fh);
/* Parameter i, or the result (i == FN_RESULT), into r0. */
#define FN_RESULT 100u
int function_gen_arg(struct gen *g, const struct function_hook *fh, unsigned i, struct error *err);
/*
 * Loads g and attaches it to n functions; with cookies[i], if given, at the i-th.
 * -EAGAIN: another mode must be taken (and fh was changed to it): generate and try again.
 */
int function_attach(struct dt *dt, struct hook *h, struct gen *g, struct function_hook *fh,
		    const struct function *f, const uint64_t *cookies, size_t n, struct error *err);

#endif
