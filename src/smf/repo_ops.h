/*
 * The repository's operations as JSON requests: what svc.configd takes on its
 * socket, and what svccfg(8) calls directly when it works on a file.
 *
 *	{"op": "set", "fmri": F, "pg": G, "prop": P, "type": T, "values": [...]}
 *
 * Each write is one transaction; {"op": "batch", "ops": [...]} makes several
 * one.  The table in repo_ops.c lists them all.
 */
#ifndef SMF_REPO_OPS_H
#define SMF_REPO_OPS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "smf/repo.h"

/* True if the request changes something: it needs authority. */
bool repo_op_writes(const struct json *request);
/* *ret_publish: a new plan is due before the answer goes out. */
int repo_op(struct repo *r, const struct json *request, struct json **ret, bool *ret_publish,
	    struct error *err);

#endif
