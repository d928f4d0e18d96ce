/*
 * See demangle.h.  Names may be hostile: length and recursion are bounded.
 * libiberty's headers name functions as base/ does: neither is included beside the other.
 */
#include "ctf/demangle.h"

#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MANGLED 4096
#define MAX_SHOWN 4096

char *
demangle(const char *name)
{
	char *text;

	if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') || strlen(name) > MAX_MANGLED)
		return NULL;
	/* DMGL_AUTO knows both; without DMGL_NO_RECURSE_LIMIT depth is bounded. */
	text = cplus_demangle(name, DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO);
	if (text && strlen(text) > MAX_SHOWN) {
		free(text);
		text = NULL;
	}
	return text;
}
