/*
 * sysinfo(8): what this node is, as one JSON object with SmartOS's names.
 *
 * The answer is made once per boot and kept in /run/atoll/sysinfo.json; -f
 * makes it anew for this call, -u makes and keeps it.  Each member is one row
 * of members[]: a name and a function.  A fact that cannot be found out is
 * left out or empty, never a failure of the whole.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/json.h"
#include "boot/boot_params.h"
#include "boot/hostid.h"
#include "boot/method.h"
#include "boot/net_plan.h"
#include "boot/system_pool.h"
#include "net/nictag.h"
#include "net/vnic.h"
#include "store/disk.h"
#include "store/pool.h"
#include "store/zfs.h"

#define CACHE "/run/atoll/sysinfo.json"

/* What several members need, read once. */
struct facts {
	struct conf *config; /* never NULL */
	struct map *params;
	char *cpuinfo;
	char *pool; /* system pool, or NULL */
	struct nictag *tags;
	size_t n_tags;
	struct net *net; /* NULL if it cannot be opened */
};

/* --- small readers */

static struct json *
dmi(const char *name)
{
	cleanup_free char *path = str_printf("/sys/class/dmi/id/%s", name);
	cleanup_free char *text = NULL;

	if (file_read_line(path, &text, NULL) < 0)
		text = xstrdup("");
	return json_new_str(str_trim(text));
}

/* Value of the first "name : value" line of /proc/cpuinfo; the caller's, or NULL. */
static char *
cpu_field(const struct facts *f, const char *name)
{
	for (const char *s = f->cpuinfo; s && *s; s += strcspn(s, "\n"), s += *s == '\n') {
		const char *rest = str_after(s, name);

		if (!rest)
			continue;
		rest += strspn(rest, " \t");
		if (*rest++ != ':')
			continue;
		rest += strspn(rest, " \t");
		return xstrndup(rest, strcspn(rest, "\n"));
	}
	return NULL;
}

/* Different values of a topology attribute over all processors; pairs with the package if wanted. */
static int64_t
count_topology(const char *attribute, bool per_package)
{
	cleanup_strv struct strv seen = STRV_INIT;

	for (int cpu = 0; cpu < 65536; cpu++) {
		cleanup_free char *dir = str_printf("/sys/devices/system/cpu/cpu%d", cpu);
		cleanup_free char *path = str_printf("%s/topology/%s", dir, attribute);
		cleanup_free char *package_path = str_printf("%s/topology/physical_package_id", dir);
		cleanup_free char *value = NULL, *package = NULL, *both = NULL;

		if (!file_exists(dir))
			break;
		if (file_read_line(path, &value, NULL) < 0)
			continue;
		if (!per_package || file_read_line(package_path, &package, NULL) < 0)
			package = xstrdup("");
		both = str_printf("%s/%s", package, value);
		if (!strv_has(&seen, both))
			strv_add(&seen, both);
	}
	return (int64_t)seen.n;
}

static const char *
setting(const struct facts *f, const char *key)
{
	const char *v = conf_get(f->config, key);

	return str_empty(v) ? NULL : v;
}

/* --- members */

static struct json *
get_image(const struct facts *f)
{
	return json_new_str(platform_stamp());
}

static struct json *
get_system(const struct facts *f)
{
	struct utsname u;

	return json_new_str(uname(&u) < 0 ? "" : u.sysname);
}

static struct json *
get_boot_time(const struct facts *f)
{
	cleanup_free char *text = NULL;
	const char *at;

	if (file_read("/proc/stat", 4 << 20, &text, NULL, NULL) < 0 || !(at = strstr(text, "\nbtime ")))
		return NULL;
	at += strlen("\nbtime ");
	{
		cleanup_free char *value = xstrndup(at, strcspn(at, "\n"));

		return json_new_str(value);
	}
}

static struct json *
get_datacenter(const struct facts *f)
{
	const char *v = setting(f, "datacenter_name");

	return v ? json_new_str(v) : NULL;
}

