/*
 * The jail of a virtual machine monitor: what zones of brands kvm and bhyve consist of,
 * and what their monitors are told alike.
 */
#ifndef ZONE_BRAND_JAIL_H
#define ZONE_BRAND_JAIL_H

#include "zone/zoneadmd/net.h"
#include "zone/zoneadmd/zoneadmd.h"

#define JAIL_UID 1 /* in the zone; on the host it is uid-base + 1 */
#define JAIL_MAX_DISKS 32
#define JAIL_MAX_NICS 32
#define JAIL_MAX_PCI 8

struct jail_disk {
	struct zone_res *res; /* NULL: of this boot only */
	char *path;   /* in the jail */
	bool device;  /* a block device; else a file, read-only */
	bool boot, cdrom, notrim;
	bool nocloud; /* cloud-init's, see brand/nocloud.h; the last one */
	const char *model;
	int bootindex; /* firmware tries the lowest first; 0: never */
};
struct jail_nic {
	struct zone_res *res;
	struct nic nic;
	const char *model;
	int bootindex;
	int tap_fd, vhost_fd; /* numbers in the jail; vhost -1: none */
	int ifindex;          /* host-side port */
};
struct jail_pci {
	struct zone_res *res;
	const char *address; /* in res */
	int group;
};

struct jail {
	struct jail_disk disks[JAIL_MAX_DISKS];
	size_t n_disks;
	struct jail_nic nics[JAIL_MAX_NICS];
	size_t n_nics;
	struct jail_pci pci[JAIL_MAX_PCI];
	size_t n_pci;
	bool kvm; /* /dev/kvm is there */
	struct dhcpd **dhcpd; /* one a NIC that is answered, NULL-terminated */
};

/*
 * Root, /dev, /tmp (the zone's root/tmp), disks, and the taps with their VNICs; puts
 * uid, filters and descriptors into the plan.  ret->... is valid until jail_free().
 */
int jail_plan(struct daemon *d, struct zone_plan *p, struct jail **ret, struct error *err);
void jail_free(struct jail *j);

/*
 * Hooks of struct brand_ops: a machine that was started, one that runs already, and one that
 * ended: its screen on the network, and DHCP answers for NICs with addresses of their own.
 */
int jail_started(struct daemon *d, struct error *err);
int jail_resume(struct daemon *d, struct error *err);
void jail_stopped(struct daemon *d);
void jail_release(struct daemon *d); /* the daemon ends, the machine does not */

/* A file of the zone's root, or else of the host, read-only at `target` (a file made before). */
int jail_bind(struct daemon *d, struct zone_plan *p, const char *path, const char *target,
	      struct error *err);

/* A file of the monitor's in its /tmp, anew. */
int jail_write(struct daemon *d, const char *name, const char *data, size_t len,
	       struct error *err);
/* The variables of its UEFI firmware, which last as long as the zone; at first, the maker's. */
#define JAIL_UEFI_VARS "vm.efivars"
int jail_uefi_vars(struct daemon *d, struct error *err);

/*
 * After exec: waits until the monitor made its socket `last` (it makes it after all others,
 * when its command line was accepted), or ended, which is an error that says its last words.
 */
int jail_wait(struct daemon *d, const char *last, struct error *err);

/* ---- what monitors are told ---- */

/* An attr of the zone's configuration; empty is absent. */
const char *jail_attr(struct daemon *d, const char *name, const char *fallback);
/* Adds the operator's own words (base64 in the configuration), split at blanks; no shell. */
int jail_add_words(struct daemon *d, const char *attr, struct strv *argv, struct error *err);
/* "cdn": c disks, d CDs, n network; of `vmadm start order=...`, else of the configuration. */
char *jail_boot_order(struct daemon *d);
/* What is first at this start only ("d" of order=cd,once=d), or NULL. */
char *jail_boot_once(struct daemon *d);
/* Gives every disk and NIC that is in that order its bootindex. */
void jail_number(struct jail *j, const char *order);
/* SMBIOS' version of the machine: "7." and the platform's. */
char *jail_version(void);

#endif
