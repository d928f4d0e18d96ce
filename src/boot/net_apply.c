/* See net_apply.h. */
#include "boot/net_apply.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "boot/method.h"
#include "boot/resolv.h"
#include "net/addr.h"
#include "net/link.h"
#include "net/net.h"
#include "net/vnic.h"
#include "os/run.h"

#define DHCP_EVENT "/usr/lib/atoll/dhcp-event"
#define PID_DIR "/run/atoll/udhcpc"

int
net_loopback_up(struct error *err)
{
	const char *ra = "/proc/sys/net/ipv6/conf/default/accept_ra";
	int r;

	/* Routers are heeded where the configuration says so, not on whichever NIC appears. */
	if (file_exists(ra)) {
		r = file_write(ra, "0", err);
		if (r < 0)
			return r;
	}
	return addr_loopback(-1, err);
}

/* --- DHCP */

static char *
pid_path(const char *ifname)
{
	return str_printf("%s/%s.pid", PID_DIR, ifname);
}

static bool
is_udhcpc(int64_t pid)
{
	cleanup_free char *path = str_printf("/proc/%lld/cmdline", (long long)pid);
	cleanup_free char *text = NULL;
	size_t len;

	/* busybox\0udhcpc\0... */
	return file_read(path, 4096, &text, &len, NULL) == 0 &&
	       memmem(text, len, "udhcpc", 6) != NULL;
}

static void
stop_client(const char *path)
{
	cleanup_free char *text = NULL;
	int64_t pid;

	if (file_read_line(path, &text, NULL) == 0 && str_to_i64(text, 10, &pid) == 0 && pid > 1 &&
	    is_udhcpc(pid))
		kill((pid_t)pid, SIGTERM);
	unlink(path);
}

int
net_dhcp(const char *ifname, const char *hostname, struct error *err)
{
	cleanup_free char *pid = pid_path(ifname);
	cleanup_free char *lease = str_printf("%s/%s", NET_LEASE_DIR, ifname);
	cleanup_free char *host = str_printf("hostname:%s", str_empty(hostname) ? "" : hostname);
	const char *argv[] = {"busybox", "udhcpc", "-i", ifname, "-p", pid, "-s", DHCP_EVENT,
			      "-t", "5", "-T", "3", "-A", "10", "-b",
			      str_empty(hostname) ? NULL : "-x", host, NULL};
	int r = file_mkdir_p(PID_DIR, 0755, err);

	if (r < 0)
		return r;
	stop_client(pid);
	if (unlink(lease) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "%s", lease);
	r = method_run(argv, "waiting for a DHCP lease", 60, err);
	return r < 0 ? r : file_exists(lease);
}

void
net_dhcp_stop(void)
{
	DIR *d = opendir(PID_DIR);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		cleanup_free char *path = str_printf("%s/%s", PID_DIR, e->d_name);

		if (str_ends(e->d_name, ".pid"))
			stop_client(path);
	}
	if (d)
		closedir(d);
}

/* --- interfaces */

static int
set_up(const struct net_if *i, struct error *err)
{
	cleanup_free char *ra = str_printf("/proc/sys/net/ipv6/conf/%s/accept_ra", i->name);
	int r;

	if (i->mtu && !i->tag[0]) {
		r = addr_set_mtu(-1, i->name, i->mtu, err);
		if (r < 0)
			return r;
	}
	/* A router that announces itself is heeded only where the configuration says so. */
	if (file_exists(ra)) {
		r = file_write(ra, i->addrconf ? "2" : "0", err);
		if (r < 0)
			return r;
	}
	return addr_set_up(-1, i->name, true, err);
}

/* Made once; what is there stays as it is, with whatever goes over it. */
static int
make_aggr(struct net *net, const struct net_aggr *a, struct error *err)
{
	cleanup_free char *there = str_printf("/sys/class/net/%s/bonding", a->name);
	struct aggr_spec spec = {
		.name = a->name,
		.lacp = a->lacp,
		.links = (const char *const *)a->links.v,
		.n_links = a->links.n,
		.mtu = a->mtu,
	};

	return file_exists(there) ? 0 : aggr_create(net, &spec, err);
}

