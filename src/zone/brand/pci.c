/*
 * Whose a device is, the operator says: one that a driver of the node's serves (a disk of the pool, the
 * NIC of the admin network) is taken away from it only when "vfio-pci" was written into its driver_override,
 * which is what SmartOS' /etc/ppt_matches is for.  One without a driver is free.  A device stays with vfio-pci
 * when its zone stops, until the node starts again.
 *
 * The devices of an IOMMU group reach each other's memory, so a group goes to one guest as a whole.
 */
#include "zone/brand/pci.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

#define VFIO_DRIVER "vfio-pci"
#define CLASS_BRIDGE "0x06"

int
pci_address_of(const char *path, const char **ret, struct error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	unsigned v[4];
	int end = 0;

	if (strlen(name) != 12 || sscanf(name, "%4x:%2x:%2x.%1u%n", &v[0], &v[1], &v[2], &v[3], &end) != 4 ||
	    end != 12)
		return error_set(err, EINVAL, "pci_devices: %s: expected a path that ends in the device's address, "
				 "like /sys/bus/pci/devices/0000:01:00.0", path);
	*ret = name;
	return 0;
}

/* The last name that a link of the device's leads to; NULL if there is none. */
static char *
link_of(const char *dir, const char *name)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);
	char to[512];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n < 0)
		return NULL;
	to[n] = '\0';
	return xstrdup(strrchr(to, '/') ? strrchr(to, '/') + 1 : to);
}

static int
write_in(const char *dir, const char *name, const char *text, struct error *err)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);

	return file_write(path, text, err);
}

static int
bind_one(const char *sys, const char *address, bool wanted, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/bus/pci/devices/%s", sys, address);
	cleanup_free char *override = str_printf("%s/driver_override", dir);
	cleanup_free char *class = str_printf("%s/class", dir);
	cleanup_free char *bus = str_printf("%s/bus/pci", sys);
	cleanup_free char *driver = link_of(dir, "driver"), *after = NULL;
	cleanup_free char *kind = NULL, *reserved = NULL;
	int r;

	if ((r = file_read_line(class, &kind, err)) < 0)
		return r;
	if (str_eq(driver, VFIO_DRIVER) || (!wanted && (!driver || str_after(kind, CLASS_BRIDGE))))
		return 0;
	if ((r = file_read_line(override, &reserved, err)) < 0)
		return r;
	if (driver && !str_eq(reserved, VFIO_DRIVER))
		return error_set(err, EBUSY, "%s%s is the node's own (driver %s); to give it away: echo " VFIO_DRIVER
				 " >%s", address, wanted ? "" : ", of the same IOMMU group,", driver, override);
	r = write_in(dir, "driver_override", VFIO_DRIVER, err);
	if (r == 0 && driver)
		r = write_in(dir, "driver/unbind", address, err);
	if (r == 0)
		r = write_in(bus, "drivers_probe", address, err);
	if (r < 0)
		return r;
	after = link_of(dir, "driver");
	if (!str_eq(after, VFIO_DRIVER))
		return error_set(err, EIO, "%s: the driver " VFIO_DRIVER " did not take it", address);
	return 0;
}

int
pci_claim(const char *sys, const char *address, int *ret_group, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/bus/pci/devices/%s", sys, address);
	cleanup_free char *group = link_of(dir, "iommu_group"), *list = NULL;
	struct dirent *e;
	int number, r = 0;
	DIR *members;

	if (access(dir, F_OK) < 0)
		return error_set(err, ENODEV, "pci_devices: this node has no device %s", address);
	if (!group || str_to_int(group, &number) < 0)
		return error_set(err, ENODEV, "pci_devices: %s has no IOMMU: the node's is off (firmware, or the "
				 "kernel's intel_iommu=on)", address);
	list = str_printf("%s/kernel/iommu_groups/%s/devices", sys, group);
	members = opendir(list);
	if (!members)
		return error_set_errno(err, errno, "%s", list);
	while (r == 0 && (e = readdir(members)))
		if (e->d_name[0] != '.')
			r = bind_one(sys, e->d_name, str_eq(e->d_name, address), err);
	closedir(members);
	if (r < 0)
		return error_wrap(err, r, "pci_devices");
	*ret_group = number;
	return 0;
}
