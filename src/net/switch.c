/*
 * Owner of the switch in the kernel (switch.bpf.c): loads and pins it once a
 * boot, attaches it to ports, and is the only writer of its rules.
 *
 * Pins are at RUN/bpf/LAYOUT/: the maps first, the programs last, so that
 * programs found are programs whose maps are there.  A loader killed between
 * leaves maps, which the next one takes over.  RUN/loaded says that it is done:
 * who finds that and no pins lives in a mount namespace of its own, where a
 * second switch would be a silent disaster.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "net/internal.h"
#include "switch.skel.h"

_Static_assert(SW_DROPS == VNIC_DROP_MAX, "drop reasons of vnic.h and switch.bpf.c");
_Static_assert(SW_MAC_NOSPOOF == VNIC_MAC_NOSPOOF && SW_IP_NOSPOOF == VNIC_IP_NOSPOOF &&
		       SW_DHCP_NOSPOOF == VNIC_DHCP_NOSPOOF && SW_RESTRICTED == VNIC_RESTRICTED &&
		       SW_PROMISC == VNIC_PROMISC && SW_DHCP_ANSWER == VNIC_DHCP_ANSWER &&
		       SW_DYNAMIC_IP == VNIC_DYNAMIC_IP,
	       "flags of vnic.h and switch.h");

static const char *const map_names[SW_MAPS] = {
	[SW_PORTS] = "ports",   [SW_SWITCHES] = "switches", [SW_FDB] = "fdb",
	[SW_GROUPS] = "groups", [SW_IPS] = "ips",           [SW_NETMAP] = "nets",
	[SW_LEASES] = "leases", [SW_STATS] = "stats",
};

static const char *const prog_names[SW_PROGS] = {
	[SW_PROG_PORT] = "sw_port",
	[SW_PROG_SHAPED] = "sw_shaped",
	[SW_PROG_IN] = "sw_uplink_in",
	[SW_PROG_OUT] = "sw_uplink_out",
};

/* The last thing libbpf complained of: libraries do not print. */
static _Thread_local char complaint[512];

static int
on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN) {
		vsnprintf(complaint, sizeof(complaint), fmt, ap);
		complaint[strcspn(complaint, "\n")] = '\0';
	}
	return 0;
}

static int
mount_bpf(const char *dir, struct error *err)
{
	struct statfs fs;
	int r;

	r = file_mkdir_p(dir, 0700, err);
	if (r < 0)
		return r;
	if (statfs(dir, &fs) < 0)
		return error_set_errno(err, errno, "%s", dir);
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", dir, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return error_set_errno(err, errno, "cannot mount the BPF filesystem at %s", dir);
	return 0;
}