/* A VNIC of the global zone's own, over a nic tag; made anew, it has what the configuration says. */
static int
make_vnic(struct net *net, const struct net_if *i, struct error *err)
{
	struct vnic_spec spec = {
		.zone = NET_GLOBAL,
		.name = i->name,
		.kind = VNIC_ZONE,
		.nic_tag = i->tag,
		.mac = i->mac,
		.vid = i->vid,
		.mtu = i->mtu,
		.netns_fd = -1,
	};

	return vnic_create(net, &spec, NULL, NULL, err);
}

static int
apply_if(struct net *net, const struct net_if *i, const char *hostname, struct error *err)
{
	int r = i->tag[0] ? make_vnic(net, i, err) : 0;

	if (r == 0)
		r = set_up(i, err);
	if (r == 0 && i->ip6.family)
		r = addr_add(-1, i->name, &i->ip6, err);
	if (r < 0)
		return r;
	switch (i->mode) {
	case NET_IP_NONE:
		return 0;
	case NET_IP_STATIC:
		return addr_add(-1, i->name, &i->ip, err);
	case NET_IP_DHCP:
		r = net_dhcp(i->name, hostname, err);
		if (r == 0)
			return error_set(err, ETIMEDOUT, "no DHCP server answers yet; still trying");
		return r < 0 ? r : 0;
	}
	return 0;
}

static int
set_gateway(const struct ip_addr *gw, struct error *err)
{
	return gw->family ? route_set_default(-1, gw, err) : 0;
}

static int
write_static_resolv(const struct net_plan *plan, struct error *err)
{
	cleanup_conf struct conf *c = conf_new();
	cleanup_free char *joined = strv_join(&plan->resolvers, ",");
	int r = file_mkdir_p("/run/atoll", 0755, err);

	if (r < 0)
		return r;
	conf_set(c, "resolvers", joined);
	if (plan->search || plan->domain)
		conf_set(c, "search", plan->search ? plan->search : plan->domain);
	r = conf_write_file(NET_STATIC_RESOLV, c, 0644, err);
	return r < 0 ? r : resolv_update(err);
}

static bool
wants_switch(const struct net_plan *plan)
{
	bool wants = plan->etherstubs.n > 0 || plan->n_aggrs > 0;

	for (size_t i = 0; i < plan->n_ifs; i++)
		wants = wants || plan->ifs[i].tag[0];
	return wants;
}

void
net_apply(const struct net_plan *plan, const char *hostname,
	  void (*say)(const char *fmt, ...) __attribute__((format(printf, 1, 2))))
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_net struct net *net = NULL;
	char text[IP_STRLEN];

	for (size_t i = 0; i < plan->problems.n; i++)
		say("%s", plan->problems.v[i]);
	if (write_static_resolv(plan, &err) < 0)
		say("resolv.conf: %s", error_message(&err));
	if (wants_switch(plan) && net_open(NULL, &net, &err) < 0) {
		say("no VNICs: %s", error_message(&err));
		error_done(&err);
	}
	for (size_t i = 0; net && i < plan->n_aggrs; i++)
		if (make_aggr(net, &plan->aggrs[i], &err) < 0)
			say("%s: %s", plan->aggrs[i].name, error_message(&err));
	for (size_t i = 0; net && i < plan->etherstubs.n; i++)
		if (etherstub_create(net, plan->etherstubs.v[i], 0, &err) < 0)
			say("etherstub %s: %s", plan->etherstubs.v[i], error_message(&err));
	for (size_t i = 0; i < plan->n_ifs; i++) {
		if (plan->ifs[i].tag[0] && !net)
			continue;
		if (apply_if(net, &plan->ifs[i], hostname, &err) < 0)
			say("%s: %s", plan->ifs[i].name, error_message(&err));
	}
	if (set_gateway(&plan->gateway, &err) < 0)
		say("default route %s: %s", ip_print(&plan->gateway, text), error_message(&err));
	if (set_gateway(&plan->gateway6, &err) < 0)
		say("default route %s: %s", ip_print(&plan->gateway6, text), error_message(&err));
}
