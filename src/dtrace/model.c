/*
 * The data model of a program's types.  With -32 a program's long, size_t and their like have four
 * bytes, and so has a pointer in memory that the program describes: in a structure, in an array, to
 * sizeof.  That is what 32-bit processes have in theirs.  A value is never cut for being a pointer:
 * variables hold whole addresses, as the kernel's are.  What the library describes stays as it is.
 */
#include "dtrace/check.h"

/* The types that differ; the rest is where it was. */
int
dt_set_model(struct dt *dt)
{
	static const char *const longs[] = {"long", "intptr_t", "ssize_t"};
	static const char *const ulongs[] = {"unsigned long", "uintptr_t", "size_t", "ulong_t"};

	if (dt->n_asts)
		return -EBUSY; /* types are in use */
	ctf_free(dt->narrow);
	dt->narrow = NULL;
	if (dt->opts.model == MODEL_LP64)
		return 0;
	dt->narrow = ctf_new("D", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(longs); i++)
		ctf_make_int(dt->narrow, longs[i], 4, true);
	for (size_t i = 0; i < ARRAY_SIZE(ulongs); i++)
		ctf_make_int(dt->narrow, ulongs[i], 4, false);
	return 0;
}

static bool
is_narrow(const struct dt *dt)
{
	return dt->narrow && !dt->in_library;
}

const struct ctf_type *
dt_model_find(struct dt *dt, const char *name)
{
	const struct ctf_type *t = is_narrow(dt) ? ctf_find(dt->narrow, name) : NULL;

	return t ? t : ctf_find(dt->types, name);
}

const struct ctf_type *
dt_model_in_memory(struct dt *dt, const struct ctf_type *t)
{
	return is_narrow(dt) && !dt_is_string(dt, t) && ctf_is_pointer(t)
		       ? ctf_make_narrow_pointer(dt->types, ctf_target(ctf_resolve(t)))
		       : t;
}

void
dt_model_layout(const struct dt *dt, struct ctf_type *t)
{
	if (is_narrow(dt))
		ctf_limit_align(t, 4); /* long long has 8 bytes and stands where an int may */
}
