/* Payloads: what is accepted, in which form, and what each wrong one is told. */
#include "base/test.h"

#include "base/file.h"
#include "vm/vm_check.h"
#include "vm/vm_props.h"

/* A payload as `vmadm create` treats it: the completed VM, or the report. */
static char *
create_text(const char *text, size_t len)
{
	cleanup_json struct json *j = NULL;
	cleanup_vm_report struct vm_report r = VM_REPORT_INIT;
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *report = NULL;
	enum vm_brand brand;

	if (json_parse(text, len, &j, &err) < 0)
		return str_printf("%s\n", error_message(&err));
	brand = vm_brand_parse(json_str(json_get(j, "brand"), ""));
	vm_payload_check(j, brand, VM_CREATE, &r);
	if (vm_report_ok(&r)) {
		vm_payload_defaults(j, brand);
		vm_payload_follow(j, brand, NULL);
		vm_payload_rules(j, brand, &r);
	}
	if (vm_report_ok(&r)) {
		json_remove(j, "create_timestamp");
		return json_print(j, true);
	}
	report = vm_report_json(&r);
	return json_print(report, true);
}

TEST(golden_payloads)
{
	test_golden("src/vm/testdata/payload", create_text);
}

/* One row a mistake: the payload's brand and extra members, and what the answer must hold. */
static const struct bad {
	const char *brand;
	const char *members;
	const char *has;
} bad_create[] = {
	/* names */
	{"lx", "\"colour\":\"red\"", "Invalid property(s): colour\n    colour: unknown property"},
	{"lx", "\"ramm\":512", "Invalid property(s): ramm"},
	{"lx", "\"nics.*.mac\":\"02:00:00:00:00:01\"", "Invalid property(s): nics.*.mac"},
	{"lx", "\"add_nics\":[]", "Invalid property(s): add_nics"},
	{"lx", "\"state\":\"running\"", "state is read only"},
	{"lx", "\"vcpus\":2", "vcpus is not a property of brand lx"},
	{"lx", "\"disks\":[]", "disks is not a property of brand lx"},
	{"kvm", "\"kernel_version\":\"4.3\"", "kernel_version is not a property of brand kvm"},
	{"kvm", "\"bhyve_extra_opts\":\"-w\"", "bhyve_extra_opts is not a property of brand kvm"},
	{"bhyve", "\"cpu_type\":\"host\"", "cpu_type is not a property of brand bhyve"},
	/* numbers */
	{"lx", "\"max_physical_memory\":\"lots\"",
	 "Invalid value(s) for: max_physical_memory\n    max_physical_memory: \"lots\" is not an "
	 "integer"},
	{"lx", "\"max_physical_memory\":1.5", "1.5 is not an integer"},
	{"lx", "\"max_physical_memory\":-1", "-1 is not between 16 and 2147483647"},
	{"lx", "\"quota\":-1", "Invalid value(s) for: quota"},
	{"lx", "\"quota\":99999999999999999999", "Invalid value(s) for: quota"},
	{"lx", "\"cpu_shares\":70000", "70000 is not between 0 and 65535"},
	{"lx", "\"cpu_cap\":[]", "cpu_cap: [] is not an integer"},
	{"lx", "\"max_swap\":100", "100 is not between 256"},
	{"lx", "\"zfs_root_recsize\":1000", "1000 is not a power of two"},
	{"lx", "\"zfs_root_recsize\":1048576", "is not between 512 and 131072"},
	{"kvm", "\"vcpus\":0", "0 is not between 1 and 64"},
	{"kvm", "\"spice_port\":0", "this platform's QEMU has no SPICE"},
	{"kvm", "\"vnc_port\":65536", "65536 is not between -1 and 65535"},
	/* booleans */
	{"lx", "\"autoboot\":\"maybe\"", "autoboot: \"maybe\" is not true or false"},
	{"lx", "\"autoboot\":2", "autoboot: 2 is not true or false"},
	{"lx", "\"firewall_enabled\":null", "firewall_enabled: null is not true or false"},
	/* strings */
	{"lx", "\"alias\":\"a\\nb\"", "is not text without control characters"},
	{"lx", "\"alias\":{}", "alias: {} is not a string"},
	{"lx", "\"hostname\":\"-x\"", "is not a host name"},
	{"lx", "\"owner_uuid\":\"me\"", "owner_uuid: \"me\" is not a UUID"},
	{"lx", "\"uuid\":\"../../etc\"", "uuid: \"../../etc\" is not a UUID"},
	{"lx", "\"zonename\":\"global\"", "zonename: \"global\" is not a zone name"},
	{"lx", "\"zonename\":\"other\"", "zonename: must be the uuid"},
	{"lx", "\"zpool\":\"-f\"", "zpool: \"-f\" is not a pool name"},
	{"lx", "\"kernel_version\":\"new\"", "is not a kernel version"},
	{"lx", "\"init_name\":\"sbin/init\"", "is not an absolute path"},
	{"lx", "\"zfs_root_compression\":\"best\"", "\"best\" is not one of on|off|gzip"},
	{"kvm", "\"boot\":\"xyz\"", "is not a boot order"},
	{"kvm", "\"boot\":\"order=cc\"", "is not a boot order"},
	{"kvm", "\"vga\":\"matrox\"", "is not one of cirrus|std"},
	{"kvm", "\"vnc_password\":\"123456789\"", "is not short enough"},
	{"bhyve", "\"bootrom\":\"csm\"", "is not bios, uefi or the path"},
	{"bhyve", "\"com1\":\"ttya\"", "is not a device path"},
	/* lists */
	{"lx", "\"resolvers\":[\"8.8.8.8\",\"dns\"]", "holds \"dns\", which is not an IP address"},
	{"lx", "\"resolvers\":8", "resolvers: 8 is not a list"},
	{"lx", "\"resolvers\":[{}]", "is not a list of strings"},
	{"lx", "\"limit_priv\":[\"default\",\"a b\"]", "is not a privilege"},
	{"lx", "\"fs_allowed\":[\"nfs;rm\"]", "which is not a word"},
	/* flat objects */
	{"lx", "\"tags\":[]", "tags: [] is not an object"},
	{"lx", "\"tags\":{\"a\":{}}", "holds \"a\", which is not a string, number or boolean"},
	{"lx", "\"customer_metadata\":{\"\":1}", "holds a key that is empty"},
	{"lx", "\"internal_metadata\":{\"k\":null}", "holds \"k\", which is not"},
	{"lx", "\"routes\":{\"here\":\"10.0.0.1\"}", "Invalid route destination: \"here\""},
	{"lx", "\"routes\":{\"10.1.0.0/16\":\"there\"}", "Invalid route gateway: \"there\""},
	{"lx", "\"routes\":{\"10.1.0.0/16\":\"nics[3]\"}", "refers to non-existent or DHCP nic"},
	/* nics */
	{"lx", "\"nics\":{}", "nics is not an array of objects"},
	{"lx", "\"nics\":[1]", "nics[0] is not an object"},
	{"lx", "\"nics\":[{}]", "Missing required property(s): nics.*.nic_tag"},
	{"lx", "\"nics\":[{\"nic_tag\":\"a b\"}]", "Invalid value(s) for: nics.*.nic_tag"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"speed\":1}]", "nics[0].speed: unknown property"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"model\":\"virtio\"}]",
	 "nics[0].model is not a property of brand lx"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"mac\":\"01:00:5e:00:00:01\"}]",
	 "is not a unicast MAC address"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"mac\":\"2:8:20\"}]", "is not a unicast MAC"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"ip\":\"10.0.0.256\"}]",
	 "is not an IPv4 address or dhcp"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"netmask\":\"255.0.255.0\"}]", "is not a netmask"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"ips\":[\"10.0.0.1\"]}]",
	 "is not an address with prefix length"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"gateway\":\"fe80::1\"}]",
	 "is not an IPv4 address"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"vlan_id\":4096}]",
	 "nics[0].vlan_id: 4096 is not between 0 and 4095"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"mtu\":100}]", "is not between 576 and 9000"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"vrrp_vrid\":256}]",
	 "Invalid value(s) for: nics.*.vrrp_vrid"},
	{"lx", "\"nics\":[{\"nic_tag\":\"admin\",\"primary\":false}]", "false cannot be given"},
	{"lx", "\"nics\":[{\"nic_tag\":\"a\",\"primary\":true},{\"nic_tag\":\"b\",\"primary\":true}]",
	 "more than one nic is primary"},
	{"lx",
	 "\"nics\":[{\"nic_tag\":\"a\",\"mac\":\"02:00:00:00:00:01\"},"
	 "{\"nic_tag\":\"a\",\"mac\":\"2:0:0:0:0:1\"}]",
	 "nics[1].mac: 02:00:00:00:00:01 is that of nics[0] too"},
	{"lx", "\"nics\":[{\"nic_tag\":\"a\",\"interface\":\"net 0\"}]", "is not an interface name"},
	{"lx", "\"nics\":[{\"nic_tag\":\"a\",\"blocked_outgoing_ports\":[70000]}]",
	 "is not a port number"},
	/* disks */
	{"kvm", "\"disks\":[{\"model\":\"virtio\"}]", "disks[0] has neither size nor image_uuid"},
	{"kvm", "\"disks\":[{\"size\":10}]", "disks[0] has no model"},
	{"kvm", "\"disks\":[{\"size\":10,\"model\":\"nvme\"}]", "nvme is not one of brand kvm"},
	{"bhyve", "\"disks\":[{\"size\":10,\"model\":\"ide\"}]", "ide is not one of brand bhyve"},
	{"bhyve",
	 "\"disks\":[{\"path\":\"/a.iso\",\"media\":\"cdrom\",\"model\":\"nvme\"}]",
	 "a cdrom is ahci or virtio, not nvme"},
	{"bhyve", "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"pci_slot\":\"0:31:1\"}]",
	 "0:31:1 is where the LPC bridge is"},
	{"bhyve", "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"pci_slot\":\"6:2\"}]",
	 "6:2 is where the nics are"},
	{"bhyve", "\"nics\":[{\"nic_tag\":\"a\",\"model\":\"rtl8139\"}]",
	 "rtl8139 is not one of brand bhyve"},
	{"bhyve", "\"hostbridge\":\"piix\"", "hostbridge"},
	{"kvm", "\"hostbridge\":\"q35\"", "hostbridge is not a property of brand kvm"},
	{"kvm", "\"disks\":[{\"size\":0,\"model\":\"virtio\"}]", "0 is not between 1"},
	{"bhyve", "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"block_size\":1000}]",
	 "1000 is not a power of two"},
	{"bhyve", "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"pci_slot\":\"0:40:0\"}]",
	 "is not a PCI slot"},
	{"bhyve", "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"guest_block_size\":\"500\"}]",
	 "is not a block size"},
	{"bhyve",
	 "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"boot\":true},"
	 "{\"size\":8,\"model\":\"virtio\",\"boot\":true}]",
	 "more than one disk is the boot disk"},
	{"bhyve",
	 "\"disks\":[{\"size\":8,\"model\":\"virtio\",\"pci_slot\":\"0:4:0\"},"
	 "{\"size\":8,\"model\":\"virtio\",\"pci_slot\":\"0:4:0\"}]",
	 "disks[1].pci_slot: 0:4:0 is that of disks[0] too"},
	{"kvm",
	 "\"disks\":[{\"model\":\"virtio\",\"block_size\":4096,"
	 "\"image_uuid\":\"11111111-2222-3333-4444-555555555555\"}]",
	 "is that of its image and cannot be given"},
	{"kvm", "\"disks\":[{\"media\":\"tape\",\"size\":1,\"model\":\"ide\"}]",
	 "is not one of disk|cdrom"},
	{"kvm", "\"disks\":[{\"path\":\"/dev/../etc/shadow\",\"size\":1,\"model\":\"ide\"}]",
	 "is not a path without"},
	/* filesystems */
	{"lx", "\"filesystems\":[{\"type\":\"lofs\",\"source\":\"/a\"}]",
	 "filesystems[0] has no target"},
	{"lx", "\"filesystems\":[{\"type\":\"lofs\",\"source\":\"a\",\"target\":\"/b\"}]",
	 "is not an absolute path"},
	/* memory */
	{"kvm", "\"ram\":1024,\"max_physical_memory\":1024",
	 "max_physical_memory: 1024 is less than ram (1024) and 256"},
	{"lx", "\"max_physical_memory\":1024,\"max_swap\":512",
	 "max_swap: 512 is less than max_physical_memory"},
};