static struct json *
get_version(const struct facts *f)
{
	return json_new_str("7.0");
}

#define DMI_MEMBER(name, file)                          \
	static struct json *name(const struct facts *f) \
	{                                               \
		return dmi(file);                       \
	}                                               \
	struct dmi_semicolon_##name

DMI_MEMBER(get_manufacturer, "sys_vendor");
DMI_MEMBER(get_product, "product_name");
DMI_MEMBER(get_serial, "product_serial");
DMI_MEMBER(get_sku, "product_sku");
DMI_MEMBER(get_hw_version, "product_version");
DMI_MEMBER(get_family, "product_family");

static struct json *
get_setup(const struct facts *f)
{
	return json_new_str(file_exists(USBKEY_CONFIG) ? "true" : "false");
}

static int
kvm_check(int extension)
{
	cleanup_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd < 0 ? 0 : ioctl(fd, KVM_CHECK_EXTENSION, extension);
}

static struct json *
get_vm_capable(const struct facts *f)
{
	return json_new_bool(file_exists("/dev/kvm"));
}

static struct json *
get_max_vcpus(const struct facts *f)
{
	int n = kvm_check(KVM_CAP_MAX_VCPUS);

	return json_new_int(n > 0 ? n : 0);
}

static struct json *
get_cpu_type(const struct facts *f)
{
	cleanup_free char *v = cpu_field(f, "model name");

	return json_new_str(v ? v : "");
}

static struct json *
get_virtualization(const struct facts *f)
{
	cleanup_free char *flags = cpu_field(f, "flags");
	cleanup_strv struct strv words = STRV_INIT;

	if (flags)
		strv_words(&words, flags, " ");
	return json_new_str(strv_has(&words, "vmx") ? "vmx" : strv_has(&words, "svm") ? "svm" : "none");
}

static struct json *
get_physical_cores(const struct facts *f)
{
	return json_new_int(count_topology("core_id", true));
}

static struct json *
get_sockets(const struct facts *f)
{
	return json_new_int(count_topology("physical_package_id", false));
}

static struct json *
get_online(const struct facts *f)
{
	return json_new_int(sysconf(_SC_NPROCESSORS_ONLN));
}

static struct json *
get_configured(const struct facts *f)
{
	return json_new_int(sysconf(_SC_NPROCESSORS_CONF));
}

static struct json *
get_admin_tag(const struct facts *f)
{
	const char *v = setting(f, "admin_tag");

	return json_new_str(v ? v : "admin");
}

static struct json *
get_admin_ip(const struct facts *f)
{
	const char *v = setting(f, "admin_ip");

	return v ? json_new_str(v) : NULL;
}

static struct json *
get_uuid(const struct facts *f)
{
	cleanup_free char *uuid = NULL;

	return node_uuid(&uuid, NULL) < 0 ? NULL : json_new_str(uuid);
}

static struct json *
get_hostname(const struct facts *f)
{
	char name[256] = "";

	return gethostname(name, sizeof(name) - 1) < 0 ? NULL : json_new_str(name);
}

static struct json *
get_memory(const struct facts *f)
{
	uint64_t mib = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
	cleanup_free char *text = str_printf("%llu", (unsigned long long)mib);

	return json_new_str(text);
}

/* --- the system pool */

static struct json *
get_zpool(const struct facts *f)
{
	return f->pool ? json_new_str(f->pool) : NULL;
}

