/*
 * A virtual machine monitor is the most attacked program of a node: its guest is
 * hostile by assumption.  So it gets a zone in which there is next to nothing:
 *
 *  - a root of its own, read-only: the platform's /usr (read-only, no devices, no setuid)
 *    and empty directories; no /etc, no /sys, no shell history of anybody;
 *  - /tmp: the zone's root/tmp, for its sockets (vm.console, vm.ttyb, vm.vnc, vm.qmp);
 *  - /dev: null, random, kvm, and the zone's own disks, by their numbers;
 *  - the network: an empty namespace; frames pass through descriptors of tap devices
 *    that the host made and enforces its rules on;
 *  - a uid that owns nothing but the above, no capability, no way to get one, and a
 *    filter against the system calls a monitor has no use for.
 *
 * What it names in its own /tmp is not trusted from outside: see zone_vm_connect().
 */
#include "zone/brand/jail.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "net/dhcpd.h"
#include "os/mount.h"
#include "os/run.h"
#include "store/zfs.h"
#include "zone/brand/nocloud.h"
#include "zone/brand/pci.h"
#include "zone/config.h"

#define NOCLOUD "/usr/lib/zones/nocloud"
#define START_TIMEOUT_MS 120000
#define UEFI_VARS_TEMPLATE "/usr/share/OVMF/OVMF_VARS_4M.fd"

void
jail_free(struct jail *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n_disks; i++)
		free(j->disks[i].path);
	for (size_t i = 0; i < j->n_nics; i++)
		nic_done(&j->nics[i].nic);
	for (size_t i = 0; j->dhcpd && i < JAIL_MAX_NICS; i++)
		dhcpd_stop(j->dhcpd[i]);
	free(j->dhcpd);
	free(j);
}

/* ---- root ---- */

/* What is a link into /usr on the host is one here; what is a directory is bound. */
static const char *const usr_dirs[] = {"bin", "sbin", "lib", "lib64"};

static int
bind_readonly(struct zone_plan *p, const char *path, const char *target, struct error *err)
{
	int fd = -1, r;

	r = mnt_clone(AT_FDCWD, path, false, &fd, err);
	if (r == 0)
		r = mnt_set(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, false,
			    err);
	if (r < 0)
		return r;
	plan_mount_fd(p, target, fd);
	return 0;
}

static int
plan_root(struct zone_plan *p, struct error *err)
{
	static const char *const dirs[] = {"usr", "dev", "proc", "tmp", "run", "etc", "var", "boot"};
	int r;

	r = mnt_new("tmpfs", (const char *const[]){"mode=0755", "size=256k", NULL},
		    MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, &p->root, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(p->root, dirs[i], 0755) < 0)
			return error_set_errno(err, errno, "/%s", dirs[i]);
	r = bind_readonly(p, "/usr", "/usr", err);
	for (size_t i = 0; i < ARRAY_SIZE(usr_dirs) && r == 0; i++) {
		cleanup_free char *path = str_printf("/%s", usr_dirs[i]);
		char to[64];
		ssize_t n = readlink(path, to, sizeof(to) - 1);

		if (n > 0) {
			to[n] = '\0';
			if (symlinkat(to, p->root, usr_dirs[i]) < 0)
				return error_set_errno(err, errno, "%s", path);
		} else if (errno == EINVAL) {
			if (mkdirat(p->root, usr_dirs[i], 0755) < 0)
				return error_set_errno(err, errno, "%s", path);
			r = bind_readonly(p, path, path, err);
		}
	}
	if (r == 0)
		r = mnt_idmap(p->root, p->user_ns, false, err);
	return r < 0 ? r : mnt_set(p->root, MOUNT_ATTR_RDONLY, false, err);
}

/* The zone's root/tmp: where the operator's tools look for the machine's sockets. */
#define NOCLOUD_FILE "vm.cidata"