/* A payload of that brand which is right but for the members. */
static struct json *
payload_with(const char *brand, const char *members)
{
	static const char *const needed[] = {
		"image_uuid", "\"11111111-2222-3333-4444-555555555555\"",
		"kernel_version", "\"4.3.0\"",
	};
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_error struct error err = ERROR_INIT;
	struct json *j = NULL;

	strbuf_addf(&b, "{\"brand\":\"%s\",%s", brand, members);
	for (size_t i = 0; i < (str_eq(brand, "lx") ? 4 : 0); i += 2) {
		cleanup_free char *name = str_printf("\"%s\"", needed[i]);

		if (!strstr(members, name))
			strbuf_addf(&b, ",%s:%s", name, needed[i + 1]);
	}
	strbuf_adds(&b, "}");
	check_ok(json_parse(b.data, b.len, &j, &err), &err);
	return j;
}

TEST(bad_payloads_are_told_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_create); i++) {
		cleanup_json struct json *j = payload_with(bad_create[i].brand, bad_create[i].members);
		cleanup_vm_report struct vm_report r = VM_REPORT_INIT;
		cleanup_error struct error err = ERROR_INIT;
		enum vm_brand brand = vm_brand_parse(bad_create[i].brand);

		vm_payload_check(j, brand, VM_CREATE, &r);
		if (vm_report_ok(&r)) {
			vm_payload_defaults(j, brand);
			vm_payload_follow(j, brand, NULL);
			vm_payload_rules(j, brand, &r);
		}
		check(!vm_report_ok(&r));
		check_int(vm_report_error(&r, &err), ==, -EINVAL);
		check_has(error_message(&err), bad_create[i].has);
	}
}

