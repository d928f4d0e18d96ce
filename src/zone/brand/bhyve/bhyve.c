/*
 * Brand bhyve: our own monitor, bhyve(8), in a jail (brand/jail.c), told what machine to be.
 *
 * Where things are on the guest's PCI bus is SmartOS's, so that a guest that comes from
 * there finds its disks and interfaces under their old names:
 *
 *	0:0:0	host bridge
 *	0:3:n	CDs
 *	0:4:n	disks as vmadm places them, the one that is booted from at 0:4:0
 *	0:5:n	disks of configurations older than that
 *	0:6:n	NICs, the primary one at 0:6:0
 *	0:29:0	the disk with cloud-init's data, or at the next lower slot that is free
 *	0:30:0	frame buffer, and 0:30:1 the tablet
 *	0:31:0	LPC bridge
 *
 * Sockets below the zone's root/tmp: vm.console (first serial port), vm.ttyb (second:
 * metadata), vm.vnc, vm.ctl (see vmm/ctl.h).  A guest that resets itself ends the monitor with status 0, and the zone is
 * built anew: nothing of the last run can reach into the next.
 */
#include "zone/brand/bhyve/bhyve.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "os/mount.h"
#include "zone/config.h"

#define BHYVE "/usr/sbin/bhyve"
#define CTL_TIMEOUT_S 5
#define SLOT_CDROM 3
#define SLOT_BOOT 4
#define SLOT_DISK 5
#define SLOT_NIC 6
#define SLOT_NOCLOUD 29
#define SECRETS_FILE "vm.secrets"
#define ROM_FILE "vm.rom"

/* ---- the command line ---- */

static void
add_machine(struct daemon *d, struct strv *argv)
{
	const char *bridge = jail_attr(d, "hostbridge", "i440fx");
	cleanup_free char *version = jail_version();

	strv_addl(argv, BHYVE, "-H", NULL);
	if (str_is_uuid(d->name))
		strv_addl(argv, "-U", d->name, NULL);
	strv_add(argv, "-B");
	strv_addf(argv, "1,manufacturer=Joyent,product=SmartDC HVM,version=%s,serial=%s,sku=001,"
		  "family=Virtual Machine", version, d->name);
	strv_addl(argv, "-s", "31,lpc", NULL);
	if (!str_eq(bridge, "none")) {
		strv_add(argv, "-s");
		strv_addf(argv, "0,hostbridge,%s%s", strchr(bridge, '=') ? "" : "model=", bridge);
	}
	strv_addl(argv, "-c", jail_attr(d, "vcpus", "1"), "-m", jail_attr(d, "ram", "256"), NULL);
}

/* A kernel among the operator's own words takes the place of firmware. */
static bool
boots_directly(const struct strv *own)
{
	for (size_t i = 0; i < own->n; i++)
		if (str_after(own->v[i], "kernel,") || str_after(own->v[i], "-lkernel,") ||
		    str_after(own->v[i], "boot.kernel="))
			return true;
	return false;
}

/* A firmware image of the operator's, as opposed to the platform's. */
static bool
own_rom(const char *rom)
{
	return *rom == '/' && !str_after(rom, "/usr/");
}

static bool
is_uefi(const char *rom)
{
	return str_eq(rom, "uefi") || str_eq(rom, "/usr/share/bhyve/uefi-rom.bin");
}

static void
add_firmware(struct daemon *d, const struct strv *own, struct strv *argv)
{
	const char *rom = jail_attr(d, "bootrom", "bios");

	if (boots_directly(own)) {
		strv_addl(argv, "-o", "boot.cache=/tmp", NULL);
		return;
	}
	strv_add(argv, "-l");
	strv_addf(argv, "bootrom,%s%s", own_rom(rom) ? "/tmp/" ROM_FILE : rom,
		  is_uefi(rom) ? ",/tmp/" JAIL_UEFI_VARS : "");
}

/* As SmartOS: if one of the two is named, the other is only there if it is named too. */
static void
add_serial(struct daemon *d, struct strv *argv)
{
	const char *com[2] = {jail_attr(d, "com1", NULL), jail_attr(d, "com2", NULL)};

	if (!com[0] && !com[1]) {
		com[0] = "/dev/zconsole";
		com[1] = "socket,/tmp/vm.ttyb";
	}
	for (int i = 0; i < 2; i++) {
		if (!com[i])
			continue;
		if (str_eq(com[i], "/dev/zconsole"))
			com[i] = "socket,/tmp/vm.console";
		strv_add(argv, "-l");
		strv_addf(argv, "com%d,%s", i + 1, com[i]);
	}
}

