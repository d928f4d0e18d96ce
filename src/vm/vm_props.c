/*
 * The property table.
 *
 * One row says everything there is to know about a property; the code in
 * vm_payload.c (validation, defaults), vm_xml.c (storage) and vm_props_doc.c
 * (manual) walks the rows and knows no property by name unless a rule between
 * properties makes that necessary.  To add a property, add a row.
 *
 * Order is the order in which `vmadm get` prints, and in which a new zone's XML
 * is written.
 */
#include "vm/vm_props.h"

#include "vm/vm_check.h"

#define C VM_CREATE
#define U VM_UPDATE
#define A VM_ADD
#define CH VM_CHANGE
#define R VM_RECEIVE
#define LIVE VM_LIVE
#define CU (VM_CREATE | VM_UPDATE)
#define AC (VM_ADD | VM_CHANGE)

#define INT_RANGE(lo, hi) .min = (lo), .max = (hi)
#define I32 2147483647
#define I52 4503599627370496 /* what a double still counts one by one */

#define STORE_ATTR(k) .store = VM_S_ATTR, .key = (k)
#define STORE_RCTL(k) .store = VM_S_RCTL, .key = (k)
#define STORE_ZONE(k) .store = VM_S_ZONE, .key = (k)
#define STORE_NET(k) .store = VM_S_NET, .key = (k)
#define STORE_NETATTR(k) .store = VM_S_NETATTR, .key = (k)
#define STORE_DEV(k) .store = VM_S_DEV, .key = (k)
#define STORE_DEVATTR(k) .store = VM_S_DEVATTR, .key = (k)
#define STORE_FS(k) .store = VM_S_FS, .key = (k)
#define STORE_ZFS(k) .store = VM_S_ZFS, .key = (k)
#define B64 .encoding = VM_E_BASE64
#define COMMA .encoding = VM_E_COMMA
#define BYTES .encoding = VM_E_BYTES, .unit = "MiB"

#define COMPRESSION                                                                       \
	"on|off|gzip|gzip-1|gzip-2|gzip-3|gzip-4|gzip-5|gzip-6|gzip-7|gzip-8|gzip-9|lz4|" \
	"lzjb|zle|zstd"