static const struct bad bad_update[] = {
	{"lx", "\"image_uuid\":\"11111111-2222-3333-4444-555555555555\"",
	 "image_uuid cannot be changed once the VM exists"},
	{"lx", "\"uuid\":\"11111111-2222-3333-4444-555555555555\"", "uuid cannot be changed"},
	{"lx", "\"nics\":[]", "nics cannot be changed once the VM exists"},
	{"lx", "\"tags\":{}", "tags cannot be changed once the VM exists"},
	{"lx", "\"add_disks\":[]", "add_disks is not a property of brand lx"},
	{"lx", "\"set_nics\":[]", "set_nics: unknown property"},
	{"lx", "\"add_tags\":{}", "add_tags: unknown property"},
	{"lx", "\"set_tags\":{\"a\":[]}", "set_tags holds \"a\", which is not"},
	{"lx", "\"remove_tags\":\"a\"", "remove_tags is not a list"},
	{"lx", "\"remove_nics\":[\"zz\"]", "remove_nics: \"zz\" is not a unicast MAC address"},
	{"lx", "\"update_nics\":[{\"ip\":\"10.0.0.1\"}]",
	 "update_nics[0] does not say which: mac is missing"},
	{"lx", "\"update_nics\":[{\"mac\":\"02:00:00:00:00:01\",\"vlan_id\":\"x\"}]",
	 "update_nics[0].vlan_id: \"x\" is not an integer"},
	{"kvm", "\"update_disks\":[{\"path\":\"/dev/zvol/a/b\",\"block_size\":4096}]",
	 "update_disks[0].block_size cannot be changed"},
	{"kvm", "\"create_timestamp\":\"now\"", "create_timestamp is read only"},
	{"kvm", "\"ram\":\"2G\"", "ram: \"2G\" is not an integer"},
};