/* ---- disks ---- */

static const struct {
	const char *model, *disk, *cdrom;
} disk_models[] = {
	{"virtio", "virtio-blk", "virtio-blk"},
	{"nvme", "nvme", NULL},
	{"ahci", "ahci-hd", "ahci-cd"},
};

/* "bus:slot:function" or "slot:function" as three numbers; false if it is neither. */
static bool
parse_slot(const char *s, unsigned at[3])
{
	char rest;

	at[0] = 0;
	if (sscanf(s, "%u:%u:%u%c", &at[0], &at[1], &at[2], &rest) == 3)
		return true;
	at[0] = 0;
	return sscanf(s, "%u:%u%c", &at[1], &at[2], &rest) == 2;
}

/* The address of a disk that names none: the next free function of its kind's slot. */
static int
default_slot(const struct jail_disk *disk, bool taken[][8], unsigned at[3], struct error *err)
{
	unsigned slot = disk->cdrom ? SLOT_CDROM : disk->boot ? SLOT_BOOT : SLOT_DISK;

	for (unsigned fn = 0; fn < 8; fn++) {
		if (taken[slot][fn])
			continue;
		at[0] = 0;
		at[1] = slot;
		at[2] = fn;
		return 0;
	}
	return error_set(err, E2BIG, "more disks of one kind than PCI slot %u has functions", slot);
}

/* Where no disk that SmartOS would place is. */
static void
nocloud_slot(bool taken[][8], unsigned at[3])
{
	at[0] = at[2] = 0;
	for (at[1] = SLOT_NOCLOUD; memchr(taken[at[1]], true, 8); at[1]--)
		;
}

static int
add_disk(const struct jail_disk *disk, const unsigned at[3], struct strv *argv, struct error *err)
{
	const char *sectors = disk->res ? zone_res_attr(disk->res, "guest-block-size") : NULL;
	const char *match = disk->res ? zone_res_get(disk->res, "match") : NULL;
	const char *model = disk->model ? disk->model : "virtio", *device = NULL;
	cleanup_strbuf struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(disk_models); i++)
		if (str_eq(disk_models[i].model, model))
			device = disk->cdrom ? disk_models[i].cdrom : disk_models[i].disk;
	if (!device)
		return error_set(err, EINVAL, "%s: a %s of model %s is not one of brand bhyve",
				 disk->path, disk->cdrom ? "cdrom" : "disk", model);
	strbuf_addf(&b, "%u:%u:%u,%s,%s", at[0], at[1], at[2], device, disk->path);
	if (!disk->device && !str_eq(device, "ahci-cd"))
		strbuf_adds(&b, ",ro");
	if (disk->notrim)
		strbuf_adds(&b, ",nodelete");
	if (!str_empty(sectors) && !str_eq(sectors, "0"))
		strbuf_addf(&b, ",sectorsize=%s", sectors);
	if (match && !strchr(match, ','))
		strbuf_addf(&b, ",serpath=%s", match); /* SmartOS's monitor sees it under this name */
	if (disk->bootindex)
		strbuf_addf(&b, ",bootindex=%d", disk->bootindex);
	strv_add(argv, "-s");
	strv_take(argv, strbuf_steal(&b));
	return 0;
}

/* Those that name their address have it, whatever comes first. */
static int
add_disks(const struct jail *j, struct strv *argv, struct error *err)
{
	bool taken[32][8] = {0};
	unsigned at[JAIL_MAX_DISKS][3];
	int r = 0;

	for (int named = 1; named >= 0 && r == 0; named--)
		for (size_t i = 0; i < j->n_disks && r == 0; i++) {
			const struct jail_disk *disk = &j->disks[i];
			const char *slot = disk->res ? zone_res_attr(disk->res, "pci-slot") : NULL;

			if (!str_empty(slot) != named)
				continue;
			if (named && (!parse_slot(slot, at[i]) || at[i][1] > 31 || at[i][2] > 7))
				return error_set(err, EINVAL, "pci_slot %s is no PCI address", slot);
			if (disk->nocloud)
				nocloud_slot(taken, at[i]);
			else if (!named)
				r = default_slot(disk, taken, at[i], err);
			if (r == 0 && at[i][0] == 0)
				taken[at[i][1]][at[i][2]] = true;
		}
	for (size_t i = 0; i < j->n_disks && r == 0; i++)
		r = add_disk(&j->disks[i], at[i], argv, err);
	return r;
}

