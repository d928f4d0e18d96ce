/* For the test of what bhyve is told. */
#ifndef ZONE_BRAND_BHYVE_BHYVE_H
#define ZONE_BRAND_BHYVE_BHYVE_H

#include "zone/brand/jail.h"

int bhyve_argv(struct daemon *d, struct jail *j, struct strv *argv, struct error *err);

#endif