TEST(bad_updates_are_told_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_update); i++) {
		cleanup_free char *text = str_printf("{%s}", bad_update[i].members);
		cleanup_json struct json *j = NULL;
		cleanup_vm_report struct vm_report r = VM_REPORT_INIT;
		cleanup_error struct error err = ERROR_INIT;

		check_ok(json_parse(text, (size_t)-1, &j, &err), &err);
		vm_payload_check(j, vm_brand_parse(bad_update[i].brand), VM_UPDATE, &r);
		check(!vm_report_ok(&r));
		vm_report_error(&r, &err);
		check_has(error_message(&err), bad_update[i].has);
	}
}

TEST(missing_and_wrong_brand)
{
	cleanup_json struct json *j = json_new_object();
	cleanup_vm_report struct vm_report r = VM_REPORT_INIT;
	cleanup_error struct error err = ERROR_INIT;

	vm_payload_check(j, 0, VM_CREATE, &r);
	vm_report_error(&r, &err);
	check_has(error_message(&err), "Missing required property(s): brand");
	vm_report_done(&r);
	json_set_str(j, "brand", "vax");
	vm_payload_check(j, vm_brand_parse("vax"), VM_CREATE, &r);
	vm_report_error(&r, &err);
	check_has(error_message(&err), "Invalid brand: 'vax'");
	vm_report_done(&r);
	json_set_str(j, "brand", "lx");
	vm_payload_check(j, VM_LX, VM_CREATE, &r);
	vm_report_error(&r, &err);
	check_has(error_message(&err), "Missing required property(s): kernel_version, image_uuid");
}