const struct vm_prop vm_props[] = {
	/* Identity. */
	{"uuid", VM_T_UUID, VM_ANY, C, STORE_ZONE("uuid"),
	 .doc = "Name of the VM on this node and in every message; made up if not given."},
	{"zonename", VM_T_STRING, VM_ANY, C, STORE_ZONE("zonename"), .check = vm_is_zonename,
	 .doc = "Name of the zone; must be the uuid, which is the default."},
	{"alias", VM_T_STRING, VM_ANY, CU | LIVE, STORE_ATTR("alias"), B64, .max = 189,
	 .check = vm_is_text, .doc = "A name for people; need not be unique."},
	{"hostname", VM_T_STRING, VM_ANY, CU, STORE_ATTR("hostname"), .max = 63,
	 .check = vm_is_hostname, .doc = "Host name inside; the alias, or else the uuid, if absent."},
	{"brand", VM_T_STRING, VM_ANY, C, STORE_ZONE("brand"), .required = true,
	 .choices = "joyent|joyent-minimal|builder|lx|kvm|bhyve",
	 .doc = "What kind of zone or virtual machine it is."},
	{"v", VM_T_INT, VM_ANY, R, STORE_ATTR("vm-version"), .initial = "1", INT_RANGE(0, I32),
	 .hidden = true, .doc = "Version of the stored form."},
	{"create_timestamp", VM_T_STRING, VM_ANY, R, STORE_ATTR("create-timestamp"),
	 .doc = "When the VM was created (read only)."},
	{"owner_uuid", VM_T_UUID, VM_ANY, CU | LIVE, STORE_ATTR("owner-uuid"),
	 .initial = "\"00000000-0000-0000-0000-000000000000\"", .doc = "Whose VM it is."},
	{"billing_id", VM_T_UUID, VM_ANY, CU | LIVE, STORE_ATTR("billing-id"),
	 .initial = "\"00000000-0000-0000-0000-000000000000\"", .doc = "Who pays for it."},
	{"package_name", VM_T_STRING, VM_ANY, CU, STORE_ATTR("package-name"), .hidden = true,
	 .check = vm_is_text, .max = 255, .doc = "Deprecated."},
	{"package_version", VM_T_STRING, VM_ANY, CU, STORE_ATTR("package-version"),
	 .hidden = true, .check = vm_is_text, .max = 255, .doc = "Deprecated."},
	{"image_uuid", VM_T_UUID, VM_ANY, C, STORE_ATTR("dataset-uuid"), .check = vm_is_image,
	 .doc = "Image the root is cloned from; required for zones. A virtual machine names "
		"images in disks instead."},
	{"dataset_uuid", VM_T_UUID, VM_ANY, C, .check = vm_is_image, .alias_of = "image_uuid", .hidden = true,
	 .doc = "Deprecated name of image_uuid."},
	{"zpool", VM_T_STRING, VM_ANY, C, .initial = "\"zones\"", .check = vm_is_pool,
	 .doc = "Pool that holds the root."},
	{"zfs_storage_pool_name", VM_T_STRING, VM_ANY, C, .alias_of = "zpool", .hidden = true,
	 .doc = "Deprecated name of zpool."},

	/* Start. */
	{"autoboot", VM_T_BOOL, VM_ANY, CU, STORE_ZONE("autoboot"), .initial = "true",
	 .doc = "Start the VM when the node boots, and once it is created."},
	{"init_name", VM_T_STRING, VM_OS, CU, STORE_ATTR("init-name"), .check = vm_is_path,
	 .doc = "Program that becomes process 1; /sbin/init for brand lx."},
	{"restart_init", VM_T_BOOL, VM_OS, CU, STORE_ATTR("restart-init"),
	 .doc = "Start process 1 again when it ends; otherwise the zone halts. Default true."},
	{"kernel_version", VM_T_STRING, VM_LX, CU, STORE_ATTR("kernel-version"),
	 .required = true, .check = vm_is_kernel_version,
	 .doc = "Kept for compatibility: an LX zone runs on the node's own kernel."},
	{"docker", VM_T_BOOL, VM_LX | VM_MINIMAL, CU, STORE_ATTR("docker"),
	 .doc = "The image is an application image; docker:* metadata names its program."},
	{"nowait", VM_T_BOOL, VM_OS, C, .initial = "false",
	 .doc = "Return before the guest says that it is provisioned."},
	{"mdata_exec_timeout", VM_T_INT, VM_OS, C, INT_RANGE(0, I32), .unit = "s",
	 .doc = "How long the user-script may run at first boot; 0 is for ever."},

	/* Limits. */
	{"ram", VM_T_INT, VM_ANY, CU, STORE_ATTR("ram"), .stored_for = VM_HVM,
	 INT_RANGE(1, I32), .unit = "MiB",
	 .doc = "Memory of a virtual machine; for a zone another name of "
		"max_physical_memory. Default 256."},
	{"vcpus", VM_T_INT, VM_HVM, CU, STORE_ATTR("vcpus"), .initial = "1", INT_RANGE(1, 64),
	 .doc = "Processors of the virtual machine."},
	{"max_physical_memory", VM_T_INT, VM_ANY, CU | LIVE,
	 STORE_RCTL("zone.max-physical-memory deny"), BYTES, INT_RANGE(16, I32),
	 .doc = "Memory the VM may use; by default ram, and 1024 (kvm) or 1280 (bhyve) more."},
	{"max_locked_memory", VM_T_INT, VM_ANY, CU | LIVE,
	 STORE_RCTL("zone.max-locked-memory deny"), BYTES, .initial = "=max_physical_memory",
	 INT_RANGE(0, I32), .doc = "Memory that may be locked; at most max_physical_memory."},
	{"max_swap", VM_T_INT, VM_ANY, CU | LIVE, STORE_RCTL("zone.max-swap deny"), BYTES,
	 INT_RANGE(256, I32),
	 .doc = "Memory and swap together; by default max_physical_memory, at least 256."},
	{"tmpfs", VM_T_INT, VM_OS, CU, STORE_ATTR("tmpfs"), .unit = "MiB",
	 .initial = "=max_physical_memory", INT_RANGE(0, I32),
	 .doc = "Size of /tmp in memory; 0 leaves /tmp on disk."},
	{"max_lwps", VM_T_INT, VM_ANY, CU | LIVE, STORE_RCTL("zone.max-lwps deny"),
	 .initial = "2000", INT_RANGE(10, I32), .doc = "Threads."},
	{"max_shm_memory", VM_T_INT, VM_ANY, CU, STORE_RCTL("zone.max-shm-memory deny"), BYTES,
	 .initial = "=max_physical_memory", INT_RANGE(0, I32), .doc = "System V shared memory."},
	{"max_msg_ids", VM_T_INT, VM_ANY, CU, STORE_RCTL("zone.max-msg-ids deny"),
	 .initial = "4096", INT_RANGE(0, I32), .doc = "System V message queues."},
	{"max_sem_ids", VM_T_INT, VM_ANY, CU, STORE_RCTL("zone.max-sem-ids deny"),
	 .initial = "4096", INT_RANGE(0, I32), .doc = "System V semaphore sets."},
	{"max_shm_ids", VM_T_INT, VM_ANY, CU, STORE_RCTL("zone.max-shm-ids deny"),
	 .initial = "4096", INT_RANGE(0, I32), .doc = "System V shared memory segments."},
	{"cpu_shares", VM_T_INT, VM_ANY, CU | LIVE, STORE_RCTL("zone.cpu-shares none"),
	 .initial = "100", INT_RANGE(0, 65535),
	 .doc = "Weight against the other VMs when processors are short."},
	{"cpu_cap", VM_T_INT, VM_ANY, CU | LIVE, STORE_RCTL("zone.cpu-cap deny"), .unit = "%",
	 INT_RANGE(0, I32), .doc = "Processor time, 100 being one processor; 0 or absent is no cap."},
	{"zfs_io_priority", VM_T_INT, VM_ANY, CU | LIVE, STORE_RCTL("zone.zfs-io-priority none"),
	 .initial = "100", INT_RANGE(0, 1024), .doc = "Weight of the VM's disk traffic."},
	{"limit_priv", VM_T_LIST, VM_ANY, CU, STORE_ZONE("limitpriv"), .max = 128,
	 .check = vm_is_priv, .doc = "Privileges processes inside may have."},
	{"fs_allowed", VM_T_LIST, VM_OS, CU, STORE_ZONE("fs-allowed"), .max = 64,
	 .check = vm_is_word, .doc = "Filesystem types that may be mounted inside."},

	/* Storage. */
	{"quota", VM_T_INT, VM_ANY, CU | LIVE, STORE_ZFS("quota"), .unit = "GiB",
	 INT_RANGE(0, 1 << 30), .doc = "Size of the root; 0 is none. Default 10, 1 for brand bhyve."},
	{"flexible_disk_size", VM_T_INT, VM_BHYVE, CU, STORE_ATTR("flexible-disk-size"),
	 .unit = "MiB", INT_RANGE(1, I32), .doc = "Space for all disks and their snapshots."},
	{"delegate_dataset", VM_T_BOOL, VM_OS, C,
	 .doc = "Make <root>/data and hand it to the zone's administrator."},
	{"zfs_root_compression", VM_T_STRING, VM_ANY, CU | LIVE, STORE_ZFS("compression"),
	 .choices = COMPRESSION, .doc = "Compression of the root."},
	{"zfs_data_compression", VM_T_STRING, VM_OS, CU | LIVE, STORE_ZFS("data:compression"),
	 .choices = COMPRESSION, .doc = "Compression of the delegated dataset."},
	{"zfs_root_recsize", VM_T_INT, VM_ANY, CU | LIVE, STORE_ZFS("recordsize"),
	 INT_RANGE(512, 131072), .pow2 = true, .unit = "bytes", .doc = "Record size of the root."},
	{"zfs_data_recsize", VM_T_INT, VM_OS, CU | LIVE, STORE_ZFS("data:recordsize"),
	 INT_RANGE(512, 131072), .pow2 = true, .unit = "bytes",
	 .doc = "Record size of the delegated dataset."},
	{"zfs_filesystem_limit", VM_T_INT, VM_ANY, CU | LIVE, STORE_ZFS("filesystem_limit"),
	 INT_RANGE(0, I52), .doc = "Datasets that may exist below the root."},
	{"zfs_snapshot_limit", VM_T_INT, VM_ANY, CU | LIVE, STORE_ZFS("snapshot_limit"),
	 INT_RANGE(0, I52), .doc = "Snapshots that may exist of the root and below."},
	{"indestructible_zoneroot", VM_T_BOOL, VM_ANY, CU | LIVE,
	 .doc = "Refuse to delete or reprovision the VM until this is false."},
	{"indestructible_delegated", VM_T_BOOL, VM_ANY, CU | LIVE,
	 .doc = "The same for the delegated dataset."},
	{"archive_on_delete", VM_T_BOOL, VM_ANY, CU | LIVE, STORE_ATTR("archive-on-delete"),
	 .doc = "Keep configuration, metadata and console log in /zones/archive when the VM is deleted."},
	{"do_not_inventory", VM_T_BOOL, VM_ANY, CU | LIVE, STORE_ATTR("do-not-inventory"),
	 .doc = "Cluster software is to ignore the VM."},

	/* Network. */
	{"dns_domain", VM_T_STRING, VM_OS, CU, STORE_ATTR("dns-domain"), .initial = "\"local\"",
	 .max = 253, .check = vm_is_hostname, .doc = "Search domain written to resolv.conf."},
	{"resolvers", VM_T_LIST, VM_ANY, CU | LIVE, STORE_ATTR("resolvers"), COMMA, .max = 16,
	 .check = vm_is_ip, .doc = "Name servers."},
	{"maintain_resolvers", VM_T_BOOL, VM_OS, CU | LIVE, STORE_ATTR("maintain-resolvers"),
	 .doc = "Write resolv.conf again whenever resolvers change."},
	{"firewall_enabled", VM_T_BOOL, VM_ANY, CU | LIVE, STORE_ATTR("firewall-enabled"),
	 .initial = "false", .doc = "Apply the rules of fwadm(8) to the VM."},
	{"routes", VM_T_FLAT, VM_ANY, C, .store = VM_S_ROUTES, .initial = "{}",
	 .doc = "Static routes: destination to gateway, or to nics[N] or macs[MAC]."},
	{"default_gateway", VM_T_STRING, VM_ANY, C, STORE_ATTR("default-gateway"),
	 .hidden = true, .check = vm_is_ip, .doc = "Deprecated."},

	/* Hardware of virtual machines. */
	{"disk_driver", VM_T_STRING, VM_HVM, CU, STORE_ATTR("disk-driver"),
	 .choices = "virtio|ahci|nvme|scsi|ide", .doc = "Model of disks that name none."},
	{"nic_driver", VM_T_STRING, VM_HVM, CU, STORE_ATTR("nic-driver"),
	 .choices = "virtio|e1000|rtl8139", .doc = "Model of nics that name none."},
	{"boot", VM_T_STRING, VM_HVM, CU, STORE_ATTR("boot"), .check = vm_is_boot_order,
	 .doc = "Order of boot devices: c disk, d cdrom, n network; order=cd by default."},
	{"cpu_type", VM_T_STRING, VM_KVM, CU, STORE_ATTR("cpu-type"), .initial = "\"qemu64\"",
	 .choices = "qemu64|host", .doc = "Processor model shown to the guest."},
	{"bootrom", VM_T_STRING, VM_HVM, CU, STORE_ATTR("bootrom"), .check = vm_is_bootrom,
	 .doc = "Firmware: bios, uefi or a file; bios by default. Brand kvm takes it too."},
	{"vga", VM_T_STRING, VM_KVM, CU, STORE_ATTR("vga"), .initial = "\"std\"",
	 .choices = "cirrus|std|vmware|qxl|xenfb", .doc = "Graphics card."},
	{"vnc_port", VM_T_INT, VM_HVM, CU, STORE_ATTR("vnc-port"), .initial = "0",
	 INT_RANGE(-1, 65535),
	 .doc = "TCP port of the screen on the admin network; 0 picks one, -1 is none. "
		"vmadm info tells it."},
	{"vnc_password", VM_T_STRING, VM_HVM, CU | LIVE, STORE_ATTR("vnc-password"), B64, .max = 8,
	 .check = vm_is_text,
	 .doc = "Password of the screen; whether there is one counts from the next start."},
	{"spice_port", VM_T_INT, VM_KVM, CU, STORE_ATTR("spice-port"), INT_RANGE(-1, 65535),
	 .doc = "Must be -1: this platform's QEMU has no SPICE."},
	{"spice_password", VM_T_STRING, VM_KVM, CU, STORE_ATTR("spice-password"), B64,
	 .check = vm_is_text, .max = 59, .doc = "Password of SPICE."},
	{"spice_opts", VM_T_STRING, VM_KVM, CU, STORE_ATTR("spice-opts"), B64,
	 .check = vm_is_text, .max = 1024, .doc = "Further SPICE options."},
	{"qemu_opts", VM_T_STRING, VM_KVM, CU, STORE_ATTR("qemu-opts"), B64, .check = vm_is_text,
	 .max = 4096, .doc = "Instead of the node's own words for screen and input: -vnc unix:/tmp/vm.vnc "
		"-k en-us -usb -device usb-tablet."},
	{"qemu_extra_opts", VM_T_STRING, VM_KVM, CU, STORE_ATTR("qemu-extra-opts"), B64,
	 .check = vm_is_text, .max = 4096, .doc = "Words added to the QEMU command line."},
	{"virtio_txburst", VM_T_INT, VM_KVM, CU, STORE_ATTR("virtio-txburst"), INT_RANGE(0, I32),
	 .doc = "Packets sent in one go; QEMU then sends, not the kernel."},
	{"virtio_txtimer", VM_T_INT, VM_KVM, CU, STORE_ATTR("virtio-txtimer"), INT_RANGE(0, I32),
	 .unit = "ns", .doc = "How long a packet may wait for others; QEMU then sends."},
	{"hostbridge", VM_T_STRING, VM_BHYVE, CU, STORE_ATTR("hostbridge"),
	 .choices = "i440fx|q35|amd|netapp|none",
	 .doc = "Host bridge the guest sees; i440fx by default."},
	{"bhyve_extra_opts", VM_T_STRING, VM_BHYVE, CU, STORE_ATTR("bhyve-extra-opts"), B64,
	 .check = vm_is_text, .max = 4096, .doc = "Words added to the VMM's command line."},
	{"com1", VM_T_STRING, VM_BHYVE, CU, STORE_ATTR("com1"), .check = vm_is_com,
	 .doc = "First serial port; /dev/zconsole by default."},
	{"com2", VM_T_STRING, VM_BHYVE, CU, STORE_ATTR("com2"), .check = vm_is_com,
	 .doc = "Second serial port: the metadata channel by default."},

	/* Rare and internal. */
	{"zlog_max_size", VM_T_INT, VM_OS, CU, STORE_ATTR("zlog-max-size"), INT_RANGE(0, I52),
	 .unit = "bytes", .doc = "The console log is turned over at this size."},
	{"zlog_mode", VM_T_STRING, VM_OS, R, STORE_ATTR("zlog-mode"), .hidden = true,
	 .check = vm_is_text, .max = 16, .doc = "Internal."},
	{"zlog_name", VM_T_STRING, VM_OS, R, STORE_ATTR("zlog-name"), .hidden = true,
	 .check = vm_is_text, .max = 64, .doc = "Internal."},
	{"transition", VM_T_STRING, VM_ANY, R, STORE_ATTR("transition"), .hidden = true,
	 .check = vm_is_text, .max = 128, .doc = "Internal: state:target:expiry."},
	{"failed", VM_T_STRING, VM_ANY, R, STORE_ATTR("failed"), .hidden = true,
	 .check = vm_is_text, .max = 128, .doc = "Internal: why provisioning failed."},
	{"internal_metadata_namespaces", VM_T_LIST, VM_ANY, CU | LIVE,
	 STORE_ATTR("internal-metadata-namespaces"), COMMA, .max = 32, .check = vm_is_word,
	 .doc = "Prefixes of keys which the guest reads from internal_metadata."},

	/* Files in config/. */
	{"customer_metadata", VM_T_FLAT, VM_ANY, C, .store = VM_S_METADATA,
	 .key = "customer_metadata", .initial = "{}",
	 .doc = "Keys for the guest: it may read, add and delete them."},
	{"internal_metadata", VM_T_FLAT, VM_ANY, C, .store = VM_S_METADATA,
	 .key = "internal_metadata", .initial = "{}",
	 .doc = "Keys for the operator: the guest reads only *_pw and named namespaces."},
	{"tags", VM_T_FLAT, VM_ANY, C, .store = VM_S_TAGS, .initial = "{}",
	 .doc = "Keys by which to find the VM and by which firewall rules name it."},

	/* NICs. */
	{"nics", VM_T_OBJECTS, VM_ANY, C, .store = VM_S_ELEMENT, .key = "network", .max = 32,
	 .doc = "Network interfaces, known by their mac."},
	{"nics.*.interface", VM_T_STRING, VM_ANY, AC, STORE_NET("physical"),
	 .check = vm_is_interface, .max = 15, .doc = "Name inside: netN, and ethN for brand lx."},
	{"nics.*.mac", VM_T_STRING, VM_ANY, AC, STORE_NET("mac-addr"), .check = vm_is_mac,
	 .doc = "Address of the interface; made up if not given."},
	{"nics.*.vlan_id", VM_T_INT, VM_ANY, AC, STORE_NET("vlan-id"), INT_RANGE(0, 4095),
	 .doc = "VLAN on the tag; 0 is none."},
	{"nics.*.nic_tag", VM_T_STRING, VM_ANY, AC, STORE_NET("global-nic"),
	 .check = vm_is_nic_tag, .max = 31, .required = true,
	 .doc = "NIC tag or etherstub it stands on; tag/N on an overlay."},
	{"nics.*.gateway", VM_T_STRING, VM_ANY, AC, STORE_NETATTR("gateway"),
	 .check = vm_is_ipv4, .doc = "Router; the first of gateways."},
	{"nics.*.gateways", VM_T_LIST, VM_ANY, AC, STORE_NETATTR("gateways"), COMMA, .max = 20,
	 .check = vm_is_ipv4, .doc = "Routers."},
	{"nics.*.netmask", VM_T_STRING, VM_ANY, AC, STORE_NETATTR("netmask"),
	 .check = vm_is_netmask, .doc = "Of ip."},
	{"nics.*.ip", VM_T_STRING, VM_ANY, AC, STORE_NETATTR("ip"), .check = vm_is_ipv4_or_dhcp,
	 .doc = "Address or dhcp; the first of ips."},
	{"nics.*.ips", VM_T_LIST, VM_ANY, AC, STORE_NETATTR("ips"), COMMA, .max = 20,
	 .check = vm_is_nic_ip, .doc = "Addresses in CIDR form, dhcp, or addrconf."},
	{"nics.*.allowed_ips", VM_T_LIST, VM_ANY, AC, STORE_NETATTR("allowed_ips"), COMMA,
	 .max = 13, .check = vm_is_ip_or_cidr, .doc = "Further source addresses it may use."},
	{"nics.*.primary", VM_T_BOOL, VM_ANY, AC, STORE_NETATTR("primary"),
	 .doc = "Its gateway is the default route; only true, and only one."},
	{"nics.*.model", VM_T_STRING, VM_HVM, AC, STORE_NETATTR("model"),
	 .choices = "virtio|e1000|rtl8139", .doc = "Device model; virtio or nic_driver."},
	{"nics.*.mtu", VM_T_INT, VM_ANY, AC, STORE_NETATTR("mtu"), INT_RANGE(576, 9000),
	 .doc = "At most that of the tag."},
	{"nics.*.network_uuid", VM_T_UUID, VM_ANY, AC, STORE_NETATTR("network_uuid"),
	 .doc = "Name of the network in a cluster."},
	{"nics.*.vrrp_vrid", VM_T_INT, VM_ANY, AC, STORE_NETATTR("vrrp_vrid"), INT_RANGE(0, 255),
	 .doc = "VRRP router number."},
	{"nics.*.vrrp_primary_ip", VM_T_STRING, VM_ANY, AC, STORE_NETATTR("vrrp_primary_ip"),
	 .check = vm_is_ip, .doc = "Address of the nic VRRP speaks from."},
	{"nics.*.allow_dhcp_spoofing", VM_T_BOOL, VM_ANY, AC,
	 STORE_NETATTR("allow_dhcp_spoofing"), .doc = "May send DHCP for other addresses."},
	{"nics.*.allow_ip_spoofing", VM_T_BOOL, VM_ANY, AC, STORE_NETATTR("allow_ip_spoofing"),
	 .doc = "May use any source address."},
	{"nics.*.allow_mac_spoofing", VM_T_BOOL, VM_ANY, AC, STORE_NETATTR("allow_mac_spoofing"),
	 .doc = "May use any MAC address."},
	{"nics.*.allow_restricted_traffic", VM_T_BOOL, VM_ANY, AC,
	 STORE_NETATTR("allow_restricted_traffic"), .doc = "May send other than IP and ARP."},
	{"nics.*.allow_unfiltered_promisc", VM_T_BOOL, VM_HVM, AC,
	 STORE_NETATTR("allow_unfiltered_promisc"), .doc = "May see all traffic of the VLAN."},
	{"nics.*.dhcp_server", VM_T_BOOL, VM_ANY, AC, STORE_NETATTR("dhcp_server"),
	 .doc = "May answer DHCP requests."},
	{"nics.*.allowed_dhcp_cids", VM_T_LIST, VM_ANY & ~VM_BHYVE, AC,
	 STORE_NETATTR("allowed_dhcp_cids"), COMMA, .max = 20, .check = vm_is_word,
	 .doc = "DHCP client identifiers it may use."},
	{"nics.*.blocked_outgoing_ports", VM_T_LIST, VM_ANY, AC,
	 STORE_NETATTR("blocked_outgoing_ports"), COMMA, .max = 64, .check = vm_is_port,
	 .doc = "TCP and UDP ports it may not send to."},

	/* Disks. */
	{"disks", VM_T_OBJECTS, VM_HVM, C, .store = VM_S_ELEMENT, .key = "device", .max = 32,
	 .doc = "Disks, known by their path."},
	{"disks.*.path", VM_T_STRING, VM_HVM, AC, STORE_DEV("match"), .check = vm_is_path,
	 .doc = "Device or file; given only with nocreate or media=cdrom."},
	{"disks.*.boot", VM_T_BOOL, VM_HVM, AC, STORE_DEVATTR("boot"),
	 .doc = "Boot from this disk; the first one by default."},
	{"disks.*.model", VM_T_STRING, VM_HVM, AC, STORE_DEVATTR("model"),
	 .choices = "virtio|ahci|nvme|scsi|ide",
	 .doc = "Device model: virtio, ahci, nvme (bhyve); virtio, scsi, ide (kvm)."},
	{"disks.*.media", VM_T_STRING, VM_HVM, AC, STORE_DEVATTR("media"),
	 .choices = "disk|cdrom", .doc = "disk by default."},
	{"disks.*.pci_slot", VM_T_STRING, VM_HVM, AC, STORE_DEVATTR("pci-slot"),
	 .check = vm_is_pci_slot, .doc = "bus:slot:function the guest sees it at."},
	{"disks.*.size", VM_T_INT, VM_HVM, A | CH, STORE_DEVATTR("size"), INT_RANGE(1, I32),
	 .unit = "MiB", .doc = "Of a new disk; not with image_uuid."},
	{"disks.*.image_uuid", VM_T_UUID, VM_HVM, A, STORE_DEVATTR("image-uuid"),
	 .check = vm_is_image,
	 .doc = "Image it is cloned from."},
	{"disks.*.image_size", VM_T_INT, VM_HVM, A, STORE_DEVATTR("image-size"),
	 INT_RANGE(1, I32), .unit = "MiB", .doc = "Of the image; taken from it."},
	{"disks.*.image_name", VM_T_STRING, VM_HVM, A | CH, STORE_DEVATTR("image-name"),
	 .hidden = true, .check = vm_is_text, .max = 512, .doc = "Deprecated."},
	{"disks.*.uuid", VM_T_UUID, VM_HVM, AC, STORE_DEVATTR("uuid"),
	 .doc = "Name of the disk, also its serial number."},
	{"disks.*.notrim", VM_T_BOOL, VM_HVM, AC, STORE_DEVATTR("notrim"),
	 .doc = "Do not offer the guest to give back blocks."},
	{"disks.*.guest_block_size", VM_T_STRING, VM_HVM, AC, STORE_DEVATTR("guest-block-size"),
	 .check = vm_is_guest_block_size, .doc = "Logical, or logical/physical: 512/4096."},
	{"disks.*.block_size", VM_T_INT, VM_HVM, A, STORE_ZFS("volblocksize"),
	 INT_RANGE(512, 131072), .pow2 = true, .unit = "bytes",
	 .doc = "Block size of the volume; not with image_uuid. Default 8192."},
	{"disks.*.compression", VM_T_STRING, VM_HVM, AC, STORE_ZFS("compression"),
	 .choices = COMPRESSION, .doc = "Of the volume."},
	{"disks.*.refreservation", VM_T_INT, VM_HVM, AC, STORE_ZFS("refreservation"),
	 INT_RANGE(0, I32), .unit = "MiB", .doc = "Space set aside; size by default."},
	{"disks.*.zpool", VM_T_STRING, VM_HVM, A, .check = vm_is_pool,
	 .doc = "Pool of the volume."},
	{"disks.*.nocreate", VM_T_BOOL, VM_HVM, A, .doc = "path exists already: use it."},
	{"disks.*.dangerous_allow_shrink", VM_T_BOOL, VM_HVM, CH,
	 .doc = "Lets size become smaller, which cuts off data."},
	{"disks.*.zfs_filesystem", VM_T_STRING, VM_HVM, R, .hidden = true, .check = vm_is_dataset,
	 .doc = "The volume (read only)."},

	/* Other arrays. */
	{"pci_devices", VM_T_OBJECTS, VM_BHYVE, C | VM_STOPPED, .store = VM_S_ELEMENT,
	 .key = "device", .max = 8, .doc = "PCI devices of the node that are the VM's own."},
	{"pci_devices.*.path", VM_T_STRING, VM_BHYVE, AC, STORE_DEV("match"),
	 .check = vm_is_path, .required = true,
	 .doc = "Ends in the device's address: /sys/bus/pci/devices/0000:01:00.0."},
	{"pci_devices.*.pci_slot", VM_T_STRING, VM_BHYVE, AC, STORE_DEVATTR("pci-slot"),
	 .check = vm_is_pci_slot, .doc = "bus:slot:function the guest sees it at."},
	{"pci_devices.*.model", VM_T_STRING, VM_BHYVE, AC, STORE_DEVATTR("model"),
	 .choices = "passthru", .doc = "passthru."},
	{"filesystems", VM_T_OBJECTS, VM_OS, C, .store = VM_S_ELEMENT, .key = "filesystem",
	 .max = 64, .doc = "Directories of the node mounted in the zone, known by target."},
	{"filesystems.*.source", VM_T_STRING, VM_OS, AC, STORE_FS("special"),
	 .check = vm_is_path, .required = true, .doc = "Directory or device of the node."},
	{"filesystems.*.target", VM_T_STRING, VM_OS, AC, STORE_FS("dir"),
	 .check = vm_is_path, .required = true, .doc = "Where it is mounted."},
	{"filesystems.*.raw", VM_T_STRING, VM_OS, AC, STORE_FS("raw"), .check = vm_is_path,
	 .doc = "Raw device, for types that have one."},
	{"filesystems.*.type", VM_T_STRING, VM_OS, AC, STORE_FS("type"), .check = vm_is_word,
	 .max = 15, .required = true, .doc = "lofs, or another filesystem type."},
	{"filesystems.*.options", VM_T_LIST, VM_OS, AC, STORE_FS("fsoption"), .max = 16,
	 .check = vm_is_word, .doc = "Mount options: ro, nodevices, ..."},
};

