/* For the test of what QEMU is told. */
#ifndef ZONE_BRAND_KVM_KVM_H
#define ZONE_BRAND_KVM_KVM_H

#include "zone/brand/jail.h"

int kvm_argv(struct daemon *d, struct jail *j, struct strv *argv, struct error *err);

#endif