static int
open_pin(const char *dir, const char *name, int *ret)
{
	cleanup_free char *path = str_printf("%s/%s", dir, name);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static int
open_pins(struct net *n, const char *dir)
{
	int r = 0;

	for (int i = SW_PROGS - 1; r == 0 && i >= 0; i--)
		r = open_pin(dir, prog_names[i], &n->progs[i]);
	for (int i = 0; r == 0 && i < SW_MAPS; i++)
		r = open_pin(dir, map_names[i], &n->maps[i]);
	return r;
}

static int
pin_all(struct switch_bpf *skel, const char *dir)
{
	int r;

	for (int i = 0; i < SW_PROGS; i++) {
		cleanup_free char *path = str_printf("%s/%s", dir, prog_names[i]);
		struct bpf_program *prog =
			bpf_object__find_program_by_name(skel->obj, prog_names[i]);

		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
		r = bpf_program__pin(prog, path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
load(const char *dir, struct error *err)
{
	struct switch_bpf *skel;
	struct bpf_map *map;
	int r = 0;

	complaint[0] = '\0';
	libbpf_set_print(on_libbpf);
	skel = switch_bpf__open();
	if (!skel)
		return error_set_errno(err, errno, "cannot read the switch program");
	bpf_object__for_each_map(map, skel->obj)
	{
		const char *name = bpf_map__name(map);

		/* .rodata and the like are the program's alone */
		if (r == 0 && name[0] != '.' && !strchr(name, '.')) {
			cleanup_free char *path = str_printf("%s/%s", dir, name);

			r = bpf_map__set_pin_path(map, path);
		}
	}
	if (r == 0)
		r = switch_bpf__load(skel);
	if (r == 0)
		r = pin_all(skel, dir);
	switch_bpf__destroy(skel);
	if (r < 0)
		return error_set(err, -r, "cannot load the switch program: %s",
				 complaint[0] ? complaint : strerror(-r));
	return 0;
}

int
sw_open(struct net *n, struct error *err)
{
	cleanup_free char *bpf = str_printf("%s/bpf", n->run_dir);
	cleanup_free char *dir = str_printf("%s/" SW_LAYOUT, bpf);
	cleanup_free char *loaded = str_printf("%s/loaded", n->run_dir);
	int r;

	if (n->sw_open)
		return 0;
	for (int i = 0; i < SW_MAPS; i++)
		n->maps[i] = -1;
	for (int i = 0; i < SW_PROGS; i++)
		n->progs[i] = -1;
	n->sw_open = true;
	r = open_pins(n, dir);
	if (r == 0)
		return 0;
	sw_close(n);
	if (r != -ENOENT && r != -EINVAL && r != -ENODEV)
		return error_set_errno(err, -r, "%s", dir);
	if (file_exists(loaded))
		return error_set(err, ENOENT,
				 "the switch is loaded but %s is not there: another mount "
				 "namespace, or somebody unmounted it",
				 dir);
	r = mount_bpf(bpf, err);
	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s", dir);
	r = load(dir, err);
	if (r == 0)
		r = file_write_atomic(loaded, SW_LAYOUT "\n", strlen(SW_LAYOUT "\n"), 0644, err);
	if (r < 0)
		return r;
	n->sw_open = true;
	r = open_pins(n, dir);
	if (r < 0) {
		sw_close(n);
		return error_set_errno(err, -r, "%s", dir);
	}
	return 0;
}

void
sw_close(struct net *n)
{
	if (!n->sw_open)
		return;
	for (int i = 0; i < SW_MAPS; i++)
		cleanup_closep(&n->maps[i]);
	for (int i = 0; i < SW_PROGS; i++)
		cleanup_closep(&n->progs[i]);
	n->sw_open = false;
}

static int
attach(int prog, int ifindex, enum bpf_attach_type type, struct error *err)
{
	LIBBPF_OPTS(bpf_prog_attach_opts, opts);
	int r = bpf_prog_attach_opts(prog, ifindex, type, &opts);

	/* already there: a creation that was cut short and is repeated */
	if (r < 0 && r != -EEXIST)
		return error_set_errno(err, -r, "cannot attach the switch to link %d", ifindex);
	return 0;
}

int
sw_attach(struct net *n, int ifindex, enum sw_role role, struct error *err)
{
	int r;

	switch (role) {
	case SW_ROLE_PORT:
		return attach(n->progs[SW_PROG_PORT], ifindex, BPF_TCX_INGRESS, err);
	case SW_ROLE_SHAPED:
		return attach(n->progs[SW_PROG_SHAPED], ifindex, BPF_TCX_INGRESS, err);
	case SW_ROLE_UPLINK:
		r = attach(n->progs[SW_PROG_IN], ifindex, BPF_TCX_INGRESS, err);
		return r < 0 ? r : attach(n->progs[SW_PROG_OUT], ifindex, BPF_TCX_EGRESS, err);
	}
	return error_set(err, EINVAL, "link %d: no such role", ifindex);
}

static int
update(struct net *n, enum sw_map m, const void *key, const void *value, struct error *err)
{
	int r = bpf_map_update_elem(n->maps[m], key, value, BPF_ANY);

	if (r == -E2BIG)
		return error_set(err, ENOSPC, "the switch is full: no room in its table of %s",
				 map_names[m]);
	if (r < 0)
		return error_set_errno(err, -r, "switch table %s", map_names[m]);
	return 0;
}

int
sw_switch_set(struct net *n, uint32_t id, const struct sw_switch *s, struct error *err)
{
	return update(n, SW_SWITCHES, &id, s, err);
}

void
sw_switch_del(struct net *n, uint32_t id)
{
	bpf_map_delete_elem(n->maps[SW_SWITCHES], &id);
}

int
sw_port_set(struct net *n, uint32_t ifindex, const struct sw_port *p, struct error *err)
{
	return update(n, SW_PORTS, &ifindex, p, err);
}

int
sw_port_get(struct net *n, uint32_t ifindex, struct sw_port *ret)
{
	return bpf_map_lookup_elem(n->maps[SW_PORTS], &ifindex, ret);
}

void
sw_port_del(struct net *n, uint32_t ifindex)
{
	struct sw_lease lease;

	bpf_map_delete_elem(n->maps[SW_PORTS], &ifindex);
	bpf_map_delete_elem(n->maps[SW_STATS], &ifindex);
	if (bpf_map_lookup_elem(n->maps[SW_LEASES], &ifindex, &lease) == 0) {
		struct ip_addr learnt;

		if (sw_lease_get(n, ifindex, &learnt))
			sw_ip_del(n, ifindex, &learnt);
		for (uint32_t i = 0; i < lease.n && i < SW_PREFIXES; i++) {
			learnt = (struct ip_addr){.family = AF_INET6, .prefix = 128};
			memcpy(learnt.b, lease.addr6[i], 16);
			sw_ip_del(n, ifindex, &learnt);
		}
		bpf_map_delete_elem(n->maps[SW_LEASES], &ifindex);
	}
}

static struct sw_fdb_key
fdb_key(uint32_t sw, uint16_t vid, const struct mac_addr *mac)
{
	struct sw_fdb_key k = {.sw = sw, .vid = vid};

	memcpy(k.mac, mac->b, sizeof(k.mac));
	return k;
}

uint32_t
sw_fdb_get(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac)
{
	struct sw_fdb_key k = fdb_key(sw, vid, mac);
	uint32_t ifindex;

	return bpf_map_lookup_elem(n->maps[SW_FDB], &k, &ifindex) == 0 ? ifindex : 0;
}

int
sw_fdb_set(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac, uint32_t ifindex,
	   struct error *err)
{
	struct sw_fdb_key k = fdb_key(sw, vid, mac);

	return update(n, SW_FDB, &k, &ifindex, err);
}

void
sw_fdb_del(struct net *n, uint32_t sw, uint16_t vid, const struct mac_addr *mac, uint32_t ifindex)
{
	struct sw_fdb_key k = fdb_key(sw, vid, mac);

	if (sw_fdb_get(n, sw, vid, mac) == ifindex)
		bpf_map_delete_elem(n->maps[SW_FDB], &k);
}

int
sw_group_add(struct net *n, uint32_t sw, uint16_t vid, uint32_t ifindex, struct error *err)
{
	struct sw_group_key k = {.sw = sw, .vid = vid};
	struct sw_group g = {0};

	(void)bpf_map_lookup_elem(n->maps[SW_GROUPS], &k, &g); /* none yet: empty */
	for (uint32_t i = 0; i < g.n; i++)
		if (g.ifindex[i] == ifindex)
			return 0;
	if (g.n == SW_GROUP_MAX)
		return error_set(err, ENOSPC, "a VLAN of a switch takes %d VNICs", SW_GROUP_MAX);
	g.ifindex[g.n++] = ifindex;
	return update(n, SW_GROUPS, &k, &g, err);
}

void
sw_group_del(struct net *n, uint32_t sw, uint16_t vid, uint32_t ifindex)
{
	struct sw_group_key k = {.sw = sw, .vid = vid};
	struct sw_group g;
	uint32_t left = 0;

	if (bpf_map_lookup_elem(n->maps[SW_GROUPS], &k, &g) < 0)
		return;
	for (uint32_t i = 0; i < g.n; i++)
		if (g.ifindex[i] != ifindex)
			g.ifindex[left++] = g.ifindex[i];
	g.n = left;
	if (left == 0)
		bpf_map_delete_elem(n->maps[SW_GROUPS], &k);
	else
		bpf_map_update_elem(n->maps[SW_GROUPS], &k, &g, BPF_ANY);
}

/* IPv4 as ::ffff:a.b.c.d, as the program looks it up. */
static uint32_t
map_address(const struct ip_addr *a, uint8_t to[16])
{
	if (a->family == AF_INET6) {
		memcpy(to, a->b, 16);
		return a->prefix;
	}
	memset(to, 0, 10);
	memset(to + 10, 0xff, 2);
	memcpy(to + 12, a->b, 4);
	return 96 + a->prefix;
}

static bool
ip_keys(uint32_t ifindex, const struct ip_addr *a, struct sw_ip_key *ip, struct sw_net_key *net)
{
	struct ip_addr x = *a;
	bool whole = a->prefix == ip_bits(a);

	ip_mask(&x);
	memset(ip, 0, sizeof(*ip));
	memset(net, 0, sizeof(*net));
	ip->ifindex = net->ifindex = ifindex;
	map_address(a, ip->addr);
	net->prefixlen = 32 + map_address(&x, net->addr);
	return whole;
}

int
sw_ip_add(struct net *n, uint32_t ifindex, const struct ip_addr *a, struct error *err)
{
	struct sw_ip_key ip;
	struct sw_net_key net;
	uint8_t one = 1;

	if (ip_keys(ifindex, a, &ip, &net))
		return update(n, SW_IPS, &ip, &one, err);
	return update(n, SW_NETMAP, &net, &one, err);
}

void
sw_ip_del(struct net *n, uint32_t ifindex, const struct ip_addr *a)
{
	struct sw_ip_key ip;
	struct sw_net_key net;

	if (ip_keys(ifindex, a, &ip, &net))
		bpf_map_delete_elem(n->maps[SW_IPS], &ip);
	else
		bpf_map_delete_elem(n->maps[SW_NETMAP], &net);
}

/* Counters at zero, and a place to learn in. */
int
sw_port_prepare(struct net *n, uint32_t ifindex, bool dynamic, struct error *err)
{
	int cpus = libbpf_num_possible_cpus();
	cleanup_free struct sw_stats *zero = NULL;
	struct sw_lease lease = {0};
	int r;

	if (cpus < 0)
		return error_set_errno(err, -cpus, "number of CPUs");
	zero = xcalloc((size_t)cpus, sizeof(*zero));
	r = update(n, SW_STATS, &ifindex, zero, err);
	if (r == 0 && dynamic)
		r = update(n, SW_LEASES, &ifindex, &lease, err);
	return r;
}

bool
sw_lease_get(struct net *n, uint32_t ifindex, struct ip_addr *ret)
{
	struct sw_lease lease;

	if (bpf_map_lookup_elem(n->maps[SW_LEASES], &ifindex, &lease) < 0 || !lease.address)
		return false;
	*ret = (struct ip_addr){.family = AF_INET, .prefix = 32};
	memcpy(ret->b, &lease.address, 4);
	return true;
}

int
sw_stats_get(struct net *n, uint32_t ifindex, struct vnic_stats *ret, struct error *err)
{
	int cpus = libbpf_num_possible_cpus(), r;
	cleanup_free struct sw_stats *s = NULL;
	struct vnic_stats sum = {0};

	if (cpus < 0)
		return error_set_errno(err, -cpus, "number of CPUs");
	s = xcalloc((size_t)cpus, sizeof(*s));
	r = bpf_map_lookup_elem(n->maps[SW_STATS], &ifindex, s);
	if (r < 0)
		return error_set_errno(err, -r, "counters of link %u", ifindex);
	for (int i = 0; i < cpus; i++) {
		sum.ipackets += s[i].ipackets;
		sum.rbytes += s[i].rbytes;
		sum.opackets += s[i].opackets;
		sum.obytes += s[i].obytes;
		for (int d = 0; d < SW_DROPS; d++)
			sum.drops[d] += s[i].drops[d];
	}
	*ret = sum;
	return 0;
}
