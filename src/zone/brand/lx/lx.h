/* The parts of brand lx. */
#ifndef ZONE_BRAND_LX_LX_H
#define ZONE_BRAND_LX_LX_H

#include "zone/zoneadmd/zoneadmd.h"

/* views.c: /proc/meminfo and its like tell of the zone. */
int lx_views_start(struct daemon *d, struct error *err);
int lx_views_plan(struct daemon *d, struct zone_plan *p, struct error *err);
void lx_views_free(struct daemon *d);

#endif
