/*
 * The jail of a virtual machine monitor: what kvm (and bhyve) zones consist of.
 */
#ifndef ZONE_BRAND_KVM_JAIL_H
#define ZONE_BRAND_KVM_JAIL_H

#include "zone/zoneadmd/net.h"
#include "zone/zoneadmd/zoneadmd.h"

#define JAIL_UID 1 /* in the zone; on the host it is uid-base + 1 */
#define JAIL_MAX_DISKS 32
#define JAIL_MAX_NICS 32

struct jail_disk {
	struct zone_res *res;
	char *path;   /* in the jail */
	bool device;  /* a block device; else a file, read-only */
	bool boot, cdrom, notrim;
	const char *model;
};
struct jail_nic {
	struct nic nic;
	const char *model;
	int tap_fd, vhost_fd; /* numbers in the jail; vhost -1: none */
	int ifindex;          /* host-side port */
};

struct jail {
	struct jail_disk disks[JAIL_MAX_DISKS];
	size_t n_disks;
	struct jail_nic nics[JAIL_MAX_NICS];
	size_t n_nics;
	bool kvm; /* /dev/kvm is there */
	struct dhcpd **dhcpd; /* one a NIC that is answered, NULL-terminated */
};

/*
 * Root, /dev, /tmp (the zone's root/tmp), disks, and the taps with their VNICs; puts
 * uid, filters and descriptors into the plan.  ret->... is valid until jail_free().
 */
int jail_plan(struct daemon *d, struct zone_plan *p, struct jail **ret, struct error *err);
/* DHCP answers for NICs with addresses of their own. */
int jail_dhcp_start(struct daemon *d, struct jail *j, struct error *err);
/* A jail for a machine that runs already: NICs only. */
int jail_resume(struct daemon *d, struct jail **ret, struct error *err);
void jail_free(struct jail *j);

#endif