TEST(arguments_become_a_payload)
{
	cleanup_json struct json *j = json_new_object();
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm_report struct vm_report r = VM_REPORT_INIT;

	check_ok(vm_payload_set_arg(j, "cpu_cap=200", &err), &err);
	check_ok(vm_payload_set_arg(j, "alias=a=b", &err), &err);
	check_ok(vm_payload_set_arg(j, "resolvers=1.1.1.1,8.8.8.8", &err), &err);
	check_ok(vm_payload_set_arg(j, "autoboot=false", &err), &err);
	check_ok(vm_payload_set_arg(j, "hostname=", &err), &err);
	vm_payload_check(j, VM_LX, VM_UPDATE, &r);
	check(vm_report_ok(&r));
	check_int(json_int(json_get(j, "cpu_cap"), 0), ==, 200);
	check_str(json_str(json_get(j, "alias"), NULL), "a=b");
	check_int(json_len(json_get(j, "resolvers")), ==, 2);
	check_int(json_type(json_get(j, "autoboot")), ==, JSON_BOOL);
	check_int(json_type(json_get(j, "hostname")), ==, JSON_NULL);
	check_int(vm_payload_set_arg(j, "alias", &err), ==, -EINVAL);
	check_int(vm_payload_set_arg(j, "tags=a", &err), ==, -EINVAL);
	check_has(error_message(&err), "cannot be given as property=value");
}

TEST(memory_follows)
{
	cleanup_json struct json *vm = payload_with("lx", "\"max_physical_memory\":512");
	cleanup_json struct json *old = NULL;
	cleanup_vm_report struct vm_report r = VM_REPORT_INIT;

	vm_payload_check(vm, VM_LX, VM_CREATE, &r);
	vm_payload_defaults(vm, VM_LX);
	vm_payload_follow(vm, VM_LX, NULL);
	check_int(json_int(json_get(vm, "ram"), 0), ==, 512);
	check_int(json_int(json_get(vm, "tmpfs"), 0), ==, 512);
	check_int(json_int(json_get(vm, "max_swap"), 0), ==, 512);
	json_set_int(vm, "max_locked_memory", 128);
	old = json_copy(vm);
	json_set_int(vm, "ram", 1024);
	vm_payload_follow(vm, VM_LX, old);
	check_int(json_int(json_get(vm, "max_physical_memory"), 0), ==, 1024);
	check_int(json_int(json_get(vm, "tmpfs"), 0), ==, 1024);
	check_int(json_int(json_get(vm, "max_swap"), 0), ==, 1024);
	check_int(json_int(json_get(vm, "max_locked_memory"), 0), ==, 128); /* was set apart */
}