/* ---- PCI devices of the node ---- */

/* As SmartOS: each has a place of its own, and the guest's memory is wired. */
static int
add_pci_devices(const struct jail *j, struct strv *argv, struct error *err)
{
	unsigned at[3];

	for (size_t i = 0; i < j->n_pci; i++) {
		const struct jail_pci *pci = &j->pci[i];
		const char *slot = zone_res_attr(pci->res, "pci-slot");

		if (str_empty(slot) || !parse_slot(slot, at))
			return error_set(err, EINVAL, "pci_devices: %s needs a pci_slot", pci->address);
		strv_add(argv, "-s");
		strv_addf(argv, "%u:%u:%u,passthru,host=%s,group=%d", at[0], at[1], at[2], pci->address, pci->group);
	}
	if (j->n_pci)
		strv_add(argv, "-S");
	return 0;
}

/* ---- NICs ---- */

static int
add_nic(const struct jail_nic *n, unsigned fn, struct strv *argv, struct error *err)
{
	const char *model = n->model ? n->model : "virtio";
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	char mac[MAC_STRLEN];

	if (!str_eq(model, "virtio") && !str_eq(model, "e1000"))
		return error_set(err, EINVAL, "NIC %s: model %s is not one of brand bhyve",
				 n->nic.name, model);
	strbuf_addf(&b, "%u:%u,%s,fd=%d,mac=%s", SLOT_NIC, fn,
		    str_eq(model, "virtio") ? "virtio-net-viona" : "e1000", n->tap_fd,
		    mac_print(&n->nic.mac, mac));
	if (n->vhost_fd >= 0)
		strbuf_addf(&b, ",vhostfd=%d", n->vhost_fd);
	if (n->nic.mtu && str_eq(model, "virtio"))
		strbuf_addf(&b, ",mtu=%u", n->nic.mtu);
	if (n->bootindex)
		strbuf_addf(&b, ",bootindex=%d", n->bootindex);
	strv_add(argv, "-s");
	strv_take(argv, strbuf_steal(&b));
	return 0;
}

static int
add_nics(const struct jail *j, struct strv *argv, struct error *err)
{
	size_t primary = 0;
	unsigned fn = 1;
	int r = 0;

	if (j->n_nics > 8)
		return error_set(err, E2BIG, "%zu NICs: PCI slot %d has 8 functions", j->n_nics,
				 SLOT_NIC);
	for (size_t i = 0; i < j->n_nics; i++)
		if (j->nics[i].nic.primary)
			primary = i;
	for (size_t i = 0; i < j->n_nics && r == 0; i++)
		r = add_nic(&j->nics[i], i == primary ? 0 : fn++, argv, err);
	return r;
}

/* ---- the screen ---- */

/* The password goes by a file: who may see our processes may not see passwords. */
static int
add_screen(struct daemon *d, struct strv *argv, struct error *err)
{
	const char *coded = jail_attr(d, "vnc-password", NULL);
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	cleanup_free char *password = NULL;
	size_t len;

	if (str_eq(jail_attr(d, "vnc-port", "0"), "-1"))
		return 0;
	strv_addl(argv, "-s", "30:0,fbuf,vga=off,unix=/tmp/vm.vnc", "-s", "30:1,xhci,tablet", NULL);
	if (!coded)
		return 0;
	if (str_unbase64(coded, &password, &len) < 0)
		return error_set(err, EINVAL, "vnc-password is not base64");
	strbuf_adds(&b, "pci.0.30.0.password=");
	for (const char *p = password; *p; p++)
		strbuf_addf(&b, *p == '%' ? "%%%%" : "%c", *p);
	strbuf_addc(&b, '\n');
	strv_addl(argv, "-k", "/tmp/" SECRETS_FILE, NULL);
	return jail_write(d, SECRETS_FILE, b.data, b.len, err);
}

/* ---- all of it ---- */

/* Old and new drivers find their device: SmartOS's guests have one or the other. */
static void
add_virtio(struct daemon *d, struct strv *argv)
{
	strv_add(argv, "-o");
	strv_addf(argv, "virtio.legacy=%s", jail_attr(d, "virtio09", "true"));
	strv_add(argv, "-o");
	strv_addf(argv, "virtio.modern=%s", jail_attr(d, "virtio1", "true"));
}

/* What is first only once is so until the guest resets itself: then this is another start. */
static void
number(struct daemon *d, struct jail *j)
{
	cleanup_free char *once = d->rt.init_restarts ? NULL : jail_boot_once(d);
	cleanup_free char *order = jail_boot_order(d);
	cleanup_free char *both = str_printf("%s%s", once ? once : "", order);

	jail_number(j, both);
}

