/*
 * nic tags in a node configuration; the NIC is a veth in the test's own namespace.
 */
#include "net/nictag.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "net/vnic.h"
#include "os/netlink.h"

#define CONFIG "/mnt/config"

static struct net *n;

static void
setup(const char *config)
{
	struct net_opts opts = {.run_dir = "/mnt/net", .config_path = CONFIG};
	struct nl_veth v = {.name = "peer0", .peer_name = "nic0", .peer_netns = -1};
	cleanup_nl struct nl *nl = NULL;
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		test_skip("needs root: network namespaces");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		test_skip("no network namespaces here");
	require(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	require(mount("test", "/mnt", "tmpfs", 0, NULL) == 0);
	require_ok(nl_open(-1, &nl, &err), &err);
	require(mac_parse("02:00:00:00:00:01", &v.peer_mac) == 0);
	require_ok(nl_veth_create(nl, &v, &err), &err);
	if (config)
		require_ok(file_write_atomic(CONFIG, config, strlen(config), 0600, &err), &err);
	require_ok(net_open(&opts, &n, &err), &err);
}

static void
check_config(const char *want)
{
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;

	require_ok(file_read(CONFIG, 0, &text, NULL, &err), &err);
	check_str(text, want);
}

TEST(tags_resolve)
{
	struct error err = ERROR_INIT;
	char link[16];
	struct nictag t;

	setup("# the node\nadmin_nic=2:0:0:0:0:1\nadmin_tag=mgmt\nexternal_nic=02:00:00:00:00:09\n"
	      "external_mtu=9000\nbulk_nic=aggr0\netherstub=stub0,stub1\nhostname=x\n");
	require_ok(nictag_link(n, "mgmt", link, &err), &err);
	check_str(link, "nic0");
	check_int(nictag_get(n, "admin", &t, NULL), ==, -ENOENT);
	require_ok(nictag_get(n, "external", &t, &err), &err);
	check_int(t.mtu, ==, 9000);
	check_int(nictag_link(n, "external", link, &err), ==, -ENODEV);
	check_str(err.message, "nic tag external: no NIC has the MAC address 02:00:00:00:00:09");
	error_done(&err);
	check_int(nictag_link(n, "bulk", link, &err), ==, -ENODEV);
	error_done(&err);
	require_ok(nictag_link(n, "stub1", link, &err), &err);
	check_str(link, "stub1");
}

TEST(add_update_delete)
{
	struct error err = ERROR_INIT;

	setup("hostname=x # keep\n");
	require_ok(nictag_add(n, "dmz", "2:0:0:0:0:1", 1400, &err), &err);
	check_config("hostname=x # keep\ndmz_nic=02:00:00:00:00:01\ndmz_mtu=1400\n");
	check_int(nictag_add(n, "dmz", "2:0:0:0:0:1", 0, &err), ==, -EEXIST);
	error_done(&err);
	check_int(nictag_add(n, "far", "2:0:0:0:0:2", 0, &err), ==, -ENODEV);
	check_has(err.message, "2:0:0:0:0:2");
	error_done(&err);
	check_int(nictag_add(n, "a b", "2:0:0:0:0:1", 0, &err), ==, -EINVAL);
	error_done(&err);
	check_int(nictag_add(n, "evil", "$(reboot)", 0, &err), ==, -EINVAL);
	error_done(&err);
	require_ok(nictag_update(n, "dmz", NULL, 1300, &err), &err);
	check_config("hostname=x # keep\ndmz_nic=02:00:00:00:00:01\ndmz_mtu=1300\n");
	check_int(nictag_update(n, "none", NULL, 1300, &err), ==, -ENOENT);
	error_done(&err);
	require_ok(nictag_delete(n, "dmz", false, &err), &err);
	check_config("hostname=x # keep\n");
	check_int(nictag_delete(n, "dmz", false, &err), ==, -ENOENT);
	error_done(&err);
}

TEST(etherstub_tags_and_use)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {.zone = "za", .name = "net0", .nic_tag = "stub0"};

	setup(NULL);
	require_ok(nictag_add_etherstub(n, "stub0", &err), &err);
	require_ok(nictag_add_etherstub(n, "stub1", &err), &err);
	check_config("etherstub=stub0,stub1\n");
	require_ok(nl_netns_new(&spec.netns_fd, &err), &err);
	require_ok(vnic_create(n, &spec, NULL, NULL, &err), &err);
	check_int(nictag_delete(n, "stub0", false, &err), ==, -EBUSY);
	check_str(err.message, "nic tag \"stub0\" is in use");
	error_done(&err);
	require_ok(vnic_delete_zone(n, "za", &err), &err);
	require_ok(nictag_delete(n, "stub0", false, &err), &err);
	check_config("etherstub=stub1\n");
	require_ok(nictag_delete(n, "stub1", false, &err), &err);
	check_config("");
}

TEST(a_vnic_by_its_tag)
{
	struct error err = ERROR_INIT;
	struct vnic_spec spec = {.zone = "za", .name = "net0", .nic_tag = "admin"};
	cleanup_vnic_info struct vnic_info v = {0};

	setup("admin_nic=02:00:00:00:00:01\n");
	require_ok(nl_netns_new(&spec.netns_fd, &err), &err);
	require_ok(vnic_create(n, &spec, NULL, NULL, &err), &err);
	require_ok(vnic_get(n, "za", "net0", &v, &err), &err);
	check_str(v.over, "nic0");
	check_str(v.nic_tag, "admin");
	check_int(net_detach_uplink(n, "nic0", &err), ==, -EBUSY);
	error_done(&err);
	require_ok(vnic_delete(n, "za", "net0", &err), &err);
	require_ok(net_detach_uplink(n, "nic0", &err), &err);
	require_ok(net_detach_uplink(n, "nic0", &err), &err);
}