TEST(conflicts_with_other_vms)
{
	static const char others_text[] =
		"[{\"uuid\":\"a\",\"vnc_port\":5900,\"nics\":[{\"mac\":\"02:00:00:00:00:01\","
		"\"nic_tag\":\"admin\",\"vlan_id\":5,\"ips\":[\"10.0.0.5/24\",\"fd00::5/64\"]}]}]";
	static const struct {
		const char *vm;
		const char *has; /* NULL: no conflict */
	} rows[] = {
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:01\",\"nic_tag\":\"x\"}]}",
		 "MAC address 02:00:00:00:00:01 is already in use by VM a"},
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:02\",\"nic_tag\":\"admin\","
		 "\"vlan_id\":5,\"ips\":[\"10.0.0.5/16\"]}]}",
		 "IP address 10.0.0.5/16 is already in use by VM a"},
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:02\",\"nic_tag\":\"admin\","
		 "\"vlan_id\":5,\"ips\":[\"fd00:0::0005/64\"]}]}",
		 "is already in use by VM a"},
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:02\",\"nic_tag\":\"admin\","
		 "\"ips\":[\"10.0.0.5/24\"]}]}", NULL},
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:02\",\"nic_tag\":\"other\","
		 "\"vlan_id\":5,\"ips\":[\"10.0.0.5/24\"]}]}", NULL},
		{"{\"uuid\":\"b\",\"nics\":[{\"mac\":\"02:00:00:00:00:02\",\"nic_tag\":\"admin\","
		 "\"vlan_id\":5,\"ips\":[\"dhcp\"]}]}", NULL},
		{"{\"uuid\":\"b\",\"vnc_port\":5900}", "port 5900 is already in use by VM a"},
		{"{\"uuid\":\"a\",\"vnc_port\":5900}", NULL}, /* itself */
		{"{\"uuid\":\"b\",\"vnc_port\":0}", NULL},
	};
	cleanup_json struct json *others = NULL;

	require(json_parse(others_text, (size_t)-1, &others, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *vm = NULL;
		cleanup_error struct error err = ERROR_INIT;
		int r;

		require(json_parse(rows[i].vm, (size_t)-1, &vm, NULL) == 0);
		r = vm_check_conflicts(vm, others, &err);
		check_int(r, ==, rows[i].has ? -EEXIST : 0);
		if (rows[i].has)
			check_has(error_message(&err), rows[i].has);
	}
}

TEST(table_is_consistent)
{
	for (size_t i = 0; i < vm_props_n; i++) {
		const struct vm_prop *p = &vm_props[i];

		check(p->doc && *p->doc);
		check(p->brands);
		check(vm_prop_find(p->path) == p); /* no path twice */
		check(p->type != VM_T_INT || p->max > p->min || p->alias_of);
		check(p->store == VM_S_NONE || p->key || p->store == VM_S_ROUTES ||
		      p->store == VM_S_TAGS);
		if (p->initial && *p->initial == '=')
			check(vm_prop_find(p->initial + 1) != NULL);
		else if (p->initial) {
			cleanup_json struct json *v = NULL;

			check_int(json_parse(p->initial, (size_t)-1, &v, NULL), ==, 0);
		}
		if (p->alias_of)
			check(vm_prop_find(p->alias_of) != NULL);
		if (p->type == VM_T_OBJECTS)
			check(vm_array_key(p->path) && vm_prop_member(p->path, vm_array_key(p->path)));
	}
}

TEST(random_macs_are_good)
{
	char a[18], b[18];

	for (int i = 0; i < 200; i++) {
		vm_mac_random(a);
		check_int(vm_mac_normalise(a, b), ==, 0);
		check_str(a, b);
		check(a[1] == '2' && a[0] != '0');
	}
}