static struct json *
get_zpool_disks(const struct facts *f)
{
	cleanup_strv struct strv disks = STRV_INIT, names = STRV_INIT;
	cleanup_free char *joined = NULL;

	if (!f->pool || pool_disks(f->pool, &disks, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < disks.n; i++) {
		const char *name = str_after(disks.v[i], "/dev/");

		strv_add(&names, name ? name : disks.v[i]);
	}
	joined = strv_join(&names, ",");
	return json_new_str(joined);
}

/* The kind of its first data vdev: "mirror", "raidz1", or "striped". */
static struct json *
get_zpool_profile(const struct facts *f)
{
	cleanup_json struct json *status = NULL;
	const struct json *top;

	if (!f->pool || pool_status(f->pool, &status, NULL) < 0)
		return NULL;
	top = json_get(json_value_at(json_get(status, "vdevs"), 0), "vdevs");
	for (size_t i = 0; i < json_len(top); i++) {
		const char *name = json_key_at(top, i);

		if (str_after(name, "mirror"))
			return json_new_str("mirror");
		if (str_after(name, "raidz") || str_after(name, "draid")) {
			cleanup_free char *kind = xstrndup(name, strcspn(name, "-"));

			return json_new_str(kind);
		}
	}
	return json_new_str("striped");
}

static struct json *
get_zpool_creation(const struct facts *f)
{
	uint64_t v;

	return f->pool && zfs_get_u64(f->pool, "creation", &v, NULL) == 0 ? json_new_int((int64_t)v) : NULL;
}

static struct json *
get_zpool_size(const struct facts *f)
{
	cleanup_pool_list struct pool_list l = POOL_LIST_INIT;

	if (!f->pool || pool_list(&l, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < l.n; i++)
		if (str_eq(l.pools[i].name, f->pool))
			return json_new_int((int64_t)(l.pools[i].size >> 30));
	return NULL;
}

static struct json *
get_disks(const struct facts *f)
{
	cleanup_disk_list struct disk_list l = DISK_LIST_INIT;
	struct json *all = json_new_object();

	if (disk_list(&l, NULL) < 0)
		return all;
	for (size_t i = 0; i < l.n; i++) {
		struct json *d = json_new_object();

		json_set_int(d, "Size in GB", (int64_t)(l.disks[i].size / 1000000000));
		json_set(all, l.disks[i].name, d);
	}
	return all;
}

static struct json *
get_boot_params(const struct facts *f)
{
	struct json *all = json_new_object();
	struct map_iter it = {0};

	while (map_next(f->params, &it)) {
		/* Everybody may run sysinfo; not everybody should see a password's hash. */
		if (!str_eq(it.key, "root_shadow"))
			json_set_str(all, it.key, it.value);
	}
	return all;
}

/* --- network */

static void
add_addresses(struct json *nic, const char *name)
{
	struct ifaddrs *all, *a;
	char text[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) < 0)
		return;
	json_set_str(nic, "ip4addr", "");
	for (a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || !str_eq(a->ifa_name, name))
			continue;
		if (a->ifa_addr->sa_family == AF_INET && !*json_str(json_get(nic, "ip4addr"), ""))
			json_set_str(nic, "ip4addr",
				     inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr,
					       text, sizeof(text)));
		if (a->ifa_addr->sa_family == AF_INET6 && !json_get(nic, "ip6addr")) {
			struct sockaddr_in6 *s = (struct sockaddr_in6 *)(void *)a->ifa_addr;

			if (!IN6_IS_ADDR_LINKLOCAL(&s->sin6_addr))
				json_set_str(nic, "ip6addr",
					     inet_ntop(AF_INET6, &s->sin6_addr, text, sizeof(text)));
		}
	}
	freeifaddrs(all);
}

static const char *
link_status(const char *name)
{
	cleanup_free char *path = str_printf("/sys/class/net/%s/carrier", name);
	cleanup_free char *text = NULL;

	return file_read_line(path, &text, NULL) == 0 && str_eq(text, "1") ? "up" : "down";
}

static struct json *
get_nics(const struct facts *f)
{
	cleanup_free struct net_link *links = NULL;
	struct json *all = json_new_object();
	char mac[MAC_STRLEN];
	size_t n;

	if (net_links(&links, &n, NULL) < 0)
		return all;
	for (size_t i = 0; i < n; i++) {
		struct json *nic = json_new_object(), *names = json_new_array();

		json_set_str(nic, "MAC Address", mac_print(&links[i].mac, mac));
		add_addresses(nic, links[i].name);
		json_set_str(nic, "Link Status", link_status(links[i].name));
		for (size_t k = 0; k < f->n_tags; k++)
			if (str_eq(f->tags[k].link, links[i].name))
				json_push(names, json_new_str(f->tags[k].name));
		json_set(nic, "NIC Names", names);
		json_set(all, links[i].name, nic);
	}
	return all;
}

