/* The tables behind zone configurations, for zonecfg(8) and for the daemon. */
#ifndef ZONE_CONFIG_H
#define ZONE_CONFIG_H

#include "zone/zone.h"

enum {
	ZONE_PROP_REQUIRED = 1,
	ZONE_PROP_KEY = 2, /* no two resources of a type may agree in it */
	ZONE_PROP_UINT = 4,
};
struct zone_prop_type {
	const char *name; /* in zonecfg */
	const char *attr; /* in the XML */
	unsigned flags;
};

enum {
	ZONE_RES_ONE = 1,       /* at most one */
	ZONE_RES_NET_ATTRS = 2, /* has <net-attr> children, "property" in zonecfg */
};
struct zone_res_type {
	const char *name, *element;
	const struct zone_prop_type *props; /* ends with a zero row */
	unsigned flags;
};
const struct zone_res_type *zone_res_types(void); /* ends with a zero row */
const struct zone_res_type *zone_res_type_find(const char *name);
const char *zone_prop_at(size_t i); /* names of the zone's own properties; NULL at the end */

#define zone_res_each(res, c, type)                                               \
	for (struct zone_res *res = zone_res_next((c), (type), NULL); res;        \
	     res = zone_res_next((c), (type), res))

struct zone_config *zone_config_copy(const struct zone_config *c);
int zone_config_ensure_uid_base(struct zone_config *c, uint32_t *ret, struct error *err);

bool zone_rctl_value_at(const struct zone_res *res, size_t i, const char **ret_priv,
			const char **ret_limit, const char **ret_action);
void zone_rctl_add_value(struct zone_res *res, const char *priv, const char *limit,
			 const char *action);
bool zone_rctl_remove_value(struct zone_res *res, const char *priv, const char *limit,
			    const char *action);

#endif