static int
plan_tmp(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_free char *path = str_printf("%s/root", zone_config_get(d->config, "zonepath"));
	cleanup_close int root = -1;
	cleanup_close int tmp = -1;
	int fd = -1, r;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s", path);
	root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return error_set_errno(err, errno, "%s", path);
	if (mkdirat(root, "tmp", 0700) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "%s/tmp", path);
	tmp = openat(root, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (tmp < 0 || fchown(tmp, JAIL_UID, JAIL_UID) < 0 || fchmod(tmp, 0700) < 0)
		return error_set_errno(err, errno, "%s/tmp", path);
	/* sockets of the last run: a monitor that finds them refuses to bind */
	{
		static const char *const old[] = {"vm.console", "vm.ttyb", "vm.vnc", "vm.qmp",
						  "vm.ctl", "vm.pid", NOCLOUD_FILE};

		for (size_t i = 0; i < ARRAY_SIZE(old); i++)
			unlinkat(tmp, old[i], 0);
	}
	r = mnt_clone(tmp, "", false, &fd, err);
	if (r == 0)
		r = mnt_idmap(fd, p->user_ns, false, err);
	if (r == 0)
		r = mnt_set(fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false,
			    err);
	if (r < 0)
		return error_wrap(err, r, "%s/tmp", path);
	plan_mount_fd(p, "/tmp", fd);
	return 0;
}

/* ---- disks ---- */

static bool
attr_is(const struct zone_res *res, const char *name, const char *value)
{
	return str_eq(zone_res_attr(res, name), value);
}

/* A device node of the monitor's own. */
static int
add_device(int dev, const char *host, const char *name, struct error *err)
{
	int r = plan_device(dev, name, host, 0600, err);

	if (r == 0 && fchownat(dev, name, JAIL_UID, JAIL_UID, 0) < 0)
		return error_set_errno(err, errno, "%s", host);
	return r;
}

int
jail_bind(struct daemon *d, struct zone_plan *p, const char *path, const char *target,
	  struct error *err)
{
	cleanup_free char *root = str_printf("%s/root", zone_config_get(d->config, "zonepath"));
	cleanup_close int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int file = -1;
	struct stat st;
	int fd = -1, r;

	r = path_open_in(root_fd, path, 0, &file, NULL);
	if (r < 0) {
		/* not the zone's: then the operator's (device@match may name any file) */
		file = open(path, O_PATH | O_CLOEXEC);
		if (file < 0)
			return error_set_errno(err, errno, "%s", path);
	}
	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s is neither a volume nor a file", path);
	r = mnt_clone(file, "", false, &fd, err);
	if (r == 0)
		r = mnt_set(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, false,
			    err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	plan_mount_fd(p, target, fd)->file = true;
	return 0;
}

static int
add_disk(struct daemon *d, struct zone_plan *p, struct jail *j, int dev, const char *path,
	 struct zone_res *res, struct error *err)
{
	struct jail_disk *disk = &j->disks[j->n_disks];
	cleanup_free char *name = str_printf("disk%zu", j->n_disks);
	cleanup_free char *volume = zvol_name_of_path(path);
	cleanup_free char *host = NULL;
	int r;

	if (j->n_disks == JAIL_MAX_DISKS)
		return error_set(err, E2BIG, "more than %d disks", JAIL_MAX_DISKS);
	*disk = (struct jail_disk){.res = res};
	if (volume) {
		r = zvol_wait(volume, 60000, err);
		if (r < 0)
			return r;
		host = zvol_path(volume);
		r = add_device(dev, host, name, err);
		disk->device = true;
	} else if (str_after(path, "/dev/")) {
		r = add_device(dev, path, name, err);
		disk->device = true;
	} else {
		/* the target of a bind must be there before /dev is attached */
		cleanup_close int fd = openat(dev, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		cleanup_free char *target = str_printf("/dev/%s", name);

		r = fd < 0 ? error_set_errno(err, errno, "%s", name) :
			     jail_bind(d, p, path, target, err);
	}
	if (r < 0)
		return error_wrap(err, r, "disk");
	disk->path = str_printf("/dev/%s", name);
	j->n_disks++; /* the caller fills in how the guest sees it */
	return 0;
}

static const char *
disk_model(const char *spec)
{
	static const char *const models[] = {"virtio", "ide", "scsi", "ahci", "nvme"};
	const char *comma = strrchr(spec, ',');

	for (size_t i = 0; comma && i < ARRAY_SIZE(models); i++)
		if (str_eq(comma + 1, models[i]))
			return models[i];
	return NULL;
}

/* `vmadm start UUID cdrom=/x.iso,ide disk=/y,virtio`: for this boot only. */
static int
plan_boot_media(struct daemon *d, struct zone_plan *p, struct jail *j, int dev, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;

	if (d->bootargs)
		strv_words(&words, d->bootargs, " ");
	for (size_t i = 0; i < words.n; i++) {
		const char *cdrom = str_after(words.v[i], "cdrom=");
		const char *spec = cdrom ? cdrom : str_after(words.v[i], "disk=");
		const char *model = spec ? disk_model(spec) : NULL;
		cleanup_free char *path = NULL;
		int r;

		if (!spec)
			continue;
		if (!model)
			return error_set(err, EINVAL, "%s: its model is not one of virtio, ide, "
						      "scsi, ahci and nvme", words.v[i]);
		path = xstrndup(spec, strcspn(spec, ","));
		r = add_disk(d, p, j, dev, path, NULL, err);
		if (r < 0)
			return r;
		j->disks[j->n_disks - 1].cdrom = cdrom != NULL;
		j->disks[j->n_disks - 1].model = model;
	}
	return 0;
}

static int
plan_disks(struct daemon *d, struct zone_plan *p, struct jail *j, int dev, struct error *err)
{
	zone_res_each(res, d->config, "device") {
		struct jail_disk *disk = &j->disks[j->n_disks];
		const char *notrim = zone_res_attr(res, "notrim");
		int r;

		if (attr_is(res, "model", "passthru"))
			continue; /* a PCI device: plan_pci() */
		r = add_disk(d, p, j, dev, zone_res_get(res, "match"), res, err);
		if (r < 0)
			return r;
		/* add_disk() filled this place */
		disk->boot = attr_is(res, "boot", "true");
		disk->cdrom = attr_is(res, "media", "cdrom");
		disk->notrim = str_eq(notrim, "true");
		disk->model = zone_res_attr(res, "model");
		if (!disk->model)
			disk->model = zone_config_attr(d->config, "disk-driver");
	}
	return plan_boot_media(d, p, j, dev, err);
}

/* ---- PCI devices ---- */

#define VFIO "/dev/vfio/vfio"
#define WIRED_MORE (64ULL << 20) /* beside the guest's RAM */

static int
add_pci(struct jail *j, int dev, struct zone_res *res, struct error *err)
{
	struct jail_pci *pci = &j->pci[j->n_pci];
	cleanup_free char *host = NULL;
	int r;

	if (j->n_pci == JAIL_MAX_PCI)
		return error_set(err, E2BIG, "more than %d pci_devices", JAIL_MAX_PCI);
	r = pci_address_of(zone_res_get(res, "match"), &pci->address, err);
	if (r == 0)
		r = pci_claim("/sys", pci->address, &pci->group, err);
	if (r < 0)
		return r;
	pci->res = res;
	j->n_pci++;
	host = str_printf("/dev/vfio/%d", pci->group);
	for (size_t i = 0; i + 1 < j->n_pci; i++)
		if (j->pci[i].group == pci->group)
			return 0;
	return add_device(dev, host, host + strlen("/dev/"), err);
}

/* They reach all of the guest's memory, which must stay where it is. */
static int
plan_pci(struct daemon *d, struct zone_plan *p, struct jail *j, int dev, struct error *err)
{
	int ram = 0, r = 0;

	zone_res_each(res, d->config, "device") {
		if (!attr_is(res, "model", "passthru"))
			continue;
		if (j->n_pci == 0 && (r = access(VFIO, F_OK) < 0 ? RUN(err, "modprobe", "vfio-pci") : 0) < 0)
			return r;
		if ((r = add_pci(j, dev, res, err)) < 0)
			return r;
	}
	if (j->n_pci == 0)
		return 0;
	(void)str_to_int(jail_attr(d, "ram", "256"), &ram); /* the monitor says what is wrong with it */
	p->wired = ((uint64_t)ram << 21) + WIRED_MORE; /* the kernel counts mlock() and VFIO, each for itself */
	return add_device(dev, VFIO, VFIO + strlen("/dev/"), err);
}

static int
plan_dev_mount(struct daemon *d, struct zone_plan *p, struct jail *j, struct error *err)
{
	int dev = -1, r;

	r = plan_dev(&dev, err);
	if (r < 0)
		return r;
	plan_mount_fd(p, "/dev", dev);
	/* files of disks are mounted above it: they come later in the list */
	if (access("/dev/kvm", R_OK | W_OK) == 0) {
		r = add_device(dev, "/dev/kvm", "kvm", err);
		if (r < 0)
			return r;
		j->kvm = true;
	}
	r = plan_disks(d, p, j, dev, err);
	if (r == 0)
		r = plan_pci(d, p, j, dev, err);
	return r < 0 ? r : mnt_idmap(dev, p->user_ns, false, err);
}

/* ---- NICs ---- */

static int
keep(struct zone_plan *p, int fd)
{
	p->keep_fds = xreallocarray(p->keep_fds, p->n_keep_fds + 1, sizeof(int));
	p->keep_fds[p->n_keep_fds++] = fd;
	return (int)(3 + p->n_keep_fds - 1); /* child.c puts them at 3, 4, ... */
}

static bool
answers_dhcp(const struct nic *n)
{
	for (size_t i = 0; i < n->n_ips; i++)
		if (n->ips[i].family == AF_INET)
			return true;
	return false;
}

static int
parse_nics(struct daemon *d, struct jail *j, struct error *err)
{
	zone_res_each(res, d->config, "net") {
		struct jail_nic *n = &j->nics[j->n_nics];
		int r;

		if (j->n_nics == JAIL_MAX_NICS)
			return error_set(err, E2BIG, "more than %d NICs", JAIL_MAX_NICS);
		r = nic_parse(res, &n->nic, err);
		if (r < 0)
			return r;
		n->res = res;
		n->tap_fd = n->vhost_fd = -1;
		n->model = nic_attr(res, "model");
		if (!n->model)
			n->model = zone_config_attr(d->config, "nic-driver");
		if (answers_dhcp(&n->nic))
			n->nic.flags |= VNIC_DHCP_ANSWER;
		j->n_nics++;
	}
	return 0;
}

static int
plan_nics(struct daemon *d, struct zone_plan *p, struct jail *j, struct error *err)
{
	cleanup_net struct net *net = NULL;
	int r;

	r = parse_nics(d, j, err);
	if (r == 0 && j->n_nics)
		r = net_open(NULL, &net, err);
	for (size_t i = 0; i < j->n_nics && r == 0; i++) {
		struct jail_nic *n = &j->nics[i];
		struct vnic_spec spec;
		int tap = -1, vhost;

		nic_spec(&n->nic, d->name, &spec);
		spec.kind = VNIC_TAP;
		r = vnic_create(net, &spec, &n->ifindex, &tap, err);
		if (r < 0)
			return error_wrap(err, r, "NIC %s", n->nic.name);
		n->tap_fd = keep(p, tap);
		/* without vhost the monitor copies frames itself: slower, and it works */
		vhost = str_eq(n->model, "virtio") || !n->model ?
				open("/dev/vhost-net", O_RDWR | O_CLOEXEC) : -1;
		if (vhost >= 0)
			n->vhost_fd = keep(p, vhost);
	}
	return r;
}

/* ---- DHCP ---- */

static void
fill_resolvers(struct daemon *d, struct dhcpd_config *c)
{
	const char *list = zone_config_attr(d->config, "resolvers");
	cleanup_strv struct strv words = STRV_INIT;

	if (list)
		strv_words(&words, list, ", ");
	for (size_t i = 0; i < words.n && c->n_resolvers < DHCPD_MAX_RESOLVERS; i++)
		if (ip_parse(words.v[i], &c->resolvers[c->n_resolvers]) == 0 &&
		    c->resolvers[c->n_resolvers].family == AF_INET)
			c->n_resolvers++;
}

/* DHCP answers for NICs with addresses of their own. */
static int
dhcp_start(struct daemon *d, struct jail *j, struct error *err)
{
	const char *hostname = zone_config_attr(d->config, "hostname");
	const char *domain = zone_config_attr(d->config, "dns-domain");

	j->dhcpd = xcalloc(JAIL_MAX_NICS, sizeof(struct dhcpd *));
	for (size_t i = 0; i < j->n_nics; i++) {
		struct nic *n = &j->nics[i].nic;
		struct dhcpd_config c = {.mac = n->mac, .mtu = (uint16_t)n->mtu};
		int r;

		if (!(n->flags & VNIC_DHCP_ANSWER) || j->nics[i].ifindex == 0)
			continue;
		for (size_t k = n->n_ips; k-- > 0;)
			if (n->ips[k].family == AF_INET)
				c.ip = n->ips[k];
		if (n->primary || !zone_res_find_primary(d->config))
			for (size_t k = n->n_gateways; k-- > 0;)
				if (n->gateways[k].family == AF_INET)
					c.gateway = n->gateways[k];
		fill_resolvers(d, &c);
		snprintf(c.hostname, sizeof(c.hostname), "%s", hostname ? hostname : "");
		snprintf(c.domain, sizeof(c.domain), "%s", domain ? domain : "");
		r = dhcpd_start(d->loop, j->nics[i].ifindex, &c, &j->dhcpd[i], err);
		if (r < 0)
			return error_wrap(err, r, "DHCP for NIC %s", n->name);
	}
	return 0;
}

int
jail_started(struct daemon *d, struct error *err)
{
	int r = vnc_start(d, err);

	return r < 0 ? r : dhcp_start(d, d->brand_data, err);
}

int
jail_resume(struct daemon *d, struct error *err)
{
	struct jail *j = xcalloc(1, sizeof(*j));
	cleanup_error struct error vnc = ERROR_INIT;
	cleanup_net struct net *net = NULL;
	int r;

	if (vnc_start(d, &vnc) < 0)
		log_error("%s", error_message(&vnc)); /* the machine runs all the same */
	jail_free(d->brand_data);
	d->brand_data = j;
	r = parse_nics(d, j, err);
	if (r == 0 && j->n_nics)
		r = net_open(NULL, &net, err);
	for (size_t i = 0; i < j->n_nics && r == 0; i++) {
		cleanup_vnic_info struct vnic_info v = {0};

		r = vnic_get(net, d->name, j->nics[i].nic.name, &v, err);
		j->nics[i].ifindex = r == 0 ? v.ifindex : 0;
	}
	return r < 0 ? r : dhcp_start(d, j, err);
}

void
jail_release(struct daemon *d)
{
	jail_free(d->brand_data);
	d->brand_data = NULL;
}

void
jail_stopped(struct daemon *d)
{
	vnc_stop(d);
	jail_release(d);
}

/* ---- boot order ---- */

static void
number_disks(struct jail *j, bool cdrom, int *next)
{
	/* the one that says boot=true goes before its like */
	for (int boot = 1; boot >= 0; boot--)
		for (size_t i = 0; i < j->n_disks; i++)
			if (j->disks[i].cdrom == cdrom && j->disks[i].boot == boot &&
			    !j->disks[i].nocloud && !j->disks[i].bootindex)
				j->disks[i].bootindex = (*next)++;
}

static void
number_nics(struct jail *j, int *next)
{
	for (int primary = 1; primary >= 0; primary--)
		for (size_t i = 0; i < j->n_nics; i++)
			if (j->nics[i].nic.primary == primary && !j->nics[i].bootindex)
				j->nics[i].bootindex = (*next)++;
}

void
jail_number(struct jail *j, const char *order)
{
	int next = 1;

	for (const char *o = order; *o; o++) {
		if (*o == 'c' || *o == 'd')
			number_disks(j, *o == 'd', &next);
		else if (*o == 'n')
			number_nics(j, &next);
	}
}

/* ---- cloud-init's disk ---- */

/* The monitor owns the directory: what it put there instead is not followed. */
static int
open_tmp(struct daemon *d, int *ret, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/root/tmp", zone_config_get(d->config, "zonepath"));

	*ret = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? error_set_errno(err, errno, "%s", dir) : 0;
}

/* A new file of the monitor's. */
static int
create_in(int tmp, const char *name, int *ret, struct error *err)
{
	cleanup_close int fd = -1;

	if (unlinkat(tmp, name, 0) < 0 && errno != ENOENT)
		return error_set_errno(err, errno, "/tmp/%s", name);
	fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fchown(fd, JAIL_UID, JAIL_UID) < 0)
		return error_set_errno(err, errno, "/tmp/%s", name);
	*ret = steal_fd(&fd);
	return 0;
}

/* Made anew at every boot, from what the metadata and the NICs are then. */
static int
plan_nocloud(struct daemon *d, struct jail *j, struct error *err)
{
	const char *const argv[] = {NOCLOUD, d->name, NULL};
	cleanup_json struct json *metadata = NULL;
	cleanup_close int tmp = -1;
	cleanup_close int fd = -1;
	struct run_child child;
	int status, r = nocloud_metadata(d->config, &metadata, err);

	if (r < 0 || !nocloud_wanted(metadata))
		return r;
	if (j->n_disks == JAIL_MAX_DISKS)
		return error_set(err, E2BIG, "no place for a NoCloud disk: there are %d disks",
				 JAIL_MAX_DISKS);
	r = open_tmp(d, &tmp, err);
	if (r == 0)
		r = create_in(tmp, NOCLOUD_FILE, &fd, err);
	if (r == 0)
		r = run_start(argv, &(struct run_opts){.out_fd = fd, .err = RUN_INHERIT}, &child, err);
	if (r == 0)
		r = run_wait(&child, &status, err);
	if (r < 0)
		return r;
	if (status)
		return error_set(err, EIO, "the NoCloud disk was not made: %s ended with %d",
				 NOCLOUD, status);
	j->disks[j->n_disks++] = (struct jail_disk){.path = xstrdup("/tmp/" NOCLOUD_FILE),
						    .model = "virtio", .nocloud = true};
	return 0;
}

/* ---- all of it ---- */

/* What the kernel loads by itself only when its node is there already. */
static void
load_modules(void)
{
	static const struct {
		const char *node, *module;
	} needed[] = {{"/dev/net/tun", "tun"}, {"/dev/vhost-net", "vhost_net"}};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		cleanup_error struct error err = ERROR_INIT;

		if (access(needed[i].node, F_OK) < 0 &&
		    RUN(&err, "modprobe", needed[i].module) < 0)
			log_warn("%s", error_message(&err));
	}
}

int
jail_plan(struct daemon *d, struct zone_plan *p, struct jail **ret, struct error *err)
{
	struct jail *j = xcalloc(1, sizeof(*j));
	int r;

	if (zone_res_next(d->config, "net", NULL))
		load_modules();
	r = plan_root(p, err);
	if (r == 0)
		r = plan_dev_mount(d, p, j, err);
	if (r == 0)
		r = plan_tmp(d, p, err);
	if (r == 0)
		r = plan_nocloud(d, j, err);
	if (r == 0)
		r = plan_nics(d, p, j, err);
	if (r < 0) {
		jail_free(j);
		return r;
	}
	plan_mount_fs(p, "/proc", "proc",
		      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
		      NULL);
	p->uid = JAIL_UID;
	p->gid = JAIL_UID;
	p->lock_down = true;
	p->hostname = xstrdup(d->name);
	strv_add(&p->env, "PATH=/usr/bin");
	strv_add(&p->env, "HOME=/tmp");
	*ret = j;
	return 0;
}

/* ---- a monitor that starts ---- */

#define ENDED "The monitor ended"

/* Its last line says why; what the guest shows is not in this log. */
static void
why_it_ended(struct daemon *d, struct error *err)
{
	cleanup_free char *path =
		str_printf("%s/logs/console.log", zone_config_get(d->config, "zonepath"));
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_free char *text = NULL;

	/* not by a step of the loop: it would see the empty cgroup and end a stop nobody began */
	if (console_sync(d->console, ENDED) && file_read(path, 0, &text, NULL, NULL) == 0)
		strv_words(&lines, text, "\r\n");
	error_set(err, EIO, "the monitor ended at once: %s",
		  lines.n > 1 ? lines.v[lines.n - 2] : "it printed nothing");
}

/* A socket has a name before it listens. */
static bool
listens(struct daemon *d, const char *socket)
{
	cleanup_close int fd = -1;

	return zone_vm_connect(d->name, socket, &fd, NULL) == 0;
}

/* So those who start a machine may connect at once, and a disk it cannot open fails the boot. */
int
jail_wait(struct daemon *d, const char *socket, struct error *err)
{
	cleanup_free char *dir = str_printf("%s/root/tmp", zone_config_get(d->config, "zonepath"));
	cleanup_free char *last = str_printf("%s/%s", dir, socket);
	cleanup_close int in = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	uint64_t end = time_mono_ms() + START_TIMEOUT_MS;

	if (in < 0 || inotify_add_watch(in, dir, IN_CREATE | IN_ONLYDIR | IN_DONT_FOLLOW) < 0)
		return error_set_errno(err, errno, "%s", dir);
	while (!listens(d, socket)) {
		bool named = file_exists(last);
		uint64_t now = time_mono_ms();
		struct pollfd p[2] = {{.fd = in, .events = POLLIN},
				      {.fd = d->proc.pidfd, .events = POLLIN}};
		char buf[4096];

		if (now >= end)
			return error_set(err, ETIMEDOUT, "the monitor made no sockets");
		/* nothing tells that it listens now: that is a matter of microseconds */
		if (poll(p, 2, named ? 1 : (int)(end - now)) < 0 && errno != EINTR)
			return error_set_errno(err, errno, "poll");
		if (p[1].revents) {
			why_it_ended(d, err);
			return -EIO;
		}
		if (p[0].revents && read(in, buf, sizeof(buf)) < 0 && errno != EAGAIN)
			return error_set_errno(err, errno, "inotify");
	}
	return 0;
}

/* ---- what monitors are told ---- */

const char *
jail_attr(struct daemon *d, const char *name, const char *fallback)
{
	const char *v = zone_config_attr(d->config, name);

	return str_empty(v) ? fallback : v;
}

/* No shell: blanks separate, and nothing quotes them. */
int
jail_add_words(struct daemon *d, const char *attr, struct strv *argv, struct error *err)
{
	const char *v = zone_config_attr(d->config, attr);
	cleanup_free char *text = NULL;
	size_t len;

	if (str_empty(v))
		return 0;
	if (str_unbase64(v, &text, &len) < 0)
		return error_set(err, EINVAL, "%s is not base64", attr);
	strv_words(argv, text, " \t\n");
	return 0;
}

/* Of `vmadm start`, or of the VM: "cd" or "cd,once=d". */
static const char *
boot_words(struct daemon *d, struct strv *words)
{
	const char *set = jail_attr(d, "boot", "cd");
	const char *found = NULL;

	if (d->bootargs)
		strv_words(words, d->bootargs, " ");
	for (size_t i = 0; i < words->n; i++)
		if (str_after(words->v[i], "order="))
			found = str_after(words->v[i], "order=");
	return found ? found : str_after(set, "order=") ? str_after(set, "order=") : set;
}

char *
jail_boot_order(struct daemon *d)
{
	cleanup_strv struct strv words = STRV_INIT;
	const char *found = boot_words(d, &words);

	return xstrndup(found, strcspn(found, ","));
}

char *
jail_boot_once(struct daemon *d)
{
	cleanup_strv struct strv words = STRV_INIT;
	const char *once = strstr(boot_words(d, &words), ",once=");

	return once ? xstrdup(once + strlen(",once=")) : NULL;
}

int
jail_write(struct daemon *d, const char *name, const char *data, size_t len, struct error *err)
{
	cleanup_close int tmp = -1;
	cleanup_close int fd = -1;
	int r = open_tmp(d, &tmp, err);

	if (r < 0)
		return r;
	r = create_in(tmp, name, &fd, err);
	if (r < 0)
		return r;
	if (fd_write_all(fd, data, len) < 0) {
		r = error_set_errno(err, errno, "/tmp/%s", name);
		unlinkat(tmp, name, 0);
		return r;
	}
	return 0;
}

int
jail_uefi_vars(struct daemon *d, struct error *err)
{
	cleanup_free char *data = NULL;
	cleanup_close int tmp = -1;
	size_t len;
	int r = open_tmp(d, &tmp, err);

	if (r < 0 || faccessat(tmp, JAIL_UEFI_VARS, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return r;
	r = file_read(UEFI_VARS_TEMPLATE, 0, &data, &len, err);
	return r < 0 ? r : jail_write(d, JAIL_UEFI_VARS, data, len, err);
}

char *
jail_version(void)
{
	struct utsname u;

	return uname(&u) < 0 ? xstrdup("7") : str_printf("7.%s", u.release);
}