static struct json *
get_vnics(const struct facts *f)
{
	struct json *all = json_new_object();
	struct vnic_info *v = NULL;
	char mac[MAC_STRLEN];
	size_t n = 0;

	if (!f->net || vnic_list(f->net, NET_GLOBAL, &v, &n, NULL) < 0)
		return all;
	for (size_t i = 0; i < n; i++) {
		struct json *nic;
		cleanup_free char *vlan = str_printf("%u", v[i].vid);

		if (v[i].etherstub)
			continue;
		nic = json_new_object();
		json_set_str(nic, "MAC Address", mac_print(&v[i].mac, mac));
		add_addresses(nic, v[i].name);
		json_set_str(nic, "Link Status", link_status(v[i].name));
		json_set_str(nic, "Host Interface", v[i].over);
		json_set_str(nic, "VLAN", vlan);
		json_set(all, v[i].name, nic);
	}
	vnic_list_free(v, n);
	return all;
}

static struct json *
get_aggrs(const struct facts *f)
{
	struct json *all = json_new_object();
	struct conf_iter it = {0};

	while (conf_next(f->config, &it)) {
		cleanup_free char *name = NULL, *mode_key = NULL;
		cleanup_strv struct strv members = STRV_INIT;
		struct json *aggr, *macs;

		if (!str_after(it.key, "aggr") || !str_ends(it.key, "_aggr"))
			continue;
		name = xstrndup(it.key, strlen(it.key) - strlen("_aggr"));
		mode_key = str_printf("%s_lacp_mode", name);
		aggr = json_new_object();
		macs = json_new_array();
		strv_words(&members, it.value, ", ");
		for (size_t i = 0; i < members.n; i++)
			json_push(macs, json_new_str(members.v[i]));
		json_set_str(aggr, "LACP mode", setting(f, mode_key) ? setting(f, mode_key) : "off");
		json_set(aggr, "Interfaces", macs);
		json_set(all, name, aggr);
	}
	return all;
}

static const struct {
	const char *name;
	struct json *(*get)(const struct facts *f); /* NULL: left out */
} members[] = {
	{"Live Image", get_image},
	{"System Type", get_system},
	{"Boot Time", get_boot_time},
	{"Datacenter Name", get_datacenter},
	{"SDC Version", get_version},
	{"Manufacturer", get_manufacturer},
	{"Product", get_product},
	{"Serial Number", get_serial},
	{"SKU Number", get_sku},
	{"HW Version", get_hw_version},
	{"HW Family", get_family},
	{"Setup", get_setup},
	{"VM Capable", get_vm_capable},
	{"Bhyve Capable", get_vm_capable},
	{"Bhyve Max Vcpus", get_max_vcpus},
	{"HVM API", get_vm_capable},
	{"CPU Type", get_cpu_type},
	{"CPU Virtualization", get_virtualization},
	{"CPU Physical Cores", get_physical_cores},
	{"Admin NIC Tag", get_admin_tag},
	{"Admin IP", get_admin_ip},
	{"UUID", get_uuid},
	{"Hostname", get_hostname},
	{"CPU Total Cores", get_configured},
	{"CPU Socket Count", get_sockets},
	{"CPU Core Count", get_physical_cores},
	{"CPU Online Count", get_online},
	{"CPU Count", get_configured},
	{"MiB of Memory", get_memory},
	{"Zpool", get_zpool},
	{"Zpool Disks", get_zpool_disks},
	{"Zpool Profile", get_zpool_profile},
	{"Zpool Creation", get_zpool_creation},
	{"Zpool Size in GiB", get_zpool_size},
	{"Disks", get_disks},
	{"Boot Parameters", get_boot_params},
	{"Network Interfaces", get_nics},
	{"Virtual Network Interfaces", get_vnics},
	{"Link Aggregations", get_aggrs},
};

