/*
 * Link properties of dladm(8): one row each.
 */
#ifndef NET_LINKPROP_H
#define NET_LINKPROP_H

#include "net/link.h"

struct linkprop {
	const char *name;
	unsigned classes;     /* bits 1 << enum link_class */
	const char *fallback; /* what DEFAULT shows, NULL none */
	const char *possible; /* NULL none */
	const char *reset;    /* what reset-linkprop sets; NULL: only when named, to "" */
	char *(*get)(struct net *n, const struct link *l); /* the caller's; NULL none */
	int (*set)(struct net *n, const struct link *l, const char *value, struct error *err);
};

const struct linkprop *linkprop_find(const char *name); /* NULL: no such property */
const struct linkprop *linkprop_at(size_t i);           /* NULL at the end */

/* "10.0.0.1,10.1.0.0/16"; "" is none. */
int linkprop_parse_ips(const char *s, struct ip_addr **ret, size_t *ret_n, struct error *err);
/* "100" (Mb/s), "10K", "10M", "1G" to bits a second. */
int linkprop_parse_maxbw(const char *s, uint64_t *ret, struct error *err);

#endif