const size_t vm_props_n = ARRAY_SIZE(vm_props);

static const struct {
	enum vm_brand brand;
	const char *name;
	const char *type;
} brands[] = {
	{VM_JOYENT, "joyent", "OS"},
	{VM_MINIMAL, "joyent-minimal", "OS"},
	{VM_BUILDER, "builder", "OS"},
	{VM_LX, "lx", "LX"},
	{VM_KVM, "kvm", "KVM"},
	{VM_BHYVE, "bhyve", "BHYV"},
};

enum vm_brand
vm_brand_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(brands); i++)
		if (str_eq(name, brands[i].name))
			return brands[i].brand;
	return 0;
}

const char *
vm_brand_name(enum vm_brand b)
{
	for (size_t i = 0; i < ARRAY_SIZE(brands); i++)
		if (brands[i].brand == b)
			return brands[i].name;
	return "unknown";
}

const char *
vm_brand_type(enum vm_brand b)
{
	for (size_t i = 0; i < ARRAY_SIZE(brands); i++)
		if (brands[i].brand == b)
			return brands[i].type;
	return "-";
}

const struct vm_prop *
vm_prop_find(const char *path)
{
	for (size_t i = 0; i < vm_props_n; i++)
		if (strcmp(vm_props[i].path, path) == 0)
			return &vm_props[i];
	return NULL;
}

const struct vm_prop *
vm_prop_member(const char *array, const char *name)
{
	size_t len = strlen(array);

	for (size_t i = 0; i < vm_props_n; i++) {
		const char *p = vm_props[i].path;

		if (strncmp(p, array, len) == 0 && strncmp(p + len, ".*.", 3) == 0 &&
		    strcmp(p + len + 3, name) == 0)
			return &vm_props[i];
	}
	return NULL;
}

const char *
vm_type_name(enum vm_type t)
{
	switch (t) {
	case VM_T_STRING:
		return "string";
	case VM_T_BOOL:
		return "boolean";
	case VM_T_INT:
		return "integer";
	case VM_T_UUID:
		return "uuid";
	case VM_T_LIST:
		return "list";
	case VM_T_FLAT:
		return "object of strings, numbers and booleans";
	case VM_T_OBJECTS:
		return "array of objects";
	}
	return "?";
}

const char *
vm_array_key(const char *array)
{
	static const struct {
		const char *array, *key;
	} keys[] = {
		{"nics", "mac"},
		{"disks", "path"},
		{"filesystems", "target"},
		{"pci_devices", "path"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (str_eq(array, keys[i].array))
			return keys[i].key;
	return NULL;
}