static int
make(struct json **ret, struct error *err)
{
	struct facts f = {0};
	cleanup_conf struct conf *config = NULL;
	cleanup_strv struct strv problems = STRV_INIT;
	cleanup_map struct map *params = NULL;
	cleanup_net struct net *net = NULL;
	cleanup_free char *cpuinfo = NULL, *pool = NULL;
	cleanup_free struct nictag *tags = NULL;
	struct json *all;
	int r = boot_params_read(&params, err);

	if (r < 0)
		return r;
	if (!file_exists(USBKEY_CONFIG) || conf_read_file(USBKEY_CONFIG, &config, &problems, NULL) < 0)
		config = conf_new();
	if (file_read("/proc/cpuinfo", 16 << 20, &cpuinfo, NULL, NULL) < 0)
		cpuinfo = xstrdup("");
	if (file_exists("/sys/module/zfs") && file_read_line(SYSTEM_POOL_FILE, &pool, NULL) < 0)
		pool = NULL;
	f = (struct facts){.config = config, .params = params, .cpuinfo = cpuinfo, .pool = pool};
	if (net_open(NULL, &net, NULL) == 0) {
		f.net = net;
		if (nictag_list(net, &tags, &f.n_tags, NULL) == 0)
			f.tags = tags;
	}
	all = json_new_object();
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct json *v = members[i].get(&f);

		if (v)
			json_set(all, members[i].name, v);
	}
	*ret = all;
	return 0;
}

/* --- output */

/* KEY='value', with what a shell's names cannot hold as '_'; objects are flattened. */
static void
print_shell(const struct json *j, const char *prefix)
{
	const char *key;
	struct json *v;

	json_object_each(key, v, j) {
		cleanup_free char *name = str_printf("%s%s%s", prefix, *prefix ? "_" : "", key);
		cleanup_free char *text = NULL, *quoted = NULL;

		for (char *s = name; *s; s++)
			if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9')))
				*s = '_';
		if (json_type(v) == JSON_OBJECT) {
			print_shell(v, name);
			continue;
		}
		text = json_type(v) == JSON_STR ? xstrdup(json_str(v, "")) : json_print(v, false);
		quoted = str_shell_quote(text);
		/* str_shell_quote() may leave plain words bare; scripts look for quotes. */
		if (*quoted == '\'')
			printf("%s=%s\n", name, quoted);
		else
			printf("%s='%s'\n", name, text);
	}
}

int
main(int argc, char **argv)
{
	bool fresh = false, update = false, shell = false, help = false;
	const struct cli_opt opts[] = {
		{'f', NULL, CLI_FLAG, &fresh, NULL, "make it anew"},
		{'p', NULL, CLI_FLAG, &shell, NULL, "as KEY='value' lines"},
		{'u', NULL, CLI_FLAG, &update, NULL, "make it anew and keep it; prints nothing"},
		{0},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *all = NULL;
	cleanup_free char *text = NULL;
	int first;

	cli_init(argv[0]);
	if (cli_parse(argc, argv, opts, &first, &help, &err) < 0 || help || first < argc) {
		if (err.code)
			cli_error(&err);
		fprintf(help ? stdout : stderr, "usage: sysinfo [-fpu]\n");
		cli_print_options(help ? stdout : stderr, opts);
		return help ? CLI_OK : CLI_USAGE;
	}
	if (!fresh && !update && file_exists(CACHE) && json_read_file(CACHE, &all, NULL) < 0)
		all = NULL;
	if (!all) {
		if (make(&all, &err) < 0)
			return cli_error(&err);
		if ((update || !fresh) && geteuid() == 0 && file_mkdir_p("/run/atoll", 0755, &err) == 0 &&
		    json_write_file(CACHE, all, 0644, &err) < 0)
			return cli_error(&err);
	}
	if (update)
		return CLI_OK;
	if (shell) {
		print_shell(all, "");
		return CLI_OK;
	}
	text = json_print(all, true);
	fputs(text, stdout);
	return CLI_OK;
}
