/* Devices of a made-up /sys go to vfio-pci, or do not. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "zone/brand/pci.h"

#define ADDRESS "0000:01:00.0"
#define NEIGHBOUR "0000:01:00.1"

static void
put(const char *path, const char *text)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *p = str_printf("%s/sys/%s", test_tmpdir(), path);
	cleanup_free char *dir = xstrndup(p, (size_t)(strrchr(p, '/') - p));

	check_ok(file_mkdir_p(dir, 0755, &err), &err);
	check_ok(file_write_atomic(p, text, strlen(text), 0644, &err), &err);
}

static void
link_to(const char *path, const char *to)
{
	cleanup_free char *p = str_printf("%s/sys/%s", test_tmpdir(), path);

	unlink(p);
	check(symlink(to, p) == 0);
}

static char *
text_of(const char *path)
{
	cleanup_free char *p = str_printf("%s/sys/%s", test_tmpdir(), path);
	char *text = NULL;

	check(file_read(p, 0, &text, NULL, NULL) == 0);
	return text ? text : xstrdup("");
}

#define DEV "bus/pci/devices/"

/* A device of group 7 with that driver (NULL: none). */
static void
device(const char *address, const char *class, const char *driver, const char *override)
{
	cleanup_free char *dir = str_printf(DEV "%s", address);
	cleanup_free char *path = str_printf("%s/class", dir);
	cleanup_free char *over = str_printf("%s/driver_override", dir);
	cleanup_free char *drv = str_printf("%s/driver", dir);
	cleanup_free char *group = str_printf("%s/iommu_group", dir);
	cleanup_free char *member = str_printf("kernel/iommu_groups/7/devices/%s", address);

	put(path, class);
	put(over, override);
	put(member, "");
	put("bus/pci/drivers_probe", "");
	put("bus/pci/drivers/e1000e/unbind", "");
	put("bus/pci/drivers/vfio-pci/unbind", "");
	link_to(group, "../../../kernel/iommu_groups/7");
	if (driver) {
		cleanup_free char *to = str_printf("../../drivers/%s", driver);

		link_to(drv, to);
	}
}

static int
claim(int *group, struct error *err)
{
	cleanup_free char *sys = str_printf("%s/sys", test_tmpdir());

	return pci_claim(sys, ADDRESS, group, err);
}

TEST(addresses_at_the_end_of_paths)
{
	static const char *const bad[] = {"/devices/pci@0,0/pci8086,1@3", "/sys/bus/pci/devices/", "0000:01:00",
					  "/sys/0000:01:00.0/", "/x/0000:01:00.0x", "/x/0000:0 :00.0"};
	cleanup_error struct error err = ERROR_INIT;
	const char *a = NULL;

	check_ok(pci_address_of("/sys/bus/pci/devices/" ADDRESS, &a, &err), &err);
	check_str(a, ADDRESS);
	check_ok(pci_address_of("/devices/" ADDRESS, &a, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_int(pci_address_of(bad[i], &a, &err), ==, -EINVAL);
	check_has(error_message(&err), "expected a path that ends in the device's address");
}

TEST(what_has_vfio_already_is_taken_as_it_is)
{
	cleanup_error struct error err = ERROR_INIT;
	int group = -1;

	device(ADDRESS, "0x020000\n", "vfio-pci", "vfio-pci\n");
	device("0000:00:01.0", "0x060400\n", "pcieport", "(null)\n");
	check_ok(claim(&group, &err), &err);
	check_int(group, ==, 7);
}

TEST(a_device_that_the_node_uses_stays_with_it)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *unbind = NULL, *probe = NULL;
	int group;

	device(ADDRESS, "0x020000\n", "e1000e", "(null)\n");
	check_int(claim(&group, &err), ==, -EBUSY);
	check_has(error_message(&err), ADDRESS " is the node's own (driver e1000e)");
	unbind = text_of("bus/pci/drivers/e1000e/unbind");
	probe = text_of("bus/pci/drivers_probe");
	check_str(unbind, "");
	check_str(probe, "");
	/* Not its own function, either. */
	device(ADDRESS, "0x020000\n", "vfio-pci", "vfio-pci\n");
	device(NEIGHBOUR, "0x020000\n", "e1000e", "(null)\n");
	check_int(claim(&group, &err), ==, -EBUSY);
	check_has(error_message(&err), NEIGHBOUR ", of the same IOMMU group, is the node's own");
}

TEST(a_reserved_device_changes_its_driver)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *unbind = NULL, *probe = NULL;
	int group;

	device(ADDRESS, "0x020000\n", "e1000e", "vfio-pci\n");
	/* Nobody is behind these files: the driver stays, which is seen. */
	check_int(claim(&group, &err), ==, -EIO);
	check_has(error_message(&err), "did not take it");
	unbind = text_of("bus/pci/drivers/e1000e/unbind");
	probe = text_of("bus/pci/drivers_probe");
	check_str(unbind, ADDRESS);
	check_str(probe, ADDRESS);
}

TEST(a_device_without_a_driver_is_free)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *override = NULL;
	int group;

	device(ADDRESS, "0x020000\n", NULL, "(null)\n");
	check_int(claim(&group, &err), ==, -EIO);
	override = text_of(DEV ADDRESS "/driver_override");
	check_has(override, "vfio-pci");
}

TEST(no_device_and_no_iommu)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *group_link = str_printf("%s/sys/" DEV ADDRESS "/iommu_group", test_tmpdir());
	int group;

	check_int(claim(&group, &err), ==, -ENODEV);
	check_has(error_message(&err), "no device " ADDRESS);
	device(ADDRESS, "0x020000\n", "vfio-pci", "vfio-pci\n");
	unlink(group_link);
	check_int(claim(&group, &err), ==, -ENODEV);
	check_has(error_message(&err), "IOMMU");
}