int
bhyve_argv(struct daemon *d, struct jail *j, struct strv *argv, struct error *err)
{
	cleanup_strv struct strv own = STRV_INIT;
	const char *did = zone_config_get(d->config, "debugid");
	int r;

	r = jail_add_words(d, "bhyve-extra-opts", &own, err);
	if (r < 0)
		return r;
	number(d, j);
	add_machine(d, argv);
	add_firmware(d, &own, argv);
	add_serial(d, argv);
	r = add_disks(j, argv, err);
	if (r == 0)
		r = add_pci_devices(j, argv, err);
	if (r == 0)
		r = add_nics(j, argv, err);
	if (r < 0)
		return r;
	r = add_screen(d, argv, err);
	if (r < 0)
		return r;
	add_virtio(d, argv);
	strv_addl(argv, "-o", "ctl.path=/tmp/vm.ctl", NULL);
	for (size_t i = 0; i < own.n; i++)
		strv_add(argv, own.v[i]);
	strv_addf(argv, "SYSbhyve-%s", did ? did : "0");
	return 0;
}

/* ---- the jail ---- */

/* A kernel that is booted without firmware lies in the zone's root/boot. */
static int
plan_kernels(struct daemon *d, struct zone_plan *p, struct error *err)
{
	cleanup_free char *path =
		str_printf("%s/root/boot", zone_config_get(d->config, "zonepath"));
	cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = -1, r;

	if (dir < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", path);
	r = mnt_clone(dir, "", false, &fd, err);
	if (r == 0)
		r = mnt_set(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
					MOUNT_ATTR_NOEXEC, false, err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	plan_mount_fd(p, "/boot", fd);
	return 0;
}

static int
plan_firmware(struct daemon *d, struct zone_plan *p, struct error *err)
{
	const char *rom = jail_attr(d, "bootrom", "bios");
	int r = 0;

	if (is_uefi(rom))
		r = jail_uefi_vars(d, err);
	if (r == 0 && own_rom(rom)) {
		/* the place it is mounted on is a file, which need not say anything */
		r = jail_write(d, ROM_FILE, "", 0, err);
		if (r == 0)
			r = jail_bind(d, p, rom, "/tmp/" ROM_FILE, err);
	}
	return r < 0 ? error_wrap(err, r, "bootrom %s", rom) : plan_kernels(d, p, err);
}

static int
bhyve_plan(struct daemon *d, struct zone_plan *p, struct error *err)
{
	struct jail *j = NULL;
	int r;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return error_set(err, ENODEV, "brand bhyve needs /dev/kvm, and this node's "
					      "processor or firmware does not give it");
	r = jail_plan(d, p, &j, err);
	if (r < 0)
		return r;
	jail_free(d->brand_data);
	d->brand_data = j;
	r = plan_firmware(d, p, err);
	return r < 0 ? r : bhyve_argv(d, j, &p->argv, err);
}

/* ---- life ---- */

static int
bhyve_started(struct daemon *d, struct error *err)
{
	int r = jail_wait(d, "vm.ctl", err);

	return r < 0 ? r : jail_started(d, err);
}

/*
 * The power button.  Firmware has no ear for it, and a monitor that its guest broke does not
 * answer (EAGAIN both): then the zone's time to stop runs all the same.
 */
static int
bhyve_ask(struct daemon *d, bool reboot, struct error *err)
{
	cleanup_ipc_message struct ipc_message answer = IPC_MESSAGE_INIT;
	cleanup_json struct json *request = json_new_object();
	cleanup_error struct error why = ERROR_INIT;
	struct timeval patience = {.tv_sec = CTL_TIMEOUT_S};
	cleanup_close int fd = -1;
	int r;

	json_set_str(request, "request", "stop");
	r = zone_vm_connect(d->name, "vm.ctl", &fd, err);
	if (r < 0)
		return r;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return error_set_errno(err, errno, "vm.ctl");
	r = ipc_call(fd, request, NULL, 0, &answer, &why);
	if (r == -EAGAIN) {
		log_warn("%s", error_message(&why));
		return 0;
	}
	if (r < 0)
		error_move(err, &why);
	return r;
}

const struct brand_ops bhyve_ops = {
	.name = "bhyve",
	.plan = bhyve_plan,
	.started = bhyve_started,
	.ask = bhyve_ask,
	.resume = jail_resume,
	.stopped = jail_stopped,
	.release = jail_release,
};
